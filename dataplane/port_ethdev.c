/* SPDX-License-Identifier: Apache-2.0 */
/** The ethdev driver: NICs and DPDK's virtual devices (uplinks with driver = "af_packet" are port_packet.c). Which offloads are
 * used: nic_offloads.h; a device that cannot send chains of buffers gets each packet in one. Descriptors
 * to sleep on: af_packet's only, see rx_fd. */
#include "dataplane/ethdev_device.h"
#include "dataplane/nic_offloads.h"
#include "dataplane/nic_receive.h"
#include "dataplane/nic_selftest.h"
#include "dataplane/nic_transmit.h"
#include "dataplane/nic_unproven.h"
#include "dataplane/ethdev_vlan.h"
#include "dataplane/offload.h"
#include "dataplane/port.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <stdlib.h>
#include <string.h>

#define RING_DESCRIPTORS 1024
#define STATS_TICKS	 10 /* of 100 ms */

/* Smaller segments are cut in software: drivers refuse them, at 256 bytes (i40e) and less. */
#define TSO_SEGMENT_MIN 256

struct port_ethdev {
	struct port port;
	uint16_t ethdev;
	bool linearize;	  /* no multi-segment transmit */
	bool kernel_link; /* link state is the kernel interface's */
	uint8_t ticks;
	struct rte_mempool *pool, *large_pool; /* for transmit copies */
	struct ethdev_device device;
	struct nic_offloads offloads;
	struct nic_unproven unproven;
	struct nic_filter filter;
	enum nic_rss rss;
	struct ethdev_vlan vlan;
	char driver[32];
};

/** The largest MTU DPDK will configure, from two limits the driver gives. */
static uint32_t mtu_limit(const struct rte_eth_dev_info *info)
{
	uint32_t overhead = info->max_mtu != UINT16_MAX && info->max_rx_pktlen > info->max_mtu
				    ? info->max_rx_pktlen - info->max_mtu
				    : RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;

	if (info->max_rx_pktlen <= overhead)
		return info->max_mtu;
	return RTE_MIN(info->max_rx_pktlen - overhead, (uint32_t)info->max_mtu);
}

/** What a receive buffer must hold, headroom apart. */
static uint32_t rx_frame_room(const struct port_ethdev *p)
{
	if (p->device.af_packet)
		return p->device.frame_size -
		       (uint32_t)(TPACKET2_HDRLEN - sizeof(struct sockaddr_ll));
	return p->port.mtu + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 2 * RTE_VLAN_HLEN;
}

/** Choose receive buffers that hold a frame, or scatter it. @return the pool, NULL with err filled
 * when neither. */
static struct rte_mempool *rx_pool(const struct port_ethdev *p, const struct port_params *params,
	const struct rte_eth_dev_info *info, struct rte_eth_conf *conf, struct error *err)
{
	uint32_t need = rx_frame_room(p) + RTE_PKTMBUF_HEADROOM;

	if (need <= rte_pktmbuf_data_room_size(params->pool))
		return params->pool;
	if (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER && !p->device.af_packet) {
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
		return params->pool;
	}
	if (params->large_pool != NULL && need <= rte_pktmbuf_data_room_size(params->large_pool))
		return params->large_pool;
	error_set(err, EINVAL, NULL,
		"port %s: frames of MTU %u do not fit a packet buffer and %s cannot scatter them: "
		"lower "
		"the mtu",
		params->name, params->mtu, info->driver_name);
	return NULL;
}

/** Queues, MTU and what else does not change from one configuration to the next. */
static int measure(struct port_ethdev *p, const struct port_params *params,
	const struct rte_eth_dev_info *info, struct error *err)
{
	const uint32_t mtu = ethdev_vlan_mtu(params, info);
	unsigned n = RTE_MIN(info->max_rx_queues, info->max_tx_queues);

	n = RTE_MIN(n, (unsigned)params->n_queues);
	p->port.n_rxq = p->port.n_txq = (uint16_t)RTE_MIN(n, (unsigned)PORT_QUEUE_MAX);
	p->pool = params->pool;
	p->large_pool = params->large_pool;
	snprintf(p->driver, sizeof(p->driver), "%s", info->driver_name);
	/* A kernel interface keeps the MTU its owner gave it; ethdev_device_attach checked that. */
	if (p->device.interface[0] == '\0' &&
		(mtu > mtu_limit(info) || params->mtu < info->min_mtu))
		return error_set(err, EINVAL, NULL, "port %s: %s takes an MTU of %u to %u, not %u",
			params->name, p->device.name, info->min_mtu,
			mtu_limit(info) - (mtu - params->mtu), params->mtu);
	return 0;
}

