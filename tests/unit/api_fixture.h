/* SPDX-License-Identifier: Apache-2.0 */
/** A daemon without a data plane, in this process: store in a temporary directory, engine, API on
 * a Unix socket; and a client that sends raw HTTP. One thread: the client pumps the loop while it
 * waits.
 */
#ifndef TESTS_UNIT_API_FIXTURE_H
#define TESTS_UNIT_API_FIXTURE_H

#include "config/schema.h"
#include "ctrl/daemon/api.h"
#include "ctrl/daemon/startup.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const struct http_endpoint *const fixture_tables[] = { object_endpoints,
	transaction_endpoints, daemon_endpoints, NULL };

struct fixture {
	char dir[64], config[96], socket[96];
	struct event_base *base;
	struct store *store;
	struct engine *engine;
	struct api api;
	struct http_server *server;
};

/* The data plane of the tests: counts, and refuses what it is told to refuse. */
static struct {
	unsigned prepared, committed, aborted;
	char forgotten[64]; /* the last pod whose leftovers were to go */
	size_t changes;	    /* of the last prepare */
	const char *refuse; /* name of an object that cannot be added */
	int open;	    /* prepared and neither committed nor aborted */
} fake;

__attribute__((unused)) static int fake_prepare(const struct changeset *set,
	const struct change *changes, size_t count, void **txn, struct error *err)
{
	(void)set;
	for (size_t i = 0; i < count; i++) {
		if (fake.refuse != NULL && changes[i].after != NULL &&
			strcmp(changes[i].after->name, fake.refuse) == 0)
			return error_set(
				err, EIO, "pods/refused/netns", "the test refuses %s", fake.refuse);
	}
	fake.prepared++;
	fake.open++;
	fake.changes = count;
	*txn = &fake;
	return 0;
}

__attribute__((unused)) static void fake_commit(void *txn)
{
	CU_ASSERT_PTR_EQUAL(txn, &fake);
	fake.committed++;
	fake.open--;
}

__attribute__((unused)) static void fake_abort(void *txn)
{
	CU_ASSERT_PTR_EQUAL(txn, &fake);
	fake.aborted++;
	fake.open--;
}

__attribute__((unused)) static void fake_forget(const struct object *pod)
{
	snprintf(fake.forgotten, sizeof(fake.forgotten), "%s", pod->name);
}

static const struct plane fake_plane = { fake_prepare, fake_commit, fake_abort, fake_forget };

static const char fixture_config[] =
	"node: { name = \"node-a\"; metrics_listen = \"\"; };\n"
	"uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\";\n"
	"             addresses = [ \"192.0.2.1/24\", \"2001:db8::1/64\" ]; } );\n"
	"pools: ( { name = \"pods\"; cidr = \"10.244.1.0/24\"; }, { name = \"pods6\"; cidr = "
	"\"fd00:244:1::/64\"; } );\n"
	"peers: ( { name = \"node-b\"; underlay = [ \"192.0.2.2\" ]; pod_cidrs = [ "
	"\"10.244.2.0/24\" ];\n"
	"           encap = \"vxlan\"; vtep_mac = \"02:00:c0:00:02:02\"; } );\n";

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(text, file);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

static int fixture_try_start(struct fixture *f, struct error *err)
{
	struct engine_conf conf = { .plane = &fake_plane };
	struct http_conf http = { .tables = fixture_tables, .context = &f->api };
	struct startup startup = { 0 };
	int ret;

	f->base = event_base_new();
	ret = store_open(f->dir, &f->store, err);
	if (ret < 0)
		return ret;
	conf.base = f->base;
	conf.store = f->store;
	f->engine = engine_new(&conf);
	f->api = (struct api){ .base = f->base,
		.engine = f->engine,
		.config_path = f->config,
		.tables = fixture_tables,
		.started = time(NULL) };
	ret = startup_load(f->engine, f->config, &startup, err);
	if (ret == 0)
		ret = engine_start(
			f->engine, startup.set, startup.file_hash, startup.file_changed, err);
	startup_free(&startup);
	if (ret < 0)
		return ret;
	http.base = f->base;
	f->server = http_server_new(&http);
	return http_listen_unix(f->server, f->socket, err);
}

static void fixture_start(struct fixture *f)
{
	struct error err = { 0 };
	int ret = fixture_try_start(f, &err);

	if (ret < 0)
		fprintf(stderr, "fixture: %s:%u %s: %s\n", err.file, err.line, err.path, err.text);
	CU_ASSERT_EQUAL_FATAL(ret, 0);
}

static void fixture_stop(struct fixture *f)
{
	http_server_free(f->server);
	engine_free(f->engine);
	store_close(f->store);
	event_base_free(f->base);
	f->server = NULL;
	f->engine = NULL;
	f->store = NULL;
}

