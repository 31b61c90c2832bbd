/* SPDX-License-Identifier: Apache-2.0 */
/** memif's control channel: the handshake and every way it can go wrong, clients that come and go,
 * the socket file. */
#include "tests/unit/memif_client.h"

#include "dataplane/memif_listener.h"

#include <linux/magic.h>
#include <sys/vfs.h>

void (*port_watch_fd)(struct port *port, int fd, bool on) = control_loop_watch;

static char *fact(const struct port *port, const char *key)
{
	static char text[160];
	json_t *facts = json_object();
	const json_t *value;

	port->ops->describe(port, facts);
	value = json_object_get(facts, key);
	if (json_is_integer(value))
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
	else
		snprintf(text, sizeof(text), "%s",
			json_is_string(value) ? json_string_value(value) : "(absent)");
	json_decref(facts);
	return text;
}

static void handshake(void)
{
	struct port *port = port_begin(2, NULL);
	struct port_memif *p = (struct port_memif *)port;
	struct client c;

	CU_ASSERT_FALSE(link_up(port));
	CU_ASSERT_STRING_EQUAL(fact(port, "memif_state"), "listening");
	client_new(&c);
	client_memory(&c, 4, 2, 2048, F_SEAL_SHRINK);
	CU_ASSERT_EQUAL(client_init(&c, 1, 0, NULL), ACK);
	CU_ASSERT_STRING_EQUAL(fact(port, "memif_state"), "connecting");
	CU_ASSERT_EQUAL(client_region(&c, 0, c.size, c.region_fd), ACK);
	client_add_rings(&c);
	CU_ASSERT_FALSE(link_up(port));
	CU_ASSERT_EQUAL(client_connect_msg(&c), CONNECTED);
	CU_ASSERT_TRUE(link_up(port));
	CU_ASSERT_STRING_EQUAL(fact(port, "memif_state"), "connected");
	CU_ASSERT_STRING_EQUAL(fact(port, "peer"), "test client ??");
	CU_ASSERT_STRING_EQUAL(fact(port, "peer_interface"), "memif-test");
	CU_ASSERT_STRING_EQUAL(fact(port, "rx_rings"), "2");
	CU_ASSERT_STRING_EQUAL(fact(port, "rx_ring_size"), "16");
	CU_ASSERT_STRING_EQUAL(fact(port, "regions"), "1");
	/* What clients pass does not leak into programs the daemon may start. */
	CU_ASSERT_EQUAL(fcntl(rcu_read(&p->connection)->rx[0].event_fd, F_GETFD), FD_CLOEXEC);
	client_close(&c);
	CU_ASSERT_FALSE(link_up(port));
	CU_ASSERT_STRING_EQUAL(fact(port, "memif_state"), "listening");
	CU_ASSERT_TRUE(serves(port));
	CU_ASSERT_STRING_EQUAL(fact(port, "connects"), "2");
	port_end(port);
}

