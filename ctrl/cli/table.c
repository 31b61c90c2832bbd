/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/cli/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELL_MAX    160
#define COLUMNS_MAX 16

const json_t *member(const json_t *object, const char *key)
{
	const char *dot = strchr(key, '.');
	char first[64];

	if (dot == NULL)
		return json_object_get(object, key);
	snprintf(first, sizeof(first), "%.*s", (int)(dot - key), key);
	return member(json_object_get(object, first), dot + 1);
}

static const char *number_text(double v, bool integer, const char *unit, char *buf, size_t size)
{
	static const char *const steps[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned step = 0;

	if (unit != NULL && strcmp(unit, "percent") == 0) {
		snprintf(buf, size, "%.1f %%", v * 100);
	} else if (unit != NULL && strcmp(unit, "bytes") == 0) {
		while (v >= 1024 && step + 1 < sizeof(steps) / sizeof(steps[0])) {
			v /= 1024;
			step++;
		}
		snprintf(buf, size, step == 0 ? "%.0f %s" : "%.1f %s", v, steps[step]);
	} else if (unit != NULL && strcmp(unit, "ms") == 0) {
		if (v < 10000)
			snprintf(buf, size, "%.0f ms", v);
		else
			snprintf(buf, size, "%.0f s", v / 1000);
	} else if (integer) {
		snprintf(buf, size, "%.0f", v);
	} else {
		snprintf(buf, size, "%.3f", v);
	}
	return buf;
}

const char *value_text(const json_t *value, const char *unit, char *buf, size_t size)
{
	size_t used = 0, i;
	const json_t *item;

	buf[0] = '\0';
	switch (value != NULL ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		snprintf(buf, size, "%s", json_string_value(value));
		break;
	case JSON_INTEGER:
	case JSON_REAL:
		return number_text(
			json_number_value(value), json_is_integer(value), unit, buf, size);
	case JSON_TRUE:
		snprintf(buf, size, "yes");
		break;
	case JSON_FALSE:
		snprintf(buf, size, "no");
		break;
	case JSON_ARRAY:
		json_array_foreach ((json_t *)value, i, item) {
			char text[CELL_MAX];

			if (used + 2 >= size)
				break;
			used += (size_t)snprintf(buf + used, size - used, "%s%s", i > 0 ? ", " : "",
				value_text(item, unit, text, sizeof(text)));
		}
		break;
	case JSON_OBJECT: {
		const char *key;

		json_object_foreach ((json_t *)value, key, item) {
			char text[CELL_MAX];

			if (used + 2 >= size)
				break;
			if (json_is_null(item) ||
				(json_is_string(item) && json_string_length(item) == 0))
				continue;
			used += (size_t)snprintf(buf + used, size - used, "%s%s %s",
				used > 0 ? " " : "", key,
				value_text(item, unit, text, sizeof(text)));
		}
		break;
	}
	default:
		snprintf(buf, size, "-");
	}
	if (buf[0] == '\0')
		snprintf(buf, size, "-");
	return buf;
}

/** Columns for rows nobody described: their scalar members, in order. */
static size_t guess_columns(const json_t *row, struct column *columns)
{
	const char *key;
	const json_t *value;
	size_t n = 0;

	json_object_foreach ((json_t *)row, key, value) {
		if (n < COLUMNS_MAX && !json_is_object(value))
			columns[n++] = (struct column){ key, key, NULL };
	}
	return n;
}

static void upper(const char *title, char *buf, size_t size)
{
	size_t i;

	for (i = 0; title[i] != '\0' && i + 1 < size; i++)
		buf[i] = (char)(title[i] >= 'a' && title[i] <= 'z' ? title[i] - 32
				: title[i] == '_'		   ? ' '
								   : title[i]);
	buf[i] = '\0';
}

void table_print(const json_t *rows, const struct column *described, const char *none)
{
	struct column columns[COLUMNS_MAX];
	size_t width[COLUMNS_MAX] = { 0 }, n = 0, r;
	bool right[COLUMNS_MAX] = { false };
	char text[CELL_MAX];
	const json_t *row;

	if (json_array_size(rows) == 0) {
		printf("%s\n", none);
		return;
	}
	if (described != NULL) {
		while (n < COLUMNS_MAX && described[n].title != NULL) {
			columns[n] = described[n];
			n++;
		}
	} else {
		n = guess_columns(json_array_get(rows, 0), columns);
	}
	for (size_t c = 0; c < n; c++) {
		width[c] = strlen(columns[c].title);
		json_array_foreach ((json_t *)rows, r, row) {
			const json_t *value = member(row, columns[c].key);
			size_t len = strlen(value_text(value, columns[c].unit, text, sizeof(text)));

			right[c] = right[c] || json_is_number(value);
			width[c] = len > width[c] ? len : width[c];
		}
	}
	for (size_t c = 0; c < n; c++) {
		upper(columns[c].title, text, sizeof(text));
		printf(right[c] ? "%*s%s" : "%-*s%s", c + 1 < n || right[c] ? (int)width[c] : 0,
			text, c + 1 < n ? "  " : "\n");
	}
	json_array_foreach ((json_t *)rows, r, row) {
		for (size_t c = 0; c < n; c++) {
			value_text(
				member(row, columns[c].key), columns[c].unit, text, sizeof(text));
			printf(right[c] ? "%*s%s" : "%-*s%s",
				c + 1 < n || right[c] ? (int)width[c] : 0, text,
				c + 1 < n ? "  " : "\n");
		}
	}
}

static void fields_indented(const json_t *object, int indent)
{
	const char *key;
	const json_t *value;
	size_t width = 0;

	json_object_foreach ((json_t *)object, key, value)
		width = strlen(key) > width && !json_is_object(value) ? strlen(key) : width;
	json_object_foreach ((json_t *)object, key, value) {
		char text[1024];
		const char *unit = strstr(key, "bytes") != NULL ? "bytes" : NULL;

		if (json_is_object(value)) {
			printf("%*s%s:\n", indent, "", key);
			fields_indented(value, indent + 2);
		} else {
			printf("%*s%-*s  %s\n", indent, "", (int)width, key,
				value_text(value, unit, text, sizeof(text)));
		}
	}
}

void fields_print(const json_t *object)
{
	fields_indented(object, 0);
}
