/* SPDX-License-Identifier: Apache-2.0 */
#include "config/model.h"

#include "config/model_state.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

static uint32_t table_position(const struct object_table *table, const char *name, uint32_t hash)
{
	uint32_t cursor = 0, at;

	while ((at = name_index_next(&table->index, hash, &cursor)) != NAME_INDEX_NONE) {
		if (strcmp(table->objects[at]->name, name) == 0)
			break;
	}
	return at;
}

struct object *table_find(const struct object_table *table, const char *name)
{
	uint32_t at = table_position(table, name, name_hash(name, 0));

	return at != NAME_INDEX_NONE ? table->objects[at] : NULL;
}

void table_reserve(struct object_table *table, size_t more)
{
	size_t room = table->room == 0 ? 16 : table->room;

	if (more > table->n_vacant && table->used + more - table->n_vacant > table->room) {
		while (room < table->used + more - table->n_vacant)
			room *= 2;
		if (room > UINT32_MAX)
			out_of_memory(room);
		table->room = (uint32_t)room;
		table->objects = must_realloc(table->objects, room * sizeof(*table->objects));
		table->order = must_realloc(table->order, room * sizeof(*table->order));
	}
	if (name_index_reserve(&table->index, more) < 0)
		out_of_memory(0);
}

void table_put(struct object_table *table, struct object *obj)
{
	uint32_t hash = name_hash(obj->name, 0), at = table_position(table, obj->name, hash);

	object_ref(obj);
	if (at != NAME_INDEX_NONE) {
		object_unref(table->objects[at]);
		table->objects[at] = obj;
		return;
	}
	if (table->n_vacant > 0) {
		at = table->vacant[--table->n_vacant];
	} else {
		table_reserve(table, 1);
		at = table->used++;
	}
	if (name_index_reserve(&table->index, 1) < 0)
		out_of_memory(0);
	name_index_add(&table->index, hash, at);
	table->objects[at] = obj;
	table->order[table->ordered++] = at;
	table->live++;
}

/* Take removed positions out of order[]: linear, so it waits until a walk needs it or half of them are. */
static void table_compact(struct object_table *table)
{
	uint32_t kept = 0, sorted = 0;

	table->vacant = must_realloc(
		table->vacant, (table->n_vacant + table->dead) * sizeof(*table->vacant));
	for (uint32_t i = 0; i < table->ordered; i++) {
		if (i == table->sorted)
			sorted = kept;
		if (table->objects[table->order[i]] == NULL)
			table->vacant[table->n_vacant++] = table->order[i];
		else
			table->order[kept++] = table->order[i];
	}
	table->sorted = table->sorted == table->ordered ? kept : sorted;
	table->ordered = kept;
	table->dead = 0;
}

void table_remove(struct object_table *table, const char *name)
{
	uint32_t hash = name_hash(name, 0), at = table_position(table, name, hash);

	name_index_remove(&table->index, hash, at);
	object_unref(table->objects[at]);
	table->objects[at] = NULL;
	table->live--;
	table->dead++;
	if (table->dead > table->live + 1024)
		table_compact(table);
}

void table_free(struct object_table *table)
{
	for (uint32_t i = 0; i < table->used; i++)
		object_unref(table->objects[i]);
	free(table->objects);
	free(table->order);
	free(table->vacant);
	name_index_free(&table->index);
	*table = (struct object_table){ 0 };
}

/* --- order ---------------------------------------------------------------------------------------------------- */

/* The first bytes of a name as numbers: sorting looks at the names themselves only where those tie. */
struct sort_key {
	uint64_t head[2];
	const char *name;
	uint32_t position;
};

static int sort_key_compare(const void *a, const void *b)
{
	const struct sort_key *x = a, *y = b;

	for (int i = 0; i < 2; i++) {
		if (x->head[i] != y->head[i])
			return x->head[i] < y->head[i] ? -1 : 1;
	}
	return strcmp(x->name, y->name);
}

/* First of the sorted positions whose name is not before this one. */
static uint32_t lower_bound(const struct object_table *table, uint32_t end, const char *name)
{
	uint32_t begin = 0;

	while (begin < end) {
		uint32_t middle = begin + (end - begin) / 2;

		if (strcmp(table->objects[table->order[middle]]->name, name) < 0)
			begin = middle + 1;
		else
			end = middle;
	}
	return begin;
}

static void table_sort(struct object_table *table)
{
	struct sort_key *keys;
	uint32_t news, end, to;

	if (table->dead > 0)
		table_compact(table);
	news = table->ordered - table->sorted;
	if (news == 0)
		return;
	keys = must_alloc(news * sizeof(*keys));
	for (uint32_t i = 0; i < news; i++) {
		struct sort_key *key = &keys[i];

		key->position = table->order[table->sorted + i];
		key->name = table->objects[key->position]->name;
		/* Padded with zeros, which sort first as the end of a string does. */
		memcpy(key->head, key->name, strnlen(key->name, sizeof(key->head)));
		key->head[0] = be64toh(key->head[0]);
		key->head[1] = be64toh(key->head[1]);
	}
	qsort(keys, news, sizeof(*keys), sort_key_compare);
	/* From the back: what follows each new name moves once, to its final place. */
	end = table->sorted;
	to = table->ordered;
	for (uint32_t i = news; i-- > 0;) {
		uint32_t at = lower_bound(table, end, keys[i].name);

		to -= end - at;
		memmove(&table->order[to], &table->order[at], (end - at) * sizeof(*table->order));
		end = at;
		table->order[--to] = keys[i].position;
	}
	table->sorted = table->ordered;
	free(keys);
}

int table_each(
	struct object_table *table, int (*visit)(const struct object *obj, void *arg), void *arg)
{
	int ret = 0;

	table_sort(table);
	for (uint32_t i = 0; i < table->ordered && ret == 0; i++)
		ret = visit(table->objects[table->order[i]], arg);
	return ret;
}

/* --- models --------------------------------------------------------------------------------------------------- */

struct model *model_new(void)
{
	struct model *model = calloc(1, sizeof(*model));

	if (model == NULL)
		return NULL;
	model->tables = calloc(OBJECT_TYPE_COUNT, sizeof(*model->tables));
	model->claims = calloc(1, sizeof(*model->claims));
	if (model->tables == NULL || model->claims == NULL) {
		model_free(model);
		return NULL;
	}
	return model;
}

void model_free(struct model *model)
{
	if (model == NULL)
		return;
	for (size_t type = 0; model->tables != NULL && type < OBJECT_TYPE_COUNT; type++)
		table_free(&model->tables[type]);
	if (model->claims != NULL)
		claims_free(model->claims);
	free(model->tables);
	free(model->claims);
	free(model);
}

static struct object *only_object(const struct object_table *table)
{
	for (uint32_t i = 0; i < table->used; i++) {
		if (table->objects[i] != NULL)
			return table->objects[i];
	}
	return NULL;
}

struct object *model_find(const struct model *model, enum object_type type, const char *name)
{
	return name != NULL ? table_find(&model->tables[type], name)
			    : only_object(&model->tables[OBJECT_NODE]);
}

size_t model_count(const struct model *model, enum object_type type)
{
	return model->tables[type].live;
}

int model_each(const struct model *model, enum object_type type,
	int (*visit)(const struct object *obj, void *arg), void *arg)
{
	return table_each(&model->tables[type], visit, arg);
}
