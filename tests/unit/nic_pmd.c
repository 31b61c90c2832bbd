/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/nic_pmd.h"

#include "tests/unit/frames.h"
#include "tests/unit/nic_finish.h"

#include <errno.h>
#include <rte_thash.h>

#define ETHER	 14u
#define VXLAN	 30u /* UDP, VXLAN, Ethernet */
#define PREPARED 64

struct nic nic;

static struct nic_queue {
	uint16_t id;
	struct rte_mbuf *waiting[NIC_WIRE_MAX];
	unsigned n;
} queues[NIC_QUEUES];
static void *queue_list[NIC_QUEUES];
static const struct rte_mbuf *prepared_last[PREPARED];
static unsigned prepared_next;

static bool was_prepared(const struct rte_mbuf *m)
{
	for (unsigned i = 0; i < PREPARED; i++) {
		if (prepared_last[i] == m) {
			prepared_last[i] = NULL;
			return true;
		}
	}
	return false;
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* --- receive -------------------------------------------------------------------------------------------------- */

/** Offset of the IP header that is hashed. */
static uint32_t hashed_header(const uint8_t *b, uint64_t fields)
{
	const uint8_t *ip = b + ETHER;
	const bool v6 = ip[0] >> 4 == 6;
	const uint32_t l3 = v6 ? 40 : 20, proto = v6 ? ip[6] : ip[9];

	if (!(fields & RTE_ETH_RSS_LEVEL_INNERMOST))
		return ETHER;
	if (proto == IPPROTO_IPIP || proto == IPPROTO_IPV6)
		return ETHER + l3;
	return proto == IPPROTO_UDP && get16(ip + l3 + 2) == 4789 ? ETHER + l3 + VXLAN : ETHER;
}

static uint32_t toeplitz(const uint8_t *b, uint64_t fields)
{
	/* The key of Microsoft's description of RSS, which drivers have as their default. */
	static const uint8_t key[] = { 0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
		0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4,
		0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac,
		0x01, 0xfa };
	const uint8_t *ip = b + hashed_header(b, fields);
	const bool v6 = ip[0] >> 4 == 6;
	const uint32_t proto = v6 ? ip[6] : ip[9], from = v6 ? 8 : 12;
	uint32_t words[9], n = v6 ? 8 : 2;

	for (uint32_t i = 0; i < n; i++)
		words[i] = get16(ip + from + 4 * i) << 16 | get16(ip + from + 4 * i + 2);
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP) {
		const uint8_t *l4 = ip + (v6 ? 40 : 20);

		words[n++] = get16(l4) << 16 | get16(l4 + 2);
	}
	return rte_softrss(words, n, key);
}

/** What it says about the TCP or UDP checksum of a frame without a tunnel. */
static uint64_t receive_flags(const uint8_t *b, uint32_t len)
{
	const uint8_t *ip = b + ETHER;
	const bool v6 = ip[0] >> 4 == 6;
	const uint32_t l4 = ETHER + (v6 ? 40u : 20u), proto = v6 ? ip[6] : ip[9];

	if (!(nic.conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_CKSUM) ||
		(proto != IPPROTO_TCP && proto != IPPROTO_UDP))
		return 0;
	if (nic.lie[NIC_RX_CSUM] != NIC_HONEST && (!nic.lie_v6_only || v6))
		return RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	return naive_sum(b + l4, len - l4,
		       naive_sum(ip + (v6 ? 8 : 12), v6 ? 32 : 8, proto + len - l4)) == 0xffff
		       ? RTE_MBUF_F_RX_L4_CKSUM_GOOD
		       : RTE_MBUF_F_RX_L4_CKSUM_BAD;
}

uint16_t nic_receive(const uint8_t *frame, uint32_t len)
{
	const bool rss = nic.conf.rxmode.mq_mode == RTE_ETH_MQ_RX_RSS && nic.n_rxq > 1;
	const uint16_t q =
		rss ? (uint16_t)(toeplitz(frame, nic.conf.rx_adv_conf.rss_conf.rss_hf) % nic.n_rxq)
		    : 0;
	struct rte_mbuf *m = nic_frame(frame, len);

	if (m != NULL) {
		m->ol_flags = receive_flags(frame, len);
		queues[q].waiting[queues[q].n++ % NIC_WIRE_MAX] = m;
	}
	return q;
}

