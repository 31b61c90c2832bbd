/* SPDX-License-Identifier: Apache-2.0 */
/** A virtqueue seen from the device: split and packed rings (virtio 1.2 sections 2.7 and 2.8) with indirect
 * descriptors, in the memory of a driver that may be hostile.
 *
 * Threads: one at a time; vhost_queue.h says how that is made sure of. Fields are little-endian, which all our machines
 * are. Buffers are used in the order in which they were made available, and a buffer that was taken is given back
 * before the burst ends. So there is one position rather than two, VIRTIO_F_IN_ORDER costs nothing, and nothing is in
 * flight between bursts.
 *
 * Our position is private memory. What the driver wrote is read once, and what was read is checked: a descriptor counts
 * only if its bytes are in the driver's memory, a chain only up to VIRTQ_CHAIN_MAX descriptors. A ring whose indexes
 * can't be true is marked broken and left alone until the driver sets it up again.
 *
 * In flight when we die. A split ring is its own record: what is used is seen by one store of an index, what was not is
 * still offered behind it. Using a packed descriptor overwrites it, so there a record says how far a burst got
 * (struct virtq_record), in memory that the driver's side keeps for the next of us (vhost_inflight.h).
 */
#ifndef DATAPLANE_VIRTQ_H
#define DATAPLANE_VIRTQ_H

#include <rte_branch_prediction.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIRTQ_REGIONS_MAX 8
#define VIRTQ_SIZE_MAX	  32768
#define VIRTQ_CHAIN_MAX	  256	     /* descriptors a chain, and parts of what it names */
#define VIRTQ_BYTES_MAX	  (1u << 20) /* of a chain; a frame has at most 64 KiB */

/* Descriptor flags, the same bits in both formats; the last two in packed rings only. */
enum {
	VIRTQ_NEXT = 1,
	VIRTQ_WRITE = 2,
	VIRTQ_INDIRECT = 4,
	VIRTQ_AVAIL = 1 << 7,
	VIRTQ_USED = 1 << 15
};
/* Event suppression, packed: section 2.8.10. */
enum { VIRTQ_EVENT_ENABLE = 0, VIRTQ_EVENT_DISABLE = 1, VIRTQ_EVENT_DESC = 2 };
#define VIRTQ_NO_INTERRUPT 1 /* split: in avail->flags and, as NO_NOTIFY, in used->flags */

/** The driver's memory. Guest addresses are those in descriptors. */
struct virtq_memory {
	uint32_t count;
	struct virtq_region {
		uint64_t guest, size;
		uint8_t *host;
	} regions[VIRTQ_REGIONS_MAX];
};

