/* SPDX-License-Identifier: Apache-2.0 */
/** The bench's parts that can be wrong without anyone seeing it: files of scenarios, sizes, statistics, counting. */
#include "perf/bench.h"
#include "perf/packets.h"
#include "perf/steps.h"
#include "perf/suite.h"
#include "perf/symbols.h"
#include "perf/tables.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <stdlib.h>

static void test_samples(void)
{
	struct samples s = { .count = 0 };

	for (int i = 9; i >= 1; i--)
		samples_add(&s, i);
	CU_ASSERT_DOUBLE_EQUAL(samples_median(&s), 5, 0);
	CU_ASSERT_DOUBLE_EQUAL(samples_min(&s), 1, 0);
	CU_ASSERT_DOUBLE_EQUAL(samples_max(&s), 9, 0);
	CU_ASSERT_DOUBLE_EQUAL(samples_spread(&s), 100 * (7 - 3) / 5.0, 1e-9);
	samples_add(&s, 10);
	CU_ASSERT_DOUBLE_EQUAL(samples_median(&s), 5.5, 0);
}

static void test_sizes(void)
{
	struct packets_sizes sizes;

	CU_ASSERT_TRUE(packets_sizes_parse("64", &sizes));
	CU_ASSERT_EQUAL(sizes.items[0].bytes, 64);
	CU_ASSERT_TRUE(packets_sizes_parse("imix", &sizes));
	CU_ASSERT_DOUBLE_EQUAL(packets_sizes_mean(&sizes), (7 * 64 + 4 * 594 + 1518) / 12.0, 1e-9);
	CU_ASSERT_FALSE(packets_sizes_parse("63", &sizes));
	CU_ASSERT_FALSE(packets_sizes_parse("1901", &sizes));
	CU_ASSERT_FALSE(packets_sizes_parse("", &sizes));
	CU_ASSERT_FALSE(packets_sizes_parse("64x", &sizes));
	CU_ASSERT_FALSE(packets_sizes_parse("small", &sizes));
}

static void test_suite_rows(void)
{
	struct error err = { 0 };
	struct suite suite;

	CU_ASSERT_EQUAL_FATAL(
		suite_load_text(
			"repeats = 5; runs: ("
			"{ scenarios = [ \"ipv4-l3\", \"ipv4-ipip-encap\" ]; flows = [ 1, 1000 ];"
			"  sizes = [ \"64\", \"imix\" ]; memory = [ \"cold\" ]; targets = [ 20.0, "
			"25.0 ]; },"
			"{ scenarios = [ \"ipv6-l3\" ]; sizes = [ \"imix\" ]; memory = [ \"cold\" "
			"];"
			"  relative_to = [ \"ipv4-l3\" ]; at_most = 1.5; } );",
			&suite, &err),
		0);
	CU_ASSERT_EQUAL_FATAL(suite.count, 9);
	CU_ASSERT_STRING_EQUAL(suite.rows[0].scenario->name, "ipv4-l3");
	CU_ASSERT_EQUAL(suite.rows[0].flows, 1);
	CU_ASSERT_EQUAL(suite.rows[0].repeats, 5);
	CU_ASSERT_TRUE(suite.rows[0].cold);
	CU_ASSERT_DOUBLE_EQUAL(suite.rows[0].target, 20, 0);
	CU_ASSERT_EQUAL(suite.rows[3].flows, 1000);
	CU_ASSERT_STRING_EQUAL(suite.rows[3].size, "imix");
	CU_ASSERT_DOUBLE_EQUAL(suite.rows[3].target, 25, 0);
	CU_ASSERT_STRING_EQUAL(suite.rows[4].scenario->name, "ipv4-ipip-encap");
	CU_ASSERT_PTR_EQUAL(suite.rows[8].base, &suite.rows[3]); /* 1000 flows, imix, cold */
	CU_ASSERT_DOUBLE_EQUAL(suite.rows[8].at_most, 1.5, 0);
	CU_ASSERT_STRING_EQUAL(suite.rows[8].isa, "best");
	suite_free(&suite);
}

