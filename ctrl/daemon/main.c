/* SPDX-License-Identifier: Apache-2.0 */
/* podlaned: start, run the loop, stop. The order of starting is daemon_start, top to bottom. */
#include "config/log.h"
#include "config/schema.h"
#include "ctrl/daemon/api.h"
#include "ctrl/daemon/handover.h"
#include "ctrl/daemon/leftovers.h"
#include "ctrl/daemon/loop.h"
#include "ctrl/daemon/options.h"
#include "ctrl/daemon/startup.h"
#include "ctrl/daemon/upgrade.h"
#include "ctrl/ipam/ipam.h"
#include "dataplane/forwarding.h"
#include "dataplane/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#define METRICS_RETRY_MS 5000
#define SOCKET_LOOK_MS	 1000

struct daemon {
	struct options options;
	struct event_base *base;
	struct store *store;
	struct engine *engine;
	struct api api;
	struct http_server *socket, *metrics;
	char *metrics_listen; /* wanted; "" = off */
	struct watch *signals[5], *watchdog, *metrics_retry, *socket_look;
	bool data_plane;
	struct upgrade upgrade;
};

/** "podlane.conf:12: peer node-b: ..." */
static const char *error_line(const struct error *err, char *line, size_t size)
{
	if (err->file[0] != '\0' && err->line != 0)
		snprintf(line, size, "%s:%u: %s", err->file, err->line, err->text);
	else
		snprintf(line, size, "%s%s%s", err->file, err->file[0] != '\0' ? ": " : "",
			err->text);
	return line;
}

/* --check */

static int check(const struct options *options, struct error *err)
{
	struct model *empty = model_new();
	struct changeset *set = empty != NULL ? changeset_new(empty) : NULL;
	struct startup startup = { .set = set };
	struct ipam *ipam = ipam_new();
	int ret = set != NULL && ipam != NULL ? config_load_file(options->config, set, err)
					      : error_set(err, ENOMEM, NULL, "out of memory");

	if (ret == 0 && startup_node(&startup, err) == NULL)
		ret = -EINVAL;
	if (ret == 0)
		ret = ipam_assign(ipam, empty, set, err);
	if (ret == 0)
		ret = changeset_validate(set, err);
	if (ret == 0) {
		size_t count;

		changeset_changes(set, &count);
		printf("%s: %zu objects, no error\n", options->config, count);
	}
	ipam_free(ipam);
	changeset_free(set);
	model_free(empty);
	return ret;
}

/* Health and metrics on TCP. Not being able to listen there must not keep a node from forwarding.
 */

static void open_metrics(struct daemon *d)
{
	const struct http_conf conf = {
		.base = d->base, .tables = api_tables, .context = &d->api, .tcp_only = true
	};
	struct error err = { 0 };

	http_server_free(d->metrics);
	d->metrics = NULL;
	if (d->metrics_listen == NULL || d->metrics_listen[0] == '\0')
		return;
	d->metrics = http_server_new(&conf);
	if (d->metrics != NULL && http_listen_tcp(d->metrics, d->metrics_listen, &err) == 0) {
		LOG_INFO("health and metrics are served address=%s", d->metrics_listen);
		return;
	}
	LOG_ERROR("health and metrics are not served, trying again error=\"%s\"", err.text);
	http_server_free(d->metrics);
	d->metrics = NULL;
	watch_after(d->metrics_retry, METRICS_RETRY_MS);
}

static void on_metrics_retry(void *arg)
{
	open_metrics(arg);
}

/* Settings of the node that are not the data plane's own. */

static void apply_node(struct daemon *d, const struct node *before, const struct node *node)
{
	enum log_level level;

	if (d->options.log_level == NULL &&
		(before == NULL || strcmp(before->log_level, node->log_level) != 0) &&
		log_level_parse(node->log_level, &level))
		log_level_set(level);
	if (d->metrics_listen == NULL || strcmp(d->metrics_listen, node->metrics_listen) != 0) {
		free(d->metrics_listen);
		d->metrics_listen = strdup(node->metrics_listen);
		open_metrics(d);
	}
	if (before != NULL)
		dataplane_configure(node);
}

static void on_committed(const struct change *changes, size_t count, void *arg)
{
	/* Changes come in the order of types, the node first unless objects are removed. */
	for (size_t i = 0; i < count; i++) {
		const struct change *c = &changes[i];

		if (c->after != NULL && c->after->type != OBJECT_NODE)
			break;
		if (c->after != NULL)
			apply_node(
				arg, c->before != NULL ? &c->before->node : NULL, &c->after->node);
	}
}

/* Signals and systemd. */

