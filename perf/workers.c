/* SPDX-License-Identifier: Apache-2.0 */
/* podlane-bench workers: two workers on two CPUs against one, over the same flow table. Both write their packets, wait for
 * each other, and forward at the same time; only that is counted.
 *
 *   disjoint     each worker has half of the flows
 *   directions   both have all flows, one worker each direction of them
 *   same         both have the same direction of the same flows: their entries do go to and fro. No sane NIC does this; it shows
 *                what a line that two workers write costs, and that this bench would see one
 *
 * A worker alone does both halves in turn, and each half alone: the ratio of two to one is of packets a second, and cycles a
 * packet beside another worker against the same half alone say what the two cost each other. */
#include "perf/bench.h"
#include "perf/cacheline.h"
#include "perf/packets.h"

#include <getopt.h>
#include <jansson.h>
#include <rte_pause.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUND_PACKETS 8192
#define TWO	      2u

static const char *const spread_names[] = { "disjoint", "directions", "same", NULL };
enum spread { SPREAD_DISJOINT, SPREAD_DIRECTIONS, SPREAD_SAME };

/** Who runs which set in a stretch. */
struct step {
	bool runs[TWO][TWO]; /* [worker][set] */
};
static const struct step steps[] = {
	{ { { true, true }, { false, false } } },  /* one worker, everything */
	{ { { true, false }, { false, true } } },  /* two */
	{ { { true, false }, { false, false } } }, /* each half alone */
	{ { { false, false }, { false, true } } },
};
enum { STEP_ONE, STEP_TWO, STEP_FIRST, STEP_SECOND, STEP_COUNT };

static struct {
	struct plane plane;
	struct packets sets[TWO];
	uint32_t flows, rounds, repeats;
	enum spread spread;
	int cpus[TWO];
	uint32_t first_flow[TWO];
	/* Writers: both threads. */
	_Atomic uint32_t arrived __rte_cache_aligned;
	struct {
		uint64_t cycles, packets; /* of the stretch */
	} __rte_cache_aligned totals[TWO];
	struct samples mpps[STEP_COUNT], cycles[STEP_COUNT][TWO];
} b;

/** Both threads: wait for each other. */
static void meet(void)
{
	uint32_t mine = atomic_fetch_add(&b.arrived, 1), both = (mine / TWO + 1) * TWO;

	while ((int32_t)(atomic_load(&b.arrived) - both) < 0)
		rte_pause();
}

static uint64_t forward(struct worker *w, const struct packets *set)
{
	uint64_t start = bench_tsc();

	for (uint32_t i = 0; i < ROUND_PACKETS; i += VECTOR_SIZE) {
		plane_burst_begin(w);
		plane_burst(w, set->in, set->m + i, VECTOR_SIZE);
	}
	return bench_tsc() - start;
}

/** One set, written anew and forwarded while the other thread does the same or nothing. */
static void run_round(struct worker *w, unsigned id, unsigned set, bool runs)
{
	if (runs) {
		packets_prepare(&b.sets[set], b.first_flow[set]);
		b.first_flow[set] += ROUND_PACKETS;
	}
	meet();
	if (runs) {
		b.totals[id].cycles += forward(w, &b.sets[set]);
		b.totals[id].packets += ROUND_PACKETS;
	} else {
		rcu_quiescent(w->id);
	}
	meet();
}

static void run_step(struct worker *w, unsigned id, unsigned s)
{
	const bool *runs = steps[s].runs[id];
	uint64_t sent = plane_sent(id);

	b.totals[id].cycles = b.totals[id].packets = 0;
	for (uint32_t i = 0; i < b.rounds; i++) {
		/* Alone: one set after the other. Together: each its own, at once. */
		run_round(w, id, s == STEP_TWO ? id : 0, s == STEP_TWO ? runs[id] : runs[0]);
		if (s != STEP_TWO)
			run_round(w, id, 1, runs[1]);
	}
	if (plane_sent(id) - sent != b.totals[id].packets)
		bench_die("not every packet was forwarded: the figures would be of drops", NULL);
	meet();
}

