/* SPDX-License-Identifier: Apache-2.0 */
/** Interface set-up by rtnetlink, for port_tap.c. Control thread only;
 * blocking, but only on the kernel's own answers. */
#ifndef DATAPLANE_TAP_NETLINK_H
#define DATAPLANE_TAP_NETLINK_H

#include "config/error.h"
#include "dataplane/port.h"
#include "dataplane/rtnetlink.h"

/** Move interface `name` of the caller's namespace to another one, as `as`. */
int tap_link_move(const char *name, int netns_fd, const char *as, const struct port_params *params,
	struct error *err);

/** Inside the interface's namespace: alias, MAC, MTU, addresses (/32 and /128, usable at once), up,
 * routes. What a pod gets when params names no routes is a default route by each gateway; the host
 * port gets none. again: it may have all or some of that already, and loses other /32 and /128
 * addresses. -EEXIST: an address or route of another interface is in the way. */
int tap_link_configure(const struct port_params *params, bool again, struct error *err);

/** Inside the interface's namespace: addresses and routes as in tap_link_configure, where they are missing. The kernel drops
 * routes, and IPv6 addresses, of an interface that is set down. */
int tap_link_restore(const struct port_params *params, struct error *err);

/** The mark of our interfaces, which `ip link` shows: "podlane pod:web". */
#define TAP_ALIAS_MAX LINK_ALIAS_MAX
void tap_alias_format(const char *port, char alias[TAP_ALIAS_MAX]);
/** Inside the interface's namespace. 0 or -errno. */
int tap_link_delete(const char *interface, const char *port, struct error *err);

/** What an interface has from us: addresses (/32 and /128), and routes through the gateways. */
struct tap_addressing {
	struct ip_addr *addresses;
	struct ip_prefix *routes; /* canonical */
	size_t n_addresses, n_routes;
};
/** What params say. -ENOMEM. */
int tap_addressing_copy(struct tap_addressing *a, const struct port_params *params);
void tap_addressing_free(struct tap_addressing *a);

/** Inside the interface's namespace: from what it has to what it shall have, without a moment with less than both have in
 * common. gateway: IPv4 and IPv6 next hop of the routes. On error what it had stays. */
int tap_link_change(const char *interface, const struct tap_addressing *before,
	const struct tap_addressing *after, const struct ip_addr gateway[2], const char *port,
	struct error *err);

#endif
