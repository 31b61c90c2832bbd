/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/api.h"

#include "config/log.h"
#include "config/schema.h"
#include "ctrl/daemon/bulk.h"
#include "ctrl/daemon/startup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Reading a transaction. */

struct reading {
	struct engine *engine;
	struct changeset *set;
};

static int check_members(
	const json_t *json, const char *const *known, const char *where, struct error *err)
{
	const char *key;
	const json_t *value;

	json_object_foreach ((json_t *)json, key, value) {
		const char *const *k = known;

		while (*k != NULL && strcmp(*k, key) != 0)
			k++;
		if (*k == NULL)
			return error_set(
				err, EINVAL, key, "%s: unknown member \"%.40s\"", where, key);
	}
	return 0;
}

static int read_put(struct reading *r, const struct object_schema *schema, const json_t *json,
	struct error *err)
{
	const struct object *before;
	struct object *obj;
	int ret;

	if (json_object_get(json, "name") != NULL)
		return error_set(err, EINVAL, "name", "\"put\" takes \"object\", not \"name\"");
	if (json_object_get(json, "object") == NULL)
		return error_set(err, EINVAL, "object",
			"\"put\" needs \"object\" with the fields of a %s", schema->name);
	ret = object_from_json(schema->type, json_object_get(json, "object"), &obj, err);
	if (ret < 0)
		return ret;
	before = model_find(engine_model(r->engine), schema->type, obj->name);
	obj->origin = before != NULL ? before->origin : ORIGIN_API;
	return changeset_put(r->set, obj, err);
}

static int read_delete(struct reading *r, const struct object_schema *schema, const json_t *json,
	struct error *err)
{
	const char *name = json_string_value(json_object_get(json, "name"));
	int ret;

	if (name == NULL || json_object_get(json, "object") != NULL)
		return error_set(err, EINVAL, "name",
			"\"delete\" needs the \"name\" of a %s and nothing else", schema->name);
	if (schema->singleton)
		return error_set(err, EBUSY, "name", "the %s cannot be removed", schema->name);
	ret = changeset_delete(r->set, schema->type, name, err);
	/* The resource of the request is there; what it names is not. */
	return ret == -ENOENT ? -EINVAL : ret;
}

static int read_change(struct reading *r, const json_t *json, struct error *err)
{
	static const char *const members[] = { "op", "type", "name", "object", NULL };
	const char *op = json_string_value(json_object_get(json, "op"));
	const char *type = json_string_value(json_object_get(json, "type"));
	const struct object_schema *schema;
	int ret;

	if (!json_is_object(json))
		return error_set(err, EINVAL, NULL,
			"a change must be an object: {\"op\": \"put\", \"type\": ..., ...}");
	ret = check_members(json, members, "change", err);
	if (ret < 0)
		return ret;
	if (type == NULL)
		return error_set(err, EINVAL, "type",
			"\"type\" is missing: expected a string such as \"peer\"");
	schema = schema_by_name(type);
	if (schema == NULL || strcmp(schema->name, type) != 0)
		return error_set(err, EINVAL, "type", "unknown object type \"%.40s\"", type);
	if (op != NULL && strcmp(op, "put") == 0)
		return read_put(r, schema, json, err);
	if (op != NULL && strcmp(op, "delete") == 0)
		return read_delete(r, schema, json, err);
	return error_set(err, EINVAL, "op", "\"op\" must be \"put\" or \"delete\"");
}

/** "changes/17/op" for what is wrong with the change itself; an object's fields have their own
 * path. */
static int visit_change(const json_t *element, size_t index, void *arg, struct error *err)
{
	int ret = read_change(arg, element, err);
	char path[sizeof(err->path)];

	if (ret < 0 && strchr(err->path, '/') == NULL) {
		snprintf(path, sizeof(path), "changes/%zu%s%.60s", index,
			err->path[0] != '\0' ? "/" : "", err->path);
		memcpy(err->path, path, sizeof(path));
	}
	return ret;
}

