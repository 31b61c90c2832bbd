/* SPDX-License-Identifier: Apache-2.0 */
/* What policies, namespaces, endpoints, sets and tiers may not say, and the exact sentence that refuses it. */
#include "tests/unit/config_refusal.h"

#define POLICY(fields) A_NODE "policies: ( { name = \"p\";\n" fields "\n} );\n"
#define ENDPOINT(fields)                                                                     \
	A_NODE "endpoints: ( { name = \"main.db\"; addresses = [ \"10.244.2.7\" ];\n" fields \
	       "\n} );\n"
#define ENDPOINT_AT(address) \
	A_NODE "endpoints: ( { name = \"main.db\";\naddresses = [ \"" address "\" ]; } );\n"
#define NAMESPACE(fields)  A_NODE "namespaces: ( { name = \"main\";\n" fields "\n} );\n"
#define TIER(name, fields) A_NODE "tiers: ( { name = \"" name "\";\n" fields "\n} );\n"
#define SET(fields)	   A_NODE "sets: ( { name = \"s\";\n" fields "\n} );\n"

static const struct refusal policies[] = {
	{ POLICY("namespace = \"main\"; namespace_selector = \"all()\";"), 3,
		"policies/p/namespace_selector",
		"policy p: the policy is about namespace main already: remove one of them" },
	{ POLICY("subject = \"host\"; namespace = \"main\";"), 3, "policies/p/namespace",
		"policy p: the node is in no namespace: remove it, or set subject to pods" },
	{ POLICY("subject = \"host\"; namespace_selector = \"all()\";"), 3,
		"policies/p/namespace_selector",
		"policy p: the node is in no namespace: remove it, or set subject to pods" },
	{ POLICY("stateless = true;"), 3, "policies/p/stateless",
		"policy p: stateless is for subject host: set that, or remove stateless" },
	{ POLICY("stateless = true; subject = \"pods\";"), 3, "policies/p/stateless",
		"policy p: stateless is for subject host: set that, or remove stateless" },
	{ POLICY("subject = \"host\"; stateless = true; on_change = \"keep\";"), 3,
		"policies/p/on_change",
		"policy p: a stateless policy judges every packet, so that there is nothing to "
		"keep: remove on_change" },
	{ POLICY("subject = \"host\"; stateless = true; on_change = \"reset\";"), 3,
		"policies/p/on_change",
		"policy p: a stateless policy judges every packet, so that there is nothing to "
		"reset: remove on_change" },
	{ POLICY("types = [ \"egress\" ]; ingress = ( { } );"), 3, "policies/p/ingress",
		"policy p: types leaves ingress out, so that its rules would do nothing: add it "
		"there, or remove them" },
	{ POLICY("types = [ \"ingress\" ]; egress = ( { } );"), 3, "policies/p/egress",
		"policy p: types leaves egress out, so that its rules would do nothing: add it "
		"there, or remove them" },
	{ POLICY("types = [ \"both\" ];"), 3, "policies/p/types/0",
		"policies/p/types/0: \"both\" is not one of ingress, egress: write one of these" },
	{ POLICY("types = [ \"Ingress\" ];"), 3, "policies/p/types/0",
		"policies/p/types/0: \"Ingress\" is not one of ingress, egress: did you mean "
		"\"ingress\"?" },
	{ POLICY("types = [ \"ingress\", \"ingress\" ];"), 3, "policies/p/types/1",
		"policies/p/types/1: ingress is listed twice: remove one" },
	{ POLICY("types = [ \"ingress\", \"egress\", \"ingress\" ];"), 3, "policies/p/types",
		"policies/p/types: 3 entries are too many: at most 2 fit" },
	{ POLICY("tier = \"nowhere\";"), 2, "policies/p/tier",
		"policy p: there is no tier nowhere: add it, or correct the name" },
	{ POLICY("tier = \"\";"), 3, "policies/p/tier",
		"policies/p/tier: is empty: give it a value, for example \"admin\"" },
	{ POLICY("tier = \"a b\";"), 3, "policies/p/tier",
		"policies/p/tier: \"a b\" has characters that names cannot have: use letters, "
		"digits, \".\", \"_\" and \"-\"" },
	{ POLICY("order = -1;"), 3, "policies/p/order",
		"policies/p/order: expected a number from 0 to 1000000, found -1" },
	{ POLICY("order = 1000001;"), 3, "policies/p/order",
		"policies/p/order: expected a number from 0 to 1000000, found 1000001" },
	{ POLICY("order = \"first\";"), 3, "policies/p/order",
		"policies/p/order: expected a number from 0 to 1000000, found a string" },
	{ POLICY("subject = \"node\";"), 3, "policies/p/subject",
		"policies/p/subject: \"node\" is not one of pods, host: did you mean \"pods\"?" },
	{ POLICY("selector = \"x\";"), 3, "policies/p/selector",
		"policies/p/selector: ends where ==, !=, in, not in, contains, starts with or ends "
		"with should follow" },
	{ POLICY("namespace_selector = \"x y\";"), 3, "policies/p/namespace_selector",
		"policies/p/namespace_selector: character 3, at \"y\": expected ==, !=, in, not "
		"in, contains, starts with or ends with" },
	{ POLICY("selector = \"app == 'web\";"), 3, "policies/p/selector",
		"policies/p/selector: character 8, at \"'web\": expected a value that ends with "
		"'" },
	{ POLICY("on_change = \"drop\";"), 3, "policies/p/on_change",
		"policies/p/on_change: \"drop\" is not one of reevaluate, keep, reset: did you "
		"mean \"keep\"?" },
	{ POLICY("staged = 1;"), 3, "policies/p/staged",
		"policies/p/staged: expected true or false, found 1" },
	{ POLICY("staged = \"yes\";"), 3, "policies/p/staged",
		"policies/p/staged: expected true or false, found a string" },
	{ POLICY("ingress = \"all\";"), 3, "policies/p/ingress",
		"policies/p/ingress: expected a list such as ( { source = \"app == 'web'\"; } ), "
		"found a string" },
	{ POLICY("ingress = ( \"all\" );"), 3, "policies/p/ingress/0",
		"policies/p/ingress/0: expected a group such as { source = \"app == 'web'\"; }, "
		"found a string" },
	{ POLICY("ingress = ( ( ) );"), 3, "policies/p/ingress/0",
		"policies/p/ingress/0: expected a group such as { source = \"app == 'web'\"; }, "
		"found a list" },
	{ POLICY("ingres = ( );"), 3, "policies/p/ingres",
		"policies/p/ingres: unknown key: did you mean \"ingress\"?" },
	{ POLICY("namespace = \"a b\";"), 3, "policies/p/namespace",
		"policies/p/namespace: \"a b\" has characters that names cannot have: use letters, "
		"digits, \".\", \"_\" and \"-\"" },
	{ POLICY("namespace = \"..\";"), 3, "policies/p/namespace",
		"policies/p/namespace: \"..\" means a directory: choose another name" },
	{ POLICY("ingress = ( { }, { source_ports = \"80\"; } );"), 3,
		"policies/p/ingress/1/source_ports",
		"policy p: ingress[1].source_ports: ports need protocol tcp, udp or sctp: add it, "
		"one rule each" },
	{ POLICY("egress = ( { }, { }, { icmp_type = 8; } );"), 3, "policies/p/egress/2/icmp_type",
		"policy p: egress[2].icmp_type: needs protocol icmp or icmpv6: add it, or remove "
		"icmp_type" },
	{ POLICY("egress = ( { destination_sets = \"nowhere\"; } );"), 2,
		"policies/p/egress/0/destination_sets/0",
		"policy p: egress[0].destination_sets: there is no set nowhere: add it, or correct "
		"the name" },
	{ POLICY("types = \"egress\"; selector = \"has(\";"), 3, "policies/p/selector",
		"policies/p/selector: ends where a label's key should follow" },
};

