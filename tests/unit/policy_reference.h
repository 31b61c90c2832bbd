/* SPDX-License-Identifier: Apache-2.0 */
/** A world of pods, endpoints, sets, tiers and policies, and what it allows by walking the rules one by one. Shares no code with
 * the classifier. */
#ifndef TESTS_UNIT_POLICY_REFERENCE_H
#define TESTS_UNIT_POLICY_REFERENCE_H

#include "tests/unit/policy_fixture.h"

/* --- chance --------------------------------------------------------------------------------------------------- */

static uint64_t chance_state;

static uint32_t chance(uint32_t n)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return (uint32_t)((chance_state * 0x2545f4914f6cdd1du) >> 33) % n;
}

/* --- the world, as the reference sees it ------------------------------------------------------------------------ */

#define KEYS	   4
#define VALUES	   4
#define NAMESPACES 4
#define PODS	   6 /* of this node: p1.. */
#define ENDPOINTS  10
#define SETS	   4
#define TIERS	   3
#define POLICIES   8
#define RULES	   4
#define LIST	   3

static const char *const keys[KEYS] = { "app", "role", "example.org/env", "x" };
static const char *const values[VALUES] = { "a", "ab", "b", "abc" };
static const char *const port_names[] = { "http", "pg", "dns" };

struct labels {
	int value[KEYS]; /* -1 = absent */
};

/** A selector as a tree. */
struct tree {
	enum {
		T_NONE,
		T_ALL,
		T_GLOBAL,
		T_HAS,
		T_EQ,
		T_NE,
		T_IN,
		T_NOT_IN,
		T_STARTS,
		T_ENDS,
		T_CONTAINS,
		T_NOT,
		T_AND,
		T_OR
	} op;
	int key, values[2], n_values, left, right;
};
struct sel {
	struct tree nodes[8];
	int n; /* 0 = empty text; the last is the root */
};

struct cidr {
	uint8_t bytes[16];
	bool v6;
	int len;
};
struct cidrs {
	struct cidr items[LIST];
	int n;
};
struct port_item {
	int name; /* -1 = a range */
	int first, last;
};
struct port_items {
	struct port_item items[LIST];
	int n;
};
struct thing { /* pod, endpoint or node */
	bool there, node;
	int ns;
	struct labels labels;
	struct cidr addresses[2];
	int named_port[3], named_protocol[3]; /* by name; 0 = none */
};
struct set_of {
	bool there;
	int ns; /* -1 = none */
	struct labels labels;
	struct cidrs cidrs;
};
struct side {
	struct sel is, not, namespaces, nodes;
	struct cidrs cidrs, not_cidrs;
	int sets[LIST], n_sets;
	struct port_items ports, not_ports;
};
struct rule_of {
	int action; /* 0 allow, 1 deny, 2 pass, 3 log */
	int protocol, not_protocol, ip_version, type, code, not_type, not_code;
	struct side side[2];
};
struct policy_of {
	bool there;
	int ns, tier, order, types; /* types: 1 ingress, 2 egress; 0 = not given */
	bool host, staged;
	struct sel selector, namespaces;
	struct rule_of rules[2][RULES]; /* ingress, egress */
	int n[2];
};
struct tier_of {
	bool there;
	int order;
	bool pass;
};
static struct world {
	struct labels ns[NAMESPACES];
	bool ns_there[NAMESPACES];
	struct thing things[1 + PODS + ENDPOINTS]; /* 0 is the node itself */
	struct set_of sets[SETS];
	struct tier_of tiers[TIERS]; /* the last is "default" */
	struct policy_of policies[POLICIES];
} world;
static const char *const tier_names[TIERS] = { "first", "second", "default" };
static const char *const ns_names[NAMESPACES] = { "main", "other", "default", "dark" };

/* --- the reference ---------------------------------------------------------------------------------------------- */

static bool in_cidr(const struct cidr *c, const struct cidr *addr)
{
	if (c->v6 != addr->v6)
		return false;
	for (int bit = 0; bit < c->len; bit++) {
		if (((c->bytes[bit / 8] ^ addr->bytes[bit / 8]) >> (7 - bit % 8) & 1) != 0)
			return false;
	}
	return true;
}

static bool in_cidrs(const struct cidrs *list, const struct cidr *addr)
{
	for (int i = 0; i < list->n; i++) {
		if (in_cidr(&list->items[i], addr))
			return true;
	}
	return false;
}

