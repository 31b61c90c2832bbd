/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration file may not say, and the exact sentence that refuses it: syntax, keys, types and values. */
#include "tests/unit/config_refusal.h"

static const struct refusal the_file[] = {
	{ "\n"
	  "\n"
	  "node: { name = \"a\" ",
		3, "",
		"syntax error: look on this line and the one before for a missing bracket or "
		"value, or a comma after a last element" },
	{ A_NODE "uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\"; "
		 "addresses = [ \"192.0.2.1/24\" ]; }, );\n",
		2, "",
		"syntax error: look on this line and the one before for a missing bracket or "
		"value, or a comma after a last element" },
	{ "node: { name = \"a\";\n"
	  "name = \"b\"; };",
		2, "", "a key on this line is given twice in its group: remove one" },
	{ A_NODE "pools: ( { name = \"p\";\n"
		 "cidr = [ \"10.0.0.0/8\", 3 ]; } );",
		3, "", "a [ ] on this line mixes kinds of values: write all as the first one" },
	{ A_NODE "pools: ( { name = \"p;\n"
		 "cidr = \"10.0.0.0/8\"; } );",
		2, "", "a string on this line has no end: add the closing quote" },
	{ A_NODE "/* pools\n"
		 "\n",
		2, "", "the comment that begins on this line has no end: add */" },
	{ A_NODE "@include \"peers.conf\"\n", 2, "",
		"@include works in files only: put the content of peers.conf here" },
	{ A_NODE "\n"
		 "@include peers.conf\n",
		3, "", "@include needs a file name in quotes: write @include \"uplinks.conf\"" },
	{ "node: { name = \"a\"; flows = 99999999999999999999; };", 1, "",
		"the number 99999999999999999999 is too large: no field takes one like it" },
	{ "node: { name = \"a\\x00b\"; };", 1, "", "there is a zero byte in a string: remove it" },
	{ "node: { name = \"\xff\"; };", 1, "", "a string on this line is not UTF-8: rewrite it" },
	{ "", 0, "node", "the node has no name: add node: { name = \"node-a\"; };" },
	{ A_NODE "uplink: ( );", 2, "uplink", "uplink: unknown key: did you mean \"uplinks\"?" },
	{ A_NODE "services: ( );", 2, "services",
		"services: unknown key: a file has node, namespaces, uplinks, pools, peers, sets, "
		"tiers, endpoints, pods, policies and routes" },
	{ "node: ( { name = \"a\"; } );", 1, "node", "node: expected a group { }, found a list" },
	{ "node = \"a\";", 1, "node", "node: expected a group { }, found a string" },
	{ A_NODE "pools: { name = \"p\"; cidr = \"10.0.0.0/8\"; };", 2, "pools",
		"pools: expected a list such as ( { name = \"a\"; } ), found a group { }" },
	{ A_NODE "pools: [ \"10.0.0.0/8\" ];", 2, "pools",
		"pools: expected a list such as ( { name = \"a\"; } ), found an array [ ]" },
	{ A_NODE "pools: ( \"10.0.0.0/8\" );", 2, "pools",
		"pools: expected a group { }, found a string" },
	{ A_NODE "pools: ( { name = \"p\"; cidr = ((((((((((1)))))))))); } );", 2, "",
		"groups and lists are nested too deep here: no field has so many levels" },
};

