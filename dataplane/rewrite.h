/* SPDX-License-Identifier: Apache-2.0 */
/** Prepend an adjacency's header to a packet and patch what differs a packet: lengths, TOS, DF,
 * source port, flow label, checksums, and the ethertype or protocol that names the packet's family,
 * so that one adjacency carries both. Worker threads; pure but for the packet. Formats: RFC 7348
 * (VXLAN), RFC 2003 / 2473 / 4213 (IP in IP), RFC 6040 (ECN), RFC 6935 (zero UDP checksum over
 * IPv6), RFC 6438 (flow label).
 *
 * What a template must be, for those who build one:
 * - ADJ_REWRITE: an Ethernet header. Its ethertype is written here.
 * - ADJ_TUNNEL with ADJ_UDP: ends with an inner Ethernet header, whose ethertype is written here.
 * - ADJ_TUNNEL without ADJ_UDP: ends with the outer IP header, whose protocol (next header) is zero
 *   and written here.
 * - Outer IPv4: length, TOS, identification and checksum zero; fragment_offset is DF or zero.
 *   outer_sum is ip_header_sum of the header with fragment_offset taken as zero.
 * - Outer IPv6: payload length zero; the first word is written here.
 */
#ifndef DATAPLANE_REWRITE_H
#define DATAPLANE_REWRITE_H

#include "dataplane/adjacency.h"
#include "dataplane/packet.h"

#include <netinet/in.h>
#include <string.h>

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

/** Unfolded sum of the 16-bit words of an option-less IPv4 header, in memory order. */
static inline uint32_t ip_header_sum(const struct rte_ipv4_hdr *ip)
{
	const uint8_t *h = (const uint8_t *)ip;
	uint32_t sum = 0;
	uint16_t word;

	for (unsigned i = 0; i < sizeof(*ip); i += 2) {
		memcpy(&word, h + i, 2);
		sum += word;
	}
	return sum;
}

/** What the headers before a packet take from it. */
struct rewrite_inner {
	uint64_t hash; /* of its flow key */
	uint16_t len;  /* of the IP packet, bytes */
	uint8_t tos;
	bool v6, df;
};

static __rte_always_inline void rewrite_copy(uint8_t *to, const uint8_t *from, uint8_t len)
{
	/* Constant lengths become a few vector moves: VXLAN and IP-in-IP over either family. */
	if (likely(len == 64))
		memcpy(to, from, 64);
	else if (len == 84)
		memcpy(to, from, 84);
	else if (len == 34)
		memcpy(to, from, 34);
	else if (len == 54)
		memcpy(to, from, 54);
	else
		memcpy(to, from, len);
}

static inline void rewrite_outer4(struct rte_ipv4_hdr *ip, const struct adjacency *adj,
	const struct rewrite_inner *p, uint16_t outer_len, uint16_t outer_id, uint8_t proto)
{
	const uint16_t df = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG);
	uint16_t len = rte_cpu_to_be_16(outer_len);
	uint16_t frag = ip->fragment_offset;
	uint8_t tos = adj->flags & ADJ_ECN ? p->tos : 0;

	if ((adj->flags & ADJ_COPY_DF) && p->df)
		frag |= df;
	if (proto != 0)
		ip->next_proto_id = proto;
	ip->type_of_service = tos;
	ip->total_length = len;
	ip->fragment_offset = frag;
	ip->packet_id = frag & df ? 0 : outer_id; /* RFC 6864: atomic datagrams need none */
	ip->hdr_checksum = ip_sum_fold(adj->outer_sum + len + rte_cpu_to_be_16(tos) + frag +
				       ip->packet_id + rte_cpu_to_be_16(proto));
}

static inline void rewrite_outer6(struct rte_ipv6_hdr *ip, const struct adjacency *adj,
	const struct rewrite_inner *p, uint16_t outer_len, uint8_t proto)
{
	uint8_t tos = adj->flags & ADJ_ECN ? p->tos : 0;

	/* The label comes from the half of the hash that travels with punted packets, so that a
	 * flow keeps it. */
	ip->vtc_flow = rte_cpu_to_be_32(
		0x60000000u | (uint32_t)tos << 20 | (uint32_t)(p->hash >> 32 & 0xfffffu));
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(outer_len - sizeof(*ip)));
	if (proto != 0)
		ip->proto = proto;
}

