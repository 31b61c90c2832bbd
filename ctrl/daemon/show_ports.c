/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/show.h"

#include "ctrl/daemon/api.h"
#include "dataplane/counters.h"
#include "dataplane/kernel_flows.h"
#include "dataplane/limit.h"
#include "dataplane/port.h"
#include "dataplane/rcu.h"

#include <stdio.h>
#include <string.h>

static const char *role_name(uint8_t role)
{
	switch ((enum port_role)role) {
	case PORT_UPLINK:
		return "uplink";
	case PORT_POD:
		return "pod";
	case PORT_HOST:
		return "host";
	}
	return "unknown";
}

static json_t *offloads_json(uint16_t offloads)
{
	static const struct {
		uint16_t offload; /* enum port_offload */
		const char *name;
	} names[] = {
		{ PORT_TX_CSUM, "tx-checksum" },
		{ PORT_TX_TSO, "tx-segmentation" },
		{ PORT_TX_USO, "tx-udp-segmentation" },
		{ PORT_TX_VXLAN_CSUM, "tx-vxlan-checksum" },
		{ PORT_TX_VXLAN_TSO, "tx-vxlan-segmentation" },
		{ PORT_TX_IPIP_CSUM, "tx-ipip-checksum" },
		{ PORT_TX_IPIP_TSO, "tx-ipip-segmentation" },
		{ PORT_TX_OUTER_UDP_CSUM, "tx-outer-udp-checksum" },
		{ PORT_TX_VLAN, "tx-vlan" },
	};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((offloads & names[i].offload) != 0)
			json_array_append_new(list, json_string(names[i].name));
	}
	return list;
}

static json_t *addresses_json(const struct port *port)
{
	const struct port_addresses *addresses = rcu_own(&port->addresses);
	json_t *list = json_array();

	for (size_t i = 0; addresses != NULL && i < addresses->count; i++)
		json_array_append_new(list, json_prefix(&addresses->items[i]));
	return list;
}

static json_t *memory_json(const struct port *port, json_int_t *bytes)
{
	struct port_memory m;

	port_memory(port, &m);
	*bytes = (json_int_t)(m.fixed + m.rings);
	return json_pack("{s:I, s:I, s:I, s:I}", "fixed_bytes", (json_int_t)m.fixed, "ring_bytes",
		(json_int_t)m.rings, "buffers", (json_int_t)m.buffers, "large_buffers",
		(json_int_t)m.large_buffers);
}

static json_t *rate_json(uint64_t rate, uint64_t burst)
{
	return rate != 0 ? json_pack("{s:I, s:I}", "rate", (json_int_t)rate, "burst",
				   (json_int_t)burst)
			 : json_null();
}

static json_t *limits_json(const struct port_limits *limits)
{
	static const char *const names[LIMIT_DIRECTIONS] = {
		[LIMIT_EGRESS] = "egress", [LIMIT_INGRESS] = "ingress"
	};
	json_t *obj;

	if (limits == NULL)
		return json_null();
	obj = json_object();
	for (size_t d = 0; d < LIMIT_DIRECTIONS; d++) {
		const struct limit_conf *conf = &limits->conf[d];

		json_object_set_new(obj, names[d],
			json_pack("{s:o, s:o}", "bits",
				rate_json(conf->bits_per_second, limit_burst_bits(conf)), "packets",
				rate_json(conf->packets_per_second, limit_burst_packets(conf))));
	}
	return obj;
}

