/* SPDX-License-Identifier: Apache-2.0 */
/** A NIC in memory, as strict as real ones and as broken as a test wants it. Debian has no headers to write a DPDK driver
 * with, so it stands behind the calls of ethdev that a port makes (the linker wraps them) for the device NIC_DEVICE; other
 * devices are DPDK's own. It computes checksums, cuts TCP segments, both inside VXLAN and IP-in-IP and with the outer UDP
 * checksum, and spreads what it receives by Toeplitz's hash over inner or outer headers.
 *
 * A packet whose offload words a real NIC would take amiss is a fault: tests assert that there is none.
 */
#ifndef TESTS_UNIT_NIC_PMD_H
#define TESTS_UNIT_NIC_PMD_H

#include "dataplane/nic_offloads.h"

#include <rte_ethdev.h>

#define NIC_DEVICE   "net_null_nic"
#define NIC_WIRE_MAX 512
#define NIC_QUEUES   16

enum nic_lie { NIC_HONEST, NIC_WRONG_SUM, NIC_WRONG_LENGTH, NIC_LOSES };

struct nic {
	/* What the test chooses before it opens the port. */
	const char *driver;
	uint64_t tx_capa, rx_capa, rss_capa;
	uint16_t buffers_max; /* nb_seg_max; 0 = not said */
	bool loops;	      /* lpbk_mode 1 does what it says */
	bool loopback_fails;  /* the device does not start with it */
	uint8_t lie
		[NIC_OFFLOADS]; /* enum nic_lie: what it does to packets that need the offload; NIC_RX_CSUM: any but
				      NIC_HONEST calls all sums right */
	bool lie_v6_only;  /* only with IPv6 outside or inside */
	uint32_t refuses;  /* bit n: tx_prepare takes no packet that needs enum nic_offload n */
	uint32_t stuck_at; /* bit n: tx_burst never gets past such a packet */
	bool fixed_mac, no_promiscuity, no_multicast;
	bool rss_level_refused;	  /* configuring RSS on inner headers fails in spite of rss_capa */
	struct rte_mempool *pool; /* for received and finished frames */
	/* What happened. */
	struct rte_eth_conf conf;
	struct rte_ether_addr mac;
	bool started, promiscuous, allmulticast;
	unsigned starts, told_ports;
	uint64_t sent; /* packets that the driver took */
	uint16_t n_rxq;
	struct rte_mbuf *wire[NIC_WIRE_MAX]; /* frames that left, in order */
	unsigned n_wire;
	unsigned faults;
	char fault[160]; /* the first one */
};
extern struct nic nic;

/** A right NIC with everything, from now on. */
void nic_reset(struct rte_mempool *pool);
/** Free what left it, and what waits to be received. */
void nic_clear(void);
/** A frame comes in. @return the queue it goes to. */
uint16_t nic_receive(const uint8_t *frame, uint32_t len);

#endif
