/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/vhost_queue.h"

#include "dataplane/counters.h"
#include "dataplane/memif_queue.h"
#include "dataplane/offload.h"
#include "dataplane/port.h"
#include "dataplane/virtio_hdr.h"

#include <assert.h>
#include <rte_ether.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define BATCH	  32 /* frames looked at before the first is copied: hides the misses on their bytes */
#define HEADS_MAX 64 /* buffers a frame to a guest may take: 64 KiB in mergeable ones of 1 KiB */

static_assert(VHOST_FRAME_MAX + sizeof(struct virtio_net_hdr_mrg_rxbuf) < VIRTQ_RECORD_BYTES,
	"fits a record");
static_assert(sizeof(struct virtio_net_hdr) == 10 && sizeof(struct virtio_net_hdr_mrg_rxbuf) == 12,
	"virtio 1.2");

/* --- hand-over -------------------------------------------------------------------------------------------------- */

void vhost_queue_stop(struct vhost_queue *q)
{
	atomic_store_explicit(&q->ready, false, memory_order_seq_cst);
	for (unsigned spins = 0; atomic_load_explicit(&q->busy, memory_order_seq_cst) != 0;
		spins++) {
		/* The worker may have lost its CPU in mid-burst, to us perhaps. */
		if (spins < 100)
			rte_pause();
		else
			usleep(10);
	}
}

void vhost_queue_start(struct vhost_queue *q)
{
	atomic_store_explicit(&q->ready, true, memory_order_seq_cst);
}

/** End of a burst: what was used becomes the guest's, who is woken if it wants that. */
static void publish(struct vhost_queue *q)
{
	if (!virtq_publish(&q->ring) || q->call_fd < 0)
		return;
	memif_kick(q->call_fd);
	counter_add(&q->calls, 1);
}

/* --- from the guest --------------------------------------------------------------------------------------------- */

/** Where the frame begins, for prefetching: drivers put the header at the end of the line before. `data` may be NULL. */
static inline void *behind_header(const struct vhost_queue *q, const uint8_t *data)
{
	return (void *)((uintptr_t)data + q->header_size);
}

struct rx_frame {
	struct virtq_head head;
	const uint8_t *data; /* NULL: not one simple buffer */
};

/** The next chains, and a start at fetching their bytes. The ring's position stays. */
static uint16_t rx_scan(struct vhost_queue *q, struct virtq_place *place, uint16_t limit,
	struct rx_frame *frames, uint16_t max)
{
	uint16_t count = 0;

	while (count < max && virtq_head(&q->ring, limit, place, &frames[count].head)) {
		struct rx_frame *f = &frames[count++];

		f->data = virtq_simple(&q->ring, &f->head, false);
		rte_prefetch0(f->data);
		rte_prefetch0(behind_header(q, f->data));
	}
	return count;
}

