/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tap_interface.h"

#include "config/log.h"
#include "dataplane/last_close.h"
#include "dataplane/tap_netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Linux 6.2 */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

struct opening {
	const struct port_params *params;
	struct error *err;
	int *fds;
	uint8_t offloads; /* enum port_offload */
	uint16_t n;	  /* wanted */
	uint16_t open;	  /* descriptors in fds */
	bool found;	  /* the interface was there, and ours */
};

static int open_failed(const struct opening *o, int ret, const char *name)
{
	if (ret == -EBUSY && o->found)
		return error_set(o->err, EBUSY, NULL,
			"port %s: interface %s is held by another process: is another podlaned "
			"running?",
			o->params->name, name);
	if (ret == -EBUSY || ret == -EEXIST || (o->open == 0 && ret == -EINVAL))
		return error_set(o->err, EEXIST, NULL, "port %s: interface %s exists already",
			o->params->name, name);
	return error_set(o->err, -ret, NULL, "port %s: cannot make interface %s: %s%s",
		o->params->name, o->params->interface, strerror(-ret),
		ret == -EPERM ? ": the daemon needs CAP_NET_ADMIN" : "");
}

/** Say what may come whole. */
static int offloads_set(struct opening *o, int fd)
{
	const unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

	o->offloads = PORT_TX_CSUM | PORT_TX_TSO;
	if (ioctl(fd, TUNSETOFFLOAD, offloads | TUN_F_USO4 | TUN_F_USO6) == 0) {
		o->offloads |= PORT_TX_USO;
		return 0;
	}
	return ioctl(fd, TUNSETOFFLOAD, offloads);
}

/** Open one more queue of the interface, in the calling thread's namespace; unless it was found, the first makes it. ifr
 * carries its name from one call to the next. */
static int queue_open(struct opening *o, struct ifreq *ifr)
{
	const bool first = o->open == 0;
	int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, hdr_len = sizeof(struct virtio_net_hdr),
	    ret;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return error_set(o->err, errno, NULL, "port %s: /dev/net/tun: %s: %s",
			o->params->name, strerror(errno),
			errno == EMFILE || errno == ENFILE
				? "raise the daemon's limit of open files"
				: "load the tun module, and run with CAP_NET_ADMIN");
	if (o->n > 1)
		flags |= IFF_MULTI_QUEUE;
	if (first && !o->found)
		flags |= IFF_TUN_EXCL;
	ifr->ifr_flags = (short)flags;
	if (ioctl(fd, TUNSETIFF, ifr) < 0) {
		ret = open_failed(o, -errno, ifr->ifr_name);
		close(fd);
		return ret;
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr_len) < 0 || (first && offloads_set(o, fd) < 0)) {
		ret = -errno;
		close(fd);
		return error_set(o->err, -ret, NULL,
			"port %s: this kernel's TAP lacks offloads: %s", o->params->name,
			strerror(-ret));
	}
	o->fds[o->open++] = fd;
	return 0;
}

static int queues_open(struct opening *o, struct ifreq *ifr)
{
	int ret = 0;

	while (o->open < o->n && ret == 0)
		ret = queue_open(o, ifr);
	return ret;
}

static void queues_close(struct opening *o)
{
	while (o->open > 0)
		close(o->fds[--o->open]);
}

static bool is_ours(const char *interface, const char *port, struct tap_link *link)
{
	char wanted[TAP_ALIAS_MAX];

	tap_alias_format(port, wanted);
	return tap_link_get(interface, link) == 0 && strcmp(link->alias, wanted) == 0;
}

