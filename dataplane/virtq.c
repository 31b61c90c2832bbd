/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/virtq.h"

#include <assert.h>

static_assert(sizeof(struct virtq_desc_split) == 16 && sizeof(struct virtq_desc_packed) == 16,
	"virtio 1.2");
static_assert(sizeof(struct virtq_used_elem_split) == 8 && sizeof(struct virtq_event_packed) == 4,
	"virtio 1.2");

/** Does the mapped memory hold `bytes` at p, in one piece? */
static bool mapped(const struct virtq_memory *m, const void *p, size_t bytes, size_t align)
{
	uintptr_t at = (uintptr_t)p;

	if (p == NULL || at % align != 0)
		return false;
	for (uint32_t i = 0; i < m->count; i++) {
		uint64_t off = at - (uintptr_t)m->regions[i].host;

		if (off < m->regions[i].size && bytes <= m->regions[i].size - off)
			return true;
	}
	return false;
}

bool virtq_valid(const struct virtq *r)
{
	const struct virtq_memory *m = r->memory;
	size_t n = r->size;

	if (n == 0 || n > VIRTQ_SIZE_MAX)
		return false;
	if (r->packed)
		return mapped(m, r->packed_desc, n * sizeof(*r->packed_desc), 16) &&
		       mapped(m, r->driver_event, sizeof(*r->driver_event), 4) &&
		       mapped(m, r->device_event, sizeof(*r->device_event), 4);
	return (n & (n - 1)) == 0 && mapped(m, r->desc, n * sizeof(*r->desc), 16) &&
	       mapped(m, r->avail, sizeof(*r->avail) + (n + 1) * sizeof(uint16_t), 2) &&
	       mapped(m, r->used,
		       sizeof(*r->used) + n * sizeof(r->used->ring[0]) + sizeof(uint16_t), 4);
}

uint16_t virtq_slots(const struct virtq *r, const struct virtq_place *place, uint16_t *id)
{
	uint32_t slot = place->next;

	for (uint16_t slots = 1; slots <= r->size && slots <= VIRTQ_CHAIN_MAX; slots++) {
		const struct virtq_desc_packed *d = &r->packed_desc[slot];

		if (!(__atomic_load_n(&d->flags, __ATOMIC_RELAXED) & VIRTQ_NEXT)) {
			*id = __atomic_load_n(&d->id, __ATOMIC_RELAXED);
			return slots;
		}
		slot = slot + 1 < r->size ? slot + 1 : 0;
	}
	return 0;
}

/* --- recovery --------------------------------------------------------------------------------------------------- */

static uint16_t slot_flags(const struct virtq *r, uint16_t slot)
{
	return __atomic_load_n(&r->packed_desc[slot].flags, __ATOMIC_RELAXED);
}

/** Is the slot the driver's, made available in the pass with this wrap counter? */
static bool slot_available(const struct virtq *r, uint16_t slot, bool wrap)
{
	uint16_t flags = slot_flags(r, slot);

	return !(flags & VIRTQ_AVAIL) != wrap && !(flags & VIRTQ_USED) == wrap;
}

static bool slot_used(const struct virtq *r, uint16_t slot, bool wrap)
{
	uint16_t flags = slot_flags(r, slot);

	return !(flags & VIRTQ_AVAIL) != wrap && !(flags & VIRTQ_USED) != wrap;
}

/** If the pass has this wrap counter the slots are, from the first: available in the next pass; used in this one; that is
 * our position; available; used in the pass before. The driver is never a whole pass ahead, so the first kind or the
 * last is missing. @return our position, or -1 when they are not so. */
static int position_if(const struct virtq *r, bool wrap, uint16_t *first_used)
{
	uint16_t i = 0, position, end;

	while (i < r->size && slot_available(r, i, !wrap))
		i++;
	*first_used = position = i;
	for (uint16_t k = i; k < r->size; k++) {
		if (slot_used(r, k, wrap))
			position = (uint16_t)(k + 1);
	}
	for (uint16_t k = i; k < position; k++) {
		if (!slot_used(r, k, wrap) && !slot_available(r, k, wrap))
			return -1;
	}
	end = position;
	while (end < r->size && slot_available(r, end, wrap))
		end++;
	if (end<r->size && * first_used> 0)
		return -1;
	for (uint16_t k = end; k < r->size; k++) {
		if (!slot_used(r, k, !wrap))
			return -1;
	}
	return position;
}

