/* SPDX-License-Identifier: Apache-2.0 */
/** podlane-bench tables: the data plane's two large tables alone, without packets. Fixed seeds: the same keys every time. */
#ifndef PERF_TABLES_H
#define PERF_TABLES_H

#include "config/address.h"
#include "perf/bench.h"

/** xorshift64*, seeded with anything but 0. */
static inline uint64_t tables_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

/** Route i of a made-up global table: lengths are distributed as in the Internet's (60 % of IPv4 are /24, 46 % of IPv6
 * /48), addresses cluster in allocated blocks as they do there. May repeat itself: callers draw until they have enough. */
void tables_prefix(bool v6, uint64_t *state, struct ip_prefix *prefix);

struct tables_conf {
	bool v6;
	unsigned threads;
	uint32_t repeats;
};
/** Look-ups, bulk load, single updates, memory at a number of routes. @return a new row. */
json_t *tables_fib(const struct tables_conf *conf, uint32_t routes);
/** Insert, hit, miss, expire at a fill (per cent of `entries` directions). @return a new row. */
json_t *tables_flow(const struct tables_conf *conf, uint32_t entries, unsigned fill);

#endif
