/* SPDX-License-Identifier: Apache-2.0 */
/** What most packets are, recognised in a few instructions. Worker threads; pure functions that change nothing but the key they fill.
 *
 * A plain packet has one segment and nothing left to compute; IPv4 without options or IPv6 without extension headers,
 * whole, with a TTL that survives a hop, right lengths and checksum; UDP, or TCP without SYN, FIN and RST. Everything else is "not
 * plain", which says nothing about it: packet.c parses it from the start and finds the reason to drop it, if there is
 * one. Addresses are not looked at: they are part of the flow key, and a flow exists only for addresses that packet.c let
 * pass. So a plain packet whose flow is known is always one that packet.c accepts, with the same key and length
 * (tests/unit/test_plain.c and tests/fuzz/packet.c hold the two together); any other is parsed again.
 *
 * Padding behind a plain packet is not trimmed: its length says where it ends.
 */
#ifndef DATAPLANE_PLAIN_H
#define DATAPLANE_PLAIN_H

#include "config/address.h"
#include "dataplane/packet.h"

#include <netinet/in.h>
#include <string.h>

/** The first eight bytes of a frame for `mac` from any unicast source, under PLAIN_L2_MASK. */
#define PLAIN_L2_MASK RTE_LE64(UINT64_C(0x0001ffffffffffff))
static inline uint64_t plain_l2(const struct mac_addr *mac)
{
	uint64_t word = 0;

	memcpy(&word, mac->bytes, sizeof(mac->bytes));
	return word;
}

/** TCP flags that change a connection: conntrack.h. */
#define PLAIN_TCP_CONTROL (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG)

/** One segment, and no sender asked for anything to be computed. */
static __rte_always_inline bool plain_mbuf(const struct rte_mbuf *m)
{
	return likely(m->nb_segs == 1) &&
	       likely((m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_L4_MASK)) == 0);
}

/** TCP or UDP header at l4 with `len` bytes, at least 8. */
static __rte_always_inline bool plain_l4(const uint8_t *l4, uint32_t len, uint8_t proto)
{
	if (likely(proto == IPPROTO_UDP)) {
		const uint32_t n = (uint32_t)l4[4] << 8 | l4[5];

		return n >= sizeof(struct rte_udp_hdr) && n <= len;
	}
	if (likely(proto == IPPROTO_TCP)) {
		uint32_t n;

		if (len < sizeof(struct rte_tcp_hdr))
			return false;
		n = (uint32_t)(l4[12] >> 4) * 4;
		return n >= sizeof(struct rte_tcp_hdr) && n <= len &&
		       (l4[13] & PLAIN_TCP_CONTROL) == 0;
	}
	return false;
}

/** RFC 1071 over an IPv4 header without options. End-around carries keep the residue modulo 0xffff: see
 * ip4_checksum_good in packet.c. */
static __rte_always_inline bool plain_sum4(const uint8_t *ip)
{
	uint64_t a, b;
	uint32_t c;

	memcpy(&a, ip, sizeof(a));
	memcpy(&b, ip + 8, sizeof(b));
	memcpy(&c, ip + 16, sizeof(c));
	a += b;
	a += a < b;
	a += c;
	a += a < c;
	return a % 0xffffu == 0;
}

/** The last word of a key, made in a register: a load of two narrower stores would wait for both to reach the cache. */
static __rte_always_inline uint64_t plain_ports_zone(
	const uint8_t *l4, uint32_t zone, uint8_t proto)
{
	const uint64_t zone_proto = zone << 8 | proto;
	uint32_t word;

	memcpy(&word, l4, sizeof(word));
#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
	return zone_proto << 32 | word;
#else
	return (uint64_t)word << 32 | zone_proto;
#endif
}

/** An IPv4 header at `ip`, `avail` bytes of frame from there on. Fills *key.
 * @return the length of the IP packet, 0 when it is not plain. */
static __rte_always_inline uint16_t plain_parse4(
	const uint8_t *ip, uint32_t avail, uint32_t zone, struct flow_key4 *key)
{
	uint64_t first, words[2];
	uint32_t len;
	uint8_t proto;

	if (unlikely(avail < sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr)))
		return 0;
	memcpy(&first, ip, sizeof(first));
	/* Version 4, five words, neither MF nor an offset. */
	if (unlikely((first & RTE_LE64(UINT64_C(0xff3f0000000000ff))) != RTE_LE64(UINT64_C(0x45))))
		return 0;
	len = (uint32_t)ip[2] << 8 | ip[3];
	if (unlikely(len > avail ||
		     len < sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr) || ip[8] < 2))
		return 0;
	proto = ip[9];
	if (unlikely(
		    !plain_sum4(ip) || !plain_l4(ip + sizeof(struct rte_ipv4_hdr),
					       len - (uint32_t)sizeof(struct rte_ipv4_hdr), proto)))
		return 0;
	memcpy(&words[0], ip + 12, sizeof(words[0]));
	words[1] = plain_ports_zone(ip + sizeof(struct rte_ipv4_hdr), zone, proto);
	memcpy(key, words, sizeof(*key));
	return (uint16_t)len;
}

/** The same for IPv6. */
static __rte_always_inline uint16_t plain_parse6(
	const uint8_t *ip, uint32_t avail, uint32_t zone, struct flow_key6 *key)
{
	uint64_t words[5];
	uint32_t len;
	uint8_t proto;

	if (unlikely(avail < sizeof(struct rte_ipv6_hdr) + sizeof(struct rte_udp_hdr)))
		return 0;
	len = (uint32_t)sizeof(struct rte_ipv6_hdr) + ((uint32_t)ip[4] << 8 | ip[5]);
	proto = ip[6];
	if (unlikely(ip[0] >> 4 != 6 || len > avail || len >= UINT16_MAX ||
		     len < sizeof(struct rte_ipv6_hdr) + sizeof(struct rte_udp_hdr) || ip[7] < 2))
		return 0;
	if (unlikely(!plain_l4(ip + sizeof(struct rte_ipv6_hdr),
		    len - (uint32_t)sizeof(struct rte_ipv6_hdr), proto)))
		return 0;
	memcpy(words, ip + 8, 32);
	words[4] = plain_ports_zone(ip + sizeof(struct rte_ipv6_hdr), zone, proto);
	memcpy(key->src, ip + 8, 32);
	memcpy(&key->sport, &words[4], sizeof(words[4]));
	return (uint16_t)len;
}

#endif
