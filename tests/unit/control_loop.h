/* SPDX-License-Identifier: Apache-2.0 */
/** A stand-in for the daemon's event loop in tests of port drivers: watches what drivers ask for
 * through port_watch_fd, runs their ticks and RCU's reclamation. One thread.
 */
#ifndef TESTS_UNIT_CONTROL_LOOP_H
#define TESTS_UNIT_CONTROL_LOOP_H

#include "dataplane/port.h"
#include "dataplane/rcu.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define CONTROL_LOOP_MAX 256

static struct {
	struct port *port;
	int fd;
} control_loop_watched[CONTROL_LOOP_MAX];
static unsigned control_loop_count;

/* The driver's bookkeeping must balance: watching twice, or forgetting what is not watched, ends
 * the test. */
static inline void control_loop_watch(struct port *port, int fd, bool on)
{
	for (unsigned i = 0; i < control_loop_count; i++) {
		if (control_loop_watched[i].fd != fd)
			continue;
		if (on || control_loop_watched[i].port != port)
			abort();
		control_loop_watched[i] = control_loop_watched[--control_loop_count];
		return;
	}
	if (!on || control_loop_count == CONTROL_LOOP_MAX)
		abort();
	control_loop_watched[control_loop_count].port = port;
	control_loop_watched[control_loop_count++].fd = fd;
}

/** Wait up to timeout_ms for the first event and handle all that are there. @return how many. */
static inline unsigned control_loop_run(int timeout_ms)
{
	struct pollfd fds[CONTROL_LOOP_MAX];
	unsigned count = control_loop_count, handled = 0;

	for (unsigned i = 0; i < count; i++)
		fds[i] = (struct pollfd){ .fd = control_loop_watched[i].fd, .events = POLLIN };
	poll(fds, count, timeout_ms);
	for (unsigned i = 0; i < count; i++) {
		/* An earlier handler may have closed this one. */
		for (unsigned j = 0; fds[i].revents != 0 && j < control_loop_count; j++) {
			struct port *port = control_loop_watched[j].port;

			if (control_loop_watched[j].fd != fds[i].fd)
				continue;
			port->ops->control_ready(port, fds[i].fd);
			handled++;
			break;
		}
	}
	rcu_reclaim();
	return handled;
}

#endif
