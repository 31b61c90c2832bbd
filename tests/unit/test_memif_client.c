/* SPDX-License-Identifier: Apache-2.0 */
/** memif ports in the client's role with a server that takes them: the handshake,
 * frames both ways, a server that lies in the rings or dies. */
#include "tests/unit/memif_dialling.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

void (*port_watch_fd)(struct port *port, int fd, bool on) = control_loop_watch;

static void handshake(void)
{
	uint8_t msg[128], zero[24] = { 0 };
	int type;

	begin(4, 64);
	server_accept(&server, port);
	CU_ASSERT_EQUAL(server_read(&server, msg), 0); /* it waits for HELLO */
	server_hello(&server, 2, 14);
	CU_ASSERT_EQUAL(server_read(&server, msg), INIT);
	CU_ASSERT_EQUAL(msg[2] | msg[3] << 8, 0x200);
	CU_ASSERT_EQUAL(msg[4], 1);
	CU_ASSERT_EQUAL(msg[8], 0);
	CU_ASSERT_EQUAL(memcmp(msg + 9, zero, 24), 0);
	CU_ASSERT_EQUAL(strncmp((char *)msg + 33, "podlane ", 8), 0);
	CU_ASSERT_EQUAL(server_read(&server, msg), 0); /* and for each answer */
	server_say_type(&server, ACK);
	CU_ASSERT_EQUAL(server_read(&server, msg), ADD_REGION);
	server_take_region(&server, msg);
	/* The server can't take the memory away from us. */
	CU_ASSERT_NOT_EQUAL(ftruncate(server.region_fd, 0), 0);
	CU_ASSERT_NOT_EQUAL(fcntl(server.region_fd, F_GET_SEALS) & F_SEAL_SHRINK, 0);
	server_say_type(&server, ACK);
	while ((type = server_read(&server, msg)) == ADD_RING) {
		server_take_ring(&server, msg);
		server_say_type(&server, ACK);
	}
	CU_ASSERT_EQUAL(type, CONNECT);
	CU_ASSERT_STRING_EQUAL((char *)msg + 2, "pod:client");
	CU_ASSERT_EQUAL(server.n_c2s, 3); /* the server's limit is below the port's four */
	CU_ASSERT_EQUAL(server.n_s2c, 3);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(server.c2s[i].log2, 6);
		CU_ASSERT_EQUAL(server_get(&server, &server.s2c[i], RING_HEAD), 0);
		CU_ASSERT_EQUAL(server.memory[server.c2s[i].offset], 0x20); /* the cookie */
	}
	CU_ASSERT_FALSE(link_up(port));
	server_connected(&server);
	CU_ASSERT_TRUE(link_up(port));
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(server_get(&server, &server.s2c[i], RING_HEAD), 64);
		CU_ASSERT_EQUAL(server_get(&server, &server.s2c[i], RING_FLAGS), RING_MASK_INT);
	}
	CU_ASSERT_STRING_EQUAL(((struct port_memif *)port)->peer_name, "test server");
	CU_ASSERT_STRING_EQUAL(((struct port_memif *)port)->peer_if_name, "server-if");
	end();
}

static void small_limits(void)
{
	begin(16, 16384);
	server_open(&server, port, 0, 0);
	CU_ASSERT_EQUAL(server.n_c2s, 1);
	CU_ASSERT_EQUAL(server.c2s[0].log2, 0);
	CU_ASSERT_EQUAL(server_get(&server, &server.s2c[0], RING_HEAD), 1);
	end();
}

