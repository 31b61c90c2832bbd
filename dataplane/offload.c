/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/offload.h"

#include "dataplane/packet.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <stddef.h>
#include <string.h>

#define ALL_TX_FLAGS                                                                           \
	(RTE_MBUF_F_TX_L4_MASK | OFFLOAD_LARGE | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4 | \
		RTE_MBUF_F_TX_IPV6)

/** Where the parts of a packet are, checked against its bytes. */
struct layout {
	uint32_t l3, l4;   /* offsets in the packet */
	uint32_t l4_bytes; /* L4 header and payload, from the IP length */
	bool v6;
};

/** The offload words against the IP header. @return false when they contradict each other or the
 * buffer. */
static bool layout_of(const struct rte_mbuf *m, uint32_t l4_header, struct layout *out)
{
	uint32_t l3 = m->l2_len, l4 = l3 + m->l3_len, total;

	if (l4 + l4_header > rte_pktmbuf_data_len(m))
		return false;
	if (m->ol_flags & RTE_MBUF_F_TX_IPV6) {
		const struct rte_ipv6_hdr *ip =
			rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, l3);

		if (m->l3_len < sizeof(*ip) || *(const uint8_t *)ip >> 4 != 6)
			return false;
		total = sizeof(*ip) + rte_be_to_cpu_16(ip->payload_len);
		out->v6 = true;
	} else {
		const struct rte_ipv4_hdr *ip =
			rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, l3);

		if (m->l3_len < sizeof(*ip) || (ip->version_ihl >> 4) != 4 ||
			rte_ipv4_hdr_len(ip) != m->l3_len)
			return false;
		total = rte_be_to_cpu_16(ip->total_length);
		out->v6 = false;
	}
	if (total < m->l3_len + l4_header || l3 + total > rte_pktmbuf_pkt_len(m))
		return false;
	out->l3 = l3;
	out->l4 = l4;
	out->l4_bytes = total - m->l3_len;
	return true;
}

bool offload_complete_checksum(struct rte_mbuf *m)
{
	uint64_t kind = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	struct layout at;
	void *field; /* at an odd address when l2_len is */
	uint16_t sum;

	if (m->ol_flags & RTE_MBUF_F_TX_UDP_SEG)
		kind = RTE_MBUF_F_TX_UDP_CKSUM;
	else if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		kind = RTE_MBUF_F_TX_TCP_CKSUM;
	if (kind == 0)
		return true;
	if (kind == RTE_MBUF_F_TX_TCP_CKSUM) {
		if (!layout_of(m, sizeof(struct rte_tcp_hdr), &at))
			return false;
		field = rte_pktmbuf_mtod_offset(
			m, void *, at.l4 + offsetof(struct rte_tcp_hdr, cksum));
	} else if (kind == RTE_MBUF_F_TX_UDP_CKSUM) {
		if (!layout_of(m, sizeof(struct rte_udp_hdr), &at))
			return false;
		field = rte_pktmbuf_mtod_offset(
			m, void *, at.l4 + offsetof(struct rte_udp_hdr, dgram_cksum));
	} else {
		return false;
	}
	sum = (uint16_t)~pkt_checksum(m, at.l4, at.l4_bytes, 0);
	if (sum == 0 && kind == RTE_MBUF_F_TX_UDP_CKSUM)
		sum = 0xffff;
	memcpy(field, &sum, sizeof(sum));
	m->ol_flags &= ~(RTE_MBUF_F_TX_L4_MASK | OFFLOAD_LARGE);
	return true;
}

bool offload_checksum_at(struct rte_mbuf *m, uint32_t start, uint32_t offset)
{
	uint16_t sum;

	if (start + offset + sizeof(sum) > rte_pktmbuf_data_len(m))
		return false;
	sum = (uint16_t)~pkt_checksum(m, start, rte_pktmbuf_pkt_len(m) - start, 0);
	if (sum == 0)
		sum = 0xffff; /* equal in ones-complement arithmetic, and UDP needs it */
	memcpy(rte_pktmbuf_mtod_offset(m, void *, start + offset), &sum, sizeof(sum));
	return true;
}

