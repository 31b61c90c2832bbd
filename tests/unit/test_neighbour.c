/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plane.h"

#define UPLINK                                                                              \
	"uplinks: ( { name = \"eth0\"; driver = \"ethdev\"; device = \"net_null0\"; mac = " \
	"\"02:00:00:00:0e:01\";"                                                            \
	" addresses = [ \"192.0.2.1/24\", \"2001:db8::1/64\" ]; } );\n"

static uint16_t eth0;

static void start(const char *node)
{
	plane_start();
	plane_apply(node);
	plane_apply(UPLINK);
	eth0 = port_find("eth0")->id;
	pass(3000);
	drain(); /* announcements */
}

struct search {
	struct ip_addr address;
	struct neighbour_record record;
};

static int visit(const struct neighbour_record *r, void *arg)
{
	struct search *s = arg;

	if (!ip_addr_equal(&r->address, &s->address))
		return 0;
	s->record = *r;
	return 1;
}

/** enum neighbour_state, or -1 when there is no entry. */
static int state_of(const char *address)
{
	struct search s = { .address = ip(address) };

	return forwarding_each_neighbour(visit, &s) == 1 ? (int)s.record.state : -1;
}

static unsigned held_of(const char *address)
{
	struct search s = { .address = ip(address) };

	return forwarding_each_neighbour(visit, &s) == 1 ? s.record.held : 0;
}

static void request_in(const char *target, const char *sender, const char *sender_mac)
{
	struct ip_addr t = ip(target),
		       s = sender != NULL ? ip(sender) : (struct ip_addr){ .family = IP_NONE };
	struct mac_addr m = mac(sender_mac), everybody = { { 0 } };

	frame_in(neighbour_request_make(plane.pool, &t, &s, &m, &everybody), eth0);
}

static void glean_resolve_release(const char *dst, const char *us)
{
	uint32_t glean = route_to(dst), index;
	struct neighbour_info info;
	uint16_t port;

	CU_ASSERT_EQUAL(adjacency_get(glean)->type, ADJ_GLEAN);
	CU_ASSERT_EQUAL(packet_in(dst), glean);
	/* Asked at once, from our address on that subnet; routed at once too. */
	CU_ASSERT_TRUE_FATAL(take_message(&info, &port));
	CU_ASSERT_EQUAL(info.kind, NEIGHBOUR_REQUEST);
	CU_ASSERT_EQUAL(port, eth0);
	CU_ASSERT_EQUAL(memcmp(&info.sender_mac, "\x02\0\0\0\x0e\x01", 6), 0);
	{
		struct ip_addr from = ip(us);

		CU_ASSERT_TRUE(ip_addr_equal(&info.sender, &from));
	}
	index = route_to(dst);
	CU_ASSERT_NOT_EQUAL(index, glean);
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_RESOLVING);
	CU_ASSERT_EQUAL(state_of(dst), NEIGHBOUR_INCOMPLETE);
	CU_ASSERT_EQUAL(packet_in(dst), index);
	CU_ASSERT_EQUAL(held_of(dst), 2);
	reply_in(eth0, dst, "02:00:00:00:0e:77", us);
	CU_ASSERT_EQUAL(released_for(index), 2);
	CU_ASSERT_EQUAL(state_of(dst), NEIGHBOUR_REACHABLE);
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_REWRITE);
	CU_ASSERT_EQUAL(
		memcmp(adjacency_get(index)->header, "\x02\0\0\0\x0e\x77\x02\0\0\0\x0e\x01", 12),
		0);
	CU_ASSERT_EQUAL(held_of(dst), 0);
	CU_ASSERT_TRUE(plane_balanced());
	/* A packet punted before its worker saw that goes on at once. */
	CU_ASSERT_EQUAL(packet_in(dst), index);
	CU_ASSERT_EQUAL(released_for(index), 1);
}

static void packets_wait_for_an_answer(void)
{
	start(PLANE_NODE);
	glean_resolve_release("192.0.2.77", "192.0.2.1");
	pass(100);
	glean_resolve_release("2001:db8::77", "2001:db8::1");
	plane_stop();
}

