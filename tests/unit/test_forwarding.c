/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plane.h"

#define UPLINK                                                                              \
	"uplinks: ( { name = \"eth0\"; driver = \"ethdev\"; device = \"net_null0\"; mac = " \
	"\"02:00:00:00:0e:01\";"                                                            \
	" addresses = [ \"192.0.2.1/24\", \"2001:db8::1/64\" ]; } );\n"
#define POOLS                                                                             \
	"pools: ( { name = \"p4\"; cidr = \"10.244.1.0/24\"; }, { name = \"p6\"; cidr = " \
	"\"fd00:244:1::/64\"; } );\n"
#define PEER(encap, more)                                                                       \
	"peers: ( { name = \"node-b\"; underlay = [ \"192.0.2.2\" ]; vtep_mac = "               \
	"\"02:00:c0:00:02:02\";"                                                                \
	" pod_cidrs = [ \"10.244.2.0/24\", \"fd00:244:2::/64\" ]; encap = \"" encap "\"; " more \
	" } );\n"

static const struct port *eth0(void)
{
	return port_find("eth0");
}

static const char *with_dir(const char *text)
{
	static char buf[4096];

	snprintf(buf, sizeof(buf), text, plane.dir, plane.dir, plane.dir);
	return buf;
}

static void an_empty_plane_drops_everything(void)
{
	plane_start();
	CU_ASSERT_EQUAL(route_to("10.0.0.1"), DROP_no_route);
	CU_ASSERT_EQUAL(route_to("2001:db8::1"), DROP_no_route);
	CU_ASSERT_FALSE(forwarding_settled());
	plane_stop();
}

static void own_addresses_are_local(void)
{
	plane_start();
	plane_apply(PLANE_NODE UPLINK POOLS);
	CU_ASSERT_TRUE(forwarding_settled());
	CU_ASSERT_EQUAL(plane.polled, 1);
	CU_ASSERT_TRUE(atomic_load(&eth0()->forwarding));
	CU_ASSERT_EQUAL(route_to("192.0.2.1"), adjacency_local());
	CU_ASSERT_EQUAL(route_to("2001:db8::1"), adjacency_local());
	CU_ASSERT_EQUAL(route_to("169.254.1.1"), adjacency_local());
	CU_ASSERT_EQUAL(route_to("fe80::1"), adjacency_local());
	CU_ASSERT_EQUAL(
		route_to("fe80::ff:fe00:e01"), adjacency_local()); /* from the MAC address */
	CU_ASSERT_EQUAL(route_to("192.0.2.255"), DROP_multicast_unsupported);
	CU_ASSERT_EQUAL(route_to("192.0.2.0"), DROP_multicast_unsupported);
	CU_ASSERT_EQUAL(adj_to("192.0.2.77")->type, ADJ_GLEAN);
	CU_ASSERT_EQUAL(adj_to("2001:db8::77")->type, ADJ_GLEAN);
	CU_ASSERT_EQUAL(route_to("10.244.1.9"), DROP_route_unreachable);
	CU_ASSERT_EQUAL(route_to("fd00:244:1::9"), DROP_route_unreachable);
	CU_ASSERT_EQUAL(route_to("203.0.113.1"), DROP_no_route);
	plane_delete(OBJECT_UPLINK, "eth0");
	CU_ASSERT_EQUAL(plane.polled, 0);
	CU_ASSERT_EQUAL(route_to("192.0.2.1"), DROP_no_route);
	CU_ASSERT_EQUAL(route_to("192.0.2.255"), DROP_no_route);
	CU_ASSERT_PTR_NULL(eth0());
	drain();
	plane_stop();
}

