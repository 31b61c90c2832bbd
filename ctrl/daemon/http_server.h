/* SPDX-License-Identifier: Apache-2.0 */
/** Between http.c (requests and replies) and listen.c (servers and sockets). Not for others. */
#ifndef CTRL_DAEMON_HTTP_SERVER_H
#define CTRL_DAEMON_HTTP_SERVER_H

#include "ctrl/daemon/http.h"
#include "dataplane/socket_file.h"

struct http_server {
	struct http_conf conf;
	struct evhttp *http;
	char *unix_path; /* removed with the server, if it is still `file` */
	struct socket_file file;
	struct evhttp_bound_socket *bound; /* of unix_path */
	bool lost; /* the file was removed or replaced, and that has been said */
};

/** evhttp's callback for every request; arg is the server. */
void http_on_request(struct evhttp_request *ev, void *arg);

#endif
