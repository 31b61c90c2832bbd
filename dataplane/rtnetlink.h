/* SPDX-License-Identifier: Apache-2.0 */
/** Requests to the kernel's routing netlink, one at a time, each with the kernel's verdict before the next. In the network
 * namespace of the thread that opened the socket. Control thread only; blocks, but only on the kernel's own answers.
 */
#ifndef DATAPLANE_RTNETLINK_H
#define DATAPLANE_RTNETLINK_H

#include "config/address.h"

#include <libmnl/libmnl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#define RTNETLINK_REQUEST_MAX 1024
#define LINK_ALIAS_MAX	      256

/** A socket, and the request being built. */
struct rtnetlink {
	struct mnl_socket *socket;
	unsigned seq;
	struct nlmsghdr *nlh;
	char buf[RTNETLINK_REQUEST_MAX];
};

/** 0 or -errno. */
int rtnetlink_open(struct rtnetlink *r);
void rtnetlink_close(struct rtnetlink *r);
/** Start a message. @return its family header, `size` bytes, zeroed. */
void *rtnetlink_start(struct rtnetlink *r, uint16_t type, uint16_t flags, size_t size);
/** Send it and wait for the kernel's verdict: 0 or -errno. */
int rtnetlink_send(struct rtnetlink *r);

/** An attribute of an answer with a family header of `header` bytes, or NULL. */
const struct nlattr *rtnetlink_attribute(const struct nlmsghdr *nlh, size_t header, uint16_t type);

/** An interface as the kernel tells it. */
struct link_facts {
	int index;
	char name[IFNAMSIZ];
	char kind[16]; /* "tun", "veth"; "" = none */
	char alias[LINK_ALIAS_MAX];
	struct mac_addr mac;
	uint32_t mtu_max;
	bool carrier;
	unsigned
		queues; /* of a TAP: that processes have open now; told of multi-queue interfaces only */
	int peer;	/* index of a veth's other end, in its namespace */
	int peer_netns; /* id of that namespace in this one, -1 = this one */
};
/** By name. 0, -ENODEV, or another -errno. */
int link_find(struct rtnetlink *r, const char *name, struct link_facts *facts);
/** By index, in the namespace that has this id here. */
int link_find_in(struct rtnetlink *r, int netns, int index, struct link_facts *facts);

/** Unlike if_nametoindex it needs no descriptor, for want of which that says anything. @return the index, or -errno. */
int link_index(const struct rtnetlink *r, const char *name);
/** 0 or -errno. */
int link_remove(struct rtnetlink *r, int index);

/** Write to /proc/sys/net/ipv6/conf/NAME/KEY. Files of an interface follow the namespace of the thread that opens them. A read-only
 * /proc/sys (a container) is no reason to fail: what matters most is said by rtnetlink as well. */
void link_sysctl6(const char *name, const char *key, const char *value);

#endif
