/* SPDX-License-Identifier: Apache-2.0 */
/** Transactions, publication, punted packets and timers: see forwarding_state.h for who does what. */
#include "dataplane/forwarding_state.h"
#include "dataplane/conntrack.h"

#include "config/log.h"
#include "dataplane/generation.h"
#include "dataplane/punt.h"
#include "dataplane/rcu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_POLLS   40
#define DENY_POLLS   2000 /* 100 ms */
#define OPEN_POLL_US 50u

_Atomic(struct tables *) tables;
struct forwarding forwarding;

/* --- small things the parts share ----------------------------------------------------------------------------- */

struct ip_prefix forwarding_host_prefix(const struct ip_addr *addr)
{
	return (struct ip_prefix){ *addr, (uint8_t)ip_family_bits(addr->family) };
}

uint32_t forwarding_name_hash(const char *name, uint32_t seed)
{
	uint32_t hash = 2166136261u ^
			seed; /* FNV-1a, and a final mix: names differ in their last letters */

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	hash = (hash ^ hash >> 16) * 0x85ebca6bu;
	return hash ^ hash >> 13;
}

struct mac_addr forwarding_derived_mac(const char *kind, const char *name)
{
	uint32_t a = forwarding_name_hash(name, forwarding_name_hash(kind, 0)),
		 b = forwarding_name_hash(name, a);

	/* 02: locally administered, unicast. */
	return (struct mac_addr){ { 0x02, (uint8_t)b, (uint8_t)(a >> 24), (uint8_t)(a >> 16),
		(uint8_t)(a >> 8), (uint8_t)a } };
}

void forwarding_blame(struct error *err, const char *plural, const char *name)
{
	char field[sizeof(err->path)];

	if (err == NULL || err->path[0] == '\0' || strchr(err->path, '/') != NULL)
		return;
	memcpy(field, err->path, sizeof(field));
	snprintf(err->path, sizeof(err->path), "%s/%.60s/%.40s", plural, name, field);
}

bool staged_end(struct staged *s, bool commit)
{
	if (s->staged) {
		object_unref(commit ? s->obj : s->next);
		s->obj = commit ? s->next : s->obj;
		s->next = NULL;
		s->staged = false;
	}
	return s->obj != NULL;
}

void forwarding_poll(void)
{
	struct port *list[PORT_MAX];
	struct uplink_state *u;
	struct attachment *a;
	size_t n = 0;

	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		if (atomic_load_explicit(&u->port->forwarding, memory_order_relaxed))
			list[n++] = u->port;
	}
	TAILQ_FOREACH (a, &forwarding.attachments, link) {
		if (atomic_load_explicit(&a->port->forwarding, memory_order_relaxed))
			list[n++] = a->port;
	}
	if (forwarding.conf.poll_ports != NULL)
		forwarding.conf.poll_ports(list, n);
}

static void open_now(void *arg)
{
	struct port *port = arg;

	/* A port that closes is freed after this, so the pointer is good; it must stay closed though. */
	forwarding.opening--;
	if (port_get(port->id) == port)
		atomic_store_explicit(&port->forwarding, true, memory_order_release);
	if (forwarding.opening == 0) /* those of one commit come in a row: once for all */
		forwarding_poll();
}

void forwarding_open(struct port *port)
{
	forwarding.opening++;
	rcu_retire(port, open_now);
}

/* --- publication ---------------------------------------------------------------------------------------------- */

static void icmp_sources(const struct node *node, struct settings *s)
{
	const struct ip_addr *found[2] = { &node->gateway, &node->gateway6 };
	struct uplink_state *u;

	TAILQ_FOREACH_REVERSE(u, &forwarding.uplinks, uplink_list, link)
	{
		size_t count;
		const struct ip_prefix *items = uplink_addresses(u, &count);

		for (size_t i = count; i-- > 0;) {
			const struct ip_addr *a = &items[i].addr;

			if (!ip_addr_is_link_local(a))
				found[a->family == IP_V6] = a;
		}
	}
	memcpy(s->icmp_source4, found[0]->bytes, sizeof(s->icmp_source4));
	memcpy(s->icmp_source6, found[1]->bytes, sizeof(s->icmp_source6));
}

