/* SPDX-License-Identifier: Apache-2.0 */
/** The virtio network header (virtio 1.2 section 5.1.6) against DPDK's offload words, as
 * dataplane/port.h uses them. TAP puts one before each frame. Fields are in native byte order
 * (tun's default; all our machines are little-endian).
 *
 * Worker threads; pure functions of packet and header. Frames start with their Ethernet header.
 */
#ifndef DATAPLANE_VIRTIO_HDR_H
#define DATAPLANE_VIRTIO_HDR_H

#include <linux/virtio_net.h>
#include <rte_mbuf.h>
#include <stdbool.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2; virtio 1.3 section 5.1.6 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#ifndef VIRTIO_NET_F_HOST_USO /* the same; UDP_L4 from the device's host to the guest, by family, and back */
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO	56
#endif

/** Set the packet's offload words from what came with it. Every field is checked against the
 * headers of the packet: a partial checksum that is not plain TCP or UDP (inside a tunnel of the
 * pod's own, behind a VLAN tag) is finished here, a large packet that is neither TCP over the stated
 * family nor UDP is refused. A datagram to be fragmented (GSO_UDP) gets OFFLOAD_DATAGRAM.
 * @return false when the header is malformed or asks for something never offered: drop the frame.
 */
bool virtio_hdr_accept(struct rte_mbuf *m, const struct virtio_net_hdr *hdr);

/** The header for a packet with offload words. l2_len, l3_len, l4_len and tso_segsz hold for
 * packets that ask for something; the others get zeros. */
void virtio_hdr_make(const struct rte_mbuf *m, struct virtio_net_hdr *hdr);

#endif
