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
#if defined(__AVX512BW__)
#include "dataplane/tunnel_quad.h"
#endif

#define BURST_PASTE(a, b)    a##b
#define BURST_JOIN(a, b)     BURST_PASTE(a, b)
#define BURST_FUNCTION(name) BURST_JOIN(name, BURST) /* profiles tell the instruction sets apart */
#define BURST_TEXT(isa)	     #isa
#define BURST_NAME(isa)	     BURST_TEXT(isa)

/* --- parse ---------------------------------------------------------------------------------------------------- */

/** Take entry v->n, whose key is there, into the list. */
static __rte_always_inline void list_plain(
	struct vector *v, struct rte_mbuf *m, uint8_t *ip, uint16_t len)
{
	v->m[v->n] = m;
	v->ip[v->n] = ip;
	v->plain_len[v->n] = len;
	v->n++;
}

/** Hash all keys and have their buckets fetched. Loops of their own: the steps of a hash wait for each other, and only a
 * short loop lets the processor see enough packets at once to fill the time. */
static __rte_always_inline void list_hash(struct worker *w, struct vector *v, bool v6)
{
	const struct flow_table *flows = w->flows;
	const uint32_t n = v->n;

	if (v->hashed == n)
		return; /* by quad_hash */
	if (!flows->secret.aes) {
		for (uint32_t i = 0; i < n; i++)
			v->hash[i] = v6 ? flow_hash6_fold(&flows->secret, &v->key6[i])
					: flow_hash4_fold(&flows->secret, &v->key4[i]);
	} else if (v6) {
		flow_hash6_aes_list(&flows->secret, v->key6, v->hash, n);
	} else {
		flow_hash4_aes_list(&flows->secret, v->key4, v->hash, n);
	}
	for (uint32_t i = 0; i < n; i++) {
		const _Atomic uint32_t *bucket = flow_bucket(&flows->pool[v6], v->hash[i]);

		rte_prefetch1((const void *)(uintptr_t)bucket);
		v->buckets[i] = bucket;
	}
}

/** Look at all buffers: have the headers fetched, note where they are; a frame that cannot be plain gets length 0. */
static __rte_always_inline void note_frames(
	struct worker *w, const struct port *in, uint16_t n, bool underlay)
{
	const uint16_t id = in->id;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = w->pkts[i];
		uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

		rte_prefetch0(frame);
		if (underlay) /* inner headers */
			rte_prefetch0(frame + RTE_CACHE_LINE_MIN_SIZE);
		m->port = id;
		bytes += rte_pktmbuf_pkt_len(m);
		w->frames[i] = frame;
		w->frame_len[i] = plain_mbuf(m) ? rte_pktmbuf_data_len(m) : 0;
	}
	counter_add(&w->counters->received, n);
	counter_add(&w->counters->port[id].rx_packets, n);
	counter_add(&w->counters->port[id].rx_bytes, bytes);
}

/** What is not plain. */
static __rte_noinline void parse_other(
	struct worker *w, struct port *in, struct rte_mbuf *m, bool open)
{
	struct pkt p = { .m = m };
	struct vector *v;

	if (!worker_parse(w, in, &p, open))
		return;
	v = &w->vector[(p.flags & PKT_V6) != 0];
	v->pkts[v->n] = p;
	if (p.flags & PKT_V6)
		v->key6[v->n] = p.key6;
	else
		v->key4[v->n] = p.key4;
	list_plain(v, p.m, NULL, NOT_PLAIN);
}

/** A frame that a tunnel brings, if the worker has seen its like: see tunnel_memo.h. */
static __rte_always_inline bool parse_tunnel(
	struct worker *w, struct tunnel_memos *memos, struct rte_mbuf *m, uint8_t *frame)
{
	struct vector *v = w->vector;
	unsigned version;
	uint8_t *ip;
	uint16_t len = tunnel_memo_decap(tunnel_memo_of(memos, frame), w->tables->tunnels, m,
		&v[0].key4[v[0].n], &v[1].key6[v[1].n], &ip, &version);

