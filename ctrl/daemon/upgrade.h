/* SPDX-License-Identifier: Apache-2.0 */
/** Replacing the running daemon by one started from the program file as it is now: a child with our own command line and
 * --take-over (handover.h). Started by SIGUSR2 or POST /v1/upgrade; whoever asked learns why one could not take over.
 * Control thread only.
 */
#ifndef CTRL_DAEMON_UPGRADE_H
#define CTRL_DAEMON_UPGRADE_H

#include "config/error.h"

#include <sched.h>
#include <sys/types.h>

#define UPGRADE_REASON_MAX 1024

struct upgrade {
	char **argv;
	cpu_set_t cpus;	 /* at the start of the process */
	pid_t successor; /* 0 = none */
	pid_t failed;	 /* the last one that ended before it took over; 0 = none did */
	int said;	 /* a file for the successor's last words; -1 = none */
	char reason[UPGRADE_REASON_MAX]; /* why `failed` ended */
	int report; /* where to say why we can't take over; -1 = nobody asked, or we have taken over */
};

/** At the start of the process. argv is kept, not copied. */
void upgrade_init(struct upgrade *u, char **argv);
/** Start a successor. 0, -EBUSY while one gets ready, or another error. */
int upgrade_start(struct upgrade *u, struct error *err);
/** A child ended: if it was the successor, there is none any more. @return its number then, else 0. */
pid_t upgrade_reap(struct upgrade *u);
void upgrade_end(struct upgrade *u);

/** In a successor: tell the one who started it why it can't take over, or with NULL that there will be nothing to say.
 * Nothing in a daemon that nobody started so. */
void upgrade_report(struct upgrade *u, const char *text);

#endif
