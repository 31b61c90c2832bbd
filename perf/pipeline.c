/* SPDX-License-Identifier: Apache-2.0 */
/** podlane-bench pipeline: TSC cycles a packet of the daemon's real packet path (worker_burst to the hand-over to the
 * output port), in process, without I/O. The data plane is started and configured through the same objects as the daemon;
 * then the ports' burst functions are replaced by memory and one worker's stages run on this thread.
 *
 * warm: a few hundred packets are used again and again, so they stay in the first caches. cold: more packets than the L2
 * cache holds are prepared first and then run through once.
 */
#include "perf/bench.h"

#include "config/schema.h"
#include "dataplane/arp_nd.h"
#include "dataplane/forwarding.h"
#include "dataplane/generation.h"
#include "dataplane/loop.h"
#include "dataplane/worker.h"

#include <getopt.h>
#include <rte_cycles.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARM_PACKETS  256
#define COLD_PACKETS  16384
#define TEMPLATE_MAX  160
#define PEER_UNDERLAY "192.0.2.2"

enum work { WORK_L3, WORK_ENCAP, WORK_DECAP, WORK_NEW_FLOW };

static const struct scenario {
	const char *name;
	bool v6;
	enum work work;
	const char *encap;
} scenarios[] = {
	{ "ipv4-l3", false, WORK_L3, "direct" },
	{ "ipv4-vxlan-encap", false, WORK_ENCAP, "vxlan" },
	{ "ipv4-vxlan-decap", false, WORK_DECAP, "vxlan" },
	{ "ipv4-ipip-encap", false, WORK_ENCAP, "ipip" },
	{ "ipv4-ipip-decap", false, WORK_DECAP, "ipip" },
	{ "ipv4-new-flow", false, WORK_NEW_FLOW, "vxlan" },
	{ "ipv6-l3", true, WORK_L3, "direct" },
	{ "ipv6-vxlan-encap", true, WORK_ENCAP, "vxlan" },
	{ "ipv6-vxlan-decap", true, WORK_DECAP, "vxlan" },
	{ "ipv6-ipip-encap", true, WORK_ENCAP, "ipip" },
	{ "ipv6-ipip-decap", true, WORK_DECAP, "ipip" },
	{ "ipv6-new-flow", true, WORK_NEW_FLOW, "vxlan" },
};

static struct {
	const struct scenario *scenario;
	uint32_t flows, size, routes, repeats;
	uint32_t frame;             /* bytes in the buffer: size without its checksum, and outer headers */
	bool cold, json;
	struct worker *w;
	struct port *in;            /* where the scenario's packets arrive */
	struct rte_mbuf **packets;
	uint32_t n_packets;
	uint8_t template[TEMPLATE_MAX];
	uint32_t template_len, inner_ip, inner_l4; /* offsets of what differs a flow */
	uint64_t sent;              /* by the memory ports */
	uint32_t next_flow;
} b;

/* --- memory ports ----------------------------------------------------------------------------------------------- */

static uint16_t no_rx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)port;
	(void)queue;
	(void)pkts;
	(void)n;
	return 0;
}

/** The bench owns its packets and uses them again: a sent packet is only counted. */
static uint16_t count_tx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)port;
	(void)queue;
	(void)pkts;
	b.sent += n;
	return n;
}

static struct port_ops memory_ops = { .name = "memory", .rx_burst = no_rx, .tx_burst = count_tx };

/* --- set-up through the daemon's own objects ------------------------------------------------------------------- */

static void die(const char *what, const struct error *err)
{
	fprintf(stderr, "podlane-bench: %s%s%s\n", what, err != NULL ? ": " : "", err != NULL ? err->text : "");
	exit(1);
}