/** The header as the guest wrote it, without what only a device may say (virtio 1.2 section 5.1.6.2.2). */
static bool accept_header(struct vhost_queue *q, struct rte_mbuf *m, struct virtio_net_hdr *hdr)
{
	hdr->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (hdr->flags == 0 && hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	if (!virtio_hdr_accept(m, hdr))
		return false;
	if (m->ol_flags & OFFLOAD_LARGE)
		counter_add(&q->segments, 1);
	return true;
}

/** Copy n bytes from *at on, which moves. The caller knows that they are there. */
static void span_read(const struct virtq_span **at, uint32_t *off, void *to, uint32_t n)
{
	uint8_t *out = to;

	while (n > 0) {
		uint32_t part = RTE_MIN(n, (*at)->len - *off);

		rte_memcpy(out, (*at)->data + *off, part);
		out += part;
		n -= part;
		*off += part;
		if (*off == (*at)->len) {
			(*at)++;
			*off = 0;
		}
	}
}

/** @return 0, -ENOBUFS: try again later, -EBADMSG: malformed. */
static int rx_slow(struct vhost_queue *q, const struct rx_frame *f, struct rte_mempool *pool,
	struct rte_mempool *large, struct rte_mbuf **out)
{
	struct virtq_span spans[VIRTQ_CHAIN_MAX];
	const struct virtq_span *at = spans;
	struct virtio_net_hdr_mrg_rxbuf hdr;
	uint32_t bytes = 0, off = 0, left;
	struct rte_mbuf *m, *last;
	uint16_t count = 0;

	if (!virtq_spans(&q->ring, &f->head, false, spans, RTE_DIM(spans), &count, &bytes) ||
		bytes < (uint32_t)q->header_size + RTE_ETHER_HDR_LEN ||
		bytes - q->header_size > VHOST_FRAME_MAX)
		return -EBADMSG;
	left = bytes - q->header_size;
	if (large != NULL && left + RTE_PKTMBUF_HEADROOM > rte_pktmbuf_data_room_size(pool))
		pool = large;
	m = last = rte_pktmbuf_alloc(pool);
	if (m == NULL)
		return -ENOBUFS;
	span_read(&at, &off, &hdr, q->header_size);
	m->pkt_len = left;
	while (left > 0) {
		uint32_t part = RTE_MIN(left, (uint32_t)rte_pktmbuf_tailroom(last));

		span_read(&at, &off, rte_pktmbuf_mtod(last, void *), part);
		last->data_len = (uint16_t)part;
		left -= part;
		if (left == 0)
			break;
		last->next = rte_pktmbuf_alloc(pool);
		if (last->next == NULL) {
			rte_pktmbuf_free(m);
			return -ENOBUFS;
		}
		last = last->next;
		last->data_off = 0; /* headroom is for the first */
		m->nb_segs++;
	}
	if (!accept_header(q, m, &hdr.hdr)) {
		rte_pktmbuf_free(m);
		return -EBADMSG;
	}
	*out = m;
	return 0;
}

/** One buffer of the guest into one of ours. @return false when malformed. */
static inline bool rx_simple(struct vhost_queue *q, const struct rx_frame *f, struct rte_mbuf *m)
{
	uint16_t len = (uint16_t)(f->head.len - q->header_size), asks;
	struct virtio_net_hdr hdr;

	memcpy(&asks, f->data, sizeof(asks)); /* flags and gso_type */
	rte_memcpy(rte_pktmbuf_mtod(m, void *), f->data + q->header_size, len);
	m->data_len = len;
	m->pkt_len = len;
	if (likely(asks == 0))
		return true;
	memcpy(&hdr, f->data, sizeof(hdr));
	return accept_header(q, m, &hdr);
}

/** Copy frames out and use them up. @return packets; *stop when buffers ran out. */
static uint16_t rx_copy(struct vhost_queue *q, const struct rx_frame *frames, uint16_t count,
	struct rte_mempool *pool, struct rte_mempool *large, struct rte_mbuf **pkts, uint32_t *bad,
	bool *stop)
{
	uint32_t least = (uint32_t)q->header_size + RTE_ETHER_HDR_LEN;
	struct rte_mbuf *bufs[BATCH];
	uint16_t n_bufs = count, used = 0, out = 0, i;

	while (n_bufs > 0 && rte_pktmbuf_alloc_bulk(pool, bufs, n_bufs) != 0)
		n_bufs /= 2;
	for (i = 0; i < count; i++) {
		const struct rx_frame *f = &frames[i];

		if (likely(f->data != NULL && used < n_bufs && f->head.len >= least &&
			    f->head.len - q->header_size <= rte_pktmbuf_tailroom(bufs[used]))) {
			struct rte_mbuf *m = bufs[used];

			if (likely(rx_simple(q, f, m))) {
				used++;
				pkts[out++] = m;
			} else {
				rte_pktmbuf_reset(m);
				(*bad)++;
			}
		} else {
			int ret = rx_slow(q, f, pool, large, &pkts[out]);

			if (ret == -ENOBUFS)
				break;
			if (ret == 0)
				out++;
			else
				(*bad)++;
		}
		virtq_use(&q->ring, &f->head, 0);
	}
	*stop = i < count;
	rte_pktmbuf_free_bulk(&bufs[used], (unsigned)(n_bufs - used));
	return out;
}

uint16_t vhost_queue_rx(struct vhost_queue *q, struct rte_mempool *pool, struct rte_mempool *large,
	struct rte_mbuf **pkts, uint16_t n)
{
	struct rx_frame frames[BATCH];
	struct virtq_place place;
	uint16_t out = 0, limit;
	uint64_t bytes = 0;
	uint32_t bad = 0;
	bool stop = false;

	if (!vhost_queue_enter(q, false))
		return 0;
	if (unlikely(q->ring.broken)) {
		vhost_queue_leave(q);
		return 0;
	}
	limit = virtq_limit(&q->ring);
	/* A malformed frame uses up budget like a good one, so that a burst is bounded. */
	for (uint16_t budget = n; budget > 0 && !stop;) {
		uint16_t count;

		place = q->ring.at;
		count = rx_scan(q, &place, limit, frames, (uint16_t)RTE_MIN(budget, BATCH));
		if (count == 0)
			break;
		out = (uint16_t)(out +
				 rx_copy(q, frames, count, pool, large, &pkts[out], &bad, &stop));
		budget = (uint16_t)(budget - count);
	}
	bad += q->ring.broken;
	publish(q);
	for (uint16_t i = 0; i < out; i++)
		bytes += pkts[i]->pkt_len;
	if (out > 0) {
		counter_add(&q->packets, out);
		counter_add(&q->bytes, bytes);
	}
	if (unlikely(bad > 0))
		counter_add(&q->errors, bad);
	vhost_queue_leave(q);
	return out;
}

/* --- to the guest ----------------------------------------------------------------------------------------------- */

enum tx_result { TX_SENT, TX_FULL, TX_REFUSED };

/** The virtio header of a packet; offload words the guest has no use for are gone. */
static void make_header(const struct vhost_queue *q, const struct rte_mbuf *m, uint16_t buffers,
	struct virtio_net_hdr_mrg_rxbuf *hdr)
{
	virtio_hdr_make(m, &hdr->hdr);
	if (!(q->guest & VHOST_GUEST_ECN))
		hdr->hdr.gso_type &= (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	hdr->num_buffers = buffers;
}

/** Write n bytes at *at, which moves; the caller made sure of the room. */
static void span_write(struct virtq_span **at, const void *from, uint32_t n)
{
	const uint8_t *in = from;

	while (n > 0) {
		uint32_t part = RTE_MIN(n, (*at)->len);

		rte_memcpy((*at)->data, in, part);
		in += part;
		n -= part;
		(*at)->data += part;
		(*at)->len -= part;
		if ((*at)->len == 0)
			(*at)++;
	}
}

/** A packet or buffers in several parts. */
static enum tx_result tx_slow(
	struct vhost_queue *q, uint16_t limit, const struct rte_mbuf *m, uint32_t *bad)
{
	struct virtq_head heads[HEADS_MAX];
	uint32_t sizes[HEADS_MAX], room = 0, need = m->pkt_len + q->header_size, left = need;
	struct virtq_span spans[VIRTQ_CHAIN_MAX], *at = spans;
	uint16_t n_heads = 0, n_spans = 0, most = q->guest & VHOST_MERGEABLE ? HEADS_MAX : 1;
	struct virtio_net_hdr_mrg_rxbuf hdr;
	struct virtq_place place = q->ring.at;

	while (room < need) {
		uint32_t before = room;

		if (n_heads == most)
			return TX_REFUSED;
		if (!virtq_head(&q->ring, limit, &place, &heads[n_heads]))
			return TX_FULL;
		if (!virtq_spans(&q->ring, &heads[n_heads], true, spans, RTE_DIM(spans), &n_spans,
			    &room) ||
			room == before) {
			/* It would be met again and again: back it goes, with what was found before it. */
			for (uint16_t i = 0; i <= n_heads; i++)
				virtq_use(&q->ring, &heads[i], 0);
			(*bad)++;
			n_heads = n_spans = 0;
			room = 0;
			continue;
		}
		sizes[n_heads++] = room - before;
	}
	make_header(q, m, n_heads, &hdr);
	span_write(&at, &hdr, q->header_size);
	for (; m != NULL; m = m->next)
		span_write(&at, rte_pktmbuf_mtod(m, const void *), m->data_len);
	for (uint16_t i = 0; i < n_heads; i++) {
		uint32_t written = RTE_MIN(left, sizes[i]);

		left -= written;
		virtq_use_part(&q->ring, &heads[i], written, left);
	}
	return TX_SENT;
}

/** The buffers the next packets go to, if each takes one, and a start at fetching them. */
struct tx_buffers {
	uint16_t count, next;
	struct tx_buffer {
		struct virtq_head head;
		uint8_t *to; /* NULL: not one simple buffer */
	} items[BATCH];
};

static void tx_scan(struct vhost_queue *q, uint16_t limit, struct tx_buffers *b, uint16_t max)
{
	struct virtq_place place = q->ring.at;

	b->count = b->next = 0;
	while (b->count < max && virtq_head(&q->ring, limit, &place, &b->items[b->count].head)) {
		struct tx_buffer *buffer = &b->items[b->count++];

		buffer->to = virtq_simple(&q->ring, &buffer->head, true);
		rte_prefetch0_write(buffer->to);
		rte_prefetch0_write(behind_header(q, buffer->to));
	}
}

/** Does the guest take a large packet of this kind? */
static bool takes_large(const struct vhost_queue *q, const struct rte_mbuf *m)
{
	uint8_t kind = offload_is_datagram(m)		     ? VHOST_GUEST_UFO
		       : m->ol_flags & RTE_MBUF_F_TX_UDP_SEG ? VHOST_GUEST_USO
							     : VHOST_GUEST_TSO;

	return (q->guest & kind) != 0;
}

static inline enum tx_result tx_one(struct vhost_queue *q, uint16_t limit, struct tx_buffers *b,
	struct rte_mbuf *m, uint32_t *bad)
{
	const uint64_t asks = RTE_MBUF_F_TX_L4_MASK | OFFLOAD_LARGE;
	struct virtio_net_hdr_mrg_rxbuf hdr = { .num_buffers = 1 };
	const struct tx_buffer *buffer = &b->items[b->next];

	if (unlikely(m->ol_flags & asks)) {
		/* The guest may have changed since the packet was made ready for it. */
		if ((m->ol_flags & OFFLOAD_LARGE) && !takes_large(q, m))
			return TX_REFUSED;
		if (!(q->guest & VHOST_GUEST_CSUM) && !offload_complete_checksum(m))
			return TX_REFUSED;
		make_header(q, m, 1, &hdr);
	}
	if (unlikely(b->next == b->count))
		return TX_FULL;
	if (unlikely(buffer->to == NULL || m->nb_segs != 1 ||
		     buffer->head.len < m->pkt_len + q->header_size)) {
		b->count = b->next; /* it may take several: look anew */
		return tx_slow(q, limit, m, bad);
	}
	memcpy(buffer->to, &hdr,
		sizeof(hdr)); /* of a header of ten bytes the last two are overwritten now */
	rte_memcpy(buffer->to + q->header_size, rte_pktmbuf_mtod(m, const void *), m->data_len);
	virtq_use(&q->ring, &buffer->head, m->pkt_len + q->header_size);
	b->next++;
	return TX_SENT;
}

static uint16_t tx_burst(struct vhost_queue *q, struct rte_mbuf **pkts, uint16_t n, uint32_t *bad)
{
	uint16_t limit = virtq_limit(&q->ring), sent = 0;
	struct tx_buffers buffers = { .count = 0 };
	uint64_t bytes = 0;

	while (sent < n && !q->ring.broken) {
		enum tx_result result;

		if (buffers.next == buffers.count)
			tx_scan(q, limit, &buffers, (uint16_t)RTE_MIN(n - sent, BATCH));
		result = tx_one(q, limit, &buffers, pkts[sent], bad);
		if (unlikely(result == TX_FULL))
			break;
		if (unlikely(result == TX_REFUSED)) {
			(*bad)++;
			n = port_tx_refuse(pkts, sent, n);
			continue;
		}
		if (unlikely(pkts[sent]->ol_flags & OFFLOAD_LARGE))
			counter_add(&q->segments, 1);
		bytes += pkts[sent++]->pkt_len;
	}
	if (sent > 0) {
		counter_add(&q->packets, sent);
		counter_add(&q->bytes, bytes);
	}
	return sent;
}

uint16_t vhost_queue_tx(struct vhost_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t bad = 0;
	uint16_t sent;

	if (!vhost_queue_enter(q, true))
		return 0;
	if (unlikely(q->ring.broken)) {
		vhost_queue_leave(q);
		return 0;
	}
	sent = tx_burst(q, pkts, n, &bad);
	bad += q->ring.broken;
	publish(q);
	if (unlikely(bad > 0))
		counter_add(&q->errors, bad);
	vhost_queue_leave(q);
	rte_pktmbuf_free_bulk(pkts, sent);
	return sent;
}

/* --- sleep ------------------------------------------------------------------------------------------------------ */

bool vhost_queue_arm(struct vhost_queue *q, bool on)
{
	uint64_t count;
	struct iovec iov = { .iov_base = &count, .iov_len = sizeof(count) };
	bool idle;

	/* Not ready: whoever makes it ready wakes the worker. */
	if (!vhost_queue_enter(q, false))
		return true;
	/* RWF_NOWAIT, because the guest may have made its eventfd a blocking one. Nothing to read is the common case. */
	if (on && q->kick_fd >= 0 && preadv2(q->kick_fd, &iov, 1, -1, RWF_NOWAIT) == sizeof(count))
		counter_add(&q->kicks, count);
	idle = virtq_arm(&q->ring, on);
	vhost_queue_leave(q);
	return idle;
}
