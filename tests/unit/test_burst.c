/* SPDX-License-Identifier: Apache-2.0 */
/** The hit path (dataplane/burst.c) of every instruction set beside the long way: the same bursts, in the same order, with
 * the same commits between them, leave the same bytes at every port, the same counters and the same flows. What goes the
 * long way is everything as soon as somebody watches. */
#include "dataplane/flow_table.h"
#include "tests/unit/plain_frames.h"
#include "tests/unit/worker_frames.h"

#define BURSTS 1500
#define FLOWS  4

/* --- what a run leaves behind ---------------------------------------------------------------------------------------- */

#define PORT_WORDS(t)                                                                 \
	(unsigned long long)(t).rx_packets, (unsigned long long)(t).rx_bytes,         \
		(unsigned long long)(t).tx_packets, (unsigned long long)(t).tx_bytes, \
		(unsigned long long)(t).drops

struct record {
	struct counter_totals counters[BURSTS];
	struct port_totals ports[BURSTS][NODE_PORTS];
	uint16_t in[BURSTS], n[BURSTS];
	uint8_t *bytes;
	size_t len, room;
	size_t burst[BURSTS + 1]; /* where the output of each begins */
};
static struct record first, run;

static void keep(struct record *r, const void *bytes, size_t len)
{
	if (r->len + len > r->room) {
		r->room = (r->len + len) * 2;
		r->bytes = realloc(r->bytes, r->room);
		if (r->bytes == NULL)
			abort();
	}
	memcpy(r->bytes + r->len, bytes, len);
	r->len += len;
}
static void keep_word(struct record *r, uint64_t word)
{
	keep(r, &word, sizeof(word));
}

static void keep_packet(struct record *r, struct rte_mbuf *m)
{
	static uint8_t bytes[70000];
	const uint32_t len = mbuf_bytes(m, bytes);

	keep_word(r, len);
	keep_word(r, m->ol_flags);
	keep_word(r, (uint64_t)m->packet_type << 32 | m->nb_segs);
	keep(r, bytes, len);
}

static void keep_ports(struct record *r, unsigned b)
{
	for (uint16_t id = ETH; id < NODE_PORTS; id++) {
		struct port_totals *t = &r->ports[b][id];

		keep_word(r, sent(id));
		for (unsigned i = 0; i < sent(id); i++)
			keep_packet(r, node_ports[id].sent[i]);
		counters_sum_port(id, t);
		keep(r, t, sizeof(*t));
	}
}

/** What the control thread was handed ends here. */
static void keep_punted(struct record *r)
{
	struct rte_mbuf *m;

	while (punt_receive(&m, 1) == 1) {
		const struct pkt_note *note = pkt_note(m);

		keep_word(r, (uint64_t)note->kind << 16 | note->port);
		if (note->kind == PUNT_RESOLVE || note->kind == PUNT_GLEAN)
			keep_word(r, (uint64_t)note->adjacency << 32 | note->hash);
		keep_packet(r, m);
		punt_drop(m, DROP_neighbour_unresolved);
	}
}

static int keep_flow(const struct flow_record *flow, void *arg)
{
	struct record *r = arg;

	keep(r, &flow->key4, sizeof(flow->key4));
	keep(r, &flow->key6, sizeof(flow->key6));
	keep_word(r, flow->decision.adjacency);
	keep_word(r, flow->packets);
	keep_word(r, flow->bytes);
	keep_word(r, (uint64_t)flow->idle_ms << 32 | flow->flags);
	return 0;
}

/** Counters of one burst. */
static void keep_counters(struct record *r, unsigned b, const struct counter_totals *before)
{
	struct counter_totals *t = &r->counters[b];

	counters_sum(t);
	if (t->received + t->generated !=
		t->transmitted + t->delivered + (uint64_t)t->held + t->dropped)
		CU_FAIL_FATAL("a packet is lost, or counted twice");
	t->received -= before->received;
	t->generated -= before->generated;
	t->transmitted -= before->transmitted;
	t->delivered -= before->delivered;
	t->held -= before->held;
	t->dropped -= before->dropped;
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
		t->drops[i] -= before->drops[i];
	for (unsigned i = 0; i < EVENT_COUNT; i++)
		t->events[i] -= before->events[i];
	keep(r, t, sizeof(*t));
}

/* --- packets --------------------------------------------------------------------------------------------------------- */

static const char *const pods[2][2] = { { "10.244.1.10", "10.244.1.11" },
	{ "fd00:244:1::10", "fd00:244:1::11" } };
