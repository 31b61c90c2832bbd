/* SPDX-License-Identifier: Apache-2.0 */
/** Packets that do not simply fit: fragments cut and followed, large TCP segments, partial checksums, MSS. */
#include "dataplane/offload.h"
#include "tests/unit/worker_frames.h"

static struct frame f;
static const uint32_t segments[] = { 0, 1000, 300 };

/** Finish the checksum of f, to compare with. */
static void finish_sum(void)
{
	const uint8_t proto = f.v6 ? f.bytes[ETHER + 6] : f.bytes[ETHER + 9];
	uint8_t *l4 = f.bytes + ETHER + f.l3, *field = l4 + (proto == IPPROTO_TCP ? 16 : 6);

	put16(field, 0);
	put_sum(field, (uint16_t)~l4_sum(f.bytes + ETHER, l4, proto, f.len - ETHER - f.l3));
}

/** An IPv4 packet that may be fragmented is: plain and inside tunnels, payload complete and in order. */
static void test_fragmented(void)
{
	static const struct {
		const char *dst;
		uint16_t mtu, outer;
	} cases[] = { { "203.0.113.9", 1500, 0 }, { "10.244.2.7", 1450, 50 },
		{ "10.244.5.7", 1460, 40 } };

	for (size_t i = 0; i < RTE_DIM(cases) * RTE_DIM(segments); i++) {
		const uint16_t outer = cases[i % 3].outer, mtu = cases[i % 3].mtu;
		struct ask a = { "10.244.1.10", cases[i % 3].dst, .sport = 1, .dport = 2,
			.payload = 4000, .id = 99 };
		struct counter_totals before;
		uint32_t seen = 0;

		node_start();
		counters_sum(&before);
		frame_make(&f, POD_A, &a);
		send_bytes(POD_A, f.bytes, f.len, segments[i / 3] != 0 ? segments[i / 3] : 2000);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_fragmented), 1);
		CU_ASSERT_EQUAL(sent(ETH), 3);
		for (unsigned k = 0; k < sent(ETH); k++) {
			uint32_t len;
			const uint8_t *got = sent_bytes(ETH, k, &len), *h = got + ETHER + outer;

			CU_ASSERT_TRUE(ether_sound(got, len));
			CU_ASSERT_TRUE(len - ETHER - outer <= mtu);
			CU_ASSERT_EQUAL(get16(h + 4), 99);
			CU_ASSERT_EQUAL(h[8], 63);
			CU_ASSERT_EQUAL((get16(h + 6) & 0x1fff) * 8, seen);
			CU_ASSERT_EQUAL((get16(h + 6) & 0x2000) != 0, k < 2);
			len -= ETHER + outer + 20;
			CU_ASSERT_EQUAL(memcmp(h + 20, f.bytes + ETHER + 20 + seen, len), 0);
			seen += len;
		}
		CU_ASSERT_EQUAL(seen, 4008);
		node_check();
	}
}

/** Fragments of others take the flow of their first one, whatever the order. */
static void test_fragments_followed(void)
{
	for (unsigned order = 0; order < 2; order++) {
		struct ask a = { "10.244.1.10", "10.244.1.11", .sport = 1, .dport = 2,
			.payload = 1400 };
		static uint8_t part[2][2048];
		const uint32_t cut = ETHER + 20 + 800;
		struct counter_totals before, t;
		uint32_t len[2];

		node_start();
		counters_sum(&before);
		frame_make(&f, POD_A, &a);
		memcpy(part[0], f.bytes, cut);
		memcpy(part[1], f.bytes, ETHER + 20);
		memcpy(part[1] + ETHER + 20, f.bytes + cut, f.len - cut);
		len[0] = cut;
		len[1] = f.len - cut + ETHER + 20;
		for (unsigned k = 0; k < 2; k++) {
			put16(part[k] + ETHER + 2, len[k] - ETHER);
			put16(part[k] + ETHER + 4, 7 + order);
			put16(part[k] + ETHER + 6, k == 0 ? 0x2000 : 100);
			sum_ip4(part[k] + ETHER);
		}
		send_bytes(POD_A, part[order], len[order], 0);
		counters_sum(&t);
		CU_ASSERT_EQUAL(t.held, order);
		CU_ASSERT_EQUAL(sent(POD_B), 1 - order);
		send_bytes(POD_A, part[1 - order], len[1 - order], 0);
		CU_ASSERT_EQUAL(sent(POD_B), 2);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_flow_miss) +
					event_since(&before, EVENT_flow_hit),
			2);
		for (unsigned k = 0; k < 2;
			k++) { /* the first fragment leaves first in either case */
			uint32_t out;
			const uint8_t *got = sent_bytes(POD_B, k, &out);

			CU_ASSERT_EQUAL(out, len[k]);
			CU_ASSERT_EQUAL(
				memcmp(got + ETHER + 20, part[k] + ETHER + 20, len[k] - ETHER - 20),
				0);
		}
		node_check();
	}
}

