/* SPDX-License-Identifier: Apache-2.0 */
/** What the tests of all encapsulations share: a table with one peer a family, as vectors.py has
 * it, and the two ways through a tunnel. */
#ifndef TESTS_UNIT_TUNNEL_FIXTURE_H
#define TESTS_UNIT_TUNNEL_FIXTURE_H

#include "dataplane/rewrite.h"
#include "tests/unit/eal.h"
#include "tests/unit/suite.h"
#include "tests/unit/vectors.h"
#include "vxlan/tunnel.h"

#define VNI 4096u

static const char *const pairs[] = { "44", "46", "64", "66" }; /* outer, inner */
static struct rte_mempool *pool;
static struct tunnel_table *table;
static struct tunnel_endpoint endpoints[2]; /* over IPv4, IPv6 */

static inline void tunnel_setup(void)
{
	static const uint16_t ports[] = { 4789, 8472 };
	struct mac_addr vtep;
	struct tunnel_peer peers[2] = { { .vni = VNI, .peer = 1 }, { .vni = VNI, .peer = 2 } };
	struct ip_addr local[2];

	if (pool != NULL)
		return;
	eal_start();
	pool = eal_pool("packets", 511, 2048);
	vectors_load("tunnel");
	mac_addr_parse("02:00:c0:00:02:01", &vtep);
	ip_addr_parse("192.0.2.2", &peers[0].underlay);
	ip_addr_parse("2001:db8::2", &peers[1].underlay);
	ip_addr_parse("192.0.2.1", &local[0]);
	ip_addr_parse("2001:db8::1", &local[1]);
	table = tunnel_table_new(&vtep, ports, 2, local, 2, peers, 2);
	for (int i = 0; i < 2; i++) { /* the peer's end, as it would build it towards us */
		struct tunnel_endpoint *e = &endpoints[i];

		*e = (struct tunnel_endpoint){ .local = peers[i].underlay,
			.remote = local[i],
			.vtep_dst = vtep,
			.vni = VNI,
			.udp_port = 4789,
			.port = 3,
			.underlay_mtu = 1500 };
		mac_addr_parse("02:00:00:00:02:02", &e->src_mac);
		mac_addr_parse("02:00:00:00:02:01", &e->dst_mac);
		mac_addr_parse("02:00:c0:00:02:02", &e->vtep_src);
	}
}

static inline const struct vector_bytes *vector_pair(const char *prefix, const char *pair)
{
	char name[40];

	snprintf(name, sizeof(name), "%s%s", prefix, pair);
	return vector(name);
}

/** Parse a frame and decapsulate it. */
static inline struct parsed tunnel_decap(
	const struct tunnel_ops *ops, struct rte_mbuf *m, struct pkt *p)
{
	struct parsed parsed = pkt_parse_ether(m, p, 5);

	if (parsed.class != PKT_FLOW4 && parsed.class != PKT_FLOW6)
		return parsed;
	if (!ops->claims(table, p)) {
		CU_FAIL("the tunnel does not claim its packet");
		return (struct parsed){ PKT_DROP, DROP_NONE };
	}
	return ops->decap(table, m, p);
}

/** The same for bytes, whose IP lengths and IPv4 checksum are made right first. @return the
 * reason. */
static inline enum drop_reason tunnel_decap_bytes(
	const struct tunnel_ops *ops, const uint8_t *frame, uint16_t len, struct pkt *p)
{
	uint8_t bytes[2048];
	struct parsed parsed;
	struct rte_mbuf *m;
	uint16_t word;

	memcpy(bytes, frame, len);
	if (bytes[12] == 0x86) {
		word = rte_cpu_to_be_16((uint16_t)(len - 54));
		memcpy(bytes + 18, &word, 2);
	} else {
		word = rte_cpu_to_be_16((uint16_t)(len - 14));
		memcpy(bytes + 16, &word, 2);
		memset(bytes + 24, 0, 2);
		word = (uint16_t)~naive_sum(bytes + 14, 20);
		memcpy(bytes + 24, &word, 2);
	}
	m = mbuf_of(pool, bytes, len, 0);
	parsed = tunnel_decap(ops, m, p);
	rte_pktmbuf_free(m);
	return parsed.class == PKT_DROP ? parsed.reason : DROP_NONE;
}

