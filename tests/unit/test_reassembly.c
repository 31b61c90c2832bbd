/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/fragment.h"
#include "tests/unit/fragment_fixture.h"

#include <rte_cycles.h>

static struct whole whole;

struct tally {
	unsigned freed, merged, added;
};

static struct rte_mbuf *add(struct reassembly *r, uint32_t start, uint32_t len, bool more,
	uint32_t segment, uint64_t now, uint8_t ecn, struct tally *tally)
{
	const unsigned before = reassembly_held(r);
	unsigned freed, merged;
	struct rte_mbuf *m, *result;
	struct pkt p;

	m = part_parsed(&whole, start, len, more, segment, ZONE, &p);
	if (ecn != 0) {
		uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, 14);

		ip[1] = (uint8_t)(whole.v6 ? ecn << 4 : ecn);
		p.tos = ecn;
	}
	result = reassembly_add(r, m, &p, now, &freed, &merged);
	/* The invariant of packets: what came in is held, freed, merged or the result. */
	CU_ASSERT_EQUAL(before + 1, reassembly_held(r) + freed + merged + (result != NULL ? 1 : 0));
	tally->freed += freed;
	tally->merged += merged;
	tally->added++;
	return result;
}

static bool is_whole(struct rte_mbuf *m)
{
	static uint8_t bytes[WHOLE_MAX];
	bool same = m != NULL && rte_pktmbuf_pkt_len(m) == whole.len &&
		    mbuf_bytes(m, bytes) == whole.len && memcmp(bytes, whole.bytes, whole.len) == 0;
	struct pkt p;

	if (m == NULL)
		return false;
	rte_mbuf_sanity_check(m, 1);
	same = same && pkt_parse_ether(m, &p, ZONE).class == (whole.v6 ? PKT_FLOW6 : PKT_FLOW4);
	rte_pktmbuf_free(m);
	return same;
}

