/* SPDX-License-Identifier: Apache-2.0 */
/** Token buckets against one that counts every token, with a clock of the test's own; and what limits make of packets. */
#include "dataplane/limit.h"
#include "dataplane/rcu.h"
#include "tests/unit/eal.h"
#include "tests/unit/suite.h"

#include <pthread.h>
#include <rte_cycles.h>

#define HZ 1000000000u

/** The textbook's bucket: real numbers, filled at each look. A packet passes when there is something in it. */
struct reference {
	double rate, burst, tokens;
	uint64_t at, full; /* full: times it ran over */
};

static bool reference_take(struct reference *r, uint64_t now, uint32_t cost)
{
	r->tokens += (double)(now - r->at) * r->rate / HZ;
	r->at = now;
	if (r->tokens > r->burst) {
		r->tokens = r->burst;
		r->full++;
	}
	if (r->tokens <= 0)
		return false;
	r->tokens -= cost;
	return true;
}

static bool take(struct bucket *b, int64_t *own, uint64_t now, uint32_t cost)
{
	if (!bucket_ready(b, own, now))
		return false;
	*own -= cost;
	return true;
}

/** Random arrivals at about `load` times the rate; at any time both buckets have passed as many tokens, but for the last
 * packet, what comes in chunks, and a chunk that cannot be kept when the bucket is full. */
static void against_reference(uint64_t rate, uint64_t burst, double load, uint32_t cost_max)
{
	struct reference r = {
		.rate = (double)rate, .burst = (double)burst, .tokens = (double)burst, .at = HZ
	};
	struct bucket b;
	int64_t own = 0;
	uint64_t now = HZ, passed = 0, expected = 0;

	bucket_init(&b, rate, burst, HZ, HZ);
	for (unsigned i = 0; i < 20000; i++) {
		const uint32_t cost = 1 + (uint32_t)rand() % cost_max;

		now += (uint64_t)(2.0 * (rand() % 1000) / 1000.0 * cost_max / 2 / (double)rate /
				  load * HZ);
		if (i % 5000 == 4999) /* a pause fills the bucket, and no more than that */
			now += (uint64_t)((double)burst / (double)rate * 3 * HZ);
		passed += take(&b, &own, now, cost) ? cost : 0;
		expected += reference_take(&r, now, cost) ? cost : 0;
		CU_ASSERT_FATAL(
			(double)passed <= (double)expected + (double)b.chunk + 2.0 * cost_max);
		CU_ASSERT_FATAL(
			(double)passed >=
			(double)expected - (double)((r.full + 1) * b.chunk) - 2.0 * cost_max);
	}
}

static void bucket_is_the_textbook_one(void)
{
	srand(1);
	for (unsigned i = 0; i < 3; i++) {
		const double load = (double[]){ 0.5, 1.5, 20 }[i];

		against_reference(125000, 16384, load, 1514);	    /* 1 Mbit/s */
		against_reference(1250000000, 8000000, load, 1514); /* 10 Gbit/s */
		against_reference(1000, 100, load, 1);		    /* packets */
		against_reference(1000, 100, load, 66000); /* segments larger than the burst */
		against_reference(125000000000, 1000000000, load, 66000);
	}
}

static void one_a_second(void)
{
	struct bucket b;
	unsigned passed = 0;
	int64_t own = 0;

	bucket_init(&b, 1, 1, HZ, HZ);
	for (uint64_t now = HZ; now <= 101 * (uint64_t)HZ; now += HZ / 20)
		passed += take(&b, &own, now, 1);
	CU_ASSERT(passed >= 100 && passed <= 102);
}

static void no_limit(void)
{
	struct bucket b;
	int64_t own = 0;

	bucket_init(&b, 0, 100, HZ, HZ);
	CU_ASSERT_FALSE(bucket_limits(&b));
	CU_ASSERT_TRUE(bucket_ready(&b, &own, 0));
}

