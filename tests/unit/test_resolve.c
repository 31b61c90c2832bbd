/* SPDX-License-Identifier: Apache-2.0 */
/** resolve.c alone: decisions, what they depend on, and that the recorder tells of the decision made. */
#include "tests/unit/worker_frames.h"

#include "dataplane/resolve.h"

#include <stdarg.h>

static char steps[4096];

static void record(void *arg, const char *stage, const char *fmt, ...)
{
	size_t len = strlen(steps);
	va_list ap;

	CU_ASSERT_PTR_EQUAL(arg, steps);
	len += (size_t)snprintf(steps + len, sizeof(steps) - len, "%s: ", stage);
	va_start(ap, fmt);
	len += (size_t)vsnprintf(steps + len, sizeof(steps) - len, fmt, ap);
	va_end(ap);
	snprintf(steps + len, sizeof(steps) - len, "\n");
}

/** Resolve with and without a recorder: the same. */
static struct resolution resolve_text(
	uint32_t zone, const char *src, const char *dst, uint64_t hash)
{
	const struct recorder rec = { record, steps };
	struct ip_addr s = ip(src), d = ip(dst);
	struct resolution plain, told;

	steps[0] = '\0';
	memset(&plain, 0xee, sizeof(plain));
	memset(&told, 0x11, sizeof(told));
	if (s.family == IP_V6) {
		struct flow_key6 k = { .zone_proto = zone << 8 | IPPROTO_UDP };

		memcpy(k.src, s.bytes, 16);
		memcpy(k.dst, d.bytes, 16);
		resolve6(&k, hash, RESOLVE_OPENER, NULL, &plain);
		resolve6(&k, hash, RESOLVE_OPENER, &rec, &told);
	} else {
		struct flow_key4 k = { .zone_proto = zone << 8 | IPPROTO_UDP };

		memcpy(&k.src, s.bytes, 4);
		memcpy(&k.dst, d.bytes, 4);
		resolve4(&k, hash, RESOLVE_OPENER, NULL, &plain);
		resolve4(&k, hash, RESOLVE_OPENER, &rec, &told);
	}
	CU_ASSERT_EQUAL(plain.decision.adjacency, told.decision.adjacency);
	CU_ASSERT_EQUAL(plain.decision.generation, told.decision.generation);
	CU_ASSERT_EQUAL(plain.reverse_zone, told.reverse_zone);
	CU_ASSERT_EQUAL(plain.cache, told.cache);
	return told;
}

static void expect_decisions(void)
{
	const struct {
		uint32_t zone;
		const char *src, *dst;
		uint32_t adjacency, reverse;
		const char *says;
	} cases[] = {
		{ POD_A, "10.244.1.10", "10.244.1.11", adj.pod_b, POD_B,
			"forward: pod:b, MTU 1500" },
		{ POD_A, "10.244.1.10", "10.244.1.10", adj.pod_a, POD_A,
			"back to the sending pod" },
		{ POD_A, "fd00:244:1::10", "fd00:244:2::1", adj.vxlan4, ZONE_TUNNEL, "MTU 1450" },
		{ POD_A, "10.244.1.10", "203.0.113.1", adj.router, ETH, "an address of pod:a" },
		{ POD_A, "10.244.1.10", "192.0.2.1", adjacency_local(), ZONE_NONE,
			"for this node" },
		{ POD_A, "10.244.1.10", "198.51.100.1", adj.resolving, ZONE_NONE, "forward" },
		{ POD_A, "10.244.1.10", "192.0.2.50", adj.glean, ZONE_NONE, "forward" },
		{ POD_A, "10.244.1.11", "203.0.113.1", DROP_spoofed_source, ZONE_NONE,
			"not an address of pod:a" },
		{ POD_A, "10.244.1.10", "172.16.0.1", DROP_no_route, ZONE_NONE, "no route covers" },
		{ POD_A, "10.244.1.10", "10.10.1.1", DROP_route_prohibit, ZONE_NONE, "prohibited" },
		{ ZONE_TUNNEL, "10.244.2.1", "10.244.1.10", adj.pod_a, POD_A, "from outside" },
		{ ZONE_TUNNEL, "10.244.1.11", "10.244.1.10", DROP_martian_source, ZONE_NONE,
			"belongs to this node" },
		{ ETH, "203.0.113.1", "10.244.1.10", adj.pod_a, POD_A, "from outside" },
		{ ETH, "203.0.113.1", "10.244.2.1", adj.vxlan4, ZONE_TUNNEL, "forward" },
		{ ETH, "fe80::5", "fe80::1", adjacency_local(), ZONE_NONE,
			"towards this node only" },
		{ ETH, "fe80::5", "fd00:244:1::10", DROP_link_local_scope, ZONE_NONE,
			"link-local" },
		{ HOST, "10.244.1.11", "10.244.1.10", adj.pod_a, POD_A, "the host port may" },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct resolution r = resolve_text(cases[i].zone, cases[i].src, cases[i].dst, 0);

		if (r.decision.adjacency != cases[i].adjacency ||
			strstr(steps, cases[i].says) == NULL)
			printf("\n    %s -> %s: adjacency %u, wanted %u \"%s\"\n%s", cases[i].src,
				cases[i].dst, r.decision.adjacency, cases[i].adjacency,
				cases[i].says, steps);
		CU_ASSERT_EQUAL(r.decision.adjacency, cases[i].adjacency);
		CU_ASSERT_EQUAL(r.reverse_zone, cases[i].reverse);
		CU_ASSERT_PTR_NOT_NULL(strstr(steps, cases[i].says));
		CU_ASSERT_TRUE(r.cache);
	}
}

