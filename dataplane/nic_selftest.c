/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/nic_selftest.h"

#include "config/log.h"
#include "dataplane/nic_probe.h"
#include "dataplane/nic_transmit.h"

#include <rte_cycles.h>
#include <rte_tcp.h>
#include <string.h>

#define FIRST_MS 500 /* for the device to come up */
#define AGAIN_MS 50
#define PROBE_MS 20
#define BURST	 32u

/* Drivers of DPDK 22.11 that turn their MAC's loopback on for lpbk_mode 1; the value is each driver's own. Virtual
 * functions cannot. Others ignore it (most) or mean something else by it (mlx5). */
static const char *const loopback_drivers[] = { "net_ixgbe", "net_i40e", "net_e1000_igb", "net_igc",
	"net_ngbe", "net_txgbe", "net_cn9k", "net_cn10k" };

uint32_t nic_selftest_loopback(const char *driver)
{
	for (size_t i = 0; i < RTE_DIM(loopback_drivers); i++) {
		if (strcmp(driver, loopback_drivers[i]) == 0)
			return 1;
	}
	return 0;
}

void nic_selftest_fall_back(const struct nic_selftest *t, enum nic_offload offload,
	enum nic_offload_state state, const char *why)
{
	nic_offloads_set(t->offloads, offload, state, why);
	LOG_WARNING("NIC offload not used, done in software instead: %s port=%s driver=%s "
		    "offload=%s",
		why, t->port, t->driver, nic_offload_name(offload));
}

/** Can the packet path send a packet of this kind now? */
static bool applies(const struct nic_offloads *o, const struct nic_probe *probe)
{
	if (!nic_offloads_used(o, (enum nic_offload)probe->offload))
		return false;
	return probe->tunnel != PROBE_VXLAN_SUM ||
	       nic_offloads_used(o, probe->large ? NIC_VXLAN_TSO : NIC_VXLAN_CSUM);
}

static struct nic_probe_port probe_port(const struct nic_selftest *t)
{
	struct nic_probe_port port = { .mtu = t->mtu, .pool = t->pool };
	struct rte_ether_addr own;

	if (rte_eth_macaddr_get(t->ethdev, &own) == 0)
		memcpy(port.mac.bytes, own.addr_bytes, sizeof(port.mac.bytes));
	return port;
}

unsigned nic_selftest_prepare(const struct nic_selftest *t)
{
	char text[64], why[128];
	const struct nic_probe_port port = probe_port(t);
	unsigned refused = 0;
	size_t count;
	const struct nic_probe *probes = nic_probes(&count);

	for (size_t i = 0; i < count; i++) {
		struct rte_mbuf *m;

		if (!applies(t->offloads, &probes[i]))
			continue;
		m = nic_probe_ask(&probes[i], &port);
		if (m == NULL)
			continue; /* no buffer: nothing is known */
		if (!nic_transmit_prepare(t->ethdev, 0, &m, t->offloads->ipv4_checksum)) {
			nic_probe_text(&probes[i], text, sizeof(text));
			snprintf(why, sizeof(why), "its driver does not take %s", text);
			nic_selftest_fall_back(
				t, (enum nic_offload)probes[i].offload, NIC_REFUSED, why);
			refused++;
		}
		rte_pktmbuf_free(m);
	}
	return refused;
}

/* --- loopback ------------------------------------------------------------------------------------------------- */

/** Frames from ourselves that wait. */
static unsigned receive(const struct nic_selftest *t, const struct nic_probe_port *port,
	struct rte_mbuf **got, unsigned max)
{
	struct rte_mbuf *pkts[BURST];
	unsigned n = 0;

	for (uint16_t q = 0; q < t->n_rxq; q++) {
		const uint16_t k = rte_eth_rx_burst(t->ethdev, q, pkts, BURST);

		for (uint16_t i = 0; i < k; i++) {
			const uint8_t *frame = rte_pktmbuf_mtod(pkts[i], const uint8_t *);

			if (n < max && rte_pktmbuf_data_len(pkts[i]) >= RTE_ETHER_HDR_LEN &&
				memcmp(frame + 6, port->mac.bytes, sizeof(port->mac.bytes)) == 0)
				got[n++] = pkts[i];
			else
				rte_pktmbuf_free(pkts[i]);
		}
	}
	return n;
}

/** Send one packet, which is freed in any case, and wait until `want` frames have come back or the time is over. */
static unsigned loop(const struct nic_selftest *t, const struct nic_probe_port *port,
	struct rte_mbuf *m, struct rte_mbuf **got, unsigned want, unsigned ms)
{
	const uint64_t end = rte_get_timer_cycles() + rte_get_timer_hz() / 1000 * ms;
	unsigned n = 0;

	if (rte_eth_tx_burst(t->ethdev, 0, &m, 1) == 0) {
		rte_pktmbuf_free(m);
		return 0;
	}
	do {
		n += receive(t, port, got + n, NIC_PROBE_PARTS - n);
	} while (n < want && rte_get_timer_cycles() < end);
	return n;
}

