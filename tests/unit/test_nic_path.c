/* SPDX-License-Identifier: Apache-2.0 */
/** The packet path in front of a NIC: whatever it leaves to the NIC, the same bytes are on the wire as when it does all by
 * itself. Tunnels in all family pairs, plain Ethernet, large segments and checksums, and what a NIC must not be given. */
#include "config/log.h"
#include "dataplane/offload.h"
#include "tests/unit/nic_pmd.h"
#include "tests/unit/worker_frames.h"

#define FRAMES_MAX 300

static struct frame f;
static struct port *nic_port;
static uint32_t summed; /* adjacency: VXLAN over IPv6 with a UDP checksum */

/** What one run put on the wire. */
static struct run {
	uint8_t bytes[FRAMES_MAX][1600];
	uint32_t len[FRAMES_MAX];
	unsigned n;
	uint16_t ip_id;
	struct counter_totals before, after;
} runs[2];

static uint16_t nic_forward(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)port;
	return nic_port->ops->tx_burst(nic_port, queue, pkts, n);
}
static const struct port_ops nic_ops = { .name = "nic", .tx_burst = nic_forward };

/** The node's uplink is a port on the NIC, with or without its offloads. */
static void uplink(bool offloads)
{
	static const char *const all[] = { "all" };
	struct port_params params = { .name = "eth0",
		.role = PORT_UPLINK,
		.device = NIC_DEVICE,
		.n_queues = 1,
		.mtu = 1500,
		.pool = pool,
		.large_pool = pool,
		.disabled = all,
		.n_disabled = offloads ? 0 : 1 };
	struct error err = { 0 };

	CU_ASSERT_EQUAL_FATAL(port_ethdev_ops.open(&params, &nic_port, &err), 0);
	node_ports[ETH].port.ops = &nic_ops;
	node_ports[ETH].port.offloads = nic_port->offloads;
	node_ports[ETH].port.large = nic_port->large;
	CU_ASSERT_EQUAL(nic_port->offloads != 0, offloads);
}

static void start(void)
{
	node_start();
	log_level_set(LOG_LEVEL_ERROR);
	nic_reset(pool);
	if (summed == 0) {
		struct adjacency a = tunnel_make(ENCAP_VXLAN, IP_V6);

		a.flags |= ADJ_UDP_CHECKSUM;
		summed = adjacency_new(&a);
		route("10.244.6.0/24", summed);
		route("fd00:244:6::/64", summed);
	}
}

/** RFC 6864: an atomic datagram's identification means nothing, and a NIC may count it. Its sum was right. */
static void forget_id(uint8_t *frame)
{
	if (frame[12] == 8 && (frame[ETHER + 6] & 0x40)) {
		put16(frame + ETHER + 4, 0);
		put16(frame + ETHER + 10, 0);
	}
}

/** Send f twice: done by the packet path, and by the NIC as far as it lets it. */
static void both_ways(const struct ask *a, uint16_t mss, uint32_t segment)
{
	for (unsigned by_nic = 0; by_nic < 2; by_nic++) {
		struct run *run = &runs[by_nic];

		start();
		uplink(by_nic);
		frame_make(&f, POD_A, a);
		w->ip_id = 0xfff0;
		counters_sum(&run->before);
		send_offloaded(&f, POD_A, mss, segment);
		send_offloaded(&f, POD_A, mss,
			segment); /* of a known flow, and with the next identification */
		counters_sum(&run->after);
		run->ip_id = w->ip_id;
		run->n = nic.n_wire;
		CU_ASSERT_FATAL(run->n <= FRAMES_MAX);
		for (unsigned i = 0; i < run->n; i++) {
			run->len[i] = mbuf_bytes(nic.wire[i], run->bytes[i]);
			CU_ASSERT_TRUE(ether_sound(run->bytes[i], run->len[i]));
			forget_id(run->bytes[i]);
		}
		if (nic.faults > 0)
			printf(" %s ", nic.fault);
		CU_ASSERT_EQUAL(nic.faults, 0);
		nic_clear();
		nic_port->ops->close(nic_port);
		node_check();
	}
	CU_ASSERT_EQUAL(runs[0].n, runs[1].n);
	CU_ASSERT_EQUAL(runs[0].ip_id, runs[1].ip_id);
	CU_ASSERT_TRUE(runs[0].n >= 2);
	for (unsigned i = 0; i < runs[0].n && runs[0].n == runs[1].n; i++) {
		CU_ASSERT_EQUAL(runs[0].len[i], runs[1].len[i]);
		CU_ASSERT_EQUAL(memcmp(runs[0].bytes[i], runs[1].bytes[i], runs[0].len[i]), 0);
	}
}

