/* SPDX-License-Identifier: Apache-2.0 */
/** The flow table when it is full, or should cost nothing: eviction, refusal, shares of zones, reuse, memory. */
#include "dataplane/memory.h"
#include "tests/unit/flows.h"

#include <stdio.h>

/* --- room ----------------------------------------------------------------------------------------- */

/** A number from `n` on, whose key has a slot in its two buckets that is empty, or negative. */
static uint32_t with_slot(struct flow_table *t, bool v6, uint32_t n, uint32_t zone, bool negative)
{
	for (;; n++) {
		struct flow_place p = flow_place(t, &t->pool[v6], hash_of(t, v6, n, zone));

		for (unsigned i = 0; i < 2 * FLOW_BUCKET_SLOTS; i++) {
			uint32_t word = p.bucket[i / FLOW_BUCKET_SLOTS][i % FLOW_BUCKET_SLOTS];

			if (negative ? word != 0 && flow_at(&t->pool[v6],
							    flow_slot_index(&t->pool[v6], word), v6)
								    ->flags &
							    FLOW_NEGATIVE
				     : word == 0)
				return n;
		}
	}
}

/** Numbers of keys that share both buckets with key 1. */
static void same_buckets(struct flow_table *t, bool v6, uint32_t *numbers, unsigned want)
{
	struct flow_place one = flow_place(t, &t->pool[v6], hash_of(t, v6, 1, ZONE));

	for (uint32_t n = 1, found = 0; found < want; n++) {
		struct flow_place p = flow_place(t, &t->pool[v6], hash_of(t, v6, n, ZONE));

		if (RTE_MIN(p.bucket[0], p.bucket[1]) == RTE_MIN(one.bucket[0], one.bucket[1]) &&
			RTE_MAX(p.bucket[0], p.bucket[1]) == RTE_MAX(one.bucket[0], one.bucket[1]))
			numbers[found++] = n;
	}
}