/** Every vector, in pieces of many sizes: what comes out is what went in, with and without
 * padding behind. */
static inline void tunnel_decap_vectors(const struct tunnel_ops *ops, const char *prefix)
{
	static const uint32_t segments[] = { 0, 1, 13, 14, 34, 50, 64, 90, 118 };
	uint8_t bytes[2048];
	struct pkt p;

	for (unsigned i = 0; i < RTE_DIM(pairs); i++) {
		const struct vector_bytes *outer = vector_pair(prefix, pairs[i]);
		const struct vector_bytes *inner = vector_pair("inner_", pairs[i]);

		for (unsigned s = 0; s < RTE_DIM(segments); s++) {
			struct rte_mbuf *m = mbuf_of(pool, outer->bytes, outer->len, segments[s]);
			struct parsed parsed;

			m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
			m->packet_type = RTE_PTYPE_TUNNEL_VXLAN;
			parsed = tunnel_decap(ops, m, &p);
			CU_ASSERT_EQUAL(parsed.class, pairs[i][1] == '6' ? PKT_FLOW6 : PKT_FLOW4);
			CU_ASSERT_EQUAL(parsed.reason, DROP_NONE);
			CU_ASSERT_EQUAL(mbuf_bytes(m, bytes), p.l2_len + inner->len);
			CU_ASSERT_EQUAL(memcmp(bytes + p.l2_len, inner->bytes, inner->len), 0);
			CU_ASSERT_EQUAL(p.ip_len, inner->len);
			CU_ASSERT_EQUAL(p.tos, 0x28);
			CU_ASSERT_EQUAL(p.ttl, 62);
			CU_ASSERT_EQUAL(
				(pairs[i][1] == '6' ? p.key6.zone_proto : p.key4.zone_proto) >> 8,
				ZONE_TUNNEL);
			CU_ASSERT_EQUAL(m->ol_flags, 0);
			CU_ASSERT_EQUAL(m->packet_type, 0);
			rte_mbuf_sanity_check(m, 1);
			rte_pktmbuf_free(m);
		}
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/** ECN through a tunnel: outer and inner fields of the vector replaced; the result, or -1 for a
 * drop. */
static inline int tunnel_ecn_through(const struct tunnel_ops *ops, const char *prefix,
	const char *pair, uint8_t outer_ecn, uint8_t inner_ecn)
{
	const struct vector_bytes *outer = vector_pair(prefix, pair);
	const uint16_t inner_off = (uint16_t)(outer->len - vector_pair("inner_", pair)->len);
	uint8_t bytes[2048];
	struct parsed parsed;
	struct rte_mbuf *m;
	struct pkt p;
	uint16_t sum;
	int ecn;

	memcpy(bytes, outer->bytes, outer->len);
	for (int i = 0; i < 2; i++) {
		uint8_t *ip = bytes + (i == 0 ? 14 : inner_off);
		uint8_t value = i == 0 ? outer_ecn : inner_ecn;

		if (pair[i] == '6') {
			ip[1] = (uint8_t)((ip[1] & ~0x30) | value << 4);
			continue;
		}
		ip[1] = (uint8_t)((ip[1] & ~3) | value);
		memset(ip + 10, 0, 2);
		sum = (uint16_t)~naive_sum(ip, 20);
		memcpy(ip + 10, &sum, 2);
	}
	m = mbuf_of(pool, bytes, outer->len, 0);
	parsed = tunnel_decap(ops, m, &p);
	if (parsed.class == PKT_DROP) {
		CU_ASSERT_EQUAL(parsed.reason, DROP_tunnel_bad_ecn);
		ecn = -1;
	} else {
		const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, p.l2_len);

		ecn = p.tos & 3;
		CU_ASSERT_EQUAL(p.tos & ~3, 0x28);
		CU_ASSERT_EQUAL(pair[1] == '6' ? ip[1] >> 4 & 3 : ip[1] & 3, ecn);
		CU_ASSERT_EQUAL(pair[1] == '6' ? 0xffff : naive_sum(ip, 20), 0xffff);
		if (pair[1] == '6')
			CU_ASSERT_EQUAL(memcmp(ip + 2, bytes + inner_off + 2, 2), 0);
	}
	rte_pktmbuf_free(m);
	return ecn;
}

static inline void tunnel_ecn_vectors(const struct tunnel_ops *ops, const char *prefix)
{
	/* RFC 6040 figure 4; rows: inner 00 Not-ECT, 01 ECT(1), 10 ECT(0), 11 CE; columns:
	 * outer, likewise. */
	static const int figure4[4][4] = { { 0, 0, 0, -1 }, { 1, 1, 1, 3 }, { 2, 1, 2, 3 },
		{ 3, 3, 3, 3 } };

	for (unsigned i = 0; i < RTE_DIM(pairs); i++)
		for (uint8_t outer = 0; outer < 4; outer++)
			for (uint8_t inner = 0; inner < 4; inner++)
				CU_ASSERT_EQUAL(
					tunnel_ecn_through(ops, prefix, pairs[i], outer, inner),
					figure4[inner][outer]);
}

/** Encapsulate an inner packet with a template built from `e`. */
static inline struct rte_mbuf *tunnel_encap(const struct tunnel_ops *ops,
	const struct tunnel_endpoint *e, const struct vector_bytes *inner, uint32_t segment,
	uint16_t outer_id, struct adjacency *adj)
{
	struct rte_mbuf *m = mbuf_of(pool, inner->bytes, inner->len, segment);
	const unsigned version = inner->bytes[0] >> 4;
	struct error err;
	struct pkt p;

	memset(adj, 0, sizeof(*adj));
	CU_ASSERT_EQUAL_FATAL(ops->build(e, adj, &err), 0);
	CU_ASSERT_EQUAL(pkt_parse_ip(m, &p, 5, version, 0).reason, DROP_NONE);
	p.hash = 0x0350000000000000u; /* source port 50000, flow label 0 */
	CU_ASSERT_TRUE(rewrite_prepend(m, adj, &p, p.ip_len, outer_id));
	return m;
}

static inline void tunnel_encap_vectors(
	const struct tunnel_ops *ops, const char *prefix, bool udp6_checksum)
{
	static const uint32_t segments[] = { 0, 40, 63, 81 };
	uint8_t bytes[2048];
	struct adjacency adj;

	for (unsigned i = 0; i < RTE_DIM(pairs); i++) {
		struct tunnel_endpoint e = endpoints[pairs[i][0] == '6'];
		const struct vector_bytes *want = vector_pair(prefix, pairs[i]);

		e.udp6_checksum = udp6_checksum;
		if (udp6_checksum && pairs[i][0] == '4')
			continue;
		for (unsigned s = 0; s < RTE_DIM(segments); s++) {
			struct rte_mbuf *m = tunnel_encap(
				ops, &e, vector_pair("inner_", pairs[i]), segments[s], 0, &adj);

			CU_ASSERT_EQUAL(mbuf_bytes(m, bytes), want->len);
			CU_ASSERT_EQUAL(memcmp(bytes, want->bytes, want->len), 0);
			CU_ASSERT_EQUAL(adj.type, ADJ_TUNNEL);
			CU_ASSERT_EQUAL(adj.port, 3);
			CU_ASSERT_TRUE(ip_addr_equal(&adj.next_hop, &e.remote));
			CU_ASSERT_EQUAL(adj.outer_len, ops->overhead(e.remote.family));
			CU_ASSERT_EQUAL(adj.mtu, 1500 - adj.outer_len);
			rte_pktmbuf_free(m);
		}
	}
}

#endif
