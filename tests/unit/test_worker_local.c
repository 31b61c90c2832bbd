/* SPDX-License-Identifier: Apache-2.0 */
/** Packets for the node itself, its neighbours' questions, and packets that go by way of the control thread. */
#include "tests/unit/worker_frames.h"

static struct frame f;
static const uint32_t segments[] = { 0, 60, 14 };

/** Echo to every address of the node from every side: back to the sender, addresses turned round. */
static void test_echo(void)
{
	static const struct {
		uint16_t in;
		const char *src, *dst;
	} cases[] = {
		{ POD_A, "10.244.1.10", "192.0.2.1" },
		{ POD_A, "fd00:244:1::10", "2001:db8::1" },
		{ POD_A, "10.244.1.10", "169.254.1.1" },
		{ POD_A, "fd00:244:1::10", "fe80::1" },
		{ POD_A, "fe80::a", "fe80::1" },
		{ POD_A, "169.254.7.7", "169.254.1.1" },
		{ ETH, "192.0.2.2", "192.0.2.1" },
		{ ETH, "2001:db8::2", "2001:db8::1" },
		{ HOST, "192.0.2.9", "169.254.1.1" },
	};

	for (size_t i = 0; i < RTE_DIM(cases) * RTE_DIM(segments); i++) {
		const bool v6 = ip(cases[i % 9].src).family == IP_V6;
		const uint16_t in = cases[i % 9].in;
		struct ask a = { cases[i % 9].src, cases[i % 9].dst,
			.proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, .sport = 77, .payload = 200,
			.ttl = 1 };
		const uint32_t at = ETHER + (v6 ? 8 : 12), n = v6 ? 16 : 4;
		struct counter_totals before;
		const uint8_t *got;
		uint32_t len;

		node_start();
		counters_sum(&before);
		frame_make(&f, in, &a);
		frame_send(&f, in, segments[i / 9]);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_icmp_echo_answered), 1);
		CU_ASSERT_EQUAL(sent(in), 1);
		got = sent_bytes(in, 0, &len);
		CU_ASSERT_EQUAL(len, f.len);
		CU_ASSERT_TRUE(ether_sound(got, len));
		CU_ASSERT_EQUAL(memcmp(got, station[in].bytes, 6), 0);
		CU_ASSERT_EQUAL(memcmp(got + 6, node_ports[in].port.mac.bytes, 6), 0);
		CU_ASSERT_EQUAL(memcmp(got + at, f.bytes + at + n, n), 0);
		CU_ASSERT_EQUAL(memcmp(got + at + n, f.bytes + at, n), 0);
		CU_ASSERT_EQUAL(got[ETHER + f.l3], v6 ? 129 : 0);
		CU_ASSERT_EQUAL(memcmp(got + ETHER + f.l3 + 4, f.bytes + ETHER + f.l3 + 4,
					f.len - ETHER - f.l3 - 4),
			0);
		node_check();
	}
}

/** An echo request from a remote pod comes and goes through the tunnel. */
static void test_echo_through_tunnel(void)
{
	static const enum encap encaps[] = { ENCAP_VXLAN, ENCAP_IPIP };

	for (unsigned i = 0; i < 4; i++) {
		struct ask a = { i < 2 ? "10.244.2.7" : "fd00:244:2::7",
			i < 2 ? "192.0.2.1" : "2001:db8::1",
			.proto = i < 2 ? IPPROTO_ICMP : IPPROTO_ICMPV6, .sport = 1, .payload = 20 };
		const uint8_t *got;
		uint32_t len, inner = ETHER + 20 + 16 + ETHER;

		node_start();
		frame_make(&f, ETH, &a);
		frame_encapsulate(&f, encaps[i % 2], "192.0.2.2", "192.0.2.1", 4096, 4789);
		frame_send(&f, ETH, 0);
		CU_ASSERT_EQUAL(sent(ETH), 1);
		got = sent_bytes(ETH, 0, &len);
		CU_ASSERT_TRUE(ether_sound(got, len));
		CU_ASSERT_EQUAL(got[ETHER + 9], IPPROTO_UDP);
		CU_ASSERT_EQUAL(got[inner + (i < 2 ? 20 : 40)], i < 2 ? 0 : 129);
		node_check();
	}
}

