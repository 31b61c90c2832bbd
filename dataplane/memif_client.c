/* SPDX-License-Identifier: Apache-2.0 */
/** The handshake seen from the client: HELLO comes, then INIT, ADD_REGION, ADD_RING for each ring
 * and CONNECT go, one after the other, each when the one before was acknowledged; CONNECTED ends
 * it. The memory is new for each connection: a server that is gone may still write to what it had.
 */
#include "dataplane/memif_client.h"

#include "config/log.h"
#include "dataplane/memif_large.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HANDSHAKE_MS	  5000
#define STEP_INIT_SENT	  1
#define MESSAGES_PER_CALL 64 /* a chatty server must not hold up the loop */

static void watch(const struct memif_client *cl, bool on)
{
	if (port_watch_fd != NULL)
		port_watch_fd(&cl->port->port, cl->fd, on);
}

/* Why there is no connection, for whoever asks; logged when it is news. */
static void refusal_note(struct port_memif *p, const char *reason)
{
	p->refusals++;
	if (strcmp(p->last_refusal, reason) == 0)
		return;
	snprintf(p->last_refusal, sizeof(p->last_refusal), "%s", reason);
	LOG_FROM(&p->port.log, LOG_LEVEL_WARNING, "memif server can't be had name=%s reason=\"%s\"",
		p->port.name, reason);
}

static void release(struct memif_client *cl, const char *reason_sent)
{
	if (cl->fd >= 0) {
		watch(cl, false);
		if (reason_sent != NULL)
			memif_msg_goodbye(cl->fd, reason_sent);
		close(cl->fd);
		cl->fd = -1;
	}
	if (cl->region_fd >= 0)
		close(cl->region_fd);
	cl->region_fd = -1;
	memif_connection_free(cl->building);
	cl->building = NULL;
	memif_making_abandon(cl->making);
	cl->making = NULL;
}

/* End the attempt or the connection, and wait a while. */
static void hang_up(struct memif_client *cl, const char *reason_sent, const char *reason)
{
	uint64_t now = memif_now_ms();
	bool lasted =
		cl->state == MEMIF_CLIENT_CONNECTED && now - cl->connected_ms > cl->backoff_ms;

	release(cl, reason_sent);
	if (cl->state == MEMIF_CLIENT_CONNECTED)
		port_memif_detach(cl->port, reason);
	else
		refusal_note(cl->port, reason);
	cl->state = MEMIF_CLIENT_WAITING;
	cl->redial_ms = now + cl->backoff_ms;
	cl->backoff_ms = lasted ? MEMIF_REDIAL_MIN_MS
				: RTE_MIN(cl->backoff_ms * 2, (uint32_t)MEMIF_REDIAL_MAX_MS);
}

static void dial(struct memif_client *cl)
{
	char reason[MEMIF_REASON_SIZE];

	cl->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (cl->fd >= 0 && connect(cl->fd, (struct sockaddr *)&cl->addr, sizeof(cl->addr)) == 0) {
		cl->state = MEMIF_CLIENT_HELLO;
		cl->deadline_ms = memif_now_ms() + HANDSHAKE_MS;
		watch(cl, true);
		return;
	}
	snprintf(reason, sizeof(reason), "No connection to the socket: %s", strerror(errno));
	if (cl->fd >= 0)
		close(cl->fd);
	cl->fd = -1;
	hang_up(cl, NULL, reason);
}

/* The handlers return NULL, or why the attempt fails. */

static const char *send_init(struct memif_client *cl)
{
	const struct port_memif *p = cl->port;
	struct memif_msg msg = { .type = MEMIF_MSG_INIT };

	msg.init.version = MEMIF_VERSION;
	msg.init.id = p->id;
	msg.init.mode = p->ip ? MEMIF_MODE_IP : MEMIF_MODE_ETHERNET;
	memcpy(msg.init.secret, p->secret, sizeof(msg.init.secret));
	memif_text_put(msg.init.name, sizeof(msg.init.name), "podlane " PODLANE_VERSION);
	return memif_msg_send(cl->fd, &msg, -1) < 0 ? "INIT can't be sent" : NULL;
}

static const char *send_region(struct memif_client *cl)
{
	struct memif_msg msg = { .type = MEMIF_MSG_ADD_REGION };

	msg.add_region.size = cl->building->regions[0].size;
	if (memif_msg_send(cl->fd, &msg, cl->region_fd) < 0)
		return "ADD_REGION can't be sent";
	close(cl->region_fd);
	cl->region_fd = -1;
	return NULL;
}

static const char *send_ring(struct memif_client *cl, uint16_t number)
{
	const struct memif_connection *c = cl->building;
	struct memif_msg msg = { .type = MEMIF_MSG_ADD_RING };
	bool c2s = number < c->n_tx;
	uint16_t index = c2s ? number : (uint16_t)(number - c->n_tx);
	const struct memif_queue *q = c2s ? &c->tx[index] : &c->rx[index];

	msg.add_ring.flags = c2s ? MEMIF_ADD_RING_C2S : 0;
	msg.add_ring.index = index;
	msg.add_ring.offset = q->ring_offset;
	msg.add_ring.log2_size = (uint8_t)rte_log2_u32(q->size);
	return memif_msg_send(cl->fd, &msg, q->event_fd) < 0 ? "ADD_RING can't be sent" : NULL;
}

