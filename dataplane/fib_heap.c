/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/fib_heap.h"

#include <assert.h>
#include <errno.h>
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/queue.h>

#define REGION_SIZE  ((size_t)2 << 20)
#define SLAB_SIZE    ((size_t)16 << 10)
#define SLAB_HEADER  64u
#define REGION_SLABS (REGION_SIZE / SLAB_SIZE - 1) /* the first holds the region's header */
#define SIZE_CLASSES (FIB_HEAP_BLOCK_MAX / FIB_HEAP_GRANULE + 1)

struct free_block {
	struct free_block *next;
};

/* At the start of its 16 KiB, which are aligned to their size: a block finds its slab by masking
 * its address. */
struct slab {
	LIST_ENTRY(slab) link; /* among slabs of its size with room */
	struct free_block *free;
	uint32_t block_size;
	uint16_t used;
	uint16_t fresh; /* blocks from this index on were never used and are not on the free list */
	uint16_t capacity;
};
static_assert(sizeof(struct slab) <= SLAB_HEADER, "blocks start after the header");

/* At the start of its 2 MiB, aligned likewise. */
struct region {
	LIST_ENTRY(region) link; /* open: has free slabs; full: has none */
	uint64_t free[2];	 /* bitmap of slabs 1..127 */
	unsigned used;
};
static_assert(REGION_SLABS == 127, "the bitmap has a bit a slab");

LIST_HEAD(slab_list, slab);
LIST_HEAD(region_list, region);

struct fib_heap {
	struct slab_list room[SIZE_CLASSES];
	struct region_list open, full;
	unsigned slabs_free;
	unsigned regions;
	size_t used;
};

struct fib_heap *fib_heap_new(void)
{
	return calloc(1, sizeof(struct fib_heap)); /* zero is an empty list */
}

static void regions_unmap(struct region_list *list)
{
	struct region *region;

	while ((region = LIST_FIRST(list)) != NULL) {
		LIST_REMOVE(region, link);
		ASAN_UNPOISON_MEMORY_REGION(region, REGION_SIZE);
		munmap(region, REGION_SIZE);
	}
}

void fib_heap_free(struct fib_heap *heap)
{
	regions_unmap(&heap->open);
	regions_unmap(&heap->full);
	free(heap);
}

static int region_map(struct fib_heap *heap)
{
	uint8_t *raw = mmap(NULL, 2 * REGION_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct region *region;
	size_t before;

	if (raw == MAP_FAILED)
		return -ENOMEM;
	before = (REGION_SIZE - ((uintptr_t)raw & (REGION_SIZE - 1))) & (REGION_SIZE - 1);
	if (before != 0)
		munmap(raw, before);
	munmap(raw + before + REGION_SIZE, REGION_SIZE - before);
	region = (struct region *)(raw + before);
	/* A small table stays small; advice that is refused only costs TLB misses. */
	if (heap->regions > 0)
		(void)madvise(region, REGION_SIZE, MADV_HUGEPAGE);
	region->free[0] = ~(uint64_t)1;
	region->free[1] = ~(uint64_t)0;
	region->used = 0;
	LIST_INSERT_HEAD(&heap->open, region, link);
	heap->slabs_free += REGION_SLABS;
	heap->regions++;
	return 0;
}

int fib_heap_reserve(struct fib_heap *heap, unsigned blocks)
{
	assert(blocks <= REGION_SLABS);
	/* At worst each block opens a slab of its own. */
	return heap->slabs_free >= blocks ? 0 : region_map(heap);
}

static struct slab *slab_open(struct fib_heap *heap, uint32_t block_size)
{
	struct region *region = LIST_FIRST(&heap->open);
	unsigned word = region->free[0] != 0 ? 0 : 1;
	unsigned bit = (unsigned)__builtin_ctzll(region->free[word]);
	struct slab *slab = (struct slab *)((uint8_t *)region + (word * 64 + bit) * SLAB_SIZE);

	region->free[word] &= region->free[word] - 1;
	heap->slabs_free--;
	if (++region->used == REGION_SLABS) {
		LIST_REMOVE(region, link);
		LIST_INSERT_HEAD(&heap->full, region, link);
	}
	slab->free = NULL;
	slab->block_size = block_size;
	slab->used = 0;
	slab->fresh = 0;
	slab->capacity = (uint16_t)((SLAB_SIZE - SLAB_HEADER) / block_size);
	LIST_INSERT_HEAD(&heap->room[block_size / FIB_HEAP_GRANULE], slab, link);
	return slab;
}

static void slab_close(struct fib_heap *heap, struct slab *slab)
{
	struct region *region = (struct region *)((uintptr_t)slab & ~(REGION_SIZE - 1));
	size_t index = (size_t)((uint8_t *)slab - (uint8_t *)region) / SLAB_SIZE;

	LIST_REMOVE(slab, link);
	ASAN_UNPOISON_MEMORY_REGION(slab, SLAB_SIZE);
	if (region->used == REGION_SLABS) {
		LIST_REMOVE(region, link);
		LIST_INSERT_HEAD(&heap->open, region, link);
	}
	region->free[index / 64] |= (uint64_t)1 << index % 64;
	region->used--;
	heap->slabs_free++;
	if (region->used == 0 && heap->slabs_free >= 2 * REGION_SLABS) {
		LIST_REMOVE(region, link);
		heap->slabs_free -= (unsigned)REGION_SLABS;
		heap->regions--;
		munmap(region, REGION_SIZE);
	}
}

void *fib_heap_alloc(struct fib_heap *heap, size_t size)
{
	uint32_t block_size = (uint32_t)fib_heap_round(size);
	struct slab *slab = LIST_FIRST(&heap->room[block_size / FIB_HEAP_GRANULE]);
	struct free_block *block;

	if (slab == NULL)
		slab = slab_open(heap, block_size);
	block = slab->free;
	if (block != NULL) {
		ASAN_UNPOISON_MEMORY_REGION(block, block_size);
		slab->free = block->next;
	} else {
		block = (struct free_block *)((uint8_t *)slab + SLAB_HEADER +
					      slab->fresh * block_size);
		slab->fresh++;
	}
	heap->used += block_size;
	if (++slab->used == slab->capacity)
		LIST_REMOVE(slab, link);
	return block;
}

void fib_heap_release(struct fib_heap *heap, void *memory)
{
	struct slab *slab = (struct slab *)((uintptr_t)memory & ~(SLAB_SIZE - 1));
	struct free_block *block = memory;

	heap->used -= slab->block_size;
	if (slab->used-- == slab->capacity)
		LIST_INSERT_HEAD(&heap->room[slab->block_size / FIB_HEAP_GRANULE], slab, link);
	if (slab->used == 0) {
		slab_close(heap, slab);
		return;
	}
	block->next = slab->free;
	slab->free = block;
	ASAN_POISON_MEMORY_REGION(block, slab->block_size);
}

size_t fib_heap_used(const struct fib_heap *heap)
{
	return heap->used;
}

size_t fib_heap_mapped(const struct fib_heap *heap)
{
	return heap->regions * REGION_SIZE;
}
