/* SPDX-License-Identifier: Apache-2.0 */
/** Decapsulation by memo (dataplane/tunnel_memo.h, tunnel_quad.h) beside that of the tunnel types: what a memo accepts the
 * type accepts, with the same packet inside; what it declines it leaves as it was. */
#include "tests/unit/plain_frames.h"

#include "dataplane/tunnel_memo.h"
#include "tests/unit/plain_quad_check.h"
#include "tests/unit/tunnel_fixture.h"

#define PORT   5u
#define FRAMES 200000

struct way {
	const struct tunnel_ops *ops;
	bool outer6, inner6;
	uint32_t l4,
		inner; /* offsets in a frame of the UDP header (or inner IP) and of the inner IP header */
};
static const struct way ways[] = {
	{ &vxlan_tunnel_ops, false, false, 34, 64 },
	{ &vxlan_tunnel_ops, false, true, 34, 64 },
	{ &vxlan_tunnel_ops, true, false, 54, 84 },
	{ &vxlan_tunnel_ops, true, true, 54, 84 },
	{ &ipip_tunnel_ops, false, false, 34, 34 },
	{ &ipip_tunnel_ops, false, true, 34, 34 },
	{ &ipip_tunnel_ops, true, false, 54, 54 },
	{ &ipip_tunnel_ops, true, true, 54, 54 },
};

static struct tunnel_memos memos;
static struct dice d;

static void start(uint64_t seed)
{
	tunnel_setup();
	d.state = seed;
	memset(&memos, 0, sizeof(memos));
	tunnel_memos_check(&memos, table, PORT);
}

/* --- frames --------------------------------------------------------------------------------------------------------- */

static bool is_vxlan(const struct way *way)
{
	return way->ops == &vxlan_tunnel_ops;
}

/** The peer sends what is in f (a frame) through its tunnel to this node. */
static void encapsulate(const struct way *way, struct plain_frame *f, uint16_t udp_port)
{
	struct tunnel_endpoint e = endpoints[way->outer6];
	struct adjacency adj = { 0 };
	struct error err;
	struct pkt p = { .hash = dice_word(&d), .flags = way->inner6 ? PKT_V6 | PKT_DF : 0 };
	struct rte_mbuf *m = mbuf_of(pool, f->bytes + 14, f->len - 14, 0);
	const uint8_t *ip = f->bytes + 14;
	uint32_t ip_len = way->inner6 ? 40 + plain_get16(ip + 4) : plain_get16(ip + 2);

	e.udp_port = udp_port;
	CU_ASSERT_EQUAL_FATAL(way->ops->build(&e, &adj, &err), 0);
	p.tos = way->inner6 ? (uint8_t)(ip[0] << 4 | ip[1] >> 4) : ip[1];
	CU_ASSERT_TRUE_FATAL(
		rewrite_prepend(m, &adj, &p, (uint16_t)ip_len, (uint16_t)dice_word(&d)));
	f->len = mbuf_bytes(m, f->bytes);
	rte_pktmbuf_free(m);
}

/** A plain packet in a tunnel, without padding, outer ECN as RFC 6040 says. */
static void make(const struct way *way, struct plain_frame *f)
{
	uint32_t len;

	do {
		plain_make(&d, f, way->inner6);
		len = plain_is_frame(f);
	} while (len == 0 || plain_get16(f->bytes + (way->inner6 ? 56 : 36)) == 4789 ||
		 plain_get16(f->bytes + (way->inner6 ? 56 : 36)) == 8472);
	f->len = 14 + len;
	encapsulate(way, f, 4789);
}

static void outer_mend(const struct way *way, struct plain_frame *f)
{
	if (!way->outer6)
		plain_fix_sum(f->bytes + 14, 20);
}
static void inner_mend(const struct way *way, struct plain_frame *f)
{
	if (!way->inner6)
		plain_fix_sum(f->bytes + way->inner, 20);
}

/* --- both ways ------------------------------------------------------------------------------------------------------- */

static struct parsed general(struct rte_mbuf *m, struct pkt *p, struct pkt *outer)
{
	struct parsed parsed = pkt_parse_ether(m, p, PORT);
	const struct tunnel_ops *ops = NULL;

