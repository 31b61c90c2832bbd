/* SPDX-License-Identifier: Apache-2.0 */
/** Text tables from JSON arrays of objects, aligned for people: numbers to the right, long lists joined by commas. */
#ifndef CTRL_CLI_TABLE_H
#define CTRL_CLI_TABLE_H

#include <jansson.h>

struct column {
	const char *title;
	const char *key; /* member, "a.b" for nested ones */
	const char *
		unit; /* NULL, or how to show a number: "bytes", "percent" (of a share 0..1), "ms", "count" */
};

/** Print rows of an array. Columns end with a NULL title; columns == NULL: every scalar member of the first row. An empty
 * array prints `none`. */
void table_print(const json_t *rows, const struct column *columns, const char *none);
/** "name: value" lines of one object. */
void fields_print(const json_t *object);
/** A JSON value as people read it, into buf. @return buf. */
const char *value_text(const json_t *value, const char *unit, char *buf, size_t size);
/** Member by "a.b"; NULL when absent. */
const json_t *member(const json_t *object, const char *key);

#endif
