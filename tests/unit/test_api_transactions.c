/* SPDX-License-Identifier: Apache-2.0 */
/** Transactions over the API: all or nothing, dry runs, confirmation and rollback across restarts,
 * the file beside the API, pods that cannot be attached, a million routes.
 */
#include "tests/unit/api_fixture.h"

#include <signal.h>
#include <sys/resource.h>

static json_int_t integer(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static const char *string(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text != NULL ? text : "";
}

#define TWO_CHANGES                                                                     \
	"{'changes':[{'op':'delete','type':'peer','name':'node-b'},"                    \
	"{'op':'put','type':'peer','object':{'name':'node-c','underlay':['192.0.2.3']," \
	"'encap':'direct','pod_cidrs':['10.244.2.0/24']}}]"

static void test_all_or_nothing(void)
{
	struct fixture f;
	char *before, *after;
	json_t *json;

	fixture_begin(&f);
	before = snapshot(&f);
	/* The last of the changes is wrong. */
	expect(&f, 422, "POST", "/v1/transactions",
		"{'changes':[{'op':'delete','type':'peer','name':'node-b'},"
		"{'op':'put','type':'route','object':{'prefix':'10.9.0.0/"
		"16','via':[{'peer':'node-b'}]}}]}");
	/* The data plane refuses. */
	fake.refuse = "node-c";
	expect(&f, 500, "POST", "/v1/transactions", TWO_CHANGES "}");
	fake.refuse = NULL;
	after = snapshot(&f);
	CU_ASSERT_STRING_EQUAL(before, after);
	free(after);
	CU_ASSERT_EQUAL(fake.committed, 1);
	json = request(&f, 200, "POST", "/v1/transactions", TWO_CHANGES "}");
	CU_ASSERT_EQUAL(integer(json, "removed"), 1);
	CU_ASSERT_EQUAL(integer(json, "added"), 1);
	CU_ASSERT_EQUAL(integer(json, "changes"), 2);
	json_decref(json);
	CU_ASSERT_EQUAL(fake.committed, 2);
	fixture_restart(&f);
	expect(&f, 404, "GET", "/v1/peers/node-b", NULL);
	expect(&f, 200, "GET", "/v1/peers/node-c", NULL);
	free(before);
	fixture_end(&f);
}

static void test_store_failure(void)
{
	struct fixture f;
	char *before, *after;
	struct rlimit old, none;

	fixture_begin(&f);
	before = snapshot(&f);
	/* No byte can be written any more: the disk is full as far as SQLite can tell. */
	signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_FSIZE, &none);
	{
		struct reply reply;
		static const char body[] = "{\"underlay\":[\"192.0.2.3\"],\"encap\":\"direct\"}";

		call(&f, "PUT", "/v1/peers/node-c", body, sizeof(body) - 1, &reply);
		setrlimit(RLIMIT_FSIZE, &old);
		CU_ASSERT(reply.status == 500 || reply.status == 507);
		reply_free(&reply);
	}
	CU_ASSERT_EQUAL(fake.aborted, 1);
	after = snapshot(&f);
	CU_ASSERT_STRING_EQUAL(before, after);
	expect(&f, 201, "PUT", "/v1/peers/node-c", "{'underlay':['192.0.2.3'],'encap':'direct'}");
	free(before);
	free(after);
	fixture_end(&f);
}

