/* SPDX-License-Identifier: Apache-2.0 */
/** The way of a packet through a worker: forwarding, both tunnels in all family pairs, flows and what invalidates them,
 * output that does not take everything. */
#include "dataplane/conntrack.h"
#include "dataplane/flow_table.h"
#include "tests/unit/worker_frames.h"

static const uint32_t segments[] = { 0, 60, 37, 14 };
static struct frame f;

struct pair {
	const char *a, *b;  /* pods of this node */
	const char *remote; /* printf form of the pod behind peer 2..5 */
	const char *outside;
};
static const struct pair families[2] = {
	{ "10.244.1.10", "10.244.1.11", "10.244.%u.7", "203.0.113.9" },
	{ "fd00:244:1::10", "fd00:244:1::11", "fd00:244:%u::7", "2001:db8:113::9" },
};
static const struct tunnel_way {
	unsigned peer; /* in the remote address */
	enum encap encap;
	uint8_t underlay;
} ways[] = {
	{ 2, ENCAP_VXLAN, IP_V4 },
	{ 3, ENCAP_VXLAN, IP_V6 },
	{ 4, ENCAP_IPIP, IP_V4 },
	{ 5, ENCAP_IPIP, IP_V6 },
};

static void test_between_pods(void)
{
	for (unsigned v = 0; v < 2; v++) {
		for (size_t s = 0; s < RTE_DIM(segments); s++) {
			struct ask a = { families[v].a, families[v].b,
				.sport = (uint16_t)(1000 + s), .dport = 53, .payload = 100,
				.tos = 0xb9 };

			node_start();
			frame_make(&f, POD_A, &a);
			frame_send(&f, POD_A, segments[s]);
			frame_send(&f, POD_A, segments[s]);
			CU_ASSERT_EQUAL(sent(POD_B), 2);
			expect_forwarded(&f, POD_B, 0, &station[POD_B]);
			expect_forwarded(&f, POD_B, 1, &station[POD_B]);
			node_check();
		}
	}
}

/** Every value an IPv4 header sum can have on the way in, the carry included. */
static void test_header_sums(void)
{
	struct ask a = { families[0].a, families[0].b, .sport = 1, .dport = 2 };
	uint8_t h[20];

	node_start();
	frame_make(&f, POD_A, &a);
	for (uint32_t id = 0; id < 65536; id++) {
		const uint8_t *got;
		uint32_t len;

		put16(f.bytes + ETHER + 4, id);
		sum_ip4(f.bytes + ETHER);
		if (get16(f.bytes + ETHER + 10) < 0xfe00 && id % 97 != 0)
			continue;
		frame_send(&f, POD_A, 0);
		memcpy(h, f.bytes + ETHER, 20);
		lower_ttl(h);
		got = sent_bytes(POD_B, 0, &len);
		if (memcmp(got + ETHER, h, 20) != 0)
			CU_FAIL("header sum");
		sent_clear();
	}
	node_check();
}

static void expect_outer(const struct tunnel_way *way, const uint8_t *got, bool inner6)
{
	const bool v6 = way->underlay == IP_V6;
	const uint8_t *h = got + ETHER, *l4 = h + (v6 ? 40 : 20);
	const struct ip_addr src = ip(v6 ? "2001:db8::1" : "192.0.2.1"),
			     dst = ip(v6 ? "2001:db8::2" : "192.0.2.2");
	const uint8_t proto = way->encap == ENCAP_VXLAN ? IPPROTO_UDP
			      : inner6			? IPPROTO_IPV6
							: IPPROTO_IPIP;

	CU_ASSERT_EQUAL(memcmp(got, peer_mac.bytes, 6), 0);
	CU_ASSERT_EQUAL(memcmp(got + 6, uplink_mac.bytes, 6), 0);
	CU_ASSERT_EQUAL(memcmp(h + (v6 ? 8 : 12), src.bytes, v6 ? 16 : 4), 0);
	CU_ASSERT_EQUAL(memcmp(h + (v6 ? 24 : 16), dst.bytes, v6 ? 16 : 4), 0);
	CU_ASSERT_EQUAL(v6 ? h[6] : h[9], proto);
	CU_ASSERT_EQUAL(v6 ? h[7] : h[8], 64);
	CU_ASSERT_EQUAL(v6 ? (get16(h) >> 4 & 0xff) : h[1], 0xb9); /* RFC 6040, RFC 2983 uniform */
	if (way->encap != ENCAP_VXLAN)
		return;
	CU_ASSERT_TRUE(get16(l4) >= 49152);
	CU_ASSERT_EQUAL(get16(l4 + 2), 4789);
	CU_ASSERT_EQUAL((uint32_t)l4[12] << 16 | get16(l4 + 13), 4096);
	CU_ASSERT_EQUAL(memcmp(l4 + 16, peer_vtep.bytes, 6), 0);
	CU_ASSERT_EQUAL(memcmp(l4 + 22, vtep_mac.bytes, 6), 0);
}

