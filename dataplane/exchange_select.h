/* SPDX-License-Identifier: Apache-2.0 */
/** Which frames of a NIC that Podlane has whole are Podlane's, the rest being the kernel's: what xdp/steer.bpf.c says, from
 * the published tables. Worker threads, between quiescent states.
 */
#ifndef DATAPLANE_EXCHANGE_SELECT_H
#define DATAPLANE_EXCHANGE_SELECT_H

#include "config/address.h"

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#define EXCHANGE_FRAGMENTS 64

/** UDP packets whose first fragment went to a tunnel's port; the oldest is overwritten. Zeroed = empty. */
struct exchange_fragments {
	struct exchange_fragment {
		uint8_t src[16], dst[16];
		uint32_t id;
		bool used;
	} list[EXCHANGE_FRAGMENTS];
	unsigned next;
};

/** `mac` is the NIC's; `fragments` the queue's. */
bool exchange_is_ours(
	const struct rte_mbuf *m, const struct mac_addr *mac, struct exchange_fragments *fragments);

#endif
