/* SPDX-License-Identifier: Apache-2.0 */
/** Which TAP queues have packets, for one system call a round instead of one a queue: a read that
 * finds nothing costs as much as forwarding several packets, and a node has hundreds of idle pods.
 *
 * Each worker has an edge-triggered epoll instance, made when it first polls a queue. Worker
 * threads; a queue may move from one to another.
 */
#ifndef DATAPLANE_TAP_READY_H
#define DATAPLANE_TAP_READY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** Part of a queue. Starts with ready = true: the first read finds out. */
struct tap_ready {
	/* Writers: workers, true on an event, false (its own worker) when a read finds nothing. An
	 * event that comes in between is still in the epoll instance. */
	_Atomic bool ready;
	int epoll_fd; /* instance that watches it, of its last worker; 0 = none yet */
};

/** The port and queue an event stands for, looked up through ports[] so that a closed one is not
 * touched. @return NULL when it is no open tap queue. */
struct tap_ready *tap_ready_find(uint16_t port, uint16_t queue);

/** Worker, at each poll of a queue: watch it, ask the kernel once a round, say whether to read. */
bool tap_ready_poll(struct tap_ready *r, int fd, uint16_t port, uint16_t queue);

/** Worker: the queue's descriptor stands for something else than before. */
void tap_ready_forget(struct tap_ready *r);

/** Worker, after a sleep: ask at the next poll. */
void tap_ready_wake(void);

static inline void tap_ready_empty(struct tap_ready *r)
{
	atomic_store_explicit(&r->ready, false, memory_order_relaxed);
}

#endif
