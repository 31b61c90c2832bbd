/* SPDX-License-Identifier: Apache-2.0 */
/** Decapsulation of plain tunnel packets: what the outer headers of an accepted packet had in them that does not differ a
 * packet (addresses, ports, protocol, VNI, VTEP MAC) is kept as bytes and a mask, and later packets of the peer are
 * compared with it at once. What differs (lengths, checksum, ECN) is looked at a packet. Everything that does not match
 * goes the long way, which keeps a new memo when it accepts.
 *
 * Memos belong to one worker and are good for one tunnel table (by serial) and one port. Which peer is in which place
 * follows from the outer source address; peers that share a place displace each other.
 */
#ifndef DATAPLANE_TUNNEL_MEMO_H
#define DATAPLANE_TUNNEL_MEMO_H

#include "dataplane/plain.h"
#include "dataplane/tunnel.h"

#define TUNNEL_MEMO_PLACES 64
#define TUNNEL_MEMO_V4 \
	64 /* bytes compared for an IPv4 underlay: up to the inner Ethernet header's end */
#define TUNNEL_MEMO_V6 96 /* for IPv6 */

enum tunnel_shape { /* of the headers before the inner packet; 0 = nothing kept */
	TUNNEL_NONE,
	TUNNEL_VXLAN4,
	TUNNEL_VXLAN6,
	TUNNEL_IPIP4, /* outer IPv4, either version inside */
	TUNNEL_IPIP6,
};

struct tunnel_memo {
	uint8_t want[TUNNEL_MEMO_V6] __rte_aligned(64);
	uint8_t shape;	  /* enum tunnel_shape */
	uint8_t inner_l2; /* of the inner packet: 14, or 0 for IP-in-IP */
	uint8_t inner_ip; /* offset of the inner IP header */
	uint8_t inner_version; /* IP-in-IP: 4 or 6, as the outer protocol says; VXLAN: 0, the inner Ethernet header says */
	uint8_t mask[TUNNEL_MEMO_V6] __rte_aligned(64);
};

struct tunnel_memos {
	uint64_t serial; /* of the tunnel table */
	uint16_t port;
	struct tunnel_memo memo[TUNNEL_MEMO_PLACES];
};

/** Once a burst: forget what was kept for another table or port. */
static inline void tunnel_memos_check(
	struct tunnel_memos *memos, const struct tunnel_table *table, uint16_t port)
{
	if (likely(memos->serial == table->serial && memos->port == port))
		return;
	for (unsigned i = 0; i < TUNNEL_MEMO_PLACES; i++)
		memos->memo[i].shape = TUNNEL_NONE;
	memos->serial = table->serial;
	memos->port = port;
}

/** The place of a frame's peer. Frames have at least TUNNEL_MEMO_V4 bytes. */
static __rte_always_inline struct tunnel_memo *tunnel_memo_of(
	struct tunnel_memos *memos, const uint8_t *frame)
{
	/* The last byte of the outer source: of an IPv6 address, or of an IPv4 address. */
	const uint8_t low = frame[12] == 0x86 ? frame[37] : frame[29];

	return &memos->memo[low % TUNNEL_MEMO_PLACES];
}

/** Keep the outer headers of a packet that was accepted: `frame` is where it began, `inner_off` what was stripped,
 * `outer` its outer headers as parsed. Not everything can be kept: an outer UDP checksum, options, no Ethernet header. */
void tunnel_memo_keep(struct tunnel_memo *memo, const uint8_t *frame, uint32_t inner_off,
	const struct pkt *outer);

/** What the instruction set makes of 64 bytes at once. Unaligned, and may alias. */
typedef uint64_t tunnel_memo_vector __attribute__((vector_size(32), aligned(1), may_alias));

static __rte_always_inline bool tunnel_memo_equal(
	const struct tunnel_memo *memo, const uint8_t *frame, unsigned bytes)
{
	tunnel_memo_vector differ = { 0 };

	for (unsigned i = 0; i < bytes; i += sizeof(differ))
		differ |= (*(const tunnel_memo_vector *)(frame + i) ^
				  *(const tunnel_memo_vector *)(memo->want + i)) &
			  *(const tunnel_memo_vector *)(memo->mask + i);
	return (differ[0] | differ[1] | differ[2] | differ[3]) == 0;
}

