/* SPDX-License-Identifier: Apache-2.0 */
/* Relations between fields, between objects, and between what runs and what is asked for: the exact sentences. */
#include "tests/unit/config_refusal.h"

static const struct refusal one_object[] = {
	{ PEERS("{ name = \"node-b\"; underlay = [ \"192.0.2.2\" ]; encap = \"vxlan\"; }"), 4,
		"peers/node-b/vtep_mac",
		"peer node-b: vtep_mac is missing: encap \"vxlan\" needs it" },
	{ PEERS("{ name = \"node-b\"; underlay = [ \"192.0.2.2\" ]; }"), 4, "peers/node-b/vtep_mac",
		"peer node-b: vtep_mac is missing: encap \"auto\" may choose vxlan and needs it; "
		"write it, or set encap to ipip or direct" },
	{ PEER("vni = 7;"), 4, "peers/node-b/vni",
		"peer node-b: vni is for VXLAN, but encap is \"direct\": remove one of them" },
	{ PEER("pod_cidrs = [ \"fd00:2::/64\" ]; mtu = 1200;"), 4, "peers/node-b/mtu",
		"peer node-b: mtu 1200 is too small for IPv6: write at least 1280 or remove the "
		"IPv6 addresses" },
	{ PODS("{ name = \"web-1\"; }"), 4, "pods/web-1/netns",
		"pod web-1: netns is missing: a tap pod needs its network namespace" },
	{ POD("secret = \"x\";"), 4, "pods/web-1/secret",
		"pod web-1: secret is for memif pods: remove it or set kind to memif" },
	{ POD("ring_size = 512;"), 4, "pods/web-1/ring_size",
		"pod web-1: ring_size is for memif pods: remove it or set kind to memif" },
	{ A_NODE A_POOL "pods: ( { name = \"web-1\";\n"
			"netns = \"run/netns/x\";\n"
			"} );\n",
		4, "pods/web-1/netns",
		"pods/web-1/netns: \"run/netns/x\" is a relative path: write a name below "
		"/run/netns or a path that begins with \"/\"" },
	{ POD("interface = \"averylonginterface\";"), 4, "pods/web-1/interface",
		"pods/web-1/interface: 18 bytes are too long: at most 15 fit" },
	{ POD("interface = \"eth 0\";"), 4, "pods/web-1/interface",
		"pods/web-1/interface: \"eth 0\" cannot name an interface: leave out \"/\", \":\" "
		"and blanks" },
	{ POD("mtu = 1000; addresses = [ \"fd00::5\" ];"), 4, "pods/web-1/mtu",
		"pod web-1: mtu 1000 is too small for IPv6: write at least 1280 or remove the IPv6 "
		"addresses" },
	{ POD("socket = \"/run/a\";"), 4, "pods/web-1/socket",
		"pod web-1: socket is for memif and vhost pods: remove it or set kind to memif or "
		"vhost" },
	{ VHOST("mode = \"ip\";"), 4, "pods/web-1/mode",
		"pod web-1: mode is for memif pods: remove it or set kind to memif" },
	{ VHOST("secret = \"x\";"), 4, "pods/web-1/secret",
		"pod web-1: secret is for memif pods: remove it or set kind to memif" },
	{ VHOST("interface = \"x\";"), 4, "pods/web-1/interface",
		"pod web-1: interface is for tap pods: remove it or set kind to tap" },
	{ A_NODE A_POOL "pods: ( { name = \"web-1\"; kind = \"vhost\";\n"
			"role = \"client\";\n"
			"} );\n",
		3, "pods/web-1/socket",
		"pod web-1: socket is missing: a vhost pod is reached through it" },
	{ MEMIF("netns = \"web-1\";"), 4, "pods/web-1/netns",
		"pod web-1: netns is for tap pods: remove it or set kind to tap" },
	{ MEMIF("ring_size = 1000;"), 4, "pods/web-1/ring_size",
		"pod web-1: ring_size 1000 is not a power of two: write 512, 1024 or 2048" },
	{ MEMIF("mode = \"ip\"; mac = \"02:00:00:00:00:01\";"), 4, "pods/web-1/mac",
		"pod web-1: mode is ip, which has no MAC addresses: remove mac or set mode to "
		"ethernet" },
	{ POD("role = \"client\";"), 4, "pods/web-1/role",
		"pod web-1: role is for memif and vhost pods: remove it or set kind to memif or "
		"vhost" },
	{ POD("mode = \"ip\";"), 4, "pods/web-1/mode",
		"pod web-1: mode is for memif pods: remove it or set kind to memif" },
	{ UPLINK("memif_id = 7; addresses = [ \"192.0.2.1/24\" ];"), 3, "uplinks/eth0/memif_id",
		"uplink eth0: memif_id is for memif uplinks: remove it or set driver to memif" },
	{ UPLINK("secret = \"x\"; addresses = [ \"192.0.2.1/24\" ];"), 3, "uplinks/eth0/secret",
		"uplink eth0: secret is for memif uplinks: remove it or set driver to memif" },
	{ A_NODE "uplinks: ( { name = \"up\"; driver = \"memif\"; device = \"up.sock\"; "
		 "addresses = [ \"192.0.2.1/24\" ]; } );\n",
		2, "uplinks/up/device",
		"uplink up: device is not the path of a memif socket: write an absolute path of at "
		"most 107 bytes" },
	{ A_NODE "uplinks: ( { name = \"up\"; driver = \"memif\"; device = \"/run/up.sock\"; "
		 "ring_size = 48; addresses = [ \"192.0.2.1/24\" ]; } );\n",
		2, "uplinks/up/ring_size",
		"uplink up: ring_size 48 is not a power of two: write 512, 1024 or 2048" },
	{ MEMIF("secret = \"1234567890123456789012345\";"), 4, "pods/web-1/secret",
		"pods/web-1/secret: 25 bytes are too long: at most 24 fit" },
	{ MEMIF("secret = \"***\";"), 4, "pods/web-1/secret",
		"pods/web-1/secret: \"***\" hides a secret and is none: write the secret, or PATCH "
		"without this key" },
	{ A_NODE A_POOL "pods: ( { name = \"web-1\"; kind = \"memif\";\n"
			"socket = \"w.sock\";\n"
			"} );\n",
		4, "pods/web-1/socket",
		"pods/web-1/socket: \"w.sock\" is a relative path: begin it with \"/\"" },
	{ A_NODE A_POOL "pods: ( { name = \"web-1\"; kind = \"memif\";\n"
			"socket = "
			"\"/run/"
			"ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss"
			"sssssssssssssssssssssssssssss\";\n"
			"} );\n",
		4, "pods/web-1/socket",
		"pods/web-1/socket: 108 bytes are too long: at most 107 fit" },
	{ A_NODE A_POOL "pods: ( { name = \"web-1\"; kind = \"memif\";\n"
			"\n"
			"} );\n",
		3, "pods/web-1/socket",
		"pod web-1: socket is missing: a memif pod is reached through it" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; }"), 5, "routes/198.51.100.0/24/via",
		"route 198.51.100.0/24: via is missing: action \"forward\" needs a next hop, for "
		"example ( { address = \"192.0.2.254\"; } )" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; action = \"blackhole\"; via = ( { address = "
		 "\"192.0.2.254\"; } ); }"),
		5, "routes/198.51.100.0/24/via",
		"route 198.51.100.0/24: action \"blackhole\" drops packets: remove via or set "
		"action to forward" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { weight = 2; } ); }"), 5,
		"routes/198.51.100.0/24/via/0",
		"route 198.51.100.0/24: via/0 is empty: give it an address, a peer or a pod" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { uplink = \"eth0\"; } ); }"), 5,
		"routes/198.51.100.0/24/via/0",
		"route 198.51.100.0/24: via/0 names only an uplink: add the address of the next "
		"hop on it" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { peer = \"b\"; pod = \"web-1\"; } ); }"),
		5, "routes/198.51.100.0/24/via/0",
		"route 198.51.100.0/24: via/0 names a peer and a pod: a next hop is one of an "
		"address, a peer and a pod, so write several" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { peer = \"b\"; uplink = \"eth0\"; } ); "
		 "}"),
		5, "routes/198.51.100.0/24/via/0/uplink",
		"route 198.51.100.0/24: via/0/uplink goes with an address only: remove it" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { address = \"2001:db8::1\"; } ); }"), 5,
		"routes/198.51.100.0/24/via/0/address",
		"route 198.51.100.0/24: 2001:db8::1 is IPv6: an IPv4 route needs an IPv4 next "
		"hop" },
	{ ROUTES("{ prefix = \"2001:db8:5::/48\"; via = ( { address = \"fe80::1\"; } ); }"), 5,
		"routes/2001:db8:5::/48/via/0/address",
		"route 2001:db8:5::/48: fe80::1 is link-local: add the uplink it is on" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { address = \"192.0.2.254\"; },\n"
		 "{ address = \"192.0.2.254\"; weight = 3; } ); }"),
		6, "routes/198.51.100.0/24/via/1",
		"route 198.51.100.0/24: via/1 is the same next hop as via/0: raise the weight of "
		"one instead" },
	{ ROUTES("{ prefix = \"198.51.100.9/24\"; action = \"blackhole\"; }"), 5,
		"routes/198.51.100.9/24/prefix",
		"routes/198.51.100.9/24/prefix: 198.51.100.9/24 has host bits set: write "
		"198.51.100.0/24" },
	{ ROUTES("{ prefix = \"fe80::/64\"; action = \"blackhole\"; }"), 5,
		"routes/fe80::/64/prefix",
		"route fe80::/64: link-local destinations are not routed: remove the route" },
};

