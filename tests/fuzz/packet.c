/* SPDX-License-Identifier: Apache-2.0 */
/** One frame through everything that reads frames from outside. The input: flags, a parameter, four segment lengths, then
 * the frame. Lengths and IPv4 checksums can be made right first, which mutations rarely manage. Every stage gets a fresh packet from the same bytes and must keep its promises; all of it runs twice, with
 * different bytes around the packets, and must come to the same results.
 */
#include "dataplane/arp_nd.h"
#include "dataplane/fragment.h"
#include "dataplane/icmp.h"
#include "dataplane/offload.h"
#include "dataplane/rewrite.h"
#include "tests/fuzz/plain.h"
#include "vxlan/tunnel.h"

#define ZONE	 5u
#define PIECES	 64
#define TSO_WORD (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM)

struct run {
	const uint8_t *frame;
	uint32_t len;
	struct cuts cuts;
	uint8_t param;
	uint64_t digest;
};
static const uint8_t gateway_mac[6] = { 0x02, 0x70, 0x6f, 0x64, 0x6c, 0x01 };
static struct tunnel_table *tunnels;
static struct tunnel_endpoint endpoints[2]; /* the peer's end, over IPv4 and IPv6 */

static void setup(void)
{
	static const uint16_t ports[] = { 4789, 8472 };
	struct tunnel_peer peers[2] = { { .vni = 4096, .peer = 1 }, { .vni = 4096, .peer = 1 } };
	struct ip_addr local[2];
	struct mac_addr vtep;

	mbufs_setup();
	mac_addr_parse("02:00:c0:00:02:01", &vtep);
	ip_addr_parse("192.0.2.2", &peers[0].underlay);
	ip_addr_parse("2001:db8::2", &peers[1].underlay);
	ip_addr_parse("192.0.2.1", &local[0]);
	ip_addr_parse("2001:db8::1", &local[1]);
	tunnels = tunnel_table_new(&vtep, ports, 2, local, 2, peers, 2);
	for (int i = 0; i < 2; i++) {
		struct tunnel_endpoint *e = &endpoints[i];

		*e = (struct tunnel_endpoint){ .local = peers[i].underlay,
			.remote = local[i],
			.vtep_dst = vtep,
			.vni = 4096,
			.udp_port = 4789,
			.port = 3,
			.underlay_mtu = UINT16_MAX };
		mac_addr_parse("02:00:00:00:02:02", &e->src_mac);
		mac_addr_parse("02:00:00:00:02:01", &e->dst_mac);
		mac_addr_parse("02:00:c0:00:02:02", &e->vtep_src);
	}
	for (unsigned i = 0; i < PLAIN_EXAMPLES; i++)
		plain_example_make(&plain_examples[i], i & 1 ? &vxlan_tunnel_ops : &ipip_tunnel_ops,
			&endpoints[i >> 1 & 1], i & 4);
}

static struct parsed parse_again(struct rte_mbuf *m, struct pkt *p, bool ether, bool v6)
{
	struct parsed parsed;

	memset(p, 0, sizeof(*p));
	parsed = ether ? pkt_parse_ether(m, p, ZONE) : pkt_parse_ip(m, p, ZONE, v6 ? 6 : 4, 0);
	check_parsed(m, p, parsed);
	return parsed;
}

/** A packet of the input, parsed. Parsing what was parsed changes nothing. */
static struct rte_mbuf *parse(const struct run *r, struct pkt *p, struct parsed *parsed)
{
	struct rte_mbuf *m = mbufs_packet(r->frame, r->len, &r->cuts);
	struct parsed second;
	struct pkt again;

	*parsed = parse_again(m, p, true, false);
	if (parsed->class != PKT_DROP && parsed->class != PKT_ARP) {
		second = parse_again(m, &again, true, false);
		REQUIRE(second.class == parsed->class && memcmp(p, &again, sizeof(again)) == 0,
			"parsed twice");
	}
	return m;
}

static void digest_packet(struct run *r, const struct rte_mbuf *m)
{
	static uint8_t bytes[FRAME_MAX];

	digest_bytes(&r->digest, bytes, mbufs_bytes(m, bytes));
}

static void digest_parsed(
	struct run *r, const struct rte_mbuf *m, const struct pkt *p, struct parsed parsed)
{
	digest_bytes(&r->digest, &parsed, sizeof(parsed));
	if (parsed.class != PKT_DROP && parsed.class != PKT_ARP)
		digest_bytes(&r->digest, p, sizeof(*p));
	digest_packet(r, m);
}