static void a_peer_waits_for_its_next_hop(void)
{
	uint32_t index, generation;
	const struct adjacency *adj;

	plane_start();
	plane_apply(PLANE_NODE UPLINK POOLS PEER("vxlan", ""));
	index = route_to("10.244.2.5");
	CU_ASSERT_EQUAL(route_to("fd00:244:2::5"), index);
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_RESOLVING);
	generation = adjacency_get(index)->generation;
	CU_ASSERT_EQUAL(packet_in("10.244.2.5"), index);
	CU_ASSERT_EQUAL(packet_in("fd00:244:2::5"), index);
	pass(100);
	CU_ASSERT_TRUE(requests_for("192.0.2.2") > 0);
	reply_in(eth0()->id, "192.0.2.2", "02:00:00:00:0e:02", "192.0.2.1");
	CU_ASSERT_EQUAL(released_for(index), 2);
	adj = adjacency_get(index);
	CU_ASSERT_EQUAL(adj->type, ADJ_TUNNEL);
	CU_ASSERT_EQUAL(adj->generation, generation);
	CU_ASSERT_EQUAL(adj->port, eth0()->id);
	CU_ASSERT_EQUAL(adj->mtu, 1450);
	CU_ASSERT_EQUAL(memcmp(adj->header, "\x02\0\0\0\x0e\x02\x02\0\0\0\x0e\x01\x08\0", 14), 0);
	CU_ASSERT_EQUAL(memcmp(adj->header + 26, "\xc0\0\2\1\xc0\0\2\2", 8), 0);
	CU_ASSERT_STRING_EQUAL(adj->text, "vxlan to node-b (192.0.2.2) via eth0");
	/* Another MAC address: the same index, the same generation. */
	reply_in(eth0()->id, "192.0.2.2", "02:00:00:00:0e:99", "192.0.2.1");
	CU_ASSERT_EQUAL(adjacency_get(index)->header[5], 0x99);
	CU_ASSERT_EQUAL(adjacency_get(index)->generation, generation);
	drain();
	plane_stop();
}

static int first_peer(const struct peer_record *r, void *arg)
{
	*(struct peer_record *)arg = *r;
	return 1;
}

static void a_peer_changes_its_encapsulation_in_place(void)
{
	static const struct {
		const char *text;
		enum encap used;
		uint8_t type;
		uint16_t mtu;
	} steps[] = {
		{ PEER("vxlan", "vni = 7; port = 4790;"), ENCAP_VXLAN, ADJ_TUNNEL, 1450 },
		{ PEER("ipip", ""), ENCAP_IPIP, ADJ_TUNNEL, 1480 },
		{ PEER("direct", ""), ENCAP_DIRECT, ADJ_REWRITE, 1500 },
		{ PEER("auto", ""), ENCAP_DIRECT, ADJ_REWRITE, 1500 },
		{ PEER("vxlan", "mtu = 1400;"), ENCAP_VXLAN, ADJ_TUNNEL, 1350 },
	};
	struct peer_record r;
	uint32_t index, generation, slot;

	plane_start();
	plane_apply(PLANE_NODE UPLINK POOLS PEER("vxlan", ""));
	pass(100);
	reply_in(eth0()->id, "192.0.2.2", "02:00:00:00:0e:02", "192.0.2.1");
	index = route_to("10.244.2.5");
	generation = adjacency_get(index)->generation;
	slot = generation_get(generation_dst4(RTE_BE32(0x0af40205)));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		plane_apply(steps[i].text);
		CU_ASSERT_EQUAL(route_to("10.244.2.5"), index);
		CU_ASSERT_EQUAL(adjacency_get(index)->generation, generation);
		CU_ASSERT_EQUAL(adjacency_get(index)->type, steps[i].type);
		CU_ASSERT_EQUAL(adjacency_get(index)->mtu, steps[i].mtu);
		CU_ASSERT_EQUAL(forwarding_each_peer(first_peer, &r), 1);
		CU_ASSERT_EQUAL(r.used, steps[i].used);
		CU_ASSERT_TRUE(r.up);
	}
	/* No flow to it was made to decide again. */
	CU_ASSERT_EQUAL(generation_get(generation_dst4(RTE_BE32(0x0af40205))), slot);
	CU_ASSERT_EQUAL(rcu_read(&tables)->tunnels->n_vxlan_ports, 2);
	plane_delete(OBJECT_PEER, "node-b");
	CU_ASSERT_EQUAL(route_to("10.244.2.5"), DROP_no_route);
	CU_ASSERT_EQUAL(forwarding_each_peer(first_peer, &r), 0);
	CU_ASSERT_TRUE(generation_get(generation_dst4(RTE_BE32(0x0af40205))) > slot);
	drain();
	plane_stop();
}

