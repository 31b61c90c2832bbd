/* SPDX-License-Identifier: Apache-2.0 */
/** Policy's part of transactions: see forwarding_state.h and verdict.h. Control thread. */
#include "dataplane/policies.h"

#include "dataplane/forwarding_state.h"

#include "config/log.h"
#include "config/selector.h"
#include "dataplane/counters.h"
#include "dataplane/generation.h"
#include "dataplane/observe.h"
#include "dataplane/policy_log.h"
#include "dataplane/rcu.h"
#include "dataplane/verdict.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- transactions --------------------------------------------------------------------------------------------- */

int policies_init(unsigned n_workers)
{
	forwarding.policy = policy_state_new(n_workers);
	observe_rule_name = forwarding_rule_text;
	return forwarding.policy != NULL ? 0 : -ENOMEM;
}

void policies_fini(void)
{
	rcu_barrier();
	observe_rule_name = NULL;
	policy_state_free(forwarding.policy);
	forwarding.policy = NULL;
	forwarding.policy_table = NULL;
}

/** Where a pod will be after the transaction. */
static uint16_t port_of(void *arg, const char *pod)
{
	const struct attachment *a;

	(void)arg;
	if (pod == NULL)
		return forwarding_host_port();
	a = pod_find(pod);
	return a != NULL && staged_future(&a->s) != NULL ? a->port->id : POLICY_PORT_NONE;
}

static struct prefix_list kernel_addresses(void *arg, const char *uplink)
{
	const struct uplink_state *u = uplink_find(uplink);

	(void)arg;
	return u != NULL ? u->kernel : (struct prefix_list){ NULL, 0 };
}

int policies_prepare(struct forwarding_txn *txn, const struct changeset *set,
	const struct change *changes, size_t count, struct error *err)
{
	static const struct policy_ports where = {
		.port_of = port_of,
		.kernel_addresses = kernel_addresses,
	}; /* looked at until the end of the transaction */

	return policy_prepare(forwarding.policy, set, changes, count, &where, &txn->policy, err);
}

const struct policy_table *policies_table(const struct forwarding_txn *txn)
{
	const struct policy_table *table = policy_txn_table(txn->policy);

	/* Who has no policies pays for none. */
	return table != NULL && policy_table_used(table) ? table : NULL;
}

void policies_abort(struct forwarding_txn *txn)
{
	if (txn->policy != NULL)
		policy_abort(txn->policy);
	txn->policy = NULL;
}

/** Flows that name an adjacency are decided again. */
static void adjacency_outdate(uint32_t index)
{
	const struct adjacency same = *adjacency_get(index);

	adjacency_replace(index, &same, false);
}

/** Both directions of all flows of an attachment: those it sends have its zone, those it gets its adjacencies. */
static void attachment_outdate(const struct attachment *a)
{
	generation_bump_zone(a->port->id);
	for (size_t i = 0; i < a->n_neighbours; i++)
		adjacency_outdate(a->neighbours[i]->adjacency);
	if (a->host) /* what is addressed to the node ends there */
		adjacency_outdate(adjacency_local());
}

static void outdate_port(void *arg, uint16_t port, bool egress, bool ingress)
{
	const struct attachment *a;

	(void)arg;
	/* The opposite direction of a flow follows it, whichever way it was judged. */
	if (!egress && !ingress)
		return;
	TAILQ_FOREACH (a, &forwarding.attachments, link) {
		if (a->port->id == port)
			attachment_outdate(a);
	}
}

static void outdate_address(void *arg, const struct ip_prefix *prefix)
{
	const struct attachment *a;
	size_t local = 0;

	(void)arg;
	TAILQ_FOREACH (a, &forwarding.attachments, link) {
		bool hit = false;

		for (size_t i = 0; i < a->n_neighbours && !hit; i++)
			hit = ip_prefix_contains(prefix, &a->neighbours[i]->address);
		if (hit) {
			attachment_outdate(a);
			local++;
		}
	}
	/* A single address that is here is nowhere else. */
	if (local == 0 || prefix->len < ip_family_bits(prefix->addr.family))
		generation_bump_prefix(prefix);
}

