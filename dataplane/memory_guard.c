/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/memory_guard.h"

#include "config/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#define REPAIRS_MAX 4

/* Writers: memory_guard_add, each place once. Reader: the handler. */
static _Atomic(memory_repair) repairs[REPAIRS_MAX];
static struct sigaction before;

static bool repaired(uintptr_t addr)
{
	for (unsigned i = 0; i < REPAIRS_MAX; i++) {
		memory_repair repair = atomic_load_explicit(&repairs[i], memory_order_acquire);

		if (repair != NULL && repair(addr))
			return true;
	}
	return false;
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	if (info->si_code == BUS_ADRERR && repaired((uintptr_t)info->si_addr)) {
		errno = saved;
		return;
	}
	/* Nobody's here. The instruction runs again and finds whoever was there before us; a signal that somebody sent has to
	 * be sent again. */
	sigaction(number, &before, NULL);
	if (info->si_code <= 0)
		raise(number);
	errno = saved;
}

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, &before) < 0)
		LOG_WARNING(
			"memory shared with peers is not guarded error=\"%s\"", strerror(errno));
}

void memory_guard_add(memory_repair repair)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
	for (unsigned i = 0; i < REPAIRS_MAX; i++) {
		memory_repair none = NULL;

		if (atomic_compare_exchange_strong(&repairs[i], &none, repair) || none == repair)
			return;
	}
}
