/* SPDX-License-Identifier: Apache-2.0 */
/** The af_xdp driver: an uplink that stays the kernel's. Our XDP program takes Podlane's packets out of its traffic into
 * AF_XDP sockets, one a receive queue; the rest is as if we were not there. Addresses, link state, MTU and neighbours are
 * the kernel's, read by rtnetlink.
 *
 * Why not DPDK's net_af_xdp: it attaches its program by itself, so that it stays behind when the daemon is killed; its
 * receive waits up to a second when the fill ring runs dry, its transmit for as long as the device is full; it gives
 * nothing to sleep on, and serves only queues that ethtool calls "combined".
 */
#include "config/log.h"
#include "config/model.h"
#include "dataplane/kernel_ethtool.h"
#include "dataplane/kernel_link.h"
#include "dataplane/port.h"
#include "dataplane/steer_program.h"
#include "dataplane/xdp_queue.h"

#include <errno.h>
#include <rte_ether.h>
#include <stdlib.h>

#define LOST_TICKS 10 /* of 100 ms */

struct port_xdp {
	struct port port;
	struct kernel_link kernel;
	struct steer_program *program;
	struct kernel_merging merging;
	struct xdp_queue *queues[PORT_QUEUE_MAX];
	size_t steered; /* items */
	uint8_t ticks;
	bool complained; /* of an MTU smaller than ours */
};

/* --- opening -------------------------------------------------------------------------------------------------- */

static int check_interface(struct port_xdp *p, const struct port_params *params, struct error *err)
{
	const char *interface = p->kernel.name;
	unsigned queues = kernel_interface_rx_queues(interface);
	int ret;

	if (params->mtu > p->kernel.mtu)
		return error_set(err, EINVAL, NULL,
			"port %s: interface %s has MTU %u, less than the port's %u: lower the uplink's mtu, or `ip link set %s "
			"mtu %u`",
			params->name, interface, p->kernel.mtu, params->mtu, interface, params->mtu);
	p->port.mtu = params->mtu;
	if (params->mtu > XDP_QUEUE_FRAME_MAX - RTE_ETHER_HDR_LEN)
		return error_set(err, EINVAL, NULL,
			"port %s: AF_XDP carries an MTU of at most %u, not %u: lower the uplink's mtu, or use driver = "
			"\"af_packet\"",
			params->name, XDP_QUEUE_FRAME_MAX - RTE_ETHER_HDR_LEN, p->port.mtu);
	if (!mac_addr_is_zero(&params->port_mac) &&
		memcmp(&params->port_mac, &p->kernel.mac, sizeof(p->kernel.mac)) != 0)
		return error_set(err, EINVAL, NULL,
			"port %s: the interface is the kernel's and so is its MAC address: leave mac out", params->name);
	/* A queue without a socket would leave its tunnel packets to the kernel, which has no use for them. */
	if (queues > PORT_QUEUE_MAX)
		return error_set(err, EINVAL, NULL,
			"port %s: interface %s has %u receive queues, and all must be served but only %d can: `ethtool -L %s "
			"combined %d`",
			params->name, interface, queues, PORT_QUEUE_MAX, interface, PORT_QUEUE_MAX);
	p->port.n_rxq = p->port.n_txq = (uint16_t)queues;
	ret = kernel_interface_up(interface);
	if (ret < 0)
		return error_set(err, -ret, NULL, "port %s: cannot bring interface %s up: %s", params->name, interface,
			strerror(-ret));
	return 0;
}

static void close_queues(struct port_xdp *p)
{
	for (uint16_t q = 0; q < PORT_QUEUE_MAX; q++) {
		if (p->queues[q] == NULL)
			continue;
		if (p->program != NULL)
			steer_program_set_socket(p->program, q, -1);
		xdp_queue_close(p->queues[q]);
	}
}

static int open_queues(struct port_xdp *p, const struct port_params *params, struct error *err)
{
	uint32_t frame = p->port.mtu + RTE_ETHER_HDR_LEN;
	struct xdp_queue_params queue = { .port = params->name,
		.interface = p->kernel.name,
		.frame_bytes = frame,
		.native = steer_program_native(p->program),
		.pool = params->pool };
	int ret = 0;

	if (frame + RTE_PKTMBUF_HEADROOM > rte_pktmbuf_data_room_size(params->pool) && params->large_pool != NULL)
		queue.pool = params->large_pool;
	for (uint16_t q = 0; q < p->port.n_rxq && ret == 0; q++) {
		queue.queue = q;
		ret = xdp_queue_open(&queue, &p->queues[q], err);
		if (ret < 0)
			break;
		ret = steer_program_set_socket(p->program, q, xdp_queue_fd(p->queues[q]));
		if (ret < 0)
			error_set(err, -ret, NULL, "port %s: queue %u of %s cannot be steered: %s", params->name, q,
				p->kernel.name, strerror(-ret));
	}
	return ret;
}

static void watch(struct port_xdp *p, bool on)
{
	if (port_watch_fd != NULL)
		port_watch_fd(&p->port, kernel_link_fd(&p->kernel), on);
}

static void release(struct port_xdp *p)
{
	close_queues(p);
	steer_program_close(p->program);
	kernel_merging_restore(p->kernel.name, &p->merging);
	kernel_link_close(&p->kernel);
	free(p);
}

