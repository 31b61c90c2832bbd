/* SPDX-License-Identifier: Apache-2.0 */
/** Replacing the daemon: ask for a successor, then wait until it answers at the socket in the old one's place. */
#include "ctrl/cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define POLL_MS 50
#define TIMEOUT_MS \
	30000 /* beside the 15 s that a successor waits for the end of the one before it */

static bool state_is(const json_t *doc, const char *state)
{
	const char *text = json_string_value(json_object_get(doc, "state"));

	return text != NULL && strcmp(text, state) == 0;
}

static int number(const json_t *doc, const char *key)
{
	return (int)json_integer_value(json_object_get(doc, key));
}

/** The successor answers and forwards. */
static bool settled(struct cli *cli, int successor, json_t **node)
{
	*node = NULL;
	if (client_quietly(cli->client, "/v1/state/node", node) == 200 &&
		number(*node, "pid") == successor &&
		json_is_true(json_object_get(*node, "settled")))
		return true;
	json_decref(*node);
	return false;
}

static int report(struct cli *cli, int before, int successor, const json_t *node)
{
	const size_t failed = json_array_size(json_object_get(node, "failed"));

	if (cli->json) {
		json_t *doc = json_pack("{s:s, s:i, s:i, s:O, s:I}", "state", "replaced", "pid",
			successor, "before", before, "version", json_object_get(node, "version"),
			"failed", (json_int_t)failed);

		cli_print_json(doc);
		json_decref(doc);
		return CLI_OK;
	}
	printf("replaced: process %d by %d, version %s\n", before, successor,
		json_string_value(json_object_get(node, "version")));
	if (failed > 0)
		printf("%zu objects are not in force: see `podlane show node`\n", failed);
	return CLI_OK;
}

static int failure(const json_t *doc)
{
	const char *reason = json_string_value(json_object_get(doc, "reason"));

	fprintf(stderr, "podlane: not replaced, process %d goes on: %s\n", number(doc, "pid"),
		reason != NULL ? reason : "the daemon's log says why");
	return CLI_REFUSED;
}

int cmd_upgrade(struct cli *cli, int argc, char **argv)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	json_t *doc = NULL, *node;
	int status, before, successor;

	if (argc > 1)
		return cli_extra(argv[0], argv[1]);
	status = client_request(cli->client, "POST", "/v1/upgrade", NULL, &doc);
	if (status != 202)
		return cli_exit(status);
	before = number(doc, "pid");
	successor = number(doc, "successor");
	json_decref(doc);
	for (int waited = 0; waited < TIMEOUT_MS; waited += POLL_MS) {
		int code = -1;

		if (settled(cli, successor, &node)) {
			code = report(cli, before, successor, node);
			json_decref(node);
			return code;
		}
		doc = NULL;
		if (client_quietly(cli->client, "/v1/upgrade", &doc) == 200 &&
			number(doc, "pid") == before && state_is(doc, "failed"))
			code = failure(doc);
		json_decref(doc);
		if (code >= 0)
			return code;
		nanosleep(&pause, NULL);
	}
	fprintf(stderr,
		"podlane: process %d has not taken over from %d within %d s: see the daemon's "
		"log\n",
		successor, before, TIMEOUT_MS / 1000);
	return CLI_UNREACHABLE;
}
