/* SPDX-License-Identifier: Apache-2.0 */
/* What rules of policies may not say, and the exact sentence that refuses it. */
#include "tests/unit/config_refusal.h"

#define SETS "sets: ( { name = \"offices\"; cidrs = [ \"198.51.100.0/24\" ]; } );\n"
#define RULE(fields) \
	A_NODE SETS "policies: ( { name = \"p\"; ingress = ( { }, {\n" fields "\n} ); } );\n"

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
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"0\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"0\" begins with port 0, which nobody "
		"has: begin with 1" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"65536\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"65536\" is neither a port, a range "
		"nor the name of a port: write 80, 8000:8080 or http" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"80:\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"80:\" is neither a port, a range nor "
		"the name of a port: write 80, 8000:8080 or http" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"80-90\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"80-90\" is neither a port, a range "
		"nor the name of a port: write 80, 8000:8080 or http" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \":80\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \":80\" is neither a port, a range nor "
		"the name of a port: write 80, 8000:8080 or http" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"90:80\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"90:80\" ends before it begins: write "
		"80:90" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"0:80\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"0:80\" begins with port 0, which "
		"nobody has: begin with 1" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"80:65536\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"80:65536\" is neither a port, a range "
		"nor the name of a port: write 80, 8000:8080 or http" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"http!\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"http!\" is neither a port, a range "
		"nor the name of a port: write 80, 8000:8080 or http" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"a b\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"a b\" is neither a port, a range nor "
		"the name of a port: write 80, 8000:8080 or http" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"-1\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"-1\" is neither a port, a range nor "
		"the name of a port: write 80, 8000:8080 or http" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"1:2:3\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"1:2:3\" is neither a port, a range "
		"nor the name of a port: write 80, 8000:8080 or http" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"99999999999\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"99999999999\" is neither a port, a "
		"range nor the name of a port: write 80, 8000:8080 or http" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"_\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"_\" is neither a port, a range nor "
		"the name of a port: write 80, 8000:8080 or http" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"-\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"-\" is neither a port, a range nor "
		"the name of a port: write 80, 8000:8080 or http" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"80,81\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: \"80,81\" is neither a port, a range "
		"nor the name of a port: write 80, 8000:8080 or http" },
	{ RULE("source_ports = [ \"80\" ];"), 4, "policies/p/ingress/1/source_ports",
		"policy p: ingress[1].source_ports: ports need protocol tcp, udp or sctp: add it, "
		"one rule each" },
	{ RULE("protocol = \"icmp\"; source_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_ports",
		"policy p: ingress[1].source_ports: ports need protocol tcp, udp or sctp: this one "
		"has none" },
	{ RULE("protocol = \"icmpv6\"; source_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_ports",
		"policy p: ingress[1].source_ports: ports need protocol tcp, udp or sctp: this one "
		"has none" },
	{ RULE("protocol = \"1\"; source_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_ports",
		"policy p: ingress[1].source_ports: ports need protocol tcp, udp or sctp: this one "
		"has none" },
	{ RULE("protocol = \"58\"; source_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_ports",
		"policy p: ingress[1].source_ports: ports need protocol tcp, udp or sctp: this one "
		"has none" },
	{ RULE("protocol = \"47\"; source_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_ports",
		"policy p: ingress[1].source_ports: ports need protocol tcp, udp or sctp: this one "
		"has none" },
	{ RULE("protocol = \"255\"; source_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_ports",
		"policy p: ingress[1].source_ports: ports need protocol tcp, udp or sctp: this one "
		"has none" },
	{ RULE("not_protocol = \"udp\"; source_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_ports",
		"policy p: ingress[1].source_ports: ports need protocol tcp, udp or sctp: add it, "
		"one rule each" },
	{ RULE("protocol = \"tcp\"; source_ports = [ \"80\", \"80\" ];"), 4,
		"policies/p/ingress/1/source_ports/1",
		"policies/p/ingress/1/source_ports/1: 80 is listed twice: remove one" },
	{ RULE("protocol = \"tcp\"; source_ports = 80;"), 4, "policies/p/ingress/1/source_ports",
		"policies/p/ingress/1/source_ports: expected a list such as [ \"8000:8080\" ], "
		"found 80" },
	{ RULE("protocol = \"tcp\"; source_ports = [ 80 ];"), 4,
		"policies/p/ingress/1/source_ports/0",
		"policies/p/ingress/1/source_ports/0: expected a string such as \"8000:8080\", "
		"found 80" },
	{ RULE("protocol = \"tcp\"; source_ports = [ \"\" ];"), 4,
		"policies/p/ingress/1/source_ports/0",
		"policies/p/ingress/1/source_ports/0: is empty: give it a value, for example "
		"\"8000:8080\"" },
	{ RULE("source_not_ports = [ \"80\" ];"), 4, "policies/p/ingress/1/source_not_ports",
		"policy p: ingress[1].source_not_ports: ports need protocol tcp, udp or sctp: add "
		"it, one rule each" },
	{ RULE("protocol = \"icmp\"; source_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_not_ports",
		"policy p: ingress[1].source_not_ports: ports need protocol tcp, udp or sctp: this "
		"one has none" },
	{ RULE("protocol = \"icmpv6\"; source_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_not_ports",
		"policy p: ingress[1].source_not_ports: ports need protocol tcp, udp or sctp: this "
		"one has none" },
	{ RULE("protocol = \"1\"; source_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_not_ports",
		"policy p: ingress[1].source_not_ports: ports need protocol tcp, udp or sctp: this "
		"one has none" },
	{ RULE("protocol = \"58\"; source_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_not_ports",
		"policy p: ingress[1].source_not_ports: ports need protocol tcp, udp or sctp: this "
		"one has none" },
	{ RULE("protocol = \"47\"; source_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_not_ports",
		"policy p: ingress[1].source_not_ports: ports need protocol tcp, udp or sctp: this "
		"one has none" },
	{ RULE("protocol = \"255\"; source_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_not_ports",
		"policy p: ingress[1].source_not_ports: ports need protocol tcp, udp or sctp: this "
		"one has none" },
	{ RULE("not_protocol = \"udp\"; source_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/source_not_ports",
		"policy p: ingress[1].source_not_ports: ports need protocol tcp, udp or sctp: add "
		"it, one rule each" },
	{ RULE("protocol = \"tcp\"; source_not_ports = [ \"80\", \"80\" ];"), 4,
		"policies/p/ingress/1/source_not_ports/1",
		"policies/p/ingress/1/source_not_ports/1: 80 is listed twice: remove one" },
	{ RULE("protocol = \"tcp\"; source_not_ports = 80;"), 4,
		"policies/p/ingress/1/source_not_ports",
		"policies/p/ingress/1/source_not_ports: expected a list such as [ \"22\" ], found "
		"80" },
	{ RULE("protocol = \"tcp\"; source_not_ports = [ 80 ];"), 4,
		"policies/p/ingress/1/source_not_ports/0",
		"policies/p/ingress/1/source_not_ports/0: expected a string such as \"22\", found "
		"80" },
	{ RULE("protocol = \"tcp\"; source_not_ports = [ \"\" ];"), 4,
		"policies/p/ingress/1/source_not_ports/0",
		"policies/p/ingress/1/source_not_ports/0: is empty: give it a value, for example "
		"\"22\"" },
	{ RULE("destination_ports = [ \"80\" ];"), 4, "policies/p/ingress/1/destination_ports",
		"policy p: ingress[1].destination_ports: ports need protocol tcp, udp or sctp: add "
		"it, one rule each" },
	{ RULE("protocol = \"icmp\"; destination_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_ports",
		"policy p: ingress[1].destination_ports: ports need protocol tcp, udp or sctp: "
		"this one has none" },
	{ RULE("protocol = \"icmpv6\"; destination_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_ports",
		"policy p: ingress[1].destination_ports: ports need protocol tcp, udp or sctp: "
		"this one has none" },
	{ RULE("protocol = \"1\"; destination_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_ports",
		"policy p: ingress[1].destination_ports: ports need protocol tcp, udp or sctp: "
		"this one has none" },
	{ RULE("protocol = \"58\"; destination_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_ports",
		"policy p: ingress[1].destination_ports: ports need protocol tcp, udp or sctp: "
		"this one has none" },
	{ RULE("protocol = \"47\"; destination_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_ports",
		"policy p: ingress[1].destination_ports: ports need protocol tcp, udp or sctp: "
		"this one has none" },
	{ RULE("protocol = \"255\"; destination_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_ports",
		"policy p: ingress[1].destination_ports: ports need protocol tcp, udp or sctp: "
		"this one has none" },
	{ RULE("not_protocol = \"udp\"; destination_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_ports",
		"policy p: ingress[1].destination_ports: ports need protocol tcp, udp or sctp: add "
		"it, one rule each" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"80\", \"80\" ];"), 4,
		"policies/p/ingress/1/destination_ports/1",
		"policies/p/ingress/1/destination_ports/1: 80 is listed twice: remove one" },
	{ RULE("protocol = \"tcp\"; destination_ports = 80;"), 4,
		"policies/p/ingress/1/destination_ports",
		"policies/p/ingress/1/destination_ports: expected a list such as [ \"8000:8080\" "
		"], found 80" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ 80 ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: expected a string such as "
		"\"8000:8080\", found 80" },
	{ RULE("protocol = \"tcp\"; destination_ports = [ \"\" ];"), 4,
		"policies/p/ingress/1/destination_ports/0",
		"policies/p/ingress/1/destination_ports/0: is empty: give it a value, for example "
		"\"8000:8080\"" },
	{ RULE("destination_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_not_ports",
		"policy p: ingress[1].destination_not_ports: ports need protocol tcp, udp or sctp: "
		"add it, one rule each" },
	{ RULE("protocol = \"icmp\"; destination_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_not_ports",
		"policy p: ingress[1].destination_not_ports: ports need protocol tcp, udp or sctp: "
		"this one has none" },
	{ RULE("protocol = \"icmpv6\"; destination_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_not_ports",
		"policy p: ingress[1].destination_not_ports: ports need protocol tcp, udp or sctp: "
		"this one has none" },
	{ RULE("protocol = \"1\"; destination_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_not_ports",
		"policy p: ingress[1].destination_not_ports: ports need protocol tcp, udp or sctp: "
		"this one has none" },
	{ RULE("protocol = \"58\"; destination_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_not_ports",
		"policy p: ingress[1].destination_not_ports: ports need protocol tcp, udp or sctp: "
		"this one has none" },
	{ RULE("protocol = \"47\"; destination_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_not_ports",
		"policy p: ingress[1].destination_not_ports: ports need protocol tcp, udp or sctp: "
		"this one has none" },
	{ RULE("protocol = \"255\"; destination_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_not_ports",
		"policy p: ingress[1].destination_not_ports: ports need protocol tcp, udp or sctp: "
		"this one has none" },
	{ RULE("not_protocol = \"udp\"; destination_not_ports = [ \"80\" ];"), 4,
		"policies/p/ingress/1/destination_not_ports",
		"policy p: ingress[1].destination_not_ports: ports need protocol tcp, udp or sctp: "
		"add it, one rule each" },
	{ RULE("protocol = \"tcp\"; destination_not_ports = [ \"80\", \"80\" ];"), 4,
		"policies/p/ingress/1/destination_not_ports/1",
		"policies/p/ingress/1/destination_not_ports/1: 80 is listed twice: remove one" },
	{ RULE("protocol = \"tcp\"; destination_not_ports = 80;"), 4,
		"policies/p/ingress/1/destination_not_ports",
		"policies/p/ingress/1/destination_not_ports: expected a list such as [ \"22\" ], "
		"found 80" },
	{ RULE("protocol = \"tcp\"; destination_not_ports = [ 80 ];"), 4,
		"policies/p/ingress/1/destination_not_ports/0",
		"policies/p/ingress/1/destination_not_ports/0: expected a string such as \"22\", "
		"found 80" },
	{ RULE("protocol = \"tcp\"; destination_not_ports = [ \"\" ];"), 4,
		"policies/p/ingress/1/destination_not_ports/0",
		"policies/p/ingress/1/destination_not_ports/0: is empty: give it a value, for "
		"example \"22\"" },
	{ RULE("protocol = \"tcp\"; source_ports = [ \"http\" ];"), 4,
		"policies/p/ingress/1/source_ports/0",
		"policy p: ingress[1].source_ports/0: http is the name of a port, and names are "
		"those of receivers: write a number" },
	{ RULE("protocol = \"tcp\"; source_ports = [ \"8080-tcp\" ];"), 4,
		"policies/p/ingress/1/source_ports/0",
		"policy p: ingress[1].source_ports/0: 8080-tcp is the name of a port, and names "
		"are those of receivers: write a number" },
	{ RULE("protocol = \"tcp\"; source_not_ports = [ \"http\" ];"), 4,
		"policies/p/ingress/1/source_not_ports/0",
		"policy p: ingress[1].source_not_ports/0: http is the name of a port, and names "
		"are those of receivers: write a number" },
	{ RULE("protocol = \"tcp\"; source_not_ports = [ \"8080-tcp\" ];"), 4,
		"policies/p/ingress/1/source_not_ports/0",
		"policy p: ingress[1].source_not_ports/0: 8080-tcp is the name of a port, and "
		"names are those of receivers: write a number" },
	{ RULE("protocol = \"TCP\";"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: \"TCP\" is no protocol: write tcp, udp, sctp, "
		"icmp, icmpv6 or a number from 1 to 255" },
	{ RULE("protocol = \"tpc\";"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: \"tpc\" is no protocol: write tcp, udp, sctp, "
		"icmp, icmpv6 or a number from 1 to 255" },
	{ RULE("protocol = \"0\";"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: \"0\" is no protocol: write tcp, udp, sctp, icmp, "
		"icmpv6 or a number from 1 to 255" },
	{ RULE("protocol = \"256\";"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: \"256\" is no protocol: write tcp, udp, sctp, "
		"icmp, icmpv6 or a number from 1 to 255" },
	{ RULE("protocol = \"-1\";"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: \"-1\" is no protocol: write tcp, udp, sctp, icmp, "
		"icmpv6 or a number from 1 to 255" },
	{ RULE("protocol = \"6.0\";"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: \"6.0\" is no protocol: write tcp, udp, sctp, "
		"icmp, icmpv6 or a number from 1 to 255" },
	{ RULE("protocol = \"ip\";"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: \"ip\" is no protocol: write tcp, udp, sctp, icmp, "
		"icmpv6 or a number from 1 to 255" },
	{ RULE("protocol = \"all\";"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: \"all\" is no protocol: write tcp, udp, sctp, "
		"icmp, icmpv6 or a number from 1 to 255" },
	{ RULE("protocol = \" tcp\";"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: \" tcp\" is no protocol: write tcp, udp, sctp, "
		"icmp, icmpv6 or a number from 1 to 255" },
	{ RULE("protocol = \"1e1\";"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: \"1e1\" is no protocol: write tcp, udp, sctp, "
		"icmp, icmpv6 or a number from 1 to 255" },
	{ RULE("protocol = 6;"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: expected a string such as \"tcp\", found 6" },
	{ RULE("not_protocol = \"x\";"), 4, "policies/p/ingress/1/not_protocol",
		"policies/p/ingress/1/not_protocol: \"x\" is no protocol: write tcp, udp, sctp, "
		"icmp, icmpv6 or a number from 1 to 255" },
	{ RULE("protocol = \"tcp\"; not_protocol = \"udp\";"), 4,
		"policies/p/ingress/1/not_protocol",
		"policy p: ingress[1].not_protocol: has no use beside protocol: remove one of "
		"them" },
	{ RULE("protocol = \"tcp\"; not_protocol = \"tcp\";"), 4,
		"policies/p/ingress/1/not_protocol",
		"policy p: ingress[1].not_protocol: has no use beside protocol: remove one of "
		"them" },
	{ RULE("protocol = \"17\"; not_protocol = \"6\";"), 4, "policies/p/ingress/1/not_protocol",
		"policy p: ingress[1].not_protocol: has no use beside protocol: remove one of "
		"them" },
	{ RULE("icmp_type = 8;"), 4, "policies/p/ingress/1/icmp_type",
		"policy p: ingress[1].icmp_type: needs protocol icmp or icmpv6: add it, or remove "
		"icmp_type" },
	{ RULE("protocol = \"tcp\"; icmp_type = 8;"), 4, "policies/p/ingress/1/icmp_type",
		"policy p: ingress[1].icmp_type: needs protocol icmp or icmpv6: add it, or remove "
		"icmp_type" },
	{ RULE("protocol = \"udp\"; icmp_type = 8;"), 4, "policies/p/ingress/1/icmp_type",
		"policy p: ingress[1].icmp_type: needs protocol icmp or icmpv6: add it, or remove "
		"icmp_type" },
	{ RULE("not_protocol = \"tcp\"; icmp_type = 8;"), 4, "policies/p/ingress/1/icmp_type",
		"policy p: ingress[1].icmp_type: needs protocol icmp or icmpv6: add it, or remove "
		"icmp_type" },
	{ RULE("protocol = \"icmp\"; icmp_type = 256;"), 4, "policies/p/ingress/1/icmp_type",
		"policies/p/ingress/1/icmp_type: expected a number from 0 to 255, found 256" },
	{ RULE("protocol = \"icmp\"; icmp_type = -1;"), 4, "policies/p/ingress/1/icmp_type",
		"policies/p/ingress/1/icmp_type: expected a number from 0 to 255, found -1" },
	{ RULE("protocol = \"icmp\"; icmp_type = \"echo\";"), 4, "policies/p/ingress/1/icmp_type",
		"policies/p/ingress/1/icmp_type: expected a number from 0 to 255, found a string" },
	{ RULE("icmp_code = 8;"), 4, "policies/p/ingress/1/icmp_code",
		"policy p: ingress[1].icmp_code: needs protocol icmp or icmpv6: add it, or remove "
		"icmp_code" },
	{ RULE("protocol = \"tcp\"; icmp_code = 8;"), 4, "policies/p/ingress/1/icmp_code",
		"policy p: ingress[1].icmp_code: needs protocol icmp or icmpv6: add it, or remove "
		"icmp_code" },
	{ RULE("protocol = \"udp\"; icmp_code = 8;"), 4, "policies/p/ingress/1/icmp_code",
		"policy p: ingress[1].icmp_code: needs protocol icmp or icmpv6: add it, or remove "
		"icmp_code" },
	{ RULE("not_protocol = \"tcp\"; icmp_code = 8;"), 4, "policies/p/ingress/1/icmp_code",
		"policy p: ingress[1].icmp_code: needs protocol icmp or icmpv6: add it, or remove "
		"icmp_code" },
	{ RULE("protocol = \"icmp\"; icmp_code = 256;"), 4, "policies/p/ingress/1/icmp_code",
		"policies/p/ingress/1/icmp_code: expected a number from 0 to 255, found 256" },
	{ RULE("protocol = \"icmp\"; icmp_code = -1;"), 4, "policies/p/ingress/1/icmp_code",
		"policies/p/ingress/1/icmp_code: expected a number from 0 to 255, found -1" },
	{ RULE("protocol = \"icmp\"; icmp_code = \"echo\";"), 4, "policies/p/ingress/1/icmp_code",
		"policies/p/ingress/1/icmp_code: expected a number from 0 to 255, found a string" },
	{ RULE("not_icmp_type = 8;"), 4, "policies/p/ingress/1/not_icmp_type",
		"policy p: ingress[1].not_icmp_type: needs protocol icmp or icmpv6: add it, or "
		"remove not_icmp_type" },
	{ RULE("protocol = \"tcp\"; not_icmp_type = 8;"), 4, "policies/p/ingress/1/not_icmp_type",
		"policy p: ingress[1].not_icmp_type: needs protocol icmp or icmpv6: add it, or "
		"remove not_icmp_type" },
	{ RULE("protocol = \"udp\"; not_icmp_type = 8;"), 4, "policies/p/ingress/1/not_icmp_type",
		"policy p: ingress[1].not_icmp_type: needs protocol icmp or icmpv6: add it, or "
		"remove not_icmp_type" },
	{ RULE("not_protocol = \"tcp\"; not_icmp_type = 8;"), 4,
		"policies/p/ingress/1/not_icmp_type",
		"policy p: ingress[1].not_icmp_type: needs protocol icmp or icmpv6: add it, or "
		"remove not_icmp_type" },
	{ RULE("protocol = \"icmp\"; not_icmp_type = 256;"), 4,
		"policies/p/ingress/1/not_icmp_type",
		"policies/p/ingress/1/not_icmp_type: expected a number from 0 to 255, found 256" },
	{ RULE("protocol = \"icmp\"; not_icmp_type = -1;"), 4, "policies/p/ingress/1/not_icmp_type",
		"policies/p/ingress/1/not_icmp_type: expected a number from 0 to 255, found -1" },
	{ RULE("protocol = \"icmp\"; not_icmp_type = \"echo\";"), 4,
		"policies/p/ingress/1/not_icmp_type",
		"policies/p/ingress/1/not_icmp_type: expected a number from 0 to 255, found a "
		"string" },
	{ RULE("not_icmp_code = 8;"), 4, "policies/p/ingress/1/not_icmp_code",
		"policy p: ingress[1].not_icmp_code: needs protocol icmp or icmpv6: add it, or "
		"remove not_icmp_code" },
	{ RULE("protocol = \"tcp\"; not_icmp_code = 8;"), 4, "policies/p/ingress/1/not_icmp_code",
		"policy p: ingress[1].not_icmp_code: needs protocol icmp or icmpv6: add it, or "
		"remove not_icmp_code" },
	{ RULE("protocol = \"udp\"; not_icmp_code = 8;"), 4, "policies/p/ingress/1/not_icmp_code",
		"policy p: ingress[1].not_icmp_code: needs protocol icmp or icmpv6: add it, or "
		"remove not_icmp_code" },
	{ RULE("not_protocol = \"tcp\"; not_icmp_code = 8;"), 4,
		"policies/p/ingress/1/not_icmp_code",
		"policy p: ingress[1].not_icmp_code: needs protocol icmp or icmpv6: add it, or "
		"remove not_icmp_code" },
	{ RULE("protocol = \"icmp\"; not_icmp_code = 256;"), 4,
		"policies/p/ingress/1/not_icmp_code",
		"policies/p/ingress/1/not_icmp_code: expected a number from 0 to 255, found 256" },
	{ RULE("protocol = \"icmp\"; not_icmp_code = -1;"), 4, "policies/p/ingress/1/not_icmp_code",
		"policies/p/ingress/1/not_icmp_code: expected a number from 0 to 255, found -1" },
	{ RULE("protocol = \"icmp\"; not_icmp_code = \"echo\";"), 4,
		"policies/p/ingress/1/not_icmp_code",
		"policies/p/ingress/1/not_icmp_code: expected a number from 0 to 255, found a "
		"string" },
	{ RULE("protocol = \"icmp\"; icmp_code = 0;"), 4, "policies/p/ingress/1/icmp_code",
		"policy p: ingress[1].icmp_code: means nothing without icmp_type: add it" },
	{ RULE("protocol = \"icmp\"; not_icmp_code = 0;"), 4, "policies/p/ingress/1/not_icmp_code",
		"policy p: ingress[1].not_icmp_code: means nothing without not_icmp_type: add it" },
	{ RULE("protocol = \"icmp\"; icmp_type = 8; not_icmp_type = 0;"), 4,
		"policies/p/ingress/1/not_icmp_type",
		"policy p: ingress[1].not_icmp_type: has no use beside icmp_type: remove one of "
		"them" },
	{ RULE("protocol = \"icmp\"; icmp_type = 3; not_icmp_code = 0;"), 4,
		"policies/p/ingress/1/not_icmp_code",
		"policy p: ingress[1].not_icmp_code: means nothing without not_icmp_type: add it" },
	{ RULE("protocol = \"icmpv6\"; icmp_code = 0;"), 4, "policies/p/ingress/1/icmp_code",
		"policy p: ingress[1].icmp_code: means nothing without icmp_type: add it" },
	{ RULE("protocol = \"icmpv6\"; not_icmp_code = 0;"), 4,
		"policies/p/ingress/1/not_icmp_code",
		"policy p: ingress[1].not_icmp_code: means nothing without not_icmp_type: add it" },
	{ RULE("protocol = \"icmpv6\"; icmp_type = 8; not_icmp_type = 0;"), 4,
		"policies/p/ingress/1/not_icmp_type",
		"policy p: ingress[1].not_icmp_type: has no use beside icmp_type: remove one of "
		"them" },
	{ RULE("protocol = \"icmpv6\"; icmp_type = 3; not_icmp_code = 0;"), 4,
		"policies/p/ingress/1/not_icmp_code",
		"policy p: ingress[1].not_icmp_code: means nothing without not_icmp_type: add it" },
	{ RULE("protocol = \"1\"; icmp_code = 0;"), 4, "policies/p/ingress/1/icmp_code",
		"policy p: ingress[1].icmp_code: means nothing without icmp_type: add it" },
	{ RULE("protocol = \"1\"; not_icmp_code = 0;"), 4, "policies/p/ingress/1/not_icmp_code",
		"policy p: ingress[1].not_icmp_code: means nothing without not_icmp_type: add it" },
	{ RULE("protocol = \"1\"; icmp_type = 8; not_icmp_type = 0;"), 4,
		"policies/p/ingress/1/not_icmp_type",
		"policy p: ingress[1].not_icmp_type: has no use beside icmp_type: remove one of "
		"them" },
	{ RULE("protocol = \"1\"; icmp_type = 3; not_icmp_code = 0;"), 4,
		"policies/p/ingress/1/not_icmp_code",
		"policy p: ingress[1].not_icmp_code: means nothing without not_icmp_type: add it" },
	{ RULE("protocol = \"58\"; icmp_code = 0;"), 4, "policies/p/ingress/1/icmp_code",
		"policy p: ingress[1].icmp_code: means nothing without icmp_type: add it" },
	{ RULE("protocol = \"58\"; not_icmp_code = 0;"), 4, "policies/p/ingress/1/not_icmp_code",
		"policy p: ingress[1].not_icmp_code: means nothing without not_icmp_type: add it" },
	{ RULE("protocol = \"58\"; icmp_type = 8; not_icmp_type = 0;"), 4,
		"policies/p/ingress/1/not_icmp_type",
		"policy p: ingress[1].not_icmp_type: has no use beside icmp_type: remove one of "
		"them" },
	{ RULE("protocol = \"58\"; icmp_type = 3; not_icmp_code = 0;"), 4,
		"policies/p/ingress/1/not_icmp_code",
		"policy p: ingress[1].not_icmp_code: means nothing without not_icmp_type: add it" },
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
	{ RULE("protocol = [ \"tcp\", \"udp\" ];"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: expected a string such as \"tcp\", found a list" },
	{ RULE("cidrs = [ \"198.51.100.0/24\" ];"), 4, "policies/p/ingress/1/cidrs",
		"policies/p/ingress/1/cidrs: unknown key: remove it; docs/objects.md lists what a "
		"rule has" },
};

REFUSALS(rules)

static const struct test_case cases[] = { { "rules", refuses_rules } };
SUITE_MAIN("refusals of rules", cases)