/* --- stages; each owns m ------------------------------------------------------------------------------------ */

static void stage_parse(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	digest_parsed(r, m, p, parsed);
	rte_pktmbuf_free(m);
}

static void errors_about(struct run *r, struct rte_mbuf *m, struct pkt *p)
{
	static uint8_t before[FRAME_MAX], after[FRAME_MAX], bytes[FRAME_MAX];
	const bool v6 = p->flags & PKT_V6;
	const uint32_t len = mbufs_bytes(m, before);

	for (enum drop_reason reason = DROP_NONE; reason < DROP_REASON_COUNT; reason++) {
		struct icmp_error error = icmp_error_for(reason, v6);
		struct pkt pe;
		struct rte_mbuf *e;

		error.info = reason == DROP_packet_too_big ? 1400 : 0;
		memcpy(error.source, endpoints[v6].remote.bytes, sizeof(error.source));
		e = icmp_error_make(mbufs_pool, m, p, &error);
		REQUIRE(mbufs_bytes(m, after) == len && memcmp(before, after, len) == 0,
			"the packet changed");
		if (e == NULL)
			continue;
		REQUIRE(rte_pktmbuf_headroom(e) >= RTE_PKTMBUF_HEADROOM, "%u bytes of headroom",
			rte_pktmbuf_headroom(e));
		REQUIRE(e->pkt_len <= (v6 ? 1280 : 576), "an error of %u bytes", e->pkt_len);
		REQUIRE(is_flow(parse_again(e, &pe, false, v6)), "the error for %s does not parse",
			drop_reason_name(reason));
		mbufs_bytes(e, bytes);
		REQUIRE(pe.proto == (v6 ? 58 : 1) && l4_sum_good(bytes, &pe),
			"the error's checksum");
		REQUIRE(icmp_error_make(mbufs_pool, e, &pe, &error) == NULL,
			"an error about an error");
		digest_packet(r, e);
		rte_pktmbuf_free(e);
	}
}

static void stage_errors(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	if (is_flow(parsed) || parsed.class == PKT_FRAG)
		errors_about(r, m, p);
	rte_pktmbuf_free(m);
}

static void echo_to(struct run *r, struct rte_mbuf *m, struct pkt *p)
{
	static uint8_t before[FRAME_MAX], bytes[FRAME_MAX];
	const bool v6 = p->flags & PKT_V6, ether = p->l2_len != 0;
	const uint32_t len = mbufs_bytes(m, before);
	const struct pkt request = *p;
	enum drop_reason reason = icmp_echo_reply(m, p);
	struct parsed parsed;
	struct pkt reply;

	digest_bytes(&r->digest, &reason, sizeof(reason));
	digest_packet(r, m);
	if (reason != DROP_NONE) {
		REQUIRE(mbufs_bytes(m, bytes) == len && memcmp(before, bytes, len) == 0,
			"refused and changed");
		return;
	}
	parsed = parse_again(m, &reply, ether, v6);
	REQUIRE(is_flow(parsed), "the reply is dropped for %s", drop_reason_name(parsed.reason));
	mbufs_bytes(m, bytes);
	REQUIRE(l4_sum_good(bytes, &reply), "the reply's checksum");
	REQUIRE(reply.ttl == 64 && reply.ip_len - reply.l3_len == request.ip_len - request.l3_len,
		"TTL or length");
	REQUIRE(memcmp(bytes + reply.l2_len + reply.l3_len + 4,
			before + request.l2_len + request.l3_len + 4,
			(size_t)request.ip_len - request.l3_len - 4) == 0,
		"the data came back different");
	if (v6) {
		REQUIRE(memcmp(reply.key6.src, request.key6.dst, 16) == 0 &&
				memcmp(reply.key6.dst, request.key6.src, 16) == 0,
			"addresses");
	} else {
		REQUIRE(reply.key4.src == request.key4.dst && reply.key4.dst == request.key4.src,
			"addresses");
	}
}

static void stage_echo(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	if (is_flow(parsed))
		echo_to(r, m, p);
	rte_pktmbuf_free(m);
}

/** What is made here must be understood here. */
static void neighbour_reads(
	struct rte_mbuf *m, enum neighbour_message kind, const struct ip_addr *target)
{
	struct neighbour_info info;
	struct parsed parsed;
	struct pkt p;

