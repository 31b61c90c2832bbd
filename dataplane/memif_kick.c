/* SPDX-License-Identifier: Apache-2.0 */
/** Waking a peer we do not trust. write(2) on its eventfd could block a worker: the peer can fill
 * the counter and clear O_NONBLOCK on the file we share, and checking first is a race it can win.
 * The kernel's own signal of an eventfd never blocks, and asynchronous I/O has a door to it: a
 * request may name an eventfd to signal on completion. The request here is a read of /dev/null,
 * complete before io_submit returns. It costs about 0.7 us against 0.25 us for write(2), paid only
 * towards peers that sleep.
 */
#include "dataplane/memif_queue.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KICK_EVENTS 64

/* One a thread: contexts are a limited resource of the machine (fs.aio-max-nr), threads are few. */
static _Thread_local aio_context_t kick_context;
static _Thread_local int null_fd = -1;
static _Thread_local unsigned completed; /* requests whose completion is not collected yet */
static _Thread_local bool unavailable;	 /* the kernel has no AIO, or no context is left */

static bool kick_ready(void)
{
	if (kick_context != 0)
		return true;
	if (unavailable)
		return false;
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null_fd >= 0 && syscall(SYS_io_setup, KICK_EVENTS, &kick_context) == 0)
		return true;
	unavailable = true;
	return false;
}

/* Second best: it can block only if the peer clears the flag and fills the counter between the two
 * calls. */
static void kick_by_write(int event_fd)
{
	const uint64_t one = 1;
	int flags = fcntl(event_fd, F_GETFL);

	if (flags < 0 || fcntl(event_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return;
	/* A full counter is a wake-up already. */
	if (write(event_fd, &one, sizeof(one)) < 0)
		return;
}

void memif_kick(int event_fd)
{
	static char nothing[8];
	struct iocb request = { .aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_buf = (uintptr_t)nothing,
		.aio_nbytes = sizeof(nothing) };
	struct iocb *list = &request;

	if (!kick_ready()) {
		kick_by_write(event_fd);
		return;
	}
	request.aio_fildes = (uint32_t)null_fd;
	request.aio_resfd = (uint32_t)event_fd;
	if (completed == KICK_EVENTS / 2) {
		struct io_event events[KICK_EVENTS];

		syscall(SYS_io_getevents, kick_context, 0, KICK_EVENTS, events, NULL);
		completed = 0;
	}
	if (syscall(SYS_io_submit, kick_context, 1, &list) == 1)
		completed++;
	else
		kick_by_write(event_fd);
}
