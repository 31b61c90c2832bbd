/* SPDX-License-Identifier: Apache-2.0 */
/** A memif client in the test's own process, written from the protocol's description and sharing no
 * definition with the code under test: messages are bytes at offsets. It can also misbehave, field
 * by field. One thread: after each message the test's control loop runs, then the answer is read.
 */
#ifndef TESTS_UNIT_MEMIF_CLIENT_H
#define TESTS_UNIT_MEMIF_CLIENT_H

#include "config/log.h"
#include "dataplane/memif_queue.h"
#include "tests/unit/control_loop.h"
#include "tests/unit/eal.h"
#include "tests/unit/suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { ACK = 1, HELLO, INIT, ADD_REGION, ADD_RING, CONNECT, CONNECTED, DISCONNECT };
enum { DESC_NEXT = 1, RING_MASK_INT = 1 };
#define RING_HEADER  128
#define DESC_BYTES   16
#define CLIENT_RINGS 4

struct client {
	int fd, region_fd;
	uint8_t *memory;
	size_t size;
	uint8_t log2;
	unsigned rings; /* in each direction */
	uint32_t buffer;
	int c2s_event[CLIENT_RINGS], s2c_event[CLIENT_RINGS];
	uint16_t c2s_head[CLIENT_RINGS], s2c_head[CLIENT_RINGS], s2c_seen[CLIENT_RINGS];
	char reason[97]; /* of the DISCONNECT received */
};

static char client_directory[] = "/tmp/podlane-memif-XXXXXX", client_socket[64];

static inline void put(uint8_t *msg, unsigned off, uint64_t value, unsigned bytes)
{
	memcpy(msg + off, &value, bytes); /* little endian, as on every machine this runs on */
}

static inline int client_send_fds(
	struct client *c, const uint8_t *msg, size_t len, const int *fds, unsigned n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)msg, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > 0) {
		mh.msg_control = control.bytes;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		CMSG_FIRSTHDR(&mh)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&mh)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&mh)->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)), fds, n_fds * sizeof(int));
	}
	return sendmsg(c->fd, &mh, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1;
}

/* Let the server work, then read its answer. @return the type, 0 when there is none, -1 when it
 * closed the socket. */
