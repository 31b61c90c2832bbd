/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: apply, compile, publish or undo. */
#include "dataplane/policy/state.h"

#include "dataplane/fib.h"
#include "dataplane/rcu.h"

#include <stdlib.h>

static void compile_dirty(struct policy_txn *txn)
{
	for (struct local *l = txn->state->locals; l != NULL; l = l->next) {
		for (int d = 0; d < DIRECTIONS; d++) {
			if (!l->dirty[d])
				continue;
			program_replaced(txn, l->programs[d]);
			l->programs[d] = program_compile(txn, l, (enum direction)d);
			l->dirty[d] = false;
			txn->ports_changed = true;
		}
	}
}

/** The table of now. */
static struct policy_table *table_build(const struct policy_state *s)
{
	uint32_t n = 0;
	struct policy_table *t;

	for (size_t i = 0; s->pods.buckets != NULL && i <= s->pods.mask; i++) {
		for (struct interned *p = s->pods.buckets[i]; p != NULL; p = p->next) {
			uint16_t port = ((struct local_pod *)p)->port;

			if (port != POLICY_PORT_NONE && port >= n)
				n = port + 1u;
		}
	}
	t = policy_alloc(sizeof(*t) + n * sizeof(t->ports[0]));
	t->n_ports = n;
	t->hits = (struct rule_hits *)(uintptr_t)&s->hits;
	t->state = s;
	for (unsigned f = 0; f < 2; f++) {
		t->identities[f] = s->identity_fib[f];
		t->leaves[f] = s->leaf_fib[f];
	}
	for (size_t i = 0; s->pods.buckets != NULL && i <= s->pods.mask; i++) {
		for (struct interned *p = s->pods.buckets[i]; p != NULL; p = p->next) {
			const struct local_pod *pod = (const struct local_pod *)p;

			if (pod->port == POLICY_PORT_NONE)
				continue;
			t->ports[pod->port].ingress = pod->local->programs[INGRESS];
			t->ports[pod->port].egress = pod->local->programs[EGRESS];
		}
	}
	return t;
}

int policy_prepare(struct policy_state *state, const struct changeset *set,
	const struct change *changes, size_t count, const struct policy_ports *pods,
	struct policy_txn **out, struct error *err)
{
	struct policy_txn *txn = policy_alloc(sizeof(*txn));

	(void)set;
	(void)err;
	txn->state = state;
	txn->changes = changes;
	txn->count = count;
	txn->ports = pods;
	txn->old_table = state->table;
	for (unsigned f = 0; f < 2; f++) {
		txn->old_identity_fib[f] = state->identity_fib[f];
		txn->old_leaf_fib[f] = state->leaf_fib[f];
	}
	for (; txn->applied < count; txn->applied++)
		policy_apply(txn, changes[txn->applied].before, changes[txn->applied].after);
	leaves_unmap(txn);
	compile_dirty(txn);
	for (unsigned f = 0; f < 2; f++) {
		txn->ports_changed = txn->ports_changed ||
				     state->identity_fib[f] != txn->old_identity_fib[f] ||
				     state->leaf_fib[f] != txn->old_leaf_fib[f];
		if (state->identity_fib[f] != txn->old_identity_fib[f])
			fib_seal(state->identity_fib[f]);
		if (state->leaf_fib[f] != txn->old_leaf_fib[f])
			fib_seal(state->leaf_fib[f]);
	}
	/* After an undone transaction the programs are others, though they say the same. */
	txn->table = txn->ports_changed || state->table == NULL || state->n_stale > 0
			     ? table_build(state)
			     : state->table;
	*out = txn;
	return 0;
}

struct policy_table *policy_txn_table(const struct policy_txn *txn)
{
	return txn->table;
}

