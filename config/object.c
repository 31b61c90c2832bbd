/* SPDX-License-Identifier: Apache-2.0 */
#include "config/object.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *object_body(struct object *obj)
{
	return &obj->node;
}

const void *object_body_const(const struct object *obj)
{
	return &obj->node;
}

/* --- defaults ------------------------------------------------------------------------------------------------- */

/* "22/tcp 53/udp": words; once a process and a field. */
static void strings_default(const char *text, struct string_list *list)
{
	char *words = strdup(text), *rest = words, *word;
	char **items = calloc(strlen(text) / 2 + 1, sizeof(*items));

	if (words == NULL || items == NULL)
		abort();
	list->items = items;
	list->count = 0;
	while ((word = strsep(&rest, " ")) != NULL)
		items[list->count++] = word;
}

static void field_set_default(const struct field *field, void *body)
{
	const char *text = field->default_text;
	struct field_reason why;
	void *at = FIELD_AT(body, field);
	int ret = 0;

	switch ((enum field_kind)field->kind) {
	case FIELD_STRING:
		/* Loose strings are never written through. */
		*(const char **)at = text != NULL ? text : "";
		break;
	case FIELD_UINT:
		if (text != NULL)
			*(uint32_t *)at = (uint32_t)strtoul(text, NULL, 10);
		else if (field->flags & FIELD_OPTIONAL)
			*(uint32_t *)at = UINT32_MAX;
		break;
	case FIELD_BOOL:
		*(bool *)at = text != NULL && strcmp(text, "true") == 0;
		break;
	case FIELD_ENUM:
		if (text != NULL)
			ret = field_parse_enum(field, text, at, &why);
		break;
	case FIELD_ADDRESS:
		if (text != NULL)
			ret = field_parse_address(field, text, at, &why);
		break;
	case FIELD_MAC:
		if (text != NULL)
			ret = field_parse_mac(field, text, at, &why);
		break;
	case FIELD_PREFIX:
	case FIELD_ADDRESSES:
	case FIELD_PREFIXES:
	case FIELD_INTERFACE_ADDRESSES:
	case FIELD_UINTS:
	case FIELD_GROUPS:
		break;
	case FIELD_STRINGS:
		if (text != NULL)
			strings_default(text, at);
		break;
	}
	if (ret < 0)
		abort(); /* the table contradicts itself */
}

const void *group_default(const struct field_group *group)
{
	static struct {
		const struct field_group *group;
		_Alignas(max_align_t) char body[GROUP_SIZE_MAX];
	} known[4];
	size_t i = 0;

	while (i < sizeof(known) / sizeof(known[0]) && known[i].group != NULL &&
		known[i].group != group)
		i++;
	if (i == sizeof(known) / sizeof(known[0]) || group->size > GROUP_SIZE_MAX)
		abort();
	if (known[i].group == NULL) {
		known[i].group = group;
		for (size_t f = 0; f < group->field_count; f++)
			field_set_default(&group->fields[f], known[i].body);
	}
	return known[i].body;
}

const struct object *object_default(enum object_type type)
{
	static struct object defaults[OBJECT_TYPE_COUNT];
	static bool ready[OBJECT_TYPE_COUNT];
	const struct object_schema *schema = &object_schemas[type];
	struct object *obj = &defaults[type];

	if (ready[type])
		return obj;
	obj->type = type;
	obj->origin = ORIGIN_API;
	for (size_t i = 0; i < schema->field_count; i++)
		field_set_default(&schema->fields[i], object_body(obj));
	ready[type] = true;
	return obj;
}

/* --- one block an object -------------------------------------------------------------------------------------- */

/* Bytes handed out behind the struct; with base NULL they are only counted. */
struct packer {
	char *base;
	size_t used;
};

static void *pack_bytes(struct packer *packer, const void *from, size_t size, size_t align)
{
	size_t at = (packer->used + align - 1) & ~(align - 1);

	packer->used = at + size;
	return packer->base != NULL ? memcpy(packer->base + at, from, size) : NULL;
}

static char *pack_string(struct packer *packer, const char *text)
{
	static char empty[1];

	return text[0] == '\0' ? empty : pack_bytes(packer, text, strlen(text) + 1, 1);
}

static size_t element_size(uint8_t kind)
{
	switch (kind) {
	case FIELD_ADDRESSES:
		return sizeof(struct ip_addr);
	case FIELD_UINTS:
		return sizeof(uint32_t);
	default:
		return sizeof(struct ip_prefix);
	}
}

static void pack_fields(struct packer *packer, const struct field *fields, size_t count,
	const void *from, void *to);

static void *pack_strings(struct packer *packer, const struct string_list *from)
{
	char **items;

	if (from->count == 0)
		return NULL;
	items = pack_bytes(packer, from->items, from->count * sizeof(*items), _Alignof(char *));
	for (size_t i = 0; i < from->count; i++) {
		char *copy = pack_string(packer, from->items[i]);

		if (items != NULL)
			items[i] = copy;
	}
	return items;
}

