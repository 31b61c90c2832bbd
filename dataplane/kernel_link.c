/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel_link.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFER_BYTES 32768
#define RECEIVE_BYTES \
	(1 << 20) /* of neighbour events that wait; when it overflows everything is asked for again */

/* --- messages ------------------------------------------------------------------------------------------------- */

struct attributes {
	const struct nlattr *by_type[64];
};

static int take_attribute(const struct nlattr *attr, void *arg)
{
	struct attributes *a = arg;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < sizeof(a->by_type) / sizeof(a->by_type[0]))
		a->by_type[type] = attr;
	return MNL_CB_OK;
}

static struct attributes attributes_of(const struct nlmsghdr *nlh, size_t header)
{
	struct attributes a = { .by_type = { NULL } };

	mnl_attr_parse(nlh, (unsigned)header, take_attribute, &a);
	return a;
}

/** @return false when the attribute is missing or of another size. */
static bool read_address(const struct nlattr *attr, uint8_t family, struct ip_addr *out)
{
	uint16_t size = family == AF_INET ? 4 : 16;

	memset(out, 0, sizeof(*out));
	if (attr == NULL || (family != AF_INET && family != AF_INET6) ||
		mnl_attr_get_payload_len(attr) != size)
		return false;
	out->family = family == AF_INET ? IP_V4 : IP_V6;
	memcpy(out->bytes, mnl_attr_get_payload(attr), size);
	return true;
}

static bool read_mac(const struct nlattr *attr, struct mac_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (attr == NULL || mnl_attr_get_payload_len(attr) != sizeof(out->bytes))
		return false;
	memcpy(out->bytes, mnl_attr_get_payload(attr), sizeof(out->bytes));
	return true;
}

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct attributes a = attributes_of(nlh, sizeof(*ifi));
	struct kernel_link *link = arg;

	if (nlh->nlmsg_type != RTM_NEWLINK || ifi->ifi_index != link->index)
		return MNL_CB_OK;
	link->exists = true;
	link->up = (ifi->ifi_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
	if (a.by_type[IFLA_MTU] != NULL)
		link->mtu = mnl_attr_get_u32(a.by_type[IFLA_MTU]);
	read_mac(a.by_type[IFLA_ADDRESS], &link->mac);
	return MNL_CB_OK;
}

static int on_address(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct attributes a = attributes_of(nlh, sizeof(*ifa));
	uint32_t flags = a.by_type[IFA_FLAGS] != NULL ? mnl_attr_get_u32(a.by_type[IFA_FLAGS])
						      : ifa->ifa_flags;
	/* With a peer address, IFA_LOCAL is ours; IPv6 has IFA_ADDRESS only, mostly. */
	const struct nlattr *own =
		a.by_type[IFA_LOCAL] != NULL ? a.by_type[IFA_LOCAL] : a.by_type[IFA_ADDRESS];
	struct kernel_link *link = arg;
	struct ip_prefix *out = &link->addresses[link->n_addresses];

	if (nlh->nlmsg_type != RTM_NEWADDR || (int)ifa->ifa_index != link->index ||
		link->n_addresses == KERNEL_ADDRESSES_MAX)
		return MNL_CB_OK;
	if ((flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0 && (flags & IFA_F_OPTIMISTIC) == 0)
		return MNL_CB_OK;
	if (!read_address(own, ifa->ifa_family, &out->addr))
		return MNL_CB_OK;
	out->len = ifa->ifa_prefixlen;
	link->n_addresses++;
	return MNL_CB_OK;
}

struct listener {
	struct kernel_link *link;
	neighbour_heard_fn *heard;
	void *arg;
	bool changed;
};

static void on_neighbour(const struct nlmsghdr *nlh, struct listener *l)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct attributes a = attributes_of(nlh, sizeof(*ndm));
	struct ip_addr address;
	struct mac_addr mac;
	bool known;

	if (ndm->ndm_ifindex != l->link->index ||
		!read_address(a.by_type[NDA_DST], ndm->ndm_family, &address))
		return;
	known = read_mac(a.by_type[NDA_LLADDR], &mac);
	if (nlh->nlmsg_type == RTM_DELNEIGH)
		l->heard(l->arg, &address, &mac, NEIGHBOUR_NEWS_GONE);
	else if (ndm->ndm_state & NUD_FAILED)
		l->heard(l->arg, &address, &mac, NEIGHBOUR_NEWS_FAILED);
	else if (known && ndm->ndm_state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP))
		l->heard(l->arg, &address, &mac, NEIGHBOUR_NEWS_CONFIRMED);
	else if (known && ndm->ndm_state & (NUD_STALE | NUD_DELAY | NUD_PROBE))
		l->heard(l->arg, &address, &mac, NEIGHBOUR_NEWS_KNOWN);
}

