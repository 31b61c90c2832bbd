/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port_vhost.h"

#include "dataplane/counters.h"
#include "dataplane/vhost_guard.h"
#include "dataplane/virtio_hdr.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <rte_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct port_vhost *vhost_of(struct port *port)
{
	return (struct port_vhost *)port;
}

static struct port_vhost *port_new(const struct port_params *params)
{
	struct port_vhost *p = aligned_alloc(_Alignof(struct port_vhost), sizeof(*p));

	if (p == NULL)
		return NULL;
	memset(p, 0, sizeof(*p));
	snprintf(p->port.name, sizeof(p->port.name), "%s", params->name);
	p->port.ops = &port_vhost_ops;
	p->port.mtu = params->mtu;
	p->port.n_rxq = p->port.n_txq = (uint16_t)RTE_MIN(params->n_queues, PORT_QUEUE_MAX);
	p->port.mac = params->port_mac;
	if (mac_addr_is_zero(&p->port.mac))
		rte_eth_random_addr(p->port.mac.bytes);
	p->pool = params->pool;
	p->large_pool = params->large_pool;
	p->client = params->vhost_client;
	p->last_failure = "";
	p->vid = -1;
	pthread_mutex_init(&p->lock, NULL);
	for (unsigned i = 0; i < VHOST_PAIRS_MAX; i++)
		p->rx[i].call_fd = p->rx[i].kick_fd = p->tx[i].call_fd = p->tx[i].kick_fd = -1;
	return p;
}

static void port_free(struct port_vhost *p)
{
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static int vhost_open(const struct port_params *params, struct port **out, struct error *err)
{
	struct port_vhost *p;
	int ret;

	if (params->socket == NULL || params->socket[0] == '\0' || params->n_queues == 0)
		return error_set(err, EINVAL, "socket",
			"port %s: a vhost port needs a socket and queues", params->name);
	if (strlen(params->socket) >= sizeof(p->socket))
		return error_set(err, ENAMETOOLONG, "socket",
			"vhost socket %s: the path is longer than %zu bytes", params->socket,
			sizeof(p->socket) - 1);
	p = port_new(params);
	if (p == NULL)
		return error_set(err, ENOMEM, NULL, "port %s: out of memory", params->name);
	strcpy(p->socket, params->socket);
	ret = queue_wake_open(&p->wake, p->port.n_rxq, p->port.name, err);
	if (ret < 0)
		goto free_port;
	ret = vhost_device_register(p, err);
	if (ret < 0)
		goto close_descriptors;
	*out = &p->port;
	return 0;

close_descriptors:
	queue_wake_close(&p->wake);
free_port:
	port_free(p);
	return ret;
}

static void vhost_close(struct port *port)
{
	struct port_vhost *p = vhost_of(port);

	vhost_device_unregister(p);
	queue_wake_close(&p->wake);
	port_free(p);
}

/** A guest may have more queue pairs than the port has queues: queue 1 of 4 serves pairs 1, 5, 9 ... */
static uint16_t vhost_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_vhost *p = vhost_of(port);
	uint16_t pairs = atomic_load_explicit(&p->n_tx, memory_order_relaxed), got = 0;

	for (uint16_t pair = queue; pair < pairs && got < n; pair = (uint16_t)(pair + port->n_rxq))
		got = (uint16_t)(got + vhost_queue_rx(&p->rx[pair], p->pool, p->large_pool,
					       &pkts[got], (uint16_t)(n - got)));
	return got;
}

static uint16_t vhost_tx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_vhost *p = vhost_of(port);
	uint16_t pairs = atomic_load_explicit(&p->n_tx, memory_order_acquire);

	return pairs == 0 ? 0 : vhost_queue_tx(&p->tx[queue % pairs], pkts, n);
}

static int vhost_rx_fd(struct port *port, uint16_t queue)
{
	return vhost_of(port)->wake.poll_fd[queue];
}

static bool vhost_rx_arm(struct port *port, uint16_t queue, bool on)
{
	struct port_vhost *p = vhost_of(port);
	bool idle = true;
	uint16_t pairs;

	/* Before the look at the rings: a change that comes afterwards wakes us again. */
	if (on)
		queue_wake_heard(&p->wake, queue);
	pairs = atomic_load_explicit(&p->n_tx, memory_order_acquire);
	for (uint16_t pair = queue; pair < pairs; pair = (uint16_t)(pair + port->n_rxq))
		idle = vhost_queue_arm(&p->rx[pair], on) && idle;
	return idle;
}

static void vhost_tick(struct port *port)
{
	vhost_device_look(vhost_of(port));
}

/* --- what `podlane show ports` adds ------------------------------------------------------------------------------- */

