/* SPDX-License-Identifier: Apache-2.0 */
/** What goes over the flow table as a whole: expiry by workers; listing, flushing and sums by the control thread. */
#include "dataplane/flow_table.h"

#include "dataplane/memory.h"
#include "dataplane/rcu.h"

#include <stdlib.h>

/* --- expiry ------------------------------------------------------------------------------------------------- */

/** Where an entry is counted by state. */
static inline unsigned meet(const struct flow *flow)
{
	const unsigned kind =
		flow_state_kind(atomic_load_explicit(&flow->state, memory_order_relaxed));

	if (atomic_load_explicit(&flow->flags, memory_order_relaxed) & FLOW_NEGATIVE)
		return FLOW_KIND_COUNT;
	return RTE_MIN(kind, (unsigned)FLOW_KIND_COUNT - 1);
}

/** The scan has been everywhere: what it met is what there is. */
static void round_over(struct flow_worker *w)
{
	for (unsigned i = 0; i <= FLOW_KIND_COUNT; i++) {
		atomic_store_explicit(&w->kinds[i], w->round[i], memory_order_relaxed);
		w->round[i] = 0;
	}
}

/** Along the entries, not the slots that name them in no order: memory is read in a row, and indices come back in a row, so
 * that flows made of them lie side by side again. */
static inline void expire_entries(struct flow_table *table, struct flow_worker *w, uint32_t first,
	uint32_t end, uint32_t now_ms, bool v6)
{
	const struct flow_pool *pool = &table->pool[v6];
	const bool pressed = w->local[v6].pressed;

	for (uint32_t i = first; i < end; i++) {
		if (!(atomic_load_explicit(&pool->side[i].account, memory_order_acquire) &
			    FLOW_ACCOUNT_LIVE))
			continue;
		if (!flow_idle_pressed(table, pool, i, now_ms, v6, pressed))
			w->round[meet(flow_at(pool, i, v6))]++;
		else if (flow_take_out(table, w, i, v6))
			flow_count(&w->expired, 1);
	}
}

#define SHARE_BLOCK 1024u /* entries; fewer in small tables */

/** Entries of a family that are next to each other and one worker's to expire: every n-th such block is, so that all have
 * something to do in a table of which only the beginning is in use. */
static inline uint32_t block_size(const struct flow_pool *pool)
{
	return RTE_MIN(SHARE_BLOCK, pool->capacity / FLOW_ENTRIES_MIN);
}

static uint64_t share_of(const struct flow_table *table, unsigned worker, bool v6)
{
	const uint32_t size = block_size(&table->pool[v6]),
		       blocks = table->pool[v6].capacity / size, n = table->n_workers;

	return worker < blocks ? (uint64_t)((blocks - worker + n - 1) / n) * size : 0;
}

/** Go on at `off` in the worker's share, to the end of a block at most. @return how far, entries. */
static uint64_t expire_some(struct flow_table *table, unsigned worker, uint64_t off, uint64_t most,
	uint32_t now_ms, bool v6)
{
	const struct flow_pool *pool = &table->pool[v6];
	const uint64_t size = block_size(pool), n = RTE_MIN(most, size - off % size);
	const uint32_t first =
		(uint32_t)((off / size * table->n_workers + worker) * size + off % size) + 1;
	const uint32_t end = RTE_MIN(
		first + (uint32_t)n, atomic_load_explicit(&pool->fresh, memory_order_relaxed));

	if (v6)
		expire_entries(table, &table->workers[worker], first, end, now_ms, true);
	else
		expire_entries(table, &table->workers[worker], first, end, now_ms, false);
	return n;
}

void flow_expire(struct flow_table *table, unsigned worker, uint32_t now_ms, unsigned budget)
{
	struct flow_worker *w = &table->workers[worker];
	const uint64_t share[2] = { share_of(table, worker, false), share_of(table, worker, true) };
	/* An idle daemon reads no table. */
	const bool used[2] = { flow_used(table, false) > 0, flow_used(table, true) > 0 };
	uint64_t left = RTE_MIN((uint64_t)budget, share[0] + share[1]);

	while (left != 0) {
		const bool v6 = w->cursor >= share[0];
		const uint64_t off = v6 ? w->cursor - share[0] : w->cursor;
		uint64_t n = RTE_MIN(left, share[v6] - off);

		if (used[v6])
			n = expire_some(table, worker, off, n, now_ms, v6);
		w->cursor = (w->cursor + n) % (share[0] + share[1]);
		if (w->cursor == 0)
			round_over(w);
		left -= n;
	}
	flow_reclaim(table, w, false);
	flow_reclaim(table, w, true);
}

