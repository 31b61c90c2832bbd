/* SPDX-License-Identifier: Apache-2.0 */
/** Connection tracking against tables of packets: what each does to the state of both directions, and whether it may pass. The
 * tables are written from RFC 9293, 5961 and 9260, as a middlebox sees them. */
#include "dataplane/conntrack.h"
#include "tests/unit/flows.h"

#include <stdio.h>

#define S    RTE_TCP_SYN_FLAG
#define A    RTE_TCP_ACK_FLAG
#define F    RTE_TCP_FIN_FLAG
#define R    RTE_TCP_RST_FLAG
#define NONE FLOW_SCALE_UNKNOWN

enum { AT, BT }; /* who sends: the opener, the other */
enum { PASS = CONNTRACK_PASS, ODD = CONNTRACK_ODD, BAD = CONNTRACK_BAD, REOPEN = CONNTRACK_REOPEN };

struct step {
	unsigned from;
	uint8_t flags;
	uint32_t seq, ack, payload;
	unsigned verdict; /* of liberal mode; strict: BAD instead of ODD where `strict` says so */
	enum flow_kind after; /* of both directions */
	uint8_t scale;
	bool strict;
};

/* Sequence numbers of a table are relative to these. */
static uint32_t isn[2];

static struct conntrack_segment segment(const struct step *s)
{
	return (struct conntrack_segment){ .seq = s->seq + isn[s->from],
		.ack = s->ack + isn[!s->from],
		.len = s->payload + ((s->flags & S) != 0) + ((s->flags & F) != 0),
		.flags = s->flags,
		.scale = s->flags & S ? s->scale : NONE };
}

struct pair {
	struct flow_table *t;
	struct flow *dir[2];
	bool v6;
};

static void open_pair(struct pair *c, const struct conntrack_segment *first, bool v6)
{
	struct flow_init forward = { .decision = { 100, 1 } },
			 reverse = { .decision = { 101, 1 }, .flags = FLOW_REPLY };
	struct flow_key4 k4 = key4_of(1, 1), r4 = key4_of(2, 2);
	struct flow_key6 k6 = key6_of(1, 1), r6 = key6_of(2, 2);
	uint32_t index;

	c->v6 = v6;
	conntrack_tcp_first(first, &forward, &reverse);
	c->dir[0] =
		v6 ? flow_insert6(c->t, 0, &k6, flow_hash6(c->t, &k6), &forward, &r6, &reverse, 0)
		   : flow_insert4(c->t, 0, &k4, flow_hash4(c->t, &k4), &forward, &r4, &reverse, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->dir[0]);
	index = flow_pair(&c->t->pool[v6], flow_index(&c->t->pool[v6], c->dir[0], v6));
	CU_ASSERT_NOT_EQUAL_FATAL(index, 0);
	c->dir[1] = flow_at(&c->t->pool[v6], index, v6);
}

static void window(struct flow_table *t, enum flow_window_mode mode)
{
	struct flow_conduct conduct = { .window = mode };

	for (unsigned i = 0; i < FLOW_KIND_COUNT; i++)
		conduct.timeout_ms[i] = TIMEOUT;
	flow_table_configure(t, &conduct);
}

static bool same_kind(enum flow_kind is, enum flow_kind want)
{
	/* Picked up: the direction not yet seen is awaited. */
	return is == want || (want == FLOW_TCP_PICKED && is == FLOW_TCP_AWAITED);
}

static void run_one(const char *name, const struct step *steps, size_t n, bool v6,
	enum flow_window_mode mode, uint32_t base)
{
	struct pair c = { .t = table_of(64, 1) };
	struct conntrack_segment s;