static inline void rewrite_udp(
	uint8_t *h, const struct adjacency *adj, const struct rewrite_inner *p, uint16_t outer_len)
{
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(h + adj->outer_udp_off);

	udp->src_port = tunnel_source_port(p->hash);
	udp->dgram_len =
		rte_cpu_to_be_16((uint16_t)(outer_len - (adj->outer_udp_off - adj->outer_ip_off)));
}

/** After everything else: the sum covers the whole datagram. */
static __rte_noinline void rewrite_udp_checksum(
	struct rte_mbuf *m, const struct adjacency *adj, uint16_t outer_len)
{
	const uint16_t len = (uint16_t)(outer_len - (adj->outer_udp_off - adj->outer_ip_off));
	uint8_t *h = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(h + adj->outer_udp_off);
	const void *ip = h + adj->outer_ip_off;
	uint16_t pseudo, sum;

	udp->dgram_cksum = 0;
	pseudo = adj->flags & ADJ_OUTER_V4 ? rte_ipv4_phdr_cksum(ip, 0) : rte_ipv6_phdr_cksum(ip, 0);
	sum = (uint16_t)~pkt_checksum(m, adj->outer_udp_off, len, pseudo);
	udp->dgram_cksum = sum == 0 ? 0xffff : sum;
}

static __rte_always_inline uint16_t rewrite_type(bool v6)
{
	return v6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6) : RTE_BE16(RTE_ETHER_TYPE_IPV4);
}

/** ADJ_REWRITE: write the Ethernet header in front of an IP header. */
static __rte_always_inline void rewrite_ether(uint8_t *ip, const struct adjacency *adj, bool v6)
{
	const uint16_t type = rewrite_type(v6);

	memcpy(ip - RTE_ETHER_HDR_LEN, adj->header, RTE_ETHER_HDR_LEN);
	memcpy(ip - sizeof(type), &type, sizeof(type));
}

/** ADJ_TUNNEL: write all headers in front of the IP header of a packet; all but an outer UDP checksum. With adj->mtu
 * respected the outer length fits 16 bits. outer_id is the IPv4 identification for packets that may be fragmented. */
static __rte_always_inline void rewrite_tunnel(
	uint8_t *ip, const struct adjacency *adj, const struct rewrite_inner *p, uint16_t outer_id)
{
	const uint16_t type = rewrite_type(p->v6), outer_len = (uint16_t)(p->len + adj->outer_len);
	uint8_t *h = ip - adj->header_len, proto = 0;

	rewrite_copy(h, adj->header, adj->header_len);
	if (likely(adj->flags & ADJ_UDP)) {
		memcpy(ip - sizeof(type), &type, sizeof(type));
		rewrite_udp(h, adj, p, outer_len);
	} else {
		proto = p->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	}
	if (likely(adj->flags & ADJ_OUTER_V4))
		rewrite_outer4((struct rte_ipv4_hdr *)(h + RTE_ETHER_HDR_LEN), adj, p, outer_len, outer_id, proto);
	else
		rewrite_outer6((struct rte_ipv6_hdr *)(h + RTE_ETHER_HDR_LEN), adj, p, outer_len, proto);
}

/** Prepend adj->header to a packet that starts at its IP header and has `ip_len` bytes: rewrite_ether or rewrite_tunnel,
 * and the UDP checksum.
 * @return false when there is no headroom (DROP_no_buffer). */
static inline bool rewrite_prepend(struct rte_mbuf *m, const struct adjacency *adj,
	const struct pkt *p, uint16_t ip_len, uint16_t outer_id)
{
	const struct rewrite_inner inner = { .hash = p->hash, .len = ip_len, .tos = p->tos,
		.v6 = p->flags & PKT_V6, .df = p->flags & PKT_DF };
	uint8_t *h = (uint8_t *)rte_pktmbuf_prepend(m, adj->header_len);

	if (unlikely(h == NULL))
		return false;
	if (adj->type == ADJ_REWRITE)
		rewrite_ether(h + adj->header_len, adj, inner.v6);
	else
		rewrite_tunnel(h + adj->header_len, adj, &inner, outer_id);
	if (unlikely(adj->flags & ADJ_UDP_CHECKSUM))
		rewrite_udp_checksum(m, adj, (uint16_t)(ip_len + adj->outer_len));
	return true;
}

#endif
