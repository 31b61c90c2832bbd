/* SPDX-License-Identifier: Apache-2.0 */
/** A shorter start of DPDK. Where the CPU does not tell the frequency of its time stamp counter (no AMD does), DPDK 22.11 sleeps
 * for 100 ms and divides by what the clock says has gone by; a node that restarts forwards nothing meanwhile. A sleep of 10 ms
 * gives the same: the clock is read to within 100 ns, which makes 10 parts in a million, and DPDK rounds to 10 MHz.
 *
 * Thread: the one that calls rte_eal_init, and around that only.
 */
#ifndef DATAPLANE_EAL_CALIBRATION_H
#define DATAPLANE_EAL_CALIBRATION_H

#include <stdbool.h>

/** Cut sleeps of this thread in nanosleep(), which librte_eal gets from us, short; or no more. */
void eal_calibration_shorten(bool on);

#endif