	isn[0] = base;
	isn[1] = base + 0x1234567;
	window(c.t, mode);
	s = segment(&steps[0]);
	open_pair(&c, &s, v6);
	for (size_t i = 0; i < n; i++) {
		const struct step *step = &steps[i];
		unsigned want = step->verdict, got = PASS;

		s = segment(step);
		if (i > 0)
			got = conntrack_tcp(c.t, 0, c.dir[step->from], v6, &s);
		if (want == ODD && step->strict)
			want = mode == FLOW_WINDOW_STRICT ? BAD
			       : mode == FLOW_WINDOW_OFF  ? got
							  : ODD;
		for (unsigned d = 0; d < 2; d++) {
			enum flow_kind is = flow_state_kind(c.dir[d]->state);

			if (!same_kind(is, step->after)) {
				printf("%s, step %zu, direction %u: %s instead of %s\n", name, i, d,
					flow_kind_name(is), flow_kind_name(step->after));
				CU_ASSERT(false);
			}
		}
		if (got != want)
			printf("%s, step %zu, mode %u: verdict %u instead of %u\n", name, i, mode,
				got, want);
		CU_ASSERT_EQUAL(got, want);
	}
	flow_table_free(c.t);
}

/** In all modes, families, and with numbers that wrap at every point of a connection. */
static void run(const char *name, const struct step *steps, size_t n)
{
	static const uint32_t bases[] = { 1000, 0xffffffff, 0xfffffffe, 0xffffff00, 0xfffffc00,
		0x7fffffff, 0x80000000 };

	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (size_t b = 0; b < RTE_DIM(bases); b++) {
			run_one(name, steps, n, v6, FLOW_WINDOW_LIBERAL, bases[b]);
			run_one(name, steps, n, v6, FLOW_WINDOW_STRICT, bases[b]);
		}
	}
}
#define RUN(name, ...)                                              \
	do {                                                        \
		static const struct step steps[] = { __VA_ARGS__ }; \
		run(name, steps, RTE_DIM(steps));                   \
	} while (0)

#define SENT   FLOW_TCP_SYN_SENT
#define RECV   FLOW_TCP_SYN_RECV
#define OPEN   FLOW_TCP_ESTABLISHED
#define PICKED FLOW_TCP_PICKED
#define FIN    FLOW_TCP_FIN_WAIT
#define CLOSE2 FLOW_TCP_CLOSING
#define OVER   FLOW_TCP_TIME_WAIT
#define CLOSED FLOW_TCP_CLOSED

#define HANDSHAKE(wa, wb)                                                           \
	{ AT, S, 0, 0, 0, PASS, SENT, wa }, { BT, S | A, 0, 1, 0, PASS, RECV, wb }, \
	{                                                                           \
		AT, A, 1, 1, 0, PASS, OPEN                                          \
	}

