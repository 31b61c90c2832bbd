/* SPDX-License-Identifier: Apache-2.0 */
/** Connection tracking in workers: what a packet is to its connection. See conntrack.h. */
#include "dataplane/conntrack.h"

#include "config/model.h"
#include "dataplane/flow_lookup.h"
#include "dataplane/verdict.h"
#include "dataplane/worker_state.h"

#define SCTP_HEADER 12u /* ports, tag, checksum */

static _Atomic bool grace = true; /* writer: control; readers: workers */
static _Atomic uint32_t grace_ms; /* control */

bool conntrack_grace(void)
{
	return atomic_load_explicit(&grace, memory_order_relaxed);
}

/* --- headers --------------------------------------------------------------------------------------------------- */

/** The window scale a SYN offers. The header's length was checked (packet.c). */
static uint8_t syn_scale(const uint8_t *options, const uint8_t *end)
{
	while (options < end && *options != 0) {
		if (*options == 1) {
			options++;
			continue;
		}
		if (end - options < 2 || options[1] < 2 || options[1] > end - options)
			break;
		if (options[0] == 3 && options[1] == 3)
			return options[2] < FLOW_SCALE_MAX ? options[2] : FLOW_SCALE_MAX;
		options += options[1];
	}
	return FLOW_SCALE_UNKNOWN;
}

/** @return false for a later fragment, which has no header. */
static bool segment_of(const struct pkt *p, struct conntrack_segment *s)
{
	const uint32_t at = (uint32_t)p->l2_len + p->l3_len;
	const struct rte_tcp_hdr *tcp = pkt_hdr(p->m, at, struct rte_tcp_hdr);
	uint32_t header, payload;

	if (p->flags & PKT_FRAGMENT_LATER || tcp == NULL)
		return false;
	header = (uint32_t)(tcp->data_off >> 4) * 4;
	payload = p->ip_len > p->l3_len + header ? p->ip_len - p->l3_len - header : 0;
	*s = (struct conntrack_segment){ .seq = rte_be_to_cpu_32(tcp->sent_seq),
		.ack = rte_be_to_cpu_32(tcp->recv_ack),
		.len = payload + ((tcp->tcp_flags & RTE_TCP_SYN_FLAG) != 0) +
		       ((tcp->tcp_flags & RTE_TCP_FIN_FLAG) != 0),
		.flags = tcp->tcp_flags,
		.scale = FLOW_SCALE_UNKNOWN };
	if (unlikely(s->flags & RTE_TCP_SYN_FLAG) && header > sizeof(*tcp) &&
		at + header <= rte_pktmbuf_data_len(p->m))
		s->scale = syn_scale((const uint8_t *)(tcp + 1), (const uint8_t *)tcp + header);
	return true;
}

static bool chunk_of(const struct pkt *p, struct conntrack_chunk *c)
{
	const uint32_t at = (uint32_t)p->l2_len + p->l3_len;
	const uint8_t *sctp;
	uint32_t word;

	if (p->flags & PKT_FRAGMENT_LATER || p->ip_len < p->l3_len + SCTP_HEADER + 4u ||
		!pkt_pull(p->m, at + RTE_MIN(SCTP_HEADER + 8u, p->ip_len - (uint32_t)p->l3_len)))
		return false;
	sctp = rte_pktmbuf_mtod_offset(p->m, const uint8_t *, at);
	memcpy(&word, sctp + 4, sizeof(word));
	*c = (struct conntrack_chunk){ .tag = rte_be_to_cpu_32(word),
		.type = sctp[SCTP_HEADER],
		.reflected = sctp[SCTP_HEADER + 1] & 1 };
	if (p->ip_len >= p->l3_len + SCTP_HEADER + 8u) {
		memcpy(&word, sctp + SCTP_HEADER + 4, sizeof(word));
		c->initiate = rte_be_to_cpu_32(word);
	}
	return true;
}

bool conntrack_midstream(const struct pkt *p)
{
	struct conntrack_segment s;

	if (p->proto != IPPROTO_TCP)
		return false;
	return !segment_of(p, &s) ||
	       (s.flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) != RTE_TCP_SYN_FLAG;
}

/* --- known flows ----------------------------------------------------------------------------------------------- */

static uint32_t judge(struct worker *w, struct flow *flow, bool v6, enum conntrack_verdict verdict,
	enum drop_reason bad)
{
	switch (verdict) {
	case CONNTRACK_ODD:
		counter_add(&w->counters->events[EVENT_conntrack_odd], 1);
		return DROP_NONE;
	case CONNTRACK_BAD:
		return bad;
	case CONNTRACK_REOPEN:
		counter_add(&w->counters->events[EVENT_conntrack_reopened], 1);
		flow_remove(w->flows, &w->flows->workers[w->id],
			flow_index(&w->flows->pool[v6], flow, v6), v6);
		return CONNTRACK_NEW;
	default:
		return DROP_NONE;
	}
}

/** The first packet against the direction of the first. */
static void answered(struct worker *w, struct flow *flow, bool v6)
{
	const struct flow_pool *pool = &w->flows->pool[v6];
	const uint32_t pair = flow_pair(pool, flow_index(pool, flow, v6));

	atomic_store_explicit(&flow->state, flow_state(FLOW_UDP_REPLIED, 0), memory_order_relaxed);
	if (pair != 0)
		atomic_store_explicit(&flow_at(pool, pair, v6)->state,
			flow_state(FLOW_UDP_REPLIED, 0), memory_order_relaxed);
}

