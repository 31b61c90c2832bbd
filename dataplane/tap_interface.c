/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tap_interface.h"

#include "config/log.h"
#include "dataplane/last_close.h"
#include "dataplane/netns.h"
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
	struct tap_interface *out; /* n counts descriptors */
	uint16_t n;		   /* wanted */
	bool found;		   /* the interface was there, and ours */
	bool tap_found;		   /* the TAP was: what of a pair's TAP is not so of the pair */
	struct link_facts inside;  /* what was there */
};

static int open_failed(const struct opening *o, int ret, const char *name)
{
	if (ret == -EBUSY && o->tap_found)
		return error_set(o->err, EBUSY, NULL,
			"port %s: interface %s is held by another process: is another podlaned "
			"running?",
			o->params->name, name);
	if (ret == -EBUSY || ret == -EEXIST || (o->out->n == 0 && ret == -EINVAL))
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

	o->out->offloads = PORT_TX_CSUM | PORT_TX_TSO;
	if (ioctl(fd, TUNSETOFFLOAD, offloads | TUN_F_USO4 | TUN_F_USO6) == 0) {
		o->out->offloads |= PORT_TX_USO;
		return 0;
	}
	return ioctl(fd, TUNSETOFFLOAD, offloads);
}

/** Open one more queue of the interface, in the calling thread's namespace; unless there is a TAP, the first makes it. ifr
 * carries its name from one call to the next. */
static int queue_open(struct opening *o, struct ifreq *ifr)
{
	const bool first = o->out->n == 0;
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
	if (first && !o->tap_found)
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
	o->out->fds[o->out->n++] = fd;
	return 0;
}

static int queues_open(struct opening *o, struct ifreq *ifr)
{
	int ret = 0;

	while (o->out->n < o->n && ret == 0)
		ret = queue_open(o, ifr);
	return ret;
}

static void queues_close(struct opening *o)
{
	while (o->out->n > 0)
		close(o->out->fds[--o->out->n]);
}

/** Is there an interface of the port? @return 1, 0, or -errno: it is not known. */
static int is_ours(
	const char *interface, const char *port, struct link_facts *link, struct error *err)
{
	char wanted[TAP_ALIAS_MAX];
	struct rtnetlink r;
	int ret = rtnetlink_open(&r);

	tap_alias_format(port, wanted);
	if (ret == 0) {
		ret = link_find(&r, interface, link);
		rtnetlink_close(&r);
	}
	if (ret < 0 && ret != -ENODEV)
		return error_set(err, -ret, NULL, "port %s: no rtnetlink: %s%s", port,
			strerror(-ret),
			ret == -EMFILE || ret == -ENFILE
				? ": raise the daemon's limit of open files"
				: "");
	return ret == 0 && strcmp(link->alias, wanted) == 0;
}

static bool is_veth(const struct link_facts *link)
{
	return strcmp(link->kind, "veth") == 0;
}

/* --- in the pod's namespace, or here when it is the daemon's own ------------------------------------------------ */

struct inside_call {
	int (*fn)(struct opening *);
	struct opening *o;
};

static int inside_thread(void *arg)
{
	const struct inside_call *call = arg;

	return call->fn(call->o);
}

static int inside(int netns_fd, int (*fn)(struct opening *), struct opening *o)
{
	struct inside_call call = { fn, o };

	return netns_fd >= 0 ? netns_run(netns_fd, inside_thread, &call) : fn(o);
}

static int configure(struct opening *o)
{
	return tap_link_configure(o->params, o->found, o->err);
}

static int remove_found(struct opening *o)
{
	o->found = false;
	return tap_link_delete(o->params->interface, o->params->name, o->err);
}

/** Open the TAP if it is there and ours. */
static int take_over(struct opening *o)
{
	struct ifreq ifr = { 0 };
	int ret = is_ours(o->params->interface, o->params->name, &o->inside, o->err);

	o->found = ret > 0;
	if (ret <= 0 || is_veth(&o->inside))
		return ret < 0 ? ret : 0;
	o->tap_found = true;
	/* The kernel would add our queues to somebody else's, and share packets out between both. */
	if (o->inside.queues > 0)
		return open_failed(o, -EBUSY, o->params->interface);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", o->params->interface);
	ret = queues_open(o, &ifr);
	/* One queue before and several now, or the other way round: the kernel cannot change that. */
	if (ret == -EEXIST && o->out->n == 0) {
		LOG_WARNING("interface is made anew for another number of queues: its connections "
			    "may break port=%s",
			o->params->name);
		o->tap_found = false;
		return remove_found(o);
	}
	return ret == 0 ? configure(o) : ret;
}