static void ordinary(void)
{
	RUN("open, data, close", HANDSHAKE(7, 7), { AT, A, 1, 1, 100, PASS, OPEN },
		{ BT, A, 1, 101, 1400, PASS, OPEN }, { BT, A, 1401, 101, 1400, PASS, OPEN },
		{ AT, A, 101, 2801, 0, PASS, OPEN }, { AT, F | A, 101, 2801, 0, PASS, FIN },
		{ BT, A, 2801, 102, 0, PASS, FIN }, { BT, F | A, 2801, 102, 0, PASS, CLOSE2 },
		{ AT, A, 102, 2802, 0, PASS, OVER }, { AT, A, 102, 2802, 0, PASS, OVER });
	RUN("half close: the other goes on for a while", HANDSHAKE(7, 7),
		{ AT, F | A, 1, 1, 50, PASS, FIN }, { BT, A, 1, 52, 1400, PASS, FIN },
		{ BT, A, 1401, 52, 1400, PASS, FIN }, { AT, A, 52, 2801, 0, PASS, FIN },
		{ BT, F | A, 2801, 52, 10, PASS, CLOSE2 }, { AT, A, 52, 2812, 0, PASS, OVER });
	RUN("simultaneous close", HANDSHAKE(0, 0), { AT, F | A, 1, 1, 0, PASS, FIN },
		{ BT, F | A, 1, 1, 0, PASS, CLOSE2 }, { AT, A, 2, 2, 0, PASS, CLOSE2 },
		{ BT, A, 2, 2, 0, PASS, OVER });
	RUN("retransmissions", { AT, S, 0, 0, 0, PASS, SENT, 7 }, { AT, S, 0, 0, 0, PASS, SENT, 7 },
		{ BT, S | A, 0, 1, 0, PASS, RECV, 7 }, { BT, S | A, 0, 1, 0, PASS, RECV, 7 },
		{ AT, A, 1, 1, 0, PASS, OPEN }, { BT, S | A, 0, 1, 0, PASS, OPEN, 7 },
		{ AT, A, 1, 1, 0, PASS, OPEN }, { AT, A, 1, 1, 500, PASS, OPEN },
		{ AT, A, 501, 1, 500, PASS, OPEN }, { AT, A, 1, 1, 500, PASS, OPEN },
		{ AT, F | A, 1001, 1, 0, PASS, FIN }, { AT, F | A, 1001, 1, 0, PASS, FIN },
		{ BT, F | A, 1, 1002, 0, PASS, CLOSE2 }, { BT, F | A, 1, 1002, 0, PASS, CLOSE2 },
		{ AT, A, 1002, 2, 0, PASS, OVER }, { BT, F | A, 1, 1002, 0, PASS, OVER },
		{ AT, A, 1002, 2, 0, PASS, OVER });
	RUN("out of order", HANDSHAKE(7, 7), { BT, A, 2801, 1, 1400, PASS, OPEN },
		{ BT, A, 1, 1, 1400, PASS, OPEN }, { BT, A, 1401, 1, 1400, PASS, OPEN },
		{ BT, F | A, 5601, 1, 0, PASS, FIN }, { BT, A, 4201, 1, 1400, PASS, FIN },
		{ AT, A, 1, 5602, 0, PASS, FIN }, { AT, F | A, 1, 5602, 0, PASS, CLOSE2 },
		{ BT, A, 5602, 2, 0, PASS, OVER });
	RUN("data before the handshake's last segment", { AT, S, 0, 0, 0, PASS, SENT, 7 },
		{ BT, S | A, 0, 1, 0, PASS, RECV, 7 }, { AT, A, 1001, 1, 1000, PASS, OPEN },
		{ AT, A, 1, 1, 0, PASS, OPEN });
	RUN("simultaneous open", { AT, S, 0, 0, 0, PASS, SENT, 3 },
		{ BT, S, 0, 0, 0, PASS, RECV, 4 }, { AT, S | A, 0, 1, 0, PASS, RECV, 3 },
		{ BT, S | A, 0, 1, 0, PASS, OPEN, 4 }, { AT, A, 1, 1, 10, PASS, OPEN });
	RUN("fast open: a SYN with data", { AT, S, 0, 0, 500, PASS, SENT, 7 },
		{ BT, S | A, 0, 501, 0, PASS, RECV, 7 }, { AT, A, 501, 1, 0, PASS, OPEN });
	RUN("fast open, and the data was not taken", { AT, S, 0, 0, 500, PASS, SENT, 7 },
		{ BT, S | A, 0, 1, 0, PASS, RECV, 7 }, { AT, A, 1, 1, 500, PASS, OPEN });
}

static void refused(void)
{
	RUN("nobody listens", { AT, S, 0, 0, 0, PASS, SENT, 7 },
		{ BT, R | A, 0, 1, 0, PASS, CLOSED }, { AT, S, 0, 0, 0, REOPEN, CLOSED });
	RUN("a forged refusal", { AT, S, 0, 0, 0, PASS, SENT, 7 },
		{ BT, R | A, 0, 77, 0, ODD, SENT, 0, true }, { BT, R, 0, 0, 0, ODD, SENT, 0, true },
		{ BT, S | A, 0, 1, 0, PASS, RECV, 7 });
	RUN("a forged SYN with ACK", { AT, S, 0, 0, 0, PASS, SENT, 7 },
		{ BT, S | A, 0, 5, 0, ODD, SENT, 7, true }, { BT, S | A, 0, 1, 0, PASS, RECV, 7 });
	RUN("an old connection answers, and is reset", { AT, S, 0, 0, 0, PASS, SENT, 7 },
		{ BT, A, 7777, 8888, 0, PASS, SENT }, { AT, R, 1, 0, 0, PASS, CLOSED });
	RUN("given up while it was being opened", { AT, S, 0, 0, 0, PASS, SENT, 7 },
		{ BT, S | A, 0, 1, 0, PASS, RECV, 7 }, { AT, R, 1, 0, 0, PASS, CLOSED });
	RUN("the handshake ends with a wrong number", { AT, S, 0, 0, 0, PASS, SENT, 0 },
		{ BT, S | A, 0, 1, 0, PASS, RECV, 0 },
		{ AT, A, 1, 0x20000000, 0, ODD, RECV, 0, true }, { AT, A, 1, 1, 0, PASS, OPEN });
}

