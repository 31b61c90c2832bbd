/* SPDX-License-Identifier: Apache-2.0 */
/** The hit path. See burst.h; meson compiles this file once an instruction set, with BURST its name.
 *
 * Plain packets (plain.h) of known flows are done here from end to end. All others leave for worker.c, one by one, and
 * come back into the lists between parsing and lookup, so that the packets of a flow stay in order. While somebody
 * watches (observe.h) no packet is plain.
 */
#include "dataplane/burst.h"

#include "dataplane/adjacency.h"
#include "dataplane/flow_lookup.h"
#include "dataplane/rewrite.h"

#define PREFETCH_HEADERS 8  /* packets ahead: their first bytes */
#define PREFETCH_MBUFS   16 /* and before that the buffers that say where those are */

#define BURST_PASTE(a, b)   a##b
#define BURST_JOIN(a, b)    BURST_PASTE(a, b)
#define BURST_FUNCTION(name) BURST_JOIN(name, BURST) /* profiles tell the instruction sets apart */
#define BURST_TEXT(isa)   #isa
#define BURST_NAME(isa)   BURST_TEXT(isa)

/* --- parse ---------------------------------------------------------------------------------------------------- */

/** Take entry v->n, whose key, hash and packet are there, into the list. */
static __rte_always_inline void list_add(struct worker *w, struct vector *v, uint16_t plain_len, bool v6)
{
	const _Atomic uint64_t *bucket = flow_bucket(w->flows, &w->flows->pool[v6], v->hash[v->n]);

	rte_prefetch0((const void *)(uintptr_t)bucket);
	v->buckets[v->n] = bucket;
	v->plain_len[v->n] = plain_len;
	v->n++;
}

static __rte_always_inline void list_plain(struct worker *w, struct vector *v, struct rte_mbuf *m, uint8_t *ip,
	uint64_t hash, uint16_t len, bool v6)
{
	v->pkts[v->n].m = m;
	v->hash[v->n] = hash;
	v->ip[v->n] = ip;
	list_add(w, v, len, v6);
}

/** What is not plain. */
static __rte_noinline void parse_other(struct worker *w, struct port *in, struct rte_mbuf *m, bool open)
{
	struct pkt p = { .m = m };
	struct vector *v;

	if (!worker_parse(w, in, &p, open))
		return;
	v = &w->vector[(p.flags & PKT_V6) != 0];
	v->pkts[v->n] = p;
	v->hash[v->n] = p.hash;
	list_add(w, v, NOT_PLAIN, p.flags & PKT_V6);
}

/** A frame that a tunnel brings, if the worker has seen its like: see tunnel_memo.h. */
static __rte_always_inline bool parse_tunnel(struct worker *w, const struct port *in, struct rte_mbuf *m)
{
	const struct tunnel_memo *memo = tunnel_memo_for(&w->memos, rte_pktmbuf_mtod(m, const uint8_t *));
	const struct tunnel_table *table = w->tables->tunnels;
	struct vector *v = w->vector;
	unsigned version;
	uint64_t hash;
	uint16_t len;
	uint8_t *ip;

	if (memo == NULL || memo->serial != table->serial || memo->port != in->id)
		return false;
	len = tunnel_memo_decap(
		memo, table, w->flows, m, &v[0].pkts[v[0].n], &v[1].pkts[v[1].n], &hash, &ip, &version);
	if (unlikely(len == 0))
		return false;
	counter_add(&w->counters->events[EVENT_decapsulated], 1);
	if (version == 6)
		list_plain(w, &v[1], m, ip, hash, len, true);
	else
		list_plain(w, &v[0], m, ip, hash, len, false);
	return true;
}

/** One that comes in no tunnel. */
static __rte_always_inline bool parse_ip(struct worker *w, const struct port *in, struct rte_mbuf *m, uint8_t *ip,
	uint32_t avail, bool underlay, bool v6)
{
	struct vector *v = &w->vector[v6];
	struct pkt *p = &v->pkts[v->n];
	uint64_t hash;
	uint16_t len = v6 ? plain_parse6(w->flows, ip, avail, in->id, p, &hash)
			  : plain_parse4(w->flows, ip, avail, in->id, p, &hash);

	if (unlikely(len == 0))
		return false;
	/* On an uplink, what may be a tunnel's is for the long way, which keeps a memo of it. */
	if (underlay && tunnel_is_vxlan_port(w->tables->tunnels, v6 ? p->key6.dport : p->key4.dport))
		return false;
	list_plain(w, v, m, ip, hash, len, v6);
	return true;
}

