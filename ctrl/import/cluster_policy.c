/* SPDX-License-Identifier: Apache-2.0 */
/* ClusterNetworkPolicy, policy.networking.k8s.io/v1alpha2. Its two tiers pass what no rule decides, so that policies isolate
 * nothing by being there. */
#include "ctrl/import/kubernetes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADMIN_ORDER    1000
#define BASELINE_ORDER 10000000 /* behind tier default, where NetworkPolicy lives */

/** The one member of an object that must have exactly one. NULL after a refusal. */
static const char *only_member(
	struct import *import, const json_t *object, const char *path, const char *const *known)
{
	const char *only = NULL, *key;
	json_t *value;
	size_t n = 0;

	if (!json_is_object(object)) {
		import_error(import, path, "expected a mapping");
		return NULL;
	}
	if (members_only(import, object, path, known) < 0)
		return NULL;
	json_object_foreach ((json_t *)object, key, value) {
		only = key;
		n++;
	}
	if (n != 1) {
		char all[120] = "";
		size_t used = 0;

		for (size_t i = 0; known[i] != NULL && used < sizeof(all); i++)
			used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
				i > 0 ? ", " : "", known[i]);
		import_error(import, path, "needs exactly one of %s", all);
		return NULL;
	}
	return only;
}

static int set_selector(struct import *import, json_t *out, const char *field,
	const json_t *selector, const char *path)
{
	char *text;

	if (!json_is_object(selector))
		return import_error(import, path, "expected a selector; {} selects all");
	text = selector_text(import, selector, path);
	if (text == NULL)
		return -EINVAL;
	json_object_set_new(out, field, json_string(text));
	free(text);
	return 0;
}

/** {namespaceSelector, podSelector}. */
static int read_pods(struct import *import, const json_t *pods, const char *path,
	const char *pod_field, const char *namespace_field, json_t *out)
{
	static const char *const known[] = { "namespaceSelector", "podSelector", NULL };
	json_t *everything = json_object();
	const json_t *namespaces = json_object_get(pods, "namespaceSelector");
	char at[IMPORT_PATH_MAX];
	int ret = json_is_object(pods) ? members_only(import, pods, path, known)
				       : import_error(import, path, "expected a mapping");

	if (ret == 0)
		ret = set_selector(import, out, namespace_field,
			namespaces != NULL ? namespaces : everything,
			join(at, path, "namespaceSelector"));
	if (ret == 0)
		ret = set_selector(import, out, pod_field, json_object_get(pods, "podSelector"),
			join(at, path, "podSelector"));
	json_decref(everything);
	return ret;
}

static int read_networks(struct import *import, const json_t *list, const char *path, json_t *peer)
{
	json_t *cidrs = json_array(), *item;
	char at[IMPORT_PATH_MAX];
	size_t i;
	int ret =
		json_array_size(list) > 0
			? 0
			: import_error(import, path, "is empty: list networks, such as 10.0.0.0/8");

	json_array_foreach (list, i, item) {
		json_t *value =
			ret < 0 ? NULL : network(import, item, join_index(at, path, i), NULL);
		size_t j = 0;

		if (value == NULL) {
			ret = -EINVAL;
			break;
		}
		while (j < json_array_size(cidrs) && !json_equal(json_array_get(cidrs, j), value))
			j++;
		if (j == json_array_size(cidrs))
			json_array_append(cidrs, value);
		json_decref(value);
	}
	json_object_set_new(peer, "destination_cidrs", cidrs);
	return ret;
}

static int read_peer(
	struct import *import, const json_t *item, const char *path, bool egress, json_t *peer)
{
	static const char *const in[] = { "namespaces", "pods", NULL };
	static const char *const out[] = { "namespaces", "pods", "nodes", "networks", "domainNames",
		NULL };
	const char *form = only_member(import, item, path, egress ? out : in);
	const json_t *value = form != NULL ? json_object_get(item, form) : NULL;
	char at[IMPORT_PATH_MAX];

	if (form == NULL)
		return -EINVAL;
	join(at, path, form);
	if (strcmp(form, "namespaces") == 0)
		return set_selector(import, peer,
			egress ? "destination_namespaces" : "source_namespaces", value, at);
	if (strcmp(form, "pods") == 0)
		return read_pods(import, value, at, egress ? "destination" : "source",
			egress ? "destination_namespaces" : "source_namespaces", peer);
	if (strcmp(form, "nodes") == 0)
		return set_selector(import, peer, "destination_nodes", value, at);
	if (strcmp(form, "networks") == 0)
		return read_networks(import, value, at, peer);
	return import_error(
		import, at, "is not supported: packets carry addresses, not names; write networks");
}