bool virtq_recover(struct virtq *r)
{
	bool wrap = true;
	uint16_t first;
	int position = position_if(r, wrap, &first);

	if (position < 0) {
		wrap = false;
		position = position_if(r, wrap, &first);
	}
	if (position < 0)
		return false;
	/* The first entry of a burst is published last: its id and length are there. (Slots inside a longer chain look the
	 * same and are nobody's any more.) */
	for (int i = first; i < position; i++) {
		if (slot_available(r, (uint16_t)i, wrap))
			__atomic_store_n(&r->packed_desc[i].flags,
				wrap ? VIRTQ_AVAIL | VIRTQ_USED : 0, __ATOMIC_RELEASE);
	}
	r->at = (struct virtq_place){ .next = (uint16_t)position, .wrap = wrap };
	if (r->at.next == r->size)
		r->at = (struct virtq_place){ .next = 0, .wrap = !wrap };
	return true;
}

void virtq_record_open(struct virtq *r)
{
	struct virtq_record *record = r->record;

	atomic_store(&record->open, 0);
	atomic_store(&record->start, virtq_word(&r->at));
	atomic_store(&record->last, virtq_word(&r->at));
	atomic_store(&record->open, VIRTQ_RECORD_OPEN);
}

static struct virtq_place place_of(uint64_t word)
{
	return (struct virtq_place){ .next = word & 0x7fff, .wrap = (word >> 15 & 1) != 0 };
}

/** Give back the chain at a place unless that was done. @return false when it is no chain. */
static bool finish(struct virtq *r, const struct virtq_place *place, uint32_t len)
{
	struct virtq_desc_packed *d = &r->packed_desc[place->next];
	uint16_t id;

	if (!slot_available(r, place->next, place->wrap))
		return true;
	if (virtq_slots(r, place, &id) == 0)
		return false;
	__atomic_store_n(&d->id, id, __ATOMIC_RELAXED);
	__atomic_store_n(&d->len, len, __ATOMIC_RELAXED);
	__atomic_store_n(&d->flags,
		(uint16_t)((place->wrap ? VIRTQ_AVAIL | VIRTQ_USED : 0) |
			   (len > 0 ? VIRTQ_WRITE : 0)),
		__ATOMIC_RELEASE);
	return true;
}

/** The rest of a frame of which the driver will see the beginning. Its bytes are there: they were copied before anything
 * was given back. @return where it ends. */
static struct virtq_place finish_rest(struct virtq *r, struct virtq_place at, uint32_t rest)
{
	while (rest > 0) {
		struct virtq_span spans[VIRTQ_CHAIN_MAX];
		struct virtq_place next = at;
		struct virtq_head h;
		uint16_t count = 0;
		uint32_t room = 0, len;

		if (!virtq_head(r, 0, &next, &h) ||
			!virtq_spans(r, &h, true, spans, VIRTQ_CHAIN_MAX, &count, &room) ||
			room == 0)
			break;
		len = rest < room ? rest : room;
		finish(r, &at, len);
		rest -= len;
		at = next;
	}
	return at;
}

bool virtq_resume(struct virtq *r)
{
	uint64_t said = atomic_load(&r->record->last);
	struct virtq_place start = place_of(atomic_load(&r->record->start)), end = place_of(said),
			   last = end;
	uint32_t slots = said >> 16 & 0x3fff, len = said >> 30 & (VIRTQ_RECORD_BYTES - 1);

	if (start.next >= r->size || end.next >= r->size || slots > r->size ||
		(start.wrap == end.wrap ? end.next < start.next : end.next > start.next))
		return false;
	if (virtq_word(&start) == virtq_word(&end))
		goto at_end;
	if (last.next < slots) {
		last.next = (uint16_t)(last.next + r->size);
		last.wrap = !last.wrap;
	}
	last.next = (uint16_t)(last.next - slots);
	/* The chains before the last were given back, but for the first: the driver looks at none before it. If it has it,
	 * it has all. */
	if (slot_available(r, start.next, start.wrap)) {
		uint32_t first_len = atomic_load(&r->record->len);

		end = finish_rest(r, end, (uint32_t)(said >> 47));
		if (virtq_word(&last) == virtq_word(&start))
			first_len = len;
		else if (!finish(r, &last, len))
			return false;
		if (!finish(r, &start, first_len))
			return false;
	}
at_end:
	r->at = end;
	virtq_record_open(r);
	return true;
}