static void test_encapsulation(void)
{
	static uint8_t want[2048];
	char remote[IP_TEXT_MAX];

	for (size_t i = 0; i < RTE_DIM(ways) * 2 * RTE_DIM(segments); i++) {
		const struct tunnel_way *way = &ways[i % 4];
		const struct pair *family = &families[i / 4 % 2];
		struct ask a = { family->a, remote, .sport = 7, .dport = (uint16_t)i,
			.payload = 100, .tos = 0xb9, .proto = IPPROTO_TCP, .df = true };
		struct counter_totals before;
		const uint8_t *got;
		uint32_t len;

		node_start();
		counters_sum(&before);
		snprintf(remote, sizeof(remote), family->remote, way->peer);
		frame_make(&f, POD_A, &a);
		frame_send(&f, POD_A, segments[i / 8]);
		CU_ASSERT_EQUAL(sent(ETH), 1);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_encapsulated), 1);
		got = sent_bytes(ETH, 0, &len);
		CU_ASSERT_TRUE(ether_sound(got, len));
		expect_outer(way, got, f.v6);
		memcpy(want, f.bytes + ETHER, f.len - ETHER);
		lower_ttl(want);
		CU_ASSERT_TRUE(len > f.len);
		CU_ASSERT_EQUAL(memcmp(got + len - (f.len - ETHER), want, f.len - ETHER), 0);
		node_check();
	}
}

static void test_decapsulation(void)
{
	char remote[IP_TEXT_MAX];

	for (size_t i = 0; i < RTE_DIM(ways) * 2 * RTE_DIM(segments); i++) {
		const struct tunnel_way *way = &ways[i % 4];
		const struct pair *family = &families[i / 4 % 2];
		const bool v6 = way->underlay == IP_V6;
		struct ask a = { remote, family->a, .sport = 7, .dport = (uint16_t)i,
			.payload = 100, .ttl = 2 };
		struct counter_totals before;
		static struct frame inner;

		node_start();
		counters_sum(&before);
		snprintf(remote, sizeof(remote), family->remote, way->peer);
		frame_make(&inner, ETH, &a);
		f = inner;
		frame_encapsulate(&f, way->encap, v6 ? "2001:db8::2" : "192.0.2.2",
			v6 ? "2001:db8::1" : "192.0.2.1", 4096, i % 8 < 4 ? 8472 : 4789);
		frame_send(&f, ETH, segments[i / 8]);
		CU_ASSERT_EQUAL(sent(POD_A), 1);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_decapsulated), 1);
		expect_forwarded(&inner, POD_A, 0, &station[POD_A]);
		node_check();
	}
}

