/* SPDX-License-Identifier: Apache-2.0 */
/** Peers from the inside: what peers.c (sending) and peers_receive.c share. Control thread only. */
#ifndef DATAPLANE_PEERS_STATE_H
#define DATAPLANE_PEERS_STATE_H

#include "dataplane/forwarding_state.h"
#include "dataplane/tunnel.h"

#define PEER_BUCKETS 4096u

struct peer_state {
	struct staged s;
	char name[64];
	TAILQ_ENTRY(peer_state) link;
	struct peer_state *next_named;	/* in its hash bucket */
	struct neighbour_user next_hop; /* the underlay's; a reference while attached */
	uint32_t adjacency;
	uint32_t refs;	 /* routes and path groups */
	uint32_t hash;	 /* of the name: chooses among underlay paths, identifies the peer */
	uint32_t route;	 /* adjacency its underlay address was last seen to go to */
	enum encap used; /* ENCAP_AUTO = none usable */
	struct ip_addr local, remote; /* outer addresses; IP_NONE without an endpoint */
	uint16_t path_mtu;	      /* told by routers; 0 = none */
	uint64_t path_mtu_until_ms;
	/* Why no header can be built: logged once. */
	char complaint[sizeof(((struct error *)0)->text)];
};

struct peers {
	const struct tunnel_ops *const *types;
	TAILQ_HEAD(, peer_state) list;
	struct peer_state *buckets[PEER_BUCKETS];
	struct peer_state **by_adjacency; /* [ADJACENCY_MAX] */
};
extern struct peers peers;

/** The peer as it will be after the transaction; NULL = gone. */
static inline const struct peer *peer_future(const struct peer_state *p)
{
	const struct object *obj = staged_future(&p->s);

	return obj != NULL ? &obj->peer : NULL;
}
/** IP bytes that fit the way to a peer over a port. */
uint16_t peer_underlay_mtu(
	const struct peer_state *p, const struct peer *conf, const struct port *port);
/** Bring the adjacency in line with what is known. */
void peer_fill(struct peer_state *p);

#endif
