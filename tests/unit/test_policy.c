/* SPDX-License-Identifier: Apache-2.0 */
/** Policies by hand: each case is a few objects and connections with the answer that the documentation of Kubernetes and
 * Calico gives. Random ones are compared with a reference in test_policy_reference.c. */
#include "tests/unit/policy_fixture.h"

struct probe {
	const char *src, *dst;
	int protocol, dport, from, to;
	bool allow;
	const char *rule; /* NULL = not looked at; "" = none */
};

static void probe_all(const struct probe *probes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct probe *p = &probes[i];
		struct policy_verdict v = fixture_judge(p->src, p->dst, (uint8_t)p->protocol, 40000,
			(uint16_t)p->dport, p->from, p->to);
		struct policy_rule_text text = { .rule = "" };

		policy_rule_describe(f.state, v.rule, &text);
		if (v.allow != p->allow || (p->rule != NULL && strcmp(text.rule, p->rule) != 0))
			printf("\nprobe %zu: %s to %s, protocol %d port %d: %s by \"%s\"\n", i,
				p->src, p->dst, p->protocol, p->dport,
				v.allow ? "allowed" : "denied", text.rule);
		CU_ASSERT_EQUAL(v.allow, p->allow);
		CU_ASSERT_TRUE(p->rule == NULL || strcmp(text.rule, p->rule) == 0);
	}
}
#define PROBE(...)                                                        \
	do {                                                              \
		const struct probe probes_[] = { __VA_ARGS__ };           \
		probe_all(probes_, sizeof(probes_) / sizeof(probes_[0])); \
	} while (0)
#define NONE POLICY_PORT_NONE

/** Two namespaces; p1 and p2 in main (web, db), p3 in other (web); an endpoint of main elsewhere. */
static void people(void)
{
	fixture_start();
	fixture_put(OBJECT_NODE, "{\"name\":\"n\",\"host_addresses\":[\"10.0.0.1\"]}");
	fixture_put(OBJECT_NAMESPACE, "{\"name\":\"main\",\"labels\":[\"team=blue\"]}");
	fixture_put(OBJECT_POD,
		"{\"name\":\"p1\",\"netns\":\"a\",\"namespace\":\"main\",\"labels\":[\"app=web\"],"
		"\"addresses\":[\"10.0.0.11\",\"fd00::11\"]}");
	fixture_put(OBJECT_POD,
		"{\"name\":\"p2\",\"netns\":\"b\",\"namespace\":\"main\",\"labels\":[\"app=db\"],"
		"\"addresses\":[\"10.0.0.12\",\"fd00::12\"],\"ports\":[\"pg=5432/tcp\"]}");
	fixture_put(OBJECT_POD,
		"{\"name\":\"p3\",\"netns\":\"c\",\"namespace\":\"other\",\"labels\":[\"app=web\"],"
		"\"addresses\":[\"10.0.0.13\",\"fd00::13\"]}");
	fixture_put(OBJECT_ENDPOINT, "{\"name\":\"e\",\"namespace\":\"main\",\"labels\":[\"app="
				     "db\"],\"addresses\":[\"10.1.0.1\"],"
				     "\"ports\":[\"pg=6000/tcp\"]}");
	fixture_end(true);
}

static void open_by_default(void)
{
	people();
	PROBE({ "10.0.0.11", "10.0.0.12", 6, 80, 1, 2, true, "" },
		{ "8.8.8.8", "10.0.0.12", 17, 53, NONE, 2, true, "" });
	fixture_stop();
}

