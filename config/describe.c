/* SPDX-License-Identifier: Apache-2.0 */
/* The field table as documentation: OpenAPI components and docs/objects.md. */
#include "config/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_PATTERN	      "^([A-Za-z0-9.-]+/)?[A-Za-z0-9._-]{1,63}=[A-Za-z0-9._-]{0,63}$"
#define PORT_PROTOCOL_PATTERN "^[0-9]{1,5}/(tcp|udp|sctp)$"
#define NAMED_PORT_PATTERN    "^[A-Za-z0-9._-]+=[0-9]{1,5}/(tcp|udp|sctp)$"
#define NAME_PATTERN	      "^[A-Za-z0-9._-]+$"
#define INTERFACE_PATTERN     "^[^/:\\s]+$"
#define MAC_PATTERN	      "^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$"
#define PREFIX_PATTERN	      "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"
#define LISTEN_PATTERN	      "^([0-9.]+:[0-9]{1,5}|\\[[0-9A-Fa-f:.]+\\]:[0-9]{1,5})$"
#define ADDRESS_PATTERN	      "^[0-9A-Fa-f:.]+$"

/* --- OpenAPI -------------------------------------------------------------------------------------------------- */

static json_t *schema_of_fields(const struct field *fields, size_t count, const char *doc);

/* An empty text is outside the pattern but allowed where the field may be empty. */
static void add_pattern(json_t *json, const struct field *field, const char *pattern)
{
	char either[128];

	if (field->min > 0 || field->kind == FIELD_STRINGS) {
		json_object_set_new(json, "pattern", json_string(pattern));
		return;
	}
	snprintf(either, sizeof(either), "^$|%s", pattern);
	json_object_set_new(json, "pattern", json_string(either));
}

static void describe_string(json_t *json, const struct field *field)
{
	static const char *const patterns[] = { [TEXT_NAME] = NAME_PATTERN,
		[TEXT_INTERFACE] = INTERFACE_PATTERN,
		[TEXT_NETNS] = "^([^/]+|/.+)$",
		[TEXT_SOCKET] = "^/.*[^/]$",
		[TEXT_LISTEN] = LISTEN_PATTERN,
		[TEXT_LABEL] = LABEL_PATTERN,
		[TEXT_NAMED_PORT] = NAMED_PORT_PATTERN,
		[TEXT_PORT_PROTOCOL] = PORT_PROTOCOL_PATTERN,
		[TEXT_PORTS] = "^[A-Za-z0-9._-]+(:[0-9]{1,5})?$",
		[TEXT_PROTOCOL] = "^(tcp|udp|sctp|icmp|icmpv6|[0-9]{1,3})$",
		[TEXT_SELECTOR] = NULL }; /* a language: selector.h */

	if (field->min > 0)
		json_object_set_new(json, "minLength", json_integer(field->min));
	json_object_set_new(json, "maxLength", json_integer(field->max));
	if (patterns[field->text] != NULL)
		add_pattern(json, field, patterns[field->text]);
	if (field->flags & FIELD_SECRET)
		json_object_set_new(json, "format", json_string("password"));
}

static void describe_choice(json_t *json, const struct field *field)
{
	json_t *names = json_array();

	for (size_t i = 0; field->names[i] != NULL; i++)
		json_array_append_new(names, json_string(field->names[i]));
	json_object_set_new(json, "enum", names);
}

static void describe_number(json_t *json, const struct field *field)
{
	json_int_t fallback = field->default_text != NULL ? atoll(field->default_text) : field->min;

	if (fallback >= field->min) {
		json_object_set_new(json, "minimum", json_integer(field->min));
		json_object_set_new(json, "maximum", json_integer(field->max));
		return;
	}
	json_object_set_new(json, "anyOf",
		json_pack("[{s:I}, {s:I, s:I}]", "const", fallback, "minimum",
			(json_int_t)field->min, "maximum", (json_int_t)field->max));
}

