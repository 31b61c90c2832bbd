/* SPDX-License-Identifier: Apache-2.0 */
/** Route objects: from next hops by name or address to the value the FIB holds. A value holds one reference: to the owner of
 * its adjacency (neighbour, peer, pod) or to its path group, which holds those of its members.
 */
#include "dataplane/forwarding_state.h"

#include <errno.h>
#include <stdlib.h>

void route_value_release(uint32_t value)
{
	struct neighbour *n;

	if (value & PATHS_FLAG) {
		paths_release(value);
		return;
	}
	if (value < DROP_REASON_COUNT || peer_release(value))
		return;
	n = neighbour_of(value);
	if (n != NULL)
		neighbour_release(n, forwarding.now_ms);
}

static int list_reserve(struct value_list *list)
{
	size_t room = list->room > 0 ? 2 * list->room : 256;
	uint32_t *items;

	if (list->count < list->room)
		return 0;
	items = realloc(list->items, room * sizeof(*items));
	if (items == NULL)
		return -ENOMEM;
	list->items = items;
	list->room = room;
	return 0;
}

static int via_address(const struct object *route, const struct route_via *via,
	struct neighbour **out, struct error *err)
{
	const bool named = via->uplink != NULL && via->uplink[0] != '\0';
	struct uplink_state *u = named ? uplink_find(via->uplink) : uplink_for(&via->address);
	char text[IP_TEXT_MAX];

	ip_addr_format(&via->address, text);
	if (u == NULL || staged_future(&u->s) == NULL)
		return error_set(err, EINVAL, "",
			"route %s: next hop %s is on no uplink's subnet: name its uplink, or give "
			"an uplink an address "
			"of that subnet",
			route->name, text);
	if (rib_get(&(struct ip_prefix){ via->address,
			    (uint8_t)ip_family_bits(via->address.family) },
		    RIB_LOCAL) != FIB_NONE)
		return error_set(err, EINVAL, "",
			"route %s: next hop %s is this node's own or a broadcast address",
			route->name, text);
	*out = neighbour_acquire(u->port->id, &via->address, forwarding.now_ms);
	if (*out == NULL)
		return error_set(err, ENOSPC, "",
			"route %s: the neighbour table is full: raise neighbours of the node",
			route->name);
	return 0;
}

/** One next hop with a reference. */
static int via_adjacency(
	const struct object *route, const struct route_via *via, uint32_t *out, struct error *err)
{
	struct neighbour *n;
	int ret;

	if (via->peer != NULL && via->peer[0] != '\0') {
		*out = peer_acquire(via->peer);
		if (*out == ADJACENCY_NONE)
			return error_set(err, EINVAL, "", "route %s: there is no peer %s",
				route->name, via->peer);
		return 0;
	}
	if (via->pod != NULL && via->pod[0] != '\0') {
		n = pod_next_hop(via->pod, route->route.prefix.addr.family);
		if (n == NULL)
			return error_set(err, EINVAL, "",
				"route %s: there is no pod %s with an address of that family",
				route->name, via->pod);
		neighbour_ref(n);
		*out = n->adjacency;
		return 0;
	}
	if (via->address.family == IP_NONE)
		return error_set(err, EINVAL, "",
			"route %s: the next hop needs an address, a peer or a pod", route->name);
	ret = via_address(route, via, &n, err);
	if (ret == 0)
		*out = n->adjacency;
	return ret;
}

/** Equal next hops are one with the sum of their weights. */
static void merge(struct path_member *members, unsigned *n, uint32_t adjacency, uint32_t weight)
{
	for (unsigned i = 0; i < *n; i++) {
		if (members[i].adjacency != adjacency)
			continue;
		members[i].weight += weight;
		route_value_release(adjacency);
		return;
	}
	members[(*n)++] = (struct path_member){ adjacency, weight };
}

static int forward_value(const struct object *route, uint32_t *value, struct error *err)
{
	struct path_member members[PATH_MEMBERS_MAX];
	unsigned n = 0;
	int ret = 0;

	if (route->route.via_count == 0 || route->route.via_count > PATH_MEMBERS_MAX)
		return error_set(err, EINVAL, "", "route %s: 1 to %d next hops are possible",
			route->name, PATH_MEMBERS_MAX);
	for (size_t i = 0; i < route->route.via_count && ret == 0; i++) {
		const struct route_via *via = &route->route.via[i];
		uint32_t adjacency;

		ret = via_adjacency(route, via, &adjacency, err);
		if (ret == 0)
			merge(members, &n, adjacency, via->weight > 0 ? via->weight : 1);
	}
	if (ret == 0 && n == 1) {
		*value = members[0].adjacency;
		return 0;
	}
	if (ret == 0) {
		ret = paths_acquire(members, n, value);
		if (ret == 1)
			return 0;
		if (ret < 0)
			error_set(err, -ret, "", "route %s: all %d groups of next hops are in use",
				route->name, PATHS_MAX);
	}
	/* A group that was there has its own references. */
	for (unsigned i = 0; i < n; i++)
		route_value_release(members[i].adjacency);
	return ret;
}

static int route_value(const struct object *route, uint32_t *value, struct error *err)
{
	switch ((enum route_action)route->route.action) {
	case ROUTE_FORWARD:
		return forward_value(route, value, err);
	case ROUTE_BLACKHOLE:
		*value = DROP_route_blackhole;
		return 0;
	case ROUTE_UNREACHABLE:
		*value = DROP_route_unreachable;
		return 0;
	case ROUTE_PROHIBIT:
		*value = DROP_route_prohibit;
		return 0;
	}
	return error_set(err, EINVAL, "", "route %s: unknown action", route->name);
}

int route_stage(struct forwarding_txn *txn, const struct change *change, struct error *err)
{
	const struct object *route = change->after != NULL ? change->after : change->before;
	uint32_t value = FIB_NONE, old;
	int ret;

	if (list_reserve(&txn->acquired) < 0 || list_reserve(&txn->released) < 0 ||
		steer_route_stage(change) < 0)
		return error_set(err, ENOMEM, "", "route %s: out of memory", route->name);
	if (change->after != NULL) {
		ret = route_value(route, &value, err);
		if (ret < 0)
			return ret;
		txn->acquired.items[txn->acquired.count++] = value;
	}
	if (rib_set(&route->route.prefix, RIB_ROUTE, value, &old) < 0)
		return error_set(err, ENOMEM, "", "route %s: out of memory for the routing table",
			route->name);
	if (old != FIB_NONE)
		txn->released.items[txn->released.count++] = old;
	return 0;
}
