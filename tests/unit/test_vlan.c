/* SPDX-License-Identifier: Apache-2.0 */
/** An uplink in a VLAN: what is received with its tag is as if it had none, all else is dropped for its reason, and what is sent
 * has the tag, whoever puts it in. */
#include "dataplane/offload.h"
#include "dataplane/vlan.h"
#include "tests/unit/watched.h"
#include "tests/unit/worker_frames.h"

#define VLAN 100

static struct frame f;

static void vlan_start(uint16_t vlan)
{
	static bool loaded;

	if (!loaded)
		vectors_load("vlan");
	loaded = true;
	node_start();
	node_ports[ETH].port.vlan = vlan;
	node_ports[ETH].port.tag_pool = pool;
}

static void vlan_end(void)
{
	node_ports[ETH].port.vlan = 0;
	node_check();
}

/** What the loop does with one burst of the uplink. */
static void uplink_burst(struct rte_mbuf **pkts, uint16_t n)
{
	rcu_quiescent(0);
	w->epoch = generation_epoch();
	w->tables = rcu_read(&tables);
	w->observer = rcu_read(&observer);
	memcpy(w->pkts, pkts, n * sizeof(pkts[0]));
	if (node_ports[ETH].port.vlan != 0)
		n = slow_vlan(w, &node_ports[ETH].port, n);
	worker_burst(w, &node_ports[ETH].port, n);
	worker_flush(w);
}

static void uplink_send(const void *bytes, uint32_t len, uint32_t segment)
{
	struct rte_mbuf *m = mbuf_of(pool, bytes, len, segment);

	uplink_burst(&m, 1);
}

static bool is_of(const struct vector_bytes *v, const char *kind)
{
	return strncmp(v->name, kind, strlen(kind)) == 0 && v->name[strlen(kind)] == '.';
}

/** The frame without its tag that a tagged one stands for. */
static const struct vector_bytes *plain_of(const struct vector_bytes *v)
{
	char name[40];

	snprintf(name, sizeof(name), "plain.%s", strchr(v->name, '.') + 1);
	return vector(name);
}

/* --- receiving ------------------------------------------------------------------------------------------------- */

static void ours_are_as_without_tag(void)
{
	static const uint32_t segments[] = { 0, 5, 12, 13, 14, 15, 16, 17, 18, 19, 34, 60 };
	static uint8_t want[2048];
	uint32_t want_len, len;

	for (unsigned i = 0; i < vector_count || i == 0; i++) {
		const struct vector_bytes *v = &vector_list[i], *plain;

		vlan_start(0);
		if (!is_of(v, "ours"))
			continue;
		plain = plain_of(v);
		uplink_send(plain->bytes, plain->len, 0);
		CU_ASSERT_EQUAL_FATAL(sent(POD_A), 1);
		memcpy(want, sent_bytes(POD_A, 0, &want_len), sizeof(want));
		sent_clear();
		for (size_t s = 0; s < RTE_DIM(segments); s++) {
			vlan_start(VLAN);
			/* The second one is the hit path's. */
			for (unsigned k = 0; k < 2; k++) {
				uplink_send(v->bytes, v->len, segments[s]);
				CU_ASSERT_EQUAL_FATAL(sent(POD_A), 1);
				CU_ASSERT_EQUAL(
					memcmp(sent_bytes(POD_A, 0, &len), want, want_len), 0);
				CU_ASSERT_EQUAL(len, want_len);
				sent_clear();
			}
			vlan_end();
		}
	}
}

/** By the device: the tag is in the buffer's words. */
static void taken_off_before(void)
{
	const struct vector_bytes *v = vector("plain.udp6");
	static const struct {
		uint16_t tci;
		bool ours;
	} tags[] = { { VLAN, true }, { 0xb000 | VLAN, true }, { VLAN + 1, false }, { 0, false },
		{ 0xe000, false }, { 0x0fff, false } };

	for (size_t i = 0; i < RTE_DIM(tags); i++) {
		struct counter_totals before;
		struct rte_mbuf *m;

		vlan_start(VLAN);
		counters_sum(&before);
		m = mbuf_of(pool, v->bytes, v->len, 0);
		vlan_set_stripped(m, tags[i].tci);
		uplink_burst(&m, 1);
		CU_ASSERT_EQUAL(sent(POD_A), tags[i].ours);
		CU_ASSERT_EQUAL(drops_since(&before, DROP_vlan_other), !tags[i].ours);
		vlan_end();
	}
}

