/* SPDX-License-Identifier: Apache-2.0 */
/** memif packets: frames through shared memory both ways, interrupts, and a client that lies in its
 * rings. */
#include "tests/unit/memif_frames.h"

#include "dataplane/port_memif.h"

#include <sys/wait.h>

void (*port_watch_fd)(struct port *port, int fd, bool on) = control_loop_watch;

static struct port *port;
static struct client client;

static void begin(uint8_t log2, unsigned rings, uint16_t queues, uint32_t buffer)
{
	struct port_params params;

	client_setup();
	params = port_defaults(1, queues);
	port = port_started(&params);
	client_open(&client, 1, NULL, log2, rings, buffer);
}

static void end(void)
{
	client_close(&client);
	CU_ASSERT_FALSE(atomic_load(&port->link_up));
	port_stopped(port);
}

static uint16_t receive(struct rte_mbuf **pkts, uint16_t n)
{
	return port->ops->rx_burst(port, 0, pkts, n);
}

static uint64_t rx_errors(void)
{
	return atomic_load(&port->rx_errors);
}

static bool good_frame_arrives(uint32_t seed)
{
	uint8_t bytes[100];
	struct rte_mbuf *m;
	bool ok;

	pattern(bytes, sizeof(bytes), seed);
	if (!client_write(&client, 0, bytes, sizeof(bytes)))
		return false;
	client_publish(&client, 0);
	if (receive(&m, 1) != 1)
		return false;
	ok = mbuf_is(m, sizeof(bytes), seed);
	rte_pktmbuf_free(m);
	return ok;
}

static void client_to_port(void)
{
	static uint8_t bytes[9000];
	struct rte_mbuf *m;

	begin(4, 1, 1, 2048);
	CU_ASSERT_TRUE(atomic_load(&port->link_up));
	for (uint32_t length = 1; length <= sizeof(bytes); length += length < 80 ? 1 : 53) {
		pattern(bytes, length, length);
		CU_ASSERT_TRUE_FATAL(client_write(&client, 0, bytes, length));
		CU_ASSERT_EQUAL(receive(&m, 1), 0); /* not published */
		client_publish(&client, 0);
		CU_ASSERT_EQUAL_FATAL(receive(&m, 1), 1);
		CU_ASSERT_TRUE(mbuf_is(m, length, length));
		rte_pktmbuf_free(m);
	}
	CU_ASSERT_EQUAL(rx_errors(), 0);
	end();
}

static void port_to_client(void)
{
	static uint8_t bytes[9000], want[9000];
	static const uint16_t parts[] = { 2048, 700, 64, 1000 };
	struct rte_mbuf *m;

	begin(4, 1, 1, 2048);
	for (uint32_t length = 1; length <= sizeof(bytes); length += length < 80 ? 1 : 53) {
		m = mbuf_make(length, length, parts[length % RTE_DIM(parts)]);
		CU_ASSERT_EQUAL_FATAL(port->ops->tx_burst(port, 0, &m, 1), 1);
		CU_ASSERT_EQUAL(client_read(&client, 0, bytes, sizeof(bytes)), length);
		pattern(want, length, length);
		CU_ASSERT_EQUAL(memcmp(bytes, want, length), 0);
	}
	end();
}

