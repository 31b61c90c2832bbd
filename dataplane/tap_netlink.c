/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tap_netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int tap_link_move(const char *name, int netns_fd, const char *as, const struct port_params *params,
	struct error *err)
{
	struct rtnetlink r;
	struct ifinfomsg *ifi;
	int ret = rtnetlink_open(&r);

	if (ret < 0)
		return error_set(
			err, -ret, NULL, "port %s: no rtnetlink: %s", params->name, strerror(-ret));
	ifi = rtnetlink_start(&r, RTM_NEWLINK, 0, sizeof(*ifi));
	ret = ifi->ifi_index = link_index(&r, name);
	mnl_attr_put_u32(r.nlh, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	mnl_attr_put_strz(r.nlh, IFLA_IFNAME, as);
	if (ret > 0)
		ret = rtnetlink_send(&r);
	rtnetlink_close(&r);
	if (ret == -EEXIST)
		return error_set(err, EEXIST, NULL,
			"port %s: network namespace %s has an interface %s already", params->name,
			params->netns, as);
	if (ret < 0)
		return error_set(err, -ret, NULL,
			"port %s: cannot move interface %s to network namespace %s: %s",
			params->name, as, params->netns, strerror(-ret));
	return 0;
}

static int link_set(struct rtnetlink *r, int index, const struct port_params *params, bool up)
{
	struct ifinfomsg *ifi = rtnetlink_start(r, RTM_NEWLINK, 0, sizeof(*ifi));

	ifi->ifi_index = index;
	if (up) {
		ifi->ifi_flags = IFF_UP;
		ifi->ifi_change = IFF_UP;
	} else {
		char alias[TAP_ALIAS_MAX];

		tap_alias_format(params->name, alias);
		mnl_attr_put_u32(r->nlh, IFLA_MTU, params->mtu);
		mnl_attr_put_str(r->nlh, IFLA_IFALIAS, alias);
		if (!mac_addr_is_zero(&params->pod_mac))
			mnl_attr_put(r->nlh, IFLA_ADDRESS, sizeof(params->pod_mac.bytes),
				params->pod_mac.bytes);
	}
	return rtnetlink_send(r);
}

static size_t address_size(const struct ip_addr *addr)
{
	return addr->family == IP_V4 ? 4 : 16;
}

static uint8_t kernel_family(const struct ip_addr *addr)
{
	return addr->family == IP_V4 ? AF_INET : AF_INET6;
}

/** type: RTM_NEWADDR or RTM_DELADDR. */
static int address_request(
	struct rtnetlink *r, uint16_t type, int index, const struct ip_addr *addr)
{
	struct ifaddrmsg *ifa = rtnetlink_start(
		r, type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0, sizeof(*ifa));

	ifa->ifa_family = kernel_family(addr);
	ifa->ifa_prefixlen = (uint8_t)ip_family_bits(addr->family);
	ifa->ifa_index = (unsigned)index;
	ifa->ifa_scope = ip_addr_is_link_local(addr) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	if (addr->family == IP_V6)
		ifa->ifa_flags = IFA_F_NODAD;
	mnl_attr_put(r->nlh, IFA_LOCAL, address_size(addr), addr->bytes);
	mnl_attr_put(r->nlh, IFA_ADDRESS, address_size(addr), addr->bytes);
	return rtnetlink_send(r);
}

/** type: RTM_NEWROUTE or RTM_DELROUTE. via NULL: the destination is on the link. */
static int route_request(struct rtnetlink *r, uint16_t type, int index, const struct ip_prefix *dst,
	const struct ip_addr *via)
{
	struct rtmsg *rtm = rtnetlink_start(
		r, type, type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0, sizeof(*rtm));

	rtm->rtm_family = kernel_family(&dst->addr);
	rtm->rtm_dst_len = dst->len;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = via == NULL ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	rtm->rtm_type = RTN_UNICAST;
	if (dst->len > 0)
		mnl_attr_put(r->nlh, RTA_DST, address_size(&dst->addr), dst->addr.bytes);
	mnl_attr_put_u32(r->nlh, RTA_OIF, (uint32_t)index);
	if (via != NULL)
		mnl_attr_put(r->nlh, RTA_GATEWAY, address_size(via), via->bytes);
	return rtnetlink_send(r);
}

static int routes_add(struct rtnetlink *r, int index, const struct port_params *params, bool again,
	struct error *err)
{
	char text[PREFIX_TEXT_MAX], via[IP_TEXT_MAX];
	int ret = 0;