static bool probe_right(const struct nic_selftest *t, const struct nic_probe_port *port,
	const struct nic_probe *probe)
{
	struct rte_mbuf *want[NIC_PROBE_PARTS], *got[NIC_PROBE_PARTS], *m;
	const uint16_t n = nic_probe_expect(probe, port, want);
	unsigned back = 0;
	bool right;

	m = n > 0 ? nic_probe_ask(probe, port) : NULL;
	if (m == NULL) { /* nothing is known about it, then */
		rte_pktmbuf_free_bulk(want, n);
		nic_offloads_set(t->offloads, (enum nic_offload)probe->offload, NIC_CLAIMED,
			"no buffer was free for its self-test");
		return true;
	}
	if (nic_transmit_prepare(t->ethdev, 0, &m, t->offloads->ipv4_checksum))
		back = loop(t, port, m, got, n, PROBE_MS);
	else
		rte_pktmbuf_free(m);
	right = back == n;
	for (unsigned i = 0; i < back && right; i++)
		right = nic_probe_same(got[i], want[i]);
	rte_pktmbuf_free_bulk(got, back);
	rte_pktmbuf_free_bulk(want, n);
	return right;
}

/** A frame that asks for nothing comes back as it was. It may take a while until the device is up. */
static bool loops(const struct nic_selftest *t, const struct nic_probe_port *port)
{
	const struct nic_probe plain = { .tunnel = PROBE_PLAIN };

	for (unsigned ms = 0; ms < FIRST_MS; ms += AGAIN_MS) {
		struct rte_mbuf *want[NIC_PROBE_PARTS], *got[NIC_PROBE_PARTS], *m;
		unsigned n;
		bool same;

		if (nic_probe_expect(&plain, port, want) != 1)
			return false;
		m = rte_pktmbuf_copy(want[0], t->pool, 0, UINT32_MAX);
		n = m != NULL ? loop(t, port, m, got, 1, AGAIN_MS) : 0;
		same = n > 0 && nic_probe_same(got[0], want[0]);
		rte_pktmbuf_free_bulk(got, n);
		rte_pktmbuf_free(want[0]);
		if (same)
			break;
		if (ms + AGAIN_MS >= FIRST_MS)
			return false;
	}
	for (;;) { /* what came late */
		struct rte_mbuf *late[NIC_PROBE_PARTS];
		const unsigned n = receive(t, port, late, NIC_PROBE_PARTS);

		rte_pktmbuf_free_bulk(late, n);
		if (n == 0)
			return true;
	}
}

/** A frame with a wrong TCP checksum must not be called right. */
static bool receive_right(const struct nic_selftest *t, const struct nic_probe_port *port, bool v6)
{
	const struct nic_probe plain = { .tunnel = PROBE_PLAIN, .v6 = v6 };
	struct rte_mbuf *m, *got[NIC_PROBE_PARTS];
	bool right = true;
	unsigned n;

	if (nic_probe_expect(&plain, port, &m) != 1)
		return true;
	*rte_pktmbuf_mtod_offset(m, uint8_t *, rte_pktmbuf_data_len(m) - 1) ^= 0x55;
	n = loop(t, port, m, got, 1, PROBE_MS);
	for (unsigned i = 0; i < n; i++)
		right = right && (got[i]->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) !=
					 RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	rte_pktmbuf_free_bulk(got, n);
	return right; /* one that never came is not called anything */
}

unsigned nic_selftest_loop(const struct nic_selftest *t)
{
	char text[64], why[128];
	const struct nic_probe_port port = probe_port(t);
	unsigned wrong = 0;
	size_t count;
	const struct nic_probe *probes = nic_probes(&count);

	if (!loops(t, &port)) {
		nic_offloads_unverified(t->offloads, "nothing came back in its loopback mode");
		return 0;
	}
	for (unsigned i = 0; i < NIC_OFFLOADS; i++) {
		if (nic_offloads_used(t->offloads, (enum nic_offload)i))
			nic_offloads_set(t->offloads, (enum nic_offload)i, NIC_VERIFIED, "");
	}
	for (size_t i = 0; i < count; i++) {
		if (!applies(t->offloads, &probes[i]) || probe_right(t, &port, &probes[i]))
			continue;
		nic_probe_text(&probes[i], text, sizeof(text));
		snprintf(why, sizeof(why), "self-test: wrong %s", text);
		nic_selftest_fall_back(t, (enum nic_offload)probes[i].offload, NIC_WRONG, why);
		wrong++;
	}
	for (unsigned v6 = 0; v6 < 2; v6++) {
		if (!nic_offloads_used(t->offloads, NIC_RX_CSUM) || receive_right(t, &port, v6))
			continue;
		nic_selftest_fall_back(t, NIC_RX_CSUM, NIC_WRONG,
			v6 ? "self-test: a wrong sum over IPv6 was called right"
			   : "self-test: a wrong sum over IPv4 was called right");
		wrong++;
	}
	return wrong;
}
