/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port_memif.h"

#include "config/log.h"
#include "dataplane/memif_client.h"
#include "dataplane/memif_ip.h"
#include "dataplane/rcu.h"

#include <errno.h>
#include <rte_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct port_memif *memif_of(struct port *port)
{
	return (struct port_memif *)port;
}

/** The ring's eventfd joins the descriptor workers sleep on, or leaves it. */
static void queue_watch(const struct port_memif *p, unsigned queue, int event_fd, bool on)
{
	int ret = queue_wake_watch(&p->wake, queue, event_fd, on);

	if (ret < 0)
		LOG_WARNING("memif queue can't sleep name=%s queue=%u error=\"%s\"", p->port.name,
			queue, strerror(-ret));
}

uint64_t port_memif_ordinary_max(const struct port_memif *p)
{
	uint64_t descriptors = (uint64_t)(p->port.n_rxq + p->port.n_txq) << p->log2_ring_max;

	return RTE_MAX(MEMIF_ORDINARY_MIN, descriptors * MEMIF_ORDINARY_DESCRIPTOR);
}

void port_memif_attach(struct port_memif *p, struct memif_connection *c)
{
	c->tx_locked = c->n_tx < p->port.n_txq;
	for (unsigned i = 0; i < c->n_rx; i++) {
		queue_watch(p, i, c->rx[i].event_fd, true);
		memif_queue_arm(&c->rx[i], false);
	}
	rcu_publish(&p->connection, c);
	atomic_store_explicit(&p->port.link_up, true, memory_order_release);
	p->connects++;
	/* A worker that fell asleep on this queue before has to arm the new ring. */
	queue_wake_all(&p->wake);
	LOG_FROM(&p->port.log, LOG_LEVEL_INFO,
		"memif peer connected name=%s peer=\"%s\" interface=\"%s\" rx_rings=%u "
		"tx_rings=%u",
		p->port.name, p->peer_name, p->peer_if_name, c->n_rx, c->n_tx);
}

void port_memif_detach(struct port_memif *p, const char *reason)
{
	struct memif_connection *c = rcu_own(&p->connection);

	p->session = NULL;
	snprintf(p->last_reason, sizeof(p->last_reason), "%s", reason);
	if (c == NULL)
		return;
	atomic_store_explicit(&p->port.link_up, false, memory_order_release);
	rcu_publish(&p->connection, NULL);
	for (unsigned i = 0; i < c->n_rx; i++)
		queue_watch(p, i, c->rx[i].event_fd, false);
	rcu_retire(c, memif_connection_free);
	LOG_FROM(&p->port.log, LOG_LEVEL_INFO, "memif peer gone name=%s peer=\"%s\" reason=\"%s\"",
		p->port.name, p->peer_name, reason);
}

static int params_check(const struct port_params *params, struct error *err)
{
	if (params->pool == NULL || params->n_queues == 0)
		return error_set(err, EINVAL, NULL,
			"port %s: memif needs a buffer pool and a queue", params->name);
	if (params->socket == NULL || params->socket[0] != '/')
		return error_set(err, EINVAL, "socket",
			"port %s: memif needs a socket: give an absolute path", params->name);
	if (params->ring_size > 1u << MEMIF_RING_LOG2_MAX || !rte_is_power_of_2(params->ring_size))
		return error_set(err, EINVAL, "ring_size",
			"port %s: ring_size %u is not a power of two from 1 to %u", params->name,
			params->ring_size, 1u << MEMIF_RING_LOG2_MAX);
	if (params->secret != NULL &&
		(params->secret[0] == '\0' || strlen(params->secret) > MEMIF_SECRET_SIZE))
		return error_set(err, EINVAL, "secret", "port %s: a memif secret has 1 to %d bytes",
			params->name, MEMIF_SECRET_SIZE);
	return 0;
}

