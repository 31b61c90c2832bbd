/* SPDX-License-Identifier: Apache-2.0 */
/** memif's control channel: the handshake and every way it can go wrong, clients that come and go, the socket file. */
#include "tests/unit/memif_client.h"

#include "dataplane/memif_listener.h"

void (*port_watch_fd)(struct port *port, int fd, bool on) = control_loop_watch;

static unsigned files_before;

static struct port *begin(uint16_t queues, const char *secret)
{
	struct port_params params;

	client_setup();
	files_before = open_files();
	params = port_defaults(1, queues);
	params.secret = secret;
	return port_started(&params);
}

static void end(struct port *port)
{
	port_stopped(port);
	CU_ASSERT_EQUAL(open_files(), files_before);
	CU_ASSERT_EQUAL(control_loop_count, 0);
	CU_ASSERT_EQUAL(access(client_socket, F_OK), -1);
}

static bool link_up(const struct port *port)
{
	return atomic_load(&port->link_up);
}

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
		snprintf(text, sizeof(text), "%s", json_is_string(value) ? json_string_value(value) : "(absent)");
	json_decref(facts);
	return text;
}

/* A well-behaved client gets through, whatever happened before. */
static bool serves(struct port *port)
{
	struct client c;
	bool ok;

	client_open(&c, 1, NULL, 4, 1, 2048);
	ok = link_up(port);
	client_close(&c);
	return ok && !link_up(port);
}

static void handshake(void)
{
	struct port *port = begin(2, NULL);
	struct client c;

	CU_ASSERT_FALSE(link_up(port));
	CU_ASSERT_STRING_EQUAL(fact(port, "state"), "listening");
	client_new(&c);
	client_memory(&c, 4, 2, 2048, F_SEAL_SHRINK);
	CU_ASSERT_EQUAL(client_init(&c, 1, 0, NULL), ACK);
	CU_ASSERT_STRING_EQUAL(fact(port, "state"), "connecting");
	CU_ASSERT_EQUAL(client_region(&c, 0, c.size, c.region_fd), ACK);
	client_add_rings(&c);
	CU_ASSERT_FALSE(link_up(port));
	CU_ASSERT_EQUAL(client_connect_msg(&c), CONNECTED);
	CU_ASSERT_TRUE(link_up(port));
	CU_ASSERT_STRING_EQUAL(fact(port, "state"), "connected");
	CU_ASSERT_STRING_EQUAL(fact(port, "peer"), "test client ??");
	CU_ASSERT_STRING_EQUAL(fact(port, "peer_interface"), "memif-test");
	CU_ASSERT_STRING_EQUAL(fact(port, "rx_rings"), "2");
	CU_ASSERT_STRING_EQUAL(fact(port, "rx_ring_size"), "16");
	CU_ASSERT_STRING_EQUAL(fact(port, "regions"), "1");
	client_close(&c);
	CU_ASSERT_FALSE(link_up(port));
	CU_ASSERT_STRING_EQUAL(fact(port, "state"), "listening");
	CU_ASSERT_TRUE(serves(port));
	CU_ASSERT_STRING_EQUAL(fact(port, "connects"), "2");
	end(port);
}