/** @return whether the packet was plain, and is in a list. */
static __rte_always_inline bool parse_plain(
	struct worker *w, const struct port *in, uint64_t l2, struct rte_mbuf *m, bool underlay)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *ip = frame + RTE_ETHER_HDR_LEN;
	const uint32_t len = rte_pktmbuf_data_len(m);
	uint64_t word;
	uint16_t type;

	if (unlikely(!plain_mbuf(m) || len < RTE_ETHER_HDR_LEN))
		return false;
	if (underlay && len >= TUNNEL_MEMO_V4 && likely(parse_tunnel(w, in, m)))
		return true;
	memcpy(&word, frame, sizeof(word));
	memcpy(&type, frame + 12, sizeof(type));
	if (unlikely((word & PLAIN_L2_MASK) != l2))
		return false;
	if (likely(type == RTE_BE16(RTE_ETHER_TYPE_IPV4)))
		return parse_ip(w, in, m, ip, len - RTE_ETHER_HDR_LEN, underlay, false);
	if (likely(type == RTE_BE16(RTE_ETHER_TYPE_IPV6)))
		return parse_ip(w, in, m, ip, len - RTE_ETHER_HDR_LEN, underlay, true);
	return false;
}

static __rte_always_inline void parse_all(struct worker *w, struct port *in, uint16_t n, bool underlay)
{
	const bool open = atomic_load_explicit(&in->forwarding, memory_order_acquire);
	const bool plain = open && w->observer == NULL;
	const uint64_t l2 = plain_l2(&in->mac);
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n && i < PREFETCH_HEADERS; i++)
		rte_prefetch0(rte_pktmbuf_mtod(w->pkts[i], void *));
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = w->pkts[i];

		if (i + PREFETCH_MBUFS < n)
			rte_prefetch0(w->pkts[i + PREFETCH_MBUFS]);
		if (i + PREFETCH_HEADERS < n)
			rte_prefetch0(rte_pktmbuf_mtod(w->pkts[i + PREFETCH_HEADERS], void *));
		bytes += rte_pktmbuf_pkt_len(m);
		m->port = in->id;
		if (likely(plain) && likely(parse_plain(w, in, l2, m, underlay)))
			continue;
		parse_other(w, in, m, open);
	}
	counter_add(&w->counters->received, n);
	counter_add(&w->counters->port[in->id].rx_packets, n);
	counter_add(&w->counters->port[in->id].rx_bytes, bytes);
}

static __rte_noinline void BURST_FUNCTION(stage_parse_)(struct worker *w, struct port *in, uint16_t n)
{
	w->vector[0].n = w->vector[1].n = 0;
	if (in->role == PORT_UPLINK)
		parse_all(w, in, n, true);
	else
		parse_all(w, in, n, false);
}

/* --- lookup --------------------------------------------------------------------------------------------------- */

static __rte_noinline void BURST_FUNCTION(stage_lookup_)(struct worker *w)
{
	struct vector *v = w->vector;

	if (v[0].n > 0)
		flow_match(w->flows, v[0].hash, v[0].buckets, v[0].index, v[0].n, false);
	if (v[1].n > 0)
		flow_match(w->flows, v[1].hash, v[1].buckets, v[1].index, v[1].n, true);
}

/* --- forward -------------------------------------------------------------------------------------------------- */

/** RFC 1624 for a TTL one lower. */
static __rte_always_inline void ttl_decrement4(uint8_t *ip)
{
	uint32_t sum;
	uint16_t be;

	memcpy(&be, ip + 10, sizeof(be));
	sum = (uint32_t)be + RTE_BE16(0x0100);
	be = (uint16_t)(sum + (sum >= 0xffff)); /* never the other zero, 0xffff */
	ip[8]--;
	memcpy(ip + 10, &be, sizeof(be));
}

