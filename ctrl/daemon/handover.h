/* SPDX-License-Identifier: Apache-2.0 */
/** One daemon makes room for the next without an idle moment in between: the next one starts with --take-over, gets
 * memory, tables and workers ready while the first still forwards, and only then asks it to end. Pods' interfaces stay
 * (dataplane/tap_interface.h). Control thread only.
 *
 * `podlane upgrade` and SIGUSR2 make a running daemon start its successor, with its own command line (upgrade.h).
 */
#ifndef CTRL_DAEMON_HANDOVER_H
#define CTRL_DAEMON_HANDOVER_H

#include "config/model.h"
#include "ctrl/daemon/options.h"

#include <sched.h>
#include <sys/types.h>

/** Names the descriptor of a successor's last words in its environment. */
#define HANDOVER_SAID	     "PODLANE_SUCCESSOR_SAYS"
#define HANDOVER_FILENO	     3
#define HANDOVER_SAID_FILENO "3"

/** Start argv[0] again, with --take-over, on the CPUs this process began with. said: a file that it may write its reason
 * to when it can't take over (upgrade.h); -1 = none. 0 or an error. */
int handover_spawn(
	char *const *argv, const cpu_set_t *cpus, int said, pid_t *pid, struct error *err);

/** The node that the successor's data plane is made for, out of the same objects of file and store that it will start
 * with, all of them checked, so that a mistake is found before anybody ends. The store is not changed. New reference. */
int handover_node(const struct options *options, struct object **node, struct error *err);

/** Ask the daemon that has the state directory to end, and wait until it has let go. Nobody there is fine. Only
 * the process that has the directory's lock is ever sent a signal. systemd is told of the new main process before the old
 * one ends, and again of the old one when that does not.
 * @return 0, -ETIMEDOUT, -ESRCH (the holder cannot be named), -EBUSY (another successor was faster), or another error. */
int handover_claim(const char *state, struct error *err);

#endif