static const char *send_connect(struct memif_client *cl)
{
	struct memif_msg msg = { .type = MEMIF_MSG_CONNECT };

	memif_text_put(msg.if_name, sizeof(msg.if_name), cl->port->port.name);
	return memif_msg_send(cl->fd, &msg, -1) < 0 ? "CONNECT can't be sent" : NULL;
}

/* INIT is step 0, the region 1, then the rings, then CONNECT, after which nothing is acknowledged. */
static const char *send_step(struct memif_client *cl)
{
	uint16_t step = cl->step++, rings = (uint16_t)(cl->building->n_rx + cl->building->n_tx);

	if (step == 0)
		return send_init(cl);
	if (step == 1)
		return send_region(cl);
	if (step - 2 < rings)
		return send_ring(cl, (uint16_t)(step - 2));
	if (step - 2 == rings)
		return send_connect(cl);
	return "ACK without a message";
}

/* DPDK's server (22.11) announces many rings and refuses those it has no queue for: the next
 * attempt asks for one less. */
static void learn_rings(struct memif_client *cl)
{
	const struct memif_connection *c = cl->building;
	uint16_t sent = (uint16_t)(cl->step > 2 ? cl->step - 3 : 0), index; /* the ring sent last */

	if (cl->state != MEMIF_CLIENT_SETUP || cl->step < 3 || sent >= c->n_rx + c->n_tx)
		return;
	index = sent < c->n_tx ? sent : (uint16_t)(sent - c->n_tx);
	if (index > 0)
		cl->rings_max = index;
}

static const char *on_memory(struct memif_client *cl, int ret)
{
	static char no_memory[MEMIF_REASON_SIZE];

	if (ret < 0) {
		snprintf(no_memory, sizeof(no_memory), "No memory for %u rings of %u: %s",
			cl->rings, 1u << cl->log2_size, strerror(-ret));
		return no_memory;
	}
	cl->state = MEMIF_CLIENT_SETUP;
	cl->step = 0;
	return send_step(cl);
}

static const char *on_hello(struct memif_client *cl, const struct memif_hello *hello)
{
	static char wrong_version[MEMIF_REASON_SIZE];
	struct port_memif *p = cl->port;
	uint16_t n_rx = (uint16_t)RTE_MIN(p->port.n_rxq, cl->rings_max);
	uint16_t n_tx = (uint16_t)RTE_MIN(p->port.n_txq, cl->rings_max);

	if (hello->min_version > MEMIF_VERSION || hello->max_version < MEMIF_VERSION) {
		snprintf(wrong_version, sizeof(wrong_version),
			"The server speaks memif " MEMIF_VERSION_FMT " to " MEMIF_VERSION_FMT
			", this is " MEMIF_VERSION_FMT,
			MEMIF_VERSION_ARGS(hello->min_version),
			MEMIF_VERSION_ARGS(hello->max_version), MEMIF_VERSION_ARGS(MEMIF_VERSION));
		return wrong_version;
	}
	/* The largest indices, so one less than a count. */
	if (hello->max_s2c_ring < n_rx)
		n_rx = (uint16_t)(hello->max_s2c_ring + 1);
	if (hello->max_c2s_ring < n_tx)
		n_tx = (uint16_t)(hello->max_c2s_ring + 1);
	memif_text_copy(p->peer_name, sizeof(p->peer_name), hello->name, sizeof(hello->name));
	cl->rings = (unsigned)n_rx + n_tx;
	cl->log2_size = (uint8_t)RTE_MIN(p->log2_ring_max, hello->max_log2_ring_size);
	if ((uint64_t)cl->rings * MEMIF_BUFFER << cl->log2_size >= MEMIF_LARGE)
		cl->making = memif_making_start(n_rx, n_tx, cl->log2_size);
	if (cl->making == NULL)
		return on_memory(cl, memif_connection_own(n_rx, n_tx, cl->log2_size, &cl->building,
					     &cl->region_fd));
	cl->state = MEMIF_CLIENT_MAKING;
	return NULL;
}

static void making_look(struct memif_client *cl)
{
	const char *reason;
	int ret;

	if (!memif_making_done(cl->making, &cl->building, &cl->region_fd, &ret))
		return;
	cl->making = NULL;
	reason = on_memory(cl, ret);
	if (reason != NULL)
		hang_up(cl, reason, reason);
}

