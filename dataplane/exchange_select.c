/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/exchange_select.h"

#include "dataplane/packet.h"
#include "dataplane/port.h"
#include "dataplane/rcu.h"
#include "dataplane/settings.h"
#include "dataplane/tunnel.h"

#include <netinet/in.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_udp.h>
#include <string.h>

#define EXTENSIONS_MAX 4
#define ICMP6_TOO_BIG  2
#define ICMP6_ND_FIRST 133
#define ICMP6_ND_LAST  137

/** An IP packet as far as the decision needs it. */
struct glance {
	const struct rte_mbuf *m;
	uint32_t l4; /* offset */
	uint8_t family, protocol;
	const uint8_t *src, *dst;
	uint32_t id;
	bool later, more;
};

static bool remembered(const struct glance *g, struct exchange_fragments *fragments, bool add)
{
	size_t size = g->family == IP_V6 ? 16 : 4;
	struct exchange_fragment *f;

	for (unsigned i = 0; i < EXCHANGE_FRAGMENTS; i++) {
		f = &fragments->list[i];
		if (f->used && f->id == g->id && memcmp(f->src, g->src, size) == 0 &&
			memcmp(f->dst, g->dst, size) == 0)
			return true;
	}
	if (!add)
		return false;
	f = &fragments->list[fragments->next++ % EXCHANGE_FRAGMENTS];
	memset(f, 0, sizeof(*f));
	memcpy(f->src, g->src, size);
	memcpy(f->dst, g->dst, size);
	f->id = g->id;
	f->used = true;
	return true;
}

static bool udp_tunnel(const struct tunnel_table *t, const struct rte_mbuf *m, uint32_t off)
{
	const struct rte_udp_hdr *udp = pkt_hdr(m, off, const struct rte_udp_hdr);

	return udp != NULL && tunnel_is_vxlan_port(t, udp->dst_port);
}

/** ICMP "too big" about a packet in a tunnel of ours. */
static bool tunnel_error(const struct tunnel_table *t, const struct glance *g)
{
	const struct rte_icmp_hdr *icmp = pkt_hdr(g->m, g->l4, const struct rte_icmp_hdr);
	const uint32_t quoted = g->l4 + (uint32_t)sizeof(*icmp);
	const struct rte_ipv4_hdr *ip4 = pkt_hdr(g->m, quoted, const struct rte_ipv4_hdr);
	const struct rte_ipv6_hdr *ip6 = pkt_hdr(g->m, quoted, const struct rte_ipv6_hdr);

	if (g->later || icmp == NULL)
		return false;
	if (g->family == IP_V4) {
		if (icmp->icmp_type != 3 || icmp->icmp_code != 4 || ip4 == NULL ||
			ip4->version_ihl != 0x45)
			return false;
		if (ip4->next_proto_id == IPPROTO_UDP)
			return udp_tunnel(t, g->m, quoted + (uint32_t)sizeof(*ip4));
		return (ip4->next_proto_id == IPPROTO_IPIP || ip4->next_proto_id == IPPROTO_IPV6) &&
		       tunnel_peer_find(t, IP_V4, (const uint8_t *)&ip4->dst_addr) != NULL;
	}
	if (icmp->icmp_type != ICMP6_TOO_BIG || ip6 == NULL)
		return false;
	if (ip6->proto == IPPROTO_UDP)
		return udp_tunnel(t, g->m, quoted + (uint32_t)sizeof(*ip6));
	return (ip6->proto == IPPROTO_IPIP || ip6->proto == IPPROTO_IPV6) &&
	       tunnel_peer_find(t, IP_V6, ip6->dst_addr) != NULL;
}

/** For an address of this node: a tunnel's, or the kernel's. */
static bool local(
	const struct tunnel_table *t, const struct glance *g, struct exchange_fragments *fragments)
{
	switch (g->protocol) {
	case IPPROTO_UDP:
		if (g->later)
			return remembered(g, fragments, false);
		return udp_tunnel(t, g->m, g->l4) && (!g->more || remembered(g, fragments, true));
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		return tunnel_peer_find(t, g->family, g->src) != NULL;
	case IPPROTO_ICMP:
		return g->family == IP_V4 && tunnel_error(t, g);
	case IPPROTO_ICMPV6:
		return g->family == IP_V6 && tunnel_error(t, g);
	default:
		return false;
	}
}

