/* SPDX-License-Identifier: Apache-2.0 */
#include "config/name_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint32_t name_hash(const char *text, uint32_t seed)
{
	uint64_t hash = 0xcbf29ce484222325u ^ seed;

	/* FNV-1a, then a finish that lets the low bits depend on all others. */
	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdu;
	return (uint32_t)(hash >> 32);
}

static void place(struct name_slot *slots, uint32_t mask, uint32_t hash, uint32_t position)
{
	uint32_t i = hash & mask;

	while (slots[i].position != NAME_INDEX_NONE)
		i = (i + 1) & mask;
	slots[i] = (struct name_slot){ hash, position };
}

int name_index_reserve(struct name_index *index, size_t more)
{
	size_t needed = index->count + more,
	       slots = index->slots != NULL ? index->mask + (size_t)1 : 0;
	struct name_slot *grown;

	if (needed * 4 <= slots * 3)
		return 0;
	if (slots == 0)
		slots = 16;
	while (needed * 4 > slots * 3)
		slots *= 2;
	if (slots > UINT32_MAX)
		return -ENOMEM;
	grown = malloc(slots * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	memset(grown, 0xff, slots * sizeof(*grown));
	for (size_t i = 0; index->slots != NULL && i <= index->mask; i++) {
		if (index->slots[i].position != NAME_INDEX_NONE)
			place(grown, (uint32_t)(slots - 1), index->slots[i].hash,
				index->slots[i].position);
	}
	free(index->slots);
	index->slots = grown;
	index->mask = (uint32_t)(slots - 1);
	return 0;
}

void name_index_add(struct name_index *index, uint32_t hash, uint32_t position)
{
	place(index->slots, index->mask, hash, position);
	index->count++;
}

uint32_t name_index_next(const struct name_index *index, uint32_t hash, uint32_t *cursor)
{
	if (index->slots == NULL)
		return NAME_INDEX_NONE;
	for (;;) {
		const struct name_slot *slot = &index->slots[(hash + *cursor) & index->mask];

		if (slot->position == NAME_INDEX_NONE)
			return NAME_INDEX_NONE;
		++*cursor;
		if (slot->hash == hash)
			return slot->position;
	}
}

void name_index_remove(struct name_index *index, uint32_t hash, uint32_t position)
{
	uint32_t mask = index->mask, hole = hash & mask, i;

	while (index->slots[hole].position != position || index->slots[hole].hash != hash)
		hole = (hole + 1) & mask;
	/* Move back what could not have been placed behind the hole otherwise: no tombstones. */
	for (i = (hole + 1) & mask; index->slots[i].position != NAME_INDEX_NONE;
		i = (i + 1) & mask) {
		uint32_t home = index->slots[i].hash & mask;

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			index->slots[hole] = index->slots[i];
			hole = i;
		}
	}
	index->slots[hole].position = NAME_INDEX_NONE;
	index->count--;
}

int name_index_copy(const struct name_index *from, struct name_index *to)
{
	size_t size = ((size_t)from->mask + 1) * sizeof(*from->slots);

	*to = *from;
	if (from->slots == NULL)
		return 0;
	to->slots = malloc(size);
	if (to->slots == NULL)
		return -ENOMEM;
	memcpy(to->slots, from->slots, size);
	return 0;
}

void name_index_free(struct name_index *index)
{
	free(index->slots);
	*index = (struct name_index){ 0 };
}
