/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/memif_guard.h"

#include "dataplane/memory_guard.h"

#include <stdatomic.h>
#include <sys/mman.h>

#define GUARDS_MAX 16384 /* PORT_MAX ports of MEMIF_REGION_MAX regions */

/* Writer: control. Readers: the handler, on any thread. addr is 0 while the rest changes. */
static struct {
	_Atomic uintptr_t addr;
	_Atomic uint64_t mapped;
	_Atomic bool tripped; /* writer: the handler */
} guards[GUARDS_MAX];
static _Atomic uint32_t guards_used; /* entries ever used */

/* Async-signal-safe: looks at the table and makes one system call. @return whether the address was
 * in a guarded region, which is whole again. */
static bool guard_repair(uintptr_t fault)
{
	uint32_t used = atomic_load_explicit(&guards_used, memory_order_acquire);

	for (uint32_t i = 0; i < used; i++) {
		uintptr_t addr = atomic_load_explicit(&guards[i].addr, memory_order_acquire);
		uint64_t mapped = atomic_load_explicit(&guards[i].mapped, memory_order_acquire);

		if (addr == 0 || fault < addr || fault - addr >= mapped ||
			atomic_load_explicit(&guards[i].addr, memory_order_acquire) != addr)
			continue;
		/* Another thread may be here as well: then the second mapping replaces the first. */
		if (mmap((void *)addr, mapped, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			    0) == MAP_FAILED)
			return false;
		atomic_store_explicit(&guards[i].tripped, true, memory_order_release);
		return true;
	}
	return false;
}

uint32_t memif_guard_add(void *addr, uint64_t mapped)
{
	uint32_t used = atomic_load_explicit(&guards_used, memory_order_relaxed), i = 0;

	memory_guard_add(guard_repair);
	while (i < used && atomic_load_explicit(&guards[i].addr, memory_order_relaxed) != 0)
		i++;
	if (i == GUARDS_MAX)
		return MEMIF_GUARD_NONE;
	atomic_store_explicit(&guards[i].tripped, false, memory_order_relaxed);
	atomic_store_explicit(&guards[i].mapped, mapped, memory_order_release);
	atomic_store_explicit(&guards[i].addr, (uintptr_t)addr, memory_order_release);
	if (i == used)
		atomic_store_explicit(&guards_used, used + 1, memory_order_release);
	return i;
}

void memif_guard_remove(uint32_t guard)
{
	if (guard != MEMIF_GUARD_NONE)
		atomic_store_explicit(&guards[guard].addr, 0, memory_order_release);
}

bool memif_guard_tripped(uint32_t guard)
{
	return guard != MEMIF_GUARD_NONE &&
	       atomic_load_explicit(&guards[guard].tripped, memory_order_acquire);
}
