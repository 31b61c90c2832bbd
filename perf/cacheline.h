/* SPDX-License-Identifier: Apache-2.0 */
/** The round trip of one cache line between two cores: what every figure of two programs that hand packets to each other
 * depends on. On virtual machines it can change from one minute to the next, so it is measured beside such figures.
 */
#ifndef PERF_CACHELINE_H
#define PERF_CACHELINE_H

struct cacheline {
	long spin; /* median round trip in TSC cycles between threads that poll without pause, as packet loops do; 0 when too
		     * few happened */
	long pause; /* the same with a pause instruction in the loops, which polls the line less eagerly */
};

/** Send a cache line to and fro between threads pinned to two CPUs. Other work on these CPUs is left in the middle and does
 * not change the median, unless it leaves too little time. Takes at most about 0.5 s. @return 0 or -errno (-EINVAL: not a
 * CPU this process may use). */
int cacheline_measure(unsigned cpu_a, unsigned cpu_b, struct cacheline *result);
/** The round trip without pauses alone, for a line of text; 0 when it cannot be measured. */
long cacheline_round_trip(unsigned cpu_a, unsigned cpu_b);
/** "0,1": two different CPUs. @return 0 or -EINVAL. */
int cacheline_cpus_parse(const char *text, unsigned cpus[2]);

/** The same for an option's argument: what is wrong is said, and the program ends with 2. */
void cacheline_cpus_option(const char *text, unsigned cpus[2]);

#endif
