/* SPDX-License-Identifier: Apache-2.0 */
/** The inside of the flow table, for flow*.c and their tests. The contract is flow.h.
 *
 * A pool is one family: slots, entries and a few words beside each entry. A slot is one word, tag | index, 0 when empty: as
 * many low bits as the largest index needs, the rest for the tag; index 0 is never used. It is the only thing readers and
 * writers meet at: CAS from 0 publishes an entry, CAS to 0 (or to another entry) removes it, and whoever's CAS succeeds owns
 * what was removed.
 *
 * Life of an index: fresh (never used, handed out in runs, so memory is touched only as the table grows) or free (in a
 * worker's list, or in a shared stack of chains) -> filled and published -> removed -> in the remover's batch until the
 * grace period of the batch is over -> free.
 */
#ifndef DATAPLANE_FLOW_TABLE_H
#define DATAPLANE_FLOW_TABLE_H

#include "dataplane/flow.h"

#include <rte_branch_prediction.h>
#include <rte_common.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FLOW_THREAD_SANITIZER 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define FLOW_THREAD_SANITIZER 1
#endif

#if defined(__SSE4_1__)
#include <smmintrin.h>
#endif

#define FLOW_BUCKET_SLOTS 16 /* a cache line */
#define FLOW_CHAIN	  64 /* most indices handed over at once, and of one grace period */
#define FLOW_RUN	  256 /* fresh indices at once: each half has pages of its own, see fresh_take */
#define FLOW_BATCHES	  64   /* grace periods a worker waits for at once */
#define FLOW_ZONES	  1025 /* zones of ports by number, all others (tunnels) together */
#define FLOW_ENTRIES_MIN  64   /* a family has at least so many */
#define FLOW_FILL	  13   /* a bucket this full makes an insert look at the key's other one */

/** Beside every entry, cold. Atomic because a pop from the shared stack may look at a chain that another just took, and
 * because the two directions of a connection may have a worker each. */
struct flow_side {
	_Atomic uint32_t
		link; /* published: zone charged; else: next index of the chain, 0 = last */
	_Atomic uint32_t chain; /* first of a chain in the shared stack: first of the next chain */
	_Atomic uint32_t pair;	/* index of the other direction, FLOW_NONE = gone */
	_Atomic uint32_t mark, end, again; /* struct flow_track */
	_Atomic uint8_t scale, seen;
	_Atomic uint8_t account; /* enum flow_account */
	uint8_t reserved;
	_Atomic uint16_t
		kernel; /* kernel_slots.h: number of its slot, 0 = it has none; writer: control */
	uint16_t reserved_nat; /* of a rewrite (services) there is an index here, later */
};
static_assert(sizeof(struct flow_side) == 32, "two a cache line");

/** What an entry is counted in. Whoever clears the bit takes it off the count. */
enum flow_account {
	FLOW_ACCOUNT_OPEN = 1 << 0, /* connections of the pod behind the key's zone */
	FLOW_ACCOUNT_HALF = 1 << 1, /* half open connections of that zone */
	/* In no count: the entry is, or is about to be, in a slot. Whoever reads this (acquire) may read the key, as an
	 * online reader, until its next quiescent state. */
	FLOW_ACCOUNT_LIVE = 1 << 2,
};

struct flow_pool {
	_Atomic uint32_t *slots;
	uint8_t *entries;	/* struct flow4 or flow6, capacity + 1 of them */
	struct flow_side *side; /* capacity + 1 */
	uint64_t bucket_mask;
	uint32_t index_mask; /* of a slot; the other bits are the tag */
	uint32_t capacity;
	size_t slots_bytes, entries_bytes, side_bytes;
	/* Written by all workers, once a chain. */
	_Atomic uint64_t chains
		__rte_cache_aligned; /* pops << 32 | first chain: the count defeats reuse in between */
	_Atomic uint32_t fresh;	     /* first index never handed out */
};

/** Removed together, free together. */
struct flow_batch {
	uint64_t token;
	uint32_t head;
};

