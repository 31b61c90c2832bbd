/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkPolicy, networking.k8s.io/v1. Defaults are those of its API reference: no policyTypes means Ingress, and Egress as
 * well when there are egress rules; no or empty `from`, `to` and `ports` mean any; a podSelector alone means the policy's
 * own namespace. */
#include "ctrl/import/kubernetes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One direction of a policy. */
struct direction {
	const char *type, *rules, *peers, *end; /* "Ingress", "ingress", "from", "source" */
};
static const struct direction directions[] = { { "Ingress", "ingress", "from", "source" },
	{ "Egress", "egress", "to", "destination" } };

static int set_field(json_t *object, const char *end, const char *suffix, json_t *value)
{
	char name[48];

	snprintf(name, sizeof(name), "%s%s", end, suffix);
	return json_object_set_new(object, name, value);
}

static int read_block(
	struct import *import, const json_t *block, const char *path, const char *end, json_t *peer)
{
	static const char *const known[] = { "cidr", "except", NULL };
	int ret = members_only(import, block, path, known);
	const json_t *except =
		ret < 0 ? NULL : import_member(import, block, path, "except", JSON_ARRAY, &ret);
	struct ip_prefix around, hole;
	char at[IMPORT_PATH_MAX], element[IMPORT_PATH_MAX];
	json_t *cidr, *holes, *item;
	size_t i;

	if (ret < 0)
		return ret;
	cidr = network(import, json_object_get(block, "cidr"), join(at, path, "cidr"), &around);
	if (cidr == NULL)
		return -EINVAL;
	set_field(peer, end, "_cidrs", json_pack("[o]", cidr));
	holes = json_array();
	json_array_foreach (except, i, item) {
		json_t *value = network(
			import, item, join_index(element, join(at, path, "except"), i), &hole);
		size_t j, n = json_array_size(holes);

		if (value != NULL &&
			(hole.len <= around.len || !ip_prefix_contains(&around, &hole.addr))) {
			import_error(import, element, "%s is not within cidr: correct one of them",
				json_string_value(value));
			json_decref(value);
			value = NULL;
		}
		if (value == NULL) {
			json_decref(holes);
			return -EINVAL;
		}
		for (j = 0; j < n && !json_equal(json_array_get(holes, j), value); j++)
			;
		if (j == n)
			json_array_append(holes, value);
		json_decref(value);
	}
	return set_field(peer, end, "_not_cidrs", holes);
}

static int read_peer(
	struct import *import, const json_t *item, const char *path, const char *end, json_t *peer)
{
	static const char *const known[] = { "podSelector", "namespaceSelector", "ipBlock", NULL };
	int ret = members_only(import, item, path, known);
	const json_t *pods =
		ret < 0 ? NULL
			: import_member(import, item, path, "podSelector", JSON_OBJECT, &ret);
	const json_t *namespaces =
		ret < 0 ? NULL
			: import_member(import, item, path, "namespaceSelector", JSON_OBJECT, &ret);
	const json_t *block =
		ret < 0 ? NULL : import_member(import, item, path, "ipBlock", JSON_OBJECT, &ret);
	char at[IMPORT_PATH_MAX], *text;

	if (ret < 0)
		return ret;
	if (block != NULL && (pods != NULL || namespaces != NULL))
		return import_error(
			import, path, "has an ipBlock and a selector: write them as two peers");
	if (block != NULL)
		return read_block(import, block, join(at, path, "ipBlock"), end, peer);
	if (pods == NULL && namespaces == NULL)
		return import_error(import, path,
			"is empty: give it a podSelector, a namespaceSelector or an ipBlock");
	if (namespaces != NULL) {
		text = selector_text(import, namespaces, join(at, path, "namespaceSelector"));
		if (text == NULL)
			return -EINVAL;
		set_field(peer, end, "_namespaces", json_string(text));
		free(text);
	}
	if (pods != NULL) {
		text = selector_text(import, pods, join(at, path, "podSelector"));
		if (text == NULL)
			return -EINVAL;
		set_field(peer, end, "", json_string(text));
		free(text);
	}
	return 0;
}

static json_t *read_peers(
	struct import *import, const json_t *list, const char *path, const char *end)
{
	json_t *peers = json_array(), *item;
	char at[IMPORT_PATH_MAX];
	size_t i;

