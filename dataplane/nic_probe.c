/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/nic_probe.h"

#include "dataplane/offload.h"
#include "dataplane/rewrite.h"
#include "dataplane/tunnel_offload.h"

#include <rte_tcp.h>
#include <rte_udp.h>
#include <rte_vxlan.h>
#include <stdio.h>
#include <string.h>

#define MTU_MOST    1500 /* a segment then fits a buffer */
#define SEGMENTS    3
#define REST	    199
#define SMALL	    201
#define FRAME_BYTES 6000
#define VXLAN_PORT  4789 /* IANA's: what a NIC knows without being told */
#define VXLAN_BYTES 30	 /* UDP, VXLAN, Ethernet */
#define HASH	    0x1234567890abcdefULL

static const uint8_t net4[2] = { 198, 18 };		   /* RFC 2544 appendix C.2.2 */
static const uint8_t net6[6] = { 0x20, 0x01, 0x00, 0x02 }; /* RFC 5180 section 8: 2001:2::/48 */

#define BOTH_L4(o, t, outer, inner)                                                            \
	{ .offload = (o), .tunnel = (t), .outer_v6 = (outer), .v6 = (inner) },                 \
	{                                                                                      \
		.offload = (o), .tunnel = (t), .outer_v6 = (outer), .v6 = (inner), .udp = true \
	}
#define SEGMENTED(o, t, outer, inner)                                                            \
	{                                                                                        \
		.offload = (o), .tunnel = (t), .outer_v6 = (outer), .v6 = (inner), .large = true \
	}
#define FOUR(what, o, t)                                                            \
	what(o, t, false, false), what(o, t, false, true), what(o, t, true, false), \
		what(o, t, true, true)

const struct nic_probe *nic_probes(size_t *count)
{
	static const struct nic_probe probes[] = {
		BOTH_L4(NIC_TX_CSUM, PROBE_PLAIN, false, false),
		BOTH_L4(NIC_TX_CSUM, PROBE_PLAIN, false, true),
		SEGMENTED(NIC_TX_TSO, PROBE_PLAIN, false, false),
		SEGMENTED(NIC_TX_TSO, PROBE_PLAIN, false, true),
		FOUR(BOTH_L4, NIC_VXLAN_CSUM, PROBE_VXLAN),
		FOUR(SEGMENTED, NIC_VXLAN_TSO, PROBE_VXLAN),
		FOUR(BOTH_L4, NIC_IPIP_CSUM, PROBE_IPIP),
		FOUR(SEGMENTED, NIC_IPIP_TSO, PROBE_IPIP),
		BOTH_L4(NIC_OUTER_UDP_CSUM, PROBE_VXLAN_SUM, true, false),
		BOTH_L4(NIC_OUTER_UDP_CSUM, PROBE_VXLAN_SUM, true, true),
		SEGMENTED(NIC_OUTER_UDP_CSUM, PROBE_VXLAN_SUM, true, false),
		SEGMENTED(NIC_OUTER_UDP_CSUM, PROBE_VXLAN_SUM, true, true),
	};

	*count = RTE_DIM(probes);
	return probes;
}

void nic_probe_text(const struct nic_probe *probe, char *text, size_t size)
{
	static const char *const tunnels[] = { [PROBE_VXLAN] = "VXLAN",
		[PROBE_VXLAN_SUM] = "VXLAN with checksum",
		[PROBE_IPIP] = "IP" };
	const char *l4 = probe->udp ? "UDP" : "TCP", *inner = probe->v6 ? "IPv6" : "IPv4";

	if (probe->tunnel == PROBE_PLAIN)
		snprintf(text, size, "%s over %s", l4, inner);
	else
		snprintf(text, size, "%s over %s in %s over %s", l4, inner, tunnels[probe->tunnel],
			probe->outer_v6 ? "IPv6" : "IPv4");
}

/* --- headers -------------------------------------------------------------------------------------------------- */

