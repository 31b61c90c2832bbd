/* SPDX-License-Identifier: Apache-2.0 */
/** The states of a TCP connection (RFC 9293, seen from the middle): see conntrack.h. */
#include "dataplane/conntrack.h"

#include "dataplane/kernel_slots.h"

#define CONTROL (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG)
#define NEAR \
	0xffffu /* a RST this far from the last segment's number ends the connection: one segment, however large */

/* Both directions as one of their packets sees them. */
struct conn {
	struct flow_table *table;
	struct flow_worker *w;
	struct flow_pool *pool;
	bool v6;
	uint32_t index, pair; /* pair 0: unknown */
	struct flow *self, *other;
	struct flow_side *mine, *theirs;
};

static const struct flow_side nobody; /* instead of an unknown direction; never written */

static struct conn conn_of(struct flow_table *table, unsigned worker, struct flow *flow, bool v6)
{
	struct flow_pool *pool = &table->pool[v6];
	struct conn c = {
		.table = table, .w = &table->workers[worker], .pool = pool, .v6 = v6, .self = flow
	};

	c.index = flow_index(pool, flow, v6);
	c.pair = flow_pair(pool, c.index);
	c.mine = &pool->side[c.index];
	c.theirs = c.pair != 0 ? &pool->side[c.pair] : (struct flow_side *)(uintptr_t)&nobody;
	c.other = c.pair != 0 ? flow_at(pool, c.pair, v6) : NULL;
	return c;
}

#define GET(field)	atomic_load_explicit(&(field), memory_order_relaxed)
#define PUT(field, val) atomic_store_explicit(&(field), (val), memory_order_relaxed)

static uint8_t seen(const struct flow_side *side)
{
	return atomic_load_explicit(&side->seen, memory_order_seq_cst);
}

static enum flow_kind kind_of(const struct conn *c)
{
	return flow_state_kind(GET(c->self->state));
}

/* --- states ---------------------------------------------------------------------------------------------------- */

/** The state that follows from what both directions have shown, as the one with `mine` has it. */
static enum flow_kind derive(uint8_t mine, uint8_t theirs)
{
	const uint8_t any = mine | theirs, both = mine & theirs;

	if (any & FLOW_SEEN_RST)
		return FLOW_TCP_CLOSED;
	if (both & FLOW_SEEN_FIN)
		return both & FLOW_SEEN_FINACK ? FLOW_TCP_TIME_WAIT : FLOW_TCP_CLOSING;
	if (any & FLOW_SEEN_FIN)
		return FLOW_TCP_FIN_WAIT;
	if (both & FLOW_SEEN_ACK)
		return FLOW_TCP_ESTABLISHED;
	if (any & FLOW_SEEN_PICKED)
		return mine & FLOW_SEEN_ACK ? FLOW_TCP_PICKED : FLOW_TCP_AWAITED;
	return both & FLOW_SEEN_SYN ? FLOW_TCP_SYN_RECV : FLOW_TCP_SYN_SENT;
}

/** The scale that bounds what `from` may send: the receiver's, if both offered one (RFC 7323, section 2.2). */
static unsigned scale_for(const struct flow_side *from, const struct flow_side *to)
{
	const unsigned offered = GET(to->scale);

	if ((seen(from) | seen(to)) & FLOW_SEEN_PICKED)
		return FLOW_SCALE_UNKNOWN;
	return GET(from->scale) == FLOW_SCALE_UNKNOWN || offered == FLOW_SCALE_UNKNOWN ? 0
										       : offered;
}

/** Raise an entry to a state, or put it there. */
static void set(struct flow *flow, uint8_t state, bool force)
{
	uint8_t before = GET(flow->state);

	while ((force || flow_state_kind(before) < flow_state_kind(state)) &&
		!atomic_compare_exchange_weak_explicit(
			&flow->state, &before, state, memory_order_seq_cst, memory_order_relaxed))
		;
}

static void set_counts(const struct conn *c, uint32_t index, enum flow_kind kind)
{
	if (flow_kind_rank(kind) == FLOW_RANK_CLOSED)
		flow_account_end(
			c->table, c->w, index, FLOW_ACCOUNT_OPEN | FLOW_ACCOUNT_HALF, c->v6);
	else if (kind >= FLOW_TCP_ESTABLISHED)
		flow_account_end(c->table, c->w, index, FLOW_ACCOUNT_HALF, c->v6);
}

