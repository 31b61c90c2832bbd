/* SPDX-License-Identifier: Apache-2.0 */
/** A ring between librte_vhost, which is told of it, and the queue that workers use. */
#include "dataplane/port_vhost.h"

#include "dataplane/virtio_hdr.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <rte_vhost.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct vhost_queue *queue_of(struct port_vhost *p, unsigned index)
{
	return index % 2 == 0 ? &p->tx[index / 2] : &p->rx[index / 2];
}

static bool has(uint64_t features, unsigned bit)
{
	return (features >> bit & 1) != 0;
}

/** A copy of the guest's descriptor, which may be closed any time. What is no eventfd could block whoever uses it.
 * @return -1 when there is none or it is of another kind. */
static int eventfd_copy(int fd)
{
	char path[40], kind[32];
	ssize_t len;

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, kind, sizeof(kind) - 1);
	if (len < 0)
		return -1;
	kind[len] = '\0';
	return strcmp(kind, "anon_inode:[eventfd]") == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
}

static void watch(struct port_vhost *p, unsigned pair, int fd, bool on)
{
	if (fd >= 0)
		queue_wake_watch(&p->wake, pair % p->port.n_rxq, fd, on);
}

static void descriptors_close(struct port_vhost *p, unsigned index)
{
	struct vhost_queue *q = queue_of(p, index);

	if (index % 2 == 1)
		watch(p, index / 2, q->kick_fd, false);
	if (q->kick_fd >= 0)
		close(q->kick_fd);
	if (q->call_fd >= 0)
		close(q->call_fd);
	q->kick_fd = q->call_fd = -1;
}

static uint8_t guest_of(uint64_t features)
{
	uint8_t guest = 0;

	if (has(features, VIRTIO_NET_F_GUEST_CSUM))
		guest |= VHOST_GUEST_CSUM;
	if (has(features, VIRTIO_NET_F_GUEST_TSO4) && has(features, VIRTIO_NET_F_GUEST_TSO6))
		guest |= VHOST_GUEST_TSO;
	if (has(features, VIRTIO_NET_F_GUEST_ECN))
		guest |= VHOST_GUEST_ECN;
	if (has(features, VIRTIO_NET_F_GUEST_USO4) && has(features, VIRTIO_NET_F_GUEST_USO6))
		guest |= VHOST_GUEST_USO;
	if (has(features, VIRTIO_NET_F_GUEST_UFO))
		guest |= VHOST_GUEST_UFO;
	if (has(features, VIRTIO_NET_F_MRG_RXBUF))
		guest |= VHOST_MERGEABLE;
	return guest;
}

/** Where a packed ring goes on: where we were, `base` if the guest knows, or what is found. @return 0 or -EBADMSG. */
static int position_packed(struct port_vhost *p, unsigned index, struct virtq *r, uint16_t base)
{
	r->record = vhost_inflight_record(&p->inflight, index);
	if (r->record != NULL && atomic_load(&r->record->open) == VIRTQ_RECORD_OPEN)
		return virtq_resume(r) ? 0 : -EBADMSG;
	r->at = (struct virtq_place){ .next = base & 0x7fff, .wrap = base >> 15 };
	if (r->at.next >= r->size)
		return -EBADMSG;
	/* The beginning is also what QEMU says when the daemon before us went without telling it. */
	if (r->at.next == 0 && r->at.wrap)
		virtq_recover(r);
	if (r->record != NULL)
		virtq_record_open(r);
	return 0;
}

