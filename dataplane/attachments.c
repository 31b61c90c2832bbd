/* SPDX-License-Identifier: Apache-2.0 */
/** What is attached to this node: pods, and the node's own kernel through the host port. Each address is a neighbour on
 * the attachment's port: known at once where we chose the MAC address (TAP), asked for where we did not (memif, vhost).
 */
#include "dataplane/forwarding_state.h"

#include "config/log.h"
#include "dataplane/generation.h"
#include "dataplane/limit.h"
#include "dataplane/mtu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENCAPS_MAX 16
#define ASK_TICKS \
	4 /* of 100 ms: how long pods that came up are asked for their MAC address with every tick */

static const struct addr_list *addresses_of(const struct attachment *a, const struct object *obj)
{
	return a->host ? &obj->node.host_addresses : &obj->pod.addresses;
}

static enum rib_source source_of(const struct attachment *a)
{
	return a->host ? RIB_LOCAL : RIB_POD;
}

struct attachment *pod_find(const char *name)
{
	struct attachment *a;

	TAILQ_FOREACH (a, &forwarding.attachments, link) {
		const struct object *obj = a->s.obj != NULL ? a->s.obj : a->s.next;

		if (!a->host && strcmp(obj->name, name) == 0)
			return a;
	}
	return NULL;
}

bool attachment_any(void)
{
	struct attachment *a;

	TAILQ_FOREACH (a, &forwarding.attachments, link) {
		if (staged_future(&a->s) != NULL)
			return true;
	}
	return false;
}

struct neighbour *pod_next_hop(const char *name, uint8_t family)
{
	const struct attachment *a = pod_find(name);
	struct neighbour *const *list;
	size_t n;
	const struct object *obj;

	obj = a != NULL ? staged_future(&a->s) : NULL;
	if (obj == NULL)
		return NULL;
	list = a->s.staged ? a->planned : a->neighbours;
	n = a->s.staged ? a->n_planned : a->n_neighbours;
	/* By the future's address: a neighbour keeps its old one until the commit. */
	for (size_t i = 0; i < n; i++) {
		if (obj->pod.addresses.items[i].family == family)
			return list[i];
	}
	return NULL;
}

/* --- port parameters ------------------------------------------------------------------------------------------ */

static bool has_family(const struct addr_list *list, uint8_t family)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].family == family)
			return true;
	}
	return false;
}

static uint16_t calculated_mtu(void)
{
	enum encap encaps[ENCAPS_MAX];
	uint8_t families[ENCAPS_MAX];
	unsigned n = peers_encaps(encaps, families, ENCAPS_MAX);

	if (n ==
		0) { /* peers may come any day, and a pod's MTU is set once: the usual tunnel should fit */
		encaps[0] = ENCAP_VXLAN;
		families[0] = IP_V4;
		n = 1;
	}
	return mtu_for_pods(uplinks_mtu(), encaps, families, n);
}

static void common_params(const struct addr_list *addresses, struct port_params *params)
{
	const struct node *node = forwarding_node();

	params->port_mac = node->gateway_mac;
	params->addresses = addresses->items;
	params->n_addresses = addresses->count;
	if (has_family(addresses, IP_V4))
		params->gateway[0] = node->gateway;
	if (has_family(addresses, IP_V6))
		params->gateway[1] = node->gateway6;
	params->pool = forwarding.conf.pool;
	params->large_pool = forwarding.conf.large_pool;
	params->socket_id = forwarding.conf.socket_id;
}

