/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct client {
	char *socket_path;
	CURL *curl;
};

struct client *client_new(const char *socket_path)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->socket_path = strdup(socket_path);
	c->curl = curl_easy_init();
	if (c->socket_path == NULL || c->curl == NULL) {
		client_free(c);
		return NULL;
	}
	return c;
}

void client_free(struct client *c)
{
	if (c == NULL)
		return;
	if (c->curl != NULL)
		curl_easy_cleanup(c->curl);
	free(c->socket_path);
	free(c);
}

char *client_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0),
	     *copy = escaped != NULL ? strdup(escaped) : NULL;

	curl_free(escaped);
	return copy;
}

/** An answer on its way: kept whole (JSON, problems) or handed on piece by piece. */
struct answer {
	CURL *curl;
	char *data;
	size_t len;
	size_t (*write)(const char *bytes, size_t len, void *arg);
	void *arg;
	const volatile int *stop;
	bool quiet; /* say nothing when nobody answers */
};

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct answer *a = arg;
	long status = 0;
	char *grown;

	curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
	if (a->write != NULL && status < 300)
		return a->write(bytes, size * count, a->arg);
	grown = realloc(a->data, a->len + size * count + 1);
	if (grown == NULL)
		return 0;
	a->data = grown;
	memcpy(a->data + a->len, bytes, size * count);
	a->len += size * count;
	a->data[a->len] = '\0';
	return size * count;
}

static int on_progress(
	void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
	const struct answer *a = arg;

	(void)dltotal;
	(void)dlnow;
	(void)ultotal;
	(void)ulnow;
	return a->stop != NULL && *a->stop;
}

/** "podlane: peer node-b: vtep_mac is missing ..." and where. */
void client_explain(int status, const json_t *doc)
{
	const char *detail = json_string_value(json_object_get(doc, "detail"));
	const char *file = json_string_value(json_object_get(doc, "file"));
	const char *path = json_string_value(json_object_get(doc, "path"));

	fprintf(stderr, "podlane: ");
	if (file != NULL)
		fprintf(stderr, "%s:%d: ", file,
			(int)json_integer_value(json_object_get(doc, "line")));
	if (detail != NULL)
		fprintf(stderr, "%s", detail);
	else
		fprintf(stderr, "the daemon answered with status %d", status);
	if (path != NULL && file == NULL &&
		(detail == NULL || strncmp(detail, path, strlen(path)) != 0))
		fprintf(stderr, " (%s)", path);
	fprintf(stderr, "\n");
}

static void print_problem(long status, const char *text)
{
	json_t *doc = text != NULL ? json_loads(text, 0, NULL) : NULL;

	client_explain((int)status, doc);
	json_decref(doc);
}

static void print_unreachable(const struct client *c, CURLcode code)
{
	long error = 0;

	curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &error);
	if (error == EACCES || error == EPERM)
		fprintf(stderr, "podlane: no permission for %s: run as root\n", c->socket_path);
	else if (code == CURLE_COULDNT_CONNECT)
		fprintf(stderr,
			"podlane: no daemon answers at %s: is podlaned running? (--socket names "
			"another path)\n",
			c->socket_path);
	else
		fprintf(stderr, "podlane: %s: %s\n", c->socket_path, curl_easy_strerror(code));
}

static int perform(struct client *c, const char *method, const char *path, const json_t *body,
	struct answer *a, long *status)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	char *url = malloc(strlen(path) + sizeof("http://podlane"));
	CURLcode code;

	if (url == NULL)
		return -ENOMEM;
	sprintf(url, "http://podlane%s", path);
	headers = curl_slist_append(
		headers, "Expect:"); /* a round trip nobody needs on a local socket */
	curl_easy_reset(c->curl);
	curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->socket_path);
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c->curl, CURLOPT_XFERINFODATA, a);
	curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	if (text != NULL) {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, text);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(text));
	}
	a->curl = c->curl;
	code = curl_easy_perform(c->curl);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, status);
	curl_slist_free_all(headers);
	free(text);
	free(url);
	if (code == CURLE_ABORTED_BY_CALLBACK || (code == CURLE_WRITE_ERROR && a->write != NULL))
		return 0; /* the user or the reader had enough */
	if (code != CURLE_OK) {
		if (!a->quiet)
			print_unreachable(c, code);
		return -ENOTCONN;
	}
	return 0;
}

int client_request(
	struct client *c, const char *method, const char *path, const json_t *body, json_t **out)
{
	struct answer a = { 0 };
	long status = 0;
	int ret = perform(c, method, path, body, &a, &status);

	if (out != NULL)
		*out = NULL;
	if (ret == 0 && status >= 400)
		print_problem(status, a.data);
	else if (ret == 0 && out != NULL && a.len > 0)
		*out = json_loads(a.data, JSON_DECODE_ANY, NULL);
	free(a.data);
	return ret < 0 ? ret : (int)status;
}

static int get_document(struct client *c, const char *method, const char *path, const json_t *body,
	struct answer a, json_t **out)
{
	long status = 0;
	int ret = perform(c, method, path, body, &a, &status);

	*out = ret == 0 && a.len > 0 ? json_loads(a.data, JSON_DECODE_ANY, NULL) : NULL;
	free(a.data);
	return ret < 0 ? ret : (int)status;
}

int client_try(
	struct client *c, const char *method, const char *path, const json_t *body, json_t **out)
{
	return get_document(c, method, path, body, (struct answer){ 0 }, out);
}

int client_quietly(struct client *c, const char *path, json_t **out)
{
	return get_document(c, "GET", path, NULL, (struct answer){ .quiet = true }, out);
}

int client_stream(struct client *c, const char *method, const char *path, const json_t *body,
	size_t (*write)(const char *bytes, size_t len, void *arg), void *arg,
	const volatile int *stop)
{
	struct answer a = { .write = write, .arg = arg, .stop = stop };
	long status = 0;
	int ret = perform(c, method, path, body, &a, &status);

	if (ret == 0 && status >= 400)
		print_problem(status, a.data);
	free(a.data);
	return ret < 0 ? ret : (int)status;
}
