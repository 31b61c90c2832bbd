/* SPDX-License-Identifier: Apache-2.0 */
/** The tap driver: an interface in a pod's network namespace (or the node's own: the host port),
 * with our side a descriptor a queue. Packets cross with a virtio header, so TCP segments of up to
 * 64 KiB and partial checksums pass as they are, both ways.
 *
 * The interface is made in the daemon's namespace and moved: the descriptors then do not keep the
 * pod's namespace alive, and when it goes, so does the interface; `tick` notices, and makes it anew
 * when there is a namespace of that name again. */
#include "dataplane/kernel_flows.h"
#include "dataplane/netns_watch.h"
#include "dataplane/port.h"

#include "config/log.h"
#include "dataplane/tap_follow.h"
#include "dataplane/tap_interface.h"
#include "dataplane/tap_netlink.h"
#include "dataplane/tap_ready.h"
#include "dataplane/virtio_hdr.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <rte_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define STOCK	    32 /* small buffers taken from the pool at a time */
#define FRAME_MAX   (65535 + 40 + RTE_ETHER_HDR_LEN) /* what lengths in IP headers can say */
#define LARGE_MAX   34	/* buffers behind the small one: all of 64 KiB even from 2 KiB buffers */
#define TX_IOV_MAX  128 /* buffers of one packet, and its virtio header */
#define LOOK_TICKS  10	/* between looks at the namespace: a second */
#define RETRY_TICKS 10	/* between attempts to make an interface that is gone: a second */

enum tap_state {
	TAP_ALIVE,
	TAP_DEAD,    /* the interface is gone */
	TAP_RENEWED, /* there is another one behind the descriptor: its worker has not seen that yet */
};

/** Owned by the queue's worker, but for what is said. */
struct tap_queue {
	int fd;
	_Atomic uint8_t
		state; /* enum tap_state; writers: worker (dead; renewed to alive), control */
	struct tap_ready ready;
	uint16_t n_small, n_large;
	uint32_t large_room; /* bytes, of all in large[] */
	struct virtio_net_hdr rx_hdr;
	struct iovec rx_iov[2 + LARGE_MAX]; /* header, small buffer, n_large others */
	struct rte_mbuf *small[STOCK];
	struct rte_mbuf *large[LARGE_MAX];
} __rte_cache_aligned;

struct port_tap {
	struct port port;
	struct rte_mempool *pool, *large_pool;
	uint32_t large_wanted; /* bytes behind the small buffer that hold the rest of any frame */
	_Atomic bool
		beside; /* the TAP is beside a veth pair and stays up when the pod sets its interface down;
			      * writer: control */
	/* From here to the queues: control thread only. */
	struct tap_interface behind; /* n: queues with a descriptor */
	bool wants_veth;
	bool gone;
	uint8_t retry; /* ticks until the next attempt to make it anew */
	uint8_t look;  /* ticks until the next look at the namespace */
	bool was_down; /* since it was made, or made anew */
	struct netns_id netns_id;
	char interface[IFNAMSIZ];
	char netns[PATH_MAX]; /* "" = the daemon's own */
	struct mac_addr pod_mac;
	struct tap_follow follow;
	struct ip_addr gateway[2];
	struct tap_addressing has;
	struct tap_queue queues[PORT_QUEUE_MAX];
};

enum stock { STOCK_FULL, STOCK_SHORT, STOCK_NONE };

/** Take buffers so that a frame of any size can be read. Only what was used is missing.
 * @return STOCK_SHORT when only small frames can be, STOCK_NONE when not even these. */
static enum stock rx_restock(struct port_tap *p, struct tap_queue *q)
{
	if (q->n_small == 0) {
		if (rte_pktmbuf_alloc_bulk(p->pool, q->small, STOCK) == 0) {
			q->n_small = STOCK;
		} else {
			q->small[0] = rte_pktmbuf_alloc(p->pool);
			if (q->small[0] == NULL)
				return STOCK_NONE;
			q->n_small = 1;
		}
	}
	while (q->large_room < p->large_wanted && q->n_large < LARGE_MAX) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(p->large_pool);