uint16_t forwarding_host_port(void)
{
	struct attachment *a;

	TAILQ_FOREACH (a, &forwarding.attachments, link) {
		if (a->host && staged_future(&a->s) != NULL)
			return a->port->id;
	}
	return PORT_NONE;
}

/** What of this node is the kernel's, and the way there. */
static void kernel_addresses(struct settings *s)
{
	struct uplink_state *u;

	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		size_t count;
		const struct ip_prefix *items = uplink_addresses(u, &count);

		for (size_t i = 0; u->port->ops->shared != NULL && i < count &&
				   s->n_kernel < SETTINGS_KERNEL_MAX;
			i++)
			s->kernel[s->n_kernel++] = items[i].addr;
	}
	s->kernel_adjacency[0] = host_adjacency(IP_V4);
	s->kernel_adjacency[1] = host_adjacency(IP_V6);
}

static struct settings make_settings(void)
{
	const struct node *node = forwarding_node();
	struct settings s = { .host_port = forwarding_host_port() };

	if (node == NULL)
		return s;
	memcpy(s.gateway4, node->gateway.bytes, sizeof(s.gateway4));
	memcpy(s.gateway6, node->gateway6.bytes, sizeof(s.gateway6));
	s.gateway_mac = node->gateway_mac;
	s.icmp_rate = node->icmp_rate;
	s.mss_clamp = node->mss_clamp;
	s.low_latency = node->latency == LATENCY_LOW;
	s.spin_us = node->spin_us;
	s.spin_max_us = node->spin_max_us;
	s.tcp_pickup = node->tcp_pickup;
	icmp_sources(node, &s);
	kernel_addresses(&s);
	return s;
}

/** Publish the RIB's edits (and other tables already in *next), then what they made untrue. */
static void publish(struct tables *next)
{
	struct tables *old = rcu_own(&tables);
	bool generation_due = neighbours_generation_due() || rib_edited();

	rib_seal(&next->fib4, &next->fib6);
	rcu_publish(&tables, next);
	rcu_retire(old, free);
	rib_published();
	if (generation_due)
		generation_commit();
	forwarding.token = rte_rcu_qsbr_start(rcu_domain);
}

/** Claims of neighbours found or lost since. */
static void sync_claims(void)
{
	struct tables *next;
	struct neighbour *n, *done[256];
	size_t count = 0;

	if (forwarding.txn != NULL)
		return;
	while (count < RTE_DIM(done) && (n = neighbours_claim_next()) != NULL) {
		struct ip_prefix own = forwarding_host_prefix(&n->address);
		int ret = n->claim_wanted ? rib_set(&own, RIB_NEIGHBOUR, n->adjacency, NULL)
					  : rib_clear(&own, RIB_NEIGHBOUR, n->adjacency);

		if (ret < 0)
			break; /* no memory: at the next tick */
		neighbours_claim_take(n);
		done[count++] = n;
	}
	if (count == 0) {
		if (neighbours_generation_due())
			generation_commit();
		return;
	}
	next = malloc(sizeof(*next));
	if (next == NULL) {
		rib_abort();
		for (size_t i = 0; i < count; i++)
			neighbours_claimed(done[i], false);
		return;
	}
	*next = *rcu_own(&tables);
	publish(next);
	for (size_t i = 0; i < count; i++)
		neighbours_claimed(done[i], true);
	forwarding.published_in_tick = true;
}

/** Workers have seen the last commit, and sent what they had taken before. */
static bool in_force(void)
{
	return rte_rcu_qsbr_check(rcu_domain, forwarding.token, false) == 1;
}

bool forwarding_settled(void)
{
	return forwarding.opening == 0 && forwarding.node.obj != NULL && in_force();
}

/* --- life ----------------------------------------------------------------------------------------------------- */