	if (parsed.class != PKT_FLOW4 && parsed.class != PKT_FLOW6)
		return parsed;
	for (unsigned i = 0; tunnel_types[i] != NULL && ops == NULL; i++)
		ops = tunnel_types[i]->claims(table, p) ? tunnel_types[i] : NULL;
	if (ops == NULL || !tunnel_is_local(table, p->flags & PKT_V6 ? IP_V6 : IP_V4,
				   p->flags & PKT_V6 ? p->key6.dst : (const uint8_t *)&p->key4.dst))
		return (struct parsed){ PKT_DROP, DROP_no_route };
	*outer = *p;
	return ops->decap(table, m, p);
}

/** What worker.c does with a frame that no memo knows. @return whether it was accepted, and so perhaps kept. */
static bool learn(const struct plain_frame *f)
{
	struct rte_mbuf *m = mbuf_of(pool, f->bytes, f->len, 0);
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct parsed parsed;
	struct pkt p, outer;

	parsed = general(m, &p, &outer);
	if (parsed.class != PKT_DROP &&
		f->len >= (outer.flags & PKT_V6 ? TUNNEL_MEMO_V6 : TUNNEL_MEMO_V4))
		tunnel_memo_keep(tunnel_memo_of(&memos, frame), frame,
			(uint32_t)(rte_pktmbuf_mtod(m, const uint8_t *) - frame), &outer);
	rte_pktmbuf_free(m);
	return parsed.class != PKT_DROP;
}

struct memo_result {
	struct pkt p;
	uint16_t len, l2_len;
	bool v6;
};

static const char *accepted_differs(
	const struct plain_frame *f, struct rte_mbuf *m, const struct memo_result *r)
{
	struct rte_mbuf *other = mbuf_of(pool, f->bytes, f->len, 0);
	const char *wrong = NULL;
	struct parsed parsed;
	struct pkt p, outer;

	other->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_RSS_HASH;
	other->packet_type = RTE_PTYPE_TUNNEL_VXLAN;
	parsed = general(other, &p, &outer);
	if (parsed.class == PKT_DROP)
		wrong = parsed.reason == DROP_ip4_bad_address ||
					parsed.reason == DROP_ip6_bad_address ||
					parsed.reason == DROP_multicast_unsupported
				? NULL
				: drop_reason_name(parsed.reason);
	else if (parsed.class != (r->v6 ? PKT_FLOW6 : PKT_FLOW4))
		wrong = "class";
	else if (memcmp(&p.key6, &r->p.key6, r->v6 ? sizeof(p.key6) : sizeof(p.key4)) != 0)
		wrong = "key";
	else if (p.ip_len != r->len || p.l2_len != r->l2_len)
		wrong = "length";
	else if (p.ttl < 2 || (p.flags & (PKT_TCP_SYN | PKT_OPTIONS | PKT_FRAGMENT)) != 0)
		wrong = "flags";
	else if (p.proto == IPPROTO_UDP &&
		 tunnel_is_vxlan_port(table, r->v6 ? p.key6.dport : p.key4.dport))
		wrong = "nested";
	else if (memcmp(rte_pktmbuf_mtod(m, void *), rte_pktmbuf_mtod(other, void *),
			 (size_t)p.l2_len + p.ip_len) != 0)
		wrong = "bytes";
	else if (m->data_off != other->data_off || m->ol_flags != other->ol_flags ||
		 m->packet_type != other->packet_type || m->data_len != m->pkt_len ||
		 m->data_len < p.l2_len + p.ip_len)
		wrong = "buffer";
	rte_pktmbuf_free(other);
	return wrong;
}

static const char *declined_differs(
	const struct plain_frame *f, const struct rte_mbuf *m, const struct rte_mbuf *before)
{
	if (memcmp(m, before, sizeof(*m)) != 0)
		return "declined, and the buffer is another";
	return memcmp(rte_pktmbuf_mtod(m, const void *), f->bytes, f->len) != 0
		       ? "declined, and the bytes are others"
		       : NULL;
}

