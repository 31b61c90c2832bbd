/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/udp_merge.h"

#include "dataplane/packet.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#define HEADERS4 (RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))
#define HEADERS6 (RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr) + sizeof(struct rte_udp_hdr))
static_assert(HEADERS6 == UDP_MERGE_HEADERS, "the largest");

static const struct rte_udp_hdr *udp_of(const struct rte_mbuf *m, uint16_t headers)
{
	return rte_pktmbuf_mtod_offset(
		m, const struct rte_udp_hdr *, headers - sizeof(struct rte_udp_hdr));
}

/** Headers in front of the payload of a whole, option-less UDP packet without padding, 0 for any other. */
static uint16_t headers_of(const struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *),
		      *ip = frame + RTE_ETHER_HDR_LEN;
	const uint32_t l3 = rte_pktmbuf_pkt_len(m) - RTE_ETHER_HDR_LEN;
	const uint64_t asked = m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG);
	uint16_t type;

	if (rte_pktmbuf_data_len(m) < HEADERS4 || (asked != 0 && asked != RTE_MBUF_F_TX_UDP_CKSUM))
		return 0;
	memcpy(&type, frame + 12, sizeof(type));
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4)) {
		const uint32_t udp = (uint32_t)ip[24] << 8 | ip[25];

		if (ip[0] == 0x45 && ((uint32_t)ip[2] << 8 | ip[3]) == l3 && (ip[6] & 0x3f) == 0 &&
			ip[7] == 0 && ip[9] == IPPROTO_UDP &&
			udp + sizeof(struct rte_ipv4_hdr) == l3)
			return HEADERS4;
	} else if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && rte_pktmbuf_data_len(m) >= HEADERS6) {
		const uint32_t payload = (uint32_t)ip[4] << 8 | ip[5],
			       udp = (uint32_t)ip[44] << 8 | ip[45];

		if (ip[0] >> 4 == 6 && ip[6] == IPPROTO_UDP &&
			payload + sizeof(struct rte_ipv6_hdr) == l3 && udp == payload)
			return HEADERS6;
	}
	return 0;
}

/** No checksum, one that is left to whoever sends, or one that is right. */
static bool checksum_good(const struct rte_mbuf *m, uint16_t headers)
{
	const struct rte_udp_hdr *udp = udp_of(m, headers);
	const uint32_t l4 = headers - (uint32_t)sizeof(*udp);
	const void *ip = rte_pktmbuf_mtod_offset(m, const void *, RTE_ETHER_HDR_LEN);
	uint16_t pseudo;

	if (likely(udp->dgram_cksum == 0) ||
		(m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM)
		return true;
	pseudo = headers == HEADERS4 ? rte_ipv4_phdr_cksum(ip, 0) : rte_ipv6_phdr_cksum(ip, 0);
	return pkt_checksum(m, l4, rte_pktmbuf_pkt_len(m) - l4, pseudo) == 0xffff;
}

static uint16_t packet_id(const uint8_t *ip)
{
	return (uint16_t)((uint32_t)ip[4] << 8 | ip[5]);
}

/** Do the headers of packet `i` of a run say what those of its first do? Lengths have been looked at. */
static bool same_flow(
	const struct rte_mbuf *first, const struct rte_mbuf *m, uint16_t headers, uint16_t i)
{
	const uint8_t *a = rte_pktmbuf_mtod(first, const uint8_t *),
		      *b = rte_pktmbuf_mtod(m, const uint8_t *);

	if (memcmp(a, b, RTE_ETHER_HDR_LEN) != 0)
		return false;
	a += RTE_ETHER_HDR_LEN;
	b += RTE_ETHER_HDR_LEN;
	if (headers == HEADERS6) /* all but the payload length; ports */
		return memcmp(a, b, 4) == 0 && memcmp(a + 6, b + 6, 38) == 0;
	/* Version, TOS; flags, TTL, protocol; addresses and ports. */
	if (memcmp(a, b, 2) != 0 || memcmp(a + 6, b + 6, 4) != 0 || memcmp(a + 12, b + 12, 12) != 0)
		return false;
	return (a[6] & 0x40) != 0 || (uint16_t)(packet_id(a) + i) == packet_id(b);
}

void udp_merge_find(
	struct rte_mbuf *const *pkts, uint16_t n, uint16_t max_buffers, struct udp_run *run)
{
	const uint16_t headers = headers_of(pkts[0]);
	uint32_t payload = rte_pktmbuf_pkt_len(pkts[0]) - headers;

	*run = (struct udp_run){ .count = 1, .buffers = pkts[0]->nb_segs };
	if (headers == 0 || payload == 0)
		return;
	run->headers = headers;
	run->segment = (uint16_t)payload;
	run->payload = payload;
	run->v6 = headers == HEADERS6;
	n = (uint16_t)RTE_MIN((unsigned)n, (unsigned)UDP_MERGE_PACKETS);
	while (run->count < n && payload == run->segment) {
		const struct rte_mbuf *m = pkts[run->count];

		payload = rte_pktmbuf_pkt_len(m) - headers;
		if (headers_of(m) != headers || payload == 0 || payload > run->segment ||
			headers + run->payload + payload > UDP_MERGE_FRAME ||
			run->buffers + m->nb_segs > max_buffers ||
			!same_flow(pkts[0], m, headers, run->count) ||
			(run->count == 1 && !checksum_good(pkts[0], headers)) ||
			!checksum_good(m, headers))
			return;
		run->payload += payload;
		run->buffers = (uint16_t)(run->buffers + m->nb_segs);
		run->count++;
	}
}

void udp_merge_headers(const struct rte_mbuf *first, const struct udp_run *run, uint8_t *headers,
	struct virtio_net_hdr *hdr)
{
	const uint16_t l4 = (uint16_t)(run->headers - sizeof(struct rte_udp_hdr));
	const uint16_t udp_len = (uint16_t)(run->payload + sizeof(struct rte_udp_hdr));
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(headers + l4);
	void *ip = headers + RTE_ETHER_HDR_LEN;

	memcpy(headers, rte_pktmbuf_mtod(first, const void *), run->headers);
	udp->dgram_len = rte_cpu_to_be_16(udp_len);
	if (run->v6) {
		((struct rte_ipv6_hdr *)ip)->payload_len = udp->dgram_len;
		udp->dgram_cksum = rte_ipv6_phdr_cksum(ip, 0);
	} else {
		struct rte_ipv4_hdr *ip4 = ip;

		ip4->total_length = rte_cpu_to_be_16((uint16_t)(udp_len + sizeof(*ip4)));
		ip4->hdr_checksum = 0;
		ip4->hdr_checksum = rte_ipv4_cksum(ip4);
		udp->dgram_cksum = rte_ipv4_phdr_cksum(ip, 0);
	}
	*hdr = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
		.hdr_len = run->headers,
		.gso_size = run->segment,
		.csum_start = l4,
		.csum_offset = offsetof(struct rte_udp_hdr, dgram_cksum) };
}

uint16_t udp_merge_payload(
	struct rte_mbuf *const *pkts, const struct udp_run *run, struct iovec *iov)
{
	uint16_t used = 0;

	for (uint16_t i = 0; i < run->count; i++) {
		uint16_t skip = run->headers;

		for (struct rte_mbuf *m = pkts[i]; m != NULL; m = m->next, skip = 0) {
			if (m->data_len > skip)
				iov[used++] =
					(struct iovec){ rte_pktmbuf_mtod_offset(m, void *, skip),
						(size_t)m->data_len - skip };
		}
	}
	return used;
}
