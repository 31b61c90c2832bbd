/* SPDX-License-Identifier: Apache-2.0 */
/** The way of any packet through a worker. burst.c does the usual ones and calls these for the rest:
 *
 *   worker_parse    one packet: parse, decapsulate     -> a complete flow key
 *   worker_flow     its entry, or a decision           -> an adjacency
 *   worker_forward  TTL, size, header                  -> output batches
 *   worker_flush    send
 *
 * Everything most packets never need is in slowpath.c and slow_flow.c.
 */
#include "dataplane/worker_state.h"

#include "dataplane/adjacency.h"
#include "dataplane/conntrack.h"
#include "dataplane/gro.h"
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
			return tunnel_is_local(t, p->flags & PKT_V6 ? IP_V6 : IP_V4, dst)
				       ? tunnels[i]
				       : NULL;
	}
	return NULL;
}

static inline struct parsed decapsulate(
	struct worker *w, const struct port *in, const struct tunnel_ops *tunnel, struct pkt *p)
{
	const struct tunnel_table *t = w->tables->tunnels;
	const uint8_t *frame = rte_pktmbuf_mtod(p->m, const uint8_t *);
	const struct pkt outer = *p;
	const uint32_t kept = p->flags & PKT_V6 ? TUNNEL_MEMO_V6 : TUNNEL_MEMO_V4;
	const bool keep = plain_mbuf(p->m) && rte_pktmbuf_data_len(p->m) >= kept;
	struct parsed parsed;

	WORKER_TRACE(w, p->m, "decap", "%s", tunnel->name);
	parsed = tunnel->decap(t, p->m, p);
	if (parsed.class == PKT_DROP) {
		/* Only inner addresses can be wrong by now. The hit path takes a packet out of its tunnel before it looks. */
		if (parsed.reason == DROP_ip4_bad_address ||
			parsed.reason == DROP_ip6_bad_address ||
			parsed.reason == DROP_multicast_unsupported)
			counter_add(&w->counters->events[EVENT_decapsulated], 1);
		return parsed;
	}
	if (keep)
		tunnel_memo_keep(tunnel_memo_of(worker_memos(w, in), frame), frame,
			(uint32_t)(rte_pktmbuf_mtod(p->m, uint8_t *) - frame), &outer);
	p->flags |= PKT_DECAPSULATED;
	counter_add(&w->counters->events[EVENT_decapsulated], 1);
	if (unlikely(w->observer != NULL))
		observe_point(w->observer, OBSERVE_INNER, p->m, p->m->port, DROP_NONE);
	if (parsed.class == PKT_ARP ||
		parsed.class == PKT_ND) /* routed form: nobody resolves inside a tunnel */
		return (struct parsed){ PKT_DROP,
			parsed.class == PKT_ARP ? DROP_arp_ignored : DROP_nd_ignored };
	if (unlikely(parsed.class != PKT_FRAG && tunnel_of(t, p) != NULL))
		return (struct parsed){ PKT_DROP, DROP_tunnel_nested };
	return parsed;
}

/** Bridges flood: only what is addressed to the port is routed; ARP and ND may come by multicast. */
static inline bool l2_for_us(const struct pkt *p, const struct port *in, enum pkt_class class)
{
	const uint8_t *dst =
		rte_pktmbuf_mtod(p->m, const struct rte_ether_hdr *)->dst_addr.addr_bytes;

	return memcmp(dst, in->mac.bytes, sizeof(in->mac.bytes)) == 0 ||
	       ((dst[0] & 1) != 0 && (class == PKT_ARP || class == PKT_ND));
}

