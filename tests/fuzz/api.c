/* SPDX-License-Identifier: Apache-2.0 */
/** The API server in this process: requests over a Unix socket to a daemon without a data plane. A request that is refused
 * must leave every object as it was, an accepted one must be in the history, and every answer must be an answer.
 *
 * The input: "METHOD TARGET", a line end and the body; several requests are parted by 0x1e. After a '!' all bytes go to the
 * connection as they are.
 */
#include "config/log.h"
#include "config/schema.h"
#include "ctrl/daemon/api.h"
#include "ctrl/daemon/startup.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_END 0x1e
#define ROUNDS_MAX  2000 /* of the loop without a byte: the server has nothing more to say */
#define STORE_AGE   2000 /* runs a store is used for */

static const struct http_endpoint *const tables[] = { object_endpoints, transaction_endpoints,
	daemon_endpoints, NULL };
static const char first_config[] =
	"node: { name = \"node-a\"; metrics_listen = \"\"; };\n"
	"uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\";\n"
	"             addresses = [ \"192.0.2.1/24\", \"2001:db8::1/64\" ]; } );\n"
	"pools: ( { name = \"pods\"; cidr = \"10.244.1.0/24\"; }, { name = \"pods6\"; cidr = "
	"\"fd00:244:1::/64\"; } );\n"
	"peers: ( { name = \"node-b\"; underlay = [ \"192.0.2.2\" ]; pod_cidrs = [ "
	"\"10.244.2.0/24\" ];\n"
	"           encap = \"vxlan\"; vtep_mac = \"02:00:c0:00:02:02\"; } );\n";

static struct {
	char dir[64], config[96], socket[96];
	struct event_base *base;
	struct store *store;
	struct engine *engine;
	struct api api;
	struct http_server *server;
	unsigned runs;
	int open;      /* transactions prepared and neither committed nor aborted */
	bool refuse;   /* the data plane can't do it */
	char *objects; /* the configuration in force, as text */
} d;

/* libconfig 1.5 forgets what it was reading when the text is wrong. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

/* --- the daemon --------------------------------------------------------------------------------------------- */

static int plane_prepare(const struct changeset *set, const struct change *changes, size_t count,
	void **txn, struct error *err)
{
	(void)set;
	REQUIRE(count > 0 && changes != NULL, "a transaction of nothing");
	if (d.refuse)
		return error_set(err, EIO, NULL, "the fuzzer refuses it");
	d.open++;
	*txn = &d;
	return 0;
}

static void plane_commit(void *txn)
{
	REQUIRE(txn == &d && d.open == 1, "%d open", d.open);
	d.open--;
}

static const struct plane plane = { plane_prepare, plane_commit, plane_commit, NULL };

static char *objects_text(void)
{
	char *text = model_to_text(engine_model(d.engine));

	REQUIRE(text != NULL, "no memory");
	return text;
}

static void daemon_start(void)
{
	struct engine_conf conf = { .plane = &plane };
	struct http_conf http = { .tables = tables, .context = &d.api };
	struct startup startup = { 0 };
	struct error err = { 0 };
	FILE *file;

	strcpy(d.dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/podlane-fuzz-XXXXXX"
						    : "/tmp/podlane-fuzz-XXXXXX");
	REQUIRE(mkdtemp(d.dir) != NULL, "%s", strerror(errno));
	snprintf(d.config, sizeof(d.config), "%s/podlane.conf", d.dir);
	snprintf(d.socket, sizeof(d.socket), "%s/api.sock", d.dir);
	file = fopen(d.config, "we");
	REQUIRE(file != NULL && fputs(first_config, file) >= 0 && fclose(file) == 0, "%s",
		d.config);
	d.base = event_base_new();
	REQUIRE(store_open(d.dir, &d.store, &err) == 0, "%s", err.text);
	conf.base = d.base;
	conf.store = d.store;
	d.engine = engine_new(&conf);
	d.api = (struct api){
		.base = d.base, .engine = d.engine, .config_path = d.config, .tables = tables
	};
	REQUIRE(startup_load(d.engine, d.config, &startup, &err) == 0 &&
			engine_start(d.engine, startup.set, startup.file_hash, startup.file_changed,
				&err) == 0,
		"%s", err.text);
	startup_free(&startup);
	http.base = d.base;
	d.server = http_server_new(&http);
	REQUIRE(http_listen_unix(d.server, d.socket, &err) == 0, "%s", err.text);
	d.objects = objects_text();
}