/** A worker's part of a pool. Its own thread only. */
struct flow_local {
	uint32_t free,
		free_other; /* two halves of a chain, taken from in turn: see flow_index_take */
	uint32_t fresh, fresh_end; /* half a run of fresh indices, not empty unless the other is */
	uint32_t other, other_end; /* the other half, which the next index but one comes from */
	uint32_t open;		   /* chain of the batch that has no token yet */
	uint32_t open_count;
	unsigned first, count; /* FIFO of batches */
	struct flow_batch batches[FLOW_BATCHES];
	bool pressed;	       /* the pool was over three quarters full when last looked at */
	uint32_t zones_active; /* as of zones_ms */
	uint32_t zones_ms;
};

/** Counters: written by their worker, summed by anyone; one worker's alone may be negative. */
struct flow_worker {
	_Atomic int64_t used[2];
	_Atomic uint64_t inserted, expired, evicted, refused;
	_Atomic int32_t zone[2][FLOW_ZONES];
	_Atomic int32_t open[FLOW_ZONES], half[2][FLOW_ZONES]; /* enum flow_account */
	struct flow_local local[2];
	uint64_t cursor; /* of expiry, in this worker's shares of both pools laid end to end */
	uint32_t round[FLOW_KIND_COUNT +
		       1]; /* states met since the cursor was at 0; the last: negative */
	_Atomic uint32_t kinds[FLOW_KIND_COUNT + 1]; /* in the round before */
} __rte_cache_aligned;

struct flow_table {
	struct flow_secret secret; /* first: flow_hash4/6 */
	struct flow_pool pool[2];  /* IPv4, IPv6 */
	_Atomic uint32_t
		span[256] __rte_cache_aligned; /* by state: see flow_state.h; writer: control */
	_Atomic uint32_t timeout_ms[FLOW_KIND_COUNT], negative_timeout_ms; /* writer: control */
	_Atomic uint32_t half_open_max;
	_Atomic uint8_t window; /* enum flow_window_mode */
	_Atomic uint32_t
		flushes; /* control: flushes whose entries still wait for their grace period */
	unsigned n_workers;
	uint32_t
		run; /* indices a worker takes at once; small in small tables, so none is stranded for long */
	size_t bytes;		      /* of this object */
	struct flow_worker workers[]; /* n_workers, then one for the control thread's counters */
};

/** The two buckets where a key may live, in the order that everyone scans them. */
struct flow_place {
	_Atomic uint32_t *bucket[2];
	uint32_t tag;
};

/** Where it is in a slot. */
static inline uint32_t flow_tag(const struct flow_pool *pool, uint64_t hash)
{
	const uint32_t mask = pool->index_mask;

	return ((uint32_t)(hash >> 32) & ~mask) | (mask + 1); /* an empty slot has no key's tag */
}
static inline uint32_t flow_slot_index(const struct flow_pool *pool, uint32_t word)
{
	return word & pool->index_mask;
}
static inline bool flow_slot_tagged(const struct flow_pool *pool, uint32_t word, uint32_t tag)
{
	return (word & ~pool->index_mask) == tag;
}
/* The first bucket comes from the low bits of the hash: outer source ports and flow labels show others (rewrite.h) to the
 * network, which must not learn which flows share a bucket. */
static inline _Atomic uint32_t *flow_bucket(const struct flow_pool *pool, uint64_t hash)
{
	return pool->slots + (hash & pool->bucket_mask) * FLOW_BUCKET_SLOTS;
}
static inline _Atomic uint32_t *flow_bucket_other(
	const struct flow_table *table, const struct flow_pool *pool, uint64_t hash)
{
	uint64_t first = hash & pool->bucket_mask;
	uint64_t other = (uint64_t)((unsigned __int128)hash * table->secret.word[3] >> 64) &
			 pool->bucket_mask;

	return pool->slots + (other == first ? other ^ 1 : other) * FLOW_BUCKET_SLOTS;
}
static inline struct flow_place flow_place(
	const struct flow_table *table, const struct flow_pool *pool, uint64_t hash)
{
	return (struct flow_place){ { flow_bucket(pool, hash),
					    flow_bucket_other(table, pool, hash) },
		flow_tag(pool, hash) };
}

