/* SPDX-License-Identifier: Apache-2.0 */
/** The client's side of memif's control channel: connect to a server's socket, offer it memory and
 * rings, and when the server is not there, refuses or goes, come back after a while.
 *
 * Control thread only.
 */
#ifndef DATAPLANE_MEMIF_CLIENT_H
#define DATAPLANE_MEMIF_CLIENT_H

#include "dataplane/port_memif.h"

#include <sys/un.h>

/* Between two attempts: doubles from the first to the second while they fail. */
#define MEMIF_REDIAL_MIN_MS 100
#define MEMIF_REDIAL_MAX_MS 2000

enum memif_client_state {
	MEMIF_CLIENT_WAITING,	/* until redial_ms */
	MEMIF_CLIENT_HELLO,	/* connected to the socket; HELLO must come */
	MEMIF_CLIENT_MAKING,	/* much memory is made by a thread of its own */
	MEMIF_CLIENT_SETUP,	/* each message is sent when the last one was acknowledged */
	MEMIF_CLIENT_CONNECTED, /* only DISCONNECT may come */
};

struct memif_client {
	struct port_memif *port;
	enum memif_client_state state;
	int fd, region_fd;		   /* -1 = none */
	struct memif_connection *building; /* in MEMIF_CLIENT_SETUP; the port's once connected */
	struct memif_making *making;	   /* in MEMIF_CLIENT_MAKING */
	unsigned rings;			   /* of the connection that is made, both ways */
	uint8_t log2_size;
	uint16_t step; /* messages sent in MEMIF_CLIENT_SETUP */
	/* Rings each way the server was found to take; DPDK's says so by hanging up only. */
	uint16_t rings_max;
	uint32_t backoff_ms;
	uint64_t redial_ms, deadline_ms, connected_ms; /* on the monotonic clock */
	struct sockaddr_un addr;
};

/** Begin to dial path for the port; the first attempt is made at once, and whether it succeeds is
 * no matter here. @return 0, -ENAMETOOLONG, -ENOMEM. */
int memif_client_open(struct port_memif *port, const char *path, struct error *err);
/** Say goodbye and free. */
void memif_client_close(struct memif_client *client, const char *reason);
/** The watched descriptor is readable. */
void memif_client_ready(struct memif_client *client);
/** Every 100 ms. */
void memif_client_tick(struct memif_client *client);

#endif
