/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/tunnel_fixture.h"

#include <errno.h>

#define OPS (&vxlan_tunnel_ops)

static void decapsulate(void)
{
	tunnel_setup();
	tunnel_decap_vectors(OPS, "vxlan_");
	tunnel_decap_vectors(OPS, "vxlan_sum_");
}

static void encapsulate(void)
{
	tunnel_setup();
	tunnel_encap_vectors(OPS, "vxlan_", false);
	tunnel_encap_vectors(OPS, "vxlan_sum_", true);
}

static void flannel(void)
{
	struct tunnel_endpoint e;
	struct adjacency adj;
	uint8_t bytes[2048];
	struct rte_mbuf *m;

	tunnel_setup();
	e = endpoints[0];
	e.vni = 1;
	e.udp_port = 8472;
	m = tunnel_encap(OPS, &e, vector("inner_44"), 0, 0, &adj);
	CU_ASSERT_EQUAL(mbuf_bytes(m, bytes), vector("vxlan_flannel_44")->len);
	CU_ASSERT_EQUAL(
		memcmp(bytes, vector("vxlan_flannel_44")->bytes, vector("vxlan_flannel_44")->len),
		0);
	rte_pktmbuf_free(m);
}

static void ecn(void)
{
	tunnel_setup();
	tunnel_ecn_vectors(OPS, "vxlan_");
}

/** The vector with one byte changed. */
static enum drop_reason changed(const char *name, uint16_t at, uint8_t to)
{
	const struct vector_bytes *v = vector(name);
	uint8_t bytes[2048];
	struct pkt p;

	memcpy(bytes, v->bytes, v->len);
	bytes[at] = to;
	return tunnel_decap_bytes(OPS, bytes, v->len, &p);
}

static void refusals(void)
{
	struct pkt p;

	tunnel_setup();
	CU_ASSERT_EQUAL(changed("vxlan_44", 42, 0xf7), DROP_tunnel_malformed); /* no "I" */
	CU_ASSERT_EQUAL(changed("vxlan_44", 42, 0x09), DROP_NONE); /* reserved bits are ignored */
	CU_ASSERT_EQUAL(changed("vxlan_reserved", 42, 0xff), DROP_NONE);
	CU_ASSERT_EQUAL(changed("vxlan_44", 49, 0xff), DROP_NONE);
	CU_ASSERT_EQUAL(changed("vxlan_44", 48, 1), DROP_tunnel_unknown_vni);
	CU_ASSERT_EQUAL(changed("vxlan_44", 29, 3), DROP_tunnel_unknown_peer);
	CU_ASSERT_EQUAL(changed("vxlan_66", 14 + 23, 3), DROP_tunnel_unknown_peer);
	CU_ASSERT_EQUAL(changed("vxlan_44", 50, 0x12), DROP_l2_not_for_us);
	CU_ASSERT_EQUAL(changed("vxlan_44", 62, 0x88), DROP_ethertype_unknown);
	CU_ASSERT_EQUAL(changed("vxlan_46", 64, 0x50), DROP_ip6_bad_version);
	CU_ASSERT_EQUAL(changed("vxlan_44", 72, 0xff), DROP_ip4_bad_checksum);
	CU_ASSERT_EQUAL(changed("vxlan_flannel_44", 14, 0x45), DROP_tunnel_unknown_vni);
	CU_ASSERT_EQUAL(changed("vxlan_sum_44", 14, 0x45), DROP_NONE);
	for (uint16_t at = 50; at < vector("vxlan_sum_44")->len; at += 7)
		CU_ASSERT_EQUAL(
			changed("vxlan_sum_44", at, vector("vxlan_sum_44")->bytes[at] ^ 0x55),
			DROP_tunnel_bad_checksum);
	for (uint16_t at = 70; at < vector("vxlan_sum_66")->len; at += 7)
		CU_ASSERT_EQUAL(
			changed("vxlan_sum_66", at, vector("vxlan_sum_66")->bytes[at] ^ 0x55),
			DROP_tunnel_bad_checksum);
	CU_ASSERT_EQUAL(
		tunnel_decap_bytes(OPS, vector("vxlan_arp")->bytes, vector("vxlan_arp")->len, &p),
		DROP_arp_ignored);
}

/* The device's word on the outer checksum is believed when it is good, and looked at again when
 * not. */
