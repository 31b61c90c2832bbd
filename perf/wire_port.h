/* SPDX-License-Identifier: Apache-2.0 */
/** The tester's DPDK environment and its ports. Main thread, before and after trials; wire_port_lost at any time. */
#ifndef PERF_WIRE_PORT_H
#define PERF_WIRE_PORT_H

#include "perf/wire.h"

#include <rte_mbuf.h>

struct wire_port {
	uint16_t id; /* of the ethdev */
	char name;   /* 'a' or 'b' */
	bool started;
	struct mac_addr mac;
};

/** Start DPDK for the devices the options name: private memory, so that it runs beside other DPDK programs. `memory_mb` is
 * what the pools will take in hugepages; where there are not so many free, or none are wanted, it becomes `small_mb`, what
 * they take in 4 KiB pages. @return 0 or -errno with a message. */
int wire_eal_start(
	const struct wire_options *o, uint32_t *memory_mb, uint32_t small_mb, struct error *err);
/** Probe, configure and start a device; waits for its link at most o->wait seconds. `frame`: the longest frame without
 * checksum. */
int wire_port_open(struct wire_port *port, const struct wire_options *o, char name,
	const char *device, uint32_t frame, struct rte_mempool *rx_pool, struct error *err);
void wire_port_close(struct wire_port *port);
/** True when the port's link is down. */
bool wire_port_lost(const struct wire_port *port);
/** From now on a memory fault while a port's link is down ends the program with a message instead of a core dump: drivers
 * of shared memory take the peer's memory away from under a polling thread when the peer goes. */
void wire_port_guard(const struct wire_port *ports, unsigned n);

#endif
