/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/nic_unproven.h"

#include "dataplane/nic_transmit.h"

#define CHUNK  64
#define ENOUGH 8 /* packets: a few seconds of a connection that waits */

void nic_unproven_begin(struct nic_unproven *u, const struct nic_offloads *o)
{
	uint32_t waiting = 0;

	for (unsigned i = NIC_TX_CSUM; i < NIC_OFFLOADS; i++) {
		if (o->of[i].state == NIC_CLAIMED)
			waiting |= 1u << i;
	}
	atomic_store_explicit(&u->waiting, waiting, memory_order_relaxed);
}

/** Up to CHUNK packets. After they were sent nothing can be asked about them. */
static uint16_t send_some(
	struct nic_unproven *u, uint16_t ethdev, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	enum nic_offload needs[CHUNK];
	uint32_t taken = 0;
	uint16_t sent;

	for (uint16_t i = 0; i < n; i++)
		needs[i] = nic_transmit_needs(pkts[i]);
	sent = rte_eth_tx_burst(ethdev, queue, pkts, n);
	for (uint16_t i = 0; i < sent; i++)
		taken |= 1u << needs[i];
	taken &= atomic_load_explicit(&u->waiting, memory_order_relaxed);
	if (taken != 0)
		atomic_fetch_and_explicit(&u->waiting, ~taken, memory_order_relaxed);
	if (sent < n && needs[sent] < NIC_OFFLOADS)
		atomic_fetch_add_explicit(&u->left[needs[sent]], 1, memory_order_relaxed);
	return sent;
}

uint16_t nic_unproven_send(
	struct nic_unproven *u, uint16_t ethdev, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent = 0;

	while (sent < n) {
		const uint16_t part = (uint16_t)RTE_MIN(n - sent, CHUNK);
		const uint16_t took = send_some(u, ethdev, queue, pkts + sent, part);

		sent = (uint16_t)(sent + took);
		if (took == part)
			continue;
		/* The queue is full, or this packet will never go: then those behind it do. */
		if (nic_transmit_needs(pkts[sent]) == NIC_OFFLOADS)
			break;
		n = port_tx_refuse(pkts, sent, n);
	}
	return sent;
}

uint32_t nic_unproven_look(struct nic_unproven *u, uint64_t sent)
{
	const uint32_t waiting = atomic_load_explicit(&u->waiting, memory_order_relaxed);
	const bool sends = sent != u->sent;
	uint32_t lacking = 0;

	u->sent = sent;
	for (unsigned i = 0; i < NIC_OFFLOADS; i++) {
		if ((waiting & 1u << i) && sends &&
			atomic_load_explicit(&u->left[i], memory_order_relaxed) >= ENOUGH)
			lacking |= 1u << i;
	}
	atomic_fetch_and_explicit(&u->waiting, ~lacking, memory_order_relaxed);
	return lacking;
}
