/* SPDX-License-Identifier: Apache-2.0 */
/** The name of a listening Unix socket in the file system. Somebody may remove it (a cleaner of directories, a volume that is
 * made anew); the socket then goes on listening where nobody can find it. Any thread; no state of its own.
 */
#ifndef DATAPLANE_SOCKET_FILE_H
#define DATAPLANE_SOCKET_FILE_H

#include "config/log.h"

#include <stdbool.h>
#include <sys/stat.h>

#define SOCKET_FILE_LOOK_TICKS 10 /* of a port's tick: once a second */

/** Which file is ours: a removal must not hit what came in its place. */
struct socket_file {
	dev_t dev;
	ino_t ino;
};

enum socket_file_state {
	SOCKET_FILE_OURS,
	SOCKET_FILE_GONE,  /* the name is free, or cannot be looked at */
	SOCKET_FILE_OTHER, /* somebody else has it now */
};

/** After bind. */
static inline void socket_file_note(const char *path, struct socket_file *file)
{
	struct stat st;

	*file = (struct socket_file){ 0 };
	if (lstat(path, &st) == 0)
		*file = (struct socket_file){ .dev = st.st_dev, .ino = st.st_ino };
}

static inline enum socket_file_state socket_file_look(
	const char *path, const struct socket_file *file)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return SOCKET_FILE_GONE;
	return st.st_dev == file->dev && st.st_ino == file->ino ? SOCKET_FILE_OURS
								: SOCKET_FILE_OTHER;
}

/** From time to time: the log says once that the file is not ours any more. `kind` of socket; *lost is the caller's, false at first.
 * @return true when it is to be made again; then the caller clears *lost. */
static inline bool socket_file_gone(
	const char *path, const struct socket_file *file, const char *kind, bool *lost)
{
	const enum socket_file_state state = socket_file_look(path, file);

	if (state != SOCKET_FILE_OURS && !*lost)
		LOG_WARNING("%s socket was %s from outside: nobody can connect path=%s", kind,
			state == SOCKET_FILE_GONE ? "removed" : "replaced", path);
	*lost = state != SOCKET_FILE_OURS;
	return state == SOCKET_FILE_GONE;
}

#endif