static int setup_queues(const struct port_ethdev *p, const struct port_params *params,
	const struct rte_eth_conf *conf, struct rte_mempool *pool)
{
	uint16_t n = p->port.n_rxq, rx_descs = RING_DESCRIPTORS, tx_descs = RING_DESCRIPTORS;
	int ret = rte_eth_dev_configure(p->ethdev, n, n, conf);

	if (ret == 0)
		ret = rte_eth_dev_adjust_nb_rx_tx_desc(p->ethdev, &rx_descs, &tx_descs);
	for (uint16_t q = 0; q < n && ret == 0; q++)
		ret = rte_eth_rx_queue_setup(
			p->ethdev, q, rx_descs, (unsigned)params->socket_id, NULL, pool);
	for (uint16_t q = 0; q < n && ret == 0; q++)
		ret = rte_eth_tx_queue_setup(
			p->ethdev, q, tx_descs, (unsigned)params->socket_id, NULL);
	return ret;
}

/** Configure the stopped device with the offloads that are in use, and start it. */
static int configure(struct port_ethdev *p, const struct port_params *params,
	const struct rte_eth_dev_info *info, uint32_t loopback, struct error *err)
{
	struct rte_eth_conf conf = { .lpbk_mode = loopback };
	struct rte_mempool *pool;
	int ret;

	if (p->device.interface[0] == '\0')
		conf.rxmode.mtu = ethdev_vlan_mtu(params, info);
	conf.rxmode.offloads = nic_offloads_rx(&p->offloads, info);
	conf.txmode.offloads = nic_offloads_tx(&p->offloads, info);
	if (loopback == 0) /* the self-test's frames have no tags */
		ethdev_vlan_configure(&p->vlan, params, info, &conf);
	conf.rx_adv_conf.rss_conf.rss_hf = nic_rss_choose(info, p->port.n_rxq, &p->rss);
	if (p->rss != NIC_RSS_NONE) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rxmode.offloads |= info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
	}
	pool = rx_pool(p, params, info, &conf, err);
	if (pool == NULL)
		return -EINVAL;
	ret = setup_queues(p, params, &conf, pool);
	if (ret < 0 && p->rss > NIC_RSS_OUTER) {
		conf.rx_adv_conf.rss_conf.rss_hf = nic_rss_outer(info, &p->rss);
		ret = setup_queues(p, params, &conf, pool);
	}
	if (ret < 0)
		return error_set(err, -ret, NULL,
			"port %s: device %s refuses its configuration (%u queues, MTU %u): %s",
			params->name, p->device.name, p->port.n_rxq, params->mtu,
			rte_strerror(-ret));
	p->linearize = !(conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	ret = rte_eth_dev_start(p->ethdev);
	if (ret < 0)
		return error_set(err, -ret, NULL, "port %s: device %s does not start: %s",
			params->name, p->device.name, rte_strerror(-ret));
	return 0;
}

/** Start the device with the offloads that it announces and does right. */
static int start(struct port_ethdev *p, const struct port_params *params, struct error *err)
{
	struct nic_selftest test = { .port = params->name,
		.driver = p->driver,
		.ethdev = p->ethdev,
		.mtu = params->mtu,
		.pool = params->pool,
		.offloads = &p->offloads };
	struct rte_eth_dev_info info;
	struct error ignored = { 0 };
	uint32_t loopback;
	unsigned failed = 0;
	int ret;

	ret = rte_eth_dev_info_get(p->ethdev, &info);
	if (ret < 0)
		return error_set(err, -ret, NULL, "port %s: device %s does not answer: %s",
			params->name, p->device.name, rte_strerror(-ret));
	ret = measure(p, params, &info, err);
	if (ret < 0)
		return ret;
	test.n_rxq = p->port.n_rxq;
	nic_offloads_choose(&p->offloads, &info, params->disabled, params->n_disabled);
	loopback = nic_selftest_loopback(p->driver);
	if (loopback != 0 && nic_offloads_any(&p->offloads)) {
		nic_offloads_unverified(&p->offloads, "its loopback mode does not start");
		if (configure(p, params, &info, loopback, &ignored) == 0) {
			nic_selftest_prepare(&test);
			nic_selftest_loop(&test);
			rte_eth_dev_stop(p->ethdev);
		}
	} else {
		nic_offloads_unverified(&p->offloads, "its driver has no loopback mode");
	}
	ret = configure(p, params, &info, 0, err);
	if (ret == 0)
		failed = nic_selftest_prepare(&test);
	if (failed == 0)
		return ret;
	rte_eth_dev_stop(p->ethdev);
	return configure(p, params, &info, 0, err);
}