static int read_text(struct reading *r, const char *text, bool replace, struct error *err)
{
	const struct model *model = engine_model(r->engine);
	struct model *empty = model_new();
	struct changeset *wanted = empty != NULL ? changeset_new(empty) : NULL;
	int ret = wanted != NULL ? config_load_text(text, "request", wanted, err)
				 : error_set(err, ENOMEM, NULL, "out of memory");

	if (ret == 0)
		ret = objects_replace(model, wanted, replace ? REPLACE_ALL : REPLACE_NONE,
			ORIGIN_API, r->set, err);
	changeset_free(wanted);
	model_free(empty);
	return ret;
}

static int member_bool(const json_t *json, const char *name, bool *value, struct error *err)
{
	const json_t *member = json_object_get(json, name);

	*value = json_is_true(member);
	if (member != NULL && !json_is_boolean(member))
		return error_set(err, EINVAL, name, "\"%s\" must be true or false", name);
	return 0;
}

/** Everything but the changes themselves. */
static int read_rest(
	struct reading *r, const json_t *json, struct txn_options *options, struct error *err)
{
	static const char *const members[] = { "changes", "config", "replace", "dry_run",
		"confirm_seconds", NULL };
	const json_t *confirm = json_object_get(json, "confirm_seconds");
	const json_t *config = json_object_get(json, "config");
	bool has_changes = json_object_get(json, "changes") != NULL, replace;
	int ret = check_members(json, members, "transaction", err);

	if (ret == 0)
		ret = member_bool(json, "dry_run", &options->dry_run, err);
	if (ret == 0)
		ret = member_bool(json, "replace", &replace, err);
	if (ret < 0)
		return ret;
	if (confirm != NULL && (!json_is_integer(confirm) || json_integer_value(confirm) < 0 ||
				       json_integer_value(confirm) > CONFIRM_MAX_S))
		return error_set(err, EINVAL, "confirm_seconds",
			"\"confirm_seconds\" must be a number from 0 to %d", CONFIRM_MAX_S);
	options->confirm_s = (uint32_t)json_integer_value(confirm);
	if (has_changes == (config != NULL))
		return error_set(
			err, EINVAL, NULL, "a transaction has either \"changes\" or \"config\"");
	if (replace && config == NULL)
		return error_set(err, EINVAL, "replace", "\"replace\" goes with \"config\" only");
	if (config != NULL && !json_is_string(config))
		return error_set(err, EINVAL, "config",
			"\"config\" must be a string: the text of a configuration file");
	return config != NULL ? read_text(r, json_string_value(config), replace, err) : 0;
}

static int post_transaction(struct request *req, struct error *err)
{
	struct reading r = { .engine = request_api(req)->engine };
	struct txn_options options = { .source = "api", .diff_limit = 1000 };
	struct txn_result result = { 0 };
	json_t *rest = NULL;
	const char *body;
	size_t len;
	int ret;

	body = request_body(req, &len);
	r.set = changeset_new(engine_model(r.engine));
	if (body == NULL || r.set == NULL)
		ret = error_set(err, ENOMEM, NULL, "out of memory");
	else if (len == 0)
		ret = error_set(err, EBADMSG, NULL, "the body is empty: expected a JSON object");
	else
		ret = bulk_parse(body, len, "changes", visit_change, &r, &rest, err);
	if (ret == 0)
		ret = read_rest(&r, rest, &options, err);
	if (ret == 0)
		ret = api_txn_options(req, &options, err);
	if (ret == 0)
		ret = engine_apply(r.engine, r.set, &options, &result, err);
	if (ret == 0)
		api_reply_result(req, 200, &result, NULL);
	json_decref(rest);
	changeset_free(r.set);
	return ret;
}

/* History, confirmation. */

static json_t *record_json(const struct txn_record *r)
{
	json_t *doc = json_pack("{s:I, s:o, s:s, s:s, s:I, s:I, s:I}", "id", (json_int_t)r->id,
		"time", json_time(r->when), "state", txn_state_name(r->state), "source", r->source,
		"added", (json_int_t)r->added, "changed", (json_int_t)r->changed, "removed",
		(json_int_t)r->removed);

	if (r->deadline != 0)
		json_object_set_new(doc, "deadline", json_time(r->deadline));
	if (r->note[0] != '\0')
		json_object_set_new(doc, "note", json_string(r->note));
	return doc;
}