static void others_are_dropped(void)
{
	static const uint32_t segments[] = { 0, 13, 17 };
	unsigned kinds = 0;

	vlan_start(0);
	for (unsigned i = 0; i < vector_count; i++) {
		const struct vector_bytes *v = &vector_list[i];

		if (is_of(v, "ours") || is_of(v, "plain"))
			continue;
		kinds++;
		for (size_t s = 0; s < RTE_DIM(segments); s++) {
			struct counter_totals before;
			bool found = false;

			vlan_start(VLAN);
			counters_sum(&before);
			uplink_send(v->bytes, v->len, segments[s]);
			CU_ASSERT_EQUAL(sent_all(), 0);
			CU_ASSERT_EQUAL(dropped_since(&before), 1);
			for (enum drop_reason r = 1; r < DROP_REASON_COUNT; r++)
				found = found || (drops_since(&before, r) == 1 &&
							 is_of(v, drop_reason_name(r)));
			if (!found)
				printf("\n    %s: another reason\n", v->name);
			CU_ASSERT_TRUE(found);
			vlan_end();
		}
	}
	CU_ASSERT_TRUE(kinds >= 19);
}

/** In a burst with others each goes its own way; and a frame that ends anywhere is counted once. */
static void mixed_and_cut(void)
{
	const struct vector_bytes *v = vector("ours.vxlan"), *other = vector("vlan_other.next4");
	struct rte_mbuf *pkts[VECTOR_SIZE];
	struct counter_totals before;

	vlan_start(VLAN);
	counters_sum(&before);
	for (unsigned i = 0; i < VECTOR_SIZE; i++)
		pkts[i] = i % 3 == 0 ? mbuf_of(pool, other->bytes, other->len, 0)
				     : mbuf_of(pool, v->bytes, v->len, 0);
	uplink_burst(pkts, VECTOR_SIZE);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_vlan_other), 43);
	CU_ASSERT_EQUAL(sent(POD_A), VECTOR_SIZE - 43);
	vlan_end();
	for (uint32_t len = 1; len < v->len; len++) {
		vlan_start(VLAN);
		counters_sum(&before);
		uplink_send(v->bytes, len, len % 2 == 0 ? 7 : 0);
		CU_ASSERT_EQUAL(dropped_since(&before), 1);
		CU_ASSERT_EQUAL(drops_since(&before, DROP_l2_truncated), len < 18);
		vlan_end();
	}
}

/** An untagged uplink has not changed its mind about tags. */
static void untagged_uplink(void)
{
	const struct vector_bytes *v = vector("ours.udp4");
	struct counter_totals before;

	vlan_start(0);
	counters_sum(&before);
	uplink_send(v->bytes, v->len, 0);
	CU_ASSERT_EQUAL(drops_since(&before, DROP_vlan_unexpected), 1);
	vlan_end();
}

/* --- sending --------------------------------------------------------------------------------------------------- */

/** Packet i that went out of the uplink is `want` with the tag. */
static void expect_tagged(unsigned i, const uint8_t *want, uint32_t want_len, bool device)
{
	static const uint8_t tag[4] = { 0x81, 0, 0, VLAN };
	const uint8_t *got;
	uint32_t len;

	got = sent_bytes(ETH, i, &len);
	CU_ASSERT_FATAL(sent(ETH) > i);
	if (device) {
		const struct rte_mbuf *m = node_ports[ETH].sent[i];

		CU_ASSERT_TRUE((m->ol_flags & RTE_MBUF_F_TX_VLAN) != 0);
		CU_ASSERT_EQUAL(m->vlan_tci, VLAN);
		CU_ASSERT_EQUAL(len, want_len);
		CU_ASSERT_EQUAL(memcmp(got, want, want_len), 0);
		return;
	}
	CU_ASSERT_EQUAL(len, want_len + 4);
	CU_ASSERT_EQUAL(memcmp(got, want, 12), 0);
	CU_ASSERT_EQUAL(memcmp(got + 12, tag, 4), 0);
	CU_ASSERT_EQUAL(memcmp(got + 16, want + 12, want_len - 12), 0);
}

