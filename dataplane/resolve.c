/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/resolve.h"

#include "dataplane/adjacency.h"
#include "dataplane/generation.h"
#include "dataplane/port.h"
#include "dataplane/rcu.h"
#include "dataplane/verdict.h"

#include <arpa/inet.h>
#include <rte_branch_prediction.h>

#define DEP_NONE 0xffffu /* a slot that nobody bumps */

#define STEP(stage, ...)                                           \
	do {                                                       \
		if (unlikely(rec != NULL))                         \
			rec->step(rec->arg, (stage), __VA_ARGS__); \
	} while (0)

/** One direction, either family: addresses are 4 or 16 bytes in network order. */
struct tuple {
	const uint8_t *src, *dst;
	const void *key; /* struct flow_key4 or 6 */
	uint32_t zone;
	uint64_t hash;
	bool v6;
	const struct resolution *opener; /* of the opposite direction; NULL = not known */
};

static inline bool link_local(const struct tuple *k, const uint8_t *a)
{
	return k->v6 ? a[0] == 0xfe && (a[1] & 0xc0) == 0x80 : a[0] == 169 && a[1] == 254;
}

static inline uint32_t route_lookup(
	const struct tables *t, const struct tuple *k, const uint8_t *addr)
{
	return fib_lookup(k->v6 ? t->fib6 : t->fib4, addr);
}

static bool pod_owns(const struct port *port, const struct tuple *k)
{
	const struct port_addresses *own =
		atomic_load_explicit(&port->addresses, memory_order_acquire);
	uint8_t family = k->v6 ? IP_V6 : IP_V4;
	struct ip_addr src = { .family = family };

	memcpy(src.bytes, k->src, k->v6 ? 16 : 4);
	for (uint16_t i = 0; own != NULL && i < own->count; i++) {
		if (ip_prefix_contains(&own->items[i], &src))
			return true;
	}
	return false;
}

/** Whether the source may come from there; `dst` is where the packet is going. */
static __rte_always_inline enum drop_reason source_check(const struct tables *t,
	const struct tuple *k, const struct port *in, const struct adjacency *out,
	const struct recorder *rec)
{
	const struct adjacency *back;
	const struct port *back_port;
	uint32_t value;

	if (link_local(k, k->src)) {
		/* Valid on its own link only: that is, towards this node. */
		STEP("source", "link-local, allowed towards this node only");
		return out->type == ADJ_LOCAL ? DROP_NONE : DROP_link_local_scope;
	}
	if (in != NULL && in->role == PORT_POD) {
		if (!pod_owns(in, k)) {
			STEP("source", "not an address of %s", in->name);
			return DROP_spoofed_source;
		}
		STEP("source", "an address of %s", in->name);
		return DROP_NONE;
	}
	if (in != NULL && in->role == PORT_HOST) {
		STEP("source", "the host port may send from any address");
		return DROP_NONE;
	}
	value = k->opener != NULL && k->opener->tables == t ? k->opener->destination
							    : route_lookup(t, k, k->src);
	back = adjacency_get(route_adjacency(value, k->hash));
	back_port = back->type == ADJ_REWRITE || back->type == ADJ_RESOLVING ? port_get(back->port)
									     : NULL;
	if (back->type == ADJ_LOCAL || (back_port != NULL && back_port->role != PORT_UPLINK)) {
		STEP("source", "belongs to this node (%s) but came from outside", back->text);
		return DROP_martian_source;
	}
	STEP("source", "from outside, not an address of this node");
	return DROP_NONE;
}

/** Path groups and adjacencies are replaced one by one: take both again until they agree, so that a next hop that just
 * failed is not kept as a member of the group it has left. */
static inline uint32_t choose(uint32_t value, uint64_t hash, const struct adjacency **adj)
{
	uint32_t index = route_adjacency(value, hash);

	for (unsigned tries = 0; tries < 4; tries++) {
		uint32_t again;

		*adj = adjacency_get(index);
		again = route_adjacency(value, hash);
		if (again == index)
			break;
		index = again;
	}
	*adj = adjacency_get(index);
	return index;
}