static const char *config_text(char *buf, size_t size, const char *dir)
{
	uint32_t entries = b.scenario->work == WORK_NEW_FLOW ? 1u << 20 : RTE_MAX(1u << 20, b.flows * 4);

	snprintf(buf, size,
		"node: { name = \"bench\"; vtep_mac = \"02:00:c0:00:02:01\"; hugepages = \"auto\"; memory_mb = 256;"
		" buffers = 32768; flows = %u; flows6 = %u; host_interface = \"\"; metrics_listen = \"\";"
		" flow_timeout_s = 3600; };\n"
		"uplinks: ( { name = \"eth0\"; driver = \"ethdev\"; device = \"net_null_bench\"; mtu = 9000;"
		" addresses = [ \"192.0.2.1/24\", \"2001:db8::1/64\" ]; } );\n"
		"pools: ( { name = \"p4\"; cidr = \"10.244.1.0/24\"; }, { name = \"p6\"; cidr = \"fd00:244:1::/64\"; } );\n"
		"peers: ( { name = \"node-b\"; underlay = [ \"192.0.2.2\" ]; vtep_mac = \"02:00:c0:00:02:02\";"
		" pod_cidrs = [ \"10.245.0.0/16\", \"fd00:245::/48\" ]; encap = \"%s\"; } );\n"
		"pods: ( { name = \"a\"; kind = \"memif\"; socket = \"%s/a\"; mac = \"02:00:00:00:00:0a\";"
		" addresses = [ \"10.244.1.10\", \"fd00:244:1::10\" ]; },\n"
		"        { name = \"b\"; kind = \"memif\"; socket = \"%s/b\"; mac = \"02:00:00:00:00:0b\";"
		" addresses = [ \"10.244.1.11\", \"fd00:244:1::11\" ]; } );\n",
		entries, entries, b.scenario->encap, dir, dir);
	return buf;
}

static void add_routes(struct changeset *set)
{
	struct error err = { 0 };

	for (uint32_t i = 0; i < b.routes; i++) {
		char prefix[PREFIX_TEXT_MAX];
		struct object *obj;
		json_t *json;

		if (b.scenario->v6)
			snprintf(prefix, sizeof(prefix), "2a00:%x:%x::/48", i >> 16, i & 0xffff);
		else
			snprintf(prefix, sizeof(prefix), "%u.%u.%u.0/24", 11 + (i >> 16), (i >> 8) & 0xff, i & 0xff);
		json = json_pack("{s:s, s:[{s:s}]}", "prefix", prefix, "via", "peer", "node-b");
		if (object_from_json(OBJECT_ROUTE, json, &obj, &err) < 0 || changeset_put(set, obj, &err) < 0)
			die("route", &err);
		json_decref(json);
	}
}

static void learn_peer(void)
{
	struct ip_addr peer, self;
	struct mac_addr peer_mac = { { 2, 0, 0, 0, 2, 2 } }, self_mac;
	struct port *uplink = port_find("eth0");
	struct rte_mbuf *m;

	self_mac = uplink->mac;
	ip_addr_parse(PEER_UNDERLAY, &peer);
	ip_addr_parse("192.0.2.1", &self);
	m = neighbour_reply_make(b.w->pool, &peer, &peer_mac, &self, &self_mac, false, true, true);
	if (m == NULL)
		die("no buffer", NULL);
	m->port = uplink->id;
	pkt_note(m)->kind = PUNT_NEIGHBOUR;
	pkt_note(m)->port = uplink->id;
	forwarding_punted(m);
}

extern const struct tunnel_ops *const tunnel_types[];