	for (unsigned g = 0; g < 2; g++) {
		const struct ip_addr *gateway = &params->gateway[g];
		struct ip_prefix dst = { .addr = *gateway };
		size_t n = params->n_routes > 0 || params->role == PORT_HOST ? params->n_routes : 1;

		if (gateway->family == IP_NONE)
			continue;
		dst.len = (uint8_t)ip_family_bits(gateway->family);
		/* Every IPv6 interface has fe80::/64 already. */
		if (gateway->family == IP_V4 || !ip_addr_is_link_local(gateway))
			ret = route_request(r, RTM_NEWROUTE, index, &dst, NULL);
		if (ret == -EEXIST && again)
			ret = 0;
		for (size_t i = 0; i < n && ret == 0; i++) {
			dst = (struct ip_prefix){ .addr.family = gateway->family };
			if (params->n_routes > 0)
				dst = ip_prefix_canonical(&params->routes[i]);
			if (dst.addr.family == gateway->family)
				ret = route_request(r, RTM_NEWROUTE, index, &dst, gateway);
			if (ret == -EEXIST && again)
				ret = 0;
		}
		if (ret < 0)
			return error_set(err, -ret, NULL,
				"port %s: interface %s: route %s via %s: %s", params->name,
				params->interface, ip_prefix_format(&dst, text),
				ip_addr_format(gateway, via),
				ret == -EEXIST ? "another interface has this route"
					       : strerror(-ret));
	}
	return 0;
}

static bool wants_ipv6(const struct port_params *params)
{
	for (size_t i = 0; i < params->n_addresses; i++) {
		if (params->addresses[i].family == IP_V6)
			return true;
	}
	return false;
}

/* An interface that had another daemon. */

#define STALE_MAX 64
#define DUMP_MAX \
	256 /* datagrams of up to 16 KiB: the pod says how many addresses and routes there are, and the daemon waits */

struct stale {
	int index;
	const struct port_params *params;
	struct ip_prefix found[STALE_MAX]; /* more than that stay until the next time */
	size_t n;
};

/** On a socket of its own: what is left of an answer too long must not be taken for that to another request. */
static int dump(uint16_t type, mnl_cb_t each, struct stale *stale)
{
	int more = MNL_CB_OK, ret;
	char answer[16384];
	struct rtnetlink r;
	ssize_t n;

	ret = rtnetlink_open(&r);
	if (ret < 0)
		return ret;
	rtnetlink_start(
		&r, type, 0, type == RTM_GETADDR ? sizeof(struct ifaddrmsg) : sizeof(struct rtmsg));
	r.nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (mnl_socket_sendto(r.socket, r.nlh, r.nlh->nlmsg_len) < 0)
		ret = -errno;
	for (unsigned i = 0; ret == 0 && more == MNL_CB_OK; i++) {
		n = i < DUMP_MAX ? mnl_socket_recvfrom(r.socket, answer, sizeof(answer)) : -1;
		more = n > 0 ? mnl_cb_run(answer, (size_t)n, r.seq, mnl_socket_get_portid(r.socket),
				       each, stale)
			     : MNL_CB_ERROR;
		if (more == MNL_CB_ERROR)
			ret = i < DUMP_MAX ? -errno : -E2BIG;
	}
	rtnetlink_close(&r);
	return ret;
}

static int stale_address(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct ip_addr addr = { .family = ifa->ifa_family == AF_INET ? IP_V4 : IP_V6 };
	struct stale *s = arg;
	const struct nlattr *attr;

	if ((int)ifa->ifa_index != s->index || ifa->ifa_prefixlen != ip_family_bits(addr.family) ||
		s->n == STALE_MAX)
		return MNL_CB_OK;
	attr = rtnetlink_attribute(nlh, sizeof(*ifa), IFA_ADDRESS);
	if (attr == NULL || mnl_attr_get_payload_len(attr) != address_size(&addr))
		return MNL_CB_OK;
	memcpy(addr.bytes, mnl_attr_get_payload(attr), address_size(&addr));
	for (size_t i = 0; i < s->params->n_addresses; i++) {
		if (ip_addr_equal(&s->params->addresses[i], &addr))
			return MNL_CB_OK;
	}
	s->found[s->n++].addr = addr;
	return MNL_CB_OK;
}

static bool is_wanted(const struct port_params *params, const struct ip_prefix *dst)
{
	if (params->n_routes == 0 && params->role != PORT_HOST)
		return dst->len == 0;
	for (size_t i = 0; i < params->n_routes; i++) {
		const struct ip_prefix route = ip_prefix_canonical(&params->routes[i]);

		if (ip_prefix_equal(&route, dst))
			return true;
	}
	return false;
}

/** A route through the gateway, as we make them. */
static int stale_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *oif = rtnetlink_attribute(nlh, sizeof(*rtm), RTA_OIF);
	const struct nlattr *via = rtnetlink_attribute(nlh, sizeof(*rtm), RTA_GATEWAY);
	const struct nlattr *to = rtnetlink_attribute(nlh, sizeof(*rtm), RTA_DST);
	struct ip_prefix dst = { .addr.family = rtm->rtm_family == AF_INET ? IP_V4 : IP_V6,
		.len = rtm->rtm_dst_len };
	struct stale *s = arg;

