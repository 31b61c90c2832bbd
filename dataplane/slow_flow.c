/* SPDX-License-Identifier: Apache-2.0 */
/** First packets of flows, flows to be checked again after a change, and fragments: see worker_state.h. Worker threads. */
#include "dataplane/worker_state.h"

#include "dataplane/adjacency.h"
#include "dataplane/conntrack.h"
#include "dataplane/flow_lookup.h"
#include "dataplane/kernel_slots.h"
#include "dataplane/verdict.h"

/** The opposite direction of a packet just resolved, for an entry of its own. @return false when it gets none. */
static bool opposite(struct worker *w, const struct pkt *p, bool v6, const struct resolution *fwd,
	struct resolution *rev, struct flow_key6 *key)
{
	struct flow_key4 *key4 = (void *)key;

	if (fwd->reverse_zone == ZONE_NONE || fwd->verdict.stateless)
		return false;
	if (v6) {
		pkt_reverse_key6(&p->key6, fwd->reverse_zone, key);
		resolve_opposite6(key, flow_hash6(w->flows, key), fwd, rev);
	} else {
		pkt_reverse_key4(&p->key4, fwd->reverse_zone, key4);
		resolve_opposite4(key4, flow_hash4(w->flows, key4), fwd, rev);
	}
	rev->rule = fwd->rule;
	/* What was judged by one table is not stored as judged by another. */
	return rev->cache && rev->policy == fwd->policy &&
	       rev->decision.adjacency >= DROP_REASON_COUNT;
}

static void init_of(
	const struct worker *w, const struct resolution *r, bool reply, struct flow_init *init)
{
	uint8_t flags = reply ? FLOW_REPLY : 0;

	if (r->decision.adjacency < DROP_REASON_COUNT)
		flags |= FLOW_NEGATIVE;
	if (r->verdict.stateless)
		flags |= FLOW_STATELESS;
	*init = (struct flow_init){ .epoch = w->epoch, .rule = r->rule, .flags = flags };
	init->decision = r->decision;
	init->deps = r->deps;
}

/** The adjacency of a packet whose flow is unknown; makes the flow entries of both directions. */
uint32_t slow_miss(struct worker *w, const struct pkt *p, bool v6)
{
	struct resolution fwd, rev;
	struct flow_init init, init_rev;
	enum drop_reason refused;
	struct flow_key6 rkey;
	const struct flow_key4 *rkey4 = (const void *)&rkey;
	struct flow *flow;
	bool pair, reply, cache = true;

	counter_add(&w->counters->events[EVENT_flow_miss], 1);
	reply = verdict_resolve(w, p, NULL, v6, &fwd);
	if (!fwd.cache)
		return fwd.decision.adjacency;
	pair = opposite(w, p, v6, &fwd, &rev, &rkey);
	init_of(w, &fwd, reply, &init);
	if (likely(pair))
		init_of(w, &rev, !reply, &init_rev);
	else
		init_rev = (struct flow_init){ .flags = 0 };
	if (likely(fwd.decision.adjacency >= DROP_REASON_COUNT)) {
		refused = conntrack_open(w, p, v6, &fwd, &init, &init_rev, &cache);
		if (unlikely(refused != DROP_NONE))
			return refused;
		if (unlikely(!cache))
			return fwd.decision.adjacency;
	}
	flow = v6 ? flow_insert6(w->flows, w->id, &p->key6, p->hash, &init, pair ? &rkey : NULL,
			    pair ? &init_rev : NULL, w->now_ms)
		  : flow_insert4(w->flows, w->id, &p->key4, p->hash, &init, pair ? rkey4 : NULL,
			    pair ? &init_rev : NULL, w->now_ms);
	if (flow == NULL) {
		counter_add(&w->counters->events[EVENT_flow_uncached], 1);
	} else {
		counter_add(&flow->packets, 1);
		counter_add(&flow->bytes, p->ip_len);
		if (unlikely(fwd.judged) && pair && !reply)
			verdict_adopt(w, p, fwd.reverse_zone, &init_rev, v6);
	}
	return fwd.decision.adjacency;
}

