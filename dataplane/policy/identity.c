/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces and identities. */
#include "dataplane/policy/state.h"

#include "dataplane/fib.h"
#include "dataplane/rcu.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define NAMESPACE_LABEL "kubernetes.io/metadata.name"

void bit_set(struct bits *bits, uint32_t i, bool on)
{
	if (i >= bits->room) {
		uint32_t room = (i + 64) / 64 * 64 * 2;

		if (!on)
			return;
		bits->words = policy_realloc(bits->words, room / 8);
		memset((char *)bits->words + bits->room / 8, 0, (room - bits->room) / 8);
		bits->room = room;
	}
	if (on)
		bits->words[i / 64] |= UINT64_C(1) << i % 64;
	else
		bits->words[i / 64] &= ~(UINT64_C(1) << i % 64);
}

/* --- namespaces ----------------------------------------------------------------------------------------------- */

void namespace_set_labels(
	struct policy_state *s, struct policy_namespace *ns, const struct string_list *labels)
{
	(void)s;
	free(ns->labels);
	ns->labels = label_set_new(labels, NAMESPACE_LABEL, ns->in.key);
	if (ns->labels == NULL)
		ns->labels = policy_alloc(sizeof(*ns->labels));
}

struct policy_namespace *namespace_use(struct policy_state *s, const char *name)
{
	struct policy_namespace *ns =
		(struct policy_namespace *)intern_find(&s->namespaces, name, strlen(name));

	if (ns == NULL) {
		ns = intern_add(&s->namespaces, name, strlen(name), sizeof(*ns));
		namespace_set_labels(s, ns, &(struct string_list){ 0 });
	}
	ns->in.refs++;
	return ns;
}

void namespace_unuse(struct policy_state *s, struct policy_namespace *ns)
{
	if (ns == NULL || --ns->in.refs > 0)
		return;
	free(ns->labels);
	intern_remove(&s->namespaces, &ns->in);
}

/* --- identities ----------------------------------------------------------------------------------------------- */

static int text_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/** A list's texts in order, so that the same labels in another order are the same identity. */
static void key_add_list(struct key_text *key, const struct string_list *list)
{
	char **sorted = policy_alloc(list->count * sizeof(*sorted));

	for (size_t i = 0; i < list->count; i++)
		sorted[i] = list->items[i];
	qsort(sorted, list->count, sizeof(*sorted), text_order);
	for (size_t i = 0; i < list->count; i++)
		key_add_text(key, sorted[i]);
	key_add_text(key, "");
	free(sorted);
}

static void ports_parse(struct identity *identity, const struct string_list *ports)
{
	size_t bytes = 0;
	char *text;

	for (size_t i = 0; i < ports->count; i++)
		bytes += strlen(ports->items[i]) + 1;
	identity->ports = policy_alloc(ports->count * sizeof(identity->ports[0]));
	identity->port_text = text = policy_alloc(bytes);
	for (size_t i = 0; i < ports->count; i++) {
		struct named_port *port = &identity->ports[identity->n_ports++];
		const char *equals, *slash;

		strcpy(text, ports->items[i]);
		equals = strchr(text, '=');
		slash = strrchr(text, '/');
		port->name = text;
		port->name_len = (uint8_t)(equals - text);
		port->port = (uint16_t)strtoul(equals + 1, NULL, 10);
		port->protocol = protocol_number(slash + 1);
		text += strlen(text) + 1;
	}
}

static uint32_t number_take(uint32_t **free_numbers, uint32_t *n_free, uint32_t *next)
{
	return *n_free > 0 ? (*free_numbers)[--*n_free] : (*next)++;
}

static void identity_admit(struct policy_state *s, struct identity *identity)
{
	identity->id = number_take(&s->free_identities, &s->n_free_identities, &s->identity_next);
	if (identity->id >= s->identity_room) {
		uint32_t room = s->identity_room == 0 ? 256 : s->identity_room * 2;

		s->identity_by_id =
			policy_realloc(s->identity_by_id, room * sizeof(s->identity_by_id[0]));
		memset(s->identity_by_id + s->identity_room, 0,
			(room - s->identity_room) * sizeof(s->identity_by_id[0]));
		s->identity_room = room;
	}
	s->identity_by_id[identity->id] = identity;
	matchers_add_identity(s, identity);
	for (struct local *l = s->locals; l != NULL; l = l->next) {
		for (int d = 0; d < DIRECTIONS; d++) {
			if (l->programs[d] != NULL && !l->dirty[d] &&
				!program_add_identity(l->programs[d], identity))
				l->dirty[d] = true;
		}
	}
}