static void bursts_and_a_full_ring(void)
{
	struct rte_mbuf *pkts[256];
	uint8_t bytes[2048], want[2048];
	uint16_t n;

	begin(7, 1, 1, 256);
	for (uint32_t round = 0; round < 700; round++) { /* positions pass 2^16 */
		for (uint32_t i = 0; i < 100; i++) {
			pattern(bytes, 60 + i, i + round);
			CU_ASSERT_TRUE_FATAL(client_write(&client, 0, bytes, 60 + i));
		}
		client_publish(&client, 0);
		n = receive(pkts, 99);
		CU_ASSERT_EQUAL_FATAL(n, 99);
		n = (uint16_t)(n + receive(&pkts[99], 100));
		CU_ASSERT_EQUAL_FATAL(n, 100);
		for (uint32_t i = 0; i < n; i++)
			CU_ASSERT_TRUE_FATAL(mbuf_is(pkts[i], 60 + i, i + round));
		CU_ASSERT_EQUAL_FATAL(port->ops->tx_burst(port, 0, pkts, n), n);
		for (uint32_t i = 0; i < n; i++) {
			pattern(want, 60 + i, i + round);
			CU_ASSERT_EQUAL_FATAL(
				client_read(&client, 0, bytes, sizeof(bytes)), 60 + i);
			CU_ASSERT_EQUAL_FATAL(memcmp(bytes, want, 60 + i), 0);
		}
	}
	/* 128 slots: of packets that need three each, 42 fit, and the 43rd leaves no trace. */
	for (uint32_t i = 0; i < 50; i++)
		pkts[i] = mbuf_make(600, i, 2048);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, pkts, 50), 42);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &pkts[42], 8), 0);
	for (uint32_t i = 0; i < 42; i++)
		CU_ASSERT_EQUAL(client_read(&client, 0, bytes, sizeof(bytes)), 600);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &pkts[42], 8), 8);
	for (uint32_t i = 42; i < 50; i++) {
		pattern(want, 600, i);
		CU_ASSERT_EQUAL(client_read(&client, 0, bytes, sizeof(bytes)), 600);
		CU_ASSERT_EQUAL(memcmp(bytes, want, 600), 0);
	}
	end();
}

static void several_queues(void)
{
	uint8_t bytes[64];
	struct rte_mbuf *m;

	/* The client has two rings each way, the port four queues: all tx queues reach one of the
	 * two. */
	begin(4, 2, 4, 256);
	CU_ASSERT_TRUE(rcu_read(&((struct port_memif *)port)->connection)->tx_locked);
	for (uint16_t q = 0; q < 4; q++) {
		m = mbuf_make(64, q, 2048);
		CU_ASSERT_EQUAL_FATAL(port->ops->tx_burst(port, q, &m, 1), 1);
		CU_ASSERT_EQUAL(client_read(&client, q % 2, bytes, sizeof(bytes)), 64);
		CU_ASSERT_EQUAL(port->ops->rx_burst(port, q, &m, 1), 0);
	}
	pattern(bytes, 64, 9);
	client_write(&client, 1, bytes, 64);
	client_publish(&client, 1);
	CU_ASSERT_EQUAL(port->ops->rx_burst(port, 0, &m, 1), 0);
	CU_ASSERT_EQUAL_FATAL(port->ops->rx_burst(port, 1, &m, 1), 1);
	CU_ASSERT_TRUE(mbuf_is(m, 64, 9));
	rte_pktmbuf_free(m);
	end();
}

static void large_frames_use_the_large_pool(void)
{
	static uint8_t bytes[60000];
	struct port_params params;
	struct rte_mempool *large;
	struct rte_mbuf *m;

	client_setup();
	large = eal_pool("large", 15, 16384);
	params = port_defaults(1, 1);
	params.large_pool = large;
	port = port_started(&params);
	client_open(&client, 1, NULL, 6, 1, 2048);
	pattern(bytes, sizeof(bytes), 5);
	client_write(&client, 0, bytes, sizeof(bytes));
	client_write(&client, 0, bytes, 2048);
	client_publish(&client, 0);
	CU_ASSERT_EQUAL_FATAL(receive(&m, 1), 1);
	CU_ASSERT_TRUE(mbuf_is(m, sizeof(bytes), 5));
	CU_ASSERT_EQUAL(m->nb_segs, 4);
	CU_ASSERT_PTR_EQUAL(m->pool, large);
	rte_pktmbuf_free(m);
	CU_ASSERT_EQUAL_FATAL(receive(&m, 1), 1);
	CU_ASSERT_PTR_EQUAL(m->pool, client_pool);
	rte_pktmbuf_free(m);
	end();
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(large), 0);
	rte_mempool_free(large);
}

