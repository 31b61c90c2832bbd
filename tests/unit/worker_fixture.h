/* SPDX-License-Identifier: Apache-2.0 */
/** A small node in one process for tests of the packet path: one worker's stages run on the test's own thread over
 * ports in memory, with tables made by hand so that every test says what it depends on. The worker, the flow table, the
 * adjacencies, the punt rings, RCU and the counters are the daemon's own.
 *
 *   pod:a, pod:b, podlane0  --  node  --  eth0 (192.0.2.1/24, 2001:db8::1/64)
 *
 * The hit path is the best one for this CPU, or the one the environment's BURST names.
 *
 * Routes to four peers' pods cover the family pairs of both tunnels: see node_routes().
 */
#ifndef TESTS_UNIT_WORKER_FIXTURE_H
#define TESTS_UNIT_WORKER_FIXTURE_H

#include "dataplane/adjacency.h"
#include "dataplane/generation.h"
#include "dataplane/burst.h"
#include "tests/unit/eal.h"
#include "tests/unit/suite.h"
#include "tests/unit/vectors.h"

#include <errno.h>
#include <netinet/in.h>

#define SENT_MAX   512
#define ETHER	   14
#define ICMP_RATE  1000
#define POOL_COUNT 2047

enum { ETH = 1, POD_A, POD_B, HOST, NODE_PORTS };

/** A port that keeps what it is given. */
struct memory_port {
	struct port port; /* first, as in every driver */
	struct rte_mbuf *sent[SENT_MAX];
	unsigned n_sent;
	unsigned room; /* packets it takes before it is full */
};

/* What forwarding.c would define and own. */
_Atomic(struct tables *) tables;
_Atomic(struct path_group *) path_groups[PATHS_MAX];

static struct memory_port node_ports[NODE_PORTS];
static struct rte_mempool *pool;
static struct worker *w;
/* Adjacencies of the node's routes. */
static struct {
	uint32_t pod_a, pod_b, host, router, peer, vxlan4, vxlan6, ipip4, ipip6, resolving, glean;
} adj;

static const struct mac_addr gateway_mac = { { 2, 0x70, 0x6f, 0x64, 0x6c, 1 } };
static const struct mac_addr uplink_mac = { { 2, 0, 0, 0, 1, 1 } };
static const struct mac_addr peer_mac = { { 2, 0, 0, 0, 1, 2 } };
static const struct mac_addr router_mac = { { 2, 0, 0, 0, 1, 0xfe } };
static const struct mac_addr vtep_mac = { { 2, 0, 0xc0, 0, 2, 1 } };
static const struct mac_addr peer_vtep = { { 2, 0, 0xc0, 0, 2, 2 } };
static const struct mac_addr station[NODE_PORTS] = { [ETH] = { { 2, 0, 0, 0, 1, 2 } },
	[POD_A] = { { 2, 0, 0, 0, 0, 0xa } },
	[POD_B] = { { 2, 0, 0, 0, 0, 0xb } },
	[HOST] = { { 2, 0, 0, 0, 0, 0xf } } };

static inline struct ip_addr ip(const char *text)
{
	struct ip_addr a;

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(text, &a), 0);
	return a;
}

static inline struct ip_prefix net(const char *text)
{
	struct ip_prefix p;

	CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(text, &p), 0);
	return p;
}

/* --- ports ---------------------------------------------------------------------------------------------------- */

static inline uint16_t memory_tx(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct memory_port *mp = (struct memory_port *)port;
	uint16_t take = (uint16_t)RTE_MIN(n, mp->room);

	(void)queue;
	for (uint16_t i = 0; i < take && mp->n_sent < SENT_MAX; i++)
		mp->sent[mp->n_sent++] = pkts[i];
	mp->room -= take;
	return take;
}

static const struct port_ops memory_ops = { .name = "memory", .tx_burst = memory_tx };

static inline void memory_port_open(uint16_t id, const char *name, enum port_role role,
	const struct mac_addr *mac, const char *address4, const char *address6)
{
	struct port *port = &node_ports[id].port;
	struct ip_prefix own[2];
	size_t n = 0;

	*port = (struct port){ .ops = &memory_ops,
		.id = id,
		.n_rxq = 1,
		.n_txq = 1,
		.mtu = 1500,
		.role = (uint8_t)role,
		.mac = *mac };
	snprintf(port->name, sizeof(port->name), "%s", name);
	atomic_store(&port->forwarding, true);
	atomic_store(&port->link_up, true);
	atomic_store(&ports[id], port);
	node_ports[id].room = SENT_MAX;
	if (address4 != NULL)
		own[n++] = net(address4);
	if (address6 != NULL)
		own[n++] = net(address6);
	CU_ASSERT_EQUAL_FATAL(port_set_addresses(port, own, n), 0);
}

