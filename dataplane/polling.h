/* SPDX-License-Identifier: Apache-2.0 */
/** What a worker polls, and how much of it: the rx queues of its list, each with a fair share. Worker threads.
 *
 * Hot and cold. A queue that has had packets lately is hot: it is polled each round. One that was quiet for a while turns
 * cold, if it has a descriptor to wait on: it is not polled, and the worker's epoll instance is asked now and then, for all
 * cold queues in one system call. So what a round costs depends on the queues in use, not on the pods of the node. Before
 * a worker sleeps, all turn cold. A queue without descriptor stays hot. Should a peer forget to signal, every queue is
 * polled once in SWEEP_MS all the same.
 *
 * Fair share: deficit round robin (Shreedhar and Varghese, 1995), counted in cycles, because packets differ: a flow's first
 * packet costs twenty times one that follows. A queue with a backlog may use QUANTUM cycles a round, in several bursts if
 * they are cheap; what its last burst used beyond is a debt, and it is passed over until its quanta have paid it. When
 * nobody else has packets, nothing is withheld: the round is the first in which somebody's debt is paid.
 */
#ifndef DATAPLANE_POLLING_H
#define DATAPLANE_POLLING_H

#include "dataplane/worker_state.h"

/** Take over w->rx_list, if it is another one than before. @return it. */
struct rx_list *poll_list(struct worker *w);
/** One round over all hot queues and, when it is time, a look for cold ones that have packets. Packets go through all
 * stages and are sent. @return how many. */
uint32_t poll_round(struct worker *w, struct rx_list *list);
/** Sleep until a queue has packets, control has some to send, or a little time is over. RCU: offline meanwhile; the caller
 * must not use `list` any more. */
void poll_sleep(struct worker *w, struct rx_list *list);
/** Once: have the worker's wake_fd watched. @return 0 or -errno. */
int poll_init(struct worker *w);

#endif
