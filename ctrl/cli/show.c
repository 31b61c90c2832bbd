/* SPDX-License-Identifier: Apache-2.0 */
/** `podlane show`: one table of subjects, each a URL and the columns people want of it. */
#include "ctrl/cli/cli.h"

#include "config/schema.h"
#include "ctrl/cli/table.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct column uplink_columns[] = { { "name", "name", NULL },
	{ "driver", "driver", NULL }, { "device", "device", NULL },
	{ "addresses", "addresses", NULL }, { "mtu", "mtu", NULL }, { NULL, NULL, NULL } };
static const struct column peer_object_columns[] = { { "name", "name", NULL },
	{ "underlay", "underlay", NULL }, { "encap", "encap", NULL },
	{ "pod cidrs", "pod_cidrs", NULL }, { "vtep mac", "vtep_mac", NULL },
	{ NULL, NULL, NULL } };
static const struct column pod_columns[] = { { "name", "name", NULL }, { "kind", "kind", NULL },
	{ "namespace", "namespace", NULL }, { "addresses", "addresses", NULL },
	{ "netns", "netns", NULL }, { "socket", "socket", NULL }, { NULL, NULL, NULL } };
static const struct column endpoint_columns[] = { { "name", "name", NULL },
	{ "kind", "kind", NULL }, { "namespace", "namespace", NULL },
	{ "addresses", "addresses", NULL }, { "labels", "labels", NULL }, { NULL, NULL, NULL } };
static const struct column set_columns[] = { { "name", "name", NULL },
	{ "namespace", "namespace", NULL }, { "labels", "labels", NULL },
	{ "cidrs", "cidrs", NULL }, { NULL, NULL, NULL } };
static const struct column policy_object_columns[] = { { "name", "name", NULL },
	{ "namespace", "namespace", NULL }, { "tier", "tier", NULL }, { "order", "order", NULL },
	{ "subject", "subject", NULL }, { "selector", "selector", NULL },
	{ "types", "types", NULL }, { "staged", "staged", NULL }, { NULL, NULL, NULL } };
static const struct column port_columns[] = { { "name", "name", NULL },
	{ "driver", "driver", NULL }, { "state", "state", NULL }, { "link", "link", NULL },
	{ "mtu", "mtu", NULL }, { "queues", "rx_queues", NULL },
	{ "rx packets", "rx_packets", NULL }, { "rx", "rx_bytes", "bytes" },
	{ "tx packets", "tx_packets", NULL }, { "tx", "tx_bytes", "bytes" },
	{ "drops", "drops", NULL }, { "memory", "memory_bytes", "bytes" }, { NULL, NULL, NULL } };
static const struct column queue_columns[] = { { "port", "port", NULL }, { "queue", "queue", NULL },
	{ "worker", "worker", NULL }, { "pinned", "pinned", NULL }, { "load", "load", "percent" },
	{ "packets/s", "packets_per_second", NULL }, { "packets", "packets", NULL },
	{ "moves", "moves", NULL }, { NULL, NULL, NULL } };
static const struct column offload_columns[] = { { "port", "port", NULL },
	{ "driver", "driver", NULL }, { "offload", "name", NULL }, { "in use", "in_use", NULL },
	{ "state", "state", NULL }, { "why", "why", NULL }, { NULL, NULL, NULL } };
static const struct column peer_columns[] = { { "name", "name", NULL },
	{ "configured", "configured", NULL }, { "used", "used", NULL }, { "up", "up", NULL },
	{ "local", "local", NULL }, { "remote", "remote", NULL }, { "port", "port", NULL },
	{ "mtu", "mtu", NULL }, { NULL, NULL, NULL } };
