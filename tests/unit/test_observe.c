/* SPDX-License-Identifier: Apache-2.0 */
/** Traces and captures of packets that go through a worker; what a capture writes is read back by tcpdump. */
#include "tests/unit/watched.h"
#include "tests/unit/worker_frames.h"

#include <errno.h>

static struct frame f;
static unsigned n_traces;

static void keep(uint64_t tsc, const char *steps, void *arg)
{
	watched_keep(tsc, steps, arg);
	n_traces++;
}

static void trace_start(const char *filter, const char *port, unsigned count)
{
	struct observe_conf conf = {
		.filter = filter, .port = port, .count = count, .trace = true
	};
	struct error err;

	watched[0] = '\0';
	n_traces = 0;
	CU_ASSERT_EQUAL_FATAL(observe_start(&conf, &err), 0);
}

static void stop(void)
{
	observe_stop();
	CU_ASSERT_FALSE(observe_active());
	grace();
}

static void test_refused(void)
{
	struct observe_conf conf = { .filter = "udp prot 53", .count = 1, .trace = true };
	struct error err;

	node_start();
	CU_ASSERT_EQUAL(observe_start(&conf, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "udp prot 53"));
	conf.filter = NULL;
	conf.count = 0;
	CU_ASSERT_EQUAL(observe_start(&conf, &err), -EINVAL);
	conf.count = 1001;
	CU_ASSERT_EQUAL(observe_start(&conf, &err), -EINVAL);
	conf.count = 1;
	conf.port = "pod:nobody";
	CU_ASSERT_EQUAL(observe_start(&conf, &err), -ENOENT);
	conf.port = NULL;
	CU_ASSERT_EQUAL(observe_start(&conf, &err), 0);
	CU_ASSERT_EQUAL(observe_start(&conf, &err), -EBUSY);
	CU_ASSERT_FALSE(observe_done());
	stop();
	CU_ASSERT_TRUE(observe_done());
	node_check();
}

/** Each way a packet can end finishes its trace and says how. */
static void test_trace(void)
{
	static const struct {
		uint16_t in;
		struct ask ask;
		const char *says[3];
	} cases[] = {
		{ POD_A, { "10.244.1.10", "10.244.1.11", .sport = 1, .dport = 53 },
			{ "miss", "output\tpod:b", "send\tpod:b" } },
		{ POD_A, { "fd00:244:1::10", "fd00:244:2::1", .sport = 1, .dport = 53 },
			{ "miss", "vxlan to node-b", "send\teth0" } },
		{ POD_A, { "10.244.1.11", "10.244.1.11", .sport = 1, .dport = 53 },
			{ "drop\tspoofed_source", "", "" } },
		{ POD_A, { "10.244.1.10", "172.16.0.1", .sport = 1, .dport = 53 },
			{ "drop\tno_route", "", "" } },
		{ POD_A, { "10.244.1.10", "192.0.2.1", .proto = IPPROTO_ICMP, .sport = 1 },
			{ "local\techo", "send\tpod:a", "" } },
		{ POD_A, { "10.244.1.10", "203.0.113.1", .sport = 1, .payload = 1600 },
			{ "miss", "output\trouter", "send\teth0" } },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		node_start();
		trace_start("", NULL, 1);
		frame_make(&f, cases[i].in, &cases[i].ask);
		frame_send(&f, cases[i].in, 0);
		CU_ASSERT_EQUAL(trace_drain(keep, NULL), 1);
		CU_ASSERT_TRUE(observe_done());
		CU_ASSERT_PTR_NOT_NULL(strstr(watched, "receive\t"));
		for (unsigned k = 0; k < 3 && cases[i].says[k] != NULL; k++) {
			if (strstr(watched, cases[i].says[k]) == NULL)
				printf("\n    no \"%s\" in:\n%s\n", cases[i].says[k], watched);
			CU_ASSERT_PTR_NOT_NULL(strstr(watched, cases[i].says[k]));
		}
		frame_send(&f, cases[i].in, 0); /* one was asked for */
		CU_ASSERT_EQUAL(trace_drain(keep, NULL), 0);
		stop();
		node_check();
	}
}

