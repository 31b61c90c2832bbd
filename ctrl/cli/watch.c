/* SPDX-License-Identifier: Apache-2.0 */
/** Commands that look at packets: explain, trace, capture, top. */
#include "ctrl/cli/cli.h"

#include "ctrl/cli/table.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- explain ---------------------------------------------------------------------------------------------------- */

static void print_direction(const char *title, const json_t *d)
{
	const char *verdict = json_string_value(json_object_get(d, "verdict"));
	const char *reason = json_string_value(json_object_get(d, "reason"));
	const json_t *flow = json_object_get(d, "flow");
	json_t *step;
	size_t i;

	printf("%s: %s%s%s\n", title, verdict, reason != NULL && reason[0] != '\0' ? ", " : "",
		reason != NULL ? reason : "");
	json_array_foreach (json_object_get(d, "steps"), i, step)
		printf("  %-8s %s\n", json_string_value(json_object_get(step, "stage")),
			json_string_value(json_object_get(step, "text")));
	if (json_is_object(flow))
		printf("  %-8s known: %lld packets, %lld bytes, idle %lld ms%s\n", "flow",
			(long long)json_integer_value(json_object_get(flow, "packets")),
			(long long)json_integer_value(json_object_get(flow, "bytes")),
			(long long)json_integer_value(json_object_get(flow, "idle_ms")),
			json_is_true(json_object_get(flow, "current"))
				? ""
				: ", will be resolved again");
	else
		printf("  %-8s not in the table: the first packet makes it\n", "flow");
}

static bool small_number(const char *text, json_int_t max, json_int_t *value)
{
	char *end;
	long v = strtol(text, &end, 10);

	*value = v;
	return text[0] != '\0' && *end == '\0' && v >= 0 && v <= max;
}

int cmd_explain(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { "length", 1, NULL, 'l' }, { NULL, 0, NULL, 0 } };
	static const char *const port_fields[] = { "sport", "dport" };
	json_t *body = json_object(), *doc = NULL;
	json_int_t v;
	int c, status;

	while ((c = getopt_long(argc, argv, "l:", options, NULL)) != -1) {
		if (c != 'l' || !small_number(optarg, 65535, &v)) {
			json_decref(body);
			return c == 'l' ? cli_usage("--length takes a number of bytes") : CLI_USAGE;
		}
		json_object_set_new(body, "length", json_integer(v));
	}
	argc -= optind;
	argv += optind;
	if (argc < 3 || argc > 6) {
		json_decref(body);
		return cli_usage("explain FROM SRC DST [PROTO [SPORT] [DPORT]], as in: explain "
				 "pod:web-1 10.244.1.9 10.244.2.9 tcp 80");
	}
	json_object_set_new(body, "from", json_string(argv[0]));
	json_object_set_new(body, "src", json_string(argv[1]));
	json_object_set_new(body, "dst", json_string(argv[2]));
	if (argc > 3)
		json_object_set_new(body, "proto", json_string(argv[3]));
	/* One port is the destination's. */
	for (int i = 4; i < argc; i++) {
		if (!small_number(argv[i], 65535, &v)) {
			json_decref(body);
			return cli_usage("%s is not a port", argv[i]);
		}
		json_object_set_new(body, port_fields[argc == 5 ? 1 : i - 4], json_integer(v));
	}
	status = client_request(cli->client, "POST", "/v1/explain", body, &doc);
	if (status == 200 && cli->json) {
		cli_print_json(doc);
	} else if (status == 200) {
		print_direction("packet", doc);
		if (json_is_object(json_object_get(doc, "reply")))
			print_direction("reply", json_object_get(doc, "reply"));
	}
	json_decref(doc);
	json_decref(body);
	return cli_exit(status);
}

/* --- trace ------------------------------------------------------------------------------------------------------ */

/** The rest of the command line is one filter expression. */
static char *join(int argc, char **argv)
{
	size_t len = 1;
	char *text;

	for (int i = 0; i < argc; i++)
		len += strlen(argv[i]) + 1;
	text = calloc(1, len);
	for (int i = 0; text != NULL && i < argc; i++) {
		strcat(text, i > 0 ? " " : "");
		strcat(text, argv[i]);
	}
	return text;
}

/** Traces come one JSON document a line, as packets are seen. */
struct trace_output {
	bool json;
	unsigned packets;
	size_t len;
	char line[16384];
};

static void trace_line(struct trace_output *out)
{
	json_t *packet, *step;
	size_t i;

	out->line[out->len] = '\0';
	out->len = 0;
	if (out->json) {
		puts(out->line);
		out->packets++;
		return;
	}
	packet = json_loads(out->line, 0, NULL);
	if (packet == NULL)
		return;
	printf("packet %u\n", ++out->packets);
	json_array_foreach (json_object_get(packet, "steps"), i, step)
		printf("  %-8s %s\n", json_string_value(json_object_get(step, "stage")),
			json_string_value(json_object_get(step, "text")));
	fflush(stdout);
	json_decref(packet);
}

