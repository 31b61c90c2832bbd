/* SPDX-License-Identifier: Apache-2.0 */
/** The flow table in one thread: hash, contents against a reference, pairs, time, listing and flushing. Its limits:
 * test_flow_limits.c; threads: test_flow_threads.c. */
#include "tests/unit/flows.h"

static uint64_t rng = 88172645463325252u;

static uint32_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 16);
}

/* --- the hash ----------------------------------------------------------------------------------------------- */

/** Every bit of the key flips every bit of the hash in half of all cases. */
static void avalanche_in(struct flow_table *t, bool v6)
{
	enum { SAMPLES = 2000 };
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
}

static void avalanche_of(bool v6)
{
	struct flow_table *t = table_of(64, 1);

	avalanche_in(t, v6);
	t->secret.aes = false;
	avalanche_in(t, v6);
	flow_table_free(t);
}
BOTH(avalanche)

/** Lists of keys are hashed as single ones are. */
static void hash_lists(void)
{
	struct flow_table *t = table_of(64, 1);
	struct flow_key4 k4[100];
	struct flow_key6 k6[100];
	uint64_t h4[101], h6[101];

	for (uint32_t n = 0; n < 100; n++) {
		k4[n] = key4_of(n * 7919, ZONE);
		k6[n] = key6_of(n * 7919, ZONE);
	}
	for (uint32_t n = 0; t->secret.aes && n <= 100; n += n < 8 ? 1 : 23) {
		h4[n] = h6[n] = 0x0123456789abcdefu;
		flow_hash4_aes_list(&t->secret, k4, h4, n);
		flow_hash6_aes_list(&t->secret, k6, h6, n);
		CU_ASSERT(h4[n] == 0x0123456789abcdefu && h6[n] == 0x0123456789abcdefu);
		for (uint32_t i = 0; i < n; i++)
			CU_ASSERT(h4[i] == flow_hash4(t, &k4[i]) && h6[i] == flow_hash6(t, &k6[i]));
	}
	flow_table_free(t);
}

static void hash_is_keyed(void)
{
	struct flow_table *a = table_of(64, 1), *b = table_of(64, 1);

	CU_ASSERT(hash_of(a, false, 1, 1) != hash_of(b, false, 1, 1));
	CU_ASSERT(hash_of(a, true, 1, 1) != hash_of(b, true, 1, 1));
	flow_table_free(a);
	flow_table_free(b);
}

/* --- contents ----------------------------------------------------------------------------------------------- */

/** `index_mask`: 0 = the table's own. */
static void reference_with(bool v6, uint32_t index_mask)
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

	if (index_mask != 0)
		t->pool[v6].index_mask = index_mask;
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
static void reference_of(bool v6)
{
	reference_with(v6, 0);
}
BOTH(reference)

/** In a huge table few bits of a slot are left for the tag: here one, the same for all keys, so that every key of a bucket
 * looks like every other. */
static void few_tags_of(bool v6)
{
	reference_with(v6, INT32_MAX);
}
BOTH(few_tags)

/** No slot of a published entry looks empty, and tag and index come out as they went in, in the smallest table and the
 * largest. */
static void slots(void)
{
	for (uint32_t capacity = 64; capacity <= 1u << 30; capacity *= 2) {
		const struct flow_pool pool = { .capacity = capacity,
			.index_mask = 2 * capacity - 1 };

		for (unsigned n = 0; n < 100; n++) {
			const uint64_t hash =
				n < 2 ? (uint64_t)n - 1 : (uint64_t)rnd() << 32 | rnd();
			const uint32_t index = n % 2 ? capacity : 1 + rnd() % capacity,
				       tag = flow_tag(&pool, hash);

			CU_ASSERT(tag != 0 && flow_slot_tagged(&pool, tag | index, tag));
			CU_ASSERT_EQUAL(flow_slot_index(&pool, tag | index), index);
			CU_ASSERT(!flow_slot_tagged(&pool, index, tag));
		}
	}
}

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
	CU_ASSERT_EQUAL(PAIR(t, v6, a), FLOW_NONE);
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
	CU_ASSERT_PTR_EQUAL(flow_at(&t->pool[v6], PAIR(t, v6, a), v6), b);
	CU_ASSERT_PTR_EQUAL(flow_at(&t->pool[v6], PAIR(t, v6, b), v6), a);
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
	CU_ASSERT_PTR_EQUAL(flow_at(&t->pool[v6], PAIR(t, v6, c), v6), d);
	CU_ASSERT_PTR_EQUAL(flow_at(&t->pool[v6], PAIR(t, v6, d), v6), c);
	/* A packet whose reverse is itself is one entry. */
	c = add_pair(t, v6, 9, 9, 2000);
	CU_ASSERT_EQUAL(PAIR(t, v6, c), FLOW_NONE);
	CU_ASSERT_EQUAL(used(t, v6), 3);
	flow_table_free(t);
}
BOTH(pair)

/** The index of a pair that is gone now serves a busy stranger: it keeps nobody alive, and is not cut from its own pair. */
static void stale_pair_of(bool v6)
{
	struct flow_table *t = table_of(64, 1);
	struct flow *a = add(t, v6, 1, 0, 0), *x = add_pair(t, v6, 2, 3, 0);
	uint32_t before = PAIR(t, v6, x),
		 index = (uint32_t)(((uintptr_t)x - (uintptr_t)flow_at(&t->pool[v6], 0, v6)) /
				    (v6 ? sizeof(struct flow6) : sizeof(struct flow4)));

	PAIR(t, v6, a) = index;
	seen(x, 1500);
	expire(t, 1600);
	CU_ASSERT_PTR_NULL(find(t, v6, 1));
	CU_ASSERT_PTR_EQUAL(find(t, v6, 2), x);
	CU_ASSERT_EQUAL(PAIR(t, v6, x), before);
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
			flow_expire(t, w, TIMEOUT + 1, 16);
		CU_ASSERT(before - used(t, v6) <= 3 * 16);
	}
	/* Both families lie in the cursor's way: 2 x 1024 entries, 3 workers, 16 a call. */
	/* Only the first 700 were ever used. */
	CU_ASSERT(calls >= 14 && calls <= 45);
	flow_table_free(t);
}
BOTH(budget)

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

static const struct test_case cases[] = {
	{ "avalanche", avalanche },
	{ "hash is keyed", hash_is_keyed },
	{ "hash of lists", hash_lists },
	{ "reference", reference },
	{ "few tags", few_tags },
	{ "slots", slots },
	{ "contents", contents },
	{ "tag collision", tag_collision },
	{ "pair", pair },
	{ "stale pair", stale_pair },
	{ "clock", ticking },
	{ "budget", budget },
	{ "listing", listing },
	{ "flushing", flushing },
};

FLOWS_MAIN("flow", cases)
