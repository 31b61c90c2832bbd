/* SPDX-License-Identifier: Apache-2.0 */
/* Objects through every form they have: file, JSON, text, differences, documentation. */
#include "config/schema.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char full[] =
	"node: { name = \"node-a\"; worker_cpus = [ 2, 3 ]; control_cpu = 0; hugepages = \"off\"; "
	"memory_mb = 512;\n"
	"  buffers = 65536; latency = \"low\"; flows = 65536; flows6 = 32768; neighbours = 1000; "
	"flow_timeout_s = 30;\n"
	"  vtep_mac = \"02:00:C0:00:02:01\"; vxlan_vni = 4096; vxlan_port = 4789; "
	"vxlan_udp6_checksum = true;\n"
	"  mss_clamp = false; gateway = \"169.254.1.2\"; gateway6 = \"fe80::2\"; gateway_mac = "
	"\"02:00:00:00:00:02\";\n"
	"  host_interface = \"pod0\"; host_addresses = [ \"10.244.1.1\", \"fd00:244:1::1\" ]; "
	"icmp_rate = 0;\n"
	"  log_level = \"debug\"; metrics_listen = \"[::1]:9100\"; labels = [ \"zone=a\" ]; "
	"failsafe_in = [ \"22/tcp\" ]; failsafe_out "
	"= [ ]; };\n"
	"uplinks: ( { name = \"eth0\"; driver = \"pci\"; device = \"0000:01:00.0\"; mtu = 9000; "
	"queues = 2;\n"
	"  addresses = [ \"192.0.2.1/24\", \"2001:db8::1/64\" ]; mac = \"02:00:c0:00:02:09\"; },\n"
	"  { name = \"eth1\"; driver = \"ethdev\"; device = \"net_null0,size=\\\"64\\\"\"; "
	"addresses = \"203.0.113.1/31\"; } );\n"
	"pools: ( { name = \"pods\"; cidr = \"10.244.1.0/24\"; }, { name = \"pods6\"; cidr = "
	"\"fd00:244:1::/64\"; } );\n"
	"peers: ( { name = \"node-b\"; underlay = [ \"192.0.2.2\", \"2001:db8::2\" ]; encap = "
	"\"vxlan\"; vni = 7; port = 4790;\n"
	"  pod_cidrs = [ \"10.244.2.0/24\", \"fd00:244:2::/64\" ]; vtep_mac = "
	"\"02:00:c0:00:02:02\"; mtu = 1400; },\n"
	"  { name = \"node-c\"; underlay = \"192.0.2.3\"; encap = \"ipip\"; } );\n"
	"pods: ( { name = \"web-1\"; netns = \"/run/netns/w\"; interface = \"net1\"; addresses = [ "
	"\"10.244.1.5\", \"fd00:244:1::5\" ];\n"
	"  mac = \"02:00:00:00:00:05\"; queues = 2; mtu = 1400; namespace = \"main\"; labels = [ "
	"\"app=web\", \"a.b/c=d\" ]; ports = "
	"\"http=80/tcp\"; },\n"
	"  { name = \"vpp-1\"; kind = \"memif\"; socket = \"/run/a b.sock\"; memif_id = "
	"4294967295; ring_size = 2048;\n"
	"  addresses = [ \"10.244.1.6\" ]; secret = \"a\\\\\\\"b\"; } );\n"
	"routes: ( { prefix = \"0.0.0.0/0\"; via = ( { address = \"192.0.2.254\"; weight = 3; }, { "
	"peer = \"node-b\"; },\n"
	"  { pod = \"vpp-1\"; } ); }, { prefix = \"::/0\"; via = { address = \"fe80::9\"; uplink = "
	"\"eth1\"; }; },\n"
	"  { prefix = \"198.51.100.0/24\"; action = \"prohibit\"; } );\n"
	"namespaces: ( { name = \"main\"; labels = [ \"team=blue\", \"example.org/env=\" ]; } );\n"
	"endpoints: ( { name = \"main.db-1\"; namespace = \"main\"; labels = \"app=db\"; addresses "
	"= [ \"10.244.2.7\", "
	"\"fd00:244:2::7\" ]; ports = [ \"pg=5432/tcp\", \"m=9/udp\" ]; },\n"
	"  { name = \"node-b\"; kind = \"node\"; addresses = \"192.0.2.2\"; } );\n"
	"sets: ( { name = \"offices\"; cidrs = [ \"203.0.113.0/25\", \"2001:db8:7::/48\" ]; labels "
	"= \"office=yes\"; },\n"
	"  { name = \"labs\"; } );\n"
	"tiers: ( { name = \"admin\"; order = 0; default_action = \"pass\"; } );\n"
	"policies: ( { name = \"db\"; namespace = \"main\"; tier = \"admin\"; order = 7; selector "
	"= \"app == 'db'\"; types = [ "
	"\"ingress\", \"egress\" ]; staged = true; on_change = \"reset\";\n"
	"  ingress = ( { name = \"a \\\"b\\\"\"; action = \"pass\"; protocol = \"tcp\"; ip_version "
	"= \"6\"; source = \"has(x)\"; "
	"source_not = \"y == 'z'\"; source_namespaces = \"all()\"; source_sets = [ \"offices\", "
	"\"labs\" ]; source_cidrs = "
	"\"2001:db8::/32\"; source_not_cidrs = [ \"2001:db8:1::/48\", \"2001:db8:2::/48\" ]; "
	"source_ports = \"1:9\";\n"
	"    destination_ports = [ \"80\", \"8000:8080\", \"http\" ]; destination_not_ports = "
	"\"8001\"; }, { not_protocol = \"89\"; "
	"} );\n"
	"  egress = { action = \"log\"; protocol = \"icmp\"; icmp_type = 8; icmp_code = 0; "
	"destination_nodes = \"all()\"; }; },\n"
	"  { name = \"host\"; subject = \"host\"; stateless = true; } );\n";

