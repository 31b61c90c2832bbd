/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/xdp_queue.h"

#include "dataplane/port.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <rte_ether.h>
#include <rte_prefetch.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/xsk.h>

/* Linux 6.6; younger than the headers of Debian 12 */
#ifndef XDP_USE_SG
#define XDP_USE_SG    (1 << 4)
#define XDP_PKT_CONTD (1 << 0)
#endif

#define RING_SIZE  2048u /* of each of the four rings, and frames a direction */
#define RX_BURST   128u
#define TX_KICKS   80u /* system calls a burst: a copying kernel sends 32 frames a call */
#define BUSY_TRIES 50u
#define BUSY_US	   10000u
#define FRAME_ROOM 256u /* XDP_PACKET_HEADROOM, in front of what is received */

struct xdp_queue {
	/* The worker that receives. */
	struct xsk_ring_cons rx;
	struct xsk_ring_prod fill;
	/* Senders, one at a time. */
	struct xsk_ring_prod tx __rte_cache_aligned;
	struct xsk_ring_cons completion;
	uint32_t n_free;
	uint64_t free[RING_SIZE]; /* frames nobody sends */
	/* Writers: both, each when it has kicked. */
	_Atomic bool unsent; /* the kernel has yet to take some */
	_Atomic uint64_t no_buffer;
	/* Writer: control. */
	_Atomic uint64_t wire_mac; /* in the first six bytes; 0 = as inside */
	/* Constant. */
	int fd;
	uint32_t frame_size, frame_bytes;
	uint8_t *area;
	size_t area_size;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct rte_mempool *pool;
	bool zero_copy;
	bool chains; /* a frame may take several buffers */
	struct mac_addr inside;
};

/* --- life ----------------------------------------------------------------------------------------------------- */

static int open_area(struct xdp_queue *q)
{
	q->area_size = (size_t)2 * RING_SIZE * q->frame_size;
	q->area = mmap(NULL, q->area_size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (q->area == MAP_FAILED) {
		q->area = NULL;
		return -ENOMEM;
	}
	return 0;
}

/** The first half of the frames are the receiver's, the second half the senders'. */
static void hand_out_frames(struct xdp_queue *q)
{
	uint32_t at = 0;

	xsk_ring_prod__reserve(&q->fill, RING_SIZE, &at);
	for (uint32_t i = 0; i < RING_SIZE; i++) {
		*xsk_ring_prod__fill_addr(&q->fill, at + i) = (uint64_t)i * q->frame_size;
		q->free[i] = (uint64_t)(RING_SIZE + i) * q->frame_size;
	}
	xsk_ring_prod__submit(&q->fill, RING_SIZE);
	q->n_free = RING_SIZE;
}

static int open_socket(struct xdp_queue *q, const struct xdp_queue_params *params)
{
	const struct xsk_umem_config frames = {
		.fill_size = RING_SIZE, .comp_size = RING_SIZE, .frame_size = q->frame_size
	};
	/* The program and its map are the port's. */
	const struct xsk_socket_config config = { .rx_size = RING_SIZE,
		.tx_size = RING_SIZE,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = (uint16_t)(XDP_USE_NEED_WAKEUP | (params->native ? 0 : XDP_COPY) |
					 (q->chains ? XDP_USE_SG : 0)) };
	struct xdp_options options = { 0 };
	socklen_t len = sizeof(options);
	int ret;

	ret = xsk_umem__create(&q->umem, q->area, q->area_size, &q->fill, &q->completion, &frames);
	if (ret < 0)
		return ret;
	ret = xsk_socket__create(
		&q->socket, params->interface, params->queue, q->umem, &q->rx, &q->tx, &config);
	if (ret < 0)
		return ret;
	q->fd = xsk_socket__fd(q->socket);
	if (getsockopt(q->fd, SOL_XDP, XDP_OPTIONS, &options, &len) == 0)
		q->zero_copy = (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
	return 0;
}

static void close_socket(struct xdp_queue *q)
{
	if (q->socket != NULL)
		xsk_socket__delete(q->socket);
	if (q->umem != NULL)
		xsk_umem__delete(q->umem);
	q->socket = NULL;
	q->umem = NULL;
}

int xdp_queue_open(const struct xdp_queue_params *params, struct xdp_queue **out, struct error *err)
{
	struct xdp_queue *q =
		aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*q), RTE_CACHE_LINE_SIZE));
	int ret;

	if (q == NULL)
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", params->port);
	memset(q, 0, sizeof(*q));
	q->frame_size = params->frame_bytes + FRAME_ROOM <= 2048 ? 2048 : 4096;
	q->frame_bytes = params->frame_bytes;
	q->chains = params->frame_bytes > XDP_QUEUE_FRAME_ONE;
	q->inside = params->inside;
	q->pool = params->pool;
	ret = open_area(q);
	if (ret == 0)
		ret = open_socket(q, params);
	/* The kernel lets go of a socket that was closed a moment ago (by the daemon before us) in its own time. */
	for (unsigned i = 0; ret == -EBUSY && i < BUSY_TRIES; i++) {
		close_socket(q);
		usleep(BUSY_US);
		ret = open_socket(q, params);
	}
	if (ret == -EINVAL && q->chains) {
		xdp_queue_close(q);
		return error_set(err, EOPNOTSUPP, "mtu",
			"port %s: this kernel's AF_XDP carries an MTU of at most %u, not %u (Linux "
			"6.6 carries more): lower the "
			"uplink's mtu, or use driver = \"af_packet\"",
			params->port, XDP_QUEUE_FRAME_ONE - RTE_ETHER_HDR_LEN,
			params->frame_bytes - RTE_ETHER_HDR_LEN);
	}
	if (ret < 0) {
		xdp_queue_close(q);
		return error_set(err, -ret, NULL,
			"port %s: no AF_XDP socket on queue %u of %s: %s%s", params->port,
			params->queue, params->interface, strerror(-ret),
			ret == -EBUSY	? ": another program has one there"
			: ret == -EPERM ? ": the daemon needs CAP_NET_RAW"
					: "");
	}
	hand_out_frames(q);
	*out = q;
	return 0;
}

