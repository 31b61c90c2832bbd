/* SPDX-License-Identifier: Apache-2.0 */
/** The port registry and the ethdev driver, over DPDK's virtual devices that need no privilege. */
#include "dataplane/port.h"
#include "dataplane/rcu.h"
#include "tests/unit/eal.h"
#include "tests/unit/frames.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <pcap.h>
#include <rte_ethdev.h>

static struct rte_mempool *pool, *large_pool;
static struct frame frame;

static struct port_params params_for(const char *name, const char *device)
{
	eal_start();
	if (pool == NULL) {
		rcu_init();
		pool = eal_pool("small", 8192, 2048);
		large_pool = eal_pool("large", 64, 16384);
	}
	return (struct port_params){ .name = name,
		.role = PORT_UPLINK,
		.device = device,
		.n_queues = 2,
		.mtu = 1500,
		.pool = pool,
		.large_pool = large_pool };
}

static struct port *open_port(const char *name, const char *device, unsigned n_workers)
{
	struct port_params params = params_for(name, device);
	struct port *port = NULL;
	struct error err = { 0 };

	if (port_open("ethdev", &params, n_workers, &port, &err) < 0)
		printf(" %s ", err.text);
	return port;
}

static struct rte_mbuf *tcp_frame(uint32_t payload)
{
	frame_build(&frame, false, IPPROTO_TCP, 0, 0, payload);
	return frame_mbuf(&frame, pool);
}

static void what_is_sent_comes_back(void)
{
	struct port *port = open_port("ring", "net_ring0", 4);
	struct rte_mbuf *out[8], *in[8];
	unsigned before;

	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	CU_ASSERT_STRING_EQUAL(port->ops->name, "ethdev");
	CU_ASSERT_EQUAL(port->n_rxq, 2);
	CU_ASSERT_EQUAL(port->n_txq, 2);
	CU_ASSERT_EQUAL(port->mtu, 1500);
	CU_ASSERT_TRUE(port->tx_shared);
	CU_ASSERT_TRUE(atomic_load(&port->link_up));
	CU_ASSERT_FALSE(atomic_load(&port->forwarding));
	CU_ASSERT_PTR_EQUAL(port_get(port->id), port);
	CU_ASSERT_PTR_EQUAL(port_find("ring"), port);
	before = rte_mempool_in_use_count(pool);
	/* Worker 3 of 4 shares queue 1; rings pass chains as they are. */
	for (unsigned i = 0; i < 8; i++)
		out[i] = tcp_frame(3000);
	CU_ASSERT_EQUAL(port_tx(port, 3, out, 8), 8);
	CU_ASSERT_EQUAL(port->ops->rx_burst(port, 0, in, 8), 0);
	CU_ASSERT_EQUAL_FATAL(port->ops->rx_burst(port, 1, in, 8), 8);
	for (unsigned i = 0; i < 8; i++)
		CU_ASSERT_PTR_EQUAL(in[i], out[i]);
	rte_pktmbuf_free_bulk(in, 8);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), before);
	port_close(port);
	rcu_barrier();
	CU_ASSERT_EQUAL(rte_eth_dev_count_total(), 0);
}

