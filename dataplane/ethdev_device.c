/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/ethdev_device.h"

#include "config/log.h"
#include "dataplane/pci_binding.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define AF_PACKET_SLOT_OVERHEAD 84	   /* TPACKET2 header, address and alignment, VLAN tag */
#define AF_PACKET_RING_BYTES	(2u << 20) /* a direction and queue */
#define AF_PACKET_BLOCK		65536u

static uint64_t owner = RTE_ETH_DEV_NO_OWNER;

/** @return the value of `key=` in the arguments, its length in *len, or NULL. */
static const char *argument(const char *devargs, const char *key, size_t *len)
{
	size_t key_len = strlen(key);
	const char *p = devargs + strcspn(devargs, ",");

	while (*p == ',') {
		p++;
		if (strncmp(p, key, key_len) == 0 && p[key_len] == '=') {
			*len = strcspn(p + key_len + 1, ",");
			return p + key_len + 1;
		}
		p += strcspn(p, ",");
	}
	return NULL;
}

/** Add an argument that the device string of the user does not have. */
static bool append(struct ethdev_device *dev, const struct port_params *params, const char *key,
	unsigned value)
{
	size_t used = strlen(dev->devargs), ignored;

	if (argument(params->device, key, &ignored) != NULL)
		return true;
	return (size_t)snprintf(dev->devargs + used, sizeof(dev->devargs) - used, ",%s=%u", key,
		       value) < sizeof(dev->devargs) - used;
}

/** "0000:01:00.0" or "01:00.0". */
static bool is_pci_address(const char *name, unsigned parts[4])
{
	char end;

	if (sscanf(name, "%x:%x:%x.%x%c", &parts[0], &parts[1], &parts[2], &parts[3], &end) == 4)
		return true;
	parts[0] = 0;
	return sscanf(name, "%x:%x.%x%c", &parts[1], &parts[2], &parts[3], &end) == 3;
}

/** "net_null" but not "net_null0" or "net_ring_lab". */
static bool is_bare_driver(const char *name)
{
	static const char *const underscored[] = { "net_af_packet", "net_af_xdp",
		"net_virtio_user" };

	for (size_t i = 0; i < RTE_DIM(underscored); i++) {
		if (strcmp(name, underscored[i]) == 0)
			return true;
	}
	return strrchr(name, '_') == name + 3 && !isdigit((unsigned char)name[strlen(name) - 1]);
}

static int parse_af_packet(
	const struct port_params *params, struct ethdev_device *dev, struct error *err)
{
	uint32_t need = params->mtu + RTE_ETHER_HDR_LEN + AF_PACKET_SLOT_OVERHEAD, frame;
	size_t len;
	const char *given;

	/* Slots follow each other without gaps only when their size divides the block's. */
	frame = RTE_MAX(rte_align32pow2(need), 2048u);
	given = argument(dev->devargs, "framesz", &len);
	if (given != NULL) {
		frame = (uint32_t)strtoul(given, NULL, 10);
		if (frame < need)
			return error_set(err, EINVAL, NULL,
				"port %s: framesz=%u is too small for MTU %u: it needs at least %u",
				params->name, frame, params->mtu, need);
	}
	dev->frame_size = frame;
	if (!append(dev, params, "framesz", frame) ||
		!append(dev, params, "blocksz", RTE_MAX(frame, AF_PACKET_BLOCK)) ||
		!append(dev, params, "framecnt", RTE_MAX(AF_PACKET_RING_BYTES / frame, 256u)) ||
		!append(dev, params, "qpairs", params->n_queues))
		return error_set(
			err, EINVAL, NULL, "port %s: the device string is too long", params->name);
	return 0;
}