static void hello_states_the_limits(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct port *port = port_begin(3, NULL);
	struct client c = { .region_fd = -1 };
	uint8_t msg[128];

	memcpy(addr.sun_path, client_socket, sizeof(client_socket));
	c.fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	CU_ASSERT_EQUAL_FATAL(connect(c.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CU_ASSERT_EQUAL(client_answer(&c, msg), HELLO);
	CU_ASSERT_EQUAL(msg[38], 15); /* largest region index */
	CU_ASSERT_EQUAL(msg[40], 2);  /* largest ring indices */
	CU_ASSERT_EQUAL(msg[42], 2);
	CU_ASSERT_EQUAL(msg[44], 10); /* 1024 descriptors */
	client_close(&c);
	port_end(port);
}

static void goodbyes(void)
{
	struct port *port = port_begin(1, NULL);
	uint8_t msg[128] = { DISCONNECT };
	struct client c;

	client_open(&c, 1, NULL, 4, 1, 2048);
	memcpy(msg + 6, "had enough\n", 11);
	CU_ASSERT_EQUAL(client_say(&c, msg, -1), -1);
	CU_ASSERT_FALSE(link_up(port));
	CU_ASSERT_STRING_EQUAL(fact(port, "last_disconnect"), "had enough?");
	client_close(&c);
	/* And ours: the client is told before the port goes. */
	client_open(&c, 1, NULL, 4, 1, 2048);
	port->ops->close(port);
	CU_ASSERT_EQUAL(client_answer(&c, msg), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(c.reason, "Port closed");
	CU_ASSERT_EQUAL(client_answer(&c, msg), -1);
	client_close(&c);
	rcu_barrier();
	CU_ASSERT_EQUAL(open_files(), files_before);
	CU_ASSERT_EQUAL(control_loop_count, 0);
}

/* The memory of a client that is gone stays mapped for the readers that still look at it. */
static void grace_period(void)
{
	struct port *port = port_begin(1, NULL);
	struct port_memif *p = (struct port_memif *)port;
	struct memif_connection *seen;
	struct client c;

	rcu_reader_register(1);
	client_open(&c, 1, NULL, 4, 1, 2048);
	seen = rcu_read(&p->connection);
	client_close(&c);
	CU_ASSERT_PTR_NULL(rcu_read(&p->connection));
	rcu_reclaim();
	CU_ASSERT_EQUAL(rcu_pending(), 1);
	CU_ASSERT_EQUAL(seen->rx[0].ring->cookie, 0x3E31F20);
	rcu_quiescent(1);
	rcu_reclaim();
	CU_ASSERT_EQUAL(rcu_pending(), 0);
	rcu_reader_unregister(1);
	port_end(port);
}

static void secrets(void)
{
	struct port *port = port_begin(1, "open sesame");
	struct client c;

	client_new(&c);
	CU_ASSERT_EQUAL(client_init(&c, 1, 0, NULL), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(c.reason, "Wrong or missing secret");
	client_close(&c);
	client_new(&c);
	CU_ASSERT_EQUAL(client_init(&c, 1, 0, "open sesamf"), DISCONNECT);
	client_close(&c);
	client_new(&c);
	CU_ASSERT_EQUAL(client_init(&c, 1, 0, "open"), DISCONNECT);
	client_close(&c);
	CU_ASSERT_STRING_EQUAL(fact(port, "refusals"), "3");
	client_open(&c, 1, "open sesame", 4, 1, 2048);
	CU_ASSERT_TRUE(link_up(port));
	client_close(&c);
	port_end(port);
}

static void refused_init(void)
{
	struct port *port = port_begin(1, NULL);
	uint8_t msg[128] = { INIT };
	struct client a, b;

	client_new(&a);
	CU_ASSERT_EQUAL(client_init(&a, 2, 0, NULL), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(a.reason, "No interface has the id 2");
	CU_ASSERT_STRING_EQUAL(fact(port, "last_refusal"),
		"No interface has the id 2 that a client asked for: this one is 1");
	CU_ASSERT_STRING_EQUAL(fact(port, "refusals"), "1");
	client_close(&a);
	client_new(&a);
	CU_ASSERT_EQUAL(client_init(&a, 1, 1, NULL), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(a.reason, "The interface is in Ethernet mode");
	client_close(&a);
	client_new(&a);
	put(msg, 2, 0x201, 2);
	put(msg, 4, 1, 4);
	CU_ASSERT_EQUAL(client_say(&a, msg, -1), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(a.reason, "The client speaks memif 2.1, this is 2.0");
	CU_ASSERT_STRING_EQUAL(
		fact(port, "last_refusal"), "The client speaks memif 2.1, this is 2.0");
	CU_ASSERT_STRING_EQUAL(fact(port, "refusals"), "3");
	client_close(&a);
	client_open(&a, 1, NULL, 4, 1, 2048);
	client_new(&b);
	CU_ASSERT_EQUAL(client_init(&b, 1, 0, NULL), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(b.reason, "Already connected");
	CU_ASSERT_TRUE(link_up(port));
	client_close(&b);
	/* The old client died and the loop has not noticed: the new one is let in all the same. */
	client_new(&b);
	close(a.fd);
	a.fd = -1;
	msg[2] = 0;
	CU_ASSERT_EQUAL(send(b.fd, msg, 128, 0), 128);
	for (unsigned i = 0; i < control_loop_count; i++) {
		struct port_memif *p = (struct port_memif *)port;

		if (control_loop_watched[i].fd != p->session->fd &&
			control_loop_watched[i].fd != p->listener->fd) {
			port->ops->control_ready(port, control_loop_watched[i].fd);
			break;
		}
	}
	CU_ASSERT_EQUAL(client_answer(&b, msg), ACK);
	CU_ASSERT_STRING_EQUAL(fact(port, "memif_state"), "connecting");
	client_close(&b);
	client_close(&a);
	port_end(port);
}

static int memory_file(int seals, off_t size)
{
	int fd = memfd_create("region", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, size) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0)
		abort();
	return fd;
}

static void region_refused(uint16_t index, uint64_t size, int fd, const char *reason)
{
	struct client c;

	client_new(&c);
	CU_ASSERT_EQUAL(client_init(&c, 1, 0, NULL), ACK);
	CU_ASSERT_EQUAL(client_region(&c, index, size, fd), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(c.reason, reason);
	client_close(&c);
	if (fd >= 0)
		close(fd);
}

static bool on_disk(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC;
}

static void refused_regions(void)
{
	struct port *port = port_begin(1, NULL);
	int fd;

	region_refused(0, 65536, -1, "ADD_REGION without a descriptor");
	region_refused(0, 65536, eventfd(0, 0), "The region is not a memfd");
	region_refused(0, 65536, memory_file(F_SEAL_SHRINK | F_SEAL_WRITE, 65536),
		"The region's memfd is not writable");
	region_refused(0, 65537, memory_file(F_SEAL_SHRINK, 65536),
		"The region's file is shorter than the region");
	region_refused(1, 65536, memory_file(F_SEAL_SHRINK, 65536),
		"Region index out of order or too large");
	region_refused(0, UINT64_MAX, memory_file(F_SEAL_SHRINK, 65536), "Regions are too large");
	region_refused(0, 0, memory_file(F_SEAL_SHRINK, 65536), "The region can't be mapped");
	/* A file that may have to be read from a disk, or from somewhere worse. */
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	if (fd >= 0 && on_disk(fd)) {
		struct client c;

		CU_ASSERT_EQUAL(ftruncate(fd, 65536), 0);
		client_new(&c);
		CU_ASSERT_EQUAL(client_init(&c, 1, 0, NULL), ACK);
		CU_ASSERT_EQUAL(client_region(&c, 0, 65536, fd), DISCONNECT);
		client_close(&c);
	}
	if (fd >= 0)
		close(fd);
	CU_ASSERT_TRUE(serves(port));
	port_end(port);
}

/* Sparse files cost the client nothing, and us what we touch: of ordinary pages no more than the port stands for. */
static void ordinary_memory_is_bounded(void)
{
	struct port *port = port_begin(1, NULL);
	const uint64_t most = port_memif_ordinary_max((struct port_memif *)port);
	struct client c;
	int fd = memory_file(F_SEAL_SHRINK, most);

	CU_ASSERT_EQUAL(most, MEMIF_ORDINARY_MIN); /* two rings of 2^10 are less */
	region_refused(0, most + 4096, memory_file(F_SEAL_SHRINK, most + 4096),
		"More memory of ordinary pages than the interface's queues and ring_size stand "
		"for");
	client_new(&c);
	CU_ASSERT_EQUAL(client_init(&c, 1, 0, NULL), ACK);
	CU_ASSERT_EQUAL(client_region(&c, 0, most - 4096, fd), ACK);
	CU_ASSERT_EQUAL(client_region(&c, 1, 4096, fd), ACK);
	CU_ASSERT_EQUAL(client_region(&c, 2, 4096, fd), DISCONNECT);
	client_close(&c);
	close(fd);
	CU_ASSERT_TRUE(serves(port));
	port_end(port);
	port = port_begin(16, NULL);
	((struct port_memif *)port)->log2_ring_max = 14;
	CU_ASSERT_EQUAL(port_memif_ordinary_max((struct port_memif *)port), 32ull * 16384 * 4096);
	port_end(port);
}

/* A client that is ready to add rings to a region with room for `rings` in each direction. */
static void client_with_region(struct client *c, unsigned rings)
{
	client_new(c);
	client_memory(c, 4, rings, 2048, F_SEAL_SHRINK);
	CU_ASSERT_EQUAL(client_init(c, 1, 0, NULL), ACK);
	CU_ASSERT_EQUAL(client_region(c, 0, c->size, c->region_fd), ACK);
}

/* The port is up when the client hears that it is, and down again when it can't be told. */
static void connected_is_said_last(void)
{
	struct port *port = port_begin(1, NULL);
	uint8_t msg[128] = { CONNECT };
	struct client c;

	client_with_region(&c, 1);
	client_add_rings(&c);
	CU_ASSERT_EQUAL(shutdown(c.fd, SHUT_RD), 0);
	CU_ASSERT_EQUAL(client_say(&c, msg, -1), -1);
	CU_ASSERT_FALSE(link_up(port));
	CU_ASSERT_STRING_EQUAL(fact(port, "connects"), "1"); /* it was up */
	CU_ASSERT_STRING_EQUAL(fact(port, "last_disconnect"), "CONNECTED can't be sent");
	client_close(&c);
	CU_ASSERT_TRUE(serves(port));
	port_end(port);
}

static void refused_rings(void)
{
	enum { EVENT, NONE, MEMORY };
	static const struct {
		uint8_t passed;
		uint16_t index, region;
		uint32_t offset;
		uint8_t log2;
		const char *reason;
	} bad[] = {
		{ NONE, 0, 0, 0, 4, "ADD_RING without an eventfd" },
		{ MEMORY, 0, 0, 0, 4, "ADD_RING without an eventfd" },
		{ EVENT, 1, 0, 0, 4, "Ring index out of order or too large" },
		{ EVENT, 0, 1, 0, 4, "The ring is outside its region or misaligned" },
		{ EVENT, 0, 0, 8, 4, "The ring is outside its region or misaligned" },
		/* The region has 768 bytes of rings and 65536 of buffers. */
		{ EVENT, 0, 0, 66304, 4, "The ring is outside its region or misaligned" },
		{ EVENT, 0, 0, 66304 - 368, 4, "The ring is outside its region or misaligned" },
		{ EVENT, 0, 0, UINT32_MAX - 15, 4, "The ring is outside its region or misaligned" },
		{ EVENT, 0, 0, 66304 - 384, 4, "The ring has no memif cookie" },
		{ EVENT, 0, 0, 0, 11, "The ring is too large" }, /* the port's are 2^10 at most */
		{ EVENT, 0, 0, 0, 255, "The ring is too large" },
	};
	struct port *port = port_begin(2, NULL);
	struct client c;

	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		client_with_region(&c, 1);
		CU_ASSERT_EQUAL_FATAL(c.size, 66304);
		CU_ASSERT_EQUAL(client_ring(&c, true, bad[i].index, bad[i].region, bad[i].offset,
					bad[i].log2,
					bad[i].passed == EVENT	? c.c2s_event[0]
					: bad[i].passed == NONE ? -1
								: c.region_fd),
			DISCONNECT);
		CU_ASSERT_STRING_EQUAL(c.reason, bad[i].reason);
		client_close(&c);
	}
	CU_ASSERT_TRUE(serves(port));
	port_end(port);
}

static void rings_too_many_or_too_few(void)
{
	struct port *port = port_begin(2, NULL);
	uint8_t msg[128] = { ADD_RING };
	struct client c;
	int want;

	client_with_region(&c, 3);
	for (uint16_t i = 0; i < 3; i++) {
		want = i < 2 ? ACK : DISCONNECT;
		CU_ASSERT_EQUAL(
			client_ring(&c, true, i, 0, ring_offset(&c, true, i), 4, c.c2s_event[i]),
			want);
	}
	client_close(&c);
	client_with_region(&c, 1);
	CU_ASSERT_EQUAL(client_ring(&c, true, 0, 0, 0, 4, c.c2s_event[0]), ACK);
	CU_ASSERT_EQUAL(client_connect_msg(&c), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(c.reason, "CONNECT without a ring in each direction");
	client_close(&c);
	client_with_region(&c, 1);
	put(msg, 2, 1, 2);
	msg[12] = 4;
	msg[13] = 8;
	CU_ASSERT_EQUAL(client_say(&c, msg, c.c2s_event[0]), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(c.reason, "Private headers are not supported");
	client_close(&c);
	CU_ASSERT_TRUE(serves(port));
	port_end(port);
}

/* Bring a client to a stage: 0 greeted, 1 INIT, 2 has a region, 3 has a ring, 4 connected. */
static void client_at_stage(struct client *c, unsigned stage)
{
	if (stage == 4) {
		client_open(c, 1, NULL, 4, 1, 2048);
		return;
	}
	client_new(c);
	client_memory(c, 4, 1, 2048, F_SEAL_SHRINK);
	if (stage >= 1)
		CU_ASSERT_EQUAL(client_init(c, 1, 0, NULL), ACK);
	if (stage >= 2)
		CU_ASSERT_EQUAL(client_region(c, 0, c->size, c->region_fd), ACK);
	if (stage >= 3)
		CU_ASSERT_EQUAL(client_ring(c, true, 0, 0, 0, 4, c->c2s_event[0]), ACK);
}

static void messages_out_of_order(void)
{
	/* Per stage: which types are in place; all others must end the session with a reason. */
	static const unsigned expected[] = {
		1u << ACK | 1u << INIT | 1u << DISCONNECT,
		1u << ACK | 1u << ADD_REGION | 1u << ADD_RING | 1u << CONNECT | 1u << DISCONNECT,
		1u << ACK | 1u << ADD_REGION | 1u << ADD_RING | 1u << CONNECT | 1u << DISCONNECT,
		1u << ACK | 1u << ADD_REGION | 1u << ADD_RING | 1u << CONNECT | 1u << DISCONNECT,
		1u << ACK | 1u << DISCONNECT,
	};
	struct port *port = port_begin(1, NULL);

	for (unsigned stage = 0; stage < RTE_DIM(expected); stage++) {
		for (unsigned type = 0; type < 32; type++) {
			uint8_t msg[128] = { 0 };
			struct client c;

			if ((expected[stage] >> type & 1) != 0 && type != ACK)
				continue;
			put(msg, 0, type < 16 ? type : type << 8, 2);
			client_at_stage(&c, stage);
			CU_ASSERT_EQUAL(client_say(&c, msg, -1), type == ACK ? 0 : DISCONNECT);
			if (type != ACK)
				CU_ASSERT_EQUAL(client_answer(&c, msg), -1);
			client_close(&c);
			CU_ASSERT_FALSE(link_up(port));
		}
	}
	CU_ASSERT_TRUE(serves(port));
	port_end(port);
}

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Whatever arrives in whatever state, with descriptors or without: nothing crashes, leaks or gets
 * stuck. */
static void garbage_at_every_stage(void)
{
	struct port *port = port_begin(2, NULL);
	uint32_t state = 20220711;

	for (unsigned round = 0; round < 1500; round++) {
		struct client c;

		client_at_stage(&c, round % 5);
		for (unsigned i = 0; i < 6; i++) {
			uint8_t msg[200], answer[128];
			int fds[4] = { c.region_fd, c.c2s_event[0], 0, c.fd };
			size_t len = random_next(&state) % 8 != 0
					     ? 128
					     : 1 + random_next(&state) % sizeof(msg);
			unsigned n_fds = random_next(&state) % 8;

			for (size_t j = 0; j < sizeof(msg); j++)
				msg[j] = (uint8_t)(random_next(&state) % 3 != 0
							   ? 0
							   : random_next(&state));
			put(msg, 0, random_next(&state) % 10, 2);
			if (client_send_fds(&c, msg, len, fds, n_fds > 4 ? 1 : n_fds) < 0 ||
				client_answer(&c, answer) < 0)
				break;
		}
		client_close(&c);
	}
	CU_ASSERT_TRUE(serves(port));
	port_end(port);
}

static void wrong_sizes_and_too_many_descriptors(void)
{
	struct port *port = port_begin(1, NULL);
	uint8_t msg[200] = { ACK };
	struct client c;

	for (unsigned stage = 0; stage < 5; stage++) {
		static const size_t sizes[] = { 1, 127, 129, 200 };
		int fds[3] = { 0, 0, 0 };

		for (unsigned i = 0; i < RTE_DIM(sizes); i++) {
			client_at_stage(&c, stage);
			CU_ASSERT_EQUAL(client_send_fds(&c, msg, sizes[i], NULL, 0), 0);
			CU_ASSERT_EQUAL(client_answer(&c, msg), DISCONNECT);
			CU_ASSERT_STRING_EQUAL(c.reason, "Wrong message size");
			client_close(&c);
		}
		for (unsigned n = 2; n <= 3; n++) {
			client_at_stage(&c, stage);
			CU_ASSERT_EQUAL(client_send_fds(&c, msg, 128, fds, n), 0);
			CU_ASSERT_EQUAL(client_answer(&c, msg), DISCONNECT);
			client_close(&c);
		}
		msg[0] = ACK;
	}
	CU_ASSERT_TRUE(serves(port));
	port_end(port);
}

static void idle_handshakes_end(void)
{
	struct port *port = port_begin(1, NULL);
	struct port_memif *p = (struct port_memif *)port;
	struct client greeted, halfway, connected;
	struct memif_session *s;
	uint8_t msg[128];

	client_at_stage(&greeted, 0);
	client_at_stage(&halfway, 2);
	port->ops->tick(port);
	CU_ASSERT_EQUAL(client_answer(&halfway, msg), 0);
	LIST_FOREACH (s, &p->listener->sessions, next)
		s->deadline_ms = 0;
	port->ops->tick(port);
	CU_ASSERT_EQUAL(client_answer(&greeted, msg), DISCONNECT);
	CU_ASSERT_EQUAL(client_answer(&halfway, msg), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(halfway.reason, "Handshake timed out");
	client_close(&greeted);
	client_close(&halfway);
	client_at_stage(&connected, 4);
	p->session->deadline_ms = 0;
	port->ops->tick(port);
	CU_ASSERT_TRUE(link_up(port));
	/* A dead client is noticed without the loop's help. */
	close(connected.fd);
	port->ops->tick(port);
	CU_ASSERT_FALSE(link_up(port));
	connected.fd = -1;
	client_close(&connected);
	port_end(port);
}

static void crowds_are_turned_away(void)
{
	static struct client crowd[80];
	struct port *port = port_begin(1, NULL);
	unsigned greeted = 0;

	for (unsigned i = 0; i < RTE_DIM(crowd); i++) {
		struct sockaddr_un addr = { .sun_family = AF_UNIX };
		uint8_t msg[128];

		crowd[i] = (struct client){ .region_fd = -1 };
		memcpy(addr.sun_path, client_socket, sizeof(client_socket));
		crowd[i].fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		CU_ASSERT_EQUAL(connect(crowd[i].fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
		greeted += client_answer(&crowd[i], msg) == HELLO;
	}
	CU_ASSERT_EQUAL(greeted, 64);
	for (unsigned i = 0; i < RTE_DIM(crowd); i++)
		client_close(&crowd[i]);
	CU_ASSERT_TRUE(serves(port));
	port_end(port);
}

static const struct test_case cases[] = {
	{ "handshake", handshake },
	{ "HELLO states the limits", hello_states_the_limits },
	{ "goodbyes both ways", goodbyes },
	{ "memory stays for a grace period", grace_period },
	{ "secrets", secrets },
	{ "refused INIT", refused_init },
	{ "refused regions", refused_regions },
	{ "ordinary memory is bounded", ordinary_memory_is_bounded },
	{ "CONNECTED is said last", connected_is_said_last },
	{ "refused rings", refused_rings },
	{ "rings too many or too few", rings_too_many_or_too_few },
	{ "messages out of order", messages_out_of_order },
	{ "garbage at every stage", garbage_at_every_stage },
	{ "wrong sizes, too many descriptors", wrong_sizes_and_too_many_descriptors },
	{ "idle handshakes end", idle_handshakes_end },
	{ "crowds are turned away", crowds_are_turned_away },
};
SUITE_MAIN("memif", cases)
