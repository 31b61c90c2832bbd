/* SPDX-License-Identifier: Apache-2.0 */
/** Which flows the kernel gets, how long it keeps them, and what the daemon knows of what it did: kernel_flows.h over a worker,
 * with a program that the test plays. */
#include "tests/unit/kernel_fixture.h"

#include "dataplane/limit.h"
#include "dataplane/observe.h"

/* --- what is given -------------------------------------------------------------------------------------------- */

static void given_of(struct talk *t)
{
	const uint32_t pods[2] = { adj.pod_b, adj.pod_a };

	talk_open(t);
	while (counter_read(&talk_flow(t, 0)->packets) < KERNEL_OFFER_AFTER - 1) {
		CU_ASSERT_EQUAL(talk_say(t, 0, TALK_ACK, 100), 1);
		later(100);
		CU_ASSERT_EQUAL(map_count(), 0);
	}
	talk_say(t, 0, TALK_ACK, 100);
	later(100);
	CU_ASSERT_EQUAL(map_count(), 1);
	CU_ASSERT_EQUAL(kernel_flows_count(), 1);
	CU_ASSERT_TRUE(kernel_has(t, 0));
	CU_ASSERT_FALSE(kernel_has(t, 1));
	talk_much(t, 1);
	later(100);
	for (unsigned dir = 0; dir < 2; dir++) {
		const struct map_entry *e = talk_entry(t, dir);

		CU_ASSERT_TRUE_FATAL(kernel_has(t, dir));
		CU_ASSERT_EQUAL(e->flow.path, KERNEL_PATH_PEER);
		CU_ASSERT_EQUAL(e->flow.ifindex, 100u + t->in[!dir]);
		CU_ASSERT_EQUAL(e->flow.mtu, 1500);
		CU_ASSERT_EQUAL(memcmp(e->flow.header, adjacency_get(pods[dir])->header, ETHER), 0);
	}
	CU_ASSERT_EQUAL(kernel_flows_count(), 2);
}
static void test_given(void)
{
	kernel_with(given_of);
}

/** A flow of so many packets one way is none for the kernel. */
static void never(const struct talk *like)
{
	struct talk t = *like;

	talk_say(&t, 0, t.proto == IPPROTO_TCP ? TALK_SYN : 0, 10);
	for (unsigned i = 0; i < 3 * KERNEL_OFFER_AFTER; i++)
		talk_say(&t, 0, TALK_ACK, 10);
	later(200);
	CU_ASSERT_EQUAL(map_count(), 0);
	CU_ASSERT_EQUAL(kernel_flows_count(), 0);
	sent_clear();
	node_check();
}

static void test_never_given(void)
{
	struct talk half = TALK4, denied = TALK4, icmp = TALK4, up = TALK4, host = TALK4;
	struct talk udp = TALK4;
	struct port *a = &node_ports[POD_A].port, *b = &node_ports[POD_B].port;
	const struct limit_conf conf[LIMIT_DIRECTIONS] = { { .bits_per_second = UINT64_C(1) << 40 },
		{ .bits_per_second = UINT64_C(1) << 40 } };
	struct port_limits *limits;

	udp.proto = IPPROTO_UDP;
	kernel_start();
	never(&half); /* nobody answers the SYN */
	denied.b = "10.9.0.1";
	never(&denied);
	icmp.proto = IPPROTO_ICMP;
	never(&icmp);
	up.proto = IPPROTO_UDP;
	up.b = "10.244.2.7";
	node_ports[ETH].port.vlan = 5;
	never(&up);
	node_ports[ETH].port.vlan = 0;
	interface_set(ETH, 0);
	never(&up);
	host.proto = IPPROTO_UDP;
	host.b = "192.0.2.1";
	interface_set(HOST, 104);
	never(&host);
	interface_set(POD_A, 0);
	never(&udp);
	interface_set(POD_A, 100 + POD_A);
	interface_set(POD_B, 0);
	never(&udp);
	interface_set(POD_B, 100 + POD_B);
	atomic_store(&b->link_up, false);
	never(&udp);
	atomic_store(&b->link_up, true);
	for (unsigned i = 0; i < 2; i++) {
		struct port *port = i == 0 ? a : b;

		CU_ASSERT_EQUAL(port_limits_make(port, conf, &limits), 0);
		port_limits_publish(port, limits);
		never(&udp);
		port_limits_publish(port, NULL);
		grace();
	}
	/* And with nothing in the way. */
	talk_give(&udp);
	node_check();
}

