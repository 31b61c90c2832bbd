/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/counters.h"

#include <string.h>

struct counters counter_blocks[COUNTER_BLOCKS];

static const struct {
	const char *name;
	const char *text;
} events[EVENT_COUNT] = {
#define X(name, text) [EVENT_##name] = { #name, text },
	EVENTS(X)
#undef X
};

const char *event_name(enum event event)
{
	return (size_t)event < EVENT_COUNT ? events[event].name : "unknown";
}

const char *event_text(enum event event)
{
	return (size_t)event < EVENT_COUNT ? events[event].text : "unknown event";
}

void counters_sum(struct counter_totals *totals)
{
	memset(totals, 0, sizeof(*totals));
	for (size_t b = 0; b < COUNTER_BLOCKS; b++) {
		const struct counters *c = &counter_blocks[b];

		totals->received += counter_read(&c->received);
		totals->generated += counter_read(&c->generated);
		totals->transmitted += counter_read(&c->transmitted);
		totals->delivered += counter_read(&c->delivered);
		totals->held +=
			atomic_load_explicit((_Atomic int64_t *)&c->held, memory_order_relaxed);
		for (size_t i = 0; i < DROP_REASON_COUNT; i++) {
			totals->drops[i] += counter_read(&c->drops[i]);
			totals->dropped += counter_read(&c->drops[i]);
		}
		for (size_t i = 0; i < EVENT_COUNT; i++)
			totals->events[i] += counter_read(&c->events[i]);
	}
}

void counters_sum_port(uint16_t port, struct port_totals *totals)
{
	memset(totals, 0, sizeof(*totals));
	for (size_t b = 0; b < COUNTER_BLOCKS; b++) {
		const struct port_counters *p = &counter_blocks[b].port[port];

		totals->rx_packets += counter_read(&p->rx_packets);
		totals->rx_bytes += counter_read(&p->rx_bytes);
		totals->tx_packets += counter_read(&p->tx_packets);
		totals->tx_bytes += counter_read(&p->tx_bytes);
		totals->drops += counter_read(&p->drops);
	}
}

void counters_clear_port(uint16_t port)
{
	for (size_t b = 0; b < COUNTER_BLOCKS; b++) {
		struct port_counters *p = &counter_blocks[b].port[port];

		atomic_store_explicit(&p->rx_packets, 0, memory_order_relaxed);
		atomic_store_explicit(&p->rx_bytes, 0, memory_order_relaxed);
		atomic_store_explicit(&p->tx_packets, 0, memory_order_relaxed);
		atomic_store_explicit(&p->tx_bytes, 0, memory_order_relaxed);
		atomic_store_explicit(&p->drops, 0, memory_order_relaxed);
	}
}