static void frames_both_ways(void)
{
	static const uint16_t parts[] = { 2048, 700, 64, 1000 };
	static uint8_t bytes[9000], want[9000];
	struct rte_mbuf *m;

	begin(1, 16);
	server_open(&server, port, 15, 14);
	for (unsigned round = 0; round < 30; round++) {
		for (uint32_t length = 1; length <= sizeof(bytes);
			length += length < 80 ? 1 : 53 + round) {
			pattern(want, length, length);
			m = mbuf_make(length, length, parts[length % RTE_DIM(parts)]);
			CU_ASSERT_EQUAL_FATAL(port->ops->tx_burst(port, 0, &m, 1), 1);
			CU_ASSERT_EQUAL_FATAL(
				server_receive(&server, &server.c2s[0], bytes, sizeof(bytes)),
				length);
			CU_ASSERT_EQUAL_FATAL(memcmp(bytes, want, length), 0);
			CU_ASSERT_TRUE_FATAL(server_write(&server, &server.s2c[0], want, length));
			CU_ASSERT_EQUAL(port->ops->rx_burst(port, 0, &m, 1), 0);
			server_publish(&server, &server.s2c[0]);
			CU_ASSERT_EQUAL_FATAL(port->ops->rx_burst(port, 0, &m, 1), 1);
			CU_ASSERT_TRUE_FATAL(mbuf_is(m, length, length));
			rte_pktmbuf_free(m);
		}
	}
	CU_ASSERT_EQUAL(atomic_load(&port->rx_errors), 0);
	end();
}

static void full_rings(void)
{
	struct rte_mbuf *pkts[256];
	uint8_t bytes[2048];
	uint16_t n;

	begin(1, 128);
	server_open(&server, port, 0, 14);
	for (uint32_t round = 0; round < 700; round++) { /* positions pass 2^16 */
		for (uint32_t i = 0; i < 100; i++) {
			pattern(bytes, 60 + i, i + round);
			CU_ASSERT_TRUE_FATAL(server_write(&server, &server.s2c[0], bytes, 60 + i));
		}
		server_publish(&server, &server.s2c[0]);
		n = port->ops->rx_burst(port, 0, pkts, 99);
		n = (uint16_t)(n + port->ops->rx_burst(port, 0, &pkts[n], 100));
		CU_ASSERT_EQUAL_FATAL(n, 100);
		CU_ASSERT_EQUAL_FATAL(port->ops->tx_burst(port, 0, pkts, n), n);
		for (uint32_t i = 0; i < n; i++)
			CU_ASSERT_EQUAL_FATAL(
				server_receive(&server, &server.c2s[0], bytes, sizeof(bytes)),
				60 + i);
	}
	for (uint32_t i = 0; i < 140; i++)
		pkts[i] = mbuf_make(600, i, 2048);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, pkts, 140), 128);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &pkts[128], 12), 0);
	CU_ASSERT_EQUAL(atomic_load(&((struct port_memif *)port)->tx_full), 2);
	CU_ASSERT_EQUAL(server_receive(&server, &server.c2s[0], bytes, sizeof(bytes)), 600);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &pkts[128], 12), 1);
	rte_pktmbuf_free_bulk(&pkts[129], 11);
	end();
}

