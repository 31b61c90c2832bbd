/* SPDX-License-Identifier: Apache-2.0 */
/** The control half of the data plane in a test: configuration text in, tables, requests and released packets out. Uplinks are
 * net_null devices, pods are memif sockets nobody connects to; the test stands in for the workers.
 */
#ifndef TESTS_UNIT_PLANE_H
#define TESTS_UNIT_PLANE_H

#include "config/schema.h"
#include "dataplane/adjacency.h"
#include "dataplane/arp_nd.h"
#include "dataplane/counters.h"
#include "dataplane/forwarding.h"
#include "dataplane/generation.h"
#include "dataplane/punt.h"
#include "dataplane/rcu.h"
#include "tests/unit/eal.h"
#include "tests/unit/suite.h"

#include <string.h>

#define PLANE_NODE \
	"node: { name = \"node-a\"; host_interface = \"\"; vtep_mac = \"02:00:c0:00:02:01\"; };\n"

struct plane {
	struct rte_mempool *pool;
	struct model *model;
	uint64_t now_ms;
	unsigned polled; /* ports in the last list */
	struct error err;
	char dir[64]; /* of sockets */
};
static struct plane plane;

static void plane_polls(struct port *const *list, size_t count)
{
	(void)list;
	plane.polled = (unsigned)count;
}

static void plane_remove_dir(void)
{
	rmdir(plane.dir);
}

static inline void plane_start(void)
{
	struct forwarding_conf conf = {
		.tunnel_types = tunnel_types, .n_workers = 1, .poll_ports = plane_polls
	};

	if (plane.pool == NULL) {
		eal_start();
		plane.pool = eal_pool("plane", 4096, 2048);
		strcpy(plane.dir, "/tmp/podlane-test-XXXXXX");
		CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(plane.dir));
		atexit(plane_remove_dir);
	}
	conf.pool = conf.large_pool = plane.pool;
	memset(counter_blocks, 0, sizeof(counter_blocks));
	rcu_init();
	plane.model = model_new();
	plane.now_ms = 1000;
	CU_ASSERT_EQUAL_FATAL(adjacency_init(), 0);
	CU_ASSERT_EQUAL_FATAL(punt_init(1, &plane.err), 0);
	CU_ASSERT_EQUAL_FATAL(forwarding_init(&conf, &plane.err), 0);
	forwarding_tick(plane.now_ms);
}

static inline bool plane_balanced(void)
{
	struct counter_totals t;

	counters_sum(&t);
	return t.received + t.generated ==
	       t.transmitted + t.delivered + (uint64_t)t.held + t.dropped;
}

static inline void plane_stop(void)
{
	struct counter_totals t;

	forwarding_fini(false);
	punt_fini();
	rcu_barrier();
	CU_ASSERT_EQUAL(adjacency_count(), 0);
	adjacency_fini();
	model_free(plane.model);
	counters_sum(&t);
	CU_ASSERT_TRUE(plane_balanced());
	CU_ASSERT_EQUAL(t.held, 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(plane.pool), 0);
	for (uint16_t id = 0; id < PORT_MAX; id++)
		CU_ASSERT_PTR_NULL(port_get(id));
}

/** Apply a set; takes it. @return what prepare (or validation) returned. */
static inline int plane_apply_set(struct changeset *set, bool commit)
{
	struct forwarding_txn *txn;
	const struct change *changes;
	size_t count;
	int ret;

	memset(&plane.err, 0, sizeof(plane.err));
	ret = changeset_validate(set, &plane.err);
	changes = changeset_changes(set, &count);
	ret = ret < 0 ? ret : forwarding_prepare(set, changes, count, &txn, &plane.err);
	if (ret == 0 && commit) {
		forwarding_commit(txn);
		model_apply(plane.model, set, NULL);
		rcu_reclaim();
	} else if (ret == 0) {
		forwarding_abort(txn);
	}
	changeset_free(set);
	return ret;
}

static inline struct changeset *plane_set(const char *text)
{
	struct changeset *set = changeset_new(plane.model);
	int ret = config_load_text(text, "test", set, &plane.err);

	if (ret < 0)
		printf(" %s ", plane.err.text);
	CU_ASSERT_EQUAL_FATAL(ret, 0);
	return set;
}

static inline void plane_apply(const char *text)
{
	int ret = plane_apply_set(plane_set(text), true);

	if (ret < 0)
		printf(" %s ", plane.err.text);
	CU_ASSERT_EQUAL_FATAL(ret, 0);
}

static inline void plane_delete(enum object_type type, const char *name)
{
	struct changeset *set = changeset_new(plane.model);

	CU_ASSERT_EQUAL_FATAL(changeset_delete(set, type, name, &plane.err), 0);
	CU_ASSERT_EQUAL_FATAL(plane_apply_set(set, true), 0);
}

static inline struct ip_addr ip(const char *text)
{
	struct ip_addr a;

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(text, &a), 0);
	return a;
}

static inline struct mac_addr mac(const char *text)
{
	struct mac_addr m;

	CU_ASSERT_EQUAL_FATAL(mac_addr_parse(text, &m), 0);
	return m;
}