void policies_commit(struct forwarding_txn *txn)
{
	struct policy_table *old = forwarding.policy_table, *next = policy_txn_table(txn->policy);

	policy_txn_each_port(txn->policy, outdate_port, NULL);
	policy_txn_each_address(txn->policy, outdate_address, NULL);
	if (old != next) {
		/* Nothing says where a denied flow would have gone: all of them ask again. */
		adjacency_outdate(DROP_policy_egress);
		adjacency_outdate(DROP_policy_ingress);
		txn->judged_anew = true;
	}
	policy_commit(txn->policy);
	if (old != next && old != NULL)
		policy_table_retire(old);
	forwarding.policy_table = next;
	txn->policy = NULL;
}

/* --- the log -------------------------------------------------------------------------------------------------- */

static void log_entry(const struct policy_log_entry *e, void *arg)
{
	const uint32_t zone_proto = e->v6 ? e->key6.zone_proto : e->key4.zone_proto;
	const uint16_t sport = e->v6 ? e->key6.sport : e->key4.sport,
		       dport = e->v6 ? e->key6.dport : e->key4.dport;
	const uint8_t proto = (uint8_t)zone_proto;
	const bool icmp = proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN], logged[RULE_TEXT_MAX],
		rule[RULE_TEXT_MAX];
	const struct port *in =
		zone_proto >> 8 == ZONE_TUNNEL ? NULL : port_get((uint16_t)(zone_proto >> 8));
	unsigned *lines = arg;

	if ((*lines)++ >= POLICY_LOG_LINES) {
		counter_add(&COUNTERS_CONTROL->events[EVENT_policy_log_lost], 1);
		return;
	}
	inet_ntop(e->v6 ? AF_INET6 : AF_INET, e->v6 ? (const void *)e->key6.src : &e->key4.src, src,
		sizeof(src));
	inet_ntop(e->v6 ? AF_INET6 : AF_INET, e->v6 ? (const void *)e->key6.dst : &e->key4.dst, dst,
		sizeof(dst));
	LOG_INFO("policy log rule=\"%s\" verdict=%s decided_by=\"%s\" from=%s src=%s dst=%s "
		 "proto=%u %s=%u %s=%u",
		forwarding_rule_text(e->logged, logged, sizeof(logged)),
		e->allow ? "allow" : "deny", forwarding_rule_text(e->rule, rule, sizeof(rule)),
		in != NULL ? in->name : "tunnel", src, dst, proto, icmp ? "id" : "sport",
		ntohs(sport), icmp ? "type_code" : "dport", icmp ? dport : ntohs(dport));
}

void policies_tick(void)
{
	unsigned lines = 0;

	policy_log_drain(log_entry, &lines);
}

/* --- answers -------------------------------------------------------------------------------------------------- */

int forwarding_each_rule(
	int (*visit)(const struct policy_rule_record *record, void *arg), void *arg)
{
	return policy_each_rule(forwarding.policy, visit, arg);
}

void forwarding_policy_size(struct policy_size *size)
{
	policy_size(forwarding.policy, size);
}

static int add_policy(const struct policy *policy, bool ingress, bool egress, void *arg)
{
	json_array_append_new(
		arg, json_pack("{s:s, s:s, s:s, s:b, s:b, s:b}", "name", policy->name, "namespace",
			     policy->namespace, "tier", policy->tier, "ingress", (int)ingress,
			     "egress", (int)egress, "staged", (int)policy->staged));
	return 0;
}

json_t *forwarding_identity_json(const struct ip_addr *address)
{
	json_t *labels = json_array(), *named = json_array(), *policies = json_array();
	char text[IP_TEXT_MAX], prefix[PREFIX_TEXT_MAX];
	struct policy_address a;
	const char *port;

	policy_address(forwarding.policy, address, &a);
	for (size_t i = 0; a.labels != NULL && i < a.labels->count; i++)
		json_array_append_new(labels,
			json_sprintf("%s=%s", a.labels->items[i].key, a.labels->items[i].value));
	port = a.ports;
	for (uint32_t i = 0; i < a.n_ports; i++, port += strlen(port) + 1)
		json_array_append_new(named, json_string(port));
	policy_each_selecting(forwarding.policy, address, add_policy, policies);
	return json_pack("{s:s, s:s?, s:s?, s:o, s:o, s:s?, s:o}", "address",
		ip_addr_format(address, text), "kind", a.kind, "namespace", a.namespace, "labels",
		labels, "ports", named, "cidr",
		a.cidr.addr.family != IP_NONE ? ip_prefix_format(&a.cidr, prefix) : NULL,
		"policies", policies);
}