/** labels NULL: of what has no namespace. */
static bool tree_true(const struct sel *s, int at, const struct labels *labels)
{
	const struct tree *t = &s->nodes[at];
	const char *have = labels != NULL && t->key >= 0 && labels->value[t->key] >= 0
				   ? values[labels->value[t->key]]
				   : NULL;
	bool among = false;

	for (int i = 0; i < t->n_values; i++)
		among = among || (have != NULL && strcmp(have, values[t->values[i]]) == 0);
	switch (t->op) {
	case T_NONE:
	case T_ALL:
		return labels != NULL;
	case T_GLOBAL:
		return labels == NULL;
	case T_HAS:
		return have != NULL;
	case T_EQ:
	case T_IN:
		return among;
	case T_NE:
	case T_NOT_IN:
		return !among;
	case T_STARTS:
		return have != NULL && strstr(have, values[t->values[0]]) == have;
	case T_ENDS: {
		const char *end = values[t->values[0]];

		return have != NULL && strlen(have) >= strlen(end) &&
		       strcmp(have + strlen(have) - strlen(end), end) == 0;
	}
	case T_CONTAINS:
		return have != NULL && strstr(have, values[t->values[0]]) != NULL;
	case T_NOT:
		return !tree_true(s, t->left, labels);
	case T_AND:
		return tree_true(s, t->left, labels) && tree_true(s, t->right, labels);
	case T_OR:
		return tree_true(s, t->left, labels) || tree_true(s, t->right, labels);
	}
	return false;
}

static bool selected(const struct sel *s, const struct labels *labels)
{
	return s->n == 0 || tree_true(s, s->n - 1, labels);
}

static const struct thing *thing_at(const struct cidr *addr)
{
	for (size_t i = 0; i < sizeof(world.things) / sizeof(world.things[0]); i++) {
		const struct thing *t = &world.things[i];

		for (int a = 0; t->there && a < 2; a++) {
			if (in_cidr(&t->addresses[a], addr))
				return t;
		}
	}
	return NULL;
}

/** Whether a pod or set of that namespace is in the scope of a rule's end. */
static bool in_scope(const struct side *side, int policy_ns, int ns)
{
	static const struct labels bare = { { -1, -1, -1, -1 } };

	if (side->namespaces.n > 0)
		return selected(&side->namespaces, ns < 0		? NULL
						   : world.ns_there[ns] ? &world.ns[ns]
									: &bare);
	return policy_ns < 0 || policy_ns == ns;
}

static bool side_matches(const struct side *side, int policy_ns, const struct cidr *addr)
{
	const struct thing *t = thing_at(addr);
	bool asks = side->is.n > 0 || side->namespaces.n > 0 || side->nodes.n > 0 ||
		    (policy_ns >= 0 && side->not .n > 0);
	bool is = !asks;

	if (side->nodes.n > 0) {
		is = t != NULL && t->node && selected(&side->nodes, &t->labels);
	} else if (asks) {
		is = t != NULL && !t->node && in_scope(side, policy_ns, t->ns) &&
		     selected(&side->is, &t->labels);
		for (int i = 0; i < SETS; i++) {
			const struct set_of *set = &world.sets[i];

			is = is || (set->there && in_cidrs(&set->cidrs, addr) &&
					   in_scope(side, policy_ns, set->ns) &&
					   selected(&side->is, &set->labels));
		}
	}
	if (!is)
		return false;
	if (side->not .n > 0) {
		if (t != NULL && t->node == (side->nodes.n > 0) && selected(&side->not, &t->labels))
			return false;
		for (int i = 0; i < SETS; i++) {
			if (side->nodes.n == 0 && world.sets[i].there &&
				in_cidrs(&world.sets[i].cidrs, addr) &&
				selected(&side->not, &world.sets[i].labels))
				return false;
		}
	}
	if (side->n_sets > 0) {
		bool any = false;

		for (int i = 0; i < side->n_sets; i++)
			any = any || (world.sets[side->sets[i]].there &&
					     in_cidrs(&world.sets[side->sets[i]].cidrs, addr));
		if (!any)
			return false;
	}
	return (side->cidrs.n == 0 || in_cidrs(&side->cidrs, addr)) &&
	       !in_cidrs(&side->not_cidrs, addr);
}

static bool port_among(
	const struct port_items *list, int protocol, int port, const struct cidr *addr)
{
	const struct thing *t = thing_at(addr);

	for (int i = 0; i < list->n; i++) {
		const struct port_item *item = &list->items[i];

		if (item->name < 0 ? port >= item->first && port <= item->last
				   : t != NULL && t->named_port[item->name] == port &&
					     t->named_protocol[item->name] == protocol)
			return true;
	}
	return false;
}

struct packet {
	struct cidr addr[2];   /* source, destination */
	int protocol, port[2]; /* ICMP: type << 8 | code in port[1] */
};

