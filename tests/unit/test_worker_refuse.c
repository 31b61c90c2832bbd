/* SPDX-License-Identifier: Apache-2.0 */
/** What the packet path refuses, and the ICMP errors about it. */
#include "tests/unit/worker_frames.h"

static struct frame f;

/** Send one packet; it must end for that reason, with or without an ICMP error out of the port it came from. */
static void expect_refused(uint16_t in, const struct ask *a, enum drop_reason reason, bool error)
{
	struct counter_totals before;

	node_start();
	counters_sum(&before);
	frame_make(&f, in, a);
	frame_send(&f, in, 0);
	if (drops_since(&before, reason) != 1)
		printf("\n    %s -> %s: not %s\n", a->src, a->dst, drop_reason_name(reason));
	CU_ASSERT_EQUAL(drops_since(&before, reason), 1);
	CU_ASSERT_EQUAL(event_since(&before, EVENT_icmp_error_sent), error);
	CU_ASSERT_EQUAL(sent_all(), error);
	CU_ASSERT_EQUAL(sent(in), error);
}

static void test_sources(void)
{
	static const struct {
		uint16_t in;
		const char *src, *dst;
		enum drop_reason reason;
	} cases[] = {
		{ POD_A, "10.244.1.11", "203.0.113.1", DROP_spoofed_source },
		{ POD_A, "192.0.2.1", "203.0.113.1", DROP_spoofed_source },
		{ POD_A, "203.0.113.7", "192.0.2.1", DROP_spoofed_source },
		{ POD_A, "fd00:244:1::11", "2001:db8:113::1", DROP_spoofed_source },
		{ POD_A, "fd00:244:1::1:10", "2001:db8::1", DROP_spoofed_source },
		{ POD_A, "169.254.3.4", "10.244.1.11", DROP_link_local_scope },
		{ POD_A, "fe80::a", "fd00:244:1::11", DROP_link_local_scope },
		{ POD_A, "10.244.1.10", "169.254.169.254", DROP_link_local_scope },
		{ POD_A, "fd00:244:1::10", "fe80::b", DROP_link_local_scope },
		{ ETH, "10.244.1.10", "10.244.1.11", DROP_martian_source },
		{ ETH, "fd00:244:1::10", "fd00:244:1::11", DROP_martian_source },
		{ ETH, "192.0.2.1", "10.244.1.11", DROP_martian_source },
		{ ETH, "2001:db8::1", "fd00:244:1::11", DROP_martian_source },
		{ POD_A, "10.244.1.10", "224.0.0.5", DROP_multicast_unsupported },
		{ POD_A, "fd00:244:1::10", "ff0e::5", DROP_multicast_unsupported },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct ask a = { cases[i].src, cases[i].dst, .sport = 1, .dport = 2 };

		if (cases[i].reason == DROP_multicast_unsupported) {
			struct counter_totals before;

			/* Parsing may find it first; that it ends here without an answer is what counts. */
			node_start();
			counters_sum(&before);
			frame_make(&f, cases[i].in, &a);
			frame_send(&f, cases[i].in, 0);
			CU_ASSERT_EQUAL(dropped_since(&before), 1);
			CU_ASSERT_EQUAL(sent_all(), 0);
		} else {
			expect_refused(cases[i].in, &a, cases[i].reason, false);
		}
		node_check();
	}
}

static void test_host_may_send(void)
{
	struct ask a = { "192.0.2.1", "10.244.1.10", .sport = 1, .dport = 2 };

	node_start();
	frame_make(&f, HOST, &a);
	frame_send(&f, HOST, 0);
	CU_ASSERT_EQUAL(sent(POD_A), 1);
	expect_forwarded(&f, POD_A, 0, &station[POD_A]);
	node_check();
}

static void test_not_for_us(void)
{
	struct ask a = { "10.244.1.10", "10.244.1.11", .sport = 1, .dport = 2 };
	struct counter_totals before;

	node_start();
	counters_sum(&before);
	frame_make(&f, POD_A, &a);
	f.bytes[5] ^= 1;
	frame_send(&f, POD_A, 0);
	memset(f.bytes, 0xff, 6);
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_l2_not_for_us), 2);
	frame_send(&(struct frame){ .len = 13 }, POD_A, 0);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_l2_truncated), 1);
	CU_ASSERT_EQUAL(sent_all(), 0);
	node_check();
}

/** The error that went back to the sender of f: type, code, next-hop MTU, source, and a quote of f as it was or with the
 * TTL the node had already lowered. */