static void set_up(void)
{
	struct error err = { 0 };
	struct model *model = model_new();
	struct changeset *set = changeset_new(model);
	const struct change *changes;
	struct forwarding_txn *txn;
	const struct node *node;
	char dir[] = "/tmp/podlane-bench-XXXXXX", text[2048];
	size_t count;

	if (mkdtemp(dir) == NULL)
		die("cannot make a temporary directory", NULL);
	if (config_load_text(config_text(text, sizeof(text), dir), "bench", set, &err) < 0)
		die("configuration", &err);
	add_routes(set);
	node = &changeset_find(set, OBJECT_NODE, "bench")->node;
	if (changeset_validate(set, &err) < 0 || dataplane_start(node, tunnel_types, &err) < 0)
		die("start", &err);
	changes = changeset_changes(set, &count);
	if (forwarding_prepare(set, changes, count, &txn, &err) < 0)
		die("prepare", &err);
	forwarding_commit(txn);
	b.w = dataplane_borrow_worker(0);
	rcu_reader_register(0);
	learn_peer();
	for (uint16_t id = 0; id < PORT_MAX; id++) {
		struct port *port = port_get(id);

		if (port == NULL)
			continue;
		memory_ops.close = port->ops->close;
		port->ops = &memory_ops;
		atomic_store(&port->link_up, true);
		atomic_store(&port->forwarding, true);
	}
	b.in = port_find(b.scenario->work == WORK_DECAP ? "eth0" : "pod:a");
	if (b.in == NULL)
		die("the input port is missing", NULL);
	b.w->epoch = generation_epoch();
	b.w->tables = rcu_read(&tables);
	rmdir(dir);
}

/* --- packets ---------------------------------------------------------------------------------------------------- */

static uint32_t put_inner(uint8_t *at, bool v6, const char *src, const char *dst, uint16_t ip_len)
{
	struct ip_addr s, d;

	ip_addr_parse(src, &s);
	ip_addr_parse(dst, &d);
	if (v6) {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)at;

		*ip = (struct rte_ipv6_hdr){ .vtc_flow = rte_cpu_to_be_32(6u << 28),
			.payload_len = rte_cpu_to_be_16((uint16_t)(ip_len - sizeof(*ip))),
			.proto = IPPROTO_UDP,
			.hop_limits = 64 };
		memcpy(ip->src_addr, s.bytes, 16);
		memcpy(ip->dst_addr, d.bytes, 16);
		return sizeof(*ip);
	}
	{
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;

		*ip = (struct rte_ipv4_hdr){ .version_ihl = 0x45,
			.total_length = rte_cpu_to_be_16(ip_len),
			.time_to_live = 64,
			.next_proto_id = IPPROTO_UDP };
		memcpy(&ip->src_addr, s.bytes, 4);
		memcpy(&ip->dst_addr, d.bytes, 4);
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		return sizeof(*ip);
	}
}

static uint8_t *put_ether(uint8_t *at, const struct mac_addr *dst, const struct mac_addr *src, uint16_t type)
{
	memcpy(at, dst->bytes, 6);
	memcpy(at + 6, src->bytes, 6);
	at[12] = (uint8_t)(type >> 8);
	at[13] = (uint8_t)type;
	return at + 14;
}