/* --- chains ------------------------------------------------------------------------------------------------------- */

struct gather {
	const struct virtq_memory *memory;
	struct virtq_span *spans;
	uint16_t max, count;
	uint32_t bytes;
	bool write;
};

/** What one descriptor names: adjacent regions of the guest may be apart here. */
static bool gather_add(struct gather *g, uint64_t addr, uint32_t len, uint16_t flags)
{
	if (unlikely(((flags & VIRTQ_WRITE) != 0) != g->write || len > VIRTQ_BYTES_MAX - g->bytes))
		return false;
	g->bytes += len;
	while (len > 0) {
		uint64_t piece = len;
		uint8_t *data = virtq_at(g->memory, addr, &piece);

		if (unlikely(data == NULL || g->count == g->max))
			return false;
		g->spans[g->count++] = (struct virtq_span){ data, (uint32_t)piece };
		addr += piece;
		len -= (uint32_t)piece;
	}
	return true;
}

/** A copy of entry i of an indirect table. Both formats have address, length and 32 more bits. */
static bool table_entry(
	const struct virtq_memory *m, uint64_t table, uint32_t i, struct virtq_desc_split *out)
{
	uint64_t len = sizeof(*out);
	const struct virtq_desc_split *d =
		(const void *)virtq_at(m, table + (uint64_t)i * sizeof(*out), &len);

	if (unlikely(d == NULL || len < sizeof(*out)))
		return false;
	__builtin_memcpy(out, d, sizeof(*out));
	/* What is used is the copy, whatever the driver does meanwhile. */
	atomic_signal_fence(memory_order_seq_cst);
	return true;
}

static bool gather_table(struct gather *g, const struct virtq_head *h, bool packed)
{
	uint32_t entries = h->len / sizeof(struct virtq_desc_split), at = 0;

	if (unlikely(entries == 0 || entries > VIRTQ_CHAIN_MAX || (h->flags & VIRTQ_NEXT)))
		return false;
	for (uint32_t seen = 0; seen < entries; seen++) {
		struct virtq_desc_split d;
		uint16_t flags;

		if (unlikely(!table_entry(g->memory, h->addr, at, &d)))
			return false;
		/* Packed: id, then flags, where split has flags, then next. */
		flags = packed ? d.next : d.flags;
		if (unlikely((flags & VIRTQ_INDIRECT) || !gather_add(g, d.addr, d.len, flags)))
			return false;
		if (packed) {
			at++;
			continue;
		}
		if (!(flags & VIRTQ_NEXT))
			return true;
		at = d.next;
		if (unlikely(at >= entries))
			return false;
	}
	return packed; /* split: a loop */
}

static bool gather_split(struct gather *g, const struct virtq *r, const struct virtq_head *h)
{
	uint16_t flags = h->flags, next = h->next;

	if (!gather_add(g, h->addr, h->len, flags))
		return false;
	for (uint32_t seen = 1; flags & VIRTQ_NEXT; seen++) {
		const struct virtq_desc_split *d = &r->desc[next];

		if (unlikely(next >= r->size || seen == VIRTQ_CHAIN_MAX || seen == r->size))
			return false;
		flags = __atomic_load_n(&d->flags, __ATOMIC_RELAXED);
		next = __atomic_load_n(&d->next, __ATOMIC_RELAXED);
		if (unlikely((flags & VIRTQ_INDIRECT) ||
			     !gather_add(g, __atomic_load_n(&d->addr, __ATOMIC_RELAXED),
				     __atomic_load_n(&d->len, __ATOMIC_RELAXED), flags)))
			return false;
	}
	return true;
}

/** As many slots as the head counted, whatever the flags say now. */
static bool gather_packed(struct gather *g, const struct virtq *r, const struct virtq_head *h)
{
	uint32_t slot = h->slot;

	if (!gather_add(g, h->addr, h->len, h->flags))
		return false;
	for (uint16_t i = 1; i < h->slots; i++) {
		const struct virtq_desc_packed *d;
		uint16_t flags;

		slot = slot + 1 < r->size ? slot + 1 : 0;
		d = &r->packed_desc[slot];
		flags = __atomic_load_n(&d->flags, __ATOMIC_RELAXED);
		if (unlikely((flags & VIRTQ_INDIRECT) ||
			     !gather_add(g, __atomic_load_n(&d->addr, __ATOMIC_RELAXED),
				     __atomic_load_n(&d->len, __ATOMIC_RELAXED), flags)))
			return false;
	}
	return true;
}