/** layout_of for large packets, with the L4 header checked too. */
static bool segment_layout(const struct rte_mbuf *m, struct layout *at)
{
	const struct rte_tcp_hdr *tcp;

	if (!(m->ol_flags & OFFLOAD_LARGE) || m->tso_segsz == 0)
		return false;
	if (m->ol_flags & RTE_MBUF_F_TX_UDP_SEG)
		return !(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) &&
		       m->l4_len == sizeof(struct rte_udp_hdr) && layout_of(m, m->l4_len, at);
	if (m->l4_len < sizeof(struct rte_tcp_hdr) || !layout_of(m, m->l4_len, at))
		return false;
	tcp = rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, at->l4);
	return (tcp->data_off >> 4) * 4 == m->l4_len;
}

static uint32_t segments_of(const struct rte_mbuf *m, const struct layout *at)
{
	uint32_t payload = at->l4_bytes - m->l4_len;

	return payload == 0 ? 1 : (payload + m->tso_segsz - 1u) / m->tso_segsz;
}

bool offload_sound(const struct rte_mbuf *m)
{
	const uint64_t kind = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	struct layout at;

	if (kind == 0)
		return true;
	if (kind == RTE_MBUF_F_TX_TCP_CKSUM)
		return layout_of(m, sizeof(struct rte_tcp_hdr), &at);
	return kind == RTE_MBUF_F_TX_UDP_CKSUM && layout_of(m, sizeof(struct rte_udp_hdr), &at);
}

uint16_t offload_segment_count(const struct rte_mbuf *m)
{
	struct layout at;

	return segment_layout(m, &at) ? (uint16_t)segments_of(m, &at) : 0;
}

/** A place in a chain, moving forward only. */
struct cursor {
	const struct rte_mbuf *seg;
	uint32_t off;
};

static void cursor_skip(struct cursor *c, uint32_t n)
{
	c->off += n;
	while (c->seg != NULL && c->off >= c->seg->data_len) {
		c->off -= c->seg->data_len;
		c->seg = c->seg->next;
	}
}

/** The caller knows that n bytes are there. */
static void cursor_copy(struct cursor *c, uint8_t *to, uint32_t n)
{
	while (n > 0) {
		uint32_t part = RTE_MIN(n, c->seg->data_len - c->off);

		memcpy(to, rte_pktmbuf_mtod_offset(c->seg, const uint8_t *, c->off), part);
		to += part;
		n -= part;
		cursor_skip(c, part);
	}
}

/** Append n bytes to the chain that starts at head, with more buffers when its last one is full.
 * @return false when no buffer is free; what was appended stays. */
static bool append_from(
	struct rte_mbuf *head, struct rte_mempool *pool, struct cursor *from, uint32_t n)
{
	struct rte_mbuf *last = head;

	while (n > 0) {
		uint32_t part = RTE_MIN(n, (uint32_t)rte_pktmbuf_tailroom(last));

		if (part == 0) {
			last->next = rte_pktmbuf_alloc(pool);
			if (last->next == NULL)
				return false;
			last = last->next;
			last->data_off = 0;
			head->nb_segs++;
			continue;
		}
		cursor_copy(from, rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len), part);
		last->data_len = (uint16_t)(last->data_len + part);
		head->pkt_len += part;
		n -= part;
	}
	return true;
}

/** A pseudo-header sum that covers l4_bytes instead of the large packet's. Lengths differ, and the upper half of a 32-bit
 * pseudo-header length is zero either way. ~old + new: RFC 1624, here on uncomplemented sums. */
static inline uint16_t pseudo_sum(uint16_t sum, const struct layout *at, uint32_t l4_bytes)
{
	return (uint16_t)__rte_raw_cksum_reduce(
		(uint32_t)sum + (uint16_t)~rte_cpu_to_be_16((uint16_t)at->l4_bytes) +
		rte_cpu_to_be_16((uint16_t)l4_bytes));
}

static void segment_fix_ip(
	struct rte_mbuf *seg, const struct rte_mbuf *m, const struct layout *at, uint32_t index)
{
	if (at->v6) {
		struct rte_ipv6_hdr *ip =
			rte_pktmbuf_mtod_offset(seg, struct rte_ipv6_hdr *, at->l3);

		ip->payload_len = rte_cpu_to_be_16((uint16_t)(seg->pkt_len - at->l3 - sizeof(*ip)));
	} else {
		struct rte_ipv4_hdr *ip =
			rte_pktmbuf_mtod_offset(seg, struct rte_ipv4_hdr *, at->l3);

		ip->total_length = rte_cpu_to_be_16((uint16_t)(seg->pkt_len - at->l3));
		ip->packet_id =
			rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(ip->packet_id) + index));
		ip->hdr_checksum = 0;
		ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, m->l3_len);
	}
}