/* --- the device ----------------------------------------------------------------------------------------------- */

static uint16_t nic_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct nic_queue *q = queue;
	const uint16_t take = (uint16_t)RTE_MIN(n, q->n);

	memcpy(pkts, q->waiting, take * sizeof(pkts[0]));
	memmove(q->waiting, q->waiting + take, (q->n - take) * sizeof(pkts[0]));
	q->n -= take;
	return take;
}

static uint16_t nic_tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *out[64];

	(void)queue;
	for (uint16_t i = 0; i < n; i++) {
		unsigned k;

		if (nic_asks(pkts[i]) && (nic.stuck_at & 1u << nic_needs(pkts[i])))
			return i;
		nic.sent++;
		k = nic_finish(pkts[i], nic.conf.txmode.offloads, was_prepared(pkts[i]), out,
			RTE_DIM(out));

		for (unsigned f = 0; f < k; f++) {
			if (nic.conf.lpbk_mode == 0 && nic.n_wire < NIC_WIRE_MAX) {
				nic.wire[nic.n_wire++] = out[f];
				continue;
			}
			if (nic.conf.lpbk_mode != 0 && nic.loops)
				nic_receive(
					rte_pktmbuf_mtod(out[f], const uint8_t *), out[f]->pkt_len);
			rte_pktmbuf_free(out[f]);
		}
	}
	return n;
}

static uint16_t nic_prepare(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	for (uint16_t i = 0; i < n; i++) {
		if (nic_asks(pkts[i]) && (nic.refuses & 1u << nic_needs(pkts[i]))) {
			rte_errno = ENOTSUP;
			return i;
		}
		prepared_last[prepared_next++ % PREPARED] = pkts[i];
	}
	return n;
}

void nic_clear(void)
{
	rte_pktmbuf_free_bulk(nic.wire, nic.n_wire);
	nic.n_wire = 0;
	for (unsigned q = 0; q < NIC_QUEUES; q++) {
		rte_pktmbuf_free_bulk(queues[q].waiting, queues[q].n);
		queues[q].n = 0;
	}
}

void nic_reset(struct rte_mempool *pool)
{
	nic_clear();
	memset(prepared_last, 0, sizeof(prepared_last));
	nic = (struct nic){ .driver = "net_ixgbe",
		.tx_capa = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			   RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO |
			   RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM |
			   RTE_ETH_TX_OFFLOAD_OUTER_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_VXLAN_TNL_TSO |
			   RTE_ETH_TX_OFFLOAD_IPIP_TNL_TSO,
		.rx_capa = RTE_ETH_RX_OFFLOAD_CHECKSUM,
		.rss_capa =
			RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_LEVEL_MASK,
		.buffers_max = 40,
		.loops = true,
		.pool = pool,
		.mac = { { 2, 0, 0, 0, 0, 0x11 } } };
	for (uint16_t q = 0; q < NIC_QUEUES; q++) {
		queues[q].id = q;
		queue_list[q] = &queues[q];
	}
}

/* --- the calls of ethdev -------------------------------------------------------------------------------------- */

static bool is_nic(uint16_t ethdev)
{
	char name[RTE_ETH_NAME_MAX_LEN];

	return rte_eth_dev_get_name_by_port(ethdev, name) == 0 && strcmp(name, NIC_DEVICE) == 0;
}

#define WRAP(result, name, ...)                    \
	result __real_rte_eth_##name(__VA_ARGS__); \
	result __wrap_rte_eth_##name(__VA_ARGS__); \
	result __wrap_rte_eth_##name(__VA_ARGS__)

WRAP(int, dev_info_get, uint16_t id, struct rte_eth_dev_info *info)
{
	const int ret = __real_rte_eth_dev_info_get(id, info);

	if (ret < 0 || !is_nic(id))
		return ret;
	info->driver_name = nic.driver;
	info->tx_offload_capa = nic.tx_capa;
	info->rx_offload_capa = nic.rx_capa;
	info->flow_type_rss_offloads = nic.rss_capa;
	info->tx_desc_lim.nb_seg_max = nic.buffers_max;
	return 0;
}