static int memif_open(const struct port_params *params, struct port **out, struct error *err)
{
	struct port_memif *p;
	int ret = params_check(params, err);

	if (ret < 0)
		return ret;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return error_set(err, ENOMEM, NULL, "port %s: no memory", params->name);
	snprintf(p->port.name, sizeof(p->port.name), "%s", params->name);
	p->port.ops = &port_memif_ops;
	p->port.role = (uint8_t)params->role;
	p->port.mtu = params->mtu;
	p->port.n_rxq = p->port.n_txq = (uint16_t)RTE_MIN(params->n_queues, MEMIF_QUEUE_MAX);
	p->port.mac = params->port_mac;
	if (mac_addr_is_zero(&p->port.mac))
		rte_eth_random_addr(p->port.mac.bytes);
	p->pool = params->pool;
	p->large_pool = params->large_pool;
	p->id = params->memif_id;
	p->ip = params->memif_ip;
	p->peer_mac = params->pod_mac;
	p->log2_ring_max = (uint8_t)rte_log2_u32(params->ring_size);
	if (params->secret != NULL)
		memcpy(p->secret, params->secret, strlen(params->secret));
	ret = queue_wake_open(&p->wake, p->port.n_rxq, p->port.name, err);
	if (ret < 0)
		goto free_port;
	ret = params->memif_client ? memif_client_open(p, params->socket, err)
				   : memif_listen(p, params->socket, err);
	if (ret < 0)
		goto close_queues;
	*out = &p->port;
	return 0;

close_queues:
	queue_wake_close(&p->wake);
free_port:
	free(p);
	return ret;
}

static void memif_close(struct port *port)
{
	struct port_memif *p = memif_of(port);

	if (p->client != NULL)
		memif_client_close(p->client, "Port closed");
	else
		memif_unlisten(p, "Port closed");
	queue_wake_close(&p->wake);
	free(p);
}

static uint16_t memif_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_memif *p = memif_of(port);
	struct memif_connection *c = rcu_read(&p->connection);
	struct memif_faults faults = { 0 };
	uint16_t received;

	if (c == NULL || queue >= c->n_rx)
		return 0;
	received = memif_queue_rx(c, &c->rx[queue], p->pool, p->large_pool, pkts, n, &faults);
	if (p->ip)
		received = memif_ip_received(pkts, received, &port->mac, &p->peer_mac, &faults.bad);
	if (unlikely(faults.bad != 0))
		atomic_fetch_add_explicit(&port->rx_errors, faults.bad, memory_order_relaxed);
	if (unlikely(faults.no_buffer))
		atomic_fetch_add_explicit(&p->rx_no_buffer, 1, memory_order_relaxed);
	return received;
}

static uint16_t memif_tx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_memif *p = memif_of(port);
	struct memif_connection *c = rcu_read(&p->connection);
	struct memif_faults faults = { 0 };
	uint16_t sent;

	if (c == NULL)
		return 0;
	if (p->ip)
		n = memif_ip_strip(pkts, n);
	sent = memif_queue_tx(c, &c->tx[queue % c->n_tx], pkts, n, &faults);
	if (unlikely(sent < n)) {
		atomic_fetch_add_explicit(&p->tx_full, 1, memory_order_relaxed);
		if (p->ip)
			memif_ip_unstrip(&pkts[sent], (uint16_t)(n - sent));
	}
	if (unlikely(faults.bad != 0))
		atomic_fetch_add_explicit(&p->tx_faults, faults.bad, memory_order_relaxed);
	return sent;
}

static int memif_rx_fd(struct port *port, uint16_t queue)
{
	return memif_of(port)->wake.poll_fd[queue];
}

static bool memif_rx_arm(struct port *port, uint16_t queue, bool on)
{
	struct port_memif *p = memif_of(port);
	struct memif_connection *c;

	/* Before the look at the connection: a client that comes afterwards wakes us again. */
	if (on)
		queue_wake_heard(&p->wake, queue);
	c = rcu_read(&p->connection);
	if (c == NULL || queue >= c->n_rx)
		return true;
	return memif_queue_arm(&c->rx[queue], on);
}

