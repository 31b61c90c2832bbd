/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/frame_copy.h"

#include <rte_memcpy.h>

/** Bytes a fresh buffer of the pool takes behind its headroom. */
static uint32_t room_of(struct rte_mempool *pool)
{
	return (uint32_t)rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
}

/** Fill the last buffer of a packet. @return how many bytes went in. */
static uint32_t fill(
	struct rte_mbuf *head, struct rte_mbuf *last, const uint8_t *from, uint32_t len)
{
	uint32_t n = RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(last));

	rte_memcpy(rte_pktmbuf_mtod_offset(last, void *, last->data_len), from, n);
	last->data_len = (uint16_t)(last->data_len + n);
	head->pkt_len += n;
	return n;
}

struct rte_mbuf *frame_copy(struct rte_mempool *pool, struct rte_mempool *large_pool,
	const void *head, uint32_t head_len, const void *body, uint32_t body_len)
{
	const uint32_t len = head_len + body_len;
	const bool large = len > room_of(pool) && len <= room_of(large_pool);
	struct rte_mbuf *m = rte_pktmbuf_alloc(large ? large_pool : pool), *last = m;
	uint32_t done;

	if (unlikely(m == NULL))
		return NULL;
	if (head_len > 0)
		fill(m, m, head, head_len);
	done = fill(m, m, body, body_len);
	while (unlikely(done < body_len)) {
		last->next = rte_pktmbuf_alloc(large_pool);
		if (last->next == NULL) {
			rte_pktmbuf_free(m);
			return NULL;
		}
		last = last->next;
		m->nb_segs++;
		done += fill(m, last, (const uint8_t *)body + done, body_len - done);
	}
	return m;
}
