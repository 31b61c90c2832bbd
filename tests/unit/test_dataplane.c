/* SPDX-License-Identifier: Apache-2.0 */
/** The whole data plane in process: started like the daemon, configured through objects, its worker run by the test. What
 * `explain` says is what happens. */
#include "config/schema.h"
#include "dataplane/arp_nd.h"
#include "dataplane/burst.h"
#include "dataplane/forwarding.h"
#include "dataplane/generation.h"
#include "dataplane/loop.h"
#include "dataplane/worker.h"
#include "tests/unit/suite.h"
#include "tests/unit/vectors.h"

#include <netinet/in.h>
#include <unistd.h>

extern const struct tunnel_ops *const tunnel_types[];

static struct worker *w;
static struct model *model;
static char dir[] = "/tmp/podlane-dataplane-XXXXXX";
static struct rte_mbuf *sent[8];
static const struct port *sent_to[8];
static unsigned n_sent;

static uint16_t keep_tx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	for (uint16_t i = 0; i < n && n_sent < 8; i++) {
		sent_to[n_sent] = port;
		sent[n_sent++] = pkts[i];
	}
	return n;
}

static void apply(const char *text, bool expected)
{
	struct changeset *set = changeset_new(model);
	const struct change *changes;
	struct forwarding_txn *txn;
	struct error err = { 0 };
	size_t count;
	int ret = config_load_text(text, "test", set, &err);

	ret = ret < 0 ? ret : changeset_validate(set, &err);
	changes = changeset_changes(set, &count);
	ret = ret < 0 ? ret : forwarding_prepare(set, changes, count, &txn, &err);
	if (ret < 0 && expected)
		printf("\n    %s\n", err.text);
	CU_ASSERT_EQUAL(ret == 0, expected);
	if (ret == 0) {
		forwarding_commit(txn);
		model_apply(model, set, NULL);
	}
	changeset_free(set);
}

static void memory_ports(void)
{
	static struct port_ops ops[8];
	unsigned n = 0;

	for (uint16_t id = 0; id < PORT_MAX && n < 8; id++) {
		struct port *port = port_get(id);

		if (port == NULL || port->ops->tx_burst == keep_tx)
			continue;
		ops[n] = *port->ops;
		ops[n].tx_burst = keep_tx;
		port->ops = &ops[n++];
		atomic_store(&port->link_up, true);
	}
}

static const char *config(char *buf, size_t size, const char *encap)
{
	snprintf(buf, size,
		"node: { name = \"n\"; vtep_mac = \"02:00:c0:00:02:01\"; hugepages = \"off\"; "
		"memory_mb = 96; buffers = 4096;"
		" flows = 4096; flows6 = 4096; host_interface = \"\"; };\n"
		"uplinks: ( { name = \"eth0\"; driver = \"ethdev\"; device = \"net_null_t\";"
		" addresses = [ \"192.0.2.1/24\", \"2001:db8::1/64\" ]; } );\n"
		"pools: ( { name = \"p4\"; cidr = \"10.244.1.0/24\"; }, { name = \"p6\"; cidr = "
		"\"fd00:244:1::/64\"; } );\n"
		"peers: ( { name = \"b\"; underlay = [ \"192.0.2.2\" ]; vtep_mac = "
		"\"02:00:c0:00:02:02\";"
		" pod_cidrs = [ \"10.244.2.0/24\", \"fd00:244:2::/64\" ]; encap = \"%s\"; } );\n"
		"pods: ( { name = \"a\"; kind = \"memif\"; socket = \"%s/a\"; mac = "
		"\"02:00:00:00:00:0a\";"
		" addresses = [ \"10.244.1.10\", \"fd00:244:1::10\" ]; } );\n",
		encap, dir);
	return buf;
}

/** The peer answers for its underlay address. */
static void learn_peer(void)
{
	struct port *uplink = port_find("eth0");
	struct mac_addr mac = { { 2, 0, 0, 0, 2, 2 } };
	struct ip_addr peer, self;
	struct rte_mbuf *m;

	ip_addr_parse("192.0.2.2", &peer);
	ip_addr_parse("192.0.2.1", &self);
	m = neighbour_reply_make(w->pool, &peer, &mac, &self, &uplink->mac, false, true, true);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	counter_add(&COUNTERS_CONTROL->received, 1);
	counter_hold(COUNTERS_CONTROL, 1);
	m->port = uplink->id;
	*pkt_note(m) = (struct pkt_note){ .kind = PUNT_NEIGHBOUR, .port = uplink->id };
	forwarding_punted(m);
}

