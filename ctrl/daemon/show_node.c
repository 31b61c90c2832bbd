/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/show.h"

#include "config/schema.h"
#include "ctrl/daemon/api.h"
#include "ctrl/ipam/ipam.h"
#include "dataplane/adjacency.h"
#include "dataplane/counters.h"
#include "dataplane/forwarding.h"
#include "dataplane/kernel_flows.h"
#include "dataplane/rcu.h"
#include "dataplane/worker.h"

#include <unistd.h>

static json_t *failed_json(const struct engine *engine)
{
	const struct failed_object *failed;
	json_t *list = json_array();
	size_t count;

	failed = engine_failed(engine, &count);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:o}", "type",
				      object_schemas[failed[i].object->type].name, "name",
				      failed[i].object->name, "error", failed[i].error, "since",
				      json_time(failed[i].since)));
	return list;
}

int show_node(struct request *req, struct error *err)
{
	const struct api *api = request_api(req);
	const struct model *model = engine_model(api->engine);
	const struct object *node = model_find(model, OBJECT_NODE, NULL);
	const struct txn_record *waiting = engine_waiting(api->engine);
	const struct mac_addr vtep = forwarding_vtep_mac();
	json_t *objects = json_object();

	(void)err;
	for (size_t t = 0; t < OBJECT_TYPE_COUNT; t++)
		json_object_set_new(objects, object_schemas[t].plural,
			json_integer((json_int_t)model_count(model, object_schemas[t].type)));
	reply_json(req, 200,
		json_pack("{s:s, s:s, s:i, s:o, s:I, s:o, s:b, s:o, s:s, s:I, s:o, s:s, s:o}",
			"name", node != NULL ? node->name : "", "version", PODLANE_VERSION, "pid",
			(int)getpid(), "started", json_time(api->started), "uptime_s",
			(json_int_t)(time(NULL) - api->started), "vtep_mac", json_mac(&vtep),
			"settled", forwarding_settled(), "objects", objects, "config",
			api->config_path, "transaction",
			(json_int_t)store_last_id(engine_store(api->engine)), "waiting",
			waiting != NULL ? json_integer((json_int_t)waiting->id) : json_null(),
			"state_store",
			store_recovered(engine_store(api->engine))[0] != '\0'
				? store_recovered(engine_store(api->engine))
				: "ok",
			"failed", failed_json(api->engine)));
	return 0;
}

int show_workers(struct request *req, struct error *err)
{
	json_t *list = json_array();

	(void)err;
	for (unsigned id = 0; id < dataplane_worker_count(); id++) {
		struct worker_info w;

		if (dataplane_worker(id, &w))
			json_array_append_new(list,
				json_pack("{s:i, s:o, s:o, s:f, s:I, s:I, s:i}", "id", (int)w.id,
					"cpu", w.cpu >= 0 ? json_integer(w.cpu) : json_null(),
					"numa_node",
					w.numa_node >= 0 ? json_integer(w.numa_node) : json_null(),
					"busy", w.busy, "packets", (json_int_t)w.packets, "sleeps",
					(json_int_t)w.sleeps, "queues", (int)w.queues));
	}
	reply_json(req, 200, list);
	return 0;
}

int show_memory(struct request *req, struct error *err)
{
	struct memory_info m;

	(void)err;
	dataplane_memory(&m);
	reply_json(req, 200,
		json_pack("{s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			"resident_bytes", (json_int_t)m.resident_bytes, "dpdk_bytes",
			(json_int_t)m.dpdk_bytes, "hugepages", m.hugepages, "buffers",
			(json_int_t)m.buffers, "buffers_free", (json_int_t)m.buffers_free,
			"large_buffers", (json_int_t)m.large_buffers, "large_buffers_free",
			(json_int_t)m.large_buffers_free, "flow_bytes", (json_int_t)m.flow_bytes,
			"fib4_bytes", (json_int_t)m.fib4_bytes, "fib6_bytes",
			(json_int_t)m.fib6_bytes, "store_bytes",
			(json_int_t)store_size(engine_store(request_api(req)->engine))));
	return 0;
}

struct pool_walk {
	const struct ipam *ipam;
	json_t *list;
};