	REQUIRE(m != NULL, "no frame");
	parsed = parse_again(m, &p, true, false);
	REQUIRE(parsed.class == (target->family == IP_V4 ? PKT_ARP : PKT_ND),
		"class %d, dropped for %s", parsed.class, drop_reason_name(parsed.reason));
	REQUIRE(neighbour_parse(m, &p, parsed.class == PKT_ARP, &info) == DROP_NONE,
		"not understood");
	REQUIRE(info.kind == kind && ip_addr_equal(&info.target, target), "kind or target");
	rte_pktmbuf_free(m);
}

static void stage_neighbour(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	static uint8_t before[FRAME_MAX], bytes[FRAME_MAX];
	static const struct mac_addr nobody;
	struct ip_prefix own[2];
	struct neighbour_info info;
	enum drop_reason reason;
	struct mac_addr mac;
	uint32_t len;

	if (parsed.class != PKT_ARP && parsed.class != PKT_ND)
		goto free_packet;
	ip_prefix_parse("10.244.1.9", &own[0]);
	ip_prefix_parse("fd00:244:1::9", &own[1]);
	memcpy(mac.bytes, gateway_mac, sizeof(mac));
	len = mbufs_bytes(m, before);
	reason = neighbour_parse(m, p, parsed.class == PKT_ARP, &info);
	REQUIRE(mbufs_bytes(m, bytes) == len && memcmp(before, bytes, len) == 0,
		"reading changed it");
	digest_bytes(&r->digest, &reason, sizeof(reason));
	if (reason != DROP_NONE)
		goto free_packet;
	digest_bytes(&r->digest, &info.sender, sizeof(info.sender));
	digest_bytes(&r->digest, &info.target, sizeof(info.target));
	digest_bytes(&r->digest, &info.sender_mac, sizeof(info.sender_mac));
	if (info.sender.family != IP_NONE)
		neighbour_reads(neighbour_request_make(
					mbufs_pool, &info.target, &info.sender, &mac, &nobody),
			NEIGHBOUR_REQUEST, &info.target);
	reason = neighbour_proxy_reply(m, p, &info, &mac, own, RTE_DIM(own));
	digest_bytes(&r->digest, &reason, sizeof(reason));
	digest_packet(r, m);
	if (reason == DROP_NONE) {
		neighbour_reads(m, NEIGHBOUR_REPLY, &info.target);
		return;
	}
	if (reason != DROP_no_buffer)
		REQUIRE(mbufs_bytes(m, bytes) == len && memcmp(before, bytes, len) == 0,
			"refused and changed");
free_packet:
	rte_pktmbuf_free(m);
}

static void stage_mss(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	static uint8_t before[FRAME_MAX], after[FRAME_MAX];
	const uint16_t mss = (uint16_t)(500 + r->param * 8);

	if (is_flow(parsed)) {
		const uint32_t len = mbufs_bytes(m, before);
		const bool good = p->proto == IPPROTO_TCP && l4_sum_good(before, p);
		const bool changed = tcp_mss_clamp(m, p, mss);

		REQUIRE(mbufs_bytes(m, after) == len, "the length changed");
		REQUIRE(changed == (memcmp(before, after, len) != 0), "says it changed: %d",
			changed);
		REQUIRE(!changed || p->flags & PKT_TCP_SYN, "not a SYN");
		REQUIRE(!good || l4_sum_good(after, p), "the checksum was right before");
		REQUIRE(!tcp_mss_clamp(m, p, mss), "clamped twice");
		digest_packet(r, m);
	}
	rte_pktmbuf_free(m);
}

/** Offload words as a driver would set them, and the pseudo-header sum in the checksum field. @return whether the words
 * can describe the packet. */
static bool offload_ask(struct rte_mbuf *m, const struct pkt *p, uint64_t flags)
{
	const bool v6 = p->flags & PKT_V6, tcp = p->proto == IPPROTO_TCP;
	const uint32_t l4_len = (uint32_t)p->ip_len - p->l3_len;
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l2_len), *l4 = ip + p->l3_len,
		*field;
	uint16_t sum;

	if (!tcp && p->proto != IPPROTO_UDP)
		return false;
	field = l4 + (tcp ? 16 : 6);
	sum = slow_sum(ip + (v6 ? 8 : 12), v6 ? 32 : 8, (uint64_t)l4_len + p->proto);
	field[0] = (uint8_t)(sum >> 8);
	field[1] = (uint8_t)sum;
	m->l2_len = p->l2_len & 0x7f;
	m->l3_len = p->l3_len & 0x1ff;
	m->l4_len = tcp ? (uint64_t)(l4[12] >> 4) * 4 : 8;
	m->ol_flags = flags | (tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM) |
		      (v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
	return true;
}

