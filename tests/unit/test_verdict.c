/* SPDX-License-Identifier: Apache-2.0 */
/** What verdicts do to flows: negative entries, the opposite direction, changes, ends that are not judged. Both families. */
#include "tests/unit/worker_frames.h"

#include "dataplane/conntrack.h"
#include "dataplane/policy_log.h"
#include "tests/unit/policy_double.h"

static struct frame f;

static const struct family {
	const char *a, *b, *remote, *outside, *node;
} families[2] = {
	{ "10.244.1.10", "10.244.1.11", "10.244.2.7", "203.0.113.9", "192.0.2.1" },
	{ "fd00:244:1::10", "fd00:244:1::11", "fd00:244:2::7", "2001:db8:113::9", "2001:db8::1" },
};

static void outdate(uint32_t index)
{
	const struct adjacency same = *adjacency_get(index);

	adjacency_replace(index, &same, false);
}

/** One commit of policies that concern pods a and b, as policies.c makes it. */
static void publish(const struct policy_table *t)
{
	struct tables *old = rcu_own(&tables), *next = malloc(sizeof(*next));

	*next = *old;
	next->policy = t;
	rcu_publish(&tables, next);
	generation_bump_zone(POD_A);
	generation_bump_zone(POD_B);
	outdate(adj.pod_a);
	outdate(adj.pod_b);
	outdate(DROP_policy_egress);
	outdate(DROP_policy_ingress);
	generation_commit();
	rcu_retire(old, free);
}

static void policies(const struct policy_table *t)
{
	publish(t);
	grace();
	policy_asked = policy_counted = 0;
}

static unsigned next_port = 1000; /* every case has flows of its own */

static struct ask ask_of(
	const char *src, const char *dst, uint16_t sport, uint16_t dport, uint8_t proto)
{
	return (struct ask){ .src = src,
		.dst = dst,
		.sport = sport,
		.dport = dport,
		.proto = proto,
		.payload = 40 };
}

/** Send one packet. @return whether it went out of port `out`. */
static bool passes(uint16_t in, uint16_t out, const char *src, const char *dst, unsigned sport,
	unsigned dport, uint8_t proto)
{
	struct ask a = ask_of(src, dst, (uint16_t)sport, (uint16_t)dport, proto);
	unsigned before = sent(out);

	frame_make(&f, in, &a);
	frame_send(&f, in, 0);
	return sent(out) == before + 1;
}

static bool udp(
	uint16_t in, uint16_t out, const char *src, const char *dst, unsigned sport, unsigned dport)
{
	return passes(in, out, src, dst, sport, dport, IPPROTO_UDP);
}

struct found {
	struct flow_record flow;
	const char *src;
	uint16_t sport;
	bool there;
};

static int find(const struct flow_record *r, void *arg)
{
	struct found *found = arg;
	struct ip_addr src = ip(found->src);

	if (r->v6 != (src.family == IP_V6) ||
		ntohs(r->v6 ? r->key6.sport : r->key4.sport) != found->sport ||
		memcmp(r->v6 ? r->key6.src : (const uint8_t *)&r->key4.src, src.bytes,
			r->v6 ? 16 : 4) != 0)
		return 0;
	found->flow = *r;
	found->there = true;
	return 1;
}

static struct found flow_from(const char *src, unsigned sport)
{
	struct found found = { .src = src, .sport = (uint16_t)sport };

	rcu_offline(0);
	flow_table_each(w->flows, RCU_WORKERS_MAX, 0, w->now_ms, find, &found);
	rcu_online(0);
	return found;
}

/* --- cases ------------------------------------------------------------------------------------------------------ */

static const struct policy_table web_only = { { { .port = POD_B, .dport = 80, .rule = 5 },
	{ .port = POD_B, .deny = true, .rule = 6 } } };

/** Connections of before a start are replies to somebody, until the time for that is over. */
static void test_grace(void)
{
	static const struct policy_table closed = {
		{ { .port = POD_A, .deny = true, .rule = 9 } }
	};

	for (unsigned v = 0; v < 2; v++) {
		const struct family *n = &families[v];
		const unsigned s = next_port += 10;

		node_start();
		policies(&closed);
		CU_ASSERT_FALSE(udp(POD_B, POD_A, n->b, n->a, s, 80));
		CU_ASSERT_EQUAL(
			passes(POD_B, POD_A, n->b, n->a, s, 80, IPPROTO_TCP), conntrack_grace());
		CU_ASSERT_EQUAL(v == 0, conntrack_grace());
		conntrack_tick(1);
		CU_ASSERT_FALSE(conntrack_grace());
		CU_ASSERT_FALSE(passes(POD_B, POD_A, n->b, n->a, s + 1, 80, IPPROTO_TCP));
		policies(NULL);
		node_check();
	}
}