/** A large segment is cut where it enters a tunnel or a port that wants that: every piece sound, the stream whole. */
static void test_segmented(void)
{
	static const struct {
		const char *src, *dst;
		uint16_t out, overhead, mss;
	} cases[] = {
		{ "10.244.1.10", "10.244.2.7", ETH, 50, 1400 },
		{ "fd00:244:1::10", "fd00:244:3::7", ETH, 70, 1370 },
		{ "10.244.1.10", "10.244.4.7", ETH, 20, 1440 },
		{ "fd00:244:1::10", "fd00:244:5::7", ETH, 40, 1400 },
		{ "10.244.1.10", "203.0.113.7", ETH, 0, 1460 },
		{ "fd00:244:1::10", "fd00:244:1::11", POD_B, 0, 1440 },
		{ "10.244.1.10", "10.244.1.11", POD_B, 0, 300 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct ask a = { cases[i].src, cases[i].dst, .proto = IPPROTO_TCP, .sport = 1,
			.dport = 2, .payload = 64000, .df = true };
		const unsigned want = (64000u + cases[i].mss - 1) / cases[i].mss;
		const uint16_t out = cases[i].out;
		struct counter_totals before;
		uint32_t seen = 0;

		node_start();
		counters_sum(&before);
		node_ports[ETH].port.offloads =
			PORT_TX_CSUM | PORT_TX_TSO; /* plain Ethernet only */
		if (cases[i].overhead == 0)
			node_ports[ETH].port.offloads = 0;
		frame_make(&f, POD_A, &a);
		send_offloaded(&f, POD_A, cases[i].mss, 2000);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_segmented), 1);
		CU_ASSERT_EQUAL(sent(out), want);
		for (unsigned k = 0; k < sent(out); k++) {
			uint32_t len, header = ETHER + cases[i].overhead + f.l3 + 20;
			const uint8_t *got = sent_bytes(out, k, &len);

			CU_ASSERT_TRUE(ether_sound(got, len));
			CU_ASSERT_EQUAL(node_ports[out].sent[k]->ol_flags &
						(RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_L4_MASK),
				0);
			CU_ASSERT_EQUAL(get16(got + header - 16) << 16 | get16(got + header - 14),
				0x12340000 + seen);
			CU_ASSERT_EQUAL(memcmp(got + header, f.bytes + ETHER + f.l3 + 20 + seen,
						len - header),
				0);
			seen += len - header;
		}
		CU_ASSERT_EQUAL(seen, 64000);
		node_check();
	}
}