static void checksum_offload(void)
{
	static const struct {
		uint64_t flags;
		enum drop_reason reason;
		uint32_t type;
	} rows[] = {
		{ 0, DROP_tunnel_bad_checksum, 0 },
		{ RTE_MBUF_F_RX_L4_CKSUM_BAD, DROP_tunnel_bad_checksum, 0 },
		{ RTE_MBUF_F_RX_L4_CKSUM_GOOD, DROP_NONE, 0 },
		/* One that has seen the tunnel: its word is about what is inside. */
		{ RTE_MBUF_F_RX_L4_CKSUM_GOOD, DROP_tunnel_bad_checksum, RTE_PTYPE_TUNNEL_VXLAN },
		{ RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4, DROP_NONE, 0 },
	};
	const struct vector_bytes *v;
	uint8_t bytes[2048];
	struct pkt p;

	tunnel_setup();
	v = vector("vxlan_sum_44");
	memcpy(bytes, v->bytes, v->len);
	bytes[40] ^= 0x40; /* the checksum itself */
	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct rte_mbuf *m = mbuf_of(pool, bytes, v->len, 0);

		m->ol_flags |= rows[i].flags;
		m->packet_type = rows[i].type;
		CU_ASSERT_EQUAL(tunnel_decap(OPS, m, &p).reason, rows[i].reason);
		CU_ASSERT_TRUE(rows[i].reason != DROP_NONE || m->ol_flags == 0);
		rte_pktmbuf_free(m);
	}
	CU_ASSERT_EQUAL(changed("vxlan_sum_44", 40, 0) != DROP_NONE,
		vector("vxlan_sum_44")->bytes[41] != 0);
}

/* The packet ends anywhere, its outer lengths telling the truth. */
static void cut_anywhere(void)
{
	uint8_t bytes[2048];
	struct pkt p;

	tunnel_setup();
	for (unsigned i = 0; i < RTE_DIM(pairs); i++) {
		const struct vector_bytes *v = vector_pair("vxlan_", pairs[i]);
		const uint16_t udp = pairs[i][0] == '6' ? 54 : 34;

		for (uint16_t len = (uint16_t)(udp + 8); len < v->len; len++) {
			const uint16_t word = rte_cpu_to_be_16((uint16_t)(len - udp));
			enum drop_reason reason;

			memcpy(bytes, v->bytes, len);
			memcpy(bytes + udp + 4, &word, 2);
			reason = tunnel_decap_bytes(OPS, bytes, len, &p);
			CU_ASSERT_EQUAL(
				reason, len < udp + 16	 ? DROP_tunnel_malformed
					: len < udp + 30 ? DROP_l2_truncated
					: pairs[i][1] == '6'
						? (len < udp + 70 ? DROP_ip6_truncated
								  : DROP_ip6_bad_payload_length)
					: len < udp + 50 ? DROP_ip4_truncated
							 : DROP_ip4_bad_total_length);
		}
	}
}

/* Bytes between the end of the UDP datagram and the end of the IP packet belong to nobody. */
static void surplus_behind_udp(void)
{
	const struct vector_bytes *v;
	uint8_t bytes[2048], got[2048];
	struct rte_mbuf *m;
	uint16_t word;
	struct pkt p;

	tunnel_setup();
	v = vector("vxlan_sum_44");
	memcpy(bytes, v->bytes, v->len);
	memset(bytes + v->len, 0xee, 20);
	word = rte_cpu_to_be_16((uint16_t)(v->len + 20 - 14));
	memcpy(bytes + 16, &word, 2);
	memset(bytes + 24, 0, 2);
	word = (uint16_t)~naive_sum(bytes + 14, 20);
	memcpy(bytes + 24, &word, 2);
	m = mbuf_of(pool, bytes, v->len + 20u, 0);
	CU_ASSERT_EQUAL(tunnel_decap(OPS, m, &p).class, PKT_FLOW4);
	CU_ASSERT_EQUAL(mbuf_bytes(m, got), vector("inner_44")->len + 14);
	rte_pktmbuf_free(m);
}

static void claims(void)
{
	struct pkt p = { .proto = IPPROTO_UDP, .key4 = { .dport = RTE_BE16(8472) } };

	tunnel_setup();
	CU_ASSERT_TRUE(OPS->claims(table, &p));
	p.key4.dport = RTE_BE16(4788);
	CU_ASSERT_FALSE(OPS->claims(table, &p));
	p = (struct pkt){
		.proto = IPPROTO_UDP, .flags = PKT_V6, .key6 = { .dport = RTE_BE16(4789) }
	};
	CU_ASSERT_TRUE(OPS->claims(table, &p));
	p.proto = IPPROTO_TCP;
	CU_ASSERT_FALSE(OPS->claims(table, &p));
}

static void header_fields(void)
{
	struct tunnel_endpoint e;
	struct adjacency adj;
	struct rte_mbuf *m;
	const uint8_t *h;

	tunnel_setup();
	e = endpoints[0];
	m = tunnel_encap(OPS, &e, vector("inner_44"), 0, 0xbeef, &adj);
	h = rte_pktmbuf_mtod(m, const uint8_t *);
	CU_ASSERT_EQUAL(naive_sum(h + 14, 20), 0xffff);
	CU_ASSERT_TRUE(h[18] == 0xbe && h[19] == 0xef && h[20] == 0);
	rte_pktmbuf_free(m);
	/* Two flows of one path differ in port and label; one flow keeps both when only half its
	 * hash is known. */
	CU_ASSERT_EQUAL(tunnel_source_port(0), RTE_BE16(0xc000));
	CU_ASSERT_EQUAL(tunnel_source_port(UINT64_MAX), RTE_BE16(0xffff));
	CU_ASSERT_EQUAL(
		tunnel_source_port(0x123456789abcdef0u), tunnel_source_port(0x1234567800000000u));
}