static void pod_params(
	const struct object *obj, char *port_name, size_t size, struct port_params *params)
{
	const struct pod *pod = &obj->pod;

	snprintf(port_name, size, "pod:%s", obj->name);
	*params = (struct port_params){ .name = port_name,
		.role = PORT_POD,
		.netns = pod->netns,
		.veth = forwarding_node()->pod_interface == POD_INTERFACE_VETH,
		.interface = pod->interface,
		.socket = pod->socket,
		.vhost_client = pod->kind == POD_VHOST && pod->role == MEMIF_CLIENT,
		.secret = pod->secret != NULL && pod->secret[0] != '\0' ? pod->secret : NULL,
		.memif_id = pod->memif_id,
		.memif_client = pod->role == MEMIF_CLIENT,
		.memif_ip = pod->mode == POD_IP,
		.ring_size = pod->ring_size,
		.n_queues =
			(uint16_t)RTE_MIN(pod->queues > 0 ? pod->queues : forwarding.conf.n_workers,
				(uint32_t)PORT_QUEUE_MAX),
		.mtu = pod->mtu > 0 ? (uint16_t)pod->mtu : calculated_mtu(),
		.pod_mac = pod->mac };
	/* With memif in IP mode the MAC address stands for the pod inside this daemon only. */
	if ((pod->kind == POD_TAP || pod->mode == POD_IP) && mac_addr_is_zero(&pod->mac))
		params->pod_mac = forwarding_derived_mac("pod", obj->name);
	common_params(&pod->addresses, params);
}

/** The host port: routes lead the node's kernel to its pods and those of peers. The caller frees params->routes. */
static int host_params(const struct object *obj, struct port_params *params)
{
	const struct node *node = &obj->node;
	size_t n = peers_prefixes(NULL), at = 0;
	struct ip_prefix *routes;
	struct pool_state *pool;

	TAILQ_FOREACH (pool, &forwarding.pools, link)
		n++;
	routes = calloc(n + 1, sizeof(*routes));
	if (routes == NULL)
		return -ENOMEM;
	TAILQ_FOREACH (pool, &forwarding.pools, link) {
		if (staged_future(&pool->s) != NULL)
			routes[at++] = staged_future(&pool->s)->pool.cidr;
	}
	at += peers_prefixes(routes + at);
	*params = (struct port_params){ .name = node->host_interface,
		.role = PORT_HOST,
		.interface = node->host_interface,
		.n_queues = (uint16_t)RTE_MIN(forwarding.conf.n_workers, (unsigned)PORT_QUEUE_MAX),
		.mtu = uplinks_mtu(),
		.pod_mac = forwarding_derived_mac(node->host_interface, node->name),
		.routes = routes,
		.n_routes = at };
	common_params(&node->host_addresses, params);
	params->gateway[0] = node->gateway;
	params->gateway[1] = node->gateway6;
	return 0;
}

/* --- addresses ------------------------------------------------------------------------------------------------ */

static int set_addresses(struct port *port, const struct addr_list *list)
{
	struct ip_prefix *items = calloc(list->count + 1, sizeof(*items));
	int ret;

	if (items == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		items[i] = forwarding_host_prefix(&list->items[i]);
	ret = port_set_addresses(port, items, list->count);
	free(items);
	return ret;
}

/** A neighbour for every address to come: those there are keep theirs, or take over one that goes. */
static int plan(struct attachment *a, const struct addr_list *list, const struct mac_addr *mac)
{
	bool *taken = calloc(a->n_neighbours + 1, sizeof(*taken));

	a->planned = calloc(list->count + 1, sizeof(struct neighbour *));
	if (a->planned == NULL || taken == NULL) {
		free(taken);
		return -ENOMEM;
	}
	/* The first address of a family first: routes via the pod hold on to it. */
	for (size_t i = 0; i < list->count; i++) {
		for (size_t k = 0; k < a->n_neighbours && a->planned[i] == NULL; k++) {
			if (taken[k] || a->neighbours[k]->address.family != list->items[i].family)
				continue;
			taken[k] = true;
			a->planned[i] = a->neighbours[k];
		}
		if (a->planned[i] == NULL)
			a->planned[i] = neighbour_fixed(a->port->id, &list->items[i],
				mac_addr_is_zero(&a->port->peer_mac) ? mac : &a->port->peer_mac,
				forwarding.now_ms);
		if (a->planned[i] == NULL) {
			free(taken);
			return -ENOMEM;
		}
		a->n_planned = i + 1;
	}
	free(taken);
	return 0;
}

static bool listed(struct neighbour *const *list, size_t count, const struct neighbour *n)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i] == n)
			return true;
	}
	return false;
}