		if (m == NULL)
			m = rte_pktmbuf_alloc(p->pool);
		if (m == NULL)
			return STOCK_SHORT;
		q->large[q->n_large] = m;
		q->large_room += rte_pktmbuf_tailroom(m);
		q->rx_iov[2 + q->n_large++] =
			(struct iovec){ rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m) };
	}
	return q->large_room >= p->large_wanted ? STOCK_FULL : STOCK_SHORT;
}

/** A queue that was read empty keeps no buffers: those of hundreds of idle pods would be missed. */
static void rx_unstock(struct tap_queue *q)
{
	rte_pktmbuf_free_bulk(q->small, q->n_small);
	rte_pktmbuf_free_bulk(q->large, q->n_large);
	q->n_small = 0;
	q->n_large = 0;
	q->large_room = 0;
}

/** Make a packet of the buffers that were read into. */
static struct rte_mbuf *rx_take(struct tap_queue *q, uint32_t len)
{
	struct rte_mbuf *head = q->small[--q->n_small], *last = head;
	uint32_t left = len - RTE_MIN(len, (uint32_t)q->rx_iov[1].iov_len);
	uint16_t used = 0;

	head->data_len = (uint16_t)(len - left);
	head->pkt_len = len;
	for (; left > 0; used++) {
		struct rte_mbuf *m = q->large[used];

		m->data_len = (uint16_t)RTE_MIN(left, (uint32_t)q->rx_iov[2 + used].iov_len);
		left -= m->data_len;
		q->large_room -= (uint32_t)q->rx_iov[2 + used].iov_len;
		last->next = m;
		last = m;
	}
	if (used > 0) {
		head->nb_segs = (uint16_t)(1 + used);
		q->n_large = (uint16_t)(q->n_large - used);
		memmove(&q->large[0], &q->large[used], q->n_large * sizeof(q->large[0]));
		memmove(&q->rx_iov[2], &q->rx_iov[2 + used], q->n_large * sizeof(q->rx_iov[0]));
	}
	return head;
}

static void rx_error(struct port_tap *p)
{
	atomic_fetch_add_explicit(&p->port.rx_errors, 1, memory_order_relaxed);
}

/** Is there no interface behind the descriptor any more? Other errors concern one packet. */
static bool is_gone(int error)
{
	return error == EBADFD || error == ENODEV || error == ENXIO || error == EBADF;
}

static bool is_dead(const struct tap_queue *q)
{
	return atomic_load_explicit(&q->state, memory_order_relaxed) == TAP_DEAD;
}

static void set_dead(struct tap_queue *q)
{
	atomic_store_explicit(&q->state, TAP_DEAD, memory_order_release);
}

/** Begin with a new interface. @return false when there is none. */
static bool renewed(struct tap_queue *q)
{
	uint8_t state = TAP_RENEWED;

	if (!atomic_compare_exchange_strong(&q->state, &state, TAP_ALIVE))
		return false;
	tap_ready_forget(&q->ready);
	return true;
}