static void a_pod_is_reached_and_keeps_its_port(void)
{
	static const char *const pod =
		"pods: ( { name = \"a\"; kind = \"memif\"; socket = \"%s/a\"; mac = "
		"\"02:00:00:00:00:0a\";"
		" addresses = [ \"10.244.1.10\", \"fd00:244:1::10\" ]; } );\n";
	static const char *const moved =
		"pods: ( { name = \"a\"; kind = \"memif\"; socket = \"%s/a\"; mac = "
		"\"02:00:00:00:00:0a\";"
		" addresses = [ \"10.244.1.11\", \"10.244.1.10\" ]; } );\n";
	static const char *const other = "pods: ( { name = \"a\"; kind = \"memif\"; socket = "
					 "\"%s/b\"; mac = \"02:00:00:00:00:0a\";"
					 " addresses = [ \"10.244.1.10\" ]; } );\n";
	const struct port *port;
	struct port_addresses *own;
	uint32_t first, second, zone;

	plane_start();
	plane_apply(PLANE_NODE UPLINK POOLS);
	plane_apply(with_dir(pod));
	port = port_find("pod:a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	CU_ASSERT_EQUAL(plane.polled, 2);
	CU_ASSERT_TRUE(atomic_load(&port->forwarding));
	CU_ASSERT_EQUAL(forwarding_pod_mtu("a"), 1450);
	CU_ASSERT_EQUAL(adj_to("10.244.1.10")->type, ADJ_REWRITE);
	CU_ASSERT_EQUAL(adj_to("fd00:244:1::10")->port, port->id);
	CU_ASSERT_EQUAL(memcmp(adj_to("10.244.1.10")->header,
				"\x02\0\0\0\0\x0a\x02\x70\x6f\x64\x6c\x01", 12),
		0);
	first = route_to("10.244.1.10");
	zone = generation_get(generation_zone(port->id));
	plane_apply(with_dir(moved));
	CU_ASSERT_PTR_EQUAL(port_find("pod:a"), port);
	CU_ASSERT_EQUAL(route_to("10.244.1.11"),
		first); /* the first address: what routes via the pod hold */
	second = route_to("10.244.1.10");
	CU_ASSERT_NOT_EQUAL(second, first);
	CU_ASSERT_EQUAL(adjacency_get(second)->type, ADJ_REWRITE);
	CU_ASSERT_EQUAL(route_to("fd00:244:1::10"), DROP_route_unreachable);
	CU_ASSERT_TRUE(generation_get(generation_zone(port->id)) > zone);
	own = atomic_load(&port->addresses);
	CU_ASSERT_EQUAL(own->count, 2);
	CU_ASSERT_EQUAL(own->items[0].addr.bytes[3], 11);
	/* What only a new port could bring is refused, and nothing has changed. */
	CU_ASSERT_TRUE(plane_apply_set(plane_set(with_dir(other)), true) < 0);
	CU_ASSERT_STRING_EQUAL(plane.err.path, "pods/a/socket");
	CU_ASSERT_EQUAL(route_to("10.244.1.11"), first);
	plane_delete(OBJECT_POD, "a");
	CU_ASSERT_PTR_NULL(port_find("pod:a"));
	CU_ASSERT_EQUAL(route_to("10.244.1.11"), DROP_route_unreachable);
	CU_ASSERT_EQUAL(plane.polled, 1);
	plane_apply(with_dir(pod)); /* at once again */
	CU_ASSERT_EQUAL(adj_to("10.244.1.10")->type, ADJ_REWRITE);
	drain();
	plane_stop();
}

/* --- transactions --------------------------------------------------------------------------------------------- */

static void an_abort_leaves_no_trace(void)
{
	static const char *const everything = UPLINK POOLS PEER(
		"auto", "") "pods: ( { name = \"a\"; kind = \"memif\"; socket = \"%s/a\"; "
			    "addresses = [ \"10.244.1.10\" ]; } );\n"
			    "routes: ( { prefix = \"0.0.0.0/0\"; via = ( { address = "
			    "\"192.0.2.254\"; } ); },"
			    " { prefix = \"10.9.0.0/16\"; via = ( { address = \"192.0.2.3\"; "
			    "weight = 3; }, { peer = \"node-b\"; } ); },"
			    " { prefix = \"10.8.0.0/16\"; via = ( { pod = \"a\"; } ); },"
			    " { prefix = \"10.7.0.0/16\"; action = \"blackhole\"; } );\n";
	static const char *const broken =
		"pods: ( { name = \"a\"; kind = \"memif\"; socket = \"%s/a\"; addresses = [ "
		"\"10.244.1.10\" ]; },"
		" { name = \"b\"; kind = \"memif\"; socket = \"%s/missing/b\"; addresses = [ "
		"\"10.244.1.11\" ]; } );\n";
	uint32_t adjacencies_before, epoch;
	const struct tables *before;

	plane_start();
	plane_apply(PLANE_NODE);
	adjacencies_before = adjacency_count();
	epoch = generation_epoch();
	before = rcu_read(&tables);
	CU_ASSERT_EQUAL_FATAL(plane_apply_set(plane_set(with_dir(everything)), false), 0);
	rcu_reclaim();
	CU_ASSERT_PTR_EQUAL(rcu_read(&tables), before);
	CU_ASSERT_EQUAL(generation_epoch(), epoch);
	CU_ASSERT_PTR_NULL(eth0());
	CU_ASSERT_PTR_NULL(port_find("pod:a"));
	pass(2000); /* next hops that only the refused routes wanted go by age */
	CU_ASSERT_EQUAL(adjacency_count(), adjacencies_before);
	/* And once more for good, so that nothing stood in its way. */
	plane_apply(with_dir(everything));
	CU_ASSERT_EQUAL(adj_to("203.0.113.9")->type, ADJ_RESOLVING);
	CU_ASSERT_EQUAL(route_to("10.8.1.1"), route_to("10.244.1.10"));
	CU_ASSERT_EQUAL(route_to("10.7.1.1"), DROP_route_blackhole);
	/* A failure half way: the pods after the peers. */
	plane_delete(OBJECT_ROUTE, "10.8.0.0/16");
	plane_delete(OBJECT_POD, "a");
	adjacencies_before = adjacency_count();
	CU_ASSERT_TRUE(plane_apply_set(plane_set(with_dir(broken)), true) < 0);
	CU_ASSERT_TRUE(strstr(plane.err.text, "missing") != NULL);
	CU_ASSERT_PTR_NULL(port_find("pod:a"));
	CU_ASSERT_EQUAL(adjacency_count(), adjacencies_before);
	CU_ASSERT_EQUAL(route_to("10.244.1.10"), DROP_route_unreachable);
	drain();
	plane_stop();
}

static void an_abort_of_changes_keeps_what_was(void)
{
	static const char *const first = PLANE_NODE UPLINK POOLS PEER(
		"vxlan", "") "pods: ( { name = \"a\"; kind = \"memif\"; socket = \"%s/a\"; "
			     "addresses = [ \"10.244.1.10\" ]; } );\n"
			     "routes: ( { prefix = \"10.9.0.0/16\"; via = ( { peer = \"node-b\"; } "
			     "); } );\n";
	static const char *const second = POOLS PEER(
		"ipip", "") "uplinks: ( { name = \"eth0\"; driver = \"ethdev\"; device = "
			    "\"net_null0\"; mac = \"02:00:00:00:0e:01\";"
			    " addresses = [ \"192.0.2.7/24\", \"198.51.100.1/24\" ]; } );\n"
			    "pods: ( { name = \"a\"; kind = \"memif\"; socket = \"%s/a\"; "
			    "addresses = [ \"10.244.1.12\" ]; } );\n"
			    "routes: ( { prefix = \"10.9.0.0/16\"; via = ( { address = "
			    "\"198.51.100.9\"; } ); } );\n";
	uint32_t peer, pod, routed;

	plane_start();
	plane_apply(with_dir(first));
	pass(100);
	reply_in(eth0()->id, "192.0.2.2", "02:00:00:00:0e:02", "192.0.2.1");
	peer = route_to("10.244.2.1");
	pod = route_to("10.244.1.10");
	routed = route_to("10.9.1.1");
	CU_ASSERT_EQUAL(routed, peer);
	CU_ASSERT_EQUAL_FATAL(plane_apply_set(plane_set(with_dir(second)), false), 0);
	CU_ASSERT_EQUAL(route_to("10.244.1.10"), pod);
	CU_ASSERT_EQUAL(route_to("10.244.1.12"), DROP_route_unreachable);
	CU_ASSERT_EQUAL(route_to("10.9.1.1"), peer);
	CU_ASSERT_EQUAL(route_to("192.0.2.1"), adjacency_local());
	CU_ASSERT_EQUAL(adjacency_get(peer)->mtu, 1450);
	plane_apply(with_dir(second));
	CU_ASSERT_EQUAL(route_to("10.244.1.12"), pod);
	CU_ASSERT_EQUAL(route_to("10.244.1.10"), DROP_route_unreachable);
	CU_ASSERT_EQUAL(adj_to("10.9.1.1")->type, ADJ_RESOLVING);
	CU_ASSERT_EQUAL(route_to("192.0.2.1"),
		route_to("192.0.2.50")); /* not ours any more: the subnet's */
	CU_ASSERT_EQUAL(route_to("192.0.2.7"), adjacency_local());
	CU_ASSERT_EQUAL(adjacency_get(peer)->mtu, 1480);
	CU_ASSERT_EQUAL(memcmp(adjacency_get(peer)->header + 26, "\xc0\0\2\7", 4),
		0); /* the new outer source */
	drain();
	plane_stop();
}

/* --- routes --------------------------------------------------------------------------------------------------- */

static unsigned share_of(const char *dst, uint32_t adjacency)
{
	unsigned n = 0;

	for (uint64_t bucket = 0; bucket < PATHS_BUCKETS; bucket++)
		n += route_to_hash(dst, bucket << 32) == adjacency;
	return n;
}

static void next_hops_share_by_weight_and_stand_in(void)
{
	static const char *const routes =
		"routes: ( { prefix = \"10.9.0.0/16\"; via = ( { address = \"192.0.2.3\"; weight = "
		"3; },"
		" { address = \"192.0.2.4\"; } ); },"
		" { prefix = \"10.10.0.0/16\"; via = ( { address = \"192.0.2.4\"; }, { address = "
		"\"192.0.2.3\"; weight = 3; } ); },"
		" { prefix = \"10.11.0.0/16\"; via = ( { address = \"192.0.2.3\"; } ); },"
		" { prefix = \"10.12.0.0/16\"; via = ( { address = \"192.0.2.4\"; } ); } );\n";
	uint32_t three, four, epoch, generation, before[PATHS_BUCKETS];
	char text[512];

	plane_start();
	plane_apply(PLANE_NODE UPLINK);
	plane_apply(routes);
	three = route_to("10.11.0.1");
	four = route_to("10.12.0.1");
	CU_ASSERT_EQUAL(share_of("10.9.0.1", three), 48);
	CU_ASSERT_EQUAL(share_of("10.9.0.1", four), 16);
	/* The same next hops in another order are the same group. */
	CU_ASSERT_EQUAL(fib_lookup(rcu_read(&tables)->fib4, ip("10.9.0.1").bytes),
		fib_lookup(rcu_read(&tables)->fib4, ip("10.10.0.1").bytes));
	forwarding_value_text(
		fib_lookup(rcu_read(&tables)->fib4, ip("10.9.0.1").bytes), text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(
		text, "via 192.0.2.3 dev eth0 weight 3, via 192.0.2.4 dev eth0 weight 1");
	pass(100);
	reply_in(eth0()->id, "192.0.2.4", "02:00:00:00:0e:04", "192.0.2.1");
	epoch = generation_epoch();
	generation = adjacency_get(three)->generation;
	for (uint64_t b = 0; b < PATHS_BUCKETS; b++)
		before[b] = route_to_hash("10.9.0.1", b << 32);
	pass(4000); /* 192.0.2.3 does not answer */
	CU_ASSERT_EQUAL(adjacency_get(three)->type, ADJ_DROP);
	CU_ASSERT_EQUAL(adjacency_get(three)->drop, DROP_neighbour_unresolved);
	CU_ASSERT_EQUAL(share_of("10.9.0.1", four), 64);
	CU_ASSERT_TRUE(adjacency_get(three)->generation > generation); /* its flows decide again */
	CU_ASSERT_TRUE(generation_epoch() > epoch);
	reply_in(eth0()->id, "192.0.2.3", "02:00:00:00:0e:03", "192.0.2.1");
	CU_ASSERT_EQUAL(adjacency_get(three)->type, ADJ_REWRITE);
	for (uint64_t b = 0; b < PATHS_BUCKETS; b++)
		CU_ASSERT_EQUAL(route_to_hash("10.9.0.1", b << 32), before[b]);
	/* References: the neighbours stay while any route names them, and no longer. */
	plane_delete(OBJECT_ROUTE, "10.9.0.0/16");
	plane_delete(OBJECT_ROUTE, "10.11.0.0/16");
	plane_delete(OBJECT_ROUTE, "10.12.0.0/16");
	pass(120000);
	CU_ASSERT_NOT_EQUAL(adjacency_get(three)->drop, DROP_no_route);
	plane_delete(OBJECT_ROUTE, "10.10.0.0/16");
	CU_ASSERT_EQUAL(route_to("10.10.0.1"), DROP_no_route);
	pass(120000);
	CU_ASSERT_EQUAL(adjacency_get(three)->drop, DROP_no_route);
	CU_ASSERT_EQUAL(adjacency_count(), 1); /* the uplink's glean */
	drain();
	plane_stop();
}

static void next_hops_follow_their_subnet(void)
{
	static const char *const two = "uplinks: ( { name = \"eth0\"; driver = \"ethdev\"; device "
				       "= \"net_null0\"; addresses = [ \"192.0.2.1/24\" ]; },"
				       " { name = \"eth1\"; driver = \"ethdev\"; device = "
				       "\"net_null1\"; addresses = [ \"198.51.100.1/24\" ]; } );\n"
				       "routes: ( { prefix = \"0.0.0.0/0\"; via = ( { address = "
				       "\"192.0.2.254\"; } ); } );\n" PEER("vxlan", "");
	static const char *const swapped =
		"uplinks: ( { name = \"eth0\"; driver = \"ethdev\"; device = \"net_null0\"; "
		"addresses = [ \"198.51.100.1/24\" ]; },"
		" { name = \"eth1\"; driver = \"ethdev\"; device = \"net_null1\"; addresses = [ "
		"\"192.0.2.1/24\" ]; } );\n";
	uint16_t first, second;
	uint32_t index, peer;

	plane_start();
	plane_apply(PLANE_NODE);
	plane_apply(two);
	first = port_find("eth0")->id;
	second = port_find("eth1")->id;
	index = route_to("203.0.113.1");
	peer = route_to("10.244.2.1");
	pass(100);
	reply_in(first, "192.0.2.254", "02:00:00:00:0e:fe", "192.0.2.1");
	reply_in(first, "192.0.2.2", "02:00:00:00:0e:02", "192.0.2.1");
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_REWRITE);
	CU_ASSERT_EQUAL(adjacency_get(index)->port, first);
	plane_apply(swapped);
	CU_ASSERT_EQUAL(route_to("203.0.113.1"), index);
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_RESOLVING);
	CU_ASSERT_EQUAL(adjacency_get(index)->port, second);
	CU_ASSERT_EQUAL(adjacency_get(peer)->type, ADJ_RESOLVING);
	CU_ASSERT_EQUAL(adjacency_get(peer)->port, second);
	drain();
	pass(100);
	reply_in(second, "192.0.2.2", "02:00:00:00:0e:02", "192.0.2.1");
	CU_ASSERT_EQUAL(adjacency_get(peer)->type, ADJ_TUNNEL);
	CU_ASSERT_EQUAL(adjacency_get(peer)->port, second);
	drain();
	plane_stop();
}

