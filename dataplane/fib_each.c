/* SPDX-License-Identifier: Apache-2.0 */
/* Listing: depth first over each node's prefixes as a binary tree, which is the order of
 * addresses. */
#include "dataplane/fib.h"
#include "dataplane/fib_trie.h"

/* An address under construction, its first bit the most significant. */
typedef unsigned __int128 bits128;

struct visitor {
	const struct fib *fib;
	int (*visit)(const struct ip_prefix *prefix, uint32_t value, void *arg);
	void *arg;
};

static int each_node(
	const struct visitor *v, const struct fib_node *node, bits128 at, unsigned depth);

static bits128 append(bits128 at, unsigned depth, uint64_t value, unsigned bits)
{
	return value != 0 ? at | (bits128)value << (128 - depth - bits) : at;
}

static int each_prefix(const struct visitor *v, bits128 at, unsigned len, uint32_t value)
{
	struct ip_prefix prefix = { .addr.family = v->fib->family, .len = (uint8_t)len };

	for (unsigned i = 0; i < 16; i++, at <<= 8)
		prefix.addr.bytes[i] = (uint8_t)(at >> 120);
	return v->visit(&prefix, value, v->arg);
}

/* The part of a node under one prefix position: r more bits, equal to value. */
static int each_in_node(const struct visitor *v, const struct fib_node *node, bits128 at,
	unsigned depth, unsigned r, unsigned value)
{
	unsigned bit = (1u << r) - 1 + value;
	int ret = 0;

	if (fib_has(node->prefixes, bit))
		ret = each_prefix(v, append(at, depth, value, r), depth + r,
			fib_node_values(node)[fib_rank(node->prefixes, bit)]);
	for (unsigned next = 2 * value; ret == 0 && next < 2 * value + 2; next++) {
		if (r < FIB_STRIDE - 1)
			ret = each_in_node(v, node, at, depth, r + 1, next);
		else if (fib_has(node->children, next))
			ret = each_node(v, node->block + fib_rank(node->children, next),
				append(at, depth, next, FIB_STRIDE), depth + FIB_STRIDE);
	}
	return ret;
}

static int each_node(
	const struct visitor *v, const struct fib_node *node, bits128 at, unsigned depth)
{
	unsigned skip = (unsigned)(node->skip & 0xff);

	if ((node->prefixes | node->children) == 0)
		return 0;
	return each_in_node(v, node, append(at, depth, node->skip >> 8, skip), depth + skip, 0, 0);
}

static int each_top(const struct visitor *v, unsigned len, unsigned value)
{
	uint32_t exact = v->fib->top[(1u << len) - 1 + value];
	bits128 at = append(0, 0, value, len);
	int ret = exact != FIB_NONE ? each_prefix(v, at, len, exact) : 0;

	for (unsigned next = 2 * value; ret == 0 && next < 2 * value + 2; next++) {
		if (len < FIB_TOP_BITS - 1)
			ret = each_top(v, len + 1, next);
		else
			ret = each_node(v, &v->fib->root[next], append(0, 0, next, FIB_TOP_BITS),
				FIB_TOP_BITS);
	}
	return ret;
}

int fib_each(const struct fib *fib,
	int (*visit)(const struct ip_prefix *prefix, uint32_t value, void *arg), void *arg)
{
	struct visitor visitor = { fib, visit, arg };

	return each_top(&visitor, 0, 0);
}
