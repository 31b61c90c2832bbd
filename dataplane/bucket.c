/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/bucket.h"

#define CHUNKS_PER_SECOND 1000
#define CHUNKS_PER_BURST  8 /* at least: what workers hold back is little against the burst */

static uint64_t at_least_one(uint64_t n)
{
	return n > 0 ? n : 1;
}

static uint64_t ticks_of(uint64_t tokens, uint64_t rate, uint64_t ticks_per_second)
{
	return (uint64_t)((unsigned __int128)tokens * ticks_per_second / rate);
}

void bucket_init(
	struct bucket *b, uint64_t rate, uint64_t burst, uint64_t ticks_per_second, uint64_t now)
{
	uint64_t depth;

	*b = (struct bucket){ .chunk = 0 };
	if (rate == 0)
		return;
	b->chunk = at_least_one(rate / CHUNKS_PER_SECOND);
	if (b->chunk > burst / CHUNKS_PER_BURST)
		b->chunk = at_least_one(burst / CHUNKS_PER_BURST);
	b->chunk_ticks = at_least_one(ticks_of(b->chunk, rate, ticks_per_second));
	depth = ticks_of(burst, rate, ticks_per_second);
	b->depth_ticks = depth > 2 * b->chunk_ticks ? depth - b->chunk_ticks : b->chunk_ticks;
	atomic_init(&b->empty_at, now - b->depth_ticks);
}

bool bucket_refill(struct bucket *b, int64_t *own, uint64_t now)
{
	const uint64_t wanted =
		(uint64_t) - *own / b->chunk + 1; /* own <= 0: the debt, and something to spend */
	/* What pays the debt was no part of what the bucket holds: a packet may have been larger than that. */
	const uint64_t depth = b->depth_ticks + (wanted - 1) * b->chunk_ticks;
	uint64_t empty_at = atomic_load_explicit(&b->empty_at, memory_order_relaxed), base, chunks;

	do {
		base = empty_at;
		if ((int64_t)(now - base) < 0)
			return false;
		if (now - base > depth)
			base = now - depth;
		chunks = (now - base) / b->chunk_ticks + 1;
		if (chunks > wanted)
			chunks = wanted;
	} while (!atomic_compare_exchange_weak_explicit(&b->empty_at, &empty_at,
		base + chunks * b->chunk_ticks, memory_order_relaxed, memory_order_relaxed));
	*own += (int64_t)(chunks * b->chunk);
	return *own > 0;
}
