/* SPDX-License-Identifier: Apache-2.0 */
/** What a NIC finishes inside a tunnel: which offloads of a port hold for a packet on its way through an adjacency, and the
 * words that say so (rte_mbuf_core.h: RTE_MBUF_F_TX_TUNNEL_*, outer_l2_len, outer_l3_len).
 *
 * Worker threads; functions of the packet. Only for packets that ask for something: others leave as they are.
 */
#ifndef DATAPLANE_TUNNEL_OFFLOAD_H
#define DATAPLANE_TUNNEL_OFFLOAD_H

#include "dataplane/adjacency.h"
#include "dataplane/offload.h"
#include "dataplane/port.h"

#include <rte_ether.h>
#include <rte_ip.h>

#define VXLAN_OFFLOAD_SHIFT 4
#define IPIP_OFFLOAD_SHIFT  6
static_assert(PORT_TX_VXLAN_CSUM == PORT_TX_CSUM << VXLAN_OFFLOAD_SHIFT &&
		      PORT_TX_VXLAN_TSO == PORT_TX_TSO << VXLAN_OFFLOAD_SHIFT,
	"a shift makes one of the other");
static_assert(PORT_TX_IPIP_CSUM == PORT_TX_CSUM << IPIP_OFFLOAD_SHIFT &&
		      PORT_TX_IPIP_TSO == PORT_TX_TSO << IPIP_OFFLOAD_SHIFT,
	"a shift makes one of the other");

/** What the tunnels of one adjacency may leave to the port, as PORT_TX_CSUM and PORT_TX_TSO. */
static inline uint16_t tunnel_offload_of(uint16_t offloads, const struct adjacency *adj)
{
	/* The outer sum covers the inner one: who computes that computes both. */
	if ((adj->flags & ADJ_UDP_CHECKSUM) && !(offloads & PORT_TX_OUTER_UDP_CSUM))
		return 0;
	return offloads >> (adj->flags & ADJ_UDP ? VXLAN_OFFLOAD_SHIFT : IPIP_OFFLOAD_SHIFT) &
	       (PORT_TX_CSUM | PORT_TX_TSO);
}

/** Would a NIC do right with this? Its own answers to words that contradict the packet are many, up to stopping its queue. */
static inline bool offload_fits_nic(const struct rte_mbuf *m, const struct port_large *large)
{
	if ((m->ol_flags & RTE_MBUF_F_TX_IPV6) && m->l3_len != sizeof(struct rte_ipv6_hdr))
		return false; /* drivers take the protocol from the IPv6 header */
	if (m->nb_segs > large->buffers_max)
		return false;
	if (m->ol_flags & OFFLOAD_LARGE)
		return m->tso_segsz >= large->segment_min && offload_segment_count(m) > 0;
	return offload_sound(m);
}

/** What of enum port_offload holds for m, an IP packet of ip_len bytes (behind m->l2_len) with offload words, on its way
 * through adj to port. Tunnels: PORT_TX_CSUM and PORT_TX_TSO at most. */
static inline uint16_t tunnel_offload_through(const struct port *port, const struct adjacency *adj,
	const struct rte_mbuf *m, uint32_t ip_len)
{
	const struct port_large *large = &port->large;
	uint16_t offloads = port->offloads;

	if (adj->type == ADJ_TUNNEL)
		/* The outer length is 16 bits wide, for the whole packet too. */
		offloads = ip_len + adj->outer_len <= UINT16_MAX ? tunnel_offload_of(offloads, adj)
								 : 0;
	else if (adj->type != ADJ_REWRITE)
		return 0;
	return large->buffers_max == 0 || offload_fits_nic(m, large) ? offloads : 0;
}

/** Before the header of adj is written in front of m, which starts at its IP header: say where the headers will be. l3_len,
 * l4_len and what is asked for are there already; a packet that asks for nothing stays so. */
static inline void tunnel_offload_ask(struct rte_mbuf *m, const struct adjacency *adj)
{
	const bool v6 = adj->flags & ADJ_OUTER_V6;

	if (adj->type != ADJ_TUNNEL || !(m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | OFFLOAD_LARGE))) {
		m->l2_len = adj->header_len & 0x7fu;
		return;
	}
	m->outer_l2_len = RTE_ETHER_HDR_LEN;
	m->outer_l3_len = v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	/* All from the outer IP header's end: UDP, VXLAN and Ethernet, or nothing. */
	m->l2_len = (adj->header_len - m->outer_l2_len - m->outer_l3_len) & 0x7fu;
	m->ol_flags |=
		adj->flags & ADJ_UDP ? RTE_MBUF_F_TX_TUNNEL_VXLAN : RTE_MBUF_F_TX_TUNNEL_IPIP;
	m->ol_flags |= v6 ? RTE_MBUF_F_TX_OUTER_IPV6
			  : RTE_MBUF_F_TX_OUTER_IPV4 | RTE_MBUF_F_TX_OUTER_IP_CKSUM;
	if (adj->flags & ADJ_UDP_CHECKSUM)
		m->ol_flags |= RTE_MBUF_F_TX_OUTER_UDP_CKSUM;
}

/** Everything that tunnel_offload_ask may have set. */
#define TUNNEL_OFFLOAD_FLAGS                                                               \
	(RTE_MBUF_F_TX_TUNNEL_MASK | RTE_MBUF_F_TX_OUTER_IPV4 | RTE_MBUF_F_TX_OUTER_IPV6 | \
		RTE_MBUF_F_TX_OUTER_IP_CKSUM | RTE_MBUF_F_TX_OUTER_UDP_CKSUM)

#endif
