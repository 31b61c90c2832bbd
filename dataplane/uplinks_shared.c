/* SPDX-License-Identifier: Apache-2.0 */
/** Uplinks that are shared with the kernel: its addresses become the uplink's, and what Podlane has to do with is steered
 * to it: tunnels of its peers that end at these addresses, and its pods.
 *
 * What is new is steered before it is published, what is gone until after: a packet that comes a moment early meets tables
 * that do not know it and is dropped there, as the kernel would have.
 */
#include "dataplane/forwarding_state.h"

#include "config/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_ADDRESSES 16 /* of one uplink, as many as can be configured */
#define ROUTE_BUCKETS	 256u

/** A prefix that is routed through a pod: it is reached like the pod itself. */
struct pod_route {
	struct pod_route *next;
	struct ip_prefix prefix;
	bool added, removed; /* by the transaction */
};
static struct pod_route *pod_routes[ROUTE_BUCKETS];

/* --- the kernel's addresses ----------------------------------------------------------------------------------- */

/** Those that can be the end of a tunnel or on a subnet. */
static size_t useful_addresses(const struct uplink_state *u, struct ip_prefix out[KERNEL_ADDRESSES])
{
	size_t count, n = 0;
	const struct ip_prefix *items = u->port->ops->shared->addresses(u->port, &count);

	for (size_t i = 0; i < count && n < KERNEL_ADDRESSES; i++) {
		if (!ip_addr_is_link_local(&items[i].addr))
			out[n++] = items[i];
	}
	return n;
}

static bool kernel_has(const struct uplink_state *u, const struct ip_addr *address)
{
	size_t count;
	const struct ip_prefix *items = u->port->ops->shared->addresses(u->port, &count);

	for (size_t i = 0; i < count; i++) {
		if (ip_addr_equal(&items[i].addr, address))
			return true;
	}
	return false;
}

static bool listed(const struct prefix_list *list, const struct ip_prefix *prefix)
{
	for (size_t i = 0; i < list->count; i++) {
		if (ip_prefix_equal(&list->items[i], prefix))
			return true;
	}
	return false;
}

void uplink_shared_assign(
	struct uplink_state *u, const struct uplink *of, const struct uplink *without, bool on)
{
	const struct port_shared_ops *shared = u->port->ops->shared;
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; shared != NULL && shared->assign != NULL && i < of->addresses.count;
		i++) {
		const struct ip_prefix *p = &of->addresses.items[i];
		int ret = without != NULL && listed(&without->addresses, p)
				  ? 0
				  : shared->assign(u->port, p, on);

		if (ret < 0)
			LOG_WARNING("the kernel's interface does not take an address uplink=%s "
				    "address=%s error=\"%s\"",
				u->port->name, ip_prefix_format(p, text), strerror(-ret));
	}
}

int uplink_shared_open(struct uplink_state *u)
{
	const struct uplink *conf = &staged_future(&u->s)->uplink;
	struct ip_prefix items[KERNEL_ADDRESSES];
	char text[IP_TEXT_MAX];

	if (u->port->ops->shared == NULL)
		return 0;
	uplink_shared_assign(u, conf, NULL, true);
	for (size_t i = 0; u->port->ops->shared->assign == NULL && i < conf->addresses.count; i++) {
		if (!kernel_has(u, &conf->addresses.items[i].addr))
			LOG_WARNING("the interface does not have the uplink's address, so nobody "
				    "will find it there: add it, or "
				    "leave addresses out uplink=%s address=%s",
				u->port->name,
				ip_addr_format(&conf->addresses.items[i].addr, text));
	}
	if (conf->addresses.count > 0)
		return 0;
	u->kernel.count = useful_addresses(u, items);
	u->kernel.items = calloc(u->kernel.count + 1, sizeof(items[0]));
	if (u->kernel.items == NULL)
		return -ENOMEM;
	memcpy(u->kernel.items, items, u->kernel.count * sizeof(items[0]));
	if (u->kernel.count == 0)
		LOG_WARNING("the interface has no address yet: tunnels wait for one uplink=%s",
			u->port->name);
	return 0;
}