static void silence_ends_in_a_back_off(void)
{
	uint32_t index;

	start(PLANE_NODE);
	packet_in("192.0.2.77");
	index = route_to("192.0.2.77");
	CU_ASSERT_EQUAL(requests_for("192.0.2.77"), 1);
	pass(1100);
	CU_ASSERT_EQUAL(requests_for("192.0.2.77"), 1);
	pass(1000);
	CU_ASSERT_EQUAL(requests_for("192.0.2.77"), 1);
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), NEIGHBOUR_INCOMPLETE);
	CU_ASSERT_EQUAL(dropped(DROP_neighbour_unresolved), 0);
	pass(1000);
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), NEIGHBOUR_FAILED);
	CU_ASSERT_EQUAL(requests_for("192.0.2.77"), 0);
	CU_ASSERT_EQUAL(dropped(DROP_neighbour_unresolved), 1);
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_DROP);
	CU_ASSERT_EQUAL(adjacency_get(index)->drop, DROP_neighbour_unresolved);
	pass(6000);
	/* Nobody refers to it: it goes, and the next packet begins anew. */
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), -1);
	CU_ASSERT_EQUAL(adj_to("192.0.2.77")->type, ADJ_GLEAN);
	packet_in("192.0.2.77");
	CU_ASSERT_EQUAL(requests_for("192.0.2.77"), 1);
	/* Life while it is refused ends the back-off. */
	pass(4000);
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), NEIGHBOUR_FAILED);
	request_in("192.0.2.1", "192.0.2.77", "02:00:00:00:0e:77");
	CU_ASSERT_EQUAL(adj_to("192.0.2.77")->type, ADJ_REWRITE);
	drain();
	plane_stop();
}

static void queues_are_bounded(void)
{
	struct counter_totals t;
	char dst[32];

	start(PLANE_NODE);
	for (unsigned i = 0; i < 20; i++)
		packet_in("192.0.2.77");
	CU_ASSERT_EQUAL(held_of("192.0.2.77"), 16);
	CU_ASSERT_EQUAL(dropped(DROP_neighbour_queue_full), 4);
	for (unsigned n = 2; n < 100; n++) {
		snprintf(dst, sizeof(dst), "192.0.2.%u", n);
		packet_in(dst);
	}
	pass(100); /* now they are routed */
	for (unsigned n = 2; n < 100; n++) {
		snprintf(dst, sizeof(dst), "192.0.2.%u", n);
		for (unsigned i = 0; i < 13; i++)
			packet_in(dst);
		drain();
	}
	counters_sum(&t);
	CU_ASSERT_EQUAL(t.held, 1024);
	CU_ASSERT_TRUE(plane_balanced());
	plane_stop();
}

static void stale_entries_are_probed_while_used(void)
{
	struct neighbour_info info;
	uint32_t index;
	uint16_t port;

	start(PLANE_NODE);
	packet_in("192.0.2.77");
	reply_in(eth0, "192.0.2.77", "02:00:00:00:0e:77", "192.0.2.1");
	drain();
	index = route_to("192.0.2.77");
	pass(30200);
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), NEIGHBOUR_STALE);
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_REWRITE);
	pass(30200);
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), NEIGHBOUR_PROBE);
	CU_ASSERT_TRUE_FATAL(take_message(&info, &port));
	CU_ASSERT_TRUE(info.unicast);
	reply_in(eth0, "192.0.2.77", "02:00:00:00:0e:77", "192.0.2.1");
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), NEIGHBOUR_REACHABLE);
	/* Minutes later nobody has used it, as far as can be seen: asleep, and woken by a packet at no loss. */
	for (unsigned minute = 0; minute < 10 && adjacency_get(index)->type == ADJ_REWRITE;
		minute++) {
		pass(61000);
		if (state_of("192.0.2.77") == NEIGHBOUR_PROBE)
			reply_in(eth0, "192.0.2.77", "02:00:00:00:0e:77", "192.0.2.1");
	}
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_RESOLVING);
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), NEIGHBOUR_STALE);
	drain();
	packet_in("192.0.2.77");
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_REWRITE);
	CU_ASSERT_EQUAL(released_for(index), 1);
	/* Unicast probes fail: everybody is asked, then it is given up and, being unused, removed. */
	pass(3100);
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), NEIGHBOUR_INCOMPLETE);
	pass(4000);
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), NEIGHBOUR_FAILED);
	pass(6000);
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), -1);
	drain();
	plane_stop();
}

