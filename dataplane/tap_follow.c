/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tap_follow.h"

#include "dataplane/netns.h"
#include "dataplane/tap_netlink.h"

#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LOOK_TICKS 10 /* a second */

static bool mac_read(int fd, struct mac_addr *mac)
{
	struct ifreq ifr = { 0 };

	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		return false;
	memcpy(mac->bytes, ifr.ifr_hwaddr.sa_data, sizeof(mac->bytes));
	return true;
}

void tap_follow_begin(
	struct tap_follow *f, const struct tap_interface *behind, const struct port_params *params)
{
	struct mac_addr told;

	*f = (struct tap_follow){ .mac = params->pod_mac };
	snprintf(f->name, sizeof(f->name), "%s", params->interface);
	/* Kernels that look the name up in the namespace that opened the descriptor tell of somebody else, or nothing. */
	f->mac_told = behind->veth.host_ifindex == 0 && mac_read(behind->fds[0], &told) &&
		      memcmp(&told, &f->mac, sizeof(told)) == 0;
}

/** Name and address as they are now; as they were where nothing tells. */
static void ask(
	const struct tap_follow *f, const struct tap_interface *behind, struct link_facts *now)
{
	struct ifreq ifr = { 0 };

	if (behind->veth.host_ifindex != 0 && pod_veth_look(&behind->veth, now) == 0)
		return;
	now->mac = f->mac;
	snprintf(now->name, sizeof(now->name), "%s", f->name);
	if (behind->veth.host_ifindex != 0)
		return;
	if (f->mac_told && !mac_read(behind->fds[0], &now->mac))
		now->mac = f->mac;
	if (ioctl(behind->fds[0], TUNGETIFF, &ifr) == 0)
		snprintf(now->name, sizeof(now->name), "%s", ifr.ifr_name);
}

bool tap_follow_look(
	struct tap_follow *f, const struct tap_interface *behind, struct port *port, bool *moved)
{
	struct link_facts now;
	char text[MAC_TEXT_MAX];
	bool renamed;

	*moved = false;
	if (f->ticks-- > 0)
		return false;
	f->ticks = LOOK_TICKS;
	ask(f, behind, &now);
	*moved = memcmp(&now.mac, &f->mac, sizeof(now.mac)) != 0;
	renamed = strcmp(now.name, f->name) != 0;
	if (*moved) {
		f->mac = now.mac;
		LOG_FROM(&port->log, LOG_LEVEL_INFO,
			"interface has another MAC address, which is followed port=%s mac=%s",
			port->name, mac_addr_format(&f->mac, text));
	}
	if (renamed) {
		memcpy(f->name, now.name, sizeof(f->name));
		LOG_FROM(&port->log, LOG_LEVEL_INFO,
			"interface has another name port=%s interface=%s", port->name, f->name);
	}
	return *moved || renamed;
}

struct restore_call {
	const struct port_params *params;
	struct error *err;
};

static int restore_inside(void *arg)
{
	const struct restore_call *call = arg;

	return tap_link_restore(call->params, call->err);
}

void tap_follow_restore(const struct tap_follow *f, struct port_params params, struct port *port)
{
	struct error err = { 0 };
	struct restore_call call = { &params, &err };
	int netns_fd = -1, ret = 0;

	params.interface = f->name;
	if (params.netns != NULL)
		ret = netns_fd = netns_open(params.netns, params.name, &err);
	if (ret >= 0)
		ret = netns_fd >= 0 ? netns_run(netns_fd, restore_inside, &call)
				    : restore_inside(&call);
	if (netns_fd >= 0)
		close(netns_fd);
	if (ret < 0)
		LOG_FROM(&port->log, LOG_LEVEL_WARNING,
			"interface was set down and lacks addresses or routes port=%s error=\"%s\"",
			port->name, err.text);
	else
		LOG_FROM(&port->log, LOG_LEVEL_INFO,
			"interface was set down; its addresses and routes are there again port=%s",
			port->name);
}
