/* SPDX-License-Identifier: Apache-2.0 */
/** The tracker of forwarded fragmented packets. A set-associative table: what does not fit its
 * bucket is refused, so that a flood costs its own and a few neighbours only. */
#include "dataplane/fragment.h"
#include "dataplane/fragment_info.h"

#include <rte_branch_prediction.h>
#include <rte_spinlock.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#define WAYS	      8u
#define RANGES_MAX    32u /* disjoint parts of a packet; those that touch are merged when full */
#define HELD_MAX      16u /* fragments of one packet */
#define EXPIRE_SLICE  64u /* buckets a call of fragment_expire */
#define TOTAL_UNKNOWN UINT32_MAX

struct held {
	struct held *next;
	struct pkt p; /* p.m is the fragment */
};

/* In units of 8 bytes, end rounded up: only the last fragment is no multiple. */
struct range {
	uint16_t start, end;
};

struct tracked {
	struct fragment_key key; /* family 0: free */
	uint32_t deadline;	 /* ms */
	uint32_t total;	       /* payload bytes of the whole packet, known from the last fragment */
	uint32_t seen;	       /* payload bytes */
	uint16_t sport, dport; /* of the first fragment, as in flow keys */
	uint8_t proto;	       /* likewise */
	bool first;	       /* it came */
	bool refused;	       /* fragments overlapped: the rest goes too */
	uint8_t n_held, n_ranges;
	struct range ranges[RANGES_MAX];
	struct held *head, **tail; /* in order of arrival */
};

struct bucket {
	rte_spinlock_t lock;
	struct tracked ways[WAYS];
} __rte_cache_aligned;

/* Buckets are written under their locks, the pool of held fragments under its own; both by any
 * worker. */
struct fragment_table {
	uint32_t mask; /* buckets - 1 */
	uint32_t seed;
	rte_spinlock_t pool_lock;
	struct held *pool_free;
	struct held *pool;
	_Atomic uint32_t cursor; /* next bucket to expire */
	struct bucket *buckets;
};

struct fragment_table *fragment_table_new(unsigned max_packets, unsigned max_held)
{
	struct fragment_table *t = calloc(1, sizeof(*t));
	uint32_t buckets = 1;

	if (t == NULL)
		return NULL;
	while (buckets * WAYS < max_packets)
		buckets *= 2;
	t->mask = buckets - 1;
	t->pool = calloc(RTE_MAX(max_held, 1u), sizeof(*t->pool));
	t->buckets = aligned_alloc(RTE_CACHE_LINE_SIZE, buckets * sizeof(*t->buckets));
	if (t->pool == NULL || t->buckets == NULL ||
		getrandom(&t->seed, sizeof(t->seed), 0) != (ssize_t)sizeof(t->seed)) {
		free(t->pool);
		free(t->buckets);
		free(t);
		return NULL;
	}
	memset(t->buckets, 0, buckets * sizeof(*t->buckets));
	for (uint32_t i = 0; i < buckets; i++)
		rte_spinlock_init(&t->buckets[i].lock);
	rte_spinlock_init(&t->pool_lock);
	for (unsigned i = 0; i < max_held; i++) {
		t->pool[i].next = t->pool_free;
		t->pool_free = &t->pool[i];
	}
	return t;
}

void fragment_table_free(struct fragment_table *t)
{
	if (t == NULL)
		return;
	for (uint32_t b = 0; b <= t->mask; b++) {
		for (unsigned i = 0; i < WAYS; i++) {
			for (struct held *h = t->buckets[b].ways[i].head; h != NULL; h = h->next)
				rte_pktmbuf_free(h->p.m);
		}
	}
	free(t->pool);
	free(t->buckets);
	free(t);
}

/* --- one packet; the bucket is locked --- */

static bool hold(
	struct fragment_table *t, struct tracked *e, struct rte_mbuf *m, const struct pkt *p)
{
	struct held *h;

	if (e->n_held == HELD_MAX)
		return false;
	rte_spinlock_lock(&t->pool_lock);
	h = t->pool_free;
	if (h != NULL)
		t->pool_free = h->next;
	rte_spinlock_unlock(&t->pool_lock);
	if (h == NULL)
		return false;
	h->next = NULL;
	h->p = *p;
	h->p.m = m;
	*e->tail = h;
	e->tail = &h->next;
	e->n_held++;
	return true;
}

