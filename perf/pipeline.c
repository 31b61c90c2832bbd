/* SPDX-License-Identifier: Apache-2.0 */
/** podlane-bench pipeline: TSC cycles and instructions a packet of the daemon's real packet path (worker_burst to the
 * hand-over to the output port), in process, without I/O, on one worker. One scenario a process, because DPDK's EAL starts
 * once; a file of scenarios runs a child for each row.
 */
#include "perf/bench.h"
#include "perf/measure.h"
#include "perf/suite.h"

#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- output --------------------------------------------------------------------------------------------------------- */

static json_t *row_json(
	const struct measure_conf *conf, const char *size, struct measure *m, const char *pages)
{
	json_t *row = json_object(), *stage_cycles = json_object(),
	       *stage_instructions = json_object();
	char *end;
	long bytes = strtol(size, &end, 10);

	json_object_set_new(row, "scenario", json_string(conf->scenario->name));
	json_object_set_new(row, "flows", json_integer(conf->flows));
	json_object_set_new(row, "size", *end == '\0' ? json_integer(bytes) : json_string(size));
	json_object_set_new(row, "memory", json_string(conf->cold ? "cold" : "warm"));
	json_object_set_new(row, "routes", json_integer(conf->routes));
	if (conf->rules > 0)
		json_object_set_new(row, "rules", json_integer(conf->rules));
	json_object_set_new(row, "isa", json_string(m->isa));
	json_object_set_new(row, "cycles", samples_json(&m->cycles));
	json_object_set_new(row, "instructions",
		m->instructions >= 0 ? bench_tenths(m->instructions) : json_null());
	json_object_set_new(row, "counted_by", json_string(m->counted_by));
	for (unsigned s = 0; s < m->n_stages; s++) {
		if (m->stages[s].cycles.count > 0)
			json_object_set_new(stage_cycles, m->stages[s].name,
				bench_tenths(samples_median(&m->stages[s].cycles)));
		if (m->stages[s].instructions >= 0)
			json_object_set_new(stage_instructions, m->stages[s].name,
				bench_tenths(m->stages[s].instructions));
	}
	json_object_set_new(row, "stages", stage_cycles);
	json_object_set_new(row, "stage_instructions", stage_instructions);
	json_object_set_new(row, "repeats", json_integer(conf->repeats));
	json_object_set_new(row, "machine", json_string(bench_machine()));
	json_object_set_new(row, "pages", json_string(pages));
	return row;
}

static double number_of(const json_t *row, const char *object, const char *key)
{
	return json_number_value(
		json_object_get(object != NULL ? json_object_get(row, object) : row, key));
}

static void print_head(void)
{
	printf("%-17s %8s %5s %4s %8s %-9s %7s %17s %6s  %s\n", "scenario", "flows", "size", "mem",
		"routes", "isa", "cycles", "smallest-largest", "instr", "cycles by stage; target");
}

static void print_row(const json_t *row)
{
	const json_t *size = json_object_get(row, "size"),
		     *instructions = json_object_get(row, "instructions");
	char bytes[16], range[32], count[16] = "-";
	const char *key;
	json_t *value;

	snprintf(bytes, sizeof(bytes), "%lld", (long long)json_integer_value(size));
	snprintf(range, sizeof(range), "%.1f-%.1f", number_of(row, "cycles", "min"),
		number_of(row, "cycles", "max"));
	if (json_is_number(instructions))
		snprintf(count, sizeof(count), "%.1f", json_number_value(instructions));
	printf("%-17s %8.0f %5s %4s %8.0f %-9s %7.1f %17s %6s ",
		json_string_value(json_object_get(row, "scenario")), number_of(row, NULL, "flows"),
		json_is_string(size) ? json_string_value(size) : bytes,
		json_string_value(json_object_get(row, "memory")), number_of(row, NULL, "routes"),
		json_string_value(json_object_get(row, "isa")), number_of(row, "cycles", "median"),
		range, count);
	json_object_foreach (json_object_get(row, "stages"), key, value)
		printf(" %s %.1f", key, json_number_value(value));
	if (json_object_get(row, "target") != NULL)
		printf("; target %.1f: %.2f x", number_of(row, NULL, "target"),
			number_of(row, NULL, "of_target"));
	printf("\n");
	fflush(stdout);
}