static const char *const remotes[2][10] = {
	{ "10.244.2.7", "10.244.3.7", "10.244.4.7", "10.244.5.7", "203.0.113.9", "203.0.113.17",
		"10.9.0.1", "10.10.0.1", "192.0.2.1", "10.200.0.1" },
	{ "fd00:244:2::7", "fd00:244:3::7", "fd00:244:4::7", "fd00:244:5::7", "2001:db8:113::9",
		"2001:db8:113::17", "fd00:9::1", "fd00:10::1", "2001:db8::1", "fd00:200::1" },
};
static const char *const far_off[2][2] = { { "198.51.100.1", "192.0.2.77" },
	{ "2001:db8:51::1", "2001:db8::77" } };

static void fill(struct dice *d, struct ask *a)
{
	const uint32_t kind = dice(d, 20);

	a->proto = kind < 11 ? IPPROTO_UDP : kind < 19 ? IPPROTO_TCP : 0;
	a->sport = (uint16_t)(1000 + dice(d, FLOWS));
	a->dport = (uint16_t)(dice_percent(d, 2) ? 4789 : 80);
	a->ttl = (uint8_t)(dice_percent(d, 3) ? 1 : 2 + dice(d, 100));
	a->tos = dice_percent(d, 50) ? 0 : (uint8_t)dice_word(d);
	a->df = dice_percent(d, 50);
	a->syn = a->proto == IPPROTO_TCP && dice_percent(d, 5);
	a->payload = (uint16_t)(dice_percent(d, 4) ? 1300 + dice(d, 200) : dice(d, 150));
	a->id = (uint16_t)dice_word(d);
}

/** From a pod or the host, to all kinds of places. */
static void from_inside(struct dice *d, struct frame *f, uint16_t in)
{
	const unsigned v = dice_percent(d, 35);
	struct ask a = { .src = in == HOST ? remotes[v][8] : pods[v][in == POD_B] };

	fill(d, &a);
	if (dice_percent(d, 40))
		a.dst = pods[v][in != POD_B];
	else if (dice_percent(d, 1))
		a.dst = far_off[v][dice(d, 2)];
	else
		a.dst = remotes[v][dice_percent(d, 85) ? dice(d, 6) : dice(d, 10)];
	if (dice_percent(d, 1))
		a.src = remotes[v][dice(d, 10)]; /* not its own */
	if (!v && dice_percent(d, 2))
		a.fragment = (uint16_t)(dice_percent(d, 50) ? 0x2000 : 1 + dice(d, 20));
	frame_make(f, in, &a);
}

/** From the wire: in a tunnel, or not. Bursts come from few peers, so that there are quads of one shape. */
static void from_outside(struct dice *d, struct frame *f, unsigned shape)
{
	const unsigned v = dice_percent(d, shape >= 8 ? 50 : 10) ^ (shape >> 2 & 1);
	const unsigned way = dice_percent(d, 95) ? shape & 3 : dice(d, 4);
	const bool v6 = way & 1, vxlan = way < 2;
	struct ask a = { .dst = pods[v][dice(d, 2)] };

	fill(d, &a);
	if (dice_percent(d, 15)) {
		a.src = remotes[v][4 + dice(d, 2)];
		if (dice_percent(d, 5))
			a.dst = remotes[v][8];
		frame_make(f, ETH, &a);
		return;
	}
	a.src = remotes[v][way];
	frame_make(f, ETH, &a);
	frame_encapsulate(f, vxlan ? ENCAP_VXLAN : ENCAP_IPIP,
		dice_percent(d, 2) ? (v6 ? "2001:db8::9" : "192.0.2.9")
				   : (v6 ? "2001:db8::2" : "192.0.2.2"),
		v6 ? "2001:db8::1" : "192.0.2.1", dice_percent(d, 2) ? 7 : 4096,
		dice_percent(d, 5) ? 8472 : 4789);
	if (dice_percent(d, 20)) { /* what routers on the way did */
		uint8_t *h = f->bytes + ETHER;

		if (v6)
			h[1] = (uint8_t)((h[1] & ~0x30) | dice(d, 4) << 4);
		else
			h[1] = (uint8_t)dice(d, 4);
		if (!v6)
			sum_ip4(h);
	}
	if (dice_percent(d, 2)) { /* a tunnel in the tunnel */
		frame_encapsulate(f, ENCAP_IPIP, "192.0.2.2", "192.0.2.1", 0, 0);
	}
}

