/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/gro.h"

#include "dataplane/packet.h"
#include "dataplane/port.h"

#include <netinet/in.h>
#include <string.h>

#define FLOWS 32 /* followed at once, a place a hash: of two that meet the later one goes on */

#define TCP_ENDS   (RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG)
#define TCP_ALONE  (RTE_TCP_SYN_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_URG_FLAG | RTE_TCP_CWR_FLAG)
#define FRAG_WORDS RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)

/** A packet, as far as merging looks. */
struct segment {
	struct rte_mbuf *m;
	uint8_t *ip, *l4;
	uint16_t l4_bytes; /* header and payload, by the IP length */
	uint16_t headers;  /* Ethernet to the end of L4 */
	uint16_t payload;
	uint8_t proto;
	bool v6;
	bool mergeable; /* it could begin, or go on */
};

/** Packets merged so far: the first, whose headers are still its own, and what the next must be. */
struct chain {
	struct segment first;
	struct rte_mbuf *last; /* buffer */
	uint32_t next_seq;
	uint32_t bytes; /* payload */
	uint16_t packets, buffers;
	uint8_t ends;  /* FIN and PSH, of any */
	bool verified; /* the first one's checksum */
};

enum found { OTHER, SEGMENT, UNCLEAR };

/** IPv4 without options, IPv6 without extension headers, with TCP or UDP; all headers in the first buffer.
 * @return UNCLEAR when it might belong to a flow but cannot be told to. */
static enum found find_l4(struct segment *s, uint32_t avail)
{
	const uint8_t *frame = s->ip - RTE_ETHER_HDR_LEN;
	uint32_t l3_len, len;
	uint16_t type;

	memcpy(&type, frame + 12, sizeof(type));
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4) &&
		avail >= RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr)) {
		const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)s->ip;

		if (ip->next_proto_id != IPPROTO_TCP && ip->next_proto_id != IPPROTO_UDP)
			return OTHER;
		if (ip->version_ihl != 0x45 || (ip->fragment_offset & FRAG_WORDS))
			return UNCLEAR;
		s->v6 = false;
		s->proto = ip->next_proto_id;
		l3_len = sizeof(*ip);
		len = rte_be_to_cpu_16(ip->total_length);
	} else if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6) &&
		   avail >= RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr)) {
		const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)s->ip;

		if (ip->proto == IPPROTO_ICMPV6)
			return OTHER;
		if (s->ip[0] >> 4 != 6 || (ip->proto != IPPROTO_TCP && ip->proto != IPPROTO_UDP))
			return UNCLEAR;
		s->v6 = true;
		s->proto = ip->proto;
		l3_len = sizeof(*ip);
		len = (uint32_t)sizeof(*ip) + rte_be_to_cpu_16(ip->payload_len);
	} else {
		return OTHER;
	}
	s->l4 = s->ip + l3_len;
	if (len + RTE_ETHER_HDR_LEN != rte_pktmbuf_pkt_len(s->m))
		return UNCLEAR;
	s->l4_bytes = (uint16_t)(len - l3_len);
	return SEGMENT;
}

/** @return SEGMENT with ports and lengths known, whether mergeable or not. */
static enum found segment_find(struct rte_mbuf *m, struct segment *s)
{
	const uint32_t avail = rte_pktmbuf_data_len(m);
	const uint64_t l4_kind = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	uint32_t header;
	enum found found;

	if (avail < RTE_ETHER_HDR_LEN)
		return OTHER;
	s->m = m;
	s->ip = rte_pktmbuf_mtod_offset(m, uint8_t *, RTE_ETHER_HDR_LEN);
	found = find_l4(s, avail);
	if (found != SEGMENT)
		return found;
	header = (uint32_t)(s->l4 - s->ip) + RTE_ETHER_HDR_LEN;
	s->mergeable = (m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)) == 0 &&
		       RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1;
	if (s->proto == IPPROTO_TCP) {
		const struct rte_tcp_hdr *tcp = (const struct rte_tcp_hdr *)s->l4;

		if (header + sizeof(*tcp) > avail)
			return UNCLEAR;
		header += (tcp->data_off >> 4) * 4u;
		if (tcp->data_off >> 4 < 5 || header > avail || header > rte_pktmbuf_pkt_len(m))
			return UNCLEAR;
		if ((tcp->tcp_flags & TCP_ALONE) || !(tcp->tcp_flags & RTE_TCP_ACK_FLAG) ||
			(l4_kind != 0 && l4_kind != RTE_MBUF_F_TX_TCP_CKSUM))
			s->mergeable = false;
	} else {
		const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)s->l4;

		if (header + sizeof(*udp) > avail)
			return UNCLEAR;
		header += (uint32_t)sizeof(*udp);
		if (rte_be_to_cpu_16(udp->dgram_len) != s->l4_bytes || udp->dgram_cksum == 0 ||
			(l4_kind != 0 && l4_kind != RTE_MBUF_F_TX_UDP_CKSUM))
			s->mergeable = false;
	}
	s->headers = (uint16_t)header;
	s->payload = (uint16_t)(rte_pktmbuf_pkt_len(m) - header);
	if (s->payload == 0)
		s->mergeable = false;
	return SEGMENT;
}

