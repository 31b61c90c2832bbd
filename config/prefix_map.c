/* SPDX-License-Identifier: Apache-2.0 */
#include "config/prefix_map.h"

#include "config/log.h"

#include <stdlib.h>
#include <string.h>

/* A node has claims, or two children, or both: otherwise it is pruned. */
struct prefix_node {
	struct ip_prefix prefix;
	struct claim *claims;
	struct prefix_node *child[2];
};

_Noreturn void out_of_memory(size_t size)
{
	LOG_ERROR("out of memory bytes=%zu", size);
	abort();
}

void *must_alloc(size_t size)
{
	void *memory = calloc(1, size);

	if (memory == NULL)
		out_of_memory(size);
	return memory;
}

void *must_realloc(void *memory, size_t size)
{
	memory = realloc(memory, size);
	if (memory == NULL)
		out_of_memory(size);
	return memory;
}

char *must_copy(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(must_alloc(size), text, size);
}

static unsigned bit_at(const struct ip_prefix *prefix, unsigned bit)
{
	return (unsigned)(prefix->addr.bytes[bit / 8] >> (7 - bit % 8)) & 1;
}

static bool covers(const struct ip_prefix *outer, const struct ip_prefix *inner)
{
	unsigned full = outer->len / 8, rest = outer->len % 8;

	if (outer->len > inner->len || memcmp(outer->addr.bytes, inner->addr.bytes, full) != 0)
		return false;
	return rest == 0 ||
	       ((outer->addr.bytes[full] ^ inner->addr.bytes[full]) >> (8 - rest)) == 0;
}

static unsigned common_bits(const struct ip_prefix *a, const struct ip_prefix *b)
{
	unsigned most = a->len < b->len ? a->len : b->len, bit = 0;

	while (bit < most && bit_at(a, bit) == bit_at(b, bit))
		bit++;
	return bit;
}

static struct prefix_node *root_of(const struct prefix_map *map, const struct ip_prefix *prefix)
{
	return map->root[prefix->addr.family == IP_V6];
}

struct claim *prefix_map_get(const struct prefix_map *map, const struct ip_prefix *prefix)
{
	const struct prefix_node *node = root_of(map, prefix);

	while (node != NULL && node->prefix.len < prefix->len && covers(&node->prefix, prefix))
		node = node->child[bit_at(prefix, node->prefix.len)];
	return node != NULL && ip_prefix_equal(&node->prefix, prefix) ? node->claims : NULL;
}

static struct prefix_node *node_make(const struct ip_prefix *prefix, unsigned len)
{
	struct prefix_node *node = must_alloc(sizeof(*node));

	node->prefix = *prefix;
	node->prefix.len = (uint8_t)len;
	node->prefix = ip_prefix_canonical(&node->prefix);
	return node;
}

/* The node of exactly this prefix, made if need be. */
static struct prefix_node *node_ensure(struct prefix_map *map, const struct ip_prefix *prefix)
{
	struct prefix_node **link = &map->root[prefix->addr.family == IP_V6], *node, *fork;
	unsigned common;

	while (*link != NULL && (*link)->prefix.len < prefix->len &&
		covers(&(*link)->prefix, prefix))
		link = &(*link)->child[bit_at(prefix, (*link)->prefix.len)];
	node = *link;
	if (node != NULL && ip_prefix_equal(&node->prefix, prefix))
		return node;
	*link = node_make(prefix, prefix->len);
	if (node == NULL)
		return *link;
	common = common_bits(&node->prefix, prefix);
	if (common == prefix->len) {
		(*link)->child[bit_at(&node->prefix, common)] = node;
		return *link;
	}
	fork = node_make(prefix, common);
	fork->child[bit_at(prefix, common)] = *link;
	fork->child[bit_at(&node->prefix, common)] = node;
	node = *link;
	*link = fork;
	return node;
}

struct claim *prefix_map_add(struct prefix_map *map, const struct ip_prefix *prefix,
	enum claim_kind kind, const struct object *owner)
{
	struct prefix_node *node = node_ensure(map, prefix);
	struct claim *claim = must_alloc(sizeof(*claim));

	claim->kind = kind;
	claim->owner = owner;
	claim->next = node->claims;
	node->claims = claim;
	return claim;
}

/* Take a node out of the trie when nothing needs it; *link is where it hangs. */
static void prune(struct prefix_node **link)
{
	struct prefix_node *node = *link;

	if (node->claims != NULL || (node->child[0] != NULL && node->child[1] != NULL))
		return;
	*link = node->child[0] != NULL ? node->child[0] : node->child[1];
	free(node);
}

void prefix_map_remove(struct prefix_map *map, const struct ip_prefix *prefix, struct claim *claim)
{
	struct prefix_node **link = &map->root[prefix->addr.family == IP_V6], **above = NULL;
	struct claim **at;

	while ((*link)->prefix.len < prefix->len) {
		above = link;
		link = &(*link)->child[bit_at(prefix, (*link)->prefix.len)];
	}
	at = &(*link)->claims;
	while (*at != claim)
		at = &(*at)->next;
	*at = claim->next;
	free(claim->uplink);
	free(claim);
	prune(link);
	/* A fork that lost one side. */
	if (above != NULL)
		prune(above);
}

static int visit_claims(const struct prefix_node *node, prefix_visit *visit, void *arg)
{
	for (const struct claim *claim = node->claims; claim != NULL; claim = claim->next) {
		int ret = visit(&node->prefix, claim, arg);

		if (ret != 0)
			return ret;
	}
	return 0;
}

int prefix_map_above(const struct prefix_map *map, const struct ip_prefix *prefix,
	prefix_visit *visit, void *arg)
{
	const struct prefix_node *node = root_of(map, prefix);

	while (node != NULL && covers(&node->prefix, prefix)) {
		int ret = visit_claims(node, visit, arg);

		if (ret != 0 || node->prefix.len == prefix->len)
			return ret;
		node = node->child[bit_at(prefix, node->prefix.len)];
	}
	return 0;
}

static int visit_tree(const struct prefix_node *node, prefix_visit *visit, void *arg)
{
	int ret;

	if (node == NULL)
		return 0;
	ret = visit_claims(node, visit, arg);
	if (ret == 0)
		ret = visit_tree(node->child[0], visit, arg);
	return ret != 0 ? ret : visit_tree(node->child[1], visit, arg);
}

int prefix_map_below(const struct prefix_map *map, const struct ip_prefix *prefix,
	prefix_visit *visit, void *arg)
{
	const struct prefix_node *node = root_of(map, prefix);
	int ret;

	while (node != NULL && node->prefix.len < prefix->len && covers(&node->prefix, prefix))
		node = node->child[bit_at(prefix, node->prefix.len)];
	if (node == NULL || !covers(prefix, &node->prefix))
		return 0;
	if (node->prefix.len > prefix->len)
		return visit_tree(node, visit, arg);
	ret = visit_tree(node->child[0], visit, arg);
	return ret != 0 ? ret : visit_tree(node->child[1], visit, arg);
}

static void free_tree(struct prefix_node *node)
{
	if (node == NULL)
		return;
	free_tree(node->child[0]);
	free_tree(node->child[1]);
	while (node->claims != NULL) {
		struct claim *claim = node->claims;

		node->claims = claim->next;
		free(claim->uplink);
		free(claim);
	}
	free(node);
}

void prefix_map_free(struct prefix_map *map)
{
	free_tree(map->root[0]);
	free_tree(map->root[1]);
	*map = (struct prefix_map){ 0 };
}
