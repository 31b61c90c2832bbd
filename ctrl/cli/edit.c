/* SPDX-License-Identifier: Apache-2.0 */
/** Commands that change objects. Values are read as the schema says, so that `vni=4096` is a number and
 * `underlay=192.0.2.2,2001:db8::2` a list; whatever is wrong with them is the daemon's to say. */
#include "ctrl/cli/cli.h"

#include "config/schema.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/** A number where the text is one, so that the daemon judges ranges; otherwise the text. */
static json_t *number_or_text(const char *text)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 0);
	return text[0] != '\0' && *end == '\0' && errno == 0 ? json_integer(v) : json_string(text);
}

static json_t *list_value(const char *text, bool numbers)
{
	json_t *list = json_array();
	char *copy = strdup(text), *save = NULL;

	for (char *item = copy != NULL ? strtok_r(copy, ", ", &save) : NULL; item != NULL;
		item = strtok_r(NULL, ", ", &save))
		json_array_append_new(list, numbers ? number_or_text(item) : json_string(item));
	free(copy);
	return list;
}

/** Next hops: "192.0.2.254", "peer:node-b", "pod:gw", "uplink:eth0", joined by commas; "@N" adds a weight and "%eth0" the
 * uplink of a link-local address. JSON is taken as it is. */
static json_t *via_value(const char *text)
{
	json_t *list = json_array();
	char *copy = strdup(text), *save = NULL;

	for (char *item = copy != NULL ? strtok_r(copy, ",", &save) : NULL; item != NULL;
		item = strtok_r(NULL, ",", &save)) {
		json_t *via = json_object();
		char *weight = strchr(item, '@'), *colon = strchr(item, ':'),
		     *uplink = strchr(item, '%');

		if (weight != NULL) {
			*weight = '\0';
			json_object_set_new(via, "weight", number_or_text(weight + 1));
		}
		if (uplink != NULL) {
			*uplink = '\0';
			json_object_set_new(via, "uplink", json_string(uplink + 1));
		}
		if (colon != NULL &&
			(strncmp(item, "peer:", 5) == 0 || strncmp(item, "pod:", 4) == 0 ||
				strncmp(item, "uplink:", 7) == 0)) {
			*colon = '\0';
			json_object_set_new(via, item, json_string(colon + 1));
		} else {
			json_object_set_new(via, "address", json_string(item));
		}
		json_array_append_new(list, via);
	}
	free(copy);
	return list;
}

static json_t *field_value(const struct field *field, const char *text)
{
	json_t *parsed;

	if (text[0] == '[' || text[0] == '{') {
		parsed = json_loads(text, 0, NULL);
		if (parsed != NULL)
			return parsed;
	}
	switch (field != NULL ? field->kind : FIELD_STRING) {
	case FIELD_UINT:
		return number_or_text(text);
	case FIELD_BOOL:
		if (strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0 ||
			strcmp(text, "1") == 0)
			return json_true();
		if (strcasecmp(text, "false") == 0 || strcasecmp(text, "no") == 0 ||
			strcmp(text, "0") == 0)
			return json_false();
		return json_string(text);
	case FIELD_ADDRESSES:
	case FIELD_PREFIXES:
	case FIELD_INTERFACE_ADDRESSES:
		return list_value(text, false);
	case FIELD_UINTS:
		return list_value(text, true);
	case FIELD_STRINGS:
		return list_value(text, false);
	case FIELD_GROUPS: /* next hops have a short form; rules are JSON */
		return strcmp(field->name, "via") == 0 ? via_value(text) : json_string(text);
	default:
		return json_string(text);
	}
}

/** FIELD=VALUE words into an object. @return NULL after a message. */
static json_t *read_fields(const struct object_schema *schema, int argc, char **argv)
{
	json_t *obj = json_object();

	for (int i = 0; i < argc; i++) {
		char *equals = strchr(argv[i], '=');

		if (equals == NULL) {
			cli_usage("\"%s\": write FIELD=VALUE", argv[i]);
			json_decref(obj);
			return NULL;
		}
		*equals = '\0';
		json_object_set_new(
			obj, argv[i], field_value(schema_field(schema, argv[i]), equals + 1));
	}
	return obj;
}

