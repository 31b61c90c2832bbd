/* SPDX-License-Identifier: Apache-2.0 */
/* The prefix trie of the model's indexes against a plain array. */
#include "config/prefix_map.h"
#include "tests/unit/suite.h"

#include <stdlib.h>
#include <string.h>

#define CLAIMS_MAX 400

struct entry {
	struct ip_prefix prefix;
	struct claim *claim;
};

/* Claims carry their number where the model has a count. */
struct seen {
	bool is[CLAIMS_MAX];
	size_t count;
	int last; /* length before */
	bool ordered;
};

static unsigned roll(unsigned sides)
{
	return (unsigned)rand() % sides;
}

/* Of few bits that differ, so that prefixes nest, fork and coincide. */
static struct ip_prefix random_prefix(void)
{
	struct ip_prefix prefix = { 0 };
	unsigned bits;

	prefix.addr.family = roll(2) != 0 ? IP_V4 : IP_V6;
	bits = ip_family_bits(prefix.addr.family);
	prefix.addr.bytes[0] = (uint8_t)(roll(4) << 6);
	prefix.addr.bytes[1] = (uint8_t)roll(4);
	prefix.addr.bytes[bits / 8 - 1] = (uint8_t)roll(4);
	prefix.len = (uint8_t)(roll(3) == 0 ? bits : roll(4) == 0 ? roll(3) : roll(bits + 1));
	return ip_prefix_canonical(&prefix);
}

static int note(const struct ip_prefix *at, const struct claim *claim, void *arg)
{
	struct seen *seen = arg;

	/* No claim twice; `above` also promises shorter before longer. */
	seen->ordered = seen->ordered && !seen->is[claim->count] && at->len >= seen->last;
	if (seen->last >= 0)
		seen->last = at->len;
	seen->is[claim->count] = true;
	seen->count++;
	return 0;
}

static int stop_at_third(const struct ip_prefix *at, const struct claim *claim, void *arg)
{
	(void)at;
	(void)claim;
	return ++*(unsigned *)arg == 3 ? 42 : 0;
}

static void check_prefix(
	const struct prefix_map *map, const struct entry *entries, const struct ip_prefix *p)
{
	struct seen above = { .ordered = true }, below = { .ordered = true, .last = -1 };
	const struct claim *list = prefix_map_get(map, p);
	size_t want_above = 0, want_below = 0, at = 0, want_at = 0;
	bool good = true;
	unsigned calls = 0;

	prefix_map_above(map, p, note, &above);
	prefix_map_below(map, p, note, &below);
	for (; list != NULL; list = list->next)
		at++;
	for (size_t i = 0; i < CLAIMS_MAX; i++) {
		const struct ip_prefix *q = &entries[i].prefix;
		bool is_above, is_below;

		if (entries[i].claim == NULL)
			continue;
		is_above = q->len <= p->len && ip_prefix_contains(q, &p->addr);
		is_below = q->len > p->len && ip_prefix_contains(p, &q->addr);
		want_above += is_above;
		want_below += is_below;
		want_at += ip_prefix_equal(p, q);
		good = good && above.is[i] == is_above && below.is[i] == is_below;
	}
	CU_ASSERT_TRUE(good && above.ordered && below.ordered);
	CU_ASSERT_EQUAL(above.count, want_above);
	CU_ASSERT_EQUAL(below.count, want_below);
	CU_ASSERT_EQUAL(at, want_at);
	CU_ASSERT_EQUAL(prefix_map_below(map, p, stop_at_third, &calls), want_below >= 3 ? 42 : 0);
}

static void against_an_array(void)
{
	static struct entry entries[CLAIMS_MAX];
	struct prefix_map map = { 0 };

	srand(5);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = roll(CLAIMS_MAX);
		struct entry *entry = &entries[i];
		struct ip_prefix probe = random_prefix();

		if (entry->claim != NULL) {
			prefix_map_remove(&map, &entry->prefix, entry->claim);
			entry->claim = NULL;
		} else {
			entry->prefix = random_prefix();
			entry->claim = prefix_map_add(&map, &entry->prefix, CLAIM_NEXT_HOP, NULL);
			entry->claim->count = i;
		}
		check_prefix(&map, entries, round % 2 == 0 ? &probe : &entry->prefix);
	}
	for (unsigned i = 0; i < CLAIMS_MAX; i++) {
		if (entries[i].claim != NULL)
			prefix_map_remove(&map, &entries[i].prefix, entries[i].claim);
	}
	/* No node outlives what it was for. */
	CU_ASSERT_PTR_NULL(map.root[0]);
	CU_ASSERT_PTR_NULL(map.root[1]);
}

static const struct test_case cases[] = {
	{ "prefix trie against an array", against_an_array },
};
SUITE_MAIN("config prefixes", cases)
