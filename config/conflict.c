/* SPDX-License-Identifier: Apache-2.0 */
#include "config/conflict.h"

#include <stdio.h>
#include <string.h>

/* --- conflicts of addresses ----------------------------------------------------------------------------------- */

static const struct {
	const char *what, *field;
} kinds[] = {
	[CLAIM_POOL] = { "the cidr of", "cidr" },
	[CLAIM_POD_CIDR] = { "a pod_cidr of", "pod_cidrs" },
	[CLAIM_SUBNET] = { "a subnet of", "addresses" },
	[CLAIM_UPLINK] = { "an address of", "addresses" },
	[CLAIM_HOST] = { "a host address of", "host_addresses" },
	[CLAIM_GATEWAY] = { "the gateway of", "gateway" },
	[CLAIM_UNDERLAY] = { "the underlay address of", "underlay" },
	[CLAIM_POD] = { "an address of", "addresses" },
	[CLAIM_ENDPOINT] = { "an address of", "addresses" },
	[CLAIM_NEXT_HOP] = { "a next hop of", "via" },
};

const char *claim_text(enum claim_kind kind)
{
	return kinds[kind].what;
}

const char *owner_text(const struct object *owner, char *buf, size_t size)
{
	snprintf(buf, size, "%s %s", object_schemas[owner->type].name, owner->name);
	return buf;
}

bool comes_later(const struct object *a, const struct object *b)
{
	return a->file != NULL && a->file == b->file && a->line > b->line;
}

static int refuse_pair(
	const struct check *c, const char *text, enum claim_kind kind, const struct claim *other)
{
	const struct object *blamed = c->obj, *rival = other->owner;
	const char *what = kinds[other->kind].what, *field = c->field;
	char owner[LABEL_MAX];

	if (comes_later(rival, blamed)) {
		blamed = rival;
		rival = c->obj;
		what = kinds[kind].what;
		field = kinds[other->kind].field;
	}
	return object_error(blamed, c->err, field, "%s is also %s %s: give each its own", text,
		what, owner_text(rival, owner, sizeof(owner)));
}

/** An endpoint of kind node may be this node or a peer; any may be a next hop. */
static bool endpoint_shares(const struct object *endpoint, enum claim_kind with)
{
	if (with == CLAIM_NEXT_HOP)
		return true;
	return endpoint->endpoint.kind == ENDPOINT_NODE &&
	       (with == CLAIM_UPLINK || with == CLAIM_HOST || with == CLAIM_UNDERLAY);
}

/* Two claims of one address. */
static int check_same_address(
	const struct check *c, const struct ip_addr *addr, enum claim_kind kind)
{
	struct ip_prefix prefix = { *addr, (uint8_t)ip_family_bits(addr->family) };
	/* A link-local address is one on its own link only. */
	bool own_link = addr->family == IP_V6 && ip_addr_is_link_local(addr);
	char text[IP_TEXT_MAX];

	ip_addr_format(addr, text);
	for (const struct claim *other = prefix_map_get(&c->claims->map, &prefix); other != NULL;
		other = other->next) {
		if (other->owner == c->obj || other->kind < CLAIM_UPLINK)
			continue;
		if (other->kind == CLAIM_ENDPOINT && endpoint_shares(other->owner, kind))
			continue;
		if (own_link && other->kind != CLAIM_POD && kind != CLAIM_POD)
			continue;
		if (other->kind == CLAIM_NEXT_HOP) {
			if (kind != CLAIM_UNDERLAY)
				return object_error(c->obj, c->err, c->field,
					"%s is the next hop of a route: choose another address, or "
					"change the route",
					text);
			continue;
		}
		return refuse_pair(c, text, kind, other);
	}
	return 0;
}

/* A route of exactly one address that a local thing has would never be used. */
static int check_no_host_route(const struct check *c, const struct ip_addr *addr)
{
	struct ip_prefix prefix = { *addr, (uint8_t)ip_family_bits(addr->family) };
	char text[PREFIX_TEXT_MAX], host[IP_TEXT_MAX];

	ip_prefix_format(&prefix, text);
	if (changeset_find(c->set, OBJECT_ROUTE, text) == NULL)
		return 0;
	return object_error(c->obj, c->err, c->field,
		"there is a route %s, which leads %s elsewhere: delete it, or choose another "
		"address",
		text, ip_addr_format(addr, host));
}

struct container {
	const struct check *check;
	const struct ip_addr *addr;
	enum claim_kind kind;
};