/* --- a TAP that is the pod's interface itself ------------------------------------------------------------------- */

static int persist(struct opening *o, const char *name)
{
	if (ioctl(o->out->fds[0], TUNSETPERSIST, 1) < 0)
		return error_set(o->err, errno, NULL,
			"port %s: interface %s cannot be made to stay: %s", o->params->name, name,
			strerror(errno));
	return 0;
}

/** Make the interface with its queues, where it belongs and set up. */
static int make_plain(struct opening *o, int netns_fd)
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
	return ret == 0 && o->params->role == PORT_POD ? persist(o, o->params->interface) : ret;
}

/* --- a veth pair, and a TAP beside its host end ----------------------------------------------------------------- */

/** Open the TAP, which an earlier daemon may have left. */
static int tap_beside(struct opening *o)
{
	const struct pod_veth *veth = &o->out->veth;
	struct ifreq ifr = { 0 };
	struct link_facts tap;
	int ret = pod_veth_find_tap(veth, o->params->name, &tap, o->err);

	if (ret < 0 && ret != -ENODEV)
		return ret;
	o->tap_found = ret == 0;
	if (o->tap_found && tap.queues > 0)
		return open_failed(o, -EBUSY, veth->tap);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", veth->tap);
	ret = queues_open(o, &ifr);
	/* Of another number of queues: the pod does not see it. */
	if (ret == -EEXIST && o->tap_found && o->out->n == 0) {
		o->tap_found = false;
		ret = pod_veth_remove_tap(veth, o->params->name, o->err);
		if (ret == 0)
			ret = queues_open(o, &ifr);
	}
	return ret;
}

static int join(struct opening *o, int netns_fd)
{
	int ret = pod_veth_join(&o->out->veth, o->params->name, o->err);

	if (ret == 0)
		ret = inside(netns_fd, configure, o);
	return ret == 0 ? persist(o, o->out->veth.tap) : ret;
}

/** What is in the pod belongs to a pair. */
static int take_over_pair(struct opening *o, int netns_fd)
{
	const int ready = pod_veth_ready(o->params->name, o->err);
	int ret;

	if (ready < 0)
		return ready;
	o->out->veth = pod_veth_of(o->params->name);
	if (ready > 0 && pod_veth_is_end(&o->out->veth, o->params->name, &o->inside)) {
		ret = tap_beside(o);
		ret = ret == 0 ? join(o, netns_fd) : ret;
		if (ret != -EOPNOTSUPP)
			return ret;
		queues_close(o);
	}
	LOG_WARNING(
		"interface is made anew, because its other end cannot be used: its connections may "
		"break port=%s",
		o->params->name);
	return inside(netns_fd, remove_found, o);
}

static int make_pair(struct opening *o, int netns_fd)
{
	struct pod_veth *veth = &o->out->veth;
	struct error ignored = { 0 };
	int ret;

	*veth = pod_veth_of(o->params->name);
	/* First: whoever has it has the pair as well. */
	ret = tap_beside(o);
	if (ret == 0)
		ret = pod_veth_remove_host(veth, o->params->name, o->err);
	if (ret == 0)
		ret = pod_veth_make(veth, netns_fd, o->params, o->err);
	if (ret < 0)
		return ret;
	ret = join(o, netns_fd);
	if (ret < 0) {
		pod_veth_part(veth);
		pod_veth_remove_host(veth, o->params->name, &ignored);
	}
	return ret;
}

/** What the port has in this namespace. Under these names nothing of anybody else's is in the way of anything. */
static int remove_beside(const char *port, struct error *err)
{
	const struct pod_veth veth = pod_veth_of(port);
	int ret = pod_veth_remove(&veth, port, err);

	return ret == -EEXIST ? 0 : ret;
}

/** There may have been a pair before. One whose TAP is in use stays. */
static void clear_beside(struct opening *o)
{
	struct error ignored = { 0 };
	struct link_facts tap;
	int ret = 0;

	o->out->veth = pod_veth_of(o->params->name);
	if (pod_veth_find_tap(&o->out->veth, o->params->name, &tap, &ignored) == 0) {
		ret = tap_beside(o);
		queues_close(o);
	}
	if (ret == 0)
		remove_beside(o->params->name, &ignored);
}

