/* SPDX-License-Identifier: Apache-2.0 */
/** What librte_vhost tells of a guest, and what it is told.
 *
 * A message may change anything under a ring: its address, the memory it lies in, the descriptors. So no ring is in use
 * while one is handled: before_message stops them all, after_message starts them as they are then. Messages are few.
 * The library calls neither new_device nor destroy_device for most changes, and takes its own locks around its own bursts
 * only, which nobody here calls.
 *
 * A message that failed has no after_message; the library ends the connection, unless the guest asked for an answer. Then
 * the device stays stopped, because what the library knows of it may be half changed.
 */
#include "dataplane/port_vhost.h"

#include "config/log.h"
#include "dataplane/vhost_guard.h"
#include "dataplane/virtio_hdr.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <rte_log.h>
#include <rte_vhost.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_WAIT_MS 200 /* for the rest of a message, or for room for an answer */

/* Not offered of what the library would: logging of writes, which live migration needs. */
#define FEATURES_OFF (1ULL << VHOST_F_LOG_ALL)
/* Offered beyond what it knows, and kept from it: our bursts, not its own, have to do with them. */
#define FEATURES_OWN                                                         \
	(1ULL << VIRTIO_NET_F_GUEST_USO4 | 1ULL << VIRTIO_NET_F_GUEST_USO6 | \
		1ULL << VIRTIO_NET_F_HOST_USO)
#define PROTOCOL_FEATURES                                                                      \
	(1ULL << VHOST_USER_PROTOCOL_F_MQ | 1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK |          \
		1ULL << VHOST_USER_PROTOCOL_F_NET_MTU | 1ULL << VHOST_USER_PROTOCOL_F_STATUS | \
		1ULL << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)

static pthread_mutex_t list_lock =
	PTHREAD_MUTEX_INITIALIZER; /* inside it no port's lock is taken */
static LIST_HEAD(, port_vhost) list = LIST_HEAD_INITIALIZER(list);
static struct port_vhost *_Atomic by_vid[RTE_MAX_VHOST_DEVICE];

static struct port_vhost *port_of(int vid)
{
	return vid >= 0 && vid < RTE_MAX_VHOST_DEVICE ? atomic_load(&by_vid[vid]) : NULL;
}

static struct port_vhost *port_by_bound(const char *path)
{
	struct port_vhost *p;

	pthread_mutex_lock(&list_lock);
	LIST_FOREACH (p, &list, next) {
		if (strcmp(p->bound, path) == 0)
			break;
	}
	pthread_mutex_unlock(&list_lock);
	return p;
}

/* --- rings, all of them; the caller holds p->lock ---------------------------------------------------------------- */

static void rings_stop(struct port_vhost *p)
{
	for (unsigned i = 0; i < 2 * VHOST_PAIRS_MAX; i++)
		vhost_ring_stop(p, i);
}

static void memory_load(struct port_vhost *p)
{
	struct rte_vhost_memory *m = NULL;
	void *addr[VIRTQ_REGIONS_MAX];
	uint64_t size[VIRTQ_REGIONS_MAX];

	p->memory.count = 0;
	if (rte_vhost_get_mem_table(p->vid, &m) < 0)
		return;
	for (uint32_t i = 0; i < m->nregions && i < VIRTQ_REGIONS_MAX; i++) {
		const struct rte_vhost_mem_region *r = &m->regions[i];

		addr[i] = r->mmap_addr;
		size[i] = r->mmap_size;
		p->memory.regions[p->memory.count++] =
			(struct virtq_region){ .guest = r->guest_phys_addr,
				.size = r->size,
				.host = (uint8_t *)(uintptr_t)r->host_user_addr };
	}
	vhost_guard_set(p->vid, addr, size, p->memory.count);
	free(m);
}