/** {number} or {range: {start, end}} as text. */
static int read_port(
	struct import *import, const json_t *port, const char *path, char *buf, size_t size)
{
	static const char *const forms[] = { "number", "range", NULL }, *const ends[] = { "start",
		"end", NULL };
	const char *form = only_member(import, port, path, forms);
	const json_t *value = form != NULL ? json_object_get(port, form) : NULL;
	json_int_t first, last;
	char at[IMPORT_PATH_MAX];
	bool range;

	if (form == NULL)
		return -EINVAL;
	range = form[0] == 'r';
	join(at, path, form);
	if (range && (!json_is_object(value) || members_only(import, value, at, ends) < 0))
		return json_is_object(value) ? -EINVAL
					     : import_error(import, at, "expected start and end");
	first = json_integer_value(range ? json_object_get(value, "start") : value);
	last = range ? json_integer_value(json_object_get(value, "end")) : first;
	if (first < 1 || last > 65535 || last < first || (range && last == first))
		return import_error(import, at,
			range ? "is no range: start and end are ports, start the lower one"
			      : "is no port: write 1 to 65535");
	if (range)
		snprintf(buf, size, "%d:%d", (int)first, (int)last);
	else
		snprintf(buf, size, "%d", (int)first);
	return 0;
}

/** One element of `protocols` into matches; a named port is one of any protocol, so three. */
static int read_protocol(
	struct import *import, const json_t *item, const char *path, json_t *matches, bool *named)
{
	static const char *const forms[] = { "tcp", "udp", "sctp", "destinationNamedPort", NULL },
				 *const fields[] = { "destinationPort", NULL };
	const char *form = only_member(import, item, path, forms), *name;
	const json_t *value = form != NULL ? json_object_get(item, form) : NULL;
	char at[IMPORT_PATH_MAX], port_at[IMPORT_PATH_MAX], text[32];

	if (form == NULL)
		return -EINVAL;
	join(at, path, form);
	if (strcmp(form, "destinationNamedPort") == 0) {
		name = json_string_value(value);
		if (name == NULL || strlen(name) > 63 || name[strspn(name, "0123456789:")] == '\0')
			return import_error(import, at, "is no name of a port");
		for (size_t i = 0; i < 3; i++)
			json_array_append_new(
				matches, json_pack("{s:s, s:[s]}", "protocol", forms[i],
						 "destination_ports", name));
		*named = true;
		return 0;
	}
	if (only_member(import, value, at, fields) == NULL ||
		read_port(import, json_object_get(value, "destinationPort"),
			join(port_at, at, "destinationPort"), text, sizeof(text)) < 0)
		return -EINVAL;
	json_array_append_new(
		matches, json_pack("{s:s, s:[s]}", "protocol", form, "destination_ports", text));
	return 0;
}

static const char *action_text(const char *action)
{
	if (action == NULL)
		return NULL;
	return strcmp(action, "Accept") == 0 ? "allow"
	       : strcmp(action, "Deny") == 0 ? "deny"
	       : strcmp(action, "Pass") == 0 ? "pass"
					     : NULL;
}

/** Networks and nodes have no named ports. */
static bool has_pods_only(const json_t *peers)
{
	size_t i;
	json_t *peer;

	json_array_foreach (peers, i, peer) {
		if (json_object_get(peer, "destination_cidrs") != NULL ||
			json_object_get(peer, "destination_nodes") != NULL)
			return false;
	}
	return true;
}

static int read_rule(
	struct import *import, const json_t *item, const char *path, bool egress, json_t *rules)
{
	const char *const known[] = { "name", "action", egress ? "to" : "from", "protocols", NULL };
	int ret = json_is_object(item) ? members_only(import, item, path, known)
				       : import_error(import, path, "is no rule: write a mapping");
	const char *name = json_string_value(
		ret < 0 ? NULL : import_member(import, item, path, "name", JSON_STRING, &ret));
	const char *action = json_string_value(
		ret < 0 ? NULL : import_member(import, item, path, "action", JSON_STRING, &ret));
	const json_t *peer_list =
		ret < 0 ? NULL : import_member(import, item, path, known[2], JSON_ARRAY, &ret);
	const json_t *protocols =
		ret < 0 ? NULL : import_member(import, item, path, "protocols", JSON_ARRAY, &ret);
	json_t *peers = json_array(), *matches = json_array(), *base = NULL, *element;
	char at[IMPORT_PATH_MAX], field[IMPORT_PATH_MAX];
	bool named = false;
	size_t i;

