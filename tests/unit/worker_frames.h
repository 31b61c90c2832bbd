/* SPDX-License-Identifier: Apache-2.0 */
/** Frames for tests of the packet path: made field by field with naive sums, and read back the same slow way. */
#ifndef TESTS_UNIT_WORKER_FRAMES_H
#define TESTS_UNIT_WORKER_FRAMES_H

#include "tests/unit/worker_fixture.h"

#define FRAME_ROOM 66000

struct ask {
	const char *src, *dst;
	uint8_t proto;	       /* 0 = UDP; IPPROTO_ICMP and _ICMPV6 are echo requests */
	uint16_t sport, dport; /* ICMP: identifier in sport */
	uint8_t ttl;	       /* 0 = 64 */
	uint8_t tos;
	bool df, syn; /* syn: TCP SYN with an MSS of 1460 */
	uint16_t payload;
	uint16_t id,
		fragment; /* IPv4 header words; a fragment's checksums past IP are left alone */
};

struct frame {
	uint8_t bytes[FRAME_ROOM];
	uint32_t len; /* with Ethernet header */
	bool v6;
	uint32_t l3; /* bytes of IP header */
};

static inline void put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}
static inline uint32_t get16(const uint8_t *from)
{
	return (uint32_t)from[0] << 8 | from[1];
}
static inline void put_sum(uint8_t *field, uint16_t sum)
{
	memcpy(field, &sum, 2);
}

/** Sum of the pseudo header, for `len` bytes of L4. */
static inline uint32_t pseudo_sum(const uint8_t *h, uint8_t proto, uint32_t len)
{
	const bool v6 = h[0] >> 4 == 6;
	uint8_t pseudo[40] = { 0 };

	memcpy(pseudo, h + (v6 ? 8 : 12), v6 ? 32 : 8);
	put16(pseudo + 32, len >> 16);
	put16(pseudo + 34, len);
	pseudo[39] = proto;
	return naive_sum(pseudo, sizeof(pseudo));
}

/** Folded sum of L4 with its pseudo header; 0xffff when its checksum is right. */
static inline uint16_t l4_sum(const uint8_t *h, const uint8_t *l4, uint8_t proto, uint32_t len)
{
	uint32_t sum = naive_sum(l4, len);

	if (proto != IPPROTO_ICMP)
		sum += pseudo_sum(h, proto, len);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static inline void sum_ip4(uint8_t *h)
{
	put16(h + 10, 0);
	put_sum(h + 10, (uint16_t)~naive_sum(h, (h[0] & 15u) * 4));
}

static inline uint8_t *put_ether(
	uint8_t *to, const struct mac_addr *dst, const struct mac_addr *src, bool v6)
{
	memcpy(to, dst->bytes, 6);
	memcpy(to + 6, src->bytes, 6);
	put16(to + 12, v6 ? 0x86dd : 0x0800);
	return to + ETHER;
}

/** An IP header with everything but addresses' owners checked. @return bytes of header. */
static inline uint32_t put_ip(uint8_t *h, const struct ask *a, uint8_t proto, uint32_t l4_len)
{
	struct ip_addr src = ip(a->src), dst = ip(a->dst);
	const uint8_t ttl = a->ttl != 0 ? a->ttl : 64;

	if (src.family == IP_V6) {
		memset(h, 0, 40);
		put16(h, 0x6000u | (uint32_t)a->tos << 4);
		put16(h + 4, l4_len);
		h[6] = proto;
		h[7] = ttl;
		memcpy(h + 8, src.bytes, 16);
		memcpy(h + 24, dst.bytes, 16);
		return 40;
	}
	memset(h, 0, 20);
	h[0] = 0x45;
	h[1] = a->tos;
	put16(h + 2, 20 + l4_len);
	put16(h + 4, a->id);
	put16(h + 6, a->fragment | (a->df ? 0x4000u : 0));
	h[8] = ttl;
	h[9] = proto;
	memcpy(h + 12, src.bytes, 4);
	memcpy(h + 16, dst.bytes, 4);
	sum_ip4(h);
	return 20;
}

/** L4 header and payload behind the IP header at h. */
static inline void put_l4(
	uint8_t *h, uint8_t *l4, const struct ask *a, uint8_t proto, uint32_t len, uint32_t header)
{
	uint8_t *sum = l4 + (proto == IPPROTO_TCP ? 16 : proto == IPPROTO_UDP ? 6 : 2);

	memset(l4, 0, header);
	for (uint32_t i = header; i < len; i++)
		l4[i] = (uint8_t)(i * 7 + a->sport);
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP) {
		put16(l4, a->sport);
		put16(l4 + 2, a->dport);
	}
	if (proto == IPPROTO_TCP) {
		put16(l4 + 4, 0x1234);
		l4[12] = (uint8_t)(header / 4 << 4);
		l4[13] = a->syn ? 0x02 : 0x18;
		if (a->syn) {
			l4[20] = 2;
			l4[21] = 4;
			put16(l4 + 22, 1460);
		}
	} else if (proto == IPPROTO_UDP) {
		put16(l4 + 4, len);
	} else {
		l4[0] = proto == IPPROTO_ICMP ? 8 : 128;
		put16(l4 + 4, a->sport);
		put16(l4 + 6, 1);
	}
	put_sum(sum, (uint16_t)~l4_sum(h, l4, proto, len));
}