static void put_addresses(uint8_t *ip, bool v6, uint8_t subnet)
{
	for (uint8_t end = 0; end < 2; end++) {
		uint8_t *to = v6 ? ip + 8 + 16 * end : ip + 12 + 4 * end;

		memset(to, 0, v6 ? 16 : 4);
		memcpy(to, v6 ? net6 : net4, v6 ? sizeof(net6) : sizeof(net4));
		to[v6 ? 7 : 2] = subnet;
		to[v6 ? 15 : 3] = (uint8_t)(end + 1);
	}
}

static uint32_t put_ip(uint8_t *at, bool v6, uint8_t proto, uint32_t payload, uint8_t subnet)
{
	const uint32_t len = v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);

	memset(at, 0, len);
	put_addresses(at, v6, subnet);
	if (v6) {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)at;

		ip->vtc_flow = RTE_BE32(0x60000000);
		ip->payload_len = rte_cpu_to_be_16((uint16_t)payload);
		ip->proto = proto;
		ip->hop_limits = 1; /* it goes nowhere */
	} else {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;

		ip->version_ihl = RTE_IPV4_VHL_DEF;
		ip->total_length = rte_cpu_to_be_16((uint16_t)(len + payload));
		ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
		ip->packet_id = RTE_BE16(7);
		ip->time_to_live = 1;
		ip->next_proto_id = proto;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	}
	return len;
}

/** The adjacency that such a packet would leave through: see rewrite.h for what its template has to be. */
static void adjacency_make(
	const struct nic_probe *probe, const struct mac_addr *mac, struct adjacency *adj)
{
	struct rte_ether_hdr eth = { .ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4) };
	const bool udp = probe->tunnel != PROBE_IPIP;
	uint8_t *at = adj->header;

	memset(adj, 0, sizeof(*adj));
	memcpy(eth.dst_addr.addr_bytes, mac->bytes, sizeof(mac->bytes));
	memcpy(eth.src_addr.addr_bytes, mac->bytes, sizeof(mac->bytes));
	adj->type = probe->tunnel == PROBE_PLAIN ? ADJ_REWRITE : ADJ_TUNNEL;
	adj->outer_ip_off = sizeof(eth);
	if (probe->outer_v6)
		eth.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
	memcpy(at, &eth, sizeof(eth));
	at += sizeof(eth);
	if (adj->type == ADJ_TUNNEL) {
		const uint32_t l3 = put_ip(at, probe->outer_v6, udp ? IPPROTO_UDP : 0, 0, 9);

		if (probe->outer_v6) {
			((struct rte_ipv6_hdr *)at)->payload_len = 0;
		} else {
			struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;

			ip->total_length = ip->packet_id = ip->hdr_checksum = 0;
			ip->fragment_offset = 0;
			adj->outer_sum = ip_header_sum(ip);
			ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
		}
		adj->flags = probe->outer_v6 ? ADJ_OUTER_V6 : ADJ_OUTER_V4;
		at += l3;
	}
	if (adj->type == ADJ_TUNNEL && udp) {
		const struct rte_udp_hdr h = { .dst_port = RTE_BE16(VXLAN_PORT) };
		const struct rte_vxlan_hdr vxlan = { .vx_flags = RTE_BE32(0x08000000),
			.vx_vni = RTE_BE32(1 << 8) };

		adj->flags |= ADJ_UDP;
		if (probe->tunnel == PROBE_VXLAN_SUM)
			adj->flags |= ADJ_UDP_CHECKSUM;
		adj->outer_udp_off = (uint8_t)(at - adj->header);
		memcpy(at, &h, sizeof(h));
		memcpy(at + sizeof(h), &vxlan, sizeof(vxlan));
		memcpy(at + sizeof(h) + sizeof(vxlan), &eth, sizeof(eth));
		at += sizeof(h) + sizeof(vxlan) + sizeof(eth);
	}
	adj->header_len = (uint8_t)(at - adj->header);
	adj->outer_len = (uint16_t)(adj->header_len - adj->outer_ip_off);
}