static void test_denied(void)
{
	for (unsigned v = 0; v < 2; v++) {
		const struct family *n = &families[v];
		const unsigned s = next_port += 10;
		struct counter_totals before;
		struct found found;

		node_start();
		policies(&web_only);
		counters_sum(&before);
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		CU_ASSERT_EQUAL(flow_from(n->a, s).flow.rule, 5);
		CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s + 1, 81));
		CU_ASSERT_EQUAL(policy_counted, 2);
		policy_asked = 0;
		for (unsigned i = 0; i < 5; i++)
			CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s + 1, 81));
		CU_ASSERT_EQUAL(policy_asked, 0); /* the entry answers */
		CU_ASSERT_EQUAL(drops_since(&before, DROP_policy_ingress), 6);
		CU_ASSERT_EQUAL(dropped_since(&before), 6);
		found = flow_from(n->a, s + 1);
		CU_ASSERT_TRUE(found.there);
		CU_ASSERT_EQUAL(found.flow.rule, 6);
		CU_ASSERT_EQUAL(found.flow.flags, FLOW_NEGATIVE);
		CU_ASSERT_EQUAL(found.flow.packets, 6);
		CU_ASSERT_FALSE(flow_from(n->b, 81).there); /* nothing comes back */
		/* From outside and by tunnel, too. */
		CU_ASSERT_FALSE(udp(ETH, POD_B, n->outside, n->b, s + 2, 81));
		CU_ASSERT_TRUE(udp(ETH, POD_B, n->outside, n->b, s + 2, 80));
		CU_ASSERT_EQUAL(drops_since(&before, DROP_policy_ingress), 7);
		policies(NULL);
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s + 1, 81));
		node_check();
	}
}

static void test_which_end(void)
{
	static const struct policy_table egress = {
		{ { .port = POD_A, .egress = true, .dport = 82, .deny = true, .rule = 7 },
			{ .port = POD_B, .deny = true, .rule = 8 } }
	};

	for (unsigned v = 0; v < 2; v++) {
		const struct family *n = &families[v];
		const unsigned s = next_port += 10;
		struct counter_totals before;

		node_start();
		policies(&egress);
		counters_sum(&before);
		CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s, 82));
		CU_ASSERT_FALSE(udp(POD_A, ETH, n->a, n->outside, s, 82));
		CU_ASSERT_EQUAL(drops_since(&before, DROP_policy_egress), 2);
		CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s, 83));
		CU_ASSERT_EQUAL(drops_since(&before, DROP_policy_ingress), 1);
		CU_ASSERT_TRUE(udp(POD_A, ETH, n->a, n->outside, s, 83));
		CU_ASSERT_TRUE(udp(POD_B, POD_B, n->b, n->b, s, 83)); /* to itself */
		policies(NULL);
		node_check();
	}
}

/** A pod that nobody may reach still hears its answers, also after changes, and also without an entry for them. */
static void test_replies(void)
{
	static const struct policy_table closed = {
		{ { .port = POD_A, .deny = true, .rule = 9 } }
	};

	for (unsigned v = 0; v < 2; v++) {
		const struct family *n = &families[v];
		const unsigned s = next_port += 10;
		struct found found;

		node_start();
		policies(&closed);
		CU_ASSERT_FALSE(udp(POD_B, POD_A, n->b, n->a, 53, s));
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s + 1, 53));
		CU_ASSERT_TRUE(udp(POD_B, POD_A, n->b, n->a, 53, s + 1));
		CU_ASSERT_FALSE(udp(POD_B, POD_A, n->b, n->a, 54, s + 1));
		policies(&closed);
		CU_ASSERT_TRUE(udp(POD_B, POD_A, n->b, n->a, 53, s + 1));
		CU_ASSERT_TRUE(policy_asked > 0);
		/* It went by tunnel and is answered without. */
		CU_ASSERT_TRUE(udp(POD_A, ETH, n->a, n->remote, s + 2, 55));
		CU_ASSERT_TRUE(udp(ETH, POD_A, n->remote, n->a, 55, s + 2));
		CU_ASSERT_FALSE(udp(ETH, POD_A, n->remote, n->a, 56, s + 2));
		found = flow_from(n->remote, 55);
		CU_ASSERT_TRUE(found.there && (found.flow.flags & FLOW_REPLY));
		policies(&closed);
		CU_ASSERT_TRUE(udp(ETH, POD_A, n->remote, n->a, 55, s + 2));
		policies(NULL);
		node_check();
	}
}

