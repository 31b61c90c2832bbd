/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/policy/intern.h"

#include "config/log.h"

#include <stdlib.h>
#include <string.h>

void policy_out_of_memory(void)
{
	LOG_ERROR("out of memory for policies");
	abort();
}

void *policy_alloc(size_t size)
{
	void *memory = calloc(1, size > 0 ? size : 1);

	if (memory == NULL)
		policy_out_of_memory();
	return memory;
}

void *policy_realloc(void *memory, size_t size)
{
	memory = realloc(memory, size > 0 ? size : 1);
	if (memory == NULL)
		policy_out_of_memory();
	return memory;
}

/* FNV-1a with a final mix: keys are the operator's, the table grows with them. */
static uint64_t key_hash(const void *key, size_t len)
{
	const uint8_t *b = key;
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ b[i]) * 0x100000001b3u;
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

struct interned *intern_find(const struct intern *table, const void *key, size_t len)
{
	uint64_t hash = key_hash(key, len);
	struct interned *t;

	if (table->buckets == NULL)
		return NULL;
	t = table->buckets[hash & table->mask];
	while (t != NULL && (t->hash != hash || t->key_len != len || memcmp(t->key, key, len) != 0))
		t = t->next;
	return t;
}

static void grow(struct intern *table)
{
	size_t size = table->buckets == NULL ? 64 : (table->mask + 1) * 2;
	struct interned **buckets = policy_alloc(size * sizeof(*buckets));

	for (size_t i = 0; table->buckets != NULL && i <= table->mask; i++) {
		struct interned *t = table->buckets[i], *next;

		for (; t != NULL; t = next) {
			next = t->next;
			t->next = buckets[t->hash & (size - 1)];
			buckets[t->hash & (size - 1)] = t;
		}
	}
	free(table->buckets);
	table->buckets = buckets;
	table->mask = size - 1;
}

void *intern_add(struct intern *table, const void *key, size_t len, size_t size)
{
	struct interned *t = policy_alloc(size);

	if (table->buckets == NULL || table->count > table->mask)
		grow(table);
	t->key = policy_alloc(len + 1);
	memcpy(t->key, key, len);
	t->key_len = (uint32_t)len;
	t->hash = key_hash(key, len);
	t->next = table->buckets[t->hash & table->mask];
	table->buckets[t->hash & table->mask] = t;
	table->count++;
	return t;
}

void intern_remove(struct intern *table, struct interned *thing)
{
	struct interned **at = &table->buckets[thing->hash & table->mask];

	while (*at != thing)
		at = &(*at)->next;
	*at = thing->next;
	table->count--;
	free(thing->key);
	free(thing);
}

void intern_free(struct intern *table)
{
	for (size_t i = 0; table->buckets != NULL && i <= table->mask; i++) {
		while (table->buckets[i] != NULL)
			intern_remove(table, table->buckets[i]);
	}
	free(table->buckets);
	*table = (struct intern){ 0 };
}

void key_add(struct key_text *key, const void *bytes, size_t len)
{
	if (key->len + len > key->room) {
		key->room = (key->len + len) * 2 + 64;
		key->text = policy_realloc(key->text, key->room);
	}
	memcpy(key->text + key->len, bytes, len);
	key->len += len;
}

void key_add_text(struct key_text *key, const char *text)
{
	key_add(key, text, strlen(text) + 1);
}
