/* SPDX-License-Identifier: Apache-2.0 */
/* Prefixes that rules and sets name. An address belongs to the innermost one, its leaf; what a rule thinks of an address it
 * thinks of its leaf, because every prefix that contains the address contains the leaf. */
#include "dataplane/policy/state.h"

#include "dataplane/fib.h"

#include <stdlib.h>
#include <string.h>

static unsigned family(const struct ip_prefix *prefix)
{
	return prefix->addr.family == IP_V6;
}

struct leaf *leaf_find(const struct policy_state *s, const struct ip_prefix *prefix)
{
	return (struct leaf *)intern_find(&s->leaves, prefix, sizeof(*prefix));
}

struct leaf *leaf_parent(const struct policy_state *s, const struct leaf *leaf)
{
	const uint32_t *lengths = s->leaf_lengths[family(&leaf->prefix)];

	for (unsigned len = leaf->prefix.len; len-- > 0;) {
		struct ip_prefix shorter = leaf->prefix;
		struct leaf *found;

		if (lengths[len] == 0)
			continue;
		shorter.len = (uint8_t)len;
		shorter = ip_prefix_canonical(&shorter);
		found = leaf_find(s, &shorter);
		if (found != NULL)
			return found;
	}
	return NULL;
}

/** In a version of the address map that is not published yet. */
static void map(struct policy_txn *txn, const struct leaf *leaf, uint32_t id)
{
	struct policy_state *s = txn->state;
	unsigned f = family(&leaf->prefix);

	if (txn->undoing) /* the old version is taken back as a whole */
		return;
	if (s->leaf_fib[f] == txn->old_leaf_fib[f]) {
		struct fib *edit = fib_edit(s->leaf_fib[f]);

		if (edit == NULL)
			policy_out_of_memory();
		s->leaf_fib[f] = edit;
	}
	if (fib_set(s->leaf_fib[f], &leaf->prefix, id, NULL) < 0)
		policy_out_of_memory();
}

static void leaf_admit(struct policy_txn *txn, struct leaf *leaf)
{
	struct policy_state *s = txn->state;

	leaf->id = s->n_free_leaves > 0 ? s->free_leaves[--s->n_free_leaves] : s->leaf_next++;
	if (leaf->id >= s->leaf_room) {
		uint32_t room = s->leaf_room == 0 ? 256 : s->leaf_room * 2;

		s->leaf_by_id = policy_realloc(s->leaf_by_id, room * sizeof(s->leaf_by_id[0]));
		memset(s->leaf_by_id + s->leaf_room, 0,
			(room - s->leaf_room) * sizeof(s->leaf_by_id[0]));
		s->leaf_room = room;
	}
	s->leaf_by_id[leaf->id] = leaf;
	s->leaf_lengths[family(&leaf->prefix)][leaf->prefix.len]++;
	map(txn, leaf, leaf->id);
	for (struct local *l = s->locals; l != NULL; l = l->next) {
		for (int d = 0; d < DIRECTIONS; d++) {
			if (l->programs[d] != NULL && !l->dirty[d] &&
				!program_add_leaf(s, l->programs[d], leaf))
				l->dirty[d] = true;
		}
	}
}

struct leaf *leaf_use(struct policy_txn *txn, const struct ip_prefix *prefix)
{
	struct policy_state *s = txn->state;
	struct leaf *leaf = leaf_find(s, prefix);

	if (leaf == NULL) {
		leaf = intern_add(&s->leaves, prefix, sizeof(*prefix), sizeof(*leaf));
		leaf->prefix = *prefix;
		leaf_admit(txn, leaf);
	}
	leaf->in.refs++;
	return leaf;
}

void leaf_unuse(struct policy_txn *txn, const struct ip_prefix *prefix)
{
	struct leaf *leaf = leaf_find(txn->state, prefix);

	if (--leaf->in.refs > 0 || leaf->dying)
		return;
	leaf->dying = true;
	txn->dead_leaves = policy_realloc(
		txn->dead_leaves, (txn->n_dead_leaves + 1) * sizeof(txn->dead_leaves[0]));
	txn->dead_leaves[txn->n_dead_leaves++] = &leaf->in;
}

/** Addresses of a leaf that goes belong to its parent from then on, for which all programs think the same: they name neither.
 * So it may leave the map in the transaction that ends its last user. */
void leaves_unmap(struct policy_txn *txn)
{
	for (size_t i = 0; i < txn->n_dead_leaves; i++) {
		const struct leaf *leaf = (const struct leaf *)txn->dead_leaves[i];

		if (leaf->in.refs == 0)
			map(txn, leaf, FIB_NONE);
	}
}

void leaves_reap(struct policy_txn *txn, bool published)
{
	struct policy_state *s = txn->state;
	uint32_t *freed = policy_alloc(txn->n_dead_leaves * sizeof(*freed));
	size_t n = 0;

	for (size_t i = 0; i < txn->n_dead_leaves; i++) {
		struct leaf *leaf = (struct leaf *)txn->dead_leaves[i];

		leaf->dying = false;
		if (leaf->in.refs > 0)
			continue;
		freed[n++] = leaf->id;
		s->leaf_by_id[leaf->id] = NULL;
		s->leaf_lengths[family(&leaf->prefix)][leaf->prefix.len]--;
		intern_remove(&s->leaves, &leaf->in);
	}
	policy_numbers_free(s, true, freed, n, published);
	free(freed);
	free(txn->dead_leaves);
	txn->dead_leaves = NULL;
	txn->n_dead_leaves = 0;
}
