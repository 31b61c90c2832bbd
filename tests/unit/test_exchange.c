/* SPDX-License-Identifier: Apache-2.0 */
/** Which frames of an exchanged NIC are Podlane's: the same ones as the XDP program takes, held against the same vectors. */
#include "dataplane/exchange_select.h"
#include "tests/unit/plane.h"
#include "tests/unit/vectors.h"

static struct exchange_fragments fragments;

static bool ours(const uint8_t *bytes, uint32_t len)
{
	struct mac_addr us = mac("02:00:00:00:00:01");
	struct rte_mbuf *m = rte_pktmbuf_alloc(plane.pool);
	bool taken;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), bytes, len);
	taken = exchange_is_ours(m, &us, &fragments);
	rte_pktmbuf_free(m);
	return taken;
}

static void frames(void)
{
	char pod[512];

	vectors_load("steer");
	memset(&fragments, 0, sizeof(fragments));
	plane_start();
	plane_apply(PLANE_NODE);
	plane_apply("uplinks: ( { name = \"eth0\"; driver = \"ethdev\"; device = \"net_null0\"; "
		    "mac = \"02:00:00:00:00:01\";"
		    " addresses = [ \"192.0.2.1/24\", \"2001:db8::1/64\" ]; } );\n"
		    "pools: ( { name = \"pods\"; cidr = \"10.244.1.0/24\"; }, { name = \"pods6\"; "
		    "cidr = \"fd00:244:1::/64\"; } );\n"
		    "peers: ( { name = \"node-b\"; underlay = [ \"192.0.2.2\", \"2001:db8::2\" ]; "
		    "encap = \"vxlan\";"
		    " pod_cidrs = [ \"10.244.2.0/24\", \"fd00:244:2::/64\" ]; vtep_mac = "
		    "\"02:00:c0:00:02:02\"; } );\n");
	snprintf(pod, sizeof(pod),
		"pods: ( { name = \"web\"; kind = \"memif\"; socket = \"%s/web.sock\";"
		" addresses = [ \"10.244.1.9\", \"fd00:244:1::9\" ]; } );\n"
		"routes: ( { prefix = \"203.0.113.5/32\"; via = ( { pod = \"web\"; } ); } );\n",
		plane.dir);
	plane_apply(pod);
	for (unsigned i = 0; i < vector_count; i++) {
		const struct vector_bytes *v = &vector_list[i];
		bool expected = strncmp(v->name, "passed.", 7) != 0;

		if (ours(v->bytes, v->len) != expected) {
			printf(" %s ", v->name);
			CU_FAIL("wrong side");
		}
	}
	/* Cut anywhere: it may become the kernel's, never ours. */
	for (unsigned i = 0; i < vector_count; i++) {
		const struct vector_bytes *v = &vector_list[i];

		for (uint32_t len = 0; len < v->len && !ours(v->bytes, v->len); len++)
			CU_ASSERT_FALSE(ours(v->bytes, len));
	}
	plane_stop();
}

/** First fragments push each other out, oldest first. */
static void fragments_forgotten(void)
{
	const struct vector_bytes *first, *later;
	uint8_t frame[2048];

	vectors_load("steer");
	memset(&fragments, 0, sizeof(fragments));
	plane_start();
	plane_apply(PLANE_NODE);
	plane_apply("uplinks: ( { name = \"eth0\"; driver = \"ethdev\"; device = \"net_null0\"; "
		    "mac = \"02:00:00:00:00:01\";"
		    " addresses = [ \"192.0.2.1/24\", \"2001:db8::1/64\" ]; } );\n");
	first = vector("udp.frag4_first");
	later = vector("udp.frag4_later");
	CU_ASSERT_FALSE(ours(later->bytes, later->len));
	CU_ASSERT_TRUE(ours(first->bytes, first->len));
	CU_ASSERT_TRUE(ours(later->bytes, later->len));
	for (unsigned i = 0; i < EXCHANGE_FRAGMENTS; i++) {
		CU_ASSERT_TRUE(ours(later->bytes, later->len));
		memcpy(frame, first->bytes, first->len);
		frame[18] = 0x40; /* another identification */
		frame[19] = (uint8_t)i;
		CU_ASSERT_TRUE(ours(frame, first->len));
	}
	CU_ASSERT_FALSE(ours(later->bytes, later->len));
	plane_stop();
}

static const struct test_case cases[] = {
	{ "the same frames as the XDP program", frames },
	{ "fragments are forgotten", fragments_forgotten },
};

SUITE_MAIN("exchange", cases)