static inline int client_answer(struct client *c, uint8_t *msg)
{
	ssize_t n;

	while (control_loop_run(0) > 0)
		;
	n = recv(c->fd, msg, 128, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return -1;
	if (n != 128)
		return 0;
	if (msg[0] == DISCONNECT)
		memcpy(c->reason, msg + 6, 96);
	return msg[0] | msg[1] << 8;
}

static inline int client_say(struct client *c, const uint8_t *msg, int fd)
{
	uint8_t answer[128];

	if (client_send_fds(c, msg, 128, &fd, fd >= 0 ? 1 : 0) < 0)
		return -1;
	return client_answer(c, answer);
}

static inline uint64_t ring_offset(const struct client *c, bool c2s, unsigned index)
{
	unsigned n = (c2s ? 0 : c->rings) + index;

	return (uint64_t)n * (RING_HEADER + ((uint64_t)DESC_BYTES << c->log2));
}

static inline uint8_t *ring_at(const struct client *c, bool c2s, unsigned index)
{
	return c->memory + ring_offset(c, c2s, index);
}

static inline uint16_t ring_get(const struct client *c, bool c2s, unsigned index, unsigned field)
{
	return __atomic_load_n((uint16_t *)(ring_at(c, c2s, index) + field), __ATOMIC_ACQUIRE);
}

static inline void ring_set(
	struct client *c, bool c2s, unsigned index, unsigned field, uint16_t value)
{
	__atomic_store_n((uint16_t *)(ring_at(c, c2s, index) + field), value, __ATOMIC_RELEASE);
}
#define RING_FLAGS 4
#define RING_HEAD  6
#define RING_TAIL  64

static inline uint8_t *desc_at(const struct client *c, bool c2s, unsigned index, uint16_t position)
{
	return ring_at(c, c2s, index) + RING_HEADER +
	       (size_t)(position & ((1u << c->log2) - 1)) * DESC_BYTES;
}

static inline void desc_put(struct client *c, bool c2s, unsigned index, uint16_t position,
	uint16_t flags, uint16_t region, uint32_t length, uint32_t offset)
{
	uint8_t *d = desc_at(c, c2s, index, position);

	put(d, 0, flags, 2);
	put(d, 2, region, 2);
	put(d, 4, length, 4);
	put(d, 8, offset, 4);
}

static inline uint32_t buffer_offset(
	const struct client *c, bool c2s, unsigned index, uint16_t position)
{
	uint32_t ring = (c2s ? 0 : c->rings) + index, slot = position & ((1u << c->log2) - 1);

	return (uint32_t)ring_offset(c, false, c->rings) +
	       (ring * (1u << c->log2) + slot) * c->buffer;
}

/* One region: rings first, buffers behind. */
static inline void client_memory(
	struct client *c, uint8_t log2, unsigned rings, uint32_t buffer, int seals)
{
	c->log2 = log2;
	c->rings = rings;
	c->buffer = buffer;
	c->size = ring_offset(c, false, rings) + ((size_t)2 * rings * buffer << log2);
	c->region_fd = memfd_create("region", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (c->region_fd < 0 || ftruncate(c->region_fd, (off_t)c->size) < 0 ||
		fcntl(c->region_fd, F_ADD_SEALS, seals) < 0)
		abort();
	c->memory = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED, c->region_fd, 0);
	for (unsigned i = 0; i < rings; i++) {
		put(ring_at(c, true, i), 0, 0x3E31F20, 4);
		put(ring_at(c, false, i), 0, 0x3E31F20, 4);
		c->c2s_event[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		c->s2c_event[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
}

/* Offer every free slot of an S2C ring. */
static inline void client_refill(struct client *c, unsigned index)
{
	while ((uint16_t)(c->s2c_head[index] - c->s2c_seen[index]) < 1u << c->log2) {
		desc_put(c, false, index, c->s2c_head[index], 0, 0, c->buffer,
			buffer_offset(c, false, index, c->s2c_head[index]));
		c->s2c_head[index]++;
	}
	ring_set(c, false, index, RING_HEAD, c->s2c_head[index]);
}

static inline void client_new(struct client *c)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	uint8_t msg[128];

	*c = (struct client){ .region_fd = -1 };
	memcpy(addr.sun_path, client_socket, sizeof(client_socket));
	c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CU_ASSERT_EQUAL(client_answer(c, msg), HELLO);
	CU_ASSERT_EQUAL(msg[34] | msg[35] << 8, 0x200);
	CU_ASSERT_EQUAL(msg[36] | msg[37] << 8, 0x200);
}

static inline int client_init(struct client *c, uint32_t id, uint8_t mode, const char *secret)
{
	uint8_t msg[128] = { INIT };

	put(msg, 2, 0x200, 2);
	put(msg, 4, id, 4);
	msg[8] = mode;
	if (secret != NULL)
		memcpy(msg + 9, secret, strlen(secret));
	memcpy(msg + 33, "test client \x01\xff", 14);
	return client_say(c, msg, -1);
}

static inline int client_region(struct client *c, uint16_t index, uint64_t size, int fd)
{
	uint8_t msg[128] = { ADD_REGION };

	put(msg, 2, index, 2);
	put(msg, 4, size, 8);
	return client_say(c, msg, fd);
}

static inline int client_ring(struct client *c, bool c2s, uint16_t index, uint16_t region,
	uint64_t offset, uint8_t log2, int fd)
{
	uint8_t msg[128] = { ADD_RING };

	put(msg, 2, c2s, 2);
	put(msg, 4, index, 2);
	put(msg, 6, region, 2);
	put(msg, 8, offset, 4);
	msg[12] = log2;
	return client_say(c, msg, fd);
}

static inline int client_connect_msg(struct client *c)
{
	uint8_t msg[128] = { CONNECT };

	memcpy(msg + 2, "memif-test", 11);
	return client_say(c, msg, -1);
}

static inline void client_add_rings(struct client *c)
{
	for (uint16_t i = 0; i < c->rings; i++)
		CU_ASSERT_EQUAL(client_ring(c, true, i, 0, ring_offset(c, true, i), c->log2,
					c->c2s_event[i]),
			ACK);
	for (uint16_t i = 0; i < c->rings; i++)
		CU_ASSERT_EQUAL(client_ring(c, false, i, 0, ring_offset(c, false, i), c->log2,
					c->s2c_event[i]),
			ACK);
}

/** The whole handshake, buffers offered. */
static inline void client_open(struct client *c, uint32_t id, const char *secret, uint8_t log2,
	unsigned rings, uint32_t buffer)
{
	client_new(c);
	client_memory(c, log2, rings, buffer, F_SEAL_SHRINK);
	CU_ASSERT_EQUAL(client_init(c, id, 0, secret), ACK);
	CU_ASSERT_EQUAL(client_region(c, 0, c->size, c->region_fd), ACK);
	client_add_rings(c);
	CU_ASSERT_EQUAL(client_connect_msg(c), CONNECTED);
	for (unsigned i = 0; i < rings; i++) {
		ring_set(c, false, i, RING_FLAGS, RING_MASK_INT);
		client_refill(c, i);
	}
}

/* As kill -9 does it; the server then notices. */
static inline void client_close(struct client *c)
{
	close(c->fd);
	if (c->region_fd >= 0) {
		munmap(c->memory, c->size);
		close(c->region_fd);
	}
	for (unsigned i = 0; i < c->rings; i++) {
		close(c->c2s_event[i]);
		close(c->s2c_event[i]);
	}
	while (control_loop_run(0) > 0)
		;
}

/* Bytes that depend on their place and on a seed. */
static inline void pattern(uint8_t *bytes, uint32_t length, uint32_t seed)
{
	for (uint32_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(seed * 131 + i * 7 + (i >> 8));
}

/** Write a frame to a C2S ring without publishing it. @return false when the ring is full. */
static inline bool client_write(
	struct client *c, unsigned index, const uint8_t *bytes, uint32_t length)
{
	uint16_t tail = ring_get(c, true, index, RING_TAIL),
		 need = (uint16_t)((length + c->buffer - 1) / c->buffer);

	if ((uint16_t)(c->c2s_head[index] - tail) + need > 1u << c->log2)
		return false;
	for (uint32_t done = 0; done < length;) {
		uint32_t part = RTE_MIN(c->buffer, length - done), at;

		at = buffer_offset(c, true, index, c->c2s_head[index]);
		memcpy(c->memory + at, bytes + done, part);
		done += part;
		desc_put(c, true, index, c->c2s_head[index]++, done < length ? DESC_NEXT : 0, 0,
			part, at);
	}
	return true;
}

static inline void client_publish(struct client *c, unsigned index)
{
	ring_set(c, true, index, RING_HEAD, c->c2s_head[index]);
}

/** Read the next frame of an S2C ring and give its buffers back. @return its length, 0 when there
 * is none. */
static inline uint32_t client_read(struct client *c, unsigned index, uint8_t *bytes, uint32_t room)
{
	uint16_t tail = ring_get(c, false, index, RING_TAIL), flags = DESC_NEXT;
	uint32_t total = 0;

	if (tail == c->s2c_seen[index])
		return 0;
	while ((flags & DESC_NEXT) != 0 && c->s2c_seen[index] != tail) {
		const uint8_t *d = desc_at(c, false, index, c->s2c_seen[index]);
		uint32_t length, offset;

		memcpy(&flags, d, 2);
		memcpy(&length, d + 4, 4);
		memcpy(&offset, d + 8, 4);
		if (length > room - total || offset + length > c->size)
			abort();
		memcpy(bytes + total, c->memory + offset, length);
		total += length;
		c->s2c_seen[index]++;
	}
	CU_ASSERT_EQUAL(flags & DESC_NEXT, 0);
	client_refill(c, index);
	return total;
}

/* Open descriptors of this process: every test must leave as many as it found. */
static inline unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (dir != NULL && readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/** Once threads that give back memory and descriptors have done so: the same count for 50 ms. */
static inline unsigned files_settled(void)
{
	unsigned files = open_files(), before;

	for (unsigned same = 0; same < 5; same = files == before ? same + 1 : 0) {
		before = files;
		usleep(10000);
		files = open_files();
	}
	return files;
}

static struct rte_mempool *client_pool;

static inline void client_cleanup(void)
{
	rmdir(client_directory);
}

static inline void client_setup(void)
{
	int event;

	if (client_pool != NULL)
		return;
	/* Opens what it keeps for the thread's life, before files are counted. */
	event = eventfd(0, EFD_NONBLOCK);
	memif_kick(event);
	close(event);
	log_level_set(LOG_LEVEL_ERROR);
	eal_start();
	client_pool = eal_pool("small", 1023, 2048);
	if (rcu_init() < 0 || mkdtemp(client_directory) == NULL)
		abort();
	atexit(client_cleanup);
	snprintf(client_socket, sizeof(client_socket), "%s/memif.sock", client_directory);
}

static inline struct port_params port_defaults(uint32_t id, uint16_t queues)
{
	return (struct port_params){ .name = "pod:test",
		.role = PORT_POD,
		.socket = client_socket,
		.memif_id = id,
		.ring_size = 1024,
		.n_queues = queues,
		.mtu = 1500,
		.pool = client_pool,
		.socket_id = SOCKET_ID_ANY };
}

static inline struct port *port_started(const struct port_params *params)
{
	struct port *port = NULL;
	struct error err = { 0 };

	if (port_memif_ops.open(params, &port, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	return port;
}

static inline void port_stopped(struct port *port)
{
	port->ops->close(port);
	rcu_barrier();
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(client_pool), 0);
}

static unsigned files_before; /* open descriptors when the test began */

static inline struct port *port_begin(uint16_t queues, const char *secret)
{
	struct port_params params;

	client_setup();
	files_before = files_settled();
	params = port_defaults(1, queues);
	params.secret = secret;
	return port_started(&params);
}

static inline void port_end(struct port *port)
{
	port_stopped(port);
	CU_ASSERT_EQUAL(files_settled(), files_before);
	CU_ASSERT_EQUAL(control_loop_count, 0);
	CU_ASSERT_EQUAL(access(client_socket, F_OK), -1);
}

static inline bool link_up(const struct port *port)
{
	return atomic_load(&port->link_up);
}

/* A well-behaved client gets through, whatever happened before. */
static inline bool serves(struct port *port)
{
	struct client c;
	bool ok;

	client_open(&c, 1, NULL, 4, 1, 2048);
	ok = link_up(port);
	client_close(&c);
	return ok && !link_up(port);
}

#endif