/* --- tables ---------------------------------------------------------------------------------------------------- */

/** Let RCU run what waits: this thread is reader and control at once. */
static inline void grace(void)
{
	rcu_offline(0);
	rcu_barrier();
	rcu_online(0);
}

/** One commit of one route (FIB_NONE: without it), as forwarding.c does it. */
static inline void route(const char *prefix, uint32_t value)
{
	struct tables *old = rcu_own(&tables), *next = malloc(sizeof(*next));
	struct ip_prefix p = net(prefix);
	struct fib **fib = p.addr.family == IP_V4 ? &next->fib4 : &next->fib6, *base;

	*next = *old;
	base = *fib;
	*fib = fib_edit(base);
	CU_ASSERT_PTR_NOT_NULL_FATAL(*fib);
	CU_ASSERT_EQUAL_FATAL(fib_set(*fib, &p, value, NULL), 0);
	fib_seal(*fib);
	rcu_publish(&tables, next);
	generation_bump_prefix(&p);
	generation_commit();
	rcu_retire(old, free);
	rcu_retire(base, fib_free_version);
	grace();
}

static inline struct adjacency rewrite_make(
	uint16_t port, const struct mac_addr *to, uint16_t mtu, const char *text)
{
	struct adjacency a = { .type = ADJ_REWRITE, .port = port, .mtu = mtu, .header_len = ETHER };

	memcpy(a.header, to->bytes, 6);
	memcpy(a.header + 6, node_ports[port].port.mac.bytes, 6);
	snprintf(a.text, sizeof(a.text), "%s", text);
	return a;
}

static inline uint32_t rewrite_new(
	uint16_t port, const struct mac_addr *to, uint16_t mtu, const char *text)
{
	struct adjacency a = rewrite_make(port, to, mtu, text);

	return adjacency_new(&a);
}

static inline struct adjacency tunnel_make(enum encap encap, uint8_t underlay)
{
	struct tunnel_endpoint e = { .local = ip(underlay == IP_V4 ? "192.0.2.1" : "2001:db8::1"),
		.remote = ip(underlay == IP_V4 ? "192.0.2.2" : "2001:db8::2"),
		.src_mac = uplink_mac,
		.dst_mac = peer_mac,
		.vtep_src = vtep_mac,
		.vtep_dst = peer_vtep,
		.vni = 4096,
		.udp_port = 4789,
		.port = ETH,
		.underlay_mtu = 1500 };
	struct adjacency a = { 0 };
	struct error err;

	for (unsigned i = 0; tunnel_types[i] != NULL; i++) {
		if (tunnel_types[i]->encap == encap)
			CU_ASSERT_EQUAL_FATAL(tunnel_types[i]->build(&e, &a, &err), 0);
	}
	snprintf(a.text, sizeof(a.text), "%s to node-b", encap == ENCAP_VXLAN ? "vxlan" : "ipip");
	return a;
}

static inline uint32_t tunnel_new(enum encap encap, uint8_t underlay)
{
	struct adjacency a = tunnel_make(encap, underlay);

	return adjacency_new(&a);
}

static inline void node_adjacencies(void)
{
	struct adjacency resolving = {
		.type = ADJ_RESOLVING, .port = ETH, .mtu = 1500, .text = "resolving"
	};
	struct adjacency glean = { .type = ADJ_GLEAN, .port = ETH, .mtu = 1500, .text = "glean" };

	adj.pod_a = rewrite_new(POD_A, &station[POD_A], 1500, "pod:a");
	adj.pod_b = rewrite_new(POD_B, &station[POD_B], 1500, "pod:b");
	adj.host = rewrite_new(HOST, &station[HOST], 1500, "podlane0");
	adj.router = rewrite_new(ETH, &router_mac, 1500, "router");
	adj.peer = rewrite_new(ETH, &peer_mac, 1500, "node-b");
	adj.vxlan4 = tunnel_new(ENCAP_VXLAN, IP_V4);
	adj.vxlan6 = tunnel_new(ENCAP_VXLAN, IP_V6);
	adj.ipip4 = tunnel_new(ENCAP_IPIP, IP_V4);
	adj.ipip6 = tunnel_new(ENCAP_IPIP, IP_V6);
	adj.resolving = adjacency_new(&resolving);
	adj.glean = adjacency_new(&glean);
}

