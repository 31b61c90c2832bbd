/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/memif_listener.h"

#include "config/log.h"
#include "dataplane/rcu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG		 16
#define ACCEPTS_PER_CALL 16
#define NEW_SESSIONS_MAX 64 /* a socket: clients that did not say yet which port they want */

static LIST_HEAD(, memif_listener) listeners = LIST_HEAD_INITIALIZER(listeners);

uint64_t memif_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void memif_watch(struct port_memif *port, int fd, bool on)
{
	if (port != NULL && port_watch_fd != NULL)
		port_watch_fd(&port->port, fd, on);
}

const char *memif_listener_path(const struct memif_listener *l)
{
	return l->path;
}

struct port_memif *memif_listener_port(const struct memif_listener *l, uint32_t id)
{
	struct port_memif *p;

	LIST_FOREACH (p, &l->ports, next) {
		if (p->id == id)
			return p;
	}
	return NULL;
}

static struct memif_listener *listener_find(const char *path)
{
	struct memif_listener *l;

	LIST_FOREACH (l, &listeners, next) {
		if (strcmp(l->path, path) == 0)
			return l;
	}
	return NULL;
}

static int bind_error(const char *path, int number, struct error *err)
{
	/* What was asked for is wrong, not what asked. */
	if (number == ENOENT || number == ENOTDIR)
		return error_set(err, EINVAL, "socket",
			"memif socket %s: its directory does not exist: create it", path);
	if (number == EROFS || number == EACCES || number == EPERM)
		return error_set(err, EINVAL, "socket",
			"memif socket %s: its directory can't be written to (%s): choose another "
			"path",
			path, strerror(number));
	return error_set(err, number, "socket", "memif socket %s: %s", path, strerror(number));
}

