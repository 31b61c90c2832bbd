/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/udp_split.h"

#include "dataplane/frame_copy.h"
#include "dataplane/packet.h"
#include "dataplane/udp_merge.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

/** Bytes up to the UDP header of a whole UDP packet, 0 for any other. */
static uint16_t l4_of(const uint8_t *frame, uint32_t len, bool *v6)
{
	const uint8_t *ip = frame + RTE_ETHER_HDR_LEN;
	uint16_t type, l3;

	if (len < RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr))
		return 0;
	memcpy(&type, frame + 12, sizeof(type));
	*v6 = type == RTE_BE16(RTE_ETHER_TYPE_IPV6);
	if (*v6) {
		if (len < RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr) || ip[0] >> 4 != 6 ||
			ip[6] != IPPROTO_UDP)
			return 0;
		return RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr);
	}
	l3 = (uint16_t)((ip[0] & 15u) * 4);
	if (type != RTE_BE16(RTE_ETHER_TYPE_IPV4) || ip[0] >> 4 != 4 ||
		l3 < sizeof(struct rte_ipv4_hdr) || ip[9] != IPPROTO_UDP || (ip[6] & 0x3f) != 0 ||
		ip[7] != 0)
		return 0;
	return (uint16_t)(RTE_ETHER_HDR_LEN + l3);
}

bool udp_split_begin(struct udp_split *s, const uint8_t *frame, uint32_t len,
	const struct virtio_net_hdr *hdr, bool checksum)
{
	const uint16_t l4 = l4_of(frame, len, &s->v6),
		       headers = (uint16_t)(l4 + sizeof(struct rte_udp_hdr));

	s->left = 0;
	if (l4 == 0 || headers >= len || hdr->gso_type != VIRTIO_NET_HDR_GSO_UDP_L4 ||
		hdr->gso_size == 0 || !(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
		hdr->csum_start != l4 ||
		hdr->csum_offset != offsetof(struct rte_udp_hdr, dgram_cksum) ||
		headers - RTE_ETHER_HDR_LEN + hdr->gso_size > UINT16_MAX)
		return false;
	memcpy(s->header, frame, headers);
	s->payload = frame + headers;
	s->left = len - headers;
	s->l4 = l4;
	s->headers = headers;
	s->segment = hdr->gso_size;
	s->index = 0;
	s->checksum = checksum;
	return true;
}

/** The headers of the next packet, without its UDP checksum. */
static void write_headers(const struct udp_split *s, uint16_t payload, uint8_t *to)
{
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(to + s->l4);

	memcpy(to, s->header, s->headers);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(payload + sizeof(*udp)));
	udp->dgram_cksum = 0;
	if (s->v6) {
		((struct rte_ipv6_hdr *)(to + RTE_ETHER_HDR_LEN))->payload_len = udp->dgram_len;
	} else {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(to + RTE_ETHER_HDR_LEN);
		const uint16_t l3 = (uint16_t)(s->l4 - RTE_ETHER_HDR_LEN);

		ip->total_length =
			rte_cpu_to_be_16((uint16_t)(s->headers - RTE_ETHER_HDR_LEN + payload));
		ip->packet_id =
			rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(ip->packet_id) + s->index));
		ip->hdr_checksum = 0;
		ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, l3);
	}
}

static void finish_checksum(const struct udp_split *s, struct rte_mbuf *m)
{
	struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, s->l4);
	const void *ip = rte_pktmbuf_mtod_offset(m, const void *, RTE_ETHER_HDR_LEN);
	const uint16_t pseudo = s->v6 ? rte_ipv6_phdr_cksum(ip, 0) : rte_ipv4_phdr_cksum(ip, 0);
	const uint16_t sum =
		(uint16_t)~pkt_checksum(m, s->l4, rte_pktmbuf_pkt_len(m) - s->l4, pseudo);

	udp->dgram_cksum = sum == 0 ? 0xffff : sum;
}

struct rte_mbuf *udp_split_next(
	struct udp_split *s, struct rte_mempool *pool, struct rte_mempool *large_pool)
{
	const uint16_t payload = (uint16_t)RTE_MIN(s->left, (uint32_t)s->segment);
	uint8_t headers[UDP_SPLIT_HEADERS];
	struct rte_mbuf *m;

	write_headers(s, payload, headers);
	m = frame_copy(pool, large_pool, headers, s->headers, s->payload, payload);
	if (unlikely(m == NULL))
		return NULL;
	if (s->checksum)
		finish_checksum(s, m);
	s->payload += payload;
	s->left -= payload;
	s->index++;
	return m;
}
