/* SPDX-License-Identifier: Apache-2.0 */
/* What people see of policies, and the end of it all. */
#include "dataplane/policy/state.h"

#include "dataplane/fib.h"
#include "dataplane/rcu.h"

#include <stdlib.h>
#include <string.h>

static int order(const void *a, const void *b)
{
	return policy_order(*(struct policy_entry *const *)a, *(struct policy_entry *const *)b);
}

static int visit_rule(const struct policy_state *s, uint32_t number,
	int (*visit)(const struct policy_rule_record *, void *), void *arg)
{
	struct policy_rule_record record = { .rule = number, .hits = rule_hit_count(s, number) };

	return policy_rule_describe(s, number, &record.text) ? visit(&record, arg) : 0;
}

int policy_each_rule(const struct policy_state *s,
	int (*visit)(const struct policy_rule_record *record, void *arg), void *arg)
{
	struct policy_entry **sorted = policy_alloc(s->policies.count * sizeof(*sorted));
	size_t n = 0;
	int ret = 0;

	for (size_t i = 0; s->policies.buckets != NULL && i <= s->policies.mask; i++) {
		for (struct interned *t = s->policies.buckets[i]; t != NULL; t = t->next)
			if (((struct policy_entry *)t)->object !=
				NULL) /* else it goes with a transaction on its way */
				sorted[n++] = (struct policy_entry *)t;
	}
	qsort(sorted, n, sizeof(*sorted), order);
	for (size_t i = 0; i < n && ret == 0; i++) {
		for (int d = 0; d < DIRECTIONS && ret == 0; d++) {
			for (uint32_t r = 0; r < sorted[i]->n_rules[d] && ret == 0; r++)
				ret = visit_rule(s, sorted[i]->rules[d][r], visit, arg);
		}
		for (int d = 0; d < DIRECTIONS && ret == 0 &&
				(i + 1 == n || sorted[i + 1]->tier != sorted[i]->tier);
			d++)
			ret = visit_rule(s, sorted[i]->tier->default_rule[d], visit, arg);
	}
	free(sorted);
	return ret;
}

static const struct identity *identity_of(
	const struct policy_state *s, const struct ip_addr *address)
{
	const uint32_t id = fib_lookup(s->identity_fib[address->family == IP_V6], address->bytes);

	return id > 0 && id < s->identity_next ? s->identity_by_id[id] : NULL;
}

void policy_address(
	const struct policy_state *s, const struct ip_addr *address, struct policy_address *out)
{
	const uint32_t leaf = fib_lookup(s->leaf_fib[address->family == IP_V6], address->bytes);
	const struct identity *identity = identity_of(s, address);

	*out = (struct policy_address){ .cidr.addr.family = IP_NONE };
	if (leaf > 0 && leaf < s->leaf_next && s->leaf_by_id[leaf] != NULL)
		out->cidr = s->leaf_by_id[leaf]->prefix;
	if (identity == NULL)
		return;
	out->kind = identity->kind == ENDPOINT_NODE ? "node" : "pod";
	out->namespace = identity->namespace != NULL ? identity->namespace->in.key : NULL;
	out->labels = identity->labels;
	out->ports = identity->port_text;
	out->n_ports = identity->n_ports;
}

int policy_each_selecting(const struct policy_state *s, const struct ip_addr *address,
	int (*visit)(const struct policy *policy, bool ingress, bool egress, void *arg), void *arg)
{
	const struct identity *identity = identity_of(s, address);
	const struct local *local = s->locals;
	int ret = 0;

	while (local != NULL && local->identity != identity)
		local = local->next;
	for (uint32_t i = 0; local != NULL && i < local->n_policies && ret == 0; i++) {
		const struct policy_entry *entry = local->policies[i];

		ret = visit(&entry->object->policy, entry->applies[INGRESS], entry->applies[EGRESS],
			arg);
	}
	return ret;
}

static size_t program_memory(const struct policy_program *p)
{
	if (p == NULL)
		return 0;
	return sizeof(*p) + (size_t)(p->identity_room + p->leaf_room) * sizeof(uint32_t) +
	       p->n_rules * sizeof(p->rules[0]) +
	       (size_t)(p->identity_rows.room + p->leaf_rows.room + p->self_rows.room +
			p->port_rows.room) *
		       p->stride * sizeof(uint64_t) +
	       program_memory(p->staged);
}