static int listener_bind(struct memif_listener *l, const char *port, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int ret;

	memcpy(addr.sun_path, l->path, sizeof(addr.sun_path));
	ret = socket_file_clear(l->path, port, "memif", err);
	if (ret < 0)
		return ret;
	l->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return error_set(
			err, errno, "socket", "memif socket %s: %s", l->path, strerror(errno));
	/* The first fchmod limits the mode bind gives the file, so that it is never open to all;
	 * the umask may have taken the group's rights, so the mode is set once more by name. */
	if (fchmod(l->fd, 0660) < 0 ||
		bind(l->fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		ret = bind_error(l->path, errno, err);
		goto close_fd;
	}
	if (chmod(l->path, 0660) < 0 || listen(l->fd, BACKLOG) < 0) {
		ret = error_set(
			err, errno, "socket", "memif socket %s: %s", l->path, strerror(errno));
		unlink(l->path);
		goto close_fd;
	}
	socket_file_note(l->path, &l->file);
	return 0;

close_fd:
	close(l->fd);
	return ret;
}

static int listener_open(
	const char *path, const char *port, struct memif_listener **out, struct error *err)
{
	struct memif_listener *l;
	int ret;

	if (strlen(path) >= sizeof(l->path))
		return error_set(err, ENAMETOOLONG, "socket",
			"memif socket %s: the path is longer than %zu bytes", path,
			sizeof(l->path) - 1);
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return error_set(err, ENOMEM, NULL, "memif socket %s: no memory", path);
	strcpy(l->path, path);
	LIST_INIT(&l->ports);
	LIST_INIT(&l->sessions);
	ret = listener_bind(l, port, err);
	if (ret < 0) {
		free(l);
		return ret;
	}
	LIST_INSERT_HEAD(&listeners, l, next);
	*out = l;
	return 0;
}

static void listener_close(struct memif_listener *l)
{
	while (!LIST_EMPTY(&l->sessions))
		memif_session_end(
			LIST_FIRST(&l->sessions), "Interface removed", "Interface removed");
	memif_watch(l->watcher, l->fd, false);
	if (socket_file_look(l->path, &l->file) == SOCKET_FILE_OURS)
		unlink(l->path);
	close(l->fd);
	LIST_REMOVE(l, next);
	free(l);
}

int memif_listen(struct port_memif *port, const char *path, struct error *err)
{
	struct memif_listener *l = listener_find(path);
	int ret;

	if (l != NULL && memif_listener_port(l, port->id) != NULL)
		return error_set(err, EEXIST, "memif_id",
			"port %s: memif socket %s has an interface with id %u already",
			port->port.name, path, port->id);
	if (l == NULL) {
		ret = listener_open(path, port->port.name, &l, err);
		if (ret < 0)
			return ret;
	}
	port->listener = l;
	LIST_INSERT_HEAD(&l->ports, port, next);
	if (l->watcher == NULL) {
		l->watcher = port;
		memif_watch(port, l->fd, true);
	}
	return 0;
}

/* The loop calls back through a port: what it watched for this one goes to another of the same
 * socket. */
static void watcher_replace(
	struct memif_listener *l, const struct port_memif *leaving, struct port_memif *heir)
{
	struct memif_session *s;

	LIST_FOREACH (s, &l->sessions, next) {
		if (s->watcher != leaving)
			continue;
		memif_watch(s->watcher, s->fd, false);
		s->watcher = heir;
		memif_watch(heir, s->fd, true);
	}
	if (l->watcher == leaving) {
		memif_watch(l->watcher, l->fd, false);
		l->watcher = heir;
		memif_watch(heir, l->fd, true);
	}
}

void memif_unlisten(struct port_memif *port, const char *reason)
{
	struct memif_listener *l = port->listener;

	if (port->session != NULL)
		memif_session_end(port->session, reason, reason);
	if (LIST_FIRST(&l->ports) == port && LIST_NEXT(port, next) == NULL) {
		listener_close(l);
	} else {
		LIST_REMOVE(port, next);
		watcher_replace(l, port, LIST_FIRST(&l->ports));
	}
	port->listener = NULL;
}

static unsigned new_sessions(const struct memif_listener *l)
{
	const struct memif_session *s;
	unsigned count = 0;

	LIST_FOREACH (s, &l->sessions, next)
		count += s->state == MEMIF_SESSION_HELLO;
	return count;
}

static void listener_accept(struct memif_listener *l)
{
	for (unsigned i = 0; i < ACCEPTS_PER_CALL; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0 && new_sessions(l) >= NEW_SESSIONS_MAX) {
			close(fd);
		} else if (fd >= 0) {
			if (memif_session_start(l, fd) < 0)
				LOG_DEBUG("memif client left at once socket=%s", l->path);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			   errno == ENOBUFS) {
			/* The socket stays readable, and the loop would spin on it: look again at
			 * the next tick. */
			LOG_FROM(&l->watcher->port.log, LOG_LEVEL_WARNING,
				"memif socket can't accept socket=%s error=\"%s\"", l->path,
				strerror(errno));
			memif_watch(l->watcher, l->fd, false);
			l->watcher = NULL;
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

void memif_control_ready(int fd)
{
	struct memif_listener *l;
	struct memif_session *s;

	LIST_FOREACH (l, &listeners, next) {
		if (l->fd == fd) {
			listener_accept(l);
			return;
		}
		LIST_FOREACH (s, &l->sessions, next) {
			if (s->fd == fd) {
				memif_session_service(s);
				return;
			}
		}
	}
}

/** The socket's file, once a second: one that was removed is made again. Who is connected stays so. */
static void listener_look(struct memif_listener *l)
{
	struct error err = { 0 };
	int before = l->fd;

	if (++l->ticks % SOCKET_FILE_LOOK_TICKS != 0 ||
		!socket_file_gone(l->path, &l->file, "memif", &l->lost))
		return;
	if (listener_bind(l, l->watcher->port.name, &err) < 0) {
		l->fd = before;
		return; /* its directory, perhaps: look again */
	}
	memif_watch(l->watcher, before, false);
	close(before);
	memif_watch(l->watcher, l->fd, true);
	l->lost = false;
	LOG_INFO("memif socket is there again path=%s", l->path);
}

void memif_control_tick(struct port_memif *port)
{
	struct memif_listener *l = port->listener;
	struct memif_session *s, *following;
	const struct memif_connection *c;
	uint64_t now = memif_now_ms();

	/* A client's death makes its channel readable, and the loop tells; this is for an end the
	 * loop missed. */
	if (port->session != NULL)
		memif_session_service(port->session);
	c = port->session != NULL ? port->session->building : NULL;
	if (c == NULL)
		c = rcu_own(&port->connection);
	if (c != NULL && memif_connection_tripped(c))
		memif_session_end(port->session, "A region was taken away",
			"The client took its memory away: it shortened a region's file");
	for (s = LIST_FIRST(&l->sessions); s != NULL; s = following) {
		following = LIST_NEXT(s, next);
		if (s->watcher == port && s->state != MEMIF_SESSION_CONNECTED &&
			now >= s->deadline_ms)
			memif_session_end(s, "Handshake timed out", "Handshake timed out");
	}
	if (l->watcher == NULL) {
		l->watcher = port;
		memif_watch(port, l->fd, true);
	}
	if (l->watcher == port)
		listener_look(l);
}