static struct model *load(const char *text)
{
	struct model *model = model_new();
	struct changeset *set = changeset_new(model);
	struct error err = { 0 };
	int ret = config_load_text(text, "full.conf", set, &err);

	if (ret == 0)
		ret = changeset_validate(set, &err);
	if (ret < 0)
		printf("\n%s:%u: %s\n", err.file, err.line, err.text);
	CU_ASSERT_EQUAL_FATAL(ret, 0);
	model_apply(model, set, NULL);
	changeset_free(set);
	return model;
}

/* --- round trips ---------------------------------------------------------------------------------------------- */

/* object -> text -> object, without validation against others. */
static struct object *through_text(const struct object *obj)
{
	struct model *model = model_new();
	struct changeset *set = changeset_new(model);
	char *text = object_to_text(obj);
	struct error err = { 0 };
	struct object *back = NULL;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(config_load_text(text, "back.conf", set, &err), 0);
	back = changeset_find(set, obj->type, obj->name);
	if (back != NULL)
		object_ref(back);
	free(text);
	changeset_free(set);
	model_free(model);
	return back;
}

static int round_trip(const struct object *obj, void *arg)
{
	json_t *json = object_to_json(obj, true);
	char *dumped = json_dumps(json, 0);
	json_t *parsed = json_loads(dumped, 0, NULL), *again;
	struct object *from_json = NULL, *from_text;
	struct error err = { 0 };

	CU_ASSERT_EQUAL_FATAL(object_from_json(obj->type, parsed, &from_json, &err), 0);
	CU_ASSERT_TRUE(object_equal(obj, from_json));
	CU_ASSERT_EQUAL_FATAL(
		object_from_text(obj->type, dumped, strlen(dumped), &from_text, &err), 0);
	CU_ASSERT_TRUE(object_equal(obj, from_text));
	object_unref(from_text);
	CU_ASSERT_STRING_EQUAL(obj->name, from_json->name);
	from_text = through_text(from_json);
	CU_ASSERT_PTR_NOT_NULL_FATAL(from_text);
	CU_ASSERT_TRUE(object_equal(obj, from_text));
	again = object_to_json(from_text, true);
	CU_ASSERT_TRUE(json_equal(json, again));
	/* Every field is there. */
	CU_ASSERT_EQUAL(json_object_size(json), object_schemas[obj->type].field_count);
	object_unref(from_json);
	object_unref(from_text);
	json_decref(json);
	json_decref(parsed);
	json_decref(again);
	free(dumped);
	++*(unsigned *)arg;
	return 0;
}

