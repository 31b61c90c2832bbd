/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/memory.h"

#include <numa.h>
#include <numaif.h>
#include <rte_common.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)

static void prefer_node(void *memory, size_t bytes, int socket_id)
{
	struct bitmask *node;

	if (socket_id < 0 || numa_available() < 0 || socket_id > numa_max_node())
		return;
	node = numa_allocate_nodemask();
	if (node == NULL)
		return;
	numa_bitmask_setbit(node, (unsigned)socket_id);
	/* Preferred, not bound: remote memory is slower, but no memory is the end of the process. A refusal (containers
	 * often forbid mbind) costs speed only. */
	(void)mbind(memory, bytes, MPOL_PREFERRED, node->maskp, node->size + 1, 0);
	numa_free_nodemask(node);
}

static size_t page_align(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) & ~(page - 1);
}

void *table_memory_map(size_t bytes, int socket_id)
{
	size_t slack = bytes >= HUGE_PAGE ? HUGE_PAGE : 0;
	uint8_t *raw, *memory;
	size_t head;

	if (bytes == 0 || bytes > SIZE_MAX - 2 * HUGE_PAGE)
		return NULL;
	bytes = page_align(bytes);
	raw = mmap(NULL, bytes + slack, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw == MAP_FAILED)
		return NULL;
	memory = raw;
	if (slack != 0) {
		memory = (uint8_t *)RTE_ALIGN_CEIL((uintptr_t)raw, HUGE_PAGE);
		head = (size_t)(memory - raw);
		if (head != 0)
			munmap(raw, head);
		if (slack > head)
			munmap(memory + bytes, slack - head);
		(void)madvise(memory, bytes, MADV_HUGEPAGE);
	}
	prefer_node(memory, bytes, socket_id);
	return memory;
}

void table_memory_unmap(void *memory, size_t bytes)
{
	if (memory != NULL)
		munmap(memory, page_align(bytes));
}
