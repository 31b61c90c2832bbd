/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/measure.h"

#include "dataplane/worker.h"
#include "perf/verify.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WARM_PACKETS	 256
#define NEW_FLOW_PACKETS 16384
#define ROUND_PACKETS	 65536 /* a repeat runs at least this many */
#define NEW_FLOW_FILL	 24    /* sets run before a table's memory counts as used */

static struct {
	struct measure_conf conf;
	struct plane plane;
	struct packets set;
	struct worker *w;
	uint32_t next_flow;
} b;

static bool is_new_flow(void)
{
	return b.conf.scenario->work == PLANE_NEW_FLOW;
}

static void set_up(const struct measure_conf *conf, bool small_pages)
{
	struct packets_conf packets = { .scenario = conf->scenario,
		.flows = conf->flows,
		.sizes = conf->sizes,
		.scattered = conf->cold };
	struct plane_conf plane = { .scenario = conf->scenario,
		.routes = conf->routes,
		.rules = conf->rules,
		.small_pages = small_pages,
		.isa = conf->isa };

	b.conf = *conf;
	packets.count = conf->cold	? packets_cold_count()
			: is_new_flow() ? NEW_FLOW_PACKETS
					: WARM_PACKETS;
	plane.buffers = packets.count;
	/* Half full with both directions at most, as the default table of a daemon. */
	plane.flow_entries = RTE_MAX(1u << 20, conf->flows * 4);
	plane_start(&b.plane, &plane);
	b.w = plane_enter(&b.plane, 0);
	packets_new(&b.set, &b.plane, &packets);
}

/** All packets of the set, written anew, burst by burst. @return cycles. */
static uint64_t run_set(uint32_t first_flow)
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

static void warm_up(void)
{
	uint32_t count = b.set.conf.count;

	/* New flows come into a table whose memory has been used before, as in a daemon that runs for a while. */
	for (uint32_t i = 0; is_new_flow() && i < NEW_FLOW_FILL; i++, b.next_flow += count)
		run_set(b.next_flow);
	/* Every flow once, so that the timed packets all hit. */
	for (uint32_t seen = 0; !is_new_flow() && seen < b.conf.flows + count; seen += count)
		run_set(seen);
}

/** New flows come into a table that holds conf.flows others, in whole sets. */
static void forget_flows(void)
{
	flow_table_flush(b.w->flows);
	rcu_quiescent(b.w->id);
	rcu_reclaim();
	for (uint32_t held = b.set.conf.count; held <= b.conf.flows; held += b.set.conf.count) {
		run_set(b.next_flow);
		b.next_flow += b.set.conf.count;
	}
}

/** One set, looked at packet by packet. */
static void verify(void)
{
	if (is_new_flow())
		forget_flows();
	verify_set(&b.plane, b.w, &b.set, b.next_flow, is_new_flow());
	b.next_flow += b.set.conf.count;
}

static void time_path(struct samples *cycles)
{
	uint32_t rounds = is_new_flow() ? 1 : RTE_MAX(1u, ROUND_PACKETS / b.set.conf.count);
	uint64_t before, sum = 0;

	if (is_new_flow())
		forget_flows();
	before = plane_sent(0);
	for (uint32_t i = 0; i < rounds; i++, b.next_flow += b.set.conf.count)
		sum += run_set(b.next_flow);
	if (plane_sent(0) - before != (uint64_t)rounds * b.set.conf.count)
		bench_die("not every packet was forwarded: the figures would be of drops", NULL);
	samples_add(cycles, (double)sum / ((double)rounds * b.set.conf.count));
}

/** The stages one by one, over packets of the same flows. */
static void time_stages(struct measure *result)
{
	uint32_t rounds = is_new_flow() ? 1 : RTE_MAX(1u, ROUND_PACKETS / b.set.conf.count);
	uint64_t cycles[STAGES_MAX] = { 0 }, start, before = plane_sent(0);

	for (uint32_t r = 0; r < rounds; r++, b.next_flow += b.set.conf.count) {
		packets_prepare(&b.set, b.next_flow);
		for (uint32_t i = 0; i < b.set.conf.count; i += VECTOR_SIZE) {
			uint16_t n = (uint16_t)RTE_MIN(b.set.conf.count - i, (uint32_t)VECTOR_SIZE);

			memcpy(b.w->pkts, b.set.m + i, n * sizeof(b.set.m[0]));
			for (unsigned s = 0; s < result->n_stages; s++) {
				start = bench_tsc();
				stages[s].run(b.w, b.set.in, n);
				cycles[s] += bench_tsc() - start;
			}
			plane_burst_begin(b.w);
		}
	}
	if (plane_sent(0) - before != (uint64_t)rounds * b.set.conf.count)
		bench_die("the stages did not forward every packet: the figures would be of "
			  "something else",
			NULL);
	for (unsigned s = 0; s < result->n_stages; s++)
		samples_add(&result->stages[s].cycles,
			(double)cycles[s] / ((double)rounds * b.set.conf.count));
}

/* --- instructions -------------------------------------------------------------------------------------------------- */

