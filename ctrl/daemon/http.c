/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/http.h"

#include "config/schema.h"
#include "ctrl/daemon/http_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE_BODY (4u << 20) /* bytes */

static const struct {
	enum evhttp_cmd_type type;
	const char *name;
} methods[] = {
	{ EVHTTP_REQ_GET, "GET" },
	{ EVHTTP_REQ_HEAD, "HEAD" },
	{ EVHTTP_REQ_PUT, "PUT" },
	{ EVHTTP_REQ_PATCH, "PATCH" },
	{ EVHTTP_REQ_POST, "POST" },
	{ EVHTTP_REQ_DELETE, "DELETE" },
	{ EVHTTP_REQ_OPTIONS, "OPTIONS" },
	{ EVHTTP_REQ_TRACE, "TRACE" },
	{ EVHTTP_REQ_CONNECT, "CONNECT" },
};

static const struct {
	int status;
	const char *title;
} statuses[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 400, "Bad Request" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 409, "Conflict" },
	{ 422, "Unprocessable Content" },
	{ 500, "Internal Server Error" },
	{ 503, "Service Unavailable" },
	{ 507, "Insufficient Storage" },
};

static const char *status_title(int status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (statuses[i].status == status)
			return statuses[i].title;
	}
	return "Error";
}

int problem_status(int errnum)
{
	switch (errnum < 0 ? -errnum : errnum) {
	case EBADMSG:
		return 400;
	case EINVAL:
	case ERANGE:
	case EAFNOSUPPORT:
		return 422;
	case ENOENT:
		return 404;
	case EEXIST:
	case EBUSY:
	case EADDRINUSE:
		return 409;
	case ENOSPC:
		return 507;
	case EAGAIN:
	case ENOTCONN:
		return 503;
	default:
		return 500;
	}
}

const char *request_query(const struct request *req, const char *name)
{
	return evhttp_find_header(&req->query, name);
}

int request_query_bool(const struct request *req, const char *name, bool *value, struct error *err)
{
	static const char *const yes[] = { "", "1", "true", "yes" };
	static const char *const no[] = { "0", "false", "no" };
	const char *text = request_query(req, name);

	*value = false;
	if (text == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcmp(text, yes[i]) == 0) {
			*value = true;
			return 0;
		}
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		if (strcmp(text, no[i]) == 0)
			return 0;
	}
	return error_set(err, EBADMSG, name, "query parameter %s: expected 1 or 0, found \"%.40s\"",
		name, text);
}

int request_query_uint(const struct request *req, const char *name, uint64_t max, uint64_t *value,
	struct error *err)
{
	const char *text = request_query(req, name);
	unsigned long long number;
	char *end;

	if (text == NULL)
		return 0;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > max)
		return error_set(err, EBADMSG, name,
			"query parameter %s: expected a number from 0 to %llu, found \"%.40s\"",
			name, (unsigned long long)max, text);
	*value = number;
	return 0;
}

/** A large body moves out of its thousands of chains into memory of large pages, which the kernel clears in a fraction of the
 * time of small ones. */
static const char *take_large_body(struct request *req, struct evbuffer *in, size_t len)
{
	void *body = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (body == MAP_FAILED)
		return NULL;
	madvise(body, len, MADV_HUGEPAGE);
	req->large_body = body;
	req->large_size = len;
	evbuffer_remove(in, body, len);
	return body;
}

const char *request_body(struct request *req, size_t *len)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req->ev);

	*len = req->large_body != NULL ? req->large_size : evbuffer_get_length(in);
	if (*len == 0 || req->large_body != NULL)
		return *len == 0 ? "" : req->large_body;
	return *len > LARGE_BODY ? take_large_body(req, in, *len)
				 : (const char *)evbuffer_pullup(in, -1);
}