static void test_echo_damaged(void)
{
	struct ask a = { "10.244.1.10", "192.0.2.1", .proto = IPPROTO_ICMP, .sport = 1,
		.payload = 20 };
	struct counter_totals before;

	node_start();
	counters_sum(&before);
	frame_make(&f, POD_A, &a);
	f.bytes[f.len - 1] ^= 1;
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_icmp_bad_checksum), 1);
	CU_ASSERT_EQUAL(sent_all(), 0);
	node_check();
}

/** A big echo request in fragments, in both orders, and fragmented tunnel packets. */
static void test_reassembly(void)
{
	for (unsigned i = 0; i < 4; i++) {
		const bool tunnel = i >= 2;
		struct ask a = { tunnel ? "10.244.4.7" : "192.0.2.2",
			tunnel ? "10.244.1.10" : "192.0.2.1",
			.proto = tunnel ? IPPROTO_UDP : IPPROTO_ICMP, .sport = 1, .dport = 2,
			.payload = 1400 };
		static uint8_t part[2][2048];
		uint32_t cut = ETHER + 20 + 1200, len[2], out;
		static struct frame whole;
		struct counter_totals before;

		node_start();
		counters_sum(&before);
		frame_make(&whole, ETH, &a);
		f = whole;
		if (tunnel)
			frame_encapsulate(&f, ENCAP_VXLAN, "192.0.2.2", "192.0.2.1", 4096, 4789);
		memcpy(part[0], f.bytes, cut);
		len[0] = cut;
		memcpy(part[1], f.bytes, ETHER + 20);
		memcpy(part[1] + ETHER + 20, f.bytes + cut, f.len - cut);
		len[1] = f.len - cut + ETHER + 20;
		for (unsigned k = 0; k < 2; k++) {
			put16(part[k] + ETHER + 2, len[k] - ETHER);
			put16(part[k] + ETHER + 4, 0x4242 + i);
			put16(part[k] + ETHER + 6, k == 0 ? 0x2000 : 1200 / 8);
			sum_ip4(part[k] + ETHER);
		}
		send_bytes(ETH, part[i % 2], len[i % 2], 0);
		CU_ASSERT_EQUAL(sent_all(), 0);
		send_bytes(ETH, part[1 - i % 2], len[1 - i % 2], 0);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_reassembled), 1);
		CU_ASSERT_EQUAL(sent(tunnel ? POD_A : ETH), 1);
		if (tunnel) {
			expect_forwarded(&whole, POD_A, 0, &station[POD_A]);
		} else {
			CU_ASSERT_TRUE(sent_sound(ETH, 0, &out));
		}
		node_check();
	}
}

/* --- neighbours --- */

static void arp_make(uint16_t in, const char *sender, const char *target)
{
	const struct ip_addr s = ip(sender), t = ip(target);
	uint8_t *at = f.bytes + ETHER;

	memset(f.bytes, 0xff, 6);
	memcpy(f.bytes + 6, station[in].bytes, 6);
	put16(f.bytes + 12, 0x0806);
	memcpy(at, "\0\1\x08\0\6\4\0\1", 8);
	memcpy(at + 8, station[in].bytes, 6);
	memcpy(at + 14, s.bytes, 4);
	memset(at + 18, 0, 6);
	memcpy(at + 24, t.bytes, 4);
	f.len = ETHER + 28;
}

static void test_arp(void)
{
	struct counter_totals before;
	const uint8_t *got;
	uint32_t len;

	node_start();
	counters_sum(&before);
	arp_make(POD_A, "10.244.1.10", "169.254.1.1");
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(event_since(&before, EVENT_arp_answered), 1);
	CU_ASSERT_EQUAL(sent(POD_A), 1);
	got = sent_bytes(POD_A, 0, &len);
	CU_ASSERT_TRUE(len >= ETHER + 28);
	CU_ASSERT_EQUAL(memcmp(got, station[POD_A].bytes, 6), 0);
	CU_ASSERT_EQUAL(get16(got + 20), 2);
	CU_ASSERT_EQUAL(memcmp(got + 22, gateway_mac.bytes, 6), 0);
	CU_ASSERT_EQUAL(memcmp(got + 28, f.bytes + 38, 4), 0);
	CU_ASSERT_EQUAL(memcmp(got + 32, station[POD_A].bytes, 6), 0);
	CU_ASSERT_EQUAL(memcmp(got + 38, f.bytes + 28, 4), 0);
	/* A pod with a wide mask asks for its neighbours; its own address and probes stay its own. */
	arp_make(POD_A, "10.244.1.10", "10.244.1.200");
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(event_since(&before, EVENT_arp_answered), 2);
	arp_make(POD_A, "10.244.1.10", "10.244.1.10");
	frame_send(&f, POD_A, 0);
	arp_make(POD_A, "0.0.0.0", "10.244.1.77");
	frame_send(&f, POD_A, 0);
	f.len = ETHER + 20;
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(event_since(&before, EVENT_arp_answered), 2);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_arp_ignored), 2);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_arp_malformed), 1);
	node_check();
}