static void note(unsigned s)
{
	uint64_t longest = RTE_MAX(b.totals[0].cycles, b.totals[1].cycles);
	uint64_t packets = b.totals[0].packets + b.totals[1].packets;

	samples_add(&b.mpps[s], (double)packets / ((double)longest / bench_tsc_hz()) / 1e6);
	for (unsigned id = 0; id < TWO; id++) {
		if (b.totals[id].packets > 0)
			samples_add(&b.cycles[s][id],
				(double)b.totals[id].cycles / (double)b.totals[id].packets);
	}
}

static void *run_worker(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg;
	struct worker *w = plane_enter(&b.plane, id);
	uint32_t warm = (b.flows * 2) / ROUND_PACKETS + 2;

	/* Forward direction first, so that the other finds its entries. */
	for (uint32_t i = 0; i < warm; i++)
		run_round(w, id, 0, id == 0);
	for (uint32_t i = 0; i < warm; i++)
		run_round(w, id, 1, id == 1);
	for (uint32_t repeat = 0; repeat < b.repeats; repeat++) {
		for (unsigned s = 0; s < STEP_COUNT; s++) {
			run_step(w, id, s);
			if (id == 0)
				note(s);
			meet();
		}
	}
	plane_leave(&b.plane, id);
	return NULL;
}

/* --- figures ------------------------------------------------------------------------------------------------------ */