static void resets(void)
{
	RUN("in sequence", HANDSHAKE(7, 7), { AT, A, 1, 1, 100, PASS, OPEN },
		{ AT, R | A, 101, 1, 0, PASS, CLOSED }, { AT, S, 50000, 0, 0, REOPEN, CLOSED });
	RUN("in answer to a segment", HANDSHAKE(7, 7), { AT, A, 1, 1, 100, PASS, OPEN },
		{ BT, R, 1, 0, 0, PASS, CLOSED });
	RUN("blind, far away", HANDSHAKE(0, 0), { BT, R, 0x10000000, 0, 0, ODD, OPEN, 0, true },
		{ AT, R, 0x90000000, 0, 0, ODD, OPEN, 0, true }, { AT, A, 1, 1, 100, PASS, OPEN });
	RUN("blind, in the window: it passes, the connection stays", HANDSHAKE(7, 7),
		{ BT, R, 1000000, 0, 0, ODD, OPEN }, { AT, A, 1, 1, 0, PASS, OPEN },
		{ BT, A, 1, 1, 10, PASS, OPEN });
	RUN("near, but the receiver challenges it and goes on", HANDSHAKE(7, 7),
		{ BT, R, 30000, 0, 0, PASS, CLOSED }, { AT, A, 1, 1, 0, PASS, OPEN },
		{ BT, A, 1, 1, 10, PASS, OPEN });
	RUN("crossed by data, and said again", HANDSHAKE(7, 7), { BT, R, 1, 0, 0, PASS, CLOSED },
		{ AT, A, 1, 1, 1000, PASS, OPEN }, { BT, R, 1, 0, 0, PASS, CLOSED },
		{ BT, A, 1, 1, 0, PASS, CLOSED });
	RUN("after a FIN", HANDSHAKE(7, 7), { AT, F | A, 1, 1, 0, PASS, FIN },
		{ BT, R | A, 1, 2, 0, PASS, CLOSED });
	RUN("in TIME-WAIT", HANDSHAKE(7, 7), { AT, F | A, 1, 1, 0, PASS, FIN },
		{ BT, F | A, 1, 2, 0, PASS, CLOSE2 }, { AT, A, 2, 2, 0, PASS, OVER },
		{ AT, R, 2, 0, 0, PASS, CLOSED });
}

static void windows(void)
{
	RUN("a scale is nothing unless both offer one", HANDSHAKE(14, NONE),
		{ AT, A, 60000, 1, 1000, PASS, OPEN },
		{ AT, A, 0x1000000, 1, 1000, ODD, OPEN, 0, true });
	RUN("what B takes bounds A", HANDSHAKE(0, 8),
		{ AT, A, 0x1000000 - 1000, 1, 1000, PASS, OPEN },
		{ BT, A, 0x1000000, 1, 1000, ODD, OPEN, 0, true });
	RUN("what A takes bounds B", HANDSHAKE(8, 0),
		{ BT, A, 0x1000000 - 1000, 1, 1000, PASS, OPEN },
		{ AT, A, 0x1000000, 1, 1000, ODD, OPEN, 0, true });
	RUN("a retransmission from a window back", HANDSHAKE(10, 10),
		{ BT, A, 0x3000000, 1, 1000, PASS, OPEN }, { BT, A, 1, 1, 1000, PASS, OPEN },
		{ BT, A, 0x3000400, 1, 1000, PASS, OPEN });
	RUN("a FIN outside", HANDSHAKE(0, 0), { AT, S, 0, 0, 0, ODD, OPEN, 0 });
	RUN("keep-alive probes: one before the next", HANDSHAKE(0, 0),
		{ AT, A, 1, 1, 100, PASS, OPEN }, { AT, A, 100, 1, 0, PASS, OPEN },
		{ AT, A, 100, 1, 1, PASS, OPEN });
}

