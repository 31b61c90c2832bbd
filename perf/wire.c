/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/wire.h"

#include "perf/bench.h"
#include "perf/cacheline.h"
#include "perf/wire_arp.h"
#include "perf/wire_echo.h"
#include "perf/wire_report.h"
#include "perf/wire_search.h"

#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CACHE	      512u   /* buffers a pool keeps at hand */
#define RX_BUFFERS    16384u /* a port */
#define MEMORY_SPARE  64u    /* MiB besides buffers: DPDK's own, rings */
#define SMALL_PAGE    4096u
#define BUFFER_HEADER 256u /* mbuf and pool header */

const char *const wire_direction_names[WIRE_DIRECTIONS] = { "a-to-b", "b-to-a" };
_Atomic bool wire_interrupted;

static struct wire wire;
static struct wire_search search;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&wire_interrupted, true);
}

/* --- set-up ----------------------------------------------------------------------------------------------------- */

struct need {
	uint32_t frame;	 /* longest frame sent, without checksum */
	uint16_t room;	 /* data room of a buffer */
	uint32_t rx, tx; /* buffers: of the receive pool, of each pool to send from */
	unsigned classes;
	uint32_t memory_mb, memory_small_mb; /* in hugepages; in 4 KiB pages */
};

/** In small pages no buffer of DPDK lies across the end of a page that could hold it: what one takes of them. */
static uint32_t buffer_small(uint32_t bytes)
{
	return bytes > SMALL_PAGE ? RTE_ALIGN_CEIL(bytes, SMALL_PAGE)
				  : SMALL_PAGE / (SMALL_PAGE / bytes);
}

static uint32_t memory_for(const struct wire *w, uint32_t buffers, uint32_t bytes)
{
	uint32_t mb = w->o.memory_mb != 0
			      ? w->o.memory_mb
			      : (uint32_t)((uint64_t)buffers * bytes * 9 / 8 >> 20) + MEMORY_SPARE;

	return mb + mb % 2;
}

/** What the options need, before anything is opened; refuses sizes that cannot be. */
static int plan(struct wire *w, struct need *n, struct error *err)
{
	unsigned active = (unsigned)w->o.active[0] + w->o.active[1];
	uint32_t count;

	n->classes = 1;
	for (unsigned i = 0; i < w->o.n_sizes; i++) {
		if (wire_size_set(w, w->o.sizes[i], err) < 0)
			return -EINVAL;
		n->classes = RTE_MAX(n->classes, w->n_classes);
		for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
			if (w->o.active[d])
				n->frame = RTE_MAX(
					n->frame, wire_frame_length(&w->o.keys[d], w->o.sizes[i]));
		}
	}
	/* The device may add headers: room for any tunnel. */
	n->room = (uint16_t)RTE_MAX((uint32_t)RTE_MBUF_DEFAULT_BUF_SIZE,
		RTE_ALIGN(n->frame + 128 + RTE_PKTMBUF_HEADROOM, 64u));
	n->rx = RX_BUFFERS * (w->o.device[1] != NULL ? 2 : 1);
	n->tx = w->o.buffers;
	count = n->rx + n->tx * n->classes * active;
	n->memory_mb = memory_for(w, count, n->room + BUFFER_HEADER);
	n->memory_small_mb = memory_for(w, count, buffer_small(n->room + BUFFER_HEADER));
	return 0;
}

static int pools_create(struct wire *w, const struct need *n, struct error *err)
{
	bool ok;

	w->rx_pool = rte_pktmbuf_pool_create("rx", n->rx - 1, CACHE, 0, n->room, SOCKET_ID_ANY);
	ok = w->rx_pool != NULL;
	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		for (unsigned c = 0; ok && w->o.active[d] && c < n->classes; c++) {
			char name[16];

			snprintf(name, sizeof(name), "tx_%u_%u", d, c);
			w->tx_pools[d][c] = rte_pktmbuf_pool_create(name, n->tx - 1,
				RTE_MIN(CACHE, n->tx * 2 / 3), 0, n->room, SOCKET_ID_ANY);
			ok = w->tx_pools[d][c] != NULL;
		}
	}
	if (!ok)
		return error_set(err, ENOMEM, NULL,
			"%u MiB hold not all packet buffers (%s): lower --buffers or raise "
			"--memory",
			n->memory_mb, rte_strerror(rte_errno));
	return 0;
}

/** The last CPU this process may use: the first ones serve everybody else. */
static int default_cpu(void)
{
	cpu_set_t set;
	int cpu = CPU_SETSIZE - 1;

	sched_getaffinity(0, sizeof(set), &set);
	while (cpu > 0 && !CPU_ISSET(cpu, &set))
		cpu--;
	return cpu;
}

