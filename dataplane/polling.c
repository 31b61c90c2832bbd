/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/polling.h"

#include "dataplane/burst.h"
#include "dataplane/generation.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define QUANTUM	     16384 /* cycles a round: two to four bursts of known flows */
#define COLD_US	     2000  /* without a packet, after which a queue turns cold */
#define LOOK_BUSY_US 20	   /* between two looks for cold queues, while others have packets */
#define LOOK_IDLE_US 4
#define SWEEP_MS     10
#define SLEEP_BLIND_US \
	120 /* longest sleep when a queue cannot wake us: bounds the delay of a packet after idle */
#define SLEEP_MS    SWEEP_MS /* longest sleep when every queue can: bounds the delay of timers */
#define FEW_QUEUES  16 /* with latency = "low", so many are polled each round, come what may */
#define EVENT_BATCH 64
#define WAKE	    UINT64_MAX /* what epoll says of wake_fd; of a queue it says port id and queue */

/* --- hot and cold --------------------------------------------------------------------------------------------- */

int poll_init(struct worker *w)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = WAKE };

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &ev) < 0 ? -errno : 0;
}

struct rx_list *poll_list(struct worker *w)
{
	struct rx_list *list = rcu_read(&w->rx_list);

	if (likely(list->serial == w->list_serial))
		return list;
	w->list_serial = list->serial;
	list->n_hot = 0;
	for (uint32_t i = 0; i < list->count; i++) {
		list->queues[i].rx->slot = i;
		if (!list->queues[i].rx->cold)
			list->hot[list->n_hot++] = (uint16_t)i;
	}
	return list;
}

/** One event, then silence until it is asked again. */
static bool watch(struct worker *w, struct rx_queue *q)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT,
		.data.u64 = (uint64_t)q->rx->id << 16 | q->queue };

	/* There already: it was armed and got no event. */
	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, q->fd, &ev) == 0 ||
	       (errno == EEXIST && epoll_ctl(w->epoll_fd, EPOLL_CTL_MOD, q->fd, &ev) == 0);
}

/** Have the peer and the kernel tell of packets. @return false when there are some, or nobody can tell. */
static bool cool(struct worker *w, struct rx_queue *q)
{
	struct port *port = q->port;

	if (q->fd < 0)
		return false;
	/* The peer first: what it signals from now on is found by the kernel when it is asked. */
	if (port->ops->rx_arm != NULL && !port->ops->rx_arm(port, q->queue, true))
		return false;
	q->rx->armed = true;
	if (!watch(w, q)) {
		q->fd = -1; /* no file that can be waited for */
		return false;
	}
	q->rx->cold = true;
	return true;
}

static void disarm(struct worker *w, struct rx_queue *q)
{
	q->rx->armed = false;
	/* Nobody waits for a queue that is polled: as long as somebody might, the kernel takes a lock for each packet. */
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, q->fd, NULL);
	if (q->port->ops->rx_arm != NULL)
		q->port->ops->rx_arm(q->port, q->queue, false);
}

static void warm(struct worker *w, struct rx_list *list, uint32_t slot, uint64_t tsc)
{
	struct rx_queue *q = &list->queues[slot];

	if (!q->rx->cold)
		return;
	q->rx->cold = false;
	q->rx->last_tsc = tsc;
	list->hot[list->n_hot++] = (uint16_t)slot;
	if (q->rx->armed)
		disarm(w, q);
}

static void take_events(struct worker *w, struct rx_list *list, const struct epoll_event *events,
	int n, uint64_t tsc)
{
	for (int i = 0; i < n; i++) {
		const struct port *port = port_get((uint16_t)(events[i].data.u64 >> 16));
		const uint16_t queue = (uint16_t)events[i].data.u64;
		uint64_t count;

		if (events[i].data.u64 == WAKE) {
			if (read(w->wake_fd, &count, sizeof(count)) < 0)
				continue; /* EAGAIN: nothing to reset */
		} else if (port != NULL && queue < port->n_rxq) {
			const uint32_t slot = port->rx[queue].slot;

			/* A queue may have left for another worker a moment ago. */
			if (slot < list->count && list->queues[slot].rx == &port->rx[queue])
				warm(w, list, slot, tsc);
		}
	}
}

static void look(struct worker *w, struct rx_list *list, uint64_t tsc)
{
	struct epoll_event events[EVENT_BATCH];

	w->looked_tsc = tsc;
	take_events(w, list, events, epoll_wait(w->epoll_fd, events, EVENT_BATCH, 0), tsc);
}

/* --- polling -------------------------------------------------------------------------------------------------- */

static inline void forward(struct worker *w, struct rx_queue *q, uint16_t n)
{
	struct port_limits *limits = rcu_read(&q->port->limits);

	/* Fresh for each burst, so that a commit is seen at once. Epoch first: see generation.h. */
	w->epoch = generation_epoch();
	w->tables = rcu_read(&tables);
	counter_add(&q->rx->packets, n);
	if (unlikely(q->port->vlan != 0))
		n = slow_vlan(w, q->port, n);
	if (unlikely(limits != NULL))
		n = slow_limit_egress(w, q->port, limits, n);
	worker_burst(w, q->port, n);
	worker_flush(w);
}