static void rings_load(struct port_vhost *p)
{
	uint16_t mtu = 0;

	if (p->running) {
		memory_load(p);
		if (rte_vhost_get_negotiated_features(p->vid, &p->features) < 0)
			p->features = 0;
		p->features |= p->own_features;
		p->guest_mtu = rte_vhost_get_mtu(p->vid, &mtu) == 0 ? mtu : 0;
	}
	for (unsigned i = 0; i < 2 * VHOST_PAIRS_MAX; i++)
		vhost_ring_load(p, i);
	vhost_rings_changed(p);
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static void message_failed(struct port_vhost *p)
{
	p->failures++;
	p->last_failure = p->refused != NULL ? p->refused : "a message could not be carried out";
	p->refused = NULL;
}

/** What is not left to the library. The caller holds p->lock. */
static enum rte_vhost_msg_result own_message(struct port_vhost *p, struct vhost_message *message)
{
	const char *wrong;
	uint64_t features;

	switch (message->request) {
	case MESSAGE_GET_FEATURES:
		if (message->fd_num != 0 || rte_vhost_driver_get_features(p->bound, &features) < 0)
			break;
		message->payload.u64 = features | FEATURES_OWN;
		message->size = sizeof(message->payload.u64);
		return RTE_VHOST_MSG_RESULT_REPLY;
	case MESSAGE_SET_FEATURES:
		p->own_features = message->payload.u64 & FEATURES_OWN;
		message->payload.u64 &= ~FEATURES_OWN;
		break;
	case MESSAGE_GET_VRING_BASE:
		/* The guest takes the position over: what it says next is right, not what was kept. */
		vhost_ring_forget(p, message->payload.state.index);
		break;
	case MESSAGE_GET_INFLIGHT_FD:
		if (vhost_inflight_make(message, 2 * VHOST_PAIRS_MAX))
			return RTE_VHOST_MSG_RESULT_REPLY;
		p->refused = "GET_INFLIGHT_FD is malformed, or for more rings than are served";
		return RTE_VHOST_MSG_RESULT_ERR;
	case MESSAGE_SET_INFLIGHT_FD:
		wrong = vhost_inflight_take(&p->inflight, message, 2 * VHOST_PAIRS_MAX);
		if (wrong == NULL)
			return RTE_VHOST_MSG_RESULT_OK;
		p->refused = wrong;
		return RTE_VHOST_MSG_RESULT_ERR;
	default:
		break;
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static enum rte_vhost_msg_result before_message(int vid, void *message)
{
	enum rte_vhost_msg_result result = RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	struct port_vhost *p = port_of(vid);

	vhost_guard_thread();
	if (p != NULL) {
		pthread_mutex_lock(&p->lock);
		rings_stop(p);
		/* Still set: the one before failed, and the device stays stopped. */
		if (p->in_message && p->running) {
			message_failed(p);
			p->running = false;
			vhost_rings_changed(p);
		}
		p->in_message = true;
		result = own_message(p, message);
		pthread_mutex_unlock(&p->lock);
	}
	return result;
}

static enum rte_vhost_msg_result after_message(int vid, void *message)
{
	struct port_vhost *p = port_of(vid);

	if (((struct vhost_message *)message)->request == MESSAGE_GET_INFLIGHT_FD)
		vhost_inflight_sent(message);
	if (p != NULL) {
		pthread_mutex_lock(&p->lock);
		p->in_message = false;
		if (p->running)
			rings_load(p);
		pthread_mutex_unlock(&p->lock);
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static const struct rte_vhost_user_extern_ops message_ops = {
	.pre_msg_handle = before_message,
	.post_msg_handle = after_message,
};

/* --- life of a device --------------------------------------------------------------------------------------------- */

/** Whether fd is the connection of a port; the library keeps it to itself. */
static bool is_connection(int fd, const struct port_vhost *p)
{
	struct sockaddr_un addr = { .sun_family = AF_UNSPEC };
	socklen_t len = sizeof(addr);
	int listening = 0, ret;
	socklen_t size = sizeof(listening);

	ret = p->client ? getpeername(fd, (struct sockaddr *)&addr, &len)
			: getsockname(fd, (struct sockaddr *)&addr, &len);
	return ret == 0 && addr.sun_family == AF_UNIX &&
	       strncmp(addr.sun_path, p->bound, sizeof(addr.sun_path)) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && !listening;
}

/** All guests' messages are handled by one thread, which reads and answers with calls that block. Half a message, or a
 * guest that never reads, must not hold up the others for ever, nor the control thread when the port is closed. */
static void limit_waits(const struct port_vhost *p)
{
	const struct timeval limit = { .tv_usec = MESSAGE_WAIT_MS * 1000 };
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		int fd = atoi(entry->d_name);

		if (!is_connection(fd, p))
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	}
	if (dir != NULL)
		closedir(dir);
}

static int new_connection(int vid)
{
	char path[sizeof(((struct port_vhost *)0)->socket)];
	struct port_vhost *p = NULL;

	if (vid >= 0 && vid < RTE_MAX_VHOST_DEVICE &&
		rte_vhost_get_ifname(vid, path, sizeof(path)) == 0)
		p = port_by_bound(path);
	if (p == NULL || rte_vhost_extern_callback_register(vid, &message_ops, NULL) < 0)
		return -1;
	limit_waits(p);
	pthread_mutex_lock(&p->lock);
	if (p->vid >= 0) {
		p->refusals++;
		pthread_mutex_unlock(&p->lock);
		return -1;
	}
	p->vid = vid;
	p->running = p->in_message = false;
	p->own_features = 0;
	p->refused = NULL;
	memset(p->enabled, 0, sizeof(p->enabled));
	pthread_mutex_unlock(&p->lock);
	atomic_store(&by_vid[vid], p);
	return 0;
}

static int new_device(int vid)
{
	struct port_vhost *p = port_of(vid);
	bool failed;

	if (p == NULL)
		return -1;
	pthread_mutex_lock(&p->lock);
	failed = p->in_message; /* its last message: what the library has may be half a device */
	if (!failed) {
		p->running = true;
		p->connects++;
		rings_load(p);
		LOG_FROM(&p->port.log, LOG_LEVEL_INFO,
			"vhost guest connected name=%s features=0x%llx rings=%s queue_pairs=%u",
			p->port.name, (unsigned long long)p->features,
			p->features >> VIRTIO_F_RING_PACKED & 1 ? "packed" : "split",
			(unsigned)atomic_load_explicit(&p->n_tx, memory_order_relaxed));
		if (p->guest_mtu > p->port.mtu)
			LOG_FROM(&p->port.log, LOG_LEVEL_WARNING,
				"the guest was given a larger MTU than its pod has: what does not "
				"fit is answered "
				"with ICMP name=%s guest=%u pod=%u",
				p->port.name, p->guest_mtu, p->port.mtu);
	}
	pthread_mutex_unlock(&p->lock);
	return failed ? -1 : 0;
}

/** The library unmaps the memory when this returns. The caller holds p->lock. */
static void device_stop(struct port_vhost *p)
{
	bool was = p->running;

	rings_stop(p);
	p->running = false;
	rings_load(p); /* closes what belonged to them */
	if (p->vid >= 0)
		vhost_guard_set(p->vid, NULL, NULL, 0);
	if (was)
		LOG_FROM(&p->port.log, LOG_LEVEL_INFO, "vhost guest gone name=%s", p->port.name);
}

static void destroy_device(int vid)
{
	struct port_vhost *p = port_of(vid);

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	/* Inside a message (GET_VRING_BASE) as well: the rings have stopped then, and this says it. */
	device_stop(p);
	pthread_mutex_unlock(&p->lock);
}

static void destroy_connection(int vid)
{
	struct port_vhost *p = port_of(vid);

	if (p == NULL)
		return;
	atomic_store(&by_vid[vid], NULL);
	pthread_mutex_lock(&p->lock);
	if (p->in_message)
		message_failed(p);
	device_stop(p);
	vhost_inflight_drop(&p->inflight);
	p->vid = -1;
	pthread_mutex_unlock(&p->lock);
}

static int vring_state_changed(int vid, uint16_t index, int enable)
{
	struct port_vhost *p = port_of(vid);

	if (p == NULL)
		return 0;
	if (index >= 2 * VHOST_PAIRS_MAX) {
		if (enable)
			LOG_FROM(&p->port.log, LOG_LEVEL_WARNING,
				"the guest enabled more queue pairs than are served: what it sends "
				"there waits for "
				"ever: give it fewer name=%s virtqueue=%u most=%u",
				p->port.name, index, VHOST_PAIRS_MAX);
		return 0;
	}
	pthread_mutex_lock(&p->lock);
	p->enabled[index] = enable != 0;
	/* While a message is handled or before new_device all is stopped; the end of that loads the rings. */
	if (p->running && !p->in_message) {
		vhost_ring_stop(p, index);
		vhost_ring_load(p, index);
		vhost_rings_changed(p);
	}
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static const struct rte_vhost_device_ops device_ops = {
	.new_connection = new_connection,
	.new_device = new_device,
	.vring_state_changed = vring_state_changed,
	.destroy_device = destroy_device,
	.destroy_connection = destroy_connection,
};

/* --- sockets -------------------------------------------------------------------------------------------------------- */

/** The library removes whatever is at a server's path when it lets go of it, and again when it fails. So it gets a name of its
 * own, and the socket is put in place once it listens, by link(2), which replaces nothing; then that name is free again.
 * Beside `socket`, because links don't leave a file system, and through *directory, because it may be a longer name than an
 * address has room for. */
static int bound_name(struct port_vhost *p, int *directory, struct error *err)
{
	const char *slash = strrchr(p->socket, '/'), *base = slash != NULL ? slash + 1 : p->socket;
	char path[sizeof(p->socket)];
	unsigned number;

	*directory = -1;
	if (p->client) {
		memcpy(p->bound, p->socket, sizeof(p->bound));
		return 0;
	}
	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
		number = (unsigned)(uintptr_t)p;
	if (snprintf(p->bound, sizeof(p->bound), "%s.%08x", p->socket, number) <
		(int)sizeof(p->bound))
		return 0;
	snprintf(path, sizeof(path), "%.*s", (int)(base - p->socket), p->socket);
	*directory = open(base == p->socket ? "." : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*directory < 0)
		return error_set(err, errno, "socket",
			"port %s: vhost socket %s: its directory: %s", p->port.name, p->socket,
			strerror(errno));
	snprintf(p->bound, sizeof(p->bound), "/proc/self/fd/%d/%.40s.%08x", *directory, base,
		number);
	return 0;
}

/** The library says only "failed": find out before it what the directory would say. */
static int directory_check(const struct port_vhost *p, struct error *err)
{
	char directory[sizeof(p->socket)];
	char *slash;

	memcpy(directory, p->socket, sizeof(directory));
	slash = strrchr(directory, '/');
	if (slash == NULL)
		return 0;
	*(slash == directory ? slash + 1 : slash) = '\0';
	if (access(directory, F_OK) < 0)
		return error_set(err, EINVAL, "socket",
			"port %s: vhost socket %s: its directory does not exist: create it",
			p->port.name, p->socket);
	return 0;
}

/** Make the socket for a moment. Asking for the right to write is not enough: root has it where nothing can be made. */
static int bind_check(const struct port_vhost *p, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, ret;

	memcpy(addr.sun_path, p->bound, sizeof(addr.sun_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, errno, "socket", "port %s: vhost socket %s: %s", p->port.name,
			p->socket, strerror(errno));
	ret = bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	close(fd);
	if (ret < 0)
		return error_set(err, EINVAL, "socket",
			"port %s: vhost socket %s: can't be made there: %s", p->port.name,
			p->socket, strerror(-ret));
	unlink(p->bound);
	return 0;
}

/** The socket that listens gets its name. */
static int put_in_place(struct port_vhost *p, struct error *err)
{
	int ret;

	if (chmod(p->bound, 0660) < 0)
		LOG_WARNING("the mode of a vhost socket can't be set path=%s error=\"%s\"",
			p->socket, strerror(errno));
	socket_file_note(p->bound, &p->file);
	ret = link(p->bound, p->socket) < 0 ? -errno : 0;
	if (ret < 0)
		return error_set(err, -ret, "socket",
			"port %s: vhost socket %s: can't be put there: %s: remove what is there, "
			"or choose another path",
			p->port.name, p->socket, strerror(-ret));
	unlink(p->bound);
	return 0;
}

static int start(struct port_vhost *p, struct error *err)
{
	uint64_t flags = p->client ? RTE_VHOST_USER_CLIENT : 0;
	int ret;

	if (rte_vhost_driver_register(p->bound, flags) < 0)
		return error_set(err, ENOSPC, "socket",
			"port %s: vhost socket %s: librte_vhost takes no more sockets, or has this "
			"one already",
			p->port.name, p->socket);
	if (rte_vhost_driver_disable_features(p->bound, FEATURES_OFF) < 0 ||
		rte_vhost_driver_set_protocol_features(p->bound, PROTOCOL_FEATURES) < 0 ||
		rte_vhost_driver_callback_register(p->bound, &device_ops) < 0 ||
		rte_vhost_driver_start(p->bound) < 0)
		ret = error_set(err, EIO, "socket",
			"port %s: vhost socket %s: can't be served: the log has librte_vhost's "
			"reason",
			p->port.name, p->socket);
	else
		ret = p->client ? 0 : put_in_place(p, err);
	if (ret < 0) /* closes the socket, if it got as far */
		rte_vhost_driver_unregister(p->bound);
	p->registered = ret == 0;
	return ret;
}

int vhost_device_register(struct port_vhost *p, struct error *err)
{
	int directory = -1, ret = 0;
	mode_t mask;

	vhost_guard_start();
	if (!p->client)
		ret = directory_check(p, err);
	ret = ret < 0 ? ret : bound_name(p, &directory, err);
	if (!p->client) {
		ret = ret < 0 ? ret : socket_file_clear(p->socket, p->port.name, "vhost", err);
		ret = ret < 0 ? ret : bind_check(p, err);
	}
	if (ret < 0)
		goto close_directory;
	pthread_mutex_lock(&list_lock);
	LIST_INSERT_HEAD(&list, p, next);
	pthread_mutex_unlock(&list_lock);
	mask = umask(0117); /* the library makes the socket: never open to all */
	rte_log_set_level_pattern("lib.vhost.*", RTE_LOG_ERR);
	ret = start(p, err);
	/* Later it would log a line a message of a guest that makes mistakes, or means to fill the log. */
	rte_log_set_level_pattern("lib.vhost.*", RTE_LOG_CRIT);
	umask(mask);
	if (ret < 0) {
		pthread_mutex_lock(&list_lock);
		LIST_REMOVE(p, next);
		pthread_mutex_unlock(&list_lock);
	}
close_directory:
	if (directory >= 0)
		close(directory);
	return ret;
}

void vhost_device_unregister(struct port_vhost *p)
{
	if (!p->registered)
		return;
	p->registered = false;
	if (!p->client && socket_file_look(p->socket, &p->file) == SOCKET_FILE_OURS)
		unlink(p->socket);
	rte_vhost_driver_unregister(p->bound);
	/* It has called destroy_device, but not destroy_connection. */
	for (int vid = 0; vid < RTE_MAX_VHOST_DEVICE; vid++) {
		if (atomic_load(&by_vid[vid]) == p)
			destroy_connection(vid);
	}
	pthread_mutex_lock(&list_lock);
	LIST_REMOVE(p, next);
	pthread_mutex_unlock(&list_lock);
}

void vhost_device_look(struct port_vhost *p)
{
	struct error err = { 0 };
	bool busy;

	if (p->client || ++p->ticks % SOCKET_FILE_LOOK_TICKS != 0 ||
		!socket_file_gone(p->socket, &p->file, "vhost", &p->lost))
		return;
	pthread_mutex_lock(&p->lock);
	busy = p->vid >= 0;
	pthread_mutex_unlock(&p->lock);
	if (busy)
		return;
	vhost_device_unregister(p);
	if (vhost_device_register(p, &err) < 0)
		return; /* its directory, perhaps: look again */
	p->lost = false;
	LOG_INFO("vhost socket is there again path=%s", p->socket);
}
