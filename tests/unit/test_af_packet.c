/* SPDX-License-Identifier: Apache-2.0 */
/** Uplinks on kernel interfaces: the af_packet driver, and the ethdev driver over net_af_xdp, on one end
 * of a veth, a packet socket on the other. Needs root; everything happens in a network namespace of its own.
 */
#include "dataplane/port.h"
#include "dataplane/rcu.h"
#include "dataplane/settings.h"
#include "dataplane/udp_merge.h"
#include "tests/unit/eal.h"
#include "tests/unit/frames.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <sched.h>
#include <sys/socket.h>

#define SKIPPED 77

static struct rte_mempool *pool, *large_pool;
static struct frame frame;
static uint8_t flat[FRAME_MAX];

static struct port_params params_for(const char *device)
{
	eal_start();
	if (pool == NULL) {
		rcu_init();
		pool = eal_pool("small", 8192, 2048);
		large_pool = eal_pool("large", 128, 16384);
	}
	return (struct port_params){ .name = "uplink",
		.role = PORT_UPLINK,
		.device = device,
		.interface = "up0",
		.n_queues = 1,
		.mtu = 1500,
		.pool = pool,
		.large_pool = large_pool };
}

static struct port *open_port(const char *device, uint16_t mtu, uint16_t n_queues)
{
	struct port_params params = params_for(device);
	struct port *port = NULL;
	struct error err = { 0 };

	params.mtu = mtu;
	params.n_queues = n_queues;
	if (port_open(device != NULL ? "ethdev" : "af_packet", &params, 1, &port, &err) < 0)
		printf(" %s ", err.text);
	return port;
}

static void close_port(struct port *port)
{
	port_close(port);
	rcu_barrier();
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(large_pool), 0);
}

static void veth_up(unsigned mtu)
{
	char command[256];

	snprintf(command, sizeof(command),
		"ip link add up0 mtu %u type veth peer name far0 mtu %u && ip link set far0 up &&"
		" sysctl -qw net.ipv6.conf.up0.disable_ipv6=1 net.ipv6.conf.far0.disable_ipv6=1",
		mtu, mtu);
	CU_ASSERT_EQUAL_FATAL(system(command), 0);
}

static int far_socket(void)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex("far0") };
	struct timeval timeout = { .tv_sec = 2 };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return bind(fd, (struct sockaddr *)&sll, sizeof(sll)) < 0 ? -1 : fd;
}

/** A frame the size of the MTU, each way, alone and in a chain. */
static void exchange(struct port *port, uint32_t mtu)
{
	struct rte_mbuf *m, *in[8];
	int fd = far_socket();
	uint16_t n = 0, queue;

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	for (unsigned round = 0; round < 8; round++) {
		uint32_t ip_len = round & 1 ? mtu : 60;

		frame_build(&frame, round & 2, IPPROTO_TCP, 0, 0, ip_len - (round & 2 ? 60 : 40));
		m = frame_mbuf(&frame, pool);
		m->ol_flags = 0;
		CU_ASSERT_EQUAL_FATAL(port_tx(port, 0, &m, 1), 1);
		CU_ASSERT_EQUAL(recv(fd, flat, sizeof(flat), 0), (ssize_t)frame.len);
		CU_ASSERT_EQUAL(memcmp(flat, frame.bytes, frame.len), 0);
		CU_ASSERT_EQUAL(send(fd, frame.bytes, frame.len, 0), (ssize_t)frame.len);
		for (unsigned tries = 0; tries < 2000 && n == 0; tries++) {
			for (queue = 0; queue < port->n_rxq && n == 0; queue++)
				n = port->ops->rx_burst(port, queue, in, RTE_DIM(in));
			usleep(100);
		}
		CU_ASSERT_EQUAL_FATAL(n, 1);
		CU_ASSERT_EQUAL(mbuf_bytes(in[0], flat), frame.len);
		CU_ASSERT_EQUAL(memcmp(flat, frame.bytes, frame.len), 0);
		rte_pktmbuf_free(in[0]);
		n = 0;
	}
	close(fd);
}

