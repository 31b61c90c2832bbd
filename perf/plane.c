/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/plane.h"

#include "dataplane/arp_nd.h"
#include "dataplane/forwarding.h"
#include "dataplane/worker.h"
#include "perf/bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PEER_UNDERLAY "192.0.2.2"
#define SELF_UNDERLAY "192.0.2.1"

const struct plane_scenario plane_scenarios[] = {
	{ "ipv4-l3", false, PLANE_L3, "direct" },
	{ "ipv4-vxlan-encap", false, PLANE_ENCAP, "vxlan" },
	{ "ipv4-vxlan-decap", false, PLANE_DECAP, "vxlan" },
	{ "ipv4-ipip-encap", false, PLANE_ENCAP, "ipip" },
	{ "ipv4-ipip-decap", false, PLANE_DECAP, "ipip" },
	{ "ipv4-new-flow", false, PLANE_NEW_FLOW, "vxlan" },
	{ "ipv6-l3", true, PLANE_L3, "direct" },
	{ "ipv6-vxlan-encap", true, PLANE_ENCAP, "vxlan" },
	{ "ipv6-vxlan-decap", true, PLANE_DECAP, "vxlan" },
	{ "ipv6-ipip-encap", true, PLANE_ENCAP, "ipip" },
	{ "ipv6-ipip-decap", true, PLANE_DECAP, "ipip" },
	{ "ipv6-new-flow", true, PLANE_NEW_FLOW, "vxlan" },
	{ NULL },
};

const struct plane_scenario *plane_scenario_find(const char *name)
{
	for (const struct plane_scenario *s = plane_scenarios; s->name != NULL; s++) {
		if (strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

void plane_isa_names(const char *separator, char *text, size_t size)
{
	size_t used = 0;

	for (unsigned i = 0; burst_variants[i] != NULL && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? separator : "",
			burst_variants[i]->name);
}

/* --- memory ports ----------------------------------------------------------------------------------------------- */

/** A line each: two workers that count must not disturb each other. */
static struct {
	uint64_t packets;
} __rte_cache_aligned sent[PLANE_WORKERS_MAX];

static uint16_t no_rx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)port;
	(void)queue;
	(void)pkts;
	(void)n;
	return 0;
}

static uint16_t count_tx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)port;
	(void)pkts;
	sent[queue].packets += n;
	return n;
}

/** As count_tx, for a burst that is looked at: the one that is timed has no word about it. */
static struct {
	struct plane_taken *items;
	uint32_t size, count;
} taken;

static uint16_t take_tx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++, taken.count++) {
		if (taken.count < taken.size)
			taken.items[taken.count] = (struct plane_taken){ port, pkts[i] };
	}
	return count_tx(port, queue, pkts, n);
}

uint64_t plane_sent(unsigned id)
{
	return sent[id].packets;
}

/** What a driver's close must find again when the port goes: every driver has a copy of the memory operations. */
static struct port_ops memory_ops[8];

uint32_t plane_take(struct plane_taken *items, uint32_t size)
{
	uint32_t count = taken.count;

	taken.items = items;
	taken.size = size;
	taken.count = 0;
	for (size_t i = 0; i < RTE_DIM(memory_ops); i++)
		memory_ops[i].tx_burst = items != NULL ? take_tx : count_tx;
	return count;
}

static void make_memory(struct port *port, unsigned n_workers)
{
	struct port_ops *ops = NULL;

	for (size_t i = 0; i < RTE_DIM(memory_ops); i++) {
		if (port->ops == &memory_ops[i])
			return;
		if (ops == NULL &&
			(memory_ops[i].close == port->ops->close || memory_ops[i].close == NULL))
			ops = &memory_ops[i];
	}
	if (ops == NULL)
		bench_die("more port drivers than the bench knows", NULL);
	*ops = (struct port_ops){
		.name = "memory", .close = port->ops->close, .rx_burst = no_rx, .tx_burst = count_tx
	};
	port->ops = ops;
	port->n_txq = (uint16_t)n_workers;
	port->tx_shared = false;
	atomic_store(&port->link_up, true);
	atomic_store(&port->forwarding, true);
}

static void make_all_memory(unsigned n_workers)
{
	for (uint16_t id = 0; id < PORT_MAX; id++) {
		struct port *port = port_get(id);

		if (port != NULL)
			make_memory(port, n_workers);
	}
}

/* --- set-up through the daemon's own objects ------------------------------------------------------------------- */

