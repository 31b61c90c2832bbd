/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus text format 0.0.4. */
#include "ctrl/daemon/api.h"

#include "config/schema.h"
#include "ctrl/ipam/ipam.h"
#include "dataplane/adjacency.h"
#include "dataplane/counters.h"
#include "dataplane/forwarding.h"
#include "dataplane/kernel_flows.h"
#include "dataplane/policies.h"
#include "dataplane/rcu.h"
#include "dataplane/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define RULE_METRICS_MAX \
	2000 /* with more rules than this, a series each would be a burden: ask the API */

static void family(struct evbuffer *out, const char *name, const char *type, const char *help)
{
	evbuffer_add_printf(
		out, "# HELP podlane_%s %s\n# TYPE podlane_%s %s\n", name, help, name, type);
}

/** Backslash, quote and newline are escaped in label values. */
static void label(struct evbuffer *out, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			evbuffer_add(out, "\\n", 2);
		else if (*value == '\\' || *value == '"')
			evbuffer_add_printf(out, "\\%c", *value);
		else
			evbuffer_add(out, value, 1);
	}
}

static void labelled(
	struct evbuffer *out, const char *name, const char *key, const char *value, uint64_t number)
{
	evbuffer_add_printf(out, "podlane_%s{%s=\"", name, key);
	label(out, value);
	evbuffer_add_printf(out, "\"} %" PRIu64 "\n", number);
}

static void single(
	struct evbuffer *out, const char *name, const char *type, const char *help, uint64_t number)
{
	family(out, name, type, help);
	evbuffer_add_printf(out, "podlane_%s %" PRIu64 "\n", name, number);
}

static void packet_counters(struct evbuffer *out)
{
	struct counter_totals t;

	kernel_flows_harvest();
	counters_sum(&t);
	single(out, "packets_received_total", "counter", "Packets taken from ports.", t.received);
	single(out, "packets_generated_total", "counter", "Packets made by the daemon.",
		t.generated);
	single(out, "packets_transmitted_total", "counter", "Packets accepted by ports.",
		t.transmitted);
	single(out, "packets_delivered_total", "counter", "Packets consumed by the daemon itself.",
		t.delivered);
	family(out, "packets_held", "gauge",
		"Packets waiting for a neighbour or the control thread.");
	evbuffer_add_printf(out, "podlane_packets_held %" PRId64 "\n", t.held);
	family(out, "drops_total", "counter", "Packets dropped, by reason.");
	for (size_t i = DROP_NONE + 1; i < DROP_REASON_COUNT; i++)
		labelled(out, "drops_total", "reason", drop_reason_name((enum drop_reason)i),
			t.drops[i]);
	family(out, "events_total", "counter", "What workers did besides forwarding, by event.");
	for (size_t i = 0; i < EVENT_COUNT; i++)
		labelled(out, "events_total", "event", event_name((enum event)i), t.events[i]);
}

enum port_value {
	PORT_RX_PACKETS,
	PORT_RX_BYTES,
	PORT_TX_PACKETS,
	PORT_TX_BYTES,
	PORT_DROPS,
	PORT_RX_ERRORS,
	PORT_LINK_UP,
	PORT_FIXED_BYTES,
	PORT_RING_BYTES,
	PORT_BUFFERS
};

static uint64_t port_cost(const struct port *port, enum port_value which)
{
	struct port_memory m;

	port_memory(port, &m);
	if (which == PORT_BUFFERS)
		return (uint64_t)m.buffers + m.large_buffers;
	return which == PORT_RING_BYTES ? m.rings : m.fixed;
}

static uint64_t port_value(const struct port *port, enum port_value which)
{
	struct port_totals t;

	if (which >= PORT_FIXED_BYTES)
		return port_cost(port, which);
	counters_sum_port(port->id, &t);
	switch (which) {
	case PORT_RX_PACKETS:
		return t.rx_packets;
	case PORT_RX_BYTES:
		return t.rx_bytes;
	case PORT_TX_PACKETS:
		return t.tx_packets;
	case PORT_TX_BYTES:
		return t.tx_bytes;
	case PORT_DROPS:
		return t.drops;
	case PORT_RX_ERRORS:
		return counter_read(&port->rx_errors);
	case PORT_LINK_UP:
		return atomic_load_explicit(&port->link_up, memory_order_relaxed);
	default:
		return 0;
	}
}

