/* SPDX-License-Identifier: Apache-2.0 */
/** Latencies of one direction: a histogram with buckets of about 1.6 %, and the order in which frames came. Written by the
 * receiving thread, read after it has ended. */
#ifndef PERF_WIRE_LATENCY_H
#define PERF_WIRE_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#define LATENCY_SUB_BITS 6 /* 64 buckets a power of two */
#define LATENCY_BUCKETS	 ((64 - LATENCY_SUB_BITS + 1) << LATENCY_SUB_BITS)
#define LATENCY_WINDOW \
	65536u /* sequence numbers remembered, to tell a late frame from a second one */

struct wire_latency {
	uint64_t count, sum, min, max; /* TSC cycles */
	uint64_t reordered;	       /* frames that came after one sent later, RFC 4737 */
	uint64_t duplicates;	       /* second copies; not in the histogram */
	uint32_t next;		       /* one past the highest sequence number seen */
	uint64_t buckets[LATENCY_BUCKETS];
	uint64_t seen[LATENCY_WINDOW / 64];
};

void wire_latency_reset(struct wire_latency *l);
/** A frame of this sequence number came `cycles` after it was sent. */
void wire_latency_add(struct wire_latency *l, uint32_t sequence, uint64_t cycles);
/** Add the histogram and the counts of another. */
void wire_latency_merge(struct wire_latency *l, const struct wire_latency *other);
/** The value that `ratio` of the frames (0.99 = 99 %) do not exceed, in TSC cycles; 0 without frames. */
uint64_t wire_latency_quantile(const struct wire_latency *l, double ratio);

#endif
