/* SPDX-License-Identifier: Apache-2.0 */
/** What a DPDK device does about the VLAN of an uplink: put tags in, take them off, filter. Where it does not, vlan.c does, and
 * vlan_accept looks at each frame all the same. Control thread. */
#ifndef DATAPLANE_ETHDEV_VLAN_H
#define DATAPLANE_ETHDEV_VLAN_H

#include "dataplane/port.h"

#include <rte_ethdev.h>

struct ethdev_vlan {
	uint16_t id; /* 0 = none */
	bool insert, strip, filter;
};

/** The MTU to ask of the device, so that frames of params->mtu bytes of IP fit with their tag: larger where its own
 * allowance for L2 has no room for one. */
uint32_t ethdev_vlan_mtu(const struct port_params *params, const struct rte_eth_dev_info *info);

/** Ask for what there is, before the device is configured. Beside a kernel's interface (params->interface) nothing: other frames
 * have to go there as they came, and not every device puts tags in that takes none off. */
void ethdev_vlan_configure(struct ethdev_vlan *vlan, const struct port_params *params,
	const struct rte_eth_dev_info *info, struct rte_eth_conf *conf);

/** After the device was started. A filter that it does not take is turned off again. 0 or -errno with err filled. */
int ethdev_vlan_start(
	struct ethdev_vlan *vlan, uint16_t ethdev, const char *port, struct error *err);

/** For `podlane show ports`. */
void ethdev_vlan_describe(const struct ethdev_vlan *vlan, json_t *obj);

#endif