static bool gro_is_on(void)
{
	return system("ethtool -k up0 | grep -q 'generic-receive-offload: on'") == 0;
}

/** The kernel tells of a link a little later than it changes. */
static bool link_becomes(struct port *port, bool up)
{
	for (unsigned i = 0; i < 300; i++) {
		port->ops->tick(port);
		if (atomic_load(&port->link_up) == up)
			return true;
		usleep(10000);
	}
	return false;
}

static void af_packet(void)
{
	struct pollfd ready;
	struct port *port;

	veth_up(1500);
	CU_ASSERT_EQUAL(system("ethtool -K up0 gro on"), 0);
	port = open_port(NULL, 1500, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	/* It was down; what else its owner has set stays. */
	port->ops->tick(port);
	CU_ASSERT_TRUE(atomic_load(&port->link_up));
	CU_ASSERT_TRUE(gro_is_on());
	exchange(port, 1500);
	system("ip link set far0 down");
	CU_ASSERT_TRUE(link_becomes(port, false));
	system("ip link set far0 up");
	CU_ASSERT_TRUE(link_becomes(port, true));
	exchange(port, 1500);
	/* A socket remembers that its interface was down, which would wake sleepers for ever. */
	system("ip link set up0 down");
	CU_ASSERT_TRUE(link_becomes(port, false));
	system("ip link set up0 up");
	CU_ASSERT_TRUE(link_becomes(port, true));
	exchange(port, 1500);
	ready = (struct pollfd){ .fd = port->ops->rx_fd(port, 0), .events = POLLIN };
	CU_ASSERT_EQUAL(poll(&ready, 1, 0), 0);
	close_port(port);
	CU_ASSERT_TRUE(gro_is_on());
	/* Again, in more queues. */
	port = open_port(NULL, 1500, 4);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	CU_ASSERT_EQUAL(port->n_rxq, 4);
	exchange(port, 1500);
	close_port(port);
	system("ip link del up0");
}

static void af_packet_jumbo(void)
{
	struct port *port;

	veth_up(9000);
	port = open_port(NULL, 9000, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	exchange(port, 9000);
	close_port(port);
	system("ip link del up0");
}

/** The interface's MTU is its owner's: less than ours is refused, and never changed. */
static void mtu_is_not_touched(void)
{
	struct port_params params = params_for(NULL);
	struct error err = { 0 };
	struct port *port;

	veth_up(1400);
	CU_ASSERT_EQUAL(port_open("af_packet", &params, 1, &port, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "MTU 1400"));
	params.mtu = 1300;
	CU_ASSERT_EQUAL_FATAL(port_open("af_packet", &params, 1, &port, &err), 0);
	CU_ASSERT_EQUAL(system("ip link show up0 | grep -q 'mtu 1400'"), 0);
	close_port(port);
	system("ip link del up0");
}

/** Another MAC than the interface's: promiscuous instead of changed. */
static void mac_is_not_touched(void)
{
	struct port_params params = params_for(NULL);
	struct error err = { 0 };
	struct port *port;

	veth_up(1500);
	CU_ASSERT_EQUAL(system("ip link set up0 address 02:00:00:00:00:77"), 0);
	mac_addr_parse("02:00:00:00:00:55", &params.port_mac);
	CU_ASSERT_EQUAL_FATAL(port_open("af_packet", &params, 1, &port, &err), 0);
	CU_ASSERT_EQUAL(port->mac.bytes[5], 0x55);
	CU_ASSERT_EQUAL(system("ip -d link show up0 | grep -q 02:00:00:00:00:77"), 0);
	CU_ASSERT_EQUAL(system("ip -d link show up0 | grep -q 'promiscuity 0'"), 256);
	exchange(port, 1500);
	close_port(port);
	system("ip link del up0");
}

/** Packets received within two seconds. */
static uint16_t receive(struct port *port, struct rte_mbuf **in, uint16_t want)
{
	uint16_t n = 0;

	for (unsigned tries = 0; tries < 2000 && n < want; tries++) {
		for (uint16_t queue = 0; queue < port->n_rxq && n < want; queue++)
			n = (uint16_t)(n + port->ops->rx_burst(
						   port, queue, in + n, (uint16_t)(want - n)));
		if (n < want)
			usleep(1000);
	}
	return n;
}

/** Gone and back: without a restart, under another index, and with another MAC address. */
static void vanishing_interface(void)
{
	struct mac_addr mac;
	struct rte_mbuf *in[4], *m;
	struct port *port;
	struct pollfd ready;

	for (uint16_t queues = 1; queues <= 2; queues++) {
		veth_up(1500);
		port = open_port(NULL, 1500, queues);
		CU_ASSERT_PTR_NOT_NULL_FATAL(port);
		mac = port->mac;
		exchange(port, 1500);
		system("ip link del up0");
		port->ops->tick(port);
		CU_ASSERT_FALSE(atomic_load(&port->link_up));
		CU_ASSERT_EQUAL(port->ops->rx_burst(port, 0, in, 4), 0);
		CU_ASSERT_TRUE(port->ops->rx_arm(port, 0, true));
		frame_build(&frame, false, IPPROTO_UDP, 0, 0, 100);
		m = frame_mbuf(&frame, pool);
		CU_ASSERT_EQUAL(port_tx(port, 0, &m, 1), 0);
		rte_pktmbuf_free(m);
		veth_up(1500);
		CU_ASSERT_TRUE(link_becomes(port, true));
		CU_ASSERT_EQUAL(memcmp(&mac, &port->mac, sizeof(mac)), 0);
		exchange(port, 1500);
		/* Whoever slept on the descriptor of before is still woken. */
		ready = (struct pollfd){ .fd = port->ops->rx_fd(port, 0), .events = POLLIN };
		if (queues == 1) {
			int fd = far_socket();

			CU_ASSERT_EQUAL(poll(&ready, 1, 0), 0);
			CU_ASSERT_EQUAL(send(fd, frame.bytes, frame.len, 0), (ssize_t)frame.len);
			CU_ASSERT_EQUAL(poll(&ready, 1, 2000), 1);
			CU_ASSERT_EQUAL(receive(port, in, 1), 1);
			rte_pktmbuf_free(in[0]);
			close(fd);
		}
		system("ip link del up0");
		close_port(port);
	}
}

/** The far end with virtio headers: what crossed whole is seen whole. */
static int far_socket_vnet(void)
{
	const int one = 1;
	int fd = far_socket();

	CU_ASSERT_EQUAL(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	return fd;
}

/** One flow of `n` UDP packets with `payload` bytes, without checksums. */
static void flow(struct rte_mbuf **pkts, uint16_t n, bool v6, uint32_t payload)
{
	for (uint16_t i = 0; i < n; i++) {
		if (i == 0)
			frame_build(&frame, v6, IPPROTO_UDP, 0, 0, payload);
		put16(frame.bytes + frame_checksum_at(&frame), 0);
		put16(frame.bytes + frame.len - 2, i);
		pkts[i] = frame_mbuf(&frame, pool);
		pkts[i]->ol_flags = 0;
	}
}

/** A burst of one flow crosses the veth as one, and is taken apart where another port receives it. */
static void large_udp_crosses_whole(void)
{
	struct rte_mbuf *pkts[64], *in[64];
	struct port_params params;
	struct error err = { 0 };
	struct port *port, *far;

	veth_up(1500);
	port = open_port(NULL, 1500, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	params = params_for(NULL);
	params.name = "far";
	params.interface = "far0";
	CU_ASSERT_EQUAL_FATAL(port_open("af_packet", &params, 1, &far, &err), 0);
	for (int v6 = 0; v6 < 2; v6++) {
		int fd = far_socket_vnet();
		const uint32_t headers = v6 ? 62 : 42;
		struct virtio_net_hdr hdr;
		struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { flat, sizeof(flat) } };

		flow(pkts, 40, v6, 1400);
		CU_ASSERT_EQUAL_FATAL(port_tx(port, 0, pkts, 40), 40);
		CU_ASSERT_EQUAL(readv(fd, iov, 2), (ssize_t)(sizeof(hdr) + headers + 40 * 1400));
		CU_ASSERT_EQUAL(hdr.gso_type, VIRTIO_NET_HDR_GSO_UDP_L4);
		CU_ASSERT_EQUAL(hdr.gso_size, 1400);
		CU_ASSERT_EQUAL_FATAL(receive(far, in, 40), 40);
		for (unsigned i = 0; i < 40; i++) {
			CU_ASSERT_EQUAL(in[i]->nb_segs, 1);
			CU_ASSERT_EQUAL_FATAL(mbuf_bytes(in[i], flat), headers + 1400);
			/* No table says that it is a tunnel's: each has a checksum, and the right one. */
			CU_ASSERT_TRUE(checksum_is_right(&frame, flat, headers + 1400));
			CU_ASSERT_EQUAL(flat[headers + 1399], i);
			CU_ASSERT_EQUAL(memcmp(flat + headers, frame.bytes + headers, 1398), 0);
			rte_pktmbuf_free(in[i]);
		}
		/* Asked for a few at a time, the rest waits, and nobody may sleep on it. */
		flow(pkts, 40, v6, 1400);
		CU_ASSERT_EQUAL_FATAL(port_tx(port, 0, pkts, 40), 40);
		CU_ASSERT_EQUAL_FATAL(receive(far, in, 7), 7);
		CU_ASSERT_FALSE(far->ops->rx_arm(far, 0, true));
		CU_ASSERT_EQUAL_FATAL(receive(far, in + 7, 33), 33);
		CU_ASSERT_TRUE(far->ops->rx_arm(far, 0, true));
		rte_pktmbuf_free_bulk(in, 40);
		close(fd);
	}
	/* And one that is closed in between leaves nothing behind. */
	flow(pkts, 40, false, 1400);
	CU_ASSERT_EQUAL_FATAL(port_tx(port, 0, pkts, 40), 40);
	CU_ASSERT_EQUAL_FATAL(receive(far, in, 7), 7);
	rte_pktmbuf_free_bulk(in, 7);
	port_close(far);
	close_port(port);
	system("ip link del up0");
}

/** Without offloads of the interface the kernel cuts: frames no longer than the MTU. */
static void large_udp_is_cut_late(void)
{
	struct rte_mbuf *pkts[40];
	struct port *port;
	int fd;

	veth_up(1500);
	CU_ASSERT_EQUAL(system("ethtool -K up0 tx off tso off gso off >/dev/null"), 0);
	port = open_port(NULL, 1500, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	fd = far_socket();
	flow(pkts, 40, false, 1400);
	CU_ASSERT_EQUAL_FATAL(port_tx(port, 0, pkts, 40), 40);
	for (unsigned i = 0; i < 40; i++) {
		CU_ASSERT_EQUAL_FATAL(recv(fd, flat, sizeof(flat), 0), 1442);
		CU_ASSERT_TRUE(checksum_is_right(&frame, flat, 1442));
		CU_ASSERT_EQUAL(flat[1441], i);
	}
	close(fd);
	close_port(port);
	system("ip link del up0");
}

/** TCP segments, both ways, as they are; partial checksums; a VLAN tag. */
static void large_tcp_and_tags(void)
{
	struct virtio_net_hdr hdr;
	struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { flat, sizeof(flat) } };
	struct rte_mbuf *m, *in[2];
	struct port *port;
	int fd;

	veth_up(1500);
	port = open_port(NULL, 1500, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	CU_ASSERT_EQUAL(port->offloads, PORT_TX_CSUM | PORT_TX_TSO);
	fd = far_socket_vnet();
	for (int v6 = 0; v6 < 2; v6++) {
		frame_build(&frame, v6, IPPROTO_TCP, 0, 12, 60000);
		m = frame_mbuf(&frame, large_pool);
		m->tso_segsz = 1400;
		m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM;
		CU_ASSERT_EQUAL_FATAL(port_tx(port, 0, &m, 1), 1);
		CU_ASSERT_EQUAL(readv(fd, iov, 2), (ssize_t)(sizeof(hdr) + frame.len));
		CU_ASSERT_EQUAL(hdr.gso_type & ~VIRTIO_NET_HDR_GSO_ECN,
			v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
		CU_ASSERT_EQUAL(hdr.gso_size, 1400);
		CU_ASSERT_EQUAL(memcmp(flat, frame.bytes, frame.len), 0);
		/* Back. */
		iov[1].iov_len = frame.len;
		CU_ASSERT_EQUAL(writev(fd, iov, 2), (ssize_t)(sizeof(hdr) + frame.len));
		iov[1].iov_len = sizeof(flat);
		CU_ASSERT_EQUAL_FATAL(receive(port, in, 1), 1);
		CU_ASSERT_TRUE((in[0]->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0);
		CU_ASSERT_EQUAL(in[0]->tso_segsz, 1400);
		CU_ASSERT_EQUAL(mbuf_bytes(in[0], flat), frame.len);
		CU_ASSERT_EQUAL(memcmp(flat, frame.bytes, frame.len), 0);
		rte_pktmbuf_free(in[0]);
		/* One packet of UDP without its checksum. */
		frame_build(&frame, v6, IPPROTO_UDP, 0, 0, 600);
		hdr = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = v6 ? 54 : 34,
			.csum_offset = 6 };
		iov[1] = (struct iovec){ frame.bytes, frame.len };
		CU_ASSERT_EQUAL(writev(fd, iov, 2), (ssize_t)(sizeof(hdr) + frame.len));
		iov[1] = (struct iovec){ flat, sizeof(flat) };
		CU_ASSERT_EQUAL_FATAL(receive(port, in, 1), 1);
		CU_ASSERT_EQUAL(in[0]->ol_flags & RTE_MBUF_F_TX_L4_MASK, RTE_MBUF_F_TX_UDP_CKSUM);
		rte_pktmbuf_free(in[0]);
	}
	/* Taken off by the kernel, put back. */
	frame_build(&frame, false, IPPROTO_UDP, 0, 0, 600);
	memmove(frame.bytes + 16, frame.bytes + 12, frame.len - 12);
	put16(frame.bytes + 12, RTE_ETHER_TYPE_VLAN);
	put16(frame.bytes + 14, 0x2007);
	frame.len += 4;
	hdr = (struct virtio_net_hdr){ 0 };
	iov[1] = (struct iovec){ frame.bytes, frame.len };
	CU_ASSERT_EQUAL(writev(fd, iov, 2), (ssize_t)(sizeof(hdr) + frame.len));
	CU_ASSERT_EQUAL_FATAL(receive(port, in, 1), 1);
	CU_ASSERT_EQUAL(mbuf_bytes(in[0], flat), frame.len);
	CU_ASSERT_EQUAL(memcmp(flat, frame.bytes, frame.len), 0);
	rte_pktmbuf_free(in[0]);
	CU_ASSERT_EQUAL(atomic_load(&port->rx_errors), 0);
	close(fd);
	close_port(port);
	system("ip link del up0");
}

static struct port *open_vlan(const char *name, const char *interface, uint16_t vlan)
{
	struct port_params params = params_for(NULL);
	struct port *port = NULL;
	struct error err = { 0 };

	params.name = name;
	params.interface = interface;
	params.vlan = vlan;
	CU_ASSERT_EQUAL_FATAL(port_open("af_packet", &params, 1, &port, &err), 0);
	return port;
}

/** The tag that a socket of the far end was told of, -1 = none. */
static int told_tag(int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec iov = { flat, sizeof(flat) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct tpacket_auxdata aux;
	const struct cmsghdr *c;

	if (recvmsg(fd, &msg, 0) < 0)
		return -2;
	c = CMSG_FIRSTHDR(&msg);
	if (c == NULL || c->cmsg_type != PACKET_AUXDATA)
		return -2;
	memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	return aux.tp_status & TP_STATUS_VLAN_VALID ? aux.tp_vlan_tci : -1;
}

/** Sent by a port in a VLAN: on the wire, and back again as what it was. */
static void expect_crosses(struct port *port, struct port *far, int fd, struct rte_mbuf **pkts,
	uint16_t n, unsigned messages)
{
	static uint8_t want[64][2048];
	struct rte_mbuf *in[64];

	for (uint16_t i = 0; i < n && n > 1; i++)
		mbuf_bytes(pkts[i], want[i]);
	CU_ASSERT_EQUAL_FATAL(port_tx(port, 0, pkts, n), n);
	for (unsigned i = 0; i < messages; i++)
		CU_ASSERT_EQUAL(told_tag(fd), 100);
	CU_ASSERT_EQUAL_FATAL(receive(far, in, n), n);
	for (uint16_t i = 0; i < n; i++) {
		CU_ASSERT_TRUE((in[i]->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0);
		CU_ASSERT_EQUAL(in[i]->vlan_tci, 100);
		mbuf_bytes(in[i], flat);
		if (n == 1)
			CU_ASSERT_EQUAL(memcmp(flat, frame.bytes, frame.len), 0);
		if (n > 1) /* but for the checksum of a run's packets */
			CU_ASSERT_EQUAL(memcmp(flat + 70, want[i] + 70, in[i]->pkt_len - 70), 0);
	}
	rte_pktmbuf_free_bulk(in, n);
}

/** An uplink in a VLAN: all that crosses whole without one does so with it, and frames of others come with their tags. */
static void vlan_uplink(void)
{
	struct rte_mbuf *pkts[40], *in[4];
	struct port *port, *far, *other;
	int fd, on = 1;

	veth_up(1500);
	port = open_vlan("uplink", "up0", 100);
	far = open_vlan("far", "far0", 100);
	other = open_vlan("other", "far0", 101);
	CU_ASSERT_EQUAL(port->offloads, PORT_TX_CSUM | PORT_TX_TSO | PORT_TX_VLAN);
	fd = far_socket();
	CU_ASSERT_EQUAL(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)), 0);
	for (int v6 = 0; v6 < 2; v6++) {
		/* A run of UDP, which is one message; a large TCP segment; a full frame, in one piece and in several. */
		flow(pkts, 40, v6, 1400);
		expect_crosses(port, far, fd, pkts, 40, 1);
		frame_build(&frame, v6, IPPROTO_TCP, 0, 12, 60000);
		pkts[0] = frame_mbuf(&frame, large_pool);
		pkts[0]->tso_segsz = 1400;
		pkts[0]->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM;
		expect_crosses(port, far, fd, pkts, 1, 1);
		for (unsigned pieces = 0; pieces < 2; pieces++) {
			frame_build(&frame, v6, IPPROTO_UDP, 0, 0, 1500 - (v6 ? 48 : 28));
			CU_ASSERT_EQUAL(frame.len, 1514);
			pkts[0] = frame_mbuf(&frame, pool);
			pkts[0]->ol_flags = 0;
			expect_crosses(port, far, fd, pkts, 1, 1);
		}
	}
	/* The other port had a copy of each, with the tag in it; a partial checksum does not matter there. */
	CU_ASSERT_EQUAL_FATAL(receive(other, in, 1), 1);
	CU_ASSERT_EQUAL(in[0]->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED, 0);
	mbuf_bytes(in[0], flat);
	CU_ASSERT_EQUAL(memcmp(flat + 12, "\x81\x00\x00\x64", 4), 0);
	rte_pktmbuf_free(in[0]);
	/* What has no tag comes as it is. */
	close(fd);
	fd = far_socket();
	frame_build(&frame, false, IPPROTO_UDP, 0, 0, 100);
	CU_ASSERT_EQUAL(send(fd, frame.bytes, frame.len, 0), (ssize_t)frame.len);
	CU_ASSERT_EQUAL_FATAL(receive(port, in, 1), 1);
	CU_ASSERT_EQUAL(in[0]->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED, 0);
	CU_ASSERT_EQUAL(mbuf_bytes(in[0], flat), frame.len);
	rte_pktmbuf_free(in[0]);
	close(fd);
	port_close(other);
	port_close(far);
	close_port(port);
	system("ip link del up0");
}

static void errors_say_what_to_do(void)
{
	static const struct {
		const char *interface;
		int ret;
		const char *says;
	} wrong[] = {
		{ "nosuch0", -ENODEV, "no interface nosuch0" },
		{ "a-name-that-is-too-long", -EINVAL, "a-name-that-is-too-long" },
		{ "", -EINVAL, "ip link" },
		{ "tun9", -EINVAL, "Ethernet" },
	};
	struct port_params params = params_for(NULL);

	CU_ASSERT_EQUAL(system("ip tuntap add tun9 mode tun"), 0);
	for (unsigned i = 0; i < RTE_DIM(wrong); i++) {
		struct error err = { 0 };
		struct port *port;

		params.interface = wrong[i].interface;
		CU_ASSERT_EQUAL(port_open("af_packet", &params, 1, &port, &err), wrong[i].ret);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, wrong[i].says));
	}
	system("ip tuntap del tun9 mode tun");
}

/** What the kernel had no room for is counted. */
static void missed_frames_are_counted(void)
{
	struct rte_mbuf *in[64];
	json_t *facts = json_object();
	struct port *port;
	unsigned got = 0;
	uint16_t n;
	int fd;

	veth_up(1500);
	port = open_port(NULL, 1500, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	fd = far_socket();
	frame_build(&frame, false, IPPROTO_UDP, 0, 0, 600);
	for (unsigned i = 0; i < 1500; i++)
		CU_ASSERT_EQUAL_FATAL(send(fd, frame.bytes, frame.len, 0), (ssize_t)frame.len);
	while ((n = port->ops->rx_burst(port, 0, in, RTE_DIM(in))) > 0) {
		rte_pktmbuf_free_bulk(in, n);
		got += n;
	}
	for (unsigned i = 0; i < 10; i++)
		port->ops->tick(port);
	port->ops->describe(port, facts);
	CU_ASSERT_TRUE(got > 0 && got < 1500);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(facts, "rx_missed")), 1500 - got);
	CU_ASSERT_TRUE(json_is_true(json_object_get(facts, "tx_udp_segmentation")));
	json_decref(facts);
	close(fd);
	close_port(port);
	system("ip link del up0");
}

static void af_xdp(void)
{
	struct port *port;

	veth_up(1500);
	port = open_port("net_af_xdp,iface=up0", 1500, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	exchange(port, 1500);
	port_close(port);
	rcu_barrier();
	CU_ASSERT_EQUAL(rte_eth_dev_count_total(), 0);
	CU_ASSERT_EQUAL(system("ip link show up0 | grep -q xdp"), 256);
	system("ip link del up0");
}

static const struct test_case cases[] = {
	{ "af_packet", af_packet },
	{ "af_packet with jumbo frames", af_packet_jumbo },
	{ "the interface's MTU is not touched", mtu_is_not_touched },
	{ "the interface's MAC address is not touched", mac_is_not_touched },
	{ "an interface vanishes and comes back", vanishing_interface },
	{ "large UDP packets cross whole", large_udp_crosses_whole },
	{ "large UDP packets are cut late", large_udp_is_cut_late },
	{ "large TCP segments, partial checksums, a VLAN tag", large_tcp_and_tags },
	{ "an uplink in a VLAN", vlan_uplink },
	{ "errors say what to do", errors_say_what_to_do },
	{ "missed frames are counted", missed_frames_are_counted },
	{ "af_xdp", af_xdp },
};

int main(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		printf("skipped: needs root to make a network namespace\n");
		return SKIPPED;
	}
	return suite_run("af_packet", cases, RTE_DIM(cases));
}
