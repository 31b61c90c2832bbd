/* SPDX-License-Identifier: Apache-2.0 */
/** The event loop, and what it watches: descriptors, timers, signals. Control thread only.
 *
 * A thin face on libevent, whose own header cannot be included beside the data plane's: both have
 * a tag `event`.
 */
#ifndef CTRL_DAEMON_WATCH_H
#define CTRL_DAEMON_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct event_base; /* libevent's */
struct watch;

typedef void (*watch_call)(void *arg);

/** NULL when out of memory. */
struct event_base *watch_base_new(void);
void watch_base_free(struct event_base *base);
/** Run until watch_base_stop. */
void watch_base_run(struct event_base *base);
void watch_base_stop(struct event_base *base);

/** Call whenever fd is readable. NULL when out of memory. */
struct watch *watch_fd(struct event_base *base, int fd, watch_call call, void *arg);
/** Call when the process gets a signal. */
struct watch *watch_signal(struct event_base *base, int number, watch_call call, void *arg);
/** A timer that is not running yet. */
struct watch *watch_timer(struct event_base *base, watch_call call, void *arg);
/** Run a timer once after that time (from now, also when it is running). */
void watch_after(struct watch *timer, uint64_t ms);
/** Run a timer again and again. */
void watch_every(struct watch *timer, uint64_t ms);
void watch_stop(struct watch *timer);
bool watch_running(const struct watch *timer);
/** Stop and free; allowed within its own call. NULL is allowed. */
void watch_free(struct watch *watch);

#endif
