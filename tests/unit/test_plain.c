/* SPDX-License-Identifier: Apache-2.0 */
/** Plain packets (dataplane/plain.h, plain_quad.h) beside the general parser: what is called plain is what packet.c accepts,
 * with the same key and length; and everything that is plain by its definition is called so. */
#include "tests/unit/plain_frames.h"

#include "tests/unit/eal.h"
#include "tests/unit/plain_quad_check.h"
#include "tests/unit/suite.h"
#include "tests/unit/vectors.h"

#define ZONE   5u
#define FRAMES 400000

static struct rte_mempool *pool;
static unsigned addresses_refused;

static void setup(void)
{
	if (pool != NULL)
		return;
	eal_start();
	pool = eal_pool("packets", 63, 2048);
}

/** What burst.c does with a frame of a port that is no uplink. The bytes are in a buffer of just their size, for the
 * address sanitizer. @return IP bytes, 0 = not plain. */
static uint16_t recognise(const struct plain_frame *f, struct pkt *p)
{
	uint8_t *bytes = malloc(f->len + 1);
	uint64_t word;
	uint16_t type, len = 0;

	if (bytes == NULL)
		abort();
	memcpy(bytes + 1, f->bytes, f->len);
	if (f->len >= RTE_ETHER_HDR_LEN) {
		const uint8_t *frame = bytes + 1;

		memcpy(&word, frame, sizeof(word));
		memcpy(&type, frame + 12, sizeof(type));
		if ((word & PLAIN_L2_MASK) == plain_l2(&plain_mac)) {
			if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
				len = plain_parse4(frame + 14, f->len - 14, ZONE, &p->key4);
			else if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
				len = plain_parse6(frame + 14, f->len - 14, ZONE, &p->key6);
		}
	}
	free(bytes);
	return len;
}

static bool address_reason(enum drop_reason reason)
{
	return reason == DROP_ip4_bad_address || reason == DROP_ip6_bad_address ||
	       reason == DROP_multicast_unsupported;
}

/** The general parser's opinion of a frame that is plain. @return NULL, or what is wrong. */
static const char *general_differs(
	const struct plain_frame *f, const struct pkt *plain, uint16_t len)
{
	struct rte_mbuf *m = mbuf_of(pool, f->bytes, f->len, 0);
	const bool v6 = f->bytes[12] == 0x86;
	const char *wrong = NULL;
	struct parsed parsed;
	struct pkt p;

	memset(&p, 0, sizeof(p));
	parsed = pkt_parse_ether(m, &p, ZONE);
	if (parsed.class == PKT_DROP)
		wrong = address_reason(parsed.reason) ? NULL : drop_reason_name(parsed.reason);
	addresses_refused += parsed.class == PKT_DROP;
	if (parsed.class == PKT_DROP)
		goto free_packet;
	if (parsed.class != (v6 ? PKT_FLOW6 : PKT_FLOW4))
		wrong = "class";
	else if (memcmp(&p.key6, &plain->key6, v6 ? sizeof(p.key6) : sizeof(p.key4)) != 0)
		wrong = "key";
	else if (p.ip_len != len || rte_pktmbuf_pkt_len(m) != 14u + len)
		wrong = "length";
	else if (p.l2_len != 14 || p.l3_len != (v6 ? 40 : 20))
		wrong = "headers";
	else if (p.ttl < 2)
		wrong = "TTL";
	else if ((p.flags & ~PKT_DF) != (v6 ? PKT_V6 : 0))
		wrong = "flags";
free_packet:
	rte_pktmbuf_free(m);
	return wrong;
}

