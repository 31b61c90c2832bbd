/* SPDX-License-Identifier: Apache-2.0 */
/** The daemon's side of the slots that it shares with the tc program (tc/kernel_flow.h): what workers do with them, in a few
 * instructions. Workers and the control thread; a flow's own number is in flow_side.kernel, 0 for nearly all.
 *
 * The program forwards a flow while its slot is on and has the epoch of slot 0. A commit changes that epoch: then one packet of
 * each flow comes to a worker, which looks whether the decision still holds, and renews the slot.
 */
#ifndef DATAPLANE_KERNEL_SLOTS_H
#define DATAPLANE_KERNEL_SLOTS_H

#include "dataplane/flow_table.h"
#include "dataplane/tc/kernel_flow.h"

#include <stdatomic.h>

/** KERNEL_SLOTS of them. NULL: this daemon gives no flow to the kernel. Writer: control; never taken back. */
extern _Atomic(struct kernel_slot *) kernel_slots;

static inline struct kernel_slot *kernel_slot(uint16_t number)
{
	return &atomic_load_explicit(&kernel_slots, memory_order_acquire)[number];
}

static inline _Atomic uint16_t *kernel_number(
	const struct flow_table *table, const struct flow *flow, bool v6)
{
	const struct flow_pool *pool = &table->pool[v6];

	return &pool->side[flow_index(pool, flow, v6)].kernel;
}

/** The kernel may have flows at this moment. */
static inline bool kernel_flows_wanted(void)
{
	const struct kernel_slot *header =
		atomic_load_explicit(&kernel_slots, memory_order_acquire);

	return header != NULL && __atomic_load_n(&header->on, __ATOMIC_RELAXED) != 0;
}

/** Nothing about the flow's next packets needs a worker, and the kernel may have its kind. */
static inline bool kernel_flow_settled(const struct flow *flow)
{
	const uint8_t flags = atomic_load_explicit(&flow->flags, memory_order_relaxed);

	if (flags & (FLOW_NEGATIVE | FLOW_NAT | FLOW_STATELESS))
		return false;
	switch (flow_state_kind(atomic_load_explicit(&flow->state, memory_order_relaxed))) {
	case FLOW_UDP_UNREPLIED:
	case FLOW_UDP_REPLIED:
		return __atomic_load_n(&kernel_slot(0)->udp, __ATOMIC_RELAXED) != 0;
	case FLOW_TCP_ESTABLISHED:
		return true;
	default:
		return false;
	}
}

/** Bring the sequence number of the flow up to date with what the kernel has forwarded. Of a slot that is off there is nothing to
 * learn: the flow was brought up to date when it went off, and workers have forwarded its packets since. */
static inline void kernel_slot_sync(struct kernel_slot *slot, struct flow *flow)
{
	if (__atomic_load_n(&slot->on, __ATOMIC_ACQUIRE) != 0 &&
		__atomic_exchange_n(&slot->fresh, 0, __ATOMIC_ACQ_REL) != 0)
		atomic_store_explicit(&flow->seq, __atomic_load_n(&slot->seq, __ATOMIC_RELAXED),
			memory_order_relaxed);
}

/** Worker: the flow's decision holds at `epoch`. A slot that stands for another decision stays as it is: the flow was decided
 * anew, and control has not taken the slot back yet. */
static inline void kernel_slot_renew(struct kernel_slot *slot, struct flow *flow, uint32_t epoch)
{
	kernel_slot_sync(slot, flow);
	if (__atomic_load_n(&slot->decision, __ATOMIC_RELAXED) !=
		atomic_load_explicit(&flow->decision, memory_order_acquire))
		return;
	__atomic_store_n(&slot->seq, atomic_load_explicit(&flow->seq, memory_order_relaxed),
		__ATOMIC_RELAXED);
	__atomic_store_n(&slot->epoch, epoch, __ATOMIC_RELEASE);
}

/** Its packets come to the workers from now on, until control says otherwise. Total order, as states of flows have: whoever turns a
 * slot on looks at the state afterwards, whoever changes the state turns the slot off afterwards. */
static inline void kernel_slot_stop(struct kernel_slot *slot)
{
	__atomic_store_n(&slot->on, 0, __ATOMIC_SEQ_CST);
}

/** The same, and the flow knows how far it is. */
static inline void kernel_slot_return(struct kernel_slot *slot, struct flow *flow)
{
	kernel_slot_sync(slot, flow);
	kernel_slot_stop(slot);
}

#endif
