/* SPDX-License-Identifier: Apache-2.0 */
/** Labels, and the language that selects by them (Calico's; Kubernetes' selectors can be written in it):
 *
 *     app == 'web' && tier in {'front', 'edge'} && !has(legacy)
 *
 * `==`, `!=` (also true without the label), `in { }`, `not in { }` (also true without), `has(KEY)`, `KEY starts with 'x'`,
 * `ends with`, `contains`, `all()`, `global()`, `!`, `&&`, `||`, parentheses. Values are in single or double quotes. Keys
 * are Kubernetes' label keys. An empty text, or blanks, selects everything.
 *
 * Pure but for allocation; any thread. A selector and a label set are immutable once made.
 */
#ifndef CONFIG_SELECTOR_H
#define CONFIG_SELECTOR_H

#include "config/model.h"

/** Labels in the order of their keys. */
struct label {
	const char *key, *value;
};
struct label_set {
	size_t count;
	struct label items[];
};
/** From "key=value" texts; of a key that comes twice the last counts. `key` and `value` (may be NULL) are one more label, which
 * the list does not override. One block; NULL when out of memory. */
struct label_set *label_set_new(
	const struct string_list *labels, const char *key, const char *value);
/** The value of a key, or NULL. */
const char *label_set_get(const struct label_set *set, const char *key);

struct selector;
#define SELECTOR_DEPTH_MAX 32 /* parentheses and negations within each other */

/** @return NULL with err set: where, and what was expected there (no path: the caller knows the field). */
struct selector *selector_parse(const char *text, struct error *err);
void selector_free(struct selector *selector);
/** Whether an object, or a namespace, with these labels is selected. labels NULL stands for the namespace of what has none: for it
 * all() is false, and global() true. */
bool selector_match(const struct selector *selector, const struct label_set *labels);

#endif
