/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/packet.h"
#include "tests/unit/eal.h"
#include "tests/unit/suite.h"
#include "tests/unit/vectors.h"

#include <arpa/inet.h>

#define ZONE		      0x4321u
#define ICMP_PORT(type, code) ((uint16_t)((type) << 8 | (code)))

static struct rte_mempool *pool;

static void setup(void)
{
	if (pool != NULL)
		return;
	eal_start();
	pool = eal_pool("packets", 511, 2048);
	vectors_load("packet");
}

/* What each vector must be parsed to. Ports in host order; l3_len without Ethernet. */
static const struct expectation {
	const char *name;
	enum pkt_class class;
	enum drop_reason reason;
	uint8_t proto, l3_len, flags;
	uint16_t sport, dport;
} expectations[] = {
	{ "tcp4", PKT_FLOW4, 0, 6, 20, 0, 40000, 443 },
	{ "tcp4_df_syn", PKT_FLOW4, 0, 6, 20, PKT_DF | PKT_TCP_SYN, 40000, 443 },
	{ "udp4", PKT_FLOW4, 0, 17, 20, 0, 5000, 53 },
	{ "udp4_empty", PKT_FLOW4, 0, 17, 20, 0, 5000, 53 },
	{ "udp4_no_checksum", PKT_FLOW4, 0, 17, 20, 0, 5000, 53 },
	{ "sctp4", PKT_FLOW4, 0, 132, 20, 0, 3000, 4000 },
	{ "echo4", PKT_FLOW4, 0, 1, 20, 0, 0x1234, ICMP_PORT(8, 0) },
	{ "echo4_reply", PKT_FLOW4, 0, 1, 20, 0, 0x1234, ICMP_PORT(0, 0) },
	{ "unreachable4", PKT_FLOW4, 0, 1, 20, 0, 0, ICMP_PORT(3, 4) },
	{ "gre4", PKT_FLOW4, 0, 47, 20, 0, 0, 0 },
	{ "icmp6_in_4", PKT_FLOW4, 0, 58, 20, 0, 0, 0 },
	{ "rr4", PKT_FLOW4, 0, 17, 40, PKT_OPTIONS, 5000, 53 },
	{ "nop4", PKT_FLOW4, 0, 17, 24, PKT_OPTIONS, 5000, 53 },
	{ "options40", PKT_FLOW4, 0, 6, 60, PKT_OPTIONS | PKT_TCP_SYN, 40000, 443 },
	{ "lsrr4", PKT_DROP, DROP_ip4_bad_options },
	{ "ssrr4", PKT_DROP, DROP_ip4_bad_options },
	{ "option_short4", PKT_DROP, DROP_ip4_bad_options },
	{ "option_long4", PKT_DROP, DROP_ip4_bad_options },
	{ "option_cut4", PKT_DROP, DROP_ip4_bad_options },
	{ "a4_zero_src", PKT_DROP, DROP_ip4_bad_address },
	{ "a4_loop_src", PKT_DROP, DROP_ip4_bad_address },
	{ "a4_group_src", PKT_DROP, DROP_ip4_bad_address },
	{ "a4_e_src", PKT_DROP, DROP_ip4_bad_address },
	{ "a4_bcast_src", PKT_DROP, DROP_ip4_bad_address },
	{ "a4_zero_dst", PKT_DROP, DROP_ip4_bad_address },
	{ "a4_loop_dst", PKT_DROP, DROP_ip4_bad_address },
	{ "a4_e_dst", PKT_DROP, DROP_ip4_bad_address },
	{ "a4_group_dst", PKT_DROP, DROP_multicast_unsupported },
	{ "a4_bcast_dst", PKT_DROP, DROP_multicast_unsupported },
	{ "a4_dhcp", PKT_DROP, DROP_multicast_unsupported },
	{ "a4_ll_dst", PKT_FLOW4, 0, 17, 20, 0, 5000, 53 },
	{ "a4_ll_src", PKT_FLOW4, 0, 17, 20, 0, 5000, 53 },
	{ "a4_edge_low", PKT_FLOW4, 0, 17, 20, 0, 5000, 53 },
	{ "a4_edge_126", PKT_FLOW4, 0, 17, 20, 0, 5000, 53 },
	{ "frag4_first", PKT_FRAG, 0, 17, 20, PKT_FRAGMENT, 5000, 53 },
	{ "frag4_first_long", PKT_FRAG, 0, 17, 20, PKT_FRAGMENT, 5000, 53 },
	{ "frag4_later", PKT_FRAG, 0, 17, 20, PKT_FRAGMENT | PKT_FRAGMENT_LATER, 0, 0 },
	{ "frag4_last", PKT_FRAG, 0, 17, 20, PKT_FRAGMENT | PKT_FRAGMENT_LATER, 0, 0 },
	{ "frag4_unaligned", PKT_DROP, DROP_fragment_malformed },
	{ "frag4_empty", PKT_DROP, DROP_fragment_malformed },
	{ "frag4_past_64k", PKT_DROP, DROP_fragment_malformed },
	{ "frag4_tiny_tcp", PKT_DROP, DROP_l4_truncated },
	{ "frag4_tcp_offset1", PKT_DROP, DROP_fragment_malformed },
	{ "frag4_tcp_offset3", PKT_FRAG, 0, 6, 20, PKT_FRAGMENT | PKT_FRAGMENT_LATER, 0, 0 },
	{ "tcp6", PKT_FLOW6, 0, 6, 40, 0, 40000, 443 },
	{ "tcp6_syn", PKT_FLOW6, 0, 6, 40, PKT_TCP_SYN, 40000, 443 },
	{ "udp6", PKT_FLOW6, 0, 17, 40, 0, 5000, 53 },
	{ "echo6", PKT_FLOW6, 0, 58, 40, 0, 0x1234, ICMP_PORT(128, 0) },
	{ "echo6_reply", PKT_FLOW6, 0, 58, 40, 0, 0x1234, ICMP_PORT(129, 0) },
	{ "unreachable6", PKT_FLOW6, 0, 58, 40, 0, 0, ICMP_PORT(1, 3) },
	{ "sctp6", PKT_FLOW6, 0, 132, 40, 0, 3000, 4000 },
	{ "icmp4_in_6", PKT_FLOW6, 0, 1, 40, 0, 0, 0 },
	{ "none6", PKT_FLOW6, 0, 59, 40, 0, 0, 0 },
	{ "ext6", PKT_FLOW6, 0, 17, 64, PKT_OPTIONS, 5000, 53 },
	{ "ext6_syn", PKT_FLOW6, 0, 6, 56, PKT_OPTIONS | PKT_TCP_SYN, 40000, 443 },
	{ "ah6", PKT_FLOW6, 0, 17, 64, PKT_OPTIONS, 5000, 53 },
	{ "rh2", PKT_FLOW6, 0, 17, 64, PKT_OPTIONS, 5000, 53 },
	{ "rh0", PKT_DROP, DROP_ip6_bad_extension },
	{ "hbh_late6", PKT_DROP, DROP_ip6_bad_extension },
	{ "ext6_long", PKT_DROP, DROP_ip6_bad_extension },
	{ "ext6_many", PKT_DROP, DROP_ip6_bad_extension },
	{ "frag6_first", PKT_FRAG, 0, 17, 72, PKT_OPTIONS | PKT_FRAGMENT, 5000, 53 },
	{ "frag6_later", PKT_FRAG, 0, 60, 56, PKT_OPTIONS | PKT_FRAGMENT | PKT_FRAGMENT_LATER, 0,
		0 },
	{ "frag6_last", PKT_FRAG, 0, 17, 48, PKT_OPTIONS | PKT_FRAGMENT | PKT_FRAGMENT_LATER, 0,
		0 },
	{ "frag6_atomic", PKT_FLOW6, 0, 17, 48, PKT_OPTIONS, 5000, 53 },
	{ "frag6_unaligned", PKT_DROP, DROP_fragment_malformed },
	{ "frag6_empty", PKT_DROP, DROP_fragment_malformed },
	{ "frag6_past_64k", PKT_DROP, DROP_fragment_malformed },
	{ "frag6_twice", PKT_DROP, DROP_ip6_bad_extension },
	{ "frag6_cut_chain", PKT_DROP, DROP_ip6_bad_extension },
	{ "a6_none_src", PKT_DROP, DROP_ip6_bad_address },
	{ "a6_loop_src", PKT_DROP, DROP_ip6_bad_address },
	{ "a6_group_src", PKT_DROP, DROP_ip6_bad_address },
	{ "a6_none_dst", PKT_DROP, DROP_ip6_bad_address },
	{ "a6_loop_dst", PKT_DROP, DROP_ip6_bad_address },
	{ "a6_mapped_src", PKT_DROP, DROP_ip6_bad_address },
	{ "a6_mapped_dst", PKT_DROP, DROP_ip6_bad_address },
	{ "a6_group_dst", PKT_DROP, DROP_multicast_unsupported },
	{ "a6_none_group", PKT_DROP, DROP_multicast_unsupported },
	{ "a6_ll_dst", PKT_FLOW6, 0, 17, 40, 0, 5000, 53 },
	{ "a6_ll_src", PKT_FLOW6, 0, 17, 40, 0, 5000, 53 },
	{ "a6_nat64", PKT_FLOW6, 0, 17, 40, 0, 5000, 53 },
	{ "a6_low", PKT_FLOW6, 0, 17, 40, 0, 5000, 53 },
	{ "ns", PKT_ND, 0, 58, 40, 0, 0, ICMP_PORT(135, 0) },
	{ "dad", PKT_ND, 0, 58, 40, 0, 0, ICMP_PORT(135, 0) },
	{ "na", PKT_ND, 0, 58, 40, 0, 0, ICMP_PORT(136, 0) },
	{ "rs", PKT_ND, 0, 58, 40, 0, 0, ICMP_PORT(133, 0) },
	{ "mld", PKT_DROP, DROP_multicast_unsupported },
	{ "ns_fragment", PKT_FRAG, 0, 58, 48, PKT_OPTIONS | PKT_FRAGMENT, 0, ICMP_PORT(135, 0) },
	{ "arp", PKT_ARP, 0 },
	{ "vlan", PKT_DROP, DROP_vlan_unexpected },
	{ "lldp", PKT_DROP, DROP_ethertype_unknown },
	{ "group_mac", PKT_DROP, DROP_l2_source_invalid },
};

