/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/cli/cli.h"

#include "config/schema.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET "/run/podlane/api.sock"

volatile sig_atomic_t cli_interrupted;

static int cmd_help(struct cli *cli, int argc, char **argv);
static int cmd_complete(struct cli *cli, int argc, char **argv);

static const struct command {
	const char *name;
	int (*run)(struct cli *cli, int argc, char **argv);
	const char *usage;
	const char *text;
	bool hidden;
} commands[] = {
	{ "show", cmd_show, "SUBJECT [NAME] [--limit N] [--all]",
		"what the node knows: objects, ports, routes, flows, drops ...", false },
	{ "add", cmd_add, "TYPE NAME [FIELD=VALUE ...]", "create an object", false },
	{ "set", cmd_set, "TYPE NAME FIELD=VALUE ...", "change fields of an object", false },
	{ "del", cmd_del, "TYPE NAME", "remove an object", false },
	{ "apply", cmd_apply, "FILE [--replace] [--dry-run] [--confirm SECONDS]",
		"apply a configuration file as one transaction (- is standard input)", false },
	{ "diff", cmd_diff, "FILE [--replace]", "what apply would change", false },
	{ "confirm", cmd_confirm, "[ID]", "keep the transaction that waits for it", false },
	{ "rollback", cmd_rollback, "[ID]", "undo the transaction that waits, now", false },
	{ "reload", cmd_reload, "[--dry-run]", "read the daemon's configuration file again",
		false },
	{ "explain", cmd_explain, "FROM SRC DST [PROTO [SPORT] [DPORT]] [--length BYTES]",
		"what would happen to a packet, step by step; FROM is a port or \"tunnel\"",
		false },
	{ "trace", cmd_trace, "[-c COUNT] [-p PORT] [-t SECONDS] [FILTER]",
		"follow the next packets through the stages", false },
	{ "capture", cmd_capture,
		"[-w FILE] [-c COUNT] [-p PORT] [-a rx,inner,tx,drop] [-s BYTES] [FILTER]",
		"copy packets to a pcapng file (- is standard output)", false },
	{ "top", cmd_top, "[-d SECONDS] [-n TIMES]", "rates of ports, workers and drops, refreshed",
		false },
	{ "flush", cmd_flush, "flows", "forget all flows; they are resolved again", false },
	{ "log-level", cmd_log_level, "[error|warning|info|debug]",
		"show or change the daemon's log level", false },
	{ "upgrade", cmd_upgrade, "",
		"replace the daemon by its program file as it is now; pods lose about 50 ms",
		false },
	{ "policy", cmd_policy,
		"import FILE ... [--dry-run] [--confirm SECONDS] | test TABLE.csv [--objects FILE] "
		"...",
		"take policies from Kubernetes' YAML or JSON, or hold policies against a table of "
		"connections",
		false },
	{ "help", cmd_help, "[COMMAND]", "this text", false },
	{ "complete", cmd_complete, "WORD ...", "candidates for the last word, for the shell",
		true },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/** What the first argument of some commands can be. */
static void help_words(const struct command *command)
{
	if (command->run == cmd_show) {
		printf("\nSUBJECT is one of:");
		for (unsigned i = 0; show_subject(i) != NULL; i++)
			printf(" %s", show_subject(i));
		printf("\nWith a NAME, one object and all its fields; --all also shows reasons and "
		       "events "
		       "that never counted.\n");
	} else if (command->run == cmd_add || command->run == cmd_set || command->run == cmd_del) {
		printf("\nTYPE, with its fields:\n");
		for (int t = 0; t < OBJECT_TYPE_COUNT; t++) {
			printf("  %-7s", object_schemas[t].name);
			for (size_t f = 0; f < object_schemas[t].field_count; f++)
				printf(" %s", object_schemas[t].fields[f].name);
			printf("\n");
		}
	}
}

static int cmd_help(struct cli *cli, int argc, char **argv)
{
	const struct command *one = argc > 1 ? command_find(argv[1]) : NULL;

	(void)cli;
	if (argc > 1 && one == NULL)
		return cli_usage("there is no command %s: see podlane help", argv[1]);
	if (one != NULL) {
		printf("usage: podlane %s %s\n\n%s\n", one->name, one->usage, one->text);
		help_words(one);
		return CLI_OK;
	}
	printf("usage: podlane [--socket PATH] [--json] COMMAND ...\n\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!commands[i].hidden)
			printf("  %-10s %s\n", commands[i].name, commands[i].text);
	}
	printf("\n`podlane help COMMAND` shows a command's arguments; --json prints what the API "
	       "answers.\n"
	       "The daemon is asked at %s unless --socket or PODLANE_SOCKET says otherwise.\n",
		DEFAULT_SOCKET);
	return CLI_OK;
}

static void offer(const char *candidate, const char *word)
{
	if (strncmp(candidate, word, strlen(word)) == 0)
		puts(candidate);
}

static void offer_names(struct cli *cli, const struct object_schema *schema, const char *word)
{
	const char *const key = schema->type == OBJECT_ROUTE ? "prefix" : "name";
	char path[96];
	json_t *list;
	size_t i;
	json_t *obj;

	snprintf(path, sizeof(path), "/v1/%s?limit=200", schema->plural);
	if (client_request(cli->client, "GET", path, NULL, &list) != 200)
		return;
	json_array_foreach (list, i, obj)
		offer(json_string_value(json_object_get(obj, key)), word);
	json_decref(list);
}

/** `podlane complete w1 w2 ... wN`: candidates for wN after the words before it. */
static int cmd_complete(struct cli *cli, int argc, char **argv)
{
	const char *word = argc > 1 ? argv[argc - 1] : "";
	const struct object_schema *schema;

	if (argc <= 2) {
		for (size_t i = 0; i < COMMANDS; i++) {
			if (!commands[i].hidden)
				offer(commands[i].name, word);
		}
		return CLI_OK;
	}
	if (strcmp(argv[1], "show") == 0 && argc == 3) {
		for (unsigned i = 0; show_subject(i) != NULL; i++)
			offer(show_subject(i), word);
		return CLI_OK;
	}
	if (strcmp(argv[1], "add") != 0 && strcmp(argv[1], "set") != 0 &&
		strcmp(argv[1], "del") != 0)
		return CLI_OK;
	if (argc == 3) {
		for (int t = 0; t < OBJECT_TYPE_COUNT; t++)
			offer(object_schemas[t].name, word);
		return CLI_OK;
	}
	schema = schema_by_name(argv[2]);
	if (schema == NULL)
		return CLI_OK;
	if (argc == 4 && strcmp(argv[1], "add") != 0) {
		offer_names(cli, schema, word);
		return CLI_OK;
	}
	for (size_t f = 0; argc > 4 && f < schema->field_count; f++) {
		char field[64];

		snprintf(field, sizeof(field), "%s=", schema->fields[f].name);
		offer(field, word);
	}
	return CLI_OK;
}

int cli_exit(int status)
{
	if (status < 0)
		return CLI_UNREACHABLE;
	return status >= 400 ? CLI_REFUSED : CLI_OK;
}

void cli_print_json(const json_t *doc)
{
	char *text = json_dumps(doc, JSON_INDENT(2) | JSON_ENCODE_ANY);

	puts(text != NULL ? text : "null");
	free(text);
}

int cli_usage(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "podlane: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	return CLI_USAGE;
}

int cli_extra(const char *command, const char *word)
{
	return cli_usage("%s: \"%s\" is one argument too many: see `podlane help %s`", command,
		word, command);
}

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	cli_interrupted = 1;
}

