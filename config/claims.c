/* SPDX-License-Identifier: Apache-2.0 */
#include "config/claims.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- text keys ------------------------------------------------------------------------------------------------ */

static uint32_t key_find(
	const struct key_table *table, const char *key, uint32_t hash, const struct object *owner)
{
	uint32_t cursor = 0, at;

	while ((at = name_index_next(&table->index, hash, &cursor)) != NAME_INDEX_NONE) {
		if (table->entries[at].owner == owner && strcmp(table->entries[at].key, key) == 0)
			return at;
	}
	return NAME_INDEX_NONE;
}

static void key_add(struct key_table *table, const char *key, const struct object *owner)
{
	uint32_t hash = name_hash(key, 0), at = key_find(table, key, hash, owner);

	if (at != NAME_INDEX_NONE) {
		table->entries[at].count++;
		return;
	}
	if (table->free != 0) {
		at = table->free - 1;
		table->free = table->entries[at].next_free;
	} else {
		if (table->used == table->room) {
			table->room = table->room == 0 ? 16 : table->room * 2;
			table->entries =
				must_realloc(table->entries, table->room * sizeof(*table->entries));
		}
		at = table->used++;
	}
	if (name_index_reserve(&table->index, 1) < 0)
		out_of_memory(0);
	table->entries[at] = (struct key_entry){ must_copy(key), owner, 1, 0 };
	name_index_add(&table->index, hash, at);
}

static void key_remove(struct key_table *table, const char *key, const struct object *owner)
{
	uint32_t hash = name_hash(key, 0), at = key_find(table, key, hash, owner);

	if (--table->entries[at].count > 0)
		return;
	name_index_remove(&table->index, hash, at);
	free(table->entries[at].key);
	table->entries[at] = (struct key_entry){ .next_free = table->free };
	table->free = at + 1;
}

static void key_table_free(struct key_table *table)
{
	for (uint32_t i = 0; i < table->used; i++)
		free(table->entries[i].key);
	free(table->entries);
	name_index_free(&table->index);
	*table = (struct key_table){ 0 };
}

/* "interface in a namespace", the same text for the same namespace however it is written. */
static void netns_key(char *key, const char *netns, const char *interface)
{
	static const char old[] = "/var/run/", place[] = "/run/";
	const char *base = "";

	if (strncmp(netns, old, sizeof(old) - 1) == 0) {
		netns += sizeof(old) - 1;
		base = place;
	} else if (netns[0] != '\0' && netns[0] != '/') {
		base = "/run/netns/";
	}
	snprintf(key, CLAIM_KEY_MAX, "interface %s %s%s", interface, base, netns);
}

/* Each role of an interface on a memif socket can be had once; both of them together are a loop of our own. */
static void memif_key(char *key, uint32_t role, uint32_t id, const char *path)
{
	snprintf(key, CLAIM_KEY_MAX, "memif %s %u %s", role == MEMIF_CLIENT ? "client" : "server",
		id, path);
}

/* The one thing outside Podlane that an object takes for itself. @return false when there is none. */
static bool outside_key(const struct object *obj, char *key)
{
	switch (obj->type) {
	case OBJECT_NODE:
		if (obj->node.host_interface[0] == '\0')
			return false;
		netns_key(key, "", obj->node.host_interface);
		return true;
	case OBJECT_UPLINK:
		if (obj->uplink.driver == UPLINK_AF_PACKET || obj->uplink.driver == UPLINK_AF_XDP)
			netns_key(key, "", obj->uplink.device);
		else if (obj->uplink.driver == UPLINK_MEMIF)
			memif_key(key, obj->uplink.role, obj->uplink.memif_id, obj->uplink.device);
		else
			snprintf(key, CLAIM_KEY_MAX, "device %s", obj->uplink.device);
		return true;
	case OBJECT_POD:
		if (obj->pod.kind == POD_MEMIF)
			memif_key(key, obj->pod.role, obj->pod.memif_id, obj->pod.socket);
		else if (obj->pod.kind == POD_VHOST)
			snprintf(key, CLAIM_KEY_MAX, "vhost %s", obj->pod.socket);
		else
			netns_key(key, obj->pod.netns, obj->pod.interface);
		return true;
	default:
		return false;
	}
}

const struct object *claims_rival(const struct claims *claims, const struct object *obj)
{
	const struct key_table *table = &claims->keys;
	char key[CLAIM_KEY_MAX];
	uint32_t cursor = 0, at, hash;

	if (!outside_key(obj, key))
		return NULL;
	hash = name_hash(key, 0);
	while ((at = name_index_next(&table->index, hash, &cursor)) != NAME_INDEX_NONE) {
		const struct key_entry *entry = &table->entries[at];

		if (entry->owner != NULL && entry->owner != obj && strcmp(entry->key, key) == 0)
			return entry->owner;
	}
	return NULL;
}