/** In the way that is wanted, as far as this kernel can. */
static int make(struct opening *o, int netns_fd)
{
	int ret = 0;

	if (o->params->veth && netns_fd >= 0) {
		ret = pod_veth_ready(o->params->name, o->err);
		ret = ret > 0 ? make_pair(o, netns_fd) : ret == 0 ? -EOPNOTSUPP : ret;
		if (ret != -EOPNOTSUPP)
			return ret;
		queues_close(o);
	}
	if (netns_fd >= 0)
		clear_beside(o);
	o->out->veth = (struct pod_veth){ .host_ifindex = 0 };
	o->tap_found = false;
	return make_plain(o, netns_fd);
}

/* ------------------------------------------------------------------------------------------------------------------ */

int tap_interface_open(
	const struct port_params *params, uint16_t n, struct tap_interface *out, struct error *err)
{
	struct opening o = { .params = params, .err = err, .out = out, .n = n };
	int netns_fd = -1, ret = 0;

	*out = (struct tap_interface){ .n = 0 };
	if (params->netns != NULL) {
		netns_fd = netns_open(params->netns, params->name, err);
		if (netns_fd < 0)
			return netns_fd;
	}
	ret = inside(netns_fd, take_over, &o);
	if (ret == 0 && o.found && is_veth(&o.inside))
		ret = take_over_pair(&o, netns_fd);
	if (ret == 0 && !o.found)
		ret = make(&o, netns_fd);
	if (ret < 0) {
		queues_close(&o);
		out->veth.host_ifindex = 0;
	}
	if (netns_fd >= 0)
		close(netns_fd);
	return ret;
}

void tap_interface_close(
	const struct tap_interface *interface, const char *port, bool keep, bool ending)
{
	const struct pod_veth *veth = &interface->veth;
	struct error err = { 0 };

	if (!keep && veth->host_ifindex != 0) {
		pod_veth_part(veth);
		if (pod_veth_remove(veth, port, &err) < 0)
			LOG_WARNING("an interface stays error=\"%s\"", err.text);
	} else if (interface->n > 0) {
		/* One that is gone says no: nothing to do about it. */
		ioctl(interface->fds[0], TUNSETPERSIST, keep ? 1 : 0);
	}
	for (uint16_t i = 0; i < interface->n; i++) {
		/* Those that stay are asked for by the next daemon as soon as we say that we are through. */
		if (ending && !keep)
			last_close_fd(interface->fds[i]);
		else
			close(interface->fds[i]);
	}
}

struct change_call {
	const char *interface;
	const struct tap_addressing *before, *after;
	const struct port_params *params;
	struct error *err;
};

static int change_inside(void *arg)
{
	const struct change_call *c = arg;

	return tap_link_change(
		c->interface, c->before, c->after, c->params->gateway, c->params->name, c->err);
}

int tap_interface_change(const char *netns, const char *interface,
	const struct tap_addressing *before, const struct tap_addressing *after,
	const struct port_params *params, struct error *err)
{
	struct change_call call = { interface, before, after, params, err };
	int netns_fd, ret;

	if (netns == NULL)
		return change_inside(&call);
	netns_fd = netns_open(netns, params->name, err);
	if (netns_fd < 0)
		return netns_fd;
	ret = netns_run(netns_fd, change_inside, &call);
	close(netns_fd);
	return ret;
}

struct removal {
	const char *interface, *port;
	struct error *err;
};

static int remove_inside(void *arg)
{
	const struct removal *r = arg;
	struct link_facts link;
	const int ours = is_ours(r->interface, r->port, &link, r->err);

	return ours > 0 ? tap_link_delete(r->interface, r->port, r->err) : ours;
}

int tap_interface_remove(
	const char *netns, const char *interface, const char *port, struct error *err)
{
	struct removal removal = { interface, port, err };
	int netns_fd, ret = remove_beside(port, err);

	if (ret < 0)
		return ret;
	netns_fd = netns_open(netns, port, err);
	if (netns_fd < 0)
		return netns_fd == -ENOENT ? 0 : netns_fd;
	ret = netns_run(netns_fd, remove_inside, &removal);
	close(netns_fd);
	return ret;
}
