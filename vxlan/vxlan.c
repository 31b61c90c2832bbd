/* SPDX-License-Identifier: Apache-2.0 */
/** VXLAN in its routed form: the inner frame goes from this node's VTEP MAC to the peer's and
 * carries one IP packet. No learning, no flooding. */
#include "vxlan/tunnel.h"

#include "dataplane/mtu.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_vxlan.h>
#include <string.h>

#define VNI_MAX	 0xffffffu
#define FLAG_VNI RTE_BE32(0x08000000) /* "I": the VNI is valid; all other bits are reserved */

static uint16_t vxlan_overhead(uint8_t underlay_family)
{
	return mtu_overhead(ENCAP_VXLAN, underlay_family);
}

static int vxlan_build(
	const struct tunnel_endpoint *endpoint, struct adjacency *adj, struct error *err)
{
	struct rte_udp_hdr udp = { .dst_port = rte_cpu_to_be_16(endpoint->udp_port) };
	struct rte_vxlan_hdr vxlan = { .vx_flags = FLAG_VNI,
		.vx_vni = rte_cpu_to_be_32(endpoint->vni << 8) };
	struct rte_ether_hdr inner = { .ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4) };
	char text[IP_TEXT_MAX];
	uint8_t *h;
	int ret;

	ip_addr_format(&endpoint->remote, text);
	if (endpoint->vni > VNI_MAX)
		return error_set(err, EINVAL, "", "VXLAN to %s: VNI %u does not fit 24 bits", text,
			endpoint->vni);
	if (endpoint->udp_port == 0)
		return error_set(err, EINVAL, "", "VXLAN to %s: the UDP port is missing", text);
	if (!mac_addr_is_unicast(&endpoint->vtep_dst) || !mac_addr_is_unicast(&endpoint->vtep_src))
		return error_set(err, EINVAL, "",
			"VXLAN to %s: the VTEP MAC address is missing or not unicast", text);
	ret = tunnel_outer_build(endpoint, IPPROTO_UDP, adj, err);
	if (ret < 0)
		return ret;
	memcpy(inner.dst_addr.addr_bytes, endpoint->vtep_dst.bytes, sizeof(inner.dst_addr));
	memcpy(inner.src_addr.addr_bytes, endpoint->vtep_src.bytes, sizeof(inner.src_addr));
	adj->flags |= ADJ_UDP;
	if (endpoint->udp6_checksum && endpoint->remote.family == IP_V6)
		adj->flags |= ADJ_UDP_CHECKSUM;
	adj->outer_udp_off = adj->header_len;
	h = adj->header + adj->header_len;
	memcpy(h, &udp, sizeof(udp));
	memcpy(h + sizeof(udp), &vxlan, sizeof(vxlan));
	memcpy(h + sizeof(udp) + sizeof(vxlan), &inner, sizeof(inner));
	adj->header_len = (uint8_t)(adj->header_len + sizeof(udp) + sizeof(vxlan) + sizeof(inner));
	tunnel_outer_finish(endpoint, ENCAP_VXLAN, adj);
	return 0;
}

static bool vxlan_claims(const struct tunnel_table *table, const struct pkt *outer)
{
	return outer->proto == IPPROTO_UDP && !(outer->flags & PKT_FRAGMENT) &&
	       tunnel_is_vxlan_port(
		       table, outer->flags & PKT_V6 ? outer->key6.dport : outer->key4.dport);
}

/** A zero checksum is accepted on both families (RFC 7348 section 5, RFC 6935 and 6936), any
 * other must be right. */
static bool vxlan_checksum_good(
	const struct rte_mbuf *m, const struct pkt *p, const struct rte_udp_hdr *udp, uint32_t off)
{
	const void *ip = rte_pktmbuf_mtod_offset(m, const void *, p->l2_len);
	uint32_t len = rte_be_to_cpu_16(udp->dgram_len), pseudo;

	if (likely(udp->dgram_cksum == 0))
		return true;
	/* A NIC that has seen the tunnel speaks of what is inside. */
	if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD &&
		!(m->packet_type & RTE_PTYPE_TUNNEL_MASK))
		return true;
	if ((m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM)
		return true; /* from this machine's own kernel, which left the sum to the device */
	/* The pseudo header takes the UDP length, not the packet's: they differ behind extension
	 * headers. */
	pseudo = rte_raw_cksum(
		p->flags & PKT_V6 ? (const uint8_t *)ip + offsetof(struct rte_ipv6_hdr, src_addr)
				  : (const uint8_t *)ip + offsetof(struct rte_ipv4_hdr, src_addr),
		p->flags & PKT_V6 ? 32 : 8);
	pseudo += RTE_BE16(IPPROTO_UDP) + udp->dgram_len;
	return pkt_checksum(m, off, len, pseudo) == 0xffff;
}

static struct parsed vxlan_decap(
	const struct tunnel_table *table, struct rte_mbuf *m, struct pkt *p)
{
	const uint32_t off = (uint32_t)p->l2_len + p->l3_len;
	const uint32_t inner = off + sizeof(struct rte_udp_hdr) + sizeof(struct rte_vxlan_hdr);
	const struct rte_udp_hdr *udp = pkt_hdr(m, off, const struct rte_udp_hdr);
	const struct rte_vxlan_hdr *vxlan =
		pkt_hdr(m, off + sizeof(*udp), const struct rte_vxlan_hdr);
	const struct tunnel_peer *peer;
	uint32_t len;

	if (unlikely(udp == NULL || vxlan == NULL))
		return (struct parsed){ PKT_DROP, DROP_tunnel_malformed };
	len = rte_be_to_cpu_16(udp->dgram_len);
	if (unlikely(len < sizeof(*udp) + sizeof(*vxlan) || off + len > rte_pktmbuf_pkt_len(m) ||
		     (vxlan->vx_flags & FLAG_VNI) == 0))
		return (struct parsed){ PKT_DROP, DROP_tunnel_malformed };
	peer = p->flags & PKT_V6 ? tunnel_peer_find(table, IP_V6, p->key6.src)
				 : tunnel_peer_find(table, IP_V4, (const uint8_t *)&p->key4.src);
	if (unlikely(peer == NULL))
		return (struct parsed){ PKT_DROP, DROP_tunnel_unknown_peer };
	if (unlikely(!vxlan_checksum_good(m, p, udp, off)))
		return (struct parsed){ PKT_DROP, DROP_tunnel_bad_checksum };
	if (unlikely(rte_be_to_cpu_32(vxlan->vx_vni) >> 8 != peer->vni))
		return (struct parsed){ PKT_DROP, DROP_tunnel_unknown_vni };
	if (unlikely(off + len < rte_pktmbuf_pkt_len(m)))
		pkt_trim(m, off + len);
	if (unlikely(!pkt_pull(m, inner + sizeof(struct rte_ether_hdr))))
		return (struct parsed){ PKT_DROP, DROP_l2_truncated };
	if (unlikely(memcmp(rte_pktmbuf_mtod_offset(m, const uint8_t *, inner),
			     table->vtep_mac.bytes, sizeof(table->vtep_mac)) != 0))
		return (struct parsed){ PKT_DROP, DROP_l2_not_for_us };
	return tunnel_inner(m, p, inner, 0);
}

const struct tunnel_ops vxlan_tunnel_ops = {
	.name = "vxlan",
	.encap = ENCAP_VXLAN,
	.overhead = vxlan_overhead,
	.build = vxlan_build,
	.claims = vxlan_claims,
	.decap = vxlan_decap,
};
