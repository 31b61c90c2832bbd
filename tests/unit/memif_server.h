/* SPDX-License-Identifier: Apache-2.0 */
/** A memif server in the test's own process, written like memif_client.h: messages are bytes at
 * offsets, no definition is shared with the code under test. It takes what a client offers and
 * works on its memory, honestly or not. One thread: the test's control loop runs before each
 * message is read.
 */
#ifndef TESTS_UNIT_MEMIF_SERVER_H
#define TESTS_UNIT_MEMIF_SERVER_H

#include "dataplane/memif_client.h"
#include "tests/unit/memif_client.h"

#define SERVER_RINGS 16

struct server_ring {
	uint32_t offset;
	uint8_t log2;
	int event;
	uint16_t tail;
};

struct server {
	int listener, fd, region_fd;
	uint8_t *memory;
	size_t size;
	unsigned n_c2s, n_s2c;
	struct server_ring c2s[SERVER_RINGS], s2c[SERVER_RINGS];
	int passed; /* with the last message */
	char reason[97];
};

static inline void server_listen(struct server *s)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	*s = (struct server){ .fd = -1, .region_fd = -1, .passed = -1 };
	memcpy(addr.sun_path, client_socket, sizeof(client_socket));
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(s->listener, 4), 0);
}

/* Let the client work, then read what it says. @return the type, 0 when there is nothing, -1 when
 * it hung up. */
static inline int server_read(struct server *s, uint8_t *msg)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = msg, .iov_len = 128 };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t n;

	while (control_loop_run(0) > 0)
		;
	s->passed = -1;
	n = recvmsg(s->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return -1;
	if (n != 128)
		return 0;
	if (CMSG_FIRSTHDR(&mh) != NULL)
		memcpy(&s->passed, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(int));
	if (msg[0] == DISCONNECT)
		memcpy(s->reason, msg + 6, 96);
	return msg[0] | msg[1] << 8;
}

static inline void server_say(struct server *s, const uint8_t *msg)
{
	CU_ASSERT_EQUAL(send(s->fd, msg, 128, MSG_NOSIGNAL), 128);
}

static inline void server_say_type(struct server *s, uint8_t type)
{
	uint8_t msg[128] = { type };

	server_say(s, msg);
}

/* The port's next attempt does not wait for its time. */
static inline void server_accept(struct server *s, struct port *port)
{
	struct memif_client *client = ((struct port_memif *)port)->client;

	if (client->state == MEMIF_CLIENT_WAITING) {
		client->redial_ms = 0;
		port->ops->tick(port);
	}
	s->fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(s->fd >= 0);
}

/* Limits are the largest indices. */
static inline void server_hello(struct server *s, uint16_t max_ring, uint8_t max_log2)
{
	uint8_t msg[128] = { HELLO };

	memcpy(msg + 2, "test server", 12);
	put(msg, 34, 0x200, 2);
	put(msg, 36, 0x200, 2);
	put(msg, 38, 15, 2);
	put(msg, 40, max_ring, 2);
	put(msg, 42, max_ring, 2);
	msg[44] = max_log2;
	server_say(s, msg);
}

/* The region, as INIT was answered. */
static inline void server_take_region(struct server *s, const uint8_t *msg)
{
	uint64_t size;

	memcpy(&size, msg + 4, 8);
	CU_ASSERT_EQUAL(msg[2] | msg[3] << 8, 0);
	CU_ASSERT_TRUE_FATAL(s->passed >= 0);
	s->region_fd = s->passed;
	s->size = size;
	s->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->region_fd, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(s->memory, MAP_FAILED);
}

static inline void server_take_ring(struct server *s, const uint8_t *msg)
{
	bool c2s = msg[2] & 1;
	unsigned index = msg[4] | (unsigned)msg[5] << 8;
	unsigned *count = c2s ? &s->n_c2s : &s->n_s2c;
	struct server_ring *ring = &(c2s ? s->c2s : s->s2c)[index];

	CU_ASSERT_EQUAL_FATAL(index, *count);
	CU_ASSERT_TRUE_FATAL(index < SERVER_RINGS);
	CU_ASSERT_TRUE_FATAL(s->passed >= 0);
	(*count)++;
	*ring = (struct server_ring){ .log2 = msg[12], .event = s->passed };
	memcpy(&ring->offset, msg + 8, 4);
	CU_ASSERT_EQUAL(msg[6] | msg[7] << 8, 0);   /* region */
	CU_ASSERT_EQUAL(msg[13] | msg[14] << 8, 0); /* private header */
	CU_ASSERT_TRUE_FATAL(ring->offset + RING_HEADER + (DESC_BYTES << ring->log2) <= s->size);
}

/* The handshake after HELLO, up to CONNECT, which is not answered yet. */
static inline void server_take_all(struct server *s)
{
	uint8_t msg[128];

	for (unsigned i = 0; i < 2 + 2 * SERVER_RINGS + 1; i++) {
		int type = server_read(s, msg);

		if (type == CONNECT)
			return;
		CU_ASSERT_TRUE_FATAL(type == INIT || type == ADD_REGION || type == ADD_RING);
		if (type == ADD_REGION)
			server_take_region(s, msg);
		if (type == ADD_RING)
			server_take_ring(s, msg);
		server_say_type(s, ACK);
	}
	CU_FAIL_FATAL("no CONNECT");
}