static void memif_tick(struct port *port)
{
	struct port_memif *p = memif_of(port);

	if (p->client != NULL)
		memif_client_tick(p->client);
	else
		memif_control_tick(p);
}

static void memif_ready(struct port *port, int fd)
{
	struct port_memif *p = memif_of(port);

	if (p->client != NULL)
		memif_client_ready(p->client);
	else /* the descriptor may belong to any port that shares the socket */
		memif_control_ready(fd);
}

/** The regions are the client's memory, mapped here as well. No buffer is held: frames are copied when they are taken. */
static void memif_memory(const struct port *port, struct port_memory *memory)
{
	const struct port_memif *p = (const struct port_memif *)port;
	const struct memif_connection *c = rcu_own(&p->connection);

	memory->fixed += sizeof(*p);
	if (c == NULL)
		return;
	memory->fixed += sizeof(*c);
	for (unsigned i = 0; i < c->n_regions; i++)
		memory->rings += c->regions[i].size;
}

static void memif_describe(const struct port *port, json_t *obj)
{
	const struct port_memif *p = (const struct port_memif *)port;
	const struct memif_connection *c = rcu_own(&p->connection);
	const char *state = p->session != NULL ? "connecting" : "listening", *path;
	uint64_t memory = 0;

	if (p->client != NULL)
		state = p->client->state == MEMIF_CLIENT_WAITING ? "waiting" : "connecting";
	if (c != NULL)
		state = "connected";
	path = p->client != NULL ? p->client->addr.sun_path : memif_listener_path(p->listener);
	json_object_set_new(obj, "memif_state", json_string(state));
	json_object_set_new(
		obj, "memif_role", json_string(p->client != NULL ? "client" : "server"));
	json_object_set_new(obj, "mode", json_string(p->ip ? "ip" : "ethernet"));
	json_object_set_new(obj, "socket", json_string(path));
	json_object_set_new(obj, "memif_id", json_integer(p->id));
	json_object_set_new(obj, "connects", json_integer((json_int_t)p->connects));
	json_object_set_new(obj, "last_disconnect", json_string(p->last_reason));
	json_object_set_new(obj, "refusals", json_integer((json_int_t)p->refusals));
	json_object_set_new(obj, "last_refusal", json_string(p->last_refusal));
	json_object_set_new(
		obj, "rx_bad_frames", json_integer((json_int_t)atomic_load(&port->rx_errors)));
	json_object_set_new(
		obj, "rx_no_buffer", json_integer((json_int_t)atomic_load(&p->rx_no_buffer)));
	json_object_set_new(obj, "tx_full", json_integer((json_int_t)atomic_load(&p->tx_full)));
	json_object_set_new(
		obj, "tx_bad_descriptors", json_integer((json_int_t)atomic_load(&p->tx_faults)));
	if (c == NULL)
		return;
	for (unsigned i = 0; i < c->n_regions; i++)
		memory += c->regions[i].size;
	json_object_set_new(obj, "peer", json_string(p->peer_name));
	json_object_set_new(obj, "peer_interface", json_string(p->peer_if_name));
	json_object_set_new(obj, "rx_rings", json_integer(c->n_rx));
	json_object_set_new(obj, "tx_rings", json_integer(c->n_tx));
	json_object_set_new(obj, "rx_ring_size", json_integer(c->rx[0].size));
	json_object_set_new(obj, "tx_ring_size", json_integer(c->tx[0].size));
	json_object_set_new(obj, "regions", json_integer(c->n_regions));
	json_object_set_new(obj, "region_bytes", json_integer((json_int_t)memory));
}

const struct port_ops port_memif_ops = {
	.name = "memif",
	.open = memif_open,
	.close = memif_close,
	.rx_burst = memif_rx_burst,
	.tx_burst = memif_tx_burst,
	.rx_fd = memif_rx_fd,
	.rx_arm = memif_rx_arm,
	.tick = memif_tick,
	.control_ready = memif_ready,
	.memory = memif_memory,
	.describe = memif_describe,
};
