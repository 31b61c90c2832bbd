/* SPDX-License-Identifier: Apache-2.0 */
/** Worlds by chance: each change is made to the reference's world and, printed as JSON, to the open edits of the fixture. */
#ifndef TESTS_UNIT_POLICY_WORLDS_H
#define TESTS_UNIT_POLICY_WORLDS_H

#include "tests/unit/policy_reference.h"

#include <stdarg.h>

/* --- printing for the other side -------------------------------------------------------------------------------- */

static char out_text[65536];
static size_t out_len;

static void put(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void put(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	out_len += (size_t)vsnprintf(out_text + out_len, sizeof(out_text) - out_len, fmt, ap);
	va_end(ap);
	CU_ASSERT_FATAL(out_len < sizeof(out_text));
}

static void put_tree(const struct sel *s, int at)
{
	static const char *const words[] = { [T_EQ] = "==",
		[T_NE] = "!=",
		[T_STARTS] = "starts with",
		[T_ENDS] = "ends with",
		[T_CONTAINS] = "contains" };
	const struct tree *t = &s->nodes[at];

	switch (t->op) {
	case T_NONE:
	case T_ALL:
		put("all()");
		break;
	case T_GLOBAL:
		put("global()");
		break;
	case T_HAS:
		put("has(%s)", keys[t->key]);
		break;
	case T_IN:
	case T_NOT_IN:
		put("%s %s {", keys[t->key], t->op == T_IN ? "in" : "not in");
		for (int i = 0; i < t->n_values; i++)
			put("%s'%s'", i > 0 ? ", " : "", values[t->values[i]]);
		put("}");
		break;
	case T_NOT:
		put("!(");
		put_tree(s, t->left);
		put(")");
		break;
	case T_AND:
	case T_OR:
		put("(");
		put_tree(s, t->left);
		put(t->op == T_AND ? ") && (" : ")||(");
		put_tree(s, t->right);
		put(")");
		break;
	default:
		put("%s %s '%s'", keys[t->key], words[t->op], values[t->values[0]]);
	}
}

static void put_sel(const char *name, const struct sel *s)
{
	if (s->n == 0)
		return;
	put(",\"%s\":\"", name);
	put_tree(s, s->n - 1);
	put("\"");
}

static void put_cidr(const struct cidr *c, bool with_len)
{
	char text[64];

	inet_ntop(c->v6 ? AF_INET6 : AF_INET, c->bytes, text, sizeof(text));
	put("\"%s", text);
	if (with_len)
		put("/%d", c->len);
	put("\"");
}

static void put_cidrs(const char *name, const struct cidrs *list)
{
	if (list->n == 0)
		return;
	put(",\"%s\":[", name);
	for (int i = 0; i < list->n; i++) {
		put(i > 0 ? "," : "");
		put_cidr(&list->items[i], true);
	}
	put("]");
}

static void put_labels(const struct labels *labels)
{
	bool first = true;

	put(",\"labels\":[");
	for (int k = KEYS; k-- > 0;) {
		if (labels->value[k] < 0)
			continue;
		put("%s\"%s=%s\"", first ? "" : ",", keys[k], values[labels->value[k]]);
		first = false;
	}
	put("]");
}

static void put_ports(const char *name, const struct port_items *list)
{
	if (list->n == 0)
		return;
	put(",\"%s\":[", name);
	for (int i = 0; i < list->n; i++) {
		const struct port_item *item = &list->items[i];

		put(i > 0 ? "," : "");
		if (item->name >= 0)
			put("\"%s\"", port_names[item->name]);
		else if (item->first == item->last)
			put("\"%d\"", item->first);
		else
			put("\"%d:%d\"", item->first, item->last);
	}
	put("]");
}

static const char *protocol_text(int protocol)
{
	static char number[8];

	if (protocol == 47 || protocol == 6) { /* both spellings of one */
		snprintf(number, sizeof(number), "%d", protocol);
		return protocol == 6 ? "tcp" : number;
	}
	return protocol == 17	 ? "udp"
	       : protocol == 132 ? "sctp"
	       : protocol == 1	 ? "icmp"
				 : "icmpv6";
}

static void put_side(const char *name, const struct side *s)
{
	char field[64];

	put_sel(name, &s->is);
#define NAMED(suffix) (snprintf(field, sizeof(field), "%s%s", name, suffix), field)
	put_sel(NAMED("_not"), &s->not );
	put_sel(NAMED("_namespaces"), &s->namespaces);
	put_sel(NAMED("_nodes"), &s->nodes);
	put_cidrs(NAMED("_cidrs"), &s->cidrs);
	put_cidrs(NAMED("_not_cidrs"), &s->not_cidrs);
	put_ports(NAMED("_ports"), &s->ports);
	put_ports(NAMED("_not_ports"), &s->not_ports);
	if (s->n_sets > 0) {
		put(",\"%s\":[", NAMED("_sets"));
		for (int i = 0; i < s->n_sets; i++)
			put("%s\"s%d\"", i > 0 ? "," : "", s->sets[i]);
		put("]");
	}
}

static void put_rule(const struct rule_of *r)
{
	static const char *const actions[] = { "allow", "deny", "pass", "log" };

	put("{\"action\":\"%s\"", actions[r->action]);
	if (r->protocol != 0)
		put(",\"protocol\":\"%s\"", protocol_text(r->protocol));
	if (r->not_protocol != 0)
		put(",\"not_protocol\":\"%s\"", protocol_text(r->not_protocol));
	if (r->ip_version != 0)
		put(",\"ip_version\":\"%d\"", r->ip_version);
	if (r->type >= 0)
		put(",\"icmp_type\":%d", r->type);
	if (r->code >= 0)
		put(",\"icmp_code\":%d", r->code);
	if (r->not_type >= 0)
		put(",\"not_icmp_type\":%d", r->not_type);
	if (r->not_code >= 0)
		put(",\"not_icmp_code\":%d", r->not_code);
	put_side("source", &r->side[0]);
	put_side("destination", &r->side[1]);
	put("}");
}

/* --- making and changing worlds ----------------------------------------------------------------------------------- */

static struct labels make_labels(void)
{
	struct labels l;

	for (int k = 0; k < KEYS; k++)
		l.value[k] = chance(3) == 0 ? -1 : (int)chance(VALUES);
	return l;
}

static int make_tree(struct sel *s, int depth)
{
	struct tree t = { .key = (int)chance(KEYS),
		.n_values = 1,
		.values = { (int)chance(VALUES), (int)chance(VALUES) } };
	uint32_t kind = chance(depth > 0 && s->n < 4 ? 13 : 9);

	switch (kind) {
	case 0:
	case 1:
		t.op = T_EQ;
		break;
	case 2:
		t.op = T_NE;
		break;
	case 3:
	case 4:
		t.op = kind == 3 ? T_IN : T_NOT_IN;
		t.n_values = (int)chance(3);
		break;
	case 5:
		t.op = T_HAS;
		t.n_values = 0;
		break;
	case 6:
		t.op = T_STARTS + (int)chance(3);
		break;
	case 7:
		t.op = T_ALL;
		t.n_values = 0;
		break;
	case 8:
		t.op = chance(4) == 0 ? T_GLOBAL : T_EQ;
		t.n_values = t.op == T_EQ;
		break;
	case 9:
		t.op = T_NOT;
		t.n_values = 0;
		t.left = make_tree(s, depth - 1);
		break;
	default:
		t.op = kind == 10 ? T_OR : T_AND;
		t.n_values = 0;
		t.left = make_tree(s, depth - 1);
		t.right = make_tree(s, depth - 1);
	}
	s->nodes[s->n] = t;
	return s->n++;
}

static struct sel make_sel(uint32_t one_in)
{
	struct sel s = { .n = 0 };

	if (chance(one_in) == 0)
		make_tree(&s, 1);
	return s;
}

/** Addresses lie close together, so that prefixes contain each other and them. */
static struct cidr make_cidr(void)
{
	struct cidr c = { .v6 = chance(2) != 0 };
	int bits = c.v6 ? 128 : 32;

	c.bytes[0] = c.v6 ? 0xfd : 10;
	c.bytes[c.v6 ? 15 : 3] = (uint8_t)chance(32);
	c.bytes[c.v6 ? 14 : 2] = (uint8_t)chance(2);
	c.len = chance(8) == 0 ? (int)chance(9) : bits - (int)chance(11);
	for (int bit = c.len; bit < bits; bit++)
		c.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return c;
}

static struct cidrs make_cidrs(uint32_t one_in)
{
	struct cidrs list = { .n = 0 };

	for (int n = chance(one_in) == 0 ? 1 + (int)chance(LIST) : 0; list.n < n;) {
		struct cidr c = make_cidr();
		bool twice = false;

		for (int i = 0; i < list.n; i++)
			twice = twice || memcmp(&list.items[i], &c, sizeof(c)) == 0;
		if (!twice)
			list.items[list.n++] = c;
	}
	return list;
}

static const int some_ports[] = { 1, 22, 53, 79, 80, 81, 443, 5432, 8000, 8005, 8010, 65535 };
#define SOME_PORT some_ports[chance(sizeof(some_ports) / sizeof(some_ports[0]))]

static struct port_items make_ports(uint32_t one_in, bool names)
{
	struct port_items list = { .n = 0 };

	for (int n = chance(one_in) == 0 ? 1 + (int)chance(LIST) : 0; list.n < n;) {
		struct port_item item = { .name = names && chance(3) == 0 ? (int)chance(3) : -1 };
		bool twice = false;

		if (item.name < 0) {
			item.first = SOME_PORT;
			item.last =
				chance(2) == 0
					? item.first
					: item.first + (int)chance((uint32_t)(65536 - item.first));
		}
		for (int i = 0; i < list.n; i++)
			twice = twice || memcmp(&list.items[i], &item, sizeof(item)) == 0;
		if (!twice)
			list.items[list.n++] = item;
	}
	return list;
}

static struct side make_side(bool ports, bool names)
{
	struct side s = { .is = make_sel(3),
		.not = make_sel(8),
		.namespaces = make_sel(6),
		.cidrs = make_cidrs(5),
		.not_cidrs = make_cidrs(8) };

	if (chance(10) == 0) {
		s.nodes = make_sel(1);
		s.is.n = s.namespaces.n = 0;
	}
	if (chance(8) == 0)
		s.sets[s.n_sets++] = (int)chance(SETS);
	if (ports) {
		s.ports = make_ports(3, names);
		s.not_ports = make_ports(8, names);
	}
	return s;
}

static void keep_family(struct cidrs *list, bool v6)
{
	int n = 0;

	for (int i = 0; i < list->n; i++) {
		if (list->items[i].v6 == v6)
			list->items[n++] = list->items[i];
	}
	list->n = n;
}

static unsigned families(const struct cidrs *list)
{
	unsigned set = list->n == 0 ? 3 : 0;

	for (int i = 0; i < list->n; i++)
		set |= list->items[i].v6 ? 2 : 1;
	return set;
}

static struct rule_of make_rule(void)
{
	static const int protocols[] = { 6, 6, 17, 132, 1, 58, 47 };
	struct rule_of r = { .type = -1, .code = -1, .not_type = -1, .not_code = -1 };
	bool ports;

	r.action = chance(2) == 0 ? 0 : (int)chance(4);
	if (chance(3) != 0)
		r.protocol = protocols[chance(7)];
	else if (chance(4) == 0)
		r.not_protocol = protocols[chance(7)];
	if (chance(8) == 0 && r.protocol != 1 && r.protocol != 58)
		r.ip_version = chance(2) == 0 ? 4 : 6;
	ports = r.protocol == 6 || r.protocol == 17 || r.protocol == 132;
	if (r.protocol == 1 || r.protocol == 58) {
		if (chance(2) == 0) {
			r.type = chance(2) == 0 ? 8 : 128;
			r.code = chance(2) == 0 ? -1 : (int)chance(2);
		} else if (chance(3) == 0) {
			r.not_type = chance(2) == 0 ? 8 : 128;
			r.not_code = chance(2) == 0 ? -1 : (int)chance(2);
		}
	}
	r.side[0] = make_side(ports && chance(3) == 0, false);
	r.side[1] = make_side(ports, true); /* names of ports are those of receivers */
	/* A rule for one family with prefixes of another is refused. */
	for (int s = 0; s < 2 && (r.ip_version != 0 || r.protocol == 1 || r.protocol == 58); s++) {
		keep_family(&r.side[s].cidrs, r.ip_version == 6 || r.protocol == 58);
		keep_family(&r.side[s].not_cidrs, r.ip_version == 6 || r.protocol == 58);
	}
	if ((families(&r.side[0].cidrs) & families(&r.side[1].cidrs)) == 0)
		r.side[1].cidrs.n = 0;
	return r;
}

static void change_namespace(int i)
{
	world.ns_there[i] = chance(4) != 0;
	world.ns[i] = make_labels();
	if (!world.ns_there[i]) {
		changeset_delete(f.set, OBJECT_NAMESPACE, ns_names[i], NULL);
		return;
	}
	out_len = 0;
	put("{\"name\":\"%s\"", ns_names[i]);
	put_labels(&world.ns[i]);
	put("}");
	fixture_put(OBJECT_NAMESPACE, out_text);
}

static void put_thing(int i)
{
	const struct thing *t = &world.things[i];
	bool first = true;

	if (!t->node)
		put(",\"namespace\":\"%s\"", ns_names[t->ns]);
	put_labels(&t->labels);
	put(i == 0 ? ",\"host_addresses\":[" : ",\"addresses\":[");
	for (int a = 0; a < 2; a++) {
		put(a > 0 ? "," : "");
		put_cidr(&t->addresses[a], false);
	}
	put("]");
	if (t->node)
		return;
	put(",\"ports\":[");
	for (int n = 0; n < 3; n++) {
		if (t->named_port[n] == 0)
			continue;
		put("%s\"%s=%d/%s\"", first ? "" : ",", port_names[n], t->named_port[n],
			protocol_text(t->named_protocol[n]));
		first = false;
	}
	put("]");
}

static void change_thing(int i)
{
	struct thing *t = &world.things[i];
	bool pod = i >= 1 && i <= PODS;
	char name[16];

	snprintf(name, sizeof(name), pod ? "p%d" : i == 0 ? "n" : "e%d", i);
	t->node = i == 0 || (!pod && chance(5) == 0);
	t->ns = (int)chance(NAMESPACES);
	t->labels = make_labels();
	t->there = i == 0 || chance(5) != 0;
	for (int a = 0; a < 2; a++) {
		struct cidr *c = &t->addresses[a];

		*c = (struct cidr){ .v6 = a == 1, .len = a == 1 ? 128 : 32 };
		c->bytes[0] = c->v6 ? 0xfd : 10;
		c->bytes[c->v6 ? 15 : 3] = (uint8_t)(i + 1);
		/* The other half of the time an address that others never have. */
		c->bytes[c->v6 ? 14 : 2] = (uint8_t)chance(2);
	}
	for (int n = 0; n < 3; n++) {
		t->named_port[n] = chance(2) == 0 && !t->node ? SOME_PORT : 0;
		t->named_protocol[n] = chance(3) == 0 ? 17 : 6;
	}
	if (!t->there) {
		changeset_delete(f.set, pod ? OBJECT_POD : OBJECT_ENDPOINT, name, NULL);
		return;
	}
	out_len = 0;
	put("{\"name\":\"%s\"", name);
	if (pod)
		put(",\"netns\":\"a\"");
	else if (i > 0)
		put(",\"kind\":\"%s\"", t->node ? "node" : "pod");
	put_thing(i);
	put("}");
	fixture_put(pod ? OBJECT_POD : i == 0 ? OBJECT_NODE : OBJECT_ENDPOINT, out_text);
}

static void change_set(int i)
{
	struct set_of *s = &world.sets[i];
	char name[8];

	snprintf(name, sizeof(name), "s%d", i);
	s->there = chance(5) != 0;
	s->ns = chance(2) == 0 ? -1 : (int)chance(NAMESPACES);
	s->labels = make_labels();
	s->cidrs = make_cidrs(1);
	if (!s->there) {
		changeset_delete(f.set, OBJECT_SET, name, NULL);
		return;
	}
	out_len = 0;
	put("{\"name\":\"%s\",\"namespace\":\"%s\"", name, s->ns < 0 ? "" : ns_names[s->ns]);
	put_labels(&s->labels);
	put_cidrs("cidrs", &s->cidrs);
	put("}");
	fixture_put(OBJECT_SET, out_text);
}

static void change_tier(int i)
{
	struct tier_of *t = &world.tiers[i];

	t->there = chance(4) != 0;
	t->order = t->there && i != TIERS - 1 ? (int)chance(3) : 1000000; /* "default" is last */
	t->pass = t->there && i != TIERS - 1 && chance(2) == 0;		  /* and ends with deny */
	if (!t->there) {
		changeset_delete(f.set, OBJECT_TIER, tier_names[i], NULL);
		return;
	}
	out_len = 0;
	put("{\"name\":\"%s\",\"order\":%d,\"default_action\":\"%s\"}", tier_names[i], t->order,
		t->pass ? "pass" : "deny");
	fixture_put(OBJECT_TIER, out_text);
}

static void change_policy(int i)
{
	static const char *const types[] = { "", ",\"types\":[\"ingress\"]",
		",\"types\":[\"egress\"]", ",\"types\":[\"egress\",\"ingress\"]" };
	static const char *const directions[] = { "ingress", "egress" };
	struct policy_of *p = &world.policies[i];
	char name[8];

	snprintf(name, sizeof(name), "k%d", i);
	*p = (struct policy_of){ .there = chance(5) != 0,
		.ns = chance(2) == 0 ? -1 : (int)chance(NAMESPACES),
		.tier = (int)chance(TIERS),
		.order = (int)chance(3),
		.types = chance(2) == 0 ? 0 : 1 + (int)chance(3),
		.host = chance(6) == 0,
		.staged = chance(6) == 0,
		.selector = make_sel(2) };
	if (!p->there) {
		changeset_delete(f.set, OBJECT_POLICY, name, NULL);
		return;
	}
	if (p->host)
		p->ns = -1;
	else if (p->ns < 0)
		p->namespaces = make_sel(2);
	out_len = 0;
	put("{\"name\":\"%s\",\"tier\":\"%s\",\"order\":%d,\"staged\":%s,\"subject\":\"%s\"%s",
		name, tier_names[p->tier], p->order, p->staged ? "true" : "false",
		p->host ? "host" : "pods", types[p->types]);
	if (p->ns >= 0)
		put(",\"namespace\":\"%s\"", ns_names[p->ns]);
	put_sel("selector", &p->selector);
	put_sel("namespace_selector", &p->namespaces);
	for (int d = 0; d < 2; d++) {
		p->n[d] = p->types == 0 || (p->types & (d == 0 ? 1 : 2)) != 0
				  ? (int)chance(RULES + 1)
				  : 0;
		if (p->n[d] == 0)
			continue;
		put(",\"%s\":[", directions[d]);
		for (int r = 0; r < p->n[d]; r++) {
			p->rules[d][r] = make_rule();
			put(r > 0 ? "," : "");
			put_rule(&p->rules[d][r]);
		}
		put("]");
	}
	put("}");
	fixture_put(OBJECT_POLICY, out_text);
}

static void change_something(void)
{
	switch (chance(10)) {
	case 0:
		change_namespace((int)chance(NAMESPACES));
		break;
	case 1:
	case 2:
	case 3:
		change_thing((int)chance(1 + PODS + ENDPOINTS));
		break;
	case 4:
		change_set((int)chance(SETS));
		break;
	case 5:
		change_tier((int)chance(TIERS));
		break;
	default:
		change_policy((int)chance(POLICIES));
	}
}

#endif