static inline void node_routes(void)
{
	const struct {
		const char *prefix;
		uint32_t value;
	} routes[] = {
		{ "10.244.1.10", adj.pod_a },
		{ "fd00:244:1::10", adj.pod_a },
		{ "10.244.1.11", adj.pod_b },
		{ "fd00:244:1::11", adj.pod_b },
		{ "10.244.1.0/24", DROP_route_unreachable },
		{ "fd00:244:1::/64", DROP_route_unreachable },
		{ "192.0.2.1", adjacency_local() },
		{ "2001:db8::1", adjacency_local() },
		{ "169.254.1.1", adjacency_local() },
		{ "fe80::1", adjacency_local() },
		{ "192.0.2.0/24", adj.glean },
		{ "2001:db8::/64", adj.glean },
		{ "192.0.2.2", adj.peer },
		{ "2001:db8::2", adj.peer },
		{ "203.0.113.0/24", adj.router },
		{ "2001:db8:113::/48", adj.router },
		{ "10.244.2.0/24", adj.vxlan4 },
		{ "fd00:244:2::/64", adj.vxlan4 },
		{ "10.244.3.0/24", adj.vxlan6 },
		{ "fd00:244:3::/64", adj.vxlan6 },
		{ "10.244.4.0/24", adj.ipip4 },
		{ "fd00:244:4::/64", adj.ipip4 },
		{ "10.244.5.0/24", adj.ipip6 },
		{ "fd00:244:5::/64", adj.ipip6 },
		{ "198.51.100.0/24", adj.resolving },
		{ "2001:db8:51::/48", adj.resolving },
		{ "10.9.0.0/16", DROP_route_blackhole },
		{ "fd00:9::/32", DROP_route_blackhole },
		{ "10.10.0.0/16", DROP_route_prohibit },
		{ "fd00:10::/32", DROP_route_prohibit },
	};

	for (size_t i = 0; i < RTE_DIM(routes); i++)
		route(routes[i].prefix, routes[i].value);
}

/* --- the node --------------------------------------------------------------------------------------------------- */

static inline void node_tables(void)
{
	struct tables *t = calloc(1, sizeof(*t));
	struct ip_addr local[2] = { ip("192.0.2.1"), ip("2001:db8::1") };
	struct tunnel_peer peers[2] = { { .underlay = ip("192.0.2.2"), .vni = 4096, .peer = 1 },
		{ .underlay = ip("2001:db8::2"), .vni = 4096, .peer = 1 } };
	static const uint16_t vxlan_ports[] = { 4789, 8472 };
	const struct ip_addr gateway4 = ip("169.254.1.1"), gateway6 = ip("fe80::1");

	t->fib4 = fib_new(IP_V4);
	t->fib6 = fib_new(IP_V6);
	t->tunnels = tunnel_table_new(&vtep_mac, vxlan_ports, 2, local, 2, peers, 2);
	t->settings = (struct settings){ .gateway_mac = gateway_mac,
		.host_port = HOST,
		.icmp_rate = ICMP_RATE,
		.mss_clamp = true,
		.tcp_pickup = true };
	memcpy(t->settings.gateway4, gateway4.bytes, 4);
	memcpy(t->settings.gateway6, gateway6.bytes, 16);
	memcpy(t->settings.icmp_source4, local[0].bytes, 4);
	memcpy(t->settings.icmp_source6, local[1].bytes, 16);
	CU_ASSERT_FATAL(t->fib4 != NULL && t->fib6 != NULL && t->tunnels != NULL);
	rcu_publish(&tables, t);
}

static inline void node_worker(void)
{
	struct flow_table_conf conf = { .entries4 = 1024,
		.entries6 = 1024,
		.n_workers = 1,
		.timeout_ms = 60000,
		.negative_timeout_ms = 2000,
		.socket_id = -1 };

	w = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*w), RTE_CACHE_LINE_SIZE));
	memset(w, 0, sizeof(*w));
	w->tx = calloc(PORT_MAX, sizeof(*w->tx));
	w->counters = &counter_blocks[0];
	w->pool = pool;
	w->flows = flow_table_new(&conf);
	w->fragments = fragment_table_new(64, 64);
	w->reassembly = reassembly_new(64, -1);
	CU_ASSERT_FATAL(
		w->tx != NULL && w->flows != NULL && w->fragments != NULL && w->reassembly != NULL);
	w->now_ms = 1000;
}

#define SKIPPED 77 /* what meson calls a test that cannot run here */

static inline void burst_choose(void)
{
	const char *name = getenv("BURST");
	int ret = burst_select(name);

	if (ret == -ENOTSUP) {
		printf("this CPU does not have what %s needs\n", name);
		exit(SKIPPED);
	}
	if (ret < 0) {
		fprintf(stderr,
			"BURST=%s: no such hit path in this build: unset it for the best one\n",
			name);
		exit(EXIT_FAILURE);
	}
	printf("hit path: %s\n", burst_selected()->name);
}