static void *pack_groups(
	struct packer *packer, const struct field_group *group, const struct addr_list *from)
{
	const char *elements = (const char *)from->items;
	char *copy;

	if (from->count == 0)
		return NULL;
	copy = pack_bytes(packer, elements, from->count * group->size, _Alignof(max_align_t));
	for (size_t i = 0; i < from->count; i++)
		pack_fields(packer, group->fields, group->field_count, elements + i * group->size,
			copy != NULL ? copy + i * group->size : NULL);
	return copy;
}

/* to is NULL when counting; otherwise it is a plain copy of from, whose pointers are replaced. */
static void pack_fields(
	struct packer *packer, const struct field *fields, size_t count, const void *from, void *to)
{
	for (size_t i = 0; i < count; i++) {
		const struct field *field = &fields[i];
		const void *at = FIELD_AT_CONST(from, field);
		const struct addr_list *list = at; /* all lists are { items, count } */
		void *copy;

		switch ((enum field_kind)field->kind) {
		case FIELD_STRING:
			copy = pack_string(packer, *(char *const *)at);
			if (to != NULL)
				*(char **)FIELD_AT(to, field) = copy;
			break;
		case FIELD_ADDRESSES:
		case FIELD_PREFIXES:
		case FIELD_INTERFACE_ADDRESSES:
		case FIELD_UINTS:
			copy = list->count > 0 ? pack_bytes(packer, list->items,
							 list->count * element_size(field->kind), 4)
					       : NULL;
			if (to != NULL)
				((struct addr_list *)FIELD_AT(to, field))->items = copy;
			break;
		case FIELD_STRINGS:
		case FIELD_GROUPS:
			copy = field->kind == FIELD_STRINGS
				       ? pack_strings(packer, at)
				       : pack_groups(packer, field->group, list);
			if (to != NULL)
				((struct addr_list *)FIELD_AT(to, field))->items = copy;
			break;
		case FIELD_UINT:
		case FIELD_BOOL:
		case FIELD_ENUM:
		case FIELD_ADDRESS:
		case FIELD_PREFIX:
		case FIELD_MAC:
			break;
		}
	}
}

struct object *object_pack(const struct object *loose)
{
	const struct object_schema *schema = &object_schemas[loose->type];
	size_t head = offsetof(struct object, node) + schema->size;
	struct packer packer = { .base = NULL, .used = head };
	char prefix[PREFIX_TEXT_MAX];
	bool is_route = loose->type == OBJECT_ROUTE;
	struct object *obj;

	if (is_route)
		ip_prefix_format(&loose->route.prefix, prefix);
	pack_fields(&packer, schema->fields, schema->field_count, object_body_const(loose), NULL);
	if (is_route)
		pack_string(&packer, prefix);
	obj = malloc(packer.used);
	if (obj == NULL)
		return NULL;
	memcpy(obj, loose, head);
	packer.base = (char *)obj;
	packer.used = head;
	pack_fields(&packer, schema->fields, schema->field_count, object_body_const(loose),
		object_body(obj));
	/* All other structs begin with their name. */
	obj->name = is_route ? pack_string(&packer, prefix) : *(char **)object_body(obj);
	obj->refs = 1;
	return obj;
}

struct object *object_ref(struct object *obj)
{
	obj->refs++;
	return obj;
}

void object_unref(struct object *obj)
{
	if (obj != NULL && --obj->refs == 0)
		free(obj);
}

int object_set_source(
	struct object *obj, enum object_origin origin, const char *file, unsigned line)
{
	static struct source {
		struct source *next;
		char name[];
	} * sources;
	struct source *source = sources;

	obj->origin = origin;
	obj->line = line;
	obj->file = NULL;
	if (file == NULL)
		return 0;
	while (source != NULL && strcmp(source->name, file) != 0)
		source = source->next;
	if (source == NULL) {
		source = malloc(sizeof(*source) + strlen(file) + 1);
		if (source == NULL)
			return -ENOMEM;
		strcpy(source->name, file);
		source->next = sources;
		sources = source;
	}
	obj->file = source->name;
	return 0;
}

/* --- equality ------------------------------------------------------------------------------------------------- */

static bool groups_equal(
	const struct field_group *group, const struct addr_list *a, const struct addr_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		for (size_t f = 0; f < group->field_count; f++) {
			if (!field_equal(&group->fields[f],
				    (const char *)a->items + i * group->size,
				    (const char *)b->items + i * group->size))
				return false;
		}
	}
	return true;
}

static bool strings_equal(const struct string_list *a, const struct string_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	}
	return true;
}

/* Elements are compared whole: addresses and prefixes have no padding. */
static_assert(
	sizeof(struct ip_prefix) == 18 && sizeof(struct ip_addr) == 17, "memcmp compares prefixes");

