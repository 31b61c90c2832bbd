/* SPDX-License-Identifier: Apache-2.0 */
/** Guest memory that goes away under us. A guest's memory is a file of its own, and who may write it may truncate it (or
 * name one of huge pages that nobody reserved); reading or writing it then is SIGBUS. QEMU's memfd can be sealed against
 * that, DPDK's and files can't, so it can't be asked for. Instead the signal is caught: if the address is in a guest's
 * memory, zeros take the place of all of it, private to the daemon, and the access is repeated. A ring of zeros is an
 * empty or a broken one.
 */
#ifndef DATAPLANE_VHOST_GUARD_H
#define DATAPLANE_VHOST_GUARD_H

#include "dataplane/virtq.h"

/** Any thread: install the handler, once. */
void vhost_guard_start(void);
/** Set-up, while no ring of the connection is in use: these count mappings are its memory from now on. Addresses and
 * sizes are of whole mappings. vid: librte_vhost's number of it. */
void vhost_guard_set(int vid, void *const *addr, const uint64_t *size, uint32_t count);
/** Set-up: this thread handles messages, in which the library touches memory of which we do not know yet. */
void vhost_guard_thread(void);
/** Any thread: times memory of the connection vanished. */
uint32_t vhost_guard_faults(int vid);

#endif
