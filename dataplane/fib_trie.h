/* SPDX-License-Identifier: Apache-2.0 */
/** The layout of a FIB version, shared by lookup (fib_lookup.c) and edits (fib.c); nobody else
 * includes it.
 *
 * A tree bitmap with six-bit strides and path compression, so a /128 needs no chain of one-child
 * nodes:
 *
 *   bits  0..6   the version: top[] has exact prefixes, fallback[] the best for each of 128 slots
 *   bits  7..12  root[128]
 *   bits 13..18  nodes in root's blocks, and so on: 19..24, 25..30, 31.. up to 127..128
 *
 * A /24 and a /48 are both the last length of a stride, so 32 siblings share one node. A node at
 * depth d holds the prefixes of d..d+5 bits exactly (nothing is expanded, so a delete restores the
 * covering prefix by itself) and, by the next six bits, its children. Children lie in one array: a
 * level costs one dependent load.
 *
 * Sharing: a block belongs to the version whose id it carries; others only read it. Blocks of
 * published versions never change. Bits are counted from the most significant bit of the
 * address.
 */
#ifndef DATAPLANE_FIB_TRIE_H
#define DATAPLANE_FIB_TRIE_H

#include "config/address.h"
#include "dataplane/fib_heap.h"

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FIB_TOP_BITS   7u
#define FIB_ROOT_SLOTS (1u << FIB_TOP_BITS)
#define FIB_STRIDE     6u
#define FIB_SKIP_MAX   54u /* bits; a whole number of strides */
#define FIB_INLINE_MAX 2u  /* values that fit in the place of the block pointer */

struct fib_node {
	/* Prefix of r more bits v (r = 0..5) is bit (1 << r) - 1 + v: the longer the match, the
	 * higher the bit. */
	uint64_t prefixes;
	uint64_t children; /* bit by the next six bits */
	/* The block has the children in order, then the values in order of prefixes, then in its
	 * last 8 bytes its owner's id. A node without children and with few values has them here
	 * instead. */
	union {
		struct fib_node *block;
		uint32_t values[FIB_INLINE_MAX];
	};
	/* Bits between the parent's stride and this node, << 8 | how many they are; 0 is none. */
	uint64_t skip;
};
static_assert(sizeof(struct fib_node) == FIB_HEAP_GRANULE, "a node never crosses a cache line");

/** What all versions of one table share. Control thread only. */
struct fib_table {
	struct fib_heap *heap;
	unsigned versions; /* not freed yet; the last one takes the table with it */
	uint64_t ids;	   /* handed out so far */
};

/** One version. */
struct fib {
	/* Read by lookups; immutable once sealed. */
	struct fib_node root[FIB_ROOT_SLOTS];
	uint32_t fallback[FIB_ROOT_SLOTS];
	/* Prefixes of 0..6 bits, indexed as the bits of fib_node.prefixes. */
	uint32_t top[FIB_ROOT_SLOTS - 1];
	uint8_t family;
	/* Control thread only, from here on. */
	_Alignas(64) struct fib_table *table;
	struct fib *base; /* what it was cloned from; NULL for the first. Valid until published */
	void **replaced;  /* my blocks that my child version has no use for: freed with me */
	size_t replaced_count, replaced_room;
	uint64_t id; /* of blocks that this version made */
	size_t count;
	size_t memory;
	bool sealed;
};

/** What of an address is still to be matched, from the top bit of hi. IPv4 never uses lo. */
struct fib_key {
	uint64_t hi, lo;
};

static inline struct fib_key fib_key_load(const uint8_t *addr, bool is_v6)
{
	struct fib_key key = { 0, 0 };
	uint32_t word;

	if (is_v6) {
		memcpy(&key, addr, sizeof(key));
		key.hi = be64toh(key.hi);
		key.lo = be64toh(key.lo);
	} else {
		memcpy(&word, addr, sizeof(word));
		key.hi = (uint64_t)be32toh(word) << 32;
	}
	return key;
}

/** Pass bits of the key; 1..63. */
static inline void fib_key_advance(struct fib_key *key, unsigned bits, bool is_v6)
{
	key->hi <<= bits;
	if (is_v6) {
		key->hi |= key->lo >> (64 - bits);
		key->lo <<= bits;
	}
}

/** The next bits of the key as a number; 0..63. */
static inline uint64_t fib_key_peek(const struct fib_key *key, unsigned bits)
{
	return key->hi >> 1 >> (63 - bits);
}

static inline unsigned fib_bits(uint64_t bitmap)
{
	return (unsigned)__builtin_popcountll(bitmap);
}

/** How many elements of a bitmap's array come before that of a bit. */
static inline unsigned fib_rank(uint64_t bitmap, unsigned bit)
{
	return fib_bits(bitmap & (((uint64_t)1 << bit) - 1));
}

static inline bool fib_has(uint64_t bitmap, unsigned bit)
{
	return (bitmap >> bit & 1) != 0;
}

static inline bool fib_needs_block(uint64_t children, uint64_t prefixes)
{
	return children != 0 || fib_bits(prefixes) > FIB_INLINE_MAX;
}

static inline const uint32_t *fib_node_values(const struct fib_node *node)
{
	if (!fib_needs_block(node->children, node->prefixes))
		return node->values;
	return (const uint32_t *)(node->block + fib_bits(node->children));
}

#endif
