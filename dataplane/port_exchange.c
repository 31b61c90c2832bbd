/* SPDX-License-Identifier: Apache-2.0 */
/** The exchange driver: a NIC that DPDK has whole, and a TAP that gives the kernel its traffic back. The TAP has the NIC's
 * MAC address; received frames that are not Podlane's go to it, and what the kernel sends on it goes out on the NIC. To the
 * rest of the data plane the pair is one port that is shared with the kernel, like af_xdp, with the choice of frames made
 * here (exchange_select.c) instead of by an XDP program.
 *
 * With a VLAN, the kernel has a VLAN interface on the TAP, which is the one with the uplink's addresses and neighbours; what is not
 * Podlane's goes to the TAP with the tag that it came with, and what the kernel sends is not tagged here.
 *
 * Threads: the worker of a receive queue polls the NIC's; that of queue 0 also reads the TAP. Any of them writes to it.
 * Transmit queues are locked here, because two workers may use one.
 */
#include "config/log.h"
#include "dataplane/exchange_select.h"
#include "dataplane/kernel_ethtool.h"
#include "dataplane/kernel_link.h"
#include "dataplane/kernel_vlan.h"
#include "dataplane/port.h"
#include "dataplane/vlan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <rte_cycles.h>
#include <rte_ether.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define TAP_BURST 32u
#define SEGMENTS  16
#define TAP_US	  20u /* between looks at a TAP that had nothing: a look is a system call */

struct port_exchange {
	struct port port;
	struct port *nic; /* in no table: ours alone */
	char tap_name[IFNAMSIZ];
	struct kernel_link kernel; /* of the TAP, or of the VLAN interface on it */
	struct rte_mempool *pool, *large_pool;
	int tap;
	bool carrier;
	rte_spinlock_t lock[PORT_QUEUE_MAX]; /* of the NIC's transmit queues */
	uint64_t look_tsc;		     /* at the TAP, next; of queue 0's worker */
	struct exchange_fragments fragments[PORT_QUEUE_MAX]; /* each its queue's worker's */
	/* Writers: workers. */
	_Atomic uint64_t to_kernel, from_kernel, kernel_lost;
};

/* --- the TAP -------------------------------------------------------------------------------------------------- */

static int tap_ioctl(const struct port_exchange *p, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	if (fd < 0)
		return -errno;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", p->tap_name);
	ret = ioctl(fd, request, ifr) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/** Without virtio headers: the kernel computes checksums and cuts segments before they come here. */
static int tap_open(struct port_exchange *p, const char *interface)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int ret;

	if (if_nametoindex(interface) != 0)
		return -EEXIST;
	p->tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (p->tap < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", interface);
	if (ioctl(p->tap, TUNSETIFF, &ifr) < 0)
		return -errno;
	snprintf(p->tap_name, sizeof(p->tap_name), "%s", interface);
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, p->nic->mac.bytes, sizeof(p->nic->mac.bytes));
	ret = tap_ioctl(p, SIOCSIFHWADDR, &ifr);
	ifr.ifr_mtu = p->nic->mtu;
	ret = ret < 0 ? ret : tap_ioctl(p, SIOCSIFMTU, &ifr);
	return ret < 0 ? ret : kernel_interface_up(interface);
}

