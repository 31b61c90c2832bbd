/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/bulk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A scanner that finds where values end. It need not tell valid from invalid inside a value: every
 * piece is parsed by jansson, and whatever the scanner stumbles over is parsed again as a whole for
 * jansson's message. */
struct scan {
	const char *at, *end;
};

static void skip_space(struct scan *s)
{
	while (s->at < s->end &&
		(*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
		s->at++;
}

static bool take(struct scan *s, char c)
{
	skip_space(s);
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

static bool skip_string(struct scan *s)
{
	for (s->at++; s->at < s->end && *s->at != '"'; s->at++) {
		if (*s->at == '\\' && ++s->at == s->end)
			return false;
	}
	if (s->at == s->end)
		return false;
	s->at++;
	return true;
}

/** Past one value: strings and brackets matter, everything else is left to the parser. */
static bool skip_value(struct scan *s, struct slice *value)
{
	unsigned depth = 0;

	skip_space(s);
	value->at = s->at;
	while (s->at < s->end) {
		char c = *s->at;

		if (c == '"') {
			if (!skip_string(s))
				return false;
			if (depth == 0)
				break;
			continue;
		}
		if (depth == 0 && (c == ',' || c == '}' || c == ']'))
			break;
		s->at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			break;
	}
	value->len = (size_t)(s->at - value->at);
	return depth == 0 && value->len > 0;
}

int bulk_refuse(const char *text, size_t len, struct error *err)
{
	json_error_t why;
	json_t *whole = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);

	if (whole == NULL)
		return error_set(err, EBADMSG, NULL, "the body is not JSON: line %d, column %d: %s",
			why.line, why.column, why.text);
	json_decref(whole);
	return error_set(err, EINVAL, NULL, "the body must be a JSON object");
}

static int add_element(struct bulk *bulk, size_t *room, const struct slice *value)
{
	if (bulk->count == *room) {
		struct slice *grown;

		*room = *room * 2 + 16;
		grown = realloc(bulk->elements, *room * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		bulk->elements = grown;
	}
	bulk->elements[bulk->count++] = *value;
	return 0;
}

/* The functions below return 1 for what is not JSON. */

static int split_elements(struct scan *s, struct bulk *bulk)
{
	size_t room = 0;

	if (take(s, ']'))
		return 0;
	do {
		struct slice value;

		if (!skip_value(s, &value))
			return 1;
		if (add_element(bulk, &room, &value) < 0)
			return -ENOMEM;
	} while (take(s, ','));
	return take(s, ']') ? 0 : 1;
}

static json_t *parse_value(struct scan *s)
{
	struct slice value;
	json_error_t why;

	if (!skip_value(s, &value))
		return NULL;
	return json_loadb(value.at, value.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
}

static int split_member(struct scan *s, const char *array, struct bulk *bulk)
{
	json_t *key, *value;
	int ret = 0;

	skip_space(s);
	if (s->at == s->end || *s->at != '"')
		return 1;
	key = parse_value(s);
	if (key == NULL || !take(s, ':') ||
		json_object_get(bulk->rest, json_string_value(key)) != NULL) {
		json_decref(key);
		return 1;
	}
	skip_space(s);
	if (strcmp(json_string_value(key), array) == 0 && s->at < s->end && *s->at == '[') {
		s->at++;
		value = json_array();
		ret = split_elements(s, bulk);
	} else {
		value = parse_value(s);
	}
	if (value == NULL)
		ret = 1;
	else if (json_object_set_new(bulk->rest, json_string_value(key), value) < 0)
		ret = -ENOMEM;
	json_decref(key);
	return ret;
}

static int split_object(struct scan *s, const char *array, struct bulk *bulk)
{
	int ret = 0;

	if (!take(s, '{'))
		return 1;
	if (!take(s, '}')) {
		do {
			ret = split_member(s, array, bulk);
		} while (ret == 0 && take(s, ','));
		if (ret == 0 && !take(s, '}'))
			ret = 1;
	}
	skip_space(s);
	return ret == 0 && s->at != s->end ? 1 : ret;
}

int bulk_split(const char *text, size_t len, const char *array, struct bulk *out, struct error *err)
{
	struct scan s = { text, text + len };
	const json_t *member;
	int ret;

	*out = (struct bulk){ .rest = json_object() };
	ret = out->rest != NULL ? split_object(&s, array, out) : -ENOMEM;
	if (ret == 1)
		ret = bulk_refuse(text, len, err);
	else if (ret < 0)
		ret = error_set(err, ENOMEM, NULL, "out of memory");
	member = json_object_get(out->rest, array);
	if (ret == 0 && member != NULL && !json_is_array(member))
		ret = error_set(err, EINVAL, array, "%s must be an array", array);
	if (ret < 0)
		bulk_free(out);
	return ret;
}

void bulk_free(struct bulk *bulk)
{
	free(bulk->elements);
	json_decref(bulk->rest);
	*bulk = (struct bulk){ 0 };
}

int bulk_member(struct slice *cursor, struct slice *key, struct slice *value)
{
	struct scan s = { cursor->at, cursor->at + cursor->len };
	bool first = s.at < s.end && *s.at == '{';

	if (!take(&s, first ? '{' : ',')) {
		/* Nothing but the closing bracket may be left. */
		bool end = take(&s, '}');

		skip_space(&s);
		return end && s.at == s.end ? 0 : -1;
	}
	skip_space(&s);
	if (s.at == s.end || *s.at != '"' || !skip_value(&s, key) ||
		memchr(key->at, '\\', key->len) != NULL || !take(&s, ':') || !skip_value(&s, value))
		return -1;
	cursor->at = s.at;
	cursor->len = (size_t)(s.end - s.at);
	return 1;
}
