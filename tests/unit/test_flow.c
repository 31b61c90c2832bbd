/* SPDX-License-Identifier: Apache-2.0 */
/** The flow table in one thread: against a reference, and at its limits. Threads: test_flow_threads.c. */
#include "dataplane/flow_table.h"
#include "dataplane/memory.h"
#include "dataplane/rcu.h"
#include "tests/unit/suite.h"

#include <stdio.h>

#define TIMEOUT	 1000u
#define NEGATIVE 100u
#define ZONE	 7u

static uint64_t rng = 88172645463325252u;

static uint32_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 16);
}

static struct flow_table *table_of(uint32_t entries, unsigned workers)
{
	struct flow_table_conf conf = { entries, entries, workers, TIMEOUT, NEGATIVE, -1 };
	struct flow_table *t = flow_table_new(&conf);

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return t;
}

/* One test body for both families: a key is made from a number, the rest follows. */
static struct flow_key4 key4_of(uint32_t n, uint32_t zone)
{
	return (struct flow_key4){
		.src = n, .dst = ~n, .sport = (uint16_t)n, .dport = 80, .zone_proto = zone << 8 | 6
	};
}
static struct flow_key6 key6_of(uint32_t n, uint32_t zone)
{
	struct flow_key6 k = {
		.src = { 0xfd }, .dst = { 0xfd, 1 }, .dport = 80, .zone_proto = zone << 8 | 6
	};

	memcpy(&k.src[12], &n, 4);
	return k;
}

static uint64_t hash_of(struct flow_table *t, bool v6, uint32_t n, uint32_t zone)
{
	struct flow_key4 k4 = key4_of(n, zone);
	struct flow_key6 k6 = key6_of(n, zone);

	return v6 ? flow_hash6(t, &k6) : flow_hash4(t, &k4);
}

static struct flow *find_in(struct flow_table *t, bool v6, uint32_t n, uint32_t zone)
{
	struct pkt pkt = { 0 }, *list[1] = { &pkt };
	struct flow *flow;

	if (v6)
		pkt.key6 = key6_of(n, zone);
	else
		pkt.key4 = key4_of(n, zone);
	pkt.hash = hash_of(t, v6, n, zone);
	if (v6)
		flow_lookup6(t, list, &flow, 1);
	else
		flow_lookup4(t, list, &flow, 1);
	return flow;
}
static struct flow *find(struct flow_table *t, bool v6, uint32_t n)
{
	return find_in(t, v6, n, ZONE);
}

static struct flow *add_in(struct flow_table *t, unsigned worker, bool v6, uint32_t n,
	uint32_t zone, uint8_t flags, uint32_t now)
{
	struct flow_key4 k4 = key4_of(n, zone);
	struct flow_key6 k6 = key6_of(n, zone);
	struct flow_init init = {
		.decision = { n, 1 }, .epoch = 3, .rule = 4, .deps = { 1, 2, 3 }, .flags = flags
	};

	return v6 ? flow_insert6(t, worker, &k6, flow_hash6(t, &k6), &init, NULL, NULL, now)
		  : flow_insert4(t, worker, &k4, flow_hash4(t, &k4), &init, NULL, NULL, now);
}
static struct flow *add(struct flow_table *t, bool v6, uint32_t n, uint8_t flags, uint32_t now)
{
	return add_in(t, 0, v6, n, ZONE, flags, now);
}
static struct flow *add_pair(
	struct flow_table *t, bool v6, uint32_t n, uint32_t reverse, uint32_t now)
{
	struct flow_key4 k4 = key4_of(n, ZONE), r4 = key4_of(reverse, ZONE);
	struct flow_key6 k6 = key6_of(n, ZONE), r6 = key6_of(reverse, ZONE);
	struct flow_init init = { .flags = 0 }, back = { .flags = FLOW_REPLY };

	return v6 ? flow_insert6(t, 0, &k6, flow_hash6(t, &k6), &init, &r6, &back, now)
		  : flow_insert4(t, 0, &k4, flow_hash4(t, &k4), &init, &r4, &back, now);
}

