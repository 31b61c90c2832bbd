/* SPDX-License-Identifier: Apache-2.0 */
/** The tap driver: an interface in a pod's network namespace (or the node's own: the host port),
 * with our side a descriptor a queue. Packets cross with a virtio header, so TCP segments of up to
 * 64 KiB and partial checksums pass as they are, both ways.
 *
 * The interface is made in the daemon's namespace and moved: the descriptors then do not keep the
 * pod's namespace alive, and when it goes, so does the interface; `tick` notices. */
#include "dataplane/port.h"
#include "dataplane/tap_netlink.h"
#include "dataplane/tap_ready.h"
#include "dataplane/virtio_hdr.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <rte_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define STOCK	   32 /* small buffers taken from the pool at a time */
#define FRAME_MAX  (65535 + 40 + RTE_ETHER_HDR_LEN) /* what lengths in IP headers can say */
#define LARGE_MAX  34  /* buffers behind the small one: all of 64 KiB even from 2 KiB buffers */
#define TX_IOV_MAX 128 /* buffers of one packet, and its virtio header */

/* Linux 6.2 */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/** Owned by the queue's worker, but for what is said. */
struct tap_queue {
	int fd;
	_Atomic bool
		dead; /* writers: worker and control, once; readers: both. The interface is gone */
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
	uint16_t n_open;       /* queues with a descriptor */
	bool gone;	       /* control thread only */
	char interface[IFNAMSIZ];
	char netns[PATH_MAX]; /* "" = the daemon's own */
	struct tap_addressing has; /* control thread only */
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

static uint16_t tap_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_tap *p = (struct port_tap *)port;
	struct tap_queue *q = &p->queues[queue];
	uint16_t got = 0;

