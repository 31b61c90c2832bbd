/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pod_veth.h"

#include "config/log.h"
#include "dataplane/tap_netlink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

#define MTU_MAX	      65535
#define NAME_HASH_MAX ((UINT64_C(1) << 48) - 1)

/* Of the daemon. */
static struct pod_program *program;
static bool refused;	      /* this kernel has no such thing: said once */
static int flags_socket = -1; /* to ask for flags on */

struct pod_veth pod_veth_of(const char *port)
{
	struct pod_veth v = { .host_ifindex = 0 };
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (const char *c = port; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	hash = (hash ^ hash >> 48) & NAME_HASH_MAX;
	snprintf(v.host, sizeof(v.host), "plv%012llx", (unsigned long long)hash);
	snprintf(v.tap, sizeof(v.tap), "plt%012llx", (unsigned long long)hash);
	return v;
}

/* --- what the kernel can do ----------------------------------------------------------------------------------- */

/** The next attempt may succeed. */
static bool is_passing(int ret)
{
	return ret == -EMFILE || ret == -ENFILE || ret == -ENOMEM || ret == -ENOBUFS ||
	       ret == -EINTR || ret == -EAGAIN || ret == -E2BIG || ret == -ENODEV || ret == -EBUSY;
}

/** What `why` says failed with ret. @return ret with a message, or -EOPNOTSUPP when that is how this kernel is. */
static int unable(int ret, const char *port, const struct error *why, struct error *err)
{
	if (is_passing(ret))
		return error_set(err, -ret, NULL, "port %s: %s%s", port, why->text,
			ret == -EMFILE || ret == -ENFILE
				? ": raise the daemon's limit of open files"
				: "");
	LOG_WARNING("kernel pods get plain TAPs: the kernel will not forward their flows by itself "
		    "reason=\"%s\"",
		why->text);
	refused = true;
	return error_set(err, EOPNOTSUPP, NULL, "port %s: %s", port, why->text);
}

int pod_veth_ready(const char *port, struct error *err)
{
	struct error why = { 0 };
	int ret = 0;

	if (refused)
		return 0;
	if (flags_socket < 0) {
		flags_socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (flags_socket < 0)
			ret = error_set(&why, errno, NULL, "no socket: %s", strerror(errno));
	}
	if (ret == 0 && program == NULL)
		ret = pod_program_load(&program, &why);
	if (ret == 0)
		return 1;
	ret = unable(ret, port, &why, err);
	return ret == -EOPNOTSUPP ? 0 : ret;
}

struct pod_program *pod_veth_program(void)
{
	return program;
}

/* --- making --------------------------------------------------------------------------------------------------- */

static int no_rtnetlink(int ret, const char *port, struct error *err)
{
	return error_set(err, -ret, NULL, "port %s: no rtnetlink: %s", port, strerror(-ret));
}

static int pair_request(struct rtnetlink *r, const struct pod_veth *veth, int netns_fd,
	const struct port_params *params)
{
	struct nlattr *info, *data, *peer;

	rtnetlink_start(r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(r->nlh, IFLA_IFNAME, veth->host);
	info = mnl_attr_nest_start(r->nlh, IFLA_LINKINFO);
	mnl_attr_put_str(r->nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(r->nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(r->nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(r->nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(r->nlh, IFLA_IFNAME, params->interface);
	mnl_attr_put_u32(r->nlh, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	if (!mac_addr_is_zero(&params->pod_mac))
		mnl_attr_put(
			r->nlh, IFLA_ADDRESS, sizeof(params->pod_mac.bytes), params->pod_mac.bytes);
	mnl_attr_nest_end(r->nlh, peer);
	mnl_attr_nest_end(r->nlh, data);
	mnl_attr_nest_end(r->nlh, info);
	return rtnetlink_send(r);
}

int pod_veth_make(const struct pod_veth *veth, int netns_fd, const struct port_params *params,
	struct error *err)
{
	struct error why = { 0 };
	struct rtnetlink r;
	int ret = rtnetlink_open(&r);

	if (ret < 0)
		return no_rtnetlink(ret, params->name, err);
	ret = pair_request(&r, veth, netns_fd, params);
	rtnetlink_close(&r);
	if (ret == -EEXIST)
		return error_set(err, EEXIST, NULL,
			"port %s: network namespace %s has an interface %s already", params->name,
			params->netns, params->interface);
	if (ret == -EOPNOTSUPP) {
		error_set(&why, EOPNOTSUPP, NULL,
			"the kernel makes no veth pairs: it needs CONFIG_VETH");
		return unable(ret, params->name, &why, err);
	}
	if (ret < 0)
		return error_set(err, -ret, NULL,
			"port %s: cannot make interface %s in network namespace %s: %s%s",
			params->name, params->interface, params->netns, strerror(-ret),
			ret == -EPERM ? ": the daemon needs CAP_NET_ADMIN" : "");
	return 0;
}

/** No word of its own from this namespace's kernel on a link: it is not up yet, or has been like that. Whether there is an IPv6 to
 * silence is the kernel's business. */
static void silence(struct rtnetlink *r, const struct link_facts *link)
{
	struct ifinfomsg *ifi = rtnetlink_start(r, RTM_NEWLINK, 0, sizeof(*ifi));
	struct nlattr *families, *inet6;

	ifi->ifi_index = link->index;
	families = mnl_attr_nest_start(r->nlh, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(r->nlh, AF_INET6);
	mnl_attr_put_u8(r->nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(r->nlh, inet6);
	mnl_attr_nest_end(r->nlh, families);
	rtnetlink_send(r);
	link_sysctl6(link->name, "disable_ipv6", "1");
}

static int set_up(struct rtnetlink *r, const struct link_facts *link, const char *port)
{
	struct ifinfomsg *ifi;
	char alias[TAP_ALIAS_MAX];

	silence(r, link);
	tap_alias_format(port, alias);
	ifi = rtnetlink_start(r, RTM_NEWLINK, 0, sizeof(*ifi));
	ifi->ifi_index = link->index;
	mnl_attr_put_str(r->nlh, IFLA_IFALIAS, alias);
	mnl_attr_put_u32(r->nlh, IFLA_MTU,
		link->mtu_max > 0 && link->mtu_max < MTU_MAX ? link->mtu_max : MTU_MAX);
	return rtnetlink_send(r);
}

static int bring_up(struct rtnetlink *r, int index)
{
	struct ifinfomsg *ifi = rtnetlink_start(r, RTM_NEWLINK, 0, sizeof(*ifi));

	ifi->ifi_index = index;
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	return rtnetlink_send(r);
}

/** With a socket: everything but the programs before they are attached, up afterwards. */
static int join(struct rtnetlink *r, struct pod_veth *veth, const char *port, struct error *err)
{
	struct link_facts links[2];
	struct error why = { 0 };
	const char *names[2] = { veth->host, veth->tap };
	int ret = 0;

	for (unsigned i = 0; i < 2 && ret == 0; i++) {
		ret = link_find(r, names[i], &links[i]);
		ret = ret < 0 ? ret : set_up(r, &links[i], port);
		if (ret < 0)
			return error_set(err, -ret, NULL, "port %s: interface %s: %s", port,
				names[i], strerror(-ret));
	}
	ret = pod_program_attach(program, (uint32_t)links[0].index, (uint32_t)links[1].index, &why);
	if (ret < 0)
		return unable(ret, port, &why, err);
	for (unsigned i = 0; i < 2; i++) {
		ret = bring_up(r, links[i].index);
		if (ret == 0)
			continue;
		pod_program_detach(program, (uint32_t)links[0].index, (uint32_t)links[1].index);
		return error_set(err, -ret, NULL, "port %s: cannot bring interface %s up: %s", port,
			names[i], strerror(-ret));
	}
	veth->host_ifindex = (uint32_t)links[0].index;
	veth->tap_ifindex = (uint32_t)links[1].index;
	return 0;
}

int pod_veth_join(struct pod_veth *veth, const char *port, struct error *err)
{
	struct rtnetlink r;
	int ret = rtnetlink_open(&r);

	if (ret < 0)
		return no_rtnetlink(ret, port, err);
	ret = join(&r, veth, port, err);
	rtnetlink_close(&r);
	return ret;
}

/* --- finding what an earlier daemon left ---------------------------------------------------------------------- */

static bool is_of(const struct link_facts *link, const char *port)
{
	char wanted[TAP_ALIAS_MAX];

	tap_alias_format(port, wanted);
	return strcmp(link->alias, wanted) == 0;
}

static int find(const char *name, struct link_facts *link)
{
	struct rtnetlink r;
	int ret = rtnetlink_open(&r);

	if (ret < 0)
		return ret;
	ret = link_find(&r, name, link);
	rtnetlink_close(&r);
	return ret;
}

static int remove_link(const struct link_facts *link, const char *port, struct error *err)
{
	struct rtnetlink r;
	int ret = rtnetlink_open(&r);

	if (ret < 0)
		return no_rtnetlink(ret, port, err);
	ret = link_remove(&r, link->index);
	rtnetlink_close(&r);
	if (ret < 0 && ret != -ENODEV)
		return error_set(err, -ret, NULL, "port %s: cannot remove interface %s: %s", port,
			link->name, strerror(-ret));
	return 0;
}

static int somebody_elses(const char *name, const char *port, struct error *err)
{
	return error_set(err, EEXIST, NULL,
		"port %s: interface %s exists already, and is not this port's (its alias says "
		"whose)",
		port, name);
}

bool pod_veth_is_end(const struct pod_veth *veth, const char *port, const struct link_facts *pod)
{
	struct link_facts host;

	return find(veth->host, &host) == 0 && is_of(&host, port) && host.peer == pod->index &&
	       pod->peer == host.index;
}

int pod_veth_remove_host(const struct pod_veth *veth, const char *port, struct error *err)
{
	struct link_facts host;
	int ret = find(veth->host, &host);

	if (ret < 0)
		return ret == -ENODEV ? 0 : no_rtnetlink(ret, port, err);
	/* Without an alias: a daemon was killed while it made it. */
	if (!is_of(&host, port) && host.alias[0] != '\0')
		return somebody_elses(veth->host, port, err);
	return remove_link(&host, port, err);
}

int pod_veth_find_tap(
	const struct pod_veth *veth, const char *port, struct link_facts *tap, struct error *err)
{
	int ret = find(veth->tap, tap);

	if (ret < 0)
		return ret == -ENODEV ? ret : no_rtnetlink(ret, port, err);
	return is_of(tap, port) ? 0 : somebody_elses(veth->tap, port, err);
}

int pod_veth_remove_tap(const struct pod_veth *veth, const char *port, struct error *err)
{
	struct link_facts tap;
	int ret = pod_veth_find_tap(veth, port, &tap, err);

	return ret < 0 ? (ret == -ENODEV ? 0 : ret) : remove_link(&tap, port, err);
}

static int group_set(struct rtnetlink *r, const struct link_facts *link, uint32_t group)
{
	struct ifinfomsg *ifi = rtnetlink_start(r, RTM_NEWLINK, 0, sizeof(*ifi));

	ifi->ifi_index = link->index;
	mnl_attr_put_u32(r->nlh, IFLA_GROUP, group);
	return rtnetlink_send(r);
}

/** Both by one request. The kernel lets go of an interface only after grace periods of its RCU, some 20 ms with its own lock
 * held; of several at a time, if they have a group of their own, it does so once. */
static int remove_together(
	struct rtnetlink *r, const struct link_facts *a, const struct link_facts *b)
{
	uint32_t group = 0;
	int ret;

	/* One that nobody has: whatever else had it would go as well. */
	if (getrandom(&group, sizeof(group), 0) != sizeof(group))
		return -EIO;
	group = (group & INT32_MAX) | 0x40000000;
	ret = group_set(r, a, group);
	ret = ret < 0 ? ret : group_set(r, b, group);
	if (ret < 0)
		return ret;
	rtnetlink_start(r, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(r->nlh, IFLA_GROUP, group);
	return rtnetlink_send(r);
}

int pod_veth_remove(const struct pod_veth *veth, const char *port, struct error *err)
{
	struct link_facts host, tap;
	struct rtnetlink r;
	int ret = rtnetlink_open(&r), other;

	if (ret < 0)
		return no_rtnetlink(ret, port, err);
	ret = -ENODEV;
	if (link_find(&r, veth->host, &host) == 0 && link_find(&r, veth->tap, &tap) == 0 &&
		is_of(&host, port) && is_of(&tap, port))
		ret = remove_together(&r, &host, &tap);
	rtnetlink_close(&r);
	if (ret == 0)
		return 0;
	ret = pod_veth_remove_host(veth, port, err);
	other = pod_veth_remove_tap(veth, port, err);
	return ret < 0 ? ret : other;
}

void pod_veth_part(const struct pod_veth *veth)
{
	if (program != NULL && veth->host_ifindex != 0)
		pod_program_detach(program, veth->host_ifindex, veth->tap_ifindex);
}

/* --- what becomes of it --------------------------------------------------------------------------------------- */

enum pod_veth_state pod_veth_state(const struct pod_veth *veth)
{
	struct ifreq ifr = { 0 };
	struct link_facts host;
	int ret;

	memcpy(ifr.ifr_name, veth->host, sizeof(ifr.ifr_name));
	if (ioctl(flags_socket, SIOCGIFFLAGS, &ifr) < 0)
		return errno == ENODEV ? POD_VETH_GONE : POD_VETH_UNKNOWN;
	/* The pair has a carrier while both ends are up. This costs next to nothing and needs no lock of the kernel's, but it
	 * tells what a work queue of the kernel's has seen, which may be behind. */
	if (ifr.ifr_flags & IFF_RUNNING)
		return POD_VETH_UP;
	ret = find(veth->host, &host);
	if (ret < 0)
		return ret == -ENODEV ? POD_VETH_GONE : POD_VETH_UNKNOWN;
	return host.carrier ? POD_VETH_UP : POD_VETH_DOWN;
}

int pod_veth_look(const struct pod_veth *veth, struct link_facts *pod)
{
	struct link_facts host;
	struct rtnetlink r;
	int ret = rtnetlink_open(&r);

	if (ret < 0)
		return ret;
	ret = link_find(&r, veth->host, &host);
	if (ret == 0 && (uint32_t)host.index != veth->host_ifindex)
		ret = -ENODEV;
	if (ret == 0)
		ret = host.peer_netns >= 0 ? link_find_in(&r, host.peer_netns, host.peer, pod)
					   : -ENOENT;
	rtnetlink_close(&r);
	return ret;
}
