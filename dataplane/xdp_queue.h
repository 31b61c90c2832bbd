/* SPDX-License-Identifier: Apache-2.0 */
/** One AF_XDP socket on one receive queue of an interface, with frames of its own: packets are copied between frames and
 * mbufs, so nothing of the packet pools is ever the kernel's, and a queue that closes gives everything back.
 *
 * Threads: open and close: control. xdp_queue_rx, _arm: the worker of the queue. xdp_queue_tx: one worker at a time. The
 * two may be different workers.
 */
#ifndef DATAPLANE_XDP_QUEUE_H
#define DATAPLANE_XDP_QUEUE_H

#include "config/address.h"
#include "config/error.h"

#include <rte_mbuf.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct xdp_queue;

struct xdp_queue_params {
	const char *port;      /* for messages */
	const char *interface; /* of this network namespace, up */
	uint32_t queue;
	uint32_t frame_bytes;	  /* largest frame to receive or send, Ethernet header included */
	struct mac_addr inside;	  /* what xdp_queue_set_mac translates to */
	bool native;		  /* the program runs in the driver: try zero copy */
	struct rte_mempool *pool; /* its buffers hold a frame */
};

/** The largest frame that fits one of a queue's buffers; larger ones take several in a row (Linux 6.6). */
#define XDP_QUEUE_FRAME_ONE (4096u - 256u)

/** -EBUSY: somebody else's socket is on the queue; -ENOMEM; -EOPNOTSUPP: such frames are too large for this kernel; -EINVAL; what
 * the kernel says. */
int xdp_queue_open(
	const struct xdp_queue_params *params, struct xdp_queue **out, struct error *err);
void xdp_queue_close(void *queue);
/** The interface's MAC address: received frames for it are given to `inside`, sent ones are from it. Control, at any time. */
void xdp_queue_set_mac(struct xdp_queue *q, const struct mac_addr *mac);
/** Polls readable while packets wait. */
int xdp_queue_fd(const struct xdp_queue *q);
/** The NIC writes frames by itself. */
bool xdp_queue_zero_copy(const struct xdp_queue *q);

uint16_t xdp_queue_rx(struct xdp_queue *q, struct rte_mbuf **pkts, uint16_t n);
/** Takes the first `return value` packets. */
uint16_t xdp_queue_tx(struct xdp_queue *q, struct rte_mbuf **pkts, uint16_t n);
/** @return false when there is something to do before a sleep: packets wait, or the kernel has not taken all that was
 * sent. */
bool xdp_queue_idle(struct xdp_queue *q);
/** Frames lost on the way to us: no room in the ring, no frame, no mbuf. Control. */
uint64_t xdp_queue_lost(const struct xdp_queue *q);

#endif
