/* SPDX-License-Identifier: Apache-2.0 */
/** The packet side of a vhost-user device: frames copied between a guest's rings and mbufs, and the hand-over of a ring
 * between workers and the thread that sets it up.
 *
 * Threads. Bursts run on workers, set-up on librte_vhost's threads (vhost_device.h), and the memory behind a ring goes
 * away when a message says so. `ready` says whether a ring may be used, `busy` that somebody does:
 *
 *     worker:  busy = 1; if ready: burst; busy = 0           set-up:  ready = 0; wait until busy == 0; change; ready = 1
 *
 * Both look at the other's word after writing their own, sequentially consistent, so one of them sees the other. A worker
 * never waits for set-up. Set-up waits for one burst at most, because a worker looks at `ready` anew each time. `busy` is
 * taken by exchange, so that workers that must share a ring (the guest enabled fewer than there are workers) exclude
 * each other by it too. It costs one exchange a burst.
 */
#ifndef DATAPLANE_VHOST_QUEUE_H
#define DATAPLANE_VHOST_QUEUE_H

#include "dataplane/virtq.h"

#include <rte_common.h>
#include <rte_mbuf.h>

#define VHOST_FRAME_MAX 65553 /* an IP packet of 65535 bytes, Ethernet header and VLAN tag */

/** What the guest can take, as it negotiated. */
enum vhost_guest {
	VHOST_GUEST_CSUM = 1 << 0, /* partial checksums */
	VHOST_GUEST_TSO = 1 << 1,  /* large TCP segments of both families */
	VHOST_GUEST_ECN = 1 << 2,  /* with CWR set */
	VHOST_MERGEABLE = 1 << 3,  /* a frame may take several buffers */
	VHOST_GUEST_USO = 1 << 4,  /* runs of UDP datagrams of both families */
	VHOST_GUEST_UFO = 1 << 5,  /* UDP datagrams that would be fragmented */
};

struct vhost_queue {
	/* See above. */
	_Atomic uint32_t busy;
	_Atomic bool ready;
	/* Whoever has it busy, or set-up while it is not ready. */
	uint8_t guest;	     /* enum vhost_guest */
	uint8_t header_size; /* of the virtio network header: 10 or 12 bytes */
	int call_fd;	     /* ours: an eventfd that wakes the guest; -1 = it polls */
	int kick_fd;	     /* ours: an eventfd by which the guest wakes us; -1 = it can't */
	struct virtq ring;
	/* Writer: whoever has it busy; readers: control. They count on while guests come and go. */
	_Atomic uint64_t packets, bytes;
	_Atomic uint64_t segments; /* of the packets: large ones that passed whole */
	_Atomic uint64_t
		errors; /* malformed chains and frames; tx: packets that no buffer of the guest holds */
	_Atomic uint64_t calls; /* times we woke the guest */
	_Atomic uint64_t
		kicks; /* times it woke us, as far as we looked: not while a worker polls */
} __rte_cache_aligned;

/** Workers: may the queue be used? If so, vhost_queue_leave must follow. `wait`: for another worker, never for set-up. */
static inline bool vhost_queue_enter(struct vhost_queue *q, bool wait)
{
	while (atomic_load_explicit(&q->ready, memory_order_relaxed)) {
		if (likely(atomic_exchange_explicit(&q->busy, 1, memory_order_seq_cst) == 0)) {
			if (likely(atomic_load_explicit(&q->ready, memory_order_seq_cst)))
				return true;
			atomic_store_explicit(&q->busy, 0, memory_order_release);
			return false;
		}
		if (!wait)
			return false;
		rte_pause();
	}
	return false;
}

static inline void vhost_queue_leave(struct vhost_queue *q)
{
	atomic_store_explicit(&q->busy, 0, memory_order_release);
}

/** Set-up: nobody uses the queue when this returns, or will before vhost_queue_start. */
void vhost_queue_stop(struct vhost_queue *q);
/** Set-up: hand the queue to the workers, in the state it is now in. */
void vhost_queue_start(struct vhost_queue *q);

/** Up to n frames that the guest sends, with the offload words that port.h describes. Buffers come from pool, or from
 * large (may be NULL) for frames that do not fit one of pool's; without a free one, frames wait in the ring.
 * @return packets, the caller's. */
uint16_t vhost_queue_rx(struct vhost_queue *q, struct rte_mempool *pool, struct rte_mempool *large,
	struct rte_mbuf **pkts, uint16_t n);
/** Copy packets into buffers of the guest and free them. Checksums the guest does not want partial are finished here,
 * though callers that look at port->offloads have done that.
 * @return how many went; the others are as port_ops.tx_burst says. */
uint16_t vhost_queue_tx(struct vhost_queue *q, struct rte_mbuf **pkts, uint16_t n);
/** Ask the guest for kicks, or stop that. @return false when frames are waiting. */
bool vhost_queue_arm(struct vhost_queue *q, bool on);

#endif