bool worker_parse(struct worker *w, struct port *in, struct pkt *p, bool open)
{
	struct parsed parsed = { PKT_DROP, DROP_port_down };

	if (unlikely(w->observer != NULL))
		observe_rx(w->observer, p->m, in->id, &pkt_note(p->m)->trace);
	/* Also for a port that is closed: the reason says so, but p must be fit to be dropped. */
	p->flags = 0;
	p->l2_len = RTE_ETHER_HDR_LEN;
	if (open)
		parsed = pkt_parse_ether(p->m, p, in->id);
	if (parsed.class != PKT_DROP && unlikely(!l2_for_us(p, in, parsed.class)))
		parsed = (struct parsed){ PKT_DROP, DROP_l2_not_for_us };
	for (;;) {
		if (in->role == PORT_UPLINK &&
			(parsed.class == PKT_FLOW4 || parsed.class == PKT_FLOW6) &&
			!(p->flags & PKT_DECAPSULATED)) {
			const struct tunnel_ops *tunnel = tunnel_of(w->tables->tunnels, p);

			if (tunnel != NULL)
				parsed = decapsulate(w, in, tunnel, p);
		}
		switch (parsed.class) {
		case PKT_FLOW4:
			p->hash = flow_hash4(w->flows, &p->key4);
			return true;
		case PKT_FLOW6:
			p->hash = flow_hash6(w->flows, &p->key6);
			return true;
		case PKT_ARP:
		case PKT_ND:
			slow_neighbour(w, in, p->m, p, parsed.class == PKT_ARP);
			return false;
		case PKT_FRAG:
			parsed = slow_fragment(w, in, p);
			if (parsed.class == PKT_FRAG)
				return false;
			continue;
		default:
			slow_drop(w, in, p->m, p, parsed.reason, 0);
			return false;
		}
	}
}

/* --- 2. flow: the entry's decision, or one of now ------------------------------------------------------------- */

/** The adjacency of a packet whose flow is known. */
static uint32_t known_flow(struct worker *w, struct pkt *p, struct flow *flow, bool v6)
{
	uint32_t adjacency, reason;

	if (likely(atomic_load_explicit(&flow->epoch, memory_order_acquire) == w->epoch))
		adjacency = flow_decision_get(flow).adjacency;
	else
		adjacency = slow_recheck(w, flow, p, v6);
	if (likely(adjacency >= DROP_REASON_COUNT)) {
		reason = conntrack_hit(w, p, flow, v6);
		if (unlikely(reason == CONNTRACK_NEW))
			return slow_miss(w, p, v6);
		if (unlikely(
			    reason !=
			    DROP_NONE)) /* what does not belong to the connection keeps it no longer */
			return reason;
	}
	counter_add(&flow->packets, 1);
	counter_add(&flow->bytes, p->ip_len);
	atomic_store_explicit(&flow->last_seen, w->now_ms, memory_order_relaxed);
	counter_add(&w->counters->events[EVENT_flow_hit], 1);
	return adjacency;
}

void worker_flow(struct worker *w, const struct port *in, struct pkt *p, struct flow *flow, bool v6)
{
	uint32_t adjacency = 0;

	if (unlikely(p->proto == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)))
		adjacency = conntrack_related(w, in, p, v6);
	if (likely(adjacency == 0))
		adjacency = likely(flow != NULL) ? known_flow(w, p, flow, v6) : slow_miss(w, p, v6);
	if (unlikely(w->observer != NULL))
		slow_observe_flow(w, p, flow, v6, adjacency);
	worker_forward(w, in, p->m, p, adjacency_get(adjacency));
}

void worker_plain_left(
	struct worker *w, const struct port *in, struct pkt *p, struct flow *flow, bool v6)
{
	const uint32_t zone = (v6 ? p->key6.zone_proto : p->key4.zone_proto) >> 8;
	const uint64_t hash = p->hash;
	struct parsed parsed;

	/* What came in a tunnel starts at its inner Ethernet header, or without one at its IP header. */
	if (zone == ZONE_TUNNEL && p->l2_len == 0)
		parsed = pkt_parse_ip(p->m, p, zone, v6 ? 6 : 4, 0);
	else
		parsed = pkt_parse_ether(p->m, p, zone);
	if (zone == ZONE_TUNNEL)
		p->flags |= PKT_DECAPSULATED;
	p->hash = hash;
	if (likely(parsed.class == (v6 ? PKT_FLOW6 : PKT_FLOW4)))
		worker_flow(w, in, p, flow, v6);
	else
		slow_drop(w, in, p->m, p, parsed.reason, 0);
}

/* --- 3. forward: TTL, size, header -------------------------------------------------------------------------- */

