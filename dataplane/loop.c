/* SPDX-License-Identifier: Apache-2.0 */
/** The loop of a worker thread: poll, run the stages, send, report quiescence, and sleep when there is nothing to do. */
#include "dataplane/loop.h"

#include "dataplane/burst.h"
#include "dataplane/generation.h"
#include "dataplane/port.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SPIN_US          100  /* polls this long after the last packet before it sleeps */
#define SLEEP_BLIND_US   120  /* longest sleep when a queue cannot wake us: bounds the delay of a packet after idle */
#define SLEEP_WAKEABLE_MS 10  /* longest sleep when every queue can: bounds the delay of timers */
#define EXPIRE_PERIOD_MS 5000 /* the whole flow table is looked at once in this time */

static void fragments_expire(struct worker *w)
{
	struct fragment_release gone = { .count = 0 };

	fragment_expire(w->fragments, w->now_ms, &gone);
	counter_hold(w->counters, -(int64_t)gone.count);
	for (uint16_t i = 0; i < gone.count; i++)
		worker_drop(w, gone.m[i], DROP_fragment_timeout);
}

/** Outer fragments whose packet never became whole. */
static void reassembly_sweep(struct worker *w)
{
	unsigned gone = reassembly_expire(w->reassembly, rte_rdtsc(), 8);

	counter_hold(w->counters, -(int64_t)gone);
	counter_drop(w->counters, PORT_NONE, DROP_fragment_timeout, gone);
}

/** What happens once a millisecond. */
static void worker_tick(struct worker *w, uint64_t tsc)
{
	uint32_t elapsed = (uint32_t)((tsc - w->next_ms_tsc) / w->tsc_per_ms) + 1;
	uint64_t credit = w->icmp_tokens_scaled + (uint64_t)elapsed * w->tables->settings.icmp_rate;

	w->next_ms_tsc += elapsed * w->tsc_per_ms;
	w->now_ms += elapsed;
	atomic_store_explicit(&w->clock_ms, w->now_ms, memory_order_relaxed);
	/* Bucket of a tenth of a second's worth, at least one message; counted in thousandths. */
	w->icmp_tokens += (uint32_t)(credit / 1000);
	w->icmp_tokens_scaled = (uint32_t)(credit % 1000);
	w->icmp_tokens = RTE_MIN(w->icmp_tokens, w->tables->settings.icmp_rate / 10 + 1);
	reassembly_sweep(w);
	flow_expire(w->flows, w->id, w->now_ms, RTE_MIN(elapsed, 20u) * w->expire_budget);
	if (w->id == 0)
		fragments_expire(w);
}

static uint16_t poll_all(struct worker *w, const struct rx_list *list)
{
	uint32_t total = 0;

	for (uint16_t i = 0; i < list->count; i++) {
		struct port *port = list->queues[i].port;
		uint16_t n = port->ops->rx_burst(port, list->queues[i].queue, w->pkts, VECTOR_SIZE);

		if (n == 0)
			continue;
		/* Fresh for each burst, so that a commit is seen at once. Epoch first: see generation.h. */
		w->epoch = generation_epoch();
		w->tables = rcu_read(&tables);
		worker_burst(w, port, n);
		worker_flush(w);
		total += n;
	}
	return (uint16_t)RTE_MIN(total, UINT16_MAX);
}

static void watch_queues(struct worker *w, const struct rx_list *list)
{
	struct epoll_event ev = { .events = EPOLLIN };

	/* A new epoll instance is simpler than tracking which descriptors of the old list are still open. */
	close(w->epoll_fd);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ev.data.fd = w->wake_fd;
	epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &ev);
	for (uint16_t i = 0; i < list->count; i++) {
		ev.data.fd = list->queues[i].fd;
		if (ev.data.fd >= 0)
			epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, ev.data.fd, &ev);
	}
	w->epoll_serial = list->serial;
}

