/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel_vlan.h"

#include "dataplane/kernel_ethtool.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

bool kernel_vlan_name(const char *parent, uint16_t vlan, char name[IFNAMSIZ])
{
	return snprintf(name, IFNAMSIZ, "%s.%u", parent, vlan) < IFNAMSIZ;
}

static void put_link(struct nlmsghdr *nlh, unsigned parent, uint16_t vlan, const char *name)
{
	struct nlattr *info, *data;

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(nlh, IFLA_LINK, parent);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "vlan");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put_u16(nlh, IFLA_VLAN_ID, vlan);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

/** Send, and wait for the acknowledgement. */
static int ask(struct mnl_socket *s, const struct nlmsghdr *nlh)
{
	char answer[4096];
	ssize_t n;

	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do
		n = mnl_socket_recvfrom(s, answer, sizeof(answer));
	while (n < 0 && errno == EINTR);
	if (n < 0 || mnl_cb_run(answer, (size_t)n, nlh->nlmsg_seq, mnl_socket_get_portid(s), NULL,
			     NULL) < 0)
		return -errno;
	return 0;
}

int kernel_vlan_add(const char *parent, uint16_t vlan, const char *name)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int ret;

	if (s == NULL)
		return -errno;
	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	nlh->nlmsg_seq = 1;
	put_link(nlh, if_nametoindex(parent), vlan, name);
	ret = ask(s, nlh);
	mnl_socket_close(s);
	return ret < 0 ? ret : kernel_interface_up(name);
}
