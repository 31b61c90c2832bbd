/* SPDX-License-Identifier: Apache-2.0 */
/* Bitmaps of a program, a bit a rule: each once, and which of its words are not empty. */
#include "dataplane/policy/compile.h"

#include <stdlib.h>
#include <string.h>

void summarize(const struct policy_program *p, uint64_t *row)
{
	for (uint32_t w = 0; w < p->summary; w++)
		row[w] = 0;
	for (uint32_t w = 0; p->summary > 0 && w < p->words; w++) {
		if (row[p->summary + w] != 0)
			row[w / 64] |= UINT64_C(1) << w % 64;
	}
}

static uint64_t row_hash(const struct policy_program *p, const uint64_t *words)
{
	uint64_t h = 0x9e3779b97f4a7c15u;

	for (uint32_t w = 0; w < p->words; w++) {
		h = (h ^ words[w]) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	return h;
}

uint32_t row_append(
	const struct policy_program *p, struct program_rows *rows, const uint64_t *words)
{
	uint64_t *row = rows->rows + (size_t)rows->count * p->stride;

	memcpy(row + p->summary, words, p->words * sizeof(*words));
	summarize(p, row);
	return rows->count++;
}

void rows_grow(const struct policy_program *p, struct program_rows *rows, uint32_t room)
{
	rows->rows = policy_realloc(rows->rows, (size_t)room * p->stride * sizeof(uint64_t));
	rows->room = room;
}

uint32_t row_intern(struct row_set *set, const uint64_t *words)
{
	const struct policy_program *p = set->program;
	struct program_rows *rows = set->rows;
	uint32_t at;

	if (set->slots == NULL || rows->count * 2 > set->mask) {
		uint32_t size = set->slots == NULL ? 64 : (set->mask + 1) * 2;

		free(set->slots);
		set->slots = policy_alloc(size * sizeof(*set->slots));
		set->mask = size - 1;
		for (uint32_t r = 0; r < rows->count; r++) {
			at = (uint32_t)row_hash(p, rows_at(p, rows, r) + p->summary) & set->mask;
			while (set->slots[at] != 0)
				at = (at + 1) & set->mask;
			set->slots[at] = r + 1;
		}
	}
	at = (uint32_t)row_hash(p, words) & set->mask;
	while (set->slots[at] != 0) {
		uint32_t r = set->slots[at] - 1;

		if (memcmp(rows_at(p, rows, r) + p->summary, words, p->words * sizeof(*words)) == 0)
			return r;
		at = (at + 1) & set->mask;
	}
	if (rows->count == rows->room)
		rows_grow(p, rows, rows->room == 0 ? 8 : rows->room * 2);
	set->slots[at] = rows->count + 1;
	return row_append(p, rows, words);
}
