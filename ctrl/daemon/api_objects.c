/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/api.h"

#include "config/schema.h"
#include "ctrl/daemon/encode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIRM_TEXT "confirm_seconds"

int api_txn_options(const struct request *req, struct txn_options *options, struct error *err)
{
	uint64_t confirm = options->confirm_s, limit = options->diff_limit;
	bool dry_run;
	int ret;

	ret = request_query_bool(req, "dry_run", &dry_run, err);
	if (ret == 0)
		ret = request_query_uint(req, CONFIRM_TEXT, CONFIRM_MAX_S, &confirm, err);
	if (ret == 0)
		ret = request_query_uint(req, "diff_limit", UINT32_MAX, &limit, err);
	if (ret < 0)
		return ret;
	options->dry_run = options->dry_run || dry_run;
	options->confirm_s = (uint32_t)confirm;
	options->diff_limit = (uint32_t)limit;
	if (options->dry_run && options->confirm_s > 0)
		return error_set(err, EBADMSG, CONFIRM_TEXT,
			"dry_run and confirm_seconds exclude each other: a dry run changes "
			"nothing");
	return 0;
}

json_t *json_time(time_t when)
{
	char text[32];
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

void api_reply_result(
	struct request *req, int status, struct txn_result *result, const struct object *object)
{
	const struct txn_record *r = &result->record;
	json_t *doc;

	doc = json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:o}", "id",
		r->id != 0 ? json_integer((json_int_t)r->id) : json_null(), "state",
		txn_state_name(r->state), "changes", (json_int_t)result->changes, "added",
		(json_int_t)r->added, "changed", (json_int_t)r->changed, "removed",
		(json_int_t)r->removed, "diff", result->diff);
	result->diff = NULL;
	if (r->deadline != 0)
		json_object_set_new(doc, "deadline", json_time(r->deadline));
	if (object != NULL)
		json_object_set_new(doc, "object", object_to_json(object, false));
	reply_json(req, status, doc);
}

static const struct object_schema *path_schema(const struct request *req)
{
	return schema_by_name(req->segments[1]);
}

/** The name in the URL as the model writes it: routes may be given in another spelling of the same
 * prefix. */
static const char *path_name(
	const struct request *req, const struct object_schema *schema, char *buf)
{
	struct ip_prefix prefix;

	if (schema->type == OBJECT_ROUTE && ip_prefix_parse(req->segments[2], &prefix) == 0)
		return ip_prefix_format(&prefix, buf);
	return req->segments[2];
}

static int not_found(const struct object_schema *schema, const char *name, struct error *err)
{
	return error_set(err, ENOENT, NULL, "there is no %s \"%.64s\"; GET /v1/%s lists them",
		schema->name, name, schema->plural);
}

/* Listing. A million routes are text of more than 100 MB; as a tree of JSON they would be 2 GB. */

struct listing {
	struct evbuffer *out;
	struct text text; /* of one object, used again and again */
	const char *after;
	uint64_t limit, count;
	bool pretty;
};

static void add_pretty(struct listing *l, const struct object *obj)
{
	json_t *json = object_to_json(obj, false);
	char *text = json_dumps(json, JSON_INDENT(2));

	/* One level deeper than jansson thinks. */
	for (const char *line = text; line != NULL && *line != '\0'; line += strcspn(line, "\n")) {
		line += *line == '\n';
		evbuffer_add_printf(l->out, "\n  %.*s", (int)strcspn(line, "\n"), line);
	}
	free(text);
	json_decref(json);
}

static int list_object(const struct object *obj, void *arg)
{
	struct listing *l = arg;

	if (l->after != NULL && strcmp(obj->name, l->after) <= 0)
		return 0;
	if (l->limit > 0 && l->count == l->limit)
		return 1;
	evbuffer_add(l->out, l->count == 0 ? "[" : ",", 1);
	l->count++;
	if (l->pretty) {
		add_pretty(l, obj);
		return 0;
	}
	l->text.len = 0;
	object_encode(obj, ENCODE_SHOW, &l->text);
	return l->text.failed ? -ENOMEM : evbuffer_add(l->out, l->text.data, l->text.len);
}

static int list_objects(struct request *req, struct error *err)
{
	const struct model *model = engine_model(request_api(req)->engine);
	struct listing l = { .after = request_query(req, "after"), .pretty = req->pretty };
	int ret = request_query_uint(req, "limit", UINT32_MAX, &l.limit, err);

	if (ret < 0)
		return ret;
	l.out = evbuffer_new();
	if (l.out == NULL || model_each(model, path_schema(req)->type, list_object, &l) < 0) {
		ret = error_set(err, ENOMEM, NULL, "out of memory");
	} else {
		evbuffer_add_printf(l.out, "%s%s]\n", l.count == 0 ? "[" : "",
			l.count > 0 && l.pretty ? "\n" : "");
		reply_buffer(req, 200, "application/json", l.out);
	}
	text_free(&l.text);
	if (l.out != NULL)
		evbuffer_free(l.out);
	return ret;
}

static int get_object(struct request *req, struct error *err)
{
	const struct object_schema *schema = path_schema(req);
	char buf[PREFIX_TEXT_MAX];
	const char *name = path_name(req, schema, buf);
	const struct object *obj =
		model_find(engine_model(request_api(req)->engine), schema->type, name);

	if (obj == NULL)
		return not_found(schema, name, err);
	reply_json(req, 200, object_to_json(obj, false));
	return 0;
}

/* Changing. */