/* A frame published piece by piece waits for its end and does not keep the worker awake. */
static void partial_chain(void)
{
	static uint8_t bytes[5000];
	struct rte_mbuf *m;

	begin(4, 1, 1, 2048);
	pattern(bytes, sizeof(bytes), 3);
	client_write(&client, 0, bytes, 100);
	client_write(&client, 0, bytes, sizeof(bytes)); /* slots 1, 2, 3 */
	ring_set(&client, true, 0, RING_HEAD, 2);
	CU_ASSERT_FALSE(port->ops->rx_arm(port, 0, true));
	CU_ASSERT_EQUAL_FATAL(receive(&m, 1), 1);
	rte_pktmbuf_free(m);
	CU_ASSERT_EQUAL(receive(&m, 1), 0);
	CU_ASSERT_EQUAL(ring_get(&client, true, 0, RING_TAIL), 1);
	CU_ASSERT_TRUE(port->ops->rx_arm(port, 0, true));
	ring_set(&client, true, 0, RING_HEAD, 3);
	CU_ASSERT_FALSE(port->ops->rx_arm(port, 0, true));
	CU_ASSERT_EQUAL(receive(&m, 1), 0);
	client_publish(&client, 0);
	CU_ASSERT_EQUAL_FATAL(receive(&m, 1), 1);
	CU_ASSERT_TRUE(mbuf_is(m, sizeof(bytes), 3));
	rte_pktmbuf_free(m);
	/* Slots go back clean, for clients that never clear the flag. */
	CU_ASSERT_EQUAL(desc_at(&client, true, 0, 1)[0] & DESC_NEXT, 0);
	CU_ASSERT_EQUAL(rx_errors(), 0);
	end();
}

static void hostile_descriptors(void)
{
	static const struct {
		uint16_t flags, region;
		uint32_t length, offset;
	} bad[] = {
		{ 0, 1, 60, 0 },
		{ 0, UINT16_MAX, 60, 0 },
		{ 0, 0, 60, UINT32_MAX },
		{ 0, 0, UINT32_MAX, 64 },
		{ 0, 0, UINT32_MAX, UINT32_MAX },
		{ 0, 0, 0, 0 },
		{ 0, 0, 0x7fffffff, 0 },
		{ 0xfffe, 9, 60, 0 },
	};
	struct rte_mbuf *pkts[32];
	uint8_t bytes[100];
	uint32_t size;

	begin(5, 1, 1, 2048);
	size = (uint32_t)client.size;
	for (uint32_t i = 0; i < RTE_DIM(bad); i++) {
		desc_put(&client, true, 0, client.c2s_head[0]++, bad[i].flags, bad[i].region,
			bad[i].length, bad[i].offset);
		pattern(bytes, sizeof(bytes), i);
		client_write(&client, 0, bytes, sizeof(bytes));
		client_publish(&client, 0);
		CU_ASSERT_EQUAL_FATAL(receive(pkts, 32), 1);
		CU_ASSERT_TRUE(mbuf_is(pkts[0], sizeof(bytes), i));
		CU_ASSERT_EQUAL(rx_errors(), i + 1);
		rte_pktmbuf_free(pkts[0]);
	}
	/* The last byte of the region is ours to read, the one behind it is not. */
	desc_put(&client, true, 0, client.c2s_head[0]++, 0, 0, 64, size - 64);
	desc_put(&client, true, 0, client.c2s_head[0]++, 0, 0, 64, size - 63);
	client_publish(&client, 0);
	CU_ASSERT_EQUAL_FATAL(receive(pkts, 32), 1);
	rte_pktmbuf_free(pkts[0]);
	CU_ASSERT_EQUAL(rx_errors(), RTE_DIM(bad) + 1);
	/* A chain with one bad part goes as a whole, and so does one that is longer than a frame
	 * can be. */
	desc_put(&client, true, 0, client.c2s_head[0]++, DESC_NEXT, 0, 64, 0);
	desc_put(&client, true, 0, client.c2s_head[0]++, DESC_NEXT, 7, 64, 0);
	desc_put(&client, true, 0, client.c2s_head[0]++, 0, 0, 64, 0);
	desc_put(&client, true, 0, client.c2s_head[0]++, DESC_NEXT, 0, 60000, 0);
	desc_put(&client, true, 0, client.c2s_head[0]++, 0, 0, 6000, 0);
	client_publish(&client, 0);
	CU_ASSERT_EQUAL(receive(pkts, 32), 0);
	CU_ASSERT_EQUAL(rx_errors(), RTE_DIM(bad) + 3);
	CU_ASSERT_TRUE(good_frame_arrives(1000));
	end();
}

