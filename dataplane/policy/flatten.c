/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/policy/flatten.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* --- port lists ----------------------------------------------------------------------------------------------- */

static int range_order(const void *a, const void *b)
{
	const struct port_range *x = a, *y = b;

	return x->first != y->first ? (x->first < y->first ? -1 : 1)
	       : x->last < y->last  ? -1
				    : x->last > y->last;
}

static void ranges_add(struct ranges *r, uint16_t first, uint16_t last)
{
	r->items = policy_realloc(r->items, (r->count + 1) * sizeof(r->items[0]));
	r->items[r->count++] = (struct port_range){ first, last };
}

/** In order and apart. */
static void ranges_merge(struct ranges *r)
{
	uint32_t n = 0;

	if (r->count > 1)
		qsort(r->items, r->count, sizeof(r->items[0]), range_order);
	for (uint32_t i = 0; i < r->count; i++) {
		if (n > 0 && r->items[i].first <= (uint32_t)r->items[n - 1].last + 1) {
			if (r->items[i].last > r->items[n - 1].last)
				r->items[n - 1].last = r->items[i].last;
		} else {
			r->items[n++] = r->items[i];
		}
	}
	r->count = n;
}

/** What is left of `from` (merged) without `without`. */
static struct ranges ranges_subtract(const struct ranges *from, struct ranges *without)
{
	struct ranges out = { .items = policy_alloc(1) };

	ranges_merge(without);
	for (uint32_t i = 0; i < from->count; i++) {
		uint32_t first = from->items[i].first, last = from->items[i].last;

		for (uint32_t j = 0; j < without->count && first <= last; j++) {
			const struct port_range *w = &without->items[j];

			if (w->last < first || w->first > last)
				continue;
			if (w->first > first)
				ranges_add(&out, (uint16_t)first, (uint16_t)(w->first - 1));
			first = (uint32_t)w->last + 1;
		}
		if (first <= last)
			ranges_add(&out, (uint16_t)first, (uint16_t)last);
	}
	return out;
}

static bool is_range(const char *text, uint16_t *first, uint16_t *last)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	*first = *last = (uint16_t)strtoul(text, &end, 10);
	if (*end == ':')
		*last = (uint16_t)strtoul(end + 1, &end, 10);
	return *end == '\0';
}

/** Add what a list means for an endpoint: numbers as they are, names as its ports of that protocol. */
static void ranges_of(struct ranges *r, const struct string_list *ports, uint8_t protocol,
	const struct identity *identity)
{
	for (size_t i = 0; i < ports->count; i++) {
		const char *text = ports->items[i];
		uint16_t first, last;

		if (is_range(text, &first, &last)) {
			ranges_add(r, first, last);
			continue;
		}
		for (uint32_t p = 0; identity != NULL && p < identity->n_ports; p++) {
			const struct named_port *port = &identity->ports[p];

			if (port->protocol == protocol && strlen(text) == port->name_len &&
				memcmp(port->name, text, port->name_len) == 0)
				ranges_add(r, port->port, port->port);
		}
	}
}

static bool names_ports(const struct policy_end *end)
{
	uint16_t first, last;

	for (size_t i = 0; i < end->ports.count; i++) {
		if (!is_range(end->ports.items[i], &first, &last))
			return true;
	}
	for (size_t i = 0; i < end->not_ports.count; i++) {
		if (!is_range(end->not_ports.items[i], &first, &last))
			return true;
	}
	return false;
}

/** The ports of one end, for an endpoint. @return false: none at all, so the rule never matches. */
static bool end_ports(const struct policy_end *end, uint8_t protocol,
	const struct identity *identity, struct ranges *out)
{
	struct ranges all = { 0 }, not = { 0 };

	*out = (struct ranges){ 0 };
	if (end->ports.count == 0 && end->not_ports.count == 0)
		return true;
	if (end->ports.count == 0)
		ranges_add(&all, 0, UINT16_MAX);
	else
		ranges_of(&all, &end->ports, protocol, identity);
	ranges_merge(&all);
	ranges_of(&not, &end->not_ports, protocol, identity);
	*out = ranges_subtract(&all, &not );
	free(all.items);
	free(not .items);
	return out->count > 0;
}

