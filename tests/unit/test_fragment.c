/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting, and the tracker of forwarded fragments. */
#include "dataplane/fragment.h"
#include "tests/unit/fragment_fixture.h"

#define CUT_MAX 64

static struct whole whole;

/* --- cutting --- */

/** An IPv4 packet of `len` bytes with `options` bytes of options, random contents. */
static void ip4_make(uint8_t *ip, uint16_t len, const uint8_t *options, uint8_t n_options,
	uint16_t fragment_field)
{
	for (unsigned i = 0; i < len; i++)
		ip[i] = (uint8_t)rand();
	memcpy(ip,
		(const uint8_t[]){ (uint8_t)(0x45 + n_options / 4), 0x28, 0, 0, 0x12, 0x34,
			(uint8_t)(fragment_field >> 8), (uint8_t)fragment_field, 61, 17, 0, 0, 10,
			0, 0, 1, 10, 0, 0, 2 },
		20);
	memcpy(ip + 20, options, n_options);
	ip4_finish(ip, len);
}

/** Check the fragments of `ip` and put them together without looking at any code of ours. */
static void check_fragments(const uint8_t *ip, uint16_t len, uint16_t mtu, struct rte_mbuf **out,
	uint16_t n, const uint8_t *later_options, uint8_t n_later)
{
	static uint8_t joined[65536], bytes[65536];
	const uint32_t header = (ip[0] & 15u) * 4, base = ((ip[6] & 0x1fu) << 8 | ip[7]) * 8;
	uint32_t at = 0;

	for (uint16_t i = 0; i < n; i++) {
		const uint32_t size = mbuf_bytes(out[i], bytes);
		const uint32_t h = (bytes[0] & 15u) * 4;
		const uint32_t field = (uint32_t)bytes[6] << 8 | bytes[7];

		rte_mbuf_sanity_check(out[i], 1);
		CU_ASSERT_TRUE(size <= mtu);
		CU_ASSERT_EQUAL(size, rte_pktmbuf_pkt_len(out[i]));
		CU_ASSERT_EQUAL(size, (uint32_t)bytes[2] << 8 | bytes[3]);
		CU_ASSERT_EQUAL(naive_sum(bytes, h), 0xffff);
		CU_ASSERT_EQUAL((field & 0x1fff) * 8, base + at);
		CU_ASSERT_EQUAL((field & 0x2000) != 0, i + 1 < n || (ip[6] & 0x20));
		CU_ASSERT_EQUAL(field & 0xc000, 0);
		CU_ASSERT_TRUE(i + 1 == n || (size - h) % 8 == 0);
		CU_ASSERT_EQUAL(memcmp(bytes + 4, ip + 4, 2), 0);
		CU_ASSERT_EQUAL(memcmp(bytes + 12, ip + 12, 8), 0);
		CU_ASSERT_TRUE(bytes[1] == ip[1] && bytes[8] == ip[8] && bytes[9] == ip[9]);
		CU_ASSERT_TRUE(rte_pktmbuf_headroom(out[i]) >= 96);
		CU_ASSERT_EQUAL(h, i == 0 ? header : 20u + n_later);
		CU_ASSERT_EQUAL(memcmp(bytes + 20, i == 0 ? ip + 20 : later_options, h - 20), 0);
		memcpy(joined + at, bytes + h, size - h);
		at += size - h;
		rte_pktmbuf_free(out[i]);
	}
	CU_ASSERT_EQUAL(at, len - header);
	CU_ASSERT_EQUAL(memcmp(joined, ip + header, at), 0);
}

