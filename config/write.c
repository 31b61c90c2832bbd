/* SPDX-License-Identifier: Apache-2.0 */
/* Objects to JSON, to libconfig text and to differences, walking the field table. */
#include "config/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- JSON ----------------------------------------------------------------------------------------------------- */

static json_t *value_to_json(const struct field *field, const void *body, bool secrets);

static json_t *json_address(const struct ip_addr *addr)
{
	char text[IP_TEXT_MAX];

	return json_string_nocheck(ip_addr_format(addr, text));
}

static json_t *json_prefix(const struct ip_prefix *prefix)
{
	char text[PREFIX_TEXT_MAX];

	return json_string_nocheck(ip_prefix_format(prefix, text));
}

static json_t *json_group(const struct field_group *group, const void *element)
{
	json_t *json = json_object();

	for (size_t i = 0; i < group->field_count; i++) {
		const struct field *field = &group->fields[i];

		if (json_object_set_new_nocheck(
			    json, field->name, value_to_json(field, element, true)) < 0) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

static json_t *list_to_json(const struct field *field, const void *body)
{
	const void *at = FIELD_AT_CONST(body, field);
	const struct addr_list *addresses = at;
	const struct prefix_list *prefixes = at;
	const struct uint_list *uints = at;
	const struct string_list *strings = at;
	json_t *json = json_array();

	for (size_t i = 0; i < addresses->count; i++) { /* all lists are { items, count } */
		json_t *item = field->kind == FIELD_ADDRESSES ? json_address(&addresses->items[i])
			       : field->kind == FIELD_UINTS   ? json_integer(uints->items[i])
			       : field->kind == FIELD_STRINGS
				       ? json_string_nocheck(strings->items[i])
			       : field->kind == FIELD_GROUPS
				       ? json_group(field->group, (const char *)addresses->items +
									  i * field->group->size)
				       : json_prefix(&prefixes->items[i]);

		if (json_array_append_new(json, item) < 0) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

static json_t *value_to_json(const struct field *field, const void *body, bool secrets)
{
	const void *at = FIELD_AT_CONST(body, field);
	char mac[MAC_TEXT_MAX];
	const char *text;

	if (field_is_unset(field, body))
		return json_null();
	switch ((enum field_kind)field->kind) {
	case FIELD_STRING:
		text = *(char *const *)at;
		if ((field->flags & FIELD_SECRET) && !secrets && text[0] != '\0')
			text = SECRET_MASK;
		return json_string_nocheck(text);
	case FIELD_UINT:
		return json_integer(*(const uint32_t *)at);
	case FIELD_BOOL:
		return json_boolean(*(const bool *)at);
	case FIELD_ENUM:
		return json_string_nocheck(field->names[*(const uint32_t *)at]);
	case FIELD_ADDRESS:
		return json_address(at);
	case FIELD_PREFIX:
		return json_prefix(at);
	case FIELD_MAC:
		return json_string_nocheck(mac_addr_format(at, mac));
	case FIELD_ADDRESSES:
	case FIELD_PREFIXES:
	case FIELD_INTERFACE_ADDRESSES:
	case FIELD_UINTS:
	case FIELD_STRINGS:
	case FIELD_GROUPS:
		return list_to_json(field, body);
	}
	return NULL;
}

json_t *object_to_json(const struct object *obj, bool secrets)
{
	const struct object_schema *schema = &object_schemas[obj->type];
	json_t *json = json_object();

	for (size_t i = 0; i < schema->field_count; i++) {
		const struct field *field = &schema->fields[i];

		/* Setting NULL fails too, and drops nothing. */
		if (json_object_set_new_nocheck(json, field->name,
			    value_to_json(field, object_body_const(obj), secrets)) < 0) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

json_t *object_diff_json(const struct object *before, const struct object *after)
{
	const struct object *one = before != NULL ? before : after;
	const struct object_schema *schema;
	const void *a, *b;
	json_t *json = json_object();

	if (one == NULL || json == NULL)
		return json;
	schema = &object_schemas[one->type];
	a = object_body_const(before != NULL ? before : object_default(one->type));
	b = object_body_const(after != NULL ? after : object_default(one->type));
	for (size_t i = 0; i < schema->field_count; i++) {
		const struct field *field = &schema->fields[i];
		json_t *pair;

		if (field_equal(field, a, b))
			continue;
		pair = json_pack("[o, o]",
			before != NULL ? value_to_json(field, a, false) : json_null(),
			after != NULL ? value_to_json(field, b, false) : json_null());
		if (json_object_set_new_nocheck(json, field->name, pair) < 0) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

/* --- libconfig text ------------------------------------------------------------------------------------------- */

static void put_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void put_scalar(FILE *out, const struct field *field, const void *body)
{
	const void *at = FIELD_AT_CONST(body, field);
	char text[PREFIX_TEXT_MAX];

	switch ((enum field_kind)field->kind) {
	case FIELD_STRING:
		put_string(out, *(char *const *)at);
		break;
	case FIELD_UINT:
		fprintf(out, "%u", *(const uint32_t *)at);
		break;
	case FIELD_BOOL:
		fputs(*(const bool *)at ? "true" : "false", out);
		break;
	case FIELD_ENUM:
		put_string(out, field->names[*(const uint32_t *)at]);
		break;
	case FIELD_ADDRESS:
		put_string(out, ip_addr_format(at, text));
		break;
	case FIELD_PREFIX:
		put_string(out, ip_prefix_format(at, text));
		break;
	default:
		put_string(out, mac_addr_format(at, text));
		break;
	}
}

static void put_fields(FILE *out, const struct field *fields, size_t count, const void *body,
	const void *fresh, const char *separator);

static void put_groups(FILE *out, const struct field *list_field, const void *body)
{
	const struct field_group *group = list_field->group;
	const struct addr_list *list = FIELD_AT_CONST(body, list_field);

	fputs("( ", out);
	for (size_t i = 0; i < list->count; i++) {
		fputs(i > 0 ? ", { " : "{ ", out);
		put_fields(out, group->fields, group->field_count,
			(const char *)list->items + i * group->size, group_default(group), " ");
		fputs("}", out);
	}
	fputs(" )", out);
}

static void put_list(FILE *out, const struct field *field, const void *body)
{
	const void *at = FIELD_AT_CONST(body, field);
	const struct addr_list *addresses = at;
	const struct prefix_list *prefixes = at;
	const struct uint_list *uints = at;
	char text[PREFIX_TEXT_MAX];

	fputs("[ ", out);
	for (size_t i = 0; i < addresses->count; i++) {
		if (i > 0)
			fputs(", ", out);
		if (field->kind == FIELD_UINTS)
			fprintf(out, "%u", uints->items[i]);
		else if (field->kind == FIELD_STRINGS)
			put_string(out, ((const struct string_list *)at)->items[i]);
		else if (field->kind == FIELD_ADDRESSES)
			put_string(out, ip_addr_format(&addresses->items[i], text));
		else
			put_string(out, ip_prefix_format(&prefixes->items[i], text));
	}
	fputs(" ]", out);
}

static void put_fields(FILE *out, const struct field *fields, size_t count, const void *body,
	const void *fresh, const char *separator)
{
	for (size_t i = 0; i < count; i++) {
		const struct field *field = &fields[i];

		if (field_equal(field, body, fresh) && (field->flags & FIELD_REQUIRED) == 0)
			continue;
		fprintf(out, "%s = ", field->name);
		if (field->kind == FIELD_GROUPS)
			put_groups(out, field, body);
		else if (field->kind >= FIELD_ADDRESSES)
			put_list(out, field, body);
		else
			put_scalar(out, field, body);
		fprintf(out, ";%s", separator);
	}
}

static void put_object(FILE *out, const struct object *obj, const char *separator)
{
	const struct object_schema *schema = &object_schemas[obj->type];

	put_fields(out, schema->fields, schema->field_count, object_body_const(obj),
		object_body_const(object_default(obj->type)), separator);
}

static char *text_close(FILE *out, char **text)
{
	bool failed = ferror(out) != 0;

	if (fclose(out) != 0 || failed) {
		free(*text);
		return NULL;
	}
	return *text;
}

char *object_to_text(const struct object *obj)
{
	const struct object_schema *schema = &object_schemas[obj->type];
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	fprintf(out, schema->singleton ? "%s: {\n\t" : "%s: ( {\n\t",
		schema->singleton ? schema->name : schema->plural);
	put_object(out, obj, "\n\t");
	/* The last separator left a tab. */
	fseek(out, -1, SEEK_CUR);
	fputs(schema->singleton ? "};\n" : "} );\n", out);
	return text_close(out, &text);
}

struct listing {
	FILE *out;
	bool first;
};

static int put_listed(const struct object *obj, void *arg)
{
	struct listing *listing = arg;

	fputs(listing->first ? "\n\t{ " : ",\n\t{ ", listing->out);
	put_object(listing->out, obj, " ");
	fputs("}", listing->out);
	listing->first = false;
	return 0;
}

char *model_to_text(const struct model *model)
{
	const struct object *node = model_find(model, OBJECT_NODE, NULL);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	if (node != NULL) {
		fputs("node: { ", out);
		put_object(out, node, " ");
		fputs("};\n", out);
	}
	for (size_t type = OBJECT_NODE + 1; type < OBJECT_TYPE_COUNT; type++) {
		struct listing listing = { .out = out, .first = true };

		if (model_count(model, (enum object_type)type) == 0)
			continue;
		fprintf(out, "%s: (", object_schemas[type].plural);
		model_each(model, (enum object_type)type, put_listed, &listing);
		fputs("\n);\n", out);
	}
	return text_close(out, &text);
}
