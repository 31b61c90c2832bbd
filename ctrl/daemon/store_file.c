/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/store_file.h"

#include "config/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE_VERSION 2

/* An object lives in a row of its own number for as long as its name exists (struct object.row), and new ones go to the end: a
 * million of them are appended, and each page is written once. The JSON has the name. */
#define TABLES_SQL                                                                             \
	"CREATE TABLE object (id INTEGER PRIMARY KEY, type TEXT NOT NULL, origin INTEGER NOT " \
	"NULL, json TEXT NOT NULL);"                                                           \
	"CREATE TABLE undo (id INTEGER PRIMARY KEY, type TEXT NOT NULL, name TEXT NOT NULL, "  \
	"origin INTEGER, json TEXT);"

static const char schema_sql[] =
	"BEGIN;" TABLES_SQL
	"CREATE TABLE history (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, deadline INTEGER NOT "
	"NULL,"
	" state TEXT NOT NULL, added INTEGER NOT NULL, changed INTEGER NOT NULL, removed INTEGER "
	"NOT NULL,"
	" source TEXT NOT NULL, note TEXT NOT NULL);"
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
	"PRAGMA user_version = 2;"
	"COMMIT;";

/* Version 1 kept objects by type and name. */
static const char upgrade_sql[] =
	"BEGIN;"
	"ALTER TABLE object RENAME TO object1;"
	"ALTER TABLE undo RENAME TO undo1;" TABLES_SQL
	"CREATE TEMP TABLE place AS SELECT row_number() OVER (ORDER BY type, name) AS id, type, "
	"name "
	"FROM (SELECT type, name FROM object1 UNION SELECT type, name FROM undo1);"
	"CREATE INDEX temp.place_name ON place (type, name);"
	"INSERT INTO object SELECT p.id, o.type, o.origin, o.json FROM place p JOIN object1 o "
	"USING "
	"(type, name) ORDER BY p.id;"
	"INSERT INTO undo SELECT p.id, u.type, u.name, u.origin, u.json FROM place p JOIN undo1 u "
	"USING (type, name) ORDER BY p.id;"
	"DROP TABLE place; DROP TABLE object1; DROP TABLE undo1;"
	"PRAGMA user_version = 2;"
	"COMMIT;";

static const struct {
	size_t offset;
	const char *sql;
} statements[] = {
	{ offsetof(struct store, put), "INSERT OR REPLACE INTO object VALUES (?1, ?2, ?3, ?4)" },
	{ offsetof(struct store, delete), "DELETE FROM object WHERE id = ?1" },
	{ offsetof(struct store, put_undo),
		"INSERT OR REPLACE INTO undo VALUES (?1, ?2, ?3, ?4, ?5)" },
	{ offsetof(struct store, put_record),
		"INSERT OR REPLACE INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)" },
	{ offsetof(struct store, put_meta), "INSERT OR REPLACE INTO meta VALUES (?1, ?2)" },
};

static sqlite3_stmt **statement(struct store *store, size_t i)
{
	return (sqlite3_stmt **)((char *)store + statements[i].offset);
}

/** A large transaction writes its pages in order, so a small cache is no loss: full pages go to the log while the next ones are
 * filled, and little is left to do when it commits. The log is cut back to journal_size_limit when it starts anew. */
static const char settings_sql[] =
	"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384;"
	"PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;"
	"PRAGMA journal_size_limit = 4194304;";

static int first_column(void *arg, int n, char **values, char **names)
{
	char *out = arg;

	(void)n;
	(void)names;
	if (out[0] == '\0')
		snprintf(out, 200, "%s", values[0] != NULL ? values[0] : "");
	return 0;
}

static void close_database(struct store *store)
{
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		sqlite3_finalize(*statement(store, i));
		*statement(store, i) = NULL;
	}
	sqlite3_close(store->db);
	store->db = NULL;
}