static size_t on_trace(const char *bytes, size_t len, void *arg)
{
	struct trace_output *out = arg;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n' && out->len > 0)
			trace_line(out);
		else if (out->len + 1 < sizeof(out->line))
			out->line[out->len++] = bytes[i];
	}
	return len;
}

int cmd_trace(struct cli *cli, int argc, char **argv)
{
	json_t *body = json_pack("{s:i, s:i}", "count", 10, "seconds", 10);
	static struct trace_output out;
	char *filter;
	json_int_t v;
	int c, status;

	while ((c = getopt(argc, argv, "c:p:t:")) != -1) {
		if (c == 'p')
			json_object_set_new(body, "port", json_string(optarg));
		else if ((c == 'c' || c == 't') && small_number(optarg, 100000, &v))
			json_object_set_new(body, c == 'c' ? "count" : "seconds", json_integer(v));
		else
			return c == '?' ? CLI_USAGE : cli_usage("-%c takes a number", c);
	}
	filter = join(argc - optind, argv + optind);
	json_object_set_new(body, "filter", json_string(filter != NULL ? filter : ""));
	free(filter);
	out.json = cli->json;
	cli_catch_interrupts();
	status = client_stream(
		cli->client, "POST", "/v1/trace", body, on_trace, &out, &cli_interrupted);
	if (status == 200 && out.packets == 0 && !cli->json)
		printf("no packet matched in that time\n");
	json_decref(body);
	return cli_exit(status);
}

/* --- capture ---------------------------------------------------------------------------------------------------- */

static size_t to_file(const char *bytes, size_t len, void *arg)
{
	FILE *f = arg;
	size_t n = fwrite(bytes, 1, len, f);

	fflush(f);
	return n;
}

int cmd_capture(struct cli *cli, int argc, char **argv)
{
	static const struct {
		int option;
		const char *key;
	} queries[] = { { 'c', "count" }, { 'p', "port" }, { 'a', "points" }, { 's', "snaplen" } };
	const char *file = "-", *values[4] = { NULL };
	char path[1024] = "/v1/capture", *filter, *escaped;
	size_t used = strlen(path);
	FILE *out;
	int c, status;

	while ((c = getopt(argc, argv, "w:c:p:a:s:")) != -1) {
		if (c == 'w') {
			file = optarg;
			continue;
		}
		if (c == '?')
			return CLI_USAGE;
		for (size_t i = 0; i < 4; i++) {
			if (queries[i].option == c)
				values[i] = optarg;
		}
	}
	filter = join(argc - optind, argv + optind);
	escaped = filter != NULL ? client_escape(filter) : NULL;
	used += (size_t)snprintf(
		path + used, sizeof(path) - used, "?filter=%s", escaped != NULL ? escaped : "");
	free(escaped);
	free(filter);
	for (size_t i = 0; i < 4 && used < sizeof(path); i++) {
		if (values[i] == NULL)
			continue;
		escaped = client_escape(values[i]);
		used += (size_t)snprintf(path + used, sizeof(path) - used, "&%s=%s", queries[i].key,
			escaped != NULL ? escaped : "");
		free(escaped);
	}
	if (used >= sizeof(path))
		return cli_usage("the filter is too long");
	if (strcmp(file, "-") == 0 && isatty(STDOUT_FILENO))
		return cli_usage(
			"capture writes pcapng: give a file with -w, or pipe it into tcpdump -r -");
	out = strcmp(file, "-") == 0 ? stdout : fopen(file, "we");
	if (out == NULL)
		return cli_usage("%s: %s", file, strerror(errno));
	cli_catch_interrupts();
	if (out != stdout)
		fprintf(stderr, "capturing to %s until Ctrl-C\n", file);
	status = client_stream(cli->client, "GET", path, NULL, to_file, out, &cli_interrupted);
	if (out != stdout)
		fclose(out);
	return cli_exit(status);
}

/* --- top -------------------------------------------------------------------------------------------------------- */

struct snapshot {
	json_t *ports, *workers, *drops, *tables;
	double at;
};

static double monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int snapshot_take(struct cli *cli, struct snapshot *s)
{
	int status = client_request(cli->client, "GET", "/v1/state/ports", NULL, &s->ports);

	if (status == 200)
		status = client_request(cli->client, "GET", "/v1/state/workers", NULL, &s->workers);
	if (status == 200)
		status = client_request(cli->client, "GET", "/v1/state/drops", NULL, &s->drops);
	if (status == 200)
		status = client_request(cli->client, "GET", "/v1/state/tables", NULL, &s->tables);
	s->at = monotonic();
	return status;
}

static void snapshot_free(struct snapshot *s)
{
	json_decref(s->ports);
	json_decref(s->workers);
	json_decref(s->drops);
	json_decref(s->tables);
	*s = (struct snapshot){ 0 };
}

