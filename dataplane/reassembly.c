/* SPDX-License-Identifier: Apache-2.0 */
/** Whole packets from the fragments addressed to this node. One table a worker, no locks. When
 * there is no room, the oldest packet of the bucket goes: whoever floods loses first. */
#include "dataplane/fragment.h"
#include "dataplane/fragment_info.h"

#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_malloc.h>
#include <sys/random.h>

#define WAYS		4u
#define PARTS_MAX	64u /* 64 KiB at an MTU of 1280 is 54 */
#define HELD_PER_WAY	8u  /* average, so that no flood takes all packet buffers */
#define ECN_MASK	3u
#define ECN_CE		3u
#define TOTAL_UNKNOWN	UINT32_MAX
#define IP6_FIXED	((uint32_t)sizeof(struct rte_ipv6_hdr))
#define FRAGMENT_HEADER 8u

struct part {
	struct rte_mbuf *m;
	uint32_t start, end; /* payload bytes */
	uint32_t header;     /* bytes before them */
};

struct assembly {
	struct fragment_key key; /* family 0: free */
	uint64_t deadline;	 /* TSC */
	uint32_t total;		 /* payload bytes, known from the last fragment */
	uint32_t seen;
	uint32_t next_at; /* of the first fragment, see fragment_info.h */
	uint8_t ecn_seen; /* 1 << ECN field of every fragment */
	uint8_t l2_len;	  /* of the first fragment */
	uint8_t n;
	struct part parts[PARTS_MAX]; /* sorted by start */
};

struct reassembly {
	uint32_t mask; /* buckets - 1 */
	uint32_t seed;
	uint32_t held, held_max;
	uint32_t cursor;
	uint64_t tsc_per_ms;
	struct assembly assemblies[]; /* WAYS a bucket */
};

struct reassembly *reassembly_new(unsigned max_packets, int socket_id)
{
	struct reassembly *r;
	uint32_t buckets = 1;

	while (buckets * WAYS < max_packets)
		buckets *= 2;
	r = rte_zmalloc_socket("reassembly", sizeof(*r) + buckets * WAYS * sizeof(r->assemblies[0]),
		RTE_CACHE_LINE_SIZE, socket_id);
	if (r == NULL)
		return NULL;
	if (getrandom(&r->seed, sizeof(r->seed), 0) != (ssize_t)sizeof(r->seed)) {
		rte_free(r);
		return NULL;
	}
	r->mask = buckets - 1;
	r->held_max = buckets * WAYS * HELD_PER_WAY;
	r->tsc_per_ms = rte_get_tsc_hz() / 1000;
	return r;
}

/** Forget a packet and free its fragments. @return how many. */
static unsigned assembly_free(struct reassembly *r, struct assembly *a)
{
	const unsigned n = a->n;

	for (unsigned i = 0; i < n; i++)
		rte_pktmbuf_free(a->parts[i].m);
	r->held -= n;
	a->n = 0;
	a->key.family = 0;
	return n;
}

void reassembly_free(struct reassembly *r)
{
	if (r == NULL)
		return;
	for (uint32_t i = 0; i < (r->mask + 1) * WAYS; i++)
		assembly_free(r, &r->assemblies[i]);
	rte_free(r);
}

unsigned reassembly_held(const struct reassembly *r)
{
	return r->held;
}

unsigned reassembly_expire(struct reassembly *r, uint64_t now_tsc, unsigned buckets)
{
	unsigned freed = 0;

	for (buckets = RTE_MIN(buckets, r->mask + 1); buckets > 0; buckets--, r->cursor++) {
		struct assembly *a = &r->assemblies[(r->cursor & r->mask) * WAYS];

		for (unsigned i = 0; i < WAYS; i++) {
			if (a[i].key.family != 0 && now_tsc >= a[i].deadline)
				freed += assembly_free(r, &a[i]);
		}
	}
	return freed;
}

