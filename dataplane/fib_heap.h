/* SPDX-License-Identifier: Apache-2.0 */
/** Memory of one FIB's trie nodes: a slab allocator for blocks of 32 bytes to 2.5 KiB.
 *
 * A growing node passes through many sizes, so freed room must flow from one size to another:
 * slabs (16 KiB, one block size each) that become empty go back to their region (2 MiB, huge page
 * when the kernel has one: fewer TLB misses for cold lookups), and empty regions go back to the
 * system, all but one that is kept against flapping.
 *
 * Single writer: the control thread. Readers only ever see blocks, never this bookkeeping. Sizes
 * in bytes.
 */
#ifndef DATAPLANE_FIB_HEAP_H
#define DATAPLANE_FIB_HEAP_H

#include <stddef.h>

#define FIB_HEAP_GRANULE \
	32u /* every block is aligned to it, so a node never crosses a cache line */
#define FIB_HEAP_BLOCK_MAX 2560u /* largest block */

struct fib_heap;

/** @return an empty heap or NULL when memory is out. */
struct fib_heap *fib_heap_new(void);
/** Gives everything back, blocks still in use included. */
void fib_heap_free(struct fib_heap *heap);
/** After success the next `blocks` calls of fib_heap_alloc cannot fail; blocks is at most 127.
 * @return 0 or -ENOMEM. */
int fib_heap_reserve(struct fib_heap *heap, unsigned blocks);
/** A block of fib_heap_round(size) bytes, contents undefined. Only after fib_heap_reserve. */
void *fib_heap_alloc(struct fib_heap *heap, size_t size);
void fib_heap_release(struct fib_heap *heap, void *block);
/** Bytes of blocks in use. */
size_t fib_heap_used(const struct fib_heap *heap);
/** Bytes of address space taken from the system. */
size_t fib_heap_mapped(const struct fib_heap *heap);

/** Bytes that a request for size bytes gets: steps of at most a quarter, so that most edits stay
 * within a block. */
static inline size_t fib_heap_round(size_t size)
{
	size_t granules = (size + FIB_HEAP_GRANULE - 1) / FIB_HEAP_GRANULE;

	if (granules > 8) {
		size_t step = (size_t)1 << (61 - __builtin_clzll(granules - 1));

		granules = (granules + step - 1) & ~(step - 1);
	}
	return granules * FIB_HEAP_GRANULE;
}

#endif
