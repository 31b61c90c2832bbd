/* SPDX-License-Identifier: Apache-2.0 */
/** What survives a restart, in SQLite: the committed objects, a transaction that still waits for
 * its confirmation with everything needed to undo it, and the history. Control thread only.
 *
 * One transaction of the daemon is one transaction here: after a crash of the daemon (kill -9 too) at any moment the file
 * holds the state before or the state after. Write-ahead log, synchronous=NORMAL: a commit is in the kernel's hands, and
 * on the disk a few seconds later. A power cut or a crash of the kernel may lose the last transactions, never part of one.
 */
#ifndef CTRL_DAEMON_STORE_H
#define CTRL_DAEMON_STORE_H

#include "config/model.h"

#include <stdint.h>
#include <time.h>

struct store;

/** Open or create dir/state.db (mode 0600; dir is created). The directory is locked: -EBUSY when
 * another daemon has it. A file that SQLite finds damaged is moved aside with a loud message and
 * an empty one takes its place; a file of a newer version is refused with -EPROTONOSUPPORT. */
int store_open(const char *dir, struct store **out, struct error *err);
/** Open it beside the daemon that has it, to read: not locked, nothing is moved aside. An empty store in a directory without
 * one. */
int store_peek(const char *dir, struct store **out, struct error *err);
void store_close(struct store *store);
/** Bytes of DIR/lock, as POSIX locks, whose owner the kernel names: the daemon that has the directory, and the process that is
 * about to take its place (handover_claim). */
enum { STORE_LOCK_HOLDER, STORE_LOCK_SUCCESSOR };
/** Somebody is about to. */
bool store_has_successor(const struct store *store);
/** The file was damaged and has been replaced: why and where it is now. "" = it was not. */
const char *store_recovered(const struct store *store);
/** Nothing has ever been committed. */
bool store_is_empty(const struct store *store);

/** Put every stored object into a set, with its origin. */
int store_load(struct store *store, struct changeset *set, struct error *err);

enum txn_state { TXN_COMMITTED, TXN_DRY_RUN, TXN_WAITING, TXN_CONFIRMED, TXN_ROLLED_BACK };
/** "committed", "dry-run", "waiting for confirmation", "confirmed", "rolled back". */
const char *txn_state_name(enum txn_state state);

/** A line of the history. */
struct txn_record {
	uint64_t id;
	time_t when;
	time_t deadline; /* of the confirmation, Unix seconds; 0 = none */
	enum txn_state state;
	uint32_t added, changed, removed;
	char source[24]; /* "api", "file", "start" */
	char note[96];	 /* why it ended as it did: "not confirmed in time" */
};
#define STORE_HISTORY 256 /* records kept */

/** Everything one commit writes. */
struct store_write {
	const struct change *changes;
	size_t count;
	const struct txn_record *record; /* inserted or replaced by id */
	bool keep_undo;			 /* the record waits: remember how to undo these changes */
	bool drop_undo;			 /* the waiting transaction has ended */
	bool drop_file_objects; /* first remove every object of the file: the changes bring the present ones */
	const char *file_hash; /* of the configuration file now in force; NULL = unchanged */
};
/** Write and leave uncommitted; then exactly one of store_commit and store_abort. */
int store_prepare(struct store *store, const struct store_write *write, struct error *err);
int store_commit(struct store *store, struct error *err);
void store_abort(struct store *store);

/** The edits that undo the waiting transaction, into a set whose base is the present model.
 * -ENOENT when none waits. */
int store_load_undo(struct store *store, struct changeset *set, struct error *err);
/** Before anything is loaded: undo the waiting transaction inside the store. */
int store_rollback(struct store *store, const struct txn_record *record, struct error *err);
/** The waiting transaction, or false. */
bool store_waiting(struct store *store, struct txn_record *record);
/** Newest first, at most `limit`. */
int store_history(struct store *store, size_t limit,
	int (*visit)(const struct txn_record *record, void *arg), void *arg);
bool store_find(struct store *store, uint64_t id, struct txn_record *record);
uint64_t store_last_id(struct store *store);
/** Caller frees; NULL when none is stored. */
char *store_file_hash(struct store *store);
/** Now and then: move the log into the file, in a thread of its own. */
void store_checkpoint(struct store *store);
/** Bytes of the database and its log. */
uint64_t store_size(const struct store *store);

#endif