static void test_not_with_udp_checksum(void)
{
	struct talk t = { "fd00:244:1::10", "fd00:244:3::9", { POD_A, ETH }, IPPROTO_UDP, 7, 8,
		{ 0, 0 } };
	struct adjacency sum = *adjacency_get(adj.vxlan6), plain = sum;

	kernel_start();
	sum.flags |= ADJ_UDP_CHECKSUM;
	adjacency_replace(adj.vxlan6, &sum, false);
	generation_commit();
	never(&t);
	adjacency_replace(adj.vxlan6, &plain, false);
	generation_commit();
	for (unsigned i = 0; i < 3 * KERNEL_OFFER_AFTER; i++)
		talk_say(&t, 0, 0, 10);
	later(100);
	CU_ASSERT_TRUE(kernel_has(&t, 0));
	node_check();
}

static void test_stateless(void)
{
	struct talk t = TALK4;
	struct flow *flow;

	t.proto = IPPROTO_UDP;
	kernel_start();
	talk_open(&t);
	flow = talk_flow(&t, 0);
	atomic_fetch_or(&flow->flags, FLOW_STATELESS);
	talk_much(&t, 0);
	later(100);
	CU_ASSERT_EQUAL(map_count(), 0);
	atomic_fetch_and(&flow->flags, (uint8_t)~FLOW_STATELESS);
	talk_say(&t, 0, 0, 10);
	later(100);
	CU_ASSERT_TRUE(kernel_has(&t, 0));
	node_check();
}

/* --- commits -------------------------------------------------------------------------------------------------- */

static void commit_of(struct talk *t)
{
	struct counter_totals before;

	talk_give(t);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < 1000; k++)
			CU_ASSERT_TRUE(kernel_says(t, 0, 1400, 1));
		generation_commit();
		CU_ASSERT_FALSE(kernel_has(t, 0));
		CU_ASSERT_FALSE(kernel_has(t, 1));
		counters_sum(&before);
		CU_ASSERT_EQUAL(talk_say(t, 0, TALK_ACK, 100), 1);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_flow_stale), 0);
		CU_ASSERT_TRUE(kernel_has(t, 0));
		CU_ASSERT_FALSE(kernel_has(t, 1));
		CU_ASSERT_EQUAL(talk_say(t, 1, TALK_ACK, 100), 1);
		CU_ASSERT_TRUE(kernel_has(t, 1));
	}
}
static void test_commit(void)
{
	kernel_with(commit_of);
}

static const char *where_b(const struct talk *t)
{
	return ip(t->b).family == IP_V6 ? "fd00:244:1::11" : "10.244.1.11";
}

static void denied_of(struct talk *t)
{
	struct kernel_slot *s;

	talk_give(t);
	s = talk_slot(t, 0);
	route(where_b(t), DROP_route_prohibit);
	CU_ASSERT_FALSE(kernel_says(t, 0, 100, 1));
	talk_say(t, 0, TALK_ACK, 100);
	CU_ASSERT_FALSE(kernel_says(t, 0, 100, 1));
	/* What is committed next has nothing to do with it, and renews what holds: that it is denied. */
	for (unsigned i = 0; i < 3; i++) {
		generation_commit();
		talk_say(t, 0, TALK_ACK, 100);
		CU_ASSERT_FALSE(kernel_says(t, 0, 100, 1));
	}
	later(1100);
	CU_ASSERT_PTR_NULL(talk_entry(t, 0));
	CU_ASSERT_EQUAL(s->on, 0);
	route(where_b(t), adj.pod_b);
	CU_ASSERT_FALSE(kernel_says(t, 0, 100, 1));
	for (unsigned i = 0; i < 2 * KERNEL_OFFER_AFTER; i++)
		talk_say(t, 0, TALK_ACK, 100);
	later(200);
	talk_say(t, 0, TALK_ACK, 100);
	later(200);
	CU_ASSERT_TRUE(kernel_has(t, 0));
}
static void test_denied(void)
{
	kernel_with(denied_of);
}

