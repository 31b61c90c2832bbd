/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/store.h"

#include "config/log.h"
#include "config/schema.h"
#include "ctrl/daemon/encode.h"
#include "ctrl/daemon/store_file.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {
	[TXN_COMMITTED] = "committed",
	[TXN_DRY_RUN] = "dry-run",
	[TXN_WAITING] = "waiting for confirmation",
	[TXN_CONFIRMED] = "confirmed",
	[TXN_ROLLED_BACK] = "rolled back",
};

const char *txn_state_name(enum txn_state state)
{
	return (size_t)state < sizeof(state_names) / sizeof(state_names[0]) ? state_names[state]
									    : "unknown";
}

static enum txn_state state_parse(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof(state_names) / sizeof(state_names[0]); i++) {
		if (strcmp(state_names[i], name) == 0)
			return (enum txn_state)i;
	}
	return TXN_COMMITTED;
}

int store_error(const struct store *store, const char *what, struct error *err)
{
	const bool full = sqlite3_errcode(store->db) == SQLITE_FULL;

	return error_set(err, full ? ENOSPC : EIO, NULL, "state store %.160s: %s: %s%s",
		store->path, what, sqlite3_errmsg(store->db),
		full ? ": make room, nothing has changed" : "");
}

static int run(struct store *store, const char *sql, const char *what, struct error *err)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : store_error(store, what, err);
}

/** Step a statement that returns no rows, and make it ready for its next use. */
static int step(struct store *store, sqlite3_stmt *stmt, const char *what, struct error *err)
{
	int ret = sqlite3_step(stmt) == SQLITE_DONE ? 0 : store_error(store, what, err);

	sqlite3_reset(stmt);
	return ret;
}

sqlite3_stmt *store_query(const struct store *store, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		LOG_ERROR("state store: query failed error=%s", sqlite3_errmsg(store->db));
	return stmt;
}

const char *store_column(sqlite3_stmt *stmt, int i)
{
	const char *text = (const char *)sqlite3_column_text(stmt, i);

	return text != NULL ? text : "";
}

/* Writing. */

static void bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
}

/** The columns origin and json, which both tables end with. */
static int bind_object(
	sqlite3_stmt *stmt, int i, const struct object *obj, struct text *text, struct error *err)
{
	text->len = 0;
	object_encode(obj, ENCODE_STORE, text);
	if (text->failed)
		return error_set(err, ENOMEM, NULL, "out of memory");
	sqlite3_bind_int(stmt, i, (int)obj->origin);
	sqlite3_bind_text(stmt, i + 1, text->data, (int)text->len, SQLITE_STATIC);
	return 0;
}

/* A change and the row it is about. In the order of rows, a million of them touch each page of the table once. */
struct row_change {
	uint64_t row;
	const struct change *change;
};

static int by_row(const void *a, const void *b)
{
	const struct row_change *x = a, *y = b;

	return (x->row > y->row) - (x->row < y->row);
}

/** Give the objects that are new their rows, and put the changes into order. */
static struct row_change *place(struct store *store, const struct change *changes, size_t count)
{
	struct row_change *list = malloc((count + 1) * sizeof(*list));
	bool in_order = true;

	for (size_t i = 0; list != NULL && i < count; i++) {
		struct object *after = changes[i].after;

		if (after != NULL && after->row == 0)
			after->row = ++store->last_row;
		list[i].row = after != NULL ? after->row : changes[i].before->row;
		list[i].change = &changes[i];
		in_order = in_order && (i == 0 || list[i].row > list[i - 1].row);
	}
	if (list != NULL && !in_order)
		qsort(list, count, sizeof(*list), by_row);
	return list;
}

static int write_object(
	struct store *store, const struct row_change *item, struct text *text, struct error *err)
{
	const struct object *before = item->change->before, *after = item->change->after;
	sqlite3_stmt *stmt = after != NULL ? store->put : store->delete;
	int ret = 0;

	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)item->row);
	if (after != NULL) {
		bind_text(stmt, 2, object_schemas[after->type].name);
		ret = bind_object(stmt, 3, after, text, err);
	}
	return ret < 0 ? ret : step(store, stmt, (after != NULL ? after : before)->name, err);
}

