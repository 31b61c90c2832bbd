/* SPDX-License-Identifier: Apache-2.0 */
/* Versions and edits. Copy-on-write works on blocks (a node's children and values): a node lives
 * in its parent's block, so whoever owns the parent's block may change the node, and owning a
 * path means owning its blocks from the root on. */
#include "dataplane/fib.h"
#include "dataplane/fib_trie.h"

#include <errno.h>
#include <stdlib.h>

/* Nodes on the longest path: bits 7, 13, .. 127. */
#define PATH_MAX_NODES 21u
/* Blocks that one edit allocates or replaces at most: each node's once to own it and once to
 * resize it. */
#define EDIT_BLOCKS (2 * PATH_MAX_NODES)

static size_t block_size(uint64_t children, uint64_t prefixes)
{
	size_t used = fib_bits(children) * sizeof(struct fib_node) +
		      fib_bits(prefixes) * sizeof(uint32_t) + sizeof(uint64_t);

	return fib_needs_block(children, prefixes) ? fib_heap_round(used) : 0;
}
static_assert(64 * sizeof(struct fib_node) + 63 * sizeof(uint32_t) + sizeof(uint64_t) <=
		      FIB_HEAP_BLOCK_MAX,
	"the fullest node fits a block");

static uint64_t *block_owner(struct fib_node *block, size_t size)
{
	return (uint64_t *)((uint8_t *)block + size) - 1;
}

static bool node_is_owned(const struct fib *fib, const struct fib_node *node)
{
	size_t size = block_size(node->children, node->prefixes);

	return size == 0 || *block_owner(node->block, size) == fib->id;
}

static void block_drop(struct fib *fib, struct fib_node *block, size_t size)
{
	if (size == 0)
		return;
	fib->memory -= size;
	if (*block_owner(block, size) == fib->id)
		fib_heap_release(fib->table->heap, block);
	else
		fib->base->replaced[fib->base->replaced_count++] = block;
}

/* Copy an array while one element is inserted (as zeros) or removed: delta is the bit that
 * differs, if any. */
static void array_splice(void *to, const void *from, size_t size, uint64_t was, uint64_t now)
{
	uint64_t delta = was ^ now;
	size_t before = delta == 0 ? fib_bits(was) * size : fib_bits(was & (delta - 1)) * size;
	size_t after = fib_bits(was) * size - before;
	uint8_t *dst = to;
	const uint8_t *src = from;

	memcpy(dst, src, before);
	if ((now & delta) != 0) {
		memset(dst + before, 0, size);
		memcpy(dst + before + size, src + before, after);
	} else if (delta != 0) {
		memcpy(dst + before, src + before + size, after - size);
	}
}

/* Give a node new bitmaps, each with at most one bit changed, and room to match in a block that
 * this version owns. New elements are zero. The node itself must be owned, room reserved. */
static void node_reshape(
	struct fib *fib, struct fib_node *node, uint64_t children, uint64_t prefixes)
{
	uint64_t copy[FIB_HEAP_BLOCK_MAX / sizeof(uint64_t)];
	struct fib_node was = *node;
	size_t was_size = block_size(was.children, was.prefixes);
	size_t size = block_size(children, prefixes);
	const struct fib_node *kids = was.children != 0 ? was.block : &was;
	const uint32_t *values = was_size != 0 ? fib_node_values(&was) : was.values;
	bool in_place = size != 0 && size == was_size && node_is_owned(fib, &was);
	uint32_t *to;

	if (in_place) {
		memcpy(copy, was.block, size - sizeof(uint64_t));
		kids = (const struct fib_node *)copy;
		values = (const uint32_t *)(kids + fib_bits(was.children));
	} else if (size != 0) {
		node->block = fib_heap_alloc(fib->table->heap, size);
		*block_owner(node->block, size) = fib->id;
		fib->memory += size;
	}
	node->children = children;
	node->prefixes = prefixes;
	to = size != 0 ? (uint32_t *)(node->block + fib_bits(children)) : node->values;
	if (children != 0)
		array_splice(node->block, kids, sizeof(*kids), was.children, children);
	array_splice(to, values, sizeof(*values), was.prefixes, prefixes);
	if (!in_place)
		block_drop(fib, was.block, was_size);
}

static void node_own(struct fib *fib, struct fib_node *node)
{
	if (!node_is_owned(fib, node))
		node_reshape(fib, node, node->children, node->prefixes);
}

