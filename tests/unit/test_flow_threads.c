/* SPDX-License-Identifier: Apache-2.0 */
/** The flow table among threads: twins, and everything at once. Also built with the thread sanitizer (suite tsan). */
#include "dataplane/flow_table.h"
#include "dataplane/rcu.h"
#include "tests/unit/suite.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define READER_LISTING 10

struct thread {
	struct flow_table *table;
	unsigned id;
	bool v6;
	uint64_t rng;
	unsigned wrong, hits, inserts; /* results */
};

static uint32_t rnd(struct thread *t)
{
	t->rng ^= t->rng << 13;
	t->rng ^= t->rng >> 7;
	t->rng ^= t->rng << 17;
	return (uint32_t)(t->rng >> 16);
}

static struct flow_table *table_of(uint32_t entries, unsigned workers, uint32_t timeout)
{
	struct flow_table_conf conf = { entries, entries, workers, timeout, timeout / 2, -1 };
	struct flow_table *t = flow_table_new(&conf);

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return t;
}

/** The key of a number; `back` is the opposite direction. */
static void key_of(struct pkt *p, bool v6, uint32_t n, bool back)
{
	memset(p, 0, sizeof(*p));
	if (v6) {
		p->key6.zone_proto = (back ? 2u : 1u) << 8 | 6;
		memcpy(back ? p->key6.dst : p->key6.src, &n, sizeof(n));
	} else {
		p->key4.zone_proto = (back ? 2u : 1u) << 8 | 6;
		*(back ? &p->key4.dst : &p->key4.src) = n;
	}
}
static void hash_key(struct flow_table *t, struct pkt *p, bool v6)
{
	p->hash = v6 ? flow_hash6(t, &p->key6) : flow_hash4(t, &p->key4);
}

static struct flow *insert(struct thread *t, uint32_t n, bool back, uint8_t flags, uint32_t now)
{
	struct pkt p, r;
	struct flow_init init = { .decision = { n, 0 }, .flags = flags },
			 reverse = { .decision = { n, 0 } };
	bool alone = flags & FLOW_NEGATIVE;

	key_of(&p, t->v6, n, back);
	key_of(&r, t->v6, n, !back);
	hash_key(t->table, &p, t->v6);
	return t->v6 ? flow_insert6(t->table, t->id, &p.key6, p.hash, &init, alone ? NULL : &r.key6,
			       &reverse, now)
		     : flow_insert4(t->table, t->id, &p.key4, p.hash, &init, alone ? NULL : &r.key4,
			       &reverse, now);
}

static void run(struct thread *threads, unsigned n, void *(*body)(void *))
{
	pthread_t ids[8];

	for (unsigned i = 0; i < n; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&ids[i], NULL, body, &threads[i]), 0);
	for (unsigned i = 0; i < n; i++)
		pthread_join(ids[i], NULL);
}

/* --- twins -------------------------------------------------------------------------------------------------- */

enum { TWIN_ROUNDS = 300, TWIN_KEYS = 32 };
static _Atomic unsigned arrived;

/** Everybody leaves together: the closer, the more races. */
static void meet(unsigned round, unsigned n)
{
	atomic_fetch_add(&arrived, 1);
	for (unsigned spins = 0; atomic_load(&arrived) < (round + 1) * n; spins++) {
		if (spins > 100)
			sched_yield();
	}
}

static void *twin_body(void *arg)
{
	struct thread *t = arg;

	rcu_reader_register(t->id);
	for (unsigned round = 0; round < TWIN_ROUNDS; round++) {
		rcu_offline(t->id);
		meet(round, 2);
		rcu_online(t->id);
		for (uint32_t k = 0; k < TWIN_KEYS; k++) {
			/* In every third round the two directions' first packets cross. */
			struct flow *flow = insert(
				t, round * TWIN_KEYS + k, round % 3 == 0 && t->id == 1, 0, 0);

			t->wrong += flow == NULL ||
				    flow_decision_get(flow).adjacency != round * TWIN_KEYS + k;
		}
		rcu_quiescent(t->id);
		flow_expire(t->table, t->id, 0, 128);
	}
	flow_worker_flush(t->table, t->id);
	rcu_reader_unregister(t->id);
	return NULL;
}