/** Through the memo, and compare with the long way. Fails the test when they differ. @return what the memo said. */
static bool through_memo(const struct plain_frame *f, struct memo_result *r)
{
	struct rte_mbuf *m, before;
	const char *wrong = NULL;
	unsigned version = 0;
	uint8_t *ip = NULL;
	struct pkt p4, p6;

	memset(r, 0, sizeof(*r));
	if (f->len < TUNNEL_MEMO_V4)
		return false;
	m = mbuf_of(pool, f->bytes, f->len, 0);
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_RSS_HASH;
	m->packet_type = RTE_PTYPE_TUNNEL_VXLAN;
	before = *m;
	r->len = tunnel_memo_decap(
		tunnel_memo_of(&memos, f->bytes), table, m, &p4.key4, &p6.key6, &ip, &version);
	if (r->len == 0) {
		wrong = declined_differs(f, m, &before);
	} else {
		r->v6 = version == 6;
		r->p = r->v6 ? p6 : p4;
		r->l2_len = (uint16_t)(ip - rte_pktmbuf_mtod(m, uint8_t *));
		wrong = accepted_differs(f, m, r);
	}
	rte_pktmbuf_free(m);
	if (wrong != NULL) {
		printf("\nmemo and tunnel type differ: %s\n", wrong);
		CU_FAIL_FATAL("memo");
	}
	return r->len != 0;
}
static bool accepts(const struct plain_frame *f)
{
	struct memo_result r;

	return through_memo(f, &r);
}

/* --- cases by name ---------------------------------------------------------------------------------------------------- */

enum only { ANY, VXLAN = 1, IPIP = 2, OUTER4 = 4, OUTER6 = 8, INNER4 = 16, INNER6 = 32 };

static void change(const struct way *way, struct plain_frame *f, unsigned n);

static const struct {
	const char *name;
	unsigned only;
	bool accept;
} changes[] = {
	{ "nothing", ANY, true },
	{ "another source port", VXLAN, true },
	{ "outer TTL of 1", ANY, true },
	{ "another identification", OUTER4, true },
	{ "a flow label", OUTER6, true },
	{ "outer DF", OUTER4, true },
	{ "bytes behind", ANY, true },
	{ "reserved byte behind the VNI", VXLAN, true },
	{ "another peer", ANY, false },
	{ "another VNI", VXLAN, false },
	{ "no VNI flag", VXLAN, false },
	{ "an outer UDP checksum", VXLAN, false },
	{ "the other VXLAN port", VXLAN, false },
	{ "another UDP port", VXLAN, false },
	{ "another destination", ANY, false },
	{ "another MAC", ANY, false },
	{ "from a group MAC", ANY, false },
	{ "another VTEP MAC", VXLAN, false },
	{ "from an inner group MAC", VXLAN, false },
	{ "outer length one too long", ANY, false },
	{ "outer length one too short", ANY, false },
	{ "outer length of nothing", ANY, false },
	{ "UDP length one too long", VXLAN, false },
	{ "UDP length one too short", VXLAN, false },
	{ "a bad outer checksum", OUTER4, false },
	{ "an outer fragment, first", OUTER4, false },
	{ "an outer fragment, later", OUTER4, false },
	{ "outer options", OUTER4, false },
	{ "an outer extension header", OUTER6, false },
	{ "a short frame", ANY, false },
	{ "an inner fragment", INNER4, false },
	{ "inner options", INNER4, false },
	{ "a bad inner checksum", INNER4, false },
	{ "inner TTL of 1", ANY, false },
	{ "the other version inside", ANY, false },
	{ "inner ARP", VXLAN, false },
	{ "inner VLAN", VXLAN, false },
	{ "inner length too long", ANY, false },
	{ "a tunnel in the tunnel: VXLAN", ANY, false },
	{ "a tunnel in the tunnel: IP in IP", ANY, false },
	{ "inner SYN", ANY, false },
};

