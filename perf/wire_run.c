/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/wire_run.h"

#include "perf/wire_arp.h"
#include "perf/wire_echo.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_prefetch.h>
#include <stdatomic.h>
#include <stdlib.h>

#define PATTERN	     12u /* frames after which sizes repeat */
#define RX_BURST     64
#define RX_ROUNDS    8	  /* bursts a port and turn at most, so that sending does not starve */
#define LINK_PERIOD  0.05 /* seconds between looks at the links */
#define DEBT_SECONDS 1e-4 /* what pacing may catch up with after a pause */
#define BURST_SECONDS \
	2e-6 /* bursts of paced trials without stamps are as long as this, so that a high rate is not sent
			     * one by one */
/* Polling a shared ring takes its cache lines from the device under test: without stamps there is no hurry. */
#define REFUSED_SECONDS 2e-6 /* pause after a full ring: a small part of what a ring holds */
#define EMPTY_SECONDS	1e-6 /* pause after a short burst was received */
#define AWAY_SECONDS \
	5e-6 /* a longer turn of the receiving loop means that something else ran on its CPU */
#define TEACH_RATE  1e6
#define TEACH_LEAST 1e5 /* whatever rate the user asks for: many flows must not take minutes */
#define TEACH_FRAMES \
	4096u /* so many at least: every slot and buffer of a ring is touched once, page faults are over */
#define WARM_SECONDS  0.05
#define WARM_SETTLE   0.01
#define OFFERED_LEAST 0.995
#define COPIES_LEAST  1.001

/* RFC 6985 writes this as 7:4:1; interleaved, so that a burst has all of them. */
static const uint8_t imix_pattern[PATTERN] = { 0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 1, 0 };
static const uint8_t plain_pattern[PATTERN];
static const uint32_t imix_sizes[WIRE_CLASSES] = { 64, 594, 1518 };
#define IMIX_LEAST_V6 84 /* what has room for the tag */

struct sender {
	uint16_t port;
	unsigned n_classes;
	const struct wire_frame *frames;
	struct rte_mempool **pools;
	const uint8_t *pattern; /* class of the next frames, by turns */
	unsigned turn;
	uint32_t flows, flow, sequence;
	double per_tsc; /* packets a TSC cycle, 0 = all the ports take */
	double least;	/* packets due before a burst is worth sending */
	uint64_t random;
	bool echo;
	double debt;   /* packets that may be caught up with */
	double credit; /* packets sent or given up since start */
	uint64_t start, limit;
	uint64_t again, pause; /* TSC: not before `again` */
	uint64_t tx, refused, no_buffer;
	uint16_t first, n; /* pkts[first..first+n) wait for room */
	struct rte_mbuf *pkts[WIRE_BURST];
} __rte_cache_aligned;

struct receiver {
	const struct wire *w;
	uint32_t word;		     /* of direction 0 */
	uint32_t accept[WIRE_PORTS]; /* bit d: frames of direction d belong here */
	uint64_t rx[WIRE_DIRECTIONS];
	uint64_t other, stale, last;		    /* last: when a frame of this trial came */
	struct wire_latency *latency, *undisturbed; /* [WIRE_DIRECTIONS] */
	uint64_t settle;
	uint64_t looked, away_end,
		away_least; /* TSC: the turn before, the end of the last pause of the loop */
	uint64_t again[WIRE_PORTS][WIRE_RX_QUEUES_MAX], pause; /* TSC: not before `again` */
	bool stamped;
	_Atomic bool sent; /* sending is over */
} __rte_cache_aligned;

static struct sender senders[WIRE_DIRECTIONS];
static struct receiver receiver;

/* --- sending --------------------------------------------------------------------------------------------------- */

/** Fill s->pkts with n frames. Buffers of a pool hold the template already; nothing else writes them. */
static __rte_always_inline bool sender_fill(
	struct sender *s, uint16_t n, bool one_class, bool stamped)
{
	struct rte_mbuf *pkts[WIRE_CLASSES][WIRE_BURST];
	uint16_t need[WIRE_CLASSES] = { 0 }, used[WIRE_CLASSES] = { 0 };
	uint64_t tsc = stamped ? rte_rdtsc() : 0;
	uint32_t flow = s->flow;