static void worker_turn(struct port *in, struct rte_mbuf *m)
{
	rcu_quiescent(0);
	w->epoch = generation_epoch();
	w->tables = rcu_read(&tables);
	w->pkts[0] = m;
	if (m != NULL)
		worker_burst(w, in, 1);
	while (inject_waiting(0))
		slow_injected(w);
	worker_flush(w);
	rcu_quiescent(0);
	rcu_reclaim();
}

static void sent_clear(void)
{
	rte_pktmbuf_free_bulk(sent, n_sent);
	n_sent = 0;
}

static void start(void)
{
	struct error err = { 0 };
	struct changeset *set;
	const struct node *node;
	char text[2048];

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	model = model_new();
	set = changeset_new(model);
	CU_ASSERT_EQUAL_FATAL(
		config_load_text(config(text, sizeof(text), "vxlan"), "test", set, &err), 0);
	node = &changeset_find(set, OBJECT_NODE, "n")->node;
	CU_ASSERT_EQUAL_FATAL(dataplane_start(node, tunnel_types, &err), 0);
	changeset_free(set);
	CU_ASSERT_EQUAL(dataplane_worker_count(), 1);
	w = dataplane_borrow_worker(0);
	rcu_reader_register(0);
	w->icmp_tokens = 100;
	apply(text, true);
	memory_ports();
	worker_turn(NULL, NULL);
	forwarding_tick(1000);
	learn_peer();
	worker_turn(NULL, NULL);
	sent_clear();
}

/** UDP from a pod or, wrapped by nothing, from outside. */
static struct rte_mbuf *packet(const struct port *in, const char *src, const char *dst)
{
	uint8_t bytes[128] = { 0 }, *h = bytes + 14, *udp;
	struct ip_addr s, d;
	uint16_t sum;
	bool v6;

	ip_addr_parse(src, &s);
	ip_addr_parse(dst, &d);
	v6 = s.family == IP_V6;
	memcpy(bytes, in->mac.bytes, 6);
	memcpy(bytes + 6, "\2\0\0\0\0\x0a", 6);
	memcpy(bytes + 12, v6 ? "\x86\xdd" : "\x08\x00", 2);
	udp = h + (v6 ? 40 : 20);
	if (v6) {
		h[0] = 0x60;
		h[5] = 16;
		h[6] = IPPROTO_UDP;
		h[7] = 64;
		memcpy(h + 8, s.bytes, 16);
		memcpy(h + 24, d.bytes, 16);
	} else {
		h[0] = 0x45;
		h[3] = 36;
		h[8] = 64;
		h[9] = IPPROTO_UDP;
		memcpy(h + 12, s.bytes, 4);
		memcpy(h + 16, d.bytes, 4);
		sum = (uint16_t)~naive_sum(h, 20);
		memcpy(h + 10, &sum, 2);
	}
	memcpy(udp, "\0\x07\0\x35\0\x10\0\0", 8);
	return mbuf_of(w->pool, bytes, (uint32_t)(udp - bytes) + 16, 0);
}

static const char *text_of(json_t *obj, const char *key)
{
	const char *text = json_string_value(json_object_get(obj, key));

	return text != NULL ? text : "";
}

/** Explain, send, compare. */
static void expect_as_explained(const char *from, const char *src, const char *dst,
	const char *verdict, const char *adjacency)
{
	struct explain_request r = { .from = from, .proto = IPPROTO_UDP, .sport = 7, .dport = 53 };
	struct port *in = port_find(from);
	struct counter_totals before, after;
	struct error err = { 0 };
	json_t *out;

	ip_addr_parse(src, &r.src);
	ip_addr_parse(dst, &r.dst);
	CU_ASSERT_EQUAL_FATAL(dataplane_explain(&r, &out, &err), 0);
	CU_ASSERT_STRING_EQUAL(text_of(out, "verdict"), verdict);
	if (strstr(text_of(out, "adjacency"), adjacency) == NULL)
		printf("\n    %s -> %s: %s\n", src, dst, text_of(out, "adjacency"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text_of(out, "adjacency"), adjacency));
	CU_ASSERT_TRUE(json_array_size(json_object_get(out, "steps")) > 0);
	counters_sum(&before);
	worker_turn(in, packet(in, src, dst));
	counters_sum(&after);
	if (strcmp(verdict, "drop") == 0) {
		enum drop_reason reason = DROP_NONE;

		for (int i = 1; i < DROP_REASON_COUNT; i++) {
			if (strcmp(drop_reason_name((enum drop_reason)i), text_of(out, "reason")) ==
				0)
				reason = (enum drop_reason)i;
		}
		CU_ASSERT_EQUAL(after.drops[reason] - before.drops[reason], 1);
	} else {
		CU_ASSERT_EQUAL(after.dropped, before.dropped);
		CU_ASSERT_EQUAL(n_sent, 1);
	}
	json_decref(out);
	/* Now the flow is known, and explain shows it. */
	CU_ASSERT_EQUAL(dataplane_explain(&r, &out, &err), 0);
	CU_ASSERT_EQUAL(
		json_integer_value(json_object_get(json_object_get(out, "flow"), "packets")), 1);
	CU_ASSERT_TRUE(json_is_true(json_object_get(json_object_get(out, "flow"), "current")));
	json_decref(out);
	sent_clear();
}

