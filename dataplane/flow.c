/* SPDX-License-Identifier: Apache-2.0 */
/** The flow table: lookup and insert. See flow.h for the contract, flow_table.h for the structures. */
#include "dataplane/flow_lookup.h"

#include "dataplane/memory.h"

#include <sys/random.h>

#define PUBLISH_TRIES 64 /* lost races for a slot before an insert gives up */
#define ENTRIES_MAX   (1u << 30)

/* --- life --------------------------------------------------------------------------------------------------- */

static bool pool_init(struct flow_pool *pool, uint32_t entries, int socket_id, size_t entry_size)
{
	pool->capacity = rte_align32pow2(RTE_MAX(entries, (uint32_t)FLOW_ENTRIES_MIN));
	pool->index_mask = pool->capacity * 2 - 1;
	pool->bucket_mask = (uint64_t)pool->capacity * 2 / FLOW_BUCKET_SLOTS - 1;
	pool->fresh = 1;
	pool->slots_bytes = (size_t)pool->capacity * 2 * sizeof(*pool->slots);
	pool->entries_bytes = ((size_t)pool->capacity + 1) * entry_size;
	pool->side_bytes = ((size_t)pool->capacity + 1) * sizeof(*pool->side);
	pool->slots = table_memory_map(pool->slots_bytes, socket_id);
	pool->entries = table_memory_map(pool->entries_bytes, socket_id);
	pool->side = table_memory_map(pool->side_bytes, socket_id);
	return pool->slots != NULL && pool->entries != NULL && pool->side != NULL;
}

struct flow_table *flow_table_new(const struct flow_table_conf *conf)
{
	size_t bytes =
		sizeof(struct flow_table) + (conf->n_workers + 1) * sizeof(struct flow_worker);
	uint32_t smallest =
		RTE_MAX(RTE_MIN(conf->entries4, conf->entries6), (uint32_t)FLOW_ENTRIES_MIN);
	struct flow_table *table;

	if (conf->n_workers == 0 || conf->entries4 > ENTRIES_MAX || conf->entries6 > ENTRIES_MAX)
		return NULL;
	table = table_memory_map(bytes, conf->socket_id);
	if (table == NULL)
		return NULL;
	table->bytes = bytes;
	table->n_workers = conf->n_workers;
	table->run = RTE_MIN((uint32_t)FLOW_RUN, RTE_MAX(1u, smallest / (8 * conf->n_workers)));
	flow_table_set_timeout(table, conf->timeout_ms);
	table->negative_timeout_ms = RTE_MIN(conf->negative_timeout_ms, (uint32_t)INT32_MAX);
	if (getrandom(table->secret.word, sizeof(table->secret.word), 0) !=
			sizeof(table->secret.word) ||
		!pool_init(
			&table->pool[0], conf->entries4, conf->socket_id, sizeof(struct flow4)) ||
		!pool_init(
			&table->pool[1], conf->entries6, conf->socket_id, sizeof(struct flow6))) {
		flow_table_free(table);
		return NULL;
	}
	table->secret.aes = flow_hash_has_aes();
	table->secret.word[3] |= 1; /* a plain multiplier: odd, so that it loses nothing */
	return table;
}

/* --- lookup ------------------------------------------------------------------------------------------------- */

static inline void lookup(
	struct flow_table *table, struct pkt *const *pkts, struct flow **flows, uint16_t n, bool v6)
{
	for (unsigned done = 0; done < n; done += FLOW_PIECE) {
		unsigned piece = RTE_MIN(n - done, (unsigned)FLOW_PIECE);
		const _Atomic uint32_t *buckets[FLOW_PIECE];
		uint64_t hashes[FLOW_PIECE];
		uint32_t index[FLOW_PIECE];

		for (unsigned i = 0; i < piece; i++) {
			hashes[i] = pkts[done + i]->hash;
			buckets[i] = flow_bucket(&table->pool[v6], hashes[i]);
			rte_prefetch0((const void *)(uintptr_t)buckets[i]);
		}
		flow_match(table, hashes, buckets, index, piece, v6);
		for (unsigned i = 0; i < piece; i++)
			flows[done + i] =
				flow_confirm(table, &pkts[done + i]->key6, hashes[i], index[i], v6);
	}
}

void flow_lookup4(
	struct flow_table *table, struct pkt *const *pkts, struct flow **flows, uint16_t n)
{
	lookup(table, pkts, flows, n, false);
}

void flow_lookup6(
	struct flow_table *table, struct pkt *const *pkts, struct flow **flows, uint16_t n)
{
	lookup(table, pkts, flows, n, true);
}

