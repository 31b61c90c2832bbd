/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/adjacency.h"

#include "dataplane/kernel_flows.h"
#include "dataplane/rcu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Atomic(struct adjacency *) adjacencies[ADJACENCY_MAX];

/* Control thread only. Indices whose grace period is over, a queue: packets in rings and hold queues name adjacencies by
 * index for longer than a grace period, so the one freed longest ago is used next. */
static uint32_t *free_list; /* [ADJACENCY_MAX], circular */
static uint32_t free_first, free_count;
static uint32_t in_use;
static uint32_t local_index;

/* Packets of UINT16_MAX bytes stand for "not plain" in burst.c. */
static uint16_t plain_mtu(const struct adjacency *adj)
{
	bool prepend = adj->type == ADJ_REWRITE ||
		       (adj->type == ADJ_TUNNEL && !(adj->flags & ADJ_UDP_CHECKSUM));

	return prepend ? (uint16_t)(adj->mtu < UINT16_MAX ? adj->mtu : UINT16_MAX - 1) : 0;
}

/* A few hundred bytes: when they are not to be had, nothing else in the process works either, see rcu_retire. */
static struct adjacency *copy_of(const struct adjacency *init)
{
	struct adjacency *adj = aligned_alloc(64, sizeof(*adj));

	if (adj == NULL)
		abort();
	memcpy(adj, init, sizeof(*adj));
	adj->plain_mtu = plain_mtu(adj);
	return adj;
}

static struct adjacency drop_of(enum drop_reason reason)
{
	struct adjacency adj = {
		.type = ADJ_DROP, .drop = (uint8_t)reason, .port = UINT16_MAX, .mtu = UINT16_MAX
	};

	snprintf(adj.text, sizeof(adj.text), "drop: %s", drop_reason_name(reason));
	return adj;
}

static void publish(
	uint32_t index, const struct adjacency *init, uint32_t generation, void (*release)(void *))
{
	struct adjacency *adj = copy_of(init);

	adj->index = index;
	adj->generation = generation;
	rcu_retire(rcu_publish(&adjacencies[index], adj), release);
}

static void free_push(uint32_t index)
{
	free_list[(free_first + free_count++) % ADJACENCY_MAX] = index;
}

static uint32_t free_pop(void)
{
	uint32_t index = free_list[free_first];

	free_first = (free_first + 1) % ADJACENCY_MAX;
	free_count--;
	return index;
}

static void destroy_all(void)
{
	struct adjacency *shared = rcu_own(&adjacencies[0]);

	for (uint32_t i = 0; i < ADJACENCY_MAX; i++) {
		struct adjacency *adj = rcu_publish(&adjacencies[i], NULL);

		if (adj != shared)
			free(adj);
	}
	free(shared);
	free(free_list);
	free_list = NULL;
	free_first = free_count = in_use = 0;
}

int adjacency_init(void)
{
	struct adjacency init = drop_of(DROP_no_route), *shared;

	if (free_list != NULL)
		return -EALREADY;
	free_list = calloc(ADJACENCY_MAX, sizeof(*free_list));
	if (free_list == NULL)
		return -ENOMEM;
	shared = copy_of(&init);
	shared->index = DROP_no_route;
	local_index = DROP_REASON_COUNT;
	for (uint32_t i = 0; i < ADJACENCY_MAX; i++)
		atomic_store_explicit(&adjacencies[i], shared, memory_order_release);
	for (uint32_t reason = 1; reason < DROP_REASON_COUNT; reason++) {
		struct adjacency *adj;

		if (reason == DROP_no_route)
			continue;
		init = drop_of((enum drop_reason)reason);
		adj = copy_of(&init);
		adj->index = reason;
		atomic_store_explicit(&adjacencies[reason], adj, memory_order_release);
	}
	init = (struct adjacency){ .type = ADJ_LOCAL,
		.port = UINT16_MAX,
		.mtu = UINT16_MAX,
		.index = local_index,
		.text = "this node" };
	atomic_store_explicit(&adjacencies[local_index], copy_of(&init), memory_order_release);
	for (uint32_t i = local_index + 1; i < ADJACENCY_MAX; i++)
		free_push(i);
	return 0;
}

void adjacency_fini(void)
{
	if (free_list == NULL)
		return;
	rcu_barrier();
	destroy_all();
}

uint32_t adjacency_local(void)
{
	return local_index;
}

static void keep_shared(void *adj)
{
	(void)adj; /* the common drop object of indices never used */
}

uint32_t adjacency_new(const struct adjacency *init)
{
	const struct adjacency *was;
	uint32_t index;

	if (free_count == 0)
		return ADJACENCY_NONE;
	index = free_pop();
	in_use++;
	was = rcu_own(&adjacencies[index]);
	publish(index, init, was->generation + 1,
		was == rcu_own(&adjacencies[0]) ? keep_shared : free);
	return index;
}

void adjacency_replace(uint32_t index, const struct adjacency *next, bool same)
{
	publish(index, next, rcu_own(&adjacencies[index])->generation + (same ? 0 : 1), free);
	kernel_flows_adjacency_changed(index);
}

void adjacency_update(uint32_t index, const struct adjacency *next, bool same)
{
	const struct adjacency *now = rcu_own(&adjacencies[index]);
	struct adjacency wanted = *next;

	wanted.index = now->index;
	wanted.generation = now->generation;
	wanted.plain_mtu = plain_mtu(&wanted);
	if (memcmp(&wanted, now, sizeof(wanted)) != 0)
		adjacency_replace(index, next, same);
}

static void release_index(void *arg)
{
	struct adjacency *adj = arg;

	/* No flow or table that held the index within its grace period is left: it may mean something else now. */
	free_push(adj->index);
	free(adj);
}

void adjacency_free(uint32_t index)
{
	struct adjacency gone = drop_of(DROP_no_route);

	in_use--;
	publish(index, &gone, rcu_own(&adjacencies[index])->generation + 1, release_index);
}

uint32_t adjacency_count(void)
{
	return in_use;
}