static void update(const struct conn *c, bool force)
{
	const uint8_t mine = seen(c->mine), theirs = seen(c->theirs);
	const enum flow_kind kind = derive(mine, theirs);

	set(c->self, flow_state(kind, scale_for(c->mine, c->theirs)), force);
	set_counts(c, c->index, kind);
	if (c->other != NULL) {
		set(c->other, flow_state(derive(theirs, mine), scale_for(c->theirs, c->mine)),
			force);
		set_counts(c, c->pair, kind);
	}
}

static void show(const struct conn *c, uint8_t bits)
{
	atomic_fetch_or_explicit(&c->mine->seen, bits, memory_order_seq_cst);
}

/* --- windows --------------------------------------------------------------------------------------------------- */

static enum conntrack_verdict odd(const struct conn *c)
{
	switch ((enum flow_window_mode)GET(c->table->window)) {
	case FLOW_WINDOW_STRICT:
		return CONNTRACK_BAD;
	case FLOW_WINDOW_LIBERAL:
		return CONNTRACK_ODD;
	default:
		return CONNTRACK_PASS;
	}
}

/** Is `seq` a window or less from the last one, either way? */
static bool in_window(const struct conn *c, uint32_t seq)
{
	const uint32_t window = flow_window(scale_for(c->mine, c->theirs));
	const uint32_t back = window > FLOW_SEQ_BACK ? window : FLOW_SEQ_BACK;

	return seq - GET(c->self->seq) + back <= back + window;
}

static bool acknowledges_syn(const struct conn *c, const struct conntrack_segment *s)
{
	const uint32_t isn = GET(c->theirs->mark);

	return s->flags & RTE_TCP_ACK_FLAG && s->ack - isn - 1 <= GET(c->theirs->end) - isn - 1;
}

/* --- segments -------------------------------------------------------------------------------------------------- */

static void note_syn(const struct conn *c, const struct conntrack_segment *s)
{
	PUT(c->mine->mark, s->seq);
	PUT(c->mine->end, s->seq + s->len);
	PUT(c->mine->scale, s->scale);
	PUT(c->self->seq, s->seq + 1);
}

static enum conntrack_verdict syn(const struct conn *c, const struct conntrack_segment *s)
{
	switch (kind_of(c)) {
	case FLOW_TCP_TIME_WAIT:
	case FLOW_TCP_CLOSED:
	case FLOW_TCP_PICKED:
	case FLOW_TCP_AWAITED:
		return CONNTRACK_REOPEN;
	case FLOW_TCP_SYN_SENT: /* the first, again, or begun anew; or both ends at once */
		note_syn(c, s);
		show(c, FLOW_SEEN_SYN);
		update(c, false);
		return CONNTRACK_PASS;
	case FLOW_TCP_SYN_RECV:
		return CONNTRACK_PASS;
	default: /* the sender may have forgotten the connection; the receiver says whether it has too */
		PUT(c->mine->again, s->seq);
		PUT(c->mine->end, s->seq + s->len);
		PUT(c->mine->scale, s->scale);
		show(c, FLOW_SEEN_AGAIN);
		return CONNTRACK_ODD;
	}
}

/** Both ends have agreed on a new connection in place of the one that is open. */
static enum conntrack_verdict begin_again(const struct conn *c, const struct conntrack_segment *s)
{
	PUT(c->theirs->mark, GET(c->theirs->again));
	PUT(c->other->seq, GET(c->theirs->again) + 1);
	note_syn(c, s);
	atomic_store_explicit(&c->theirs->seen, FLOW_SEEN_SYN, memory_order_seq_cst);
	atomic_store_explicit(&c->mine->seen, FLOW_SEEN_SYN | FLOW_SEEN_ACK, memory_order_seq_cst);
	update(c, true);
	return CONNTRACK_PASS;
}

static enum conntrack_verdict syn_ack(const struct conn *c, const struct conntrack_segment *s)
{
	const enum flow_kind kind = kind_of(c);

