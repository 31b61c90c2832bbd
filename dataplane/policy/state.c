/* SPDX-License-Identifier: Apache-2.0 */
/* One change after the other: what it means for identities, leaves, policies and locals. */
#include "dataplane/policy/state.h"

#include "dataplane/fib.h"
#include "dataplane/port.h"
#include "dataplane/rcu.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

uint8_t protocol_number(const char *text)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "sctp", IPPROTO_SCTP },
		{ "icmp", IPPROTO_ICMP }, { "icmpv6", IPPROTO_ICMPV6 } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i].name) == 0)
			return names[i].number;
	}
	return (uint8_t)strtoul(text, NULL, 10);
}

struct policy_state *policy_state_new(unsigned n_workers)
{
	struct policy_state *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	rules_init(s, n_workers);
	s->identity_next = s->leaf_next = 1;
	for (unsigned f = 0; f < 2; f++) {
		s->identity_fib[f] = fib_new(f == 0 ? IP_V4 : IP_V6);
		s->leaf_fib[f] = fib_new(f == 0 ? IP_V4 : IP_V6);
		if (s->identity_fib[f] == NULL || s->leaf_fib[f] == NULL)
			policy_out_of_memory();
		fib_seal(s->identity_fib[f]);
		fib_seal(s->leaf_fib[f]);
	}
	for (int d = 0; d < DIRECTIONS; d++)
		s->failsafe_rule[d] = rule_number(
			s, (struct rule_entry){ .failsafe = true, .direction = (uint8_t)d });
	return s;
}

/* --- which flows have to be judged again ---------------------------------------------------------------------- */

static void note_address(struct policy_txn *txn, const struct ip_addr *addr)
{
	if (txn->undoing)
		return;
	if (txn->n_addresses == txn->addresses_room) {
		txn->addresses_room = txn->addresses_room == 0 ? 16 : txn->addresses_room * 2;
		txn->addresses = policy_realloc(
			txn->addresses, txn->addresses_room * sizeof(txn->addresses[0]));
	}
	txn->addresses[txn->n_addresses++] =
		(struct ip_prefix){ *addr, (uint8_t)ip_family_bits(addr->family) };
}

void map_address(struct policy_txn *txn, const struct ip_addr *addr, uint32_t identity)
{
	struct policy_state *s = txn->state;
	struct ip_prefix prefix = { *addr, (uint8_t)ip_family_bits(addr->family) };
	unsigned f = addr->family == IP_V6;

	if (txn->undoing)
		return;
	if (s->identity_fib[f] == txn->old_identity_fib[f]) {
		struct fib *edit = fib_edit(s->identity_fib[f]);

		if (edit == NULL)
			policy_out_of_memory();
		s->identity_fib[f] = edit;
	}
	if (fib_get(s->identity_fib[f], &prefix) == identity)
		return;
	if (fib_set(s->identity_fib[f], &prefix, identity, NULL) < 0)
		policy_out_of_memory();
	note_address(txn, addr);
}

void map_addresses(struct policy_txn *txn, const struct addr_list *list, uint32_t identity)
{
	for (size_t i = 0; i < list->count; i++)
		map_address(txn, &list->items[i], identity);
}

/* --- policies and the locals that they select ----------------------------------------------------------------- */