/** The entry of a packet, made at the cost of the oldest of its bucket if need be. */
static struct assembly *assembly_find(
	struct reassembly *r, const struct fragment_key *key, uint64_t now_tsc, unsigned *n_freed)
{
	struct assembly *bucket =
		&r->assemblies[(fragment_key_hash(key, r->seed) & r->mask) * WAYS];
	struct assembly *room = &bucket[0];

	for (unsigned i = 0; i < WAYS; i++) {
		struct assembly *a = &bucket[i];

		if (a->key.family != 0 && now_tsc >= a->deadline)
			*n_freed += assembly_free(r, a);
		if (a->key.family != 0 && memcmp(&a->key, key, sizeof(*key)) == 0)
			return a;
		if (room->key.family != 0 && (a->key.family == 0 || a->deadline < room->deadline))
			room = a;
	}
	*n_freed += assembly_free(r, room);
	room->key = *key;
	room->deadline = now_tsc + r->tsc_per_ms * (key->family == 4 ? FRAGMENT_TIMEOUT4_MS
								     : FRAGMENT_TIMEOUT6_MS);
	room->total = TOTAL_UNKNOWN;
	room->seen = 0;
	room->ecn_seen = 0;
	return room;
}

enum fit { FIT_NEW, FIT_DUPLICATE, FIT_REFUSED };

/** Put a part in its place. FIT_REFUSED: overlaps, two ends, too many, too long: RFC 5722, the
 * whole packet goes. */
static enum fit part_insert(struct assembly *a, struct rte_mbuf *m, const struct fragment_info *f)
{
	unsigned at = a->n;

	while (at > 0 && a->parts[at - 1].start >= f->start)
		at--;
	if (at < a->n && a->parts[at].start == f->start && a->parts[at].end == f->end &&
		f->more == (a->total != f->end))
		return FIT_DUPLICATE;
	if ((at > 0 && a->parts[at - 1].end > f->start) ||
		(at < a->n && a->parts[at].start < f->end) || a->n == PARTS_MAX)
		return FIT_REFUSED;
	if (f->more ? a->total != TOTAL_UNKNOWN && f->end >= a->total
		    : a->total != TOTAL_UNKNOWN || at < a->n)
		return FIT_REFUSED;
	memmove(&a->parts[at + 1], &a->parts[at], (a->n - at) * sizeof(a->parts[0]));
	a->parts[at] =
		(struct part){ .m = m, .start = f->start, .end = f->end, .header = f->header };
	a->n++;
	a->seen += f->end - f->start;
	if (!f->more)
		a->total = f->end;
	if (f->start == 0)
		a->next_at = f->next_at;
	return FIT_NEW;
}

/** RFC 3168 section 5.3: congestion seen by any fragment was seen by the packet. @return false
 * when fragments disagree whether they are capable of it. */
static bool ecn_merge(const struct assembly *a, uint8_t *tos)
{
	if (!(a->ecn_seen & (1u << ECN_CE)))
		return true;
	*tos |= ECN_CE;
	return !(a->ecn_seen & 1u);
}

static bool header4_finish(const struct assembly *a, struct rte_mbuf *m)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, a->l2_len);
	const uint32_t len = a->parts[0].header - a->l2_len + a->total;

	if (len > UINT16_MAX || !ecn_merge(a, &ip->type_of_service))
		return false;
	ip->total_length = rte_cpu_to_be_16((uint16_t)len);
	ip->fragment_offset &= RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, (ip->version_ihl & 15u) * 4);
	return true;
}

