/* SPDX-License-Identifier: Apache-2.0 */
/* From flat rules to bitmaps. */
#include "dataplane/policy/compile.h"

#include <stdlib.h>
#include <string.h>

/* --- identities ----------------------------------------------------------------------------------------------- */

static bool group_satisfied(const struct peer_group *g, uint32_t id)
{
	return (g->is == NULL || bit_get(&g->is->members, id)) &&
	       (g->is_not == NULL || !bit_get(&g->is_not->members, id)) &&
	       (g->only == NULL || bit_get(g->only, id)) &&
	       (g->except == NULL || !bit_get(g->except, id));
}

/** Rules by what they ask of the peer's identity. */
static void group_peers(struct policy_program *p)
{
	struct program_control *c = p->control;

	for (uint32_t i = 0; i < c->flat.count; i++) {
		const struct flat_rule *f = &c->flat.items[i];
		struct peer_group *g = NULL;

		/* Those alike are neighbours mostly; far ones are merely not shared. */
		for (uint32_t back = 0; back < 8 && c->n_groups > back && g == NULL; back++) {
			struct peer_group *o = &c->groups[c->n_groups - 1 - back];

			if (o->is == f->is && o->is_not == f->is_not && o->only == f->only &&
				o->except == f->except)
				g = o;
		}
		if (g == NULL) {
			if ((c->n_groups & (c->n_groups - 1)) == 0)
				c->groups = policy_realloc(c->groups,
					(c->n_groups == 0 ? 1 : c->n_groups * 2) * sizeof(*g));
			g = &c->groups[c->n_groups++];
			*g = (struct peer_group){ .is = f->is,
				.is_not = f->is_not,
				.only = f->only,
				.except = f->except };
		}
		if ((g->n_rules & (g->n_rules - 1)) == 0)
			g->rules = policy_realloc(g->rules,
				(g->n_rules == 0 ? 1 : g->n_rules * 2) * sizeof(g->rules[0]));
		g->rules[g->n_rules++] = i;
	}
}

/** The rules of all groups that an identity satisfies. */
static void identity_row(const struct policy_program *p, uint32_t id, uint64_t *row)
{
	const struct program_control *c = p->control;

	memset(row, 0, p->words * sizeof(*row));
	for (uint32_t g = 0; g < c->n_groups; g++) {
		for (uint32_t i = 0; i < c->groups[g].n_rules && group_satisfied(&c->groups[g], id);
			i++)
			rule_on(row, c->groups[g].rules[i]);
	}
}

/** A row for each identity that is not like nobody. */
struct identity_work {
	struct policy_program *p;
	uint32_t n_ids, count;
	uint32_t *at; /* by identity: row + 1 */
	uint64_t *base, *rows;
	uint32_t room;
};

static uint64_t *work_row(struct identity_work *w, uint32_t id)
{
	const uint32_t words = w->p->words;

	if (w->at[id] == 0) {
		if (w->count == w->room) {
			w->room = w->room == 0 ? 16 : w->room * 2;
			w->rows =
				policy_realloc(w->rows, (size_t)w->room * words * sizeof(uint64_t));
		}
		memcpy(w->rows + (size_t)w->count * words, w->base, words * sizeof(uint64_t));
		w->at[id] = ++w->count;
	}
	return w->rows + (size_t)(w->at[id] - 1) * words;
}

/** Set or clear a group's rules for those of `bits` for whom it differs from what nobody in particular gets. */
static void group_apply(
	struct identity_work *w, const struct peer_group *g, const struct bits *bits, bool in_base)
{
	for (uint32_t word = 0; bits != NULL && word < bits->room / 64; word++) {
		for (uint64_t left = bits->words[word]; left != 0; left &= left - 1) {
			const uint32_t id = word * 64 + (uint32_t)__builtin_ctzll(left);
			uint64_t *row;

			if (id >= w->n_ids || group_satisfied(g, id) == in_base)
				continue;
			row = work_row(w, id);
			for (uint32_t i = 0; i < g->n_rules; i++)
				(in_base ? rule_off : rule_on)(row, g->rules[i]);
		}
	}
}