static int visit_pool(const struct object *obj, void *arg)
{
	const struct pool_walk *walk = arg;
	struct ipam_usage usage;

	ipam_usage(walk->ipam, &obj->pool.cidr, &usage);
	return json_array_append_new(
		walk->list, json_pack("{s:s, s:o, s:I, s:I}", "name", obj->name, "cidr",
				    json_prefix(&obj->pool.cidr), "used", (json_int_t)usage.used,
				    "size", (json_int_t)usage.size));
}

static int count_neighbour(const struct neighbour_record *record, void *arg)
{
	json_int_t *counts = arg;

	counts[record->state]++;
	return 0;
}

int show_tables(struct request *req, struct error *err)
{
	const struct engine *engine = request_api(req)->engine;
	struct pool_walk walk = { engine_ipam(engine), json_array() };
	const struct tables *t = rcu_own(&tables);
	json_int_t counts[NEIGHBOUR_STATIC + 1] = { 0 };
	json_t *neighbours = json_object();
	struct flow_stats f;

	(void)err;
	flow_table_stats(dataplane_flows(), &f);
	forwarding_each_neighbour(count_neighbour, counts);
	for (unsigned s = 0; s <= NEIGHBOUR_STATIC; s++)
		json_object_set_new(neighbours, neighbour_state_name((enum neighbour_state)s),
			json_integer(counts[s]));
	model_each(engine_model(engine), OBJECT_POOL, visit_pool, &walk);
	reply_json(req, 200,
		json_pack("{s:{s:I, s:I}, s:{s:I, s:I}, s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I}, "
			  "s:{s:I, s:I}, s:o, s:o}",
			"flows4", "used", (json_int_t)f.used4, "capacity", (json_int_t)f.capacity4,
			"flows6", "used", (json_int_t)f.used6, "capacity", (json_int_t)f.capacity6,
			"flow_changes", "inserted", (json_int_t)f.inserted, "expired",
			(json_int_t)f.expired, "evicted", (json_int_t)f.evicted, "refused",
			(json_int_t)f.refused, "adjacencies", "used", (json_int_t)adjacency_count(),
			"capacity", (json_int_t)ADJACENCY_MAX, "routes", "ipv4",
			(json_int_t)(t != NULL ? fib_count(t->fib4) : 0), "ipv6",
			(json_int_t)(t != NULL ? fib_count(t->fib6) : 0), "neighbours", neighbours,
			"pools", walk.list));
	return 0;
}

int show_drops(struct request *req, struct error *err)
{
	struct counter_totals t;
	json_t *reasons = json_array();
	int64_t difference;

	(void)err;
	kernel_flows_harvest();
	counters_sum(&t);
	for (size_t i = DROP_NONE + 1; i < DROP_REASON_COUNT; i++)
		json_array_append_new(reasons, json_pack("{s:s, s:I, s:s}", "reason",
						       drop_reason_name((enum drop_reason)i),
						       "packets", (json_int_t)t.drops[i], "text",
						       drop_reason_text((enum drop_reason)i)));
	/* Not a snapshot: while packets move, the blocks are read at slightly different times. */
	difference = (int64_t)(t.received + t.generated) -
		     ((int64_t)(t.transmitted + t.delivered + t.dropped) + t.held);
	reply_json(req, 200,
		json_pack("{s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:o}", "balance", "received",
			(json_int_t)t.received, "generated", (json_int_t)t.generated, "transmitted",
			(json_int_t)t.transmitted, "delivered", (json_int_t)t.delivered, "held",
			(json_int_t)t.held, "dropped", (json_int_t)t.dropped, "difference",
			(json_int_t)difference, "reasons", reasons));
	return 0;
}

int show_events(struct request *req, struct error *err)
{
	struct counter_totals t;
	json_t *list = json_array();

	(void)err;
	kernel_flows_harvest();
	counters_sum(&t);
	for (size_t i = 0; i < EVENT_COUNT; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:I, s:s}", "event", event_name((enum event)i), "count",
				(json_int_t)t.events[i], "text", event_text((enum event)i)));
	reply_json(req, 200, list);
	return 0;
}