int forwarding_init(const struct forwarding_conf *conf, struct error *err)
{
	struct neighbour_conf neighbours = { .pool = conf->pool };
	struct tables *first = calloc(1, sizeof(*first));
	struct mac_addr no_mac = { { 0 } };

	memset(&forwarding, 0, sizeof(forwarding));
	forwarding.conf = *conf;
	forwarding.now_ms = 1; /* 0 means never */
	TAILQ_INIT(&forwarding.uplinks);
	TAILQ_INIT(&forwarding.pools);
	TAILQ_INIT(&forwarding.attachments);
	if (first != NULL)
		first->tunnels = tunnel_table_new(&no_mac, NULL, 0, NULL, 0, NULL, 0);
	if (first == NULL || first->tunnels == NULL || rib_init() < 0 ||
		paths_init(route_value_release) < 0 || neighbours_init(&neighbours) < 0 ||
		peers_init(conf->tunnel_types) < 0 || policies_init(conf->n_workers) < 0) {
		if (first != NULL)
			tunnel_table_free(first->tunnels);
		free(first);
		forwarding_fini(false);
		return error_set(err, ENOMEM, "", "out of memory for the forwarding tables");
	}
	first->settings = make_settings();
	rib_seal(&first->fib4, &first->fib6);
	rcu_publish(&tables, first);
	forwarding.token = rte_rcu_qsbr_start(rcu_domain);
	return 0;
}

void forwarding_fini(bool successor)
{
	struct tables *last;
	struct pool_state *pool;

	if (forwarding.txn != NULL)
		forwarding_abort(forwarding.txn);
	last = rcu_publish(&tables, NULL);
	attachments_fini(successor);
	uplinks_fini();
	steer_routes_fini();
	while ((pool = TAILQ_FIRST(&forwarding.pools)) != NULL) {
		TAILQ_REMOVE(&forwarding.pools, pool, link);
		object_unref(pool->s.obj);
		free(pool);
	}
	peers_fini();
	rcu_barrier();
	neighbours_fini();
	paths_fini();
	rib_fini();
	policies_fini();
	if (last != NULL)
		tunnel_table_free(last->tunnels);
	free(last);
	object_unref(forwarding.node.obj);
	forwarding.node.obj = NULL;
}

/* --- staging -------------------------------------------------------------------------------------------------- */

static int claim_gateways(const struct node *node, bool add)
{
	const struct ip_addr *gateways[2] = { &node->gateway, &node->gateway6 };
	int ret = 0;

	for (unsigned i = 0; i < 2 && ret == 0; i++) {
		struct ip_prefix own = forwarding_host_prefix(gateways[i]);

		if (gateways[i]->family == IP_NONE)
			continue;
		ret = add ? rib_set(&own, RIB_LOCAL, adjacency_local(), NULL)
			  : rib_clear(&own, RIB_LOCAL, adjacency_local());
	}
	return ret;
}

static bool gateways_equal(const struct node *a, const struct node *b)
{
	return ip_addr_equal(&a->gateway, &b->gateway) &&
	       ip_addr_equal(&a->gateway6, &b->gateway6) &&
	       memcmp(&a->gateway_mac, &b->gateway_mac, sizeof(a->gateway_mac)) == 0;
}

static int node_stage(const struct change *change, struct error *err)
{
	if (change->before != NULL && change->after != NULL && attachment_any() &&
		!gateways_equal(&change->before->node, &change->after->node))
		return error_set(err, EBUSY, "node/gateway",
			"node: gateway, gateway6 and gateway_mac cannot change while pods or the "
			"host port are attached, "
			"which have learned them: restart with the new ones");
	forwarding.txn->node = true;
	staged_begin(&forwarding.node, change->after);
	if ((change->before != NULL && claim_gateways(&change->before->node, false) < 0) ||
		(change->after != NULL && claim_gateways(&change->after->node, true) < 0))
		return error_set(err, ENOMEM, "", "node: out of memory");
	return 0;
}

static struct pool_state *pool_find(const char *name)
{
	struct pool_state *p;

	TAILQ_FOREACH (p, &forwarding.pools, link) {
		const struct object *obj = p->s.obj != NULL ? p->s.obj : p->s.next;

		if (strcmp(obj->name, name) == 0)
			return p;
	}
	return NULL;
}

static int pool_stage(const struct change *change, struct error *err)
{
	struct pool_state *p = change->before != NULL ? pool_find(change->before->name) : NULL;

	if (p == NULL) {
		p = calloc(1, sizeof(*p));
		if (p == NULL)
			return error_set(err, ENOMEM, "", "pool: out of memory");
		TAILQ_INSERT_TAIL(&forwarding.pools, p, link);
	}
	staged_begin(&p->s, change->after);
	if ((change->before != NULL &&
		    rib_set(&change->before->pool.cidr, RIB_POOL, FIB_NONE, NULL) < 0) ||
		(change->after != NULL && rib_set(&change->after->pool.cidr, RIB_POOL,
						  DROP_route_unreachable, NULL) < 0))
		return error_set(err, ENOMEM, "", "pool: out of memory for the routing table");
	return 0;
}

