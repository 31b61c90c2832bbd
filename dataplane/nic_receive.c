/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/nic_receive.h"

#include "config/log.h"

#include <errno.h>
#include <rte_errno.h>
#include <string.h>

#define RSS_FIELDS (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP)

uint64_t nic_rss_outer(const struct rte_eth_dev_info *info, enum nic_rss *rss)
{
	const uint64_t fields = info->flow_type_rss_offloads & RSS_FIELDS;

	*rss = fields != 0 ? NIC_RSS_OUTER : NIC_RSS_NONE;
	return fields;
}

uint64_t nic_rss_choose(const struct rte_eth_dev_info *info, uint16_t n, enum nic_rss *rss)
{
	const uint64_t capa = info->flow_type_rss_offloads;
	uint64_t fields = nic_rss_outer(info, rss);

	if (n < 2 || fields == 0) {
		*rss = NIC_RSS_NONE;
		return 0;
	}
	if (capa & RTE_ETH_RSS_LEVEL_INNERMOST) {
		*rss = NIC_RSS_INNER;
		fields |= RTE_ETH_RSS_LEVEL_INNERMOST;
	} else if (capa & RTE_ETH_RSS_VXLAN) {
		*rss = NIC_RSS_VXLAN;
		fields |= RTE_ETH_RSS_VXLAN;
	}
	return fields;
}

const char *nic_rss_name(enum nic_rss rss)
{
	static const char *const names[] = {
		[NIC_RSS_NONE] = "none",
		[NIC_RSS_OUTER] = "outer headers",
		[NIC_RSS_VXLAN] = "outer headers, in VXLAN the device's choice",
		[NIC_RSS_INNER] = "inner headers",
	};

	return names[rss];
}

/** -ENOTSUP is what devices without filters say, such as rings: they take everything. */
static int promiscuous(uint16_t ethdev, struct nic_filter *filter)
{
	const int ret = rte_eth_promiscuous_enable(ethdev);

	filter->promiscuous = ret == 0;
	return ret == -ENOTSUP ? 0 : ret;
}

static int accept_mac(
	uint16_t ethdev, const struct mac_addr *want, bool own, struct nic_filter *filter)
{
	struct rte_ether_addr address;

	memcpy(address.addr_bytes, want->bytes, sizeof(address.addr_bytes));
	if (!own && (rte_eth_dev_default_mac_addr_set(ethdev, &address) == 0 ||
			    rte_eth_dev_mac_addr_add(ethdev, &address, 0) == 0))
		return 0;
	return promiscuous(ethdev, filter);
}

static void accept_multicast(
	uint16_t ethdev, const char *port, const char *device, struct nic_filter *filter)
{
	const int ret = rte_eth_allmulticast_enable(ethdev);

	filter->multicast = "all";
	if (ret == 0)
		return;
	if (promiscuous(ethdev, filter) == 0) {
		filter->multicast = filter->promiscuous ? "promiscuous" : "unfiltered";
		return;
	}
	filter->multicast = "none";
	LOG_WARNING(
		"device lets no multicast in: IPv6 neighbour discovery will not find this node; "
		"for a virtual function, on the host: `ip link set PF vf N trust on` port=%s "
		"device=%s error=\"%s\"",
		port, device, rte_strerror(-ret));
}

int nic_filter_set(uint16_t ethdev, const char *port, const char *device,
	const struct mac_addr *want, bool own, struct nic_filter *filter, struct error *err)
{
	struct rte_ether_addr has;
	int ret = rte_eth_macaddr_get(ethdev, &has);

	*filter = (struct nic_filter){ .multicast = "unfiltered" };
	if (ret == 0 && memcmp(has.addr_bytes, want->bytes, sizeof(has.addr_bytes)) != 0)
		ret = accept_mac(ethdev, want, own, filter);
	if (ret < 0)
		return error_set(err, -ret, NULL,
			"port %s: device %s takes no other MAC address than its own: leave mac out",
			port, device);
	if (!own)
		accept_multicast(ethdev, port, device, filter);
	return 0;
}

void nic_admit_vlans(uint16_t ethdev, const char *port, const char *driver)
{
	int ret;

	/* Its driver always agrees on the VLAN filter, which then lets no VLAN in that it was not told of, but to the
	 * promiscuous (Virtual I/O Device specification 1.2, section 5.1.6.5.3). Others filter where they are asked to. */
	if (strcmp(driver, "net_virtio") != 0)
		return;
	ret = rte_eth_promiscuous_enable(ethdev);
	if (ret < 0)
		LOG_WARNING("the kernel's interface will see no VLANs: the device filters them and "
			    "does not turn promiscuous port=%s error=\"%s\"",
			port, rte_strerror(-ret));
}

void nic_tell_vxlan_ports(uint16_t ethdev)
{
	static const uint16_t ports[] = { 4789, 8472 };

	for (size_t i = 0; i < RTE_DIM(ports); i++) {
		struct rte_eth_udp_tunnel tunnel = { .udp_port = ports[i],
			.prot_type = RTE_ETH_TUNNEL_TYPE_VXLAN };

		/* -ENOTSUP, or its table is full: then inner headers are not found, which costs speed only. */
		(void)rte_eth_dev_udp_tunnel_port_add(ethdev, &tunnel);
	}
}