/** Pods' packets by each way out, in software and by the device, known flows and new ones, from one buffer and several. */
static void sent_with_tag(void)
{
	static const struct ask asks[] = {
		{ "10.244.1.10", "203.0.113.1", .sport = 1, .dport = 2, .payload = 100 },
		{ "fd00:244:1::10", "2001:db8:113::1", .sport = 1, .dport = 2, .payload = 100 },
		{ "10.244.1.10", "10.244.2.1", .sport = 1, .dport = 2, .payload = 100, .df = true },
		{ "fd00:244:1::10", "fd00:244:3::1", .sport = 1, .dport = 2, .payload = 100 },
		{ "fd00:244:1::10", "fd00:244:4::1", .sport = 1, .dport = 2, .payload = 1300,
			.proto = IPPROTO_TCP },
		{ "10.244.1.10", "10.244.5.1", .sport = 1, .dport = 2, .payload = 1300 },
	};
	static uint8_t want[2][2048];
	uint32_t len[2];

	for (size_t i = 0; i < RTE_DIM(asks) * 4; i++) {
		const uint32_t segment = i & 1 ? 80 : 0;
		const bool device = (i & 2) != 0;
		const uint16_t ip_id = w != NULL ? w->ip_id : 0;
		struct port_totals before, after;

		vlan_start(0);
		w->ip_id = ip_id;
		frame_make(&f, POD_A, &asks[i / 4]);
		for (unsigned k = 0; k < 2; k++) {
			frame_send(&f, POD_A, segment);
			memcpy(want[k], sent_bytes(ETH, k, &len[k]), sizeof(want[k]));
		}
		CU_ASSERT_EQUAL_FATAL(sent(ETH), 2);
		sent_clear();
		vlan_start(VLAN);
		node_ports[ETH].port.offloads = device ? PORT_TX_VLAN : 0;
		w->ip_id = ip_id;
		counters_sum_port(ETH, &before);
		for (unsigned k = 0; k < 2; k++) {
			frame_send(&f, POD_A, segment);
			expect_tagged(k, want[k], len[k], device);
		}
		counters_sum_port(ETH, &after);
		CU_ASSERT_EQUAL(after.tx_bytes - before.tx_bytes, len[0] + len[1]);
		vlan_end();
	}
}

/** A packet larger than the MTU becomes fragments, the tag does not count; echo replies and ICMP errors of the node are tagged too. */
static void fragments_and_own(void)
{
	struct ask big = { "10.244.1.10", "203.0.113.1", .sport = 1, .dport = 2, .payload = 1600 },
		   full = { "10.244.1.10", "203.0.113.1", .sport = 1, .dport = 2, .payload = 1472 },
		   echo = { "203.0.113.9", "192.0.2.1", .proto = IPPROTO_ICMP, .sport = 1 },
		   lost = { "2001:db8:113::9", "fd00:244:1::99", .sport = 1, .dport = 2,
			   .payload = 40 };
	const struct ask *const outside[] = { &echo, &lost };
	uint32_t len;

	vlan_start(VLAN);
	frame_make(&f, POD_A, &big);
	frame_send(&f, POD_A, 100);
	CU_ASSERT_EQUAL(sent(ETH), 2);
	frame_make(&f, POD_A, &full);
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(sent(ETH), 3);
	sent_bytes(ETH, 2, &len);
	CU_ASSERT_EQUAL(len, 1500 + ETHER + 4);
	for (size_t i = 0; i < RTE_DIM(outside); i++) {
		uint8_t tagged[2048];

		frame_make(&f, ETH, outside[i]);
		memcpy(tagged, f.bytes, 12);
		memcpy(tagged + 12, "\x81\0\0\x64", 4);
		memcpy(tagged + 16, f.bytes + 12, f.len - 12);
		uplink_send(tagged, f.len + 4, 0);
	}
	CU_ASSERT_EQUAL(sent(ETH), 5);
	for (unsigned i = 0; i < 5; i++) {
		const uint8_t *got = sent_bytes(ETH, i, &len);

		CU_ASSERT_EQUAL(get16(got + 12), 0x8100);
		CU_ASSERT_EQUAL(get16(got + 14), VLAN);
		CU_ASSERT_TRUE(len <= 1500 + ETHER + 4);
		CU_ASSERT_TRUE(ip_sound(got + 18, len - 18));
	}
	vlan_end();
}