static bool icmp_ranges(const struct policy_rule *rule, struct ranges *out)
{
	struct ranges all = { 0 }, not = { 0 };

	*out = (struct ranges){ 0 };
	if (rule->icmp_type == UINT32_MAX && rule->not_icmp_type == UINT32_MAX)
		return true;
	if (rule->icmp_type == UINT32_MAX)
		ranges_add(&all, 0, UINT16_MAX);
	else if (rule->icmp_code == UINT32_MAX)
		ranges_add(&all, (uint16_t)(rule->icmp_type << 8),
			(uint16_t)(rule->icmp_type << 8 | 0xff));
	else
		ranges_add(&all, (uint16_t)(rule->icmp_type << 8 | rule->icmp_code),
			(uint16_t)(rule->icmp_type << 8 | rule->icmp_code));
	if (rule->not_icmp_type != UINT32_MAX && rule->not_icmp_code == UINT32_MAX)
		ranges_add(&not, (uint16_t)(rule->not_icmp_type << 8),
			(uint16_t)(rule->not_icmp_type << 8 | 0xff));
	else if (rule->not_icmp_type != UINT32_MAX)
		ranges_add(&not, (uint16_t)(rule->not_icmp_type << 8 | rule->not_icmp_code),
			(uint16_t)(rule->not_icmp_type << 8 | rule->not_icmp_code));
	*out = ranges_subtract(&all, &not );
	free(all.items);
	free(not .items);
	return out->count > 0;
}

/* --- the list ------------------------------------------------------------------------------------------------- */

static struct ranges ranges_copy(const struct ranges *r)
{
	struct ranges copy = { .count = r->count };

	if (r->items != NULL) {
		copy.items = policy_alloc(r->count * sizeof(r->items[0]));
		memcpy(copy.items, r->items, r->count * sizeof(r->items[0]));
	}
	return copy;
}

/** Takes the ranges. */
static void put(struct flat_rules *out, const struct flat_rule *flat)
{
	if (out->count == out->room) {
		out->room = out->room == 0 ? 16 : out->room * 2;
		out->items = policy_realloc(out->items, out->room * sizeof(out->items[0]));
	}
	out->items[out->count++] = *flat;
}

static bool selects_any_set(const struct policy_state *s, const struct matcher *m)
{
	for (size_t i = 0; m != NULL && s->sets.buckets != NULL && i <= s->sets.mask; i++) {
		for (struct interned *t = s->sets.buckets[i]; t != NULL; t = t->next) {
			if (matcher_selects_set(m, (struct policy_set *)t))
				return true;
		}
	}
	return false;
}

/** By identity, and where sets have the labels that are asked for, by set as well. Takes the ranges. */
static void put_both(const struct policy_state *s, struct flat_rules *out, struct flat_rule *flat)
{
	struct flat_rule by_set = *flat;

	if (flat->is == NULL || !selects_any_set(s, flat->is)) {
		put(out, flat);
		return;
	}
	by_set.peer.member = flat->is;
	by_set.is = NULL;
	by_set.dports = ranges_copy(&flat->dports);
	by_set.sports = ranges_copy(&flat->sports);
	put(out, flat);
	put(out, &by_set);
}

/* --- named ports of peers ------------------------------------------------------------------------------------- */

static void name_note(struct flat_rules *out, const char *text)
{
	uint16_t first, last;

	if (is_range(text, &first, &last))
		return;
	for (uint32_t i = 0; i < out->n_names; i++) {
		if (strcmp(out->names[i], text) == 0)
			return;
	}
	out->names = policy_realloc(out->names, (out->n_names + 1) * sizeof(out->names[0]));
	out->names[out->n_names] = policy_alloc(strlen(text) + 1);
	strcpy(out->names[out->n_names++], text);
}

static struct bits *group_new(struct flat_rules *out)
{
	struct bits *group = policy_alloc(sizeof(*group));

	out->groups = policy_realloc(out->groups, (out->n_groups + 1) * sizeof(out->groups[0]));
	out->groups[out->n_groups++] = group;
	return group;
}

static bool ranges_equal(const struct ranges *a, const struct ranges *b)
{
	return a->count == b->count &&
	       (a->count == 0 || memcmp(a->items, b->items, a->count * sizeof(a->items[0])) == 0);
}

