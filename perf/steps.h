/* SPDX-License-Identifier: Apache-2.0 */
/** Exact instruction counts without hardware counters: a child process single-steps this thread (ptrace) through a piece of
 * work and counts instructions by address, so the processor's own choice of code (AVX-512 or not) is what is counted.
 * A string instruction with a repeat prefix counts once. About 5 to 20 microseconds an instruction. x86-64 and arm64.
 */
#ifndef PERF_STEPS_H
#define PERF_STEPS_H

#include <stddef.h>
#include <stdint.h>

/** Instructions executed in a function itself, with what the compiler put inline into it. */
struct steps_function {
	char name
		[64]; /* of a library: its function of the nearest lower address, and the library */
	uint64_t count;
};

struct steps {
	uint64_t total;			  /* from the first instruction of the work to its return */
	struct steps_function *functions; /* most first; the caller frees */
	size_t n_functions;
};

/** Run work(arg) on this thread and count. Caches and predictors are useless afterwards. @return 0; -EPERM when tracing is
 * not allowed here (containers), -ENOSYS on another architecture, -ENOMEM, -EIO when the counting child went wrong. The
 * work may have run whatever is returned. */
int steps_count(void (*work)(void *arg), void *arg, struct steps *steps);

#endif