static void ingress(void)
{
	people();
	fixture_put(OBJECT_POLICY,
		"{\"name\":\"db\",\"namespace\":\"main\",\"selector\":\"app == "
		"'db'\",\"ingress\":[{\"source\":"
		"\"app == "
		"'web'\",\"protocol\":\"tcp\",\"destination_ports\":[\"pg\",\"8000:8010\"]}]}");
	fixture_end(true);
	PROBE({ "10.0.0.11", "10.0.0.12", 6, 5432, 1, 2, true, "ingress[0]" },
		{ "10.0.0.11", "10.0.0.12", 6, 8005, 1, 2, true, "ingress[0]" },
		{ "fd00::11", "fd00::12", 6, 5432, 1, 2, true, "ingress[0]" },
		{ "10.0.0.11", "10.0.0.12", 6, 80, 1, 2, false, "(end of tier)" },
		{ "10.0.0.11", "10.0.0.12", 17, 5432, 1, 2, false, "(end of tier)" },
		{ "10.0.0.13", "10.0.0.12", 6, 5432, 3, 2, false,
			"(end of tier)" }, /* another namespace */
		{ "8.8.8.8", "10.0.0.12", 6, 5432, NONE, 2, false, "(end of tier)" },
		{ "10.0.0.12", "10.0.0.11", 6, 80, 2, 1, true, "" }, /* egress is open */
		{ "10.0.0.12", "10.0.0.12", 6, 80, 2, 2, true, "" } /* to itself */);
	fixture_stop();
}

static void egress_and_named_ports_of_peers(void)
{
	people();
	fixture_put(OBJECT_POLICY, "{\"name\":\"web\",\"namespace\":\"main\",\"selector\":\"app == "
				   "'web'\",\"egress\":[{\"destination\":"
				   "\"app == "
				   "'db'\",\"protocol\":\"tcp\",\"destination_ports\":[\"pg\"]},{"
				   "\"destination_cidrs\":[\"192.0.2."
				   "0/24\"],\"destination_not_cidrs\":[\"192.0.2.128/25\"]}]}");
	fixture_end(true);
	PROBE({ "10.0.0.11", "10.0.0.12", 6, 5432, 1, 2, true, "egress[0]" },
		{ "10.0.0.11", "10.0.0.12", 6, 6000, 1, 2, false, NULL },
		{ "10.0.0.11", "10.1.0.1", 6, 6000, 1, NONE, true, "egress[0]" },
		{ "10.0.0.11", "10.1.0.1", 6, 5432, 1, NONE, false, NULL },
		{ "10.0.0.11", "192.0.2.1", 17, 1, 1, NONE, true, "egress[1]" },
		{ "10.0.0.11", "192.0.2.129", 17, 1, 1, NONE, false, NULL },
		{ "10.0.0.13", "192.0.2.129", 17, 1, 3, NONE, true, "" });
	/* A later endpoint with yet another port. */
	fixture_put(OBJECT_ENDPOINT, "{\"name\":\"e2\",\"namespace\":\"main\",\"labels\":[\"app="
				     "db\"],\"addresses\":[\"10.1.0.2\"],"
				     "\"ports\":[\"pg=7000/tcp\"]}");
	fixture_end(true);
	PROBE({ "10.0.0.11", "10.1.0.2", 6, 7000, 1, NONE, true, "egress[0]" },
		{ "10.0.0.11", "10.1.0.2", 6, 6000, 1, NONE, false, NULL });
	fixture_stop();
}

static void tiers(void)
{
	people();
	fixture_put(OBJECT_TIER, "{\"name\":\"admin\",\"order\":1,\"default_action\":\"pass\"}");
	fixture_put(
		OBJECT_TIER, "{\"name\":\"last\",\"order\":1000000}"); /* after default, by name */
	fixture_put(OBJECT_POLICY, "{\"name\":\"a\",\"tier\":\"admin\",\"order\":1,\"ingress\":[{"
				   "\"action\":\"log\",\"name\":\"seen\"},{"
				   "\"action\":\"pass\",\"protocol\":\"udp\"},{\"action\":\"deny\","
				   "\"protocol\":\"tcp\","
				   "\"destination_ports\":[\"23\"]}]}");
	fixture_put(OBJECT_POLICY, "{\"name\":\"b\",\"tier\":\"admin\",\"order\":2,\"ingress\":[{"
				   "\"protocol\":\"tcp\",\"destination_ports\":"
				   "[\"22:23\"]},{\"action\":\"deny\",\"protocol\":\"udp\"}]}");
	fixture_put(OBJECT_POLICY,
		"{\"name\":\"c\",\"namespace\":\"main\",\"ingress\":[{\"protocol\":\"udp\"}]}");
	fixture_end(true);
	PROBE({ "8.8.8.8", "10.0.0.11", 6, 23, NONE, 1, false, "ingress[2]" },
		{ "8.8.8.8", "10.0.0.11", 6, 22, NONE, 1, true, "ingress[0]" },
		{ "8.8.8.8", "10.0.0.11", 17, 9, NONE, 1, true, "ingress[0]" }, /* passed on to c */
		{ "8.8.8.8", "10.0.0.11", 6, 80, NONE, 1, false, "(end of tier)" }, /* of default */
		{ "8.8.8.8", "10.0.0.13", 6, 80, NONE, 3, true,
			"" } /* admin passes, nothing else selects p3 */);
	CU_ASSERT_NOT_EQUAL(
		fixture_judge("8.8.8.8", "10.0.0.11", 6, 1, 80, NONE, 1).logged, POLICY_RULE_NONE);
	fixture_stop();
}