/* --- insert ------------------------------------------------------------------------------------------------- */

/** Nobody else sees the entry yet; the CAS that publishes it releases all of this. */
static inline void fill(const struct flow_pool *pool, uint32_t index, const void *key,
	const struct flow_init *init, uint32_t pair, uint32_t now_ms, bool v6)
{
	struct flow *flow = flow_at(pool, index, v6);
	struct flow_side *side = &pool->side[index];

	memcpy((void *)(uintptr_t)flow_key(flow, v6), key,
		v6 ? sizeof(struct flow_key6) : sizeof(struct flow_key4));
	flow_decision_set(flow, init->decision);
	atomic_store_explicit(&flow->epoch, init->epoch, memory_order_relaxed);
	atomic_store_explicit(&flow->last_seen, now_ms, memory_order_relaxed);
	atomic_store_explicit(&flow->packets, 0, memory_order_relaxed);
	atomic_store_explicit(&flow->bytes, 0, memory_order_relaxed);
	memcpy(flow->deps, init->deps.slot, sizeof(flow->deps));
	atomic_store_explicit(&flow->state, init->state, memory_order_relaxed);
	atomic_store_explicit(&flow->seq, init->seq, memory_order_relaxed);
	atomic_store_explicit(&flow->flags, init->flags, memory_order_relaxed);
	atomic_store_explicit(&flow->rule, init->rule, memory_order_relaxed);
	atomic_store_explicit(&side->pair, pair, memory_order_relaxed);
	atomic_store_explicit(&side->mark, init->track.mark, memory_order_relaxed);
	atomic_store_explicit(&side->end, init->track.end, memory_order_relaxed);
	atomic_store_explicit(&side->again, init->track.again, memory_order_relaxed);
	atomic_store_explicit(&side->scale, init->track.scale, memory_order_relaxed);
	atomic_store_explicit(&side->kernel, 0, memory_order_relaxed);
	atomic_store_explicit(&side->seen, init->track.seen, memory_order_relaxed);
}

#define YOUNG_MS 1000 /* how long a handshake of another zone is left in peace */

/** How willingly an entry goes for one of `zone`: 0 = not at all. */
static unsigned willing(const struct flow *flow, int32_t idle, unsigned zone, bool v6)
{
	if (atomic_load_explicit(&flow->flags, memory_order_relaxed) & FLOW_NEGATIVE)
		return 4;
	switch (flow_kind_rank(
		flow_state_kind(atomic_load_explicit(&flow->state, memory_order_relaxed)))) {
	case FLOW_RANK_CLOSED:
		return 3;
	case FLOW_RANK_YOUNG:
		return flow_zone(flow_key_zone(flow, v6)) == zone ? 2 : idle > YOUNG_MS;
	default:
		return 0;
	}
}

/** The slot of two full buckets whose entry may make room for one of `zone`: one that is expired, else the most willing, and
 * of those the one idle longest. *word is its content; NULL when every entry is wanted. */
static _Atomic uint32_t *victim(const struct flow_table *table, const struct flow_pool *pool,
	const struct flow_place *place, uint32_t *word, unsigned zone, uint32_t now_ms, bool v6)
{
	_Atomic uint32_t *best = NULL;
	int32_t longest = INT32_MIN;
	unsigned most = 0;

	for (unsigned i = 0; i < 2 * FLOW_BUCKET_SLOTS; i++) {
		_Atomic uint32_t *slot =
			&place->bucket[i / FLOW_BUCKET_SLOTS][i % FLOW_BUCKET_SLOTS];
		uint32_t content = atomic_load_explicit(slot, memory_order_acquire);
		uint32_t index = flow_slot_index(pool, content);
		const struct flow *flow = flow_at(pool, index, v6);
		unsigned will;
		int32_t idle;

		if (content == 0)
			continue;
		if (flow_idle(table, pool, index, now_ms, v6)) {
			*word = content;
			return slot;
		}
		idle = (int32_t)(now_ms -
				 atomic_load_explicit(&flow->last_seen, memory_order_relaxed));
		will = willing(flow, idle, zone, v6);
		if (will != 0 && (will > most || (will == most && idle > longest))) {
			most = will;
			longest = idle;
			best = slot;
			*word = content;
		}
	}
	return best;
}

/** An empty slot: in the first bucket while that has room to spare, so that most lookups touch one; then in the emptier
 * one. NULL when both are full. */
