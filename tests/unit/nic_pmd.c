/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/nic_pmd.h"

#include "tests/unit/frames.h"

#include <errno.h>
#include <rte_thash.h>
#include <stdarg.h>
#include <stdio.h>

#define ETHER	   14u
#define VXLAN	   30u /* UDP, VXLAN, Ethernet */
#define FRAME_ROOM 67000
#define PREPARED   64

struct nic nic;

static struct nic_queue {
	uint16_t id;
	struct rte_mbuf *waiting[NIC_WIRE_MAX];
	unsigned n;
} queues[NIC_QUEUES];
static void *queue_list[NIC_QUEUES];
static const struct rte_mbuf *prepared_last[PREPARED];
static unsigned prepared_next;

static void __attribute__((format(printf, 1, 2))) fault(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (nic.faults++ == 0)
		vsnprintf(nic.fault, sizeof(nic.fault), fmt, args);
	va_end(args);
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* --- a packet and what its words say about it ----------------------------------------------------------------- */

struct layout {
	bool tunnel, vxlan, outer_v6, v6, tcp, large;
	uint32_t outer, l3, l4, payload; /* offsets */
	uint32_t len;
};

static enum nic_offload needed(const struct rte_mbuf *m)
{
	const bool large = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
	const uint64_t tunnel = m->ol_flags & RTE_MBUF_F_TX_TUNNEL_MASK;

	if (m->ol_flags & RTE_MBUF_F_TX_OUTER_UDP_CKSUM)
		return NIC_OUTER_UDP_CSUM;
	if (tunnel == RTE_MBUF_F_TX_TUNNEL_VXLAN)
		return large ? NIC_VXLAN_TSO : NIC_VXLAN_CSUM;
	if (tunnel == RTE_MBUF_F_TX_TUNNEL_IPIP)
		return large ? NIC_IPIP_TSO : NIC_IPIP_CSUM;
	return large ? NIC_TX_TSO : NIC_TX_CSUM;
}

static bool asks(const struct rte_mbuf *m)
{
	return m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG |
				     RTE_MBUF_F_TX_UDP_SEG | RTE_MBUF_F_TX_IP_CKSUM |
				     RTE_MBUF_F_TX_OUTER_IP_CKSUM | RTE_MBUF_F_TX_OUTER_UDP_CKSUM);
}

/** Each word that is used must have been configured. */
static void check_configured(const struct rte_mbuf *m, uint64_t configured)
{
	const uint64_t l4 = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	const uint64_t tunnel = m->ol_flags & RTE_MBUF_F_TX_TUNNEL_MASK;
	uint64_t want = 0;

	if (l4 == RTE_MBUF_F_TX_TCP_CKSUM)
		want |= RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	if (l4 == RTE_MBUF_F_TX_UDP_CKSUM)
		want |= RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	if (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM)
		want |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
	if (m->ol_flags & RTE_MBUF_F_TX_OUTER_IP_CKSUM)
		want |= RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM;
	if (m->ol_flags & RTE_MBUF_F_TX_OUTER_UDP_CKSUM)
		want |= RTE_ETH_TX_OFFLOAD_OUTER_UDP_CKSUM;
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		want |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
	if (m->nb_segs > 1)
		want |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG && tunnel == RTE_MBUF_F_TX_TUNNEL_VXLAN &&
		!(configured & RTE_ETH_TX_OFFLOAD_UDP_TNL_TSO))
		want |= RTE_ETH_TX_OFFLOAD_VXLAN_TNL_TSO;
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG && tunnel == RTE_MBUF_F_TX_TUNNEL_IPIP &&
		!(configured & RTE_ETH_TX_OFFLOAD_IP_TNL_TSO))
		want |= RTE_ETH_TX_OFFLOAD_IPIP_TNL_TSO;
	if (want & ~configured)
		fault("offload 0x%llx is not configured", (unsigned long long)(want & ~configured));
	if (m->ol_flags & RTE_MBUF_F_TX_UDP_SEG)
		fault("UDP segmentation");
}

