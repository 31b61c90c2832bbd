/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/arp_nd.h"
#include "tests/unit/eal.h"
#include "tests/unit/suite.h"
#include "tests/unit/vectors.h"

static struct rte_mempool *pool;
static struct mac_addr pod_mac, gateway_mac;
static const struct mac_addr no_mac;

static void setup(void)
{
	if (pool != NULL)
		return;
	eal_start();
	pool = eal_pool("packets", 255, 2048);
	vectors_load("neighbour");
	mac_addr_parse("02:00:00:00:00:0a", &pod_mac);
	mac_addr_parse("02:70:6f:64:6c:01", &gateway_mac);
}

static struct ip_addr ip(const char *text)
{
	struct ip_addr addr = { .family = IP_NONE };

	if (text != NULL && ip_addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static bool ip_is(const struct ip_addr *addr, const char *text)
{
	struct ip_addr want = ip(text);

	return ip_addr_equal(addr, &want);
}

/** The named frame, parsed as far as pkt_parse_ether goes and then here. */
static enum drop_reason parse(const char *name, uint32_t segment, struct rte_mbuf **m,
	struct pkt *p, struct neighbour_info *info)
{
	const struct vector_bytes *v = vector(name);
	struct parsed parsed;

	*m = mbuf_of(pool, v->bytes, v->len, segment);
	parsed = pkt_parse_ether(*m, p, 1);
	if (parsed.class != PKT_ARP && parsed.class != PKT_ND)
		return parsed.reason;
	return neighbour_parse(*m, p, parsed.class == PKT_ARP, info);
}

enum { PROBE = 1 << 0, NO_MAC = 1 << 1, UNICAST = 1 << 2, R = 1 << 3, S = 1 << 4, O = 1 << 5 };

static void messages(void)
{
	static const struct {
		const char *name;
		enum neighbour_message kind;
		const char *sender, *target;
		unsigned flags;
	} rows[] = {
		{ "arp_request", NEIGHBOUR_REQUEST, "10.244.1.9", "169.254.1.1", 0 },
		{ "arp_unicast", NEIGHBOUR_REQUEST, "10.244.1.9", "169.254.1.1", UNICAST },
		{ "arp_probe", NEIGHBOUR_REQUEST, NULL, "10.244.1.9", 0 },
		{ "arp_gratuitous", NEIGHBOUR_REQUEST, "10.9.9.9", "10.9.9.9", 0 },
		{ "arp_reply", NEIGHBOUR_REPLY, "10.244.1.9", "10.244.1.9", UNICAST | S | O },
		{ "ns", NEIGHBOUR_REQUEST, "fe80::9", "fe80::1", 0 },
		{ "ns_more_options", NEIGHBOUR_REQUEST, "fe80::9", "fe80::1", 0 },
		{ "ns_unicast", NEIGHBOUR_REQUEST, "fe80::9", "fe80::1", UNICAST | NO_MAC },
		{ "ns_dad", NEIGHBOUR_REQUEST, NULL, "fe80::9", NO_MAC },
	};
	struct neighbour_info info;
	struct rte_mbuf *m;
	struct pkt p;

	setup();
	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		for (uint32_t segment = 0; segment < 60; segment += 29) {
			CU_ASSERT_EQUAL(parse(rows[i].name, segment, &m, &p, &info), DROP_NONE);
			CU_ASSERT_EQUAL(info.kind, rows[i].kind);
			CU_ASSERT_TRUE(ip_is(&info.sender, rows[i].sender));
			CU_ASSERT_TRUE(ip_is(&info.target, rows[i].target));
			CU_ASSERT_EQUAL(memcmp(&info.sender_mac,
						rows[i].flags & NO_MAC ? &no_mac : &pod_mac, 6),
				0);
			CU_ASSERT_EQUAL(info.unicast, !!(rows[i].flags & UNICAST));
			CU_ASSERT_EQUAL(info.solicited, !!(rows[i].flags & S));
			CU_ASSERT_EQUAL(info.override, !!(rows[i].flags & O));
			rte_pktmbuf_free(m);
		}
	}
	CU_ASSERT_EQUAL(parse("na", 0, &m, &p, &info), DROP_NONE);
	CU_ASSERT_TRUE(info.kind == NEIGHBOUR_REPLY && info.router && info.solicited &&
		       info.override && info.unicast);
	CU_ASSERT_EQUAL(memcmp(&info.sender_mac, &gateway_mac, 6), 0);
	rte_pktmbuf_free(m);
	CU_ASSERT_EQUAL(parse("na_plain", 0, &m, &p, &info), DROP_NONE);
	CU_ASSERT_TRUE(!info.router && info.solicited && !info.override &&
		       mac_addr_is_zero(&info.sender_mac));
	rte_pktmbuf_free(m);
	CU_ASSERT_EQUAL(parse("na_to_all", 0, &m, &p, &info), DROP_NONE);
	CU_ASSERT_TRUE(!info.solicited && info.override && !info.unicast);
	rte_pktmbuf_free(m);
}

static void refusals(void)
{
	static const struct {
		const char *name;
		enum drop_reason reason;
	} rows[] = {
		{ "arp_rarp", DROP_arp_ignored },
		{ "arp_inverse", DROP_arp_ignored },
		{ "arp_group_mac", DROP_arp_malformed },
		{ "arp_no_mac", DROP_arp_malformed },
		{ "arp_group_sender", DROP_arp_ignored },
		{ "arp_zero_target", DROP_arp_ignored },
		{ "arp_bad_hw", DROP_arp_malformed },
		{ "arp_bad_proto", DROP_arp_malformed },
		{ "arp_bad_hlen", DROP_arp_malformed },
		{ "arp_bad_plen", DROP_arp_malformed },
		{ "ns_dad_lla", DROP_nd_malformed },
		{ "ns_dad_unicast", DROP_nd_malformed },
		{ "ns_hop_limit", DROP_nd_malformed },
		{ "ns_code", DROP_nd_malformed },
		{ "ns_checksum", DROP_nd_malformed },
		{ "ns_group_target", DROP_nd_malformed },
		{ "ns_option_zero", DROP_nd_malformed },
		{ "ns_option_long", DROP_nd_malformed },
		{ "ns_option_wide", DROP_nd_malformed },
		{ "ns_option_half", DROP_nd_malformed },
		{ "ns_group_lla", DROP_nd_malformed },
		{ "na_solicited_to_all", DROP_nd_malformed },
		{ "na_none", DROP_nd_malformed },
		{ "rs", DROP_nd_ignored },
	};
	struct neighbour_info info;
	struct rte_mbuf *m;
	struct pkt p;

	setup();
	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		enum drop_reason reason = parse(rows[i].name, 0, &m, &p, &info);

		CU_ASSERT_EQUAL(reason, rows[i].reason);
		if (reason != rows[i].reason)
			fprintf(stderr, "%s: %s\n", rows[i].name, drop_reason_name(reason));
		rte_pktmbuf_free(m);
	}
}

