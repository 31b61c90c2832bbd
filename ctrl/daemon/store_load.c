/* SPDX-License-Identifier: Apache-2.0 */
/* Objects out of the store: rows are taken one after the other, their texts are read by several
 * threads, the objects are put one after the other. */
#include "config/schema.h"
#include "ctrl/daemon/encode.h"
#include "ctrl/daemon/helper.h"
#include "ctrl/daemon/store_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct row {
	size_t name, json; /* where in the text; both end with a zero byte. name: undo rows only */
	uint64_t row;	   /* in the table of objects; 0 = an undo row */
	struct object *object; /* NULL: delete */
	enum object_type type;
	enum object_origin origin;
	bool gone; /* there is no JSON: an undo that deletes */
};

struct load {
	struct text text;
	struct row *rows;
	size_t count, size;
	pthread_mutex_t lock; /* of the rest */
	int ret;
	struct error err;
};

static size_t keep(struct load *load, const char *text, size_t len)
{
	size_t at = load->text.len;

	text_add(&load->text, text, len);
	text_add(&load->text, "", 1);
	return at;
}

static int take_row(struct load *load, sqlite3_stmt *stmt, struct error *err)
{
	const char *type = store_column(stmt, 0), *name = store_column(stmt, 4);
	const struct object_schema *schema = schema_by_name(type);
	struct row *row;

	if (schema == NULL)
		return error_set(err, EPROTONOSUPPORT, NULL,
			"state store: unknown object type \"%.40s\"", type);
	if (load->count == load->size) {
		struct row *grown;

		load->size = load->size * 2 + 64;
		grown = realloc(load->rows, load->size * sizeof(*grown));
		if (grown == NULL)
			return error_set(err, ENOMEM, NULL, "out of memory");
		load->rows = grown;
	}
	row = &load->rows[load->count++];
	*row = (struct row){ .type = schema->type };
	row->origin = sqlite3_column_int(stmt, 1) == ORIGIN_FILE ? ORIGIN_FILE : ORIGIN_API;
	row->gone = sqlite3_column_type(stmt, 2) == SQLITE_NULL;
	row->row = (uint64_t)sqlite3_column_int64(stmt, 3);
	if (row->gone) {
		row->name = keep(load, name, strlen(name));
	} else {
		const char *json = store_column(stmt, 2);

		row->json = keep(load, json, (size_t)sqlite3_column_bytes(stmt, 2));
	}
	return load->text.failed ? error_set(err, ENOMEM, NULL, "out of memory") : 0;
}

static int take_rows(struct load *load, struct store *store, const char *sql, struct error *err)
{
	sqlite3_stmt *stmt = store_query(store, sql);
	int ret = 0, rc = SQLITE_DONE;

	if (stmt == NULL)
		return store_error(store, "read", err);
	while (ret == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		ret = take_row(load, stmt, err);
	if (ret == 0 && rc != SQLITE_DONE)
		ret = store_error(store, "read", err);
	sqlite3_finalize(stmt);
	return ret;
}

static bool read_row(size_t i, void *arg)
{
	struct load *load = arg;
	struct row *row = &load->rows[i];
	struct error err = { 0 };
	const char *text = load->text.data + row->json;
	char why[sizeof(err.text)];
	int ret;

	if (row->gone)
		return true;
	ret = object_from_text(row->type, text, strlen(text), &row->object, &err);
	if (ret == -EBADMSG) {
		memcpy(why, err.text, sizeof(why));
		error_set(&err, EBADMSG, NULL, "state store: %s %.80s: %.200s",
			object_schemas[row->type].name, text, why);
	}
	if (ret == 0) {
		row->object->origin = row->origin;
		row->object->row = row->row;
		return true;
	}
	pthread_mutex_lock(&load->lock);
	load->ret = ret;
	load->err = err;
	pthread_mutex_unlock(&load->lock);
	return false;
}

static int put_rows(struct load *load, struct changeset *set, struct error *err)
{
	int ret = changeset_reserve(set, load->count);

	if (ret < 0)
		return error_set(err, ENOMEM, NULL, "out of memory");
	for (size_t i = 0; ret == 0 && i < load->count; i++) {
		struct row *row = &load->rows[i];

		if (row->object != NULL)
			ret = changeset_put(set, row->object, err);
		else
			ret = changeset_delete(set, row->type, load->text.data + row->name, err);
		row->object = NULL;
	}
	return ret;
}

static int load_objects(struct store *store, const char *sql, struct changeset *set, size_t *count,
	struct error *err)
{
	struct load load = { 0 };
	int ret;

	pthread_mutex_init(&load.lock, NULL);
	ret = take_rows(&load, store, sql, err);
	if (ret == 0) {
		helper_each(load.count, read_row, &load);
		ret = load.ret;
		if (ret < 0 && err != NULL)
			*err = load.err;
	}
	if (ret == 0)
		ret = put_rows(&load, set, err);
	*count = load.count;
	for (size_t i = 0; i < load.count; i++)
		object_unref(load.rows[i].object);
	pthread_mutex_destroy(&load.lock);
	free(load.rows);
	text_free(&load.text);
	return ret;
}

int store_load(struct store *store, struct changeset *set, struct error *err)
{
	size_t count;

	return load_objects(store, "SELECT type, origin, json, id FROM object", set, &count, err);
}

int store_load_undo(struct store *store, struct changeset *set, struct error *err)
{
	size_t count;
	int ret = load_objects(
		store, "SELECT type, origin, json, 0, name FROM undo", set, &count, err);

	if (ret == 0 && count == 0)
		return error_set(err, ENOENT, NULL, "no transaction waits for its confirmation");
	return ret;
}
