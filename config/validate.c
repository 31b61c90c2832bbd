/* SPDX-License-Identifier: Apache-2.0 */
/* What single objects cannot know. The edits are added to the model's claims, every edited object is held against the
 * result, and the edits are taken out again. */
#include "config/conflict.h"
#include "config/model_state.h"
#include "config/policy_relations.h"
#include "config/search.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOCAL_ADDRESSES_MAX 32 /* of this node, that tunnels may end at */
#define VXLAN_PORTS_MAX	    6  /* besides 4789 and 8472 */

/* --- one function a type: an object that will be there ---------------------------------------------------------- */

static int check_rival(struct check *c)
{
	const struct object *rival = claims_rival(c->claims, c->obj), *blamed = c->obj;
	const struct object *other = rival;
	char owner[LABEL_MAX];

	if (rival == NULL)
		return 0;
	if (comes_later(rival, blamed)) {
		other = blamed;
		blamed = rival;
	}
	owner_text(other, owner, sizeof(owner));
	if (blamed->type == OBJECT_NODE)
		return object_error(blamed, c->err, "host_interface",
			"host_interface %s is also the device of %s: choose another name",
			blamed->node.host_interface, owner);
	if (blamed->type == OBJECT_UPLINK && blamed->uplink.driver == UPLINK_MEMIF)
		return object_error(blamed, c->err, "memif_id",
			"memif_id %u on %s is also that of %s: choose another memif_id or device",
			blamed->uplink.memif_id, blamed->uplink.device, owner);
	if (blamed->type == OBJECT_UPLINK)
		return object_error(blamed, c->err, "device",
			"device %s is also used by %s: give each its own device",
			blamed->uplink.device, owner);
	if (blamed->pod.kind == POD_MEMIF)
		return object_error(blamed, c->err, "memif_id",
			"memif_id %u on %s is also that of %s: choose another memif_id or socket",
			blamed->pod.memif_id, blamed->pod.socket, owner);
	if (blamed->pod.kind == POD_VHOST)
		return object_error(blamed, c->err, "socket",
			"socket %s is also that of %s: choose another path", blamed->pod.socket,
			owner);
	return object_error(blamed, c->err, "interface",
		"interface %s in %s is also that of %s: choose another interface or netns",
		blamed->pod.interface, blamed->pod.netns, owner);
}

static int check_ports(const struct check *c)
{
	if (c->claims->n_vxlan_ports <= VXLAN_PORTS_MAX)
		return 0;
	return object_error(c->obj, c->err, c->field,
		"more than %d VXLAN ports besides 4789 and 8472 are in use: share one among peers",
		VXLAN_PORTS_MAX);
}

static int check_node(struct check *c)
{
	const struct node *node = &c->obj->node;
	int ret = check_rival(c);

	c->field = "vxlan_port";
	if (ret == 0)
		ret = check_ports(c);
	c->field = "gateway";
	if (ret == 0)
		ret = check_address(c, &node->gateway, CLAIM_GATEWAY);
	c->field = "gateway6";
	if (ret == 0)
		ret = check_address(c, &node->gateway6, CLAIM_GATEWAY);
	c->field = "host_addresses";
	for (size_t i = 0; i < node->host_addresses.count && ret == 0; i++)
		ret = check_address(c, &node->host_addresses.items[i], CLAIM_HOST);
	return ret;
}

static int check_uplink(struct check *c)
{
	const struct prefix_list *list = &c->obj->uplink.addresses;
	int ret = check_rival(c);

	c->field = "addresses";
	for (size_t i = 0; i < list->count && ret == 0; i++)
		ret = check_address(c, &list->items[i].addr, CLAIM_UPLINK);
	if (ret == 0 && c->claims->local_addresses > LOCAL_ADDRESSES_MAX)
		ret = object_error(c->obj, c->err, c->field,
			"the uplinks would have %u addresses together: remove some, at most %d fit",
			c->claims->local_addresses, LOCAL_ADDRESSES_MAX);
	return ret;
}