static inline struct flow *flow_at(const struct flow_pool *pool, uint32_t index, bool v6)
{
	return v6 ? &((struct flow6 *)pool->entries)[index].flow
		  : &((struct flow4 *)pool->entries)[index].flow;
}
static inline const void *flow_key(const struct flow *flow, bool v6)
{
	return v6 ? (const uint8_t *)flow + offsetof(struct flow6, key)
		  : (const uint8_t *)flow - offsetof(struct flow4, flow);
}
static inline bool flow_key_equal(const void *a, const void *b, bool v6)
{
#if defined(__SSE4_1__) && !defined(FLOW_THREAD_SANITIZER)
	__m128i differ = _mm_xor_si128(_mm_loadu_si128(a), _mm_loadu_si128(b));

	if (v6) {
		differ = _mm_or_si128(differ, _mm_xor_si128(_mm_loadu_si128((const __m128i *)a + 1),
						      _mm_loadu_si128((const __m128i *)b + 1)));
		differ = _mm_or_si128(differ, _mm_xor_si128(_mm_loadl_epi64((const __m128i *)a + 2),
						      _mm_loadl_epi64((const __m128i *)b + 2)));
	}
	return _mm_testz_si128(differ, differ);
#else
	uint64_t x[5], y[5];
	size_t size = v6 ? sizeof(struct flow_key6) : sizeof(struct flow_key4);

	memcpy(x, a, size);
	memcpy(y, b, size);
	if (!v6)
		return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4])) == 0;
#endif
}

static inline uint32_t flow_index(const struct flow_pool *pool, const struct flow *flow, bool v6)
{
	size_t off = (size_t)((const uint8_t *)flow -
			      (v6 ? offsetof(struct flow6, flow) : offsetof(struct flow4, flow)) -
			      pool->entries);

	return (uint32_t)(v6 ? off / sizeof(struct flow6) : off / sizeof(struct flow4));
}
/** Index of the other direction of an entry, or 0. It may be gone and its index another flow's: believed only when it points
 * back. */
static inline uint32_t flow_pair(const struct flow_pool *pool, uint32_t index)
{
	uint32_t pair = atomic_load_explicit(&pool->side[index].pair, memory_order_relaxed);

	if (pair > pool->capacity ||
		atomic_load_explicit(&pool->side[pair].pair, memory_order_relaxed) != index)
		return 0;
	return pair;
}
static inline uint32_t flow_key_zone(const struct flow *flow, bool v6)
{
	const void *key = flow_key(flow, v6);

	return (v6 ? ((const struct flow_key6 *)key)->zone_proto
		   : ((const struct flow_key4 *)key)->zone_proto) >>
	       8;
}

#define FLOW_PRESSED_CLOSED_MS 1000u
#define FLOW_PRESSED_YOUNG_MS  5000u

/** How long an entry in that state may be idle, ms; less under pressure, but for what is established. */
static inline int32_t flow_limit(const struct flow_table *table, uint8_t state, bool pressed)
{
	const enum flow_kind kind = flow_state_kind(state);
	uint32_t limit;

	if (unlikely(kind >= FLOW_KIND_COUNT))
		return 0;
	limit = atomic_load_explicit(&table->timeout_ms[kind], memory_order_relaxed);
	if (unlikely(pressed)) {
		const enum flow_rank rank = flow_kind_rank(kind);

		if (rank == FLOW_RANK_CLOSED)
			limit = RTE_MIN(limit, FLOW_PRESSED_CLOSED_MS);
		else if (rank == FLOW_RANK_YOUNG)
			limit = RTE_MIN(limit, FLOW_PRESSED_YOUNG_MS);
	}
	return (int32_t)limit;
}