/** Once a process; then before each case: full ICMP budget, empty flow table, every port open. */
static inline void node_start(void)
{
	struct error err;

	if (w == NULL) {
		burst_choose();
		eal_start();
		pool = eal_pool("packets", POOL_COUNT, 2048);
		CU_ASSERT_FATAL(
			rcu_init() == 0 && adjacency_init() == 0 && punt_init(1, &err) == 0);
		rcu_reader_register(0);
		node_worker();
		node_tables();
		worker_set_tunnels(tunnel_types);
		memory_port_open(
			ETH, "eth0", PORT_UPLINK, &uplink_mac, "192.0.2.1/24", "2001:db8::1/64");
		memory_port_open(
			POD_A, "pod:a", PORT_POD, &gateway_mac, "10.244.1.10", "fd00:244:1::10");
		memory_port_open(
			POD_B, "pod:b", PORT_POD, &gateway_mac, "10.244.1.11", "fd00:244:1::11");
		memory_port_open(HOST, "podlane0", PORT_HOST, &gateway_mac, NULL, NULL);
		node_adjacencies();
		node_routes();
	}
	w->icmp_tokens = 100;
	w->now_ms++;
	for (uint16_t id = ETH; id < NODE_PORTS; id++) {
		node_ports[id].room = SENT_MAX;
		node_ports[id].port.offloads = 0;
		atomic_store(&node_ports[id].port.forwarding, true);
	}
	flow_table_flush(w->flows);
}

/** What the loop does with one burst. */
static inline void burst(uint16_t in, struct rte_mbuf **pkts, uint16_t n)
{
	rcu_quiescent(0);
	w->epoch = generation_epoch();
	w->tables = rcu_read(&tables);
	w->observer = rcu_read(&observer);
	memcpy(w->pkts, pkts, n * sizeof(pkts[0]));
	worker_burst(w, &node_ports[in].port, n);
	worker_flush(w);
}

/** What the loop does with packets of the control thread. */
static inline void injected(void)
{
	rcu_quiescent(0);
	w->epoch = generation_epoch();
	w->tables = rcu_read(&tables);
	w->observer = rcu_read(&observer);
	if (inject_waiting(0))
		slow_injected(w);
	worker_flush(w);
}

static inline void send_bytes(uint16_t in, const void *bytes, uint32_t len, uint32_t segment)
{
	struct rte_mbuf *m = mbuf_of(pool, bytes, len, segment);

	burst(in, &m, 1);
}

static inline unsigned sent(uint16_t port)
{
	return node_ports[port].n_sent;
}

static inline unsigned sent_all(void)
{
	return sent(ETH) + sent(POD_A) + sent(POD_B) + sent(HOST);
}

/** Bytes of packet i that went out of a port; a copy good until the call after next. @return "" of length 0 when none. */
static inline const uint8_t *sent_bytes(uint16_t port, unsigned i, uint32_t *len)
{
	static uint8_t copy[2][70000];
	static unsigned turn;

	turn ^= 1;
	*len = 0;
	memset(copy[turn], 0, 256);
	if (i < sent(port))
		*len = mbuf_bytes(node_ports[port].sent[i], copy[turn]);
	return copy[turn];
}

static inline void sent_clear(void)
{
	for (uint16_t id = ETH; id < NODE_PORTS; id++) {
		rte_pktmbuf_free_bulk(node_ports[id].sent, node_ports[id].n_sent);
		node_ports[id].n_sent = 0;
		node_ports[id].room = SENT_MAX;
	}
}

/** Counters since `before`. */
static inline uint64_t event_since(const struct counter_totals *before, enum event event)
{
	struct counter_totals now;

	counters_sum(&now);
	return now.events[event] - before->events[event];
}
static inline uint64_t drops_since(const struct counter_totals *before, enum drop_reason reason)
{
	struct counter_totals now;

	counters_sum(&now);
	return now.drops[reason] - before->drops[reason];
}
static inline uint64_t dropped_since(const struct counter_totals *before)
{
	struct counter_totals now;

	counters_sum(&now);
	return now.dropped - before->dropped;
}

/** After every case: nothing is lost, nothing is counted twice, and no buffer but those held is gone. */
static inline void node_check(void)
{
	struct counter_totals t;

	sent_clear();
	grace();
	counters_sum(&t);
	CU_ASSERT_EQUAL(t.received + t.generated,
		t.transmitted + t.delivered + (uint64_t)t.held + t.dropped);
	CU_ASSERT_EQUAL(t.held, 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	CU_ASSERT_EQUAL(w->tx_dirty_count, 0);
}

#endif