static bool rule_matches(const struct rule_of *r, int policy_ns, const struct packet *p)
{
	bool icmp = r->type >= 0 || r->not_type >= 0;

	if (r->protocol != 0 && r->protocol != p->protocol)
		return false;
	if (r->not_protocol != 0 && r->not_protocol == p->protocol)
		return false;
	if (r->ip_version != 0 && (r->ip_version == 6) != p->addr[0].v6)
		return false;
	if (icmp) {
		int type = p->port[1] >> 8, code = p->port[1] & 0xff;

		if (r->type >= 0 && (type != r->type || (r->code >= 0 && code != r->code)))
			return false;
		if (r->not_type >= 0 && type == r->not_type &&
			(r->not_code < 0 || code == r->not_code))
			return false;
	}
	for (int s = 0; s < 2; s++) {
		const struct side *side = &r->side[s];

		if (!side_matches(side, policy_ns, &p->addr[s]))
			return false;
		if (side->ports.n > 0 &&
			!port_among(&side->ports, p->protocol, p->port[s], &p->addr[s]))
			return false;
		if (side->not_ports.n > 0 &&
			port_among(&side->not_ports, p->protocol, p->port[s], &p->addr[s]))
			return false;
	}
	return true;
}

static bool policy_about(const struct policy_of *policy, const struct thing *t)
{
	static const struct labels bare = { { -1, -1, -1, -1 } };

	if (!policy->there || policy->host != t->node)
		return false;
	if (!t->node && policy->ns >= 0 && policy->ns != t->ns)
		return false;
	if (!t->node && policy->ns < 0 &&
		!selected(&policy->namespaces, world.ns_there[t->ns] ? &world.ns[t->ns] : &bare))
		return false;
	return selected(&policy->selector, &t->labels);
}

static bool policy_of_direction(const struct policy_of *policy, int direction)
{
	if (policy->types != 0)
		return (policy->types & (direction == 0 ? 1 : 2)) != 0;
	return direction == 1 ? policy->n[1] > 0 : policy->n[0] > 0 || policy->n[1] == 0;
}

/** Name order of policies is their number, of tiers that of tier_names. */
static inline bool end_allows(
	const struct thing *t, int direction, const struct packet *p, bool staged)
{
	static const struct {
		int port, protocol;
	} failsafe[2][7] = { { { 22, 6 }, { 68, 17 }, { 179, 6 }, { 2379, 6 }, { 2380, 6 },
				     { 5473, 6 }, { 6443, 6 } },
		{ { 53, 17 }, { 67, 17 }, { 179, 6 }, { 2379, 6 }, { 2380, 6 }, { 5473, 6 },
			{ 6443, 6 } } };
	int tiers[TIERS], n_tiers = 0;
	bool any = false;

	for (int i = 0; i < POLICIES; i++)
		any = any || (policy_about(&world.policies[i], t) &&
				     policy_of_direction(&world.policies[i], direction) &&
				     (staged || !world.policies[i].staged));
	for (int i = 0; t->node && any && i < 7; i++) {
		if (failsafe[direction][i].port == p->port[1] &&
			failsafe[direction][i].protocol == p->protocol)
			return true;
	}
	/* By order, then by name: "default" < "first" < "second". */
	for (int pick = 0; pick < TIERS; pick++) {
		int best = -1;

		for (int i = 0; i < TIERS; i++) {
			bool taken = false;

			for (int j = 0; j < n_tiers; j++)
				taken = taken || tiers[j] == i;
			if (taken)
				continue;
			if (best < 0 || world.tiers[i].order < world.tiers[best].order ||
				(world.tiers[i].order == world.tiers[best].order &&
					strcmp(tier_names[i], tier_names[best]) < 0))
				best = i;
		}
		tiers[n_tiers++] = best;
	}
	for (int k = 0; k < n_tiers; k++) {
		bool applies = false, passed = false, done[POLICIES] = { false };

		for (;;) {
			int best = -1;
			const struct policy_of *policy;

			for (int i = 0; i < POLICIES; i++) {
				const struct policy_of *o = &world.policies[i];

				if (done[i] || o->tier != tiers[k] || !policy_about(o, t) ||
					!policy_of_direction(o, direction) ||
					(o->staged && !staged))
					continue;
				if (best < 0 || o->order < world.policies[best].order)
					best = i;
			}
			if (best < 0 || passed)
				break;
			applies = true;
			done[best] = true;
			policy = &world.policies[best];
			for (int r = 0; r < policy->n[direction] && !passed; r++) {
				const struct rule_of *rule = &policy->rules[direction][r];

				if (!rule_matches(rule, policy->ns, p) || rule->action == 3)
					continue;
				if (rule->action < 2)
					return rule->action == 0;
				passed = true;
			}
		}
		if (applies && !passed && !world.tiers[tiers[k]].pass)
			return false;
	}
	return true;
}

#endif