static void spoil(struct dice *d, struct frame *f, uint16_t in)
{
	const uint32_t inner = f->bytes[12] == 8 ? 64 : 84;
	struct plain_frame p = { .len = f->len };

	if (f->len > 1000)
		return;
	memcpy(p.bytes, f->bytes, f->len);
	if (in == ETH && dice_percent(d, 60) && f->len > inner + 70)
		plain_spoil_ip(d, p.bytes + (dice_percent(d, 50) ? inner : inner - 30),
			f->bytes[inner - 2] == 0x86);
	else if (f->len > 80)
		plain_spoil(d, &p, f->bytes[12] == 0x86);
	memcpy(f->bytes, p.bytes, p.len);
	f->len = p.len;
}

static void ask_for_checksum(struct rte_mbuf *m, const struct frame *f)
{
	const uint8_t proto = f->v6 ? f->bytes[ETHER + 6] : f->bytes[ETHER + 9];

	m->l2_len = ETHER;
	m->l3_len = f->v6 ? 40 : 20;
	m->l4_len = proto == IPPROTO_TCP ? 20 : 8;
	m->ol_flags |= (f->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4) |
		       (proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
}

static struct rte_mbuf *packet(struct dice *d, uint16_t in, unsigned shape)
{
	static struct frame f;
	struct rte_mbuf *m;

	if (in == ETH)
		from_outside(d, &f, shape);
	else
		from_inside(d, &f, in);
	if (dice_percent(d, shape & 1 ? 25 : 2))
		spoil(d, &f, in);
	while (dice_percent(d, 15)) /* padding */
		f.bytes[f.len++] = (uint8_t)dice_word(d);
	if (f.len == 0)
		f.len = 1;
	m = mbuf_of(pool, f.bytes, f.len, dice_percent(d, 3) ? 60 : 0);
	if (m->nb_segs == 1 && dice_percent(d, 2)) { /* a driver without headroom */
		const uint16_t off = (uint16_t)(2 * dice(d, 50));

		memmove((uint8_t *)m->buf_addr + off, rte_pktmbuf_mtod(m, void *), m->data_len);
		m->data_off = off;
	}
	if (dice_percent(d, 10)) {
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
		m->packet_type = RTE_PTYPE_L2_ETHER;
	}
	if (dice_percent(d, 2))
		ask_for_checksum(m, &f);
	return m;
}

/* --- what happens between bursts ------------------------------------------------------------------------------------- */

static void tunnels_republish(uint32_t vni)
{
	struct tables *old = rcu_own(&tables), *next = malloc(sizeof(*next));
	struct ip_addr local[2] = { ip("192.0.2.1"), ip("2001:db8::1") };
	struct tunnel_peer peers[2] = { { .underlay = ip("192.0.2.2"), .vni = vni },
		{ .underlay = ip("2001:db8::2"), .vni = 4096 } };
	static const uint16_t vxlan_ports[] = { 4789, 8472 };

	*next = *old;
	next->tunnels = tunnel_table_new(&vtep_mac, vxlan_ports, 2, local, 2, peers, 2);
	rcu_publish(&tables, next);
	generation_commit();
	rcu_retire(old->tunnels, tunnel_table_free);
	rcu_retire(old, free);
	grace();
}

static void commit(struct dice *d)
{
	static const struct {
		enum encap encap;
		uint8_t underlay;
	} shapes[] = { { ENCAP_VXLAN, IP_V4 }, { ENCAP_VXLAN, IP_V6 }, { ENCAP_IPIP, IP_V4 },
		{ ENCAP_IPIP, IP_V6 } };
	const unsigned shape = dice(d, RTE_DIM(shapes));
	struct adjacency next;

	switch (dice(d, 7)) {
	case 0:
		route("203.0.113.0/28", dice_percent(d, 50)   ? adj.vxlan4
					: dice_percent(d, 50) ? adj.peer
							      : FIB_NONE);
		break;
	case 1:
		route("2001:db8:113::/64", dice_percent(d, 50) ? adj.ipip6 : FIB_NONE);
		break;
	case 2:
		route("10.244.2.0/24", dice_percent(d, 70) ? adj.vxlan4 : DROP_route_prohibit);
		break;
	case 3: /* a tunnel becomes another one, flows keep the adjacency */
	case 4:
		next = tunnel_make(shapes[shape].encap, shapes[shape].underlay);
		next.mtu = (uint16_t)(next.mtu - (dice_percent(d, 30) ? 200 : 0));
		adjacency_replace(adj.vxlan4, &next, dice_percent(d, 50));
		generation_commit();
		break;
	case 5:
		generation_bump_zone(dice_percent(d, 50) ? POD_A : ZONE_TUNNEL);
		generation_commit();
		break;
	default:
		tunnels_republish(dice_percent(d, 70) ? 4096 : 7);
	}
	grace();
}

static void before_burst(struct dice *d)
{
	if (dice_percent(d, 8))
		commit(d);
	w->now_ms += dice(d, 3);
	w->icmp_tokens = dice(d, 8);
	for (uint16_t id = ETH; id < NODE_PORTS; id++) {
		node_ports[id].room = dice_percent(d, 10) ? dice(d, 60) : SENT_MAX;
		atomic_store(&node_ports[id].port.forwarding, !dice_percent(d, 2));
	}
}

/* --- a run ----------------------------------------------------------------------------------------------------------- */

/** The node as it was before the first run. */
static void renew(void)
{
	struct adjacency vxlan4 = tunnel_make(ENCAP_VXLAN, IP_V4);
	struct flow_table_conf conf = { .entries4 = 1024,
		.entries6 = 1024,
		.n_workers = 1,
		.timeout_ms = 60000,
		.negative_timeout_ms = 2000,
		.socket_id = -1 };
	struct flow_table *flows = flow_table_new(&conf);
	struct error err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(flows);
	flows->secret = w->flows->secret;
	grace();
	flow_table_free(w->flows);
	fragment_table_free(w->fragments);
	reassembly_free(w->reassembly);
	w->flows = flows;
	w->fragments = fragment_table_new(
		8192, 1024); /* never full: which packet finds no room is chance */
	w->reassembly = reassembly_new(64, -1);
	memset(w->memos, 0, sizeof(w->memos));
	w->ip_id = 0;
	w->now_ms = 1000;
	punt_fini(); /* what was punted counts against the limit of later runs */
	CU_ASSERT_EQUAL_FATAL(punt_init(1, &err), 0);
	route("203.0.113.0/28", FIB_NONE);
	route("2001:db8:113::/64", FIB_NONE);
	route("10.244.2.0/24", adj.vxlan4);
	adjacency_replace(adj.vxlan4, &vxlan4, false);
	tunnels_republish(4096);
}

/** Fragments whose others never came. */
static void expire_fragments(void)
{
	const uint64_t later = rte_rdtsc() + 100 * rte_get_tsc_hz();

	for (unsigned slice = 0; slice < 1000; slice++) {
		struct fragment_release gone = { .count = 0 };
		unsigned parts = reassembly_expire(w->reassembly, later, 8);

		fragment_expire(w->fragments, w->now_ms + 100000, &gone);
		counter_hold(w->counters, -(int64_t)gone.count - parts);
		counter_drop(w->counters, PORT_NONE, DROP_fragment_timeout, parts);
		for (uint16_t i = 0; i < gone.count; i++)
			worker_drop(w, gone.m[i], DROP_fragment_timeout);
	}
}

static void run_all(struct record *r)
{
	static const uint16_t ins[] = { POD_A, POD_A, POD_B, ETH, ETH, ETH, ETH, HOST };
	struct rte_mbuf *pkts[VECTOR_SIZE];
	struct counter_totals before;
	struct dice d = { 0x6275727374 };

	renew();
	r->len = 0;
	for (uint16_t id = ETH; id < NODE_PORTS; id++)
		counters_clear_port(id);
	for (unsigned b = 0; b < BURSTS; b++) {
		const uint16_t in = ins[dice(&d, RTE_DIM(ins))];
		const uint16_t n = (uint16_t)(1 + dice(&d, dice_percent(&d, 50) ? VECTOR_SIZE : 8));
		const unsigned shape = dice(&d, 16);

		r->burst[b] = r->len;
		before_burst(&d);
		for (uint16_t i = 0; i < n; i++)
			pkts[i] = packet(&d, in, shape);
		r->in[b] = in;
		r->n[b] = n;
		counters_sum(&before);
		burst(in, pkts, n);
		keep_counters(r, b, &before);
		keep_ports(r, b);
		keep_punted(r);
		sent_clear();
	}
	r->burst[BURSTS] = r->len;
	for (uint16_t id = ETH; id < NODE_PORTS; id++)
		atomic_store(&node_ports[id].port.forwarding, true);
	flow_table_each(w->flows, 1, 0, w->now_ms, keep_flow, r);
	expire_fragments();
}

/** Where two runs part in burst b: the counters and the first packet that differ. */
static void explain(unsigned b)
{
	const struct counter_totals *c[2] = { &first.counters[b], &run.counters[b] };
	const struct port_totals *p[2] = { first.ports[b], run.ports[b] };

	printf("in burst %u: %u packets from port %u\n", b, first.n[b], first.in[b]);
#define TELL(what, name, x)                                                                 \
	do {                                                                                \
		if (c[0]->x != c[1]->x)                                                     \
			printf("\t%s %s: %lld, not %lld\n", what, name, (long long)c[1]->x, \
				(long long)c[0]->x);                                        \
	} while (0)
	TELL("counter", "received", received);
	TELL("counter", "generated", generated);
	TELL("counter", "transmitted", transmitted);
	TELL("counter", "delivered", delivered);
	TELL("counter", "held", held);
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
		TELL("drops", drop_reason_name(i), drops[i]);
	for (unsigned i = 0; i < EVENT_COUNT; i++)
		TELL("event", event_name(i), events[i]);
#undef TELL
	for (unsigned i = ETH; i < NODE_PORTS; i++) {
		if (memcmp(&p[0][i], &p[1][i], sizeof(p[0][i])) != 0)
			printf("\t%s: rx %llu %llu, tx %llu %llu, drops %llu, not rx %llu %llu, tx "
			       "%llu %llu, drops %llu\n",
				node_ports[i].port.name, PORT_WORDS(p[1][i]), PORT_WORDS(p[0][i]));
	}
}

static void compare(const char *name)
{
	for (unsigned b = 0; b < BURSTS; b++) {
		const size_t from = first.burst[b], to = first.burst[b + 1];

		if (run.burst[b] == from && run.burst[b + 1] == to &&
			memcmp(first.bytes + from, run.bytes + from, to - from) == 0)
			continue;
		printf("\n%s: burst %u leaves something else behind (%zu and %zu bytes)\n", name, b,
			to - from, run.burst[b + 1] - run.burst[b]);
		explain(b);
		CU_FAIL("burst");
		return;
	}
	if (run.len != first.len || memcmp(first.bytes, run.bytes, run.len) != 0) {
		printf("\n%s: the flows are others\n", name);
		CU_FAIL("flows");
	}
}

static uint64_t happened(enum event event)
{
	uint64_t n = 0;

	for (unsigned b = 0; b < BURSTS; b++)
		n += first.counters[b].events[event];
	return n;
}
static uint64_t refused(enum drop_reason reason)
{
	uint64_t n = 0;

	for (unsigned b = 0; b < BURSTS; b++)
		n += first.counters[b].drops[reason];
	return n;
}

/** Nothing is plain while somebody watches. */
static void run_the_long_way(void)
{
	struct observe_conf conf = { .filter = "", .points = 0 };
	struct error err;

	CU_ASSERT_EQUAL_FATAL(observe_start(&conf, &err), 0);
	run_all(&first);
	observe_stop();
	grace();
}

static void test_variants(void)
{
	node_start();
	run_the_long_way();
	/* Every part of it happened, or equal results say little. */
	CU_ASSERT_TRUE(happened(EVENT_flow_hit) > BURSTS * 10 && happened(EVENT_flow_miss) > 1000);
	CU_ASSERT_TRUE(happened(EVENT_flow_stale) > 100 && happened(EVENT_icmp_error_sent) > 100);
	CU_ASSERT_TRUE(
		happened(EVENT_decapsulated) > BURSTS && happened(EVENT_encapsulated) > BURSTS);
	CU_ASSERT_TRUE(happened(EVENT_fragmented) > 10 && happened(EVENT_checksummed) > 10 &&
		       happened(EVENT_punted) > 10);
	CU_ASSERT_TRUE(refused(DROP_tx_queue_full) > 100 && refused(DROP_port_down) > 100 &&
		       refused(DROP_no_buffer) > 10);
	for (unsigned i = 0; burst_variants[i] != NULL; i++) {
		const int ret = burst_select(burst_variants[i]->name);

		if (ret == -ENOTSUP) {
			printf("(this CPU has no %s) ", burst_variants[i]->name);
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(ret, 0);
		run_all(&run);
		compare(burst_variants[i]->name);
	}
	/* With the hash of processors without AES; the best variant is selected. */
	w->flows->secret.aes = false;
	run_the_long_way();
	run_all(&run);
	compare("without AES");
	node_check();
	free(first.bytes);
	free(run.bytes);
}

static const struct test_case cases[] = {
	{ "every hit path and the long way agree", test_variants },
};

SUITE_MAIN("burst", cases)
