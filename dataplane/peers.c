/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/peers_state.h"

#include "config/log.h"
#include "dataplane/generation.h"
#include "dataplane/mtu.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct peers peers;

int peers_init(const struct tunnel_ops *const *types)
{
	memset(&peers, 0, sizeof(peers));
	TAILQ_INIT(&peers.list);
	peers.types = types;
	peers.by_adjacency = calloc(ADJACENCY_MAX, sizeof(struct peer_state *));
	return peers.by_adjacency != NULL ? 0 : -ENOMEM;
}

static uint32_t name_hash_of(const char *name)
{
	return forwarding_name_hash(name, 0) | 1;
}

static struct peer_state *find(const char *name)
{
	struct peer_state *p = peers.buckets[name_hash_of(name) % PEER_BUCKETS];

	while (p != NULL && strcmp(p->name, name) != 0)
		p = p->next_named;
	return p;
}

static const struct tunnel_ops *type_of(enum encap encap)
{
	for (size_t i = 0; peers.types != NULL && peers.types[i] != NULL; i++) {
		if (peers.types[i]->encap == encap)
			return peers.types[i];
	}
	return NULL;
}

static const char *encap_name(enum encap encap)
{
	const struct tunnel_ops *type = type_of(encap);

	return type != NULL ? type->name : encap == ENCAP_DIRECT ? "direct" : "no encapsulation";
}

/* --- the adjacency -------------------------------------------------------------------------------------------- */

uint16_t peer_underlay_mtu(
	const struct peer_state *p, const struct peer *conf, const struct port *port)
{
	uint32_t mtu = port->mtu;

	if (conf->mtu > 0)
		mtu = RTE_MIN(mtu, conf->mtu);
	return (uint16_t)(p->path_mtu > 0 ? RTE_MIN(mtu, (uint32_t)p->path_mtu) : mtu);
}

static int build(const struct peer_state *p, const struct peer *conf, const struct neighbour *n,
	const struct port *port, struct adjacency *adj, struct error *err)
{
	const struct node *node = forwarding_node();
	const struct tunnel_ops *type = type_of(p->used);
	struct tunnel_endpoint endpoint = { .local = p->local,
		.remote = p->remote,
		.src_mac = port->mac,
		.dst_mac = n->mac,
		.vtep_src = forwarding_vtep_mac(),
		.vtep_dst = conf->vtep_mac,
		.vni = conf->vni > 0 ? conf->vni : node->vxlan_vni,
		.udp_port = (uint16_t)(conf->port > 0 ? conf->port : node->vxlan_port),
		.port = port->id,
		.underlay_mtu = peer_underlay_mtu(p, conf, port),
		.udp6_checksum = node->vxlan_udp6_checksum };

	if (p->used == ENCAP_DIRECT) {
		adj->type = ADJ_REWRITE;
		adj->port = port->id;
		adj->mtu = endpoint.underlay_mtu;
		adj->header_len = RTE_ETHER_HDR_LEN;
		adj->next_hop = p->remote;
		memcpy(adj->header, n->mac.bytes, sizeof(n->mac.bytes));
		memcpy(adj->header + 6, port->mac.bytes, sizeof(port->mac.bytes));
		return 0;
	}
	if (type == NULL)
		return error_set(err, ENOTSUP, "", "its encapsulation is not available");
	return type->build(&endpoint, adj, err);
}

static struct adjacency dropping(enum drop_reason reason)
{
	return (struct adjacency){
		.type = ADJ_DROP, .drop = (uint8_t)reason, .port = PORT_NONE, .mtu = UINT16_MAX
	};
}

/** What the peer's adjacency is to be now. */
static struct adjacency wanted(struct peer_state *p, const struct peer *conf)
{
	const struct neighbour *n = p->next_hop.neighbour;
	const struct port *port = n != NULL ? port_get(n->port) : NULL;
	struct adjacency adj = dropping(DROP_tunnel_no_endpoint);
	struct error err = { 0 };

