/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/cacheline.h"
#include "perf/wire.h"
#include "perf/wire_echo.h"

#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SELF_TEST_KEYS \
	"src=198.18.0.1,dst=198.19.0.1,src_mac=02:00:00:00:00:0a,dst_mac=02:00:00:00:00:0b"

static const char usage_text[] =
	"usage: podlane-bench wire --a DEVICE [--b DEVICE] --a-to-b KEYS [--b-to-a KEYS] "
	"[options]\n"
	"       podlane-bench wire --self-test [options]\n"
	"\n"
	"Sends UDP through a device under test and counts what comes back: throughput at a loss "
	"ratio (RFC 2544), latency.\n"
	"\n"
	"ports\n"
	"  --a DEVICE, --b DEVICE  a DPDK device string "
	"(net_memif0,role=client,id=0,socket=/x/a.sock,socket-abstract=no) or a\n"
	"                          PCI address; without --b the traffic is expected back on port "
	"a\n"
	"  --a-to-b KEYS           "
	"src=ADDRESS,dst=ADDRESS[/LENGTH][,src_mac=MAC][,dst_mac=MAC][,gw=ADDRESS]\n"
	"                          encapsulated: "
	"vxlan_vni=N[,vxlan_port=N],outer_src=..,outer_dst=..,inner_src_mac=..,\n"
	"                          inner_dst_mac=.. or ipip=1,outer_src=..,outer_dst=..\n"
	"  --b-to-a KEYS           send in this direction as well\n"
	"  --arp                   answer ARP and ND for the stream's addresses, find dst_mac by "
	"asking for gw (else dst)\n"
	"  --a-answers LIST, --b-answers LIST  further addresses or prefixes a port answers for, "
	"with --arp\n"
	"  --self-test             loop through memory: what this tester can do by itself\n"
	"  --echo CPU[,sleep]      no device: a thread on that CPU sends every frame back, "
	"polling, or asleep until it is told: what\n"
	"                          two CPUs of this machine take without any device\n"
	"\n"
	"traffic\n"
	"  --flows N               flows a direction (1): source ports, then destination addresses "
	"or ports\n"
	"  --sizes LIST            frame sizes with checksum as in RFC 2544, or imix (7:4:1 of 64, "
	"594, 1518) (64)\n"
	"\n"
	"measuring (without --rate: search the throughput)\n"
	"  --loss LIST             loss ratios to search for (0)\n"
	"  --resolution PERCENT    where the search ends (1)\n"
	"  --rate PPS|max          trials at this rate a direction instead; k and M are "
	"understood\n"
	"  --latency               percentiles: at 10, 50 and 90 % of the throughput found, or at "
	"--rate\n"
	"  --latency-rate PPS      percentiles at this rate\n"
	"  --seconds S             length of a trial (2)\n"
	"  --repeats N             do everything this many times (1)\n"
	"  --settle MS             silence that ends a trial (100)\n"
	"  --wait S                patience for links and neighbours (10)\n"
	"\n"
	"running\n"
	"  --lcores CPU[,CPU]      one CPU that sends and receives, or one each (the last allowed "
	"CPU)\n"
	"  --cacheline-cpus A,B    measure the round trip of a cache line between two CPUs around "
	"each size\n"
	"  --buffers N             packet buffers to send from, a size and direction (8192)\n"
	"  --memory MB             memory for buffers (what they need)\n"
	"  --rx-queues N           queues to receive from, a port: OVS sends from each of its "
	"threads to another (1)\n"
	"  --no-huge               4 KiB pages, also when there are hugepages\n"
	"  --json                  one JSON object a line\n";

enum option_id {
	OPT_A = 256,
	OPT_B,
	OPT_A_TO_B,
	OPT_B_TO_A,
	OPT_A_ANSWERS,
	OPT_B_ANSWERS,
	OPT_ARP,
	OPT_SELF_TEST,
	OPT_ECHO,
	OPT_FLOWS,
	OPT_SIZES,
	OPT_LOSS,
	OPT_RESOLUTION,
	OPT_RATE,
	OPT_LATENCY,
	OPT_LATENCY_RATE,
	OPT_SECONDS,
	OPT_REPEATS,
	OPT_SETTLE,
	OPT_WAIT,
	OPT_LCORES,
	OPT_CACHELINE_CPUS,
	OPT_BUFFERS,
	OPT_MEMORY,
	OPT_RX_QUEUES,
	OPT_NO_HUGE,
	OPT_JSON,
	OPT_HELP,
};

