/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/ipam/ipam.h"

#include "config/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Open addressing; an entry that goes leaves no tombstone: the run behind it is put back in
 * place. */
struct address_set {
	struct ip_addr *slots; /* family IP_NONE: empty */
	size_t mask, count;
};

struct cursor {
	struct ip_prefix pool;
	uint64_t last;	/* offset given out last by a commit */
	uint64_t tried; /* offset given out last by ipam_assign, which may be a dry run */
};

struct ipam {
	struct address_set used;
	struct cursor *cursors;
	size_t n_cursors;
};

static size_t hash(const struct ip_addr *addr)
{
	uint64_t hi, lo;

	memcpy(&hi, addr->bytes, 8);
	memcpy(&lo, addr->bytes + 8, 8);
	hi = (hi ^ (lo * 0x9e3779b97f4a7c15u) ^ addr->family) * 0xff51afd7ed558ccdu;
	return (size_t)(hi ^ hi >> 32);
}

/** The slot that holds addr, or the empty one where it would go. */
static size_t slot_of(const struct address_set *set, const struct ip_addr *addr)
{
	size_t i = hash(addr) & set->mask;

	while (set->slots[i].family != IP_NONE && !ip_addr_equal(&set->slots[i], addr))
		i = (i + 1) & set->mask;
	return i;
}

static bool set_has(const struct address_set *set, const struct ip_addr *addr)
{
	return set->slots != NULL && set->slots[slot_of(set, addr)].family != IP_NONE;
}

static int set_grow(struct address_set *set)
{
	struct address_set next = { .mask = set->slots == NULL ? 63 : set->mask * 2 + 1 };

	next.slots = calloc(next.mask + 1, sizeof(*next.slots));
	if (next.slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; set->slots != NULL && i <= set->mask; i++) {
		if (set->slots[i].family != IP_NONE)
			next.slots[slot_of(&next, &set->slots[i])] = set->slots[i];
	}
	next.count = set->count;
	free(set->slots);
	*set = next;
	return 0;
}

static int set_add(struct address_set *set, const struct ip_addr *addr)
{
	size_t i;

	if ((set->slots == NULL || (set->count + 1) * 2 > set->mask) && set_grow(set) < 0)
		return -ENOMEM;
	i = slot_of(set, addr);
	if (set->slots[i].family == IP_NONE) {
		set->slots[i] = *addr;
		set->count++;
	}
	return 0;
}

static void set_remove(struct address_set *set, const struct ip_addr *addr)
{
	size_t hole, i;

	if (!set_has(set, addr))
		return;
	hole = slot_of(set, addr);
	set->count--;
	set->slots[hole].family = IP_NONE;
	for (i = (hole + 1) & set->mask; set->slots[i].family != IP_NONE; i = (i + 1) & set->mask) {
		struct ip_addr moved = set->slots[i];

		set->slots[i].family = IP_NONE;
		set->slots[slot_of(set, &moved)] = moved;
	}
}

struct ipam *ipam_new(void)
{
	return calloc(1, sizeof(struct ipam));
}

void ipam_free(struct ipam *ipam)
{
	if (ipam == NULL)
		return;
	free(ipam->used.slots);
	free(ipam->cursors);
	free(ipam);
}

static const struct pod *as_pod(const struct object *obj)
{
	return obj != NULL && obj->type == OBJECT_POD ? &obj->pod : NULL;
}

void ipam_committed(struct ipam *ipam, const struct change *changes, size_t count)
{
	for (size_t i = 0; i < ipam->n_cursors; i++)
		ipam->cursors[i].last = ipam->cursors[i].tried;
	/* All removals first: an address may move from one pod to another in one commit. */
	for (size_t i = 0; i < count; i++) {
		const struct pod *pod = as_pod(changes[i].before);

		for (size_t a = 0; pod != NULL && a < pod->addresses.count; a++)
			set_remove(&ipam->used, &pod->addresses.items[a]);
	}
	for (size_t i = 0; i < count; i++) {
		const struct pod *pod = as_pod(changes[i].after);

		/* Out of memory here costs the hint only: validation still refuses a duplicate
		 * address. */
		for (size_t a = 0; pod != NULL && a < pod->addresses.count; a++)
			set_add(&ipam->used, &pod->addresses.items[a]);
	}
}

/** base + offset; offsets are below 2^32. */
static struct ip_addr address_at(const struct ip_prefix *pool, uint64_t offset)
{
	struct ip_addr addr = pool->addr;

