/* SPDX-License-Identifier: Apache-2.0 */
/** Prepend an adjacency's header to a packet and patch what differs a packet: lengths, TOS, DF, source port, checksums.
 * Worker threads; pure but for the packet. Formats: RFC 7348 (VXLAN), RFC 2003 / 2473 / 4213 (IP in IP), RFC 6040 (ECN),
 * RFC 6935 (zero UDP checksum over IPv6).
 */
#ifndef DATAPLANE_REWRITE_H
#define DATAPLANE_REWRITE_H

#include "dataplane/adjacency.h"
#include "dataplane/packet.h"

#include <rte_memcpy.h>

/* Outer source ports come from the dynamic range, RFC 7348 section 5 (RFC 6335: 49152-65535). */
static inline uint16_t tunnel_source_port(uint64_t hash)
{
	return rte_cpu_to_be_16((uint16_t)(0xc000u | (uint16_t)((hash >> 48) & 0x3fffu)));
}

static inline uint16_t ip_sum_fold(uint32_t sum)
{
	sum = (sum & 0xffffu) + (sum >> 16);
	sum += sum >> 16;
	return (uint16_t)~sum;
}

/** The packet starts at its IP header, `ip_len` bytes. @return false when there is no headroom (DROP_no_buffer).
 * `outer_id` is the IPv4 identification for packets that may be fragmented on the way. */
static inline bool rewrite_prepend(struct rte_mbuf *m, const struct adjacency *adj, const struct pkt *p,
	uint16_t ip_len, uint16_t outer_id)
{
	uint8_t *h = (uint8_t *)rte_pktmbuf_prepend(m, adj->header_len);
	uint16_t outer_len = (uint16_t)(ip_len + adj->outer_len);

	if (unlikely(h == NULL))
		return false;
	rte_memcpy(h, adj->header, adj->header_len);
	if (adj->type == ADJ_REWRITE)
		return true;
	if (adj->flags & ADJ_OUTER_V4) {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(h + adj->outer_ip_off);
		uint16_t len = rte_cpu_to_be_16(outer_len);
		uint16_t frag = ip->fragment_offset;
		uint8_t tos = adj->flags & ADJ_ECN ? p->tos : 0;

		if ((adj->flags & ADJ_COPY_DF) && (p->flags & PKT_DF))
			frag |= rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG);
		ip->type_of_service = tos;
		ip->total_length = len;
		ip->fragment_offset = frag;
		ip->packet_id = frag & rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG) ? 0 : outer_id;
		ip->hdr_checksum = ip_sum_fold(adj->outer_sum + len + rte_cpu_to_be_16(tos) + ip->packet_id +
			(uint32_t)(frag != ((const struct rte_ipv4_hdr *)(adj->header + adj->outer_ip_off))
						   ->fragment_offset ? rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG) : 0));
	} else {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(h + adj->outer_ip_off);

		ip->payload_len = rte_cpu_to_be_16((uint16_t)(outer_len - sizeof(*ip)));
		if (adj->flags & ADJ_ECN)
			ip->vtc_flow = rte_cpu_to_be_32(0x60000000u | (uint32_t)p->tos << 20 |
				(uint32_t)(p->hash & 0xfffffu)); /* flow label: RFC 6438 */
	}
	if (adj->flags & ADJ_UDP) {
		struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(h + adj->outer_udp_off);

		udp->src_port = tunnel_source_port(p->hash);
		udp->dgram_len = rte_cpu_to_be_16(
			(uint16_t)(outer_len - (adj->outer_udp_off - adj->outer_ip_off)));
		if (unlikely(adj->flags & ADJ_UDP_CHECKSUM)) {
			const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)(h + adj->outer_ip_off);
			uint16_t sum;

			udp->dgram_cksum = 0;
			sum = (uint16_t)~pkt_checksum(m, adj->outer_udp_off, rte_be_to_cpu_16(udp->dgram_len),
				rte_ipv6_phdr_cksum(ip, 0));
			udp->dgram_cksum = sum == 0 ? 0xffff : sum;
		}
	}
	return true;
}

#endif