/** The headers of one packet; a flow differs in its ports (and, towards the peer, the last bytes of the destination). */
static void make_template(void)
{
	const struct scenario *s = b.scenario;
	uint16_t type = s->v6 ? 0x86dd : 0x0800;
	uint32_t min_ip = (s->v6 ? 40u : 20u) + 8;
	uint16_t ip_len = (uint16_t)RTE_MAX(b.size - 18, min_ip); /* frame sizes count the checksum, RFC 2544 */
	struct mac_addr pod = { { 2, 0, 0, 0, 0, 0x0a } }, peer = { { 2, 0, 0, 0, 2, 2 } };
	struct mac_addr vtep_a = { { 2, 0, 0xc0, 0, 2, 1 } }, vtep_b = { { 2, 0, 0xc0, 0, 2, 2 } };
	const char *local = s->v6 ? "fd00:244:1::10" : "10.244.1.10";
	const char *remote = s->v6 ? "fd00:245::10" : "10.245.0.10";
	const char *dst = s->work == WORK_L3 ? (s->v6 ? "fd00:244:1::11" : "10.244.1.11") : remote;
	uint8_t *at = b.template;
	struct rte_udp_hdr *udp;

	if (s->work == WORK_DECAP) {
		bool vxlan = strcmp(s->encap, "vxlan") == 0;
		uint16_t outer = (uint16_t)(20 + (vxlan ? 8 + 8 + 14 : 0) + ip_len);
		struct rte_ipv4_hdr *ip;

		at = put_ether(at, &b.in->mac, &peer, 0x0800);
		ip = (struct rte_ipv4_hdr *)at;
		at += put_inner(at, false, PEER_UNDERLAY, "192.0.2.1", outer);
		ip->next_proto_id = vxlan ? IPPROTO_UDP : s->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		if (vxlan) {
			udp = (struct rte_udp_hdr *)at;
			*udp = (struct rte_udp_hdr){ rte_cpu_to_be_16(50000), rte_cpu_to_be_16(8472),
				rte_cpu_to_be_16((uint16_t)(outer - 20)), 0 };
			at += sizeof(*udp);
			memcpy(at, "\x08\0\0\0\0\0\1\0", 8);
			at = put_ether(at + 8, &vtep_a, &vtep_b, type);
		}
		b.inner_ip = (uint32_t)(at - b.template);
		at += put_inner(at, s->v6, remote, local, ip_len);
	} else {
		at = put_ether(at, &b.in->mac, &pod, type);
		b.inner_ip = (uint32_t)(at - b.template);
		at += put_inner(at, s->v6, local, dst, ip_len);
	}
	b.inner_l4 = (uint32_t)(at - b.template);
	udp = (struct rte_udp_hdr *)at;
	*udp = (struct rte_udp_hdr){ .dgram_len = rte_cpu_to_be_16((uint16_t)(ip_len - (s->v6 ? 40 : 20))) };
	b.template_len = b.inner_l4 + sizeof(*udp);
	b.frame = b.inner_ip + ip_len;
}

/** With a route table, destinations are spread over its prefixes. */
static void put_destination(uint8_t *at, uint32_t flow)
{
	uint32_t route = (uint32_t)(((uint64_t)flow * 2246822519u) % b.routes);

	if (b.scenario->v6) {
		uint16_t words[2] = { rte_cpu_to_be_16((uint16_t)(route >> 16)), rte_cpu_to_be_16((uint16_t)route) };
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)at;

		memset(ip->dst_addr, 0, sizeof(ip->dst_addr));
		ip->dst_addr[0] = 0x2a;
		memcpy(ip->dst_addr + 2, words, sizeof(words));
		ip->dst_addr[15] = 9;
	} else {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;

		ip->dst_addr = rte_cpu_to_be_32((11u << 24) + (route << 8) + 9);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	}
}

/** Prepare packets as a port would hand them over: flow numbers go round, scattered so that neighbours in a burst are not
 * neighbours in the table. */
static void prepare(uint32_t first_flow)
{
	for (uint32_t i = 0; i < b.n_packets; i++) {
		uint32_t flow = b.scenario->work == WORK_NEW_FLOW ? first_flow + i
							       : (uint32_t)(((uint64_t)(first_flow + i) * 2654435761u) % b.flows);
		struct rte_mbuf *m = b.packets[i];
		uint8_t *data;
		uint16_t ports_be[2];

		m->data_off = RTE_PKTMBUF_HEADROOM;
		m->data_len = (uint16_t)b.frame;
		m->pkt_len = b.frame;
		m->ol_flags = 0;
		m->nb_segs = 1;
		m->next = NULL;
		data = rte_pktmbuf_mtod(m, uint8_t *);
		memcpy(data, b.template, b.template_len);
		ports_be[0] = rte_cpu_to_be_16((uint16_t)(1024 + flow % 50000));
		ports_be[1] = rte_cpu_to_be_16((uint16_t)(5000 + flow / 50000));
		memcpy(data + b.inner_l4, ports_be, sizeof(ports_be));
		if (b.routes > 0 && (b.scenario->work == WORK_ENCAP || b.scenario->work == WORK_NEW_FLOW))
			put_destination(data + b.inner_ip, flow);
	}
}