static void check_buffers(const struct rte_mbuf *m)
{
	uint32_t len = 0, n = 0;

	for (const struct rte_mbuf *s = m; s != NULL; s = s->next, n++)
		len += s->data_len;
	if (len != m->pkt_len || n != m->nb_segs)
		fault("%u bytes in %u buffers, said to be %u in %u", len, n, m->pkt_len,
			m->nb_segs);
	if (nic.buffers_max != 0 && n > nic.buffers_max)
		fault("%u buffers, %u are the most", n, nic.buffers_max);
}

/** Find the headers by the words alone, as a NIC does, and hold them against the bytes. */
static bool layout_of(const struct rte_mbuf *m, const uint8_t *b, struct layout *at)
{
	const uint64_t tunnel = m->ol_flags & RTE_MBUF_F_TX_TUNNEL_MASK;
	const uint8_t *ip;
	uint32_t proto;

	memset(at, 0, sizeof(*at));
	at->len = m->pkt_len;
	at->tunnel = tunnel != 0;
	at->vxlan = tunnel == RTE_MBUF_F_TX_TUNNEL_VXLAN;
	at->large = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
	at->v6 = m->ol_flags & RTE_MBUF_F_TX_IPV6;
	at->outer = ETHER;
	if (at->tunnel) {
		at->outer_v6 = m->ol_flags & RTE_MBUF_F_TX_OUTER_IPV6;
		if (!at->outer_v6 == !(m->ol_flags & RTE_MBUF_F_TX_OUTER_IPV4))
			return fault("outer family"), false;
		if (tunnel != RTE_MBUF_F_TX_TUNNEL_VXLAN && tunnel != RTE_MBUF_F_TX_TUNNEL_IPIP)
			return fault("tunnel type"), false;
		if (m->outer_l2_len != ETHER || m->outer_l3_len != (at->outer_v6 ? 40 : 20))
			return fault("outer lengths %u %u", m->outer_l2_len, m->outer_l3_len),
			       false;
		if (m->l2_len != (at->vxlan ? VXLAN : 0))
			return fault("l2_len %u in a tunnel", m->l2_len), false;
		ip = b + ETHER;
		proto = at->outer_v6 ? ip[6] : ip[9];
		if (ip[0] >> 4 != (at->outer_v6 ? 6 : 4) ||
			proto != (at->vxlan	  ? IPPROTO_UDP
					 : at->v6 ? IPPROTO_IPV6
						  : IPPROTO_IPIP))
			return fault("outer header %02x proto %u", ip[0], proto), false;
		at->l3 = ETHER + m->outer_l3_len + m->l2_len;
		if (at->vxlan && (get16(ip + m->outer_l3_len + 2) != 4789 ||
					 get16(b + at->l3 - 2) != (at->v6 ? 0x86dd : 0x0800)))
			return fault("not VXLAN"), false;
	} else {
		if (m->l2_len != ETHER)
			return fault("l2_len %u", m->l2_len), false;
		if (m->outer_l2_len != 0 || m->outer_l3_len != 0)
			return fault("outer lengths without a tunnel"), false;
		at->l3 = ETHER;
	}
	ip = b + at->l3;
	if (ip[0] >> 4 != (at->v6 ? 6 : 4) || m->l3_len != (at->v6 ? 40u : (ip[0] & 15u) * 4))
		return fault("l3_len %u at %02x", m->l3_len, ip[0]), false;
	at->l4 = at->l3 + m->l3_len;
	proto = at->v6 ? ip[6] : ip[9];
	at->tcp = at->large || (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM;
	if (proto != (at->tcp ? IPPROTO_TCP : IPPROTO_UDP))
		return fault("protocol %u", proto), false;
	at->payload = at->l4 + (at->tcp ? (b[at->l4 + 12] >> 4) * 4u : 8);
	if (at->large && at->payload != at->l4 + m->l4_len)
		return fault("l4_len %u", m->l4_len), false;
	if (at->payload > m->data_len)
		return fault("headers in several buffers"), false;
	return true;
}

static uint32_t pseudo(const uint8_t *ip, bool v6, uint32_t proto, uint32_t len)
{
	return naive_sum(ip + (v6 ? 8 : 12), v6 ? 32 : 8, proto + len);
}

static void check_bytes(const struct rte_mbuf *m, const uint8_t *b, const struct layout *at)
{
	const uint8_t *ip = b + at->l3, *outer = b + at->outer;
	const uint32_t proto = at->tcp ? IPPROTO_TCP : IPPROTO_UDP;
	const uint32_t sum = get16(b + at->l4 + (at->tcp ? 16 : 6));

	if (rte_validate_tx_offload(m) < 0)
		fault("rte_validate_tx_offload");
	if (at->l3 + (at->v6 ? 40 + get16(ip + 4) : get16(ip + 2)) != at->len)
		fault("IP length");
	if (!at->v6 &&
		(m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM ? get16(ip + 10) != 0
						      : naive_sum(ip, m->l3_len, 0) != 0xffff))
		fault("IPv4 header sum");
	/* Without its length for a segment to be cut (rte_mbuf_core.h, RTE_MBUF_F_TX_TCP_SEG). */
	if (sum != pseudo(ip, at->v6, proto, at->large ? 0 : at->len - at->l4))
		fault("pseudo-header sum");
	if (at->large && (m->tso_segsz < 64 || m->tso_segsz + at->payload - at->l3 > 1500))
		fault("segments of %u", m->tso_segsz);
	if (!at->tunnel)
		return;
	if (at->outer + (at->outer_v6 ? 40 + get16(outer + 4) : get16(outer + 2)) != at->len)
		fault("outer length");
	if (!at->outer_v6 &&
		(m->ol_flags & RTE_MBUF_F_TX_OUTER_IP_CKSUM ? get16(outer + 10) != 0
							    : naive_sum(outer, 20, 0) != 0xffff))
		fault("outer IPv4 header sum");
	/* Some drivers (ixgbe) tell a tunnel by this; a cut packet has another length. */
	if (!at->outer_v6 && !(m->ol_flags & RTE_MBUF_F_TX_OUTER_IP_CKSUM))
		fault("outer IPv4 header without its checksum");
	if ((m->ol_flags & RTE_MBUF_F_TX_OUTER_UDP_CKSUM) &&
		get16(outer + m->outer_l3_len + 6) !=
			pseudo(outer, at->outer_v6, IPPROTO_UDP,
				at->large ? 0 : at->len - at->outer - m->outer_l3_len))
		fault("pseudo-header sum of the outer UDP header");
	if (at->vxlan && at->large && !(m->ol_flags & RTE_MBUF_F_TX_OUTER_UDP_CKSUM) &&
		get16(outer + m->outer_l3_len + 6) != 0)
		fault("outer UDP checksum of a packet to be cut");
}

/* --- what it makes of it -------------------------------------------------------------------------------------- */

static bool lies(enum nic_offload offload, const struct layout *at, enum nic_lie lie)
{
	return nic.lie[offload] == lie && (!nic.lie_v6_only || at->v6 || at->outer_v6);
}

static void finish_ip(uint8_t *ip, bool v6, uint32_t len, bool sum)
{
	put16(ip + (v6 ? 4 : 2), v6 ? len - 40 : len);
	if (v6 || !sum)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~naive_sum(ip, (ip[0] & 15u) * 4, 0));
}

