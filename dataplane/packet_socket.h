/* SPDX-License-Identifier: Apache-2.0 */
/** One queue of the af_packet driver: a packet socket (packet(7)) on a kernel interface, with virtio headers, and a receive
 * ring shared with the kernel (PACKET_RX_RING, TPACKET_V2).
 *
 * Why a ring and a queue: frames that fit a slot are read from it for next to nothing, where a system call a frame costs
 * twenty times that. Larger ones (TCP segments and UDP packets that were not cut yet) have only their beginning in the slot and
 * wait on the socket as a whole (PACKET_COPY_THRESH), in the same order, so that they are copied once. For sending a ring
 * brings nothing over sendmmsg, and knows no segmentation. perf/RESULTS.md has the figures.
 *
 * Control thread unless said otherwise. */
#ifndef DATAPLANE_PACKET_SOCKET_H
#define DATAPLANE_PACKET_SOCKET_H

#include "config/error.h"

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packet_socket {
	int fd;
	uint8_t *ring;
	size_t ring_bytes;
	uint32_t slot_bytes, n_slots;
	uint32_t at; /* worker: the next slot to look at */
};

/** What the sockets of a port have in common. */
struct packet_socket_conf {
	const char *port; /* for messages */
	unsigned ifindex;
	uint32_t frame_max; /* bytes of an ordinary frame, VLAN tag included: it fits a slot */
	bool promiscuous;
	bool spread;	/* one of several: flows are spread over them (PACKET_FANOUT_HASH) */
	uint16_t group; /* in and out: the fanout group; 0 = make one */
};

/** Open, with nothing received yet. The kernel's fanout counts sockets in the order they are opened in.
 * @return 0, -EPERM, -ENODEV, -ENOMEM or another -errno, with one sentence in err. */
int packet_socket_open(struct packet_socket *s, struct packet_socket_conf *conf, struct error *err);
void packet_socket_close(struct packet_socket *s);
/** Forget all frames in the ring. */
void packet_socket_discard(struct packet_socket *s);
/** Forget that the interface was down. The socket is readable as long as it has something to say about that, and nobody would
 * read it: workers would not sleep. */
void packet_socket_forget_error(const struct packet_socket *s);
/** Frames the kernel had no room for since the last call. */
uint32_t packet_socket_missed(const struct packet_socket *s);

/** A frame in the ring, or on the socket. */
struct packet_frame {
	struct virtio_net_hdr hdr;
	const uint8_t *bytes;
	uint32_t len;
	uint16_t vlan_tci, vlan_tpid; /* host order; tpid 0 = no tag was taken off */
	bool truncated;		      /* there is no more of it than its beginning */
};

/** Worker: look at the next frame without taking it; a large one is read into `scratch` (scratch_bytes of them) and is then gone
 * from the socket, so packet_socket_next has to follow. @return false when there is none. */
bool packet_socket_peek(struct packet_socket *s, struct packet_frame *frame, uint8_t *scratch,
	size_t scratch_bytes);
/** Worker: done with the frame of the last peek. */
void packet_socket_next(struct packet_socket *s);
/** Worker: would peek find something? */
bool packet_socket_ready(const struct packet_socket *s);

/** Whether this kernel sends and receives large UDP packets on packet sockets (Linux 6.2 and later): tried out once a process,
 * in a network namespace of its own. */
bool packet_socket_segments_udp(void);
/** Begin to find that out, in a thread: some 15 ms that are well spent while something else starts. */
void packet_socket_probe(void);

#endif
