/* SPDX-License-Identifier: Apache-2.0 */
/** Memory of memif connections that takes long to make and to give back: 16 queues of 16384 descriptors are 1 GiB, a quarter of
 * a second of the kernel's time. Threads of their own do that, and the control thread goes on.
 *
 * Threads: all functions here: control.
 */
#ifndef DATAPLANE_MEMIF_LARGE_H
#define DATAPLANE_MEMIF_LARGE_H

#include "dataplane/memif_queue.h"

/** From here on it is large: some 10 ms. */
#define MEMIF_LARGE (UINT64_C(32) << 20)

struct memif_making;

/** Begin memif_connection_own with these arguments. NULL = no thread can be had. */
struct memif_making *memif_making_start(uint16_t n_rx, uint16_t n_tx, uint8_t log2_size);
/** Look how far it is. @return false: not yet. Otherwise it is freed and *ret is memif_connection_own's, with its results
 * (owned by the caller) when that is 0. */
bool memif_making_done(
	struct memif_making *making, struct memif_connection **out, int *region_fd, int *ret);
/** Nobody wants it any more: it ends by itself. NULL is allowed. */
void memif_making_abandon(struct memif_making *making);

/** Give regions back: unmap, and let go of the memory itself where it was ours. addr and mapped of a region are enough. */
void memif_regions_release(const struct memif_region *regions, unsigned n, bool ours);

#endif