uint32_t conntrack_hit(struct worker *w, const struct pkt *p, struct flow *flow, bool v6)
{
	struct conntrack_segment s;
	struct conntrack_chunk c;

	switch (p->proto) {
	case IPPROTO_TCP:
		if (!segment_of(p, &s))
			return DROP_NONE;
		return judge(w, flow, v6, conntrack_tcp(w->flows, w->id, flow, v6, &s),
			DROP_tcp_out_of_window);
	case IPPROTO_UDP:
		if (unlikely(flow_state_kind(atomic_load_explicit(
				     &flow->state, memory_order_relaxed)) == FLOW_UDP_AWAITED))
			answered(w, flow, v6);
		return DROP_NONE;
	case IPPROTO_SCTP:
		if (!chunk_of(p, &c))
			return DROP_NONE;
		return judge(w, flow, v6, conntrack_sctp(w->flows, w->id, flow, v6, &c),
			DROP_sctp_bad_tag);
	default:
		return DROP_NONE;
	}
}

/* --- unknown flows --------------------------------------------------------------------------------------------- */

static bool over_limit(const struct worker *w, uint32_t zone)
{
	const struct port *port = zone < PORT_MAX ? port_get((uint16_t)zone) : NULL;
	const uint32_t max =
		port != NULL ? atomic_load_explicit(&port->connections_max, memory_order_relaxed)
			     : 0;

	return unlikely(max != 0) && flow_zone_connections(w->flows, zone) >= max;
}

static bool half_open_full(struct worker *w, uint32_t zone, bool v6)
{
	const struct port *port = zone < PORT_MAX ? port_get((uint16_t)zone) : NULL;

	return !flow_admit_half_open(w->flows, zone, port != NULL && port->role == PORT_POD, v6);
}

static enum drop_reason open_tcp(struct worker *w, const struct pkt *p, uint32_t zone, bool v6,
	const struct resolution *r, struct flow_init *forward, struct flow_init *reverse,
	bool *cache)
{
	struct conntrack_segment s = { .flags = RTE_TCP_ACK_FLAG, .scale = FLOW_SCALE_UNKNOWN };
	const bool whole = segment_of(p, &s);

	if (whole && (s.flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG)) ==
			     RTE_TCP_SYN_FLAG) {
		if (unlikely(half_open_full(w, zone, v6)))
			return DROP_half_open_limited;
	} else {
		/* What answers a connection that is known is of one, also when there was no room for its own entry. */
		if (!w->tables->settings.tcp_pickup && !conntrack_grace() &&
			verdict_opener(w, p, r->opposite_zone, v6) == NULL)
			return DROP_tcp_no_connection;
		/* The end of what nobody knows, or a part of a segment without its numbers: no reason for entries. */
		if (!whole || s.flags & RTE_TCP_RST_FLAG) {
			*cache = false;
			return DROP_NONE;
		}
		counter_add(&w->counters->events[EVENT_conntrack_picked_up], 1);
	}
	conntrack_tcp_first(&s, forward, reverse);
	return DROP_NONE;
}

enum drop_reason conntrack_open(struct worker *w, const struct pkt *p, bool v6,
	const struct resolution *r, struct flow_init *forward, struct flow_init *reverse,
	bool *cache)
{
	const uint32_t zone = (v6 ? p->key6.zone_proto : p->key4.zone_proto) >> 8;
	struct conntrack_chunk c = { 0 };

	if (unlikely(over_limit(w, zone) ||
		     (r->reverse_zone != zone && over_limit(w, r->reverse_zone))))
		return DROP_connections_limited;
	switch (p->proto) {
	case IPPROTO_TCP:
		return open_tcp(w, p, zone, v6, r, forward, reverse, cache);
	case IPPROTO_UDP:
		forward->state = flow_state(FLOW_UDP_UNREPLIED, 0);
		reverse->state = flow_state(FLOW_UDP_AWAITED, 0);
		return DROP_NONE;
	case IPPROTO_SCTP:
		if (!chunk_of(p, &c)) {
			*cache = !(p->flags & PKT_FRAGMENT_LATER);
			return DROP_NONE;
		}
		conntrack_sctp_first(&c, forward, reverse);
		if (flow_state_kind(forward->state) == FLOW_SCTP_INIT &&
			half_open_full(w, zone, v6))
			return DROP_half_open_limited;
		return DROP_NONE;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		forward->state = reverse->state = flow_state(FLOW_ICMP, 0);
		return DROP_NONE;
	default:
		return DROP_NONE;
	}
}

/* --- control --------------------------------------------------------------------------------------------------- */

void conntrack_configure(struct flow_table *table, const struct node *node)
{
	struct flow_conduct conduct = { .half_open_max = node->half_open_max };

#define X(name, text, rank, setting) conduct.timeout_ms[FLOW_##name] = node->setting * 1000u;
	FLOW_KINDS(X)
#undef X
	conduct.window = node->tcp_window == TCP_WINDOW_STRICT ? FLOW_WINDOW_STRICT
			 : node->tcp_window == TCP_WINDOW_OFF  ? FLOW_WINDOW_OFF
							       : FLOW_WINDOW_LIBERAL;
	flow_table_configure(table, &conduct);
	atomic_store_explicit(&grace_ms, node->tcp_pickup_grace_s * 1000u, memory_order_relaxed);
}

void conntrack_tick(uint64_t now_ms)
{
	static uint64_t started;

	if (started == 0)
		started = now_ms;
	atomic_store_explicit(&grace,
		now_ms - started < atomic_load_explicit(&grace_ms, memory_order_relaxed),
		memory_order_relaxed);
}