static struct fib_node *node_child(const struct fib_node *node, unsigned chunk)
{
	return node->block + fib_rank(node->children, chunk);
}

static unsigned skip_bits(const struct fib_node *node)
{
	return (unsigned)(node->skip & 0xff);
}

static uint64_t skip_make(uint64_t value, unsigned bits)
{
	return bits != 0 ? (value & (((uint64_t)1 << bits) - 1)) << 8 | bits : 0;
}

/* Depth of the node that holds prefixes of a length, 7 or more. */
static unsigned depth_of(unsigned len)
{
	return len - (len - FIB_TOP_BITS) % FIB_STRIDE;
}

/* Which bit of fib_node.prefixes (or index of fib.top) the next rest bits of the key select. */
static unsigned prefix_bit(const struct fib_key *key, unsigned rest)
{
	return (1u << rest) - 1 + (unsigned)fib_key_peek(key, rest);
}

/* The node of an exact prefix and its bit there, or NULL. */
static const struct fib_node *node_find(
	const struct fib *fib, struct fib_key key, unsigned len, unsigned *bit)
{
	const struct fib_node *node = &fib->root[fib_key_peek(&key, FIB_TOP_BITS)];
	unsigned target = depth_of(len);
	unsigned depth = FIB_TOP_BITS;

	fib_key_advance(&key, FIB_TOP_BITS, true);
	while (depth < target) {
		unsigned chunk = (unsigned)fib_key_peek(&key, FIB_STRIDE);
		unsigned skip;

		if (!fib_has(node->children, chunk))
			return NULL;
		node = node_child(node, chunk);
		fib_key_advance(&key, FIB_STRIDE, true);
		skip = skip_bits(node);
		depth += FIB_STRIDE + skip;
		if (skip != 0) {
			if (fib_key_peek(&key, skip) != node->skip >> 8)
				return NULL;
			fib_key_advance(&key, skip, true);
		}
	}
	if (depth > target)
		return NULL;
	*bit = prefix_bit(&key, len - target);
	return fib_has(node->prefixes, *bit) ? node : NULL;
}

/* Put a node without prefixes above this one, after the first `common` of its skipped bits. */
static void node_split(struct fib *fib, struct fib_node *node, unsigned common)
{
	struct fib_node lower = *node;
	uint64_t value = lower.skip >> 8;
	unsigned bits = skip_bits(&lower);
	unsigned rest = bits - common - FIB_STRIDE;

	lower.skip = skip_make(value, rest);
	*node = (struct fib_node){ .skip = skip_make(value >> (bits - common), common) };
	node_reshape(fib, node, (uint64_t)1 << (value >> rest & 63), 0);
	node->block[0] = lower;
}

/* How many of a node's skipped bits, in whole strides, lead towards a target that many bits
 * below. */
static unsigned skip_common(const struct fib_node *node, const struct fib_key *key, unsigned below)
{
	unsigned bits = skip_bits(node);
	uint64_t differ = bits != 0 ? fib_key_peek(key, bits) ^ node->skip >> 8 : 0;
	unsigned same = differ != 0 ? (unsigned)__builtin_clzll(differ) - (64 - bits) : bits;

	same -= same % FIB_STRIDE;
	return same < below ? same : below;
}

static void node_insert(struct fib *fib, struct fib_key key, unsigned len, uint32_t value)
{
	struct fib_node *node = &fib->root[fib_key_peek(&key, FIB_TOP_BITS)];
	unsigned target = depth_of(len);
	unsigned depth = FIB_TOP_BITS;
	unsigned bit;

	fib_key_advance(&key, FIB_TOP_BITS, true);
	while (depth < target) {
		unsigned chunk = (unsigned)fib_key_peek(&key, FIB_STRIDE);
		bool found = fib_has(node->children, chunk);
		unsigned common;

		if (found)
			node_own(fib, node);
		else
			node_reshape(
				fib, node, node->children | (uint64_t)1 << chunk, node->prefixes);
		node = node_child(node, chunk);
		fib_key_advance(&key, FIB_STRIDE, true);
		depth += FIB_STRIDE;
		if (!found) {
			unsigned skip =
				target - depth < FIB_SKIP_MAX ? target - depth : FIB_SKIP_MAX;

			node->skip = skip_make(fib_key_peek(&key, skip), skip);
		}
		common = skip_common(node, &key, target - depth);
		if (common < skip_bits(node))
			node_split(fib, node, common);
		if (common != 0)
			fib_key_advance(&key, common, true);
		depth += common;
	}
	bit = prefix_bit(&key, len - target);
	if (fib_has(node->prefixes, bit))
		node_own(fib, node);
	else
		node_reshape(fib, node, node->children, node->prefixes | (uint64_t)1 << bit);
	((uint32_t *)fib_node_values(node))[fib_rank(node->prefixes, bit)] = value;
}

