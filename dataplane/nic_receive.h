/* SPDX-License-Identifier: Apache-2.0 */
/** Which frames a NIC lets in, and to which queue they go. Control thread, while a port is opened.
 */
#ifndef DATAPLANE_NIC_RECEIVE_H
#define DATAPLANE_NIC_RECEIVE_H

#include "config/address.h"
#include "config/error.h"

#include <rte_ethdev.h>

/** What the queue of a frame is chosen by. Packets of tunnels have the outer addresses of two nodes; with VXLAN the outer
 * UDP port tells flows apart, with IP-in-IP nothing does but the inner headers. */
enum nic_rss {
	NIC_RSS_NONE,  /* one queue, or the device has no RSS */
	NIC_RSS_OUTER, /* addresses and ports of the outermost headers */
	NIC_RSS_VXLAN, /* and, inside VXLAN, what the device takes there */
	NIC_RSS_INNER, /* of the innermost headers */
};

/** RTE_ETH_RSS_* to configure n queues with: the best the device has. */
uint64_t nic_rss_choose(const struct rte_eth_dev_info *info, uint16_t n, enum nic_rss *rss);
/** The same on outer headers, for a driver that announces more than it takes. */
uint64_t nic_rss_outer(const struct rte_eth_dev_info *info, enum nic_rss *rss);
const char *nic_rss_name(enum nic_rss rss);

/** How frames for this node pass the device's filter. */
struct nic_filter {
	bool promiscuous; /* because the device takes no other address than its own, or no multicast */
	const char *multicast; /* "all", "promiscuous", "none", "unfiltered" */
};

/** Let in what is sent to `want` and multicast, which IPv6 neighbour discovery is (RFC 4861 section 7.2.1); promiscuity
 * only where the device cannot do without. `own`: the device's address is not to be changed, a kernel interface has
 * it. The device is started. @return -errno with a message. */
int nic_filter_set(uint16_t ethdev, const char *port, const char *device,
	const struct mac_addr *want, bool own, struct nic_filter *filter, struct error *err);
/** Let tagged frames of all VLANs in, for a device whose other frames are the kernel's. */
void nic_admit_vlans(uint16_t ethdev, const char *port, const char *driver);
/** Tell the device on which UDP ports VXLAN comes (4789, 8472), so that it finds inner headers; most know 4789 or need no
 * telling. */
void nic_tell_vxlan_ports(uint16_t ethdev);

#endif