static json_t *describe_strings(const struct field *field)
{
	json_t *items = json_pack("{s:s}", "type", "string");

	if (field->names != NULL)
		describe_choice(items, field);
	else
		describe_string(items, field);
	json_object_del(items, "minLength"); /* min and max are of the list */
	json_object_del(items, "maxLength");
	return items;
}

/* The words of a default; a list without one is empty. */
static json_t *strings_json(const char *text)
{
	json_t *list = json_array();

	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, " ");

		json_array_append_new(list, json_stringn(text, len));
		text += len;
		text += strspn(text, " ");
	}
	return list;
}

static void describe_list(json_t *json, const struct field *field)
{
	json_t *items;

	if (field->kind == FIELD_GROUPS)
		items = schema_of_fields(
			field->group->fields, field->group->field_count, field->group->doc);
	else if (field->kind == FIELD_STRINGS)
		items = describe_strings(field);
	else if (field->kind == FIELD_UINTS)
		items = json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum", 0, "maximum",
			CPU_NUMBER_MAX);
	else
		items = json_pack("{s:s, s:s}", "type", "string", "pattern",
			field->kind == FIELD_ADDRESSES ? ADDRESS_PATTERN : PREFIX_PATTERN);
	json_object_set_new(json, "items", items);
	if (field->min > 0)
		json_object_set_new(json, "minItems", json_integer(field->min));
	json_object_set_new(json, "maxItems", json_integer(field->max));
	if (field->kind != FIELD_GROUPS)
		json_object_set_new(json, "uniqueItems", json_true());
	if ((field->flags & FIELD_REQUIRED) == 0)
		json_object_set_new(json, "default", strings_json(field->default_text));
}

static json_t *default_json(const struct field *field)
{
	const char *text = field->default_text;

	if (field->flags & FIELD_OPTIONAL)
		return json_null();
	switch ((enum field_kind)field->kind) {
	case FIELD_UINT:
		return json_integer(text != NULL ? atoll(text) : 0);
	case FIELD_BOOL:
		return json_boolean(text != NULL && strcmp(text, "true") == 0);
	case FIELD_ENUM:
		return json_string(text != NULL ? text : field->names[0]);
	default:
		return json_string(text != NULL ? text : "");
	}
}

static json_t *schema_of_field(const struct field *field)
{
	static const char *const types[] = { [FIELD_STRING] = "string",
		[FIELD_UINT] = "integer",
		[FIELD_BOOL] = "boolean",
		[FIELD_ENUM] = "string",
		[FIELD_ADDRESS] = "string",
		[FIELD_PREFIX] = "string",
		[FIELD_MAC] = "string",
		[FIELD_ADDRESSES] = "array",
		[FIELD_PREFIXES] = "array",
		[FIELD_INTERFACE_ADDRESSES] = "array",
		[FIELD_UINTS] = "array",
		[FIELD_STRINGS] = "array",
		[FIELD_GROUPS] = "array" };
	json_t *json = json_object();

	/* null is accepted everywhere for "the default", and given back for what is optional. */
	if (field->flags & FIELD_REQUIRED)
		json_object_set_new(json, "type", json_string(types[field->kind]));
	else
		json_object_set_new(json, "type", json_pack("[s, s]", types[field->kind], "null"));
	json_object_set_new(json, "description", json_string(field->doc));
	if (field->names != NULL && field->kind != FIELD_STRINGS) {
		describe_choice(json, field);
		if ((field->flags & FIELD_REQUIRED) == 0)
			json_array_append_new(json_object_get(json, "enum"), json_null());
	} else if (field->kind == FIELD_STRING) {
		describe_string(json, field);
	} else if (field->kind == FIELD_UINT) {
		describe_number(json, field);
	} else if (field->kind == FIELD_MAC) {
		json_object_set_new(json, "pattern", json_string(MAC_PATTERN));
	} else if (field->kind == FIELD_PREFIX) {
		json_object_set_new(json, "pattern", json_string(PREFIX_PATTERN));
	} else if (field->kind == FIELD_ADDRESS) {
		if (field->flags & (FIELD_V4 | FIELD_V6))
			json_object_set_new(json, "format",
				json_string(field->flags & FIELD_V4 ? "ipv4" : "ipv6"));
		json_object_set_new(json, "pattern", json_string(ADDRESS_PATTERN));
	}
	if (field->kind >= FIELD_ADDRESSES)
		describe_list(json, field);
	else if ((field->flags & FIELD_REQUIRED) == 0)
		json_object_set_new(json, "default", default_json(field));
	return json;
}