/* --- measuring --------------------------------------------------------------------------------------------------- */

static uint64_t run_once(uint32_t first_flow)
{
	uint64_t cycles = 0, start;

	prepare(first_flow);
	for (uint32_t i = 0; i < b.n_packets; i += VECTOR_SIZE) {
		uint16_t n = (uint16_t)RTE_MIN(b.n_packets - i, (uint32_t)VECTOR_SIZE);

		memcpy(b.w->pkts, b.packets + i, n * sizeof(b.packets[0]));
		start = bench_tsc();
		worker_burst(b.w, b.in, n);
		worker_flush(b.w);
		cycles += bench_tsc() - start;
		rcu_quiescent(0);
	}
	return cycles;
}

/** Cycles of parsing and of looking up alone, over the same packets. */
static void run_stages(uint32_t first_flow, double *parse, double *lookup)
{
	const struct scenario *s = b.scenario;
	struct pkt *list[VECTOR_SIZE];
	uint64_t parse_cycles = 0, lookup_cycles = 0, start;
	uint32_t n_total = 0;

	prepare(first_flow);
	for (uint32_t i = 0; i + VECTOR_SIZE <= b.n_packets; i += VECTOR_SIZE) {
		start = bench_tsc();
		for (uint32_t k = 0; k < VECTOR_SIZE; k++) {
			struct pkt *p = &b.w->meta[k];

			p->m = b.packets[i + k];
			pkt_parse_ether(p->m, p, b.in->id);
			list[k] = p;
		}
		parse_cycles += bench_tsc() - start;
		start = bench_tsc();
		for (uint32_t k = 0; k < VECTOR_SIZE; k++)
			list[k]->hash = s->v6 && s->work != WORK_DECAP ? flow_hash6(b.w->flows, &list[k]->key6)
								  : flow_hash4(b.w->flows, &list[k]->key4);
		if (s->v6 && s->work != WORK_DECAP)
			flow_lookup6(b.w->flows, list, b.w->found, VECTOR_SIZE);
		else
			flow_lookup4(b.w->flows, list, b.w->found, VECTOR_SIZE);
		lookup_cycles += bench_tsc() - start;
		n_total += VECTOR_SIZE;
	}
	*parse = (double)parse_cycles / n_total;
	*lookup = (double)lookup_cycles / n_total;
}

static void measure(void)
{
	struct samples total = { .count = 0 }, parse = { .count = 0 }, lookup = { .count = 0 };
	uint32_t rounds = b.scenario->work == WORK_NEW_FLOW ? 1 : RTE_MAX(1u, 65536u / b.n_packets);
	uint32_t flow = 0;
	uint64_t expected = b.sent;

	/* New flows come into a table whose memory has been used before, as in a daemon that runs for a while. */
	for (uint32_t i = 0; b.scenario->work == WORK_NEW_FLOW && i < 24; i++, flow += b.n_packets)
		run_once(flow);
	/* Every flow once, so that the timed packets all hit. */
	for (uint32_t seen = 0; b.scenario->work != WORK_NEW_FLOW && seen < b.flows + b.n_packets; seen += b.n_packets)
		run_once(seen);
	for (uint32_t r = 0; r < b.repeats; r++) {
		uint64_t cycles = 0;
		double p, l;

		if (b.scenario->work == WORK_NEW_FLOW) {
			flow_table_flush(b.w->flows);
			rcu_quiescent(0);
			rcu_reclaim();
		}
		expected = b.sent + (uint64_t)rounds * b.n_packets;
		for (uint32_t i = 0; i < rounds; i++, flow += b.n_packets)
			cycles += run_once(flow);
		if (b.sent != expected)
			die("not every packet was forwarded: the figures would be of drops", NULL);
		samples_add(&total, (double)cycles / ((double)rounds * b.n_packets));
		run_stages(flow, &p, &l);
		samples_add(&parse, p);
		samples_add(&lookup, l);
	}
	if (b.json) {
		printf("{\"scenario\":\"%s\",\"flows\":%u,\"size\":%u,\"memory\":\"%s\",\"routes\":%u,\"cycles\":{\"median\":%.1f,"
		       "\"min\":%.1f,\"max\":%.1f},\"instructions\":null,\"stages\":{\"parse\":%.1f,\"lookup\":%.1f},"
		       "\"machine\":\"%s\"}\n",
			b.scenario->name, b.flows, b.size, b.cold ? "cold" : "warm", b.routes, samples_median(&total),
			samples_min(&total), samples_max(&total), samples_median(&parse), samples_median(&lookup),
			bench_machine());
	} else {
		printf("%-18s %8u flows %5u B %s  %7.1f cycles/packet (%.1f to %.1f)  parse %.1f, lookup %.1f\n",
			b.scenario->name, b.flows, b.size, b.cold ? "cold" : "warm", samples_median(&total),
			samples_min(&total), samples_max(&total), samples_median(&parse), samples_median(&lookup));
	}
}

