/* SPDX-License-Identifier: Apache-2.0 */
/** Parts of the packet path that can be run and timed alone: a list to add lines to. */
#ifndef PERF_STAGES_H
#define PERF_STAGES_H

#include "perf/packets.h"

#define STAGES_MAX 6

struct stage {
	const char *name;
	/** Run it for n packets of one burst. Stages run in the order of the list and leave in w->meta and w->vector what the
	 * next one needs; together they need not be the whole path. */
	void (*run)(struct worker *w, struct port *in, struct rte_mbuf *const *packets, uint16_t n);
	/** Functions whose instructions, with what they call, are this stage's in a whole burst. They must not call each
	 * other. NULL-terminated; a function that is inlined everywhere counts as nothing. */
	const char *symbols[4];
};
/** Ends with name == NULL. */
extern const struct stage stages[];

#endif