	if (seen(c->theirs) & FLOW_SEEN_AGAIN && s->ack == GET(c->theirs->again) + 1)
		return begin_again(c, s);
	if (kind == FLOW_TCP_SYN_SENT || kind == FLOW_TCP_SYN_RECV) {
		if (!acknowledges_syn(c, s))
			return odd(c);
		if (kind == FLOW_TCP_SYN_SENT || !(seen(c->mine) & FLOW_SEEN_SYN))
			note_syn(c, s);
		show(c, FLOW_SEEN_SYN | FLOW_SEEN_ACK);
		update(c, false);
		return CONNTRACK_PASS;
	}
	if (!(seen(c->mine) &
		    FLOW_SEEN_ACK)) { /* the first of this direction, in a connection that was picked up */
		note_syn(c, s);
		show(c, FLOW_SEEN_ACK | FLOW_SEEN_PICKED);
		update(c, false);
		return CONNTRACK_PASS;
	}
	return in_window(c, s->seq) ? CONNTRACK_PASS : CONNTRACK_ODD;
}

static enum conntrack_verdict rst(const struct conn *c, const struct conntrack_segment *s)
{
	const uint8_t mine = seen(c->mine);

	if (!(mine & (FLOW_SEEN_SYN | FLOW_SEEN_ACK))) {
		/* Refused. It has no number of its own yet, so it must name the SYN's (RFC 9293, section 3.10.7.3). */
		if (seen(c->theirs) & FLOW_SEEN_SYN && !acknowledges_syn(c, s))
			return odd(c);
	} else if (!in_window(c, s->seq)) {
		return odd(c);
	} else if (s->seq - GET(c->self->seq) + NEAR > 2 * NEAR) {
		return CONNTRACK_ODD; /* the receiver will challenge it, or it was right and nobody will speak again */
	}
	show(c, FLOW_SEEN_RST);
	update(c, false);
	return CONNTRACK_PASS;
}

/** The receiver of a RST goes on: it did not believe it. */
static void resurrect(const struct conn *c)
{
	if (!(seen(c->theirs) & FLOW_SEEN_RST) || seen(c->mine) & FLOW_SEEN_RST ||
		!(seen(c->mine) & seen(c->theirs) & FLOW_SEEN_ACK) || c->other == NULL)
		return;
	atomic_fetch_and_explicit(&c->theirs->seen, (uint8_t)~FLOW_SEEN_RST, memory_order_seq_cst);
	flow_account_again(c->table, c->w, c->index, FLOW_ACCOUNT_OPEN, c->v6);
	flow_account_again(c->table, c->w, c->pair, FLOW_ACCOUNT_OPEN, c->v6);
	update(c, true);
}

/** Data, acknowledgements, FIN. */
static enum conntrack_verdict stream(const struct conn *c, const struct conntrack_segment *s)
{
	const uint8_t mine = seen(c->mine), theirs = seen(c->theirs);
	uint8_t shown = 0;

	if (!(mine & FLOW_SEEN_ACK)) {
		if (!(mine & FLOW_SEEN_SYN)) {
			if (!(theirs & FLOW_SEEN_PICKED))
				return CONNTRACK_PASS; /* an answer to a SYN from a connection of before */
			shown = FLOW_SEEN_ACK | FLOW_SEEN_PICKED;
			PUT(c->self->seq, s->seq);
		} else if (theirs & FLOW_SEEN_SYN) {
			/* It may already acknowledge data as well. */
			if (!(s->flags & RTE_TCP_ACK_FLAG) ||
				s->ack - GET(c->theirs->mark) - 1 >
					flow_window(scale_for(c->theirs, c->mine)) ||
				s->seq - GET(c->mine->mark) >
					flow_window(scale_for(c->mine, c->theirs)))
				return odd(c);
			shown = FLOW_SEEN_ACK;
		} else if (theirs & FLOW_SEEN_PICKED) {
			shown = FLOW_SEEN_ACK;
		} else {
			return CONNTRACK_PASS; /* the other direction has not been seen */
		}
	} else if (!in_window(c, s->seq)) {
		const enum conntrack_verdict verdict = odd(c);

		if (verdict != CONNTRACK_BAD) /* be there when it goes on from here */
			PUT(c->self->seq, s->seq);
		return verdict;
	}
	if ((int32_t)(s->seq - GET(c->self->seq)) > -(int32_t)FLOW_SEQ_BACK)
		PUT(c->self->seq, s->seq);
	if (kind_of(c) == FLOW_TCP_CLOSED)
		resurrect(c);
	if (s->flags & RTE_TCP_FIN_FLAG) {
		PUT(c->mine->mark, s->seq + s->len);
		shown |= FLOW_SEEN_FIN;
	}
	if (shown != 0)
		show(c, shown);
	if (theirs & FLOW_SEEN_FIN && !(theirs & FLOW_SEEN_FINACK) && s->flags & RTE_TCP_ACK_FLAG &&
		s->ack - GET(c->theirs->mark) < FLOW_SEQ_BACK) {
		atomic_fetch_or_explicit(&c->theirs->seen, FLOW_SEEN_FINACK, memory_order_seq_cst);
		shown |= FLOW_SEEN_FINACK;
	}
	if (shown != 0)
		update(c, false);
	return CONNTRACK_PASS;
}

