/* SPDX-License-Identifier: Apache-2.0 */
/** The parts of the packet path that most packets never need: see worker_state.h. Worker threads. */
#include "dataplane/worker_state.h"

#include "dataplane/arp_nd.h"
#include "dataplane/icmp.h"
#include "dataplane/limit.h"
#include "dataplane/offload.h"
#include "dataplane/tunnel_offload.h"
#include "dataplane/vlan.h"
#include "dataplane/worker.h"

#include <rte_random.h>

#define CUT_MAX \
	256 /* segments or fragments one packet may become: 64 KiB at an MSS of 256, or an MTU of 276 */

void worker_drop(struct worker *w, struct rte_mbuf *m, enum drop_reason reason)
{
	if (unlikely(w->observer != NULL)) {
		observe_point(w->observer, OBSERVE_DROP, m, m->port, reason);
		trace_step(w->observer, pkt_note(m)->trace, "drop", "%s: %s",
			drop_reason_name(reason), drop_reason_text(reason));
		trace_end(w->observer, pkt_note(m)->trace);
	}
	counter_drop(w->counters, m->port, reason, 1);
	rte_pktmbuf_free(m);
}

/** Count as received, and drop, what no stage has seen. */
static void refuse_received(
	struct worker *w, const struct port *in, struct rte_mbuf *m, enum drop_reason reason)
{
	m->port = in->id;
	counter_add(&w->counters->received, 1);
	counter_add(&w->counters->port[in->id].rx_packets, 1);
	counter_add(&w->counters->port[in->id].rx_bytes, rte_pktmbuf_pkt_len(m));
	if (unlikely(w->observer != NULL))
		observe_rx(w->observer, m, in->id, &pkt_note(m)->trace);
	worker_drop(w, m, reason);
}

uint16_t slow_limit_egress(
	struct worker *w, const struct port *in, struct port_limits *limits, uint16_t n)
{
	uint16_t pass = limit_apply(limits, w->id, LIMIT_EGRESS, rte_rdtsc(), w->pkts, n);

	for (uint16_t i = pass; i < n; i++)
		refuse_received(w, in, w->pkts[i], DROP_egress_rate_limited);
	return pass;
}

uint16_t slow_vlan(struct worker *w, const struct port *in, uint16_t n)
{
	uint16_t pass = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = w->pkts[i];

		if (likely(vlan_accept(m, in->vlan)))
			w->pkts[pass++] = m;
		else
			refuse_received(w, in, m, DROP_vlan_other);
	}
	return pass;
}

uint16_t slow_limit_ingress(
	struct worker *w, struct port_limits *limits, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t pass = limit_apply(limits, w->id, LIMIT_INGRESS, rte_rdtsc(), pkts, n);

	for (uint16_t i = pass; i < n; i++)
		worker_drop(w, pkts[i], DROP_ingress_rate_limited);
	return pass;
}

/** Let go of a packet that the control thread takes: its note is written anew, so this is the end of its trace. */
static void punt(struct worker *w, struct rte_mbuf *m, const struct port *in, enum punt_kind kind)
{
	uint16_t trace = w->observer != NULL ? pkt_note(m)->trace : 0;

	if (unlikely(w->observer != NULL)) {
		trace_step(w->observer, trace, "punt", "to the control thread");
		trace_end(w->observer, trace);
	}
	*pkt_note(m) = (struct pkt_note){ .port = in->id, .kind = (uint8_t)kind };
	punt_send(w->counters, m);
}

void slow_send_own(struct worker *w, struct rte_mbuf *m)
{
	const struct tables *t = w->tables;
	struct pkt p;
	struct parsed parsed;
	uint32_t value;

	parsed = pkt_parse_ip(m, &p, PORT_NONE, (rte_pktmbuf_mtod(m, const uint8_t *)[0] >> 4), 0);
	if (parsed.class != PKT_FLOW4 && parsed.class != PKT_FLOW6) {
		worker_drop(w, m, parsed.class == PKT_DROP ? parsed.reason : DROP_no_route);
		return;
	}
	p.m = m;
	p.flags |= PKT_GENERATED;
	p.hash = p.flags & PKT_V6 ? flow_hash6(w->flows, &p.key6) : flow_hash4(w->flows, &p.key4);
	value = p.flags & PKT_V6 ? fib_lookup(t->fib6, p.key6.dst)
				 : fib_lookup(t->fib4, (const uint8_t *)&p.key4.dst);
	worker_forward(w, NULL, m, &p, adjacency_get(route_adjacency(value, p.hash)));
}