static const struct object_schema *read_type(int argc, char **argv, int least)
{
	const struct object_schema *schema = argc > 1 ? schema_by_name(argv[1]) : NULL;

	if (argc < least || schema == NULL) {
		char types[128] = "";

		for (int t = 0; t < OBJECT_TYPE_COUNT; t++) {
			strcat(types, t > 0 ? ", " : "");
			strcat(types, object_schemas[t].name);
		}
		if (argc > 1 && schema == NULL)
			cli_usage("there is no object type %s: one of %s", argv[1], types);
		else
			cli_usage("%s needs a type (%s)%s", argv[0], types,
				least > 3 ? ", a name and FIELD=VALUE" : " and a name");
		return NULL;
	}
	return schema;
}

static char *object_path(const struct object_schema *schema, const char *name, const char *query)
{
	char *escaped = client_escape(name), *path = NULL;

	if (escaped == NULL || asprintf(&path, "/v1/%s/%s%s", schema->plural, escaped, query) < 0)
		path = NULL;
	free(escaped);
	return path;
}

/** "+ peer node-b", "~ peer node-b: encap vxlan -> ipip". */
static void print_diff(const json_t *result)
{
	size_t i;
	json_t *change;

	json_array_foreach (json_object_get(result, "diff"), i, change) {
		const json_t *before = json_object_get(change, "before"),
			     *after = json_object_get(change, "after");
		const json_t *fields = json_object_get(change, "fields");
		const char *type = json_string_value(json_object_get(change, "type"));
		const char *name = json_string_value(json_object_get(change, "name"));
		const char *field;
		json_t *pair;

		printf("%c %s %s\n",
			json_is_null(before)  ? '+'
			: json_is_null(after) ? '-'
					      : '~',
			type, name);
		if (json_is_null(before) || json_is_null(after))
			continue;
		json_object_foreach ((json_t *)fields, field, pair) {
			char *from =
				json_dumps(json_array_get(pair, 0), JSON_ENCODE_ANY | JSON_COMPACT);
			char *to =
				json_dumps(json_array_get(pair, 1), JSON_ENCODE_ANY | JSON_COMPACT);

			printf("    %s: %s -> %s\n", field, from != NULL ? from : "-",
				to != NULL ? to : "-");
			free(from);
			free(to);
		}
	}
}

static void print_result(const struct cli *cli, const json_t *result)
{
	json_int_t id = json_integer_value(json_object_get(result, "id"));
	const char *state = json_string_value(json_object_get(result, "state"));
	const char *deadline = json_string_value(json_object_get(result, "deadline"));

	if (cli->json) {
		cli_print_json(result);
		return;
	}
	print_diff(result);
	printf("%s: %d added, %d changed, %d removed", state != NULL ? state : "done",
		(int)json_integer_value(json_object_get(result, "added")),
		(int)json_integer_value(json_object_get(result, "changed")),
		(int)json_integer_value(json_object_get(result, "removed")));
	if (id != 0)
		printf(" (transaction %lld)", (long long)id);
	printf("\n");
	if (deadline != NULL)
		printf("undone at %s unless `podlane confirm` comes before\n", deadline);
}

static int edit(struct cli *cli, const char *method, char *path, json_t *body)
{
	json_t *result = NULL;
	int status;

	if (path == NULL)
		return cli_usage("out of memory");
	status = client_request(cli->client, method, path, body, &result);
	if (status >= 200 && status < 300)
		print_result(cli, result);
	json_decref(result);
	json_decref(body);
	free(path);
	return cli_exit(status);
}

