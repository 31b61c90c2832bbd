/* SPDX-License-Identifier: Apache-2.0 */
/** The vhost-user port driver: virtual machines and virtio-user processes. Their messages are librte_vhost's business,
 * their rings ours.
 *
 * Why ours: in DPDK 22.11, by its sources, the library's own bursts write past a guest's memory when a packed ring offers a
 * buffer shorter than the virtio header, or a header is spread over three of them; take a frame of any length, up to the
 * whole pool; call a guest by a write that blocks when the guest wants it to; and hold a worker at a lock while a message
 * is handled, for as long as the guest does not read the answer. A guest would have the daemon in its hands.
 *
 * This header is between port_vhost.c (the port), vhost_device.c (messages) and their tests. A port lives as long as the
 * pod is configured; guests come, go, crash and come back, and its link follows them. One guest at a time.
 *
 * Threads: port functions run on the control thread, librte_vhost's callbacks on its two threads or, when a port is
 * opened or closed, on the control thread. `lock` is between these. Workers see the queues only (vhost_queue.h).
 */
#ifndef DATAPLANE_PORT_VHOST_H
#define DATAPLANE_PORT_VHOST_H

#include "dataplane/port.h"
#include "dataplane/queue_wake.h"
#include "dataplane/socket_file.h"
#include "dataplane/vhost_inflight.h"
#include "dataplane/vhost_queue.h"

#include <pthread.h>
#include <sys/queue.h>
#include <sys/un.h>

#define VHOST_PAIRS_MAX PORT_QUEUE_MAX /* of a guest; more it must not enable */

struct port_vhost {
	struct port port; /* first: ops get a struct port */
	/* Constant after open. */
	struct rte_mempool *pool, *large_pool;
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char bound[sizeof(
		((struct sockaddr_un *)0)
			->sun_path)]; /* what librte_vhost has for `socket`, see vhost_device.c */
	bool client;
	struct queue_wake wake; /* what workers sleep on; the kick descriptors of guests join it */
	/* Control's. */
	struct socket_file file; /* server: what it made at `socket` */
	unsigned ticks;
	bool registered; /* with librte_vhost */
	bool lost;	 /* the file was removed or replaced, and that has been said */
	/* Writers: librte_vhost's threads. Readers: workers. */
	_Atomic uint16_t n_tx; /* rings towards the guest in use: the first n; 0 = no guest */
	struct vhost_queue rx[VHOST_PAIRS_MAX]; /* from the guest: its transmit queues */
	struct vhost_queue tx[VHOST_PAIRS_MAX];
	/* Under lock. */
	pthread_mutex_t lock;
	LIST_ENTRY(port_vhost) next;
	int vid;			   /* librte_vhost's number of the connection; -1 = none */
	bool running;			   /* between new_device and destroy_device */
	bool in_message;		   /* a message is being handled: no queue is ready */
	bool enabled[2 * VHOST_PAIRS_MAX]; /* by virtqueue index: rings set up and switched on */
	uint64_t features;
	uint64_t own_features; /* of them: those that librte_vhost does not know */
	struct virtq_memory memory;
	struct vhost_inflight inflight;
	uint16_t guest_mtu; /* what QEMU was told, 0 = nothing */
	uint64_t connects, refusals, failures;
	const char *
		refused; /* what was wrong with the message that is being refused; NULL = the library knows */
	const char *last_failure; /* of a guest whose set-up was refused; "" = none was */
};

/** Control: serve path (or, client, connect to it again and again).
 * @return 0, -EEXIST (path is no socket, or was taken meanwhile), -EADDRINUSE (another process listens), -EINVAL (directory), or
 * the system's error. */
int vhost_device_register(struct port_vhost *p, struct error *err);
/** Control, the port's tick: a server's socket that was removed from outside is made again as soon as no guest is
 * connected: the library cannot do one without the other. */
void vhost_device_look(struct port_vhost *p);
/** Control: end the connection; no callback comes afterwards. */
void vhost_device_unregister(struct port_vhost *p);

/** Load a ring from what librte_vhost knows of it, and start it if it is enabled and sound. The caller holds p->lock and
 * the queue is stopped. For vhost_device.c; in the header for its contract: index is a virtqueue's, even = to the guest. */
void vhost_ring_load(struct port_vhost *p, unsigned index);
/** Stop a ring and let librte_vhost know how far it got. */
void vhost_ring_stop(struct port_vhost *p, unsigned index);
/** A ring's record is void from now on. The queue is stopped. */
void vhost_ring_forget(struct port_vhost *p, unsigned index);
/** Link, offloads and the number of rings in use, from the rings as they are; and workers that sleep look again. */
void vhost_rings_changed(struct port_vhost *p);

#endif