static const struct refusal objects_together[] = {
	{ A_POOL, 0, "node", "the node has no name: add node: { name = \"node-a\"; };" },
	{ A_NODE "pools: ( { name = \"p\"; cidr = \"10.0.0.0/8\"; },\n"
		 "{ name = \"q\"; cidr = \"10.244.0.0/16\"; } );",
		3, "pools/q/cidr",
		"pool q: 10.244.0.0/16 overlaps 10.0.0.0/8, the cidr of pool p: each "
		"prefix has one owner" },
	{ A_NODE "pools: ( { name = \"p\"; cidr = \"10.244.0.0/16\"; },\n"
		 "{ name = \"q\"; cidr = \"10.0.0.0/8\"; } );",
		3, "pools/q/cidr",
		"pool q: 10.0.0.0/8 overlaps 10.244.0.0/16, the cidr of pool p: each "
		"prefix has one owner" },
	{ PEER("pod_cidrs = [ \"10.9.0.0/16\", \"10.9.1.0/24\" ];"), 3, "peers/node-b/pod_cidrs/0",
		"peer node-b: 10.9.0.0/16 and 10.9.1.0/24 overlap: remove the longer one" },
	{ PEERS("{ name = \"b\"; underlay = [ \"192.0.2.2\" ]; pod_cidrs = [ "
		"\"10.2.0.0/16\" ]; encap = \"direct\"; },\n"
		"{ name = \"c\"; underlay = [ \"192.0.2.3\" ]; pod_cidrs = [ "
		"\"10.3.0.0/16\",\n"
		"\"10.2.3.0/24\" ]; encap = \"direct\"; }"),
		5, "peers/c/pod_cidrs/1",
		"peer c: 10.2.3.0/24 overlaps 10.2.0.0/16, a pod_cidr of peer b: each "
		"prefix has one owner" },
	{ PEERS("{ name = \"b\"; underlay = [ \"192.0.2.2\" ]; pod_cidrs = [ "
		"\"10.244.1.0/25\" ]; encap = \"direct\"; }") A_POOL,
		6, "pools/pods/cidr",
		"pool pods: 10.244.1.0/24 overlaps 10.244.1.0/25, a pod_cidr of peer b: "
		"each prefix has one owner" },
	{ PEERS("{ name = \"b\"; underlay = [ \"192.0.2.2\" ]; pod_cidrs = [ "
		"\"192.0.2.0/28\" ]; encap = \"direct\"; }"),
		4, "peers/b/underlay",
		"peer b: 192.0.2.2 lies in 192.0.2.0/28, a pod_cidr of peer b: choose an "
		"address outside of it" },
	{ PEERS("{ name = \"b\"; underlay = [ \"192.0.2.2\" ]; encap = \"direct\"; },\n"
		"{ name = \"c\"; underlay = [ \"192.0.2.2\" ]; encap = \"direct\"; }"),
		5, "peers/c/underlay",
		"peer c: 192.0.2.2 is also the underlay address of peer b: give each its "
		"own" },
	{ PEERS("{ name = \"b\"; underlay = [ \"192.0.2.1\" ]; encap = \"direct\"; }"), 4,
		"peers/b/underlay",
		"peer b: 192.0.2.1 is also an address of uplink eth0: give each its own" },
	{ PEERS("{ name = \"b\"; underlay = [ \"10.244.1.7\" ]; encap = \"direct\"; }") A_POOL, 4,
		"peers/b/underlay",
		"peer b: 10.244.1.7 lies in 10.244.1.0/24, the cidr of pool pods: choose "
		"an address outside of it" },
	{ PEERS("{ name = \"b\"; underlay = [ \"2001:db8::2\" ]; encap = \"direct\"; }"), 4,
		"peers/b/underlay",
		"peer b: 2001:db8::2 is IPv6, but no uplink has an IPv6 address: add one "
		"to the addresses of an uplink" },
	{ PEERS("{ name = \"n0\"; underlay = [ \"192.0.2.10\" ]; encap = \"vxlan\"; "
		"vtep_mac = \"02:00:00:00:00:01\"; port = 5000; },\n"
		"{ name = \"n1\"; underlay = [ \"192.0.2.11\" ]; encap = \"vxlan\"; "
		"vtep_mac = \"02:00:00:00:00:01\"; port = 5001; },\n"
		"{ name = \"n2\"; underlay = [ \"192.0.2.12\" ]; encap = \"vxlan\"; "
		"vtep_mac = \"02:00:00:00:00:01\"; port = 5002; },\n"
		"{ name = \"n3\"; underlay = [ \"192.0.2.13\" ]; encap = \"vxlan\"; "
		"vtep_mac = \"02:00:00:00:00:01\"; port = 5003; },\n"
		"{ name = \"n4\"; underlay = [ \"192.0.2.14\" ]; encap = \"vxlan\"; "
		"vtep_mac = \"02:00:00:00:00:01\"; port = 5004; },\n"
		"{ name = \"n5\"; underlay = [ \"192.0.2.15\" ]; encap = \"vxlan\"; "
		"vtep_mac = \"02:00:00:00:00:01\"; port = 5005; },\n"
		"{ name = \"n6\"; underlay = [ \"192.0.2.16\" ]; encap = \"vxlan\"; "
		"vtep_mac = \"02:00:00:00:00:01\"; port = 5006; }"),
		10, "peers/n6/port",
		"peer n6: more than 6 VXLAN ports besides 4789 and 8472 are in use: share "
		"one among peers" },
	{ POD("addresses = [ \"10.245.1.5\" ];"), 3, "pods/web-1/addresses/0",
		"pod web-1: 10.245.1.5 is in none of the node's pools: choose an address "
		"of a pool, or add a pool" },
	{ POD("addresses = [ \"10.244.1.5\", \"fd00::5\" ];"), 3, "pods/web-1/addresses/1",
		"pod web-1: fd00::5 is in none of the node's pools: choose an address of a "
		"pool, or add a pool" },
	{ A_NODE "pods: (\n"
		 "{ name = \"web-1\"; netns = \"web-1\"; } );",
		3, "pods/web-1/addresses",
		"pod web-1: addresses is empty and there is no pool to take one from: add "
		"a pool" },
	{ PODS("{ name = \"web-1\"; netns = \"web-1\"; addresses = [ \"10.244.1.5\" ]; },\n"
	       "{ name = \"web-2\"; netns = \"web-2\"; addresses = [ \"10.244.1.5\" ]; }"),
		5, "pods/web-2/addresses/0",
		"pod web-2: 10.244.1.5 is also an address of pod web-1: give each its "
		"own" },
	{ PODS("{ name = \"web-1\"; netns = \"web-1\"; },\n"
	       "{ name = \"web-2\"; netns = \"/var/run/netns/web-1\"; }"),
		5, "pods/web-2/interface",
		"pod web-2: interface eth0 in /var/run/netns/web-1 is also that of pod "
		"web-1: choose another interface or netns" },
	{ PODS("{ name = \"web-1\"; kind = \"vhost\"; socket = \"/run/a.sock\"; },\n"
	       "{ name = \"web-2\"; kind = \"vhost\"; socket = \"/run/a.sock\"; }"),
		5, "pods/web-2/socket",
		"pod web-2: socket /run/a.sock is also that of pod web-1: choose another path" },
	{ PODS("{ name = \"web-1\"; kind = \"memif\"; socket = \"/run/a.sock\"; },\n"
	       "{ name = \"web-2\"; kind = \"memif\"; socket = \"/run/a.sock\"; }"),
		5, "pods/web-2/memif_id",
		"pod web-2: memif_id 0 on /run/a.sock is also that of pod web-1: choose "
		"another memif_id or socket" },
	{ PODS("{ name = \"web-1\"; kind = \"memif\"; socket = \"/run/a.sock\"; },\n"
	       "{ name = \"web-2\"; kind = \"memif\"; socket = \"/run/a.sock\"; role = "
	       "\"client\"; },\n"
	       "{ name = \"web-3\"; kind = \"memif\"; socket = \"/run/a.sock\"; role = "
	       "\"client\"; }"),
		6, "pods/web-3/memif_id",
		"pod web-3: memif_id 0 on /run/a.sock is also that of pod web-2: choose "
		"another memif_id or socket" },
	{ A_NODE A_POOL "uplinks: ( { name = \"up\"; driver = \"memif\"; device = "
			"\"/run/a.sock\"; addresses = [ \"192.0.2.1/24\" ]; } );\n"
			"pods: (\n"
			"{ name = \"web-1\"; kind = \"memif\"; socket = \"/run/a.sock\"; "
			"} );\n",
		5, "pods/web-1/memif_id",
		"pod web-1: memif_id 0 on /run/a.sock is also that of uplink up: choose "
		"another memif_id or socket" },
	{ "node: { name = \"node-a\"; host_addresses = [ \"10.244.1.5\" ]; };\n"
	  "pools: ( { name = \"pods\"; cidr = \"10.244.1.0/24\"; } );\n"
	  "pods: (\n"
	  "{ name = \"web-1\"; netns = \"web-1\"; addresses = [ \"10.244.1.5\" ]; } );",
		4, "pods/web-1/addresses/0",
		"pod web-1: 10.244.1.5 is also a host address of node node-a: give each "
		"its own" },
	{ "node: { name = \"node-a\"; gateway = \"10.244.1.1\"; };\n"
	  "pools: ( { name = \"pods\"; cidr = \"10.244.1.0/24\"; } );\n"
	  "pods: (\n"
	  "{ name = \"web-1\"; netns = \"web-1\"; addresses = [ \"10.244.1.1\" ]; } );",
		4, "pods/web-1/addresses/0",
		"pod web-1: 10.244.1.1 is also the gateway of node node-a: give each its "
		"own" },
	{ "node: { name = \"node-a\"; host_interface = \"eth0\"; };\n"
	  "uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\"; "
	  "addresses = [ \"192.0.2.1/24\" ]; } );\n",
		2, "uplinks/eth0/device",
		"uplink eth0: device eth0 is also used by node node-a: give each its own "
		"device" },
	{ A_NODE "uplinks: ( { name = \"a\"; driver = \"af_packet\"; device = \"eth0\"; "
		 "addresses = [ \"192.0.2.1/24\" ]; },\n"
		 "{ name = \"b\"; driver = \"af_xdp\"; device = \"eth0\"; addresses = [ "
		 "\"192.0.2.2/24\" ]; } );",
		3, "uplinks/b/device",
		"uplink b: device eth0 is also used by uplink a: give each its own "
		"device" },
	{ A_NODE "uplinks: ( { name = \"a\"; driver = \"pci\"; device = \"0000:01:00.0\"; "
		 "addresses = [ \"192.0.2.1/24\" ]; },\n"
		 "{ name = \"b\"; driver = \"pci\"; device = \"0000:01:00.0\"; addresses = "
		 "[ \"192.0.2.2/24\" ]; } );",
		3, "uplinks/b/device",
		"uplink b: device 0000:01:00.0 is also used by uplink a: give each its own "
		"device" },
	{ A_NODE "uplinks: ( { name = \"a\"; driver = \"af_packet\"; device = \"eth0\"; "
		 "addresses = [ \"192.0.2.1/24\" ]; },\n"
		 "{ name = \"b\"; driver = \"af_xdp\"; device = \"eth1\"; addresses = [ "
		 "\"192.0.2.1/24\" ]; } );",
		3, "uplinks/b/addresses",
		"uplink b: 192.0.2.1 is also an address of uplink a: give each its own" },
	{ UPLINK("addresses = [ \"10.244.1.7/24\" ];") A_POOL, 5, "pools/pods/cidr",
		"pool pods: 10.244.1.0/24 holds 10.244.1.7, an address of uplink eth0: "
		"choose a prefix without it" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { peer = \"node-x\"; } ); }"), 5,
		"routes/198.51.100.0/24/via/0/peer",
		"route 198.51.100.0/24: there is no peer node-x: add it, or correct the "
		"name" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { pod = \"node-x\"; } ); }"), 5,
		"routes/198.51.100.0/24/via/0/pod",
		"route 198.51.100.0/24: there is no pod node-x: add it, or correct the "
		"name" },
	{ ROUTES("{ prefix = \"2001:db8:5::/48\"; via = ( { address = \"fe80::1\"; uplink "
		 "= \"eth9\"; } ); }"),
		5, "routes/2001:db8:5::/48/via/0/uplink",
		"route 2001:db8:5::/48: there is no uplink eth9: add it, or correct the "
		"name" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { address = \"192.0.3.254\"; } "
		 "); }"),
		5, "routes/198.51.100.0/24/via/0/address",
		"route 198.51.100.0/24: 192.0.3.254 is on no uplink's subnet: write an "
		"address there, or add the subnet to an uplink" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { address = \"192.0.3.254\"; "
		 "uplink = \"eth0\"; } ); }"),
		5, "routes/198.51.100.0/24/via/0/address",
		"route 198.51.100.0/24: 192.0.3.254 is on no subnet of uplink eth0: write "
		"an address there, or add the subnet to the uplink" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { address = \"192.0.2.1\"; } ); "
		 "}"),
		5, "routes/198.51.100.0/24/via/0/address",
		"route 198.51.100.0/24: 192.0.2.1 is an address of uplink eth0, which is "
		"this node: write the address of another" },
	{ ROUTES("{ prefix = \"10.244.1.5/32\"; action = \"blackhole\"; }") "pods: ( { "
									    "name = "
									    "\"web-1\"; "
									    "netns = "
									    "\"w\"; "
									    "addresses = [ "
									    "\"10.244.1."
									    "5\" ]; } );",
		5, "routes/10.244.1.5/32/prefix",
		"route 10.244.1.5/32: 10.244.1.5 is an address of pod web-1, which is "
		"here: remove the route" },
	{ ROUTES("{ prefix = \"198.51.100.0/24\"; via = ( { address = \"10.244.1.5\"; } ); "
		 "}") "pods: ( { name = \"web-1\"; netns = \"w\"; addresses = [ "
		      "\"10.244.1.5\" ]; } );",
		5, "routes/198.51.100.0/24/via/0/address",
		"route 198.51.100.0/24: 10.244.1.5 is the address of a pod: write pod = "
		"\"web-1\" instead" },
};