int cmd_add(struct cli *cli, int argc, char **argv)
{
	const struct object_schema *schema = read_type(argc, argv, 3);
	json_t *obj, *tried = NULL;
	bool there;
	char *path;
	int status;

	if (schema == NULL)
		return CLI_USAGE;
	obj = read_fields(schema, argc - 3, argv + 3);
	if (obj == NULL)
		return CLI_USAGE;
	json_object_set_new(
		obj, schema->type == OBJECT_ROUTE ? "prefix" : "name", json_string(argv[2]));
	/* PUT replaces what is there; `add` means new, so a dry run says first which it would be. */
	path = object_path(schema, argv[2], "?dry_run=1");
	status = path != NULL ? client_request(cli->client, "PUT", path, obj, &tried) : -ENOMEM;
	there = json_integer_value(json_object_get(tried, "added")) == 0;
	json_decref(tried);
	free(path);
	if (status < 0 || status >= 400 || there) {
		json_decref(obj);
		if (status > 0 && status < 400)
			cli_usage("there is a %s %s already: change it with `podlane set`",
				schema->name, argv[2]);
		return status < 0 ? CLI_UNREACHABLE : CLI_REFUSED;
	}
	return edit(cli, "PUT", object_path(schema, argv[2], ""), obj);
}

int cmd_set(struct cli *cli, int argc, char **argv)
{
	const struct object_schema *schema = read_type(argc, argv, 4);
	json_t *patch;

	if (schema == NULL)
		return CLI_USAGE;
	patch = read_fields(schema, argc - 3, argv + 3);
	return patch != NULL ? edit(cli, "PATCH", object_path(schema, argv[2], ""), patch)
			     : CLI_USAGE;
}

int cmd_del(struct cli *cli, int argc, char **argv)
{
	const struct object_schema *schema = read_type(argc, argv, 3);

	if (schema != NULL && argc > 3)
		return cli_extra(argv[0], argv[3]);
	return schema != NULL ? edit(cli, "DELETE", object_path(schema, argv[2], ""), NULL)
			      : CLI_USAGE;
}

char *cli_read_file(const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *text = NULL;
	size_t len = 0, n;

	if (f == NULL)
		return NULL;
	do {
		char *grown = realloc(text, len + 65537);

		if (grown == NULL) {
			free(text);
			text = NULL;
			break;
		}
		text = grown;
		n = fread(text + len, 1, 65536, f);
		len += n;
		text[len] = '\0';
	} while (n > 0);
	if (f != stdin)
		fclose(f);
	return text;
}

/** What is not UTF-8 cannot be sent: in which line it is. */
static int not_text(const char *text, const struct config_source *sources, size_t n)
{
	unsigned line = 1;
	size_t i = 0;

	for (const char *at = text, *end; at != NULL; at = end != NULL ? end + 1 : NULL, line++) {
		json_t *one;

		end = strchr(at, '\n');
		one = json_stringn(at, end != NULL ? (size_t)(end - at) : strlen(at));
		if (one == NULL)
			break;
		json_decref(one);
	}
	while (i + 1 < n && sources[i + 1].line <= line)
		i++;
	cli_usage("%s:%u: a string on this line is not UTF-8: rewrite it", sources[i].file,
		sources[i].file_line + (line - sources[i].line));
	return CLI_REFUSED;
}

/** The file with what it includes, and where its lines are from: the daemon cannot read what we can, nor know its name. */
static int read_config(const char *path, json_t *body)
{
	struct config_source *sources;
	struct error err = { 0 };
	json_t *config, *places;
	int code = CLI_OK;
	char *text;
	size_t n;

	if (config_flatten(path, &text, &sources, &n, &err) < 0) {
		if (err.line == 0)
			return cli_usage("%s", err.text);
		cli_usage("%s:%u: %s", err.file, err.line, err.text);
		return CLI_REFUSED;
	}
	config = json_string(text != NULL ? text : "");
	places = json_array();
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(
			places, json_pack("{s:i, s:s, s:i}", "line", (int)sources[i].line, "file",
					sources[i].file, "file_line", (int)sources[i].file_line));
	}
	if (config == NULL)
		code = not_text(text, sources, n);
	json_object_set_new(body, "config", config);
	json_object_set_new(body, "sources", places);
	free(sources);
	free(text);
	return code;
}

