/* SPDX-License-Identifier: Apache-2.0 */
/* Policies, sets, tiers and endpoints against other objects, and what may not be taken away from them. */
#include "tests/unit/config_refusal.h"

#define SET "sets: ( { name = \"offices\"; cidrs = [ \"198.51.100.0/24\" ]; } );\n"
#define ENDPOINT(address) \
	"endpoints: ( { name = \"e\"; addresses = [ \"10.9.0.1\", \"" address "\" ]; } );\n"
#define NODE_ENDPOINT(address) \
	"endpoints: ( { name = \"n\"; kind = \"node\"; addresses = [ \"" address "\" ]; } );\n"
#define A_POD \
	"pods: ( { name = \"web-1\"; netns = \"web-1\"; addresses = [ \"10.244.1.7\" ]; } );\n"
#define A_PEER                                                                             \
	"peers: ( { name = \"node-b\"; underlay = [ \"192.0.2.2\" ]; encap = \"direct\"; " \
	"pod_cidrs = [ \"10.244.2.0/24\" ]; "                                              \
	"} );\n"

static const struct refusal together[] = {
	{ A_NODE A_POOL A_POD ENDPOINT("10.244.1.7"), 4, "endpoints/e/addresses",
		"endpoint e: 10.244.1.7 is also an address of pod web-1: give each its own" },
	{ A_NODE A_POOL ENDPOINT("10.244.1.7") A_POD, 4, "pods/web-1/addresses/0",
		"pod web-1: 10.244.1.7 is also an address of endpoint e: give each its own" },
	{ A_NODE A_POOL A_POD NODE_ENDPOINT("10.244.1.7"), 4, "endpoints/n/addresses",
		"endpoint n: 10.244.1.7 is also an address of pod web-1: give each its own" },
	{ A_NODE "endpoints: ( { name = \"a\"; addresses = [ \"10.9.0.1\" ]; },\n"
		 "{ name = \"b\"; addresses = [ \"fd00::9\", \"10.9.0.1\" ]; } );\n",
		3, "endpoints/b/addresses/1",
		"endpoint b: 10.9.0.1 is also an address of endpoint a: give each its own" },
	{ A_NODE "endpoints: ( { name = \"a\"; kind = \"node\"; addresses = [ \"fd00::1\" ]; },\n"
		 "{ name = \"b\"; kind = \"node\"; addresses = [ \"fd00::1\" ]; } );\n",
		3, "endpoints/b/addresses/0",
		"endpoint b: fd00::1 is also an address of endpoint a: give each its own" },
	{ A_NODE AN_UPLINK ENDPOINT("192.0.2.1"), 3, "endpoints/e/addresses/1",
		"endpoint e: 192.0.2.1 is also an address of uplink eth0: give each its own" },
	{ A_NODE AN_UPLINK A_PEER ENDPOINT("192.0.2.2"), 4, "endpoints/e/addresses/1",
		"endpoint e: 192.0.2.2 is also the underlay address of peer node-b: give each its "
		"own" },
	{ A_NODE ENDPOINT("169.254.1.1"), 2, "endpoints/e/addresses/1",
		"endpoint e: 169.254.1.1 is link-local, which is not routed: write the endpoint's "
		"routed address" },
	{ "node: { name = \"node-a\"; gateway = \"10.244.1.1\"; };\n" NODE_ENDPOINT("10.244.1.1"),
		2, "endpoints/n/addresses/0",
		"endpoint n: 10.244.1.1 is also the gateway of node node-a: give each its own" },
	{ "node: { name = \"node-a\"; host_addresses = [ \"10.244.1.1\" ]; };\n" ENDPOINT(
		  "10.244.1.1"),
		2, "endpoints/e/addresses/1",
		"endpoint e: 10.244.1.1 is also a host address of node node-a: give each its own" },
	{ A_NODE SET "policies: ( { name = \"p\"; egress = ( { }, { destination_sets = [ "
		     "\"offices\", \"offces\" ]; } ); } );\n",
		3, "policies/p/egress/1/destination_sets/1",
		"policy p: egress[1].destination_sets: there is no set offces: add it, or correct "
		"the name" },
	{ A_NODE "policies: ( { name = \"p\"; tier = \"admin\"; } );\n", 2, "policies/p/tier",
		"policy p: there is no tier admin: add it, or correct the name" },
};
REFUSALS(together)

