/* SPDX-License-Identifier: Apache-2.0 */
/** The ethdev driver over kernel interfaces: net_af_packet and net_af_xdp on one end of a veth, a
 * packet socket on the other. Needs root; everything happens in a network namespace of its own.
 */
#include "dataplane/port.h"
#include "dataplane/rcu.h"
#include "tests/unit/eal.h"
#include "tests/unit/frames.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
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
	if (port_open("ethdev", &params, 1, &port, &err) < 0)
		printf(" %s ", err.text);
	return port;
}

static void close_port(struct port *port)
{
	port_close(port);
	rcu_barrier();
	CU_ASSERT_EQUAL(rte_eth_dev_count_total(), 0);
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
	struct port *port;

	veth_up(1500);
	CU_ASSERT_EQUAL(system("ethtool -K up0 gro on"), 0);
	port = open_port("net_af_packet,iface=up0", 1500, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	/* It was down, and merged what it received. */
	port->ops->tick(port);
	CU_ASSERT_TRUE(atomic_load(&port->link_up));
	CU_ASSERT_FALSE(gro_is_on());
	exchange(port, 1500);
	system("ip link set far0 down");
	CU_ASSERT_TRUE(link_becomes(port, false));
	system("ip link set far0 up");
	CU_ASSERT_TRUE(link_becomes(port, true));
	exchange(port, 1500);
	close_port(port);
	CU_ASSERT_TRUE(gro_is_on());
	/* Again, in more queues. */
	port = open_port("net_af_packet7,iface=up0", 1500, 4);
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
	port = open_port("net_af_packet,iface=up0", 9000, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	exchange(port, 9000);
	close_port(port);
	system("ip link del up0");
}

/** The interface's MTU is its owner's: less than ours is refused, and never changed. */
static void mtu_is_not_touched(void)
{
	struct port_params params = params_for("net_af_packet,iface=up0");
	struct error err = { 0 };
	struct port *port;

	veth_up(1400);
	CU_ASSERT_EQUAL(port_open("ethdev", &params, 1, &port, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "MTU 1400"));
	params.mtu = 1300;
	CU_ASSERT_EQUAL_FATAL(port_open("ethdev", &params, 1, &port, &err), 0);
	CU_ASSERT_EQUAL(system("ip link show up0 | grep -q 'mtu 1400'"), 0);
	close_port(port);
	system("ip link del up0");
}

/** Another MAC than the interface's: promiscuous instead of changed. */
static void mac_is_not_touched(void)
{
	struct port_params params = params_for("net_af_packet,iface=up0");
	struct error err = { 0 };
	struct port *port;

	veth_up(1500);
	CU_ASSERT_EQUAL(system("ip link set up0 address 02:00:00:00:00:77"), 0);
	mac_addr_parse("02:00:00:00:00:55", &params.port_mac);
	CU_ASSERT_EQUAL_FATAL(port_open("ethdev", &params, 1, &port, &err), 0);
	CU_ASSERT_EQUAL(port->mac.bytes[5], 0x55);
	CU_ASSERT_EQUAL(system("ip -d link show up0 | grep -q 02:00:00:00:00:77"), 0);
	CU_ASSERT_EQUAL(system("ip -d link show up0 | grep -q 'promiscuity 0'"), 256);
	exchange(port, 1500);
	close_port(port);
	system("ip link del up0");
}

static void vanishing_interface(void)
{
	struct rte_mbuf *in[4];
	struct port *port;

	veth_up(1500);
	port = open_port("net_af_packet,iface=up0", 1500, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	system("ip link del up0");
	port->ops->tick(port);
	CU_ASSERT_FALSE(atomic_load(&port->link_up));
	CU_ASSERT_EQUAL(port->ops->rx_burst(port, 0, in, 4), 0);
	close_port(port);
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
	{ "an interface vanishes", vanishing_interface },
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
