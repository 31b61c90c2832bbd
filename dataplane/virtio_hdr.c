/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/virtio_hdr.h"

#include "dataplane/offload.h"

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <stddef.h>
#include <string.h>

#define EXTENSIONS_MAX 8
#define L3_LEN_MAX     511 /* nine bits in the mbuf */

/** What the headers say the packet is. */
struct headers {
	uint32_t l3_len;
	uint8_t proto; /* of L4; 0 = not TCP or UDP of an unfragmented IP packet */
	bool v6;
};

/** A pointer to `type` at byte `off` when the first buffer has it. */
#define BYTES_AT(m, off, type)                                              \
	((uint32_t)(off) + sizeof(type) <= rte_pktmbuf_data_len(m)          \
			? rte_pktmbuf_mtod_offset((m), const type *, (off)) \
			: (const type *)NULL)

static struct headers headers_v4(const struct rte_mbuf *m)
{
	const struct rte_ipv4_hdr *ip = BYTES_AT(m, RTE_ETHER_HDR_LEN, struct rte_ipv4_hdr);
	struct headers h = { 0 };

	if (ip == NULL || ip->version_ihl >> 4 != 4 || rte_ipv4_hdr_len(ip) < sizeof(*ip) ||
		(ip->fragment_offset &
			rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)))
		return h;
	h.l3_len = rte_ipv4_hdr_len(ip);
	h.proto = ip->next_proto_id;
	return h;
}

static struct headers headers_v6(const struct rte_mbuf *m)
{
	const struct rte_ipv6_hdr *ip = BYTES_AT(m, RTE_ETHER_HDR_LEN, struct rte_ipv6_hdr);
	struct headers h = { .v6 = true, .l3_len = sizeof(*ip) }, none = { 0 };
	uint8_t proto;

	if (ip == NULL || *(const uint8_t *)ip >> 4 != 6)
		return none;
	proto = ip->proto;
	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		/* Next header and length in eight bytes: RFC 8200 section 4.3. A fragment has no
		 * checksum of its own. */
		const struct {
			uint8_t next, len;
		} * ext;

		if (proto != IPPROTO_HOPOPTS && proto != IPPROTO_ROUTING &&
			proto != IPPROTO_DSTOPTS)
			break;
		ext = rte_pktmbuf_mtod_offset(m, const void *, RTE_ETHER_HDR_LEN + h.l3_len);
		if (RTE_ETHER_HDR_LEN + h.l3_len + 2 > rte_pktmbuf_data_len(m))
			return none;
		proto = ext->next;
		h.l3_len += (ext->len + 1u) * 8;
	}
	h.proto = proto;
	return h.l3_len <= L3_LEN_MAX ? h : none;
}

static struct headers headers_of(const struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = BYTES_AT(m, 0, struct rte_ether_hdr);
	struct headers h = { 0 };

	if (eth == NULL)
		return h;
	if (eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
		h = headers_v4(m);
	else if (eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6))
		h = headers_v6(m);
	if (h.proto != IPPROTO_TCP && h.proto != IPPROTO_UDP)
		h.proto = 0;
	return h;
}

static void set_words(struct rte_mbuf *m, const struct headers *h)
{
	m->l2_len = RTE_ETHER_HDR_LEN;
	m->l3_len = h->l3_len & L3_LEN_MAX;
	m->ol_flags |= h->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
}

static bool accept_checksum(struct rte_mbuf *m, const struct virtio_net_hdr *hdr)
{
	struct headers h = headers_of(m);
	bool tcp = h.proto == IPPROTO_TCP;
	size_t field = tcp ? offsetof(struct rte_tcp_hdr, cksum)
			   : offsetof(struct rte_udp_hdr, dgram_cksum);
	size_t header = tcp ? sizeof(struct rte_tcp_hdr) : sizeof(struct rte_udp_hdr);

	if (h.proto == 0 || hdr->csum_start != RTE_ETHER_HDR_LEN + h.l3_len ||
		hdr->csum_offset != field || hdr->csum_start + header > rte_pktmbuf_data_len(m))
		return offload_checksum_at(m, hdr->csum_start, hdr->csum_offset);
	set_words(m, &h);
	m->l4_len = header & 0xff;
	m->ol_flags |= tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	return true;
}