/* The last region there can be is served, and the one after it is not. */
static void sixteen_regions(void)
{
	struct port_params params;
	struct rte_mbuf *m;

	client_setup();
	params = port_defaults(1, 1);
	port = port_started(&params);
	client_new(&client);
	client_memory(&client, 4, 1, 2048, F_SEAL_SHRINK);
	CU_ASSERT_EQUAL(client_init(&client, 1, 0, NULL), ACK);
	for (uint16_t i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(client_region(&client, i, client.size, client.region_fd), ACK);
	client_add_rings(&client);
	CU_ASSERT_EQUAL(client_connect_msg(&client), CONNECTED);
	pattern(client.memory + 4096, 64, 8);
	desc_put(&client, true, 0, client.c2s_head[0]++, 0, 15, 64, 4096);
	client_publish(&client, 0);
	CU_ASSERT_EQUAL_FATAL(receive(&m, 1), 1);
	CU_ASSERT_TRUE(mbuf_is(m, 64, 8));
	rte_pktmbuf_free(m);
	desc_put(&client, true, 0, client.c2s_head[0]++, 0, 16, 1, 0);
	client_publish(&client, 0);
	CU_ASSERT_EQUAL(receive(&m, 1), 0);
	CU_ASSERT_EQUAL(rx_errors(), 1);
	end();
}

static void hostile_positions(void)
{
	struct rte_mbuf *pkts[64];
	uint64_t before;

	begin(5, 1, 1, 2048);
	/* A head that jumps past the ring: nothing of it is delivered, and the ring goes on from
	 * there. */
	client.c2s_head[0] = 500;
	client_publish(&client, 0);
	CU_ASSERT_EQUAL(receive(pkts, 64), 0);
	CU_ASSERT_EQUAL(rx_errors(), 1);
	CU_ASSERT_EQUAL(ring_get(&client, true, 0, RING_TAIL), 500);
	CU_ASSERT_TRUE(good_frame_arrives(1));
	/* Backwards is a jump forwards by almost 2^16. */
	client.c2s_head[0] -= 3;
	client_publish(&client, 0);
	CU_ASSERT_EQUAL(receive(pkts, 64), 0);
	CU_ASSERT_EQUAL(rx_errors(), 2);
	CU_ASSERT_TRUE(good_frame_arrives(2));
	/* A tail the client moves is not ours. */
	ring_set(&client, true, 0, RING_TAIL, 7);
	CU_ASSERT_EQUAL(receive(pkts, 64), 0);
	ring_set(&client, true, 0, RING_TAIL, client.c2s_head[0]);
	CU_ASSERT_TRUE(good_frame_arrives(3));
	/* A ring that is one endless chain is thrown away. */
	before = rx_errors();
	for (unsigned i = 0; i < 32; i++)
		desc_put(&client, true, 0, client.c2s_head[0]++, DESC_NEXT, 0, 1, 0);
	client_publish(&client, 0);
	CU_ASSERT_EQUAL(receive(pkts, 64), 0);
	CU_ASSERT_EQUAL(rx_errors(), before + 1);
	/* Its end belongs to it still. */
	desc_put(&client, true, 0, client.c2s_head[0]++, 0, 0, 64, 0);
	client_publish(&client, 0);
	CU_ASSERT_EQUAL(receive(pkts, 64), 0);
	CU_ASSERT_EQUAL(rx_errors(), before + 1);
	CU_ASSERT_TRUE(good_frame_arrives(4));
	end();
}

static void endless_chain_in_a_long_ring(void)
{
	struct rte_mbuf *pkts[64];

	begin(10, 1, 1, 256);
	desc_put(&client, true, 0, client.c2s_head[0]++, 0, 0, 64, 0);
	for (unsigned i = 0; i < 600; i++)
		desc_put(&client, true, 0, client.c2s_head[0]++, DESC_NEXT, 0, 1, 0);
	desc_put(&client, true, 0, client.c2s_head[0]++, 0, 0, 1, 0);
	desc_put(&client, true, 0, client.c2s_head[0]++, 0, 0, 65, 0);
	client_publish(&client, 0);
	CU_ASSERT_EQUAL_FATAL(receive(pkts, 64), 2);
	CU_ASSERT_EQUAL(pkts[0]->pkt_len, 64);
	CU_ASSERT_EQUAL(pkts[1]->pkt_len, 65);
	CU_ASSERT_EQUAL(rx_errors(), 1);
	rte_pktmbuf_free_bulk(pkts, 2);
	end();
}

static void hostile_buffers(void)
{
	struct rte_mbuf *m;
	uint8_t bytes[4096], want[4096];
	json_t *facts;

	begin(4, 1, 1, 256);
	/* Buffers outside the region and without room are passed over; the packet goes into what
	 * follows. */
	desc_put(&client, false, 0, 0, 0, 3, 256, 0);
	desc_put(&client, false, 0, 1, 0, 0, 256, UINT32_MAX - 10);
	desc_put(&client, false, 0, 2, 0, 0, UINT32_MAX, 4096);
	desc_put(&client, false, 0, 3, 0, 0, 0, 0);
	facts = json_object();
	m = mbuf_make(300, 77, 2048);
	CU_ASSERT_EQUAL_FATAL(port->ops->tx_burst(port, 0, &m, 1), 1);
	CU_ASSERT_EQUAL(ring_get(&client, false, 0, RING_TAIL), 6);
	port->ops->describe(port, facts);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(facts, "tx_bad_descriptors")), 4);
	json_decref(facts);
	for (uint16_t i = 0; i < 4; i++) {
		uint32_t length;

		memcpy(&length, desc_at(&client, false, 0, i) + 4, 4);
		CU_ASSERT_EQUAL(length, 0);
		desc_put(&client, false, 0, i, DESC_NEXT, 0, 0, 0);
	}
	CU_ASSERT_EQUAL(client_read(&client, 0, bytes, sizeof(bytes)), 300);
	pattern(want, 300, 77);
	CU_ASSERT_EQUAL(memcmp(bytes, want, 300), 0);
	/* More buffers than slots: nothing is sent until the head makes sense again. */
	ring_set(&client, false, 0, RING_HEAD, (uint16_t)(client.s2c_head[0] + 100));
	m = mbuf_make(60, 1, 2048);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &m, 1), 0);
	ring_set(&client, false, 0, RING_HEAD, client.s2c_head[0]);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &m, 1), 1);
	end();
}