static void compile_identities(const struct policy_state *s, struct policy_program *p)
{
	const struct program_control *c = p->control;
	struct identity_work w = { .p = p, .n_ids = s->identity_next };
	struct row_set set = { .program = p, .rows = &p->identity_rows };

	p->identity_room = s->identity_next * 2 + 64;
	p->identity_class = policy_alloc(p->identity_room * sizeof(p->identity_class[0]));
	w.at = policy_alloc(w.n_ids * sizeof(w.at[0]));
	w.base = policy_alloc(p->words * sizeof(w.base[0]));
	group_peers(p);
	identity_row(p, 0, w.base);
	for (uint32_t i = 0; i < c->n_groups; i++) {
		const struct peer_group *g = &c->groups[i];

		if (g->is != NULL || g->only != NULL) {
			group_apply(&w, g, g->is != NULL ? &g->is->members : g->only, false);
		} else {
			group_apply(&w, g, g->is_not != NULL ? &g->is_not->members : NULL, true);
			group_apply(&w, g, g->except, true);
		}
	}
	row_intern(&set, w.base); /* class 0 */
	for (uint32_t id = 1; id < w.n_ids; id++) {
		if (w.at[id] != 0)
			p->identity_class[id] = row_intern(&set, work_row(&w, id));
	}
	rows_grow(p, &p->identity_rows, p->identity_rows.count + 16 + p->identity_rows.count / 4);
	free(set.slots);
	free(w.rows);
	free(w.base);
	free(w.at);
}

bool program_add_identity(struct policy_program *program, const struct identity *identity)
{
	for (struct policy_program *p = program; p != NULL; p = p->staged) {
		const struct flat_rules *flat = &p->control->flat;
		uint64_t *row;
		uint32_t class;

		if (identity->id >= p->identity_room)
			return false;
		for (uint32_t n = 0; n < flat->n_names; n++) {
			for (uint32_t i = 0; i < identity->n_ports; i++) {
				if (strlen(flat->names[n]) == identity->ports[i].name_len &&
					memcmp(flat->names[n], identity->ports[i].name,
						identity->ports[i].name_len) == 0)
					return false;
			}
		}
		/* Of whoever had the number before and named ports. */
		for (uint32_t g = 0; g < flat->n_groups; g++)
			bit_set(flat->groups[g], identity->id, false);
		row = policy_alloc(p->words * sizeof(*row));
		identity_row(p, identity->id, row);
		for (class = 0; class < p->identity_rows.count; class ++) {
			if (memcmp(rows_at(p, &p->identity_rows, class) + p->summary, row,
				    p->words * sizeof(*row)) == 0)
				break;
		}
		if (class == p->identity_rows.count && class < p->identity_rows.room)
			row_append(p, &p->identity_rows, row);
		free(row);
		if (class >= p->identity_rows.count)
			return false;
		p->identity_class[identity->id] = class;
	}
	return true;
}

/* --- addresses ------------------------------------------------------------------------------------------------ */

struct mark {
	uint32_t rule;
	uint8_t kind;
	bool self;
};
struct own_leaf {
	struct leaf *leaf;
	struct mark *marks;
	uint32_t n_marks, class;
};
struct leaf_work {
	const struct policy_state *s;
	struct own_leaf *leaves;
	uint32_t count, room;
};

static void mark(struct leaf_work *work, const struct ip_prefix *prefix, uint32_t rule,
	enum mark_kind kind, bool self)
{
	struct leaf *leaf = leaf_find(work->s, prefix);
	struct own_leaf *own;

	if (leaf->mark == 0) {
		if (work->count == work->room) {
			work->room = work->room == 0 ? 16 : work->room * 2;
			work->leaves =
				policy_realloc(work->leaves, work->room * sizeof(work->leaves[0]));
		}
		work->leaves[work->count++] = (struct own_leaf){ .leaf = leaf };
		leaf->mark = work->count;
	}
	own = &work->leaves[leaf->mark - 1];
	if ((own->n_marks & (own->n_marks - 1)) == 0)
		own->marks = policy_realloc(own->marks,
			(own->n_marks == 0 ? 1 : own->n_marks * 2) * sizeof(own->marks[0]));
	own->marks[own->n_marks++] = (struct mark){ rule, (uint8_t)kind, self };
}

static void mark_list(struct leaf_work *work, const struct prefix_list *list, uint32_t rule,
	enum mark_kind kind, bool self)
{
	for (size_t i = 0; list != NULL && i < list->count; i++)
		mark(work, &list->items[i], rule, kind, self);
}

static void mark_members(struct leaf_work *work, const struct matcher *m, uint32_t rule,
	enum mark_kind kind, bool self)
{
	const struct intern *sets = &work->s->sets;

	for (size_t i = 0; m != NULL && sets->buckets != NULL && i <= sets->mask; i++) {
		for (struct interned *t = sets->buckets[i]; t != NULL; t = t->next) {
			const struct policy_set *set = (const struct policy_set *)t;

			if (matcher_selects_set(m, set))
				mark_list(work, &set->object->set.cidrs, rule, kind, self);
		}
	}
}