static void test_decapsulation_refused(void)
{
	static const struct {
		const char *src;
		uint32_t vni;
		enum encap encap;
		const char *inner_src, *inner_dst;
		enum drop_reason reason;
	} cases[] = {
		{ "192.0.2.3", 4096, ENCAP_VXLAN, "10.244.2.7", "10.244.1.10",
			DROP_tunnel_unknown_peer },
		{ "192.0.2.3", 4096, ENCAP_IPIP, "10.244.2.7", "10.244.1.10",
			DROP_tunnel_unknown_peer },
		{ "192.0.2.2", 1, ENCAP_VXLAN, "10.244.2.7", "10.244.1.10",
			DROP_tunnel_unknown_vni },
		{ "192.0.2.2", 4096, ENCAP_VXLAN, "10.244.1.11", "10.244.1.10",
			DROP_martian_source },
		{ "192.0.2.2", 4096, ENCAP_IPIP, "192.0.2.1", "10.244.1.10", DROP_martian_source },
		{ "192.0.2.2", 4096, ENCAP_IPIP, "fd00:244:1::11", "fd00:244:1::10",
			DROP_martian_source },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct ask a = { cases[i].inner_src, cases[i].inner_dst, .sport = 9, .dport = 10 };
		struct counter_totals before;

		node_start();
		counters_sum(&before);
		frame_make(&f, ETH, &a);
		frame_encapsulate(
			&f, cases[i].encap, cases[i].src, "192.0.2.1", cases[i].vni, 4789);
		frame_send(&f, ETH, 0);
		CU_ASSERT_EQUAL(drops_since(&before, cases[i].reason), 1);
		CU_ASSERT_EQUAL(sent_all(), 0);
		node_check();
	}
	/* A tunnel in a tunnel, and one that a pod makes up. */
	{
		struct ask a = { "10.244.2.7", "10.244.1.10", .sport = 9, .dport = 10 };
		struct counter_totals before;

		node_start();
		counters_sum(&before);
		frame_make(&f, ETH, &a);
		frame_encapsulate(&f, ENCAP_IPIP, "192.0.2.2", "192.0.2.1", 0, 0);
		frame_encapsulate(&f, ENCAP_VXLAN, "192.0.2.2", "192.0.2.1", 4096, 4789);
		frame_send(&f, ETH, 0);
		CU_ASSERT_EQUAL(drops_since(&before, DROP_tunnel_nested), 1);
		frame_make(&f, ETH, &a);
		frame_encapsulate(&f, ENCAP_IPIP, "192.0.2.2", "192.0.2.1", 0, 0);
		put_ether(f.bytes, &gateway_mac, &station[POD_A], false);
		frame_send(&f, POD_A, 0);
		CU_ASSERT_EQUAL(drops_since(&before, DROP_spoofed_source), 1);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_decapsulated), 1);
		CU_ASSERT_EQUAL(sent_all(), 0);
		node_check();
	}
}

/* --- flows --- */

/** First packet, second packet, and the reply through the other zone: one miss. */
static void test_flow_pair(void)
{
	for (unsigned v = 0; v < 2; v++) {
		char remote[IP_TEXT_MAX];
		struct ask out = { families[v].a, remote, .sport = 4000, .dport = 80,
			.proto = IPPROTO_TCP };
		struct ask back = { remote, families[v].a, .sport = 80, .dport = 4000,
			.proto = IPPROTO_TCP };
		struct counter_totals before;
		struct flow_stats stats;

		node_start();
		counters_sum(&before);
		snprintf(remote, sizeof(remote), families[v].remote, 2);
		frame_make(&f, POD_A, &out);
		frame_send(&f, POD_A, 0);
		flow_table_stats(w->flows, &stats);
		CU_ASSERT_EQUAL(v ? stats.used6 : stats.used4, 2);
		frame_send(&f, POD_A, 0);
		frame_make(&f, ETH, &back);
		frame_encapsulate(&f, ENCAP_VXLAN, "192.0.2.2", "192.0.2.1", 4096, 4789);
		frame_send(&f, ETH, 0);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_flow_miss), 1);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_flow_hit), 2);
		CU_ASSERT_EQUAL(sent(POD_A), 1);
		CU_ASSERT_EQUAL(sent(ETH), 2);
		node_check();
	}
}

static void expect_miss(struct counter_totals *before, uint16_t in, const struct ask *a,
	uint64_t hits, uint64_t stale)
{
	counters_sum(before);
	frame_make(&f, in, a);
	frame_send(&f, in, 0);
	CU_ASSERT_EQUAL(event_since(before, EVENT_flow_hit), hits);
	CU_ASSERT_EQUAL(event_since(before, EVENT_flow_stale), stale);
}

/** A changed route makes its own flows stale, once, and leaves the others alone. */
static void test_route_change(void)
{
	static const struct ask moved[2] = { { "10.244.1.10", "203.0.113.9", .sport = 1,
						     .dport = 2 },
		{ "fd00:244:1::10", "2001:db8:113::9", .sport = 1, .dport = 2 } };
	static const struct ask other[2] = { { "10.244.1.10", "10.244.2.7", .sport = 1,
						     .dport = 2 },
		{ "fd00:244:1::10", "fd00:244:2::7", .sport = 1, .dport = 2 } };
	static const char *const prefix[2] = { "203.0.113.0/28", "2001:db8:113::/64" };

	for (unsigned v = 0; v < 2; v++) {
		struct counter_totals before;

		node_start();
		expect_miss(&before, POD_A, &moved[v], 0, 0);
		expect_miss(&before, POD_A, &other[v], 0, 0);
		route(prefix[v], adj.vxlan4);
		sent_clear();
		expect_miss(&before, POD_A, &other[v], 1, 0);
		expect_miss(&before, POD_A, &moved[v], 1, 1);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_encapsulated), 1);
		expect_miss(&before, POD_A, &moved[v], 1, 0);
		route(prefix[v], DROP_route_prohibit);
		expect_miss(&before, POD_A, &moved[v], 1, 1);
		CU_ASSERT_EQUAL(drops_since(&before, DROP_route_prohibit), 1);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_icmp_error_sent), 1);
		route(prefix[v], FIB_NONE);
		expect_miss(&before, POD_A, &moved[v], 1, 1);
		CU_ASSERT_EQUAL(dropped_since(&before), 0);
		node_check();
	}
}