	json_array_foreach (list, i, item) {
		json_t *peer = json_object();
		int ret = json_is_object(item)
				  ? read_peer(import, item, join_index(at, path, i), end, peer)
				  : import_error(import, join_index(at, path, i),
					    "is no peer: write a mapping");

		json_array_append_new(peers, peer);
		if (ret < 0) {
			json_decref(peers);
			return NULL;
		}
	}
	return peers;
}

/** "80", "80:90" or a name, in buf; "" = all. @return 0 or -EINVAL. */
static int read_port(
	struct import *import, const json_t *item, const char *path, char *buf, size_t size)
{
	const json_t *port = json_object_get(item, "port"),
		     *end_port = json_object_get(item, "endPort");
	json_int_t first = json_integer_value(port), last = json_integer_value(end_port);
	char at[IMPORT_PATH_MAX];

	buf[0] = '\0';
	if (json_is_null(port))
		port = NULL;
	if (json_is_null(end_port))
		end_port = NULL;
	if (end_port != NULL && !json_is_integer(port))
		return import_error(import, join(at, path, "endPort"),
			"needs a port that is a number: a range begins there");
	if (json_is_string(port)) {
		snprintf(buf, size, "%s", json_string_value(port));
		if (strlen(json_string_value(port)) > 63 || buf[strspn(buf, "0123456789:")] == '\0')
			return import_error(import, join(at, path, "port"),
				"\"%.40s\" is no name of a port: a number goes without quotes",
				json_string_value(port));
		return 0;
	}
	if (port == NULL)
		return 0;
	if (!json_is_integer(port) || first < 1 || first > 65535)
		return import_error(
			import, join(at, path, "port"), "is no port: write 1 to 65535, or a name");
	if (end_port != NULL && (!json_is_integer(end_port) || last < first || last > 65535))
		return import_error(import, join(at, path, "endPort"),
			"is no port from %d to 65535: correct it", (int)first);
	if (end_port != NULL && last > first)
		snprintf(buf, size, "%d:%d", (int)first, (int)last);
	else
		snprintf(buf, size, "%d", (int)first);
	return 0;
}

/** One match for each protocol: its ports together, none when all of them are meant. */
struct by_protocol {
	json_t *ports;
	bool given, all;
};

static int read_ports(struct import *import, const json_t *list, const char *path, json_t *matches)
{
	static const char *const names[] = { "TCP", "UDP", "SCTP" }, *const lower[] = { "tcp",
		"udp", "sctp" };
	static const char *const known[] = { "protocol", "port", "endPort", NULL };
	struct by_protocol by[3] = { { json_array(), 0, 0 }, { json_array(), 0, 0 },
		{ json_array(), 0, 0 } };
	char at[IMPORT_PATH_MAX], field[IMPORT_PATH_MAX], text[80];
	int ret = 0;
	size_t i;
	json_t *item;

	json_array_foreach (list, i, item) {
		const char *protocol;
		size_t p = 0, j = 0;

		join_index(at, path, i);
		ret = json_is_object(item)
			      ? members_only(import, item, at, known)
			      : import_error(import, at, "is no port: write a mapping");
		if (ret < 0)
			break;
		protocol = json_string_value(
			import_member(import, item, at, "protocol", JSON_STRING, &ret));
		while (protocol != NULL && p < 3 && strcmp(protocol, names[p]) != 0)
			p++;
		if (ret == 0 && p == 3)
			ret = import_error(import, join(field, at, "protocol"),
				"\"%.20s\" is not understood: write TCP, UDP or SCTP", protocol);
		if (ret == 0)
			ret = read_port(import, item, at, text, sizeof(text));
		if (ret < 0)
			break;
		by[p].given = true;
		by[p].all = by[p].all || text[0] == '\0';
		while (j < json_array_size(by[p].ports) &&
			strcmp(json_string_value(json_array_get(by[p].ports, j)), text) != 0)
			j++;
		if (text[0] != '\0' && j == json_array_size(by[p].ports))
			json_array_append_new(by[p].ports, json_string(text));
	}
	for (size_t p = 0; p < 3; p++) {
		if (by[p].given && ret == 0)
			json_array_append_new(
				matches, by[p].all ? json_pack("{s:s}", "protocol", lower[p])
						   : json_pack("{s:s, s:O}", "protocol", lower[p],
							     "destination_ports", by[p].ports));
		json_decref(by[p].ports);
	}
	return ret;
}