REFUSALS(one_object)
REFUSALS(objects_together)

/* The files that the refused ones are made from are fine. */
static void accepts_the_frames(void)
{
	static const char *const fine[] = { A_NODE, UPLINK("addresses = [ \"192.0.2.1/24\" ];"),
		PEER(""), POD(""), MEMIF(""),
		ROUTES("{ prefix = \"0.0.0.0/0\"; via = ( { address = \"192.0.2.254\"; } ); }") };

	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		struct model *model = model_new();
		struct changeset *set = changeset_new(model);
		struct error err = { 0 };

		CU_ASSERT_EQUAL(config_load_text(fine[i], "t.conf", set, &err), 0);
		CU_ASSERT_EQUAL(changeset_validate(set, &err), 0);
		changeset_free(set);
		model_free(model);
	}
}

/* --- changes of what runs ------------------------------------------------------------------------------------- */

static const char running[] = A_NODE AN_UPLINK A_POOL
	"peers: ( { name = \"node-b\"; underlay = \"192.0.2.2\"; encap = \"direct\"; pod_cidrs = "
	"\"10.2.0.0/16\"; },\n"
	"  { name = \"node-c\"; underlay = \"192.0.2.3\"; encap = \"direct\"; } );\n"
	"pods: ( { name = \"web-1\"; netns = \"web-1\"; addresses = \"10.244.1.5\"; },\n"
	"  { name = \"web-2\"; netns = \"web-2\"; addresses = \"10.244.1.6\"; },\n"
	"  { name = \"gw\"; netns = \"gw\"; addresses = \"10.244.1.7\"; } );\n"
	"routes: ( { prefix = \"0.0.0.0/0\"; via = { address = \"192.0.2.254\"; uplink = \"eth0\"; "
	"}; },\n"
	"  { prefix = \"198.51.100.0/24\"; via = { peer = \"node-c\"; }; },\n"
	"  { prefix = \"198.51.101.0/24\"; via = { pod = \"gw\"; }; } );\n";

