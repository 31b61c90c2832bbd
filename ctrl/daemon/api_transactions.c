/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/api.h"

#include "config/log.h"
#include "config/schema.h"
#include "ctrl/daemon/bulk.h"
#include "ctrl/daemon/changes.h"
#include "ctrl/daemon/startup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Reading a transaction. */

struct reading {
	struct engine *engine;
	struct changeset *set;
};

/** "sources": where lines of "config" came from, so that what is wrong is blamed on the user's own file and line. The names are
 * the JSON's. */
static int read_sources(
	const json_t *json, struct config_source **out, size_t *n, struct error *err)
{
	static const char *const members[] = { "line", "file", "file_line", NULL };
	unsigned before = 1;
	size_t i;
	json_t *one;

	*out = NULL;
	*n = 0;
	if (json == NULL)
		return 0;
	*out = calloc(json_array_size(json) + 1, sizeof(**out));
	if (*out == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	json_array_foreach (json, i, one) {
		const char *file = json_string_value(json_object_get(one, "file"));
		json_int_t line = json_integer_value(json_object_get(one, "line")),
			   file_line = json_integer_value(json_object_get(one, "file_line"));

		if (!json_is_object(one) || check_members(one, members, "sources", err) < 0 ||
			file == NULL || file[0] == '\0' || line < before || (i == 0 && line != 1) ||
			line > INT32_MAX || file_line < 1 || file_line > INT32_MAX)
			break;
		before = (unsigned)line;
		(*out)[(*n)++] = (struct config_source){ before, (unsigned)file_line, file };
	}
	if (!json_is_array(json) || *n < json_array_size(json))
		return error_set(err, EINVAL, "sources",
			"\"sources\" must be a list of { \"line\", \"file\", \"file_line\" }: "
			"lines of "
			"\"config\" from 1 on, ascending, and the file and line each is from");
	return 0;
}

static int read_text(
	struct reading *r, const char *text, const json_t *sources, bool replace, struct error *err)
{
	const struct model *model = engine_model(r->engine);
	struct model *empty = model_new();
	struct changeset *wanted = empty != NULL ? changeset_new(empty) : NULL;
	struct config_source *places = NULL;
	size_t n = 0;
	int ret = wanted != NULL ? read_sources(sources, &places, &n, err)
				 : error_set(err, ENOMEM, NULL, "out of memory");

	if (ret == 0)
		ret = config_load_sources(text, "request", places, n, wanted, err);
	if (ret == 0)
		ret = objects_replace(model, wanted, replace ? REPLACE_ALL : REPLACE_NONE,
			ORIGIN_API, r->set, err);
	free(places);
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
	static const char *const members[] = { "changes", "config", "sources", "replace", "dry_run",
		"confirm_seconds", NULL };
	const json_t *confirm = json_object_get(json, "confirm_seconds");
	const json_t *config = json_object_get(json, "config"),
		     *sources = json_object_get(json, "sources");
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
	if (sources != NULL && config == NULL)
		return error_set(err, EINVAL, "sources", "\"sources\" goes with \"config\" only");
	if (config != NULL && !json_is_string(config))
		return error_set(err, EINVAL, "config",
			"\"config\" must be a string: the text of a configuration file");
	return config != NULL ? read_text(r, json_string_value(config), sources, replace, err) : 0;
}

static int read_transaction(
	struct request *req, struct reading *r, struct txn_options *options, struct error *err)
{
	struct bulk bulk;
	const char *body;
	size_t len;
	int ret;

	body = request_body(req, &len);
	if (body == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	if (len == 0)
		return error_set(err, EBADMSG, NULL, "the body is empty: expected a JSON object");
	ret = bulk_split(body, len, "changes", &bulk, err);
	if (ret < 0)
		return ret;
	ret = read_rest(r, bulk.rest, options, err);
	if (ret == 0)
		ret = changes_read(bulk.elements, bulk.count, engine_model(r->engine), r->set, err);
	if (ret == -EBADMSG)
		ret = bulk_refuse(body, len, err);
	bulk_free(&bulk);
	return ret == 0 ? api_txn_options(req, options, err) : ret;
}

static int post_transaction(struct request *req, struct error *err)
{
	struct reading r = { .engine = request_api(req)->engine };
	struct txn_options options = { .source = "api", .diff_limit = 1000 };
	struct txn_result result = { 0 };
	int ret;

	r.set = changeset_new(engine_model(r.engine));
	ret = r.set != NULL ? read_transaction(req, &r, &options, err)
			    : error_set(err, ENOMEM, NULL, "out of memory");
	if (ret == 0)
		ret = engine_apply(r.engine, r.set, &options, &result, err);
	if (ret == 0)
		api_reply_result(req, 200, &result, NULL);
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

const struct http_endpoint transaction_endpoints[] = {
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