bool virtq_spans(const struct virtq *r, const struct virtq_head *h, bool write,
	struct virtq_span *spans, uint16_t max, uint16_t *count, uint32_t *bytes)
{
	struct gather g = {
		.memory = r->memory, .spans = spans, .max = max, .count = *count, .write = write
	};
	bool ok = h->flags & VIRTQ_INDIRECT ? gather_table(&g, h, r->packed)
		  : r->packed		    ? gather_packed(&g, r, h)
					    : gather_split(&g, r, h);

	if (!ok)
		return false;
	*count = g.count;
	*bytes += g.bytes;
	return true;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

/** Has the index moved past event since old? Virtio 1.2 section 2.7.10.1. */
static bool passed(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static bool wanted_split(const struct virtq *r, uint16_t old)
{
	if (r->event_idx)
		return passed(atomic_load_explicit(&r->avail->ring[r->size], memory_order_relaxed),
			r->at.next, old);
	return !(atomic_load_explicit(&r->avail->flags, memory_order_relaxed) & VIRTQ_NO_INTERRUPT);
}

static bool wanted_packed(const struct virtq *r, uint16_t advance)
{
	uint16_t flags = atomic_load_explicit(&r->driver_event->flags, memory_order_relaxed) & 3u;
	uint16_t off_wrap, event;

	if (flags != VIRTQ_EVENT_DESC || !r->event_idx)
		return flags != VIRTQ_EVENT_DISABLE;
	off_wrap = atomic_load_explicit(&r->driver_event->off_wrap, memory_order_relaxed);
	event = off_wrap & 0x7fff;
	if ((off_wrap >> 15) != r->at.wrap)
		event = (uint16_t)(event - r->size);
	return passed(event, r->at.next, (uint16_t)(r->at.next - advance));
}

bool virtq_publish(struct virtq *r)
{
	uint16_t advance = r->advance;

	if (advance == 0)
		return false;
	r->advance = 0;
	if (r->packed) {
		__atomic_store_n(
			&r->packed_desc[r->held_slot].flags, r->held_flags, __ATOMIC_RELEASE);
		r->held = false;
		if (r->record != NULL)
			atomic_store_explicit(
				&r->record->start, virtq_word(&r->at), memory_order_release);
	} else {
		atomic_store_explicit(&r->used->idx, r->at.next, memory_order_release);
	}
	/* The driver says what it wants, then looks for used buffers; we the other way round: one of us sees. */
	atomic_thread_fence(memory_order_seq_cst);
	return r->packed ? wanted_packed(r, advance)
			 : wanted_split(r, (uint16_t)(r->at.next - advance));
}

/** Our avail_event, behind the used ring. */
static _Atomic uint16_t *avail_event(const struct virtq *r)
{
	return (_Atomic uint16_t *)(void *)&r->used->ring[r->size];
}

static bool something_waits(const struct virtq *r)
{
	uint16_t flags;

	if (!r->packed)
		return atomic_load_explicit(&r->avail->idx, memory_order_relaxed) != r->at.next;
	flags = __atomic_load_n(&r->packed_desc[r->at.next].flags, __ATOMIC_RELAXED);
	return !(flags & VIRTQ_AVAIL) != r->at.wrap && !(flags & VIRTQ_USED) == r->at.wrap;
}

bool virtq_arm(struct virtq *r, bool on)
{
	if (r->packed)
		atomic_store_explicit(&r->device_event->flags,
			on ? VIRTQ_EVENT_ENABLE : VIRTQ_EVENT_DISABLE, memory_order_relaxed);
	else if (!r->event_idx)
		atomic_store_explicit(
			&r->used->flags, on ? 0 : VIRTQ_NO_INTERRUPT, memory_order_relaxed);
	else if (on) /* not to be told needs nothing: an event is told once */
		atomic_store_explicit(avail_event(r), r->at.next, memory_order_relaxed);
	if (!on)
		return true;
	atomic_thread_fence(memory_order_seq_cst);
	if (r->broken || !something_waits(r))
		return true;
	virtq_arm(r, false);
	return false;
}
