/* SPDX-License-Identifier: Apache-2.0 */
/** The af_xdp driver: an uplink that stays the kernel's. Our XDP program takes Podlane's packets out of its traffic into
 * AF_XDP sockets, one a receive queue; the rest is as if we were not there. Addresses, link state, MTU and neighbours are
 * the kernel's, read by rtnetlink.
 *
 * The interface may vanish. Then the port waits for one of that name, and puts program, sockets and all that is steered on it
 * anew: sockets are replaced by RCU, and a queue's epoll instance stays, for workers to sleep on. An interface with another MAC
 * address is no other port: xdp_queue.c translates.
 *
 * Why not DPDK's net_af_xdp: it attaches its program by itself, so that it stays behind when the daemon is killed; its
 * receive waits up to a second when the fill ring runs dry, its transmit for as long as the device is full; it gives
 * nothing to sleep on, and serves only queues that ethtool calls "combined".
 */
#include "config/log.h"
#include "config/model.h"
#include "dataplane/kernel_ethtool.h"
#include "dataplane/kernel_flows.h"
#include "dataplane/kernel_link.h"
#include "dataplane/last_close.h"
#include "dataplane/port.h"
#include "dataplane/rcu.h"
#include "dataplane/steer_program.h"
#include "dataplane/xdp_queue.h"

#include <errno.h>
#include <rte_ether.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LOST_TICKS 10 /* of 100 ms */

struct port_xdp {
	struct port port;
	/* Writer: control. Readers: workers. NULL = the interface is gone. */
	_Atomic(struct xdp_queue *) queues[PORT_QUEUE_MAX];
	int epoll_fd[PORT_QUEUE_MAX]; /* watches the queue's socket of the time */
	/* Control only. */
	struct kernel_link kernel;
	struct steer_program *program; /* NULL = the interface is gone */
	struct kernel_merging merging;
	struct mac_addr mac;	  /* the interface's, as the queues know it */
	struct rte_mempool *pool; /* its buffers hold a frame */
	enum xdp_mode mode;
	struct steering steered; /* all of it, sorted: for the next interface */
	uint64_t lost;		 /* of sockets that are closed */
	uint8_t ticks;
	bool complained; /* of an MTU smaller than ours */
	bool refused;	 /* said that the interface that came back cannot be used */
};

/* --- the interface: program and sockets ----------------------------------------------------------------------- */

static int check_interface(struct port_xdp *p, struct error *err)
{
	const char *name = p->port.name, *interface = p->kernel.name;
	int ret;

	if (p->port.mtu > p->kernel.mtu)
		return error_set(err, EINVAL, "mtu",
			"port %s: interface %s has MTU %u, less than the port's %u: lower the "
			"uplink's mtu, or `ip link set %s "
			"mtu %u`",
			name, interface, p->kernel.mtu, p->port.mtu, interface, p->port.mtu);
	ret = kernel_interface_up(interface);
	if (ret < 0)
		return error_set(err, -ret, NULL, "port %s: cannot bring interface %s up: %s", name,
			interface, strerror(-ret));
	return 0;
}

static int open_queue(struct port_xdp *p, uint16_t index, struct xdp_queue **out, struct error *err)
{
	const struct xdp_queue_params params = { .port = p->port.name,
		.interface = p->kernel.name,
		.queue = index,
		.frame_bytes = (uint32_t)p->port.mtu + RTE_ETHER_HDR_LEN,
		.inside = p->port.mac,
		.native = steer_program_native(p->program),
		.pool = p->pool };
	struct epoll_event ev = { .events = EPOLLIN };
	int ret = xdp_queue_open(&params, out, err);

	if (ret < 0)
		return ret;
	xdp_queue_set_mac(*out, &p->kernel.mac);
	if (epoll_ctl(p->epoll_fd[index], EPOLL_CTL_ADD, xdp_queue_fd(*out), &ev) < 0)
		ret = error_set(err, errno, NULL, "port %s: cannot wait for packets: %s",
			p->port.name, strerror(errno));
	if (ret == 0)
		ret = steer_program_set_socket(p->program, index, xdp_queue_fd(*out));
	if (ret < 0) {
		error_set(err, -ret, NULL, "port %s: queue %u of %s cannot be steered: %s",
			p->port.name, index, p->kernel.name, strerror(-ret));
		xdp_queue_close(*out);
	}
	return ret;
}

