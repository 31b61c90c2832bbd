/* SPDX-License-Identifier: Apache-2.0 */
/** What the memif targets share: the worker's side of a port, and what the process has open. One thread. */
#ifndef TESTS_FUZZ_MEMIF_WORKER_H
#define TESTS_FUZZ_MEMIF_WORKER_H

#include "dataplane/memif_queue.h"
#include "dataplane/port.h"
#include "tests/fuzz/mbufs.h"

#include <fcntl.h>

#define MEMIF_BURST 32
#define MEMIF_FILES 256

/** As many frames as n says, from the queue it says, each whole. */
static inline void worker_receives(struct port *port, unsigned n)
{
	struct rte_mbuf *pkts[MEMIF_BURST];
	const uint16_t got = port->ops->rx_burst(
		port, (uint16_t)(n >> 6 & 1), pkts, (uint16_t)(n % MEMIF_BURST + 1));

	for (uint16_t i = 0; i < got; i++) {
		mbufs_check(pkts[i]);
		REQUIRE(pkts[i]->pkt_len > 0 && pkts[i]->pkt_len <= MEMIF_FRAME_MAX,
			"a frame of %u bytes", pkts[i]->pkt_len);
		REQUIRE(rte_pktmbuf_headroom(pkts[i]) + 14u >= RTE_PKTMBUF_HEADROOM, "headroom");
		rte_pktmbuf_free(pkts[i]);
	}
}

/** Packets of len bytes, as many and in as many pieces as n says. */
static inline void worker_sends(struct port *port, unsigned n, uint16_t len)
{
	static uint8_t bytes[9000] = { [12] = 0x08 };
	const struct cuts cuts = { .count = (uint8_t)(n >> 4 & 3), .len = { 60, 1, 700, 13 } };
	struct rte_mbuf *pkts[16];
	const uint16_t count = (uint16_t)(n % 16 + 1);
	uint16_t sent;

	for (uint16_t i = 0; i < count; i++)
		pkts[i] = mbufs_packet(bytes, len % sizeof(bytes) + 1u, &cuts);
	sent = port->ops->tx_burst(port, (uint16_t)(n >> 6 & 1), pkts, count);
	REQUIRE(sent <= count, "%u of %u sent", sent, count);
	rte_pktmbuf_free_bulk(pkts + sent, count - sent);
}

/** Descriptors of this process. */
static inline unsigned open_files(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < MEMIF_FILES; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

#endif
