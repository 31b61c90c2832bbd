/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/wire_report.h"

#include <jansson.h>
#include <rte_cycles.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *name;
	double ratio;
} quantiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99.9", 0.999 } };

static double per_second(uint64_t n, const struct wire_trial *t)
{
	return t->elapsed > 0 ? (double)n / t->elapsed : 0;
}

static double microseconds(uint64_t cycles)
{
	return (double)cycles * 1e6 / (double)rte_get_tsc_hz();
}

static double rounded(double value, double unit)
{
	return (double)(int64_t)(value * unit + 0.5) / unit;
}

static void json_line(json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(12));

	if (text != NULL)
		puts(text);
	fflush(stdout);
	free(text);
	json_decref(line);
}

static void set_count(json_t *to, const struct wire_count *c, const struct wire_trial *t)
{
	json_object_set_new(to, "tx", json_integer((json_int_t)c->tx));
	json_object_set_new(to, "rx", json_integer((json_int_t)c->rx));
	json_object_set_new(to, "refused", json_integer((json_int_t)c->refused));
	json_object_set_new(to, "offered_pps", json_real(rounded(per_second(c->tx, t), 1)));
	json_object_set_new(to, "pps", json_real(rounded(per_second(c->rx, t), 1)));
	json_object_set_new(to, "mpps", json_real(rounded(per_second(c->rx, t) / 1e6, 1e4)));
	json_object_set_new(to, "loss", json_real(wire_loss(c)));
}

static json_t *latency_json(const struct wire_latency *l)
{
	json_t *out = json_object();

	if (l->count == 0)
		return out;
	json_object_set_new(out, "min", json_real(rounded(microseconds(l->min), 1e3)));
	json_object_set_new(
		out, "mean", json_real(rounded(microseconds(l->sum) / (double)l->count, 1e3)));
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
		json_object_set_new(out, quantiles[i].name,
			json_real(rounded(
				microseconds(wire_latency_quantile(l, quantiles[i].ratio)), 1e3)));
	json_object_set_new(out, "max", json_real(rounded(microseconds(l->max), 1e3)));
	return out;
}

static void set_latency(
	json_t *to, const struct wire_latency *l, const struct wire_latency *undisturbed)
{
	json_object_set_new(to, "latency_us", latency_json(l));
	json_object_set_new(to, "undisturbed", json_integer((json_int_t)undisturbed->count));
	json_object_set_new(to, "undisturbed_us", latency_json(undisturbed));
	json_object_set_new(to, "reordered", json_integer((json_int_t)l->reordered));
	json_object_set_new(to, "duplicates", json_integer((json_int_t)l->duplicates));
}

/** What all kinds of lines have. */
static json_t *line_new(
	const struct wire *w, const struct wire_trial *t, const char *kind, bool latency)
{
	json_t *line = json_object(), *directions = json_array();
	struct wire_count total = wire_trial_total(t);

	json_object_set_new(line, "kind", json_string(kind));
	json_object_set_new(line, "size",
		w->size == WIRE_SIZE_IMIX ? json_string("imix") : json_integer(w->size));
	json_object_set_new(line, "flows", json_integer(w->o.flows));
	json_object_set_new(line, "seconds", json_real(rounded(t->elapsed, 1e6)));
	json_object_set_new(line, "requested_pps", t->rate > 0 ? json_real(t->rate) : json_null());
	set_count(line, &total, t);
	json_object_set_new(line, "offered_short", json_boolean(t->offered_short));
	json_object_set_new(line, "other", json_integer((json_int_t)t->other));
	json_object_set_new(line, "stale", json_integer((json_int_t)t->stale));
	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		json_t *one;

		if (!w->o.active[d])
			continue;
		one = json_object();
		json_object_set_new(one, "direction", json_string(wire_direction_names[d]));
		set_count(one, &t->count[d], t);
		if (latency)
			set_latency(one, &w->latency[d], &w->undisturbed[d]);
		json_array_append_new(directions, one);
	}
	json_object_set_new(line, "directions", directions);
	if (w->o.cacheline)
		json_object_set_new(line, "cacheline_tsc_before",
			w->cacheline_before.spin > 0 ? json_integer(w->cacheline_before.spin)
						     : json_null());
	return line;
}

static void text_count(const struct wire *w, const struct wire_trial *t)
{
	struct wire_count total = wire_trial_total(t);
	char size[12];

	printf("%5s %s %8u flows: sent %10.4f Mpps, back %10.4f Mpps, loss %.4g %%",
		wire_size_name(w->size, size), w->size == WIRE_SIZE_IMIX ? " " : "B", w->o.flows,
		per_second(total.tx, t) / 1e6, per_second(total.rx, t) / 1e6,
		100 * wire_loss(&total));
	if (t->offered_short)
		printf(" (offered short: %.4f Mpps a direction were asked for)", t->rate / 1e6);
	if (t->other > 0)
		printf(" (%lu other frames)", (unsigned long)t->other);
	for (unsigned d = 0; w->o.active[0] && w->o.active[1] && d < WIRE_DIRECTIONS; d++)
		printf("\n        %s: sent %.4f, back %.4f Mpps, loss %.4g %%",
			wire_direction_names[d], per_second(t->count[d].tx, t) / 1e6,
			per_second(t->count[d].rx, t) / 1e6, 100 * wire_loss(&t->count[d]));
}

