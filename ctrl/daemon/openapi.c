/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/api.h"

#include "config/schema.h"
#include "ctrl/daemon/encode.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Schemas of the API itself; those of objects come from config/schema.c. */
static const char components[] =
	"{\"Problem\":{\"type\":\"object\",\"description\":\"RFC "
	"9457\",\"required\":[\"type\",\"title\",\"status\",\"detail\"],"
	"\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},\"status\":"
	"{\"type\":\"integer\"},"
	"\"detail\":{\"type\":\"string\",\"description\":\"one sentence that says what is wrong "
	"and what to do\"},"
	"\"path\":{\"type\":\"string\",\"description\":\"of the offending field, such as "
	"peers/node-b/vni\"},"
	"\"file\":{\"type\":\"string\"},\"line\":{\"type\":\"integer\"}}},"
	"\"Patch\":{\"type\":\"object\",\"description\":\"fields to change, RFC 7396\"},"
	"\"LogLevel\":{\"type\":\"object\",\"required\":[\"level\"],\"properties\":{\"level\":"
	"{\"enum\":[\"error\",\"warning\",\"info\",\"debug\"]}}},"
	"\"Upgrade\":{\"type\":\"object\",\"required\":[\"state\",\"pid\"],\"properties\":{"
	"\"state\":{\"enum\":[\"idle\",\"starting\",\"failed\"],\"description\":\"failed: the last "
	"successor "
	"ended before it took over, and this daemon goes on\"},"
	"\"pid\":{\"type\":\"integer\",\"description\":\"of the daemon that answers\"},"
	"\"successor\":{\"type\":\"integer\",\"description\":\"its process, while starting and "
	"when it "
	"failed\"},"
	"\"reason\":{\"type\":\"string\",\"description\":\"why it failed\"}}},"
	"\"State\":{\"enum\":[\"committed\",\"dry-run\",\"waiting for "
	"confirmation\",\"confirmed\",\"rolled back\"]},"
	"\"Change\":{\"type\":\"object\",\"required\":[\"op\",\"type\"],\"additionalProperties\":"
	"false,\"properties\":{"
	"\"op\":{\"enum\":[\"put\",\"delete\"]},\"type\":{\"type\":\"string\"},"
	"\"name\":{\"type\":\"string\",\"description\":\"with delete\"},"
	"\"object\":{\"type\":\"object\",\"description\":\"with put\"}}},"
	"\"Transaction\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
	"\"changes\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Change\"}},"
	"\"config\":{\"type\":\"string\",\"description\":\"text of a configuration file, instead "
	"of changes\"},"
	"\"sources\":{\"type\":\"array\",\"description\":\"with config: lines of it from one on "
	"are of a file, which errors name\",\"items\":{\"type\":\"object\","
	"\"additionalProperties\":false,\"required\":[\"line\",\"file\",\"file_line\"],"
	"\"properties\":{\"line\":{\"type\":\"integer\",\"minimum\":1},\"file\":{\"type\":"
	"\"string\"},\"file_line\":{\"type\":\"integer\",\"minimum\":1}}}},"
	"\"replace\":{\"type\":\"boolean\",\"description\":\"with config: remove every object the "
	"text does not name, "
	"pods too\"},"
	"\"dry_run\":{\"type\":\"boolean\"},\"confirm_seconds\":{\"type\":\"integer\",\"minimum\":"
	"0,\"maximum\":86400}}},"
	"\"Difference\":{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"},"
	"\"name\":{\"type\":\"string\"},"
	"\"before\":{\"type\":[\"object\",\"null\"]},\"after\":{\"type\":[\"object\",\"null\"]},"
	"\"fields\":{\"type\":\"object\",\"description\":\"field: [before, after]\"}}},"
	"\"Result\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":[\"integer\",\"null\"],"
	"\"description\":\"null when nothing was "
	"committed\"},\"state\":{\"$ref\":\"#/components/schemas/State\"},"
	"\"deadline\":{\"type\":\"string\",\"format\":\"date-time\"},"
	"\"changes\":{\"type\":\"integer\",\"description\":\"in all; diff shows at most diff_limit "
	"of them\"},"
	"\"added\":{\"type\":\"integer\"},\"changed\":{\"type\":\"integer\"},\"removed\":{\"type\":"
	"\"integer\"},"
	"\"diff\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Difference\"}},"
	"\"object\":{\"type\":\"object\",\"description\":\"PUT and PATCH: the object as it is "
	"now\"}}},"
	"\"Record\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"},"
	"\"time\":{\"type\":\"string\",\"format\":\"date-time\"},\"state\":{\"$ref\":\"#/"
	"components/schemas/State\"},"
	"\"source\":{\"type\":\"string\"},\"added\":{\"type\":\"integer\"},\"changed\":{\"type\":"
	"\"integer\"},"
	"\"removed\":{\"type\":\"integer\"},\"deadline\":{\"type\":\"string\",\"format\":\"date-"
	"time\"},"
	"\"note\":{\"type\":\"string\"}}},"
	"\"Records\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Record\"}},"
	"\"Explain\":{\"type\":\"object\",\"required\":[\"from\",\"src\",\"dst\"],"
	"\"additionalProperties\":false,"
	"\"properties\":{"
	"\"from\":{\"type\":\"string\",\"description\":\"a port's name (pod:web-1, eth0, podlane0) "
	"or tunnel\"},"
	"\"src\":{\"type\":\"string\"},\"dst\":{\"type\":\"string\"},"
	"\"proto\":{\"type\":[\"string\",\"integer\"],\"description\":\"tcp, udp, sctp, icmp, "
	"icmp6 or a number\"},"
	"\"sport\":{\"type\":\"integer\"},\"dport\":{\"type\":\"integer\"},"
	"\"length\":{\"type\":\"integer\",\"description\":\"bytes of the IP packet; 100\"}}},"
	"\"Trace\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
	"\"filter\":{\"type\":\"string\",\"description\":\"as for tcpdump\"},"
	"\"port\":{\"type\":\"string\",\"description\":\"only packets received there\"},"
	"\"count\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000},"
	"\"seconds\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":3600}}}}";