#define AHEAD 16 /* packets: few enough that what is fetched is still there when its turn comes */

/** Of packets whose flows are unknown: walk to their routes together, so that the cache misses overlap, and from what is
 * found there fetch the buckets where the opposite directions will go. */
static void ahead(
	struct worker *w, const struct vector *v, const uint32_t *which, unsigned n, bool v6)
{
	const struct tables *t = w->tables;
	const uint8_t *addrs[AHEAD];
	uint32_t values[AHEAD];

	for (unsigned k = 0; k < n; k++) {
		addrs[k] = v6 ? v->key6[which[k]].dst : (const uint8_t *)&v->key4[which[k]].dst;
		rte_prefetch0((const void *)(uintptr_t)flow_bucket_other(
			w->flows, &w->flows->pool[v6], v->hash[which[k]]));
	}
	fib_lookup_bulk(v6 ? t->fib6 : t->fib4, addrs, values, n);
	for (unsigned k = 0; k < n; k++) {
		const struct adjacency *adj =
			adjacency_get(route_adjacency(values[k], v->hash[which[k]]));
		const uint32_t zone = adj->type == ADJ_TUNNEL ? ZONE_TUNNEL : adj->port;
		struct flow_key4 key4;
		struct flow_key6 key6;
		uint64_t hash;

		if (adj->type != ADJ_TUNNEL && adj->type != ADJ_REWRITE)
			continue;
		if (v6) {
			pkt_reverse_key6(&v->key6[which[k]], zone, &key6);
			hash = flow_hash6(w->flows, &key6);
		} else {
			pkt_reverse_key4(&v->key4[which[k]], zone, &key4);
			hash = flow_hash4(w->flows, &key4);
		}
		rte_prefetch0((const void *)(uintptr_t)flow_bucket(&w->flows->pool[v6], hash));
		rte_prefetch0((const void *)(uintptr_t)flow_bucket_other(
			w->flows, &w->flows->pool[v6], hash));
	}
}

void slow_miss_ahead(struct worker *w, struct vector *v, uint32_t from, bool v6)
{
	uint32_t which[AHEAD], i;
	unsigned n = 0;

	for (i = from; i < v->n && n < AHEAD; i++) {
		if (v->index[i] == 0)
			which[n++] = i;
	}
	v->ahead = i;
	if (n > 1)
		ahead(w, v, which, n, v6);
}

/** The slot of a flow that the kernel has, or NULL. */
static struct kernel_slot *slot_of(const struct worker *w, const struct flow *flow, bool v6)
{
	uint16_t kernel = 0;

	if (atomic_load_explicit(&kernel_slots, memory_order_relaxed) != NULL)
		kernel = atomic_load_explicit(
			kernel_number(w->flows, flow, v6), memory_order_acquire);
	return unlikely(kernel != 0) ? kernel_slot(kernel) : NULL;
}

bool slow_still_true(struct worker *w, struct flow *flow, bool v6)
{
	struct kernel_slot *slot;

	if (!resolution_current(flow))
		return false;
	atomic_store_explicit(&flow->epoch, w->epoch, memory_order_release);
	slot = slot_of(w, flow, v6);
	if (slot != NULL)
		kernel_slot_renew(slot, flow, w->epoch);
	return true;
}