static void the_more_trusted_source_wins(void)
{
	plane_start();
	plane_apply(PLANE_NODE UPLINK POOLS PEER("vxlan", ""));
	/* The route object of a peer's prefix hides it, and gives it back. */
	plane_apply("routes: ( { prefix = \"10.244.2.0/24\"; action = \"prohibit\"; },"
		    " { prefix = \"192.0.2.0/24\"; action = \"blackhole\"; } );\n");
	CU_ASSERT_EQUAL(route_to("10.244.2.1"), DROP_route_prohibit);
	CU_ASSERT_EQUAL(route_to("192.0.2.9"), DROP_route_blackhole);
	CU_ASSERT_EQUAL(route_to("192.0.2.1"), adjacency_local());
	plane_delete(OBJECT_ROUTE, "10.244.2.0/24");
	plane_delete(OBJECT_ROUTE, "192.0.2.0/24");
	CU_ASSERT_TRUE(route_to("10.244.2.1") >= DROP_REASON_COUNT);
	CU_ASSERT_EQUAL(adj_to("192.0.2.9")->type, ADJ_GLEAN);
	drain();
	plane_stop();
}

/* --- peers ---------------------------------------------------------------------------------------------------- */

static void a_peer_behind_a_router_goes_by_its_route(void)
{
	static const char *const conf =
		PLANE_NODE UPLINK "peers: ( { name = \"far\"; underlay = [ \"198.51.100.9\" ]; "
				  "vtep_mac = \"02:00:c0:00:02:02\";"
				  " pod_cidrs = [ \"10.244.3.0/24\" ]; encap = \"auto\"; },"
				  " { name = \"six\"; underlay = [ \"2001:db8::2\" ]; vtep_mac = "
				  "\"02:00:c0:00:02:03\";"
				  " pod_cidrs = [ \"10.244.4.0/24\" ]; encap = \"vxlan\"; } );\n";
	struct peer_record r;
	uint32_t index;

	plane_start();
	plane_apply(conf);
	index = route_to("10.244.3.1");
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_DROP);
	CU_ASSERT_EQUAL(adjacency_get(index)->drop, DROP_tunnel_no_endpoint);
	plane_apply("routes: ( { prefix = \"198.51.100.0/24\"; via = ( { address = "
		    "\"192.0.2.254\"; } ); } );\n");
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_RESOLVING);
	pass(100);
	reply_in(eth0()->id, "192.0.2.254", "02:00:00:00:0e:fe", "192.0.2.1");
	reply_in(eth0()->id, "2001:db8::2", "02:00:00:00:0e:06", "2001:db8::1");
	CU_ASSERT_EQUAL(
		adjacency_get(index)->type, ADJ_TUNNEL); /* auto: not on our subnet, so VXLAN */
	CU_ASSERT_EQUAL(adjacency_get(index)->header[5], 0xfe);
	CU_ASSERT_EQUAL(
		memcmp(adjacency_get(index)->header + 26, "\xc0\0\2\1\xc6\x33\x64\x09", 8), 0);
	CU_ASSERT_EQUAL(forwarding_each_peer(first_peer, &r), 1);
	CU_ASSERT_EQUAL(r.used, ENCAP_VXLAN);
	CU_ASSERT_EQUAL(adj_to("10.244.4.1")->type, ADJ_TUNNEL);
	CU_ASSERT_EQUAL(adj_to("10.244.4.1")->mtu, 1430);
	plane_delete(OBJECT_ROUTE, "198.51.100.0/24");
	CU_ASSERT_EQUAL(adjacency_get(index)->drop, DROP_tunnel_no_endpoint);
	drain();
	plane_stop();
}

