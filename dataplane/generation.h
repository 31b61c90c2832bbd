/* SPDX-License-Identifier: Apache-2.0 */
/** Which cached decisions are still true. A flow remembers the sum of the counters it depended on; a change bumps just
 * the counters of what it touches and then the epoch. Counters only grow, so equal sums mean nothing changed.
 *
 * Writer: the control thread (publish tables, then bump, then epoch). Readers: workers, in the opposite order (read
 * epoch and counters, then tables), so a decision made from old tables is never stored with new counters.
 * The common case costs one compare: a flow whose epoch is the current one is valid without looking further.
 */
#ifndef DATAPLANE_GENERATION_H
#define DATAPLANE_GENERATION_H

#include "config/address.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define GENERATION_DST_SLOTS 4096 /* destinations: hash of the /24 or /64 */
#define GENERATION_PORT_SLOTS \
	2048 /* by port id: policy and anti-spoofing of the sending pod; tunnel zone = slot 1024 */
#define GENERATION_SLOTS 65536 /* the rest: services, policies */

struct generations {
	_Atomic uint32_t epoch;
	_Atomic uint32_t slot[GENERATION_SLOTS];
};
extern struct generations generations;

static inline uint32_t generation_epoch(void)
{
	return atomic_load_explicit(&generations.epoch, memory_order_acquire);
}
static inline uint32_t generation_get(uint16_t slot)
{
	return atomic_load_explicit(&generations.slot[slot], memory_order_acquire);
}
static inline uint16_t generation_mix(uint32_t x)
{
	return (uint16_t)((x * 0x9e3779b1u) >> 20); /* top 12 bits */
}
/** Slot of a destination; addr is 4 or 16 bytes in network order. */
static inline uint16_t generation_dst4(uint32_t dst_be)
{
	const uint8_t *b = (const uint8_t *)&dst_be;

	return generation_mix((uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2]);
}
static inline uint16_t generation_dst6(const uint8_t *dst)
{
	uint32_t hi, lo;

	memcpy(&hi, dst, 4);
	memcpy(&lo, dst + 4, 4);
	return generation_mix(hi * 31u + lo);
}
static inline uint16_t generation_zone(uint32_t zone)
{
	return (uint16_t)(GENERATION_DST_SLOTS + (zone < 1024 ? zone : 1024));
}

/** Control: note that something about a prefix's routes changed; takes effect with generation_commit. */
void generation_bump_prefix(const struct ip_prefix *prefix);
void generation_bump_zone(uint32_t zone);
void generation_bump_slot(uint16_t slot);
/** Control: after the tables are published. */
void generation_commit(void);

#endif
