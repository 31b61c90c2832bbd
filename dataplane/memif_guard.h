/* SPDX-License-Identifier: Apache-2.0 */
/** Memory a peer can take away. A file the peer did not seal can be shortened while we have it
 * mapped, and a file of huge pages can run out of them: touching it then raises SIGBUS. A handler
 * puts zeroes in the place of a guarded region, so that whoever touched it goes on, as with any
 * nonsense a hostile peer writes to its memory, and the control thread ends the connection
 * (memory_guard.h).
 *
 * Threads: control, but for the handler, which runs in whichever thread touches the memory.
 */
#ifndef DATAPLANE_MEMIF_GUARD_H
#define DATAPLANE_MEMIF_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#define MEMIF_GUARD_NONE UINT32_MAX

/** Guard a mapping; the first call installs the handler. @return a handle, MEMIF_GUARD_NONE when
 * there are too many. */
uint32_t memif_guard_add(void *addr, uint64_t mapped);
/** Before munmap, when nobody touches the mapping any more. */
void memif_guard_remove(uint32_t guard);
/** Whether the memory was taken away; it is zeroes since. */
bool memif_guard_tripped(uint32_t guard);

#endif
