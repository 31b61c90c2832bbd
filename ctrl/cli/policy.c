/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/cli/policy.h"

#include "config/schema.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int policy_read_files(struct import *import, char **files, int count)
{
	struct error err;
	int ret = 0;

	for (int i = 0; i < count && ret == 0; i++) {
		char *text = cli_read_file(files[i]);

		if (text == NULL) {
			cli_usage("%s: %s", files[i], strerror(errno));
			return -EINVAL;
		}
		err = (struct error){ 0 };
		ret = import_text(import, files[i], text, strlen(text), &err);
		if (ret < 0)
			cli_usage("%s", err.text);
		free(text);
	}
	return ret;
}

void policy_print_notes(const struct import *import)
{
	size_t i;
	json_t *note;

	json_array_foreach (import->notes, i, note)
		fprintf(stderr, "note: %s\n", json_string_value(note));
}

/* --- what this node has ------------------------------------------------------------------------------------------- */

static bool shares_address(const json_t *a, const json_t *b)
{
	size_t i, j;
	json_t *x, *y;

	json_array_foreach (a, i, x) {
		json_array_foreach (b, j, y) {
			if (json_equal(x, y))
				return true;
		}
	}
	return false;
}

static bool same_text(const json_t *a, const json_t *b)
{
	return a != NULL && b != NULL && json_equal(a, b);
}

/** The pod of this node that an endpoint stands for: by an address, or namespace and name. NULL if there is none. */
static json_t *pod_here(const json_t *pods, const json_t *endpoint)
{
	const char *full = json_string_value(json_object_get(endpoint, "name"));
	const char *bare = strchr(full, '.');
	size_t i;
	json_t *pod;

	json_array_foreach (pods, i, pod) {
		const char *name = json_string_value(json_object_get(pod, "name"));

		if (shares_address(json_object_get(pod, "addresses"),
			    json_object_get(endpoint, "addresses")) ||
			strcmp(name, full) == 0)
			return pod;
		if (bare != NULL && strcmp(name, bare + 1) == 0 &&
			same_text(json_object_get(pod, "namespace"),
				json_object_get(endpoint, "namespace")))
			return pod;
	}
	return NULL;
}

/** A change for an object: what is here already only gets what policies see. */
static json_t *change_for(const json_t *item, const json_t *pods, const json_t *node)
{
	static const char *const seen[] = { "namespace", "labels", "ports" };
	enum object_type type = (enum object_type)json_integer_value(json_object_get(item, "type"));
	json_t *object = json_object_get(item, "object"), *here = NULL;
	bool is_node = json_object_get(object, "kind") != NULL;

	if (type == OBJECT_ENDPOINT && !is_node)
		here = pod_here(pods, object);
	else if (type == OBJECT_ENDPOINT &&
		 same_text(json_object_get(node, "name"), json_object_get(object, "name")))
		here = (json_t *)(uintptr_t)node;
	if (here == NULL)
		return json_pack("{s:s, s:s, s:O}", "op", "put", "type", object_schemas[type].name,
			"object", object);
	here = json_copy(here);
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
		json_t *value = json_object_get(object, seen[i]);

		if (value != NULL && (!is_node || strcmp(seen[i], "labels") == 0))
			json_object_set(here, seen[i], value);
	}
	return json_pack(
		"{s:s, s:s, s:o}", "op", "put", "type", is_node ? "node" : "pod", "object", here);
}

/* --- commands ----------------------------------------------------------------------------------------------------- */

/** Each object as the file would have it. */
static int print_objects(const struct cli *cli, const json_t *changes)
{
	size_t i;
	json_t *change;
	int code = CLI_OK;

	if (cli->json) {
		cli_print_json(changes);
		return CLI_OK;
	}
	json_array_foreach (changes, i, change) {
		const struct object_schema *schema =
			schema_by_name(json_string_value(json_object_get(change, "type")));
		struct object *obj = NULL;
		struct error err;
		char *text = NULL;

		if (object_from_json(schema->type, json_object_get(change, "object"), &obj, &err) ==
			0)
			text = object_to_text(obj);
		else
			code = cli_usage("%s", err.text) == CLI_USAGE ? CLI_REFUSED : code;
		if (text != NULL)
			printf("# %s\n%s\n", schema->name, text);
		free(text);
		object_unref(obj);
	}
	return code;
}

static json_t *changes_of(struct cli *cli, const struct import *import)
{
	json_t *pods = NULL, *nodes = NULL, *changes = json_array(), *item;
	size_t i;

	/* A dry run also works where there is no daemon, which has been said then. */
	if (client_request(cli->client, "GET", "/v1/pods?limit=0", NULL, &pods) == 200)
		client_request(cli->client, "GET", "/v1/nodes", NULL, &nodes);
	json_array_foreach (import->objects, i, item)
		json_array_append_new(changes, change_for(item, pods, json_array_get(nodes, 0)));
	json_decref(pods);
	json_decref(nodes);
	return changes;
}

int policy_import(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { "dry-run", 0, NULL, 'n' },
		{ "confirm", 1, NULL, 'c' }, { NULL, 0, NULL, 0 } };
	json_t *body = json_object(), *changes;
	struct import import;
	bool dry_run = false;
	int c, code;

	optind = 0;
	while ((c = getopt_long(argc, argv, "nc:", options, NULL)) != -1) {
		if (c == 'n')
			dry_run = true;
		else if (c == 'c')
			json_object_set_new(body, "confirm_seconds", json_integer(atoll(optarg)));
		else {
			json_decref(body);
			return CLI_USAGE;
		}
	}
	if (optind >= argc || import_init(&import) < 0) {
		json_decref(body);
		return cli_usage("policy import needs a file (- is standard input)");
	}
	if (policy_read_files(&import, argv + optind, argc - optind) < 0) {
		import_free(&import);
		json_decref(body);
		return CLI_REFUSED;
	}
	policy_print_notes(&import);
	changes = changes_of(cli, &import);
	import_free(&import);
	if (dry_run) {
		code = print_objects(cli, changes);
		json_decref(changes);
		json_decref(body);
		return code;
	}
	json_object_set_new(body, "changes", changes);
	return cli_transaction(cli, body);
}

int cmd_policy(struct cli *cli, int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "import") == 0)
		return policy_import(cli, argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "test") == 0)
		return policy_test(cli, argc - 1, argv + 1);
	return cli_usage("policy: expected import or test: see `podlane help policy`");
}
