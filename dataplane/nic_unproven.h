/* SPDX-License-Identifier: Apache-2.0 */
/** Offloads that a driver announces, and then leaves each packet that needs one in front of its queue: no refusal, no
 * counter, nothing goes out. Seen with net_tap, which cuts no segment that fills the MTU. Until a driver has taken the
 * first packet of a kind it is watched; one that takes none of many, while others go out, does not have the offload.
 *
 * What was taken once is believed for good, so that nobody's packets can take an offload from the others.
 */
#ifndef DATAPLANE_NIC_UNPROVEN_H
#define DATAPLANE_NIC_UNPROVEN_H

#include "dataplane/nic_offloads.h"

#include <rte_mbuf.h>
#include <stdatomic.h>

struct nic_unproven {
	/* Writers: workers. Readers: control. */
	_Atomic uint32_t waiting; /* bit n: no packet that needs enum nic_offload n was taken yet */
	_Atomic uint32_t left[NIC_OFFLOADS]; /* packets of each kind that were not taken so far */
	/* Control. */
	uint64_t sent; /* by the device, when it was looked at last */
};

/** Control, before the port is published: watch these. */
void nic_unproven_begin(struct nic_unproven *u, const struct nic_offloads *o);
/** Worker: rte_eth_tx_burst that notes what was taken. A packet that is not, while one behind it is, is moved to the end.
 * @return how many were sent; the others stay the caller's. */
uint16_t nic_unproven_send(struct nic_unproven *u, uint16_t ethdev, uint16_t queue,
	struct rte_mbuf **pkts, uint16_t n);
/** Control, once a second, with the device's count of sent packets. @return bits of offloads that it does not have. */
uint32_t nic_unproven_look(struct nic_unproven *u, uint64_t sent);

#endif