static void an_unused_entry_goes(void)
{
	start(PLANE_NODE);
	packet_in("192.0.2.77");
	reply_in(eth0, "192.0.2.77", "02:00:00:00:0e:77", "192.0.2.1");
	for (unsigned i = 0; i < 60; i++) {
		pass(10000);
		if (state_of("192.0.2.77") == NEIGHBOUR_PROBE)
			reply_in(eth0, "192.0.2.77", "02:00:00:00:0e:77", "192.0.2.1");
		drain();
	}
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), -1);
	CU_ASSERT_EQUAL(adj_to("192.0.2.77")->type, ADJ_GLEAN);
	plane_stop();
}

static void requests_for_us_are_answered_and_teach(void)
{
	struct neighbour_info info;
	uint16_t port;

	start(PLANE_NODE);
	request_in("192.0.2.1", "192.0.2.50", "02:00:00:00:0e:50");
	CU_ASSERT_TRUE_FATAL(take_message(&info, &port));
	CU_ASSERT_EQUAL(info.kind, NEIGHBOUR_REPLY);
	CU_ASSERT_EQUAL(info.target.bytes[3], 1);
	CU_ASSERT_EQUAL(memcmp(&info.sender_mac, "\x02\0\0\0\x0e\x01", 6), 0);
	CU_ASSERT_EQUAL(state_of("192.0.2.50"), NEIGHBOUR_STALE);
	request_in("2001:db8::1", "2001:db8::50", "02:00:00:00:0e:50");
	CU_ASSERT_TRUE_FATAL(take_message(&info, &port));
	CU_ASSERT_TRUE(info.solicited);
	CU_ASSERT_EQUAL(state_of("2001:db8::50"), NEIGHBOUR_STALE);
	request_in("fe80::ff:fe00:e01", "fe80::50", "02:00:00:00:0e:50");
	CU_ASSERT_TRUE(take_message(&info, &port));
	/* Probes are answered to all, and teach nothing. */
	request_in("192.0.2.1", NULL, "02:00:00:00:0e:51");
	CU_ASSERT_TRUE(take_message(&info, &port));
	request_in("2001:db8::1", NULL, "02:00:00:00:0e:51");
	CU_ASSERT_TRUE_FATAL(take_message(&info, &port));
	CU_ASSERT_FALSE(info.solicited);
	/* For others: silence; and no entry from a sender that is not on the subnet. */
	request_in("192.0.2.9", "192.0.2.60", "02:00:00:00:0e:60");
	CU_ASSERT_FALSE(take_message(&info, &port));
	CU_ASSERT_EQUAL(state_of("192.0.2.60"), -1);
	CU_ASSERT_EQUAL(dropped(DROP_arp_ignored), 1);
	request_in("192.0.2.1", "203.0.113.5", "02:00:00:00:0e:60");
	CU_ASSERT_EQUAL(state_of("203.0.113.5"), -1);
	/* Somebody with our address is answered but not believed. */
	request_in("192.0.2.1", "192.0.2.1", "02:00:00:00:0e:61");
	CU_ASSERT_EQUAL(route_to("192.0.2.1"), adjacency_local());
	CU_ASSERT_EQUAL(state_of("192.0.2.1"), -1);
	drain();
	plane_stop();
}

