/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/encode.h"

#include "config/schema.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *reserve(struct text *text, size_t more)
{
	if (text->failed)
		return NULL;
	if (text->size - text->len < more) {
		size_t size =
			text->size * 2 > text->len + more ? text->size * 2 : text->len + more + 256;
		char *data = realloc(text->data, size);

		if (data == NULL) {
			text->failed = true;
			return NULL;
		}
		text->data = data;
		text->size = size;
	}
	return text->data + text->len;
}

void text_add(struct text *text, const char *bytes, size_t len)
{
	char *at = reserve(text, len);

	if (at != NULL) {
		memcpy(at, bytes, len);
		text->len += len;
	}
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){ 0 };
}

static void add(struct text *text, const char *s)
{
	text_add(text, s, strlen(s));
}

/** RFC 8259 section 7. */
static void add_string(struct text *text, const char *s)
{
	static const char hex[] = "0123456789abcdef";

	text_add(text, "\"", 1);
	while (*s != '\0') {
		size_t plain = 0;

		while ((unsigned char)s[plain] >= 0x20 && s[plain] != '"' && s[plain] != '\\')
			plain++;
		text_add(text, s, plain);
		s += plain;
		if (*s == '"' || *s == '\\') {
			const char escaped[2] = { '\\', *s++ };

			text_add(text, escaped, sizeof(escaped));
		} else if (*s != '\0') {
			const char escaped[6] = { '\\', 'u', '0', '0', hex[(unsigned char)*s >> 4],
				hex[*s & 15] };

			text_add(text, escaped, sizeof(escaped));
			s++;
		}
	}
	text_add(text, "\"", 1);
}

static void add_uint(struct text *text, uint32_t value)
{
	char digits[12];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	text_add(text, digits + at, sizeof(digits) - at);
}

/* All lists are a pointer and a count, those of next hops too. */
static_assert(offsetof(struct route, via_count) - offsetof(struct route, via) ==
		      offsetof(struct addr_list, count),
	"a list like any other");

static void add_address(struct text *text, const struct ip_addr *addr)
{
	char buf[IP_TEXT_MAX + 2];
	size_t len;

	buf[0] = '"';
	ip_addr_format(addr, buf + 1);
	len = strlen(buf);
	buf[len] = '"';
	text_add(text, buf, len + 1);
}

static void add_prefix(struct text *text, const struct ip_prefix *prefix)
{
	char buf[PREFIX_TEXT_MAX + 2];
	size_t len;

	buf[0] = '"';
	ip_prefix_format(prefix, buf + 1);
	len = strlen(buf);
	buf[len] = '"';
	text_add(text, buf, len + 1);
}

/** Reading gives the field this value when it is left out. */
static bool is_default(const struct field *field, const void *value)
{
	const char *text = field->default_text != NULL ? field->default_text : "";

	switch ((enum field_kind)field->kind) {
	case FIELD_STRING:
		return strcmp(*(char *const *)value, text) == 0;
	case FIELD_UINT:
		/* Unset optional numbers have no default to compare with. */
		return (field->flags & FIELD_OPTIONAL) == 0 &&
		       *(const uint32_t *)value == strtoul(text, NULL, 10);
	case FIELD_ENUM:
		return strcmp(field->names[*(const uint32_t *)value], text) == 0;
	case FIELD_BOOL:
		return *(const bool *)value == (strcmp(text, "true") == 0);
	case FIELD_ADDRESSES:
	case FIELD_PREFIXES:
	case FIELD_INTERFACE_ADDRESSES:
	case FIELD_UINTS:
	case FIELD_GROUPS: /* the lists are all a pointer and a count */
		return ((const struct addr_list *)value)->count == 0;
	case FIELD_STRINGS:
		return field->default_text == NULL && ((const struct addr_list *)value)->count == 0;
	case FIELD_ADDRESS:
	case FIELD_PREFIX:
	case FIELD_MAC:
		return false; /* written as they are */
	}
	return false;
}