static void an_empty_pool_loses_nothing(void)
{
	static struct rte_mbuf *held[1023];
	struct rte_mbuf *pkts[8];
	uint8_t bytes[100];
	unsigned n_held = 0;

	begin(4, 1, 1, 2048);
	while (rte_mempool_avail_count(client_pool) > 2)
		held[n_held++] = rte_pktmbuf_alloc(client_pool);
	for (uint32_t i = 0; i < 5; i++) {
		pattern(bytes, sizeof(bytes), i);
		client_write(&client, 0, bytes, sizeof(bytes));
	}
	client_publish(&client, 0);
	CU_ASSERT_EQUAL_FATAL(receive(pkts, 8), 2);
	CU_ASSERT_EQUAL(receive(&pkts[2], 6), 0);
	rte_pktmbuf_free_bulk(held, n_held);
	CU_ASSERT_EQUAL_FATAL(receive(&pkts[2], 6), 3);
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT_TRUE(mbuf_is(pkts[i], sizeof(bytes), i));
	rte_pktmbuf_free_bulk(pkts, 5);
	CU_ASSERT_EQUAL(rx_errors(), 0);
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
	int fd, event;

	client_setup();
	begin(4, 1, 1, 2048);
	fd = port->ops->rx_fd(port, 0);
	/* A worker may have gone to sleep before this client came. */
	CU_ASSERT_TRUE(readable(fd));
	CU_ASSERT_EQUAL(ring_get(&client, true, 0, RING_FLAGS), RING_MASK_INT);
	CU_ASSERT_TRUE(port->ops->rx_arm(port, 0, true));
	CU_ASSERT_FALSE(readable(fd));
	CU_ASSERT_EQUAL(ring_get(&client, true, 0, RING_FLAGS), 0);
	CU_ASSERT_EQUAL(write(client.c2s_event[0], &one, 8), 8);
	CU_ASSERT_TRUE(readable(fd));
	port->ops->rx_arm(port, 0, false);
	CU_ASSERT_EQUAL(ring_get(&client, true, 0, RING_FLAGS), RING_MASK_INT);
	CU_ASSERT_TRUE(good_frame_arrives(1));
	CU_ASSERT_TRUE(port->ops->rx_arm(port, 0, true));
	CU_ASSERT_FALSE(readable(fd));
	/* A blocking eventfd does not catch us either. */
	fcntl(client.c2s_event[0], F_SETFL, 0);
	CU_ASSERT_TRUE(port->ops->rx_arm(port, 0, true));

	/* To the client: one wake-up a burst, none when it polls. */
	m = mbuf_make(60, 1, 2048);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &m, 1), 1);
	CU_ASSERT_FALSE(readable(client.s2c_event[0]));
	ring_set(&client, false, 0, RING_FLAGS, 0);
	/* More often than uncollected completions fit in the kernel. */
	for (unsigned i = 0; i < 100; i++) {
		uint8_t bytes[64];

		m = mbuf_make(60, 1, 2048);
		CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &m, 1), 1);
		CU_ASSERT_EQUAL(client_read(&client, 0, bytes, sizeof(bytes)), 60);
	}
	CU_ASSERT_EQUAL(read(client.s2c_event[0], &count, 8), 8);
	CU_ASSERT_EQUAL(count, 100);
	/* The eventfd of a client that is gone, but still lives elsewhere, keeps nobody awake. */
	event = dup(client.c2s_event[0]);
	CU_ASSERT_TRUE(port->ops->rx_arm(port, 0, true));
	client_close(&client);
	CU_ASSERT_EQUAL(write(event, &one, 8), 8);
	CU_ASSERT_FALSE(readable(fd));
	close(event);
	port_stopped(port);
}

