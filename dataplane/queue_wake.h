/* SPDX-License-Identifier: Apache-2.0 */
/** What workers sleep on where queues are shared memory: a descriptor a queue, the same for the life of the port while
 * peers come and go. It is an epoll instance of an eventfd of ours, which tells that something about the peer has changed,
 * and of the peer's own descriptor while there is one.
 *
 * Threads: open and close: control. queue_wake_watch and queue_wake_all: whoever handles the peer, one at a time.
 * queue_wake_heard: the queue's worker.
 */
#ifndef DATAPLANE_QUEUE_WAKE_H
#define DATAPLANE_QUEUE_WAKE_H

#include "config/error.h"
#include "dataplane/port.h"

struct queue_wake {
	int poll_fd[PORT_QUEUE_MAX]; /* for rx_fd */
	int own_fd[PORT_QUEUE_MAX];
	uint16_t n;
};

/** Descriptors for n queues; `port` is named in the error. @return 0 or -errno with nothing left open. */
int queue_wake_open(struct queue_wake *wake, uint16_t n, const char *port, struct error *err);
void queue_wake_close(struct queue_wake *wake);
/** The peer's descriptor joins a queue's, or leaves it. It must leave explicitly: epoll forgets a file when its last
 * descriptor closes, and the peer holds one too. @return 0 or -errno. */
int queue_wake_watch(const struct queue_wake *wake, unsigned queue, int fd, bool on);
/** Workers that sleep on these queues shall look at the peer anew. */
void queue_wake_all(const struct queue_wake *wake);
/** Before a worker looks at the peer and sleeps: a change that comes afterwards wakes it again. */
void queue_wake_heard(const struct queue_wake *wake, unsigned queue);

#endif
