/* SPDX-License-Identifier: Apache-2.0 */
#include "vxlan/tunnel.h"

#include "dataplane/mtu.h"
#include "dataplane/rewrite.h"

#include <errno.h>
#include <string.h>

#define OUTER_TTL 64 /* RFC 1700; Linux's ip_default_ttl */

static void outer4(const struct tunnel_endpoint *endpoint, uint8_t proto, struct adjacency *adj)
{
	struct rte_ipv4_hdr ip = {
		.version_ihl = RTE_IPV4_VHL_DEF, .time_to_live = OUTER_TTL, .next_proto_id = proto
	};

	memcpy(&ip.src_addr, endpoint->local.bytes, sizeof(ip.src_addr));
	memcpy(&ip.dst_addr, endpoint->remote.bytes, sizeof(ip.dst_addr));
	memcpy(adj->header + adj->header_len, &ip, sizeof(ip));
	adj->outer_sum = ip_header_sum(&ip);
	adj->header_len = (uint8_t)(adj->header_len + sizeof(ip));
	adj->flags |= ADJ_OUTER_V4;
}

static void outer6(const struct tunnel_endpoint *endpoint, uint8_t proto, struct adjacency *adj)
{
	struct rte_ipv6_hdr ip = {
		.vtc_flow = RTE_BE32(0x60000000), .proto = proto, .hop_limits = OUTER_TTL
	};

	memcpy(ip.src_addr, endpoint->local.bytes, sizeof(ip.src_addr));
	memcpy(ip.dst_addr, endpoint->remote.bytes, sizeof(ip.dst_addr));
	memcpy(adj->header + adj->header_len, &ip, sizeof(ip));
	adj->header_len = (uint8_t)(adj->header_len + sizeof(ip));
	adj->flags |= ADJ_OUTER_V6;
}

int tunnel_outer_build(const struct tunnel_endpoint *endpoint, uint8_t proto, struct adjacency *adj,
	struct error *err)
{
	const bool v6 = endpoint->remote.family == IP_V6;
	struct rte_ether_hdr eth = { .ether_type = v6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6)
						      : RTE_BE16(RTE_ETHER_TYPE_IPV4) };
	char text[IP_TEXT_MAX];

	if (endpoint->remote.family == IP_NONE || endpoint->local.family != endpoint->remote.family)
		return error_set(err, EINVAL, "",
			"tunnel to %s: no local underlay address of that family",
			ip_addr_format(&endpoint->remote, text));
	if (ip_addr_is_multicast(&endpoint->remote) || ip_addr_is_multicast(&endpoint->local))
		return error_set(err, EINVAL, "",
			"tunnel to %s: both ends must be unicast addresses",
			ip_addr_format(&endpoint->remote, text));
	adj->type = ADJ_TUNNEL;
	adj->flags = ADJ_ECN;
	adj->port = endpoint->port;
	adj->next_hop = endpoint->remote;
	memcpy(eth.dst_addr.addr_bytes, endpoint->dst_mac.bytes, sizeof(eth.dst_addr));
	memcpy(eth.src_addr.addr_bytes, endpoint->src_mac.bytes, sizeof(eth.src_addr));
	memcpy(adj->header, &eth, sizeof(eth));
	adj->header_len = sizeof(eth);
	adj->outer_ip_off = sizeof(eth);
	adj->outer_udp_off = 0;
	if (v6)
		outer6(endpoint, proto, adj);
	else
		outer4(endpoint, proto, adj);
	return 0;
}

void tunnel_outer_finish(
	const struct tunnel_endpoint *endpoint, enum encap encap, struct adjacency *adj)
{
	adj->outer_len = (uint16_t)(adj->header_len - adj->outer_ip_off);
	adj->mtu = mtu_inner(encap, endpoint->remote.family, endpoint->underlay_mtu);
}
