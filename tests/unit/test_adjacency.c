/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/adjacency.h"
#include "dataplane/punt.h"
#include "dataplane/rcu.h"
#include "tests/unit/eal.h"
#include "tests/unit/suite.h"

#include <poll.h>
#include <string.h>

static struct rte_mempool *pool;

static void setup(void)
{
	if (pool == NULL) {
		eal_start();
		pool = eal_pool("adjacency", 8192, 256);
	}
	rcu_init();
	CU_ASSERT_EQUAL_FATAL(adjacency_init(), 0);
}

static void drops_have_their_reason_as_index(void)
{
	setup();
	for (uint32_t reason = 1; reason < DROP_REASON_COUNT; reason++) {
		CU_ASSERT_EQUAL(adjacency_get(reason)->type, ADJ_DROP);
		CU_ASSERT_EQUAL(adjacency_get(reason)->drop, reason);
		CU_ASSERT_EQUAL(adjacency_get(reason)->index, reason);
	}
	CU_ASSERT_EQUAL(adjacency_get(0)->drop, DROP_no_route);
	CU_ASSERT_EQUAL(adjacency_get(ADJACENCY_MAX - 1)->drop, DROP_no_route);
	CU_ASSERT_EQUAL(adjacency_get(adjacency_local())->type, ADJ_LOCAL);
	CU_ASSERT_EQUAL(adjacency_get(adjacency_local())->index, adjacency_local());
	CU_ASSERT_EQUAL(adjacency_count(), 0);
	adjacency_fini();
}

static void replacing_keeps_or_raises_the_generation(void)
{
	struct adjacency init = { .type = ADJ_RESOLVING, .port = 3, .mtu = 1500 };
	uint32_t index, generation;

	setup();
	index = adjacency_new(&init);
	CU_ASSERT_NOT_EQUAL_FATAL(index, ADJACENCY_NONE);
	CU_ASSERT_TRUE(index >= DROP_REASON_COUNT && index != adjacency_local());
	generation = adjacency_get(index)->generation;
	init.type = ADJ_REWRITE;
	adjacency_replace(index, &init, true);
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_REWRITE);
	CU_ASSERT_EQUAL(adjacency_get(index)->index, index);
	CU_ASSERT_EQUAL(adjacency_get(index)->generation, generation);
	adjacency_replace(index, &init, false);
	CU_ASSERT_EQUAL(adjacency_get(index)->generation, generation + 1);
	CU_ASSERT_EQUAL(adjacency_count(), 1);
	adjacency_free(index);
	CU_ASSERT_EQUAL(adjacency_count(), 0);
	adjacency_fini();
}

/** Packets in rings and hold queues name indices for longer than a grace period: the one freed last is used last. */
static void an_index_is_reused_after_a_grace_period_and_last(void)
{
	struct adjacency init = { .type = ADJ_REWRITE };
	uint32_t index, other, generation;

	setup();
	rcu_reader_register(0);
	rcu_online(0);
	index = adjacency_new(&init);
	generation = adjacency_get(index)->generation;
	adjacency_free(index);
	rcu_reclaim();
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_DROP);
	CU_ASSERT_EQUAL(adjacency_get(index)->drop, DROP_no_route);
	CU_ASSERT_TRUE(adjacency_get(index)->generation > generation);
	generation = adjacency_get(index)->generation;
	other = adjacency_new(&init);
	CU_ASSERT_NOT_EQUAL(other, index);
	rcu_quiescent(0);
	rcu_reclaim();
	for (uint32_t left = ADJACENCY_MAX - DROP_REASON_COUNT - 3; left > 0; left--)
		CU_ASSERT_NOT_EQUAL_FATAL(adjacency_new(&init), index);
	CU_ASSERT_EQUAL(adjacency_new(&init), index);
	CU_ASSERT_TRUE(adjacency_get(index)->generation > generation);
	rcu_reader_unregister(0);
	adjacency_fini();
}

static void the_table_has_an_end(void)
{
	struct adjacency init = { .type = ADJ_REWRITE };
	uint32_t n = 0, last = 0, index;

	setup();
	while ((index = adjacency_new(&init)) != ADJACENCY_NONE) {
		last = index;
		n++;
	}
	CU_ASSERT_EQUAL(n, ADJACENCY_MAX - DROP_REASON_COUNT - 1);
	CU_ASSERT_EQUAL(adjacency_count(), n);
	adjacency_free(last);
	rcu_reclaim();
	CU_ASSERT_EQUAL(adjacency_new(&init), last);
	adjacency_fini();
}

static struct rte_mbuf *packet(uint8_t kind)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	m->port = 7;
	*pkt_note(m) = (struct pkt_note){
		.kind = kind, .port = 7, .adjacency = 99, .hash = 0xabcd, .trace = 3
	};
	return m;
}