/** The neighbours of one list that are not in the other lose the attachment's reference. */
static void release_but(
	struct neighbour **list, size_t count, struct neighbour *const *keep, size_t n_keep)
{
	for (size_t i = 0; i < count; i++) {
		if (!listed(keep, n_keep, list[i]))
			neighbour_release(list[i], forwarding.now_ms);
	}
}

/** Claims of the addresses that go and come. */
static int stage_addresses(struct attachment *a, const struct mac_addr *mac)
{
	static const struct addr_list none;
	const struct addr_list *old = a->s.obj != NULL ? addresses_of(a, a->s.obj) : &none;
	const struct addr_list *next = a->s.next != NULL ? addresses_of(a, a->s.next) : &none;
	int ret = 0;

	for (size_t i = 0; i < old->count && ret == 0; i++) {
		struct ip_prefix own = forwarding_host_prefix(&old->items[i]);

		ret = rib_clear(&own, source_of(a), a->neighbours[i]->adjacency);
	}
	ret = ret != 0 ? ret : plan(a, next, mac);
	for (size_t i = 0; i < next->count && ret == 0; i++) {
		struct ip_prefix own = forwarding_host_prefix(&next->items[i]);

		ret = rib_set(&own, source_of(a), a->planned[i]->adjacency, NULL);
	}
	return ret;
}

/* --- limits and placement ------------------------------------------------------------------------------------- */

/** What the port's limits will be after the transaction. */
static int stage_limits(struct attachment *a, const struct pod *pod)
{
	const struct limit_conf conf[LIMIT_DIRECTIONS] = {
		[LIMIT_EGRESS] = { pod->egress_rate_kbps * UINT64_C(1000),
			pod->egress_burst_kbit * UINT64_C(1000), pod->egress_rate_pps,
			pod->egress_burst_packets },
		[LIMIT_INGRESS] = { pod->ingress_rate_kbps * UINT64_C(1000),
			pod->ingress_burst_kbit * UINT64_C(1000), pod->ingress_rate_pps,
			pod->ingress_burst_packets },
	};
	int ret = port_limits_make(a->port, conf, &a->limits);

	a->limits_change = ret == 0;
	return ret == -EALREADY ? 0 : ret;
}

/** In force from the next burst on; the queues move at the next placement. */
static void commit_limits(struct attachment *a)
{
	if (a->limits_change)
		port_limits_publish(a->port, a->limits);
	a->limits = NULL;
	a->limits_change = false;
	if (!a->host)
		atomic_store_explicit(&a->port->connections_max, a->s.next->pod.connections_max,
			memory_order_relaxed);
	if (!a->host)
		a->port->pinned = (uint16_t)RTE_MIN(a->s.next->pod.worker, (uint32_t)PORT_NONE);
}

static void abort_limits(struct attachment *a)
{
	port_limits_free(a->limits);
	a->limits = NULL;
	a->limits_change = false;
}

/* --- transactions --------------------------------------------------------------------------------------------- */

/** A new attachment with an open port; from here on abort takes it back. */
static int attach(struct object *obj, bool host, const char *driver,
	const struct port_params *params, struct attachment **out, struct error *err)
{
	struct attachment *a = calloc(1, sizeof(*a));
	int ret;

	if (a == NULL)
		return error_set(err, ENOMEM, "", "port %s: out of memory", params->name);
	a->host = host;
	ret = port_open(driver, params, forwarding.conf.n_workers, &a->port, err);
	if (ret < 0) {
		free(a);
		return ret;
	}
	staged_begin(&a->s, obj);
	TAILQ_INSERT_TAIL(&forwarding.attachments, a, link);
	forwarding.txn->ports = true;
	if (set_addresses(a->port, addresses_of(a, obj)) < 0 ||
		stage_addresses(a, &params->pod_mac) < 0 ||
		(!host && stage_limits(a, &obj->pod) < 0))
		return error_set(err, ENOMEM, "",
			"port %s: out of memory or all adjacencies are in use", params->name);
	if (out != NULL)
		*out = a;
	return 0;
}