static inline void server_connected(struct server *s)
{
	uint8_t msg[128] = { CONNECTED };

	memcpy(msg + 2, "server-if", 10);
	server_say(s, msg);
	while (control_loop_run(0) > 0)
		;
}

static inline void server_open(struct server *s, struct port *port, uint16_t max_ring, uint8_t log2)
{
	server_accept(s, port);
	server_hello(s, max_ring, log2);
	server_take_all(s);
	server_connected(s);
	CU_ASSERT_TRUE_FATAL(link_up(port));
}

/* Let go of a client; it notices. The listener stays. */
static inline void server_close(struct server *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->region_fd >= 0) {
		munmap(s->memory, s->size);
		close(s->region_fd);
	}
	for (unsigned i = 0; i < s->n_c2s; i++)
		close(s->c2s[i].event);
	for (unsigned i = 0; i < s->n_s2c; i++)
		close(s->s2c[i].event);
	*s = (struct server){ .listener = s->listener, .fd = -1, .region_fd = -1, .passed = -1 };
	while (control_loop_run(0) > 0)
		;
}

static inline void server_end(struct server *s)
{
	server_close(s);
	close(s->listener);
	unlink(client_socket);
}

static inline uint16_t *server_field(
	const struct server *s, const struct server_ring *ring, unsigned field)
{
	return (uint16_t *)(s->memory + ring->offset + field);
}

static inline uint16_t server_get(
	const struct server *s, const struct server_ring *ring, unsigned field)
{
	return __atomic_load_n(server_field(s, ring, field), __ATOMIC_ACQUIRE);
}

static inline void server_set(
	const struct server *s, const struct server_ring *ring, unsigned field, uint16_t value)
{
	__atomic_store_n(server_field(s, ring, field), value, __ATOMIC_RELEASE);
}

static inline uint8_t *server_desc(
	const struct server *s, const struct server_ring *ring, uint16_t position)
{
	return s->memory + ring->offset + RING_HEADER +
	       (size_t)(position & ((1u << ring->log2) - 1)) * DESC_BYTES;
}

/* Where the bytes of a descriptor are, and its length. */
static inline uint8_t *server_data(
	const struct server *s, const struct server_ring *ring, uint16_t position, uint32_t *length)
{
	const uint8_t *d = server_desc(s, ring, position);
	uint32_t offset;

	memcpy(length, d + 4, 4);
	memcpy(&offset, d + 8, 4);
	CU_ASSERT_EQUAL(d[2] | d[3] << 8, 0);
	CU_ASSERT_TRUE_FATAL((uint64_t)offset + *length <= s->size);
	return s->memory + offset;
}

/** Take the next frame of a C2S ring. @return its length, 0 when there is none. */
static inline uint32_t server_receive(
	struct server *s, struct server_ring *ring, uint8_t *bytes, uint32_t room)
{
	uint16_t head = server_get(s, ring, RING_HEAD), flags = DESC_NEXT;
	uint32_t total = 0;

	if (head == ring->tail)
		return 0;
	while ((flags & DESC_NEXT) != 0 && ring->tail != head) {
		uint32_t length;
		const uint8_t *data = server_data(s, ring, ring->tail, &length);

		memcpy(&flags, server_desc(s, ring, ring->tail), 2);
		if (length > room - total)
			abort();
		memcpy(bytes + total, data, length);
		total += length;
		ring->tail++;
	}
	CU_ASSERT_EQUAL(flags & DESC_NEXT, 0);
	server_set(s, ring, RING_TAIL, ring->tail);
	return total;
}

/** Fill buffers of an S2C ring without publishing them. @return false when there are too few. */
static inline bool server_write(
	struct server *s, struct server_ring *ring, const uint8_t *bytes, uint32_t length)
{
	uint16_t head = server_get(s, ring, RING_HEAD);

	for (uint32_t done = 0; done < length;) {
		uint32_t room, part;
		uint8_t *data;

		if (ring->tail == head)
			return false;
		data = server_data(s, ring, ring->tail, &room);
		part = RTE_MIN(room, length - done);
		memcpy(data, bytes + done, part);
		done += part;
		put(server_desc(s, ring, ring->tail), 0, done < length ? DESC_NEXT : 0, 2);
		put(server_desc(s, ring, ring->tail), 4, part, 4);
		ring->tail++;
	}
	return true;
}

static inline void server_publish(struct server *s, const struct server_ring *ring)
{
	server_set(s, ring, RING_TAIL, ring->tail);
}

/** A port that is a client of client_socket. */
static inline struct port *dialling_port(uint16_t queues, uint32_t ring_size)
{
	struct port_params params;

	client_setup();
	params = port_defaults(1, queues);
	params.name = "pod:client";
	params.memif_client = true;
	params.ring_size = ring_size;
	return port_started(&params);
}

#endif