/** All expiry there is to do, and its grace period. */
static void expire(struct flow_table *t, uint32_t now)
{
	for (unsigned w = 0; w < t->n_workers; w++)
		flow_expire(t, w, now, UINT32_MAX);
	rcu_quiescent(0);
	for (unsigned w = 0; w < t->n_workers; w++)
		flow_expire(t, w, now, 0);
}

static struct flow_stats stats_of(const struct flow_table *t)
{
	struct flow_stats s;

	flow_table_stats(t, &s);
	return s;
}
static uint64_t used(const struct flow_table *t, bool v6)
{
	return v6 ? stats_of(t).used6 : stats_of(t).used4;
}

static void seen(struct flow *flow, uint32_t now)
{
	CU_ASSERT_PTR_NOT_NULL(flow);
	if (flow != NULL)
		atomic_store_explicit(&flow->last_seen, now, memory_order_relaxed);
}

#define BOTH(name)                \
	static void name(void)    \
	{                         \
		name##_of(false); \
		name##_of(true);  \
	}

/* --- the hash ----------------------------------------------------------------------------------------------- */

/** Every bit of the key flips every bit of the hash in half of all cases. */
static void avalanche_of(bool v6)
{
	enum { SAMPLES = 2000 };
	struct flow_table *t = table_of(64, 1);
	unsigned bits = v6 ? 320 : 128, low = SAMPLES, high = 0;

	for (unsigned bit = 0; bit < bits; bit++) {
		unsigned flips[64] = { 0 };

		for (unsigned n = 0; n < SAMPLES; n++) {
			union {
				struct flow_key4 k4;
				struct flow_key6 k6;
				uint8_t bytes[40];
			} k;
			uint64_t before, diff;

			memset(&k, 0, sizeof(k));
			memcpy(k.bytes, &n, sizeof(n)); /* dense keys: the hard case */
			k.bytes[9] = (uint8_t)(n * 3);
			before = v6 ? flow_hash6(t, &k.k6) : flow_hash4(t, &k.k4);
			k.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			diff = before ^ (v6 ? flow_hash6(t, &k.k6) : flow_hash4(t, &k.k4));
			for (unsigned i = 0; i < 64; i++)
				flips[i] += diff >> i & 1;
		}
		for (unsigned i = 0; i < 64; i++) {
			low = RTE_MIN(low, flips[i]);
			high = RTE_MAX(high, flips[i]);
		}
	}
	/* 45 standard deviations of noise would be 1000; nine are 200. */
	CU_ASSERT(low > SAMPLES / 2 - 200);
	CU_ASSERT(high < SAMPLES / 2 + 200);
	flow_table_free(t);
}
BOTH(avalanche)

static void hash_is_keyed(void)
{
	struct flow_table *a = table_of(64, 1), *b = table_of(64, 1);

	CU_ASSERT(hash_of(a, false, 1, 1) != hash_of(b, false, 1, 1));
	CU_ASSERT(hash_of(a, true, 1, 1) != hash_of(b, true, 1, 1));
	flow_table_free(a);
	flow_table_free(b);
}

/* --- contents ----------------------------------------------------------------------------------------------- */

