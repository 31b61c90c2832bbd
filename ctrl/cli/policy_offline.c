/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's compiler and classifier in this process. Every pod of the files counts as a pod of this node, so that both
 * ends of a connection are judged. */
#include "ctrl/cli/policy.h"

#include "config/schema.h"
#include "dataplane/policy/policy.h"
#include "dataplane/rcu.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct offline_pod {
	const char *name;   /* "namespace/name", in the import */
	const json_t *host; /* {node, host_ips, ...} of it */
	struct ip_addr *addresses;
	size_t count;
};

struct offline {
	struct policy_state *state;
	struct policy_table *table;
	struct model *model;
	const json_t *nodes;	  /* of the import, which outlives this */
	struct offline_pod *pods; /* by port */
	size_t n_pods;
	json_t *by_name, *by_address; /* the port */
};

/* --- what there is ------------------------------------------------------------------------------------------------ */

/** Addresses for pods of files that have no status: of the ranges for benchmarks, which no cluster uses. */
static int give_addresses(json_t *list, size_t n)
{
	char text[IP_TEXT_MAX];

	if (json_array_size(list) > 0)
		return 0;
	snprintf(text, sizeof(text), "198.%zu.%zu.%zu", 18 + (n + 1) / 65536, (n + 1) / 256 % 256,
		(n + 1) % 256);
	if (json_array_append_new(list, json_string(text)) < 0)
		return -ENOMEM;
	snprintf(text, sizeof(text), "2001:2::%zx:%zx", 1 + n / 65535, 1 + n % 65535);
	return json_array_append_new(list, json_string(text));
}