static void finish_l4(uint8_t *ip, bool v6, uint8_t *l4, bool tcp, uint32_t len, bool wrong)
{
	uint8_t *field = l4 + (tcp ? 16 : 6);
	uint32_t sum;

	put16(field, 0);
	sum = (uint16_t)~naive_sum(l4, len, pseudo(ip, v6, tcp ? IPPROTO_TCP : IPPROTO_UDP, len));
	put16(field, (sum == 0 && !tcp ? 0xffff : sum) ^ (wrong ? 0x0101u : 0));
}

static struct rte_mbuf *frame_new(const uint8_t *bytes, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(nic.pool);
	char *to = m != NULL ? rte_pktmbuf_append(m, (uint16_t)len) : NULL;

	if (to == NULL) {
		fault("no buffer for a frame of %u bytes", len);
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(to, bytes, len);
	return m;
}

/** One packet of those it becomes: all lengths and sums. */
static void finish_one(uint8_t *b, uint32_t len, const struct rte_mbuf *m, const struct layout *at)
{
	const enum nic_offload offload = needed(m);
	const bool wrong_sum = lies(offload, at, NIC_WRONG_SUM);
	uint8_t *outer = b + at->outer, *udp = outer + m->outer_l3_len;

	finish_ip(b + at->l3, at->v6, len - at->l3, m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM);
	finish_l4(b + at->l3, at->v6, b + at->l4, at->tcp, len - at->l4,
		wrong_sum && offload != NIC_OUTER_UDP_CSUM);
	if (!at->tunnel)
		return;
	if (!lies(offload, at, NIC_WRONG_LENGTH))
		finish_ip(outer, at->outer_v6, len - at->outer,
			m->ol_flags & RTE_MBUF_F_TX_OUTER_IP_CKSUM);
	else if (!at->outer_v6)
		finish_ip(outer, false, at->len - at->outer + 4, true);
	else
		put16(outer + 4, at->len - at->outer + 4);
	if (!at->vxlan)
		return;
	put16(udp + 4, len - at->outer - m->outer_l3_len);
	if (m->ol_flags & RTE_MBUF_F_TX_OUTER_UDP_CKSUM)
		finish_l4(outer, at->outer_v6, udp, false, len - at->outer - m->outer_l3_len,
			wrong_sum);
}

static unsigned cut(uint8_t *b, const struct rte_mbuf *m, const struct layout *at,
	struct rte_mbuf **out, unsigned max)
{
	static uint8_t one[FRAME_ROOM];
	const uint32_t first = get16(b + at->l4 + 4) << 16 | get16(b + at->l4 + 6);
	const uint32_t id = get16(b + at->l3 + 4), outer_id = get16(b + at->outer + 4);
	unsigned n = 0;

	for (uint32_t off = at->payload; off < at->len && n < max; n++) {
		const uint32_t part = RTE_MIN(at->len - off, (uint32_t)m->tso_segsz);
		const uint32_t seq = first + off - at->payload;

		memcpy(one, b, at->payload);
		memcpy(one + at->payload, b + off, part);
		put16(one + at->l4 + 4, seq >> 16);
		put16(one + at->l4 + 6, seq & 0xffff);
		if (!at->v6)
			put16(one + at->l3 + 4, id + n);
		if (at->tunnel && !at->outer_v6)
			put16(one + at->outer + 4, outer_id + n);
		off += part;
		if (off < at->len)
			one[at->l4 + 13] &= (uint8_t)~0x09u; /* FIN, PSH */
		if (n > 0)
			one[at->l4 + 13] &= 0x7f; /* CWR */
		if (lies(needed(m), at, NIC_WRONG_LENGTH) && !at->tunnel)
			put16(one + at->l4 + 6, seq + 1);
		finish_one(one, at->payload + part, m, at);
		out[n] = frame_new(one, at->payload + part);
		if (out[n] == NULL)
			break;
	}
	return n;
}

static bool was_prepared(const struct rte_mbuf *m)
{
	for (unsigned i = 0; i < PREPARED; i++) {
		if (prepared_last[i] == m) {
			prepared_last[i] = NULL;
			return true;
		}
	}
	return false;
}

unsigned nic_finish(
	struct rte_mbuf *m, uint64_t configured, bool prepared, struct rte_mbuf **out, unsigned max)
{
	static uint8_t b[FRAME_ROOM];
	const uint64_t flags = m->ol_flags;
	const unsigned faults = nic.faults;
	struct layout at;
	unsigned n = 0;

	check_buffers(m);
	mbuf_bytes(m, b);
	if (!asks(m)) {
		out[0] = frame_new(b, m->pkt_len);
		if (flags & (RTE_MBUF_F_TX_TUNNEL_MASK | RTE_MBUF_F_TX_OUTER_IPV4 |
				    RTE_MBUF_F_TX_OUTER_IPV6))
			fault("words about a tunnel, and nothing is asked for");
		n = out[0] != NULL;
	} else {
		check_configured(m, configured);
		if (!prepared && !was_prepared(m))
			fault("not prepared");
		if (layout_of(m, b, &at))
			check_bytes(m, b, &at);
		if (nic.faults == faults && !lies(needed(m), &at, NIC_LOSES)) {
			if (at.large) {
				n = cut(b, m, &at, out, max);
			} else {
				finish_one(b, m->pkt_len, m, &at);
				out[0] = frame_new(b, m->pkt_len);
				n = out[0] != NULL;
			}
		}
	}
	rte_pktmbuf_free(m);
	return n;
}

/* --- receive -------------------------------------------------------------------------------------------------- */

/** Offset of the IP header that is hashed. */
static uint32_t hashed_header(const uint8_t *b, uint64_t fields)
{
	const uint8_t *ip = b + ETHER;
	const bool v6 = ip[0] >> 4 == 6;
	const uint32_t l3 = v6 ? 40 : 20, proto = v6 ? ip[6] : ip[9];

	if (!(fields & RTE_ETH_RSS_LEVEL_INNERMOST))
		return ETHER;
	if (proto == IPPROTO_IPIP || proto == IPPROTO_IPV6)
		return ETHER + l3;
	return proto == IPPROTO_UDP && get16(ip + l3 + 2) == 4789 ? ETHER + l3 + VXLAN : ETHER;
}

static uint32_t toeplitz(const uint8_t *b, uint64_t fields)
{
	/* The key of Microsoft's description of RSS, which drivers have as their default. */
	static const uint8_t key[] = { 0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
		0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4,
		0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac,
		0x01, 0xfa };
	const uint8_t *ip = b + hashed_header(b, fields);
	const bool v6 = ip[0] >> 4 == 6;
	const uint32_t proto = v6 ? ip[6] : ip[9], from = v6 ? 8 : 12;
	uint32_t words[9], n = v6 ? 8 : 2;

	for (uint32_t i = 0; i < n; i++)
		words[i] = get16(ip + from + 4 * i) << 16 | get16(ip + from + 4 * i + 2);
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP) {
		const uint8_t *l4 = ip + (v6 ? 40 : 20);

		words[n++] = get16(l4) << 16 | get16(l4 + 2);
	}
	return rte_softrss(words, n, key);
}

