/* SPDX-License-Identifier: Apache-2.0 */
/** The packet side of a memif connection: frames copied between shared memory and mbufs. As the
 * server we work on the peer's memory, as the client on our own, where each slot of a ring has a
 * buffer of its own for ever.
 *
 * Threads: a worker owns a queue while it calls these; control builds the connection before it
 * publishes it and frees it after a grace period. Nothing here locks, except tx queues that several
 * workers must share because the peer made fewer rings than the port has queues.
 *
 * The peer may be hostile, and can write to all of the memory in either role. Our own position is
 * kept in private memory and never read back from the ring; a descriptor is read once and its
 * region, offset and length are checked each time, or, in our own memory, known without looking.
 * What fails a check is counted and skipped.
 */
#ifndef DATAPLANE_MEMIF_QUEUE_H
#define DATAPLANE_MEMIF_QUEUE_H

#include "dataplane/memif_proto.h"

#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>

#define MEMIF_QUEUE_MAX 16
#define MEMIF_CHAIN_MAX 256   /* descriptors a frame: 64 KiB in buffers of 256 bytes */
#define MEMIF_FRAME_MAX 65553 /* an IP packet of 65535 bytes, Ethernet header and VLAN tag */
#define MEMIF_BUFFER	2048 /* bytes of our own slots as the client, what other clients have too */

struct memif_region {
	uint8_t *addr;
	uint64_t size;	 /* bytes descriptors may name */
	uint64_t mapped; /* bytes to unmap */
	uint32_t guard;	 /* memif_guard.h */
};

struct memif_queue {
	/* Constant once published. */
	struct memif_ring *ring; /* shared memory */
	uint16_t size;		 /* descriptors, a power of two */
	bool client;		 /* as in the connection */
	int event_fd;		 /* rx: the peer signals us, tx: we signal it; owned */
	uint8_t *buffers;	 /* client: of slot 0; the others follow */
	uint32_t buffer;	 /* client: bytes a slot */
	uint32_t ring_offset;	 /* client: of the ring in region 0 */
	/* Owner: the queue's worker, or the holder of lock. */
	rte_spinlock_t lock;
	uint16_t
		cursor; /* our position: the true value of ring->tail (server), of ring->head (client, tx) */
	uint16_t partial; /* rx: slots of a frame whose end the peer has not published yet */
	bool skipping;	  /* rx: inside a chain that is too long, up to its end */
} __rte_cache_aligned;

/** The shape (counts, regions, rings) never changes after publication. */
struct memif_connection {
	uint16_t n_regions, n_rx, n_tx;
	bool client;	/* the memory is ours */
	bool tx_locked; /* the port has more tx queues than there are rings: take queue->lock */
	struct memif_region regions[MEMIF_REGION_MAX];
	struct memif_queue rx[MEMIF_QUEUE_MAX]; /* server: C2S rings, client: S2C */
	struct memif_queue tx[MEMIF_QUEUE_MAX]; /* server: S2C rings, client: C2S */
};

/** What a burst could not do, for the caller's counters. */
struct memif_faults {
	uint32_t bad;	/* frames or ring positions refused: malformed descriptors */
	bool no_buffer; /* the burst ended early: the pool is empty; frames stay in the ring */
};

/** A connection with no regions and rings, NULL without memory. */
struct memif_connection *memif_connection_new(void);
/** Client: a connection with memory of its own: one region, sealed against shrinking, with n_tx C2S
 * and n_rx S2C rings of 2^log2_size buffers, and eventfds. *region_fd is the caller's to pass on and
 * close. The peer may clear the rings until it says CONNECTED; memif_connection_offer comes then.
 * @return 0, or -ENOMEM, -EMFILE and whatever else the system says when it has not got that much. */
int memif_connection_own(uint16_t n_rx, uint16_t n_tx, uint8_t log2_size,
	struct memif_connection **out, int *region_fd);
/** Client: let the peer have all receive buffers. */
void memif_connection_offer(struct memif_connection *connection);
/** Whether memory of it was taken away (memif_guard.h). */
bool memif_connection_tripped(const struct memif_connection *connection);
/** Unmap, close descriptors, free. The signature rcu_retire takes. NULL is allowed. */
void memif_connection_free(void *connection);
/** Server, before publication: place queue on the ring at offset of region; takes event_fd over on
 * success.
 * @return 0, -ERANGE (ring outside the region, misaligned, or too large), -EBADMSG (no cookie),
 * -EEXIST. */
int memif_queue_place(const struct memif_connection *connection, struct memif_queue *queue,
	uint16_t region, uint32_t offset, uint8_t log2_size, int event_fd);

/** Take up to n frames of 1 to MEMIF_FRAME_MAX bytes. Buffers come from pool, or from large for
 * frames that do not fit one of pool's (large may be NULL). @return frames in pkts. */
uint16_t memif_queue_rx(const struct memif_connection *connection, struct memif_queue *queue,
	struct rte_mempool *pool, struct rte_mempool *large, struct rte_mbuf **pkts, uint16_t n,
	struct memif_faults *faults);
/** Copy up to n packets to the peer, wake it unless it polls, and free them.
 * @return packets taken: fewer than n when the ring is full. */
uint16_t memif_queue_tx(const struct memif_connection *connection, struct memif_queue *queue,
	struct rte_mbuf **pkts, uint16_t n, struct memif_faults *faults);
/** Ask the peer for interrupts, or stop that. @return false when frames are waiting, and then
 * nothing was asked. */
bool memif_queue_arm(struct memif_queue *queue, bool on);

/** Add one to an eventfd whose other holder is hostile: never blocks, whatever that one does to the
 * counter and to the file's flags. memif_kick.c says how. */
void memif_kick(int event_fd);

#endif