static void config_text(char *buf, size_t size, const struct plane *plane, const char *dir)
{
	const struct plane_conf *c = &plane->conf;
	uint32_t entries = c->flow_entries != 0 ? c->flow_entries : 1u << 20;
	uint32_t buffers = c->buffers + 4096;
	/* A buffer of 2 KiB with its headers takes 2.4; large ones and DPDK's own tables come on top. */
	uint32_t memory_mb = 64 + (uint32_t)((uint64_t)buffers * 2560 >> 20);
	char cpus[128] = "";
	size_t used = 0;

	for (unsigned i = 0; i < plane->n_workers; i++)
		used += (size_t)snprintf(cpus + used, sizeof(cpus) - used, "%s%d",
			i > 0 ? ", " : "", c->cpus != NULL ? c->cpus[i] : (int)i);
	snprintf(buf, size,
		"node: { name = \"bench\"; vtep_mac = \"02:00:c0:00:02:01\"; hugepages = \"%s\"; "
		"memory_mb = %u;"
		" buffers = %u; flows = %u; flows6 = %u; host_interface = \"\"; metrics_listen = "
		"\"\";"
		" flow_timeout_s = 3600; worker_cpus = [ %s ]; };\n"
		"uplinks: ( { name = \"eth0\"; driver = \"ethdev\"; device = \"net_null_bench\"; "
		"mtu = 9000;"
		" addresses = [ \"" SELF_UNDERLAY "/24\", \"2001:db8::1/64\" ]; } );\n"
		"pools: ( { name = \"p4\"; cidr = \"10.244.1.0/24\"; }, { name = \"p6\"; cidr = "
		"\"fd00:244:1::/64\"; } );\n"
		"peers: ( { name = \"node-b\"; underlay = [ \"" PEER_UNDERLAY
		"\" ]; vtep_mac = \"02:00:c0:00:02:02\";"
		" pod_cidrs = [ \"10.245.0.0/16\", \"fd00:245::/48\" ]; encap = \"%s\"; } );\n"
		"pods: ( { name = \"a\"; kind = \"memif\"; socket = \"%s/a\"; mac = "
		"\"02:00:00:00:00:0a\";"
		" addresses = [ \"10.244.1.10\", \"fd00:244:1::10\" ]; },\n"
		"        { name = \"b\"; kind = \"memif\"; socket = \"%s/b\"; mac = "
		"\"02:00:00:00:00:0b\";"
		" addresses = [ \"10.244.1.11\", \"fd00:244:1::11\" ]; } );\n",
		c->small_pages ? "off" : "auto", memory_mb, buffers, entries, entries, cpus,
		c->scenario->encap, dir, dir);
}

void plane_route_prefix(bool v6, uint32_t i, char *text, size_t size)
{
	if (v6)
		snprintf(text, size, "2a00:%x:%x::/48", i >> 16, i & 0xffff);
	else
		snprintf(text, size, "%u.%u.%u.0/24", 11 + (i >> 16), (i >> 8) & 0xff, i & 0xff);
}

void plane_route_put(struct changeset *set, const char *prefix)
{
	json_t *json = json_pack("{s:s, s:[{s:s}]}", "prefix", prefix, "via", "peer", "node-b");
	struct error err = { 0 };
	struct object *obj;

	if (object_from_json(OBJECT_ROUTE, json, &obj, &err) < 0 ||
		changeset_put(set, obj, &err) < 0)
		bench_die("route", &err);
	json_decref(json);
}

#define RULES_A_POLICY 100

/** Policies whose rules, with a prefix and a range of ports each, no packet of a scenario matches, but for the very last. */
static void put_rules(struct changeset *set, uint32_t count, bool v6)
{
	for (uint32_t done = 0; done < count;) {
		json_t *rules = json_array();
		struct error err = { 0 };
		struct object *obj;
		char name[32], prefix[64], range[16];

		snprintf(name, sizeof(name), "p%07u", done);
		for (uint32_t i = 0; i < RULES_A_POLICY && done < count; i++, done++) {
			if (done == count - 1) {
				json_array_append_new(rules, json_pack("{s:s}", "action", "allow"));
				continue;
			}
			if (v6)
				snprintf(prefix, sizeof(prefix), "fd01:%x:%x::/48", done >> 16,
					done & 0xffff);
			else
				snprintf(prefix, sizeof(prefix), "%u.%u.%u.0/24",
					192 + (done >> 16), done >> 8 & 0xff, done & 0xff);
			snprintf(range, sizeof(range), "%u:%u", 1 + done % 60000, 4 + done % 60000);
			json_array_append_new(
				rules, json_pack("{s:s, s:[s], s:s, s:[s]}", "action", "allow",
					       "destination_cidrs", prefix, "protocol", "udp",
					       "destination_ports", range));
		}
		if (object_from_json(OBJECT_POLICY,
			    json_pack("{s:s, s:[s], s:o}", "name", name, "types", "egress",
				    "egress", rules),
			    &obj, &err) < 0 ||
			changeset_put(set, obj, &err) < 0)
			bench_die("policy", &err);
	}
}