/* What is in shared memory. */
struct virtq_desc_split {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
struct virtq_desc_packed {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};
struct virtq_avail_split {
	_Atomic uint16_t flags, idx;
	_Atomic uint16_t ring[]; /* and behind the last the driver's used_event */
};
struct virtq_used_split {
	_Atomic uint16_t flags, idx;
	struct virtq_used_elem_split {
		uint32_t id, len;
	} ring[]; /* and behind the last our avail_event */
};
struct virtq_event_packed {
	_Atomic uint16_t off_wrap, flags;
};

struct virtq_place {
	uint16_t next; /* split: counts freely; packed: a slot */
	bool wrap;     /* packed: the wrap counter */
};

/** Of a packed ring. In shared memory: what it says is believed as far as the ring bears it out. Stores are in program
 * order for whoever comes after a process that was killed, whatever the processor. */
struct virtq_record {
	_Atomic uint32_t
		open; /* VIRTQ_RECORD_OPEN while somebody serves the ring, and after one who died */
	_Atomic uint32_t
		start; /* where the burst began; places are a slot and, bit 15, the wrap counter */
	_Atomic uint32_t len; /* bytes written to its first chain */
	uint32_t unused;
	_Atomic uint64_t
		last; /* of its last chain, from bit 0: the place behind it; 16: slots; 30: bytes written to it; 47: bytes
				  of its frame in the chains after it */
};
#define VIRTQ_RECORD_BYTES (1u << 17) /* a frame is shorter */
#define VIRTQ_RECORD_OPEN  0x316e6470u

struct virtq {
	/* Constant while in use. */
	const struct virtq_memory *memory;
	union {
		const struct virtq_desc_split *desc;
		struct virtq_desc_packed *packed_desc;
	};
	union {
		const struct virtq_avail_split *avail;
		const struct virtq_event_packed *driver_event;
	};
	union {
		struct virtq_used_split *used;
		struct virtq_event_packed *device_event;
	};
	struct virtq_record *record; /* packed; NULL = none is kept */
	uint16_t size;		     /* descriptors; split: a power of two */
	bool packed, event_idx;
	/* Ours alone. */
	bool broken;
	bool held; /* packed: the first entry used since virtq_publish waits for it */
	uint16_t held_slot, held_flags;
	struct virtq_place at; /* chains before this one are used */
	uint16_t advance;      /* entries used since virtq_publish; packed: slots */
};

/** The first descriptor of a chain, copied, and what giving it back needs. */
struct virtq_head {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;	/* split: index of the second descriptor */
	uint16_t id;	/* for the used entry */
	uint16_t slot;	/* packed: where it starts */
	uint16_t slots; /* packed: how many it takes; split: 1 */
};

struct virtq_span {
	uint8_t *data;
	uint32_t len;
};

/** Do the ring's parts lie inside the driver's memory, aligned as the specification wants (sections 2.7, 2.8)? Without
 * it a ring must not be used. */
bool virtq_valid(const struct virtq *r);

/** Packed: find our position in a ring that another process served and left without a word, from what the slots say. A
 * burst that it did not finish publishing is finished. Right for chains of one slot (indirect ones too), which is what
 * drivers of network devices make; a longer one must not be the last used. @return false when the slots contradict each
 * other; nothing is changed then. */
bool virtq_recover(struct virtq *r);

/** Packed: go on where the record says, after giving back what a burst took and did not give back: frames from the driver
 * are lost in it, frames to the driver complete. @return false when record and ring contradict each other; nothing is
 * changed then. */
bool virtq_resume(struct virtq *r);
/** Packed: keep a record from our position on. */
void virtq_record_open(struct virtq *r);

/** The bytes at a guest address. *len becomes what is there in one piece. NULL when there is nothing. */
static inline uint8_t *virtq_at(const struct virtq_memory *m, uint64_t guest, uint64_t *len)
{
	for (uint32_t i = 0; i < m->count; i++) {
		uint64_t off = guest - m->regions[i].guest;

		if (likely(off < m->regions[i].size)) {
			if (unlikely(*len > m->regions[i].size - off))
				*len = m->regions[i].size - off;
			return m->regions[i].host + off;
		}
	}
	return NULL;
}

/** How far the driver got, for virtq_head: read once a burst. Split: marks the ring broken if that can't be. */
static inline uint16_t virtq_limit(struct virtq *r)
{
	uint16_t limit;

	if (r->packed)
		return 0;
	limit = atomic_load_explicit(&r->avail->idx, memory_order_acquire);
	if (unlikely((uint16_t)(limit - r->at.next) > r->size)) {
		r->broken = true;
		return r->at.next;
	}
	return limit;
}

/** Packed: the slots of the chain that starts at *place, and its buffer id. @return 0 when it can't end. */
uint16_t virtq_slots(const struct virtq *r, const struct virtq_place *place, uint16_t *id);

/** The chain at *place, which moves behind it. @return false when there is none, or the ring is broken. */
static inline bool virtq_head(
	struct virtq *r, uint16_t limit, struct virtq_place *place, struct virtq_head *h)
{
	if (r->packed) {
		const struct virtq_desc_packed *d = &r->packed_desc[place->next];
		uint16_t flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE);

		if (!(flags & VIRTQ_AVAIL) == place->wrap || !(flags & VIRTQ_USED) != place->wrap)
			return false;
		*h = (struct virtq_head){ .addr = __atomic_load_n(&d->addr, __ATOMIC_RELAXED),
			.len = __atomic_load_n(&d->len, __ATOMIC_RELAXED),
			.flags = flags,
			.id = __atomic_load_n(&d->id, __ATOMIC_RELAXED),
			.slot = place->next,
			.slots = 1 };
		if (unlikely(flags & VIRTQ_NEXT)) {
			h->slots = virtq_slots(r, place, &h->id);
			if (h->slots == 0) {
				r->broken = true;
				return false;
			}
		}
		place->next = (uint16_t)(place->next + h->slots);
		if (place->next >= r->size) {
			place->next = (uint16_t)(place->next - r->size);
			place->wrap = !place->wrap;
		}
		return true;
	}
	if (place->next == limit)
		return false;
	h->id = atomic_load_explicit(
		&r->avail->ring[place->next & (r->size - 1)], memory_order_relaxed);
	if (unlikely(h->id >= r->size)) {
		r->broken = true;
		return false;
	}
	h->addr = __atomic_load_n(&r->desc[h->id].addr, __ATOMIC_RELAXED);
	h->len = __atomic_load_n(&r->desc[h->id].len, __ATOMIC_RELAXED);
	h->flags = __atomic_load_n(&r->desc[h->id].flags, __ATOMIC_RELAXED);
	h->next = __atomic_load_n(&r->desc[h->id].next, __ATOMIC_RELAXED);
	h->slots = 1;
	place->next++;
	return true;
}

