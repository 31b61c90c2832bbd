/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/rtnetlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int rtnetlink_open(struct rtnetlink *r)
{
	r->seq = 0;
	r->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (r->socket == NULL)
		return -errno;
	if (mnl_socket_bind(r->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int ret = -errno;

		mnl_socket_close(r->socket);
		return ret;
	}
	return 0;
}

void rtnetlink_close(struct rtnetlink *r)
{
	mnl_socket_close(r->socket);
}

void *rtnetlink_start(struct rtnetlink *r, uint16_t type, uint16_t flags, size_t size)
{
	r->nlh = mnl_nlmsg_put_header(r->buf);
	r->nlh->nlmsg_type = type;
	r->nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	r->nlh->nlmsg_seq = ++r->seq;
	return mnl_nlmsg_put_extra_header(r->nlh, size);
}

/** Send it, and hand what comes to `each`. */
static int exchange(struct rtnetlink *r, mnl_cb_t each, void *arg)
{
	char answer[16384]; /* a link's message grows with its statistics */
	ssize_t n;

	if (mnl_socket_sendto(r->socket, r->nlh, r->nlh->nlmsg_len) < 0)
		return -errno;
	do
		n = mnl_socket_recvfrom(r->socket, answer, sizeof(answer));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (mnl_cb_run(answer, (size_t)n, r->seq, mnl_socket_get_portid(r->socket), each, arg) < 0)
		return -errno;
	return 0;
}

int rtnetlink_send(struct rtnetlink *r)
{
	return exchange(r, NULL, NULL);
}

/** mnl_attr_for_each does not compile with -Wconversion. */
static const struct nlattr *search(const struct nlattr *attr, const char *end, uint16_t type)
{
	while (mnl_attr_ok(attr, (int)(end - (const char *)attr))) {
		if (mnl_attr_get_type(attr) == type)
			return attr;
		attr = mnl_attr_next(attr);
	}
	return NULL;
}

const struct nlattr *rtnetlink_attribute(const struct nlmsghdr *nlh, size_t header, uint16_t type)
{
	return search(
		mnl_nlmsg_get_payload_offset(nlh, header), mnl_nlmsg_get_payload_tail(nlh), type);
}

/** Inside another attribute, or NULL. */
static const struct nlattr *nested(const struct nlattr *in, uint16_t type)
{
	const char *payload = in != NULL ? mnl_attr_get_payload(in) : NULL;

	return payload != NULL
		       ? search((const void *)payload, payload + mnl_attr_get_payload_len(in), type)
		       : NULL;
}

static void text_take(char *text, size_t size, const struct nlattr *attr)
{
	if (attr != NULL)
		snprintf(text, size, "%.*s", (int)mnl_attr_get_payload_len(attr),
			mnl_attr_get_str(attr));
}

static uint32_t u32_take(const struct nlattr *attr, uint32_t without)
{
	return attr != NULL && mnl_attr_get_payload_len(attr) == sizeof(uint32_t)
		       ? mnl_attr_get_u32(attr)
		       : without;
}

static int link_told(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const size_t header = sizeof(*ifi);
	const struct nlattr *info = rtnetlink_attribute(nlh, header, IFLA_LINKINFO),
			    *mac = rtnetlink_attribute(nlh, header, IFLA_ADDRESS),
			    *carrier = rtnetlink_attribute(nlh, header, IFLA_CARRIER);
	struct link_facts *f = arg;

	f->index = ifi->ifi_index;
	text_take(f->name, sizeof(f->name), rtnetlink_attribute(nlh, header, IFLA_IFNAME));
	text_take(f->alias, sizeof(f->alias), rtnetlink_attribute(nlh, header, IFLA_IFALIAS));
	text_take(f->kind, sizeof(f->kind), nested(info, IFLA_INFO_KIND));
	if (mac != NULL && mnl_attr_get_payload_len(mac) == sizeof(f->mac.bytes))
		memcpy(f->mac.bytes, mnl_attr_get_payload(mac), sizeof(f->mac.bytes));
	f->carrier = carrier != NULL && mnl_attr_get_payload_len(carrier) == 1 &&
		     mnl_attr_get_u8(carrier) != 0;
	f->mtu_max = u32_take(rtnetlink_attribute(nlh, header, IFLA_MAX_MTU), 0);
	f->peer = (int)u32_take(rtnetlink_attribute(nlh, header, IFLA_LINK), 0);
	f->peer_netns =
		(int)u32_take(rtnetlink_attribute(nlh, header, IFLA_LINK_NETNSID), (uint32_t)-1);
	if (strcmp(f->kind, "tun") == 0)
		f->queues = u32_take(nested(nested(info, IFLA_INFO_DATA), IFLA_TUN_NUM_QUEUES), 0);
	return MNL_CB_OK;
}

static struct ifinfomsg *start_look(struct rtnetlink *r)
{
	struct ifinfomsg *ifi = rtnetlink_start(r, RTM_GETLINK, 0, sizeof(*ifi));

	r->nlh->nlmsg_flags = NLM_F_REQUEST;
	ifi->ifi_family = AF_UNSPEC;
	mnl_attr_put_u32(r->nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return ifi;
}

int link_find(struct rtnetlink *r, const char *name, struct link_facts *facts)
{
	*facts = (struct link_facts){ .index = 0 };
	start_look(r);
	mnl_attr_put_strz(r->nlh, IFLA_IFNAME, name);
	return exchange(r, link_told, facts);
}

int link_find_in(struct rtnetlink *r, int netns, int index, struct link_facts *facts)
{
	*facts = (struct link_facts){ .index = 0 };
	start_look(r)->ifi_index = index;
	mnl_attr_put_u32(r->nlh, IFLA_TARGET_NETNSID, (uint32_t)netns);
	return exchange(r, link_told, facts);
}

int link_index(const struct rtnetlink *r, const char *name)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(mnl_socket_get_fd(r->socket), SIOCGIFINDEX, &ifr) < 0 ? -errno
									   : ifr.ifr_ifindex;
}

int link_remove(struct rtnetlink *r, int index)
{
	struct ifinfomsg *ifi = rtnetlink_start(r, RTM_DELLINK, 0, sizeof(*ifi));

	ifi->ifi_index = index;
	return rtnetlink_send(r);
}

void link_sysctl6(const char *name, const char *key, const char *value)
{
	char path[128];
	ssize_t written;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	written = write(fd, value, strlen(value));
	(void)written;
	close(fd);
}