bool field_equal(const struct field *field, const void *body_a, const void *body_b)
{
	const void *a = FIELD_AT_CONST(body_a, field), *b = FIELD_AT_CONST(body_b, field);
	const struct addr_list *list_a = a, *list_b = b;

	switch ((enum field_kind)field->kind) {
	case FIELD_STRING:
		return strcmp(*(char *const *)a, *(char *const *)b) == 0;
	case FIELD_UINT:
	case FIELD_ENUM:
		return *(const uint32_t *)a == *(const uint32_t *)b;
	case FIELD_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case FIELD_ADDRESS:
		return memcmp(a, b, sizeof(struct ip_addr)) == 0;
	case FIELD_PREFIX:
		return memcmp(a, b, sizeof(struct ip_prefix)) == 0;
	case FIELD_MAC:
		return memcmp(a, b, sizeof(struct mac_addr)) == 0;
	case FIELD_ADDRESSES:
	case FIELD_PREFIXES:
	case FIELD_INTERFACE_ADDRESSES:
	case FIELD_UINTS:
		return list_a->count == list_b->count &&
		       (list_a->count == 0 ||
			       memcmp(list_a->items, list_b->items,
				       list_a->count * element_size(field->kind)) == 0);
	case FIELD_STRINGS:
		return strings_equal(a, b);
	case FIELD_GROUPS:
		return groups_equal(field->group, list_a, list_b);
	}
	return false;
}

bool object_equal(const struct object *a, const struct object *b)
{
	const struct object_schema *schema = &object_schemas[a->type];

	if (a == b)
		return true;
	if (a->type != b->type)
		return false;
	for (size_t i = 0; i < schema->field_count; i++) {
		if (!field_equal(&schema->fields[i], object_body_const(a), object_body_const(b)))
			return false;
	}
	return true;
}

bool field_is_unset(const struct field *field, const void *body)
{
	const void *at = FIELD_AT_CONST(body, field);

	if ((field->flags & FIELD_OPTIONAL) == 0)
		return false;
	switch ((enum field_kind)field->kind) {
	case FIELD_UINT:
		return *(const uint32_t *)at == UINT32_MAX;
	case FIELD_ADDRESS:
		return ((const struct ip_addr *)at)->family == IP_NONE;
	case FIELD_MAC:
		return mac_addr_is_zero(at);
	default:
		return false;
	}
}

/* --- messages ------------------------------------------------------------------------------------------------- */

const char *message_text(const char *text, char *buf)
{
	size_t len = 0;

	while (text[len] != '\0' && len < 60) {
		unsigned char c = (unsigned char)text[len];

		buf[len++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	if (text[len] == '\0') {
		buf[len] = '\0';
		return buf;
	}
	/* Do not cut a UTF-8 character in two. */
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	strcpy(buf + len, "...");
	return buf;
}

const char *object_path(const struct object *obj, const char *field, char *buf, size_t size)
{
	const struct object_schema *schema = &object_schemas[obj->type];
	const char *slash = field != NULL ? "/" : "";

	if (field == NULL)
		field = "";
	if (schema->singleton)
		snprintf(buf, size, "%s%s%s", schema->name, slash, field);
	else
		snprintf(buf, size, "%s/%s%s%s", schema->plural, obj->name, slash, field);
	return buf;
}

int object_error(
	const struct object *obj, struct error *err, const char *field, const char *fmt, ...)
{
	char path[sizeof(err->path)], text[sizeof(err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	object_path(obj, field, path, sizeof(path));
	error_set(err, EINVAL, path, "%s %s: %.230s", object_schemas[obj->type].name, obj->name,
		text);
	if (err != NULL) {
		snprintf(err->file, sizeof(err->file), "%s", obj->file != NULL ? obj->file : "");
		err->line = obj->line;
	}
	return -EINVAL;
}

#define DISTANCE_MAX 64

/* Insertions, deletions, replacements and swaps of neighbours that lead from a to b; more than `most` is not told
 * apart. */
static unsigned distance(const char *a, const char *b, unsigned most)
{
	unsigned rows[3][DISTANCE_MAX];
	size_t la = strlen(a), lb = strlen(b);

	if (la >= DISTANCE_MAX || lb >= DISTANCE_MAX || (la > lb ? la - lb : lb - la) > most)
		return most + 1;
	for (unsigned j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= la; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3],
			 *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			unsigned cost = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (above[j] + 1 < cost)
				cost = above[j] + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				above2[j - 2] + 1 < cost)
				cost = above2[j - 2] + 1;
			row[j] = cost;
		}
	}
	return rows[la % 3][lb];
}

const char *nearest_name(const char *text, const char *(*get)(const void *list, size_t i),
	const void *list, size_t n)
{
	unsigned best =
		strlen(text) < 4 ? 2 : 4; /* 1 typing error in a short word, 3 in a long one */
	const char *nearest = NULL;

	for (size_t i = 0; i < n; i++) {
		const char *name = get(list, i);
		unsigned d = distance(text, name, best);

		/* "vtep" for "vtep_mac": the beginning of a name says as much as one error. */
		if (d > 1 && strlen(text) >= 3 && strncmp(name, text, strlen(text)) == 0)
			d = 1;
		if (d < best) {
			best = d;
			nearest = name;
		}
	}
	return nearest;
}