/** Routed to a pod, or to this node by the host port. */
static bool pod(uint32_t value)
{
	const struct adjacency *adj = adjacency_get(route_adjacency(value, 0));
	const struct port *port =
		adj->type == ADJ_REWRITE || adj->type == ADJ_RESOLVING ? port_get(adj->port) : NULL;

	return port != NULL && port->role != PORT_UPLINK;
}

static bool ours4(
	const struct tables *t, const struct rte_mbuf *m, struct exchange_fragments *fragments)
{
	const struct rte_ipv4_hdr *ip = pkt_hdr(m, RTE_ETHER_HDR_LEN, const struct rte_ipv4_hdr);
	uint16_t fragment;
	struct glance g = { .m = m, .family = IP_V4 };

	if (ip == NULL || ip->version_ihl >> 4 != 4 || (ip->version_ihl & 15) < 5)
		return false;
	g.src = (const uint8_t *)&ip->src_addr;
	g.dst = (const uint8_t *)&ip->dst_addr;
	if (!tunnel_is_local(t->tunnels, IP_V4, g.dst))
		return pod(fib_lookup(t->fib4, g.dst));
	fragment = rte_be_to_cpu_16(ip->fragment_offset);
	g.id = ip->packet_id;
	g.later = (fragment & RTE_IPV4_HDR_OFFSET_MASK) != 0;
	g.more = (fragment & RTE_IPV4_HDR_MF_FLAG) != 0;
	g.protocol = ip->next_proto_id;
	g.l4 = RTE_ETHER_HDR_LEN + (ip->version_ihl & 15u) * 4u;
	return local(t->tunnels, &g, fragments);
}

/** Walk to the tunnel's header. @return false when there is no telling. */
static bool headers6(struct glance *g)
{
	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		const struct rte_ipv6_fragment_ext *f =
			pkt_hdr(g->m, g->l4, const struct rte_ipv6_fragment_ext);

		if (g->protocol != IPPROTO_FRAGMENT && g->protocol != IPPROTO_HOPOPTS &&
			g->protocol != IPPROTO_DSTOPTS)
			return true;
		if (f == NULL) /* the smallest options are as long */
			return false;
		if (g->protocol == IPPROTO_FRAGMENT) {
			uint16_t offset = rte_be_to_cpu_16(f->frag_data);

			g->id = f->id;
			g->later = (offset & RTE_IPV6_EHDR_FO_MASK) != 0;
			g->more = (offset & RTE_IPV6_EHDR_MF_MASK) != 0;
			g->l4 += (uint32_t)sizeof(*f);
		} else {
			g->l4 += (((const uint8_t *)f)[1] + 1u) * 8u;
		}
		g->protocol = f->next_header;
		if (g->later)
			return true;
	}
	return false;
}

static bool ours6(
	const struct tables *t, const struct rte_mbuf *m, struct exchange_fragments *fragments)
{
	const struct rte_ipv6_hdr *ip = pkt_hdr(m, RTE_ETHER_HDR_LEN, const struct rte_ipv6_hdr);
	const uint32_t l4 = RTE_ETHER_HDR_LEN + (uint32_t)sizeof(*ip);
	const uint8_t *icmp = pkt_hdr(m, l4, uint64_t) != NULL
				      ? rte_pktmbuf_mtod_offset(m, const uint8_t *, l4)
				      : NULL;
	struct glance g = { .m = m, .family = IP_V6, .l4 = l4 };

	if (ip == NULL || *(const uint8_t *)ip >> 4 != 6)
		return false;
	g.src = ip->src_addr;
	g.dst = ip->dst_addr;
	g.protocol = ip->proto;
	if (tunnel_is_local(t->tunnels, IP_V6, g.dst))
		return headers6(&g) && local(t->tunnels, &g, fragments);
	if (g.protocol == IPPROTO_ICMPV6 &&
		(icmp == NULL || (icmp[0] >= ICMP6_ND_FIRST && icmp[0] <= ICMP6_ND_LAST)))
		return false;
	return pod(fib_lookup(t->fib6, g.dst));
}

bool exchange_is_ours(
	const struct rte_mbuf *m, const struct mac_addr *mac, struct exchange_fragments *fragments)
{
	const struct rte_ether_hdr *eth = pkt_hdr(m, 0, const struct rte_ether_hdr);
	const struct tables *t = rcu_read(&tables);

	if (eth == NULL || t == NULL ||
		memcmp(eth->dst_addr.addr_bytes, mac->bytes, sizeof(mac->bytes)) != 0)
		return false;
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return ours4(t, m, fragments);
	return eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && ours6(t, m, fragments);
}