static void test_explain(void)
{
	struct explain_request r = { .from = "pod:none", .proto = IPPROTO_UDP };
	struct error err = { 0 };
	json_t *out;

	start();
	expect_as_explained("pod:a", "10.244.1.10", "10.244.2.9", "forward", "b");
	expect_as_explained("pod:a", "fd00:244:1::10", "fd00:244:2::9", "forward", "b");
	expect_as_explained("eth0", "192.0.2.2", "10.244.1.10", "forward", "pod:a");
	expect_as_explained("pod:a", "10.244.1.12", "10.244.2.9", "drop", "");
	expect_as_explained("pod:a", "10.244.1.10", "203.0.113.1", "drop", "");
	expect_as_explained("pod:a", "fd00:244:1::10", "fd00:244:1::77", "drop", "");
	expect_as_explained("eth0", "10.244.1.10", "10.244.1.10", "drop", "");
	ip_addr_parse("10.0.0.1", &r.src);
	ip_addr_parse("10.0.0.2", &r.dst);
	CU_ASSERT_TRUE(dataplane_explain(&r, &out, &err) < 0);
	ip_addr_parse("fd00::1", &r.dst);
	r.from = "tunnel";
	CU_ASSERT_TRUE(dataplane_explain(&r, &out, &err) < 0);
}

/** A peer's new encapsulation shows in the next packet of a flow that stays. */
static void test_encap_changed(void)
{
	struct port *in = port_find("pod:a");
	struct counter_totals before, after;
	char text[2048];

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	counters_sum(&before);
	worker_turn(in, packet(in, "10.244.1.10", "10.244.2.9"));
	CU_ASSERT_EQUAL_FATAL(n_sent, 1);
	CU_ASSERT_EQUAL(rte_pktmbuf_mtod(sent[0], uint8_t *)[14 + 9], IPPROTO_UDP);
	CU_ASSERT_EQUAL(rte_pktmbuf_pkt_len(sent[0]), 14 + 36 + 50);
	sent_clear();
	apply(config(text, sizeof(text), "ipip"), true);
	memory_ports();
	worker_turn(in, packet(in, "10.244.1.10", "10.244.2.9"));
	CU_ASSERT_EQUAL_FATAL(n_sent, 1);
	CU_ASSERT_EQUAL(rte_pktmbuf_mtod(sent[0], uint8_t *)[14 + 9], IPPROTO_IPIP);
	CU_ASSERT_EQUAL(rte_pktmbuf_pkt_len(sent[0]), 14 + 36 + 20);
	counters_sum(&after);
	CU_ASSERT_EQUAL(after.events[EVENT_flow_miss], before.events[EVENT_flow_miss]);
	sent_clear();
}

static void test_memory_and_stop(void)
{
	struct memory_info info;
	struct counter_totals t;
	struct worker_info wi;
	char path[64];

	dataplane_memory(&info);
	CU_ASSERT_FALSE(info.hugepages);
	CU_ASSERT_TRUE(info.buffers >= 4096 && info.buffers_free <= info.buffers);
	CU_ASSERT_TRUE(info.flow_bytes > 0 && info.fib4_bytes > 0 &&
		       info.resident_bytes > info.flow_bytes / 2);
	CU_ASSERT_TRUE(dataplane_worker(0, &wi));
	CU_ASSERT_EQUAL(wi.id, 0);
	CU_ASSERT_FALSE(dataplane_worker(1, &wi));
	counters_sum(&t);
	CU_ASSERT_EQUAL(t.received + t.generated,
		t.transmitted + t.delivered + (uint64_t)t.held + t.dropped);
	rcu_reader_unregister(0);
	dataplane_stop();
	model_free(model);
	snprintf(path, sizeof(path), "%s/a", dir);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0); /* the socket is gone */
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static const struct test_case cases[] = {
	{ "explain", test_explain },
	{ "encapsulation changed", test_encap_changed },
	{ "memory and stop", test_memory_and_stop },
};

SUITE_MAIN("dataplane", cases)