/** The address errors about packets from `in` come from: that port's own, else the node's. */
static void icmp_source(const struct worker *w, const struct port *in, bool v6, uint8_t *source)
{
	const struct settings *s = &w->tables->settings;
	const struct port_addresses *own = NULL;

	if (in != NULL && in->role == PORT_UPLINK)
		own = atomic_load_explicit(&in->addresses, memory_order_acquire);
	for (uint16_t i = 0; own != NULL && i < own->count; i++) {
		const struct ip_addr *a = &own->items[i].addr;

		if (a->family == (v6 ? IP_V6 : IP_V4) && !ip_addr_is_link_local(a)) {
			memcpy(source, a->bytes, v6 ? 16 : 4);
			return;
		}
	}
	memcpy(source, v6 ? s->icmp_source6 : s->icmp_source4, v6 ? 16 : 4);
}

void slow_drop(struct worker *w, const struct port *in, struct rte_mbuf *m, const struct pkt *p,
	enum drop_reason reason, uint16_t mtu)
{
	bool v6 = p->flags & PKT_V6;
	struct icmp_error error = { 0 };
	struct rte_mbuf *message = NULL;

	if (!(p->flags & PKT_GENERATED) && reason >= DROP_spoofed_source)
		error = icmp_error_for(reason, v6);
	if (error.type != 0) {
		if (w->icmp_tokens > 0) {
			error.info = mtu;
			icmp_source(w, in, v6, error.source);
			message = icmp_error_make(w->pool, m, p, &error);
		}
		if (message != NULL) {
			w->icmp_tokens--;
			counter_add(&w->counters->generated, 1);
			counter_add(&w->counters->events[EVENT_icmp_error_sent], 1);
			pkt_note(message)->trace = 0;
			worker_drop(w, m, reason);
			slow_send_own(w, message);
			return;
		}
	}
	worker_drop(w, m, reason);
}

void slow_neighbour(
	struct worker *w, const struct port *in, struct rte_mbuf *m, struct pkt *p, bool arp)
{
	const struct settings *s = &w->tables->settings;
	struct neighbour_info info;
	enum drop_reason reason;

	if (in->role == PORT_POD || in->role == PORT_HOST) {
		reason = neighbour_parse(m, p, arp, &info);
		if (reason != DROP_NONE) {
			worker_drop(w, m, reason);
			return;
		}
		if (info.kind == NEIGHBOUR_REQUEST) {
			const struct port_addresses *own =
				atomic_load_explicit(&in->addresses, memory_order_acquire);

			reason = neighbour_proxy_reply(m, p, &info, &s->gateway_mac,
				own != NULL ? own->items : NULL, own != NULL ? own->count : 0);
			if (reason != DROP_NONE) {
				worker_drop(w, m, reason);
				return;
			}
			counter_add(&w->counters->delivered, 1);
			counter_add(&w->counters->generated, 1);
			counter_add(
				&w->counters->events[arp ? EVENT_arp_answered : EVENT_nd_answered],
				1);
			WORKER_TRACE(w, m, "proxy", "answered with the gateway's MAC address");
			worker_output(w, in->id, m);
			return;
		}
	}
	/* Requests on uplinks and all replies teach the neighbour table: the control thread's work. */
	punt(w, m, in, PUNT_NEIGHBOUR);
}

/** An ICMP "too big" about one of our own tunnel packets. */
static bool is_path_mtu(const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *icmp =
		pkt_hdr(m, p->l2_len + p->l3_len, uint16_t) != NULL
			? rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l2_len + p->l3_len)
			: NULL;

	if (icmp == NULL)
		return false;
	if (p->flags & PKT_V6)
		return p->proto == IPPROTO_ICMPV6 && icmp[0] == 2;
	return p->proto == IPPROTO_ICMP && icmp[0] == 3 && icmp[1] == 4;
}

/** A pod speaks to an address of the node that is the kernel's. @return the adjacency of the way there, or 0. */
static uint32_t kernel_way(const struct worker *w, const struct port *in, const struct pkt *p)
{
	const struct settings *s = &w->tables->settings;
	bool v6 = p->flags & PKT_V6;

	if (in == NULL || in->role != PORT_POD)
		return 0;
	for (unsigned i = 0; i < s->n_kernel; i++) {
		if (s->kernel[i].family == (v6 ? IP_V6 : IP_V4) &&
			memcmp(s->kernel[i].bytes, v6 ? p->key6.dst : (const uint8_t *)&p->key4.dst,
				v6 ? 16 : 4) == 0)
			return s->kernel_adjacency[v6];
	}
	return 0;
}