/* Replace a node that only leads to one child by that child, when the bits between fit. */
static void node_merge(struct fib *fib, struct fib_node *node)
{
	struct fib_node child = node->block[0];
	unsigned above = skip_bits(node), below = skip_bits(&child);
	unsigned chunk = (unsigned)__builtin_ctzll(node->children);

	if (above + FIB_STRIDE + below > FIB_SKIP_MAX)
		return;
	child.skip = skip_make(((node->skip >> 8) << FIB_STRIDE | chunk) << below | child.skip >> 8,
		above + FIB_STRIDE + below);
	block_drop(fib, node->block, block_size(node->children, 0));
	*node = child;
}

/* Remove a prefix that is there, and the nodes that nothing needs any more. */
static void node_remove(struct fib *fib, struct fib_key key, unsigned len)
{
	struct fib_node *path[PATH_MAX_NODES];
	unsigned chunks[PATH_MAX_NODES];
	unsigned target = depth_of(len);
	unsigned depth = FIB_TOP_BITS;
	unsigned last = 0;

	path[0] = &fib->root[fib_key_peek(&key, FIB_TOP_BITS)];
	fib_key_advance(&key, FIB_TOP_BITS, true);
	while (depth < target) {
		unsigned chunk = (unsigned)fib_key_peek(&key, FIB_STRIDE);
		unsigned pass;

		node_own(fib, path[last]);
		chunks[last] = chunk;
		path[last + 1] = node_child(path[last], chunk);
		last++;
		fib_key_advance(&key, FIB_STRIDE, true);
		pass = skip_bits(path[last]);
		if (pass != 0)
			fib_key_advance(&key, pass, true);
		depth += FIB_STRIDE + pass;
	}
	node_reshape(fib, path[last], path[last]->children,
		path[last]->prefixes & ~((uint64_t)1 << prefix_bit(&key, len - target)));
	for (; last > 0 && path[last]->prefixes == 0; last--) {
		if (path[last]->children != 0) {
			if (fib_bits(path[last]->children) == 1)
				node_merge(fib, path[last]);
			return;
		}
		node_reshape(fib, path[last - 1],
			path[last - 1]->children & ~((uint64_t)1 << chunks[last - 1]),
			path[last - 1]->prefixes);
	}
}

/* Set a prefix of 0..6 bits and what its slots fall back to. */
static void top_set(struct fib *fib, const struct fib_key *key, unsigned len, uint32_t value)
{
	unsigned span = FIB_ROOT_SLOTS >> len;
	unsigned first = (unsigned)fib_key_peek(key, len) * span;

	fib->top[prefix_bit(key, len)] = value;
	for (unsigned slot = first; slot < first + span; slot++) {
		uint32_t best = FIB_NONE;

		for (unsigned l = 0; l < FIB_TOP_BITS; l++) {
			uint32_t exact = fib->top[(1u << l) - 1 + (slot >> (FIB_TOP_BITS - l))];

			best = exact != FIB_NONE ? exact : best;
		}
		fib->fallback[slot] = best;
	}
}

/* Reserve what one edit may need, so that nothing fails half-way. */
static int edit_reserve(struct fib *fib)
{
	struct fib *base = fib->base;

	if (base != NULL && base->replaced_room - base->replaced_count < EDIT_BLOCKS) {
		size_t room = base->replaced_room * 2 + EDIT_BLOCKS;
		void **replaced = realloc(base->replaced, room * sizeof(*replaced));

		if (replaced == NULL)
			return -ENOMEM;
		base->replaced = replaced;
		base->replaced_room = room;
	}
	return fib_heap_reserve(fib->table->heap, EDIT_BLOCKS);
}

static bool prefix_is_valid(const struct fib *fib, const struct ip_prefix *prefix)
{
	return prefix->addr.family == fib->family && prefix->len <= ip_family_bits(fib->family);
}