static void hello_states_the_limits(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct port *port = begin(3, NULL);
	struct client c = { .region_fd = -1 };
	uint8_t msg[128];

	memcpy(addr.sun_path, client_socket, sizeof(client_socket));
	c.fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	CU_ASSERT_EQUAL_FATAL(connect(c.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CU_ASSERT_EQUAL(client_answer(&c, msg), HELLO);
	CU_ASSERT_EQUAL(msg[38], 15);  /* largest region index */
	CU_ASSERT_EQUAL(msg[40], 2);   /* largest ring indices */
	CU_ASSERT_EQUAL(msg[42], 2);
	CU_ASSERT_EQUAL(msg[44], 10);  /* 1024 descriptors */
	client_close(&c);
	end(port);
}

static void goodbyes(void)
{
	struct port *port = begin(1, NULL);
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
	struct port *port = begin(1, NULL);
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
	end(port);
}

static void secrets(void)
{
	struct port *port = begin(1, "open sesame");
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
	end(port);
}

static void refused_init(void)
{
	struct port *port = begin(1, NULL);
	uint8_t msg[128] = { INIT };
	struct client a, b;

	client_new(&a);
	CU_ASSERT_EQUAL(client_init(&a, 2, 0, NULL), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(a.reason, "No interface has this id");
	client_close(&a);
	client_new(&a);
	CU_ASSERT_EQUAL(client_init(&a, 1, 1, NULL), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(a.reason, "Only Ethernet mode is supported");
	client_close(&a);
	client_new(&a);
	put(msg, 2, 0x201, 2);
	put(msg, 4, 1, 4);
	CU_ASSERT_EQUAL(client_say(&a, msg, -1), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(a.reason, "Incompatible memif version");
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

		if (control_loop_watched[i].fd != p->session->fd && control_loop_watched[i].fd != p->listener->fd) {
			port->ops->control_ready(port, control_loop_watched[i].fd);
			break;
		}
	}
	CU_ASSERT_EQUAL(client_answer(&b, msg), ACK);
	CU_ASSERT_STRING_EQUAL(fact(port, "state"), "connecting");
	client_close(&b);
	client_close(&a);
	end(port);
}

static void refused_regions(void)
{
	static const char *const kinds[] = { "none", "pipe", "file", "unsealed", "short", "index", "huge", "empty" };
	struct port *port = begin(1, NULL);

	for (unsigned i = 0; i < RTE_DIM(kinds); i++) {
		struct client c;
		int fd = -1, pipe_fds[2] = { -1, -1 };
		uint64_t size = 65536;
		uint16_t index = 0;

		if (i == 1 && pipe(pipe_fds) == 0) {
			fd = dup(pipe_fds[0]);
			close(pipe_fds[0]);
			close(pipe_fds[1]);
		} else if (i == 2) {
			fd = open(client_directory, O_TMPFILE | O_RDWR, 0600);
		} else if (i >= 3) {
			fd = memfd_create("region", MFD_ALLOW_SEALING);
			CU_ASSERT_EQUAL(fcntl(fd, F_ADD_SEALS, i == 3 ? F_SEAL_GROW : F_SEAL_SHRINK), 0);
		}
		if (i == 4)
			size += 1;
		if (i == 5)
			index = 1;
		if (i == 6)
			size = UINT64_MAX;
		if (i == 7)
			size = 0;
		if (i >= 2 && i != 3)
			CU_ASSERT_EQUAL(ftruncate(fd, 65536), 0);
		client_new(&c);
		CU_ASSERT_EQUAL(client_init(&c, 1, 0, NULL), ACK);
		CU_ASSERT_EQUAL(client_region(&c, index, size, fd), DISCONNECT);
		CU_ASSERT_NOT_EQUAL(c.reason[0], '\0');
		if (fd >= 0)
			close(fd);
		client_close(&c);
	}
	CU_ASSERT_TRUE(serves(port));
	end(port);
}

static void refused_rings(void)
{
	struct port *port = begin(2, NULL);

	for (unsigned i = 0; i < 12; i++) {
		struct client c;
		uint64_t offset = 0;
		uint16_t index = 0, region = 0;
		uint8_t log2 = 4, msg[128] = { ADD_RING };
		int fd;

		client_new(&c);
		client_memory(&c, 4, 1, 2048, F_SEAL_SHRINK);
		CU_ASSERT_EQUAL(client_init(&c, 1, 0, NULL), ACK);
		CU_ASSERT_EQUAL(client_region(&c, 0, c.size, c.region_fd), ACK);
		fd = c.c2s_event[0];
		switch (i) {
		case 0: fd = -1; break;
		case 1: fd = c.region_fd; break;
		case 2: index = 1; break;                       /* not the next */
		case 3: region = 1; break;
		case 4: offset = c.size; break;
		case 5: offset = c.size - 128 - 16 * 16 + 16; break;
		case 6: offset = 8; break;                      /* misaligned */
		case 7: offset = UINT32_MAX - 15; break;
		case 8: log2 = 15; break;
		case 9: log2 = 11; break;                       /* more than the port's 1024 */
		case 10: put(c.memory, 0, 0, 4); break;         /* no cookie */
		case 11: log2 = 255; break;
		}
		CU_ASSERT_EQUAL(client_ring(&c, true, index, region, offset, log2, fd), DISCONNECT);
		CU_ASSERT_NOT_EQUAL(c.reason[0], '\0');
		client_close(&c);
		/* Private headers, too many rings, and a CONNECT with rings one way only. */
		client_new(&c);
		client_memory(&c, 4, 3, 2048, F_SEAL_SHRINK);
		CU_ASSERT_EQUAL(client_init(&c, 1, 0, NULL), ACK);
		CU_ASSERT_EQUAL(client_region(&c, 0, c.size, c.region_fd), ACK);
		if (i == 0) {
			put(msg, 2, 1, 2);
			msg[12] = 4;
			msg[13] = 8;
			CU_ASSERT_EQUAL(client_say(&c, msg, c.c2s_event[0]), DISCONNECT);
		} else if (i == 1) {
			CU_ASSERT_EQUAL(client_ring(&c, true, 0, 0, 0, 4, c.c2s_event[0]), ACK);
			CU_ASSERT_EQUAL(client_ring(&c, true, 1, 0, ring_offset(&c, true, 1), 4, c.c2s_event[1]), ACK);
			CU_ASSERT_EQUAL(client_ring(&c, true, 2, 0, ring_offset(&c, true, 2), 4, c.c2s_event[2]),
				DISCONNECT);
		} else if (i == 2) {
			CU_ASSERT_EQUAL(client_ring(&c, true, 0, 0, 0, 4, c.c2s_event[0]), ACK);
			CU_ASSERT_EQUAL(client_connect_msg(&c), DISCONNECT);
		}
		client_close(&c);
	}
	CU_ASSERT_TRUE(serves(port));
	end(port);
}

/* Bring a client to a stage of the handshake: 0 greeted, 1 INIT, 2 a region, 3 a ring, 4 connected. */
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
	struct port *port = begin(1, NULL);

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
	end(port);
}

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Whatever arrives in whatever state, with descriptors or without: nothing crashes, leaks or gets stuck. */
static void garbage_at_every_stage(void)
{
	struct port *port = begin(2, NULL);
	uint32_t state = 20220711;

	for (unsigned round = 0; round < 1500; round++) {
		struct client c;

		client_at_stage(&c, round % 5);
		for (unsigned i = 0; i < 6; i++) {
			uint8_t msg[200], answer[128];
			int fds[4] = { c.region_fd, c.c2s_event[0], 0, c.fd };
			size_t len = random_next(&state) % 8 != 0 ? 128 : 1 + random_next(&state) % sizeof(msg);
			unsigned n_fds = random_next(&state) % 8;

			for (size_t j = 0; j < sizeof(msg); j++)
				msg[j] = (uint8_t)(random_next(&state) % 3 != 0 ? 0 : random_next(&state));
			put(msg, 0, random_next(&state) % 10, 2);
			if (client_send_fds(&c, msg, len, fds, n_fds > 4 ? 1 : n_fds) < 0 ||
				client_answer(&c, answer) < 0)
				break;
		}
		client_close(&c);
	}
	CU_ASSERT_TRUE(serves(port));
	end(port);
}

static void wrong_sizes_and_too_many_descriptors(void)
{
	struct port *port = begin(1, NULL);
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
	end(port);
}

static void idle_handshakes_end(void)
{
	struct port *port = begin(1, NULL);
	struct port_memif *p = (struct port_memif *)port;
	struct client greeted, halfway, connected;
	struct memif_session *s;
	uint8_t msg[128];

	client_at_stage(&greeted, 0);
	client_at_stage(&halfway, 2);
	port->ops->tick(port);
	CU_ASSERT_EQUAL(client_answer(&halfway, msg), 0);
	LIST_FOREACH(s, &p->listener->sessions, next)
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
	end(port);
}

static void crowds_are_turned_away(void)
{
	static struct client crowd[80];
	struct port *port = begin(1, NULL);
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
	end(port);
}

static void ports_share_a_socket(void)
{
	struct port *first = begin(1, NULL), *second, *third;
	struct port_params params = port_defaults(2, 4);
	struct client a, b, waiting;
	struct error err;

	CU_ASSERT_EQUAL(port_memif_ops.open(&params, &second, &err), 0);
	CU_ASSERT_EQUAL(port_memif_ops.open(&params, &third, &err), -EEXIST);
	CU_ASSERT_STRING_EQUAL(err.path, "memif_id");
	client_open(&a, 1, NULL, 4, 1, 2048);
	CU_ASSERT_TRUE(link_up(first));
	CU_ASSERT_FALSE(link_up(second));
	client_open(&b, 2, NULL, 4, 1, 2048);
	CU_ASSERT_TRUE(link_up(second));
	client_new(&waiting);
	/* Whoever leaves, the others and those who wait keep being served. */
	first->ops->close(first);
	CU_ASSERT_TRUE(link_up(second));
	CU_ASSERT_EQUAL(access(client_socket, F_OK), 0);
	CU_ASSERT_EQUAL(client_init(&waiting, 1, 0, NULL), DISCONNECT);
	client_close(&waiting);
	client_close(&a);
	client_close(&b);
	CU_ASSERT_FALSE(link_up(second));
	client_open(&b, 2, NULL, 4, 4, 2048);
	CU_ASSERT_TRUE(link_up(second));
	client_close(&b);
	end(second);
}

static void open_fails(struct port_params *params, int want, const char *path)
{
	struct error err = { 0 };
	struct port *port;

	CU_ASSERT_EQUAL(port_memif_ops.open(params, &port, &err), want);
	CU_ASSERT_NOT_EQUAL(err.text[0], '\0');
	CU_ASSERT_STRING_EQUAL(err.path, path);
	CU_ASSERT_EQUAL(open_files(), files_before);
}

static void socket_file(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct port *port = begin(1, NULL);
	struct port_params params = port_defaults(1, 1);
	char deep[256], long_path[256];
	struct stat st;
	mode_t mask;
	int fd;

	end(port);
	mask = umask(077);
	port = port_started(&params);
	umask(mask);
	CU_ASSERT_EQUAL(stat(client_socket, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0660);
	end(port);

	/* A socket somebody listens on stays; when he is dead it is replaced. */
	memcpy(addr.sun_path, client_socket, sizeof(client_socket));
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CU_ASSERT_EQUAL(listen(fd, 1), 0);
	files_before++;
	open_fails(&params, -EADDRINUSE, "socket");
	files_before--;
	close(fd);
	port = port_started(&params);
	CU_ASSERT_TRUE(serves(port));
	/* A file that took the path meanwhile is not ours to remove. */
	unlink(client_socket);
	fd = open(client_socket, O_CREAT | O_RDWR | O_EXCL, 0600);
	close(fd);
	port_stopped(port);
	CU_ASSERT_EQUAL(access(client_socket, F_OK), 0);
	open_fails(&params, -EEXIST, "socket");
	unlink(client_socket);

	snprintf(deep, sizeof(deep), "%s/missing/memif.sock", client_directory);
	params.socket = deep;
	open_fails(&params, -ENOENT, "socket");
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	params.socket = long_path;
	open_fails(&params, -ENAMETOOLONG, "socket");
}

static void parameters(void)
{
	struct port *port = begin(1, NULL);
	struct port_params params;

	end(port);
	params = port_defaults(1, 1);
	params.socket = NULL;
	open_fails(&params, -EINVAL, "socket");
	params.socket = "relative.sock";
	open_fails(&params, -EINVAL, "socket");
	params = port_defaults(1, 1);
	for (uint32_t i = 0; i < 5; i++) {
		params.ring_size = (uint32_t[]){ 0, 1, 1000, 32768, UINT32_MAX }[i];
		open_fails(&params, -EINVAL, "ring_size");
	}
	params = port_defaults(1, 1);
	params.secret = "this secret is longer than 24";
	open_fails(&params, -EINVAL, "secret");
	params.secret = "";
	open_fails(&params, -EINVAL, "secret");
	params = port_defaults(1, 64);
	port = port_started(&params);
	CU_ASSERT_EQUAL(port->n_rxq, 16);
	CU_ASSERT_EQUAL(port->n_txq, 16);
	CU_ASSERT_FALSE(mac_addr_is_zero(&port->mac));
	end(port);
}

static const struct test_case cases[] = {
	{ "handshake", handshake },
	{ "HELLO states the limits", hello_states_the_limits },
	{ "goodbyes both ways", goodbyes },
	{ "memory stays for a grace period", grace_period },
	{ "secrets", secrets },
	{ "refused INIT", refused_init },
	{ "refused regions", refused_regions },
	{ "refused rings", refused_rings },
	{ "messages out of order", messages_out_of_order },
	{ "garbage at every stage", garbage_at_every_stage },
	{ "wrong sizes, too many descriptors", wrong_sizes_and_too_many_descriptors },
	{ "idle handshakes end", idle_handshakes_end },
	{ "crowds are turned away", crowds_are_turned_away },
	{ "ports share a socket", ports_share_a_socket },
	{ "the socket file", socket_file },
	{ "parameters", parameters },
};
SUITE_MAIN("memif", cases)
