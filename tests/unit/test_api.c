/* SPDX-License-Identifier: Apache-2.0 */
/** The API over its socket: objects, spelling of names, replies people can read, and every way to
 * get a call wrong. */
#include "tests/unit/api_fixture.h"

#include <sys/stat.h>

static void test_objects(void)
{
	struct fixture f;
	json_t *json;

	fixture_begin(&f);
	json = request(&f, 200, "GET", "/v1/peers", NULL);
	CU_ASSERT_EQUAL(json_array_size(json), 1);
	json_decref(json);
	json = request(&f, 200, "GET", "/v1/peers/node-b", NULL);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "encap")), "vxlan");
	json_decref(json);

	json = request(&f, 201, "PUT", "/v1/peers/node-c",
		"{'underlay':['192.0.2.3'],'pod_cidrs':['10.244.3.0/24'],'encap':'direct'}");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "state")), "committed");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "added")), 1);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "diff")), 1);
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(json_object_get(json, "object"), "name")),
		"node-c");
	json_decref(json);
	CU_ASSERT_EQUAL(fake.committed, 2);

	/* The same again is no change: nothing is prepared, nothing committed. */
	json = request(&f, 200, "PUT", "/v1/peers/node-c",
		"{'name':'node-c','underlay':['192.0.2.3'],'pod_cidrs':['10.244.3.0/"
		"24'],'encap':'direct'}");
	CU_ASSERT_TRUE(json_is_null(json_object_get(json, "id")));
	CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "diff")), 0);
	json_decref(json);
	CU_ASSERT_EQUAL(fake.committed, 2);

	json = request(&f, 200, "PATCH", "/v1/peers/node-c", "{'mtu':1400}");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "changed")), 1);
	CU_ASSERT_PTR_NOT_NULL(json_object_get(
		json_object_get(json_array_get(json_object_get(json, "diff"), 0), "fields"),
		"mtu"));
	json_decref(json);
	json = request(&f, 200, "DELETE", "/v1/peers/node-c", NULL);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "removed")), 1);
	json_decref(json);
	expect(&f, 404, "GET", "/v1/peers/node-c", NULL);
	fixture_end(&f);
}

static void test_route_names(void)
{
	struct fixture f;
	json_t *json;

	fixture_begin(&f);
	expect(&f, 201, "PUT", "/v1/routes/10.0.0.0%2F8", "{'via':[{'address':'192.0.2.254'}]}");
	expect(&f, 201, "PUT", "/v1/routes/2001:DB8:1:0::%2f48",
		"{'prefix':'2001:db8:1::/48','via':[{'address':'2001:db8::254'}]}");
	json = request(&f, 200, "GET", "/v1/routes/2001:db8:1::%2F48", NULL);
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(json, "prefix")), "2001:db8:1::/48");
	json_decref(json);
	/* An unescaped slash is another path. */
	expect(&f, 404, "GET", "/v1/routes/10.0.0.0/8", NULL);
	expect(&f, 200, "DELETE", "/v1/routes/10.0.0.0%2F8", NULL);
	expect(&f, 404, "DELETE", "/v1/routes/10.0.0.0%2F8", NULL);
	fixture_end(&f);
}

static void test_paging(void)
{
	struct fixture f;
	json_t *json;

	fixture_begin(&f);
	json = request(&f, 200, "GET", "/v1/pools?limit=1", NULL);
	CU_ASSERT_EQUAL(json_array_size(json), 1);
	json_decref(json);
	json = request(&f, 200, "GET", "/v1/pools?limit=5&after=pods", NULL);
	CU_ASSERT_EQUAL(json_array_size(json), 1);
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(json_array_get(json, 0), "name")), "pods6");
	json_decref(json);
	fixture_end(&f);
}