static void mark_terms(
	struct leaf_work *work, const struct address_terms *terms, uint32_t rule, bool self)
{
	mark_list(work, terms->cidrs, rule, MARK_CIDR, self);
	mark_list(work, terms->not_cidrs, rule, MARK_NOT, self);
	for (size_t i = 0; terms->sets != NULL && i < terms->sets->count; i++) {
		const char *name = terms->sets->items[i];
		const struct policy_set *set =
			(const struct policy_set *)intern_find(&work->s->sets, name, strlen(name));

		if (set != NULL && set->object != NULL)
			mark_list(work, &set->object->set.cidrs, rule, MARK_SET, self);
	}
	mark_members(work, terms->member, rule, MARK_MEMBER, self);
	mark_members(work, terms->not_member, rule, MARK_NOT, self);
}

/** Which rules ask for what of addresses. */
static void note_asked(struct policy_program *p)
{
	struct program_control *c = p->control;

	for (unsigned end = 0; end < 2; end++) {
		for (unsigned k = 0; k < MARK_NOT; k++)
			c->asked[end][k] = policy_alloc(p->words * sizeof(uint64_t));
		for (uint32_t i = 0; i < c->flat.count; i++) {
			const struct address_terms *terms =
				end == 1 ? &c->flat.items[i].self : &c->flat.items[i].peer;

			if (terms->cidrs != NULL)
				rule_on(c->asked[end][MARK_CIDR], i);
			if (terms->sets != NULL)
				rule_on(c->asked[end][MARK_SET], i);
			if (terms->member != NULL)
				rule_on(c->asked[end][MARK_MEMBER], i);
		}
	}
}

static bool asks_addresses(const struct address_terms *terms)
{
	return terms->cidrs != NULL || terms->not_cidrs != NULL || terms->sets != NULL ||
	       terms->member != NULL;
}

/** The rules that an address of this leaf satisfies at one end: it and all leaves around it have their say. */
static void leaf_row(const struct leaf_work *work, const struct policy_program *p,
	const struct own_leaf *own, bool self, uint64_t *scratch, uint64_t *row)
{
	const struct program_control *c = p->control;
	uint64_t *kinds[4];

	for (unsigned k = 0; k < 4; k++)
		kinds[k] = scratch + (size_t)k * p->words;
	memset(scratch, 0, 4 * (size_t)p->words * sizeof(*scratch));
	for (const struct leaf *leaf = own != NULL ? own->leaf : NULL; leaf != NULL;
		leaf = leaf_parent(work->s, leaf)) {
		const struct own_leaf *o = leaf->mark != 0 ? &work->leaves[leaf->mark - 1] : NULL;

		for (uint32_t m = 0; o != NULL && m < o->n_marks; m++) {
			if (o->marks[m].self == self)
				rule_on(kinds[o->marks[m].kind], o->marks[m].rule);
		}
	}
	for (uint32_t w = 0; w < p->words; w++) {
		row[w] = ~kinds[MARK_NOT][w];
		for (unsigned k = 0; k < MARK_NOT; k++)
			row[w] &= ~c->asked[self][k][w] | kinds[k][w];
	}
	if (p->n_rules % 64 != 0)
		row[p->words - 1] &= (UINT64_C(1) << p->n_rules % 64) - 1;
}

/** The class of any leaf: that of the nearest one around it that the program names. */
static uint32_t leaf_class_of(const struct leaf_work *work, const struct leaf *leaf)
{
	while (leaf != NULL && leaf->mark == 0)
		leaf = leaf_parent(work->s, leaf);
	return leaf != NULL ? work->leaves[leaf->mark - 1].class : 0;
}

