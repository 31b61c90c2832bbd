/* SPDX-License-Identifier: Apache-2.0 */
/** Path groups: several weighted next hops behind one route value (ECMP). Groups with the same next hops and weights are
 * one, so a million routes over two gateways share one group. A next hop that does not answer gives its share to
 * the others, and gets the same buckets back when it does.
 *
 * Control thread only; the objects in path_groups[] are immutable and replaced through RCU.
 */
#ifndef DATAPLANE_PATHS_H
#define DATAPLANE_PATHS_H

#include "dataplane/settings.h"

#include <stdbool.h>

#define PATH_MEMBERS_MAX 16

struct path_member {
	uint32_t adjacency;
	uint32_t weight; /* 1..255 */
};

/** `release` is called for the adjacency of every member of a group whose last reference goes. 0 or -ENOMEM. */
int paths_init(void (*release)(uint32_t adjacency));
void paths_fini(void);

/** One reference to the group of these members (2..16, each adjacency once, any order; sorted in place).
 * *value is PATHS_FLAG | index. @return 1 when the group is new and keeps the caller's references to its members, 0
 * when it was there and they stay the caller's, -ENOSPC, -ENOMEM. */
int paths_acquire(struct path_member *members, unsigned n, uint32_t *value);
void paths_release(uint32_t value);
/** A next hop stopped (or began) to answer. @return true when a group has it: flows that use it should be decided again. */
bool paths_usable(uint32_t adjacency, bool usable);
/** The distinct next hops of a group, at most `max`. */
unsigned paths_members(uint32_t value, struct path_member *members, unsigned max);
/** Groups in use. */
uint32_t paths_count(void);

#endif
