/* SPDX-License-Identifier: Apache-2.0 */
/** Memory that a memif client takes away while we use it: its file is shortened in the middle of
 * traffic, or its process dies there. Nobody else notices, and SIGBUS elsewhere is what it was. */
#include "tests/unit/memif_frames.h"

#include "dataplane/memif_guard.h"
#include "dataplane/port_memif.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

void (*port_watch_fd)(struct port *port, int fd, bool on) = control_loop_watch;

#define HUGE (2u << 20)

static struct port *port;

static void client_open_over(struct client *c, int fd, size_t room)
{
	client_new(c);
	client_memory(c, 4, 1, 2048, 0);
	if (fd >= 0) {
		CU_ASSERT_TRUE_FATAL(c->size <= room);
		munmap(c->memory, c->size);
		close(c->region_fd);
		c->region_fd = fd;
		c->size = room;
		c->memory = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		CU_ASSERT_PTR_NOT_EQUAL_FATAL(c->memory, MAP_FAILED);
		put(ring_at(c, true, 0), 0, 0x3E31F20, 4);
		put(ring_at(c, false, 0), 0, 0x3E31F20, 4);
	}
	CU_ASSERT_EQUAL(client_init(c, 1, 0, NULL), ACK);
	CU_ASSERT_EQUAL(client_region(c, 0, c->size, c->region_fd), ACK);
	client_add_rings(c);
	CU_ASSERT_EQUAL(client_connect_msg(c), CONNECTED);
	client_refill(c, 0);
}

static void exchange(struct client *c)
{
	uint8_t bytes[100];
	struct rte_mbuf *m;

	pattern(bytes, sizeof(bytes), 1);
	client_write(c, 0, bytes, sizeof(bytes));
	client_publish(c, 0);
	CU_ASSERT_EQUAL_FATAL(port->ops->rx_burst(port, 0, &m, 1), 1);
	CU_ASSERT_TRUE(mbuf_is(m, sizeof(bytes), 1));
	CU_ASSERT_EQUAL(port->ops->tx_burst(port, 0, &m, 1), 1);
	CU_ASSERT_EQUAL(client_read(c, 0, bytes, sizeof(bytes)), sizeof(bytes));
}

/* The client's memory is gone: bursts do nothing, and the control thread ends it. */
static void gone(struct client *c, bool rx_first)
{
	struct rte_mbuf *m;

	for (unsigned i = 0; i < 4; i++) {
		if ((i % 2 == 0) == rx_first) {
			if (port->ops->rx_burst(port, 0, &m, 1) > 0)
				rte_pktmbuf_free(m);
		} else {
			m = mbuf_make(60, 1, 2048);
			if (port->ops->tx_burst(port, 0, &m, 1) == 0)
				rte_pktmbuf_free(m);
		}
	}
	port->ops->tick(port);
	CU_ASSERT_FALSE(link_up(port));
	CU_ASSERT_STRING_EQUAL(((struct port_memif *)port)->last_reason,
		"The client took its memory away: it shortened a region's file");
	client_close(c);
	CU_ASSERT_TRUE(serves(port));
}

static void shortened_files(void)
{
	struct client c;

	port = port_begin(1, NULL);
	for (unsigned i = 0; i < 4; i++) {
		client_open_over(&c, -1, 0);
		exchange(&c);
		/* All of it, or the buffers only; then frames are where nothing is. */
		if (i >= 2) {
			uint8_t bytes[2000] = { 0 };

			client_write(&c, 0, bytes, sizeof(bytes));
			client_publish(&c, 0);
		}
		munmap(c.memory, c.size);
		CU_ASSERT_EQUAL(ftruncate(c.region_fd, i < 2 ? 0 : 768), 0);
		gone(&c, i % 2 == 0);
	}
	port_end(port);
}

/* While the client is set up, and before anybody looked at the ring. */
static void shortened_in_the_handshake(void)
{
	struct client c;

	port = port_begin(1, NULL);
	client_new(&c);
	client_memory(&c, 4, 1, 2048, 0);
	CU_ASSERT_EQUAL(client_init(&c, 1, 0, NULL), ACK);
	CU_ASSERT_EQUAL(client_region(&c, 0, c.size, c.region_fd), ACK);
	CU_ASSERT_EQUAL(ftruncate(c.region_fd, 0), 0);
	CU_ASSERT_EQUAL(client_ring(&c, true, 0, 0, 0, 4, c.c2s_event[0]), DISCONNECT);
	CU_ASSERT_STRING_EQUAL(c.reason, "The ring has no memif cookie");
	client_close(&c);
	CU_ASSERT_TRUE(serves(port));
	port_end(port);
}

static _Atomic bool stop;

static void *traffic(void *arg)
{
	struct port *p = arg;
	struct rte_mbuf *pkts[16];

	rcu_reader_register(2);
	while (!atomic_load(&stop)) {
		uint16_t n = p->ops->rx_burst(p, 0, pkts, 16), sent;

		sent = p->ops->tx_burst(p, 0, pkts, n);
		rte_pktmbuf_free_bulk(&pkts[sent], (unsigned)(n - sent));
		rcu_quiescent(2);
	}
	rcu_reader_unregister(2);
	return NULL;
}

