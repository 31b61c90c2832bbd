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
#include <rte_memcpy.h>
#include <string.h>

/* Outer source ports come from the dynamic range, RFC 7348 section 5 (RFC 6335: 49152-65535). */
static __rte_always_inline uint16_t tunnel_source_port(uint64_t hash)
{
	return rte_cpu_to_be_16((uint16_t)(0xc000u | (uint16_t)((hash >> 48) & 0x3fffu)));
}

static __rte_always_inline uint16_t ip_sum_fold(uint32_t sum)
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

static __rte_always_inline void rewrite_outer4(uint8_t *ip, const struct adjacency *adj,
	const struct rewrite_inner *p, uint16_t outer_len, uint16_t outer_id, uint8_t proto)
{
	const uint16_t df = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	const struct rte_ipv4_hdr *template =
		(const struct rte_ipv4_hdr *)(adj->header + RTE_ETHER_HDR_LEN);
	const uint8_t tos = adj->flags & ADJ_ECN ? p->tos : 0;
	struct rte_ipv4_hdr *outer = (struct rte_ipv4_hdr *)ip;
	uint16_t frag = template->fragment_offset, len = rte_cpu_to_be_16(outer_len);
	/* In network order, so that packets of a burst count up as a segmented one's do (udp_merge.h). */
	uint16_t id = rte_cpu_to_be_16(outer_id);

	if ((adj->flags & ADJ_COPY_DF) && p->df)
		frag |= df;
	if (frag & df) /* RFC 6864: atomic datagrams need no identification */
		id = 0;
	if (proto != 0)
		outer->next_proto_id = proto;
	outer->type_of_service = tos;
	outer->total_length = len;
	outer->fragment_offset = frag;
	outer->packet_id = id;
	outer->hdr_checksum = ip_sum_fold(
		adj->outer_sum + len + rte_cpu_to_be_16(tos) + frag + id + rte_cpu_to_be_16(proto));
}

static __rte_always_inline void rewrite_outer6(struct rte_ipv6_hdr *ip, const struct adjacency *adj,
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

static __rte_always_inline void rewrite_udp(
	uint8_t *h, const struct rewrite_inner *p, uint16_t udp_len)
{
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)h;

	udp->src_port = tunnel_source_port(p->hash);
	udp->dgram_len = rte_cpu_to_be_16(udp_len);
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

	if (m->ol_flags & RTE_MBUF_F_TX_OUTER_UDP_CKSUM)
		return; /* what is inside is unfinished: the NIC's (nic_transmit.h) */
	udp->dgram_cksum = 0;
	pseudo =
		adj->flags & ADJ_OUTER_V4 ? rte_ipv4_phdr_cksum(ip, 0) : rte_ipv6_phdr_cksum(ip, 0);
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

/** memcpy that stays a few vector moves when the length is a constant. */
static __rte_always_inline void rewrite_copy(uint8_t *to, const uint8_t *from, uint8_t len)
{
	uint8_t done = 0;

	if (len >= 64) {
		rte_mov64(to, from);
		done = 64;
	} else if (len >= 32) {
		rte_mov32(to, from);
		done = 32;
	}
	if (len - done >= 16) {
		rte_mov16(to + done, from + done);
		done = (uint8_t)(done + 16);
	}
	memcpy(to + done, from + done, (size_t)(len - done));
}

/** The headers of one shape: with constants at the call, copying is a few moves and every field has its place. */
static __rte_always_inline void rewrite_tunnel_shape(uint8_t *ip, const struct adjacency *adj,
	const struct rewrite_inner *p, uint16_t outer_id, bool udp, bool outer_v4,
	uint8_t header_len)
{
	const uint16_t type = rewrite_type(p->v6);
	const uint16_t outer_len = (uint16_t)(p->len + header_len - RTE_ETHER_HDR_LEN);
	const uint16_t l3_len =
		outer_v4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	const uint8_t proto = udp ? 0 : p->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	uint8_t *h = ip - header_len, *outer = h + RTE_ETHER_HDR_LEN;

	rewrite_copy(h, adj->header, header_len);
	if (udp) {
		memcpy(ip - sizeof(type), &type, sizeof(type));
		rewrite_udp(outer + l3_len, p, (uint16_t)(outer_len - l3_len));
	}
	if (outer_v4)
		rewrite_outer4(outer, adj, p, outer_len, outer_id, proto);
	else
		rewrite_outer6((struct rte_ipv6_hdr *)outer, adj, p, outer_len, proto);
}

/** ADJ_TUNNEL: write all headers in front of the IP header of a packet; all but an outer UDP checksum. With adj->mtu
 * respected the outer length fits 16 bits. outer_id is the IPv4 identification for packets that may be fragmented. */
static __rte_always_inline void rewrite_tunnel(
	uint8_t *ip, const struct adjacency *adj, const struct rewrite_inner *p, uint16_t outer_id)
{
	const bool udp = adj->flags & ADJ_UDP, outer_v4 = adj->flags & ADJ_OUTER_V4;

	/* Ethernet, outer IP, UDP, VXLAN, Ethernet; or Ethernet and outer IP. */
	if (likely(udp && outer_v4 && adj->header_len == 64))
		rewrite_tunnel_shape(ip, adj, p, outer_id, true, true, 64);
	else if (!udp && outer_v4 && adj->header_len == 34)
		rewrite_tunnel_shape(ip, adj, p, outer_id, false, true, 34);
	else if (udp && adj->header_len == 84)
		rewrite_tunnel_shape(ip, adj, p, outer_id, true, false, 84);
	else
		rewrite_tunnel_shape(ip, adj, p, outer_id, udp, outer_v4, adj->header_len);
}

/** Prepend adj->header to a packet that starts at its IP header and has `ip_len` bytes: rewrite_ether or rewrite_tunnel,
 * and the UDP checksum.
 * @return false when there is no headroom (DROP_no_buffer). */
static inline bool rewrite_prepend(struct rte_mbuf *m, const struct adjacency *adj,
	const struct pkt *p, uint16_t ip_len, uint16_t outer_id)
{
	const struct rewrite_inner inner = { .hash = p->hash,
		.len = ip_len,
		.tos = p->tos,
		.v6 = p->flags & PKT_V6,
		.df = p->flags & PKT_DF };
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