static uint16_t tap_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_tap *p = (struct port_tap *)port;
	struct tap_queue *q = &p->queues[queue];
	uint16_t got = 0;

	if (unlikely(atomic_load_explicit(&q->state, memory_order_acquire) != TAP_ALIVE) &&
		!renewed(q))
		return 0;
	if (!tap_ready_poll(&q->ready, q->fd, port->id, queue))
		return 0;
	for (uint16_t tries = 0; tries < n; tries++) {
		enum stock stock = rx_restock(p, q);
		ssize_t len;

		/* What was read goes on first: its buffers will be back. With nothing read, small frames
		 * still flow. */
		if (unlikely(stock != STOCK_FULL && (got > 0 || stock == STOCK_NONE)))
			break;
		q->rx_iov[1].iov_base = rte_pktmbuf_mtod(q->small[q->n_small - 1], void *);
		q->rx_iov[1].iov_len = rte_pktmbuf_tailroom(q->small[q->n_small - 1]);
		len = readv(q->fd, q->rx_iov, 2 + q->n_large);
		if (len < 0) {
			if (errno == EAGAIN) {
				tap_ready_empty(&q->ready);
				rx_unstock(q);
				break;
			}
			if (is_gone(errno)) {
				set_dead(q);
				break;
			}
			rx_error(p);
			continue;
		}
		/* tun gives as much as there is room for, and says nothing about the rest. */
		if (unlikely((size_t)len < sizeof(q->rx_hdr) + RTE_ETHER_HDR_LEN ||
			     (stock != STOCK_FULL && (size_t)len >= sizeof(q->rx_hdr) +
									    q->rx_iov[1].iov_len +
									    q->large_room))) {
			rx_error(p);
			continue;
		}
		pkts[got] = rx_take(q, (uint32_t)len - (uint32_t)sizeof(q->rx_hdr));
		if (unlikely(!virtio_hdr_accept(pkts[got], &q->rx_hdr))) {
			rte_pktmbuf_free(pkts[got]);
			rx_error(p);
			continue;
		}
		got++;
	}
	/* Control has not looked yet. */
	if (unlikely(got > 0 && !atomic_load_explicit(&port->link_up, memory_order_relaxed) &&
		     atomic_load_explicit(&p->beside, memory_order_relaxed)))
		atomic_store_explicit(&port->link_up, true, memory_order_relaxed);
	return got;
}

/** @return 0, or -errno. The packet stays the caller's. */
static int tx_one(struct tap_queue *q, const struct rte_mbuf *m)
{
	struct iovec iov[TX_IOV_MAX];
	struct virtio_net_hdr hdr;
	int count = 0;

	if (unlikely(m->nb_segs >= TX_IOV_MAX))
		return -EMSGSIZE;
	virtio_hdr_make(m, &hdr);
	iov[count++] = (struct iovec){ &hdr, sizeof(hdr) };
	for (; m != NULL; m = m->next)
		iov[count++] = (struct iovec){ rte_pktmbuf_mtod(m, void *), m->data_len };
	return writev(q->fd, iov, count) < 0 ? -errno : 0;
}

static uint16_t tap_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct tap_queue *q = &((struct port_tap *)port)->queues[queue];
	uint16_t sent = 0;

	if (unlikely(
		    !atomic_load_explicit(&port->link_up, memory_order_relaxed) &&
		    atomic_load_explicit(&((struct port_tap *)port)->beside, memory_order_relaxed)))
		return 0;
	while (sent < n && !is_dead(q)) {
		int ret = tx_one(q, pkts[sent]);

		if (likely(ret == 0)) {
			sent++;
			continue;
		}
		if (is_gone(-ret))
			set_dead(q);
		/* EIO: the pod has set its interface down. */
		else if (ret != -EAGAIN && ret != -EIO && ret != -EINTR)
			n = port_tx_refuse(pkts, sent, n);
		else
			break;
	}
	rte_pktmbuf_free_bulk(pkts, sent);
	return sent;
}

static int tap_rx_fd(struct port *port, uint16_t queue)
{
	return ((struct port_tap *)port)->queues[queue].fd;
}

/** Nothing to ask of the kernel. It is enough to look at what was learned, and to learn again. */
static bool tap_rx_arm(struct port *port, uint16_t queue, bool on)
{
	struct tap_queue *q = &((struct port_tap *)port)->queues[queue];

	if (!on) {
		tap_ready_wake();
		return true;
	}
	/* What is gone is never ready, whatever its last event said. */
	return is_dead(q) || !atomic_load_explicit(&q->ready.ready, memory_order_relaxed);
}