void slow_local(struct worker *w, const struct port *in, struct rte_mbuf *m, struct pkt *p)
{
	enum drop_reason reason;

	if (in != NULL && in->role == PORT_UPLINK && is_path_mtu(m, p)) {
		rte_pktmbuf_adj(m, p->l2_len);
		punt(w, m, in, PUNT_PATH_MTU);
		return;
	}
	if (p->proto != (p->flags & PKT_V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		uint32_t way = kernel_way(w, in, p);

		if (way != 0) {
			worker_forward(w, in, m, p, adjacency_get(way));
			return;
		}
		slow_drop(w, in, m, p, DROP_no_local_listener, 0);
		return;
	}
	m->l2_len = p->l2_len & 0x7fu;
	if ((m->ol_flags & RTE_MBUF_F_TX_L4_MASK) != 0 && !offload_complete_checksum(m)) {
		worker_drop(w, m, DROP_offload_failed);
		return;
	}
	reason = icmp_echo_reply(m, p);
	if (reason != DROP_NONE) {
		worker_drop(w, m, reason);
		return;
	}
	counter_add(&w->counters->delivered, 1);
	counter_add(&w->counters->generated, 1);
	counter_add(&w->counters->events[EVENT_icmp_echo_answered], 1);
	WORKER_TRACE(w, m, "local", "echo request answered");
	if (in != NULL && p->l2_len == RTE_ETHER_HDR_LEN && !(p->flags & PKT_DECAPSULATED)) {
		/* Back the way it came: right for link-local addresses too, which no route covers. */
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);

		eth->dst_addr = eth->src_addr;
		memcpy(eth->src_addr.addr_bytes, in->mac.bytes, sizeof(in->mac.bytes));
		worker_output(w, in->id, m);
		return;
	}
	rte_pktmbuf_adj(m, p->l2_len);
	slow_send_own(w, m);
}

void slow_hold(struct worker *w, const struct port *in, struct rte_mbuf *m, struct pkt *p,
	const struct adjacency *adj)
{
	uint16_t trace = w->observer != NULL ? pkt_note(m)->trace : 0;

	/* Told now: nobody remembers the sender when the packet is released. */
	if (p->ip_len > adj->mtu && (p->flags & (PKT_DF | PKT_V6)) &&
		!(m->ol_flags & OFFLOAD_LARGE)) {
		slow_drop(w, in, m, p, DROP_packet_too_big, adj->mtu);
		return;
	}
	WORKER_TRACE(w, m, "hold", "%s", adj->text);
	rte_pktmbuf_adj(m, p->l2_len);
	*pkt_note(m) = (struct pkt_note){ .adjacency = adj->index,
		.port = m->port,
		.kind = adj->type == ADJ_GLEAN ? PUNT_GLEAN : PUNT_RESOLVE,
		.flags = p->flags,
		.hash = (uint32_t)(p->hash >> 32),
		.trace = trace };
	punt_send(w->counters, m);
}

/** Packets that start at their IP headers, cut from one: each gets the header and goes out. The first goes on as the one
 * that is followed by `trace`. */
static void emit_all(struct worker *w, struct rte_mbuf **out, uint16_t n, const struct pkt *p,
	const struct adjacency *adj, uint16_t trace)
{
	counter_add(&w->counters->generated, n - 1u);
	for (uint16_t i = 0; i < n; i++) {
		if (w->observer != NULL)
			pkt_note(out[i])->trace = i == 0 ? trace : 0;
		worker_emit(w, out[i], p, (uint16_t)rte_pktmbuf_pkt_len(out[i]), adj);
	}
}

/** A packet larger than the MTU, which starts at its IP header. */
static void output_fragments(
	struct worker *w, struct rte_mbuf *m, const struct pkt *p, const struct adjacency *adj)
{
	struct rte_mbuf *out[CUT_MAX];
	enum drop_reason reason = DROP_no_buffer;
	uint16_t n = fragment_cut(m, adj->mtu, w->pool, out, CUT_MAX, &reason);

	if (n == 0) {
		worker_drop(w, m, reason);
		return;
	}
	counter_add(&w->counters->events[EVENT_fragmented], 1);
	emit_all(w, out, n, p, adj, w->observer != NULL ? pkt_note(m)->trace : 0); /* m is out[0] */
}

