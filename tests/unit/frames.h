/* SPDX-License-Identifier: Apache-2.0 */
/** TCP and UDP frames for tests of what moves and cuts packets: built flat, put into chains cut at
 * random, and checked with sums done the slow way. */
#ifndef TESTS_UNIT_FRAMES_H
#define TESTS_UNIT_FRAMES_H

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_MAX 66000

struct frame {
	bool v6;
	uint8_t proto;
	uint32_t l2_len, l3_len, l4_len, payload; /* l3_len with options, l4_len with options */
	uint8_t bytes[FRAME_MAX];
	uint32_t len;
};

/** RFC 1071, one 16-bit word at a time. */
static inline uint16_t naive_sum(const uint8_t *bytes, uint32_t len, uint64_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static inline uint64_t naive_pseudo(const struct frame *f, const uint8_t *ip, uint32_t l4_bytes)
{
	return f->v6 ? (uint64_t)naive_sum(ip + 8, 32, 0) + l4_bytes + f->proto
		     : (uint64_t)naive_sum(ip + 12, 8, 0) + l4_bytes + f->proto;
}

static inline uint32_t frame_checksum_at(const struct frame *f)
{
	return f->l2_len + f->l3_len + (f->proto == IPPROTO_TCP ? 16 : 6);
}

/** Is the L4 checksum of a finished packet of the frame's shape right? UDP must not say "none". */
static inline bool checksum_is_right(const struct frame *f, const uint8_t *bytes, uint32_t len)
{
	uint32_t l4 = f->l2_len + f->l3_len;
	const uint8_t *field = bytes + frame_checksum_at(f);

	if (f->proto == IPPROTO_UDP && field[0] == 0 && field[1] == 0)
		return false;
	return naive_sum(bytes + l4, len - l4, naive_pseudo(f, bytes + f->l2_len, len - l4)) ==
	       0xffff;
}

static inline void put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

/** Random bytes in a frame of that shape; the checksum field holds the pseudo-header sum. `extra3`
 * are bytes of IPv4 options or IPv6 extension headers, `extra4` of TCP options. */
static inline void frame_build(
	struct frame *f, bool v6, uint8_t proto, uint32_t extra3, uint32_t extra4, uint32_t payload)
{
	uint8_t *ip, *l4;

	f->v6 = v6;
	f->proto = proto;
	f->l2_len = RTE_ETHER_HDR_LEN;
	f->l3_len = (v6 ? 40 : 20) + extra3;
	f->l4_len = proto == IPPROTO_TCP ? 20 + extra4 : 8;
	f->payload = payload;
	f->len = f->l2_len + f->l3_len + f->l4_len + payload;
	for (uint32_t i = 0; i < f->len; i++)
		f->bytes[i] = (uint8_t)(rand() >> 7);
	ip = f->bytes + f->l2_len;
	l4 = ip + f->l3_len;
	put16(f->bytes + 12, v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, f->len - f->l2_len - 40);
		ip[6] = extra3 > 0 ? IPPROTO_DSTOPTS : proto;
		if (extra3 > 0) {
			ip[40] = proto;
			ip[41] = (uint8_t)(extra3 / 8 - 1);
		}
	} else {
		ip[0] = (uint8_t)(0x40 | f->l3_len / 4);
		put16(ip + 2, f->len - f->l2_len);
		put16(ip + 6, RTE_IPV4_HDR_DF_FLAG);
		ip[9] = proto;
		memset(ip + 20, 1, extra3);
		put16(ip + 10, 0);
		put16(ip + 10, (uint16_t)~naive_sum(ip, f->l3_len, 0));
	}
	if (proto == IPPROTO_TCP) {
		l4[12] = (uint8_t)(f->l4_len / 4 << 4);
		memset(l4 + 20, 1, extra4);
	} else {
		put16(l4 + 4, f->l4_len + payload);
	}
	put16(f->bytes + frame_checksum_at(f),
		naive_sum(NULL, 0, naive_pseudo(f, ip, f->l4_len + payload)));
}

/** The frame as a chain cut at random places behind its headers, with offload words but no flags
 * but the family's.
 * @return NULL when the pool is empty. */
static inline struct rte_mbuf *frame_mbuf(const struct frame *f, struct rte_mempool *pool)
{
	uint32_t headers = f->l2_len + f->l3_len + f->l4_len, off = 0;
	struct rte_mbuf *head = NULL, *last = NULL;

	do {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		uint32_t room = m != NULL ? rte_pktmbuf_tailroom(m) : 0, n;

		if (m == NULL) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		n = head == NULL ? headers + (uint32_t)rand() % (room - headers + 1)
				 : 1 + (uint32_t)rand() % room;
		/* Few long chains, many short ones. */
		if (f->len > 10 * room)
			n = room - (n & 1);
		n = RTE_MIN(n, f->len - off);
		memcpy(rte_pktmbuf_mtod(m, void *), f->bytes + off, n);
		m->data_len = (uint16_t)n;
		off += n;
		if (head == NULL) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
		}
		last = m;
	} while (off < f->len);
	head->pkt_len = f->len;
	head->l2_len = f->l2_len & 0x7f;
	head->l3_len = f->l3_len & 0x1ff;
	head->l4_len = f->l4_len & 0xff;
	head->ol_flags = f->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	return head;
}

/** All bytes of a chain. @return its length. */
static inline uint32_t mbuf_bytes(const struct rte_mbuf *m, uint8_t *to)
{
	uint32_t len = 0;

	for (const struct rte_mbuf *seg = m; seg != NULL; seg = seg->next) {
		memcpy(to + len, rte_pktmbuf_mtod(seg, const void *), seg->data_len);
		len += seg->data_len;
	}
	return len;
}

#endif