static void every_form(void)
{
	struct model *model = load(full);
	unsigned count = 0;

	for (size_t type = 0; type < OBJECT_TYPE_COUNT; type++)
		model_each(model, (enum object_type)type, round_trip, &count);
	CU_ASSERT_EQUAL(count, 20);
	model_free(model);
}

static int same_in(const struct object *obj, void *arg)
{
	const struct object *other = model_find(arg, obj->type, obj->name);

	return other != NULL && object_equal(obj, other) ? 0 : -1;
}

static void whole_file(void)
{
	struct model *model = load(full), *back;
	char *text = model_to_text(model);

	back = load(text);
	for (size_t type = 0; type < OBJECT_TYPE_COUNT; type++) {
		CU_ASSERT_EQUAL(model_count(back, (enum object_type)type),
			model_count(model, (enum object_type)type));
		CU_ASSERT_EQUAL(model_each(model, (enum object_type)type, same_in, back), 0);
	}
	free(text);
	model_free(back);
	model_free(model);
}

static void values_as_read(void)
{
	struct model *model = load(full);
	const struct node *node = &model_find(model, OBJECT_NODE, NULL)->node;
	const struct object *vpp = model_find(model, OBJECT_POD, "vpp-1");
	const struct peer *c = &model_find(model, OBJECT_PEER, "node-c")->peer;
	const struct route *route = &model_find(model, OBJECT_ROUTE, "0.0.0.0/0")->route;

	CU_ASSERT_EQUAL(node->worker_cpus.count, 2);
	CU_ASSERT_EQUAL(node->worker_cpus.items[1], 3);
	CU_ASSERT_EQUAL(node->latency, LATENCY_LOW);
	CU_ASSERT_EQUAL(node->vtep_mac.bytes[2], 0xc0);
	CU_ASSERT_FALSE(node->mss_clamp);
	CU_ASSERT_EQUAL(vpp->pod.memif_id, UINT32_MAX);
	CU_ASSERT_STRING_EQUAL(vpp->pod.secret, "a\\\"b");
	CU_ASSERT_STRING_EQUAL(vpp->file, "full.conf");
	CU_ASSERT_EQUAL(vpp->line, 16);
	CU_ASSERT_EQUAL(vpp->origin, ORIGIN_FILE);
	CU_ASSERT_EQUAL(c->pod_cidrs.count, 0);
	CU_ASSERT_EQUAL(c->encap, ENCAP_IPIP);
	CU_ASSERT_EQUAL(c->vni, 0);
	CU_ASSERT_EQUAL(route->via_count, 3);
	CU_ASSERT_EQUAL(route->via[0].weight, 3);
	CU_ASSERT_EQUAL(route->via[1].weight, 1);
	CU_ASSERT_EQUAL(route->via[1].address.family, IP_NONE);
	CU_ASSERT_STRING_EQUAL(route->via[2].pod, "vpp-1");
	model_free(model);
}