int request_body_json(struct request *req, json_t **out, struct error *err)
{
	json_error_t why;
	const char *body;
	size_t len;

	body = request_body(req, &len);
	if (body == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory for a body of %zu bytes", len);
	if (len == 0)
		return error_set(err, EBADMSG, NULL, "the body is empty: expected a JSON object");
	*out = json_loadb(body, len, JSON_REJECT_DUPLICATES, &why);
	if (*out == NULL)
		return error_set(err, EBADMSG, NULL, "the body is not JSON: line %d, column %d: %s",
			why.line, why.column, why.text);
	return 0;
}

void reply_header(struct request *req, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(req->ev), name, value);
}

/** evhttp would send the body of an answer to HEAD. */
static void send_reply(struct request *req, int status, struct evbuffer *body)
{
	if (evhttp_request_get_command(req->ev) == EVHTTP_REQ_HEAD && body != NULL) {
		char length[24];

		snprintf(length, sizeof(length), "%zu", evbuffer_get_length(body));
		reply_header(req, "Content-Length", length);
		evbuffer_drain(body, evbuffer_get_length(body));
	}
	evhttp_send_reply(req->ev, status, status_title(status), body);
}

void reply_buffer(struct request *req, int status, const char *media, struct evbuffer *body)
{
	reply_header(req, "Content-Type", media);
	reply_header(req, "Cache-Control", "no-store");
	send_reply(req, status, body);
}

static int write_evbuffer(const char *bytes, size_t len, void *arg)
{
	return evbuffer_add(arg, bytes, len);
}

static void reply_media(struct request *req, int status, const char *media, json_t *json)
{
	struct evbuffer *body = evbuffer_new();
	size_t flags = JSON_ENCODE_ANY | (req->pretty ? JSON_INDENT(2) : JSON_COMPACT);

	if (body == NULL || json == NULL ||
		json_dump_callback(json, write_evbuffer, body, flags) < 0) {
		evhttp_send_reply(req->ev, 500, status_title(500), NULL);
	} else {
		evbuffer_add(body, "\n", 1);
		reply_buffer(req, status, media, body);
	}
	if (body != NULL)
		evbuffer_free(body);
	json_decref(json);
}

void reply_json(struct request *req, int status, json_t *json)
{
	reply_media(req, status, "application/json", json);
}

void reply_text(struct request *req, int status, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	if (body != NULL)
		evbuffer_add_printf(body, "%s\n", text);
	reply_header(req, "Content-Type", "text/plain; charset=utf-8");
	send_reply(req, status, body);
	if (body != NULL)
		evbuffer_free(body);
}

/** Text of an error as JSON. Messages quote requests and cut what is long: bytes that are not UTF-8
 * must not cost the answer. */