static void moved_of(struct talk *t)
{
	talk_give(t);
	route(where_b(t), adj.router);
	CU_ASSERT_FALSE(kernel_says(t, 0, 100, 1));
	talk_say(t, 0, TALK_ACK, 100);
	generation_commit();
	talk_say(t, 0, TALK_ACK, 100);
	if (kernel_has(t, 0)) /* its new way, or none */
		CU_ASSERT_EQUAL(talk_entry(t, 0)->flow.ifindex, 100u + ETH);
	later(100);
	talk_say(t, 0, TALK_ACK, 100);
	later(100);
	CU_ASSERT_TRUE_FATAL(kernel_has(t, 0));
	CU_ASSERT_EQUAL(talk_entry(t, 0)->flow.path, KERNEL_PATH_DIRECT);
	CU_ASSERT_EQUAL(talk_entry(t, 0)->flow.ifindex, 100u + ETH);
	CU_ASSERT_EQUAL(memcmp(talk_entry(t, 0)->flow.header, router_mac.bytes, 6), 0);
	route(where_b(t), adj.pod_b);
}
static void test_moved(void)
{
	kernel_with(moved_of);
}

static void same_meaning_of(struct talk *t)
{
	struct adjacency next = *adjacency_get(adj.pod_b), was = next;

	talk_give(t);
	next.header[5] ^= 0x40;
	adjacency_replace(adj.pod_b, &next, true);
	grace();
	CU_ASSERT_FALSE(kernel_says(t, 0, 100, 1));
	CU_ASSERT_TRUE(kernel_says(t, 1, 100, 1));
	CU_ASSERT_EQUAL(talk_say(t, 0, TALK_ACK, 100), 1);
	CU_ASSERT_FALSE(kernel_says(t, 0, 100, 1));
	later(100);
	CU_ASSERT_TRUE_FATAL(kernel_has(t, 0));
	CU_ASSERT_EQUAL(memcmp(talk_entry(t, 0)->flow.header, next.header, ETHER), 0);
	adjacency_replace(adj.pod_b, &was, true);
	grace();
}
static void test_same_meaning(void)
{
	kernel_with(same_meaning_of);
}

/* --- TCP ------------------------------------------------------------------------------------------------------ */

static void control_of(struct talk *t)
{
	static const uint8_t flags[] = { TALK_FIN, TALK_RST, TALK_SYN };

	for (unsigned i = 0; i < 2 * RTE_DIM(flags); i++) {
		struct talk c = *t;

		kernel_start();
		talk_give(&c);
		CU_ASSERT_TRUE(kernel_says(&c, 0, 60000, 42));
		CU_ASSERT_TRUE(kernel_says(&c, 1, 60000, 42));
		talk_say(&c, i & 1, flags[i / 2], 0);
		CU_ASSERT_FALSE(kernel_has(&c, 0));
		CU_ASSERT_FALSE(kernel_has(&c, 1));
		talk_say(&c, 0, TALK_ACK, 0);
		talk_say(&c, 1, TALK_ACK, 0);
		later(200);
		if (flags[i / 2] == TALK_FIN) {
			CU_ASSERT_FALSE(kernel_has(&c, 0));
			CU_ASSERT_FALSE(kernel_has(&c, 1));
		}
		later(1100);
		if (flags[i / 2] == TALK_FIN)
			CU_ASSERT_EQUAL(map_count(), 0);
	}
}
static void test_control(void)
{
	kernel_with(control_of);
}

