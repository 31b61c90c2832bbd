/* SPDX-License-Identifier: Apache-2.0 */
/** Objects of the model that the data plane does not have: pods whose namespace was gone when they
 * were restored, and routes through them. They are kept, shown as failed and tried again every
 * few seconds. Control thread only.
 */
#ifndef CTRL_DAEMON_FAILED_H
#define CTRL_DAEMON_FAILED_H

#include "ctrl/daemon/transaction.h"

#define FAILED_RETRY_S 5

struct failed_list {
	struct failed_object *items;
	size_t count;
};

void failed_free(struct failed_list *list);
/** What the data plane must be told of changes: those of failed objects begin with nothing.
 * `*filtered` is either the changes themselves or an array for the caller to free when it
 * differs. */
int failed_filter(const struct failed_list *list, const struct change *changes, size_t count,
	const struct change **filtered, size_t *n, struct error *err);
/** The changes were committed: their objects are in force or gone. */
void failed_forget(struct failed_list *list, const struct plane *plane,
	const struct change *changes, size_t count);

/** Commit to the data plane what can be (filtered as above): everything, or else all but the added
 * pods and routes through a pod, then those one by one; the ones refused join the list, changed
 * ones leave it. @return an error, with nothing done, only when the rest is refused too. */
int failed_commit(struct failed_list *list, const struct plane *plane, const struct changeset *set,
	const struct change *changes, size_t count, struct error *err);
/** Try the failed ones again; base is a set without edits. @return how many are in force now. */
size_t failed_retry(
	struct failed_list *list, const struct plane *plane, const struct changeset *base);

#endif