void flow_worker_flush(struct flow_table *table, unsigned worker)
{
	struct flow_worker *w = &table->workers[worker];

	for (unsigned v6 = 0; v6 < 2; v6++) {
		flow_reclaim(table, w, v6);
		flow_local_flush(table, w, v6);
	}
}

void flow_table_set_timeout(struct flow_table *table, uint32_t timeout_ms)
{
	struct flow_conduct conduct = { .window = FLOW_WINDOW_LIBERAL };

	for (unsigned i = 0; i < FLOW_KIND_COUNT; i++)
		conduct.timeout_ms[i] = timeout_ms;
	flow_table_configure(table, &conduct);
}

/** See flow_state.h. */
static uint32_t span_of(uint8_t state, enum flow_window_mode window)
{
	switch (flow_state_kind(state)) {
	case FLOW_UDP_AWAITED:
	case FLOW_TCP_SYN_SENT:
	case FLOW_TCP_SYN_RECV:
	case FLOW_TCP_AWAITED:
	case FLOW_TCP_CLOSING:
	case FLOW_TCP_TIME_WAIT:
	case FLOW_TCP_CLOSED:
		return 0;
	case FLOW_TCP_PICKED:
	case FLOW_TCP_ESTABLISHED:
	case FLOW_TCP_FIN_WAIT:
		if (window != FLOW_WINDOW_OFF)
			return FLOW_SEQ_BACK + flow_window(flow_state_scale(state));
		return UINT32_MAX;
	default:
		return UINT32_MAX;
	}
}

void flow_table_configure(struct flow_table *table, const struct flow_conduct *conduct)
{
	for (unsigned i = 0; i < 256; i++)
		atomic_store_explicit(&table->span[i], span_of((uint8_t)i, conduct->window),
			memory_order_relaxed);
	for (unsigned i = 0; i < FLOW_KIND_COUNT; i++)
		atomic_store_explicit(&table->timeout_ms[i],
			RTE_MIN(conduct->timeout_ms[i], (uint32_t)INT32_MAX), memory_order_relaxed);
	atomic_store_explicit(&table->half_open_max, conduct->half_open_max, memory_order_relaxed);
	atomic_store_explicit(&table->window, (uint8_t)conduct->window, memory_order_relaxed);
}

const char *flow_kind_name(enum flow_kind kind)
{
	static const char *const names[] = { "other", "udp_unreplied", "udp_awaited", "udp_replied",
		"icmp", "sctp_init", "sctp_cookie", "sctp_established", "sctp_shutdown",
		"sctp_closed", "", "", "", "", "", "", "tcp_syn_sent", "tcp_syn_recv",
		"tcp_picked_up", "tcp_awaited", "tcp_established", "tcp_fin_wait", "tcp_closing",
		"tcp_time_wait", "tcp_closed" };

	static_assert(RTE_DIM(names) == FLOW_KIND_COUNT, "a name each");
	return kind < FLOW_KIND_COUNT ? names[kind] : "";
}

/* --- control ------------------------------------------------------------------------------------------------ */

static void record(const struct flow_table *table, uint32_t index, uint32_t now_ms, bool v6,
	struct flow_record *out)
{
	const struct flow_pool *pool = &table->pool[v6];
	const struct flow *flow = flow_at(pool, index, v6);
	int32_t idle =
		(int32_t)(now_ms - atomic_load_explicit(&flow->last_seen, memory_order_relaxed));