/** Workers together get the burst, what each may hold back, and the rate: no more, no less. */
static void workers_share(void)
{
	enum { WORKERS = 16, RATE = 10000, BURST = 1000, SECONDS = 10 };
	int64_t own[WORKERS] = { 0 };
	struct bucket b;
	uint64_t passed = 0;

	bucket_init(&b, RATE, BURST, HZ, HZ);
	for (uint64_t now = HZ; now < (1 + SECONDS) * (uint64_t)HZ; now += HZ / 40000)
		passed += take(&b, &own[(now / 1000) % WORKERS], now, 1);
	CU_ASSERT(passed <= RATE * SECONDS + BURST + WORKERS * b.chunk);
	CU_ASSERT(passed >= RATE * SECONDS + BURST - WORKERS * b.chunk);
}

static struct bucket shared;

static void *drawer(void *arg)
{
	uint64_t *passed = arg;
	int64_t own = 0;

	for (uint64_t now = HZ; now < 3 * (uint64_t)HZ; now += HZ / 1000000)
		*passed += take(&shared, &own, now, 1);
	return NULL;
}

/** The same with threads: what is taken is taken once. */
static void threads_share(void)
{
	enum { THREADS = 4, RATE = 100000, BURST = 1000 };
	uint64_t passed[THREADS][8] = { { 0 } }, total = 0; /* a line each */
	pthread_t threads[THREADS];

	bucket_init(&shared, RATE, BURST, HZ, HZ);
	for (unsigned i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, drawer, passed[i]), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		total += passed[i][0];
	}
	/* Each has a clock of its own here, so one may fill the bucket that another then finds empty. */
	CU_ASSERT(total <= RATE * 2 + BURST + THREADS * shared.chunk);
	CU_ASSERT(total >= RATE * 2 - THREADS * shared.chunk);
}

static struct rte_mempool *pool;

static struct rte_mbuf *packet(uint32_t length)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	m->data_len = (uint16_t)length;
	m->pkt_len = length;
	return m;
}

static void segments_count_as_frames(void)
{
	struct rte_mbuf *m = packet(1514);
	uint32_t packets, bytes;

	limit_wire(m, &packets, &bytes);
	CU_ASSERT(packets == 1 && bytes == 1514);
	/* 1460 bytes of payload as 500, 500, 460: two more headers. */
	m->ol_flags = RTE_MBUF_F_TX_TCP_SEG;
	m->l3_len = 20;
	m->l4_len = 20;
	m->tso_segsz = 500;
	limit_wire(m, &packets, &bytes);
	CU_ASSERT(packets == 3 && bytes == 1514 + 2 * 54);
	m->tso_segsz = 1460;
	limit_wire(m, &packets, &bytes);
	CU_ASSERT(packets == 1 && bytes == 1514);
	m->tso_segsz = 0; /* nonsense is one packet */
	limit_wire(m, &packets, &bytes);
	CU_ASSERT(packets == 1 && bytes == 1514);
	rte_pktmbuf_free(m);
}

static struct port_limits *limits_of(
	struct port *port, const struct limit_conf conf[LIMIT_DIRECTIONS], int expected)
{
	struct port_limits *limits = NULL;

	CU_ASSERT_EQUAL(port_limits_make(port, conf, &limits), expected);
	return limits;
}

/** Those that pass keep their order and come first; every packet is still there. */
static void apply_sorts(void)
{
	struct limit_conf conf[LIMIT_DIRECTIONS] = { [LIMIT_EGRESS] = { .packets_per_second = 100,
							     .burst_packets = 40 } };
	struct rte_mbuf *pkts[100], *before[100];
	struct port port = { .id = 1 };
	struct port_limits *limits = limits_of(&port, conf, 0);
	const uint64_t now = rte_rdtsc();
	uint16_t pass;

	for (unsigned i = 0; i < 100; i++)
		before[i] = pkts[i] = packet(60);
	CU_ASSERT_EQUAL(limit_apply(limits, 0, LIMIT_INGRESS, now, pkts, 100),
		100); /* that direction has none */
	pass = limit_apply(limits, 0, LIMIT_EGRESS, now, pkts, 100);
	CU_ASSERT_EQUAL(pass, 40);
	CU_ASSERT_EQUAL(memcmp(pkts, before, sizeof(pkts)), 0);
	CU_ASSERT_EQUAL(limit_apply(limits, 0, LIMIT_EGRESS, now, pkts, 100), 0);
	/* Half a second: fifty more, but the burst is 40. */
	CU_ASSERT_EQUAL(
		limit_apply(limits, 0, LIMIT_EGRESS, now + rte_get_tsc_hz() / 2, pkts, 100), 40);
	rte_pktmbuf_free_bulk(pkts, 100);
	port_limits_free(limits);
}