void policy_size(const struct policy_state *s, struct policy_size *size)
{
	*size = (struct policy_size){ .policies = (uint32_t)s->policies.count,
		.identities = (uint32_t)s->identities.count,
		.selectors = (uint32_t)s->matchers.count,
		.cidrs = (uint32_t)s->leaves.count };
	for (size_t i = 0; s->policies.buckets != NULL && i <= s->policies.mask; i++) {
		for (struct interned *t = s->policies.buckets[i]; t != NULL; t = t->next)
			size->rules += ((struct policy_entry *)t)->n_rules[INGRESS] +
				       ((struct policy_entry *)t)->n_rules[EGRESS];
	}
	for (unsigned f = 0; f < 2; f++) {
		size->addresses += (uint32_t)fib_count(s->identity_fib[f]);
		size->memory += fib_memory(s->identity_fib[f]) + fib_memory(s->leaf_fib[f]);
	}
	for (const struct local *l = s->locals; l != NULL; l = l->next) {
		for (int d = 0; d < DIRECTIONS; d++) {
			size->programs += l->programs[d] != NULL;
			size->memory += program_memory(l->programs[d]);
		}
	}
}

/* --- the end -------------------------------------------------------------------------------------------------- */

static void locals_free(struct policy_state *s)
{
	while (s->locals != NULL) {
		struct local *l = s->locals;

		s->locals = l->next;
		program_free(l->programs[INGRESS]);
		program_free(l->programs[EGRESS]);
		free(l->policies);
		free(l);
	}
}

static void policies_free(struct policy_state *s)
{
	for (size_t i = 0; s->policies.buckets != NULL && i <= s->policies.mask; i++) {
		for (struct interned *t = s->policies.buckets[i]; t != NULL; t = t->next) {
			struct policy_entry *entry = (struct policy_entry *)t;

			selector_free(entry->selector);
			selector_free(entry->namespace_selector);
			object_unref(entry->object);
			for (int d = 0; d < DIRECTIONS; d++) {
				free(entry->rules[d]);
				free(entry->ends[d]);
			}
		}
	}
	intern_free(&s->policies);
}

static void sets_free(struct policy_state *s)
{
	for (size_t i = 0; s->sets.buckets != NULL && i <= s->sets.mask; i++) {
		for (struct interned *t = s->sets.buckets[i]; t != NULL; t = t->next) {
			object_unref(((struct policy_set *)t)->object);
			free(((struct policy_set *)t)->labels);
		}
	}
	intern_free(&s->sets);
}

static void identities_free(struct policy_state *s)
{
	for (uint32_t id = 1; id < s->identity_next; id++) {
		struct identity *identity = s->identity_by_id[id];

		if (identity == NULL)
			continue;
		free(identity->labels);
		free(identity->ports);
		free(identity->port_text);
	}
	intern_free(&s->identities);
	for (size_t i = 0; s->namespaces.buckets != NULL && i <= s->namespaces.mask; i++) {
		for (struct interned *t = s->namespaces.buckets[i]; t != NULL; t = t->next)
			free(((struct policy_namespace *)t)->labels);
	}
}

void policy_state_free(struct policy_state *s)
{
	if (s == NULL)
		return;
	rcu_barrier(); /* numbers on their way back */
	for (size_t i = 0; i < s->n_stale; i++)
		program_free(s->stale[i]);
	free(s->stale);
	locals_free(s);
	policies_free(s);
	matchers_free(s);
	sets_free(s);
	uplinks_free(s);
	identities_free(s);
	intern_free(&s->namespaces);
	intern_free(&s->leaves);
	intern_free(&s->tiers);
	intern_free(&s->pods);
	rules_fini(s);
	object_unref(s->node);
	free(s->table);
	for (unsigned f = 0; f < 2; f++) {
		fib_free(s->identity_fib[f]);
		fib_free(s->leaf_fib[f]);
	}
	free(s->identity_by_id);
	free(s->free_identities);
	free(s->leaf_by_id);
	free(s->free_leaves);
	free(s);
}
