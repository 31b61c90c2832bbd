/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/loop.h"

#include "ctrl/daemon/leftovers.h"

#include "config/log.h"
#include "dataplane/forwarding.h"
#include "dataplane/punt.h"
#include "dataplane/rcu.h"
#include "dataplane/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PUNT_BURST  64
#define PUNT_ROUNDS 16 /* bursts before other events get their turn */
#define TICK_MS	    100
#define RECLAIM_MS  1

/* A descriptor a port driver asked to watch. */
struct port_fd {
	struct port_fd *next;
	struct port *port;
	struct watch *watch;
	int fd;
};

static struct {
	struct event_base *base;
	struct watch *punt, *punt_rest, *tick, *reclaim;
	struct port_fd *port_fds;
} loop;

static void reclaim_soon(void)
{
	if (loop.reclaim != NULL && rcu_pending() > 0 && !watch_running(loop.reclaim))
		watch_after(loop.reclaim, RECLAIM_MS);
}

static void on_reclaim(void *arg)
{
	(void)arg;
	rcu_reclaim();
	reclaim_soon();
}

static void take_punted(void *arg)
{
	struct rte_mbuf *pkts[PUNT_BURST];

	(void)arg;
	for (unsigned round = 0; round < PUNT_ROUNDS; round++) {
		unsigned n = punt_receive(pkts, PUNT_BURST);

		for (unsigned i = 0; i < n; i++)
			forwarding_punted(pkts[i]);
		if (n < PUNT_BURST) {
			reclaim_soon();
			return;
		}
	}
	reclaim_soon();
	watch_after(loop.punt_rest, 0);
}

static void on_punt(void *arg)
{
	uint64_t events;

	/* Reset the counter before emptying the ring: a packet that comes in between wakes us
	 * once more. */
	if (read(punt_event_fd(), &events, sizeof(events)) < 0 && errno != EAGAIN)
		LOG_ERROR("punt descriptor cannot be read error=%d", errno);
	take_punted(arg);
	dataplane_take_offers();
}

static void on_tick(void *arg)
{
	struct timespec now;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &now);
	forwarding_tick((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
	dataplane_tick();
	reclaim_soon();
}

static void on_port(void *arg)
{
	struct port_fd *item = arg;

	/* The driver may stop watching in here, which frees the item. */
	item->port->ops->control_ready(item->port, item->fd);
	reclaim_soon();
}

static void start_watching(struct port *port, int fd)
{
	struct port_fd *item = calloc(1, sizeof(*item));

	if (item != NULL)
		item->watch = watch_fd(loop.base, fd, on_port, item);
	if (item == NULL || item->watch == NULL) {
		LOG_ERROR("out of memory: a port's control channel is not served port=%s",
			port->name);
		free(item);
		return;
	}
	item->port = port;
	item->fd = fd;
	item->next = loop.port_fds;
	loop.port_fds = item;
}

static void watch_port_fd(struct port *port, int fd, bool on)
{
	struct port_fd **at = &loop.port_fds, *item;

	while (*at != NULL && ((*at)->fd != fd || (*at)->port != port))
		at = &(*at)->next;
	item = *at;
	if (on && item == NULL)
		start_watching(port, fd);
	if (on || item == NULL)
		return;
	*at = item->next;
	watch_free(item->watch);
	free(item);
}

int loop_attach(struct event_base *base, struct error *err)
{
	loop.base = base;
	loop.punt = watch_fd(base, punt_event_fd(), on_punt, NULL);
	loop.punt_rest = watch_timer(base, take_punted, NULL);
	loop.tick = watch_timer(base, on_tick, NULL);
	loop.reclaim = watch_timer(base, on_reclaim, NULL);
	if (loop.punt == NULL || loop.punt_rest == NULL || loop.tick == NULL ||
		loop.reclaim == NULL) {
		loop_detach();
		return error_set(err, ENOMEM, NULL, "out of memory for the event loop");
	}
	watch_every(loop.tick, TICK_MS);
	port_watch_fd = watch_port_fd;
	return 0;
}

void loop_detach(void)
{
	struct watch **const watches[] = { &loop.punt, &loop.punt_rest, &loop.tick, &loop.reclaim };

	/* Drivers still take their descriptors off while the data plane closes their ports. */
	for (size_t i = 0; i < sizeof(watches) / sizeof(watches[0]); i++) {
		watch_free(*watches[i]);
		*watches[i] = NULL;
	}
}

static int plane_prepare(const struct changeset *set, const struct change *changes, size_t count,
	void **txn, struct error *err)
{
	return forwarding_prepare(set, changes, count, (struct forwarding_txn **)txn, err);
}

static void plane_commit(void *txn)
{
	forwarding_commit(txn);
	reclaim_soon();
}

static void plane_abort(void *txn)
{
	forwarding_abort(txn);
	reclaim_soon();
}

const struct plane loop_plane = { plane_prepare, plane_commit, plane_abort, leftover_remove };
