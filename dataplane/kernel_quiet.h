/* SPDX-License-Identifier: Apache-2.0 */
/** Keep the kernel quiet about tunnels that end here. Beside an uplink of our own (af_packet, or a device that stands on an
 * interface) the kernel gets every packet too; where it has the uplink's address it would answer those of tunnels with ICMP
 * "port unreachable" or "protocol unreachable" (RFC 1122 section 3.2.2.1), and peers believe that. Sockets that are bound to just
 * these addresses and ports, and drop all they are given before it is queued, make the kernel think somebody listens.
 *
 * Not possible where the kernel has a tunnel driver of its own loaded (ipip, sit): that answers for protocols 4 and 41 itself.
 *
 * Control thread only.
 */
#ifndef DATAPLANE_KERNEL_QUIET_H
#define DATAPLANE_KERNEL_QUIET_H

#include "config/address.h"

#include <stddef.h>
#include <stdint.h>

/** Be quiet at these addresses (those that the kernel has in this network namespace) about these UDP ports, host byte order, and
 * about IP-in-IP. What was asked for before and is not now ends. Ports of others, a kernel's VXLAN device say, stay theirs.
 * To be called again now and then: the kernel's addresses come and go.
 * @return how many of the addresses the kernel has. */
size_t kernel_quiet(const struct ip_addr *addresses, size_t n_addresses, const uint16_t *udp_ports,
	size_t n_ports);
/** How many sockets there are. */
size_t kernel_quiet_sockets(void);

#endif