/** A port that takes large segments gets them whole, and unfinished sums too. */
static void test_passed_whole(void)
{
	for (unsigned v = 0; v < 2; v++) {
		struct ask a = { v ? "fd00:244:1::10" : "10.244.1.10",
			v ? "fd00:244:1::11" : "10.244.1.11", .proto = IPPROTO_TCP, .sport = 1,
			.dport = 2, .payload = 30000, .df = true };
		const struct rte_mbuf *m;
		static uint8_t want[FRAME_ROOM];
		const uint8_t *got;
		uint32_t len;

		node_start();
		node_ports[POD_B].port.offloads = PORT_TX_CSUM | PORT_TX_TSO;
		frame_make(&f, POD_A, &a);
		send_offloaded(&f, POD_A, 1440, 2000);
		CU_ASSERT_EQUAL_FATAL(sent(POD_B), 1);
		m = node_ports[POD_B].sent[0];
		CU_ASSERT_TRUE((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0);
		CU_ASSERT_EQUAL(m->tso_segsz, 1440);
		CU_ASSERT_EQUAL(m->l2_len, ETHER);
		CU_ASSERT_EQUAL(m->l3_len, f.l3);
		got = sent_bytes(POD_B, 0, &len);
		memcpy(want, f.bytes, f.len);
		put_ether(want, &station[POD_B], &gateway_mac, v);
		lower_ttl(want + ETHER);
		CU_ASSERT_EQUAL(len, f.len);
		CU_ASSERT_EQUAL(memcmp(got, want, len), 0);
		node_check();
	}
}

/** A segment whose size does not fit the path: told, when it may not be cut smaller. */
static void test_segment_too_big(void)
{
	struct ask a = { "fd00:244:1::10", "fd00:244:2::7", .proto = IPPROTO_TCP, .sport = 1,
		.dport = 2, .payload = 3000 };
	struct counter_totals before;
	const uint8_t *got;
	uint32_t len;

	node_start();
	counters_sum(&before);
	frame_make(&f, POD_A, &a);
	send_offloaded(&f, POD_A, 1440, 2000); /* 1500 with its headers; 1450 fit */
	CU_ASSERT_EQUAL(drops_since(&before, DROP_packet_too_big), 1);
	CU_ASSERT_EQUAL(sent(POD_A), 1);
	got = sent_bytes(POD_A, 0, &len);
	CU_ASSERT_EQUAL(got[ETHER + 40], 2);
	CU_ASSERT_EQUAL(get16(got + ETHER + 46), 1450);
	a = (struct ask){ "10.244.1.10", "10.244.2.7", .proto = IPPROTO_TCP, .sport = 1, .dport = 2,
		.payload = 3000 };
	frame_make(&f, POD_A, &a);
	send_offloaded(&f, POD_A, 1460, 2000);
	CU_ASSERT_EQUAL(sent(ETH), 3); /* without DF: smaller pieces */
	for (unsigned k = 0; k < sent(ETH); k++)
		CU_ASSERT_TRUE(sent_sound(ETH, k, &len) && len <= 1514);
	node_check();
}

static void test_partial_checksum(void)
{
	static const struct {
		const char *src, *dst;
		uint8_t proto;
		uint16_t out, inner;
	} cases[] = {
		{ "10.244.1.10", "10.244.1.11", IPPROTO_TCP, POD_B, ETHER },
		{ "10.244.1.10", "10.244.2.7", IPPROTO_UDP, ETH, 64 },
		{ "fd00:244:1::10", "fd00:244:1::11", IPPROTO_UDP, POD_B, ETHER },
		{ "fd00:244:1::10", "fd00:244:5::7", IPPROTO_TCP, ETH, 54 },
	};

	for (size_t i = 0; i < RTE_DIM(cases) * RTE_DIM(segments); i++) {
		const uint16_t out = cases[i % 4].out, inner = cases[i % 4].inner;
		struct ask a = { cases[i % 4].src, cases[i % 4].dst, .proto = cases[i % 4].proto,
			.sport = 1, .dport = 2, .payload = 1101 };
		struct counter_totals before;
		const uint8_t *got;
		uint32_t len;

		node_start();
		counters_sum(&before);
		node_ports[ETH].port.offloads = PORT_TX_CSUM;
		frame_make(&f, POD_A, &a);
		send_offloaded(&f, POD_A, 0, segments[i / 4]);
		finish_sum();
		CU_ASSERT_EQUAL(event_since(&before, EVENT_checksummed), 1);
		CU_ASSERT_EQUAL(sent(out), 1);
		got = sent_bytes(out, 0, &len);
		CU_ASSERT_TRUE(ether_sound(got, len));
		lower_ttl(f.bytes + ETHER);
		CU_ASSERT_EQUAL(len - inner, f.len - ETHER);
		CU_ASSERT_EQUAL(memcmp(got + inner, f.bytes + ETHER, f.len - ETHER), 0);
		node_check();
	}
}

/** A held packet finishes its sum when it leaves. */
static void test_partial_checksum_held(void)
{
	struct ask a = { "10.244.1.10", "198.51.100.1", .sport = 1, .dport = 2, .payload = 50 };
	struct rte_mbuf *m;

	node_start();
	frame_make(&f, POD_A, &a);
	send_offloaded(&f, POD_A, 0, 0);
	CU_ASSERT_EQUAL_FATAL(punt_receive(&m, 1), 1);
	inject_adjacency(m, adj.router, false);
	injected();
	finish_sum();
	expect_forwarded(&f, ETH, 0, &router_mac);
	node_check();
}

/** SYNs learn the path's MSS; nothing else changes. */
static void test_mss_clamp(void)
{
	static const struct {
		const char *src, *dst;
		uint16_t mss;
	} cases[] = { { "10.244.1.10", "10.244.2.7", 1410 },
		{ "fd00:244:1::10", "fd00:244:2::7", 1390 }, { "10.244.1.10", "203.0.113.9", 1460 },
		{ "fd00:244:1::10", "fd00:244:5::7", 1400 } };

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct ask a = { cases[i].src, cases[i].dst, .proto = IPPROTO_TCP, .syn = true,
			.sport = 1, .dport = 2 };
		struct counter_totals before;
		const uint8_t *got;
		uint32_t len;

		node_start();
		counters_sum(&before);
		frame_make(&f, POD_A, &a);
		frame_send(&f, POD_A, 0);
		got = sent_bytes(ETH, 0, &len);
		CU_ASSERT_TRUE(ether_sound(got, len));
		CU_ASSERT_EQUAL(get16(got + len - 2), cases[i].mss);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_mss_clamped), cases[i].mss != 1460);
		node_check();
	}
}