/** What it says about the TCP or UDP checksum of a frame without a tunnel. */
static uint64_t receive_flags(const uint8_t *b, uint32_t len)
{
	const uint8_t *ip = b + ETHER;
	const bool v6 = ip[0] >> 4 == 6;
	const uint32_t l4 = ETHER + (v6 ? 40u : 20u), proto = v6 ? ip[6] : ip[9];

	if (!(nic.conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_CKSUM) ||
		(proto != IPPROTO_TCP && proto != IPPROTO_UDP))
		return 0;
	if (nic.lie[NIC_RX_CSUM] != NIC_HONEST && (!nic.lie_v6_only || v6))
		return RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	return naive_sum(b + l4, len - l4, pseudo(ip, v6, proto, len - l4)) == 0xffff
		       ? RTE_MBUF_F_RX_L4_CKSUM_GOOD
		       : RTE_MBUF_F_RX_L4_CKSUM_BAD;
}

uint16_t nic_receive(const uint8_t *frame, uint32_t len)
{
	const bool rss = nic.conf.rxmode.mq_mode == RTE_ETH_MQ_RX_RSS && nic.n_rxq > 1;
	const uint16_t q =
		rss ? (uint16_t)(toeplitz(frame, nic.conf.rx_adv_conf.rss_conf.rss_hf) % nic.n_rxq)
		    : 0;
	struct rte_mbuf *m = frame_new(frame, len);

	if (m != NULL) {
		m->ol_flags = receive_flags(frame, len);
		queues[q].waiting[queues[q].n++ % NIC_WIRE_MAX] = m;
	}
	return q;
}

