/* SPDX-License-Identifier: Apache-2.0 */
/** The driver's side of a virtqueue, written from the specification: what tests of the device's side hold it against.
 * Its memory lies between pages that can't be touched, so that a byte outside is a crash.
 */
#ifndef TESTS_UNIT_VHOST_DRIVER_H
#define TESTS_UNIT_VHOST_DRIVER_H

#include "dataplane/vhost_queue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define DRIVER_MEMORY (4u << 20)
#define DRIVER_GUEST  0x40000000ull
#define DRIVER_RINGS  (1u << 20) /* bytes for rings and tables; buffers come behind */
#define DRIVER_SIZE   64

struct driver {
	uint8_t *map, *memory;
	struct virtq_memory regions;
	struct vhost_queue queue; /* the device's side */
	uint16_t size;
	bool packed, event_idx;
	uint16_t next, last_used; /* split: free-running; packed: slots */
	bool wrap, used_wrap;
	uint16_t chain_slots[DRIVER_SIZE]; /* packed: by id */
	uint32_t buffers;		   /* handed out, a ring of 2 MiB */
};

static struct virtq_desc_split *driver_desc(struct driver *d)
{
	return (void *)d->memory;
}

static struct virtq_desc_packed *driver_packed(struct driver *d)
{
	return (void *)d->memory;
}

static struct virtq_avail_split *driver_avail(struct driver *d)
{
	return (void *)(d->memory + 0x4000);
}

static struct virtq_used_split *driver_used(struct driver *d)
{
	return (void *)(d->memory + 0x8000);
}

static struct virtq_event_packed *driver_events(
	struct driver *d) /* [0] the driver's, [1] the device's */
{
	return (void *)(d->memory + 0xc000);
}

static inline void driver_device(struct driver *d, uint8_t guest)
{
	struct virtq *r = &d->queue.ring;

	d->queue.guest = guest;
	d->queue.header_size = 12;
	d->queue.call_fd = eventfd(0, EFD_NONBLOCK);
	d->queue.kick_fd = -1;
	*r = (struct virtq){ .memory = &d->regions,
		.size = d->size,
		.packed = d->packed,
		.event_idx = d->event_idx };
	if (d->packed) {
		r->packed_desc = driver_packed(d);
		r->driver_event = &driver_events(d)[0];
		r->device_event = &driver_events(d)[1];
		r->at.wrap = true;
	} else {
		r->desc = driver_desc(d);
		r->avail = driver_avail(d);
		r->used = driver_used(d);
	}
}