static int on_event(const struct nlmsghdr *nlh, void *arg)
{
	struct listener *l = arg;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		l->changed = l->changed ||
			     ((const struct ifinfomsg *)mnl_nlmsg_get_payload(nlh))->ifi_index ==
				     l->link->index;
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		l->changed =
			l->changed ||
			(int)((const struct ifaddrmsg *)mnl_nlmsg_get_payload(nlh))->ifa_index ==
				l->link->index;
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		on_neighbour(nlh, l);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

/* --- requests ------------------------------------------------------------------------------------------------- */

static void *request_start(
	struct kernel_link *link, void *buf, uint16_t type, uint16_t flags, size_t header)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nlh->nlmsg_seq = ++link->seq;
	return mnl_nlmsg_put_extra_header(nlh, header);
}

/** Send, and read the answer up to its end. @return 0 or -errno. */
static int request_run(struct kernel_link *link, const void *buf, mnl_cb_t cb, void *arg)
{
	const struct nlmsghdr *nlh = buf;
	unsigned portid = mnl_socket_get_portid(link->requests);
	char answer[BUFFER_BYTES];
	int ret = MNL_CB_OK;

	if (mnl_socket_sendto(link->requests, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (ret > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(link->requests, answer, sizeof(answer));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		ret = mnl_cb_run(answer, (size_t)n, link->seq, portid, cb, arg);
		/* A single object comes without an end mark, unless asked for an acknowledgement. */
	}
	return ret < 0 ? -errno : 0;
}

int kernel_link_refresh(struct kernel_link *link)
{
	char buf[256];
	struct ifinfomsg *ifi = request_start(link, buf, RTM_GETLINK, NLM_F_ACK, sizeof(*ifi));
	struct ifaddrmsg *ifa;
	int ret;

	link->stale = false;
	link->exists = false;
	link->up = false;
	ifi->ifi_index = link->index;
	ret = request_run(link, buf, on_link, link);
	if (ret < 0)
		return ret;
	ifa = request_start(link, buf, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa));
	ifa->ifa_family = AF_UNSPEC;
	link->n_addresses = 0;
	return request_run(link, buf, on_address, link);
}

static int neighbour_request(struct kernel_link *link, uint16_t type, uint16_t flags,
	const struct ip_addr *address, uint16_t state, uint8_t ndm_flags, mnl_cb_t cb, void *arg)
{
	char buf[256];
	struct ndmsg *ndm =
		request_start(link, buf, type, (uint16_t)(flags | NLM_F_ACK), sizeof(*ndm));

	ndm->ndm_family = address->family == IP_V4 ? AF_INET : AF_INET6;
	ndm->ndm_ifindex = link->index;
	ndm->ndm_state = state;
	ndm->ndm_flags = ndm_flags;
	mnl_attr_put((struct nlmsghdr *)(void *)buf, NDA_DST, address->family == IP_V4 ? 4 : 16,
		address->bytes);
	return request_run(link, buf, cb, arg);
}

void kernel_link_resolve(struct kernel_link *link, const struct ip_addr *address, bool confirm,
	neighbour_heard_fn *heard, void *arg)
{
	struct listener l = { .link = link, .heard = heard, .arg = arg };

	/* An entry with a MAC address is probed; for one without the kernel says EINVAL. */
	if (confirm &&
		neighbour_request(link, RTM_NEWNEIGH, 0, address, NUD_PROBE, 0, NULL, NULL) == 0)
		return;
	/* As if the kernel had a packet for it: an incomplete entry is resolved, a stale one probed in its time. */
	neighbour_request(link, RTM_NEWNEIGH, NLM_F_CREATE, address, NUD_NONE, NTF_USE, NULL, NULL);
	neighbour_request(link, RTM_GETNEIGH, 0, address, 0, 0, on_event, &l);
}

int kernel_link_assign(struct kernel_link *link, const struct ip_prefix *address, bool on)
{
	bool v4 = address->addr.family == IP_V4;
	uint16_t size = v4 ? 4 : 16;
	char buf[256];
	struct ifaddrmsg *ifa = request_start(link, buf, on ? RTM_NEWADDR : RTM_DELADDR,
		(uint16_t)(NLM_F_ACK | (on ? NLM_F_CREATE | NLM_F_EXCL : 0)), sizeof(*ifa));
	int ret;

	ifa->ifa_family = v4 ? AF_INET : AF_INET6;
	ifa->ifa_prefixlen = address->len;
	ifa->ifa_index = (unsigned)link->index;
	ifa->ifa_scope = ip_addr_is_link_local(&address->addr) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	if (on && !v4)
		ifa->ifa_flags = IFA_F_NODAD;
	mnl_attr_put((struct nlmsghdr *)(void *)buf, IFA_LOCAL, size, address->addr.bytes);
	mnl_attr_put((struct nlmsghdr *)(void *)buf, IFA_ADDRESS, size, address->addr.bytes);
	ret = request_run(link, buf, NULL, NULL);
	return ret == (on ? -EEXIST : -EADDRNOTAVAIL) ? 0 : ret;
}

/* --- life ----------------------------------------------------------------------------------------------------- */

static struct mnl_socket *socket_open(unsigned groups, int flags)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);

	if (s != NULL && mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(s);
		s = NULL;
	}
	return s;
}

