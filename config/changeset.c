/* SPDX-License-Identifier: Apache-2.0 */
#include "config/model_state.h"
#include "config/object.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT_AHEAD 8 /* edits: by then the cache line is there */

/* What a set learns while it is read: its edits against the present model, in apply order. Behind a pointer, since
 * reading does not change what the set means. */
struct edits {
	struct change *items; /* by position; both NULL = vanished */
	struct name_index index;
	uint32_t used, room;
	uint64_t version;    /* of the model that `before` was taken from */
	struct change *list; /* apply order */
	size_t list_count;
	long added[OBJECT_TYPE_COUNT];
	bool listed;
	bool applied; /* the edits have become the model: they stay as they were */
};

struct changeset {
	const struct model *base;
	struct edits *edits;
};

static enum object_type change_type(const struct change *change)
{
	return change->after != NULL ? change->after->type : change->before->type;
}

static const char *change_name(const struct change *change)
{
	return change->after != NULL ? change->after->name : change->before->name;
}

/* All nodes share a hash, so that a look-up without a name finds them. */
static uint32_t edit_hash(enum object_type type, const char *name)
{
	return type == OBJECT_NODE ? 0 : name_hash(name, type);
}

static uint32_t edit_find(const struct edits *edits, enum object_type type, const char *name)
{
	uint32_t cursor = 0, at, hash = edit_hash(type, name);

	while ((at = name_index_next(&edits->index, hash, &cursor)) != NAME_INDEX_NONE) {
		const struct change *change = &edits->items[at];

		if (change_type(change) == type && strcmp(change_name(change), name) == 0)
			break;
	}
	return at;
}

static void edit_drop(struct edits *edits, uint32_t at)
{
	struct change *change = &edits->items[at];

	name_index_remove(&edits->index, edit_hash(change_type(change), change_name(change)), at);
	object_unref(change->before);
	object_unref(change->after);
	*change = (struct change){ 0 };
}

static bool change_is_empty(const struct change *change)
{
	if (change->before == NULL || change->after == NULL)
		return change->before == change->after;
	return object_equal(change->before, change->after);
}

/* Other sets may have been committed since: see the edits against what the model has become. */
static void edits_refresh(const struct changeset *set)
{
	struct edits *edits = set->edits;

	if (edits->applied || edits->version == set->base->version)
		return;
	for (uint32_t i = 0; i < edits->used; i++) {
		struct change *change = &edits->items[i];
		struct change now = { .after = change->after };

		if (change->before == NULL && change->after == NULL)
			continue;
		now.before = model_find(set->base, change_type(change), change_name(change));
		if (now.before == change->before)
			continue;
		if (change_is_empty(&now)) {
			edit_drop(edits, i);
			continue;
		}
		if (now.before != NULL)
			object_ref(now.before);
		object_unref(change->before);
		*change = now;
	}
	edits->version = set->base->version;
	edits->listed = false;
}

struct changeset *changeset_new(const struct model *base)
{
	struct changeset *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	set->base = base;
	set->edits = calloc(1, sizeof(*set->edits));
	if (set->edits == NULL) {
		free(set);
		return NULL;
	}
	set->edits->version = base->version;
	return set;
}

void changeset_free(struct changeset *set)
{
	struct edits *edits;

	if (set == NULL)
		return;
	edits = set->edits;
	for (uint32_t i = 0; i < edits->used; i++) {
		object_unref(edits->items[i].before);
		object_unref(edits->items[i].after);
	}
	free(edits->items);
	free(edits->list);
	name_index_free(&edits->index);
	free(edits);
	free(set);
}

