/* SPDX-License-Identifier: Apache-2.0 */
/** Memory of large tables: zeroed, mapped lazily, near one NUMA node. Any thread, never a worker in the packet path.
 *
 * Not EAL memory: a table sized for a million entries costs nothing until entries exist, and the same code runs in
 * tests without hugepages. Transparent huge pages are asked for, because a random lookup otherwise misses the TLB as
 * well as the cache.
 */
#ifndef DATAPLANE_MEMORY_H
#define DATAPLANE_MEMORY_H

#include <stddef.h>

/** Map `bytes` of zeroes, aligned to 2 MiB when that large, else to a page. Pages come from NUMA node `socket_id` while
 * it has any (-1 = wherever they are first touched). @return the memory, owned by the caller, or NULL: no room. */
void *table_memory_map(size_t bytes, int socket_id);
/** `bytes` as it was mapped. NULL is a no-op. */
void table_memory_unmap(void *memory, size_t bytes);

#endif