int fib_set(struct fib *fib, const struct ip_prefix *prefix, uint32_t value, uint32_t *old)
{
	struct fib_key key;
	uint32_t had;
	int ret;

	if (fib->sealed || !prefix_is_valid(fib, prefix))
		return -EINVAL;
	had = fib_get(fib, prefix);
	if (had != value) {
		ret = edit_reserve(fib);
		if (ret < 0)
			return ret;
		key = fib_key_load(prefix->addr.bytes, fib->family == IP_V6);
		if (prefix->len < FIB_TOP_BITS)
			top_set(fib, &key, prefix->len, value);
		else if (value != FIB_NONE)
			node_insert(fib, key, prefix->len, value);
		else
			node_remove(fib, key, prefix->len);
		fib->count += (size_t)(had == FIB_NONE) - (size_t)(value == FIB_NONE);
	}
	if (old != NULL)
		*old = had;
	return 0;
}

uint32_t fib_get(const struct fib *fib, const struct ip_prefix *prefix)
{
	const struct fib_node *node;
	struct fib_key key;
	unsigned bit;

	if (!prefix_is_valid(fib, prefix))
		return FIB_NONE;
	key = fib_key_load(prefix->addr.bytes, fib->family == IP_V6);
	if (prefix->len < FIB_TOP_BITS)
		return fib->top[prefix_bit(&key, prefix->len)];
	node = node_find(fib, key, prefix->len, &bit);
	return node != NULL ? fib_node_values(node)[fib_rank(node->prefixes, bit)] : FIB_NONE;
}

static struct fib *version_new(struct fib_table *table)
{
	struct fib *fib = aligned_alloc(_Alignof(struct fib), sizeof(*fib));

	if (fib == NULL)
		return NULL;
	memset(fib, 0, sizeof(*fib));
	fib->table = table;
	fib->id = ++table->ids;
	fib->memory = sizeof(*fib);
	table->versions++;
	return fib;
}

static void version_free(struct fib *fib)
{
	struct fib_table *table = fib->table;

	free(fib->replaced);
	free(fib);
	if (--table->versions == 0) {
		fib_heap_free(table->heap);
		free(table);
	}
}

struct fib *fib_new(uint8_t family)
{
	struct fib_table *table = calloc(1, sizeof(*table));
	struct fib *fib;

	if (table == NULL)
		return NULL;
	table->heap = fib_heap_new();
	if (table->heap == NULL)
		goto free_table;
	fib = version_new(table);
	if (fib == NULL)
		goto free_heap;
	fib->family = family;
	return fib;
free_heap:
	fib_heap_free(table->heap);
free_table:
	free(table);
	return NULL;
}

struct fib *fib_edit(struct fib *base)
{
	struct fib *fib = version_new(base->table);

	if (fib == NULL)
		return NULL;
	memcpy(fib->root, base->root, sizeof(fib->root));
	memcpy(fib->fallback, base->fallback, sizeof(fib->fallback));
	memcpy(fib->top, base->top, sizeof(fib->top));
	fib->family = base->family;
	fib->count = base->count;
	fib->memory = base->memory;
	fib->base = base;
	base->sealed = true;
	return fib;
}

void fib_seal(struct fib *fib)
{
	fib->sealed = true;
}

/* Release the blocks below a node that this version made. A block it didn't make has none of its
 * blocks below. */
static void node_abort(struct fib *fib, struct fib_node *node)
{
	if (!fib_needs_block(node->children, node->prefixes) || !node_is_owned(fib, node))
		return;
	for (unsigned i = 0; i < fib_bits(node->children); i++)
		node_abort(fib, &node->block[i]);
	fib_heap_release(fib->table->heap, node->block);
}

void fib_abort(struct fib *fib)
{
	if (fib->base != NULL)
		fib->base->replaced_count = 0;
	for (unsigned slot = 0; slot < FIB_ROOT_SLOTS; slot++)
		node_abort(fib, &fib->root[slot]);
	version_free(fib);
}

void fib_free_version(void *base)
{
	struct fib *fib = base;

	for (size_t i = 0; i < fib->replaced_count; i++)
		fib_heap_release(fib->table->heap, fib->replaced[i]);
	version_free(fib);
}

void fib_free(struct fib *fib)
{
	version_free(fib);
}

size_t fib_count(const struct fib *fib)
{
	return fib->count;
}

size_t fib_memory(const struct fib *fib)
{
	return fib->memory;
}

size_t fib_memory_held(const struct fib *fib)
{
	return fib_heap_used(fib->table->heap) + fib->table->versions * sizeof(*fib);
}