static const struct refusal keys_and_types[] = {
	{ PEER("vtep = \"02:00:c0:00:02:02\";"), 4, "peers/node-b/vtep",
		"peers/node-b/vtep: unknown key: did you mean \"vtep_mac\"?" },
	{ PEER("vin = 1;"), 4, "peers/node-b/vin",
		"peers/node-b/vin: unknown key: did you mean \"vni\"?" },
	{ PEER("colour = \"red\";"), 4, "peers/node-b/colour",
		"peers/node-b/colour: unknown key: a peer has name, underlay, pod_cidrs, encap, "
		"vtep_mac, vni, port, mtu" },
	{ NODE("colour = \"red\";"), 2, "node/colour",
		"node/colour: unknown key: remove it; docs/objects.md lists what a node has" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = (\n"
		 "{ adress = \"192.0.2.254\"; } ); }"),
		6, "routes/198.51.100.0/24/via/0/adress",
		"routes/198.51.100.0/24/via/0/adress: unknown key: did you mean \"address\"?" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = (\n"
		 "{ mac = \"192.0.2.254\"; } ); }"),
		6, "routes/198.51.100.0/24/via/0/mac",
		"routes/198.51.100.0/24/via/0/mac: unknown key: a next hop has address, peer, "
		"uplink, pod, weight" },
	{ PEER("vni = \"4096\";"), 4, "peers/node-b/vni",
		"peers/node-b/vni: expected a number from 1 to 16777215, found a string" },
	{ PEER("vni = 16777216;"), 4, "peers/node-b/vni",
		"peers/node-b/vni: expected a number from 1 to 16777215, found 16777216" },
	{ PEER("vni = 4294967297;"), 4, "peers/node-b/vni",
		"peers/node-b/vni: expected a number from 1 to 16777215, found 4294967297" },
	{ PEER("vni = -1;"), 4, "peers/node-b/vni",
		"peers/node-b/vni: expected a number from 1 to 16777215, found -1" },
	{ PEER("vni = 1.5;"), 4, "peers/node-b/vni",
		"peers/node-b/vni: expected a number from 1 to 16777215, found a fraction" },
	{ PEER("vni = true;"), 4, "peers/node-b/vni",
		"peers/node-b/vni: expected a number from 1 to 16777215, found true" },
	{ PEER("vni = [ 1 ];"), 4, "peers/node-b/vni",
		"peers/node-b/vni: expected a number from 1 to 16777215, found a list" },
	{ PEER("port = 70000;"), 4, "peers/node-b/port",
		"peers/node-b/port: expected a number from 1 to 65535, found 70000" },
	{ PEER("mtu = 100;"), 4, "peers/node-b/mtu",
		"peers/node-b/mtu: expected 0 or a number from 576 to 9600, found 100" },
	{ PEER("pod_cidrs = 10;"), 4, "peers/node-b/pod_cidrs",
		"peers/node-b/pod_cidrs: expected a list such as [ \"10.244.2.0/24\" ], found 10" },
	{ PEER("pod_cidrs = ( \"10.1.0.0/16\",\n"
	       "7 );"),
		5, "peers/node-b/pod_cidrs/1",
		"peers/node-b/pod_cidrs/1: expected a string such as \"10.244.2.0/24\", found 7" },
	{ PEER("pod_cidrs = { };"), 4, "peers/node-b/pod_cidrs",
		"peers/node-b/pod_cidrs: expected a list such as [ \"10.244.2.0/24\" ], found a "
		"group { }" },
	{ NODE("mss_clamp = \"yes\";"), 2, "node/mss_clamp",
		"node/mss_clamp: expected true or false, found a string" },
	{ NODE("mss_clamp = 1;"), 2, "node/mss_clamp",
		"node/mss_clamp: expected true or false, found 1" },
	{ NODE("worker_cpus = [ 1, 2,\n"
	       "1 ];"),
		3, "node/worker_cpus/2", "node/worker_cpus/2: 1 is listed twice: remove one" },
	{ NODE("worker_cpus = [ 5000 ];"), 2, "node/worker_cpus/0",
		"node/worker_cpus/0: expected a number from 0 to 1023, found 5000" },
	{ NODE("worker_cpus = [ \"1\" ];"), 2, "node/worker_cpus/0",
		"node/worker_cpus/0: expected a number from 0 to 1023, found a string" },
	{ NODE("worker_cpus = [ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 ];"), 2,
		"node/worker_cpus", "node/worker_cpus: 17 entries are too many: at most 16 fit" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = \"192.0.2.254\"; }"), 5,
		"routes/198.51.100.0/24/via",
		"routes/198.51.100.0/24/via: expected a list such as ( { address = "
		"\"192.0.2.254\"; } ), found a string" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( \"192.0.2.254\" ); }"), 5,
		"routes/198.51.100.0/24/via/0",
		"routes/198.51.100.0/24/via/0: expected a group such as { address = "
		"\"192.0.2.254\"; }, found a string" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { address = \"192.0.2.254\"; weight = 0; "
		 "} ); }"),
		5, "routes/198.51.100.0/24/via/0/weight",
		"routes/198.51.100.0/24/via/0/weight: expected a number from 1 to 255, found 0" },
	{ A_NODE "pools: ( { cidr = \"10.0.0.0/8\"; } );", 2, "pools/name",
		"pools/name: is missing: give it, for example \"pods\"" },
	{ A_NODE "pools: ( { name = \"p\"; } );", 2, "pools/p/cidr",
		"pools/p/cidr: is missing: give it, for example \"10.244.1.0/24\"" },
	{ A_NODE "uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\"; } );", 2,
		"uplinks/eth0/addresses",
		"uplink eth0: addresses is missing: write this node's addresses on that network, "
		"such as [ "
		"\"192.0.2.1/24\" ]" },
	{ A_NODE "uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\"; "
		 "addresses = [ \"192.0.2.1/24\" ]; "
		 "xdp_mode = \"native\"; } );\n",
		2, "uplinks/eth0/xdp_mode",
		"uplink eth0: xdp_mode is for driver \"af_xdp\" only: remove it" },
	{ A_NODE "uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\"; "
		 "addresses = [ \"192.0.2.1/24\" ]; "
		 "disabled_offloads = [ \"all\" ]; } );\n",
		2, "uplinks/eth0/disabled_offloads",
		"uplink eth0: disabled_offloads is for drivers \"pci\" and \"ethdev\", which have "
		"the "
		"NIC's: remove it, and use `ethtool -K` on the interface" },
	{ A_NODE "uplinks: ( { name = \"eth0\"; driver = \"pci\"; device = \"0000:01:00.0\"; "
		 "addresses = [ \"192.0.2.1/24\" ]; "
		 "disabled_offloads = [ \"tso\" ]; } );\n",
		2, "uplinks/eth0/disabled_offloads/0",
		"uplinks/eth0/disabled_offloads/0: \"tso\" is not one of all, rx-checksum, "
		"tx-checksum, "
		"tx-segmentation, tx-vxlan-checksum, tx-vxlan-segmentation, tx-ipip-checksum, "
		"tx-ipip-segmentation, tx-outer-udp-checksum: write one of these" },
	{ A_NODE "uplinks: ( { name = \"eth0\"; driver = \"af_xdp\"; device = \"eth0\"; "
		 "kernel_interface = \"k0\"; } );\n",
		2, "uplinks/eth0/kernel_interface",
		"uplink eth0: kernel_interface is for drivers \"pci\" and \"ethdev\", which take "
		"the device from the kernel: "
		"remove it" },
	{ A_NODE "uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\"; "
		 "addresses = [ \"192.0.2.1/24\" ]; vlan = 4095; } );\n",
		2, "uplinks/eth0/vlan",
		"uplinks/eth0/vlan: expected a number from 0 to 4094, found 4095" },
	{ A_NODE "uplinks: ( { name = \"eth0\"; driver = \"af_xdp\"; device = \"eth0\"; vlan = "
		 "100; } );\n",
		2, "uplinks/eth0/vlan",
		"uplink eth0: an XDP program cannot rely on seeing VLAN tags: leave vlan out, make "
		"a VLAN interface (ip link add link eth0 name eth0.100 type vlan id 100) and write "
		"that as device" },
	{ A_NODE "uplinks: ( { name = \"eth0\"; driver = \"ethdev\"; device = \"net_null0\"; "
		 "kernel_interface = \"enp129s0f0np\"; vlan = 100; } );\n",
		2, "uplinks/eth0/kernel_interface",
		"uplink eth0: the kernel's interface of VLAN 100 would be called enp129s0f0np.100, "
		"and names have at most 15 bytes: shorten kernel_interface" },
	{ A_NODE "uplinks: ( { name = \"eth0\"; driver = \"af_xdp\"; device = \"eth0\"; queues = "
		 "2; } );\n",
		2, "uplinks/eth0/queues",
		"uplink eth0: af_xdp serves every receive queue of the device: leave queues out, "
		"and set their number with "
		"`ethtool -L`" },
	{ A_NODE "uplinks: ( { name = \"eth0\"; device = \"eth0\"; addresses = [ \"192.0.2.1/24\" "
		 "]; } );",
		2, "uplinks/eth0/driver",
		"uplinks/eth0/driver: is missing: give it, for example \"af_packet\"" },
	{ A_NODE "pools: (\n"
		 "{ name = \"p\"; cidr = \"10.0.0.0/8\"; },\n"
		 "{ name = \"p\"; cidr = \"11.0.0.0/8\"; } );",
		4, "pools/p", "pools/p: is defined twice: remove one; the first is at t.conf:3" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; action = \"prohibit\"; },\n"
		 "{ prefix = \"198.51.100.0/24\"; action = \"blackhole\"; }"),
		6, "routes/198.51.100.0/24",
		"routes/198.51.100.0/24: is defined twice: remove one; the first is at t.conf:5" },
};

