/* SPDX-License-Identifier: Apache-2.0 */
/* Relations between the fields of one object of those that policies are made of. Texts themselves (labels, ports,
 * selectors) are value.c's; what spans objects is policy_relations.c. */
#include "config/object.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMESPACE_NAME_LABEL "kubernetes.io/metadata.name"

/* --- lists of texts KEY=VALUE ----------------------------------------------------------------------------------- */

/** Where a value is given to a key for the second time, or SIZE_MAX. Short lists, so quadratic. */
static size_t key_again(const struct string_list *list)
{
	for (size_t i = 1; i < list->count; i++) {
		size_t len = strcspn(list->items[i], "=") + 1;

		for (size_t j = 0; j < i; j++) {
			if (strncmp(list->items[i], list->items[j], len) == 0)
				return i;
		}
	}
	return SIZE_MAX;
}

int labels_check(const struct object *obj, const struct string_list *labels, struct error *err)
{
	size_t again = key_again(labels);
	char field[40], shown[LABEL_MAX];

	if (again == SIZE_MAX)
		return 0;
	snprintf(field, sizeof(field), "labels/%zu", again);
	message_text(labels->items[again], shown);
	shown[strcspn(shown, "=")] = '\0';
	return object_error(obj, err, field, "label %s has two values: keep one", shown);
}

/** The same name may stand for a port of each protocol. */
int named_ports_check(const struct object *obj, const struct string_list *ports, struct error *err)
{
	for (size_t i = 1; i < ports->count; i++) {
		const char *item = ports->items[i], *protocol = strrchr(item, '/');
		size_t len = strcspn(item, "=") + 1;
		char field[40];

		for (size_t j = 0; j < i; j++) {
			if (strncmp(item, ports->items[j], len) != 0 ||
				strcmp(strrchr(ports->items[j], '/'), protocol) != 0)
				continue;
			snprintf(field, sizeof(field), "ports/%zu", i);
			return object_error(obj, err, field,
				"the name %.*s stands for two %s ports: give each a name of its "
				"own",
				(int)len - 1, item, protocol + 1);
		}
	}
	return 0;
}

/* --- objects ------------------------------------------------------------------------------------------------------ */

int namespace_check(struct object *obj, struct error *err)
{
	static const char implied[] = NAMESPACE_NAME_LABEL "=";
	const struct string_list *labels = &obj->namespace.labels;

	for (size_t i = 0; i < labels->count; i++) {
		char field[40];

		if (strncmp(labels->items[i], implied, sizeof(implied) - 1) != 0 ||
			strcmp(labels->items[i] + sizeof(implied) - 1, obj->name) == 0)
			continue;
		snprintf(field, sizeof(field), "labels/%zu", i);
		return object_error(obj, err, field,
			"label " NAMESPACE_NAME_LABEL " is the namespace's own name: leave it out");
	}
	return labels_check(obj, labels, err);
}

int endpoint_check(struct object *obj, struct error *err)
{
	const struct endpoint *endpoint = &obj->endpoint,
			      *fresh = &object_default(OBJECT_ENDPOINT)->endpoint;
	int ret = labels_check(obj, &endpoint->labels, err);

	if (ret == 0)
		ret = named_ports_check(obj, &endpoint->ports, err);
	if (ret < 0)
		return ret;
	if (endpoint->kind == ENDPOINT_NODE && strcmp(endpoint->namespace, fresh->namespace) != 0)
		return object_error(obj, err, "namespace",
			"a node is in no namespace: remove it, or set kind to pod");
	for (size_t i = 0; i < endpoint->addresses.count; i++) {
		char field[40], text[IP_TEXT_MAX];

		if (!ip_addr_is_link_local(&endpoint->addresses.items[i]))
			continue;
		snprintf(field, sizeof(field), "addresses/%zu", i);
		return object_error(obj, err, field,
			"%s is link-local, which is not routed: write the endpoint's routed "
			"address",
			ip_addr_format(&endpoint->addresses.items[i], text));
	}
	return 0;
}

int set_check(struct object *obj, struct error *err)
{
	return labels_check(obj, &obj->set.labels, err);
}

int tier_check(struct object *obj, struct error *err)
{
	const struct tier *tier = &obj->tier, *fresh = &object_default(OBJECT_TIER)->tier;

	if (strcmp(obj->name, "default") != 0)
		return 0;
	/* Kubernetes' NetworkPolicy lives there: its order and its end are part of what it means. */
	if (tier->order != fresh->order)
		return object_error(obj, err, "order",
			"tier default stays at order %u: use a tier of another name", fresh->order);
	if (tier->default_action != TIER_DENY)
		return object_error(obj, err, "default_action",
			"tier default ends with deny: use a tier of another name for policies that "
			"pass");
	return 0;
}

/* --- rules -------------------------------------------------------------------------------------------------------- */