static uint64_t happened(unsigned by_nic, enum event event)
{
	return runs[by_nic].after.events[event] - runs[by_nic].before.events[event];
}

static const struct {
	const char *src, *dst;
	uint16_t mss;
} ways[] = {
	{ "10.244.1.10", "203.0.113.9", 1460 },
	{ "fd00:244:1::10", "2001:db8:113::9", 1440 },
	{ "10.244.1.10", "10.244.2.7", 1410 },
	{ "fd00:244:1::10", "fd00:244:2::7", 1390 },
	{ "10.244.1.10", "10.244.3.7", 1390 },
	{ "fd00:244:1::10", "fd00:244:3::7", 1370 },
	{ "10.244.1.10", "10.244.4.7", 1440 },
	{ "fd00:244:1::10", "fd00:244:4::7", 1420 },
	{ "10.244.1.10", "10.244.5.7", 1420 },
	{ "fd00:244:1::10", "fd00:244:5::7", 1400 },
	{ "10.244.1.10", "10.244.6.7", 1390 },
	{ "fd00:244:1::10", "fd00:244:6::7", 1370 },
};

/** 60 KiB in buffers of 2000: 31 of 40 that this NIC takes. */
static void large_segments(void)
{
	for (size_t i = 0; i < RTE_DIM(ways) * 2; i++) {
		const size_t k = i / 2;
		struct ask a = { ways[k].src, ways[k].dst, .proto = IPPROTO_TCP, .sport = 1,
			.dport = 2, .payload = 60000, .df = i % 2, .tos = 0xb8, .id = 0xfffe };

		both_ways(&a, ways[k].mss, 2000);
		CU_ASSERT_EQUAL(happened(0, EVENT_segmented), 2);
		CU_ASSERT_EQUAL(happened(1, EVENT_segmented), 0);
		CU_ASSERT_EQUAL(runs[1].after.transmitted - runs[1].before.transmitted, 2);
	}
}

static void checksums(void)
{
	static const uint32_t segments[] = { 0, 700 };

	for (size_t i = 0; i < RTE_DIM(ways) * 4; i++) {
		const size_t k = i / 4;
		struct ask a = { ways[k].src, ways[k].dst, .sport = 1, .dport = 2, .payload = 1101,
			.proto = i & 1 ? IPPROTO_TCP : IPPROTO_UDP, .df = true };

		both_ways(&a, 0, segments[i >> 1 & 1]);
		CU_ASSERT_EQUAL(happened(0, EVENT_checksummed), 2);
		CU_ASSERT_EQUAL(happened(1, EVENT_checksummed), 0);
	}
}

/** What a NIC would do wrong, or not at all, is done here. */
static void not_for_the_nic(void)
{
	for (size_t k = 0; k < RTE_DIM(ways); k++) {
		struct ask a = { ways[k].src, ways[k].dst, .proto = IPPROTO_TCP, .sport = 1,
			.dport = 2, .payload = 20000, .df = true };

		both_ways(&a, 200, 2000); /* smaller than NICs take */
		CU_ASSERT_EQUAL(happened(1, EVENT_segmented), 2);
		a.payload = 30000;
		both_ways(&a, ways[k].mss, 600); /* too many buffers */
		CU_ASSERT_EQUAL(happened(1, EVENT_segmented), 2);
		a.payload = (uint16_t)(65535 - 20 - f.l3);
		both_ways(&a, ways[k].mss,
			2000); /* with an outer header it is longer than IP can be */
		CU_ASSERT_EQUAL(happened(1, EVENT_segmented), k < 2 ? 0 : 2);
		a.proto = IPPROTO_UDP; /* a run of datagrams */
		a.payload = 4000;
		both_ways(&a, 1000, 2000);
		CU_ASSERT_EQUAL(happened(1, EVENT_segmented), 2);
		a.df = false; /* to be fragmented */
		if (!f.v6) {
			both_ways(&a, 0, 2000);
			CU_ASSERT_EQUAL(happened(1, EVENT_checksummed), 2);
			CU_ASSERT_EQUAL(happened(1, EVENT_fragmented), 2);
		}
	}
}