/** UDP datagrams that are larger than the MTU and may be fragmented. Cut from one: the first goes on as that. */
static void emit_fragmented(struct worker *w, struct rte_mbuf **out, uint16_t n,
	const struct pkt *p, const struct adjacency *adj, uint16_t trace)
{
	counter_add(&w->counters->generated, n - 1u);
	for (uint16_t i = 0; i < n; i++) {
		if (w->observer != NULL)
			pkt_note(out[i])->trace = i == 0 ? trace : 0;
		if (rte_pktmbuf_pkt_len(out[i]) > adj->mtu)
			output_fragments(w, out[i], p, adj);
		else
			worker_emit(w, out[i], p, (uint16_t)rte_pktmbuf_pkt_len(out[i]), adj);
	}
}

/** A TCP segment larger than the MTU, or several UDP datagrams. `whole`: the port takes such. */
static void output_large(struct worker *w, const struct port *in, struct rte_mbuf *m, struct pkt *p,
	const struct adjacency *adj, bool whole)
{
	struct rte_mbuf *out[CUT_MAX];
	uint16_t headers = (uint16_t)(m->l3_len + m->l4_len), n, trace;
	bool fragments = false;

	if (m->tso_segsz == 0 || m->l3_len != p->l3_len || headers >= adj->mtu) {
		worker_drop(w, m, DROP_offload_failed);
		return;
	}
	trace = w->observer != NULL ? pkt_note(m)->trace : 0;
	if (headers + m->tso_segsz > adj->mtu) {
		if (p->flags & (PKT_DF | PKT_V6)) {
			slow_drop(w, in, m, p, DROP_packet_too_big, adj->mtu);
			return;
		}
		/* A stream may be cut anywhere, datagrams are what they are. */
		if (m->ol_flags & RTE_MBUF_F_TX_UDP_SEG)
			fragments = true;
		else
			m->tso_segsz = (uint16_t)(adj->mtu - headers);
	}
	rte_pktmbuf_adj(m, p->l2_len);
	m->l2_len = 0;
	if (whole && !fragments) {
		/* The NIC counts identifications on from the first segment's. */
		const uint16_t more = adj->type == ADJ_TUNNEL ? offload_segment_count(m) : 1;

		tunnel_offload_ask(m, adj);
		worker_emit(w, m, p, p->ip_len, adj);
		w->ip_id = (uint16_t)(w->ip_id + more - (more > 0));
		return;
	}
	n = offload_segment(m, w->pool, out, CUT_MAX);
	if (n == 0) {
		worker_drop(
			w, m, offload_segment_count(m) == 0 ? DROP_offload_failed : DROP_no_buffer);
		return;
	}
	counter_add(&w->counters->events[EVENT_segmented], 1);
	if (unlikely(fragments))
		emit_fragmented(w, out, n, p, adj, trace);
	else
		emit_all(w, out, n, p, adj, trace);
}

/** A UDP datagram that its sender leaves to us to fragment. `whole`: the port leaves it to somebody after it. */
static void output_datagram(struct worker *w, const struct port *in, struct rte_mbuf *m,
	struct pkt *p, const struct adjacency *adj, bool whole)
{
	uint32_t headers = m->l3_len + (p->flags & PKT_V6 ? 8u : 0), size = headers + m->tso_segsz;
	enum drop_reason reason = DROP_offload_failed;
	struct rte_mbuf *out[CUT_MAX];
	uint16_t n, trace;

	if (m->tso_segsz == 0 || m->l3_len != p->l3_len || headers + 8 > adj->mtu) {
		worker_drop(w, m, reason);
		return;
	}
	if (size > adj->mtu) {
		if (p->flags & (PKT_DF | PKT_V6)) {
			slow_drop(w, in, m, p, DROP_packet_too_big, adj->mtu);
			return;
		}
		size = adj->mtu;
		m->tso_segsz = (size - headers) & 0xfff8u;
	}
	if (whole) {
		rte_pktmbuf_adj(m, p->l2_len);
		m->l2_len = adj->header_len & 0x7fu;
		worker_emit(w, m, p, p->ip_len, adj);
		return;
	}
	if (!offload_complete_checksum(m)) {
		worker_drop(w, m, reason);
		return;
	}
	trace = w->observer != NULL ? pkt_note(m)->trace : 0;
	counter_add(&w->counters->events[EVENT_checksummed], 1);
	rte_pktmbuf_adj(m, p->l2_len);
	n = p->flags & PKT_V6 ? fragment_cut_v6(m, p->l3_len, (uint16_t)size, (uint32_t)rte_rand(),
					w->pool, out, CUT_MAX, &reason)
			      : fragment_cut(m, (uint16_t)size, w->pool, out, CUT_MAX, &reason);
	if (n == 0) {
		worker_drop(w, m, reason);
		return;
	}
	counter_add(&w->counters->events[EVENT_fragmented], 1);
	emit_all(w, out, n, p, adj, trace);
}

