/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/http_server.h"

#include "config/log.h"

#include <errno.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HTTP_HEADERS_MAX 65536
#define LISTEN_BACKLOG	 128
/* Idle keep-alive connections, and clients that stop in the middle of a request. */
#define HTTP_TIMEOUT_S	   600
#define HTTP_TCP_TIMEOUT_S 30 /* anybody may connect there */

struct http_server *http_server_new(const struct http_conf *conf)
{
	struct http_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return NULL;
	server->conf = *conf;
	server->http = evhttp_new(conf->base);
	if (server->http == NULL) {
		free(server);
		return NULL;
	}
	/* Every method reaches the dispatcher, so that refusals are problem documents with an
	 * Allow header. */
	evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
							 EVHTTP_REQ_PATCH | EVHTTP_REQ_POST |
							 EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
							 EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT);
	evhttp_set_max_headers_size(server->http, HTTP_HEADERS_MAX);
	evhttp_set_max_body_size(server->http, conf->tcp_only ? 4096 : (ev_ssize_t)HTTP_BODY_MAX);
	evhttp_set_timeout(server->http, conf->tcp_only ? HTTP_TCP_TIMEOUT_S : HTTP_TIMEOUT_S);
	evhttp_set_gencb(server->http, http_on_request, server);
	return server;
}

void http_server_free(struct http_server *server)
{
	if (server == NULL)
		return;
	evhttp_free(server->http);
	if (server->unix_path != NULL &&
		socket_file_look(server->unix_path, &server->file) == SOCKET_FILE_OURS)
		unlink(server->unix_path);
	free(server->unix_path);
	free(server);
}

/** Does anybody answer there? 0 = no and the path is free now. */
static int remove_stale(const struct sockaddr_un *addr, struct error *err)
{
	struct stat st;
	int fd, ret;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0
				       : error_set(err, errno, NULL, "%s: %s", addr->sun_path,
						 strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, EEXIST, NULL,
			"%s exists and is not a socket: remove it or choose another path",
			addr->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, errno, NULL, "socket: %s", strerror(errno));
	ret = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? errno : 0;
	close(fd);
	/* EAGAIN: a listener whose backlog is full is alive. */
	if (ret == 0 || ret == EAGAIN)
		return error_set(
			err, EADDRINUSE, NULL, "%s: another daemon listens there", addr->sun_path);
	if (ret != ECONNREFUSED && ret != ENOENT)
		return error_set(err, ret, NULL, "%s: %s", addr->sun_path, strerror(ret));
	if (unlink(addr->sun_path) < 0 && errno != ENOENT)
		return error_set(err, errno, NULL, "%s: cannot remove the stale socket: %s",
			addr->sun_path, strerror(errno));
	return 0;
}

static int add_listener(
	struct http_server *server, int fd, struct evhttp_bound_socket **bound, struct error *err)
{
	struct evconnlistener *listener;

	listener = evconnlistener_new(server->conf.base, NULL, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, LISTEN_BACKLOG, fd);
	if (listener == NULL) {
		close(fd);
		return error_set(err, EIO, NULL, "cannot listen: %s", strerror(errno));
	}
	*bound = evhttp_bind_listener(server->http, listener);
	if (*bound == NULL) {
		evconnlistener_free(listener);
		return error_set(err, ENOMEM, NULL, "out of memory");
	}
	return 0;
}

/** Listen at a path that is short enough. */
static int listen_at(struct http_server *server, const char *path,
	struct evhttp_bound_socket **bound, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, ret;

	memcpy(addr.sun_path, path, strlen(path));
	ret = remove_stale(&addr, err);
	if (ret < 0)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, errno, NULL, "socket: %s", strerror(errno));
	/* The mode is right from the first moment: the file is the access control. */
	mask = umask(0177);
	ret = bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? errno : 0;
	umask(mask);
	if (ret != 0) {
		close(fd);
		return error_set(
			err, ret, NULL, "%s: cannot create the socket: %s", path, strerror(ret));
	}
	socket_file_note(path, &server->file);
	ret = add_listener(server, fd, bound, err);
	if (ret < 0)
		unlink(path); /* nobody listens there */
	return ret;
}

int http_listen_unix(struct http_server *server, const char *path, struct error *err)
{
	struct sockaddr_un addr;
	int ret;

	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set(err, ENAMETOOLONG, NULL,
			"%.60s...: a socket path has at most %zu characters", path,
			sizeof(addr.sun_path) - 1);
	ret = listen_at(server, path, &server->bound, err);
	if (ret == 0)
		server->unix_path = strdup(path);
	return ret;
}

void http_listen_look(struct http_server *server)
{
	struct evhttp_bound_socket *bound;
	struct error err = { 0 };

	if (server->unix_path == NULL ||
		!socket_file_gone(server->unix_path, &server->file, "API", &server->lost))
		return;
	if (listen_at(server, server->unix_path, &bound, &err) < 0)
		return; /* its directory, perhaps: look again */
	evhttp_del_accept_socket(server->http, server->bound);
	server->bound = bound;
	server->lost = false;
	LOG_INFO("the API's socket is there again path=%s", server->unix_path);
}

int http_listen_tcp(struct http_server *server, const char *address, struct error *err)
{
	struct sockaddr_storage addr;
	struct evhttp_bound_socket *bound;
	int len = sizeof(addr), fd, one = 1;

	if (evutil_parse_sockaddr_port(address, (struct sockaddr *)&addr, &len) < 0 ||
		(addr.ss_family == AF_INET && ((struct sockaddr_in *)&addr)->sin_port == 0) ||
		(addr.ss_family == AF_INET6 && ((struct sockaddr_in6 *)&addr)->sin6_port == 0))
		return error_set(err, EINVAL, "node/metrics_listen",
			"node: metrics_listen \"%.64s\": expected ADDRESS:PORT, such as "
			"127.0.0.1:9099 or [::1]:9099",
			address);
	fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, errno, NULL, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&addr, (socklen_t)len) < 0) {
		int why = errno;

		close(fd);
		return error_set(err, why, "node/metrics_listen",
			"node: cannot listen on metrics_listen %.64s: %s", address, strerror(why));
	}
	return add_listener(server, fd, &bound, err);
}