static int xdp_open(const struct port_params *params, struct port **out, struct error *err)
{
	struct port_xdp *p = calloc(1, sizeof(*p));
	int ret;

	if (p == NULL)
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", params->name);
	ret = kernel_link_open(&p->kernel, params->device, params->name, err);
	if (ret < 0) {
		free(p);
		return ret;
	}
	p->port.ops = &port_xdp_ops;
	p->port.mac = p->kernel.mac;
	snprintf(p->port.name, sizeof(p->port.name), "%s", params->name);
	ret = check_interface(p, params, err);
	if (ret == 0)
		ret = steer_program_attach(params->name, p->kernel.name, (enum xdp_mode)params->xdp_mode, &p->program, err);
	if (ret == 0 && steer_program_set_mac(p->program, &p->port.mac) < 0)
		ret = error_set(err, EIO, NULL, "port %s: the XDP program's settings cannot be written", params->name);
	/* In generic mode the program comes after merging. */
	if (ret == 0 && !steer_program_native(p->program))
		kernel_merging_stop(p->kernel.name, &p->merging);
	if (ret == 0)
		ret = open_queues(p, params, err);
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
	return xdp_queue_rx(((struct port_xdp *)port)->queues[queue], pkts, n);
}

static uint16_t xdp_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return xdp_queue_tx(((struct port_xdp *)port)->queues[queue], pkts, n);
}

static int xdp_rx_fd(struct port *port, uint16_t queue)
{
	return xdp_queue_fd(((struct port_xdp *)port)->queues[queue]);
}

static bool xdp_rx_arm(struct port *port, uint16_t queue, bool on)
{
	return !on || xdp_queue_idle(((struct port_xdp *)port)->queues[queue]);
}

/* --- the kernel's side ---------------------------------------------------------------------------------------- */

static void heard(void *arg, const struct ip_addr *address, const struct mac_addr *mac, enum neighbour_news news)
{
	if (port_neighbour_told != NULL)
		port_neighbour_told(arg, address, mac, news);
}

/** Link state and MAC follow the kernel's. The MTU is the port's for as long as it is open. */
static void refresh(struct port_xdp *p)
{
	if (kernel_link_refresh(&p->kernel) < 0)
		p->kernel.up = false;
	atomic_store_explicit(&p->port.link_up, p->kernel.up, memory_order_relaxed);
	if (p->kernel.exists && memcmp(&p->kernel.mac, &p->port.mac, sizeof(p->port.mac)) != 0)
		LOG_WARNING("the interface has another MAC address now: delete the uplink and add it again port=%s",
			p->port.name);
	if (p->kernel.exists && p->kernel.mtu < p->port.mtu && !p->complained)
		LOG_WARNING("the interface has a smaller MTU than the uplink now: delete the uplink and add it again port=%s "
			    "mtu=%u interface_mtu=%u", p->port.name, p->port.mtu, p->kernel.mtu);
	p->complained = p->kernel.mtu < p->port.mtu;
}

static void read_events(struct port_xdp *p)
{
	if (kernel_link_read(&p->kernel, heard, &p->port))
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
	uint64_t lost = 0;

	if (port_watch_fd == NULL)
		read_events(p);
	if (++p->ticks < LOST_TICKS)
		return;
	p->ticks = 0;
	for (uint16_t q = 0; q < port->n_rxq; q++)
		lost += xdp_queue_lost(p->queues[q]);
	atomic_store_explicit(&port->rx_errors, lost, memory_order_relaxed);
}

static const struct ip_prefix *xdp_addresses(const struct port *port, size_t *count)
{
	const struct port_xdp *p = (const struct port_xdp *)port;

	*count = p->kernel.n_addresses;
	return p->kernel.addresses;
}

static int xdp_steer(struct port *port, const struct steering *items, bool on)
{
	struct port_xdp *p = (struct port_xdp *)port;
	int ret = steer_program_edit(p->program, items, on);

	if (ret == 0)
		p->steered = on ? p->steered + items->count : p->steered - items->count;
	return ret;
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

	for (uint16_t q = 0; q < port->n_rxq; q++)
		zero_copy = zero_copy && xdp_queue_zero_copy(p->queues[q]);
	for (size_t i = 0; i < p->kernel.n_addresses; i++) {
		char text[PREFIX_TEXT_MAX];

		json_array_append_new(list, json_string(ip_prefix_format(&p->kernel.addresses[i], text)));
	}
	steer_program_counters(p->program, counters);
	json_object_set_new(obj, "interface", json_string(p->kernel.name));
	json_object_set_new(obj, "kernel_addresses", list);
	json_object_set_new(obj, "xdp_mode", json_string(steer_program_native(p->program) ? "native" : "generic"));
	json_object_set_new(obj, "zero_copy", json_boolean(zero_copy));
	json_object_set_new(obj, "xdp",
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "passed", (json_int_t)counters[STEER_PASSED],
			"udp_tunnel", (json_int_t)counters[STEER_UDP_TUNNEL], "ip_tunnel",
			(json_int_t)counters[STEER_IP_TUNNEL], "pods", (json_int_t)counters[STEER_PREFIX], "tunnel_errors",
			(json_int_t)counters[STEER_TUNNEL_ERROR], "no_socket", (json_int_t)counters[STEER_NO_SOCKET],
			"entries", (json_int_t)p->steered));
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
