/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/changes.h"

#include "config/schema.h"
#include "ctrl/daemon/helper.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT_AHEAD 8 /* edits */

/* One edit as read: put `object`, or delete (type, name). */
struct edit {
	struct object *object;
	char *name;
	enum object_type type;
};

int check_members(
	const json_t *json, const char *const *known, const char *where, struct error *err)
{
	const char *key;
	const json_t *value;

	json_object_foreach ((json_t *)json, key, value) {
		const char *const *k = known;

		while (*k != NULL && strcmp(*k, key) != 0)
			k++;
		if (*k == NULL)
			return error_set(
				err, EINVAL, key, "%s: unknown member \"%.40s\"", where, key);
	}
	return 0;
}

/* One element. */

static int read_put(const struct object_schema *schema, const json_t *json, struct edit *edit,
	struct error *err)
{
	const json_t *object = json_object_get(json, "object");

	if (json_object_get(json, "name") != NULL)
		return error_set(err, EINVAL, "name", "\"put\" takes \"object\", not \"name\"");
	if (object == NULL)
		return error_set(err, EINVAL, "object",
			"\"put\" needs \"object\" with the fields of a %s", schema->name);
	return object_from_json(schema->type, object, &edit->object, err);
}

static int read_delete(const struct object_schema *schema, const json_t *json, struct edit *edit,
	struct error *err)
{
	const char *name = json_string_value(json_object_get(json, "name"));

	if (name == NULL || json_object_get(json, "object") != NULL)
		return error_set(err, EINVAL, "name",
			"\"delete\" needs the \"name\" of a %s and nothing else", schema->name);
	if (schema->singleton)
		return error_set(err, EBUSY, "name", "the %s cannot be removed", schema->name);
	edit->type = schema->type;
	edit->name = strdup(name);
	return edit->name != NULL ? 0 : error_set(err, ENOMEM, NULL, "out of memory");
}

static int read_json(const json_t *json, struct edit *edit, struct error *err)
{
	static const char *const members[] = { "op", "type", "name", "object", NULL };
	const char *op = json_string_value(json_object_get(json, "op"));
	const char *type = json_string_value(json_object_get(json, "type"));
	const struct object_schema *schema;
	int ret;

	if (!json_is_object(json))
		return error_set(err, EINVAL, NULL,
			"a change must be an object: {\"op\": \"put\", \"type\": ..., ...}");
	ret = check_members(json, members, "change", err);
	if (ret < 0)
		return ret;
	if (type == NULL)
		return error_set(err, EINVAL, "type",
			"\"type\" is missing: expected a string such as \"peer\"");
	schema = schema_by_name(type);
	if (schema == NULL || strcmp(schema->name, type) != 0)
		return error_set(err, EINVAL, "type", "unknown object type \"%.40s\"", type);
	if (op != NULL && strcmp(op, "put") == 0)
		return read_put(schema, json, edit, err);
	if (op != NULL && strcmp(op, "delete") == 0)
		return read_delete(schema, json, edit, err);
	return error_set(err, EINVAL, "op", "\"op\" must be \"put\" or \"delete\"");
}

static bool slice_is(const struct slice *slice, const char *text)
{
	return slice->len == strlen(text) && memcmp(slice->at, text, slice->len) == 0;
}

static const struct object_schema *slice_schema(const struct slice *slice)
{
	for (size_t t = 0; t < OBJECT_TYPE_COUNT; t++) {
		const char *name = object_schemas[t].name;

		if (slice->len == strlen(name) + 2 &&
			memcmp(slice->at + 1, name, slice->len - 2) == 0)
			return &object_schemas[t];
	}
	return NULL;
}

/* The common changes, {"op":"put","type":T,"object":{...}} and {"op":"delete","type":T,"name":"..."} in any order. */
struct plain {
	const struct object_schema *schema;
	struct slice object, name; /* one of them; the name with its quotes */
};

/** @return false for any other change: let the JSON parser look at it. */
static bool is_plain(const struct slice *element, struct plain *plain)
{
	struct slice cursor = *element, key, value, op = { 0 }, type = { 0 };
	unsigned members = 0;
	int ret;

	*plain = (struct plain){ 0 };
	while ((ret = bulk_member(&cursor, &key, &value)) == 1) {
		members++;
		if (slice_is(&key, "\"op\""))
			op = value;
		else if (slice_is(&key, "\"type\""))
			type = value;
		else if (slice_is(&key, "\"object\""))
			plain->object = value;
		else if (slice_is(&key, "\"name\""))
			plain->name = value;
	}
	if (ret < 0 || members != 3 || type.len < 2)
		return false;
	plain->schema = slice_schema(&type);
	return plain->schema != NULL &&
	       slice_is(&op, plain->object.len != 0 ? "\"put\"" : "\"delete\"");
}