/** What the port does not take is as it was before. */
static void not_taken(void)
{
	struct port *port = &node_ports[ETH].port;
	struct ask a = { "10.244.1.10", "203.0.113.1", .sport = 1, .dport = 2, .payload = 100 };
	struct port_totals before, after;
	static uint8_t flat[2048];

	vlan_start(VLAN);
	counters_sum_port(ETH, &before);
	node_ports[ETH].room = 1;
	frame_make(&f, POD_A, &a);
	{
		struct rte_mbuf *pkts[3];

		for (unsigned i = 0; i < 3; i++)
			pkts[i] = mbuf_of(pool, f.bytes, f.len, i == 2 ? 20 : 0);
		burst(POD_A, pkts, 3);
	}
	counters_sum_port(ETH, &after);
	CU_ASSERT_EQUAL(sent(ETH), 1);
	CU_ASSERT_EQUAL(after.tx_bytes - before.tx_bytes, f.len);
	sent_clear();
	for (unsigned device = 0; device < 2; device++) {
		struct rte_mbuf *m = mbuf_of(pool, f.bytes, f.len, 20);

		node_ports[ETH].room = 0;
		port->offloads = device ? PORT_TX_VLAN : 0;
		m->ol_flags = RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4;
		m->l2_len = ETHER;
		CU_ASSERT_EQUAL(port_tx(port, 0, &m, 1), 0);
		CU_ASSERT_EQUAL(mbuf_bytes(m, flat), f.len);
		CU_ASSERT_EQUAL(m->pkt_len, f.len);
		CU_ASSERT_EQUAL(memcmp(flat, f.bytes, f.len), 0);
		CU_ASSERT_EQUAL(m->l2_len, ETHER);
		CU_ASSERT_EQUAL(m->ol_flags, RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4);
		rte_pktmbuf_free(m);
	}
	vlan_end();
}

enum odd { NO_HEADROOM, NO_HEADROOM_CHAIN, LONG_HEAD, INDIRECT, ODD_KINDS };

/** A packet in whose first buffer there is no room for a tag. */
static struct rte_mbuf *odd_packet(enum odd kind, struct rte_mbuf **other)
{
	struct rte_mbuf *m = mbuf_of(pool, f.bytes, f.len, kind == NO_HEADROOM_CHAIN ? 60 : 0),
			*clone;

