/* SPDX-License-Identifier: Apache-2.0 */
/** The RIB against a reference that keeps every claim of every source in a plain array. */
#include "dataplane/rib.h"

#include "dataplane/generation.h"
#include "dataplane/rcu.h"
#include "tests/unit/suite.h"

#include <string.h>

#define PREFIXES 300
#define EDITS	 200
#define ROUNDS	 200

static uint32_t claims[PREFIXES][RIB_SOURCES], saved[PREFIXES][RIB_SOURCES];
static struct ip_prefix prefixes[PREFIXES];
static uint64_t seed = 88172645463325252u;

static uint32_t next_random(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % below;
}

static void make_prefixes(void)
{
	for (uint32_t i = 0; i < PREFIXES; i++) {
		struct ip_prefix p = { .len = 0 };

		/* Nested ones, of both families; distinct by the last byte used. */
		p.addr.family = i % 2 ? IP_V6 : IP_V4;
		p.addr.bytes[0] = i % 2 ? 0xfd : 10;
		p.addr.bytes[1] = (uint8_t)(i / 40);
		p.addr.bytes[2] = (uint8_t)i;
		p.addr.bytes[3] = (uint8_t)(i * 7);
		p.len = (uint8_t)(i % 2 ? 24 + i % 100 : 24 + i % 9);
		prefixes[i] = ip_prefix_canonical(&p);
	}
}

static uint32_t wanted(uint32_t i)
{
	for (unsigned s = 0; s < RIB_SOURCES; s++) {
		if (claims[i][s] != FIB_NONE)
			return claims[i][s];
	}
	return FIB_NONE;
}

static uint32_t wanted_lookup(const struct ip_addr *addr)
{
	uint32_t best = FIB_NONE;
	int len = -1;

	for (uint32_t i = 0; i < PREFIXES; i++) {
		if (wanted(i) != FIB_NONE && prefixes[i].len > len &&
			ip_prefix_contains(&prefixes[i], addr)) {
			best = wanted(i);
			len = prefixes[i].len;
		}
	}
	return best;
}

static void check_all(const struct fib *fib4, const struct fib *fib6)
{
	for (uint32_t i = 0; i < PREFIXES; i++) {
		const struct fib *fib = prefixes[i].addr.family == IP_V4 ? fib4 : fib6;

		CU_ASSERT_EQUAL(fib_get(fib, &prefixes[i]), wanted(i));
		CU_ASSERT_EQUAL(
			fib_lookup(fib, prefixes[i].addr.bytes), wanted_lookup(&prefixes[i].addr));
		for (unsigned s = 0; s < RIB_SOURCES; s++)
			CU_ASSERT_EQUAL(rib_get(&prefixes[i], (enum rib_source)s), claims[i][s]);
	}
}

static void random_edits(uint32_t count)
{
	while (count-- > 0) {
		uint32_t i = next_random(PREFIXES),
			 value = next_random(3) ? 1 + next_random(1000) : FIB_NONE, old;
		enum rib_source s = (enum rib_source)next_random(RIB_SOURCES);

		if (next_random(10) == 0) {
			uint32_t guess = next_random(2) ? claims[i][s] : 5000;

			CU_ASSERT_EQUAL(rib_clear(&prefixes[i], s, guess), 0);
			if (claims[i][s] == guess)
				claims[i][s] = FIB_NONE;
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(rib_set(&prefixes[i], s, value, &old), 0);
		CU_ASSERT_EQUAL(old, claims[i][s]);
		claims[i][s] = value;
	}
}

static void publish(struct fib **fib4, struct fib **fib6)
{
	rib_seal(fib4, fib6);
	rib_published();
	rcu_reclaim();
}

static void claims_match_the_reference(void)
{
	struct fib *fib4, *fib6;

	rcu_init();
	make_prefixes();
	CU_ASSERT_EQUAL_FATAL(rib_init(), 0);
	publish(&fib4, &fib6);
	for (unsigned round = 0; round < ROUNDS; round++) {
		memcpy(saved, claims, sizeof(claims));
		random_edits(1 + next_random(EDITS));
		if (next_random(3) == 0) {
			rib_abort();
			CU_ASSERT_FALSE(rib_edited());
			memcpy(claims, saved, sizeof(claims));
			rib_seal(&fib4, &fib6);
			rib_published();
		} else {
			publish(&fib4, &fib6);
		}
		check_all(fib4, fib6);
	}
	/* All gone: the FIBs are empty, and take no more memory than new ones. */
	for (uint32_t i = 0; i < PREFIXES; i++) {
		for (unsigned s = 0; s < RIB_SOURCES; s++) {
			CU_ASSERT_EQUAL(
				rib_set(&prefixes[i], (enum rib_source)s, FIB_NONE, NULL), 0);
			claims[i][s] = FIB_NONE;
		}
	}
	publish(&fib4, &fib6);
	CU_ASSERT_EQUAL(fib_count(fib4) + fib_count(fib6), 0);
	rib_fini();
}

static uint32_t generation_of(const char *addr)
{
	struct ip_addr a;

	ip_addr_parse(addr, &a);
	return generation_get(a.family == IP_V4
				      ? generation_dst4(*(const uint32_t *)(const void *)a.bytes)
				      : generation_dst6(a.bytes));
}

static struct ip_prefix prefix_of(const char *text)
{
	struct ip_prefix p;

	CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(text, &p), 0);
	return p;
}