void wire_report_trial(const struct wire *w, const struct wire_trial *t, const char *purpose)
{
	json_t *line;

	if (!w->o.json) {
		text_count(w, t);
		printf("  [%s]\n", purpose);
		fflush(stdout);
		return;
	}
	line = line_new(w, t, "trial", false);
	json_object_set_new(line, "purpose", json_string(purpose));
	json_line(line);
}

void wire_report_throughput(
	const struct wire *w, const struct wire_trial *found, double loss, uint32_t repeat)
{
	struct wire_count total = wire_trial_total(found);
	char size[12];
	json_t *line;

	if (w->o.json) {
		line = line_new(w, found, "throughput", false);
		json_object_set_new(line, "loss_allowed", json_real(loss));
		json_object_set_new(line, "repeat", json_integer(repeat));
		json_object_set_new(line, "found", json_boolean(total.tx > 0));
		json_line(line);
	} else if (total.tx > 0) {
		printf("%5s %s throughput at loss <= %g %%: %.4f Mpps\n",
			wire_size_name(w->size, size), w->size == WIRE_SIZE_IMIX ? " " : "B",
			100 * loss, per_second(total.rx, found) / 1e6);
	} else {
		printf("%5s %s no rate has loss <= %g %%\n", wire_size_name(w->size, size),
			w->size == WIRE_SIZE_IMIX ? " " : "B", 100 * loss);
	}
	fflush(stdout);
}

/** Of all active directions. */
static void latency_all(
	const struct wire *w, const struct wire_latency *of, struct wire_latency *all)
{
	*all = of[w->o.active[0] ? 0 : 1];
	if (w->o.active[0] && w->o.active[1])
		wire_latency_merge(all, &of[1]);
}

static void text_latency(const struct wire_latency *l)
{
	printf(": min %.1f, mean %.1f", microseconds(l->min),
		microseconds(l->sum) / (double)l->count);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
		printf(", %s %.1f", quantiles[i].name,
			microseconds(wire_latency_quantile(l, quantiles[i].ratio)));
	printf(", max %.1f us", microseconds(l->max));
}

void wire_report_latency(
	const struct wire *w, const struct wire_trial *t, unsigned percent, uint32_t repeat)
{
	static struct wire_latency all, undisturbed;

	latency_all(w, w->latency, &all);
	latency_all(w, w->undisturbed, &undisturbed);
	if (w->o.json) {
		json_t *line = line_new(w, t, "latency", true);

		set_latency(line, &all, &undisturbed);
		json_object_set_new(
			line, "percent", percent > 0 ? json_integer(percent) : json_null());
		json_object_set_new(line, "repeat", json_integer(repeat));
		json_line(line);
		return;
	}
	text_count(w, t);
	printf("\n        latency");
	if (percent > 0)
		printf(" at %u %% of the throughput", percent);
	if (all.count == 0) {
		printf(": nothing came back\n");
	} else {
		text_latency(&all);
		printf("; %lu reordered, %lu twice\n", (unsigned long)all.reordered,
			(unsigned long)all.duplicates);
	}
	if (undisturbed.count > 0 && undisturbed.count < all.count) {
		printf("        without %.2g %% that flew while the tester was away",
			100.0 - 100.0 * (double)undisturbed.count / (double)all.count);
		text_latency(&undisturbed);
		printf("\n");
	}
	fflush(stdout);
}

static json_t *cycles_json(long cycles)
{
	return cycles > 0 ? json_integer(cycles) : json_null();
}

void wire_report_cacheline(
	const struct wire *w, const struct cacheline *before, const struct cacheline *after)
{
	json_t *line;
	char size[12];

	if (!w->o.json) {
		printf("%5s   round trip of a cache line between CPUs %u and %u: %ld TSC cycles "
		       "before, %ld after (with pauses %ld, %ld)%s\n",
			wire_size_name(w->size, size), w->o.cacheline_cpus[0],
			w->o.cacheline_cpus[1], before->spin, after->spin, before->pause,
			after->pause,
			before->spin == 0 || after->spin == 0 ? " (0: the CPUs were too busy)"
							      : "");
		fflush(stdout);
		return;
	}
	line = json_object();
	json_object_set_new(line, "kind", json_string("cacheline"));
	json_object_set_new(line, "size",
		w->size == WIRE_SIZE_IMIX ? json_string("imix") : json_integer(w->size));
	json_object_set_new(line, "cpus",
		json_pack("[i,i]", (int)w->o.cacheline_cpus[0], (int)w->o.cacheline_cpus[1]));
	json_object_set_new(line, "cacheline_tsc_before", cycles_json(before->spin));
	json_object_set_new(line, "cacheline_tsc_after", cycles_json(after->spin));
	json_object_set_new(line, "cacheline_pause_tsc_before", cycles_json(before->pause));
	json_object_set_new(line, "cacheline_pause_tsc_after", cycles_json(after->pause));
	json_line(line);
}
