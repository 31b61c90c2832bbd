/* SPDX-License-Identifier: Apache-2.0 */
#include "config/policy_relations.h"

#include "config/search.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_TIER "default" /* there without an object */

int check_endpoint(struct check *c)
{
	const struct addr_list *list = &c->obj->endpoint.addresses;
	int ret = 0;

	c->field = c->element;
	for (size_t i = 0; i < list->count && ret == 0; i++) {
		snprintf(c->element, sizeof(c->element), "addresses/%zu", i);
		ret = check_endpoint_address(c, &list->items[i]);
	}
	return ret;
}

/* --- names in policies -------------------------------------------------------------------------------------------- */

/** The rules of a policy, of both directions in turn: visit(direction, index, rule). Stops at what is not 0. */
struct rule_visit {
	int (*visit)(const struct rule_visit *visit, const char *direction, size_t i,
		const struct policy_rule *rule);
	const struct check *check;
	const char *name;
};

static int each_rule(const struct policy *policy, const struct rule_visit *visit)
{
	int ret = 0;

	for (size_t i = 0; i < policy->ingress_count && ret == 0; i++)
		ret = visit->visit(visit, "ingress", i, &policy->ingress[i]);
	for (size_t i = 0; i < policy->egress_count && ret == 0; i++)
		ret = visit->visit(visit, "egress", i, &policy->egress[i]);
	return ret;
}

static int check_sets(const struct check *c, const char *direction, size_t i, const char *side,
	const struct string_list *sets)
{
	for (size_t j = 0; j < sets->count; j++) {
		const char *name = sets->items[j];
		char field[FIELD_PATH_MAX], shown[LABEL_MAX];

		if (changeset_find(c->set, OBJECT_SET, name) != NULL)
			continue;
		snprintf(field, sizeof(field), "%s/%zu/%s_sets/%zu", direction, i, side, j);
		return object_error(c->obj, c->err, field,
			"%s[%zu].%s_sets: there is no set %s: add it, or correct the name",
			direction, i, side, message_text(name, shown));
	}
	return 0;
}

static int visit_check_sets(const struct rule_visit *visit, const char *direction, size_t i,
	const struct policy_rule *rule)
{
	int ret = check_sets(visit->check, direction, i, "source", &rule->source.sets);

	return ret < 0 ? ret
		       : check_sets(visit->check, direction, i, "destination",
				 &rule->destination.sets);
}

int check_policy(struct check *c)
{
	const struct policy *policy = &c->obj->policy;
	struct rule_visit visit = { .visit = visit_check_sets, .check = c };

	if (strcmp(policy->tier, DEFAULT_TIER) != 0 &&
		changeset_find(c->set, OBJECT_TIER, policy->tier) == NULL)
		return object_error(c->obj, c->err, "tier",
			"there is no tier %s: add it, or correct the name", policy->tier);
	return each_rule(policy, &visit);
}

/* --- names that go ------------------------------------------------------------------------------------------------ */

static bool names_set(const struct string_list *sets, const char *name)
{
	for (size_t i = 0; i < sets->count; i++) {
		if (strcmp(sets->items[i], name) == 0)
			return true;
	}
	return false;
}

static int visit_names_set(const struct rule_visit *visit, const char *direction, size_t i,
	const struct policy_rule *rule)
{
	(void)direction;
	(void)i;
	return names_set(&rule->source.sets, visit->name) ||
	       names_set(&rule->destination.sets, visit->name);
}

static bool policy_names(const struct search *search, const struct object *obj)
{
	struct rule_visit visit = { .visit = visit_names_set, .name = search->what };

	if (search->type == OBJECT_TIER)
		return strcmp(obj->policy.tier, search->what) == 0;
	return each_rule(&obj->policy, &visit) != 0;
}

int check_policy_unreferenced(const struct check *c)
{
	struct search search = {
		.set = c->set, .match = policy_names, .what = c->obj->name, .type = c->obj->type
	};
	const struct object *policy;
	char shown[LABEL_MAX];
	bool tier = c->obj->type == OBJECT_TIER;

	if ((tier && strcmp(c->obj->name, DEFAULT_TIER) == 0) ||
		claims_references(c->claims, c->obj->type, c->obj->name) == 0)
		return 0;
	policy = search_changeset(&search, OBJECT_POLICY);
	return object_error(c->obj, c->err, NULL,
		"policy %s %s this %s: delete or change the policy first",
		policy != NULL ? message_text(policy->name, shown) : "?", tier ? "is in" : "names",
		tier ? "tier" : "set");
}
