/* SPDX-License-Identifier: Apache-2.0 */
/** `podlane explain`: the packet path's own resolve, with a recorder. Control thread. */
#include "dataplane/worker.h"

#include "dataplane/adjacency.h"
#include "dataplane/generation.h"
#include "dataplane/policies.h"
#include "dataplane/rcu.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static void record_step(void *arg, const char *stage, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(arg, json_pack("{s:s, s:s}", "stage", stage, "text", text));
}

/** Keys of either family, as parsing would make them. */
struct keys {
	bool v6;
	struct flow_key4 k4;
	struct flow_key6 k6;
};

static struct keys request_keys(const struct explain_request *r, uint32_t zone)
{
	struct keys k = { .v6 = r->src.family == IP_V6 };
	uint16_t sport = rte_cpu_to_be_16(r->sport), dport = rte_cpu_to_be_16(r->dport);

	if (r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6)
		dport = r->dport; /* type and code, host order */
	if (k.v6) {
		memcpy(k.k6.src, r->src.bytes, 16);
		memcpy(k.k6.dst, r->dst.bytes, 16);
		k.k6.sport = sport;
		k.k6.dport = dport;
		k.k6.zone_proto = zone << 8 | r->proto;
	} else {
		memcpy(&k.k4.src, r->src.bytes, 4);
		memcpy(&k.k4.dst, r->dst.bytes, 4);
		k.k4.sport = sport;
		k.k4.dport = dport;
		k.k4.zone_proto = zone << 8 | r->proto;
	}
	return k;
}

static json_t *cached_flow(const struct keys *k, uint64_t hash)
{
	struct pkt p = { .hash = hash, .flags = k->v6 ? PKT_V6 : 0 };
	struct pkt *list[1] = { &p };
	struct flow *found[1] = { NULL };

	if (k->v6) {
		p.key6 = k->k6;
		flow_lookup6(dataplane_flows(), list, found, 1);
	} else {
		p.key4 = k->k4;
		flow_lookup4(dataplane_flows(), list, found, 1);
	}
	if (found[0] == NULL)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:b, s:o}", "packets",
		(json_int_t)counter_read(&found[0]->packets), "bytes",
		(json_int_t)counter_read(&found[0]->bytes), "idle_ms",
		(json_int_t)(dataplane_now_ms() -
			     atomic_load_explicit(&found[0]->last_seen, memory_order_relaxed)),
		"current", (int)resolution_current(found[0]), "rule",
		forwarding_rule_json(atomic_load_explicit(&found[0]->rule, memory_order_relaxed)));
}

static json_t *direction(
	const struct keys *k, uint16_t length, enum resolve_as as, struct resolution *r)
{
	uint64_t hash = k->v6 ? flow_hash6(dataplane_flows(), &k->k6)
			      : flow_hash4(dataplane_flows(), &k->k4);
	json_t *steps = json_array();
	struct recorder rec = { record_step, steps };
	const struct adjacency *adj;
	bool drop;

	if (k->v6)
		resolve6(&k->k6, hash, as, &rec, r);
	else
		resolve4(&k->k4, hash, as, &rec, r);
	adj = adjacency_get(r->decision.adjacency);
	drop = adj->type == ADJ_DROP;
	if (!drop && adj->type != ADJ_LOCAL) {
		if (length > adj->mtu)
			record_step(steps, "size",
				"%u bytes exceed the MTU of %u: cut if it may be fragmented, else "
				"refused by ICMP",
				length, adj->mtu);
		else
			record_step(steps, "size", "%u bytes fit the MTU of %u", length, adj->mtu);
	}
	return json_pack("{s:s, s:s, s:o, s:s, s:i, s:o, s:o}", "verdict",
		drop ? "drop" : "forward", "reason", drop ? drop_reason_name(adj->drop) : "",
		"rule", forwarding_rule_json(r->rule), "adjacency", adj->text, "mtu", (int)adj->mtu,
		"flow", cached_flow(k, hash), "steps", steps);
}

int dataplane_explain(const struct explain_request *request, json_t **out, struct error *err)
{
	unsigned reader = dataplane_control_reader();
	const struct port *port = NULL;
	struct resolution r;
	struct keys k;
	uint32_t zone = ZONE_TUNNEL;
	json_t *answer, *reply = NULL;

	if (request->src.family != request->dst.family || request->src.family == IP_NONE)
		return error_set(
			err, EINVAL, "dst", "explain: src and dst must be addresses of one family");
	if (strcmp(request->from, "tunnel") != 0) {
		port = port_find(request->from);
		if (port == NULL)
			return error_set(err, ENOENT, "from",
				"explain: there is no port %s: name a port of `podlane show "
				"ports`, or \"tunnel\"",
				request->from);
		zone = port->id;
	}
	k = request_keys(request, zone);
	rcu_reader_register(reader);
	answer = direction(&k, request->length != 0 ? request->length : 100, RESOLVE_OPENER, &r);
	if (r.reverse_zone != ZONE_NONE) {
		struct keys back = { .v6 = k.v6 };

		if (k.v6)
			pkt_reverse_key6(&k.k6, r.reverse_zone, &back.k6);
		else
			pkt_reverse_key4(&k.k4, r.reverse_zone, &back.k4);
		reply = direction(
			&back, request->length != 0 ? request->length : 100, RESOLVE_REPLY, &r);
	}
	rcu_reader_unregister(reader);
	json_object_set_new(answer, "reply", reply != NULL ? reply : json_null());
	*out = answer;
	return 0;
}