	*other = NULL;
	if (kind == INDIRECT) { /* the bytes are others' */
		clone = rte_pktmbuf_clone(m, pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(clone);
		*other = m;
		return clone;
	}
	memmove(m->buf_addr, rte_pktmbuf_mtod(m, void *), m->data_len);
	m->data_off = 0;
	return m;
}

static void no_room_for_the_tag(void)
{
	struct ask a = { "10.244.1.10", "203.0.113.1", .proto = IPPROTO_TCP, .sport = 1,
		.dport = 2 };
	static uint8_t flat[4096];

	for (unsigned i = 0; i < ODD_KINDS * 2; i++) {
		const enum odd kind = i / 2;
		const bool device = i & 1;
		struct rte_mbuf *m, *other;

		vlan_start(VLAN);
		node_ports[ETH].port.offloads = device ? PORT_TX_VLAN : 0;
		a.payload = kind == LONG_HEAD ? 1400 : 100;
		frame_make(&f, POD_A, &a);
		m = odd_packet(kind, &other);
		m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4;
		m->l2_len = ETHER;
		m->l3_len = 20;
		m->l4_len = 20;
		CU_ASSERT_EQUAL_FATAL(port_tx(&node_ports[ETH].port, 0, &m, 1), 1);
		expect_tagged(0, f.bytes, f.len, device);
		m = node_ports[ETH].sent[0];
		CU_ASSERT_EQUAL(m->l2_len, device ? ETHER : ETHER + 4);
		CU_ASSERT_EQUAL(m->l3_len, 20);
		CU_ASSERT_EQUAL(rte_mbuf_check(m, 1, &(const char *){ NULL }), 0);
		CU_ASSERT_TRUE(rte_pktmbuf_data_len(m) >= 18 + 40);
		CU_ASSERT_TRUE(rte_pktmbuf_headroom(m) >= 4 || !device);
		if (other != NULL) { /* untouched */
			mbuf_bytes(other, flat);
			CU_ASSERT_EQUAL(memcmp(flat, f.bytes, f.len), 0);
			rte_pktmbuf_free(other);
		}
		vlan_end();
	}
}

/** What a NIC is to finish inside a tunnel: the tag is in front of the outer header, and not taken by the port it is gone again. */
static void inside_a_tunnel(void)
{
	const uint64_t words = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4 |
			       RTE_MBUF_F_TX_TUNNEL_VXLAN | RTE_MBUF_F_TX_OUTER_IPV4 |
			       RTE_MBUF_F_TX_OUTER_IP_CKSUM;
	struct ask a = { "10.244.1.10", "203.0.113.1", .sport = 1, .dport = 2, .payload = 100 };
	struct rte_mbuf *m;

	for (unsigned i = 0; i < 4; i++) {
		const bool device = i & 1, taken = i & 2;

		vlan_start(VLAN);
		node_ports[ETH].port.offloads = device ? PORT_TX_VLAN : 0;
		frame_make(&f, POD_A, &a);
		m = mbuf_of(pool, f.bytes, f.len, 0);
		m->ol_flags = words;
		m->outer_l2_len = ETHER;
		m->outer_l3_len = 20;
		m->l2_len = 30;
		if (!taken)
			node_ports[ETH].room = 0;
		CU_ASSERT_EQUAL_FATAL(port_tx(&node_ports[ETH].port, 0, &m, 1), taken);
		if (taken)
			m = node_ports[ETH].sent[0];
		CU_ASSERT_EQUAL(m->outer_l2_len, taken && !device ? ETHER + 4 : ETHER);
		CU_ASSERT_EQUAL(m->l2_len, 30);
		if (!taken)
			rte_pktmbuf_free(m);
		vlan_end();
	}
}

/** Shared with others, or without a buffer to be had: not sent, and not lost. */
static void cannot_be_tagged(void)
{
	struct ask a = { "10.244.1.10", "203.0.113.1", .sport = 1, .dport = 2, .payload = 10 };
	static struct rte_mbuf *all[POOL_COUNT];
	struct rte_mbuf *pkts[3];
	unsigned taken = 0;

	vlan_start(VLAN);
	frame_make(&f, POD_A, &a);
	for (unsigned i = 0; i < 3; i++)
		pkts[i] = mbuf_of(pool, f.bytes, f.len, 0);
	rte_mbuf_refcnt_update(pkts[1], 1);
	CU_ASSERT_EQUAL(port_tx(&node_ports[ETH].port, 0, pkts, 3), 2);
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(pkts[2]), 2);
	CU_ASSERT_EQUAL(rte_pktmbuf_pkt_len(pkts[2]), f.len);
	rte_mbuf_refcnt_update(pkts[2], -1);
	memmove(pkts[2]->buf_addr, rte_pktmbuf_mtod(pkts[2], void *), pkts[2]->data_len);
	pkts[2]->data_off = 0;
	while (taken < POOL_COUNT && (all[taken] = rte_pktmbuf_alloc(pool)) != NULL)
		taken++;
	CU_ASSERT_EQUAL(port_tx(&node_ports[ETH].port, 0, &pkts[2], 1), 0);
	CU_ASSERT_EQUAL(rte_pktmbuf_pkt_len(pkts[2]), f.len);
	rte_pktmbuf_free_bulk(all, taken);
	rte_pktmbuf_free(pkts[2]);
	vlan_end();
}

/** Taken off and put back: as it came. */
static void restored(void)
{
	const struct vector_bytes *v = vector("ours.priority");
	static uint8_t flat[2048];

	vlan_start(VLAN);
	for (uint32_t segment = 0; segment < 40; segment += 13) {
		struct rte_mbuf *m = mbuf_of(pool, v->bytes, v->len, segment);

		CU_ASSERT_TRUE(vlan_accept(m, VLAN));
		CU_ASSERT_EQUAL(m->vlan_tci, v->bytes[14] << 8 | v->bytes[15]);
		CU_ASSERT_TRUE(vlan_accept(m, VLAN)); /* it says so itself now */
		CU_ASSERT_FALSE(vlan_accept(m, VLAN + 1));
		CU_ASSERT_TRUE(vlan_restore(m));
		CU_ASSERT_TRUE(vlan_restore(m));
		CU_ASSERT_EQUAL(mbuf_bytes(m, flat), v->len);
		CU_ASSERT_EQUAL(memcmp(flat, v->bytes, v->len), 0);
		rte_pktmbuf_free(m);
	}
	vlan_end();
}

