/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/import/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct loader {
	yaml_parser_t parser;
	struct error *err;
	unsigned depth;
};

static json_t *fail(struct loader *l, size_t line, const char *text)
{
	error_set(l->err, EINVAL, NULL, "%s", text);
	if (l->err != NULL)
		l->err->line = (unsigned)line + 1;
	return NULL;
}

/** The next event; false after a refusal. */
static bool next(struct loader *l, yaml_event_t *event)
{
	const yaml_parser_t *p = &l->parser;

	if (yaml_parser_parse(&l->parser, event))
		return true;
	error_set(l->err, p->error == YAML_MEMORY_ERROR ? ENOMEM : EINVAL, NULL, "not YAML: %s",
		p->problem != NULL ? p->problem : "out of memory");
	if (l->err != NULL)
		l->err->line = (unsigned)p->problem_mark.line + 1;
	return false;
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (strcmp(text, *words) == 0)
			return true;
	}
	return false;
}

/** What a scalar without quotes is. Anything else is a string. */
static json_t *plain(const char *text)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const yes[] = { "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On",
		"ON", "y", "Y", NULL };
	static const char *const no[] = { "false", "False", "FALSE", "no", "No", "NO", "off", "Off",
		"OFF", "n", "N", NULL };
	const char *digits = text + (*text == '-' || *text == '+');
	char *end;
	long long number;
	double real;

	if (is_one_of(text, nulls))
		return json_null();
	if (is_one_of(text, yes))
		return json_true();
	if (is_one_of(text, no))
		return json_false();
	if (!isdigit((unsigned char)*digits) && *digits != '.')
		return json_string(text);
	errno = 0;
	number = strtoll(text, &end,
		digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') ? 16
		: digits[0] == '0' && digits[1] != '\0'			   ? 8
									   : 10);
	if (*end == '\0' && errno == 0)
		return json_integer(number);
	real = strtod(text, &end);
	if (*end == '\0' && isfinite(real))
		return json_real(real);
	return json_string(text);
}

static json_t *scalar(struct loader *l, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	json_t *value;

	if (event->data.scalar.tag != NULL)
		return fail(
			l, event->start_mark.line, "a tag (!...) has no meaning here: remove it");
	if (memchr(text, '\0', len) != NULL)
		return fail(
			l, event->start_mark.line, "there is a zero byte in a string: remove it");
	value = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain(text)
								    : json_stringn(text, len);
	return value != NULL ? value
			     : fail(l, event->start_mark.line,
				       "out of memory, or text that is not UTF-8");
}

static json_t *node(struct loader *l, const yaml_event_t *event);

static json_t *sequence(struct loader *l)
{
	json_t *list = json_array(), *item;
	yaml_event_t event;
	bool ended = false;

	while (list != NULL && !ended) {
		if (!next(l, &event))
			break;
		ended = event.type == YAML_SEQUENCE_END_EVENT;
		item = ended ? NULL : node(l, &event);
		yaml_event_delete(&event);
		if (!ended && (item == NULL || json_array_append_new(list, item) < 0))
			break;
	}
	if (ended)
		return list;
	json_decref(list);
	return NULL;
}

/** One key and its value into map. @return 1, 0 at the end, -1 after a refusal. */
static int entry(struct loader *l, json_t *map)
{
	yaml_event_t event;
	char *key = NULL;
	size_t line;
	json_t *value = NULL;

	if (!next(l, &event))
		return -1;
	line = event.start_mark.line;
	if (event.type == YAML_MAPPING_END_EVENT) {
		yaml_event_delete(&event);
		return 0;
	}
	if (event.type == YAML_SCALAR_EVENT)
		key = strdup((const char *)event.data.scalar.value);
	yaml_event_delete(&event);
	if (key == NULL)
		fail(l, line, "a key that is no word: write a string");
	else if (strcmp(key, "<<") == 0)
		fail(l, line, "merge keys (<<) are not understood: write the fields out");
	else if (json_object_get(map, key) != NULL)
		fail(l, line, "a key is given twice in its mapping: remove one");
	else if (next(l, &event)) {
		value = node(l, &event);
		yaml_event_delete(&event);
	}
	if (value != NULL && json_object_set_new(map, key, value) < 0) {
		fail(l, line, "a key that is not UTF-8: rewrite it");
		value = NULL;
	}
	free(key);
	return value != NULL ? 1 : -1;
}

static json_t *mapping(struct loader *l)
{
	json_t *map = json_object();
	int ret = map != NULL ? 1 : -1;

	while (ret > 0)
		ret = entry(l, map);
	if (ret == 0)
		return map;
	json_decref(map);
	return NULL;
}

static json_t *node(struct loader *l, const yaml_event_t *event)
{
	size_t line = event->start_mark.line;
	json_t *value = NULL;

	if (event->type == YAML_SCALAR_EVENT)
		return scalar(l, event);
	if (event->type == YAML_ALIAS_EVENT)
		return fail(l, line, "aliases (*name) are not understood: write the value out");
	if (l->depth == YAML_DEPTH_MAX)
		return fail(l, line, "nested too deep: no object has so many levels");
	l->depth++;
	if (event->type == YAML_SEQUENCE_START_EVENT)
		value = sequence(l);
	else if (event->type == YAML_MAPPING_START_EVENT)
		value = mapping(l);
	else
		fail(l, line, "not YAML: an unexpected part");
	l->depth--;
	return value;
}

/** All documents into list. @return 0, or -1 after a refusal. */
static int documents(struct loader *l, json_t *list)
{
	for (;;) {
		yaml_event_t event;
		yaml_event_type_t type;
		json_t *value = NULL;

		if (!next(l, &event))
			return -1;
		type = event.type;
		if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
			type == YAML_MAPPING_START_EVENT || type == YAML_ALIAS_EVENT)
			value = node(l, &event);
		yaml_event_delete(&event);
		if (type == YAML_STREAM_END_EVENT)
			return 0;
		if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT ||
			type == YAML_DOCUMENT_END_EVENT)
			continue;
		if (value == NULL || json_array_append_new(list, value) < 0)
			return -1;
	}
}

json_t *yaml_load(const char *text, size_t len, struct error *err)
{
	struct loader l = { .err = err };
	size_t blanks = 0;
	json_t *list = json_array();
	int ret = -1;

	if (list == NULL)
		return NULL;
	while (blanks < len && strchr(" \t\r\n", text[blanks]) != NULL)
		blanks++;
	if (blanks < len && text[blanks] == '{') {
		json_t *whole = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

		if (whole != NULL) {
			json_array_append_new(list, whole);
			return list;
		}
	}
	if (!yaml_parser_initialize(&l.parser)) {
		error_set(err, ENOMEM, NULL, "out of memory");
	} else {
		yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, len);
		ret = documents(&l, list);
		yaml_parser_delete(&l.parser);
	}
	if (ret == 0)
		return list;
	json_decref(list);
	return NULL;
}
