/* SPDX-License-Identifier: Apache-2.0 */
/** A vhost-user message as librte_vhost hands it to handlers of ours, before and after its own (rte_vhost_extern_ops). The
 * library's header of it is not installed, but promises that the layout stays because such handlers rely on it
 * (lib/vhost/vhost_user.h of DPDK 22.11). Field names and numbers: the vhost-user specification. Native byte order.
 */
#ifndef DATAPLANE_VHOST_MESSAGE_H
#define DATAPLANE_VHOST_MESSAGE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* Not VHOST_..., which are the numbers of ioctls in linux/vhost.h. */
enum {
	MESSAGE_GET_FEATURES = 1,
	MESSAGE_SET_FEATURES = 2,
	MESSAGE_GET_VRING_BASE = 11,
	MESSAGE_GET_INFLIGHT_FD = 31,
	MESSAGE_SET_INFLIGHT_FD = 32
};

#define VHOST_MESSAGE_FDS 8

struct vhost_inflight_area {
	uint64_t mmap_size, mmap_offset;
	uint16_t num_queues, queue_size;
};

struct vhost_message {
	uint32_t request, flags, size; /* size: of the payload, at most what the union has */
	union {
		uint64_t u64;
		struct {
			uint32_t index, num;
		} state;
		struct vhost_inflight_area inflight;
		uint8_t largest[632];
	} payload;
	int fds[VHOST_MESSAGE_FDS]; /* ours to close when we say that we handled the message */
	int fd_num;
} __attribute__((packed));

static_assert(
	offsetof(struct vhost_message, fds) == 12 + 632, "struct vhu_msg_context of DPDK 22.11");
static_assert(sizeof(struct vhost_inflight_area) == 24, "vhost-user");

#endif