/** A run of datagrams: whole to a port that takes it, cut into datagrams for others and for tunnels, and each of these
 * fragmented when it is too large and may be. */
static void test_datagrams(void)
{
	static const struct {
		const char *dst;
		uint16_t out, outer, size, fragments;
		uint8_t offloads;
	} cases[] = {
		{ "10.244.1.11", POD_B, 0, 1000, 1, PORT_TX_CSUM | PORT_TX_TSO | PORT_TX_USO },
		{ "10.244.1.11", POD_B, 0, 1000, 1, PORT_TX_CSUM | PORT_TX_TSO },
		{ "10.244.1.11", POD_B, 0, 2000, 2, PORT_TX_CSUM | PORT_TX_TSO | PORT_TX_USO },
		{ "10.244.2.7", ETH, 50, 1000, 1, PORT_TX_CSUM | PORT_TX_TSO | PORT_TX_USO },
		{ "10.244.2.7", ETH, 50, 1440, 2, 0 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct ask a = { "10.244.1.10", cases[i].dst, .sport = 1, .dport = 2,
			.payload = 10 * cases[i].size, .id = 7 };
		const uint32_t headers = ETHER + cases[i].outer + 20;
		const bool whole = (cases[i].offloads & PORT_TX_USO) && cases[i].out == POD_B &&
				   cases[i].fragments == 1;
		struct counter_totals before;
		uint32_t seen = 0, at = 0;

		node_start();
		counters_sum(&before);
		node_ports[cases[i].out].port.offloads = cases[i].offloads;
		frame_make(&f, POD_A, &a);
		send_offloaded(&f, POD_A, cases[i].size, 2000);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_segmented), !whole);
		CU_ASSERT_EQUAL(
			event_since(&before, EVENT_fragmented), cases[i].fragments > 1 ? 10 : 0);
		CU_ASSERT_EQUAL(sent(cases[i].out), whole ? 1 : 10u * cases[i].fragments);
		for (unsigned k = 0; k < sent(cases[i].out); k++) {
			uint32_t len, skip;
			const uint8_t *got = sent_bytes(cases[i].out, k, &len);

			if (whole) {
				CU_ASSERT_EQUAL(node_ports[POD_B].sent[k]->tso_segsz, 1000);
				CU_ASSERT_TRUE((node_ports[POD_B].sent[k]->ol_flags &
						       RTE_MBUF_F_TX_UDP_SEG) != 0);
			} else {
				CU_ASSERT_TRUE(ether_sound(got, len));
				CU_ASSERT_TRUE(len - ETHER <= 1500);
			}
			/* The UDP header is in the first fragment of each. */
			at = (get16(got + headers - 14) & 0x1fff) * 8;
			skip = at == 0 ? 8 : 0;
			CU_ASSERT_EQUAL(
				get16(got + headers - 16), whole ? 7 : 7 + k / cases[i].fragments);
			CU_ASSERT_EQUAL(memcmp(got + headers + skip, f.bytes + ETHER + 28 + seen,
						len - headers - skip),
				0);
			seen += len - headers - skip;
		}
		CU_ASSERT_EQUAL(seen, 10u * cases[i].size);
		node_check();
	}
}

