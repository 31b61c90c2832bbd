/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/vhost_guard.h"

#include "dataplane/memory_guard.h"

#include <rte_vhost.h>
#include <sys/mman.h>

#define PAGE 4096u

/* Writers: set-up. Reader: the handler, on any thread. size is 0 while the others change. */
static struct guarded {
	_Atomic uintptr_t addr;
	_Atomic uint64_t size;
} guarded[RTE_MAX_VHOST_DEVICE][VIRTQ_REGIONS_MAX];
static _Atomic uint32_t faults[RTE_MAX_VHOST_DEVICE];
static _Thread_local bool handles_messages;

static bool replace(uintptr_t addr, uint64_t size)
{
	return mmap((void *)addr, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
		       0) != MAP_FAILED;
}

static bool replace_at(uintptr_t at)
{
	for (unsigned vid = 0; vid < RTE_MAX_VHOST_DEVICE; vid++) {
		for (unsigned i = 0; i < VIRTQ_REGIONS_MAX; i++) {
			uint64_t size = atomic_load(&guarded[vid][i].size);
			uintptr_t addr = atomic_load(&guarded[vid][i].addr);

			if (at - addr >= size)
				continue;
			atomic_fetch_add(&faults[vid], 1);
			return replace(addr, size);
		}
	}
	return handles_messages && replace(at & ~(uintptr_t)(PAGE - 1), PAGE);
}

void vhost_guard_start(void)
{
	memory_guard_add(replace_at);
}

void vhost_guard_set(int vid, void *const *addr, const uint64_t *size, uint32_t count)
{
	for (uint32_t i = 0; i < VIRTQ_REGIONS_MAX; i++) {
		atomic_store(&guarded[vid][i].size, 0);
		if (i >= count)
			continue;
		atomic_store(&guarded[vid][i].addr, (uintptr_t)addr[i]);
		atomic_store(&guarded[vid][i].size, size[i]);
	}
}

void vhost_guard_thread(void)
{
	handles_messages = true;
}

uint32_t vhost_guard_faults(int vid)
{
	return vid >= 0 && vid < RTE_MAX_VHOST_DEVICE ? atomic_load(&faults[vid]) : 0;
}
