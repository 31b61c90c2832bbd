/* SPDX-License-Identifier: Apache-2.0 */
/** Policy in transactions and answers: where the ports are that policies speak of, which flows are judged again after a
 * change, and names for rules. Control thread only.
 */
#ifndef DATAPLANE_POLICIES_H
#define DATAPLANE_POLICIES_H

#include "dataplane/policy/policy.h"

#include <jansson.h>

#define RULE_TEXT_MAX 640 /* forwarding_rule_text */

/** All rules in the order of evaluation, with their hit counts: policy_each_rule of the daemon's state. */
int forwarding_each_rule(
	int (*visit)(const struct policy_rule_record *record, void *arg), void *arg);
void forwarding_policy_size(struct policy_size *size);
/** An address as policies see it, and the policies that select it when it is a pod's of this node, or the node's: {address,
 * kind, namespace, labels, ports, cidr, policies}. New reference. */
json_t *forwarding_identity_json(const struct ip_addr *address);
/** "tier/policy rule", e.g. "default/team-a/allow-web ingress[0]"; "" for POLICY_RULE_NONE, "rule 17 (gone)" for one that
 * is no more. @return buf. */
const char *forwarding_rule_text(uint32_t rule, char *buf, size_t size);
/** The same in parts, for JSON: {tier, policy, namespace, rule, action, staged}; null for none. New reference. */
json_t *forwarding_rule_json(uint32_t rule);

/** One question to the policies in force: may src open this connection to dst? */
struct policy_question {
	struct ip_addr src, dst; /* of one family */
	uint8_t proto;
	uint16_t port; /* destination port, host order; ICMP: type << 8 | code */
};
struct policy_answer {
	bool allowed;
	bool sender_here,
		receiver_here; /* that end is on this node, so its policies were asked here */
	struct policy_verdict egress, ingress;
};
/** By the packet path's own functions and published tables. */
void forwarding_policy_ask(const struct policy_question *question, struct policy_answer *answer);

#endif