static json_t *schema_of_fields(const struct field *fields, size_t count, const char *doc)
{
	json_t *properties = json_object(), *required = json_array(), *json = json_object();

	for (size_t i = 0; i < count; i++) {
		json_object_set_new(properties, fields[i].name, schema_of_field(&fields[i]));
		if (fields[i].flags & FIELD_REQUIRED)
			json_array_append_new(required, json_string(fields[i].name));
	}
	json_object_set_new(json, "type", json_string("object"));
	json_object_set_new(json, "description", json_string(doc));
	json_object_set_new(json, "properties", properties);
	if (json_array_size(required) > 0)
		json_object_set(json, "required", required);
	json_object_set_new(json, "additionalProperties", json_false());
	json_decref(required);
	return json;
}

json_t *schema_openapi_components(void)
{
	json_t *json = json_object();

	for (size_t type = 0; type < OBJECT_TYPE_COUNT; type++) {
		const struct object_schema *schema = &object_schemas[type];

		json_object_set_new(json, schema->name,
			schema_of_fields(schema->fields, schema->field_count, schema->doc));
	}
	return json;
}

/* --- docs/objects.md ------------------------------------------------------------------------------------------ */

static void put_value(FILE *out, const struct field *field)
{
	char range[64] = "";

	switch ((enum field_kind)field->kind) {
	case FIELD_STRING:
		if (field->names == NULL) {
			snprintf(range, sizeof(range), ", %s%u bytes",
				field->min > 0 ? "1 to " : "up to ", field->max);
			fprintf(out, "string%s", range);
			return;
		}
		/* fallthrough */
	case FIELD_ENUM:
		for (size_t i = 0; field->names[i] != NULL; i++)
			fprintf(out, "%s`%s`", i > 0 ? ", " : "", field->names[i]);
		return;
	case FIELD_UINT:
		if (field->default_text != NULL && atoll(field->default_text) < field->min)
			fprintf(out, "%s or ", field->default_text);
		fprintf(out, "%u to %u", field->min, field->max);
		return;
	case FIELD_BOOL:
		fputs("true or false", out);
		return;
	case FIELD_ADDRESS:
		fputs(field->flags & FIELD_V4	  ? "IPv4 address"
			: field->flags & FIELD_V6 ? "IPv6 address"
						  : "address",
			out);
		return;
	case FIELD_PREFIX:
		fputs("prefix", out);
		return;
	case FIELD_MAC:
		fputs("MAC address", out);
		return;
	case FIELD_ADDRESSES:
		fputs("list of addresses", out);
		break;
	case FIELD_PREFIXES:
		fputs("list of prefixes", out);
		break;
	case FIELD_INTERFACE_ADDRESSES:
		fputs("list of addresses with prefix length", out);
		break;
	case FIELD_UINTS:
		fputs("list of CPU numbers", out);
		break;
	case FIELD_STRINGS:
		if (field->names != NULL) {
			fputs("list of", out);
			for (size_t i = 0; field->names[i] != NULL; i++)
				fprintf(out, "%s `%s`", i > 0 ? "," : "", field->names[i]);
			return;
		}
		fputs("list of strings", out);
		break;
	case FIELD_GROUPS:
		fprintf(out, "list of %ss", field->group->name);
		break;
	}
	fprintf(out, ", %s%u", field->min > 0 ? "1 to " : "up to ", field->max);
}

