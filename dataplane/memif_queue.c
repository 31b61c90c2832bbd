/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/memif_queue.h"

#include <errno.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>
#include <sys/uio.h>

#define RX_BATCH 64

struct span {
	uint8_t *data;
	uint32_t length;
};

/* A frame as found in the ring. data is NULL for chains and for malformed frames, which slots tells
 * apart. */
struct rx_frame {
	const uint8_t *data;
	uint32_t length;
	uint16_t start; /* ring position */
	uint16_t slots;
};

static inline union memif_desc desc_read(const struct memif_queue *q, uint16_t position)
{
	const _Atomic uint64_t *d = q->ring->desc[position & (q->size - 1)];
	union memif_desc desc;

	desc.word[0] = atomic_load_explicit(&d[0], memory_order_relaxed);
	desc.word[1] = atomic_load_explicit(&d[1], memory_order_relaxed);
	return desc;
}

static inline void desc_write(struct memif_queue *q, uint16_t position, union memif_desc *desc,
	bool more, uint32_t length)
{
	desc->flags = more ? MEMIF_DESC_NEXT : 0;
	desc->length = length;
	atomic_store_explicit(
		&q->ring->desc[position & (q->size - 1)][0], desc->word[0], memory_order_relaxed);
}

/* A slot that was taken goes back. The client offers its buffer whole again. The server takes care
 * of one flag: DPDK's client (22.11) sets it for a frame in several parts and never clears it, so
 * that a later frame in the same slot would run into its neighbour. */
static inline void desc_return(struct memif_queue *q, uint16_t position, const bool client)
{
	union memif_desc desc = { 0 };

	if (client) {
		desc_write(q, position, &desc, false, q->buffer);
		return;
	}
	desc = desc_read(q, position);
	if ((desc.flags & MEMIF_DESC_NEXT) != 0)
		desc_write(q, position, &desc, false, desc.length);
}

/* The bytes a descriptor names, or NULL when they are not all inside one region, or, in our own
 * memory, inside the buffer of the slot, whatever the descriptor says about its place. */
static inline uint8_t *desc_data(const struct memif_connection *c, const struct memif_queue *q,
	uint16_t position, const union memif_desc *desc, const bool client)
{
	if (client) {
		if (unlikely(desc->length > q->buffer))
			return NULL;
		return q->buffers + (size_t)(position & (q->size - 1)) * q->buffer;
	}
	if (unlikely(desc->region >= c->n_regions))
		return NULL;
	if (unlikely((uint64_t)desc->offset + desc->length > c->regions[desc->region].size))
		return NULL;
	return c->regions[desc->region].addr + desc->offset;
}

/* Step over the rest of a chain that was refused. */
static void rx_skip(struct memif_queue *q, uint16_t head)
{
	while (q->skipping && q->cursor != head) {
		q->skipping = (desc_read(q, q->cursor).flags & MEMIF_DESC_NEXT) != 0;
		desc_return(q, q->cursor++, q->client);
	}
}

/* Slots of the chain at cursor: 0 when its end is not published yet, more than MEMIF_CHAIN_MAX when
 * it is too long to be a frame or can never end because it fills the ring. */
static uint16_t rx_chain_slots(const struct memif_queue *q, uint16_t cursor, uint16_t head)
{
	for (uint16_t slots = 1; slots <= MEMIF_CHAIN_MAX; slots++) {
		if ((desc_read(q, cursor).flags & MEMIF_DESC_NEXT) == 0)
			return slots;
		if (++cursor == head)
			return slots == q->size ? MEMIF_CHAIN_MAX + 1 : 0;
	}
	return MEMIF_CHAIN_MAX + 1;
}

/* Find the next frames and start fetching their bytes; the queue does not move, except over a chain
 * too long. */
static inline uint16_t rx_scan(const struct memif_connection *c, struct memif_queue *q,
	uint16_t head, struct rx_frame *frames, uint16_t max, struct memif_faults *faults,
	const bool client)
{
	uint16_t count = 0, cursor;

	rx_skip(q, head);
	cursor = q->cursor;
	while (count < max && cursor != head) {
		union memif_desc desc = desc_read(q, cursor);
		struct rx_frame *f = &frames[count];

		*f = (struct rx_frame){ .start = cursor, .slots = 1, .length = desc.length };
		if (likely((desc.flags & MEMIF_DESC_NEXT) == 0)) {
			if (likely(desc.length - 1 < MEMIF_FRAME_MAX))
				f->data = desc_data(c, q, cursor, &desc, client);
			rte_prefetch0(f->data);
		} else {
			f->slots = rx_chain_slots(q, cursor, head);
			if (f->slots == 0) {
				q->partial = (uint16_t)(head - cursor);
				break;
			}
			if (f->slots > MEMIF_CHAIN_MAX) {
				/* First deliver what comes before it, in the next round skip it. */
				if (count > 0)
					break;
				faults->bad++;
				q->skipping = true;
				rx_skip(q, head);
				cursor = q->cursor;
				continue;
			}
			/* The peer may have cleared the flag since: a chain is what has more than
			 * one slot. */
		}
		cursor = (uint16_t)(cursor + f->slots);
		count++;
	}
	return count;
}

