/* SPDX-License-Identifier: Apache-2.0 */
/** The control thread's side of the data plane on the event loop: punted packets, timers,
 * descriptors that port drivers watch, reclamation, and the transactions of
 * dataplane/forwarding.h. Control thread only. One a process, because the data plane is.
 */
#ifndef CTRL_DAEMON_LOOP_H
#define CTRL_DAEMON_LOOP_H

#include "ctrl/daemon/transaction.h"

/** Attach a started data plane to the loop. */
int loop_attach(struct event_base *base, struct error *err);
/** Before dataplane_stop. */
void loop_detach(void);
/** For struct engine_conf: forwarding_prepare and the rest, with reclamation after a commit. */
extern const struct plane loop_plane;

#endif
