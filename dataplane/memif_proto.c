/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/memif_proto.h"

#include "config/log.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

int memif_msg_send(int fd, const struct memif_msg *msg, int passed_fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)msg, .iov_len = sizeof(*msg) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (passed_fd >= 0) {
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof(control.bytes);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &passed_fd, sizeof(int));
	}
	n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(*msg) ? 0 : -EMSGSIZE;
}

void memif_msg_goodbye(int fd, const char *reason)
{
	struct memif_msg msg = { .type = MEMIF_MSG_DISCONNECT };

	memif_text_put(msg.disconnect.reason, sizeof(msg.disconnect.reason), reason);
	if (memif_msg_send(fd, &msg, -1) < 0)
		LOG_DEBUG("memif peer left before its goodbye reason=\"%s\"", reason);
}

/* Every descriptor that arrived is either handed on or closed: a peer must not be able to fill our
 * table. */
static int take_passed_fds(struct msghdr *mh, int *passed_fd)
{
	unsigned total = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t off = 0; off + sizeof(int) <= c->cmsg_len - CMSG_LEN(0);
			off += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + off, sizeof(fd));
			if (total++ == 0)
				*passed_fd = fd;
			else
				close(fd);
		}
	}
	if (total <= 1 && (mh->msg_flags & MSG_CTRUNC) == 0)
		return 0;
	if (*passed_fd >= 0)
		close(*passed_fd);
	*passed_fd = -1;
	return -EBADMSG;
}

int memif_msg_recv(int fd, struct memif_msg *msg, int *passed_fd)
{
	/* The kernel closes what does not fit; room for two shows that there was more than one. */
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = msg, .iov_len = sizeof(*msg) };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t n;
	int ret;

	*passed_fd = -1;
	do {
		n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? -EAGAIN : -EPIPE;
	ret = take_passed_fds(&mh, passed_fd);
	if (ret == 0 && n == 0)
		ret = -EPIPE;
	if (ret == 0 && (n != (ssize_t)sizeof(*msg) || (mh.msg_flags & MSG_TRUNC) != 0))
		ret = -EMSGSIZE;
	if (ret < 0 && *passed_fd >= 0) {
		close(*passed_fd);
		*passed_fd = -1;
	}
	return ret;
}

bool memif_fd_is_eventfd(int fd)
{
	char link[64], target[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strcmp(target, "anon_inode:[eventfd]") == 0;
}

int memif_region_map(int fd, uint64_t size, uint8_t **addr, uint64_t *mapped, bool *huge)
{
	struct statfs fs;
	struct stat st;
	uint64_t page;
	void *p;

	if (size < sizeof(struct memif_ring) || size > MEMIF_MEMORY_MAX)
		return -EINVAL;
	/* FUSE and network files can block in a fault. */
	if (fstatfs(fd, &fs) < 0 || (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC))
		return -EMEDIUMTYPE;
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_size < size)
		return -EFBIG;
	page = fs.f_bsize > 0 ? (uint64_t)fs.f_bsize : 4096;
	/* No reservation: the peer's pages are there already, and holes shall not take huge pages
	 * from others. */
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*addr = p;
	*huge = fs.f_type == HUGETLBFS_MAGIC;
	*mapped = (size + page - 1) / page * page;
	return 0;
}

void memif_text_copy(char *to, size_t to_size, const char *from, size_t from_size)
{
	size_t i;

	for (i = 0; i < from_size && i + 1 < to_size && from[i] != '\0'; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = '\0';
}

void memif_text_put(char *to, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	memcpy(to, text, len);
	memset(to + len, 0, size - len);
}