static int list_record(const struct txn_record *record, void *arg)
{
	return json_array_append_new(arg, record_json(record));
}

static int list_transactions(struct request *req, struct error *err)
{
	uint64_t limit = 50;
	json_t *list;
	int ret = request_query_uint(req, "limit", STORE_HISTORY, &limit, err);

	if (ret < 0)
		return ret;
	list = json_array();
	store_history(engine_store(request_api(req)->engine), limit, list_record, list);
	reply_json(req, 200, list);
	return 0;
}

static int path_id(const struct request *req, uint64_t *id, struct error *err)
{
	const char *text = req->segments[2];
	char *end;

	errno = 0;
	*id = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
		return error_set(
			err, ENOENT, NULL, "\"%.40s\" is not the number of a transaction", text);
	return 0;
}

static int get_transaction(struct request *req, struct error *err)
{
	struct txn_record record;
	uint64_t id;
	int ret = path_id(req, &id, err);

	if (ret < 0)
		return ret;
	if (!store_find(engine_store(request_api(req)->engine), id, &record))
		return error_set(err, ENOENT, NULL,
			"there is no transaction %llu; GET /v1/transactions lists the recent ones",
			(unsigned long long)id);
	reply_json(req, 200, record_json(&record));
	return 0;
}

static int end_transaction(struct request *req,
	int (*end)(
		struct engine *engine, uint64_t id, struct txn_record *record, struct error *err),
	struct error *err)
{
	struct txn_record record;
	uint64_t id;
	int ret = path_id(req, &id, err);

	if (ret == 0)
		ret = end(request_api(req)->engine, id, &record, err);
	if (ret == 0)
		reply_json(req, 200, record_json(&record));
	return ret;
}

static int confirm_transaction(struct request *req, struct error *err)
{
	return end_transaction(req, engine_confirm, err);
}

static int rollback_transaction(struct request *req, struct error *err)
{
	return end_transaction(req, engine_rollback, err);
}

static int reload(struct request *req, struct error *err)
{
	struct api *api = request_api(req);
	struct txn_options options = { .source = "file", .diff_limit = 1000 };
	struct txn_result result = { 0 };
	int ret = api_txn_options(req, &options, err);

	if (ret == 0)
		ret = file_reload(api->engine, api->config_path, &options, &result, err);
	/* The request is right; the file is not there or not readable. */
	if (ret == -ENOENT || ret == -EACCES)
		ret = -EINVAL;
	if (ret == 0)
		api_reply_result(req, 200, &result, NULL);
	return ret;
}

static const struct parameter history_query[] = {
	{ "limit", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":256}",
		"Most transactions to list; 50." },
	{ NULL, NULL, NULL },
};

const struct endpoint transaction_endpoints[] = {
	{ "GET", "/v1/transactions", list_transactions, "Recent transactions, newest first.",
		history_query, NULL, "Records", NULL, 0 },
	{ "POST", "/v1/transactions", post_transaction,
		"Apply several changes, or the text of a configuration file, as one: all of it or "
		"nothing.",
		NULL, "Transaction", "Result", NULL, ENDPOINT_CHANGES },
	{ "GET", "/v1/transactions/{id}", get_transaction, "One transaction of the history.", NULL,
		NULL, "Record", NULL, 0 },
	{ "POST", "/v1/transactions/{id}/confirm", confirm_transaction,
		"Keep a transaction that waits.", NULL, NULL, "Record", NULL, 0 },
	{ "POST", "/v1/transactions/{id}/rollback", rollback_transaction,
		"Undo a transaction that waits, now.", NULL, NULL, "Record", NULL, 0 },
	{ "POST", "/v1/reload", reload,
		"Read the configuration file again and apply what changed in it.", NULL, NULL,
		"Result", NULL, ENDPOINT_CHANGES },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0 },
};