/** One offload less: the others are not touched by it, and the wire sees no difference. */
static void each_missing(void)
{
	for (unsigned lie = NIC_TX_CSUM; lie < NIC_OFFLOADS; lie++) {
		for (size_t k = 0; k < RTE_DIM(ways); k++) {
			struct ask a = { ways[k].src, ways[k].dst, .proto = IPPROTO_TCP, .sport = 1,
				.dport = 2, .payload = 9000, .df = true };
			const bool sum = k >= 10, vxlan = (k >= 2 && k < 6) || sum,
				   ipip = k >= 6 && k < 10;
			const bool missing = lie == NIC_TX_TSO	    ? k < 2
					     : lie == NIC_VXLAN_TSO ? vxlan
					     : lie == NIC_IPIP_TSO
						     ? ipip
						     : lie == NIC_OUTER_UDP_CSUM && sum;

			start();
			nic.lie[lie] = NIC_LOSES;
			uplink(true);
			frame_make(&f, POD_A, &a);
			counters_sum(&runs[0].before);
			send_offloaded(&f, POD_A, ways[k].mss, 2000);
			counters_sum(&runs[0].after);
			CU_ASSERT_EQUAL(happened(0, EVENT_segmented), missing);
			CU_ASSERT_TRUE(nic.n_wire >= 7);
			CU_ASSERT_EQUAL(nic.faults, 0);
			nic_clear();
			nic_port->ops->close(nic_port);
			node_check();
		}
	}
}

/** Words that contradict the packet never reach the NIC. */
static void words_that_lie(void)
{
	for (unsigned what = 0; what < 4; what++) {
		for (size_t k = 0; k < RTE_DIM(ways); k++) {
			struct ask a = { ways[k].src, ways[k].dst, .proto = IPPROTO_TCP, .sport = 1,
				.dport = 2, .payload = 1200, .df = true };
			struct counter_totals before;
			struct rte_mbuf *m;

			start();
			uplink(true);
			frame_make(&f, POD_A, &a);
			counters_sum(&before);
			m = mbuf_of(pool, f.bytes, f.len, 0);
			m->l2_len = ETHER;
			m->l3_len = f.l3 & 0x1ff;
			m->l4_len = 20;
			m->tso_segsz = 1000;
			m->ol_flags |= f.v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
			m->ol_flags |=
				RTE_MBUF_F_TX_TCP_CKSUM | (what < 2 ? RTE_MBUF_F_TX_TCP_SEG : 0);
			if (what == 0)
				m->l4_len = 60;
			if (what == 1)
				m->tso_segsz = 0;
			if (what == 2)
				m->l3_len = 100;
			if (what == 3)
				m->ol_flags ^= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6;
			burst(POD_A, &m, 1);
			CU_ASSERT_EQUAL(nic.faults, 0);
			if (what == 2 && f.v6) { /* the sum lands where it was said to, done here */
				CU_ASSERT_EQUAL(event_since(&before, EVENT_checksummed), 1);
			} else {
				CU_ASSERT_EQUAL(nic.n_wire, 0);
				CU_ASSERT_EQUAL(drops_since(&before, DROP_offload_failed), 1);
			}
			nic_clear();
			nic_port->ops->close(nic_port);
			node_check();
		}
	}
}

static const struct test_case cases[] = {
	{ "large segments", large_segments },
	{ "checksums", checksums },
	{ "not for the NIC", not_for_the_nic },
	{ "each missing", each_missing },
	{ "words that lie", words_that_lie },
};
SUITE_MAIN("nic path", cases)