static int visit_container(const struct ip_prefix *at, const struct claim *claim, void *arg)
{
	const struct container *inner = arg;
	char text[IP_TEXT_MAX], prefix[PREFIX_TEXT_MAX], owner[LABEL_MAX];
	/* The host and the gateway may live among the node's own pods. */
	bool bad = claim->kind == CLAIM_POD_CIDR ||
		   (claim->kind == CLAIM_POOL &&
			   (inner->kind == CLAIM_UPLINK || inner->kind == CLAIM_UNDERLAY));

	if (!bad)
		return 0;
	return object_error(inner->check->obj, inner->check->err, inner->check->field,
		"%s lies in %s, %s %s: choose an address outside of it",
		ip_addr_format(inner->addr, text), ip_prefix_format(at, prefix),
		kinds[claim->kind].what, owner_text(claim->owner, owner, sizeof(owner)));
}

int check_address(const struct check *c, const struct ip_addr *addr, enum claim_kind kind)
{
	struct ip_prefix prefix = { *addr, (uint8_t)ip_family_bits(addr->family) };
	struct container inner = { c, addr, kind };
	int ret = check_same_address(c, addr, kind);

	if (ret == 0)
		ret = prefix_map_above(&c->claims->map, &prefix, visit_container, &inner);
	if (ret == 0 && kind != CLAIM_UNDERLAY)
		ret = check_no_host_route(c, addr);
	return ret;
}

int check_endpoint_address(const struct check *c, const struct ip_addr *addr)
{
	struct ip_prefix prefix = { *addr, (uint8_t)ip_family_bits(addr->family) };
	char text[IP_TEXT_MAX];

	for (const struct claim *other = prefix_map_get(&c->claims->map, &prefix); other != NULL;
		other = other->next) {
		if (other->owner != c->obj && other->kind >= CLAIM_UPLINK &&
			!endpoint_shares(c->obj, other->kind))
			return refuse_pair(c, ip_addr_format(addr, text), CLAIM_ENDPOINT, other);
	}
	return 0;
}

/* --- conflicts of prefixes ------------------------------------------------------------------------------------ */

struct overlap {
	const struct check *check;
	const struct ip_prefix *prefix;
	enum claim_kind kind;
};

static int visit_overlap(const struct ip_prefix *at, const struct claim *claim, void *arg)
{
	const struct overlap *mine = arg;
	const struct check *c = mine->check;
	char text[PREFIX_TEXT_MAX], other[PREFIX_TEXT_MAX], owner[LABEL_MAX];
	bool pods = claim->kind == CLAIM_POOL || claim->kind == CLAIM_POD_CIDR;
	bool address = claim->kind == CLAIM_UPLINK || claim->kind == CLAIM_UNDERLAY ||
		       (mine->kind == CLAIM_POD_CIDR &&
			       (claim->kind == CLAIM_HOST || claim->kind == CLAIM_GATEWAY));

	if ((!pods && !address) || (claim->owner == c->obj && ip_prefix_equal(at, mine->prefix)))
		return 0;
	ip_prefix_format(mine->prefix, text);
	ip_prefix_format(at, other);
	if (claim->owner == c->obj && pods)
		return object_error(c->obj, c->err, c->field,
			"%s and %s overlap: remove the longer one", text, other);
	owner_text(claim->owner, owner, sizeof(owner));
	if (address) {
		*strrchr(other, '/') = '\0';
		return object_error(c->obj, c->err, c->field,
			"%s holds %s, %s %s: choose a prefix without it", text, other,
			kinds[claim->kind].what, owner);
	}
	if (comes_later(claim->owner, c->obj)) {
		char me[LABEL_MAX];

		return object_error(claim->owner, c->err, kinds[claim->kind].field,
			"%s overlaps %s, %s %s: each prefix has one owner", other, text,
			kinds[mine->kind].what, owner_text(c->obj, me, sizeof(me)));
	}
	return object_error(c->obj, c->err, c->field,
		"%s overlaps %s, %s %s: each prefix has one owner", text, other,
		kinds[claim->kind].what, owner);
}

int check_prefix(const struct check *c, const struct ip_prefix *prefix, enum claim_kind kind)
{
	struct overlap mine = { c, prefix, kind };
	int ret = prefix_map_above(&c->claims->map, prefix, visit_overlap, &mine);

	return ret != 0 ? ret : prefix_map_below(&c->claims->map, prefix, visit_overlap, &mine);
}

/* Is there a claim of this kind above an address? */
struct cover {
	enum claim_kind kind;
	const char *owner; /* name, or "" = any */
};

static int visit_cover(const struct ip_prefix *at, const struct claim *claim, void *arg)
{
	const struct cover *cover = arg;

	(void)at;
	return claim->kind == cover->kind &&
	       (cover->owner[0] == '\0' || strcmp(cover->owner, claim->owner->name) == 0);
}

bool covered(const struct claims *claims, const struct ip_addr *addr, enum claim_kind kind,
	const char *owner)
{
	struct ip_prefix prefix = { *addr, (uint8_t)ip_family_bits(addr->family) };
	struct cover cover = { kind, owner };

	return prefix_map_above(&claims->map, &prefix, visit_cover, &cover) != 0;
}