static void test_dry_run(void)
{
	struct fixture f;
	char *before, *after;
	json_t *json, *diff;

	fixture_begin(&f);
	before = snapshot(&f);
	json = request(&f, 200, "POST", "/v1/transactions", TWO_CHANGES ",'dry_run':true}");
	CU_ASSERT_STRING_EQUAL(string(json, "state"), "dry-run");
	CU_ASSERT_TRUE(json_is_null(json_object_get(json, "id")));
	diff = json_object_get(json, "diff");
	CU_ASSERT_EQUAL(json_array_size(diff), 2);
	CU_ASSERT_STRING_EQUAL(string(json_array_get(diff, 0), "name"), "node-b");
	CU_ASSERT_TRUE(json_is_null(json_object_get(json_array_get(diff, 0), "after")));
	CU_ASSERT_TRUE(json_is_null(json_object_get(json_array_get(diff, 1), "before")));
	json_decref(json);
	json = request(&f, 200, "POST", "/v1/transactions?diff_limit=1&dry_run", TWO_CHANGES "}");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "diff")), 1);
	CU_ASSERT_EQUAL(integer(json, "changes"), 2);
	json_decref(json);
	expect(&f, 200, "DELETE", "/v1/peers/node-b?dry_run=1", NULL);
	expect(&f, 200, "PUT", "/v1/peers/node-c?dry_run",
		"{'underlay':['192.0.2.3'],'encap':'direct'}");
	after = snapshot(&f);
	CU_ASSERT_STRING_EQUAL(before, after);
	CU_ASSERT_EQUAL(fake.prepared, 1);
	free(before);
	free(after);
	fixture_end(&f);
}

static void test_confirm(void)
{
	struct fixture f;
	char url[64];
	json_t *json;
	json_int_t id;

	fixture_begin(&f);
	json = request(&f, 200, "POST", "/v1/transactions", TWO_CHANGES ",'confirm_seconds':60}");
	CU_ASSERT_STRING_EQUAL(string(json, "state"), "waiting for confirmation");
	CU_ASSERT_EQUAL(strlen(string(json, "deadline")), 20);
	id = integer(json, "id");
	json_decref(json);
	/* Everything else has to wait. */
	json = request(&f, 409, "DELETE", "/v1/peers/node-c", NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(string(json, "detail"), "waits for its confirmation"));
	json_decref(json);
	expect(&f, 200, "DELETE", "/v1/peers/node-c?dry_run", NULL);
	snprintf(url, sizeof(url), "/v1/transactions/%lld/confirm", (long long)id);
	json = request(&f, 200, "POST", url, NULL);
	CU_ASSERT_STRING_EQUAL(string(json, "state"), "confirmed");
	json_decref(json);
	expect(&f, 409, "POST", url, NULL);
	expect(&f, 200, "DELETE", "/v1/peers/node-c", NULL);
	fixture_end(&f);
}

static void begin_waiting(struct fixture *f, char **before, unsigned seconds, json_int_t *id)
{
	char body[512];
	json_t *json;

	fixture_begin(f);
	expect(f, 201, "PUT", "/v1/pods/web-1", "{'netns':'web-1'}");
	*before = snapshot(f);
	snprintf(body, sizeof(body),
		"{'changes':[{'op':'delete','type':'pod','name':'web-1'},"
		"{'op':'put','type':'pool','object':{'name':'more','cidr':'10.99.0.0/24'}},"
		"{'op':'put','type':'peer','object':{'name':'node-b','underlay':['192.0.2.2'],'"
		"encap':'direct'}}],"
		"'confirm_seconds':%u}",
		seconds);
	json = request(f, 200, "POST", "/v1/transactions", body);
	*id = integer(json, "id");
	json_decref(json);
}

static void expect_snapshot(struct fixture *f, char *before)
{
	char *after = snapshot(f);

	CU_ASSERT_STRING_EQUAL(before, after);
	free(after);
	free(before);
}

static void test_rollback(void)
{
	struct fixture f;
	char url[64], *before;
	json_int_t id;
	json_t *json;

	begin_waiting(&f, &before, 60, &id);
	snprintf(url, sizeof(url), "/v1/transactions/%lld/rollback", (long long)id);
	json = request(&f, 200, "POST", url, NULL);
	CU_ASSERT_STRING_EQUAL(string(json, "state"), "rolled back");
	json_decref(json);
	fixture_restart(&f);
	expect_snapshot(&f, before);
	/* The objects belong to whom they belonged to. */
	CU_ASSERT_EQUAL(
		model_find(engine_model(f.engine), OBJECT_PEER, "node-b")->origin, ORIGIN_FILE);
	CU_ASSERT_EQUAL(
		model_find(engine_model(f.engine), OBJECT_POD, "web-1")->origin, ORIGIN_API);
	fixture_end(&f);
}

