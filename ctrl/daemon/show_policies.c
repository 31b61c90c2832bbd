/* SPDX-License-Identifier: Apache-2.0 */
/** Policies as they are in force: hit counts, and what they would say to a connection. */
#include "ctrl/daemon/show.h"

#include "ctrl/daemon/api.h"
#include "ctrl/daemon/protocol.h"
#include "dataplane/policies.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define QUESTIONS_MAX 100000

struct rule_filter {
	const char *policy, *tier;
};

static int visit_rule(const struct policy_rule_record *record, void *arg)
{
	struct show_list *show = arg;
	const struct rule_filter *f = show->filter;
	const struct policy_rule_text *t = &record->text;

	if ((f->policy != NULL && strcmp(f->policy, t->policy) != 0) ||
		(f->tier != NULL && strcmp(f->tier, t->tier) != 0))
		return 0;
	return show_append(
		show, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:I}", "tier", t->tier, "policy",
			      t->policy, "namespace", t->namespace != NULL ? t->namespace : "",
			      "rule", t->rule, "action", t->action, "staged", (int)t->staged,
			      "hits", (json_int_t)record->hits));
}

int show_policy_rules(struct request *req, struct error *err)
{
	struct rule_filter filter = { request_query(req, "policy"), request_query(req, "tier") };
	struct show_list show = { .list = json_array(), .filter = &filter };

	(void)err;
	forwarding_each_rule(visit_rule, &show);
	reply_json(req, 200, show.list);
	return 0;
}

int show_policy_size(struct request *req, struct error *err)
{
	struct policy_size s;

	(void)err;
	forwarding_policy_size(&s);
	reply_json(req, 200,
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "policies",
			(json_int_t)s.policies, "rules", (json_int_t)s.rules, "identities",
			(json_int_t)s.identities, "addresses", (json_int_t)s.addresses, "selectors",
			(json_int_t)s.selectors, "programs", (json_int_t)s.programs, "cidrs",
			(json_int_t)s.cidrs, "memory_bytes", (json_int_t)s.memory));
	return 0;
}

int show_identity(struct request *req, struct error *err)
{
	const char *text = request_query(req, "address");
	struct ip_addr address;

	if (text == NULL || ip_addr_parse(text, &address) < 0)
		return error_set(err, EBADMSG, "address",
			"query parameter address: expected an IPv4 or IPv6 address, found "
			"\"%.60s\"",
			text != NULL ? text : "");
	reply_json(req, 200, forwarding_identity_json(&address));
	return 0;
}

/* --- questions ------------------------------------------------------------------------------------------------ */

static const struct addr_list *in_namespace(const struct object *obj, const char *ns, size_t len)
{
	const char *own;

	if (obj == NULL)
		return NULL;
	own = obj->type == OBJECT_POD ? obj->pod.namespace : obj->endpoint.namespace;
	if (strlen(own) != len || strncmp(own, ns, len) != 0)
		return NULL;
	return obj->type == OBJECT_POD ? &obj->pod.addresses : &obj->endpoint.addresses;
}

/** The addresses of "namespace/name": a pod of this node, or an endpoint, called so or "namespace.name". NULL = there is
 * none. */
static const struct addr_list *addresses_of(const struct model *model, const char *text)
{
	static const enum object_type types[] = { OBJECT_POD, OBJECT_ENDPOINT };
	const char *slash = strchr(text, '/'), *ns = slash != NULL ? text : "default";
	const char *name = slash != NULL ? slash + 1 : text;
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(ns);
	char dotted[256];

	snprintf(
		dotted, sizeof(dotted), "%.*s.%s", (int)(len < sizeof(dotted) ? len : 0), ns, name);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		const struct addr_list *found =
			in_namespace(model_find(model, types[i], dotted), ns, len);

		found = found != NULL ? found
				      : in_namespace(model_find(model, types[i], name), ns, len);
		if (found != NULL)
			return found;
	}
	return NULL;
}

/** One end of a question: an address, or all of a pod's. `one` is room for the former. */
static int read_end(const struct model *model, const json_t *item, const char *field,
	struct ip_addr *one, struct addr_list *list, struct error *err)
{
	const char *text = json_string_value(json_object_get(item, field));
	const struct addr_list *found;

	if (text == NULL)
		return error_set(err, EINVAL, field,
			"%s is missing: expected an address, or namespace/name of a pod", field);
	if (ip_addr_parse(text, one) == 0) {
		*list = (struct addr_list){ one, 1 };
		return 0;
	}
	found = addresses_of(model, text);
	if (found == NULL)
		return error_set(err, EINVAL, field,
			"%s \"%.80s\" is not an address, and no pod or endpoint is called so",
			field, text);
	*list = *found;
	return 0;
}