static int open_queues(struct port_xdp *p, struct error *err)
{
	for (uint16_t q = 0; q < p->port.n_rxq; q++) {
		struct xdp_queue *queue;
		int ret = open_queue(p, q, &queue, err);

		if (ret < 0)
			return ret;
		rcu_publish(&p->queues[q], queue);
	}
	return 0;
}

/** Leave the interface, or what is left of it. `polled`: workers may be at the queues. */
static void detach(struct port_xdp *p, bool polled)
{
	for (uint16_t q = 0; q < PORT_QUEUE_MAX; q++) {
		struct xdp_queue *queue = rcu_publish(&p->queues[q], NULL);

		if (queue == NULL)
			continue;
		if (p->program != NULL)
			steer_program_set_socket(p->program, q, -1);
		/* It is closed later, and must wake nobody until then. */
		epoll_ctl(p->epoll_fd[q], EPOLL_CTL_DEL, xdp_queue_fd(queue), NULL);
		p->lost += xdp_queue_lost(queue);
		if (polled)
			rcu_retire(queue, xdp_queue_close);
		else if (p->port.ending)
			last_close(xdp_queue_close, queue);
		else
			xdp_queue_close(queue);
	}
	steer_program_close(p->program);
	p->program = NULL;
	atomic_store_explicit(&p->port.kernel_ifindex, 0, memory_order_relaxed);
	kernel_flows_port_changed(&p->port);
	kernel_merging_restore(p->kernel.name, &p->merging);
	p->merging = (struct kernel_merging){ false, false };
}

/** Put ourselves on the interface as p->kernel knows it. On error it is as it was. */
static int attach(struct port_xdp *p, struct error *err)
{
	const char *name = p->port.name;
	int ret = check_interface(p, err);

	if (ret == 0)
		ret = steer_program_attach(name, p->kernel.name, p->mode, &p->program, err);
	if (ret < 0)
		return ret;
	if (steer_program_set_mac(p->program, &p->kernel.mac) < 0)
		ret = error_set(err, EIO, NULL,
			"port %s: the XDP program's settings cannot be written", name);
	p->mac = p->kernel.mac;
	/* In generic mode the program comes after merging. */
	if (ret == 0 && !steer_program_native(p->program))
		kernel_merging_stop(p->kernel.name, &p->merging);
	if (ret == 0 && steer_program_edit(p->program, &p->steered, true) < 0)
		ret = error_set(err, ENOSPC, NULL,
			"port %s: the XDP program's maps cannot be written", name);
	if (ret == 0)
		ret = open_queues(p, err);
	/* A receiver by AF_XDP has no way to know that a checksum is missing. */
	if (ret == 0 && !kernel_interface_leaves_checksums(p->kernel.name))
		atomic_store_explicit(
			&p->port.kernel_ifindex, (uint32_t)p->kernel.index, memory_order_relaxed);
	if (ret < 0)
		detach(p, true);
	return ret;
}

/* --- opening -------------------------------------------------------------------------------------------------- */

static int check_queues(const struct port_params *params, unsigned queues, struct error *err)
{
	/* A queue without a socket would leave its tunnel packets to the kernel, which has no use for them. */
	if (queues > PORT_QUEUE_MAX)
		return error_set(err, EINVAL, NULL,
			"port %s: interface %s has %u receive queues, and all must be served but "
			"only %d can: `ethtool -L %s "
			"combined %d`",
			params->name, params->device, queues, PORT_QUEUE_MAX, params->device,
			PORT_QUEUE_MAX);
	return 0;
}