/** Is it an address of this node itself: one of its uplinks', the gateway, podlane0's? */
static bool node_owns(const struct tables *t, const struct tuple *k, const uint8_t *addr)
{
	const struct adjacency *adj =
		adjacency_get(route_adjacency(route_lookup(t, k, addr), k->hash));

	return adj->type == ADJ_LOCAL ||
	       ((adj->type == ADJ_REWRITE || adj->type == ADJ_RESOLVING) &&
		       adj->port == t->settings.host_port);
}

/** Ask policies, about the connection's opener. */
static __rte_noinline enum drop_reason judge(const struct tuple *k, const struct tables *t,
	const struct port *in, const struct adjacency *adj, enum resolve_as as,
	const struct recorder *rec, struct resolution *out)
{
	struct verdict_ends ends = { .in = in, .out = adj, .reply = as == RESOLVE_REPLY };
	struct flow_key4 key4;
	struct flow_key6 key6;
	const void *key = k->key;
	enum drop_reason reason;

	if (in != NULL && in->role == PORT_HOST && !ends.reply)
		ends.opener_is_node = node_owns(t, k, k->src);
	if (ends.reply) {
		ends.opener_is_node = node_owns(t, k, k->dst);
		/* The opener's zone does not matter to policies. */
		if (k->v6) {
			pkt_reverse_key6(k->key, k->zone, &key6);
			key = &key6;
		} else {
			pkt_reverse_key4(k->key, k->zone, &key4);
			key = &key4;
		}
	}
	reason = verdict_judge(t, key, k->v6, &ends, rec, &out->verdict);
	out->judged = true;
	out->rule = out->verdict.rule;
	return reason;
}

/** What the tables of now say, and what counters they go with. */
static __rte_always_inline void decide(const struct tuple *k, const struct recorder *rec,
	struct resolution *out, const struct tables *t, enum resolve_as as, uint32_t generation)
{
	const bool from_tunnel = k->zone == ZONE_TUNNEL;
	const struct port *in = from_tunnel ? NULL : port_get((uint16_t)k->zone);
	const struct adjacency *adj;
	const struct port *port;
	uint32_t value, index;
	enum drop_reason reason;

	value = out->destination = route_lookup(t, k, k->dst);
	index = choose(value, k->hash, &adj);
	STEP("route", "%s%s", adj->text,
		(value & PATHS_FLAG) != 0 ? " (chosen among several next hops)" : "");
	reason = source_check(t, k, in, adj, rec);
	if (reason == DROP_NONE && link_local(k, k->dst) && adj->type != ADJ_LOCAL)
		reason = DROP_link_local_scope;
	if (!from_tunnel && in == NULL) {
		reason = DROP_port_down;
		out->cache = false;
	}
	if (reason != DROP_NONE) {
		STEP("verdict", "drop: %s", drop_reason_text(reason));
		out->decision = out->route =
			flow_decision_of(reason, generation + adjacency_get(reason)->generation);
		return;
	}
	out->decision = out->route = flow_decision_of(index, generation + adj->generation);
	switch (adj->type) {
	case ADJ_DROP:
		STEP("verdict", "drop: %s", drop_reason_text(adj->drop));
		return;
	case ADJ_LOCAL:
		if (t->settings.host_port != PORT_NONE)
			out->opposite_zone = t->settings.host_port;
		break;
	case ADJ_TUNNEL:
		out->reverse_zone = out->opposite_zone = ZONE_TUNNEL;
		break;
	default:
		port = port_get(adj->port);
		if (port == NULL ||
			!atomic_load_explicit(&port->forwarding, memory_order_acquire)) {
			STEP("verdict", "drop: %s", drop_reason_text(DROP_port_down));
			out->decision.adjacency = out->route.adjacency = DROP_port_down;
			out->cache = false;
			return;
		}
		out->opposite_zone = adj->port;
		/* A tunnel that waits for its next hop will answer through the tunnel: leave the reply to its own miss. */
		if (adj->type == ADJ_REWRITE)
			out->reverse_zone = adj->port;
		if (in != NULL && in->id == adj->port && in->role == PORT_POD)
			STEP("output", "back to the sending pod");
		break;
	}
	if (t->policy != NULL && as != RESOLVE_JUDGED) {
		reason = judge(k, t, in, adj, as, rec, out);
		if (reason != DROP_NONE) {
			STEP("verdict", "drop: %s", drop_reason_text(reason));
			out->denied = true;
			out->reverse_zone = ZONE_NONE;
			out->decision = flow_decision_of(
				reason, generation + adjacency_get(reason)->generation);
			return;
		}
	}
	if (adj->type == ADJ_LOCAL)
		STEP("verdict", "for this node");
	else
		STEP("verdict", "forward: %s, MTU %u", adj->text, adj->mtu);
}