static const struct parameter change_query[] = {
	{ "dry_run", "{\"type\":\"boolean\"}", "Check and show the difference, change nothing." },
	{ "confirm_seconds", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":86400}",
		"Undo everything again unless the transaction is confirmed in time." },
	{ "diff_limit", "{\"type\":\"integer\",\"minimum\":0}",
		"Most changes to show in the reply; 1000." },
	{ NULL, NULL, NULL },
};

static json_t *schema_ref(const char *name)
{
	char ref[96];

	snprintf(ref, sizeof(ref), "#/components/schemas/%s", name);
	return json_pack("{s:s}", "$ref", ref);
}

/** Schema of a body or reply: "{object}" and "{objects}" stand for the type in the path. */
static json_t *schema_of(const char *name, const struct object_schema *type)
{
	if (name == NULL)
		return json_pack("{s:s}", "type", "object");
	if (strcmp(name, "{object}") == 0)
		return schema_ref(type->name);
	if (strcmp(name, "{objects}") == 0)
		return json_pack("{s:s, s:o}", "type", "array", "items", schema_ref(type->name));
	return schema_ref(name);
}

static json_t *content(const char *media, json_t *schema)
{
	return json_pack("{s:{s:o}}", media, "schema", schema);
}

static void add_parameters(json_t *list, const struct parameter *p)
{
	for (; p != NULL && p->name != NULL; p++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "name", p->name, "in",
						    "query", "description", p->doc, "schema",
						    json_loads(p->schema, JSON_DECODE_ANY, NULL)));
}

/** Parameters in the path, in braces. */
static void add_path_parameters(json_t *list, const char *path)
{
	while ((path = strchr(path, '{')) != NULL) {
		size_t len = strcspn(++path, "}");

		json_array_append_new(
			list, json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", path, len, "in",
				      "path", "required", 1, "schema", "type", "string"));
	}
}

