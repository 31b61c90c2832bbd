/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/api.h"

#include "config/log.h"

#include <errno.h>

static int get_openapi(struct request *req, struct error *err)
{
	(void)err;
	reply_json(req, 200, openapi_document(request_api(req)->tables));
	return 0;
}

static void reply_level(struct request *req)
{
	reply_json(req, 200, json_pack("{s:s}", "level", log_level_name(log_level_get())));
}

static int get_log_level(struct request *req, struct error *err)
{
	(void)err;
	reply_level(req);
	return 0;
}

static int put_log_level(struct request *req, struct error *err)
{
	enum log_level level;
	json_t *body = NULL;
	const char *text;
	int ret = request_body_json(req, &body, err);

	if (ret < 0)
		return ret;
	text = json_string_value(json_object_get(body, "level"));
	if (text == NULL || json_object_size(body) != 1)
		ret = error_set(err, EINVAL, "level",
			"expected {\"level\": \"error\", \"warning\", \"info\" or \"debug\"}");
	else if (!log_level_parse(text, &level))
		ret = error_set(err, EINVAL, "level",
			"level \"%.40s\" does not exist: use \"error\", \"warning\", \"info\" or "
			"\"debug\"",
			text);
	json_decref(body);
	if (ret < 0)
		return ret;
	log_level_set(level);
	reply_level(req);
	return 0;
}

static int healthz(struct request *req, struct error *err)
{
	(void)err;
	reply_text(req, 200, "ok");
	return 0;
}

static int readyz(struct request *req, struct error *err)
{
	const struct api *api = request_api(req);
	size_t failed;

	(void)err;
	if (api->ready != NULL && !api->ready()) {
		reply_text(
			req, 503, "not ready: the last commit is not in force on every worker yet");
		return 0;
	}
	engine_failed(api->engine, &failed);
	reply_text(req, 200,
		failed == 0 ? "ready"
			    : "ready, but some objects are not in force: see /v1/state/node");
	return 0;
}

const struct http_endpoint daemon_endpoints[] = {
	{ "GET", "/v1/openapi.json", get_openapi, "This API as an OpenAPI 3.1 document.", NULL,
		NULL, NULL, NULL, 0 },
	{ "GET", "/v1/log-level", get_log_level, "The level of log messages.", NULL, NULL,
		"LogLevel", NULL, 0 },
	{ "PUT", "/v1/log-level", put_log_level,
		"Change the level until the daemon restarts or node.log_level changes.", NULL,
		"LogLevel", "LogLevel", NULL, 0 },
	{ "GET", "/healthz", healthz, "200 while the control thread answers.", NULL, NULL, NULL,
		"text/plain", ENDPOINT_TCP },
	{ "GET", "/readyz", readyz,
		"200 when traffic is forwarded as the last commit says, else 503.", NULL, NULL,
		NULL, "text/plain", ENDPOINT_TCP },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0 },
};