static void on_stop(void *arg)
{
	struct daemon *d = arg;

	LOG_INFO("stopping");
	if (d->upgrade.successor == 0 && !store_has_successor(d->store))
		sd_notify(0, "STOPPING=1");
	watch_base_stop(d->base);
}

static void on_reload(void *arg)
{
	const struct txn_options options = { .source = "file", .diff_limit = 0 };
	struct daemon *d = arg;
	struct txn_result result = { 0 };
	struct error err = { 0 };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)now.tv_sec * 1000000 + (long long)now.tv_nsec / 1000);
	if (file_reload(d->engine, d->options.config, &options, &result, &err) < 0)
		LOG_ERROR("configuration not reloaded, nothing has changed file=%s line=%u "
			  "error=\"%s\"",
			err.file[0] != '\0' ? err.file : d->options.config, err.line, err.text);
	else
		LOG_INFO("configuration reloaded added=%u changed=%u removed=%u",
			result.record.added, result.record.changed, result.record.removed);
	json_decref(result.diff);
	sd_notify(0, "READY=1");
}

static void on_upgrade(void *arg)
{
	struct daemon *d = arg;
	struct error err = { 0 };

	if (upgrade_start(&d->upgrade, &err) < 0)
		LOG_ERROR("no successor was started, going on error=\"%s\"", err.text);
}

static void on_child(void *arg)
{
	struct daemon *d = arg;
	pid_t pid = upgrade_reap(&d->upgrade);

	if (pid == 0)
		return;
	LOG_ERROR("the successor ended before it took over, going on pid=%d reason=\"%s\"",
		(int)pid, d->upgrade.reason);
	sd_notifyf(0, "MAINPID=%d\nSTATUS=a successor could not take over, going on\nERRNO=0",
		(int)getpid());
}

static void on_watchdog(void *arg)
{
	(void)arg;
	sd_notify(0, "WATCHDOG=1");
}

static void on_socket_look(void *arg)
{
	const struct daemon *d = arg;

	if (d->socket != NULL)
		http_listen_look(d->socket);
}

static int add_events(struct daemon *d, struct error *err)
{
	static const struct {
		int number;
		watch_call call;
	} signals[] = { { SIGTERM, on_stop }, { SIGINT, on_stop }, { SIGHUP, on_reload },
		{ SIGUSR2, on_upgrade }, { SIGCHLD, on_child } };
	uint64_t usec = 0;

	static_assert(
		sizeof(signals) / sizeof(signals[0]) == sizeof(d->signals) / sizeof(d->signals[0]),
		"one watch a signal");
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		d->signals[i] = watch_signal(d->base, signals[i].number, signals[i].call, d);
		if (d->signals[i] == NULL)
			return error_set(err, ENOMEM, NULL, "out of memory");
	}
	d->metrics_retry = watch_timer(d->base, on_metrics_retry, d);
	d->socket_look = watch_timer(d->base, on_socket_look, d);
	if (d->metrics_retry == NULL || d->socket_look == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	watch_every(d->socket_look, SOCKET_LOOK_MS);
	if (sd_watchdog_enabled(0, &usec) > 0) {
		/* Half the limit, as sd_watchdog_enabled(3) advises. */
		d->watchdog = watch_timer(d->base, on_watchdog, NULL);
		if (d->watchdog == NULL)
			return error_set(err, ENOMEM, NULL, "out of memory");
		watch_every(d->watchdog, usec / 2000);
	}
	return 0;
}

/* Start and stop. */

/** The default directories exist after a package install; a first run by hand needs them too. */
static void make_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent =
		slash != NULL && slash != path ? strndup(path, (size_t)(slash - path)) : NULL;

	/* When it fails, binding the socket reports why. */
	if (parent != NULL && mkdir(parent, 0755) < 0 && errno != EEXIST)
		LOG_DEBUG("cannot create directory path=%s", parent);
	free(parent);
}