void uplink_shared_tick(struct uplink_state *u)
{
	struct ip_prefix items[KERNEL_ADDRESSES];
	size_t n;
	bool same;

	if (u->s.staged || u->s.obj == NULL || u->s.obj->uplink.addresses.count > 0)
		return;
	n = useful_addresses(u, items);
	same = n == u->kernel.count;
	for (size_t i = 0; i < n && same; i++)
		same = ip_prefix_equal(&items[i], &u->kernel.items[i]);
	if (!same && uplink_readdress(u, items, n))
		LOG_FROM(&u->port->log, LOG_LEVEL_INFO,
			"following the kernel's addresses uplink=%s addresses=%zu", u->port->name,
			n);
}

/* --- routes through pods -------------------------------------------------------------------------------------- */

static bool through_pod(const struct object *obj)
{
	for (size_t i = 0; obj != NULL && i < obj->route.via_count; i++) {
		if (obj->route.via[i].pod != NULL && obj->route.via[i].pod[0] != '\0')
			return true;
	}
	return false;
}

static struct pod_route **pod_route_at(const struct ip_prefix *prefix)
{
	uint32_t hash = prefix->len;
	struct pod_route **at;

	for (unsigned i = 0; i < sizeof(prefix->addr.bytes); i++)
		hash = hash * 31 + prefix->addr.bytes[i];
	at = &pod_routes[hash % ROUTE_BUCKETS];
	while (*at != NULL && !ip_prefix_equal(&(*at)->prefix, prefix))
		at = &(*at)->next;
	return at;
}

int steer_route_stage(const struct change *change)
{
	bool before = through_pod(change->before), after = through_pod(change->after);
	struct pod_route **at, *r;

	if (!before && !after)
		return 0;
	forwarding.txn->steering = true;
	at = pod_route_at(&(after ? change->after : change->before)->route.prefix);
	if (*at != NULL) {
		(*at)->removed = !after;
		return 0;
	}
	r = after ? calloc(1, sizeof(*r)) : NULL;
	if (after && r == NULL)
		return -ENOMEM;
	if (r != NULL) {
		r->prefix = change->after->route.prefix;
		r->added = true;
		*at = r;
	}
	return 0;
}

void steer_routes_end(bool commit)
{
	if (!forwarding.txn->steering)
		return;
	for (unsigned b = 0; b < ROUTE_BUCKETS; b++) {
		for (struct pod_route **at = &pod_routes[b]; *at != NULL;) {
			struct pod_route *r = *at;

			if (commit ? r->removed : r->added) {
				*at = r->next;
				free(r);
				continue;
			}
			r->added = r->removed = false;
			at = &r->next;
		}
	}
}

void steer_routes_fini(void)
{
	for (unsigned b = 0; b < ROUTE_BUCKETS; b++) {
		while (pod_routes[b] != NULL) {
			struct pod_route *r = pod_routes[b];

			pod_routes[b] = r->next;
			free(r);
		}
	}
}

/* --- what is wanted ------------------------------------------------------------------------------------------- */

static int want_prefix(struct steering *s, const struct ip_prefix *prefix)
{
	struct steer_item item = {
		.kind = STEER_ITEM_PREFIX, .len = prefix->len, .addr = prefix->addr
	};

	return steering_add(s, &item);
}

static int want_addresses(struct steering *s, enum steer_kind kind, const struct ip_addr *addr)
{
	struct steer_item item = { .kind = (uint8_t)kind, .addr = *addr };

	return steering_add(s, &item);
}

