/* SPDX-License-Identifier: Apache-2.0 */
/* podlane-bench change: one worker forwards over many flows on one CPU while the control thread commits changes on another,
 * through the same validation, prepare and commit as the daemon (without HTTP and the store).
 *
 * Rates are by the worker's own time: packets are written anew between its bursts, which does not count, and the control
 * thread follows the clock that counts. So "100 changes a second" is 100 in a second of forwarding. */
#include "perf/bench.h"
#include "perf/cacheline.h"
#include "perf/packets.h"

#include <getopt.h>
#include <jansson.h>
#include <rte_cycles.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUND_PACKETS 2048 /* written anew at a time: stays in the second level cache */
#define RATES_MAX     8
#define TIMES_MAX     65536

enum change_kind { CHANGE_ROUTE, CHANGE_PEER, CHANGE_POD, CHANGE_MIXED };
static const char *const kind_names[] = { "route", "peer", "pod", "mixed", NULL };

/** What the worker and the control thread tell each other; a cache line each. */
struct shared {
	struct {
		_Atomic uint64_t busy; /* TSC cycles of forwarding so far; once a round */
		_Atomic uint32_t mark; /* the last request answered, with: */
		uint64_t mark_busy, mark_packets;
		uint64_t seen_tsc; /* when seen_epoch was first seen */
		_Atomic uint32_t seen_epoch;
		_Atomic bool ready;
	} worker __rte_cache_aligned;
	struct {
		_Atomic uint32_t mark;
		_Atomic bool stop;
	} control __rte_cache_aligned;
};

static struct bench {
	struct plane plane;
	struct packets set;
	struct shared shared;
	int cpus[2]; /* worker, control */
	uint32_t flows, routes, seconds, repeats;
	uint32_t rates[RATES_MAX], n_rates;
	enum change_kind kind;
	uint32_t serial; /* changes so far */
	char dir[32];
} b;

/** Of one rate. */
struct outcome {
	struct samples mpps, cycles, stale;
	double *commit_us, *visible_us;
	uint32_t n_times;
	uint64_t changes;
};

static void pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		bench_die("a CPU cannot be used", NULL);
}

/* --- worker ------------------------------------------------------------------------------------------------------- */

static uint64_t run_round(struct worker *w, uint32_t first_flow)
{
	uint64_t start;

	packets_prepare(&b.set, first_flow);
	start = bench_tsc();
	for (uint32_t i = 0; i < ROUND_PACKETS; i += VECTOR_SIZE) {
		uint32_t before = w->epoch;

		plane_burst_begin(w);
		if (w->epoch != before) {
			b.shared.worker.seen_tsc = rte_rdtsc();
			atomic_store_explicit(
				&b.shared.worker.seen_epoch, w->epoch, memory_order_release);
		}
		plane_burst(w, b.set.in, b.set.m + i, VECTOR_SIZE);
	}
	return bench_tsc() - start;
}

static void *run_worker(void *arg)
{
	struct worker *w;
	uint64_t busy = 0, packets = 0;
	uint32_t flow = 0;

	(void)arg;
	pin(b.cpus[0]);
	w = plane_enter(&b.plane, 0);
	for (uint32_t seen = 0; seen < b.flows + ROUND_PACKETS; seen += ROUND_PACKETS)
		run_round(w, seen);
	atomic_store(&b.shared.worker.ready, true);
	while (!atomic_load_explicit(&b.shared.control.stop, memory_order_acquire)) {
		uint64_t sent = plane_sent(0);
		uint32_t mark;

		busy += run_round(w, flow);
		flow += ROUND_PACKETS;
		packets += ROUND_PACKETS;
		if (plane_sent(0) - sent != ROUND_PACKETS)
			bench_die("not every packet was forwarded: the figures would be of drops",
				NULL);
		atomic_store_explicit(&b.shared.worker.busy, busy, memory_order_relaxed);
		mark = atomic_load_explicit(&b.shared.control.mark, memory_order_acquire);
		if (mark != atomic_load_explicit(&b.shared.worker.mark, memory_order_relaxed)) {
			b.shared.worker.mark_busy = busy;
			b.shared.worker.mark_packets = packets;
			atomic_store_explicit(&b.shared.worker.mark, mark, memory_order_release);
		}
	}
	plane_leave(&b.plane, 0);
	return NULL;
}