static bool readable(void)
{
	struct pollfd p = { .fd = punt_event_fd(), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static bool balanced(void)
{
	struct counter_totals t;

	counters_sum(&t);
	return t.received + t.generated ==
	       t.transmitted + t.delivered + (uint64_t)t.held + t.dropped;
}

static void punted_packets_reach_control_and_come_back(void)
{
	struct counters *c = &counter_blocks[0];
	struct counter_totals t;
	struct rte_mbuf *m, *got[4];

	setup();
	CU_ASSERT_EQUAL_FATAL(punt_init(2, NULL), 0);
	CU_ASSERT_FALSE(readable());
	for (int i = 0; i < 3; i++) {
		counter_add(&c->received, 1);
		punt_send(c, packet(PUNT_RESOLVE));
	}
	CU_ASSERT_TRUE(readable());
	counters_sum(&t);
	CU_ASSERT_EQUAL(t.held, 3);
	CU_ASSERT_EQUAL(punt_receive(got, 2), 2);
	CU_ASSERT_TRUE(readable()); /* one is left */
	CU_ASSERT_EQUAL(punt_receive(got + 2, 2), 1);
	CU_ASSERT_FALSE(readable());
	CU_ASSERT_EQUAL(punt_receive(got + 3, 1), 0);
	CU_ASSERT_TRUE(balanced());
	inject_adjacency(got[0], 1234, false);
	inject_frame(packet(0), 5, true);
	CU_ASSERT_TRUE(balanced());
	CU_ASSERT_TRUE(inject_waiting(0));
	CU_ASSERT_FALSE(inject_waiting(1));
	CU_ASSERT_EQUAL(inject_receive(0, &m, 1), 1);
	CU_ASSERT_EQUAL(pkt_note(m)->kind, INJECT_ADJACENCY);
	CU_ASSERT_EQUAL(pkt_note(m)->adjacency, 1234);
	CU_ASSERT_EQUAL(pkt_note(m)->hash, 0xabcd);
	CU_ASSERT_EQUAL(pkt_note(m)->trace, 3);
	CU_ASSERT_EQUAL(m->port, 7);
	counter_add(&c->transmitted, 1);
	rte_pktmbuf_free(m);
	CU_ASSERT_EQUAL(inject_receive(0, &m, 1), 1);
	CU_ASSERT_EQUAL(pkt_note(m)->kind, INJECT_FRAME);
	CU_ASSERT_EQUAL(pkt_note(m)->port, 5);
	CU_ASSERT_EQUAL(m->port, PORT_NONE);
	counter_add(&c->transmitted, 1);
	rte_pktmbuf_free(m);
	CU_ASSERT_TRUE(balanced());
	/* Two are still control's; what lies in a ring at the end is counted. */
	counter_add(&c->received, 1);
	punt_send(c, packet(PUNT_GLEAN));
	punt_fini();
	counters_sum(&t);
	CU_ASSERT_EQUAL(t.drops[DROP_daemon_stopping], 1);
	CU_ASSERT_EQUAL(t.held, 2);
	CU_ASSERT_TRUE(balanced());
	for (int i = 1; i < 3; i++) {
		counter_hold(COUNTERS_CONTROL, -1);
		counter_add(&COUNTERS_CONTROL->delivered, 1);
		rte_pktmbuf_free(got[i]);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	adjacency_fini();
}

static void floods_are_limited_by_kind(void)
{
	struct counters *c = &counter_blocks[1];
	struct rte_mbuf *got[64];
	struct counter_totals t;
	unsigned n, total = 0;

	setup();
	CU_ASSERT_EQUAL_FATAL(punt_init(2, NULL), 0);
	counter_add(&c->received, 2000);
	for (int i = 0; i < 2000; i++)
		punt_send(c, packet(PUNT_PATH_MTU));
	counter_add(&c->received, 1);
	punt_send(c, packet(PUNT_NEIGHBOUR));
	while ((n = punt_receive(got, 64)) > 0) {
		total += n;
		for (unsigned i = 0; i < n; i++) {
			counter_hold(COUNTERS_CONTROL, -1);
			counter_add(&COUNTERS_CONTROL->delivered, 1);
		}
		rte_pktmbuf_free_bulk(got, n);
	}
	CU_ASSERT_TRUE(
		total >= 51 && total < 1000); /* the burst of one kind and the one of the other */
	counters_sum(&t);
	CU_ASSERT_EQUAL(t.drops[DROP_punt_queue_full], 2001 - total);
	CU_ASSERT_TRUE(balanced());
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	punt_fini();
	adjacency_fini();
}

static const struct test_case cases[] = {
	{ "drops have their reason as index", drops_have_their_reason_as_index },
	{ "replacing keeps or raises the generation", replacing_keeps_or_raises_the_generation },
	{ "an index is reused after a grace period and last",
		an_index_is_reused_after_a_grace_period_and_last },
	{ "the table has an end", the_table_has_an_end },
	{ "punted packets reach control and come back",
		punted_packets_reach_control_and_come_back },
	{ "floods are limited by kind", floods_are_limited_by_kind },
};
SUITE_MAIN("adjacency", cases)
