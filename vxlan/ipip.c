/* SPDX-License-Identifier: Apache-2.0 */
/** IP in IP: protocol 4 (RFC 2003) and 41 (RFC 4213) in IPv4, the same as next headers in IPv6
 * (RFC 2473). */
#include "vxlan/tunnel.h"

#include "dataplane/mtu.h"

#include <netinet/in.h>

static uint16_t ipip_overhead(uint8_t underlay_family)
{
	return mtu_overhead(ENCAP_IPIP, underlay_family);
}

static int ipip_build(
	const struct tunnel_endpoint *endpoint, struct adjacency *adj, struct error *err)
{
	int ret = tunnel_outer_build(endpoint, 0, adj, err);

	if (ret < 0)
		return ret;
	/* So that path MTU discovery works through the tunnel: RFC 2003 section 5.1. */
	if (endpoint->remote.family == IP_V4)
		adj->flags |= ADJ_COPY_DF;
	tunnel_outer_finish(endpoint, ENCAP_IPIP, adj);
	return 0;
}

static bool ipip_claims(const struct tunnel_table *table, const struct pkt *outer)
{
	(void)table;
	return (outer->proto == IPPROTO_IPIP || outer->proto == IPPROTO_IPV6) &&
	       !(outer->flags & PKT_FRAGMENT);
}

static struct parsed ipip_decap(const struct tunnel_table *table, struct rte_mbuf *m, struct pkt *p)
{
	const struct tunnel_peer *peer =
		p->flags & PKT_V6 ? tunnel_peer_find(table, IP_V6, p->key6.src)
				  : tunnel_peer_find(table, IP_V4, (const uint8_t *)&p->key4.src);

	if (unlikely(peer == NULL))
		return (struct parsed){ PKT_DROP, DROP_tunnel_unknown_peer };
	if (unlikely(p->ip_len == p->l3_len))
		return (struct parsed){ PKT_DROP, DROP_tunnel_malformed };
	return tunnel_inner(
		m, p, (uint32_t)p->l2_len + p->l3_len, p->proto == IPPROTO_IPV6 ? 6 : 4);
}

const struct tunnel_ops ipip_tunnel_ops = {
	.name = "ipip",
	.encap = ENCAP_IPIP,
	.overhead = ipip_overhead,
	.build = ipip_build,
	.claims = ipip_claims,
	.decap = ipip_decap,
};