static int fill(struct port_xdp *p, const struct port_params *params, struct error *err)
{
	const unsigned queues = kernel_interface_rx_queues(p->kernel.name);
	const uint32_t room = (uint32_t)params->mtu + RTE_ETHER_HDR_LEN + RTE_PKTMBUF_HEADROOM;
	int ret = check_queues(params, queues, err);

	if (ret < 0)
		return ret;
	if (!mac_addr_is_zero(&params->port_mac) &&
		memcmp(&params->port_mac, &p->kernel.mac, sizeof(p->kernel.mac)) != 0)
		return error_set(err, EINVAL, "mac",
			"port %s: the interface is the kernel's and so is its MAC address: leave "
			"mac out",
			params->name);
	p->port.ops = &port_xdp_ops;
	p->port.mac = p->kernel.mac;
	p->port.mtu = params->mtu;
	p->port.n_rxq = p->port.n_txq = (uint16_t)queues;
	p->mode = (enum xdp_mode)params->xdp_mode;
	p->pool = room > rte_pktmbuf_data_room_size(params->pool) && params->large_pool != NULL
			  ? params->large_pool
			  : params->pool;
	for (uint16_t q = 0; q < queues; q++) {
		p->epoll_fd[q] = epoll_create1(EPOLL_CLOEXEC);
		if (p->epoll_fd[q] < 0)
			return error_set(
				err, errno, NULL, "port %s: %s", params->name, strerror(errno));
	}
	return 0;
}

static void watch(struct port_xdp *p, bool on)
{
	if (port_watch_fd != NULL)
		port_watch_fd(&p->port, kernel_link_fd(&p->kernel), on);
}

static void release(struct port_xdp *p)
{
	detach(p, false);
	for (unsigned q = 0; q < PORT_QUEUE_MAX; q++) {
		if (p->epoll_fd[q] >= 0)
			close(p->epoll_fd[q]);
	}
	kernel_link_close(&p->kernel);
	steering_free(&p->steered);
	free(p);
}

static int xdp_open(const struct port_params *params, struct port **out, struct error *err)
{
	struct port_xdp *p = calloc(1, sizeof(*p));
	int ret;

	if (p == NULL)
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", params->name);
	memset(p->epoll_fd, -1, sizeof(p->epoll_fd));
	ret = kernel_link_open(&p->kernel, params->device, params->name, err);
	if (ret < 0) {
		free(p);
		return ret;
	}
	snprintf(p->port.name, sizeof(p->port.name), "%s", params->name);
	ret = fill(p, params, err);
	if (ret == 0)
		ret = attach(p, err);
	if (ret < 0) {
		release(p);
		return ret;
	}
	atomic_store_explicit(&p->port.link_up, p->kernel.up, memory_order_relaxed);
	watch(p, true);
	*out = &p->port;
	return 0;
}

static void xdp_close(struct port *port)
{
	struct port_xdp *p = (struct port_xdp *)port;

	watch(p, false);
	release(p);
}

/* --- workers -------------------------------------------------------------------------------------------------- */

static uint16_t xdp_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct xdp_queue *q = rcu_read(&((struct port_xdp *)port)->queues[queue]);

	return likely(q != NULL) ? xdp_queue_rx(q, pkts, n) : 0;
}

static uint16_t xdp_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct xdp_queue *q = rcu_read(&((struct port_xdp *)port)->queues[queue]);

	return likely(q != NULL) ? xdp_queue_tx(q, pkts, n) : 0;
}

static int xdp_rx_fd(struct port *port, uint16_t queue)
{
	return ((struct port_xdp *)port)->epoll_fd[queue];
}

static bool xdp_rx_arm(struct port *port, uint16_t queue, bool on)
{
	struct xdp_queue *q = rcu_read(&((struct port_xdp *)port)->queues[queue]);

	return !on || q == NULL || xdp_queue_idle(q);
}