static inline _Atomic uint32_t *empty_slot(const struct flow_place *place)
{
	_Atomic uint32_t *empty[2] = { NULL, NULL };
	unsigned used[2];

	for (unsigned b = 0; b < 2; b++) {
		unsigned slots = flow_bucket_empty(place->bucket[b]);

		used[b] = FLOW_BUCKET_SLOTS - (unsigned)__builtin_popcount(slots);
		if (slots != 0)
			empty[b] = &place->bucket[b][__builtin_ctz(slots)];
		if (b == 0 && used[0] < FLOW_FILL)
			return empty[0];
	}
	return used[1] < used[0] ? empty[1] : empty[0];
}

/** Put a filled entry in a slot. False when there is none to have; then the index is retired: expiry may be looking at it. */
static bool publish(struct flow_table *table, struct flow_worker *w, const struct flow_place *place,
	uint32_t index, unsigned zone, uint32_t now_ms, bool v6)
{
	struct flow_pool *pool = &table->pool[v6];
	uint32_t word = place->tag | index;

	flow_charge(table, w, index, zone, v6);
	for (unsigned try = 0; try < PUBLISH_TRIES; try++) {
		_Atomic uint32_t *slot = empty_slot(place);
		uint32_t before = 0;

		if (slot == NULL)
			slot = victim(table, pool, place, &before, zone, now_ms, v6);
		if (slot == NULL)
			break;
		/* No reuse can hide behind an equal word: what this thread, an online reader, saw in a slot is not
		 * freed before its next quiescent state. */
		if (!atomic_compare_exchange_strong_explicit(
			    slot, &before, word, memory_order_seq_cst, memory_order_relaxed))
			continue;
		if (before != 0) {
			flow_retire(table, w, flow_slot_index(pool, before), v6);
			flow_count(&w->evicted, 1);
		}
		return true;
	}
	flow_retire(table, w, index, v6);
	return false;
}

/** After publishing: of several entries for one key keep the one in the lowest place. @return its index.
 *
 * Why one remains, and just one: publishing CAS and these loads are sequentially consistent, so of two inserters at least
 * one sees the other's entry. Whoever sees two removes the higher one, be it its own or not: both seeing both choose the
 * same, and the CAS lets one of them do it. The last of any number of inserters to publish sees all that are left, so two
 * are alive no longer than its scan takes. An entry is removed only for a lower one, so the lowest is never removed
 * here. A loser's inserter may still hold it: it stays readable for its grace period, only its counts are lost. */
static uint32_t settle(struct flow_table *table, struct flow_worker *w,
	const struct flow_place *place, const void *key, bool v6)
{
	struct flow_pool *pool = &table->pool[v6];
	uint32_t survivor = 0;

	for (unsigned b = 0; b < 2; b++) {
		/* The publishing CAS is a full barrier, for vector loads too: on x86-64 by its lock prefix; elsewhere
		 * flow_bucket_slots makes atomic loads, behind this fence. */
#if !defined(__x86_64__)
		atomic_thread_fence(memory_order_seq_cst);
#else
		atomic_signal_fence(memory_order_seq_cst);
#endif
		for (unsigned slots = flow_bucket_tagged(pool, place->bucket[b], place->tag);
			slots != 0; slots &= slots - 1) {
			_Atomic uint32_t *slot = &place->bucket[b][__builtin_ctz(slots)];
			uint32_t word = atomic_load_explicit(slot, memory_order_seq_cst);
			uint32_t index = flow_slot_index(pool, word);

			if (!flow_slot_tagged(pool, word, place->tag) ||
				!flow_key_equal(flow_key(flow_at(pool, index, v6), v6), key, v6))
				continue;
			if (survivor == 0)
				survivor = index;
			else if (atomic_compare_exchange_strong_explicit(slot, &word, 0,
					 memory_order_seq_cst, memory_order_relaxed))
				flow_retire(table, w, index, v6);
		}
	}
	return survivor;
}

/** Make a published entry, whose opposite was found in the table, a pair with it, unless that has a pair that is alive. */
static void link_pair(const struct flow_pool *pool, uint32_t index, uint32_t other)
{
	struct flow_side *o = &pool->side[other];
	uint32_t theirs = atomic_load_explicit(&o->pair, memory_order_relaxed);

	atomic_store_explicit(&pool->side[index].pair, other, memory_order_relaxed);
	if (theirs > pool->capacity ||
		atomic_load_explicit(&pool->side[theirs].pair, memory_order_relaxed) != other)
		atomic_compare_exchange_strong_explicit(
			&o->pair, &theirs, index, memory_order_relaxed, memory_order_relaxed);
}

/** The pool is empty. What can go from these buckets serves a later insert, once its grace period is over. One at a time:
 * a burst of misses must not clear what nobody will use. */
