/* SPDX-License-Identifier: Apache-2.0 */
/* What rules of policies may not say about their ends and actions, and the exact sentence that refuses it. */
#include "tests/unit/policy_refusal.h"

static const struct refusal rules[] = {
	{ RULE("source = \"app = 'web'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 5, at \"= 'web'\": expected ==, !=, in, "
		"not in, contains, starts with or ends with" },
	{ RULE("source_not = \"app = 'web'\";"), 4, "policies/p/ingress/1/source_not",
		"policies/p/ingress/1/source_not: character 5, at \"= 'web'\": expected ==, !=, "
		"in, not in, contains, starts with or ends with" },
	{ RULE("source_namespaces = \"app = 'web'\";"), 4, "policies/p/ingress/1/source_namespaces",
		"policies/p/ingress/1/source_namespaces: character 5, at \"= 'web'\": expected ==, "
		"!=, in, not in, contains, starts with or ends with" },
	{ RULE("source_nodes = \"app = 'web'\";"), 4, "policies/p/ingress/1/source_nodes",
		"policies/p/ingress/1/source_nodes: character 5, at \"= 'web'\": expected ==, !=, "
		"in, not in, contains, starts with or ends with" },
	{ RULE("destination = \"app = 'web'\";"), 4, "policies/p/ingress/1/destination",
		"policies/p/ingress/1/destination: character 5, at \"= 'web'\": expected ==, !=, "
		"in, not in, contains, starts with or ends with" },
	{ RULE("destination_not = \"app = 'web'\";"), 4, "policies/p/ingress/1/destination_not",
		"policies/p/ingress/1/destination_not: character 5, at \"= 'web'\": expected ==, "
		"!=, in, not in, contains, starts with or ends with" },
	{ RULE("destination_namespaces = \"app = 'web'\";"), 4,
		"policies/p/ingress/1/destination_namespaces",
		"policies/p/ingress/1/destination_namespaces: character 5, at \"= 'web'\": "
		"expected ==, !=, in, not in, contains, starts with or ends with" },
	{ RULE("destination_nodes = \"app = 'web'\";"), 4, "policies/p/ingress/1/destination_nodes",
		"policies/p/ingress/1/destination_nodes: character 5, at \"= 'web'\": expected ==, "
		"!=, in, not in, contains, starts with or ends with" },
	{ RULE("source = \"app\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: ends where ==, !=, in, not in, contains, starts with "
		"or ends with should follow" },
	{ RULE("source = \"app ==\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: ends where a value in quotes, such as 'web' should "
		"follow" },
	{ RULE("source = \"app == web\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 8, at \"web\": expected a value in quotes, "
		"such as 'web'" },
	{ RULE("source = \"app == 'web\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 8, at \"'web\": expected a value that ends "
		"with '" },
	{ RULE("source = \"app == 'web' &&\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: ends where a label's key, has(KEY), all(), ! or ( "
		"should follow" },
	{ RULE("source = \"app == 'web' & role == 'x'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 14, at \"& role == 'x'\": expected &&, || "
		"or the end" },
	{ RULE("source = \"&& app == 'web'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 1, at \"&& app == 'web'\": expected a "
		"label's key, has(KEY), all(), ! or (" },
	{ RULE("source = \"(app == 'web'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: ends where &&, || or ) should follow" },
	{ RULE("source = \"app == 'web')\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 13, at \")\": expected &&, || or the end" },
	{ RULE("source = \"app in 'web'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 8, at \"'web'\": expected { and values, "
		"such as { 'web', 'edge' }" },
	{ RULE("source = \"app in {'web'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: ends where , or } should follow" },
	{ RULE("source = \"app in {'web' 'x'}\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 15, at \"'x'}\": expected , or }" },
	{ RULE("source = \"app in {'web',}\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 15, at \"}\": expected a value in quotes, "
		"such as 'web'" },
	{ RULE("source = \"app not 'web'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 9, at \"'web'\": expected in" },
	{ RULE("source = \"app not in\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: ends where { and values, such as { 'web', 'edge' } "
		"should follow" },
	{ RULE("source = \"has(app\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: ends where ) should follow" },
	{ RULE("source = \"has()\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 5, at \")\": expected a label's key" },
	{ RULE("source = \"has app\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 5, at \"app\": expected ==, !=, in, not "
		"in, contains, starts with or ends with" },
	{ RULE("source = \"!\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: ends where a label's key, has(KEY), all(), ! or ( "
		"should follow" },
	{ RULE("source = \"!!\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: ends where a label's key, has(KEY), all(), ! or ( "
		"should follow" },
	{ RULE("source = \"all(\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 4, at \"(\": expected ==, !=, in, not in, "
		"contains, starts with or ends with" },
	{ RULE("source = \"all\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: ends where ==, !=, in, not in, contains, starts with "
		"or ends with should follow" },
	{ RULE("source = \"app starts 'x'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 12, at \"'x'\": expected with" },
	{ RULE("source = \"app starts with x\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 17, at \"x\": expected a value in quotes, "
		"such as 'web'" },
	{ RULE("source = \"app ends 'x'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 10, at \"'x'\": expected with" },
	{ RULE("source = \"app contains\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: ends where a value in quotes, such as 'web' should "
		"follow" },
	{ RULE("source = \"app === 'x'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 7, at \"= 'x'\": expected a value in "
		"quotes, such as 'web'" },
	{ RULE("source = \"'app' == 'web'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 1, at \"'app' == 'web'\": expected a "
		"label's key, has(KEY), all(), ! or (" },
	{ RULE("source = \"app == 'a' 'b'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 12, at \"'b'\": expected &&, || or the "
		"end" },
	{ RULE("source = \"a b\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 3, at \"b\": expected ==, !=, in, not in, "
		"contains, starts with or ends with" },
	{ RULE("source = \"app in {web}\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 9, at \"web}\": expected a value in "
		"quotes, such as 'web'" },
	{ RULE("source = \"==\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 1, at \"==\": expected a label's key, "
		"has(KEY), all(), ! or (" },
	{ RULE("source = \"()\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 2, at \")\": expected a label's key, "
		"has(KEY), all(), ! or (" },
	{ RULE("source = \"app => 'x'\";"), 4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: character 5, at \"=> 'x'\": expected ==, !=, in, not "
		"in, contains, starts with or ends with" },
	{ RULE("source = \"((((((((((((((((((((((((((((((((((((((((app == "
	       "'x'))))))))))))))))))))))))))))))))))))))))\";"),
		4, "policies/p/ingress/1/source",
		"policies/p/ingress/1/source: goes deeper than 32 parentheses and negations: write "
		"it flatter" },
	{ RULE("source = \"!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!has(x)\";"), 4,
		"policies/p/ingress/1/source",
		"policies/p/ingress/1/source: goes deeper than 32 parentheses and negations: write "
		"it flatter" },
	{ RULE("protocol = \"icmp\"; ip_version = \"6\";"), 4, "policies/p/ingress/1/ip_version",
		"policy p: ingress[1].ip_version: icmp is IPv4's: write protocol icmpv6, or "
		"ip_version 4" },
	{ RULE("protocol = \"1\"; ip_version = \"6\";"), 4, "policies/p/ingress/1/ip_version",
		"policy p: ingress[1].ip_version: icmp is IPv4's: write protocol icmpv6, or "
		"ip_version 4" },
	{ RULE("protocol = \"icmpv6\"; ip_version = \"4\";"), 4, "policies/p/ingress/1/ip_version",
		"policy p: ingress[1].ip_version: icmpv6 is IPv6's: write protocol icmp, or "
		"ip_version 6" },
	{ RULE("protocol = \"58\"; ip_version = \"4\";"), 4, "policies/p/ingress/1/ip_version",
		"policy p: ingress[1].ip_version: icmpv6 is IPv6's: write protocol icmp, or "
		"ip_version 6" },
	{ RULE("ip_version = 4;"), 4, "policies/p/ingress/1/ip_version",
		"policies/p/ingress/1/ip_version: expected a string such as \"4\", found 4" },
	{ RULE("ip_version = \"5\";"), 4, "policies/p/ingress/1/ip_version",
		"policies/p/ingress/1/ip_version: \"5\" is not one of any, 4, 6: did you mean "
		"\"4\"?" },
	{ RULE("ip_version = \"v4\";"), 4, "policies/p/ingress/1/ip_version",
		"policies/p/ingress/1/ip_version: \"v4\" is not one of any, 4, 6: did you mean "
		"\"4\"?" },
	{ RULE("ip_version = \"4\"; source_cidrs = [ \"2001:db8::/32\" ];"), 4,
		"policies/p/ingress/1/source_cidrs/0",
		"policy p: ingress[1].source_cidrs/0: 2001:db8::/32 is IPv6, which a rule about "
		"ip_version 4 never sees: remove it" },
	{ RULE("ip_version = \"6\"; source_cidrs = [ \"198.51.100.0/24\" ];"), 4,
		"policies/p/ingress/1/source_cidrs/0",
		"policy p: ingress[1].source_cidrs/0: 198.51.100.0/24 is IPv4, which a rule about "
		"ip_version 6 never sees: remove it" },
	{ RULE("protocol = \"icmp\"; source_cidrs = [ \"2001:db8::/32\" ];"), 4,
		"policies/p/ingress/1/source_cidrs/0",
		"policy p: ingress[1].source_cidrs/0: 2001:db8::/32 is IPv6, which a rule about "
		"icmp never sees: remove it" },
	{ RULE("protocol = \"icmpv6\"; source_cidrs = [ \"2001:db8::/32\", \"198.51.100.0/24\" ];"),
		4, "policies/p/ingress/1/source_cidrs/1",
		"policy p: ingress[1].source_cidrs/1: 198.51.100.0/24 is IPv4, which a rule about "
		"icmpv6 never sees: remove it" },
	{ RULE("source_cidrs = [ \"198.51.100.1/24\" ];"), 4, "policies/p/ingress/1/source_cidrs/0",
		"policies/p/ingress/1/source_cidrs/0: 198.51.100.1/24 has host bits set: write "
		"198.51.100.0/24" },
	{ RULE("source_cidrs = [ \"198.51.100.0/33\" ];"), 4, "policies/p/ingress/1/source_cidrs/0",
		"policies/p/ingress/1/source_cidrs/0: \"198.51.100.0/33\" is not a prefix: write "
		"one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_cidrs = [ \"198.51.100/24\" ];"), 4, "policies/p/ingress/1/source_cidrs/0",
		"policies/p/ingress/1/source_cidrs/0: \"198.51.100/24\" is not a prefix: write one "
		"such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_cidrs = [ \"x\" ];"), 4, "policies/p/ingress/1/source_cidrs/0",
		"policies/p/ingress/1/source_cidrs/0: \"x\" is not a prefix: write one such as "
		"10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_cidrs = [ \"2001:db8::1/64\" ];"), 4, "policies/p/ingress/1/source_cidrs/0",
		"policies/p/ingress/1/source_cidrs/0: 2001:db8::1/64 has host bits set: write "
		"2001:db8::/64" },
	{ RULE("source_cidrs = [ \"::/129\" ];"), 4, "policies/p/ingress/1/source_cidrs/0",
		"policies/p/ingress/1/source_cidrs/0: \"::/129\" is not a prefix: write one such "
		"as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_cidrs = [ \"\" ];"), 4, "policies/p/ingress/1/source_cidrs/0",
		"policies/p/ingress/1/source_cidrs/0: \"\" is not a prefix: write one such as "
		"10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_cidrs = [ \"198.51.100.0/-1\" ];"), 4, "policies/p/ingress/1/source_cidrs/0",
		"policies/p/ingress/1/source_cidrs/0: \"198.51.100.0/-1\" is not a prefix: write "
		"one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_cidrs = [ \"1.2.3.4/32/1\" ];"), 4, "policies/p/ingress/1/source_cidrs/0",
		"policies/p/ingress/1/source_cidrs/0: \"1.2.3.4/32/1\" is not a prefix: write one "
		"such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_cidrs = [ \"198.51.100.0/24\", \"198.51.100.0/24\" ];"), 4,
		"policies/p/ingress/1/source_cidrs/1",
		"policies/p/ingress/1/source_cidrs/1: 198.51.100.0/24 is listed twice: remove "
		"one" },
	{ RULE("ip_version = \"4\"; source_not_cidrs = [ \"2001:db8::/32\" ];"), 4,
		"policies/p/ingress/1/source_not_cidrs/0",
		"policy p: ingress[1].source_not_cidrs/0: 2001:db8::/32 is IPv6, which a rule "
		"about ip_version 4 never sees: remove it" },
	{ RULE("ip_version = \"6\"; source_not_cidrs = [ \"198.51.100.0/24\" ];"), 4,
		"policies/p/ingress/1/source_not_cidrs/0",
		"policy p: ingress[1].source_not_cidrs/0: 198.51.100.0/24 is IPv4, which a rule "
		"about ip_version 6 never sees: remove it" },
	{ RULE("protocol = \"icmp\"; source_not_cidrs = [ \"2001:db8::/32\" ];"), 4,
		"policies/p/ingress/1/source_not_cidrs/0",
		"policy p: ingress[1].source_not_cidrs/0: 2001:db8::/32 is IPv6, which a rule "
		"about icmp never sees: remove it" },
	{ RULE("protocol = \"icmpv6\"; source_not_cidrs = [ \"2001:db8::/32\", \"198.51.100.0/24\" "
	       "];"),
		4, "policies/p/ingress/1/source_not_cidrs/1",
		"policy p: ingress[1].source_not_cidrs/1: 198.51.100.0/24 is IPv4, which a rule "
		"about icmpv6 never sees: remove it" },
	{ RULE("source_not_cidrs = [ \"198.51.100.1/24\" ];"), 4,
		"policies/p/ingress/1/source_not_cidrs/0",
		"policies/p/ingress/1/source_not_cidrs/0: 198.51.100.1/24 has host bits set: write "
		"198.51.100.0/24" },
	{ RULE("source_not_cidrs = [ \"198.51.100.0/33\" ];"), 4,
		"policies/p/ingress/1/source_not_cidrs/0",
		"policies/p/ingress/1/source_not_cidrs/0: \"198.51.100.0/33\" is not a prefix: "
		"write one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_not_cidrs = [ \"198.51.100/24\" ];"), 4,
		"policies/p/ingress/1/source_not_cidrs/0",
		"policies/p/ingress/1/source_not_cidrs/0: \"198.51.100/24\" is not a prefix: write "
		"one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_not_cidrs = [ \"x\" ];"), 4, "policies/p/ingress/1/source_not_cidrs/0",
		"policies/p/ingress/1/source_not_cidrs/0: \"x\" is not a prefix: write one such as "
		"10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_not_cidrs = [ \"2001:db8::1/64\" ];"), 4,
		"policies/p/ingress/1/source_not_cidrs/0",
		"policies/p/ingress/1/source_not_cidrs/0: 2001:db8::1/64 has host bits set: write "
		"2001:db8::/64" },
	{ RULE("source_not_cidrs = [ \"::/129\" ];"), 4, "policies/p/ingress/1/source_not_cidrs/0",
		"policies/p/ingress/1/source_not_cidrs/0: \"::/129\" is not a prefix: write one "
		"such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_not_cidrs = [ \"\" ];"), 4, "policies/p/ingress/1/source_not_cidrs/0",
		"policies/p/ingress/1/source_not_cidrs/0: \"\" is not a prefix: write one such as "
		"10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_not_cidrs = [ \"198.51.100.0/-1\" ];"), 4,
		"policies/p/ingress/1/source_not_cidrs/0",
		"policies/p/ingress/1/source_not_cidrs/0: \"198.51.100.0/-1\" is not a prefix: "
		"write one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_not_cidrs = [ \"1.2.3.4/32/1\" ];"), 4,
		"policies/p/ingress/1/source_not_cidrs/0",
		"policies/p/ingress/1/source_not_cidrs/0: \"1.2.3.4/32/1\" is not a prefix: write "
		"one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("source_not_cidrs = [ \"198.51.100.0/24\", \"198.51.100.0/24\" ];"), 4,
		"policies/p/ingress/1/source_not_cidrs/1",
		"policies/p/ingress/1/source_not_cidrs/1: 198.51.100.0/24 is listed twice: remove "
		"one" },
	{ RULE("ip_version = \"4\"; destination_cidrs = [ \"2001:db8::/32\" ];"), 4,
		"policies/p/ingress/1/destination_cidrs/0",
		"policy p: ingress[1].destination_cidrs/0: 2001:db8::/32 is IPv6, which a rule "
		"about ip_version 4 never sees: remove it" },
	{ RULE("ip_version = \"6\"; destination_cidrs = [ \"198.51.100.0/24\" ];"), 4,
		"policies/p/ingress/1/destination_cidrs/0",
		"policy p: ingress[1].destination_cidrs/0: 198.51.100.0/24 is IPv4, which a rule "
		"about ip_version 6 never sees: remove it" },
	{ RULE("protocol = \"icmp\"; destination_cidrs = [ \"2001:db8::/32\" ];"), 4,
		"policies/p/ingress/1/destination_cidrs/0",
		"policy p: ingress[1].destination_cidrs/0: 2001:db8::/32 is IPv6, which a rule "
		"about icmp never sees: remove it" },
	{ RULE("protocol = \"icmpv6\"; destination_cidrs = [ \"2001:db8::/32\", "
	       "\"198.51.100.0/24\" ];"),
		4, "policies/p/ingress/1/destination_cidrs/1",
		"policy p: ingress[1].destination_cidrs/1: 198.51.100.0/24 is IPv4, which a rule "
		"about icmpv6 never sees: remove it" },
	{ RULE("destination_cidrs = [ \"198.51.100.1/24\" ];"), 4,
		"policies/p/ingress/1/destination_cidrs/0",
		"policies/p/ingress/1/destination_cidrs/0: 198.51.100.1/24 has host bits set: "
		"write 198.51.100.0/24" },
	{ RULE("destination_cidrs = [ \"198.51.100.0/33\" ];"), 4,
		"policies/p/ingress/1/destination_cidrs/0",
		"policies/p/ingress/1/destination_cidrs/0: \"198.51.100.0/33\" is not a prefix: "
		"write one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_cidrs = [ \"198.51.100/24\" ];"), 4,
		"policies/p/ingress/1/destination_cidrs/0",
		"policies/p/ingress/1/destination_cidrs/0: \"198.51.100/24\" is not a prefix: "
		"write one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_cidrs = [ \"x\" ];"), 4, "policies/p/ingress/1/destination_cidrs/0",
		"policies/p/ingress/1/destination_cidrs/0: \"x\" is not a prefix: write one such "
		"as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_cidrs = [ \"2001:db8::1/64\" ];"), 4,
		"policies/p/ingress/1/destination_cidrs/0",
		"policies/p/ingress/1/destination_cidrs/0: 2001:db8::1/64 has host bits set: write "
		"2001:db8::/64" },
	{ RULE("destination_cidrs = [ \"::/129\" ];"), 4,
		"policies/p/ingress/1/destination_cidrs/0",
		"policies/p/ingress/1/destination_cidrs/0: \"::/129\" is not a prefix: write one "
		"such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_cidrs = [ \"\" ];"), 4, "policies/p/ingress/1/destination_cidrs/0",
		"policies/p/ingress/1/destination_cidrs/0: \"\" is not a prefix: write one such as "
		"10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_cidrs = [ \"198.51.100.0/-1\" ];"), 4,
		"policies/p/ingress/1/destination_cidrs/0",
		"policies/p/ingress/1/destination_cidrs/0: \"198.51.100.0/-1\" is not a prefix: "
		"write one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_cidrs = [ \"1.2.3.4/32/1\" ];"), 4,
		"policies/p/ingress/1/destination_cidrs/0",
		"policies/p/ingress/1/destination_cidrs/0: \"1.2.3.4/32/1\" is not a prefix: write "
		"one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_cidrs = [ \"198.51.100.0/24\", \"198.51.100.0/24\" ];"), 4,
		"policies/p/ingress/1/destination_cidrs/1",
		"policies/p/ingress/1/destination_cidrs/1: 198.51.100.0/24 is listed twice: remove "
		"one" },
	{ RULE("ip_version = \"4\"; destination_not_cidrs = [ \"2001:db8::/32\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/0",
		"policy p: ingress[1].destination_not_cidrs/0: 2001:db8::/32 is IPv6, which a rule "
		"about ip_version 4 never sees: remove it" },
	{ RULE("ip_version = \"6\"; destination_not_cidrs = [ \"198.51.100.0/24\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/0",
		"policy p: ingress[1].destination_not_cidrs/0: 198.51.100.0/24 is IPv4, which a "
		"rule about ip_version 6 never sees: remove it" },
	{ RULE("protocol = \"icmp\"; destination_not_cidrs = [ \"2001:db8::/32\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/0",
		"policy p: ingress[1].destination_not_cidrs/0: 2001:db8::/32 is IPv6, which a rule "
		"about icmp never sees: remove it" },
	{ RULE("protocol = \"icmpv6\"; destination_not_cidrs = [ \"2001:db8::/32\", "
	       "\"198.51.100.0/24\" ];"),
		4, "policies/p/ingress/1/destination_not_cidrs/1",
		"policy p: ingress[1].destination_not_cidrs/1: 198.51.100.0/24 is IPv4, which a "
		"rule about icmpv6 never sees: remove it" },
	{ RULE("destination_not_cidrs = [ \"198.51.100.1/24\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/0",
		"policies/p/ingress/1/destination_not_cidrs/0: 198.51.100.1/24 has host bits set: "
		"write 198.51.100.0/24" },
	{ RULE("destination_not_cidrs = [ \"198.51.100.0/33\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/0",
		"policies/p/ingress/1/destination_not_cidrs/0: \"198.51.100.0/33\" is not a "
		"prefix: write one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_not_cidrs = [ \"198.51.100/24\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/0",
		"policies/p/ingress/1/destination_not_cidrs/0: \"198.51.100/24\" is not a prefix: "
		"write one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_not_cidrs = [ \"x\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/0",
		"policies/p/ingress/1/destination_not_cidrs/0: \"x\" is not a prefix: write one "
		"such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_not_cidrs = [ \"2001:db8::1/64\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/0",
		"policies/p/ingress/1/destination_not_cidrs/0: 2001:db8::1/64 has host bits set: "
		"write 2001:db8::/64" },
	{ RULE("destination_not_cidrs = [ \"::/129\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/0",
		"policies/p/ingress/1/destination_not_cidrs/0: \"::/129\" is not a prefix: write "
		"one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_not_cidrs = [ \"\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/0",
		"policies/p/ingress/1/destination_not_cidrs/0: \"\" is not a prefix: write one "
		"such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_not_cidrs = [ \"198.51.100.0/-1\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/0",
		"policies/p/ingress/1/destination_not_cidrs/0: \"198.51.100.0/-1\" is not a "
		"prefix: write one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_not_cidrs = [ \"1.2.3.4/32/1\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/0",
		"policies/p/ingress/1/destination_not_cidrs/0: \"1.2.3.4/32/1\" is not a prefix: "
		"write one such as 10.244.1.0/24 or fd00:244:1::/64" },
	{ RULE("destination_not_cidrs = [ \"198.51.100.0/24\", \"198.51.100.0/24\" ];"), 4,
		"policies/p/ingress/1/destination_not_cidrs/1",
		"policies/p/ingress/1/destination_not_cidrs/1: 198.51.100.0/24 is listed twice: "
		"remove one" },
	{ RULE("source_cidrs = [ \"198.51.100.0/24\" ]; destination_cidrs = [ \"2001:db8::/32\" "
	       "];"),
		4, "policies/p/ingress/1/destination_cidrs",
		"policy p: ingress[1].destination_cidrs: are of another IP version than "
		"source_cidrs: nothing would ever match" },
	{ RULE("source_cidrs = [ \"2001:db8::/32\" ]; destination_cidrs = [ \"198.51.100.0/24\" "
	       "];"),
		4, "policies/p/ingress/1/destination_cidrs",
		"policy p: ingress[1].destination_cidrs: are of another IP version than "
		"source_cidrs: nothing would ever match" },
	{ RULE("source_nodes = \"all()\"; source = \"app == 'x'\";"), 4,
		"policies/p/ingress/1/source_nodes",
		"policy p: ingress[1].source_nodes: a node has no namespace and is no pod: remove "
		"source, or write two rules" },
	{ RULE("source_nodes = \"all()\"; source_namespaces = \"all()\";"), 4,
		"policies/p/ingress/1/source_nodes",
		"policy p: ingress[1].source_nodes: a node has no namespace and is no pod: remove "
		"source_namespaces, or write two rules" },
	{ RULE("destination_nodes = \"all()\"; destination = \"app == 'x'\";"), 4,
		"policies/p/ingress/1/destination_nodes",
		"policy p: ingress[1].destination_nodes: a node has no namespace and is no pod: "
		"remove destination, or write two rules" },
	{ RULE("destination_nodes = \"all()\"; destination_namespaces = \"all()\";"), 4,
		"policies/p/ingress/1/destination_nodes",
		"policy p: ingress[1].destination_nodes: a node has no namespace and is no pod: "
		"remove destination_namespaces, or write two rules" },
	{ RULE("source_sets = [ \"nowhere\" ];"), 3, "policies/p/ingress/1/source_sets/0",
		"policy p: ingress[1].source_sets: there is no set nowhere: add it, or correct the "
		"name" },
	{ RULE("source_sets = [ \"offices\", \"nowhere\" ];"), 3,
		"policies/p/ingress/1/source_sets/1",
		"policy p: ingress[1].source_sets: there is no set nowhere: add it, or correct the "
		"name" },
	{ RULE("source_sets = [ \"a b\" ];"), 4, "policies/p/ingress/1/source_sets/0",
		"policies/p/ingress/1/source_sets/0: \"a b\" has characters that names cannot "
		"have: use letters, digits, \".\", \"_\" and \"-\"" },
	{ RULE("source_sets = [ \"offices\", \"offices\" ];"), 4,
		"policies/p/ingress/1/source_sets/1",
		"policies/p/ingress/1/source_sets/1: offices is listed twice: remove one" },
	{ RULE("source_sets = [ \"\" ];"), 4, "policies/p/ingress/1/source_sets/0",
		"policies/p/ingress/1/source_sets/0: is empty: give it a value, for example "
		"\"offices\"" },
	{ RULE("destination_sets = [ \"nowhere\" ];"), 3, "policies/p/ingress/1/destination_sets/0",
		"policy p: ingress[1].destination_sets: there is no set nowhere: add it, or "
		"correct the name" },
	{ RULE("destination_sets = [ \"offices\", \"nowhere\" ];"), 3,
		"policies/p/ingress/1/destination_sets/1",
		"policy p: ingress[1].destination_sets: there is no set nowhere: add it, or "
		"correct the name" },
	{ RULE("destination_sets = [ \"a b\" ];"), 4, "policies/p/ingress/1/destination_sets/0",
		"policies/p/ingress/1/destination_sets/0: \"a b\" has characters that names cannot "
		"have: use letters, digits, \".\", \"_\" and \"-\"" },
	{ RULE("destination_sets = [ \"offices\", \"offices\" ];"), 4,
		"policies/p/ingress/1/destination_sets/1",
		"policies/p/ingress/1/destination_sets/1: offices is listed twice: remove one" },
	{ RULE("destination_sets = [ \"\" ];"), 4, "policies/p/ingress/1/destination_sets/0",
		"policies/p/ingress/1/destination_sets/0: is empty: give it a value, for example "
		"\"offices\"" },
	{ RULE("sorce = \"x\";"), 4, "policies/p/ingress/1/sorce",
		"policies/p/ingress/1/sorce: unknown key: did you mean \"source\"?" },
	{ RULE("action = \"accept\";"), 4, "policies/p/ingress/1/action",
		"policies/p/ingress/1/action: \"accept\" is not one of allow, deny, pass, log: "
		"write one of these" },
	{ RULE("action = \"Deny\";"), 4, "policies/p/ingress/1/action",
		"policies/p/ingress/1/action: \"Deny\" is not one of allow, deny, pass, log: did "
		"you mean \"deny\"?" },
	{ RULE("acton = \"deny\";"), 4, "policies/p/ingress/1/acton",
		"policies/p/ingress/1/acton: unknown key: did you mean \"action\"?" },
	{ RULE("name = 5;"), 4, "policies/p/ingress/1/name",
		"policies/p/ingress/1/name: expected a string such as \"web to db\", found 5" },
	{ RULE("selector = \"all()\";"), 4, "policies/p/ingress/1/selector",
		"policies/p/ingress/1/selector: unknown key: remove it; docs/objects.md lists what "
		"a rule has" },
	{ RULE("ports = [ \"80\" ];"), 4, "policies/p/ingress/1/ports",
		"policies/p/ingress/1/ports: unknown key: remove it; docs/objects.md lists what a "
		"rule has" },
	{ RULE("cidrs = [ \"198.51.100.0/24\" ];"), 4, "policies/p/ingress/1/cidrs",
		"policies/p/ingress/1/cidrs: unknown key: remove it; docs/objects.md lists what a "
		"rule has" },
};

REFUSALS(rules)

static const struct test_case cases[] = { { "rules", refuses_rules } };
SUITE_MAIN("refusals of rules", cases)