static int apply(struct cli *cli, int argc, char **argv, bool dry_run)
{
	static const struct option options[] = { { "replace", 0, NULL, 'r' },
		{ "dry-run", 0, NULL, 'n' }, { "confirm", 1, NULL, 'c' }, { NULL, 0, NULL, 0 } };
	json_t *body = json_object();
	const char *file = NULL;
	int c, code;

	while ((c = getopt_long(argc, argv, "rnc:f:", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			json_object_set_new(body, "replace", json_true());
			break;
		case 'n':
			dry_run = true;
			break;
		case 'c':
			json_object_set_new(body, "confirm_seconds", number_or_text(optarg));
			break;
		case 'f':
			file = optarg; /* `-f FILE` as elsewhere */
			break;
		default:
			json_decref(body);
			return CLI_USAGE;
		}
	}
	if (file == NULL && optind < argc)
		file = argv[optind++];
	if (optind < argc) {
		json_decref(body);
		return cli_extra(argv[0], argv[optind]);
	}
	if (file == NULL) {
		json_decref(body);
		return cli_usage("%s needs a file (- is standard input)", argv[0]);
	}
	if (dry_run)
		json_object_set_new(body, "dry_run", json_true());
	code = read_config(file, body);
	if (code != CLI_OK) {
		json_decref(body);
		return code;
	}
	return edit(cli, "POST", strdup("/v1/transactions"), body);
}

int cli_transaction(struct cli *cli, json_t *body)
{
	return edit(cli, "POST", strdup("/v1/transactions"), body);
}

int cmd_apply(struct cli *cli, int argc, char **argv)
{
	return apply(cli, argc, argv, false);
}

int cmd_diff(struct cli *cli, int argc, char **argv)
{
	return apply(cli, argc, argv, true);
}

/** The id given, or that of the transaction that waits. */
static int waiting_id(struct cli *cli, int argc, char **argv, char *id, size_t size)
{
	json_t *list = NULL, *one;
	int status;
	size_t i;

	if (argc > 1) {
		snprintf(id, size, "%s", argv[1]);
		return CLI_OK;
	}
	status = client_request(cli->client, "GET", "/v1/transactions", NULL, &list);
	if (status != 200)
		return cli_exit(status);
	id[0] = '\0';
	json_array_foreach (list, i, one) {
		if (strcmp(json_string_value(json_object_get(one, "state")),
			    "waiting for confirmation") == 0)
			snprintf(id, size, "%lld",
				(long long)json_integer_value(json_object_get(one, "id")));
	}
	json_decref(list);
	if (id[0] == '\0') {
		fprintf(stderr, "podlane: no transaction waits for confirmation\n");
		return CLI_REFUSED;
	}
	return CLI_OK;
}

static int end_waiting(struct cli *cli, int argc, char **argv, const char *how)
{
	char id[32], *path = NULL;
	json_t *record = NULL;
	int code, status;

	if (argc > 2)
		return cli_extra(argv[0], argv[2]);
	code = waiting_id(cli, argc, argv, id, sizeof(id));
	if (code != CLI_OK)
		return code;
	if (asprintf(&path, "/v1/transactions/%s/%s", id, how) < 0)
		return CLI_USAGE;
	status = client_request(cli->client, "POST", path, NULL, &record);
	free(path);
	if (status == 200 && cli->json)
		cli_print_json(record);
	else if (status == 200)
		printf("transaction %s: %s\n", id,
			json_string_value(json_object_get(record, "state")));
	json_decref(record);
	return cli_exit(status);
}

int cmd_confirm(struct cli *cli, int argc, char **argv)
{
	return end_waiting(cli, argc, argv, "confirm");
}

int cmd_rollback(struct cli *cli, int argc, char **argv)
{
	return end_waiting(cli, argc, argv, "rollback");
}

int cmd_reload(struct cli *cli, int argc, char **argv)
{
	bool dry_run =
		argc > 1 && (strcmp(argv[1], "--dry-run") == 0 || strcmp(argv[1], "-n") == 0);
	int extra = dry_run ? 2 : 1;

	if (argc > extra)
		return cli_extra(argv[0], argv[extra]);
	return edit(cli, "POST", strdup(dry_run ? "/v1/reload?dry_run=1" : "/v1/reload"), NULL);
}