/** ICMP fragmentation needed from 192.0.2.254 about a VXLAN packet of ours. */
static void too_big_in(uint16_t mtu, const char *about)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(plane.pool), *got;
	struct rte_ipv4_hdr outer = { .version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = RTE_BE16(56),
		.time_to_live = 60,
		.next_proto_id = IPPROTO_ICMP };
	struct rte_ipv4_hdr inner = { .version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = RTE_BE16(1500),
		.time_to_live = 60,
		.next_proto_id = IPPROTO_UDP };
	struct rte_udp_hdr udp = { .src_port = RTE_BE16(55555), .dst_port = RTE_BE16(8472) };
	struct rte_icmp_hdr icmp = {
		.icmp_type = 3, .icmp_code = 4, .icmp_seq_nb = rte_cpu_to_be_16(mtu)
	};
	struct ip_addr remote = ip(about), local = ip("192.0.2.1");
	uint8_t *p;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	memcpy(&inner.src_addr, local.bytes, 4);
	memcpy(&inner.dst_addr, remote.bytes, 4);
	p = (uint8_t *)rte_pktmbuf_append(m, 56);
	if (p == NULL)
		abort();
	memcpy(p, &outer, 20);
	memcpy(p + 28, &inner, 20);
	memcpy(p + 48, &udp, 8);
	memcpy(p + 20, &icmp, 8);
	icmp.icmp_cksum = (uint16_t)~rte_raw_cksum(p + 20, 36);
	memcpy(p + 20, &icmp, 8);
	m->port = eth0()->id;
	*pkt_note(m) = (struct pkt_note){ .kind = PUNT_PATH_MTU, .port = eth0()->id };
	counter_add(&counter_blocks[0].received, 1);
	punt_send(&counter_blocks[0], m);
	while (punt_receive(&got, 1) == 1)
		forwarding_punted(got);
}