/* write(2) would hang here for ever: a full counter on a blocking eventfd. */
static void kick_never_blocks(void)
{
	const uint64_t full = UINT64_MAX - 1;
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int fd = eventfd(0, 0);

		alarm(5);
		if (write(fd, &full, sizeof(full)) != sizeof(full))
			_exit(2);
		memif_kick(fd);
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
}

/* Control takes the connection away between two bursts; the next client starts afresh. */
static void reconnect_under_traffic(void)
{
	struct rte_mbuf *m;

	begin(4, 1, 1, 2048);
	CU_ASSERT_TRUE(good_frame_arrives(1));
	client_close(&client);
	m = mbuf_make(60, 1, 2048);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &m, 1), 0);
	CU_ASSERT_EQUAL(receive(&m, 1), 0);
	client_open(&client, 1, NULL, 6, 1, 512);
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &m, 1), 1);
	CU_ASSERT_TRUE(good_frame_arrives(2));
	end();
}

static const struct test_case cases[] = {
	{ "frames of 1 to 9000 bytes from the client", client_to_port },
	{ "packets of 1 to 9000 bytes to the client", port_to_client },
	{ "bursts, wrap-around, a full ring", bursts_and_a_full_ring },
	{ "several queues, fewer rings", several_queues },
	{ "large frames use the large pool", large_frames_use_the_large_pool },
	{ "a chain published in parts", partial_chain },
	{ "hostile descriptors", hostile_descriptors },
	{ "sixteen regions", sixteen_regions },
	{ "hostile positions and endless chains", hostile_positions },
	{ "an endless chain in a long ring", endless_chain_in_a_long_ring },
	{ "hostile buffers", hostile_buffers },
	{ "an empty pool loses nothing", an_empty_pool_loses_nothing },
	{ "interrupts both ways", interrupts },
	{ "a wake-up never blocks", kick_never_blocks },
	{ "reconnect", reconnect_under_traffic },
};
SUITE_MAIN("memif queue", cases)