/** A frame as the station on that port sends it. */
static inline void frame_make(struct frame *f, uint16_t in, const struct ask *a)
{
	const uint8_t proto = a->proto != 0 ? a->proto : IPPROTO_UDP;
	const uint32_t header = proto == IPPROTO_TCP ? (a->syn ? 24 : 20) : 8;
	uint8_t *h;

	f->v6 = ip(a->src).family == IP_V6;
	h = put_ether(f->bytes, &node_ports[in].port.mac, &station[in], f->v6);
	f->l3 = put_ip(h, a, proto, header + a->payload);
	put_l4(h, h + f->l3, a, proto, header + a->payload, header);
	f->len = ETHER + f->l3 + header + a->payload;
}

/** Put an IP packet (the frame without its Ethernet header) into a tunnel from node-b to this node. */
static inline void frame_encapsulate(struct frame *f, enum encap encap, const char *src,
	const char *dst, uint32_t vni, uint16_t port)
{
	static uint8_t inner[FRAME_ROOM];
	const uint32_t len = f->len - ETHER, overhead = encap == ENCAP_VXLAN ? 8 + 8 + ETHER : 0;
	const struct ask outer = { .src = src, .dst = dst };
	const uint8_t proto = encap == ENCAP_VXLAN ? IPPROTO_UDP
			      : f->v6		   ? IPPROTO_IPV6
						   : IPPROTO_IPIP;
	const bool v6 = ip(src).family == IP_V6;
	uint8_t *h = put_ether(f->bytes, &uplink_mac, &peer_mac, v6), *at;
	const bool inner6 = f->v6;

	memcpy(inner, f->bytes + ETHER, len);
	at = h + put_ip(h, &outer, proto, overhead + len);
	if (encap == ENCAP_VXLAN) {
		put16(at, 50000);
		put16(at + 2, port);
		put16(at + 4, overhead + len);
		put16(at + 6, 0);
		memset(at + 8, 0, 8);
		at[8] = 0x08;
		put16(at + 12, vni >> 8);
		at[14] = (uint8_t)vni;
		at = put_ether(at + 16, &vtep_mac, &peer_vtep, inner6);
	}
	memcpy(at, inner, len);
	f->len = (uint32_t)(at - f->bytes) + len;
}

/** What forwarding does to an IP header. */
static inline void lower_ttl(uint8_t *h)
{
	if (h[0] >> 4 == 6) {
		h[7]--;
		return;
	}
	h[8]--;
	sum_ip4(h);
}