static int check_pool(struct check *c)
{
	c->field = "cidr";
	return check_prefix(c, &c->obj->pool.cidr, CLAIM_POOL);
}

static int check_families(const struct check *c, const struct object *peer)
{
	unsigned families = peer_families(&peer->peer);
	unsigned have = (c->claims->uplink_addresses[0] > 0 ? 1u : 0) |
			(c->claims->uplink_addresses[1] > 0 ? 2u : 0);
	char text[IP_TEXT_MAX];

	if ((families & have) != 0)
		return 0;
	return object_error(peer, c->err, "underlay",
		"%s is IPv%u, but no uplink has an IPv%u address: add one to the addresses of an "
		"uplink",
		ip_addr_format(&peer->peer.underlay.items[0], text),
		peer->peer.underlay.items[0].family, peer->peer.underlay.items[0].family);
}

static int check_peer(struct check *c)
{
	const struct peer *peer = &c->obj->peer;
	int ret = 0;

	c->field = "port";
	if (peer->port != 0)
		ret = check_ports(c);
	c->field = "underlay";
	for (size_t i = 0; i < peer->underlay.count && ret == 0; i++)
		ret = check_address(c, &peer->underlay.items[i], CLAIM_UNDERLAY);
	c->field = c->element;
	for (size_t i = 0; i < peer->pod_cidrs.count && ret == 0; i++) {
		snprintf(c->element, sizeof(c->element), "pod_cidrs/%zu", i);
		ret = check_prefix(c, &peer->pod_cidrs.items[i], CLAIM_POD_CIDR);
	}
	return ret != 0 ? ret : check_families(c, c->obj);
}

/** worker_cpus is read at start, so only the pod can be wrong. */
static int check_worker(const struct check *c)
{
	const struct object *node = changeset_find(c->set, OBJECT_NODE, NULL);
	size_t workers =
		node != NULL && node->node.worker_cpus.count > 0 ? node->node.worker_cpus.count : 1;

	if (c->obj->pod.worker == UINT32_MAX || c->obj->pod.worker < workers)
		return 0;
	return object_error(c->obj, c->err, "worker",
		"there is no worker %u: the node has %zu, counted from 0; name one of them, or "
		"leave it out",
		c->obj->pod.worker, workers);
}

