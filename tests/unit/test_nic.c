/* SPDX-License-Identifier: Apache-2.0 */
/** NICs behind the ethdev driver: what of their offloads is used, what the self-test finds, which frames they let in and to
 * which queue they go. */
#include "config/log.h"
#include "config/schema.h"
#include "dataplane/nic_probe.h"
#include "dataplane/port.h"
#include "dataplane/rcu.h"
#include "tests/unit/eal.h"
#include "tests/unit/nic_pmd.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static struct rte_mempool *pool;
static struct port *port;
static const char *disabled[NIC_OFFLOADS + 1];
static size_t n_disabled;
static struct mac_addr wanted_mac;
static uint16_t queues = 1, vlan;
static const char *kernel_interface;

static void nic_start(void)
{
	if (pool == NULL) {
		eal_start();
		rcu_init();
		pool = eal_pool("packets", 4096, 2048);
		log_level_set(LOG_LEVEL_ERROR);
	}
	n_disabled = 0;
	memset(&wanted_mac, 0, sizeof(wanted_mac));
	queues = 1;
	vlan = 0;
	kernel_interface = NULL;
	nic_reset(pool);
}

static int nic_open_with(struct error *err)
{
	struct port_params params = { .name = "eth0",
		.role = PORT_UPLINK,
		.device = NIC_DEVICE,
		.n_queues = queues,
		.mtu = 1500,
		.port_mac = wanted_mac,
		.vlan = vlan,
		.interface = kernel_interface,
		.disabled = disabled,
		.n_disabled = n_disabled,
		.pool = pool,
		.large_pool = pool };

	port = NULL;
	return port_open("ethdev", &params, 1, &port, err);
}