/* --- the device ----------------------------------------------------------------------------------------------- */

static uint16_t nic_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct nic_queue *q = queue;
	const uint16_t take = (uint16_t)RTE_MIN(n, q->n);

	memcpy(pkts, q->waiting, take * sizeof(pkts[0]));
	memmove(q->waiting, q->waiting + take, (q->n - take) * sizeof(pkts[0]));
	q->n -= take;
	return take;
}

static uint16_t nic_tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *out[64];

	(void)queue;
	for (uint16_t i = 0; i < n; i++) {
		const unsigned k =
			nic_finish(pkts[i], nic.conf.txmode.offloads, false, out, RTE_DIM(out));

		for (unsigned f = 0; f < k; f++) {
			if (nic.conf.lpbk_mode == 0 && nic.n_wire < NIC_WIRE_MAX) {
				nic.wire[nic.n_wire++] = out[f];
				continue;
			}
			if (nic.conf.lpbk_mode != 0 && nic.loops)
				nic_receive(
					rte_pktmbuf_mtod(out[f], const uint8_t *), out[f]->pkt_len);
			rte_pktmbuf_free(out[f]);
		}
	}
	return n;
}

static uint16_t nic_prepare(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	for (uint16_t i = 0; i < n; i++) {
		if (asks(pkts[i]) && (nic.refuses & 1u << needed(pkts[i]))) {
			rte_errno = ENOTSUP;
			return i;
		}
		prepared_last[prepared_next++ % PREPARED] = pkts[i];
	}
	return n;
}