static void ns_make(uint16_t in, const char *sender, const char *target)
{
	const struct ip_addr t = ip(target);
	struct ask a = { sender, "ff02::1:ff00:1", .proto = IPPROTO_ICMPV6, .ttl = 255,
		.payload = 24 };
	uint8_t *icmp = f.bytes + ETHER + 40;

	frame_make(&f, in, &a);
	memcpy(f.bytes, "\x33\x33\xff\0\0\1", 6);
	memset(icmp, 0, 32);
	icmp[0] = 135;
	memcpy(icmp + 8, t.bytes, 16);
	icmp[24] = icmp[25] = 1;
	memcpy(icmp + 26, station[in].bytes, 6);
	put_sum(icmp + 2, (uint16_t)~l4_sum(f.bytes + ETHER, icmp, IPPROTO_ICMPV6, 32));
}

static void test_nd(void)
{
	static const char *const senders[] = { "fe80::a", "fd00:244:1::10" };
	struct counter_totals before;
	const uint8_t *got;
	uint32_t len;

	for (unsigned i = 0; i < 2; i++) {
		node_start();
		counters_sum(&before);
		ns_make(POD_A, senders[i], "fe80::1");
		frame_send(&f, POD_A, 0);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_nd_answered), 1);
		CU_ASSERT_EQUAL(sent(POD_A), 1);
		got = sent_bytes(POD_A, 0, &len);
		CU_ASSERT_TRUE(ether_sound(got, len));
		CU_ASSERT_EQUAL(got[ETHER + 7], 255);
		CU_ASSERT_EQUAL(got[ETHER + 40], 136);
		CU_ASSERT_EQUAL(got[ETHER + 44], 0xe0); /* router, solicited, override */
		CU_ASSERT_EQUAL(memcmp(got + ETHER + 48, f.bytes + ETHER + 48, 16), 0);
		CU_ASSERT_EQUAL(memcmp(got + ETHER + 66, gateway_mac.bytes, 6), 0);
		node_check();
	}
}

/* --- by way of control --- */

/** Uplink ARP is the control thread's: bytes as received, and where it came from. */
static void test_punted_neighbour(void)
{
	struct rte_mbuf *m;
	uint8_t bytes[128];
	struct counter_totals t;

	node_start();
	arp_make(ETH, "192.0.2.2", "192.0.2.1");
	frame_send(&f, ETH, 0);
	counters_sum(&t);
	CU_ASSERT_EQUAL(t.held, 1);
	CU_ASSERT_EQUAL_FATAL(punt_receive(&m, 1), 1);
	CU_ASSERT_EQUAL(pkt_note(m)->kind, PUNT_NEIGHBOUR);
	CU_ASSERT_EQUAL(pkt_note(m)->port, ETH);
	CU_ASSERT_EQUAL(mbuf_bytes(m, bytes), f.len);
	CU_ASSERT_EQUAL(memcmp(bytes, f.bytes, f.len), 0);
	inject_frame(m, POD_B, false);
	injected();
	CU_ASSERT_EQUAL(sent(POD_B), 1);
	node_check();
}

/** The next hop's MAC is not known: the packet waits in control, and goes once it is; bytes as if it had never waited. */
static void test_hold_and_release(void)
{
	static const struct {
		const char *src, *dst;
		bool glean;
	} cases[] = {
		{ "10.244.1.10", "198.51.100.7", false },
		{ "fd00:244:1::10", "2001:db8:51::7", false },
		{ "10.244.1.10", "192.0.2.77", true },
		{ "fd00:244:1::10", "2001:db8::77", true },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct ask a = { cases[i].src, cases[i].dst, .proto = IPPROTO_TCP, .sport = 1,
			.dport = 2 };
		struct counter_totals before, t;
		struct rte_mbuf *m;

		node_start();
		counters_sum(&before);
		frame_make(&f, POD_A, &a);
		frame_send(&f, POD_A, segments[i % 3]);
		CU_ASSERT_EQUAL(sent_all(), 0);
		counters_sum(&t);
		CU_ASSERT_EQUAL(t.held - before.held, 1);
		CU_ASSERT_EQUAL_FATAL(punt_receive(&m, 1), 1);
		CU_ASSERT_EQUAL(pkt_note(m)->kind, cases[i].glean ? PUNT_GLEAN : PUNT_RESOLVE);
		CU_ASSERT_EQUAL(pkt_note(m)->adjacency, cases[i].glean ? adj.glean : adj.resolving);
		inject_adjacency(m, adj.router, false);
		injected();
		CU_ASSERT_EQUAL(sent(ETH), 1);
		expect_forwarded(&f, ETH, 0, &router_mac);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_injected), 1);
		node_check();
	}
}