/** Let a queue use its quantum. *tsc: from when on, until when. @return packets. */
static uint32_t serve(struct worker *w, struct rx_queue *q, uint64_t *tsc)
{
	struct port *port = q->port;
	uint64_t used = 0, last;
	uint32_t total = 0;
	uint16_t n;

	do {
		uint64_t now;

		n = port->ops->rx_burst(port, q->queue, w->pkts, VECTOR_SIZE);
		if (n == 0)
			break;
		forward(w, q, n);
		total += n;
		now = rte_rdtsc();
		last = now - *tsc;
		used += last;
		*tsc = now;
	} while (n == VECTOR_SIZE && used + last <= QUANTUM);
	if (total == 0)
		return 0;
	if (unlikely(q->rx->armed))
		disarm(w, q);
	q->rx->last_tsc = *tsc;
	q->rx->debt = used > QUANTUM ? used - QUANTUM : 0;
	counter_add(&q->rx->cycles, used);
	return total;
}

/** Everybody who has packets is in debt: go to the round in which the first is not. */
static void forgive(struct rx_list *list)
{
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < list->n_hot; i++) {
		const uint64_t debt = list->queues[list->hot[i]].rx->debt;

		if (debt > 0)
			least = RTE_MIN(least, debt);
	}
	for (uint32_t i = 0; i < list->n_hot; i++) {
		struct port_rx *rx = list->queues[list->hot[i]].rx;

		rx->debt = rx->debt > least ? rx->debt - least : 0;
	}
}

static uint32_t poll_hot(struct worker *w, struct rx_list *list, uint64_t tsc, bool may_cool)
{
	const uint64_t cold = worker_ticks(w, COLD_US);
	bool passed_over = false;
	uint32_t total = 0;

	for (uint32_t i = 0; i < list->n_hot; i++) {
		struct rx_queue *q = &list->queues[list->hot[i]];
		uint32_t n;

		if (unlikely(q->rx->debt > 0)) {
			q->rx->debt -= RTE_MIN(q->rx->debt, (uint64_t)QUANTUM);
			if (q->rx->debt > 0) {
				passed_over = true;
				continue;
			}
		}
		n = serve(w, q, &tsc);
		total += n;
		if (n == 0 && may_cool && tsc - q->rx->last_tsc > cold && tsc > q->rx->last_tsc) {
			if (cool(w, q))
				list->hot[i--] = list->hot[--list->n_hot];
			else /* not asked again at once */
				q->rx->last_tsc = tsc;
		}
	}
	if (total == 0 && passed_over)
		forgive(list);
	return total;
}

/** Cold queues, in case one has packets and nobody said so. */
static uint32_t sweep(struct worker *w, struct rx_list *list, uint64_t tsc)
{
	uint32_t total = 0;

	w->swept_ms = w->now_ms;
	for (uint32_t i = 0; i < list->count; i++) {
		struct rx_queue *q = &list->queues[i];
		uint32_t n = q->rx->cold ? serve(w, q, &tsc) : 0;

		if (n > 0)
			warm(w, list, i, tsc);
		total += n;
	}
	return total;
}

uint32_t poll_round(struct worker *w, struct rx_list *list)
{
	const uint64_t tsc = rte_rdtsc();
	/* A handful of queues is polled faster than the kernel can be asked. */
	const bool may_cool = !w->tables->settings.low_latency || list->count > FEW_QUEUES;
	uint32_t total = poll_hot(w, list, tsc, may_cool);

	if (list->n_hot == list->count)
		return total;
	if (tsc - w->looked_tsc > worker_ticks(w, total > 0 ? LOOK_BUSY_US : LOOK_IDLE_US))
		look(w, list, tsc);
	if (unlikely(w->now_ms - w->swept_ms >= SWEEP_MS))
		total += sweep(w, list, tsc);
	return total;
}

/* --- sleeping ------------------------------------------------------------------------------------------------- */

/** @return false when a queue has packets after all. Those nobody can wait on stay hot. */
static bool cool_all(struct worker *w, struct rx_list *list)
{
	for (uint32_t i = 0; i < list->n_hot; i++) {
		struct rx_queue *q = &list->queues[list->hot[i]];

		if (q->fd >= 0 && !cool(w, q) && q->fd >= 0)
			return false;
		if (q->fd < 0)
			continue;
		list->hot[i--] = list->hot[--list->n_hot];
	}
	return true;
}

void poll_sleep(struct worker *w, struct rx_list *list)
{
	struct epoll_event events[EVENT_BATCH];
	struct timespec timeout;
	int n = 0;

	if (!cool_all(w, list))
		return;
	timeout = (struct timespec){ .tv_nsec = list->n_hot == 0 ? SLEEP_MS * 1000000L
								 : SLEEP_BLIND_US * 1000L };
	atomic_store_explicit(&w->sleeping, true, memory_order_relaxed);
	/* Pairs with wake(): sleeping first, then the look at the ring; there ring first, then the look at sleeping. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!inject_waiting(w->id) && !atomic_load_explicit(&w->stop, memory_order_acquire) &&
		atomic_load_explicit(&w->rx_list, memory_order_acquire) == list) {
		counter_add(&w->sleeps, 1);
		rcu_offline(w->id);
		n = epoll_pwait2(w->epoll_fd, events, EVENT_BATCH, &timeout, NULL);
		rcu_online(w->id);
	}
	atomic_store_explicit(&w->sleeping, false, memory_order_relaxed);
	/* The list may have been retired meanwhile, and ports with it: from here on it is today's. */
	take_events(w, poll_list(w), events, n, rte_rdtsc());
}