void nic_clear(void)
{
	rte_pktmbuf_free_bulk(nic.wire, nic.n_wire);
	nic.n_wire = 0;
	for (unsigned q = 0; q < NIC_QUEUES; q++) {
		rte_pktmbuf_free_bulk(queues[q].waiting, queues[q].n);
		queues[q].n = 0;
	}
}

void nic_reset(struct rte_mempool *pool)
{
	nic_clear();
	memset(prepared_last, 0, sizeof(prepared_last));
	nic = (struct nic){ .driver = "net_ixgbe",
		.tx_capa = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			   RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO |
			   RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM |
			   RTE_ETH_TX_OFFLOAD_OUTER_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_VXLAN_TNL_TSO |
			   RTE_ETH_TX_OFFLOAD_IPIP_TNL_TSO,
		.rx_capa = RTE_ETH_RX_OFFLOAD_CHECKSUM,
		.rss_capa =
			RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_LEVEL_MASK,
		.buffers_max = 40,
		.loops = true,
		.pool = pool,
		.mac = { { 2, 0, 0, 0, 0, 0x11 } } };
	for (uint16_t q = 0; q < NIC_QUEUES; q++) {
		queues[q].id = q;
		queue_list[q] = &queues[q];
	}
}

/* --- the calls of ethdev -------------------------------------------------------------------------------------- */

static bool is_nic(uint16_t ethdev)
{
	char name[RTE_ETH_NAME_MAX_LEN];

	return rte_eth_dev_get_name_by_port(ethdev, name) == 0 && strcmp(name, NIC_DEVICE) == 0;
}

#define WRAP(result, name, ...)                    \
	result __real_rte_eth_##name(__VA_ARGS__); \
	result __wrap_rte_eth_##name(__VA_ARGS__); \
	result __wrap_rte_eth_##name(__VA_ARGS__)