/** Take the fragment header out of the first fragment (RFC 8200 section 4.5). */
static bool header6_finish(const struct assembly *a, struct rte_mbuf *m)
{
	const uint32_t frag_at = a->parts[0].header - FRAGMENT_HEADER;
	const uint32_t payload = frag_at - a->l2_len - IP6_FIXED + a->total;
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(frame + a->l2_len);
	uint32_t vtc_flow = rte_be_to_cpu_32(ip->vtc_flow);
	uint8_t tos = (uint8_t)(vtc_flow >> RTE_IPV6_HDR_TC_SHIFT);

	if (payload + IP6_FIXED > UINT16_MAX || !ecn_merge(a, &tos))
		return false;
	ip->vtc_flow = rte_cpu_to_be_32(
		(vtc_flow & ~RTE_IPV6_HDR_TC_MASK) | (uint32_t)tos << RTE_IPV6_HDR_TC_SHIFT);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)payload);
	frame[a->next_at] = frame[frag_at];
	memmove(frame + FRAGMENT_HEADER, frame, frag_at);
	rte_pktmbuf_adj(m, FRAGMENT_HEADER);
	return true;
}

/** A part without its headers. Segments that held nothing else go. */
static struct rte_mbuf *part_strip(const struct part *part)
{
	struct rte_mbuf *m = part->m;

	rte_pktmbuf_adj(m, (uint16_t)part->header);
	while (rte_pktmbuf_data_len(m) == 0 && m->next != NULL) {
		struct rte_mbuf *next = m->next;

		next->pkt_len = m->pkt_len;
		next->nb_segs = (uint16_t)(m->nb_segs - 1);
		rte_pktmbuf_free_seg(m);
		m = next;
	}
	return m;
}

/** Chain all parts behind the first, whose headers become the packet's. NULL: they don't make a
 * packet. */
static struct rte_mbuf *assembly_join(struct assembly *a)
{
	struct rte_mbuf *m = a->parts[0].m, *last;

	if (!(a->key.family == 4 ? header4_finish(a, m) : header6_finish(a, m)))
		return NULL;
	last = rte_pktmbuf_lastseg(m);
	for (unsigned i = 1; i < a->n; i++) {
		struct rte_mbuf *part = part_strip(&a->parts[i]);

		last->next = part;
		last = rte_pktmbuf_lastseg(part);
		m->nb_segs = (uint16_t)(m->nb_segs + part->nb_segs);
		m->pkt_len += part->pkt_len;
	}
	m->ol_flags &= ~(uint64_t)(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_IP_CKSUM_MASK);
	return m;
}

struct rte_mbuf *reassembly_add(struct reassembly *r, struct rte_mbuf *m, struct pkt *p,
	uint64_t now_tsc, unsigned *n_freed, unsigned *n_merged)
{
	struct fragment_key key;
	struct fragment_info info;
	struct assembly *a;
	struct rte_mbuf *whole;

	*n_merged = 0;
	*n_freed = reassembly_expire(r, now_tsc, 1);
	if (unlikely(!(p->flags & PKT_FRAGMENT) || !fragment_info_get(m, p, &key, &info)))
		goto refuse;
	while (r->held >=
		r->held_max) /* the expiry of single buckets above was not enough: make room */
		*n_freed += reassembly_expire(r, UINT64_MAX, 1);
	a = assembly_find(r, &key, now_tsc, n_freed);
	switch (part_insert(a, m, &info)) {
	case FIT_NEW:
		break;
	case FIT_DUPLICATE:
		goto refuse;
	case FIT_REFUSED:
		*n_freed += assembly_free(r, a);
		goto refuse;
	}
	r->held++;
	a->ecn_seen |= (uint8_t)(1u << (p->tos & ECN_MASK));
	if (info.start == 0)
		a->l2_len = p->l2_len;
	if (a->seen != a->total)
		return NULL;
	whole = assembly_join(a);
	if (whole == NULL) {
		*n_freed += assembly_free(r, a);
		return NULL;
	}
	*n_merged = a->n - 1u;
	r->held -= a->n;
	a->n = 0;
	a->key.family = 0;
	return whole;

refuse:
	rte_pktmbuf_free(m);
	(*n_freed)++;
	return NULL;
}