/** NULL when there is no table. */
static json_t *functions_json(const struct measure *m)
{
	json_t *functions = m->steps.n_functions > 0 ? json_object() : json_null();

	for (size_t i = 0; i < m->steps.n_functions; i++)
		json_object_set_new(functions, m->steps.functions[i].name,
			json_real(round((double)m->steps.functions[i].count / m->steps_packets *
					  100) /
				  100));
	return functions;
}

static void print_functions(const struct measure *m)
{
	if (m->steps.n_functions == 0) {
		printf("no table of functions: %s\n", m->counted_by);
		return;
	}
	printf("\ninstructions a packet, function alone (with what is inline in it), one burst of "
	       "%u:\n",
		m->steps_packets);
	for (size_t i = 0; i < m->steps.n_functions; i++)
		printf("  %8.2f  %s\n", (double)m->steps.functions[i].count / m->steps_packets,
			m->steps.functions[i].name);
}

/* --- files of scenarios ----------------------------------------------------------------------------------------------- */

/** Measure one row in a child. @return its JSON object, or NULL after a message; *unable: this machine cannot. */
static json_t *run_row(const struct suite_row *row, bool count, bool *unable)
{
	char flows[16], routes[16], rules[16], repeats[16];
	json_error_t error;
	json_t *result;
	int fds[2], status;
	pid_t child;
	FILE *out;

	snprintf(flows, sizeof(flows), "%u", row->flows);
	snprintf(routes, sizeof(routes), "%u", row->routes);
	snprintf(rules, sizeof(rules), "%u", row->rules);
	snprintf(repeats, sizeof(repeats), "%u", row->repeats);
	if (pipe(fds) < 0)
		bench_die("no pipe", NULL);
	child = fork();
	if (child < 0)
		bench_die("cannot start a process", NULL);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execl("/proc/self/exe", "podlane-bench", "pipeline", "--json", "--scenario",
			row->scenario->name, "--flows", flows, "--routes", routes, "--rules", rules,
			"--repeats", repeats, "--size", row->size, "--memory",
			row->cold ? "cold" : "warm", "--isa", row->isa,
			count ? (char *)NULL : "--no-instructions", (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	out = fdopen(fds[0], "r");
	result = out != NULL ? json_loadf(out, JSON_DISABLE_EOF_CHECK, &error) : NULL;
	if (out != NULL)
		fclose(out);
	waitpid(child, &status, 0);
	*unable = WIFEXITED(status) && WEXITSTATUS(status) == BENCH_EXIT_UNABLE;
	if (!*unable && (result == NULL || status != 0))
		fprintf(stderr, "podlane-bench: %s with %s flows could not be measured\n",
			row->scenario->name, flows);
	return status == 0 ? result : NULL;
}

static void add_target(json_t *result, const struct suite *suite, const struct suite_row *row,
	json_t *const *results)
{
	double target = row->target;

	if (row->base != NULL && results[row->base - suite->rows] != NULL)
		target = row->at_most *
			 number_of(results[row->base - suite->rows], "cycles", "median");
	if (target <= 0)
		return;
	json_object_set_new(result, "target", bench_tenths(target));
	json_object_set_new(result, "of_target",
		json_real(round(number_of(result, "cycles", "median") / target * 100) / 100));
}

/** repeats 0: as the file says. */
static int run_file(const char *path, bool json, bool count, uint32_t repeats)
{
	struct error err = { 0 };
	struct suite suite;
	json_t **results;
	bool failed = false, unable, head = false;

	if (suite_load(path, &suite, &err) < 0) {
		fprintf(stderr, "podlane-bench: %s\n", err.text);
		return 2;
	}
	results = calloc(suite.count + 1, sizeof(*results));
	if (results == NULL)
		bench_die("out of memory", NULL);
	for (size_t i = 0; i < suite.count; i++) {
		if (repeats > 0)
			suite.rows[i].repeats = repeats;
		results[i] = run_row(&suite.rows[i], count, &unable);
		failed |= results[i] == NULL && !unable;
		if (results[i] == NULL)
			continue;
		add_target(results[i], &suite, &suite.rows[i], results);
		if (!head && !json) {
			printf("%s; %s\n",
				json_string_value(json_object_get(results[i], "machine")),
				json_string_value(json_object_get(results[i], "pages")));
			print_head();
			head = true;
		}
		if (json)
			bench_print_json(json_incref(results[i]));
		else
			print_row(results[i]);
	}
	for (size_t i = 0; i < suite.count; i++)
		json_decref(results[i]);
	free(results);
	suite_free(&suite);
	return failed;
}

/* --- command line ------------------------------------------------------------------------------------------------------ */

static void list_scenarios(FILE *out, const char *separator)
{
	for (const struct plane_scenario *s = plane_scenarios; s->name != NULL; s++)
		fprintf(out, "%s%s", s == plane_scenarios ? "" : separator, s->name);
	fprintf(out, "\n");
}

static void usage(FILE *out)
{
	char names[64];

	plane_isa_names(", ", names, sizeof(names));
	/* clang-format off */
	fprintf(out,
		"usage: podlane-bench pipeline --scenario NAME [--flows N] [--size BYTES|imix] [--routes N]\n"
		"                              [--rules N] [--memory warm|cold] [--isa NAME] [--repeats N] [--json]\n"
		"                              [--functions | --no-instructions]\n"
		"       podlane-bench pipeline --file FILE [--repeats N] [--no-instructions] [--json]\n"
		"       podlane-bench pipeline --list\n\n"
		"One scenario, all rows of a file of scenarios, or the names of scenarios. Cycles are of the\n"
		"time stamp counter, median of the repeats (default 11).\n\n"
		"--memory cold  more packet buffers than the L2 cache holds\n"
		"--size imix    7 of 64, 4 of 594, 1 of 1518 bytes\n"
		"--routes N     size of the route table by the peer; encap and new-flow send to all of it\n"
		"--rules N      policies with N rules select the sender of l3, encap and new-flow; the last lets it send\n"
		"--flows N      of new-flow: flows that the table holds already, in whole sets of packets\n"
		"--isa NAME     instruction set of the hit path: %s;\n"
		"               default best, what the daemon would use\n"
		"--functions    instructions a packet by function. They come from the hardware's counter, or\n"
		"               are stepped through one by one where there is none\n"
		"--callgrind N  run N bursts in measure_counted() and print the number of packets: see perf/gate\n\n"
		"scenarios: ", names);
	/* clang-format on */
	list_scenarios(out, " ");
}

static const struct plane_scenario *scenario_of(const char *name)
{
	const struct plane_scenario *scenario = plane_scenario_find(name);

	if (scenario == NULL) {
		fprintf(stderr, "podlane-bench: there is no scenario \"%s\"; there are: ", name);
		list_scenarios(stderr, " ");
		exit(2);
	}
	return scenario;
}

/** @return NULL for the best. */
static const char *isa_of(const char *name)
{
	char names[64];

	for (unsigned i = 0; burst_variants[i] != NULL; i++) {
		if (strcmp(burst_variants[i]->name, name) == 0)
			return name;
	}
	if (strcmp(name, "best") == 0)
		return NULL;
	plane_isa_names(", ", names, sizeof(names));
	fprintf(stderr, "podlane-bench: --isa takes best, %s, not \"%s\"\n", names, name);
	exit(2);
}

int bench_pipeline(int argc, char **argv)
{
	static const struct option options[] = { { "scenario", 1, NULL, 's' },
		{ "flows", 1, NULL, 'f' }, { "size", 1, NULL, 'b' }, { "memory", 1, NULL, 'm' },
		{ "routes", 1, NULL, 'r' }, { "rules", 1, NULL, 'R' }, { "repeats", 1, NULL, 'n' },
		{ "json", 0, NULL, 'j' }, { "functions", 0, NULL, 'F' },
		{ "no-instructions", 0, NULL, 'I' }, { "file", 1, NULL, 'i' },
		{ "list", 0, NULL, 'l' }, { "isa", 1, NULL, 'a' }, { "callgrind", 1, NULL, 'c' },
		{ "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	struct measure_conf conf = { .flows = 1000, .count = true };
	const char *size = "64", *file = NULL,
		   *one = NULL; /* one: an option of a single scenario */
	bool json = false, functions = false;
	uint32_t callgrind = 0;
	static struct measure result;
	char pages[128];
	json_t *row;
	int c, at = 0;

	while ((c = getopt_long(argc, argv, "", options, &at)) != -1) {
		if (strchr("sfbmrRaFc", c) != NULL)
			one = options[at].name;
		switch (c) {
		case 's':
			conf.scenario = scenario_of(optarg);
			break;
		case 'f':
			conf.flows = bench_number(optarg, "--flows", 1, 2000000);
			break;
		case 'b':
			size = optarg;
			break;
		case 'm':
			conf.cold = strcmp(optarg, "cold") == 0;
			if (!conf.cold && strcmp(optarg, "warm") != 0) {
				fprintf(stderr,
					"podlane-bench: --memory is warm or cold, not \"%s\"\n",
					optarg);
				return 2;
			}
			break;
		case 'r':
			conf.routes = bench_number(optarg, "--routes", 0, 2000000);
			break;
		case 'R':
			conf.rules = bench_number(optarg, "--rules", 0, 100000);
			break;
		case 'a':
			conf.isa = isa_of(optarg);
			break;
		case 'n':
			conf.repeats = bench_number(optarg, "--repeats", 1, 64);
			break;
		case 'j':
			json = true;
			break;
		case 'F':
			functions = true;
			break;
		case 'I':
			conf.count = false;
			break;
		case 'i':
			file = optarg;
			break;
		case 'c':
			callgrind = bench_number(optarg, "--callgrind", 1, 1000);
			break;
		case 'l':
			list_scenarios(stdout, "\n");
			return 0;
		default:
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr,
			"podlane-bench: \"%s\" is no option: see podlane-bench pipeline --help\n",
			argv[optind]);
		return 2;
	}
	if (file != NULL && one != NULL) {
		fprintf(stderr, "podlane-bench: --file says what to measure: leave --%s out\n",
			one);
		return 2;
	}
	if (functions && !conf.count) {
		fprintf(stderr, "podlane-bench: --functions counts: leave --no-instructions out\n");
		return 2;
	}
	if (file != NULL)
		return run_file(file, json, conf.count, conf.repeats);
	if (conf.scenario == NULL) {
		usage(stderr);
		return 2;
	}
	if (!packets_sizes_parse(size, &conf.sizes)) {
		fprintf(stderr,
			"podlane-bench: --size takes bytes from 64 to 1900, or imix, not \"%s\"\n",
			size);
		return 2;
	}
	if (conf.repeats == 0)
		conf.repeats = 11;
	if (callgrind > 0) {
		printf("%u\n", measure_for_callgrind(&conf, callgrind));
		fflush(stdout);
		_exit(0);
	}
	measure_run(&conf, &result);
	plane_pages(pages, sizeof(pages));
	row = row_json(&conf, size, &result, pages);
	if (json) {
		if (functions)
			json_object_set_new(row, "functions", functions_json(&result));
		bench_print_json(row);
	} else {
		printf("%s; %s\n", bench_machine(), pages);
		print_head();
		print_row(row);
		printf("instructions counted by: %s\n", result.counted_by);
	}
	if (functions && !json)
		print_functions(&result);
	fflush(stdout);
	_exit(0); /* packets and ports were borrowed: nothing here is worth an orderly end */
}