static void release_add(struct fragment_release *to, struct rte_mbuf *m, const struct pkt *p)
{
	to->m[to->count] = m;
	to->p[to->count] = *p;
	to->p[to->count].m = m;
	to->count++;
}

/** Move all held fragments of a packet behind what is in `to`. */
static void release_held(struct fragment_table *t, struct tracked *e, struct fragment_release *to)
{
	struct held *last = NULL;

	for (struct held *h = e->head; h != NULL; h = h->next) {
		release_add(to, h->p.m, &h->p);
		last = h;
	}
	if (last != NULL) {
		rte_spinlock_lock(&t->pool_lock);
		last->next = t->pool_free;
		t->pool_free = e->head;
		rte_spinlock_unlock(&t->pool_lock);
	}
	e->head = NULL;
	e->tail = &e->head;
	e->n_held = 0;
}

static void key_complete(const struct tracked *e, struct pkt *p)
{
	p->proto = e->proto;
	if (p->flags & PKT_V6) {
		p->key6.sport = e->sport;
		p->key6.dport = e->dport;
		p->key6.zone_proto = e->key.zone << 8 | e->proto;
	} else {
		p->key4.sport = e->sport;
		p->key4.dport = e->dport;
		p->key4.zone_proto = e->key.zone << 8 | e->proto;
	}
}

enum fit { FIT_NEW, FIT_DUPLICATE, FIT_OVERLAP, FIT_NO_ROOM };

/** How a fragment fits what is known of its packet. */
static enum fit range_fit(const struct tracked *e, const struct fragment_info *f)
{
	const uint16_t start = (uint16_t)(f->start / 8), end = (uint16_t)((f->end + 7) / 8);

	for (unsigned i = 0; i < e->n_ranges; i++) {
		const struct range *r = &e->ranges[i];

		if (start == r->start && end == r->end && f->more == (e->total != f->end))
			return FIT_DUPLICATE;
		if (start < r->end && end > r->start)
			return FIT_OVERLAP;
		if (!f->more && r->end > end)
			return FIT_OVERLAP; /* behind the last one */
	}
	if (e->total != TOTAL_UNKNOWN && (!f->more || f->end >= e->total))
		return FIT_OVERLAP; /* two ends, or behind the end */
	return FIT_NEW;
}

static void range_remove(struct tracked *e, unsigned i)
{
	e->ranges[i] = e->ranges[--e->n_ranges];
}

/** Join ranges that touch. @return whether one became free. */
static bool ranges_merge(struct tracked *e)
{
	const unsigned before = e->n_ranges;

	for (unsigned i = 0; i < e->n_ranges; i++) {
		for (unsigned j = 0; j < e->n_ranges; j++) {
			if (i == j || e->ranges[i].end != e->ranges[j].start)
				continue;
			e->ranges[i].end = e->ranges[j].end;
			range_remove(e, j);
			if (i == e->n_ranges) /* the last one took the place of j */
				i = j;
			j = UINT32_MAX; /* from the beginning: the range has a new end */
		}
	}
	return e->n_ranges < before;
}

static enum fit range_add(struct tracked *e, const struct fragment_info *f)
{
	enum fit fit = range_fit(e, f);

	if (fit != FIT_NEW)
		return fit;
	if (e->n_ranges == RANGES_MAX && !ranges_merge(e))
		return FIT_NO_ROOM;
	e->ranges[e->n_ranges++] =
		(struct range){ (uint16_t)(f->start / 8), (uint16_t)((f->end + 7) / 8) };
	e->seen += f->end - f->start;
	if (!f->more)
		e->total = f->end;
	return FIT_NEW;
}

static enum drop_reason tracked_add(struct fragment_table *t, struct tracked *e, struct rte_mbuf *m,
	struct pkt *p, const struct fragment_info *f, struct fragment_release *out, bool *held,
	struct fragment_release *dropped)
{
	const bool later = p->flags & PKT_FRAGMENT_LATER;

