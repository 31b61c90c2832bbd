/* SPDX-License-Identifier: Apache-2.0 */
/** Large JSON objects, an array element at a time. A million changes as one tree of JSON values
 * would take a gigabyte; cut into the texts of its elements they can be parsed one by one, in the
 * cache, and by several threads. Pure; any thread.
 */
#ifndef CTRL_DAEMON_BULK_H
#define CTRL_DAEMON_BULK_H

#include "config/error.h"

#include <jansson.h>
#include <stddef.h>

/** A piece of somebody else's text. */
struct slice {
	const char *at;
	size_t len;
};

struct bulk {
	struct slice *elements;
	size_t count;
	json_t *rest; /* all other members; the array itself is there as an empty one */
};

/** Cut the member `array` of a JSON object into its elements, which are not checked yet, and parse
 * all other members. @return 0, -EBADMSG with line and column when it is not JSON, -EINVAL when
 * it is not an object or `array` not an array, -ENOMEM. */
int bulk_split(
	const char *text, size_t len, const char *array, struct bulk *out, struct error *err);
void bulk_free(struct bulk *bulk);
/** Fill err with what is wrong with a text that is not JSON, or not an object. @return -EBADMSG or
 * -EINVAL. */
int bulk_refuse(const char *text, size_t len, struct error *err);

/** Walk the members of an object in a slice without parsing the values. cursor starts as the slice.
 * @return 1 = a member, 0 = the end, -1 = no object of plain keys: parse it properly. */
int bulk_member(struct slice *cursor, struct slice *key, struct slice *value);

#endif
