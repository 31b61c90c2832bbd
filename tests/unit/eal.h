/* SPDX-License-Identifier: Apache-2.0 */
/** DPDK's environment for tests that need mbufs: unprivileged, no hugepages, no devices, nothing
 * shared. */
#ifndef TESTS_UNIT_EAL_H
#define TESTS_UNIT_EAL_H

#include <rte_eal.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/** Start EAL once a process; exits the test when it can't. */
static inline void eal_start(void)
{
	static bool started;
	char prefix[48];
	char *argv[] = { "test", "--no-huge", "-m", "128", "--no-shconf", "--no-pci",
		"--no-telemetry", prefix, "-l", "0", "--log-level=warning", NULL };

	if (started)
		return;
	snprintf(prefix, sizeof(prefix), "--file-prefix=podlane-test-%d", (int)getpid());
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0) {
		fprintf(stderr, "EAL does not start\n");
		exit(EXIT_FAILURE);
	}
	started = true;
}

/** A pool of n mbufs with room for data_room bytes behind the headroom; exits the test when there
 * is no memory. */
static inline struct rte_mempool *eal_pool(const char *name, unsigned n, uint16_t data_room)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		name, n, 0, 0, (uint16_t)(data_room + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY);

	if (pool == NULL) {
		fprintf(stderr, "no pool %s of %u buffers\n", name, n);
		exit(EXIT_FAILURE);
	}
	return pool;
}

#endif