	if (e->refused)
		return DROP_fragment_malformed;
	/* Refused before it is remembered: a copy of it may come again when there is room. */
	if (later && !e->first && e->n_held == HELD_MAX)
		return DROP_fragment_table_full;
	switch (range_add(e, f)) {
	case FIT_NEW:
		break;
	case FIT_NO_ROOM:
		return DROP_fragment_table_full;
	case FIT_DUPLICATE:
		return DROP_fragment_malformed; /* this copy alone: RFC 8200 section 4.5 */
	case FIT_OVERLAP:
		e->refused = true;
		release_held(t, e, dropped);
		return DROP_fragment_malformed;
	}
	if (!later) {
		const bool v6 = p->flags & PKT_V6;

		e->first = true;
		e->proto = p->proto;
		e->sport = v6 ? p->key6.sport : p->key4.sport;
		e->dport = v6 ? p->key6.dport : p->key4.dport;
		release_add(out, m, p);
		release_held(t, e, out);
		for (uint16_t i = 1; i < out->count; i++)
			key_complete(e, &out->p[i]);
	} else if (e->first) {
		key_complete(e, p);
		release_add(out, m, p);
	} else if (hold(t, e, m, p)) {
		*held = true;
	} else {
		/* The packet can't become whole: forget the part, which no copy may then
		 * overlap. */
		e->n_ranges--;
		e->seen -= f->end - f->start;
		if (!f->more)
			e->total = TOTAL_UNKNOWN;
		return DROP_fragment_table_full;
	}
	if (e->seen == e->total)
		e->key.family = 0; /* whole: the identification may be used again */
	return DROP_NONE;
}

/* --- table --- */

static bool tracked_expired(const struct tracked *e, uint32_t now_ms)
{
	return (int32_t)(now_ms - e->deadline) >= 0;
}

/** The entry of a packet, a new one if need be; NULL when the bucket is full. */
static struct tracked *tracked_find(
	struct bucket *b, const struct fragment_key *key, uint32_t now_ms)
{
	struct tracked *room = NULL;

	for (unsigned i = 0; i < WAYS; i++) {
		struct tracked *e = &b->ways[i];
		/* What holds fragments is left to fragment_expire, which can return them. */
		const bool over =
			e->key.family == 0 || (tracked_expired(e, now_ms) && e->n_held == 0);

		if (!over && memcmp(&e->key, key, sizeof(*key)) == 0)
			return e;
		if (over && room == NULL)
			room = e;
	}
	if (room == NULL)
		return NULL;
	*room = (struct tracked){ .key = *key, .total = TOTAL_UNKNOWN };
	room->deadline = now_ms + (key->family == 4 ? FRAGMENT_TIMEOUT4_MS : FRAGMENT_TIMEOUT6_MS);
	room->tail = &room->head;
	return room;
}

enum drop_reason fragment_track(struct fragment_table *t, struct rte_mbuf *m, struct pkt *p,
	uint32_t now_ms, struct fragment_release *out, bool *held, struct fragment_release *dropped)
{
	struct fragment_key key;
	struct fragment_info info;
	enum drop_reason reason;
	struct bucket *b;
	struct tracked *e;

	out->count = dropped->count = 0;
	*held = false;
	if (unlikely(!(p->flags & PKT_FRAGMENT) || !fragment_info_get(m, p, &key, &info)))
		return DROP_fragment_malformed;
	b = &t->buckets[fragment_key_hash(&key, t->seed) & t->mask];
	rte_spinlock_lock(&b->lock);
	e = tracked_find(b, &key, now_ms);
	if (e == NULL) {
		reason = DROP_fragment_table_full;
	} else if (tracked_expired(e, now_ms)) {
		release_held(t, e, dropped);
		e->key.family = 0;
		reason = DROP_fragment_timeout;
	} else {
		reason = tracked_add(t, e, m, p, &info, out, held, dropped);
	}
	rte_spinlock_unlock(&b->lock);
	return reason;
}

void fragment_expire(struct fragment_table *t, uint32_t now_ms, struct fragment_release *expired)
{
	uint32_t slice = RTE_MIN(EXPIRE_SLICE, t->mask + 1);
	uint32_t at = atomic_fetch_add_explicit(&t->cursor, slice, memory_order_relaxed);

	expired->count = 0;
	for (; slice > 0; slice--, at++) {
		struct bucket *b = &t->buckets[at & t->mask];

		if (!rte_spinlock_trylock(&b->lock))
			continue;
		for (unsigned i = 0; i < WAYS; i++) {
			struct tracked *e = &b->ways[i];

			if (e->key.family == 0 || !tracked_expired(e, now_ms) ||
				expired->count + e->n_held > RTE_DIM(expired->m))
				continue; /* no room to return them: at the next round */
			release_held(t, e, expired);
			e->key.family = 0;
		}
		rte_spinlock_unlock(&b->lock);
	}
}
