/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/generation.h"

#include "dataplane/kernel_slots.h"

struct generations generations = { .epoch = 1 };

void generation_bump_slot(uint16_t slot)
{
	/* One writer, so load and store suffice; release orders the counters after the tables. */
	uint32_t now = atomic_load_explicit(&generations.slot[slot], memory_order_relaxed);

	atomic_store_explicit(&generations.slot[slot], now + 1, memory_order_release);
}

void generation_bump_zone(uint32_t zone)
{
	generation_bump_slot(generation_zone(zone));
}

void generation_bump_prefix(const struct ip_prefix *prefix)
{
	unsigned unit = prefix->addr.family == IP_V4 ? 24 : 64;
	struct ip_prefix p = ip_prefix_canonical(prefix);

	if (prefix->len + 12u <= unit) { /* touches at least as many units as there are slots */
		for (uint16_t slot = 0; slot < GENERATION_DST_SLOTS; slot++)
			generation_bump_slot(slot);
		return;
	}
	if (p.addr.family == IP_V4) {
		uint32_t first = (uint32_t)p.addr.bytes[0] << 16 | (uint32_t)p.addr.bytes[1] << 8 |
				 p.addr.bytes[2];
		uint32_t count = p.len >= unit ? 1 : 1u << (unit - p.len);

		for (uint32_t i = 0; i < count; i++)
			generation_bump_slot(generation_mix(first + i));
	} else {
		uint64_t first = 0;
		uint32_t count = p.len >= unit ? 1 : 1u << (unit - p.len);

		for (int i = 0; i < 8; i++)
			first = first << 8 | p.addr.bytes[i];
		for (uint32_t i = 0; i < count; i++) {
			uint64_t v = first + i;
			uint8_t dst[8];

			for (int b = 7; b >= 0; b--, v >>= 8)
				dst[b] = (uint8_t)v;
			generation_bump_slot(generation_dst6(dst));
		}
	}
}

void generation_commit(void)
{
	uint32_t now = atomic_load_explicit(&generations.epoch, memory_order_relaxed);

	struct kernel_slot *kernel = atomic_load_explicit(&kernel_slots, memory_order_relaxed);

	atomic_store_explicit(&generations.epoch, now + 1, memory_order_release);
	if (kernel != NULL)
		__atomic_store_n(&kernel[0].epoch, now + 1, __ATOMIC_RELEASE);
}