/** What differs a segment. `index` counts from 0; the packet's headers are a copy of the
 * original's. */
static void segment_fix(struct rte_mbuf *seg, const struct rte_mbuf *m, const struct layout *at,
	uint32_t index, bool last)
{
	const uint32_t l4_bytes = seg->pkt_len - at->l4;

	segment_fix_ip(seg, m, at, index);
	if (m->ol_flags & RTE_MBUF_F_TX_UDP_SEG) {
		struct rte_udp_hdr *udp =
			rte_pktmbuf_mtod_offset(seg, struct rte_udp_hdr *, at->l4);

		udp->dgram_len = rte_cpu_to_be_16((uint16_t)l4_bytes);
		udp->dgram_cksum = pseudo_sum(udp->dgram_cksum, at, l4_bytes);
		udp->dgram_cksum = (uint16_t)~pkt_checksum(seg, at->l4, l4_bytes, 0);
		if (udp->dgram_cksum == 0)
			udp->dgram_cksum = 0xffff;
	} else {
		struct rte_tcp_hdr *tcp =
			rte_pktmbuf_mtod_offset(seg, struct rte_tcp_hdr *, at->l4);

		tcp->sent_seq =
			rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + index * m->tso_segsz);
		if (!last)
			tcp->tcp_flags &= (uint8_t) ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
		if (index > 0)
			tcp->tcp_flags &= (uint8_t)~RTE_TCP_CWR_FLAG;
		tcp->cksum = pseudo_sum(tcp->cksum, at, l4_bytes);
		tcp->cksum = (uint16_t)~pkt_checksum(seg, at->l4, l4_bytes, 0);
	}
}

uint16_t offload_segment(
	struct rte_mbuf *m, struct rte_mempool *pool, struct rte_mbuf **out, uint16_t max)
{
	struct cursor from = { .seg = m };
	uint32_t headers, left, n;
	struct layout at;

	if (!segment_layout(m, &at))
		return 0;
	headers = at.l4 + m->l4_len;
	left = at.l4_bytes - m->l4_len;
	n = segments_of(m, &at);
	if (n > max || rte_pktmbuf_alloc_bulk(pool, out, n) < 0)
		return 0;
	cursor_skip(&from, headers);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t part = RTE_MIN(left, (uint32_t)m->tso_segsz);
		void *to = rte_pktmbuf_append(out[i], (uint16_t)headers);

		if (to == NULL || (memcpy(to, rte_pktmbuf_mtod(m, void *), headers),
					  !append_from(out[i], pool, &from, part))) {
			rte_pktmbuf_free_bulk(out, n);
			return 0;
		}
		left -= part;
		segment_fix(out[i], m, &at, i, i + 1 == n);
		out[i]->port = m->port;
	}
	rte_pktmbuf_free(m);
	return (uint16_t)n;
}

static bool fits(const struct rte_mbuf *m, struct rte_mempool *pool)
{
	return pool != NULL &&
	       m->pkt_len + RTE_PKTMBUF_HEADROOM <= (uint32_t)rte_pktmbuf_data_room_size(pool);
}

struct rte_mbuf *offload_linearize(
	struct rte_mbuf *m, struct rte_mempool *pool, struct rte_mempool *large_pool)
{
	struct cursor from = { .seg = m };
	struct rte_mbuf *one = NULL;

	if (rte_pktmbuf_is_contiguous(m))
		return m;
	if (rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m) && rte_pktmbuf_linearize(m) == 0)
		return m;
	if (fits(m, pool))
		one = rte_pktmbuf_alloc(pool);
	if (one == NULL && fits(m, large_pool))
		one = rte_pktmbuf_alloc(large_pool);
	if (one == NULL)
		return NULL;
	cursor_copy(&from, rte_pktmbuf_mtod(one, uint8_t *), m->pkt_len);
	one->data_len = (uint16_t)m->pkt_len;
	one->pkt_len = m->pkt_len;
	one->port = m->port;
	one->ol_flags =
		m->ol_flags & (ALL_TX_FLAGS | RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_RX_L4_CKSUM_GOOD);
	one->vlan_tci = m->vlan_tci;
	one->tx_offload = m->tx_offload;
	rte_mbuf_dynfield_copy(one, m);
	rte_pktmbuf_free(m);
	return one;
}
