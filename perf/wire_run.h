/* SPDX-License-Identifier: Apache-2.0 */
/** The tester at work: its state, and one trial of sending at a rate and counting what comes back. Main thread. */
#ifndef PERF_WIRE_RUN_H
#define PERF_WIRE_RUN_H

#include "perf/cacheline.h"
#include "perf/wire.h"
#include "perf/wire_frame.h"
#include "perf/wire_latency.h"
#include "perf/wire_port.h"

struct wire_arp;

/** One direction of a trial. */
struct wire_count {
	uint64_t tx; /* frames a port took: what was offered */
	uint64_t rx; /* frames that came back where they should, second copies included */
	uint64_t
		lost; /* of those offered; without stamps copies are not told apart, and stand for lost ones */
	uint64_t
		refused; /* frames a port would not take at an attempt: they were offered again, and are not loss */
};

struct wire_trial {
	double rate;	/* packets a second and direction, WIRE_RATE_MAX */
	double seconds; /* of sending */
	uint64_t limit; /* frames a direction, 0 = none: ends a warm-up */
	double settle;
	bool stamped; /* sequence numbers and times: fills w->latency */

	struct wire_count count[WIRE_DIRECTIONS];
	double elapsed; /* of sending, seconds */
	uint64_t other; /* received frames that are not the tester's, or at the wrong port */
	uint64_t stale; /* received frames of earlier trials */
	bool offered_short; /* less than 99.5 % of the rate was sent: the tester or its port is too slow */
};

struct wire {
	struct wire_options o;
	struct wire_port ports[WIRE_PORTS];
	unsigned n_ports;
	struct rte_mempool *rx_pool, *tx_pools[WIRE_DIRECTIONS][WIRE_CLASSES];
	struct wire_frame frames[WIRE_DIRECTIONS][WIRE_CLASSES];
	unsigned n_classes; /* of the current size */
	uint32_t size;
	uint32_t flow[WIRE_DIRECTIONS];		      /* next to send */
	uint8_t trial;				      /* number of the last one, in the tags */
	struct wire_arp *arp;			      /* NULL without --arp */
	struct wire_latency latency[WIRE_DIRECTIONS]; /* of the last stamped trial */
	struct wire_latency undisturbed
		[WIRE_DIRECTIONS]; /* of frames during whose flight the tester did not miss a turn */
	struct cacheline cacheline_before; /* of the current size; 0 = not measured */
	struct wire_trial taught;	   /* wire_teach's, of the current size */
};

/** Sums over directions, and ratios. What one direction lost is lost, whatever the other got twice. */
struct wire_count wire_trial_total(const struct wire_trial *t);
/** Lost share of what was sent, 0 when all came back or nothing was sent. */
double wire_loss(const struct wire_count *c);
/** @return 0, or -EBADMSG when noticeably more came back than was sent in a direction of a trial without stamps: the
 * device duplicates frames, and what it loses is not known. */
int wire_trial_copies(const struct wire_trial *t, struct error *err);

/** Choose a frame size: templates for both directions. @return 0 or -EINVAL with a message. */
int wire_size_set(struct wire *w, uint32_t size, struct error *err);
/** A trial, without a warm-up. Bounded by its own times. @return 0, -ENOLINK when a port's link went down, -ENOBUFS when
 * not one frame could be sent for want of buffers, -EIO when the ports took none. */
int wire_trial_run(struct wire *w, struct wire_trial *t, struct error *err);
/** Every flow once, at a gentle rate, and what the device needs to wake up. Errors as wire_trial_run. */
int wire_teach(struct wire *w, struct error *err);
/** A short warm-up at the trial's own rate, then the trial. */
int wire_trial_warm(struct wire *w, struct wire_trial *t, struct error *err);

#endif