static void set_carrier(struct port_exchange *p, bool on)
{
	int value = on;

	if (on != p->carrier && ioctl(p->tap, TUNSETCARRIER, &value) == 0)
		p->carrier = on;
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void to_kernel(struct port_exchange *p, struct rte_mbuf *m)
{
	struct iovec iov[SEGMENTS];
	int n = 0;

	if (unlikely(!vlan_restore(m))) {
		count(&p->kernel_lost, 1);
		rte_pktmbuf_free(m);
		return;
	}
	for (const struct rte_mbuf *s = m; s != NULL && n < SEGMENTS; s = s->next)
		iov[n++] = (struct iovec){ rte_pktmbuf_mtod(s, void *), s->data_len };
	count(writev(p->tap, iov, n) < 0 ? &p->kernel_lost : &p->to_kernel, 1);
	rte_pktmbuf_free(m);
}

static uint16_t send_locked(
	struct port_exchange *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent;

	rte_spinlock_lock(&p->lock[queue]);
	sent = p->nic->ops->tx_burst(p->nic, queue, pkts, n);
	rte_spinlock_unlock(&p->lock[queue]);
	return sent;
}

static void from_kernel(struct port_exchange *p)
{
	struct rte_mempool *pool =
		p->port.mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN + RTE_PKTMBUF_HEADROOM >
					rte_pktmbuf_data_room_size(p->pool) &&
				p->large_pool != NULL
			? p->large_pool
			: p->pool;
	struct rte_mbuf *pkts[TAP_BURST];
	uint16_t n = 0, sent;

	while (n < TAP_BURST) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		ssize_t len = m != NULL ? read(p->tap, rte_pktmbuf_mtod(m, void *),
						  rte_pktmbuf_tailroom(m))
					: -1;

		if (len < RTE_ETHER_HDR_LEN) {
			rte_pktmbuf_free(m);
			break;
		}
		m->data_len = (uint16_t)len;
		m->pkt_len = (uint32_t)len;
		pkts[n++] = m;
	}
	p->look_tsc = n == 0 ? rte_rdtsc() + rte_get_tsc_hz() / 1000000 * TAP_US : 0;
	if (n == 0)
		return;
	sent = send_locked(p, 0, pkts, n);
	count(&p->from_kernel, sent);
	count(&p->kernel_lost, (uint64_t)(n - sent));
	rte_pktmbuf_free_bulk(pkts + sent, n - sent);
}

/* --- life ----------------------------------------------------------------------------------------------------- */

static void release(struct port_exchange *p)
{
	kernel_link_close(&p->kernel);
	if (p->tap >= 0)
		close(p->tap);
	p->nic->ops->close(p->nic);
	free(p);
}

/** The interface that has the addresses. */
static int link_open(struct port_exchange *p, const struct port_params *params, struct error *err)
{
	char name[IFNAMSIZ];
	int ret = 0;

	if (params->vlan == 0)
		return kernel_link_open(&p->kernel, p->tap_name, params->name, err);
	if (!kernel_vlan_name(p->tap_name, params->vlan, name))
		ret = -ENAMETOOLONG;
	if (ret == 0)
		ret = kernel_vlan_add(p->tap_name, params->vlan, name);
	if (ret < 0)
		return error_set(err, -ret, NULL,
			"port %s: no interface of VLAN %u for the kernel on %s: %s", params->name,
			params->vlan, p->tap_name, strerror(-ret));
	return kernel_link_open(&p->kernel, name, params->name, err);
}

static int exchange_open(const struct port_params *params, struct port **out, struct error *err)
{
	struct port_exchange *p = calloc(1, sizeof(*p));
	int ret;

	if (p == NULL)
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", params->name);
	ret = port_ethdev_ops.open(params, &p->nic, err);
	if (ret < 0) {
		free(p);
		return ret;
	}
	p->tap = -1;
	p->carrier = true; /* as a TAP is born */
	p->pool = params->pool;
	p->large_pool = params->large_pool;
	for (unsigned q = 0; q < PORT_QUEUE_MAX; q++)
		rte_spinlock_init(&p->lock[q]);
	ret = tap_open(p, params->interface);
	if (ret < 0)
		error_set(err, -ret, NULL, "port %s: no interface %s for the kernel: %s",
			params->name, params->interface,
			ret == -EEXIST ? "there is one of that name" : strerror(-ret));
	else
		ret = link_open(p, params, err);
	if (ret < 0) {
		release(p);
		return ret;
	}
	p->port.ops = &port_exchange_ops;
	snprintf(p->port.name, sizeof(p->port.name), "%s", params->name);
	p->port.mac = p->nic->mac;
	p->port.mtu = p->nic->mtu;
	p->port.vlan = params->vlan;
	p->port.n_rxq = p->nic->n_rxq;
	p->port.n_txq = p->nic->n_txq;
	p->port.offloads = p->nic->offloads;
	p->port.large = p->nic->large;
	if (port_watch_fd != NULL)
		port_watch_fd(&p->port, kernel_link_fd(&p->kernel), true);
	*out = &p->port;
	return 0;
}

static void exchange_close(struct port *port)
{
	struct port_exchange *p = (struct port_exchange *)port;

	if (port_watch_fd != NULL)
		port_watch_fd(port, kernel_link_fd(&p->kernel), false);
	release(p);
}

