/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/memif_large.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum making_state { MAKING, MADE, ABANDONED };

struct memif_making {
	uint16_t n_rx, n_tx;
	uint8_t log2_size;
	_Atomic int state; /* who finds that the other one is through frees it */
	/* Writer: the thread, before MADE. */
	struct memif_connection *connection;
	int region_fd, ret;
};

static int start_detached(void *(*run)(void *), void *arg)
{
	pthread_t thread;
	int ret = pthread_create(&thread, NULL, run, arg);

	if (ret == 0)
		pthread_detach(thread);
	return -ret;
}

/* --- making --------------------------------------------------------------------------------------------------- */

static void *make(void *arg)
{
	struct memif_making *m = arg;

	m->ret =
		memif_connection_own(m->n_rx, m->n_tx, m->log2_size, &m->connection, &m->region_fd);
	if (atomic_exchange_explicit(&m->state, MADE, memory_order_acq_rel) == MAKING)
		return NULL;
	if (m->ret == 0) {
		close(m->region_fd);
		memif_connection_free(m->connection);
	}
	free(m);
	return NULL;
}

struct memif_making *memif_making_start(uint16_t n_rx, uint16_t n_tx, uint8_t log2_size)
{
	struct memif_making *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->n_rx = n_rx;
	m->n_tx = n_tx;
	m->log2_size = log2_size;
	if (start_detached(make, m) == 0)
		return m;
	free(m);
	return NULL;
}

bool memif_making_done(
	struct memif_making *m, struct memif_connection **out, int *region_fd, int *ret)
{
	if (atomic_load_explicit(&m->state, memory_order_acquire) != MADE)
		return false;
	*ret = m->ret;
	if (m->ret == 0) {
		*out = m->connection;
		*region_fd = m->region_fd;
	}
	free(m);
	return true;
}

void memif_making_abandon(struct memif_making *m)
{
	if (m == NULL ||
		atomic_exchange_explicit(&m->state, ABANDONED, memory_order_acq_rel) == MAKING)
		return;
	if (m->ret == 0) {
		close(m->region_fd);
		memif_connection_free(m->connection);
	}
	free(m);
}

/* --- giving back ---------------------------------------------------------------------------------------------- */

struct release {
	unsigned n;
	bool ours;
	struct memif_region regions[MEMIF_REGION_MAX];
};

static void release_now(const struct memif_region *regions, unsigned n, bool ours)
{
	for (unsigned i = 0; i < n; i++) {
		/* The server may keep the file open for as long as it likes, and a new one each time we come back: what we
		 * paid for goes now. */
		if (ours)
			madvise(regions[i].addr, regions[i].mapped, MADV_REMOVE);
		munmap(regions[i].addr, regions[i].mapped);
	}
}

static void *release(void *arg)
{
	struct release *r = arg;

	release_now(r->regions, r->n, r->ours);
	free(r);
	return NULL;
}

void memif_regions_release(const struct memif_region *regions, unsigned n, bool ours)
{
	struct release *r;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		bytes += regions[i].mapped;
	r = bytes >= MEMIF_LARGE ? malloc(sizeof(*r)) : NULL;
	if (r != NULL) {
		r->n = n;
		r->ours = ours;
		memcpy(r->regions, regions, n * sizeof(regions[0]));
		if (start_detached(release, r) == 0)
			return;
		free(r);
	}
	release_now(regions, n, ours);
}