static void test_recognised(void)
{
	struct dice d = { 0x706f646c616e65 };
	unsigned plain[2] = { 0, 0 }, others = 0;

	setup();
	for (unsigned i = 0; i < FRAMES; i++) {
		struct pkt p = { .key6 = { .zone_proto = 0 } };
		struct plain_frame f;
		const char *wrong;
		uint32_t want;
		uint16_t len;

		plain_any(&d, &f);
		want = plain_is_frame(&f);
		len = recognise(&f, &p);
		if (len != want) {
			printf("\nframe %u: %u bytes are plain, said %u\n", i, want, len);
			CU_FAIL_FATAL("recognised");
		}
		if (len == 0) {
			others++;
			continue;
		}
		plain[f.bytes[12] == 0x86]++;
		wrong = general_differs(&f, &p, len);
		if (wrong != NULL) {
			printf("\nframe %u: general parser: %s\n", i, wrong);
			CU_FAIL_FATAL("general parser");
		}
	}
	CU_ASSERT_TRUE(plain[0] > FRAMES / 5 && plain[1] > FRAMES / 8);
	CU_ASSERT_TRUE(others > FRAMES / 5 && addresses_refused > FRAMES / 500);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/** A frame that is only a length: the header says one, there may be another. */
static void test_lengths(void)
{
	struct dice d = { 2 };
	struct plain_frame f;
	struct pkt p;

	for (unsigned i = 0; i < 300000; i++) {
		const uint32_t said = plain_off(&d, 20 + 8), there = plain_off(&d, said);
		const bool tcp = i & 1, v6 = i & 2;
		const uint32_t l3 = v6 ? 40 : 20, l4 = said & 0xffff;
		uint8_t *ip = f.bytes + 14;
		uint16_t len;

		do
			plain_make(&d, &f, v6);
		while (ip[v6 ? 6 : 9] != (tcp ? IPPROTO_TCP : IPPROTO_UDP));
		plain_put16(ip + (v6 ? 4 : 2), said);
		if (!v6)
			plain_fix_sum(ip, 20);
		else if (l4 + 40 >= UINT16_MAX)
			continue; /* more than a frame can have */
		if (!tcp)
			plain_put16(ip + l3 + 4, plain_off(&d, v6 ? l4 : l4 - 20));
		len = v6 ? plain_parse6(ip, there & 0xffff, ZONE, &p.key6)
			 : plain_parse4(ip, there & 0xffff, ZONE, &p.key4);
		if (len != plain_is_ip(ip, there & 0xffff,
				   v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4)) {
			printf("\nlengths %u of %u: said %u\n", said, there, len);
			CU_FAIL_FATAL("length");
		}
	}
}

/** Every checksum for a header, in which one is right. */
static void test_header_sums(void)
{
	struct dice d = { 3 };
	struct plain_frame f;
	struct pkt p;

	for (unsigned h = 0; h < 4; h++) {
		unsigned right = 0;

		do
			plain_make(&d, &f, false);
		while (plain_is_frame(&f) == 0);
		for (uint32_t sum = 0; sum < 65536; sum++) {
			plain_put16(f.bytes + 24, sum);
			right += plain_parse4(f.bytes + 14, f.len - 14, ZONE, &p.key4) != 0;
			if ((plain_parse4(f.bytes + 14, f.len - 14, ZONE, &p.key4) != 0) !=
				(plain_is_frame(&f) != 0))
				CU_FAIL_FATAL("checksum");
		}
		CU_ASSERT_TRUE(right >= 1 && right <= 2); /* both zeros are right together */
	}
}

static void test_mbuf(void)
{
	struct rte_mbuf *m;
	uint8_t bytes[200] = { 0 };

	setup();
	m = mbuf_of(pool, bytes, 200, 0);
	CU_ASSERT_TRUE(plain_mbuf(m));
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_TX_IPV4;
	CU_ASSERT_TRUE(plain_mbuf(m));
	m->ol_flags = RTE_MBUF_F_TX_TCP_CKSUM;
	CU_ASSERT_FALSE(plain_mbuf(m));
	m->ol_flags = RTE_MBUF_F_TX_UDP_CKSUM;
	CU_ASSERT_FALSE(plain_mbuf(m));
	m->ol_flags = RTE_MBUF_F_TX_SCTP_CKSUM;
	CU_ASSERT_FALSE(plain_mbuf(m));
	m->ol_flags = RTE_MBUF_F_TX_TCP_SEG;
	CU_ASSERT_FALSE(plain_mbuf(m));
	rte_pktmbuf_free(m);
	m = mbuf_of(pool, bytes, 200, 100);
	CU_ASSERT_FALSE(plain_mbuf(m));
	rte_pktmbuf_free(m);
}

/* --- four at a time --------------------------------------------------------------------------------------------- */

static bool quads_here(void)
{
	static bool said;

	if (plain_quad_check != NULL && plain_quad_supported())
		return true;
	if (!said)
		printf("(skipped: this CPU has no AVX-512 F, BW, DQ and VL) ");
	said = true;
	return false;
}

/** One at a time, as quads want it: IPv4 for this port. */
static uint16_t single(const struct plain_frame *f, struct pkt *p)
{
	return f->len >= 14 && f->bytes[12] == 0x08 && f->bytes[13] == 0x00 ? recognise(f, p) : 0;
}

/** Compare a quad with four single packets. @return whether all were plain. */
static bool quad_agrees(const struct plain_frame *f, unsigned seq)
{
	uint8_t *bytes[4];
	uint16_t frame_len[4], want[4], got[4] = { 0 };
	struct pkt p[4], q[4];
	bool all = true, said;

	memset(p, 0, sizeof(p));
	memset(q, 0, sizeof(q));
	for (unsigned i = 0; i < 4; i++) {
		bytes[i] = (uint8_t *)(uintptr_t)f[i].bytes;
		frame_len[i] = (uint16_t)f[i].len;
		want[i] = single(&f[i], &p[i]);
		all &= want[i] != 0;
	}
	said = plain_quad_check(plain_l2(&plain_mac), ZONE, bytes, frame_len, q, got);
	if (said != all) {
		printf("\nquad %u: %d, one by one %u %u %u %u\n", seq, said, want[0], want[1],
			want[2], want[3]);
		CU_FAIL_FATAL("quad");
	}
	for (unsigned i = 0; all && i < 4; i++) {
		if (got[i] != want[i] || memcmp(&p[i].key4, &q[i].key4, sizeof(p[i].key4)) != 0) {
			printf("\nquad %u, packet %u: %u bytes, one by one %u, or the key\n", seq,
				i, got[i], want[i]);
			CU_FAIL_FATAL("quad");
		}
	}
	return all;
}

static void make_plain4(struct dice *d, struct plain_frame *f)
{
	do
		plain_make(d, f, false);
	while (plain_is_frame(f) == 0);
}

/** Four of which one may be anything, in every place. */
static void test_quad(void)
{
	struct dice d = { 4 };
	unsigned plain = 0, others = 0;

	if (!quads_here())
		return;
	for (unsigned i = 0; i < FRAMES; i++) {
		struct plain_frame f[4];

		for (unsigned j = 0; j < 4; j++)
			make_plain4(&d, &f[j]);
		plain_any(&d, &f[i % 4]);
		if (dice_percent(&d, 2)) /* one that cannot be plain, whatever its bytes */
			f[i % 4].len = 0;
		if (dice_percent(&d, 10))
			plain_any(&d, &f[dice(&d, 4)]);
		if (quad_agrees(f, i))
			plain++;
		else
			others++;
	}
	CU_ASSERT_TRUE(plain > FRAMES / 8 && others > FRAMES / 4);
}

/** Lengths up to the largest, which no buffer here has: headers are all that is read. */
static void test_quad_lengths(void)
{
	struct dice d = { 5 };
	unsigned plain = 0;

	if (!quads_here())
		return;
	for (unsigned i = 0; i < FRAMES; i++) {
		struct plain_frame f[4];
		uint8_t *bytes[4];
		uint16_t frame_len[4], got[4] = { 0 }, want;
		struct pkt p, q[4];
		bool said, all = true;

		for (unsigned j = 0; j < 4; j++) {
			uint8_t *ip = f[j].bytes + 14;
			uint32_t len;

			make_plain4(&d, &f[j]);
			len = 28 + dice(&d, 65521 - 28);
			if (j == i % 4)
				len = plain_off(&d, len);
			plain_put16(ip + 2, len);
			if (ip[9] == IPPROTO_UDP)
				plain_put16(ip + 24,
					dice_percent(&d, 90) ? len - 20 : plain_off(&d, len - 20));
			plain_fix_sum(ip, 20);
			bytes[j] = f[j].bytes;
			frame_len[j] = dice_percent(&d, 90)
					       ? (uint16_t)RTE_MIN(len + 14 + dice(&d, 9), 65535u)
					       : (uint16_t)plain_off(&d, len + 14);
		}
		said = plain_quad_check(plain_l2(&plain_mac), ZONE, bytes, frame_len, q, got);
		for (unsigned j = 0; j < 4; j++) {
			want = frame_len[j] >= 14 ? plain_parse4(bytes[j] + 14, frame_len[j] - 14u,
							    ZONE, &p.key4)
						  : 0;
			all &= want != 0;
			if (said && want != got[j])
				CU_FAIL_FATAL("length of a quad");
		}
		if (said != all)
			CU_FAIL_FATAL("quad");
		plain += said;
	}
	CU_ASSERT_TRUE(plain > FRAMES / 20);
}

/** Every checksum in every place; another zone and another port. */
static void test_quad_sums(void)
{
	struct dice d = { 6 };
	struct plain_frame f[4];

	if (!quads_here())
		return;
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned j = 0; j < 4; j++)
			make_plain4(&d, &f[j]);
		for (uint32_t sum = 0; sum < 65536; sum++) {
			plain_put16(f[i].bytes + 24, sum);
			quad_agrees(f, sum);
		}
	}
	/* Each bit of the first 48 bytes, in each place. */
	for (unsigned bit = 0; bit < 4 * 48 * 8; bit++) {
		for (unsigned j = 0; j < 4; j++)
			make_plain4(&d, &f[j]);
		f[bit % 4].bytes[bit / 32] ^= (uint8_t)(1u << (bit / 4 % 8));
		quad_agrees(f, bit);
		plain_fix_sum(f[bit % 4].bytes + 14, 20);
		quad_agrees(f, bit);
	}
}

static const struct test_case cases[] = {
	{ "recognised, and accepted by the general parser", test_recognised },
	{ "lengths", test_lengths },
	{ "IPv4 header checksums", test_header_sums },
	{ "buffers", test_mbuf },
	{ "four at a time", test_quad },
	{ "lengths of four", test_quad_lengths },
	{ "checksums and bits of four", test_quad_sums },
};

SUITE_MAIN("plain", cases)
