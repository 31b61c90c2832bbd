/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/handover.h"

#include "config/log.h"
#include "config/schema.h"
#include "ctrl/daemon/startup.h"
#include "ctrl/ipam/ipam.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#define CLAIM_TIMEOUT_MS 15000
#define CLAIM_POLL_US	 500

static char take_over[] = "--take-over";

int handover_spawn(char *const *argv, const cpu_set_t *cpus, pid_t *pid, struct error *err)
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
	memcpy(args, argv, n * sizeof(*args));
	if (!has)
		args[n] = take_over;
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	/* Memory that DPDK keeps in descriptors would live as long as the successor. */
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	sched_getaffinity(0, sizeof(now), &now);
	sched_setaffinity(0, sizeof(*cpus), cpus);
	ret = posix_spawnp(pid, args[0], &actions, &attr, args, environ);
	sched_setaffinity(0, sizeof(now), &now);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	free(args);
	return ret == 0 ? 0 : error_set(err, ret, NULL, "%.200s: %s", argv[0], strerror(ret));
}

/** Into an empty set: everything of the file, checked as `--check` does. */
static int load_file(const char *path, const struct model *empty, struct changeset *set, struct error *err)
{
	struct ipam *ipam = ipam_new();
	int ret = ipam != NULL ? config_load_file(path, set, err) : error_set(err, ENOMEM, NULL, "out of memory");

	if (ret == 0)
		ret = ipam_assign(ipam, empty, set, err);
	if (ret == 0)
		ret = changeset_validate(set, err);
	ipam_free(ipam);
	return ret;
}

int handover_node(const struct options *options, struct object **node, struct error *err)
{
	char hash[FILE_HASH_TEXT], *before = NULL;
	struct model *empty = model_new();
	struct changeset *set = empty != NULL ? changeset_new(empty) : NULL;
	struct store *store = NULL;
	struct object *found = NULL;
	int ret = set != NULL ? config_file_hash(options->config, hash, err)
			      : error_set(err, ENOMEM, NULL, "out of memory");

	if (ret == 0)
		ret = store_peek(options->state, &store, err);
	if (ret == 0)
		before = store_file_hash(store);
	if (ret == 0 && before != NULL && strcmp(before, hash) == 0)
		ret = store_load(store, set, err);
	else if (ret == 0)
		ret = load_file(options->config, empty, set, err);
	store_close(store);
	if (ret == 0) {
		found = changeset_find(set, OBJECT_NODE, NULL);
		ret = found != NULL ? 0 : error_set(err, EINVAL, "node", "the configuration has no node");
	}
	*node = found != NULL ? object_ref(found) : NULL;
	free(before);
	changeset_free(set);
	model_free(empty);
	return ret;
}

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

int handover_claim(const char *state, struct error *err)
{
	char path[4096], text[32] = "";
	struct timespec since;
	int fd, ret = 0;
	pid_t holder;

	snprintf(path, sizeof(path), "%s/lock", state);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, NULL, "%.200s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		close(fd);
		return 0;
	}
	holder = read(fd, text, sizeof(text) - 1) > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
	/* systemd must know before the process it watches ends. */
	sd_notifyf(0, "MAINPID=%d", (int)getpid());
	clock_gettime(CLOCK_MONOTONIC, &since);
	if (holder <= 1 || kill(holder, SIGTERM) < 0)
		ret = error_set(err, ESRCH, NULL,
			"%.200s is held by a process that does not say who it is: end it and start again", path);
	while (ret == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (elapsed_ms(&since) > CLAIM_TIMEOUT_MS)
			ret = error_set(err, ETIMEDOUT, NULL, "process %d was asked to end and does not", (int)holder);
		usleep(CLAIM_POLL_US);
	}
	close(fd);
	if (ret == 0)
		LOG_INFO("taken over from=%d waited_ms=%ld", (int)holder, elapsed_ms(&since));
	return ret;
}
