/* SPDX-License-Identifier: Apache-2.0 */
/** Peers: which way to a peer's underlay address, with which encapsulation, and the one adjacency that is the end of all
 * paths to the peer. Its index lives as long as the peer; whatever changes (encapsulation, endpoint, next hop, path MTU)
 * replaces the object behind it, so that no packet is lost and no flow touched. Inner IPv4 and IPv6 share it.
 *
 * Control thread only.
 */
#ifndef DATAPLANE_PEERS_H
#define DATAPLANE_PEERS_H

#include "config/model.h"
#include "dataplane/tunnel.h"

#include <rte_mbuf.h>

/** Underlay paths learned by ICMP are believed for ten minutes: RFC 1191 section 6.3, RFC 8201 section 4. */
#define PATH_MTU_LIFE_MS 600000u
#define PATH_MTU_MIN4 \
	576u /* lower than this no internet path is; a lie would only cost throughput */

int peers_init(const struct tunnel_ops *const *types);
void peers_fini(void);

int peer_stage(const struct change *change, struct error *err);
/** Build the table decapsulation uses, from peers, uplinks and node as they will be. */
int peers_tunnel_table(struct tunnel_table **out, struct error *err);
/** Before publication, with the RIB as it will be. `all`: look at every peer again, not just at those whose route changed. */
void peers_commit(bool all);
/** After publication: free what is gone. */
void peers_finish(void);
void peers_abort(void);
/** Follow changes of routes and neighbours, and forget old path MTUs. */
void peers_tick(uint64_t now_ms);

/** The adjacency of a peer there will be, with a reference for a route; ADJACENCY_NONE = no such peer. */
uint32_t peer_acquire(const char *name);
/** @return true when the adjacency is a peer's and its reference is dropped. */
bool peer_release(uint32_t adjacency);

/** PUNT_PATH_MTU. Takes the packet. */
void peers_path_mtu(struct rte_mbuf *m, uint64_t now_ms);
/** The combinations of encapsulation and underlay family in use, for mtu_for_pods. @return how many. */
unsigned peers_encaps(enum encap *encaps, uint8_t *families, unsigned max);
/** UDP ports, host byte order, on which tunnels of the peers there will be are received. @return how many; 0 with err
 * filled when there are too many. */
size_t peers_udp_ports(uint16_t udp_ports[TUNNEL_PORTS_MAX], struct error *err);
/** The underlay addresses of all peers there will be: count with addresses NULL, then fill. */
size_t peers_underlays(struct ip_addr *addresses);
/** The pod_cidrs of all peers there will be: count with prefixes NULL, then fill. */
size_t peers_prefixes(struct ip_prefix *prefixes);

#endif
