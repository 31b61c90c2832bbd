/* SPDX-License-Identifier: Apache-2.0 */
/** Interfaces that a daemon left in pods, for the next one to take over, and that nobody will. Control thread only. */
#ifndef CTRL_DAEMON_LEFTOVERS_H
#define CTRL_DAEMON_LEFTOVERS_H

#include "ctrl/daemon/startup.h"

/** Remove the interface that an earlier daemon left for a tap pod, if there is one. Trouble is logged. */
void leftover_remove(const struct object *pod);

/** Remove the orphans' interfaces. To be called when the daemon has started: until then another start may want them.
 * Trouble is logged. */
void leftovers_remove(const struct startup *startup);

/** Instead of a daemon: remove the interfaces of all pods of a state directory, which no daemon may be using. */
int leftovers_remove_all(const char *state, struct error *err);

#endif