static json_t *port_json(struct port *port)
{
	struct port_totals t;
	json_int_t bytes;
	json_t *obj;

	counters_sum_port(port->id, &t);
	obj = json_pack("{s:s, s:i, s:s, s:s, s:s, s:o, s:i, s:b, s:b, s:i, s:i, s:o, s:o}", "name",
		port->name, "id", port->id, "role", role_name(port->role), "driver",
		port->ops->name, "state",
		atomic_load_explicit(&port->forwarding, memory_order_relaxed) ? "forwarding"
									      : "closed",
		"mac", json_mac(&port->mac), "mtu", port->mtu, "link",
		atomic_load_explicit(&port->link_up, memory_order_relaxed), "forwarding",
		atomic_load_explicit(&port->forwarding, memory_order_relaxed), "rx_queues",
		port->n_rxq, "tx_queues", port->n_txq, "offloads", offloads_json(port->offloads),
		"addresses", addresses_json(port));
	json_object_update_new(obj,
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "rx_packets", (json_int_t)t.rx_packets,
			"rx_bytes", (json_int_t)t.rx_bytes, "tx_packets", (json_int_t)t.tx_packets,
			"tx_bytes", (json_int_t)t.tx_bytes, "drops", (json_int_t)t.drops,
			"rx_errors", (json_int_t)counter_read(&port->rx_errors)));
	if (port->role == PORT_UPLINK)
		json_object_set_new(obj, "vlan", json_integer(port->vlan));
	json_object_set_new(obj, "limits", limits_json(rcu_own(&port->limits)));
	json_object_set_new(obj, "memory", memory_json(port, &bytes));
	json_object_set_new(obj, "memory_bytes", json_integer(bytes));
	if (port->ops->describe != NULL)
		port->ops->describe(port, obj);
	return obj;
}

/** Pods that have no port because attaching them failed. */
static void add_failed(json_t *list, const struct engine *engine, const char *only)
{
	const struct failed_object *failed;
	size_t count;

	failed = engine_failed(engine, &count);
	for (size_t i = 0; i < count; i++) {
		char name[PORT_NAME_MAX + 8];

		if (failed[i].object->type != OBJECT_POD)
			continue;
		snprintf(name, sizeof(name), "pod:%s", failed[i].object->name);
		if (only == NULL || strcmp(only, name) == 0)
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", name, "role",
					      "pod", "state", "failed", "error", failed[i].error,
					      "since", json_time(failed[i].since)));
	}
}

int show_ports(struct request *req, struct error *err)
{
	const char *only = request_query(req, "name");
	json_t *list = json_array();

	(void)err;
	kernel_flows_harvest();
	for (uint16_t id = 0; id < PORT_MAX; id++) {
		struct port *port = port_get(id);

		if (port != NULL && (only == NULL || strcmp(only, port->name) == 0))
			json_array_append_new(list, port_json(port));
	}
	add_failed(list, request_api(req)->engine, only);
	reply_json(req, 200, list);
	return 0;
}

static json_t *queue_json(const struct port *port, const struct port_rx *rx)
{
	return json_pack("{s:s, s:i, s:o, s:b, s:f, s:f, s:I, s:i}", "port", port->name, "queue",
		rx->queue, "worker",
		rx->worker != PORT_NONE ? json_integer(rx->worker) : json_null(), "pinned",
		port->pinned != PORT_NONE, "load", rx->load, "packets_per_second", rx->rate,
		"packets", (json_int_t)counter_read(&rx->packets), "moves", (int)rx->moves);
}

int show_queues(struct request *req, struct error *err)
{
	const char *only = request_query(req, "name");
	json_t *list = json_array();

	(void)err;
	for (uint16_t id = 0; id < PORT_MAX; id++) {
		const struct port *port = port_get(id);

		if (port == NULL || (only != NULL && strcmp(only, port->name) != 0))
			continue;
		for (uint16_t q = 0; q < port->n_rxq; q++)
			json_array_append_new(list, queue_json(port, &port->rx[q]));
	}
	reply_json(req, 200, list);
	return 0;
}

/** Those of one port whose driver has a list of them. */
static void add_offloads(json_t *list, const struct port *port)
{
	json_t *obj = json_object(), *one;
	size_t i;

	port->ops->describe(port, obj);
	json_array_foreach (json_object_get(obj, "nic_offloads"), i, one) {
		json_object_set_new(one, "port", json_string(port->name));
		json_object_set(one, "driver", json_object_get(obj, "device_driver"));
		json_array_append(list, one);
	}
	json_decref(obj);
}

int show_offloads(struct request *req, struct error *err)
{
	const char *only = request_query(req, "name");
	json_t *list = json_array();

	(void)err;
	for (uint16_t id = 0; id < PORT_MAX; id++) {
		const struct port *port = port_get(id);

		if (port != NULL && port->ops->describe != NULL &&
			(only == NULL || strcmp(only, port->name) == 0))
			add_offloads(list, port);
	}
	reply_json(req, 200, list);
	return 0;
}
