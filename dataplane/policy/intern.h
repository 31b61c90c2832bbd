/* SPDX-License-Identifier: Apache-2.0 */
/** Things that are equal when their keys are, kept once and counted: identities, matchers, prefixes, names. A thing begins
 * with a struct interned. What nobody uses any more stays until intern_remove, so that a transaction can be undone.
 * Control thread. An allocation that fails ends the process, as in rcu_retire: policy is never half built.
 */
#ifndef DATAPLANE_POLICY_INTERN_H
#define DATAPLANE_POLICY_INTERN_H

#include <stddef.h>
#include <stdint.h>

struct interned {
	struct interned *next;
	uint64_t hash;
	uint32_t refs;
	uint32_t key_len;
	void *key; /* of malloc, owned */
};
struct intern {
	struct interned **buckets;
	size_t mask, count;
};

/** Says so in the log and ends the process. */
_Noreturn void policy_out_of_memory(void);
/** Zeroed memory, or the end of the process. */
void *policy_alloc(size_t size);
/** realloc of that; the new part is not zeroed. */
void *policy_realloc(void *memory, size_t size);

struct interned *intern_find(const struct intern *table, const void *key, size_t len);
/** Add a zeroed thing of `size` bytes with a copy of the key and no references yet. The key is not there. */
void *intern_add(struct intern *table, const void *key, size_t len, size_t size);
/** Take it out and free its key and itself. */
void intern_remove(struct intern *table, struct interned *thing);
void intern_free(
	struct intern *table); /* of the table; it is empty, or what is in it is freed by it */

/** A text that grows, for keys. */
struct key_text {
	char *text;
	size_t len, room;
};
void key_add(struct key_text *key, const void *bytes, size_t len);
/** The text and its zero, which separates it from what follows. */
void key_add_text(struct key_text *key, const char *text);

#endif