/** What was denied as a connection of its own becomes the answer of one that is opened from the other side. */
static void test_adopted(void)
{
	for (unsigned v = 0; v < 2; v++) {
		const struct family *n = &families[v];
		const unsigned s = next_port += 10;
		struct found found;

		node_start();
		policies(&web_only);
		CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s, 700));
		CU_ASSERT_TRUE(udp(POD_B, POD_A, n->b, n->a, 700, s));
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s, 700));
		found = flow_from(n->a, s);
		CU_ASSERT_EQUAL(found.flow.flags, FLOW_REPLY);
		policies(&web_only);
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s, 700));
		CU_ASSERT_TRUE(udp(POD_B, POD_A, n->b, n->a, 700, s));
		policies(NULL);
		node_check();
	}
}

static void test_changes(void)
{
	static const struct policy_table none = { { { .port = POD_B, .deny = true, .rule = 11 } } };
	static const struct policy_table out = {
		{ { .port = POD_A, .egress = true, .deny = true, .rule = 12 } }
	};
	const struct policy_table *const tables_of[] = { &none, &out };

	for (unsigned v = 0; v < 4; v++) {
		const struct family *n = &families[v % 2];
		const unsigned s = next_port += 10;

		node_start();
		policies(&web_only);
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		CU_ASSERT_TRUE(udp(POD_B, POD_A, n->b, n->a, 80, s));
		CU_ASSERT_TRUE(udp(POD_A, ETH, n->a, n->outside, s + 1, 80));
		policies(tables_of[v / 2]);
		/* The reply first: it is decided by what its opener may do. */
		CU_ASSERT_FALSE(udp(POD_B, POD_A, n->b, n->a, 80, s));
		CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		CU_ASSERT_EQUAL(flow_from(n->a, s).flow.flags, FLOW_NEGATIVE);
		CU_ASSERT_EQUAL(flow_from(n->b, 80).flow.flags, FLOW_NEGATIVE | FLOW_REPLY);
		CU_ASSERT_EQUAL(flow_from(n->a, s).flow.rule, 11 + v / 2);
		CU_ASSERT_EQUAL(policy_counted, 0); /* first packets only */
		CU_ASSERT_EQUAL(udp(POD_A, ETH, n->a, n->outside, s + 1, 80), v / 2 == 0);
		policies(&web_only);
		CU_ASSERT_TRUE(udp(POD_B, POD_A, n->b, n->a, 80, s));
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		policies(NULL);
		node_check();
	}
}

/** Only flows of pods that a change concerns are judged again. */
static void test_untouched(void)
{
	for (unsigned v = 0; v < 2; v++) {
		const struct family *n = &families[v];
		const unsigned s = next_port += 10;

		node_start();
		policies(&web_only);
		CU_ASSERT_TRUE(udp(POD_A, ETH, n->a, n->outside, s, 80));
		CU_ASSERT_TRUE(udp(ETH, POD_A, n->outside, n->a, 80, s));
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s + 1, 80));
		policy_asked = 0;
		generation_bump_zone(POD_B);
		outdate(adj.pod_b);
		outdate(DROP_policy_egress);
		outdate(DROP_policy_ingress);
		generation_commit();
		CU_ASSERT_TRUE(udp(POD_A, ETH, n->a, n->outside, s, 80));
		CU_ASSERT_TRUE(udp(ETH, POD_A, n->outside, n->a, 80, s));
		CU_ASSERT_EQUAL(policy_asked, 0);
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s + 1, 80));
		CU_ASSERT_EQUAL(policy_asked, 1);
		policies(NULL);
		node_check();
	}
}

static const struct policy_table closing[] = {
	[CHANGE_REEVALUATE] = { { { .port = POD_B, .deny = true, .rule = 21 } } },
	[CHANGE_KEEP] = { { { .port = POD_B,
		.deny = true,
		.on_change = CHANGE_KEEP,
		.rule = 22 } } },
	[CHANGE_RESET] = { { { .port = POD_B,
		.deny = true,
		.on_change = CHANGE_RESET,
		.rule = 23 } } },
};

