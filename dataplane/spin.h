/* SPDX-License-Identifier: Apache-2.0 */
/** How long a worker polls after a packet before it sleeps: at least spin_us, and spin_max_us where the gaps seen lately say that
 * the next packet is likely to come within that. To wake up costs 5 us on hardware, and 40 to 250 us on virtual machines, which a
 * steady thousand packets a second would pay each; a packet now and then is not worth a CPU.
 *
 * Learned from gaps longer than spin_us alone: those in between are polled through anyway. One that was too long for
 * spin_max_us counts four times, so polling on pays when four of five gaps are short enough, and ends soon after they are not.
 * So does one after much work: a busy worker finds most packets awake as it is, and the kernel gives the CPU of one that polls
 * between them to nobody else, which costs pods that share it a tenth of their TCP.
 * And never while somebody else wants the CPU: a worker that loses a twentieth of it while it has nothing to do is taken for one
 * that shares it, where polling for nothing costs the pods' own work. That is asked again once a second.
 *
 * Thread: the worker's own. Units: cycles of the time stamp counter.
 */
#ifndef DATAPLANE_SPIN_H
#define DATAPLANE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

struct spin {
	uint8_t score;	 /* zeroed: spin_us */
	uint64_t worked; /* since the last gap */
	uint64_t alone;	 /* from when on the CPU may be the worker's alone again */
	uint64_t window; /* when counting `taken` began */
	uint64_t taken;	 /* by others, since */
};

#define SPIN_SCORE_MAX 16
#define SPIN_SCORE_ON  8 /* from here on spin_max_us */
#define SPIN_MISS      4
#define SPIN_LIGHT     8 /* a gap is so many times what was worked before it, or more */
#define SPIN_WINDOW_MS 100
#define SPIN_TAKEN_MS  5 /* of a window: more are a CPU that is shared */
#define SPIN_SHARED_MS 1000

/** A gap between packets has ended, and a round of work after it, which took `work`. `least` is spin_us, `most` spin_max_us;
 * most <= least: never more than least. */
static inline void spin_learn(
	struct spin *s, uint64_t gap, uint64_t work, uint64_t least, uint64_t most)
{
	const bool hit = gap <= most && gap / SPIN_LIGHT >= s->worked;

	if (gap <= least) {
		s->worked += work;
		return;
	}
	s->worked = work;
	if (hit)
		s->score = s->score < SPIN_SCORE_MAX ? (uint8_t)(s->score + 1) : SPIN_SCORE_MAX;
	else
		s->score = s->score > SPIN_MISS ? (uint8_t)(s->score - SPIN_MISS) : 0;
}

/** Somebody else had the CPU from `from` to `now`. */
static inline void spin_taken(struct spin *s, uint64_t from, uint64_t now, uint64_t tsc_per_ms)
{
	if (now - s->window > SPIN_WINDOW_MS * tsc_per_ms) {
		s->window = from;
		s->taken = 0;
	}
	s->taken += now - from;
	if (s->taken > SPIN_TAKEN_MS * tsc_per_ms)
		s->alone = now + SPIN_SHARED_MS * tsc_per_ms;
}

/** @return how long to poll after a packet. */
static inline uint64_t spin_for(const struct spin *s, uint64_t now, uint64_t least, uint64_t most)
{
	return s->score >= SPIN_SCORE_ON && most > least && now >= s->alone ? most : least;
}

#endif