/** What puts things back: the object before, or for an added one its name without content. */
static int write_undo(
	struct store *store, const struct row_change *item, struct text *text, struct error *err)
{
	const struct object *before = item->change->before;
	const struct object *obj = before != NULL ? before : item->change->after;
	sqlite3_stmt *stmt = store->put_undo;
	int ret = 0;

	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)item->row);
	bind_text(stmt, 2, object_schemas[obj->type].name);
	bind_text(stmt, 3, obj->name);
	if (before != NULL) {
		ret = bind_object(stmt, 4, before, text, err);
	} else {
		sqlite3_bind_null(stmt, 4);
		sqlite3_bind_null(stmt, 5);
	}
	return ret < 0 ? ret : step(store, stmt, obj->name, err);
}

static int write_changes(struct store *store, const struct store_write *write, struct error *err)
{
	struct row_change *list = place(store, write->changes, write->count);
	struct text text = { 0 };
	int ret = list != NULL ? 0 : error_set(err, ENOMEM, NULL, "out of memory");

	for (size_t i = 0; ret == 0 && i < write->count; i++) {
		ret = write_object(store, &list[i], &text, err);
		if (ret == 0 && write->keep_undo)
			ret = write_undo(store, &list[i], &text, err);
	}
	text_free(&text);
	free(list);
	return ret;
}

static int write_record(struct store *store, const struct txn_record *r, struct error *err)
{
	sqlite3_stmt *s = store->put_record;

	sqlite3_bind_int64(s, 1, (sqlite3_int64)r->id);
	sqlite3_bind_int64(s, 2, r->when);
	sqlite3_bind_int64(s, 3, r->deadline);
	sqlite3_bind_text(s, 4, txn_state_name(r->state), -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 5, r->added);
	sqlite3_bind_int64(s, 6, r->changed);
	sqlite3_bind_int64(s, 7, r->removed);
	sqlite3_bind_text(s, 8, r->source, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 9, r->note, -1, SQLITE_STATIC);
	return step(store, s, "history", err);
}

static int write_rest(struct store *store, const struct store_write *write, struct error *err)
{
	char sql[128];
	int ret = 0;

	if (write->drop_undo)
		ret = run(store, "DELETE FROM undo", "undo", err);
	if (ret == 0 && write->drop_file_objects) {
		snprintf(
			sql, sizeof(sql), "DELETE FROM object WHERE origin = %d", (int)ORIGIN_FILE);
		ret = run(store, sql, "objects of the file", err);
	}
	if (ret == 0)
		ret = write_changes(store, write, err);
	if (ret == 0 && write->record != NULL) {
		ret = write_record(store, write->record, err);
		snprintf(sql, sizeof(sql), "DELETE FROM history WHERE id <= %lld",
			(long long)write->record->id - STORE_HISTORY);
		if (ret == 0)
			ret = run(store, sql, "history", err);
	}
	if (ret == 0 && write->file_hash != NULL) {
		sqlite3_bind_text(store->put_meta, 1, "file_hash", -1, SQLITE_STATIC);
		sqlite3_bind_text(store->put_meta, 2, write->file_hash, -1, SQLITE_STATIC);
		ret = step(store, store->put_meta, "file hash", err);
	}
	return ret;
}

int store_prepare(struct store *store, const struct store_write *write, struct error *err)
{
	int ret = run(store, "BEGIN IMMEDIATE", "begin", err);

	if (ret < 0)
		return ret;
	ret = write_rest(store, write, err);
	if (ret < 0)
		store_abort(store);
	return ret;
}

int store_commit(struct store *store, struct error *err)
{
	int ret = run(store, "COMMIT", "commit", err);

	if (ret < 0)
		store_abort(store);
	return ret;
}