	if (one_class) {
		if (rte_mempool_get_bulk(s->pools[0], (void **)s->pkts, n) != 0) {
			s->no_buffer++;
			return false;
		}
	} else {
		for (uint16_t i = 0; i < n; i++)
			need[s->pattern[(s->turn + i) % PATTERN]]++;
		for (unsigned c = 0; c < s->n_classes; c++) {
			if (need[c] > 0 &&
				rte_mempool_get_bulk(s->pools[c], (void **)pkts[c], need[c]) != 0) {
				s->no_buffer++;
				while (c-- > 0)
					rte_mempool_put_bulk(
						s->pools[c], (void **)pkts[c], need[c]);
				return false;
			}
		}
	}
	for (uint16_t i = 0; i < n; i++) {
		unsigned c = one_class ? 0 : s->pattern[(s->turn + i) % PATTERN];
		const struct wire_frame *f = &s->frames[c];
		struct rte_mbuf *m = one_class ? s->pkts[i] : pkts[c][used[c]++];

		m->data_off = RTE_PKTMBUF_HEADROOM;
		m->data_len = f->length;
		m->pkt_len = f->length;
		m->ol_flags = 0;
		wire_frame_flow(
			f, rte_pktmbuf_mtod(m, uint8_t *), flow, stamped, s->sequence + i, tsc);
		flow = flow + 1 == s->flows ? 0 : flow + 1;
		s->pkts[i] = m;
	}
	s->turn = (s->turn + n) % PATTERN;
	s->flow = flow;
	s->sequence += n;
	s->first = 0;
	s->n = n;
	return true;
}

/** A stamp must not grow old: frames the port refused are made again later. */
static void sender_take_back(struct sender *s)
{
	rte_pktmbuf_free_bulk(&s->pkts[s->first], s->n);
	s->sequence -= s->n;
	s->flow = (uint32_t)(((uint64_t)s->flow + s->flows - s->n % s->flows) % s->flows);
	s->turn = (s->turn + PATTERN * WIRE_BURST - s->n) % PATTERN;
	s->n = 0;
}

/** How many frames are due. */
static inline uint16_t sender_due(struct sender *s, uint64_t now)
{
	double due;

	if (s->per_tsc == 0)
		return WIRE_BURST;
	due = (double)(now - s->start) * s->per_tsc - s->credit;
	if (due < s->least)
		return 0;
	if (due > s->debt) {
		s->credit += due - s->debt;
		due = s->debt;
	}
	return (uint16_t)RTE_MIN(due, (double)WIRE_BURST);
}

/** When the next stamped frame leaves: somewhere in its own interval of 1/rate, so that frames are not in step with the
 * machine's timers, which would meet each of them or none (RFC 2330, 11.1). */
static inline double sender_jitter(struct sender *s)
{
	s->random = s->random * 6364136223846793005u + 1442695040888963407u;
	return 1 + (double)(s->random >> 33) / (double)(1u << 31);
}

/** @return true when a port was given frames. */
static __rte_always_inline bool sender_step(
	struct sender *s, uint64_t now, bool one_class, bool stamped)
{
	uint16_t taken, due;

	if (!stamped && now < s->again)
		return false;
	if (s->n == 0) {
		due = sender_due(s, now);
		if (s->limit != 0)
			due = (uint16_t)RTE_MIN(s->limit - s->tx, (uint64_t)due);
		if (due == 0 || !sender_fill(s, due, one_class, stamped))
			return false;
	}
	taken = rte_eth_tx_burst(s->port, 0, &s->pkts[s->first], s->n);
	s->tx += taken;
	s->credit += taken;
	s->first = (uint16_t)(s->first + taken);
	s->n = (uint16_t)(s->n - taken);
	if (s->echo)
		wire_echo_kick();
	if (stamped)
		s->least = sender_jitter(s);
	if (unlikely(s->n > 0)) {
		s->refused += s->n;
		s->again = now + s->pause;
		if (stamped)
			sender_take_back(s);
	}
	return true;
}

static bool senders_done(const struct wire *w)
{
	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		if (w->o.active[d] && (senders[d].limit == 0 || senders[d].tx < senders[d].limit))
			return false;
	}
	return true;
}

/* --- receiving ------------------------------------------------------------------------------------------------- */

/** A frame that does not belong to this trial here. */
static void receive_other(struct receiver *r, unsigned port, struct rte_mbuf *m, uint32_t word)
{
	if ((word & ~0x1ffu) == wire_tag_word(0, 0) && (word & 0xff) != (r->word & 0xff)) {
		r->stale++;
		return;
	}
	r->other++;
	if (r->w->arp != NULL)
		wire_arp_input(r->w->arp, port, m);
}