void slow_output(struct worker *w, const struct port *in, struct rte_mbuf *m, struct pkt *p,
	const struct adjacency *adj)
{
	const struct port *port = port_get(adj->port);
	uint16_t offloads;

	m->l2_len = p->l2_len &
		    0x7fu; /* a held packet has lost its frame header since the driver said */
	offloads = port != NULL ? tunnel_offload_through(port, adj, m, p->ip_len) : 0;
	if (offload_is_datagram(m)) {
		output_datagram(w, in, m, p, adj, offloads & PORT_TX_UFO);
		return;
	}
	if (m->ol_flags & OFFLOAD_LARGE) {
		output_large(w, in, m, p, adj,
			offloads &
				(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG ? PORT_TX_TSO : PORT_TX_USO));
		return;
	}
	if ((m->ol_flags & RTE_MBUF_F_TX_L4_MASK) &&
		(!(offloads & PORT_TX_CSUM) || p->ip_len > adj->mtu)) {
		if (!offload_complete_checksum(m)) {
			worker_drop(w, m, DROP_offload_failed);
			return;
		}
		counter_add(&w->counters->events[EVENT_checksummed], 1);
	}
	if (p->ip_len <= adj->mtu) {
		rte_pktmbuf_adj(m, p->l2_len);
		tunnel_offload_ask(m, adj);
		worker_emit(w, m, p, p->ip_len, adj);
		return;
	}
	if (p->flags & (PKT_DF | PKT_V6)) {
		slow_drop(w, in, m, p, DROP_packet_too_big, adj->mtu);
		return;
	}
	rte_pktmbuf_adj(m, p->l2_len);
	output_fragments(w, m, p, adj);
}

/** A policy may have changed while a packet waited for its next hop: what its flow's policies say now. */
static enum drop_reason denied_meanwhile(
	struct worker *w, struct rte_mbuf *m, uint16_t from, uint8_t flags)
{
	const bool v6 = rte_pktmbuf_mtod(m, const uint8_t *)[0] >> 4 == 6;
	struct pkt p, *list = &p;
	struct parsed parsed;
	struct flow *flow;
	uint32_t adjacency;

	if (w->tables->policy == NULL || from == PORT_NONE || (flags & PKT_GENERATED))
		return DROP_NONE;
	parsed = pkt_parse_ip(m, &p, flags & PKT_DECAPSULATED ? ZONE_TUNNEL : from, v6 ? 6 : 4, 0);
	if (parsed.class != (v6 ? PKT_FLOW6 : PKT_FLOW4))
		return DROP_NONE; /* later fragments go with their flow */
	p.m = m;
	p.hash = v6 ? flow_hash6(w->flows, &p.key6) : flow_hash4(w->flows, &p.key4);
	if (v6)
		flow_lookup6(w->flows, &list, &flow, 1);
	else
		flow_lookup4(w->flows, &list, &flow, 1);
	if (flow == NULL && p.proto == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return DROP_NONE; /* an error goes with its flow */
	adjacency = flow != NULL ? slow_recheck(w, flow, &p, v6) : slow_miss(w, &p, v6);
	return adjacency == DROP_policy_egress || adjacency == DROP_policy_ingress
		       ? (enum drop_reason)adjacency
		       : DROP_NONE;
}

void slow_injected(struct worker *w)
{
	struct rte_mbuf *pkts[32];
	unsigned n = inject_receive(w->id, pkts, RTE_DIM(pkts));

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct pkt_note *note = pkt_note(m);
		uint16_t was = m->port;
		struct parsed parsed;
		struct pkt p;

		counter_add(&w->counters->events[EVENT_injected], 1);
		if (note->kind == INJECT_FRAME) {
			pkt_note(m)->trace = 0;
			worker_output(w, note->port, m);
			continue;
		}
		parsed = pkt_parse_ip(
			m, &p, PORT_NONE, rte_pktmbuf_mtod(m, const uint8_t *)[0] >> 4, 0);
		if (parsed.class == PKT_DROP) {
			worker_drop(w, m, parsed.reason);
			continue;
		}
		parsed.reason = denied_meanwhile(w, m, was, note->flags);
		if (parsed.reason != DROP_NONE) {
			worker_drop(w, m, parsed.reason);
			continue;
		}
		p.m = m;
		p.flags |= PKT_GENERATED; /* its TTL is already lowered */
		p.hash = (uint64_t)note->hash << 32;
		worker_forward(w, port_get(was), m, &p, adjacency_get(note->adjacency));
	}
}
