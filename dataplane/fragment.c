/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/fragment.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#define OPTION_COPIED 0x80 /* RFC 791 section 3.1: the option goes into all fragments */

/** Write the header that later fragments have: options without the copied flag left out. @return
 * its length. */
static uint16_t later_header(const uint8_t *from, uint16_t len, uint8_t *to)
{
	uint16_t i = sizeof(struct rte_ipv4_hdr), n = sizeof(struct rte_ipv4_hdr);

	memcpy(to, from, n);
	while (i < len && from[i] != 0) {
		const uint32_t said = from[i] == 1 || i + 1 >= len ? 1 : from[i + 1];
		const uint32_t option = RTE_MIN(RTE_MAX(said, 1u), (uint32_t)len - i);

		if (from[i] & OPTION_COPIED) {
			memcpy(to + n, from + i, option);
			n = (uint16_t)(n + option);
		}
		i = (uint16_t)(i + option);
	}
	while (n % 4 != 0)
		to[n++] = 0;
	to[0] = (uint8_t)(0x40 | n / 4);
	return n;
}

/** Append `len` bytes from `off` of a packet to a packet, taking more buffers from the pool as
 * they are needed. */
static bool append_bytes(struct rte_mbuf *to, const struct rte_mbuf *from, uint32_t off,
	uint32_t len, struct rte_mempool *pool)
{
	struct rte_mbuf *last = rte_pktmbuf_lastseg(to);

	while (off >= rte_pktmbuf_data_len(from)) {
		off -= rte_pktmbuf_data_len(from);
		from = from->next;
	}
	while (len > 0) {
		uint32_t n = RTE_MIN(len, rte_pktmbuf_data_len(from) - off);

		if (rte_pktmbuf_tailroom(last) == 0) {
			last->next = rte_pktmbuf_alloc(pool);
			if (last->next == NULL)
				return false;
			last = last->next;
			to->nb_segs++;
		}
		n = RTE_MIN(n, (uint32_t)rte_pktmbuf_tailroom(last));
		memcpy(rte_pktmbuf_mtod_offset(last, void *, rte_pktmbuf_data_len(last)),
			rte_pktmbuf_mtod_offset(from, const void *, off), n);
		last->data_len = (uint16_t)(last->data_len + n);
		to->pkt_len += n;
		len -= n;
		off += n;
		while (len > 0 && off == rte_pktmbuf_data_len(from)) {
			from = from->next;
			off = 0;
		}
	}
	return true;
}

static void header_finish(struct rte_mbuf *m, uint32_t offset, bool more)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	ip->total_length = rte_cpu_to_be_16((uint16_t)rte_pktmbuf_pkt_len(m));
	ip->fragment_offset =
		rte_cpu_to_be_16((uint16_t)(offset / 8 | (more ? RTE_IPV4_HDR_MF_FLAG : 0)));
	ip->hdr_checksum = 0;
	ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, (ip->version_ihl & 15u) * 4);
}

/** A fragment as a copy: `len` bytes of payload from `off`. */
static struct rte_mbuf *later_make(const struct rte_mbuf *m, const uint8_t *header,
	uint16_t header_len, uint32_t off, uint32_t len, struct rte_mempool *pool)
{
	struct rte_mbuf *f = rte_pktmbuf_alloc(pool);
	void *to;

	if (f == NULL)
		return NULL;
	to = rte_pktmbuf_append(f, header_len);
	if (to == NULL)
		goto fail;
	memcpy(to, header, header_len);
	if (!append_bytes(f, m, off, len, pool))
		goto fail;
	f->port = m->port;
	return f;

fail:
	rte_pktmbuf_free(f);
	return NULL;
}

