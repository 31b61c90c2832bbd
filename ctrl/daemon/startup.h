/* SPDX-License-Identifier: Apache-2.0 */
/** The configuration file beside the objects of the API. Control thread only.
 *
 * While the file is the one applied last, the store is the truth (so API changes to the file's
 * objects stay). A changed file wins: its objects replace those of the same name, objects it no
 * longer has go, objects made through the API stay. "Changed" is a hash of the text, of included
 * files too.
 */
#ifndef CTRL_DAEMON_STARTUP_H
#define CTRL_DAEMON_STARTUP_H

#include "ctrl/daemon/store.h"
#include "ctrl/daemon/transaction.h"

#define FILE_HASH_TEXT 17

/** Hash of a file and of what it includes. @return 0 or an error that names the file. */
int config_file_hash(const char *path, char hash[FILE_HASH_TEXT], struct error *err);

/** What a starting daemon has to do. */
struct startup {
	struct changeset *set; /* every object; its base is the engine's model, still empty */
	char file_hash[FILE_HASH_TEXT];
	bool file_changed; /* the store does not have the file's objects yet */
	/* Pods whose interface an earlier daemon may have left and this one does not take over. */
	struct object **orphans;
	size_t n_orphans;
};
/** Combine file and store. A transaction that waited for its confirmation is undone when its time
 * is over or the file has changed. */
int startup_load(
	struct engine *engine, const char *path, struct startup *startup, struct error *err);
/** The same for a successor that looks ahead, while another daemon has the store: nothing is undone. */
int startup_look(struct store *store, const struct model *empty, const char *path,
	struct startup *startup, struct error *err);
void startup_free(struct startup *startup);
/** The node object of a set that has one, else NULL and an error that says what to write. */
const struct node *startup_node(const struct startup *startup, struct error *err);

/** Which objects that `wanted` does not name go. */
enum replace_mode { REPLACE_NONE, REPLACE_FILE_OBJECTS, REPLACE_ALL };
/** Edit a set (base: model) so that it holds the objects of `wanted`, a set of its own. Objects
 * that exist keep their origin, new ones get `origin`; with REPLACE_FILE_OBJECTS all get
 * ORIGIN_FILE. */
int objects_replace(const struct model *model, const struct changeset *wanted,
	enum replace_mode mode, enum object_origin origin, struct changeset *set,
	struct error *err);

/** Apply the file to a running daemon as one transaction. */
int file_reload(struct engine *engine, const char *path, const struct txn_options *options,
	struct txn_result *result, struct error *err);

#endif