static void routers_lower_a_path_mtu_for_ten_minutes(void)
{
	const struct adjacency *adj;

	plane_start();
	plane_apply(PLANE_NODE UPLINK PEER("vxlan", ""));
	pass(100);
	reply_in(eth0()->id, "192.0.2.2", "02:00:00:00:0e:02", "192.0.2.1");
	too_big_in(1400, "192.0.2.3"); /* no peer of ours */
	CU_ASSERT_EQUAL(adj_to("10.244.2.1")->mtu, 1450);
	too_big_in(1400, "192.0.2.2");
	adj = adj_to("10.244.2.1");
	CU_ASSERT_EQUAL(adj->type, ADJ_TUNNEL);
	CU_ASSERT_EQUAL(adj->mtu, 1350);
	too_big_in(1480, "192.0.2.2"); /* never up */
	CU_ASSERT_EQUAL(adj_to("10.244.2.1")->mtu, 1350);
	too_big_in(40, "192.0.2.2"); /* a lie, bounded by what inner IPv6 needs */
	CU_ASSERT_EQUAL(adj_to("10.244.2.1")->mtu, 1280);
	plane.now_ms += 601000;
	pass(100);
	CU_ASSERT_EQUAL(adj_to("10.244.2.1")->mtu, 1450);
	too_big_in(0, "192.0.2.2"); /* an old router: the plateau below 1500 */
	CU_ASSERT_EQUAL(adj_to("10.244.2.1")->mtu, 1442);
	drain();
	plane_stop();
}