static void change(const struct way *way, struct plain_frame *f, unsigned n)
{
	const char *name = changes[n].name;
	uint8_t *b = f->bytes, *ip = b + 14, *udp = b + way->l4, *inner = b + way->inner;
	uint8_t *inner4 = inner + (way->inner6 ? 40 : 20);
	const bool o6 = way->outer6, i6 = way->inner6;
	uint8_t *length = ip + (o6 ? 4 : 2);

#define IS(text) (strcmp(name, text) == 0)
	if (IS("another source port"))
		udp[1] ^= 0x5a;
	else if (IS("outer TTL of 1"))
		ip[o6 ? 7 : 8] = 1;
	else if (IS("another identification"))
		ip[5] ^= 0x77;
	else if (IS("a flow label"))
		ip[3] ^= 0x77;
	else if (IS("outer DF"))
		ip[6] ^= 0x40;
	else if (IS("bytes behind"))
		f->len += 7;
	else if (IS("reserved byte behind the VNI"))
		udp[15] ^= 1;
	else if (IS("another peer")) /* in the same place */
		ip[o6 ? 22 : 14] ^= 1;
	else if (IS("another VNI"))
		udp[14] ^= 1;
	else if (IS("no VNI flag"))
		udp[8] ^= 8;
	else if (IS("the other VXLAN port"))
		plain_put16(udp + 2, 8472);
	else if (IS("another UDP port"))
		plain_put16(udp + 2, 4790);
	else if (IS("another destination"))
		ip[o6 ? 39 : 19] ^= 1;
	else if (IS("another MAC"))
		b[5] ^= 1;
	else if (IS("from a group MAC"))
		b[6] ^= 1;
	else if (IS("another VTEP MAC"))
		udp[21] ^= 1;
	else if (IS("from an inner group MAC"))
		udp[22] ^= 1;
	else if (IS("outer length one too long"))
		plain_put16(length, plain_get16(length) + 1);
	else if (IS("outer length one too short"))
		plain_put16(length, plain_get16(length) - 1);
	else if (IS("outer length of nothing"))
		plain_put16(length, o6 ? 0 : 20);
	else if (IS("UDP length one too long"))
		plain_put16(udp + 4, plain_get16(udp + 4) + 1);
	else if (IS("UDP length one too short"))
		plain_put16(udp + 4, plain_get16(udp + 4) - 1);
	else if (IS("an outer fragment, first"))
		ip[6] |= 0x20;
	else if (IS("an outer fragment, later"))
		ip[7] |= 1;
	else if (IS("outer options")) {
		memmove(ip + 24, ip + 20, f->len - 34);
		memset(ip + 20, 1, 4);
		f->len += 4;
		ip[0] = 0x46;
		plain_put16(length, plain_get16(length) + 4);
		plain_fix_sum(ip, 24);
		return;
	} else if (IS("an outer extension header")) {
		memmove(ip + 48, ip + 40, f->len - 54);
		memset(ip + 40, 0, 8);
		ip[40] = ip[6];
		ip[42] = 1; /* PadN */
		ip[43] = 4;
		ip[6] = 60;
		f->len += 8;
		plain_put16(length, plain_get16(length) + 8);
	} else if (IS("a short frame"))
		f->len -= 1;
	else if (IS("an inner fragment"))
		inner[6] |= 0x20;
	else if (IS("inner options"))
		inner[0] = 0x46;
	else if (IS("inner TTL of 1"))
		inner[i6 ? 7 : 8] = 1;
	else if (IS("the other version inside"))
		inner[0] = i6 ? 0x45 : 0x60;
	else if (IS("inner ARP"))
		plain_put16(inner - 2, 0x0806);
	else if (IS("inner VLAN"))
		plain_put16(inner - 2, 0x8100);
	else if (IS("inner length too long"))
		plain_put16(inner + (i6 ? 4 : 2), plain_get16(inner + (i6 ? 4 : 2)) + 1);
	else if (IS("a tunnel in the tunnel: VXLAN")) {
		inner[i6 ? 6 : 9] = IPPROTO_UDP;
		plain_put16(inner4 + 2, 8472);
		plain_put16(inner4 + 4, 8);
	} else if (IS("a tunnel in the tunnel: IP in IP"))
		inner[i6 ? 6 : 9] = IPPROTO_IPIP;
	else if (IS("inner SYN")) {
		inner[i6 ? 6 : 9] = IPPROTO_TCP;
		inner4[12] = 0x50;
		inner4[13] = 2;
	}
	inner_mend(way, f);
	if (IS("a bad inner checksum"))
		inner[10] ^= 1;
	outer_mend(way, f);
	if (IS("a bad outer checksum"))
		ip[10] ^= 1;
	if (IS("an outer UDP checksum")) {
		uint32_t len = plain_get16(udp + 4), sum = len + IPPROTO_UDP;

		sum += plain_slow_sum(ip + (o6 ? 8 : 12), o6 ? 32 : 8) + plain_slow_sum(udp, len);
		sum = (sum & 0xffff) + (sum >> 16);
		plain_put16(udp + 6, ~((sum & 0xffff) + (sum >> 16)) & 0xffff);
	}
#undef IS
}