/** Ids are given in turn, names are unique, devices are free again after close. */
static void ports_come_and_go(void)
{
	struct port_params params = params_for("a", "net_null");
	struct port *a = open_port("a", "net_null", 1), *b = open_port("b", "net_null", 1), *again;
	struct error err;
	uint16_t id;

	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_FALSE(a->tx_shared);
	CU_ASSERT_NOT_EQUAL(a->id, b->id);
	CU_ASSERT_EQUAL(port_open("ethdev", &params, 1, &again, &err), -EEXIST);
	id = a->id;
	port_close(a);
	CU_ASSERT_PTR_NULL(port_get(id));
	CU_ASSERT_PTR_NULL(port_find("a"));
	again = open_port("a", "net_null", 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	CU_ASSERT_NOT_EQUAL(again->id, id);
	port_close(again);
	port_close(b);
	rcu_barrier();
	CU_ASSERT_EQUAL(rte_eth_dev_count_total(), 0);
	/* Many times over: nothing runs out. */
	for (unsigned i = 0; i < PORT_MAX + 10; i++) {
		again = open_port("a", "net_null7", 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(again);
		port_close(again);
		rcu_reclaim();
	}
	CU_ASSERT_EQUAL(rte_eth_dev_count_total(), 0);
}

static void close_waits_for_workers(void)
{
	struct port *port = open_port("ring", "net_ring0", 1);
	struct ip_prefix prefix;

	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	ip_prefix_parse("10.244.1.7", &prefix);
	CU_ASSERT_EQUAL(port_set_addresses(port, &prefix, 1), 0);
	rcu_reader_register(0);
	rcu_quiescent(0);
	CU_ASSERT_EQUAL(atomic_load(&port->addresses)->count, 1);
	CU_ASSERT_TRUE(ip_prefix_equal(&atomic_load(&port->addresses)->items[0], &prefix));
	CU_ASSERT_EQUAL(port_set_addresses(port, NULL, 0), 0);
	CU_ASSERT_EQUAL(atomic_load(&port->addresses)->count, 0);
	port_close(port);
	rcu_reclaim();
	CU_ASSERT_EQUAL(rte_eth_dev_count_total(), 1);
	rcu_quiescent(0);
	rcu_reclaim();
	CU_ASSERT_EQUAL(rte_eth_dev_count_total(), 0);
	CU_ASSERT_EQUAL(rcu_pending(), 0);
	rcu_reader_unregister(0);
}

/** DPDK's 32 places; the 33rd device is refused with a reason, and works once there is room. */
static void all_ethdevs_taken(void)
{
	struct port_params params = params_for("one more", "net_null");
	struct port *port[RTE_MAX_ETHPORTS], *more;
	struct error err = { 0 };
	char name[16];

	for (unsigned i = 0; i < RTE_MAX_ETHPORTS; i++) {
		snprintf(name, sizeof(name), "null%u", i);
		port[i] = open_port(name, "net_null", 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(port[i]);
	}
	CU_ASSERT_EQUAL(port_open("ethdev", &params, 1, &more, &err), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "32"));
	port_close(port[0]);
	rcu_barrier();
	CU_ASSERT_EQUAL_FATAL(port_open("ethdev", &params, 1, &more, &err), 0);
	port_close(more);
	for (unsigned i = 1; i < RTE_MAX_ETHPORTS; i++)
		port_close(port[i]);
	rcu_barrier();
}

static void errors_say_what_to_do(void)
{
	static const struct {
		const char *driver, *device;
		int ret;
		const char *says;
	} cases[] = {
		{ "ethernet", "net_null", -ENOENT, "\"ethernet\"" },
		{ "ethdev", "eth0", -EINVAL, "PCI address" },
		{ "ethdev", "", -EINVAL, "PCI address" },
		{ "ethdev", "net_af_packet0", -EINVAL, "iface=" },
		{ "ethdev", "net_af_packet0,iface=nosuch0", -ENODEV, "no interface nosuch0" },
		{ "ethdev", "net_af_packet0,iface=a-name-that-is-too-long", -EINVAL,
			"not an interface name" },
		{ "ethdev", "net_af_packet0,iface=lo,framesz=512", -EINVAL, "framesz" },
		{ "ethdev", "0000:ff:1f.7", -ENODEV, "no PCI device 0000:ff:1f.7" },
		{ "ethdev", "ff:1f.7", -ENODEV, "no PCI device 0000:ff:1f.7" },
		{ "ethdev", "net_nosuch0", -ENODEV, "net_nosuch0" },
		{ "ethdev", "net_null0,size=1,nonsense=1", -ENODEV, "net_null0" },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct port_params params = params_for("eth0", cases[i].device);
		struct error err = { 0 };
		struct port *port;

		CU_ASSERT_EQUAL(port_open(cases[i].driver, &params, 1, &port, &err), cases[i].ret);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].says));
		if (strstr(err.text, cases[i].says) == NULL)
			printf(" %s: %s ", cases[i].device, err.text);
		CU_ASSERT_PTR_NULL(port_find("eth0"));
		CU_ASSERT_EQUAL(rte_eth_dev_count_total(), 0);
	}
}

static void a_device_has_one_port(void)
{
	struct port_params params = params_for("second", "net_ring_lab");
	struct port *first = open_port("first", "net_ring_lab", 1), *second;
	struct error err = { 0 };

	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	CU_ASSERT_EQUAL(port_open("ethdev", &params, 1, &second, &err), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "in use"));
	port_close(first);
	rcu_barrier();
}

/** net_pcap takes no chains: they arrive in one piece; what cannot be made one piece stays with the
 * caller and holds nobody up. */
static void chains_are_joined_for_simple_devices(void)
{
	char path[] = "/tmp/podlane-test-XXXXXX", device[128], errbuf[PCAP_ERRBUF_SIZE];
	struct rte_mbuf *out[3];
	struct pcap_pkthdr *hdr;
	const u_char *data;
	struct port *port;
	unsigned before;
	pcap_t *pcap;
	int fd = mkstemp(path);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	close(fd);
	snprintf(device, sizeof(device), "net_pcap0,tx_pcap=%s", path);
	port = open_port("pcap", device, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	before = rte_mempool_in_use_count(pool);
	out[0] = tcp_frame(40000);
	out[1] = tcp_frame(900);
	out[2] = tcp_frame(9000);
	CU_ASSERT_EQUAL_FATAL(port_tx(port, 0, out, 3), 2);
	CU_ASSERT_EQUAL(out[2]->pkt_len, 40000 + 54);
	rte_pktmbuf_free(out[2]);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), before);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(large_pool), 0);
	port_close(port);
	rcu_barrier();
	pcap = pcap_open_offline(path, errbuf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pcap);
	CU_ASSERT_EQUAL_FATAL(pcap_next_ex(pcap, &hdr, &data), 1);
	CU_ASSERT_EQUAL(hdr->caplen, 900 + 54);
	CU_ASSERT_EQUAL_FATAL(pcap_next_ex(pcap, &hdr, &data), 1);
	CU_ASSERT_EQUAL(hdr->caplen, frame.len);
	CU_ASSERT_EQUAL(memcmp(data, frame.bytes, frame.len), 0);
	pcap_close(pcap);
	unlink(path);
}

static const struct test_case cases[] = {
	{ "what is sent comes back", what_is_sent_comes_back },
	{ "ports come and go", ports_come_and_go },
	{ "close waits for workers", close_waits_for_workers },
	{ "all ethdevs taken", all_ethdevs_taken },
	{ "errors say what to do", errors_say_what_to_do },
	{ "a device has one port", a_device_has_one_port },
	{ "chains are joined for simple devices", chains_are_joined_for_simple_devices },
};
SUITE_MAIN("port", cases)