static int want_tunnels(struct steering *s, const struct uplink_state *u)
{
	uint16_t udp_ports[TUNNEL_PORTS_MAX];
	size_t n_peers = peers_underlays(NULL), n_ports = peers_udp_ports(udp_ports, NULL), n_own;
	const struct ip_prefix *own = uplink_addresses(u, &n_own);
	struct ip_addr *list;
	int ret = 0;

	if (n_peers == 0)
		return 0;
	list = calloc(n_peers, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	peers_underlays(list);
	for (size_t i = 0; i < n_peers && ret == 0; i++)
		ret = want_addresses(s, STEER_ITEM_PEER, &list[i]);
	free(list);
	for (size_t i = 0; i < n_ports && ret == 0; i++)
		ret = steering_add(
			s, &(struct steer_item){ .kind = STEER_ITEM_PORT, .port = udp_ports[i] });
	for (size_t i = 0; i < n_own && ret == 0; i++) {
		if (!ip_addr_is_link_local(&own[i].addr))
			ret = want_addresses(s, STEER_ITEM_LOCAL, &own[i].addr);
	}
	return ret;
}

static int want_pods(struct steering *s)
{
	const struct node *node = forwarding_node();
	struct pool_state *pool;
	int ret = 0;

	TAILQ_FOREACH (pool, &forwarding.pools, link) {
		const struct object *obj = staged_future(&pool->s);

		if (obj != NULL && ret == 0)
			ret = want_prefix(s, &obj->pool.cidr);
	}
	for (size_t i = 0; node != NULL && i < node->host_addresses.count && ret == 0; i++) {
		struct ip_prefix own = forwarding_host_prefix(&node->host_addresses.items[i]);

		ret = want_prefix(s, &own);
	}
	for (unsigned b = 0; b < ROUTE_BUCKETS; b++) {
		for (const struct pod_route *r = pod_routes[b]; r != NULL && ret == 0; r = r->next)
			ret = r->removed ? 0 : want_prefix(s, &r->prefix);
	}
	return ret;
}

static int wanted(const struct uplink_state *u, struct steering *s)
{
	int ret = want_pods(s);

	if (ret == 0)
		ret = want_tunnels(s, u);
	steering_sort(s);
	return ret;
}

/* --- telling the driver --------------------------------------------------------------------------------------- */

static int steer_more(struct uplink_state *u, const struct steering *want, struct error *err)
{
	struct steering more = { NULL, 0, 0 };
	int ret = steering_difference(want, &u->steered, &more);

	for (size_t i = 0; i < more.count && ret == 0; i++)
		ret = steering_add(&u->steered,
			&more.items
				 [i]); /* before it is done: what is not there is taken away easily */
	steering_sort(&u->steered);
	if (ret == 0 && more.count > 0)
		ret = u->port->ops->shared->steer(u->port, &more, true);
	if (ret < 0)
		error_set(err, -ret, "", "uplink %s: %s", u->port->name,
			ret == -ENOSPC ? "more peers, or pools and routes through pods, than the "
					 "XDP program's maps hold"
				       : "the XDP program's maps cannot be written");
	steering_free(&more);
	return ret;
}

int uplinks_steer_more(struct error *err)
{
	struct uplink_state *u;
	int ret = 0;

	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		struct steering want = { NULL, 0, 0 };

		if (u->port->ops->shared == NULL || staged_future(&u->s) == NULL || ret != 0)
			continue;
		ret = wanted(u, &want);
		if (ret < 0)
			error_set(err, -ret, "", "uplink %s: out of memory", u->port->name);
		else
			ret = steer_more(u, &want, err);
		steering_free(&want);
	}
	return ret;
}

void uplinks_steer_less(void)
{
	struct uplink_state *u;

	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		struct steering want = { NULL, 0, 0 }, less = { NULL, 0, 0 };

		if (u->port->ops->shared == NULL || staged_future(&u->s) == NULL)
			continue;
		/* Without memory too much is steered until the next change: to be dropped here instead of there. */
		if (wanted(u, &want) == 0 && steering_difference(&u->steered, &want, &less) == 0) {
			u->port->ops->shared->steer(u->port, &less, false);
			steering_free(&u->steered);
			u->steered = want;
		} else {
			steering_free(&want);
		}
		steering_free(&less);
	}
}
