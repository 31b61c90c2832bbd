/* SPDX-License-Identifier: Apache-2.0 */
/** A token bucket that several workers draw from without writing a shared cache line for each packet.
 *
 * The bucket itself is one number, the time at which it was empty, or will be no more in debt (the theoretical arrival time
 * of the generic cell rate algorithm, ITU-T I.371): taking tokens moves it ahead. A worker takes a chunk, a millisecond's worth, and spends it by itself. So packets
 * of all workers together are held to the rate exactly; what may come in a burst is the burst asked for, and at most a
 * chunk a worker that it has taken and not spent.
 *
 * A packet passes while any token is left and may take more than there are: the debt is paid by those that follow. So a
 * segment larger than the burst passes too, and the rate is kept in the long run.
 *
 * Tokens are bytes or packets. Times are of one clock, in ticks; workers pass the TSC, tests what they like. Workers,
 * but for bucket_init.
 */
#ifndef DATAPLANE_BUCKET_H
#define DATAPLANE_BUCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct bucket {
	/* Constant. */
	uint64_t chunk;	      /* tokens taken at a time */
	uint64_t chunk_ticks; /* in which they grow; 0 = no limit */
	uint64_t depth_ticks; /* what the bucket holds, less a chunk; at least one */
	/* Writers: workers, once a chunk. */
	_Atomic uint64_t empty_at;
};

/** A full bucket. rate: tokens a second, 0 = no limit; burst: tokens, at least 1. */
void bucket_init(struct bucket *bucket, uint64_t rate, uint64_t burst, uint64_t ticks_per_second,
	uint64_t now);
/** What bucket_take does when the worker's own tokens are used up. @return whether there are some again. */
bool bucket_refill(struct bucket *bucket, int64_t *own, uint64_t now);

/** Is there a limit? */
static inline bool bucket_limits(const struct bucket *bucket)
{
	return bucket->chunk_ticks != 0;
}

/** May the next packet pass? `own`: the calling worker's tokens, which bucket_spend then takes from. */
static inline bool bucket_ready(struct bucket *bucket, int64_t *own, uint64_t now)
{
	return !bucket_limits(bucket) || *own > 0 || bucket_refill(bucket, own, now);
}

#endif