/* The parts of a frame, each checked. The number of slots is what the scan found, whatever the
 * flags say now.
 * @return total bytes, 0 when malformed. */
static uint32_t rx_gather(const struct memif_connection *c, const struct memif_queue *q,
	const struct rx_frame *f, struct span *spans)
{
	uint32_t total = 0;

	for (uint16_t i = 0; i < f->slots; i++) {
		uint16_t position = (uint16_t)(f->start + i);
		union memif_desc desc = desc_read(q, position);
		uint8_t *data = desc_data(c, q, position, &desc, q->client);

		if (data == NULL || desc.length > MEMIF_FRAME_MAX - total)
			return 0;
		spans[i] = (struct span){ .data = data, .length = desc.length };
		total += desc.length;
	}
	return total;
}

/* Copy spans into m, chaining more buffers of pool. @return false when the pool is empty; m then
 * holds nothing. */
static bool rx_fill(struct rte_mbuf *m, struct rte_mempool *pool, const struct span *spans,
	uint16_t n_spans, uint32_t total)
{
	struct rte_mbuf *last = m;

	for (uint16_t i = 0; i < n_spans; i++) {
		for (uint32_t done = 0; done < spans[i].length;) {
			uint16_t room = rte_pktmbuf_tailroom(last);
			uint32_t len = RTE_MIN(spans[i].length - done, room);

			if (room == 0) {
				last->next = rte_pktmbuf_alloc(pool);
				if (last->next == NULL)
					return false;
				last = last->next;
				last->data_off = 0; /* headroom is for the first */
				m->nb_segs++;
				continue;
			}
			rte_memcpy(rte_pktmbuf_mtod_offset(last, void *, last->data_len),
				spans[i].data + done, len);
			last->data_len = (uint16_t)(last->data_len + len);
			done += len;
		}
	}
	m->pkt_len = total;
	return true;
}

/* A frame that is not one descriptor into one buffer. @return -ENOBUFS: try again later, -EBADMSG:
 * malformed. */
static int rx_copy_slow(const struct memif_connection *c, const struct memif_queue *q,
	const struct rx_frame *f, struct rte_mempool *pool, struct rte_mempool *large,
	struct rte_mbuf **out)
{
	struct span spans[MEMIF_CHAIN_MAX];
	uint32_t total = rx_gather(c, q, f, spans);
	struct rte_mbuf *m;

	if (total == 0)
		return -EBADMSG;
	if (large != NULL && total + RTE_PKTMBUF_HEADROOM > rte_pktmbuf_data_room_size(pool))
		pool = large;
	m = rte_pktmbuf_alloc(pool);
	if (m == NULL)
		return -ENOBUFS;
	if (!rx_fill(m, pool, spans, f->slots, total)) {
		rte_pktmbuf_free(m);
		return -ENOBUFS;
	}
	*out = m;
	return 0;
}

/* Copy frames out and move the queue past them. @return packets; *stop when buffers ran out. */
static inline uint16_t rx_copy(const struct memif_connection *c, struct memif_queue *q,
	const struct rx_frame *frames, uint16_t count, struct rte_mempool *pool,
	struct rte_mempool *large, struct rte_mbuf **pkts, struct memif_faults *faults,
	const bool client)
{
	struct rte_mbuf *bufs[RX_BATCH];
	uint16_t n_bufs = count, used = 0, out = 0;
	uint16_t i;

	while (n_bufs > 0 && rte_pktmbuf_alloc_bulk(pool, bufs, n_bufs) != 0)
		n_bufs /= 2;
	for (i = 0; i < count; i++) {
		const struct rx_frame *f = &frames[i];
		struct rte_mbuf *m;

		if (likely(f->data != NULL && used < n_bufs &&
			    f->length <= rte_pktmbuf_tailroom(bufs[used]))) {
			m = bufs[used++];
			rte_memcpy(rte_pktmbuf_mtod(m, void *), f->data, f->length);
			m->data_len = (uint16_t)f->length;
			m->pkt_len = f->length;
			pkts[out++] = m;
		} else if (f->data == NULL && f->slots == 1) {
			faults->bad++;
		} else {
			int ret = rx_copy_slow(c, q, f, pool, large, &pkts[out]);

			if (ret == -ENOBUFS)
				break;
			if (ret == 0)
				out++;
			else
				faults->bad++;
		}
		for (uint16_t slot = 0; (client || f->slots > 1) && slot < f->slots; slot++)
			desc_return(q, (uint16_t)(f->start + slot), client);
		q->cursor = (uint16_t)(f->start + f->slots);
	}
	faults->no_buffer = i < count;
	rte_pktmbuf_free_bulk(&bufs[used], (unsigned)(n_bufs - used));
	return out;
}

