/* SPDX-License-Identifier: Apache-2.0 */
/** The listening sockets of memif ports, and what hangs off them. Between memif_listener.c, which
 * makes and removes sockets and routes readiness, and memif_session.c, which speaks the protocol.
 * Control thread only.
 */
#ifndef DATAPLANE_MEMIF_LISTENER_H
#define DATAPLANE_MEMIF_LISTENER_H

#include "dataplane/port_memif.h"
#include "dataplane/socket_file.h"

#include <sys/un.h>

enum memif_session_state {
	MEMIF_SESSION_HELLO,	 /* HELLO is sent; INIT must come */
	MEMIF_SESSION_SETUP,	 /* bound to a port; regions and rings come, then CONNECT */
	MEMIF_SESSION_CONNECTED, /* only DISCONNECT may come */
};

/** One control channel. */
struct memif_session {
	LIST_ENTRY(memif_session) next;
	struct memif_listener *listener;
	struct port_memif *port;	   /* NULL in MEMIF_SESSION_HELLO */
	struct port_memif *watcher;	   /* whom the loop calls for fd */
	struct memif_connection *building; /* in MEMIF_SESSION_SETUP; the port's once connected */
	int fd;
	enum memif_session_state state;
	uint64_t memory;		 /* bytes of regions so far */
	uint64_t ordinary;		 /* of these, of ordinary pages */
	uint64_t deadline_ms;		 /* of the handshake, on the monotonic clock */
	char refusal[MEMIF_REASON_SIZE]; /* a reason with what the client asked for in it */
};

struct memif_listener {
	LIST_ENTRY(memif_listener) next;
	LIST_HEAD(, port_memif) ports;
	LIST_HEAD(, memif_session) sessions;
	struct port_memif *watcher; /* whom the loop calls for fd; NULL while out of descriptors */
	int fd;
	struct socket_file file; /* removed only if it is still ours */
	unsigned ticks;
	bool lost; /* the file was removed or replaced, and that has been said */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

void memif_watch(struct port_memif *port, int fd, bool on);
struct port_memif *memif_listener_port(const struct memif_listener *listener, uint32_t id);

/** Take over an accepted descriptor and greet the client. On errors fd is closed. */
int memif_session_start(struct memif_listener *listener, int fd);
/** Handle what has arrived; the session may be gone afterwards. */
void memif_session_service(struct memif_session *session);
/** Tell the client why, unless reason_sent is NULL, and end the session; its port keeps reason. */
void memif_session_end(struct memif_session *session, const char *reason_sent, const char *reason);

#endif