/** A replaced adjacency changes the next packet of flows that stay as they are. */
static void test_adjacency_replaced(void)
{
	const struct ask a = { "10.244.1.10", "10.244.2.7", .sport = 5, .dport = 6 };
	struct adjacency next = tunnel_make(ENCAP_IPIP, IP_V6);
	struct counter_totals before;
	const uint8_t *got;
	uint32_t len;

	node_start();
	expect_miss(&before, POD_A, &a, 0, 0);
	adjacency_replace(adj.vxlan4, &next, true);
	generation_commit();
	expect_miss(&before, POD_A, &a, 1, 0);
	CU_ASSERT_EQUAL(sent(ETH), 2);
	got = sent_bytes(ETH, 1, &len);
	CU_ASSERT_EQUAL(len, f.len + 40);
	CU_ASSERT_TRUE(ether_sound(got, len));
	CU_ASSERT_EQUAL(got[ETHER + 6], IPPROTO_IPIP);
	/* A new meaning (another port, say) is a new generation: the flow is decided again. */
	next = tunnel_make(ENCAP_VXLAN, IP_V4);
	adjacency_replace(adj.vxlan4, &next, false);
	generation_commit();
	expect_miss(&before, POD_A, &a, 1, 1);
	expect_miss(&before, POD_A, &a, 1, 0);
	node_check();
}

static void test_zone_bump(void)
{
	const struct ask a = { "10.244.1.10", "10.244.1.11", .sport = 5, .dport = 6 };
	const struct ask b = { "10.244.1.11", "203.0.113.1", .sport = 5, .dport = 6 };
	struct counter_totals before;

	node_start();
	expect_miss(&before, POD_A, &a, 0, 0);
	expect_miss(&before, POD_B, &b, 0, 0);
	port_set_addresses(&node_ports[POD_A].port, (struct ip_prefix[]){ net("10.244.1.12") }, 1);
	generation_bump_zone(POD_A);
	generation_commit();
	expect_miss(&before, POD_B, &b, 1, 0);
	expect_miss(&before, POD_A, &a, 1, 1);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_spoofed_source), 1);
	port_set_addresses(&node_ports[POD_A].port,
		(struct ip_prefix[]){ net("10.244.1.10"), net("fd00:244:1::10") }, 2);
	generation_bump_zone(POD_A);
	generation_commit();
	expect_miss(&before, POD_A, &a, 1, 1);
	CU_ASSERT_EQUAL(dropped_since(&before), 0);
	node_check();
}

/** A denied flow is known, alone, and soon forgotten. */
static void test_negative_entry(void)
{
	const struct ask a = { "10.244.1.10", "10.9.0.1", .sport = 5, .dport = 6 };
	struct counter_totals before;
	struct flow_stats stats;

	node_start();
	expect_miss(&before, POD_A, &a, 0, 0);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_route_blackhole), 1);
	expect_miss(&before, POD_A, &a, 1, 0);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_route_blackhole), 1);
	flow_table_stats(w->flows, &stats);
	CU_ASSERT_EQUAL(stats.used4, 1);
	w->now_ms += 2001;
	for (int i = 0; i < 4; i++) {
		flow_expire(w->flows, 0, w->now_ms, 100000);
		grace();
	}
	flow_table_stats(w->flows, &stats);
	CU_ASSERT_EQUAL(stats.used4, 0);
	expect_miss(&before, POD_A, &a, 0, 0);
	node_check();
}