void cli_catch_interrupts(void)
{
	struct sigaction action = { .sa_handler = on_interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "socket", 1, NULL, 's' },
		{ "json", 0, NULL, 'j' }, { "help", 0, NULL, 'h' }, { "version", 0, NULL, 'V' },
		{ NULL, 0, NULL, 0 } };
	const char *path = getenv("PODLANE_SOCKET");
	const struct command *command;
	struct cli cli = { 0 };
	int c, code, last;

	path = path != NULL && path[0] != '\0' ? path : DEFAULT_SOCKET;
	/* "+": options after the command are the command's; --json is understood anywhere. */
	while ((c = getopt_long(argc, argv, "+s:jhV", options, NULL)) != -1) {
		switch (c) {
		case 's':
			path = optarg;
			break;
		case 'j':
			cli.json = true;
			break;
		case 'V':
			printf("podlane %s\n", PODLANE_VERSION);
			return CLI_OK;
		case 'h':
			return cmd_help(&cli, 0, NULL);
		default:
			return CLI_USAGE;
		}
	}
	if (optind >= argc) {
		cmd_help(&cli, 0, NULL);
		return CLI_USAGE;
	}
	argv += optind;
	argc -= optind;
	/* Left set, it would end a command's options at its first argument, as the "+" does. */
	unsetenv("POSIXLY_CORRECT");
	last = 0;
	for (int i = 0; i < argc; i++) {
		if ((strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "-j") == 0) &&
			strcmp(argv[0], "complete") != 0)
			cli.json = true;
		else
			argv[last++] = argv[i];
	}
	argc = last;
	argv[argc] = NULL;
	command = command_find(argv[0]);
	if (command == NULL)
		return cli_usage("there is no command %s: see podlane help", argv[0]);
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return cmd_help(&cli, 2, (char *[]){ NULL, argv[0], NULL });
	cli.client = client_new(path);
	if (cli.client == NULL)
		return cli_usage("out of memory");
	/* 0, not 1: getopt starts anew and forgets the "+", so that options may follow arguments. */
	optind = 0;
	code = command->run(&cli, argc, argv);
	client_free(cli.client);
	return code;
}