/** The adjacency workers use for a destination. */
static inline uint32_t route_to_hash(const char *dst, uint64_t hash)
{
	struct ip_addr a = ip(dst);
	const struct tables *t = rcu_read(&tables);

	return route_adjacency(fib_lookup(a.family == IP_V6 ? t->fib6 : t->fib4, a.bytes), hash);
}
static inline uint32_t route_to(const char *dst)
{
	return route_to_hash(dst, 0);
}
static inline const struct adjacency *adj_to(const char *dst)
{
	return adjacency_get(route_to(dst));
}

/** As a worker would: take the next packet control sent; NULL when there is none. It counts as transmitted. */
static inline struct rte_mbuf *take(void)
{
	struct rte_mbuf *m;

	if (inject_receive(0, &m, 1) == 0)
		return NULL;
	counter_add(&counter_blocks[0].transmitted, 1);
	return m;
}

/** The next ARP or ND frame among them; others are freed and lost. */
static inline bool take_message(struct neighbour_info *info, uint16_t *port)
{
	struct rte_mbuf *m;
	struct parsed parsed;
	struct pkt p;

	while ((m = take()) != NULL) {
		bool ok = pkt_note(m)->kind == INJECT_FRAME;

		*port = pkt_note(m)->port;
		if (ok) {
			parsed = pkt_parse_ether(m, &p, 0);
			ok = (parsed.class == PKT_ARP || parsed.class == PKT_ND) &&
			     neighbour_parse(m, &p, parsed.class == PKT_ARP, info) == DROP_NONE;
			CU_ASSERT_TRUE(ok);
		}
		rte_pktmbuf_free(m);
		if (ok)
			return true;
	}
	return false;
}

static inline void drain(void)
{
	struct rte_mbuf *m;

	while ((m = take()) != NULL)
		rte_pktmbuf_free(m);
}

/** How many requests for an address are waiting; all waiting packets go. */
static inline unsigned requests_for(const char *target)
{
	struct neighbour_info info;
	struct ip_addr a = ip(target);
	unsigned n = 0;
	uint16_t port;

	while (take_message(&info, &port))
		n += info.kind == NEIGHBOUR_REQUEST && ip_addr_equal(&info.target, &a);
	return n;
}

/** A frame from the wire, punted by a worker. */
static inline void frame_in(struct rte_mbuf *m, uint16_t port)
{
	struct rte_mbuf *got;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	m->port = port;
	*pkt_note(m) = (struct pkt_note){ .kind = PUNT_NEIGHBOUR, .port = port };
	counter_add(&counter_blocks[0].received, 1);
	punt_send(&counter_blocks[0], m);
	while (punt_receive(&got, 1) == 1)
		forwarding_punted(got);
}

static inline void reply_in(uint16_t port, const char *who, const char *who_mac, const char *to)
{
	struct ip_addr target = ip(who), us = ip(to);
	struct mac_addr m = mac(who_mac), our = port_get(port)->mac;

	frame_in(neighbour_reply_make(plane.pool, &target, &m, &us, &our, false, true, true), port);
}

/** A packet a worker cannot send yet, by the adjacency its destination has. @return that adjacency. */
static inline uint32_t packet_in(const char *dst)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(plane.pool), *got;
	struct ip_addr a = ip(dst);
	uint32_t index = route_to(dst);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	if (rte_pktmbuf_append(m, 100) == NULL)
		abort();
	memset(rte_pktmbuf_mtod(m, void *), 0, 100);
	if (a.family == IP_V4) {
		struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

		h->version_ihl = RTE_IPV4_VHL_DEF;
		h->total_length = RTE_BE16(100);
		h->time_to_live = 63;
		h->next_proto_id = IPPROTO_UDP;
		memcpy(&h->dst_addr, a.bytes, 4);
	} else {
		struct rte_ipv6_hdr *h = rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *);

		h->vtc_flow = RTE_BE32(0x60000000);
		h->payload_len = RTE_BE16(60);
		h->hop_limits = 63;
		memcpy(h->dst_addr, a.bytes, 16);
	}
	m->port = 9;
	*pkt_note(m) =
		(struct pkt_note){ .kind = adjacency_get(index)->type == ADJ_GLEAN ? PUNT_GLEAN
										   : PUNT_RESOLVE,
			.adjacency = index,
			.port = 9,
			.hash = 0x1234 };
	counter_add(&counter_blocks[0].received, 1);
	punt_send(&counter_blocks[0], m);
	while (punt_receive(&got, 1) == 1)
		forwarding_punted(got);
	return index;
}

/** Released packets for an adjacency among all that wait; all go. */
static inline unsigned released_for(uint32_t adjacency)
{
	struct rte_mbuf *m;
	unsigned n = 0;

	while ((m = take()) != NULL) {
		n += pkt_note(m)->kind == INJECT_ADJACENCY && pkt_note(m)->adjacency == adjacency;
		rte_pktmbuf_free(m);
	}
	return n;
}

static inline void pass(uint64_t ms)
{
	for (uint64_t end = plane.now_ms + ms; plane.now_ms < end;) {
		plane.now_ms += 100;
		forwarding_tick(plane.now_ms);
	}
}

static inline uint64_t dropped(enum drop_reason reason)
{
	struct counter_totals t;

	counters_sum(&t);
	return t.drops[reason];
}

#endif
