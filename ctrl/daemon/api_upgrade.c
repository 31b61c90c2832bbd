/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/api.h"
#include "ctrl/daemon/upgrade.h"

#include <unistd.h>

static void reply_upgrade(struct request *req, int status)
{
	const struct upgrade *u = request_api(req)->upgrade;
	json_t *doc = json_pack("{s:s, s:i}", "state",
		u->successor != 0 ? "starting"
		: u->failed != 0  ? "failed"
				  : "idle",
		"pid", (int)getpid());

	if (u->successor != 0 || u->failed != 0)
		json_object_set_new(doc, "successor",
			json_integer(u->successor != 0 ? u->successor : u->failed));
	if (u->successor == 0 && u->failed != 0)
		json_object_set_new(doc, "reason", json_string(u->reason));
	reply_json(req, status, doc);
}

static int get_upgrade(struct request *req, struct error *err)
{
	(void)err;
	reply_upgrade(req, 200);
	return 0;
}

static int post_upgrade(struct request *req, struct error *err)
{
	size_t len;
	int ret;

	request_body(req, &len);
	if (len > 0)
		return error_set(err, EINVAL, NULL, "an upgrade takes no body: send none");
	ret = upgrade_start(request_api(req)->upgrade, err);
	if (ret == 0)
		reply_upgrade(req, 202);
	return ret;
}

const struct http_endpoint upgrade_endpoints[] = {
	{ "GET", "/v1/upgrade", get_upgrade,
		"Whether a successor is getting ready, and why the last one could not take over.",
		NULL, NULL, "Upgrade", NULL, 0 },
	{ "POST", "/v1/upgrade", post_upgrade,
		"Start the program file as it is now, with the same command line, to take over "
		"from "
		"this daemon; the socket then answers with another pid.",
		NULL, NULL, "Upgrade", NULL, 0 },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0 },
};