/** Something was committed since the flow was last checked: still true, or decide again. */
uint32_t slow_recheck(struct worker *w, struct flow *flow, const struct pkt *p, bool v6)
{
	uint64_t before = atomic_load_explicit(&flow->decision, memory_order_acquire), after;
	struct kernel_slot *slot;
	struct resolution r;
	uint8_t flags;
	bool reply;

	if (slow_still_true(w, flow, v6))
		return flow_decision_get(flow).adjacency;
	counter_add(&w->counters->events[EVENT_flow_stale], 1);
	reply = verdict_resolve(w, p, flow, v6, &r);
	if (!r.cache)
		return r.decision.adjacency;
	memcpy(&after, &r.decision, sizeof(after));
	/* Another worker may be deciding the same flow, from other tables: whoever comes second leaves no mark, so that an
	 * old decision is never stamped with a new epoch. */
	if (!atomic_compare_exchange_strong_explicit(
		    &flow->decision, &before, after, memory_order_acq_rel, memory_order_relaxed))
		return r.decision.adjacency;
	slot = slot_of(w, flow, v6);
	if (slot != NULL)
		kernel_slot_return(slot, flow);
	flags = atomic_load_explicit(&flow->flags, memory_order_relaxed);
	if (unlikely(r.denied) && !(flags & FLOW_NEGATIVE))
		verdict_changed(w, p, &r);
	flags &= (uint8_t)~FLOW_NEGATIVE;
	if (r.decision.adjacency < DROP_REASON_COUNT)
		flags |= FLOW_NEGATIVE;
	if (reply)
		flags |= FLOW_REPLY;
	atomic_store_explicit(&flow->flags, flags, memory_order_relaxed);
	atomic_store_explicit(&flow->rule, r.rule, memory_order_relaxed);
	atomic_store_explicit(&flow->epoch, w->epoch, memory_order_release);
	return r.decision.adjacency;
}

/** One family's. */
static void offer(struct worker *w, const struct vector *v, bool v6)
{
	const struct flow_pool *pool = &w->flows->pool[v6];
	const uint32_t i = v->n - 1, index = v->index[i];
	const struct flow *flow = flow_at(pool, index, v6);
	const struct kernel_slot *slot;
	struct port *out;
	uint16_t kernel;

	if (index == 0 || !flow_key_equal(flow_key(flow, v6), vector_key(v, i, v6), v6) ||
		!kernel_flow_settled(flow) ||
		(atomic_load_explicit(&flow->packets, memory_order_relaxed) < KERNEL_OFFER_AFTER &&
			atomic_load_explicit(&flow->bytes, memory_order_relaxed) <
				KERNEL_OFFER_BYTES))
		return;
	out = port_get(adjacency_get(flow_decision_get(flow).adjacency)->port);
	if (out == NULL || atomic_load_explicit(&out->kernel_ifindex, memory_order_relaxed) == 0 ||
		rcu_read(&out->limits) != NULL)
		return;
	kernel = atomic_load_explicit(&pool->side[index].kernel, memory_order_acquire);
	slot = kernel_slot(kernel);
	/* The kernel has it already, and knows how far it is: this was the packet after a commit, or one that is none for it. */
	if (kernel != 0 && __atomic_load_n(&slot->on, __ATOMIC_RELAXED) &&
		__atomic_load_n(&slot->epoch, __ATOMIC_RELAXED) == w->epoch &&
		atomic_load_explicit(&flow->seq, memory_order_relaxed) -
				__atomic_load_n(&slot->seq, __ATOMIC_RELAXED) + FLOW_SEQ_BACK <=
			__atomic_load_n(&slot->span, __ATOMIC_RELAXED))
		return;
	if (kernel_offer(&w->offers, index, v6, w->now_ms))
		punt_signal();
}

void slow_offer(struct worker *w, struct port *in)
{
	/* What control would refuse is not offered: that would wake it for each burst. */
	if (!kernel_flows_wanted() || rcu_read(&in->limits) != NULL)
		return;
	if (w->vector[0].n > 0)
		offer(w, &w->vector[0], false);
	if (w->vector[1].n > 0)
		offer(w, &w->vector[1], true);
}

void slow_observe_flow(
	struct worker *w, const struct pkt *p, const struct flow *flow, bool v6, uint32_t adjacency)
{
	const bool hit = flow != NULL;

