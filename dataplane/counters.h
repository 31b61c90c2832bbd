/* SPDX-License-Identifier: Apache-2.0 */
/** Counters: one block a worker and one for the control thread, each written by its owner with plain (relaxed) stores
 * and read by control at any time. Invariant over all blocks:
 *
 *   received + generated = transmitted + delivered + held + sum of drops
 *
 * received: packets taken from a port. generated: packets the daemon made (ARP and ND messages, ICMP errors, all
 * fragments or segments but the first of a cut packet, clones). transmitted: accepted by a port. delivered: consumed by
 * the daemon itself (ARP, ND, reassembled fragments but one, packets merged into a larger one but that one). held: in a hold queue or ring right now (a gauge).
 */
#ifndef DATAPLANE_COUNTERS_H
#define DATAPLANE_COUNTERS_H

#include "dataplane/drop.h"
#include "dataplane/port.h"

#include <rte_common.h>
#include <stdatomic.h>
#include <stdint.h>

#define COUNTER_BLOCKS	(RCU_WORKERS_MAX + 1)
#define RCU_WORKERS_MAX 16 /* workers; the control thread's block and reader id follow them */

/* X(name, text) */
#define EVENTS(X)                                                                                \
	X(flow_hit, "packets whose flow was known")                                              \
	X(flow_miss, "packets whose flow had to be resolved")                                    \
	X(flow_stale, "packets whose flow was resolved again after a change")                    \
	X(kernel_forwarded, "packets of known flows that the kernel forwarded by itself")        \
	X(flow_uncached, "packets forwarded without a flow entry because the table had no room") \
	X(conntrack_odd,                                                                         \
		"TCP segments that did not fit their connection, passed on without effect")      \
	X(conntrack_reopened, "TCP connections begun anew after the one before was over")        \
	X(conntrack_picked_up,                                                                   \
		"TCP connections that were open before their first packet was seen")             \
	X(conntrack_related, "ICMP errors about known flows, passed on with them")               \
	X(encapsulated, "packets sent in a tunnel")                                              \
	X(decapsulated, "packets taken out of a tunnel")                                         \
	X(fragmented, "packets cut because they exceeded the MTU")                               \
	X(segmented, "large TCP segments and UDP runs cut in software")                          \
	X(merged, "packets that went on as part of a larger one (counted as delivered)")         \
	X(checksummed, "checksums completed in software")                                        \
	X(reassembled, "tunnel packets put together from fragments")                             \
	X(icmp_error_sent, "ICMP and ICMPv6 errors sent")                                        \
	X(icmp_echo_answered, "echo requests answered")                                          \
	X(arp_answered, "ARP requests answered")                                                 \
	X(nd_answered, "neighbour solicitations answered")                                       \
	X(punted, "packets handed to the control thread")                                        \
	X(injected, "packets sent for the control thread")                                       \
	X(mss_clamped, "TCP SYNs whose MSS was lowered")                                         \
	X(policy_staged, "connections that staged policies would have judged otherwise")         \
	X(policy_reset, "TCP resets sent because a change of policy ended a connection")         \
	X(policy_logged, "connections that a policy's log rule told of")                         \
	X(policy_log_lost, "connections of log rules that are not in the log: there were too "   \
			   "many")

enum event {
#define X(name, text) EVENT_##name,
	EVENTS(X)
#undef X
		EVENT_COUNT
};
const char *event_name(enum event event);
const char *event_text(enum event event);

struct port_counters {
	_Atomic uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, drops;
};

struct counters {
	_Atomic uint64_t received, generated, transmitted, delivered;
	_Atomic int64_t held; /* change by this owner; the sum is the gauge */
	_Atomic uint64_t drops[DROP_REASON_COUNT];
	_Atomic uint64_t events[EVENT_COUNT];
	_Atomic uint64_t cycles_busy, cycles_total; /* TSC, workers only */
	struct port_counters port[PORT_MAX];	    /* drops: of packets received on that port */
} __rte_cache_aligned;

extern struct counters counter_blocks[COUNTER_BLOCKS];
#define COUNTERS_CONTROL (&counter_blocks[RCU_WORKERS_MAX])

/** Owner only. */
static inline void counter_add(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(
		c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}
static inline uint64_t counter_read(const _Atomic uint64_t *c)
{
	return atomic_load_explicit((_Atomic uint64_t *)c, memory_order_relaxed);
}
/** Owner: move the held gauge. */
static inline void counter_hold(struct counters *c, int64_t n)
{
	atomic_store_explicit(&c->held, atomic_load_explicit(&c->held, memory_order_relaxed) + n,
		memory_order_relaxed);
}
/** Owner: count and free one dropped packet. `port` is where it was received, PORT_NONE for none. */
static inline void counter_drop(
	struct counters *c, uint16_t port, enum drop_reason reason, uint64_t n)
{
	counter_add(&c->drops[reason], n);
	if (port < PORT_MAX)
		counter_add(&c->port[port].drops, n);
}

/** Sums over all blocks, any thread. */
struct counter_totals {
	uint64_t received, generated, transmitted, delivered;
	int64_t held;
	uint64_t dropped; /* sum of drops */
	uint64_t drops[DROP_REASON_COUNT];
	uint64_t events[EVENT_COUNT];
};
void counters_sum(struct counter_totals *totals);
/** One port over all blocks. */
struct port_totals {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, drops;
};
void counters_sum_port(uint16_t port, struct port_totals *totals);
/** Control, when a port id is about to be reused: zero its counters (no worker writes them any more). */
void counters_clear_port(uint16_t port);

#endif