/** Apply one put or (obj NULL) delete and reply. Takes the reference. */
static int change_object(struct request *req, const struct object_schema *schema, const char *name,
	struct object *obj, struct error *err)
{
	struct engine *engine = request_api(req)->engine;
	const struct object *before = model_find(engine_model(engine), schema->type, name);
	struct txn_options options = { .source = "api", .diff_limit = 1000 };
	struct changeset *set = changeset_new(engine_model(engine));
	struct txn_result result = { 0 };
	bool put = obj != NULL;
	int ret = api_txn_options(req, &options, err);

	if (ret == 0 && set == NULL)
		ret = error_set(err, ENOMEM, NULL, "out of memory");
	if (ret < 0) {
		object_unref(obj);
		changeset_free(set);
		return ret;
	}
	if (put) {
		obj->origin = before != NULL ? before->origin : ORIGIN_API;
		object_ref(obj);
		ret = changeset_put(set, obj, err);
	} else {
		ret = changeset_delete(set, schema->type, name, err);
	}
	if (ret == 0)
		ret = engine_apply(engine, set, &options, &result, err);
	if (ret == 0) {
		/* Without effect, what is in force is the one before. */
		const struct object *shown = result.changes == 0 ? before : obj;

		if (!options.dry_run && put)
			shown = model_find(engine_model(engine), schema->type, obj->name);
		api_reply_result(req, put && before == NULL && !options.dry_run ? 201 : 200,
			&result, put ? shown : NULL);
	}
	changeset_free(set);
	object_unref(obj);
	return ret;
}

/** The URL names the object; the body may repeat the name but not contradict it. */
static int check_key(
	const struct object_schema *schema, json_t *body, const char *name, struct error *err)
{
	const char *key = schema->type == OBJECT_ROUTE ? "prefix" : "name";
	const json_t *given = json_object_get(body, key);
	struct ip_prefix prefix;
	char buf[PREFIX_TEXT_MAX];
	const char *text = json_string_value(given);

	if (!json_is_object(body))
		return error_set(err, EINVAL, NULL,
			"the body must be a JSON object with the fields of a %s", schema->name);
	if (given == NULL)
		return json_object_set_new(body, key, json_string(name)) == 0
			       ? 0
			       : error_set(err, EBADMSG, key,
					 "the name in the URL is not UTF-8 text");
	if (text == NULL)
		return 0; /* a wrong type is the schema's to refuse */
	if (schema->type == OBJECT_ROUTE && ip_prefix_parse(text, &prefix) == 0)
		text = ip_prefix_format(&prefix, buf);
	if (strcmp(text, name) == 0)
		return 0;
	return error_set(err, EINVAL, key,
		"the body says %s \"%.64s\" but the URL says \"%.64s\": make them the same", key,
		text, name);
}

static int put_object(struct request *req, struct error *err)
{
	const struct object_schema *schema = path_schema(req);
	char buf[PREFIX_TEXT_MAX];
	const char *name = path_name(req, schema, buf);
	struct object *obj = NULL;
	json_t *body = NULL;
	int ret = request_body_json(req, &body, err);

	if (ret == 0)
		ret = check_key(schema, body, name, err);
	if (ret == 0)
		ret = object_from_json(schema->type, body, &obj, err);
	json_decref(body);
	return ret < 0 ? ret : change_object(req, schema, name, obj, err);
}

static int patch_object(struct request *req, struct error *err)
{
	const struct object_schema *schema = path_schema(req);
	char buf[PREFIX_TEXT_MAX];
	const char *name = path_name(req, schema, buf);
	const struct object *before =
		model_find(engine_model(request_api(req)->engine), schema->type, name);
	struct object *obj = NULL;
	json_t *body = NULL;
	int ret;

	if (before == NULL)
		return not_found(schema, name, err);
	ret = request_body_json(req, &body, err);
	if (ret == 0)
		ret = check_key(schema, body, name, err);
	if (ret == 0)
		ret = object_merge_json(before, body, &obj, err);
	json_decref(body);
	return ret < 0 ? ret : change_object(req, schema, name, obj, err);
}

static int delete_object(struct request *req, struct error *err)
{
	const struct object_schema *schema = path_schema(req);
	char buf[PREFIX_TEXT_MAX];
	const char *name = path_name(req, schema, buf);

	if (model_find(engine_model(request_api(req)->engine), schema->type, name) == NULL)
		return not_found(schema, name, err);
	if (schema->singleton)
		return error_set(err, EBUSY, NULL,
			"the %s cannot be removed: change its fields with PUT or PATCH",
			schema->name);
	return change_object(req, schema, name, NULL, err);
}

static const struct parameter list_query[] = {
	{ "limit", "{\"type\":\"integer\",\"minimum\":0}", "Most objects to list; 0 = all." },
	{ "after", "{\"type\":\"string\"}",
		"List only names after this one: the last name of the page before." },
	{ NULL, NULL, NULL },
};

const struct http_endpoint object_endpoints[] = {
	{ "GET", "/v1/{objects}", list_objects,
		"List the objects of a type in the order of their names.", list_query, NULL,
		"{objects}", NULL, 0 },
	{ "GET", "/v1/{objects}/{name}", get_object, "One object with all its fields.", NULL, NULL,
		"{object}", NULL, 0 },
	{ "PUT", "/v1/{objects}/{name}", put_object, "Create an object, or replace it as a whole.",
		NULL, "{object}", "Result", NULL, ENDPOINT_CHANGES },
	{ "PATCH", "/v1/{objects}/{name}", patch_object,
		"Change fields of an object (RFC 7396: null gives a field its default).", NULL,
		"Patch", "Result", NULL, ENDPOINT_CHANGES },
	{ "DELETE", "/v1/{objects}/{name}", delete_object, "Remove an object.", NULL, NULL,
		"Result", NULL, ENDPOINT_CHANGES },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0 },
};