static const char *on_connected(struct memif_client *cl, const char *if_name)
{
	struct port_memif *p = cl->port;
	struct memif_connection *c = cl->building;

	if (cl->step != c->n_rx + c->n_tx + 3)
		return "CONNECTED too early";
	memif_text_copy(p->peer_if_name, sizeof(p->peer_if_name), if_name, MEMIF_NAME_SIZE);
	p->last_refusal[0] = '\0';
	cl->building = NULL;
	cl->state = MEMIF_CLIENT_CONNECTED;
	cl->connected_ms = memif_now_ms();
	memif_connection_offer(c);
	port_memif_attach(p, c);
	return NULL;
}

static const char *on_message(struct memif_client *cl, const struct memif_msg *msg)
{
	if (msg->type == MEMIF_MSG_HELLO && cl->state == MEMIF_CLIENT_HELLO)
		return on_hello(cl, &msg->hello);
	if (msg->type == MEMIF_MSG_ACK && cl->state == MEMIF_CLIENT_SETUP)
		return send_step(cl);
	if (msg->type == MEMIF_MSG_CONNECTED && cl->state == MEMIF_CLIENT_SETUP)
		return on_connected(cl, msg->if_name);
	return msg->type > MEMIF_MSG_DISCONNECT ? "Unknown message" : "Unexpected message";
}

static void on_disconnect(struct memif_client *cl, const struct memif_disconnect *end)
{
	char said[MEMIF_REASON_SIZE + 1], reason[MEMIF_REFUSAL_SIZE];
	int n;

	memif_text_copy(said, sizeof(said), end->reason, sizeof(end->reason));
	learn_rings(cl);
	n = snprintf(reason, sizeof(reason), "The server says: %s",
		said[0] != '\0' ? said : "disconnected");
	/* Servers seldom say what they were asked. */
	if (cl->state == MEMIF_CLIENT_SETUP && cl->step == STEP_INIT_SENT)
		snprintf(reason + n, sizeof(reason) - (size_t)n,
			" (asked for id %u, memif " MEMIF_VERSION_FMT ", %s mode, %s secret)",
			cl->port->id, MEMIF_VERSION_ARGS(MEMIF_VERSION),
			cl->port->ip ? "IP" : "Ethernet", cl->port->secret[0] != 0 ? "a" : "no");
	hang_up(cl, NULL, reason);
}

/* @return false when there is nothing more to read, or the connection ended. */
static bool ready_one(struct memif_client *cl)
{
	struct memif_msg msg;
	const char *reason;
	int passed, ret;

	ret = memif_msg_recv(cl->fd, &msg, &passed);
	if (ret == -EAGAIN)
		return false;
	if (passed >= 0) /* servers have nothing to pass */
		close(passed);
	if (ret == -EPIPE) {
		learn_rings(cl);
		hang_up(cl, NULL, "The server closed its socket or died");
		return false;
	}
	if (ret == 0 && msg.type == MEMIF_MSG_DISCONNECT) {
		on_disconnect(cl, &msg.disconnect);
		return false;
	}
	if (ret == 0)
		reason = on_message(cl, &msg);
	else
		reason = ret == -EMSGSIZE ? "Wrong message size" : "Too many descriptors";
	if (reason != NULL)
		hang_up(cl, reason, reason);
	return reason == NULL;
}

void memif_client_ready(struct memif_client *cl)
{
	for (unsigned i = 0; i < MESSAGES_PER_CALL && cl->fd >= 0; i++) {
		if (!ready_one(cl))
			return;
	}
}

void memif_client_tick(struct memif_client *cl)
{
	uint64_t now = memif_now_ms();

	/* The loop tells of a server's end; this is for one it missed. */
	if (cl->fd >= 0)
		memif_client_ready(cl);
	if (cl->making != NULL)
		making_look(cl);
	if (cl->state == MEMIF_CLIENT_WAITING && now >= cl->redial_ms)
		dial(cl);
	else if (cl->state != MEMIF_CLIENT_WAITING && cl->state != MEMIF_CLIENT_CONNECTED &&
		 now >= cl->deadline_ms)
		hang_up(cl, "Handshake timed out", "The server does not answer");
}

int memif_client_open(struct port_memif *port, const char *path, struct error *err)
{
	struct memif_client *cl;

	if (strlen(path) >= sizeof(cl->addr.sun_path))
		return error_set(err, ENAMETOOLONG, "socket",
			"memif socket %s: the path is longer than %zu bytes", path,
			sizeof(cl->addr.sun_path) - 1);
	cl = calloc(1, sizeof(*cl));
	if (cl == NULL)
		return error_set(err, ENOMEM, NULL, "port %s: no memory", port->port.name);
	cl->port = port;
	cl->fd = cl->region_fd = -1;
	cl->rings_max = MEMIF_QUEUE_MAX;
	cl->backoff_ms = MEMIF_REDIAL_MIN_MS;
	cl->addr.sun_family = AF_UNIX;
	strcpy(cl->addr.sun_path, path);
	port->client = cl;
	dial(cl);
	return 0;
}

void memif_client_close(struct memif_client *cl, const char *reason)
{
	release(cl, reason);
	if (cl->state == MEMIF_CLIENT_CONNECTED)
		port_memif_detach(cl->port, reason);
	cl->port->client = NULL;
	free(cl);
}
