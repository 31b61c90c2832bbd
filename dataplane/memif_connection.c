/* SPDX-License-Identifier: Apache-2.0 */
/** Memory, rings and descriptors of a memif connection: made, placed, given back. */
#include "dataplane/memif_guard.h"
#include "dataplane/memif_large.h"
#include "dataplane/memif_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

struct memif_connection *memif_connection_new(void)
{
	struct memif_connection *c = aligned_alloc(_Alignof(struct memif_connection), sizeof(*c));

	if (c == NULL)
		return NULL;
	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < MEMIF_QUEUE_MAX; i++) {
		c->rx[i].event_fd = c->tx[i].event_fd = -1;
		rte_spinlock_init(&c->tx[i].lock);
	}
	return c;
}

void memif_connection_free(void *connection)
{
	struct memif_connection *c = connection;

	if (c == NULL)
		return;
	for (unsigned i = 0; i < MEMIF_QUEUE_MAX; i++) {
		if (c->rx[i].event_fd >= 0)
			close(c->rx[i].event_fd);
		if (c->tx[i].event_fd >= 0)
			close(c->tx[i].event_fd);
	}
	for (unsigned i = 0; i < c->n_regions; i++)
		memif_guard_remove(c->regions[i].guard);
	memif_regions_release(c->regions, c->n_regions, c->client);
	free(c);
}

int memif_queue_place(const struct memif_connection *c, struct memif_queue *q, uint16_t region,
	uint32_t offset, uint8_t log2_size, int event_fd)
{
	struct memif_ring *ring;

	if (q->ring != NULL)
		return -EEXIST;
	if (region >= c->n_regions || log2_size > MEMIF_RING_LOG2_MAX ||
		offset % sizeof(union memif_desc) != 0 ||
		offset + memif_ring_bytes(log2_size) > c->regions[region].size)
		return -ERANGE;
	ring = (struct memif_ring *)(c->regions[region].addr + offset);
	if (ring->cookie != MEMIF_COOKIE)
		return -EBADMSG;
	q->ring = ring;
	q->size = (uint16_t)(1u << log2_size);
	q->event_fd = event_fd;
	q->cursor = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	return 0;
}

/* A file that can't shrink under our feet, whatever the peer does with its copy of the descriptor,
 * with all its pages there: better an error now than a daemon out of memory later. */
static int region_create(struct memif_region *region, uint64_t size, int *fd)
{
	void *p;
	int ret;

	*fd = memfd_create("memif", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (*fd < 0)
		return -errno;
	ret = posix_fallocate(*fd, 0, (off_t)size);
	if (ret == 0 && fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		ret = errno;
	if (ret != 0)
		goto close_fd;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (p == MAP_FAILED) {
		ret = errno;
		goto close_fd;
	}
	*region = (struct memif_region){
		.addr = p, .size = size, .mapped = size, .guard = MEMIF_GUARD_NONE
	};
	return 0;

close_fd:
	close(*fd);
	*fd = -1;
	return -ret;
}

/* Ring number `index` of the region, and its buffers. */
static int queue_own(struct memif_connection *c, struct memif_queue *q, unsigned index,
	uint64_t rings_bytes, uint8_t log2_size)
{
	uint64_t ring_offset = index * memif_ring_bytes(log2_size);
	uint64_t buffers_offset = rings_bytes + ((uint64_t)index * MEMIF_BUFFER << log2_size);

	q->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->event_fd < 0)
		return -errno;
	q->client = true;
	q->ring = (struct memif_ring *)(c->regions[0].addr + ring_offset);
	q->ring->cookie = MEMIF_COOKIE;
	q->ring_offset = (uint32_t)ring_offset;
	q->buffers = c->regions[0].addr + buffers_offset;
	q->buffer = MEMIF_BUFFER;
	q->size = (uint16_t)(1u << log2_size);
	for (unsigned i = 0; i < q->size; i++) {
		union memif_desc desc = { .length = MEMIF_BUFFER,
			.offset = (uint32_t)(buffers_offset + (uint64_t)i * MEMIF_BUFFER) };

		atomic_init(&q->ring->desc[i][0], desc.word[0]);
		atomic_init(&q->ring->desc[i][1], desc.word[1]);
	}
	return 0;
}

int memif_connection_own(uint16_t n_rx, uint16_t n_tx, uint8_t log2_size,
	struct memif_connection **out, int *region_fd)
{
	struct memif_connection *c = memif_connection_new();
	unsigned n = (unsigned)n_rx + n_tx;
	uint64_t rings = (n * memif_ring_bytes(log2_size) + 4095) / 4096 * 4096;
	int ret;

	if (c == NULL)
		return -ENOMEM;
	c->client = true;
	ret = region_create(
		&c->regions[0], rings + ((uint64_t)n * MEMIF_BUFFER << log2_size), region_fd);
	if (ret < 0)
		goto free_connection;
	c->n_regions = 1;
	for (unsigned i = 0; i < n && ret == 0; i++)
		ret = queue_own(c, i < n_tx ? &c->tx[i] : &c->rx[i - n_tx], i, rings, log2_size);
	if (ret < 0)
		goto close_fd;
	c->n_rx = n_rx;
	c->n_tx = n_tx;
	*out = c;
	return 0;

close_fd:
	close(*region_fd);
	*region_fd = -1;
free_connection:
	memif_connection_free(c);
	return ret;
}

void memif_connection_offer(struct memif_connection *c)
{
	for (unsigned i = 0; i < c->n_rx; i++)
		atomic_store_explicit(&c->rx[i].ring->head, c->rx[i].size, memory_order_release);
}

bool memif_connection_tripped(const struct memif_connection *c)
{
	for (unsigned i = 0; i < c->n_regions; i++) {
		if (memif_guard_tripped(c->regions[i].guard))
			return true;
	}
	return false;
}