/** Of two ends that may have several addresses: the first of each of one family, IPv4 first. */
static bool choose(
	const struct addr_list *src, const struct addr_list *dst, struct policy_question *q)
{
	static const uint8_t families[] = { IP_V4, IP_V6 };

	for (size_t f = 0; f < 2; f++) {
		size_t s = 0, d = 0;

		while (s < src->count && src->items[s].family != families[f])
			s++;
		while (d < dst->count && dst->items[d].family != families[f])
			d++;
		if (s < src->count && d < dst->count) {
			q->src = src->items[s];
			q->dst = dst->items[d];
			return true;
		}
	}
	return false;
}

/** "tcp", "TCP", 6. -1 for what is none. */
static int read_protocol(const json_t *proto)
{
	char text[16] = "";

	if (json_is_integer(proto))
		return json_integer_value(proto) >= 0 && json_integer_value(proto) <= UINT8_MAX
			       ? (int)json_integer_value(proto)
			       : -1;
	for (size_t i = 0; i < json_string_length(proto) && i + 1 < sizeof(text); i++)
		text[i] = (char)tolower((unsigned char)json_string_value(proto)[i]);
	return protocol_parse(text);
}

static int read_question(
	const struct model *model, const json_t *item, struct policy_question *q, struct error *err)
{
	const json_t *port = json_object_get(item, "port");
	struct ip_addr one[2];
	struct addr_list src, dst;
	int number = read_protocol(json_object_get(item, "proto"));
	int ret = read_end(model, item, "src", &one[0], &src, err);

	if (ret == 0)
		ret = read_end(model, item, "dst", &one[1], &dst, err);
	if (ret < 0)
		return ret;
	if (!choose(&src, &dst, q))
		return error_set(
			err, EINVAL, "dst", "src and dst have no address of the same family");
	if (number < 0)
		return error_set(err, EINVAL, "proto",
			"proto must be \"tcp\", \"udp\", \"sctp\", \"icmp\", \"icmp6\" or a number "
			"from 0 to 255");
	if (port != NULL && (!json_is_integer(port) || json_integer_value(port) < 0 ||
				    json_integer_value(port) > UINT16_MAX))
		return error_set(err, EINVAL, "port", "port must be a number from 0 to 65535");
	q->proto = (uint8_t)number;
	q->port = port != NULL ? (uint16_t)json_integer_value(port) : 0;
	return 0;
}

/** What one end says; null when that end is not on this node. */
static json_t *end_json(bool here, const struct policy_verdict *v)
{
	if (!here)
		return json_null();
	return json_pack(
		"{s:b, s:o}", "allowed", (int)v->allow, "rule", forwarding_rule_json(v->rule));
}

static json_t *answer_json(const struct policy_question *q)
{
	struct policy_answer a;

	forwarding_policy_ask(q, &a);
	return json_pack("{s:b, s:o, s:o, s:o, s:o}", "allowed", (int)a.allowed, "src",
		json_address(&q->src), "dst", json_address(&q->dst), "egress",
		end_json(a.sender_here, &a.egress), "ingress",
		end_json(a.receiver_here, &a.ingress));
}

int test_policies(struct request *req, struct error *err)
{
	const struct model *model = engine_model(request_api(req)->engine);
	json_t *body = NULL, *item, *answers = json_array();
	int ret = request_body_json(req, &body, err);
	size_t i;

	if (ret == 0 && (!json_is_array(body) || json_array_size(body) > QUESTIONS_MAX))
		ret = error_set(err, EINVAL, NULL,
			"the body must be a list of at most %d questions {src, dst, proto, port}",
			QUESTIONS_MAX);
	for (i = 0; ret == 0 && i < json_array_size(body); i++) {
		struct policy_question q = { 0 };

		item = json_array_get(body, i);
		ret = read_question(model, item, &q, err);
		if (ret == 0)
			json_array_append_new(answers, answer_json(&q));
	}
	if (ret < 0 && err != NULL && i > 0 && json_is_array(body)) {
		char field[sizeof(err->path)];

		memcpy(field, err->path, sizeof(field));
		snprintf(err->path, sizeof(err->path), "%zu/%.80s", i - 1, field);
	}
	json_decref(body);
	if (ret < 0) {
		json_decref(answers);
		return ret;
	}
	reply_json(req, 200, answers);
	return 0;
}
