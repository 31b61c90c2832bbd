/* SPDX-License-Identifier: Apache-2.0 */
/** ICMP "fragmentation needed" (RFC 792, 1191) and ICMPv6 "packet too big" (RFC 4443 section 3.2) about tunnel packets of
 * this node. Pure; control thread.
 */
#ifndef DATAPLANE_PATH_MTU_H
#define DATAPLANE_PATH_MTU_H

#include "config/address.h"

#include <rte_mbuf.h>

struct path_mtu {
	struct ip_addr local, remote; /* source and destination of the packet that did not fit */
	uint8_t proto;		      /* its protocol: UDP, 4 or 41 */
	uint16_t port;		      /* its UDP destination port, host order; 0 for others */
	uint16_t mtu;		      /* of the path, IP bytes; may be a lie */
};

/** m starts at the IP header of the ICMP message. A router that names no MTU (RFC 1191 section 5) is taken to mean the next
 * plateau below the size of the packet quoted. @return false when the message is malformed, its checksum wrong, or it
 * is of another kind. */
bool path_mtu_parse(const struct rte_mbuf *m, struct path_mtu *out);

#endif