static __rte_always_inline void resolve(const struct tuple *k, uint16_t src_slot, uint16_t dst_slot,
	enum resolve_as as, const struct recorder *rec, struct resolution *out)
{
	const struct port *in = k->zone == ZONE_TUNNEL ? NULL : port_get((uint16_t)k->zone);
	/* Packets from outside are believed only while their source is nobody's here, and policy asks who the source is: the
	 * source's generation matters too. A pod's is that of its zone. */
	const bool pod = in != NULL && in->role == PORT_POD;
	const uint16_t zone_slot = generation_zone(k->zone), other = pod ? DEP_NONE : src_slot;
	const struct tables *t;
	uint32_t generation;
	unsigned tries = 0;

	/* Counters before tables, and the tables of now, not of the burst's start: a decision from old tables must never
	 * be kept under new counters (generation.h). The adjacency's counter can be read after its route only: so look
	 * whether the tables are still the same afterwards. */
	do {
		*out = (struct resolution){
			.reverse_zone = ZONE_NONE, .opposite_zone = ZONE_NONE, .cache = true
		};
		out->deps = flow_deps_of(zone_slot, dst_slot, other);
		generation = generation_get(zone_slot) + generation_get(dst_slot) +
			     generation_get(other);
		t = rcu_read(&tables);
		out->policy = t->policy;
		out->tables = t;
		decide(k, rec, out, t, as, generation);
	} while (unlikely(rcu_read(&tables)->policy != t->policy) && rec == NULL && ++tries < 4);
	if (unlikely(tries == 4))
		out->cache = false;
}

void resolve4(const struct flow_key4 *key, uint64_t hash, enum resolve_as as,
	const struct recorder *rec, struct resolution *out)
{
	struct tuple k = { (const uint8_t *)&key->src, (const uint8_t *)&key->dst, key,
		key->zone_proto >> 8, hash, false, NULL };

	/* The packet path's copy knows nothing of recorders. */
	if (likely(rec == NULL))
		resolve(&k, generation_dst4(key->src), generation_dst4(key->dst), as, NULL, out);
	else
		resolve(&k, generation_dst4(key->src), generation_dst4(key->dst), as, rec, out);
}

void resolve6(const struct flow_key6 *key, uint64_t hash, enum resolve_as as,
	const struct recorder *rec, struct resolution *out)
{
	struct tuple k = { key->src, key->dst, key, key->zone_proto >> 8, hash, true, NULL };

	if (likely(rec == NULL))
		resolve(&k, generation_dst6(key->src), generation_dst6(key->dst), as, NULL, out);
	else
		resolve(&k, generation_dst6(key->src), generation_dst6(key->dst), as, rec, out);
}

void resolve_opposite4(const struct flow_key4 *key, uint64_t hash, const struct resolution *opener,
	struct resolution *out)
{
	struct tuple k = { (const uint8_t *)&key->src, (const uint8_t *)&key->dst, key,
		key->zone_proto >> 8, hash, false, opener };

	resolve(&k, generation_dst4(key->src), generation_dst4(key->dst), RESOLVE_JUDGED, NULL,
		out);
}

void resolve_opposite6(const struct flow_key6 *key, uint64_t hash, const struct resolution *opener,
	struct resolution *out)
{
	struct tuple k = { key->src, key->dst, key, key->zone_proto >> 8, hash, true, opener };

	resolve(&k, generation_dst6(key->src), generation_dst6(key->dst), RESOLVE_JUDGED, NULL,
		out);
}

bool resolution_current(const struct flow *flow)
{
	struct flow_decision d = flow_decision_get(flow);
	uint32_t sum = generation_get(flow->deps[0]) + generation_get(flow->deps[1]) +
		       generation_get(flow->deps[2]);

	return d.generation == sum + adjacency_get(d.adjacency)->generation;
}
