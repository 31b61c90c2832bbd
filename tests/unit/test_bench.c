/* SPDX-License-Identifier: Apache-2.0 */
/** The bench's parts that can be wrong without anyone seeing it: files of scenarios, sizes, statistics, counting. */
#include "perf/bench.h"
#include "perf/packets.h"
#include "perf/steps.h"
#include "perf/suite.h"
#include "perf/symbols.h"
#include "perf/tables.h"
#include "perf/verify.h"
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
		{ "runs: ( { scenarios = [ \"ipv4-l3\" ]; routes = \"many\"; } );",
			"routes takes" },
		{ "runs: ( { scenarios = [ \"ipv4-l3\" ];\n rules = 100001; } );",
			"text:2: rules takes" },
		{ "runs: ( { scenarios = [ \"ipv4-l3\" ]; at_most = 1.3; } );", "belong together" },
		{ "runs: ( { scenarios = [ \"ipv4-l3\" ]; }, { scenarios = [ \"ipv4-l3\" ];"
		  " relative_to = [ \"ipv4-l3\" ]; at_most = 1.3; targets = [ 1.0 ]; } );",
			"not both" },
		{ "repeats = \"few\"; runs: ( { scenarios = [ \"ipv4-l3\" ]; } );",
			"repeats takes" },
		{ "runs: ( );", "runs" },
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

/* --- what packets must be at the end -------------------------------------------------------------------------------- */

/** The Internet checksum into a header. */
static void put_sum(uint8_t *ip)
{
	uint32_t sum = 0;

	ip[10] = ip[11] = 0;
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}

/** An IPv4 or IPv6 packet of `len` bytes with a body that counts. */
static void put_packet(uint8_t *at, bool v6, uint32_t len, uint8_t ttl)
{
	for (uint32_t i = 0; i < len; i++)
		at[i] = (uint8_t)(i * 7 + 1);
	if (v6) {
		memcpy(at, "\x60\0\0\0\0\x08\x11", 7);
		at[7] = ttl;
	} else {
		memcpy(at, "\x45\0\0\x1c\x12\x34\0\0", 8);
		at[8] = ttl;
		at[9] = 17;
		put_sum(at);
	}
}

/** Every byte of a right answer is looked at, but for those that are the path's own choice. */
static void check_every_byte(const struct verify *v, const uint8_t *in, uint32_t in_len,
	uint8_t *out, uint32_t out_len, uint32_t first_free, uint32_t n_free)
{
	CU_ASSERT_PTR_NULL(verify_frame(v, in, in_len, out, out_len));
	CU_ASSERT_PTR_NOT_NULL(verify_frame(v, in, in_len, out, out_len - 1));
	for (uint32_t i = 0; i < out_len; i++) {
		out[i] ^= 0x40;
		if ((verify_frame(v, in, in_len, out, out_len) == NULL) !=
			(i >= first_free && i < first_free + n_free))
			CU_FAIL("a wrong byte was not seen, or a free one was");
		out[i] ^= 0x40;
	}
}

static void test_verify_l3(void)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct verify v = { .scenario = plane_scenario_find(v6 ? "ipv6-l3" : "ipv4-l3"),
			.inner_ip = 14,
			.gateway = { { 2, 0x70, 0x6f, 0x64, 0x6c, 1 } },
			.pod = { { 2, 0, 0, 0, 0, 0x0b } } };
		uint32_t ip = v6 ? 48 : 28;
		uint8_t in[64] = { 0 }, out[64];

		put_packet(in + 14, v6, ip, 64);
		memcpy(out, "\2\0\0\0\0\x0b\2\x70\x6f\x64\x6c\1", 12);
		memcpy(out + 12, v6 ? "\x86\xdd" : "\x08\0", 2);
		put_packet(out + 14, v6, ip, 63);
		check_every_byte(&v, in, 14 + ip, out, 14 + ip, 0, 0);
	}
}

static void test_verify_vxlan(void)
{
	struct verify v = { .scenario = plane_scenario_find("ipv4-vxlan-encap"),
		.inner_ip = 14,
		.uplink = { { 2, 1, 1, 1, 1, 1 } } };
	uint8_t in[64] = { 0 }, out[128];

	put_packet(in + 14, false, 28, 9);
	memcpy(out, "\2\0\0\0\2\2\2\1\1\1\1\1\x08\0", 14);
	memcpy(out + 14, "\x45\0\0\x4e\x77\x77\0\0\x40\x11\0\0\xc0\0\2\1\xc0\0\2\2", 20);
	put_sum(out + 14);
	memcpy(out + 34, "\xd0\xd1\x21\x18\0\x3a\0\0\x08\0\0\0\0\0\1\0", 16);
	memcpy(out + 50, "\2\0\xc0\0\2\2\2\0\xc0\0\2\1\x08\0", 14);
	put_packet(out + 64, false, 28, 8);
	/* Outer identification and TTL are the path's own, but the sum would not fit. The source port is free. */
	check_every_byte(&v, in, 42, out, 92, 34, 2);
	out[34] = out[35] = 0;
	CU_ASSERT_STRING_EQUAL(verify_frame(&v, in, 42, out, 92), "outer source port");
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
	{ "packets routed, byte by byte", test_verify_l3 },
	{ "packets encapsulated, byte by byte", test_verify_vxlan },
	{ "steps", test_steps },
};
SUITE_MAIN("bench", cases)