void policy_txn_each_port(const struct policy_txn *txn,
	void (*visit)(void *arg, uint16_t port, bool egress, bool ingress), void *arg)
{
	const struct policy_table *old = txn->old_table, *new = txn->table;
	uint32_t n_old = old != NULL ? old->n_ports : 0,
		 n = n_old > new->n_ports ? n_old : new->n_ports;

	if (old == new)
		return;
	for (uint32_t p = 0; p < n; p++) {
		const void *was_in = p < n_old ? old->ports[p].ingress : NULL,
			   *was_out = p < n_old ? old->ports[p].egress : NULL;
		const void *in = p < new->n_ports ? new->ports[p].ingress : NULL,
			   *eg = p < new->n_ports ? new->ports[p].egress : NULL;

		if (was_in != in || was_out != eg)
			visit(arg, (uint16_t)p, was_out != eg, was_in != in);
	}
}

void policy_txn_each_address(const struct policy_txn *txn,
	void (*visit)(void *arg, const struct ip_prefix *prefix), void *arg)
{
	for (size_t i = 0; i < txn->n_addresses; i++)
		visit(arg, &txn->addresses[i]);
}

static void txn_free(struct policy_txn *txn)
{
	free(txn->dead_identities);
	free(txn->dead_leaves);
	free(txn->dead_rules);
	free(txn->replaced);
	free(txn->addresses);
	free(txn);
}

bool policy_table_used(const struct policy_table *table)
{
	for (uint32_t p = 0; p < table->n_ports; p++) {
		if (table->ports[p].ingress != NULL || table->ports[p].egress != NULL)
			return true;
	}
	return false;
}

void policy_table_retire(struct policy_table *table)
{
	rcu_retire(table, free);
}

void policy_commit(struct policy_txn *txn)
{
	struct policy_state *s = txn->state;

	s->table = txn->table;
	for (size_t i = 0; i < txn->n_replaced; i++)
		rcu_retire(txn->replaced[i], program_free);
	for (size_t i = 0; i < s->n_stale; i++)
		rcu_retire(s->stale[i], program_free);
	s->n_stale = 0;
	for (unsigned f = 0; f < 2; f++) {
		if (s->identity_fib[f] != txn->old_identity_fib[f])
			rcu_retire(txn->old_identity_fib[f], fib_free_version);
		if (s->leaf_fib[f] != txn->old_leaf_fib[f])
			rcu_retire(txn->old_leaf_fib[f], fib_free_version);
	}
	identities_reap(txn, true);
	leaves_reap(txn, true);
	policies_reap(txn);
	rules_reap(txn);
	txn_free(txn);
}

/** Whether the published table reads this program. It may be that of a local that has no pods any more; then it is not. */
static bool published(const struct policy_table *t, const struct policy_program *program)
{
	for (uint32_t p = 0; t != NULL && p < t->n_ports; p++) {
		if (t->ports[p].ingress == program || t->ports[p].egress == program)
			return true;
	}
	return false;
}

void policy_abort(struct policy_txn *txn)
{
	struct policy_state *s = txn->state;

	if (txn->table != txn->old_table)
		free(txn->table);
	for (unsigned f = 0; f < 2; f++) {
		if (s->identity_fib[f] != txn->old_identity_fib[f])
			fib_abort(s->identity_fib[f]);
		if (s->leaf_fib[f] != txn->old_leaf_fib[f])
			fib_abort(s->leaf_fib[f]);
		s->identity_fib[f] = txn->old_identity_fib[f];
		s->leaf_fib[f] = txn->old_leaf_fib[f];
	}
	txn->undoing = true;
	while (txn->applied-- > 0)
		policy_apply(
			txn, txn->changes[txn->applied].after, txn->changes[txn->applied].before);
	compile_dirty(txn);
	/* Programs of before are still read: they go with the table that has them. */
	for (size_t i = 0; i < txn->n_replaced; i++) {
		if (published(txn->old_table, txn->replaced[i])) {
			s->stale = policy_realloc(s->stale, (s->n_stale + 1) * sizeof(s->stale[0]));
			s->stale[s->n_stale++] = txn->replaced[i];
		} else {
			program_free(txn->replaced[i]);
		}
	}
	identities_reap(txn, false);
	leaves_reap(txn, false);
	policies_reap(txn);
	rules_reap(txn);
	txn_free(txn);
}
