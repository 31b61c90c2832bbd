/* SPDX-License-Identifier: Apache-2.0 */
#include "config/address.h"
#include "tests/unit/suite.h"

#include <arpa/inet.h>
#include <string.h>

static void addresses_round_trip(void)
{
	static const char *const good[] = { "0.0.0.0", "10.244.1.9", "255.255.255.255",
		"::", "fd00:244:1::9", "2001:db8::ffff:1" };
	static const char *const bad[] = { "", "10.0.0", "10.0.0.256", "10.0.0.1 ", "fd00:::1",
		"node-b", "1.2.3.4/8" };
	char text[IP_TEXT_MAX];
	struct ip_addr addr;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(ip_addr_parse(good[i], &addr), 0);
		CU_ASSERT_STRING_EQUAL(ip_addr_format(&addr, text), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_TRUE(ip_addr_parse(bad[i], &addr) < 0);
}

/* As the C library writes them. */
static void addresses_format(void)
{
	static const uint8_t patterns[][8] = { { 1, 1, 1, 1, 1, 1, 1, 1 },
		{ 0, 0, 0, 0, 0, 2, 1, 1 }, { 0, 0, 0, 0, 0, 0, 1, 1 } };
	char mine[IP_TEXT_MAX], theirs[IP_TEXT_MAX];
	struct ip_addr addr = { .family = IP_V6 };

	for (unsigned zeros = 0; zeros < 256; zeros++) {
		for (unsigned n = 0; n < 16; n++)
			addr.bytes[n] = (zeros >> n / 2 & 1) != 0
						? 0
						: (uint8_t)(n % 2 == 1 ? n * 17 : zeros & 0x1f);
		CU_ASSERT_STRING_EQUAL(ip_addr_format(&addr, mine),
			inet_ntop(AF_INET6, addr.bytes, theirs, sizeof(theirs)));
	}
	for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
		for (unsigned n = 0; n < 16; n++)
			addr.bytes[n] = patterns[p][n / 2] == 2
						? 0xff
						: (uint8_t)(patterns[p][n / 2] * (n * 15 + 9));
		CU_ASSERT_STRING_EQUAL(ip_addr_format(&addr, mine),
			inet_ntop(AF_INET6, addr.bytes, theirs, sizeof(theirs)));
	}
	memset(&addr, 0, sizeof(addr));
	CU_ASSERT_STRING_EQUAL(ip_addr_format(&addr, mine), "none");
	addr.family = IP_V4;
	for (unsigned n = 0; n < 256; n++) {
		addr.bytes[n % 4] = (uint8_t)n;
		CU_ASSERT_STRING_EQUAL(ip_addr_format(&addr, mine),
			inet_ntop(AF_INET, addr.bytes, theirs, sizeof(theirs)));
	}
}

static void prefixes(void)
{
	static const char *const bad[] = { "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129",
		"10.0.0.0/8x", "/8" };
	struct ip_prefix p, q;
	struct ip_addr a;
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_TRUE(ip_prefix_parse(bad[i], &p) < 0);
	CU_ASSERT_EQUAL_FATAL(ip_prefix_parse("10.244.1.9/23", &p), 0);
	CU_ASSERT_FALSE(ip_prefix_is_canonical(&p));
	q = ip_prefix_canonical(&p);
	CU_ASSERT_STRING_EQUAL(ip_prefix_format(&q, text), "10.244.0.0/23");
	ip_addr_parse("10.244.1.255", &a);
	CU_ASSERT_TRUE(ip_prefix_contains(&p, &a));
	ip_addr_parse("10.244.2.0", &a);
	CU_ASSERT_FALSE(ip_prefix_contains(&p, &a));
	ip_prefix_parse("0.0.0.0/0", &p);
	CU_ASSERT_TRUE(ip_prefix_contains(&p, &a));
	CU_ASSERT_TRUE(ip_prefix_overlaps(&q, &p));
	ip_prefix_parse("::/0", &p);
	CU_ASSERT_FALSE(ip_prefix_overlaps(&q, &p));
	CU_ASSERT_EQUAL(ip_prefix_parse("fd00::1", &p), 0);
	CU_ASSERT_EQUAL(p.len, 128);
}

static void macs(void)
{
	char text[MAC_TEXT_MAX];
	struct mac_addr mac;

	CU_ASSERT_EQUAL_FATAL(mac_addr_parse("02:00:C0:00:02:02", &mac), 0);
	CU_ASSERT_STRING_EQUAL(mac_addr_format(&mac, text), "02:00:c0:00:02:02");
	CU_ASSERT_TRUE(mac_addr_is_unicast(&mac));
	CU_ASSERT_TRUE(mac_addr_parse("02:00:c0:00:02", &mac) < 0);
	CU_ASSERT_TRUE(mac_addr_parse("02-00-c0-00-02-02", &mac) < 0);
	CU_ASSERT_TRUE(mac_addr_parse("02:00:c0:00:02:0g", &mac) < 0);
}

static const struct test_case cases[] = {
	{ "addresses round trip", addresses_round_trip },
	{ "addresses are written as the C library does", addresses_format },
	{ "prefixes", prefixes },
	{ "mac addresses", macs },
};
SUITE_MAIN("address", cases)
