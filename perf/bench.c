/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/bench.h"

#include "config/log.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *text;
} commands[] = {
	{ "pipeline", bench_pipeline,
		"cycles a packet of the daemon's own packet path, fed from memory" },
	{ "tables", bench_tables, "the FIB and the flow table alone" },
	{ "change", bench_change,
		"what changes of routes, peers and pods cost beside traffic, and how soon they are "
		"seen" },
	{ "workers", bench_workers,
		"two workers on two CPUs against one, and what they cost each other" },
	{ "policy", bench_policy,
		"verdicts on first packets by the number of rules, and changes of policies" },
	{ "wire", bench_wire,
		"throughput, loss and latency of a device under test, over DPDK ports" },
	{ "cacheline", bench_cacheline, "round trip of a cache line between two cores" },
};

int main(int argc, char **argv)
{
	log_level_set(LOG_LEVEL_WARNING);
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "usage: podlane-bench COMMAND [--help]\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "  %-10s %s\n", commands[i].name, commands[i].text);
	return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
}