static const struct refusal endpoints[] = {
	{ ENDPOINT("labels = [ \"app\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"app\" is not a label: write KEY=VALUE, such as "
		"app=web" },
	{ ENDPOINT("labels = [ \"=web\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"=web\" is not a label: write KEY=VALUE, such as "
		"app=web" },
	{ ENDPOINT("labels = [ \"app==web\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"app==web\" has no proper value: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends" },
	{ ENDPOINT("labels = [ \"app=we b\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"app=we b\" has no proper value: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends" },
	{ ENDPOINT("labels = [ \"app=-web\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"app=-web\" has no proper value: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends" },
	{ ENDPOINT("labels = [ \"app=web-\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"app=web-\" has no proper value: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends" },
	{ ENDPOINT("labels = [ \"-app=web\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"-app=web\" has no proper key: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends, behind a DNS "
		"name and \"/\" if need be" },
	{ ENDPOINT("labels = [ \"app-=x\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"app-=x\" has no proper key: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends, behind a DNS "
		"name and \"/\" if need be" },
	{ ENDPOINT("labels = [ \"a/b/c=x\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"a/b/c=x\" has no proper key: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends, behind a DNS "
		"name and \"/\" if need be" },
	{ ENDPOINT("labels = [ \"/app=web\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"/app=web\" has no proper key: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends, behind a DNS "
		"name and \"/\" if need be" },
	{ ENDPOINT("labels = [ \"app/=web\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"app/=web\" has no proper key: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends, behind a DNS "
		"name and \"/\" if need be" },
	{ ENDPOINT("labels = [ \"app=/x\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"app=/x\" has no proper value: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends" },
	{ ENDPOINT("labels = [ \"ap p=x\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"ap p=x\" has no proper key: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends, behind a DNS "
		"name and \"/\" if need be" },
	{ ENDPOINT("labels = [ "
		   "\"app=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" ];"),
		3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: "
		"\"app=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" has no proper "
		"value: up to 63 letters, digits, \"-\", \"_\" and \".\", with a letter or digit "
		"at both ends" },
	{ ENDPOINT("labels = [ "
		   "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=x\" ];"),
		3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: "
		"\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" has no proper "
		"key: up to 63 letters, digits, \"-\", \"_\" and \".\", with a letter or digit at "
		"both ends, behind a DNS name and \"/\" if need be" },
	{ ENDPOINT("labels = [ "
		   "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		   "xxxxxxxxxxxxxxxxxxx/a=b\" ];"),
		3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: "
		"\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" has no proper "
		"key: up to 63 letters, digits, \"-\", \"_\" and \".\", with a letter or digit at "
		"both ends, behind a DNS name and \"/\" if need be" },
	{ ENDPOINT("labels = [ \"app=wéb\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"app=wéb\" has no proper value: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends" },
	{ ENDPOINT("labels = [ \"app=web=x\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"app=web=x\" has no proper value: up to 63 letters, "
		"digits, \"-\", \"_\" and \".\", with a letter or digit at both ends" },
	{ ENDPOINT("labels = [ \"a!=b\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"a!=b\" has no proper key: up to 63 letters, digits, "
		"\"-\", \"_\" and \".\", with a letter or digit at both ends, behind a DNS name "
		"and \"/\" if need be" },
	{ ENDPOINT("labels = [ \"app=web\", \"app=db\" ];"), 3, "endpoints/main.db/labels/1",
		"endpoint main.db: label app has two values: keep one" },
	{ ENDPOINT("labels = [ \"app=web\", \"app=web\" ];"), 3, "endpoints/main.db/labels/1",
		"endpoints/main.db/labels/1: app=web is listed twice: remove one" },
	{ ENDPOINT("labels = [ \"a=1\", \"b=2\", \"a=3\" ];"), 3, "endpoints/main.db/labels/2",
		"endpoint main.db: label a has two values: keep one" },
	{ ENDPOINT("labels = [ \"app.kubernetes.io/name=a\", \"app.kubernetes.io/name=b\" ];"), 3,
		"endpoints/main.db/labels/1",
		"endpoint main.db: label app.kubernetes.io/name has two values: keep one" },
	{ ENDPOINT("labels = \"app\";"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: \"app\" is not a label: write KEY=VALUE, such as "
		"app=web" },
	{ ENDPOINT("labels = { app = \"web\"; };"), 3, "endpoints/main.db/labels",
		"endpoints/main.db/labels: expected a list such as [ \"app=web\" ], found a group "
		"{ }" },
	{ ENDPOINT("labels = [ 1 ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: expected a string such as \"app=web\", found 1" },
	{ ENDPOINT("labels = [ \"\" ];"), 3, "endpoints/main.db/labels/0",
		"endpoints/main.db/labels/0: is empty: give it a value, for example \"app=web\"" },
	{ ENDPOINT("ports = [ \"http\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"http\" is not a named port: write one such as "
		"http=80/tcp" },
	{ ENDPOINT("ports = [ \"http=\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"http=\" is not a named port: write one such as "
		"http=80/tcp" },
	{ ENDPOINT("ports = [ \"=80/tcp\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"=80/tcp\" is not a named port: write one such as "
		"http=80/tcp" },
	{ ENDPOINT("ports = [ \"http=80\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"http=80\" is not a named port: write one such as "
		"http=80/tcp" },
	{ ENDPOINT("ports = [ \"http=0/tcp\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"http=0/tcp\" is not a named port: write one such as "
		"http=80/tcp" },
	{ ENDPOINT("ports = [ \"http=65536/tcp\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"http=65536/tcp\" is not a named port: write one such "
		"as http=80/tcp" },
	{ ENDPOINT("ports = [ \"http=80/icmp\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"http=80/icmp\" is not a named port: write one such "
		"as http=80/tcp" },
	{ ENDPOINT("ports = [ \"http=80/TCP\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"http=80/TCP\" is not a named port: write one such as "
		"http=80/tcp" },
	{ ENDPOINT("ports = [ \"80=80/tcp\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"80=80/tcp\" is not a named port: write one such as "
		"http=80/tcp" },
	{ ENDPOINT("ports = [ \"a b=80/tcp\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"a b=80/tcp\" is not a named port: write one such as "
		"http=80/tcp" },
	{ ENDPOINT("ports = [ \"http=80/tcp/x\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"http=80/tcp/x\" is not a named port: write one such "
		"as http=80/tcp" },
	{ ENDPOINT("ports = [ \"http=x/tcp\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"http=x/tcp\" is not a named port: write one such as "
		"http=80/tcp" },
	{ ENDPOINT("ports = [ \"http=80 /tcp\" ];"), 3, "endpoints/main.db/ports/0",
		"endpoints/main.db/ports/0: \"http=80 /tcp\" is not a named port: write one such "
		"as http=80/tcp" },
	{ ENDPOINT("ports = [ \"http=80/tcp\", \"http=81/tcp\" ];"), 3, "endpoints/main.db/ports/1",
		"endpoint main.db: the name http stands for two tcp ports: give each a name of its "
		"own" },
	{ ENDPOINT("ports = [ \"dns=53/tcp\", \"dns=53/udp\", \"dns=5353/udp\" ];"), 3,
		"endpoints/main.db/ports/2",
		"endpoint main.db: the name dns stands for two udp ports: give each a name of its "
		"own" },
	{ ENDPOINT("kind = \"node\"; namespace = \"main\";"), 3, "endpoints/main.db/namespace",
		"endpoint main.db: a node is in no namespace: remove it, or set kind to pod" },
	{ ENDPOINT("kind = \"host\";"), 3, "endpoints/main.db/kind",
		"endpoints/main.db/kind: \"host\" is not one of pod, node: did you mean \"pod\"?" },
	{ ENDPOINT("namespace = \"\";"), 3, "endpoints/main.db/namespace",
		"endpoints/main.db/namespace: is empty: give it a value, for example \"main\"" },
	{ ENDPOINT("namespace = \"a/b\";"), 3, "endpoints/main.db/namespace",
		"endpoints/main.db/namespace: \"a/b\" has characters that names cannot have: use "
		"letters, digits, \".\", \"_\" and \"-\"" },
	{ ENDPOINT_AT(""), 3, "endpoints/main.db/addresses/0",
		"endpoints/main.db/addresses/0: \"\" is not an IP address: write one such as "
		"192.0.2.2 or 2001:db8::2" },
	{ ENDPOINT_AT("x"), 3, "endpoints/main.db/addresses/0",
		"endpoints/main.db/addresses/0: \"x\" is not an IP address: write one such as "
		"192.0.2.2 or 2001:db8::2" },
	{ ENDPOINT_AT("10.244.2.7/32"), 3, "endpoints/main.db/addresses/0",
		"endpoints/main.db/addresses/0: \"10.244.2.7/32\" has a prefix length: write "
		"10.244.2.7" },
	{ ENDPOINT_AT("0.0.0.0"), 3, "endpoints/main.db/addresses/0",
		"endpoints/main.db/addresses/0: 0.0.0.0 stands for no address: write the address "
		"of one host" },
	{ ENDPOINT_AT("127.0.0.1"), 3, "endpoints/main.db/addresses/0",
		"endpoints/main.db/addresses/0: 127.0.0.1 is a loopback address: write one that "
		"other hosts can reach" },
	{ ENDPOINT_AT("224.0.0.1"), 3, "endpoints/main.db/addresses/0",
		"endpoints/main.db/addresses/0: 224.0.0.1 is a multicast address: write the "
		"address of one host" },
	{ ENDPOINT_AT("::1"), 3, "endpoints/main.db/addresses/0",
		"endpoints/main.db/addresses/0: ::1 is a loopback address: write one that other "
		"hosts can reach" },
	{ ENDPOINT_AT("::"), 3, "endpoints/main.db/addresses/0",
		"endpoints/main.db/addresses/0: :: stands for no address: write the address of one "
		"host" },
	{ ENDPOINT_AT("ff02::1"), 3, "endpoints/main.db/addresses/0",
		"endpoints/main.db/addresses/0: ff02::1 is a multicast address: write the address "
		"of one host" },
	{ ENDPOINT_AT("fe80::1"), 3, "endpoints/main.db/addresses/0",
		"endpoint main.db: fe80::1 is link-local, which is not routed: write the "
		"endpoint's routed address" },
	{ ENDPOINT_AT("169.254.3.4"), 3, "endpoints/main.db/addresses/0",
		"endpoint main.db: 169.254.3.4 is link-local, which is not routed: write the "
		"endpoint's routed address" },
	{ ENDPOINT_AT("10.244.2.7.1"), 3, "endpoints/main.db/addresses/0",
		"endpoints/main.db/addresses/0: \"10.244.2.7.1\" is not an IP address: write one "
		"such as 192.0.2.2 or 2001:db8::2" },
	{ ENDPOINT_AT("::ffff:10.0.0.1"), 3, "endpoints/main.db/addresses/0",
		"endpoints/main.db/addresses/0: ::ffff:10.0.0.1 is an IPv4 address in IPv6 form: "
		"write 10.0.0.1" },
};

static const struct refusal others[] = {
	{ NAMESPACE("labels = [ \"kubernetes.io/metadata.name=other\" ];"), 3,
		"namespaces/main/labels/0",
		"namespace main: label kubernetes.io/metadata.name is the namespace's own name: "
		"leave it out" },
	{ NAMESPACE("labels = [ \"a=b\", \"a=c\" ];"), 3, "namespaces/main/labels/1",
		"namespace main: label a has two values: keep one" },
	{ NAMESPACE("labels = [ \"a b\" ];"), 3, "namespaces/main/labels/0",
		"namespaces/main/labels/0: \"a b\" is not a label: write KEY=VALUE, such as "
		"app=web" },
	{ NAMESPACE("order = 1;"), 3, "namespaces/main/order",
		"namespaces/main/order: unknown key: a namespace has name, labels" },
	{ NAMESPACE("label = [ \"a=b\" ];"), 3, "namespaces/main/label",
		"namespaces/main/label: unknown key: did you mean \"labels\"?" },
	{ TIER("default", "order = 5;"), 3, "tiers/default/order",
		"tier default: tier default stays at order 1000000: use a tier of another name" },
	{ TIER("default", "default_action = \"pass\";"), 3, "tiers/default/default_action",
		"tier default: tier default ends with deny: use a tier of another name for "
		"policies that pass" },
	{ TIER("admin", "default_action = \"allow\";"), 3, "tiers/admin/default_action",
		"tiers/admin/default_action: \"allow\" is not one of deny, pass: write one of "
		"these" },
	{ TIER("admin", "order = 100000000;"), 3, "tiers/admin/order",
		"tiers/admin/order: expected a number from 0 to 10000000, found 100000000" },
	{ TIER("admin", "order = -1;"), 3, "tiers/admin/order",
		"tiers/admin/order: expected a number from 0 to 10000000, found -1" },
	{ TIER("a b", ""), 2, "tiers/a b/name",
		"tiers/a b/name: \"a b\" has characters that names cannot have: use letters, "
		"digits, \".\", \"_\" and \"-\"" },
	{ TIER("admin", "namespace = \"x\";"), 3, "tiers/admin/namespace",
		"tiers/admin/namespace: unknown key: a tier has name, order, default_action" },
	{ SET("labels = [ \"a=b\", \"a=c\" ];"), 3, "sets/s/labels/1",
		"set s: label a has two values: keep one" },
	{ SET("cidrs = [ \"10.0.0.1/8\" ];"), 3, "sets/s/cidrs/0",
		"sets/s/cidrs/0: 10.0.0.1/8 has host bits set: write 10.0.0.0/8" },
	{ SET("cidrs = [ \"x\" ];"), 3, "sets/s/cidrs/0",
		"sets/s/cidrs/0: \"x\" is not a prefix: write one such as 10.244.1.0/24 or "
		"fd00:244:1::/64" },
	{ SET("cidrs = [ \"10.0.0.0/8\", \"10.0.0.0/8\" ];"), 3, "sets/s/cidrs/1",
		"sets/s/cidrs/1: 10.0.0.0/8 is listed twice: remove one" },
	{ SET("namespace = \"a b\";"), 3, "sets/s/namespace",
		"sets/s/namespace: \"a b\" has characters that names cannot have: use letters, "
		"digits, \".\", \"_\" and \"-\"" },
	{ SET("nets = [ \"10.0.0.0/8\" ];"), 3, "sets/s/nets",
		"sets/s/nets: unknown key: did you mean \"name\"?" },
	{ SET("cidrs = 10;"), 3, "sets/s/cidrs",
		"sets/s/cidrs: expected a list such as [ \"198.51.100.0/24\" ], found 10" },
	{ SET("labels = [ \"a\" ];"), 3, "sets/s/labels/0",
		"sets/s/labels/0: \"a\" is not a label: write KEY=VALUE, such as app=web" },
	{ NODE("labels = [ \"a=b\", \"a=c\" ];"), 2, "node/labels/1",
		"node node-a: label a has two values: keep one" },
	{ NODE("labels = [ \"ab\" ];"), 2, "node/labels/0",
		"node/labels/0: \"ab\" is not a label: write KEY=VALUE, such as app=web" },
	{ NODE("failsafe_in = [ \"22\" ];"), 2, "node/failsafe_in/0",
		"node/failsafe_in/0: \"22\" is not a port and a protocol: write one such as 22/tcp "
		"(tcp, udp or sctp)" },
	{ NODE("failsafe_in = [ \"22/icmp\" ];"), 2, "node/failsafe_in/0",
		"node/failsafe_in/0: \"22/icmp\" is not a port and a protocol: write one such as "
		"22/tcp (tcp, udp or sctp)" },
	{ NODE("failsafe_out = [ \"dns=53/udp\" ];"), 2, "node/failsafe_out/0",
		"node/failsafe_out/0: \"dns=53/udp\" is not a port and a protocol: write one such "
		"as 22/tcp (tcp, udp or sctp)" },
	{ NODE("failsafe_out = [ \"0/tcp\" ];"), 2, "node/failsafe_out/0",
		"node/failsafe_out/0: \"0/tcp\" is not a port and a protocol: write one such as "
		"22/tcp (tcp, udp or sctp)" },
	{ NODE("failsafe_in = [ \"22/tcp\", \"22/tcp\" ];"), 2, "node/failsafe_in/1",
		"node/failsafe_in/1: 22/tcp is listed twice: remove one" },
	{ NODE("failsafe_in = 22;"), 2, "node/failsafe_in",
		"node/failsafe_in: expected a list such as [ \"22/tcp\" ], found 22" },
	{ NODE("failsafe_in = [ \"22:23/tcp\" ];"), 2, "node/failsafe_in/0",
		"node/failsafe_in/0: \"22:23/tcp\" is not a port and a protocol: write one such as "
		"22/tcp (tcp, udp or sctp)" },
	{ POD("labels = [ \"a=b\", \"a=c\" ];"), 4, "pods/web-1/labels/1",
		"pod web-1: label a has two values: keep one" },
	{ POD("ports = [ \"x=1/tcp\", \"x=2/tcp\" ];"), 4, "pods/web-1/ports/1",
		"pod web-1: the name x stands for two tcp ports: give each a name of its own" },
	{ POD("namespace = \"\";"), 4, "pods/web-1/namespace",
		"pods/web-1/namespace: is empty: give it a value, for example \"main\"" },
	{ POD("namespace = \"a b\";"), 4, "pods/web-1/namespace",
		"pods/web-1/namespace: \"a b\" has characters that names cannot have: use letters, "
		"digits, \".\", \"_\" and \"-\"" },
	{ POD("ports = [ \"80\" ];"), 4, "pods/web-1/ports/0",
		"pods/web-1/ports/0: \"80\" is not a named port: write one such as http=80/tcp" },
	{ POD("labels = [ \"x\" ];"), 4, "pods/web-1/labels/0",
		"pods/web-1/labels/0: \"x\" is not a label: write KEY=VALUE, such as app=web" },
};

REFUSALS(policies)
REFUSALS(endpoints)
REFUSALS(others)

static const struct test_case cases[] = {
	{ "policies", refuses_policies },
	{ "endpoints", refuses_endpoints },
	{ "the rest", refuses_others },
};
SUITE_MAIN("policy refusals", cases)