static void announcements_update_what_is_there(void)
{
	struct ip_addr who = ip("2001:db8::77"), none = { .family = IP_NONE };
	struct mac_addr m = mac("02:00:00:00:0e:99"), everybody = { { 0 } };
	uint32_t index, generation;

	start(PLANE_NODE);
	request_in("192.0.2.77", "192.0.2.77", "02:00:00:00:0e:99"); /* gratuitous, of a stranger */
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), -1);
	packet_in("192.0.2.77");
	reply_in(eth0, "192.0.2.77", "02:00:00:00:0e:77", "192.0.2.1");
	index = route_to("192.0.2.77");
	generation = adjacency_get(index)->generation;
	request_in("192.0.2.77", "192.0.2.77", "02:00:00:00:0e:99");
	CU_ASSERT_EQUAL(adjacency_get(index)->header[5], 0x99);
	CU_ASSERT_EQUAL(adjacency_get(index)->generation, generation);
	CU_ASSERT_EQUAL(state_of("192.0.2.77"), NEIGHBOUR_STALE);
	/* RFC 4861 section 7.2.5: without override another address raises doubt only. */
	pass(100);
	packet_in("2001:db8::77");
	reply_in(eth0, "2001:db8::77", "02:00:00:00:0e:77", "2001:db8::1");
	index = route_to("2001:db8::77");
	CU_ASSERT_EQUAL(state_of("2001:db8::77"), NEIGHBOUR_REACHABLE);
	frame_in(neighbour_reply_make(plane.pool, &who, &m, &none, &everybody, false, false, false),
		eth0);
	CU_ASSERT_EQUAL(state_of("2001:db8::77"), NEIGHBOUR_STALE);
	CU_ASSERT_EQUAL(adjacency_get(index)->header[5], 0x77);
	frame_in(neighbour_reply_make(plane.pool, &who, &m, &none, &everybody, false, false, true),
		eth0);
	CU_ASSERT_EQUAL(adjacency_get(index)->header[5], 0x99);
	drain();
	plane_stop();
}

static void the_table_is_limited(void)
{
	start("node: { name = \"node-a\"; host_interface = \"\"; neighbours = 64; };\n"
	      "routes: ( );\n");
	plane_apply("routes: ( { prefix = \"0.0.0.0/0\"; via = ( { address = \"192.0.2.254\"; } ); "
		    "} );\n");
	packet_in("192.0.2.2");
	reply_in(eth0, "192.0.2.2", "02:00:00:00:0e:02", "192.0.2.1");
	drain();
	for (unsigned n = 3; n < 200; n++) {
		char dst[32];

		snprintf(dst, sizeof(dst), "192.0.2.%u", n);
		packet_in(dst);
		drain();
		if (n % 10 == 0)
			pass(100);
	}
	drain();
	/* A scan evicts what does not answer; what answered, and what a route names, stays. */
	CU_ASSERT_EQUAL(state_of("192.0.2.2"), NEIGHBOUR_REACHABLE);
	CU_ASSERT_NOT_EQUAL(state_of("192.0.2.254"), -1);
	CU_ASSERT_EQUAL(state_of("192.0.2.3"), -1);
	CU_ASSERT_EQUAL(state_of("192.0.2.199"), NEIGHBOUR_INCOMPLETE);
	CU_ASSERT_EQUAL(dropped(DROP_neighbour_unresolved), 197 - 62);
	pass(100);
	CU_ASSERT_EQUAL(adj_to("192.0.2.3")->type, ADJ_GLEAN);
	CU_ASSERT_TRUE(adjacency_count() <= 66);
	drain();
	plane_stop();
}