static void hostile_rings(void)
{
	static uint8_t saved[1 << 20];
	struct server_ring *rx, *tx;
	struct rte_mbuf *pkts[64];
	uint64_t errors = 0;
	uint32_t length;

	begin(1, 32);
	server_open(&server, port, 0, 14);
	rx = &server.s2c[0];
	tx = &server.c2s[0];
	CU_ASSERT_TRUE_FATAL(server.size <= sizeof(saved));
	/* Longer than the buffer; nothing; and a chain with such a part goes as a whole. */
	for (unsigned i = 0; i < 3; i++) {
		put(server_desc(&server, rx, rx->tail++), 4, (uint32_t[]){ 2049, 0, UINT32_MAX }[i],
			4);
		server_publish(&server, rx);
		CU_ASSERT_EQUAL(port->ops->rx_burst(port, 0, pkts, 64), 0);
		CU_ASSERT_EQUAL(atomic_load(&port->rx_errors), ++errors);
		CU_ASSERT_TRUE(good_frame_arrives(i));
	}
	put(server_desc(&server, rx, rx->tail), 0, DESC_NEXT, 2);
	put(server_desc(&server, rx, rx->tail++), 4, 64, 4);
	put(server_desc(&server, rx, rx->tail++), 4, 4096, 4);
	server_publish(&server, rx);
	CU_ASSERT_EQUAL(port->ops->rx_burst(port, 0, pkts, 64), 0);
	CU_ASSERT_EQUAL(atomic_load(&port->rx_errors), ++errors);
	/* Where a buffer is we know better; the slot comes back clean. */
	memcpy(saved, server.memory, server.size);
	put(server_desc(&server, rx, rx->tail), 2, 7, 2);
	put(server_desc(&server, rx, rx->tail), 8, UINT32_MAX, 4);
	put(server_desc(&server, rx, rx->tail++), 4, 64, 4);
	server_publish(&server, rx);
	CU_ASSERT_EQUAL_FATAL(port->ops->rx_burst(port, 0, pkts, 64), 1);
	CU_ASSERT_EQUAL(pkts[0]->pkt_len, 64);
	rte_pktmbuf_free(pkts[0]);
	put(server_desc(&server, rx, (uint16_t)(rx->tail - 1)), 8,
		*(uint32_t *)(saved +
			      (server_desc(&server, rx, (uint16_t)(rx->tail - 1)) - server.memory) +
			      8),
		4);
	server_data(&server, rx, (uint16_t)(rx->tail - 1), &length);
	CU_ASSERT_EQUAL(length, 2048);
	/* Positions from nowhere. */
	rx->tail = (uint16_t)(rx->tail + 500);
	server_publish(&server, rx);
	CU_ASSERT_EQUAL(port->ops->rx_burst(port, 0, pkts, 64), 0);
	CU_ASSERT_EQUAL(atomic_load(&port->rx_errors), ++errors);
	CU_ASSERT_EQUAL(server_get(&server, rx, RING_HEAD), (uint16_t)(rx->tail + 32));
	CU_ASSERT_TRUE(good_frame_arrives(4));
	server_set(&server, rx, RING_HEAD, 7); /* ours: never read back */
	server_publish(&server, rx);
	CU_ASSERT_EQUAL(port->ops->rx_burst(port, 0, pkts, 64), 0);
	server_set(&server, rx, RING_HEAD, (uint16_t)(rx->tail + 32));
	CU_ASSERT_TRUE(good_frame_arrives(5));
	/* An endless chain. */
	for (unsigned i = 0; i < 32; i++) {
		put(server_desc(&server, rx, rx->tail), 0, DESC_NEXT, 2);
		put(server_desc(&server, rx, rx->tail++), 4, 1, 4);
	}
	server_publish(&server, rx);
	CU_ASSERT_EQUAL(port->ops->rx_burst(port, 0, pkts, 64), 0);
	CU_ASSERT_EQUAL(atomic_load(&port->rx_errors), ++errors);
	put(server_desc(&server, rx, rx->tail++), 4, 64, 4);
	server_publish(&server, rx);
	CU_ASSERT_EQUAL(port->ops->rx_burst(port, 0, pkts, 64), 0);
	CU_ASSERT_TRUE(good_frame_arrives(6));
	/* More taken than was given: nothing is sent until it makes sense again. */
	server_set(&server, tx, RING_TAIL, 5);
	pkts[0] = mbuf_make(60, 1, 2048);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, pkts, 1), 0);
	server_set(&server, tx, RING_TAIL, 0);
	server_set(&server, tx, RING_HEAD, 1234);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, pkts, 1), 1);
	CU_ASSERT_EQUAL(server_get(&server, tx, RING_HEAD), 1);
	CU_ASSERT_TRUE(good_frame_arrives(7));
	end();
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void interrupts(void)
{
	const uint64_t one = 1;
	struct rte_mbuf *m;
	uint64_t count;
	int fd;

	begin(1, 16);
	fd = port->ops->rx_fd(port, 0);
	CU_ASSERT_TRUE(port->ops->rx_arm(port, 0, true));
	server_open(&server, port, 0, 14);
	CU_ASSERT_TRUE(readable(fd)); /* a worker that slept has to arm the new ring */
	CU_ASSERT_TRUE(port->ops->rx_arm(port, 0, true));
	CU_ASSERT_EQUAL(server_get(&server, &server.s2c[0], RING_FLAGS), 0);
	CU_ASSERT_FALSE(readable(fd));
	CU_ASSERT_EQUAL(write(server.s2c[0].event, &one, 8), 8);
	CU_ASSERT_TRUE(readable(fd));
	port->ops->rx_arm(port, 0, false);
	CU_ASSERT_EQUAL(server_get(&server, &server.s2c[0], RING_FLAGS), RING_MASK_INT);
	CU_ASSERT_TRUE(good_frame_arrives(1));
	/* Something waits: no sleep. */
	server_write(&server, &server.s2c[0], (const uint8_t *)"x", 1);
	server_publish(&server, &server.s2c[0]);
	CU_ASSERT_FALSE(port->ops->rx_arm(port, 0, true));
	/* The server is woken when it asks for it, and only then. */
	server_set(&server, &server.c2s[0], RING_FLAGS, RING_MASK_INT);
	m = mbuf_make(60, 1, 2048);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &m, 1), 1);
	CU_ASSERT_FALSE(readable(server.c2s[0].event));
	server_set(&server, &server.c2s[0], RING_FLAGS, 0);
	m = mbuf_make(60, 1, 2048);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &m, 1), 1);
	CU_ASSERT_EQUAL(read(server.c2s[0].event, &count, 8), 8);
	CU_ASSERT_EQUAL(count, 1);
	end();
}