static void expect_error(
	uint16_t port, unsigned type, unsigned code, uint32_t info, const char *source)
{
	const uint32_t room = f.v6 ? 1280 - 40 - 8 : 576 - 20 - 8, l3 = f.v6 ? 40 : 20;
	const uint32_t quoted = RTE_MIN(f.len - ETHER, room);
	const struct ip_addr src = ip(source);
	const uint8_t *got, *h, *icmp;
	static uint8_t lowered[FRAME_ROOM];
	uint32_t len;

	CU_ASSERT_EQUAL(sent(port), 1);
	got = sent_bytes(port, 0, &len);
	h = got + ETHER;
	icmp = h + l3;
	CU_ASSERT_EQUAL(len, ETHER + l3 + 8 + quoted);
	CU_ASSERT_EQUAL(memcmp(got, station[port].bytes, 6), 0);
	CU_ASSERT_TRUE(ether_sound(got, len));
	CU_ASSERT_EQUAL(f.v6 ? h[7] : h[8], 64);
	CU_ASSERT_EQUAL(memcmp(h + (f.v6 ? 8 : 12), src.bytes, f.v6 ? 16 : 4), 0);
	CU_ASSERT_EQUAL(
		memcmp(h + (f.v6 ? 24 : 16), f.bytes + ETHER + (f.v6 ? 8 : 12), f.v6 ? 16 : 4), 0);
	CU_ASSERT_EQUAL(icmp[0], type);
	CU_ASSERT_EQUAL(icmp[1], code);
	CU_ASSERT_EQUAL(get16(icmp + 4) << 16 | get16(icmp + 6), info);
	memcpy(lowered, f.bytes + ETHER, f.len - ETHER);
	lower_ttl(lowered);
	CU_ASSERT_TRUE(memcmp(icmp + 8, f.bytes + ETHER, quoted) == 0 ||
		       memcmp(icmp + 8, lowered, quoted) == 0);
}

static void test_errors(void)
{
	static const struct {
		uint16_t in;
		const char *src, *dst;
		uint8_t ttl;
		uint16_t payload;
		enum drop_reason reason;
		unsigned type, code;
		uint32_t info;
		const char *source;
	} cases[] = {
		{ POD_A, "10.244.1.10", "10.244.1.11", 1, 100, DROP_ttl_expired, 11, 0, 0,
			"192.0.2.1" },
		{ POD_A, "fd00:244:1::10", "fd00:244:1::11", 1, 1900, DROP_ttl_expired, 3, 0, 0,
			"2001:db8::1" },
		{ POD_A, "10.244.1.10", "10.244.2.11", 1, 900, DROP_ttl_expired, 11, 0, 0,
			"192.0.2.1" },
		{ POD_A, "10.244.1.10", "172.16.0.1", 64, 10, DROP_no_route, 3, 0, 0, "192.0.2.1" },
		{ POD_A, "fd00:244:1::10", "2001:db9::1", 64, 10, DROP_no_route, 1, 0, 0,
			"2001:db8::1" },
		{ POD_A, "10.244.1.10", "10.244.1.99", 64, 10, DROP_route_unreachable, 3, 1, 0,
			"192.0.2.1" },
		{ POD_A, "fd00:244:1::10", "fd00:244:1::99", 64, 10, DROP_route_unreachable, 1, 3,
			0, "2001:db8::1" },
		{ POD_A, "10.244.1.10", "10.10.0.1", 64, 10, DROP_route_prohibit, 3, 13, 0,
			"192.0.2.1" },
		{ POD_A, "fd00:244:1::10", "fd00:10::1", 64, 10, DROP_route_prohibit, 1, 1, 0,
			"2001:db8::1" },
		{ POD_A, "10.244.1.10", "192.0.2.1", 64, 10, DROP_no_local_listener, 3, 3, 0,
			"192.0.2.1" },
		{ POD_A, "fd00:244:1::10", "2001:db8::1", 64, 10, DROP_no_local_listener, 1, 4, 0,
			"2001:db8::1" },
		{ ETH, "192.0.2.2", "10.244.1.99", 64, 10, DROP_route_unreachable, 3, 1, 0,
			"192.0.2.1" },
		{ ETH, "2001:db8::2", "fd00:244:1::99", 64, 10, DROP_route_unreachable, 1, 3, 0,
			"2001:db8::1" },
		/* Too big for each tunnel, by one byte. */
		{ POD_A, "10.244.1.10", "10.244.2.7", 64, 1451 - 28, DROP_packet_too_big, 3, 4,
			1450, "192.0.2.1" },
		{ POD_A, "fd00:244:1::10", "fd00:244:2::7", 64, 1451 - 48, DROP_packet_too_big, 2,
			0, 1450, "2001:db8::1" },
		{ POD_A, "10.244.1.10", "10.244.3.7", 64, 1431 - 28, DROP_packet_too_big, 3, 4,
			1430, "192.0.2.1" },
		{ POD_A, "fd00:244:1::10", "fd00:244:3::7", 64, 1431 - 48, DROP_packet_too_big, 2,
			0, 1430, "2001:db8::1" },
		{ POD_A, "10.244.1.10", "10.244.4.7", 64, 1481 - 28, DROP_packet_too_big, 3, 4,
			1480, "192.0.2.1" },
		{ POD_A, "fd00:244:1::10", "fd00:244:5::7", 64, 1461 - 48, DROP_packet_too_big, 2,
			0, 1460, "2001:db8::1" },
		{ POD_A, "10.244.1.10", "198.51.100.7", 64, 1501 - 28, DROP_packet_too_big, 3, 4,
			1500, "192.0.2.1" },
		{ POD_A, "fd00:244:1::10", "2001:db8:51::7", 64, 1501 - 48, DROP_packet_too_big, 2,
			0, 1500, "2001:db8::1" },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct ask a = { cases[i].src, cases[i].dst, .ttl = cases[i].ttl, .df = true,
			.sport = 1, .dport = 2, .payload = cases[i].payload };
		static const uint32_t segments[] = { 0, 700 };

		for (size_t s = 0; s < RTE_DIM(segments); s++) {
			struct counter_totals before;

			node_start();
			counters_sum(&before);
			frame_make(&f, cases[i].in, &a);
			frame_send(&f, cases[i].in, segments[s]);
			if (drops_since(&before, cases[i].reason) != 1)
				printf("\n    %s -> %s: not %s\n", a.src, a.dst,
					drop_reason_name(cases[i].reason));
			CU_ASSERT_EQUAL(drops_since(&before, cases[i].reason), 1);
			CU_ASSERT_EQUAL(event_since(&before, EVENT_icmp_error_sent), 1);
			expect_error(cases[i].in, cases[i].type, cases[i].code, cases[i].info,
				cases[i].source);
			node_check();
		}
	}
}

