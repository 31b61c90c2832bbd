/* SPDX-License-Identifier: Apache-2.0 */
/** Files of scenarios (perf/scenarios/): what to measure, as lists whose every combination is one row, and what is hoped
 * for. Format, libconfig:
 *
 *   repeats = 11;                                  # of every row; default 11
 *   runs: (
 *     { scenarios = [ "ipv4-l3" ];                 # names of podlane-bench pipeline --list
 *       flows = [ 1000, 100000 ];                  # default [ 1000 ]
 *       sizes = [ "64", "imix" ];                  # default [ "64" ]
 *       memory = [ "warm", "cold" ];               # default [ "warm" ]
 *       isa = [ "portable", "avx512" ];            # instruction sets of the hit path; default [ "best" ]
 *       routes = 0; rules = 0;                     # of the tables beside the flows; default 0
 *       targets = [ 25.0, 35.0 ];                  # TSC cycles a packet, one for each of flows
 *       # or: at most so many times another scenario's measured figure, of the same flows, size, memory and instruction set, which must
 *       # come earlier in the file:
 *       relative_to = [ "ipv4-l3" ];               # one for each of scenarios
 *       at_most = 1.3; } );
 */
#ifndef PERF_SUITE_H
#define PERF_SUITE_H

#include "config/error.h"
#include "perf/packets.h"

struct suite_row {
	const struct plane_scenario *scenario;
	uint32_t flows, routes, rules, repeats;
	char size[8];
	char isa[16]; /* "best": as the daemon chooses */
	bool cold;
	double target;		      /* 0 = none */
	const struct suite_row *base; /* with at_most: the row to compare with, NULL = none */
	double at_most;
};

struct suite {
	struct suite_row *rows;
	size_t count;
};

/** @return 0, or -EINVAL with file, line and what to do. The caller frees. */
int suite_load(const char *path, struct suite *suite, struct error *err);
int suite_load_text(const char *text, struct suite *suite, struct error *err);
void suite_free(struct suite *suite);

#endif