static uint8_t alive[TWIN_ROUNDS * TWIN_KEYS][2];
static int count_alive(const struct flow_record *r, void *arg)
{
	(void)arg;
	alive[r->decision.adjacency]
	     [((r->v6 ? r->key6.zone_proto : r->key4.zone_proto) >> 8) - 1]++;
	return 0;
}

static void twins_of(bool v6)
{
	struct flow_table *table = table_of(TWIN_ROUNDS * TWIN_KEYS * 4, 2, 1000);
	struct thread threads[2] = { { .table = table, .id = 0, .v6 = v6 },
		{ .table = table, .id = 1, .v6 = v6 } };
	struct flow_stats stats;
	unsigned wrong = 0, unpaired = 0;

	memset(alive, 0, sizeof(alive));
	atomic_store(&arrived, 0);
	run(threads, 2, twin_body);
	CU_ASSERT_EQUAL(threads[0].wrong + threads[1].wrong, 0);
	flow_table_each(table, READER_LISTING, 0, 0, count_alive, NULL);
	for (unsigned i = 0; i < TWIN_ROUNDS * TWIN_KEYS; i++)
		wrong += alive[i][0] != 1 || alive[i][1] != 1;
	CU_ASSERT_EQUAL(wrong, 0);
	flow_table_stats(table, &stats);
	CU_ASSERT_EQUAL(v6 ? stats.used6 : stats.used4, 2 * TWIN_ROUNDS * TWIN_KEYS);
	/* Whoever won, the two directions know each other. */
	for (uint32_t n = 0; n < TWIN_ROUNDS * TWIN_KEYS; n++) {
		struct pkt p, *list[1] = { &p };
		struct flow *flow;
		uint32_t pair;

		key_of(&p, v6, n, false);
		hash_key(table, &p, v6);
		if (v6)
			flow_lookup6(table, list, &flow, 1);
		else
			flow_lookup4(table, list, &flow, 1);
		pair = flow != NULL
			       ? flow_pair(&table->pool[v6], flow_index(&table->pool[v6], flow, v6))
			       : 0;
		unpaired += pair == 0;
	}
	CU_ASSERT_EQUAL(unpaired, 0);
	flow_table_free(table);
}

static void twins(void)
{
	twins_of(false);
	twins_of(true);
}

/* --- everything at once ------------------------------------------------------------------------------------- */

enum {
	BUSY_THREADS = 3,
	BUSY_ENOUGH = 2000,
	BUSY_ROUNDS = 200000,
	BUSY_KEYS = 1500,
	BUSY_VECTOR = 32,
	BUSY_ENTRIES = 1024
};
static _Atomic unsigned running;

