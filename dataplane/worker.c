/* SPDX-License-Identifier: Apache-2.0 */
/** The way of a packet through a worker, top to bottom:
 *
 *   worker_burst    count, parse, decapsulate        -> lists of packets with complete flow keys, by family
 *   worker_flows    look up all, resolve the misses  -> an adjacency a packet
 *   worker_forward  TTL, size, header                -> output batches
 *   worker_flush    send
 *
 * Everything most packets never need is in slowpath.c.
 */
#include "dataplane/worker_state.h"

#include "dataplane/adjacency.h"
#include "dataplane/icmp.h"
#include "dataplane/mtu.h"
#include "dataplane/rewrite.h"
#include "dataplane/worker.h"

#include <rte_prefetch.h>

/* --- 1. receive, parse, decapsulate ------------------------------------------------------------------------- */

static const struct tunnel_ops *const *tunnels; /* set once before workers start */

void worker_set_tunnels(const struct tunnel_ops *const *types)
{
	tunnels = types;
}

/** The tunnel this packet belongs to: its protocol is a tunnel's and its destination this node's. */
static inline const struct tunnel_ops *tunnel_of(const struct tunnel_table *t, const struct pkt *p)
{
	const uint8_t *dst = p->flags & PKT_V6 ? p->key6.dst : (const uint8_t *)&p->key4.dst;

	if (p->proto != IPPROTO_UDP && p->proto != IPPROTO_IPIP && p->proto != IPPROTO_IPV6)
		return NULL;
	for (unsigned i = 0; tunnels[i] != NULL; i++) {
		if (tunnels[i]->claims(t, p))
			return tunnel_is_local(t, p->flags & PKT_V6 ? IP_V6 : IP_V4, dst) ? tunnels[i] : NULL;
	}
	return NULL;
}

static inline struct parsed decapsulate(struct worker *w, const struct tunnel_ops *tunnel, struct pkt *p)
{
	const struct tunnel_table *t = w->tables->tunnels;
	struct parsed parsed;

	WORKER_TRACE(w, p->m, "decap", "%s", tunnel->name);
	parsed = tunnel->decap(t, p->m, p);
	if (parsed.class == PKT_DROP)
		return parsed;
	p->flags |= PKT_DECAPSULATED;
	counter_add(&w->counters->events[EVENT_decapsulated], 1);
	if (unlikely(w->observer != NULL))
		observe_point(w->observer, OBSERVE_INNER, p->m, p->m->port, DROP_NONE);
	if (parsed.class == PKT_ARP || parsed.class == PKT_ND) /* routed form: nobody resolves inside a tunnel */
		return (struct parsed){ PKT_DROP,
			parsed.class == PKT_ARP ? DROP_arp_ignored : DROP_nd_ignored };
	if (unlikely(parsed.class != PKT_FRAG && tunnel_of(t, p) != NULL))
		return (struct parsed){ PKT_DROP, DROP_tunnel_nested };
	return parsed;
}

/** Bridges flood: only what is addressed to the port is routed; ARP and ND may come by multicast. */
static inline bool l2_for_us(const struct pkt *p, const struct port *in, enum pkt_class class)
{
	const uint8_t *dst = rte_pktmbuf_mtod(p->m, const struct rte_ether_hdr *)->dst_addr.addr_bytes;

	return memcmp(dst, in->mac.bytes, sizeof(in->mac.bytes)) == 0 ||
		((dst[0] & 1) != 0 && (class == PKT_ARP || class == PKT_ND));
}