/* RFC 768: a sum that comes out as zero is sent as 0xffff, zero means none. */
static void zero_sum(void)
{
	struct vector_bytes inner;
	struct tunnel_endpoint e;
	struct adjacency adj;
	uint32_t word;
	uint16_t sum = 0, last;

	tunnel_setup();
	e = endpoints[1];
	e.udp6_checksum = true;
	inner = *vector("inner_66");
	for (int round = 0; round < 2; round++) {
		struct rte_mbuf *m = tunnel_encap(OPS, &e, &inner, 0, 0, &adj);

		memcpy(&sum, rte_pktmbuf_mtod(m, const uint8_t *) + 60, sizeof(sum));
		rte_pktmbuf_free(m);
		/* Let the last word take what the rest leaves to be covered. */
		memcpy(&last, inner.bytes + inner.len - 2, sizeof(last));
		word = (uint32_t)last + sum;
		last = (uint16_t)(word + (word >> 16));
		memcpy(inner.bytes + inner.len - 2, &last, sizeof(last));
	}
	CU_ASSERT_EQUAL(inner.len % 2, 0);
	CU_ASSERT_EQUAL(sum, 0xffff);
}

static void template_errors(void)
{
	struct tunnel_endpoint e;
	struct adjacency adj = { 0 };
	struct error err;

	tunnel_setup();
	e = endpoints[0];
	e.vni = 1u << 24;
	CU_ASSERT_EQUAL(OPS->build(&e, &adj, &err), -EINVAL);
	e = endpoints[0];
	e.udp_port = 0;
	CU_ASSERT_EQUAL(OPS->build(&e, &adj, &err), -EINVAL);
	e = endpoints[0];
	memset(&e.vtep_dst, 0, sizeof(e.vtep_dst));
	CU_ASSERT_EQUAL(OPS->build(&e, &adj, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "192.0.2.1"));
	e = endpoints[0];
	e.local = endpoints[1].local;
	CU_ASSERT_EQUAL(OPS->build(&e, &adj, &err), -EINVAL);
	e = endpoints[0];
	e.remote.bytes[0] = 224;
	CU_ASSERT_EQUAL(OPS->build(&e, &adj, &err), -EINVAL);
	memset(&e.remote, 0, sizeof(e.remote));
	memset(&e.local, 0, sizeof(e.local));
	CU_ASSERT_EQUAL(OPS->build(&e, &adj, &err), -EINVAL);
}

/* Against a linear search, with many peers of both families. */
static void many_peers(void)
{
	static struct tunnel_peer peers[3000];
	const struct mac_addr mac = { { 2 } };
	struct tunnel_table *many;

	for (uint32_t i = 0; i < RTE_DIM(peers); i++) {
		struct ip_addr *a = &peers[i].underlay;

		peers[i].peer = i;
		a->family = i % 2 == 0 ? IP_V4 : IP_V6;
		a->bytes[0] = i % 2 == 0 ? 10 : 0xfd;
		memcpy(a->bytes + (i % 2 == 0 ? 2 : 13),
			(const uint8_t[]){ (uint8_t)(i >> 8), (uint8_t)i }, 2);
	}
	many = tunnel_table_new(&mac, NULL, 0, NULL, 0, peers, RTE_DIM(peers));
	CU_ASSERT_PTR_NOT_NULL_FATAL(many);
	for (uint32_t i = 0; i < RTE_DIM(peers); i++) {
		const struct tunnel_peer *found =
			tunnel_peer_find(many, peers[i].underlay.family, peers[i].underlay.bytes);
		uint8_t other[16];

		CU_ASSERT_PTR_NOT_NULL_FATAL(found);
		CU_ASSERT_EQUAL(found->peer, i);
		memcpy(other, peers[i].underlay.bytes, 16);
		other[1] = 1;
		CU_ASSERT_PTR_NULL(tunnel_peer_find(many, peers[i].underlay.family, other));
	}
	CU_ASSERT_FALSE(tunnel_is_local(many, IP_V4, peers[0].underlay.bytes));
	tunnel_table_free(many);
	tunnel_setup();
	CU_ASSERT_TRUE(tunnel_is_local(table, IP_V4, endpoints[0].remote.bytes));
	CU_ASSERT_TRUE(tunnel_is_local(table, IP_V6, endpoints[1].remote.bytes));
	CU_ASSERT_FALSE(tunnel_is_local(table, IP_V6, endpoints[0].remote.bytes));
	tunnel_table_free(NULL);
}

static const struct test_case cases[] = {
	{ "decapsulate", decapsulate },
	{ "encapsulate", encapsulate },
	{ "flannel's numbers", flannel },
	{ "ECN", ecn },
	{ "refusals", refusals },
	{ "checksum offload", checksum_offload },
	{ "cut at every byte", cut_anywhere },
	{ "surplus behind UDP", surplus_behind_udp },
	{ "claims", claims },
	{ "header fields", header_fields },
	{ "zero sum", zero_sum },
	{ "template errors", template_errors },
	{ "many peers", many_peers },
};
SUITE_MAIN("vxlan", cases)