/** What the packet path may leave to the device. */
static void announce(struct port_ethdev *p)
{
	struct rte_eth_dev_info info;
	uint16_t most = 0;

	p->port.offloads = nic_offloads_port(&p->offloads);
	if (p->vlan.insert)
		p->port.offloads |= PORT_TX_VLAN;
	nic_unproven_begin(&p->unproven, &p->offloads);
	if (rte_eth_dev_info_get(p->ethdev, &info) == 0)
		most = info.tx_desc_lim.nb_seg_max;
	p->port.large = (struct port_large){ .segment_min = TSO_SEGMENT_MIN,
		.buffers_max = most != 0 ? most : UINT16_MAX };
}

/** Receive frames for the wanted MAC. The device's own is left alone when a kernel interface shares it. */
static int set_mac(struct port_ethdev *p, const struct port_params *params, struct error *err)
{
	struct rte_ether_addr own;
	int ret = rte_eth_macaddr_get(p->ethdev, &own);

	if (ret < 0)
		return error_set(err, -ret, NULL, "port %s: device %s has no MAC address",
			params->name, p->device.name);
	p->port.mac = params->port_mac;
	if (mac_addr_is_zero(&params->port_mac))
		memcpy(p->port.mac.bytes, own.addr_bytes, sizeof(own.addr_bytes));
	return nic_filter_set(p->ethdev, params->name, p->device.name, &p->port.mac,
		p->device.interface[0] != '\0', &p->filter, err);
}

static void update_link(struct port_ethdev *p)
{
	struct rte_eth_link link = { 0 };
	bool up;

	if (p->kernel_link) {
		int flags = kernel_interface_flags(p->device.interface);

		up = flags >= 0 && (flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
	} else {
		up = rte_eth_link_get_nowait(p->ethdev, &link) == 0 &&
		     link.link_status == RTE_ETH_LINK_UP;
	}
	atomic_store_explicit(&p->port.link_up, up, memory_order_relaxed);
}

static int ethdev_open(const struct port_params *params, struct port **out, struct error *err)
{
	struct port_ethdev *p = calloc(1, sizeof(*p));
	int ret;

	if (p == NULL)
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", params->name);
	ret = ethdev_device_parse(params, &p->device, err);
	if (ret < 0)
		goto free_port;
	p->port.ops = &port_ethdev_ops;
	p->port.mtu = params->mtu;
	snprintf(p->port.name, sizeof(p->port.name), "%s", params->name);
	p->kernel_link = p->device.interface[0] != '\0';
	ret = ethdev_device_attach(&p->device, params, &p->ethdev, err);
	if (ret < 0)
		goto free_port;
	ret = start(p, params, err);
	if (ret < 0)
		goto release_device;
	ret = set_mac(p, params, err);
	if (ret == 0)
		ret = ethdev_vlan_start(&p->vlan, p->ethdev, params->name, err);
	if (ret < 0)
		goto stop_device;
	if (params->interface != NULL)
		nic_admit_vlans(p->ethdev, params->name, p->driver);
	if (p->device.interface[0] == '\0')
		nic_tell_vxlan_ports(p->ethdev);
	announce(p);
	update_link(p);
	*out = &p->port;
	return 0;

stop_device:
	rte_eth_dev_stop(p->ethdev);
release_device:
	ethdev_device_release(&p->device, p->ethdev);
free_port:
	free(p);
	return ret;
}

static void ethdev_close(struct port *port)
{
	struct port_ethdev *p = (struct port_ethdev *)port;

	rte_eth_dev_stop(p->ethdev);
	ethdev_device_release(&p->device, p->ethdev);
	free(p);
}

static uint16_t ethdev_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return rte_eth_rx_burst(((struct port_ethdev *)port)->ethdev, queue, pkts, n);
}

/** Make one packet what the device can send; it may be replaced. */
static bool tx_fit_one(const struct port_ethdev *p, uint16_t queue, struct rte_mbuf **pkt)
{
	struct rte_mbuf *m = *pkt;

	if (p->linearize && !rte_pktmbuf_is_contiguous(m)) {
		m = offload_linearize(m, p->pool, p->large_pool);
		if (m == NULL)
			return false;
		*pkt = m;
	}
	return nic_transmit_prepare(p->ethdev, queue, pkt, p->offloads.ipv4_checksum);
}

/** Make a burst what the device can send. @return how many can be sent; the others stay the
 * caller's. */
