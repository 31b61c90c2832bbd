/* SPDX-License-Identifier: Apache-2.0 */
/** The steps of a flow lookup, inline, for flow.c and the hit path (burst.c), which is compiled once an instruction set.
 * Worker threads. See flow.h for the contract, flow_table.h for the structures.
 */
#ifndef DATAPLANE_FLOW_LOOKUP_H
#define DATAPLANE_FLOW_LOOKUP_H

#include "dataplane/flow_table.h"

#include <rte_prefetch.h>

/* The race detector cannot see the atomicity of vector loads. */
#if defined(__SSE2__) && !defined(FLOW_THREAD_SANITIZER)
#include <immintrin.h>
#define FLOW_VECTOR_MATCH
#endif

/** Slots of a bucket that are `want` where `mask` has ones, a bit each. Vector loads only say where to look: what is then done is
 * decided by atomic loads of those slots. */
static inline unsigned flow_bucket_slots(
	const _Atomic uint32_t *bucket, uint32_t mask, uint32_t want)
{
#ifdef FLOW_VECTOR_MATCH
#if defined(__AVX512F__)
	const __m512i line = _mm512_load_si512((const void *)(uintptr_t)bucket);

	return _mm512_cmpeq_epi32_mask(
		_mm512_and_si512(line, _mm512_set1_epi32((int)mask)), _mm512_set1_epi32((int)want));
#elif defined(__AVX2__)
	const __m256i *line = (const __m256i *)(uintptr_t)bucket;
	const __m256i m = _mm256_set1_epi32((int)mask), w = _mm256_set1_epi32((int)want);
	const __m256i low = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_load_si256(line), m), w);
	const __m256i high =
		_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_load_si256(line + 1), m), w);

	return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(low)) |
	       (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(high)) << 8;
#else
	const __m128i *line = (const __m128i *)(uintptr_t)bucket;
	const __m128i m = _mm_set1_epi32((int)mask), w = _mm_set1_epi32((int)want);
	const __m128i a = _mm_cmpeq_epi32(_mm_and_si128(_mm_load_si128(line), m), w);
	const __m128i b = _mm_cmpeq_epi32(_mm_and_si128(_mm_load_si128(line + 1), m), w);
	const __m128i c = _mm_cmpeq_epi32(_mm_and_si128(_mm_load_si128(line + 2), m), w);
	const __m128i d = _mm_cmpeq_epi32(_mm_and_si128(_mm_load_si128(line + 3), m), w);

	return (unsigned)_mm_movemask_epi8(
		_mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d)));
#endif
#else
	unsigned found = 0;

	for (unsigned s = 0; s < FLOW_BUCKET_SLOTS; s++)
		found |= (unsigned)((atomic_load_explicit(&bucket[s], memory_order_acquire) &
					    mask) == want)
			 << s;
	return found;
#endif
}
static inline unsigned flow_bucket_tagged(
	const struct flow_pool *pool, const _Atomic uint32_t *bucket, uint32_t tag)
{
	return flow_bucket_slots(bucket, ~pool->index_mask, tag);
}
static inline unsigned flow_bucket_empty(const _Atomic uint32_t *bucket)
{
	return flow_bucket_slots(bucket, UINT32_MAX, 0);
}

/** The index in a slot of a bucket whose tag matches, or 0. Of several any: a tag alone proves nothing. */
static inline uint32_t flow_bucket_match(
	const struct flow_pool *pool, const _Atomic uint32_t *bucket, uint32_t tag)
{
	unsigned slots = flow_bucket_tagged(pool, bucket, tag);

	if (unlikely(slots == 0))
		return 0;
	/* If the slot changed in between, the key will differ, or index 0 is nobody's. */
	return flow_slot_index(
		pool, atomic_load_explicit(&bucket[__builtin_ctz(slots)], memory_order_acquire));
}

static inline void flow_prefetch(const struct flow_pool *pool, uint32_t index, bool v6)
{
	const struct flow *flow = flow_at(pool, index, v6);

	rte_prefetch0(v6 ? (const void *)flow : flow_key(flow, v6));
	if (v6)
		rte_prefetch0((const uint8_t *)flow + RTE_CACHE_LINE_MIN_SIZE);
}

/** Index of the entry with this key in one of its two buckets, or 0: the whole search, one key at a time. */
static inline uint32_t flow_find(
	const struct flow_pool *pool, const struct flow_place *place, const void *key, bool v6)
{
	for (unsigned b = 0; b < 2; b++) {
		for (unsigned slots = flow_bucket_tagged(pool, place->bucket[b], place->tag);
			slots != 0; slots &= slots - 1) {
			uint32_t word = atomic_load_explicit(
				&place->bucket[b][__builtin_ctz(slots)], memory_order_acquire);
			uint32_t index = flow_slot_index(pool, word);

			if (flow_slot_tagged(pool, word, place->tag) &&
				flow_key_equal(flow_key(flow_at(pool, index, v6), v6), key, v6))
				return index;
		}
	}
	return 0;
}

/** Tags of up to FLOW_PIECE packets, whose first buckets are on their way: candidates, whose entries are then on their way.
 * Every step runs over the whole piece, so that the memory accesses it starts overlap. index[i] is 0 for none. */
#define FLOW_PIECE 128
static __rte_always_inline void flow_match(const struct flow_table *table, const uint64_t *hashes,
	const _Atomic uint32_t *const *buckets, uint32_t *index, unsigned n, bool v6)
{
	const struct flow_pool *pool = &table->pool[v6];
	const _Atomic uint32_t *other[FLOW_PIECE];
	uint8_t rest[FLOW_PIECE];
	unsigned n_rest = 0;

	for (unsigned i = 0; i < n; i++) {
		index[i] = flow_bucket_match(pool, buckets[i], flow_tag(pool, hashes[i]));
		if (likely(index[i] != 0)) {
			flow_prefetch(pool, index[i], v6);
			continue;
		}
		other[n_rest] = flow_bucket_other(table, pool, hashes[i]);
		rte_prefetch0((const void *)(uintptr_t)other[n_rest]);
		rest[n_rest++] = (uint8_t)i;
	}
	for (unsigned r = 0; r < n_rest; r++) {
		unsigned i = rest[r];

		index[i] = flow_bucket_match(pool, other[r], flow_tag(pool, hashes[i]));
		if (index[i] != 0)
			flow_prefetch(pool, index[i], v6);
	}
}

/** The entry of a key, given flow_match's candidate, or NULL. */
static __rte_always_inline struct flow *flow_confirm(
	const struct flow_table *table, const void *key, uint64_t hash, uint32_t index, bool v6)
{
	const struct flow_pool *pool = &table->pool[v6];
	struct flow *flow = flow_at(pool, index, v6);
	struct flow_place place;

	if (unlikely(index == 0))
		return NULL;
	if (likely(flow_key_equal(flow_key(flow, v6), key, v6)))
		return flow;
	/* Another flow with the same tag. */
	place = flow_place(table, pool, hash);
	index = flow_find(pool, &place, key, v6);
	return index != 0 ? flow_at(pool, index, v6) : NULL;
}

#endif