	if (unlikely(atomic_load_explicit(&q->dead, memory_order_relaxed)))
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
				atomic_store_explicit(&q->dead, true, memory_order_release);
				break;
			}
			rx_error(p);
			continue;
		}
		/* tun gives as much as there is room for, and says nothing about the rest. */
		if (unlikely((size_t)len < sizeof(q->rx_hdr) + RTE_ETHER_HDR_LEN ||
			     (stock != STOCK_FULL &&
				     (size_t)len >= sizeof(q->rx_hdr) + q->rx_iov[1].iov_len + q->large_room))) {
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

	while (sent < n && !atomic_load_explicit(&q->dead, memory_order_relaxed)) {
		int ret = tx_one(q, pkts[sent]);

		if (likely(ret == 0)) {
			sent++;
			continue;
		}
		if (is_gone(-ret))
			atomic_store_explicit(&q->dead, true, memory_order_release);
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
	return atomic_load_explicit(&q->dead, memory_order_relaxed) ||
	       !atomic_load_explicit(&q->ready.ready, memory_order_relaxed);
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
 * numbers. */
static void retire_descriptors(struct port_tap *p)
{
	int never = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	p->gone = true;
	for (uint16_t i = 0; i < p->n_open; i++) {
		atomic_store_explicit(&p->queues[i].dead, true, memory_order_release);
		if (never >= 0)
			dup3(never, p->queues[i].fd, O_CLOEXEC);
	}
	if (never >= 0)
		close(never);
}

static void tap_tick(struct port *port)
{
	struct port_tap *p = (struct port_tap *)port;
	struct pollfd pfd = { .fd = p->queues[0].fd, .events = POLLOUT };

	if (p->gone)
		return;
	/* tun says writable only while the interface is up, POLLERR when there is none: no need
	 * for a socket in the pod's namespace, which would keep that alive. */
	if (poll(&pfd, 1, 0) < 0)
		return;
	if (pfd.revents & (POLLERR | POLLNVAL | POLLHUP))
		retire_descriptors(p);
	atomic_store_explicit(
		&port->link_up, !p->gone && (pfd.revents & POLLOUT), memory_order_relaxed);
}

/** Say what may come whole, of UDP only when this kernel knows. */
static int offloads_set(struct port_tap *p, int fd)
{
	const unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

	if (ioctl(fd, TUNSETOFFLOAD, offloads | TUN_F_USO4 | TUN_F_USO6) == 0) {
		p->port.offloads |= PORT_TX_USO;
		return 0;
	}
	return ioctl(fd, TUNSETOFFLOAD, offloads);
}

/** Open one queue of the interface; the first creates it. ifr carries its name from one call to the
 * next. */
static int queue_open(
	struct port_tap *p, struct ifreq *ifr, const struct port_params *params, struct error *err)
{
	bool first = p->n_open == 0;
	int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, hdr_len = sizeof(struct virtio_net_hdr);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), ret;

	if (fd < 0)
		return error_set(err, errno, NULL,
			"port %s: /dev/net/tun: %s: load the tun module, and run with "
			"CAP_NET_ADMIN",
			params->name, strerror(errno));
	if (params->n_queues > 1)
		flags |= IFF_MULTI_QUEUE;
	if (first)
		flags |= IFF_TUN_EXCL;
	ifr->ifr_flags = (short)flags;
	if (ioctl(fd, TUNSETIFF, ifr) < 0) {
		ret = -errno;
		if (ret == -EBUSY || ret == -EEXIST || (first && ret == -EINVAL))
			error_set(err, EEXIST, NULL, "port %s: interface %s exists already",
				params->name, ifr->ifr_name);
		else
			error_set(err, -ret, NULL, "port %s: cannot make interface %s: %s%s",
				params->name, params->interface, strerror(-ret),
				ret == -EPERM ? ": the daemon needs CAP_NET_ADMIN" : "");
		close(fd);
		return ret == -EBUSY ? -EEXIST : ret;
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr_len) < 0 ||
		(first && offloads_set(p, fd) < 0)) {
		ret = -errno;
		close(fd);
		return error_set(err, -ret, NULL, "port %s: this kernel's TAP lacks offloads: %s",
			params->name, strerror(-ret));
	}
	atomic_init(&p->queues[p->n_open].dead, false);
	atomic_init(&p->queues[p->n_open].ready.ready, true);
	p->queues[p->n_open].rx_iov[0] =
		(struct iovec){ &p->queues[p->n_open].rx_hdr, (size_t)hdr_len };
	p->queues[p->n_open++].fd = fd;
	return 0;
}

struct configure_call {
	const struct port_params *params;
	struct error *err;
};

static int configure_inside(void *arg)
{
	const struct configure_call *call = arg;

	return tap_link_configure(call->params, call->err);
}

/** Make the interface with its queues, where it belongs and set up. On error the descriptors stay
 * to be closed, and the interface with them. */
static int interface_make(struct port_tap *p, const struct port_params *params, struct error *err)
{
	struct configure_call call = { params, err };
	struct ifreq ifr = { 0 };
	int netns_fd = -1, ret = 0;

	if (params->netns != NULL) {
		netns_fd = netns_open(params->netns, params->name, err);
		if (netns_fd < 0)
			return netns_fd;
	}
	/* The pod's name for it may be taken here: the kernel picks one for the short time before
	 * the move. */
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s",
		netns_fd >= 0 ? "pltap%d" : params->interface);
	for (uint16_t i = 0; i < p->port.n_rxq && ret == 0; i++)
		ret = queue_open(p, &ifr, params, err);
	if (ret == 0 && netns_fd >= 0)
		ret = tap_link_move(ifr.ifr_name, netns_fd, params->interface, params, err);
	if (ret == 0)
		ret = netns_fd >= 0 ? netns_run(netns_fd, configure_inside, &call)
				    : tap_link_configure(params, err);
	if (netns_fd >= 0)
		close(netns_fd);
	return ret;
}

static void addressing_free(struct tap_addressing *a)
{
	free(a->addresses);
	free(a->routes);
	*a = (struct tap_addressing){ 0 };
}

