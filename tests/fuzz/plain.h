/* SPDX-License-Identifier: Apache-2.0 */
/** What the hit path takes for plain, and what its memos take out of tunnels, beside the general way. One thread. */
#ifndef TESTS_FUZZ_PLAIN_H
#define TESTS_FUZZ_PLAIN_H

#include "dataplane/rewrite.h"
#include "dataplane/tunnel_memo.h"
#include "tests/fuzz/parsed.h"

#define PLAIN_EXAMPLES 8

/** Frames of the peer that memos are made of: both encapsulations in all family pairs. */
static struct plain_example {
	uint8_t bytes[200];
	uint32_t len;
} plain_examples[PLAIN_EXAMPLES];

static inline bool plain_address_reason(struct parsed parsed)
{
	return parsed.class == PKT_DROP &&
	       (parsed.reason == DROP_ip4_bad_address || parsed.reason == DROP_ip6_bad_address ||
		       parsed.reason == DROP_multicast_unsupported);
}

/** `p` and `parsed` are the general parser's opinion of a packet that has `len` bytes and the key of `plain`. */
static inline void plain_agrees(
	const struct pkt *plain, uint16_t len, bool v6, const struct pkt *p, struct parsed parsed)
{
	if (plain_address_reason(parsed))
		return;
	REQUIRE(parsed.class == (v6 ? PKT_FLOW6 : PKT_FLOW4), "plain, but class %d, dropped for %s",
		parsed.class, drop_reason_name(parsed.reason));
	REQUIRE(memcmp(&p->key6, &plain->key6, v6 ? sizeof(p->key6) : sizeof(p->key4)) == 0,
		"another key");
	REQUIRE(p->ip_len == len && p->l3_len == (v6 ? 40 : 20), "%u bytes, said %u", p->ip_len,
		len);
	REQUIRE(p->ttl > 1 && (p->flags & ~(PKT_DF | PKT_DECAPSULATED)) == (v6 ? PKT_V6 : 0),
		"TTL %u, flags %#x", p->ttl, p->flags);
}

/** A frame as received, not yet parsed, and what the parser says of another one of the same bytes. */
static inline void plain_check(
	const struct rte_mbuf *m, uint32_t zone, const struct pkt *p, struct parsed parsed)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	const uint32_t len = m->data_len;
	const bool v6 = len > 14 && frame[12] == 0x86 && frame[13] == 0xdd;
	uint16_t ip_len = 0;
	struct pkt plain;

	if (!plain_mbuf(m) || len < RTE_ETHER_HDR_LEN || (frame[6] & 1) != 0)
		return;
	if (v6)
		ip_len = plain_parse6(frame + 14, len - 14, zone, &plain.key6);
	else if (frame[12] == 0x08 && frame[13] == 0x00)
		ip_len = plain_parse4(frame + 14, len - 14, zone, &plain.key4);
	if (ip_len != 0)
		plain_agrees(&plain, ip_len, v6, p, parsed);
}

static inline void plain_example_make(struct plain_example *x, const struct tunnel_ops *ops,
	const struct tunnel_endpoint *e, bool v6)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(mbufs_pool);
	struct pkt p = { .flags = v6 ? PKT_V6 : 0 };
	struct adjacency adj = { 0 };
	struct error err;
	uint8_t *ip;

	REQUIRE(m != NULL && ops->build(e, &adj, &err) == 0, "no example");
	m->pkt_len = m->data_len = 100;
	ip = rte_pktmbuf_mtod(m, uint8_t *);
	memset(ip, 0, 100);
	ip[0] = v6 ? 0x60 : 0x45;
	ip[v6 ? 5 : 3] = v6 ? 60 : 100;
	ip[v6 ? 6 : 9] = 17;
	ip[v6 ? 7 : 8] = 64;
	ip[v6 ? 8 : 12] = ip[v6 ? 24 : 16] = v6 ? 0xfd : 10;
	ip[v6 ? 45 : 25] = v6 ? 60 : 80;
	if (!v6) {
		uint16_t sum = (uint16_t)~slow_sum(ip, 20, 0);

		ip[10] = (uint8_t)(sum >> 8);
		ip[11] = (uint8_t)sum;
	}
	REQUIRE(rewrite_prepend(m, &adj, &p, 100, 7), "no headroom");
	x->len = mbufs_bytes(m, x->bytes);
	rte_pktmbuf_free(m);
}