static void test_presentation(void)
{
	struct fixture f;
	struct reply reply;
	struct stat st;

	fixture_begin(&f);
	call(&f, "GET", "/v1/pools", "", 0, &reply);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply.head, "Content-Type: application/json\r\n"));
	CU_ASSERT_PTR_EQUAL(
		strchr(reply.body, '\n'), reply.body + reply.len - 1); /* one line, and its end */
	reply_free(&reply);
	call(&f, "GET", "/v1/pools?pretty", "", 0, &reply);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply.body, "\n    \"name\": \"pods\""));
	reply_free(&reply);
	call(&f, "HEAD", "/v1/pools", "", 0, &reply);
	CU_ASSERT_EQUAL(reply.status, 200);
	CU_ASSERT_EQUAL(reply.len, 0);
	reply_free(&reply);
	call(&f, "GET", "/healthz", "", 0, &reply);
	CU_ASSERT_STRING_EQUAL(reply.body, "ok\n");
	reply_free(&reply);
	call(&f, "POST", "/v1/peers", "", 0, &reply);
	CU_ASSERT_EQUAL(reply.status, 405);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply.head, "Allow: GET, HEAD\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(reply.head, "Content-Type: application/problem+json\r\n"));
	reply_free(&reply);
	call(&f, "OPTIONS", "/v1/peers/x", "", 0, &reply);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply.head, "Allow: GET, HEAD, PUT, PATCH, DELETE\r\n"));
	reply_free(&reply);
	CU_ASSERT_EQUAL(stat(f.socket, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	fixture_end(&f);
}

static void test_secret_stays(void)
{
	struct fixture f;
	json_t *json;

	fixture_begin(&f);
	json = request(&f, 201, "PUT", "/v1/pods/v",
		"{'kind':'memif','socket':'/run/"
		"v.sock','secret':'geheim','addresses':['10.244.1.9']}");
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(json_object_get(json, "object"), "secret")),
		"***");
	json_decref(json);
	/* What was read can be written back without losing the secret. */
	expect(&f, 200, "PATCH", "/v1/pods/v", "{'secret':'***','memif_id':3}");
	CU_ASSERT_STRING_EQUAL(
		model_find(engine_model(f.engine), OBJECT_POD, "v")->pod.secret, "geheim");
	fixture_restart(&f);
	CU_ASSERT_STRING_EQUAL(
		model_find(engine_model(f.engine), OBJECT_POD, "v")->pod.secret, "geheim");
	fixture_end(&f);
}

static void test_log_level(void)
{
	struct fixture f;
	json_t *json;

	fixture_begin(&f);
	json = request(&f, 200, "PUT", "/v1/log-level", "{'level':'error'}");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "level")), "error");
	json_decref(json);
	fixture_end(&f);
}

static void test_socket_in_use(void)
{
	struct fixture f;
	struct http_conf conf = { .tables = fixture_tables };
	struct http_server *second;
	struct error err = { 0 };
	char path[128];
	FILE *file;

	fixture_begin(&f);
	conf.base = f.base;
	second = http_server_new(&conf);
	CU_ASSERT_EQUAL(http_listen_unix(second, f.socket, &err), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "another daemon listens there"));
	snprintf(path, sizeof(path), "%s/file", f.dir);
	file = fopen(path, "we");
	fclose(file);
	CU_ASSERT_EQUAL(http_listen_unix(second, path, &err), -EEXIST);
	http_server_free(second);
	/* One left behind by a crash is taken over. */
	fixture_stop(&f);
	CU_ASSERT_NOT_EQUAL(access(f.socket, F_OK), 0);
	{
		struct sockaddr_un addr = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		strcpy(addr.sun_path, f.socket);
		CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
		close(fd);
	}
	fixture_start(&f);
	expect(&f, 200, "GET", "/v1/nodes", NULL);
	fixture_end(&f);
}

