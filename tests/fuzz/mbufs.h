/* SPDX-License-Identifier: Apache-2.0 */
/** Packet buffers whose ends are watched: every buffer is an allocation of its own, so that the address sanitizer sees a
 * byte behind it being touched, and what lies around a packet inside its buffer is a byte of the caller's choice, so that
 * reading it can be made to show. One thread.
 */
#ifndef TESTS_FUZZ_MBUFS_H
#define TESTS_FUZZ_MBUFS_H

#include "dataplane/packet.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/eal.h"

#include <stdbool.h>

#define MBUFS_COUNT 255
#define MBUFS_ROOM  2048
#define MBUFS_DIRTY \
	32 /* buffers filled before each run: more than most runs touch; the pool hands out the last freed */
#define FRAME_MAX 65550

static struct rte_mempool *mbufs_pool;
static void *
	mbufs_memory[MBUFS_COUNT]; /* for the leak checker, which does not look into EAL's memory */

static inline void mbufs_setup(void)
{
	struct rte_mempool *pool;

	if (mbufs_pool != NULL)
		return;
	eal_start();
	pool = rte_mempool_create_empty("fuzz", MBUFS_COUNT,
		sizeof(struct rte_mbuf) + RTE_PKTMBUF_HEADROOM + MBUFS_ROOM, 0,
		sizeof(struct rte_pktmbuf_pool_private), SOCKET_ID_ANY,
		RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	REQUIRE(pool != NULL && rte_mempool_set_ops_byname(pool, "stack", NULL) == 0, "no pool");
	rte_pktmbuf_pool_init(pool, NULL);
	for (unsigned i = 0; i < MBUFS_COUNT; i++) {
		const size_t size = pool->header_size + pool->elt_size + pool->trailer_size;
		void *memory = aligned_alloc(RTE_MEMPOOL_ALIGN, size);

		mbufs_memory[i] = memory;
		REQUIRE(memory != NULL && rte_mempool_populate_iova(pool, memory, RTE_BAD_IOVA,
						  size, NULL, NULL) == 1,
			"buffer %u", i);
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	mbufs_pool = pool;
}

/** Make the buffers that will be used next hold nothing but `fill`. */
static inline void mbufs_fill(uint8_t fill)
{
	void *taken[MBUFS_DIRTY];

	REQUIRE(rte_mempool_get_bulk(mbufs_pool, taken, MBUFS_DIRTY) == 0, "buffers are missing");
	for (unsigned i = MBUFS_DIRTY; i > 0; i--) {
		struct rte_mbuf *m = taken[i - 1];

		memset(m->buf_addr, fill, m->buf_len);
		rte_mempool_put(mbufs_pool, m);
	}
}

static inline void mbufs_all_back(const char *after)
{
	REQUIRE(rte_mempool_in_use_count(mbufs_pool) == 0, "%u buffers lost after %s",
		rte_mempool_in_use_count(mbufs_pool), after);
}

/** How bytes become a packet: lengths of the first segments (what is left goes into as many as it needs), and whether
 * segments end where their buffer does. */
struct cuts {
	uint8_t count;
	bool no_tailroom;
	uint16_t len[4];
};

static inline struct rte_mbuf *mbufs_packet(
	const uint8_t *bytes, uint32_t len, const struct cuts *cuts)
{
	struct rte_mbuf *head = NULL, *last = NULL;
	uint32_t off = 0;

	for (unsigned i = 0; off < len || head == NULL; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(mbufs_pool);
		uint32_t n = i < cuts->count ? RTE_MAX(cuts->len[i], 1u) : MBUFS_ROOM;

		REQUIRE(m != NULL, "no buffer for the input");
		n = RTE_MIN(n, RTE_MIN(len - off, (uint32_t)MBUFS_ROOM));
		if (cuts->no_tailroom)
			m->data_off = (uint16_t)RTE_ALIGN_FLOOR(
				m->buf_len - n, 2); /* frames begin at even addresses */
		memcpy(rte_pktmbuf_mtod(m, void *), bytes + off, n);
		m->data_len = (uint16_t)n;
		off += n;
		if (head == NULL)
			head = m;
		else
			last->next = m;
		last = m;
		head->nb_segs = (uint16_t)(i + 1);
	}
	head->pkt_len = len;
	return head;
}

/** Lengths inside the buffers, and the sum of the segments the packet's. */
static inline void mbufs_check(const struct rte_mbuf *head)
{
	uint32_t sum = 0;
	unsigned segs = 0;

	for (const struct rte_mbuf *m = head; m != NULL; m = m->next) {
		REQUIRE((uint32_t)m->data_off + m->data_len <= m->buf_len,
			"segment %u: %u bytes at %u of %u", segs, m->data_len, m->data_off,
			m->buf_len);
		REQUIRE(rte_mbuf_refcnt_read(m) == 1, "segment %u is shared", segs);
		sum += m->data_len;
		segs++;
	}
	REQUIRE(segs == head->nb_segs, "%u segments, the packet says %u", segs, head->nb_segs);
	REQUIRE(sum == head->pkt_len, "%u bytes in segments, the packet says %u", sum,
		head->pkt_len);
}

/** All bytes of a packet into `to` (FRAME_MAX). @return how many. */
static inline uint32_t mbufs_bytes(const struct rte_mbuf *m, uint8_t *to)
{
	uint32_t len = 0;

	mbufs_check(m);
	REQUIRE(m->pkt_len <= FRAME_MAX, "a packet of %u bytes", m->pkt_len);
	for (; m != NULL; m = m->next) {
		memcpy(to + len, rte_pktmbuf_mtod(m, const void *), m->data_len);
		len += m->data_len;
	}
	return len;
}

/** The internet checksum's sum one byte at a time, folded. */
static inline uint16_t slow_sum(const uint8_t *bytes, uint32_t len, uint64_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/** Is the L4 checksum right of the packet `bytes` that `p` describes? UDP's zero does not count. */
static inline bool l4_sum_good(const uint8_t *bytes, const struct pkt *p)
{
	const uint8_t *ip = bytes + p->l2_len;
	const uint32_t len = (uint32_t)p->ip_len - p->l3_len;
	uint64_t pseudo = 0;

	if (p->flags & PKT_V6)
		pseudo = (uint64_t)slow_sum(ip + 8, 32, 0) + len + p->proto;
	else if (p->proto != IPPROTO_ICMP)
		pseudo = (uint64_t)slow_sum(ip + 12, 8, 0) + len + p->proto;
	return slow_sum(ip + p->l3_len, len, pseudo) == 0xffff;
}

/** Make the lengths and IPv4 header checksums of a packet fit the bytes there are, and of what its tunnels carry. */
static inline void mend(uint8_t *ip, uint32_t len, unsigned depth)
{
	const bool v6 = len > 0 && ip[0] >> 4 == 6;
	const uint32_t header = v6 ? 40 : len > 0 ? (ip[0] & 15u) * 4 : 0;
	const uint32_t length = v6 ? len - 40 : len;
	uint8_t *next = ip + header;
	uint8_t proto;
	uint16_t sum;

	if (depth > 3 || header < 20 || len < header || len > UINT16_MAX)
		return;
	ip[v6 ? 4 : 2] = (uint8_t)(length >> 8);
	ip[v6 ? 5 : 3] = (uint8_t)length;
	proto = ip[v6 ? 6 : 9];
	if (!v6) {
		ip[10] = ip[11] = 0;
		sum = (uint16_t)~slow_sum(ip, header, 0);
		ip[10] = (uint8_t)(sum >> 8);
		ip[11] = (uint8_t)sum;
	}
	len -= header;
	if (proto == 4 || proto == 41) {
		mend(next, len, depth + 1);
	} else if (proto == 17 && len >= 8 &&
		   ((next[2] << 8 | next[3]) == 4789 || (next[2] << 8 | next[3]) == 8472)) {
		next[4] = (uint8_t)(len >> 8);
		next[5] = (uint8_t)len;
		next[6] = next[7] = 0;
		if (len > 30)
			mend(next + 30, len - 30, depth + 1);
	}
}

#endif