/* --- scale ---------------------------------------------------------------------------------------------------- */

static struct object *route_object(uint32_t i, const char *via)
{
	struct object *obj = NULL;
	char prefix[PREFIX_TEXT_MAX];
	json_t *json;

	snprintf(
		prefix, sizeof(prefix), "%u.%u.%u.0/24", 11 + (i >> 16), (i >> 8) & 0xff, i & 0xff);
	json = json_pack("{s:s, s:[{s:s}]}", "prefix", prefix, "via", "address", via);
	CU_ASSERT_EQUAL_FATAL(object_from_json(OBJECT_ROUTE, json, &obj, &plane.err), 0);
	json_decref(json);
	return obj;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/** Prepare and commit alone, timed: the rest is the model's. */
static double commit_timed(struct changeset *set)
{
	struct forwarding_txn *txn;
	const struct change *changes;
	double start;
	size_t count;

	changes = changeset_changes(set, &count);
	start = seconds();
	CU_ASSERT_EQUAL_FATAL(forwarding_prepare(set, changes, count, &txn, &plane.err), 0);
	forwarding_commit(txn);
	start = seconds() - start;
	model_apply(plane.model, set, NULL);
	changeset_free(set);
	return start;
}

static void many_routes_are_one_commit(void)
{
	const uint32_t n = 300000;
	struct changeset *set;
	double bulk, single = 0;
	uint32_t before;

	plane_start();
	plane_apply(PLANE_NODE UPLINK PEER("vxlan", ""));
	before = adjacency_count();
	set = changeset_new(plane.model);
	for (uint32_t i = 0; i < n; i++)
		changeset_put(set, route_object(i, i % 2 ? "192.0.2.3" : "192.0.2.4"), &plane.err);
	bulk = commit_timed(set);
	CU_ASSERT_EQUAL(adjacency_count(), before + 2);
	CU_ASSERT_EQUAL(route_to("11.0.1.1"), route_to("12.0.3.1"));
	CU_ASSERT_NOT_EQUAL(route_to("11.0.1.1"), route_to("11.0.2.1"));
	for (unsigned i = 0; i < 20; i++) {
		set = changeset_new(plane.model);
		changeset_put(set, route_object(i * 100, "192.0.2.5"), &plane.err);
		single += commit_timed(set);
	}
	printf(" (%u routes %.0f ms, one more %.0f us) ", n, bulk * 1e3, single / 20 * 1e6);
	set = changeset_new(plane.model);
	for (uint32_t i = 0; i < n; i++) {
		struct object *obj = route_object(i, "192.0.2.3");

		changeset_delete(set, OBJECT_ROUTE, obj->name, &plane.err);
		object_unref(obj);
	}
	commit_timed(set);
	CU_ASSERT_EQUAL(route_to("11.0.1.1"), DROP_no_route);
	pass(2000);
	CU_ASSERT_EQUAL(adjacency_count(), before);
	drain();
	plane_stop();
}

static const struct test_case cases[] = {
	{ "an empty plane drops everything", an_empty_plane_drops_everything },
	{ "own addresses are local", own_addresses_are_local },
	{ "a peer waits for its next hop", a_peer_waits_for_its_next_hop },
	{ "a peer changes its encapsulation in place", a_peer_changes_its_encapsulation_in_place },
	{ "a pod is reached and keeps its port", a_pod_is_reached_and_keeps_its_port },
	{ "an abort leaves no trace", an_abort_leaves_no_trace },
	{ "an abort of changes keeps what was", an_abort_of_changes_keeps_what_was },
	{ "next hops share by weight and stand in", next_hops_share_by_weight_and_stand_in },
	{ "next hops follow their subnet", next_hops_follow_their_subnet },
	{ "the more trusted source wins", the_more_trusted_source_wins },
	{ "a peer behind a router goes by its route", a_peer_behind_a_router_goes_by_its_route },
	{ "routers lower a path MTU for ten minutes", routers_lower_a_path_mtu_for_ten_minutes },
	{ "many routes are one commit", many_routes_are_one_commit },
};
SUITE_MAIN("forwarding", cases)