static void stage_segment(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	static uint8_t whole[FRAME_MAX], piece[FRAME_MAX];
	struct rte_mbuf *out[PIECES];
	uint32_t headers, done;
	uint16_t n, count;

	if (!is_flow(parsed) || p->proto != IPPROTO_TCP || !offload_ask(m, p, TSO_WORD))
		goto free_packet;
	m->tso_segsz = (uint16_t)(r->param * 7 + 1);
	headers = (uint32_t)(m->l2_len + m->l3_len + m->l4_len);
	n = offload_segment_count(m);
	REQUIRE(n > 0, "a good packet is refused");
	mbufs_bytes(m, whole);
	count = offload_segment(m, mbufs_pool, out, PIECES);
	REQUIRE(count == (n > PIECES ? 0 : n), "%u segments, %u announced", count, n);
	if (count == 0)
		goto free_packet;
	done = headers;
	for (uint16_t i = 0; i < count; i++) {
		struct parsed again;
		struct pkt q;

		again = parse_again(out[i], &q, true, false);
		REQUIRE(is_flow(again), "segment %u is dropped for %s", i,
			drop_reason_name(again.reason));
		mbufs_bytes(out[i], piece);
		REQUIRE(l4_sum_good(piece, &q), "checksum of segment %u", i);
		REQUIRE(memcmp(piece + headers, whole + done, out[i]->pkt_len - headers) == 0,
			"payload of %u", i);
		done += out[i]->pkt_len - headers;
		digest_packet(r, out[i]);
		rte_pktmbuf_free(out[i]);
	}
	REQUIRE(done == (uint32_t)p->l2_len + p->ip_len, "%u bytes came out", done);
	return;
free_packet:
	rte_pktmbuf_free(m);
}