/* Words "-type name" delete, the rest is configuration to put. message NULL: accepted. */
static const struct {
	const char *deletes, *puts, *path, *message;
} live[] = {
	{ "", "node: { name = \"node-a\"; flows = 65536; };", "node/flows",
		"node node-a: flows is read at start: put it into the file and restart podlaned" },
	{ "", "node: { name = \"node-a\"; worker_cpus = [ 1 ]; };", "node/worker_cpus",
		"node node-a: worker_cpus is read at start: put it into the file and restart "
		"podlaned" },
	{ "", "node: { name = \"node-z\"; };", "node/name",
		"node node-z: name is read at start: restart podlaned to rename node-a" },
	{ "node node-a", "node: { name = \"node-z\"; };", "node/name",
		"node node-z: name is read at start: put it into the file and restart podlaned" },
	{ "node node-a", "", "node",
		"node node-a: the node itself cannot be deleted: change its fields instead" },
	{ "", "node: { name = \"node-a\"; latency = \"low\"; };", "", NULL },
	{ "uplink eth0", "", "uplinks/eth0",
		"uplink eth0: route 0.0.0.0/0 goes via this uplink: delete or change the route "
		"first" },
	{ "route 0.0.0.0/0 uplink eth0", "", "uplinks/eth0/addresses",
		"uplink eth0: peer node-b is reached over IPv4, and this is the last uplink with "
		"such an address: change the peer first" },
	{ "route 0.0.0.0/0 route 198.51.100.0/24 peer node-b peer node-c uplink eth0", "", "",
		NULL },
	{ "",
		"uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\"; "
		"addresses = \"203.0.113.1/24\"; } );",
		"uplinks/eth0/addresses",
		"uplink eth0: route 0.0.0.0/0 has the next hop 192.0.2.254 on this uplink's "
		"subnet: delete or change the route first" },
	{ "",
		"uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\"; "
		"addresses = \"192.0.2.254/24\"; } );",
		"uplinks/eth0/addresses",
		"uplink eth0: 192.0.2.254 is the next hop of a route: choose another address, or "
		"change the route" },
	{ "",
		"uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\"; "
		"addresses = \"192.0.2.9/16\"; } );",
		"", NULL },
	{ "peer node-c", "", "peers/node-c",
		"peer node-c: route 198.51.100.0/24 goes via this peer: delete or change the route "
		"first" },
	{ "peer node-b", "", "", NULL },
	{ "pod gw", "", "pods/gw",
		"pod gw: route 198.51.101.0/24 goes via this pod: delete or change the route "
		"first" },
	{ "pod gw route 198.51.101.0/24", "", "", NULL },
	{ "pool pods", "", "pools/pods/cidr",
		"pool pods: pod web-1 has the address 10.244.1.5 in this pool: delete the pod "
		"first" },
	{ "", "pools: ( { name = \"pods\"; cidr = \"10.244.1.0/29\"; } );", "", NULL },
	{ "", "pools: ( { name = \"pods\"; cidr = \"10.244.1.4/30\"; } );", "", NULL },
	{ "", "pools: ( { name = \"pods\"; cidr = \"10.244.2.0/24\"; } );", "pools/pods/cidr",
		"pool pods: pod web-1 has the address 10.244.1.5 in this pool: delete the pod "
		"first" },
	{ "pool pods", "pools: ( { name = \"wide\"; cidr = \"10.244.0.0/16\"; } );", "", NULL },
	/* Two pods exchange their addresses, two peers their prefixes, in one step. */
	{ "",
		"pods: ( { name = \"web-1\"; netns = \"web-1\"; addresses = \"10.244.1.6\"; },{ "
		"name = \"web-2\"; netns = \"web-2\"; addresses = \"10.244.1.5\"; } );",
		"", NULL },
	{ "", "pods: ( { name = \"web-1\"; netns = \"web-1\"; addresses = \"10.244.1.6\"; } );",
		"pods/web-1/addresses/0",
		"pod web-1: 10.244.1.6 is also an address of pod web-2: give each its own" },
	{ "",
		"peers: ( { name = \"node-b\"; underlay = \"192.0.2.2\"; encap = \"direct\"; },{ "
		"name = \"node-c\"; underlay = \"192.0.2.3\"; encap = \"direct\"; pod_cidrs = "
		"\"10.2.0.0/16\"; } );",
		"", NULL },
	{ "", "routes: ( { prefix = \"10.244.1.5/32\"; action = \"blackhole\"; } );",
		"routes/10.244.1.5/32/prefix",
		"route 10.244.1.5/32: 10.244.1.5 is an address of pod web-1, which is here: remove "
		"the route" },
};