static int check_pod(struct check *c)
{
	const struct addr_list *list = &c->obj->pod.addresses;
	char text[IP_TEXT_MAX];
	int ret = check_rival(c);

	if (ret == 0)
		ret = check_worker(c);
	if (ret < 0)
		return ret;
	if (list->count == 0 && changeset_count(c->set, OBJECT_POOL) == 0)
		return object_error(c->obj, c->err, "addresses",
			"addresses is empty and there is no pool to take one from: add a pool");
	c->field = c->element;
	for (size_t i = 0; i < list->count; i++) {
		const struct ip_addr *addr = &list->items[i];

		snprintf(c->element, sizeof(c->element), "addresses/%zu", i);
		if (!covered(c->claims, addr, CLAIM_POOL, ""))
			return object_error(c->obj, c->err, c->field,
				"%s is in none of the node's pools: choose an address of a pool, "
				"or add a pool",
				ip_addr_format(addr, text));
		ret = check_address(c, addr, CLAIM_POD);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int check_reference(const struct check *c, size_t i, enum object_type type, const char *name)
{
	const char *what = object_schemas[type].name;
	char field[40];

	if (name[0] == '\0' || changeset_find(c->set, type, name) != NULL)
		return 0;
	snprintf(field, sizeof(field), "via/%zu/%s", i, what);
	return object_error(c->obj, c->err, field, "there is no %s %s: add it, or correct the name",
		what, name);
}

static int refuse_next_hop(
	const struct check *c, size_t i, const struct route_via *via, const struct claim *claim)
{
	char text[IP_TEXT_MAX], owner[LABEL_MAX], field[40];

	snprintf(field, sizeof(field), "via/%zu/address", i);
	ip_addr_format(&via->address, text);
	if (claim != NULL && claim->kind == CLAIM_POD)
		return object_error(c->obj, c->err, field,
			"%s is the address of a pod: write pod = \"%s\" instead", text,
			claim->owner->name);
	if (claim != NULL)
		return object_error(c->obj, c->err, field,
			"%s is %s %s, which is this node: write the address of another", text,
			claim_text(claim->kind), owner_text(claim->owner, owner, sizeof(owner)));
	if (via->uplink[0] != '\0')
		return object_error(c->obj, c->err, field,
			"%s is on no subnet of uplink %s: write an address there, or add the "
			"subnet to the uplink",
			text, via->uplink);
	return object_error(c->obj, c->err, field,
		"%s is on no uplink's subnet: write an address there, or add the subnet to an "
		"uplink",
		text);
}

/** Subnets of an uplink without addresses here are what the kernel says, later. */
static bool may_be_kernel_subnet(const struct check *c, const char *uplink)
{
	const struct object *named =
		uplink[0] != '\0' ? changeset_find(c->set, OBJECT_UPLINK, uplink) : NULL;

	return c->claims->kernel_uplinks > 0 &&
	       (named == NULL || named->uplink.addresses.count == 0);
}

static int check_next_hop(const struct check *c, size_t i, const struct route_via *via)
{
	struct ip_prefix prefix = { via->address, (uint8_t)ip_family_bits(via->address.family) };

	if (via->address.family == IP_NONE)
		return 0;
	if (ip_addr_is_link_local(&via->address) && via->address.family == IP_V6)
		return 0;
	for (const struct claim *claim = prefix_map_get(&c->claims->map, &prefix); claim != NULL;
		claim = claim->next) {
		if (claim->kind == CLAIM_POD ||
			(claim->kind >= CLAIM_UPLINK && claim->kind <= CLAIM_GATEWAY))
			return refuse_next_hop(c, i, via, claim);
	}
	return covered(c->claims, &via->address, CLAIM_SUBNET, via->uplink) ||
			       may_be_kernel_subnet(c, via->uplink)
		       ? 0
		       : refuse_next_hop(c, i, via, NULL);
}

/* What a host route leads elsewhere must not be here. */
static int check_route_target(const struct check *c, const struct ip_prefix *prefix)
{
	char text[PREFIX_TEXT_MAX], owner[LABEL_MAX];

	if (prefix->len != ip_family_bits(prefix->addr.family))
		return 0;
	for (const struct claim *claim = prefix_map_get(&c->claims->map, prefix); claim != NULL;
		claim = claim->next) {
		bool here = claim->kind == CLAIM_POD ||
			    (claim->kind >= CLAIM_UPLINK && claim->kind <= CLAIM_GATEWAY);

		if (here)
			return object_error(c->obj, c->err, "prefix",
				"%s is %s %s, which is here: remove the route",
				ip_addr_format(&prefix->addr, text), claim_text(claim->kind),
				owner_text(claim->owner, owner, sizeof(owner)));
	}
	return 0;
}

static int check_route(struct check *c)
{
	const struct route *route = &c->obj->route;
	int ret = check_route_target(c, &route->prefix);

	for (size_t i = 0; i < route->via_count && ret == 0; i++) {
		const struct route_via *via = &route->via[i];

		ret = check_reference(c, i, OBJECT_PEER, via->peer);
		if (ret == 0)
			ret = check_reference(c, i, OBJECT_UPLINK, via->uplink);
		if (ret == 0)
			ret = check_reference(c, i, OBJECT_POD, via->pod);
		if (ret == 0)
			ret = check_next_hop(c, i, via);
	}
	return ret;
}

/* --- one function a type: an object that goes or changes -------------------------------------------------------- */

static bool route_names(const struct search *search, const struct object *obj)
{
	for (size_t i = 0; i < obj->route.via_count; i++) {
		const struct route_via *via = &obj->route.via[i];
		const char *name = search->type == OBJECT_PEER	? via->peer
				   : search->type == OBJECT_POD ? via->pod
								: via->uplink;

		if (strcmp(name, search->what) == 0)
			return true;
	}
	return false;
}

static bool route_uses(const struct search *search, const struct object *obj)
{
	for (size_t i = 0; i < obj->route.via_count; i++) {
		if (ip_addr_equal(&obj->route.via[i].address, search->what))
			return true;
	}
	return false;
}

static bool peer_stranded(const struct search *search, const struct object *obj)
{
	return (peer_families(&obj->peer) & *(const unsigned *)search->what) == 0;
}

static int check_unreferenced(const struct check *c)
{
	struct search search = {
		.set = c->set, .match = route_names, .what = c->obj->name, .type = c->obj->type
	};
	const struct object *route;

	if (claims_references(c->claims, c->obj->type, c->obj->name) == 0)
		return 0;
	route = search_changeset(&search, OBJECT_ROUTE);
	return object_error(c->obj, c->err, NULL,
		"route %s goes via this %s: delete or change the route first",
		route != NULL ? route->name : "?", object_schemas[c->obj->type].name);
}

static int visit_next_hop(const struct ip_prefix *at, const struct claim *claim, void *arg)
{
	const struct check *c = arg;
	struct search search = { .set = c->set, .match = route_uses, .what = &at->addr };
	const struct object *route;
	char text[IP_TEXT_MAX];

	if (claim->kind != CLAIM_NEXT_HOP ||
		covered(c->claims, &at->addr, CLAIM_SUBNET, claim->uplink) ||
		may_be_kernel_subnet(c, claim->uplink))
		return 0;
	route = search_changeset(&search, OBJECT_ROUTE);
	return object_error(c->obj, c->err, "addresses",
		"route %s has the next hop %s on this uplink's subnet: delete or change the route "
		"first",
		route != NULL ? route->name : "?", ip_addr_format(&at->addr, text));
}

static int check_uplink_gone(struct check *c, bool removed)
{
	const struct prefix_list *list = &c->obj->uplink.addresses;
	unsigned have = (c->claims->uplink_addresses[0] > 0 ? 1u : 0) |
			(c->claims->uplink_addresses[1] > 0 ? 2u : 0);
	int ret = removed ? check_unreferenced(c) : 0;

	for (size_t i = 0; i < list->count && ret == 0; i++) {
		struct ip_prefix subnet = ip_prefix_canonical(&list->items[i]);

		ret = prefix_map_below(&c->claims->map, &subnet, visit_next_hop, c);
	}
	for (unsigned families = 1; families < 4 && ret == 0; families++) {
		struct search search = { .set = c->set, .match = peer_stranded, .what = &have };
		const struct object *peer;

		if (c->claims->peers[families] == 0 || (families & have) != 0)
			continue;
		peer = search_changeset(&search, OBJECT_PEER);
		ret = object_error(c->obj, c->err, "addresses",
			"peer %s is reached over IPv%u, and this is the last uplink with such an "
			"address: change the peer first",
			peer != NULL ? peer->name : "?", families == 2 ? 6 : 4);
	}
	return ret;
}

static int visit_stray_pod(const struct ip_prefix *at, const struct claim *claim, void *arg)
{
	const struct check *c = arg;
	char text[IP_TEXT_MAX];

	if (claim->kind != CLAIM_POD || covered(c->claims, &at->addr, CLAIM_POOL, ""))
		return 0;
	return object_error(c->obj, c->err, "cidr",
		"pod %s has the address %s in this pool: delete the pod first", claim->owner->name,
		ip_addr_format(&at->addr, text));
}

static bool pod_without_address(const struct search *search, const struct object *obj)
{
	(void)search;
	return obj->pod.addresses.count == 0;
}

static int check_pool_gone(struct check *c)
{
	struct search search = { .set = c->set, .match = pod_without_address };
	const struct object *pod;

	if (c->claims->pods_without_address > 0 && changeset_count(c->set, OBJECT_POOL) == 0) {
		pod = search_changeset(&search, OBJECT_POD);
		return object_error(c->obj, c->err, NULL,
			"pod %s waits for an address of the last pool: delete the pod first",
			pod != NULL ? pod->name : "?");
	}
	return prefix_map_below(&c->claims->map, &c->obj->pool.cidr, visit_stray_pod, c);
}

static int check_gone(struct check *c, bool removed)
{
	switch (c->obj->type) {
	case OBJECT_UPLINK:
		return check_uplink_gone(c, removed);
	case OBJECT_POOL:
		return check_pool_gone(c);
	case OBJECT_PEER:
	case OBJECT_POD:
		return removed ? check_unreferenced(c) : 0;
	case OBJECT_TIER:
	case OBJECT_SET:
		return removed ? check_policy_unreferenced(c) : 0;
	default:
		return 0;
	}
}

/* --- the whole set -------------------------------------------------------------------------------------------- */

/* A node is there, one, and keeps what is read once. */
static int check_one_node(const struct changeset *set, struct error *err)
{
	const struct object_schema *schema = &object_schemas[OBJECT_NODE];
	const struct object *before = model_find(changeset_base(set), OBJECT_NODE, NULL);
	const struct object *after = changeset_find(set, OBJECT_NODE, NULL);
	size_t count = changeset_count(set, OBJECT_NODE);

	if (count == 0 && before != NULL)
		return object_error(before, err, NULL,
			"the node itself cannot be deleted: change its fields instead");
	if (count == 0)
		return error_set(err, EINVAL, "node",
			"the node has no name: add node: { name = \"node-a\"; };");
	if (before == NULL)
		return count == 1 ? 0
				  : object_error(after, err, NULL,
					    "there is more than one node: keep this node only");
	if (count > 1)
		return object_error(after, err, "name",
			"name is read at start: restart podlaned to rename %s", before->name);
	for (size_t i = 0; before != after && i < schema->field_count; i++) {
		const struct field *field = &schema->fields[i];

		if ((field->flags & FIELD_START) &&
			!field_equal(field, &before->node, &after->node))
			return object_error(after, err, field->name,
				"%s is read at start: put it into the file and restart podlaned",
				field->name);
	}
	return 0;
}

static int check_change(const struct changeset *set, const struct change *change, struct error *err)
{
	static int (*const check_there[OBJECT_TYPE_COUNT])(struct check *) = {
		[OBJECT_NODE] = check_node,
		[OBJECT_UPLINK] = check_uplink,
		[OBJECT_POOL] = check_pool,
		[OBJECT_PEER] = check_peer,
		[OBJECT_POD] = check_pod,
		[OBJECT_ENDPOINT] = check_endpoint,
		[OBJECT_POLICY] = check_policy,
		[OBJECT_ROUTE] = check_route,
	};
	struct check c = {
		.set = set, .claims = changeset_base(set)->claims, .obj = change->after, .err = err
	};
	int ret = 0;

	if (change->after != NULL && check_there[change->after->type] != NULL)
		ret = check_there[change->after->type](&c);
	if (ret == 0 && change->before != NULL) {
		/* Blame what is left of it: its file and line are the ones to edit. */
		c.obj = change->before;
		ret = check_gone(&c, change->after == NULL);
	}
	return ret;
}

int changeset_validate(const struct changeset *set, struct error *err)
{
	struct claims *claims = changeset_base(set)->claims;
	size_t count;
	const struct change *changes = changeset_changes(set, &count);
	int ret = check_one_node(set, err);

	if (ret < 0)
		return ret;
	for (size_t i = 0; i < count; i++) {
		if (changes[i].before != NULL)
			claims_remove(claims, changes[i].before);
		if (changes[i].after != NULL)
			claims_add(claims, changes[i].after);
	}
	/* Backwards: of two objects at odds, the dependent or later one is to blame. */
	for (size_t i = count; i-- > 0 && ret == 0;)
		ret = check_change(set, &changes[i], err);
	for (size_t i = 0; i < count; i++) {
		if (changes[i].after != NULL)
			claims_remove(claims, changes[i].after);
		if (changes[i].before != NULL)
			claims_add(claims, changes[i].before);
	}
	return ret;
}
