/* SPDX-License-Identifier: Apache-2.0 */
/** Looks whether a NIC does what it announces, before anybody's packets depend on it. Two ways:
 *
 * - Every driver is asked whether it would take a packet of each kind (rte_eth_tx_prepare). It is not sent.
 * - Devices whose MAC can send frames back to itself (lpbk_mode of their drivers) are started so for a moment; what comes
 *   back of a packet of each kind must be, byte for byte, what the software path makes of it. Received checksums are
 *   looked at with a frame whose sum is wrong.
 *
 * An offload that fails is no longer in use, and a line in the log says so. Devices that cannot send back keep what they
 * announce, "not verified". Nothing of this leaves the device; a driver that ignores lpbk_mode would let out a frame
 * from and to its own MAC address, which no switch passes on.
 *
 * Control thread; the device is the caller's alone and not in a list of any worker.
 */
#ifndef DATAPLANE_NIC_SELFTEST_H
#define DATAPLANE_NIC_SELFTEST_H

#include "dataplane/nic_offloads.h"

struct nic_selftest {
	const char *port, *driver; /* for messages */
	uint16_t ethdev, n_rxq, mtu;
	struct rte_mempool *pool;
	struct nic_offloads *offloads;
};

/** lpbk_mode to configure the device with, 0 = its driver has none. */
uint32_t nic_selftest_loopback(const char *driver);
/** Take an offload out of use, and say so in the log. Needs port, driver and offloads. */
void nic_selftest_fall_back(const struct nic_selftest *t, enum nic_offload offload,
	enum nic_offload_state state, const char *why);
/** Ask the driver. The device is started. @return how many offloads it refused. */
unsigned nic_selftest_prepare(const struct nic_selftest *t);
/** Send and look at what comes back. The device is started in its loopback mode. Takes milliseconds, half a second when
 * nothing comes back. @return how many offloads turned out wrong. */
unsigned nic_selftest_loop(const struct nic_selftest *t);

#endif
