/* SPDX-License-Identifier: Apache-2.0 */
/** Policy: who may open a connection to whom. Workers ask policy_judge() once a flow; the control thread turns namespaces,
 * endpoints, sets, tiers, policies and pods of the model into tables.
 *
 * An address has an identity (the labels, namespace and named ports of its pod, endpoint or node; many addresses share
 * one) and a CIDR leaf (the innermost of all prefixes that policies and sets name). A local pod has a program a direction:
 * the rules of all policies that select it, in order, compiled so that the cost of a verdict hardly grows with their
 * number. Pods of one identity share programs. Pods that no policy selects have none and cost nothing.
 *
 * Order (that of Calico's tiers and of ClusterNetworkPolicy): tiers by order, in a tier policies by order and name, in a
 * policy rules as written; the first rule that matches decides. pass goes to the next tier; so does the end of a tier that
 * has no policy for this endpoint and direction. At the end of a tier that has one, the tier's default action decides.
 * After the last tier everything is allowed. log matches count and go on. A staged policy is judged
 * beside the others and never decides.
 */
#ifndef DATAPLANE_POLICY_POLICY_H
#define DATAPLANE_POLICY_POLICY_H

#include "config/model.h"
#include "dataplane/packet.h"

struct label_set;
struct recorder;
struct policy_table;

#define POLICY_PORT_NONE UINT16_MAX /* that end is not on this node */
#define POLICY_RULE_NONE 0u	    /* nothing selected the endpoint: allowed */

/** A judged flow. `rule` is a number that policy_rule_describe() explains as long as the rule exists. */
struct policy_verdict {
	bool allow;
	bool staged_differs; /* with the staged policies the answer would be the other one */
	uint8_t on_change;   /* enum policy_on_change of the policy that decided */
	bool stateless;	     /* a pre-connection rule decided: make no reverse entry */
	uint32_t
		rule; /* that decided; of two ends that both allow, the ingress one if there is one */
	uint32_t staged_rule; /* when staged_differs */
	uint32_t logged;      /* a log rule that matched, POLICY_RULE_NONE = none */
};

/** Decide the first packet of a connection: egress of the pod at port `from`, then ingress of the pod at port `to`; either
 * may be POLICY_PORT_NONE. Addresses, ports and ICMP type and code are those of the key (packet.h), its zone is not
 * looked at. Traffic of a pod to itself is allowed. table NULL = no policies. recorder (may be NULL) hears the steps.
 * Any online RCU reader; no allocation, no lock, a bounded number of steps. Counts no hits: policy_count() does. */
void policy_judge4(const struct policy_table *table, const struct flow_key4 *key, uint16_t from,
	uint16_t to, const struct recorder *recorder, struct policy_verdict *verdict);
void policy_judge6(const struct policy_table *table, const struct flow_key6 *key, uint16_t from,
	uint16_t to, const struct recorder *recorder, struct policy_verdict *verdict);
/** Worker: count what a verdict matched, in that worker's counters. */
void policy_count(
	const struct policy_table *table, unsigned worker, const struct policy_verdict *verdict);

/* --- control thread ------------------------------------------------------------------------------------------- */

/** Everything the control thread knows: selectors, identities, programs by identity, rule numbers, counters. */
struct policy_state;
struct policy_state *policy_state_new(unsigned n_workers); /* NULL when out of memory */
void policy_state_free(struct policy_state *state);

/** Where pods are: the port of a pod of this node by name, POLICY_PORT_NONE if it has none. The host's own is asked for with
 * name NULL. And what addresses the kernel's interface has that an uplink without addresses of its own shares; they are
 * the caller's. When they change, that uplink is a change whose sides are the same object. */
struct policy_ports {
	uint16_t (*port_of)(void *arg, const char *pod);
	struct prefix_list (*kernel_addresses)(void *arg, const char *uplink);
	void *arg;
};

struct policy_txn;
/** Compile what the changes touch, and only that. @return 0, or -errno with err set (field, object, what to do); then nothing has changed. */
int policy_prepare(struct policy_state *state, const struct changeset *set,
	const struct change *changes, size_t count, const struct policy_ports *ports,
	struct policy_txn **txn, struct error *err);
/* `ports` is asked until commit or abort; at an abort for where pods were before. */
/** The table as it will be; to be published in struct tables by the caller, who retires the one before with
 * policy_table_retire after publication. NULL = no policies at all. The same pointer as before = nothing changed. */
struct policy_table *policy_txn_table(const struct policy_txn *txn);
/** What flows have to be judged again: ports whose egress (zone) or ingress (their adjacencies) program changed, and
 * addresses whose identity changed. Visitors get each once. */
void policy_txn_each_port(const struct policy_txn *txn,
	void (*visit)(void *arg, uint16_t port, bool egress, bool ingress), void *arg);
void policy_txn_each_address(const struct policy_txn *txn,
	void (*visit)(void *arg, const struct ip_prefix *prefix), void *arg);
void policy_commit(struct policy_txn *txn); /* cannot fail; frees txn */
void policy_abort(struct policy_txn *txn);
void policy_table_retire(struct policy_table *table);
/** Some pod has a program: without one the table says what NULL does. */
bool policy_table_used(const struct policy_table *table);

/* --- answers (control thread) --------------------------------------------------------------------------------- */

struct policy_rule_text {
	const char *tier, *policy, *namespace,
		*rule; /* rule: its name, or "ingress[0]"; "(end of tier)" for a default action */
	const char *action;
	bool staged;
};
/** False when there is no such rule any more. Strings live until the next commit. */
bool policy_rule_describe(
	const struct policy_state *state, uint32_t rule, struct policy_rule_text *text);
struct policy_rule_record {
	struct policy_rule_text text;
	uint32_t rule;
	uint64_t hits; /* first packets that it decided, summed over workers */
};
/** In the order of evaluation, with staged ones. Stops when visit returns non-zero. */
int policy_each_rule(const struct policy_state *state,
	int (*visit)(const struct policy_rule_record *record, void *arg), void *arg);
/** An address as policies see it. Strings live until the next commit. */
struct policy_address {
	const char *kind;		/* "pod", "node"; NULL: it belongs to neither */
	const char *namespace;		/* NULL = none */
	const struct label_set *labels; /* of kind; NULL = none */
	const char *ports; /* named ports, "http=80/tcp", one after the other, each ended */
	uint32_t n_ports;
	struct ip_prefix
		cidr; /* the innermost that a rule in use or a set names; family IP_NONE = none */
};
void policy_address(const struct policy_state *state, const struct ip_addr *address,
	struct policy_address *out);
/** The policies that select a pod of this node with that address, or the node, in the order of evaluation. Stops when visit
 * returns non-zero. */
int policy_each_selecting(const struct policy_state *state, const struct ip_addr *address,
	int (*visit)(const struct policy *policy, bool ingress, bool egress, void *arg), void *arg);

struct policy_size {
	uint32_t policies, rules, identities, addresses, selectors, programs, cidrs;
	size_t memory; /* bytes */
};
void policy_size(const struct policy_state *state, struct policy_size *size);

#endif
