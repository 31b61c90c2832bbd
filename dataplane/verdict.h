/* SPDX-License-Identifier: Apache-2.0 */
/** Policy in the packet path: whose policies a connection meets, and what a verdict does to flows.
 *
 * Only the packet that opens a connection is judged: by the egress policies of the end that sends it, then by the
 * ingress policies of the end that receives it. Ends are the pods of this node and the node itself (podlane0, and what is
 * addressed to the node). Whatever else a packet comes from or goes to is another node's to judge. The opposite direction
 * follows: its entry is decided by asking what the opener may do, so that both directions always agree.
 *
 * Not judged, each a step of `podlane explain`:
 *   - what a pod sends to itself (policy.h);
 *   - ingress of a pod, for what comes from the node itself: podlane0 with a source address of this node. Kubernetes
 *     promises that a node reaches its pods (probes). Other sources behind podlane0 are judged;
 *   - ICMP errors addressed to the node: routers tell it the path MTU of its tunnels.
 *
 * Invalidation. A pod's zone generation and its adjacency's cover both directions of its flows, a remote address's
 * prefix generation those of that address; denied flows depend on the generation of their drop adjacency, which every
 * change of policy moves, because nothing says where they would have gone. See policies.c.
 */
#ifndef DATAPLANE_VERDICT_H
#define DATAPLANE_VERDICT_H

#include "dataplane/resolve.h"

struct adjacency;
struct port;
struct worker;

/** A packet's way, which says what the ends of its connection are. */
struct verdict_ends {
	const struct port *in;	     /* where it came from; NULL = a tunnel */
	const struct adjacency *out; /* and goes to */
	bool reply;		     /* it goes against the opener's direction */
	bool opener_is_node;	     /* the opener's address is this node's */
};

/** Judge a connection by its opener's key, a struct flow_key4, or 6 when `v6`. @return DROP_NONE, or the reason to drop
 * it. Any online RCU reader. */
enum drop_reason verdict_judge(const struct tables *t, const void *key, bool v6,
	const struct verdict_ends *ends, const struct recorder *rec,
	struct policy_verdict *verdict);

/* --- workers (verdict_flow.c) ----------------------------------------------------------------------------------- */

/** Resolve a packet, as what its entry says it is (NULL = there is none): a reply to a known connection is one although
 * its own entry is missing, and a connection that was allowed may keep that. @return true when it is a reply. Counts rules. */
bool verdict_resolve(
	struct worker *w, const struct pkt *p, struct flow *flow, bool v6, struct resolution *out);
/** The entry of the direction opposite to p, which comes from `zone`, if it opened a connection and may go on; else NULL. */
const struct flow *verdict_opener(
	const struct worker *w, const struct pkt *p, uint32_t zone, bool v6);
/** After an allowed opener was inserted: the opposite direction had been denied as a connection of its own, now it answers. */
void verdict_adopt(struct worker *w, const struct pkt *p, uint32_t zone,
	const struct flow_init *reverse, bool v6);
/** A connection that was allowed is denied now, and its packet is p: tell both ends if the policy says so. */
void verdict_changed(struct worker *w, const struct pkt *p, const struct resolution *r);

#endif
