/* SPDX-License-Identifier: Apache-2.0 */
/** What a scenario's packets must be once the path has handed them over: computed here from what went in, by nothing of the
 * path's own code. `podlane-bench pipeline` looks at every packet of a set before and after it takes times, so that no figure
 * is of work left out.
 */
#ifndef PERF_VERIFY_H
#define PERF_VERIFY_H

#include "config/address.h"
#include "perf/packets.h"

#define VERIFY_FRAME_MAX 2048

/** The bytes that do not come from the packet. */
struct verify {
	const struct plane_scenario *scenario;
	uint32_t inner_ip; /* offset of the inner IP header in frames that go in */
	struct mac_addr uplink, gateway,
		pod; /* pod: the one that gets what comes out, where one does */
};

/** What is to be expected of a set. */
void verify_init(struct verify *v, const struct plane *plane, const struct packets *set);

/** One frame that went in and what came out of it. @return NULL when it is as it must be, else what is wrong. */
const char *verify_frame(const struct verify *v, const uint8_t *in, uint32_t in_len,
	const uint8_t *out, uint32_t out_len);

/** Prepare the set's packets for flows from first_flow on, run them as bursts of worker w, and check each: handed over once, to the
 * right port, with the right bytes; and of all: flow look-ups, flow entries' counters, port counters, drops. new_flows: every
 * packet must miss, else every one must hit. The calling thread is the worker. Ends the process with a message when something
 * is wrong. */
void verify_set(struct plane *plane, struct worker *w, struct packets *set, uint32_t first_flow,
	bool new_flows);

#endif