static void again(void)
{
	RUN("TIME-WAIT, and a new SYN", HANDSHAKE(7, 7), { AT, F | A, 1, 1, 0, PASS, FIN },
		{ BT, F | A, 1, 2, 0, PASS, CLOSE2 }, { AT, A, 2, 2, 0, PASS, OVER },
		{ AT, S, 70000, 0, 0, REOPEN, OVER, 7 });
	RUN("a blind SYN in an open connection changes nothing", HANDSHAKE(7, 7),
		{ AT, S, 0x40000000, 0, 0, ODD, OPEN, 7 }, { BT, A, 1, 1, 0, PASS, OPEN },
		{ AT, A, 1, 1, 100, PASS, OPEN }, { BT, S, 0x40000000, 0, 0, ODD, OPEN, 7 },
		{ BT, A, 1, 101, 100, PASS, OPEN });
	RUN("the opener has forgotten, the other has not", HANDSHAKE(7, 7),
		{ AT, S, 0x40000000, 0, 0, ODD, OPEN, 7 }, { BT, A, 1, 1, 0, PASS, OPEN },
		{ AT, R, 1, 0, 0, PASS, CLOSED }, { AT, S, 0x40000000, 0, 0, REOPEN, CLOSED, 7 });
	RUN("both have forgotten", HANDSHAKE(7, 7), { AT, S, 0x40000000, 0, 0, ODD, OPEN, 7 },
		{ BT, S | A, 0x50000000, 0x40000001, 0, PASS, RECV, 7 },
		{ AT, A, 0x40000001, 0x50000001, 0, PASS, OPEN },
		{ BT, A, 0x50000001, 0x40000001, 100, PASS, OPEN });
}

static void midstream(void)
{
	RUN("picked up", { AT, A, 5000, 7000, 100, PASS, PICKED },
		{ AT, A, 5100, 7000, 100, PASS, PICKED }, { BT, A, 7000, 5200, 0, PASS, OPEN },
		{ BT, F | A, 7000, 5200, 0, PASS, FIN }, { AT, F | A, 5200, 7001, 0, PASS, CLOSE2 },
		{ BT, A, 7001, 5201, 0, PASS, OVER });
	RUN("picked up at a FIN", { AT, F | A, 5000, 7000, 0, PASS, FIN },
		{ BT, A, 7000, 5001, 1000, PASS, FIN }, { BT, F | A, 8000, 5001, 0, PASS, CLOSE2 },
		{ AT, A, 5001, 8001, 0, PASS, OVER });
	RUN("picked up, reset", { AT, A, 5000, 7000, 100, PASS, PICKED },
		{ BT, R, 7000, 0, 0, PASS, CLOSED });
	RUN("picked up, and it was nothing", { AT, A, 5000, 7000, 100, PASS, PICKED },
		{ AT, S, 9999, 0, 0, REOPEN, PICKED, 7 });
	RUN("picked up at a SYN with ACK", { AT, S | A, 5000, 7000, 0, PASS, PICKED, 7 },
		{ BT, A, 7000, 5001, 10, PASS, OPEN });
}

/** In mode "off" nothing is out of a window, and still no RST from far away ends a connection. */
static void off(void)
{
	static const struct step steps[] = { HANDSHAKE(0, 0),
		{ AT, A, 0x20000000, 1, 10, ODD, OPEN, 0, true },
		{ BT, R, 0x60000000, 0, 0, ODD, OPEN, 0, true } };

	run_one("off", steps, RTE_DIM(steps), false, FLOW_WINDOW_OFF, 1);
}