struct identity *identity_use(struct policy_txn *txn, enum endpoint_kind kind,
	const char *namespace, const struct string_list *labels, const struct string_list *ports)
{
	static const struct string_list none;
	struct policy_state *s = txn->state;
	struct key_text key = { 0 };
	struct identity *identity;

	if (ports == NULL)
		ports = &none;
	key_add(&key, kind == ENDPOINT_NODE ? "n" : "p", 1);
	key_add_text(&key, kind == ENDPOINT_NODE ? "" : namespace);
	key_add_list(&key, labels);
	key_add_list(&key, ports);
	identity = (struct identity *)intern_find(&s->identities, key.text, key.len);
	if (identity == NULL) {
		identity = intern_add(&s->identities, key.text, key.len, sizeof(*identity));
		identity->kind = kind;
		identity->namespace = kind == ENDPOINT_NODE ? NULL : namespace_use(s, namespace);
		identity->labels = label_set_new(labels, NULL, NULL);
		if (identity->labels == NULL)
			identity->labels = policy_alloc(sizeof(*identity->labels));
		ports_parse(identity, ports);
		identity_admit(s, identity);
	}
	free(key.text);
	identity->in.refs++;
	return identity;
}

void identity_unuse(struct policy_txn *txn, struct identity *identity)
{
	if (--identity->in.refs > 0 || identity->dying)
		return;
	identity->dying = true;
	txn->dead_identities = policy_realloc(txn->dead_identities,
		(txn->n_dead_identities + 1) * sizeof(txn->dead_identities[0]));
	txn->dead_identities[txn->n_dead_identities++] = &identity->in;
}

void identity_free(struct policy_state *s, struct identity *identity)
{
	for (size_t i = 0; s->matchers.buckets != NULL && i <= s->matchers.mask; i++) {
		for (struct interned *t = s->matchers.buckets[i]; t != NULL; t = t->next)
			bit_set(&((struct matcher *)t)->members, identity->id, false);
	}
	s->identity_by_id[identity->id] = NULL;
	namespace_unuse(s, identity->namespace);
	free(identity->labels);
	free(identity->ports);
	free(identity->port_text);
	intern_remove(&s->identities, &identity->in);
}

/** Numbers whose users may still be on their way. */
struct numbers {
	struct policy_state *state;
	bool leaves;
	size_t count;
	uint32_t items[];
};

static void numbers_release(void *arg)
{
	struct numbers *n = arg;
	struct policy_state *s = n->state;
	uint32_t **list = n->leaves ? &s->free_leaves : &s->free_identities;
	uint32_t *count = n->leaves ? &s->n_free_leaves : &s->n_free_identities;

	*list = policy_realloc(*list, (*count + n->count) * sizeof(**list));
	memcpy(*list + *count, n->items, n->count * sizeof(**list));
	*count += (uint32_t)n->count;
	free(n);
}

void policy_numbers_free(
	struct policy_state *s, bool leaves, const uint32_t *items, size_t count, bool published)
{
	struct numbers *n;

	if (count == 0)
		return;
	n = policy_alloc(sizeof(*n) + count * sizeof(n->items[0]));
	n->state = s;
	n->leaves = leaves;
	n->count = count;
	memcpy(n->items, items, count * sizeof(n->items[0]));
	if (published)
		rcu_retire(n, numbers_release);
	else
		numbers_release(n);
}

void identities_reap(struct policy_txn *txn, bool published)
{
	struct policy_state *s = txn->state;
	uint32_t *freed = policy_alloc(txn->n_dead_identities * sizeof(*freed));
	size_t n = 0;

	for (size_t i = 0; i < txn->n_dead_identities; i++) {
		struct identity *identity = (struct identity *)txn->dead_identities[i];

		identity->dying = false;
		if (identity->in.refs > 0) /* it lives again */
			continue;
		freed[n++] = identity->id;
		identity_free(s, identity);
	}
	policy_numbers_free(s, false, freed, n, published);
	free(freed);
	free(txn->dead_identities);
	txn->dead_identities = NULL;
	txn->n_dead_identities = 0;
}