static int addressing_copy(struct tap_addressing *a, const struct port_params *params)
{
	*a = (struct tap_addressing){ .addresses = calloc(params->n_addresses + 1, sizeof(*a->addresses)),
		.routes = calloc(params->n_routes + 1, sizeof(*a->routes)) };
	if (a->addresses == NULL || a->routes == NULL) {
		addressing_free(a);
		return -ENOMEM;
	}
	a->n_addresses = params->n_addresses;
	a->n_routes = params->n_routes;
	if (a->n_addresses > 0)
		memcpy(a->addresses, params->addresses, a->n_addresses * sizeof(*a->addresses));
	for (size_t i = 0; i < a->n_routes; i++)
		a->routes[i] = ip_prefix_canonical(&params->routes[i]);
	return 0;
}

struct change_call {
	struct port_tap *port;
	const struct tap_addressing *after;
	const struct port_params *params;
	struct error *err;
};

static int change_inside(void *arg)
{
	const struct change_call *call = arg;

	return tap_link_change(call->port->interface, &call->port->has, call->after,
		call->params->gateway, call->port->port.name, call->err);
}

static int tap_configure(struct port *port, const struct port_params *params, struct error *err)
{
	struct port_tap *p = (struct port_tap *)port;
	struct tap_addressing after;
	struct change_call call = { p, &after, params, err };
	int netns_fd = -1, ret;

	if (addressing_copy(&after, params) < 0)
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", port->name);
	if (p->netns[0] != '\0') {
		netns_fd = netns_open(p->netns, port->name, err);
		if (netns_fd < 0) {
			addressing_free(&after);
			return netns_fd;
		}
	}
	ret = netns_fd >= 0 ? netns_run(netns_fd, change_inside, &call) : change_inside(&call);
	if (netns_fd >= 0)
		close(netns_fd);
	if (ret < 0) {
		addressing_free(&after);
		return ret;
	}
	addressing_free(&p->has);
	p->has = after;
	return 0;
}

static void tap_close(struct port *port)
{
	struct port_tap *p = (struct port_tap *)port;

	for (uint16_t i = 0; i < p->n_open; i++) {
		struct tap_queue *q = &p->queues[i];

		close(q->fd); /* the last one takes the interface away */
		rx_unstock(q);
	}
	addressing_free(&p->has);
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
	p->port.offloads = PORT_TX_CSUM | PORT_TX_TSO;
	p->port.n_rxq = params->n_queues < PORT_QUEUE_MAX ? params->n_queues : PORT_QUEUE_MAX;
	p->port.n_txq = p->port.n_rxq;
	p->pool = params->pool;
	p->large_pool = params->large_pool != NULL ? params->large_pool : params->pool;
	p->large_wanted = FRAME_MAX - RTE_MIN((uint32_t)FRAME_MAX, rte_pktmbuf_data_room_size(p->pool) -
									(uint32_t)RTE_PKTMBUF_HEADROOM);
	snprintf(p->port.name, sizeof(p->port.name), "%s", params->name);
	snprintf(p->interface, sizeof(p->interface), "%s", params->interface);
	snprintf(p->netns, sizeof(p->netns), "%s", params->netns != NULL ? params->netns : "");
	if (addressing_copy(&p->has, params) < 0) {
		free(p);
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", params->name);
	}
	ret = interface_make(p, params, err);
	if (ret < 0) {
		tap_close(&p->port);
		return ret;
	}
	tap_tick(&p->port);
	*out = &p->port;
	return 0;
}

static void tap_describe(const struct port *port, json_t *obj)
{
	const struct port_tap *p = (const struct port_tap *)port;

	json_object_set_new(obj, "interface", json_string(p->interface));
	json_object_set_new(
		obj, "netns", p->netns[0] != '\0' ? json_string(p->netns) : json_null());
	json_object_set_new(obj, "interface_gone", json_boolean(p->gone));
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
	.describe = tap_describe,
};
