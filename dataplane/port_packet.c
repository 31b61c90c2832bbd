/* SPDX-License-Identifier: Apache-2.0 */
/** The af_packet driver: an uplink shared with the kernel through packet sockets, one a queue. Large packets cross whole where
 * they can: TCP segments of the pods, and tunnel packets of one flow (udp_merge.h, udp_split.h), which a veth passes on
 * and for a NIC the kernel cuts late.
 *
 * The interface and its settings stay their owner's; it is only set up when it is down. When it vanishes the port waits for
 * one of that name. Sockets are replaced by RCU; a queue's epoll instance stays, for workers to sleep on. */
#include "config/log.h"
#include "dataplane/ethdev_device.h"
#include "dataplane/kernel_ethtool.h"
#include "dataplane/kernel_flows.h"
#include "dataplane/last_close.h"
#include "dataplane/packet_rx.h"
#include "dataplane/packet_tx.h"
#include "dataplane/port.h"
#include "dataplane/rcu.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <rte_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define STATS_TICKS 10 /* of 100 ms */
#define VLAN_TAG    4

/** Lives as long as its socket. Its parts belong to the workers of the receive and of the transmit queue. */
struct packet_queue {
	struct packet_socket socket;
	struct packet_rx rx;
	struct packet_tx tx __rte_cache_aligned;
};

struct port_packet {
	struct port port;
	struct packet_rx_conf rx;
	/* Writer: control. Readers: workers. NULL = the interface is gone. */
	_Atomic(struct packet_queue *) queues[PORT_QUEUE_MAX];
	int epoll_fd[PORT_QUEUE_MAX]; /* watches the queue's socket of the time */
	/* Control thread only. */
	char interface[IFNAMSIZ];
	unsigned ifindex;  /* 0 = gone */
	int interface_mtu; /* 0 = not looked at yet */
	int request_fd;	   /* for questions about the interface */
	bool promiscuous;
	bool refused; /* said that the interface that came back cannot be used */
	bool merge;   /* the kernel takes large UDP packets */
	uint8_t ticks;
	/* Of sockets that are closed. */
	uint64_t missed, merged_messages, merged_packets;
};

/* --- the interface -------------------------------------------------------------------------------------------- */

/** @return 0 or -errno. */
static int request(const struct port_packet *p, unsigned long what, struct ifreq *ifr)
{
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", p->interface);
	return ioctl(p->request_fd, what, ifr) < 0 ? -errno : 0;
}

static int interface_mac(const struct port_packet *p, struct mac_addr *mac, struct error *err)
{
	struct ifreq ifr = { 0 };
	int ret = request(p, SIOCGIFHWADDR, &ifr);

	if (ret < 0)
		return error_set(err, -ret, NULL, "port %s: interface %s: %s", p->port.name,
			p->interface, strerror(-ret));
	if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER && ifr.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		return error_set(err, EINVAL, NULL,
			"port %s: interface %s does not carry Ethernet frames (hardware type %u): "
			"name one that does",
			p->port.name, p->interface, ifr.ifr_hwaddr.sa_family);
	memcpy(mac->bytes, ifr.ifr_hwaddr.sa_data, sizeof(mac->bytes));
	return 0;
}

/** Link and MTU. */
static void interface_look(struct port_packet *p)
{
	struct ifreq ifr = { 0 };
	const int running = IFF_UP | IFF_RUNNING;
	bool up = p->ifindex != 0 && request(p, SIOCGIFFLAGS, &ifr) == 0 &&
		  (ifr.ifr_flags & running) == running;
	bool was_up = atomic_load_explicit(&p->port.link_up, memory_order_relaxed);

	atomic_store_explicit(&p->port.link_up, up, memory_order_relaxed);
	if (up != was_up && p->interface_mtu != 0)
		LOG_FROM(&p->port.log, LOG_LEVEL_INFO,
			"link of an uplink changed port=%s interface=%s link=%s", p->port.name,
			p->interface, up ? "up" : "down");
	if (p->ifindex == 0 || request(p, SIOCGIFMTU, &ifr) < 0 || ifr.ifr_mtu == p->interface_mtu)
		return;
	if (ifr.ifr_mtu < p->port.mtu)
		LOG_FROM(&p->port.log, LOG_LEVEL_WARNING,
			"interface has a smaller MTU than its uplink, large packets will be lost "
			"port=%s interface=%s "
			"interface_mtu=%d mtu=%u",
			p->port.name, p->interface, ifr.ifr_mtu, p->port.mtu);
	else if (p->interface_mtu != 0)
		LOG_FROM(&p->port.log, LOG_LEVEL_INFO,
			"MTU of an uplink's interface changed port=%s interface=%s "
			"interface_mtu=%d",
			p->port.name, p->interface, ifr.ifr_mtu);
	p->interface_mtu = ifr.ifr_mtu;
}

