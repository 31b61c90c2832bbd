/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/wire_search.h"

#include "perf/wire_report.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define STEPS_MAX    24
#define FRAMES_LEAST 1000 /* of a direction in a trial that is believed */

/** Every direction must hold the ratio. */
static double worst_loss(const struct wire *w, const struct wire_trial *t)
{
	double worst = 0;

	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		double loss = w->o.active[d] ? wire_loss(&t->count[d]) : 0;

		worst = loss > worst ? loss : worst;
	}
	return worst;
}

/** What was sent, a second and direction: the fastest direction's. */
static double offered(const struct wire_trial *t)
{
	uint64_t most = t->count[0].tx > t->count[1].tx ? t->count[0].tx : t->count[1].tx;

	return t->elapsed > 0 ? (double)most / t->elapsed : 0;
}

static bool is_evidence(const struct wire *w, const struct wire_trial *t)
{
	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		if (w->o.active[d] && t->count[d].tx < FRAMES_LEAST)
			return false;
	}
	return true;
}

/** A direction in which nothing came back of the last trial, and something did at a rate as high before: not for the rate. */
static int check_alive(const struct wire *w, const struct wire_search *s,
	const struct wire_trial *t, struct error *err)
{
	if (!is_evidence(w, t))
		return 0;
	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		/* The last to be compared with is the teaching. */
		for (unsigned i = 0; w->o.active[d] && t->count[d].rx == 0 && i <= s->n; i++) {
			const struct wire_trial *before = i < s->n ? &s->trials[i] : &w->taught;

			if (before->count[d].rx > 0 && offered(before) >= offered(t))
				return error_set(err, ENODATA, NULL,
					"%s: nothing came back of %.0f packets a second, and did "
					"of %.0f before: "
					"the device under test has stopped",
					wire_direction_names[d], offered(t), offered(before));
		}
	}
	return 0;
}

static int try(struct wire *w, struct wire_search *s, double rate, const struct wire_trial **out,
	struct error *err)
{
	struct wire_trial *t;
	int ret;

	if (s->n == WIRE_TRIALS_MAX)
		return error_set(err, E2BIG, NULL, "too many trials");
	t = &s->trials[s->n];
	*t = (struct wire_trial){ .rate = rate, .seconds = w->o.seconds, .settle = w->o.settle };
	ret = wire_trial_warm(w, t, err);
	if (ret < 0)
		return ret;
	s->n++;
	wire_report_trial(w, t, "search");
	*out = t;
	if (atomic_load(&wire_interrupted))
		return error_set(err, EINTR, NULL, "interrupted");
	ret = wire_trial_copies(t, err);
	return ret < 0 ? ret : check_alive(w, s, t, err);
}

/** The best trial that lost little enough, and the lowest rate above it that is known to lose too much. */
static const struct wire_trial *bounds(
	const struct wire *w, const struct wire_search *s, double loss, double *low, double *high)
{
	const struct wire_trial *best = NULL;

	*low = 0;
	for (unsigned i = 0; i < s->n; i++) {
		const struct wire_trial *t = &s->trials[i];

		if (worst_loss(w, t) <= loss && offered(t) > *low && is_evidence(w, t)) {
			best = t;
			*low = offered(t);
		}
	}
	*high = 0;
	for (unsigned i = 0; i < s->n; i++) {
		double rate = offered(&s->trials[i]);

		if (worst_loss(w, &s->trials[i]) > loss && rate > *low &&
			(*high == 0 || rate < *high))
			*high = rate;
	}
	return best;
}

int wire_search_run(struct wire *w, struct wire_search *s, double loss, struct wire_trial *found,
	struct error *err)
{
	const struct wire_trial *t = NULL, *best;
	double low, high, next;
	int ret = 0;

	memset(found, 0, sizeof(*found));
	if (s->n == 0) {
		ret = try(w, s, WIRE_RATE_MAX, &t, err);
		/* What came back of too much is a good first guess. */
		if (ret == 0 && worst_loss(w, t) > loss && offered(t) > 0) {
			struct wire_count total = wire_trial_total(t);
			double guess = offered(t) * (double)total.rx / (double)total.tx;

			if (guess * w->o.seconds >= FRAMES_LEAST)
				ret = try(w, s, guess, &t, err);
		}
	}
	for (unsigned step = 0; ret == 0 && step < STEPS_MAX; step++) {
		best = bounds(w, s, loss, &low, &high);
		/* All lost at any rate so far: come down quickly. */
		next = best != NULL ? (low + high) / 2 : high / 2;
		if (high == 0 || high - low <= w->o.resolution * high ||
			next * w->o.seconds < FRAMES_LEAST)
			break;
		ret = try(w, s, next, &t, err);
		if (best == NULL && step > 12)
			break;
	}
	best = bounds(w, s, loss, &low, &high);
	if (best != NULL)
		*found = *best;
	return ret;
}
