/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tap_ready.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>

#define EVENTS_MAX 64
#define POLLS_MAX  64 /* polls after which to ask anyway: the round's first queue may have left */

/** Of the calling worker. */
static _Thread_local struct {
	int epoll_fd;		       /* 0 = not made yet */
	unsigned polls;		       /* since the kernel was asked */
	const struct tap_ready *first; /* polled first in a round; compared, never followed */
} here;

/** @return false when the kernel refuses: the queue is then read at each poll. */
static bool watch(struct tap_ready *r, int fd, uint16_t port, uint16_t queue)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET,
		.data.u64 = (uint64_t)port << 16 | queue };

	if (here.epoll_fd == 0) {
		int made = epoll_create1(EPOLL_CLOEXEC);

		if (made <= 0)
			return false;
		here.epoll_fd = made;
	}
	if (r->epoll_fd != 0)
		epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	/* Of a queue that began anew without a new interface, it is there already: MOD looks anew. */
	if (epoll_ctl(here.epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 &&
		(errno != EEXIST || epoll_ctl(here.epoll_fd, EPOLL_CTL_MOD, fd, &ev) < 0))
		return false;
	r->epoll_fd = here.epoll_fd;
	return true;
}

static void ask(void)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(here.epoll_fd, events, EVENTS_MAX, 0);

	for (int i = 0; i < n; i++) {
		struct tap_ready *r = tap_ready_find(
			(uint16_t)(events[i].data.u64 >> 16), (uint16_t)events[i].data.u64);

		if (r != NULL)
			atomic_store_explicit(&r->ready, true, memory_order_relaxed);
	}
}

bool tap_ready_poll(struct tap_ready *r, int fd, uint16_t port, uint16_t queue)
{
	if ((r->epoll_fd == 0 || r->epoll_fd != here.epoll_fd) && !watch(r, fd, port, queue))
		return true;
	if (here.first == r || ++here.polls >= POLLS_MAX) {
		here.first = r;
		here.polls = 0;
		ask();
	}
	return atomic_load_explicit(&r->ready, memory_order_relaxed);
}

void tap_ready_forget(struct tap_ready *r)
{
	r->epoll_fd = 0;
	atomic_store_explicit(&r->ready, true, memory_order_relaxed);
}

void tap_ready_wake(void)
{
	here.polls = POLLS_MAX;
}