void plane_commit(struct plane *plane, struct changeset *set)
{
	struct error err = { 0 };
	struct forwarding_txn *txn;
	const struct change *changes;
	size_t count;

	if (changeset_validate(set, &err) < 0)
		bench_die("configuration", &err);
	changes = changeset_changes(set, &count);
	if (forwarding_prepare(set, changes, count, &txn, &err) < 0)
		bench_die("prepare", &err);
	forwarding_commit(txn);
	make_all_memory(plane->n_workers);
	model_apply(plane->model, set, NULL);
	changeset_free(set);
}

/** The neighbour answers, as if a worker had received it. */
static void learn_peer(struct plane *plane)
{
	struct mac_addr peer_mac = { { 2, 0, 0, 0, 2, 2 } };
	struct ip_addr peer, self;
	struct rte_mbuf *m;

	ip_addr_parse(PEER_UNDERLAY, &peer);
	ip_addr_parse(SELF_UNDERLAY, &self);
	m = neighbour_reply_make(
		plane->pool, &peer, &peer_mac, &self, &plane->uplink->mac, false, true, true);
	if (m == NULL)
		bench_die("no buffer", NULL);
	m->port = plane->uplink->id;
	pkt_note(m)->kind = PUNT_NEIGHBOUR;
	pkt_note(m)->port = plane->uplink->id;
	forwarding_punted(m);
}

extern const struct tunnel_ops *const tunnel_types[];

void plane_start(struct plane *plane, const struct plane_conf *conf)
{
	char dir[] = "/tmp/podlane-bench-XXXXXX", text[2048], prefix[PREFIX_TEXT_MAX];
	struct error err = { 0 };
	struct changeset *set;

	*plane = (struct plane){ .conf = *conf,
		.n_workers = conf->workers > 0 ? conf->workers : 1,
		.model = model_new() };
	if (plane->n_workers > PLANE_WORKERS_MAX)
		bench_die("too many workers", NULL);
	if (plane->conf.buffers == 0)
		plane->conf.buffers = 8192;
	if (mkdtemp(dir) == NULL)
		bench_die("cannot make a temporary directory", NULL);
	set = changeset_new(plane->model);
	config_text(text, sizeof(text), plane, dir);
	if (config_load_text(text, "bench", set, &err) < 0)
		bench_die("configuration", &err);
	for (uint32_t i = 0; i < conf->routes; i++) {
		plane_route_prefix(conf->scenario->v6, i, prefix, sizeof(prefix));
		plane_route_put(set, prefix);
	}
	put_rules(set, conf->rules, conf->scenario->v6);
	if (dataplane_start(&changeset_find(set, OBJECT_NODE, "bench")->node, tunnel_types, &err) <
		0)
		bench_die("start", &err);
	if (conf->isa != NULL && burst_select(conf->isa) < 0) {
		fprintf(stderr, "podlane-bench: this CPU does not have %s\n", conf->isa);
		exit(BENCH_EXIT_UNABLE);
	}
	/* The threads end before there is anything to poll. */
	for (unsigned id = 0; id < plane->n_workers; id++)
		plane->workers[id] = dataplane_borrow_worker(id);
	plane->pool = plane->workers[0]->pool;
	plane_commit(plane, set);
	plane->uplink = port_find("eth0");
	plane->pod_a = port_find("pod:a");
	plane->pod_b = port_find("pod:b");
	if (plane->uplink == NULL || plane->pod_a == NULL || plane->pod_b == NULL)
		bench_die("a port is missing", NULL);
	learn_peer(plane);
	/* The sockets stay open without their names. */
	snprintf(text, sizeof(text), "%s/a", dir);
	unlink(text);
	snprintf(text, sizeof(text), "%s/b", dir);
	unlink(text);
	rmdir(dir);
}

void plane_pages(char *text, size_t size)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	unsigned long anonymous = 0, huge = 0;
	struct memory_info memory;
	char line[256];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		sscanf(line, "Anonymous: %lu kB", &anonymous);
		sscanf(line, "AnonHugePages: %lu kB", &huge);
	}
	if (f != NULL)
		fclose(f);
	dataplane_memory(&memory);
	snprintf(text, size, "packet memory in %s pages, other memory in 2 MiB pages to %lu %%",
		memory.hugepages ? "2 MiB" : "4 KiB", anonymous > 0 ? 100 * huge / anonymous : 0);
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

struct worker *plane_enter(struct plane *plane, unsigned id)
{
	struct worker *w = plane->workers[id];
	cpu_set_t one;

	if (plane->n_workers > 1 && w->cpu >= 0) {
		CPU_ZERO(&one);
		CPU_SET((size_t)w->cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) < 0)
			bench_die("a worker's CPU cannot be used", NULL);
	}
	if (rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() < 0)
		bench_die("a thread cannot register with DPDK", NULL);
	rcu_reader_register(id);
	plane_burst_begin(w);
	return w;
}

void plane_leave(struct plane *plane, unsigned id)
{
	flow_worker_flush(plane->workers[id]->flows, id);
	rcu_reader_unregister(id);
	if (rte_lcore_id() != rte_get_main_lcore())
		rte_thread_unregister();
}
