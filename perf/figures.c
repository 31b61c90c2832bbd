/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/bench.h"

#include <math.h>
#include <rte_cycles.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
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

double samples_spread(struct samples *s)
{
	double median = samples_median(s); /* sorts */

	if (s->count < 4 || median <= 0)
		return 0;
	return 100 * (s->values[s->count - 1 - s->count / 4] - s->values[s->count / 4]) / median;
}

json_t *bench_tenths(double value)
{
	return json_real(round(value * 10) / 10);
}

json_t *samples_json(struct samples *s)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "median", bench_tenths(samples_median(s)), "min",
		bench_tenths(samples_min(s)), "max", bench_tenths(samples_max(s)), "spread",
		bench_tenths(samples_spread(s)));
}

void bench_print_json(json_t *row)
{
	char *text = json_dumps(row, JSON_REAL_PRECISION(7));

	printf("%s\n", text != NULL ? text : "");
	fflush(stdout);
	free(text);
	json_decref(row);
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

void bench_die(const char *what, const struct error *err)
{
	fprintf(stderr, "podlane-bench: %s%s%s\n", what, err != NULL ? ": " : "",
		err != NULL ? err->text : "");
	exit(1);
}

uint32_t bench_number(const char *text, const char *what, uint32_t min, uint32_t max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || v < min || v > max) {
		fprintf(stderr, "podlane-bench: %s takes a number from %u to %u, not \"%s\"\n",
			what, min, max, text);
		exit(2);
	}
	return (uint32_t)v;
}

double bench_tsc_hz(void)
{
	static double hz;
	struct timespec before, now;
	uint64_t start;

	if (hz > 0)
		return hz;
	clock_gettime(CLOCK_MONOTONIC, &before);
	start = bench_tsc();
	usleep(20000);
	hz = (double)(bench_tsc() - start);
	clock_gettime(CLOCK_MONOTONIC, &now);
	hz /= (double)(now.tv_sec - before.tv_sec) + (double)(now.tv_nsec - before.tv_nsec) / 1e9;
	return hz;
}

const char *bench_machine(void)
{
	static char text[320];
	char line[256], model[128] = "unknown CPU";
	FILE *f = fopen("/proc/cpuinfo", "re");
	const char *vectors = "no vector units asked for";
	struct utsname os;

	if (text[0] != '\0')
		return text;
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "model name : %127[^\n]", model) == 1)
			break;
	}
	if (f != NULL)
		fclose(f);
#if defined(__x86_64__)
	vectors = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
			  ? "CPU has AVX-512"
		  : __builtin_cpu_supports("avx2") ? "CPU has AVX2"
						   : "CPU has no AVX2";
#endif
	uname(&os);
	snprintf(text, sizeof(text), "%s, %ld CPUs, TSC %.2f GHz, %s, Linux %s", model,
		sysconf(_SC_NPROCESSORS_ONLN), bench_tsc_hz() / 1e9, vectors, os.release);
	return text;
}