static inline uint32_t addresses_off(const struct segment *s)
{
	return s->v6 ? 8 : 12;
}

static inline unsigned flow_place(const struct segment *s)
{
	const uint8_t *a = s->ip + addresses_off(s),
		      *end = s->l4 + 4; /* addresses and ports lie side by side */
	uint32_t word, sum = 0;

	for (; a < end; a += sizeof(word)) {
		memcpy(&word, a, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b1u;
	}
	return sum >> 27;
}

static inline bool same_flow(const struct segment *a, const struct segment *b)
{
	return a->v6 == b->v6 && a->proto == b->proto &&
	       memcmp(a->ip + addresses_off(a), b->ip + addresses_off(b), a->v6 ? 36 : 12) == 0;
}

/** RFC 1071 over L4 and the pseudo header. */
static bool checksum_right(const struct segment *s)
{
	const uint32_t l3 = RTE_ETHER_HDR_LEN, l4 = (uint32_t)(s->l4 - s->ip) + l3;
	uint32_t sum;

	if ((s->m->ol_flags & RTE_MBUF_F_TX_L4_MASK) != 0 ||
		(s->m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		return true;
	sum = s->v6 ? rte_ipv6_phdr_cksum((const struct rte_ipv6_hdr *)s->ip, 0)
		    : rte_ipv4_phdr_cksum((const struct rte_ipv4_hdr *)s->ip, 0);
	return pkt_checksum(s->m, l4, rte_pktmbuf_pkt_len(s->m) - l4, sum) == 0xffff;
}

/** What must be equal in IP headers of one family, and the identification the n-th packet after the first has. */
static inline bool ip_goes_on(const struct segment *first, const struct segment *s, uint16_t n)
{
	if (s->v6) /* version, traffic class, flow label; hop limit */
		return memcmp(first->ip, s->ip, 4) == 0 && first->ip[7] == s->ip[7];
	if (first->ip[1] != s->ip[1] || first->ip[8] != s->ip[8] || first->ip[6] != s->ip[6])
		return false;
	return (s->ip[6] & 0x40) != 0 ||
	       (uint16_t)((first->ip[4] << 8 | first->ip[5]) + n) == (s->ip[4] << 8 | s->ip[5]);
}

static inline bool tcp_goes_on(const struct chain *c, const struct segment *s)
{
	const struct rte_tcp_hdr *a = (const struct rte_tcp_hdr *)c->first.l4,
				 *b = (const struct rte_tcp_hdr *)s->l4;

	return rte_be_to_cpu_32(b->sent_seq) == c->next_seq && a->recv_ack == b->recv_ack &&
	       a->data_off == b->data_off &&
	       ((a->tcp_flags ^ b->tcp_flags) & (uint8_t)~TCP_ENDS) == 0 &&
	       memcmp(a + 1, b + 1, (b->data_off >> 4) * 4u - sizeof(*b)) == 0;
}

/** May s, which is of the chain's flow, be its next? */
static bool goes_on(struct chain *c, const struct segment *s)
{
	const struct segment *first = &c->first;

	if (!s->mergeable || s->payload > first->payload || c->packets >= GRO_SEGMENTS_MAX ||
		c->buffers + s->m->nb_segs > GRO_SEGMENTS_MAX ||
		(uint32_t)(first->headers - RTE_ETHER_HDR_LEN) + c->bytes + s->payload >
			UINT16_MAX ||
		!ip_goes_on(first, s, c->packets) ||
		(s->proto == IPPROTO_TCP && !tcp_goes_on(c, s)))
		return false;
	if (!c->verified && !checksum_right(first))
		return false;
	c->verified = true;
	return checksum_right(s);
}

static void chain_begin(struct chain *c, const struct segment *s)
{
	c->first = *s;
	c->last = rte_pktmbuf_lastseg(s->m);
	c->bytes = s->payload;
	c->packets = 1;
	c->buffers = s->m->nb_segs;
	c->verified = false;
	c->ends = 0;
	if (s->proto == IPPROTO_TCP)
		c->next_seq = rte_be_to_cpu_32(((const struct rte_tcp_hdr *)s->l4)->sent_seq) +
			      s->payload;
}

static void chain_append(struct chain *c, const struct segment *s)
{
	if (s->proto == IPPROTO_TCP)
		c->ends |= ((const struct rte_tcp_hdr *)s->l4)->tcp_flags & TCP_ENDS;
	rte_pktmbuf_adj(s->m, s->headers);
	c->last->next = s->m;
	c->last = rte_pktmbuf_lastseg(s->m);
	c->buffers = (uint16_t)(c->buffers + s->m->nb_segs);
	c->bytes += s->payload;
	c->next_seq += s->payload;
	c->packets++;
}

/** Does s let nothing follow? */
static inline bool ends_chain(const struct chain *c, const struct segment *s)
{
	return s->payload < c->first.payload ||
	       (s->proto == IPPROTO_TCP &&
		       (((const struct rte_tcp_hdr *)s->l4)->tcp_flags & TCP_ENDS) != 0);
}

/** Make one packet of a chain: lengths, flags, checksums, offload words. */
static void chain_finish(struct chain *c)
{
	struct segment *s = &c->first;
	struct rte_mbuf *m = s->m;
	const uint16_t l3_len = (uint16_t)(s->l4 - s->ip);
	const uint16_t l4_bytes = (uint16_t)(s->headers - RTE_ETHER_HDR_LEN - l3_len + c->bytes);
	uint16_t sum;

	if (c->packets == 1)
		return;
	m->nb_segs = c->buffers;
	m->pkt_len = s->headers + c->bytes;
	m->l2_len = RTE_ETHER_HDR_LEN;
	m->l3_len = l3_len & 0x1ffu;
	m->l4_len = (s->headers - RTE_ETHER_HDR_LEN - l3_len) & 0xffu;
	m->tso_segsz = s->payload;
	m->ol_flags &= ~(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_TX_L4_MASK);
	m->ol_flags |= s->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	if (s->v6) {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)s->ip;

		ip->payload_len = rte_cpu_to_be_16(l4_bytes);
		sum = rte_ipv6_phdr_cksum(ip, 0);
	} else {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)s->ip;

		ip->total_length = rte_cpu_to_be_16((uint16_t)(l3_len + l4_bytes));
		ip->hdr_checksum = 0;
		ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, sizeof(*ip));
		sum = rte_ipv4_phdr_cksum(ip, 0);
	}
	if (s->proto == IPPROTO_TCP) {
		struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)s->l4;

		tcp->tcp_flags |= c->ends;
		tcp->cksum = sum;
		m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG;
	} else {
		struct rte_udp_hdr *udp = (struct rte_udp_hdr *)s->l4;

		udp->dgram_len = rte_cpu_to_be_16(l4_bytes);
		udp->dgram_cksum = sum;
		m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_UDP_SEG;
	}
}