/* --- workers -------------------------------------------------------------------------------------------------- */

static uint16_t exchange_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_exchange *p = (struct port_exchange *)port;
	uint16_t got, kept = 0;

	if (queue == 0 && rte_rdtsc() >= p->look_tsc)
		from_kernel(p);
	got = p->nic->ops->rx_burst(p->nic, queue, pkts, n);
	for (uint16_t i = 0; i < got; i++) {
		if ((port->vlan == 0 || vlan_accept(pkts[i], port->vlan)) &&
			exchange_is_ours(pkts[i], &port->mac, &p->fragments[queue]))
			pkts[kept++] = pkts[i];
		else
			to_kernel(p, pkts[i]);
	}
	return kept;
}

static uint16_t exchange_tx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return send_locked((struct port_exchange *)port, queue, pkts, n);
}

/* --- the kernel's side ---------------------------------------------------------------------------------------- */

static void heard(void *arg, const struct ip_addr *address, const struct mac_addr *mac,
	enum neighbour_news news)
{
	if (port_neighbour_told != NULL)
		port_neighbour_told(arg, address, mac, news);
}

static void exchange_control_ready(struct port *port, int fd)
{
	struct port_exchange *p = (struct port_exchange *)port;

	(void)fd;
	if (kernel_link_read(&p->kernel, heard, port))
		kernel_link_refresh(&p->kernel);
}

static void exchange_tick(struct port *port)
{
	struct port_exchange *p = (struct port_exchange *)port;
	bool up;

	if (p->nic->ops->tick != NULL)
		p->nic->ops->tick(p->nic);
	up = atomic_load_explicit(&p->nic->link_up, memory_order_relaxed);
	port->offloads = p->nic->offloads;
	set_carrier(p, up);
	atomic_store_explicit(&port->link_up, up, memory_order_relaxed);
	atomic_store_explicit(&port->rx_errors,
		atomic_load_explicit(&p->nic->rx_errors, memory_order_relaxed) +
			atomic_load_explicit(&p->kernel_lost, memory_order_relaxed),
		memory_order_relaxed);
	if (port_watch_fd == NULL)
		exchange_control_ready(port, -1);
}

static const struct ip_prefix *exchange_addresses(const struct port *port, size_t *count_out)
{
	const struct port_exchange *p = (const struct port_exchange *)port;

	*count_out = p->kernel.n_addresses;
	return p->kernel.addresses;
}

/** Nothing to tell: the published tables are what frames are chosen by. */
static int exchange_steer(struct port *port, const struct steering *items, bool on)
{
	(void)port;
	(void)items;
	(void)on;
	return 0;
}

static void exchange_resolve(struct port *port, const struct ip_addr *address, bool confirm)
{
	kernel_link_resolve(&((struct port_exchange *)port)->kernel, address, confirm, heard, port);
}

static int exchange_assign(struct port *port, const struct ip_prefix *address, bool on)
{
	return kernel_link_assign(&((struct port_exchange *)port)->kernel, address, on);
}

static void exchange_describe(const struct port *port, json_t *obj)
{
	const struct port_exchange *p = (const struct port_exchange *)port;

	if (p->nic->ops->describe != NULL)
		p->nic->ops->describe(p->nic, obj);
	json_object_set_new(obj, "kernel_interface", json_string(p->tap_name));
	if (port->vlan != 0)
		json_object_set_new(obj, "kernel_vlan_interface", json_string(p->kernel.name));
	json_object_set_new(obj, "to_kernel", json_integer((json_int_t)atomic_load(&p->to_kernel)));
	json_object_set_new(
		obj, "from_kernel", json_integer((json_int_t)atomic_load(&p->from_kernel)));
}

static const struct port_shared_ops shared_ops = {
	.addresses = exchange_addresses,
	.steer = exchange_steer,
	.resolve = exchange_resolve,
	.assign = exchange_assign,
};

const struct port_ops port_exchange_ops = {
	.name = "exchange",
	.open = exchange_open,
	.close = exchange_close,
	.rx_burst = exchange_rx_burst,
	.tx_burst = exchange_tx_burst,
	.tick = exchange_tick,
	.control_ready = exchange_control_ready,
	.describe = exchange_describe,
	.shared = &shared_ops,
};