static const struct column flow_columns[] = { { "from", "from", NULL }, { "src", "src", NULL },
	{ "dst", "dst", NULL }, { "proto", "proto", NULL }, { "sport", "sport", NULL },
	{ "dport", "dport", NULL }, { "verdict", "verdict", NULL },
	{ "next hop", "next_hop", NULL }, { "packets", "packets", NULL },
	{ "bytes", "bytes", "bytes" }, { "state", "state", NULL }, { "idle", "idle_ms", "ms" },
	{ "left", "left_ms", "ms" }, { "kernel", "kernel", NULL }, { "rule", "rule", NULL },
	{ NULL, NULL, NULL } };
static const struct column rule_columns[] = { { "tier", "tier", NULL },
	{ "policy", "policy", NULL }, { "rule", "rule", NULL }, { "action", "action", NULL },
	{ "staged", "staged", NULL }, { "hits", "hits", NULL }, { NULL, NULL, NULL } };
static const struct column neighbour_columns[] = { { "address", "address", NULL },
	{ "port", "port", NULL }, { "mac", "mac", NULL }, { "state", "state", NULL },
	{ "held", "held", NULL }, { "age", "age_ms", "ms" }, { NULL, NULL, NULL } };
static const struct column worker_columns[] = { { "worker", "id", NULL }, { "cpu", "cpu", NULL },
	{ "node", "numa_node", NULL }, { "busy", "busy", "percent" },
	{ "packets", "packets", NULL }, { "sleeps", "sleeps", NULL }, { "queues", "queues", NULL },
	{ NULL, NULL, NULL } };
static const struct column drop_columns[] = { { "reason", "reason", NULL },
	{ "packets", "packets", NULL }, { "dropped because", "text", NULL }, { NULL, NULL, NULL } };
static const struct column event_columns[] = { { "event", "event", NULL },
	{ "count", "count", NULL }, { "meaning", "text", NULL }, { NULL, NULL, NULL } };
static const struct column transaction_columns[] = { { "id", "id", NULL }, { "time", "time", NULL },
	{ "state", "state", NULL }, { "source", "source", NULL }, { "added", "added", NULL },
	{ "changed", "changed", NULL }, { "removed", "removed", NULL }, { "note", "note", NULL },
	{ NULL, NULL, NULL } };

static const struct subject {
	const char *name;
	const char *path;
	const char
		*rows; /* member that holds the rows; NULL = the document is the array or object */
	const struct column *columns; /* NULL = as the rows say */
	const char *none;
} subjects[] = {
	{ "node", "/v1/state/node", NULL, NULL, "" },
	{ "uplinks", "/v1/uplinks", NULL, uplink_columns, "no uplinks" },
	{ "pools", "/v1/pools", NULL, NULL, "no pools" },
	{ "pods", "/v1/pods", NULL, pod_columns, "no pods" },
	{ "ports", "/v1/state/ports", "ports", port_columns, "no ports" },
	{ "queues", "/v1/state/queues", "queues", queue_columns, "no queues" },
	{ "offloads", "/v1/state/offloads", "offloads", offload_columns, "no NICs" },
	{ "peers", "/v1/state/peers", "peers", peer_columns, "no peers" },
	{ "routes", "/v1/state/routes", "routes", NULL, "no routes" },
	{ "neighbours", "/v1/state/neighbours", "neighbours", neighbour_columns, "no neighbours" },
	{ "flows", "/v1/state/flows", "flows", flow_columns, "no flows" },
	{ "policies", "/v1/state/policy-rules", NULL, rule_columns,
		"no policies: everything is allowed" },
	{ "policy-size", "/v1/state/policies", NULL, NULL, "" },
	{ "policy-objects", "/v1/policies", NULL, policy_object_columns, "no policies" },
	{ "namespaces", "/v1/namespaces", NULL, NULL, "no namespaces are described" },
	{ "endpoints", "/v1/endpoints", NULL, endpoint_columns, "no endpoints" },
	{ "sets", "/v1/sets", NULL, set_columns, "no sets" },
	{ "tiers", "/v1/tiers", NULL, NULL, "only the tier default, which exists by itself" },
	{ "drops", "/v1/state/drops", "reasons", drop_columns, "nothing was dropped" },
	{ "events", "/v1/state/events", "events", event_columns, "nothing happened" },
	{ "workers", "/v1/state/workers", "workers", worker_columns, "no workers" },
	{ "memory", "/v1/state/memory", NULL, NULL, "" },
	{ "tables", "/v1/state/tables", "tables", NULL, "" },
	{ "transactions", "/v1/transactions", NULL, transaction_columns, "no transactions" },
	{ "nodes", "/v1/nodes", NULL, NULL, "" },
	{ "peer-objects", "/v1/peers", NULL, peer_object_columns, "no peers" },
	{ "route-objects", "/v1/routes", NULL, NULL, "no routes" },
};
#define IDENTITY "identity" /* takes an address */
#define SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))

