/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/paths.h"

#include "dataplane/rcu.h"

#include <errno.h>
#include <rte_jhash.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS	 4096u
#define NO_GROUP UINT32_MAX

_Atomic(struct path_group *) path_groups[PATHS_MAX];

/* Control's side of a group. */
struct group {
	uint32_t refs, hash;
	uint32_t next; /* in the chain of its hash */
	uint32_t n;
	uint32_t down; /* bit a member: does not answer */
	struct path_member members[PATH_MEMBERS_MAX];
};

static struct {
	struct group **groups; /* [PATHS_MAX], NULL = free or waiting for its grace period */
	uint32_t *free_list;
	uint32_t n_free, used, high; /* no index at or above `high` was ever used */
	uint32_t heads[BUCKETS];
	uint16_t *groups_of; /* [ADJACENCY_MAX]: in how many groups; saturates */
	void (*release)(uint32_t adjacency);
} paths;

int paths_init(void (*release)(uint32_t adjacency))
{
	paths.groups = calloc(PATHS_MAX, sizeof(struct group *));
	paths.free_list = calloc(PATHS_MAX, sizeof(*paths.free_list));
	paths.groups_of = calloc(ADJACENCY_MAX, sizeof(*paths.groups_of));
	if (paths.groups == NULL || paths.free_list == NULL || paths.groups_of == NULL) {
		paths_fini();
		return -ENOMEM;
	}
	memset(paths.heads, 0xff, sizeof(paths.heads));
	for (uint32_t i = PATHS_MAX; i-- > 0;)
		paths.free_list[paths.n_free++] = i;
	paths.release = release;
	return 0;
}

void paths_fini(void)
{
	for (uint32_t i = 0; i < paths.high; i++) {
		free(rcu_publish(&path_groups[i], NULL));
		free(paths.groups[i]);
	}
	free(paths.groups);
	free(paths.free_list);
	free(paths.groups_of);
	memset(&paths, 0, sizeof(paths));
}

/* --- buckets -------------------------------------------------------------------------------------------------- */

/** Give every member its share of the buckets, at least one, the rest by largest remainder. */
static void shares(const struct group *g, uint32_t *share)
{
	uint32_t total = 0, given = 0, rest[PATH_MEMBERS_MAX];

	for (uint32_t i = 0; i < g->n; i++)
		total += g->members[i].weight;
	for (uint32_t i = 0; i < g->n; i++) {
		share[i] = g->members[i].weight * PATHS_BUCKETS / total;
		rest[i] = g->members[i].weight * PATHS_BUCKETS % total;
		if (share[i] == 0) {
			share[i] = 1;
			rest[i] = 0;
		}
		given += share[i];
	}
	while (given < PATHS_BUCKETS) {
		uint32_t best = 0;

		for (uint32_t i = 1; i < g->n; i++) {
			if (rest[i] > rest[best])
				best = i;
		}
		share[best]++;
		rest[best] = 0;
		given++;
	}
	while (given > PATHS_BUCKETS) {
		uint32_t largest = 0;

		for (uint32_t i = 1; i < g->n; i++) {
			if (share[i] > share[largest])
				largest = i;
		}
		share[largest]--;
		given--;
	}
}

/** Build and publish the buckets of a group. A member that is down keeps its buckets reserved: others stand in for it one
 * after the other, so flows of the members that answer stay where they are. */
static void publish(uint32_t index, struct path_group *fresh)
{
	const struct group *g = paths.groups[index];
	const uint32_t all = (1u << g->n) - 1;
	uint32_t share[PATH_MEMBERS_MAX], bucket = 0, stand_in = 0;
	uint32_t down = (g->down & all) == all ? 0 : g->down;

	shares(g, share);
	fresh->count = g->n;
	for (uint32_t i = 0; i < g->n; i++) {
		for (uint32_t s = 0; s < share[i]; s++) {
			uint32_t use = i;

			while (down & (1u << use))
				use = stand_in++ % g->n;
			fresh->adjacency[bucket++] = g->members[use].adjacency;
		}
	}
	rcu_retire(rcu_publish(&path_groups[index], fresh), free);
}

/* --- groups --------------------------------------------------------------------------------------------------- */

static int by_adjacency(const void *a, const void *b)
{
	const struct path_member *x = a, *y = b;

	return x->adjacency < y->adjacency ? -1 : x->adjacency > y->adjacency;
}

