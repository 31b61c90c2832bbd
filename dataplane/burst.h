/* SPDX-License-Identifier: Apache-2.0 */
/** The hit path: a burst of packets from one queue through all stages. It is compiled once an instruction set; the best
 * one this CPU has is chosen at start. Worker threads, but for the choice.
 *
 * The stages one by one are for podlane-bench, which times them: parse, then lookup, then forward, then worker_flush.
 */
#ifndef DATAPLANE_BURST_H
#define DATAPLANE_BURST_H

#include "dataplane/worker_state.h"

struct burst_stages {
	const char *name; /* "portable", "avx2", "avx512" */
	/** All of it: w->pkts[0..n) from one queue, n up to VECTOR_SIZE. What is to be sent waits for worker_flush. */
	void (*burst)(struct worker *w, struct port *in, uint16_t n);
	/** Count, parse, decapsulate, hash; buckets of the flow table are on their way afterwards. */
	void (*parse)(struct worker *w, struct port *in, uint16_t n);
	/** Match tags; flow entries are on their way afterwards. */
	void (*lookup)(struct worker *w);
	/** Confirm keys, count, decide about misses, TTL, header, output batches. */
	void (*forward)(struct worker *w, struct port *in);
};

/** Before workers start: choose by name, or NULL for the best. @return -ENOENT: no such name, -ENOTSUP: not on this CPU. */
int burst_select(const char *name);
const struct burst_stages *burst_selected(void);
/** The instruction sets in the program, NULL-terminated, the best last. */
extern const struct burst_stages *const burst_variants[];

static inline void worker_burst(struct worker *w, struct port *in, uint16_t n)
{
	burst_selected()->burst(w, in, n);
}

#endif