static void defaults(void)
{
	struct model *model = load("node: { name = \"n\"; };");
	const struct node *node = &model_find(model, OBJECT_NODE, "n")->node;
	char text[IP_TEXT_MAX], mac[MAC_TEXT_MAX];

	CU_ASSERT_EQUAL(node->control_cpu, UINT32_MAX);
	CU_ASSERT_EQUAL(node->vxlan_vni, 1);
	CU_ASSERT_EQUAL(node->vxlan_port, 8472);
	CU_ASSERT_TRUE(mac_addr_is_zero(&node->vtep_mac));
	CU_ASSERT_STRING_EQUAL(ip_addr_format(&node->gateway, text), "169.254.1.1");
	CU_ASSERT_STRING_EQUAL(ip_addr_format(&node->gateway6, text), "fe80::1");
	CU_ASSERT_STRING_EQUAL(mac_addr_format(&node->gateway_mac, mac), "02:70:6f:64:6c:01");
	CU_ASSERT_STRING_EQUAL(node->host_interface, "podlane0");
	CU_ASSERT_STRING_EQUAL(node->metrics_listen, "127.0.0.1:9099");
	model_free(model);
}

/* --- merge and differences ------------------------------------------------------------------------------------ */

static int merge(
	const struct object *base, const char *patch, struct object **out, struct error *err)
{
	json_t *json = json_loads(patch, JSON_DECODE_ANY, NULL);
	int ret = object_merge_json(base, json, out, err);

	json_decref(json);
	return ret;
}

