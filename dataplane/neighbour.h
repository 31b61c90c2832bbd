/* SPDX-License-Identifier: Apache-2.0 */
/** Neighbours: on-link addresses and the MAC addresses behind them (RFC 826, RFC 1122 section 2.3.2, RFC 4861 section 7).
 * Each has an adjacency whose index stays while the MAC address comes, changes and goes, so that routes, path groups and
 * flows need no care.
 *
 * Control thread only. Times are milliseconds of one monotonic clock, passed in.
 *
 * Whether traffic uses a neighbour cannot be seen from here, since workers keep no statistics an adjacency. So one that
 * nobody refers to and that has been quiet for minutes is put to sleep: its adjacency asks control again, the next
 * packet wakes it up at no loss, and if none comes it goes.
 */
#ifndef DATAPLANE_NEIGHBOUR_H
#define DATAPLANE_NEIGHBOUR_H

#include "dataplane/adjacency.h"
#include "dataplane/forwarding.h"

#include <sys/queue.h>

#define NEIGHBOUR_HELD_MAX 16 /* packets that wait for one neighbour */

struct neighbour;
/** Who wants to know when a neighbour can be sent to, or no longer. Embedded in its owner. */
struct neighbour_user {
	LIST_ENTRY(neighbour_user) link;
	struct neighbour *neighbour; /* NULL = not attached */
	void (*changed)(struct neighbour_user *user);
};

struct neighbour {
	struct ip_addr address;
	uint16_t port; /* PORT_NONE: no uplink has its subnet now */
	uint8_t state; /* enum neighbour_state */
	uint8_t tries; /* requests sent since the state was entered */
	bool fixed;    /* an address of a pod or of the host port: never aged, not counted */
	bool mac_known;
	bool asleep;	   /* see above */
	bool claim_wanted; /* shall be a /32 or /128 in the RIB */
	bool claimed;	   /* is */
	bool doomed;	   /* out of the table; lives until its claim is gone */
	struct mac_addr mac;
	uint32_t adjacency;
	uint32_t refs;				     /* routes, path groups, peers, pods */
	uint64_t confirmed_ms, used_ms, deadline_ms; /* 0 = never, no timer */
	uint8_t n_held;
	struct rte_mbuf *held[NEIGHBOUR_HELD_MAX];
	LIST_HEAD(, neighbour_user) users;
	struct neighbour *next; /* in its hash bucket */
	LIST_ENTRY(neighbour) timer;
	TAILQ_ENTRY(neighbour) age;   /* in neighbour_table.resolved or unresolved, when `ageing` */
	TAILQ_ENTRY(neighbour) claim; /* claim_wanted != claimed */
	bool ageing, claiming, in_unresolved;
};

struct neighbour_conf {
	struct rte_mempool *pool;  /* of ARP and ND messages */
	struct ip_addr gateway[2]; /* sender of requests to pods, IPv4 and IPv6 */
	uint32_t limit;		   /* most entries that are not fixed */
};
/** @return 0 or -ENOMEM. */
int neighbours_init(const struct neighbour_conf *conf);
/** Held packets are dropped with daemon_stopping. */
void neighbours_fini(void);
void neighbours_configure(const struct neighbour_conf *conf);

/** The entry, or NULL. */
struct neighbour *neighbour_find(uint16_t port, const struct ip_addr *address);
/** Find or create, with one reference. NULL: table full, adjacencies used up or out of memory. Resolution begins with the
 * next tick. */
struct neighbour *neighbour_acquire(uint16_t port, const struct ip_addr *address, uint64_t now_ms);
/** An address of a pod or the host port, one reference. `mac` NULL or zero = resolve it; `name` goes into the text. */
struct neighbour *neighbour_fixed(
	uint16_t port, const struct ip_addr *address, const struct mac_addr *mac, uint64_t now_ms);
void neighbour_ref(struct neighbour *n);
/** Without references a fixed one goes at once, others by age. */
void neighbour_release(struct neighbour *n, uint64_t now_ms);
/** Give a fixed entry another address; a dynamic one is resolved again. */
void neighbour_readdress(struct neighbour *n, const struct ip_addr *address, uint64_t now_ms);
/** A fixed entry with a MAC address of its own gets another one. */
void neighbour_moved(struct neighbour *n, const struct mac_addr *mac);
/** Forget the MAC address and resolve again (the pod's link came up). No-op for static ones. */
void neighbour_restart(struct neighbour *n, uint64_t now_ms);
/** Move an entry whose subnet is on another uplink now (PORT_NONE: on none). */
void neighbours_relocate(uint16_t (*egress)(const struct ip_addr *address), uint64_t now_ms);
/** A port is about to close: its entries go, those referred to become detached. */
void neighbours_port_gone(uint16_t port, uint64_t now_ms);

/** The MAC address can be used now. */
static inline bool neighbour_complete(const struct neighbour *n)
{
	return n->mac_known && !n->asleep && n->port != PORT_NONE &&
	       (n->state == NEIGHBOUR_REACHABLE || n->state == NEIGHBOUR_STALE ||
		       n->state == NEIGHBOUR_PROBE || n->state == NEIGHBOUR_STATIC);
}
void neighbour_watch(struct neighbour *n, struct neighbour_user *user);
void neighbour_unwatch(struct neighbour_user *user);
/** Packets for an adjacency (a tunnel's) wait for this neighbour. NULL = for none. */
void neighbour_bind(uint32_t adjacency, struct neighbour *n);
/** Whom packets for an adjacency wait for; for a neighbour's own adjacency that neighbour. NULL = nobody. */
struct neighbour *neighbour_of(uint32_t adjacency);

/** An IP packet that waits for n: sent on at once when it can be, else held or dropped. note.adjacency says through what.
 * Takes the packet. */
void neighbour_hold(struct neighbour *n, struct rte_mbuf *m, uint64_t now_ms);
/** PUNT_GLEAN: make a neighbour of the destination. Takes the packet. */
void neighbours_glean(struct rte_mbuf *m, uint64_t now_ms);
/** PUNT_NEIGHBOUR: an ARP or ND frame. Takes the packet. (neighbour_message.c) */
void neighbours_receive(struct rte_mbuf *m, uint64_t now_ms);
/** On a port that is shared with the kernel: what the kernel knows of a neighbour. mac is zero when it has none.
 * (neighbour_message.c) */
void neighbours_told(const struct port *port, const struct ip_addr *address,
	const struct mac_addr *mac, enum neighbour_news news);
/** Tell the link our own addresses (gratuitous ARP, unsolicited NA); on a shared port that is the kernel's to do.
 * (neighbour_message.c) */
void neighbours_announce(const struct port *port);
/** Timers. */
void neighbours_tick(uint64_t now_ms);

/** The next entry whose claim in the RIB is to be made (claim_wanted) or given up, or NULL. */
struct neighbour *neighbours_claim_next(void);
/** Its claim is being edited: it is not next any more. */
void neighbours_claim_take(struct neighbour *n);
/** The edit was published, or aborted and will be wanted again. Frees an entry that only waited for this. */
void neighbours_claimed(struct neighbour *n, bool published);
/** True once after a next hop of a path group changed: flows must be decided again (generation_commit). */
bool neighbours_generation_due(void);

uint32_t neighbours_count(void);
int neighbours_each(
	int (*visit)(const struct neighbour_record *, void *), void *arg, uint64_t now_ms);

#endif