/* Wrong calls. `text` has to occur in the detail, `path` is the offending field ("" = none). */
static const struct {
	const char *method, *url, *body;
	int status;
	const char *path, *text;
} wrong[] = {
	{ "GET", "/", NULL, 404, "", "no such resource" },
	{ "GET", "/v1", NULL, 404, "", "no such resource" },
	{ "GET", "/v2/peers", NULL, 404, "", "no such resource" },
	{ "GET", "/v1/peer", NULL, 404, "", "no such resource" },
	{ "GET", "/v1/peers/a/b", NULL, 404, "", "no such resource" },
	{ "GET", "/v1/peers//", NULL, 404, "", "no such resource" },
	{ "GET", "/1/2/3/4/5/6/7/8/9", NULL, 404, "", "too deep" },
	{ "GET", "/v1/peers/%00", NULL, 400, "", "zero byte" },
	{ "GET", "/v1/peers?x=1", NULL, 400, "x", "unknown query parameter \"x\"" },
	{ "GET", "/v1/peers?limit=-1", NULL, 400, "limit", "expected a number" },
	{ "GET", "/v1/peers?limit=", NULL, 400, "limit", "expected a number" },
	{ "GET", "/v1/peers?limit=1&limit=2", NULL, 400, "limit", "given twice" },
	{ "GET", "/v1/peers?pretty=maybe", NULL, 400, "pretty", "expected 1 or 0" },
	{ "GET", "/v1/peers?a=%00", NULL, 400, "", "zero byte" },
	{ "GET", "/v1/peers?=1", NULL, 400, "", "a parameter without a name: \"=1\"" },
	{ "PUT", "/v1/pods/w?pretty&=dry_run=1", "{\"netns\": \"w\"}", 400, "",
		"a parameter without a name" },
	{ "PUT", "/v1/pods/w?#dry_run=1", "{\"netns\": \"w\"}", 400, "",
		"has a fragment (\"#dry_run=1\")" },
	{ "GET", "http://root@node/v1/peers", NULL, 400, "", "user's name" },
	{ "GET", "/v1/peers?a=%0d%0ab", NULL, 400, "a", "" },
	{ "GET", "/v1/peers/nobody", NULL, 404, "", "there is no peer \"nobody\"" },
	{ "DELETE", "/v1/pods/nobody", NULL, 404, "", "there is no pod \"nobody\"" },
	{ "PATCH", "/v1/pods/nobody", "{}", 404, "", "there is no pod \"nobody\"" },
	{ "DELETE", "/v1/peers", NULL, 405, "", "possible: GET" },
	{ "POST", "/v1/peers/x", "{}", 405, "", "possible: GET, HEAD, PUT, PATCH, DELETE" },
	{ "PUT", "/healthz", "{}", 405, "", "possible: GET" },
	{ "DELETE", "/v1/transactions", NULL, 405, "", "possible: GET, HEAD, POST" },
	{ "PUT", "/v1/peers/x", "", 400, "", "the body is empty" },
	{ "PUT", "/v1/peers/x", "{", 400, "", "line 1, column 1" },
	{ "PUT", "/v1/peers/x", "{\n  'mtu': 1,\n  oops\n}", 400, "", "line 3" },
	{ "PUT", "/v1/peers/x", "{'mtu':1400,'mtu':1500}", 400, "", "duplicate" },
	{ "PUT", "/v1/peers/x", "\xff", 400, "", "not JSON" },
	{ "PUT", "/v1/peers/x", "{} {}", 400, "", "end of file expected" },
	{ "PUT", "/v1/peers/x", "[]", 422, "", "must be a JSON object" },
	{ "PUT", "/v1/peers/x", "'text'", 400, "", "" },
	{ "PUT", "/v1/peers/x", "{'name':'y'}", 422, "name", "the URL says \"x\"" },
	{ "PUT", "/v1/routes/10.0.0.0%2F8", "{'prefix':'10.0.0.0/9'}", 422, "prefix",
		"the URL says \"10.0.0.0/8\"" },
	{ "PUT", "/v1/peers/x", "{'name':5}", 422, "*", "" },
	{ "PUT", "/v1/peers/x", "{'colour':'red'}", 422, "*colour", "" },
	{ "PUT", "/v1/peers/x", "{}", 422, "*", "underlay" },
	{ "PUT", "/v1/peers/x", "{'underlay':5,'encap':'direct'}", 422, "*underlay", "" },
	{ "PUT", "/v1/peers/x", "{'underlay':['192.0.2.300'],'encap':'direct'}", 422, "*underlay/0",
		"192.0.2.300" },
	{ "PUT", "/v1/peers/x", "{'underlay':['192.0.2.3'],'encap':'carrier-pigeon'}", 422,
		"*encap", "carrier-pigeon" },
	{ "PUT", "/v1/peers/x", "{'underlay':['192.0.2.3'],'encap':'vxlan'}", 422, "*vtep_mac",
		"vtep_mac" },
	{ "PUT", "/v1/peers/x", "{'underlay':['192.0.2.3'],'encap':'direct','mtu':'big'}", 422,
		"*mtu", "" },
	{ "PUT", "/v1/peers/x", "{'underlay':['192.0.2.3'],'encap':'direct','mtu':1e3}", 422,
		"*mtu", "" },
	{ "PUT", "/v1/peers/x",
		"{'underlay':['192.0.2.3'],'encap':'direct','pod_cidrs':['10.244.2.0/25']}", 422,
		"*pod_cidrs", "" },
	{ "PUT", "/v1/peers/a%20b", "{'underlay':['192.0.2.3'],'encap':'direct'}", 422, "*", "" },
	{ "PUT", "/v1/peers/%ff", "{}", 400, "name", "UTF-8" },
	{ "PUT", "/v1/routes/nonsense", "{'action':'blackhole'}", 422, "*prefix", "nonsense" },
	{ "PUT", "/v1/routes/10.0.0.1%2F8", "{'action':'blackhole'}", 422, "*prefix", "host bits" },
	{ "PUT", "/v1/routes/10.0.0.0%2F8", "{'via':[{'peer':'nobody'}]}", 422, "*via", "nobody" },
	{ "PUT", "/v1/pods/p", "{'netns':'p','addresses':['172.16.0.1']}", 422, "*addresses", "" },
	{ "PUT", "/v1/pods/p?dry_run=2", "{'netns':'p'}", 400, "dry_run", "expected 1 or 0" },
	{ "PUT", "/v1/pods/p?confirm_seconds=999999", "{'netns':'p'}", 400, "confirm_seconds",
		"86400" },
	{ "PUT", "/v1/pods/p?confirm_seconds=5&dry_run", "{'netns':'p'}", 400, "confirm_seconds",
		"exclude" },
	{ "PATCH", "/v1/nodes/node-a", "{'flows':2048}", 422, "*flows", "restart" },
	{ "PATCH", "/v1/nodes/node-a", "{'name':'node-z'}", 422, "name", "URL" },
	{ "PUT", "/v1/nodes/node-z", "{}", 422, "*", "" },
	{ "DELETE", "/v1/nodes/node-a", NULL, 409, "", "cannot be removed" },
	{ "PUT", "/v1/log-level", "{'level':'loud'}", 422, "level", "loud" },
	{ "PUT", "/v1/log-level", "{'level':'info','x':1}", 422, "level", "expected" },
	{ "PUT", "/v1/log-level", "[]", 422, "level", "expected" },
	{ "GET", "/v1/transactions/x", NULL, 404, "", "not the number" },
	{ "GET", "/v1/transactions/99", NULL, 404, "", "no transaction 99" },
	{ "POST", "/v1/transactions/99/confirm", NULL, 404, "", "no transaction 99" },
	{ "POST", "/v1/transactions/1/confirm", NULL, 409, "", "does not wait" },
	{ "POST", "/v1/transactions/1/rollback", NULL, 409, "", "does not wait" },
	{ "POST", "/v1/transactions", "", 400, "", "the body is empty" },
	{ "POST", "/v1/transactions", "[]", 422, "", "must be a JSON object" },
	{ "POST", "/v1/transactions", "{'changes':[{]}", 400, "", "line 1, column 14" },
	{ "POST", "/v1/transactions", "{'changes':[", 400, "", "not JSON" },
	{ "POST", "/v1/transactions", "{'changes':[]} x", 400, "", "end of file expected" },
	{ "POST", "/v1/transactions", "{'changes':[],'changes':[]}", 400, "", "duplicate" },
	{ "POST", "/v1/transactions", "{'changes':[1]}", 422, "changes/0",
		"a change must be an object" },
	{ "POST", "/v1/transactions", "{'changes':{}}", 422, "changes", "must be an array" },
	{ "POST", "/v1/transactions", "{}", 422, "", "either" },
	{ "POST", "/v1/transactions", "{'changes':[],'config':''}", 422, "", "either" },
	{ "POST", "/v1/transactions", "{'changes':[],'replace':true}", 422, "replace",
		"with \"config\" only" },
	{ "POST", "/v1/transactions", "{'changes':[],'later':1}", 422, "later", "unknown member" },
	{ "POST", "/v1/transactions", "{'changes':[],'dry_run':1}", 422, "dry_run",
		"true or false" },
	{ "POST", "/v1/transactions", "{'changes':[],'confirm_seconds':-1}", 422, "confirm_seconds",
		"from 0" },
	{ "POST", "/v1/transactions", "{'config':5}", 422, "config", "must be a string" },
	{ "POST", "/v1/transactions", "{'config':'','sources':5}", 422, "sources",
		"must be a list" },
	{ "POST", "/v1/transactions",
		"{'config':'','sources':[{'line':2,'file':'a','file_line':1}]}", 422, "sources",
		"from 1 on" },
	{ "POST", "/v1/transactions",
		"{'config':'','sources':[{'line':1,'file':'a','file_line':1,'more':2}]}", 422,
		"sources", "must be a list" },
	{ "POST", "/v1/transactions", "{'changes':[],'sources':[]}", 422, "sources", "config" },
	{ "POST", "/v1/transactions", "{'config':'peers = ('}", 422, "*", "" },
	{ "POST", "/v1/transactions", "{'changes':[{'op':'put','type':'peer'}]}", 422,
		"changes/0/object", "needs" },
	{ "POST", "/v1/transactions", "{'changes':[{'op':'put','type':'peers','object':{}}]}", 422,
		"changes/0/type", "unknown object type \"peers\"" },
	{ "POST", "/v1/transactions", "{'changes':[{'op':'put'}]}", 422, "changes/0/type",
		"missing" },
	{ "POST", "/v1/transactions", "{'changes':[{'op':'move','type':'peer'}]}", 422,
		"changes/0/op", "put" },
	{ "POST", "/v1/transactions", "{'changes':[{'op':'delete','type':'peer'}]}", 422,
		"changes/0/name", "needs" },
	{ "POST", "/v1/transactions", "{'changes':[{'op':'delete','type':'peer','name':'nobody'}]}",
		422, "*", "nobody" },
	{ "POST", "/v1/transactions",
		"{'changes':[{'op':'delete','type':'peer','name':'node-b','colour':1}]}", 422,
		"changes/0/colour", "unknown member" },
	{ "POST", "/v1/transactions", "{'changes':[{'op':'delete','type':'node','name':'node-a'}]}",
		409, "changes/0/name", "cannot be removed" },
	/* Quoted in the answer, though no JSON text may hold them. */
	{ "GET", "/v1/p\xff\xfe", NULL, 404, "", "no such resource: /v1/p??" },
};

