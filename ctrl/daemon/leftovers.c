/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/leftovers.h"

#include "config/log.h"
#include "dataplane/tap_interface.h"

#include <errno.h>
#include <stdio.h>

void leftover_remove(const struct object *pod)
{
	struct error err = { 0 };
	char port[PORT_NAME_MAX + 8];

	snprintf(port, sizeof(port), "pod:%s", pod->name);
	if (tap_interface_remove(pod->pod.netns, pod->pod.interface, port, &err) < 0)
		LOG_WARNING(
			"an interface of an earlier daemon stays in a pod error=\"%s\"", err.text);
}

void leftovers_remove(const struct startup *startup)
{
	for (size_t i = 0; i < startup->n_orphans; i++)
		leftover_remove(startup->orphans[i]);
}

int leftovers_remove_all(const char *state, struct error *err)
{
	struct model *empty = model_new();
	struct changeset *set = empty != NULL ? changeset_new(empty) : NULL;
	struct store *store = NULL;
	const struct change *changes;
	size_t count;
	int ret = set != NULL ? store_open(state, &store, err)
			      : error_set(err, ENOMEM, NULL, "out of memory");

	if (ret == 0)
		ret = store_load(store, set, err);
	changes = ret == 0 ? changeset_changes(set, &count) : NULL;
	for (size_t i = 0; ret == 0 && i < count; i++) {
		if (changes[i].after->type == OBJECT_POD && changes[i].after->pod.kind == POD_TAP)
			leftover_remove(changes[i].after);
	}
	store_close(store);
	changeset_free(set);
	model_free(empty);
	return ret;
}