void xdp_queue_close(void *queue)
{
	struct xdp_queue *q = queue;

	close_socket(q);
	if (q->area != NULL)
		munmap(q->area, q->area_size);
	free(q);
}

int xdp_queue_fd(const struct xdp_queue *q)
{
	return q->fd;
}

bool xdp_queue_zero_copy(const struct xdp_queue *q)
{
	return q->zero_copy;
}

void xdp_queue_set_mac(struct xdp_queue *q, const struct mac_addr *mac)
{
	uint64_t bytes = 0;

	if (memcmp(mac, &q->inside, sizeof(*mac)) != 0)
		memcpy(&bytes, mac->bytes, sizeof(mac->bytes));
	atomic_store_explicit(&q->wire_mac, bytes, memory_order_relaxed);
}

uint64_t xdp_queue_lost(const struct xdp_queue *q)
{
	struct xdp_statistics s = { 0 };
	socklen_t len = sizeof(s);
	uint64_t lost = atomic_load_explicit(&q->no_buffer, memory_order_relaxed);

	if (getsockopt(q->fd, SOL_XDP, XDP_STATISTICS, &s, &len) == 0)
		lost += s.rx_dropped + s.rx_ring_full;
	return lost;
}

/* --- receiving ------------------------------------------------------------------------------------------------ */

/** The kernel has yet to take something, and will not by itself. */
static bool unsent(const struct xdp_queue *q)
{
	return __atomic_load_n(q->tx.consumer, __ATOMIC_ACQUIRE) !=
		       __atomic_load_n(q->tx.producer, __ATOMIC_ACQUIRE) &&
	       xsk_ring_prod__needs_wakeup(&q->tx);
}

/** Get the kernel to send what is in the ring. Either worker; nothing of the ring is written. */
static void kick(struct xdp_queue *q, unsigned calls)
{
	while (calls-- > 0) {
		if (sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN &&
			errno != EBUSY)
			break; /* the interface is down, or full: later */
		if (q->zero_copy || !unsent(q))
			break;
	}
	atomic_store_explicit(&q->unsent, unsent(q), memory_order_relaxed);
}

/** Frames go back to the kernel as they came, in whatever order. */
static void refill(struct xdp_queue *q, const uint64_t *frames, uint32_t n)
{
	uint32_t at;

	/* The ring holds all there are. */
	if (xsk_ring_prod__reserve(&q->fill, n, &at) != n)
		return;
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&q->fill, at + i) = frames[i];
	xsk_ring_prod__submit(&q->fill, n);
}

/** Of descriptors that are there, those of whole frames. */
static uint32_t whole(const struct xdp_queue *q, uint32_t at, uint32_t got)
{
	while (got > 0 && xsk_ring_cons__rx_desc(&q->rx, at + got - 1)->options & XDP_PKT_CONTD)
		got--;
	return got;
}

