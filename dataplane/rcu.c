/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/rcu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct rte_rcu_qsbr *rcu_domain;

/* FIFO of what waits for its grace period; control thread only. */
struct retired {
	struct retired *next;
	void *obj;
	void (*release)(void *);
	uint64_t token;
};
static struct retired *oldest, *newest;
static size_t pending;

int rcu_init(void)
{
	size_t size = rte_rcu_qsbr_get_memsize(RCU_READERS_MAX);

	if (rcu_domain != NULL)
		return 0;
	rcu_domain = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE));
	if (rcu_domain == NULL)
		return -ENOMEM;
	memset(rcu_domain, 0, size);
	return -rte_rcu_qsbr_init(rcu_domain, RCU_READERS_MAX);
}

void rcu_reader_register(unsigned reader)
{
	rte_rcu_qsbr_thread_register(rcu_domain, reader);
	rcu_online(reader);
}

void rcu_reader_unregister(unsigned reader)
{
	rcu_offline(reader);
	rte_rcu_qsbr_thread_unregister(rcu_domain, reader);
}

void rcu_retire(void *obj, void (*release)(void *))
{
	struct retired *r;

	if (obj == NULL)
		return;
	r = malloc(sizeof(*r));
	if (r == NULL)
		abort();
	*r = (struct retired){
		.obj = obj, .release = release, .token = rte_rcu_qsbr_start(rcu_domain)
	};
	if (newest != NULL)
		newest->next = r;
	else
		oldest = r;
	newest = r;
	pending++;
}

static void release_due(bool wait)
{
	while (oldest != NULL) {
		struct retired *r = oldest;

		if (rte_rcu_qsbr_check(rcu_domain, r->token, wait) != 1)
			return;
		oldest = r->next;
		if (oldest == NULL)
			newest = NULL;
		pending--;
		r->release(r->obj);
		free(r);
	}
}

void rcu_reclaim(void)
{
	release_due(false);
}

size_t rcu_pending(void)
{
	return pending;
}

void rcu_barrier(void)
{
	rte_rcu_qsbr_synchronize(rcu_domain, RTE_QSBR_THRID_INVALID);
	release_due(true);
}
