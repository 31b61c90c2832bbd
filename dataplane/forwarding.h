/* SPDX-License-Identifier: Apache-2.0 */
/** From objects to tables: the control-thread half of the data plane. Turns model changes into ports, routes, adjacencies,
 * neighbours and tunnels, and publishes them in one step.
 *
 * Control thread only.
 */
#ifndef DATAPLANE_FORWARDING_H
#define DATAPLANE_FORWARDING_H

#include "config/model.h"
#include "dataplane/port.h"
#include "dataplane/settings.h"

struct forwarding_conf {
	const struct tunnel_ops *const *tunnel_types;
	unsigned n_workers;
	struct rte_mempool *pool, *large_pool;
	int socket_id;
	/** How worker.c learns of ports to poll; called with the complete list at each commit that changed it. */
	void (*poll_ports)(struct port *const *list, size_t count);
};
int forwarding_init(const struct forwarding_conf *conf, struct error *err);
/** Closes all ports, frees all tables. Workers have stopped. */
void forwarding_fini(bool successor);

/** A prepared transaction. */
struct forwarding_txn;
/** Do everything that can fail: open ports (closed for forwarding), build new table versions, allocate. Nothing is
 * visible to packets of others. On error everything is undone. `model` is the model as it will be after the changes
 * (through changeset_find for lookups by name); changes are in the order of changeset_changes. */
int forwarding_prepare(const struct changeset *set, const struct change *changes, size_t count,
	struct forwarding_txn **txn, struct error *err);
/** Publish; cannot fail. Old objects are retired, ports removed by the transaction are closed after a grace period. */
void forwarding_commit(struct forwarding_txn *txn);
void forwarding_abort(struct forwarding_txn *txn);

/** Packets punted by workers: ARP/ND, packets to hold, gleans, path MTU messages. */
void forwarding_punted(struct rte_mbuf *m);
/** Every 100 ms: neighbour timers, port ticks (link state, reconnects), adjacency rebuilds that follow from them. */
void forwarding_tick(uint64_t now_ms);

/* What people see. Visitors stop on non-zero. */
enum neighbour_state {
	NEIGHBOUR_INCOMPLETE,
	NEIGHBOUR_REACHABLE,
	NEIGHBOUR_STALE,
	NEIGHBOUR_PROBE,
	NEIGHBOUR_FAILED,
	NEIGHBOUR_STATIC
};
const char *neighbour_state_name(enum neighbour_state state);
struct neighbour_record {
	const char *port;
	struct ip_addr address;
	struct mac_addr mac;
	enum neighbour_state state;
	unsigned held;	 /* packets waiting */
	uint64_t age_ms; /* since last confirmed */
	uint32_t adjacency;
};
int forwarding_each_neighbour(int (*visit)(const struct neighbour_record *, void *), void *arg);
struct peer_record {
	const char *name;
	enum encap configured, used;  /* used: what "auto" came to; ENCAP_AUTO = none usable */
	struct ip_addr local, remote; /* outer addresses in use */
	const char *port;	      /* output port, "" when unresolved */
	uint16_t mtu;		      /* inner */
	bool up;		      /* adjacency complete */
	uint32_t adjacency;
};
int forwarding_each_peer(int (*visit)(const struct peer_record *, void *), void *arg);
struct route_record {
	struct ip_prefix prefix;
	const char *source; /* "local", "pod", "neighbour", "route", "peer", "connected", "pool" */
	uint32_t value;	    /* as in tables.fib4/6 */
};
/** Routes in the published tables, all sources, the winning one a prefix. limit 0 = all. */
int forwarding_each_route(
	uint8_t family, size_t limit, int (*visit)(const struct route_record *, void *), void *arg);
/** Text of a route value: "via 192.0.2.1 dev eth0", "vxlan to node-b", "unreachable", up to 16 next hops. */
void forwarding_value_text(uint32_t value, char *buf, size_t size);
/** This node's VTEP MAC in use (configured or derived). */
struct mac_addr forwarding_vtep_mac(void);
/** Interface MTU given to a pod now (after the calculator), 0 = no such pod. */
uint16_t forwarding_pod_mtu(const char *pod);
/** True when every route next hop, peer and port of the last commit is published and workers have passed it. */
bool forwarding_settled(void);

#endif