int ethdev_device_parse(
	const struct port_params *params, struct ethdev_device *dev, struct error *err)
{
	static unsigned serial;
	size_t len = params->device != NULL ? strcspn(params->device, ",") : 0;
	const char *interface;
	unsigned pci[4];
	int n;

	memset(dev, 0, sizeof(*dev));
	if (len == 0 || len >= sizeof(dev->name) - 12)
		return error_set(err, EINVAL, NULL,
			"port %s: the device must be a PCI address (0000:01:00.0) or a DPDK device "
			"string "
			"(net_af_packet0,iface=eth0)",
			params->name);
	memcpy(dev->name, params->device, len);
	if (is_pci_address(dev->name, pci)) {
		dev->pci = true;
		snprintf(dev->name, sizeof(dev->name), "%04x:%02x:%02x.%x", pci[0], pci[1], pci[2],
			pci[3]);
	} else if (strncmp(dev->name, "net_", 4) != 0) {
		return error_set(err, EINVAL, NULL,
			"port %s: \"%s\" is neither a PCI address (0000:01:00.0) nor a DPDK "
			"network driver (net_...)",
			params->name, dev->name);
	} else if (is_bare_driver(dev->name)) {
		snprintf(dev->name + len, sizeof(dev->name) - len, "_%u", serial++);
	}
	n = snprintf(dev->devargs, sizeof(dev->devargs), "%s%s", dev->name, params->device + len);
	if (n < 0 || (size_t)n >= sizeof(dev->devargs))
		return error_set(
			err, EINVAL, NULL, "port %s: the device string is too long", params->name);
	interface = argument(dev->devargs, "iface", &len);
	if (interface != NULL && strncmp(dev->name, "net_tap", 7) != 0) {
		if (len == 0 || len >= sizeof(dev->interface))
			return error_set(err, EINVAL, NULL,
				"port %s: iface= is not an interface name", params->name);
		memcpy(dev->interface, interface, len);
	}
	dev->af_packet = strncmp(dev->name, "net_af_packet", 13) == 0;
	if ((dev->af_packet || strncmp(dev->name, "net_af_xdp", 10) == 0) &&
		dev->interface[0] == '\0')
		return error_set(err, EINVAL, NULL, "port %s: %s needs iface=INTERFACE",
			params->name, dev->name);
	return dev->af_packet ? parse_af_packet(params, dev, err) : 0;
}

int kernel_interface_check(
	const char *interface, const struct port_params *params, struct error *err)
{
	int flags = kernel_interface_flags(interface), fd, mtu, ret;

	if (flags == -ENODEV)
		return error_set(err, ENODEV, NULL,
			"port %s: there is no interface %s in this network namespace: see `ip "
			"link`",
			params->name, interface);
	if (flags < 0)
		return error_set(err, -flags, NULL, "port %s: interface %s: %s", params->name,
			interface, strerror(-flags));
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, errno, NULL,
			"port %s: no permission to take packets from %s: the daemon needs "
			"CAP_NET_RAW and CAP_NET_ADMIN",
			params->name, interface);
	close(fd);
	mtu = kernel_interface_mtu(interface);
	if (mtu >= 0 && mtu < params->mtu)
		return error_set(err, EINVAL, NULL,
			"port %s: interface %s has MTU %d, less than the port's %u: lower the "
			"uplink's mtu, or "
			"`ip link set %s mtu %u`",
			params->name, interface, mtu, params->mtu, interface, params->mtu);
	ret = kernel_interface_up(interface);
	if (ret < 0)
		return error_set(err, -ret, NULL, "port %s: cannot bring interface %s up: %s",
			params->name, interface, strerror(-ret));
	return 0;
}

static bool find_ethdev(const char *name, uint16_t *ethdev)
{
	struct rte_eth_dev_info info;

	if (rte_eth_dev_get_port_by_name(name, ethdev) == 0)
		return true;
	/* Some drivers name their ports otherwise than the device. */
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++) {
		if (rte_eth_dev_is_valid_port(id) && rte_eth_dev_info_get(id, &info) == 0 &&
			info.device != NULL && strcmp(rte_dev_name(info.device), name) == 0) {
			*ethdev = id;
			return true;
		}
	}
	return false;
}

static int take(const struct ethdev_device *dev, const struct port_params *params, uint16_t ethdev,
	struct error *err)
{
	struct rte_eth_dev_owner us = { .name = "podlane" };

	if (owner == RTE_ETH_DEV_NO_OWNER && rte_eth_dev_owner_new(&owner) < 0)
		return error_set(err, ENOTSUP, NULL,
			"port %s: this DPDK process may not own devices", params->name);
	us.id = owner;
	/* An owned device stays its owner's: also when that is another of our ports. */
	if (!rte_eth_dev_is_valid_port(ethdev) ||
		rte_eth_find_next_owned_by(ethdev, RTE_ETH_DEV_NO_OWNER) != ethdev ||
		rte_eth_dev_owner_set(ethdev, &us) < 0)
		return error_set(err, EBUSY, NULL, "port %s: device %s is in use by another port",
			params->name, dev->name);
	return 0;
}