/* --- the kernel's side ---------------------------------------------------------------------------------------- */

static void heard(void *arg, const struct ip_addr *address, const struct mac_addr *mac,
	enum neighbour_news news)
{
	if (port_neighbour_told != NULL)
		port_neighbour_told(arg, address, mac, news);
}

static void follow_mac(struct port_xdp *p)
{
	if (p->program == NULL || memcmp(&p->kernel.mac, &p->mac, sizeof(p->mac)) == 0)
		return;
	if (steer_program_set_mac(p->program, &p->kernel.mac) < 0)
		return; /* at the next event */
	p->mac = p->kernel.mac;
	for (uint16_t q = 0; q < p->port.n_rxq; q++)
		xdp_queue_set_mac(rcu_own(&p->queues[q]), &p->mac);
	LOG_FROM(&p->port.log, LOG_LEVEL_INFO,
		"the interface has another MAC address, which is followed port=%s", p->port.name);
}

/** Link state and MAC follow the kernel's. The MTU is the port's for as long as it is open. */
static void refresh(struct port_xdp *p)
{
	if (kernel_link_refresh(&p->kernel) < 0)
		p->kernel.up = false;
	atomic_store_explicit(
		&p->port.link_up, p->kernel.up && p->program != NULL, memory_order_relaxed);
	if (!p->kernel.exists && p->program != NULL) {
		LOG_FROM(&p->port.log, LOG_LEVEL_WARNING,
			"interface of an uplink is gone, waiting for it port=%s interface=%s",
			p->port.name, p->kernel.name);
		detach(p, true);
	}
	if (!p->kernel.exists)
		return;
	follow_mac(p);
	if (p->kernel.mtu < p->port.mtu && !p->complained)
		LOG_FROM(&p->port.log, LOG_LEVEL_WARNING,
			"the interface has a smaller MTU than the uplink now: delete the uplink "
			"and add it again port=%s "
			"mtu=%u interface_mtu=%u",
			p->port.name, p->port.mtu, p->kernel.mtu);
	p->complained = p->kernel.mtu < p->port.mtu;
}

static void read_events(struct port_xdp *p)
{
	if (kernel_link_read(&p->kernel, heard, &p->port))
		refresh(p);
}

/** There may be an interface of that name again. */
static int attach_again(struct port_xdp *p, struct error *err)
{
	const unsigned queues = kernel_interface_rx_queues(p->kernel.name);

	if (queues != p->port.n_rxq)
		return error_set(err, EINVAL, NULL,
			"port %s: interface %s has %u receive queues now instead of %u: delete the "
			"uplink and add it again",
			p->port.name, p->kernel.name, queues, p->port.n_rxq);
	return attach(p, err);
}

static void look_for_interface(struct port_xdp *p)
{
	struct error err = { 0 };

	if (!kernel_link_find(&p->kernel))
		return;
	if (attach_again(p, &err) < 0) {
		if (!p->refused)
			LOG_FROM(&p->port.log, LOG_LEVEL_WARNING,
				"interface of an uplink is back but cannot be used: %s", err.text);
		p->refused = true;
		return;
	}
	p->refused = false;
	LOG_FROM(&p->port.log, LOG_LEVEL_INFO,
		"interface of an uplink is back port=%s interface=%s xdp_mode=%s", p->port.name,
		p->kernel.name, steer_program_native(p->program) ? "native" : "generic");
	refresh(p);
}

static void xdp_control_ready(struct port *port, int fd)
{
	(void)fd;
	read_events((struct port_xdp *)port);
}

