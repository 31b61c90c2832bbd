/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/show.h"

#include "ctrl/daemon/api.h"
#include "dataplane/counters.h"
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

static json_t *offloads_json(uint8_t offloads)
{
	json_t *list = json_array();

	if ((offloads & PORT_TX_CSUM) != 0)
		json_array_append_new(list, json_string("tx-checksum"));
	if ((offloads & PORT_TX_TSO) != 0)
		json_array_append_new(list, json_string("tx-segmentation"));
	if ((offloads & PORT_TX_USO) != 0)
		json_array_append_new(list, json_string("tx-udp-segmentation"));
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

static json_t *port_json(struct port *port)
{
	struct port_totals t;
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
	for (uint16_t id = 0; id < PORT_MAX; id++) {
		struct port *port = port_get(id);

		if (port != NULL && (only == NULL || strcmp(only, port->name) == 0))
			json_array_append_new(list, port_json(port));
	}
	add_failed(list, request_api(req)->engine, only);
	reply_json(req, 200, list);
	return 0;
}