int kernel_link_open(
	struct kernel_link *link, const char *interface, const char *port, struct error *err)
{
	int ret, bytes = RECEIVE_BYTES;

	memset(link, 0, sizeof(*link));
	snprintf(link->name, sizeof(link->name), "%s", interface);
	link->index = (int)if_nametoindex(interface);
	if (link->index == 0)
		return error_set(err, ENODEV, NULL,
			"port %s: there is no interface %s in this network namespace: see `ip "
			"link`",
			port, interface);
	link->events =
		socket_open(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_NEIGH,
			SOCK_NONBLOCK);
	link->requests = socket_open(0, 0);
	if (link->events == NULL || link->requests == NULL) {
		ret = error_set(
			err, errno, NULL, "port %s: no rtnetlink: %s", port, strerror(errno));
		kernel_link_close(link);
		return ret;
	}
	setsockopt(
		mnl_socket_get_fd(link->events), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	ret = kernel_link_refresh(link);
	if (ret == 0 && !link->exists)
		ret = -ENODEV;
	if (ret < 0) {
		error_set(err, -ret, NULL, "port %s: interface %s does not answer: %s", port,
			interface, strerror(-ret));
		kernel_link_close(link);
	}
	return ret;
}

bool kernel_link_find(struct kernel_link *link)
{
	const unsigned index = if_nametoindex(link->name);

	if (index == 0)
		return false;
	link->index = (int)index;
	return kernel_link_refresh(link) == 0 && link->exists;
}

void kernel_link_close(struct kernel_link *link)
{
	if (link->events != NULL)
		mnl_socket_close(link->events);
	if (link->requests != NULL)
		mnl_socket_close(link->requests);
	link->events = link->requests = NULL;
}

int kernel_link_fd(const struct kernel_link *link)
{
	return mnl_socket_get_fd(link->events);
}

bool kernel_link_read(struct kernel_link *link, neighbour_heard_fn *heard, void *arg)
{
	struct listener l = { .link = link, .heard = heard, .arg = arg };
	char buf[BUFFER_BYTES];

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(link->events, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 &&
			errno ==
				ENOBUFS) { /* lost some: neighbours will be asked about when their timers run out */
			l.changed = true;
			continue;
		}
		if (n <= 0)
			break;
		mnl_cb_run(buf, (size_t)n, 0, 0, on_event, &l);
	}
	link->stale = link->stale || l.changed;
	return link->stale;
}