static void merges(void)
{
	struct model *model = load(full);
	struct object *web = model_find(model, OBJECT_POD, "vpp-1"), *out = NULL;
	struct error err = { 0 };
	json_t *diff, *want;

	CU_ASSERT_EQUAL_FATAL(
		merge(web, "{\"ring_size\":512,\"memif_id\":null,\"secret\":\"***\"}", &out, &err),
		0);
	CU_ASSERT_EQUAL(out->pod.ring_size, 512);
	CU_ASSERT_EQUAL(out->pod.memif_id, 0);
	CU_ASSERT_STRING_EQUAL(out->pod.secret, web->pod.secret);
	CU_ASSERT_EQUAL(out->origin, ORIGIN_FILE);
	CU_ASSERT_EQUAL(out->line, web->line);
	diff = object_diff_json(web, out);
	want = json_pack("{s:[I, i], s:[i, i]}", "memif_id", (json_int_t)UINT32_MAX, 0, "ring_size",
		2048, 512);
	CU_ASSERT_TRUE(json_equal(diff, want));
	json_decref(diff);
	json_decref(want);
	object_unref(out);
	/* A secret is never shown. */
	diff = object_diff_json(NULL, web);
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_array_get(json_object_get(diff, "secret"), 1)), "***");
	CU_ASSERT_TRUE(json_is_null(json_array_get(json_object_get(diff, "secret"), 0)));
	CU_ASSERT_PTR_NULL(json_object_get(diff, "netns"));
	json_decref(diff);
	diff = object_to_json(web, false);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(diff, "secret")), "***");
	json_decref(diff);

	CU_ASSERT_EQUAL(merge(web, "{\"name\":\"vpp-2\"}", &out, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.text, "pod vpp-1: cannot be renamed: delete it and add vpp-2");
	CU_ASSERT_STRING_EQUAL(err.path, "pods/vpp-1/name");
	CU_ASSERT_EQUAL(merge(web, "[1]", &out, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.text, "pod vpp-1: expected an object with the fields to change");
	CU_ASSERT_EQUAL(merge(web, "{\"ring\":1}", &out, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(
		err.text, "pods/vpp-1/ring: unknown key: did you mean \"ring_size\"?");
	CU_ASSERT_EQUAL(merge(web, "{\"socket\":null}", &out, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(
		err.text, "pod vpp-1: socket is missing: a memif pod is reached through it");
	model_free(model);
}

/* --- includes ------------------------------------------------------------------------------------------------- */

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[160];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs(text, out);
	fclose(out);
}

static int load_main(const char *dir, const char *text, struct error *err)
{
	struct model *model = model_new();
	struct changeset *set = changeset_new(model);
	char path[160];
	int ret;

	write_file(dir, "main.conf", text);
	snprintf(path, sizeof(path), "%s/main.conf", dir);
	ret = config_load_file(path, set, err);
	if (ret == 0)
		ret = changeset_validate(set, err);
	if (ret < 0) {
		size_t count;

		/* Nothing of a refused file is left, unless only the objects together are wrong. */
		changeset_changes(set, &count);
		CU_ASSERT_TRUE(count == 0 || strstr(err->text, "overlaps") != NULL);
	}
	changeset_free(set);
	model_free(model);
	return ret;
}

/* Refused at a line of a file, "" = none, with a message that has these words. */
static void refused(
	const char *dir, const char *text, const char *file, unsigned line, const char *words)
{
	struct error err = { 0 };
	char want[160];
	bool same;

	snprintf(want, sizeof(want), "%s%s", dir, file);
	CU_ASSERT_TRUE(load_main(dir, text, &err) < 0);
	same = strcmp(err.file, want) == 0 && err.line == line && strstr(err.text, words) != NULL;
	if (!same)
		printf("\n%s:%u: %s\n", err.file, err.line, err.text);
	CU_ASSERT_TRUE(same);
}

#define A_NODE "node: { name = \"n\"; };\n"

static void includes(void)
{
	char dir[] = "/tmp/podlane-includes-XXXXXX", command[200];
	struct error err = { 0 };

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	write_file(dir, "good.conf", "\n{ name = \"p\"; cidr = \"10.1.0.0/16\"; }");
	write_file(dir, "pools.conf",
		"pools: (\n  @include \"good.conf\"\n, { name = \"q\"; cidr = \"10.1.2.0/24\"; } "
		");");
	write_file(dir, "syntax.conf", "/* two\nlines */ pools: (\n{ ) }\n");
	write_file(
		dir, "value.conf", "\n\npools: ( {\n name = \"p\";\n cidr = \"10.1.0.1/16\"; } );");
	write_file(dir, "loop.conf", "\n@include \"loop.conf\"\n");
	CU_ASSERT_EQUAL(load_main(dir, A_NODE "pools: (\n@include \"good.conf\"\n);\n", &err), 0);
	CU_ASSERT_EQUAL(
		load_main(dir, A_NODE "pools: ( @include \"good.conf\"\n);\n", &err), -EINVAL);
	/* What looks like an include and is none. */
	CU_ASSERT_EQUAL(
		load_main(dir,
			A_NODE
			"/*\n@include \"none\"\n*/\n# @include \"none\"\n// @include \"none\"\n",
			&err),
		0);
	refused(dir, A_NODE "\n@include \"syntax.conf\"\n", "/syntax.conf", 3, "syntax error");
	refused(dir, A_NODE "@include \"value.conf\"\n", "/value.conf", 5,
		"has host bits set: write 10.1.0.0/16");
	refused(dir, A_NODE "@include \"pools.conf\"\n", "/pools.conf", 3, "overlaps 10.1.0.0/16");
	refused(dir, A_NODE "@include \"good2.conf\"\n", "/main.conf", 2, "cannot read");
	refused(dir, A_NODE "@include \"/none/such\"\n", "/main.conf", 2,
		"cannot read /none/such: No such file or directory");
	refused(dir, A_NODE "@include \".\"\n", "/main.conf", 2, "Is a directory");
	refused(dir, A_NODE "@include \"\"\n", "/main.conf", 2, "needs a file name of 1 to");
	refused(dir, A_NODE "@include \"loop.conf\"\n", "/loop.conf", 2,
		"includes are nested more than 10 deep");
	/* Lines after an include are lines of the includer. */
	refused(dir, A_NODE "pools: (\n@include \"good.conf\"\n);\n\npeers: 3;\n", "/main.conf", 6,
		"expected a list");
	CU_ASSERT_EQUAL(config_load_file(dir, NULL, &err), -EISDIR);
	CU_ASSERT_EQUAL(err.line, 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* config/podlane.conf is where people begin. */
static void sample(void)
{
	struct model *model = model_new();
	struct changeset *set = changeset_new(model);
	struct error err = { 0 };

	CU_ASSERT_EQUAL(config_load_file(SAMPLE_CONF, set, &err), 0);
	CU_ASSERT_EQUAL(changeset_validate(set, &err), 0);
	for (size_t type = 0; type < OBJECT_TYPE_COUNT; type++)
		CU_ASSERT_TRUE(changeset_count(set, (enum object_type)type) > 0);
	changeset_free(set);
	model_free(model);
}

/* --- documentation -------------------------------------------------------------------------------------------- */

static void every_field_is_described(void)
{
	json_t *components = schema_openapi_components();

	for (size_t type = 0; type < OBJECT_TYPE_COUNT; type++) {
		const struct object_schema *schema = &object_schemas[type];
		json_t *component = json_object_get(components, schema->name);
		json_t *properties = json_object_get(component, "properties");

		CU_ASSERT_TRUE(json_is_false(json_object_get(component, "additionalProperties")));
		CU_ASSERT_EQUAL(json_object_size(properties), schema->field_count);
		CU_ASSERT_PTR_EQUAL(schema_by_name(schema->plural), schema);
		for (size_t i = 0; i < schema->field_count; i++) {
			const struct field *field = &schema->fields[i];
			json_t *property = json_object_get(properties, field->name);
			bool required = (field->flags & FIELD_REQUIRED) != 0;

			CU_ASSERT_PTR_NOT_NULL(json_object_get(property, "type"));
			CU_ASSERT_STRING_EQUAL(
				json_string_value(json_object_get(property, "description")),
				field->doc);
			/* What may be left out says what it is then. */
			CU_ASSERT_EQUAL(json_object_get(property, "default") == NULL, required);
		}
	}
	json_decref(components);
}

/* Examples are copied: they must be right. */
static void examples_are_values(void)
{
	static const char *const frames[OBJECT_TYPE_COUNT] = {
		[OBJECT_NODE] = "{\"name\":\"a\",\"memory_mb\":1024}",
		[OBJECT_NAMESPACE] = "{\"name\":\"a\"}",
		[OBJECT_UPLINK] = "{\"name\":\"a\",\"driver\":\"af_packet\",\"device\":\"eth0\","
				  "\"addresses\":\"192.0.2.1/24\"}",
		[OBJECT_POOL] = "{\"name\":\"a\",\"cidr\":\"10.0.0.0/8\"}",
		[OBJECT_PEER] = "{\"name\":\"a\",\"underlay\":\"192.0.2.2\",\"vtep_mac\":\"02:00:"
				"00:00:00:01\"}",
		[OBJECT_SET] = "{\"name\":\"a\"}",
		[OBJECT_TIER] = "{\"name\":\"a\"}",
		[OBJECT_ENDPOINT] = "{\"name\":\"a\",\"addresses\":\"10.0.0.1\"}",
		[OBJECT_POD] = "{\"name\":\"a\",\"netns\":\"a\"}",
		[OBJECT_POLICY] = "{\"name\":\"a\"}",
		[OBJECT_ROUTE] = "{\"prefix\":\"10.0.0.0/8\",\"via\":{\"address\":\"192.0.2.1\"}}",
	};
	static const char memif[] = "{\"name\":\"a\",\"kind\":\"memif\",\"socket\":\"/a\"}";
	static const char memif_uplink[] = "{\"name\":\"a\",\"driver\":\"memif\",\"device\":"
					   "\"/a\",\"addresses\":\"192.0.2.1/24\"}";

	for (size_t type = 0; type < OBJECT_TYPE_COUNT; type++) {
		const struct object_schema *schema = &object_schemas[type];

		for (size_t i = 0; i < schema->field_count; i++) {
			const struct field *field = &schema->fields[i];
			bool of_memif =
				strstr("socket role mode memif_id ring_size secret", field->name);
			const char *frame = !of_memif		    ? frames[type]
					    : type == OBJECT_POD    ? memif
					    : type == OBJECT_UPLINK ? memif_uplink
								    : frames[type];
			json_t *json = json_loads(frame, 0, NULL);
			struct object *obj = NULL;
			struct error err = { 0 };
			json_t *value;
			int ret;

			CU_ASSERT_PTR_NOT_NULL_FATAL(field->example);
			if (field->kind == FIELD_GROUPS && type == OBJECT_POLICY)
				value = json_pack("{s:s}", "source", "app == 'web'");
			else if (field->kind == FIELD_GROUPS)
				value = json_pack("{s:s}", "address", "192.0.2.254");
			else if (field->kind == FIELD_UINT || field->kind == FIELD_BOOL)
				value = json_loads(field->example, JSON_DECODE_ANY, NULL);
			else if (field->kind == FIELD_UINTS)
				value = json_pack("[i, i]", 2, 3);
			else
				value = json_string(field->example);
			json_object_set_new(json, field->name, value);
			if (type == OBJECT_POD && strcmp(field->name, "kind") == 0) {
				json_object_set_new(json, "netns", json_string(""));
				json_object_set_new(json, "socket", json_string("/a"));
			}
			if (strstr(field->name, "_burst_") != NULL) { /* of a rate */
				json_object_set_new(json, "ingress_rate_kbps", json_integer(8));
				json_object_set_new(json, "ingress_rate_pps", json_integer(1));
				json_object_set_new(json, "egress_rate_kbps", json_integer(8));
				json_object_set_new(json, "egress_rate_pps", json_integer(1));
			}
			if (strcmp(field->name, "action") == 0)
				json_object_del(json, "via");
			if (strcmp(field->name, "stateless") == 0)
				json_object_set_new(json, "subject", json_string("host"));
			if (strcmp(field->name, "xdp_mode") == 0)
				json_object_set_new(json, "driver", json_string("af_xdp"));
			if (strcmp(field->name, "kernel_interface") == 0 ||
				strcmp(field->name, "disabled_offloads") == 0)
				json_object_set_new(json, "driver", json_string("ethdev"));
			ret = object_from_json((enum object_type)type, json, &obj, &err);
			if (ret < 0)
				printf("\n%s\n", err.text);
			CU_ASSERT_EQUAL(ret, 0);
			object_unref(obj);
			json_decref(json);
		}
	}
}

/* Reading from text takes a short way where it can: nobody may be able to tell. */
static void text_or_tree(void)
{
	static const char *const routes[] = {
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[{\"address\":\"192.0.2.1\"}]}",
		" { \"via\" : [ { \"weight\" : 255 , \"address\" : \"192.0.2.1\" } "
		",\n\t{\"peer\":\"node-b\"} ] , \"prefix\" : \"10.0.0.0/8\" }\r\n",
		"{\"prefix\":\"2001:DB8::/"
		"32\",\"via\":[{\"address\":\"fe80::1\",\"uplink\":\"eth0\"}]}",
		"{\"prefix\":\"10.0.0.0/8\",\"action\":\"blackhole\"}",
		"{\"prefix\":\"10.0.0.0/8\",\"action\":\"black\\u0068ole\"}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":{\"address\":\"192.0.2.1\"}}",
		"{\"prefix\":\"10.0.0.0/"
		"8\",\"action\":null,\"via\":[{\"pod\":\"p\",\"weight\":null}]}",
		/* wrong */
		"{\"prefix\":\"10.0.0.1/8\",\"action\":\"blackhole\"}",
		"{\"prefix\":\"10.0.0.0/33\",\"action\":\"blackhole\"}",
		"{\"prefix\":\"224.0.0.0/8\",\"action\":\"blackhole\"}",
		"{\"prefix\":\"10.0.0.0/"
		"8\",\"action\":\"blackhole\",\"via\":[{\"address\":\"192.0.2.1\"}]}",
		"{\"prefix\":\"10.0.0.0/8\",\"action\":\"blackholes\"}",
		"{\"prefix\":\"10.0.0.0/8\"}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[]}",
		"{\"action\":\"blackhole\"}",
		"{}",
		"[]",
		"7",
		"{\"prefix\":7,\"action\":\"blackhole\"}",
		"{\"prefix\":\"10.0.0.0/8\",\"metric\":1,\"action\":\"blackhole\"}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[{\"address\":\"192.0.2.1\",\"weight\":0}]}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[{\"address\":\"192.0.2.1\",\"weight\":256}]}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[{\"address\":\"192.0.2.1\",\"weight\":1.5}]}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[{\"address\":\"192.0.2.1\",\"weight\":1e1}]}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[{\"address\":\"192.0.2.1\",\"weight\":-1}]}",
		"{\"prefix\":\"10.0.0.0/"
		"8\",\"via\":[{\"address\":\"192.0.2.1\",\"weight\":\"1\"}]}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[{\"address\":\"2001:db8::1\"}]}",
		"{\"prefix\":\"10.0.0.0/"
		"8\",\"via\":[{\"address\":\"192.0.2.1\"},{\"address\":\"192.0.2.1\"}]}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[{\"address\":\"192.0.2.1\",\"mtu\":1}]}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[7]}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[{\"peer\":\"node b\"}]}",
		/* not JSON, or more than it can hold */
		"{\"prefix\":\"10.0.0.0/"
		"8\",\"via\":[{\"address\":\"192.0.2.1\",\"weight\":99999999999999999999}]}",
		"{\"prefix\":\"10.0.0.0/8\",\"action\":\"blackhole\",}",
		"{\"prefix\":\"10.0.0.0/8\",\"action\":\"blackhole\"} x",
		"{\"prefix\":\"10.0.0.0/8\",\"prefix\":\"10.0.0.0/8\",\"action\":\"blackhole\"}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[{\"address\":\"192.0.2.1\",\"weight\":01}]}",
		"{\"prefix\":\"10.0.0.0/8\",\"action\":\"blackhole\"",
		"{\"prefix\":\"10.0.0.0/8",
		"{\"prefix\":\"10.0.0.0\n/8\",\"action\":\"blackhole\"}",
		"{\"prefix\":\"10.0.0.0/8\",\"via\":[{\"address\":\"192.0.2.1\"}",
		"",
	};

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		struct error text_err = { 0 }, tree_err = { 0 };
		struct object *from_text = NULL, *from_tree = NULL;
		json_error_t why;
		json_t *json =
			json_loads(routes[i], JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
		int text_ret = object_from_text(
			OBJECT_ROUTE, routes[i], strlen(routes[i]), &from_text, &text_err);
		int tree_ret = json != NULL
				       ? object_from_json(OBJECT_ROUTE, json, &from_tree, &tree_err)
				       : -EBADMSG;

		CU_ASSERT_EQUAL(text_ret, tree_ret);
		if (text_ret == 0 && tree_ret == 0) {
			CU_ASSERT_TRUE(object_equal(from_text, from_tree));
			CU_ASSERT_STRING_EQUAL(from_text->name, from_tree->name);
		} else if (tree_ret != -EBADMSG) {
			CU_ASSERT_STRING_EQUAL(text_err.path, tree_err.path);
			CU_ASSERT_STRING_EQUAL(text_err.text, tree_err.text);
		}
		/* The first seven are right, and the last ten no JSON. */
		CU_ASSERT_EQUAL(text_ret, i < 7						 ? 0
					  : i >= sizeof(routes) / sizeof(routes[0]) - 10 ? -EBADMSG
											 : -EINVAL);
		if (from_text != NULL)
			object_unref(from_text);
		if (from_tree != NULL)
			object_unref(from_tree);
		json_decref(json);
	}
}

static const struct test_case cases[] = {
	{ "objects from text and from a tree", text_or_tree },
	{ "file, object, JSON, object, text, object", every_form },
	{ "a whole file and back", whole_file },
	{ "values as written", values_as_read },
	{ "defaults", defaults },
	{ "merges and differences", merges },
	{ "includes", includes },
	{ "the annotated sample", sample },
	{ "OpenAPI describes every field", every_field_is_described },
	{ "examples are values", examples_are_values },
};
SUITE_MAIN("config objects", cases)
