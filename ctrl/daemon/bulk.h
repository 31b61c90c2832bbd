/* SPDX-License-Identifier: Apache-2.0 */
/** Large JSON objects one array element at a time. A million changes as one tree of JSON values
 * would take a gigabyte and most of the time of the transaction; parsed one by one they stay in
 * the cache. Pure; any thread.
 */
#ifndef CTRL_DAEMON_BULK_H
#define CTRL_DAEMON_BULK_H

#include "config/error.h"

#include <jansson.h>

/** Called for each element, in order; the element is the caller's. Non-zero stops and is returned.
 */
typedef int (*bulk_visit)(const json_t *element, size_t index, void *arg, struct error *err);

/** Parse an object. Elements of its member `array` go to visit, all other members into *rest (new
 * reference). When `array` is there, *rest has it as an empty array. @return 0, -EBADMSG with
 * line and column when it is not JSON, -EINVAL when it is not an object or `array` not an array,
 * or what visit returned. */
int bulk_parse(const char *text, size_t len, const char *array, bulk_visit visit, void *arg,
	json_t **rest, struct error *err);

#endif