/* Up to where the peer has filled slots for us: the client publishes head, the server tail. */
static inline uint16_t rx_end(const struct memif_queue *q, const bool client, memory_order order)
{
	return atomic_load_explicit(client ? &q->ring->tail : &q->ring->head, order);
}

static inline uint16_t rx_burst(const struct memif_connection *c, struct memif_queue *q,
	struct rte_mempool *pool, struct rte_mempool *large, struct rte_mbuf **pkts, uint16_t n,
	struct memif_faults *faults, const bool client)
{
	uint16_t head = rx_end(q, client, memory_order_acquire);
	uint16_t available = (uint16_t)(head - q->cursor), before = q->cursor, out = 0;

	if (available == q->partial) /* both are 0 most of the time */
		return 0;
	q->partial = 0;
	if (unlikely(available > q->size)) {
		/* No honest peer gets ahead of us by more than the ring: nothing in it can be
		 * believed. */
		faults->bad++;
		q->cursor = head;
		q->skipping = false;
	}
	/* A malformed frame uses up budget like a good one, so that a burst is bounded. */
	for (uint16_t budget = n; budget > 0 && !faults->no_buffer;) {
		struct rx_frame frames[RX_BATCH];
		uint16_t count = rx_scan(
			c, q, head, frames, (uint16_t)RTE_MIN(budget, RX_BATCH), faults, client);

		if (count == 0)
			break;
		out = (uint16_t)(out + rx_copy(c, q, frames, count, pool, large, &pkts[out], faults,
					       client));
		budget = (uint16_t)(budget - count);
	}
	if (q->partial != (uint16_t)(head - q->cursor))
		q->partial = 0; /* there is more than the unfinished frame */
	if (q->cursor == before)
		return out;
	if (client) /* all slots but those still to be read are the server's to fill */
		atomic_store_explicit(
			&q->ring->head, (uint16_t)(q->cursor + q->size), memory_order_release);
	else
		atomic_store_explicit(&q->ring->tail, q->cursor, memory_order_release);
	return out;
}

uint16_t memif_queue_rx(const struct memif_connection *c, struct memif_queue *q,
	struct rte_mempool *pool, struct rte_mempool *large, struct rte_mbuf **pkts, uint16_t n,
	struct memif_faults *faults)
{
	return c->client ? rx_burst(c, q, pool, large, pkts, n, faults, true)
			 : rx_burst(c, q, pool, large, pkts, n, faults, false);
}

/* What there is to fill at a position: the server reads it, the client knows it. */
static inline union memif_desc tx_desc(
	const struct memif_queue *q, uint16_t position, const bool client)
{
	return client ? (union memif_desc){ .length = q->buffer } : desc_read(q, position);
}

/* Buffers for length bytes. A malformed one counts as room for nothing.
 * @return slots, 0 when there is not enough room. */
static uint16_t tx_gather(const struct memif_connection *c, const struct memif_queue *q,
	uint16_t free_slots, uint32_t length, union memif_desc *descs, struct memif_faults *faults)
{
	uint32_t bad = 0;
	uint64_t room = 0;

	for (uint16_t i = 0; i < free_slots && i < MEMIF_CHAIN_MAX; i++) {
		uint16_t position = (uint16_t)(q->cursor + i);

		descs[i] = tx_desc(q, position, q->client);
		if (desc_data(c, q, position, &descs[i], q->client) == NULL ||
			descs[i].length == 0) {
			descs[i].length = 0;
			bad++;
		}
		room += descs[i].length;
		if (room >= length && room > 0) {
			faults->bad += bad;
			return (uint16_t)(i + 1);
		}
	}
	return 0;
}

