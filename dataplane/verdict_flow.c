/* SPDX-License-Identifier: Apache-2.0 */
/** Verdicts and flow entries: see verdict.h. Worker threads. */
#include "dataplane/verdict.h"

#include "dataplane/conntrack.h"
#include "dataplane/flow_lookup.h"
#include "dataplane/policy_log.h"
#include "dataplane/tcp_reset.h"
#include "dataplane/worker_state.h"

static void resolve_key(const struct pkt *p, bool v6, enum resolve_as as, struct resolution *out)
{
	if (v6)
		resolve6(&p->key6, p->hash, as, NULL, out);
	else
		resolve4(&p->key4, p->hash, as, NULL, out);
}

/** Index of the flow of the opposite direction, or 0. */
static uint32_t opposite_of(const struct worker *w, const struct pkt *p, uint32_t zone, bool v6)
{
	const struct flow_pool *pool = &w->flows->pool[v6];
	union {
		struct flow_key4 k4;
		struct flow_key6 k6;
	} key;
	struct flow_place place;

	if (v6) {
		pkt_reverse_key6(&p->key6, zone, &key.k6);
		place = flow_place(w->flows, pool, flow_hash6(w->flows, &key.k6));
	} else {
		pkt_reverse_key4(&p->key4, zone, &key.k4);
		place = flow_place(w->flows, pool, flow_hash4(w->flows, &key.k4));
	}
	return flow_find(pool, &place, &key, v6);
}

const struct flow *verdict_opener(
	const struct worker *w, const struct pkt *p, uint32_t zone, bool v6)
{
	const struct flow_pool *pool = &w->flows->pool[v6];
	const uint32_t index = zone != ZONE_NONE ? opposite_of(w, p, zone, v6) : 0;
	const struct flow *flow;

	if (index == 0 || flow_idle(w->flows, pool, index, w->now_ms, v6))
		return NULL;
	flow = flow_at(pool, index, v6);
	if (atomic_load_explicit(&flow->flags, memory_order_relaxed) &
		(FLOW_NEGATIVE | FLOW_REPLY | FLOW_STATELESS))
		return NULL;
	return flow;
}

/** A connection that was allowed goes on, although it could not be opened now. */
static void keep(struct resolution *r, const struct flow *flow)
{
	r->decision = r->route;
	r->denied = false;
	r->rule = atomic_load_explicit(&flow->rule, memory_order_relaxed);
}

/** The first packet of a connection: what its verdict matched, and the log. */
static void count(struct worker *w, const struct pkt *p, bool v6, const struct resolution *r)
{
	struct policy_log_entry entry = {
		.v6 = v6, .allow = !r->denied, .logged = r->verdict.logged, .rule = r->rule
	};

	policy_count(r->policy, w->id, &r->verdict);
	if (unlikely(r->verdict.staged_differs))
		counter_add(&w->counters->events[EVENT_policy_staged], 1);
	if (likely(r->verdict.logged == POLICY_RULE_NONE))
		return;
	if (v6)
		entry.key6 = p->key6;
	else
		entry.key4 = p->key4;
	counter_add(&w->counters->events[policy_log_put(w->id, &entry) ? EVENT_policy_logged
								       : EVENT_policy_log_lost],
		1);
}

bool verdict_resolve(
	struct worker *w, const struct pkt *p, struct flow *flow, bool v6, struct resolution *out)
{
	const uint8_t flags = flow != NULL
				      ? atomic_load_explicit(&flow->flags, memory_order_relaxed)
				      : FLOW_NEGATIVE;
	const bool established = !(flags & FLOW_NEGATIVE);
	const struct flow *opener;
	struct resolution reply;

	resolve_key(p, v6, flags & FLOW_REPLY ? RESOLVE_REPLY : RESOLVE_OPENER, out);
	if (likely(!out->judged))
		return flags & FLOW_REPLY;
	if (established && out->denied && out->verdict.on_change == CHANGE_KEEP) {
		keep(out, flow);
		return flags & FLOW_REPLY;
	}
	/* It may answer a connection although its own entry does not say so: there was none, for want of room, or this direction
	 * was denied before the other opened the connection. */
	if (flow == NULL || (out->denied && !(flags & FLOW_REPLY))) {
		opener = verdict_opener(w, p, out->opposite_zone, v6);
		if (unlikely(opener != NULL)) {
			resolve_key(p, v6, RESOLVE_REPLY, &reply);
			if (reply.denied && reply.verdict.on_change == CHANGE_KEEP)
				keep(&reply, opener);
			if (!reply.denied || out->denied) {
				*out = reply;
				return true;
			}
		}
	}
	/* After a start nobody knows who opened the connections of before. */
	if (unlikely(flow == NULL && out->denied && conntrack_midstream(p) && conntrack_grace())) {
		resolve_key(p, v6, RESOLVE_REPLY, &reply);
		if (!reply.denied) {
			*out = reply;
			return true;
		}
	}
	if (flow == NULL)
		count(w, p, v6, out);
	return flags & FLOW_REPLY;
}

void verdict_adopt(struct worker *w, const struct pkt *p, uint32_t zone,
	const struct flow_init *reverse, bool v6)
{
	const uint32_t index = opposite_of(w, p, zone, v6);
	struct flow_decision was;
	uint64_t before, after;
	struct flow *flow;
	uint8_t flags;

	if (index == 0)
		return;
	flow = flow_at(&w->flows->pool[v6], index, v6);
	flags = atomic_load_explicit(&flow->flags, memory_order_relaxed);
	before = atomic_load_explicit(&flow->decision, memory_order_acquire);
	memcpy(&was, &before, sizeof(was));
	if (!(flags & FLOW_NEGATIVE) ||
		(was.adjacency != DROP_policy_egress && was.adjacency != DROP_policy_ingress))
		return;
	memcpy(&after, &reverse->decision, sizeof(after));
	if (!atomic_compare_exchange_strong_explicit(
		    &flow->decision, &before, after, memory_order_acq_rel, memory_order_relaxed))
		return;
	atomic_store_explicit(&flow->state, reverse->state, memory_order_relaxed);
	atomic_store_explicit(&flow->flags, (uint8_t)((flags & ~FLOW_NEGATIVE) | FLOW_REPLY),
		memory_order_relaxed);
	atomic_store_explicit(&flow->rule, reverse->rule, memory_order_relaxed);
	atomic_store_explicit(&flow->epoch, w->epoch, memory_order_release);
}

void verdict_changed(struct worker *w, const struct pkt *p, const struct resolution *r)
{
	if (r->verdict.on_change != CHANGE_RESET || p->proto != IPPROTO_TCP)
		return;
	for (unsigned back = 0; back < 2; back++) {
		struct rte_mbuf *m = tcp_reset_make(w->pool, p->m, p, back);

		if (m == NULL)
			return;
		counter_add(&w->counters->generated, 1);
		counter_add(&w->counters->events[EVENT_policy_reset], 1);
		slow_send_own(w, m);
	}
}