static void just_what_changed_is_bumped(void)
{
	struct ip_prefix p = prefix_of("10.1.2.0/24"), q = prefix_of("fd00:1::/64");
	struct fib *fib4, *fib6;
	uint32_t four, six, other;

	CU_ASSERT_EQUAL_FATAL(rib_init(), 0);
	four = generation_of("10.1.2.3");
	six = generation_of("fd00:1::3");
	other = generation_of("10.1.3.3");
	rib_set(&p, RIB_PEER, 70, NULL);
	publish(&fib4, &fib6);
	CU_ASSERT_EQUAL(generation_of("10.1.2.3"), four + 1);
	CU_ASSERT_EQUAL(generation_of("fd00:1::3"), six);
	CU_ASSERT_EQUAL(generation_of("10.1.3.3"), other);
	/* A claim that does not win, and one given up and made again, change nothing. */
	rib_set(&p, RIB_POOL, 80, NULL);
	rib_set(&p, RIB_PEER, FIB_NONE, NULL);
	rib_set(&p, RIB_PEER, 70, NULL);
	publish(&fib4, &fib6);
	CU_ASSERT_EQUAL(generation_of("10.1.2.3"), four + 1);
	rib_set(&p, RIB_PEER, FIB_NONE, NULL);
	rib_set(&q, RIB_ROUTE, 90, NULL);
	publish(&fib4, &fib6);
	CU_ASSERT_EQUAL(generation_of("10.1.2.3"), four + 2);
	CU_ASSERT_EQUAL(generation_of("fd00:1::3"), six + 1);
	CU_ASSERT_EQUAL(fib_get(fib4, &p), 80);
	CU_ASSERT_EQUAL(rib_winner(&p), RIB_POOL);
	CU_ASSERT_EQUAL(rib_winner(&q), RIB_ROUTE);
	CU_ASSERT_EQUAL(rib_lookup(&q.addr), 90);
	rib_fini();
}

static void many_changes_bump_everything(void)
{
	struct fib *fib4, *fib6;
	uint32_t other;

	CU_ASSERT_EQUAL_FATAL(rib_init(), 0);
	other = generation_of("172.16.0.1");
	for (uint32_t i = 0; i < 5000; i++) {
		struct ip_prefix p = { .addr = { .family = IP_V4,
					       .bytes = { 11, (uint8_t)(i >> 8), (uint8_t)i } },
			.len = 24 };

		CU_ASSERT_EQUAL(rib_set(&p, RIB_ROUTE, 1 + i, NULL), 0);
	}
	publish(&fib4, &fib6);
	CU_ASSERT_TRUE(generation_of("172.16.0.1") > other);
	CU_ASSERT_EQUAL(fib_count(fib4), 5000);
	rib_fini();
}

static const struct test_case cases[] = {
	{ "claims match the reference", claims_match_the_reference },
	{ "just what changed is bumped", just_what_changed_is_bumped },
	{ "many changes bump everything", many_changes_bump_everything },
};
SUITE_MAIN("rib", cases)