static const char *const fine[] = {
	A_NODE AN_UPLINK A_PEER NODE_ENDPOINT("192.0.2.1"),
	A_NODE AN_UPLINK A_PEER NODE_ENDPOINT("192.0.2.2"),
	"node: { name = \"node-a\"; host_addresses = [ \"10.244.1.1\" ]; };\n" NODE_ENDPOINT(
		"10.244.1.1"),
	A_NODE AN_UPLINK A_PEER ENDPOINT("10.244.2.9"),
	A_NODE A_POOL A_POD ENDPOINT("10.244.1.8"),
	A_NODE AN_UPLINK ENDPOINT("192.0.2.9") "routes: ( { prefix = \"0.0.0.0/0\"; via = { "
					       "address = \"192.0.2.9\"; }; } );\n",
	A_NODE AN_UPLINK ENDPOINT("192.0.2.9") "routes: ( { prefix = \"192.0.2.9/32\"; action = "
					       "\"blackhole\"; } );\n",
	A_NODE
	"policies: ( { name = \"p\"; tier = \"default\"; namespace = \"of-no-object\"; } );\n",
	A_NODE "tiers: ( { name = \"default\"; }, { name = \"last\"; order = 10000000; } ); "
	       "policies: ( { name = \"p\"; tier = "
	       "\"last\"; } );\n",
	A_NODE "policies: ( { name = \"p\"; ingress = ( { protocol = \"6\"; source_ports = \"9\"; "
	       "destination_ports = [ \"http\", "
	       "\"8080-tcp\", \"1:65535\" ]; }, { protocol = \"1\"; icmp_type = 0; icmp_code = "
	       "255; ip_version = \"4\"; source_cidrs "
	       "= \"10.0.0.0/8\"; }, { protocol = \"icmpv6\"; not_icmp_type = 1; not_icmp_code = "
	       "1; }, { protocol = \"132\"; "
	       "destination_not_ports = \"7\"; }, { source_nodes = \"all()\"; source_cidrs = "
	       "\"10.0.0.0/8\"; }, { source = "
	       "\"app.kubernetes.io/name in { }\"; source_namespaces = \"global()\"; } ); } );\n",
	A_NODE "policies: ( { name = \"h\"; subject = \"host\"; stateless = true; types = [ "
	       "\"egress\", \"ingress\" ]; ingress = ( "
	       "{ action = \"deny\"; } ); } );\n",
};

static int load(const char *text, const char *file, struct changeset *set, struct error *err)
{
	int ret = config_load_text(text, file, set, err);

	return ret < 0 ? ret : changeset_validate(set, err);
}

static void accepts_what_is_fine(void)
{
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		struct model *model = model_new();
		struct changeset *set = changeset_new(model);
		struct error err = { 0 };

		if (load(fine[i], "t.conf", set, &err) < 0)
			printf("\n%s%s\n", fine[i], err.text);
		CU_ASSERT_STRING_EQUAL(err.text, "");
		changeset_free(set);
		model_free(model);
	}
}

static const char running[] =
	A_NODE SET "tiers: ( { name = \"admin\"; order = 1; }, { name = \"unused\"; }, { name = "
		   "\"default\"; } );\n"
		   "policies: ( { name = \"a\"; tier = \"admin\"; }, { name = \"b\"; egress = ( { "
		   "}, { destination_sets = \"offices\"; } ); },\n"
		   "{ name = \"c\"; } );\n" ENDPOINT("10.9.0.2");

static const struct {
	const char *type, *name; /* to delete */
	const char *puts;
	const char *message; /* NULL: fine */
} steps[] = {
	{ "tier", "admin", "",
		"tier admin: policy a is in this tier: delete or change the policy first" },
	{ "set", "offices", "",
		"set offices: policy b names this set: delete or change the policy first" },
	{ "tier", "unused", "", NULL },
	{ "tier", "default", "", NULL },
	{ "tier", "admin", "policies: ( { name = \"a\"; } );", NULL },
	{ "tier", "admin", "policies: ( { name = \"a\"; }, { name = \"d\"; tier = \"admin\"; } );",
		"policy d: there is no tier admin: add it, or correct the name" },
	{ "set", "offices",
		"policies: ( { name = \"b\"; ingress = ( { source_sets = \"offices\"; } ); } );",
		"policy b: ingress[0].source_sets: there is no set offices: add it, or correct the "
		"name" },
	{ "set", "offices", "policies: ( { name = \"b\"; } );", NULL },
	{ "policy", "a", "", NULL },
	{ "endpoint", "e", "endpoints: ( { name = \"f\"; addresses = \"10.9.0.2\"; } );", NULL },
	{ "policy", "c", "endpoints: ( { name = \"f\"; addresses = \"10.9.0.2\"; } );",
		"endpoint f: 10.9.0.2 is also an address of endpoint e: give each its own" },
};

static void changes_of_what_runs(void)
{
	struct model *model = model_new();
	struct changeset *set = changeset_new(model);
	struct error err = { 0 };

	CU_ASSERT_EQUAL_FATAL(load(running, "run.conf", set, &err), 0);
	model_apply(model, set, NULL);
	changeset_free(set);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		set = changeset_new(model);
		err = (struct error){ 0 };
		CU_ASSERT_EQUAL(changeset_delete(set, schema_by_name(steps[i].type)->type,
					steps[i].name, &err),
			0);
		load(steps[i].puts, "t.conf", set, &err);
		CU_ASSERT_STRING_EQUAL(err.text, steps[i].message != NULL ? steps[i].message : "");
		changeset_free(set);
	}
	/* Applied, the counts of who names what follow. */
	set = changeset_new(model);
	CU_ASSERT_EQUAL(changeset_delete(set, OBJECT_POLICY, "a", &err), 0);
	CU_ASSERT_EQUAL(changeset_delete(set, OBJECT_POLICY, "b", &err), 0);
	CU_ASSERT_EQUAL(changeset_validate(set, &err), 0);
	model_apply(model, set, NULL);
	changeset_free(set);
	set = changeset_new(model);
	CU_ASSERT_EQUAL(changeset_delete(set, OBJECT_TIER, "admin", &err), 0);
	CU_ASSERT_EQUAL(changeset_delete(set, OBJECT_SET, "offices", &err), 0);
	CU_ASSERT_EQUAL(changeset_validate(set, &err), 0);
	changeset_free(set);
	model_free(model);
}

static const struct test_case cases[] = {
	{ "objects against each other", refuses_together },
	{ "fine files are accepted", accepts_what_is_fine },
	{ "changes of what runs", changes_of_what_runs },
};
SUITE_MAIN("policy relations", cases)