static void cut_and_join(void)
{
	/* Record route (not copied), no operation, stream id (copied), then padding. */
	static const uint8_t options[] = { 7, 7, 4, 1, 2, 3, 4, 1, 136, 4, 0xab, 0xcd };
	static const uint8_t later[] = { 136, 4, 0xab, 0xcd };
	static const uint8_t only_first[] = { 7, 3, 4, 0 };
	static uint8_t ip[65536];

	fragment_setup();
	for (unsigned round = 0; round < 400; round++) {
		const unsigned kind = round % 3;
		const uint8_t n_options = kind == 0   ? 0
					  : kind == 1 ? sizeof(options)
						      : sizeof(only_first);
		const uint16_t len =
			(uint16_t)(20 + n_options + 1 + rand() % (round % 10 == 0 ? 20000 : 3000));
		const uint16_t mtu = (uint16_t)(len / CUT_MAX + 128 + rand() % 1500);
		const uint16_t field = (uint16_t)(round % 4 == 0   ? 0x2000 | 17
						  : round % 4 == 1 ? 33
								   : 0);
		struct rte_mbuf *out[CUT_MAX], *m;
		enum drop_reason reason;
		uint16_t n;

		ip4_make(ip, len, kind == 1 ? options : only_first, n_options, field);
		m = mbuf_of(pool, ip, len, 1 + (uint32_t)(100 + rand() % 1900));
		m->port = 3;
		n = fragment_cut(m, mtu, pool, out, CUT_MAX, &reason);
		CU_ASSERT_TRUE_FATAL(n > 0 && reason == DROP_NONE);
		CU_ASSERT_PTR_EQUAL(out[0], m);
		CU_ASSERT_EQUAL(out[n - 1]->port, 3);
		CU_ASSERT_EQUAL(n == 1, len <= mtu);
		check_fragments(ip, len, mtu, out, n, later, kind == 1 ? sizeof(later) : 0);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void cut_refused(void)
{
	static struct rte_mbuf *taken[2047];
	struct rte_mbuf *out[CUT_MAX], *m;
	uint8_t ip[3000], after[3000];
	enum drop_reason reason;
	unsigned n = 0;

	fragment_setup();
	ip4_make(ip, sizeof(ip), ip, 0, 0);
	m = mbuf_of(pool, ip, sizeof(ip), 2000);
	CU_ASSERT_EQUAL(fragment_cut(m, 100, pool, out, 37, &reason), 0);
	CU_ASSERT_EQUAL(reason, DROP_packet_too_big);
	CU_ASSERT_EQUAL(fragment_cut(m, 27, pool, out, CUT_MAX, &reason), 0);
	CU_ASSERT_EQUAL(reason, DROP_packet_too_big);
	while (rte_mempool_avail_count(pool) > 3)
		taken[n++] = rte_pktmbuf_alloc(pool);
	CU_ASSERT_EQUAL(fragment_cut(m, 500, pool, out, CUT_MAX, &reason), 0);
	CU_ASSERT_EQUAL(reason, DROP_no_buffer);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 3);
	CU_ASSERT_EQUAL(mbuf_bytes(m, after), sizeof(ip));
	CU_ASSERT_EQUAL(memcmp(ip, after, sizeof(ip)), 0);
	rte_pktmbuf_free_bulk(taken, n);
	CU_ASSERT_EQUAL(fragment_cut(m, 100, pool, out, 38, &reason), 38);
	check_fragments(ip, sizeof(ip), 100, out, 38, ip, 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/** IPv6 for the sender: extension headers in front of and behind the fragment header, put together by hand. */
static void cut_v6(void)
{
	/* Next header, and headers of 8 bytes by number; `routers`: how many are in front of the fragment header. */
	static const struct {
		uint8_t headers[4], count, routers;
	} cases[] = { { { 0 }, 0, 0 }, { { 0 }, 1, 1 }, { { 60 }, 1, 0 }, { { 0, 60 }, 2, 1 },
		{ { 60, 43, 60 }, 3, 2 } };
	static uint8_t ip[65536], joined[65536], bytes[65536];

	fragment_setup();
	for (unsigned round = 0; round < 400; round++) {
		const unsigned kind = round % RTE_DIM(cases), count = cases[kind].count;
		const uint32_t l3 = 40 + count * 8, point = 40 + cases[kind].routers * 8u;
		const uint32_t len =
			l3 + 8 + 1 + (uint32_t)rand() % (round % 10 == 0 ? 40000 : 3000);
		const uint16_t mtu = (uint16_t)(len / CUT_MAX + 128 + (uint32_t)rand() % 1500);
		struct rte_mbuf *out[CUT_MAX], *m;
		enum drop_reason reason;
		uint32_t at = 0;
		uint16_t n;

		for (unsigned i = 0; i < len; i++)
			ip[i] = (uint8_t)rand();
		ip[0] = 0x60;
		ip[4] = (uint8_t)((len - 40) >> 8);
		ip[5] = (uint8_t)(len - 40);
		ip[6] = count > 0 ? cases[kind].headers[0] : IPPROTO_UDP;
		for (unsigned i = 0; i < count; i++) {
			ip[40 + i * 8] = i + 1 < count ? cases[kind].headers[i + 1] : IPPROTO_UDP;
			ip[41 + i * 8] = 0;
		}
		m = mbuf_of(pool, ip, len, 400 + (uint32_t)rand() % 1600);
		m->port = 3;
		n = fragment_cut_v6(m, (uint16_t)l3, mtu, 0x12345678, pool, out, CUT_MAX, &reason);
		CU_ASSERT_TRUE_FATAL(n > 0 && reason == DROP_NONE);
		for (uint16_t i = 0; i < n; i++) {
			const uint32_t size = mbuf_bytes(out[i], bytes);
			const uint8_t *h = bytes + point;

			rte_mbuf_sanity_check(out[i], 1);
			CU_ASSERT_EQUAL(out[i]->port, 3);
			CU_ASSERT_TRUE(size <= mtu && rte_pktmbuf_headroom(out[i]) >= 96);
			CU_ASSERT_EQUAL((uint32_t)bytes[4] << 8 | bytes[5], size - 40);
			CU_ASSERT_EQUAL(((uint32_t)h[2] << 8 | h[3]), at | (i + 1 < n));
			CU_ASSERT_EQUAL(memcmp(h + 4, "\x12\x34\x56\x78", 4), 0);
			CU_ASSERT_EQUAL(h[1], 0);
			/* The chain of next headers: the original's with 44 put in. */
			CU_ASSERT_EQUAL(cases[kind].routers > 0 ? bytes[point - 8] : bytes[6],
				IPPROTO_FRAGMENT);
			CU_ASSERT_EQUAL(h[0], cases[kind].routers > 0 ? ip[point - 8] : ip[6]);
			if (cases[kind].routers > 0)
				bytes[point - 8] = ip[point - 8];
			else
				bytes[6] = ip[6];
			bytes[4] = ip[4];
			bytes[5] = ip[5];
			CU_ASSERT_EQUAL(memcmp(bytes, ip, point), 0);
			memcpy(joined + at, h + 8, size - point - 8);
			at += size - point - 8;
			rte_pktmbuf_free(out[i]);
		}
		CU_ASSERT_EQUAL(at, len - point);
		CU_ASSERT_EQUAL(memcmp(joined, ip + point, at), 0);
	}
	{
		struct rte_mbuf *out[CUT_MAX], *m = mbuf_of(pool, ip, 3000, 2000);
		enum drop_reason reason;

		ip[6] = IPPROTO_UDP;
		CU_ASSERT_EQUAL(fragment_cut_v6(m, 40, 55, 1, pool, out, CUT_MAX, &reason), 0);
		CU_ASSERT_EQUAL(reason, DROP_packet_too_big);
		CU_ASSERT_EQUAL(fragment_cut_v6(m, 40, 1280, 1, pool, out, 2, &reason), 0);
		CU_ASSERT_EQUAL(reason, DROP_packet_too_big);
		rte_pktmbuf_free(m);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/* --- tracking --- */

struct tally {
	unsigned passed, held, dropped,
		wrong;	      /* wrong: passed with another key than the first fragment's */
	uint32_t first_start; /* of what passed last: whether the order is kept */
};

static bool key_is_whole(const struct pkt *p, bool v6, uint32_t zone)
{
	const uint16_t sport = rte_cpu_to_be_16(0x1388), dport = rte_cpu_to_be_16(53);

	if (p->proto != IPPROTO_UDP)
		return false;
	return v6 ? p->key6.sport == sport && p->key6.dport == dport &&
			       p->key6.zone_proto == (zone << 8 | IPPROTO_UDP) &&
			       p->key6.dst[15] == 2
		  : p->key4.sport == sport && p->key4.dport == dport &&
			       p->key4.zone_proto == (zone << 8 | IPPROTO_UDP);
}

static enum drop_reason track(struct fragment_table *t, uint32_t start, uint32_t len, bool more,
	uint32_t now, struct tally *tally)
{
	struct fragment_release out, dropped;
	enum drop_reason reason;
	struct rte_mbuf *m;
	struct pkt p;
	bool held;

	m = part_parsed(&whole, start, len, more, start % 16 == 0 ? 0 : 75, ZONE, &p);
	reason = fragment_track(t, m, &p, now, &out, &held, &dropped);
	if (reason != DROP_NONE) {
		CU_ASSERT_TRUE(out.count == 0 && !held);
		rte_pktmbuf_free(m);
		tally->dropped++;
	} else {
		CU_ASSERT_TRUE(held == (out.count == 0));
		CU_ASSERT_TRUE(held || out.m[0] == m);
		CU_ASSERT_EQUAL(dropped.count, 0);
	}
	tally->held += held ? 1 : 0;
	tally->held -= out.count > 1 ? out.count - 1u : 0;
	for (uint16_t i = 0; i < out.count; i++) {
		CU_ASSERT_PTR_EQUAL(out.p[i].m, out.m[i]);
		tally->wrong += key_is_whole(&out.p[i], whole.v6, ZONE) ? 0 : 1;
		tally->passed++;
		rte_pktmbuf_free(out.m[i]);
	}
	for (uint16_t i = 0; i < dropped.count; i++) {
		tally->held--;
		tally->dropped++;
		rte_pktmbuf_free(dropped.m[i]);
	}
	return reason;
}

static void any_order(void)
{
	fragment_setup();
	for (unsigned round = 0; round < 300; round++) {
		const uint32_t parts = 2 + (uint32_t)rand() % 14, size = 64;
		struct fragment_table *t = fragment_table_new(64, 64);
		struct tally tally = { 0 };
		uint32_t order[16];

		whole_make(&whole, round & 1, round, parts * size - 8 - (uint32_t)rand() % size);
		shuffle(order, parts);
		for (uint32_t i = 0; i < parts; i++) {
			const uint32_t start = order[i] * size;
			const bool more = order[i] + 1 < parts;

			CU_ASSERT_EQUAL(track(t, start, more ? size : whole_parts(&whole) - start,
						more, 1000, &tally),
				DROP_NONE);
		}
		CU_ASSERT_TRUE(tally.passed == parts && tally.held == 0 && tally.wrong == 0 &&
			       tally.dropped == 0);
		/* The identification is free again at once. */
		CU_ASSERT_EQUAL(track(t, 0, size, true, 1001, &tally), DROP_NONE);
		CU_ASSERT_EQUAL(track(t, size, size, true, 1001, &tally), DROP_NONE);
		CU_ASSERT_EQUAL(tally.held, 0);
		fragment_table_free(t);
		CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	}
}

static void overlaps(void)
{
	static const struct {
		uint32_t start, len;
		bool more;
	} bad[] = {
		{ 64, 128, true },  /* begins inside */
		{ 128, 128, true }, /* ends inside */
		{ 136, 40, true },  /* within */
		{ 0, 512, true },   /* around */
		{ 128, 64, false }, /* another end */
		{ 384, 64, true },  /* behind the end */
		{ 320, 64, true },  /* reaches the end but says more */
		{ 192, 64, false }, /* ends before what is known */
	};

	fragment_setup();
	for (unsigned i = 0; i < 2 * RTE_DIM(bad); i++) {
		struct fragment_table *t = fragment_table_new(64, 64);
		struct tally tally = { 0 };
		const unsigned k = i / 2;

		whole_make(&whole, i & 1, 5, 1000);
		CU_ASSERT_EQUAL(track(t, 128, 64, true, 0, &tally), DROP_NONE);
		CU_ASSERT_EQUAL(track(t, 320, 64, false, 0, &tally), DROP_NONE);
		CU_ASSERT_EQUAL(tally.held, 2);
		CU_ASSERT_EQUAL(track(t, bad[k].start, bad[k].len, bad[k].more, 0, &tally),
			DROP_fragment_malformed);
		CU_ASSERT_TRUE(tally.held == 0 && tally.dropped == 3);
		/* The rest goes the same way, until the time is over. */
		CU_ASSERT_EQUAL(track(t, 0, 64, true, 0, &tally), DROP_fragment_malformed);
		CU_ASSERT_EQUAL(track(t, 0, 64, true, 60000, &tally), DROP_NONE);
		CU_ASSERT_EQUAL(tally.passed, 1);
		fragment_table_free(t);
		CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	}
}

/* The last fragment ends before a part that came earlier. */
static void end_before_known(void)
{
	struct fragment_table *t;
	struct tally tally = { 0 };

	fragment_setup();
	t = fragment_table_new(64, 64);
	whole_make(&whole, false, 5, 1000);
	CU_ASSERT_EQUAL(track(t, 320, 64, true, 0, &tally), DROP_NONE);
	CU_ASSERT_EQUAL(track(t, 192, 64, false, 0, &tally), DROP_fragment_malformed);
	CU_ASSERT_TRUE(tally.held == 0 && tally.dropped == 2);
	fragment_table_free(t);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void duplicates(void)
{
	struct fragment_table *t;
	struct tally tally = { 0 };

	fragment_setup();
	t = fragment_table_new(64, 64);
	whole_make(&whole, false, 5, 1000);
	CU_ASSERT_EQUAL(track(t, 64, 64, true, 0, &tally), DROP_NONE);
	CU_ASSERT_EQUAL(track(t, 64, 64, true, 0, &tally), DROP_fragment_malformed);
	CU_ASSERT_EQUAL(track(t, 128, 33, false, 0, &tally), DROP_NONE);
	CU_ASSERT_EQUAL(track(t, 128, 33, false, 0, &tally), DROP_fragment_malformed);
	CU_ASSERT_EQUAL(track(t, 0, 64, true, 0, &tally), DROP_NONE);
	CU_ASSERT_TRUE(
		tally.passed == 3 && tally.held == 0 && tally.dropped == 2 && tally.wrong == 0);
	fragment_table_free(t);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void bounds(void)
{
	struct fragment_table *t;
	struct tally tally = { 0 };

	fragment_setup();
	/* 16 fragments a packet. */
	t = fragment_table_new(64, 64);
	whole_make(&whole, true, 1, 4000);
	for (uint32_t i = 1; i <= 16; i++)
		CU_ASSERT_EQUAL(track(t, i * 64, 64, true, 0, &tally), DROP_NONE);
	CU_ASSERT_EQUAL(track(t, 17 * 64, 64, true, 0, &tally), DROP_fragment_table_full);
	CU_ASSERT_EQUAL(track(t, 0, 64, true, 0, &tally), DROP_NONE);
	CU_ASSERT_TRUE(tally.passed == 17 && tally.held == 0 && tally.wrong == 0);
	CU_ASSERT_EQUAL(track(t, 17 * 64, 64, true, 0, &tally),
		DROP_NONE); /* comes again, and is not a second copy */
	fragment_table_free(t);
	/* Many parts that touch nothing, then all others: ranges are merged and the packet
	 * becomes whole. */
	t = fragment_table_new(64, 64);
	tally = (struct tally){ 0 };
	whole_make(&whole, false, 1, 60 * 64 - 8);
	CU_ASSERT_EQUAL(track(t, 0, 64, true, 0, &tally), DROP_NONE);
	for (uint32_t i = 1; i < 60; i++)
		CU_ASSERT_EQUAL(track(t, i * 64, 64, i < 59, 0, &tally), DROP_NONE);
	CU_ASSERT_EQUAL(tally.passed, 60);
	CU_ASSERT_EQUAL(track(t, 64, 64, true, 0, &tally), DROP_NONE); /* a new packet */
	CU_ASSERT_EQUAL(tally.held, 1);
	fragment_table_free(t);
	t = fragment_table_new(64, 64);
	tally = (struct tally){ 0 };
	for (uint32_t i = 0; i < 32; i++)
		CU_ASSERT_EQUAL(track(t, i * 128, 64, true, 0, &tally), DROP_NONE);
	CU_ASSERT_EQUAL(track(t, 32 * 64, 64, true, 0, &tally),
		DROP_fragment_malformed); /* an overlap with i = 16: same */
	fragment_table_free(t);
	t = fragment_table_new(64, 64);
	tally = (struct tally){ 0 };
	whole_make(&whole, false, 1, 8000);
	for (uint32_t i = 0; i < 32; i++)
		CU_ASSERT_EQUAL(track(t, i * 128, 64, true, 0, &tally), DROP_NONE);
	CU_ASSERT_EQUAL(
		track(t, 4096 + 64, 64, true, 0, &tally), DROP_fragment_table_full); /* 33 holes */
	fragment_table_free(t);
	/* Held fragments in all. */
	t = fragment_table_new(64, 3);
	tally = (struct tally){ 0 };
	for (uint32_t id = 0; id < 4; id++) {
		whole_make(&whole, false, id, 1000);
		CU_ASSERT_EQUAL(track(t, 64, 64, true, 0, &tally),
			id < 3 ? DROP_NONE : DROP_fragment_table_full);
	}
	whole_make(&whole, false, 0, 1000);
	CU_ASSERT_EQUAL(track(t, 0, 64, true, 0, &tally), DROP_NONE);
	whole_make(&whole, false, 3, 1000);
	CU_ASSERT_EQUAL(track(t, 64, 64, true, 0, &tally), DROP_NONE);
	CU_ASSERT_TRUE(tally.held == 3 && tally.passed == 2);
	fragment_table_free(t);
	/* Packets in all: one bucket of eight. */
	t = fragment_table_new(8, 64);
	tally = (struct tally){ 0 };
	for (uint32_t id = 0; id < 9; id++) {
		whole_make(&whole, true, id, 1000);
		CU_ASSERT_EQUAL(track(t, 0, 64, true, 100, &tally),
			id < 8 ? DROP_NONE : DROP_fragment_table_full);
	}
	CU_ASSERT_EQUAL(track(t, 0, 64, true, 100 + 60000, &tally),
		DROP_NONE); /* room again without any expiry */
	fragment_table_free(t);
	fragment_table_free(NULL);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void zones_and_families_are_apart(void)
{
	struct fragment_release out, dropped;
	struct fragment_table *t;
	struct rte_mbuf *m;
	struct pkt p;
	bool held;

	fragment_setup();
	t = fragment_table_new(64, 64);
	whole_make(&whole, false, 5, 1000);
	m = part_parsed(&whole, 0, 64, true, 0, 1, &p);
	CU_ASSERT_EQUAL(fragment_track(t, m, &p, 0, &out, &held, &dropped), DROP_NONE);
	CU_ASSERT_EQUAL(out.count, 1);
	rte_pktmbuf_free(m);
	m = part_parsed(
		&whole, 64, 64, true, 0, 2, &p); /* another zone: kept, whatever zone 1 said */
	CU_ASSERT_EQUAL(fragment_track(t, m, &p, 0, &out, &held, &dropped), DROP_NONE);
	CU_ASSERT_TRUE(held && out.count == 0);
	m = part_parsed(&whole, 64, 64, true, 0, 1, &p);
	CU_ASSERT_EQUAL(fragment_track(t, m, &p, 0, &out, &held, &dropped), DROP_NONE);
	CU_ASSERT_TRUE(!held && out.count == 1);
	rte_pktmbuf_free(m);
	p.flags = 0;
	m = part_make(&whole, 64, 64, true, 0);
	CU_ASSERT_EQUAL(
		fragment_track(t, m, &p, 0, &out, &held, &dropped), DROP_fragment_malformed);
	rte_pktmbuf_free(m);
	fragment_table_free(t); /* frees what is held */
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void expiry(void)
{
	struct fragment_release expired;
	struct fragment_table *t;
	struct tally tally = { 0 };
	unsigned count = 0;
	const uint32_t start = UINT32_MAX - 1000; /* the clock wraps */

	fragment_setup();
	t = fragment_table_new(1024, 1024);
	for (uint32_t id = 0; id < 40; id++) {
		whole_make(&whole, id & 1, id, 4000);
		for (uint32_t i = 1; i <= 5; i++)
			CU_ASSERT_EQUAL(track(t, i * 64, 64, true, start, &tally), DROP_NONE);
	}
	CU_ASSERT_EQUAL(tally.held, 200);
	for (unsigned pass = 0; pass < 3; pass++) {
		const uint32_t now = start + (pass == 0 ? 29999 : pass == 1 ? 30000 : 60000);

		count = 0;
		for (unsigned i = 0; i < 1000; i++) {
			fragment_expire(t, now, &expired);
			count += expired.count;
			for (uint16_t k = 0; k < expired.count; k++)
				rte_pktmbuf_free(expired.m[k]);
		}
		CU_ASSERT_EQUAL(count, pass == 0 ? 0 : 100);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	/* A packet whose time is over, met before the expiry came by. */
	whole_make(&whole, false, 1, 1000);
	tally = (struct tally){ 0 };
	CU_ASSERT_EQUAL(track(t, 64, 64, true, 0, &tally), DROP_NONE);
	CU_ASSERT_EQUAL(track(t, 0, 64, true, 30000, &tally), DROP_fragment_timeout);
	CU_ASSERT_TRUE(tally.dropped == 2 && tally.held == 0);
	CU_ASSERT_EQUAL(track(t, 0, 64, true, 30000, &tally), DROP_NONE);
	fragment_table_free(t);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static const struct test_case cases[] = {
	{ "cut and join", cut_and_join },
	{ "cut refused", cut_refused },
	{ "cutting IPv6 for the sender", cut_v6 },
	{ "any order", any_order },
	{ "overlaps", overlaps },
	{ "an end before what is known", end_before_known },
	{ "duplicates", duplicates },
	{ "bounds", bounds },
	{ "zones and families are apart", zones_and_families_are_apart },
	{ "expiry", expiry },
};
SUITE_MAIN("fragment", cases)