static int set_up(struct wire *w, struct error *err)
{
	struct need need = { 0 };

	if (plan(w, &need, err) < 0)
		return -EINVAL;
	if (w->o.cpu_tx < 0)
		w->o.cpu_tx = default_cpu();
	if (wire_eal_start(&w->o, &need.memory_mb, need.memory_small_mb, err) < 0 ||
		pools_create(w, &need, err) < 0)
		return -ENOMEM;
	if (w->o.echo_cpu >= 0 && wire_echo_start(w->o.echo_cpu, w->o.echo_sleeps, err) < 0)
		return -ENODEV;
	for (unsigned p = 0; p < WIRE_PORTS && w->o.device[p] != NULL; p++) {
		if (wire_port_open(&w->ports[p], &w->o, p == 0 ? 'a' : 'b', w->o.device[p],
			    need.frame, w->rx_pool, err) < 0)
			return -ENODEV;
		w->n_ports++;
	}
	wire_port_guard(w->ports, w->n_ports);
	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		if (mac_addr_is_zero(&w->o.keys[d].src_mac))
			w->o.keys[d].src_mac = w->ports[w->n_ports == 1 ? 0 : d].mac;
	}
	w->trial = (uint8_t)getpid(); /* frames of an earlier run are not taken for ours */
	return w->o.arp && (wire_arp_start(w, err) < 0 || wire_arp_resolve(w, err) < 0) ? -EIO : 0;
}

/* --- measuring -------------------------------------------------------------------------------------------------- */

static int latency_at(
	struct wire *w, double rate, unsigned percent, uint32_t repeat, struct error *err)
{
	struct wire_trial t = {
		.rate = rate, .seconds = w->o.seconds, .settle = w->o.settle, .stamped = true
	};
	int ret = wire_trial_warm(w, &t, err);

	if (ret == 0)
		wire_report_latency(w, &t, percent, repeat);
	return ret;
}

static int fixed_rate(struct wire *w, uint32_t repeat, struct error *err)
{
	struct wire_trial t = { .rate = w->o.rate, .seconds = w->o.seconds, .settle = w->o.settle };
	int ret;

	if (w->o.latency)
		return latency_at(w, w->o.rate, 0, repeat, err);
	ret = wire_trial_warm(w, &t, err);
	if (ret < 0)
		return ret;
	wire_report_trial(w, &t, "rate");
	return wire_trial_copies(&t, err);
}

static int throughput(struct wire *w, uint32_t repeat, struct error *err)
{
	static const unsigned percents[] = { 10, 50, 90 };
	struct wire_trial found, first = { 0 };
	int ret = 0;

	search.n = 0;
	for (unsigned i = 0; ret == 0 && i < w->o.n_losses; i++) {
		ret = wire_search_run(w, &search, w->o.losses[i], &found, err);
		if (ret == 0 || ret == -EINTR)
			wire_report_throughput(w, &found, w->o.losses[i], repeat);
		if (i == 0)
			first = found;
	}
	for (unsigned i = 0; ret == 0 && w->o.latency && i < RTE_DIM(percents); i++) {
		uint64_t most = RTE_MAX(first.count[0].tx, first.count[1].tx);

		if (most > 0)
			ret = latency_at(w, (double)most / first.elapsed * percents[i] / 100,
				percents[i], repeat, err);
	}
	return ret;
}

static int cacheline_look(const struct wire *w, struct cacheline *result, struct error *err)
{
	int ret = w->o.cacheline ? cacheline_measure(
					   w->o.cacheline_cpus[0], w->o.cacheline_cpus[1], result)
				 : 0;

	return ret < 0 ? error_set(err, -ret, NULL, "--cacheline-cpus: CPUs %u and %u: %s",
				 w->o.cacheline_cpus[0], w->o.cacheline_cpus[1], strerror(-ret))
		       : 0;
}

static int one_size(struct wire *w, uint32_t size, uint32_t repeat, struct error *err)
{
	struct cacheline after;
	int ret = wire_size_set(w, size, err);

	if (ret == 0)
		ret = cacheline_look(w, &w->cacheline_before, err);
	if (ret == 0)
		ret = wire_teach(w, err);
	if (ret == 0 && w->o.fixed)
		ret = fixed_rate(w, repeat, err);
	if (ret == 0 && w->o.search)
		ret = throughput(w, repeat, err);
	if (ret == 0 && w->o.latency_rate > 0)
		ret = latency_at(w, w->o.latency_rate, 0, repeat, err);
	if (ret == 0)
		ret = cacheline_look(w, &after, err);
	if (ret == 0 && w->o.cacheline)
		wire_report_cacheline(w, &w->cacheline_before, &after);
	return ret;
}

static int measure(struct wire *w, struct error *err)
{
	int ret = 0;

	for (uint32_t repeat = 1; ret == 0 && repeat <= w->o.repeats; repeat++) {
		for (unsigned i = 0;
			ret == 0 && i < w->o.n_sizes && !atomic_load(&wire_interrupted); i++)
			ret = one_size(w, w->o.sizes[i], repeat, err);
	}
	return ret;
}

int bench_wire(int argc, char **argv)
{
	struct error err = { .text = "" };
	int ret = wire_options_parse(argc, argv, &wire.o);

	if (ret < 0)
		return -1 - ret;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	ret = set_up(&wire, &err);
	if (ret < 0)
		fprintf(stderr, "podlane-bench wire: %s\n", err.text);
	if (ret == -EINVAL)
		return 2;
	if (ret == 0) {
		ret = measure(&wire, &err);
		if (ret < 0)
			fprintf(stderr, "podlane-bench wire: %s\n", err.text);
	}
	wire_echo_stop();
	for (unsigned p = 0; p < wire.n_ports; p++)
		wire_port_close(&wire.ports[p]);
	rte_eal_cleanup();
	return ret < 0 || atomic_load(&wire_interrupted) ? 1 : 0;
}
