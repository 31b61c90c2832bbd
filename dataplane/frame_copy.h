/* SPDX-License-Identifier: Apache-2.0 */
/** Packets made of bytes that lie elsewhere: in a ring shared with the kernel, in a larger packet.
 *
 * Worker threads. The caller owns what is returned. */
#ifndef DATAPLANE_FRAME_COPY_H
#define DATAPLANE_FRAME_COPY_H

#include <rte_mbuf.h>
#include <stdint.h>

/** A packet of `head` and then `body`, in one buffer of the small or the large pool when it fits one, which is what the hit
 * path likes, else in a chain that begins with a small one. head_len is at most 512 bytes.
 * @return NULL when buffers are short; nothing stays allocated. */
struct rte_mbuf *frame_copy(struct rte_mempool *pool, struct rte_mempool *large_pool,
	const void *head, uint32_t head_len, const void *body, uint32_t body_len);

#endif