/** Is the chain one descriptor of its own, for us to read (or, `write`, to fill), in one piece? Then its bytes, h->len of
 * them; otherwise NULL, and virtq_spans tells. */
static inline uint8_t *virtq_simple(const struct virtq *r, const struct virtq_head *h, bool write)
{
	uint64_t len = h->len;
	uint8_t *data;

	if (unlikely((h->flags & (VIRTQ_NEXT | VIRTQ_INDIRECT | VIRTQ_WRITE)) !=
		     (write ? VIRTQ_WRITE : 0)))
		return NULL;
	data = virtq_at(r->memory, h->addr, &len);
	return likely(len == h->len) ? data : NULL;
}

/** Append the bytes a chain names to spans[*count..max). *bytes grows by as many.
 * @return false when it is malformed or has too many parts; *count and *bytes are then as before. */
bool virtq_spans(const struct virtq *r, const struct virtq_head *h, bool write,
	struct virtq_span *spans, uint16_t max, uint16_t *count, uint32_t *bytes);

static inline uint16_t virtq_word(const struct virtq_place *place)
{
	return (uint16_t)(place->next | (place->wrap ? 0x8000 : 0));
}

/** Give the chain at our position back, with so many bytes written; in order, and not seen before virtq_publish. rest: the
 * bytes of the same frame that are in the chains behind it. */
static inline void virtq_use_part(
	struct virtq *r, const struct virtq_head *h, uint32_t written, uint32_t rest)
{
	if (r->packed) {
		struct virtq_desc_packed *d = &r->packed_desc[h->slot];
		uint16_t flags = r->at.wrap ? VIRTQ_AVAIL | VIRTQ_USED : 0;

		if (written > 0)
			flags |= VIRTQ_WRITE;
		r->at.next = (uint16_t)(r->at.next + h->slots);
		if (r->at.next >= r->size) {
			r->at.next = (uint16_t)(r->at.next - r->size);
			r->at.wrap = !r->at.wrap;
		}
		if (r->record != NULL) {
			if (!r->held)
				atomic_store_explicit(
					&r->record->len, written, memory_order_relaxed);
			atomic_signal_fence(memory_order_seq_cst);
			atomic_store_explicit(&r->record->last,
				(uint64_t)rest << 47 | (uint64_t)written << 30 |
					(uint32_t)h->slots << 16 | virtq_word(&r->at),
				memory_order_relaxed);
			atomic_signal_fence(memory_order_seq_cst); /* before the descriptor goes */
		}
		__atomic_store_n(&d->id, h->id, __ATOMIC_RELAXED);
		__atomic_store_n(&d->len, written, __ATOMIC_RELAXED);
		/* The driver stops at the first entry that is not used: the rest may be seen early. */
		if (r->held) {
			__atomic_store_n(&d->flags, flags, __ATOMIC_RELEASE);
		} else {
			r->held = true;
			r->held_slot = h->slot;
			r->held_flags = flags;
		}
	} else {
		struct virtq_used_elem_split *e = &r->used->ring[r->at.next & (r->size - 1)];

		__atomic_store_n(&e->id, h->id, __ATOMIC_RELAXED);
		__atomic_store_n(&e->len, written, __ATOMIC_RELAXED);
		r->at.next++;
	}
	r->advance = (uint16_t)(r->advance + h->slots);
}

static inline void virtq_use(struct virtq *r, const struct virtq_head *h, uint32_t written)
{
	virtq_use_part(r, h, written, 0);
}

/** Let the driver see what was used. @return whether it wants to be told (sections 2.7.7, 2.8.10). */
bool virtq_publish(struct virtq *r);

/** Ask the driver to tell of new buffers, or ask it not to. @return for `on`: false when there are some already; then
 * nothing was asked. */
bool virtq_arm(struct virtq *r, bool on);

#endif