static void port_counters(struct evbuffer *out)
{
	static const struct {
		const char *name, *type, *help;
		enum port_value value;
	} families[] = {
		{ "port_rx_packets_total", "counter", "Packets received on a port.",
			PORT_RX_PACKETS },
		{ "port_rx_bytes_total", "counter", "Bytes received on a port.", PORT_RX_BYTES },
		{ "port_tx_packets_total", "counter", "Packets sent on a port.", PORT_TX_PACKETS },
		{ "port_tx_bytes_total", "counter", "Bytes sent on a port.", PORT_TX_BYTES },
		{ "port_drops_total", "counter", "Packets received on a port and dropped.",
			PORT_DROPS },
		{ "port_rx_errors_total", "counter", "Frames a driver could not hand over.",
			PORT_RX_ERRORS },
		{ "port_link_up", "gauge", "1 when the link is up.", PORT_LINK_UP },
		{ "port_memory_bytes", "gauge", "Memory of the daemon that a port takes.",
			PORT_FIXED_BYTES },
		{ "port_ring_bytes", "gauge", "Memory that a port shares with its peer.",
			PORT_RING_BYTES },
		{ "port_buffers_held", "gauge", "Packet buffers a port holds for receiving.",
			PORT_BUFFERS },
	};

	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
		family(out, families[f].name, families[f].type, families[f].help);
		for (uint16_t id = 0; id < PORT_MAX; id++) {
			const struct port *port = port_get(id);

			if (port != NULL)
				labelled(out, families[f].name, "port", port->name,
					port_value(port, families[f].value));
		}
	}
}

static void worker_metrics(struct evbuffer *out)
{
	static const char *const names[] = { "worker_busy_ratio", "worker_packets_total",
		"worker_sleeps_total" };
	static const char *const types[] = { "gauge", "counter", "counter" };
	static const char *const helps[] = {
		"Share of cycles spent on packets over the last second.",
		"Packets received by a worker.", "Times a worker went idle."
	};

	for (size_t f = 0; f < sizeof(names) / sizeof(names[0]); f++) {
		family(out, names[f], types[f], helps[f]);
		for (unsigned id = 0; id < dataplane_worker_count(); id++) {
			struct worker_info w;

			if (!dataplane_worker(id, &w))
				continue;
			if (f == 0)
				evbuffer_add_printf(out, "podlane_%s{worker=\"%u\"} %.4f\n",
					names[f], id, w.busy);
			else
				evbuffer_add_printf(out, "podlane_%s{worker=\"%u\"} %" PRIu64 "\n",
					names[f], id, f == 1 ? w.packets : w.sleeps);
		}
	}
}

static int count_neighbour(const struct neighbour_record *record, void *arg)
{
	uint64_t *counts = arg;

	counts[record->state]++;
	return 0;
}

static void table_metrics(struct evbuffer *out)
{
	uint64_t neighbours[NEIGHBOUR_STATIC + 1] = { 0 };
	const struct tables *t = rcu_own(&tables);
	struct flow_stats f;

	flow_table_stats(dataplane_flows(), &f);
	family(out, "flows", "gauge", "Flow entries in use, by IP version.");
	labelled(out, "flows", "family", "ipv4", f.used4);
	labelled(out, "flows", "family", "ipv6", f.used6);
	family(out, "flows_capacity", "gauge", "Flow entries there can be.");
	labelled(out, "flows_capacity", "family", "ipv4", f.capacity4);
	labelled(out, "flows_capacity", "family", "ipv6", f.capacity6);
	single(out, "flows_inserted_total", "counter", "Flow entries made.", f.inserted);
	single(out, "flows_expired_total", "counter", "Flow entries that timed out.", f.expired);
	single(out, "flows_evicted_total", "counter", "Flow entries that made room for others.",
		f.evicted);
	single(out, "flows_refused_total", "counter", "Flows for which there was no room.",
		f.refused);
	family(out, "flows_by_state", "gauge",
		"Flow entries by state, as the last round of expiry found them.");
	for (unsigned k = 0; k < FLOW_KIND_COUNT; k++) {
		const char *name = flow_kind_name((enum flow_kind)k);

		if (*name != '\0')
			labelled(out, "flows_by_state", "state", name, f.kinds[k]);
	}
	labelled(out, "flows_by_state", "state", "denied", f.negative);
	single(out, "connections_half_open", "gauge", "Connections whose handshake is not over.",
		f.half_open);
	family(out, "routes", "gauge", "Routes in force, by IP version.");
	labelled(out, "routes", "family", "ipv4", t != NULL ? fib_count(t->fib4) : 0);
	labelled(out, "routes", "family", "ipv6", t != NULL ? fib_count(t->fib6) : 0);
	single(out, "adjacencies", "gauge", "Adjacencies in use.", adjacency_count());
	forwarding_each_neighbour(count_neighbour, neighbours);
	family(out, "neighbours", "gauge", "Neighbours, by state.");
	for (unsigned s = 0; s <= NEIGHBOUR_STATIC; s++)
		labelled(out, "neighbours", "state", neighbour_state_name((enum neighbour_state)s),
			neighbours[s]);
}