static int edits_reserve(struct edits *edits, size_t more)
{
	size_t room = edits->room == 0 ? 8 : edits->room;
	struct change *grown;

	if (edits->used + more <= edits->room)
		return name_index_reserve(&edits->index, more);
	while (room < edits->used + more)
		room *= 2;
	if (room > UINT32_MAX)
		return -ENOMEM;
	grown = realloc(edits->items, room * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	edits->items = grown;
	edits->room = (uint32_t)room;
	return name_index_reserve(&edits->index, more);
}

int changeset_reserve(struct changeset *set, size_t more)
{
	return edits_reserve(set->edits, more);
}

void changeset_expect(const struct changeset *set, enum object_type type, const char *name)
{
	name_index_prefetch(&set->base->tables[type].index, name_hash(name, 0));
	name_index_prefetch(&set->edits->index, edit_hash(type, name));
}

/* Takes the references of change. */
static int edit_add(struct edits *edits, struct change change)
{
	if (edits_reserve(edits, 1) < 0) {
		object_unref(change.before);
		object_unref(change.after);
		return -ENOMEM;
	}
	edits->items[edits->used] = change;
	name_index_add(&edits->index, edit_hash(change_type(&change), change_name(&change)),
		edits->used++);
	return 0;
}

static struct object *ref_or_null(struct object *obj)
{
	return obj != NULL ? object_ref(obj) : NULL;
}

int changeset_put(struct changeset *set, struct object *obj, struct error *err)
{
	struct edits *edits = set->edits;
	struct change change = { .after = obj };
	uint32_t at;

	edits_refresh(set);
	edits->listed = false;
	change.before = ref_or_null(model_find(set->base, obj->type, obj->name));
	at = edit_find(edits, obj->type, obj->name);
	if (change.before != NULL)
		obj->row = change.before->row;
	else if (at != NAME_INDEX_NONE && edits->items[at].after->row != 0)
		obj->row = edits->items[at].after->row;
	if (at != NAME_INDEX_NONE)
		edit_drop(edits, at);
	if (change_is_empty(&change)) {
		object_unref(change.before);
		object_unref(obj);
		return 0;
	}
	if (edit_add(edits, change) < 0)
		return error_set(err, ENOMEM, NULL, "out of memory while collecting changes");
	return 0;
}

int changeset_delete(
	struct changeset *set, enum object_type type, const char *name, struct error *err)
{
	const struct object_schema *schema = &object_schemas[type];
	struct edits *edits = set->edits;
	struct change change = { 0 };
	char shown[LABEL_MAX], path[LABEL_MAX + 16];
	uint32_t at;

	edits_refresh(set);
	change.before = ref_or_null(model_find(set->base, type, name));
	at = edit_find(edits, type, name);
	if (at != NAME_INDEX_NONE ? edits->items[at].after == NULL : change.before == NULL) {
		object_unref(change.before);
		message_text(name, shown);
		snprintf(path, sizeof(path), "%s/%s", schema->plural, shown);
		return error_set(
			err, ENOENT, path, "there is no %s %s to delete", schema->name, shown);
	}
	edits->listed = false;
	if (at != NAME_INDEX_NONE)
		edit_drop(edits, at);
	if (change.before != NULL && edit_add(edits, change) < 0)
		return error_set(err, ENOMEM, NULL, "out of memory while collecting changes");
	return 0;
}

static struct object *find_node(const struct changeset *set)
{
	const struct edits *edits = set->edits;
	struct object *node = model_find(set->base, OBJECT_NODE, NULL);
	uint32_t cursor = 0, at;

	while ((at = name_index_next(&edits->index, edit_hash(OBJECT_NODE, NULL), &cursor)) !=
		NAME_INDEX_NONE) {
		const struct change *change = &edits->items[at];

		if (change_type(change) != OBJECT_NODE)
			continue;
		if (change->after != NULL)
			return change->after;
		if (node != NULL && strcmp(node->name, change->before->name) == 0)
			node = NULL;
	}
	return node;
}

struct object *changeset_find(const struct changeset *set, enum object_type type, const char *name)
{
	uint32_t at;

	edits_refresh(set);
	if (name == NULL)
		return find_node(set);
	at = edit_find(set->edits, type, name);
	return at != NAME_INDEX_NONE ? set->edits->items[at].after
				     : model_find(set->base, type, name);
}

static int removal_rank(const struct change *change)
{
	return OBJECT_TYPE_COUNT - 1 - (int)change_type(change);
}

static int edit_rank(const struct change *change)
{
	return change->after == NULL ? removal_rank(change)
				     : OBJECT_TYPE_COUNT + (int)change_type(change);
}

/* A counting sort by rank, so that edits of a kind stay in the order they were made. */
static void edits_list(struct edits *edits)
{
	size_t at[2 * OBJECT_TYPE_COUNT + 1] = { 0 };

	if (edits->listed)
		return;
	memset(edits->added, 0, sizeof(edits->added));
	for (uint32_t i = 0; i < edits->used; i++) {
		const struct change *change = &edits->items[i];

		if (change->before == NULL && change->after == NULL)
			continue;
		at[edit_rank(change) + 1]++;
		edits->added[change_type(change)] +=
			(change->after != NULL) - (change->before != NULL);
	}
	for (size_t rank = 1; rank <= 2 * OBJECT_TYPE_COUNT; rank++)
		at[rank] += at[rank - 1];
	edits->list_count = at[2 * OBJECT_TYPE_COUNT];
	edits->list = must_realloc(edits->list, (edits->list_count + 1) * sizeof(*edits->list));
	for (uint32_t i = 0; i < edits->used; i++) {
		const struct change *change = &edits->items[i];

		if (change->before != NULL || change->after != NULL)
			edits->list[at[edit_rank(change)]++] = *change;
	}
	edits->listed = true;
}

const struct change *changeset_changes(const struct changeset *set, size_t *count)
{
	edits_refresh(set);
	edits_list(set->edits);
	*count = set->edits->list_count;
	return set->edits->list;
}

size_t changeset_count(const struct changeset *set, enum object_type type)
{
	long count = (long)model_count(set->base, type);

	edits_refresh(set);
	edits_list(set->edits);
	if (set->edits->applied)
		return (size_t)count;
	return (size_t)(count + set->edits->added[type]);
}

const struct model *changeset_base(const struct changeset *set)
{
	return set->base;
}

/* The same edits backwards. */
static struct changeset *changeset_reverse(const struct changeset *set)
{
	struct changeset *reverse = changeset_new(set->base);
	const struct edits *from = set->edits;
	struct edits *to;

	if (reverse == NULL)
		out_of_memory(sizeof(*reverse));
	to = reverse->edits;
	if (name_index_copy(&from->index, &to->index) < 0)
		out_of_memory(0);
	to->items = must_realloc(NULL, (from->used + 1) * sizeof(*to->items));
	to->used = from->used;
	to->room = from->used + 1;
	for (uint32_t i = 0; i < from->used; i++) {
		to->items[i].before = ref_or_null(from->items[i].after);
		to->items[i].after = ref_or_null(from->items[i].before);
	}
	return reverse;
}

static void table_expect(const struct model *model, const struct change *change)
{
	name_index_prefetch(
		&model->tables[change_type(change)].index, name_hash(change_name(change), 0));
}

void model_apply(struct model *model, struct changeset *set, struct changeset **undo)
{
	size_t count;
	const struct change *changes = changeset_changes(set, &count);

	for (size_t type = 0; type < OBJECT_TYPE_COUNT; type++) {
		if (set->edits->added[type] > 0)
			table_reserve(&model->tables[type], (size_t)set->edits->added[type]);
	}
	for (size_t i = 0; i < count; i++) {
		const struct change *change = &changes[i];
		struct object_table *table = &model->tables[change_type(change)];

		if (i + EXPECT_AHEAD < count)
			table_expect(model, &changes[i + EXPECT_AHEAD]);
		if (change->before != NULL)
			claims_remove(model->claims, change->before);
		if (change->after != NULL) {
			claims_add(model->claims, change->after);
			table_put(table, change->after);
		} else {
			table_remove(table, change->before->name);
		}
	}
	model->version++;
	set->edits->applied = true;
	if (undo != NULL)
		*undo = changeset_reverse(set);
}