/** After the file's tables are as they should be. @return an SQLite code. */
static int prepare_database(struct store *store)
{
	char answer[200] = "";
	int rc = sqlite3_exec(store->db,
		"SELECT max((SELECT ifnull(max(id), 0) FROM object), (SELECT ifnull(max(id), 0) "
		"FROM undo))",
		first_column, answer, NULL);

	store->last_row = strtoull(answer, NULL, 10);
	for (size_t i = 0; rc == SQLITE_OK && i < sizeof(statements) / sizeof(statements[0]); i++)
		rc = sqlite3_prepare_v3(store->db, statements[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
			statement(store, i), NULL);
	return rc;
}

/** Go on with a copy in memory. */
static int copy_database(struct store *store)
{
	sqlite3 *copy = NULL;
	sqlite3_backup *backup;
	int rc = sqlite3_open_v2(":memory:", &copy,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

	backup = rc == SQLITE_OK ? sqlite3_backup_init(copy, "main", store->db, "main") : NULL;
	if (backup != NULL)
		sqlite3_backup_step(backup, -1);
	if (rc == SQLITE_OK)
		rc = backup != NULL ? sqlite3_backup_finish(backup) : sqlite3_errcode(copy);
	sqlite3_close(store->db);
	store->db = copy;
	return rc;
}

/** @return 0, -EUCLEAN when the file is damaged (err says how), or another error that moving the
 * file does not cure. */
static int open_database(struct store *store, bool own, struct error *err)
{
	char answer[200] = "", *line;
	int version, rc;

	rc = sqlite3_open_v2(store->path, &store->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(store->db, settings_sql, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(store->db, "PRAGMA quick_check(1)", first_column, answer, NULL);
	for (line = answer; (line = strchr(line, '\n')) != NULL;)
		*line = ' ';
	if (rc == SQLITE_OK && strcmp(answer, "ok") != 0)
		return error_set(err, EUCLEAN, NULL, "%.200s", answer);
	answer[0] = '\0';
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(store->db, "PRAGMA user_version", first_column, answer, NULL);
	version = atoi(answer);
	if (rc == SQLITE_OK && version > STORE_VERSION)
		return error_set(err, EPROTONOSUPPORT, NULL,
			"%.160s was written by a newer version (format %d, this one knows %d): "
			"move it away or upgrade",
			store->path, version, STORE_VERSION);
	/* The daemon that has it knows its own format only. */
	if (rc == SQLITE_OK && !own && version < STORE_VERSION)
		rc = copy_database(store);
	if (rc == SQLITE_OK && version == 0)
		rc = sqlite3_exec(store->db, schema_sql, NULL, NULL, NULL);
	if (rc == SQLITE_OK && version == 1)
		rc = sqlite3_exec(store->db, upgrade_sql, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = prepare_database(store);
	if (rc == SQLITE_OK)
		return 0;
	/* SQLITE_ERROR: a well-formed file whose tables are not ours. */
	return error_set(err,
		rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB || rc == SQLITE_ERROR ? EUCLEAN : EIO,
		NULL, "%.160s: %s", store->path,
		store->db != NULL ? sqlite3_errmsg(store->db) : sqlite3_errstr(rc));
}

static int move_aside(struct store *store, const char *why, struct error *err)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	long long now = (long long)time(NULL);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char from[4096], to[4160];

		snprintf(from, sizeof(from), "%s%s", store->path, suffixes[i]);
		snprintf(to, sizeof(to), "%s.damaged-%lld%s", store->path, now, suffixes[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			return error_set(err, errno, NULL,
				"%.160s is damaged and cannot be moved aside: %s", store->path,
				strerror(errno));
	}
	snprintf(store->recovered, sizeof(store->recovered),
		"the state store was damaged (%.120s) and is kept as %.120s.damaged-%lld", why,
		store->path, now);
	LOG_ERROR("STATE LOST: %s; starting from the configuration file, pods and other objects "
		  "made through the API "
		  "are gone",
		store->recovered);
	return 0;
}

static int lock_directory(struct store *store, const char *dir, struct error *err)
{
	struct flock posix = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = STORE_LOCK_HOLDER, .l_len = 1
	};
	char path[4096];

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, NULL, "cannot create the state directory %.200s: %s",
			dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/lock", dir);
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd < 0)
		return error_set(err, errno, NULL, "%.200s: %s", path, strerror(errno));
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, EBUSY, NULL,
			"another daemon uses the state directory %.200s: give this one its own "
			"with --state",
			dir);
	/* flock keeps others out; this one tells a successor who we are (F_GETLK). */
	if (fcntl(store->lock_fd, F_SETLK, &posix) < 0)
		LOG_WARNING("no successor will be able to take over path=%s error=\"%s\"", path,
			strerror(errno));
	return 0;
}

static int open_store(const char *dir, bool own, struct store **out, struct error *err)
{
	struct store *store = calloc(1, sizeof(*store));
	mode_t mask = umask(077);
	int ret = 0;

	*out = NULL;
	if (store == NULL || asprintf(&store->path, "%s/state.db", dir) < 0) {
		free(store);
		umask(mask);
		return error_set(err, ENOMEM, NULL, "out of memory");
	}
	store->lock_fd = -1;
	if (own)
		ret = lock_directory(store, dir, err);
	else if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		ret = error_set(err, errno, NULL, "cannot create the state directory %.200s: %s",
			dir, strerror(errno));
	if (ret == 0)
		ret = open_database(store, own, err);
	if (ret == -EUCLEAN && own) {
		char why[sizeof(err->text)];

		snprintf(why, sizeof(why), "%s", err != NULL ? err->text : "");
		close_database(store);
		ret = move_aside(store, why, err);
		if (ret == 0)
			ret = open_database(store, own, err);
	}
	umask(mask);
	if (ret < 0) {
		store_close(store);
		return ret;
	}
	*out = store;
	return 0;
}

int store_open(const char *dir, struct store **out, struct error *err)
{
	return open_store(dir, true, out, err);
}

int store_peek(const char *dir, struct store **out, struct error *err)
{
	return open_store(dir, false, out, err);
}

/* Moving the log into the file waits for the disk; its connection is another than the one that goes on writing. */

static void *run_checkpoint(void *arg)
{
	struct store *store = arg;

	if (store->checkpoint_db == NULL &&
		sqlite3_open_v2(store->path, &store->checkpoint_db,
			SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		sqlite3_close(store->checkpoint_db);
		store->checkpoint_db = NULL;
		return NULL; /* out of memory or descriptors: next time */
	}
	/* PASSIVE never makes a writer wait. The next writer begins the log anew. */
	sqlite3_wal_checkpoint_v2(
		store->checkpoint_db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	sqlite3_db_release_memory(store->checkpoint_db);
	return NULL;
}

static void end_checkpoint(struct store *store)
{
	if (store->checkpointing)
		pthread_join(store->checkpointer, NULL);
	store->checkpointing = false;
}

void store_checkpoint(struct store *store)
{
	/* Still at the last one: what came since goes with the next. */
	if (store->checkpointing && pthread_tryjoin_np(store->checkpointer, NULL) != 0)
		return;
	sqlite3_db_release_memory(store->db);
	store->checkpointing =
		pthread_create(&store->checkpointer, NULL, run_checkpoint, store) == 0;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	end_checkpoint(store);
	sqlite3_close(store->checkpoint_db);
	close_database(store);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	free(store->path);
	free(store);
}

bool store_has_successor(const struct store *store)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = STORE_LOCK_SUCCESSOR, .l_len = 1
	};

	return store != NULL && store->lock_fd >= 0 && fcntl(store->lock_fd, F_GETLK, &lock) == 0 &&
	       lock.l_type != F_UNLCK;
}

const char *store_recovered(const struct store *store)
{
	return store->recovered;
}