/** An optional value that is not given. */
static bool is_unset(const struct field *field, const void *value)
{
	if ((field->flags & FIELD_OPTIONAL) == 0)
		return false;
	switch ((enum field_kind)field->kind) {
	case FIELD_UINT:
		return *(const uint32_t *)value == UINT32_MAX;
	case FIELD_ADDRESS:
		return ((const struct ip_addr *)value)->family == IP_NONE;
	case FIELD_MAC:
		return mac_addr_is_zero(value);
	default:
		return false;
	}
}

static void add_fields(struct text *text, const struct field *fields, size_t count,
	const void *body, enum encode_mode mode);

static void add_item(struct text *text, const struct field *field, const void *value, size_t i,
	enum encode_mode mode)
{
	switch ((enum field_kind)field->kind) {
	case FIELD_ADDRESSES:
		add_address(text, &((const struct addr_list *)value)->items[i]);
		break;
	case FIELD_UINTS:
		add_uint(text, ((const struct uint_list *)value)->items[i]);
		break;
	case FIELD_STRINGS:
		add_string(text, ((const struct string_list *)value)->items[i]);
		break;
	case FIELD_GROUPS:
		add_fields(text, field->group->fields, field->group->field_count,
			*(const char *const *)value + i * field->group->size, mode);
		break;
	default:
		add_prefix(text, &((const struct prefix_list *)value)->items[i]);
	}
}

static void add_value(
	struct text *text, const struct field *field, const void *value, enum encode_mode mode)
{
	char mac[MAC_TEXT_MAX];
	const char *string;

	switch ((enum field_kind)field->kind) {
	case FIELD_STRING:
		string = *(char *const *)value;
		if ((field->flags & FIELD_SECRET) != 0 && mode == ENCODE_SHOW && string[0] != '\0')
			string = "***";
		add_string(text, string);
		break;
	case FIELD_UINT:
		add_uint(text, *(const uint32_t *)value);
		break;
	case FIELD_ENUM:
		add_string(text, field->names[*(const uint32_t *)value]);
		break;
	case FIELD_BOOL:
		add(text, *(const bool *)value ? "true" : "false");
		break;
	case FIELD_ADDRESS:
		add_address(text, value);
		break;
	case FIELD_PREFIX:
		add_prefix(text, value);
		break;
	case FIELD_MAC:
		add_string(text, mac_addr_format(value, mac));
		break;
	case FIELD_ADDRESSES:
	case FIELD_PREFIXES:
	case FIELD_INTERFACE_ADDRESSES:
	case FIELD_UINTS:
	case FIELD_STRINGS:
	case FIELD_GROUPS:
		text_add(text, "[", 1);
		for (size_t i = 0; i < ((const struct addr_list *)value)->count; i++) {
			if (i > 0)
				text_add(text, ",", 1);
			add_item(text, field, value, i, mode);
		}
		text_add(text, "]", 1);
		break;
	}
}

static void add_fields(struct text *text, const struct field *fields, size_t count,
	const void *body, enum encode_mode mode)
{
	bool first = true;

	text_add(text, "{", 1);
	for (size_t i = 0; i < count; i++) {
		const struct field *field = &fields[i];
		const void *value = (const char *)body + field->offset;
		bool unset = is_unset(field, value);

		if (mode == ENCODE_STORE && (field->flags & FIELD_REQUIRED) == 0 &&
			(unset || is_default(field, value)))
			continue;
		add(text, first ? "\"" : ",\"");
		first = false;
		add(text, field->name);
		add(text, "\":");
		if (unset)
			add(text, "null");
		else
			add_value(text, field, value, mode);
	}
	text_add(text, "}", 1);
}

void object_encode(const struct object *obj, enum encode_mode mode, struct text *out)
{
	const struct object_schema *schema = &object_schemas[obj->type];

	add_fields(out, schema->fields, schema->field_count, &obj->node, mode);
}
