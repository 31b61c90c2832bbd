/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/import/kubernetes.h"

#include "ctrl/import/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int import_init(struct import *import)
{
	*import = (struct import){ .objects = json_array(),
		.notes = json_array(),
		.pods = json_object(),
		.nodes = json_object(),
		.seen = json_object() };
	return import->objects != NULL && import->seen != NULL && import->notes != NULL &&
			       import->pods != NULL && import->nodes != NULL
		       ? 0
		       : -ENOMEM;
}

void import_free(struct import *import)
{
	json_decref(import->objects);
	json_decref(import->notes);
	json_decref(import->pods);
	json_decref(import->nodes);
	json_decref(import->seen);
}

int import_error(struct import *import, const char *path, const char *fmt, ...)
{
	const struct import_place *at = &import->at;
	char text[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	error_set(import->err, EINVAL, path, "%s: document %zu%s%.160s: %s%s%s", at->file,
		at->document, at->what[0] != '\0' ? ", " : "", at->what, path,
		path[0] != '\0' ? ": " : "", text);
	return -EINVAL;
}

void import_note(struct import *import, const char *fmt, ...)
{
	char text[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(import->notes, json_sprintf("%s: %s", import->at.what, text));
}

int import_add(struct import *import, enum object_type type, json_t *object)
{
	const char *name = json_string_value(json_object_get(object, "name"));
	json_t *item = json_pack("{s:i, s:o}", "type", (int)type, "object", object), *before;
	char key[512];

	snprintf(key, sizeof(key), "%d/%s", (int)type, name != NULL ? name : "");
	before = json_object_get(import->seen, key);
	if (before != NULL) {
		int ret = json_equal(before, object)
				  ? 0
				  : import_error(import, "",
					    "there is another of this name before: remove one");

		json_decref(item);
		return ret;
	}
	json_object_set(import->seen, key, object);
	return item != NULL && json_array_append_new(import->objects, item) == 0 ? 0 : -ENOMEM;
}

/* --- members ---------------------------------------------------------------------------------------------------- */

static const char *type_text(const json_t *value)
{
	static const char *const names[] = { [JSON_OBJECT] = "a mapping",
		[JSON_ARRAY] = "a list",
		[JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number",
		[JSON_REAL] = "a fraction",
		[JSON_TRUE] = "true",
		[JSON_FALSE] = "false",
		[JSON_NULL] = "nothing" };

	return names[json_typeof(value)];
}

const char *join(char *buf, const char *path, const char *name)
{
	snprintf(buf, IMPORT_PATH_MAX, "%s%s%s", path, path[0] != '\0' ? "." : "", name);
	return buf;
}

const char *join_index(char *buf, const char *path, size_t index)
{
	snprintf(buf, IMPORT_PATH_MAX, "%s[%zu]", path, index);
	return buf;
}

json_t *import_member(struct import *import, const json_t *object, const char *path,
	const char *name, json_type type, int *ret)
{
	json_t *value = json_object_get(object, name);
	char at[IMPORT_PATH_MAX];
	bool fits;

	if (value == NULL || json_is_null(value))
		return NULL;
	fits = type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == type;
	if (fits)
		return value;
	*ret = import_error(import, join(at, path, name), "expected %s, found %s%s",
		type == JSON_TRUE     ? "true or false"
		: type == JSON_OBJECT ? "a mapping"
		: type == JSON_ARRAY  ? "a list"
		: type == JSON_STRING ? "a string"
				      : "a number",
		type_text(value), type == JSON_STRING ? ": put it in quotes" : "");
	return NULL;
}

int members_only(
	struct import *import, const json_t *object, const char *path, const char *const *known)
{
	const char *key;
	json_t *value;
	char at[IMPORT_PATH_MAX];

	json_object_foreach ((json_t *)object, key, value) {
		size_t i = 0;

		while (known[i] != NULL && strcmp(known[i], key) != 0)
			i++;
		if (known[i] == NULL)
			return import_error(import, join(at, path, key),
				"unknown field: remove it, or correct its name");
	}
	return 0;
}

/* --- metadata --------------------------------------------------------------------------------------------------- */

const char *metadata_name(const json_t *doc)
{
	return json_string_value(json_object_get(json_object_get(doc, "metadata"), "name"));
}

const char *metadata_namespace(const json_t *doc)
{
	const char *name =
		json_string_value(json_object_get(json_object_get(doc, "metadata"), "namespace"));

	return name != NULL && name[0] != '\0' ? name : "default";
}

json_t *metadata_labels(struct import *import, const json_t *doc)
{
	int ret = 0;
	const json_t *labels = import_member(
		import, json_object_get(doc, "metadata"), "metadata", "labels", JSON_OBJECT, &ret);
	json_t *list = json_array(), *value;
	const char *key;

	json_object_foreach ((json_t *)labels, key, value) {
		char path[IMPORT_PATH_MAX];

		if (ret == 0 && !json_is_string(value))
			ret = import_error(import, join(path, "metadata.labels", key),
				"expected a string, found %s: put it in quotes", type_text(value));
		if (ret == 0)
			json_array_append_new(
				list, json_sprintf("%s=%s", key, json_string_value(value)));
	}
	if (ret == 0)
		return list;
	json_decref(list);
	return NULL;
}

static int check_metadata(struct import *import, const json_t *doc, bool strict)
{
	static const char *const known[] = { "name", "namespace", "labels", "annotations", "uid",
		"resourceVersion", "generation", "creationTimestamp", "managedFields",
		"ownerReferences", "finalizers", "selfLink", "deletionTimestamp",
		"deletionGracePeriodSeconds", "generateName", NULL };
	int ret = 0;
	const json_t *metadata = import_member(import, doc, "", "metadata", JSON_OBJECT, &ret);

	if (ret < 0)
		return ret;
	if (metadata == NULL)
		return import_error(import, "metadata", "is missing: an object needs a name");
	if (import_member(import, metadata, "metadata", "name", JSON_STRING, &ret) == NULL)
		return ret < 0 ? ret : import_error(import, "metadata.name", "is missing: give it");
	import_member(import, metadata, "metadata", "namespace", JSON_STRING, &ret);
	if (ret == 0 && strict)
		ret = members_only(import, metadata, "metadata", known);
	return ret;
}

/* --- kinds ------------------------------------------------------------------------------------------------------ */

static const struct kind {
	const char *api, *kind;
	int (*read)(struct import *import, const json_t *doc);
	bool namespaced, strict;
} kinds[] = {
	{ "v1", "Namespace", import_namespace, false, false },
	{ "v1", "Pod", import_pod, true, false },
	{ "v1", "Node", import_node, false, false },
	{ "networking.k8s.io/v1", "NetworkPolicy", import_network_policy, true, true },
	{ "policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", import_cluster_policy, false,
		true },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Often in the same files, and nothing that a policy selects: left out with a note. */
static const char *const beside[] = { "Service", "ServiceAccount", "ConfigMap", "Secret",
	"Endpoints", "EndpointSlice", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job",
	"CronJob", "Ingress", "PersistentVolumeClaim", "PersistentVolume", "StorageClass", "Role",
	"RoleBinding", "ClusterRole", "ClusterRoleBinding", "HorizontalPodAutoscaler",
	"PodDisruptionBudget", "LimitRange", "ResourceQuota", "CustomResourceDefinition", NULL };

static int refuse_kind(struct import *import, const char *api, const char *kind)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (strcmp(kinds[i].kind, kind) == 0)
			return import_error(import, "apiVersion",
				"\"%.80s\" is not understood: %s of %s is", api, kind,
				kinds[i].api);
	}
	if (strcmp(kind, "AdminNetworkPolicy") == 0 ||
		strcmp(kind, "BaselineAdminNetworkPolicy") == 0)
		return import_error(import, "kind",
			"is superseded: write a ClusterNetworkPolicy of "
			"policy.networking.k8s.io/v1alpha2");
	return import_error(import, "kind",
		"\"%.80s\" of %.80s is not understood: leave the document out", kind, api);
}

static int import_document(
	struct import *import, const json_t *doc, const char *list_api, const char *list_kind);

static int import_list(struct import *import, const json_t *doc, const char *api, const char *kind)
{
	int ret = 0;
	const json_t *items = import_member(import, doc, "", "items", JSON_ARRAY, &ret);
	char item_kind[80];
	size_t i;
	json_t *item;

	/* Members of a typed list may leave out what the list says. */
	snprintf(item_kind, sizeof(item_kind), "%.*s", (int)(strlen(kind) - 4), kind);
	if (ret == 0 && items == NULL)
		ret = import_error(import, "items", "is missing: a list has items");
	json_array_foreach (items, i, item) {
		if (ret == 0)
			ret = import_document(import, item, api, item_kind);
	}
	return ret;
}

static int import_document(
	struct import *import, const json_t *doc, const char *list_api, const char *list_kind)
{
	static const char *const top[] = { "apiVersion", "kind", "metadata", "spec", "status",
		NULL };
	const char *api, *kind;
	int ret = 0;

	import->at.what[0] = '\0';
	if (!json_is_object(doc))
		return import_error(import, "",
			"expected an object with apiVersion and kind, found %s", type_text(doc));
	api = json_string_value(json_object_get(doc, "apiVersion"));
	kind = json_string_value(json_object_get(doc, "kind"));
	api = api != NULL ? api : list_api;
	kind = kind != NULL ? kind : list_kind;
	if (api == NULL || kind == NULL || kind[0] == '\0')
		return import_error(import, api == NULL ? "apiVersion" : "kind",
			"is missing: this is no object of Kubernetes");
	snprintf(import->at.what, sizeof(import->at.what), "%.80s", kind);
	if (strlen(kind) >= 4 && strcmp(kind + strlen(kind) - 4, "List") == 0)
		return import_list(import, doc, strcmp(kind, "List") == 0 ? NULL : api, kind);
	for (size_t i = 0; beside[i] != NULL; i++) {
		if (strcmp(kind, beside[i]) == 0) {
			snprintf(import->at.what, sizeof(import->at.what), "%s %.250s", kind,
				metadata_name(doc) != NULL ? metadata_name(doc) : "?");
			import_note(import, "left out: policies select pods, not this");
			return 0;
		}
	}
	for (size_t i = 0; i < KINDS; i++) {
		const struct kind *k = &kinds[i];

		if (strcmp(k->kind, kind) != 0 || strcmp(k->api, api) != 0)
			continue;
		ret = check_metadata(import, doc, k->strict);
		if (ret < 0)
			return ret;
		snprintf(import->at.what, sizeof(import->at.what), "%s %.63s%s%.253s", kind,
			k->namespaced ? metadata_namespace(doc) : "", k->namespaced ? "/" : "",
			metadata_name(doc));
		if (k->strict)
			ret = members_only(import, doc, "", top);
		return ret < 0 ? ret : k->read(import, doc);
	}
	return refuse_kind(import, api, kind);
}

int import_text(
	struct import *import, const char *file, const char *text, size_t len, struct error *err)
{
	json_t *documents;
	size_t i;
	json_t *doc;
	int ret = 0;

	import->err = err;
	import->at = (struct import_place){ .file = file };
	documents = yaml_load(text, len, err);
	if (documents == NULL) {
		char what[sizeof(err->text)];

		snprintf(what, sizeof(what), "%s", err->text);
		return error_set(err, EINVAL, NULL, "%s:%u: %.240s", file, err->line, what);
	}
	json_array_foreach (documents, i, doc) {
		import->at.document = i + 1;
		if (ret == 0 && !json_is_null(doc))
			ret = import_document(import, doc, NULL, NULL);
	}
	json_decref(documents);
	return ret;
}