/** Instructions in user mode of this thread, or -1 where there are no counters (most virtual machines). */
static int counter_open(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1 };

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static double count_by_counter(int fd)
{
	uint32_t count = b.set.conf.count;
	uint64_t instructions = 0;

	packets_prepare(&b.set, b.next_flow);
	b.next_flow += count;
	ioctl(fd, PERF_EVENT_IOC_RESET, 0);
	ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
	for (uint32_t i = 0; i + VECTOR_SIZE <= count; i += VECTOR_SIZE)
		plane_burst(b.w, b.set.in, b.set.m + i, VECTOR_SIZE);
	ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
	if (read(fd, &instructions, sizeof(instructions)) != sizeof(instructions))
		return -1;
	return (double)instructions / (count / VECTOR_SIZE * VECTOR_SIZE);
}

/** One burst; its own instructions (copying the pointers, as a driver would) are not the path's. */
static void one_burst(void *arg)
{
	(void)arg;
	plane_burst(b.w, b.set.in, b.set.m, VECTOR_SIZE);
}

static uint64_t self_count(const struct steps *steps, const char *name)
{
	for (size_t i = 0; i < steps->n_functions; i++) {
		if (strcmp(steps->functions[i].name, name) == 0)
			return steps->functions[i].count;
	}
	return 0;
}

static void one_stage(void *arg)
{
	const struct stage *stage = arg;

	stage->run(b.w, b.set.in, VECTOR_SIZE);
}

static void prepare_counted(void)
{
	packets_prepare(&b.set, b.next_flow);
	b.next_flow += b.set.conf.count;
}

/** One burst as a whole, with names of functions; then one stage by stage. */
static void count_by_steps(struct measure *result)
{
	struct steps steps;
	int ret;

	if (is_new_flow())
		forget_flows();
	prepare_counted();
	ret = steps_count(one_burst, NULL, &result->steps);
	if (ret < 0) {
		result->counted_by = ret == -EPERM ? "not counted: tracing is not allowed here"
						   : "not counted: single-stepping failed";
		return;
	}
	result->counted_by = "steps";
	result->steps_packets = VECTOR_SIZE;
	result->instructions =
		(double)(result->steps.total - self_count(&result->steps, "one_burst")) /
		VECTOR_SIZE;
	prepare_counted();
	memcpy(b.w->pkts, b.set.m, VECTOR_SIZE * sizeof(b.set.m[0]));
	for (unsigned s = 0; s < result->n_stages; s++) {
		if (steps_count(one_stage, (void *)(uintptr_t)&stages[s], &steps) < 0)
			return;
		result->stages[s].instructions =
			(double)(steps.total - self_count(&steps, "one_stage")) / VECTOR_SIZE;
		free(steps.functions);
	}
}

void measure_run(const struct measure_conf *conf, struct measure *result)
{
	int fd;

	*result = (struct measure){ .instructions = -1, .counted_by = "not asked for" };
	for (; stages[result->n_stages].name != NULL; result->n_stages++) {
		result->stages[result->n_stages].name = stages[result->n_stages].name;
		result->stages[result->n_stages].instructions = -1;
	}
	set_up(conf, false);
	result->isa = burst_selected()->name;
	warm_up();
	verify();
	for (uint32_t r = 0; r < conf->repeats; r++) {
		time_path(&result->cycles);
		time_stages(result);
	}
	verify();
	if (!conf->count)
		return;
	count_by_steps(result);
	fd = counter_open();
	if (fd >= 0) {
		double instructions = count_by_counter(fd);

		if (instructions > 0) {
			result->instructions = instructions;
			result->counted_by = "counter";
		}
		close(fd);
	}
}

/* --- callgrind ------------------------------------------------------------------------------------------------------ */

void measure_counted(void);

__attribute__((noinline)) void measure_counted(void)
{
	for (uint32_t i = 0; i + VECTOR_SIZE <= b.set.conf.count; i += VECTOR_SIZE)
		plane_burst(b.w, b.set.in, b.set.m + i, VECTOR_SIZE);
}

uint32_t measure_for_callgrind(const struct measure_conf *conf, uint32_t bursts)
{
	uint32_t sets, packets = 0;
	uint64_t before;

	set_up(conf, true);
	/* No flow exists yet. Any constant does. */
	for (unsigned i = 0; i < RTE_DIM(((struct flow_secret *)0)->word); i++)
		((struct flow_secret *)b.w->flows)->word[i] = 0x9e3779b97f4a7c15u * (2 * i + 3);
	if (!is_new_flow())
		warm_up();
	sets = RTE_MAX(1u, bursts * VECTOR_SIZE / b.set.conf.count);
	before = plane_sent(0);
	for (uint32_t i = 0; i < sets; i++, b.next_flow += b.set.conf.count) {
		packets_prepare(&b.set, b.next_flow);
		measure_counted();
		packets += b.set.conf.count;
	}
	if (plane_sent(0) - before != packets)
		bench_die("not every packet was forwarded: the figures would be of drops", NULL);
	return packets;
}
