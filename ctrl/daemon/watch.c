/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/watch.h"

#include <event2/event.h>
#include <stdlib.h>

struct watch {
	struct event *event;
	watch_call call;
	void *arg;
	uint64_t every_ms; /* 0 = once */
};

struct event_base *watch_base_new(void)
{
	return event_base_new();
}

void watch_base_free(struct event_base *base)
{
	if (base != NULL)
		event_base_free(base);
}

void watch_base_run(struct event_base *base)
{
	event_base_dispatch(base);
}

void watch_base_stop(struct event_base *base)
{
	event_base_loopbreak(base);
}

static void start(struct watch *watch, uint64_t ms)
{
	const struct timeval tv = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	evtimer_add(watch->event, &tv);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;

	(void)fd;
	(void)what;
	/* Before the call, which may free the watch. */
	if (watch->every_ms != 0)
		start(watch, watch->every_ms);
	watch->call(watch->arg);
}

static struct watch *watch_new(
	struct event_base *base, int fd, short what, watch_call call, void *arg)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return NULL;
	*watch = (struct watch){ .call = call, .arg = arg };
	watch->event = event_new(base, fd, what, on_event, watch);
	if (watch->event == NULL || (what != 0 && event_add(watch->event, NULL) < 0)) {
		watch_free(watch);
		return NULL;
	}
	return watch;
}

struct watch *watch_fd(struct event_base *base, int fd, watch_call call, void *arg)
{
	return watch_new(base, fd, EV_READ | EV_PERSIST, call, arg);
}

struct watch *watch_signal(struct event_base *base, int number, watch_call call, void *arg)
{
	return watch_new(base, number, EV_SIGNAL | EV_PERSIST, call, arg);
}

struct watch *watch_timer(struct event_base *base, watch_call call, void *arg)
{
	return watch_new(base, -1, 0, call, arg);
}

void watch_after(struct watch *timer, uint64_t ms)
{
	timer->every_ms = 0;
	start(timer, ms);
}

void watch_every(struct watch *timer, uint64_t ms)
{
	timer->every_ms = ms;
	start(timer, ms);
}

void watch_stop(struct watch *timer)
{
	timer->every_ms = 0;
	event_del(timer->event);
}

bool watch_running(const struct watch *timer)
{
	return evtimer_pending(timer->event, NULL) != 0;
}

void watch_free(struct watch *watch)
{
	if (watch == NULL)
		return;
	if (watch->event != NULL)
		event_free(watch->event);
	free(watch);
}
