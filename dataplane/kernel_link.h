/* SPDX-License-Identifier: Apache-2.0 */
/** An interface as the kernel has it, by rtnetlink: link state, MTU, MAC address, addresses, and the kernel's neighbours on
 * it, which are asked for one by one. For uplinks whose addresses stay the kernel's. Control thread only; requests wait for
 * the kernel's own answers and nothing else.
 */
#ifndef DATAPLANE_KERNEL_LINK_H
#define DATAPLANE_KERNEL_LINK_H

#include "config/address.h"
#include "config/error.h"
#include "dataplane/port.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_ADDRESSES_MAX 32

struct kernel_link {
	char name[IFNAMSIZ];
	int index;
	/* As last heard. */
	bool exists;
	bool up; /* administratively, and it has a carrier */
	uint32_t mtu;
	struct mac_addr mac;
	struct ip_prefix addresses
		[KERNEL_ADDRESSES_MAX]; /* host bits kept, in the kernel's order; usable ones only */
	size_t n_addresses;
	struct mnl_socket *events, *requests;
	unsigned seq;
	bool stale; /* something of the above changed, or messages were lost: ask again */
};

/** Called for each neighbour heard of; mac is zero when there is none. */
typedef void neighbour_heard_fn(void *arg, const struct ip_addr *address,
	const struct mac_addr *mac, enum neighbour_news news);

/** Of the thread's network namespace. `port` is for messages. -ENODEV: no such interface. */
int kernel_link_open(
	struct kernel_link *link, const char *interface, const char *port, struct error *err);
void kernel_link_close(struct kernel_link *link);
/** Readable when kernel_link_read has something to do. */
int kernel_link_fd(const struct kernel_link *link);
/** Take in what happened. @return true when link state, MTU, MAC or addresses may have changed: kernel_link_refresh. */
bool kernel_link_read(struct kernel_link *link, neighbour_heard_fn *heard, void *arg);
/** Ask for link and addresses anew. 0 or -errno. */
int kernel_link_refresh(struct kernel_link *link);
/** The interface is gone: look whether there is another of its name. @return true when there is, which is the link from now on. */
bool kernel_link_find(struct kernel_link *link);
/** Have the kernel resolve a neighbour, or, with `confirm`, probe one it knows. What it knows now is reported at once,
 * what it finds later by kernel_link_read. */
void kernel_link_resolve(struct kernel_link *link, const struct ip_addr *address, bool confirm,
	neighbour_heard_fn *heard, void *arg);

/** Give it an address (it is used at once, without duplicate detection) or take it away. What is so already is no error.
 * 0 or -errno. */
int kernel_link_assign(struct kernel_link *link, const struct ip_prefix *address, bool on);

#endif
