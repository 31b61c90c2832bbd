/* SPDX-License-Identifier: Apache-2.0 */
/** podlane-bench: what its subcommands share. One process, one thread. */
#ifndef PERF_BENCH_H
#define PERF_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Repeated measurements of one figure. */
struct samples {
	double values[64];
	unsigned count;
};
void samples_add(struct samples *s, double value);
double samples_median(struct samples *s);
double samples_min(const struct samples *s);
double samples_max(const struct samples *s);

/** Time stamp counter with the pipeline drained around it, so that short sections are attributed rightly. */
uint64_t bench_tsc(void);
/** "AMD EPYC, 2 CPUs, TSC 2.60 GHz, avx512 yes, hugepages no". */
const char *bench_machine(void);

/** Subcommands; each parses its own arguments and returns an exit code. */
int bench_pipeline(int argc, char **argv);
int bench_wire(int argc, char **argv);
int bench_cacheline(int argc, char **argv);

#endif