static json_t *offloads_json(uint64_t features)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = { { VIRTIO_NET_F_CSUM, "checksum" }, { VIRTIO_NET_F_HOST_TSO4, "tso4" },
		{ VIRTIO_NET_F_HOST_TSO6, "tso6" }, { VIRTIO_NET_F_GUEST_CSUM, "guest-checksum" },
		{ VIRTIO_NET_F_GUEST_TSO4, "guest-tso4" },
		{ VIRTIO_NET_F_GUEST_TSO6, "guest-tso6" }, { VIRTIO_NET_F_HOST_UFO, "ufo" },
		{ VIRTIO_NET_F_HOST_USO, "uso" }, { VIRTIO_NET_F_GUEST_UFO, "guest-ufo" },
		{ VIRTIO_NET_F_GUEST_USO4, "guest-uso4" },
		{ VIRTIO_NET_F_GUEST_USO6, "guest-uso6" }, { VIRTIO_NET_F_MRG_RXBUF, "mergeable" },
		{ VIRTIO_RING_F_INDIRECT_DESC, "indirect" },
		{ VIRTIO_RING_F_EVENT_IDX, "event-index" }, { VIRTIO_F_IN_ORDER, "in-order" },
		{ VIRTIO_NET_F_MQ, "multiqueue" } };
	json_t *array = json_array();

	for (size_t i = 0; i < RTE_DIM(names); i++) {
		if (features >> names[i].bit & 1)
			json_array_append_new(array, json_string(names[i].name));
	}
	return array;
}

static json_t *queue_json(const struct vhost_queue *q)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "ready",
		atomic_load_explicit((_Atomic bool *)&q->ready, memory_order_relaxed), "packets",
		(json_int_t)counter_read(&q->packets), "bytes", (json_int_t)counter_read(&q->bytes),
		"segments", (json_int_t)counter_read(&q->segments), "errors",
		(json_int_t)counter_read(&q->errors), "kicks", (json_int_t)counter_read(&q->kicks),
		"calls", (json_int_t)counter_read(&q->calls));
}

/** Those that count or ever did; the first pair always. */
static json_t *queues_json(const struct vhost_queue *queues)
{
	json_t *array = json_array();
	unsigned n = VHOST_PAIRS_MAX;

	while (n > 1 && !atomic_load((_Atomic bool *)&queues[n - 1].ready) &&
		counter_read(&queues[n - 1].packets) == 0)
		n--;
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(array, queue_json(&queues[i]));
	return array;
}

static uint64_t errors_of(const struct vhost_queue *queues)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < VHOST_PAIRS_MAX; i++)
		sum += counter_read(&queues[i].errors);
	return sum;
}

static void vhost_describe(const struct port *port, json_t *obj)
{
	struct port_vhost *p = vhost_of((struct port *)port);

	pthread_mutex_lock(&p->lock);
	json_object_set_new(obj, "guest",
		json_string(p->running	  ? "running"
			    : p->vid >= 0 ? "connecting"
					  : "none"));
	json_object_set_new(obj, "role", json_string(p->client ? "client" : "server"));
	json_object_set_new(obj, "socket", json_string(p->socket));
	json_object_set_new(obj, "connects", json_integer((json_int_t)p->connects));
	json_object_set_new(obj, "refusals", json_integer((json_int_t)p->refusals));
	json_object_set_new(obj, "failures", json_integer((json_int_t)p->failures));
	json_object_set_new(obj, "last_failure", json_string(p->last_failure));
	json_object_set_new(obj, "memory_faults", json_integer(vhost_guard_faults(p->vid)));
	json_object_set_new(obj, "rx_errors", json_integer((json_int_t)errors_of(p->rx)));
	json_object_set_new(obj, "tx_errors", json_integer((json_int_t)errors_of(p->tx)));
	json_object_set_new(obj, "rx_rings", queues_json(p->rx));
	json_object_set_new(obj, "tx_rings", queues_json(p->tx));
	if (p->running) {
		uint64_t memory = 0;

		for (uint32_t i = 0; i < p->memory.count; i++)
			memory += p->memory.regions[i].size;
		json_object_set_new(obj, "queue_pairs", json_integer(atomic_load(&p->n_tx)));
		json_object_set_new(obj, "ring",
			json_string(p->features >> VIRTIO_F_RING_PACKED & 1 ? "packed" : "split"));
		json_object_set_new(obj, "ring_size", json_integer(p->tx[0].ring.size));
		json_object_set_new(obj, "features", offloads_json(p->features));
		json_object_set_new(
			obj, "inflight_tracking", json_boolean(p->inflight.area != NULL));
		json_object_set_new(obj, "guest_mtu", json_integer(p->guest_mtu));
		json_object_set_new(obj, "guest_memory", json_integer((json_int_t)memory));
	}
	pthread_mutex_unlock(&p->lock);
}

const struct port_ops port_vhost_ops = {
	.name = "vhost",
	.open = vhost_open,
	.close = vhost_close,
	.rx_burst = vhost_rx_burst,
	.tx_burst = vhost_tx_burst,
	.rx_fd = vhost_rx_fd,
	.rx_arm = vhost_rx_arm,
	.describe = vhost_describe,
	.tick = vhost_tick,
};
