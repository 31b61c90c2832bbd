/* SPDX-License-Identifier: Apache-2.0 */
/** What the tester says, as text or as one JSON object a line (docs/bench.md lists the fields). Main thread. */
#ifndef PERF_WIRE_REPORT_H
#define PERF_WIRE_REPORT_H

#include "perf/wire_run.h"

/** A trial that has ended; purpose: "search", "rate". Text output shows searches only in short. */
void wire_report_trial(const struct wire *w, const struct wire_trial *t, const char *purpose);
/** The throughput at a loss ratio: the trial found, all zero when there is none. */
void wire_report_throughput(
	const struct wire *w, const struct wire_trial *found, double loss, uint32_t repeat);
/** Percentiles of a stamped trial, from w->latency. percent: of the throughput, 0 = a rate of the user's. */
void wire_report_latency(
	const struct wire *w, const struct wire_trial *t, unsigned percent, uint32_t repeat);
/** The round trip of a cache line around all trials of a size; only with --cacheline-cpus. */
void wire_report_cacheline(
	const struct wire *w, const struct cacheline *before, const struct cacheline *after);

#endif
