/* SPDX-License-Identifier: Apache-2.0 */
/** HTTP as the API uses it: listeners, one table of endpoints, requests taken apart, replies and
 * problem documents (RFC 9457). Control thread only; everything here runs on one libevent loop.
 *
 * An endpoint either replies and returns 0, or fills the error and returns -errno; the dispatcher
 * turns that into a problem document with the status of problem_status().
 */
#ifndef CTRL_DAEMON_HTTP_H
#define CTRL_DAEMON_HTTP_H

#include "config/error.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct event_base; /* libevent's */

#define HTTP_BODY_MAX	  (256u << 20) /* bytes; holds one transaction of a million routes */
#define HTTP_SEGMENTS_MAX 8

struct request {
	struct evhttp_request *ev;
	const struct http_endpoint *endpoint;
	void *context; /* of the server: struct api */
	/* Of the path, percent-decoded one by one: "%2F" stays inside a name. */
	char *segments[HTTP_SEGMENTS_MAX];
	size_t n_segments;
	struct evkeyvalq query;
	bool pretty; /* ?pretty */
	/* The body after request_body took it out of libevent's buffer; NULL = still there, or small. */
	char *large_body;
	size_t large_size;
};

/** A query parameter an endpoint understands; any other is refused. */
struct parameter {
	const char *name;
	const char *schema; /* JSON Schema as text: {"type":"integer","minimum":0} */
	const char *doc;
};

enum endpoint_flags {
	ENDPOINT_TCP = 1 << 0,	   /* answered on node.metrics_listen too */
	ENDPOINT_CHANGES = 1 << 1, /* changes objects: takes dry_run and confirm_seconds */
};

/** One line of the API. A path segment in braces matches any one segment; {objects} only an object
 * type's plural. */
struct http_endpoint {
	const char *method;
	const char *path;
	int (*handle)(struct request *req, struct error *err);
	const char *summary;	       /* one sentence for people */
	const struct parameter *query; /* ends with a NULL name; NULL = none */
	const char *body;	       /* schema of the request body: a component's name, or NULL */
	const char *reply; /* schema of the reply: a component's name, or NULL = any object */
	const char *media; /* of the reply; NULL = application/json */
	unsigned flags;	   /* enum endpoint_flags */
};

/** Endpoints in several tables; each ends with a NULL method. */
struct http_conf {
	struct event_base *base;
	const struct http_endpoint *const *tables; /* NULL-terminated */
	void *context;
	bool tcp_only; /* serve just ENDPOINT_TCP */
};
struct http_server;
struct http_server *http_server_new(const struct http_conf *conf);
void http_server_free(struct http_server *server);
/** Listen on a Unix socket, mode 0600. A stale socket is removed, one that answers is not:
 * -EADDRINUSE. The socket goes with the server. */
int http_listen_unix(struct http_server *server, const char *path, struct error *err);
/** Now and then: a Unix socket that was removed from outside is made again. Connections stay. */
void http_listen_look(struct http_server *server);
/** "127.0.0.1:9099", "[::1]:9099". */
int http_listen_tcp(struct http_server *server, const char *address, struct error *err);

/** Value of a query parameter, or NULL. */
const char *request_query(const struct request *req, const char *name);
/** "", "1", "true", "yes" are true; "0", "false", "no" and absence are false; others are refused.
 */
int request_query_bool(const struct request *req, const char *name, bool *value, struct error *err);
/** Decimal number of at most max; absence leaves *value. */
int request_query_uint(const struct request *req, const char *name, uint64_t max, uint64_t *value,
	struct error *err);
/** The body as one run of bytes; belongs to the request. */
const char *request_body(struct request *req, size_t *len);
/** The body as JSON. -EBADMSG with line and column when it is not. New reference. */
int request_body_json(struct request *req, json_t **out, struct error *err);

/** Reply with JSON; takes the reference. Compact and one line unless ?pretty. */
void reply_json(struct request *req, int status, json_t *json);
/** Reply with bytes; the buffer is drained, not freed. */
void reply_buffer(struct request *req, int status, const char *media, struct evbuffer *body);
void reply_text(struct request *req, int status, const char *text);
/** Add a header to the reply to come. */
void reply_header(struct request *req, const char *name, const char *value);
/** A problem document. status 0: from problem_status(errnum). */
void reply_problem(struct request *req, int status, int errnum, const struct error *err);
/** HTTP status of an -errno from an endpoint. */
int problem_status(int errnum);

#endif