static void xdp_tick(struct port *port)
{
	struct port_xdp *p = (struct port_xdp *)port;
	uint64_t lost = p->lost;

	if (port_watch_fd == NULL)
		read_events(p);
	if (p->program == NULL)
		look_for_interface(p);
	if (++p->ticks < LOST_TICKS)
		return;
	p->ticks = 0;
	for (uint16_t q = 0; q < port->n_rxq && p->program != NULL; q++)
		lost += xdp_queue_lost(rcu_own(&p->queues[q]));
	atomic_store_explicit(&port->rx_errors, lost, memory_order_relaxed);
}

static const struct ip_prefix *xdp_addresses(const struct port *port, size_t *count)
{
	const struct port_xdp *p = (const struct port_xdp *)port;

	*count = p->kernel.n_addresses;
	return p->kernel.addresses;
}

/** Our list of it first: that can fail for want of memory, and taking away cannot. */
static int xdp_steer(struct port *port, const struct steering *items, bool on)
{
	struct port_xdp *p = (struct port_xdp *)port;
	struct steering next = { NULL, 0, 0 };
	int ret = steering_difference(&p->steered, items, &next);

	for (size_t i = 0; i < items->count && on && ret == 0; i++)
		ret = steering_add(&next, &items->items[i]);
	if (ret == 0 && p->program != NULL)
		ret = steer_program_edit(p->program, items, on);
	if (ret < 0) {
		steering_free(&next);
		return ret;
	}
	steering_sort(&next);
	steering_free(&p->steered);
	p->steered = next;
	return 0;
}

static void xdp_resolve(struct port *port, const struct ip_addr *address, bool confirm)
{
	kernel_link_resolve(&((struct port_xdp *)port)->kernel, address, confirm, heard, port);
}

static void xdp_describe(const struct port *port, json_t *obj)
{
	const struct port_xdp *p = (const struct port_xdp *)port;
	uint64_t counters[STEER_COUNTERS];
	bool zero_copy = true;
	json_t *list = json_array();

	json_object_set_new(obj, "interface", json_string(p->kernel.name));
	json_object_set_new(obj, "interface_gone", json_boolean(p->program == NULL));
	for (size_t i = 0; i < p->kernel.n_addresses; i++) {
		char text[PREFIX_TEXT_MAX];

		json_array_append_new(
			list, json_string(ip_prefix_format(&p->kernel.addresses[i], text)));
	}
	json_object_set_new(obj, "kernel_addresses", list);
	if (p->program == NULL)
		return;
	for (uint16_t q = 0; q < port->n_rxq; q++)
		zero_copy = zero_copy && xdp_queue_zero_copy(rcu_own(&p->queues[q]));
	steer_program_counters(p->program, counters);
	json_object_set_new(obj, "xdp_mode",
		json_string(steer_program_native(p->program) ? "native" : "generic"));
	json_object_set_new(obj, "zero_copy", json_boolean(zero_copy));
	json_object_set_new(obj, "xdp",
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "passed",
			(json_int_t)counters[STEER_PASSED], "udp_tunnel",
			(json_int_t)counters[STEER_UDP_TUNNEL], "ip_tunnel",
			(json_int_t)counters[STEER_IP_TUNNEL], "pods",
			(json_int_t)counters[STEER_PREFIX], "tunnel_errors",
			(json_int_t)counters[STEER_TUNNEL_ERROR], "no_socket",
			(json_int_t)counters[STEER_NO_SOCKET], "entries",
			(json_int_t)p->steered.count));
}

static const struct port_shared_ops shared_ops = {
	.addresses = xdp_addresses,
	.steer = xdp_steer,
	.resolve = xdp_resolve,
};

const struct port_ops port_xdp_ops = {
	.name = "af_xdp",
	.open = xdp_open,
	.close = xdp_close,
	.rx_burst = xdp_rx_burst,
	.tx_burst = xdp_tx_burst,
	.rx_fd = xdp_rx_fd,
	.rx_arm = xdp_rx_arm,
	.tick = xdp_tick,
	.control_ready = xdp_control_ready,
	.describe = xdp_describe,
	.shared = &shared_ops,
};
