/* SPDX-License-Identifier: Apache-2.0 */
/** What happens to the first packet of a flow: anti-spoofing, (later: service, policy,) route, next hop. One ordinary
 * function, run by the worker that saw the miss and by `podlane explain` with a recorder, so that the explanation
 * cannot differ from the behaviour.
 */
#ifndef DATAPLANE_RESOLVE_H
#define DATAPLANE_RESOLVE_H

#include "dataplane/flow.h"
#include "dataplane/settings.h"

/** Receives the steps. NULL in the packet path. */
struct recorder {
	void (*step)(void *arg, const char *stage, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
	void *arg;
};

struct resolution {
	struct flow_decision decision; /* adjacency index (drop reasons are adjacencies) and generation sum */
	uint16_t deps[3];
	uint32_t rule;
	uint32_t reverse_zone;         /* where replies come from; UINT32_MAX = no reverse entry */
	bool cache;                    /* false: this answer may not be stored (port not in force yet) */
};

#define ZONE_NONE UINT32_MAX

/** Decide one direction from the tables published now; counters of generations are read before them. Thread: an RCU
 * reader (worker, or control registered as one). */
void resolve4(const struct flow_key4 *key, uint64_t hash, const struct recorder *rec, struct resolution *out);
void resolve6(const struct flow_key6 *key, uint64_t hash, const struct recorder *rec, struct resolution *out);

/** True when the decision's dependencies have not changed. */
bool resolution_current(const struct flow *flow);

#endif
