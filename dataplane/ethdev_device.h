/* SPDX-License-Identifier: Apache-2.0 */
/** DPDK devices by name: what a device string means, whether this machine has it, and probing it at
 * run time. Used by port_ethdev.c. Control thread only.
 *
 * A string is "NAME[,key=value...]": NAME a PCI address, or a virtual device "net_af_packet0",
 * "net_af_xdp0", "net_pcap0", "net_ring0", "net_null0"... A bare driver name ("net_null") gets a
 * unique suffix. */
#ifndef DATAPLANE_ETHDEV_DEVICE_H
#define DATAPLANE_ETHDEV_DEVICE_H

#include "config/error.h"
#include "dataplane/kernel_ethtool.h"
#include "dataplane/port.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct ethdev_device {
	char name[64];		  /* for DPDK, unique */
	char devargs[512];	  /* name and arguments, for probing */
	char interface[IFNAMSIZ]; /* kernel interface behind it, "" = none */
	bool pci;
	bool af_packet;
	uint32_t frame_size; /* af_packet: bytes of a ring slot */
	/* What ethdev_device_attach changed and ethdev_device_release puts back. */
	struct kernel_merging merging;
	bool attached;
	/* af_packet: the socket of each queue, to sleep on. DPDK's; never read or closed here. */
	uint16_t n_sockets;
	int sockets[PORT_QUEUE_MAX];
};

/** Understand the string; for af_packet complete it with queues and ring sizes that suit the MTU.
 * -EINVAL. */
int ethdev_device_parse(
	const struct port_params *params, struct ethdev_device *dev, struct error *err);

/** Check what can be checked before DPDK fails without words (interface, permission, MTU, PCI
 * binding, number of devices), bring a kernel interface up, probe, and take the ethdev for us
 * alone.
 * @return 0, -ENODEV, -EPERM, -EBUSY, -ENOSPC, -EINVAL. What DPDK's drivers refuse is -ENODEV. */
int ethdev_device_attach(struct ethdev_device *dev, const struct port_params *params,
	uint16_t *ethdev, struct error *err);

/** Close and remove the ethdev, and undo changes to its kernel interface. It has been stopped. */
void ethdev_device_release(struct ethdev_device *dev, uint16_t ethdev);

/** Can it be an uplink: is it there, may we take packets from it, is its MTU no less than params->mtu? One that is down
 * is set up. @return 0, -ENODEV, -EPERM, -EINVAL or another -errno. */
int kernel_interface_check(
	const char *interface, const struct port_params *params, struct error *err);

#endif
