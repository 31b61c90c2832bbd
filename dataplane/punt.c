/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/punt.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ring.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PUNT_RING   4096
#define INJECT_RING 2048

int pkt_note_offset = -1;
void (*worker_wake)(unsigned worker);

static struct rte_ring *to_control;
static struct rte_ring *to_worker[RCU_WORKERS_MAX];
static int event_fd = -1;
/* Set by the worker that finds it clear and then writes event_fd; cleared by control before it looks at the ring. Saves
 * a system call a packet. */
static _Atomic bool signalled;

/* Packets a second and at once, a worker. More than this the control thread could not use: ARP storms, scans of a
 * connected subnet, a next hop that is gone. */
static const struct {
	uint32_t rate, burst;
} limits[] = {
	[PUNT_NEIGHBOUR] = { 5000, 1000 },
	[PUNT_RESOLVE] = { 20000, 2000 },
	[PUNT_GLEAN] = { 5000, 1000 },
	[PUNT_PATH_MTU] = { 200, 50 },
};
#define KINDS (sizeof(limits) / sizeof(limits[0]))
static uint64_t interval[KINDS]; /* TSC cycles between packets at the rate */

/* Theoretical arrival time of the next packet of a kind (GCRA), TSC. Owner: the worker. */
static struct limiter {
	uint64_t next[KINDS];
} __rte_cache_aligned limiters[COUNTER_BLOCKS];

int punt_init(unsigned n_workers, struct error *err)
{
	static const struct rte_mbuf_dynfield field = { .name = "podlane_note",
		.size = sizeof(struct pkt_note),
		.align = __alignof__(struct pkt_note) };
	char name[32];

	if (n_workers == 0 || n_workers > RCU_WORKERS_MAX)
		return error_set(err, EINVAL, "", "punt: %u workers, 1 to %d are possible",
			n_workers, RCU_WORKERS_MAX);
	if (pkt_note_offset < 0)
		pkt_note_offset = rte_mbuf_dynfield_register(&field);
	if (pkt_note_offset < 0)
		return error_set(err, rte_errno, "", "punt: no room in packet buffers for a note");
	memset(limiters, 0, sizeof(limiters));
	for (size_t k = 0; k < KINDS; k++)
		interval[k] = rte_get_tsc_hz() / limits[k].rate;
	event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (event_fd < 0)
		return error_set(err, errno, "", "punt: no event descriptor: %s", strerror(errno));
	to_control = rte_ring_create("punt", PUNT_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	if (to_control == NULL)
		goto no_memory;
	for (unsigned w = 0; w < n_workers; w++) {
		snprintf(name, sizeof(name), "inject_%u", w);
		to_worker[w] = rte_ring_create(
			name, INJECT_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (to_worker[w] == NULL)
			goto no_memory;
	}
	atomic_store_explicit(&signalled, false, memory_order_relaxed);
	return 0;
no_memory:
	punt_fini();
	return error_set(err, ENOMEM, "",
		"punt: out of DPDK memory for the rings between workers and control");
}

/* Workers have stopped: what is still in a ring ends here. */
static void drain(struct rte_ring *ring)
{
	void *m;

	while (ring != NULL && rte_ring_dequeue(ring, &m) == 0)
		punt_drop(m, DROP_daemon_stopping);
	rte_ring_free(ring);
}

void punt_fini(void)
{
	drain(to_control);
	to_control = NULL;
	for (unsigned w = 0; w < RCU_WORKERS_MAX; w++) {
		drain(to_worker[w]);
		to_worker[w] = NULL;
	}
	if (event_fd >= 0)
		close(event_fd);
	event_fd = -1;
}

int punt_event_fd(void)
{
	return event_fd;
}

void punt_signal(void)
{
	uint64_t one = 1;

	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_exchange_explicit(&signalled, true, memory_order_relaxed) &&
		write(event_fd, &one, sizeof(one)) < 0)
		return; /* only EAGAIN: it is readable already */
}

unsigned punt_receive(struct rte_mbuf **pkts, unsigned n)
{
	uint64_t count;
	unsigned got;

	if (read(event_fd, &count, sizeof(count)) < 0)
		count = 0; /* nothing yet: a worker is between its exchange and its write */
	atomic_store_explicit(&signalled, false, memory_order_relaxed);
	/* Pairs with punt_signal: either it sees the flag clear and writes again, or its packet is seen below. */
	atomic_thread_fence(memory_order_seq_cst);
	got = rte_ring_dequeue_burst(to_control, (void **)pkts, n, NULL);
	if (!rte_ring_empty(to_control))
		punt_signal();
	/* The gauge is a sum over all blocks: what the worker added now counts as control's without another write. */
	return got;
}

void punt_drop(struct rte_mbuf *m, enum drop_reason reason)
{
	counter_hold(COUNTERS_CONTROL, -1);
	counter_drop(COUNTERS_CONTROL, m->port, reason, 1);
	rte_pktmbuf_free(m);
}

void punt_deliver(struct rte_mbuf *m)
{
	counter_hold(COUNTERS_CONTROL, -1);
	counter_add(&COUNTERS_CONTROL->delivered, 1);
	rte_pktmbuf_free(m);
}

static bool allowed(struct limiter *l, uint8_t kind, uint64_t now)
{
	uint64_t slack = interval[kind] * limits[kind].burst;

	if (l->next[kind] + slack < now)
		l->next[kind] = now - slack;
	if (l->next[kind] > now)
		return false;
	l->next[kind] += interval[kind];
	return true;
}

void punt_send(struct counters *c, struct rte_mbuf *m)
{
	struct limiter *l = &limiters[c - counter_blocks];

	/* Held before it can be taken, so that the gauge is never short. */
	counter_hold(c, 1);
	if (unlikely(!allowed(l, pkt_note(m)->kind, rte_rdtsc()) ||
		     rte_ring_enqueue(to_control, m) != 0)) {
		counter_hold(c, -1);
		counter_drop(c, m->port, DROP_punt_queue_full, 1);
		rte_pktmbuf_free(m);
		return;
	}
	counter_add(&c->events[EVENT_punted], 1);
	punt_signal();
}

static void inject(struct rte_mbuf *m, bool made)
{
	if (made) {
		m->port = PORT_NONE;
		counter_add(&COUNTERS_CONTROL->generated, 1);
		counter_hold(COUNTERS_CONTROL, 1);
	}
	if (rte_ring_enqueue(to_worker[0], m) != 0) {
		punt_drop(m, DROP_punt_queue_full);
		return;
	}
	if (worker_wake != NULL)
		worker_wake(0);
}

void inject_frame(struct rte_mbuf *m, uint16_t port, bool made)
{
	*pkt_note(m) = (struct pkt_note){ .port = port, .kind = INJECT_FRAME };
	inject(m, made);
}

void inject_adjacency(struct rte_mbuf *m, uint32_t adjacency, bool made)
{
	/* A held packet keeps its hash, flags and trace record. */
	if (made)
		*pkt_note(m) = (struct pkt_note){ .port = PORT_NONE };
	pkt_note(m)->adjacency = adjacency;
	pkt_note(m)->kind = INJECT_ADJACENCY;
	inject(m, made);
}

unsigned inject_receive(unsigned worker, struct rte_mbuf **pkts, unsigned n)
{
	unsigned got = rte_ring_dequeue_burst(to_worker[worker], (void **)pkts, n, NULL);

	if (got > 0)
		counter_hold(&counter_blocks[worker], -(int64_t)got);
	return got;
}

bool inject_waiting(unsigned worker)
{
	return !rte_ring_empty(to_worker[worker]);
}