static void counts(void)
{
	struct pair c = { .t = table_of(64, 1) };
	struct conntrack_segment s = { .seq = 1, .len = 1, .flags = S, .scale = 7 };

	open_pair(&c, &s, false);
	CU_ASSERT_EQUAL(flow_zone_connections(c.t, 1), 1);
	CU_ASSERT_EQUAL(flow_zone_connections(c.t, 2), 1);
	CU_ASSERT_EQUAL(stats_of(c.t).half_open, 1);
	s = (struct conntrack_segment){ .seq = 1, .ack = 2, .len = 1, .flags = S | A, .scale = 7 };
	CU_ASSERT_EQUAL(conntrack_tcp(c.t, 0, c.dir[1], false, &s), PASS);
	CU_ASSERT_EQUAL(stats_of(c.t).half_open, 1);
	s = (struct conntrack_segment){ .seq = 2, .ack = 2, .flags = A, .scale = NONE };
	CU_ASSERT_EQUAL(conntrack_tcp(c.t, 0, c.dir[0], false, &s), PASS);
	CU_ASSERT_EQUAL(stats_of(c.t).half_open, 0);
	CU_ASSERT_EQUAL(flow_zone_connections(c.t, 1), 1);
	/* Over: it counts no more, even if it stays; nor twice when it goes. */
	s = (struct conntrack_segment){ .seq = 2, .flags = R, .scale = NONE };
	CU_ASSERT_EQUAL(conntrack_tcp(c.t, 0, c.dir[0], false, &s), PASS);
	CU_ASSERT_EQUAL(flow_zone_connections(c.t, 1), 0);
	CU_ASSERT_EQUAL(flow_zone_connections(c.t, 2), 0);
	s = (struct conntrack_segment){ .seq = 2, .ack = 2, .flags = A, .scale = NONE };
	conntrack_tcp(c.t, 0, c.dir[1], false, &s);
	CU_ASSERT_EQUAL(flow_zone_connections(c.t, 1), 1);
	flow_remove(c.t, &c.t->workers[0], flow_index(&c.t->pool[0], c.dir[1], false), false);
	CU_ASSERT_EQUAL(flow_zone_connections(c.t, 1), 0);
	CU_ASSERT_EQUAL(flow_zone_connections(c.t, 2), 0);
	CU_ASSERT_EQUAL(used(c.t, false), 0);
	flow_table_free(c.t);
}

/* --- SCTP ------------------------------------------------------------------------------------------------------ */

struct chunk_step {
	unsigned from;
	uint8_t type;
	uint32_t tag, initiate;
	bool reflected;
	unsigned verdict;
	enum flow_kind after;
};

static void run_sctp(const char *name, const struct chunk_step *steps, size_t n)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct pair c = { .t = table_of(64, 1), .v6 = v6 };
		struct flow_init forward = { .decision = { 100, 1 } },
				 reverse = { .decision = { 101, 1 } };
		struct flow_key4 k4 = key4_of(1, 1), r4 = key4_of(2, 2);
		struct flow_key6 k6 = key6_of(1, 1), r6 = key6_of(2, 2);
		struct conntrack_chunk first = { steps[0].tag, steps[0].initiate, steps[0].type,
			false };

		conntrack_sctp_first(&first, &forward, &reverse);
		c.dir[0] = v6 ? flow_insert6(c.t, 0, &k6, flow_hash6(c.t, &k6), &forward, &r6,
					&reverse, 0)
			      : flow_insert4(c.t, 0, &k4, flow_hash4(c.t, &k4), &forward, &r4,
					&reverse, 0);
		c.dir[1] = flow_at(&c.t->pool[v6],
			flow_pair(&c.t->pool[v6], flow_index(&c.t->pool[v6], c.dir[0], v6)), v6);
		for (size_t i = 1; i < n; i++) {
			const struct chunk_step *s = &steps[i];
			struct conntrack_chunk chunk = { s->tag, s->initiate, s->type,
				s->reflected };
			unsigned got = conntrack_sctp(c.t, 0, c.dir[s->from], v6, &chunk);
			enum flow_kind kind = flow_state_kind(c.dir[0]->state);

			if (got != s->verdict || kind != s->after)
				printf("%s, step %zu: verdict %u, %s\n", name, i, got,
					flow_kind_name(kind));
			CU_ASSERT_EQUAL(got, s->verdict);
			CU_ASSERT_EQUAL(kind, s->after);
			CU_ASSERT_EQUAL(flow_state_kind(c.dir[1]->state), s->after);
		}
		flow_table_free(c.t);
	}
}
#define RUN_SCTP(name, ...)                                               \
	do {                                                              \
		static const struct chunk_step steps[] = { __VA_ARGS__ }; \
		run_sctp(name, steps, RTE_DIM(steps));                    \
	} while (0)

#define ASSOCIATION                                                                               \
	{ AT, 1, 0, 0xa, 0, PASS, FLOW_SCTP_INIT }, { BT, 2, 0xa, 0xb, 0, PASS, FLOW_SCTP_INIT }, \
		{ AT, 10, 0xb, 0, 0, PASS, FLOW_SCTP_COOKIE },                                    \
	{                                                                                         \
		BT, 11, 0xa, 0, 0, PASS, FLOW_SCTP_ESTABLISHED                                    \
	}

