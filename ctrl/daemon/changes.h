/* SPDX-License-Identifier: Apache-2.0 */
/** The changes of a transaction, from JSON text to edits. Large lists are read by several threads;
 * the control thread calls and waits.
 */
#ifndef CTRL_DAEMON_CHANGES_H
#define CTRL_DAEMON_CHANGES_H

#include "config/model.h"
#include "ctrl/daemon/bulk.h"

/** Read {"op", "type", "object" | "name"} elements into edits of a set whose base is `model`.
 * Objects that exist keep their origin, others are of ORIGIN_API. The error of the first wrong
 * one is reported. @return 0; -EBADMSG: an element is not JSON (err is not filled: see
 * bulk_refuse); -EINVAL, -EBUSY. */
int changes_read(const struct slice *elements, size_t count, const struct model *model,
	struct changeset *set, struct error *err);

/** Refuse members of an object that are not known; `where` begins the message. */
int check_members(
	const json_t *json, const char *const *known, const char *where, struct error *err);

#endif
