/* SPDX-License-Identifier: Apache-2.0 */
/* What rules of policies may not say about protocols, ports and ICMP, and the exact sentence that refuses it. */
#include "tests/unit/policy_refusal.h"

static const struct refusal ports[] = {
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
	{ RULE("protocol = [ \"tcp\", \"udp\" ];"), 4, "policies/p/ingress/1/protocol",
		"policies/p/ingress/1/protocol: expected a string such as \"tcp\", found a list" },
};

REFUSALS(ports)

static const struct test_case cases[] = { { "ports", refuses_ports } };
SUITE_MAIN("refusals of protocols and ports", cases)
