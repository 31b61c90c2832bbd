/* SPDX-License-Identifier: Apache-2.0 */
/** Packets between workers and the control thread, through bounded rings.
 *
 * To control: one multi-producer ring; a worker that finds it full drops the packet (DROP_punt_queue_full). Each (worker,
 * kind) is rate-limited. From control: one ring a worker, single producer; control uses worker 0's.
 * While a packet is in a ring or a hold queue it is counted as held by whoever put it there.
 */
#ifndef DATAPLANE_PUNT_H
#define DATAPLANE_PUNT_H

#include "dataplane/counters.h"

#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

enum punt_kind {
	PUNT_NEIGHBOUR, /* an ARP or ND frame; m->port says where it came in */
	PUNT_RESOLVE, /* IP packet ready to leave through an ADJ_RESOLVING adjacency (note.adjacency): hold and resolve */
	PUNT_GLEAN, /* IP packet for a connected destination without a neighbour (note.adjacency: the glean one) */
	PUNT_PATH_MTU, /* ICMP "too big" about a tunnel packet of ours: whole packet from its outer IP header */
};

enum inject_kind {
	INJECT_FRAME, /* a complete frame for port note.port */
	INJECT_ADJACENCY, /* an IP packet (header at data start) for adjacency note.adjacency; note.ip_tos etc. are re-read */
};

/** Travels in the mbuf (dynamic field). */
struct pkt_note {
	uint32_t adjacency;
	uint16_t port; /* PUNT: input port; INJECT_FRAME: output port */
	uint8_t kind;  /* enum punt_kind or inject_kind */
	uint8_t flags; /* PUNT_RESOLVE/GLEAN: enum pkt_flags */
	uint32_t hash; /* top half of pkt.hash, for source ports */
	uint16_t
		trace; /* observe.h: the record that follows this packet; valid while an observer is published */
	uint16_t reserved;
	uint32_t
		rule; /* that decided its flow; valid once that is known and while an observer is published */
};
extern int pkt_note_offset;
static inline struct pkt_note *pkt_note(struct rte_mbuf *m)
{
	return RTE_MBUF_DYNFIELD(m, pkt_note_offset, struct pkt_note *);
}

/** Control, after EAL: register the field, make the rings, an eventfd. */
int punt_init(unsigned n_workers, struct error *err);
void punt_fini(void);
/** Readable when packets wait for control. */
int punt_event_fd(void);
/** Worker: make it readable. */
void punt_signal(void);
/** Control: take up to n. The caller owns them; punt.c has moved them out of the worker's held gauge into control's. */
unsigned punt_receive(struct rte_mbuf **pkts, unsigned n);
/** Control: a packet it took ends here, as dropped or as delivered. Frees it. */
void punt_drop(struct rte_mbuf *m, enum drop_reason reason);
void punt_deliver(struct rte_mbuf *m);
/** Worker: hand over; note is filled. Counts punted and held, or drops. */
void punt_send(struct counters *c, struct rte_mbuf *m);

/** Control: hand a packet to a worker; counts it as generated when `made` (control created it); a full ring drops it. */
void inject_frame(struct rte_mbuf *m, uint16_t port, bool made);
void inject_adjacency(struct rte_mbuf *m, uint32_t adjacency, bool made);
/** Worker: take what control sent. */
unsigned inject_receive(unsigned worker, struct rte_mbuf **pkts, unsigned n);
/** Worker: cheap look before inject_receive, every loop. */
bool inject_waiting(unsigned worker);
/** Set by worker.c: wake a sleeping worker. */
extern void (*worker_wake)(unsigned worker);

#endif