/** Note how long a frame was on its way, apart when this thread was away meanwhile: then the time says nothing. */
static inline void receive_stamped(
	struct receiver *r, uint32_t d, const struct wire_tag *tag, uint64_t now)
{
	bool away = tag->tsc < r->away_end || now - r->looked > r->away_least;

	wire_latency_add(&r->latency[d], tag->sequence, now - tag->tsc);
	if (!away)
		wire_latency_add(&r->undisturbed[d], tag->sequence, now - tag->tsc);
}

static inline void receive_look(struct receiver *r)
{
	uint64_t now = rte_rdtsc();

	if (now - r->looked > r->away_least)
		r->away_end = now;
	r->looked = now;
}

static __rte_always_inline uint16_t receive_burst(
	struct receiver *r, unsigned port, uint16_t queue, bool stamped)
{
	struct rte_mbuf *pkts[RX_BURST];
	uint64_t now = rte_rdtsc();
	uint16_t n;

	if (!stamped && now < r->again[port][queue])
		return 0;
	n = rte_eth_rx_burst(r->w->ports[port].id, queue, pkts, RX_BURST);
	if (n < RX_BURST)
		r->again[port][queue] = now + r->pause;
	if (n == 0)
		return 0;
	if (stamped)
		now = rte_rdtsc();
	for (uint16_t i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod_offset(
			pkts[i], void *, pkts[i]->data_len - sizeof(struct wire_tag)));
	for (uint16_t i = 0; i < n; i++) {
		struct wire_tag buf;
		const struct wire_tag *tag = wire_tag_find(pkts[i], &buf);
		uint32_t word = tag != NULL ? tag->word : 0, d = word >> 8 & 1;

		if (unlikely((word & ~0x100u) != r->word || (r->accept[port] >> d & 1) == 0)) {
			receive_other(r, port, pkts[i], word);
			continue;
		}
		r->rx[d]++;
		r->last = now;
		if (stamped)
			receive_stamped(r, d, tag, now);
	}
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

static __rte_always_inline void receive_all(struct receiver *r, bool stamped)
{
	if (stamped)
		receive_look(r);
	for (unsigned p = 0; p < r->w->n_ports; p++) {
		for (uint16_t q = 0; q < r->w->o.rx_queues; q++) {
			for (unsigned i = 0;
				i < RX_ROUNDS && receive_burst(r, p, q, stamped) == RX_BURST; i++)
				;
		}
	}
}

/** After sending: until nothing has come for a while, but not for ever. `flush`: this thread sends as well. */
static void receive_rest(struct receiver *r, bool flush)
{
	uint64_t start = rte_rdtsc(), now = start, cap = r->settle * 10 + rte_get_tsc_hz();

	r->last = RTE_MAX(r->last, start);
	while (!atomic_load(&wire_interrupted) && now - r->last < r->settle && now - start < cap) {
		receive_all(r, r->stamped);
		if (flush && r->w->arp != NULL)
			wire_arp_flush(r->w->arp);
		now = rte_rdtsc();
		if (now < r->last)
			now = r->last;
	}
}

/** The receiving thread, when there are two. */
static int receive_main(void *arg)
{
	struct receiver *r = arg;

	while (!atomic_load_explicit(&r->sent, memory_order_acquire))
		receive_all(r, r->stamped);
	receive_rest(r, false);
	return 0;
}

/* --- a trial --------------------------------------------------------------------------------------------------- */

static int lost_port(const struct wire *w, struct error *err)
{
	for (unsigned p = 0; p < w->n_ports; p++) {
		if (wire_port_lost(&w->ports[p]))
			return error_set(err, ENOLINK, NULL,
				"port %c: the link went down: the device under test went away",
				w->ports[p].name);
	}
	return 0;
}

/** Send, and receive when one thread does both, until the time is over. */
static __rte_always_inline int work(
	struct wire *w, uint64_t end, bool one_class, bool stamped, struct error *err)
{
	bool alone = w->o.cpu_rx < 0;
	uint64_t period = (uint64_t)(LINK_PERIOD * (double)rte_get_tsc_hz()),
		 look = rte_rdtsc() + period, now;
	int ret = 0;

	while ((now = rte_rdtsc()) < end && ret == 0) {
		for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
			/* Waking the device may take long, and is part of what the frame's way takes. */
			if (w->o.active[d] && sender_step(&senders[d], now, one_class, stamped) &&
				stamped && alone)
				receiver.looked = rte_rdtsc();
		}
		if (alone)
			receive_all(&receiver, stamped);
		if (w->arp != NULL)
			wire_arp_flush(w->arp);
		if (unlikely(now >= look)) {
			look = now + period;
			ret = lost_port(w, err);
			if (atomic_load(&wire_interrupted) || senders_done(w))
				break;
		} else if (unlikely(senders[0].limit != 0) && senders_done(w)) {
			break;
		}
	}
	return ret;
}

