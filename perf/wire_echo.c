/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/wire_echo.h"

#include <errno.h>
#include <pthread.h>
#include <rte_eth_ring.h>
#include <rte_pause.h>
#include <rte_ring.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define ROOM	 1024u
#define BURST	 64u
#define SLEEP_MS 100 /* longest sleep: notices the end */

static struct {
	struct rte_ring *in, *out; /* of the thread */
	int cpu, event_fd, epoll_fd;
	bool sleeps, running;
	_Atomic bool asleep; /* writer: the thread; reader: the sender */
	_Atomic bool stop;
	pthread_t thread;
} echo = { .event_fd = -1, .epoll_fd = -1 };

static void echo_sleep(void)
{
	struct epoll_event event;
	uint64_t count;

	atomic_store_explicit(&echo.asleep, true, memory_order_relaxed);
	/* Pairs with wire_echo_kick: asleep first, then the look at the ring; there the ring first. */
	atomic_thread_fence(memory_order_seq_cst);
	if (rte_ring_empty(echo.in) && epoll_wait(echo.epoll_fd, &event, 1, SLEEP_MS) == 1 &&
		read(echo.event_fd, &count, sizeof(count)) < 0)
		count = 0; /* nothing was said */
	atomic_store_explicit(&echo.asleep, false, memory_order_relaxed);
}

static void *echo_main(void *arg)
{
	void *pkts[BURST];

	prctl(PR_SET_TIMERSLACK, 1UL);
	while (!atomic_load_explicit(&echo.stop, memory_order_acquire)) {
		unsigned n = rte_ring_sc_dequeue_burst(echo.in, pkts, BURST, NULL);

		for (unsigned sent = 0;
			sent < n && !atomic_load_explicit(&echo.stop, memory_order_acquire);)
			sent += rte_ring_sp_enqueue_burst(echo.out, pkts + sent, n - sent, NULL);
		if (n == 0 && echo.sleeps)
			echo_sleep();
		else if (n == 0)
			rte_pause();
	}
	return arg;
}

static int echo_watch(void)
{
	struct epoll_event event = { .events = EPOLLIN };

	echo.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	echo.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (echo.event_fd < 0 || echo.epoll_fd < 0 ||
		epoll_ctl(echo.epoll_fd, EPOLL_CTL_ADD, echo.event_fd, &event) < 0)
		return -errno;
	return 0;
}

static int echo_thread(void)
{
	pthread_attr_t attributes;
	cpu_set_t one;
	int ret;

	CPU_ZERO(&one);
	CPU_SET((size_t)echo.cpu, &one);
	pthread_attr_init(&attributes);
	ret = pthread_attr_setaffinity_np(&attributes, sizeof(one), &one);
	if (ret == 0)
		ret = pthread_create(&echo.thread, &attributes, echo_main, NULL);
	pthread_attr_destroy(&attributes);
	return -ret;
}

int wire_echo_start(int cpu, bool sleeps, struct error *err)
{
	int ret;

	echo.cpu = cpu;
	echo.sleeps = sleeps;
	echo.in = rte_ring_create("echo_in", ROOM, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	echo.out = rte_ring_create("echo_out", ROOM, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (echo.in == NULL || echo.out == NULL)
		return error_set(err, ENOMEM, NULL, "--echo: no memory for rings: raise --memory");
	/* Named by DPDK after its driver: WIRE_ECHO_DEVICE. */
	if (rte_eth_from_rings("echo", &echo.out, 1, &echo.in, 1, 0) < 0)
		return error_set(err, EINVAL, NULL, "--echo: DPDK makes no port of rings");
	ret = echo_watch();
	if (ret == 0)
		ret = echo_thread();
	if (ret < 0)
		return error_set(err, -ret, NULL, "--echo: the thread cannot run on CPU %d: %s",
			cpu, strerror(-ret));
	echo.running = true;
	return 0;
}

void wire_echo_kick(void)
{
	const uint64_t one = 1;

	if (!echo.sleeps)
		return;
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&echo.asleep, memory_order_relaxed) &&
		write(echo.event_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is awake already */
}

void wire_echo_stop(void)
{
	if (!echo.running)
		return;
	atomic_store_explicit(&echo.stop, true, memory_order_release);
	pthread_join(echo.thread, NULL);
	close(echo.event_fd);
	close(echo.epoll_fd);
	echo.running = false;
}
