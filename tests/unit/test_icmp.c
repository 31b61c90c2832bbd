/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/icmp.h"
#include "tests/unit/eal.h"
#include "tests/unit/suite.h"
#include "tests/unit/vectors.h"

#include <arpa/inet.h>

static struct rte_mempool *pool;

static void setup(void)
{
	if (pool != NULL)
		return;
	eal_start();
	pool = eal_pool("packets", 511, 2048);
	vectors_load("icmp");
}

static const struct vector_bytes *vector_out(const char *name)
{
	char out[48];

	snprintf(out, sizeof(out), "%s.out", name);
	return vector(out);
}

static bool is_v6(const struct vector_bytes *v)
{
	return v->bytes[0] >> 4 == 6;
}

/** The named vector behind an Ethernet header, parsed. */
static struct rte_mbuf *frame_of(
	const char *name, uint32_t segment, struct pkt *p, struct parsed *parsed)
{
	const struct vector_bytes *v = vector(name);
	uint8_t bytes[2100] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0 };
	struct rte_mbuf *m;

	if (is_v6(v))
		memcpy(bytes + 12, "\x86\xdd", 2);
	memcpy(bytes + 14, v->bytes, v->len);
	m = mbuf_of(pool, bytes, 14u + v->len, segment);
	*parsed = pkt_parse_ether(m, p, 1);
	return m;
}

static bool bytes_are(const struct rte_mbuf *m, uint32_t off, const struct vector_bytes *want)
{
	uint8_t bytes[2100];

	if (mbuf_bytes(m, bytes) == off + want->len &&
		memcmp(bytes + off, want->bytes, want->len) == 0)
		return true;
	fprintf(stderr, "%s: %u bytes, want %u\n", want->name, mbuf_bytes(m, bytes) - off,
		want->len);
	for (unsigned i = 0; i < want->len; i++) {
		if (bytes[off + i] != want->bytes[i]) {
			fprintf(stderr, "  byte %u: %02x, want %02x\n", i, bytes[off + i],
				want->bytes[i]);
			break;
		}
	}
	return false;
}

static void echo_replies(void)
{
	static const char *const names[] = { "echo4_0", "echo4_1", "echo4_48", "echo4_1200",
		"echo6_0", "echo6_1", "echo6_48", "echo6_1200", "echo4_rr", "echo6_ext" };
	static const uint32_t segments[] = { 0, 47, 333 };

	setup();
	for (unsigned i = 0; i < RTE_DIM(names); i++) {
		for (unsigned s = 0; s < RTE_DIM(segments); s++) {
			struct parsed parsed;
			struct pkt p;
			struct rte_mbuf *m = frame_of(names[i], segments[s], &p, &parsed);

			CU_ASSERT_EQUAL(icmp_echo_reply(m, &p), DROP_NONE);
			CU_ASSERT_TRUE(bytes_are(m, 14, vector_out(names[i])));
			CU_ASSERT_EQUAL(p.ip_len, vector_out(names[i])->len);
			CU_ASSERT_EQUAL(rte_pktmbuf_mtod(m, uint8_t *)[5],
				1); /* the Ethernet header is still there */
			rte_pktmbuf_free(m);
		}
	}
}

static void no_echo(void)
{
	struct parsed parsed;
	struct rte_mbuf *m;
	struct pkt p;

	setup();
	for (int v6 = 0; v6 < 2; v6++) {
		const char *name = v6 ? "echo6_48" : "echo4_48";

		for (unsigned at = 0; at < 56; at += 5) {
			m = frame_of(name, 0, &p, &parsed);
			rte_pktmbuf_mtod(m, uint8_t *)[14 + p.l3_len + (at < 2 ? 2 : at)] ^= 0x10;
			CU_ASSERT_EQUAL(icmp_echo_reply(m, &p), DROP_icmp_bad_checksum);
			rte_pktmbuf_free(m);
		}
		m = frame_of(name, 0, &p, &parsed);
		rte_pktmbuf_mtod(m, uint8_t *)[14 + p.l3_len + 1] = 1; /* code */
		CU_ASSERT_EQUAL(icmp_echo_reply(m, &p), DROP_no_local_listener);
		p.ip_len = (uint16_t)(p.l3_len + 7);
		CU_ASSERT_EQUAL(icmp_echo_reply(m, &p), DROP_l4_truncated);
		rte_pktmbuf_free(m);
		m = frame_of(v6 ? "port6" : "about_query4_0", 0, &p, &parsed);
		CU_ASSERT_EQUAL(icmp_echo_reply(m, &p), DROP_no_local_listener);
		rte_pktmbuf_free(m);
	}
}