/* Cut anywhere; of ND messages with the IPv6 length and the checksum telling the truth. */
static void cut_anywhere(void)
{
	static const char *const names[] = { "arp_request", "ns", "na" };
	struct neighbour_info info;
	uint8_t bytes[256];

	setup();
	for (unsigned i = 0; i < RTE_DIM(names); i++) {
		const struct vector_bytes *v = vector(names[i]);

		for (uint16_t len = i == 0 ? 14 : 62; len < v->len; len++) {
			uint16_t word = rte_cpu_to_be_16((uint16_t)(len - 54));
			struct rte_mbuf *m;
			struct parsed parsed;
			struct pkt p;
			bool fine;

			memcpy(bytes, v->bytes, len);
			if (i > 0) {
				uint8_t pseudo[40 + 256] = { 0 };

				memcpy(bytes + 18, &word, 2);
				memset(bytes + 56, 0, 2);
				memcpy(pseudo, bytes + 22, 32);
				pseudo[35] = (uint8_t)(len - 54);
				pseudo[39] = 58;
				memcpy(pseudo + 40, bytes + 54, len - 54u);
				word = (uint16_t)~naive_sum(pseudo, 40u + len - 54u);
				memcpy(bytes + 56, &word, 2);
			}
			m = mbuf_of(pool, bytes, len, 0);
			parsed = pkt_parse_ether(m, &p, 1);
			CU_ASSERT_EQUAL_FATAL(parsed.class, i == 0 ? PKT_ARP : PKT_ND);
			fine = i > 0 && len == 78; /* without its option */
			CU_ASSERT_EQUAL(neighbour_parse(m, &p, i == 0, &info),
				fine	 ? DROP_NONE
				: i == 0 ? DROP_arp_malformed
					 : DROP_nd_malformed);
			rte_pktmbuf_free(m);
		}
	}
}

