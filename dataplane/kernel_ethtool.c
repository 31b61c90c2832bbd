/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel_ethtool.h"

#include "config/log.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/** One request about an interface. @return 0 or -errno. */
static int interface_ioctl(const char *name, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	if (fd < 0)
		return -errno;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	ret = ioctl(fd, request, ifr) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

int kernel_interface_flags(const char *name)
{
	struct ifreq ifr = { 0 };
	int ret = interface_ioctl(name, SIOCGIFFLAGS, &ifr);

	return ret < 0 ? ret : (unsigned short)ifr.ifr_flags;
}

int kernel_interface_up(const char *name)
{
	struct ifreq ifr = { 0 };
	int flags = kernel_interface_flags(name);

	if (flags < 0 || flags & IFF_UP)
		return flags < 0 ? flags : 0;
	ifr.ifr_flags = (short)(flags | IFF_UP);
	return interface_ioctl(name, SIOCSIFFLAGS, &ifr);
}

int kernel_interface_mtu(const char *name)
{
	struct ifreq ifr = { 0 };
	int ret = interface_ioctl(name, SIOCGIFMTU, &ifr);

	return ret < 0 ? ret : ifr.ifr_mtu;
}

unsigned kernel_interface_rx_queues(const char *name)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq ifr = { .ifr_data = (void *)&channels };
	unsigned n = 0;

	if (interface_ioctl(name, SIOCETHTOOL, &ifr) == 0)
		n = channels.rx_count + channels.combined_count;
	return n > 0 ? n : 1;
}

static int ethtool_value(const char *name, uint32_t cmd, uint32_t *data)
{
	struct ethtool_value value = { .cmd = cmd, .data = *data };
	struct ifreq ifr = { .ifr_data = (void *)&value };
	int ret = interface_ioctl(name, SIOCETHTOOL, &ifr);

	*data = value.data;
	return ret;
}

void kernel_merging_stop(const char *name, struct kernel_merging *was)
{
	uint32_t value = 0, off = 0;

	*was = (struct kernel_merging){ false, false };
	if (ethtool_value(name, ETHTOOL_GGRO, &value) == 0 && value != 0) {
		was->gro = ethtool_value(name, ETHTOOL_SGRO, &off) == 0;
		if (was->gro)
			LOG_INFO("generic receive offload is off while the interface is an uplink "
				 "interface=%s",
				name);
	}
	value = 0;
	if (ethtool_value(name, ETHTOOL_GFLAGS, &value) == 0 && (value & ETH_FLAG_LRO)) {
		off = value & ~(uint32_t)ETH_FLAG_LRO;
		was->lro = ethtool_value(name, ETHTOOL_SFLAGS, &off) == 0;
	}
}

void kernel_merging_restore(const char *name, const struct kernel_merging *was)
{
	uint32_t value = 1;

	if (was->gro)
		ethtool_value(name, ETHTOOL_SGRO, &value);
	value = 0;
	if (was->lro && ethtool_value(name, ETHTOOL_GFLAGS, &value) == 0) {
		value |= ETH_FLAG_LRO;
		ethtool_value(name, ETHTOOL_SFLAGS, &value);
	}
}

bool kernel_interface_leaves_checksums(const char *name)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_value tx = { .cmd = ETHTOOL_GTXCSUM };
	struct ifreq ifr = { .ifr_data = (void *)&driver };

	if (interface_ioctl(name, SIOCETHTOOL, &ifr) < 0 || strcmp(driver.driver, "veth") != 0)
		return false;
	ifr.ifr_data = (void *)&tx;
	return interface_ioctl(name, SIOCETHTOOL, &ifr) < 0 || tx.data != 0;
}