static void reference_of(bool v6)
{
	enum { KEYS = 6000, STEPS = 400, VECTOR = 256 };
	struct flow_table *t = table_of(8192, 2);
	static uint32_t last[KEYS];
	static bool present[KEYS];
	static struct pkt pkts[VECTOR];
	struct pkt *list[VECTOR];
	struct flow *flows[VECTOR];
	uint32_t number[VECTOR], now = UINT32_MAX - 5000; /* the clock wraps on the way */
	unsigned wrong = 0;

	memset(present, 0, sizeof(present));
	for (unsigned step = 0; step < STEPS; step++, now += 50) {
		unsigned n = 1 + rnd() % VECTOR;

		for (unsigned i = 0; i < n; i++) {
			/* Some keys come often and live, others seldom and expire. */
			number[i] = rnd() % 2 ? rnd() % 500 : rnd() % KEYS;
			if (v6)
				pkts[i].key6 = key6_of(number[i], ZONE);
			else
				pkts[i].key4 = key4_of(number[i], ZONE);
			pkts[i].hash = hash_of(t, v6, number[i], ZONE);
			list[i] = &pkts[i];
		}
		if (v6)
			flow_lookup6(t, list, flows, (uint16_t)n);
		else
			flow_lookup4(t, list, flows, (uint16_t)n);
		for (unsigned i = 0; i < n; i++) {
			wrong += (flows[i] != NULL) != present[number[i]];
			wrong += flows[i] != NULL &&
				 flow_decision_get(flows[i]).adjacency != number[i];
		}
		for (unsigned i = 0; i < n; i++) {
			struct flow *flow = add_in(t, rnd() % 2, v6, number[i], ZONE, 0, now);

			wrong += flow == NULL || (flows[i] != NULL && flow != flows[i]);
			seen(flow, now);
			present[number[i]] = true;
			last[number[i]] = now;
		}
		if (step % 7 == 0) {
			uint64_t alive = 0;

			expire(t, now);
			for (unsigned k = 0; k < KEYS; k++) {
				present[k] = present[k] && now - last[k] <= TIMEOUT;
				alive += present[k];
			}
			wrong += used(t, v6) != alive;
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(stats_of(t).expired > 1000);
	CU_ASSERT_EQUAL(stats_of(t).inserted - stats_of(t).expired, used(t, v6));
	CU_ASSERT_EQUAL(used(t, !v6), 0);
	flow_table_free(t);
}
BOTH(reference)

static void contents_of(bool v6)
{
	struct flow_table *t = table_of(64, 1);
	struct flow *a = add(t, v6, 5, FLOW_REPLY, 77);

	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_PTR_EQUAL(find(t, v6, 5), a);
	CU_ASSERT_PTR_EQUAL(add(t, v6, 5, 0, 78), a); /* there already: untouched */
	CU_ASSERT_EQUAL(stats_of(t).inserted, 1);
	CU_ASSERT_PTR_NULL(find(t, v6, 6));
	CU_ASSERT_PTR_NULL(find_in(t, v6, 5, ZONE + 1)); /* another port's tuple */
	CU_ASSERT_EQUAL(flow_decision_get(a).adjacency, 5);
	CU_ASSERT_EQUAL(flow_decision_get(a).generation, 1);
	CU_ASSERT_EQUAL(a->epoch, 3);
	CU_ASSERT_EQUAL(a->rule, 4);
	CU_ASSERT_EQUAL(a->deps[2], 3);
	CU_ASSERT_EQUAL(a->flags, FLOW_REPLY);
	CU_ASSERT_EQUAL(a->last_seen, 77);
	CU_ASSERT_EQUAL(a->pair, FLOW_NONE);
	CU_ASSERT_EQUAL(a->packets + a->bytes, 0);
	flow_table_free(t);
}
BOTH(contents)

/** Two flows whose tags are equal, in the same bucket, are still two flows. */
static void tag_collision_of(bool v6)
{
	struct flow_table *t = table_of(64, 1);
	struct flow_key4 a4 = key4_of(1, ZONE), b4 = key4_of(2, ZONE);
	struct flow_key6 a6 = key6_of(1, ZONE), b6 = key6_of(2, ZONE);
	struct flow_init init = { .flags = 0 };
	struct pkt pkts[3] = { { .hash = 42 }, { .hash = 42 }, { .hash = 42 } };
	struct pkt *list[3] = { &pkts[0], &pkts[1], &pkts[2] };
	struct flow *a, *b, *found[3];

	/* The table believes the hash it is given. */
	a = v6 ? flow_insert6(t, 0, &a6, 42, &init, NULL, NULL, 0)
	       : flow_insert4(t, 0, &a4, 42, &init, NULL, NULL, 0);
	b = v6 ? flow_insert6(t, 0, &b6, 42, &init, NULL, NULL, 0)
	       : flow_insert4(t, 0, &b4, 42, &init, NULL, NULL, 0);
	CU_ASSERT(a != NULL && b != NULL && a != b);
	for (uint32_t i = 0; i < 3; i++) {
		if (v6)
			pkts[i].key6 = key6_of(i + 1, ZONE);
		else
			pkts[i].key4 = key4_of(i + 1, ZONE);
	}
	if (v6)
		flow_lookup6(t, list, found, 3);
	else
		flow_lookup4(t, list, found, 3);
	CU_ASSERT_PTR_EQUAL(found[0], a);
	CU_ASSERT_PTR_EQUAL(found[1], b);
	CU_ASSERT_PTR_NULL(found[2]);
	flow_table_free(t);
}
BOTH(tag_collision)

/* --- pairs and time ----------------------------------------------------------------------------------------- */

static void pair_of(bool v6)
{
	struct flow_table *t = table_of(64, 1);
	struct flow *a = add_pair(t, v6, 1, 2, 0), *b = find(t, v6, 2), *c, *d;

	CU_ASSERT_FATAL(a != NULL && b != NULL);
	CU_ASSERT_EQUAL(b->flags, FLOW_REPLY);
	CU_ASSERT_PTR_EQUAL(flow_at(&t->pool[v6], a->pair, v6), b);
	CU_ASSERT_PTR_EQUAL(flow_at(&t->pool[v6], b->pair, v6), a);
	/* One direction keeps the other. */
	seen(b, 900);
	expire(t, 1500);
	CU_ASSERT_PTR_EQUAL(find(t, v6, 1), a);
	CU_ASSERT_PTR_EQUAL(find(t, v6, 2), b);
	expire(t, 1901);
	CU_ASSERT_EQUAL(used(t, v6), 0);
	/* A reverse that is there already is linked. */
	d = add(t, v6, 4, 0, 2000);
	c = add_pair(t, v6, 3, 4, 2000);
	CU_ASSERT_PTR_EQUAL(flow_at(&t->pool[v6], c->pair, v6), d);
	CU_ASSERT_PTR_EQUAL(flow_at(&t->pool[v6], d->pair, v6), c);
	/* A packet whose reverse is itself is one entry. */
	c = add_pair(t, v6, 9, 9, 2000);
	CU_ASSERT_EQUAL(c->pair, FLOW_NONE);
	CU_ASSERT_EQUAL(used(t, v6), 3);
	flow_table_free(t);
}
BOTH(pair)

/** The index of a pair that is gone now serves a busy stranger: it keeps nobody alive, and is not cut from its own pair. */
static void stale_pair_of(bool v6)
{
	struct flow_table *t = table_of(64, 1);
	struct flow *a = add(t, v6, 1, 0, 0), *x = add_pair(t, v6, 2, 3, 0);
	uint32_t before = x->pair,
		 index = (uint32_t)(((uintptr_t)x - (uintptr_t)flow_at(&t->pool[v6], 0, v6)) /
				    (v6 ? sizeof(struct flow6) : sizeof(struct flow4)));

	a->pair = index;
	seen(x, 1500);
	expire(t, 1600);
	CU_ASSERT_PTR_NULL(find(t, v6, 1));
	CU_ASSERT_PTR_EQUAL(find(t, v6, 2), x);
	CU_ASSERT_EQUAL(x->pair, before);
	CU_ASSERT_EQUAL(used(t, v6), 2);
	flow_table_free(t);
}
BOTH(stale_pair)

static void ticking_of(bool v6)
{
	struct flow_table *t = table_of(64, 2);
	uint32_t now = UINT32_MAX - 10;

	add(t, v6, 1, 0, now);
	add(t, v6, 2, FLOW_NEGATIVE, now);
	add(t, v6, 3, 0, now + 500); /* a worker whose clock is ahead */
	expire(t, now);
	CU_ASSERT_EQUAL(used(t, v6), 3);
	expire(t, now + NEGATIVE);
	CU_ASSERT_EQUAL(used(t, v6), 3);
	expire(t, now + NEGATIVE + 1);
	CU_ASSERT_PTR_NULL(find(t, v6, 2));
	expire(t, now + TIMEOUT);
	CU_ASSERT_EQUAL(used(t, v6), 2);
	expire(t, now + TIMEOUT + 1);
	CU_ASSERT_PTR_NULL(find(t, v6, 1));
	CU_ASSERT_PTR_NOT_NULL(find(t, v6, 3));
	flow_table_set_timeout(t, 10);
	expire(t, now + TIMEOUT + 1);
	CU_ASSERT_EQUAL(used(t, v6), 0);
	CU_ASSERT_EQUAL(stats_of(t).expired, 3);
	flow_table_free(t);
}
BOTH(ticking)

/** A budget smaller than the share walks all of it in turn; the shares of all workers are the table. */
static void budget_of(bool v6)
{
	struct flow_table *t = table_of(1024, 3);
	unsigned calls = 0;

	for (uint32_t n = 0; n < 700; n++)
		add(t, v6, n, 0, 0);
	while (used(t, v6) != 0 && calls++ < 1000) {
		uint64_t before = used(t, v6);

		for (unsigned w = 0; w < 3; w++)
			flow_expire(t, w, TIMEOUT + 1, 2);
		CU_ASSERT(before - used(t, v6) <= 3 * 2 * FLOW_BUCKET_SLOTS);
	}
	/* Both families lie in the cursor's way: 2 x 256 buckets, 3 workers, 2 a call. */
	CU_ASSERT(calls >= 40 && calls <= 90);
	flow_table_free(t);
}
BOTH(budget)

/* --- limits ------------------------------------------------------------------------------------------------- */

/** A number from `n` on, whose key has a slot in its two buckets that is empty, or negative. */
static uint32_t with_slot(struct flow_table *t, bool v6, uint32_t n, uint32_t zone, bool negative)
{
	for (;; n++) {
		struct flow_place p = flow_place(t, &t->pool[v6], hash_of(t, v6, n, zone));

		for (unsigned i = 0; i < 2 * FLOW_BUCKET_SLOTS; i++) {
			uint64_t word = p.bucket[i / FLOW_BUCKET_SLOTS][i % FLOW_BUCKET_SLOTS];

			if (negative ? word != 0 &&
						flow_at(&t->pool[v6], (uint32_t)word, v6)->flags &
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
	struct flow_table *t = table_of(64, 1);
	uint32_t k[22], elsewhere;
	struct flow *forward;

	same_buckets(t, v6, k, 22);
	for (unsigned i = 0; i < 16; i++)
		CU_ASSERT_PTR_NOT_NULL(add(t, v6, k[i], 0, 5000));
	/* Everything is wanted. */
	CU_ASSERT_PTR_NULL(add(t, v6, k[16], 0, 5000));
	CU_ASSERT_EQUAL(stats_of(t).refused, 1);
	CU_ASSERT_EQUAL(used(t, v6), 16);
	/* Negative entries go before wanted ones, the longest idle first; expired ones before both. */
	find(t, v6, k[3])->flags = FLOW_NEGATIVE;
	find(t, v6, k[4])->flags = FLOW_NEGATIVE;
	find(t, v6, k[5])->flags = FLOW_NEGATIVE;
	seen(find(t, v6, k[4]), 4990);
	seen(find(t, v6, k[9]), 5000 - TIMEOUT - 1);
	CU_ASSERT_PTR_NOT_NULL(add(t, v6, k[16], 0, 5000));
	CU_ASSERT_PTR_NULL(find(t, v6, k[9]));
	CU_ASSERT_PTR_NOT_NULL(add(t, v6, k[17], 0, 5000));
	CU_ASSERT_PTR_NULL(find(t, v6, k[4]));
	CU_ASSERT_PTR_NOT_NULL(add(t, v6, k[18], 0, 5000));
	CU_ASSERT_PTR_NOT_NULL(add(t, v6, k[19], 0, 5000));
	CU_ASSERT(find(t, v6, k[3]) == NULL && find(t, v6, k[5]) == NULL);
	CU_ASSERT_PTR_NULL(add(t, v6, k[20], 0, 5000));
	CU_ASSERT_EQUAL(stats_of(t).evicted, 4);
	CU_ASSERT_EQUAL(stats_of(t).refused, 2);
	CU_ASSERT_EQUAL(used(t, v6), 16);
	for (unsigned i = 16; i < 20; i++)
		CU_ASSERT_PTR_NOT_NULL(find(t, v6, k[i]));
	/* A pair whose reverse finds no room keeps its forward direction; the other way round nothing is left behind. */
	elsewhere = with_slot(t, v6, 1u << 30, ZONE, false);
	forward = add_pair(t, v6, elsewhere, k[21], 5000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(forward);
	CU_ASSERT_EQUAL(forward->pair, FLOW_NONE);
	elsewhere = with_slot(t, v6, 1u << 31, ZONE, false);
	CU_ASSERT_PTR_NULL(add_pair(t, v6, k[21], elsewhere, 5000));
	CU_ASSERT_PTR_NULL(find(t, v6, elsewhere));
	CU_ASSERT_EQUAL(used(t, v6), 17);
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

/* --- control ------------------------------------------------------------------------------------------------ */

struct visited {
	unsigned count, stop_at;
	uint64_t packets;
	uint32_t idle;
	bool seen[200];
};
static int visit(const struct flow_record *r, void *arg)
{
	struct visited *v = arg;
	uint32_t n;

	memcpy(&n, r->v6 ? &r->key6.src[12] : (const uint8_t *)&r->key4.src, 4);
	v->seen[n + 100 * r->v6] = true;
	v->packets += r->packets;
	v->idle += r->idle_ms;
	return ++v->count == v->stop_at ? 7 : 0;
}

static void listing(void)
{
	struct flow_table *t = table_of(1024, 2);
	struct visited v = { 0 };

	for (uint32_t n = 0; n < 100; n++) {
		add(t, false, n, 0, 10)->packets = n;
		add(t, true, n, FLOW_NEGATIVE, 20);
	}
	CU_ASSERT_EQUAL(flow_table_each(t, 1, 0, 15, visit, &v), 0);
	CU_ASSERT_EQUAL(v.count, 200);
	CU_ASSERT_EQUAL(v.packets, 4950);
	CU_ASSERT_EQUAL(v.idle, 500);
	for (unsigned i = 0; i < 200; i++)
		CU_ASSERT(v.seen[i]);
	v = (struct visited){ 0 };
	CU_ASSERT_EQUAL(flow_table_each(t, 1, 150, 15, visit, &v), 0);
	CU_ASSERT_EQUAL(v.count, 150);
	v = (struct visited){ .stop_at = 3 };
	CU_ASSERT_EQUAL(flow_table_each(t, 1, 0, 15, visit, &v), 7);
	CU_ASSERT_EQUAL(v.count, 3);
	flow_table_free(t);
}

static void flushing(void)
{
	struct flow_table *t = table_of(1024, 1);
	struct flow *held;

	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t n = 0; n < 1024; n++) {
			CU_ASSERT_PTR_NOT_NULL(add(t, false, n, 0, 0));
			CU_ASSERT_PTR_NOT_NULL(add(t, true, n, 0, 0));
		}
		held = find(t, false, 77);
		flow_table_flush(t);
		CU_ASSERT_EQUAL(used(t, false) + used(t, true), 0);
		CU_ASSERT_PTR_NULL(find(t, false, 77));
		rcu_reclaim();
		CU_ASSERT_PTR_NULL(add(t, false, 1u << 20, 0, 0)); /* not before the grace period */
		CU_ASSERT_EQUAL(flow_decision_get(held).adjacency, 77);
		rcu_quiescent(0);
		rcu_reclaim();
		CU_ASSERT_EQUAL(rcu_pending(), 0);
	}
	flow_table_flush(t); /* empty: nothing to do */
	CU_ASSERT_EQUAL(rcu_pending(), 0);
	flow_table_free(t);
}

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
	{ "avalanche", avalanche },
	{ "hash is keyed", hash_is_keyed },
	{ "reference", reference },
	{ "contents", contents },
	{ "tag collision", tag_collision },
	{ "pair", pair },
	{ "stale pair", stale_pair },
	{ "clock", ticking },
	{ "budget", budget },
	{ "full buckets", full_buckets },
	{ "full pool", full_pool },
	{ "fairness", fairness },
	{ "recycling", recycling },
	{ "backlog", backlog },
	{ "listing", listing },
	{ "flushing", flushing },
	{ "laziness", laziness },
	{ "sizes", sizes },
};

int main(void)
{
	int ret;

	if (rcu_init() < 0)
		return EXIT_FAILURE;
	rcu_reader_register(0);
	ret = suite_run("flow", cases, sizeof(cases) / sizeof(cases[0]));
	rcu_reader_unregister(0);
	return ret;
}
