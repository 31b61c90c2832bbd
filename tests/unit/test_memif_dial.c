/* SPDX-License-Identifier: Apache-2.0 */
/** memif ports in the client's role and a server that is absent, refuses, talks nonsense or comes back, and a system that
 * has nothing left. */
#include "tests/unit/memif_dialling.h"

#include <signal.h>
#include <sys/resource.h>

void (*port_watch_fd)(struct port *port, int fd, bool on) = control_loop_watch;

static struct memif_client *client_of(struct port *p)
{
	return ((struct port_memif *)p)->client;
}

static const char *refusal(void)
{
	return ((struct port_memif *)port)->last_refusal;
}

static const char *last_reason(void)
{
	return ((struct port_memif *)port)->last_reason;
}

static void redials(void)
{
	struct memif_client *client;
	uint8_t msg[128];

	client_setup();
	files_before = open_files();
	/* Nobody there yet: no error, and more patience each time. */
	port = dialling_port(1, 16);
	client = client_of(port);
	CU_ASSERT_STRING_EQUAL(refusal(), "No connection to the socket: No such file or directory");
	CU_ASSERT_EQUAL(client->backoff_ms, 200);
	port->ops->tick(port);
	CU_ASSERT_EQUAL(client->backoff_ms, 200); /* not yet */
	for (unsigned i = 0; i < 6; i++) {
		client->redial_ms = 0;
		port->ops->tick(port);
	}
	CU_ASSERT_EQUAL(client->backoff_ms, 2000);
	CU_ASSERT_TRUE(client->redial_ms > memif_now_ms());
	server_listen(&server);
	server_open(&server, port, 0, 14);
	CU_ASSERT_STRING_EQUAL(refusal(), "");
	/* It goes and comes back. */
	client->connected_ms -= 10000;
	server_close(&server);
	CU_ASSERT_FALSE(link_up(port));
	CU_ASSERT_STRING_EQUAL(last_reason(), "The server closed its socket or died");
	CU_ASSERT_EQUAL(client->backoff_ms, 100);
	server_open(&server, port, 0, 14);
	memset(msg, 0, sizeof(msg));
	msg[0] = DISCONNECT;
	memcpy(msg + 6, "bye\n", 4);
	server_say(&server, msg);
	server_close(&server);
	CU_ASSERT_STRING_EQUAL(last_reason(), "The server says: bye?");
	/* A server that lets us in and throws us out is not asked ten times a second. */
	CU_ASSERT_TRUE(client->backoff_ms > 100);
	/* Our own goodbye. */
	server_open(&server, port, 0, 14);
	port->ops->close(port);
	CU_ASSERT_EQUAL(server_read(&server, msg), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(server.reason, "Port closed");
	server_end(&server);
	rcu_barrier();
	CU_ASSERT_EQUAL(open_files(), files_before);
}

static void refusals(void)
{
	uint8_t msg[128] = { 0 };

	begin(1, 16);
	server_accept(&server, port);
	server_hello(&server, 0, 14);
	CU_ASSERT_EQUAL(server_read(&server, msg), INIT);
	memset(msg, 0, sizeof(msg));
	msg[0] = DISCONNECT;
	memcpy(msg + 6, "Incorrect secret", 16);
	server_say(&server, msg);
	CU_ASSERT_EQUAL(server_read(&server, msg), -1);
	CU_ASSERT_STRING_EQUAL(refusal(), "The server says: Incorrect secret (asked for id 1, "
					  "memif 2.0, Ethernet mode, no secret)");
	server_close(&server);

	server_accept(&server, port);
	memset(msg, 0, sizeof(msg));
	msg[0] = HELLO;
	put(msg, 34, 0x300, 2);
	put(msg, 36, 0x302, 2);
	server_say(&server, msg);
	CU_ASSERT_EQUAL(server_read(&server, msg), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(refusal(), "The server speaks memif 3.0 to 3.2, this is 2.0");
	server_close(&server);

	/* A server that says nothing. */
	server_accept(&server, port);
	client_of(port)->deadline_ms = 0;
	port->ops->tick(port);
	CU_ASSERT_STRING_EQUAL(refusal(), "The server does not answer");
	server_close(&server);
	end();
}

/* As DPDK's server does it: HELLO promises more rings than it has queues. */
static void rings_by_refusal(void)
{
	uint8_t msg[128];

	begin(4, 16);
	server_accept(&server, port);
	server_hello(&server, 15, 14);
	for (;;) {
		int type = server_read(&server, msg);

		if (type == ADD_RING)
			server_take_ring(&server, msg);
		if (type == ADD_REGION)
			server_take_region(&server, msg);
		if (server.n_c2s == 3)
			break;
		server_say_type(&server, ACK);
	}
	server_say_type(&server, DISCONNECT);
	server_close(&server);
	server_open(&server, port, 15, 14);
	CU_ASSERT_EQUAL(server.n_c2s, 2);
	CU_ASSERT_EQUAL(server.n_s2c, 2);
	end();
}

/* Bring the client to a stage: 0 connected to the socket, 1 said INIT, 2 offered a region, 3 rings,
 * 4 said CONNECT, 5 is connected. */
static void server_at_stage(unsigned stage)
{
	uint8_t msg[128];

	server_accept(&server, port);
	if (stage > 0)
		server_hello(&server, 0, 4);
	for (unsigned i = 1; i < stage && i < 4; i++) {
		int type = server_read(&server, msg);

		if (type == ADD_REGION)
			server_take_region(&server, msg);
		if (type == ADD_RING)
			server_take_ring(&server, msg);
		server_say_type(&server, ACK);
	}
	if (stage >= 4) {
		int type;

		while ((type = server_read(&server, msg)) == ADD_RING) {
			server_take_ring(&server, msg);
			server_say_type(&server, ACK);
		}
		CU_ASSERT_EQUAL(type, CONNECT);
	}
	if (stage == 5)
		server_connected(&server);
	while (server_read(&server, msg) > 0) {
		if (server.passed >= 0)
			close(server.passed);
	}
}

static void messages_out_of_order(void)
{
	begin(1, 16);
	for (unsigned stage = 0; stage <= 5; stage++) {
		for (unsigned type = 0; type < 16; type++) {
			uint8_t msg[128] = { 0 };
			bool in_place = type == DISCONNECT || (stage == 0 && type == HELLO) ||
					(stage >= 1 && stage < 4 && type == ACK) ||
					(stage == 4 && type == CONNECTED);

			if (in_place)
				continue;
			put(msg, 0, type, 2);
			server_at_stage(stage);
			server_say(&server, msg);
			CU_ASSERT_EQUAL(server_read(&server, msg), DISCONNECT);
			CU_ASSERT_NOT_EQUAL(server.reason[0], '\0');
			CU_ASSERT_FALSE(link_up(port));
			server_close(&server);
		}
	}
	server_open(&server, port, 0, 14);
	CU_ASSERT_TRUE(good_frame_arrives(1));
	end();
}

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void garbage_at_every_stage(void)
{
	uint32_t state = 20261128;

	begin(2, 16);
	for (unsigned round = 0; round < 600; round++) {
		server_at_stage(round % 6);
		for (unsigned i = 0; i < 6; i++) {
			uint8_t msg[200], answer[128];
			size_t len = random_next(&state) % 8 != 0
					     ? 128
					     : 1 + random_next(&state) % sizeof(msg);
			int fds[2] = { server.fd, server.listener };
			struct client sender = { .fd = server.fd };

			for (size_t j = 0; j < sizeof(msg); j++)
				msg[j] = (uint8_t)(random_next(&state) % 3 != 0
							   ? 0
							   : random_next(&state));
			put(msg, 0, random_next(&state) % 10, 2);
			if (client_send_fds(&sender, msg, len, fds, random_next(&state) % 3) < 0)
				break;
			while (server_read(&server, answer) > 0) {
				if (server.passed >= 0)
					close(server.passed);
			}
		}
		server_close(&server);
		CU_ASSERT_FALSE(link_up(port));
	}
	server_open(&server, port, 0, 14);
	CU_ASSERT_TRUE(good_frame_arrives(1));
	end();
}

/* What the system refuses is said, retried, and leaves nothing behind. */
static void no_memory_no_descriptors(void)
{
	struct rlimit files, small;
	uint8_t msg[128];

	begin(1, 16);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &files), 0);
	for (unsigned spare = 0; spare < 3; spare++) {
		server_accept(&server, port);
		small = files;
		/* server.fd is the highest in use: room for so many more. */
		small.rlim_cur = (rlim_t)server.fd + 1 + spare;
		setrlimit(RLIMIT_NOFILE, &small);
		server_hello(&server, 0, 14);
		CU_ASSERT_EQUAL(server_read(&server, msg), DISCONNECT);
		setrlimit(RLIMIT_NOFILE, &files);
		CU_ASSERT_STRING_EQUAL(
			refusal(), "No memory for 2 rings of 16: Too many open files");
		server_close(&server);
	}
	/* A file system that is full, or a limit on what a process may make. */
	getrlimit(RLIMIT_FSIZE, &files);
	signal(SIGXFSZ, SIG_IGN);
	server_accept(&server, port);
	small = files;
	small.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &small);
	server_hello(&server, 0, 14);
	CU_ASSERT_EQUAL(server_read(&server, msg), DISCONNECT);
	setrlimit(RLIMIT_FSIZE, &files);
	CU_ASSERT_STRING_EQUAL(refusal(), "No memory for 2 rings of 16: File too large");
	server_close(&server);
	server_open(&server, port, 0, 14);
	CU_ASSERT_TRUE(good_frame_arrives(1));
	end();
}

static void long_path(void)
{
	char path[200] = "/";
	struct port_params params;
	struct error err = { 0 };
	struct port *none;

	client_setup();
	params = port_defaults(1, 1);
	memset(path + 1, 'x', sizeof(path) - 2);
	path[sizeof(path) - 1] = '\0';
	params.memif_client = true;
	params.socket = path;
	CU_ASSERT_EQUAL(port_memif_ops.open(&params, &none, &err), -ENAMETOOLONG);
	CU_ASSERT_STRING_EQUAL(err.path, "socket");
}

static const struct test_case cases[] = {
	{ "redials", redials },
	{ "refusals", refusals },
	{ "rings by refusal", rings_by_refusal },
	{ "messages out of order", messages_out_of_order },
	{ "garbage at every stage", garbage_at_every_stage },
	{ "no memory, no descriptors", no_memory_no_descriptors },
	{ "a path too long", long_path },
};
SUITE_MAIN("memif dial", cases)
