/* SPDX-License-Identifier: Apache-2.0 */
/** The encapsulations of this directory, and what their builders share. The list the daemon
 * hands to the data plane is `tunnel_types` (dataplane/tunnel.h), in vxlan/tunnel.c: a new
 * encapsulation is a file and a line there.
 */
#ifndef VXLAN_TUNNEL_H
#define VXLAN_TUNNEL_H

#include "dataplane/tunnel.h"

/** RFC 7348, as Linux, flannel and Calico speak it. */
extern const struct tunnel_ops vxlan_tunnel_ops;
/** RFC 2003, 4213 and 2473: either family in either. */
extern const struct tunnel_ops ipip_tunnel_ops;

/** Control: begin a template with the outer Ethernet and IP headers of `endpoint`; sets every
 * field of *adj that follows from them, header_len being what is written so far. `proto` is the
 * outer protocol, 0 when it is written a packet. @return -EINVAL when the addresses are missing,
 * of two families, or not unicast. */
int tunnel_outer_build(const struct tunnel_endpoint *endpoint, uint8_t proto, struct adjacency *adj,
	struct error *err);
/** Control: the template is complete: lengths and MTU. */
void tunnel_outer_finish(
	const struct tunnel_endpoint *endpoint, enum encap encap, struct adjacency *adj);

#endif
