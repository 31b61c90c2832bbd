/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to objects, walking the field table. */
#include "config/object.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lists of an object under construction. Most objects fit the room within; long lists spill to the heap. */
struct arena {
	size_t used;
	struct spill {
		struct spill *next;
		max_align_t data[];
	} * spills;
	_Alignas(max_align_t) char room[2048];
};

static void *arena_alloc(struct arena *arena, size_t size)
{
	struct spill *spill;

	size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	if (size <= sizeof(arena->room) - arena->used) {
		arena->used += size;
		return arena->room + arena->used - size;
	}
	spill = malloc(sizeof(*spill) + size);
	if (spill == NULL)
		return NULL;
	spill->next = arena->spills;
	arena->spills = spill;
	return spill->data;
}

static void arena_free(struct arena *arena)
{
	while (arena->spills != NULL) {
		struct spill *spill = arena->spills;

		arena->spills = spill->next;
		free(spill);
	}
}

struct reader {
	const struct object_schema *schema;
	struct error *err;
	/* Where the reader stands, for errors only. */
	const char *label; /* key of the object, or NULL while unknown */
	const char *field; /* or NULL */
	ssize_t index;	   /* in a list, -1 = not in one */
	const char *sub;   /* field of a group within a list, or NULL */
	ssize_t sub_index; /* in a list there, -1 = not in one */
	char *where;
	struct arena arena;
};

/* --- refusals ------------------------------------------------------------------------------------------------- */

static int fail(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct reader *r, const char *fmt, ...)
{
	char path[sizeof(r->err->path)], text[sizeof(r->err->text)], shown[LABEL_MAX],
		index[24] = "", sub_index[24] = "";
	const char *what = r->schema->singleton ? r->schema->name : r->schema->plural;
	va_list ap;

	if (r->index >= 0)
		snprintf(index, sizeof(index), "/%zd", r->index);
	if (r->sub != NULL && r->sub_index >= 0)
		snprintf(sub_index, sizeof(sub_index), "/%zd", r->sub_index);
	snprintf(r->where, FIELD_PATH_MAX, "%s%s%s%s%s", r->field != NULL ? r->field : "", index,
		r->sub != NULL ? "/" : "", r->sub != NULL ? r->sub : "", sub_index);
	snprintf(path, sizeof(path), "%s%s%s%s%s", what,
		r->label != NULL && !r->schema->singleton ? "/" : "",
		r->label != NULL && !r->schema->singleton ? message_text(r->label, shown) : "",
		r->field != NULL ? "/" : "", r->where);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_set(r->err, EINVAL, path, "%.90s: %.220s", path, text);
}

/* Where the place in the list that is being read is noted. */
static ssize_t *index_of(struct reader *r)
{
	return r->sub != NULL ? &r->sub_index : &r->index;
}

static int fail_memory(struct reader *r)
{
	return error_set(r->err, ENOMEM, NULL, "out of memory while reading a %s", r->schema->name);
}

static const char *type_text(const json_t *json, char *buf, size_t size)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return "a group { }";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
		return buf;
	case JSON_REAL:
		return "a fraction";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		return "null";
	}
	return "nothing";
}

static const char *wanted_text(const struct field *field, bool element, char *buf, size_t size)
{
	switch ((enum field_kind)field->kind) {
	case FIELD_STRING:
	case FIELD_ENUM:
	case FIELD_ADDRESS:
	case FIELD_PREFIX:
	case FIELD_MAC:
		snprintf(buf, size, "a string such as \"%s\"", field->example);
		break;
	case FIELD_UINT:
		/* A default outside the range has a meaning of its own. */
		snprintf(buf, size, "%sa number from %u to %u",
			field->min > 1 && field->default_text != NULL &&
					strcmp(field->default_text, "0") == 0
				? "0 or "
				: "",
			field->min, field->max);
		break;
	case FIELD_BOOL:
		snprintf(buf, size, "true or false");
		break;
	case FIELD_UINTS:
		if (element)
			snprintf(buf, size, "a number from 0 to %u", CPU_NUMBER_MAX);
		else
			snprintf(buf, size, "a list such as [ %s ]", field->example);
		break;
	case FIELD_ADDRESSES:
	case FIELD_PREFIXES:
	case FIELD_INTERFACE_ADDRESSES:
		snprintf(buf, size,
			element ? "a string such as \"%s\"" : "a list such as [ \"%s\" ]",
			field->example);
		break;
	case FIELD_STRINGS:
		snprintf(buf, size,
			element ? "a string such as \"%s\"" : "a list such as [ \"%s\" ]",
			field->example);
		break;
	case FIELD_GROUPS:
		snprintf(buf, size, element ? "a group such as %s" : "a list such as ( %s )",
			field->example);
		break;
	}
	return buf;
}

