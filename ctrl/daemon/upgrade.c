/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/upgrade.h"

#include "config/log.h"
#include "ctrl/daemon/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

void upgrade_init(struct upgrade *u, char **argv)
{
	const char *text = getenv(HANDOVER_SAID);

	*u = (struct upgrade){ .argv = argv, .said = -1, .report = -1 };
	sched_getaffinity(0, sizeof(u->cpus), &u->cpus);
	/* Nobody else's word but handover_spawn's: other descriptors are not ours to write to or close. */
	if (text != NULL && strcmp(text, HANDOVER_SAID_FILENO) == 0 &&
		fcntl(HANDOVER_FILENO, F_SETFD, FD_CLOEXEC) == 0)
		u->report = HANDOVER_FILENO;
	unsetenv(HANDOVER_SAID);
}

int upgrade_start(struct upgrade *u, struct error *err)
{
	int ret;

	if (u->successor != 0)
		return error_set(err, EBUSY, NULL,
			"a successor is getting ready already: process %d", (int)u->successor);
	/* Memory, because nobody has to read it for the successor to go on. Without it the reason is in the log only. */
	u->said = memfd_create("successor", MFD_CLOEXEC);
	ret = handover_spawn(u->argv, &u->cpus, u->said, &u->successor, err);
	if (ret < 0)
		upgrade_end(u);
	else
		LOG_INFO("a successor gets ready to take over pid=%d", (int)u->successor);
	return ret;
}

void upgrade_end(struct upgrade *u)
{
	if (u->said >= 0)
		close(u->said);
	u->said = -1;
	u->successor = 0;
}

/** What the successor wrote, or what its status says. */
static void take_reason(struct upgrade *u, int status)
{
	ssize_t n = u->said >= 0 ? pread(u->said, u->reason, sizeof(u->reason) - 1, 0) : 0;

	u->reason[n > 0 ? n : 0] = '\0';
	if (n > 0)
		return;
	if (WIFSIGNALED(status))
		snprintf(u->reason, sizeof(u->reason), "ended by signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		snprintf(u->reason, sizeof(u->reason), "ended with status %d without a reason",
			WEXITSTATUS(status));
}

pid_t upgrade_reap(struct upgrade *u)
{
	pid_t pid = u->successor;
	int status;

	if (pid == 0 || waitpid(pid, &status, WNOHANG) != pid)
		return 0;
	take_reason(u, status);
	u->failed = pid;
	upgrade_end(u);
	return pid;
}

void upgrade_report(struct upgrade *u, const char *text)
{
	if (u->report < 0)
		return;
	if (text != NULL && write(u->report, text, strlen(text)) < 0)
		LOG_DEBUG("nobody hears why this one ends error=\"%s\"", strerror(errno));
	close(u->report);
	u->report = -1;
}