static void worker_sleep(struct worker *w, const struct rx_list *list)
{
	struct timespec timeout = { .tv_nsec = list->wakeable ? SLEEP_WAKEABLE_MS * 1000000L
							       : SLEEP_BLIND_US * 1000L };
	struct epoll_event events[8];
	bool waiting = false;
	int n;

	/* The list may be retired once we are offline: the epoll set is brought up to date before. */
	if (w->epoll_serial != list->serial)
		watch_queues(w, list);
	for (uint16_t i = 0; i < list->count; i++) {
		struct port *port = list->queues[i].port;

		if (port->ops->rx_arm != NULL && !port->ops->rx_arm(port, list->queues[i].queue, true))
			waiting = true;
	}
	atomic_store_explicit(&w->sleeping, true, memory_order_relaxed);
	/* Pairs with wake(): sleeping first, then the look at the ring; there ring first, then the look at sleeping. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!waiting && !inject_waiting(w->id) && !atomic_load_explicit(&w->stop, memory_order_acquire) &&
		atomic_load_explicit(&w->rx_list, memory_order_acquire) == list) {
		counter_add(&w->sleeps, 1);
		rcu_offline(w->id);
		n = epoll_pwait2(w->epoll_fd, events, RTE_DIM(events), &timeout, NULL);
		rcu_online(w->id);
		for (int i = 0; i < n; i++) {
			uint64_t count;

			if (events[i].data.fd == w->wake_fd && read(w->wake_fd, &count, sizeof(count)) < 0)
				continue;
		}
	}
	atomic_store_explicit(&w->sleeping, false, memory_order_relaxed);
	/* Still the same list? Then its ports are alive: they are closed only after we were online without it. */
	if (atomic_load_explicit(&w->rx_list, memory_order_acquire) != list)
		return;
	for (uint16_t i = 0; i < list->count; i++) {
		struct port *port = list->queues[i].port;

		if (port->ops->rx_arm != NULL)
			port->ops->rx_arm(port, list->queues[i].queue, false);
	}
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set); /* failure leaves it unpinned: `show workers` tells */
}

void *worker_main(void *arg)
{
	struct worker *w = arg;
	uint64_t spin, tsc, before;

	pin(w->cpu);
	prctl(PR_SET_TIMERSLACK, 1UL); /* sleeps of 100 us would otherwise grow by half */
	if (rte_thread_register() < 0) {
		atomic_store_explicit(&w->state, WORKER_FAILED, memory_order_release);
		return NULL;
	}
	atomic_store_explicit(&w->state, WORKER_RUNNING, memory_order_release);
	rcu_reader_register(w->id);
	spin = w->tsc_per_ms * SPIN_US / 1000;
	tsc = rte_rdtsc();
	w->next_ms_tsc = tsc + w->tsc_per_ms;
	w->last_busy_tsc = tsc;
	while (!atomic_load_explicit(&w->stop, memory_order_acquire)) {
		const struct rx_list *list;
		bool busy;

		before = tsc;
		rcu_quiescent(w->id);
		list = rcu_read(&w->rx_list);
		w->epoch = generation_epoch();
		w->tables = rcu_read(&tables);
		w->observer = atomic_load_explicit(&observer, memory_order_acquire);
		busy = poll_all(w, list) > 0;
		if (inject_waiting(w->id)) {
			slow_injected(w);
			worker_flush(w);
			busy = true;
		}
		if (tsc >= w->next_ms_tsc) {
			worker_tick(w, tsc);
			worker_flush(w);
		}
		tsc = rte_rdtsc();
		if (busy) {
			counter_add(&w->counters->cycles_busy, tsc - before);
			w->last_busy_tsc = tsc;
		} else if (tsc - w->last_busy_tsc > spin && !w->tables->settings.low_latency) {
			worker_sleep(w, list);
			tsc = rte_rdtsc();
		}
		counter_add(&w->counters->cycles_total, tsc - before);
	}
	flow_worker_flush(w->flows, w->id);
	rcu_reader_unregister(w->id);
	rte_thread_unregister();
	return NULL;
}
