/* SPDX-License-Identifier: Apache-2.0 */
/** What the NIC of nic_pmd.h makes of a packet that it sends, and what of its words it takes amiss: found by the words alone,
 * as a NIC does, and held against the bytes.
 */
#ifndef TESTS_UNIT_NIC_FINISH_H
#define TESTS_UNIT_NIC_FINISH_H

#include "tests/unit/nic_pmd.h"

/** Count a fault, and keep the first one's text. */
void nic_fault(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** A frame of these bytes from nic.pool; NULL and a fault when there is no buffer. */
struct rte_mbuf *nic_frame(const uint8_t *bytes, uint32_t len);
/** Does the packet ask for anything, and which offload can it not do without? */
bool nic_asks(const struct rte_mbuf *m);
enum nic_offload nic_needs(const struct rte_mbuf *m);
/** Treat one packet as the device does, with these RTE_ETH_TX_OFFLOAD_* configured; m is freed. `prepared`: it has been
 * through tx_prepare. @return number of frames in out. */
unsigned nic_finish(struct rte_mbuf *m, uint64_t configured, bool prepared, struct rte_mbuf **out,
	unsigned max);

#endif