static void pods_without_a_mac_are_asked_by_the_gateway(void)
{
	static const char *const pod = "pools: ( { name = \"p4\"; cidr = \"10.244.1.0/24\"; } );\n"
				       "pods: ( { name = \"a\"; kind = \"memif\"; socket = "
				       "\"%s/a\"; addresses = [ \"10.244.1.10\" ]; } );\n";
	struct neighbour_info info;
	char text[512];
	struct port *port;
	uint32_t index;
	uint16_t id;

	start(PLANE_NODE);
	snprintf(text, sizeof(text), pod, plane.dir);
	plane_apply(text);
	port = port_find("pod:a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	index = route_to("10.244.1.10");
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_RESOLVING);
	pass(2000);
	CU_ASSERT_EQUAL(requests_for("10.244.1.10"), 0); /* nobody is connected */
	atomic_store(&port->link_up, true);
	pass(200);
	CU_ASSERT_TRUE_FATAL(take_message(&info, &id));
	CU_ASSERT_EQUAL(id, port->id);
	CU_ASSERT_EQUAL(memcmp(info.sender.bytes, "\xa9\xfe\x01\x01", 4), 0);
	CU_ASSERT_EQUAL(memcmp(&info.sender_mac, "\x02\x70\x6f\x64\x6c\x01", 6), 0);
	packet_in("10.244.1.10");
	reply_in(port->id, "10.244.1.10", "02:00:00:00:00:0a", "169.254.1.1");
	CU_ASSERT_EQUAL(released_for(index), 1);
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_REWRITE);
	CU_ASSERT_EQUAL(memcmp(adjacency_get(index)->header,
				"\x02\0\0\0\0\x0a\x02\x70\x6f\x64\x6c\x01", 12),
		0);
	/* It may not claim another pod's address, and comes back with another MAC. */
	reply_in(port->id, "10.244.1.11", "02:00:00:00:00:0b", "169.254.1.1");
	CU_ASSERT_EQUAL(state_of("10.244.1.11"), -1);
	atomic_store(&port->link_up, false);
	pass(100);
	atomic_store(&port->link_up, true);
	pass(200);
	CU_ASSERT_EQUAL(adjacency_get(index)->type, ADJ_RESOLVING);
	reply_in(port->id, "10.244.1.10", "02:00:00:00:00:1a", "169.254.1.1");
	CU_ASSERT_EQUAL(adjacency_get(index)->header[5], 0x1a);
	drain();
	plane_stop();
}

static void own_addresses_are_announced(void)
{
	struct neighbour_info info;
	unsigned arp = 0, na = 0;
	uint16_t port;

	plane_start();
	plane_apply(PLANE_NODE);
	plane_apply(UPLINK);
	pass(5000);
	while (take_message(&info, &port)) {
		arp += info.kind == NEIGHBOUR_REQUEST && ip_addr_equal(&info.sender, &info.target);
		na += info.kind == NEIGHBOUR_REPLY && !info.solicited && info.override;
	}
	CU_ASSERT_EQUAL(arp, 2);
	CU_ASSERT_EQUAL(na, 4); /* the configured and the link-local address, twice each */
	plane_stop();
}

static void garbage_is_counted(void)
{
	struct rte_mbuf *m;

	start(PLANE_NODE);
	for (uint16_t len = 0; len < 42; len++) {
		m = rte_pktmbuf_alloc(plane.pool);
		if (m == NULL || (len > 0 && rte_pktmbuf_append(m, len) == NULL))
			abort();
		memset(rte_pktmbuf_mtod(m, void *), 0, len);
		if (len >= 14)
			memcpy(rte_pktmbuf_mtod(m, void *),
				"\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x05\x08\x06", 14);
		frame_in(m, eth0);
	}
	CU_ASSERT_EQUAL(dropped(DROP_arp_malformed), 28);
	CU_ASSERT_EQUAL(dropped(DROP_l2_truncated), 14);
	CU_ASSERT_TRUE(plane_balanced());
	drain();
	plane_stop();
}

static const struct test_case cases[] = {
	{ "packets wait for an answer", packets_wait_for_an_answer },
	{ "silence ends in a back-off", silence_ends_in_a_back_off },
	{ "queues are bounded", queues_are_bounded },
	{ "stale entries are probed while used", stale_entries_are_probed_while_used },
	{ "an unused entry goes", an_unused_entry_goes },
	{ "requests for us are answered and teach", requests_for_us_are_answered_and_teach },
	{ "announcements update what is there", announcements_update_what_is_there },
	{ "the table is limited", the_table_is_limited },
	{ "pods without a MAC are asked by the gateway",
		pods_without_a_mac_are_asked_by_the_gateway },
	{ "own addresses are announced", own_addresses_are_announced },
	{ "garbage is counted", garbage_is_counted },
};
SUITE_MAIN("neighbour", cases)