	if (port == NULL)
		return adj;
	if (n->state == NEIGHBOUR_FAILED)
		return dropping(DROP_neighbour_unresolved);
	memset(&adj, 0, sizeof(adj));
	if (!neighbour_complete(n)) {
		adj.type = ADJ_RESOLVING;
		adj.port = port->id;
		adj.next_hop = n->address;
		adj.mtu = p->used == ENCAP_DIRECT ? peer_underlay_mtu(p, conf, port)
						  : mtu_inner(p->used, p->remote.family,
							    peer_underlay_mtu(p, conf, port));
		return adj;
	}
	if (build(p, conf, n, port, &adj, &err) == 0) {
		p->complaint[0] = '\0';
		return adj;
	}
	if (strcmp(p->complaint, err.text) != 0)
		LOG_WARNING("peer cannot be reached peer=%s error=\"%s\"", p->name, err.text);
	memcpy(p->complaint, err.text, sizeof(p->complaint));
	return dropping(DROP_tunnel_no_endpoint);
}

/** For people: long names and addresses are cut. */
__attribute__((format(printf, 2, 3))) static void set_text(
	struct adjacency *adj, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(adj->text, sizeof(adj->text), fmt, args);
	va_end(args);
}

void peer_fill(struct peer_state *p)
{
	const struct peer *conf = peer_future(p);
	const struct neighbour *n = p->next_hop.neighbour;
	const struct port *port = n != NULL ? port_get(n->port) : NULL;
	struct adjacency adj;
	char text[IP_TEXT_MAX];
	bool grouped;

	if (conf == NULL)
		return;
	adj = wanted(p, conf);
	adj.tunnel_hash = p->hash;
	if (port != NULL)
		set_text(&adj, "%s to %s (%s) via %s", encap_name(p->used), p->name,
			ip_addr_format(&p->remote, text), port->name);
	else
		set_text(&adj, "%.40s, no way to its underlay", p->name);
	grouped = paths_usable(p->adjacency, adj.type != ADJ_DROP) && adj.type == ADJ_DROP;
	adjacency_update(p->adjacency, &adj, !grouped);
	if (grouped)
		generation_commit(); /* members of path groups: flows choose again among the rest */
	neighbour_bind(p->adjacency, p->next_hop.neighbour);
}

static void next_hop_changed(struct neighbour_user *user)
{
	peer_fill(RTE_PTR_SUB(user, offsetof(struct peer_state, next_hop)));
}

/* --- which way ------------------------------------------------------------------------------------------------ */

static void leave_next_hop(struct peer_state *p)
{
	struct neighbour *n = p->next_hop.neighbour;

	neighbour_bind(p->adjacency, NULL);
	if (n == NULL)
		return;
	neighbour_unwatch(&p->next_hop);
	neighbour_release(n, forwarding.now_ms);
}

/** The neighbour that packets for an underlay address go to, with a reference, or NULL when no uplink leads there. */
static struct neighbour *next_hop_of(const struct ip_addr *remote, uint32_t adjacency)
{
	const struct adjacency *adj = adjacency_get(adjacency);
	const struct port *port;
	struct neighbour *n;

	if (adj->type == ADJ_GLEAN)
		return neighbour_acquire(adj->port, remote, forwarding.now_ms);
	n = neighbour_of(adjacency);
	/* Not through another peer, nor through a pod. */
	if (n == NULL || n->adjacency != adjacency || n->fixed)
		return NULL;
	port = port_get(n->port);
	if (port == NULL)
		return NULL;
	neighbour_ref(n);
	return n;
}

static uint32_t route_of(const struct peer_state *p, const struct ip_addr *remote)
{
	return route_adjacency(rib_lookup(remote), (uint64_t)p->hash << 32);
}

static bool on_subnet(uint16_t port, const struct ip_addr *remote)
{
	const struct uplink_state *u = uplink_for(remote);

	return u != NULL && u->port->id == port;
}

/** Choose underlay address, next hop and encapsulation anew. */
static void resolve(struct peer_state *p, const struct peer *conf)
{
	struct neighbour *n = NULL;

	p->local = p->remote = (struct ip_addr){ .family = IP_NONE };
	p->used = ENCAP_AUTO;
	for (size_t i = 0; i < conf->underlay.count && n == NULL; i++) {
		const struct ip_addr *remote = &conf->underlay.items[i];

		p->route = route_of(p, remote);
		n = next_hop_of(remote, p->route);
		if (n == NULL)
			continue;
		p->local = uplink_source(n->port, remote);
		if (p->local.family == IP_NONE) {
			neighbour_release(n, forwarding.now_ms);
			n = NULL;
			continue;
		}
		p->remote = *remote;
		p->used = (enum encap)conf->encap;
		if (p->used == ENCAP_AUTO)
			p->used = on_subnet(n->port, remote) ? ENCAP_DIRECT : ENCAP_VXLAN;
	}
	if (n == p->next_hop.neighbour) {
		if (n != NULL)
			neighbour_release(n, forwarding.now_ms); /* it has its reference already */
	} else {
		leave_next_hop(p);
		if (n != NULL)
			neighbour_watch(n, &p->next_hop);
	}
	peer_fill(p);
}

