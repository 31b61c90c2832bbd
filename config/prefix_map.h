/* SPDX-License-Identifier: Apache-2.0 */
/** What lies at, above and below a prefix: a path-compressed binary trie a family. A prefix carries a list of claims:
 * who says what about it. Control thread only; private to config/.
 *
 * Memory comes from must_alloc: running out of it ends the process, because a commit that has been validated cannot fail.
 */
#ifndef CONFIG_PREFIX_MAP_H
#define CONFIG_PREFIX_MAP_H

#include "config/model.h"

enum claim_kind {
	CLAIM_POOL,	/* cidr of a pool */
	CLAIM_POD_CIDR, /* of a peer */
	CLAIM_SUBNET,	/* of an uplink */
	/* Single addresses, in the order of claim_is_address. */
	CLAIM_UPLINK,	/* this node's, on an uplink */
	CLAIM_HOST,	/* this node's, on the host port */
	CLAIM_GATEWAY,	/* what pods see */
	CLAIM_UNDERLAY, /* of a peer */
	CLAIM_POD,
	CLAIM_ENDPOINT, /* a pod or a node elsewhere, for policies */
	CLAIM_NEXT_HOP, /* of `count` routes; no owner */
};

struct claim {
	struct claim *next;
	const struct object *owner;
	char *uplink;	/* CLAIM_NEXT_HOP: where it must be, "" = anywhere */
	uint32_t count; /* CLAIM_NEXT_HOP */
	enum claim_kind kind;
};

struct prefix_map {
	struct prefix_node *root[2]; /* IPv4, IPv6 */
};

_Noreturn void out_of_memory(size_t size);
void *must_alloc(size_t size); /* zeroed */
void *must_realloc(void *memory, size_t size);
char *must_copy(const char *text);

/** The claims at exactly this prefix, or NULL. */
struct claim *prefix_map_get(const struct prefix_map *map, const struct ip_prefix *prefix);
/** Add a claim, zero but for kind and owner, and return it. */
struct claim *prefix_map_add(struct prefix_map *map, const struct ip_prefix *prefix,
	enum claim_kind kind, const struct object *owner);
/** Remove and free one claim that is there. Its `uplink` goes too. */
void prefix_map_remove(struct prefix_map *map, const struct ip_prefix *prefix, struct claim *claim);

/** @return non-zero to stop the walk, which returns it. */
typedef int prefix_visit(const struct ip_prefix *at, const struct claim *claim, void *arg);
/** Visit the claims of every prefix that contains this one, itself included, shortest first. */
int prefix_map_above(const struct prefix_map *map, const struct ip_prefix *prefix,
	prefix_visit *visit, void *arg);
/** Visit the claims of every prefix within this one, itself not included, in the order of addresses. */
int prefix_map_below(const struct prefix_map *map, const struct ip_prefix *prefix,
	prefix_visit *visit, void *arg);
void prefix_map_free(struct prefix_map *map);

#endif