static void check_wrong(struct fixture *f, size_t i)
{
	json_t *json = request(f, wrong[i].status, wrong[i].method, wrong[i].url, wrong[i].body);
	const char *detail = json_string_value(json_object_get(json, "detail"));
	const char *path = json_string_value(json_object_get(json, "path"));
	const char *want = wrong[i].path;
	bool good = detail != NULL && strstr(detail, wrong[i].text) != NULL;

	if (path == NULL)
		path = "";
	/* "*x": ends with or has x; the part before is the object's. */
	good = good && (want[0] == '*' ? strstr(path, want + 1) != NULL : strcmp(path, want) == 0);
	good = good && json_integer_value(json_object_get(json, "status")) == wrong[i].status;
	good = good && json_string_value(json_object_get(json, "title")) != NULL;
	if (!good)
		fprintf(stderr, "%s %s %s: path \"%s\", detail \"%s\"\n", wrong[i].method,
			wrong[i].url, wrong[i].body != NULL ? wrong[i].body : "", path,
			detail != NULL ? detail : "(none)");
	CU_ASSERT_TRUE(good);
	json_decref(json);
}

static void test_wrong_calls(void)
{
	struct fixture f;
	char *before, *after;

	fixture_begin(&f);
	before = snapshot(&f);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		check_wrong(&f, i);
	after = snapshot(&f);
	CU_ASSERT_STRING_EQUAL(before, after);
	CU_ASSERT_EQUAL(fake.prepared, 1);
	free(before);
	free(after);
	fixture_end(&f);
}

