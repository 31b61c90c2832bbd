/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/bench.h"

#include <rte_cycles.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

void samples_add(struct samples *s, double value)
{
	if (s->count < sizeof(s->values) / sizeof(s->values[0]))
		s->values[s->count++] = value;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double samples_median(struct samples *s)
{
	if (s->count == 0)
		return 0;
	qsort(s->values, s->count, sizeof(s->values[0]), by_value);
	return s->count % 2 == 1 ? s->values[s->count / 2]
				 : (s->values[s->count / 2 - 1] + s->values[s->count / 2]) / 2;
}

double samples_min(const struct samples *s)
{
	double best = s->count > 0 ? s->values[0] : 0;

	for (unsigned i = 1; i < s->count; i++)
		best = s->values[i] < best ? s->values[i] : best;
	return best;
}

double samples_max(const struct samples *s)
{
	double worst = 0;

	for (unsigned i = 0; i < s->count; i++)
		worst = s->values[i] > worst ? s->values[i] : worst;
	return worst;
}

uint64_t bench_tsc(void)
{
#if defined(__x86_64__)
	unsigned aux;
	uint64_t t;

	_mm_lfence();
	t = __rdtscp(&aux);
	_mm_lfence();
	return t;
#else
	return rte_rdtsc_precise();
#endif
}

const char *bench_machine(void)
{
	static char text[256];
	char line[256], model[128] = "unknown CPU";
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "model name : %127[^\n]", model) == 1)
			break;
	}
	if (f != NULL)
		fclose(f);
	snprintf(text, sizeof(text), "%s, %ld CPUs, TSC %.2f GHz", model, sysconf(_SC_NPROCESSORS_ONLN),
		(double)rte_get_tsc_hz() / 1e9);
	return text;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *text;
} commands[] = {
	{ "pipeline", bench_pipeline, "cycles a packet of the daemon's own packet path, fed from memory" },
	{ "wire", bench_wire, "throughput, loss and latency of a device under test, over DPDK ports" },
	{ "cacheline", bench_cacheline, "round trip of a cache line between two cores" },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "usage: podlane-bench COMMAND [--help]\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "  %-10s %s\n", commands[i].name, commands[i].text);
	return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
}
