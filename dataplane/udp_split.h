/* SPDX-License-Identifier: Apache-2.0 */
/** The opposite of udp_merge.h: a large UDP packet that arrived whole (VIRTIO_NET_HDR_GSO_UDP_L4) is taken apart into the
 * packets its sender meant, a few at a time: each has the headers with its own lengths, an identification one higher than the
 * one before (IPv4), and its share of the payload.
 *
 * Worker threads; functions of the frame alone. The frame is the caller's and must stay until the last packet is out.
 */
#ifndef DATAPLANE_UDP_SPLIT_H
#define DATAPLANE_UDP_SPLIT_H

#include <linux/virtio_net.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#define UDP_SPLIT_HEADERS 82 /* Ethernet, IPv4 with all options, UDP */

struct udp_split {
	const uint8_t *payload; /* what is left of it */
	uint32_t left;		/* bytes; 0 = nothing is being taken apart */
	uint16_t l4, headers;	/* offset of the UDP header, and of what follows */
	uint16_t segment;
	uint16_t index; /* of the next packet */
	bool v6;
	bool checksum; /* each packet gets one; otherwise it says "none" */
	uint8_t header[UDP_SPLIT_HEADERS];
};

/** Begin with a frame and what came with it. Nothing in either is trusted. `checksum` false: the packets say that they have no
 * checksum (RFC 7348 section 5, RFC 6935), for tunnel packets that nothing can have damaged on their way.
 * @return false when they contradict each other, or it is no large UDP packet: drop it. */
bool udp_split_begin(struct udp_split *s, const uint8_t *frame, uint32_t len,
	const struct virtio_net_hdr *hdr, bool checksum);

/** The next packet, in one buffer when its size allows. s->left is 0 after the last.
 * @return NULL when buffers are short: try again. */
struct rte_mbuf *udp_split_next(
	struct udp_split *s, struct rte_mempool *pool, struct rte_mempool *large_pool);

#endif
