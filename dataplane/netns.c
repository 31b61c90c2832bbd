/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/netns.h"

#include "dataplane/netns_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int netns_open(const char *netns, const char *port, struct error *err)
{
	char path[256];
	int fd, type;

	netns_path(netns, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, NULL, "port %s: network namespace %s: %s", port, path,
			strerror(errno));
	type = ioctl(fd, NS_GET_NSTYPE);
	if (type != CLONE_NEWNET) {
		close(fd);
		return error_set(
			err, EINVAL, NULL, "port %s: %s is not a network namespace", port, path);
	}
	return fd;
}

struct netns_call {
	int fd;
	int (*fn)(void *arg);
	void *arg;
	int ret;
};

static void *netns_thread(void *arg)
{
	struct netns_call *call = arg;

	call->ret = setns(call->fd, CLONE_NEWNET) < 0 ? -errno : call->fn(call->arg);
	return NULL;
}

int netns_run(int netns_fd, int (*fn)(void *arg), void *arg)
{
	struct netns_call call = { .fd = netns_fd, .fn = fn, .arg = arg };
	pthread_t thread;
	int ret = pthread_create(&thread, NULL, netns_thread, &call);

	if (ret != 0)
		return -ret;
	pthread_join(thread, NULL);
	return call.ret;
}