/** Several next hops: flows spread, each stays on its own. */
static void test_next_hops(void)
{
	static struct path_group group;
	struct ask a = { "10.244.1.10", "10.77.0.1", .sport = 5 };
	unsigned through[2] = { 0, 0 };

	node_start();
	for (unsigned i = 0; i < PATHS_BUCKETS; i++)
		group.adjacency[i] = i % 2 ? adj.router : adj.peer;
	atomic_store(&path_groups[9], &group);
	route("10.77.0.0/16", PATHS_FLAG | 9);
	for (uint16_t port = 0; port < 64; port++) {
		uint32_t len;
		bool router;

		a.dport = port;
		frame_make(&f, POD_A, &a);
		frame_send(&f, POD_A, 0);
		frame_send(&f, POD_A, 0);
		CU_ASSERT_EQUAL_FATAL(sent(ETH), 2);
		router = memcmp(sent_bytes(ETH, 0, &len), router_mac.bytes, 6) == 0;
		through[router]++;
		expect_forwarded(&f, ETH, 1, router ? &router_mac : &peer_mac);
		sent_clear();
	}
	CU_ASSERT_TRUE(through[0] > 8 && through[1] > 8);
	route("10.77.0.0/16", FIB_NONE);
	node_check();
}

/* --- bursts and output --- */

/** A whole vector with both families, drops and several ports: order within a flow is kept. */
static void test_vector(void)
{
	struct rte_mbuf *pkts[VECTOR_SIZE];
	struct counter_totals before;
	unsigned at[NODE_PORTS] = { 0 };
	static const char *const dst[] = { "10.244.1.11", "fd00:244:1::11", "203.0.113.5",
		"10.9.1.1" };
	static const uint16_t out[] = { POD_B, POD_B, ETH, 0 };

	node_start();
	counters_sum(&before);
	for (uint16_t i = 0; i < VECTOR_SIZE; i++) {
		struct ask a = { families[i % 4 == 1].a, dst[i % 4], .sport = (uint16_t)(i % 8),
			.dport = 6, .payload = (uint16_t)(100 + i) };

		frame_make(&f, POD_A, &a);
		pkts[i] = mbuf_of(pool, f.bytes, f.len, segments[i % 3]);
	}
	burst(POD_A, pkts, VECTOR_SIZE);
	CU_ASSERT_EQUAL(sent(POD_B), VECTOR_SIZE / 2);
	CU_ASSERT_EQUAL(sent(ETH), VECTOR_SIZE / 4);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_route_blackhole), VECTOR_SIZE / 4);
	/* IPv4 goes before IPv6 of the same burst. */
	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint16_t i = 0; i < VECTOR_SIZE; i++) {
			uint32_t len;

			if (out[i % 4] == 0 || (i % 4 == 1) != (pass == 1))
				continue;
			sent_bytes(out[i % 4], at[out[i % 4]]++, &len);
			CU_ASSERT_EQUAL(len, ETHER + (i % 4 == 1 ? 40u : 20u) + 8 + 100 + i);
		}
	}
	node_check();
}

static void test_output_full(void)
{
	enum { ROOM = VECTOR_SIZE - 24 }; /* the last flush in part */
	struct rte_mbuf *pkts[VECTOR_SIZE];
	struct ask a = { "10.244.1.10", "10.244.1.11", .sport = 1, .dport = 6 };
	struct counter_totals before;
	struct port_totals port;
	uint64_t bytes;

	node_start();
	counters_sum(&before);
	counters_sum_port(POD_B, &port);
	bytes = port.tx_bytes;
	frame_make(&f, POD_A, &a);
	for (uint16_t i = 0; i < VECTOR_SIZE; i++)
		pkts[i] = mbuf_of(pool, f.bytes, f.len, 0);
	node_ports[POD_B].room = ROOM;
	burst(POD_A, pkts, VECTOR_SIZE);
	CU_ASSERT_EQUAL(sent(POD_B), ROOM);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_tx_queue_full), VECTOR_SIZE - ROOM);
	counters_sum_port(POD_B, &port);
	CU_ASSERT_EQUAL(port.tx_bytes - bytes, ROOM * f.len);
	node_check();
}

static void test_born_closed(void)
{
	struct ask out = { "10.244.1.10", "10.244.1.11", .sport = 1, .dport = 60 };
	struct counter_totals before;
	struct flow_stats stats;

	node_start();
	counters_sum(&before);
	atomic_store(&node_ports[POD_B].port.forwarding, false);
	frame_make(&f, POD_A, &out);
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_port_down), 1);
	flow_table_stats(w->flows, &stats);
	CU_ASSERT_EQUAL(stats.used4, 0); /* not remembered: the port may open any moment */
	atomic_store(&node_ports[POD_A].port.forwarding, false);
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_port_down), 2);
	atomic_store(&node_ports[POD_A].port.forwarding, true);
	atomic_store(&node_ports[POD_B].port.forwarding, true);
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(sent(POD_B), 1);
	/* A known flow whose port closes: the packet ends at the port. */
	atomic_store(&node_ports[POD_B].port.forwarding, false);
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_port_down), 3);
	CU_ASSERT_EQUAL(sent(POD_B), 1);
	node_check();
}