static json_t *error_json(const char *text)
{
	json_t *json = json_string(text);
	char ascii[sizeof(((struct error *)0)->text)];
	size_t i;

	if (json != NULL)
		return json;
	for (i = 0; text[i] != '\0' && i < sizeof(ascii) - 1; i++)
		ascii[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	ascii[i] = '\0';
	return json_string(ascii);
}

void reply_problem(struct request *req, int status, int errnum, const struct error *err)
{
	json_t *doc;

	if (status == 0)
		status = problem_status(errnum);
	/* RFC 9457 section 4.2.1: with about:blank the title is the phrase of the status. */
	doc = json_pack("{s:s, s:s, s:i, s:o}", "type", "about:blank", "title",
		status_title(status), "status", status, "detail",
		error_json(err->text[0] != '\0' ? err->text : strerror(abs(errnum))));
	if (doc != NULL && err->path[0] != '\0')
		json_object_set_new(doc, "path", error_json(err->path));
	if (doc != NULL && err->file[0] != '\0')
		json_object_set_new(doc, "file", error_json(err->file));
	if (doc != NULL && err->line != 0)
		json_object_set_new(doc, "line", json_integer(err->line));
	reply_media(req, status, "application/problem+json", doc);
}

/* Taking a request apart. */

static int split_path(struct request *req, const char *path, struct error *err)
{
	while (*path == '/') {
		size_t len = strcspn(++path, "/"), decoded;
		char *raw;

		if (len == 0 && path[0] == '\0' && req->n_segments > 0)
			break; /* a trailing slash */
		if (req->n_segments == HTTP_SEGMENTS_MAX)
			return error_set(
				err, ENOENT, NULL, "no such resource: the path is too deep");
		raw = strndup(path, len);
		if (raw == NULL)
			return error_set(err, ENOMEM, NULL, "out of memory");
		req->segments[req->n_segments] = evhttp_uridecode(raw, 0, &decoded);
		free(raw);
		if (req->segments[req->n_segments] == NULL)
			return error_set(err, ENOMEM, NULL, "out of memory");
		if (strlen(req->segments[req->n_segments++]) != decoded)
			return error_set(err, EBADMSG, NULL, "the path contains a zero byte");
		path += len;
	}
	return 0;
}

/** libevent's parser refuses "?pretty", which people type; a parameter without "=" has an empty
 * value here. */
static int split_query(struct request *req, const char *query, struct error *err)
{
	while (*query != '\0') {
		size_t len = strcspn(query, "&"), key_size, value_size;
		char *key = strndup(query, len), *value = key != NULL ? strchr(key, '=') : NULL, *k,
		     *v;
		int ret = 0;

		query += len + (query[len] == '&');
		if (value != NULL)
			*value++ = '\0';
		k = key != NULL ? evhttp_uridecode(key, 1, &key_size) : NULL;
		v = key != NULL ? evhttp_uridecode(value != NULL ? value : "", 1, &value_size)
				: NULL;
		if (k == NULL || v == NULL)
			ret = error_set(err, ENOMEM, NULL, "out of memory");
		else if (strlen(k) != key_size || strlen(v) != value_size)
			ret = error_set(
				err, EBADMSG, NULL, "the query string contains a zero byte");
		else if (k[0] == '\0' && len > 0)
			ret = error_set(err, EBADMSG, NULL,
				"the query string has a parameter without a name: \"=%.40s\"", v);
		else if (k[0] != '\0' && evhttp_find_header(&req->query, k) != NULL)
			ret = error_set(err, EBADMSG, k, "query parameter %.40s is given twice", k);
		else if (k[0] != '\0' && evhttp_add_header(&req->query, k, v) < 0)
			ret = error_set(
				err, EBADMSG, k, "query parameter %.40s contains a line break", k);
		free(key);
		free(k);
		free(v);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static bool segment_matches(const char *pattern, size_t len, const char *segment)
{
	if (pattern[0] != '{')
		return strlen(segment) == len && memcmp(pattern, segment, len) == 0;
	if (strncmp(pattern, "{objects}", len) == 0) {
		const struct object_schema *schema = schema_by_name(segment);

		return schema != NULL && strcmp(schema->plural, segment) == 0;
	}
	return segment[0] != '\0';
}

static bool path_matches(const char *pattern, const struct request *req)
{
	size_t i = 0;

	while (*pattern == '/') {
		size_t len = strcspn(++pattern, "/");

		if (i == req->n_segments || !segment_matches(pattern, len, req->segments[i++]))
			return false;
		pattern += len;
	}
	return i == req->n_segments;
}

static const char *method_name(enum evhttp_cmd_type type)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (methods[i].type == type)
			return methods[i].name;
	}
	return "?";
}

static int check_query(const struct request *req, struct error *err)
{
	static const struct parameter everywhere[] = { { "pretty", NULL, NULL },
		{ NULL, NULL, NULL } };
	static const struct parameter changes[] = { { "dry_run", NULL, NULL },
		{ "confirm_seconds", NULL, NULL }, { "diff_limit", NULL, NULL },
		{ NULL, NULL, NULL } };
	const struct parameter *const lists[] = { everywhere, req->endpoint->query,
		(req->endpoint->flags & ENDPOINT_CHANGES) != 0 ? changes : NULL };
	const struct evkeyval *kv;

	for (kv = req->query.tqh_first; kv != NULL; kv = kv->next.tqe_next) {
		bool known = false;

		for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++) {
			for (const struct parameter *p = lists[l];
				p != NULL && p->name != NULL && !known; p++)
				known = strcmp(p->name, kv->key) == 0;
		}
		if (!known)
			return error_set(err, EBADMSG, kv->key,
				"unknown query parameter \"%.40s\" for %s %s", kv->key,
				req->endpoint->method, req->endpoint->path);
	}
	return 0;
}