static void full_buckets_of(bool v6)
{
	enum { FULL = 2 * FLOW_BUCKET_SLOTS };
	struct flow_table *t = table_of(64, 1);
	uint32_t k[FULL + 6], elsewhere;
	struct flow *forward;

	same_buckets(t, v6, k, FULL + 6);
	for (unsigned i = 0; i < FULL; i++)
		CU_ASSERT_PTR_NOT_NULL(add(t, v6, k[i], 0, 5000));
	/* Everything is wanted. */
	CU_ASSERT_PTR_NULL(add(t, v6, k[FULL], 0, 5000));
	CU_ASSERT_EQUAL(stats_of(t).refused, 1);
	CU_ASSERT_EQUAL(used(t, v6), FULL);
	/* Negative entries go before wanted ones, the longest idle first; expired ones before both. */
	find(t, v6, k[3])->flags = FLOW_NEGATIVE;
	find(t, v6, k[4])->flags = FLOW_NEGATIVE;
	find(t, v6, k[5])->flags = FLOW_NEGATIVE;
	seen(find(t, v6, k[4]), 4990);
	seen(find(t, v6, k[9]), 5000 - TIMEOUT - 1);
	CU_ASSERT_PTR_NOT_NULL(add(t, v6, k[FULL], 0, 5000));
	CU_ASSERT_PTR_NULL(find(t, v6, k[9]));
	CU_ASSERT_PTR_NOT_NULL(add(t, v6, k[FULL + 1], 0, 5000));
	CU_ASSERT_PTR_NULL(find(t, v6, k[4]));
	CU_ASSERT_PTR_NOT_NULL(add(t, v6, k[FULL + 2], 0, 5000));
	CU_ASSERT_PTR_NOT_NULL(add(t, v6, k[FULL + 3], 0, 5000));
	CU_ASSERT(find(t, v6, k[3]) == NULL && find(t, v6, k[5]) == NULL);
	CU_ASSERT_PTR_NULL(add(t, v6, k[FULL + 4], 0, 5000));
	CU_ASSERT_EQUAL(stats_of(t).evicted, 4);
	CU_ASSERT_EQUAL(stats_of(t).refused, 2);
	CU_ASSERT_EQUAL(used(t, v6), FULL);
	for (unsigned i = FULL; i < FULL + 4; i++)
		CU_ASSERT_PTR_NOT_NULL(find(t, v6, k[i]));
	/* A pair whose reverse finds no room keeps its forward direction; the other way round nothing is left behind. */
	elsewhere = with_slot(t, v6, 1u << 30, ZONE, false);
	forward = add_pair(t, v6, elsewhere, k[FULL + 5], 5000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(forward);
	CU_ASSERT_EQUAL(PAIR(t, v6, forward), FLOW_NONE);
	elsewhere = with_slot(t, v6, 1u << 31, ZONE, false);
	CU_ASSERT_PTR_NULL(add_pair(t, v6, k[FULL + 5], elsewhere, 5000));
	CU_ASSERT_PTR_NULL(find(t, v6, elsewhere));
	CU_ASSERT_EQUAL(used(t, v6), FULL + 1);
	flow_table_free(t);
}
BOTH(full_buckets)

static void full_pool_of(bool v6)
{
	struct flow_table *t = table_of(4096, 1);
	uint32_t n, more;

	/* As many as promised, from one zone that has the table to itself. */
	for (n = 0; n < 4096; n++)
		CU_ASSERT_PTR_NOT_NULL(add(t, v6, n, n < 2048 ? FLOW_NEGATIVE : 0, 10));
	CU_ASSERT_EQUAL(used(t, v6), 4096);
	CU_ASSERT_EQUAL(stats_of(t).refused, 0);
	/* Now every newcomer is refused by the share of its zone: it has all there is. Another zone is not, but the pool
	 * is empty: a negative entry makes room for the next packet. */
	CU_ASSERT_PTR_NULL(add(t, v6, 5000, 0, 10));
	CU_ASSERT_EQUAL(stats_of(t).evicted, 0);
	more = with_slot(t, v6, 5000, ZONE + 1, true);
	CU_ASSERT_PTR_NULL(add_in(t, 0, v6, more, ZONE + 1, 0, 10));
	CU_ASSERT_PTR_NULL(add_in(t, 0, v6, more, ZONE + 1, 0, 10));
	CU_ASSERT_EQUAL(stats_of(t).evicted, 1); /* one at a time */
	CU_ASSERT_EQUAL(stats_of(t).refused, 3);
	flow_expire(t, 0, 10, 0);
	CU_ASSERT_PTR_NULL(add_in(
		t, 0, v6, more, ZONE + 1, 0, 10)); /* this reader may still hold the victim */
	rcu_quiescent(0);
	flow_expire(t, 0, 10, 0);
	CU_ASSERT_PTR_NOT_NULL(add_in(t, 0, v6, more, ZONE + 1, 0, 10));
	CU_ASSERT_EQUAL(used(t, v6), 4096);
	for (n = 2048; n < 4096; n++)
		CU_ASSERT_PTR_NOT_NULL(find(t, v6, n));
	flow_table_free(t);
}
BOTH(full_pool)

/** A flooding zone stops at its share; the others go on. Entries are charged to the zone that made them. */
static void fairness_of(bool v6)
{
	struct flow_table *t = table_of(1024, 2);
	unsigned mine = 0, other = 0;
	uint64_t refused;

	for (uint32_t z = 100; z < 103; z++)
		add_in(t, 0, v6, 1, z, 0, 0);
	for (uint32_t n = 0; n < 2000; n++)
		mine += add_in(t, n % 2, v6, n, 200, 0, 0) != NULL;
	/* Three quarters are anybody's; above, four active zones have a quarter each. */
	CU_ASSERT(mine >= 768 - 3 && mine <= 768 + 2 * FLOW_CHAIN);
	refused = stats_of(t).refused;
	CU_ASSERT_EQUAL(refused, 2000 - mine);
	for (uint32_t n = 0; n < 100; n++)
		other += add_in(t, n % 2, v6, n, 300, 0, 0) != NULL;
	CU_ASSERT_EQUAL(other, 100);
	CU_ASSERT_PTR_NULL(add_in(t, 0, v6, 5000, 200, 0, 0));
	expire(t, TIMEOUT + 1);
	CU_ASSERT_EQUAL(used(t, v6), 0);
	CU_ASSERT_PTR_NOT_NULL(add_in(t, 0, v6, 5000, 200, 0, TIMEOUT + 1));
	for (unsigned w = 0, sum = 0; w <= 2; w++) {
		sum += (unsigned)t->workers[w].zone[v6][200];
		CU_ASSERT(w < 2 || sum == 1);
	}
	flow_table_free(t);
}
BOTH(fairness)

/** Entries come back: through the remover's own list, and through the shared stack to another worker. */
static void recycling_of(bool v6)
{
	struct flow_table *t = table_of(512, 2);
	unsigned failed = 0;

	for (uint32_t round = 0, now = 0; round < 40; round++, now += TIMEOUT + 1) {
		for (uint32_t n = 0; n < 512; n++) {
			/* One worker alone can have everything. */
			if (add_in(t, round % 2, v6, n + round * 1000, ZONE, 0, now) == NULL)
				failed++;
		}
		flow_expire(t, 0, now + TIMEOUT + 1, UINT32_MAX);
		flow_expire(t, 1, now + TIMEOUT + 1, UINT32_MAX);
		rcu_quiescent(0);
		flow_worker_flush(t, 0);
		flow_worker_flush(t, 1);
	}
	CU_ASSERT_EQUAL(failed, 0);
	CU_ASSERT_EQUAL(stats_of(t).inserted, 40 * 512);
	flow_table_free(t);
}
BOTH(recycling)

/** What expired, or was flushed, is used again in a row, so that new flows lie together; but never the two directions of one
 * side by side, whose workers would disturb each other. */
static void together_of(bool v6)
{
	const uint32_t pairs = 512;
	struct flow_table *t = table_of(4096, 1);
	struct flow_pool *pool = &t->pool[v6];
	uint32_t now = 0, number = 0;

	for (unsigned round = 0; round < 3; round++) {
		uint32_t last = 0, far = 0;

		for (uint32_t n = 0; n < pairs; n++, number += 2) {
			struct flow *f = add_pair(t, v6, number, number + 1, now), *other;
			uint32_t a, b;

			CU_ASSERT_PTR_NOT_NULL_FATAL(f);
			other = find(t, v6, number + 1);
			CU_ASSERT_PTR_NOT_NULL_FATAL(other);
			a = flow_index(pool, f, v6);
			b = flow_index(pool, other, v6);
			CU_ASSERT((a > b ? a - b : b - a) >= 4);
			far += n > 0 && (a > last ? a - last : last - a) > 4;
			last = a;
		}
		CU_ASSERT(far <= pairs / 8);
		now += TIMEOUT + 1;
		if (round == 1) {
			flow_table_flush(t);
			rcu_quiescent(0);
			rcu_reclaim();
		} else {
			expire(t, now);
		}
		CU_ASSERT_EQUAL(used(t, v6), 0);
	}
	flow_table_free(t);
}
BOTH(together)

/** All workers have some of the entries in use to expire, also when these are few of many. */
static void shares_of(bool v6)
{
	struct flow_table *t = table_of(1u << 16, 4);
	uint64_t before;

	for (uint32_t n = 0; n < 16384; n++)
		CU_ASSERT_PTR_NOT_NULL(add(t, v6, n, 0, 0));
	for (unsigned w = 0; w < 4; w++) {
		before = used(t, v6);
		flow_expire(t, w, TIMEOUT + 1, UINT32_MAX);
		CU_ASSERT(before - used(t, v6) >= 3072);
	}
	CU_ASSERT_EQUAL(used(t, v6), 0);
	flow_table_free(t);
}
BOTH(shares)

/** More batches wait for their grace period than there is room for: none is lost. */
static void backlog_of(bool v6)
{
	struct flow_table *t = table_of(1024, 1);
	uint32_t now = 0;

	for (uint32_t n = 0; n < 3 * FLOW_BATCHES; n++) {
		CU_ASSERT_PTR_NOT_NULL(add(t, v6, n, 0, now));
		now += TIMEOUT + 1;
		flow_expire(
			t, 0, now, UINT32_MAX); /* a batch of one; this reader keeps it waiting */
	}
	CU_ASSERT_EQUAL(t->workers[0].local[v6].count, FLOW_BATCHES);
	rcu_quiescent(0);
	flow_expire(t, 0, now, 0);
	rcu_quiescent(0);
	flow_expire(t, 0, now, 0);
	CU_ASSERT_EQUAL(t->workers[0].local[v6].count, 0);
	for (uint32_t n = 0; n < 1024; n++)
		CU_ASSERT_PTR_NOT_NULL(add(t, v6, n, 0, now));
	flow_table_free(t);
}
BOTH(backlog)

/* --- memory ------------------------------------------------------------------------------------------- */

static size_t resident_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[200];
	size_t kib = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "VmRSS: %zu", &kib);
	if (f != NULL)
		fclose(f);
	return kib;
}