/* A worker thread in the middle of it. */
static void shortened_under_a_worker(void)
{
	pthread_t thread;

	port = port_begin(1, NULL);
	atomic_store(&stop, false);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, traffic, port), 0);
	for (unsigned round = 0; round < 20; round++) {
		uint8_t bytes[1500] = { 0 };
		struct client c;

		client_open_over(&c, -1, 0);
		ring_set(&c, false, 0, RING_FLAGS, RING_MASK_INT);
		for (unsigned i = 0; i < 50 + round * 10; i++) {
			while (!client_write(&c, 0, bytes, sizeof(bytes)))
				sched_yield();
			client_publish(&c, 0);
			client_read(&c, 0, bytes, sizeof(bytes));
		}
		munmap(c.memory, c.size);
		CU_ASSERT_EQUAL(ftruncate(c.region_fd, 0), 0);
		while (link_up(port)) {
			port->ops->tick(port);
			rcu_reclaim();
			sched_yield();
		}
		client_close(&c);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	CU_ASSERT_TRUE(serves(port));
	port_end(port);
}

/* As DPDK's client has it with zero-copy=yes, where the machine has huge pages to spare. */
static void huge_pages(void)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	struct client c;
	void *there = MAP_FAILED;

	if (fd >= 0 && fallocate(fd, 0, 0, HUGE) == 0)
		there = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			0); /* what emulates a machine may fail here */
	if (there == MAP_FAILED) {
		printf("(no huge pages) ");
		close(fd);
		return;
	}
	munmap(there, HUGE);
	port = port_begin(1, NULL);
	files_before--; /* fd goes with the client */
	client_open_over(&c, fd, HUGE);
	exchange(&c);
	munmap(c.memory, c.size);
	CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
	gone(&c, true);
	port_end(port);
}

/* @return the signal that ended a child that does this. */
static int ends_by(void (*what)(void))
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(5);
		what();
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void touch_nothing(void)
{
	int fd = memfd_create("own", MFD_CLOEXEC);
	volatile char *p;

	if (ftruncate(fd, 4096) < 0)
		_exit(1);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memif_guard_remove(memif_guard_add((void *)(uintptr_t)p, 4096));
	if (ftruncate(fd, 0) < 0)
		_exit(1);
	*p = 1;
}

static void touch_guarded(void)
{
	int fd = memfd_create("own", MFD_CLOEXEC);
	volatile char *p;
	uint32_t guard;

	if (ftruncate(fd, 8192) < 0)
		_exit(1);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	p[0] = p[8191] = 1;
	guard = memif_guard_add((void *)(uintptr_t)p, 8192);
	if (ftruncate(fd, 0) < 0 || memif_guard_tripped(guard) || p[8191] != 0 ||
		!memif_guard_tripped(guard) || p[0] != 0)
		abort();
}

static void send_signal(void)
{
	memif_guard_remove(memif_guard_add(&stop, 1));
	raise(SIGBUS);
}

/** A sanitizer has a handler of its own from the start; what counts here is that the kernel's default comes back. */
__attribute__((constructor)) static void default_sigbus(void)
{
	signal(SIGBUS, SIG_DFL);
}

static void other_sigbus(void)
{
	CU_ASSERT_EQUAL(ends_by(touch_nothing), SIGBUS);
	CU_ASSERT_EQUAL(ends_by(send_signal), SIGBUS);
	CU_ASSERT_EQUAL(ends_by(touch_guarded), 0);
}

/* Killed in the middle of a burst, 50 times. */
static void killed_clients(void)
{
	struct rte_mbuf *pkts[32];

	port = port_begin(1, NULL);
	for (unsigned round = 0; round < 50; round++) {
		struct client c;
		uint64_t got = 0;
		pid_t pid;

		client_open(&c, 1, NULL, 6, 1, 2048);
		fflush(NULL);
		pid = fork();
		if (pid == 0) {
			static uint8_t bytes[6000];

			for (uint32_t i = 0;; i++) {
				while (!client_write(&c, 0, bytes, 1 + i * 97 % sizeof(bytes)))
					;
				client_publish(&c, 0);
				while (client_read(&c, 0, bytes, sizeof(bytes)) > 0)
					;
			}
		}
		close(c.fd);
		c.fd = -1;
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
		client_close(&c);
		CU_ASSERT_FALSE(link_up(port));
	}
	CU_ASSERT_TRUE(serves(port));
	port_end(port);
}

static const struct test_case cases[] = {
	{ "files shortened under traffic", shortened_files },
	{ "a file shortened in the handshake", shortened_in_the_handshake },
	{ "files shortened under a worker", shortened_under_a_worker },
	{ "huge pages", huge_pages },
	{ "SIGBUS elsewhere", other_sigbus },
	{ "50 killed clients", killed_clients },
};
SUITE_MAIN("memif guard", cases)
