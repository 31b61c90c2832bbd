/* SPDX-License-Identifier: Apache-2.0 */
/** podlane-bench pipeline: TSC cycles a packet of the daemon's real packet path (worker_burst to the hand-over to the
 * output port), in process, without I/O, on one worker.
 *
 * warm: a few hundred packets are used again and again, so they stay in the first caches. cold: more packets than the L2
 * cache holds are prepared first and then run through once.
 */
#include "perf/bench.h"
#include "perf/packets.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARM_PACKETS     256
#define NEW_FLOW_PACKETS 16384

static struct {
	const struct plane_scenario *scenario;
	uint32_t flows, routes, repeats;
	const char *size;
	struct packets_sizes sizes;
	bool cold, json;
	struct plane plane;
	struct packets set;
	struct worker *w;
} b;

static uint64_t run_once(uint32_t first_flow)
{
	uint64_t cycles = 0, start;

	packets_prepare(&b.set, first_flow);
	for (uint32_t i = 0; i < b.set.conf.count; i += VECTOR_SIZE) {
		uint16_t n = (uint16_t)RTE_MIN(b.set.conf.count - i, (uint32_t)VECTOR_SIZE);

		start = bench_tsc();
		plane_burst(b.w, b.set.in, b.set.m + i, n);
		cycles += bench_tsc() - start;
		plane_burst_begin(b.w);
	}
	return cycles;
}

/** Cycles of parsing and of looking up alone, over the same packets. */
static void run_stages(uint32_t first_flow, double *parse, double *lookup)
{
	const struct plane_scenario *s = b.scenario;
	struct pkt *list[VECTOR_SIZE];
	uint64_t parse_cycles = 0, lookup_cycles = 0, start;
	uint32_t n_total = 0;

	packets_prepare(&b.set, first_flow);
	for (uint32_t i = 0; i + VECTOR_SIZE <= b.set.conf.count; i += VECTOR_SIZE) {
		start = bench_tsc();
		for (uint32_t k = 0; k < VECTOR_SIZE; k++) {
			struct pkt *p = &b.w->meta[k];

			p->m = b.set.m[i + k];
			pkt_parse_ether(p->m, p, b.set.in->id);
			list[k] = p;
		}
		parse_cycles += bench_tsc() - start;
		start = bench_tsc();
		for (uint32_t k = 0; k < VECTOR_SIZE; k++)
			list[k]->hash = s->v6 && s->work != PLANE_DECAP ? flow_hash6(b.w->flows, &list[k]->key6)
								  : flow_hash4(b.w->flows, &list[k]->key4);
		if (s->v6 && s->work != PLANE_DECAP)
			flow_lookup6(b.w->flows, list, b.w->found, VECTOR_SIZE);
		else
			flow_lookup4(b.w->flows, list, b.w->found, VECTOR_SIZE);
		lookup_cycles += bench_tsc() - start;
		n_total += VECTOR_SIZE;
	}
	*parse = (double)parse_cycles / n_total;
	*lookup = (double)lookup_cycles / n_total;
}

static void measure(void)
{
	struct samples total = { .count = 0 }, parse = { .count = 0 }, lookup = { .count = 0 };
	uint32_t rounds = b.scenario->work == PLANE_NEW_FLOW ? 1 : RTE_MAX(1u, 65536u / b.set.conf.count);
	uint32_t flow = 0;
	uint64_t expected = plane_sent(0);

	/* New flows come into a table whose memory has been used before, as in a daemon that runs for a while. */
	for (uint32_t i = 0; b.scenario->work == PLANE_NEW_FLOW && i < 24; i++, flow += b.set.conf.count)
		run_once(flow);
	/* Every flow once, so that the timed packets all hit. */
	for (uint32_t seen = 0; b.scenario->work != PLANE_NEW_FLOW && seen < b.flows + b.set.conf.count; seen += b.set.conf.count)
		run_once(seen);
	for (uint32_t r = 0; r < b.repeats; r++) {
		uint64_t cycles = 0;
		double p, l;

		if (b.scenario->work == PLANE_NEW_FLOW) {
			flow_table_flush(b.w->flows);
			rcu_quiescent(0);
			rcu_reclaim();
		}
		expected = plane_sent(0) + (uint64_t)rounds * b.set.conf.count;
		for (uint32_t i = 0; i < rounds; i++, flow += b.set.conf.count)
			cycles += run_once(flow);
		if (plane_sent(0) != expected)
			bench_die("not every packet was forwarded: the figures would be of drops", NULL);
		samples_add(&total, (double)cycles / ((double)rounds * b.set.conf.count));
		run_stages(flow, &p, &l);
		samples_add(&parse, p);
		samples_add(&lookup, l);
	}
	if (b.json) {
		printf("{\"scenario\":\"%s\",\"flows\":%u,\"size\":%s,\"memory\":\"%s\",\"routes\":%u,\"cycles\":{\"median\":%.1f,"
		       "\"min\":%.1f,\"max\":%.1f},\"instructions\":null,\"stages\":{\"parse\":%.1f,\"lookup\":%.1f},"
		       "\"machine\":\"%s\"}\n",
			b.scenario->name, b.flows, b.size, b.cold ? "cold" : "warm", b.routes, samples_median(&total),
			samples_min(&total), samples_max(&total), samples_median(&parse), samples_median(&lookup),
			bench_machine());
	} else {
		printf("%-18s %8u flows %5s B %s  %7.1f cycles/packet (%.1f to %.1f)  parse %.1f, lookup %.1f\n",
			b.scenario->name, b.flows, b.size, b.cold ? "cold" : "warm", samples_median(&total),
			samples_min(&total), samples_max(&total), samples_median(&parse), samples_median(&lookup));
	}
}