static void delete_words(struct changeset *set, const char *words)
{
	char copy[128], *at = copy, *type;
	struct error err;

	snprintf(copy, sizeof(copy), "%s", words);
	while ((type = strsep(&at, " ")) != NULL && *type != '\0') {
		const char *name = strsep(&at, " ");

		CU_ASSERT_EQUAL(changeset_delete(set, schema_by_name(type)->type, name, &err), 0);
	}
}

static void changes_of_what_runs(void)
{
	struct model *model = model_new();
	struct changeset *set = changeset_new(model);
	struct error err = { 0 };

	CU_ASSERT_EQUAL_FATAL(config_load_text(running, "run.conf", set, &err), 0);
	CU_ASSERT_EQUAL_FATAL(changeset_validate(set, &err), 0);
	model_apply(model, set, NULL);
	changeset_free(set);
	for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++) {
		const char *want = live[i].message != NULL ? live[i].message : "";
		int ret;

		set = changeset_new(model);
		err = (struct error){ 0 };
		delete_words(set, live[i].deletes);
		ret = config_load_text(live[i].puts, "t.conf", set, &err);
		if (ret == 0)
			ret = changeset_validate(set, &err);
		if ((ret == 0) != (live[i].message == NULL) || strcmp(err.text, want) != 0)
			printf("\n%s %s\n  expected %s\n  got %d %s\n", live[i].deletes,
				live[i].puts, want, ret, err.text);
		CU_ASSERT_EQUAL(ret, live[i].message != NULL ? -EINVAL : 0);
		CU_ASSERT_STRING_EQUAL(err.text, want);
		CU_ASSERT_STRING_EQUAL(err.path, live[i].path);
		changeset_free(set);
	}
	/* All that validating and refusing has left no trace. */
	set = changeset_new(model);
	CU_ASSERT_EQUAL(changeset_delete(set, OBJECT_PEER, "node-x", &err), -ENOENT);
	CU_ASSERT_STRING_EQUAL(err.text, "there is no peer node-x to delete");
	CU_ASSERT_STRING_EQUAL(err.path, "peers/node-x");
	delete_words(set, "route 0.0.0.0/0 route 198.51.100.0/24 route 198.51.101.0/24 peer node-b "
			  "peer node-c");
	delete_words(set, "pod gw pod web-1 pod web-2 uplink eth0 pool pods");
	CU_ASSERT_EQUAL(changeset_validate(set, &err), 0);
	model_apply(model, set, NULL);
	changeset_free(set);
	CU_ASSERT_EQUAL(model_count(model, OBJECT_NODE), 1);
	for (size_t type = OBJECT_UPLINK; type < OBJECT_TYPE_COUNT; type++)
		CU_ASSERT_EQUAL(model_count(model, (enum object_type)type), 0);
	model_free(model);
}

static const struct test_case cases[] = {
	{ "fine files are accepted", accepts_the_frames },
	{ "fields of one object", refuses_one_object },
	{ "objects against each other", refuses_objects_together },
	{ "changes of what runs", changes_of_what_runs },
};
SUITE_MAIN("config relations", cases)