/* A packet or a buffer in several parts. @return slots used, 0 when the ring lacks room. */
static uint16_t tx_copy_slow(const struct memif_connection *c, struct memif_queue *q,
	uint16_t free_slots, const struct rte_mbuf *m, struct memif_faults *faults)
{
	union memif_desc descs[MEMIF_CHAIN_MAX];
	uint16_t slots = tx_gather(c, q, free_slots, m->pkt_len, descs, faults);
	uint32_t src_off = 0;

	for (uint16_t i = 0; i < slots; i++) {
		uint16_t position = (uint16_t)(q->cursor + i);
		uint8_t *to = desc_data(c, q, position, &descs[i], q->client);
		uint32_t filled = 0;

		while (m != NULL && filled < descs[i].length) {
			uint32_t len = RTE_MIN(m->data_len - src_off, descs[i].length - filled);

			rte_memcpy(to + filled,
				rte_pktmbuf_mtod_offset(m, const uint8_t *, src_off), len);
			filled += len;
			src_off += len;
			if (src_off == m->data_len) {
				m = m->next;
				src_off = 0;
			}
		}
		desc_write(q, position, &descs[i], i + 1 < slots, filled);
	}
	return slots;
}

static inline uint16_t tx_copy(const struct memif_connection *c, struct memif_queue *q,
	uint16_t free_slots, const struct rte_mbuf *m, struct memif_faults *faults,
	const bool client)
{
	union memif_desc desc;
	uint8_t *to;

	if (unlikely(free_slots == 0))
		return 0;
	desc = tx_desc(q, q->cursor, client);
	to = desc_data(c, q, q->cursor, &desc, client);
	if (unlikely(m->nb_segs != 1 || to == NULL || desc.length < m->data_len))
		return tx_copy_slow(c, q, free_slots, m, faults);
	rte_memcpy(to, rte_pktmbuf_mtod(m, const void *), m->data_len);
	desc_write(q, q->cursor, &desc, false, m->data_len);
	return 1;
}

/* Slots we may fill: the client offers them up to head, and takes all that the server emptied. */
static inline uint16_t tx_free(const struct memif_queue *q, const bool client)
{
	if (client)
		return (uint16_t)(atomic_load_explicit(&q->ring->tail, memory_order_acquire) +
				  q->size - q->cursor);
	return (uint16_t)(atomic_load_explicit(&q->ring->head, memory_order_acquire) - q->cursor);
}

static inline uint16_t tx_burst(const struct memif_connection *c, struct memif_queue *q,
	struct rte_mbuf **pkts, uint16_t n, struct memif_faults *faults, const bool client)
{
	uint16_t free_slots = tx_free(q, client), sent;

	if (unlikely(free_slots > q->size)) {
		faults->bad++;
		return 0;
	}
	for (sent = 0; sent < n; sent++) {
		uint16_t slots;

		if (sent + 4 < n)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[sent + 4], const void *));
		slots = tx_copy(c, q, free_slots, pkts[sent], faults, client);
		if (slots == 0)
			break;
		q->cursor = (uint16_t)(q->cursor + slots);
		free_slots = (uint16_t)(free_slots - slots);
	}
	if (sent > 0)
		atomic_store_explicit(
			client ? &q->ring->head : &q->ring->tail, q->cursor, memory_order_release);
	return sent;
}

uint16_t memif_queue_tx(const struct memif_connection *c, struct memif_queue *q,
	struct rte_mbuf **pkts, uint16_t n, struct memif_faults *faults)
{
	uint16_t sent;

	if (c->tx_locked)
		rte_spinlock_lock(&q->lock);
	sent = c->client ? tx_burst(c, q, pkts, n, faults, true)
			 : tx_burst(c, q, pkts, n, faults, false);
	if (c->tx_locked)
		rte_spinlock_unlock(&q->lock);
	if (sent == 0)
		return 0;
	/* The peer unmasks, then looks at our position; we moved it, then look at the mask. One of
	 * us sees the other. */
	atomic_thread_fence(memory_order_seq_cst);
	if ((atomic_load_explicit(&q->ring->flags, memory_order_relaxed) & MEMIF_RING_MASK_INT) ==
		0)
		memif_kick(q->event_fd);
	rte_pktmbuf_free_bulk(pkts, sent);
	return sent;
}

bool memif_queue_arm(struct memif_queue *q, bool on)
{
	uint64_t count;
	struct iovec iov = { .iov_base = &count, .iov_len = sizeof(count) };
	uint16_t available;

	if (!on) {
		atomic_store_explicit(&q->ring->flags, MEMIF_RING_MASK_INT, memory_order_relaxed);
		return true;
	}
	/* RWF_NOWAIT, because the peer may have made its eventfd a blocking one. Nothing to read is
	 * the common case. */
	if (preadv2(q->event_fd, &iov, 1, -1, RWF_NOWAIT) < 0)
		count = 0;
	atomic_store_explicit(&q->ring->flags, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	available = (uint16_t)(rx_end(q, q->client, memory_order_relaxed) - q->cursor);
	if (available == q->partial)
		return true;
	atomic_store_explicit(&q->ring->flags, MEMIF_RING_MASK_INT, memory_order_relaxed);
	return false;
}
