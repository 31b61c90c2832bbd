/* SPDX-License-Identifier: Apache-2.0 */
/** Where a fragment belongs: read from its headers, which pkt_parse_* has checked. Private to
 * the fragment files; pure functions, any thread.
 */
#ifndef DATAPLANE_FRAGMENT_INFO_H
#define DATAPLANE_FRAGMENT_INFO_H

#include "dataplane/packet.h"

#include <netinet/in.h>
#include <rte_jhash.h>
#include <string.h>

#define FRAGMENT_TIMEOUT4_MS 30000u /* RFC 791 section 3.2, RFC 1122 section 3.3.2 */
#define FRAGMENT_TIMEOUT6_MS 60000u /* RFC 8200 section 4.5 */

/** What all fragments of a packet have in common. Compared as bytes. The protocol counts for
 * IPv4 only. */
struct fragment_key {
	uint8_t src[16], dst[16];
	uint32_t id; /* network order */
	uint32_t zone;
	uint8_t family; /* 4 or 6 */
	uint8_t proto;	/* IPv4; else 0 */
	uint8_t reserved[2];
};
static_assert(sizeof(struct fragment_key) == 44, "no padding");

struct fragment_info {
	/* The fragment's part in bytes of the whole packet's payload; end is exclusive. */
	uint32_t start, end;
	uint32_t header;  /* from the mbuf's data to that part: L2, IP, IPv6 fragment header */
	uint32_t next_at; /* IPv6: offset of the "next header" byte that says "fragment" */
	bool more;
};

/** Fill key and info of a packet with PKT_FRAGMENT. @return false when its headers are not as
 * they were parsed. */
static inline bool fragment_info_get(const struct rte_mbuf *m, const struct pkt *p,
	struct fragment_key *key, struct fragment_info *info)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l2_len);
	uint32_t off = sizeof(struct rte_ipv6_hdr), next_at = offsetof(struct rte_ipv6_hdr, proto);
	uint32_t word;

	memset(key, 0, sizeof(*key));
	if ((uint32_t)p->l2_len + p->l3_len > rte_pktmbuf_data_len(m))
		return false;
	if (!(p->flags & PKT_V6)) {
		const struct rte_ipv4_hdr *ip4 = (const struct rte_ipv4_hdr *)ip;

		word = rte_be_to_cpu_16(ip4->fragment_offset);
		memcpy(key->src, &ip4->src_addr, 4);
		memcpy(key->dst, &ip4->dst_addr, 4);
		key->id = ip4->packet_id;
		key->zone = p->key4.zone_proto >> 8;
		key->family = 4;
		key->proto = ip4->next_proto_id;
		info->more = word & RTE_IPV4_HDR_MF_FLAG;
		info->start = (word & RTE_IPV4_HDR_OFFSET_MASK) * 8;
		info->end = info->start + p->ip_len - p->l3_len;
		info->header = (uint32_t)p->l2_len + p->l3_len;
		info->next_at = 0;
		return p->ip_len > p->l3_len;
	}
	for (uint8_t next = ip[next_at]; next != IPPROTO_FRAGMENT; next = ip[next_at]) {
		if (off + 8 > p->l3_len)
			return false;
		next_at = off;
		off += next == IPPROTO_AH ? (ip[off + 1] + 2u) * 4 : (ip[off + 1] + 1u) * 8;
	}
	if (off + 8 > p->l3_len || off + 8 >= p->ip_len)
		return false;
	memcpy(key->src, ip + offsetof(struct rte_ipv6_hdr, src_addr), 32);
	memcpy(&key->id, ip + off + 4, sizeof(key->id));
	key->zone = p->key6.zone_proto >> 8;
	key->family = 6;
	word = (uint32_t)ip[off + 2] << 8 | ip[off + 3];
	info->more = word & 1;
	info->start = word & 0xfff8;
	info->end = info->start + p->ip_len - (off + 8);
	info->header = p->l2_len + off + 8;
	info->next_at = p->l2_len + next_at;
	return true;
}

/** The seed is a secret of the table: identifications are chosen by others. */
static inline uint32_t fragment_key_hash(const struct fragment_key *key, uint32_t seed)
{
	return rte_jhash(key, sizeof(*key), seed);
}

#endif