/** Put IP fragments of either family together. Their order is that of the bytes. @return bytes behind the per-fragment
 * headers. */
static uint32_t join_fragments(uint16_t out, uint16_t outer, uint16_t mtu, uint8_t *to)
{
	uint32_t seen = 0;

	for (unsigned k = 0; k < sent(out); k++) {
		uint32_t len, header, field;
		const uint8_t *got = sent_bytes(out, k, &len), *ip = got + ETHER + outer, *first;

		CU_ASSERT_TRUE(ether_sound(got, len));
		CU_ASSERT_TRUE(len - ETHER - outer <= mtu);
		first = sent_bytes(out, 0, &len) + ETHER + outer;
		got = sent_bytes(out, k, &len);
		header = f.v6 ? 48 : 20;
		field = f.v6 ? get16(ip + 42)
			     : (get16(ip + 6) & 0x1fffu) * 8 | (get16(ip + 6) >> 13 & 1);
		CU_ASSERT_EQUAL(field & ~7u, seen);
		CU_ASSERT_EQUAL(field & 1, k + 1 < sent(out));
		if (f.v6) {
			CU_ASSERT_EQUAL(ip[6], IPPROTO_FRAGMENT);
			CU_ASSERT_EQUAL(ip[40], IPPROTO_UDP);
			CU_ASSERT_EQUAL(memcmp(ip + 44, first + 44, 4), 0);
			CU_ASSERT_EQUAL(get16(ip + 4), len - ETHER - outer - 40);
		} else {
			CU_ASSERT_EQUAL(get16(ip + 4), get16(first + 4));
			CU_ASSERT_EQUAL(get16(ip + 6) & 0x4000, 0);
		}
		CU_ASSERT_EQUAL(ip[f.v6 ? 7 : 8], 63);
		memcpy(to + seen, ip + header, len - ETHER - outer - header);
		seen += len - ETHER - outer - header;
	}
	return seen;
}

/** A datagram that its sender leaves to us to fragment: whole to a port that takes it, in fragments with a right checksum
 * over all to others and into tunnels, refused where its fragments may not be made smaller. */
static void test_large_datagram(void)
{
	static const struct {
		const char *src, *dst;
		uint16_t out, outer, mtu, size;
		uint8_t offloads;
		bool df;
	} cases[] = {
		{ "10.244.1.10", "10.244.1.11", POD_B, 0, 1500, 1480, PORT_TX_CSUM | PORT_TX_UFO,
			true },
		{ "fd00:244:1::10", "fd00:244:1::11", POD_B, 0, 1500, 1448,
			PORT_TX_CSUM | PORT_TX_UFO, false },
		{ "10.244.1.10", "10.244.1.11", POD_B, 0, 1500, 1480,
			PORT_TX_CSUM | PORT_TX_TSO | PORT_TX_USO, true },
		{ "fd00:244:1::10", "fd00:244:1::11", POD_B, 0, 1500, 1448,
			PORT_TX_CSUM | PORT_TX_TSO | PORT_TX_USO, false },
		{ "10.244.1.10", "10.244.2.7", ETH, 50, 1450, 1480, 0, false },
		{ "fd00:244:1::10", "fd00:244:2::7", ETH, 50, 1450, 1400, 0, false },
		{ "10.244.1.10", "10.244.2.7", ETH, 50, 1450, 1480, 0,
			true }, /* these come back as ICMP */
		{ "fd00:244:1::10", "fd00:244:2::7", ETH, 50, 1450, 1448, 0, false },
	};
	static uint8_t joined[65536];

	for (size_t i = 0; i < RTE_DIM(cases) * 2; i++) {
		const bool too_big = i / 2 >= RTE_DIM(cases) - 2,
			   whole = (cases[i / 2].offloads & PORT_TX_UFO) != 0;
		const uint16_t out = cases[i / 2].out, outer = cases[i / 2].outer;
		struct ask a = { cases[i / 2].src, cases[i / 2].dst, .sport = 1, .dport = 2,
			.payload = 9000, .id = 7, .df = cases[i / 2].df };
		struct counter_totals before;
		struct rte_mbuf *m;
		uint32_t l4_len;

		node_start();
		counters_sum(&before);
		node_ports[out].port.offloads = cases[i / 2].offloads;
		frame_make(&f, POD_A, &a);
		l4_len = f.len - ETHER - f.l3;
		put_sum(f.bytes + ETHER + f.l3 + 6,
			(uint16_t)pseudo_sum(f.bytes + ETHER, IPPROTO_UDP, l4_len));
		m = mbuf_of(pool, f.bytes, f.len, i & 1 ? 1000 : 2000);
		m->l2_len = ETHER;
		m->l3_len = f.l3 & 0x1ff;
		m->l4_len = 8;
		m->tso_segsz = cases[i / 2].size;
		m->ol_flags |= OFFLOAD_DATAGRAM | RTE_MBUF_F_TX_UDP_CKSUM |
			       (f.v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
		burst(POD_A, &m, 1);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_fragmented), !whole && !too_big);
		if (too_big) {
			CU_ASSERT_EQUAL(sent(out), 0);
			CU_ASSERT_EQUAL(sent(POD_A), 1);
		} else if (whole) {
			CU_ASSERT_EQUAL_FATAL(sent(out), 1);
			CU_ASSERT_TRUE(offload_is_datagram(node_ports[out].sent[0]));
			CU_ASSERT_EQUAL(node_ports[out].sent[0]->tso_segsz, cases[i / 2].size);
			CU_ASSERT_EQUAL(node_ports[out].sent[0]->pkt_len, f.len);
		} else {
			finish_sum();
			CU_ASSERT_TRUE(sent(out) >= 9008 / 1480);
			CU_ASSERT_EQUAL_FATAL(
				join_fragments(out, outer, cases[i / 2].mtu, joined), l4_len);
			CU_ASSERT_EQUAL(memcmp(joined, f.bytes + ETHER + f.l3, l4_len), 0);
		}
		node_check();
	}
}

