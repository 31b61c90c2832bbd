/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/policy_log.h"

#include "dataplane/counters.h"

#define RING 256 /* entries a worker, a power of two */

static struct ring {
	_Atomic uint32_t written __rte_cache_aligned; /* writer: the worker */
	_Atomic uint32_t taken __rte_cache_aligned;   /* writer: control */
	struct policy_log_entry entries[RING];
} rings[RCU_WORKERS_MAX];

bool policy_log_put(unsigned worker, const struct policy_log_entry *entry)
{
	struct ring *r = &rings[worker];
	uint32_t at = atomic_load_explicit(&r->written, memory_order_relaxed);

	if (at - atomic_load_explicit(&r->taken, memory_order_acquire) >= RING)
		return false;
	r->entries[at % RING] = *entry;
	atomic_store_explicit(&r->written, at + 1, memory_order_release);
	return true;
}

unsigned policy_log_drain(void (*visit)(const struct policy_log_entry *entry, void *arg), void *arg)
{
	unsigned n = 0;

	for (unsigned w = 0; w < RCU_WORKERS_MAX; w++) {
		struct ring *r = &rings[w];
		uint32_t at = atomic_load_explicit(&r->taken, memory_order_relaxed);
		uint32_t end = atomic_load_explicit(&r->written, memory_order_acquire);

		for (; at != end; at++, n++)
			visit(&r->entries[at % RING], arg);
		atomic_store_explicit(&r->taken, at, memory_order_release);
	}
	return n;
}