/** The chains of one call, by place. */
struct chains {
	uint32_t open; /* a bit a place */
	struct chain at[FLOWS];
};
static_assert(FLOWS <= 32, "a bit a place");

static void chains_close(struct chains *all, unsigned place)
{
	all->open &= ~(1u << place);
	chain_finish(&all->at[place]);
}

static void chains_close_all(struct chains *all)
{
	while (all->open != 0)
		chains_close(all, (unsigned)__builtin_ctz(all->open));
}

/** @return whether s has become part of an earlier packet. */
static bool take(struct chains *all, const struct segment *s, uint64_t *saved)
{
	const unsigned place = flow_place(s);
	struct chain *c = &all->at[place];

	if (all->open & 1u << place) {
		if (same_flow(&c->first, s) && goes_on(c, s)) {
			const bool ends = ends_chain(c, s);

			chain_append(c, s);
			*saved += s->headers;
			if (ends)
				chains_close(all, place);
			return true;
		}
		chains_close(all, place);
	}
	if (s->mergeable && !(s->proto == IPPROTO_TCP &&
				    (((const struct rte_tcp_hdr *)s->l4)->tcp_flags & TCP_ENDS))) {
		chain_begin(c, s);
		all->open |= 1u << place;
	}
	return false;
}

uint16_t gro_merge(struct rte_mbuf **pkts, uint16_t n, unsigned offloads, uint64_t *saved)
{
	struct chains all;
	uint16_t left = 0;

	all.open = 0;
	*saved = 0;
	for (uint16_t i = 0; i < n; i++) {
		struct segment s;
		enum found found = segment_find(pkts[i], &s);

		if (found == SEGMENT &&
			(offloads & (s.proto == IPPROTO_TCP ? PORT_TX_TSO : PORT_TX_USO))) {
			if (take(&all, &s, saved))
				continue;
		} else if (found == UNCLEAR) {
			chains_close_all(&all);
		}
		pkts[left++] = pkts[i];
	}
	chains_close_all(&all);
	return left;
}