/** What just fits is not refused. */
static void test_fits(void)
{
	static const struct {
		const char *src, *dst;
		uint16_t size;
	} cases[] = {
		{ "10.244.1.10", "10.244.2.7", 1450 },
		{ "fd00:244:1::10", "fd00:244:2::7", 1450 },
		{ "10.244.1.10", "10.244.3.7", 1430 },
		{ "10.244.1.10", "10.244.4.7", 1480 },
		{ "fd00:244:1::10", "fd00:244:5::7", 1460 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct ask a = { cases[i].src, cases[i].dst, .df = true, .sport = 1, .dport = 2 };
		uint32_t len;

		node_start();
		a.payload = (uint16_t)(cases[i].size - (ip(a.src).family == IP_V6 ? 48 : 28));
		frame_make(&f, POD_A, &a);
		frame_send(&f, POD_A, 0);
		CU_ASSERT_EQUAL(sent(ETH), 1);
		CU_ASSERT_TRUE(sent_sound(ETH, 0, &len));
		CU_ASSERT_EQUAL(len, 1514);
		node_check();
	}
}

/** An inner packet whose hop limit runs out behind the tunnel: the error goes back into the tunnel. */
static void test_error_into_tunnel(void)
{
	struct ask a = { "10.244.2.7", "10.244.1.10", .ttl = 1, .sport = 1, .dport = 2 };
	const uint8_t *got;
	uint32_t len;

	node_start();
	frame_make(&f, ETH, &a);
	frame_encapsulate(&f, ENCAP_VXLAN, "192.0.2.2", "192.0.2.1", 4096, 4789);
	frame_send(&f, ETH, 0);
	CU_ASSERT_EQUAL(sent(ETH), 1);
	got = sent_bytes(ETH, 0, &len);
	CU_ASSERT_TRUE(ether_sound(got, len));
	CU_ASSERT_EQUAL(got[ETHER + 9], IPPROTO_UDP);
	CU_ASSERT_EQUAL(got[ETHER + 20 + 16 + ETHER + 9], IPPROTO_ICMP);
	CU_ASSERT_EQUAL(got[ETHER + 20 + 16 + ETHER + 20], 11);
	node_check();
}

static void test_rate_limit(void)
{
	struct ask a = { "10.244.1.10", "172.16.0.1", .sport = 1, .dport = 2 };
	struct counter_totals before;

	node_start();
	counters_sum(&before);
	w->icmp_tokens = 3;
	frame_make(&f, POD_A, &a);
	for (int i = 0; i < 10; i++)
		frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(sent(POD_A), 3);
	CU_ASSERT_EQUAL(event_since(&before, EVENT_icmp_error_sent), 3);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_no_route), 10);
	node_check();
}

/** No error about an error, and none towards a source that is refused. */
static void test_silence(void)
{
	struct ask a = { "10.244.1.10", "172.16.0.1", .proto = IPPROTO_ICMP, .sport = 1 };
	struct counter_totals before;
	uint8_t *icmp;

	node_start();
	counters_sum(&before);
	frame_make(&f, POD_A, &a);
	icmp = f.bytes + ETHER + 20;
	icmp[0] = 3;
	put16(icmp + 2, 0);
	put_sum(icmp + 2, (uint16_t)~naive_sum(icmp, f.len - ETHER - 20));
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_no_route), 1);
	a = (struct ask){ "10.244.1.10", "10.9.0.1", .sport = 1 };
	frame_make(&f, POD_A, &a);
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_route_blackhole), 1);
	CU_ASSERT_EQUAL(event_since(&before, EVENT_icmp_error_sent), 0);
	node_check();
}

static const struct test_case cases[] = {
	{ "sources", test_sources },
	{ "the host may send from any address", test_host_may_send },
	{ "frames for others", test_not_for_us },
	{ "ICMP errors", test_errors },
	{ "what just fits", test_fits },
	{ "error into a tunnel", test_error_into_tunnel },
	{ "rate limit", test_rate_limit },
	{ "silence", test_silence },
};

SUITE_MAIN("worker: refusals", cases)