static int fail_type(struct reader *r, const struct field *field, bool element, const json_t *found)
{
	char wanted[128], text[32];

	return fail(r, "expected %s, found %s", wanted_text(field, element, wanted, sizeof(wanted)),
		type_text(found, text, sizeof(text)));
}

static const char *field_name_at(const void *fields, size_t i)
{
	return ((const struct field *)fields)[i].name;
}

static int fail_unknown(
	struct reader *r, const char *key, const struct field *fields, size_t n, const char *owner)
{
	const char *nearest = nearest_name(key, field_name_at, fields, n);
	char all[160];
	size_t used = 0;

	if (nearest != NULL)
		return fail(r, "unknown key: did you mean \"%s\"?", nearest);
	for (size_t i = 0; i < n && used < sizeof(all); i++)
		used += (size_t)snprintf(
			all + used, sizeof(all) - used, "%s%s", i > 0 ? ", " : "", fields[i].name);
	if (used >= sizeof(all))
		return fail(
			r, "unknown key: remove it; docs/objects.md lists what a %s has", owner);
	return fail(r, "unknown key: a %s has %s", owner, all);
}

/* --- values --------------------------------------------------------------------------------------------------- */

static int read_uint(
	struct reader *r, const struct field *field, const json_t *json, uint32_t *value)
{
	json_int_t n;

	if (!json_is_integer(json))
		return fail_type(r, field, false, json);
	n = json_integer_value(json);
	if ((n < field->min || n > field->max) &&
		!(field->default_text != NULL &&
			n == (json_int_t)strtoul(field->default_text, NULL, 10)))
		return fail_type(r, field, false, json);
	*value = (uint32_t)n;
	return 0;
}

/* The text of a JSON string, or NULL after a refusal. */
static const char *read_text(
	struct reader *r, const struct field *field, bool element, const json_t *json)
{
	const char *text = json_string_value(json);

	if (text == NULL) {
		fail_type(r, field, element, json);
		return NULL;
	}
	if (strlen(text) != json_string_length(json)) {
		fail(r, "has a zero byte: remove it");
		return NULL;
	}
	return text;
}

static int read_scalar(struct reader *r, const struct field *field, const json_t *json, void *body)
{
	void *at = FIELD_AT(body, field);
	struct field_reason why;
	const char *text;
	int ret;

	if (field->kind == FIELD_UINT)
		return read_uint(r, field, json, at);
	if (field->kind == FIELD_BOOL) {
		if (!json_is_boolean(json))
			return fail_type(r, field, false, json);
		*(bool *)at = json_is_true(json);
		return 0;
	}
	text = read_text(r, field, false, json);
	if (text == NULL)
		return -EINVAL;
	switch ((enum field_kind)field->kind) {
	case FIELD_STRING:
		ret = field_check_text(field, text, &why);
		*(const char **)at = text;
		break;
	case FIELD_ENUM:
		ret = field_parse_enum(field, text, at, &why);
		break;
	case FIELD_ADDRESS:
		ret = field_parse_address(field, text, at, &why);
		break;
	case FIELD_PREFIX:
		ret = field_parse_prefix(field, text, at, &why);
		break;
	default:
		ret = field_parse_mac(field, text, at, &why);
		break;
	}
	if (ret < 0)
		return fail(r, "%s", why.text);
	if ((field->flags & FIELD_SECRET) && strcmp(text, SECRET_MASK) == 0)
		return fail(r, "\"***\" hides a secret and is none: write the secret, or PATCH "
			       "without this key");
	return 0;
}

/* A text in a list, which is where the reader stands then; NULL after a refusal. */
static const char *read_item(
	struct reader *r, const struct field *field, const json_t *json, size_t i)
{
	*index_of(r) = (ssize_t)i;
	return read_text(r, field, true, json_array_get(json, i));
}