static void print(bool json, long before, long after)
{
	double one = samples_median(&b.mpps[STEP_ONE]), two = samples_median(&b.mpps[STEP_TWO]);
	double alone[TWO] = { samples_median(&b.cycles[STEP_FIRST][0]),
		samples_median(&b.cycles[STEP_SECOND][1]) };
	double beside[TWO] = { samples_median(&b.cycles[STEP_TWO][0]),
		samples_median(&b.cycles[STEP_TWO][1]) };
	json_t *row;

	if (!json) {
		printf("| %s | %s | %u | %.2f | %.2f | %.2f x | %.1f / %.1f | %.1f / %.1f | %ld, "
		       "%ld |\n",
			b.plane.conf.scenario->name, spread_names[b.spread], b.flows, one, two,
			two / one, alone[0], alone[1], beside[0], beside[1], before, after);
		return;
	}
	row = json_pack("{s:s, s:s, s:i, s:f, s:f, s:f, s:[f,f], s:[f,f], s:[i,i]}", "scenario",
		b.plane.conf.scenario->name, "spread", spread_names[b.spread], "flows",
		(int)b.flows, "mpps_one", one, "mpps_two", two, "ratio", two / one, "cycles_alone",
		alone[0], alone[1], "cycles_beside", beside[0], beside[1], "cacheline", (int)before,
		(int)after);
	json_dumpf(row, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(row);
}

static void run(bool json)
{
	long before = cacheline_round_trip((unsigned)b.cpus[0], (unsigned)b.cpus[1]);
	pthread_t threads[TWO];

	for (uintptr_t id = 0; id < TWO; id++) {
		if (pthread_create(&threads[id], NULL, run_worker, (void *)id) != 0)
			bench_die("cannot start a thread", NULL);
	}
	for (unsigned id = 0; id < TWO; id++)
		pthread_join(threads[id], NULL);
	if (!json)
		printf("%s\nMedian of %u. Workers on CPUs %d and %d.\n\n"
		       "| scenario | flows are | flows | Mpps one | Mpps two | two to one | "
		       "cycles/packet, each half alone | beside the "
		       "other | cache line round trip before, after "
		       "|\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n",
			bench_machine(), b.repeats, b.cpus[0], b.cpus[1]);
	print(json, before, cacheline_round_trip((unsigned)b.cpus[0], (unsigned)b.cpus[1]));
}

/* --- command line ------------------------------------------------------------------------------------------------- */

static void usage(FILE *out)
{
	fprintf(out,
		"usage: podlane-bench workers [OPTION]...\n"
		"Two workers on two CPUs against one, over the same flow table.\n\n"
		"  --scenario NAME   one of podlane-bench pipeline --list (ipv4-l3)\n"
		"  --spread HOW      disjoint: half of the flows each; directions: a direction of "
		"all flows each;\n"
		"                    same: the same packets, to see what sharing costs (disjoint)\n"
		"  --flows N         (100000)\n"
		"  --rounds N        of %d packets, a stretch (64)\n"
		"  --repeats N       stretches of one and two workers take turns (11)\n"
		"  --cpus A,B        (0,1)\n"
		"  --json            one JSON object a line\n",
		ROUND_PACKETS);
}

static int parse(int argc, char **argv, const char **scenario, bool *json)
{
	static const struct option options[] = { { "scenario", 1, NULL, 's' },
		{ "spread", 1, NULL, 'd' }, { "flows", 1, NULL, 'f' }, { "rounds", 1, NULL, 'r' },
		{ "repeats", 1, NULL, 'n' }, { "cpus", 1, NULL, 'c' }, { "json", 0, NULL, 'j' },
		{ "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	unsigned cpus[TWO];
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			*scenario = optarg;
			break;
		case 'd':
			for (b.spread = SPREAD_DISJOINT;
				spread_names[b.spread] != NULL &&
				strcmp(spread_names[b.spread], optarg) != 0;
				b.spread++)
				;
			if (spread_names[b.spread] == NULL) {
				fprintf(stderr,
					"podlane-bench: --spread is disjoint, directions or same, "
					"not \"%s\"\n",
					optarg);
				return 2;
			}
			break;
		case 'f':
			b.flows = bench_number(optarg, "--flows", 2, 2000000);
			break;
		case 'r':
			b.rounds = bench_number(optarg, "--rounds", 1, 100000);
			break;
		case 'n':
			b.repeats = bench_number(optarg, "--repeats", 1, 64);
			break;
		case 'c':
			cacheline_cpus_option(optarg, cpus);
			b.cpus[0] = (int)cpus[0];
			b.cpus[1] = (int)cpus[1];
			break;
		case 'j':
			*json = true;
			break;
		default:
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr,
			"podlane-bench: \"%s\" is no option: see podlane-bench workers --help\n",
			argv[optind]);
		return 2;
	}
	return -1;
}

int bench_workers(int argc, char **argv)
{
	const char *name = "ipv4-l3";
	struct plane_conf plane;
	bool json = false;
	int ret;

	b.flows = 100000;
	b.rounds = 64;
	b.repeats = 11;
	b.cpus[1] = 1;
	ret = parse(argc, argv, &name, &json);
	if (ret >= 0)
		return ret;
	plane = (struct plane_conf){ .scenario = plane_scenario_find(name),
		.workers = TWO,
		.buffers = TWO * ROUND_PACKETS,
		.flow_entries = RTE_MAX(1u << 20, b.flows * 4),
		.cpus = b.cpus };
	if (plane.scenario == NULL || plane.scenario->work == PLANE_NEW_FLOW) {
		fprintf(stderr,
			"podlane-bench: --scenario %s: take one of podlane-bench pipeline --list, "
			"but no new-flow\n",
			name);
		return 2;
	}
	plane_start(&b.plane, &plane);
	for (unsigned i = 0; i < TWO; i++) {
		struct packets_conf packets = { .scenario = plane.scenario,
			.count = ROUND_PACKETS,
			.sizes = { 1, { { 64, 1 } } },
			.flows = b.spread == SPREAD_DISJOINT ? b.flows / 2 : b.flows,
			.first = b.spread == SPREAD_DISJOINT ? i * (b.flows / 2) : 0,
			.reply = b.spread == SPREAD_DIRECTIONS && i == 1 };

		packets_new(&b.sets[i], &b.plane, &packets);
	}
	run(json);
	fflush(stdout);
	_exit(0); /* packets and ports were borrowed: nothing here is worth an orderly end */
}
