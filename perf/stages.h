/* SPDX-License-Identifier: Apache-2.0 */
/** The stages of the packet path, as a list to walk. Run in order over one burst they are the whole path. */
#ifndef PERF_STAGES_H
#define PERF_STAGES_H

#include "perf/plane.h"

#define STAGES_MAX 6

struct stage {
	const char *name;
	/** For the n packets in w->pkts. */
	void (*run)(struct worker *w, struct port *in, uint16_t n);
};
/** Ends with name == NULL. */
extern const struct stage stages[];

#endif
