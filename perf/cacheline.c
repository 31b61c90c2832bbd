/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/cacheline.h"

#include "perf/bench.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_pause.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRIPS_MAX   20000u
#define TRIPS_MIN   200u
#define TIME_LIMIT  0.15 /* seconds of one measurement */
#define START_LIMIT 0.1	 /* seconds until the other CPU ran the answering thread */

struct court {
	_Alignas(128) _Atomic uint32_t ball; /* odd: towards the answering thread */
	_Alignas(128) _Atomic bool stop;
	unsigned cpu;
	bool pause;
	_Atomic int ready; /* 1: answering, < 0: -errno */
};

static int pin(unsigned cpu)
{
	cpu_set_t set;

	if (cpu >= CPU_SETSIZE)
		return -EINVAL;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return -pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *answer(void *arg)
{
	struct court *c = arg;
	int ret = pin(c->cpu);

	atomic_store(&c->ready, ret < 0 ? ret : 1);
	while (ret == 0 && !atomic_load_explicit(&c->stop, memory_order_relaxed)) {
		uint32_t ball = atomic_load_explicit(&c->ball, memory_order_acquire);

		if (ball & 1)
			atomic_store_explicit(&c->ball, ball + 1, memory_order_release);
		else if (c->pause)
			rte_pause();
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/** Wait until the ball has been played, or the time is up. */
static bool wait_ball(struct court *c, uint32_t ball, double until)
{
	for (uint32_t spins = 1; atomic_load_explicit(&c->ball, memory_order_acquire) != ball;
		spins++) {
		if (c->pause)
			rte_pause();
		if (spins % 1024 == 0 && seconds() > until)
			return false;
	}
	return true;
}

/** @return round trips measured. */
static uint32_t play(struct court *c, uint32_t *trips)
{
	double until = seconds() + TIME_LIMIT;
	uint32_t n = 0;

	for (uint32_t ball = 0; n < TRIPS_MAX; ball += 2) {
		uint64_t start = rte_rdtsc();

		atomic_store_explicit(&c->ball, ball + 1, memory_order_release);
		if (!wait_ball(c, ball + 2, until))
			break;
		trips[n++] = (uint32_t)RTE_MIN(rte_rdtsc() - start, (uint64_t)UINT32_MAX);
		if (n % 64 == 0 && seconds() > until)
			break;
	}
	return n;
}

/** The calling side, on a thread of its own so that the caller's affinity stays what it was. */
struct match {
	struct court court;
	unsigned cpu;
	long result;
};

static void *serve(void *arg)
{
	struct match *m = arg;
	uint32_t *trips = malloc(TRIPS_MAX * sizeof(*trips)), n;
	double until = seconds() + START_LIMIT;

	m->result = trips == NULL ? -ENOMEM : pin(m->cpu);
	while (m->result == 0 && atomic_load(&m->court.ready) == 0 && seconds() < until)
		sched_yield();
	if (m->result == 0 && atomic_load(&m->court.ready) < 0)
		m->result = atomic_load(&m->court.ready);
	if (m->result == 0 && atomic_load(&m->court.ready) == 1) {
		n = play(&m->court, trips);
		if (n >= TRIPS_MIN) {
			qsort(trips, n, sizeof(*trips), by_value);
			m->result = trips[n / 2];
		}
	}
	atomic_store(&m->court.stop, true);
	free(trips);
	return NULL;
}

/** @return the median round trip, 0 for too few, or -errno. */
static long round_trip(unsigned cpu_a, unsigned cpu_b, bool pause)
{
	static struct match m;
	pthread_t server, answerer;

	memset(&m, 0, sizeof(m));
	m.cpu = cpu_a;
	m.court.cpu = cpu_b;
	m.court.pause = pause;
	if (pthread_create(&answerer, NULL, answer, &m.court) != 0)
		return -EAGAIN;
	if (pthread_create(&server, NULL, serve, &m) != 0) {
		m.result = -EAGAIN;
		atomic_store(&m.court.stop, true);
	} else {
		pthread_join(server, NULL);
	}
	pthread_join(answerer, NULL);
	return m.result;
}

int cacheline_measure(unsigned cpu_a, unsigned cpu_b, struct cacheline *result)
{
	*result = (struct cacheline){ 0 };
	if (cpu_a == cpu_b)
		return -EINVAL;
	result->spin = round_trip(cpu_a, cpu_b, false);
	result->pause = result->spin < 0 ? result->spin : round_trip(cpu_a, cpu_b, true);
	return result->pause < 0 ? (int)result->pause : 0;
}

long cacheline_round_trip(unsigned cpu_a, unsigned cpu_b)
{
	struct cacheline trip;

	return cacheline_measure(cpu_a, cpu_b, &trip) == 0 ? trip.spin : 0;
}

int cacheline_cpus_parse(const char *text, unsigned cpus[2])
{
	char end;

	return sscanf(text, "%u,%u%c", &cpus[0], &cpus[1], &end) == 2 && cpus[0] != cpus[1]
		       ? 0
		       : -EINVAL;
}

void cacheline_cpus_option(const char *text, unsigned cpus[2])
{
	if (cacheline_cpus_parse(text, cpus) == 0)
		return;
	fprintf(stderr, "podlane-bench: --cpus takes two different CPUs, as in 0,1, not \"%s\"\n",
		text);
	exit(2);
}

int bench_cacheline(int argc, char **argv)
{
	static const struct option options[] = { { "cpus", 1, NULL, 'c' }, { "json", 0, NULL, 'j' },
		{ "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	unsigned cpus[2] = { 0, 1 };
	struct cacheline trip;
	bool json = false;
	int c, ret;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j') {
			json = true;
		} else if (c == 'c') {
			cacheline_cpus_option(optarg, cpus);
		} else {
			printf("usage: podlane-bench cacheline [--cpus 0,1] [--json]\n");
			return c == 'h' ? 0 : 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "podlane-bench: cacheline takes no argument \"%s\"\n",
			argv[optind]);
		return 2;
	}
	ret = cacheline_measure(cpus[0], cpus[1], &trip);
	if (ret < 0) {
		fprintf(stderr,
			"podlane-bench: CPUs %u and %u: %s: give two that this process may use "
			"(--cpus)\n",
			cpus[0], cpus[1], strerror(-ret));
		return ret == -EINVAL ? 2 : 1;
	}
	if (trip.spin == 0) {
		fprintf(stderr, "podlane-bench: CPUs %u and %u are too busy to measure\n", cpus[0],
			cpus[1]);
		return 1;
	}
	if (json)
		printf("{\"kind\":\"cacheline\",\"cpus\":[%u,%u],\"cacheline_tsc\":%ld,\"cacheline_"
		       "pause_tsc\":%ld}\n",
			cpus[0], cpus[1], trip.spin, trip.pause);
	else
		printf("CPUs %u and %u: the round trip of a cache line takes %ld TSC cycles, %ld "
		       "when polled with pauses\n",
			cpus[0], cpus[1], trip.spin, trip.pause);
	return 0;
}
