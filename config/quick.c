/* SPDX-License-Identifier: Apache-2.0 */
/* Objects straight from JSON text. Only what is plainly right is read here, without a JSON tree: known fields, each once, of
 * their type, without escapes, and no list but next hops. Whatever else there is, wrong or merely unusual, is left to the JSON
 * parser and read.c, which have the words for it: so this file refuses nothing, and both ways give the same object. */
#include "config/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STRINGS_MAX 1024 /* bytes of all strings of an object, zeros included */

struct quick {
	const char *at, *end;
	size_t used;
	char strings[STRINGS_MAX];
	struct route_via via[ROUTE_VIA_MAX];
};

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool take(struct quick *q, char c)
{
	while (q->at < q->end && is_space(*q->at))
		q->at++;
	if (q->at == q->end || *q->at != c)
		return false;
	q->at++;
	return true;
}

/* A string of printable ASCII without escapes, copied and ended with a zero. NULL for any other. */
static const char *take_string(struct quick *q)
{
	char *copy = q->strings + q->used;
	size_t len = 0, room = sizeof(q->strings) - q->used;

	if (!take(q, '"'))
		return NULL;
	for (; q->at < q->end && *q->at != '"'; q->at++) {
		if (*q->at < 0x20 || *q->at == 0x7f || *q->at == '\\' || len + 1 >= room)
			return NULL;
		copy[len++] = *q->at;
	}
	if (len >= room || !take(q, '"'))
		return NULL;
	copy[len++] = '\0';
	q->used += len;
	return copy;
}

static bool take_uint(struct quick *q, uint32_t *value)
{
	uint64_t number = 0;
	const char *first;

	while (q->at < q->end && is_space(*q->at))
		q->at++;
	first = q->at;
	for (; q->at < q->end && *q->at >= '0' && *q->at <= '9' && number <= UINT32_MAX; q->at++)
		number = number * 10 + (unsigned)(*q->at - '0');
	/* A fraction or an exponent that follows is none of what may follow a value. */
	if (q->at == first || (*first == '0' && q->at - first > 1) || number > UINT32_MAX)
		return false;
	*value = (uint32_t)number;
	return true;
}

static bool take_word(struct quick *q, const char *word)
{
	size_t len = strlen(word);

	while (q->at < q->end && is_space(*q->at))
		q->at++;
	if ((size_t)(q->end - q->at) < len || memcmp(q->at, word, len) != 0)
		return false;
	q->at += len;
	return true;
}

static const struct field *take_key(
	struct quick *q, const struct field *fields, size_t n, uint64_t *given)
{
	size_t before = q->used, i = 0;
	const char *key = take_string(q);

	q->used = before; /* nobody needs it longer */
	while (key != NULL && i < n && strcmp(fields[i].name, key) != 0)
		i++;
	if (key == NULL || i == n || (*given & UINT64_C(1) << i) != 0 || !take(q, ':'))
		return NULL;
	*given |= UINT64_C(1) << i;
	return &fields[i];
}

static bool quick_scalar(struct quick *q, const struct field *field, void *body)
{
	void *at = FIELD_AT(body, field);
	struct field_reason why;
	size_t before = q->used;
	const char *text;
	uint32_t number;

	if (field->kind == FIELD_UINT) {
		if (!take_uint(q, &number) || number < field->min || number > field->max)
			return false;
		*(uint32_t *)at = number;
		return true;
	}
	if (field->kind == FIELD_BOOL) {
		*(bool *)at = take_word(q, "true");
		return *(bool *)at || take_word(q, "false");
	}
	text = take_string(q);
	if (text == NULL || (field->flags & FIELD_SECRET) != 0)
		return false;
	if (field->kind == FIELD_STRING) {
		*(const char **)at = text;
		return field_check_text(field, text, &why) == 0;
	}
	q->used = before;
	switch ((enum field_kind)field->kind) {
	case FIELD_ENUM:
		return field_parse_enum(field, text, at, &why) == 0;
	case FIELD_ADDRESS:
		return field_parse_address(field, text, at, &why) == 0;
	case FIELD_PREFIX:
		return field_parse_prefix(field, text, at, &why) == 0;
	case FIELD_MAC:
		return field_parse_mac(field, text, at, &why) == 0;
	default:
		return false; /* a list */
	}
}

static bool quick_group(
	struct quick *q, const struct field *fields, size_t n, void *body, uint64_t *given);

static bool quick_via(struct quick *q, struct route *route)
{
	size_t n = 0;

	if (!take(q, '['))
		return false;
	route->via = q->via;
	do {
		uint64_t given = 0;

		if (n == ROUTE_VIA_MAX)
			return false;
		memcpy(&q->via[n], group_default(&route_via_group), sizeof(q->via[n]));
		if (!quick_group(q, route_via_group.fields, route_via_group.field_count,
			    &q->via[n++], &given))
			return false;
	} while (take(q, ','));
	route->via_count = n;
	return take(q, ']');
}

static bool quick_group(
	struct quick *q, const struct field *fields, size_t n, void *body, uint64_t *given)
{
	if (!take(q, '{'))
		return false;
	do {
		const struct field *field = take_key(q, fields, n, given);

		if (field == NULL)
			return false;
		if (field->group == &route_via_group ? !quick_via(q, body)
						     : !quick_scalar(q, field, body))
			return false;
	} while (take(q, ','));
	return take(q, '}');
}

/* @return false: read it the long way. */
static bool quick_object(enum object_type type, const char *text, size_t len, struct object **out)
{
	const struct object_schema *schema = &object_schemas[type];
	struct object loose = *object_default(type);
	char prefix[PREFIX_TEXT_MAX];
	struct quick q;
	uint64_t given = 0;

	q.at = text;
	q.end = text + len;
	q.used = 0;
	if (!quick_group(&q, schema->fields, schema->field_count, object_body(&loose), &given))
		return false;
	while (q.at < q.end && is_space(*q.at))
		q.at++;
	if (q.at != q.end)
		return false;
	for (size_t i = 0; i < schema->field_count; i++) {
		if ((schema->fields[i].flags & FIELD_REQUIRED) != 0 &&
			(given & UINT64_C(1) << i) == 0)
			return false;
	}
	loose.name = type == OBJECT_ROUTE ? (char *)ip_prefix_format(&loose.route.prefix, prefix)
					  : *(char **)object_body(&loose);
	if (schema->check(&loose, NULL) < 0)
		return false;
	*out = object_pack(&loose);
	return *out != NULL;
}

int object_from_text(
	enum object_type type, const char *text, size_t len, struct object **out, struct error *err)
{
	json_error_t why;
	json_t *json;
	int ret;

	if (quick_object(type, text, len, out))
		return 0;
	json = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
	if (json == NULL)
		return error_set(err, EBADMSG, NULL, "line %d, column %d: %s", why.line, why.column,
			why.text);
	ret = object_from_json(type, json, out, err);
	json_decref(json);
	return ret;
}