static void put_words(FILE *out, const char *text)
{
	fputs("`[ \"", out);
	for (; *text != '\0'; text++)
		*text == ' ' ? fputs("\", \"", out) : fputc(*text, out);
	fputs("\" ]`", out);
}

static void put_default(FILE *out, const struct field *field)
{
	if (field->flags & FIELD_KEY)
		fputs("required, the key", out);
	else if (field->flags & FIELD_REQUIRED)
		fputs("required", out);
	else if (field->flags & FIELD_OPTIONAL)
		fputs("not given", out);
	else if (field->kind == FIELD_STRINGS && field->default_text != NULL)
		put_words(out, field->default_text);
	else if (field->kind >= FIELD_ADDRESSES)
		fputs("`[ ]`", out);
	else if (field->kind == FIELD_STRING && field->default_text == NULL)
		fputs("`\"\"`", out);
	else if (field->kind == FIELD_UINT || field->kind == FIELD_BOOL)
		fprintf(out, "`%s`", field->default_text != NULL ? field->default_text : "0");
	else
		fprintf(out, "`\"%s\"`",
			field->default_text != NULL ? field->default_text : field->names[0]);
}

static void put_example(FILE *out, const struct field *field)
{
	bool bare = field->kind == FIELD_UINT || field->kind == FIELD_BOOL;

	if (field->kind == FIELD_GROUPS)
		fprintf(out, "`( %s )`", field->example);
	else if (field->kind == FIELD_UINTS)
		fprintf(out, "`[ %s ]`", field->example);
	else if (field->kind >= FIELD_ADDRESSES)
		fprintf(out, "`[ \"%s\" ]`", field->example);
	else
		fprintf(out, bare ? "`%s`" : "`\"%s\"`", field->example);
}

static void put_fields(FILE *out, const struct field *fields, size_t count)
{
	fputs("| field | value | default | example | meaning |\n|---|---|---|---|---|\n", out);
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "| `%s`%s | ", fields[i].name,
			fields[i].flags & FIELD_START ? " (start)" : "");
		put_value(out, &fields[i]);
		fputs(" | ", out);
		put_default(out, &fields[i]);
		fputs(" | ", out);
		put_example(out, &fields[i]);
		fprintf(out, " | %s |\n", fields[i].doc);
	}
}

/* The groups of an object's lists, each once. */
static void put_groups(FILE *out, const struct object_schema *schema)
{
	const struct field_group *last = NULL;

	for (size_t i = 0; i < schema->field_count; i++) {
		const struct field *field = &schema->fields[i];

		if (field->kind != FIELD_GROUPS || field->group == last)
			continue;
		last = field->group;
		fprintf(out, "\n%s In `%s`:\n\n", last->doc, field->name);
		put_fields(out, last->fields, last->field_count);
	}
}

char *schema_markdown(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	fputs("# Objects\n\n"
	      "What a node can be told, in the configuration file and over the API alike. This "
	      "page is generated from\n"
	      "`config/schema.c`: change that, then run `meson compile docs`.\n\n"
	      "In the file, `node` is a group and every other type is a list under its plural "
	      "name; `config/podlane.conf`\n"
	      "is an annotated sample. Over the API the same fields are JSON; `null`, or leaving a "
	      "field out, means its\n"
	      "default. Fields marked (start) are read when the daemon starts: a change to a "
	      "running node is refused.\n"
	      "A list of one may be written without its brackets.\n\n"
	      "Names have letters, digits, `.`, `_` and `-`, up to 63 of them.\n",
		out);
	for (size_t type = 0; type < OBJECT_TYPE_COUNT; type++) {
		const struct object_schema *schema = &object_schemas[type];

		if (schema->singleton)
			fprintf(out, "\n## %s\n\n%s In the file: `%s: { ... };`\n\n", schema->name,
				schema->doc, schema->name);
		else
			fprintf(out, "\n## %s\n\n%s In the file: `%s: ( { ... }, ... );`\n\n",
				schema->name, schema->doc, schema->plural);
		put_fields(out, schema->fields, schema->field_count);
		put_groups(out, schema);
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
