/* SPDX-License-Identifier: Apache-2.0 */
/** Connection tracking: what state a connection is in, and what may pass for it. Worker threads, unless a function says otherwise.
 *
 * A connection is a pair of flow entries (flow.h). Each direction notes in its cold part (struct flow_side) what it has shown: SYN,
 * FIN, what it acknowledged. The state of the connection follows from both notes and is kept in both entries' `state`, which
 * says how long they may be idle and whether their packets are plain (flow_state.h). Notes are written before the other
 * direction's are read, sequentially consistent, and states only rise; so two workers with a direction each come to the same end.
 *
 * Most packets never come here: burst.c forwards plain TCP of open connections whose sequence number is near the last one.
 * Here come SYN, FIN and RST, segments outside of that, all of handshakes, first replies, SCTP, and what is not plain.
 *
 * TCP windows are what the scale factor allows at most (a plain packet's window field is not read). A RST ends a connection only
 * near the last sequence number of its direction, and a segment of the other direction afterwards (a challenge ACK, RFC 5961)
 * brings it back; a SYN in an open connection changes nothing until the other end accepts it.
 */
#ifndef DATAPLANE_CONNTRACK_H
#define DATAPLANE_CONNTRACK_H

#include "dataplane/resolve.h"

struct port;
struct worker;

/** Bounds of what a header says. Host order. */
struct conntrack_segment {
	uint32_t seq, ack;
	uint32_t len;  /* sequence numbers it takes: payload, SYN, FIN */
	uint8_t flags; /* RTE_TCP_*_FLAG */
	uint8_t scale; /* of a SYN; FLOW_SCALE_UNKNOWN = not offered */
};
/** First chunk of an SCTP packet (RFC 9260, section 3). */
struct conntrack_chunk {
	uint32_t tag;	   /* verification tag */
	uint32_t initiate; /* of INIT and INIT ACK: the tag that the sender wants to see */
	uint8_t type;
	bool reflected; /* T bit of ABORT and SHUTDOWN COMPLETE */
};

enum conntrack_verdict {
	CONNTRACK_PASS,
	CONNTRACK_ODD,	  /* passes and changes nothing, although it should not be: counted */
	CONNTRACK_BAD,	  /* to be dropped */
	CONNTRACK_REOPEN, /* a new connection of the same addresses and ports: the entries are to go */
};

/* --- pure but for the entries (conntrack_tcp.c, conntrack_sctp.c) ------------------------------------------------- */

/** A segment of the direction `flow`, which is published. */
enum conntrack_verdict conntrack_tcp(struct flow_table *table, unsigned worker, struct flow *flow,
	bool v6, const struct conntrack_segment *s);
enum conntrack_verdict conntrack_sctp(struct flow_table *table, unsigned worker, struct flow *flow,
	bool v6, const struct conntrack_chunk *c);
/** What the entries of both directions begin as, for a first packet. */
void conntrack_tcp_first(
	const struct conntrack_segment *s, struct flow_init *forward, struct flow_init *reverse);
void conntrack_sctp_first(
	const struct conntrack_chunk *c, struct flow_init *forward, struct flow_init *reverse);

/* --- workers (conntrack.c) --------------------------------------------------------------------------------------- */

#define CONNTRACK_NEW UINT32_MAX

/** A packet whose flow is known and may pass. @return DROP_NONE: it may; a drop reason; or CONNTRACK_NEW: the entries are gone,
 * and it is to be decided like one whose flow is unknown. */
uint32_t conntrack_hit(struct worker *w, const struct pkt *p, struct flow *flow, bool v6);
/** A packet whose flow is unknown, and that was resolved to pass: complete what both directions' entries begin as.
 * @return DROP_NONE, or why it may open (or go on with) no connection. *cache is false when it makes no entries. */
enum drop_reason conntrack_open(struct worker *w, const struct pkt *p, bool v6,
	const struct resolution *r, struct flow_init *forward, struct flow_init *reverse,
	bool *cache);
/** An ICMP error about a packet of a known flow, which may pass: the adjacency it goes to; else 0. Changes nothing.
 * Addresses in the error are as on the wire; once there is NAT (services), what is inside must be translated here too. */
uint32_t conntrack_related(struct worker *w, const struct port *in, const struct pkt *p, bool v6);

/** The packet belongs to a TCP connection that was opened before: no SYN, or a SYN with ACK. For policy: of those nobody knows who
 * opened the connection. */
bool conntrack_midstream(const struct pkt *p);
/** The daemon has just started, so connections of before have lost their entries: tcp_pickup_grace_s. */
bool conntrack_grace(void);

/* --- control ----------------------------------------------------------------------------------------------------- */

struct node;
/** The node's settings, live. */
void conntrack_configure(struct flow_table *table, const struct node *node);
/** Once in a while: ends the grace time. now_ms never wraps. */
void conntrack_tick(uint64_t now_ms);

#endif