static void *busy_body(void *arg)
{
	struct thread *t = arg;
	struct pkt pkts[BUSY_VECTOR], *list[BUSY_VECTOR];
	struct flow *flows[BUSY_VECTOR];
	uint32_t number[BUSY_VECTOR];

	rcu_reader_register(t->id);
	/* Rounds enough for the clock to wrap; more when the machine let nothing happen in them. */
	for (uint32_t now = UINT32_MAX - 200, i = 0;
		i < 1500 ||
		(i < BUSY_ROUNDS && (t->hits < BUSY_ENOUGH || t->inserts < BUSY_ENOUGH));
		i++, now++) {
		for (unsigned k = 0; k < BUSY_VECTOR; k++) {
			number[k] = rnd(t) % BUSY_KEYS;
			list[k] = &pkts[k];
			key_of(&pkts[k], t->v6, number[k], rnd(t) % 2);
			hash_key(t->table, &pkts[k], t->v6);
		}
		if (t->v6)
			flow_lookup6(t->table, list, flows, BUSY_VECTOR);
		else
			flow_lookup4(t->table, list, flows, BUSY_VECTOR);
		for (unsigned k = 0; k < BUSY_VECTOR; k++) {
			if (flows[k] == NULL) {
				bool back = (t->v6 ? pkts[k].key6.zone_proto
						   : pkts[k].key4.zone_proto) >>
						    8 ==
					    2;

				flows[k] = insert(t, number[k], back,
					rnd(t) % 8 == 0 ? FLOW_NEGATIVE : 0, now);
				t->inserts += flows[k] != NULL;
			} else {
				t->hits++;
				flow_count(&flows[k]->packets, 1);
				atomic_store_explicit(
					&flows[k]->last_seen, now, memory_order_relaxed);
			}
		}
		flow_expire(t->table, t->id, now, 512);
		/* Held since before the inserts and expiry of all: still the same flows. */
		for (unsigned k = 0; k < BUSY_VECTOR; k++)
			t->wrong += flows[k] != NULL &&
				    (!flow_key_equal(flow_key(flows[k], t->v6), &pkts[k], t->v6) ||
					    flow_decision_get(flows[k]).adjacency != number[k]);
		rcu_quiescent(t->id);
		if (i % 8 ==
			t->id) { /* a thread cut off by the scheduler would hold back all that is freed */
			rcu_offline(t->id);
			sched_yield();
			rcu_online(t->id);
		}
	}
	flow_worker_flush(t->table, t->id);
	rcu_reader_unregister(t->id);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static int check_record(const struct flow_record *r, void *arg)
{
	uint32_t n = r->v6 ? 0 : r->key4.src | r->key4.dst;

	if (r->v6) {
		memcpy(&n, r->key6.src, sizeof(n));
		if (n == 0)
			memcpy(&n, r->key6.dst, sizeof(n));
	}
	*(unsigned *)arg += n != r->decision.adjacency;
	return 0;
}

static void busy_of(bool v6)
{
	struct flow_table *table = table_of(BUSY_ENTRIES, BUSY_THREADS, 20);
	struct thread threads[BUSY_THREADS];
	struct thread *last = &threads[BUSY_THREADS - 1];
	pthread_t ids[BUSY_THREADS];
	struct flow_stats stats;
	unsigned wrong = 0, refused = 0;

	atomic_store(&running, BUSY_THREADS);
	for (unsigned i = 0; i < BUSY_THREADS; i++) {
		threads[i] = (struct thread){
			.table = table, .id = i, .v6 = v6, .rng = 88172645463325252u + i
		};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&ids[i], NULL, busy_body, &threads[i]), 0);
	}
	for (unsigned n = 0; atomic_load(&running) != 0; n++) {
		flow_table_each(table, READER_LISTING, 0, 0, check_record, &wrong);
		if (n % 16 == 0)
			flow_table_flush(table);
		rcu_reclaim();
		usleep(300);
	}
	for (unsigned i = 0; i < BUSY_THREADS; i++)
		pthread_join(ids[i], NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	for (unsigned i = 0; i < BUSY_THREADS; i++) {
		CU_ASSERT_EQUAL(threads[i].wrong, 0);
		CU_ASSERT(threads[i].inserts >= BUSY_ENOUGH);
		CU_ASSERT(threads[i].hits >= BUSY_ENOUGH);
	}
	/* No entry was lost or counted twice: the last worker can fill the table to the brim, from one zone. */
	flow_table_flush(table);
	rcu_barrier();
	flow_table_stats(table, &stats);
	CU_ASSERT_EQUAL(stats.used4 + stats.used6, 0);
	CU_ASSERT(stats.expired > 100);
	for (unsigned i = 0; i < BUSY_THREADS; i++)
		flow_worker_flush(table, i);
	last->wrong = 0;
	rcu_reader_register(last->id);
	for (uint32_t n = 0; n < BUSY_ENTRIES / 2; n++)
		refused += insert(last, n, false, 0, 1u << 20) == NULL;
	rcu_reader_unregister(last->id);
	CU_ASSERT_EQUAL(refused, 0);
	flow_table_stats(table, &stats);
	CU_ASSERT_EQUAL(v6 ? stats.used6 : stats.used4, BUSY_ENTRIES);
	flow_table_free(table);
}

static void busy(void)
{
	busy_of(false);
	busy_of(true);
}

#ifdef FLOW_THREAD_SANITIZER
/* rcu_reclaim goes through the unsynchronised hint of rte_rcu_qsbr_check: see flow_pool.c. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:rte_rcu_qsbr_check\n";
}
#endif

static const struct test_case cases[] = {
	{ "twins", twins },
	{ "everything at once", busy },
};

int main(void)
{
	if (rcu_init() < 0)
		return EXIT_FAILURE;
	return suite_run("flow threads", cases, sizeof(cases) / sizeof(cases[0]));
}