static bool outcome_is(const struct expectation *e, struct parsed parsed)
{
	if (parsed.class == e->class && parsed.reason == e->reason)
		return true;
	fprintf(stderr, "%s: class %d (%s), want %d (%s)\n", e->name, parsed.class,
		drop_reason_name(parsed.reason), e->class, drop_reason_name(e->reason));
	return false;
}

static bool fields_are(const struct expectation *e, const struct pkt *p, const uint8_t *frame,
	uint16_t len, uint8_t l2)
{
	const bool v6 = frame[12] == 0x86;
	const uint8_t flags = (uint8_t)(e->flags | (v6 ? PKT_V6 | PKT_DF : 0));
	const uint8_t *ip = frame + 14;
	const uint16_t sport = ntohs(v6 ? p->key6.sport : p->key4.sport);
	const uint16_t dport = ntohs(v6 ? p->key6.dport : p->key4.dport);
	const uint32_t zone_proto = v6 ? p->key6.zone_proto : p->key4.zone_proto;

	if (p->proto == e->proto && p->l3_len == e->l3_len && p->flags == flags &&
		sport == e->sport && dport == e->dport && zone_proto == (ZONE << 8 | e->proto) &&
		p->l2_len == l2 && p->ip_len == len - 14 && p->ttl == (v6 ? ip[7] : ip[8]) &&
		p->tos == (v6 ? (uint8_t)(ip[0] << 4 | ip[1] >> 4) : ip[1]) &&
		(v6 ? memcmp(p->key6.src, ip + 8, 32) : memcmp(&p->key4.src, ip + 12, 8)) == 0)
		return true;
	fprintf(stderr,
		"%s: proto %u l3 %u flags %#x (want %#x) ports %u %u zone %#x l2 %u len %u ttl %u "
		"tos %#x\n",
		e->name, p->proto, p->l3_len, p->flags, flags, sport, dport, zone_proto, p->l2_len,
		p->ip_len, p->ttl, p->tos);
	return false;
}

