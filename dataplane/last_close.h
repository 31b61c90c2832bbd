/* SPDX-License-Identifier: Apache-2.0 */
/** Closing while the daemon ends. The kernel lets go of a packet socket, an AF_XDP socket or an interface only after grace periods
 * of its RCU, some 20 to 40 ms each, one after the other, while the next daemon waits. Each gets a thread of its own then; the
 * process ends when the last is done, and the kernel sees to that by itself.
 *
 * Control thread.
 */
#ifndef DATAPLANE_LAST_CLOSE_H
#define DATAPLANE_LAST_CLOSE_H

/** Call close_it(what), which must not need the data plane any more: beside everything else, or at once where there is no
 * thread. */
void last_close(void (*close_it)(void *), void *what);
/** The same for close(fd). */
void last_close_fd(int fd);

#endif