/** After gigabytes in the kernel workers know where the connection is, in a mode that drops what is not there. */
static void far_of(struct talk *t)
{
	static const uint32_t starts[] = { 1000, 0x7ffff000, 0xfffff000, 0x80000000 };
	static const uint64_t amounts[] = { 1 << 20, UINT64_C(3) << 29, UINT64_C(5) << 30,
		UINT64_C(9) << 29 };

	for (unsigned i = 0; i < RTE_DIM(starts) * RTE_DIM(amounts); i++) {
		struct talk c = *t;
		uint64_t done = 0;

		kernel_start();
		c.seq[0] = starts[i % RTE_DIM(starts)];
		talk_give(&c);
		while (done < amounts[i / RTE_DIM(starts)]) {
			if (!kernel_says(&c, 0, 64000, 46))
				break;
			done += 64000;
		}
		CU_ASSERT_TRUE(done >= amounts[i / RTE_DIM(starts)]);
		switch (i % 3) {
		case 0:
			CU_ASSERT_EQUAL(talk_say(&c, 0, TALK_FIN, 0), 1);
			CU_ASSERT_EQUAL(
				flow_state_kind(talk_flow(&c, 0)->state), FLOW_TCP_FIN_WAIT);
			break;
		case 1:
			generation_commit();
			CU_ASSERT_EQUAL(talk_say(&c, 0, TALK_ACK, 100), 1);
			CU_ASSERT_TRUE(kernel_says(&c, 0, 100, 1));
			break;
		default:
			kernel_flows_changed();
			CU_ASSERT_FALSE(kernel_says(&c, 0, 100, 1));
			CU_ASSERT_EQUAL(talk_say(&c, 0, TALK_ACK, 100), 1);
		}
	}
}
static void test_far(void)
{
	kernel_with(far_of);
}

/** The kernel had a little; the workers then have much, and the kernel again. What the kernel last saw is long ago. */
static void turns_of(struct talk *t)
{
	for (unsigned how = 0; how < 3; how++) {
		struct talk c = *t;

		kernel_start();
		talk_give(&c);
		CU_ASSERT_TRUE(kernel_says(&c, 0, 1000, 1));
		if (how == 0)
			kernel_flows_pause(KERNEL_PAUSE_OBSERVER, true);
		else
			kernel_flows_changed();
		for (unsigned i = 0; i < 300; i++)
			CU_ASSERT_EQUAL(talk_say(&c, 0, TALK_ACK, 1400), 1);
		if (how == 0)
			kernel_flows_pause(KERNEL_PAUSE_OBSERVER, false);
		if (how == 2)
			generation_commit();
		CU_ASSERT_EQUAL(talk_say(&c, 0, TALK_ACK, 1400), 1);
		later(200);
		CU_ASSERT_EQUAL(talk_say(&c, 0, TALK_ACK, 1400), 1);
		later(200);
		CU_ASSERT_TRUE(kernel_says(&c, 0, 1400, 1));
		CU_ASSERT_EQUAL(talk_say(&c, 0, TALK_FIN, 0), 1);
		CU_ASSERT_EQUAL(flow_state_kind(talk_flow(&c, 0)->state), FLOW_TCP_FIN_WAIT);
	}
}
static void test_turns(void)
{
	kernel_with(turns_of);
}

/* --- counting ------------------------------------------------------------------------------------------------- */

static void counters_of(struct talk *t)
{
	struct counter_totals before, now;
	struct port_totals in, out, in2, out2;
	struct flow *flow;
	uint64_t packets, bytes;

	talk_give(t);
	kernel_flows_harvest();
	flow = talk_flow(t, 0);
	packets = counter_read(&flow->packets);
	bytes = counter_read(&flow->bytes);
	counters_sum(&before);
	counters_sum_port(POD_A, &in);
	counters_sum_port(POD_B, &out);
	for (unsigned i = 0; i < 100; i++)
		CU_ASSERT_TRUE(kernel_says(t, 0, 1000, 1));
	for (unsigned i = 0; i < 2; i++) /* what is counted is counted */
		kernel_flows_harvest();
	counters_sum(&now);
	counters_sum_port(POD_A, &in2);
	counters_sum_port(POD_B, &out2);
	CU_ASSERT_EQUAL(now.received - before.received, 100);
	CU_ASSERT_EQUAL(now.transmitted - before.transmitted, 100);
	CU_ASSERT_EQUAL(now.generated, before.generated);
	CU_ASSERT_EQUAL(event_since(&before, EVENT_flow_hit), 100);
	CU_ASSERT_EQUAL(event_since(&before, EVENT_kernel_forwarded), 100);
	CU_ASSERT_EQUAL(in2.rx_packets - in.rx_packets, 100);
	CU_ASSERT_EQUAL(in2.rx_bytes - in.rx_bytes, 100 * (1040 + ETHER));
	CU_ASSERT_EQUAL(out2.tx_packets - out.tx_packets, 100);
	CU_ASSERT_EQUAL(out2.tx_bytes - out.tx_bytes, 100 * (1040 + ETHER));
	CU_ASSERT_EQUAL(counter_read(&flow->packets) - packets, 100);
	CU_ASSERT_EQUAL(counter_read(&flow->bytes) - bytes, 100 * 1040);
}
static void test_counters(void)
{
	kernel_with(counters_of);
}