static int visit_rule(const struct policy_rule_record *record, void *arg)
{
	struct evbuffer *out = arg;
	const struct policy_rule_text *t = &record->text;
	const char *const values[] = { "tier", t->tier, "namespace",
		t->namespace != NULL ? t->namespace : "", "policy", t->policy, "rule", t->rule,
		"action", t->action, "staged", t->staged ? "true" : "false" };

	evbuffer_add_printf(out, "podlane_policy_rule_hits_total{");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i += 2) {
		evbuffer_add_printf(out, "%s%s=\"", i > 0 ? "," : "", values[i]);
		label(out, values[i + 1]);
		evbuffer_add(out, "\"", 1);
	}
	evbuffer_add_printf(out, "} %" PRIu64 "\n", record->hits);
	return 0;
}

static void policy_metrics(struct evbuffer *out)
{
	struct policy_size size;

	forwarding_policy_size(&size);
	single(out, "policy_rules", "gauge", "Rules of policies in force, staged ones too.",
		size.rules);
	single(out, "policy_identities", "gauge", "Label sets that addresses have.",
		size.identities);
	single(out, "policy_programs", "gauge",
		"Compiled rule sets of this node's pods, one a direction.", size.programs);
	single(out, "policy_memory_bytes", "gauge", "Memory of policy tables.", size.memory);
	family(out, "policy_rule_hits_total", "counter", "Connections that a rule decided.");
	if (size.rules <= RULE_METRICS_MAX)
		forwarding_each_rule(visit_rule, out);
}

static void memory_metrics(struct evbuffer *out)
{
	struct memory_info m;

	dataplane_memory(&m);
	family(out, "memory_bytes", "gauge", "Memory, by purpose.");
	labelled(out, "memory_bytes", "purpose", "resident", m.resident_bytes);
	labelled(out, "memory_bytes", "purpose", "dpdk", m.dpdk_bytes);
	labelled(out, "memory_bytes", "purpose", "flows", m.flow_bytes);
	labelled(out, "memory_bytes", "purpose", "fib4", m.fib4_bytes);
	labelled(out, "memory_bytes", "purpose", "fib6", m.fib6_bytes);
	family(out, "buffers", "gauge", "Packet buffers, by size.");
	labelled(out, "buffers", "size", "small", m.buffers);
	labelled(out, "buffers", "size", "large", m.large_buffers);
	family(out, "buffers_free", "gauge", "Packet buffers that are free.");
	labelled(out, "buffers_free", "size", "small", m.buffers_free);
	labelled(out, "buffers_free", "size", "large", m.large_buffers_free);
}

struct pool_walk {
	const struct ipam *ipam;
	struct evbuffer *out;
	bool size;
};

static int visit_pool(const struct object *obj, void *arg)
{
	const struct pool_walk *walk = arg;
	struct ipam_usage usage;

	ipam_usage(walk->ipam, &obj->pool.cidr, &usage);
	labelled(walk->out, walk->size ? "pool_addresses" : "pool_addresses_used", "pool",
		obj->name, walk->size ? usage.size : usage.used);
	return 0;
}

static void control_metrics(struct evbuffer *out, const struct api *api)
{
	const struct model *model = engine_model(api->engine);
	struct pool_walk walk = { engine_ipam(api->engine), out, false };
	size_t failed;

	family(out, "build_info", "gauge", "1; the version is in the label.");
	labelled(out, "build_info", "version", PODLANE_VERSION, 1);
	single(out, "start_time_seconds", "gauge", "When the daemon started, Unix time.",
		(uint64_t)api->started);
	single(out, "settled", "gauge", "1 when the last commit is in force on every worker.",
		forwarding_settled());
	family(out, "objects", "gauge", "Objects, by type.");
	for (size_t t = 0; t < OBJECT_TYPE_COUNT; t++)
		labelled(out, "objects", "type", object_schemas[t].name,
			model_count(model, object_schemas[t].type));
	engine_failed(api->engine, &failed);
	single(out, "failed_objects", "gauge", "Objects that are not in force.", failed);
	single(out, "transactions_total", "counter",
		"Transactions committed since the state store was made.",
		store_last_id(engine_store(api->engine)));
	family(out, "pool_addresses_used", "gauge", "Addresses given to pods, by pool.");
	model_each(model, OBJECT_POOL, visit_pool, &walk);
	family(out, "pool_addresses", "gauge", "Addresses a pool can give out.");
	walk.size = true;
	model_each(model, OBJECT_POOL, visit_pool, &walk);
}

static int metrics(struct request *req, struct error *err)
{
	struct evbuffer *out = evbuffer_new();

	if (out == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	control_metrics(out, request_api(req));
	packet_counters(out);
	port_counters(out);
	worker_metrics(out);
	table_metrics(out);
	policy_metrics(out);
	memory_metrics(out);
	reply_buffer(req, 200, "text/plain; version=0.0.4; charset=utf-8", out);
	evbuffer_free(out);
	return 0;
}

const struct http_endpoint metrics_endpoints[] = {
	{ "GET", "/metrics", metrics, "Counters and gauges in Prometheus text format.", NULL, NULL,
		NULL, "text/plain", ENDPOINT_TCP },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0 },
};