static void compile_leaves(const struct policy_state *s, struct policy_program *p)
{
	const struct program_control *c = p->control;
	struct leaf_work work = { .s = s };
	struct program_rows pairs = { 0 };
	uint64_t *scratch, *row;

	for (uint32_t i = 0; i < c->flat.count; i++) {
		const struct flat_rule *f = &c->flat.items[i];

		mark_terms(&work, &f->peer, i, false);
		mark_terms(&work, &f->self, i, true);
		p->has_peer_leaf = p->has_peer_leaf || asks_addresses(&f->peer);
		p->has_self_leaf = p->has_self_leaf || asks_addresses(&f->self);
	}
	for (uint32_t l = 0; l < work.count; l++) {
		for (uint32_t m = 0; m < work.leaves[l].n_marks; m++) {
			p->has_peer_leaf = p->has_peer_leaf || !work.leaves[l].marks[m].self;
			p->has_self_leaf = p->has_self_leaf || work.leaves[l].marks[m].self;
		}
	}
	if (!p->has_peer_leaf && !p->has_self_leaf)
		return;
	note_asked(p);
	/* A class is a pair of rows, the peer's and this end's. */
	scratch = policy_alloc(4 * (size_t)p->words * sizeof(*scratch));
	row = policy_alloc(2 * (size_t)p->words * sizeof(*row));
	{
		struct policy_program pair = *p;
		struct row_set set = { .program = &pair, .rows = &pairs };

		pair.words = 2 * p->words;
		pair.summary = 0;
		pair.stride = pair.words;
		for (uint32_t l = 0; l <= work.count; l++) {
			const struct own_leaf *own = l > 0 ? &work.leaves[l - 1] : NULL;
			uint32_t class;

			leaf_row(&work, p, own, false, scratch, row);
			leaf_row(&work, p, own, true, scratch, row + p->words);
			class = row_intern(&set, row); /* class 0: in no leaf */
			if (l > 0)
				work.leaves[l - 1].class = class;
		}
		free(set.slots);
	}
	rows_grow(p, &p->leaf_rows, pairs.count);
	rows_grow(p, &p->self_rows, pairs.count);
	for (uint32_t r = 0; r < pairs.count; r++) {
		row_append(p, &p->leaf_rows, pairs.rows + (size_t)r * 2 * p->words);
		row_append(p, &p->self_rows, pairs.rows + (size_t)r * 2 * p->words + p->words);
	}
	p->leaf_room = s->leaf_next * 2 + 64;
	p->leaf_class = policy_alloc(p->leaf_room * sizeof(p->leaf_class[0]));
	for (uint32_t id = 1; id < s->leaf_next; id++) {
		if (s->leaf_by_id[id] != NULL)
			p->leaf_class[id] = leaf_class_of(&work, s->leaf_by_id[id]);
	}
	for (uint32_t l = 0; l < work.count; l++) {
		work.leaves[l].leaf->mark = 0;
		free(work.leaves[l].marks);
	}
	free(work.leaves);
	free(pairs.rows);
	free(scratch);
	free(row);
}

bool program_add_leaf(
	const struct policy_state *s, struct policy_program *program, const struct leaf *leaf)
{
	for (struct policy_program *p = program; p != NULL; p = p->staged) {
		const struct leaf *parent;

		if (p->leaf_class == NULL)
			continue;
		if (leaf->id >= p->leaf_room)
			return false;
		/* The program does not name it, or it would be compiled again. */
		parent = leaf_parent(s, leaf);
		p->leaf_class[leaf->id] = parent != NULL ? p->leaf_class[parent->id] : 0;
	}
	return true;
}

/* --- programs ------------------------------------------------------------------------------------------------- */

static struct policy_program *compile(
	struct policy_state *s, const struct local *local, enum direction direction, bool staged)
{
	struct policy_program *p = policy_alloc(sizeof(*p));

	p->control = policy_alloc(sizeof(*p->control));
	flatten(s, local, direction, staged, &p->control->flat);
	p->n_rules = p->control->flat.count;
	p->words = (p->n_rules + 63) / 64;
	p->summary = p->words > PROGRAM_SUMMARY_WORDS ? (p->words + 63) / 64 : 0;
	p->stride = p->words + p->summary;
	p->rules = policy_alloc(p->n_rules * sizeof(p->rules[0]));
	for (uint32_t i = 0; i < p->n_rules; i++)
		p->rules[i] = p->control->flat.items[i].rule;
	compile_identities(s, p);
	compile_leaves(s, p);
	compile_protocols(p);
	return p;
}

struct policy_program *program_compile(
	struct policy_txn *txn, const struct local *local, enum direction direction)
{
	bool any = false, staged = false;
	struct policy_program *p;

	for (uint32_t i = 0; i < local->n_policies; i++) {
		if (local->policies[i]->applies[direction]) {
			any = true;
			staged = staged || local->policies[i]->object->policy.staged;
		}
	}
	if (!any)
		return NULL;
	p = compile(txn->state, local, direction, false);
	if (staged)
		p->staged = compile(txn->state, local, direction, true);
	return p;
}

static void ports_free(struct program_ports *ports, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		free(ports[i].begins);
		free(ports[i].rows);
	}
	free(ports);
}

void program_free(void *arg)
{
	struct policy_program *p = arg;

	if (p == NULL)
		return;
	program_free(p->staged);
	for (uint32_t g = 0; g < p->control->n_groups; g++)
		free(p->control->groups[g].rules);
	for (unsigned k = 0; k < 2 * MARK_NOT; k++)
		free(p->control->asked[k / MARK_NOT][k % MARK_NOT]);
	free(p->control->groups);
	flat_rules_free(&p->control->flat);
	free(p->control);
	free(p->rules);
	free(p->identity_class);
	free(p->identity_rows.rows);
	free(p->leaf_class);
	free(p->leaf_rows.rows);
	free(p->self_rows.rows);
	free(p->port_rows.rows);
	free(p->family[0]);
	free(p->family[1]);
	ports_free(p->dports, p->n_protocols);
	ports_free(p->sports, p->n_protocols);
	free(p);
}