struct tap_ready *tap_ready_find(uint16_t id, uint16_t queue)
{
	struct port *port = port_get(id);

	if (port == NULL || port->ops != &port_tap_ops || queue >= port->n_rxq)
		return NULL;
	return &((struct port_tap *)port)->queues[queue].ready;
}

/** The interface was deleted or its namespace is gone. What polls the descriptors must not spin on
 * their error state, so something that never becomes ready takes their place, under the same
 * numbers: a timer that is not set. A worker may be about to send to it; a timer refuses that, where an
 * eventfd would become readable. */
static void retire_descriptors(struct port_tap *p)
{
	int never = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	p->gone = true;
	for (uint16_t i = 0; i < p->behind.n; i++) {
		set_dead(&p->queues[i]);
		if (never >= 0)
			dup3(never, p->queues[i].fd, O_CLOEXEC);
	}
	if (never >= 0)
		close(never);
}

static int tap_configure(struct port *port, const struct port_params *params, struct error *err)
{
	struct port_tap *p = (struct port_tap *)port;
	struct tap_addressing after;
	int ret;

	if (tap_addressing_copy(&after, params) < 0)
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", port->name);
	ret = tap_interface_change(p->netns[0] != '\0' ? p->netns : NULL, p->follow.name, &p->has,
		&after, params, err);
	if (ret < 0) {
		tap_addressing_free(&after);
		return ret;
	}
	tap_addressing_free(&p->has);
	p->has = after;
	return 0;
}

static void interface_gone(struct port_tap *p)
{
	LOG_FROM(&p->port.log, LOG_LEVEL_WARNING,
		"interface is gone; it is made anew when its network namespace is there port=%s "
		"interface=%s netns=%s",
		p->port.name, p->interface, p->netns);
	pod_veth_part(&p->behind.veth);
	p->port.kernel_ifindex = 0;
	kernel_flows_port_changed(&p->port);
	retire_descriptors(p);
	p->retry = RETRY_TICKS;
}

static struct port_params params_again(const struct port_tap *p)
{
	return (struct port_params){ .name = p->port.name,
		.role = p->port.role,
		.netns = p->netns[0] != '\0' ? p->netns : NULL,
		.veth = p->wants_veth,
		.interface = p->interface,
		.mtu = p->port.mtu,
		.pod_mac = p->pod_mac,
		.addresses = p->has.addresses,
		.n_addresses = p->has.n_addresses,
		.gateway = { p->gateway[0], p->gateway[1] },
		.routes = p->has.routes,
		.n_routes = p->has.n_routes };
}

/** There is an interface, as params say. */
static void begin(struct port_tap *p, const struct port_params *params)
{
	p->port.kernel_ifindex = p->behind.veth.host_ifindex;
	atomic_store_explicit(&p->beside, p->behind.veth.host_ifindex != 0, memory_order_relaxed);
	tap_follow_begin(&p->follow, &p->behind, params);
}

/** The namespace was deleted and is there again, or the interface was deleted inside: make it anew, under the old numbers
 * of descriptors, which workers may be reading. */
static void again(struct port_tap *p)
{
	const struct port_params params = params_again(p);
	struct tap_interface made; /* offloads as before: it is the same kernel */
	struct error err = { 0 };

	if (--p->retry > 0)
		return;
	p->retry = RETRY_TICKS;
	if (tap_interface_open(&params, p->behind.n, &made, &err) < 0) {
		LOG_DEBUG("interface is still gone port=%s error=\"%s\"", p->port.name, err.text);
		return;
	}
	for (uint16_t i = 0; i < p->behind.n; i++) {
		dup3(made.fds[i], p->behind.fds[i], O_CLOEXEC);
		close(made.fds[i]);
		atomic_store_explicit(&p->queues[i].state, TAP_RENEWED, memory_order_release);
	}
	p->behind.veth = made.veth;
	p->gone = p->was_down = false;
	begin(p, &params);
	p->netns_id = netns_identify(p->netns);
	p->port.renewed = true;
	LOG_FROM(&p->port.log, LOG_LEVEL_INFO, "interface is there again port=%s interface=%s",
		p->port.name, p->interface);
}

