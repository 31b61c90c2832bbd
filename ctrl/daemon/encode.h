/* SPDX-License-Identifier: Apache-2.0 */
/** Objects as compact JSON text, written straight from the field table: what the store keeps.
 * Fields that are absent or (most) at their default are left out. Reads back through
 * object_from_json to an equal object. About ten times faster than building a JSON tree, which a
 * million routes notice.
 *
 * Pure apart from allocation; any thread that may read the object.
 */
#ifndef CTRL_DAEMON_ENCODE_H
#define CTRL_DAEMON_ENCODE_H

#include "config/model.h"

#include <stdbool.h>
#include <stddef.h>

/** Growing text; zero-initialised is empty. After a failed allocation `failed` is set and further
 * text is ignored. */
struct text {
	char *data;
	size_t len, size;
	bool failed;
};
void text_add(struct text *text, const char *bytes, size_t len);
void text_free(struct text *text);

/** Append the object, secrets included. */
void object_encode(const struct object *obj, struct text *out);

#endif