/** A rule that names ports of peers: one for each list of ports that the names stand for, and one for everybody else. */
static void put_named(const struct policy_state *s, struct flat_rules *out, struct flat_rule *flat,
	const struct policy_end *end, struct ranges *which)
{
	struct variant {
		struct ranges ranges;
		struct bits *only;
	} *variants = NULL;
	uint32_t n = 0;
	struct ranges plain = { 0 };
	bool plain_matches = end_ports(end, flat->protocol, NULL, &plain);
	const bool sets = selects_any_set(s, flat->is);
	struct bits *all = group_new(out);

	for (size_t i = 0; i < end->ports.count; i++)
		name_note(out, end->ports.items[i]);
	for (size_t i = 0; i < end->not_ports.count; i++)
		name_note(out, end->not_ports.items[i]);
	for (uint32_t id = 1; id < s->identity_next; id++) {
		const struct identity *identity = s->identity_by_id[id];
		struct ranges ranges = { 0 };
		uint32_t v = 0;

		if (identity == NULL || identity->n_ports == 0 ||
			(flat->is != NULL && !sets && !bit_get(&flat->is->members, id)))
			continue;
		end_ports(end, flat->protocol, identity, &ranges);
		if (ranges_equal(&ranges, &plain)) {
			free(ranges.items);
			continue;
		}
		while (v < n && !ranges_equal(&variants[v].ranges, &ranges))
			v++;
		if (v == n) {
			variants = policy_realloc(variants, (n + 1) * sizeof(*variants));
			variants[n++] = (struct variant){ ranges, group_new(out) };
		} else {
			free(ranges.items);
		}
		bit_set(variants[v].only, id, true);
		bit_set(all, id, true);
	}
	for (uint32_t v = 0; v < n; v++) {
		struct flat_rule copy = *flat;

		copy.dports = ranges_copy(&flat->dports);
		copy.sports = ranges_copy(&flat->sports);
		copy.only = variants[v].only;
		*(which == &flat->dports ? &copy.dports : &copy.sports) = variants[v].ranges;
		if (variants[v].ranges.count > 0) {
			put_both(s, out, &copy);
		} else {
			free(copy.dports.items);
			free(copy.sports.items);
		}
	}
	free(variants);
	*which = plain;
	flat->except = all;
	if (plain_matches) {
		put_both(s, out, flat);
	} else {
		free(flat->dports.items);
		free(flat->sports.items);
	}
}

/* --- rules ---------------------------------------------------------------------------------------------------- */

static const struct prefix_list *given(const struct prefix_list *list)
{
	return list->count > 0 ? list : NULL;
}

static struct address_terms address_terms(
	const struct policy_end *end, const struct matcher *is_not)
{
	return (struct address_terms){ .cidrs = given(&end->cidrs),
		.not_cidrs = given(&end->not_cidrs),
		.sets = end->sets.count > 0 ? &end->sets : NULL,
		.not_member = is_not };
}

static void flatten_rule(struct policy_state *s, const struct local *local, struct flat_rules *out,
	enum direction direction, const struct policy_entry *entry, uint32_t index)
{
	const struct policy *policy = &entry->object->policy;
	const struct policy_rule *rule =
		direction == EGRESS ? &policy->egress[index] : &policy->ingress[index];
	const struct rule_ends *ends = &entry->ends[direction][index];
	const struct policy_end *both[2] = { &rule->source, &rule->destination };
	const int self = direction == EGRESS ? 0 : 1, peer = 1 - self;
	struct flat_rule flat = { .rule = { .id = entry->rules[direction][index],
					  .action = (uint8_t)rule->action,
					  .on_change = (uint8_t)policy->on_change,
					  .stateless = policy->stateless },
		.protocol = protocol_number(rule->protocol),
		.not_protocol = protocol_number(rule->not_protocol),
		.ip_version = (uint8_t)rule->ip_version,
		.is = ends->is[peer],
		.is_not = ends->is_not[peer],
		.peer = address_terms(both[peer], ends->is_not[peer]),
		.self = address_terms(both[self], ends->is_not[self]) };
	struct ranges *of[2] = { &flat.sports, &flat.dports };
	bool matches;