static void pump(struct fixture *f, unsigned ms)
{
	const struct timeval tv = { .tv_sec = ms / 1000,
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	event_base_loopexit(f->base, &tv);
	event_base_dispatch(f->base);
}

static void test_not_confirmed(void)
{
	struct fixture f;
	char *before;
	json_int_t id;
	json_t *json;

	begin_waiting(&f, &before, 1, &id);
	pump(&f, 1200);
	json = request(&f, 200, "GET", "/v1/transactions?limit=1", NULL);
	CU_ASSERT_STRING_EQUAL(string(json_array_get(json, 0), "state"), "rolled back");
	CU_ASSERT_STRING_EQUAL(string(json_array_get(json, 0), "note"), "not confirmed in time");
	json_decref(json);
	expect_snapshot(&f, before);
	fixture_end(&f);
}

static void test_restart_while_waiting(void)
{
	struct fixture f;
	char *before, url[64];
	json_int_t id;

	begin_waiting(&f, &before, 2, &id);
	fixture_restart(&f);
	/* Still in force, still waiting, and its time goes on. */
	expect(&f, 200, "GET", "/v1/pools/more", NULL);
	expect(&f, 409, "DELETE", "/v1/pools/more", NULL);
	pump(&f, 2200);
	expect_snapshot(&f, before);
	fixture_end(&f);

	begin_waiting(&f, &before, 60, &id);
	fixture_restart(&f);
	snprintf(url, sizeof(url), "/v1/transactions/%lld/confirm", (long long)id);
	expect(&f, 200, "POST", url, NULL);
	fixture_restart(&f);
	expect(&f, 200, "GET", "/v1/pools/more", NULL);
	free(before);
	fixture_end(&f);
}

static void test_down_past_deadline(void)
{
	struct fixture f;
	char *before;
	json_int_t id;

	begin_waiting(&f, &before, 1, &id);
	fixture_stop(&f);
	usleep(1100000);
	fixture_start(&f);
	expect_snapshot(&f, before);
	fixture_end(&f);
}

/* A rollback brings back a pod whose namespace has gone meanwhile. */
static void test_rollback_of_lost_pod(void)
{
	struct fixture f;
	const struct failed_object *failed;
	char url[64], *before;
	json_int_t id;
	size_t count;

	begin_waiting(&f, &before, 60, &id);
	fake.refuse = "web-1";
	snprintf(url, sizeof(url), "/v1/transactions/%lld/rollback", (long long)id);
	expect(&f, 200, "POST", url, NULL);
	expect_snapshot(&f, before);
	failed = engine_failed(f.engine, &count);
	CU_ASSERT_EQUAL_FATAL(count, 1);
	CU_ASSERT_STRING_EQUAL(failed[0].error, "the test refuses web-1");
	/* Removing it must not ask the data plane to remove what it does not have. */
	fake.changes = 0;
	fake.prepared = 0;
	fake.forgotten[0] = '\0';
	expect(&f, 200, "DELETE", "/v1/pods/web-1", NULL);
	CU_ASSERT_EQUAL(fake.prepared, 0);
	CU_ASSERT_STRING_EQUAL(fake.forgotten, "web-1");
	engine_failed(f.engine, &count);
	CU_ASSERT_EQUAL(count, 0);
	fixture_end(&f);
}

static void test_lost_pod_at_start(void)
{
	struct fixture f;
	size_t count;

	fixture_begin(&f);
	expect(&f, 201, "PUT", "/v1/pods/web-1", "{'netns':'web-1'}");
	expect(&f, 201, "PUT", "/v1/pods/web-2", "{'netns':'web-2'}");
	expect(&f, 201, "PUT", "/v1/routes/10.77.0.0%2F16", "{'via':[{'pod':'web-2'}]}");
	fake.refuse = "web-1";
	fixture_restart(&f);
	expect(&f, 200, "GET", "/v1/pods/web-1", NULL);
	engine_failed(f.engine, &count);
	CU_ASSERT_EQUAL(count, 1);
	/* Its namespace comes back. */
	fake.refuse = NULL;
	pump(&f, 5200);
	engine_failed(f.engine, &count);
	CU_ASSERT_EQUAL(count, 0);
	CU_ASSERT_STRING_EQUAL(fake.forgotten, "");
	fixture_end(&f);
}

#define POOL_LINE "pools: ( { name = \"pods\"; cidr = \"10.244.1.0/24\"; } );\n"
#define HEAD                                                                         \
	"node: { name = \"node-a\"; metrics_listen = \"\"; };\n"                     \
	"uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\";\n" \
	"  addresses = [ \"192.0.2.1/24\" ]; } );\n"

static void test_file_beside_api(void)
{
	struct fixture f;
	json_t *json;

	fixture_begin(&f);
	expect(&f, 201, "PUT", "/v1/peers/api-peer", "{'underlay':['192.0.2.9'],'encap':'direct'}");
	expect(&f, 200, "PATCH", "/v1/peers/node-b", "{'mtu':1400}");
	/* The file is what it was: the change to its object stays. */
	fixture_restart(&f);
	json = request(&f, 200, "GET", "/v1/peers/node-b", NULL);
	CU_ASSERT_EQUAL(integer(json, "mtu"), 1400);
	json_decref(json);
	/* Now it changes: its peer and second pool go, the API's peer stays. */
	write_file(f.config, HEAD POOL_LINE "# only a comment\n");
	fixture_restart(&f);
	expect(&f, 404, "GET", "/v1/peers/node-b", NULL);
	expect(&f, 404, "GET", "/v1/pools/pods6", NULL);
	expect(&f, 200, "GET", "/v1/peers/api-peer", NULL);
	fixture_restart(&f);
	expect(&f, 404, "GET", "/v1/peers/node-b", NULL);
	expect(&f, 200, "GET", "/v1/peers/api-peer", NULL);
	fixture_end(&f);
}

static void test_reload(void)
{
	struct fixture f;
	json_t *json;

	fixture_begin(&f);
	json = request(&f, 200, "POST", "/v1/reload", NULL);
	CU_ASSERT_EQUAL(integer(json, "changes"), 0);
	json_decref(json);
	expect(&f, 201, "PUT", "/v1/peers/api-peer", "{'underlay':['192.0.2.9'],'encap':'direct'}");
	write_file(f.config, HEAD POOL_LINE);
	json = request(&f, 200, "POST", "/v1/reload?dry_run", NULL);
	CU_ASSERT_EQUAL(integer(json, "removed"), 2);
	CU_ASSERT_EQUAL(integer(json, "changed"), 1); /* the uplink lost an address */
	json_decref(json);
	expect(&f, 200, "GET", "/v1/peers/node-b", NULL);
	expect(&f, 200, "POST", "/v1/reload", NULL);
	expect(&f, 404, "GET", "/v1/peers/node-b", NULL);
	expect(&f, 200, "GET", "/v1/peers/api-peer", NULL);
	/* A broken file changes nothing and says where. */
	write_file(f.config, HEAD POOL_LINE "peers: ( { name = \"x\"; colour = 1; } );\n");
	json = request(&f, 422, "POST", "/v1/reload", NULL);
	CU_ASSERT_EQUAL(integer(json, "line"), 5);
	CU_ASSERT_PTR_NOT_NULL(strstr(string(json, "file"), "podlane.conf"));
	json_decref(json);
	unlink(f.config);
	expect(&f, 422, "POST", "/v1/reload", NULL);
	expect(&f, 200, "GET", "/v1/peers/api-peer", NULL);
	write_file(f.config, HEAD POOL_LINE);
	fixture_end(&f);
}

static void test_config_text(void)
{
	struct fixture f;
	json_t *json;

	fixture_begin(&f);
	json = request(&f, 200, "POST", "/v1/transactions",
		"{'config':'peers: ( { name = \\'node-d\\'; underlay = [ \\'192.0.2.4\\' ]; encap "
		"= \\'direct\\'; } );'}");
	CU_ASSERT_EQUAL(integer(json, "added"), 1);
	CU_ASSERT_EQUAL(integer(json, "removed"), 0);
	json_decref(json);
	CU_ASSERT_EQUAL(
		model_find(engine_model(f.engine), OBJECT_PEER, "node-d")->origin, ORIGIN_API);
	json = request(&f, 200, "POST", "/v1/transactions?dry_run",
		"{'replace':true,'config':'node: { name = \\'node-a\\'; metrics_listen = \\'\\'; "
		"};'}");
	CU_ASSERT_EQUAL(integer(json, "removed"), 5); /* the uplink, two pools, two peers */
	CU_ASSERT_EQUAL(integer(json, "changed"), 0);
	json_decref(json);
	json = request(
		&f, 422, "POST", "/v1/transactions", "{'config':'peers: (\\n { name = 5; } );'}");
	CU_ASSERT_EQUAL(integer(json, "line"), 2);
	json_decref(json);
	fixture_end(&f);
}

/* Large lists are read by several threads: still the first wrong one is reported, and its
 * position. */
static void test_first_error_of_many(void)
{
	const unsigned count = 60000;
	struct fixture f;
	struct reply reply;
	char *body = malloc((size_t)count * 100), *at = body;

	fixture_begin(&f);
	at += sprintf(at, "{\"changes\":[");
	for (unsigned i = 0; i < count; i++)
		at += sprintf(at,
			"%s{\"op\":\"%s\",\"type\":\"route\",\"object\":{\"prefix\":\"11.%u.%u.0/"
			"24\","
			"\"action\":\"blackhole\"}}",
			i > 0 ? ",\n" : "", i >= 31001 && i % 1000 == 1 ? "move" : "put", i / 256,
			i % 256);
	sprintf(at, "]}");
	call(&f, "POST", "/v1/transactions", body, strlen(body), &reply);
	CU_ASSERT_EQUAL(reply.status, 422);
	CU_ASSERT_STRING_EQUAL(string(reply.json, "path"), "changes/31001/op");
	reply_free(&reply);
	/* What is not JSON is found where it is. */
	*strstr(body, "11.156.64.0") = '"';
	call(&f, "POST", "/v1/transactions", body, strlen(body), &reply);
	CU_ASSERT_EQUAL(reply.status, 400);
	CU_ASSERT_PTR_NOT_NULL(strstr(string(reply.json, "detail"), "line 40001,"));
	reply_free(&reply);
	*strstr(body, "11.78.32.0") = '"';
	call(&f, "POST", "/v1/transactions", body, strlen(body), &reply);
	CU_ASSERT_EQUAL(reply.status, 400);
	CU_ASSERT_PTR_NOT_NULL(strstr(string(reply.json, "detail"), "line 20001,"));
	reply_free(&reply);
	CU_ASSERT_EQUAL(fake.prepared, 1);
	free(body);
	fixture_end(&f);
}

/* One wrong field among many changes: it is named, and nothing of the rest is there. */
static void test_wrong_field_of_many(void)
{
	const unsigned count = 30000;
	struct fixture f;
	struct reply reply;
	char *body = malloc((size_t)count * 120), *at = body;

	fixture_begin(&f);
	at += sprintf(at, "{\"changes\":[");
	for (unsigned i = 0; i < count; i++)
		at += sprintf(at,
			"%s{\"op\":\"put\",\"type\":\"route\",\"object\":{\"prefix\":\"11.%u.%u.0/"
			"24\",\"via\":[{\"address\":"
			"\"192.0.2.%u\"}]}}",
			i > 0 ? ",\n" : "", i / 256, i % 256, i == 21000 ? 999 : 77);
	sprintf(at, "]}");
	call(&f, "POST", "/v1/transactions", body, strlen(body), &reply);
	CU_ASSERT_EQUAL(reply.status, 422);
	CU_ASSERT_STRING_EQUAL(string(reply.json, "path"), "routes/11.82.8.0/24/via/0/address");
	reply_free(&reply);
	CU_ASSERT_EQUAL(model_count(engine_model(f.engine), OBJECT_ROUTE), 0);
	CU_ASSERT_EQUAL(fake.prepared, 1);
	free(body);
	fixture_end(&f);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void test_million_routes(void)
{
	const unsigned count = 1000000;
	struct fixture f;
	struct reply reply;
	char *body = malloc((size_t)count * 100 + 64), *at = body;
	double begin;

	fixture_begin(&f);
	at += sprintf(at, "{\"changes\":[");
	for (unsigned i = 0; i < count; i++)
		at += sprintf(at,
			"%s{\"op\":\"put\",\"type\":\"route\",\"object\":{\"prefix\":\"%u.%u.%u.0/"
			"24\","
			"\"via\":[{\"address\":\"192.0.2.%u\"}]}}",
			i > 0 ? "," : "", 11 + i / 65536, i / 256 % 256, i % 256, 2 + i % 200);
	at += sprintf(at, "]}");
	begin = now();
	call(&f, "POST", "/v1/transactions?diff_limit=0", body, (size_t)(at - body), &reply);
	printf("\n    1 M routes, %zu MB: %.2f s in all, ", (size_t)(at - body) >> 20,
		now() - begin);
	CU_ASSERT_EQUAL(reply.status, 200);
	CU_ASSERT_EQUAL(integer(reply.json, "added"), count);
	reply_free(&reply);
	begin = now();
	expect(&f, 200, "PUT", "/v1/routes/11.0.0.0%2F24", "{'via':[{'address':'192.0.2.77'}]}");
	printf("one more %.1f ms, ", (now() - begin) * 1e3);
	CU_ASSERT_EQUAL(model_count(engine_model(f.engine), OBJECT_ROUTE), count);
	begin = now();
	fixture_restart(&f);
	printf("restart %.2f s ", now() - begin);
	CU_ASSERT_EQUAL(model_count(engine_model(f.engine), OBJECT_ROUTE), count);
	free(body);
	fixture_end(&f);
}

static const struct test_case cases[] = {
	{ "all or nothing", test_all_or_nothing },
	{ "one wrong field of many refuses all", test_wrong_field_of_many },
	{ "a store that cannot be written undoes everything", test_store_failure },
	{ "a dry run changes nothing", test_dry_run },
	{ "a confirmed transaction stays", test_confirm },
	{ "a rollback gives back the state before", test_rollback },
	{ "what is not confirmed in time is undone", test_not_confirmed },
	{ "waiting survives a restart", test_restart_while_waiting },
	{ "what was not confirmed while down is undone at start", test_down_past_deadline },
	{ "a rollback goes on without a pod that is lost", test_rollback_of_lost_pod },
	{ "a start goes on without a pod that is lost", test_lost_pod_at_start },
	{ "the file beside the API", test_file_beside_api },
	{ "reload", test_reload },
	{ "the text of a file as a transaction", test_config_text },
	{ "the first error of many changes", test_first_error_of_many },
	{ "a million routes", test_million_routes },
};

SUITE_MAIN("api_transactions", cases)
