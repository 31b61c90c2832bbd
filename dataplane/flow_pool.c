/* SPDX-License-Identifier: Apache-2.0 */
/** Who holds which entry of the flow table: free indices, grace periods, and the shares of zones. */
#include "dataplane/flow_table.h"

#include "dataplane/rcu.h"

#define ZONES_PERIOD_MS 100 /* how old the number of active zones may be */

/* --- free indices ------------------------------------------------------------------------------------------- */

static inline uint32_t link_get(const struct flow_pool *pool, uint32_t index)
{
	return atomic_load_explicit(&pool->side[index].link, memory_order_relaxed);
}
static inline void link_set(struct flow_pool *pool, uint32_t index, uint32_t value)
{
	atomic_store_explicit(&pool->side[index].link, value, memory_order_relaxed);
}

void flow_chains_push(struct flow_pool *pool, uint32_t first, uint32_t last)
{
	uint64_t top = atomic_load_explicit(&pool->chains, memory_order_relaxed);

	do {
		atomic_store_explicit(&pool->side[last].chain, (uint32_t)top, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&pool->chains, &top,
		(top & ~(uint64_t)UINT32_MAX) | first, memory_order_release, memory_order_relaxed));
}

static uint32_t chain_pop(struct flow_pool *pool)
{
	uint64_t top = atomic_load_explicit(&pool->chains, memory_order_acquire), next;

	do {
		if ((uint32_t)top == 0)
			return 0;
		/* Another may pop and push this chain meanwhile: then the count of pops differs and the CAS fails. */
		next = ((top >> 32) + 1) << 32 |
		       atomic_load_explicit(&pool->side[(uint32_t)top].chain, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
		&pool->chains, &top, next, memory_order_acquire, memory_order_acquire));
	return (uint32_t)top;
}

static void fresh_run(struct flow_table *table, struct flow_pool *pool, struct flow_local *l)
{
	uint32_t end = pool->capacity + 1, from;

	/* The load keeps the counter from creeping up, and round, while the table is full. */
	if (atomic_load_explicit(&pool->fresh, memory_order_relaxed) >= end)
		return;
	from = atomic_fetch_add_explicit(&pool->fresh, table->run, memory_order_relaxed);
	if (from < end) {
		end = RTE_MIN(from + table->run, end);
		l->fresh = from;
		l->fresh_end = l->other = from + (end - from + 1) / 2;
		l->other_end = end;
	}
}

/** Next of a run that is not empty, from its halves in turn. The two directions of a connection are taken in a row and often
 * have a worker each. CPUs fetch cache lines together with their neighbours, so neighbours would go to and fro between the two
 * although nobody shares a line: two workers, a direction each, forwarded 1.71 times what one does, and 2.05 times with
 * directions a page apart. So with chains: indices come back in order, as expiry goes along the entries. */
static uint32_t fresh_take(struct flow_local *l)
{
	uint32_t index = l->fresh++, end = l->fresh_end;

	if (l->other == l->other_end)
		return index;
	l->fresh_end = l->other_end;
	l->other_end = end;
	end = l->fresh;
	l->fresh = l->other;
	l->other = end;
	return index;
}

static inline bool is_pressed(const struct flow_table *table, bool v6)
{
	return flow_used(table, v6) > table->pool[v6].capacity / 4 * 3;
}

/** Begin to use a chain: its first half and its second. */
static void chain_use(struct flow_pool *pool, struct flow_local *l, uint32_t first)
{
	uint32_t last = first;

	for (unsigned i = 1; i < FLOW_CHAIN / 2 && link_get(pool, last) != 0; i++)
		last = link_get(pool, last);
	l->free = first;
	l->free_other = link_get(pool, last);
	link_set(pool, last, 0);
}

static inline void swap(uint32_t *a, uint32_t *b)
{
	const uint32_t was = *a;

	*a = *b;
	*b = was;
}

uint32_t flow_index_take(struct flow_table *table, struct flow_worker *w, bool v6)
{
	struct flow_pool *pool = &table->pool[v6];
	struct flow_local *l = &w->local[v6];
	uint32_t index;

	if (l->free == 0 && l->free_other == 0 && l->fresh == l->fresh_end) {
		l->pressed = is_pressed(table, v6);
		index = chain_pop(pool);
		if (index != 0)
			chain_use(pool, l, index);
		else
			fresh_run(table, pool, l);
	}
	if (l->free == 0)
		swap(&l->free, &l->free_other);
	index = l->free;
	if (index == 0)
		return l->fresh != l->fresh_end ? fresh_take(l) : 0;
	l->free = link_get(pool, index);
	/* The next of this half but one: by then it is here. */
	__builtin_prefetch(&pool->side[l->free], 1);
	__builtin_prefetch(flow_at(pool, l->free, v6), 1);
	if (l->free_other != 0)
		swap(&l->free, &l->free_other);
	return index;
}

void flow_index_return(struct flow_table *table, struct flow_worker *w, uint32_t index, bool v6)
{
	link_set(&table->pool[v6], index, w->local[v6].free);
	w->local[v6].free = index;
}