/** A packet that waits in control is followed on when it comes back; one that control takes for itself ends there. */
static void test_trace_by_way_of_control(void)
{
	struct ask a = { "10.244.1.10", "198.51.100.7", .sport = 1, .dport = 2 };
	struct rte_mbuf *m;

	node_start();
	trace_start("udp", NULL, 1);
	frame_make(&f, POD_A, &a);
	frame_send(&f, POD_A, 0);
	CU_ASSERT_EQUAL(trace_drain(keep, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(punt_receive(&m, 1), 1);
	inject_adjacency(m, adj.router, false);
	injected();
	CU_ASSERT_EQUAL(trace_drain(keep, NULL), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(watched, "hold\tresolving"));
	CU_ASSERT_PTR_NOT_NULL(strstr(watched, "send\teth0"));
	stop();
	trace_start("arp", "eth0", 1);
	memset(&f, 0, sizeof(f));
	memset(f.bytes, 0xff, 6);
	memcpy(f.bytes + 6, station[ETH].bytes, 6);
	memcpy(f.bytes + 12, "\x08\x06\0\1\x08\0\6\4\0\1", 10);
	f.len = ETHER + 28;
	frame_send(&f, ETH, 0);
	CU_ASSERT_EQUAL(trace_drain(keep, NULL), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(watched, "punt\t"));
	CU_ASSERT_EQUAL_FATAL(punt_receive(&m, 1), 1);
	inject_frame(m, POD_B, false);
	injected();
	stop();
	node_check();
}

static void test_trace_filter_and_count(void)
{
	struct ask a = { "10.244.1.10", "10.244.1.11", .sport = 1, .dport = 53 };

	node_start();
	trace_start("udp port 53", "pod:a", 2);
	for (uint16_t port = 51; port < 56; port++) {
		a.dport = port;
		frame_make(&f, POD_A, &a);
		frame_send(&f, POD_A, port == 53 ? 20 : 0);
	}
	CU_ASSERT_EQUAL(trace_drain(keep, NULL), 1);
	CU_ASSERT_FALSE(observe_done());
	a = (struct ask){ "10.244.1.11", "10.244.1.10", .sport = 53, .dport = 9 };
	frame_make(&f, POD_B, &a);
	frame_send(&f, POD_B, 0); /* another port */
	CU_ASSERT_EQUAL(trace_drain(keep, NULL), 0);
	stop();
	node_check();
}

/* --- capture --- */

static void test_capture(void)
{
	struct observe_conf conf = { .points = OBSERVE_RX | OBSERVE_TX | OBSERVE_DROP };
	struct ask a = { "10.244.1.10", "10.244.2.7", .sport = 1000, .dport = 53, .payload = 100 };
	struct ask b = { "fd00:244:1::10", "fd00:9::1", .proto = IPPROTO_TCP, .sport = 2000,
		.dport = 80 };
	struct error err;

	node_start();
	CU_ASSERT_EQUAL_FATAL(observe_start(&conf, &err), 0);
	frame_make(&f, POD_A, &a);
	frame_send(&f, POD_A, 50);
	frame_make(&f, POD_A, &b);
	frame_send(&f, POD_A, 0);
	watched_read_back("-vv");
	watched_expect("10.244.1.10.1000 > 10.244.2.7.53");
	watched_expect("192.0.2.1.");
	watched_expect("VXLAN");
	watched_expect("fd00:244:1::10.2000 > fd00:9::1.80");
	CU_ASSERT_PTR_NULL(strstr(watched, "bad"));
	CU_ASSERT_PTR_NULL(strstr(watched, "wrong"));
	CU_ASSERT_PTR_NULL(strstr(watched, "truncated"));
	CU_ASSERT_EQUAL(observe_missed(), 0);
	stop();
	node_check();
}

static void test_capture_comments(void)
{
	struct observe_conf conf = {
		.points = OBSERVE_DROP, .count = 1, .snaplen = 40, .filter = "ip6"
	};
	struct ask a = { "fd00:244:1::10", "fd00:9::1", .sport = 2000, .dport = 80 };
	static uint8_t file[4096];
	struct error err;
	size_t len;

	node_start();
	CU_ASSERT_EQUAL_FATAL(observe_start(&conf, &err), 0);
	frame_make(&f, POD_A, &a);
	frame_send(&f, POD_A, 0);
	frame_send(&f, POD_A, 0); /* one was asked for */
	CU_ASSERT_FALSE(observe_done());
	FILE *out = fmemopen(file, sizeof(file), "w");
	CU_ASSERT_EQUAL(capture_drain(watched_write, out), 1);
	len = (size_t)ftell(out);
	fclose(out);
	CU_ASSERT_TRUE(observe_done());
	CU_ASSERT_PTR_NOT_NULL(memmem(file, len, "drop port=pod:a reason=route_blackhole", 38));
	CU_ASSERT_PTR_NOT_NULL(memmem(file, len, f.bytes, 40)); /* the snaplen */
	CU_ASSERT_PTR_NULL(memmem(file, len, f.bytes, 41));
	stop();
	node_check();
}

/** The inner packets of tunnels, one with and one without an Ethernet header. */
static void test_capture_inner(void)
{
	struct observe_conf conf = { .points = OBSERVE_INNER, .filter = "host 10.244.1.10" };
	struct ask a = { "10.244.4.7", "10.244.1.10", .sport = 1000, .dport = 53, .payload = 100 };
	struct error err;

	node_start();
	CU_ASSERT_EQUAL_FATAL(observe_start(&conf, &err), 0);
	frame_make(&f, ETH, &a);
	frame_encapsulate(&f, ENCAP_VXLAN, "192.0.2.2", "192.0.2.1", 4096, 4789);
	frame_send(&f, ETH, 0);
	a.sport = 1001;
	frame_make(&f, ETH, &a);
	frame_encapsulate(&f, ENCAP_IPIP, "2001:db8::2", "2001:db8::1", 0, 0);
	frame_send(&f, ETH, 0);
	watched_read_back("-vv");
	watched_expect("10.244.4.7.1000 > 10.244.1.10.53");
	watched_expect("10.244.4.7.1001 > 10.244.1.10.53");
	CU_ASSERT_PTR_NULL(strstr(watched, "VXLAN"));
	stop();
	node_check();
}

static const struct test_case cases[] = {
	{ "refused", test_refused },
	{ "trace", test_trace },
	{ "trace by way of control", test_trace_by_way_of_control },
	{ "trace: filter and count", test_trace_filter_and_count },
	{ "capture", test_capture },
	{ "capture: comments and length", test_capture_comments },
	{ "capture: inner packets", test_capture_inner },
};

SUITE_MAIN("observe", cases)
