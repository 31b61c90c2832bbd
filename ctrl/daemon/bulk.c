/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/bulk.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* A scanner that finds where values end. It need not tell valid from invalid inside a value:
 * every piece is parsed by jansson, and whatever the scanner stumbles over is parsed again as a
 * whole for jansson's message. */
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
static bool skip_value(struct scan *s)
{
	unsigned depth = 0;
	const char *start;

	skip_space(s);
	start = s->at;
	while (s->at < s->end) {
		switch (*s->at) {
		case '"':
			if (!skip_string(s))
				return false;
			if (depth == 0)
				return true;
			break;
		case '{':
		case '[':
			depth++;
			s->at++;
			break;
		case '}':
		case ']':
			if (depth == 0)
				return s->at > start;
			s->at++;
			if (--depth == 0)
				return true;
			break;
		case ',':
			if (depth == 0)
				return s->at > start;
			s->at++;
			break;
		default:
			s->at++;
		}
	}
	return depth == 0 && s->at > start;
}

static int not_json(const char *text, size_t len, struct error *err)
{
	json_error_t why;
	json_t *whole = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);

	if (whole != NULL) {
		bool object = json_is_object(whole);

		json_decref(whole);
		return object ? error_set(err, EBADMSG, NULL, "the body could not be taken apart")
			      : error_set(err, EINVAL, NULL, "the body must be a JSON object");
	}
	return error_set(err, EBADMSG, NULL, "the body is not JSON: line %d, column %d: %s",
		why.line, why.column, why.text);
}

static json_t *parse_value(struct scan *s)
{
	const char *start;
	json_error_t why;

	skip_space(s);
	start = s->at;
	if (!skip_value(s))
		return NULL;
	return json_loadb(
		start, (size_t)(s->at - start), JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
}

/** @return 1 = not JSON. */
static int parse_elements(struct scan *s, bulk_visit visit, void *arg, struct error *err)
{
	size_t index = 0;

	if (take(s, ']'))
		return 0;
	do {
		json_t *element = parse_value(s);
		int ret;

		if (element == NULL)
			return 1;
		ret = visit(element, index++, arg, err);
		json_decref(element);
		if (ret != 0)
			return ret;
	} while (take(s, ','));
	return take(s, ']') ? 0 : 1;
}

static int parse_member(struct scan *s, const char *array, bulk_visit visit, void *arg,
	json_t *rest, struct error *err)
{
	json_t *key, *value;
	int ret = 0;

	skip_space(s);
	if (s->at == s->end || *s->at != '"')
		return 1;
	key = parse_value(s);
	if (key == NULL || !take(s, ':') || json_object_get(rest, json_string_value(key)) != NULL) {
		json_decref(key);
		return 1;
	}
	skip_space(s);
	if (strcmp(json_string_value(key), array) == 0 && s->at < s->end && *s->at == '[') {
		s->at++;
		value = json_array();
		ret = parse_elements(s, visit, arg, err);
	} else {
		value = parse_value(s);
	}
	if (value == NULL)
		ret = 1;
	else if (json_object_set_new(rest, json_string_value(key), value) < 0)
		ret = error_set(err, ENOMEM, NULL, "out of memory");
	json_decref(key);
	return ret;
}

int bulk_parse(const char *text, size_t len, const char *array, bulk_visit visit, void *arg,
	json_t **rest, struct error *err)
{
	struct scan s = { text, text + len };
	int ret = 1;

	*rest = json_object();
	if (take(&s, '{')) {
		ret = 0;
		if (!take(&s, '}')) {
			do {
				ret = parse_member(&s, array, visit, arg, *rest, err);
			} while (ret == 0 && take(&s, ','));
			if (ret == 0 && !take(&s, '}'))
				ret = 1;
		}
		skip_space(&s);
		if (ret == 0 && s.at != s.end)
			ret = 1;
	}
	if (ret == 1)
		ret = not_json(text, len, err);
	if (ret == 0 && json_object_get(*rest, array) != NULL &&
		!json_is_array(json_object_get(*rest, array)))
		ret = error_set(err, EINVAL, array, "%s must be an array", array);
	if (ret != 0) {
		json_decref(*rest);
		*rest = NULL;
	}
	return ret;
}
