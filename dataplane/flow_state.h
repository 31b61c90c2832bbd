/* SPDX-License-Identifier: Apache-2.0 */
/** What a flow entry knows of its connection: one byte, the index of two small tables that live with the flow table. Any thread;
 * pure functions.
 *
 * The byte is a kind, and for TCP beside it the window scale that bounds this direction: low values are kinds as they are, from
 * FLOW_TCP_SYN_SENT on it is (kind - 15) << 4 | scale. FLOW_SCALE_UNKNOWN is that of connections whose SYNs nobody saw.
 *
 * A kind says three things: how long the entry may be idle, how far a sequence number may be from the last one before the
 * packet leaves the plain path (a span of 0: nearly all do), and how willingly the entry goes when others need its place.
 */
#ifndef DATAPLANE_FLOW_STATE_H
#define DATAPLANE_FLOW_STATE_H

#include <stdbool.h>
#include <stdint.h>

/** How willingly an entry makes room: the later, the rather. */
enum flow_rank {
	FLOW_RANK_KEPT,	  /* never, while its time lasts */
	FLOW_RANK_YOUNG,  /* half open, or nobody answered yet */
	FLOW_RANK_CLOSED, /* over, but for stray packets */
};

/* X(name, text, rank, node setting of its timeout). The order of those of TCP is that of a connection's life: see
 * conntrack_tcp.c. */
#define FLOW_KINDS(X)                                                        \
	X(OTHER, "active", KEPT, flow_timeout_s)                             \
	X(UDP_UNREPLIED, "unreplied", YOUNG, udp_unreplied_timeout_s)        \
	X(UDP_AWAITED, "unreplied", YOUNG, udp_unreplied_timeout_s)          \
	X(UDP_REPLIED, "replied", KEPT, udp_replied_timeout_s)               \
	X(ICMP, "active", YOUNG, icmp_timeout_s)                             \
	X(SCTP_INIT, "init", YOUNG, sctp_init_timeout_s)                     \
	X(SCTP_COOKIE, "cookie", YOUNG, sctp_init_timeout_s)                 \
	X(SCTP_ESTABLISHED, "established", KEPT, sctp_established_timeout_s) \
	X(SCTP_SHUTDOWN, "shutdown", KEPT, sctp_shutdown_timeout_s)          \
	X(SCTP_CLOSED, "closed", CLOSED, tcp_closed_timeout_s)               \
	X(SPARE_10, "", KEPT, flow_timeout_s)                                \
	X(SPARE_11, "", KEPT, flow_timeout_s)                                \
	X(SPARE_12, "", KEPT, flow_timeout_s)                                \
	X(SPARE_13, "", KEPT, flow_timeout_s)                                \
	X(SPARE_14, "", KEPT, flow_timeout_s)                                \
	X(SPARE_15, "", KEPT, flow_timeout_s)                                \
	X(TCP_SYN_SENT, "syn_sent", YOUNG, tcp_syn_timeout_s)                \
	X(TCP_SYN_RECV, "syn_recv", YOUNG, tcp_syn_timeout_s)                \
	X(TCP_PICKED, "picked_up", YOUNG, tcp_pickup_timeout_s)              \
	X(TCP_AWAITED, "picked_up", YOUNG, tcp_pickup_timeout_s)             \
	X(TCP_ESTABLISHED, "established", KEPT, tcp_established_timeout_s)   \
	X(TCP_FIN_WAIT, "fin_wait", KEPT, tcp_fin_timeout_s)                 \
	X(TCP_CLOSING, "closing", KEPT, tcp_fin_timeout_s)                   \
	X(TCP_TIME_WAIT, "time_wait", CLOSED, tcp_time_wait_timeout_s)       \
	X(TCP_CLOSED, "closed", CLOSED, tcp_closed_timeout_s)

enum flow_kind {
#define X(name, text, rank, setting) FLOW_##name,
	FLOW_KINDS(X)
#undef X
		FLOW_KIND_COUNT
};

#define FLOW_SCALE_MAX	   14 /* RFC 7323, section 2.3 */
#define FLOW_SCALE_UNKNOWN 15

/** How far back a segment may be and still be plain: retransmissions. The slow path lets those from a whole window back pass. */
#define FLOW_SEQ_BACK 0x40000u

static inline uint8_t flow_state(enum flow_kind kind, unsigned scale)
{
	return (uint8_t)(kind < FLOW_TCP_SYN_SENT ? (unsigned)kind
						  : (unsigned)(kind - 15) << 4 | scale);
}
static inline enum flow_kind flow_state_kind(uint8_t state)
{
	return (enum flow_kind)(state < 16 ? state : 15 + (state >> 4));
}
static inline unsigned flow_state_scale(uint8_t state)
{
	return state & 15;
}

static inline enum flow_rank flow_kind_rank(enum flow_kind kind)
{
	static const uint8_t ranks[] = {
#define X(name, text, rank, setting) FLOW_RANK_##rank,
		FLOW_KINDS(X)
#undef X
	};

	return kind < FLOW_KIND_COUNT ? (enum flow_rank)ranks[kind] : FLOW_RANK_KEPT;
}
static inline const char *flow_kind_text(enum flow_kind kind)
{
	static const char *const texts[] = {
#define X(name, text, rank, setting) text,
		FLOW_KINDS(X)
#undef X
	};

	return kind < FLOW_KIND_COUNT ? texts[kind] : "";
}
/** "tcp_syn_sent": a label. */
const char *flow_kind_name(enum flow_kind kind);

/** The largest window that a scale allows, bytes: what may be on the way in one direction. */
static inline uint32_t flow_window(unsigned scale)
{
	return scale >= FLOW_SCALE_UNKNOWN ? 1u << 30 : 65535u << scale;
}

#endif