/** A million entries a family cost nothing before they exist. */
static void laziness(void)
{
	size_t before = resident_kib();
	struct flow_table *t = table_of(1u << 20, 4);

	for (unsigned w = 0; w < 4; w++)
		flow_expire(t, w, 0, UINT32_MAX);
	CU_ASSERT(flow_table_memory(t) > (size_t)200 << 20);
	CU_ASSERT(resident_kib() - before < 2048);
	flow_table_free(t);
}

static void sizes(void)
{
	struct flow_table_conf conf = { 100, 1, 1, TIMEOUT, NEGATIVE, 0 };
	struct flow_table *t = flow_table_new(&conf);
	uint8_t *memory;

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL(stats_of(t).capacity4, 128);
	CU_ASSERT_EQUAL(stats_of(t).capacity6, 64);
	flow_table_free(t);
	conf.entries4 = UINT32_MAX;
	CU_ASSERT_PTR_NULL(flow_table_new(&conf));
	flow_table_free(NULL);
	CU_ASSERT_PTR_NULL(table_memory_map(0, 0));
	CU_ASSERT_PTR_NULL(table_memory_map((size_t)1 << 60, -1));
	memory = table_memory_map(((size_t)5 << 20) + 123, 999); /* no such node: anywhere */
	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	CU_ASSERT_EQUAL((uintptr_t)memory % (2u << 20), 0);
	CU_ASSERT_EQUAL(memory[0] | memory[((size_t)5 << 20) + 122], 0);
	memset(memory, 1, ((size_t)5 << 20) + 123);
	table_memory_unmap(memory, ((size_t)5 << 20) + 123);
	table_memory_unmap(NULL, 1);
}

static const struct test_case cases[] = {
	{ "full buckets", full_buckets },
	{ "full pool", full_pool },
	{ "fairness", fairness },
	{ "recycling", recycling },
	{ "together", together },
	{ "shares", shares },
	{ "backlog", backlog },
	{ "laziness", laziness },
	{ "sizes", sizes },
};

FLOWS_MAIN("flow limits", cases)