/** True when the entry may go: see flow_expire. Differences are signed, because another worker's clock may be ahead. */
static inline bool flow_idle_pressed(const struct flow_table *table, const struct flow_pool *pool,
	uint32_t index, uint32_t now_ms, bool v6, bool pressed)
{
	const struct flow *flow = flow_at(pool, index, v6), *other;
	int32_t idle =
		(int32_t)(now_ms - atomic_load_explicit(&flow->last_seen, memory_order_relaxed));
	int32_t limit = flow_limit(
		table, atomic_load_explicit(&flow->state, memory_order_relaxed), pressed);
	uint32_t pair;

	if (unlikely(atomic_load_explicit(&flow->flags, memory_order_relaxed) & FLOW_NEGATIVE))
		return idle > (int32_t)atomic_load_explicit(
				      &table->negative_timeout_ms, memory_order_relaxed);
	if (likely(idle <= limit))
		return false;
	pair = flow_pair(pool, index);
	if (pair == 0)
		return true;
	other = flow_at(pool, pair, v6);
	return (int32_t)(now_ms - atomic_load_explicit(&other->last_seen, memory_order_relaxed)) >
	       limit;
}

static inline bool flow_idle(const struct flow_table *table, const struct flow_pool *pool,
	uint32_t index, uint32_t now_ms, bool v6)
{
	return flow_idle_pressed(table, pool, index, now_ms, v6, false);
}

static inline void flow_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}
static inline unsigned flow_zone(uint32_t zone)
{
	return zone < FLOW_ZONES - 1 ? zone : FLOW_ZONES - 1;
}

/* flow_pool.c. `w` is the calling thread's. */

/** An index to fill, or 0: none is free. */
uint32_t flow_index_take(struct flow_table *table, struct flow_worker *w, bool v6);
/** Take back an index that was never published, and so needs no grace period. */
void flow_index_return(struct flow_table *table, struct flow_worker *w, uint32_t index, bool v6);
/** Account for an index about to be published, which is filled. */
void flow_charge(
	struct flow_table *table, struct flow_worker *w, uint32_t index, unsigned zone, bool v6);
/** Undo flow_charge, and cut the index loose from its pair. */
void flow_discharge(struct flow_table *table, struct flow_worker *w, uint32_t index, bool v6);
/** Take an entry off the counts of `bits` (enum flow_account) that it is in; put it back with flow_account_again. */
void flow_account_end(
	struct flow_table *table, struct flow_worker *w, uint32_t index, uint8_t bits, bool v6);
void flow_account_again(
	struct flow_table *table, struct flow_worker *w, uint32_t index, uint8_t bits, bool v6);
/** May this zone have another half open connection? */
bool flow_admit_half_open(const struct flow_table *table, uint32_t zone, bool pod, bool v6);
/** Take an entry out of its slot. Worker. @return false: it was in none. */
bool flow_take_out(struct flow_table *table, struct flow_worker *w, uint32_t index, bool v6);
/** Take an entry, and its pair, out of the table before their time. Worker. */
void flow_remove(struct flow_table *table, struct flow_worker *w, uint32_t index, bool v6);
/** The caller's CAS took a published index out of its slot: free it after a grace period. */
void flow_retire(struct flow_table *table, struct flow_worker *w, uint32_t index, bool v6);
/** Start the grace period of everything retired so far, then free what has passed its own. Never waits. */
void flow_reclaim(struct flow_table *table, struct flow_worker *w, bool v6);
/** Hand everything in the worker's free list to all. */
void flow_local_flush(struct flow_table *table, struct flow_worker *w, bool v6);
/** Put chains, linked through flow_side.chain from first to last, on the shared stack. */
void flow_chains_push(struct flow_pool *pool, uint32_t first, uint32_t last);
/** May this zone have new entries? */
bool flow_admit(
	struct flow_table *table, struct flow_worker *w, unsigned zone, uint32_t now_ms, bool v6);
/** Entries published. */
uint64_t flow_used(const struct flow_table *table, bool v6);

#endif