static int read_rule(struct import *import, const json_t *item, const char *path,
	const struct direction *d, json_t *rules)
{
	const char *const known[] = { d->peers, "ports", NULL };
	int ret = json_is_object(item) ? members_only(import, item, path, known)
				       : import_error(import, path, "is no rule: write a mapping");
	const json_t *peer_list =
		ret < 0 ? NULL : import_member(import, item, path, d->peers, JSON_ARRAY, &ret);
	const json_t *port_list =
		ret < 0 ? NULL : import_member(import, item, path, "ports", JSON_ARRAY, &ret);
	json_t *peers, *matches = json_array(),
		       *base = json_pack("{s:s}", "name", strchr(path, '.') + 1);
	char at[IMPORT_PATH_MAX];

	peers = ret < 0 ? NULL : read_peers(import, peer_list, join(at, path, d->peers), d->end);
	if (peers == NULL)
		ret = -EINVAL;
	if (ret == 0)
		ret = read_ports(import, port_list, join(at, path, "ports"), matches);
	if (ret == 0)
		ret = multiply(rules, base, peers, matches);
	json_decref(peers);
	json_decref(matches);
	json_decref(base);
	return ret;
}

static json_t *read_rules(struct import *import, const json_t *spec, const struct direction *d)
{
	int ret = 0;
	const json_t *list = import_member(import, spec, "spec", d->rules, JSON_ARRAY, &ret);
	json_t *rules = json_array(), *item;
	char at[IMPORT_PATH_MAX], field[IMPORT_PATH_MAX];
	size_t i;

	json_array_foreach (list, i, item) {
		if (ret == 0)
			ret = read_rule(import, item,
				join_index(at, join(field, "spec", d->rules), i), d, rules);
	}
	if (ret == 0)
		return rules;
	json_decref(rules);
	return NULL;
}

/** Bits by direction: what policyTypes says, or its default. -EINVAL after a refusal. */
static int read_types(struct import *import, const json_t *spec)
{
	int ret = 0, bits = 0;
	const json_t *list = import_member(import, spec, "spec", "policyTypes", JSON_ARRAY, &ret);
	char at[IMPORT_PATH_MAX];
	size_t i;
	json_t *item;

	if (ret < 0)
		return ret;
	json_array_foreach (list, i, item) {
		const char *type = json_string_value(item);

		if (type != NULL && strcmp(type, "Ingress") == 0)
			bits |= 1;
		else if (type != NULL && strcmp(type, "Egress") == 0)
			bits |= 2;
		else
			return import_error(import, join_index(at, "spec.policyTypes", i),
				"is not understood: write Ingress or Egress");
	}
	if (bits == 0)
		bits = json_array_size(json_object_get(spec, "egress")) > 0 ? 3 : 1;
	return bits;
}

int import_network_policy(struct import *import, const json_t *doc)
{
	static const char *const known[] = { "podSelector", "policyTypes", "ingress", "egress",
		NULL };
	int ret = 0, bits;
	const json_t *spec = import_member(import, doc, "", "spec", JSON_OBJECT, &ret), *pods;
	json_t *policy, *types;
	char *selector;

	if (ret < 0)
		return ret;
	if (spec == NULL)
		return import_error(
			import, "spec", "is missing: a policy without it means nothing");
	ret = members_only(import, spec, "spec", known);
	pods = ret < 0 ? NULL
		       : import_member(import, spec, "spec", "podSelector", JSON_OBJECT, &ret);
	bits = ret < 0 ? ret : read_types(import, spec);
	if (bits < 0)
		return bits;
	selector = pods != NULL ? selector_text(import, pods, "spec.podSelector") : strdup("all()");
	if (selector == NULL)
		return -EINVAL;
	types = json_array();
	policy = json_pack("{s:o, s:s, s:s, s:o}", "name",
		json_sprintf("%s.%s", metadata_namespace(doc), metadata_name(doc)), "namespace",
		metadata_namespace(doc), "selector", selector, "types", types);
	free(selector);
	for (int d = 0; d < 2 && ret == 0; d++) {
		json_t *rules = read_rules(import, spec, &directions[d]);

		if (rules == NULL) {
			ret = -EINVAL;
		} else if (bits & 1 << d) {
			json_array_append_new(types, json_string(directions[d].rules));
			json_object_set(policy, directions[d].rules, rules);
		} else if (json_array_size(rules) > 0) {
			import_note(import,
				"spec.%s has no effect, because policyTypes does not name %s",
				directions[d].rules, directions[d].type);
		}
		json_decref(rules);
	}
	if (ret == 0)
		return import_add(import, OBJECT_POLICY, policy);
	json_decref(policy);
	return ret;
}
