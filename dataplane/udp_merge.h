/* SPDX-License-Identifier: Apache-2.0 */
/** Consecutive UDP packets of one flow that leave as one: their headers once, then all payloads, and a virtio header that
 * says where to cut (VIRTIO_NET_HDR_GSO_UDP_L4, virtio 1.3 section 5.1.6.2). What comes out of the kernel's or a device's
 * segmentation are the same packets again: equal headers, the last payload perhaps shorter. IPv4 identifications count up
 * from the first packet's, and each packet gets a checksum.
 *
 * Tunnel packets are what this is for: a large segment of a pod was cut for the tunnel a moment ago.
 *
 * Worker threads; pure functions of the packets. Frames start with their Ethernet header; headers lie in the first buffer,
 * payload may be spread over several.
 */
#ifndef DATAPLANE_UDP_MERGE_H
#define DATAPLANE_UDP_MERGE_H

#include <linux/virtio_net.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* younger than the headers of Debian 12 */
#endif

#define UDP_MERGE_PACKETS 128	/* what the kernel's own senders are allowed (UDP_MAX_SEGMENTS) */
#define UDP_MERGE_FRAME	  65535 /* bytes with all headers: a device's gso_max_size is one more */
#define UDP_MERGE_HEADERS 62	/* Ethernet, IPv6, UDP */

/** The packets from the first of a burst on that go together. */
struct udp_run {
	uint16_t count;	  /* packets, at least 1 */
	uint16_t buffers; /* of all of them */
	uint16_t
		headers; /* bytes before the payload; 0 = the first is no such packet, count is 1 */
	uint16_t segment; /* payload bytes of each, but for the last */
	uint32_t payload; /* of all of them */
	bool v6;
};

/** Find the run that begins with pkts[0], of at most n packets with at most max_buffers buffers. Packets belong together when
 * headers are equal but for lengths, checksums and identification; lengths are equal, a shorter one ends the run; they have no
 * IPv4 options, IPv6 extension headers or padding and are no fragments; identifications count up where fragmentation is
 * allowed; and checksums are none, partial (RTE_MBUF_F_TX_UDP_CKSUM) or right, so that none that is wrong gets mended. */
void udp_merge_find(
	struct rte_mbuf *const *pkts, uint16_t n, uint16_t max_buffers, struct udp_run *run);

/** The headers (run->headers bytes) and the virtio header of a run of two and more. */
void udp_merge_headers(const struct rte_mbuf *first, const struct udp_run *run, uint8_t *headers,
	struct virtio_net_hdr *hdr);

/** The payloads of a run. @return how many of iov were used: at most run->buffers. */
uint16_t udp_merge_payload(
	struct rte_mbuf *const *pkts, const struct udp_run *run, struct iovec *iov);

#endif
