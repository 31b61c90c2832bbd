/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/verdict.h"

#include "dataplane/adjacency.h"
#include "dataplane/port.h"

#include <netinet/in.h>
#include <rte_branch_prediction.h>

static_assert(POLICY_PORT_NONE == PORT_NONE, "no port is no end");

#define STEP(...)                                                   \
	do {                                                        \
		if (unlikely(rec != NULL))                          \
			rec->step(rec->arg, "policy", __VA_ARGS__); \
	} while (0)

static bool judged_role(const struct port *port)
{
	return port != NULL && (port->role == PORT_POD || port->role == PORT_HOST);
}

/** Whose program judges what comes from there. */
static uint16_t sender(const struct port *in)
{
	return judged_role(in) ? in->id : POLICY_PORT_NONE;
}

/** Whose program judges what goes there. */
static uint16_t receiver(const struct tables *t, const struct adjacency *out)
{
	const struct port *port;

	if (out->type == ADJ_LOCAL)
		return t->settings.host_port;
	if (out->type == ADJ_DROP || out->type == ADJ_TUNNEL)
		return POLICY_PORT_NONE;
	port = port_get(out->port);
	return judged_role(port) ? out->port : POLICY_PORT_NONE;
}

/** Unreachable, too big, time exceeded, parameter problem. */
static bool icmp_error(const void *key, bool v6)
{
	const struct flow_key4 *k4 = key;
	const struct flow_key6 *k6 = key;
	const unsigned type = (v6 ? k6->dport : k4->dport) >> 8;

	if (v6)
		return (uint8_t)k6->zone_proto == IPPROTO_ICMPV6 && type >= 1 && type <= 4;
	return (uint8_t)k4->zone_proto == IPPROTO_ICMP && (type == 3 || type == 11 || type == 12);
}

static void ask(const struct tables *t, const void *key, bool v6, uint16_t from, uint16_t to,
	const struct recorder *rec, struct policy_verdict *verdict)
{
	if (v6)
		policy_judge6(t->policy, key, from, to, rec, verdict);
	else
		policy_judge4(t->policy, key, from, to, rec, verdict);
}

enum drop_reason verdict_judge(const struct tables *t, const void *key, bool v6,
	const struct verdict_ends *ends, const struct recorder *rec, struct policy_verdict *verdict)
{
	const uint16_t host = t->settings.host_port;
	struct policy_verdict first;
	uint16_t from = sender(ends->in), to = receiver(t, ends->out);

	if (ends->reply) {
		uint16_t swap = from;

		from = to;
		to = swap;
	}
	if (from != POLICY_PORT_NONE && from == host && to != POLICY_PORT_NONE && to != host &&
		ends->opener_is_node) {
		STEP("a node reaches its own pods: ingress policies are not asked");
		to = POLICY_PORT_NONE;
	}
	if (to != POLICY_PORT_NONE && to == host && icmp_error(key, v6)) {
		STEP("an ICMP error for the node: its ingress policies are not asked");
		to = POLICY_PORT_NONE;
	}
	*verdict = (struct policy_verdict){ .allow = true };
	if (from == POLICY_PORT_NONE && to == POLICY_PORT_NONE)
		return DROP_NONE;
	ask(t, key, v6, from, to, rec, verdict);
	if (likely(verdict->allow))
		return DROP_NONE;
	if (from == POLICY_PORT_NONE)
		return DROP_policy_ingress;
	if (to == POLICY_PORT_NONE)
		return DROP_policy_egress;
	/* Which end it was is asked for denied connections only. */
	ask(t, key, v6, from, POLICY_PORT_NONE, NULL, &first);
	return first.allow ? DROP_policy_ingress : DROP_policy_egress;
}