void worker_burst(struct worker *w, struct port *in, uint16_t n)
{
	const struct tunnel_table *t = w->tables->tunnels;
	struct vector *v = &w->vector;
	const bool underlay = in->role == PORT_UPLINK;
	const bool open = atomic_load_explicit(&in->forwarding, memory_order_acquire);
	uint64_t bytes = 0;

	v->n4 = v->n6 = 0;
	for (uint16_t i = 0; i < n && i < 8; i++)
		rte_prefetch0(rte_pktmbuf_mtod(w->pkts[i], void *));
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = w->pkts[i];
		struct pkt *p = &w->meta[i];
		struct parsed parsed;

		if (i + 8 < n)
			rte_prefetch0(rte_pktmbuf_mtod(w->pkts[i + 8], void *));
		bytes += rte_pktmbuf_pkt_len(m);
		m->port = in->id;
		p->m = m;
		if (unlikely(w->observer != NULL))
			observe_rx(w->observer, m, in->id, &pkt_note(m)->trace);
		parsed = open ? pkt_parse_ether(m, p, in->id) : (struct parsed){ PKT_DROP, DROP_port_down };
		if (parsed.class != PKT_DROP && unlikely(!l2_for_us(p, in, parsed.class)))
			parsed = (struct parsed){ PKT_DROP, DROP_l2_not_for_us };
	again:
		if (underlay && (parsed.class == PKT_FLOW4 || parsed.class == PKT_FLOW6) &&
			!(p->flags & PKT_DECAPSULATED)) {
			const struct tunnel_ops *tunnel = tunnel_of(t, p);

			if (tunnel != NULL)
				parsed = decapsulate(w, tunnel, p);
		}
		switch (parsed.class) {
		case PKT_FLOW4:
			p->hash = flow_hash4(w->flows, &p->key4);
			v->flow4[v->n4++] = p;
			break;
		case PKT_FLOW6:
			p->hash = flow_hash6(w->flows, &p->key6);
			v->flow6[v->n6++] = p;
			break;
		case PKT_ARP:
		case PKT_ND:
			slow_neighbour(w, in, p->m, p, parsed.class == PKT_ARP);
			break;
		case PKT_FRAG:
			parsed = slow_fragment(w, in, p);
			if (parsed.class != PKT_FRAG)
				goto again;
			break;
		default:
			slow_drop(w, in, p->m, p, parsed.reason, 0);
		}
	}
	counter_add(&w->counters->received, n);
	counter_add(&w->counters->port[in->id].rx_packets, n);
	counter_add(&w->counters->port[in->id].rx_bytes, bytes);
	worker_flows(w, in, v);
}

/* --- 2. flows: look up all, resolve the misses -------------------------------------------------------------- */

static inline void flows_of(struct worker *w, const struct port *in, struct pkt **list, uint16_t n, bool v6)
{
	uint64_t hits = 0;

	if (n == 0)
		return;
	if (v6)
		flow_lookup6(w->flows, list, w->found, n);
	else
		flow_lookup4(w->flows, list, w->found, n);
	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = list[i];
		struct flow *flow = w->found[i];
		uint32_t adjacency;

		if (likely(flow != NULL)) {
			if (likely(atomic_load_explicit(&flow->epoch, memory_order_acquire) == w->epoch))
				adjacency = flow_decision_get(flow).adjacency;
			else
				adjacency = slow_recheck(w, flow, p, v6);
			counter_add(&flow->packets, 1);
			counter_add(&flow->bytes, p->ip_len);
			atomic_store_explicit(&flow->last_seen, w->now_ms, memory_order_relaxed);
			hits++;
		} else {
			adjacency = slow_miss(w, p, v6);
		}
		WORKER_TRACE(w, p->m, "flow", "%s, adjacency %u: %s", flow != NULL ? "hit" : "miss", adjacency,
			adjacency_get(adjacency)->text);
		worker_forward(w, in, p->m, p, adjacency_get(adjacency));
	}
	counter_add(&w->counters->events[EVENT_flow_hit], hits);
}

void worker_flows(struct worker *w, const struct port *in, struct vector *v)
{
	flows_of(w, in, v->flow4, v->n4, false);
	flows_of(w, in, v->flow6, v->n6, true);
}

/* --- 3. forward: TTL, size, header -------------------------------------------------------------------------- */

static inline void ttl_decrement(struct rte_mbuf *m, const struct pkt *p)
{
	if (p->flags & PKT_V6) {
		rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, p->l2_len)->hop_limits--;
	} else {
		struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, p->l2_len);
		uint32_t sum = (uint32_t)ip->hdr_checksum + rte_cpu_to_be_16(0x0100); /* RFC 1624 */

		ip->time_to_live--;
		ip->hdr_checksum = (uint16_t)(sum + (sum >= 0xffff)); /* never the other zero, 0xffff */
	}
}