static void test_keep(void)
{
	for (unsigned v = 0; v < 2; v++) {
		const struct family *n = &families[v];
		const unsigned s = next_port += 10;

		node_start();
		policies(&web_only);
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		for (unsigned i = 0; i < 2; i++) {
			policies(&closing[CHANGE_KEEP]);
			CU_ASSERT_TRUE(udp(POD_B, POD_A, n->b, n->a, 80, s));
			CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s, 80));
			CU_ASSERT_EQUAL(flow_from(n->a, s).flow.rule, 5);
			CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s + 1, 80)); /* no new ones */
		}
		policies(&closing[CHANGE_REEVALUATE]);
		CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		policies(&closing[CHANGE_KEEP]); /* what was denied is no connection */
		CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		policies(NULL);
		node_check();
	}
}

/** The last packet of a port is an RST of that connection with these numbers. */
static void expect_reset(uint16_t port, unsigned i, uint16_t sport, uint16_t dport, uint32_t seq)
{
	uint32_t len;
	const uint8_t *got = sent_bytes(port, i, &len),
		      *tcp = got + ETHER + (got[ETHER] >> 4 == 6 ? 40 : 20);

	CU_ASSERT_TRUE(sent_sound(port, i, &len));
	CU_ASSERT_EQUAL(get16(tcp), sport);
	CU_ASSERT_EQUAL(get16(tcp + 2), dport);
	CU_ASSERT_EQUAL(get16(tcp + 4) << 16 | get16(tcp + 6), seq);
	CU_ASSERT_TRUE(tcp[13] & 0x04);
}

static void test_reset(void)
{
	for (unsigned v = 0; v < 2; v++) {
		const struct family *n = &families[v];
		const unsigned s = next_port += 10;
		struct counter_totals before;

		node_start();
		policies(&web_only);
		CU_ASSERT_TRUE(passes(POD_A, POD_B, n->a, n->b, s, 80, IPPROTO_TCP));
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		policies(&closing[CHANGE_RESET]);
		sent_clear();
		counters_sum(&before);
		/* Sequence number 0x12340000, acknowledged 0: see put_l4. */
		CU_ASSERT_TRUE(passes(
			POD_A, POD_B, n->a, n->b, s, 80, IPPROTO_TCP)); /* out goes the reset */
		CU_ASSERT_EQUAL(sent(POD_A), 1);
		CU_ASSERT_EQUAL(sent(POD_B), 1);
		expect_reset(POD_B, 0, (uint16_t)s, 80, 0x12340000);
		expect_reset(POD_A, 0, 80, (uint16_t)s, 0);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_policy_reset), 2);
		CU_ASSERT_EQUAL(drops_since(&before, DROP_policy_ingress), 1);
		/* Once, and for TCP only. */
		CU_ASSERT_FALSE(passes(POD_A, POD_B, n->a, n->b, s, 80, IPPROTO_TCP));
		CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		CU_ASSERT_FALSE(passes(POD_A, POD_B, n->a, n->b, s + 1, 80, IPPROTO_TCP));
		CU_ASSERT_EQUAL(event_since(&before, EVENT_policy_reset), 2);
		policies(NULL);
		node_check();
	}
}

static void test_node(void)
{
	static const struct policy_table closed = { { { .port = POD_A, .deny = true, .rule = 31 },
		{ .port = HOST, .egress = true, .dport = 99, .deny = true, .rule = 32 },
		{ .port = HOST, .deny = true, .rule = 33 } } };

	for (unsigned v = 0; v < 2; v++) {
		const struct family *n = &families[v];
		const unsigned s = next_port += 10;
		struct counter_totals before;

		node_start();
		policies(&closed);
		CU_ASSERT_TRUE(udp(HOST, POD_A, n->node, n->a, s, 80));
		CU_ASSERT_TRUE(udp(POD_A, HOST, n->a, n->node, 80, s) ||
			       true); /* LOCAL: nobody listens in this test */
		CU_ASSERT_FALSE(
			udp(HOST, POD_A, n->outside, n->a, s, 80)); /* it only forwards that */
		CU_ASSERT_FALSE(udp(HOST, POD_A, n->node, n->a, s, 99));
		CU_ASSERT_TRUE(udp(HOST, ETH, n->node, n->outside, s, 80));
		CU_ASSERT_FALSE(udp(HOST, ETH, n->node, n->outside, s, 99));
		counters_sum(&before);
		udp(POD_B, HOST, n->b, n->node, s, 22);
		CU_ASSERT_EQUAL(drops_since(&before, DROP_policy_ingress), 1);
		policies(NULL);
		node_check();
	}
}