static void test_counters_in_tunnel(void)
{
	struct talk t = { "10.244.1.10", "10.244.2.9", { POD_A, ETH }, IPPROTO_UDP, 7, 8,
		{ 0, 0 } };
	struct counter_totals before, now;
	struct port_totals out, out2;

	kernel_start();
	for (unsigned i = 0; i < 2 * KERNEL_OFFER_AFTER; i++)
		CU_ASSERT_EQUAL(talk_say(&t, 0, 0, 100), 1);
	later(100);
	counters_sum(&before);
	counters_sum_port(ETH, &out);
	CU_ASSERT_TRUE(kernel_says(&t, 0, 1000, 1));
	CU_ASSERT_TRUE(kernel_says(&t, 0, 60000, 43));
	later(1100);
	counters_sum(&now);
	counters_sum_port(ETH, &out2);
	CU_ASSERT_EQUAL(now.received - before.received, 2);
	CU_ASSERT_EQUAL(now.generated - before.generated, 42);
	CU_ASSERT_EQUAL(now.transmitted - before.transmitted, 44);
	CU_ASSERT_EQUAL(event_since(&before, EVENT_encapsulated), 2);
	CU_ASSERT_EQUAL(out2.tx_packets - out.tx_packets, 44);
	node_check();
}

static void lasts_of(struct talk *t)
{
	talk_give(t);
	for (unsigned i = 0; i < 100; i++) { /* longer than the timeout of a flow without packets */
		CU_ASSERT_TRUE(kernel_says(t, 0, 1000, 1));
		CU_ASSERT_TRUE(kernel_says(t, 1, 0, 1));
		later(1000);
		flow_expire(w->flows, 0, w->now_ms, UINT32_MAX);
	}
	CU_ASSERT_PTR_NOT_NULL(talk_flow(t, 0));
	CU_ASSERT_PTR_NOT_NULL(talk_flow(t, 1));
	/* Nobody speaks: it comes back, and is known for its time still. */
	later(65000);
	CU_ASSERT_EQUAL(map_count(), 0);
	CU_ASSERT_EQUAL(kernel_flows_count(), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(talk_flow(t, 0));
	CU_ASSERT_EQUAL(talk_say(t, 0, TALK_ACK, 100), 1);
	later(200);
	CU_ASSERT_TRUE(kernel_has(t, 0));
}
static void test_lasts(void)
{
	kernel_with(lasts_of);
}

static const struct test_case cases[] = {
	{ "an established flow is given", test_given },
	{ "what is never given", test_never_given },
	{ "no flow that needs a UDP checksum", test_not_with_udp_checksum },
	{ "no stateless flow", test_stateless },
	{ "a commit takes one packet", test_commit },
	{ "what a commit denies stays denied", test_denied },
	{ "what a commit moves goes the new way", test_moved },
	{ "a header changes, not its meaning", test_same_meaning },
	{ "FIN, RST and SYN stop both directions", test_control },
	{ "sequence numbers after gigabytes", test_far },
	{ "kernel and workers by turns", test_turns },
	{ "counters", test_counters },
	{ "counters of a tunnel", test_counters_in_tunnel },
	{ "a flow in the kernel lasts, an idle one comes back", test_lasts },
};

SUITE_MAIN("kernel_flows", cases)