static inline void frame_send(const struct frame *f, uint16_t in, uint32_t segment)
{
	send_bytes(in, f->bytes, f->len, segment);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static inline bool ip_sound(const uint8_t *h, uint32_t len);

static inline bool ether_sound(const uint8_t *frame, uint32_t len)
{
	const uint32_t type = len >= ETHER ? get16(frame + 12) : 0;

	return (type == 0x0800 || type == 0x86dd) &&
	       frame[ETHER] >> 4 == (type == 0x0800 ? 4 : 6) &&
	       ip_sound(frame + ETHER, len - ETHER);
}

static inline bool udp_sound(const uint8_t *h, const uint8_t *l4, uint32_t len)
{
	const uint32_t port = get16(l4 + 2);

	if (len < 8 || get16(l4 + 4) != len)
		return false;
	if (port == 4789 || port == 8472)
		return l4[8] == 0x08 && l4[15] == 0 && ether_sound(l4 + 16, len - 16);
	return l4_sum(h, l4, IPPROTO_UDP, len) == 0xffff;
}

/** Every length and checksum of a whole packet, tunnels included, is right and there is nothing behind it. */
static inline bool ip_sound(const uint8_t *h, uint32_t len)
{
	const bool v6 = h[0] >> 4 == 6;
	const uint32_t l3 = v6 ? 40 : (h[0] & 15u) * 4;
	const uint8_t *l4 = h + l3;
	const uint8_t proto = v6 ? h[6] : h[9];

	if (len < l3 || (v6 ? 40 + get16(h + 4) : get16(h + 2)) != len)
		return false;
	if (!v6 && naive_sum(h, l3) != 0xffff)
		return false;
	if (!v6 && (get16(h + 6) & 0x3fff) != 0)
		return true;
	switch (proto) {
	case IPPROTO_UDP:
		return udp_sound(h, l4, len - l3);
	case IPPROTO_TCP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return l4_sum(h, l4, proto, len - l3) == 0xffff;
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		return l4[0] >> 4 == (proto == IPPROTO_IPIP ? 4 : 6) && ip_sound(l4, len - l3);
	case IPPROTO_FRAGMENT:
		return len >= l3 + 8;
	default:
		return false;
	}
}

/** Packet i that went out of a port is sound. */
static inline bool sent_sound(uint16_t port, unsigned i, uint32_t *len)
{
	const uint8_t *got = sent_bytes(port, i, len);

	return ether_sound(got, *len);
}

/** The frame went out of `port` as its packet i: Ethernet to that station, TTL one less, all else as it was. */
static inline void expect_forwarded(
	const struct frame *f, uint16_t port, unsigned i, const struct mac_addr *to)
{
	static uint8_t want[FRAME_ROOM];
	const uint8_t *got;
	uint32_t len;

	got = sent_bytes(port, i, &len);
	memcpy(want, f->bytes, f->len);
	put_ether(want, to, &node_ports[port].port.mac, f->v6);
	lower_ttl(want + ETHER);
	CU_ASSERT_EQUAL(len, f->len);
	CU_ASSERT_EQUAL(memcmp(got, want, f->len), 0);
	CU_ASSERT_TRUE(ether_sound(got, len));
}

/** Hand over a frame as a pod's kernel does: checksum not finished, which is then so in *f too, and perhaps larger than the MTU (mss 0:
 * one packet). */
static inline void send_offloaded(struct frame *f, uint16_t in, uint16_t mss, uint32_t segment)
{
	const uint8_t proto = f->v6 ? f->bytes[ETHER + 6] : f->bytes[ETHER + 9];
	uint8_t *l4 = f->bytes + ETHER + f->l3;
	const uint32_t l4_len = f->len - ETHER - f->l3;
	struct rte_mbuf *m;

	put_sum(l4 + (proto == IPPROTO_TCP ? 16 : 6),
		(uint16_t)pseudo_sum(f->bytes + ETHER, proto, l4_len));
	m = mbuf_of(pool, f->bytes, f->len, segment);
	m->l2_len = ETHER;
	m->l3_len = f->l3 & 0x1ff;
	m->l4_len = proto == IPPROTO_TCP ? (l4[12] >> 4) * 4u & 0xff : 8;
	m->tso_segsz = mss;
	m->ol_flags |= f->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	m->ol_flags |= proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	if (mss != 0)
		m->ol_flags |= proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_SEG : RTE_MBUF_F_TX_UDP_SEG;
	burst(in, &m, 1);
}

#endif