static void stage_checksum(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	static uint8_t bytes[FRAME_MAX];

	if (is_flow(parsed) && offload_ask(m, p, 0)) {
		const bool done = offload_complete_checksum(m);

		mbufs_bytes(m, bytes);
		REQUIRE(done && (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == 0, "not completed");
		REQUIRE(l4_sum_good(bytes, p), "the checksum");
	} else {
		/* Offload words of somebody's fancy. */
		m->l2_len = r->cuts.len[0] & 0x7f;
		m->l3_len = r->cuts.len[1] & 0x1ff;
		m->l4_len = r->cuts.len[2];
		m->tso_segsz = r->cuts.len[3];
		m->ol_flags = (r->param & 1 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4) |
			      (r->param & 2 ? RTE_MBUF_F_TX_UDP_CKSUM : TSO_WORD);
		if (offload_segment_count(m) == 0 && (r->param & 4))
			offload_checksum_at(m, r->cuts.len[0], r->cuts.len[1]);
		offload_complete_checksum(m);
	}
	digest_packet(r, m);
	rte_pktmbuf_free(m);
}

static void stage_linearize(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	static uint8_t before[FRAME_MAX], after[FRAME_MAX];
	const uint32_t len = mbufs_bytes(m, before);
	struct rte_mbuf *one = offload_linearize(m, mbufs_pool, NULL);

	(void)r;
	(void)p;
	(void)parsed;
	if (one == NULL)
		REQUIRE(len > MBUFS_ROOM, "a packet of %u bytes fits one buffer", len);
	else
		REQUIRE(one->nb_segs == 1, "%u segments", one->nb_segs);
	m = one != NULL ? one : m;
	REQUIRE(mbufs_bytes(m, after) == len && memcmp(before, after, len) == 0,
		"the bytes changed");
	rte_pktmbuf_free(m);
}

/** Cut, and put together again. */
static void stage_cut(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	static uint8_t before[FRAME_MAX], after[FRAME_MAX];
	const uint16_t mtu = (uint16_t)(128 + r->param * 8);
	struct rte_mbuf *out[PIECES], *whole = NULL;
	struct reassembly *reassembly;
	enum drop_reason reason;
	uint16_t count;
	uint32_t len;

	if ((parsed.class != PKT_FLOW4 && parsed.class != PKT_FRAG) ||
		(p->flags & (PKT_V6 | PKT_DF)) || rte_pktmbuf_adj(m, p->l2_len) == NULL)
		goto free_packet;
	len = mbufs_bytes(m, before);
	count = fragment_cut(m, mtu, mbufs_pool, out, PIECES, &reason);
	if (count == 0) {
		REQUIRE(reason == DROP_packet_too_big || reason == DROP_no_buffer, "reason %d",
			reason);
		REQUIRE(mbufs_bytes(m, after) == len && memcmp(before, after, len) == 0,
			"refused and changed");
		goto free_packet;
	}
	reassembly = reassembly_new(16, SOCKET_ID_ANY); /* may hold more than PIECES */
	for (uint16_t i = 0; i < count; i++) {
		const struct parsed again = parse_again(out[i], p, false, false);
		unsigned freed, merged;

		REQUIRE(count == 1 || out[i]->pkt_len <= mtu, "%u bytes over an MTU of %u",
			out[i]->pkt_len, mtu);
		REQUIRE(again.class == parsed.class || again.class == PKT_FRAG,
			"fragment %u is dropped for %s", i, drop_reason_name(again.reason));
		digest_packet(r, out[i]);
		if (parsed.class == PKT_FRAG || again.class != PKT_FRAG) {
			rte_pktmbuf_free(out[i]);
			continue;
		}
		REQUIRE(whole == NULL, "whole before the last fragment");
		whole = reassembly_add(reassembly, out[i], p, 1, &freed, &merged);
		REQUIRE(freed == 0, "fragment %u of %u is refused", i, count);
	}
	if (parsed.class == PKT_FLOW4 && count > 1) {
		REQUIRE(whole != NULL && is_flow(parse_again(whole, p, false, false)),
			"%u fragments make no packet", count);
		before[6] &= 0x40; /* the reserved bit does not survive */
		REQUIRE(mbufs_bytes(whole, after) == len, "%u bytes, not %u", whole->pkt_len, len);
		memcpy(before + 10, after + 10, 2);
		REQUIRE(memcmp(before, after, len) == 0, "the bytes changed");
		rte_pktmbuf_free(whole);
	}
	reassembly_free(reassembly);
	return;
free_packet:
	rte_pktmbuf_free(m);
}

static const struct tunnel_ops *claimed_by(const struct pkt *p)
{
	for (unsigned i = 0; tunnel_types[i] != NULL; i++) {
		if (tunnel_types[i]->claims(tunnels, p))
			return tunnel_types[i];
	}
	return NULL;
}

/** Through a tunnel to this node: out comes what went in. */
static void stage_encap(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	static uint8_t before[FRAME_MAX], after[FRAME_MAX];
	const struct tunnel_ops *ops = r->param & 1 ? &vxlan_tunnel_ops : &ipip_tunnel_ops;
	struct tunnel_endpoint e = endpoints[r->param >> 1 & 1];
	struct adjacency adj;
	struct parsed again;
	struct pkt outer;
	struct error err;
	uint32_t len;

	e.udp6_checksum = r->param & 4;
	memset(&adj, 0, sizeof(adj));
	if ((!is_flow(parsed) && parsed.class != PKT_FRAG) || p->ip_len > 65000 ||
		rte_pktmbuf_adj(m, p->l2_len) == NULL)
		goto free_packet;
	REQUIRE(ops->build(&e, &adj, &err) == 0, "%s", err.text);
	len = mbufs_bytes(m, before);
	p->hash = UINT64_C(0x1234567890abcdef);
	if (!rewrite_prepend(m, &adj, p, p->ip_len, 7)) {
		REQUIRE(rte_pktmbuf_headroom(m) < adj.header_len, "there was headroom");
		goto free_packet;
	}
	digest_packet(r, m);
	again = parse_again(m, &outer, true, false);
	if (again.class == PKT_DROP && again.reason == DROP_no_buffer)
		goto free_packet;
	REQUIRE(is_flow(again) && claimed_by(&outer) == ops, "nobody claims it, dropped for %s",
		drop_reason_name(again.reason));
	again = ops->decap(tunnels, m, &outer);
	check_parsed(m, &outer, again);
	if (again.class == PKT_DROP && again.reason == DROP_no_buffer)
		goto free_packet;
	REQUIRE(again.class == parsed.class, "class %d, dropped for %s", again.class,
		drop_reason_name(again.reason));
	REQUIRE(mbufs_bytes(m, after) == len + outer.l2_len &&
			memcmp(after + outer.l2_len, before, len) == 0,
		"the packet changed on its way");
free_packet:
	rte_pktmbuf_free(m);
}

static void stage_decap(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	const struct tunnel_ops *ops = is_flow(parsed) ? claimed_by(p) : NULL;
	struct parsed inner;

	if (ops != NULL) {
		inner = ops->decap(tunnels, m, p);
		check_parsed(m, p, inner);
		REQUIRE(inner.class != PKT_ARP && inner.class != PKT_ND,
			"neighbours inside a tunnel");
		digest_bytes(&r->digest, &inner, sizeof(inner));
		digest_packet(r, m);
		if (is_flow(inner)) {
			errors_about(r, m, p);
			echo_to(r, m, p);
		}
	}
	rte_pktmbuf_free(m);
}

static void stage_track(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	struct fragment_table *table;
	struct fragment_release out, dropped;
	enum drop_reason reason;
	bool held;

	if (parsed.class != PKT_FRAG) {
		rte_pktmbuf_free(m);
		return;
	}
	table = fragment_table_new(8, 8);
	reason = fragment_track(table, m, p, 1, &out, &held, &dropped);
	digest_bytes(&r->digest, &reason, sizeof(reason));
	REQUIRE(reason == DROP_NONE && dropped.count == 0 &&
			held == ((p->flags & PKT_FRAGMENT_LATER) != 0) &&
			out.count == (held ? 0 : 1),
		"one fragment: reason %d, held %d, %u out", reason, held, out.count);
	for (unsigned i = 0; i < out.count; i++)
		rte_pktmbuf_free(out.m[i]);
	fragment_table_free(table);
}

/** The hit path must not see more in a frame than the parser does. */
static void stage_plain(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed)
{
	struct rte_mbuf *received = mbufs_packet(r->frame, r->len, &r->cuts);

	plain_check(received, ZONE, p, parsed);
	rte_pktmbuf_free(received);
	rte_pktmbuf_free(m);
	plain_check_memos(tunnels, ZONE, r->frame, r->len, &r->cuts);
}

static const struct {
	const char *name;
	void (*run)(struct run *r, struct rte_mbuf *m, struct pkt *p, struct parsed parsed);
} stages[] = {
	{ "parsing", stage_parse },
	{ "ICMP errors", stage_errors },
	{ "echo", stage_echo },
	{ "neighbours", stage_neighbour },
	{ "MSS", stage_mss },
	{ "segmentation", stage_segment },
	{ "checksums", stage_checksum },
	{ "linearizing", stage_linearize },
	{ "cutting", stage_cut },
	{ "encapsulation", stage_encap },
	{ "decapsulation", stage_decap },
	{ "tracking", stage_track },
	{ "the hit path", stage_plain },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t frame[FRAME_MAX];
	struct input in = { data, size };
	struct run run = { 0 };
	uint64_t first = 0;
	uint8_t flags;

	if (tunnels == NULL)
		setup();
	flags = input_u8(&in);
	run.param = input_u8(&in);
	run.cuts.count = flags & 7 ? (uint8_t)RTE_MIN((flags & 7), 4) : 0;
	run.cuts.no_tailroom = flags & 8;
	for (unsigned i = 0; i < 4; i++)
		run.cuts.len[i] = input_u8(&in);
	run.len = (uint32_t)RTE_MIN(in.left, (size_t)FRAME_MAX);
	memcpy(frame, in.at, run.len);
	if ((flags & 16) && run.len > 14)
		mend(frame + 14, run.len - 14, 0);
	run.frame = frame;
	for (unsigned i = 0; i < RTE_DIM(stages); i++) {
		for (unsigned pass = 0; pass < 2; pass++) {
			struct parsed parsed;
			struct rte_mbuf *m;
			struct pkt p;

			mbufs_fill(pass == 0 ? 0x00 : 0xff);
			run.digest = UINT64_C(0xcbf29ce484222325);
			m = parse(&run, &p, &parsed);
			stages[i].run(&run, m, &p, parsed);
			mbufs_all_back(stages[i].name);
			REQUIRE(pass == 0 || run.digest == first,
				"%s read bytes that are not the packet's", stages[i].name);
			first = run.digest;
		}
	}
	return 0;
}
