/* SPDX-License-Identifier: Apache-2.0 */
/** Transactions: the only way objects change. A set of edits is completed (pod addresses),
 * checked, prepared in the data plane, written to the store and then published; a failure at any
 * step leaves everything as it was. Control thread only.
 *
 * A transaction may wait for its confirmation: unless confirmed in time it is undone. The store
 * knows how, so a restart in between changes nothing. While one waits, all other changes are
 * refused: undoing must give back exactly the state before.
 */
#ifndef CTRL_DAEMON_TRANSACTION_H
#define CTRL_DAEMON_TRANSACTION_H

#include "config/model.h"
#include "ctrl/daemon/store.h"
#include "ctrl/daemon/watch.h"

#include <jansson.h>

#define CONFIRM_MAX_S 86400

/** The data plane as a transaction sees it; see dataplane/forwarding.h. Tests put their own here.
 */
struct plane {
	int (*prepare)(const struct changeset *set, const struct change *changes, size_t count,
		void **txn, struct error *err);
	void (*commit)(void *txn);
	void (*abort)(void *txn);
	/** A pod that was never in force is gone: so shall be what an earlier daemon left for it. NULL = nothing. */
	void (*forget)(const struct object *pod);
};

struct engine_conf {
	struct event_base *base;
	struct store *store;
	const struct plane *plane;
	/** After each commit; for settings that are not the data plane's. NULL = nobody. */
	void (*committed)(const struct change *changes, size_t count, void *arg);
	void *arg;
};

struct engine;
struct engine *engine_new(const struct engine_conf *conf);
void engine_free(struct engine *engine);
const struct model *engine_model(const struct engine *engine);
struct store *engine_store(const struct engine *engine);
const struct ipam *engine_ipam(const struct engine *engine);

struct txn_options {
	bool dry_run;
	uint32_t confirm_s;    /* 0 = no confirmation needed */
	const char *source;    /* for the history: "api", "file" */
	const char *file_hash; /* a configuration file is being applied; NULL = not */
	uint32_t diff_limit;   /* most changes shown in the result */
};
struct txn_result {
	struct txn_record record; /* id 0 when nothing was committed */
	json_t *diff;	/* array of {type, name, before, after, fields}; the caller's reference */
	size_t changes; /* in all; diff may hold fewer */
};
/** Apply a set whose base is engine_model(). The set stays the caller's to free. A set without
 * effect commits nothing. */
int engine_apply(struct engine *engine, struct changeset *set, const struct txn_options *options,
	struct txn_result *result, struct error *err);
/** -ENOENT: no such transaction; -EBUSY: it does not wait (any more). */
int engine_confirm(
	struct engine *engine, uint64_t id, struct txn_record *record, struct error *err);
int engine_rollback(
	struct engine *engine, uint64_t id, struct txn_record *record, struct error *err);
/** The transaction that waits, or NULL. */
const struct txn_record *engine_waiting(const struct engine *engine);

/** First commit of the process: everything in a set whose base is the empty model. `write` says
 * what of it the store has not yet (changes and record are filled in here when `file_changed`).
 * Pods that cannot be attached do not stop it. */
int engine_start(struct engine *engine, struct changeset *set, const char *file_hash,
	bool file_changed, struct error *err);

/** An object of the model that is not in force: what went wrong. */
struct failed_object {
	struct object *object;
	char error[320];
	time_t since;
};
const struct failed_object *engine_failed(const struct engine *engine, size_t *count);

#endif
