/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue_wake.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int open_one(struct queue_wake *wake, unsigned queue)
{
	wake->poll_fd[queue] = epoll_create1(EPOLL_CLOEXEC);
	wake->own_fd[queue] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (wake->poll_fd[queue] < 0 || wake->own_fd[queue] < 0)
		return -errno;
	return queue_wake_watch(wake, queue, wake->own_fd[queue], true);
}

int queue_wake_open(struct queue_wake *wake, uint16_t n, const char *port, struct error *err)
{
	int ret;

	for (wake->n = 0; wake->n < n;) {
		ret = open_one(wake, wake->n++);
		if (ret < 0) {
			queue_wake_close(wake);
			return error_set(err, -ret, NULL,
				"port %s: no descriptors for queue %u: %s", port, wake->n - 1u,
				strerror(-ret));
		}
	}
	return 0;
}

void queue_wake_close(struct queue_wake *wake)
{
	for (unsigned i = 0; i < wake->n; i++) {
		if (wake->poll_fd[i] >= 0)
			close(wake->poll_fd[i]);
		if (wake->own_fd[i] >= 0)
			close(wake->own_fd[i]);
	}
}

int queue_wake_watch(const struct queue_wake *wake, unsigned queue, int fd, bool on)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(wake->poll_fd[queue], on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event) < 0
		       ? -errno
		       : 0;
}

void queue_wake_all(const struct queue_wake *wake)
{
	const uint64_t one = 1;

	for (unsigned i = 0; i < wake->n; i++) {
		if (write(wake->own_fd[i], &one, sizeof(one)) < 0)
			continue; /* the counter is full: it is awake already */
	}
}

void queue_wake_heard(const struct queue_wake *wake, unsigned queue)
{
	uint64_t count;

	if (read(wake->own_fd[queue], &count, sizeof(count)) < 0)
		return; /* nothing was said */
}