/** Frames that may take several buffers: each becomes one mbuf, which has room. @return how many. */
static uint16_t join(struct xdp_queue *q, uint32_t at, uint32_t got, struct rte_mbuf **pkts)
{
	uint16_t n = 0;
	bool more = false;

	for (uint32_t i = 0; i < got; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&q->rx, at + i);
		struct rte_mbuf *m = pkts[n];
		uint32_t used = more ? m->pkt_len : 0, len;

		m->data_len = (uint16_t)used;
		len = RTE_MIN(desc->len, (uint32_t)rte_pktmbuf_tailroom(m));
		memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, used), q->area + desc->addr, len);
		m->data_len = (uint16_t)(used + len);
		m->pkt_len = used + len;
		more = (desc->options & XDP_PKT_CONTD) != 0;
		n += !more;
	}
	rte_pktmbuf_free_bulk(&pkts[n], got - n);
	return n;
}

/** The interface has another MAC address than the port was opened with. */
static void address_inside(
	const struct xdp_queue *q, struct rte_mbuf **pkts, uint16_t n, uint64_t wire)
{
	for (uint16_t i = 0; i < n; i++) {
		uint8_t *to = rte_pktmbuf_mtod(pkts[i], uint8_t *);

		if (memcmp(to, &wire, RTE_ETHER_ADDR_LEN) == 0)
			memcpy(to, q->inside.bytes, RTE_ETHER_ADDR_LEN);
	}
}

uint16_t xdp_queue_rx(struct xdp_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	const uint64_t wire = atomic_load_explicit(&q->wire_mac, memory_order_relaxed);
	uint64_t frames[RX_BURST];
	uint32_t got, at;
	uint16_t received;

	if (unlikely(atomic_load_explicit(&q->unsent, memory_order_relaxed)))
		kick(q, 1);
	got = xsk_ring_cons__peek(&q->rx, RTE_MIN((uint32_t)n, RX_BURST), &at);
	if (got == 0) {
		/* A zero-copy driver that ran out of frames sleeps until told. */
		if (unlikely(xsk_ring_prod__needs_wakeup(&q->fill)))
			recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
		return 0;
	}
	if (unlikely(q->chains)) {
		const uint32_t seen = got;

		got = whole(q, at, seen);
		xsk_ring_cons__cancel(&q->rx, seen - got);
		if (got == 0)
			return 0;
	}
	if (unlikely(rte_pktmbuf_alloc_bulk(q->pool, pkts, got) != 0)) {
		for (uint32_t i = 0; i < got; i++)
			frames[i] = xsk_ring_cons__rx_desc(&q->rx, at + i)->addr &
				    ~(uint64_t)(q->frame_size - 1);
		atomic_store_explicit(&q->no_buffer,
			atomic_load_explicit(&q->no_buffer, memory_order_relaxed) + got,
			memory_order_relaxed);
		xsk_ring_cons__release(&q->rx, got);
		refill(q, frames, got);
		return 0;
	}
	for (uint32_t i = 0; i < got; i++)
		rte_prefetch0(q->area + xsk_ring_cons__rx_desc(&q->rx, at + i)->addr);
	received = (uint16_t)got;
	for (uint32_t i = 0; i < got && unlikely(q->chains); i++)
		frames[i] = xsk_ring_cons__rx_desc(&q->rx, at + i)->addr &
			    ~(uint64_t)(q->frame_size - 1);
	if (unlikely(q->chains))
		received = join(q, at, got, pkts);
	for (uint32_t i = 0; i < got && likely(!q->chains); i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&q->rx, at + i);
		struct rte_mbuf *m = pkts[i];
		/* The kernel is trusted, yet a frame longer than the buffer must not be possible here. */
		uint32_t len = RTE_MIN(desc->len, (uint32_t)rte_pktmbuf_tailroom(m));

		memcpy(rte_pktmbuf_mtod(m, void *), q->area + desc->addr, len);
		m->data_len = (uint16_t)len;
		m->pkt_len = len;
		frames[i] = desc->addr & ~(uint64_t)(q->frame_size - 1);
	}
	xsk_ring_cons__release(&q->rx, got);
	refill(q, frames, got);
	if (unlikely(wire != 0))
		address_inside(q, pkts, received, wire);
	return received;
}

bool xdp_queue_idle(struct xdp_queue *q)
{
	if (unsent(q)) {
		atomic_store_explicit(&q->unsent, true, memory_order_relaxed);
		return false;
	}
	return xsk_cons_nb_avail(&q->rx, 1) == 0;
}