/** Packet sockets of this process that are bound to an interface, in ascending order, which is the order they were opened
 * in; `known` ones (n of them) are left out. */
static uint16_t packet_sockets(const char *interface, const int *known, uint16_t n, int *out)
{
	unsigned index = if_nametoindex(interface);
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	uint16_t count = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		struct sockaddr_ll ll = { 0 };
		socklen_t len = sizeof(ll), domain_len = sizeof(int);
		int fd = atoi(entry->d_name), domain = 0;
		bool old = false;
		uint16_t at;

		if (entry->d_name[0] == '.' ||
			getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len) < 0 ||
			domain != AF_PACKET || getsockname(fd, (struct sockaddr *)&ll, &len) < 0 ||
			ll.sll_ifindex != (int)index || count == PORT_QUEUE_MAX)
			continue;
		for (uint16_t i = 0; i < n; i++)
			old = old || known[i] == fd;
		if (old)
			continue;
		for (at = count++; at > 0 && out[at - 1] > fd; at--)
			out[at] = out[at - 1];
		out[at] = fd;
	}
	if (dir != NULL)
		closedir(dir);
	return count;
}

int ethdev_device_attach(struct ethdev_device *dev, const struct port_params *params,
	uint16_t *ethdev, struct error *err)
{
	int known[PORT_QUEUE_MAX], ret;
	uint16_t n_known;

	ret = dev->interface[0] != '\0' ? kernel_interface_check(dev->interface, params, err) : 0;
	if (ret < 0)
		return ret;
	if (find_ethdev(dev->name, ethdev)) {
		ret = take(dev, params, *ethdev, err);
		dev->attached = ret == 0;
		return ret;
	}
	ret = dev->pci ? pci_binding_check("/sys", dev->name, params->name, err) : 0;
	if (ret < 0)
		return ret;
	/* EAL looks for VFIO once, when it starts: the kernel's part may have come with the binding, since then. */
	if (dev->pci && rte_vfio_is_enabled("vfio") == 0)
		rte_vfio_enable("vfio");
	if (rte_eth_dev_count_total() >= RTE_MAX_ETHPORTS)
		return error_set(err, ENOSPC, NULL,
			"port %s: DPDK holds at most %d devices and all are in use: remove an "
			"uplink first",
			params->name, RTE_MAX_ETHPORTS);
	if (dev->af_packet)
		kernel_merging_stop(dev->interface, &dev->merging);
	n_known = dev->af_packet ? packet_sockets(dev->interface, NULL, 0, known) : 0;
	ret = rte_dev_probe(dev->devargs);
	if (ret < 0 || !find_ethdev(dev->name, ethdev)) {
		kernel_merging_restore(dev->interface, &dev->merging);
		/* Drivers return -1 for anything: no use in passing it on. */
		return error_set(err, ENODEV, NULL,
			"port %s: DPDK cannot open %s: see its message in the log%s", params->name,
			dev->devargs,
			dev->pci && rte_eal_has_hugepages() == 0
				? "; many NICs need hugepages: set vm.nr_hugepages, and hugepages "
				  "= \"required\""
				: "");
	}
	dev->attached = true;
	/* DPDK does not tell, and without them an idle worker would have to look again and again. */
	if (dev->af_packet)
		dev->n_sockets = packet_sockets(dev->interface, known, n_known, dev->sockets);
	ret = take(dev, params, *ethdev, err);
	if (ret < 0)
		ethdev_device_release(dev, *ethdev);
	return ret;
}

void ethdev_device_release(struct ethdev_device *dev, uint16_t ethdev)
{
	struct rte_eth_dev_info info = { 0 };

	if (!dev->attached)
		return;
	/* The device outlives its port in DPDK: it has to be removed for the name to be free
	 * again. */
	rte_eth_dev_info_get(ethdev, &info);
	rte_eth_dev_close(ethdev);
	if (info.device != NULL && rte_dev_remove(info.device) < 0)
		LOG_WARNING("device stays attached to DPDK after its port was closed device=%s",
			dev->name);
	kernel_merging_restore(dev->interface, &dev->merging);
	dev->attached = false;
}
