/* SPDX-License-Identifier: Apache-2.0 */
/** Stands in for dataplane/policy where a test is about what the packet path makes of verdicts: a short list of rules, each
 * end's first match decides, otherwise the connection is allowed. Counts how often it was asked.
 */
#ifndef TESTS_UNIT_POLICY_DOUBLE_H
#define TESTS_UNIT_POLICY_DOUBLE_H

#include "dataplane/policy/policy.h"
#include "dataplane/resolve.h"

#include <arpa/inet.h>

struct double_rule {
	uint16_t port; /* whose rule */
	bool egress;
	uint16_t dport; /* host order; 0 = any */
	bool deny;
	uint8_t on_change;
	bool stateless, log, staged; /* staged: with it the answer would be the other one */
	uint32_t rule;
};
struct policy_table {
	struct double_rule rules[8]; /* up to the first whose `rule` is 0 */
};

static unsigned policy_asked; /* with a table */
static unsigned policy_counted;
static void (*policy_meanwhile)(void); /* happens once, while a connection is judged */

static bool double_end(const struct policy_table *t, uint16_t port, bool egress, uint16_t dport,
	struct policy_verdict *v)
{
	for (unsigned i = 0; i < RTE_DIM(t->rules) && t->rules[i].rule != 0; i++) {
		const struct double_rule *r = &t->rules[i];

		if (r->port != port || r->egress != egress || (r->dport != 0 && r->dport != dport))
			continue;
		v->allow = !r->deny;
		v->rule = r->rule;
		v->on_change = r->on_change;
		v->stateless = r->stateless;
		v->logged = r->log ? r->rule : POLICY_RULE_NONE;
		v->staged_differs = r->staged;
		return v->allow;
	}
	return true;
}

static void double_judge(const struct policy_table *t, uint16_t dport, uint16_t from, uint16_t to,
	const struct recorder *rec, struct policy_verdict *v)
{
	void (*meanwhile)(void) = policy_meanwhile;

	*v = (struct policy_verdict){ .allow = true };
	if (t == NULL)
		return;
	policy_asked++;
	policy_meanwhile = NULL;
	if (meanwhile != NULL)
		meanwhile();
	if (from != to && double_end(t, from, true, dport, v))
		double_end(t, to, false, dport, v);
	if (rec != NULL)
		rec->step(rec->arg, "policy", "rule %u", v->rule);
}

void policy_judge4(const struct policy_table *table, const struct flow_key4 *key, uint16_t from,
	uint16_t to, const struct recorder *recorder, struct policy_verdict *verdict)
{
	double_judge(table, ntohs(key->dport), from, to, recorder, verdict);
}

void policy_judge6(const struct policy_table *table, const struct flow_key6 *key, uint16_t from,
	uint16_t to, const struct recorder *recorder, struct policy_verdict *verdict)
{
	double_judge(table, ntohs(key->dport), from, to, recorder, verdict);
}

void policy_count(
	const struct policy_table *table, unsigned worker, const struct policy_verdict *verdict)
{
	CU_ASSERT_PTR_NOT_NULL(table);
	CU_ASSERT_EQUAL(worker, 0);
	policy_counted += verdict->rule != POLICY_RULE_NONE;
}

#endif
