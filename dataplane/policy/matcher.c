/* SPDX-License-Identifier: Apache-2.0 */
/* What rules ask of identities. */
#include "dataplane/policy/state.h"

#include <stdlib.h>
#include <string.h>

bool matcher_selects(const struct matcher *m, const struct identity *identity)
{
	if ((identity->kind == ENDPOINT_NODE) != m->nodes)
		return false;
	if (m->namespace != NULL && identity->namespace != m->namespace)
		return false;
	if (m->namespaces != NULL && !selector_match(m->namespaces, identity->namespace->labels))
		return false;
	return m->selector == NULL || selector_match(m->selector, identity->labels);
}

bool matcher_selects_set(const struct matcher *m, const struct policy_set *set)
{
	if (m->nodes || (m->namespace != NULL && set->namespace != m->namespace))
		return false;
	if (m->namespaces != NULL &&
		!selector_match(
			m->namespaces, set->namespace != NULL ? set->namespace->labels : NULL))
		return false;
	return m->selector == NULL || selector_match(m->selector, set->labels);
}

static struct selector *parse(const char *text)
{
	struct selector *selector;

	if (text[0] == '\0')
		return NULL;
	selector = selector_parse(text, NULL); /* it was read before */
	if (selector == NULL)
		policy_out_of_memory();
	return selector;
}

struct matcher *matcher_use(struct policy_state *s, const char *namespace, const char *selector,
	const char *namespaces, const char *nodes)
{
	struct key_text key = { 0 };
	struct matcher *m;

	key_add_text(&key, namespace);
	key_add_text(&key, selector);
	key_add_text(&key, namespaces);
	key_add_text(&key, nodes);
	m = (struct matcher *)intern_find(&s->matchers, key.text, key.len);
	if (m == NULL) {
		m = intern_add(&s->matchers, key.text, key.len, sizeof(*m));
		m->nodes = nodes[0] != '\0';
		m->selector = parse(m->nodes ? nodes : selector);
		m->namespaces = m->nodes ? NULL : parse(namespaces);
		if (!m->nodes && m->namespaces == NULL && namespace[0] != '\0')
			m->namespace = namespace_use(s, namespace);
		for (uint32_t id = 1; id < s->identity_next; id++) {
			const struct identity *identity = s->identity_by_id[id];

			if (identity != NULL && matcher_selects(m, identity))
				bit_set(&m->members, id, true);
		}
	}
	free(key.text);
	m->in.refs++;
	return m;
}

static void matcher_clear(struct policy_state *s, struct matcher *m)
{
	selector_free(m->selector);
	selector_free(m->namespaces);
	namespace_unuse(s, m->namespace);
	free(m->members.words);
}

void matcher_unuse(struct policy_state *s, struct matcher *m)
{
	if (m == NULL || --m->in.refs > 0)
		return;
	matcher_clear(s, m);
	intern_remove(&s->matchers, &m->in);
}

void matchers_add_identity(struct policy_state *s, struct identity *identity)
{
	for (size_t i = 0; s->matchers.buckets != NULL && i <= s->matchers.mask; i++) {
		for (struct interned *t = s->matchers.buckets[i]; t != NULL; t = t->next) {
			struct matcher *m = (struct matcher *)t;

			bit_set(&m->members, identity->id, matcher_selects(m, identity));
		}
	}
}

bool matchers_renew_namespace(struct policy_state *s, const struct policy_namespace *ns)
{
	bool changed = false;

	for (size_t i = 0; s->matchers.buckets != NULL && i <= s->matchers.mask; i++) {
		for (struct interned *t = s->matchers.buckets[i]; t != NULL; t = t->next) {
			struct matcher *m = (struct matcher *)t;

			for (uint32_t id = 1; m->namespaces != NULL && id < s->identity_next;
				id++) {
				const struct identity *identity = s->identity_by_id[id];
				bool is;

				if (identity == NULL || identity->namespace != ns)
					continue;
				is = matcher_selects(m, identity);
				changed = changed || is != bit_get(&m->members, id);
				bit_set(&m->members, id, is);
			}
		}
	}
	return changed;
}

void matchers_free(struct policy_state *s)
{
	for (size_t i = 0; s->matchers.buckets != NULL && i <= s->matchers.mask; i++) {
		for (struct interned *t = s->matchers.buckets[i]; t != NULL; t = t->next)
			matcher_clear(s, (struct matcher *)t);
	}
	intern_free(&s->matchers);
}
