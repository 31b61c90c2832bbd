/* SPDX-License-Identifier: Apache-2.0 */
/** Positions by hash: an open-addressed multimap from a 32-bit hash to an index of the caller's array. The caller compares
 * what lies there. Control thread only; private to config/.
 */
#ifndef CONFIG_NAME_INDEX_H
#define CONFIG_NAME_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_INDEX_NONE UINT32_MAX

struct name_index {
	struct name_slot {
		uint32_t hash;
		uint32_t position; /* NAME_INDEX_NONE = free */
	} * slots;
	uint32_t mask; /* slots - 1, or 0 while there are none */
	uint32_t count;
};

uint32_t name_hash(const char *text, uint32_t seed);
/** Make room for `more` additions, after which that many cannot fail. @return 0 or -ENOMEM. */
int name_index_reserve(struct name_index *index, size_t more);
/** Add, with room reserved. */
void name_index_add(struct name_index *index, uint32_t hash, uint32_t position);
/** Have the place of a hash in the cache by the time it is asked for: a large index is all cache misses otherwise. */
static inline void name_index_prefetch(const struct name_index *index, uint32_t hash)
{
	if (index->slots != NULL)
		__builtin_prefetch(&index->slots[hash & index->mask]);
}
/** Walk the positions of a hash: *cursor begins at 0 and belongs to the walk. @return NAME_INDEX_NONE at the end. */
uint32_t name_index_next(const struct name_index *index, uint32_t hash, uint32_t *cursor);
/** Remove one pair, which is there. */
void name_index_remove(struct name_index *index, uint32_t hash, uint32_t position);
/** A copy, for the same array positions. @return 0 or -ENOMEM. */
int name_index_copy(const struct name_index *from, struct name_index *to);
void name_index_free(struct name_index *index);

#endif