/** @return 0, -ENOMEM, or 1 when the name is not plain after all. */
static int read_plain_delete(const struct plain *plain, struct edit *edit)
{
	const struct slice *name = &plain->name;

	if (plain->schema->singleton || name->len < 2 || name->at[0] != '"')
		return 1;
	for (size_t i = 1; i < name->len - 1; i++) {
		if (name->at[i] < 0x20 || name->at[i] == '"' || name->at[i] == '\\')
			return 1;
	}
	edit->type = plain->schema->type;
	edit->name = strndup(name->at + 1, name->len - 2);
	return edit->name != NULL ? 0 : -ENOMEM;
}

static int read_element(const struct slice *element, struct edit *edit, struct error *err)
{
	struct plain plain;
	json_error_t why;
	json_t *json;
	int ret = is_plain(element, &plain) ? 0 : 1;

	if (ret == 0 && plain.object.len != 0)
		return object_from_text(
			plain.schema->type, plain.object.at, plain.object.len, &edit->object, err);
	if (ret == 0)
		ret = read_plain_delete(&plain, edit);
	if (ret <= 0)
		return ret == 0 ? 0 : error_set(err, ENOMEM, NULL, "out of memory");
	json = json_loadb(
		element->at, element->len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
	if (json == NULL)
		return -EBADMSG;
	ret = read_json(json, edit, err);
	json_decref(json);
	return ret;
}

/* All elements. */

struct reading {
	const struct slice *elements;
	struct edit *edits;
	size_t count;
	pthread_mutex_t lock; /* of the rest: the wrong element nearest to the beginning */
	size_t wrong;
	int ret;
	struct error err;
};

/** "changes/17/op" for what is wrong with the change itself; an object's fields have their own
 * path. */
static void locate(struct error *err, size_t index)
{
	char path[sizeof(err->path)];

	if (strchr(err->path, '/') != NULL)
		return;
	snprintf(path, sizeof(path), "changes/%zu%s%.60s", index, err->path[0] != '\0' ? "/" : "",
		err->path);
	memcpy(err->path, path, sizeof(path));
}

static void note_wrong(struct reading *r, size_t index, int ret, const struct error *err)
{
	pthread_mutex_lock(&r->lock);
	if (r->ret == 0 || index < r->wrong) {
		r->wrong = index;
		r->ret = ret;
		r->err = *err;
		locate(&r->err, index);
	}
	pthread_mutex_unlock(&r->lock);
}

static bool read_one(size_t i, void *arg)
{
	struct reading *r = arg;
	struct error err = { 0 };
	int ret = read_element(&r->elements[i], &r->edits[i], &err);

	if (ret < 0)
		note_wrong(r, i, ret, &err);
	return ret == 0;
}

static void expect(const struct changeset *set, const struct edit *edit)
{
	if (edit->object != NULL)
		changeset_expect(set, edit->object->type, edit->object->name);
	else
		changeset_expect(set, edit->type, edit->name);
}

static int put_edits(
	struct reading *r, const struct model *model, struct changeset *set, struct error *err)
{
	int ret = changeset_reserve(set, r->count);

	if (ret < 0)
		return error_set(err, ENOMEM, NULL, "out of memory");
	for (size_t i = 0; ret == 0 && i < r->count; i++) {
		struct edit *edit = &r->edits[i];

		if (i + EXPECT_AHEAD < r->count)
			expect(set, &edit[EXPECT_AHEAD]);
		if (edit->object != NULL) {
			const struct object *before =
				model_find(model, edit->object->type, edit->object->name);

			edit->object->origin = before != NULL ? before->origin : ORIGIN_API;
			ret = changeset_put(set, edit->object, err);
			edit->object = NULL;
		} else {
			ret = changeset_delete(set, edit->type, edit->name, err);
			/* The resource of the request is there; what it names is not. */
			if (ret == -ENOENT)
				ret = -EINVAL;
		}
		if (ret < 0 && err != NULL)
			locate(err, i);
	}
	return ret;
}

int changes_read(const struct slice *elements, size_t count, const struct model *model,
	struct changeset *set, struct error *err)
{
	struct reading r = { .elements = elements, .count = count };
	int ret;

	r.edits = calloc(count + 1, sizeof(*r.edits));
	if (r.edits == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	pthread_mutex_init(&r.lock, NULL);
	helper_each(count, read_one, &r);
	pthread_mutex_destroy(&r.lock);
	ret = r.ret;
	if (ret < 0)
		*err = r.err;
	else
		ret = put_edits(&r, model, set, err);
	for (size_t i = 0; i < count; i++) {
		object_unref(r.edits[i].object);
		free(r.edits[i].name);
	}
	free(r.edits);
	return ret;
}