/* --- sending -------------------------------------------------------------------------------------------------- */

static void reclaim(struct xdp_queue *q)
{
	uint32_t at, n = xsk_ring_cons__peek(&q->completion, RING_SIZE, &at);

	for (uint32_t i = 0; i < n; i++)
		q->free[q->n_free++] = *xsk_ring_cons__comp_addr(&q->completion, at + i) &
				       ~(uint64_t)(q->frame_size - 1);
	if (n > 0)
		xsk_ring_cons__release(&q->completion, n);
}

static void copy_out(const struct rte_mbuf *m, uint8_t *to)
{
	for (; m != NULL; m = m->next) {
		memcpy(to, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
		to += m->data_len;
	}
}

/** Buffers a packet takes. */
static uint32_t buffers_of(const struct xdp_queue *q, const struct rte_mbuf *m)
{
	return q->chains ? (m->pkt_len + q->frame_size - 1) / q->frame_size : 1;
}

/** A packet of one or more buffers, at this place of the ring. @return how many. */
static uint32_t put(struct xdp_queue *q, uint32_t at, const struct rte_mbuf *m, uint64_t wire)
{
	const uint32_t n = buffers_of(q, m), len = m->pkt_len;
	uint32_t in = 0; /* so much of m is copied */

	for (uint32_t i = 0; i < n; i++) {
		const uint32_t size = RTE_MIN(len - i * q->frame_size, q->frame_size);

		struct xdp_desc *desc = xsk_ring_prod__tx_desc(&q->tx, at + i);

		*desc = (struct xdp_desc){ .addr = q->free[--q->n_free],
			.len = size,
			.options = i + 1 < n ? XDP_PKT_CONTD : 0 };
		if (n == 1) {
			copy_out(m, q->area + desc->addr);
			break;
		}
		for (uint32_t done = 0; done < size && m != NULL;) {
			const uint32_t part = RTE_MIN(size - done, (uint32_t)m->data_len - in);

			memcpy(q->area + desc->addr + done,
				rte_pktmbuf_mtod_offset(m, const uint8_t *, in), part);
			done += part;
			in += part;
			if (in == m->data_len) {
				m = m->next;
				in = 0;
			}
		}
	}
	if (unlikely(wire != 0))
		memcpy(q->area + xsk_ring_prod__tx_desc(&q->tx, at)->addr + RTE_ETHER_ADDR_LEN,
			&wire, RTE_ETHER_ADDR_LEN);
	return n;
}

/** How many packets there are buffers and descriptors for, and how many of these they take. */
static uint16_t fitting(
	struct xdp_queue *q, struct rte_mbuf *const *pkts, uint16_t n, uint32_t *taken)
{
	uint32_t want = 0, room;
	uint16_t fit = 0;

	for (uint16_t i = 0; i < n; i++)
		want += buffers_of(q, pkts[i]);
	if (q->n_free < RING_SIZE / 2 || q->n_free < want)
		reclaim(q);
	if (unlikely(q->n_free < want)) {
		kick(q, TX_KICKS);
		reclaim(q);
	}
	/* As many frames as descriptors: one that is free has room in the ring, once the kernel let go of it. */
	room = RTE_MIN(q->n_free, xsk_prod_nb_free(&q->tx, want));
	*taken = 0;
	while (fit < n && *taken + buffers_of(q, pkts[fit]) <= room)
		*taken += buffers_of(q, pkts[fit++]);
	return fit;
}

uint16_t xdp_queue_tx(struct xdp_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	const uint64_t wire = atomic_load_explicit(&q->wire_mac, memory_order_relaxed);
	uint32_t at, taken;
	uint16_t sent;

	for (uint16_t i = 0; i < n;) {
		if (likely(pkts[i]->pkt_len <= q->frame_bytes))
			i++;
		else
			n = port_tx_refuse(pkts, i, n);
	}
	sent = fitting(q, pkts, n, &taken);
	if (sent == 0 || xsk_ring_prod__reserve(&q->tx, taken, &at) != taken)
		return 0;
	for (uint16_t i = 0; i < sent; i++)
		at += put(q, at, pkts[i], wire);
	xsk_ring_prod__submit(&q->tx, taken);
	rte_pktmbuf_free_bulk(pkts, sent);
	if (xsk_ring_prod__needs_wakeup(&q->tx))
		kick(q, TX_KICKS);
	return sent;
}