static void test_not_http(void)
{
	static const char *const messages[] = {
		"\r\n\r\n",
		"GARBAGE\r\n\r\n",
		"GET\r\n\r\n",
		"GET /v1/peers HTTP/9.9\r\n\r\n",
		"GET /v1/peers HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
		"GET /v1/peers HTTP/1.1\r\nbroken header\r\n\r\n",
		"POST /v1/transactions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	};
	struct fixture f;

	fixture_begin(&f);
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct reply reply;

		exchange(&f, messages[i], strlen(messages[i]), &reply);
		CU_ASSERT_TRUE(reply.status == 0 || reply.status >= 400);
		reply_free(&reply);
	}
	{
		static const char large[] =
			"PUT /v1/peers/x HTTP/1.1\r\nHost: x\r\nContent-Length: 300000000\r\n\r\n{";
		struct reply reply;

		exchange(&f, large, sizeof(large) - 1, &reply);
		CU_ASSERT_EQUAL(reply.status, 413);
		reply_free(&reply);
	}
	expect(&f, 200, "GET", "/healthz", NULL);
	fixture_end(&f);
}

static const struct test_case cases[] = {
	{ "objects are listed, read, put, patched and deleted", test_objects },
	{ "routes are named by their prefix in any spelling", test_route_names },
	{ "lists come in pages", test_paging },
	{ "replies are pleasant to read", test_presentation },
	{ "secrets are masked and kept", test_secret_stays },
	{ "log level", test_log_level },
	{ "a socket in use is not taken", test_socket_in_use },
	{ "wrong calls are refused with a sentence", test_wrong_calls },
	{ "what is not HTTP does no harm", test_not_http },
};

SUITE_MAIN("api", cases)
