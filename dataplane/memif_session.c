/* SPDX-License-Identifier: Apache-2.0 */
/** The server's side of the memif handshake: HELLO, then the client's INIT, ADD_REGION, ADD_RING,
 * CONNECT, each answered. A message that is malformed or out of order ends the session with a
 * DISCONNECT that says why.
 */
#include "dataplane/memif_listener.h"

#include "config/log.h"
#include "dataplane/memif_guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HANDSHAKE_MS	  5000
#define MESSAGES_PER_CALL 64 /* a chatty client must not hold up the loop */

void memif_session_end(struct memif_session *s, const char *reason_sent, const char *reason)
{
	if (reason_sent != NULL)
		memif_msg_goodbye(s->fd, reason_sent);
	LOG_DEBUG("memif session ends socket=%s reason=\"%s\"", s->listener->path, reason);
	memif_watch(s->watcher, s->fd, false);
	close(s->fd);
	memif_connection_free(s->building);
	if (s->port != NULL)
		port_memif_detach(s->port, reason);
	LIST_REMOVE(s, next);
	free(s);
}

/* Which port it will be is not known yet: promise what every port of the socket can hold. */
static void limits_put(const struct memif_listener *l, struct memif_hello *hello)
{
	const struct port_memif *p;
	uint16_t queues = MEMIF_QUEUE_MAX;
	uint8_t log2_size = MEMIF_RING_LOG2_MAX;

	LIST_FOREACH (p, &l->ports, next) {
		if (p->port.n_rxq < queues)
			queues = p->port.n_rxq;
		if (p->log2_ring_max < log2_size)
			log2_size = p->log2_ring_max;
	}
	hello->max_region = MEMIF_REGION_MAX - 1;
	hello->max_s2c_ring = hello->max_c2s_ring = (uint16_t)(queues - 1);
	hello->max_log2_ring_size = log2_size;
}

int memif_session_start(struct memif_listener *l, int fd)
{
	struct memif_msg msg = { .type = MEMIF_MSG_HELLO };
	struct memif_session *s = calloc(1, sizeof(*s));
	int ret = -ENOMEM;

	if (s == NULL)
		goto close_fd;
	memif_text_put(msg.hello.name, sizeof(msg.hello.name), "podlane " PODLANE_VERSION);
	msg.hello.min_version = msg.hello.max_version = MEMIF_VERSION;
	msg.hello.max_region = MEMIF_REGION_MAX - 1;
	limits_put(l, &msg.hello);
	ret = memif_msg_send(fd, &msg, -1);
	if (ret < 0)
		goto free_session;
	s->fd = fd;
	s->listener = l;
	s->watcher = LIST_FIRST(&l->ports);
	s->deadline_ms = memif_now_ms() + HANDSHAKE_MS;
	LIST_INSERT_HEAD(&l->sessions, s, next);
	memif_watch(s->watcher, fd, true);
	return 0;

free_session:
	free(s);
close_fd:
	close(fd);
	return ret;
}

/* In time that depends on nothing secret. */
static bool secret_matches(const uint8_t *want, const uint8_t *got)
{
	uint8_t configured = 0, difference = 0;

	for (unsigned i = 0; i < MEMIF_SECRET_SIZE; i++) {
		configured |= want[i];
		difference |= want[i] ^ got[i];
	}
	return configured == 0 || difference == 0;
}

/* The handlers return NULL, or why the client is refused. */

/* What only the right client, with the right secret, on a free port, gets past. */
static const char *init_refusal(const struct port_memif *p, const struct memif_init *init)
{
	if (!secret_matches(p->secret, init->secret))
		return "Wrong or missing secret";
	if (init->mode != (p->ip ? MEMIF_MODE_IP : MEMIF_MODE_ETHERNET))
		return p->ip ? "The interface is in IP mode" : "The interface is in Ethernet mode";
	/* A client that was killed and is back may be here before its old channel's end was
	 * noticed. */
	if (p->session != NULL)
		memif_session_service(p->session);
	return p->session != NULL ? "Already connected" : NULL;
}

static void refusal_note(struct port_memif *p, const char *reason)
{
	snprintf(p->last_refusal, sizeof(p->last_refusal), "%s", reason);
	p->refusals++;
}