/** The endpoint of a request; *allow collects the methods of its path. */
static const struct http_endpoint *find_endpoint(const struct http_server *server,
	const struct request *req, const char *method, char *allow, size_t size)
{
	const struct http_endpoint *found = NULL;

	allow[0] = '\0';
	for (const struct http_endpoint *const *table = server->conf.tables; *table != NULL;
		table++) {
		for (const struct http_endpoint *e = *table; e->method != NULL; e++) {
			size_t used = strlen(allow);

			if ((server->conf.tcp_only && (e->flags & ENDPOINT_TCP) == 0) ||
				!path_matches(e->path, req))
				continue;
			if (strcmp(e->method, method) == 0)
				found = e;
			snprintf(
				allow + used, size - used, "%s%s", used > 0 ? ", " : "", e->method);
			used = strlen(allow);
			if (strcmp(e->method, "GET") == 0)
				snprintf(allow + used, size - used, ", HEAD");
		}
	}
	return found;
}

static int dispatch(struct http_server *server, struct request *req, struct error *err)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req->ev);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	const char *query = uri != NULL ? evhttp_uri_get_query(uri) : NULL;
	const char *method = method_name(evhttp_request_get_command(req->ev));
	char allow[128];
	int ret;

	if (path == NULL || path[0] != '/')
		return error_set(err, EBADMSG, NULL, "the request has no path");
	/* RFC 9112 section 3.2, RFC 9110 section 4.2.4: what no request has, and what would be ignored of one that has it. */
	if (evhttp_uri_get_fragment(uri) != NULL)
		return error_set(err, EBADMSG, NULL,
			"the request's URL has a fragment (\"#%.40s\"); leave it out, or write "
			"%%23 for \"#\"",
			evhttp_uri_get_fragment(uri));
	if (evhttp_uri_get_userinfo(uri) != NULL)
		return error_set(err, EBADMSG, NULL,
			"the request's URL has a user's name before the host; leave it out");
	ret = split_path(req, path, err);
	if (ret == 0 && query != NULL)
		ret = split_query(req, query, err);
	if (ret < 0)
		return ret;
	req->endpoint = find_endpoint(
		server, req, strcmp(method, "HEAD") == 0 ? "GET" : method, allow, sizeof(allow));
	if (req->endpoint == NULL && allow[0] == '\0')
		return error_set(err, ENOENT, NULL, "no such resource: %.200s%s", path,
			server->conf.tcp_only ? "" : "; GET /v1/openapi.json lists them");
	if (req->endpoint == NULL) {
		error_set(err, EINVAL, NULL, "%s is not possible on %.200s; possible: %s", method,
			path, allow);
		reply_header(req, "Allow", allow);
		reply_problem(req, 405, EINVAL, err);
		return 0;
	}
	ret = check_query(req, err);
	if (ret == 0)
		ret = request_query_bool(req, "pretty", &req->pretty, err);
	return ret < 0 ? ret : req->endpoint->handle(req, err);
}

void http_on_request(struct evhttp_request *ev, void *arg)
{
	struct http_server *server = arg;
	struct request req = { .ev = ev, .context = server->conf.context };
	struct error err = { 0 };
	int ret;

	TAILQ_INIT(&req.query);
	ret = dispatch(server, &req, &err);
	if (ret < 0)
		reply_problem(&req, 0, ret, &err);
	if (req.large_body != NULL)
		munmap(req.large_body, req.large_size);
	evhttp_clear_headers(&req.query);
	for (size_t i = 0; i < req.n_segments; i++)
		free(req.segments[i]);
}