/* A rule and where it stands: refusals name both. */
struct place {
	const struct object *obj;
	const char *direction;
	size_t index;
	const struct policy_rule *rule;
	struct error *err;
};

static int rule_error(const struct place *at, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int rule_error(const struct place *at, const char *field, const char *fmt, ...)
{
	char path[FIELD_PATH_MAX], text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "%s/%zu/%s", at->direction, at->index, field);
	return object_error(
		at->obj, at->err, path, "%s[%zu].%s: %s", at->direction, at->index, field, text);
}

enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_ICMPV6 = 58, IP_SCTP = 132 };

/** A protocol's number; 0 = any. The text has been checked. */
static unsigned protocol_number(const char *text)
{
	static const struct {
		const char *name;
		unsigned number;
	} names[] = { { "", 0 }, { "tcp", IP_TCP }, { "udp", IP_UDP }, { "sctp", IP_SCTP },
		{ "icmp", IP_ICMP }, { "icmpv6", IP_ICMPV6 } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i].name) == 0)
			return names[i].number;
	}
	return (unsigned)strtoul(text, NULL, 10);
}

static int protocol_check(const struct place *at)
{
	const struct policy_rule *rule = at->rule;
	unsigned protocol = protocol_number(rule->protocol);

	if (protocol != 0 && rule->not_protocol[0] != '\0')
		return rule_error(
			at, "not_protocol", "has no use beside protocol: remove one of them");
	if (rule->not_icmp_type != UINT32_MAX && rule->icmp_type != UINT32_MAX)
		return rule_error(
			at, "not_icmp_type", "has no use beside icmp_type: remove one of them");
	if (protocol == IP_ICMP && rule->ip_version == RULE_IP_V6)
		return rule_error(
			at, "ip_version", "icmp is IPv4's: write protocol icmpv6, or ip_version 4");
	if (protocol == IP_ICMPV6 && rule->ip_version == RULE_IP_V4)
		return rule_error(
			at, "ip_version", "icmpv6 is IPv6's: write protocol icmp, or ip_version 6");
	return 0;
}

static int icmp_check(const struct place *at)
{
	const struct policy_rule *rule = at->rule;
	unsigned protocol = protocol_number(rule->protocol);
	const char *given = rule->icmp_type != UINT32_MAX	? "icmp_type"
			    : rule->icmp_code != UINT32_MAX	? "icmp_code"
			    : rule->not_icmp_type != UINT32_MAX ? "not_icmp_type"
			    : rule->not_icmp_code != UINT32_MAX ? "not_icmp_code"
								: NULL;

	if (given == NULL)
		return 0;
	if (protocol != IP_ICMP && protocol != IP_ICMPV6)
		return rule_error(
			at, given, "needs protocol icmp or icmpv6: add it, or remove %s", given);
	if (rule->icmp_code != UINT32_MAX && rule->icmp_type == UINT32_MAX)
		return rule_error(at, "icmp_code", "means nothing without icmp_type: add it");
	if (rule->not_icmp_code != UINT32_MAX && rule->not_icmp_type == UINT32_MAX)
		return rule_error(
			at, "not_icmp_code", "means nothing without not_icmp_type: add it");
	return 0;
}

static bool is_port_name(const char *text)
{
	return text[strspn(text, "0123456789:")] != '\0';
}

static int port_list_check(const struct place *at, const char *side, const char *which,
	const struct string_list *ports)
{
	unsigned protocol = protocol_number(at->rule->protocol);
	bool source = strcmp(side, "source") == 0;
	char field[64];

	snprintf(field, sizeof(field), "%s_%s", side, which);
	if (ports->count > 0 && protocol != IP_TCP && protocol != IP_UDP && protocol != IP_SCTP)
		return rule_error(at, field, "ports need protocol tcp, udp or sctp: %s",
			protocol == 0 ? "add it, one rule each" : "this one has none");
	for (size_t i = 0; source && i < ports->count; i++) {
		if (!is_port_name(ports->items[i]))
			continue;
		snprintf(field, sizeof(field), "%s_%s/%zu", side, which, i);
		return rule_error(at, field,
			"%.63s is the name of a port, and names are those of receivers: write a "
			"number",
			ports->items[i]);
	}
	return 0;
}

/** Only one family can match what a rule says elsewhere; 0 = either. */
static uint8_t rule_family(const struct policy_rule *rule)
{
	unsigned protocol = protocol_number(rule->protocol);

	if (rule->ip_version != RULE_IP_ANY)
		return rule->ip_version == RULE_IP_V4 ? IP_V4 : IP_V6;
	return protocol == IP_ICMP ? IP_V4 : protocol == IP_ICMPV6 ? IP_V6 : 0;
}