/* --- queues --------------------------------------------------------------------------------------------------- */

static void socket_free(void *obj)
{
	struct packet_queue *q = obj;

	packet_socket_close(&q->socket);
	free(q);
}

static void queue_free(void *obj)
{
	packet_rx_fini(&((struct packet_queue *)obj)->rx);
	socket_free(obj);
}

/** Remember what a socket has counted before it is closed. */
static void queue_account(struct port_packet *p, const struct packet_queue *q)
{
	p->missed += packet_socket_missed(&q->socket);
	p->merged_messages += atomic_load_explicit(&q->tx.merged_messages, memory_order_relaxed);
	p->merged_packets += atomic_load_explicit(&q->tx.merged_packets, memory_order_relaxed);
}

static int queue_open(struct port_packet *p, struct packet_socket_conf *conf, unsigned index,
	struct packet_queue **out, struct error *err)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct packet_queue *q =
		aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*q), RTE_CACHE_LINE_SIZE));
	int ret;

	if (q == NULL)
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", p->port.name);
	memset(q, 0, sizeof(*q));
	ret = packet_socket_open(&q->socket, conf, err);
	if (ret < 0) {
		free(q);
		return ret;
	}
	atomic_init(&q->tx.merge, p->merge);
	if (epoll_ctl(p->epoll_fd[index], EPOLL_CTL_ADD, q->socket.fd, &ev) < 0) {
		ret = error_set(err, errno, NULL, "port %s: cannot wait for packets: %s",
			p->port.name, strerror(errno));
		queue_free(q);
		return ret;
	}
	*out = q;
	return 0;
}

/** Take packets from the interface that has the name now. On error nothing is open. */
static int attach(struct port_packet *p, unsigned ifindex, struct error *err)
{
	struct packet_socket_conf conf = { .port = p->port.name,
		.ifindex = ifindex,
		.frame_max = p->port.mtu + RTE_ETHER_HDR_LEN + VLAN_TAG,
		.spread = p->port.n_rxq > 1 };
	struct packet_queue *queues[PORT_QUEUE_MAX];
	struct mac_addr mac;
	unsigned n;
	int ret = interface_mac(p, &mac, err);

	if (ret < 0)
		return ret;
	if (mac_addr_is_zero(&p->port.mac))
		p->port.mac = mac;
	conf.promiscuous = memcmp(mac.bytes, p->port.mac.bytes, sizeof(mac.bytes)) != 0;
	for (n = 0; n < p->port.n_rxq && ret == 0; n++)
		ret = queue_open(p, &conf, n, &queues[n], err);
	if (ret < 0) {
		for (n--; n > 0; n--)
			queue_free(queues[n - 1]);
		return ret;
	}
	/* Before they were a group, each socket got everything. */
	for (n = 0; n < p->port.n_rxq && conf.spread; n++)
		packet_socket_discard(&queues[n]->socket);
	for (n = 0; n < p->port.n_rxq; n++)
		rcu_publish(&p->queues[n], queues[n]);
	p->promiscuous = conf.promiscuous;
	p->ifindex = ifindex;
	/* A receiver by AF_XDP has no way to know that a checksum is missing. */
	if (!kernel_interface_leaves_checksums(p->interface))
		atomic_store_explicit(&p->port.kernel_ifindex, ifindex, memory_order_relaxed);
	return 0;
}