static void reference_key(char *key, enum object_type type, const char *name)
{
	key[0] = 'r';
	key[1] = (char)('0' + type);
	snprintf(key + 2, CLAIM_KEY_MAX - 2, "%s", name);
}

uint32_t claims_references(const struct claims *claims, enum object_type type, const char *name)
{
	char key[CLAIM_KEY_MAX];
	uint32_t at;

	reference_key(key, type, name);
	at = key_find(&claims->keys, key, name_hash(key, 0), NULL);
	return at != NAME_INDEX_NONE ? claims->keys.entries[at].count : 0;
}

/* --- prefixes ------------------------------------------------------------------------------------------------- */

/* The two directions of an edit share every function below. */
static void claim_prefix(struct claims *claims, const struct ip_prefix *prefix,
	enum claim_kind kind, const struct object *owner, bool add)
{
	struct claim *claim;

	if (add) {
		prefix_map_add(&claims->map, prefix, kind, owner);
		return;
	}
	claim = prefix_map_get(&claims->map, prefix);
	while (claim->kind != kind || claim->owner != owner)
		claim = claim->next;
	prefix_map_remove(&claims->map, prefix, claim);
}

static void claim_address(struct claims *claims, const struct ip_addr *addr, enum claim_kind kind,
	const struct object *owner, bool add)
{
	struct ip_prefix prefix = { *addr, (uint8_t)ip_family_bits(addr->family) };

	if (addr->family != IP_NONE)
		claim_prefix(claims, &prefix, kind, owner, add);
}

static void claim_next_hop(struct claims *claims, const struct route_via *via, bool add)
{
	struct ip_prefix prefix = { via->address, (uint8_t)ip_family_bits(via->address.family) };
	struct claim *claim = prefix_map_get(&claims->map, &prefix);

	while (claim != NULL &&
		(claim->kind != CLAIM_NEXT_HOP || strcmp(claim->uplink, via->uplink) != 0))
		claim = claim->next;
	if (claim == NULL) {
		claim = prefix_map_add(&claims->map, &prefix, CLAIM_NEXT_HOP, NULL);
		claim->uplink = must_copy(via->uplink);
	}
	claim->count += add ? 1 : UINT32_MAX;
	if (claim->count == 0)
		prefix_map_remove(&claims->map, &prefix, claim);
}

static void claim_reference(
	struct claims *claims, enum object_type type, const char *name, bool add)
{
	char key[CLAIM_KEY_MAX];

	if (name[0] == '\0')
		return;
	reference_key(key, type, name);
	(add ? key_add : key_remove)(&claims->keys, key, NULL);
}

/* --- objects -------------------------------------------------------------------------------------------------- */

unsigned peer_families(const struct peer *peer)
{
	unsigned families = 0;

	for (size_t i = 0; i < peer->underlay.count; i++)
		families |= peer->underlay.items[i].family == IP_V4 ? 1u : 2u;
	return families;
}

static void claim_vxlan_port(struct claims *claims, uint32_t port, bool add)
{
	uint32_t i = 0;

	if (port == 0 || port == 4789 || port == 8472)
		return;
	while (i < claims->n_vxlan_ports && claims->vxlan_ports[i].port != port)
		i++;
	if (i == claims->n_vxlan_ports) {
		claims->vxlan_ports =
			must_realloc(claims->vxlan_ports, (i + 1) * sizeof(claims->vxlan_ports[0]));
		claims->vxlan_ports[i].port = port;
		claims->vxlan_ports[i].count = 0;
		claims->n_vxlan_ports++;
	}
	claims->vxlan_ports[i].count += add ? 1 : UINT32_MAX;
	if (claims->vxlan_ports[i].count == 0)
		claims->vxlan_ports[i] = claims->vxlan_ports[--claims->n_vxlan_ports];
}

static void claim_node(struct claims *claims, const struct object *obj, bool add)
{
	const struct node *node = &obj->node;

	claim_address(claims, &node->gateway, CLAIM_GATEWAY, obj, add);
	claim_address(claims, &node->gateway6, CLAIM_GATEWAY, obj, add);
	for (size_t i = 0; i < node->host_addresses.count; i++)
		claim_address(claims, &node->host_addresses.items[i], CLAIM_HOST, obj, add);
	claim_vxlan_port(claims, node->vxlan_port, add);
}

