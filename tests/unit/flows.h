/* SPDX-License-Identifier: Apache-2.0 */
/** Flows by number, for tests of the flow table in one thread: the calling thread is RCU reader 0 and plays all workers.
 * One test body serves both families. */
#ifndef TESTS_UNIT_FLOWS_H
#define TESTS_UNIT_FLOWS_H

#include "dataplane/flow_table.h"
#include "dataplane/rcu.h"
#include "tests/unit/suite.h"

#define TIMEOUT	 1000u
#define NEGATIVE 100u
#define ZONE	 7u

static inline struct flow_table *table_of(uint32_t entries, unsigned workers)
{
	struct flow_table_conf conf = { entries, entries, workers, TIMEOUT, NEGATIVE, -1 };
	struct flow_table *t = flow_table_new(&conf);

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return t;
}

static inline struct flow_key4 key4_of(uint32_t n, uint32_t zone)
{
	return (struct flow_key4){
		.src = n, .dst = ~n, .sport = (uint16_t)n, .dport = 80, .zone_proto = zone << 8 | 6
	};
}
static inline struct flow_key6 key6_of(uint32_t n, uint32_t zone)
{
	struct flow_key6 k = {
		.src = { 0xfd }, .dst = { 0xfd, 1 }, .dport = 80, .zone_proto = zone << 8 | 6
	};

	memcpy(&k.src[12], &n, 4);
	return k;
}

/** The other direction's index, wherever an entry keeps it. */
#define PAIR(t, v6, f) (t)->pool[v6].side[flow_index(&(t)->pool[v6], (f), v6)].pair

static inline uint64_t hash_of(struct flow_table *t, bool v6, uint32_t n, uint32_t zone)
{
	struct flow_key4 k4 = key4_of(n, zone);
	struct flow_key6 k6 = key6_of(n, zone);

	return v6 ? flow_hash6(t, &k6) : flow_hash4(t, &k4);
}

static inline struct flow *find_in(struct flow_table *t, bool v6, uint32_t n, uint32_t zone)
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
static inline struct flow *find(struct flow_table *t, bool v6, uint32_t n)
{
	return find_in(t, v6, n, ZONE);
}

static inline struct flow *add_in(struct flow_table *t, unsigned worker, bool v6, uint32_t n,
	uint32_t zone, uint8_t flags, uint32_t now)
{
	struct flow_key4 k4 = key4_of(n, zone);
	struct flow_key6 k6 = key6_of(n, zone);
	struct flow_init init = { .decision = { n, 1 },
		.epoch = 3,
		.rule = 4,
		.deps = flow_deps_of(1, 2, 3),
		.flags = flags };

	return v6 ? flow_insert6(t, worker, &k6, flow_hash6(t, &k6), &init, NULL, NULL, now)
		  : flow_insert4(t, worker, &k4, flow_hash4(t, &k4), &init, NULL, NULL, now);
}
static inline struct flow *add(
	struct flow_table *t, bool v6, uint32_t n, uint8_t flags, uint32_t now)
{
	return add_in(t, 0, v6, n, ZONE, flags, now);
}
static inline struct flow *add_pair(
	struct flow_table *t, bool v6, uint32_t n, uint32_t reverse, uint32_t now)
{
	struct flow_key4 k4 = key4_of(n, ZONE), r4 = key4_of(reverse, ZONE);
	struct flow_key6 k6 = key6_of(n, ZONE), r6 = key6_of(reverse, ZONE);
	struct flow_init init = { .flags = 0 }, back = { .flags = FLOW_REPLY };

	return v6 ? flow_insert6(t, 0, &k6, flow_hash6(t, &k6), &init, &r6, &back, now)
		  : flow_insert4(t, 0, &k4, flow_hash4(t, &k4), &init, &r4, &back, now);
}

/** All expiry there is to do, and its grace period. */
static inline void expire(struct flow_table *t, uint32_t now)
{
	for (unsigned w = 0; w < t->n_workers; w++)
		flow_expire(t, w, now, UINT32_MAX);
	rcu_quiescent(0);
	for (unsigned w = 0; w < t->n_workers; w++)
		flow_expire(t, w, now, 0);
}

static inline struct flow_stats stats_of(const struct flow_table *t)
{
	struct flow_stats s;

	flow_table_stats(t, &s);
	return s;
}
static inline uint64_t used(const struct flow_table *t, bool v6)
{
	return v6 ? stats_of(t).used6 : stats_of(t).used4;
}

static inline void seen(struct flow *flow, uint32_t now)
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

#define FLOWS_MAIN(name, cases)                                                       \
	int main(void)                                                                \
	{                                                                             \
		int ret;                                                              \
                                                                                      \
		if (rcu_init() < 0)                                                   \
			return EXIT_FAILURE;                                          \
		rcu_reader_register(0);                                               \
		ret = suite_run((name), (cases), sizeof(cases) / sizeof((cases)[0])); \
		rcu_reader_unregister(0);                                             \
		return ret;                                                           \
	}

#endif
