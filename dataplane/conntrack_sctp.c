/* SPDX-License-Identifier: Apache-2.0 */
/** The states of an SCTP association (RFC 9260, section 4): see conntrack.h. struct flow_side.mark of a direction is the verification
 * tag of its packets, 0 as long as it is unknown. */
#include "dataplane/conntrack.h"

#include "dataplane/flow_table.h"

#define GET(field)	atomic_load_explicit(&(field), memory_order_relaxed)
#define PUT(field, val) atomic_store_explicit(&(field), (val), memory_order_relaxed)

enum chunk {
	CHUNK_INIT = 1,
	CHUNK_INIT_ACK = 2,
	CHUNK_ABORT = 6,
	CHUNK_SHUTDOWN = 7,
	CHUNK_SHUTDOWN_ACK = 8,
	CHUNK_COOKIE_ECHO = 10,
	CHUNK_COOKIE_ACK = 11,
	CHUNK_SHUTDOWN_COMPLETE = 14,
};

static void set_both(struct flow_table *table, struct flow_worker *w, struct flow *self,
	uint32_t index, uint32_t pair, bool v6, enum flow_kind kind)
{
	const uint8_t ends = kind == FLOW_SCTP_CLOSED	     ? FLOW_ACCOUNT_OPEN | FLOW_ACCOUNT_HALF
			     : kind >= FLOW_SCTP_ESTABLISHED ? FLOW_ACCOUNT_HALF
							     : 0;

	PUT(self->state, flow_state(kind, 0));
	flow_account_end(table, w, index, ends, v6);
	if (pair != 0) {
		PUT(flow_at(&table->pool[v6], pair, v6)->state, flow_state(kind, 0));
		flow_account_end(table, w, pair, ends, v6);
	}
}

/** The state after a chunk whose tag is right. */
static enum flow_kind next(enum flow_kind kind, uint8_t type)
{
	switch (type) {
	case CHUNK_COOKIE_ECHO:
		return kind == FLOW_SCTP_ESTABLISHED ? kind : FLOW_SCTP_COOKIE;
	case CHUNK_COOKIE_ACK:
		return FLOW_SCTP_ESTABLISHED;
	case CHUNK_SHUTDOWN:
	case CHUNK_SHUTDOWN_ACK:
		return FLOW_SCTP_SHUTDOWN;
	case CHUNK_ABORT:
	case CHUNK_SHUTDOWN_COMPLETE:
		return FLOW_SCTP_CLOSED;
	default:
		return kind;
	}
}

enum conntrack_verdict conntrack_sctp(struct flow_table *table, unsigned worker, struct flow *flow,
	bool v6, const struct conntrack_chunk *c)
{
	struct flow_pool *pool = &table->pool[v6];
	struct flow_worker *w = &table->workers[worker];
	const uint32_t index = flow_index(pool, flow, v6), pair = flow_pair(pool, index);
	struct flow_side *mine = &pool->side[index], *theirs = pair != 0 ? &pool->side[pair] : NULL;
	const enum flow_kind kind = flow_state_kind(GET(flow->state));
	const uint32_t tag = GET(mine->mark), opposite = theirs != NULL ? GET(theirs->mark) : 0;
	enum flow_kind after;

	if (kind < FLOW_SCTP_INIT || kind > FLOW_SCTP_CLOSED)
		return CONNTRACK_PASS;
	if (c->type == CHUNK_INIT) {
		if (c->tag != 0 || c->initiate == 0)
			return CONNTRACK_BAD;
		if (kind == FLOW_SCTP_CLOSED)
			return CONNTRACK_REOPEN;
		/* In an association that is open it is a restart or a forgery; INIT ACK and COOKIE ECHO tell (section 5.2.2). */
		if (kind == FLOW_SCTP_INIT && theirs != NULL)
			PUT(theirs->mark, c->initiate);
		else if (theirs != NULL)
			PUT(theirs->again, c->initiate);
		return CONNTRACK_PASS;
	}
	if (theirs != NULL && tag != 0 && c->tag != tag) {
		const bool again = c->type == CHUNK_INIT_ACK && c->tag == GET(mine->again);

		if (again)
			PUT(mine->mark, c->tag);
		else if (!(c->reflected &&
				 (c->type == CHUNK_ABORT || c->type == CHUNK_SHUTDOWN_COMPLETE) &&
				 c->tag == opposite && opposite != 0))
			return CONNTRACK_BAD;
	} else if (tag == 0) {
		PUT(mine->mark, c->tag);
	}
	if (c->type == CHUNK_INIT_ACK) {
		if (c->initiate == 0)
			return CONNTRACK_BAD;
		if (theirs != NULL)
			PUT(theirs->mark, c->initiate);
		return CONNTRACK_PASS;
	}
	after = next(kind, c->type);
	/* Picked up: traffic in both directions is as good as a handshake. */
	if (kind == FLOW_SCTP_COOKIE && c->type != CHUNK_COOKIE_ECHO && after == kind && tag == 0)
		after = FLOW_SCTP_ESTABLISHED;
	if (after != kind && kind != FLOW_SCTP_CLOSED)
		set_both(table, w, flow, index, pair, v6, after);
	return CONNTRACK_PASS;
}

void conntrack_sctp_first(
	const struct conntrack_chunk *c, struct flow_init *forward, struct flow_init *reverse)
{
	if (c->type == CHUNK_INIT) {
		forward->state = reverse->state = flow_state(FLOW_SCTP_INIT, 0);
		reverse->track.mark = c->initiate;
	} else {
		forward->state = reverse->state = flow_state(FLOW_SCTP_COOKIE, 0);
		forward->track.mark = c->tag;
	}
}
