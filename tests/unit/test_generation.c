/* SPDX-License-Identifier: Apache-2.0 */
/** Which destinations a change of a prefix touches: all it covers, and few others. */
#include "dataplane/generation.h"
#include "tests/unit/suite.h"

#include <stdio.h>

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(text, &a), 0);
	return a;
}

static uint16_t slot_of(const struct ip_addr *a)
{
	uint32_t word;

	if (a->family == IP_V6)
		return generation_dst6(a->bytes);
	memcpy(&word, a->bytes, 4);
	return generation_dst4(word);
}

static uint32_t generation_of(const char *text)
{
	struct ip_addr a = addr(text);

	return generation_get(slot_of(&a));
}

static void bump(const char *text)
{
	struct ip_prefix p;

	CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(text, &p), 0);
	generation_bump_prefix(&p);
}

static void test_covers(void)
{
	static const struct {
		const char *prefix, *inside[4];
	} cases[] = {
		{ "10.1.2.3", { "10.1.2.3", "10.1.2.4", NULL } },
		{ "10.1.2.0/24", { "10.1.2.0", "10.1.2.255", NULL } },
		{ "10.1.2.77/25", { "10.1.2.1", NULL } },
		{ "10.1.0.0/16", { "10.1.0.0", "10.1.128.9", "10.1.255.255", NULL } },
		{ "10.8.0.0/13", { "10.8.0.1", "10.15.255.255", "10.12.1.1", NULL } },
		{ "10.16.0.0/12", { "10.16.0.1", "10.31.255.255", NULL } },
		{ "0.0.0.0/0", { "1.1.1.1", "203.0.113.1", "255.255.255.255", NULL } },
		{ "fd00:1:2:3::1", { "fd00:1:2:3::1", "fd00:1:2:3:ffff::", NULL } },
		{ "fd00:1:2:3::/64", { "fd00:1:2:3::", NULL } },
		{ "fd00:1:2:3::/63", { "fd00:1:2:2::1", "fd00:1:2:3::1", NULL } },
		{ "fd00:1:2:f000::/53", { "fd00:1:2:f000::1", "fd00:1:2:f7ff::1", NULL } },
		{ "fd00:1:2::/48", { "fd00:1:2::1", "fd00:1:2:ffff::1", NULL } },
		{ "::/0", { "2001:db8::1", NULL } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t before[4] = { 0 };

		for (unsigned k = 0; cases[i].inside[k] != NULL; k++)
			before[k] = generation_of(cases[i].inside[k]);
		bump(cases[i].prefix);
		for (unsigned k = 0; cases[i].inside[k] != NULL; k++) {
			if (generation_of(cases[i].inside[k]) == before[k])
				printf("\n    %s leaves %s\n", cases[i].prefix, cases[i].inside[k]);
			CU_ASSERT_NOT_EQUAL(generation_of(cases[i].inside[k]), before[k]);
		}
	}
}

/** A change of one /24 or /64 leaves all slots but one alone. */
static void test_spares(void)
{
	static const char *const prefixes[] = { "10.244.2.0/24", "10.244.2.9", "fd00:244:2::/64",
		"fd00:244:2::9" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		static uint32_t before[GENERATION_SLOTS];
		unsigned changed = 0;

		for (uint32_t s = 0; s < GENERATION_SLOTS; s++)
			before[s] = generation_get((uint16_t)s);
		bump(prefixes[i]);
		for (uint32_t s = 0; s < GENERATION_SLOTS; s++)
			changed += generation_get((uint16_t)s) != before[s];
		CU_ASSERT_EQUAL(changed, 1);
	}
}

/** The /24s of a node's pools spread over the slots, rather than share one. */
static void test_spread(void)
{
	static bool seen[GENERATION_DST_SLOTS];
	unsigned distinct = 0;

	for (unsigned i = 0; i < 256; i++) {
		char text[IP_TEXT_MAX];
		struct ip_addr a;
		uint16_t slot;

		snprintf(text, sizeof(text), "10.244.%u.1", i);
		a = addr(text);
		slot = slot_of(&a);
		CU_ASSERT_TRUE_FATAL(slot < GENERATION_DST_SLOTS);
		distinct += !seen[slot];
		seen[slot] = true;
	}
	CU_ASSERT_TRUE(distinct > 200);
}

static void test_zones_and_epoch(void)
{
	uint32_t epoch = generation_epoch(), zone5 = generation_get(generation_zone(5));
	uint32_t tunnel = generation_get(generation_zone(0x010000));

	generation_bump_zone(4);
	CU_ASSERT_EQUAL(generation_get(generation_zone(5)), zone5);
	generation_bump_zone(5);
	CU_ASSERT_EQUAL(generation_get(generation_zone(5)), zone5 + 1);
	CU_ASSERT_EQUAL(generation_get(generation_zone(0x010000)), tunnel);
	generation_bump_zone(0x010000);
	CU_ASSERT_EQUAL(generation_get(generation_zone(0x010000)), tunnel + 1);
	CU_ASSERT_EQUAL(generation_epoch(), epoch); /* nothing is looked at before the commit */
	generation_commit();
	CU_ASSERT_EQUAL(generation_epoch(), epoch + 1);
}

static const struct test_case cases[] = {
	{ "a prefix covers its addresses", test_covers },
	{ "a prefix spares the others", test_spares },
	{ "pools spread", test_spread },
	{ "zones and epoch", test_zones_and_epoch },
};

SUITE_MAIN("generation", cases)