	*out = (struct flow_record){
		.v6 = v6,
		.decision = flow_decision_get(flow),
		.packets = atomic_load_explicit(&flow->packets, memory_order_relaxed),
		.bytes = atomic_load_explicit(&flow->bytes, memory_order_relaxed),
		.idle_ms = idle > 0 ? (uint32_t)idle : 0,
		.rule = atomic_load_explicit(&flow->rule, memory_order_relaxed),
		.flags = atomic_load_explicit(&flow->flags, memory_order_relaxed),
		.state = atomic_load_explicit(&flow->state, memory_order_relaxed),
		.kernel =
			atomic_load_explicit(&pool->side[index].kernel, memory_order_relaxed) != 0,
	};
	out->timeout_ms =
		out->flags & FLOW_NEGATIVE
			? atomic_load_explicit(&table->negative_timeout_ms, memory_order_relaxed)
			: (uint32_t)flow_limit(table, out->state, false);
	if (v6)
		memcpy(&out->key6, flow_key(flow, true), sizeof(out->key6));
	else
		memcpy(&out->key4, flow_key(flow, false), sizeof(out->key4));
}

/** Copies of what a bucket holds. Offline is enough to see an empty one. */
static unsigned record_bucket(const struct flow_table *table, uint64_t bucket, unsigned reader,
	uint32_t now_ms, bool v6, struct flow_record *out)
{
	const struct flow_pool *pool = &table->pool[v6];
	const _Atomic uint32_t *slots = pool->slots + bucket * FLOW_BUCKET_SLOTS;
	uint32_t any = 0;
	unsigned n = 0;

	for (unsigned s = 0; s < FLOW_BUCKET_SLOTS; s++)
		any |= atomic_load_explicit(&slots[s], memory_order_relaxed);
	if (any == 0)
		return 0;
	rcu_online(reader);
	for (unsigned s = 0; s < FLOW_BUCKET_SLOTS; s++) {
		uint32_t word = atomic_load_explicit(&slots[s], memory_order_acquire);

		if (word != 0)
			record(table, flow_slot_index(pool, word), now_ms, v6, &out[n++]);
	}
	rcu_offline(reader);
	return n;
}

int flow_table_each(struct flow_table *table, unsigned reader, size_t limit, uint32_t now_ms,
	int (*visit)(const struct flow_record *record, void *arg), void *arg)
{
	struct flow_record records[FLOW_BUCKET_SLOTS];
	size_t visited = 0;
	int ret = 0;

	rcu_reader_register(reader);
	rcu_offline(reader);
	for (unsigned v6 = 0; v6 < 2 && ret == 0; v6++) {
		const struct flow_pool *pool = &table->pool[v6];
		uint64_t buckets = flow_used(table, v6) != 0 ? pool->bucket_mask + 1 : 0;

		for (uint64_t b = 0; b < buckets && ret == 0; b++) {
			unsigned n = record_bucket(table, b, reader, now_ms, v6, records);

			for (unsigned i = 0; i < n && ret == 0; i++) {
				if (limit != 0 && visited++ == limit)
					goto done;
				ret = visit(&records[i], arg);
			}
		}
	}
done:
	rcu_reader_unregister(reader);
	return ret;
}

/* What a flush removed and its grace period holds back. */
struct flushed {
	struct flow_table *table;
	struct flow_pool *pool;
	uint32_t first, last; /* chains */
	uint32_t in_first;    /* indices in the first chain */
};

static void flushed_release(void *obj)
{
	struct flushed *f = obj;

#ifdef FLOW_THREAD_SANITIZER
	/* The order that the hint of rte_rcu_qsbr_check does not show the race detector: see flow_pool.c. */
	__rte_rcu_qsbr_check_all(rcu_domain, 0, false);
#endif
	flow_chains_push(f->pool, f->first, f->last);
	atomic_fetch_sub_explicit(&f->table->flushes, 1, memory_order_relaxed);
	free(f);
}

static void flushed_add(struct flushed *f, uint32_t index)
{
	struct flow_side *side = f->pool->side;

	if (f->first == 0 || f->in_first == FLOW_CHAIN) {
		atomic_store_explicit(&side[index].link, 0, memory_order_relaxed);
		atomic_store_explicit(&side[index].chain, f->first, memory_order_relaxed);
		if (f->first == 0)
			f->last = index;
		f->first = index;
		f->in_first = 1;
		return;
	}
	/* Behind the head, so that the chain keeps its place among the chains. */
	atomic_store_explicit(&side[index].link,
		atomic_load_explicit(&side[f->first].link, memory_order_relaxed),
		memory_order_relaxed);
	atomic_store_explicit(&side[f->first].link, index, memory_order_relaxed);
	f->in_first++;
}