	if (oif == NULL || (int)mnl_attr_get_u32(oif) != s->index || via == NULL ||
		rtm->rtm_protocol != RTPROT_STATIC || s->n == STALE_MAX)
		return MNL_CB_OK;
	if (to != NULL && mnl_attr_get_payload_len(to) == address_size(&dst.addr))
		memcpy(dst.addr.bytes, mnl_attr_get_payload(to), address_size(&dst.addr));
	if (!is_wanted(s->params, &dst))
		s->found[s->n++] = dst;
	return MNL_CB_OK;
}

/** Addresses and routes the pod had before and shall not have. What cannot be found or removed is no reason to leave the
 * pod without a port: its packets are judged by the addresses of the model anyway. */
static void stale_remove(struct rtnetlink *r, int index, const struct port_params *params)
{
	struct stale stale = { .index = index, .params = params };

	dump(RTM_GETROUTE, stale_route, &stale);
	for (size_t i = 0; i < stale.n; i++)
		route_request(r, RTM_DELROUTE, index, &stale.found[i],
			&params->gateway[stale.found[i].addr.family == IP_V4 ? 0 : 1]);
	stale.n = 0;
	dump(RTM_GETADDR, stale_address, &stale);
	for (size_t i = 0; i < stale.n; i++)
		address_request(r, RTM_DELADDR, index, &stale.found[i].addr);
}

void tap_alias_format(const char *port, char alias[TAP_ALIAS_MAX])
{
	snprintf(alias, TAP_ALIAS_MAX, "podlane %s", port);
}

int tap_link_delete(const char *interface, const char *port, struct error *err)
{
	struct rtnetlink r;
	int ret = rtnetlink_open(&r);

	if (ret < 0)
		return error_set(
			err, -ret, NULL, "port %s: no rtnetlink: %s", port, strerror(-ret));
	ret = link_index(&r, interface);
	ret = ret > 0 ? link_remove(&r, ret) : ret;
	rtnetlink_close(&r);
	if (ret < 0 && ret != -ENODEV)
		return error_set(err, -ret, NULL, "port %s: cannot remove interface %s: %s", port,
			interface, strerror(-ret));
	return 0;
}

/** again: what is there is right. */
static int addresses_add(struct rtnetlink *r, int index, const struct port_params *params,
	bool again, struct error *err)
{
	char text[IP_TEXT_MAX];

	for (size_t i = 0; i < params->n_addresses; i++) {
		int ret = address_request(r, RTM_NEWADDR, index, &params->addresses[i]);

		if (ret == -EEXIST && again)
			ret = 0;
		if (ret < 0)
			return error_set(err, -ret, NULL, "port %s: interface %s: address %s: %s",
				params->name, params->interface,
				ip_addr_format(&params->addresses[i], text),
				ret == -EACCES ? "IPv6 is disabled in this network namespace"
					       : strerror(-ret));
	}
	return 0;
}

static int configure(struct rtnetlink *r, int index, const struct port_params *params, bool again,
	struct error *err)
{
	int ret = link_set(r, index, params, false);

	if (ret < 0)
		return error_set(err, -ret, NULL,
			"port %s: interface %s: MAC address or MTU %u refused: %s", params->name,
			params->interface, params->mtu, strerror(-ret));
	link_sysctl6(params->interface, "accept_ra", "0");
	link_sysctl6(params->interface, "accept_dad", "0");
	link_sysctl6(params->interface, "dad_transmits", "0");
	if (wants_ipv6(params))
		link_sysctl6(params->interface, "disable_ipv6", "0");
	ret = link_set(r, index, params, true);
	if (ret < 0)
		return error_set(err, -ret, NULL, "port %s: cannot bring interface %s up: %s",
			params->name, params->interface, strerror(-ret));
	ret = addresses_add(r, index, params, again, err);
	if (ret < 0)
		return ret;
	ret = routes_add(r, index, params, again, err);
	/* Last: an interface that loses its last address loses its routes with it. */
	if (ret == 0 && again)
		stale_remove(r, index, params);
	return ret;
}

/** fn with a socket and the interface's index. */
static int with_link(const struct port_params *params, bool again,
	int (*fn)(struct rtnetlink *, int, const struct port_params *, bool, struct error *),
	struct error *err)
{
	struct rtnetlink r;
	int index, ret = rtnetlink_open(&r);