/* Of addresses of an interface the length does not count. */
static int prefix_order(const void *a, const void *b)
{
	const struct ip_prefix *x = *(const struct ip_prefix *const *)a,
			       *y = *(const struct ip_prefix *const *)b;

	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}
static int cidr_order(const void *a, const void *b)
{
	const struct ip_prefix *x = *(const struct ip_prefix *const *)a,
			       *y = *(const struct ip_prefix *const *)b;

	return memcmp(x, y, sizeof(*x));
}

/* One that is listed before, or NULL. Lists may be long. @return 0 or -ENOMEM. */
static int find_double(const struct prefix_list *list, bool cidrs, const struct ip_prefix **found)
{
	const struct ip_prefix **sorted = calloc(list->count + 1, sizeof(*sorted));
	int (*order)(const void *, const void *) = cidrs ? cidr_order : prefix_order;

	*found = NULL;
	if (sorted == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		sorted[i] = &list->items[i];
	qsort(sorted, list->count, sizeof(*sorted), order);
	for (size_t i = 1; i < list->count && *found == NULL; i++) {
		if (order(&sorted[i - 1], &sorted[i]) == 0)
			*found = sorted[i] > sorted[i - 1] ? sorted[i] : sorted[i - 1];
	}
	free(sorted);
	return 0;
}

static int read_prefixes(
	struct reader *r, const struct field *field, const json_t *json, struct prefix_list *list)
{
	const struct ip_prefix *twice;
	struct field_reason why;

	for (size_t i = 0; i < json_array_size(json); i++) {
		const char *text = read_item(r, field, json, i);

		if (text == NULL)
			return -EINVAL;
		if (field_parse_prefix(field, text, &list->items[i], &why) < 0)
			return fail(r, "%s", why.text);
	}
	if (find_double(list, field->kind == FIELD_PREFIXES, &twice) < 0)
		return fail_memory(r);
	if (twice == NULL)
		return 0;
	*index_of(r) = twice - list->items;
	return fail(r, "%s is listed twice: remove one",
		json_string_value(json_array_get(json, (size_t)(twice - list->items))));
}

static int read_addresses(
	struct reader *r, const struct field *field, const json_t *json, struct addr_list *list)
{
	struct field_reason why;

	for (size_t i = 0; i < json_array_size(json); i++) {
		const char *text = read_item(r, field, json, i);

		if (text == NULL)
			return -EINVAL;
		if (field_parse_address(field, text, &list->items[i], &why) < 0)
			return fail(r, "%s", why.text);
		for (size_t j = 0; j < i; j++) {
			if (ip_addr_equal(&list->items[i], &list->items[j]))
				return fail(r, "%s is listed twice: remove one", text);
		}
	}
	return 0;
}

static int read_uints(
	struct reader *r, const struct field *field, const json_t *json, struct uint_list *list)
{
	for (size_t i = 0; i < json_array_size(json); i++) {
		const json_t *item = json_array_get(json, i);
		json_int_t n = json_integer_value(item);

		*index_of(r) = (ssize_t)i;
		if (!json_is_integer(item) || n < 0 || n > CPU_NUMBER_MAX)
			return fail_type(r, field, true, item);
		list->items[i] = (uint32_t)n;
		for (size_t j = 0; j < i; j++) {
			if (list->items[j] == list->items[i])
				return fail(r, "%u is listed twice: remove one", list->items[i]);
		}
	}
	return 0;
}

static int read_strings(
	struct reader *r, const struct field *field, const json_t *json, struct string_list *list)
{
	struct field_reason why;

	for (size_t i = 0; i < json_array_size(json); i++) {
		const char *text = read_item(r, field, json, i);

		if (text == NULL)
			return -EINVAL;
		if (field_check_text(field, text, &why) < 0)
			return fail(r, "%s", why.text);
		list->items[i] =
			(char *)(uintptr_t)text; /* loose strings are never written through */
		for (size_t j = 0; j < i; j++) {
			char shown[LABEL_MAX];

			if (strcmp(list->items[j], text) == 0)
				return fail(r, "%s is listed twice: remove one",
					message_text(text, shown));
		}
	}
	return 0;
}

static int read_list(struct reader *r, const struct field *field, json_t *json, void *body);

static int read_groups(
	struct reader *r, const struct field *list_field, const json_t *json, char *elements)
{
	const struct field_group *group = list_field->group;
	const char *key;
	json_t *value;

	for (size_t i = 0; i < json_array_size(json); i++) {
		json_t *item = json_array_get(json, i);
		void *element = elements + i * group->size;

		r->index = (ssize_t)i;
		if (!json_is_object(item))
			return fail_type(r, list_field, true, item);
		memcpy(element, group_default(group), group->size);
		json_object_foreach (item, key, value) {
			const struct field *field;
			size_t f = 0;
			int ret;

			while (f < group->field_count && strcmp(group->fields[f].name, key) != 0)
				f++;
			r->sub = key;
			if (f == group->field_count)
				return fail_unknown(
					r, key, group->fields, group->field_count, group->name);
			field = &group->fields[f];
			if (json_is_null(value))
				continue;
			ret = field->kind >= FIELD_ADDRESSES
				      ? read_list(r, field, value, element)
				      : read_scalar(r, field, value, element);
			if (ret < 0)
				return ret;
		}
		r->sub = NULL;
	}
	return 0;
}

/* A list of one may be written without its brackets. */
static bool is_single(const struct field *field, const json_t *json)
{
	return field->kind == FIELD_GROUPS  ? json_is_object(json)
	       : field->kind == FIELD_UINTS ? json_is_integer(json)
					    : json_is_string(json);
}

static int read_list(struct reader *r, const struct field *field, json_t *json, void *body)
{
	static const uint8_t sizes[] = { [FIELD_ADDRESSES] = sizeof(struct ip_addr),
		[FIELD_PREFIXES] = sizeof(struct ip_prefix),
		[FIELD_INTERFACE_ADDRESSES] = sizeof(struct ip_prefix),
		[FIELD_UINTS] = sizeof(uint32_t),
		[FIELD_STRINGS] = sizeof(char *),
		[FIELD_GROUPS] = 0 };
	struct addr_list *list = FIELD_AT(body, field); /* all lists are { items, count } */
	size_t count = json_array_size(json);
	void *items;
	int ret;

	if (is_single(field, json)) {
		json_t *list_of_one = json_pack("[O]", json);

		if (list_of_one == NULL)
			return fail_memory(r);
		ret = read_list(r, field, list_of_one, body);
		json_decref(list_of_one); /* the value lives on in its object */
		return ret;
	}
	if (!json_is_array(json))
		return fail_type(r, field, false, json);
	if (count > field->max)
		return fail(r, "%zu entries are too many: at most %u fit", count, field->max);
	if (count < field->min)
		return fail(r, "is empty: give it a value, for example [ \"%s\" ]", field->example);
	items = arena_alloc(&r->arena,
		count * (field->kind == FIELD_GROUPS ? field->group->size : sizes[field->kind]));
	if (items == NULL)
		return fail_memory(r);
	list->items = items;
	list->count = count;
	switch ((enum field_kind)field->kind) {
	case FIELD_ADDRESSES:
		ret = read_addresses(r, field, json, list);
		break;
	case FIELD_UINTS:
		ret = read_uints(r, field, json, (struct uint_list *)list);
		break;
	case FIELD_STRINGS:
		ret = read_strings(r, field, json, (struct string_list *)list);
		break;
	case FIELD_GROUPS:
		ret = read_groups(r, field, json, items);
		break;
	default:
		ret = read_prefixes(r, field, json, (struct prefix_list *)list);
		break;
	}
	if (ret == 0)
		*index_of(r) = -1;
	return ret;
}

/* --- objects -------------------------------------------------------------------------------------------------- */

static int read_fields(struct reader *r, const json_t *json, struct object *loose)
{
	const struct object_schema *schema = r->schema;
	void *body = object_body(loose);
	uint64_t given = 0;
	const char *key;
	json_t *value;
	int ret;

	json_object_foreach ((json_t *)json, key, value) {
		const struct field *field = schema_field(schema, key);

		r->field = key;
		if (field == NULL)
			return fail_unknown(
				r, key, schema->fields, schema->field_count, schema->name);
		if (json_is_null(value))
			continue;
		given |= UINT64_C(1) << (field - schema->fields);
		ret = field->kind >= FIELD_ADDRESSES ? read_list(r, field, value, body)
						     : read_scalar(r, field, value, body);
		if (ret < 0)
			return ret;
	}
	for (size_t i = 0; i < schema->field_count; i++) {
		const struct field *field = &schema->fields[i];
		bool list = field->kind >= FIELD_ADDRESSES;

		r->field = field->name;
		if ((field->flags & FIELD_REQUIRED) && (given & UINT64_C(1) << i) == 0)
			return fail(r,
				list ? "is missing: give it, for example [ \"%s\" ]"
				     : "is missing: give it, for example \"%s\"",
				field->example);
	}
	r->field = NULL;
	return 0;
}

static const char *key_text(const struct object_schema *schema, const json_t *json)
{
	for (size_t i = 0; i < schema->field_count; i++) {
		if (schema->fields[i].flags & FIELD_KEY)
			return json_string_value(json_object_get(json, schema->fields[i].name));
	}
	return NULL;
}

int object_read(enum object_type type, const json_t *json, struct object **out, struct error *err,
	char *where)
{
	struct reader r;
	struct object loose = *object_default(type);
	char prefix[PREFIX_TEXT_MAX];
	int ret;

	r.schema = &object_schemas[type];
	r.err = err;
	r.label = NULL;
	r.field = NULL;
	r.index = -1;
	r.sub = NULL;
	r.sub_index = -1;
	r.where = where;
	r.arena.used = 0;
	r.arena.spills = NULL;
	where[0] = '\0';
	if (!json_is_object(json)) {
		char text[32];

		return fail(&r, "expected a group { }, found %s",
			json != NULL ? type_text(json, text, sizeof(text)) : "nothing");
	}
	r.label = key_text(r.schema, json);
	ret = read_fields(&r, json, &loose);
	if (ret == 0) {
		loose.name = type == OBJECT_ROUTE
				     ? (char *)ip_prefix_format(&loose.route.prefix, prefix)
				     : *(char **)object_body(&loose);
		ret = r.schema->check(&loose, err);
		if (ret < 0 && err != NULL) {
			/* The path ends with what object_error was given. */
			object_path(&loose, "", where, FIELD_PATH_MAX);
			if (strncmp(err->path, where, strlen(where)) == 0)
				snprintf(where, FIELD_PATH_MAX, "%s", err->path + strlen(where));
			else
				where[0] = '\0';
		}
	}
	if (ret == 0) {
		*out = object_pack(&loose);
		if (*out == NULL)
			ret = fail_memory(&r);
	}
	arena_free(&r.arena);
	return ret;
}

int object_from_json(
	enum object_type type, const json_t *json, struct object **out, struct error *err)
{
	char where[FIELD_PATH_MAX];

	return object_read(type, json, out, err, where);
}

int object_merge_json(
	const struct object *base, const json_t *patch, struct object **out, struct error *err)
{
	const struct object_schema *schema = &object_schemas[base->type];
	json_t *merged, *value;
	const char *key;
	int ret;

	if (!json_is_object(patch))
		return object_error(
			base, err, NULL, "expected an object with the fields to change");
	merged = object_to_json(base, true);
	if (merged == NULL)
		return error_set(
			err, ENOMEM, NULL, "out of memory while changing a %s", schema->name);
	json_object_foreach ((json_t *)patch, key, value) {
		const struct field *field = schema_field(schema, key);
		bool masked = field != NULL && (field->flags & FIELD_SECRET) &&
			      json_is_string(value) &&
			      strcmp(json_string_value(value), SECRET_MASK) == 0;

		/* No field is itself an object, so that the merge has one level; a null is the default. */
		if (!masked && json_object_set(merged, key, value) < 0) {
			json_decref(merged);
			return error_set(err, ENOMEM, NULL, "out of memory while changing a %s",
				schema->name);
		}
	}
	ret = object_from_json(base->type, merged, out, err);
	json_decref(merged);
	if (ret < 0)
		return ret;
	if (strcmp((*out)->name, base->name) != 0) {
		ret = object_error(base, err, base->type == OBJECT_ROUTE ? "prefix" : "name",
			"cannot be renamed: delete it and add %s", (*out)->name);
		object_unref(*out);
		return ret;
	}
	return object_set_source(*out, base->origin, base->file, base->line);
}