/** Inside the pod's namespace: open the interface if it is there and ours. */
static int take_over(struct opening *o)
{
	struct ifreq ifr = { 0 };
	struct tap_link link;
	int ret;

	o->found = is_ours(o->params->interface, o->params->name, &link);
	if (!o->found)
		return 0;
	/* The kernel would add our queues to somebody else's, and share packets out between both. */
	if (link.queues > 0)
		return open_failed(o, -EBUSY, o->params->interface);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", o->params->interface);
	ret = queues_open(o, &ifr);
	/* One queue before and several now, or the other way round: the kernel cannot change that. */
	if (ret == -EEXIST && o->open == 0) {
		LOG_WARNING("interface is made anew for another number of queues: its connections "
			    "may break port=%s",
			o->params->name);
		o->found = false;
		return tap_link_delete(o->params->interface, o->params->name, o->err);
	}
	return ret == 0 ? tap_link_configure(o->params, true, o->err) : ret;
}

static int configure(struct opening *o)
{
	return tap_link_configure(o->params, false, o->err);
}

struct inside_call {
	int (*fn)(struct opening *);
	struct opening *o;
};

static int inside_thread(void *arg)
{
	const struct inside_call *call = arg;

	return call->fn(call->o);
}

/** fn in the pod's namespace, or here when it is the daemon's own. */
static int inside(int netns_fd, int (*fn)(struct opening *), struct opening *o)
{
	struct inside_call call = { fn, o };

	return netns_fd >= 0 ? netns_run(netns_fd, inside_thread, &call) : fn(o);
}

/** Make the interface with its queues, where it belongs and set up. */
static int make(struct opening *o, int netns_fd)
{
	struct ifreq ifr = { 0 };
	int ret;

	/* The pod's name for it may be taken here: the kernel picks one for the short time before the move. */
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s",
		netns_fd >= 0 ? "pltap%d" : o->params->interface);
	ret = queues_open(o, &ifr);
	if (ret == 0 && netns_fd >= 0)
		ret = tap_link_move(
			ifr.ifr_name, netns_fd, o->params->interface, o->params, o->err);
	if (ret == 0)
		ret = inside(netns_fd, configure, o);
	if (ret == 0 && o->params->role == PORT_POD && ioctl(o->fds[0], TUNSETPERSIST, 1) < 0)
		ret = error_set(o->err, errno, NULL,
			"port %s: interface %s cannot be made to stay: %s", o->params->name,
			o->params->interface, strerror(errno));
	return ret;
}

int tap_interface_open(const struct port_params *params, uint16_t n, int *fds, uint8_t *offloads,
	struct error *err)
{
	struct opening o = { .params = params, .err = err, .fds = fds, .n = n };
	int netns_fd = -1, ret = 0;

	if (params->netns != NULL) {
		netns_fd = netns_open(params->netns, params->name, err);
		if (netns_fd < 0)
			return netns_fd;
	}
	ret = inside(netns_fd, take_over, &o);
	if (ret == 0 && !o.found)
		ret = make(&o, netns_fd);
	if (ret < 0)
		queues_close(&o);
	*offloads = o.offloads;
	if (netns_fd >= 0)
		close(netns_fd);
	return ret;
}

void tap_interface_close(const int *fds, uint16_t n, bool keep, bool ending)
{
	if (n > 0)
		ioctl(fds[0], TUNSETPERSIST,
			keep ? 1 : 0); /* one that is gone says no: nothing to do about it */
	for (uint16_t i = 0; i < n; i++) {
		/* Those that stay are asked for by the next daemon as soon as we say that we are through. */
		if (ending && !keep)
			last_close_fd(fds[i]);
		else
			close(fds[i]);
	}
}

struct removal {
	const char *interface, *port;
	struct error *err;
};

static int remove_inside(void *arg)
{
	const struct removal *r = arg;
	struct tap_link link;

	return is_ours(r->interface, r->port, &link)
		       ? tap_link_delete(r->interface, r->port, r->err)
		       : 0;
}

int tap_interface_remove(
	const char *netns, const char *interface, const char *port, struct error *err)
{
	struct removal removal = { interface, port, err };
	int netns_fd = netns_open(netns, port, err), ret;

	if (netns_fd < 0)
		return netns_fd == -ENOENT ? 0 : netns_fd;
	ret = netns_run(netns_fd, remove_inside, &removal);
	close(netns_fd);
	return ret;
}
