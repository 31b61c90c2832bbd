/* SPDX-License-Identifier: Apache-2.0 */
/** What is in flight on a guest's packed rings when we die, kept by its side: VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD
 * (vhost-user specification, "Inflight I/O tracking"). The front end asks for an area of memory, keeps its descriptor, and
 * gives it to the next of us.
 *
 * The library could do it, but its area is made by whoever is at the other end, and what it reads there, lengths and
 * indexes, it believes (DPDK 22.11, vhost_user_set_inflight_fd, vhost_check_queue_inflights_*). So the two messages are
 * handled here. The area is opaque to the front end; ours has a struct virtq_record a virtqueue, and is sealed, so that it
 * can't be cut off under a worker.
 *
 * Threads: set-up, no ring in use, the port's lock held.
 */
#ifndef DATAPLANE_VHOST_INFLIGHT_H
#define DATAPLANE_VHOST_INFLIGHT_H

#include "dataplane/vhost_message.h"
#include "dataplane/virtq.h"

struct vhost_inflight {
	void *area; /* NULL = the front end has not given one */
	size_t size;
	uint16_t count; /* virtqueues it is for */
};

/** GET_INFLIGHT_FD: make an area; the message becomes the answer, with a descriptor that vhost_inflight_sent closes. When
 * it can't be had the answer says so by a size of 0.
 * @return false when the message is malformed. */
bool vhost_inflight_make(struct vhost_message *message, unsigned most);
void vhost_inflight_sent(struct vhost_message *message);
/** SET_INFLIGHT_FD: use this area from now on. Takes the message's descriptors.
 * @return NULL, or what is wrong. */
const char *vhost_inflight_take(
	struct vhost_inflight *inflight, struct vhost_message *message, unsigned most);
void vhost_inflight_drop(struct vhost_inflight *inflight);

/** NULL = none is kept for this virtqueue. */
struct virtq_record *vhost_inflight_record(const struct vhost_inflight *inflight, unsigned index);

#endif