static uint32_t find(const struct path_member *members, unsigned n, uint32_t hash)
{
	uint32_t i = paths.heads[hash % BUCKETS];

	while (i != NO_GROUP) {
		const struct group *g = paths.groups[i];

		if (g->hash == hash && g->n == n &&
			memcmp(g->members, members, n * sizeof(*members)) == 0)
			break;
		i = g->next;
	}
	return i;
}

static void count_member(uint32_t adjacency, int by)
{
	uint16_t *n = &paths.groups_of[adjacency];

	if (*n != UINT16_MAX) /* saturated: no longer exact, and only a hint */
		*n = (uint16_t)(*n + by);
}

int paths_acquire(struct path_member *members, unsigned n, uint32_t *value)
{
	struct path_group *fresh;
	struct group *g;
	uint32_t hash, index;

	qsort(members, n, sizeof(*members), by_adjacency);
	hash = rte_jhash_32b(
		(const uint32_t *)members, n * (unsigned)(sizeof(*members) / sizeof(uint32_t)), n);
	index = find(members, n, hash);
	if (index != NO_GROUP) {
		paths.groups[index]->refs++;
		*value = PATHS_FLAG | index;
		return 0;
	}
	if (paths.n_free == 0)
		return -ENOSPC;
	g = calloc(1, sizeof(*g));
	fresh = calloc(1, sizeof(*fresh));
	if (g == NULL || fresh == NULL) {
		free(g);
		free(fresh);
		return -ENOMEM;
	}
	index = paths.free_list[--paths.n_free];
	paths.high = RTE_MAX(paths.high, index + 1);
	paths.used++;
	*g = (struct group){ .refs = 1, .hash = hash, .n = n, .next = paths.heads[hash % BUCKETS] };
	memcpy(g->members, members, n * sizeof(*members));
	for (unsigned i = 0; i < n; i++) {
		const struct adjacency *adj = adjacency_get(members[i].adjacency);

		count_member(members[i].adjacency, 1);
		if (adj->type == ADJ_DROP && adj->drop == DROP_neighbour_unresolved)
			g->down |= 1u << i;
	}
	paths.heads[hash % BUCKETS] = index;
	paths.groups[index] = g;
	publish(index, fresh);
	*value = PATHS_FLAG | index;
	return 1;
}

static void release_index(void *arg)
{
	/* Tables that named the index are gone: it may mean other next hops now. */
	if (paths.free_list != NULL)
		paths.free_list[paths.n_free++] = (uint32_t)((uintptr_t)arg - 1);
}

void paths_release(uint32_t value)
{
	uint32_t index = value & ~PATHS_FLAG, *at;
	struct group *g = paths.groups[index];

	if (--g->refs > 0)
		return;
	for (at = &paths.heads[g->hash % BUCKETS]; *at != index; at = &paths.groups[*at]->next)
		;
	*at = g->next;
	paths.groups[index] = NULL;
	paths.used--;
	/* Readers of tables already replaced may still look: the object stays in place until the index is used again, and
	 * that waits for them. NULL means nothing to rcu_retire, hence the 1. */
	rcu_retire((void *)((uintptr_t)index + 1), release_index);
	for (uint32_t i = 0; i < g->n; i++) {
		count_member(g->members[i].adjacency, -1);
		paths.release(g->members[i].adjacency);
	}
	free(g);
}

bool paths_usable(uint32_t adjacency, bool usable)
{
	bool found = false;

	if (paths.groups_of[adjacency] == 0)
		return false;
	for (uint32_t index = 0; index < paths.high; index++) {
		struct group *g = paths.groups[index];

		for (uint32_t i = 0; g != NULL && i < g->n; i++) {
			uint32_t bit = 1u << i;
			struct path_group *fresh;

			if (g->members[i].adjacency != adjacency)
				continue;
			found = true;
			if (usable == !(g->down & bit))
				continue;
			fresh = calloc(1, sizeof(*fresh));
			if (fresh == NULL)
				continue; /* its share goes on being dropped, as without this function */
			g->down = usable ? g->down & ~bit : g->down | bit;
			publish(index, fresh);
		}
	}
	return found;
}

unsigned paths_members(uint32_t value, struct path_member *members, unsigned max)
{
	const struct group *g =
		(value & ~PATHS_FLAG) < PATHS_MAX ? paths.groups[value & ~PATHS_FLAG] : NULL;
	unsigned n = g != NULL ? RTE_MIN(g->n, max) : 0;

	if (n > 0)
		memcpy(members, g->members, n * sizeof(*members));
	return n;
}

uint32_t paths_count(void)
{
	return paths.used;
}
