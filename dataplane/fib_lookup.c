/* SPDX-License-Identifier: Apache-2.0 */
/* The readers' side: runs on workers, touches only immutable memory. One walk serves both
 * families and all entry points; callers pass is_v6 as a constant. */
#include "dataplane/fib.h"
#include "dataplane/fib_trie.h"

/* Bits of fib_node.prefixes that contain an address whose next six bits are c. */
#define CONTAINING(c)                                                                      \
	(UINT64_C(1) | UINT64_C(1) << (1 + ((c) >> 5)) | UINT64_C(1) << (3 + ((c) >> 4)) | \
		UINT64_C(1) << (7 + ((c) >> 3)) | UINT64_C(1) << (15 + ((c) >> 2)) |       \
		UINT64_C(1) << (31 + ((c) >> 1)))
#define CONTAINING4(c) CONTAINING(c), CONTAINING((c) + 1), CONTAINING((c) + 2), CONTAINING((c) + 3)
#define CONTAINING16(c) \
	CONTAINING4(c), CONTAINING4((c) + 4), CONTAINING4((c) + 8), CONTAINING4((c) + 12)

static const uint64_t containing[64] = { CONTAINING16(0), CONTAINING16(16), CONTAINING16(32),
	CONTAINING16(48) };

struct walk {
	struct fib_key key;
	const struct fib_node *node;
	const struct fib_node *best; /* NULL: nothing longer than the fallback so far */
	uint64_t hits;		     /* prefixes of best that contain the address */
	unsigned depth;		     /* of node, before its skipped bits */
	unsigned best_depth;	     /* of best, after them */
	unsigned slot;
};

static inline __attribute__((always_inline)) struct walk walk_start(
	const struct fib *fib, const uint8_t *addr, bool is_v6)
{
	struct walk walk = { .key = fib_key_load(addr, is_v6), .depth = FIB_TOP_BITS };

	walk.slot = (unsigned)fib_key_peek(&walk.key, FIB_TOP_BITS);
	walk.node = &fib->root[walk.slot];
	fib_key_advance(&walk.key, FIB_TOP_BITS, is_v6);
	return walk;
}

/* Match in one node and go to its child, whose memory is not touched yet. @return false at the
 * end of the walk: nodes of the last stride have no children, so there is one. */
static inline __attribute__((always_inline)) bool walk_step(struct walk *walk, bool is_v6)
{
	const struct fib_node *node = walk->node;
	uint64_t hits;
	unsigned chunk;

	if (node->skip != 0) {
		unsigned bits = (unsigned)(node->skip & 0xff);

		if (fib_key_peek(&walk->key, bits) != node->skip >> 8)
			return false;
		fib_key_advance(&walk->key, bits, is_v6);
		walk->depth += bits;
	}
	chunk = (unsigned)fib_key_peek(&walk->key, FIB_STRIDE);
	hits = node->prefixes & containing[chunk];
	if (hits != 0) {
		walk->best = node;
		walk->hits = hits;
		walk->best_depth = walk->depth;
	}
	if (!fib_has(node->children, chunk))
		return false;
	walk->node = node->block + fib_rank(node->children, chunk);
	fib_key_advance(&walk->key, FIB_STRIDE, is_v6);
	walk->depth += FIB_STRIDE;
	return true;
}

static inline unsigned walk_longest(const struct walk *walk)
{
	return 63 - (unsigned)__builtin_clzll(walk->hits);
}

static inline const uint32_t *walk_value(const struct fib *fib, const struct walk *walk)
{
	if (walk->best == NULL)
		return &fib->fallback[walk->slot];
	return fib_node_values(walk->best) + fib_rank(walk->best->prefixes, walk_longest(walk));
}

static inline __attribute__((always_inline)) struct walk walk_all(
	const struct fib *fib, const uint8_t *addr, bool is_v6)
{
	struct walk walk = walk_start(fib, addr, is_v6);

	while (walk_step(&walk, is_v6))
		;
	return walk;
}

uint32_t fib_lookup(const struct fib *fib, const uint8_t *addr)
{
	struct walk walk =
		fib->family == IP_V6 ? walk_all(fib, addr, true) : walk_all(fib, addr, false);

	return *walk_value(fib, &walk);
}

/* Enough lanes to cover a cache miss with the work of the others. */
#define LANES 16u

static inline __attribute__((always_inline)) void lookup_lanes(const struct fib *fib,
	const uint8_t *const *addrs, uint32_t *values, unsigned n, bool is_v6)
{
	const uint32_t *found[LANES];
	struct walk walks[LANES];
	uint32_t live = (1u << n) - 1;

	for (unsigned i = 0; i < n; i++)
		walks[i] = walk_start(fib, addrs[i], is_v6);
	while (live != 0) {
		for (uint32_t todo = live; todo != 0; todo &= todo - 1) {
			unsigned i = (unsigned)__builtin_ctz(todo);

			if (walk_step(&walks[i], is_v6)) {
				__builtin_prefetch(walks[i].node);
				continue;
			}
			live &= ~(1u << i);
			found[i] = walk_value(fib, &walks[i]);
			__builtin_prefetch(found[i]);
		}
	}
	for (unsigned i = 0; i < n; i++)
		values[i] = *found[i];
}

void fib_lookup_bulk(
	const struct fib *fib, const uint8_t *const *addrs, uint32_t *values, unsigned n)
{
	for (unsigned done = 0; done < n; done += LANES) {
		unsigned lanes = n - done < LANES ? n - done : LANES;

		if (fib->family == IP_V6)
			lookup_lanes(fib, addrs + done, values + done, lanes, true);
		else
			lookup_lanes(fib, addrs + done, values + done, lanes, false);
	}
}

/* Length of the longest prefix of 0..6 bits that contains a slot; 0 also when there is none. */
static unsigned top_length(const struct fib *fib, unsigned slot)
{
	for (unsigned len = FIB_TOP_BITS - 1; len > 0; len--) {
		if (fib->top[(1u << len) - 1 + (slot >> (FIB_TOP_BITS - len))] != FIB_NONE)
			return len;
	}
	return 0;
}

uint32_t fib_lookup_prefix(const struct fib *fib, const uint8_t *addr, struct ip_prefix *matched)
{
	struct walk walk =
		fib->family == IP_V6 ? walk_all(fib, addr, true) : walk_all(fib, addr, false);
	struct ip_prefix host = { .addr.family = fib->family };

	memcpy(host.addr.bytes, addr, fib->family == IP_V6 ? 16 : 4);
	if (walk.best != NULL) /* bits 0, 1..2, 3..6, ... are lengths 0, 1, 2, ... */
		host.len = (uint8_t)(walk.best_depth + 31 -
				     (unsigned)__builtin_clz(walk_longest(&walk) + 1));
	else
		host.len = (uint8_t)top_length(fib, walk.slot);
	*matched = ip_prefix_canonical(&host);
	return *walk_value(fib, &walk);
}