static void usage(void)
{
	printf("usage: podlane-bench pipeline --scenario NAME [--flows N] [--size BYTES] [--memory warm|cold] [--routes N]\n"
	       "                              [--repeats N] [--json]\n\nscenarios:");
	for (size_t i = 0; i < RTE_DIM(scenarios); i++)
		printf(" %s", scenarios[i].name);
	printf("\n");
}

static uint32_t number(const char *text, const char *what, uint32_t min, uint32_t max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || v < min || v > max) {
		fprintf(stderr, "podlane-bench: %s takes a number from %u to %u, not \"%s\"\n", what, min, max, text);
		exit(2);
	}
	return (uint32_t)v;
}

int bench_pipeline(int argc, char **argv)
{
	static const struct option options[] = { { "scenario", 1, NULL, 's' }, { "flows", 1, NULL, 'f' },
		{ "size", 1, NULL, 'b' }, { "memory", 1, NULL, 'm' }, { "routes", 1, NULL, 'r' },
		{ "repeats", 1, NULL, 'n' }, { "json", 0, NULL, 'j' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	int c;

	b.flows = 1000;
	b.size = 64;
	b.repeats = 11;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			for (size_t i = 0; i < RTE_DIM(scenarios); i++) {
				if (strcmp(optarg, scenarios[i].name) == 0)
					b.scenario = &scenarios[i];
			}
			if (b.scenario == NULL) {
				fprintf(stderr, "podlane-bench: there is no scenario %s\n", optarg);
				usage();
				return 2;
			}
			break;
		case 'f':
			b.flows = number(optarg, "--flows", 1, 2000000);
			break;
		case 'b':
			b.size = number(optarg, "--size", 64, 1900);
			break;
		case 'm':
			b.cold = strcmp(optarg, "cold") == 0;
			break;
		case 'r':
			b.routes = number(optarg, "--routes", 0, 2000000);
			break;
		case 'n':
			b.repeats = number(optarg, "--repeats", 1, 64);
			break;
		case 'j':
			b.json = true;
			break;
		default:
			usage();
			return c == 'h' ? 0 : 2;
		}
	}
	if (b.scenario == NULL) {
		usage();
		return 2;
	}
	set_up();
	make_template();
	b.n_packets = b.cold || b.scenario->work == WORK_NEW_FLOW ? COLD_PACKETS : WARM_PACKETS;
	b.packets = calloc(b.n_packets, sizeof(*b.packets));
	if (b.packets == NULL || rte_pktmbuf_alloc_bulk(b.w->pool, b.packets, b.n_packets) != 0)
		die("not enough packet buffers", NULL);
	measure();
	fflush(stdout);
	_exit(0); /* packets and ports were borrowed: nothing here is worth an orderly end */
}