static int cidrs_check(
	const struct place *at, const char *side, const char *which, const struct prefix_list *list)
{
	uint8_t family = rule_family(at->rule);

	for (size_t i = 0; family != 0 && i < list->count; i++) {
		char field[64], text[PREFIX_TEXT_MAX];

		if (list->items[i].addr.family == family)
			continue;
		snprintf(field, sizeof(field), "%s_%s/%zu", side, which, i);
		return rule_error(at, field,
			"%s is IPv%u, which a rule about %s never sees: remove it",
			ip_prefix_format(&list->items[i], text), list->items[i].addr.family,
			at->rule->ip_version == RULE_IP_ANY ? (family == IP_V4 ? "icmp" : "icmpv6")
			: family == IP_V4		    ? "ip_version 4"
							    : "ip_version 6");
	}
	return 0;
}

static int end_check(const struct place *at, const char *side, const struct policy_end *end)
{
	const char *beside = end->selector[0] != '\0'	  ? ""
			     : end->namespaces[0] != '\0' ? "_namespaces"
							  : NULL;
	char field[32];
	int ret;

	if (end->nodes[0] != '\0' && beside != NULL) {
		snprintf(field, sizeof(field), "%s_nodes", side);
		return rule_error(at, field,
			"a node has no namespace and is no pod: remove %s%s, or write two rules",
			side, beside);
	}
	ret = cidrs_check(at, side, "cidrs", &end->cidrs);
	if (ret == 0)
		ret = cidrs_check(at, side, "not_cidrs", &end->not_cidrs);
	if (ret == 0)
		ret = port_list_check(at, side, "ports", &end->ports);
	return ret < 0 ? ret : port_list_check(at, side, "not_ports", &end->not_ports);
}

/** The families of a list as bits: 1 IPv4, 2 IPv6; both when it is empty. */
static unsigned families(const struct prefix_list *list)
{
	unsigned bits = list->count == 0 ? 3 : 0;

	for (size_t i = 0; i < list->count; i++)
		bits |= list->items[i].addr.family == IP_V4 ? 1u : 2u;
	return bits;
}

static int rule_check(const struct place *at)
{
	const struct policy_rule *rule = at->rule;
	int ret = protocol_check(at);

	if (ret == 0)
		ret = icmp_check(at);
	if (ret == 0)
		ret = end_check(at, "source", &rule->source);
	if (ret == 0)
		ret = end_check(at, "destination", &rule->destination);
	if (ret == 0 && (families(&rule->source.cidrs) & families(&rule->destination.cidrs)) == 0)
		ret = rule_error(at, "destination_cidrs",
			"are of another IP version than source_cidrs: nothing would ever match");
	return ret;
}

/* --- policies ----------------------------------------------------------------------------------------------------- */

static bool has_type(const struct policy *policy, const char *type)
{
	for (size_t i = 0; i < policy->types.count; i++) {
		if (strcmp(policy->types.items[i], type) == 0)
			return true;
	}
	return policy->types.count == 0;
}

static int subject_check(const struct object *obj, struct error *err)
{
	const struct policy *policy = &obj->policy;

	if (policy->namespace[0] != '\0' && policy->namespace_selector[0] != '\0')
		return object_error(obj, err, "namespace_selector",
			"the policy is about namespace %s already: remove one of them",
			policy->namespace);
	if (policy->subject == SUBJECT_HOST && policy->namespace[0] != '\0')
		return object_error(obj, err, "namespace",
			"the node is in no namespace: remove it, or set subject to pods");
	if (policy->subject == SUBJECT_HOST && policy->namespace_selector[0] != '\0')
		return object_error(obj, err, "namespace_selector",
			"the node is in no namespace: remove it, or set subject to pods");
	if (policy->stateless && policy->subject != SUBJECT_HOST)
		return object_error(obj, err, "stateless",
			"stateless is for subject host: set that, or remove stateless");
	if (policy->stateless && policy->on_change != CHANGE_REEVALUATE)
		return object_error(obj, err, "on_change",
			"a stateless policy judges every packet, so that there is nothing to %s: "
			"remove on_change",
			policy->on_change == CHANGE_KEEP ? "keep" : "reset");
	return 0;
}

static int rules_check(const struct object *obj, const char *direction,
	const struct policy_rule *rules, size_t count, struct error *err)
{
	struct place at = { .obj = obj, .direction = direction, .err = err };
	int ret = 0;

	if (count > 0 && !has_type(&obj->policy, direction))
		return object_error(obj, err, direction,
			"types leaves %s out, so that its rules would do nothing: add it there, or "
			"remove them",
			direction);
	for (; at.index < count && ret == 0; at.index++) {
		at.rule = &rules[at.index];
		ret = rule_check(&at);
	}
	return ret;
}

int policy_check(struct object *obj, struct error *err)
{
	const struct policy *policy = &obj->policy;
	int ret = subject_check(obj, err);

	if (ret == 0)
		ret = rules_check(obj, "ingress", policy->ingress, policy->ingress_count, err);
	return ret < 0 ? ret
		       : rules_check(obj, "egress", policy->egress, policy->egress_count, err);
}