void flow_local_flush(struct flow_table *table, struct flow_worker *w, bool v6)
{
	struct flow_pool *pool = &table->pool[v6];
	struct flow_local *l = &w->local[v6];

	while (l->fresh != l->fresh_end)
		flow_index_return(table, w, fresh_take(l), v6);
	if (l->free != 0)
		flow_chains_push(pool, l->free, l->free);
	if (l->free_other != 0)
		flow_chains_push(pool, l->free_other, l->free_other);
	l->free = l->free_other = 0;
}

/* --- grace periods ------------------------------------------------------------------------------------------ */

static inline bool grace_over(uint64_t token)
{
#ifdef FLOW_THREAD_SANITIZER
	/* rte_rcu_qsbr_check first reads a shared hint without synchronisation, and the bitmap of readers is changed by code
	 * that is not instrumented. What follows depends on both, which is order enough for every machine but not for the
	 * race detector; this is the same check of every reader there could be. */
	return __rte_rcu_qsbr_check_all(rcu_domain, token, false) == 1;
#else
	return rte_rcu_qsbr_check(rcu_domain, token, false) == 1;
#endif
}

/** Give the open batch its token. When the FIFO is full it stays open and grows. */
static void batch_close(struct flow_local *l)
{
	if (l->open == 0 || l->count == FLOW_BATCHES)
		return;
	l->batches[(l->first + l->count++) % FLOW_BATCHES] =
		(struct flow_batch){ rte_rcu_qsbr_start(rcu_domain), l->open };
	l->open = 0;
	l->open_count = 0;
}

void flow_retire(struct flow_table *table, struct flow_worker *w, uint32_t index, bool v6)
{
	struct flow_local *l = &w->local[v6];

	flow_discharge(table, w, index, v6);
	link_set(&table->pool[v6], index, l->open);
	l->open = index;
	if (++l->open_count >= FLOW_CHAIN)
		batch_close(l);
}

void flow_reclaim(struct flow_table *table, struct flow_worker *w, bool v6)
{
	struct flow_local *l = &w->local[v6];

	l->pressed = is_pressed(table, v6);
	batch_close(l);
	while (l->count != 0 && grace_over(l->batches[l->first].token)) {
		uint32_t head = l->batches[l->first].head;

		if (l->free == 0 && l->free_other == 0)
			chain_use(&table->pool[v6], l, head);
		else
			flow_chains_push(&table->pool[v6], head, head);
		l->first = (l->first + 1) % FLOW_BATCHES;
		l->count--;
		batch_close(l); /* what found the FIFO full */
	}
}

/* --- accounts ----------------------------------------------------------------------------------------------- */

static void account(struct flow_worker *w, unsigned zone, int n, bool v6)
{
	_Atomic int32_t *z = &w->zone[v6][zone];

	atomic_store_explicit(
		z, atomic_load_explicit(z, memory_order_relaxed) + n, memory_order_relaxed);
	atomic_store_explicit(&w->used[v6],
		atomic_load_explicit(&w->used[v6], memory_order_relaxed) + n, memory_order_relaxed);
}

static void add(_Atomic int32_t *count, int n)
{
	atomic_store_explicit(
		count, atomic_load_explicit(count, memory_order_relaxed) + n, memory_order_relaxed);
}

static void account_bits(struct flow_table *table, struct flow_worker *w, uint32_t index,
	uint8_t bits, int n, bool v6)
{
	const unsigned zone = flow_zone(flow_key_zone(flow_at(&table->pool[v6], index, v6), v6));

	if (bits & FLOW_ACCOUNT_OPEN)
		add(&w->open[zone], n);
	if (bits & FLOW_ACCOUNT_HALF)
		add(&w->half[v6][zone], n);
}

void flow_charge(
	struct flow_table *table, struct flow_worker *w, uint32_t index, unsigned zone, bool v6)
{
	struct flow_pool *pool = &table->pool[v6];
	const struct flow *flow = flow_at(pool, index, v6);
	const uint8_t flags = atomic_load_explicit(&flow->flags, memory_order_relaxed);
	const enum flow_kind kind =
		flow_state_kind(atomic_load_explicit(&flow->state, memory_order_relaxed));
	uint8_t bits = FLOW_ACCOUNT_LIVE | FLOW_ACCOUNT_OPEN;

	link_set(pool, index, zone);
	account(w, zone, 1, v6);
	if (flags & FLOW_NEGATIVE || flow_kind_rank(kind) == FLOW_RANK_CLOSED)
		bits = FLOW_ACCOUNT_LIVE;
	else if (!(flags & FLOW_REPLY) && (kind == FLOW_TCP_SYN_SENT || kind == FLOW_SCTP_INIT))
		bits |= FLOW_ACCOUNT_HALF;
	atomic_store_explicit(&pool->side[index].account, bits, memory_order_release);
	account_bits(table, w, index, bits, 1, v6);
}

void flow_account_end(
	struct flow_table *table, struct flow_worker *w, uint32_t index, uint8_t bits, bool v6)
{
	_Atomic uint8_t *bits_of = &table->pool[v6].side[index].account;
	uint8_t was;