	WORKER_TRACE(w, p->m, "flow", "%s, adjacency %u: %s", hit ? "hit" : "miss", adjacency,
		adjacency_get(adjacency)->text);
	if (!hit) { /* by now there should be an entry */
		struct pkt copy = *p, *list = &copy;
		struct flow *found;

		if (v6)
			flow_lookup6(w->flows, &list, &found, 1);
		else
			flow_lookup4(w->flows, &list, &found, 1);
		flow = found;
	}
	pkt_note(p->m)->rule = flow != NULL
				       ? atomic_load_explicit(&flow->rule, memory_order_relaxed)
				       : POLICY_RULE_NONE;
	if (pkt_note(p->m)->rule != POLICY_RULE_NONE)
		WORKER_TRACE(w, p->m, "rule", "%u", pkt_note(p->m)->rule);
}

static inline bool addressed_to_node(const struct tunnel_table *t, const struct pkt *p)
{
	return p->flags & PKT_V6 ? tunnel_is_local(t, IP_V6, p->key6.dst)
				 : tunnel_is_local(t, IP_V4, (const uint8_t *)&p->key4.dst);
}

/** Fragments: those for this node are put together, others wait for or take the ports of their first fragment. What can
 * go on now goes through the stages at once. @return the class of *p when it is whole again, else PKT_FRAG. */
struct parsed slow_fragment(struct worker *w, const struct port *in, struct pkt *p)
{
	struct fragment_release out = { .count = 0 }, dropped = { .count = 0 };
	const uint16_t trace = w->observer != NULL ? pkt_note(p->m)->trace : 0;
	enum drop_reason reason;
	bool held = false;

	pkt_note(p->m)->trace = trace; /* somebody may watch by the time it is released */
	if (addressed_to_node(w->tables->tunnels, p) && !(p->flags & PKT_DECAPSULATED)) {
		unsigned freed = 0, merged = 0;
		uint8_t l2_len = p->l2_len;
		int64_t before = reassembly_held(w->reassembly);
		struct rte_mbuf *whole =
			reassembly_add(w->reassembly, p->m, p, rte_rdtsc(), &freed, &merged);

		counter_hold(w->counters, (int64_t)reassembly_held(w->reassembly) - before);
		counter_drop(w->counters, in->id, DROP_fragment_timeout, freed);
		if (unlikely(trace != 0) && (whole == NULL || pkt_note(whole)->trace != trace)) {
			trace_step(
				w->observer, trace, "reassemble", "part of a packet for this node");
			trace_end(w->observer, trace);
		}
		if (whole == NULL)
			return (struct parsed){ PKT_FRAG, DROP_NONE };
		counter_add(&w->counters->delivered, merged);
		counter_add(&w->counters->events[EVENT_reassembled], 1);
		p->m = whole;
		return l2_len != 0 ? pkt_parse_ether(whole, p, in->id)
				   : pkt_parse_ip(whole, p, in->id, p->flags & PKT_V6 ? 6 : 4, 0);
	}
	reason = fragment_track(w->fragments, p->m, p, w->now_ms, &out, &held, &dropped);
	counter_hold(w->counters,
		(held ? 1 : 0) - (int64_t)(out.count > 1 ? out.count - 1 : 0) - dropped.count);
	for (uint16_t i = 0; i < dropped.count; i++)
		worker_drop(w, dropped.m[i], reason);
	if (reason != DROP_NONE)
		return (struct parsed){ PKT_DROP, reason };
	for (uint16_t i = 0; i < out.count; i++) {
		struct pkt *f = &out.p[i];
		const bool v6 = f->flags & PKT_V6;
		struct flow *flow;

		f->m = out.m[i];
		f->hash = v6 ? flow_hash6(w->flows, &f->key6) : flow_hash4(w->flows, &f->key4);
		if (v6)
			flow_lookup6(w->flows, &f, &flow, 1);
		else
			flow_lookup4(w->flows, &f, &flow, 1);
		worker_flow(w, in, f, flow, v6);
	}
	return (struct parsed){ PKT_FRAG, DROP_NONE };
}