	if (ret < 0)
		return error_set(
			err, -ret, NULL, "port %s: no rtnetlink: %s", params->name, strerror(-ret));
	index = link_index(&r, params->interface);
	if (index < 0) {
		rtnetlink_close(&r);
		return error_set(err, ENODEV, NULL, "port %s: interface %s is gone", params->name,
			params->interface);
	}
	ret = fn(&r, index, params, again, err);
	rtnetlink_close(&r);
	return ret;
}

int tap_link_configure(const struct port_params *params, bool again, struct error *err)
{
	return with_link(params, again, configure, err);
}

static int restore(struct rtnetlink *r, int index, const struct port_params *params, bool again,
	struct error *err)
{
	int ret = addresses_add(r, index, params, again, err);

	return ret == 0 ? routes_add(r, index, params, again, err) : ret;
}

int tap_link_restore(const struct port_params *params, struct error *err)
{
	return with_link(params, true, restore, err);
}

/* Changes of an interface that is in use. */

void tap_addressing_free(struct tap_addressing *a)
{
	free(a->addresses);
	free(a->routes);
	*a = (struct tap_addressing){ 0 };
}

int tap_addressing_copy(struct tap_addressing *a, const struct port_params *params)
{
	*a = (struct tap_addressing){ .addresses = calloc(
					      params->n_addresses + 1, sizeof(*a->addresses)),
		.routes = calloc(params->n_routes + 1, sizeof(*a->routes)) };
	if (a->addresses == NULL || a->routes == NULL) {
		tap_addressing_free(a);
		return -ENOMEM;
	}
	a->n_addresses = params->n_addresses;
	a->n_routes = params->n_routes;
	if (a->n_addresses > 0)
		memcpy(a->addresses, params->addresses, a->n_addresses * sizeof(*a->addresses));
	for (size_t i = 0; i < a->n_routes; i++)
		a->routes[i] = ip_prefix_canonical(&params->routes[i]);
	return 0;
}

static bool has_address(const struct tap_addressing *a, const struct ip_addr *addr)
{
	for (size_t i = 0; i < a->n_addresses; i++) {
		if (ip_addr_equal(&a->addresses[i], addr))
			return true;
	}
	return false;
}

static bool has_route(const struct tap_addressing *a, const struct ip_prefix *route)
{
	for (size_t i = 0; i < a->n_routes; i++) {
		if (ip_prefix_equal(&a->routes[i], route))
			return true;
	}
	return false;
}

/** Add (or delete) what `of` has and `without` has not. @return 0 or the first error; deleting goes on after errors: what
 * is not there any more need not be deleted. */
static int difference(struct rtnetlink *r, int index, bool add, const struct tap_addressing *of,
	const struct tap_addressing *without, const struct ip_addr gateway[2])
{
	int ret = 0;

	for (size_t i = 0; i < of->n_addresses && (ret == 0 || !add); i++) {
		if (!has_address(without, &of->addresses[i]))
			ret = address_request(
				r, add ? RTM_NEWADDR : RTM_DELADDR, index, &of->addresses[i]);
	}
	for (size_t i = 0; i < of->n_routes && (ret == 0 || !add); i++) {
		const struct ip_addr *via = &gateway[of->routes[i].addr.family == IP_V4 ? 0 : 1];

		if (via->family != IP_NONE && !has_route(without, &of->routes[i]))
			ret = route_request(
				r, add ? RTM_NEWROUTE : RTM_DELROUTE, index, &of->routes[i], via);
	}
	return ret;
}

int tap_link_change(const char *interface, const struct tap_addressing *before,
	const struct tap_addressing *after, const struct ip_addr gateway[2], const char *port,
	struct error *err)
{
	int index = (int)if_nametoindex(interface), ret;
	struct rtnetlink r;

	if (index == 0)
		return error_set(
			err, ENODEV, NULL, "port %s: interface %s is gone", port, interface);
	ret = rtnetlink_open(&r);
	if (ret < 0)
		return error_set(
			err, -ret, NULL, "port %s: no rtnetlink: %s", port, strerror(-ret));
	/* New ones first: an interface that loses its last address loses its routes with it. */
	ret = difference(&r, index, true, after, before, gateway);
	if (ret == 0)
		difference(&r, index, false, before, after, gateway);
	else
		difference(&r, index, false, after, before, gateway);
	rtnetlink_close(&r);
	if (ret < 0)
		return error_set(err, -ret, NULL,
			"port %s: interface %s refuses its new addresses or routes: %s", port,
			interface, strerror(-ret));
	return 0;
}