static void flush_pool(struct flow_table *table, struct flushed *f, bool v6)
{
	struct flow_worker *control = &table->workers[table->n_workers];
	uint64_t slots = (f->pool->bucket_mask + 1) * FLOW_BUCKET_SLOTS;
	uint64_t *removed = calloc(f->pool->capacity / 64 + 1, sizeof(*removed));

	if (removed == NULL)
		abort();
	for (uint64_t s = 0; s < slots; s++) {
		uint32_t word = atomic_load_explicit(&f->pool->slots[s], memory_order_acquire),
			 index = flow_slot_index(f->pool, word);

		if (word == 0 || !atomic_compare_exchange_strong_explicit(&f->pool->slots[s], &word,
					 0, memory_order_acq_rel, memory_order_relaxed))
			continue;
		flow_discharge(table, control, index, v6);
		removed[index / 64] |= UINT64_C(1) << index % 64;
	}
	/* As expiry does, in a row. */
	for (uint32_t i = 0; i <= f->pool->capacity / 64; i++) {
		for (uint64_t word = removed[i]; word != 0; word &= word - 1)
			flushed_add(f, i * 64 + (uint32_t)__builtin_ctzll(word));
	}
	free(removed);
}

void flow_table_flush(struct flow_table *table)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct flushed *f = calloc(1, sizeof(*f));

		if (f == NULL)
			abort(); /* as rcu_retire does: a few bytes on the control thread */
		f->table = table;
		f->pool = &table->pool[v6];
		if (flow_used(table, v6) != 0)
			flush_pool(table, f, v6);
		if (f->first == 0) {
			free(f);
			continue;
		}
		atomic_fetch_add_explicit(&table->flushes, 1, memory_order_relaxed);
		rcu_retire(f, flushed_release);
	}
}

static uint64_t half_open(const struct flow_table *table)
{
	int64_t sum = 0;

	for (unsigned i = 0; i <= table->n_workers; i++) {
		for (unsigned z = 0; z < FLOW_ZONES; z++)
			sum += atomic_load_explicit(
				       &table->workers[i].half[0][z], memory_order_relaxed) +
			       atomic_load_explicit(
				       &table->workers[i].half[1][z], memory_order_relaxed);
	}
	return sum > 0 ? (uint64_t)sum : 0;
}

void flow_table_stats(const struct flow_table *table, struct flow_stats *stats)
{
	*stats = (struct flow_stats){
		.used4 = flow_used(table, false),
		.used6 = flow_used(table, true),
		.capacity4 = table->pool[0].capacity,
		.capacity6 = table->pool[1].capacity,
	};
	for (unsigned i = 0; i < table->n_workers; i++) {
		const struct flow_worker *w = &table->workers[i];

		stats->inserted += atomic_load_explicit(&w->inserted, memory_order_relaxed);
		stats->expired += atomic_load_explicit(&w->expired, memory_order_relaxed);
		stats->evicted += atomic_load_explicit(&w->evicted, memory_order_relaxed);
		stats->refused += atomic_load_explicit(&w->refused, memory_order_relaxed);
		for (unsigned k = 0; k < FLOW_KIND_COUNT; k++)
			stats->kinds[k] += atomic_load_explicit(&w->kinds[k], memory_order_relaxed);
		stats->negative +=
			atomic_load_explicit(&w->kinds[FLOW_KIND_COUNT], memory_order_relaxed);
	}
	stats->half_open = half_open(table);
}

size_t flow_table_memory(const struct flow_table *table)
{
	size_t bytes = table->bytes;

	for (unsigned v6 = 0; v6 < 2; v6++)
		bytes += table->pool[v6].slots_bytes + table->pool[v6].entries_bytes +
			 table->pool[v6].side_bytes;
	return bytes;
}

void flow_table_free(struct flow_table *table)
{
	if (table == NULL)
		return;
	if (atomic_load_explicit(&table->flushes, memory_order_relaxed) != 0)
		rcu_barrier(); /* their release functions point into the table */
	for (unsigned v6 = 0; v6 < 2; v6++) {
		table_memory_unmap(table->pool[v6].slots, table->pool[v6].slots_bytes);
		table_memory_unmap(table->pool[v6].entries, table->pool[v6].entries_bytes);
		table_memory_unmap(table->pool[v6].side, table->pool[v6].side_bytes);
	}
	table_memory_unmap(table, table->bytes);
}