static bool same_addresses(const struct addr_list *a, const struct addr_list *b)
{
	return a->count == b->count &&
	       (a->count == 0 || memcmp(a->items, b->items, a->count * sizeof(a->items[0])) == 0);
}

/** Tell an interface its addresses and routes. Memif and vhost pods have none of ours: they configure themselves. */
static int configure(struct attachment *a, const struct port_params *params, struct error *err)
{
	if (a->port->ops->configure != NULL)
		return a->port->ops->configure(a->port, params, err);
	if (a->port->ops != &port_tap_ops)
		return 0;
	if (a->s.staged && a->s.next != NULL &&
		!same_addresses(addresses_of(a, a->s.obj), addresses_of(a, a->s.next)))
		return error_set(err, EBUSY, "",
			"port %s: addresses of its interface cannot change while it is attached: "
			"delete it and add it again",
			a->port->name);
	if (a->s.staged && a->host)
		LOG_WARNING("the node's routes to pools and peers stay as they were when its port "
			    "was opened port=%s",
			a->port->name);
	return 0;
}

static const char *driver_of(const struct pod *pod)
{
	return pod->kind == POD_TAP ? "tap" : pod->kind == POD_MEMIF ? "memif" : "vhost";
}

static const char *fixed_field(const struct pod *a, const struct pod *b)
{
	if (a->kind != b->kind)
		return "kind";
	if (strcmp(a->netns, b->netns) != 0)
		return "netns";
	if (strcmp(a->interface, b->interface) != 0)
		return "interface";
	if (strcmp(a->socket, b->socket) != 0)
		return "socket";
	if (strcmp(a->secret, b->secret) != 0)
		return "secret";
	if (memcmp(&a->mac, &b->mac, sizeof(a->mac)) != 0)
		return "mac";
	if (a->role != b->role)
		return "role";
	if (a->mode != b->mode)
		return "mode";
	if (a->memif_id != b->memif_id)
		return "memif_id";
	if (a->queues != b->queues)
		return "queues";
	if (a->ring_size != b->ring_size)
		return "ring_size";
	return a->mtu != b->mtu ? "mtu" : NULL;
}

static int change_pod(struct attachment *a, const struct change *change, struct error *err)
{
	const struct object *pod = change->before;
	const char *field =
		change->after != NULL ? fixed_field(&pod->pod, &change->after->pod) : NULL;
	struct port_params params;
	char name[PORT_NAME_MAX + 8], path[128];
	int ret;

	if (field != NULL) {
		snprintf(path, sizeof(path), "pods/%s/%s", pod->name, field);
		return error_set(err, EBUSY, path,
			"pod %s: %s cannot change while the pod is attached: delete the pod and "
			"add it again",
			pod->name, field);
	}
	staged_begin(&a->s, change->after);
	if (change->after == NULL) {
		forwarding.txn->ports = true;
		return stage_addresses(a, NULL) < 0
			       ? error_set(err, ENOMEM, "", "pod %s: out of memory", pod->name)
			       : 0;
	}
	pod_params(change->after, name, sizeof(name), &params);
	ret = configure(a, &params, err);
	if (ret < 0)
		return ret;
	if (stage_addresses(a, &params.pod_mac) < 0 || stage_limits(a, &change->after->pod) < 0)
		return error_set(err, ENOMEM, "",
			"pod %s: out of memory or all adjacencies are in use", pod->name);
	return 0;
}

