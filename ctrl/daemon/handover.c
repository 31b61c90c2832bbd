/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/handover.h"

#include "config/log.h"
#include "config/schema.h"
#include "ctrl/daemon/startup.h"
#include "ctrl/daemon/store.h"
#include "ctrl/ipam/ipam.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#define CLAIM_TIMEOUT_MS    15000
#define NAMELESS_TIMEOUT_MS 500 /* it takes one lock, then the other */
#define CLAIM_POLL_US	    500

static char take_over[] = "--take-over";

int handover_spawn(
	char *const *argv, const cpu_set_t *cpus, int said, pid_t *pid, struct error *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	cpu_set_t now;
	char **args;
	size_t n = 0;
	bool has = false;
	int ret;

	for (; argv[n] != NULL; n++)
		has = has || strcmp(argv[n], take_over) == 0;
	args = calloc(n + 2, sizeof(*args));
	if (args == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	/* In front: the end may be behind a "--". */
	args[0] = argv[0];
	args[1] = take_over;
	memcpy(args + (has ? 1 : 2), argv + 1, (n - 1) * sizeof(*args));
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	if (said >= 0)
		posix_spawn_file_actions_adddup2(&actions, said, HANDOVER_FILENO);
	/* Memory that DPDK keeps in descriptors would live as long as the successor. */
	posix_spawn_file_actions_addclosefrom_np(
		&actions, said >= 0 ? HANDOVER_FILENO + 1 : HANDOVER_FILENO);
	if (said >= 0)
		setenv(HANDOVER_SAID, HANDOVER_SAID_FILENO, 1);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	sched_getaffinity(0, sizeof(now), &now);
	sched_setaffinity(0, sizeof(*cpus), cpus);
	ret = posix_spawnp(pid, args[0], &actions, &attr, args, environ);
	sched_setaffinity(0, sizeof(now), &now);
	unsetenv(HANDOVER_SAID);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	free(args);
	return ret == 0 ? 0 : error_set(err, ret, NULL, "%.200s: %s", argv[0], strerror(ret));
}

int handover_node(const struct options *options, struct object **node, struct error *err)
{
	struct model *empty = model_new();
	struct ipam *ipam = ipam_new();
	struct startup startup = { 0 };
	struct store *store = NULL;
	struct object *found = NULL;
	int ret = empty != NULL && ipam != NULL ? store_peek(options->state, &store, err)
						: error_set(err, ENOMEM, NULL, "out of memory");

	if (ret == 0)
		ret = startup_look(store, empty, options->config, &startup, err);
	store_close(store);
	/* As engine_start will, so that a mistake is found before anybody ends. */
	if (ret == 0)
		ret = ipam_assign(ipam, empty, startup.set, err);
	if (ret == 0)
		ret = changeset_validate(startup.set, err);
	if (ret == 0)
		ret = startup_node(&startup, err) != NULL ? 0 : -EINVAL;
	if (ret == 0)
		found = changeset_find(startup.set, OBJECT_NODE, NULL);
	*node = found != NULL ? object_ref(found) : NULL;
	startup_free(&startup);
	ipam_free(ipam);
	model_free(empty);
	return ret;
}

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

/** The process that has the lock, by the word of the kernel (store_file.c takes a POSIX lock beside the other), which
 * unlike a number in a file is never old and never of another PID namespace. 0 = nobody that can be named. */
static pid_t lock_holder(int fd)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = STORE_LOCK_HOLDER, .l_len = 1
	};

	return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0
		       ? lock.l_pid
		       : 0;
}

/** Once, if the holder can be named: SIGTERM. */
static int ask_to_end(int fd, pid_t *asked, struct error *err)
{
	pid_t holder = lock_holder(fd);
	int pidfd, ret = 0;

	if (holder == 0 || holder == *asked)
		return 0;
	if (*asked != 0)
		return error_set(err, EBUSY, NULL,
			"process %d took the place of %d before this one could", (int)holder,
			(int)*asked);
	pidfd = pidfd_open(holder, 0);
	if (pidfd < 0)
		return 0; /* just gone, and so is its lock */
	/* The number may have got to another process since. Not if who it stands for has the lock now. */
	if (lock_holder(fd) == holder) {
		/* systemd must know before the process it watches ends. */
		sd_notifyf(0, "MAINPID=%d", (int)getpid());
		if (pidfd_send_signal(pidfd, SIGTERM, NULL, 0) == 0)
			*asked = holder;
		else if (errno != ESRCH)
			ret = error_set(err, errno, NULL, "process %d cannot be asked to end: %s",
				(int)holder, strerror(errno));
	}
	close(pidfd);
	return ret;
}

/** Tell the holder that its place is taken at once, so that it leaves the node's interface: for as long as fd is open, and
 * no longer than this process lives. Two of us would each end what the other has become. */
static int announce(int fd, const char *path, struct error *err)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = STORE_LOCK_SUCCESSOR, .l_len = 1
	};

	if (fcntl(fd, F_SETLK, &lock) == 0)
		return 0;
	return error_set(err, errno == EACCES ? EAGAIN : errno, NULL,
		"%.200s: another process is taking over just now: %s", path, strerror(errno));
}

int handover_claim(const char *state, struct error *err)
{
	struct timespec since;
	pid_t asked = 0;
	char path[4096];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "%s/lock", state);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT
			       ? 0
			       : error_set(err, errno, NULL, "%.200s: %s", path, strerror(errno));
	clock_gettime(CLOCK_MONOTONIC, &since);
	ret = announce(fd, path, err);
	while (ret == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		ret = ask_to_end(fd, &asked, err);
		if (ret == 0 && asked == 0 && elapsed_ms(&since) > NAMELESS_TIMEOUT_MS)
			ret = error_set(err, ESRCH, NULL,
				"%.200s is held by a process that cannot be named: end it and "
				"start again",
				path);
		else if (ret == 0 && elapsed_ms(&since) > CLAIM_TIMEOUT_MS)
			ret = error_set(err, ETIMEDOUT, NULL,
				"process %d was asked to end and does not", (int)asked);
		usleep(CLAIM_POLL_US);
	}
	close(fd);
	if (ret < 0 && asked != 0)
		sd_notifyf(0, "MAINPID=%d", (int)asked);
	if (ret == 0 && asked != 0)
		LOG_INFO("taken over from=%d waited_ms=%ld", (int)asked, elapsed_ms(&since));
	return ret;
}
