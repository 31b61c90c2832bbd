/* SPDX-License-Identifier: Apache-2.0 */
/* Rule numbers: what flows, drops and counters call a rule. A rule keeps its number as long as its policy has a rule at its
 * place; numbers are used again as late as possible, so that a flow that is about to be judged again names no other rule. */
#include "dataplane/policy/state.h"

#include <stdlib.h>
#include <string.h>

void rules_init(struct policy_state *s, unsigned n_workers)
{
	s->rule_next = 1;
	s->hits.n_workers = n_workers;
	s->hits.pages = policy_alloc((size_t)n_workers * HITS_PAGES * sizeof(s->hits.pages[0]));
}

void rules_fini(struct policy_state *s)
{
	for (size_t i = 0; i < (size_t)s->hits.n_workers * HITS_PAGES; i++)
		free((void *)atomic_load_explicit(&s->hits.pages[i], memory_order_relaxed));
	free((void *)s->hits.pages);
	free(s->rules);
	free(s->free_rules);
}

static void page_in(struct policy_state *s, uint32_t page)
{
	for (unsigned w = 0; w < s->hits.n_workers; w++) {
		_Atomic(_Atomic uint64_t *) *at = &s->hits.pages[(size_t)w * HITS_PAGES + page];

		if (atomic_load_explicit(at, memory_order_relaxed) == NULL)
			atomic_store_explicit(at,
				policy_alloc(HITS_PAGE * sizeof(_Atomic uint64_t)),
				memory_order_release);
	}
}

uint32_t rule_number(struct policy_state *s, struct rule_entry entry)
{
	uint32_t number;

	if (s->n_free_rules - s->free_rules_first > 4096 ||
		(s->rule_next >= HITS_PAGE * HITS_PAGES && s->n_free_rules > s->free_rules_first)) {
		number = s->free_rules[s->free_rules_first++];
		if (s->free_rules_first * 2 > s->n_free_rules) {
			s->n_free_rules -= s->free_rules_first;
			memmove(s->free_rules, s->free_rules + s->free_rules_first,
				s->n_free_rules * sizeof(s->free_rules[0]));
			s->free_rules_first = 0;
		}
		for (unsigned w = 0; w < s->hits.n_workers; w++)
			atomic_store_explicit(
				&s->hits.pages[(size_t)w * HITS_PAGES + number / HITS_PAGE]
					      [number % HITS_PAGE],
				0, memory_order_relaxed);
	} else {
		number = s->rule_next++;
	}
	if (number >= HITS_PAGE * HITS_PAGES)
		return POLICY_RULE_NONE; /* 16 million rules: these are not counted */
	if (number >= s->rule_room) {
		uint32_t room = s->rule_room == 0 ? 256 : s->rule_room * 2;

		s->rules = policy_realloc(s->rules, room * sizeof(s->rules[0]));
		memset(s->rules + s->rule_room, 0, (room - s->rule_room) * sizeof(s->rules[0]));
		s->rule_room = room;
	}
	page_in(s, number / HITS_PAGE);
	s->rules[number] = entry;
	return number;
}

void rule_retire(struct policy_txn *txn, uint32_t number)
{
	if (number == POLICY_RULE_NONE)
		return;
	txn->dead_rules = policy_realloc(
		txn->dead_rules, (txn->n_dead_rules + 1) * sizeof(txn->dead_rules[0]));
	txn->dead_rules[txn->n_dead_rules++] = number;
}

void rules_reap(struct policy_txn *txn)
{
	struct policy_state *s = txn->state;

	s->free_rules = policy_realloc(
		s->free_rules, (s->n_free_rules + txn->n_dead_rules) * sizeof(s->free_rules[0]));
	for (size_t i = 0; i < txn->n_dead_rules; i++) {
		s->rules[txn->dead_rules[i]] = (struct rule_entry){ 0 };
		s->free_rules[s->n_free_rules++] = txn->dead_rules[i];
	}
	free(txn->dead_rules);
	txn->dead_rules = NULL;
	txn->n_dead_rules = 0;
}

uint64_t rule_hit_count(const struct policy_state *s, uint32_t number)
{
	uint64_t sum = 0;

	for (unsigned w = 0; number != POLICY_RULE_NONE && w < s->hits.n_workers; w++) {
		_Atomic uint64_t *page = atomic_load_explicit(
			&s->hits.pages[(size_t)w * HITS_PAGES + number / HITS_PAGE],
			memory_order_relaxed);

		sum += page != NULL ? atomic_load_explicit(
					      &page[number % HITS_PAGE], memory_order_relaxed)
				    : 0;
	}
	return sum;
}

/* --- answers -------------------------------------------------------------------------------------------------- */

bool policy_rule_describe(
	const struct policy_state *s, uint32_t number, struct policy_rule_text *text)
{
	static const char *const actions[] = { "allow", "deny", "pass", "log" };
	static char place[4][32]; /* control thread; a caller looks at one or two */
	static unsigned turn;
	const struct rule_entry *entry;
	const struct policy *policy;
	const struct policy_rule *rule;
	const char *direction;
	char *buf;

	if (number == POLICY_RULE_NONE || number >= s->rule_room)
		return false;
	entry = &s->rules[number];
	direction = entry->direction == EGRESS ? "egress" : "ingress";
	*text = (struct policy_rule_text){ .policy = "", .namespace = "", .tier = "" };
	if (entry->failsafe) {
		text->rule = entry->direction == EGRESS ? "(failsafe_out)" : "(failsafe_in)";
		text->action = "allow";
		return true;
	}
	if (entry->policy == NULL) {
		if (entry->tier == NULL)
			return false;
		text->tier = entry->tier->in.key;
		text->rule = "(end of tier)";
		text->action = entry->tier->default_action == TIER_PASS ? "pass" : "deny";
		return true;
	}
	if (entry->policy->object == NULL)
		return false;
	policy = &entry->policy->object->policy;
	text->tier = policy->tier;
	text->policy = policy->name;
	text->namespace = policy->namespace;
	text->staged = policy->staged;
	if (entry->index >=
		(entry->direction == EGRESS ? policy->egress_count : policy->ingress_count))
		return false;
	rule = entry->direction == EGRESS ? &policy->egress[entry->index]
					  : &policy->ingress[entry->index];
	text->action = actions[rule->action];
	text->rule = rule->name;
	if (rule->name[0] == '\0') {
		buf = place[turn++ % 4];
		snprintf(buf, sizeof(place[0]), "%s[%u]", direction, entry->index);
		text->rule = buf;
	}
	return true;
}
