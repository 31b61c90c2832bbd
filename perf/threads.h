/* SPDX-License-Identifier: Apache-2.0 */
/** The same work on several threads at once, one a CPU. */
#ifndef PERF_THREADS_H
#define PERF_THREADS_H

/** CPUs this process may use. */
unsigned threads_available(void);
/** Run body(id, arg) on `n` threads, ids from 0, each pinned to a CPU of its own, and wait for all. One thread is run as a
 * thread as well. Ends the process when there are too few CPUs. */
void threads_run(unsigned n, void (*body)(unsigned id, void *arg), void *arg);
/** Inside body: wait until all threads of this run are here, so that they measure at the same time. */
void threads_meet(void);

#endif