/** Packets of a flow that came in one burst leave as one for a port that takes it; all are accounted for. */
static void test_merged(void)
{
	for (unsigned v = 0; v < 4; v++) {
		const bool takes = v & 1, tcp = v & 2;
		struct ask a = { "10.244.1.10", "10.244.1.11",
			.proto = tcp ? IPPROTO_TCP : IPPROTO_UDP, .sport = 1, .dport = 2,
			.payload = 500, .df = true };
		struct rte_mbuf *pkts[8];
		struct counter_totals before, after;

		node_start();
		counters_sum(&before);
		node_ports[POD_B].port.offloads =
			takes ? PORT_TX_CSUM | PORT_TX_TSO | PORT_TX_USO : 0;
		frame_make(&f, POD_A, &a);
		for (unsigned i = 0; i < 8; i++) {
			uint8_t *l4 = f.bytes + ETHER + f.l3;

			if (tcp) {
				put16(l4 + 6, 500 * i);
				l4[13] = RTE_TCP_ACK_FLAG;
				finish_sum();
			}
			pkts[i] = mbuf_of(pool, f.bytes, f.len, 0);
		}
		burst(POD_A, pkts, 8);
		counters_sum(&after);
		CU_ASSERT_EQUAL(sent(POD_B), takes ? 1 : 8);
		CU_ASSERT_EQUAL(event_since(&before, EVENT_merged), takes ? 7 : 0);
		CU_ASSERT_EQUAL(after.delivered - before.delivered, takes ? 7 : 0);
		CU_ASSERT_EQUAL(after.transmitted - before.transmitted, takes ? 1 : 8);
		if (takes)
			CU_ASSERT_EQUAL(node_ports[POD_B].sent[0]->pkt_len, f.len + 7 * 500);
		node_check();
	}
}

static const struct test_case cases[] = {
	{ "fragmented", test_fragmented },
	{ "runs of datagrams", test_datagrams },
	{ "datagrams to be fragmented", test_large_datagram },
	{ "merged", test_merged },
	{ "fragments followed", test_fragments_followed },
	{ "large segments cut", test_segmented },
	{ "large segments passed whole", test_passed_whole },
	{ "segment too big", test_segment_too_big },
	{ "partial checksums", test_partial_checksum },
	{ "partial checksum of a held packet", test_partial_checksum_held },
	{ "MSS clamp", test_mss_clamp },
};

SUITE_MAIN("worker: sizes", cases)
