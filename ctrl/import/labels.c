/* SPDX-License-Identifier: Apache-2.0 */
/* LabelSelector (meta/v1) as a selector of config/selector.h, and what policies of both kinds are put together from. */
#include "ctrl/import/kubernetes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** A text that grows. */
struct text {
	char *at;
	size_t len;
	bool failed;
};

static void append(struct text *text, const char *a, const char *b, const char *c)
{
	size_t more = strlen(a) + strlen(b) + strlen(c);
	char *grown = realloc(text->at, text->len + more + 1);

	if (grown == NULL) {
		text->failed = true;
		return;
	}
	text->at = grown;
	text->len += (size_t)sprintf(grown + text->len, "%s%s%s", a, b, c);
}

static bool key_fits(const char *key)
{
	return key[0] != '\0' &&
	       key[strspn(key,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./")] ==
		       '\0';
}

/** Values of labels have no quotes in them. */
static bool value_fits(const char *value)
{
	return value[strspn(value,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] ==
	       '\0';
}

static int check_pair(struct import *import, const char *path, const char *key, const json_t *value)
{
	if (!key_fits(key))
		return import_error(import, path,
			"\"%.80s\" is no key of a label: letters, digits, \"-\", \"_\", \".\" and "
			"one \"/\"",
			key);
	if (value != NULL && !json_is_string(value))
		return import_error(import, path, "expected a string: put the value in quotes");
	if (value != NULL && !value_fits(json_string_value(value)))
		return import_error(import, path,
			"\"%.80s\" is no value of a label: letters, digits, \"-\", \"_\" and \".\"",
			json_string_value(value));
	return 0;
}

static int match_labels(
	struct import *import, const json_t *labels, const char *path, struct text *text)
{
	const char *key;
	json_t *value;
	int ret = 0;

	json_object_foreach ((json_t *)labels, key, value) {
		char at[IMPORT_PATH_MAX];

		if (ret == 0)
			ret = check_pair(import, join(at, path, key), key, value);
		if (ret < 0)
			break;
		append(text, text->len > 0 ? " && " : "", key, " == '");
		append(text, json_string_value(value), "'", "");
	}
	return ret;
}

static int value_list(struct import *import, const json_t *values, const char *path,
	const char *key, struct text *text)
{
	size_t i;
	json_t *value;

	json_array_foreach (values, i, value) {
		char at[IMPORT_PATH_MAX];
		int ret = check_pair(import, join_index(at, path, i), key, value);

		if (ret < 0)
			return ret;
		append(text, i > 0 ? ", '" : "'", json_string_value(value), "'");
	}
	append(text, " }", "", "");
	return 0;
}

static int match_expression(
	struct import *import, const json_t *item, const char *path, struct text *text)
{
	static const char *const known[] = { "key", "operator", "values", NULL };
	int ret = members_only(import, item, path, known);
	const char *key = json_string_value(
		ret < 0 ? NULL : import_member(import, item, path, "key", JSON_STRING, &ret));
	const char *operator= json_string_value(
		ret < 0 ? NULL : import_member(import, item, path, "operator", JSON_STRING, &ret));
	const json_t *values =
		ret < 0 ? NULL : import_member(import, item, path, "values", JSON_ARRAY, &ret);
	char at[IMPORT_PATH_MAX];
	bool in;

	if (ret < 0)
		return ret;
	if (key == NULL || operator== NULL)
		return import_error(import, join(at, path, key == NULL ? "key" : "operator"),
			"is missing: give it");
	ret = check_pair(import, join(at, path, "key"), key, NULL);
	if (ret < 0)
		return ret;
	in = strcmp(operator, "In") == 0;
	if (in || strcmp(operator, "NotIn") == 0) {
		if (json_array_size(values) == 0)
			return import_error(import, join(at, path, "values"),
				"is empty: operator %s needs values", operator);
		append(text, text->len > 0 ? " && " : "", key, in ? " in { " : " not in { ");
		return value_list(import, values, join(at, path, "values"), key, text);
	}
	if (strcmp(operator, "Exists") != 0 && strcmp(operator, "DoesNotExist") != 0)
		return import_error(import, join(at, path, "operator"),
			"\"%.40s\" is not understood: write In, NotIn, Exists or DoesNotExist",
			operator);
	if (json_array_size(values) > 0)
		return import_error(import, join(at, path, "values"),
			"has no meaning with operator %s: remove it", operator);
	append(text, text->len > 0 ? " && " : "", operator[0] == 'E' ? "has(" : "!has(", key);
	append(text, ")", "", "");
	return 0;
}

char *selector_text(struct import *import, const json_t *selector, const char *path)
{
	static const char *const known[] = { "matchLabels", "matchExpressions", NULL };
	int ret = members_only(import, selector, path, known);
	const json_t *labels =
		ret < 0 ? NULL
			: import_member(import, selector, path, "matchLabels", JSON_OBJECT, &ret);
	const json_t *expressions = ret < 0 ? NULL
					    : import_member(import, selector, path,
						      "matchExpressions", JSON_ARRAY, &ret);
	struct text text = { 0 };
	char at[IMPORT_PATH_MAX], element[IMPORT_PATH_MAX];
	size_t i;
	json_t *item;

	if (ret == 0)
		ret = match_labels(import, labels, join(at, path, "matchLabels"), &text);
	json_array_foreach (expressions, i, item) {
		join_index(element, join(at, path, "matchExpressions"), i);
		if (ret == 0 && !json_is_object(item))
			ret = import_error(
				import, element, "expected a mapping with key and operator");
		if (ret == 0)
			ret = match_expression(import, item, element, &text);
	}
	if (ret == 0 && text.len == 0)
		append(&text, "all()", "", "");
	if (ret == 0 && !text.failed)
		return text.at;
	free(text.at);
	return NULL;
}

json_t *network(
	struct import *import, const json_t *value, const char *path, struct ip_prefix *prefix)
{
	const char *text = json_string_value(value);
	char canonical[PREFIX_TEXT_MAX];
	struct ip_prefix parsed;

	if (text == NULL || strchr(text, '/') == NULL || ip_prefix_parse(text, &parsed) < 0) {
		import_error(import, path,
			"\"%.60s\" is not a network: write one such as 10.0.0.0/8",
			text != NULL ? text : "");
		return NULL;
	}
	/* Kubernetes takes 10.1.2.3/8 for the network around it. */
	parsed = ip_prefix_canonical(&parsed);
	if (prefix != NULL)
		*prefix = parsed;
	return json_string(ip_prefix_format(&parsed, canonical));
}

int multiply(json_t *rules, const json_t *base, const json_t *peers, const json_t *matches)
{
	size_t n_peers = json_array_size(peers), n_matches = json_array_size(matches);

	for (size_t p = 0; p < n_peers || (p == 0 && n_peers == 0); p++) {
		for (size_t m = 0; m < n_matches || (m == 0 && n_matches == 0); m++) {
			json_t *rule = json_copy((json_t *)base);

			if (rule == NULL ||
				(n_peers > 0 &&
					json_object_update(rule, json_array_get(peers, p)) < 0) ||
				(n_matches > 0 &&
					json_object_update(rule, json_array_get(matches, m)) < 0) ||
				json_array_append_new(rules, rule) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}