	if (unlikely(len == 0))
		return false;
	counter_add(&w->counters->events[EVENT_decapsulated], 1);
	list_plain(&v[version == 6], m, ip, len);
	return true;
}

/** One that comes in no tunnel. */
static __rte_always_inline bool parse_ip(struct worker *w, const struct port *in,
	struct rte_mbuf *m, uint8_t *ip, uint32_t avail, bool underlay, bool v6)
{
	struct vector *v = &w->vector[v6];
	struct flow_key4 *key4 = &v->key4[v->n];
	struct flow_key6 *key6 = &v->key6[v->n];
	uint16_t len =
		v6 ? plain_parse6(ip, avail, in->id, key6) : plain_parse4(ip, avail, in->id, key4);

	if (unlikely(len == 0))
		return false;
	/* On an uplink, what may be a tunnel's is for the long way, which keeps a memo of it. */
	if (underlay && tunnel_is_vxlan_port(w->tables->tunnels, v6 ? key6->dport : key4->dport))
		return false;
	list_plain(v, m, ip, len);
	return true;
}

/** Packet i; `memos` on uplinks. @return whether it was plain, and is in a list. */
static __rte_always_inline bool parse_plain(struct worker *w, const struct port *in, uint64_t l2,
	uint16_t i, struct tunnel_memos *memos)
{
	const bool underlay = memos != NULL;
	struct rte_mbuf *m = w->pkts[i];
	uint8_t *frame = w->frames[i], *ip = frame + RTE_ETHER_HDR_LEN;
	const uint32_t len = w->frame_len[i];
	uint64_t word;
	uint16_t type;

	if (unlikely(len < RTE_ETHER_HDR_LEN))
		return false;
	if (underlay && len >= TUNNEL_MEMO_V4 && likely(parse_tunnel(w, memos, m, frame)))
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

static __rte_always_inline void parse_range(struct worker *w, struct port *in, uint64_t l2,
	uint16_t from, uint16_t to, struct tunnel_memos *memos)
{
	for (uint16_t i = from; i < to; i++) {
		if (unlikely(!parse_plain(w, in, l2, i, memos)))
			parse_other(w, in, w->pkts[i], true);
	}
}

#if defined(__AVX512BW__)
static __rte_noinline void parse_four(
	struct worker *w, struct port *in, uint64_t l2, uint16_t from, struct tunnel_memos *memos)
{
	if (memos != NULL)
		parse_range(w, in, l2, from, (uint16_t)(from + 4), memos);
	else
		parse_range(w, in, l2, from, (uint16_t)(from + 4), NULL);
}

/** What flow_hash4_aes and list_hash do, to four keys that are in a register. */
struct quad_hash {
	__m512i s[4], low; /* low: the first word of each lane */
	__m256i mask, slots;
};
static __rte_always_inline struct quad_hash quad_hash_for(const struct flow_table *flows)
{
	struct quad_hash q = { .low = _mm512_setr_epi64(0, 2, 4, 6, 0, 0, 0, 0),
		.mask = _mm256_set1_epi64x((int64_t)flows->pool[0].bucket_mask),
		.slots = _mm256_set1_epi64x((int64_t)(uintptr_t)flows->pool[0].slots) };

	for (unsigned i = 0; i < 4; i++)
		q.s[i] = _mm512_broadcast_i32x4(
			_mm_loadu_si128((const __m128i *)flows->secret.word + i));
	return q;
}
static __rte_always_inline void quad_hash(
	const struct quad_hash *q, __m512i key, struct vector *v, uint32_t at)
{
	static_assert(FLOW_BUCKET_SLOTS * sizeof(uint32_t) == 1 << 6,
		"a bucket's number times 64 is its place");
	__m512i x = _mm512_xor_si512(key, q->s[0]);
	__m256i hashes;

	x = _mm512_aesenc_epi128(x, q->s[1]);
	x = _mm512_aesenc_epi128(x, q->s[2]);
	x = _mm512_aesenc_epi128(x, q->s[3]);
	hashes = _mm512_castsi512_si256(_mm512_permutexvar_epi64(q->low, x));
	_mm256_storeu_si256((__m256i *)&v->hash[at], hashes);
	_mm256_storeu_si256((__m256i *)&v->buckets[at],
		_mm256_add_epi64(
			_mm256_slli_epi64(_mm256_and_si256(hashes, q->mask), 6), q->slots));
	for (unsigned i = 0; i < 4; i++)
		rte_prefetch1((const void *)(uintptr_t)v->buckets[at + i]);
	v->hashed += 4;
}

/** Four at a time, as long as there are four. @return how many packets are done. */
static __rte_noinline uint16_t parse_quads(
	struct worker *w, struct port *in, uint64_t l2, uint16_t n)
{
	const struct plain_quad q = plain_quad_for(true, l2, PLAIN_L2_MASK, in->id);
	const struct quad_hash hash = quad_hash_for(w->flows);
	struct vector *v = &w->vector[0];
	uint16_t i;

	for (i = 0; i + 4 <= n; i = (uint16_t)(i + 4)) {
		const uint32_t at = v->n;
		struct plain_quad_headers h;
		__m512i key;
		__m128i len;

		if (w->frames[i][12] ==
			0x86) { /* IPv6 is parsed one by one; where one is, its neighbours tend to be */
			parse_four(w, in, l2, i, NULL);
			continue;
		}
		h = plain_quad_headers_load(&w->frames[i]);
		if (unlikely(!plain_quad_parse4(
			    &q, &h, plain_quad_low(&w->frame_len[i]), &key, &len))) {
			parse_four(w, in, l2, i, NULL);
			continue;
		}
		plain_quad_store(key, len, &v->key4[at], &v->plain_len[at]);
		memcpy(&v->m[at], &w->pkts[i], 4 * sizeof(v->m[0]));
		_mm256_storeu_si256((__m256i *)&v->ip[at],
			_mm256_add_epi64(_mm256_loadu_si256((const __m256i *)&w->frames[i]),
				_mm256_set1_epi64x(RTE_ETHER_HDR_LEN)));
		quad_hash(&hash, key, v, at);
		v->n = at + 4;
	}
	return i;
}

/** The same on an uplink, for packets that come in tunnels. */
static __rte_noinline uint16_t parse_tunnel_quads(
	struct worker *w, struct port *in, uint64_t l2, uint16_t n, struct tunnel_memos *memos)
{
	const struct tunnel_table *table = w->tables->tunnels;
	const struct tunnel_quads quads = tunnel_quads_for();
	const struct quad_hash hash = quad_hash_for(w->flows);
	struct vector *v = &w->vector[0];
	uint64_t decapsulated = 0;
	uint16_t i;

	for (i = 0; i + 4 <= n; i = (uint16_t)(i + 4)) {
		const uint32_t at = v->n;
		uint16_t strip;
		__m512i key;
		__m128i len;

		strip = tunnel_quad_parse(&quads, memos, table, &w->frames[i], &w->frame_len[i],
			&key, &len, &v->ip[at]);
		if (unlikely(strip == 0)) {
			parse_four(w, in, l2, i, memos);
			continue;
		}
		plain_quad_store(key, len, &v->key4[at], &v->plain_len[at]);
		for (unsigned k = 0; k < 4; k++) {
			struct rte_mbuf *m = w->pkts[i + k];

			tunnel_memo_strip(m, strip);
			v->m[at + k] = m;
		}
		quad_hash(&hash, key, v, at);
		v->n = at + 4;
		decapsulated += 4;
	}
	counter_add(&w->counters->events[EVENT_decapsulated], decapsulated);
	return i;
}
#endif

static __rte_noinline void BURST_FUNCTION(stage_parse_)(
	struct worker *w, struct port *in, uint16_t n)
{
	const bool open = atomic_load_explicit(&in->forwarding, memory_order_acquire);
	const uint64_t l2 = plain_l2(&in->mac);
	uint16_t done = 0;

	w->vector[0].n = w->vector[1].n = 0;
	w->vector[0].hashed = w->vector[1].hashed = 0;
	w->vector[0].ahead = w->vector[1].ahead = 0;
	if (in->role == PORT_UPLINK)
		note_frames(w, in, n, true);
	else
		note_frames(w, in, n, false);
	if (unlikely(!open || w->observer != NULL)) {
		for (uint16_t i = 0; i < n; i++)
			parse_other(w, in, w->pkts[i], open);
	} else if (in->role == PORT_UPLINK) {
		struct tunnel_memos *memos = worker_memos(w, in);

#if defined(__AVX512BW__)
		done = parse_tunnel_quads(w, in, l2, n, memos);
#endif
		parse_range(w, in, l2, done, n, memos);
	} else {
#if defined(__AVX512BW__)
		done = parse_quads(w, in, l2, n);
#endif
		parse_range(w, in, l2, done, n, NULL);
	}
	if (unlikely(!w->flows->secret.aes))
		w->vector[0].hashed = 0; /* the quads' are of the other kind */
	list_hash(w, &w->vector[0], false);
	list_hash(w, &w->vector[1], true);
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

/** A TTL one lower, RFC 1624. TTL, protocol and checksum are one word. */
static __rte_always_inline void ttl_decrement4(uint8_t *ip)
{
#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
	uint32_t word;

	memcpy(&word, ip + 8, sizeof(word));
	/* 0x0100 more in the checksum, one less in the TTL; 0xffff, the other zero, is never written. */
	word += (word >= 0xfffe0000u ? 0x20000u : 0x10000u) - 1;
	memcpy(ip + 8, &word, sizeof(word));
#else
	uint32_t sum = ((uint32_t)ip[10] << 8 | ip[11]) + 0x0100u;

	sum += sum >= 0xffff;
	ip[8]--;
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
#endif
}

/** A plain packet that fits its adjacency; *encapsulated counts those that go into a tunnel. */
static __rte_always_inline void forward_plain(struct worker *w, struct rte_mbuf *m, uint8_t *ip,
	const uint64_t *hash, uint16_t len, const struct adjacency *adj, uint64_t *encapsulated,
	bool v6)
{
	const uint32_t frame = (uint32_t)len + adj->header_len;
	const int64_t off = ip - (uint8_t *)m->buf_addr - adj->header_len;
	struct tx_buffer *tx;

	if (unlikely(off < 0)) {
		worker_drop(w, m, DROP_no_buffer);
		return;
	}
	if (v6)
		ip[7]--;
	else
		ttl_decrement4(ip);
	m->data_off = (uint16_t)off;
	m->data_len = (uint16_t)frame;
	m->pkt_len = frame;
	if (likely(adj->type == ADJ_REWRITE)) {
		rewrite_ether(ip, adj, v6);
	} else { /* a tunnel: plain_mtu is 0 where it is neither */
		const struct rewrite_inner inner = { .hash = *hash,
			.len = len,
			.tos = v6 ? (uint8_t)(ip[0] << 4 | ip[1] >> 4) : ip[1],
			.v6 = v6,
			.df = v6 || ip[6] & 0x40 };

		rewrite_tunnel(ip, adj, &inner, w->ip_id++);
		++*encapsulated;
	}
	tx = &w->tx[adj->port];
	if (unlikely(tx->count == 0))
		w->tx_dirty[w->tx_dirty_count++] = adj->port;
	tx->bytes += frame;
	tx->pkts[tx->count++] = m;
}

static __rte_noinline void forward_other(
	struct worker *w, const struct port *in, struct vector *v, uint32_t i, bool v6)
{
	struct pkt *p = &v->pkts[i];
	struct flow *flow =
		flow_confirm(w->flows, vector_key(v, i, v6), v->hash[i], v->index[i], v6);

	if (v->index[i] == 0 && i >= v->ahead)
		slow_miss_ahead(w, v, i, v6);
	p->m = v->m[i];
	p->hash = v->hash[i];
	if (v->plain_len[i] == NOT_PLAIN) {
		worker_flow(w, in, p, flow, v6);
		return;
	}
	if (v6)
		p->key6 = v->key6[i];
	else
		p->key4 = v->key4[i];
	p->l2_len = (uint8_t)(v->ip[i] - rte_pktmbuf_mtod(p->m, uint8_t *));
	worker_plain_left(w, in, p, flow, v6);
}

/** The word of a plain packet where TCP has its sequence number, host order. */
static __rte_always_inline uint32_t plain_seq(const uint8_t *ip, bool v6)
{
	uint32_t word;

	memcpy(&word, ip + (v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr)) + 4,
		sizeof(word));
	return rte_be_to_cpu_32(word);
}

static __rte_always_inline void forward_all(
	struct worker *w, const struct port *in, struct vector *v, bool v6)
{
	const struct flow_pool *pool = &w->flows->pool[v6];
	const _Atomic uint32_t *span = w->flows->span;
	const uint32_t epoch = w->epoch, now = w->now_ms, n = v->n;
	uint64_t others = 0, encapsulated = 0;

	for (uint32_t i = 0; i < n; i++) {
		const uint16_t len = v->plain_len[i];
		struct flow *flow = flow_at(pool, v->index[i], v6);
		const struct adjacency *adj;
		uint32_t seq;

		/* Entry 0 is nobody's: its key is all zero. */
		if (unlikely(!flow_key_equal(flow_key(flow, v6), vector_key(v, i, v6), v6)))
			goto other;
		if (unlikely(atomic_load_explicit(&flow->epoch, memory_order_acquire) != epoch) &&
			!slow_still_true(w, flow, v6))
			goto other;
		adj = adjacency_get(flow_decision_get(flow).adjacency);
		if (unlikely(len > adj->plain_mtu))
			goto other;
		/* Without a branch for TCP: what is not TCP has a span without end. */
		seq = plain_seq(v->ip[i], v6);
		if (unlikely(
			    seq - atomic_load_explicit(&flow->seq, memory_order_relaxed) +
				    FLOW_SEQ_BACK >
			    atomic_load_explicit(
				    &span[atomic_load_explicit(&flow->state, memory_order_relaxed)],
				    memory_order_relaxed)))
			goto other;
		atomic_store_explicit(&flow->seq, seq, memory_order_relaxed);
		counter_add(&flow->packets, 1);
		counter_add(&flow->bytes, len);
		atomic_store_explicit(&flow->last_seen, now, memory_order_relaxed);
		forward_plain(w, v->m[i], v->ip[i], &v->hash[i], len, adj, &encapsulated, v6);
		continue;
	other:
		forward_other(w, in, v, i, v6);
		others++;
	}
	counter_add(&w->counters->events[EVENT_flow_hit], n - others);
	counter_add(&w->counters->events[EVENT_encapsulated], encapsulated);
}

/* Functions of their own: together the two have more to keep than there are registers. */
static __rte_noinline void BURST_FUNCTION(forward4_)(struct worker *w, const struct port *in)
{
	forward_all(w, in, &w->vector[0], false);
}
static __rte_noinline void BURST_FUNCTION(forward6_)(struct worker *w, const struct port *in)
{
	forward_all(w, in, &w->vector[1], true);
}

static __rte_noinline void BURST_FUNCTION(stage_forward_)(struct worker *w, struct port *in)
{
	if (w->vector[0].n > 0)
		BURST_FUNCTION(forward4_)(w, in);
	if (w->vector[1].n > 0)
		BURST_FUNCTION(forward6_)(w, in);
}

static void BURST_FUNCTION(stages_)(struct worker *w, struct port *in, uint16_t n)
{
	BURST_FUNCTION(stage_parse_)(w, in, n);
	BURST_FUNCTION(stage_lookup_)(w);
	BURST_FUNCTION(stage_forward_)(w, in);
	if (unlikely(atomic_load_explicit(&in->kernel_ifindex, memory_order_relaxed) != 0) &&
		in->role == PORT_POD)
		slow_offer(w, in);
}

extern const struct burst_stages BURST_FUNCTION(burst_);
const struct burst_stages BURST_FUNCTION(burst_) = {
	.name = BURST_NAME(BURST),
	.burst = BURST_FUNCTION(stages_),
	.parse = BURST_FUNCTION(stage_parse_),
	.lookup = BURST_FUNCTION(stage_lookup_),
	.forward = BURST_FUNCTION(stage_forward_),
};