/** Of a flow that the kernel forwards, get to know how far it is. */
static void ask_kernel(const struct conn *c)
{
	const uint16_t mine = GET(c->mine->kernel), theirs = GET(c->theirs->kernel);

	if (unlikely(mine != 0))
		kernel_slot_sync(kernel_slot(mine), c->self);
	if (unlikely(theirs != 0))
		kernel_slot_sync(kernel_slot(theirs), c->other);
}

/** What begins or ends is the kernel's no more. After the states say so: see kernel_slot_stop. */
static void stop_kernel(const struct conn *c)
{
	const uint16_t mine = GET(c->mine->kernel), theirs = GET(c->theirs->kernel);

	if (unlikely(mine != 0))
		kernel_slot_stop(kernel_slot(mine));
	if (unlikely(theirs != 0))
		kernel_slot_stop(kernel_slot(theirs));
}

static enum conntrack_verdict segment(const struct conn *c, const struct conntrack_segment *s)
{
	if (kind_of(c) < FLOW_TCP_SYN_SENT)
		return CONNTRACK_PASS; /* what was denied when it began, and is not any more */
	if (s->flags & RTE_TCP_RST_FLAG)
		return rst(c, s);
	if (s->flags & RTE_TCP_SYN_FLAG)
		return s->flags & RTE_TCP_ACK_FLAG ? syn_ack(c, s) : syn(c, s);
	return stream(c, s);
}

enum conntrack_verdict conntrack_tcp(struct flow_table *table, unsigned worker, struct flow *flow,
	bool v6, const struct conntrack_segment *s)
{
	enum conntrack_verdict verdict;
	struct conn c;

	/* Like plain ones, but larger, or with a checksum to fill in. */
	if (!(s->flags & CONTROL) &&
		s->seq - GET(flow->seq) + FLOW_SEQ_BACK <= GET(table->span[GET(flow->state)])) {
		PUT(flow->seq, s->seq);
		return CONNTRACK_PASS;
	}
	c = conn_of(table, worker, flow, v6);
	ask_kernel(&c);
	verdict = segment(&c, s);
	if (s->flags & CONTROL)
		stop_kernel(&c);
	return verdict;
}

void conntrack_tcp_first(
	const struct conntrack_segment *s, struct flow_init *forward, struct flow_init *reverse)
{
	const bool syn = (s->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) == RTE_TCP_SYN_FLAG;
	const bool fin = s->flags & RTE_TCP_FIN_FLAG;
	struct flow_track *t = &forward->track;

	*t = (struct flow_track){ .mark = fin ? s->seq + s->len : s->seq,
		.end = s->seq + s->len,
		.scale = s->scale,
		.seen = syn ? FLOW_SEEN_SYN : FLOW_SEEN_ACK | FLOW_SEEN_PICKED };
	if (fin && !syn)
		t->seen |= FLOW_SEEN_FIN;
	reverse->track = (struct flow_track){ .scale = FLOW_SCALE_UNKNOWN };
	forward->seq = s->seq + syn;
	forward->state = flow_state(derive(t->seen, 0), syn ? 0 : FLOW_SCALE_UNKNOWN);
	reverse->state = flow_state(derive(0, t->seen), syn ? 0 : FLOW_SCALE_UNKNOWN);
}