/** The worker's totals at the end of its present round. */
static void mark(uint64_t *busy, uint64_t *packets)
{
	uint32_t next = atomic_load_explicit(&b.shared.control.mark, memory_order_relaxed) + 1;

	atomic_store_explicit(&b.shared.control.mark, next, memory_order_release);
	while (atomic_load_explicit(&b.shared.worker.mark, memory_order_acquire) != next)
		rte_pause();
	*busy = b.shared.worker.mark_busy;
	*packets = b.shared.worker.mark_packets;
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

static struct object *object_of(enum object_type type, const char *text)
{
	struct error err = { 0 };
	struct object *obj;

	if (object_from_text(type, text, strlen(text), &obj, &err) < 0)
		bench_die("change", &err);
	return obj;
}

/** A more specific route below one that flows use, put and deleted in turn: those flows are decided again. */
static void change_route(struct changeset *set, uint32_t n, struct error *err)
{
	const bool v6 = b.plane.conf.scenario->v6;
	uint32_t i = b.routes > 0 ? (uint32_t)(n / 2 * 2654435761u) % b.routes : n / 2 % 4096;
	char prefix[PREFIX_TEXT_MAX], text[160], *slash;

	plane_route_prefix(v6, i, prefix, sizeof(prefix));
	slash = strchr(prefix, '/');
	strcpy(slash, v6 ? "/64" : "/25");
	if (n % 2 == 1) {
		changeset_delete(set, OBJECT_ROUTE, prefix, err);
		return;
	}
	snprintf(text, sizeof(text), "{\"prefix\":\"%s\",\"via\":[{\"peer\":\"node-b\"}]}", prefix);
	changeset_put(set, object_of(OBJECT_ROUTE, text), err);
}

static void change_peer(struct changeset *set, uint32_t n, struct error *err)
{
	const struct object *peer = model_find(b.plane.model, OBJECT_PEER, "node-b");
	json_t *patch = json_pack("{s:i}", "mtu", n % 2 == 0 ? 1400 : 1404);
	struct object *next;

	if (object_merge_json(peer, patch, &next, err) < 0)
		bench_die("change", err);
	json_decref(patch);
	changeset_put(set, next, err);
}

static void change_pod(struct changeset *set, uint32_t n, struct error *err)
{
	char text[256];

	if (n % 2 == 1) {
		changeset_delete(set, OBJECT_POD, "c", err);
		return;
	}
	snprintf(text, sizeof(text),
		"{\"name\":\"c\",\"kind\":\"memif\",\"socket\":\"%s/"
		"c\",\"addresses\":[\"10.244.1.12\",\"fd00:244:1::12\"]}",
		b.dir);
	changeset_put(set, object_of(OBJECT_POD, text), err);
}

static void commit_one(struct outcome *out)
{
	static void (*const changes[])(struct changeset *, uint32_t,
		struct error *) = { change_route, change_peer, change_pod };
	uint32_t n = b.serial++, epoch = generation_epoch(),
		 kind = b.kind == CHANGE_MIXED ? n % 3 : b.kind;
	struct changeset *set = changeset_new(b.plane.model);
	struct error err = { 0 };
	uint64_t start, end;

	changes[kind](set, b.kind == CHANGE_MIXED ? n / 3 : n, &err);
	if (err.text[0] != '\0')
		bench_die("change", &err);
	start = rte_rdtsc();
	plane_commit(&b.plane, set);
	end = rte_rdtsc();
	while (atomic_load_explicit(&b.shared.worker.seen_epoch, memory_order_acquire) == epoch)
		rte_pause();
	if (out->n_times < TIMES_MAX) {
		double hz = bench_tsc_hz() / 1e6;

		out->commit_us[out->n_times] = (double)(end - start) / hz;
		/* The worker may have seen it before the commit was over: that is what counts. */
		out->visible_us[out->n_times++] =
			(double)(int64_t)(b.shared.worker.seen_tsc - start) / hz;
	}
	out->changes++;
	rcu_reclaim();
}

/** A stretch of forwarding with changes at a rate. */
static void run_stretch(uint32_t rate, struct outcome *out)
{
	uint64_t busy, packets, end_busy, end_packets, changes = out->changes;
	uint64_t length = (uint64_t)(bench_tsc_hz() * b.seconds);
	struct counter_totals before, after;

	mark(&busy, &packets);
	counters_sum(&before);
	for (uint32_t k = 0;;) {
		uint64_t now = atomic_load_explicit(&b.shared.worker.busy, memory_order_relaxed);

		if (now >= busy + length)
			break;
		if (rate > 0 && now >= busy + (uint64_t)(bench_tsc_hz() * (k + 0.5) / rate)) {
			commit_one(out);
			k++;
			continue;
		}
		rcu_reclaim();
		for (unsigned i = 0; i < 200;
			i++) /* the worker's line is its own most of the time */
			rte_pause();
	}
	counters_sum(&after);
	mark(&end_busy, &end_packets);
	changes = out->changes - changes;
	samples_add(&out->mpps, (double)(end_packets - packets) /
					((double)(end_busy - busy) / bench_tsc_hz()) / 1e6);
	samples_add(&out->cycles, (double)(end_busy - busy) / (double)(end_packets - packets));
	if (changes > 0)
		samples_add(&out->stale,
			(double)(after.events[EVENT_flow_stale] - before.events[EVENT_flow_stale]) /
				(double)changes);
}

/* --- figures ------------------------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b2)
{
	double x = *(const double *)a, y = *(const double *)b2;

	return (x > y) - (x < y);
}

static double percentile(double *values, uint32_t n, double p)
{
	qsort(values, n, sizeof(*values), by_value);
	return n > 0 ? values[RTE_MIN(n - 1, (uint32_t)(n * p))] : 0;
}

static void print_outcome(uint32_t rate, struct outcome *out, double base, bool json)
{
	double mpps = samples_median(&out->mpps), cycles = samples_median(&out->cycles);
	double commit[2] = { percentile(out->commit_us, out->n_times, 0.5),
		percentile(out->commit_us, out->n_times, 0.99) };
	double visible[2] = { percentile(out->visible_us, out->n_times, 0.5),
		percentile(out->visible_us, out->n_times, 0.99) };
	double stale = out->stale.count > 0 ? samples_median(&out->stale) : 0;
	json_t *row;

	if (!json) {
		printf("| %6u | %6.2f | %6.1f (%.1f to %.1f) | %.3f | %7.0f | %5.0f / %5.0f | "
		       "%5.0f / %5.0f |\n",
			rate, mpps, cycles, samples_min(&out->cycles), samples_max(&out->cycles),
			base > 0 ? mpps / base : 1, stale, commit[0], commit[1], visible[0],
			visible[1]);
		return;
	}
	row = json_pack("{s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "scenario",
		b.plane.conf.scenario->name, "kind", kind_names[b.kind], "flows", (int)b.flows,
		"routes", (int)b.routes, "rate", (int)rate, "mpps", mpps, "cycles", cycles,
		"stale_a_change", stale, "commit_us_p50", commit[0], "commit_us_p99", commit[1],
		"visible_us_p50", visible[0], "visible_us_p99", visible[1]);
	json_dumpf(row, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(row);
}

static void run(bool json)
{
	static struct outcome outcomes[RATES_MAX];
	long before = cacheline_round_trip((unsigned)b.cpus[0], (unsigned)b.cpus[1]);
	double base = 0;
	pthread_t thread;

	for (uint32_t r = 0; r < b.n_rates; r++) {
		outcomes[r].commit_us = calloc(TIMES_MAX, sizeof(double));
		outcomes[r].visible_us = calloc(TIMES_MAX, sizeof(double));
		if (outcomes[r].commit_us == NULL || outcomes[r].visible_us == NULL)
			bench_die("out of memory", NULL);
	}
	pin(b.cpus[1]);
	if (pthread_create(&thread, NULL, run_worker, NULL) != 0)
		bench_die("cannot start a thread", NULL);
	while (!atomic_load(&b.shared.worker.ready))
		usleep(1000);
	for (uint32_t repeat = 0; repeat < b.repeats; repeat++) {
		for (uint32_t r = 0; r < b.n_rates; r++)
			run_stretch(b.rates[r], &outcomes[r]);
	}
	atomic_store(&b.shared.control.stop, true);
	pthread_join(thread, NULL);
	if (!json) {
		printf("%s\n%s, %u flows, %u routes; changes of kind %s; worker on CPU %d, control "
		       "on %d; round trip of a cache line "
		       "between them %ld cycles before, %ld after\n\n",
			bench_machine(), b.plane.conf.scenario->name, b.flows, b.routes,
			kind_names[b.kind], b.cpus[0], b.cpus[1], before,
			cacheline_round_trip((unsigned)b.cpus[0], (unsigned)b.cpus[1]));
		printf("| changes/s | Mpps | cycles/packet | of no changes | flows decided again a "
		       "change | commit us p50 / p99 | "
		       "seen by the worker us p50 / p99 |\n|---:|---:|---:|---:|---:|---:|---:|\n");
	}
	for (uint32_t r = 0; r < b.n_rates; r++) {
		base = r == 0 && b.rates[0] == 0 ? samples_median(&outcomes[0].mpps) : base;
		print_outcome(b.rates[r], &outcomes[r], base, json);
	}
}

/* --- command line ------------------------------------------------------------------------------------------------- */

static void usage(FILE *out)
{
	fprintf(out, "usage: podlane-bench change [OPTION]...\n"
		     "One worker forwards while the control thread commits changes, as in the "
		     "daemon but without HTTP and the store.\n\n"
		     "  --scenario NAME   one of podlane-bench pipeline --list (ipv4-vxlan-encap)\n"
		     "  --flows N         active flows (100000)\n"
		     "  --routes N        routes by the peer (100000)\n"
		     "  --kind KIND       route, peer, pod or mixed: what changes (route)\n"
		     "  --rates N,N,...   changes a second of forwarding; the first is the base "
		     "(0,10,100,1000)\n"
		     "  --seconds N       of forwarding, a rate and repeat (1)\n"
		     "  --repeats N       rates take turns (5)\n"
		     "  --cpus W,C        CPU of the worker and of the control thread (0,1)\n"
		     "  --json            one JSON object a line\n");
}

static int parse_rates(char *text)
{
	b.n_rates = 0;
	for (char *save = NULL, *item = strtok_r(text, ",", &save); item != NULL;
		item = strtok_r(NULL, ",", &save)) {
		if (b.n_rates == RATES_MAX) {
			fprintf(stderr, "podlane-bench: --rates takes at most %d rates\n",
				RATES_MAX);
			return -1;
		}
		b.rates[b.n_rates++] = bench_number(item, "--rates", 0, 100000);
	}
	return 0;
}

static int parse(int argc, char **argv, const char **scenario, bool *json)
{
	static const struct option options[] = { { "scenario", 1, NULL, 's' },
		{ "flows", 1, NULL, 'f' }, { "routes", 1, NULL, 'r' }, { "kind", 1, NULL, 'k' },
		{ "rates", 1, NULL, 'R' }, { "seconds", 1, NULL, 't' }, { "repeats", 1, NULL, 'n' },
		{ "cpus", 1, NULL, 'c' }, { "json", 0, NULL, 'j' }, { "help", 0, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	unsigned cpus[2];
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			*scenario = optarg;
			break;
		case 'f':
			b.flows = bench_number(optarg, "--flows", 1, 2000000);
			break;
		case 'r':
			b.routes = bench_number(optarg, "--routes", 0, 2000000);
			break;
		case 'k':
			for (b.kind = CHANGE_ROUTE; kind_names[b.kind] != NULL &&
						    strcmp(kind_names[b.kind], optarg) != 0;
				b.kind++)
				;
			if (kind_names[b.kind] == NULL) {
				fprintf(stderr,
					"podlane-bench: --kind is route, peer, pod or mixed, not "
					"\"%s\"\n",
					optarg);
				return 2;
			}
			break;
		case 'R':
			if (parse_rates(optarg) < 0)
				return 2;
			break;
		case 't':
			b.seconds = bench_number(optarg, "--seconds", 1, 3600);
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
			"podlane-bench: \"%s\" is no option: see podlane-bench change --help\n",
			argv[optind]);
		return 2;
	}
	return -1;
}

int bench_change(int argc, char **argv)
{
	static const uint32_t rates[] = { 0, 10, 100, 1000 };
	const char *name = "ipv4-vxlan-encap";
	struct plane_conf plane;
	struct packets_conf packets;
	bool json = false;
	int ret;

	b.flows = b.routes = 100000;
	b.seconds = 1;
	b.repeats = 5;
	b.n_rates = RTE_DIM(rates);
	memcpy(b.rates, rates, sizeof(rates));
	b.cpus[1] = 1;
	ret = parse(argc, argv, &name, &json);
	if (ret >= 0)
		return ret;
	plane = (struct plane_conf){ .scenario = plane_scenario_find(name),
		.routes = b.routes,
		.buffers = ROUND_PACKETS,
		.flow_entries = RTE_MAX(1u << 20, b.flows * 4),
		.cpus = b.cpus };
	if (plane.scenario == NULL || plane.scenario->work == PLANE_NEW_FLOW) {
		fprintf(stderr,
			"podlane-bench: --scenario %s: take one of podlane-bench pipeline --list, "
			"but no new-flow\n",
			name);
		return 2;
	}
	strcpy(b.dir, "/tmp/podlane-bench-XXXXXX");
	if (mkdtemp(b.dir) == NULL)
		bench_die("cannot make a temporary directory", NULL);
	plane_start(&b.plane, &plane);
	packets = (struct packets_conf){ .scenario = plane.scenario,
		.flows = b.flows,
		.count = ROUND_PACKETS,
		.sizes = { 1, { { 64, 1 } } } };
	packets_new(&b.set, &b.plane, &packets);
	run(json);
	if (model_find(b.plane.model, OBJECT_POD, "c") != NULL) { /* its socket goes with it */
		struct changeset *set = changeset_new(b.plane.model);

		changeset_delete(set, OBJECT_POD, "c", NULL);
		plane_commit(&b.plane, set);
	}
	rmdir(b.dir);
	fflush(stdout);
	_exit(0); /* packets and ports were borrowed: nothing here is worth an orderly end */
}
