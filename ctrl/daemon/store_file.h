/* SPDX-License-Identifier: Apache-2.0 */
/** Between store.c (rows) and store_file.c (the database file, its lock and its recovery). Not for
 * others. */
#ifndef CTRL_DAEMON_STORE_FILE_H
#define CTRL_DAEMON_STORE_FILE_H

#include "ctrl/daemon/store.h"

#include <sqlite3.h>

struct store {
	sqlite3 *db;
	sqlite3_stmt *put, *delete, *put_undo, *put_record, *put_meta;
	int lock_fd;
	char *path;
	char recovered[320];
};

#endif
