/* SPDX-License-Identifier: Apache-2.0 */
/** The OpenAPI document against the server: every endpoint is described, every described one
 * answers, every reference leads somewhere.
 */
#include "tests/unit/api_fixture.h"

#include <ctype.h>

static void check_refs(const json_t *json, const json_t *schemas)
{
	static const char prefix[] = "#/components/schemas/";
	const json_t *value;
	const char *key;
	size_t i;

	json_array_foreach ((json_t *)json, i, value)
		check_refs(value, schemas);
	if (!json_is_object(json))
		return;
	json_object_foreach ((json_t *)json, key, value) {
		const char *ref = strcmp(key, "$ref") == 0 ? json_string_value(value) : NULL;

		if (ref != NULL &&
			(strncmp(ref, prefix, sizeof(prefix) - 1) != 0 ||
				json_object_get(schemas, ref + sizeof(prefix) - 1) == NULL)) {
			fprintf(stderr, "nothing at %s\n", ref);
			CU_FAIL("dangling reference");
		}
		check_refs(value, schemas);
	}
}

/** Of all tables, those of the data plane too. */
static void test_document(void)
{
	json_t *doc = openapi_document(api_tables);
	const json_t *paths = json_object_get(doc, "paths");

	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(doc, "openapi")), "3.1.0");
	check_refs(doc, json_object_get(json_object_get(doc, "components"), "schemas"));
	for (const struct http_endpoint *const *t = api_tables; *t != NULL; t++) {
		for (const struct http_endpoint *e = *t; e->method != NULL; e++) {
			CU_ASSERT(strstr(e->path, "{objects}") != NULL ||
				  json_object_get(paths, e->path) != NULL);
			CU_ASSERT(e->summary != NULL && e->summary[strlen(e->summary) - 1] == '.');
		}
	}
	json_decref(doc);
}

/** A URL that stands for a described path. */
static void fill(const char *path, char *url, size_t size)
{
	size_t used = 0;

	while (*path != '\0' && used + 2 < size) {
		if (*path == '{') {
			url[used++] = '1';
			path += strcspn(path, "}") + 1;
		} else {
			url[used++] = *path++;
		}
	}
	url[used] = '\0';
}

/* A body no endpoint accepts: what is described must be reached, not carried out. */
static void test_described_is_served(void)
{
	struct fixture f;
	json_t *doc, *item, *operation;
	const char *path, *method;
	unsigned n = 0;

	fixture_begin(&f);
	doc = request(&f, 200, "GET", "/v1/openapi.json", NULL);
	json_object_foreach (json_object_get(doc, "paths"), path, item) {
		json_object_foreach (item, method, operation) {
			char url[128], upper[8] = "";
			struct reply reply;

			for (size_t i = 0; method[i] != '\0' && i < 7; i++)
				upper[i] = (char)toupper((unsigned char)method[i]);
			fill(path, url, sizeof(url));
			call(&f, upper, url, "?", 1, &reply);
			if (reply.status == 405 ||
				(reply.status == 404 &&
					strstr(reply.body, "no such resource") != NULL))
				fprintf(stderr, "%s %s is described but not served\n", upper, path);
			CU_ASSERT_NOT_EQUAL(reply.status, 405);
			CU_ASSERT_PTR_NULL(strstr(reply.body, "no such resource"));
			reply_free(&reply);
			n++;
		}
	}
	/* Five for each type of object, and the rest of the tables. */
	for (const struct http_endpoint *const *t = fixture_tables; *t != NULL; t++) {
		for (const struct http_endpoint *e = *t; e->method != NULL; e++)
			n -= strstr(e->path, "{objects}") != NULL ? OBJECT_TYPE_COUNT : 1;
	}
	CU_ASSERT_EQUAL(n, 0);
	json_decref(doc);
	fixture_end(&f);
}

static const struct test_case cases[] = {
	{ "references lead somewhere", test_document },
	{ "what is described is served, and nothing else", test_described_is_served },
};

SUITE_MAIN("api_openapi", cases)