/* --- watched --------------------------------------------------------------------------------------------------- */

static void stop(void)
{
	observe_stop();
	grace();
}

/** Captured frames have the tag that they have on the wire, and filters see it. */
static void captured(void)
{
	struct observe_conf conf = {
		.points = OBSERVE_RX | OBSERVE_TX | OBSERVE_DROP, .port = "eth0", .filter = "vlan"
	};
	struct ask a = { "10.244.1.10", "203.0.113.1", .sport = 7, .dport = 53, .payload = 100 };
	const struct vector_bytes *ours = vector("ours.priority"),
				  *other = vector("vlan_other.next6");
	struct error err;

	vlan_start(VLAN);
	CU_ASSERT_EQUAL_FATAL(observe_start(&conf, &err), 0);
	uplink_send(ours->bytes, ours->len, 17);
	uplink_send(other->bytes, other->len, 0);
	uplink_send(plain_of(ours)->bytes, plain_of(ours)->len, 0); /* has no tag for the filter */
	frame_make(&f, POD_A, &a);
	frame_send(&f, POD_A, 50);
	watched_read_back("-e -vv");
	watched_expect("vlan 100, p 5, DEI, ethertype IPv4 (0x0800)");
	watched_expect("vlan 101, p 0, ethertype IPv6 (0x86dd)");
	watched_expect("vlan 100, p 0, ethertype IPv4 (0x0800)");
	watched_expect("203.0.113.9.6 > 10.244.1.10.53");
	watched_expect("10.244.1.10.7 > 203.0.113.1.53");
	CU_ASSERT_PTR_NULL(strstr(watched, "bad"));
	CU_ASSERT_PTR_NULL(strstr(watched, "truncated"));
	CU_ASSERT_EQUAL(observe_missed(), 0);
	stop();
	vlan_end();
}

static void traced(void)
{
	struct observe_conf conf = { .filter = "vlan 100 and udp", .count = 1, .trace = true };
	struct ask a = { "10.244.1.10", "203.0.113.9", .sport = 53, .dport = 5 };
	const struct vector_bytes *ours = vector("ours.udp4"), *other = vector("vlan_other.next4");
	char said[64];
	struct error err;

	vlan_start(VLAN);
	watched[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(observe_start(&conf, &err), 0);
	uplink_send(other->bytes, other->len, 0);
	uplink_send(ours->bytes, ours->len, 0);
	CU_ASSERT_EQUAL(trace_drain(watched_keep, NULL), 1);
	snprintf(said, sizeof(said), "receive\teth0, %u bytes, VLAN 100", ours->len);
	watched_expect(said);
	watched_expect("send\tpod:a\n");
	stop();
	conf.filter = "vlan 101";
	watched[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(observe_start(&conf, &err), 0);
	uplink_send(other->bytes, other->len, 0);
	CU_ASSERT_EQUAL(trace_drain(watched_keep, NULL), 1);
	watched_expect("drop\tvlan_other");
	stop();
	conf.filter = "";
	watched[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(observe_start(&conf, &err), 0);
	frame_make(&f, POD_A, &a);
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(trace_drain(watched_keep, NULL), 1);
	watched_expect("send\teth0, VLAN 100");
	stop();
	vlan_end();
}

static const struct test_case cases[] = {
	{ "frames of the VLAN are as without tag", ours_are_as_without_tag },
	{ "tags that the device took off", taken_off_before },
	{ "others are dropped under their reason", others_are_dropped },
	{ "mixed bursts, frames cut anywhere", mixed_and_cut },
	{ "an untagged uplink", untagged_uplink },
	{ "sent with the tag", sent_with_tag },
	{ "fragments, and what the node says itself", fragments_and_own },
	{ "not taken by the port", not_taken },
	{ "no room for the tag", no_room_for_the_tag },
	{ "inside a tunnel", inside_a_tunnel },
	{ "cannot be tagged", cannot_be_tagged },
	{ "restored", restored },
	{ "captured", captured },
	{ "traced", traced },
};

SUITE_MAIN("vlan", cases)