const char *show_subject(unsigned index)
{
	if (index == SUBJECTS)
		return IDENTITY;
	return index < SUBJECTS ? subjects[index].name : NULL;
}

/** "peer" for "peers" is understood. */
static const struct subject *subject_find(const char *name)
{
	for (size_t i = 0; i < SUBJECTS; i++) {
		size_t len = strlen(subjects[i].name);

		if (strcmp(subjects[i].name, name) == 0 ||
			(subjects[i].name[len - 1] == 's' && strlen(name) == len - 1 &&
				strncmp(subjects[i].name, name, len - 1) == 0))
			return &subjects[i];
	}
	return NULL;
}

/** Reasons that never counted are noise for people; --json and --all have them. */
static json_t *only_counted(const json_t *rows, const char *key)
{
	json_t *kept = json_array(), *row;
	size_t i;

	json_array_foreach ((json_t *)rows, i, row) {
		if (json_integer_value(json_object_get(row, key)) > 0)
			json_array_append(kept, row);
	}
	return kept;
}

static void print_balance(const json_t *doc)
{
	const json_t *b = json_object_get(doc, "balance");

	if (b == NULL)
		return;
	printf("\nreceived %lld + generated %lld = transmitted %lld + delivered %lld + held %lld + "
	       "dropped %lld; difference %lld\n",
		(long long)json_integer_value(json_object_get(b, "received")),
		(long long)json_integer_value(json_object_get(b, "generated")),
		(long long)json_integer_value(json_object_get(b, "transmitted")),
		(long long)json_integer_value(json_object_get(b, "delivered")),
		(long long)json_integer_value(json_object_get(b, "held")),
		(long long)json_integer_value(json_object_get(b, "dropped")),
		(long long)json_integer_value(json_object_get(b, "difference")));
}

static void print_subject(const struct subject *subject, const json_t *doc, bool all)
{
	const json_t *rows = subject->rows != NULL && json_is_object(doc)
				     ? json_object_get(doc, subject->rows)
				     : doc;
	json_t *kept = NULL;

	if (!json_is_array(rows)) {
		fields_print(rows != NULL ? rows : doc);
		return;
	}
	if (!all && (subject->columns == drop_columns || subject->columns == event_columns))
		rows = kept =
			only_counted(rows, subject->columns == drop_columns ? "packets" : "count");
	table_print(rows, subject->columns, subject->none);
	print_balance(doc);
	if (json_is_true(json_object_get(doc, "truncated")))
		printf("(more: --limit N shows N, --limit 0 all)\n");
	json_decref(kept);
}

/** What policies know of an address. */
static int show_identity(struct cli *cli, const char *address)
{
	char *escaped = client_escape(address), *path = NULL;
	json_t *doc = NULL, *policies;
	int status;

	if (escaped == NULL || asprintf(&path, "/v1/state/identity?address=%s", escaped) < 0)
		return CLI_USAGE;
	status = client_request(cli->client, "GET", path, NULL, &doc);
	if (status == 200 && cli->json) {
		cli_print_json(doc);
	} else if (status == 200) {
		policies = json_incref(json_object_get(doc, "policies"));
		json_object_del(doc, "policies");
		fields_print(doc);
		printf("\n");
		table_print(policies, NULL, "no policy selects it here");
		json_decref(policies);
	}
	json_decref(doc);
	free(escaped);
	free(path);
	return cli_exit(status);
}

