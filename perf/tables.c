/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/tables.h"

#include "dataplane/rcu.h"
#include "perf/threads.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t default_routes[] = { 1000, 100000, 1000000 };
static const unsigned fills[] = { 10, 25, 50, 75, 90, 95 };

static double median_of(const json_t *row, const char *key)
{
	return json_number_value(json_object_get(json_object_get(row, key), "median"));
}

static double value_of(const json_t *row, const char *key)
{
	return json_number_value(json_object_get(row, key));
}

static void head(bool fib)
{
	/* clang-format off */
	if (fib)
		printf("\nFIB; cycles of the TSC, 262,144 addresses below random routes\n"
			"%-6s %8s %7s %9s %9s %8s %6s %9s %9s\n",
			"family", "routes", "threads", "dependent", "128 a go", "updating", "load s",
			"B a route", "update us");
	else
		printf("\nflow table; cycles of the TSC a pair, packet or flow\n"
			"%-6s %8s %5s %7s %7s %7s %6s %6s %7s %7s %8s %8s\n",
			"family", "entries", "fill", "threads", "fresh", "insert", "hit", "miss", "sweep",
			"expire", "B mapped", "B in use");
	/* clang-format on */
}

static void print(json_t *row, bool json)
{
	if (json) {
		json_object_set_new(row, "machine", json_string(bench_machine()));
		bench_print_json(row);
		return;
	}
	if (strcmp(json_string_value(json_object_get(row, "table")), "fib") == 0) {
		char updating[16] = "-";

		if (!json_is_null(json_object_get(row, "bulk_during_updates")))
			snprintf(updating, sizeof(updating), "%.1f",
				median_of(row, "bulk_during_updates"));
		printf("IPv%-3.0f %8.0f %7.0f %9.1f %9.1f %8s %6.3f %9.1f %9.1f\n",
			value_of(row, "family"), value_of(row, "routes"), value_of(row, "threads"),
			median_of(row, "dependent"), median_of(row, "bulk"), updating,
			value_of(row, "load_s"), value_of(row, "bytes_per_route"),
			median_of(row, "update_us"));
	} else {
		printf("IPv%-3.0f %8.0f %3.0f %% %7.0f %7.0f %7.0f %6.1f %6.1f %7.1f %7.1f %8.1f "
		       "%8.1f\n",
			value_of(row, "family"), value_of(row, "entries"), value_of(row, "fill"),
			value_of(row, "threads"), median_of(row, "insert_fresh"),
			median_of(row, "insert_pair"), median_of(row, "hit"),
			median_of(row, "miss"), median_of(row, "sweep_per_flow"),
			median_of(row, "expire"), value_of(row, "bytes_per_entry"),
			value_of(row, "resident_per_flow"));
		if (value_of(row, "wrong") > 0 || value_of(row, "refused") > 0)
			printf("   (%.0f directions refused, %.0f look-ups other than expected)\n",
				value_of(row, "refused"), value_of(row, "wrong"));
	}
	fflush(stdout);
	json_decref(row);
}

static void usage(FILE *out)
{
	/* clang-format off */
	fprintf(out,
		"usage: podlane-bench tables [fib | flow] [--family 4|6] [--threads N] [--routes N]\n"
		"                            [--entries N] [--repeats N] [--json]\n\n"
		"fib: look-up where each waits for the last, look-up of 128 at a time, alone and beside a\n"
		"thread that changes routes, bulk load, one change of one route, memory; at 1000, 100000 and\n"
		"1000000 routes, or --routes.\n"
		"flow: insert of a pair (into memory used for the first time, and again), hit and miss of 128\n"
		"at a time, a sweep that finds nothing, expiry, memory; at 10 to 95 %% of --entries directions\n"
		"(default 1048576).\n"
		"Both families, with 1 and 2 threads, unless told otherwise. The same keys every time.\n");
	/* clang-format on */
}

struct what {
	bool fib, flow, json;
	unsigned family, threads; /* 0 = both */
	uint32_t routes, entries;
};

static void run(const struct what *what, struct tables_conf *conf, bool fib)
{
	if (!what->json)
		head(fib);
	for (unsigned family = 4; family <= 6; family += 2) {
		if (what->family != 0 && what->family != family)
			continue;
		conf->v6 = family == 6;
		for (unsigned threads = 1; threads <= RTE_MAX(2u, what->threads); threads++) {
			if (what->threads != 0 && what->threads != threads)
				continue;
			if (threads > threads_available()) {
				fprintf(stderr,
					"podlane-bench: %u threads are left out: there are not so "
					"many CPUs\n",
					threads);
				continue;
			}
			conf->threads = threads;
			for (size_t i = 0; fib && i < RTE_DIM(default_routes); i++) {
				if (what->routes == 0)
					print(tables_fib(conf, default_routes[i]), what->json);
				else if (i == 0)
					print(tables_fib(conf, what->routes), what->json);
			}
			for (size_t i = 0; !fib && i < RTE_DIM(fills); i++)
				print(tables_flow(conf, what->entries, fills[i]), what->json);
		}
	}
}

int bench_tables(int argc, char **argv)
{
	static const struct option options[] = { { "family", 1, NULL, 'f' },
		{ "threads", 1, NULL, 't' }, { "routes", 1, NULL, 'r' },
		{ "entries", 1, NULL, 'e' }, { "repeats", 1, NULL, 'n' }, { "json", 0, NULL, 'j' },
		{ "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	struct what what = { .entries = 1u << 20 };
	struct tables_conf conf = { .repeats = 7 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			what.family = bench_number(optarg, "--family", 4, 6);
			if (what.family == 5) {
				fprintf(stderr, "podlane-bench: --family is 4 or 6\n");
				return 2;
			}
			break;
		case 't':
			what.threads = bench_number(optarg, "--threads", 1, 16);
			break;
		case 'r':
			what.routes = bench_number(optarg, "--routes", 1, 4000000);
			break;
		case 'e':
			what.entries = bench_number(optarg, "--entries", 1024, 1u << 26);
			break;
		case 'n':
			conf.repeats = bench_number(optarg, "--repeats", 1, 64);
			break;
		case 'j':
			what.json = true;
			break;
		default:
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	for (; optind < argc; optind++) {
		if (strcmp(argv[optind], "fib") == 0) {
			what.fib = true;
		} else if (strcmp(argv[optind], "flow") == 0) {
			what.flow = true;
		} else {
			fprintf(stderr, "podlane-bench: there is no table \"%s\": fib or flow\n",
				argv[optind]);
			return 2;
		}
	}
	if (!what.fib && !what.flow)
		what.fib = what.flow = true;
	if (rcu_init() < 0)
		bench_die("out of memory", NULL);
	if (!what.json)
		printf("%s\n", bench_machine());
	if (what.fib)
		run(&what, &conf, true);
	if (what.flow)
		run(&what, &conf, false);
	return 0;
}
