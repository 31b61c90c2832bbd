/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plane.h"

#define UPLINK                                                                                     \
	"uplinks: ( { name = \"eth0\"; driver = \"ethdev\"; device = \"net_null0\"; mac = \"02:00:00:00:0e:01\";" \
	" addresses = [ \"192.0.2.1/24\", \"2001:db8::1/64\" ]; } );\n"
#define POOLS                                                                                      \
	"pools: ( { name = \"p4\"; cidr = \"10.244.1.0/24\"; }, { name = \"p6\"; cidr = \"fd00:244:1::/64\"; } );\n"
#define PEER(encap, more)                                                                          \
	"peers: ( { name = \"node-b\"; underlay = [ \"192.0.2.2\" ]; vtep_mac = \"02:00:c0:00:02:02\";"     \
	" pod_cidrs = [ \"10.244.2.0/24\", \"fd00:244:2::/64\" ]; encap = \"" encap "\"; " more " } );\n"

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
	CU_ASSERT_EQUAL(route_to("fe80::ff:fe00:e01"), adjacency_local()); /* from the MAC address */
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
		"pods: ( { name = \"a\"; kind = \"memif\"; socket = \"%s/a\"; mac = \"02:00:00:00:00:0a\";"
		" addresses = [ \"10.244.1.10\", \"fd00:244:1::10\" ]; } );\n";
	static const char *const moved =
		"pods: ( { name = \"a\"; kind = \"memif\"; socket = \"%s/a\"; mac = \"02:00:00:00:00:0a\";"
		" addresses = [ \"10.244.1.11\", \"10.244.1.10\" ]; } );\n";
	static const char *const other =
		"pods: ( { name = \"a\"; kind = \"memif\"; socket = \"%s/b\"; mac = \"02:00:00:00:00:0a\";"
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
	CU_ASSERT_EQUAL(memcmp(adj_to("10.244.1.10")->header, "\x02\0\0\0\0\x0a\x02\x70\x6f\x64\x6c\x01", 12), 0);
	first = route_to("10.244.1.10");
	zone = generation_get(generation_zone(port->id));
	plane_apply(with_dir(moved));
	CU_ASSERT_PTR_EQUAL(port_find("pod:a"), port);
	CU_ASSERT_EQUAL(route_to("10.244.1.11"), first); /* the first address: what routes via the pod hold */
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

static const struct test_case cases[] = {
	{ "an empty plane drops everything", an_empty_plane_drops_everything },
	{ "own addresses are local", own_addresses_are_local },
	{ "a peer waits for its next hop", a_peer_waits_for_its_next_hop },
	{ "a peer changes its encapsulation in place", a_peer_changes_its_encapsulation_in_place },
	{ "a pod is reached and keeps its port", a_pod_is_reached_and_keeps_its_port },
};
SUITE_MAIN("forwarding", cases)
