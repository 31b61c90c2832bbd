/* SPDX-License-Identifier: Apache-2.0 */
/** memif's IP mode: rings carry IP packets without an Ethernet header. The rest of the data path
 * knows Ethernet only, so packets get a header on their way in and lose it on their way out. There
 * is nobody to ask for a MAC address: ours and one that stands for the peer are fixed.
 *
 * Threads: the worker that owns the packets. Nothing shared is touched.
 */
#ifndef DATAPLANE_MEMIF_IP_H
#define DATAPLANE_MEMIF_IP_H

#include "config/address.h"

#include <rte_mbuf.h>
#include <stdint.h>

/** Put headers in front of received packets, from peer to own. What is not IP by its first byte, or
 * too long for it, is freed and counted in *bad.
 * @return how many are left, at the front of pkts. */
uint16_t memif_ip_received(struct rte_mbuf **pkts, uint16_t n, const struct mac_addr *own,
	const struct mac_addr *peer, uint32_t *bad);
/** Take the headers off packets to send; those that are not IP move behind the others.
 * @return how many can be sent. */
uint16_t memif_ip_strip(struct rte_mbuf **pkts, uint16_t n);
/** Packets that were not sent after all get back what memif_ip_strip took, which is still there. */
void memif_ip_unstrip(struct rte_mbuf **pkts, uint16_t n);

#endif