/** True when another underlay address, or another way to the one in use, would be chosen now. */
static bool outdated(const struct peer_state *p, const struct peer *conf)
{
	for (size_t i = 0; i < conf->underlay.count; i++) {
		const struct ip_addr *remote = &conf->underlay.items[i];
		uint32_t route = route_of(p, remote);

		if (ip_addr_equal(remote, &p->remote))
			return route != p->route;
		if (adjacency_get(route)->type == ADJ_GLEAN || neighbour_of(route) != NULL)
			return true; /* may be usable, and is preferred */
	}
	return p->next_hop.neighbour != NULL;
}

static void refresh(bool all)
{
	struct peer_state *p;

	TAILQ_FOREACH (p, &peers.list, link) {
		const struct peer *conf = peer_future(p);

		if (conf != NULL && (all || p->s.staged || outdated(p, conf)))
			resolve(p, conf);
	}
}

/* --- transactions --------------------------------------------------------------------------------------------- */

static int claim(const struct peer_state *p, const struct object *obj, bool add)
{
	int ret = 0;

	for (size_t i = 0; obj != NULL && i < obj->peer.pod_cidrs.count && ret == 0; i++) {
		const struct ip_prefix *cidr = &obj->peer.pod_cidrs.items[i];

		ret = add ? rib_set(cidr, RIB_PEER, p->adjacency, NULL)
			  : rib_clear(cidr, RIB_PEER, p->adjacency);
	}
	return ret;
}

static struct peer_state *create(const struct object *obj, struct error *err)
{
	struct adjacency adj = dropping(DROP_tunnel_no_endpoint);
	struct peer_state *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		error_set(err, ENOMEM, "", "peer %s: out of memory", obj->name);
		return NULL;
	}
	snprintf(p->name, sizeof(p->name), "%s", obj->name);
	p->hash = name_hash_of(p->name);
	p->next_hop.changed = next_hop_changed;
	p->adjacency = adjacency_new(&adj);
	if (p->adjacency == ADJACENCY_NONE) {
		error_set(err, ENOSPC, "", "peer %s: all %d adjacencies are in use", obj->name,
			ADJACENCY_MAX);
		free(p);
		return NULL;
	}
	peers.by_adjacency[p->adjacency] = p;
	p->next_named = peers.buckets[p->hash % PEER_BUCKETS];
	peers.buckets[p->hash % PEER_BUCKETS] = p;
	TAILQ_INSERT_TAIL(&peers.list, p, link);
	return p;
}

static void destroy(struct peer_state *p)
{
	struct peer_state **at = &peers.buckets[p->hash % PEER_BUCKETS];

	while (*at != p)
		at = &(*at)->next_named;
	*at = p->next_named;
	TAILQ_REMOVE(&peers.list, p, link);
	leave_next_hop(p);
	peers.by_adjacency[p->adjacency] = NULL;
	adjacency_free(p->adjacency);
	free(p);
}

void peers_fini(void)
{
	struct peer_state *p;

	while (peers.by_adjacency != NULL && (p = TAILQ_FIRST(&peers.list)) != NULL) {
		object_unref(p->s.obj);
		destroy(p);
	}
	free(peers.by_adjacency);
	peers.by_adjacency = NULL;
}

int peer_stage(const struct change *change, struct error *err)
{
	const struct object *obj = change->after != NULL ? change->after : change->before;
	struct peer_state *p = find(obj->name);

	forwarding.txn->peers = true;
	if (p == NULL) /* one that went but that routes still name comes back to life below */
		p = change->before == NULL ? create(change->after, err) : NULL;
	if (p == NULL)
		return change->before == NULL
			       ? -ENOMEM
			       : error_set(err, ENOENT, "", "peer %s: is not known", obj->name);
	staged_begin(&p->s, change->after);
	if (claim(p, change->before, false) < 0 || claim(p, change->after, true) < 0)
		return error_set(
			err, ENOMEM, "", "peer %s: out of memory for the routing table", obj->name);
	return 0;
}

