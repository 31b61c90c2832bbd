/* SPDX-License-Identifier: Apache-2.0 */
/** Threads that help the control thread with large transactions. They get only time nobody else wants,
 * because the other CPUs are the workers', until the control thread has nothing to do but wait for them.
 */
#ifndef CTRL_DAEMON_HELPER_H
#define CTRL_DAEMON_HELPER_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

static inline bool helper_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	const struct sched_param param = { 0 };

	if (pthread_create(thread, NULL, run, arg) != 0)
		return false;
	pthread_setschedparam(*thread, SCHED_IDLE, &param);
	return true;
}

static inline void helper_join(pthread_t thread)
{
	const struct sched_param param = { 0 };

	pthread_setschedparam(thread, SCHED_OTHER, &param);
	pthread_join(thread, NULL);
}

#endif