/** The namespace was deleted, and may be held by our descriptors only. */
static bool deserted(struct port_tap *p)
{
	if (p->netns[0] == '\0' || p->look-- > 0)
		return false;
	p->look = LOOK_TICKS;
	return netns_is_deserted(p->netns, &p->netns_id);
}

/** What became of an interface that is up. */
static void look(struct port_tap *p)
{
	bool moved, changed = tap_follow_look(&p->follow, &p->behind, &p->port, &moved);

	if (moved) {
		p->pod_mac = p->port.peer_mac = p->follow.mac;
		p->port.peer_moved = true;
	}
	if (changed || p->was_down)
		tap_follow_restore(&p->follow, params_again(p), &p->port);
}

/** Is the interface up? @param was what is said when nothing is known. */
static bool ask_up(struct port_tap *p, bool was)
{
	struct pollfd pfd = { .fd = p->queues[0].fd, .events = POLLOUT };
	enum pod_veth_state state;

	/* tun says writable only while its interface is up, POLLERR when there is none: no need
	 * for a socket in the pod's namespace, which would keep that alive. */
	if (poll(&pfd, 1, 0) < 0)
		return was;
	if (pfd.revents & (POLLERR | POLLNVAL | POLLHUP) || deserted(p)) {
		interface_gone(p);
		return false;
	}
	if (p->behind.veth.host_ifindex == 0 || !(pfd.revents & POLLOUT))
		return pfd.revents & POLLOUT;
	state = pod_veth_state(&p->behind.veth);
	if (state == POD_VETH_GONE)
		interface_gone(p);
	return state == POD_VETH_UNKNOWN ? was : state == POD_VETH_UP;
}

static void tap_tick(struct port *port)
{
	struct port_tap *p = (struct port_tap *)port;
	bool up;

	if (p->gone) {
		/* A worker may have been about to say otherwise. */
		atomic_store_explicit(&port->link_up, false, memory_order_relaxed);
		again(p);
		return;
	}
	up = ask_up(p, atomic_load_explicit(&port->link_up, memory_order_relaxed));
	/* A worker may have met the old one's end after the new one took its place. */
	for (uint16_t i = 0; i < p->behind.n && !p->gone; i++) {
		if (is_dead(&p->queues[i]))
			atomic_store_explicit(
				&p->queues[i].state, TAP_RENEWED, memory_order_release);
	}
	if (up)
		look(p);
	p->was_down = !up;
	atomic_store_explicit(&port->link_up, up, memory_order_relaxed);
}

static void tap_close(struct port *port)
{
	struct port_tap *p = (struct port_tap *)port;

	for (uint16_t i = 0; i < p->behind.n; i++)
		rx_unstock(&p->queues[i]);
	tap_interface_close(&p->behind, port->name, port->leave, port->ending);
	tap_addressing_free(&p->has);
	free(p);
}

static int check_params(const struct port_params *params, struct error *err)
{
	if (params->interface == NULL || params->interface[0] == '\0' ||
		strlen(params->interface) >= IFNAMSIZ || strpbrk(params->interface, "/: %") != NULL)
		return error_set(err, EINVAL, NULL,
			"port %s: \"%s\" cannot be the name of an interface", params->name,
			params->interface != NULL ? params->interface : "");
	if (params->n_queues == 0)
		return error_set(err, EINVAL, NULL, "port %s: no queues wanted", params->name);
	if (!mac_addr_is_unicast(&params->port_mac))
		return error_set(err, EINVAL, NULL,
			"port %s: the gateway's MAC address is missing or multicast", params->name);
	return 0;
}