	if (ret == 0 && action_text(action) == NULL)
		ret = import_error(import, join(at, path, "action"),
			"is missing or not understood: write Accept, Deny or Pass");
	if (ret == 0 && json_array_size(peer_list) == 0)
		ret = import_error(import, join(at, path, known[2]),
			"is missing or empty: list peers; namespaces: {} is every pod");
	if (ret == 0 && protocols != NULL && json_array_size(protocols) == 0)
		ret = import_error(
			import, join(at, path, "protocols"), "is empty: leave it out for any");
	json_array_foreach (peer_list, i, element) {
		json_t *peer = json_object();

		if (ret == 0)
			ret = read_peer(import, element,
				join_index(at, join(field, path, known[2]), i), egress, peer);
		json_array_append_new(peers, peer);
	}
	json_array_foreach (protocols, i, element) {
		if (ret == 0)
			ret = read_protocol(import, element,
				join_index(at, join(field, path, "protocols"), i), matches, &named);
	}
	if (ret == 0 && named && !has_pods_only(peers))
		ret = import_error(
			import, path, "networks and nodes have no named ports: write numbers");
	if (ret == 0) {
		base = json_pack("{s:s, s:s}", "name", name != NULL ? name : strchr(path, '.') + 1,
			"action", action_text(action));
		ret = multiply(rules, base, peers, matches);
	}
	json_decref(base);
	json_decref(peers);
	json_decref(matches);
	return ret;
}

static int read_subject(struct import *import, const json_t *spec, json_t *policy)
{
	static const char *const forms[] = { "namespaces", "pods", NULL };
	const json_t *subject = json_object_get(spec, "subject");
	const char *form = only_member(import, subject, "spec.subject", forms);

	if (form == NULL)
		return -EINVAL;
	if (form[0] == 'n')
		return set_selector(import, policy, "namespace_selector",
			json_object_get(subject, form), "spec.subject.namespaces");
	return read_pods(import, json_object_get(subject, form), "spec.subject.pods", "selector",
		"namespace_selector", policy);
}

static int add_tier(struct import *import, bool admin)
{
	return import_add(import, OBJECT_TIER,
		json_pack("{s:s, s:i, s:s}", "name", admin ? "kube-admin" : "kube-baseline",
			"order", admin ? ADMIN_ORDER : BASELINE_ORDER, "default_action", "pass"));
}

int import_cluster_policy(struct import *import, const json_t *doc)
{
	static const char *const known[] = { "tier", "priority", "subject", "ingress", "egress",
		NULL };
	static const char *const directions[] = { "ingress", "egress" };
	int ret = 0;
	const json_t *spec = import_member(import, doc, "", "spec", JSON_OBJECT, &ret), *priority;
	const char *tier;
	json_t *policy;
	bool admin;

	if (ret < 0)
		return ret;
	if (spec == NULL)
		return import_error(
			import, "spec", "is missing: a policy without it means nothing");
	ret = members_only(import, spec, "spec", known);
	tier = json_string_value(
		ret < 0 ? NULL : import_member(import, spec, "spec", "tier", JSON_STRING, &ret));
	priority = ret < 0 ? NULL
			   : import_member(import, spec, "spec", "priority", JSON_INTEGER, &ret);
	if (ret < 0)
		return ret;
	admin = tier != NULL && strcmp(tier, "Admin") == 0;
	if (!admin && (tier == NULL || strcmp(tier, "Baseline") != 0))
		return import_error(import, "spec.tier",
			"is missing or not understood: write Admin or Baseline");
	if (priority == NULL || json_integer_value(priority) < 0 ||
		json_integer_value(priority) > 1000)
		return import_error(import, "spec.priority",
			"is missing or out of range: write 0 to 1000, lower goes first");
	policy =
		json_pack("{s:o, s:s, s:O}", "name", json_sprintf("cluster_%s", metadata_name(doc)),
			"tier", admin ? "kube-admin" : "kube-baseline", "order", priority);
	ret = read_subject(import, spec, policy);
	for (int d = 0; d < 2 && ret == 0; d++) {
		const json_t *list =
			import_member(import, spec, "spec", directions[d], JSON_ARRAY, &ret);
		json_t *rules = json_array(), *item;
		char at[IMPORT_PATH_MAX], field[IMPORT_PATH_MAX];
		size_t i;

		json_array_foreach (list, i, item) {
			if (ret == 0)
				ret = read_rule(import, item,
					join_index(at, join(field, "spec", directions[d]), i),
					d == 1, rules);
		}
		json_object_set_new(policy, directions[d], rules);
	}
	if (ret == 0)
		ret = add_tier(import, admin);
	if (ret == 0)
		return import_add(import, OBJECT_POLICY, policy);
	json_decref(policy);
	return ret;
}