static const json_t *rows_of(const json_t *doc, const char *key)
{
	return json_is_array(doc) ? doc : json_object_get(doc, key);
}

static double delta(const json_t *now, const json_t *before, const char *key, double seconds)
{
	return (double)(json_integer_value(json_object_get(now, key)) -
			json_integer_value(json_object_get(before, key))) /
	       seconds;
}

static const json_t *row_named(const json_t *rows, const char *key, const char *name)
{
	json_t *row;
	size_t i;

	json_array_foreach ((json_t *)rows, i, row) {
		if (strcmp(json_string_value(json_object_get(row, key)), name) == 0)
			return row;
	}
	return NULL;
}

/** "1.25 M", "830 k", "12". */
static const char *rate(double v, char *buf, size_t size)
{
	if (v >= 999500)
		snprintf(buf, size, "%.2f M", v / 1e6);
	else if (v >= 9995)
		snprintf(buf, size, "%.0f k", v / 1e3);
	else
		snprintf(buf, size, "%.0f", v);
	return buf;
}

static void top_print(const struct snapshot *before, const struct snapshot *now)
{
	double seconds = now->at - before->at;
	char a[16], b[16], c[16], d[16];
	json_t *row;
	size_t i;

	printf("%-24s %10s %12s %10s %12s %10s\n", "PORT", "RX PKT/S", "RX BIT/S", "TX PKT/S",
		"TX BIT/S", "DROP/S");
	json_array_foreach ((json_t *)rows_of(now->ports, "ports"), i, row) {
		const char *name = json_string_value(json_object_get(row, "name"));
		const json_t *old = row_named(rows_of(before->ports, "ports"), "name", name);

		if (old == NULL)
			continue;
		printf("%-24s %10s %12s %10s %12s %10.0f\n", name,
			rate(delta(row, old, "rx_packets", seconds), a, sizeof(a)),
			rate(8 * delta(row, old, "rx_bytes", seconds), b, sizeof(b)),
			rate(delta(row, old, "tx_packets", seconds), c, sizeof(c)),
			rate(8 * delta(row, old, "tx_bytes", seconds), d, sizeof(d)),
			delta(row, old, "drops", seconds));
	}
	printf("\n%-8s %5s %7s %10s %8s\n", "WORKER", "CPU", "BUSY", "PKT/S", "QUEUES");
	json_array_foreach ((json_t *)rows_of(now->workers, "workers"), i, row)
		printf("%-8lld %5lld %6.1f%% %10s %8lld\n",
			(long long)json_integer_value(json_object_get(row, "id")),
			(long long)json_integer_value(json_object_get(row, "cpu")),
			100 * json_number_value(json_object_get(row, "busy")),
			rate(delta(row, json_array_get(rows_of(before->workers, "workers"), i),
				     "packets", seconds),
				a, sizeof(a)),
			(long long)json_integer_value(json_object_get(row, "queues")));
	printf("\n%-26s %10s %14s\n", "DROP REASON", "DROP/S", "TOTAL");
	json_array_foreach ((json_t *)rows_of(now->drops, "reasons"), i, row) {
		const char *reason = json_string_value(json_object_get(row, "reason"));
		const json_t *old = row_named(rows_of(before->drops, "reasons"), "reason", reason);

		if (json_integer_value(json_object_get(row, "packets")) > 0)
			printf("%-26s %10.0f %14lld\n", reason,
				old != NULL ? delta(row, old, "packets", seconds) : 0,
				(long long)json_integer_value(json_object_get(row, "packets")));
	}
	fflush(stdout);
}

int cmd_top(struct cli *cli, int argc, char **argv)
{
	struct snapshot before = { 0 }, now = { 0 };
	bool screen = isatty(STDOUT_FILENO);
	double interval = 1;
	json_int_t times = 0;
	int c, status;

	while ((c = getopt(argc, argv, "d:n:")) != -1) {
		if (c == 'd')
			interval = atof(optarg);
		else if (c != 'n' || !small_number(optarg, 1000000, &times))
			return c == '?' ? CLI_USAGE : cli_usage("-n takes a number");
	}
	if (optind < argc)
		return cli_extra(argv[0], argv[optind]);
	if (interval < 0.1)
		return cli_usage("-d takes seconds, at least 0.1");
	cli_catch_interrupts();
	status = snapshot_take(cli, &before);
	for (json_int_t i = 0; status == 200 && !cli_interrupted && (times == 0 || i < times);
		i++) {
		usleep((useconds_t)(interval * 1e6));
		if (cli_interrupted)
			break;
		status = snapshot_take(cli, &now);
		if (status != 200)
			break;
		if (screen)
			printf("\033[H\033[2J");
		top_print(&before, &now);
		snapshot_free(&before);
		before = now;
		now = (struct snapshot){ 0 };
	}
	snapshot_free(&before);
	snapshot_free(&now);
	return cli_exit(status);
}
