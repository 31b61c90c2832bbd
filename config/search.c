/* SPDX-License-Identifier: Apache-2.0 */
#include "config/search.h"

#include "config/model_state.h"

static int visit_search(const struct object *obj, void *arg)
{
	struct search *search = arg;
	const struct object *now = changeset_find(search->set, obj->type, obj->name);

	if (now == NULL || !search->match(search, now))
		return 0;
	search->found = now;
	return 1;
}

const struct object *search_changeset(struct search *search, enum object_type type)
{
	size_t count;
	const struct change *changes = changeset_changes(search->set, &count);

	model_each(changeset_base(search->set), type, visit_search, search);
	for (size_t i = 0; i < count && search->found == NULL; i++) {
		if (changes[i].after != NULL && changes[i].after->type == type &&
			search->match(search, changes[i].after))
			search->found = changes[i].after;
	}
	return search->found;
}