/** A large packet whose L4 header begins at l4: the length of that header, 0 when it is not what the virtio header says. */
static uint32_t segment_header(const struct rte_mbuf *m, const struct virtio_net_hdr *hdr,
	const struct headers *h, uint32_t l4)
{
	uint8_t type = hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	const struct rte_tcp_hdr *tcp;
	uint32_t len;

	if (h->proto == IPPROTO_UDP)
		return (hdr->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4 ||
			       hdr->gso_type == VIRTIO_NET_HDR_GSO_UDP) &&
				       hdr->csum_offset ==
					       offsetof(struct rte_udp_hdr, dgram_cksum) &&
				       BYTES_AT(m, l4, struct rte_udp_hdr) != NULL
			       ? sizeof(struct rte_udp_hdr)
			       : 0;
	tcp = BYTES_AT(m, l4, struct rte_tcp_hdr);
	if (h->proto != IPPROTO_TCP || tcp == NULL ||
		type != (h->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4) ||
		hdr->csum_offset != offsetof(struct rte_tcp_hdr, cksum))
		return 0;
	len = (tcp->data_off >> 4) * 4u;
	return len >= sizeof(*tcp) && l4 + len <= rte_pktmbuf_data_len(m) ? len : 0;
}

static bool accept_segment(struct rte_mbuf *m, const struct virtio_net_hdr *hdr)
{
	struct headers h = headers_of(m);
	uint32_t l4 = RTE_ETHER_HDR_LEN + h.l3_len, l4_len = segment_header(m, hdr, &h, l4);
	bool tcp = h.proto == IPPROTO_TCP, datagram = hdr->gso_type == VIRTIO_NET_HDR_GSO_UDP;
	/* Fragments have a multiple of eight bytes, of which the UDP header is eight. */
	uint16_t size = datagram ? hdr->gso_size & 0xfff8u : hdr->gso_size;

	if (l4_len == 0 || hdr->csum_start != l4 || size == 0)
		return false;
	set_words(m, &h);
	m->l4_len = l4_len & 0xff;
	m->ol_flags |= tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	/* One that needs no cutting is an ordinary packet to everyone after us. */
	if (rte_pktmbuf_pkt_len(m) > l4 + (datagram ? 0 : l4_len) + size) {
		m->tso_segsz = size;
		m->ol_flags |= tcp	  ? RTE_MBUF_F_TX_TCP_SEG
			       : datagram ? OFFLOAD_DATAGRAM
					  : RTE_MBUF_F_TX_UDP_SEG;
	}
	return true;
}

bool virtio_hdr_accept(struct rte_mbuf *m, const struct virtio_net_hdr *hdr)
{
	if (hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && accept_segment(m, hdr);
	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return accept_checksum(m, hdr);
	if (hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID)
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	return true;
}

void virtio_hdr_make(const struct rte_mbuf *m, struct virtio_net_hdr *hdr)
{
	uint64_t l4 = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;

	memset(hdr, 0, sizeof(*hdr));
	if (likely(l4 == 0 && !(m->ol_flags & OFFLOAD_LARGE)))
		return;
	hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr->csum_start = (uint16_t)(m->l2_len + m->l3_len);
	hdr->csum_offset = l4 == RTE_MBUF_F_TX_UDP_CKSUM ? offsetof(struct rte_udp_hdr, dgram_cksum)
							 : offsetof(struct rte_tcp_hdr, cksum);
	if (!(m->ol_flags & OFFLOAD_LARGE))
		return;
	hdr->gso_size = m->tso_segsz;
	hdr->hdr_len = (uint16_t)(hdr->csum_start + m->l4_len);
	if (m->ol_flags & RTE_MBUF_F_TX_UDP_SEG) {
		hdr->gso_type =
			offload_is_datagram(m) ? VIRTIO_NET_HDR_GSO_UDP : VIRTIO_NET_HDR_GSO_UDP_L4;
	} else {
		const struct rte_tcp_hdr *tcp = BYTES_AT(m, hdr->csum_start, struct rte_tcp_hdr);

		hdr->gso_type = m->ol_flags & RTE_MBUF_F_TX_IPV6 ? VIRTIO_NET_HDR_GSO_TCPV6
								 : VIRTIO_NET_HDR_GSO_TCPV4;
		if (tcp != NULL && (tcp->tcp_flags & RTE_TCP_CWR_FLAG))
			hdr->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	}
}
