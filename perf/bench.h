/* SPDX-License-Identifier: Apache-2.0 */
/** podlane-bench: what its subcommands share. One process, one thread. */
#ifndef PERF_BENCH_H
#define PERF_BENCH_H

#include "config/error.h"

#include <jansson.h>
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
/** Distance of the quartiles, per cent of the median. */
double samples_spread(struct samples *s);
/** {"median", "min", "max", "spread"}, and a figure rounded to a tenth; new references. */
json_t *samples_json(struct samples *s);
json_t *bench_tenths(double value);
/** One line, and free. */
void bench_print_json(json_t *row);

/** Time stamp counter with the pipeline drained around it, so that short sections are attributed rightly. */
uint64_t bench_tsc(void);
#define BENCH_EXIT_UNABLE 3 /* what is asked for this machine does not have: nothing is wrong */
/** End the process (1) with "podlane-bench: WHAT: reason". err may be NULL. */
_Noreturn void bench_die(const char *what, const struct error *err);
/** A number given to option `what`; ends the process (2) with a message when it is none or out of range. */
uint32_t bench_number(const char *text, const char *what, uint32_t min, uint32_t max);
double bench_tsc_hz(void);
/** "AMD EPYC, 2 CPUs, TSC 2.60 GHz, CPU has AVX-512, Linux 6.18". */
const char *bench_machine(void);

/** Subcommands; each parses its own arguments and returns an exit code. */
int bench_pipeline(int argc, char **argv);
int bench_tables(int argc, char **argv);
int bench_change(int argc, char **argv);
int bench_workers(int argc, char **argv);
int bench_policy(int argc, char **argv);
int bench_wire(int argc, char **argv);
int bench_cacheline(int argc, char **argv);

#endif