static void daemon_stop(void)
{
	static const char *const files[] = { "podlane.conf", "api.sock", "state.db", "state.db-wal",
		"state.db-shm", "lock", "state.lock" };
	char path[160];

	if (d.engine == NULL)
		return;
	http_server_free(d.server);
	engine_free(d.engine);
	store_close(d.store);
	event_base_free(d.base);
	free(d.objects);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", d.dir, files[i]);
		unlink(path);
	}
	rmdir(d.dir);
	memset(&d, 0, sizeof(d));
}

/** As it was at first: by the ways of the API itself, where that is enough. */
static void daemon_reset(void)
{
	const struct txn_record *waiting = engine_waiting(d.engine);
	struct txn_options options = { .source = "file" };
	struct txn_result result = { 0 };
	struct txn_record record;
	struct error err = { 0 };
	char *now;

	d.refuse = false;
	log_level_set(LOG_LEVEL_ERROR);
	if (waiting != NULL)
		REQUIRE(engine_rollback(d.engine, waiting->id, &record, &err) == 0, "%s", err.text);
	now = objects_text();
	if (strcmp(now, d.objects) != 0) {
		struct model *empty = model_new();
		struct changeset *wanted = changeset_new(empty),
				 *set = changeset_new(engine_model(d.engine));

		REQUIRE(config_load_text(first_config, "first", wanted, &err) == 0 &&
				objects_replace(engine_model(d.engine), wanted, REPLACE_ALL,
					ORIGIN_FILE, set, &err) == 0 &&
				engine_apply(d.engine, set, &options, &result, &err) == 0,
			"the first objects are refused: %s", err.text);
		json_decref(result.diff);
		changeset_free(set);
		changeset_free(wanted);
		model_free(empty);
		free(now);
		now = objects_text();
		REQUIRE(strcmp(now, d.objects) == 0, "replacing everything left\n%s", now);
	}
	free(now);
}

/* --- the client --------------------------------------------------------------------------------------------- */

static char answer[1 << 20];

/** Send bytes and take what comes back until the server falls silent. @return bytes. */
static size_t exchange(const uint8_t *bytes, size_t len, bool until_closed)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	size_t used = 0;
	bool closed = false;

	strcpy(addr.sun_path, d.socket);
	REQUIRE(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0, "connect: %s",
		strerror(errno));
	for (unsigned idle = 0; !closed && idle < (until_closed ? ROUNDS_MAX : 20);) {
		ssize_t n = len > 0 ? send(fd, bytes, len, MSG_NOSIGNAL) : 0;

		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
		event_base_loop(d.base, EVLOOP_NONBLOCK);
		n = recv(fd, answer + used, sizeof(answer) - 1 - used, 0);
		if (n > 0 && used < sizeof(answer) / 2)
			used += (size_t)n; /* of a longer answer the beginning is enough */
		closed = n == 0 || (n < 0 && errno != EAGAIN);
		idle = n > 0 ? 0 : idle + 1;
	}
	REQUIRE(closed || !until_closed, "no answer");
	shutdown(fd, SHUT_RDWR);
	close(fd);
	for (unsigned i = 0; i < 3; i++)
		event_base_loop(d.base, EVLOOP_NONBLOCK);
	answer[used] = '\0';
	return used;
}

