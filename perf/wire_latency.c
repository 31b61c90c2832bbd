/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/wire_latency.h"

#include <string.h>

#define SUB (1u << LATENCY_SUB_BITS)

static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < SUB)
		return (unsigned)value;
	shift = 63u - (unsigned)__builtin_clzll(value) - LATENCY_SUB_BITS;
	return ((shift + 1) << LATENCY_SUB_BITS) + (unsigned)(value >> shift) - SUB;
}

/** The largest value of a bucket. */
static uint64_t bucket_top(unsigned bucket)
{
	unsigned shift;

	if (bucket < SUB)
		return bucket;
	shift = (bucket >> LATENCY_SUB_BITS) - 1;
	return ((((uint64_t)(bucket & (SUB - 1)) + SUB + 1)) << shift) - 1;
}

void wire_latency_reset(struct wire_latency *l)
{
	memset(l, 0, sizeof(*l));
	l->min = UINT64_MAX;
}

static void seen_clear(struct wire_latency *l, uint32_t from, uint32_t n)
{
	if (n >= LATENCY_WINDOW) {
		memset(l->seen, 0, sizeof(l->seen));
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		l->seen[(from + i) % LATENCY_WINDOW / 64] &= ~(1ull << ((from + i) % 64));
}

/** @return false for a second copy. */
static bool order_note(struct wire_latency *l, uint32_t sequence)
{
	uint32_t ahead = sequence - l->next;
	uint64_t bit = 1ull << (sequence % 64), *word = &l->seen[sequence % LATENCY_WINDOW / 64];

	if (ahead < UINT32_MAX / 2) {
		seen_clear(l, l->next, ahead + 1);
		l->next = sequence + 1;
	} else if (l->next - sequence > LATENCY_WINDOW) {
		l->reordered++; /* too late to know more */
		return true;
	} else if (*word & bit) {
		l->duplicates++;
		return false;
	} else {
		l->reordered++;
	}
	*word |= bit;
	return true;
}

void wire_latency_add(struct wire_latency *l, uint32_t sequence, uint64_t cycles)
{
	if (!order_note(l, sequence))
		return;
	l->count++;
	l->sum += cycles;
	l->min = cycles < l->min ? cycles : l->min;
	l->max = cycles > l->max ? cycles : l->max;
	l->buckets[bucket_of(cycles)]++;
}

void wire_latency_merge(struct wire_latency *l, const struct wire_latency *other)
{
	l->count += other->count;
	l->sum += other->sum;
	l->min = other->min < l->min ? other->min : l->min;
	l->max = other->max > l->max ? other->max : l->max;
	l->reordered += other->reordered;
	l->duplicates += other->duplicates;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		l->buckets[i] += other->buckets[i];
}

uint64_t wire_latency_quantile(const struct wire_latency *l, double ratio)
{
	double wanted = ratio * (double)l->count;
	uint64_t below = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		below += l->buckets[i];
		if (below > 0 && (double)below >= wanted)
			return bucket_top(i) < l->max ? bucket_top(i) : l->max;
	}
	return 0;
}