int pod_stage(const struct change *change, struct error *err)
{
	struct attachment *a = change->before != NULL ? pod_find(change->before->name) : NULL;
	struct port_params params;
	char name[PORT_NAME_MAX + 8];
	int ret;

	if (change->before != NULL)
		return a != NULL ? change_pod(a, change, err)
				 : error_set(err, ENOENT, "", "pod %s: is not attached",
					   change->before->name);
	pod_params(change->after, name, sizeof(name), &params);
	ret = attach(change->after, false, driver_of(&change->after->pod), &params, NULL, err);
	if (ret < 0)
		forwarding_blame(err, "pods", change->after->name);
	return ret;
}

/** The host port keeps its place while its interface keeps its name. */
static int host_change(struct object *next, struct error *err)
{
	struct port_params params;
	int ret;

	staged_begin(&forwarding.host->s, next);
	if (host_params(next, &params) < 0)
		return error_set(err, ENOMEM, "", "host port: out of memory");
	ret = configure(forwarding.host, &params, err);
	if (ret == 0 && stage_addresses(forwarding.host, &params.pod_mac) < 0)
		ret = error_set(
			err, ENOMEM, "", "host port: out of memory or all adjacencies are in use");
	free((void *)(uintptr_t)params.routes);
	return ret;
}

int host_stage(struct error *err)
{
	struct attachment *host = forwarding.host;
	struct object *next = forwarding.node.staged ? forwarding.node.next : forwarding.node.obj;
	struct port_params params;
	int ret;

	if (!forwarding.txn->host_routes && !forwarding.txn->node)
		return 0;
	if (host != NULL && next != NULL &&
		strcmp(host->s.obj->node.host_interface, next->node.host_interface) == 0)
		return host_change(next, err);
	if (host != NULL) {
		forwarding.txn->ports = true;
		staged_begin(&host->s, NULL);
		if (stage_addresses(host, NULL) < 0)
			return error_set(err, ENOMEM, "", "host port: out of memory");
	}
	if (next == NULL || next->node.host_interface == NULL ||
		next->node.host_interface[0] == '\0')
		return 0;
	if (host_params(next, &params) < 0)
		return error_set(err, ENOMEM, "", "host port: out of memory");
	ret = attach(next, true, "tap", &params, NULL, err);
	free((void *)(uintptr_t)params.routes);
	return ret;
}

uint32_t host_adjacency(uint8_t family)
{
	const struct attachment *a;

	TAILQ_FOREACH (a, &forwarding.attachments, link) {
		struct neighbour *const *list = a->s.staged ? a->planned : a->neighbours;
		size_t n = a->s.staged ? a->n_planned : a->n_neighbours;

		for (size_t i = 0; a->host && staged_future(&a->s) != NULL && i < n; i++) {
			if (list[i]->address.family == family)
				return list[i]->adjacency;
		}
	}
	return 0;
}

void attachments_commit(void)
{
	struct attachment *a;

	TAILQ_FOREACH (a, &forwarding.attachments, link) {
		const struct addr_list *list;

		if (!a->s.staged)
			continue;
		if (a->s.next == NULL) {
			atomic_store_explicit(&a->port->forwarding, false, memory_order_release);
			continue;
		}
		commit_limits(a);
		list = addresses_of(a, a->s.next);
		for (size_t i = 0; i < a->n_planned; i++) {
			if (!ip_addr_equal(&a->planned[i]->address, &list->items[i]))
				neighbour_readdress(
					a->planned[i], &list->items[i], forwarding.now_ms);
		}
		if (a->s.obj != NULL)
			set_addresses(a->port, list);
	}
}

static void destroy(struct attachment *a)
{
	neighbours_port_gone(a->port->id, forwarding.now_ms);
	port_close(a->port);
	TAILQ_REMOVE(&forwarding.attachments, a, link);
	free(a->neighbours);
	free(a->planned);
	free(a);
}