uint16_t fragment_cut(struct rte_mbuf *m, uint16_t mtu, struct rte_mempool *pool,
	struct rte_mbuf **out, uint16_t max, enum drop_reason *reason)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	const uint16_t header_len = (uint16_t)((ip->version_ihl & 15) * 4);
	const uint32_t payload = rte_pktmbuf_pkt_len(m) - header_len;
	const uint32_t frag = rte_be_to_cpu_16(ip->fragment_offset);
	const uint32_t base = (frag & RTE_IPV4_HDR_OFFSET_MASK) * 8;
	uint8_t header[60];
	const uint16_t later_len = later_header((const uint8_t *)ip, header_len, header);
	uint32_t first, later, done, count;

	*reason = DROP_packet_too_big;
	if (mtu < header_len + 8)
		return 0;
	first = RTE_MIN(
		payload, rte_pktmbuf_pkt_len(m) <= mtu ? payload : (mtu - header_len) & ~7u);
	later = (mtu - later_len) & ~7u;
	count = 1 + (payload - first + later - 1) / later;
	if (count > max)
		return 0;
	done = first;
	for (uint32_t i = 1; i < count; i++) {
		const uint32_t len = RTE_MIN(payload - done, later);
		const bool more = i + 1 < count || (frag & RTE_IPV4_HDR_MF_FLAG);

		out[i] = later_make(m, header, later_len, header_len + done, len, pool);
		if (out[i] == NULL) {
			rte_pktmbuf_free_bulk(&out[1], i - 1);
			*reason = DROP_no_buffer;
			return 0;
		}
		header_finish(out[i], base + done, more);
		done += len;
	}
	/* The packet itself becomes the first: nothing can fail any more. */
	pkt_trim(m, header_len + first);
	header_finish(m, base, count > 1 || (frag & RTE_IPV4_HDR_MF_FLAG));
	m->ol_flags &= ~(uint64_t)(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_IP_CKSUM_MASK);
	out[0] = m;
	*reason = DROP_NONE;
	return (uint16_t)count;
}

/* --- IPv6, for the sender ------------------------------------------------------------------------------------------- */

#define FRAGMENT_HEADER 8

/** Where the fragment header goes: behind what every router looks at, so the IPv6 header, hop-by-hop options, and a
 * routing header with the options before it. *names: offset of the byte that says what follows there. */
static uint16_t fragment_point(const uint8_t *ip, uint16_t l3_len, uint16_t *names)
{
	uint16_t point = sizeof(struct rte_ipv6_hdr), at = point,
		 said_at = offsetof(struct rte_ipv6_hdr, proto);

	*names = said_at;
	while (at + 8u <= l3_len) {
		const uint8_t proto = ip[said_at];
		const uint32_t end = at + (ip[at + 1] + 1u) * 8;

		if ((proto != IPPROTO_HOPOPTS && proto != IPPROTO_ROUTING &&
			    proto != IPPROTO_DSTOPTS) ||
			end > l3_len)
			break;
		said_at = at;
		at = (uint16_t)end;
		if (proto != IPPROTO_DSTOPTS) {
			point = at;
			*names = said_at;
		}
	}
	return point;
}

uint16_t fragment_cut_v6(struct rte_mbuf *m, uint16_t l3_len, uint16_t size, uint32_t id,
	struct rte_mempool *pool, struct rte_mbuf **out, uint16_t max, enum drop_reason *reason)
{
	uint8_t header[512 + FRAGMENT_HEADER];
	uint16_t names,
		point = fragment_point(rte_pktmbuf_mtod(m, const uint8_t *), l3_len, &names),
		header_len;
	uint32_t payload = rte_pktmbuf_pkt_len(m) - point, piece, count;

	*reason = DROP_packet_too_big;
	header_len = (uint16_t)(point + FRAGMENT_HEADER);
	if (header_len > sizeof(header) || size < header_len + 8)
		return 0;
	piece = payload + header_len <= size ? payload : (uint32_t)(size - header_len) & ~7u;
	count = (payload + piece - 1) / piece;
	if (count > max)
		return 0;
	memcpy(header, rte_pktmbuf_mtod(m, const void *), point);
	memset(header + point, 0, FRAGMENT_HEADER);
	header[point] = header[names];
	header[names] = IPPROTO_FRAGMENT;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t off = i * piece, len = RTE_MIN(payload - off, piece);
		/* Next header, reserved, offset and M, identification. */
		const uint16_t where = rte_cpu_to_be_16((uint16_t)(off | (i + 1 < count)));
		const uint32_t name = rte_cpu_to_be_32(id);

		memcpy(header + point + 2, &where, sizeof(where));
		memcpy(header + point + 4, &name, sizeof(name));
		out[i] = later_make(m, header, header_len, point + off, len, pool);
		if (out[i] == NULL) {
			rte_pktmbuf_free_bulk(out, i);
			*reason = DROP_no_buffer;
			return 0;
		}
		rte_pktmbuf_mtod(out[i], struct rte_ipv6_hdr *)->payload_len = rte_cpu_to_be_16(
			(uint16_t)(header_len + len - sizeof(struct rte_ipv6_hdr)));
	}
	rte_pktmbuf_free(m);
	*reason = DROP_NONE;
	return (uint16_t)count;
}
