/* SPDX-License-Identifier: Apache-2.0 */
/** Between http.c (requests and replies) and listen.c (servers and sockets). Not for others. */
#ifndef CTRL_DAEMON_HTTP_SERVER_H
#define CTRL_DAEMON_HTTP_SERVER_H

#include "ctrl/daemon/http.h"

struct http_server {
	struct http_conf conf;
	struct evhttp *http;
	char *unix_path; /* removed with the server */
};

/** evhttp's callback for every request; arg is the server. */
void http_on_request(struct evhttp_request *ev, void *arg);

#endif