int policy_order(const struct policy_entry *a, const struct policy_entry *b)
{
	const struct policy *x = &a->object->policy, *y = &b->object->policy;
	int names;

	if (a->tier != b->tier) {
		if (a->tier->order != b->tier->order)
			return a->tier->order < b->tier->order ? -1 : 1;
		names = strcmp(a->tier->in.key, b->tier->in.key);
		if (names != 0)
			return names;
	}
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int policy_order_q(const void *a, const void *b)
{
	return policy_order(*(struct policy_entry *const *)a, *(struct policy_entry *const *)b);
}

void dirty(struct local *l)
{
	l->dirty[INGRESS] = l->dirty[EGRESS] = true;
}

static bool policy_selects(const struct policy_entry *entry, const struct local *l)
{
	const struct policy *policy = &entry->object->policy;
	const struct identity *identity = l->identity;

	if ((policy->subject == SUBJECT_HOST) != l->host)
		return false;
	if (!l->host) {
		if (policy->namespace[0] != '\0' &&
			strcmp(identity->namespace->in.key, policy->namespace) != 0)
			return false;
		if (policy->namespace[0] == '\0' && entry->namespace_selector != NULL &&
			!selector_match(entry->namespace_selector, identity->namespace->labels))
			return false;
	}
	return entry->selector == NULL || selector_match(entry->selector, identity->labels);
}

static void ends_build(struct policy_txn *txn, struct policy_entry *entry, enum direction direction)
{
	struct policy_state *s = txn->state;
	const struct policy *policy = &entry->object->policy;
	const struct policy_rule *rules = direction == EGRESS ? policy->egress : policy->ingress;

	entry->ends[direction] =
		policy_alloc(entry->n_rules[direction] * sizeof(entry->ends[direction][0]));
	for (uint32_t i = 0; i < entry->n_rules[direction]; i++) {
		const struct policy_end *both[2] = { &rules[i].source, &rules[i].destination };

		for (unsigned e = 0; e < 2; e++) {
			const struct policy_end *end = both[e];
			const bool local =
				policy->namespace[0] != '\0' && end->not_selector[0] != '\0';
			struct rule_ends *ends = &entry->ends[direction][i];

			if (end->selector[0] != '\0' || end->namespaces[0] != '\0' ||
				end->nodes[0] != '\0' || local)
				ends->is[e] = matcher_use(s, policy->namespace, end->selector,
					end->namespaces, end->nodes);
			if (end->not_selector[0] != '\0')
				ends->is_not[e] = matcher_use(s, "", end->not_selector, "",
					end->nodes[0] != '\0' ? end->not_selector : "");
			for (size_t c = 0; c < end->cidrs.count; c++)
				leaf_use(txn, &end->cidrs.items[c]);
			for (size_t c = 0; c < end->not_cidrs.count; c++)
				leaf_use(txn, &end->not_cidrs.items[c]);
		}
	}
}

static void ends_drop(struct policy_txn *txn, struct policy_entry *entry, enum direction direction)
{
	const struct policy *policy = &entry->object->policy;
	const struct policy_rule *rules = direction == EGRESS ? policy->egress : policy->ingress;

	for (uint32_t i = 0; i < entry->n_rules[direction]; i++) {
		const struct policy_end *both[2] = { &rules[i].source, &rules[i].destination };

		for (unsigned e = 0; e < 2; e++) {
			matcher_unuse(txn->state, entry->ends[direction][i].is[e]);
			matcher_unuse(txn->state, entry->ends[direction][i].is_not[e]);
			for (size_t c = 0; c < both[e]->cidrs.count; c++)
				leaf_unuse(txn, &both[e]->cidrs.items[c]);
			for (size_t c = 0; c < both[e]->not_cidrs.count; c++)
				leaf_unuse(txn, &both[e]->not_cidrs.items[c]);
		}
	}
	free(entry->ends[direction]);
	entry->ends[direction] = NULL;
}

static void entry_use(struct policy_txn *txn, struct policy_entry *entry)
{
	if (entry->users++ > 0)
		return;
	for (int d = 0; d < DIRECTIONS; d++)
		ends_build(txn, entry, (enum direction)d);
}

static void entry_unuse(struct policy_txn *txn, struct policy_entry *entry)
{
	if (--entry->users > 0)
		return;
	for (int d = 0; d < DIRECTIONS; d++)
		ends_drop(txn, entry, (enum direction)d);
}

static void dirty_for(struct local *l, const struct policy_entry *entry)
{
	for (int d = 0; d < DIRECTIONS; d++)
		l->dirty[d] = l->dirty[d] || entry->applies[d];
}

static void local_add_policy(struct policy_txn *txn, struct local *l, struct policy_entry *entry)
{
	uint32_t at = l->n_policies;

	if (l->n_policies == l->room) {
		l->room = l->room == 0 ? 8 : l->room * 2;
		l->policies = policy_realloc(l->policies, l->room * sizeof(l->policies[0]));
	}
	while (at > 0 && policy_order(l->policies[at - 1], entry) > 0)
		at--;
	memmove(&l->policies[at + 1], &l->policies[at],
		(l->n_policies - at) * sizeof(l->policies[0]));
	l->policies[at] = entry;
	l->n_policies++;
	entry_use(txn, entry);
	dirty_for(l, entry);
}

static bool local_has_policy(const struct local *l, const struct policy_entry *entry, uint32_t *at)
{
	for (*at = 0; *at < l->n_policies; ++*at) {
		if (l->policies[*at] == entry)
			return true;
	}
	return false;
}

static void local_remove_policy(struct policy_txn *txn, struct local *l, struct policy_entry *entry)
{
	uint32_t at;

	if (!local_has_policy(l, entry, &at))
		return;
	memmove(&l->policies[at], &l->policies[at + 1],
		(l->n_policies - at - 1) * sizeof(l->policies[0]));
	l->n_policies--;
	dirty_for(l, entry);
	entry_unuse(txn, entry);
}

/** All policies that select it, from scratch. */
static void local_select(struct policy_txn *txn, struct local *l)
{
	const struct intern *policies = &txn->state->policies;

	for (size_t i = 0; policies->buckets != NULL && i <= policies->mask; i++) {
		for (struct interned *t = policies->buckets[i]; t != NULL; t = t->next) {
			struct policy_entry *entry = (struct policy_entry *)t;
			uint32_t at;
			bool has = local_has_policy(l, entry, &at),
			     should = entry->object != NULL && policy_selects(entry, l);

			if (has && !should)
				local_remove_policy(txn, l, entry);
			else if (should && !has)
				local_add_policy(txn, l, entry);
		}
	}
}

/* --- locals --------------------------------------------------------------------------------------------------- */

static struct local *local_of(struct policy_txn *txn, struct identity *identity, bool host)
{
	struct policy_state *s = txn->state;
	struct local *l = s->locals;

	while (l != NULL && (l->identity != identity || l->host != host))
		l = l->next;
	if (l == NULL) {
		l = policy_alloc(sizeof(*l));
		l->identity = identity;
		l->host = host;
		l->next = s->locals;
		s->locals = l;
		local_select(txn, l);
		dirty(l);
	}
	l->pods++;
	return l;
}

void program_replaced(struct policy_txn *txn, struct policy_program *program)
{
	if (program == NULL)
		return;
	txn->replaced =
		policy_realloc(txn->replaced, (txn->n_replaced + 1) * sizeof(txn->replaced[0]));
	txn->replaced[txn->n_replaced++] = program;
}

static void local_leave(struct policy_txn *txn, struct local *l)
{
	struct local **at = &txn->state->locals;

	if (--l->pods > 0)
		return;
	while (l->n_policies > 0)
		local_remove_policy(txn, l, l->policies[l->n_policies - 1]);
	program_replaced(txn, l->programs[INGRESS]);
	program_replaced(txn, l->programs[EGRESS]);
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	free(l->policies);
	free(l);
}

struct local_pod *pod_enter(
	struct policy_txn *txn, const char *name, struct identity *identity, uint16_t port)
{
	struct policy_state *s = txn->state;
	struct local_pod *pod = intern_add(&s->pods, name, strlen(name), sizeof(*pod));

	pod->local = local_of(txn, identity, name[0] == '\0');
	pod->port = port;
	txn->ports_changed = true;
	return pod;
}

void pod_leave(struct policy_txn *txn, const char *name)
{
	struct policy_state *s = txn->state;
	struct local_pod *pod = (struct local_pod *)intern_find(&s->pods, name, strlen(name));

	if (pod == NULL)
		return;
	local_leave(txn, pod->local);
	intern_remove(&s->pods, &pod->in);
	txn->ports_changed = true;
}

/* --- one change, by type: what was goes, what is comes --------------------------------------------------------- */

static void pod_change(
	struct policy_txn *txn, const struct object *before, const struct object *after)
{
	/* The new one first: what both have in common is not forgotten in between. */
	struct identity *identity = NULL;
	uint16_t port = POLICY_PORT_NONE;

	if (after != NULL) {
		identity = identity_use(txn, ENDPOINT_POD, after->pod.namespace, &after->pod.labels,
			&after->pod.ports);
		if (txn->ports != NULL)
			port = txn->ports->port_of(txn->ports->arg, after->pod.name);
	}
	if (before != NULL) {
		struct local_pod *pod = (struct local_pod *)intern_find(
			&txn->state->pods, before->pod.name, strlen(before->pod.name));
		struct identity *old = pod->local->identity;

		if (after != NULL && old == identity && pod->port == port) {
			pod->local->pods++; /* pod_enter counts again */
			pod_leave(txn, before->pod.name);
			pod_enter(txn, after->pod.name, identity, port)->local->pods--;
		} else {
			pod_leave(txn, before->pod.name);
			if (after != NULL)
				pod_enter(txn, after->pod.name, identity, port);
		}
		if (after == NULL || after->pod.addresses.count != before->pod.addresses.count ||
			(after->pod.addresses.count > 0 &&
				memcmp(after->pod.addresses.items, before->pod.addresses.items,
					after->pod.addresses.count * sizeof(struct ip_addr)) != 0))
			map_addresses(txn, &before->pod.addresses, 0);
		identity_unuse(txn, old);
	} else {
		pod_enter(txn, after->pod.name, identity, port);
	}
	if (after != NULL)
		map_addresses(txn, &after->pod.addresses, identity->id);
}

static struct identity *endpoint_identity(struct policy_txn *txn, const struct endpoint *e)
{
	return identity_use(txn, (enum endpoint_kind)e->kind, e->namespace, &e->labels, &e->ports);
}

static void endpoint_change(
	struct policy_txn *txn, const struct object *before, const struct object *after)
{
	struct identity *identity = after != NULL ? endpoint_identity(txn, &after->endpoint) : NULL;

	if (before != NULL) {
		struct identity *old = endpoint_identity(txn, &before->endpoint);

		if (after == NULL ||
			after->endpoint.addresses.count != before->endpoint.addresses.count ||
			memcmp(after->endpoint.addresses.items, before->endpoint.addresses.items,
				after->endpoint.addresses.count * sizeof(struct ip_addr)) != 0)
			map_addresses(txn, &before->endpoint.addresses, 0);
		identity_unuse(txn, old);
		identity_unuse(txn, old);
	}
	if (after != NULL)
		map_addresses(txn, &after->endpoint.addresses, identity->id);
}

static void namespace_change(
	struct policy_txn *txn, const struct object *before, const struct object *after)
{
	struct policy_state *s = txn->state;
	const char *name = after != NULL ? after->namespace.name : before->namespace.name;
	struct policy_namespace *ns = namespace_use(s, name);
	bool matchers;

	if (before == NULL)
		ns->in.refs++;
	if (after == NULL)
		ns->in.refs--;
	namespace_set_labels(
		s, ns, after != NULL ? &after->namespace.labels : &(struct string_list){ 0 });
	matchers = matchers_renew_namespace(s, ns);
	for (struct local *l = s->locals; l != NULL; l = l->next) {
		if (!l->host && l->identity->namespace == ns)
			local_select(txn, l);
		if (matchers || s->sets.count > 0)
			dirty(l);
	}
	namespace_unuse(s, ns);
}

static void set_change(
	struct policy_txn *txn, const struct object *before, const struct object *after)
{
	struct policy_state *s = txn->state;
	const char *name = after != NULL ? after->set.name : before->set.name;
	struct policy_set *set = (struct policy_set *)intern_find(&s->sets, name, strlen(name));

	if (after != NULL) {
		for (size_t i = 0; i < after->set.cidrs.count; i++)
			leaf_use(txn, &after->set.cidrs.items[i]);
	}
	if (before != NULL) {
		for (size_t i = 0; i < before->set.cidrs.count; i++)
			leaf_unuse(txn, &before->set.cidrs.items[i]);
		namespace_unuse(s, set->namespace);
		free(set->labels);
		object_unref(set->object);
		if (after == NULL)
			intern_remove(&s->sets, &set->in);
	}
	if (after != NULL) {
		if (set == NULL)
			set = intern_add(&s->sets, name, strlen(name), sizeof(*set));
		set->object = object_ref((struct object *)(uintptr_t)after);
		set->labels = label_set_new(&after->set.labels, NULL, NULL);
		if (set->labels == NULL)
			set->labels = policy_alloc(sizeof(*set->labels));
		set->namespace = after->set.namespace[0] != '\0'
					 ? namespace_use(s, after->set.namespace)
					 : NULL;
	}
	for (struct local *l = s->locals; l != NULL; l = l->next)
		dirty(l);
}

static struct policy_tier *tier_use(struct policy_state *s, const char *name)
{
	struct policy_tier *tier = (struct policy_tier *)intern_find(&s->tiers, name, strlen(name));

	if (tier == NULL) {
		tier = intern_add(&s->tiers, name, strlen(name), sizeof(*tier));
		tier->order = 1000000;
		tier->default_action = TIER_DENY;
		for (int d = 0; d < DIRECTIONS; d++)
			tier->default_rule[d] = rule_number(
				s, (struct rule_entry){ .tier = tier, .direction = (uint8_t)d });
	}
	tier->in.refs++;
	return tier;
}

static void tier_unuse(struct policy_txn *txn, struct policy_tier *tier)
{
	if (--tier->in.refs > 0 || tier->dying)
		return;
	tier->dying = true;
	txn->dead_tiers = policy_realloc(
		txn->dead_tiers, (txn->n_dead_tiers + 1) * sizeof(txn->dead_tiers[0]));
	txn->dead_tiers[txn->n_dead_tiers++] = tier;
}

static void tier_change(
	struct policy_txn *txn, const struct object *before, const struct object *after)
{
	struct policy_state *s = txn->state;
	struct policy_tier *tier =
		tier_use(s, after != NULL ? after->tier.name : before->tier.name);

	if (before == NULL)
		tier->in.refs++;
	if (after == NULL)
		tier->in.refs--;
	tier->order = after != NULL ? after->tier.order : 1000000;
	tier->default_action = after != NULL ? after->tier.default_action : TIER_DENY;
	for (struct local *l = s->locals; l != NULL; l = l->next) {
		if (l->n_policies > 1)
			qsort(l->policies, l->n_policies, sizeof(l->policies[0]), policy_order_q);
		for (uint32_t i = 0; i < l->n_policies; i++) {
			if (l->policies[i]->tier == tier)
				dirty(l);
		}
	}
	tier_unuse(txn, tier);
}

static struct selector *selector_of(const char *text)
{
	return text[0] != '\0' ? selector_parse(text, NULL) : NULL;
}

static bool lists_type(const struct policy *policy, const char *type)
{
	for (size_t i = 0; i < policy->types.count; i++) {
		if (strcmp(policy->types.items[i], type) == 0)
			return true;
	}
	return false;
}

/** A rule keeps its number as long as there is a rule at its place; what is too many goes with the transaction's end, so that
 * one that is undone finds its numbers again. */
static void entry_number(struct policy_txn *txn, struct policy_entry *entry,
	enum direction direction, uint32_t count)
{
	if (count > entry->numbered[direction])
		entry->rules[direction] = policy_realloc(
			entry->rules[direction], count * sizeof(entry->rules[direction][0]));
	for (; entry->numbered[direction] < count; entry->numbered[direction]++)
		entry->rules[direction][entry->numbered[direction]] =
			rule_number(txn->state, (struct rule_entry){ .policy = entry,
							.direction = (uint8_t)direction,
							.index = entry->numbered[direction] });
	entry->n_rules[direction] = count;
	if (entry->touched)
		return;
	entry->touched = true;
	txn->touched = policy_realloc(txn->touched, (txn->n_touched + 1) * sizeof(txn->touched[0]));
	txn->touched[txn->n_touched++] = entry;
}

void policies_reap(struct policy_txn *txn)
{
	for (size_t i = 0; i < txn->n_touched; i++) {
		struct policy_entry *entry = txn->touched[i];

		entry->touched = false;
		for (int d = 0; d < DIRECTIONS; d++) {
			while (entry->numbered[d] > entry->n_rules[d])
				rule_retire(txn, entry->rules[d][--entry->numbered[d]]);
		}
		if (entry->object != NULL)
			continue;
		free(entry->rules[INGRESS]);
		free(entry->rules[EGRESS]);
		intern_remove(&txn->state->policies, &entry->in);
	}
	for (size_t i = 0; i < txn->n_dead_tiers; i++) {
		struct policy_tier *tier = txn->dead_tiers[i];

		tier->dying = false;
		if (tier->in.refs > 0)
			continue;
		for (int d = 0; d < DIRECTIONS; d++)
			rule_retire(txn, tier->default_rule[d]);
		intern_remove(&txn->state->tiers, &tier->in);
	}
	free(txn->touched);
	free(txn->dead_tiers);
	txn->touched = NULL;
	txn->dead_tiers = NULL;
	txn->n_touched = txn->n_dead_tiers = 0;
}

static void policy_change(
	struct policy_txn *txn, const struct object *before, const struct object *after)
{
	struct policy_state *s = txn->state;
	const char *name = after != NULL ? after->policy.name : before->policy.name;
	struct policy_entry *entry =
		(struct policy_entry *)intern_find(&s->policies, name, strlen(name));

	if (before != NULL) {
		for (struct local *l = s->locals; l != NULL; l = l->next)
			local_remove_policy(txn, l, entry);
		tier_unuse(txn, entry->tier);
		selector_free(entry->selector);
		selector_free(entry->namespace_selector);
		object_unref(entry->object);
		entry->object = NULL;
	}
	if (after == NULL) {
		entry_number(txn, entry, INGRESS, 0);
		entry_number(txn, entry, EGRESS, 0);
		return;
	}
	if (entry == NULL)
		entry = intern_add(&s->policies, name, strlen(name), sizeof(*entry));
	entry->object = object_ref((struct object *)(uintptr_t)after);
	entry->tier = tier_use(s, after->policy.tier);
	entry->selector = selector_of(after->policy.selector);
	entry->namespace_selector = selector_of(after->policy.namespace_selector);
	entry->applies[EGRESS] = after->policy.types.count > 0
					 ? lists_type(&after->policy, "egress")
					 : after->policy.egress_count > 0;
	entry->applies[INGRESS] =
		after->policy.types.count > 0
			? lists_type(&after->policy, "ingress")
			: after->policy.ingress_count > 0 || after->policy.egress_count == 0;
	entry_number(txn, entry, INGRESS, (uint32_t)after->policy.ingress_count);
	entry_number(txn, entry, EGRESS, (uint32_t)after->policy.egress_count);
	for (struct local *l = s->locals; l != NULL; l = l->next) {
		if (policy_selects(entry, l))
			local_add_policy(txn, l, entry);
	}
}

void policy_apply(struct policy_txn *txn, const struct object *before, const struct object *after)
{
	switch (after != NULL ? after->type : before->type) {
	case OBJECT_NODE:
		node_change(txn, before, after);
		break;
	case OBJECT_UPLINK:
		uplink_change(txn, before, after);
		break;
	case OBJECT_NAMESPACE:
		namespace_change(txn, before, after);
		break;
	case OBJECT_SET:
		set_change(txn, before, after);
		break;
	case OBJECT_TIER:
		tier_change(txn, before, after);
		break;
	case OBJECT_ENDPOINT:
		endpoint_change(txn, before, after);
		break;
	case OBJECT_POD:
		pod_change(txn, before, after);
		break;
	case OBJECT_POLICY:
		policy_change(txn, before, after);
		break;
	case OBJECT_POOL:
	case OBJECT_PEER:
	case OBJECT_ROUTE:
	case OBJECT_TYPE_COUNT:
		break;
	}
}