/** Outer headers are the tunnel's to accept: parse, claim, decapsulate, as worker.c does. */
static inline struct parsed plain_long_way(const struct tunnel_table *tunnels, struct rte_mbuf *m,
	uint32_t zone, struct pkt *outer, struct pkt *p)
{
	struct parsed parsed = pkt_parse_ether(m, p, zone);
	const bool v6 = p->flags & PKT_V6;

	*outer = *p;
	if (!is_flow(parsed) || !tunnel_is_local(tunnels, v6 ? IP_V6 : IP_V4,
					v6 ? p->key6.dst : (const uint8_t *)&p->key4.dst))
		return (struct parsed){ PKT_DROP, DROP_no_route };
	for (unsigned i = 0; tunnel_types[i] != NULL; i++) {
		if (tunnel_types[i]->claims(tunnels, p))
			return tunnel_types[i]->decap(tunnels, m, p);
	}
	return (struct parsed){ PKT_DROP, DROP_no_route };
}

/** Make the memo of an example. */
static inline void plain_learn(const struct tunnel_table *tunnels, struct tunnel_memos *memos,
	uint32_t zone, const struct plain_example *x)
{
	const struct cuts whole = { 0 };
	struct rte_mbuf *m = mbufs_packet(x->bytes, x->len, &whole);
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct pkt p, outer;
	struct parsed parsed = plain_long_way(tunnels, m, zone, &outer, &p);

	REQUIRE(is_flow(parsed), "the example is dropped for %s", drop_reason_name(parsed.reason));
	tunnel_memo_keep(tunnel_memo_of(memos, x->bytes), frame,
		(uint32_t)(rte_pktmbuf_mtod(m, const uint8_t *) - frame), &outer);
	rte_pktmbuf_free(m);
}

/** A frame with the memo of each example: what it accepts, the long way accepts; what not, it leaves alone. */
static inline void plain_check_memos(const struct tunnel_table *tunnels, uint32_t zone,
	const uint8_t *bytes, uint32_t len, const struct cuts *cuts)
{
	static struct tunnel_memos memos;
	static uint8_t by_memo[FRAME_MAX], by_type[FRAME_MAX];

	for (unsigned i = 0; i < PLAIN_EXAMPLES; i++) {
		struct rte_mbuf *m = mbufs_packet(bytes, len, cuts), *other;
		struct pkt p4, p6, p, outer;
		struct parsed parsed;
		unsigned version = 0;
		uint8_t *ip = NULL;
		uint32_t got;
		uint16_t n;

		if (!plain_mbuf(m) || m->data_len < TUNNEL_MEMO_V4) {
			rte_pktmbuf_free(m);
			return;
		}
		memset(&memos, 0, sizeof(memos));
		plain_learn(tunnels, &memos, zone, &plain_examples[i]);
		n = tunnel_memo_decap(tunnel_memo_of(&memos, rte_pktmbuf_mtod(m, const uint8_t *)),
			tunnels, m, &p4.key4, &p6.key6, &ip, &version);
		got = mbufs_bytes(m, by_memo);
		if (n == 0) {
			REQUIRE(got == len && memcmp(by_memo, bytes, len) == 0,
				"declined and changed");
			rte_pktmbuf_free(m);
			continue;
		}
		other = mbufs_packet(bytes, len, cuts);
		parsed = plain_long_way(tunnels, other, zone, &outer, &p);
		plain_agrees(version == 6 ? &p6 : &p4, n, version == 6, &p, parsed);
		if (is_flow(parsed)) {
			REQUIRE(p.l2_len == ip - rte_pktmbuf_mtod(m, uint8_t *),
				"the inner header is at %u", p.l2_len);
			REQUIRE(mbufs_bytes(other, by_type) <= got &&
					memcmp(by_memo, by_type, (size_t)p.l2_len + n) == 0,
				"another packet inside");
			REQUIRE(p.proto != 17 ||
					!tunnel_is_vxlan_port(tunnels,
						version == 6 ? p.key6.dport : p.key4.dport),
				"nested");
		}
		rte_pktmbuf_free(other);
		rte_pktmbuf_free(m);
	}
}

#endif