WRAP(int, dev_info_get, uint16_t id, struct rte_eth_dev_info *info)
{
	const int ret = __real_rte_eth_dev_info_get(id, info);

	if (ret < 0 || !is_nic(id))
		return ret;
	info->driver_name = nic.driver;
	info->tx_offload_capa = nic.tx_capa;
	info->rx_offload_capa = nic.rx_capa;
	info->flow_type_rss_offloads = nic.rss_capa;
	info->tx_desc_lim.nb_seg_max = nic.buffers_max;
	return 0;
}

WRAP(int, dev_configure, uint16_t id, uint16_t n_rxq, uint16_t n_txq,
	const struct rte_eth_conf *conf)
{
	struct rte_eth_conf plain = { .rxmode = { .mtu = conf->rxmode.mtu } };

	if (!is_nic(id))
		return __real_rte_eth_dev_configure(id, n_rxq, n_txq, conf);
	if (nic.started)
		return -EBUSY;
	if ((conf->txmode.offloads & ~nic.tx_capa) || (conf->rxmode.offloads & ~nic.rx_capa) ||
		(conf->rx_adv_conf.rss_conf.rss_hf & ~nic.rss_capa))
		return -EINVAL;
	if (nic.rss_level_refused &&
		(conf->rx_adv_conf.rss_conf.rss_hf & RTE_ETH_RSS_LEVEL_INNERMOST))
		return -EINVAL;
	nic.conf = *conf;
	nic.n_rxq = n_rxq;
	return __real_rte_eth_dev_configure(id, n_rxq, n_txq, &plain);
}

WRAP(int, dev_start, uint16_t id)
{
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[id];
	int ret;

	if (is_nic(id) && nic.conf.lpbk_mode != 0 && nic.loopback_fails)
		return -ENOTSUP;
	ret = __real_rte_eth_dev_start(id);
	if (ret < 0 || !is_nic(id))
		return ret;
	ops->rx_pkt_burst = nic_rx;
	ops->tx_pkt_burst = nic_tx;
	ops->tx_pkt_prepare = nic_prepare;
	ops->rxq.data = queue_list;
	ops->txq.data = queue_list;
	nic.started = true;
	nic.starts++;
	return 0;
}

WRAP(int, dev_stop, uint16_t id)
{
	if (is_nic(id))
		nic.started = false;
	return __real_rte_eth_dev_stop(id);
}

WRAP(int, macaddr_get, uint16_t id, struct rte_ether_addr *mac)
{
	if (!is_nic(id))
		return __real_rte_eth_macaddr_get(id, mac);
	*mac = nic.mac;
	return 0;
}

WRAP(int, dev_default_mac_addr_set, uint16_t id, struct rte_ether_addr *mac)
{
	if (!is_nic(id))
		return __real_rte_eth_dev_default_mac_addr_set(id, mac);
	if (nic.fixed_mac)
		return -ENOTSUP;
	nic.mac = *mac;
	return 0;
}

WRAP(int, dev_mac_addr_add, uint16_t id, struct rte_ether_addr *mac, uint32_t pool)
{
	return is_nic(id) ? -ENOTSUP : __real_rte_eth_dev_mac_addr_add(id, mac, pool);
}

WRAP(int, promiscuous_enable, uint16_t id)
{
	if (!is_nic(id))
		return __real_rte_eth_promiscuous_enable(id);
	nic.promiscuous = !nic.no_promiscuity;
	return nic.no_promiscuity ? -EPERM : 0;
}

WRAP(int, promiscuous_get, uint16_t id)
{
	return is_nic(id) ? nic.promiscuous : __real_rte_eth_promiscuous_get(id);
}

WRAP(int, allmulticast_enable, uint16_t id)
{
	if (!is_nic(id))
		return __real_rte_eth_allmulticast_enable(id);
	nic.allmulticast = !nic.no_multicast;
	return nic.no_multicast ? -EPERM : 0;
}

WRAP(int, dev_udp_tunnel_port_add, uint16_t id, struct rte_eth_udp_tunnel *tunnel)
{
	if (!is_nic(id))
		return __real_rte_eth_dev_udp_tunnel_port_add(id, tunnel);
	nic.told_ports++;
	return 0;
}