/* Which of the socket's ports was meant nobody knows: each says what was asked for, and what it is. */
static const char *id_unknown(struct memif_session *s, const struct memif_init *init)
{
	char reason[MEMIF_REFUSAL_SIZE];
	struct port_memif *p;

	snprintf(s->refusal, sizeof(s->refusal), "No interface has the id %u", init->id);
	LIST_FOREACH (p, &s->listener->ports, next) {
		snprintf(reason, sizeof(reason), "%s that a client asked for: this one is %u",
			s->refusal, p->id);
		refusal_note(p, reason);
	}
	return s->refusal;
}

static const char *version_unknown(struct memif_session *s, const struct memif_init *init)
{
	const struct port_memif *meant = memif_listener_port(s->listener, init->id);
	struct port_memif *p;

	snprintf(s->refusal, sizeof(s->refusal),
		"The client speaks memif " MEMIF_VERSION_FMT ", this is " MEMIF_VERSION_FMT,
		MEMIF_VERSION_ARGS(init->version), MEMIF_VERSION_ARGS(MEMIF_VERSION));
	LIST_FOREACH (p, &s->listener->ports, next) {
		if (meant == NULL || meant == p)
			refusal_note(p, s->refusal);
	}
	return s->refusal;
}

static const char *on_init(struct memif_session *s, const struct memif_init *init)
{
	struct port_memif *p;
	const char *refusal;

	if (init->version != MEMIF_VERSION)
		return version_unknown(s, init);
	p = memif_listener_port(s->listener, init->id);
	if (p == NULL)
		return id_unknown(s, init);
	refusal = init_refusal(p, init);
	if (refusal != NULL) {
		refusal_note(p, refusal);
		return refusal;
	}
	s->building = memif_connection_new();
	if (s->building == NULL)
		return "Out of memory";
	memif_text_copy(p->peer_name, sizeof(p->peer_name), init->name, sizeof(init->name));
	memif_watch(s->watcher, s->fd, false);
	s->watcher = s->port = p;
	memif_watch(s->watcher, s->fd, true);
	p->session = s;
	s->state = MEMIF_SESSION_SETUP;
	return NULL;
}

static const char *on_add_region(
	struct memif_session *s, const struct memif_add_region *add, int fd)
{
	struct memif_connection *c = s->building;
	struct memif_region *region;
	bool huge;

	if (fd < 0)
		return "ADD_REGION without a descriptor";
	if (add->index != c->n_regions || add->index >= MEMIF_REGION_MAX)
		return "Region index out of order or too large";
	if (add->size > MEMIF_MEMORY_MAX - s->memory)
		return "Regions are too large";
	region = &c->regions[c->n_regions];
	switch (memif_region_map(fd, add->size, &region->addr, &region->mapped, &huge)) {
	case 0:
		break;
	case -EMEDIUMTYPE:
		return "The region is not a memfd";
	case -EPERM:
		return "The region's memfd is not writable";
	case -EFBIG:
		return "The region's file is shorter than the region";
	default:
		return "The region can't be mapped";
	}
	if (!huge && add->size > port_memif_ordinary_max(s->port) - s->ordinary) {
		munmap(region->addr, region->mapped);
		return "More memory of ordinary pages than the interface's queues and ring_size "
		       "stand for";
	}
	region->guard = memif_guard_add(region->addr, region->mapped);
	if (region->guard == MEMIF_GUARD_NONE) {
		munmap(region->addr, region->mapped);
		return "Too many regions";
	}
	s->ordinary += huge ? 0 : add->size;
	region->size = add->size;
	s->memory += add->size;
	c->n_regions++;
	return NULL;
}

static const char *on_add_ring(struct memif_session *s, const struct memif_add_ring *add, int *fd)
{
	struct memif_connection *c = s->building;
	bool c2s = (add->flags & MEMIF_ADD_RING_C2S) != 0;
	uint16_t *count = c2s ? &c->n_rx : &c->n_tx;

	if (*fd < 0 || !memif_fd_is_eventfd(*fd))
		return "ADD_RING without an eventfd";
	if (add->index != *count || add->index >= s->port->port.n_rxq)
		return "Ring index out of order or too large";
	if (add->private_header != 0)
		return "Private headers are not supported";
	if (add->log2_size > s->port->log2_ring_max)
		return "The ring is too large";
	switch (memif_queue_place(c, &(c2s ? c->rx : c->tx)[add->index], add->region, add->offset,
		add->log2_size, *fd)) {
	case 0:
		break;
	case -EBADMSG:
		return "The ring has no memif cookie";
	default:
		return "The ring is outside its region or misaligned";
	}
	*fd = -1;
	(*count)++;
	return NULL;
}