static const struct option option_table[] = {
	{ "a", 1, NULL, OPT_A },
	{ "b", 1, NULL, OPT_B },
	{ "a-to-b", 1, NULL, OPT_A_TO_B },
	{ "b-to-a", 1, NULL, OPT_B_TO_A },
	{ "a-answers", 1, NULL, OPT_A_ANSWERS },
	{ "b-answers", 1, NULL, OPT_B_ANSWERS },
	{ "arp", 0, NULL, OPT_ARP },
	{ "self-test", 0, NULL, OPT_SELF_TEST },
	{ "echo", 1, NULL, OPT_ECHO },
	{ "flows", 1, NULL, OPT_FLOWS },
	{ "sizes", 1, NULL, OPT_SIZES },
	{ "loss", 1, NULL, OPT_LOSS },
	{ "resolution", 1, NULL, OPT_RESOLUTION },
	{ "rate", 1, NULL, OPT_RATE },
	{ "latency", 0, NULL, OPT_LATENCY },
	{ "latency-rate", 1, NULL, OPT_LATENCY_RATE },
	{ "seconds", 1, NULL, OPT_SECONDS },
	{ "repeats", 1, NULL, OPT_REPEATS },
	{ "settle", 1, NULL, OPT_SETTLE },
	{ "wait", 1, NULL, OPT_WAIT },
	{ "lcores", 1, NULL, OPT_LCORES },
	{ "cacheline-cpus", 1, NULL, OPT_CACHELINE_CPUS },
	{ "buffers", 1, NULL, OPT_BUFFERS },
	{ "memory", 1, NULL, OPT_MEMORY },
	{ "rx-queues", 1, NULL, OPT_RX_QUEUES },
	{ "no-huge", 0, NULL, OPT_NO_HUGE },
	{ "json", 0, NULL, OPT_JSON },
	{ "help", 0, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

#define WRONG (-1 - 2)
#define DONE  (-1 - 0)

static int wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int wrong(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "podlane-bench wire: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	return WRONG;
}

/** A number, with k, M or G behind it when `scaled`. */
static bool number_parse(const char *text, bool scaled, double min, double max, double *value)
{
	char *end;

	*value = strtod(text, &end);
	if (end == text || (text[0] != '.' && (text[0] < '0' || text[0] > '9')))
		return false;
	if (scaled && *end != '\0') {
		*value *= *end == 'k' ? 1e3 : *end == 'M' ? 1e6 : *end == 'G' ? 1e9 : -1;
		end++;
	}
	return *end == '\0' && *value >= min && *value <= max;
}

static int number(
	const char *name, const char *text, bool scaled, double min, double max, double *value)
{
	if (!number_parse(text, scaled, min, max, value))
		return wrong("--%s takes a number from %.10g to %.10g, not \"%s\"", name, min, max,
			text);
	return 0;
}

static int whole(const char *name, const char *text, uint32_t min, uint32_t max, uint32_t *value)
{
	double v;

	if (!number_parse(text, true, min, max, &v) || v != (double)(uint32_t)v)
		return wrong("--%s takes a whole number from %u to %u, not \"%s\"", name, min, max,
			text);
	*value = (uint32_t)v;
	return 0;
}

static int sizes_parse(const char *text, struct wire_options *o)
{
	char copy[256], *rest = copy, *item;

	snprintf(copy, sizeof(copy), "%s", text);
	o->n_sizes = 0;
	while ((item = strsep(&rest, ",")) != NULL) {
		uint32_t size = WIRE_SIZE_IMIX;

		if (o->n_sizes == WIRE_SIZES_MAX)
			return wrong("--sizes takes at most %d sizes", WIRE_SIZES_MAX);
		if (strcmp(item, "imix") != 0 &&
			whole("sizes", item, 64, WIRE_FRAME_MAX, &size) < 0)
			return WRONG;
		o->sizes[o->n_sizes++] = size;
	}
	return 0;
}

static int losses_parse(const char *text, struct wire_options *o)
{
	char copy[256], *rest = copy, *item;

	snprintf(copy, sizeof(copy), "%s", text);
	o->n_losses = 0;
	while ((item = strsep(&rest, ",")) != NULL) {
		if (o->n_losses == WIRE_LOSSES_MAX)
			return wrong("--loss takes at most %d ratios", WIRE_LOSSES_MAX);
		if (number("loss", item, false, 0, 0.99, &o->losses[o->n_losses++]) < 0)
			return WRONG;
	}
	return 0;
}

static int answers_parse(const char *name, const char *text, struct wire_options *o, unsigned port)
{
	char copy[1024], *rest = copy, *item;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((item = strsep(&rest, ",")) != NULL) {
		if (o->n_answers[port] == WIRE_ANSWERS_MAX)
			return wrong("--%s takes at most %d addresses", name, WIRE_ANSWERS_MAX);
		if (ip_prefix_parse(item, &o->answers[port][o->n_answers[port]++]) < 0)
			return wrong("--%s takes addresses or prefixes, not \"%s\"", name, item);
	}
	return 0;
}

static int keys_parse(
	const char *name, const char *text, struct wire_options *o, unsigned direction)
{
	struct error err;

	if (wire_keys_parse(text, &o->keys[direction], &err) < 0)
		return wrong("--%s: %s", name, err.text);
	o->active[direction] = true;
	return 0;
}

static int lcores_parse(const char *text, struct wire_options *o)
{
	int n = sscanf(text, "%d,%d", &o->cpu_tx, &o->cpu_rx);
	char again[32];

	if (n == 1)
		o->cpu_rx = -1;
	snprintf(again, sizeof(again), n == 2 ? "%d,%d" : "%d", o->cpu_tx, o->cpu_rx);
	if (n < 1 || strcmp(again, text) != 0 || o->cpu_tx < 0 || (n == 2 && o->cpu_rx < 0) ||
		o->cpu_tx == o->cpu_rx)
		return wrong(
			"--lcores takes one CPU or two different ones, as in 1 or 1,0, not \"%s\"",
			text);
	return 0;
}

static int echo_parse(const char *name, const char *text, struct wire_options *o)
{
	char *end;
	long cpu = strtol(text, &end, 10);

	if (end == text || cpu < 0 || cpu >= CPU_SETSIZE ||
		(*end != '\0' && strcmp(end, ",sleep") != 0))
		return wrong("--%s takes a CPU, or a CPU and the word sleep, as in 0 or 0,sleep, "
			     "not \"%s\"",
			name, text);
	o->echo_cpu = (int)cpu;
	o->echo_sleeps = *end != '\0';
	o->device[0] = WIRE_ECHO_DEVICE;
	return keys_parse(name, SELF_TEST_KEYS, o, 0);
}

/** @return 0, or what wire_options_parse shall return. */
static int one(int id, const char *name, struct wire_options *o)
{
	switch (id) {
	case OPT_A:
	case OPT_B:
		o->device[id - OPT_A] = optarg;
		return 0;
	case OPT_A_TO_B:
	case OPT_B_TO_A:
		return keys_parse(name, optarg, o, (unsigned)(id - OPT_A_TO_B));
	case OPT_A_ANSWERS:
	case OPT_B_ANSWERS:
		return answers_parse(name, optarg, o, (unsigned)(id - OPT_A_ANSWERS));
	case OPT_ARP:
		o->arp = true;
		return 0;
	case OPT_SELF_TEST:
		o->self_test = true;
		o->device[0] = "net_ring0";
		return keys_parse(name, SELF_TEST_KEYS, o, 0);
	case OPT_ECHO:
		return echo_parse(name, optarg, o);
	case OPT_FLOWS:
		return whole(name, optarg, 1, 100000000, &o->flows);
	case OPT_SIZES:
		return sizes_parse(optarg, o);
	case OPT_LOSS:
		return losses_parse(optarg, o);
	case OPT_RESOLUTION:
		if (number(name, optarg, false, 0.01, 50, &o->resolution) < 0)
			return WRONG;
		o->resolution /= 100;
		return 0;
	case OPT_RATE:
		o->fixed = true;
		o->rate = WIRE_RATE_MAX;
		return strcmp(optarg, "max") == 0 ? 0
						  : number(name, optarg, true, 1, 1e9, &o->rate);
	case OPT_LATENCY:
		o->latency = true;
		return 0;
	case OPT_LATENCY_RATE:
		return number(name, optarg, true, 1, 1e9, &o->latency_rate);
	case OPT_SECONDS:
		return number(name, optarg, false, 0.01, 86400, &o->seconds);
	case OPT_REPEATS:
		return whole(name, optarg, 1, 1000, &o->repeats);
	case OPT_SETTLE:
		if (number(name, optarg, false, 1, 10000, &o->settle) < 0)
			return WRONG;
		o->settle /= 1000;
		return 0;
	case OPT_WAIT:
		return number(name, optarg, false, 0, 600, &o->wait);
	case OPT_LCORES:
		return lcores_parse(optarg, o);
	case OPT_CACHELINE_CPUS:
		o->cacheline = true;
		if (cacheline_cpus_parse(optarg, o->cacheline_cpus) < 0)
			return wrong("--%s takes two different CPUs, as in 0,1, not \"%s\"", name,
				optarg);
		return 0;
	case OPT_BUFFERS:
		return whole(name, optarg, 512, 1u << 20, &o->buffers);
	case OPT_MEMORY:
		return whole(name, optarg, 32, 1u << 20, &o->memory_mb);
	case OPT_RX_QUEUES:
		return whole(name, optarg, 1, WIRE_RX_QUEUES_MAX, &o->rx_queues);
	case OPT_NO_HUGE:
		o->no_huge = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_HELP:
		fputs(usage_text, stdout);
		return DONE;
	default:
		fprintf(stderr, "see `podlane-bench wire --help`\n");
		return WRONG;
	}
}

static int check(struct wire_options *o)
{
	if (o->device[0] == NULL)
		return wrong("--a DEVICE is missing; see --help");
	if (!o->active[0] && !o->active[1])
		return wrong("--a-to-b KEYS is missing: what shall be sent? See --help");
	if ((o->self_test || o->echo_cpu >= 0) && o->device[1] != NULL)
		return wrong("--%s has no port b", o->self_test ? "self-test" : "echo");
	if (o->echo_cpu >= 0 && (o->echo_cpu == o->cpu_tx || o->echo_cpu == o->cpu_rx))
		return wrong(
			"--echo: CPU %d is the tester's own (--lcores): the thread needs another",
			o->echo_cpu);
	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		if (o->active[d] && mac_addr_is_zero(&o->keys[d].dst_mac) && !o->arp)
			return wrong("--%s: dst_mac is missing: give it, or --arp and gw=ADDRESS "
				     "to ask for it",
				wire_direction_names[d]);
	}
	if ((o->n_answers[0] > 0 || o->n_answers[1] > 0) && !o->arp)
		return wrong("--%c-answers needs --arp", o->n_answers[0] > 0 ? 'a' : 'b');
	if (o->n_answers[1] > 0 && o->device[1] == NULL)
		return wrong("--b-answers needs --b");
	o->search = !o->fixed && (o->latency_rate == 0 || o->latency);
	return 0;
}

int wire_options_parse(int argc, char **argv, struct wire_options *o)
{
	int id, index = 0, ret;

	*o = (struct wire_options){ .flows = 1,
		.sizes = { 64 },
		.n_sizes = 1,
		.n_losses = 1,
		.seconds = 2,
		.resolution = 0.01,
		.rx_queues = 1,
		.settle = 0.1,
		.wait = 10,
		.repeats = 1,
		.buffers = 8192,
		.cpu_tx = -1,
		.cpu_rx = -1,
		.echo_cpu = -1 };
	optind = 1;
	while ((id = getopt_long(argc, argv, "", option_table, &index)) != -1) {
		ret = one(id, id == '?' ? "" : option_table[index].name, o);
		if (ret < 0)
			return ret;
	}
	if (optind < argc)
		return wrong("\"%s\" is not an option; see --help", argv[optind]);
	return check(o);
}

const char *wire_size_name(uint32_t size, char buf[12])
{
	if (size == WIRE_SIZE_IMIX)
		snprintf(buf, 12, "imix");
	else
		snprintf(buf, 12, "%u", size);
	return buf;
}