static const struct refusal values[] = {
	{ "node: { name = \"\"; };", 1, "node/name",
		"node/name: is empty: give it a value, for example \"node-a\"" },
	{ "node: { name = \"node a\"; };", 1, "node/name",
		"node/name: \"node a\" has characters that names cannot have: use letters, digits, "
		"\".\", \"_\" and \"-\"" },
	{ "node: { name = \"n/../a\"; };", 1, "node/name",
		"node/name: \"n/../a\" has characters that names cannot have: use letters, digits, "
		"\".\", \"_\" and \"-\"" },
	{ "node: { name = \"..\"; };", 1, "node/name",
		"node/name: \"..\" means a directory: choose another name" },
	{ "node: { name = \"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\"; };",
		1, "node/name", "node/name: 64 bytes are too long: at most 63 fit" },
	{ "node: { name = \"a\\nb\"; };", 1, "node/name",
		"node/name: has control characters: remove them" },
	{ A_NODE "uplinks: ( { name = \"eth0\"; driver = \"afpacket\"; device = \"eth0\"; "
		 "addresses = [ \"192.0.2.1/24\" ]; } );",
		2, "uplinks/eth0/driver",
		"uplinks/eth0/driver: \"afpacket\" is not one of ethdev, af_packet, af_xdp, pci, "
		"memif: "
		"did you mean \"af_packet\"?" },
	{ A_NODE AN_UPLINK "peers: ( { name = \"node-b\"; underlay = [ \"192.0.2.2\" ]; \n"
			   "encap = \"vxlann\"; \n"
			   "} );\n",
		4, "peers/node-b/encap",
		"peers/node-b/encap: \"vxlann\" is not one of auto, vxlan, ipip, direct, "
		"wireguard: did you mean \"vxlan\"?" },
	{ A_NODE AN_UPLINK "peers: ( { name = \"node-b\"; underlay = [ \"192.0.2.2\" ]; \n"
			   "encap = \"tcp\"; \n"
			   "} );\n",
		4, "peers/node-b/encap",
		"peers/node-b/encap: \"tcp\" is not one of auto, vxlan, ipip, direct, wireguard: "
		"write one of these" },
	{ A_NODE AN_UPLINK "peers: ( { name = \"node-b\"; underlay = [ \"192.0.2.2\" ]; \n"
			   "encap = \"wireguard\"; \n"
			   "} );\n",
		4, "peers/node-b/encap",
		"peer node-b: wireguard is not available in this version: use auto, vxlan, ipip or "
		"direct" },
	{ PEER("pod_cidrs = [ \"10.244.1.9/24\" ];"), 4, "peers/node-b/pod_cidrs/0",
		"peers/node-b/pod_cidrs/0: 10.244.1.9/24 has host bits set: write 10.244.1.0/24" },
	{ PEER("pod_cidrs = [ \"10.244.1.0/33\" ];"), 4, "peers/node-b/pod_cidrs/0",
		"peers/node-b/pod_cidrs/0: \"10.244.1.0/33\" is not a prefix: write one such as "
		"10.244.1.0/24 or fd00:244:1::/64" },
	{ PEER("pod_cidrs = [ \"fd00::1/64\" ];"), 4, "peers/node-b/pod_cidrs/0",
		"peers/node-b/pod_cidrs/0: fd00::1/64 has host bits set: write fd00::/64" },
	{ PEER("pod_cidrs = [ \"224.0.0.0/8\" ];"), 4, "peers/node-b/pod_cidrs/0",
		"peers/node-b/pod_cidrs/0: 224.0.0.0/8 is multicast, which is not routed: write a "
		"unicast prefix" },
	{ PEER("pod_cidrs = [ \"10.1.0.0/16\", \"10.1.0.0/16\" ];"), 4, "peers/node-b/pod_cidrs/1",
		"peers/node-b/pod_cidrs/1: 10.1.0.0/16 is listed twice: remove one" },
	{ PEER("pod_cidrs = [ \"0.0.0.0/0\" ];"), 4, "peers/node-b/pod_cidrs/0",
		"peer node-b: 0.0.0.0/0 sends everything to one peer: use a route via the peer for "
		"that" },
	{ PEER("pod_cidrs = [ \"fe80::/64\" ];"), 4, "peers/node-b/pod_cidrs/0",
		"peer node-b: fe80::/64 is link-local, which is not routed: write the peer's pod "
		"addresses" },
	{ PEERS("{ name = \"node-b\"; underlay = [ \"192.0.2.300\" ]; encap = \"direct\"; }"), 4,
		"peers/node-b/underlay/0",
		"peers/node-b/underlay/0: \"192.0.2.300\" is not an IP address: write one such as "
		"192.0.2.2 or 2001:db8::2" },
	{ PEERS("{ name = \"node-b\"; underlay = [ \"192.0.2.2/24\" ]; encap = \"direct\"; }"), 4,
		"peers/node-b/underlay/0",
		"peers/node-b/underlay/0: \"192.0.2.2/24\" has a prefix length: write 192.0.2.2" },
	{ PEERS("{ name = \"node-b\"; underlay = [ \"node-b.example\" ]; encap = \"direct\"; }"), 4,
		"peers/node-b/underlay/0",
		"peers/node-b/underlay/0: \"node-b.example\" is not an IP address: write one such "
		"as 192.0.2.2 or 2001:db8::2" },
	{ PEERS("{ name = \"node-b\"; underlay = [ \"224.0.0.1\" ]; encap = \"direct\"; }"), 4,
		"peers/node-b/underlay/0",
		"peers/node-b/underlay/0: 224.0.0.1 is a multicast address: write the address of "
		"one host" },
	{ PEERS("{ name = \"node-b\"; underlay = [ \"127.0.0.1\" ]; encap = \"direct\"; }"), 4,
		"peers/node-b/underlay/0",
		"peers/node-b/underlay/0: 127.0.0.1 is a loopback address: write one that other "
		"hosts can reach" },
	{ PEERS("{ name = \"node-b\"; underlay = [ \"0.0.0.0\" ]; encap = \"direct\"; }"), 4,
		"peers/node-b/underlay/0",
		"peers/node-b/underlay/0: 0.0.0.0 stands for no address: write the address of one "
		"host" },
	{ PEERS("{ name = \"node-b\"; underlay = [ \"255.255.255.255\" ]; encap = \"direct\"; }"),
		4, "peers/node-b/underlay/0",
		"peers/node-b/underlay/0: 255.255.255.255 is a reserved address: write one that "
		"hosts can have" },
	{ PEERS("{ name = \"node-b\"; underlay = [ \"::ffff:192.0.2.2\" ]; encap = \"direct\"; }"),
		4, "peers/node-b/underlay/0",
		"peers/node-b/underlay/0: ::ffff:192.0.2.2 is an IPv4 address in IPv6 form: write "
		"192.0.2.2" },
	{ PEERS("{ name = \"node-b\"; underlay = [ \"192.0.2.2\",\n"
		"\"192.0.2.2\" ]; encap = \"direct\"; }"),
		5, "peers/node-b/underlay/1",
		"peers/node-b/underlay/1: 192.0.2.2 is listed twice: remove one" },
	{ PEERS("{ name = \"node-b\"; underlay = [ \"192.0.2.2\", \"192.0.2.3\" ]; encap = "
		"\"direct\"; }"),
		4, "peers/node-b/underlay",
		"peer node-b: underlay has two IPv4 addresses: keep one a family" },
	{ PEERS("{ name = \"node-b\"; underlay = [ \"fe80::2\" ]; encap = \"direct\"; }"), 4,
		"peers/node-b/underlay",
		"peer node-b: underlay has a link-local address, which cannot end a tunnel: write "
		"a routable one" },
	{ PEERS("{ name = \"node-b\"; underlay = [ ]; encap = \"direct\"; }"), 4,
		"peers/node-b/underlay",
		"peers/node-b/underlay: is empty: give it a value, for example [ \"192.0.2.2\" ]" },
	{ PEER("vtep_mac = \"02:00:c0\";"), 4, "peers/node-b/vtep_mac",
		"peers/node-b/vtep_mac: \"02:00:c0\" is not a MAC address: write one such as "
		"02:00:c0:00:02:02" },
	{ PEER("vtep_mac = \"01:00:5e:00:00:01\";"), 4, "peers/node-b/vtep_mac",
		"peers/node-b/vtep_mac: 01:00:5e:00:00:01 is a multicast MAC address: write the "
		"address of one host" },
	{ PEER("vtep_mac = \"00:00:00:00:00:00\";"), 4, "peers/node-b/vtep_mac",
		"peers/node-b/vtep_mac: 00:00:00:00:00:00 is no address: write the address of one "
		"host" },
	{ UPLINK("addresses = [ \"192.0.2.1\" ];"), 3, "uplinks/eth0/addresses/0",
		"uplinks/eth0/addresses/0: 192.0.2.1 has no prefix length: add that of the "
		"network, such as 192.0.2.1/24" },
	{ UPLINK("addresses = [ \"192.0.2.0/24\" ];"), 3, "uplinks/eth0/addresses/0",
		"uplinks/eth0/addresses/0: 192.0.2.0/24 is the address of the network: write this "
		"node's address on it" },
	{ UPLINK("addresses = [ \"192.0.2.255/24\" ];"), 3, "uplinks/eth0/addresses/0",
		"uplinks/eth0/addresses/0: 192.0.2.255/24 is the broadcast address: write this "
		"node's address on the network" },
	{ UPLINK("addresses = [ \"192.0.2.1/0\" ];"), 3, "uplinks/eth0/addresses/0",
		"uplinks/eth0/addresses/0: 192.0.2.1/0 has a prefix length of 0: write that of the "
		"network" },
	{ UPLINK("addresses = [ \"eth0\" ];"), 3, "uplinks/eth0/addresses/0",
		"uplinks/eth0/addresses/0: \"eth0\" is not an address with a prefix length: write "
		"one such as 192.0.2.1/24" },
	{ UPLINK("addresses = [ \"192.0.2.1/24\", \"192.0.2.1/25\" ];"), 3,
		"uplinks/eth0/addresses/1",
		"uplinks/eth0/addresses/1: 192.0.2.1/25 is listed twice: remove one" },
	{ UPLINK("addresses = [ \"192.0.2.1/24\", \"2001:db8::1/64\" ]; mtu = 1279;"), 3,
		"uplinks/eth0/mtu",
		"uplink eth0: mtu 1279 is too small for IPv6: write at least 1280 or remove the "
		"IPv6 addresses" },
	{ UPLINK("addresses = [ \"192.0.2.1/24\" ]; mtu = 60;"), 3, "uplinks/eth0/mtu",
		"uplinks/eth0/mtu: expected a number from 576 to 9600, found 60" },
	{ A_NODE "uplinks: ( { name = \"u\"; driver = \"af_packet\"; device = "
		 "\"averylonginterface\"; addresses = [ \"192.0.2.1/24\" ]; } );",
		2, "uplinks/u/device",
		"uplink u: \"averylonginterface\" is not the name of a network interface: write "
		"one of at most 15 bytes such as \"eth0\"" },
	{ A_NODE "uplinks: ( { name = \"u\"; driver = \"pci\"; device = \"eth0\"; addresses = [ "
		 "\"192.0.2.1/24\" ]; } );",
		2, "uplinks/u/device",
		"uplink u: \"eth0\" is not a PCI address: write one such as \"0000:01:00.0\"" },
	{ NODE("gateway = \"fe80::1\";"), 2, "node/gateway",
		"node/gateway: fe80::1 is IPv6: write an IPv4 address" },
	{ NODE("gateway6 = \"169.254.1.1\";"), 2, "node/gateway6",
		"node/gateway6: 169.254.1.1 is IPv4: write an IPv6 address" },
	{ NODE("host_interface = \"a/b\";"), 2, "node/host_interface",
		"node/host_interface: \"a/b\" cannot name an interface: leave out \"/\", \":\" and "
		"blanks" },
	{ NODE("host_interface = \"averylonginterface\";"), 2, "node/host_interface",
		"node/host_interface: 18 bytes are too long: at most 15 fit" },
	{ NODE("host_interface = \"\"; host_addresses = [ \"10.244.1.1\" ];"), 2,
		"node/host_addresses",
		"node node-a: host_interface is empty, so there is nothing to carry "
		"host_addresses: name an interface or remove them" },
	{ NODE("host_addresses = [ \"169.254.1.1\" ];"), 2, "node/host_addresses",
		"node node-a: 169.254.1.1 is the gateway that pods see: give the host another "
		"address" },
	{ NODE("metrics_listen = \"localhost:9099\";"), 2, "node/metrics_listen",
		"node/metrics_listen: \"localhost:9099\" has no IP address: write one such as "
		"127.0.0.1:9099 or [::1]:9099" },
	{ NODE("metrics_listen = \"127.0.0.1\";"), 2, "node/metrics_listen",
		"node/metrics_listen: \"127.0.0.1\" has no port: write one such as 127.0.0.1:9099 "
		"or [::1]:9099" },
	{ NODE("metrics_listen = \"::1:9099\";"), 2, "node/metrics_listen",
		"node/metrics_listen: \"::1:9099\" has no IP address: write one such as "
		"127.0.0.1:9099 or [::1]:9099" },
	{ NODE("log_level = \"verbose\";"), 2, "node/log_level",
		"node/log_level: \"verbose\" is not one of error, warning, info, debug: write one "
		"of these" },
	{ NODE("buffers = 1048576;"), 1, "node/memory_mb",
		"node node-a: 1048576 buffers need about 3072 MiB: raise memory_mb from 256 or "
		"lower buffers" },
	{ NODE("worker_cpus = [ 1, 2 ]; control_cpu = 2;"), 2, "node/control_cpu",
		"node node-a: CPU 2 is also in worker_cpus: a worker needs a CPU of its own, "
		"choose another" },
	{ A_NODE "pools: ( { name = \"p\"; cidr = \"10.0.0.0/31\"; } );", 2, "pools/p/cidr",
		"pool p: 10.0.0.0/31 has no room for pods: write a length of at most 30" },
	{ A_NODE "pools: ( { name = \"p\"; cidr = \"0.0.0.0/0\"; } );", 2, "pools/p/cidr",
		"pool p: 0.0.0.0/0 is too much for one node: write a length of at least 8" },
	{ A_NODE "pools: ( { name = \"p\"; cidr = \"169.254.0.0/16\"; } );", 2, "pools/p/cidr",
		"pool p: 169.254.0.0/16 is link-local, which is not routed: write a prefix that "
		"peers can reach" },
};

REFUSALS(the_file)
REFUSALS(keys_and_types)
REFUSALS(values)

static const struct test_case cases[] = {
	{ "files that are none", refuses_the_file },
	{ "keys and types", refuses_keys_and_types },
	{ "single values", refuses_values },
};
SUITE_MAIN("config refusals", cases)
