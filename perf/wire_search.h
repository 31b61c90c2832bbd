/* SPDX-License-Identifier: Apache-2.0 */
/** Throughput as RFC 2544 section 26.1 means it: the highest rate at which no more than a share of the frames is lost.
 *
 * Ports that refuse frames when the device under test does not keep up (memif, vhost) make the first trial, as fast as the
 * ports take it, the answer already. Otherwise the rate is halved in on, until it is known to the resolution. Trials of a
 * size are remembered, so that a second loss ratio costs little. A trial of fewer than a thousand
 * frames proves nothing: the search ends above such rates.
 */
#ifndef PERF_WIRE_SEARCH_H
#define PERF_WIRE_SEARCH_H

#include "perf/wire_run.h"

#define WIRE_TRIALS_MAX 256

struct wire_search {
	struct wire_trial trials[WIRE_TRIALS_MAX]; /* of one size */
	unsigned n;
};

/** @return 0, or an error of wire_trial_run or wire_trial_copies, or -ENODATA when nothing comes back any more: the device
 * stopped. *found: the trial that is the answer, all zero when even the lowest rate lost
 * too much. Trials are reported as they end. */
int wire_search_run(struct wire *w, struct wire_search *s, double loss, struct wire_trial *found,
	struct error *err);

#endif
