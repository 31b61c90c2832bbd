/* SPDX-License-Identifier: Apache-2.0 */
/** A large TCP segment inside a tunnel, as a kernel on this machine hands it to a virtual interface: outer headers (VXLAN or
 * IP-in-IP, either family) once, then a TCP segment of up to 64 KiB. It is cut into the tunnel packets it stands for.
 *
 * Worker threads; functions of the packet alone. Nothing in it is trusted. */
#ifndef DATAPLANE_TUNNEL_CUT_H
#define DATAPLANE_TUNNEL_CUT_H

#include <linux/virtio_net.h>
#include <rte_mbuf.h>
#include <stdint.h>

/** Cut a frame whose virtio header asks for TCP segmentation of what is inside a tunnel. Each packet has complete lengths,
 * identifications and checksums, inside and outside; an outer UDP checksum says "none". Headers lie in the first buffer.
 * @param out  receives up to max packets, in order, owned by the caller
 * @return their number, m is then freed; or 0 with m still the caller's: malformed, not in a tunnel, more than max, or out of
 * buffers. */
uint16_t tunnel_cut(struct rte_mbuf *m, const struct virtio_net_hdr *hdr, struct rte_mempool *pool,
	struct rte_mbuf **out, uint16_t max);

#endif