void worker_emit(struct worker *w, struct rte_mbuf *m, const struct pkt *p, uint16_t ip_len,
	const struct adjacency *adj)
{
	if (unlikely(w->observer != NULL && adj->type == ADJ_TUNNEL))
		observe_point(w->observer, OBSERVE_INNER, m, adj->port, DROP_NONE);
	if (unlikely(!rewrite_prepend(m, adj, p, ip_len, w->ip_id++))) {
		worker_drop(w, m, DROP_no_buffer);
		return;
	}
	if (adj->type == ADJ_TUNNEL)
		counter_add(&w->counters->events[EVENT_encapsulated], 1);
	WORKER_TRACE(w, m, "output", "%s", adj->text);
	worker_output(w, adj->port, m);
}

void worker_forward(struct worker *w, const struct port *in, struct rte_mbuf *m, struct pkt *p,
	const struct adjacency *adj)
{
	if (unlikely(adj->type == ADJ_DROP)) {
		slow_drop(w, in, m, p, adj->drop, 0);
		return;
	}
	if (unlikely(adj->type == ADJ_LOCAL)) {
		slow_local(w, in, m, p);
		return;
	}
	if (unlikely(p->ttl <= 1 && !(p->flags & PKT_GENERATED))) {
		slow_drop(w, in, m, p, DROP_ttl_expired, 0);
		return;
	}
	if (likely(!(p->flags & PKT_GENERATED)))
		ttl_decrement(m, p);
	if (unlikely((p->flags & PKT_TCP_SYN) && w->tables->settings.mss_clamp) &&
		tcp_mss_clamp(m, p, mtu_tcp_mss(adj->mtu, p->flags & PKT_V6)))
		counter_add(&w->counters->events[EVENT_mss_clamped], 1);
	if (unlikely(adj->type == ADJ_RESOLVING || adj->type == ADJ_GLEAN)) {
		slow_hold(w, in, m, p, adj);
		return;
	}
	if (unlikely(p->ip_len > adj->mtu ||
		    (m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_L4_MASK)) != 0)) {
		slow_output(w, in, m, p, adj);
		return;
	}
	rte_pktmbuf_adj(m, p->l2_len);
	worker_emit(w, m, p, p->ip_len, adj);
}

/* --- 4. send -------------------------------------------------------------------------------------------------- */

void worker_flush_port(struct worker *w, uint16_t id)
{
	struct tx_buffer *tx = &w->tx[id];
	struct port *port = port_get(id);
	uint16_t n = tx->count, sent = 0;
	bool open = port != NULL && atomic_load_explicit(&port->forwarding, memory_order_acquire);
	uint64_t bytes = 0;
	uint16_t followed[TX_BATCH];

	tx->count = 0;
	for (uint16_t i = 0; i + 1 < w->tx_dirty_count; i++) {
		if (w->tx_dirty[i] == id) /* keep the list exact: the last one takes the place */
			w->tx_dirty[i] = w->tx_dirty[w->tx_dirty_count - 1];
	}
	w->tx_dirty_count--;
	for (uint16_t i = 0; i < n; i++) {
		bytes += rte_pktmbuf_pkt_len(tx->pkts[i]);
		if (unlikely(w->observer != NULL)) {
			followed[i] = pkt_note(tx->pkts[i])->trace;
			observe_point(w->observer, OBSERVE_TX, tx->pkts[i], id, DROP_NONE);
		}
	}
	if (likely(open))
		sent = port_tx(port, w->id, tx->pkts, n);
	for (uint16_t i = sent; i < n; i++) {
		bytes -= rte_pktmbuf_pkt_len(tx->pkts[i]);
		worker_drop(w, tx->pkts[i], open ? DROP_tx_queue_full : DROP_port_down);
	}
	/* A driver may have moved packets it refused: their traces have ended above, so all that are left were sent. */
	for (uint16_t i = 0; unlikely(w->observer != NULL) && sent > 0 && i < n; i++) {
		trace_step(w->observer, followed[i], "send", "%s", port->name);
		trace_end(w->observer, followed[i]);
	}
	counter_add(&w->counters->transmitted, sent);
	counter_add(&w->counters->port[id].tx_packets, sent);
	counter_add(&w->counters->port[id].tx_bytes, bytes);
}

void worker_flush(struct worker *w)
{
	while (w->tx_dirty_count > 0)
		worker_flush_port(w, w->tx_dirty[w->tx_dirty_count - 1]);
}