static const char *on_connect(struct memif_session *s, const char *if_name)
{
	struct memif_msg msg = { .type = MEMIF_MSG_CONNECTED };
	struct memif_connection *c = s->building;

	if (c->n_rx == 0 || c->n_tx == 0)
		return "CONNECT without a ring in each direction";
	memif_text_copy(
		s->port->peer_if_name, sizeof(s->port->peer_if_name), if_name, MEMIF_NAME_SIZE);
	memif_text_put(msg.if_name, sizeof(msg.if_name), s->port->port.name);
	s->building = NULL;
	s->state = MEMIF_SESSION_CONNECTED;
	/* Before the client hears of it: what it sends then finds workers that look, and what others send it a link that
	 * is up. It offers buffers when it has heard, so nothing is written to its memory before. */
	port_memif_attach(s->port, c);
	return memif_msg_send(s->fd, &msg, -1) < 0 ? "CONNECTED can't be sent" : NULL;
}

/* Whether the message may come in this state. */
static bool msg_expected(const struct memif_session *s, uint16_t type)
{
	switch (type) {
	case MEMIF_MSG_ACK:
	case MEMIF_MSG_DISCONNECT:
		return true;
	case MEMIF_MSG_INIT:
		return s->state == MEMIF_SESSION_HELLO;
	case MEMIF_MSG_ADD_REGION:
	case MEMIF_MSG_ADD_RING:
	case MEMIF_MSG_CONNECT:
		return s->state == MEMIF_SESSION_SETUP;
	default:
		return false;
	}
}

/* *fd is set to -1 when it was taken over. */
static const char *on_message(struct memif_session *s, const struct memif_msg *msg, int *fd)
{
	static const struct memif_msg ack = { .type = MEMIF_MSG_ACK };
	const char *refusal = NULL;

	if (!msg_expected(s, msg->type))
		return msg->type > MEMIF_MSG_DISCONNECT ? "Unknown message" : "Unexpected message";
	switch (msg->type) {
	case MEMIF_MSG_INIT:
		refusal = on_init(s, &msg->init);
		break;
	case MEMIF_MSG_ADD_REGION:
		refusal = on_add_region(s, &msg->add_region, *fd);
		break;
	case MEMIF_MSG_ADD_RING:
		refusal = on_add_ring(s, &msg->add_ring, fd);
		break;
	case MEMIF_MSG_CONNECT:
		return on_connect(s, msg->if_name);
	default:
		return NULL;
	}
	if (refusal == NULL && memif_msg_send(s->fd, &ack, -1) < 0)
		refusal = "ACK can't be sent";
	return refusal;
}

/* @return false when there is nothing more to read, or the session ended. */
static bool service_one(struct memif_session *s)
{
	char reason[MEMIF_REASON_SIZE + 1];
	struct memif_msg msg;
	const char *refusal;
	int fd, ret;

	ret = memif_msg_recv(s->fd, &msg, &fd);
	switch (ret) {
	case 0:
		break;
	case -EAGAIN:
		return false;
	case -EPIPE:
		memif_session_end(s, NULL, "The client closed its socket or died");
		return false;
	default:
		refusal = ret == -EMSGSIZE ? "Wrong message size" : "Too many descriptors";
		memif_session_end(s, refusal, refusal);
		return false;
	}
	refusal = on_message(s, &msg, &fd);
	if (fd >= 0)
		close(fd);
	if (refusal != NULL) {
		memif_session_end(s, refusal, refusal);
		return false;
	}
	if (msg.type == MEMIF_MSG_DISCONNECT) {
		memif_text_copy(reason, sizeof(reason), msg.disconnect.reason,
			sizeof(msg.disconnect.reason));
		memif_session_end(s, NULL, reason[0] != '\0' ? reason : "The client disconnected");
		return false;
	}
	return true;
}

void memif_session_service(struct memif_session *s)
{
	for (unsigned i = 0; i < MESSAGES_PER_CALL; i++) {
		if (!service_one(s))
			return;
	}
}