void peers_commit(bool all)
{
	refresh(all);
}

/** Nobody needs it any more, or routes do that must not go anywhere now. */
static void bury(struct peer_state *p)
{
	struct adjacency adj = dropping(DROP_no_route);

	if (p->refs == 0) {
		destroy(p);
		return;
	}
	leave_next_hop(p);
	set_text(&adj, "%.40s, which is no peer now", p->name);
	adjacency_update(p->adjacency, &adj, false);
	p->local = p->remote = (struct ip_addr){ .family = IP_NONE };
	p->used = ENCAP_AUTO;
}

static void end(bool commit)
{
	struct peer_state *p, *next;

	for (p = TAILQ_FIRST(&peers.list); p != NULL; p = next) {
		bool staged = p->s.staged;

		next = TAILQ_NEXT(p, link);
		if (!staged_end(&p->s, commit) && staged)
			bury(p);
	}
}

void peers_finish(void)
{
	end(true);
}

void peers_abort(void)
{
	end(false);
}

void peers_tick(uint64_t now_ms)
{
	struct peer_state *p;

	TAILQ_FOREACH (p, &peers.list, link) {
		if (p->path_mtu > 0 && now_ms >= p->path_mtu_until_ms) {
			p->path_mtu = 0;
			peer_fill(p);
		}
	}
	refresh(false);
}

uint32_t peer_acquire(const char *name)
{
	struct peer_state *p = find(name);

	if (p == NULL || peer_future(p) == NULL)
		return ADJACENCY_NONE;
	p->refs++;
	return p->adjacency;
}

bool peer_release(uint32_t adjacency)
{
	struct peer_state *p = peers.by_adjacency[adjacency];

	if (p == NULL)
		return false;
	if (--p->refs == 0 && p->s.obj == NULL && !p->s.staged)
		destroy(p);
	return true;
}

/* --- for others ----------------------------------------------------------------------------------------------- */

unsigned peers_encaps(enum encap *encaps, uint8_t *families, unsigned max)
{
	struct peer_state *p;
	unsigned n = 0;

	TAILQ_FOREACH (p, &peers.list, link) {
		const struct peer *conf = peer_future(p);

		for (size_t i = 0; conf != NULL && i < conf->underlay.count; i++) {
			unsigned at = 0;

			while (at < n && (encaps[at] != conf->encap ||
						 families[at] != conf->underlay.items[i].family))
				at++;
			if (at < n || n == max)
				continue;
			encaps[n] = (enum encap)conf->encap;
			families[n++] = conf->underlay.items[i].family;
		}
	}
	return n;
}

size_t peers_prefixes(struct ip_prefix *prefixes)
{
	struct peer_state *p;
	size_t n = 0;

	TAILQ_FOREACH (p, &peers.list, link) {
		const struct peer *conf = peer_future(p);

		for (size_t i = 0; conf != NULL && i < conf->pod_cidrs.count; i++, n++) {
			if (prefixes != NULL)
				prefixes[n] = conf->pod_cidrs.items[i];
		}
	}
	return n;
}

int forwarding_each_peer(int (*visit)(const struct peer_record *, void *), void *arg)
{
	struct peer_state *p;

	TAILQ_FOREACH (p, &peers.list, link) {
		const struct neighbour *n = p->next_hop.neighbour;
		const struct port *port = n != NULL ? port_get(n->port) : NULL;
		const struct adjacency *adj = adjacency_get(p->adjacency);
		struct peer_record record;
		int ret;

		if (p->s.obj == NULL)
			continue;
		record = (struct peer_record){ .name = p->name,
			.configured = (enum encap)p->s.obj->peer.encap,
			.used = p->used,
			.local = p->local,
			.remote = p->remote,
			.port = port != NULL ? port->name : "",
			.mtu = adj->type != ADJ_DROP ? adj->mtu : 0,
			.up = adj->type == ADJ_TUNNEL || adj->type == ADJ_REWRITE,
			.adjacency = p->adjacency };
		ret = visit(&record, arg);
		if (ret != 0)
			return ret;
	}
	return 0;
}