static int open_engine(struct daemon *d, struct error *err)
{
	struct engine_conf conf = { .plane = &loop_plane, .committed = on_committed, .arg = d };
	int ret;

	d->base = watch_base_new();
	if (d->base == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	ret = store_open(d->options.state, &d->store, err);
	if (ret < 0)
		return ret;
	conf.base = d->base;
	conf.store = d->store;
	d->engine = engine_new(&conf);
	return d->engine != NULL ? 0 : error_set(err, ENOMEM, NULL, "out of memory");
}

static int open_socket(struct daemon *d, struct error *err)
{
	const struct http_conf conf = { .base = d->base, .tables = api_tables, .context = &d->api };

	d->api = (struct api){
		.base = d->base,
		.engine = d->engine,
		.config_path = d->options.config,
		.tables = api_tables,
		.started = time(NULL),
		.ready = forwarding_settled,
		.upgrade = &d->upgrade,
	};
	make_parent(d->options.socket);
	d->socket = http_server_new(&conf);
	if (d->socket == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	return http_listen_unix(d->socket, d->options.socket, err);
}

static int start_data_plane(struct daemon *d, const struct startup *startup, struct error *err)
{
	const struct node *node = startup_node(startup, err);
	int ret;

	if (node == NULL)
		return -EINVAL;
	if (!d->data_plane) {
		ret = dataplane_start(node, tunnel_types, err);
		if (ret < 0)
			return ret;
		d->data_plane = true;
	}
	return loop_attach(d->base, err);
}

/** Everything that takes time and needs no port, while the daemon before us still forwards; then it ends. */
static int take_over(struct daemon *d, struct error *err)
{
	struct object *node;
	int ret = handover_node(&d->options, &node, err);

	if (ret < 0)
		return ret;
	ret = dataplane_fits_beside(&node->node, err);
	if (ret == 0)
		ret = dataplane_start(&node->node, tunnel_types, err);
	object_unref(node);
	if (ret < 0)
		return ret;
	d->data_plane = true;
	return handover_claim(d->options.state, err);
}

static int daemon_start(struct daemon *d, struct error *err)
{
	struct startup startup = { 0 };
	int ret = d->options.take_over ? take_over(d, err) : 0;

	if (ret == 0)
		ret = open_engine(d, err);
	if (ret == 0)
		ret = add_events(d, err);
	if (ret == 0)
		ret = startup_load(d->engine, d->options.config, &startup, err);
	/* Before the data plane: a second daemon on the same socket must not get as far as ports.
	 */
	if (ret == 0)
		ret = open_socket(d, err);
	if (ret == 0)
		ret = start_data_plane(d, &startup, err);
	if (ret == 0)
		ret = engine_start(
			d->engine, startup.set, startup.file_hash, startup.file_changed, err);
	if (ret == 0)
		leftovers_remove(&startup);
	startup_free(&startup);
	return ret;
}

static void daemon_stop(struct daemon *d)
{
	bool successor;

	/* Who ended us may have ended the successor too: then nobody takes the node's interface over. */
	upgrade_reap(&d->upgrade);
	successor = d->upgrade.successor != 0 ||
		    store_has_successor(d->store); /* ours, or one started by hand */
	http_server_free(d->metrics);
	http_server_free(d->socket);
	if (d->data_plane) {
		loop_detach();
		dataplane_halt(successor);
	}
	engine_free(d->engine);
	store_close(d->store); /* a successor goes on from here */
	if (d->data_plane)
		dataplane_stop();
	for (size_t i = 0; i < sizeof(d->signals) / sizeof(d->signals[0]); i++)
		watch_free(d->signals[i]);
	watch_free(d->watchdog);
	watch_free(d->metrics_retry);
	watch_free(d->socket_look);
	free(d->metrics_listen);
	upgrade_end(&d->upgrade);
	watch_base_free(d->base);
}

int main(int argc, char **argv)
{
	struct daemon d = { 0 };
	struct error err = { 0 };
	char line[UPGRADE_REASON_MAX];
	int status = options_parse(argc, argv, &d.options), ret;

	if (status >= 0)
		return status;
	upgrade_init(&d.upgrade, argv);
	if (d.options.check || d.options.remove_interfaces) {
		ret = d.options.check ? check(&d.options, &err)
				      : leftovers_remove_all(d.options.state, &err);
		if (ret < 0)
			fprintf(stderr, "podlaned: %s\n", error_line(&err, line, sizeof(line)));
		return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	signal(SIGPIPE, SIG_IGN); /* clients come and go */
	/* What comes while it starts (add_events is later) must not end it: the file is read anyway. */
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	/* systemd set it for the process it started; with it, this one's watchdog would be off. */
	if (d.options.take_over)
		unsetenv("WATCHDOG_PID");
	ret = daemon_start(&d, &err);
	if (ret < 0) {
		fprintf(stderr, "podlaned: %s\n", error_line(&err, line, sizeof(line)));
		upgrade_report(&d.upgrade, line);
		sd_notifyf(0, "STATUS=%s\nERRNO=%d", err.text, -ret);
	} else {
		LOG_INFO("ready version=%s socket=%s", PODLANE_VERSION, d.options.socket);
		sd_notify(0, "READY=1");
		upgrade_report(&d.upgrade, NULL);
		watch_base_run(d.base);
	}
	daemon_stop(&d);
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
