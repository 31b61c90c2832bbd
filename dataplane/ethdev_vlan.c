/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/ethdev_vlan.h"

#include "config/log.h"

#include <rte_errno.h>
#include <rte_ether.h>

uint32_t ethdev_vlan_mtu(const struct port_params *params, const struct rte_eth_dev_info *info)
{
	const uint32_t l2 = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + RTE_VLAN_HLEN;
	/* As DPDK computes it: what a driver that gives no MTU means is not known. */
	const bool known = info->max_mtu != UINT16_MAX && info->max_rx_pktlen > info->max_mtu;

	if (params->vlan == 0 || (known && info->max_rx_pktlen - info->max_mtu >= l2))
		return params->mtu;
	return params->mtu + (uint32_t)RTE_VLAN_HLEN;
}

void ethdev_vlan_configure(struct ethdev_vlan *vlan, const struct port_params *params,
	const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	const bool whole = params->interface == NULL;

	*vlan = (struct ethdev_vlan){ .id = params->vlan };
	if (vlan->id == 0)
		return;
	vlan->strip = whole && (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;
	/* Intel's e1000 family has one switch for both (CTRL.VME), and its drivers set it for stripping only. */
	vlan->insert = vlan->strip && (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT) != 0;
	vlan->filter = whole && (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_FILTER) != 0;
	if (vlan->insert)
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	if (vlan->strip)
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	if (vlan->filter)
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
}

int ethdev_vlan_start(
	struct ethdev_vlan *vlan, uint16_t ethdev, const char *port, struct error *err)
{
	int ret, on;

	if (!vlan->filter)
		return 0;
	ret = rte_eth_dev_vlan_filter(ethdev, vlan->id, 1);
	if (ret == 0)
		return 0;
	LOG_WARNING("the device filters no VLANs, frames of others are dropped one by one "
		    "port=%s error=\"%s\"",
		port, rte_strerror(-ret));
	vlan->filter = false;
	on = rte_eth_dev_get_vlan_offload(ethdev);
	ret = on < 0 ? on : rte_eth_dev_set_vlan_offload(ethdev, on & ~RTE_ETH_VLAN_FILTER_OFFLOAD);
	if (ret < 0)
		return error_set(err, -ret, NULL,
			"port %s: the device does not let VLAN %u through its filter, and does not "
			"turn the filter off: %s",
			port, vlan->id, rte_strerror(-ret));
	return 0;
}

void ethdev_vlan_describe(const struct ethdev_vlan *vlan, json_t *obj)
{
	json_t *list = json_array();

	if (vlan->insert)
		json_array_append_new(list, json_string("insert"));
	if (vlan->strip)
		json_array_append_new(list, json_string("strip"));
	if (vlan->filter)
		json_array_append_new(list, json_string("filter"));
	json_object_set_new(obj, "vlan_offloads", list);
}
