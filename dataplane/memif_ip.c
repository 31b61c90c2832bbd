/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/memif_ip.h"

#include "dataplane/memif_queue.h"
#include "dataplane/port.h"

#include <rte_ether.h>
#include <string.h>

#define IP_MAX (MEMIF_FRAME_MAX - sizeof(struct rte_ether_hdr))

static rte_be16_t ether_type(uint8_t first)
{
	switch (first >> 4) {
	case 4:
		return RTE_BE16(RTE_ETHER_TYPE_IPV4);
	case 6:
		return RTE_BE16(RTE_ETHER_TYPE_IPV6);
	default:
		return 0;
	}
}

uint16_t memif_ip_received(struct rte_mbuf **pkts, uint16_t n, const struct mac_addr *own,
	const struct mac_addr *peer, uint32_t *bad)
{
	uint16_t out = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		rte_be16_t type = ether_type(*rte_pktmbuf_mtod(m, const uint8_t *));
		struct rte_ether_hdr *eth = NULL;

		if (type != 0 && rte_pktmbuf_pkt_len(m) <= IP_MAX)
			eth = (struct rte_ether_hdr *)rte_pktmbuf_prepend(m, sizeof(*eth));
		if (eth == NULL) {
			(*bad)++;
			rte_pktmbuf_free(m);
			continue;
		}
		memcpy(&eth->dst_addr, own->bytes, sizeof(eth->dst_addr));
		memcpy(&eth->src_addr, peer->bytes, sizeof(eth->src_addr));
		eth->ether_type = type;
		pkts[out++] = m;
	}
	return out;
}

uint16_t memif_ip_strip(struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n;) {
		const struct rte_ether_hdr *eth =
			rte_pktmbuf_mtod(pkts[i], const struct rte_ether_hdr *);

		if (rte_pktmbuf_data_len(pkts[i]) > sizeof(*eth) &&
			(eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
				eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6))) {
			rte_pktmbuf_adj(pkts[i], sizeof(*eth));
			i++;
		} else {
			n = port_tx_refuse(pkts, i, n);
		}
	}
	return n;
}

void memif_ip_unstrip(struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		rte_pktmbuf_prepend(pkts[i], sizeof(struct rte_ether_hdr));
}
