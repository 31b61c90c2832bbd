/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/nic_finish.h"

#include "tests/unit/frames.h"

#include <stdarg.h>
#include <stdio.h>

#define ETHER	   14u
#define VXLAN	   30u /* UDP, VXLAN, Ethernet */
#define FRAME_ROOM 67000

void nic_fault(const char *fmt, ...)
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

enum nic_offload nic_needs(const struct rte_mbuf *m)
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

bool nic_asks(const struct rte_mbuf *m)
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
		nic_fault("offload 0x%llx is not configured",
			(unsigned long long)(want & ~configured));
	if (m->ol_flags & RTE_MBUF_F_TX_UDP_SEG)
		nic_fault("UDP segmentation");
}

static void check_buffers(const struct rte_mbuf *m)
{
	uint32_t len = 0, n = 0;

	for (const struct rte_mbuf *s = m; s != NULL; s = s->next, n++)
		len += s->data_len;
	if (len != m->pkt_len || n != m->nb_segs)
		nic_fault("%u bytes in %u buffers, said to be %u in %u", len, n, m->pkt_len,
			m->nb_segs);
	if (nic.buffers_max != 0 && n > nic.buffers_max)
		nic_fault("%u buffers, %u are the most", n, nic.buffers_max);
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
			return nic_fault("outer family"), false;
		if (tunnel != RTE_MBUF_F_TX_TUNNEL_VXLAN && tunnel != RTE_MBUF_F_TX_TUNNEL_IPIP)
			return nic_fault("tunnel type"), false;
		if (m->outer_l2_len != ETHER || m->outer_l3_len != (at->outer_v6 ? 40 : 20))
			return nic_fault("outer lengths %u %u", m->outer_l2_len, m->outer_l3_len),
			       false;
		if (m->l2_len != (at->vxlan ? VXLAN : 0))
			return nic_fault("l2_len %u in a tunnel", m->l2_len), false;
		ip = b + ETHER;
		proto = at->outer_v6 ? ip[6] : ip[9];
		if (ip[0] >> 4 != (at->outer_v6 ? 6 : 4) ||
			proto != (at->vxlan	  ? IPPROTO_UDP
					 : at->v6 ? IPPROTO_IPV6
						  : IPPROTO_IPIP))
			return nic_fault("outer header %02x proto %u", ip[0], proto), false;
		at->l3 = ETHER + m->outer_l3_len + m->l2_len;
		if (at->vxlan && (get16(ip + m->outer_l3_len + 2) != 4789 ||
					 get16(b + at->l3 - 2) != (at->v6 ? 0x86dd : 0x0800)))
			return nic_fault("not VXLAN"), false;
	} else {
		if (m->l2_len != ETHER)
			return nic_fault("l2_len %u", m->l2_len), false;
		if (m->outer_l2_len != 0 || m->outer_l3_len != 0)
			return nic_fault("outer lengths without a tunnel"), false;
		at->l3 = ETHER;
	}
	ip = b + at->l3;
	if (ip[0] >> 4 != (at->v6 ? 6 : 4) || m->l3_len != (at->v6 ? 40u : (ip[0] & 15u) * 4))
		return nic_fault("l3_len %u at %02x", m->l3_len, ip[0]), false;
	at->l4 = at->l3 + m->l3_len;
	proto = at->v6 ? ip[6] : ip[9];
	at->tcp = at->large || (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM;
	if (proto != (at->tcp ? IPPROTO_TCP : IPPROTO_UDP))
		return nic_fault("protocol %u", proto), false;
	at->payload = at->l4 + (at->tcp ? (b[at->l4 + 12] >> 4) * 4u : 8);
	if (at->large && at->payload != at->l4 + m->l4_len)
		return nic_fault("l4_len %u", m->l4_len), false;
	if (at->payload > m->data_len)
		return nic_fault("headers in several buffers"), false;
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

	/* It wants IP_CKSUM with segmentation, which some devices do not know. */
	if ((nic.tx_capa & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) && rte_validate_tx_offload(m) < 0)
		nic_fault("rte_validate_tx_offload");
	if (at->l3 + (at->v6 ? 40 + get16(ip + 4) : get16(ip + 2)) != at->len)
		nic_fault("IP length");
	if (!at->v6 &&
		(m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM ? get16(ip + 10) != 0
						      : naive_sum(ip, m->l3_len, 0) != 0xffff))
		nic_fault("IPv4 header sum");
	/* Without its length for a segment to be cut (rte_mbuf_core.h, RTE_MBUF_F_TX_TCP_SEG). */
	if (sum != pseudo(ip, at->v6, proto, at->large ? 0 : at->len - at->l4))
		nic_fault("pseudo-header sum");
	if (at->large && (m->tso_segsz < 64 || m->tso_segsz + at->payload - at->l3 > 1500))
		nic_fault("segments of %u", m->tso_segsz);
	if (!at->tunnel)
		return;
	if (at->outer + (at->outer_v6 ? 40 + get16(outer + 4) : get16(outer + 2)) != at->len)
		nic_fault("outer length");
	if (!at->outer_v6 &&
		(m->ol_flags & RTE_MBUF_F_TX_OUTER_IP_CKSUM ? get16(outer + 10) != 0
							    : naive_sum(outer, 20, 0) != 0xffff))
		nic_fault("outer IPv4 header sum");
	/* Some drivers (ixgbe) tell a tunnel by this; a cut packet has another length. */
	if (!at->outer_v6 && !(m->ol_flags & RTE_MBUF_F_TX_OUTER_IP_CKSUM))
		nic_fault("outer IPv4 header without its checksum");
	if ((m->ol_flags & RTE_MBUF_F_TX_OUTER_UDP_CKSUM) &&
		get16(outer + m->outer_l3_len + 6) !=
			pseudo(outer, at->outer_v6, IPPROTO_UDP,
				at->large ? 0 : at->len - at->outer - m->outer_l3_len))
		nic_fault("pseudo-header sum of the outer UDP header");
	if (at->vxlan && at->large && !(m->ol_flags & RTE_MBUF_F_TX_OUTER_UDP_CKSUM) &&
		get16(outer + m->outer_l3_len + 6) != 0)
		nic_fault("outer UDP checksum of a packet to be cut");
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

struct rte_mbuf *nic_frame(const uint8_t *bytes, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(nic.pool);
	char *to = m != NULL ? rte_pktmbuf_append(m, (uint16_t)len) : NULL;

	if (to == NULL) {
		nic_fault("no buffer for a frame of %u bytes", len);
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(to, bytes, len);
	return m;
}

/** One packet of those it becomes: all lengths and sums. */
static void finish_one(uint8_t *b, uint32_t len, const struct rte_mbuf *m, const struct layout *at)
{
	const enum nic_offload offload = nic_needs(m);
	const bool wrong_sum = lies(offload, at, NIC_WRONG_SUM);
	uint8_t *outer = b + at->outer, *udp = outer + m->outer_l3_len;

	finish_ip(b + at->l3, at->v6, len - at->l3,
		(m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) ||
			(at->large && !(nic.tx_capa & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)));
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
		if (lies(nic_needs(m), at, NIC_WRONG_LENGTH) && !at->tunnel)
			put16(one + at->l4 + 6, seq + 1);
		finish_one(one, at->payload + part, m, at);
		out[n] = nic_frame(one, at->payload + part);
		if (out[n] == NULL)
			break;
	}
	return n;
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
	if (!nic_asks(m)) {
		out[0] = nic_frame(b, m->pkt_len);
		if (flags & (RTE_MBUF_F_TX_TUNNEL_MASK | RTE_MBUF_F_TX_OUTER_IPV4 |
				    RTE_MBUF_F_TX_OUTER_IPV6))
			nic_fault("words about a tunnel, and nothing is asked for");
		n = out[0] != NULL;
	} else {
		check_configured(m, configured);
		if (!prepared)
			nic_fault("not prepared");
		if (layout_of(m, b, &at))
			check_bytes(m, b, &at);
		if (nic.faults == faults && !lies(nic_needs(m), &at, NIC_LOSES)) {
			if (at.large) {
				n = cut(b, m, &at, out, max);
			} else {
				finish_one(b, m->pkt_len, m, &at);
				out[0] = nic_frame(b, m->pkt_len);
				n = out[0] != NULL;
			}
		}
	}
	rte_pktmbuf_free(m);
	return n;
}
