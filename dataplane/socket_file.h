/* SPDX-License-Identifier: Apache-2.0 */
/** The name of a listening Unix socket in the file system. Somebody may have it already, remove it (a cleaner of directories,
 * a volume that is made anew) or put something of his own there; a socket that lost its name goes on listening where nobody
 * can find it. Any thread; no state of its own.
 */
#ifndef DATAPLANE_SOCKET_FILE_H
#define DATAPLANE_SOCKET_FILE_H

#include "config/error.h"
#include "config/log.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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

/** Whose is it? As a datagram socket, because a stream would be a connection that the other side accepts; asked like this, one
 * of another type says so (unix(7): EPROTOTYPE), also when it is bound but does not listen yet.
 * @return -ECONNREFUSED when nobody has it. */
static inline int socket_file_probe(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, ret;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	ret = connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/** Make way for bind. A socket that no process has any more is removed, a free name is left alone (bind says what is wrong, if
 * anything), whatever else is there stays. `port` and `kind` ("vhost") are for the message.
 * @return 0, -EEXIST (not a socket), -EADDRINUSE (somebody's socket), -ENAMETOOLONG, or the system's error. */
static inline int socket_file_clear(
	const char *path, const char *port, const char *kind, struct error *err)
{
	struct stat st;
	int ret;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, EEXIST, "socket",
			"port %s: %s socket %s: the path is taken by another kind of file: remove "
			"it or choose another path",
			port, kind, path);
	ret = socket_file_probe(path);
	switch (ret) {
	case -ENOENT:
		return 0;
	case -ECONNREFUSED:
		break;
	case 0:
	case -EPROTOTYPE:
	case -EPERM: /* a datagram socket that talks to one other only */
		return error_set(err, EADDRINUSE, "socket",
			"port %s: %s socket %s: another process listens on it: stop it, choose "
			"another path, or set role to client",
			port, kind, path);
	default:
		return error_set(err, -ret, "socket", "port %s: %s socket %s: %s", port, kind, path,
			strerror(-ret));
	}
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set(err, errno, "socket",
			"port %s: %s socket %s: a stale socket can't be removed: %s", port, kind,
			path, strerror(errno));
	return 0;
}

/** From time to time: the log says once that the file is not ours any more. `kind` of socket; *lost is the caller's, false at first.
 * @return true when it is to be made again, because nothing or only a dead process's socket is there; then the caller clears
 * *lost. */
static inline bool socket_file_gone(
	const char *path, const struct socket_file *file, const char *kind, bool *lost)
{
	const enum socket_file_state state = socket_file_look(path, file);
	struct stat st;

	if (state != SOCKET_FILE_OURS && !*lost)
		LOG_WARNING("%s socket was %s from outside: nobody can connect path=%s", kind,
			state == SOCKET_FILE_GONE ? "removed" : "replaced", path);
	*lost = state != SOCKET_FILE_OURS;
	return state == SOCKET_FILE_GONE ||
	       (state == SOCKET_FILE_OTHER && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
		       socket_file_probe(path) == -ECONNREFUSED);
}

#endif