static void test_by_name(void)
{
	start(1);
	for (unsigned i = 0; i < RTE_DIM(ways) * RTE_DIM(changes) * 4; i++) {
		const struct way *way = &ways[i % RTE_DIM(ways)];
		const unsigned n = i / RTE_DIM(ways) % RTE_DIM(changes);
		const unsigned is = (is_vxlan(way) ? VXLAN : IPIP) |
				    (way->outer6 ? OUTER6 : OUTER4) |
				    (way->inner6 ? INNER6 : INNER4);
		struct plain_frame f;

		if (changes[n].only != ANY && (changes[n].only & is) == 0)
			continue;
		memset(&memos.memo, 0, sizeof(memos.memo));
		do
			make(way, &f);
		while (f.len < RTE_MAX((uint32_t)TUNNEL_MEMO_V6,
				       way->inner + 40 + 24)); /* what becomes TCP needs 20 bytes */
		CU_ASSERT_FALSE(accepts(&f));		       /* nobody knows it */
		CU_ASSERT_TRUE(learn(&f));
		change(way, &f, n);
		if (accepts(&f) != changes[n].accept) {
			printf("\n%s, outer IPv%d, inner IPv%d: %s: not %s\n", way->ops->name,
				way->outer6 ? 6 : 4, way->inner6 ? 6 : 4, changes[n].name,
				changes[n].accept ? "accepted" : "declined");
			CU_FAIL("by name");
		}
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/** What is learned about one is good for its likes only: another table, another port, both VXLAN ports in turn. */
static void test_forgotten(void)
{
	start(2);
	for (unsigned i = 0; i < RTE_DIM(ways); i++) {
		struct tunnel_memos other;
		struct plain_frame f;

		do
			make(&ways[i], &f);
		while (f.len < 120);
		CU_ASSERT_TRUE(learn(&f) && accepts(&f));
		tunnel_memos_check(&memos, table, PORT);
		CU_ASSERT_TRUE(accepts(&f));
		tunnel_memos_check(&memos, table, PORT + 1);
		CU_ASSERT_FALSE(accepts(&f));
		CU_ASSERT_TRUE(learn(&f) && accepts(&f));
		table->serial++;
		tunnel_memos_check(&memos, table, PORT + 1);
		CU_ASSERT_FALSE(accepts(&f));
		table->serial--;
		tunnel_memos_check(&memos, table, PORT);
		CU_ASSERT_TRUE(learn(&f) && accepts(&f));
		if (!is_vxlan(&ways[i]))
			continue;
		plain_put16(f.bytes + ways[i].l4 + 2, 8472);
		other = memos;
		CU_ASSERT_FALSE(accepts(&f));
		CU_ASSERT_EQUAL(memcmp(&other, &memos, sizeof(other)), 0);
		CU_ASSERT_TRUE(learn(&f) && accepts(&f));
	}
}

/** RFC 6040, all 16 pairs: the memo takes those that change nothing. */
static void test_ecn(void)
{
	start(3);
	for (unsigned i = 0; i < RTE_DIM(ways) * 16 * 8; i++) {
		const struct way *way = &ways[i % RTE_DIM(ways)];
		const uint8_t outer = i / 8 % 4, inner = i / 32 % 4;
		uint8_t *o, *n;
		struct plain_frame f;

		do
			make(way, &f);
		while (f.len < TUNNEL_MEMO_V6);
		CU_ASSERT_TRUE_FATAL(learn(&f));
		o = f.bytes + 15;
		n = f.bytes + way->inner + 1;
		*o = way->outer6 ? (uint8_t)((*o & ~0x30) | outer << 4)
				 : (uint8_t)((*o & ~3) | outer);
		*n = way->inner6 ? (uint8_t)((*n & ~0x30) | inner << 4)
				 : (uint8_t)((*n & ~3) | inner);
		inner_mend(way, &f);
		outer_mend(way, &f);
		CU_ASSERT_EQUAL(accepts(&f), outer == 0 || outer == inner);
	}
}

/* --- at random -------------------------------------------------------------------------------------------------------- */

static void spoil(const struct way *way, struct plain_frame *f)
{
	switch (dice(&d, 6)) {
	case 0:
		f->bytes[dice(&d, RTE_MIN(f->len, 130u))] ^= (uint8_t)(1u << dice(&d, 8));
		break;
	case 1:
		f->bytes[dice(&d, RTE_MIN(f->len, 130u))] = (uint8_t)dice_word(&d);
		break;
	case 2:
		f->len = dice_percent(&d, 50) ? 40 + dice(&d, f->len - 39) : f->len + dice(&d, 8);
		break;
	case 3:
		plain_spoil_ip(&d, f->bytes + 14, way->outer6);
		break;
	default:
		plain_spoil_ip(&d, f->bytes + way->inner, way->inner6);
		break;
	}
	if (dice_percent(&d, 75))
		inner_mend(way, f);
	if (dice_percent(&d, 90))
		outer_mend(way, f);
}

static void test_random(void)
{
	unsigned accepted = 0, declined = 0, learned = 0;

	start(4);
	for (unsigned i = 0; i < FRAMES; i++) {
		const struct way *way = &ways[dice(&d, RTE_DIM(ways))];
		struct plain_frame f;

		make(way, &f);
		if (dice_percent(&d, 70))
			spoil(way, &f);
		if (dice_percent(&d, 20) && f.len > 100)
			spoil(way, &f);
		if (accepts(&f)) {
			accepted++;
			continue;
		}
		declined++;
		learned += f.len > 0 && learn(&f);
	}
	CU_ASSERT_TRUE(accepted > FRAMES / 20 && declined > FRAMES / 4 && learned > FRAMES / 10);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/* --- four at a time --------------------------------------------------------------------------------------------------- */

static bool vxlan_port(const struct memo_result *r)
{
	return tunnel_is_vxlan_port(table, r->p.key4.dport);
}

/** A quad accepts what four memos accept, when all are IPv4 in the same tunnel over IPv4. @return whether it did. */
static bool quad_agrees(const struct plain_frame *f)
{
	uint8_t *bytes[4], *ip[4];
	uint16_t lens[4], got_len[4] = { 0 }, strip;
	struct memo_result r[4];
	struct pkt p[4];
	unsigned same = 0, all = 0;

	for (unsigned i = 0; i < 4; i++) {
		bytes[i] = (uint8_t *)(uintptr_t)f[i].bytes;
		lens[i] = (uint16_t)f[i].len;
		all += through_memo(&f[i], &r[i]);
		same += tunnel_memo_of(&memos, f[i].bytes)->shape ==
				tunnel_memo_of(&memos, f[0].bytes)->shape &&
			f[i].bytes[12] == 8 && !r[i].v6 && !vxlan_port(&r[i]);
	}
	strip = tunnel_quad_check(&memos, table, bytes, lens, p, got_len, ip);
	if (strip != 0 && all != 4)
		CU_FAIL_FATAL("a quad of what a memo declines");
	if (strip == 0 && all == 4 && same == 4)
		CU_FAIL_FATAL("no quad of four that memos accept");
	for (unsigned i = 0; strip != 0 && i < 4; i++) {
		if (r[i].v6 || got_len[i] != r[i].len ||
			memcmp(&p[i].key4, &r[i].p.key4, sizeof(p[i].key4)) != 0 ||
			ip[i] != bytes[i] + strip + r[i].l2_len)
			CU_FAIL_FATAL("a quad has another packet than the memo");
	}
	return strip != 0;
}

static void test_quad(void)
{
	unsigned accepted = 0, declined = 0;

	if (tunnel_quad_check == NULL || !plain_quad_supported()) {
		printf("(skipped: this CPU has no AVX-512 F, BW, DQ and VL) ");
		return;
	}
	start(5);
	for (unsigned i = 0; i < FRAMES / 2; i++) {
		const struct way *way = &ways[dice_percent(&d, 50) ? 0 : 4],
				 *other = &ways[dice(&d, RTE_DIM(ways))];
		struct plain_frame f[4];

		for (unsigned j = 0; j < 4; j++) {
			make(j == i % 4 && dice_percent(&d, 30) ? other : way, &f[j]);
			/* Peers of other places, which only memos of somebody else's table can know. */
			if (dice_percent(&d, 10)) {
				f[j].bytes[29] = (uint8_t)(f[j].bytes[29] + 1);
				plain_fix_sum(f[j].bytes + 14, 20);
			}
		}
		if (dice_percent(&d, 50))
			spoil(way, &f[i % 4]);
		for (unsigned j = 0; j < 4 && dice_percent(&d, 60); j++)
			learn(&f[j]);
		if (quad_agrees(f))
			accepted++;
		else
			declined++;
	}
	CU_ASSERT_TRUE(accepted > FRAMES / 20 && declined > FRAMES / 20);
}

/** Peers whose memos are in different places: protocols 4 and 41 must not be taken for one another. */
static void test_quad_versions(void)
{
	struct tunnel_peer peers[4];
	struct ip_addr local = endpoints[0].remote;
	struct tunnel_table *mine = table, *many;
	static const uint16_t ports[] = { 4789 };

	if (tunnel_quad_check == NULL || !plain_quad_supported()) {
		printf("(skipped: this CPU has no AVX-512 F, BW, DQ and VL) ");
		return;
	}
	start(6);
	local = endpoints[0].remote;
	for (unsigned i = 0; i < 4; i++) {
		peers[i] = (struct tunnel_peer){ .underlay = endpoints[0].local, .vni = VNI };
		peers[i].underlay.bytes[3] = (uint8_t)(10 + i);
	}
	many = tunnel_table_new(&mine->vtep_mac, ports, 1, &local, 1, peers, 4);
	CU_ASSERT_PTR_NOT_NULL_FATAL(many);
	table = many;
	for (unsigned mask = 0; mask < 16; mask++) {
		struct plain_frame f[4];

		memset(&memos, 0, sizeof(memos));
		tunnel_memos_check(&memos, table, PORT);
		for (unsigned i = 0; i < 4; i++) {
			struct plain_frame six;

			do
				make(&ways[4], &f[i]);
			while (f[i].len < 80);
			f[i].bytes[29] = (uint8_t)(10 + i);
			plain_fix_sum(f[i].bytes + 14, 20);
			if ((mask & 1u << i) == 0) {
				CU_ASSERT_TRUE(learn(&f[i]));
				continue;
			}
			do
				make(&ways[5], &six);
			while (six.len < 80);
			six.bytes[29] = (uint8_t)(10 + i);
			plain_fix_sum(six.bytes + 14, 20);
			CU_ASSERT_TRUE(learn(&six));
			f[i].bytes[14 + 9] = IPPROTO_IPV6; /* and IPv4 inside */
			plain_fix_sum(f[i].bytes + 14, 20);
		}
		CU_ASSERT_EQUAL(quad_agrees(f), mask == 0);
	}
	table = mine;
	tunnel_table_free(many);
}

static const struct test_case cases[] = {
	{ "changes by name", test_by_name },
	{ "forgotten", test_forgotten },
	{ "ECN", test_ecn },
	{ "at random", test_random },
	{ "four at a time", test_quad },
	{ "four of different versions", test_quad_versions },
};

SUITE_MAIN("tunnel memo", cases)
