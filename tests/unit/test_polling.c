/* SPDX-License-Identifier: Apache-2.0 */
/** Which queues a worker polls, and how much of each: against ports whose packets cost what the test says. */
#include "dataplane/limit.h"
#include "dataplane/polling.h"
#include "tests/unit/worker_fixture.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

extern const struct tunnel_ops *const tunnel_types[];

/** What a pod's port does in a test. */
static struct source {
	uint64_t waiting; /* packets; UINT64_MAX = always more */
	uint64_t cost;	  /* cycles a burst */
	unsigned polls, armed;
	int fd; /* -1 = none */
	struct port_rx *rx;
} sources[NODE_PORTS];

static uint16_t source_rx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct source *s = &sources[port->id];
	const uint64_t start = rte_rdtsc();
	uint16_t take = (uint16_t)RTE_MIN((uint64_t)n, s->waiting);

	(void)queue;
	s->polls++;
	if (take == 0)
		return 0;
	for (uint16_t i = 0; i < take; i++) {
		pkts[i] = rte_pktmbuf_alloc(pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pkts[i]);
		memset(rte_pktmbuf_append(pkts[i], 60), 0, 60); /* for nobody: dropped at once */
	}
	if (s->waiting != UINT64_MAX)
		s->waiting -= take;
	while (rte_rdtsc() - start < s->cost)
		rte_pause();
	return take;
}

static int source_fd(struct port *port, uint16_t queue)
{
	(void)queue;
	return sources[port->id].fd;
}

static bool source_arm(struct port *port, uint16_t queue, bool on)
{
	uint64_t count;

	(void)queue;
	if (on && read(sources[port->id].fd, &count, sizeof(count)) > 0)
		sources[port->id].armed++;
	sources[port->id].armed += on;
	return !on || sources[port->id].waiting == 0;
}

static const struct port_ops source_ops = { .name = "source",
	.tx_burst = memory_tx,
	.rx_burst = source_rx,
	.rx_fd = source_fd,
	.rx_arm = source_arm };

static uint64_t serial;

static struct rx_list *list_of(const uint16_t *ids, uint32_t n)
{
	struct rx_list *list =
		calloc(1, sizeof(*list) + n * (sizeof(list->queues[0]) + sizeof(list->hot[0])));

	list->serial = ++serial;
	list->hot = (uint16_t *)&list->queues[n];
	for (uint32_t i = 0; i < n; i++)
		list->queues[list->count++] = (struct rx_queue){ &node_ports[ids[i]].port,
			sources[ids[i]].rx, 0, sources[ids[i]].fd };
	free(rcu_publish(&w->rx_list, list));
	return list;
}

static void begin(void)
{
	node_start();
	w->tsc_per_ms = rte_get_tsc_hz() / 1000;
	w->tables = rcu_read(&tables);
	if (w->epoll_fd == 0) {
		w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		CU_ASSERT_EQUAL_FATAL(poll_init(w), 0);
	}
	for (uint16_t id = POD_A; id <= POD_B; id++) {
		if (sources[id].rx == NULL) {
			sources[id].rx = aligned_alloc(64, sizeof(struct port_rx));
			sources[id].fd = -1;
		} else if (sources[id].fd >= 0) {
			close(sources[id].fd);
		}
		sources[id] = (struct source){ .fd = -1, .rx = sources[id].rx };
		memset(sources[id].rx, 0, sizeof(struct port_rx));
		sources[id].rx->id = id;
		node_ports[id].port.ops = &source_ops;
		node_ports[id].port.rx = sources[id].rx;
	}
}

static uint64_t cycles(uint16_t id)
{
	return atomic_load(&sources[id].rx->cycles);
}

static uint64_t packets(uint16_t id)
{
	return atomic_load(&sources[id].rx->packets);
}

static uint32_t round_once(void)
{
	rcu_quiescent(0);
	return poll_round(w, poll_list(w));
}

/** Bursts of one cost fifty times those of the other; both always have more. They get the same. */
static void equal_shares(void)
{
	begin();
	sources[POD_A] = (struct source){ UINT64_MAX, 40000, 0, 0, -1, sources[POD_A].rx };
	sources[POD_B] = (struct source){ UINT64_MAX, 2000000, 0, 0, -1, sources[POD_B].rx };
	list_of((uint16_t[]){ POD_A, POD_B }, 2);
	/* By its own cycles, so that what takes the CPU away from this test is no matter. */
	while (cycles(POD_A) + cycles(POD_B) < UINT64_C(1000000000))
		round_once();
	CU_ASSERT(cycles(POD_A) > cycles(POD_B) / 2);
	CU_ASSERT(cycles(POD_B) > cycles(POD_A) / 2);
	CU_ASSERT(packets(POD_A) > 3 * packets(POD_B));
	node_check();
}

/** Nothing is withheld from the only one that has packets. */
static void alone(void)
{
	unsigned served = 0;

	begin();
	sources[POD_B] = (struct source){ UINT64_MAX, 100000, 0, 0, -1, sources[POD_B].rx };
	list_of((uint16_t[]){ POD_A, POD_B }, 2);
	for (unsigned i = 0; i < 100; i++)
		served += round_once() > 0;
	CU_ASSERT(served >= 50);
	node_check();
}

