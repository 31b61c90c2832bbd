/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tunnel_cut.h"

#include "dataplane/offload.h"
#include "dataplane/packet.h"

#include <netinet/in.h>
#include <rte_vxlan.h>
#include <string.h>

#define L2_MAX 127 /* seven bits in the mbuf */

/** One IP header: where it is, how long, what follows. */
struct layer {
	uint32_t off, len;
	uint8_t proto;
	bool v6;
};

/** The IP header at `off`, without options or extension headers. */
static bool layer_at(const struct rte_mbuf *m, uint32_t off, bool v6, struct layer *out)
{
	const struct rte_ipv4_hdr *ip4 = pkt_hdr(m, off, const struct rte_ipv4_hdr);
	const struct rte_ipv6_hdr *ip6 = pkt_hdr(m, off, const struct rte_ipv6_hdr);

	*out = (struct layer){ .off = off, .v6 = v6, .len = v6 ? sizeof(*ip6) : sizeof(*ip4) };
	if (v6) {
		if (ip6 == NULL || *(const uint8_t *)ip6 >> 4 != 6)
			return false;
		out->proto = ip6->proto;
		return true;
	}
	if (ip4 == NULL || ip4->version_ihl != RTE_IPV4_VHL_DEF ||
		(ip4->fragment_offset &
			RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) != 0)
		return false;
	out->proto = ip4->next_proto_id;
	return true;
}

/** The IP header an Ethernet header at `off` is followed by. */
static bool layer_in_frame(const struct rte_mbuf *m, uint32_t off, struct layer *out)
{
	const struct rte_ether_hdr *eth = pkt_hdr(m, off, const struct rte_ether_hdr);

	if (eth == NULL || (eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) &&
				   eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV6)))
		return false;
	return layer_at(m, off + (uint32_t)sizeof(*eth),
		eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6), out);
}

static bool inner_of(const struct rte_mbuf *m, const struct layer *outer, struct layer *inner)
{
	const uint32_t l4 = outer->off + outer->len;

	switch (outer->proto) {
	case IPPROTO_UDP:
		return layer_in_frame(m,
			l4 + (uint32_t)(sizeof(struct rte_udp_hdr) + sizeof(struct rte_vxlan_hdr)),
			inner);
	case IPPROTO_IPIP:
		return layer_at(m, l4, false, inner);
	case IPPROTO_IPV6:
		return layer_at(m, l4, true, inner);
	default:
		return false;
	}
}

/** The outer headers of packet `i`; they are a copy of the large one's. */
static void outer_fix(struct rte_mbuf *m, const struct layer *outer, uint16_t i)
{
	const uint16_t len = (uint16_t)(rte_pktmbuf_pkt_len(m) - outer->off);

	if (outer->v6) {
		rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, outer->off)->payload_len =
			rte_cpu_to_be_16((uint16_t)(len - outer->len));
	} else {
		struct rte_ipv4_hdr *ip =
			rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, outer->off);

		ip->total_length = rte_cpu_to_be_16(len);
		ip->packet_id = rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(ip->packet_id) + i));
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	}
	if (outer->proto == IPPROTO_UDP) {
		struct rte_udp_hdr *udp =
			rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, outer->off + outer->len);

		udp->dgram_len = rte_cpu_to_be_16((uint16_t)(len - outer->len));
		udp->dgram_cksum = 0;
	}
}

uint16_t tunnel_cut(struct rte_mbuf *m, const struct virtio_net_hdr *hdr, struct rte_mempool *pool,
	struct rte_mbuf **out, uint16_t max)
{
	const uint8_t type = hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	const struct rte_tcp_hdr *tcp;
	struct layer outer, inner;
	uint16_t n;

	if (!layer_in_frame(m, 0, &outer) || !inner_of(m, &outer, &inner) ||
		inner.proto != IPPROTO_TCP || inner.off > L2_MAX ||
		type != (inner.v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4) ||
		hdr->csum_start != inner.off + inner.len)
		return 0;
	tcp = pkt_hdr(m, inner.off + inner.len, const struct rte_tcp_hdr);
	if (tcp == NULL)
		return 0;
	m->l2_len = inner.off & L2_MAX;
	m->l3_len = inner.len & 0x1ff;
	m->l4_len = ((uint32_t)tcp->data_off >> 4) * 4 & 0xff;
	m->tso_segsz = hdr->gso_size;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM |
		       (inner.v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
	n = offload_segment(m, pool, out, max);
	for (uint16_t i = 0; i < n; i++)
		outer_fix(out[i], &outer, i);
	return n;
}