const char *forwarding_rule_text(uint32_t rule, char *buf, size_t size)
{
	struct policy_rule_text t;

	if (rule == POLICY_RULE_NONE)
		snprintf(buf, size, "%s", "");
	else if (!policy_rule_describe(forwarding.policy, rule, &t))
		snprintf(buf, size, "rule %u (gone)", rule);
	else
		snprintf(buf, size, "%s/%s%s%s %s", t.tier, t.namespace != NULL ? t.namespace : "",
			t.namespace != NULL && t.namespace[0] != '\0' ? "/" : "", t.policy, t.rule);
	return buf;
}

json_t *forwarding_rule_json(uint32_t rule)
{
	struct policy_rule_text t;

	if (rule == POLICY_RULE_NONE || !policy_rule_describe(forwarding.policy, rule, &t))
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "tier", t.tier, "policy", t.policy,
		"namespace", t.namespace != NULL ? t.namespace : "", "rule", t.rule, "action",
		t.action, "staged", (int)t.staged);
}

/** A pod of this node, or the node itself, that has the address. */
static const struct port *port_with(const struct ip_addr *addr)
{
	const struct tables *t = rcu_own(&tables);
	const struct adjacency *adj = adjacency_get(route_adjacency(
		fib_lookup(addr->family == IP_V6 ? t->fib6 : t->fib4, addr->bytes), 0));
	const struct port *port;

	if (adj->type == ADJ_LOCAL)
		return port_get(t->settings.host_port);
	port = adj->type == ADJ_REWRITE || adj->type == ADJ_RESOLVING ? port_get(adj->port) : NULL;
	return port != NULL && port->role != PORT_UPLINK ? port : NULL;
}

static enum drop_reason ask(const struct policy_question *q, const struct verdict_ends *ends,
	struct policy_verdict *verdict)
{
	const struct tables *t = rcu_own(&tables);
	const bool icmp = q->proto == IPPROTO_ICMP || q->proto == IPPROTO_ICMPV6;
	const uint16_t dport = icmp ? q->port : htons(q->port);
	struct flow_key4 k4 = { .sport = htons(40000), .dport = dport, .zone_proto = q->proto };
	struct flow_key6 k6 = { .sport = htons(40000), .dport = dport, .zone_proto = q->proto };

	*verdict = (struct policy_verdict){ .allow = true };
	if (t->policy == NULL)
		return DROP_NONE;
	if (q->src.family == IP_V6) {
		memcpy(k6.src, q->src.bytes, sizeof(k6.src));
		memcpy(k6.dst, q->dst.bytes, sizeof(k6.dst));
		return verdict_judge(t, &k6, true, ends, NULL, verdict);
	}
	memcpy(&k4.src, q->src.bytes, sizeof(k4.src));
	memcpy(&k4.dst, q->dst.bytes, sizeof(k4.dst));
	return verdict_judge(t, &k4, false, ends, NULL, verdict);
}

void forwarding_policy_ask(const struct policy_question *q, struct policy_answer *answer)
{
	const struct port *from = port_with(&q->src), *to = port_with(&q->dst);
	const struct adjacency there = { .type = ADJ_REWRITE,
		.port = to != NULL ? to->id : PORT_NONE };
	const struct adjacency away = { .type = ADJ_TUNNEL };
	const bool node = from != NULL && from->role == PORT_HOST;
	struct verdict_ends ends = { .in = from, .out = &away };

	*answer = (struct policy_answer){
		.allowed = true, .sender_here = from != NULL, .receiver_here = to != NULL
	};
	answer->egress.allow = answer->ingress.allow = true;
	if (from != NULL && from == to) /* policies do not come between a pod and itself */
		return;
	answer->allowed = ask(q, &ends, &answer->egress) == DROP_NONE;
	if (to == NULL || (node && to->role == PORT_POD)) /* a node reaches its pods */
		return;
	ends = (struct verdict_ends){ .out = &there };
	answer->allowed = ask(q, &ends, &answer->ingress) == DROP_NONE && answer->allowed;
}
