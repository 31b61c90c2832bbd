/* SPDX-License-Identifier: Apache-2.0 */
/** Whom to name in a refusal: the indexes count who depends on an object, this finds one of them. Linear, so only for a
 * refusal. Control thread only; private to config/.
 */
#ifndef CONFIG_SEARCH_H
#define CONFIG_SEARCH_H

#include "config/model.h"

struct search {
	const struct changeset *set;
	bool (*match)(const struct search *search, const struct object *obj);
	const void *what;
	enum object_type type;
	const struct object *found;
};

/** An object of a type that matches, as it will be with the edits, or NULL. */
const struct object *search_changeset(struct search *search, enum object_type type);

#endif