/* The compiler makes one loop of each. */
static int work_plain(struct wire *w, uint64_t end, struct error *err)
{
	return work(w, end, true, false, err);
}
static int work_stamped(struct wire *w, uint64_t end, struct error *err)
{
	return work(w, end, true, true, err);
}
static int work_mixed(struct wire *w, uint64_t end, bool stamped, struct error *err)
{
	return work(w, end, false, stamped, err);
}

struct filling {
	const struct wire_frame *frame;
	uint32_t word;
};

static void buffer_fill(struct rte_mempool *pool, void *arg, void *obj, unsigned index)
{
	const struct filling *f = arg;
	struct rte_mbuf *m = obj;

	(void)pool;
	(void)index;
	wire_frame_fill(f->frame, (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM, f->word);
}

static void senders_prepare(struct wire *w, const struct wire_trial *t)
{
	double hz = (double)rte_get_tsc_hz();

	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		struct sender *s = &senders[d];

		*s = (struct sender){ .port = w->ports[w->n_ports == 1 ? 0 : d].id,
			.n_classes = w->n_classes,
			.frames = w->frames[d],
			.pools = w->tx_pools[d],
			.pattern = w->n_classes == 1 ? plain_pattern : imix_pattern,
			.flows = w->o.flows,
			.flow = w->flow[d],
			.per_tsc = t->rate / hz,
			.least = t->stamped ? 1
					    : RTE_MAX(1.0, RTE_MIN((double)WIRE_BURST,
								   t->rate * BURST_SECONDS)),
			.debt = RTE_MAX((double)WIRE_BURST, t->rate * DEBT_SECONDS),
			.random = (uint64_t)d + 1,
			.echo = w->o.echo_cpu >= 0,
			.limit = t->limit,
			.pause = (uint64_t)(REFUSED_SECONDS * hz) };
		for (unsigned c = 0; w->o.active[d] && c < w->n_classes; c++) {
			struct filling f = { &w->frames[d][c], wire_tag_word(d, w->trial) };

			rte_mempool_obj_iter(w->tx_pools[d][c], buffer_fill, &f);
		}
	}
}

static void receiver_prepare(struct wire *w, const struct wire_trial *t)
{
	receiver = (struct receiver){ .w = w,
		.word = wire_tag_word(0, w->trial),
		.latency = w->latency,
		.undisturbed = w->undisturbed,
		.stamped = t->stamped,
		.pause = (uint64_t)(EMPTY_SECONDS * (double)rte_get_tsc_hz()),
		.away_least = (uint64_t)(AWAY_SECONDS * (double)rte_get_tsc_hz()),
		.settle = (uint64_t)(t->settle * (double)rte_get_tsc_hz()) };
	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		if (w->o.active[d])
			receiver.accept[w->n_ports == 1 ? 0 : 1 - d] |= 1u << d;
		if (t->stamped) {
			wire_latency_reset(&w->latency[d]);
			wire_latency_reset(&w->undisturbed[d]);
		}
	}
}

static int collect(struct wire *w, struct wire_trial *t, uint64_t cycles, struct error *err)
{
	uint64_t no_buffer = 0, once;

	t->elapsed = (double)cycles / (double)rte_get_tsc_hz();
	t->other = receiver.other;
	t->stale = receiver.stale;
	t->offered_short = false;
	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		struct sender *s = &senders[d];

		if (s->n > 0)
			rte_pktmbuf_free_bulk(&s->pkts[s->first], s->n);
		w->flow[d] = s->flow;
		t->count[d] = (struct wire_count){
			.tx = s->tx, .rx = receiver.rx[d], .refused = s->refused
		};
		once = receiver.rx[d] - (t->stamped ? w->latency[d].duplicates : 0);
		t->count[d].lost = s->tx > once ? s->tx - once : 0;
		no_buffer += s->no_buffer;
		if (w->o.active[d] && t->rate > 0 && t->limit == 0 &&
			(double)s->tx + WIRE_BURST < OFFERED_LEAST * t->rate * t->elapsed)
			t->offered_short = true;
	}
	if (wire_trial_total(t).tx > 0 || atomic_load(&wire_interrupted) ||
		(t->rate > 0 && t->rate * t->elapsed < 2))
		return 0;
	if (no_buffer > 0)
		return error_set(err, ENOBUFS, NULL,
			"no packet buffer was left to send: the port keeps them all: raise "
			"--buffers");
	return error_set(err, EIO, NULL,
		"the port took not one frame in %.1f s: nothing reads at its other end",
		t->elapsed);
}

