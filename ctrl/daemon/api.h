/* SPDX-License-Identifier: Apache-2.0 */
/** The API: which endpoints there are and what they work on. Control thread only. */
#ifndef CTRL_DAEMON_API_H
#define CTRL_DAEMON_API_H

#include "ctrl/daemon/http.h"
#include "ctrl/daemon/transaction.h"

/** The context of every request (req->context). */
struct api {
	struct event_base *base;
	struct engine *engine;
	const char *config_path;
	const struct http_endpoint *const *tables; /* all that are served; NULL-terminated */
	time_t started;				   /* Unix seconds */
	bool (*ready)(void);	 /* traffic is forwarded as the last commit says; NULL = always */
	struct upgrade *upgrade; /* NULL = cannot be replaced */
};

/** Tables of endpoints: ends with a NULL method. */
extern const struct http_endpoint object_endpoints[];	   /* api_objects.c */
extern const struct http_endpoint transaction_endpoints[]; /* api_transactions.c */
extern const struct http_endpoint daemon_endpoints[];	   /* api_daemon.c */
extern const struct http_endpoint state_endpoints[];	   /* show.c: needs the data plane */
extern const struct http_endpoint observe_endpoints[];	   /* api_observe.c: needs the data plane */
extern const struct http_endpoint upgrade_endpoints[];	   /* api_upgrade.c: needs the data plane */
extern const struct http_endpoint metrics_endpoints[];	   /* metrics.c: needs the data plane */

/** All of them; NULL-terminated. */
extern const struct http_endpoint *const api_tables[];

static inline struct api *request_api(const struct request *req)
{
	return req->context;
}

/** Options of a transaction from the query: dry_run, confirm_seconds, diff_limit. */
int api_txn_options(const struct request *req, struct txn_options *options, struct error *err);
/** Reply to a transaction: {id, state, deadline, changes, added, changed, removed, diff}; takes
 * result->diff. `object` (may be NULL) is shown too. */
void api_reply_result(
	struct request *req, int status, struct txn_result *result, const struct object *object);
/** "2026-01-31T23:59:59Z". New reference. */
json_t *json_time(time_t when);

/** OpenAPI 3.1 document of some tables. New reference. */
json_t *openapi_document(const struct http_endpoint *const *tables);
/** The same for people, in Markdown. Caller frees. */
char *openapi_markdown(const struct http_endpoint *const *tables);

#endif