/** One object by name, all its fields. */
static int show_object(struct cli *cli, const struct object_schema *schema, const char *name)
{
	char *escaped = client_escape(name), *path = NULL;
	json_t *doc = NULL;
	int status;

	if (escaped == NULL || asprintf(&path, "/v1/%s/%s", schema->plural, escaped) < 0)
		return CLI_USAGE;
	status = client_request(cli->client, "GET", path, NULL, &doc);
	if (status == 200 && cli->json)
		cli_print_json(doc);
	else if (status == 200)
		fields_print(doc);
	json_decref(doc);
	free(escaped);
	free(path);
	return cli_exit(status);
}

int cmd_show(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { "limit", 1, NULL, 'l' }, { "all", 0, NULL, 'a' },
		{ NULL, 0, NULL, 0 } };
	const struct subject *subject;
	const char *limit = NULL;
	json_t *doc = NULL;
	bool all = false;
	char path[128];
	int c, status;

	while ((c = getopt_long(argc, argv, "l:a", options, NULL)) != -1) {
		if (c == 'l')
			limit = optarg;
		else if (c == 'a')
			all = true;
		else
			return CLI_USAGE;
	}
	if (optind < argc && strcmp(argv[optind], IDENTITY) == 0) {
		if (optind + 2 != argc)
			return cli_usage("show " IDENTITY " takes one address");
		return show_identity(cli, argv[optind + 1]);
	}
	subject = optind < argc ? subject_find(argv[optind]) : NULL;
	if (subject == NULL) {
		if (optind < argc)
			fprintf(stderr, "podlane: there is nothing called %s to show\n",
				argv[optind]);
		fprintf(stderr, "podlane: show one of:");
		for (size_t i = 0; i < SUBJECTS; i++)
			fprintf(stderr, " %s", subjects[i].name);
		fprintf(stderr, " " IDENTITY "\n");
		return CLI_USAGE;
	}
	if (optind + 1 < argc) {
		const struct object_schema *schema = schema_by_name(argv[optind]);

		if (schema == NULL)
			return cli_usage("show %s takes no name", argv[optind]);
		if (optind + 2 < argc)
			return cli_extra(argv[0], argv[optind + 2]);
		return show_object(cli, schema, argv[optind + 1]);
	}
	snprintf(path, sizeof(path), "%s%s%s", subject->path, limit != NULL ? "?limit=" : "",
		limit != NULL ? limit : "");
	status = client_request(cli->client, "GET", path, NULL, &doc);
	if (status == 200 && cli->json)
		cli_print_json(doc);
	else if (status == 200)
		print_subject(subject, doc, all);
	json_decref(doc);
	return cli_exit(status);
}

int cmd_flush(struct cli *cli, int argc, char **argv)
{
	int status;

	if (argc != 2 || strcmp(argv[1], "flows") != 0)
		return cli_usage("what can be flushed is: flows");
	status = client_request(cli->client, "DELETE", "/v1/state/flows", NULL, NULL);
	if (status >= 200 && status < 300 && !cli->json)
		printf("all flows are forgotten; the next packet of each is resolved again\n");
	return cli_exit(status);
}

int cmd_log_level(struct cli *cli, int argc, char **argv)
{
	json_t *doc = NULL, *body;
	int status;

	if (argc > 2)
		return cli_extra(argv[0], argv[2]);
	body = argc > 1 ? json_pack("{s:s}", "level", argv[1]) : NULL;
	status = client_request(cli->client, argc > 1 ? "PUT" : "GET", "/v1/log-level", body, &doc);
	if (status == 200 && cli->json)
		cli_print_json(doc);
	else if (status == 200 && doc != NULL)
		printf("%s\n", json_string_value(json_object_get(doc, "level")));
	json_decref(doc);
	json_decref(body);
	return cli_exit(status);
}