/** Drop the outer headers, once everything is known to be right. */
static __rte_always_inline void tunnel_memo_strip(struct rte_mbuf *m, uint16_t bytes)
{
	m->data_off = (uint16_t)(m->data_off + bytes);
	m->data_len = (uint16_t)(m->data_len - bytes);
	m->pkt_len -= bytes;
	tunnel_strip_offloads(m);
}

/** Strip a plain tunnel packet that the memo knows and find the plain packet inside, zone ZONE_TUNNEL. Changes nothing
 * but *key4 or *key6 (of its family) when it returns 0. Otherwise m starts at the inner Ethernet (or IP)
 * header afterwards, and its lengths are the frame's rest; *ip is the inner IP header, *version its version, the result
 * its packet's length. The frame has at least TUNNEL_MEMO_V4 bytes in one segment. */
static __rte_always_inline uint16_t tunnel_memo_decap(const struct tunnel_memo *memo,
	const struct tunnel_table *table, struct rte_mbuf *m, struct flow_key4 *key4,
	struct flow_key6 *key6, uint8_t **ip, unsigned *version)
{
	const bool outer_v6 = memo->shape == TUNNEL_VXLAN6 || memo->shape == TUNNEL_IPIP6;
	const uint32_t l3 = outer_v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	const uint32_t off = (uint32_t)memo->inner_ip -
			     RTE_ETHER_HDR_LEN; /* outer IP header to inner IP header */
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *inner = frame + memo->inner_ip;
	const uint8_t *outer = frame + RTE_ETHER_HDR_LEN;
	uint16_t inner_len, port_be;
	uint8_t ecn, inner_ecn;
	bool udp;
	uint32_t len;

	if (unlikely(memo->shape == TUNNEL_NONE ||
		     (outer_v6 && rte_pktmbuf_data_len(m) < TUNNEL_MEMO_V6) ||
		     !tunnel_memo_equal(memo, frame, outer_v6 ? TUNNEL_MEMO_V6 : TUNNEL_MEMO_V4)))
		return 0;
	if (outer_v6) {
		len = (uint32_t)sizeof(struct rte_ipv6_hdr) + ((uint32_t)outer[4] << 8 | outer[5]);
		ecn = outer[1] >> 4 & 3;
	} else {
		if (unlikely(!plain_sum4(outer)))
			return 0;
		len = (uint32_t)outer[2] << 8 | outer[3];
		ecn = outer[1] & 3;
	}
	if (unlikely(len > rte_pktmbuf_data_len(m) - (uint32_t)RTE_ETHER_HDR_LEN || len < off))
		return 0;
	*version = memo->inner_version;
	if (*version == 0) {
		uint16_t type;

		memcpy(&type, inner - 2, sizeof(type));
		if (unlikely((uint32_t)(outer[l3 + 4] << 8 | outer[l3 + 5]) != len - l3))
			return 0;
		*version = type == RTE_BE16(RTE_ETHER_TYPE_IPV4)   ? 4
			   : type == RTE_BE16(RTE_ETHER_TYPE_IPV6) ? 6
								   : 0;
	}
	if (*version == 4) {
		inner_len = plain_parse4(inner, len - off, ZONE_TUNNEL, key4);
		if (unlikely(inner_len == 0))
			return 0;
		inner_ecn = inner[1] & 3;
		udp = inner[9] == IPPROTO_UDP;
		port_be = key4->dport;
	} else if (likely(*version == 6)) {
		inner_len = plain_parse6(inner, len - off, ZONE_TUNNEL, key6);
		if (unlikely(inner_len == 0))
			return 0;
		inner_ecn = inner[1] >> 4 & 3;
		udp = inner[6] == IPPROTO_UDP;
		port_be = key6->dport;
	} else {
		return 0;
	}
	/* RFC 6040 section 4.2: nothing changes when the outer field says nothing, or the same. */
	if (unlikely(ecn != 0 && ecn != inner_ecn))
		return 0;
	/* Perhaps a tunnel in a tunnel. */
	if (unlikely(udp && tunnel_is_vxlan_port(table, port_be)))
		return 0;
	*ip = inner;
	tunnel_memo_strip(m, (uint16_t)(memo->inner_ip - memo->inner_l2));
	return inner_len;
}

#endif
