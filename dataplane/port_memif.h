/* SPDX-License-Identifier: Apache-2.0 */
/** The memif port driver: the server or the client ("master" or "slave") of memif 2.0 interfaces,
 * in Ethernet or IP mode, for DPDK and VPP pods, for uplinks, and for Podlane itself.
 *
 * This header is between port_memif.c (the port), memif_listener.c and memif_session.c (the
 * server's control channel), memif_client.c (the client's) and their tests. A port lives as long as
 * the pod is configured; peers come, go, crash and come back, and the port's link follows them. At
 * most one peer is connected to a port at a time.
 *
 * Threads: all functions here run on the control thread. Workers see a client through
 * port->connection only.
 */
#ifndef DATAPLANE_PORT_MEMIF_H
#define DATAPLANE_PORT_MEMIF_H

#include "dataplane/memif_queue.h"
#include "dataplane/port.h"
#include "dataplane/queue_wake.h"

#include <sys/queue.h>

struct memif_listener;
struct memif_session;
struct memif_client;

#define MEMIF_REFUSAL_SIZE (MEMIF_REASON_SIZE + 96) /* what a peer says, and what it was asked */

struct port_memif {
	struct port port; /* first: ops get a struct port */
	/* Constant after open. */
	struct rte_mempool *pool, *large_pool;
	uint32_t id; /* of the interface on its socket */
	uint8_t log2_ring_max;
	bool ip;			   /* IP mode, see memif_ip.h */
	struct mac_addr peer_mac;	   /* IP mode: stands for the peer */
	uint8_t secret[MEMIF_SECRET_SIZE]; /* zero-padded; all zero = none */
	struct queue_wake wake;		   /* what workers sleep on; a ring's eventfd joins it */
	/* Writer: control, by publication. Readers: workers. */
	_Atomic(struct memif_connection *) connection;
	/* Writers: workers, rarely. */
	_Atomic uint64_t tx_faults; /* bad descriptors among the peer's buffers, or bad positions */
	_Atomic uint64_t
		tx_full; /* bursts cut short by a full ring; the caller counts the packets */
	_Atomic uint64_t rx_no_buffer; /* bursts cut short by an empty pool; nothing is lost */
	/* Control only. */
	struct memif_client *client; /* role client; then there is no listener and no session */
	LIST_ENTRY(port_memif) next; /* of the listener */
	struct memif_listener *listener;
	struct memif_session *session; /* the client being set up or connected */
	char peer_name[MEMIF_NAME_SIZE + 1], peer_if_name[MEMIF_NAME_SIZE + 1];
	char last_reason[MEMIF_REASON_SIZE + 1]; /* why the last peer went; "" = none did */
	/* Server: why a client was turned away at INIT; one whose id no port of the socket has counts at each of them.
	 * Client: why there is no connection. */
	char last_refusal[MEMIF_REFUSAL_SIZE];
	uint64_t connects, refusals;
};

/** Listen on path for this port's interface id; ports with the same path share the socket.
 * @return 0, -EINVAL (a directory that is not there or not ours to write to), -ENAMETOOLONG, -EEXIST
 * (id taken, or path is no socket), -EADDRINUSE (another process listens), or the system's error. */
int memif_listen(struct port_memif *port, const char *path, struct error *err);
/** Undo memif_listen; says goodbye to the port's client. The last port of a path removes the
 * socket. */
void memif_unlisten(struct port_memif *port, const char *reason);
/** A watched descriptor is readable. */
void memif_control_ready(int fd);
/** Every 100 ms: let go of clients that are gone, or that do not finish the handshake in time. */
void memif_control_tick(struct port_memif *port);

/** Milliseconds on the monotonic clock. */
uint64_t memif_now_ms(void);
const char *memif_listener_path(const struct memif_listener *listener);

/** Most bytes of ordinary pages that a client of it may share (memif_proto.h says why). */
uint64_t port_memif_ordinary_max(const struct port_memif *port);
/** The connection is complete: publish it. */
void port_memif_attach(struct port_memif *port, struct memif_connection *connection);
/** The peer is gone, or leaves: withdraw its connection, if any; it is freed after a grace
 * period. */
void port_memif_detach(struct port_memif *port, const char *reason);

#endif