static void pools_end(bool commit)
{
	struct pool_state *p, *next;

	for (p = TAILQ_FIRST(&forwarding.pools); p != NULL; p = next) {
		next = TAILQ_NEXT(p, link);
		if (staged_end(&p->s, commit))
			continue;
		TAILQ_REMOVE(&forwarding.pools, p, link);
		free(p);
	}
}

static int stage(struct forwarding_txn *txn, const struct change *change, struct error *err)
{
	enum object_type type = change->after != NULL ? change->after->type : change->before->type;

	if (type != OBJECT_NODE && forwarding_node() == NULL)
		return error_set(
			err, EINVAL, "node", "node: there must be one before anything else");
	switch (type) {
	case OBJECT_NODE:
		return node_stage(change, err);
	case OBJECT_UPLINK:
		return uplink_stage(change, err);
	case OBJECT_POOL:
		txn->host_routes = true;
		return pool_stage(change, err);
	case OBJECT_PEER:
		txn->host_routes = true;
		return peer_stage(change, err);
	case OBJECT_POD:
		return pod_stage(change, err);
	case OBJECT_ROUTE:
		return route_stage(txn, change, err);
	case OBJECT_NAMESPACE:
	case OBJECT_SET:
	case OBJECT_TIER:
	case OBJECT_ENDPOINT:
	case OBJECT_POLICY:
		return 0; /* of dataplane/policy alone */
	case OBJECT_TYPE_COUNT:
		break;
	}
	return error_set(err, EINVAL, "", "unknown type of object");
}

/* --- transactions --------------------------------------------------------------------------------------------- */

static void configure_neighbours(void)
{
	const struct node *node = forwarding_node();
	struct neighbour_conf conf = { .pool = forwarding.conf.pool };

	if (node != NULL) {
		conf.gateway[0] = node->gateway;
		conf.gateway[1] = node->gateway6;
		conf.limit = node->neighbours;
	}
	neighbours_configure(&conf);
}

static bool steering_changes(const struct forwarding_txn *txn)
{
	return txn->node || txn->uplinks || txn->host_routes || txn->steering;
}

int forwarding_prepare(const struct changeset *set, const struct change *changes, size_t count,
	struct forwarding_txn **out, struct error *err)
{
	struct forwarding_txn *txn;
	int ret = 0;

	if (forwarding.txn != NULL)
		return error_set(err, EBUSY, "", "another transaction is being applied");
	sync_claims();
	txn = calloc(1, sizeof(*txn));
	if (txn == NULL)
		return error_set(err, ENOMEM, "", "out of memory for a transaction");
	forwarding.txn = txn;
	txn->tables = malloc(sizeof(*txn->tables));
	if (txn->tables == NULL)
		ret = error_set(err, ENOMEM, "", "out of memory for a transaction");
	for (size_t i = 0; i < count && ret == 0; i++) {
		ret = stage(txn, &changes[i], err);
		/* Next hops of this very transaction fall under its limit. */
		if (ret == 0 && txn->node)
			configure_neighbours();
	}
	if (ret == 0)
		ret = host_stage(err);
	if (ret == 0 && (txn->node || txn->uplinks || txn->peers))
		ret = peers_tunnel_table(&txn->tunnels, err);
	if (ret == 0)
		ret = policies_prepare(txn, set, changes, count, err);
	if (ret == 0 && steering_changes(txn))
		ret = uplinks_steer_more(err);
	if (ret < 0) {
		forwarding_abort(txn);
		return ret;
	}
	*out = txn;
	return 0;
}

static void txn_free(struct forwarding_txn *txn)
{
	free(txn->acquired.items);
	free(txn->released.items);
	free(txn);
	forwarding.txn = NULL;
}

