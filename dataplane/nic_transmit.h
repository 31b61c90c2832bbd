/* SPDX-License-Identifier: Apache-2.0 */
/** The last step before a packet with offload words (port.h) is a NIC's: headers as ethdev wants them.
 *
 * Worker threads; control for probes. One packet.
 */
#ifndef DATAPLANE_NIC_TRANSMIT_H
#define DATAPLANE_NIC_TRANSMIT_H

#include "dataplane/nic_offloads.h"
#include "dataplane/offload.h"
#include "dataplane/tunnel_offload.h"

#include <rte_ethdev.h>
#include <rte_net.h>

#define NIC_TRANSMIT_FLAGS                                                      \
	(RTE_MBUF_F_TX_L4_MASK | OFFLOAD_LARGE | RTE_MBUF_F_TX_OUTER_IP_CKSUM | \
		RTE_MBUF_F_TX_OUTER_UDP_CKSUM | RTE_MBUF_F_TX_VLAN)

/** The offload that the packet cannot do without; NIC_OFFLOADS: it asks for nothing. */
static inline enum nic_offload nic_transmit_needs(const struct rte_mbuf *m)
{
	const bool large = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
	const uint64_t tunnel = m->ol_flags & RTE_MBUF_F_TX_TUNNEL_MASK;

	if (!(m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | OFFLOAD_LARGE)))
		return NIC_OFFLOADS;
	if (m->ol_flags & RTE_MBUF_F_TX_OUTER_UDP_CKSUM)
		return NIC_OUTER_UDP_CSUM;
	if (tunnel == 0)
		return large ? NIC_TX_TSO : NIC_TX_CSUM;
	if (tunnel == RTE_MBUF_F_TX_TUNNEL_VXLAN)
		return large ? NIC_VXLAN_TSO : NIC_VXLAN_CSUM;
	return large ? NIC_IPIP_TSO : NIC_IPIP_CSUM;
}

/** @param ipv4_checksum  of struct nic_offloads
 * @return false when the device's driver would not take it: never send it. */
static inline bool nic_transmit_prepare(
	uint16_t ethdev, uint16_t queue, struct rte_mbuf **pkt, bool ipv4_checksum)
{
	struct rte_mbuf *m = *pkt;

	if (likely(!(m->ol_flags & NIC_TRANSMIT_FLAGS)))
		return true;
	/* ethdev wants both said: each IPv4 header of a cut segment needs its own checksum. Drivers whose device knows no such
	 * word, since it goes without saying (vmxnet3), do not take it. */
	if (ipv4_checksum && (m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4)) ==
				     (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4))
		m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	/* Sums that the NIC fills are zero, those of segments start without a length: the contract of ethdev for drivers that
	 * have nothing to prepare. Those that have want the same, or do it over again. */
	return rte_net_intel_cksum_prepare(m) == 0 &&
	       rte_eth_tx_prepare(ethdev, queue, pkt, 1) == 1;
}

#endif
