/* SPDX-License-Identifier: Apache-2.0 */
/** The neighbour table from the inside: what neighbour.c (table), neighbour_state.c (states and timers) and
 * neighbour_message.c (ARP and ND) share. Control thread only.
 */
#ifndef DATAPLANE_NEIGHBOUR_TABLE_H
#define DATAPLANE_NEIGHBOUR_TABLE_H

#include "dataplane/neighbour.h"

#define NEIGHBOUR_BUCKETS 16384u
#define NEIGHBOUR_WHEEL	  512u /* slots of one tick each; later deadlines go round again */
#define NEIGHBOUR_TICK_MS 100u
#define NEIGHBOUR_HELD_ALL \
	1024u /* packets that wait in all: a flood must not eat the buffer pool */

/* RFC 4861 section 10, RFC 1122 section 2.3.2.1. */
#define REACHABLE_MS 30000u
#define STALE_MS     30000u /* until an entry in use is probed again */
#define RETRANS_MS   1000u
#define SOLICIT_MAX  3u
#define FAILED_MS    5000u   /* packets are refused at once for this long, then it is tried again */
#define UNUSED_MS    300000u /* quiet for so long: sleep */
#define ASLEEP_MS    60000u  /* asleep for so long: gone */

TAILQ_HEAD(neighbour_list, neighbour);

struct neighbour_table {
	struct neighbour_conf conf;
	struct neighbour **buckets;
	struct neighbour **of_adjacency; /* [ADJACENCY_MAX] */
	LIST_HEAD(, neighbour) wheel[NEIGHBOUR_WHEEL];
	uint64_t wheel_ms; /* timers up to here have run */
	/* Unreferenced entries by age: those without a MAC address are evicted first. */
	struct neighbour_list unresolved, resolved;
	struct neighbour_list claims;
	uint32_t count; /* not fixed, not doomed */
	uint32_t held;	/* packets */
	bool generation_due;
};
extern struct neighbour_table neighbour_table;

enum neighbour_evidence {
	EVIDENCE_CLAIM,	 /* it says so: a request, an unsolicited announcement with override */
	EVIDENCE_ANSWER, /* it answered a request */
	EVIDENCE_HINT,	 /* an announcement without override: RFC 4861 section 7.2.5 */
};

/* neighbour.c */

/** Find or create without a reference. NULL as neighbour_acquire. */
struct neighbour *neighbour_get(uint16_t port, const struct ip_addr *address, uint64_t now_ms);
/** Take an entry out of the table. It must have no references. */
void neighbour_doom(struct neighbour *n);
/** Bring the adjacency in line with the state, and tell the users. */
void neighbour_publish(struct neighbour *n);
void neighbour_want_claim(struct neighbour *n, bool wanted);
/** It was used or confirmed: the youngest of its list now. */
void neighbour_touch(struct neighbour *n);

/* neighbour_state.c */

/** Call neighbour_expire at deadline_ms; 0 = never. */
void neighbour_schedule(struct neighbour *n, uint64_t deadline_ms);
/** Something was heard of n. mac may be zero when the message carries none. */
void neighbour_heard(struct neighbour *n, const struct mac_addr *mac,
	enum neighbour_evidence evidence, uint64_t now_ms);
/** Who asked for us got no answer. */
void neighbour_unanswered(struct neighbour *n, uint64_t now_ms);
/** Begin anew without a MAC address; requests go out at the next tick if somebody wants it. */
void neighbour_reset(struct neighbour *n, uint64_t now_ms);
void neighbour_drop_held(struct neighbour *n, enum drop_reason reason);

/* neighbour_message.c */

/** Send a request for n: broadcast or solicited-node multicast, or to the MAC address it has. */
void neighbour_solicit(const struct neighbour *n, bool unicast);
/** The address is on a subnet of that uplink, or a link-local IPv6 one. */
bool neighbour_on_link(const struct port *port, const struct ip_addr *address);
/** The address is this node's on that port. */
bool neighbour_is_own(const struct port *port, const struct ip_addr *address);

#endif