static void sets_nodes_icmp(void)
{
	people();
	fixture_put(OBJECT_SET, "{\"name\":\"offices\",\"cidrs\":[\"198.51.100.0/24\",\"2001:db8::/"
				"32\"],\"labels\":[\"kind=office\"]}");
	fixture_put(OBJECT_ENDPOINT, "{\"name\":\"n2\",\"kind\":\"node\",\"labels\":[\"zone=a\"],"
				     "\"addresses\":[\"203.0.113.2\"]}");
	fixture_put(OBJECT_POLICY,
		"{\"name\":\"x\",\"ingress\":[{\"source_sets\":\"offices\",\"protocol\":\"tcp\"},{"
		"\"source\":\"kind == "
		"'office'\",\"protocol\":\"udp\"},{\"source_nodes\":\"zone == "
		"'a'\"},{\"protocol\":\"icmp\",\"icmp_type\":8,"
		"\"icmp_code\":0},{\"protocol\":\"icmpv6\",\"not_icmp_type\":128}]}");
	fixture_end(true);
	PROBE({ "198.51.100.9", "10.0.0.11", 6, 1, NONE, 1, true, "ingress[0]" },
		{ "198.51.100.9", "10.0.0.11", 17, 1, NONE, 1, true, "ingress[1]" },
		{ "198.51.101.9", "10.0.0.11", 17, 1, NONE, 1, false, NULL },
		{ "2001:db8::9", "fd00::11", 17, 1, NONE, 1, true, "ingress[1]" },
		{ "203.0.113.2", "10.0.0.11", 132, 1, NONE, 1, true, "ingress[2]" },
		{ "10.0.0.1", "10.0.0.11", 132, 1, NONE, 1, false, NULL },
		{ "8.8.8.8", "10.0.0.11", 1, 8 << 8, NONE, 1, true, "ingress[3]" },
		{ "8.8.8.8", "10.0.0.11", 1, 8 << 8 | 1, NONE, 1, false, NULL },
		{ "2001::1", "fd00::11", 58, 128 << 8, NONE, 1, false, NULL },
		{ "2001::1", "fd00::11", 58, 3 << 8, NONE, 1, true, "ingress[4]" });
	fixture_put(OBJECT_SET, "{\"name\":\"offices\",\"cidrs\":[\"198.51.101.0/"
				"24\"],\"labels\":[\"kind=shop\"]}");
	fixture_end(true);
	PROBE({ "198.51.100.9", "10.0.0.11", 6, 1, NONE, 1, false, NULL },
		{ "198.51.101.9", "10.0.0.11", 6, 1, NONE, 1, true, "ingress[0]" },
		{ "198.51.101.9", "10.0.0.11", 17, 1, NONE, 1, false, NULL });
	fixture_stop();
}

