/* SPDX-License-Identifier: Apache-2.0 */
/** Flows that a worker offers for the kernel to forward (kernel_flows.h): a ring of one writer, the worker, and one reader, the
 * control thread, which is woken for it. An offer is the index of a flow's entry, no more than a hint: whoever reads it
 * looks at the entry that is there by then.
 */
#ifndef DATAPLANE_KERNEL_OFFERS_H
#define DATAPLANE_KERNEL_OFFERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define KERNEL_OFFERS	   256
#define KERNEL_OFFERS_SEEN 64
#define KERNEL_OFFER_AGAIN 50 /* ms before the same flow is offered again */
/* Of a flow that is worth it: so many packets, or so many bytes. Early: what is on its way through the worker when the kernel takes
 * over is overtaken, and a sender that is told of that slows down. */
#define KERNEL_OFFER_AFTER 16
#define KERNEL_OFFER_BYTES (16u << 10)

struct kernel_offers {
	_Atomic uint32_t head; /* writer: worker */
	_Atomic uint32_t tail; /* writer: control */
	uint32_t seen_ms;
	uint32_t seen[KERNEL_OFFERS_SEEN]; /* offered since seen_ms */
	uint32_t items[KERNEL_OFFERS];
};

/** Worker. A full ring forgets: the flow will have other packets. @return whether there is something for control. */
static inline bool kernel_offer(struct kernel_offers *o, uint32_t index, bool v6, uint32_t now_ms)
{
	const uint32_t item = index << 1 | v6;
	const uint32_t head = atomic_load_explicit(&o->head, memory_order_relaxed);
	uint32_t *seen = &o->seen[item % KERNEL_OFFERS_SEEN];

	if (now_ms - o->seen_ms >= KERNEL_OFFER_AGAIN) {
		for (unsigned i = 0; i < KERNEL_OFFERS_SEEN; i++)
			o->seen[i] = 0;
		o->seen_ms = now_ms;
	}
	if (*seen == item ||
		head - atomic_load_explicit(&o->tail, memory_order_acquire) == KERNEL_OFFERS)
		return false;
	*seen = item;
	o->items[head % KERNEL_OFFERS] = item;
	atomic_store_explicit(&o->head, head + 1, memory_order_release);
	return true;
}

/** Control. */
static inline bool kernel_offers_any(struct kernel_offers *o)
{
	return atomic_load_explicit(&o->tail, memory_order_relaxed) !=
	       atomic_load_explicit(&o->head, memory_order_acquire);
}

/** Control. @return false when there is none. */
static inline bool kernel_offer_take(struct kernel_offers *o, uint32_t *index, bool *v6)
{
	const uint32_t tail = atomic_load_explicit(&o->tail, memory_order_relaxed);
	uint32_t item;

	if (tail == atomic_load_explicit(&o->head, memory_order_acquire))
		return false;
	item = o->items[tail % KERNEL_OFFERS];
	atomic_store_explicit(&o->tail, tail + 1, memory_order_release);
	*index = item >> 1;
	*v6 = item & 1;
	return true;
}

#endif
