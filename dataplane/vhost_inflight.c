/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/vhost_inflight.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define RECORD_BYTES 64 /* a cache line each: rings belong to different workers */

static_assert(sizeof(struct virtq_record) <= RECORD_BYTES, "one record a line");

static bool well_formed(const struct vhost_message *message, unsigned most)
{
	const struct vhost_inflight_area *want = &message->payload.inflight;

	return message->size == sizeof(*want) && want->num_queues > 0 && want->num_queues <= most;
}

bool vhost_inflight_make(struct vhost_message *message, unsigned most)
{
	struct vhost_inflight_area *area = &message->payload.inflight;
	off_t size;
	int fd;

	if (message->fd_num != 0 || !well_formed(message, most))
		return false;
	size = (off_t)area->num_queues * RECORD_BYTES;
	area->mmap_size = area->mmap_offset = 0;
	fd = memfd_create("vhost-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return true;
	if (ftruncate(fd, size) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		close(fd);
		return true;
	}
	area->mmap_size = (uint64_t)size;
	message->fds[0] = fd;
	message->fd_num = 1;
	return true;
}

void vhost_inflight_sent(struct vhost_message *message)
{
	for (int i = 0; i < message->fd_num && i < VHOST_MESSAGE_FDS; i++) {
		if (message->fds[i] >= 0)
			close(message->fds[i]);
		message->fds[i] = -1;
	}
}

/** Memory that is there whatever its other holders do: not of huge pages, which may run out at the first touch. */
static bool lasting(int fd, const struct vhost_inflight_area *area, size_t size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct statfs fs;
	struct stat st;

	return seals >= 0 && (seals & F_SEAL_SHRINK) && fstatfs(fd, &fs) == 0 &&
	       fs.f_type == TMPFS_MAGIC && fstat(fd, &st) == 0 && area->mmap_size >= size &&
	       area->mmap_offset <= (uint64_t)st.st_size &&
	       size <= (uint64_t)st.st_size - area->mmap_offset;
}

const char *vhost_inflight_take(
	struct vhost_inflight *inflight, struct vhost_message *message, unsigned most)
{
	const struct vhost_inflight_area area = message->payload.inflight;
	const char *wrong = NULL;
	void *at = MAP_FAILED;
	size_t size;

	if (message->fd_num != 1 || !well_formed(message, most)) {
		vhost_inflight_sent(message);
		return "SET_INFLIGHT_FD is malformed, or for more rings than are served";
	}
	size = (size_t)area.num_queues * RECORD_BYTES;
	if (!lasting(message->fds[0], &area, size))
		wrong = "the in-flight area is not the one that was handed out";
	else
		at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, message->fds[0],
			(off_t)area.mmap_offset);
	vhost_inflight_sent(message);
	if (wrong == NULL && at == MAP_FAILED)
		wrong = "the in-flight area can't be mapped";
	if (wrong != NULL)
		return wrong;
	vhost_inflight_drop(inflight);
	*inflight = (struct vhost_inflight){ .area = at, .size = size, .count = area.num_queues };
	return NULL;
}

void vhost_inflight_drop(struct vhost_inflight *inflight)
{
	if (inflight->area != NULL)
		munmap(inflight->area, inflight->size);
	*inflight = (struct vhost_inflight){ 0 };
}

struct virtq_record *vhost_inflight_record(const struct vhost_inflight *inflight, unsigned index)
{
	return index < inflight->count
		       ? (void *)((char *)inflight->area + (size_t)index * RECORD_BYTES)
		       : NULL;
}