void forwarding_abort(struct forwarding_txn *txn)
{
	/* The RIB first: nothing may name what goes below. */
	rib_abort();
	staged_end(&forwarding.node, false);
	configure_neighbours();
	pools_end(false);
	for (size_t i = 0; i < txn->acquired.count; i++)
		route_value_release(txn->acquired.items[i]);
	peers_abort();
	attachments_abort();
	policies_abort(txn);
	uplinks_abort();
	steer_routes_end(false);
	if (steering_changes(txn))
		uplinks_steer_less();
	tunnel_table_free(txn->tunnels);
	free(txn->tables);
	txn_free(txn);
}

void forwarding_commit(struct forwarding_txn *txn)
{
	struct tables *next = txn->tables;
	struct tunnel_table *old_tunnels;
	bool judged_anew;

	attachments_commit();
	if (txn->uplinks)
		uplinks_commit();
	/* Next hops of peers by the routes as they will be, so that nothing is lost between. */
	peers_commit(txn->node || txn->uplinks);
	*next = *rcu_own(&tables);
	next->policy = policies_table(txn);
	old_tunnels = txn->tunnels != NULL ? next->tunnels : NULL;
	next->tunnels = txn->tunnels != NULL ? txn->tunnels : next->tunnels;
	next->settings = make_settings();
	publish(next);
	rcu_retire(old_tunnels, tunnel_table_free);
	/* Workers begin no packet with the old tables any more. What only those named may go. */
	if (txn->ports)
		forwarding_poll();
	staged_end(&forwarding.node, true);
	pools_end(true);
	for (size_t i = 0; i < txn->released.count; i++)
		route_value_release(txn->released.items[i]);
	peers_finish();
	attachments_finish();
	uplinks_finish();
	steer_routes_end(true);
	if (steering_changes(txn))
		uplinks_steer_less();
	policies_commit(txn);
	judged_anew = txn->judged_anew;
	generation_commit(); /* of the zones those bumped, before any new port opens */
	forwarding.token = rte_rcu_qsbr_start(rcu_domain);
	txn_free(txn);
	sync_claims();
	rcu_reclaim();
	/* A grace period usually is microseconds. Waiting a little makes "added" mean "forwards" for who asked; if a worker is
	 * held up longer, its reclamation opens the ports later. It also makes "denied" mean that nothing goes out any more, and
	 * for that it is worth waiting longer. */
	for (unsigned i = 0; (i < OPEN_POLLS && forwarding.opening > 0) ||
			     (i < DENY_POLLS && judged_anew && !in_force());
		i++) {
		usleep(OPEN_POLL_US);
		rcu_reclaim();
	}
}

/* --- events --------------------------------------------------------------------------------------------------- */

static void hold(struct rte_mbuf *m)
{
	uint32_t index = pkt_note(m)->adjacency;
	const struct adjacency *adj = adjacency_get(index);
	struct neighbour *n = neighbour_of(index);

	if (n != NULL)
		neighbour_hold(n, m, forwarding.now_ms);
	else if (adj->type == ADJ_REWRITE || adj->type == ADJ_TUNNEL)
		inject_adjacency(m, index, false);
	else /* it went while the packet was on its way here */
		punt_drop(m, adj->type == ADJ_DROP ? (enum drop_reason)adj->drop
						   : DROP_neighbour_unresolved);
}

void forwarding_punted(struct rte_mbuf *m)
{
	switch ((enum punt_kind)pkt_note(m)->kind) {
	case PUNT_NEIGHBOUR:
		neighbours_receive(m, forwarding.now_ms);
		break;
	case PUNT_RESOLVE:
		hold(m);
		break;
	case PUNT_GLEAN:
		neighbours_glean(m, forwarding.now_ms);
		break;
	case PUNT_PATH_MTU:
		peers_path_mtu(m, forwarding.now_ms);
		break;
	}
	/* The first neighbour after a quiet time is routed at once; in a scan of a subnet, all those of a tick together,
	 * because every publication makes all flows check themselves. */
	if (!forwarding.published_in_tick)
		sync_claims();
}

void forwarding_tick(uint64_t now_ms)
{
	forwarding.now_ms = now_ms;
	forwarding.published_in_tick = false;
	uplinks_tick(now_ms);
	attachments_tick(now_ms);
	neighbours_tick(now_ms);
	conntrack_tick(now_ms);
	if (forwarding.txn == NULL)
		peers_tick(now_ms);
	policies_tick();
	sync_claims();
	rcu_reclaim();
}