static void detach(struct port_packet *p)
{
	for (unsigned n = 0; n < p->port.n_rxq; n++) {
		struct packet_queue *q = rcu_publish(&p->queues[n], NULL);

		/* It is closed later, and until then in the state that its interface is gone: not to be woken by that. */
		if (q != NULL) {
			epoll_ctl(p->epoll_fd[n], EPOLL_CTL_DEL, q->socket.fd, NULL);
			queue_account(p, q);
		}
		rcu_retire(q, queue_free);
	}
	p->ifindex = 0;
	atomic_store_explicit(&p->port.kernel_ifindex, 0, memory_order_relaxed);
	kernel_flows_port_changed(&p->port);
}

/** Notice that the interface is gone, or that there is one again. */
static void follow_interface(struct port_packet *p)
{
	struct port_params params = { .name = p->port.name, .mtu = p->port.mtu };
	unsigned now = if_nametoindex(p->interface);
	struct error err = { 0 };

	if (now == p->ifindex)
		return;
	if (p->ifindex != 0) {
		LOG_FROM(&p->port.log, LOG_LEVEL_WARNING,
			"interface of an uplink is gone, waiting for it port=%s interface=%s",
			p->port.name, p->interface);
		detach(p);
	}
	if (now == 0)
		return;
	if (kernel_interface_check(p->interface, &params, &err) < 0 || attach(p, now, &err) < 0) {
		if (!p->refused)
			LOG_FROM(&p->port.log, LOG_LEVEL_WARNING,
				"interface of an uplink is back but cannot be used: %s", err.text);
		p->refused = true;
		return;
	}
	p->refused = false;
	LOG_FROM(&p->port.log, LOG_LEVEL_INFO,
		"interface of an uplink is back port=%s interface=%s promiscuous=%s", p->port.name,
		p->interface, p->promiscuous ? "yes" : "no");
}

/* --- operations ----------------------------------------------------------------------------------------------- */

static void packet_close(struct port *port)
{
	struct port_packet *p = (struct port_packet *)port;

	for (unsigned n = 0; n < port->n_rxq; n++) {
		struct packet_queue *q = rcu_own(&p->queues[n]);

		if (q != NULL && port->ending) {
			packet_rx_fini(&q->rx);
			last_close(socket_free, q);
		} else if (q != NULL) {
			queue_free(q);
		}
		if (p->epoll_fd[n] >= 0)
			close(p->epoll_fd[n]);
	}
	if (p->request_fd >= 0)
		close(p->request_fd);
	free(p);
}

static int check_name(const struct port_params *params, struct error *err)
{
	const char *name = params->interface;

	if (name == NULL || name[0] == '\0' || strlen(name) >= IFNAMSIZ)
		return error_set(err, EINVAL, NULL,
			"port %s: \"%s\" cannot be the name of an interface: see `ip link`",
			params->name, name != NULL ? name : "");
	if (params->n_queues == 0)
		return error_set(err, EINVAL, NULL, "port %s: no queues wanted", params->name);
	return 0;
}

static struct port_packet *port_new(const struct port_params *params)
{
	struct port_packet *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->port.ops = &port_packet_ops;
	p->port.mac = params->port_mac;
	p->port.mtu = params->mtu;
	/* What the interface cannot do the kernel does for it. */
	p->port.offloads = PORT_TX_CSUM | PORT_TX_TSO | (params->vlan != 0 ? PORT_TX_VLAN : 0);
	p->port.n_rxq = (uint16_t)RTE_MIN((unsigned)params->n_queues, (unsigned)PORT_QUEUE_MAX);
	p->port.n_txq = p->port.n_rxq;
	p->rx.small = params->pool;
	p->rx.large = params->large_pool != NULL ? params->large_pool : params->pool;
	p->rx.vlan = params->vlan;
	snprintf(p->port.name, sizeof(p->port.name), "%s", params->name);
	snprintf(p->interface, sizeof(p->interface), "%s", params->interface);
	p->request_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (unsigned n = 0; n < PORT_QUEUE_MAX; n++)
		p->epoll_fd[n] = n < p->port.n_rxq ? epoll_create1(EPOLL_CLOEXEC) : -1;
	return p;
}