/** Payload of a segment that fills the MTU. */
static uint16_t segment_size(const struct nic_probe *probe, uint16_t mtu, uint32_t headers)
{
	const struct mac_addr none = { { 0 } };
	struct adjacency adj;

	adjacency_make(probe, &none, &adj);
	return (uint16_t)(RTE_MIN(mtu, (uint16_t)MTU_MOST) - headers -
			  (adj.type == ADJ_TUNNEL ? adj.outer_len : 0u));
}

/** An inner packet, from its IP header on; the L4 checksum is the pseudo header's. @return its bytes. */
static uint32_t inner_make(
	const struct nic_probe *probe, uint16_t mtu, uint8_t *to, struct rte_mbuf *m)
{
	const uint32_t l4 = probe->udp ? sizeof(struct rte_udp_hdr) : sizeof(struct rte_tcp_hdr);
	const uint8_t proto = probe->udp ? IPPROTO_UDP : IPPROTO_TCP;
	const uint16_t segment = segment_size(probe, mtu, (probe->v6 ? 40u : 20u) + l4);
	const uint32_t payload = probe->large ? SEGMENTS * segment + REST : SMALL;
	const uint32_t l3 = put_ip(to, probe->v6, proto, l4 + payload, 0);
	const uint16_t pseudo = probe->v6 ? rte_ipv6_phdr_cksum((const struct rte_ipv6_hdr *)to, 0)
					  : rte_ipv4_phdr_cksum((const struct rte_ipv4_hdr *)to, 0);

	if (probe->udp) {
		struct rte_udp_hdr udp = { .src_port = RTE_BE16(4000),
			.dst_port = RTE_BE16(9), /* discard */
			.dgram_len = rte_cpu_to_be_16((uint16_t)(l4 + payload)),
			.dgram_cksum = pseudo };

		memcpy(to + l3, &udp, sizeof(udp));
	} else {
		struct rte_tcp_hdr tcp = { .src_port = RTE_BE16(4000),
			.dst_port = RTE_BE16(9),
			.sent_seq = RTE_BE32(0xfffffe00), /* wraps within the packet */
			.recv_ack = RTE_BE32(1),
			.data_off = (uint8_t)(l4 / 4 << 4),
			.tcp_flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG | RTE_TCP_FIN_FLAG,
			.rx_win = RTE_BE16(100),
			.cksum = pseudo };

		memcpy(to + l3, &tcp, sizeof(tcp));
	}
	for (uint32_t i = 0; i < payload; i++)
		to[l3 + l4 + i] = (uint8_t)(i * 13 + (i >> 8));
	m->l2_len = 0;
	m->l3_len = l3 & 0x1ffu;
	m->l4_len = l4 & 0xffu;
	m->ol_flags = probe->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	m->ol_flags |= probe->udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
	if (probe->large) {
		m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
		m->tso_segsz = segment;
	}
	return l3 + l4 + payload;
}

/** Add bytes in buffers of their own. @return false: no buffer. */
static bool chain_bytes(
	struct rte_mbuf *m, struct rte_mempool *pool, const uint8_t *bytes, uint32_t len)
{
	while (len > 0) {
		struct rte_mbuf *more = rte_pktmbuf_alloc(pool);
		const uint32_t part =
			more != NULL ? RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(more)) : 0;
		char *to = more != NULL ? rte_pktmbuf_append(more, (uint16_t)part) : NULL;

		if (to == NULL || rte_pktmbuf_chain(m, more) < 0) {
			rte_pktmbuf_free(more);
			return false;
		}
		memcpy(to, bytes, part);
		bytes += part;
		len -= part;
	}
	return true;
}

/** A large one in several buffers, as pods send them. */
static struct rte_mbuf *inner_mbuf(const struct nic_probe *probe, const struct nic_probe_port *port)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(port->pool);
	uint8_t bytes[FRAME_BYTES];
	uint32_t len, first;
	char *to;

	if (m == NULL)
		return NULL;
	len = inner_make(probe, port->mtu, bytes, m);
	first = probe->large ? 401 : len;
	to = rte_pktmbuf_append(m, (uint16_t)first);
	if (to != NULL) {
		memcpy(to, bytes, first);
		if (chain_bytes(m, port->pool, bytes + first, len - first))
			return m;
	}
	rte_pktmbuf_free(m);
	return NULL;
}