static void any_order(void)
{
	struct reassembly *r;

	fragment_setup();
	r = reassembly_new(64, SOCKET_ID_ANY);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	for (unsigned round = 0; round < 600; round++) {
		const uint32_t size = 8 * (20 + (uint32_t)rand() % 180),
			       parts = 2 + (uint32_t)rand() % (round % 20 == 0 ? 60 : 10);
		const uint32_t total = RTE_MIN(parts * size, 65400u), n = (total + size - 1) / size;
		struct tally tally = { 0 };
		struct rte_mbuf *m = NULL;
		uint32_t order[64];

		whole_make(&whole, round & 1, round, total - 8 - (uint32_t)rand() % 7);
		shuffle(order, n);
		for (uint32_t i = 0; i < n; i++) {
			const uint32_t start = order[i] * size;
			const bool more = order[i] + 1 < n;

			CU_ASSERT_PTR_NULL(m);
			m = add(r, start, more ? size : whole_parts(&whole) - start, more,
				round % 3 == 0 ? 61 + round % 200 : 0, 1, 0, &tally);
		}
		CU_ASSERT_TRUE(is_whole(m));
		CU_ASSERT_TRUE(tally.merged == n - 1 && tally.freed == 0);
		CU_ASSERT_EQUAL(reassembly_held(r), 0);
	}
	reassembly_free(r);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/* An echo request of 64 KiB over an MTU of 1500. */
static void largest(void)
{
	struct tally tally = { 0 };
	struct reassembly *r;

	fragment_setup();
	r = reassembly_new(64, SOCKET_ID_ANY);
	for (int v6 = 0; v6 < 2; v6++) {
		struct rte_mbuf *m = NULL;

		whole_make(&whole, v6, 1, v6 ? 65535 - 48 - 8 : 65535 - 20 - 8);
		for (uint32_t at = 0; at < whole_parts(&whole); at += 1440)
			m = add(r, at, RTE_MIN(1440u, whole_parts(&whole) - at),
				at + 1440 < whole_parts(&whole), 0, 1, 0, &tally);
		CU_ASSERT_TRUE(is_whole(m));
	}
	CU_ASSERT_EQUAL(tally.freed, 0);
	reassembly_free(r);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void overlaps_and_duplicates(void)
{
	static const struct {
		uint32_t start, len;
		bool more;
	} bad[] = { { 64, 128, true }, { 128, 128, true }, { 136, 40, true }, { 0, 512, true },
		{ 128, 64, false }, { 384, 64, true }, { 320, 64, true }, { 192, 64, false },
		{ 512, 64, false } };
	struct reassembly *r;

	fragment_setup();
	r = reassembly_new(64, SOCKET_ID_ANY);
	for (unsigned i = 0; i < 2 * RTE_DIM(bad); i++) {
		struct tally tally = { 0 };
		const unsigned k = i / 2;

		whole_make(&whole, i & 1, i, 1000);
		CU_ASSERT_PTR_NULL(add(r, 128, 64, true, 0, 1, 0, &tally));
		CU_ASSERT_PTR_NULL(add(r, 320, 64, false, 0, 1, 0, &tally));
		CU_ASSERT_PTR_NULL(
			add(r, 128, 64, true, 0, 1, 0, &tally)); /* a copy: only itself */
		CU_ASSERT_PTR_NULL(add(r, 320, 64, false, 0, 1, 0, &tally));
		CU_ASSERT_TRUE(tally.freed == 2 && reassembly_held(r) == 2);
		CU_ASSERT_PTR_NULL(add(r, bad[k].start, bad[k].len, bad[k].more, 0, 1, 0, &tally));
		CU_ASSERT_TRUE(tally.freed == 5 && reassembly_held(r) == 0);
	}
	reassembly_free(r);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void ecn(void)
{
	/* The fields of two fragments and the result, -1: no packet. */
	static const int rows[][3] = { { 0, 0, 0 }, { 2, 2, 2 }, { 1, 1, 1 }, { 2, 3, 3 },
		{ 3, 1, 3 }, { 3, 3, 3 }, { 0, 3, -1 }, { 3, 0, -1 } };
	struct reassembly *r;

	fragment_setup();
	r = reassembly_new(64, SOCKET_ID_ANY);
	for (unsigned i = 0; i < 2 * RTE_DIM(rows); i++) {
		const int *row = rows[i / 2];
		struct tally tally = { 0 };
		struct rte_mbuf *m;
		const uint8_t *ip;

		whole_make(&whole, i & 1, i, 200);
		CU_ASSERT_PTR_NULL(add(r, 0, 64, true, 0, 1, (uint8_t)row[0], &tally));
		m = add(r, 64, whole_parts(&whole) - 64, false, 0, 1, (uint8_t)row[1], &tally);
		if (row[2] < 0) {
			CU_ASSERT_PTR_NULL(m);
			CU_ASSERT_TRUE(tally.freed == 2 && reassembly_held(r) == 0);
			continue;
		}
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, 14);
		CU_ASSERT_EQUAL(whole.v6 ? ip[1] >> 4 : ip[1], row[2]);
		CU_ASSERT_EQUAL(whole.v6 ? 0xffff : naive_sum(ip, 20), 0xffff);
		rte_pktmbuf_free(m);
	}
	reassembly_free(r);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void too_long_together(void)
{
	struct tally tally = { 0 };
	struct reassembly *r;
	struct rte_mbuf *m;
	struct pkt p;
	unsigned freed, merged;
	uint8_t *frame;

	fragment_setup();
	r = reassembly_new(64, SOCKET_ID_ANY);
	/* The last fragment alone fits 64 KiB; the first one's options make the whole longer
	 * than that. */
	whole_make(&whole, false, 1, 65535 - 20 - 8);
	for (uint32_t at = 1440; at < whole_parts(&whole); at += 1440)
		CU_ASSERT_PTR_NULL(add(r, at, RTE_MIN(1440u, whole_parts(&whole) - at),
			at + 1440 < whole_parts(&whole), 0, 1, 0, &tally));
	m = part_make(&whole, 0, 1440, true, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rte_pktmbuf_prepend(m, 4));
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	memmove(frame, frame + 4, 34);
	memset(frame + 34, 1, 4);
	frame[14] = 0x46;
	ip4_finish(frame + 14, 1464);
	CU_ASSERT_EQUAL(pkt_parse_ether(m, &p, ZONE).class, PKT_FRAG);
	CU_ASSERT_PTR_NULL(reassembly_add(r, m, &p, 1, &freed, &merged));
	CU_ASSERT_TRUE(freed == 46 && merged == 0 && reassembly_held(r) == 0);
	reassembly_free(r);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void time_and_room(void)
{
	const uint64_t second = rte_get_tsc_hz();
	struct tally tally = { 0 };
	struct reassembly *r;

	fragment_setup();
	r = reassembly_new(64, SOCKET_ID_ANY);
	for (uint32_t id = 0; id < 20; id++) { /* room for 64, but at most four of a bucket */
		whole_make(&whole, id & 1, id, 1000);
		CU_ASSERT_PTR_NULL(add(r, 64, 64, true, 0, id, 0, &tally));
	}
	CU_ASSERT_EQUAL(reassembly_held(r) + tally.freed, 20);
	CU_ASSERT_EQUAL(reassembly_expire(r, 29 * second, 1000), 0);
	reassembly_expire(r, 31 * second, 1000);
	CU_ASSERT_TRUE(reassembly_held(r) <= 10 && reassembly_held(r) > 0); /* IPv6 waits longer */
	reassembly_expire(r, 61 * second, 1000);
	CU_ASSERT_EQUAL(reassembly_held(r), 0);
	/* Calls that bring other packets clean up, bucket by bucket. */
	tally = (struct tally){ 0 };
	whole_make(&whole, false, 1, 1000);
	add(r, 64, 64, true, 0, 100 * second, 0, &tally);
	for (uint32_t i = 0; i < 16; i++) {
		whole_make(&whole, false, 1000 + i, 1000);
		add(r, 64, 64, true, 0, 131 * second, 0, &tally);
	}
	CU_ASSERT_TRUE(tally.freed >= 1);
	CU_ASSERT_EQUAL(reassembly_held(r) + tally.freed, 17);
	/* More parts than one packet may have. */
	reassembly_expire(r, UINT64_MAX, 1000);
	tally = (struct tally){ 0 };
	whole_make(&whole, false, 1, 8000);
	for (uint32_t i = 1; i <= 65; i++)
		CU_ASSERT_PTR_NULL(add(r, i * 64, 64, true, 0, 1, 0, &tally));
	CU_ASSERT_TRUE(tally.freed == 65 && reassembly_held(r) == 0);
	/* A bucket that is full gives up its oldest; a flood stays within bounds. */
	reassembly_free(r);
	r = reassembly_new(4, SOCKET_ID_ANY);
	tally = (struct tally){ 0 };
	for (uint32_t id = 0; id < 5; id++) {
		whole_make(&whole, false, id, 1000);
		add(r, 64, 64, true, 0, id + 1, 0, &tally);
	}
	CU_ASSERT_TRUE(tally.freed == 1 && reassembly_held(r) == 4);
	whole_make(&whole, false, 9, 8000);
	for (uint32_t i = 1; i < 60; i++) {
		add(r, i * 128, 64, true, 0, 20, 0, &tally);
		CU_ASSERT_TRUE(reassembly_held(r) <= 32);
	}
	reassembly_free(r);
	reassembly_free(NULL);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static const struct test_case cases[] = {
	{ "any order", any_order },
	{ "64 KiB", largest },
	{ "overlaps and duplicates", overlaps_and_duplicates },
	{ "ECN", ecn },
	{ "too long together", too_long_together },
	{ "time and room", time_and_room },
};
SUITE_MAIN("reassembly", cases)
