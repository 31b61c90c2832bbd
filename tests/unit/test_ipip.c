/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/tunnel_fixture.h"

#define OPS (&ipip_tunnel_ops)

static void decapsulate(void)
{
	tunnel_setup();
	tunnel_decap_vectors(OPS, "ipip_");
}

static void encapsulate(void)
{
	tunnel_setup();
	tunnel_encap_vectors(OPS, "ipip_", false);
}

static void ecn(void)
{
	tunnel_setup();
	tunnel_ecn_vectors(OPS, "ipip_");
}

/* RFC 2473 section 4.1.1: a destination option before the inner packet. */
static void encapsulation_limit(void)
{
	const struct vector_bytes *v, *inner;
	struct rte_mbuf *m;
	uint8_t bytes[2048];
	struct pkt p;

	tunnel_setup();
	v = vector("ipip_limit_64");
	inner = vector("inner_64");
	m = mbuf_of(pool, v->bytes, v->len, 0);
	CU_ASSERT_EQUAL(tunnel_decap(OPS, m, &p).class, PKT_FLOW4);
	CU_ASSERT_EQUAL(mbuf_bytes(m, bytes), inner->len);
	CU_ASSERT_EQUAL(memcmp(bytes, inner->bytes, inner->len), 0);
	rte_pktmbuf_free(m);
}

static void cut_anywhere(void)
{
	struct pkt p;

	tunnel_setup();
	for (unsigned i = 0; i < RTE_DIM(pairs); i++) {
		const struct vector_bytes *v = vector_pair("ipip_", pairs[i]);
		const uint16_t off = pairs[i][0] == '6' ? 54 : 34;

		for (uint16_t len = off; len < v->len; len++) {
			enum drop_reason reason = tunnel_decap_bytes(OPS, v->bytes, len, &p);

			CU_ASSERT_EQUAL(
				reason, len == off ? DROP_tunnel_malformed
					: pairs[i][1] == '6'
						? (len < off + 40 ? DROP_ip6_truncated
								  : DROP_ip6_bad_payload_length)
					: len < off + 20 ? DROP_ip4_truncated
							 : DROP_ip4_bad_total_length);
		}
	}
}

static void refusals(void)
{
	uint8_t bytes[2048];
	const struct vector_bytes *v;
	struct pkt p;

	tunnel_setup();
	v = vector("ipip_44");
	memcpy(bytes, v->bytes, v->len);
	bytes[29] = 9;
	CU_ASSERT_EQUAL(tunnel_decap_bytes(OPS, bytes, v->len, &p), DROP_tunnel_unknown_peer);
	memcpy(bytes, v->bytes, v->len);
	bytes[23] = 41; /* says IPv6, carries IPv4 */
	CU_ASSERT_EQUAL(tunnel_decap_bytes(OPS, bytes, v->len, &p), DROP_ip6_bad_version);
	v = vector("ipip_66");
	memcpy(bytes, v->bytes, v->len);
	bytes[20] = 4;
	CU_ASSERT_EQUAL(tunnel_decap_bytes(OPS, bytes, v->len, &p), DROP_ip4_bad_version);
	p = (struct pkt){ .proto = IPPROTO_UDP };
	CU_ASSERT_FALSE(OPS->claims(table, &p));
}

/* RFC 2003 section 3.1: the outer packet may be fragmented only if the inner one may. */
static void dont_fragment_is_copied(void)
{
	struct vector_bytes inner;
	struct adjacency adj;

	tunnel_setup();
	for (int df = 0; df < 2; df++) {
		struct rte_mbuf *m;
		const uint8_t *h;
		uint16_t sum;

		inner = *vector("inner_44");
		inner.bytes[6] = df ? 0x40 : 0;
		memset(inner.bytes + 10, 0, 2);
		sum = (uint16_t)~naive_sum(inner.bytes, 20);
		memcpy(inner.bytes + 10, &sum, 2);
		m = tunnel_encap(OPS, &endpoints[0], &inner, 0, 0x1234, &adj);
		h = rte_pktmbuf_mtod(m, const uint8_t *);
		CU_ASSERT_EQUAL(h[20], df ? 0x40 : 0);
		CU_ASSERT_EQUAL(h[18], df ? 0 : 0x12);
		CU_ASSERT_EQUAL(naive_sum(h + 14, 20), 0xffff);
		rte_pktmbuf_free(m);
	}
}

/* Any TOS, length and identification: the incremental header sum is the whole one. */
static void header_sums(void)
{
	struct vector_bytes inner;
	struct adjacency adj;

	tunnel_setup();
	for (unsigned i = 0; i < 2000; i++) {
		struct rte_mbuf *m;
		uint16_t sum;

		inner = *vector("inner_44");
		inner.bytes[1] = (uint8_t)rand();
		inner.bytes[6] = i & 1 ? 0x40 : 0;
		memset(inner.bytes + 10, 0, 2);
		sum = (uint16_t)~naive_sum(inner.bytes, 20);
		memcpy(inner.bytes + 10, &sum, 2);
		m = tunnel_encap(OPS, &endpoints[0], &inner, 0, (uint16_t)rand(), &adj);
		CU_ASSERT_EQUAL(
			naive_sum(rte_pktmbuf_mtod_offset(m, const uint8_t *, 14), 20), 0xffff);
		CU_ASSERT_EQUAL(rte_pktmbuf_mtod(m, const uint8_t *)[15], inner.bytes[1]);
		rte_pktmbuf_free(m);
	}
}

/* A neighbour's adjacency carries both families. */
static void plain_ethernet(void)
{
	struct adjacency adj = { .type = ADJ_REWRITE,
		.header_len = 14,
		.header = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 } };

	tunnel_setup();
	for (unsigned i = 0; i < 2; i++) {
		const struct vector_bytes *v = vector(i == 0 ? "inner_44" : "inner_46");
		struct rte_mbuf *m = mbuf_of(pool, v->bytes, v->len, 0);
		const uint8_t *h;
		struct pkt p;

		pkt_parse_ip(m, &p, 1, i == 0 ? 4 : 6, 0);
		CU_ASSERT_TRUE(rewrite_prepend(m, &adj, &p, p.ip_len, 0));
		h = rte_pktmbuf_mtod(m, const uint8_t *);
		CU_ASSERT_EQUAL(memcmp(h, adj.header, 12), 0);
		CU_ASSERT_EQUAL(h[12] << 8 | h[13], i == 0 ? 0x0800 : 0x86dd);
		rte_pktmbuf_adj(m, 14);
		m->data_off = 13; /* no headroom */
		CU_ASSERT_FALSE(rewrite_prepend(m, &adj, &p, p.ip_len, 0));
		rte_pktmbuf_free(m);
	}
}

static void list_of_types(void)
{
	CU_ASSERT_PTR_EQUAL(tunnel_types[0], &vxlan_tunnel_ops);
	CU_ASSERT_PTR_EQUAL(tunnel_types[1], &ipip_tunnel_ops);
	CU_ASSERT_PTR_NULL(tunnel_types[2]);
}

static const struct test_case cases[] = {
	{ "decapsulate", decapsulate },
	{ "encapsulate", encapsulate },
	{ "ECN", ecn },
	{ "encapsulation limit option", encapsulation_limit },
	{ "cut at every byte", cut_anywhere },
	{ "refusals", refusals },
	{ "DF is copied", dont_fragment_is_copied },
	{ "header sums", header_sums },
	{ "plain Ethernet", plain_ethernet },
	{ "list of types", list_of_types },
};
SUITE_MAIN("ipip", cases)
