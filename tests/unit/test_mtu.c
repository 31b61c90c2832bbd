/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/mtu.h"
#include "tests/unit/suite.h"

static void overheads(void)
{
	CU_ASSERT_EQUAL(mtu_overhead(ENCAP_IPIP, IP_V4), 20);
	CU_ASSERT_EQUAL(mtu_overhead(ENCAP_IPIP, IP_V6), 40);
	CU_ASSERT_EQUAL(mtu_overhead(ENCAP_VXLAN, IP_V4), 50);
	CU_ASSERT_EQUAL(mtu_overhead(ENCAP_VXLAN, IP_V6), 70);
	CU_ASSERT_EQUAL(mtu_overhead(ENCAP_AUTO, IP_V6), 70);
	CU_ASSERT_EQUAL(mtu_overhead(ENCAP_WIREGUARD, IP_V4), 60);
	CU_ASSERT_EQUAL(mtu_overhead(ENCAP_WIREGUARD, IP_V6), 80);
	CU_ASSERT_EQUAL(mtu_overhead(ENCAP_DIRECT, IP_V6), 0);
}

static void inner(void)
{
	static const enum encap encaps[] = { ENCAP_IPIP, ENCAP_VXLAN, ENCAP_DIRECT };
	static const uint8_t families[] = { IP_V6, IP_V4, IP_V4 };

	CU_ASSERT_EQUAL(mtu_inner(ENCAP_VXLAN, IP_V4, 1500), 1450);
	CU_ASSERT_EQUAL(mtu_inner(ENCAP_VXLAN, IP_V6, 9000), 8930);
	CU_ASSERT_EQUAL(mtu_inner(ENCAP_VXLAN, IP_V6, 1350), 1280);
	CU_ASSERT_EQUAL(mtu_inner(ENCAP_VXLAN, IP_V6, 10), 1280);
	CU_ASSERT_EQUAL(mtu_inner(ENCAP_DIRECT, IP_V4, 65535), 65535);
	CU_ASSERT_EQUAL(mtu_for_pods(1500, encaps, families, 3), 1450);
	CU_ASSERT_EQUAL(mtu_for_pods(1500, encaps, families, 1), 1460);
	CU_ASSERT_EQUAL(mtu_for_pods(1500, NULL, NULL, 0), 1500);
	CU_ASSERT_EQUAL(mtu_for_pods(576, encaps, families, 3), 1280);
}

static void segment_sizes(void)
{
	CU_ASSERT_EQUAL(mtu_tcp_mss(1500, false), 1460);
	CU_ASSERT_EQUAL(mtu_tcp_mss(1450, true), 1390);
	CU_ASSERT_EQUAL(mtu_tcp_mss(40, false), 0);
	CU_ASSERT_EQUAL(mtu_tcp_mss(59, true), 0);
}

static const struct test_case cases[] = {
	{ "overheads", overheads },
	{ "inner MTU", inner },
	{ "MSS", segment_sizes },
};
SUITE_MAIN("mtu", cases)