static bool frame_is(struct rte_mbuf *m, const char *name)
{
	const struct vector_bytes *want = vector(name);
	bool same = m != NULL && rte_pktmbuf_pkt_len(m) == want->len && m->nb_segs == 1 &&
		    memcmp(rte_pktmbuf_mtod(m, void *), want->bytes, want->len) == 0;

	rte_pktmbuf_free(m);
	return same;
}

static void made(void)
{
	struct ip_addr pod4, pod6, gw4, gw6, none;

	setup();
	pod4 = ip("10.244.1.9");
	pod6 = ip("fe80::9");
	gw4 = ip("169.254.1.1");
	gw6 = ip("fe80::1");
	none = ip(NULL);
	CU_ASSERT_TRUE(frame_is(
		neighbour_request_make(pool, &pod4, &gw4, &gateway_mac, &no_mac), "arp_made"));
	CU_ASSERT_TRUE(frame_is(neighbour_request_make(pool, &pod4, &gw4, &gateway_mac, &pod_mac),
		"arp_made_unicast"));
	CU_ASSERT_TRUE(frame_is(neighbour_request_make(pool, &pod4, &none, &gateway_mac, &no_mac),
		"arp_made_probe"));
	CU_ASSERT_TRUE(frame_is(
		neighbour_request_make(pool, &pod6, &gw6, &gateway_mac, &no_mac), "ns_made"));
	CU_ASSERT_TRUE(frame_is(neighbour_request_make(pool, &pod6, &gw6, &gateway_mac, &pod_mac),
		"ns_made_unicast"));
	CU_ASSERT_TRUE(frame_is(neighbour_request_make(pool, &pod6, &none, &gateway_mac, &no_mac),
		"ns_made_probe"));
	CU_ASSERT_TRUE(frame_is(
		neighbour_reply_make(pool, &gw4, &gateway_mac, &pod4, &pod_mac, false, true, true),
		"arp_request.out"));
	CU_ASSERT_TRUE(frame_is(
		neighbour_reply_make(pool, &gw4, &gateway_mac, &none, &no_mac, false, false, true),
		"arp_announce"));
	CU_ASSERT_TRUE(frame_is(
		neighbour_reply_make(pool, &gw6, &gateway_mac, &pod6, &pod_mac, true, true, true),
		"na"));
	CU_ASSERT_TRUE(frame_is(
		neighbour_reply_make(pool, &gw6, &gateway_mac, &none, &no_mac, true, true, true),
		"na_to_all"));
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void proxy(void)
{
	static const char *const answered[] = { "arp_request", "ns", "ns_unicast",
		"ns_more_options" };
	static const char *const ignored[] = { "arp_own", "arp_probe", "arp_gratuitous",
		"arp_reply", "ns_own", "ns_dad", "na" };
	struct ip_prefix own[2];
	struct neighbour_info info;
	struct rte_mbuf *m;
	char out[48];
	struct pkt p;

	setup();
	ip_prefix_parse("10.244.1.9/32", &own[0]);
	ip_prefix_parse("fd00:244:1::9/128", &own[1]);
	for (unsigned i = 0; i < RTE_DIM(answered); i++) {
		for (uint32_t segment = 0; segment < 60; segment += 29) {
			CU_ASSERT_EQUAL(parse(answered[i], segment, &m, &p, &info), DROP_NONE);
			CU_ASSERT_EQUAL(neighbour_proxy_reply(m, &p, &info, &gateway_mac, own, 2),
				DROP_NONE);
			snprintf(out, sizeof(out), "%s.out", answered[i]);
			CU_ASSERT_TRUE(frame_is(m, out));
		}
	}
	for (unsigned i = 0; i < RTE_DIM(ignored); i++) {
		CU_ASSERT_EQUAL(parse(ignored[i], 0, &m, &p, &info), DROP_NONE);
		CU_ASSERT_EQUAL(neighbour_proxy_reply(m, &p, &info, &gateway_mac, own, 2),
			ignored[i][0] == 'a' ? DROP_arp_ignored : DROP_nd_ignored);
		CU_ASSERT_TRUE(frame_is(m, ignored[i]));
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static const struct test_case cases[] = {
	{ "messages", messages },
	{ "refusals", refusals },
	{ "cut at every byte", cut_anywhere },
	{ "made like scapy's", made },
	{ "proxy", proxy },
};
SUITE_MAIN("arp_nd", cases)