	/* What it asks of this end's identity is known now. */
	if (ends->is_not[self] != NULL && matcher_selects(ends->is_not[self], local->identity))
		return;
	if (ends->is[self] != NULL && !matcher_selects(ends->is[self], local->identity)) {
		if (!selects_any_set(s, ends->is[self]))
			return;
		flat.self.member = ends->is[self];
	}
	matches = icmp_ranges(rule, &flat.dports);
	if (flat.dports.items == NULL && !names_ports(both[1]))
		matches = matches && end_ports(both[1], flat.protocol, NULL, &flat.dports);
	if (!names_ports(both[0]))
		matches = matches && end_ports(both[0], flat.protocol, NULL, &flat.sports);
	if (matches && names_ports(both[self]))
		matches = end_ports(both[self], flat.protocol, local->identity, of[self]);
	if (!matches) {
		free(flat.dports.items);
		free(flat.sports.items);
		return;
	}
	if (names_ports(both[peer]))
		put_named(s, out, &flat, both[peer], of[peer]);
	else
		put_both(s, out, &flat);
}

/** `last` is the policy that it is the end of: what that says of changes holds for the default action, too. */
static void end_of_tier(struct flat_rules *out, const struct policy_entry *last,
	enum direction direction, uint32_t first)
{
	const struct policy_tier *tier = last->tier;
	struct flat_rule end = {
		.rule = { .id = tier->default_rule[direction],
			.on_change = (uint8_t)last->object->policy.on_change,
			.action = tier->default_action == TIER_PASS ? RULE_PASS : RULE_DENY }
	};

	put(out, &end);
	for (uint32_t i = first; i < out->count; i++)
		out->items[i].rule.next = out->count;
}

static void failsafe(struct policy_state *s, struct flat_rules *out, enum direction direction)
{
	const struct string_list *list =
		direction == EGRESS ? &s->node->node.failsafe_out : &s->node->node.failsafe_in;

	for (size_t i = 0; i < list->count; i++) {
		struct flat_rule flat = { .rule = { .id = s->failsafe_rule[direction],
						  .action = RULE_ALLOW } };
		uint16_t port = (uint16_t)strtoul(list->items[i], NULL, 10);

		flat.protocol = protocol_number(strchr(list->items[i], '/') + 1);
		ranges_add(&flat.dports, port, port);
		put(out, &flat);
	}
}

void flatten(struct policy_state *s, const struct local *local, enum direction direction,
	bool staged, struct flat_rules *out)
{
	const struct policy_entry *last = NULL;
	uint32_t first = 0;

	*out = (struct flat_rules){ 0 };
	if (local->host && s->node != NULL)
		failsafe(s, out, direction);
	/* Stateless policies come first and end nothing. */
	for (uint32_t pass = local->host ? 0 : 1; pass < 2; pass++) {
		for (uint32_t i = 0; i < local->n_policies; i++) {
			const struct policy_entry *entry = local->policies[i];
			const struct policy *policy = &entry->object->policy;

			if (!entry->applies[direction] || (policy->staged && !staged) ||
				policy->stateless != (pass == 0))
				continue;
			if (pass == 1 && (last == NULL || entry->tier != last->tier)) {
				if (last != NULL)
					end_of_tier(out, last, direction, first);
				first = out->count;
			}
			if (pass == 1)
				last = entry;
			for (uint32_t r = 0; r < entry->n_rules[direction]; r++)
				flatten_rule(s, local, out, direction, entry, r);
		}
		if (pass == 0) {
			for (uint32_t i = 0; i < out->count; i++)
				out->items[i].rule.next = out->count;
		}
	}
	if (last != NULL)
		end_of_tier(out, last, direction, first);
}

void flat_rules_free(struct flat_rules *rules)
{
	for (uint32_t i = 0; i < rules->count; i++) {
		free(rules->items[i].dports.items);
		free(rules->items[i].sports.items);
	}
	for (uint32_t i = 0; i < rules->n_groups; i++) {
		free(rules->groups[i]->words);
		free(rules->groups[i]);
	}
	for (uint32_t i = 0; i < rules->n_names; i++)
		free(rules->names[i]);
	free(rules->names);
	free(rules->groups);
	free(rules->items);
	*rules = (struct flat_rules){ 0 };
}