/** Source ports of a tunnel stay the flow's, whether its first packet waited or not. */
static void test_release_into_tunnel(void)
{
	struct ask a = { "10.244.1.10", "198.51.100.7", .sport = 1, .dport = 2 };
	uint32_t len, source[2];
	struct rte_mbuf *m;

	node_start();
	frame_make(&f, POD_A, &a);
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL_FATAL(punt_receive(&m, 1), 1);
	inject_adjacency(m, adj.vxlan4, false);
	injected();
	CU_ASSERT_TRUE(sent_sound(ETH, 0, &len));
	source[0] = get16(sent_bytes(ETH, 0, &len) + ETHER + 20);
	route("198.51.100.0/24", adj.vxlan4);
	frame_send(&f, POD_A, 0);
	source[1] = get16(sent_bytes(ETH, 1, &len) + ETHER + 20);
	CU_ASSERT_EQUAL(source[0], source[1]);
	route("198.51.100.0/24", adj.resolving);
	node_check();
}

/** "Too big" about our own tunnel packets is for control; others' are forwarded. */
static void test_path_mtu(void)
{
	for (unsigned v = 0; v < 2; v++) {
		struct ask a = { v ? "2001:db8:113::9" : "203.0.113.9",
			v ? "2001:db8::1" : "192.0.2.1", .proto = v ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			.payload = 60 };
		uint8_t *icmp = f.bytes + ETHER + (v ? 40 : 20);
		struct rte_mbuf *m;

		node_start();
		frame_make(&f, ETH, &a);
		icmp[0] = v ? 2 : 3;
		icmp[1] = v ? 0 : 4;
		put16(icmp + 2, 0);
		put_sum(icmp + 2, (uint16_t)~l4_sum(f.bytes + ETHER, icmp, a.proto, 68));
		frame_send(&f, ETH, 0);
		CU_ASSERT_EQUAL_FATAL(punt_receive(&m, 1), 1);
		CU_ASSERT_EQUAL(pkt_note(m)->kind, PUNT_PATH_MTU);
		CU_ASSERT_EQUAL(rte_pktmbuf_pkt_len(m), f.len - ETHER);
		CU_ASSERT_EQUAL(
			memcmp(rte_pktmbuf_mtod(m, void *), f.bytes + ETHER, f.len - ETHER), 0);
		inject_frame(m, POD_B, false);
		injected();
		node_check();
	}
}

/** A storm ends at the ring's limit, and is counted. */
static void test_punt_limit(void)
{
	struct counter_totals before;
	struct rte_mbuf *m;

	node_start();
	counters_sum(&before);
	arp_make(ETH, "192.0.2.2", "192.0.2.1");
	for (int i = 0; i < 1800; i++)
		frame_send(&f, ETH, 0);
	CU_ASSERT_TRUE(drops_since(&before, DROP_punt_queue_full) > 0);
	while (punt_receive(&m, 1) == 1) {
		inject_frame(m, POD_B, false);
		injected();
		sent_clear();
	}
	node_check();
}

static const struct test_case cases[] = {
	{ "echo", test_echo },
	{ "echo through a tunnel", test_echo_through_tunnel },
	{ "echo damaged", test_echo_damaged },
	{ "reassembly", test_reassembly },
	{ "ARP", test_arp },
	{ "neighbour discovery", test_nd },
	{ "neighbour messages of uplinks", test_punted_neighbour },
	{ "hold and release", test_hold_and_release },
	{ "release into a tunnel", test_release_into_tunnel },
	{ "path MTU messages", test_path_mtu },
	{ "punt limit", test_punt_limit },
};

SUITE_MAIN("worker: local", cases)