	for (unsigned i = ip_family_bits(addr.family) / 8; i-- > 0 && offset > 0; offset >>= 8)
		addr.bytes[i] = (uint8_t)(addr.bytes[i] | (offset & 0xff));
	return addr;
}

/** First and one past the last offset that may be given out. */
static void pool_range(const struct ip_prefix *pool, uint64_t *first, uint64_t *end)
{
	unsigned bits = ip_family_bits(pool->addr.family) - pool->len;

	/* Pools are /30 or /126 at the longest. */
	*end = 1ull << (bits < 32 ? bits : 32);
	*first = 2;
	if (pool->addr.family == IP_V4)
		*end -= 1;
}

static struct cursor *cursor_of(struct ipam *ipam, const struct ip_prefix *pool)
{
	struct cursor *grown;

	for (size_t i = 0; i < ipam->n_cursors; i++) {
		if (ip_prefix_equal(&ipam->cursors[i].pool, pool))
			return &ipam->cursors[i];
	}
	grown = realloc(ipam->cursors, (ipam->n_cursors + 1) * sizeof(*grown));
	if (grown == NULL)
		return NULL;
	ipam->cursors = grown;
	grown += ipam->n_cursors++;
	*grown = (struct cursor){ .pool = *pool };
	return grown;
}

/* One run of ipam_assign. */
struct assignment {
	struct ipam *ipam;
	struct changeset *set;
	struct address_set taken; /* by this set, and by the node itself */
	struct ip_prefix *pools;  /* as they are after the set */
	size_t n_pools;
	struct object **done; /* the pods with their addresses, to be put into the set */
	size_t n_done;
	int failed;
};

static void take(struct assignment *a, const struct ip_addr *addr)
{
	if (addr->family != IP_NONE && set_add(&a->taken, addr) < 0)
		a->failed = -ENOMEM;
}

static void take_list(struct assignment *a, const struct addr_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		take(a, &list->items[i]);
}

static void add_pool(struct assignment *a, const struct object *obj)
{
	struct ip_prefix *grown = realloc(a->pools, (a->n_pools + 1) * sizeof(*grown));

	if (grown == NULL) {
		a->failed = -ENOMEM;
		return;
	}
	a->pools = grown;
	a->pools[a->n_pools++] = obj->pool.cidr;
}

static int visit_pool(const struct object *obj, void *arg)
{
	struct assignment *a = arg;

	/* Changed and removed ones come from the set. */
	if (changeset_find(a->set, OBJECT_POOL, obj->name) == obj)
		add_pool(a, obj);
	return a->failed;
}

static int visit_node(const struct object *obj, void *arg)
{
	struct assignment *a = arg;

	take(a, &obj->node.gateway);
	take(a, &obj->node.gateway6);
	take_list(a, &obj->node.host_addresses);
	return a->failed;
}

static bool in_use(const struct assignment *a, const struct ip_addr *addr)
{
	return set_has(&a->ipam->used, addr) || set_has(&a->taken, addr);
}

static bool pick_from(struct assignment *a, const struct ip_prefix *pool, struct ip_addr *out)
{
	struct cursor *cursor = cursor_of(a->ipam, pool);
	uint64_t first, end, at;

	if (cursor == NULL) {
		a->failed = -ENOMEM;
		return false;
	}
	pool_range(pool, &first, &end);
	at = cursor->tried + 1 > first ? cursor->tried + 1 : first;
	/* Addresses in use are fewer than those looked at, so the search is bounded by the pods
	 * of the node. */
	for (uint64_t n = first; n < end; n++, at++) {
		if (at >= end)
			at = first;
		*out = address_at(pool, at);
		if (!in_use(a, out)) {
			cursor->tried = at;
			return true;
		}
	}
	return false;
}

/** One address of a family. 0 = no pool of that family, 1 = given. */
static int pick(struct assignment *a, uint8_t family, const char *pod, struct ip_addr *out,
	struct error *err)
{
	bool any = false;

	for (size_t i = 0; i < a->n_pools; i++) {
		if (a->pools[i].addr.family != family)
			continue;
		any = true;
		if (pick_from(a, &a->pools[i], out))
			return 1;
	}
	if (a->failed < 0)
		return error_set(err, ENOMEM, NULL, "out of memory");
	if (!any)
		return 0;
	return error_set(err, ENOSPC, "pools",
		"pod %s: every address of the IPv%u pools is in use: add a pool or remove pods",
		pod, (unsigned)family);
}