int wire_trial_run(struct wire *w, struct wire_trial *t, struct error *err)
{
	bool two = w->o.cpu_rx >= 0;
	uint64_t start, end, stopped;
	int ret;

	w->trial++;
	senders_prepare(w, t);
	receiver_prepare(w, t);
	if (two && rte_eal_remote_launch(receive_main, &receiver, 1) != 0)
		return error_set(err, EBUSY, NULL, "the receiving thread does not start");
	start = rte_rdtsc();
	senders[0].start = senders[1].start = start;
	end = start + (uint64_t)(t->seconds * (double)rte_get_tsc_hz());
	if (w->n_classes > 1)
		ret = work_mixed(w, end, t->stamped, err);
	else
		ret = t->stamped ? work_stamped(w, end, err) : work_plain(w, end, err);
	stopped = rte_rdtsc();
	atomic_store_explicit(&receiver.sent, true, memory_order_release);
	if (two)
		rte_eal_wait_lcore(1);
	else
		receive_rest(&receiver, true);
	if (ret == 0)
		ret = lost_port(w, err);
	return ret < 0 ? ret : collect(w, t, stopped - start, err);
}

int wire_teach(struct wire *w, struct error *err)
{
	struct wire_trial t = { .rate = TEACH_RATE,
		.limit = RTE_MAX(w->o.flows, TEACH_FRAMES),
		.settle = WARM_SETTLE };
	int ret;

	if (w->o.fixed && w->o.rate > 0)
		t.rate = RTE_MIN(t.rate, RTE_MAX(w->o.rate, TEACH_LEAST));
	t.seconds = 2 * (double)t.limit / t.rate + 1;
	ret = wire_trial_run(w, &t, err);
	w->taught = t;
	return ret;
}

int wire_trial_warm(struct wire *w, struct wire_trial *t, struct error *err)
{
	struct wire_trial warm = {
		.rate = t->rate, .seconds = WARM_SECONDS, .settle = WARM_SETTLE
	};
	int ret = 0;

	if (t->rate == WIRE_RATE_MAX || t->rate * WARM_SECONDS >= 1)
		ret = wire_trial_run(w, &warm, err);
	return ret < 0 ? ret : wire_trial_run(w, t, err);
}

/* --- small things ----------------------------------------------------------------------------------------------- */

struct wire_count wire_trial_total(const struct wire_trial *t)
{
	return (struct wire_count){ .tx = t->count[0].tx + t->count[1].tx,
		.rx = t->count[0].rx + t->count[1].rx,
		.lost = t->count[0].lost + t->count[1].lost,
		.refused = t->count[0].refused + t->count[1].refused };
}

double wire_loss(const struct wire_count *c)
{
	return c->tx > 0 ? (double)c->lost / (double)c->tx : 0;
}

int wire_trial_copies(const struct wire_trial *t, struct error *err)
{
	for (unsigned d = 0; !t->stamped && d < WIRE_DIRECTIONS; d++) {
		/* Single ones may be the port's: DPDK's memif now and then sends what it said it would not take. */
		if ((double)t->count[d].rx > (double)t->count[d].tx * COPIES_LEAST)
			return error_set(err, EBADMSG, NULL,
				"%s: %lu frames were sent and %lu came back: the device under test "
				"duplicates, so what it loses is not known; --rate with --latency "
				"tells copies apart",
				wire_direction_names[d], (unsigned long)t->count[d].tx,
				(unsigned long)t->count[d].rx);
	}
	return 0;
}

int wire_size_set(struct wire *w, uint32_t size, struct error *err)
{
	w->size = size;
	w->n_classes = size == WIRE_SIZE_IMIX ? WIRE_CLASSES : 1;
	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		for (unsigned c = 0; w->o.active[d] && c < w->n_classes; c++) {
			uint32_t bytes = size == WIRE_SIZE_IMIX ? imix_sizes[c] : size;
			int ret;

			if (size == WIRE_SIZE_IMIX && w->o.keys[d].src.family == IP_V6)
				bytes = RTE_MAX(bytes, IMIX_LEAST_V6);
			ret = wire_frame_init(
				&w->frames[d][c], &w->o.keys[d], bytes, w->o.flows, err);
			if (ret < 0)
				return ret;
		}
	}
	return 0;
}