static void sctp(void)
{
	RUN_SCTP("open, data, shut down", ASSOCIATION,
		{ AT, 0, 0xb, 0, 0, PASS, FLOW_SCTP_ESTABLISHED },
		{ BT, 3, 0xa, 0, 0, PASS, FLOW_SCTP_ESTABLISHED },
		{ AT, 7, 0xb, 0, 0, PASS, FLOW_SCTP_SHUTDOWN },
		{ BT, 8, 0xa, 0, 0, PASS, FLOW_SCTP_SHUTDOWN },
		{ AT, 14, 0xb, 0, 0, PASS, FLOW_SCTP_CLOSED },
		{ AT, 1, 0, 0xc, 0, REOPEN, FLOW_SCTP_CLOSED });
	RUN_SCTP("wrong tags", { AT, 1, 0, 0xa, 0, PASS, FLOW_SCTP_INIT },
		{ BT, 2, 0x99, 0xb, 0, BAD, FLOW_SCTP_INIT },
		{ BT, 2, 0xa, 0xb, 0, PASS, FLOW_SCTP_INIT },
		{ AT, 10, 0x99, 0, 0, BAD, FLOW_SCTP_INIT },
		{ AT, 10, 0xb, 0, 0, PASS, FLOW_SCTP_COOKIE },
		{ BT, 11, 0xa, 0, 0, PASS, FLOW_SCTP_ESTABLISHED },
		{ BT, 6, 0x99, 0, 0, BAD, FLOW_SCTP_ESTABLISHED },
		{ AT, 0, 0xa, 0, 0, BAD, FLOW_SCTP_ESTABLISHED },
		{ BT, 6, 0xa, 0, 0, PASS, FLOW_SCTP_CLOSED });
	RUN_SCTP("INIT with a tag, without one of its own",
		{ AT, 1, 0, 0xa, 0, PASS, FLOW_SCTP_INIT },
		{ AT, 1, 5, 0xa, 0, BAD, FLOW_SCTP_INIT }, { AT, 1, 0, 0, 0, BAD, FLOW_SCTP_INIT });
	RUN_SCTP("ABORT with the tag reflected", ASSOCIATION,
		{ BT, 6, 0xb, 0, false, BAD, FLOW_SCTP_ESTABLISHED },
		{ BT, 6, 0xb, 0, true, PASS, FLOW_SCTP_CLOSED });
	RUN_SCTP("restarted by its opener", ASSOCIATION,
		{ AT, 1, 0, 0xaa, 0, PASS, FLOW_SCTP_ESTABLISHED },
		{ BT, 2, 0xaa, 0xbb, 0, PASS, FLOW_SCTP_ESTABLISHED },
		{ AT, 10, 0xbb, 0, 0, PASS, FLOW_SCTP_ESTABLISHED },
		{ BT, 0, 0xaa, 0, 0, PASS, FLOW_SCTP_ESTABLISHED });
	RUN_SCTP("a forged INIT changes nothing", ASSOCIATION,
		{ AT, 1, 0, 0xaa, 0, PASS, FLOW_SCTP_ESTABLISHED },
		{ BT, 0, 0xa, 0, 0, PASS, FLOW_SCTP_ESTABLISHED },
		{ AT, 0, 0xb, 0, 0, PASS, FLOW_SCTP_ESTABLISHED });
	RUN_SCTP("picked up", { AT, 0, 0xb, 0, 0, PASS, FLOW_SCTP_COOKIE },
		{ BT, 3, 0xa, 0, 0, PASS, FLOW_SCTP_ESTABLISHED },
		{ BT, 3, 0xc, 0, 0, BAD, FLOW_SCTP_ESTABLISHED });
}

static const struct test_case cases[] = {
	{ "ordinary connections", ordinary },
	{ "refused", refused },
	{ "resets", resets },
	{ "windows", windows },
	{ "the same ports again", again },
	{ "mid-stream", midstream },
	{ "windows off", off },
	{ "counts", counts },
	{ "SCTP", sctp },
};

FLOWS_MAIN("conntrack", cases)