/** Both limits count: the bits stop large packets, the packets stop small ones. */
static void bits_and_packets(void)
{
	struct limit_conf conf[LIMIT_DIRECTIONS] = { [LIMIT_INGRESS] = { .bits_per_second = 8000,
							     .burst_bits = 80000,
							     .packets_per_second = 10,
							     .burst_packets = 20 } };
	struct rte_mbuf *pkts[30];
	struct port port = { .id = 1 };
	struct port_limits *limits = limits_of(&port, conf, 0);

	for (unsigned i = 0; i < 30; i++)
		pkts[i] = packet(100);
	CU_ASSERT_EQUAL(limit_apply(limits, 3, LIMIT_INGRESS, rte_rdtsc(), pkts, 30), 20);
	rte_pktmbuf_free_bulk(pkts, 30);
	port_limits_free(limits);
	limits = limits_of(&port, conf, 0);
	for (unsigned i = 0; i < 30; i++)
		pkts[i] = packet(1000);
	/* 10 000 bytes: ten, the tenth to the byte. */
	CU_ASSERT_EQUAL(limit_apply(limits, 3, LIMIT_INGRESS, rte_rdtsc(), pkts, 30), 10);
	rte_pktmbuf_free_bulk(pkts, 30);
	port_limits_free(limits);
}

static void limits_change(void)
{
	struct limit_conf conf[LIMIT_DIRECTIONS] = { [LIMIT_EGRESS] = { .packets_per_second = 1,
							     .burst_packets = 10 } };
	struct rte_mbuf *pkts[10];
	struct port port = { .id = 1 };
	struct port_limits *limits;

	CU_ASSERT_PTR_NULL(
		limits_of(&port, (struct limit_conf[LIMIT_DIRECTIONS]){ { 0 } }, -EALREADY));
	port_limits_publish(&port, limits_of(&port, conf, 0));
	CU_ASSERT_PTR_NULL(limits_of(&port, conf, -EALREADY));
	for (unsigned i = 0; i < 10; i++)
		pkts[i] = packet(60);
	CU_ASSERT_EQUAL(
		limit_apply(atomic_load(&port.limits), 0, LIMIT_EGRESS, rte_rdtsc(), pkts, 10), 10);
	/* The other direction changes: what was used up stays so. */
	conf[LIMIT_INGRESS].bits_per_second = 1000000;
	limits = limits_of(&port, conf, 0);
	CU_ASSERT_EQUAL(limit_apply(limits, 0, LIMIT_EGRESS, rte_rdtsc(), pkts, 10), 0);
	port_limits_publish(&port, limits);
	/* Its own: it begins anew. */
	conf[LIMIT_EGRESS].burst_packets = 8;
	limits = limits_of(&port, conf, 0);
	CU_ASSERT_EQUAL(limit_apply(limits, 0, LIMIT_EGRESS, rte_rdtsc(), pkts, 10), 8);
	port_limits_publish(&port, limits);
	port_limits_publish(
		&port, limits_of(&port, (struct limit_conf[LIMIT_DIRECTIONS]){ { 0 } }, 0));
	CU_ASSERT_PTR_NULL(atomic_load(&port.limits));
	rcu_barrier();
	rte_pktmbuf_free_bulk(pkts, 10);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

int main(void)
{
	const struct test_case cases[] = {
		{ "a bucket passes what the textbook's does", bucket_is_the_textbook_one },
		{ "the least there is: one a second", one_a_second },
		{ "rate 0 is no limit", no_limit },
		{ "workers share a bucket", workers_share },
		{ "threads share a bucket", threads_share },
		{ "large segments count as the frames they stand for", segments_count_as_frames },
		{ "packets that pass keep their order", apply_sorts },
		{ "bits and packets", bits_and_packets },
		{ "limits change and go", limits_change },
	};

	eal_start();
	pool = eal_pool("packets", 511, 2048);
	if (rcu_init() < 0)
		return 1;
	return suite_run("bucket", cases, sizeof(cases) / sizeof(cases[0]));
}
