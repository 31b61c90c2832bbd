/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/threads.h"

#include "perf/bench.h"

#include <pthread.h>
#include <sched.h>

#define THREADS_MAX 64

struct start {
	unsigned id;
	int cpu;
	void (*body)(unsigned id, void *arg);
	void *arg;
};

static pthread_barrier_t barrier;

unsigned threads_available(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static void *start(void *arg)
{
	struct start *s = arg;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)s->cpu, &one);
	pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
	s->body(s->id, s->arg);
	return NULL;
}

void threads_run(unsigned n, void (*body)(unsigned id, void *arg), void *arg)
{
	struct start starts[THREADS_MAX];
	pthread_t ids[THREADS_MAX];
	cpu_set_t allowed;
	int cpu = -1;

	if (n > THREADS_MAX || n > threads_available())
		bench_die("more threads than CPUs", NULL);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	pthread_barrier_init(&barrier, NULL, n);
	for (unsigned i = 0; i < n; i++) {
		do
			cpu++;
		while (!CPU_ISSET((size_t)cpu, &allowed));
		starts[i] = (struct start){ i, cpu, body, arg };
		if (pthread_create(&ids[i], NULL, start, &starts[i]) != 0)
			bench_die("a thread cannot start", NULL);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(ids[i], NULL);
	pthread_barrier_destroy(&barrier);
}

void threads_meet(void)
{
	pthread_barrier_wait(&barrier);
}
