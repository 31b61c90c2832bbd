/* SPDX-License-Identifier: Apache-2.0 */
/** Decapsulation of plain tunnel packets: what the outer headers of an accepted packet had in them that is the same for
 * all peers (addresses of this node, ports, protocol, VTEP MAC) is kept as 64 or 128 bytes and a mask, and the next
 * packet is compared with it at once. What differs (peer, VNI, lengths, checksum, ECN) is looked at a packet.
 * Everything that does not match goes the long way, which keeps a new memo when it accepts.
 *
 * A memo belongs to one worker and is good for one tunnel table (by serial) and one port.
 */
#ifndef DATAPLANE_TUNNEL_MEMO_H
#define DATAPLANE_TUNNEL_MEMO_H

#include "dataplane/plain.h"
#include "dataplane/tunnel.h"

#define TUNNEL_MEMO_V4 64 /* bytes compared for an IPv4 underlay: up to the inner Ethernet header's end */
#define TUNNEL_MEMO_V6 96 /* for IPv6 */

struct tunnel_memo {
	uint64_t serial; /* of the tunnel table; 0 = nothing kept */
	uint16_t port;
	uint8_t inner_l2; /* of the inner packet: 14, or 0 for IP-in-IP */
	uint8_t inner_ip; /* offset of the inner IP header */
	bool outer_v6;
	bool udp;
	uint8_t inner_version; /* IP-in-IP: 4 or 6, as the outer protocol says; VXLAN: 0, the inner Ethernet header says */
	uint8_t want[TUNNEL_MEMO_V6] __rte_aligned(64);
	uint8_t mask[TUNNEL_MEMO_V6] __rte_aligned(64);
};

/** One a family and protocol, so that a mix of encapsulations keeps one of each. */
struct tunnel_memos {
	struct tunnel_memo memo[2][3];
};

/** The memo for a frame of at least TUNNEL_MEMO_V4 bytes, NULL when it is in no tunnel. */
static __rte_always_inline struct tunnel_memo *tunnel_memo_for(struct tunnel_memos *memos, const uint8_t *frame)
{
	const bool v6 = frame[12] != 0x08;
	const uint8_t proto = frame[RTE_ETHER_HDR_LEN + (v6 ? 6 : 9)];

	switch (proto) {
	case IPPROTO_UDP:
		return &memos->memo[v6][0];
	case IPPROTO_IPIP:
		return &memos->memo[v6][1];
	case IPPROTO_IPV6:
		return &memos->memo[v6][2];
	default:
		return NULL;
	}
}

/** Keep the outer headers of a packet that was accepted: `frame` is where it began, `inner_off` what was stripped,
 * `p` its outer headers as parsed. Not everything can be kept: an outer UDP checksum, options, no Ethernet header. */
void tunnel_memo_keep(struct tunnel_memo *memo, const struct tunnel_table *table, uint16_t port,
	const uint8_t *frame, uint32_t inner_off, const struct pkt *outer);

/** 64-byte vector, or what the instruction set makes of it. Unaligned and may alias. */
typedef uint64_t tunnel_memo_vector __attribute__((vector_size(32), aligned(1), may_alias));

static __rte_always_inline bool tunnel_memo_equal(const struct tunnel_memo *memo, const uint8_t *frame, unsigned bytes)
{
	tunnel_memo_vector differ = { 0 };

	for (unsigned i = 0; i < bytes; i += sizeof(differ))
		differ |= (*(const tunnel_memo_vector *)(frame + i) ^ *(const tunnel_memo_vector *)(memo->want + i)) &
			*(const tunnel_memo_vector *)(memo->mask + i);
	return (differ[0] | differ[1] | differ[2] | differ[3]) == 0;
}

/** Strip a plain tunnel packet that the memo knows and find the plain packet inside, zone ZONE_TUNNEL. Changes nothing
 * but *p4 or *p6 (the one of its family gets the key) when it returns 0. Otherwise m starts at the inner Ethernet (or IP) header afterwards, and its lengths are the
 * frame's rest; *ip is the inner IP header, *version its version, the result its packet's length. */
