/* SPDX-License-Identifier: Apache-2.0 */
/** Between store.c (rows), store_load.c (objects) and store_file.c (the database file, its lock
 * and its recovery). Not for others. */
#ifndef CTRL_DAEMON_STORE_FILE_H
#define CTRL_DAEMON_STORE_FILE_H

#include "ctrl/daemon/store.h"

#include <pthread.h>
#include <sqlite3.h>

struct store {
	sqlite3 *db;
	sqlite3_stmt *put, *delete, *put_undo, *put_record, *put_meta;
	uint64_t last_row; /* no object was ever put into one above */
	/* The thread that moves the log into the file, with a connection of its own. */
	sqlite3 *checkpoint_db;
	pthread_t checkpointer;
	bool checkpointing; /* there is a thread to join */
	int lock_fd;
	char *path;
	char recovered[320];
};

/** Fill err with SQLite's message. @return -EIO, -ENOSPC. */
int store_error(const struct store *store, const char *what, struct error *err);
/** A statement to step and finalize, or NULL (logged). */
sqlite3_stmt *store_query(const struct store *store, const char *sql);
/** Text of a column, "" for NULL. */
const char *store_column(sqlite3_stmt *stmt, int i);

#endif