/** A problem document or a result: the status says which. */
static void check_answer(size_t used, int *status)
{
	const char *body = strstr(answer, "\r\n\r\n");
	json_t *json;

	REQUIRE(sscanf(answer, "HTTP/1.1 %d", status) == 1 && body != NULL, "no answer: %.200s",
		answer);
	REQUIRE(*status >= 200 && *status < 600, "status %d", *status);
	REQUIRE(*status != 500 || d.refuse, "an internal error: %.600s", answer);
	if (*status < 400 || strstr(answer, "application/problem+json") == NULL ||
		used > sizeof(answer) / 2)
		return;
	body += 4;
	if (*body == '\0')
		return; /* HEAD */
	json = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	REQUIRE(json_integer_value(json_object_get(json, "status")) == *status &&
			json_string_length(json_object_get(json, "detail")) > 0,
		"a problem without words: %.600s", answer);
	json_decref(json);
}

static void request_play(const uint8_t *at, size_t len)
{
	static uint8_t bytes[1 << 17];
	const uint8_t *end = memchr(at, '\n', len);
	const size_t line = end != NULL ? (size_t)(end - at) : len,
		     body = end != NULL ? len - line - 1 : 0;
	char *before = objects_text(), *after;
	const char *query = memchr(at, '?', line);
	int head, status = 0;
	size_t used;

	/* Framing is the other form's business: no line ends or the like in the first line. */
	for (size_t i = 0; i < line; i++) {
		if (at[i] < ' ' || at[i] == 0x7f) {
			free(before);
			return;
		}
	}
	head = snprintf((char *)bytes, sizeof(bytes),
		"%.*s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
		(int)line, (const char *)at, body);
	if (head < 0 || (size_t)head + body > sizeof(bytes)) {
		free(before);
		return;
	}
	if (end != NULL)
		memcpy(bytes + head, end + 1, body);
	used = exchange(bytes, (size_t)head + body, true);
	REQUIRE(d.open == 0, "%d transactions left open", d.open);
	after = objects_text();
	/* libevent itself answers what is no HTTP, and closes at some of it. */
	if (used > 0)
		check_answer(used, &status);
	if (status == 0 || status >= 400 || strncmp((const char *)at, "GET ", 4) == 0 ||
		(query != NULL && memmem(query, line - (size_t)(query - (const char *)at),
					  "dry_run=1", 9) != NULL))
		REQUIRE(strcmp(before, after) == 0,
			"status %d, but the objects changed from\n%s\nto\n%s", status, before,
			after);
	free(before);
	free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { 0 };
	struct model *empty;
	struct changeset *set;
	char *text;

	if (d.runs++ % STORE_AGE == 0) {
		if (d.engine == NULL)
			atexit(daemon_stop);
		daemon_stop();
		log_level_set(LOG_LEVEL_ERROR);
		daemon_start();
		d.runs = 1;
	}
	if (size > 0 && data[0] == '!') {
		exchange(data + 1, size - 1, false);
		REQUIRE(d.open == 0, "%d transactions left open", d.open);
	} else {
		for (unsigned i = 0; size > 0 && i < 8; i++) {
			const uint8_t *end = memchr(data, REQUEST_END, size);
			const size_t len = end != NULL ? (size_t)(end - data) : size;

			/* A data plane that can't: any second request to begin with a blank. */
			d.refuse = len > 0 && data[0] == ' ';
			request_play(data + d.refuse, len - d.refuse);
			data += len + (end != NULL);
			size -= len + (end != NULL);
		}
	}
	/* What is in force would pass as a configuration file. */
	text = objects_text();
	empty = model_new();
	set = changeset_new(empty);
	REQUIRE(config_load_text(text, "in force", set, &err) == 0 &&
			changeset_validate(set, &err) == 0,
		"what is in force would be refused: %s", err.text);
	changeset_free(set);
	model_free(empty);
	free(text);
	daemon_reset();
	return 0;
}
