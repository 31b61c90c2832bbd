/* SPDX-License-Identifier: Apache-2.0 */
/* Namespace, Pod and Node (core v1): labels, addresses and named ports are what policies see. */
#include "ctrl/import/kubernetes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int import_namespace(struct import *import, const json_t *doc)
{
	json_t *labels = metadata_labels(import, doc);
	size_t i;
	json_t *label;

	if (labels == NULL)
		return -EINVAL;
	/* Goes without saying. */
	json_array_foreach (labels, i, label) {
		if (strncmp(json_string_value(label), "kubernetes.io/metadata.name=", 28) == 0) {
			json_array_remove(labels, i);
			break;
		}
	}
	return import_add(import, OBJECT_NAMESPACE,
		json_pack("{s:s, s:o}", "name", metadata_name(doc), "labels", labels));
}

/** Texts of a list of objects' members, or of one member, as a set: podIPs and podIP, hostIPs and hostIP. */
static json_t *addresses(
	const json_t *status, const char *many, const char *member_name, const char *one)
{
	json_t *list = json_array(), *item;
	const char *single = json_string_value(json_object_get(status, one));
	bool there = single == NULL || single[0] == '\0';
	size_t i;

	json_array_foreach (json_object_get(status, many), i, item) {
		const char *text = json_string_value(json_object_get(item, member_name));

		if (text == NULL)
			continue;
		there = there || strcmp(text, single) == 0;
		json_array_append_new(list, json_string(text));
	}
	if (!there)
		json_array_insert_new(list, 0, json_string(single));
	return list;
}

static int named_ports(
	struct import *import, const json_t *containers, const char *path, json_t *list)
{
	size_t i, j;
	json_t *container, *port;

	json_array_foreach (containers, i, container) {
		json_array_foreach (json_object_get(container, "ports"), j, port) {
			const char *name = json_string_value(json_object_get(port, "name"));
			const char *protocol = json_string_value(json_object_get(port, "protocol"));
			json_int_t number =
				json_integer_value(json_object_get(port, "containerPort"));
			char at[IMPORT_PATH_MAX];
			const char *lower = protocol == NULL || strcmp(protocol, "TCP") == 0 ? "tcp"
					    : strcmp(protocol, "UDP") == 0		     ? "udp"
					    : strcmp(protocol, "SCTP") == 0 ? "sctp"
									    : NULL;

			snprintf(at, sizeof(at), "%s[%zu].ports[%zu]", path, i, j);
			if (lower == NULL)
				return import_error(import, at,
					"protocol \"%.20s\" is not understood: write TCP, UDP or "
					"SCTP",
					protocol);
			if (number < 1 || number > 65535)
				return import_error(import, at,
					"containerPort is missing or no port: write 1 to 65535");
			if (name != NULL)
				json_array_append_new(
					list, json_sprintf("%s=%d/%s", name, (int)number, lower));
		}
	}
	return 0;
}

/** Containers, and init containers that go on beside them. */
static json_t *pod_ports(struct import *import, const json_t *spec)
{
	json_t *list = json_array(), *sidecars = json_array(), *container;
	int ret = named_ports(import, json_object_get(spec, "containers"), "spec.containers", list);
	size_t i;

	json_array_foreach (json_object_get(spec, "initContainers"), i, container) {
		const char *policy = json_string_value(json_object_get(container, "restartPolicy"));

		if (policy != NULL && strcmp(policy, "Always") == 0)
			json_array_append(sidecars, container);
	}
	if (ret == 0)
		ret = named_ports(import, sidecars, "spec.initContainers", list);
	json_decref(sidecars);
	if (ret == 0)
		return list;
	json_decref(list);
	return NULL;
}

/** Why a pod takes no part; NULL when it does. */
static const char *pod_apart(const struct import *import, const json_t *doc, const json_t *own)
{
	const char *phase =
		json_string_value(json_object_get(json_object_get(doc, "status"), "phase"));

	if (json_is_true(json_object_get(json_object_get(doc, "spec"), "hostNetwork")))
		return "left out: it has the node's network, to policies it is the node";
	if (phase != NULL && (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0))
		return "left out: it has ended, and its address may be another's";
	return json_array_size(own) == 0 && !import->without_address
		       ? "left out: it has no address yet"
		       : NULL;
}

int import_pod(struct import *import, const json_t *doc)
{
	const json_t *spec = json_object_get(doc, "spec"), *status = json_object_get(doc, "status");
	const char *name = metadata_name(doc), *ns = metadata_namespace(doc), *apart;
	const char *on = json_string_value(json_object_get(spec, "nodeName"));
	json_t *own = addresses(status, "podIPs", "ip", "podIP"), *labels = NULL, *ports = NULL;
	char key[400];
	int ret = -EINVAL;

	apart = pod_apart(import, doc, own);
	if (apart != NULL) {
		import_note(import, "%s", apart);
		json_decref(own);
		return 0;
	}
	labels = metadata_labels(import, doc);
	ports = labels != NULL ? pod_ports(import, spec) : NULL;
	if (ports != NULL) {
		snprintf(key, sizeof(key), "%s/%s", ns, name);
		json_object_set_new(import->pods, key,
			json_pack("{s:s, s:o, s:O}", "node", on != NULL ? on : "", "host_ips",
				addresses(status, "hostIPs", "ip", "hostIP"), "addresses", own));
		ret = import_add(import, OBJECT_ENDPOINT,
			json_pack("{s:o, s:s, s:O, s:O, s:O}", "name",
				json_sprintf("%s.%s", ns, name), "namespace", ns, "labels", labels,
				"addresses", own, "ports", ports));
	}
	json_decref(labels);
	json_decref(ports);
	json_decref(own);
	return ret;
}

int import_node(struct import *import, const json_t *doc)
{
	json_t *list = json_array(), *labels = metadata_labels(import, doc), *item;
	size_t i;

	json_array_foreach (json_object_get(json_object_get(doc, "status"), "addresses"), i, item) {
		const char *type = json_string_value(json_object_get(item, "type"));
		const char *address = json_string_value(json_object_get(item, "address"));
		json_t *value = json_string(address);
		size_t j;
		json_t *other;
		bool again = false;

		json_array_foreach (list, j, other)
			again = again || json_equal(other, value);
		/* Names are the other types. */
		if (!again && type != NULL && address != NULL && strstr(type, "IP") != NULL)
			json_array_append(list, value);
		json_decref(value);
	}
	if (labels == NULL) {
		json_decref(list);
		return -EINVAL;
	}
	if (json_array_size(list) == 0) {
		import_note(import, "left out: it has no address in status.addresses");
		json_decref(list);
		json_decref(labels);
		return 0;
	}
	json_object_set(import->nodes, metadata_name(doc), list);
	return import_add(import, OBJECT_ENDPOINT,
		json_pack("{s:s, s:s, s:o, s:o}", "name", metadata_name(doc), "kind", "node",
			"labels", labels, "addresses", list));
}