/** Whoever wants little gets it in the next round, whatever the other one takes. */
static void modest(void)
{
	begin();
	sources[POD_B] = (struct source){ UINT64_MAX, 300000, 0, 0, -1, sources[POD_B].rx };
	list_of((uint16_t[]){ POD_B, POD_A }, 2);
	for (unsigned i = 0; i < 200; i++) {
		/* Who took the CPU away during its last burst made that a dear one, which is paid first. */
		for (unsigned k = 0; k < 100000 && sources[POD_A].rx->debt > 0; k++)
			round_once();
		sources[POD_A].waiting = 5;
		round_once();
		CU_ASSERT_EQUAL(sources[POD_A].waiting, 0);
	}
	CU_ASSERT_EQUAL(packets(POD_A), 1000);
	CU_ASSERT(packets(POD_B) > 0);
	node_check();
}

static void signal_fd(uint16_t id)
{
	uint64_t one = 1;

	CU_ASSERT_EQUAL(write(sources[id].fd, &one, sizeof(one)), sizeof(one));
}

static void until_cold(uint16_t id)
{
	for (unsigned i = 0; !sources[id].rx->cold && i < 100000000; i++)
		round_once();
	CU_ASSERT_TRUE_FATAL(sources[id].rx->cold);
}

static void cold_queues_cost_nothing(void)
{
	struct rx_list *list;
	unsigned before;

	begin();
	sources[POD_A].fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	list = list_of((uint16_t[]){ POD_A, POD_B }, 2); /* B has nothing to wait on */
	until_cold(POD_A);
	CU_ASSERT_EQUAL(list->n_hot, 1);
	before = sources[POD_A].polls;
	w->swept_ms = w->now_ms;
	for (unsigned i = 0; i < 1000; i++)
		round_once();
	CU_ASSERT_EQUAL(sources[POD_A].polls, before);
	CU_ASSERT(sources[POD_B].polls > 1000);
	/* A packet and its signal. */
	sources[POD_A].waiting = 3;
	signal_fd(POD_A);
	for (unsigned i = 0; sources[POD_A].waiting > 0 && i < 100000000; i++)
		round_once();
	CU_ASSERT_EQUAL(sources[POD_A].waiting, 0);
	CU_ASSERT_FALSE(sources[POD_A].rx->cold);
	CU_ASSERT_FALSE(sources[POD_A].rx->armed);
	CU_ASSERT_EQUAL(list->n_hot, 2);
	/* And without one. */
	until_cold(POD_A);
	sources[POD_A].waiting = 3;
	w->now_ms += 10;
	round_once();
	CU_ASSERT_EQUAL(sources[POD_A].waiting, 0);
	CU_ASSERT_FALSE(sources[POD_A].rx->cold);
	node_check();
}

static void sleep_and_wake(void)
{
	struct rx_list *list;
	uint64_t sleeps;

	begin();
	sources[POD_A].fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	sources[POD_B].fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	list = list_of((uint16_t[]){ POD_A, POD_B }, 2);
	poll_list(w);
	/* Packets that came before anybody was asked to signal: no sleep. */
	sources[POD_B].waiting = 1;
	sleeps = atomic_load(&w->sleeps);
	poll_sleep(w, list);
	CU_ASSERT_EQUAL(atomic_load(&w->sleeps), sleeps);
	round_once();
	CU_ASSERT_EQUAL(sources[POD_B].waiting, 0);
	/* Woken by a queue, which then is the only hot one. */
	sources[POD_A].waiting = 0;
	signal_fd(POD_B);
	poll_sleep(w, list);
	poll_sleep(w, list); /* the signal above was one of before the arming */
	signal_fd(POD_B);
	poll_sleep(w, list);
	CU_ASSERT_TRUE(sources[POD_A].rx->cold);
	CU_ASSERT_FALSE(sources[POD_B].rx->cold);
	/* Asleep while the list changes: what is hot and cold stays so, in the new list. */
	list = list_of((uint16_t[]){ POD_B, POD_A }, 2);
	poll_list(w);
	CU_ASSERT_EQUAL(list->n_hot, 1);
	CU_ASSERT_EQUAL(list->hot[0], 0);
	CU_ASSERT_EQUAL(sources[POD_A].rx->slot, 1);
	node_check();
}

/** Of 1000 gaps, drawn so that `within` of ten are at most 2000, how many find the worker polling, once it has seen some. */
static unsigned found_awake(struct spin *spin, unsigned within)
{
	unsigned awake = 0;

	for (unsigned i = 0; i < 1000; i++) {
		const uint64_t gap = (unsigned)rand() % 10 < within
					     ? 101 + (unsigned)rand() % 1900
					     : 2001 + (unsigned)rand() % 100000;

		awake += gap <= spin_for(spin, 5, 100, 2000);
		spin_learn(spin, gap, 10, 100, 2000);
	}
	return awake;
}

