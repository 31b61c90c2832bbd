/* SPDX-License-Identifier: Apache-2.0 */
/** What happens to the first packet of a flow: anti-spoofing, (later: service,) route, next hop, policy. One ordinary
 * function, run by the worker that saw the miss and by `podlane explain` with a recorder, so that the explanation
 * cannot differ from the behaviour.
 */
#ifndef DATAPLANE_RESOLVE_H
#define DATAPLANE_RESOLVE_H

#include "dataplane/flow.h"
#include "dataplane/policy/policy.h"
#include "dataplane/settings.h"

/** Receives the steps. NULL in the packet path. */
struct recorder {
	void (*step)(void *arg, const char *stage, const char *fmt, ...)
		__attribute__((format(printf, 3, 4)));
	void *arg;
};

/** What the packet is to the connection it belongs to. Policy is about who may open one. */
enum resolve_as {
	RESOLVE_OPENER, /* it opens the connection, or did: judged */
	RESOLVE_REPLY,	/* it answers: what its opposite, the opener, may do is judged */
	RESOLVE_JUDGED, /* it answers one that was just judged: resolve_opposite */
};

struct resolution {
	struct flow_decision
		decision; /* adjacency index (drop reasons are adjacencies) and generation sum */
	struct flow_decision
		route; /* what it would be without policies; the same unless `denied` */
	struct flow_deps deps;
	uint32_t rule;
	uint32_t reverse_zone; /* where replies come from; ZONE_NONE = make no reverse entry */
	uint32_t
		opposite_zone; /* zone of the opposite direction if there is a flow of it; ZONE_NONE = none */
	bool cache; /* false: this answer may not be stored (port not in force yet, tables in motion) */
	bool denied; /* by a policy: `decision` is a drop reason, `verdict` says the rest */
	bool judged; /* policies were asked; `verdict` is theirs */
	const struct policy_table *policy; /* the table of this answer */
	const struct tables *tables;	   /* as well; compared only */
	uint32_t destination;		   /* what they say of the destination: a route's value */
	struct policy_verdict verdict;
};

#define ZONE_NONE UINT32_MAX

/** Decide one direction from the tables published now; counters of generations are read before them. Thread: an RCU
 * reader (worker, or control registered as one). */
void resolve4(const struct flow_key4 *key, uint64_t hash, enum resolve_as as,
	const struct recorder *rec, struct resolution *out);
void resolve6(const struct flow_key6 *key, uint64_t hash, enum resolve_as as,
	const struct recorder *rec, struct resolution *out);

/** The opposite direction of one that the caller has just resolved, and that was judged for both: compare `policy` of both
 * answers. Where the packet came from is where the other went to. Worker. */
void resolve_opposite4(const struct flow_key4 *key, uint64_t hash, const struct resolution *opener,
	struct resolution *out);
void resolve_opposite6(const struct flow_key6 *key, uint64_t hash, const struct resolution *opener,
	struct resolution *out);

/** True when the decision's dependencies have not changed. */
bool resolution_current(const struct flow *flow);

#endif