/* Killed in the middle of a burst, with frames half written and positions anywhere. */
static void killed_servers(void)
{
	struct rte_mbuf *pkts[32];

	begin(1, 64);
	for (unsigned round = 0; round < 50; round++) {
		uint64_t got = 0;
		pid_t pid;

		server_open(&server, port, 0, 14);
		fflush(NULL);
		pid = fork();
		if (pid == 0) {
			static uint8_t bytes[6000];

			for (uint32_t i = 0;; i++) {
				while (!server_write(
					&server, &server.s2c[0], bytes, 1 + i * 97 % sizeof(bytes)))
					server_publish(&server, &server.s2c[0]);
				server_publish(&server, &server.s2c[0]);
				while (server_receive(
					       &server, &server.c2s[0], bytes, sizeof(bytes)) > 0)
					;
			}
		}
		close(server.fd);
		server.fd = -1;
		for (unsigned i = 0; i < 2000 && got < 40 + round * 7; i++) {
			uint16_t n = port->ops->rx_burst(port, 0, pkts, 32), sent;

			got += n;
			sent = port->ops->tx_burst(port, 0, pkts, n);
			rte_pktmbuf_free_bulk(&pkts[sent], (unsigned)(n - sent));
			if (n == 0)
				usleep(50);
		}
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		CU_ASSERT_TRUE(got > 0);
		rte_pktmbuf_free_bulk(pkts, port->ops->rx_burst(port, 0, pkts, 32));
		server_close(&server);
		CU_ASSERT_FALSE(link_up(port));
	}
	server_open(&server, port, 0, 14);
	CU_ASSERT_TRUE(good_frame_arrives(1));
	end();
}

/* A server that keeps the descriptor does not keep our memory. */
static void memory_goes_back(void)
{
	struct memif_connection *c;
	struct stat st;
	int fd;

	CU_ASSERT_EQUAL_FATAL(memif_connection_own(1, 1, 8, &c, &fd), 0);
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_TRUE(st.st_blocks > 0);
	memif_connection_free(c);
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_EQUAL(st.st_blocks, 0);
	close(fd);
}

static const struct test_case cases[] = {
	{ "handshake", handshake },
	{ "a server of few and small rings", small_limits },
	{ "frames of 1 to 9000 bytes both ways", frames_both_ways },
	{ "bursts, wrap-around, full rings", full_rings },
	{ "hostile rings", hostile_rings },
	{ "interrupts both ways", interrupts },
	{ "50 killed servers", killed_servers },
	{ "memory goes back", memory_goes_back },
};
SUITE_MAIN("memif client", cases)