static void staged_and_host(void)
{
	struct policy_verdict v;

	people();
	fixture_put(OBJECT_POLICY, "{\"name\":\"s\",\"staged\":true,\"ingress\":[{\"action\":"
				   "\"deny\",\"protocol\":\"tcp\"}]}");
	fixture_put(OBJECT_POLICY, "{\"name\":\"h\",\"subject\":\"host\",\"ingress\":[{"
				   "\"protocol\":\"tcp\",\"destination_ports\":\"443\"}]}");
	fixture_end(true);
	v = fixture_judge("8.8.8.8", "10.0.0.11", 6, 1, 80, NONE, 1);
	CU_ASSERT_TRUE(v.allow && v.staged_differs && v.rule == POLICY_RULE_NONE &&
		       v.staged_rule != POLICY_RULE_NONE);
	PROBE({ "8.8.8.8", "10.0.0.1", 6, 443, NONE, HOST_PORT, true, "ingress[0]" },
		{ "8.8.8.8", "10.0.0.1", 6, 22, NONE, HOST_PORT, true, "(failsafe_in)" },
		{ "8.8.8.8", "10.0.0.1", 6, 80, NONE, HOST_PORT, false, "(end of tier)" });
	fixture_stop();
}

/** Undone transactions leave no trace, whatever they did. */
static void undone(void)
{
	struct policy_size before, after;

	people();
	fixture_put(OBJECT_POLICY, "{\"name\":\"db\",\"namespace\":\"main\",\"selector\":\"app == "
				   "'db'\",\"ingress\":[{\"source\":"
				   "\"app == 'web'\",\"source_cidrs\":\"10.0.0.0/8\"}]}");
	fixture_end(true);
	policy_size(f.state, &before);
	for (int round = 0; round < 3; round++) {
		fixture_delete(OBJECT_POLICY, "db");
		fixture_delete(OBJECT_ENDPOINT, "e");
		fixture_put(OBJECT_NAMESPACE, "{\"name\":\"main\",\"labels\":[\"team=red\"]}");
		fixture_put(OBJECT_POD, "{\"name\":\"p1\",\"netns\":\"a\",\"namespace\":\"main\","
					"\"labels\":[\"app=new\"],"
					"\"addresses\":[\"10.0.0.15\",\"fd00::15\"]}");
		fixture_put(OBJECT_POD, "{\"name\":\"p4\",\"netns\":\"d\",\"addresses\":[\"10.0.0."
					"14\",\"fd00::14\"]}");
		fixture_put(OBJECT_POLICY, "{\"name\":\"all\",\"ingress\":[{\"action\":\"deny\","
					   "\"source_cidrs\":\"172.16.0.0/12\"}]}");
		fixture_put(OBJECT_SET, "{\"name\":\"s\",\"cidrs\":[\"9.9.9.0/24\"]}");
		fixture_end(false);
		PROBE({ "10.0.0.11", "10.0.0.12", 6, 1, 1, 2, true, "ingress[0]" },
			{ "10.0.0.13", "10.0.0.12", 6, 1, 3, 2, false, NULL });
		policy_size(f.state, &after);
		CU_ASSERT_EQUAL(before.policies, after.policies);
		CU_ASSERT_EQUAL(before.identities, after.identities);
		CU_ASSERT_EQUAL(before.addresses, after.addresses);
		CU_ASSERT_EQUAL(before.cidrs, after.cidrs);
		CU_ASSERT_EQUAL(before.selectors, after.selectors);
		CU_ASSERT_EQUAL(before.programs, after.programs);
		/* The next one that is kept works on. */
		fixture_put(OBJECT_ENDPOINT, "{\"name\":\"w\",\"namespace\":\"main\",\"labels\":["
					     "\"app=web\",\"n=1\"],\"addresses\":[\"10.9.0.1\"]}");
		fixture_end(true);
		PROBE({ "10.9.0.1", "10.0.0.12", 6, 1, NONE, 2, true, "ingress[0]" },
			{ "10.0.0.11", "10.0.0.12", 6, 1, 1, 2, true, "ingress[0]" });
		fixture_delete(OBJECT_ENDPOINT, "w");
		fixture_end(true);
		PROBE({ "10.9.0.1", "10.0.0.12", 6, 1, NONE, 2, false, NULL });
	}
	fixture_stop();
}