static void claim_uplink(struct claims *claims, const struct object *obj, bool add)
{
	const struct prefix_list *list = &obj->uplink.addresses;

	if (list->count == 0) {
		claims->kernel_uplinks += add ? 1 : UINT32_MAX;
		claims->uplink_addresses[0] += add ? 1 : UINT32_MAX;
		claims->uplink_addresses[1] += add ? 1 : UINT32_MAX;
	}
	for (size_t i = 0; i < list->count; i++) {
		const struct ip_prefix *item = &list->items[i];
		struct ip_prefix subnet = ip_prefix_canonical(item);

		claim_address(claims, &item->addr, CLAIM_UPLINK, obj, add);
		claim_prefix(claims, &subnet, CLAIM_SUBNET, obj, add);
		claims->local_addresses += add ? 1 : UINT32_MAX;
		if (!ip_addr_is_link_local(&item->addr) || item->addr.family == IP_V4)
			claims->uplink_addresses[item->addr.family == IP_V6] +=
				add ? 1 : UINT32_MAX;
	}
}

static void claim_peer(struct claims *claims, const struct object *obj, bool add)
{
	const struct peer *peer = &obj->peer;

	for (size_t i = 0; i < peer->underlay.count; i++)
		claim_address(claims, &peer->underlay.items[i], CLAIM_UNDERLAY, obj, add);
	for (size_t i = 0; i < peer->pod_cidrs.count; i++)
		claim_prefix(claims, &peer->pod_cidrs.items[i], CLAIM_POD_CIDR, obj, add);
	claims->peers[peer_families(peer)] += add ? 1 : UINT32_MAX;
	claim_vxlan_port(claims, peer->port, add);
}

static void claim_route(struct claims *claims, const struct object *obj, bool add)
{
	for (size_t i = 0; i < obj->route.via_count; i++) {
		const struct route_via *via = &obj->route.via[i];

		if (via->address.family != IP_NONE)
			claim_next_hop(claims, via, add);
		claim_reference(claims, OBJECT_PEER, via->peer, add);
		claim_reference(claims, OBJECT_UPLINK, via->uplink, add);
		claim_reference(claims, OBJECT_POD, via->pod, add);
	}
}

static void claim_rules(
	struct claims *claims, const struct policy_rule *rules, size_t count, bool add)
{
	for (size_t i = 0; i < count; i++) {
		const struct string_list *ends[] = { &rules[i].source.sets,
			&rules[i].destination.sets };

		for (size_t end = 0; end < 2; end++) {
			for (size_t j = 0; j < ends[end]->count; j++)
				claim_reference(claims, OBJECT_SET, ends[end]->items[j], add);
		}
	}
}

static void claim_policy(struct claims *claims, const struct policy *policy, bool add)
{
	claim_reference(claims, OBJECT_TIER, policy->tier, add);
	claim_rules(claims, policy->ingress, policy->ingress_count, add);
	claim_rules(claims, policy->egress, policy->egress_count, add);
}

static void claim_object(struct claims *claims, const struct object *obj, bool add)
{
	char key[CLAIM_KEY_MAX];

	if (outside_key(obj, key))
		(add ? key_add : key_remove)(&claims->keys, key, obj);
	switch (obj->type) {
	case OBJECT_NODE:
		claim_node(claims, obj, add);
		break;
	case OBJECT_UPLINK:
		claim_uplink(claims, obj, add);
		break;
	case OBJECT_POOL:
		claim_prefix(claims, &obj->pool.cidr, CLAIM_POOL, obj, add);
		break;
	case OBJECT_PEER:
		claim_peer(claims, obj, add);
		break;
	case OBJECT_POD:
		if (obj->pod.addresses.count == 0)
			claims->pods_without_address += add ? 1 : UINT32_MAX;
		for (size_t i = 0; i < obj->pod.addresses.count; i++)
			claim_address(claims, &obj->pod.addresses.items[i], CLAIM_POD, obj, add);
		break;
	case OBJECT_ROUTE:
		claim_route(claims, obj, add);
		break;
	case OBJECT_ENDPOINT:
		for (size_t i = 0; i < obj->endpoint.addresses.count; i++)
			claim_address(claims, &obj->endpoint.addresses.items[i], CLAIM_ENDPOINT,
				obj, add);
		break;
	case OBJECT_POLICY:
		claim_policy(claims, &obj->policy, add);
		break;
	case OBJECT_NAMESPACE:
	case OBJECT_SET:
	case OBJECT_TIER:
	case OBJECT_TYPE_COUNT:
		break;
	}
}

void claims_add(struct claims *claims, const struct object *obj)
{
	claim_object(claims, obj, true);
}

void claims_remove(struct claims *claims, const struct object *obj)
{
	claim_object(claims, obj, false);
}

void claims_free(struct claims *claims)
{
	prefix_map_free(&claims->map);
	key_table_free(&claims->keys);
	free(claims->vxlan_ports);
	*claims = (struct claims){ 0 };
}