static void test_decisions(void)
{
	node_start();
	expect_decisions();
	node_check();
}

static void test_not_remembered(void)
{
	struct resolution r;

	node_start();
	r = resolve_text(900, "10.244.1.10", "10.244.1.11", 0); /* the port is gone */
	CU_ASSERT_EQUAL(r.decision.adjacency, DROP_port_down);
	CU_ASSERT_FALSE(r.cache);
	atomic_store(&node_ports[POD_B].port.forwarding, false);
	r = resolve_text(POD_A, "10.244.1.10", "10.244.1.11", 0);
	CU_ASSERT_EQUAL(r.decision.adjacency, DROP_port_down);
	CU_ASSERT_EQUAL(r.reverse_zone, ZONE_NONE);
	CU_ASSERT_FALSE(r.cache);
	node_check();
}

static bool current(const struct resolution *r)
{
	struct flow flow = { .deps = { r->deps.slot[0], r->deps.slot[1], r->deps.slot[2] } };

	flow_decision_set(&flow, r->decision);
	return resolution_current(&flow);
}

/** Each dependency alone makes a decision old; what it does not depend on leaves it. */
static void test_dependencies(void)
{
	struct ip_prefix own = net("10.244.2.0/24"), other = net("10.244.9.0/24");
	struct adjacency next = tunnel_make(ENCAP_VXLAN, IP_V4);
	struct resolution r;

	node_start();
	r = resolve_text(POD_A, "10.244.1.10", "10.244.2.1", 0);
	CU_ASSERT_TRUE(current(&r));
	generation_bump_zone(POD_B);
	generation_bump_prefix(&other);
	adjacency_replace(adj.vxlan4, &next, true);
	CU_ASSERT_TRUE(current(&r));
	generation_bump_zone(POD_A);
	CU_ASSERT_FALSE(current(&r));
	r = resolve_text(POD_A, "10.244.1.10", "10.244.2.1", 0);
	generation_bump_prefix(&own);
	CU_ASSERT_FALSE(current(&r));
	r = resolve_text(POD_A, "10.244.1.10", "10.244.2.1", 0);
	adjacency_replace(adj.vxlan4, &next, false);
	CU_ASSERT_FALSE(current(&r));
	r = resolve_text(POD_A, "10.244.1.10", "10.244.2.1", 0);
	CU_ASSERT_TRUE(current(&r));
	r = resolve_text(POD_A, "10.244.1.11", "10.244.2.1", 0);
	CU_ASSERT_TRUE(current(&r));
	generation_bump_zone(POD_A);
	CU_ASSERT_FALSE(current(&r)); /* denials, too */
	generation_commit();
	node_check();
}

static void test_next_hops(void)
{
	static struct path_group group;
	unsigned router = 0;

	node_start();
	for (unsigned i = 0; i < PATHS_BUCKETS; i++)
		group.adjacency[i] = i < 16 ? adj.router : adj.peer;
	atomic_store(&path_groups[3], &group);
	route("fd00:77::/32", PATHS_FLAG | 3);
	for (uint64_t i = 0; i < PATHS_BUCKETS; i++) {
		struct resolution r = resolve_text(POD_A, "fd00:244:1::10", "fd00:77::1", i << 32);

		CU_ASSERT_EQUAL(r.decision.adjacency, group.adjacency[i]);
		CU_ASSERT_PTR_NOT_NULL(strstr(steps, "several next hops"));
		router += r.decision.adjacency == adj.router;
	}
	CU_ASSERT_EQUAL(router, 16);
	route("fd00:77::/32", FIB_NONE);
	node_check();
}

static const struct test_case cases[] = {
	{ "decisions", test_decisions },
	{ "not remembered", test_not_remembered },
	{ "dependencies", test_dependencies },
	{ "several next hops", test_next_hops },
};

SUITE_MAIN("resolve", cases)