static inline void driver_open(struct driver *d, bool packed, bool event_idx, uint8_t guest)
{
	memset(d, 0, sizeof(*d));
	d->map = mmap(NULL, DRIVER_MEMORY + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	d->memory = d->map + 4096;
	mprotect(d->memory, DRIVER_MEMORY, PROT_READ | PROT_WRITE);
	/* Two regions that are neighbours for the guest: buffers across the border are in two parts. */
	d->regions = (struct virtq_memory){ .count = 2,
		.regions = { { DRIVER_GUEST, DRIVER_MEMORY / 2, d->memory },
			{ DRIVER_GUEST + DRIVER_MEMORY / 2, DRIVER_MEMORY / 2,
				d->memory + DRIVER_MEMORY / 2 } } };
	d->size = DRIVER_SIZE;
	d->packed = packed;
	d->event_idx = event_idx;
	d->wrap = d->used_wrap = true;
	driver_device(d, guest);
	vhost_queue_start(&d->queue);
}

static inline void driver_close(struct driver *d)
{
	vhost_queue_stop(&d->queue);
	close(d->queue.call_fd);
	munmap(d->map, DRIVER_MEMORY + 8192);
}

static inline uint8_t *driver_at(struct driver *d, uint64_t guest)
{
	return d->memory + (guest - DRIVER_GUEST);
}

/** A buffer of guest memory, not freed: they go round. */
static inline uint64_t driver_buffer(struct driver *d, uint32_t len)
{
	uint32_t room = DRIVER_MEMORY - DRIVER_RINGS, at = d->buffers % room;

	if (at + len > room)
		at = 0;
	d->buffers = at + len;
	return DRIVER_GUEST + DRIVER_RINGS + at;
}

struct part {
	uint64_t addr;
	uint32_t len;
};

static inline void driver_put_packed(struct driver *d, uint16_t slot, uint64_t addr, uint32_t len,
	uint16_t id, uint16_t flags, bool wrap)
{
	struct virtq_desc_packed *p = &driver_packed(d)[slot];

	*p = (struct virtq_desc_packed){ .addr = addr, .len = len, .id = id };
	__atomic_store_n(
		&p->flags, (uint16_t)(flags | (wrap ? VIRTQ_AVAIL : VIRTQ_USED)), __ATOMIC_RELEASE);
}

/** Make a chain available. The caller knows that there are slots. id: free to choose, below the ring's size; split: of
 * the first descriptor, the others follow it. */
static inline void driver_add(struct driver *d, const struct part *parts, uint16_t n, bool write,
	bool indirect, uint16_t id)
{
	uint16_t flags = write ? VIRTQ_WRITE : 0;
	struct part one;
	struct part table = { DRIVER_GUEST + 0x10000 + id * 0x400u, n * 16u };

	if (indirect) {
		for (uint16_t i = 0; i < n; i++) {
			uint16_t f = (uint16_t)(flags | (i + 1 < n && !d->packed ? VIRTQ_NEXT : 0));

			if (d->packed)
				((struct virtq_desc_packed *)driver_at(d, table.addr))[i] =
					(struct virtq_desc_packed){ parts[i].addr, parts[i].len, 0,
						f };
			else
				((struct virtq_desc_split *)driver_at(d, table.addr))[i] =
					(struct virtq_desc_split){ parts[i].addr, parts[i].len, f,
						(uint16_t)(i + 1) };
		}
		one = table;
		parts = &one;
		n = 1;
		flags = VIRTQ_INDIRECT;
	}
	if (d->packed) {
		uint16_t head = d->next;
		bool head_wrap = d->wrap;

		/* The first last: section 2.8.21. */
		for (uint16_t i = 0; i < n; i++) {
			uint16_t f = (uint16_t)(flags | (i + 1 < n ? VIRTQ_NEXT : 0));

			if (i > 0)
				driver_put_packed(
					d, d->next, parts[i].addr, parts[i].len, id, f, d->wrap);
			if (++d->next == d->size) {
				d->next = 0;
				d->wrap = !d->wrap;
			}
		}
		driver_put_packed(d, head, parts[0].addr, parts[0].len, id,
			(uint16_t)(flags | (n > 1 ? VIRTQ_NEXT : 0)), head_wrap);
		d->chain_slots[id] = n;
		return;
	}
	for (uint16_t i = 0; i < n; i++)
		driver_desc(d)[(id + i) % d->size] = (struct virtq_desc_split){ parts[i].addr,
			parts[i].len, (uint16_t)(flags | (i + 1 < n ? VIRTQ_NEXT : 0)),
			(uint16_t)((id + i + 1) % d->size) };
	atomic_store(&driver_avail(d)->ring[d->next % d->size], id);
	d->next++;
	atomic_store(&driver_avail(d)->idx, d->next);
}

/** Take a used chain. @return its id, -1 when there is none; *len: bytes the device wrote. */
static inline int driver_take(struct driver *d, uint32_t *len)
{
	uint16_t id;

	if (d->packed) {
		struct virtq_desc_packed *p = &driver_packed(d)[d->last_used];
		uint16_t flags = __atomic_load_n(&p->flags, __ATOMIC_ACQUIRE);

		if (!(flags & VIRTQ_AVAIL) == d->used_wrap || !(flags & VIRTQ_USED) == d->used_wrap)
			return -1;
		id = p->id;
		*len = p->len;
		d->last_used = (uint16_t)(d->last_used + d->chain_slots[id]);
		if (d->last_used >= d->size) {
			d->last_used = (uint16_t)(d->last_used - d->size);
			d->used_wrap = !d->used_wrap;
		}
		return id;
	}
	if (atomic_load(&driver_used(d)->idx) == d->last_used)
		return -1;
	id = (uint16_t)driver_used(d)->ring[d->last_used % d->size].id;
	*len = driver_used(d)->ring[d->last_used % d->size].len;
	d->last_used++;
	return id;
}

/** Times the device has called since the last look. */
static inline uint64_t driver_calls(struct driver *d)
{
	uint64_t n = 0;

	return read(d->queue.call_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

#endif
