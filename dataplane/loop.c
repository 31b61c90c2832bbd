/* SPDX-License-Identifier: Apache-2.0 */
/** The loop of a worker thread: poll, run the stages, send, report quiescence, and sleep when there is nothing to do. */
#include "dataplane/loop.h"

#include "dataplane/generation.h"
#include "dataplane/polling.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define PREEMPTED_US 50 /* no round without packets takes so long */

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

/** No packet for so long that polling on costs more than it is worth. */
static bool idle(const struct worker *w, uint64_t tsc)
{
	const struct settings *s = &w->tables->settings;

	return !s->low_latency &&
	       tsc - w->last_busy_tsc > spin_for(&w->spin, tsc, worker_ticks(w, s->spin_us),
						worker_ticks(w, s->spin_max_us));
}

/** A round without work, from `before` to `tsc`: if it took so long that the thread cannot have run all the time, and it was not
 * the kernel itself that lost the CPU to its host, somebody else had it. */
static void was_idle(struct worker *w, uint64_t before, uint64_t tsc)
{
	struct rusage used;

	if (likely(tsc - before < worker_ticks(w, PREEMPTED_US)) ||
		getrusage(RUSAGE_THREAD, &used) < 0)
		return;
	if (used.ru_nivcsw != w->preempted)
		spin_taken(&w->spin, before, tsc, w->tsc_per_ms);
	w->preempted = used.ru_nivcsw;
}

/** There was work between `before` and `tsc`. */
static void was_busy(struct worker *w, uint64_t before, uint64_t tsc)
{
	const struct settings *s = &w->tables->settings;

	spin_learn(&w->spin, before - w->last_busy_tsc, tsc - before, worker_ticks(w, s->spin_us),
		worker_ticks(w, s->spin_max_us));
	counter_add(&w->counters->cycles_busy, tsc - before);
	w->last_busy_tsc = tsc;
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(
		0, sizeof(set), &set); /* failure leaves it unpinned: `show workers` tells */
}

void *worker_main(void *arg)
{
	struct worker *w = arg;
	uint64_t tsc, before;

	pin(w->cpu);
	prctl(PR_SET_TIMERSLACK, 1UL); /* sleeps of 100 us would otherwise grow by half */
	if (rte_thread_register() < 0) {
		atomic_store_explicit(&w->state, WORKER_FAILED, memory_order_release);
		return NULL;
	}
	atomic_store_explicit(&w->state, WORKER_RUNNING, memory_order_release);
	rcu_reader_register(w->id);
	tsc = rte_rdtsc();
	w->next_ms_tsc = tsc + w->tsc_per_ms;
	w->last_busy_tsc = tsc;
	while (!atomic_load_explicit(&w->stop, memory_order_acquire)) {
		struct rx_list *list;
		bool busy;

		before = tsc;
		rcu_quiescent(w->id);
		list = poll_list(w);
		w->epoch = generation_epoch();
		w->tables = rcu_read(&tables);
		w->observer = atomic_load_explicit(&observer, memory_order_acquire);
		busy = poll_round(w, list) > 0;
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
			was_busy(w, before, tsc);
		} else {
			was_idle(w, before, tsc);
			if (idle(w, tsc)) {
				poll_sleep(w, list);
				tsc = rte_rdtsc();
			}
		}
		counter_add(&w->counters->cycles_total, tsc - before);
	}
	flow_worker_flush(w->flows, w->id);
	rcu_reader_unregister(w->id);
	rte_thread_unregister();
	return NULL;
}
