/* SPDX-License-Identifier: Apache-2.0 */
/** The daemon's one SIGBUS handler. Memory shared with a peer can be taken away by it; touching it then raises SIGBUS. Who
 * maps such memory says here how it is made whole again; SIGBUS anywhere else does what it did before.
 *
 * Limit: while DPDK takes more huge pages from the kernel (a device is opened at run time), the signal is its own for some
 * microseconds.
 */
#ifndef DATAPLANE_MEMORY_GUARD_H
#define DATAPLANE_MEMORY_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/** Async-signal-safe, on whichever thread touched the memory. @return whether the address was in memory it knows, which is
 * whole again: the access is repeated. */
typedef bool (*memory_repair)(uintptr_t addr);

/** Any thread: ask this one as well, for the life of the process. Adding the same again does nothing. */
void memory_guard_add(memory_repair repair);

#endif