__attribute__((unused)) static void fixture_restart(struct fixture *f)
{
	fixture_stop(f);
	fixture_start(f);
}

static void fixture_setup(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	memset(&fake, 0, sizeof(fake));
	strcpy(f->dir, "/tmp/podlane-test-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(f->dir));
	snprintf(f->config, sizeof(f->config), "%s/podlane.conf", f->dir);
	snprintf(f->socket, sizeof(f->socket), "%s/api.sock", f->dir);
	write_file(f->config, fixture_config);
}

static void fixture_remove(struct fixture *f)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", f->dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void fixture_begin(struct fixture *f)
{
	fixture_setup(f);
	fixture_start(f);
}

static void fixture_end(struct fixture *f)
{
	CU_ASSERT_EQUAL(fake.open, 0);
	fixture_stop(f);
	fixture_remove(f);
}

/* The client. */

struct reply {
	int status;
	char *head; /* the whole message; body points into it */
	char *body;
	size_t len; /* of the body */
	json_t *json;
};

static void reply_free(struct reply *reply)
{
	free(reply->head);
	json_decref(reply->json);
	*reply = (struct reply){ 0 };
}

/** Send bytes, pump the loop until the server closes. */
static void exchange(struct fixture *f, const char *bytes, size_t len, struct reply *reply)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	size_t used = 0, size = 65536;
	ssize_t n = -1;

	*reply = (struct reply){ 0 };
	strcpy(addr.sun_path, f->socket);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	reply->head = malloc(size);
	for (unsigned idle = 0; n != 0 && idle < 20000;) {
		if (len > 0) {
			n = send(fd, bytes, len, MSG_NOSIGNAL);
			if (n > 0) {
				bytes += n;
				len -= (size_t)n;
			}
		}
		event_base_loop(f->base, EVLOOP_NONBLOCK);
		if (size - used < 32768)
			reply->head = realloc(reply->head, size *= 2);
		n = recv(fd, reply->head + used, size - used - 1, 0);
		if (n > 0) {
			used += (size_t)n;
			idle = 0;
		} else if (n < 0 && errno == EAGAIN && len == 0) {
			idle++;
		} else if (n < 0 && errno != EAGAIN) {
			break;
		}
	}
	close(fd);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	reply->head[used] = '\0';
	sscanf(reply->head, "HTTP/1.%*d %d", &reply->status);
	reply->body = strstr(reply->head, "\r\n\r\n");
	reply->body = reply->body != NULL ? reply->body + 4 : reply->head + used;
	reply->len = (size_t)(reply->head + used - reply->body);
	reply->json = json_loads(reply->body, JSON_DECODE_ANY, NULL);
}

static void call(struct fixture *f, const char *method, const char *url, const char *body,
	size_t len, struct reply *reply)
{
	char head[1024];
	char *all;
	int n = snprintf(head, sizeof(head),
		"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
		method, url, len);

	all = malloc((size_t)n + len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	memcpy(all, head, (size_t)n);
	memcpy(all + n, body, len);
	exchange(f, all, (size_t)n + len, reply);
	free(all);
}

/** A request with single quotes in the body for double ones; @return its JSON, which the caller
 * frees. */
__attribute__((unused)) static json_t *request(
	struct fixture *f, int status, const char *method, const char *url, const char *body)
{
	struct reply reply;
	char *text = strdup(body != NULL ? body : "");
	json_t *json;

	for (char *c = text; *c != '\0'; c++)
		*c = *c == '\'' ? '"' : *c;
	call(f, method, url, text, strlen(text), &reply);
	free(text);
	if (reply.status != status)
		fprintf(stderr, "%s %s %s: expected %d, got %d: %s\n", method, url,
			body != NULL ? body : "", status, reply.status, reply.body);
	CU_ASSERT_EQUAL(reply.status, status);
	json = json_incref(reply.json);
	reply_free(&reply);
	return json;
}

/** The same where only the status matters. */
__attribute__((unused)) static void expect(
	struct fixture *f, int status, const char *method, const char *url, const char *body)
{
	json_decref(request(f, status, method, url, body));
}

/** Every object, as text: what a rollback has to give back. */
__attribute__((unused)) static char *snapshot(struct fixture *f)
{
	json_t *all = json_object();
	char *text;

	for (size_t t = 0; t < OBJECT_TYPE_COUNT; t++) {
		char url[64];

		snprintf(url, sizeof(url), "/v1/%s", object_schemas[t].plural);
		json_object_set_new(
			all, object_schemas[t].plural, request(f, 200, "GET", url, NULL));
	}
	text = json_dumps(all, JSON_SORT_KEYS);
	json_decref(all);
	return text;
}

#endif