	if (!(atomic_load_explicit(bits_of, memory_order_relaxed) & bits))
		return;
	was = atomic_fetch_and_explicit(bits_of, (uint8_t)~bits, memory_order_relaxed);
	account_bits(table, w, index, was & bits, -1, v6);
}

void flow_account_again(
	struct flow_table *table, struct flow_worker *w, uint32_t index, uint8_t bits, bool v6)
{
	const uint8_t was = atomic_fetch_or_explicit(
		&table->pool[v6].side[index].account, bits, memory_order_relaxed);

	account_bits(table, w, index, (uint8_t)~was & bits, 1, v6);
}

uint32_t flow_zone_connections(const struct flow_table *table, uint32_t zone)
{
	int64_t sum = 0;

	for (unsigned i = 0; i <= table->n_workers; i++)
		sum += atomic_load_explicit(
			&table->workers[i].open[flow_zone(zone)], memory_order_relaxed);
	return sum > 0 ? (uint32_t)sum : 0;
}

bool flow_admit_half_open(const struct flow_table *table, uint32_t zone, bool pod, bool v6)
{
	uint32_t max = atomic_load_explicit(&table->half_open_max, memory_order_relaxed);
	int64_t half = 0;

	if (max == 0)
		max = RTE_MAX(table->pool[v6].capacity / 8, 1u);
	if (!pod)
		max = max > UINT32_MAX / 4 ? UINT32_MAX : max * 4;
	for (unsigned i = 0; i <= table->n_workers; i++)
		half += atomic_load_explicit(
			&table->workers[i].half[v6][flow_zone(zone)], memory_order_relaxed);
	return half < (int64_t)max;
}

bool flow_take_out(struct flow_table *table, struct flow_worker *w, uint32_t index, bool v6)
{
	struct flow_pool *pool = &table->pool[v6];
	const void *key = flow_key(flow_at(pool, index, v6), v6);
	const struct flow_place place =
		flow_place(table, pool, v6 ? flow_hash6(table, key) : flow_hash4(table, key));

	for (unsigned i = 0; i < 2 * FLOW_BUCKET_SLOTS; i++) {
		uint32_t word = place.tag | index;

		if (atomic_compare_exchange_strong_explicit(
			    &place.bucket[i / FLOW_BUCKET_SLOTS][i % FLOW_BUCKET_SLOTS], &word, 0,
			    memory_order_acq_rel, memory_order_relaxed)) {
			flow_retire(table, w, index, v6);
			return true;
		}
	}
	return false;
}

void flow_remove(struct flow_table *table, struct flow_worker *w, uint32_t index, bool v6)
{
	const uint32_t pair = flow_pair(&table->pool[v6], index);

	flow_take_out(table, w, index, v6);
	if (pair != 0)
		flow_take_out(table, w, pair, v6);
}

void flow_discharge(struct flow_table *table, struct flow_worker *w, uint32_t index, bool v6)
{
	struct flow_pool *pool = &table->pool[v6];
	uint32_t pair = atomic_load_explicit(&pool->side[index].pair, memory_order_relaxed),
		 self = index;

	account(w, link_get(pool, index), -1, v6);
	flow_account_end(
		table, w, index, FLOW_ACCOUNT_OPEN | FLOW_ACCOUNT_HALF | FLOW_ACCOUNT_LIVE, v6);
	/* Only if it points back: the index of a pair long gone may serve another flow by now. */
	if (pair <= pool->capacity)
		atomic_compare_exchange_strong_explicit(&pool->side[pair].pair, &self, FLOW_NONE,
			memory_order_relaxed, memory_order_relaxed);
}

uint64_t flow_used(const struct flow_table *table, bool v6)
{
	int64_t used = 0;

	for (unsigned i = 0; i <= table->n_workers; i++)
		used += atomic_load_explicit(&table->workers[i].used[v6], memory_order_relaxed);
	return used > 0 ? (uint64_t)used : 0;
}

static uint32_t zone_used(const struct flow_table *table, unsigned zone, bool v6)
{
	int64_t used = 0;

	for (unsigned i = 0; i <= table->n_workers; i++)
		used += atomic_load_explicit(
			&table->workers[i].zone[v6][zone], memory_order_relaxed);
	return used > 0 ? (uint32_t)used : 0;
}

bool flow_admit(
	struct flow_table *table, struct flow_worker *w, unsigned zone, uint32_t now_ms, bool v6)
{
	struct flow_local *l = &w->local[v6];
	uint32_t capacity = table->pool[v6].capacity, mine;

	if (likely(!l->pressed))
		return true;
	l->pressed = is_pressed(table, v6);
	if (!l->pressed)
		return true;
	mine = zone_used(table, zone, v6);
	if (mine < capacity / 8)
		return true;
	if (l->zones_active == 0 || now_ms - l->zones_ms >= ZONES_PERIOD_MS) {
		l->zones_active = 0;
		for (unsigned z = 0; z < FLOW_ZONES; z++)
			l->zones_active += zone_used(table, z, v6) != 0;
		l->zones_ms = now_ms;
	}
	return mine < capacity / RTE_MAX(1u, RTE_MIN(8u, l->zones_active));
}
