/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/failed.h"

#include "config/log.h"
#include "config/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void drop(struct failed_list *list, size_t i)
{
	object_unref(list->items[i].object);
	list->items[i] = list->items[--list->count];
}

void failed_free(struct failed_list *list)
{
	while (list->count > 0)
		drop(list, list->count - 1);
	free(list->items);
	*list = (struct failed_list){ 0 };
}

static struct failed_object *find(const struct failed_list *list, const struct object *obj)
{
	for (size_t i = 0; obj != NULL && i < list->count; i++) {
		const struct object *failed = list->items[i].object;

		if (failed->type == obj->type && strcmp(failed->name, obj->name) == 0)
			return &list->items[i];
	}
	return NULL;
}

static void add(struct failed_list *list, struct object *obj, const struct error *why)
{
	struct failed_object *item = find(list, obj);

	if (item == NULL) {
		struct failed_object *grown =
			realloc(list->items, (list->count + 1) * sizeof(*grown));

		if (grown == NULL) {
			LOG_ERROR(
				"out of memory for a failed object: it is not tried again name=%s",
				obj->name);
			return;
		}
		list->items = grown;
		item = &grown[list->count++];
		item->object = object_ref(obj);
		item->since = time(NULL);
	}
	memcpy(item->error, why->text, sizeof(item->error));
}

int failed_filter(const struct failed_list *list, const struct change *changes, size_t count,
	const struct change **filtered, size_t *n, struct error *err)
{
	struct change *copy;

	*filtered = changes;
	*n = count;
	if (list->count == 0)
		return 0;
	copy = malloc((count + 1) * sizeof(*copy));
	if (copy == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	*n = 0;
	for (size_t i = 0; i < count; i++) {
		struct change change = changes[i];

		if (find(list, change.before) != NULL)
			change.before = NULL;
		if (change.before != NULL || change.after != NULL)
			copy[(*n)++] = change;
	}
	*filtered = copy;
	return 0;
}

static bool has_interface(const struct object *obj)
{
	return obj != NULL && obj->type == OBJECT_POD && obj->pod.kind == POD_TAP;
}

static bool same_interface(const struct object *a, const struct object *b)
{
	return has_interface(b) && strcmp(a->pod.netns, b->pod.netns) == 0 &&
	       strcmp(a->pod.interface, b->pod.interface) == 0;
}

void failed_forget(struct failed_list *list, const struct plane *plane,
	const struct change *changes, size_t count)
{
	for (size_t i = 0; list->count > 0 && i < count; i++) {
		const struct object *before = changes[i].before;
		struct failed_object *item = find(list, before);

		if (item == NULL)
			continue;
		drop(list, (size_t)(item - list->items));
		/* The data plane has no port to close with it. */
		if (plane->forget != NULL && has_interface(before) &&
			!same_interface(before, changes[i].after))
			plane->forget(before);
	}
}

static int commit(const struct plane *plane, const struct changeset *set,
	const struct change *changes, size_t count, struct error *err)
{
	void *txn;
	int ret = count > 0 ? plane->prepare(set, changes, count, &txn, err) : 0;

	if (ret == 0 && count > 0)
		plane->commit(txn);
	return ret;
}

static bool may_fail(const struct change *change)
{
	const struct object *obj = change->after;

	if (obj == NULL || change->before != NULL)
		return false;
	if (obj->type != OBJECT_ROUTE)
		return obj->type == OBJECT_POD;
	for (size_t i = 0; i < obj->route.via_count; i++) {
		if (obj->route.via[i].pod != NULL && obj->route.via[i].pod[0] != '\0')
			return true;
	}
	return false;
}

/** The added pods and what hangs on them, one by one. */
static void commit_unsure(struct failed_list *list, const struct plane *plane,
	const struct changeset *set, const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct object *obj = changes[i].after;
		struct error why = { 0 };

		if (!may_fail(&changes[i]) || commit(plane, set, &changes[i], 1, &why) == 0)
			continue;
		add(list, obj, &why);
		LOG_ERROR("%s is not in force and will be tried again name=%s error=\"%s\"",
			object_schemas[obj->type].name, obj->name, why.text);
	}
}

static int commit_sure(const struct plane *plane, const struct changeset *set,
	const struct change *changes, size_t count, struct error *err)
{
	struct change *sure = malloc((count + 1) * sizeof(*sure));
	size_t n = 0;
	int ret;

	if (sure == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	for (size_t i = 0; i < count; i++) {
		if (!may_fail(&changes[i]))
			sure[n++] = changes[i];
	}
	/* All sure: the error of the whole stands. */
	ret = n == count ? -ECANCELED : commit(plane, set, sure, n, err);
	free(sure);
	return ret;
}

int failed_commit(struct failed_list *list, const struct plane *plane, const struct changeset *set,
	const struct change *changes, size_t count, struct error *err)
{
	const struct change *filtered;
	bool partly = false;
	size_t n;
	int ret = failed_filter(list, changes, count, &filtered, &n, err);

	if (ret < 0)
		return ret;
	ret = commit(plane, set, filtered, n, err);
	if (ret < 0) {
		ret = commit_sure(plane, set, filtered, n, err);
		partly = ret == 0;
	}
	if (ret == 0)
		failed_forget(list, plane, changes, count);
	if (partly)
		commit_unsure(list, plane, set, filtered, n);
	if (filtered != changes)
		free((void *)filtered);
	return ret;
}

size_t failed_retry(
	struct failed_list *list, const struct plane *plane, const struct changeset *base)
{
	size_t done = 0;

	/* Pods before the routes through them; a pass over types keeps that order. */
	for (int type = 0; type < OBJECT_TYPE_COUNT; type++) {
		for (size_t i = 0; i < list->count;) {
			struct failed_object *item = &list->items[i];
			struct change change = { NULL, item->object };
			struct error why = { 0 };

			if ((int)item->object->type != type) {
				i++;
			} else if (commit(plane, base, &change, 1, &why) < 0) {
				memcpy(item->error, why.text, sizeof(item->error));
				i++;
			} else {
				LOG_INFO("%s is in force now name=%s", object_schemas[type].name,
					item->object->name);
				drop(list, i);
				done++;
			}
		}
	}
	return done;
}