static int packet_open(const struct port_params *params, struct port **out, struct error *err)
{
	struct port_packet *p;
	int ret = check_name(params, err);

	if (ret < 0)
		return ret;
	ret = kernel_interface_check(params->interface, params, err);
	if (ret < 0)
		return ret;
	p = port_new(params);
	if (p == NULL)
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", params->name);
	p->merge = packet_socket_segments_udp();
	if (!p->merge)
		LOG_WARNING("this kernel does not segment UDP for packet sockets (Linux 6.2 does): "
			    "tunnel packets are sent one by one "
			    "port=%s",
			params->name);
	ret = attach(p, if_nametoindex(params->interface), err);
	if (ret < 0) {
		packet_close(&p->port);
		return ret;
	}
	interface_look(p);
	*out = &p->port;
	return 0;
}

static uint16_t packet_rx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_packet *p = (struct port_packet *)port;
	struct packet_queue *q = rcu_read(&p->queues[queue]);

	return likely(q != NULL)
		       ? packet_rx_burst(&q->rx, &q->socket, &p->rx, pkts, n, &port->rx_errors)
		       : 0;
}

static uint16_t packet_tx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct packet_queue *q = rcu_read(&((struct port_packet *)port)->queues[queue]);

	return likely(q != NULL) ? packet_tx_burst(&q->tx, q->socket.fd, pkts, n) : 0;
}

static int packet_rx_fd(struct port *port, uint16_t queue)
{
	return ((struct port_packet *)port)->epoll_fd[queue];
}

/** Nothing to ask of the kernel; but what was begun is no longer in the ring. */
static bool packet_rx_arm(struct port *port, uint16_t queue, bool on)
{
	struct packet_queue *q = rcu_read(&((struct port_packet *)port)->queues[queue]);

	return !on || q == NULL || !(packet_rx_waiting(&q->rx) || packet_socket_ready(&q->socket));
}

static void packet_tick(struct port *port)
{
	struct port_packet *p = (struct port_packet *)port;

	p->ticks = (uint8_t)((p->ticks + 1) % STATS_TICKS);
	follow_interface(p);
	interface_look(p);
	for (unsigned n = 0; n < port->n_rxq; n++) {
		struct packet_queue *q = rcu_own(&p->queues[n]);

		if (q == NULL)
			continue;
		packet_socket_forget_error(&q->socket);
		if (p->ticks != 0)
			continue;
		p->missed += packet_socket_missed(&q->socket);
		if (p->merge && !atomic_load_explicit(&q->tx.merge, memory_order_relaxed)) {
			LOG_WARNING("the kernel refused a large UDP packet: tunnel packets are "
				    "sent one by one port=%s",
				port->name);
			p->merge = false;
		}
	}
}

static void packet_describe(const struct port *port, json_t *obj)
{
	const struct port_packet *p = (const struct port_packet *)port;
	uint64_t messages = p->merged_messages, packets = p->merged_packets, missed = p->missed;

	for (unsigned n = 0; n < port->n_rxq; n++) {
		const struct packet_queue *q = rcu_own(&p->queues[n]);

		if (q != NULL) {
			messages +=
				atomic_load_explicit(&q->tx.merged_messages, memory_order_relaxed);
			packets +=
				atomic_load_explicit(&q->tx.merged_packets, memory_order_relaxed);
		}
	}
	json_object_set_new(obj, "interface", json_string(p->interface));
	json_object_set_new(obj, "interface_gone", json_boolean(p->ifindex == 0));
	json_object_set_new(obj, "interface_mtu", json_integer(p->interface_mtu));
	json_object_set_new(obj, "promiscuous", json_boolean(p->promiscuous));
	json_object_set_new(obj, "rx_missed", json_integer((json_int_t)missed));
	json_object_set_new(obj, "tx_udp_segmentation", json_boolean(p->merge));
	json_object_set_new(obj, "tx_merged_packets", json_integer((json_int_t)packets));
	json_object_set_new(obj, "tx_merged_messages", json_integer((json_int_t)messages));
}

const struct port_ops port_packet_ops = {
	.name = "af_packet",
	.open = packet_open,
	.close = packet_close,
	.rx_burst = packet_rx,
	.tx_burst = packet_tx,
	.rx_fd = packet_rx_fd,
	.rx_arm = packet_rx_arm,
	.tick = packet_tick,
	.describe = packet_describe,
};