static __rte_always_inline uint16_t tunnel_memo_decap(const struct tunnel_memo *memo, const struct tunnel_table *table,
	struct rte_mbuf *m, struct pkt *p4, struct pkt *p6, uint8_t **ip,
	unsigned *version)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *inner = frame + memo->inner_ip;
	const uint32_t l3 = memo->outer_v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	const uint32_t off = (uint32_t)memo->inner_ip - RTE_ETHER_HDR_LEN; /* outer IP header to inner IP header */
	const uint8_t *outer = frame + RTE_ETHER_HDR_LEN, *l4;
	const struct tunnel_peer *peer;
	uint32_t len;
	uint16_t inner_len;
	uint8_t ecn, inner_ecn, proto;

	if (unlikely(rte_pktmbuf_data_len(m) < (memo->outer_v6 ? TUNNEL_MEMO_V6 : TUNNEL_MEMO_V4) ||
		    !tunnel_memo_equal(memo, frame, memo->outer_v6 ? TUNNEL_MEMO_V6 : TUNNEL_MEMO_V4)))
		return 0;
	if (memo->outer_v6) {
		len = (uint32_t)sizeof(struct rte_ipv6_hdr) + ((uint32_t)outer[4] << 8 | outer[5]);
		ecn = outer[1] >> 4 & 3;
		peer = tunnel_peer_find(table, IP_V6, outer + 8);
	} else {
		if (unlikely(!plain_sum4(outer)))
			return 0;
		len = (uint32_t)outer[2] << 8 | outer[3];
		ecn = outer[1] & 3;
		peer = tunnel_peer_find(table, IP_V4, outer + 12);
	}
	if (unlikely(peer == NULL || len > rte_pktmbuf_data_len(m) - (uint32_t)RTE_ETHER_HDR_LEN || len < off))
		return 0;
	*version = memo->inner_version;
	if (memo->udp) {
		const uint8_t *udp = outer + l3;
		uint32_t vni;
		uint16_t type;

		memcpy(&vni, udp + 12, sizeof(vni)); /* and a reserved byte */
		memcpy(&type, inner - 2, sizeof(type));
		if (unlikely((uint32_t)(udp[4] << 8 | udp[5]) != len - l3 || rte_be_to_cpu_32(vni) >> 8 != peer->vni))
			return 0;
		*version = type == RTE_BE16(RTE_ETHER_TYPE_IPV4) ? 4 : type == RTE_BE16(RTE_ETHER_TYPE_IPV6) ? 6 : 0;
	}
	if (*version == 4) {
		inner_len = plain_parse4(inner, len - off, ZONE_TUNNEL, p4);
		inner_ecn = inner[1] & 3;
		proto = inner[9];
		l4 = inner + sizeof(struct rte_ipv4_hdr);
	} else if (likely(*version == 6)) {
		inner_len = plain_parse6(inner, len - off, ZONE_TUNNEL, p6);
		inner_ecn = inner[1] >> 4 & 3;
		proto = inner[6];
		l4 = inner + sizeof(struct rte_ipv6_hdr);
	} else {
		return 0;
	}
	/* RFC 6040 section 4.2: nothing changes when the outer field says nothing, or the same. */
	if (unlikely(inner_len == 0 || (ecn != 0 && ecn != inner_ecn)))
		return 0;
	/* Perhaps a tunnel in a tunnel. */
	if (unlikely(proto == IPPROTO_UDP && tunnel_is_vxlan_port(table, *(const unaligned_uint16_t *)(l4 + 2))))
		return 0;
	*ip = inner;
	{
		const uint16_t stripped = (uint16_t)(memo->inner_ip - memo->inner_l2);

		m->data_off = (uint16_t)(m->data_off + stripped);
		m->data_len = (uint16_t)(m->data_len - stripped);
		m->pkt_len -= stripped;
	}
	tunnel_strip_offloads(m);
	return inner_len;
}

#endif
