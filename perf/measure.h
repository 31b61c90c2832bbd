/* SPDX-License-Identifier: Apache-2.0 */
/** Cycles and instructions of one scenario: what `podlane-bench pipeline` measures. One thread, once a process. */
#ifndef PERF_MEASURE_H
#define PERF_MEASURE_H

#include "perf/bench.h"
#include "perf/packets.h"
#include "perf/stages.h"
#include "perf/steps.h"

struct measure_conf {
	const struct plane_scenario *scenario;
	uint32_t flows, routes, rules, repeats;
	struct packets_sizes sizes;
	bool cold; /* more packet memory than the L2 cache holds; else a few hundred packets again and again */
	const char *isa; /* of the hit path; NULL = the best */
	bool count;	 /* instructions as well */
};

struct measure {
	struct samples cycles; /* a packet, whole path; one sample a repeat */
	struct {
		const char *name;
		struct samples
			cycles;	     /* a packet; the stages one by one, so a little more in sum */
		double instructions; /* a packet; < 0: not counted */
	} stages[STAGES_MAX];
	unsigned n_stages;
	const char *isa;	/* instruction set of the hit path that ran */
	double instructions;	/* a packet, whole path; < 0: not counted */
	const char *counted_by; /* "counter" (perf_event_open) or "steps" (ptrace), or why not */
	struct steps
		steps; /* of one burst, when that could be stepped through; for tables of functions */
	uint32_t steps_packets;
};

void measure_run(const struct measure_conf *conf, struct measure *result);

/** For callgrind (--toggle-collect=measure_counted): run every flow once, then `bursts` bursts with all flows hit inside
 * the function of that name. The flow table's hash secret is fixed, so that counts repeat exactly. @return packets run. */
uint32_t measure_for_callgrind(const struct measure_conf *conf, uint32_t bursts);

#endif