void attachments_finish(void)
{
	struct attachment *a, *next;

	forwarding.host = NULL;
	for (a = TAILQ_FIRST(&forwarding.attachments); a != NULL; a = next) {
		bool staged = a->s.staged, added = staged && a->s.obj == NULL;

		next = TAILQ_NEXT(a, link);
		if (staged) {
			generation_bump_zone(a->port->id);
			release_but(a->neighbours, a->n_neighbours, a->planned, a->n_planned);
			free(a->neighbours);
			a->neighbours = a->planned;
			a->n_neighbours = a->n_planned;
			a->planned = NULL;
			a->n_planned = 0;
		}
		if (!staged_end(&a->s, true)) {
			destroy(a);
			continue;
		}
		if (added)
			forwarding_open(a->port);
		if (a->host)
			forwarding.host = a;
	}
}

/** What staging told an interface is told back. */
static void configure_back(struct attachment *a)
{
	char name[PORT_NAME_MAX + 8];
	struct port_params params;
	struct error err = { .text = "out of memory" };
	int ret;

	if (a->host) {
		ret = host_params(a->s.obj, &params);
		ret = ret < 0 ? ret : configure(a, &params, &err);
		free(ret != -ENOMEM ? (void *)(uintptr_t)params.routes : NULL);
	} else {
		pod_params(a->s.obj, name, sizeof(name), &params);
		ret = configure(a, &params, &err);
	}
	if (ret < 0)
		LOG_WARNING("an interface keeps addresses or routes of a refused change port=%s "
			    "error=\"%s\"",
			a->port->name, err.text);
}

void attachments_abort(void)
{
	struct attachment *a, *next;

	for (a = TAILQ_FIRST(&forwarding.attachments); a != NULL; a = next) {
		bool changed = a->s.staged && a->s.obj != NULL && a->s.next != NULL;

		next = TAILQ_NEXT(a, link);
		abort_limits(a);
		if (a->s.staged) {
			release_but(a->planned, a->n_planned, a->neighbours, a->n_neighbours);
			free(a->planned);
			a->planned = NULL;
			a->n_planned = 0;
		}
		if (!staged_end(&a->s, false))
			destroy(a);
		else if (changed)
			configure_back(a);
	}
}

void attachments_fini(bool successor)
{
	struct attachment *a;

	while ((a = TAILQ_FIRST(&forwarding.attachments)) != NULL) {
		object_unref(a->s.obj);
		a->n_neighbours = 0; /* the neighbour table frees them all */
		a->port->leave = successor || !a->host;
		a->port->ending = true;
		destroy(a);
	}
	forwarding.host = NULL;
}

void attachments_tick(uint64_t now_ms)
{
	struct attachment *a;
	bool renewed = false;

	TAILQ_FOREACH (a, &forwarding.attachments, link) {
		bool up;

		port_tick(a->port);
		renewed = renewed || a->port->renewed;
		for (size_t i = 0; a->port->peer_moved && i < a->n_neighbours; i++)
			neighbour_moved(a->neighbours[i], &a->port->peer_mac);
		a->port->peer_moved = false;
		up = atomic_load_explicit(&a->port->link_up, memory_order_relaxed);
		/* Somebody else may be at the other end now. Whoever it is may not have given its queue any buffers yet (a DPDK
		 * client does so with its first poll), and then the first requests are lost. */
		for (size_t i = 0; up && a->ticks_up < ASK_TICKS && i < a->n_neighbours; i++) {
			if (a->ticks_up == 0 || !neighbour_complete(a->neighbours[i]))
				neighbour_restart(a->neighbours[i], now_ms);
		}
		a->ticks_up = up ? (uint8_t)RTE_MIN(a->ticks_up + 1, ASK_TICKS) : 0;
	}
	if (!renewed)
		return;
	forwarding_poll();
	TAILQ_FOREACH (a, &forwarding.attachments, link)
		a->port->renewed = false;
}
