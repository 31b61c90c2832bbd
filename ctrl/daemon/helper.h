/* SPDX-License-Identifier: Apache-2.0 */
/** Threads that help the control thread with large amounts of objects. They get only time nobody
 * else wants, because the other CPUs are the workers', until the control thread has nothing to do
 * but wait for them. Control thread only.
 */
#ifndef CTRL_DAEMON_HELPER_H
#define CTRL_DAEMON_HELPER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define HELPER_WORTH 20000 /* objects; fewer are done sooner than a thread starts */

bool helper_start(pthread_t *thread, void *(*run)(void *arg), void *arg);
void helper_join(pthread_t thread);

/** Call run(i, arg) for every i below count, from several threads when that is worth it. When one
 * returns false no new indices are begun, but all below it are still run. Waits for the end. */
void helper_each(size_t count, bool (*run)(size_t i, void *arg), void *arg);

#endif