/** A pre-connection rule that allows makes no connection: the answer is judged by itself. */
static void test_stateless(void)
{
	static const struct policy_table raw = {
		{ { .port = POD_B, .dport = 80, .stateless = true, .rule = 41 },
			{ .port = POD_A, .deny = true, .rule = 42 } }
	};

	for (unsigned v = 0; v < 2; v++) {
		const struct family *n = &families[v];
		const unsigned s = next_port += 10;

		node_start();
		policies(&raw);
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		CU_ASSERT_FALSE(flow_from(n->b, 80).there);
		CU_ASSERT_FALSE(udp(POD_B, POD_A, n->b, n->a, 80, s));
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		policies(NULL);
		node_check();
	}
}

static const struct policy_table *newer;

static void publish_newer(void)
{
	publish(newer);
}

/** Policies change while a worker judges: what it decided from the old ones is not kept as of the new ones. */
static void test_race(void)
{
	static const struct policy_table none = { { { .port = POD_B, .deny = true, .rule = 51 } } };

	for (unsigned v = 0; v < 2; v++) {
		const struct family *n = &families[v];
		const unsigned s = next_port += 10;

		node_start();
		policies(&web_only);
		newer = &none;
		policy_meanwhile = publish_newer;
		CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s, 80));
		grace();
		/* And the other way, for an established flow. */
		policies(&web_only);
		CU_ASSERT_TRUE(udp(POD_A, POD_B, n->a, n->b, s + 1, 80));
		policies(&web_only);
		policy_meanwhile = publish_newer;
		CU_ASSERT_FALSE(udp(POD_A, POD_B, n->a, n->b, s + 1, 80));
		CU_ASSERT_FALSE(udp(POD_B, POD_A, n->b, n->a, 80, s + 1));
		grace();
		policies(NULL);
		node_check();
	}
}

struct logged {
	unsigned n, denied;
	uint32_t rule;
};

static void on_logged(const struct policy_log_entry *e, void *arg)
{
	struct logged *l = arg;

	l->n++;
	l->denied += !e->allow;
	l->rule = e->logged;
}

static void test_log(void)
{
	static const struct policy_table log = {
		{ { .port = POD_B, .dport = 80, .log = true, .rule = 61 }, { .port = POD_B,
										   .dport = 81,
										   .log = true,
										   .deny = true,
										   .staged = true,
										   .rule = 62 } }
	};
	const struct family *n = &families[0];
	struct counter_totals before;
	struct logged l = { 0 };

	node_start();
	policies(&log);
	counters_sum(&before);
	policy_log_drain(on_logged, &l);
	l = (struct logged){ 0 };
	for (unsigned i = 0; i < 3; i++) {
		udp(POD_A, POD_B, n->a, n->b, 9000, 80);
		udp(POD_A, POD_B, n->a, n->b, 9001, 81);
	}
	CU_ASSERT_EQUAL(policy_log_drain(on_logged, &l), 2);
	CU_ASSERT_EQUAL(l.denied, 1);
	CU_ASSERT_EQUAL(l.rule, 62);
	CU_ASSERT_EQUAL(event_since(&before, EVENT_policy_logged), 2);
	CU_ASSERT_EQUAL(event_since(&before, EVENT_policy_staged), 1);
	sent_clear();
	for (unsigned i = 0; i < 300; i++)
		udp(POD_A, POD_B, n->a, n->b, 10000 + i, 81);
	l.n = 0;
	policy_log_drain(on_logged, &l);
	CU_ASSERT_EQUAL(l.n, 256);
	CU_ASSERT_EQUAL(event_since(&before, EVENT_policy_log_lost), 300 - 256);
	policies(NULL);
	node_check();
}

static const struct test_case cases[] = {
	{ "grace", test_grace },
	{ "denied", test_denied },
	{ "which end denies", test_which_end },
	{ "replies", test_replies },
	{ "denied before it answers", test_adopted },
	{ "changes reach both directions", test_changes },
	{ "flows of others stay", test_untouched },
	{ "keep", test_keep },
	{ "reset", test_reset },
	{ "the node", test_node },
	{ "stateless", test_stateless },
	{ "a change while judging", test_race },
	{ "log", test_log },
};

SUITE_MAIN("verdict", cases)
