/* SPDX-License-Identifier: Apache-2.0 */
/** The commands of `podlane`. main.c holds the one table of them; help, completion and the man page's list come from it. */
#ifndef CTRL_CLI_CLI_H
#define CTRL_CLI_CLI_H

#include "ctrl/cli/client.h"

#include <signal.h>
#include <stdbool.h>

/* Exit codes. */
enum { CLI_OK = 0, CLI_REFUSED = 1, CLI_USAGE = 2, CLI_UNREACHABLE = 3 };

struct cli {
	struct client *client;
	bool json; /* --json: what the API answered, for programs */
};

/** argv[0] is the command's own name. */
int cmd_show(struct cli *cli, int argc, char **argv);
int cmd_add(struct cli *cli, int argc, char **argv);
int cmd_set(struct cli *cli, int argc, char **argv);
int cmd_del(struct cli *cli, int argc, char **argv);
int cmd_apply(struct cli *cli, int argc, char **argv);
int cmd_diff(struct cli *cli, int argc, char **argv);
int cmd_confirm(struct cli *cli, int argc, char **argv);
int cmd_rollback(struct cli *cli, int argc, char **argv);
int cmd_reload(struct cli *cli, int argc, char **argv);
int cmd_explain(struct cli *cli, int argc, char **argv);
int cmd_trace(struct cli *cli, int argc, char **argv);
int cmd_capture(struct cli *cli, int argc, char **argv);
int cmd_top(struct cli *cli, int argc, char **argv);
int cmd_flush(struct cli *cli, int argc, char **argv);
int cmd_log_level(struct cli *cli, int argc, char **argv);
int cmd_upgrade(struct cli *cli, int argc, char **argv);
int cmd_policy(struct cli *cli, int argc, char **argv);

/** All of a file ("-" is standard input), ended with a zero; NULL with errno. Free it. */
char *cli_read_file(const char *path);
/** Send a transaction and say what it changed. Takes body. */
int cli_transaction(struct cli *cli, json_t *body);

/** Exit code for a status of client_request; negative and >= 400 have been explained already. */
int cli_exit(int status);
/** Print for programs, indented. */
void cli_print_json(const json_t *doc);
/** "podlane: TEXT" to stderr, CLI_USAGE. */
int cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** Refuse an argument that the command has no use for, rather than act on half of what was meant. CLI_USAGE. */
int cli_extra(const char *command, const char *word);
/** Set by SIGINT and SIGTERM while a command runs on. */
extern volatile sig_atomic_t cli_interrupted;
void cli_catch_interrupts(void);

/** Names of what `show` knows, for completion; index from 0, NULL ends. */
const char *show_subject(unsigned index);

#endif