void store_abort(struct store *store)
{
	/* After some errors SQLite has rolled back by itself. */
	if (sqlite3_get_autocommit(store->db) == 0)
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

int store_rollback(struct store *store, const struct txn_record *record, struct error *err)
{
	const struct store_write end = { .record = record, .drop_undo = true };
	int ret = run(store,
		"BEGIN IMMEDIATE;"
		"INSERT OR REPLACE INTO object SELECT id, type, origin, json FROM undo WHERE json "
		"IS NOT NULL;"
		"DELETE FROM object WHERE id IN (SELECT id FROM undo WHERE json IS NULL)",
		"rollback", err);

	if (ret == 0)
		ret = write_rest(store, &end, err);
	if (ret < 0) {
		store_abort(store);
		return ret;
	}
	return store_commit(store, err);
}

/* Reading. */

static void read_record(sqlite3_stmt *stmt, struct txn_record *r)
{
	*r = (struct txn_record){
		.id = (uint64_t)sqlite3_column_int64(stmt, 0),
		.when = sqlite3_column_int64(stmt, 1),
		.deadline = sqlite3_column_int64(stmt, 2),
		.state = state_parse(store_column(stmt, 3)),
		.added = (uint32_t)sqlite3_column_int64(stmt, 4),
		.changed = (uint32_t)sqlite3_column_int64(stmt, 5),
		.removed = (uint32_t)sqlite3_column_int64(stmt, 6),
	};
	snprintf(r->source, sizeof(r->source), "%s", store_column(stmt, 7));
	snprintf(r->note, sizeof(r->note), "%s", store_column(stmt, 8));
}

#define RECORD_COLUMNS \
	"SELECT id, time, deadline, state, added, changed, removed, source, note FROM history "

int store_history(struct store *store, size_t limit,
	int (*visit)(const struct txn_record *record, void *arg), void *arg)
{
	sqlite3_stmt *stmt = store_query(store, RECORD_COLUMNS "ORDER BY id DESC LIMIT ?1");
	int ret = 0;

	if (stmt == NULL)
		return -EIO;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)limit);
	while (ret == 0 && sqlite3_step(stmt) == SQLITE_ROW) {
		struct txn_record record;

		read_record(stmt, &record);
		ret = visit(&record, arg);
	}
	sqlite3_finalize(stmt);
	return ret;
}

static bool find_record(
	struct store *store, const char *sql, uint64_t id, struct txn_record *record)
{
	sqlite3_stmt *stmt = store_query(store, sql);
	bool found = false;

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)id);
	if (sqlite3_step(stmt) == SQLITE_ROW) {
		read_record(stmt, record);
		found = true;
	}
	sqlite3_finalize(stmt);
	return found;
}

bool store_find(struct store *store, uint64_t id, struct txn_record *record)
{
	return find_record(store, RECORD_COLUMNS "WHERE id = ?1", id, record);
}

bool store_waiting(struct store *store, struct txn_record *record)
{
	return find_record(store,
		RECORD_COLUMNS "WHERE state = 'waiting for confirmation' AND ?1 = 0", 0, record);
}

static sqlite3_int64 number(const struct store *store, const char *sql)
{
	sqlite3_stmt *stmt = store_query(store, sql);
	sqlite3_int64 value = 0;

	if (stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

uint64_t store_last_id(struct store *store)
{
	return (uint64_t)number(store, "SELECT max(id) FROM history");
}

bool store_is_empty(const struct store *store)
{
	return number(store, "SELECT EXISTS (SELECT 1 FROM object)") == 0;
}

char *store_file_hash(struct store *store)
{
	sqlite3_stmt *stmt = store_query(store, "SELECT value FROM meta WHERE key = 'file_hash'");
	char *hash = NULL;

	if (stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW)
		hash = strdup(store_column(stmt, 0));
	sqlite3_finalize(stmt);
	return hash;
}

uint64_t store_size(const struct store *store)
{
	return (uint64_t)(number(store, "PRAGMA page_count") * number(store, "PRAGMA page_size"));
}
