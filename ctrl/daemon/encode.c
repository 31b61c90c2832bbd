/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/encode.h"

#include "config/schema.h"

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

/** Without quotes. IPv4 by hand: the C library's way goes through printf, which a million routes
 * notice. */
static void add_bare_address(struct text *text, const struct ip_addr *addr)
{
	char buf[IP_TEXT_MAX];

	if (addr->family == IP_V6)
		add(text, ip_addr_format(addr, buf));
	for (unsigned i = 0; addr->family == IP_V4 && i < 4; i++) {
		if (i > 0)
			text_add(text, ".", 1);
		add_uint(text, addr->bytes[i]);
	}
}

static void add_address(struct text *text, const struct ip_addr *addr)
{
	text_add(text, "\"", 1);
	add_bare_address(text, addr);
	text_add(text, "\"", 1);
}

static void add_prefix(struct text *text, const struct ip_prefix *prefix)
{
	text_add(text, "\"", 1);
	add_bare_address(text, &prefix->addr);
	text_add(text, "/", 1);
	add_uint(text, prefix->len);
	text_add(text, "\"", 1);
}

static void add_via(struct text *text, const struct route *route)
{
	text_add(text, "[", 1);
	for (size_t i = 0; i < route->via_count; i++) {
		const struct route_via *via = &route->via[i];
		const struct {
			const char *name;
			const char *value;
		} names[] = { { "peer", via->peer }, { "uplink", via->uplink },
			{ "pod", via->pod } };

		/* First what every next hop has, so that the others may begin with a comma. */
		add(text, i > 0 ? ",{\"weight\":" : "{\"weight\":");
		add_uint(text, via->weight);
		if (via->address.family != IP_NONE) {
			add(text, ",\"address\":");
			add_address(text, &via->address);
		}
		for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
			if (names[n].value == NULL || names[n].value[0] == '\0')
				continue;
			add(text, ",\"");
			add(text, names[n].name);
			add(text, "\":");
			add_string(text, names[n].value);
		}
		add(text, "}");
	}
	text_add(text, "]", 1);
}

/** Reading gives the field this value when it is left out. */
static bool is_absent(const struct field *field, const void *value)
{
	const struct ip_addr *addr = value;
	char *const *string = value;

	if ((field->flags & FIELD_REQUIRED) != 0)
		return false;
	if (field->default_text != NULL)
		return field->kind == FIELD_ENUM &&
		       strcmp(field->names[*(const uint32_t *)value], field->default_text) == 0;
	switch ((enum field_kind)field->kind) {
	case FIELD_STRING:
		return *string == NULL || (*string)[0] == '\0';
	case FIELD_UINT:
		return *(const uint32_t *)value ==
		       ((field->flags & FIELD_OPTIONAL) != 0 ? UINT32_MAX : 0);
	case FIELD_ENUM:
		return *(const uint32_t *)value == 0;
	case FIELD_BOOL:
		return !*(const bool *)value;
	case FIELD_ADDRESS:
	case FIELD_PREFIX: /* starts with its address */
		return addr->family == IP_NONE;
	case FIELD_MAC:
		return mac_addr_is_zero(value);
	case FIELD_ADDRESSES:
	case FIELD_PREFIXES:
	case FIELD_INTERFACE_ADDRESSES:
	case FIELD_UINTS:
	case FIELD_VIA: /* the lists are all a pointer and a count */
		return ((const struct addr_list *)value)->count == 0;
	}
	return false;
}

static void add_list(struct text *text, const struct field *field, const void *value)
{
	const struct addr_list *addresses = value;
	const struct prefix_list *prefixes = value;
	const struct uint_list *numbers = value;

	text_add(text, "[", 1);
	for (size_t i = 0; i < addresses->count; i++) {
		if (i > 0)
			text_add(text, ",", 1);
		if (field->kind == FIELD_ADDRESSES)
			add_address(text, &addresses->items[i]);
		else if (field->kind == FIELD_UINTS)
			add_uint(text, numbers->items[i]);
		else
			add_prefix(text, &prefixes->items[i]);
	}
	text_add(text, "]", 1);
}

static void add_value(
	struct text *text, const struct object *obj, const struct field *field, const void *value)
{
	char mac[MAC_TEXT_MAX];
	char *const *string = value;

	switch ((enum field_kind)field->kind) {
	case FIELD_STRING:
		add_string(text, *string != NULL ? *string : "");
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
	case FIELD_VIA:
		add_via(text, &obj->route);
		break;
	case FIELD_ADDRESSES:
	case FIELD_PREFIXES:
	case FIELD_INTERFACE_ADDRESSES:
	case FIELD_UINTS:
		add_list(text, field, value);
		break;
	}
}

void object_encode(const struct object *obj, struct text *out)
{
	const struct object_schema *schema = &object_schemas[obj->type];
	bool first = true;

	text_add(out, "{", 1);
	for (size_t i = 0; i < schema->field_count; i++) {
		const struct field *field = &schema->fields[i];
		const void *value = (const char *)&obj->node + field->offset;

		if (is_absent(field, value))
			continue;
		add(out, first ? "\"" : ",\"");
		first = false;
		add(out, field->name);
		add(out, "\":");
		add_value(out, obj, field, value);
	}
	text_add(out, "}", 1);
}