/* Whole, in pieces down to single bytes, and with padding: the same result. */
static void vectors_parse(void)
{
	static const uint32_t segments[] = { 0, 1, 3, 14, 15, 33, 34, 47, 54, 61 };
	uint8_t bytes[4096];
	struct pkt p;

	setup();
	CU_ASSERT_EQUAL(vector_count, RTE_DIM(expectations));
	for (unsigned i = 0; i < RTE_DIM(expectations); i++) {
		const struct expectation *e = &expectations[i];
		const struct vector_bytes *v = vector(e->name);

		for (unsigned s = 0; s < 2 * RTE_DIM(segments); s++) {
			const uint32_t padding = s < RTE_DIM(segments) ? 0 : 77;
			struct rte_mbuf *m;
			struct parsed parsed;

			if (segments[s % RTE_DIM(segments)] == 1 && v->len > 400)
				continue; /* more segments than the pool has */
			memcpy(bytes, v->bytes, v->len);
			memset(bytes + v->len, 0xee, padding);
			m = mbuf_of(pool, bytes, v->len + padding, segments[s % RTE_DIM(segments)]);
			memset(&p, 0xdd, sizeof(p));
			p.m = m;
			parsed = pkt_parse_ether(m, &p, ZONE);
			CU_ASSERT_TRUE(outcome_is(e, parsed));
			CU_ASSERT_PTR_EQUAL(p.m, m);
			if (e->class != PKT_DROP && e->class != PKT_ARP) {
				CU_ASSERT_TRUE(fields_are(e, &p, v->bytes, v->len, 14));
				CU_ASSERT_EQUAL(rte_pktmbuf_pkt_len(m), v->len);
				CU_ASSERT_EQUAL(mbuf_bytes(m, bytes), v->len);
				CU_ASSERT_EQUAL(memcmp(bytes, v->bytes, v->len), 0);
			}
			rte_mbuf_sanity_check(m, 1);
			rte_pktmbuf_free(m);
		}
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/* The same packets behind no Ethernet header. */
static void vectors_parse_ip(void)
{
	struct pkt p;

	setup();
	for (unsigned i = 0; i < RTE_DIM(expectations); i++) {
		const struct expectation *e = &expectations[i];
		const struct vector_bytes *v = vector(e->name);
		struct rte_mbuf *m;

		if (v->bytes[12] != 0x08 && v->bytes[12] != 0x86)
			continue;
		if (v->bytes[13] != 0x00 && v->bytes[13] != 0xdd)
			continue;
		if (e->reason == DROP_l2_source_invalid)
			continue;
		m = mbuf_of(pool, v->bytes + 14, v->len - 14u, 0);
		CU_ASSERT_TRUE(
			outcome_is(e, pkt_parse_ip(m, &p, ZONE, v->bytes[12] == 0x86 ? 6 : 4, 0)));
		CU_ASSERT_TRUE(e->class == PKT_DROP || fields_are(e, &p, v->bytes, v->len, 0));
		rte_pktmbuf_free(m);
	}
}

/* The drop each cut deserves, from the lengths alone. */
static enum drop_reason cut_reason(const struct vector_bytes *v, uint16_t len)
{
	const bool v6 = v->bytes[12] == 0x86;

	if (len < 14)
		return DROP_l2_truncated;
	if (v6)
		return len < 54 ? DROP_ip6_truncated : DROP_ip6_bad_payload_length;
	if (len < 34)
		return DROP_ip4_truncated;
	return len < 14 + (v->bytes[14] & 15) * 4 ? DROP_ip4_bad_header_length
						  : DROP_ip4_bad_total_length;
}

static void cut_anywhere(void)
{
	static const char *const names[] = { "tcp4_df_syn", "rr4", "tcp6_syn", "ext6",
		"frag6_first", "ns" };
	struct pkt p;

	setup();
	for (unsigned i = 0; i < RTE_DIM(names); i++) {
		const struct vector_bytes *v = vector(names[i]);

		for (uint16_t len = 1; len < v->len; len++) {
			struct rte_mbuf *m = mbuf_of(pool, v->bytes, len, i % 2 == 0 ? 0 : 40);
			struct parsed parsed = pkt_parse_ether(m, &p, ZONE);

			CU_ASSERT_EQUAL(parsed.class, PKT_DROP);
			CU_ASSERT_EQUAL(parsed.reason, cut_reason(v, len));
			rte_pktmbuf_free(m);
		}
	}
}

/** Set the IP length of a frame to its `len` bytes and make its header checksum right. */
static void length_fix(uint8_t *frame, uint16_t len)
{
	uint16_t word = rte_cpu_to_be_16((uint16_t)(len - 14));

	if (frame[12] == 0x86) {
		word = rte_cpu_to_be_16((uint16_t)(len - 54));
		memcpy(frame + 18, &word, 2);
		return;
	}
	memcpy(frame + 16, &word, 2);
	memset(frame + 24, 0, 2);
	word = (uint16_t)~naive_sum(frame + 14, (frame[14] & 15u) * 4);
	memcpy(frame + 24, &word, 2);
}

/* Packets whose lengths are consistent but too short for what they say to carry. */
static void short_inside(void)
{
	static const struct {
		const char *name;
		uint16_t whole; /* shortest frame that is still accepted */
		enum drop_reason reason;
	} chains[] = {
		{ "tcp4_df_syn", 14 + 20 + 32, DROP_l4_truncated },
		{ "tcp6_syn", 14 + 40 + 32, DROP_l4_truncated },
		{ "options40", 14 + 60 + 32, DROP_l4_truncated },
		{ "sctp4", 14 + 20 + 12, DROP_l4_truncated },
		{ "echo4", 14 + 20 + 8, DROP_l4_truncated },
		{ "echo6", 14 + 40 + 8, DROP_l4_truncated },
		{ "na", 14 + 40 + 8, DROP_l4_truncated },
		{ "ext6_syn", 14 + 56 + 32, DROP_NONE },
		{ "udp4", 14 + 20 + 8 + 48, DROP_NONE },
		{ "ext6", 14 + 64 + 8 + 48, DROP_NONE },
	};
	uint8_t bytes[2048];
	struct pkt p;

	setup();
	for (unsigned i = 0; i < RTE_DIM(chains); i++) {
		const struct vector_bytes *v = vector(chains[i].name);
		const uint16_t l3 =
			(uint16_t)(v->bytes[12] == 0x86 ? 54 : 14 + (v->bytes[14] & 15) * 4);

		for (uint16_t len = l3; len <= v->len; len++) {
			struct rte_mbuf *m;
			struct parsed parsed;

			memcpy(bytes, v->bytes, len);
			length_fix(bytes, len);
			m = mbuf_of(pool, bytes, len, 0);
			parsed = pkt_parse_ether(m, &p, ZONE);
			CU_ASSERT_EQUAL(parsed.class == PKT_DROP, len < chains[i].whole);
			if (len < chains[i].whole && chains[i].reason != DROP_NONE)
				CU_ASSERT_EQUAL(parsed.reason, chains[i].reason);
			if (parsed.class == PKT_DROP && chains[i].reason == DROP_NONE)
				CU_ASSERT_TRUE(parsed.reason == DROP_l4_truncated ||
					       parsed.reason == DROP_l4_bad_length ||
					       parsed.reason == DROP_ip6_bad_extension);
			rte_pktmbuf_free(m);
		}
	}
}

static enum drop_reason changed(const char *name, uint16_t at, uint8_t to, bool fix)
{
	const struct vector_bytes *v = vector(name);
	uint8_t bytes[2048];
	struct parsed parsed;
	struct rte_mbuf *m;
	struct pkt p;

	memcpy(bytes, v->bytes, v->len);
	bytes[at] = to;
	if (fix)
		length_fix(bytes, v->len);
	m = mbuf_of(pool, bytes, v->len, 0);
	parsed = pkt_parse_ether(m, &p, ZONE);
	rte_pktmbuf_free(m);
	return parsed.class == PKT_DROP ? parsed.reason : DROP_NONE;
}

static void fields_that_lie(void)
{
	setup();
	CU_ASSERT_EQUAL(changed("tcp4", 14, 0x65, false), DROP_ip4_bad_version);
	CU_ASSERT_EQUAL(changed("tcp4", 14, 0x44, false), DROP_ip4_bad_header_length);
	CU_ASSERT_EQUAL(changed("udp4_empty", 14, 0x4f, false), DROP_ip4_bad_header_length);
	CU_ASSERT_EQUAL(changed("tcp4", 17, 19, false), DROP_ip4_bad_total_length);
	CU_ASSERT_EQUAL(changed("tcp4", 16, 0xff, false), DROP_ip4_bad_total_length);
	CU_ASSERT_EQUAL(changed("tcp6", 14, 0x40, false), DROP_ip6_bad_version);
	CU_ASSERT_EQUAL(changed("tcp6", 18, 0xff, false), DROP_ip6_bad_payload_length);
	for (uint16_t at = 14; at < 34; at++) /* every single-bit error of the header is found */
		for (unsigned bit = 0; bit < 8; bit++)
			CU_ASSERT_NOT_EQUAL(
				changed("tcp4", at,
					vector("tcp4")->bytes[at] ^ (uint8_t)(1u << bit), false),
				DROP_NONE);
	CU_ASSERT_EQUAL(changed("tcp4", 24, 0, false), DROP_ip4_bad_checksum);
	CU_ASSERT_EQUAL(changed("tcp4", 14 + 20 + 12, 0x40, false), DROP_l4_bad_length);
	CU_ASSERT_EQUAL(changed("tcp4", 14 + 20 + 12, 0xf0, false), DROP_NONE);
	CU_ASSERT_EQUAL(changed("tcp6_syn", 14 + 40 + 12, 0xf0, false), DROP_l4_truncated);
	CU_ASSERT_EQUAL(changed("udp4", 14 + 20 + 5, 7, false), DROP_l4_bad_length);
	CU_ASSERT_EQUAL(changed("udp4", 14 + 20 + 5, 57, false), DROP_l4_bad_length);
	CU_ASSERT_EQUAL(changed("udp4", 14 + 20 + 5, 55, false), DROP_NONE);
	CU_ASSERT_EQUAL(changed("udp6", 14 + 40 + 5, 57, false), DROP_l4_bad_length);
	CU_ASSERT_EQUAL(
		changed("tcp4", 20, 0x80, true), DROP_NONE); /* the reserved bit is no fragment */
	CU_ASSERT_EQUAL(changed("frag4_first_long", 14 + 20 + 5, 3, false), DROP_NONE);
}

/* Header sums are not folded when they are checked: the verdict is the naive sum's all the same. */
static void header_sums(void)
{
	const struct vector_bytes *v;
	unsigned good = 0;

	setup();
	v = vector("options40");
	for (unsigned round = 0; round < 20000; round++) {
		const unsigned header = round & 1 ? 20 : 60;
		uint8_t bytes[2048];
		struct rte_mbuf *m;
		struct pkt p;
		bool right;

		memcpy(bytes, v->bytes, v->len);
		bytes[14] = (uint8_t)(0x40 | header / 4);
		for (unsigned i = 26; i < 34; i++)
			bytes[i] = (uint8_t)(1 + rand() % 100);
		length_fix(bytes, v->len);
		if (round % 3 == 0) /* zero has two forms */
			memset(bytes + 24, round & 2 ? 0xff : 0, 2);
		if (round % 5 == 0)
			bytes[24 + rand() % 2] ^= (uint8_t)(1u << rand() % 8);
		right = naive_sum(bytes + 14, header) == 0xffff;
		good += right;
		m = mbuf_of(pool, bytes, v->len, 0);
		CU_ASSERT_EQUAL(
			pkt_parse_ether(m, &p, ZONE).reason == DROP_ip4_bad_checksum, !right);
		rte_pktmbuf_free(m);
	}
	CU_ASSERT_TRUE(good > 8000 && good < 13000);
}

/* A 64 KiB segment, its headers in the first of many pieces. */
static void large_segments(void)
{
	static uint8_t bytes[14 + 65535];
	struct rte_mbuf *m;
	struct parsed parsed;
	struct pkt p;

	setup();
	for (int v6 = 0; v6 < 2; v6++) {
		const struct vector_bytes *v = vector(v6 ? "tcp6" : "tcp4");

		memcpy(bytes, v->bytes, v->len);
		length_fix(bytes, (uint16_t)(14 + 65521));
		if (!v6)
			length_fix(bytes, (uint16_t)65535);
		m = mbuf_of(pool, bytes, v6 ? 14 + 65521 : 65535, 2000);
		m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
		parsed = pkt_parse_ether(m, &p, ZONE);
		CU_ASSERT_EQUAL(parsed.class, v6 ? PKT_FLOW6 : PKT_FLOW4);
		CU_ASSERT_EQUAL(p.ip_len, 65521);
		CU_ASSERT_EQUAL(m->nb_segs, 33);
		rte_pktmbuf_free(m);
	}
}

/** A first segment that ends where its buffer does: the room is in front of it. */
static void pulled_into_headroom(void)
{
	uint8_t bytes[600], got[600];
	struct rte_mbuf *m;

	setup();
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	m = mbuf_of(pool, bytes, sizeof(bytes), 50);
	memmove((uint8_t *)m->buf_addr + m->buf_len - 50, rte_pktmbuf_mtod(m, void *), 50);
	m->data_off = (uint16_t)(m->buf_len - 50);
	CU_ASSERT_TRUE(pkt_pull(m, 151));
	CU_ASSERT_EQUAL(m->data_len, 151);
	CU_ASSERT_EQUAL(m->nb_segs, 10);
	CU_ASSERT_TRUE(rte_pktmbuf_headroom(m) >= 2048 - 151 + RTE_PKTMBUF_HEADROOM - 1);
	CU_ASSERT_EQUAL(mbuf_bytes(m, got), sizeof(bytes));
	CU_ASSERT_EQUAL(memcmp(bytes, got, sizeof(bytes)), 0);
	rte_mbuf_sanity_check(m, 1);
	rte_pktmbuf_free(m);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void pulled_or_not(void)
{
	uint8_t bytes[3000], got[3000];
	struct rte_mbuf *m, *clone;

	setup();
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	m = mbuf_of(pool, bytes, sizeof(bytes), 100);
	CU_ASSERT_TRUE(pkt_pull(m, 100));
	CU_ASSERT_EQUAL(m->nb_segs, 30);
	CU_ASSERT_TRUE(pkt_pull(m, 451));
	CU_ASSERT_EQUAL(m->nb_segs, 27);
	CU_ASSERT_EQUAL(m->data_len, 451);
	CU_ASSERT_FALSE(pkt_pull(m, 3001));
	CU_ASSERT_FALSE(pkt_pull(m, 2049 + RTE_PKTMBUF_HEADROOM)); /* more than a buffer */
	CU_ASSERT_EQUAL(mbuf_bytes(m, got), sizeof(bytes));
	CU_ASSERT_EQUAL(memcmp(bytes, got, sizeof(bytes)), 0);
	pkt_trim(m, 500);
	CU_ASSERT_EQUAL(m->nb_segs, 2);
	CU_ASSERT_EQUAL(mbuf_bytes(m, got), 500);
	clone = rte_pktmbuf_clone(m, pool);
	CU_ASSERT_FALSE(pkt_pull(clone, 460)); /* the bytes belong to others too */
	CU_ASSERT_FALSE(m->refcnt > 1 && pkt_pull(m, 460));
	rte_pktmbuf_free(clone);
	pkt_trim(m, 0);
	CU_ASSERT_EQUAL(m->nb_segs, 1);
	CU_ASSERT_EQUAL(rte_pktmbuf_pkt_len(m), 0);
	rte_mbuf_sanity_check(m, 1);
	rte_pktmbuf_free(m);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void checksum_like_the_naive_sum(void)
{
	static const uint32_t segments[] = { 0, 1, 2, 7, 64, 129 };
	uint8_t bytes[300];

	setup();
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)rand();
	for (unsigned s = 0; s < RTE_DIM(segments); s++) {
		struct rte_mbuf *m = mbuf_of(pool, bytes, sizeof(bytes), segments[s]);

		for (uint32_t off = 0; off < 140; off++)
			for (uint32_t len = 1; off + len <= sizeof(bytes); len += len < 9 ? 1 : 31)
				CU_ASSERT_EQUAL(
					pkt_checksum(m, off, len, 0), naive_sum(bytes + off, len));
		CU_ASSERT_EQUAL(pkt_checksum(m, 3, 0, 0x1fffe), 0xffff);
		rte_pktmbuf_free(m);
	}
}

static void reversed_keys(void)
{
	struct flow_key4 k = { .src = 1,
		.dst = 2,
		.sport = htons(40000),
		.dport = htons(443),
		.zone_proto = 7 << 8 | 6 },
			 r, rr;
	struct flow_key6 k6 = { .src = { 1 },
		.dst = { 2 },
		.sport = htons(9),
		.dport = htons(0x8000),
		.zone_proto = 58 },
			 r6;

	pkt_reverse_key4(&k, ZONE_TUNNEL, &r);
	CU_ASSERT_TRUE(
		r.src == 2 && r.dst == 1 && r.sport == htons(443) && r.dport == htons(40000));
	CU_ASSERT_EQUAL(r.zone_proto, ZONE_TUNNEL << 8 | 6);
	k = (struct flow_key4){ .src = 1,
		.dst = 2,
		.sport = htons(77),
		.dport = htons(0x0800),
		.zone_proto = 7 << 8 | 1 };
	pkt_reverse_key4(&k, 9, &r);
	CU_ASSERT_TRUE(r.sport == htons(77) && r.dport == 0);
	pkt_reverse_key4(&r, 7, &rr);
	CU_ASSERT_EQUAL(memcmp(&rr, &k, sizeof(k)), 0);
	k.dport = htons(0x0304);
	pkt_reverse_key4(&k, 9, &r);
	CU_ASSERT_EQUAL(r.dport, htons(0x0304));
	pkt_reverse_key6(&k6, 3, &r6);
	CU_ASSERT_TRUE(r6.src[0] == 2 && r6.dst[0] == 1 && r6.sport == htons(9) &&
		       r6.dport == htons(0x8100));
	CU_ASSERT_EQUAL(r6.zone_proto, 3 << 8 | 58);
}

static const struct test_case cases[] = {
	{ "every vector, whole, in pieces and padded", vectors_parse },
	{ "every vector without Ethernet", vectors_parse_ip },
	{ "cut at every byte", cut_anywhere },
	{ "consistent lengths, short contents", short_inside },
	{ "fields that lie", fields_that_lie },
	{ "header sums", header_sums },
	{ "64 KiB segments", large_segments },
	{ "pull and trim", pulled_or_not },
	{ "pull into headroom", pulled_into_headroom },
	{ "checksums over segments", checksum_like_the_naive_sum },
	{ "reversed keys", reversed_keys },
};
SUITE_MAIN("packet", cases)