static json_t *operation(
	const struct http_endpoint *e, const char *path, const struct object_schema *type)
{
	const char *media = e->media != NULL ? e->media : "application/json";
	json_t *op, *parameters = json_array();

	add_path_parameters(parameters, path);
	add_parameters(parameters, e->query);
	if ((e->flags & ENDPOINT_CHANGES) != 0)
		add_parameters(parameters, change_query);
	op = json_pack("{s:s, s:o, s:{s:{s:s, s:o}, s:{s:s, s:o}}}", "summary", e->summary,
		"parameters", parameters, "responses", "200", "description", "OK", "content",
		content(media, strcmp(media, "application/json") == 0
				       ? schema_of(e->reply, type)
				       : json_pack("{s:s}", "type", "string")),
		"default", "description", "refused or failed", "content",
		content("application/problem+json", schema_ref("Problem")));
	if (e->body != NULL)
		json_object_set_new(op, "requestBody",
			json_pack("{s:b, s:o}", "required", 1, "content",
				content(strcmp(e->body, "Patch") == 0
						? "application/merge-patch+json"
						: "application/json",
					schema_of(e->body, type))));
	return op;
}

static void add_path(json_t *paths, const struct http_endpoint *e, const char *path,
	const struct object_schema *type)
{
	json_t *item = json_object_get(paths, path);
	char method[8] = "";

	for (size_t i = 0; e->method[i] != '\0' && i < sizeof(method) - 1; i++)
		method[i] = (char)tolower((unsigned char)e->method[i]);
	if (item == NULL) {
		item = json_object();
		json_object_set_new(paths, path, item);
	}
	json_object_set_new(item, method, operation(e, path, type));
}

/** An endpoint of {objects} stands for one path a type. */
static void add_endpoint(json_t *paths, const struct http_endpoint *e)
{
	static const char placeholder[] = "{objects}";
	const char *at = strstr(e->path, placeholder);

	if (at == NULL) {
		add_path(paths, e, e->path, NULL);
		return;
	}
	for (size_t t = 0; t < OBJECT_TYPE_COUNT; t++) {
		char path[128];

		snprintf(path, sizeof(path), "%.*s%s%s", (int)(at - e->path), e->path,
			object_schemas[t].plural, at + sizeof(placeholder) - 1);
		add_path(paths, e, path, &object_schemas[t]);
	}
}

json_t *openapi_document(const struct http_endpoint *const *tables)
{
	json_t *paths = json_object(), *schemas = schema_openapi_components();

	json_object_update_new(schemas, json_loads(components, 0, NULL));
	for (; *tables != NULL; tables++) {
		for (const struct http_endpoint *e = *tables; e->method != NULL; e++)
			add_endpoint(paths, e);
	}
	return json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:s, s:s}], s:o, s:{s:o}}", "openapi",
		"3.1.0", "info", "title", "Podlane", "version", PODLANE_VERSION, "description",
		"The API of podlaned, on the Unix socket /run/podlane/api.sock.", "servers", "url",
		"http://localhost", "description", "over the Unix socket", "paths", paths,
		"components", "schemas", schemas);
}

/* Markdown. */

static void add_line(struct text *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void add_line(struct text *out, const char *format, ...)
{
	char line[1024];
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (len > 0)
		text_add(out, line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1);
}

static void describe_query(struct text *out, const struct parameter *p)
{
	for (; p != NULL && p->name != NULL; p++)
		add_line(out, "- `?%s=` %s\n", p->name, p->doc);
}

char *openapi_markdown(const struct http_endpoint *const *tables)
{
	struct text out = { 0 };

	for (; *tables != NULL; tables++) {
		for (const struct http_endpoint *e = *tables; e->method != NULL; e++) {
			add_line(&out, "### %s %s\n\n%s", e->method, e->path, e->summary);
			if (e->media != NULL)
				add_line(&out, " Replies with `%s`.", e->media);
			if ((e->flags & ENDPOINT_TCP) != 0)
				add_line(&out, " Also on `node.metrics_listen`.");
			add_line(&out, "\n\n");
			describe_query(&out, e->query);
			if ((e->flags & ENDPOINT_CHANGES) != 0)
				describe_query(&out, change_query);
			if (e->query != NULL || (e->flags & ENDPOINT_CHANGES) != 0)
				add_line(&out, "\n");
		}
	}
	text_add(&out, "", 1);
	if (out.failed) {
		text_free(&out);
		return NULL;
	}
	return out.data;
}