static struct rte_mbuf *error_about(
	const char *name, uint32_t segment, enum drop_reason reason, uint16_t mtu, uint8_t flags)
{
	struct icmp_error error;
	struct rte_mbuf *m, *e;
	struct parsed parsed;
	struct pkt p;

	m = frame_of(name, segment, &p, &parsed);
	m->port = 12;
	p.flags |= flags;
	error = icmp_error_for(reason, p.flags & PKT_V6);
	error.info = mtu;
	inet_pton(p.flags & PKT_V6 ? AF_INET6 : AF_INET,
		p.flags & PKT_V6 ? "2001:db8::fe" : "192.0.2.254", error.source);
	e = icmp_error_make(pool, m, &p, &error);
	CU_ASSERT_EQUAL(rte_pktmbuf_pkt_len(m), 14u + vector(name)->len);
	rte_pktmbuf_free(m);
	return e;
}

static void errors(void)
{
	static const struct {
		const char *name;
		enum drop_reason reason;
		uint16_t mtu;
	} rows[] = {
		{ "expired4_0", DROP_ttl_expired },
		{ "expired4_100", DROP_ttl_expired },
		{ "expired4_519", DROP_ttl_expired },
		{ "expired4_521", DROP_ttl_expired },
		{ "expired4_1180", DROP_ttl_expired },
		{ "expired4_1300", DROP_ttl_expired },
		{ "expired6_0", DROP_ttl_expired },
		{ "expired6_100", DROP_ttl_expired },
		{ "expired6_1180", DROP_ttl_expired },
		{ "expired6_1300", DROP_ttl_expired },
		{ "big4", DROP_packet_too_big, 1410 },
		{ "big6", DROP_packet_too_big, 1410 },
		{ "proto4", DROP_no_local_listener },
		{ "proto6", DROP_no_local_listener },
		{ "port4", DROP_no_local_listener },
		{ "port6", DROP_no_local_listener },
	};
	static const uint32_t segments[] = { 0, 40, 501 };

	setup();
	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		for (unsigned s = 0; s < RTE_DIM(segments); s++) {
			struct rte_mbuf *e = error_about(
				rows[i].name, segments[s], rows[i].reason, rows[i].mtu, 0);

			CU_ASSERT_PTR_NOT_NULL_FATAL(e);
			CU_ASSERT_TRUE(bytes_are(e, 0, vector_out(rows[i].name)));
			CU_ASSERT_EQUAL(e->port, 12);
			CU_ASSERT_EQUAL(e->ol_flags, 0);
			CU_ASSERT_EQUAL(rte_pktmbuf_headroom(e), RTE_PKTMBUF_HEADROOM);
			rte_pktmbuf_free(e);
		}
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void silence(void)
{
	static const char *const silent[] = { "about_error4_3", "about_error4_4", "about_error4_5",
		"about_error4_11", "about_error4_12", "about_error6_1", "about_error6_2",
		"about_error6_3", "later4" };
	static const char *const due[] = { "about_query4_0", "about_query4_8", "about_query4_13",
		"about_query6_128", "first4" };
	struct icmp_error error = { .type = 3 };
	struct parsed parsed;
	struct rte_mbuf *m, *e;
	struct pkt p;

	setup();
	for (unsigned i = 0; i < RTE_DIM(silent); i++)
		CU_ASSERT_PTR_NULL(error_about(silent[i], 0, DROP_no_route, 0, 0));
	for (unsigned i = 0; i < RTE_DIM(due); i++) {
		e = error_about(due[i], 0, DROP_no_route, 0, 0);
		CU_ASSERT_PTR_NOT_NULL(e);
		rte_pktmbuf_free(e);
	}
	CU_ASSERT_PTR_NULL(error_about("port4", 0, DROP_no_route, 0, PKT_GENERATED));
	CU_ASSERT_PTR_NULL(error_about("port4", 0, DROP_policy_egress, 0, 0));
	for (unsigned i = 0; i < 4;
		i++) { /* multicast frame, multicast and unspecified addresses */
		m = frame_of("port4", 0, &p, &parsed);
		rte_pktmbuf_mtod(m, uint8_t *)[i == 0	? 0
					       : i == 1 ? 14 + 12
							: 14 + 16] = i == 0   ? 3
								     : i == 3 ? 255
									      : 224;
		CU_ASSERT_PTR_NULL(icmp_error_make(pool, m, &p, &error));
		rte_pktmbuf_free(m);
		m = frame_of("port6", 0, &p, &parsed);
		if (i < 2)
			rte_pktmbuf_mtod(m, uint8_t *)[14 + (i == 0 ? 8 : 24)] = 0xff;
		else
			memset(rte_pktmbuf_mtod_offset(m, uint8_t *, 14 + 8), 0, 16);
		CU_ASSERT_PTR_NULL(icmp_error_make(pool, m, &p, &error));
		rte_pktmbuf_free(m);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void numbers(void)
{
	static const struct {
		enum drop_reason reason;
		uint8_t type4, code4, type6, code6;
	} rows[] = {
		{ DROP_NONE, 0, 0, 0, 0 },
		{ DROP_ttl_expired, 11, 0, 3, 0 },
		{ DROP_no_route, 3, 0, 1, 0 },
		{ DROP_route_unreachable, 3, 1, 1, 3 },
		{ DROP_route_prohibit, 3, 13, 1, 1 },
		{ DROP_route_blackhole, 0, 0, 0, 0 },
		{ DROP_neighbour_unresolved, 3, 1, 1, 3 },
		{ DROP_packet_too_big, 3, 4, 2, 0 },
		{ DROP_no_local_listener, 3, 3, 1, 4 },
		{ DROP_spoofed_source, 0, 0, 0, 0 },
		{ DROP_port_down, 0, 0, 0, 0 },
		{ DROP_REASON_COUNT, 0, 0, 0, 0 },
	};

	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct icmp_error e4 = icmp_error_for(rows[i].reason, false),
				  e6 = icmp_error_for(rows[i].reason, true);

		CU_ASSERT_TRUE(e4.type == rows[i].type4 && e4.code == rows[i].code4);
		CU_ASSERT_TRUE(e6.type == rows[i].type6 && e6.code == rows[i].code6);
	}
}

static void mss(void)
{
	static const struct {
		const char *name;
		bool changed;
	} rows[] = {
		{ "mss4_even", true },
		{ "mss4_even_odd", true },
		{ "mss6_even", true },
		{ "mss6_even_odd", true },
		{ "mss4_fits", false },
		{ "mss4_fits_odd", false },
		{ "mss6_fits", false },
		{ "mss6_fits_odd", false },
	};
	struct parsed parsed;
	struct rte_mbuf *m;
	struct pkt p;

	setup();
	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		m = frame_of(rows[i].name, i % 2 == 0 ? 0 : 30, &p, &parsed);
		CU_ASSERT_EQUAL(tcp_mss_clamp(m, &p, 1410), rows[i].changed);
		CU_ASSERT_TRUE(bytes_are(m, 14, vector_out(rows[i].name)));
		rte_pktmbuf_free(m);
	}
	m = frame_of("mss4_none", 0, &p, &parsed);
	CU_ASSERT_FALSE(tcp_mss_clamp(m, &p, 1410));
	CU_ASSERT_TRUE(bytes_are(m, 14, vector("mss4_none")));
	rte_pktmbuf_free(m);
	m = frame_of("mss4_ack", 0, &p, &parsed);
	CU_ASSERT_FALSE(tcp_mss_clamp(m, &p, 1410));
	rte_pktmbuf_free(m);
	/* Options that lie about their length are left alone. */
	for (unsigned len = 0; len < 256; len++) {
		if (len == 4)
			continue;
		m = frame_of("mss4_even", 0, &p, &parsed);
		rte_pktmbuf_mtod(m, uint8_t *)[14 + 20 + 21] = (uint8_t)len;
		CU_ASSERT_FALSE(tcp_mss_clamp(m, &p, 1410));
		rte_pktmbuf_free(m);
	}
	/* A checksum that is not complete yet stays as it is. */
	m = frame_of("mss4_even", 0, &p, &parsed);
	m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4;
	CU_ASSERT_TRUE(tcp_mss_clamp(m, &p, 1410));
	CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod_offset(m, uint8_t *, 14 + 20 + 16),
				vector("mss4_even")->bytes + 36, 2),
		0);
	rte_pktmbuf_free(m);
}

static const struct test_case cases[] = {
	{ "echo replies", echo_replies },
	{ "what is no echo request", no_echo },
	{ "errors", errors },
	{ "silence", silence },
	{ "numbers", numbers },
	{ "MSS", mss },
};
SUITE_MAIN("icmp", cases)