/** More flows than the table holds: every packet still goes. */
static void test_table_full(void)
{
	struct ask a = { "10.244.1.10", "10.244.1.11" };
	struct counter_totals before;
	struct flow_stats stats;

	node_start();
	counters_sum(&before);
	flow_table_stats(w->flows, &stats);
	for (uint32_t i = 0; i < stats.capacity4; i++) {
		a.sport = (uint16_t)i;
		a.dport = (uint16_t)(i >> 16);
		frame_make(&f, POD_A, &a);
		frame_send(&f, POD_A, 0);
		if (sent(POD_B) == SENT_MAX)
			sent_clear();
	}
	CU_ASSERT_EQUAL(dropped_since(&before), 0);
	CU_ASSERT_TRUE(event_since(&before, EVENT_flow_uncached) > 0);
	node_check();
}

/** The entry of the answering direction, for which there may have been no room. */
static void lose_reply_entry(bool v6)
{
	const struct flow_pool *flows = &w->flows->pool[v6];
	unsigned lost = 0;

	for (uint32_t i = 1; i < atomic_load(&flows->fresh) && i <= flows->capacity; i++) {
		if ((atomic_load(&flows->side[i].account) & FLOW_ACCOUNT_LIVE) &&
			(atomic_load(&flow_at(flows, i, v6)->flags) & FLOW_REPLY))
			lost += flow_take_out(w->flows, &w->flows->workers[0], i, v6);
	}
	CU_ASSERT_EQUAL(lost, 1);
}

/** Without pick-up nothing begins in the middle; but what answers a known connection belongs to it, entry or not. */
static void test_answer_without_entry(void)
{
	static const char *const addresses[2][2] = { { "10.244.1.10", "10.244.1.11" },
		{ "fd00:244:1::10", "fd00:244:1::11" } };

	conntrack_tick(1); /* the grace time after a start is over */
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct ask there = { addresses[v6][0], addresses[v6][1], .proto = IPPROTO_TCP,
			.sport = 7, .dport = 80, .syn = true };
		struct ask back = { addresses[v6][1], addresses[v6][0], .proto = IPPROTO_TCP,
			.sport = 80, .dport = 7 };
		struct counter_totals before;

		node_start();
		((struct tables *)(uintptr_t)rcu_read(&tables))->settings.tcp_pickup = false;
		expect_miss(&before, POD_B, &back, 0, 0);
		CU_ASSERT_EQUAL(drops_since(&before, DROP_tcp_no_connection), 1);
		expect_miss(&before, POD_A, &there, 0, 0);
		CU_ASSERT_EQUAL(sent(POD_B), 1);
		lose_reply_entry(v6);
		expect_miss(&before, POD_B, &back, 0, 0);
		CU_ASSERT_EQUAL(dropped_since(&before), 0);
		CU_ASSERT_EQUAL(sent(POD_A), 1);
		expect_miss(&before, POD_B, &back, 1, 0); /* it has an entry now */
		CU_ASSERT_EQUAL(sent(POD_A), 2);
		there.syn = false;
		expect_miss(&before, POD_A, &there, 1, 0);
		CU_ASSERT_EQUAL(sent(POD_B), 2);
		back.sport = 81;
		expect_miss(&before, POD_B, &back, 0, 0);
		CU_ASSERT_EQUAL(drops_since(&before, DROP_tcp_no_connection), 1);
		((struct tables *)(uintptr_t)rcu_read(&tables))->settings.tcp_pickup = true;
		node_check();
	}
}

static const struct test_case cases[] = {
	{ "between pods", test_between_pods },
	{ "header sums", test_header_sums },
	{ "encapsulation in all family pairs", test_encapsulation },
	{ "decapsulation in all family pairs", test_decapsulation },
	{ "decapsulation refused", test_decapsulation_refused },
	{ "flow pair", test_flow_pair },
	{ "route change", test_route_change },
	{ "adjacency replaced", test_adjacency_replaced },
	{ "zone bump", test_zone_bump },
	{ "negative entry", test_negative_entry },
	{ "several next hops", test_next_hops },
	{ "a whole vector", test_vector },
	{ "output full", test_output_full },
	{ "born closed", test_born_closed },
	{ "an answer without an entry", test_answer_without_entry },
	{ "flow table full", test_table_full },
};

SUITE_MAIN("worker", cases)