WRAP(int, dev_configure, uint16_t id, uint16_t n_rxq, uint16_t n_txq,
	const struct rte_eth_conf *conf)
{
	struct rte_eth_conf plain = { .rxmode = { .mtu = conf->rxmode.mtu } };

	if (!is_nic(id))
		return __real_rte_eth_dev_configure(id, n_rxq, n_txq, conf);
	if (nic.started)
		return -EBUSY;
	if ((conf->txmode.offloads & ~nic.tx_capa) || (conf->rxmode.offloads & ~nic.rx_capa) ||
		(conf->rx_adv_conf.rss_conf.rss_hf & ~nic.rss_capa))
		return -EINVAL;
	if (nic.rss_level_refused &&
		(conf->rx_adv_conf.rss_conf.rss_hf & RTE_ETH_RSS_LEVEL_INNERMOST))
		return -EINVAL;
	nic.conf = *conf;
	nic.n_rxq = n_rxq;
	return __real_rte_eth_dev_configure(id, n_rxq, n_txq, &plain);
}

WRAP(int, dev_start, uint16_t id)
{
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[id];
	int ret;

	if (is_nic(id) && nic.conf.lpbk_mode != 0 && nic.loopback_fails)
		return -ENOTSUP;
	ret = __real_rte_eth_dev_start(id);
	if (ret < 0 || !is_nic(id))
		return ret;
	ops->rx_pkt_burst = nic_rx;
	ops->tx_pkt_burst = nic_tx;
	ops->tx_pkt_prepare = nic_prepare;
	ops->rxq.data = queue_list;
	ops->txq.data = queue_list;
	nic.started = true;
	nic.starts++;
	return 0;
}

WRAP(int, dev_stop, uint16_t id)
{
	if (is_nic(id))
		nic.started = false;
	return __real_rte_eth_dev_stop(id);
}

WRAP(int, macaddr_get, uint16_t id, struct rte_ether_addr *mac)
{
	if (!is_nic(id))
		return __real_rte_eth_macaddr_get(id, mac);
	*mac = nic.mac;
	return 0;
}

WRAP(int, dev_default_mac_addr_set, uint16_t id, struct rte_ether_addr *mac)
{
	if (!is_nic(id))
		return __real_rte_eth_dev_default_mac_addr_set(id, mac);
	if (nic.fixed_mac)
		return -ENOTSUP;
	nic.mac = *mac;
	return 0;
}

WRAP(int, dev_mac_addr_add, uint16_t id, struct rte_ether_addr *mac, uint32_t pool)
{
	return is_nic(id) ? -ENOTSUP : __real_rte_eth_dev_mac_addr_add(id, mac, pool);
}

WRAP(int, promiscuous_enable, uint16_t id)
{
	if (!is_nic(id))
		return __real_rte_eth_promiscuous_enable(id);
	nic.promiscuous = !nic.no_promiscuity;
	return nic.no_promiscuity ? -EPERM : 0;
}

WRAP(int, promiscuous_get, uint16_t id)
{
	return is_nic(id) ? nic.promiscuous : __real_rte_eth_promiscuous_get(id);
}

WRAP(int, allmulticast_enable, uint16_t id)
{
	if (!is_nic(id))
		return __real_rte_eth_allmulticast_enable(id);
	nic.allmulticast = !nic.no_multicast;
	return nic.no_multicast ? -EPERM : 0;
}

WRAP(int, stats_get, uint16_t id, struct rte_eth_stats *stats)
{
	const int ret = __real_rte_eth_stats_get(id, stats);

	if (ret == 0 && is_nic(id))
		stats->opackets = nic.sent;
	return ret;
}

WRAP(int, dev_udp_tunnel_port_add, uint16_t id, struct rte_eth_udp_tunnel *tunnel)
{
	if (!is_nic(id))
		return __real_rte_eth_dev_udp_tunnel_port_add(id, tunnel);
	nic.told_ports++;
	return 0;
}
