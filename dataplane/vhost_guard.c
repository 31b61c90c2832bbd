/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/vhost_guard.h"

#include <errno.h>
#include <pthread.h>
#include <rte_vhost.h>
#include <signal.h>
#include <sys/mman.h>

#define PAGE 4096u

/* Writers: set-up. Reader: the handler, on any thread. size is 0 while the others change. */
static struct guarded {
	_Atomic uintptr_t addr;
	_Atomic uint64_t size;
} guarded[RTE_MAX_VHOST_DEVICE][VIRTQ_REGIONS_MAX];
static _Atomic uint32_t faults[RTE_MAX_VHOST_DEVICE];
static _Thread_local bool handles_messages;
static struct sigaction before;

static bool replace(uintptr_t addr, uint64_t size)
{
	return mmap((void *)addr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
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

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	int error = errno;

	(void)context;
	/* Not a guest's: the access is repeated, and whoever was responsible before is again. */
	if (!replace_at((uintptr_t)info->si_addr))
		sigaction(sig, &before, NULL);
	errno = error;
}

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &before);
}

void vhost_guard_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
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