static void spin_learns(void)
{
	struct spin spin = { 0 };

	srand(7);
	CU_ASSERT_EQUAL(spin_for(&spin, 5, 100, 2000), 100);
	/* A packet now and then is not worth a CPU, nor are eight in a row among others. */
	CU_ASSERT_EQUAL(found_awake(&spin, 0), 0);
	CU_ASSERT_TRUE(found_awake(&spin, 5) < 50);
	/* Steady ones are, from the ninth on; single long gaps among them do not end it. */
	spin = (struct spin){ 0 };
	CU_ASSERT_EQUAL(found_awake(&spin, 10), 1000 - SPIN_SCORE_ON);
	spin_learn(&spin, 1000000, 10, 100, 2000);
	CU_ASSERT_EQUAL(spin_for(&spin, 5, 100, 2000), 2000);
	CU_ASSERT_TRUE(found_awake(&spin, 9) > 750);
	/* It ends with the third long gap in a row, whatever was before. */
	found_awake(&spin, 10);
	for (unsigned i = 0; i < 3; i++)
		spin_learn(&spin, 1000000, 10, 100, 2000);
	CU_ASSERT_EQUAL(spin_for(&spin, 5, 100, 2000), 100);
	/* Gaps that are polled through anyway say nothing. */
	found_awake(&spin, 10);
	spin_learn(&spin, 50, 1, 100, 2000);
	CU_ASSERT_EQUAL(spin.score, SPIN_SCORE_MAX);
	/* Gaps of a worker that has much to do are no reason. */
	for (unsigned i = 0; i < 20; i++) {
		spin_learn(&spin, 150, 40, 100, 2000);
		spin_learn(&spin, 20, 40, 100, 2000);
	}
	CU_ASSERT_EQUAL(spin.score, 0);
	found_awake(&spin, 10);
	/* Others had the CPU for a moment now and then (a millisecond is 10 here): that is nothing. */
	for (uint64_t now = 1000; now < 20000; now += 300)
		spin_taken(&spin, now - 10, now, 10);
	CU_ASSERT_EQUAL(spin_for(&spin, 20000, 100, 2000), 2000);
	/* For long: not before it may be free again. */
	spin_taken(&spin, 30000, 30030, 10);
	CU_ASSERT_EQUAL(spin_for(&spin, 30031, 100, 2000), 2000);
	spin_taken(&spin, 30050, 30080, 10);
	CU_ASSERT_EQUAL(spin_for(&spin, 30081, 100, 2000), 100);
	CU_ASSERT_EQUAL(spin_for(&spin, 30080 + SPIN_SHARED_MS * 10, 100, 2000), 2000);
	/* Off. */
	CU_ASSERT_EQUAL(spin_for(&spin, 90000, 100, 0), 100);
}

/** What a pod may not send is dropped before anything is done with it, and counted. */
static void egress_limit(void)
{
	const struct limit_conf conf[LIMIT_DIRECTIONS] = {
		[LIMIT_EGRESS] = { .packets_per_second = 1, .burst_packets = 10 }
	};
	struct port_limits *limits = NULL;
	struct counter_totals before;

	begin();
	counters_sum(&before);
	CU_ASSERT_EQUAL_FATAL(port_limits_make(&node_ports[POD_A].port, conf, &limits), 0);
	port_limits_publish(&node_ports[POD_A].port, limits);
	sources[POD_A].waiting = 100;
	list_of((uint16_t[]){ POD_A }, 1);
	round_once();
	CU_ASSERT_EQUAL(drops_since(&before, DROP_egress_rate_limited), 90);
	CU_ASSERT_EQUAL(dropped_since(&before), 100);
	port_limits_publish(&node_ports[POD_A].port, NULL);
	node_check();
}

/** Nor what it may not receive, before its port sees it. */
static void ingress_limit(void)
{
	const struct limit_conf conf[LIMIT_DIRECTIONS] = {
		[LIMIT_INGRESS] = { .packets_per_second = 1, .burst_packets = 10 }
	};
	struct port_limits *limits = NULL;
	struct counter_totals before;

	begin();
	counters_sum(&before);
	CU_ASSERT_EQUAL_FATAL(port_limits_make(&node_ports[POD_A].port, conf, &limits), 0);
	port_limits_publish(&node_ports[POD_A].port, limits);
	for (unsigned i = 0; i < 30; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		rte_pktmbuf_append(m, 60);
		m->port = POD_B;
		counter_add(&w->counters->received, 1);
		worker_output(w, POD_A, m);
	}
	worker_flush(w);
	CU_ASSERT_EQUAL(sent(POD_A), 10);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_ingress_rate_limited), 20);
	port_limits_publish(&node_ports[POD_A].port, NULL);
	node_check();
}

static const struct test_case cases[] = {
	{ "two with a backlog get the same cycles", equal_shares },
	{ "one alone gets all", alone },
	{ "who wants little gets it", modest },
	{ "cold queues are not polled, and found", cold_queues_cost_nothing },
	{ "sleeping and waking", sleep_and_wake },
	{ "how long to poll is learned from gaps", spin_learns },
	{ "a pod's limit on what it sends", egress_limit },
	{ "a pod's limit on what it receives", ingress_limit },
};

SUITE_MAIN("polling", cases)