static void nic_open(void)
{
	struct error err = { 0 };

	if (nic_open_with(&err) < 0)
		printf(" %s ", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	CU_ASSERT_EQUAL(nic.conf.lpbk_mode, 0);
	CU_ASSERT_EQUAL(nic.n_wire, 0); /* nothing of a test leaves the device */
}

/** Nothing would have upset a NIC, and every buffer is back. */
static void nic_end(void)
{
	if (nic.faults > 0)
		printf(" %u faults, the first: %s ", nic.faults, nic.fault);
	CU_ASSERT_EQUAL(nic.faults, 0);
	nic_clear();
	if (port != NULL) {
		port_close(port);
		rcu_barrier();
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	CU_ASSERT_EQUAL(rte_eth_dev_count_total(), 0);
}

/** What the port says about one offload: a new reference. */
static json_t *said(enum nic_offload offload)
{
	json_t *obj = json_object(), *one, *found = NULL;
	size_t i;

	port->ops->describe(port, obj);
	json_array_foreach (json_object_get(obj, "nic_offloads"), i, one) {
		if (strcmp(json_string_value(json_object_get(one, "name")),
			    nic_offload_name(offload)) == 0)
			found = json_incref(one);
	}
	json_decref(obj);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	return found;
}

static void expect_state(enum nic_offload offload, const char *state, const char *why)
{
	json_t *one = said(offload);
	const char *got = json_string_value(json_object_get(one, "state"));
	const char *reason = json_string_value(json_object_get(one, "why"));
	const bool used = strcmp(state, "verified") == 0 || strcmp(state, "not verified") == 0;

	CU_ASSERT_STRING_EQUAL(got, state);
	CU_ASSERT_EQUAL(json_is_true(json_object_get(one, "in_use")), used);
	if (strcmp(got, state) != 0)
		printf(" %s: %s ", nic_offload_name(offload), got);
	if (why != NULL) {
		CU_ASSERT_PTR_NOT_NULL(reason != NULL ? strstr(reason, why) : NULL);
		if (reason == NULL || strstr(reason, why) == NULL)
			printf(" %s: %s ", nic_offload_name(offload), reason);
	} else {
		CU_ASSERT_PTR_NULL(reason);
	}
	json_decref(one);
}

static void expect_text(const char *key, const char *value)
{
	json_t *obj = json_object();
	const char *got;

	port->ops->describe(port, obj);
	got = json_string_value(json_object_get(obj, key));
	CU_ASSERT_STRING_EQUAL(got, value);
	json_decref(obj);
}

#define ALL_PORT                                                                                   \
	(PORT_TX_CSUM | PORT_TX_TSO | PORT_TX_VXLAN_CSUM | PORT_TX_VXLAN_TSO | PORT_TX_IPIP_CSUM | \
		PORT_TX_IPIP_TSO | PORT_TX_OUTER_UDP_CSUM)
static const uint16_t port_bit[NIC_OFFLOADS] = { [NIC_TX_CSUM] = PORT_TX_CSUM,
	[NIC_TX_TSO] = PORT_TX_TSO,
	[NIC_VXLAN_CSUM] = PORT_TX_VXLAN_CSUM,
	[NIC_VXLAN_TSO] = PORT_TX_VXLAN_TSO,
	[NIC_IPIP_CSUM] = PORT_TX_IPIP_CSUM,
	[NIC_IPIP_TSO] = PORT_TX_IPIP_TSO,
	[NIC_OUTER_UDP_CSUM] = PORT_TX_OUTER_UDP_CSUM };

/** All probes, in all families, through the port: what leaves the NIC is what software makes of them. */
static void send_all(void)
{
	const struct nic_probe_port from = { { { 2, 0, 0, 0, 0, 0x11 } }, 1500, pool };
	size_t count;
	const struct nic_probe *probes = nic_probes(&count);

	for (size_t i = 0; i < count; i++) {
		struct rte_mbuf *want[NIC_PROBE_PARTS], *m;
		uint16_t n;

		if (!(port->offloads & port_bit[probes[i].offload]) ||
			(probes[i].tunnel == PROBE_VXLAN_SUM &&
				!(port->offloads & (probes[i].large ? PORT_TX_VXLAN_TSO
								    : PORT_TX_VXLAN_CSUM))))
			continue;
		n = nic_probe_expect(&probes[i], &from, want);
		m = nic_probe_ask(&probes[i], &from);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL(n, probes[i].large ? 4 : 1);
		CU_ASSERT_EQUAL(port_tx(port, 0, &m, 1), 1);
		CU_ASSERT_EQUAL_FATAL(nic.n_wire, n);
		for (unsigned k = 0; k < n; k++)
			CU_ASSERT_TRUE(nic_probe_same(nic.wire[k], want[k]));
		rte_pktmbuf_free_bulk(want, n);
		nic_clear();
	}
}

static void a_right_nic(void)
{
	nic_start();
	nic_open();
	for (unsigned i = 0; i < NIC_OFFLOADS; i++)
		expect_state((enum nic_offload)i, "verified", NULL);
	CU_ASSERT_EQUAL(port->offloads, ALL_PORT);
	CU_ASSERT_EQUAL(port->large.buffers_max, 40);
	CU_ASSERT_EQUAL(nic.conf.txmode.offloads, nic.tx_capa);
	CU_ASSERT_EQUAL(nic.starts, 2); /* once to look, once for good */
	send_all();
	nic_end();
}

/** Each lie is found, and costs just what it is about. */
static void a_nic_that_lies(void)
{
	static const enum nic_lie kinds[] = { NIC_WRONG_SUM, NIC_WRONG_LENGTH, NIC_LOSES };

	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned i = 0; i < NIC_OFFLOADS; i++)
			for (size_t k = 0; k < RTE_DIM(kinds); k++) {
				/* Lengths change only where something is cut, or has a tunnel around it. */
				if (kinds[k] == NIC_WRONG_LENGTH && i == NIC_TX_CSUM)
					continue;
				if (i == NIC_RX_CSUM && k > 0)
					continue;
				nic_start();
				nic.lie[i] = (uint8_t)kinds[k];
				nic.lie_v6_only = v6;
				nic_open();
				for (unsigned o = 0; o < NIC_OFFLOADS; o++)
					expect_state((enum nic_offload)o,
						o == i ? "wrong" : "verified",
						o == i ? (v6 ? "IPv6" : "self-test") : NULL);
				CU_ASSERT_EQUAL(port->offloads, ALL_PORT & ~port_bit[i]);
				if (i == NIC_RX_CSUM)
					CU_ASSERT_EQUAL(nic.conf.rxmode.offloads, 0);
				send_all();
				nic_end();
			}
}

static void a_driver_that_refuses(void)
{
	for (unsigned i = NIC_TX_CSUM; i < NIC_OFFLOADS; i++)
		for (unsigned looks = 0; looks < 2; looks++) {
			nic_start();
			nic.driver = looks ? "net_ixgbe" : "net_ice";
			nic.refuses = 1u << i;
			nic_open();
			for (unsigned o = NIC_TX_CSUM; o < NIC_OFFLOADS; o++)
				expect_state((enum nic_offload)o,
					o == i	? "refused"
					: looks ? "verified"
						: "not verified",
					o == i	? "its driver does not take"
					: looks ? NULL
						: "its driver has no loopback mode");
			CU_ASSERT_EQUAL(port->offloads, ALL_PORT & ~port_bit[i]);
			send_all();
			nic_end();
		}
}

/** What nobody could look at is used, and called so. */
static void not_verified(void)
{
	static const struct {
		const char *driver;
		bool loops, fails;
		const char *why;
	} cases[] = {
		{ "net_ice", true, false, "no loopback mode" },
		{ "net_ixgbe_vf", true, false, "no loopback mode" },
		{ "net_ixgbe", false, false, "nothing came back" },
		{ "net_i40e", true, true, "does not start" },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		nic_start();
		nic.driver = cases[i].driver;
		nic.loops = cases[i].loops;
		nic.loopback_fails = cases[i].fails;
		nic_open();
		for (unsigned o = 0; o < NIC_OFFLOADS; o++)
			expect_state((enum nic_offload)o, "not verified", cases[i].why);
		CU_ASSERT_EQUAL(port->offloads, ALL_PORT);
		send_all();
		nic_end();
	}
}

/** What a device does not have is not asked of it, with the word that is missing. */
static void a_nic_with_less(void)
{
	static const struct {
		uint64_t less;
		uint16_t port;
		enum nic_offload offload;
		const char *word;
	} cases[] = {
		{ RTE_ETH_TX_OFFLOAD_VXLAN_TNL_TSO,
			ALL_PORT &
				~(PORT_TX_VXLAN_CSUM | PORT_TX_VXLAN_TSO | PORT_TX_OUTER_UDP_CSUM),
			NIC_VXLAN_CSUM, "VXLAN_TNL_TSO" },
		{ RTE_ETH_TX_OFFLOAD_IPIP_TNL_TSO,
			ALL_PORT & ~(PORT_TX_IPIP_CSUM | PORT_TX_IPIP_TSO), NIC_IPIP_TSO,
			"IPIP_TNL_TSO" },
		{ RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM, PORT_TX_CSUM | PORT_TX_TSO, NIC_IPIP_CSUM,
			"OUTER_IPV4_CKSUM" },
		{ RTE_ETH_TX_OFFLOAD_OUTER_UDP_CKSUM, ALL_PORT & ~PORT_TX_OUTER_UDP_CSUM,
			NIC_OUTER_UDP_CSUM, "OUTER_UDP_CKSUM" },
		{ RTE_ETH_TX_OFFLOAD_TCP_TSO,
			PORT_TX_CSUM | PORT_TX_VXLAN_CSUM | PORT_TX_IPIP_CSUM |
				PORT_TX_OUTER_UDP_CSUM,
			NIC_TX_TSO, "TCP_TSO" },
		{ RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
			PORT_TX_CSUM | PORT_TX_VXLAN_CSUM | PORT_TX_IPIP_CSUM |
				PORT_TX_OUTER_UDP_CSUM,
			NIC_VXLAN_TSO, "MULTI_SEGS" },
		{ RTE_ETH_TX_OFFLOAD_UDP_CKSUM, 0, NIC_TX_CSUM, "UDP_CKSUM" },
		/* As virtio and vmxnet3: not a word about IPv4 headers, and yet right ones in segments. */
		{ RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, PORT_TX_CSUM | PORT_TX_TSO, NIC_VXLAN_TSO,
			"IPV4_CKSUM" },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		nic_start();
		nic.tx_capa &= ~cases[i].less;
		nic_open();
		CU_ASSERT_EQUAL(port->offloads, cases[i].port);
		expect_state(cases[i].offload, "lacked", cases[i].word);
		send_all();
		nic_end();
	}
	/* A generic word is as good. */
	nic_start();
	nic.tx_capa &= ~(RTE_ETH_TX_OFFLOAD_VXLAN_TNL_TSO | RTE_ETH_TX_OFFLOAD_IPIP_TNL_TSO);
	nic.tx_capa |= RTE_ETH_TX_OFFLOAD_UDP_TNL_TSO | RTE_ETH_TX_OFFLOAD_IP_TNL_TSO;
	nic_open();
	CU_ASSERT_EQUAL(port->offloads, ALL_PORT);
	send_all();
	nic_end();
}

static void disabled_by_name(void)
{
	const struct field *field =
		schema_field(&object_schemas[OBJECT_UPLINK], "disabled_offloads");
	unsigned names = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(field);
	CU_ASSERT_STRING_EQUAL(field->names[names], "all");
	for (; field->names[names + 1] != NULL; names++)
		CU_ASSERT_STRING_EQUAL(
			field->names[names + 1], nic_offload_name((enum nic_offload)names));
	CU_ASSERT_EQUAL(names, NIC_OFFLOADS);
	for (unsigned i = 0; i < NIC_OFFLOADS; i++) {
		nic_start();
		disabled[n_disabled++] = nic_offload_name((enum nic_offload)i);
		nic_open();
		expect_state((enum nic_offload)i, "disabled", "disabled_offloads");
		CU_ASSERT_EQUAL(port->offloads, ALL_PORT & ~port_bit[i]);
		send_all();
		nic_end();
	}
	nic_start();
	disabled[n_disabled++] = "all";
	nic_open();
	for (unsigned i = 0; i < NIC_OFFLOADS; i++)
		expect_state((enum nic_offload)i, "disabled", "disabled_offloads");
	CU_ASSERT_EQUAL(port->offloads, 0);
	CU_ASSERT_EQUAL(nic.conf.txmode.offloads, RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	CU_ASSERT_EQUAL(nic.conf.rxmode.offloads, 0);
	CU_ASSERT_EQUAL(nic.starts, 1);
	nic_end();
}

/** A packet that the driver does not take stays with the caller and holds nobody up. */
static void a_packet_that_is_refused(void)
{
	const struct nic_probe_port from = { { { 2, 0, 0, 0, 0, 0x11 } }, 1500, pool };
	const struct nic_probe sum = { .offload = NIC_TX_CSUM },
			       tso = { .offload = NIC_TX_TSO, .large = true };
	struct rte_mbuf *m[3];

	nic_start();
	nic_open();
	m[0] = nic_probe_ask(&sum, &from);
	m[1] = nic_probe_ask(&tso, &from);
	m[2] = nic_probe_ask(&sum, &from);
	nic.refuses = 1u << NIC_TX_TSO;
	CU_ASSERT_EQUAL(port_tx(port, 0, m, 3), 2);
	CU_ASSERT_EQUAL(nic.n_wire, 2);
	CU_ASSERT_TRUE((m[2]->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0);
	rte_pktmbuf_free(m[2]);
	nic_end();
}

static void seconds(unsigned n)
{
	for (unsigned i = 0; i < 10 * n; i++)
		port->ops->tick(port);
}

/** A driver that announces an offload and takes no packet that needs it: others get past, and soon it is not used. */
static void a_driver_that_is_stuck(void)
{
	const struct nic_probe_port from = { { { 2, 0, 0, 0, 0, 0x11 } }, 1500, pool };
	size_t count;
	const struct nic_probe *probes = nic_probes(&count);

	for (size_t i = 0; i < count; i++) {
		const enum nic_offload offload = (enum nic_offload)probes[i].offload;

		nic_start();
		nic.driver = "net_ice";
		nic.stuck_at = 1u << offload;
		nic_open();
		for (unsigned k = 0; k < 8; k++) {
			struct rte_mbuf *m[3] = { NULL };

			seconds(1);
			CU_ASSERT_EQUAL(port->offloads, ALL_PORT);
			for (unsigned j = 0; j < 3; j++) {
				if (j == 1)
					m[j] = nic_probe_ask(&probes[i], &from);
				else
					CU_ASSERT_EQUAL(nic_probe_expect(
								&(const struct nic_probe){
									.tunnel = PROBE_PLAIN },
								&from, &m[j]),
						1);
			}
			CU_ASSERT_EQUAL(port_tx(port, 0, m, 3), 2);
			rte_pktmbuf_free(m[2]);
			nic_clear();
		}
		seconds(1);
		expect_state(offload, "refused", "takes no packet");
		CU_ASSERT_EQUAL(port->offloads, ALL_PORT & ~port_bit[offload]);
		send_all();
		nic_end();
	}
}

/** What it took once it has, however full its queue may be later. */
static void a_driver_that_is_full(void)
{
	const struct nic_probe_port from = { { { 2, 0, 0, 0, 0, 0x11 } }, 1500, pool };
	const struct nic_probe tso = { .offload = NIC_TX_TSO, .large = true };

	for (unsigned sends = 0; sends < 2; sends++) {
		nic_start();
		nic.driver = "net_ice";
		nic_open();
		if (sends)
			send_all();
		nic.stuck_at = UINT32_MAX;
		for (unsigned k = 0; k < 100; k++) {
			struct rte_mbuf *m = nic_probe_ask(&tso, &from);

			CU_ASSERT_EQUAL(port_tx(port, 0, &m, 1), 0);
			rte_pktmbuf_free(m);
			nic.sent += sends; /* other packets go out; without any, nothing is known */
			seconds(1);
		}
		expect_state(NIC_TX_TSO, "not verified", "no loopback mode");
		CU_ASSERT_EQUAL(port->offloads, ALL_PORT);
		nic_end();
	}
}

static void mac_addresses(void)
{
	static const struct mac_addr other = { { 2, 0, 0, 0, 0, 0x22 } };
	struct error err = { 0 };

	nic_start(); /* its own */
	nic_open();
	CU_ASSERT_EQUAL(port->mac.bytes[5], 0x11);
	CU_ASSERT_FALSE(nic.promiscuous);
	CU_ASSERT_TRUE(nic.allmulticast);
	expect_text("multicast", "all");
	nic_end();

	nic_start(); /* another, which it takes */
	wanted_mac = other;
	nic_open();
	CU_ASSERT_EQUAL(memcmp(&port->mac, &other, sizeof(other)), 0);
	CU_ASSERT_EQUAL(memcmp(nic.mac.addr_bytes, other.bytes, 6), 0);
	CU_ASSERT_FALSE(nic.promiscuous);
	nic_end();

	nic_start(); /* another, which it does not take */
	wanted_mac = other;
	nic.fixed_mac = true;
	nic_open();
	CU_ASSERT_EQUAL(memcmp(&port->mac, &other, sizeof(other)), 0);
	CU_ASSERT_TRUE(nic.promiscuous);
	nic_end();

	nic_start(); /* and nothing helps */
	wanted_mac = other;
	nic.fixed_mac = nic.no_promiscuity = true;
	CU_ASSERT_TRUE(nic_open_with(&err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "leave mac out"));
	nic_end();

	nic_start(); /* multicast only with everything else */
	nic.no_multicast = true;
	nic_open();
	CU_ASSERT_TRUE(nic.promiscuous);
	expect_text("multicast", "promiscuous");
	nic_end();

	nic_start(); /* a virtual function that nobody trusts */
	nic.no_multicast = nic.no_promiscuity = true;
	nic_open();
	CU_ASSERT_FALSE(nic.promiscuous);
	expect_text("multicast", "none");
	nic_end();
}

/** Tags are put in by a device that also takes them off, and that nobody else has frames of. */
static void vlans(void)
{
	static const struct {
		uint64_t less;
		const char *interface;
		bool insert, strip;
	} cases[] = {
		{ 0, NULL, true, true },
		{ RTE_ETH_RX_OFFLOAD_VLAN_STRIP, NULL, false, false },
		{ 0, "up0", false, false },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		nic_start();
		vlan = 100;
		kernel_interface = cases[i].interface;
		nic.tx_capa |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
		nic.rx_capa |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP & ~cases[i].less;
		nic_open();
		CU_ASSERT_EQUAL((nic.conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_VLAN_INSERT) != 0,
			cases[i].insert);
		CU_ASSERT_EQUAL((nic.conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0,
			cases[i].strip);
		CU_ASSERT_EQUAL((port->offloads & PORT_TX_VLAN) != 0, cases[i].insert);
		CU_ASSERT_FALSE(nic.promiscuous);
		nic_end();
	}
	for (unsigned shared = 0; shared < 2;
		shared++) { /* the kernel's VLANs through virtio's filter */
		nic_start();
		nic.driver = "net_virtio";
		kernel_interface = shared ? "up0" : NULL;
		nic_open();
		CU_ASSERT_EQUAL(nic.promiscuous, shared != 0);
		nic_end();
	}
}

/** Flows of pods behind one peer, in IP-in-IP and VXLAN of both families: queues they come to. */
static unsigned queues_reached(uint8_t tunnel, bool outer_v6, bool v6)
{
	const struct nic_probe probe = {
		.tunnel = tunnel, .outer_v6 = outer_v6, .v6 = v6, .udp = true
	};
	const struct nic_probe_port from = { { { 2, 0, 0, 0, 0, 0x11 } }, 1500, pool };
	struct rte_mbuf *m;
	uint32_t seen = 0;

	CU_ASSERT_EQUAL_FATAL(nic_probe_expect(&probe, &from, &m), 1);
	for (unsigned flow = 0; flow < 64; flow++) {
		uint8_t *b = rte_pktmbuf_mtod(m, uint8_t *);

		b[m->pkt_len - 201 - 8 + 1] = (uint8_t)flow; /* its source port */
		seen |= 1u << nic_receive(b, m->pkt_len);
		nic_clear();
	}
	rte_pktmbuf_free(m);
	return (unsigned)__builtin_popcount(seen);
}

static void queues_of_tunnels(void)
{
	for (unsigned inner = 0; inner < 3; inner++) {
		nic_start();
		queues = 4;
		nic.rss_level_refused = inner == 1;
		if (inner == 0)
			nic.rss_capa &= ~RTE_ETH_RSS_LEVEL_MASK;
		nic_open();
		CU_ASSERT_EQUAL(port->n_rxq, 4);
		expect_text("rss", inner == 2 ? "inner headers" : "outer headers");
		CU_ASSERT_EQUAL(nic.told_ports, 2);
		for (unsigned pair = 0; pair < 4; pair++) {
			CU_ASSERT_EQUAL(
				queues_reached(PROBE_IPIP, pair & 1, pair & 2), inner == 2 ? 4 : 1);
			CU_ASSERT_EQUAL(queues_reached(PROBE_VXLAN, pair & 1, pair & 2),
				inner == 2 ? 4 : 1); /* one source port, here */
			CU_ASSERT_EQUAL(queues_reached(PROBE_PLAIN, pair & 1, pair & 2), 4);
		}
		nic_end();
	}
	nic_start();
	queues = 4;
	nic.rss_capa = (nic.rss_capa & ~RTE_ETH_RSS_LEVEL_MASK) | RTE_ETH_RSS_VXLAN;
	nic_open();
	CU_ASSERT_TRUE((nic.conf.rx_adv_conf.rss_conf.rss_hf & RTE_ETH_RSS_VXLAN) != 0);
	expect_text("rss", "outer headers, in VXLAN the device's choice");
	nic_end();
	nic_start(); /* one queue, nothing to choose */
	nic_open();
	expect_text("rss", "none");
	nic_end();
}

static const struct test_case cases[] = {
	{ "a right NIC", a_right_nic },
	{ "a NIC that lies", a_nic_that_lies },
	{ "a driver that refuses", a_driver_that_refuses },
	{ "not verified", not_verified },
	{ "a NIC with less", a_nic_with_less },
	{ "disabled by name", disabled_by_name },
	{ "a packet that is refused", a_packet_that_is_refused },
	{ "a driver that is stuck", a_driver_that_is_stuck },
	{ "a driver that is full", a_driver_that_is_full },
	{ "MAC addresses", mac_addresses },
	{ "VLANs", vlans },
	{ "queues of tunnels", queues_of_tunnels },
};
SUITE_MAIN("nic", cases)