/** A plain packet that fits its adjacency. */
static __rte_always_inline void forward_plain(struct worker *w, struct rte_mbuf *m, uint8_t *ip, uint64_t hash,
	uint16_t len, const struct adjacency *adj, bool v6)
{
	struct tx_buffer *tx = &w->tx[adj->port];
	const uint32_t frame = (uint32_t)len + adj->header_len;
	const uint64_t off = (uint64_t)(ip - (uint8_t *)m->buf_addr) - adj->header_len;
	struct rewrite_inner inner = { .hash = hash, .len = len, .v6 = v6 };

	if (unlikely((int64_t)off < 0)) {
		worker_drop(w, m, DROP_no_buffer);
		return;
	}
	if (v6) {
		ip[7]--;
		inner.tos = (uint8_t)(ip[0] << 4 | ip[1] >> 4);
		inner.df = true;
	} else {
		ttl_decrement4(ip);
		inner.tos = ip[1];
		inner.df = ip[6] & 0x40;
	}
	m->data_off = (uint16_t)off;
	m->data_len = (uint16_t)frame;
	m->pkt_len = frame;
	rewrite_write(ip, adj, &inner, w->ip_id);
	w->ip_id = (uint16_t)(w->ip_id + (adj->type == ADJ_TUNNEL));
	if (tx->count == 0)
		w->tx_dirty[w->tx_dirty_count++] = adj->port;
	tx->bytes += frame;
	tx->pkts[tx->count++] = m;
	if (unlikely(tx->count == TX_BATCH))
		worker_flush_port(w, adj->port);
}

static __rte_noinline void forward_other(
	struct worker *w, const struct port *in, struct vector *v, uint32_t i, struct flow *flow, bool v6)
{
	struct pkt *p = &v->pkts[i];

	p->hash = v->hash[i];
	if (v->plain_len[i] == NOT_PLAIN) {
		worker_flow(w, in, p, flow, v6);
		return;
	}
	p->l2_len = (uint8_t)(v->ip[i] - rte_pktmbuf_mtod(p->m, uint8_t *));
	worker_plain_left(w, in, p, flow, v6);
}

static __rte_always_inline void forward_all(struct worker *w, const struct port *in, struct vector *v, bool v6)
{
	const uint32_t epoch = w->epoch, now = w->now_ms;
	uint64_t others = 0, encapsulated = 0;

	for (uint32_t i = 0; i < v->n; i++) {
		struct pkt *p = &v->pkts[i];
		const uint16_t len = v->plain_len[i];
		struct flow *flow = flow_confirm(w->flows, p, v->hash[i], v->index[i], v6);
		const struct adjacency *adj;

		if (unlikely(flow == NULL || atomic_load_explicit(&flow->epoch, memory_order_acquire) != epoch)) {
			forward_other(w, in, v, i, flow, v6);
			others++;
			continue;
		}
		adj = adjacency_get(flow_decision_get(flow).adjacency);
		if (unlikely(len > adj->plain_mtu)) {
			forward_other(w, in, v, i, flow, v6);
			others++;
			continue;
		}
		counter_add(&flow->packets, 1);
		counter_add(&flow->bytes, len);
		atomic_store_explicit(&flow->last_seen, now, memory_order_relaxed);
		encapsulated += adj->type == ADJ_TUNNEL;
		forward_plain(w, p->m, v->ip[i], v->hash[i], len, adj, v6);
	}
	counter_add(&w->counters->events[EVENT_flow_hit], v->n - others);
	counter_add(&w->counters->events[EVENT_encapsulated], encapsulated);
}

static __rte_noinline void BURST_FUNCTION(stage_forward_)(struct worker *w, struct port *in)
{
	if (w->vector[0].n > 0)
		forward_all(w, in, &w->vector[0], false);
	if (w->vector[1].n > 0)
		forward_all(w, in, &w->vector[1], true);
}

static void BURST_FUNCTION(stages_)(struct worker *w, struct port *in, uint16_t n)
{
	BURST_FUNCTION(stage_parse_)(w, in, n);
	BURST_FUNCTION(stage_lookup_)(w);
	BURST_FUNCTION(stage_forward_)(w, in);
}

extern const struct burst_stages BURST_FUNCTION(burst_);
const struct burst_stages BURST_FUNCTION(burst_) = {
	.name = BURST_NAME(BURST),
	.burst = BURST_FUNCTION(stages_),
	.parse = BURST_FUNCTION(stage_parse_),
	.lookup = BURST_FUNCTION(stage_lookup_),
	.forward = BURST_FUNCTION(stage_forward_),
};
