/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port.h"

#include "dataplane/counters.h"
#include "dataplane/kernel_flows.h"
#include "dataplane/limit.h"
#include "dataplane/rcu.h"
#include "dataplane/vlan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Atomic(struct port *) ports[PORT_MAX];
void (*port_watch_fd)(struct port *port, int fd, bool on);
void (*port_neighbour_told)(const struct port *port, const struct ip_addr *address,
	const struct mac_addr *mac, enum neighbour_news news);

const struct port_ops *const port_drivers[] = {
	&port_ethdev_ops,
	&port_tap_ops,
	&port_memif_ops,
	&port_xdp_ops,
	&port_exchange_ops,
	&port_packet_ops,
	&port_vhost_ops,
	NULL,
};

/* Control thread only. An id stays taken until its port is closed, after it has left ports[]. */
static struct port *taken[PORT_MAX];
static uint16_t next_id;

const struct port_ops *port_driver_find(const char *name)
{
	for (size_t i = 0; port_drivers[i] != NULL; i++) {
		if (strcmp(port_drivers[i]->name, name) == 0)
			return port_drivers[i];
	}
	return NULL;
}

/** Ids go round before one is used again, so that flows of a closed port have long expired when it
 * is. */
static uint16_t id_find_free(void)
{
	for (uint16_t i = 0; i < PORT_MAX; i++) {
		uint16_t id = (uint16_t)((next_id + i) % PORT_MAX);

		if (taken[id] == NULL)
			return id;
	}
	return PORT_NONE;
}

static bool closing(const char *name)
{
	for (uint16_t id = 0; id < PORT_MAX; id++) {
		if (taken[id] != NULL && taken[id] != rcu_own(&ports[id]) &&
			strcmp(taken[id]->name, name) == 0)
			return true;
	}
	return false;
}

static int rx_new(struct port *port, uint16_t id)
{
	size_t size;

	assert(port->n_rxq > 0 && port->n_rxq <= PORT_QUEUE_MAX && port->n_txq > 0 &&
		port->n_txq <= PORT_QUEUE_MAX);
	size = port->n_rxq * sizeof(port->rx[0]);
	port->rx = aligned_alloc(_Alignof(struct port_rx), size);
	if (port->rx == NULL)
		return -ENOMEM;
	memset(port->rx, 0, size);
	for (uint16_t q = 0; q < port->n_rxq; q++) {
		port->rx[q].id = id;
		port->rx[q].queue = q;
		port->rx[q].worker = PORT_NONE;
	}
	return 0;
}

int port_open(const char *driver, const struct port_params *params, unsigned n_workers,
	struct port **out, struct error *err)
{
	const struct port_ops *ops = port_driver_find(driver);
	struct port *port;
	uint16_t id;
	int ret;

	if (ops == NULL)
		return error_set(err, ENOENT, NULL, "port %s: there is no port driver \"%s\"",
			params->name, driver);
	if (strlen(params->name) >= PORT_NAME_MAX)
		return error_set(err, ENAMETOOLONG, NULL,
			"port %s: the name is longer than %d bytes", params->name,
			PORT_NAME_MAX - 1);
	if (port_find(params->name) != NULL)
		return error_set(err, EEXIST, NULL, "port %s: the name is taken", params->name);
	/* Its predecessor still holds the interface, device or socket this one will ask for. */
	if (closing(params->name))
		rcu_barrier();
	id = id_find_free();
	if (id == PORT_NONE)
		return error_set(err, ENOSPC, NULL,
			"port %s: there are %d ports already, which is the most", params->name,
			PORT_MAX);
	ret = ops->open(params, &port, err);
	if (ret < 0)
		return ret;
	ret = rx_new(port, id);
	if (ret < 0) {
		ops->close(port);
		return error_set(err, -ret, NULL, "port %s: out of memory", params->name);
	}
	port->id = id;
	port->role = (uint8_t)params->role;
	port->vlan = params->vlan;
	port->tag_pool = params->pool;
	port->tx_shared = port->n_txq < n_workers;
	port->pinned = PORT_NONE;
	for (unsigned q = 0; q < PORT_QUEUE_MAX; q++)
		rte_spinlock_init(&port->tx_lock[q]);
	counters_clear_port(id);
	taken[id] = port;
	next_id = (uint16_t)((id + 1) % PORT_MAX);
	rcu_publish(&ports[id], port);
	*out = port;
	return 0;
}

static void port_release(void *obj)
{
	struct port *port = obj;

	struct port_rx *rx = port->rx;

	free(rcu_own(&port->addresses));
	port_limits_free(rcu_own(&port->limits));
	taken[port->id] = NULL;
	port->ops->close(port);
	free(rx);
}

void port_close(struct port *port)
{
	atomic_store_explicit(&port->forwarding, false, memory_order_relaxed);
	kernel_flows_port_gone(port);
	rcu_publish(&ports[port->id], NULL);
	rcu_retire(port, port_release);
}

struct port *port_find(const char *name)
{
	for (uint16_t id = 0; id < PORT_MAX; id++) {
		struct port *port = rcu_own(&ports[id]);

		if (port != NULL && strcmp(port->name, name) == 0)
			return port;
	}
	return NULL;
}

int port_set_addresses(struct port *port, const struct ip_prefix *items, size_t count)
{
	struct port_addresses *next;

	if (count > UINT16_MAX)
		return -E2BIG;
	next = malloc(sizeof(*next) + count * sizeof(items[0]));
	if (next == NULL)
		return -ENOMEM;
	next->count = (uint16_t)count;
	if (count > 0)
		memcpy(next->items, items, count * sizeof(items[0]));
	rcu_retire(rcu_publish(&port->addresses, next), free);
	return 0;
}

void port_tick(struct port *port)
{
	uint32_t left_out = log_source_left_out(&port->log);

	if (port->ops->tick != NULL)
		port->ops->tick(port);
	if (left_out > 0)
		LOG_INFO("lines about a port were left out port=%s lines=%u", port->name, left_out);
}

void port_memory(const struct port *port, struct port_memory *memory)
{
	*memory = (struct port_memory){ .fixed = port->n_rxq * sizeof(port->rx[0]) };
	if (rcu_own(&((struct port *)(uintptr_t)port)->limits) != NULL)
		memory->fixed += sizeof(struct port_limits);
	/* Each worker's transmit batch and each counter block have a place for it. */
	memory->fixed += COUNTER_BLOCKS * sizeof(struct port_counters);
	if (port->ops->memory != NULL)
		port->ops->memory(port, memory);
}

static inline uint16_t transmit(
	struct port *port, unsigned worker, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t queue = (uint16_t)(worker % port->n_txq), sent;

	if (!port->tx_shared)
		return port->ops->tx_burst(port, queue, pkts, n);
	rte_spinlock_lock(&port->tx_lock[queue]);
	sent = port->ops->tx_burst(port, queue, pkts, n);
	rte_spinlock_unlock(&port->tx_lock[queue]);
	return sent;
}

static __rte_noinline uint16_t transmit_tagged(
	struct port *port, unsigned worker, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t tagged = vlan_tag(port, pkts, n), sent = transmit(port, worker, pkts, tagged);

	vlan_untag(&pkts[sent], (uint16_t)(tagged - sent));
	return sent;
}

uint16_t port_tx(struct port *port, unsigned worker, struct rte_mbuf **pkts, uint16_t n)
{
	if (unlikely(port->vlan != 0))
		return transmit_tagged(port, worker, pkts, n);
	return transmit(port, worker, pkts, n);
}