static int collect(const struct policy_rule_record *record, void *arg)
{
	strcat(arg, record->text.policy);
	strcat(arg, record->text.rule);
	strcat(arg, record->hits == 3 ? "*;" : ";");
	return 0;
}

static void numbers_and_counts(void)
{
	char text[512] = "";
	struct policy_verdict v;
	uint32_t rule;

	people();
	fixture_put(OBJECT_POLICY, "{\"name\":\"a\",\"ingress\":[{\"name\":\"one\",\"protocol\":"
				   "\"tcp\"},{\"protocol\":\"udp\"}]}");
	fixture_end(true);
	v = fixture_judge("8.8.8.8", "10.0.0.11", 17, 1, 80, NONE, 1);
	rule = v.rule;
	for (int i = 0; i < 3; i++)
		policy_count(f.table, i % 2 ? 1 : 0, &v);
	/* Another policy, and another rule behind: the number and its count stay. */
	fixture_put(OBJECT_POLICY, "{\"name\":\"0\",\"egress\":[{}]}");
	fixture_put(OBJECT_POLICY, "{\"name\":\"a\",\"ingress\":[{\"name\":\"one\",\"protocol\":"
				   "\"tcp\"},{\"protocol\":\"udp\"},{\"protocol\":\"sctp\"}]}");
	fixture_end(true);
	CU_ASSERT_EQUAL(fixture_judge("8.8.8.8", "10.0.0.11", 17, 1, 80, NONE, 1).rule, rule);
	policy_each_rule(f.state, collect, text);
	CU_ASSERT_STRING_EQUAL(
		text, "0egress[0];aone;aingress[1]*;aingress[2];(end of tier);(end of tier);");
	fixture_stop();
}

/** More rules than the words of a bitmap without a summary have: by one dimension or another the answer is always known. */
static void many_rules(void)
{
	enum { RULES = 5000 };
	char *text = malloc(RULES * 160 + 256);
	size_t len = (size_t)sprintf(text, "{\"name\":\"big\",\"ingress\":[");

	people();
	for (int i = 0; i < RULES; i++)
		len += (size_t)sprintf(text + len,
			"%s{\"action\":\"%s\",\"protocol\":\"%s\",\"destination_ports\":[\"%d\"],"
			"\"source_cidrs\":[\"10.%d.%d.0/24\"]}",
			i > 0 ? "," : "", i % 3 == 0 ? "deny" : "allow", i % 2 == 0 ? "tcp" : "udp",
			1 + i % 1000, 64 + i / 256, i % 256);
	strcpy(text + len, ",{\"protocol\":\"sctp\"}]}");
	fixture_put(OBJECT_POLICY, text);
	free(text);
	fixture_end(true);
	for (int i = 0; i < RULES; i++) {
		char src[32], rule[32];
		struct probe probe = { src, "10.0.0.11", i % 2 == 0 ? 6 : 17, 1 + i % 1000, NONE, 1,
			i % 3 != 0, rule };

		sprintf(src, "10.%d.%d.7", 64 + i / 256, i % 256);
		sprintf(rule, "ingress[%d]", i);
		probe_all(&probe, 1);
		probe.protocol = 23 - probe.protocol;
		probe.allow = false;
		strcpy(rule, "(end of tier)");
		probe_all(&probe, 1);
		probe.protocol = 132;
		probe.allow = true;
		strcpy(rule, "ingress[5000]");
		probe_all(&probe, 1);
	}
	fixture_stop();
}

static const struct test_case cases[] = {
	{ "many rules", many_rules },
	{ "open by default", open_by_default },
	{ "ingress", ingress },
	{ "egress and named ports of peers", egress_and_named_ports_of_peers },
	{ "tiers", tiers },
	{ "sets, nodes, ICMP", sets_nodes_icmp },
	{ "staged, host", staged_and_host },
	{ "undone transactions", undone },
	{ "numbers and counts", numbers_and_counts },
};
SUITE_MAIN("policy", cases)
