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

/** Slots of a bucket whose tag is this one, a bit each; tag 0: the empty ones. A vector of eight loads only says where to
 * look: what is then done is decided by atomic loads of those slots. */
static inline unsigned flow_bucket_slots(const _Atomic uint64_t *bucket, uint32_t tag)
{
#ifdef FLOW_VECTOR_MATCH
	const __m128i *line = (const __m128i *)(uintptr_t)bucket;
#if defined(__AVX512F__) && defined(__BMI2__)
	return (unsigned)_pext_u32(
		_mm512_cmpeq_epi32_mask(_mm512_load_si512(line), _mm512_set1_epi32((int)tag)), 0xaaaa);
#else
	const __m128i want = _mm_set1_epi32((int)tag);
	const __m128 a = _mm_castsi128_ps(_mm_load_si128(line)), b = _mm_castsi128_ps(_mm_load_si128(line + 1));
	const __m128 c = _mm_castsi128_ps(_mm_load_si128(line + 2)), d = _mm_castsi128_ps(_mm_load_si128(line + 3));
	/* The high words of the slots. */
	const __m128i low = _mm_castps_si128(_mm_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
	const __m128i high = _mm_castps_si128(_mm_shuffle_ps(c, d, _MM_SHUFFLE(3, 1, 3, 1)));

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(
		_mm_packs_epi32(_mm_cmpeq_epi32(low, want), _mm_cmpeq_epi32(high, want)), _mm_setzero_si128()));
#endif
#else
	unsigned found = 0;

	for (unsigned s = 0; s < FLOW_BUCKET_SLOTS; s++) {
		uint64_t word = atomic_load_explicit(&bucket[s], memory_order_acquire);

		found |= (unsigned)((uint32_t)(word >> 32) == tag) << s;
	}
	return found;
#endif
}

/** The slot of a bucket whose tag matches, or 0. Of several any: a tag alone proves nothing. */
static inline uint64_t flow_bucket_match(const _Atomic uint64_t *bucket, uint32_t tag)
{
	unsigned slots = flow_bucket_slots(bucket, tag);

	/* If the slot changed in between, the key will differ. */
	return likely(slots != 0) ? atomic_load_explicit(&bucket[__builtin_ctz(slots)], memory_order_acquire) : 0;
}

static inline void flow_prefetch(const struct flow_pool *pool, uint32_t index, bool v6)
{
	const struct flow *flow = flow_at(pool, index, v6);

	rte_prefetch0(v6 ? (const void *)flow : flow_key(flow, v6));
	if (v6)
		rte_prefetch0((const uint8_t *)flow + RTE_CACHE_LINE_MIN_SIZE);
}

/** Index of the entry with this key in one of its two buckets, or 0: the whole search, one key at a time. */
static inline uint32_t flow_find(const struct flow_pool *pool, const struct flow_place *place, const void *key, bool v6)
{
	for (unsigned b = 0; b < 2; b++) {
		for (unsigned slots = flow_bucket_slots(place->bucket[b], place->tag); slots != 0; slots &= slots - 1) {
			uint64_t word =
				atomic_load_explicit(&place->bucket[b][__builtin_ctz(slots)], memory_order_acquire);
			uint32_t index = (uint32_t)word;

			if ((uint32_t)(word >> 32) == place->tag &&
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
	const _Atomic uint64_t *const *buckets, uint32_t *index, unsigned n, bool v6)
{
	const struct flow_pool *pool = &table->pool[v6];
	const _Atomic uint64_t *other[FLOW_PIECE];
	uint8_t rest[FLOW_PIECE];
	unsigned n_rest = 0;

	for (unsigned i = 0; i < n; i++) {
		index[i] = (uint32_t)flow_bucket_match(buckets[i], flow_tag(hashes[i]));
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

		index[i] = (uint32_t)flow_bucket_match(other[r], flow_tag(hashes[i]));
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