static inline void ttl_decrement(struct rte_mbuf *m, const struct pkt *p)
{
	if (p->flags & PKT_V6) {
		rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, p->l2_len)->hop_limits--;
	} else {
		struct rte_ipv4_hdr *ip =
			rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, p->l2_len);
		uint32_t sum = (uint32_t)ip->hdr_checksum + rte_cpu_to_be_16(0x0100); /* RFC 1624 */

		ip->time_to_live--;
		ip->hdr_checksum =
			(uint16_t)(sum + (sum >= 0xffff)); /* never the other zero, 0xffff */
	}
}

void worker_emit(struct worker *w, struct rte_mbuf *m, const struct pkt *p, uint16_t ip_len,
	const struct adjacency *adj)
{
	if (unlikely(w->observer != NULL && adj->type == ADJ_TUNNEL))
		observe_point(w->observer, OBSERVE_INNER, m, adj->port, DROP_NONE);
	if (unlikely(!rewrite_prepend(m, adj, p, ip_len, w->ip_id))) {
		worker_drop(w, m, DROP_no_buffer);
		return;
	}
	if (adj->type == ADJ_TUNNEL) {
		w->ip_id++;
		counter_add(&w->counters->events[EVENT_encapsulated], 1);
	}
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

/** Make fewer, larger packets for a port that takes them. @return how many are left. */
static __rte_noinline uint16_t flush_merged(struct worker *w, const struct port *port,
	struct tx_buffer *tx, uint16_t n, uint64_t *bytes)
{
	uint64_t saved;
	uint16_t left = gro_merge(tx->pkts, n, port->offloads, &saved);

	*bytes -= saved;
	counter_add(&w->counters->delivered, n - left);
	counter_add(&w->counters->events[EVENT_merged], n - left);
	return left;
}

void worker_flush_port(struct worker *w, uint16_t id)
{
	struct tx_buffer *tx = &w->tx[id];
	struct port *port = port_get(id);
	uint16_t n = (uint16_t)tx->count, sent = 0;
	bool open = port != NULL && atomic_load_explicit(&port->forwarding, memory_order_acquire);
	struct port_limits *limits = port != NULL ? rcu_read(&port->limits) : NULL;
	uint64_t bytes = tx->bytes;
	uint16_t followed[RTE_DIM(tx->pkts)];

	tx->count = tx->bytes = 0;
	for (uint16_t i = 0; i + 1 < w->tx_dirty_count; i++) {
		if (w->tx_dirty[i] == id) /* keep the list exact: the last one takes the place */
			w->tx_dirty[i] = w->tx_dirty[w->tx_dirty_count - 1];
	}
	w->tx_dirty_count--;
	/* Before packets are merged: a limit counts them as they came. */
	if (unlikely(limits != NULL)) {
		n = slow_limit_ingress(w, limits, tx->pkts, n);
		bytes = 0;
		for (uint16_t i = 0; i < n; i++)
			bytes += rte_pktmbuf_pkt_len(tx->pkts[i]);
	}
	/* Not while somebody watches: he asked for packets. */
	if (n > 1 && open && (port->offloads & (PORT_TX_TSO | PORT_TX_USO)) &&
		port->large.buffers_max == 0 && w->observer == NULL)
		n = flush_merged(w, port, tx, n, &bytes);
	for (uint16_t i = 0; unlikely(w->observer != NULL) && i < n; i++) {
		followed[i] = pkt_note(tx->pkts[i])->trace;
		observe_point(w->observer, OBSERVE_TX, tx->pkts[i], id, DROP_NONE);
	}
	if (likely(open))
		sent = port_tx(port, w->id, tx->pkts, n);
	for (uint16_t i = sent; i < n; i++) {
		bytes -= rte_pktmbuf_pkt_len(tx->pkts[i]);
		worker_drop(w, tx->pkts[i], open ? DROP_tx_queue_full : DROP_port_down);
	}
	/* A driver may have moved packets it refused: their traces have ended above, so all that are left were sent. */
	for (uint16_t i = 0; unlikely(w->observer != NULL) && sent > 0 && i < n; i++) {
		if (port->vlan != 0)
			trace_step(w->observer, followed[i], "send", "%s, VLAN %u", port->name,
				port->vlan);
		else
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