static int note_pod(struct offline *o, const char *name, const json_t *pod, struct error *err)
{
	struct offline_pod *p = &o->pods[o->n_pods];
	size_t i;
	json_t *item;

	*p = (struct offline_pod){ .name = name, .host = pod };
	p->addresses =
		calloc(json_array_size(json_object_get(pod, "addresses")), sizeof(*p->addresses));
	if (p->addresses == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	json_array_foreach (json_object_get(pod, "addresses"), i, item) {
		char text[IP_TEXT_MAX];

		if (ip_addr_parse(json_string_value(item), &p->addresses[p->count]) < 0)
			return error_set(err, EINVAL, NULL, "Pod %s: \"%.60s\" is not an address",
				name, json_string_value(item));
		json_object_set_new(o->by_address, ip_addr_format(&p->addresses[p->count++], text),
			json_integer((json_int_t)o->n_pods));
	}
	json_object_set_new(o->by_name, name, json_integer((json_int_t)o->n_pods++));
	return 0;
}

/** An object of the import into a set, an endpoint as a pod of this node if `as_pod`. */
static int put(struct changeset *set, const struct offline *o, const json_t *item, bool as_pod,
	struct error *err)
{
	enum object_type type = (enum object_type)json_integer_value(json_object_get(item, "type"));
	const json_t *object = json_object_get(item, "object"),
		     *addresses = json_object_get(object, "addresses");
	struct object *obj = NULL;
	json_t *pod = NULL;
	char text[IP_TEXT_MAX];
	struct ip_addr addr;
	int ret;

	if (as_pod && type == OBJECT_ENDPOINT && json_object_get(object, "kind") == NULL) {
		ip_addr_parse(json_string_value(json_array_get(addresses, 0)), &addr);
		type = OBJECT_POD;
		/* The name is the port: see port_of. */
		pod = json_pack("{s:o, s:s, s:O, s:O, s:O, s:O}", "name",
			json_sprintf("%d", (int)json_integer_value(json_object_get(
						   o->by_address, ip_addr_format(&addr, text)))),
			"netns", "-", "namespace", json_object_get(object, "namespace"), "labels",
			json_object_get(object, "labels"), "addresses", addresses, "ports",
			json_object_get(object, "ports"));
	}
	ret = object_from_json(type, pod != NULL ? pod : object, &obj, err);
	json_decref(pod);
	return ret < 0 ? ret : changeset_put(set, obj, err);
}

static uint16_t port_of(void *arg, const char *pod)
{
	(void)arg;
	return pod != NULL ? (uint16_t)strtoul(pod, NULL, 10) : POLICY_PORT_NONE;
}

/** All objects as a set, with a node because a model has one. */
static struct changeset *set_of(
	const struct offline *o, const struct import *import, bool as_pods, struct error *err)
{
	struct changeset *set = changeset_new(o->model);
	json_t *node = json_pack("{s:s}", "name", "offline"), *item;
	struct object *obj = NULL;
	size_t i;
	int ret = object_from_json(OBJECT_NODE, node, &obj, err);

	if (ret == 0)
		ret = changeset_put(set, obj, err);
	json_decref(node);
	json_array_foreach (import->objects, i, item) {
		if (ret == 0)
			ret = put(set, o, item, as_pods, err);
	}
	if (ret == 0)
		return set;
	changeset_free(set);
	return NULL;
}

static int compile(struct offline *o, const struct import *import, struct error *err)
{
	const struct policy_ports ports = { .port_of = port_of };
	struct changeset *set = set_of(o, import, false, err);
	const struct change *changes;
	struct policy_txn *txn;
	size_t count;
	int ret = set != NULL ? changeset_validate(set, err) : -EINVAL;

	if (set != NULL)
		changeset_free(set);
	set = ret == 0 ? set_of(o, import, true, err) : NULL;
	if (set == NULL)
		return -EINVAL;
	changes = changeset_changes(set, &count);
	ret = policy_prepare(o->state, set, changes, count, &ports, &txn, err);
	if (ret == 0) {
		o->table = policy_txn_table(txn);
		policy_commit(txn);
		model_apply(o->model, set, NULL); /* the state refers to its objects */
	}
	changeset_free(set);
	return ret;
}

struct offline *offline_new(struct import *import, struct error *err)
{
	struct offline *o = calloc(1, sizeof(*o));
	size_t n = json_object_size(import->pods);
	const char *name;
	json_t *pod;
	int ret = 0;

	if (o == NULL || rcu_init() < 0)
		goto memory;
	o->nodes = import->nodes;
	o->model = model_new();
	o->state = policy_state_new(1);
	o->by_name = json_object();
	o->by_address = json_object();
	o->pods = calloc(n + 1, sizeof(*o->pods));
	if (o->model == NULL || o->state == NULL || o->pods == NULL)
		goto memory;
	if (n >= POLICY_PORT_NONE) {
		error_set(err, EINVAL, NULL, "%zu pods are too many: at most %u can be judged here",
			n, POLICY_PORT_NONE - 1u);
		goto fail;
	}
	json_object_foreach (import->pods, name, pod) {
		if (give_addresses(json_object_get(pod, "addresses"), o->n_pods) < 0)
			goto memory;
		ret = note_pod(o, name, pod, err);
		if (ret < 0)
			goto fail;
	}
	if (compile(o, import, err) == 0)
		return o;
fail:
	offline_free(o);
	return NULL;
memory:
	error_set(err, ENOMEM, NULL, "out of memory");
	goto fail;
}

void offline_free(struct offline *o)
{
	if (o == NULL)
		return;
	for (size_t i = 0; i < o->n_pods; i++)
		free(o->pods[i].addresses);
	free(o->pods);
	json_decref(o->by_name);
	json_decref(o->by_address);
	if (o->state != NULL)
		policy_state_free(o->state);
	model_free(o->model);
	free(o);
}

/* --- judging ------------------------------------------------------------------------------------------------------ */

/* One end of a connection. */
struct offline_end {
	const struct offline_pod *pod; /* NULL: an address that is no pod's */
	uint16_t port;
	struct ip_addr address; /* when pod is NULL */
};

static int find_end(const struct offline *o, const char *text, const char *column,
	struct offline_end *end, struct error *err)
{
	const json_t *port = json_object_get(o->by_name, text);
	char canonical[IP_TEXT_MAX];

	*end = (struct offline_end){ .port = POLICY_PORT_NONE };
	if (port == NULL && ip_addr_parse(text, &end->address) == 0)
		port = json_object_get(o->by_address, ip_addr_format(&end->address, canonical));
	else if (port == NULL)
		return error_set(err, EINVAL, column,
			"there is no pod \"%.120s\": write namespace/pod of the files, or an "
			"address",
			text);
	if (port == NULL)
		return 0;
	end->port = (uint16_t)json_integer_value(port);
	end->pod = &o->pods[end->port];
	return 0;
}

static const struct ip_addr *address_of(const struct offline_end *end, uint8_t family)
{
	if (end->pod == NULL)
		return end->address.family == family ? &end->address : NULL;
	if (end->address.family != IP_NONE)
		return end->address.family == family ? &end->address : NULL;
	for (size_t i = 0; i < end->pod->count; i++) {
		if (end->pod->addresses[i].family == family)
			return &end->pod->addresses[i];
	}
	return NULL;
}

/** Is the sender the node that the receiver runs on? Kubernetes lets a node reach its pods whatever policies say. */
static bool own_node(
	const struct offline *o, const struct offline_end *src, const struct offline_end *dst)
{
	const json_t *lists[2], *item;
	size_t i;

	if (src->pod != NULL || dst->pod == NULL)
		return false;
	lists[0] = json_object_get(dst->pod->host, "host_ips");
	lists[1] = json_object_get(
		o->nodes, json_string_value(json_object_get(dst->pod->host, "node")));
	for (size_t list = 0; list < 2; list++) {
		json_array_foreach (lists[list], i, item) {
			struct ip_addr addr;

			if (ip_addr_parse(json_string_value(item), &addr) == 0 &&
				ip_addr_equal(&addr, &src->address))
				return true;
		}
	}
	return false;
}

static void judge(const struct offline *o, const struct ip_addr *src, const struct ip_addr *dst,
	const struct policy_line *line, uint16_t from, uint16_t to, struct policy_verdict *verdict)
{
	if (src->family == IP_V4) {
		struct flow_key4 key = { .dport = htons(line->port), .zone_proto = line->proto };

		memcpy(&key.src, src->bytes, 4);
		memcpy(&key.dst, dst->bytes, 4);
		policy_judge4(o->table, &key, from, to, NULL, verdict);
	} else {
		struct flow_key6 key = { .dport = htons(line->port), .zone_proto = line->proto };

		memcpy(key.src, src->bytes, 16);
		memcpy(key.dst, dst->bytes, 16);
		policy_judge6(o->table, &key, from, to, NULL, verdict);
	}
}

static char *describe(const struct offline *o, const struct policy_line *line,
	const struct policy_verdict *verdict, bool egress)
{
	struct policy_rule_text rule;
	char *text = NULL;

	if (verdict->rule == POLICY_RULE_NONE ||
		!policy_rule_describe(o->state, verdict->rule, &rule))
		return strdup("no policy that selects either end");
	if (rule.policy[0] == '\0')
		return asprintf(&text, "%s of %s: the end of tier %s",
			       egress ? "egress" : "ingress", egress ? line->src : line->dst,
			       rule.tier) < 0
			       ? NULL
			       : text;
	return asprintf(&text, "%s of %s: tier %s, policy %s, rule %s",
		       egress ? "egress" : "ingress", egress ? line->src : line->dst, rule.tier,
		       rule.policy, rule.rule) < 0
		       ? NULL
		       : text;
}

int offline_judge(const struct offline *o, struct policy_line *line, struct error *err)
{
	struct offline_end src, dst;
	const struct ip_addr *from = NULL, *to = NULL;
	struct policy_verdict verdict = { .allow = true }, first;
	int ret = find_end(o, line->src, "src", &src, err);

	if (ret == 0)
		ret = find_end(o, line->dst, "dst", &dst, err);
	for (uint8_t family = IP_V4; ret == 0 && (from == NULL || to == NULL); family = IP_V6) {
		from = address_of(&src, family);
		to = address_of(&dst, family);
		if (family == IP_V6 && (from == NULL || to == NULL))
			ret = error_set(
				err, EINVAL, "dst", "src and dst have no addresses of one family");
	}
	if (ret < 0)
		return ret;
	if (src.pod == NULL && dst.pod == NULL)
		return error_set(err, EINVAL, "dst",
			"neither end is a pod of the files, so that no policy decides");
	line->got = own_node(o, &src, &dst);
	if (line->got) {
		if (!line->allowed)
			line->by = strdup(
				"the node that the pod runs on, which policies do not keep out");
		return 0;
	}
	judge(o, from, to, line, src.port, dst.port, &verdict);
	line->got = verdict.allow;
	if (line->got == line->allowed)
		return 0;
	/* Which end it was. */
	judge(o, from, to, line, src.port, POLICY_PORT_NONE, &first);
	line->by = describe(o, line, &verdict,
		src.pod != NULL && verdict.rule == first.rule && first.allow == verdict.allow);
	return 0;
}
