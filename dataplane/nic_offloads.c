/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/nic_offloads.h"

#include "dataplane/port.h"

#include <stdio.h>
#include <string.h>

#define TX(word) RTE_ETH_TX_OFFLOAD_##word
#define CSUM	 (TX(TCP_CKSUM) | TX(UDP_CKSUM))
#define CUT	 (TX(TCP_TSO) | TX(MULTI_SEGS))
#define INNER	 (TX(IPV4_CKSUM) | TX(OUTER_IPV4_CKSUM))
#define VXLAN	 (TX(VXLAN_TNL_TSO) | TX(UDP_TNL_TSO))
#define IPIP	 (TX(IPIP_TNL_TSO) | TX(IP_TNL_TSO))

/** All of `needs`, and one of `any` when there are some. IPv4 headers have their checksums already; those of segments are seen to
 * by whoever cuts, also by devices that announce no IPV4_CKSUM (virtio, vmxnet3). No word says "checksums inside a tunnel".
 * Drivers that announce segmentation there find the headers there; some that announce only outer IPv4 checksums (ixgbe) do so
 * over IPv4 only. */
static const struct {
	const char *name;
	uint64_t needs, any;
	uint16_t port; /* enum port_offload */
} offloads[NIC_OFFLOADS] = {
	[NIC_RX_CSUM] = { "rx-checksum", 0, 0, 0 },
	[NIC_TX_CSUM] = { "tx-checksum", CSUM, 0, PORT_TX_CSUM },
	[NIC_TX_TSO] = { "tx-segmentation", CSUM | CUT, 0, PORT_TX_TSO },
	[NIC_VXLAN_CSUM] = { "tx-vxlan-checksum", CSUM | INNER, VXLAN, PORT_TX_VXLAN_CSUM },
	[NIC_VXLAN_TSO] = { "tx-vxlan-segmentation", CSUM | CUT | INNER, VXLAN, PORT_TX_VXLAN_TSO },
	[NIC_IPIP_CSUM] = { "tx-ipip-checksum", CSUM | INNER, IPIP, PORT_TX_IPIP_CSUM },
	[NIC_IPIP_TSO] = { "tx-ipip-segmentation", CSUM | CUT | INNER, IPIP, PORT_TX_IPIP_TSO },
	[NIC_OUTER_UDP_CSUM] = { "tx-outer-udp-checksum", CSUM | INNER | TX(OUTER_UDP_CKSUM), VXLAN,
		PORT_TX_OUTER_UDP_CSUM },
};

static const char *const states[] = {
	[NIC_LACKED] = "lacked",
	[NIC_DISABLED] = "disabled",
	[NIC_REFUSED] = "refused",
	[NIC_WRONG] = "wrong",
	[NIC_CLAIMED] = "not verified",
	[NIC_VERIFIED] = "verified",
};

const char *nic_offload_name(enum nic_offload offload)
{
	return offloads[offload].name;
}

static bool is_disabled(enum nic_offload offload, const char *const *disabled, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(disabled[i], "all") == 0 ||
			strcmp(disabled[i], offloads[offload].name) == 0)
			return true;
	}
	return false;
}

static bool announced(
	enum nic_offload offload, const struct rte_eth_dev_info *info, char *why, size_t size)
{
	const uint64_t needs = offloads[offload].needs, any = offloads[offload].any;
	uint64_t missing = needs & ~info->tx_offload_capa;

	if (offload == NIC_RX_CSUM)
		return (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM) != 0;
	if (missing == 0 && any != 0 && !(info->tx_offload_capa & any))
		missing = any;
	if (missing == 0)
		return true;
	snprintf(why, size, "%s announces no %s", info->driver_name,
		rte_eth_dev_tx_offload_name(missing & (~missing + 1)));
	return false;
}

void nic_offloads_choose(struct nic_offloads *o, const struct rte_eth_dev_info *info,
	const char *const *disabled, size_t n_disabled)
{
	memset(o, 0, sizeof(*o));
	o->ipv4_checksum = (info->tx_offload_capa & TX(IPV4_CKSUM)) != 0;
	for (unsigned i = 0; i < NIC_OFFLOADS; i++) {
		if (!announced((enum nic_offload)i, info, o->of[i].why, sizeof(o->of[i].why)))
			o->of[i].state = NIC_LACKED;
		else if (is_disabled((enum nic_offload)i, disabled, n_disabled))
			nic_offloads_set(
				o, (enum nic_offload)i, NIC_DISABLED, "by disabled_offloads");
		else
			o->of[i].state = NIC_CLAIMED;
	}
}

bool nic_offloads_used(const struct nic_offloads *o, enum nic_offload offload)
{
	return o->of[offload].state >= NIC_CLAIMED;
}

void nic_offloads_set(struct nic_offloads *o, enum nic_offload offload,
	enum nic_offload_state state, const char *why)
{
	o->of[offload].state = (uint8_t)state;
	snprintf(o->of[offload].why, sizeof(o->of[offload].why), "%s", why);
}

bool nic_offloads_any(const struct nic_offloads *o)
{
	for (unsigned i = 0; i < NIC_OFFLOADS; i++) {
		if (nic_offloads_used(o, (enum nic_offload)i))
			return true;
	}
	return false;
}

void nic_offloads_unverified(struct nic_offloads *o, const char *why)
{
	for (unsigned i = 0; i < NIC_OFFLOADS; i++) {
		if (nic_offloads_used(o, (enum nic_offload)i))
			nic_offloads_set(o, (enum nic_offload)i, NIC_CLAIMED, why);
	}
}

uint64_t nic_offloads_tx(const struct nic_offloads *o, const struct rte_eth_dev_info *info)
{
	uint64_t words = info->tx_offload_capa & TX(MULTI_SEGS);

	if (nic_offloads_used(o, NIC_TX_CSUM) || nic_offloads_used(o, NIC_TX_TSO))
		words |= info->tx_offload_capa & TX(IPV4_CKSUM);
	for (unsigned i = 0; i < NIC_OFFLOADS; i++) {
		if (nic_offloads_used(o, (enum nic_offload)i))
			words |= offloads[i].needs | (offloads[i].any & info->tx_offload_capa);
	}
	return words;
}

uint64_t nic_offloads_rx(const struct nic_offloads *o, const struct rte_eth_dev_info *info)
{
	return nic_offloads_used(o, NIC_RX_CSUM)
		       ? info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM
		       : 0;
}

uint16_t nic_offloads_port(const struct nic_offloads *o)
{
	uint16_t port = 0;

	for (unsigned i = 0; i < NIC_OFFLOADS; i++) {
		if (nic_offloads_used(o, (enum nic_offload)i))
			port |= offloads[i].port;
	}
	return port;
}

json_t *nic_offloads_json(const struct nic_offloads *o)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < NIC_OFFLOADS; i++) {
		json_t *one = json_pack("{s:s, s:s, s:b}", "name", offloads[i].name, "state",
			states[o->of[i].state], "in_use",
			nic_offloads_used(o, (enum nic_offload)i));

		if (o->of[i].why[0] != '\0')
			json_object_set_new(one, "why", json_string(o->of[i].why));
		json_array_append_new(list, one);
	}
	return list;
}