static void test_suite_refused(void)
{
	static const struct {
		const char *text, *because;
	} refused[] = {
		{ "runs: ( { scenarios = [ \"ipv4-l4\" ]; } );",
			"there is no scenario \"ipv4-l4\"" },
		{ "runs: ( { flows = [ 1 ]; } );", "needs scenarios" },
		{ "runs: ( { scenarios = \"ipv4-l3\"; } );", "scenarios is a list" },
		{ "runs: ( { scenarios = [ \"ipv4-l3\" ]; flows = [ 0 ]; } );",
			"flows takes numbers from 1" },
		{ "runs: ( { scenarios = [ \"ipv4-l3\" ]; sizes = [ \"9000\" ]; } );",
			"sizes takes" },
		{ "runs: ( { scenarios = [ \"ipv4-l3\" ]; memory = [ \"tepid\" ]; } );",
			"memory takes" },
		{ "runs: ( { scenarios = [ \"ipv4-l3\" ]; isa = [ \"mmx\" ]; } );", "isa takes" },
		{ "runs: ( { scenarios = [ \"ipv4-l3\" ]; flow = [ 1 ]; } );",
			"no setting \"flow\"" },
		{ "runs: ( { scenarios = [ \"ipv4-l3\" ]; flows = [ 1, 2 ]; targets = [ 1.0 ]; } "
		  ");",
			"one figure for each" },
		{ "runs: ( { scenarios = [ \"ipv6-l3\" ]; relative_to = [ \"ipv4-l3\" ]; at_most = "
		  "1.3; } );",
			"does not come before" },
		{ "repeats = 0; runs: ( { scenarios = [ \"ipv4-l3\" ]; } );", "repeats takes" },
		{ "repeats = 3;", "runs" },
		{ "runs: ( {", "text:" },
	};

	for (size_t i = 0; i < RTE_DIM(refused); i++) {
		struct error err = { 0 };
		struct suite suite;

		CU_ASSERT_EQUAL(suite_load_text(refused[i].text, &suite, &err), -EINVAL);
		if (strstr(err.text, refused[i].because) == NULL)
			printf(" \"%s\" ", err.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, refused[i].because));
	}
}

/** The same table every time, of canonical prefixes, mostly the lengths that the Internet's has. */
static void test_prefixes(void)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		uint64_t state = 7, again = 7;
		unsigned usual = 0, n = 20000;

		for (unsigned i = 0; i < n; i++) {
			struct ip_prefix p, q;

			tables_prefix(v6, &state, &p);
			tables_prefix(v6, &again, &q);
			CU_ASSERT_FATAL(ip_prefix_is_canonical(&p) && ip_prefix_equal(&p, &q));
			CU_ASSERT_FATAL(p.addr.family == (v6 ? IP_V6 : IP_V4) &&
					!ip_addr_is_multicast(&p.addr));
			usual += p.len == (v6 ? 48 : 24);
		}
		CU_ASSERT_TRUE(
			usual > n * (v6 ? 44 : 58) / 100 && usual < n * (v6 ? 48 : 62) / 100);
	}
}

/* --- counting: a loop of a known number of instructions ----------------------------------------------------------- */

static volatile uint64_t sink;

__attribute__((noinline)) static void inner_loop(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		sink++;
}

__attribute__((noinline)) static void outer_work(void *arg)
{
	inner_loop(*(uint64_t *)arg);
	sink++;
}

static void test_steps(void)
{
	uint64_t n = 100, twice = 200, self = 0;
	struct steps once, more;
	char name[64];
	int ret = steps_count(outer_work, &n, &once);

	if (ret == -EPERM || ret == -ENOSYS) {
		printf(" not allowed to trace here: skipped ");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(ret, 0);
	CU_ASSERT_EQUAL_FATAL(steps_count(outer_work, &twice, &more), 0);
	/* Each turn costs the same; the rest is what outer_work and the entry cost. */
	CU_ASSERT_EQUAL((more.total - once.total) % 100, 0);
	CU_ASSERT_TRUE((more.total - once.total) / 100 >= 3);
	for (size_t i = 0; i < once.n_functions; i++)
		self += once.functions[i].count;
	CU_ASSERT_EQUAL(self, once.total);
	CU_ASSERT_STRING_EQUAL(once.functions[0].name, "inner_loop");
	CU_ASSERT_STRING_EQUAL(more.functions[0].name, "inner_loop");
	CU_ASSERT_EQUAL(more.functions[0].count - once.functions[0].count, more.total - once.total);
	CU_ASSERT_TRUE(once.total > once.functions[0].count);
	CU_ASSERT_EQUAL(sink, 302);
	free(once.functions);
	free(more.functions);
	symbol_name((uintptr_t)outer_work, name, sizeof(name));
	CU_ASSERT_STRING_EQUAL(name, "outer_work");
	CU_ASSERT_EQUAL(symbol_address("outer_work"), (uintptr_t)outer_work);
}

static const struct test_case cases[] = {
	{ "samples", test_samples },
	{ "sizes", test_sizes },
	{ "rows of a file", test_suite_rows },
	{ "files refused", test_suite_refused },
	{ "prefixes", test_prefixes },
	{ "steps", test_steps },
};
SUITE_MAIN("bench", cases)