static uint16_t tx_fit(
	const struct port_ethdev *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n;) {
		if (likely(tx_fit_one(p, queue, &pkts[i])))
			i++;
		else
			n = port_tx_refuse(pkts, i, n);
	}
	return n;
}

static uint16_t ethdev_tx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_ethdev *p = (struct port_ethdev *)port;

	if (p->linearize || port->offloads != 0)
		n = tx_fit(p, queue, pkts, n);
	if (unlikely(atomic_load_explicit(&p->unproven.waiting, memory_order_relaxed) != 0))
		return nic_unproven_send(&p->unproven, p->ethdev, queue, pkts, n);
	return rte_eth_tx_burst(p->ethdev, queue, pkts, n);
}

/** af_packet's sockets poll readable while their ring holds a frame. Other virtual devices keep their
 * descriptors to themselves and NIC interrupts need per-driver care: workers look by the clock. */
static int ethdev_rx_fd(struct port *port, uint16_t queue)
{
	const struct port_ethdev *p = (const struct port_ethdev *)port;

	return p->device.n_sockets == port->n_rxq ? p->device.sockets[queue] : -1;
}

/** Take from use what the driver never takes. */
static void disprove(struct port_ethdev *p, uint64_t sent)
{
	const uint32_t lacking = nic_unproven_look(&p->unproven, sent);
	struct nic_selftest test = {
		.port = p->port.name, .driver = p->driver, .offloads = &p->offloads
	};

	for (unsigned i = 0; i < NIC_OFFLOADS; i++) {
		if (lacking & 1u << i)
			nic_selftest_fall_back(&test, (enum nic_offload)i, NIC_REFUSED,
				"its driver takes no packet that needs it");
	}
	if (lacking != 0)
		atomic_store_explicit(
			&p->port.offloads, nic_offloads_port(&p->offloads), memory_order_relaxed);
}

static void ethdev_tick(struct port *port)
{
	struct port_ethdev *p = (struct port_ethdev *)port;
	struct rte_eth_stats stats;

	update_link(p);
	if (++p->ticks < STATS_TICKS)
		return;
	p->ticks = 0;
	if (rte_eth_stats_get(p->ethdev, &stats) < 0)
		return;
	atomic_store_explicit(&port->rx_errors, stats.imissed + stats.ierrors + stats.rx_nombuf,
		memory_order_relaxed);
	disprove(p, stats.opackets);
}

static void ethdev_describe(const struct port *port, json_t *obj)
{
	const struct port_ethdev *p = (const struct port_ethdev *)port;
	struct rte_eth_link link = { 0 };

	json_object_set_new(obj, "device", json_string(p->device.devargs));
	json_object_set_new(obj, "device_driver", json_string(p->driver));
	json_object_set_new(obj, "multi_segment_tx", json_boolean(!p->linearize));
	json_object_set_new(obj, "nic_offloads", nic_offloads_json(&p->offloads));
	json_object_set_new(obj, "rss", json_string(nic_rss_name(p->rss)));
	json_object_set_new(
		obj, "promiscuous", json_boolean(rte_eth_promiscuous_get(p->ethdev) == 1));
	json_object_set_new(obj, "multicast", json_string(p->filter.multicast));
	json_object_set_new(obj, "numa_node", json_integer(rte_eth_dev_socket_id(p->ethdev)));
	if (p->vlan.id != 0)
		ethdev_vlan_describe(&p->vlan, obj);
	if (p->device.interface[0] != '\0')
		json_object_set_new(obj, "interface", json_string(p->device.interface));
	if (rte_eth_link_get_nowait(p->ethdev, &link) == 0 &&
		link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		json_object_set_new(obj, "speed_mbps", json_integer(link.link_speed));
}

/** Virtual devices are said to be on the node of whoever made them. */
static int ethdev_numa_node(const struct port *port)
{
	const struct port_ethdev *p = (const struct port_ethdev *)port;
	struct rte_eth_dev_info info;

	if (rte_eth_dev_info_get(p->ethdev, &info) < 0 || info.device == NULL ||
		strcmp(rte_bus_name(rte_dev_bus(info.device)), "pci") != 0)
		return -1;
	return rte_eth_dev_socket_id(p->ethdev);
}

const struct port_ops port_ethdev_ops = {
	.name = "ethdev",
	.open = ethdev_open,
	.close = ethdev_close,
	.rx_burst = ethdev_rx_burst,
	.tx_burst = ethdev_tx_burst,
	.rx_fd = ethdev_rx_fd,
	.numa_node = ethdev_numa_node,
	.tick = ethdev_tick,
	.describe = ethdev_describe,
};