/** @return 0, -ENOENT: there is no such ring now, -EFAULT: none that may be touched, -EBADMSG: with no position in it. */
static int ring_describe(struct port_vhost *p, unsigned index, struct vhost_queue *q)
{
	struct rte_vhost_vring v = { .callfd = -1, .kickfd = -1 };
	struct virtq *r = &q->ring;
	uint16_t avail, used;
	int ret;

	if (rte_vhost_get_vhost_vring(p->vid, (uint16_t)index, &v) < 0 ||
		rte_vhost_get_vring_base(p->vid, (uint16_t)index, &avail, &used) < 0 ||
		v.desc == NULL)
		return -ENOENT;
	*r = (struct virtq){ .memory = &p->memory,
		.desc = (const void *)v.desc,
		.avail = (const void *)v.avail,
		.used = (void *)v.used,
		.size = v.size,
		.packed = has(p->features, VIRTIO_F_RING_PACKED),
		.event_idx = has(p->features, VIRTIO_RING_F_EVENT_IDX) };
	if (!virtq_valid(r))
		return -EFAULT;
	/* Nothing is in flight between bursts, so what was taken was given back: one position. */
	r->at.next = avail;
	ret = r->packed ? position_packed(p, index, r, avail) : 0;
	if (ret < 0)
		return ret;
	q->guest = guest_of(p->features);
	q->header_size = has(p->features, VIRTIO_NET_F_MRG_RXBUF) ||
					 has(p->features, VIRTIO_F_VERSION_1) || r->packed
				 ? sizeof(struct virtio_net_hdr_mrg_rxbuf)
				 : sizeof(struct virtio_net_hdr);
	q->call_fd = eventfd_copy(v.callfd);
	q->kick_fd = eventfd_copy(v.kickfd);
	return 0;
}

void vhost_ring_load(struct port_vhost *p, unsigned index)
{
	struct vhost_queue *q = queue_of(p, index);
	int ret;

	descriptors_close(p, index);
	if (!p->running || !p->enabled[index])
		return;
	ret = ring_describe(p, index, q);
	if (ret == -EFAULT || ret == -EBADMSG) {
		p->failures++;
		p->last_failure = ret == -EFAULT ? "a ring is not all inside the guest's memory"
						 : "the position in a ring contradicts the ring";
	}
	if (ret < 0)
		return;
	if (index % 2 == 1)
		watch(p, index / 2, q->kick_fd, true);
	/* Nobody waits for kicks yet; for buffers of a guest's receive queue nobody ever does. */
	virtq_arm(&q->ring, false);
	vhost_queue_start(q);
}

void vhost_ring_stop(struct port_vhost *p, unsigned index)
{
	struct vhost_queue *q = queue_of(p, index);
	uint16_t base;

	if (!atomic_load_explicit(&q->ready, memory_order_relaxed))
		return;
	vhost_queue_stop(q);
	base = q->ring.packed ? virtq_word(&q->ring.at) : q->ring.at.next;
	rte_vhost_set_vring_base(p->vid, (uint16_t)index, base, base);
}

void vhost_ring_forget(struct port_vhost *p, unsigned index)
{
	struct virtq_record *record = vhost_inflight_record(&p->inflight, index);

	if (record != NULL)
		atomic_store(&record->open, 0);
}

void vhost_rings_changed(struct port_vhost *p)
{
	uint8_t offloads = 0, guest;
	uint16_t n = 0;

	while (n < VHOST_PAIRS_MAX && atomic_load_explicit(&p->tx[n].ready, memory_order_relaxed))
		n++;
	guest = n > 0 ? p->tx[0].guest : 0;
	if (guest & VHOST_GUEST_CSUM)
		offloads = (uint8_t)(PORT_TX_CSUM | (guest & VHOST_GUEST_TSO ? PORT_TX_TSO : 0) |
				     (guest & VHOST_GUEST_USO ? PORT_TX_USO : 0) |
				     (guest & VHOST_GUEST_UFO ? PORT_TX_UFO : 0));
	p->port.offloads = offloads;
	atomic_store_explicit(&p->n_tx, n, memory_order_release);
	atomic_store_explicit(&p->port.link_up, n > 0, memory_order_release);
	/* A worker that fell asleep before has to arm the rings as they are now. */
	queue_wake_all(&p->wake);
}