/** Write the header in front. @return false: no room; m is freed. */
static bool prepend(const struct nic_probe *probe, const struct adjacency *adj, struct rte_mbuf *m)
{
	const struct pkt p = { .hash = HASH,
		.flags = (uint8_t)(PKT_DF | (probe->v6 ? PKT_V6 : 0)) };

	if (rewrite_prepend(m, adj, &p, (uint16_t)rte_pktmbuf_pkt_len(m), 0))
		return true;
	rte_pktmbuf_free(m);
	return false;
}

struct rte_mbuf *nic_probe_ask(const struct nic_probe *probe, const struct nic_probe_port *port)
{
	struct rte_mbuf *m = inner_mbuf(probe, port);
	struct adjacency adj;

	if (m == NULL)
		return NULL;
	adjacency_make(probe, &port->mac, &adj);
	tunnel_offload_ask(m, &adj);
	return prepend(probe, &adj, m) ? m : NULL;
}

uint16_t nic_probe_expect(
	const struct nic_probe *probe, const struct nic_probe_port *port, struct rte_mbuf **out)
{
	struct rte_mbuf *m = inner_mbuf(probe, port);
	struct adjacency adj;
	uint16_t n = 1;

	if (m == NULL)
		return 0;
	out[0] = m;
	if (probe->large)
		n = offload_segment(m, port->pool, out, NIC_PROBE_PARTS);
	else if (!offload_complete_checksum(m))
		n = 0;
	if (n == 0)
		rte_pktmbuf_free(m);
	adjacency_make(probe, &port->mac, &adj);
	for (uint16_t i = 0; i < n; i++) {
		if (!prepend(probe, &adj, out[i])) {
			rte_pktmbuf_free_bulk(out, i);
			rte_pktmbuf_free_bulk(out + i + 1, n - i - 1u);
			return 0;
		}
	}
	return n;
}

/* --- comparing ------------------------------------------------------------------------------------------------ */

/** Where the IPv4 headers of a frame as nic_probe_expect makes them are. @return their number. */
static unsigned ip4_headers(const uint8_t *frame, uint32_t *at)
{
	uint32_t off = RTE_ETHER_HDR_LEN;
	unsigned n = 0;

	for (unsigned depth = 0; depth < 2; depth++) {
		const bool v6 = frame[off] >> 4 == 6;
		const uint8_t proto = frame[off + (v6 ? 6 : 9)];

		if (!v6)
			at[n++] = off;
		off += v6 ? 40u : 20u;
		if (proto == IPPROTO_UDP && frame[off + 2] == VXLAN_PORT >> 8 &&
			frame[off + 3] == (VXLAN_PORT & 0xff))
			off += VXLAN_BYTES;
		else if (proto != IPPROTO_IPIP && proto != IPPROTO_IPV6)
			break;
	}
	return n;
}

bool nic_probe_same(const struct rte_mbuf *got, const struct rte_mbuf *want)
{
	uint8_t a[FRAME_BYTES], b[FRAME_BYTES];
	const uint32_t len = rte_pktmbuf_pkt_len(want);
	uint32_t at[2];
	const void *p;
	unsigned n;

	/* A short frame may come back with padding. */
	if (len > sizeof(a) || rte_pktmbuf_pkt_len(got) < len ||
		(rte_pktmbuf_pkt_len(got) > len && rte_pktmbuf_pkt_len(got) > 64))
		return false;
	p = rte_pktmbuf_read(got, 0, len, a);
	if (p != a)
		memcpy(a, p, len);
	p = rte_pktmbuf_read(want, 0, len, b);
	if (p != b)
		memcpy(b, p, len);
	n = ip4_headers(b, at);
	for (unsigned i = 0; i < n; i++) {
		if (rte_raw_cksum(a + at[i], sizeof(struct rte_ipv4_hdr)) != 0xffff)
			return false;
		memcpy(a + at[i] + 4, b + at[i] + 4, 2);
		memcpy(a + at[i] + 10, b + at[i] + 10, 2);
	}
	return memcmp(a, b, len) == 0;
}