static void make_room(struct flow_table *table, struct flow_worker *w,
	const struct flow_place *place, unsigned zone, uint32_t now_ms, bool v6)
{
	const struct flow_local *l = &w->local[v6];
	_Atomic uint32_t *slot;
	uint32_t word = 0;

	if (l->open != 0 || l->count != 0)
		return;
	slot = victim(table, &table->pool[v6], place, &word, zone, now_ms, v6);
	if (slot == NULL || !atomic_compare_exchange_strong_explicit(
				    slot, &word, 0, memory_order_acq_rel, memory_order_relaxed))
		return;
	flow_retire(table, w, flow_slot_index(&table->pool[v6], word), v6);
	flow_count(&w->evicted, 1);
}

/** The reverse direction of the entry `forward`, which is published. `index` was set aside and filled for it. */
static void insert_reverse(struct flow_table *table, struct flow_worker *w,
	const struct flow_place *place, const void *key, uint32_t index, uint32_t forward,
	unsigned zone, uint32_t now_ms, bool v6)
{
	const struct flow_pool *pool = &table->pool[v6];
	uint32_t survivor;

	if (!publish(table, w, place, index, zone, now_ms, v6)) {
		/* publish has cut the pair. */
		flow_count(&w->refused, 1);
		return;
	}
	survivor = settle(table, w, place, key, v6);
	if (survivor == index)
		flow_count(&w->inserted, 1);
	else if (survivor != 0)
		link_pair(pool, forward, survivor);
}

static inline struct flow *insert(struct flow_table *table, unsigned worker, const void *key,
	uint64_t hash, uint32_t zone_proto, const struct flow_init *init, const void *rkey,
	uint64_t rhash, const struct flow_init *rinit, uint32_t now_ms, bool v6)
{
	struct flow_pool *pool = &table->pool[v6];
	struct flow_worker *w = &table->workers[worker];
	struct flow_place place = flow_place(table, pool, hash), rplace;
	unsigned zone = flow_zone(zone_proto >> 8);
	uint32_t a, b = 0, there, survivor;

	there = flow_find(pool, &place, key, v6);
	if (there != 0)
		return flow_at(pool, there, v6);
	if (!flow_admit(table, w, zone, now_ms, v6)) {
		flow_count(&w->refused, 1);
		return NULL;
	}
	a = flow_index_take(table, w, v6);
	if (a == 0) {
		make_room(table, w, &place, zone, now_ms, v6);
		flow_count(&w->refused, 1);
		return NULL;
	}
	if (rkey != NULL && !flow_key_equal(key, rkey, v6)) {
		rplace = flow_place(table, pool, rhash);
		there = flow_find(pool, &rplace, rkey, v6);
		if (there == 0) {
			b = flow_index_take(table, w, v6);
			if (b != 0)
				fill(pool, b, rkey, rinit, a, now_ms, v6);
			else
				flow_count(&w->refused, 1);
		}
	}
	fill(pool, a, key, init, b != 0 ? b : FLOW_NONE, now_ms, v6);
	if (!publish(table, w, &place, a, zone, now_ms, v6)) {
		if (b != 0)
			flow_index_return(table, w, b, v6);
		flow_count(&w->refused, 1);
		return NULL;
	}
	survivor = settle(table, w, &place, key, v6);
	if (survivor != a && survivor != 0) { /* its inserter brings the reverse */
		if (b != 0)
			flow_index_return(table, w, b, v6);
		return flow_at(pool, survivor, v6);
	}
	flow_count(&w->inserted, 1);
	if (b != 0)
		insert_reverse(table, w, &rplace, rkey, b, a, zone, now_ms, v6);
	else if (there != 0)
		link_pair(pool, a, there);
	return flow_at(pool, a, v6);
}

struct flow *flow_insert4(struct flow_table *table, unsigned worker, const struct flow_key4 *key,
	uint64_t hash, const struct flow_init *forward, const struct flow_key4 *reverse_key,
	const struct flow_init *reverse, uint32_t now_ms)
{
	return insert(table, worker, key, hash, key->zone_proto, forward, reverse_key,
		reverse_key != NULL ? flow_hash4(table, reverse_key) : 0, reverse, now_ms, false);
}

struct flow *flow_insert6(struct flow_table *table, unsigned worker, const struct flow_key6 *key,
	uint64_t hash, const struct flow_init *forward, const struct flow_key6 *reverse_key,
	const struct flow_init *reverse, uint32_t now_ms)
{
	return insert(table, worker, key, hash, key->zone_proto, forward, reverse_key,
		reverse_key != NULL ? flow_hash6(table, reverse_key) : 0, reverse, now_ms, true);
}