static int tap_open(const struct port_params *params, struct port **out, struct error *err)
{
	struct port_tap *p;
	int ret = check_params(params, err);

	if (ret < 0)
		return ret;
	p = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*p));
	if (p == NULL)
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", params->name);
	memset(p, 0, sizeof(*p));
	p->port.ops = &port_tap_ops;
	p->port.mac = params->port_mac;
	p->port.mtu = params->mtu;
	p->pod_mac = params->pod_mac;
	p->wants_veth = params->veth;
	p->gateway[0] = params->gateway[0];
	p->gateway[1] = params->gateway[1];
	p->port.n_rxq = params->n_queues < PORT_QUEUE_MAX ? params->n_queues : PORT_QUEUE_MAX;
	p->port.n_txq = p->port.n_rxq;
	p->pool = params->pool;
	p->large_pool = params->large_pool != NULL ? params->large_pool : params->pool;
	p->large_wanted =
		FRAME_MAX - RTE_MIN((uint32_t)FRAME_MAX, rte_pktmbuf_data_room_size(p->pool) -
								 (uint32_t)RTE_PKTMBUF_HEADROOM);
	snprintf(p->port.name, sizeof(p->port.name), "%s", params->name);
	snprintf(p->interface, sizeof(p->interface), "%s", params->interface);
	snprintf(p->netns, sizeof(p->netns), "%s", params->netns != NULL ? params->netns : "");
	if (tap_addressing_copy(&p->has, params) < 0) {
		free(p);
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", params->name);
	}
	if (p->netns[0] != '\0')
		p->netns_id = netns_identify(p->netns);
	ret = tap_interface_open(params, p->port.n_rxq, &p->behind, err);
	if (ret < 0) {
		tap_close(&p->port);
		return ret;
	}
	atomic_init(&p->port.offloads, p->behind.offloads);
	for (uint16_t i = 0; i < p->behind.n; i++) {
		struct tap_queue *q = &p->queues[i];

		q->fd = p->behind.fds[i];
		q->rx_iov[0] = (struct iovec){ &q->rx_hdr, sizeof(q->rx_hdr) };
		atomic_init(&q->state, TAP_ALIVE);
		atomic_init(&q->ready.ready, true);
	}
	begin(p, params);
	tap_tick(&p->port);
	*out = &p->port;
	return 0;
}

/** Buffers are held only while the queue is being read, so this is what the worker is at just now. */
static void tap_memory(const struct port *port, struct port_memory *memory)
{
	const struct port_tap *p = (const struct port_tap *)port;

	memory->fixed += sizeof(*p);
	for (uint16_t i = 0; i < p->behind.n; i++) {
		memory->buffers += __atomic_load_n(&p->queues[i].n_small, __ATOMIC_RELAXED);
		memory->large_buffers += __atomic_load_n(&p->queues[i].n_large, __ATOMIC_RELAXED);
	}
}

static void tap_describe(const struct port *port, json_t *obj)
{
	const struct port_tap *p = (const struct port_tap *)port;

	json_object_set_new(obj, "interface", json_string(p->follow.name));
	json_object_set_new(
		obj, "netns", p->netns[0] != '\0' ? json_string(p->netns) : json_null());
	json_object_set_new(obj, "interface_gone", json_boolean(p->gone));
	if (p->port.kernel_ifindex != 0)
		json_object_set_new(obj, "host_interface", json_string(p->behind.veth.host));
}

const struct port_ops port_tap_ops = {
	.name = "tap",
	.open = tap_open,
	.close = tap_close,
	.configure = tap_configure,
	.rx_burst = tap_rx_burst,
	.tx_burst = tap_tx_burst,
	.rx_fd = tap_rx_fd,
	.rx_arm = tap_rx_arm,
	.tick = tap_tick,
	.memory = tap_memory,
	.describe = tap_describe,
};