int pod_with_addresses(const struct object *pod, const struct ip_addr *items, size_t count,
	struct object **out, struct error *err)
{
	json_t *list = json_array(), *patch = json_pack("{s:o}", "addresses", list);
	char text[IP_TEXT_MAX];
	int ret;

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(ip_addr_format(&items[i], text)));
	ret = patch != NULL ? object_merge_json(pod, patch, out, err)
			    : error_set(err, ENOMEM, NULL, "out of memory");
	json_decref(patch);
	return ret;
}

static int keep_or_pick(struct assignment *a, const struct change *change, struct error *err)
{
	static const uint8_t families[] = { IP_V4, IP_V6 };
	struct ip_addr found[2];
	const struct object *obj = change->after;
	const struct pod *before = as_pod(change->before);
	size_t count = 0;
	int ret;

	if (before != NULL && before->addresses.count > 0)
		return pod_with_addresses(obj, before->addresses.items, before->addresses.count,
			&a->done[a->n_done], err);
	for (size_t f = 0; f < 2; f++) {
		ret = pick(a, families[f], obj->name, &found[count], err);
		if (ret < 0)
			return ret;
		count += (size_t)ret;
	}
	if (count == 0)
		return error_set(err, EINVAL, "pools",
			"pod %s: it has no address and the node has no pool to take one from",
			obj->name);
	ret = pod_with_addresses(obj, found, count, &a->done[a->n_done], err);
	if (ret == 0)
		take_list(a, &a->done[a->n_done]->pod.addresses);
	return ret == 0 && a->failed < 0 ? error_set(err, ENOMEM, NULL, "out of memory") : ret;
}

/** Addresses that the set itself names must not be given to another pod of it. */
static int collect(
	struct assignment *a, const struct model *model, const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct object *after = changes[i].after;

		if (after == NULL)
			continue;
		if (after->type == OBJECT_POD)
			take_list(a, &after->pod.addresses);
		else if (after->type == OBJECT_NODE)
			visit_node(after, a);
		else if (after->type == OBJECT_POOL)
			add_pool(a, after);
		else if (after->type == OBJECT_UPLINK)
			for (size_t n = 0; n < after->uplink.addresses.count; n++)
				take(a, &after->uplink.addresses.items[n].addr);
	}
	model_each(model, OBJECT_NODE, visit_node, a);
	model_each(model, OBJECT_POOL, visit_pool, a);
	return a->failed;
}

static bool needs_address(const struct change *change)
{
	const struct pod *pod = as_pod(change->after);

	return pod != NULL && pod->addresses.count == 0;
}

static int assign(struct assignment *a, const struct model *model, struct error *err)
{
	const struct change *changes;
	size_t count, wanting = 0;
	int ret = 0;

	changes = changeset_changes(a->set, &count);
	for (size_t i = 0; i < count; i++)
		wanting += needs_address(&changes[i]);
	if (wanting == 0)
		return 0;
	a->done = calloc(wanting, sizeof(struct object *));
	if (a->done == NULL || collect(a, model, changes, count) < 0)
		return error_set(err, ENOMEM, NULL, "out of memory");
	for (size_t i = 0; ret == 0 && i < count; i++) {
		if (!needs_address(&changes[i]))
			continue;
		ret = keep_or_pick(a, &changes[i], err);
		if (ret == 0)
			a->n_done++;
	}
	/* Only now: editing the set ends the life of `changes`. */
	for (size_t i = 0; ret == 0 && i < a->n_done; i++)
		ret = changeset_put(a->set, object_ref(a->done[i]), err);
	return ret;
}

int ipam_assign(
	struct ipam *ipam, const struct model *model, struct changeset *set, struct error *err)
{
	struct assignment a = { .ipam = ipam, .set = set };
	int ret;

	for (size_t i = 0; i < ipam->n_cursors; i++)
		ipam->cursors[i].tried = ipam->cursors[i].last;
	ret = assign(&a, model, err);

	for (size_t i = 0; i < a.n_done; i++)
		object_unref(a.done[i]);
	free(a.done);
	free(a.taken.slots);
	free(a.pools);
	return ret;
}

void ipam_usage(const struct ipam *ipam, const struct ip_prefix *pool, struct ipam_usage *usage)
{
	uint64_t first, end;

	pool_range(pool, &first, &end);
	usage->size = end - first > UINT32_MAX ? UINT32_MAX : (uint32_t)(end - first);
	usage->used = 0;
	for (size_t i = 0; ipam->used.slots != NULL && i <= ipam->used.mask; i++) {
		const struct ip_addr *addr = &ipam->used.slots[i];

		if (addr->family != IP_NONE && ip_prefix_contains(pool, addr))
			usage->used++;
	}
}
