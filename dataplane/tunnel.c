/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tunnel.h"

#include <rte_branch_prediction.h>
#include <stdlib.h>
#include <string.h>

#define ECN_MASK 3u
#define SLOT_MIN 16u

/* --- table --- */

static __rte_always_inline bool is_local(
	const struct tunnel_table *table, bool v6, const uint8_t *addr)
{
	for (unsigned i = 0; i < table->n_local; i++) {
		if (tunnel_address_is(&table->local[i], v6, addr))
			return true;
	}
	return false;
}

struct tunnel_table *tunnel_table_new(const struct mac_addr *vtep_mac, const uint16_t *ports,
	size_t n_ports, const struct ip_addr *local, size_t n_local,
	const struct tunnel_peer *peers, size_t n_peers)
{
	static uint64_t serial; /* control thread only */
	struct tunnel_table *table;
	uint32_t slots = SLOT_MIN;

	while (slots < n_peers * 2)
		slots *= 2;
	table = calloc(1, sizeof(*table) + slots * sizeof(table->slots[0]));
	if (table == NULL)
		return NULL;
	table->serial = ++serial;
	table->vtep_mac = *vtep_mac;
	for (size_t i = 0; i < n_ports && i < RTE_DIM(table->vxlan_ports); i++)
		table->vxlan_ports[table->n_vxlan_ports++] = ports[i];
	for (size_t i = 0; i < n_local && i < RTE_DIM(table->local); i++)
		table->local[table->n_local++] = local[i];
	table->mask = slots - 1;
	for (size_t i = 0; i < n_peers; i++) {
		uint32_t slot = tunnel_peer_slot(
			table, peers[i].underlay.family == IP_V6, peers[i].underlay.bytes);

		while (table->slots[slot].underlay.family != IP_NONE)
			slot = (slot + 1) & table->mask;
		table->slots[slot] = peers[i];
	}
	return table;
}

void tunnel_table_free(void *table)
{
	free(table);
}

bool tunnel_is_local(const struct tunnel_table *table, uint8_t family, const uint8_t *addr)
{
	return family == IP_V6 ? is_local(table, true, addr) : is_local(table, false, addr);
}

/* --- the end of every decapsulation --- */

int tunnel_ecn_merge(uint8_t outer, uint8_t inner)
{
	static const int8_t merged[4][4] = {
		/* outer: Not-ECT, ECT(1), ECT(0), CE */
		[0] = { 0, 0, 0, -1 }, /* inner Not-ECT */
		[1] = { 1, 1, 1, 3 },  /* inner ECT(1) */
		[2] = { 2, 1, 2, 3 },  /* inner ECT(0) */
		[3] = { 3, 3, 3, 3 },  /* inner CE */
	};

	return merged[inner & ECN_MASK][outer & ECN_MASK];
}

/** Write the TOS into the IP header at p->l2_len, the checksum following (RFC 1624 equation 3). */
static void tos_set(struct rte_mbuf *m, struct pkt *p, uint8_t tos)
{
	if (p->flags & PKT_V6) {
		struct rte_ipv6_hdr *ip =
			rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, p->l2_len);

		ip->vtc_flow = (ip->vtc_flow & ~RTE_BE32(RTE_IPV6_HDR_TC_MASK)) |
			       rte_cpu_to_be_32((uint32_t)tos << RTE_IPV6_HDR_TC_SHIFT);
	} else {
		struct rte_ipv4_hdr *ip =
			rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, p->l2_len);
		uint32_t sum = (uint16_t)~ip->hdr_checksum;

		sum += (uint16_t)~rte_cpu_to_be_16(ip->type_of_service);
		sum += rte_cpu_to_be_16(tos);
		ip->type_of_service = tos;
		ip->hdr_checksum = (uint16_t)~__rte_raw_cksum_reduce(sum);
	}
	p->tos = tos;
}

struct parsed tunnel_inner(struct rte_mbuf *m, struct pkt *p, uint32_t off, unsigned version)
{
	const uint8_t outer = p->tos & ECN_MASK;
	struct parsed parsed;
	int ecn;

	if (rte_pktmbuf_adj(m, (uint16_t)off) == NULL)
		return (struct parsed){ PKT_DROP, DROP_tunnel_malformed };
	tunnel_strip_offloads(m);
	parsed = version == 0 ? pkt_parse_ether(m, p, ZONE_TUNNEL)
			      : pkt_parse_ip(m, p, ZONE_TUNNEL, version, 0);
	if (unlikely(parsed.class == PKT_ARP))
		return (struct parsed){ PKT_DROP, DROP_arp_ignored };
	if (unlikely(parsed.class == PKT_ND))
		return (struct parsed){ PKT_DROP, DROP_nd_ignored };
	if (parsed.class == PKT_DROP || likely(outer == (p->tos & ECN_MASK)))
		return parsed;
	ecn = tunnel_ecn_merge(outer, p->tos & ECN_MASK);
	if (ecn < 0)
		return (struct parsed){ PKT_DROP, DROP_tunnel_bad_ecn };
	if ((uint8_t)ecn != (p->tos & ECN_MASK))
		tos_set(m, p, (uint8_t)((p->tos & ~ECN_MASK) | (uint8_t)ecn));
	return parsed;
}