static void usage(void)
{
	printf("usage: podlane-bench pipeline --scenario NAME [--flows N] [--size BYTES|imix] [--memory warm|cold] [--routes N]\n"
	       "                              [--repeats N] [--json]\n\nscenarios:");
	for (const struct plane_scenario *s = plane_scenarios; s->name != NULL; s++)
		printf(" %s", s->name);
	printf("\n");
}

int bench_pipeline(int argc, char **argv)
{
	static const struct option options[] = { { "scenario", 1, NULL, 's' }, { "flows", 1, NULL, 'f' },
		{ "size", 1, NULL, 'b' }, { "memory", 1, NULL, 'm' }, { "routes", 1, NULL, 'r' },
		{ "repeats", 1, NULL, 'n' }, { "json", 0, NULL, 'j' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	struct plane_conf conf = { 0 };
	struct packets_conf packets = { 0 };
	int c;

	b.flows = 1000;
	b.size = "64";
	b.repeats = 11;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			b.scenario = plane_scenario_find(optarg);
			if (b.scenario == NULL) {
				fprintf(stderr, "podlane-bench: there is no scenario %s\n", optarg);
				usage();
				return 2;
			}
			break;
		case 'f':
			b.flows = bench_number(optarg, "--flows", 1, 2000000);
			break;
		case 'b':
			b.size = optarg;
			break;
		case 'm':
			b.cold = strcmp(optarg, "cold") == 0;
			if (!b.cold && strcmp(optarg, "warm") != 0) {
				fprintf(stderr, "podlane-bench: --memory is warm or cold, not \"%s\"\n", optarg);
				return 2;
			}
			break;
		case 'r':
			b.routes = bench_number(optarg, "--routes", 0, 2000000);
			break;
		case 'n':
			b.repeats = bench_number(optarg, "--repeats", 1, 64);
			break;
		case 'j':
			b.json = true;
			break;
		default:
			usage();
			return c == 'h' ? 0 : 2;
		}
	}
	if (b.scenario == NULL) {
		usage();
		return 2;
	}
	if (!packets_sizes_parse(b.size, &b.sizes)) {
		fprintf(stderr, "podlane-bench: --size takes bytes from 64 to 1900, or imix, not \"%s\"\n", b.size);
		return 2;
	}
	packets = (struct packets_conf){ .scenario = b.scenario,
		.flows = b.flows,
		.sizes = b.sizes,
		.count = b.cold ? packets_cold_count() : b.scenario->work == PLANE_NEW_FLOW ? NEW_FLOW_PACKETS : WARM_PACKETS,
		.scattered = b.cold };
	conf = (struct plane_conf){ .scenario = b.scenario,
		.flow_entries = b.scenario->work == PLANE_NEW_FLOW ? 0 : RTE_MAX(1u << 20, b.flows * 4),
		.routes = b.routes,
		.buffers = packets.count };
	plane_start(&b.plane, &conf);
	b.w = plane_enter(&b.plane, 0);
	packets_new(&b.set, &b.plane, &packets);
	measure();
	fflush(stdout);
	_exit(0); /* packets and ports were borrowed: nothing here is worth an orderly end */
}
