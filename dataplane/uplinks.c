/* SPDX-License-Identifier: Apache-2.0 */
/** Uplinks: their ports, this node's addresses on them, and the subnets these connect. */
#include "dataplane/forwarding_state.h"

#include "config/log.h"
#include "dataplane/generation.h"
#include "dataplane/kernel_quiet.h"
#include "dataplane/policies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANNOUNCEMENTS	    2 /* RFC 5227 section 1.1, ANNOUNCE_NUM and ANNOUNCE_INTERVAL */
#define ANNOUNCE_PERIOD_MS  2000u
#define MTU_WITHOUT_UPLINKS 1500u
#define QUIET_TICKS	    10 /* of 100 ms: the kernel's addresses change without us */

static const struct uplink *future_of(const struct uplink_state *u)
{
	const struct object *obj = staged_future(&u->s);

	return obj != NULL ? &obj->uplink : NULL;
}

/** The addresses a configuration of it means. */
static struct prefix_list addresses_of(const struct uplink_state *u, const struct uplink *conf)
{
	return conf->addresses.count > 0 ? conf->addresses : u->kernel;
}

const struct ip_prefix *uplink_addresses(const struct uplink_state *u, size_t *count)
{
	const struct uplink *conf = future_of(u);
	struct prefix_list list = { NULL, 0 };

	if (conf != NULL)
		list = addresses_of(u, conf);
	*count = list.count;
	return list.items;
}

struct uplink_state *uplink_find(const char *name)
{
	struct uplink_state *u;

	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		const struct object *obj = u->s.obj != NULL ? u->s.obj : u->s.next;

		if (strcmp(obj->name, name) == 0)
			return u;
	}
	return NULL;
}

/* --- addresses ------------------------------------------------------------------------------------------------ */

/** RFC 4291 appendix A, from the port's MAC address, unless one is configured or the kernel has its own. */
static struct ip_addr link_local_of(const struct port *port, const struct prefix_list *list)
{
	const uint8_t *mac = port->mac.bytes;

	if (port->ops->shared != NULL)
		return (struct ip_addr){ .family = IP_NONE };
	for (size_t i = 0; i < list->count; i++) {
		const struct ip_addr *a = &list->items[i].addr;

		if (a->family == IP_V6 && ip_addr_is_link_local(a))
			return (struct ip_addr){ .family = IP_NONE };
	}
	return (struct ip_addr){ .family = IP_V6,
		.bytes = { 0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4],
			mac[5] } };
}

static int set_addresses(struct uplink_state *u, const struct uplink *conf)
{
	struct prefix_list list = addresses_of(u, conf);
	size_t n = list.count;
	struct ip_prefix *items = calloc(n + 1, sizeof(*items));
	int ret;

	if (items == NULL)
		return -ENOMEM;
	if (n > 0)
		memcpy(items, list.items, n * sizeof(*items));
	u->link_local = link_local_of(u->port, &list);
	if (u->link_local.family != IP_NONE)
		items[n++] = (struct ip_prefix){ u->link_local, 64 };
	ret = port_set_addresses(u->port, items, n);
	free(items);
	return ret;
}

/** The last (ones) or first address of an IPv4 subnet: broadcasts, RFC 1812 section 4.2.3.1 and 5.3.5. */
static struct ip_prefix edge_of(const struct ip_prefix *subnet, bool ones)
{
	struct ip_prefix edge = ip_prefix_canonical(subnet);

	for (unsigned bit = subnet->len; ones && bit < 32; bit++)
		edge.addr.bytes[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
	edge.len = 32;
	return edge;
}

enum claim_mode { CLAIM, UNCLAIM, CLAIM_IF_FREE };

static int claim_one(const struct ip_prefix *prefix, enum rib_source source, uint32_t value,
	enum claim_mode mode)
{
	if (mode == UNCLAIM)
		return rib_clear(prefix, source, value);
	if (mode == CLAIM_IF_FREE && rib_get(prefix, source) != FIB_NONE)
		return 0;
	return rib_set(prefix, source, value, NULL);
}

/** Make or give up all claims that addresses of an uplink stand for. @return 0 or -ENOMEM. */
static int claim(const struct uplink_state *u, const struct uplink *conf, enum claim_mode mode)
{
	struct prefix_list list = addresses_of(u, conf);
	int ret = 0;

	for (size_t i = 0; i < list.count && ret == 0; i++) {
		const struct ip_prefix *p = &list.items[i];
		struct ip_prefix subnet = ip_prefix_canonical(p),
				 own = forwarding_host_prefix(&p->addr), edge;

		if (p->addr.family == IP_V4 && p->len < 31) {
			edge = edge_of(p, false);
			ret = claim_one(&edge, RIB_LOCAL, DROP_multicast_unsupported, mode);
			edge = edge_of(p, true);
			ret = ret != 0 ? ret
				       : claim_one(&edge, RIB_LOCAL, DROP_multicast_unsupported,
						 mode);
		}
		if (ret == 0 && p->len < ip_family_bits(p->addr.family) &&
			!ip_addr_is_link_local(&p->addr))
			ret = claim_one(&subnet, RIB_CONNECTED, u->glean, mode);
		ret = ret != 0 ? ret : claim_one(&own, RIB_LOCAL, adjacency_local(), mode);
	}
	if (ret == 0 && u->port != NULL) {
		struct ip_addr link_local = link_local_of(u->port, &list);
		struct ip_prefix own = forwarding_host_prefix(&link_local);

		if (link_local.family != IP_NONE)
			ret = claim_one(&own, RIB_LOCAL, adjacency_local(), mode);
	}
	return ret;
}

/** Two uplinks may be on one subnet: what one gave up the other still has. */
static int claim_again(void)
{
	struct uplink_state *u;
	int ret = 0;

	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		const struct uplink *conf = future_of(u);

		if (conf != NULL && ret == 0)
			ret = claim(u, conf, CLAIM_IF_FREE);
	}
	return ret;
}

struct uplink_state *uplink_for(const struct ip_addr *addr)
{
	struct uplink_state *u, *best = NULL;
	int best_len = -1;

	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		size_t count;
		const struct ip_prefix *items = uplink_addresses(u, &count);

		for (size_t i = 0; i < count; i++) {
			const struct ip_prefix *p = &items[i];

			if (p->len > best_len && ip_prefix_contains(p, addr) &&
				!ip_addr_is_link_local(addr)) {
				best = u;
				best_len = p->len;
			}
		}
	}
	return best;
}

uint16_t uplink_egress(const struct ip_addr *addr)
{
	const struct uplink_state *u = uplink_for(addr);

	return u != NULL ? u->port->id : PORT_NONE;
}

struct ip_addr uplink_source(uint16_t port, const struct ip_addr *towards)
{
	struct ip_addr source = { .family = IP_NONE };
	struct uplink_state *u;

	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		size_t count;
		const struct ip_prefix *items = uplink_addresses(u, &count);

		for (size_t i = 0; u->port->id == port && i < count; i++) {
			const struct ip_prefix *p = &items[i];

			if (p->addr.family != towards->family || ip_addr_is_link_local(&p->addr))
				continue;
			if (ip_prefix_contains(p, towards))
				return p->addr;
			if (source.family == IP_NONE)
				source = p->addr;
		}
	}
	return source;
}

uint16_t uplinks_mtu(void)
{
	uint16_t mtu = UINT16_MAX;
	struct uplink_state *u;

	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		if (future_of(u) != NULL)
			mtu = (uint16_t)RTE_MIN((unsigned)mtu, (unsigned)u->port->mtu);
	}
	return mtu != UINT16_MAX ? mtu : MTU_WITHOUT_UPLINKS;
}

/* --- transactions --------------------------------------------------------------------------------------------- */

static int open_port(
	struct uplink_state *u, const char *name, const struct uplink *conf, struct error *err)
{
	struct port_params params = { .name = name,
		.role = PORT_UPLINK,
		.n_queues = (uint16_t)RTE_MIN(
			conf->queues > 0 ? conf->queues : forwarding.conf.n_workers,
			(uint32_t)PORT_QUEUE_MAX),
		.mtu = (uint16_t)conf->mtu,
		.vlan = (uint16_t)conf->vlan,
		.port_mac = conf->mac,
		.memif_id = conf->memif_id,
		.memif_client = conf->role == MEMIF_CLIENT,
		.ring_size = conf->ring_size,
		.secret = conf->secret[0] != '\0' ? conf->secret : NULL,
		.pool = forwarding.conf.pool,
		.large_pool = forwarding.conf.large_pool,
		.socket_id = forwarding.conf.socket_id };
	const char *driver = "ethdev";
	char device[256];

	switch ((enum uplink_driver)conf->driver) {
	case UPLINK_AF_PACKET:
		driver = "af_packet";
		params.interface = conf->device;
		device[0] = '\0';
		break;
	case UPLINK_AF_XDP:
		driver = "af_xdp";
		snprintf(device, sizeof(device), "%s", conf->device);
		params.xdp_mode = (uint8_t)conf->xdp_mode;
		break;
	case UPLINK_MEMIF:
		params.socket = conf->device;
		return port_open("memif", &params, forwarding.conf.n_workers, &u->port, err);
	case UPLINK_ETHDEV:
	case UPLINK_PCI:
		snprintf(device, sizeof(device), "%s", conf->device);
		params.disabled = (const char *const *)conf->disabled_offloads.items;
		params.n_disabled = conf->disabled_offloads.count;
		break;
	}
	params.device = device;
	if (conf->kernel_interface[0] != '\0') {
		driver = "exchange";
		params.interface = conf->kernel_interface;
	}
	return port_open(driver, &params, forwarding.conf.n_workers, &u->port, err);
}

static void release(struct uplink_state *u)
{
	if (u->glean != 0)
		adjacency_free(u->glean);
	if (u->port != NULL)
		port_close(u->port);
	TAILQ_REMOVE(&forwarding.uplinks, u, link);
	steering_free(&u->steered);
	free(u->kernel.items);
	free(u);
}

static int add(struct object *obj, struct error *err)
{
	struct adjacency glean = { .type = ADJ_GLEAN };
	struct uplink_state *u = calloc(1, sizeof(*u));
	int ret;

	if (u == NULL)
		return error_set(err, ENOMEM, "", "uplink %s: out of memory", obj->name);
	ret = open_port(u, obj->name, &obj->uplink, err);
	if (ret < 0) {
		if (err != NULL && strcmp(err->path, "socket") == 0)
			strcpy(err->path, "device");
		forwarding_blame(err, "uplinks", obj->name);
		free(u);
		return ret;
	}
	/* From here on abort takes it back. */
	staged_begin(&u->s, obj);
	TAILQ_INSERT_TAIL(&forwarding.uplinks, u, link);
	forwarding.txn->ports = true;
	glean.port = u->port->id;
	glean.mtu = u->port->mtu;
	snprintf(glean.text, sizeof(glean.text), "connected, dev %.40s", obj->name);
	u->glean = adjacency_new(&glean);
	if (u->glean == ADJACENCY_NONE) {
		u->glean = 0;
		return error_set(err, ENOSPC, "", "uplink %s: all %d adjacencies are in use",
			obj->name, ADJACENCY_MAX);
	}
	if (uplink_shared_open(u) < 0 || set_addresses(u, &obj->uplink) < 0 ||
		claim(u, &obj->uplink, CLAIM) < 0)
		return error_set(err, ENOMEM, "", "uplink %s: out of memory", obj->name);
	return 0;
}

static bool same_strings(const struct string_list *a, const struct string_list *b)
{
	for (size_t i = 0; i < a->count && a->count == b->count; i++) {
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	}
	return a->count == b->count;
}

/** What only a new port could bring about. */
static const char *fixed_field(const struct uplink *a, const struct uplink *b)
{
	if (a->driver != b->driver)
		return "driver";
	if (strcmp(a->device, b->device) != 0)
		return "device";
	if (memcmp(&a->mac, &b->mac, sizeof(a->mac)) != 0)
		return "mac";
	if (a->mtu != b->mtu)
		return "mtu";
	if (a->vlan != b->vlan)
		return "vlan";
	if (a->role != b->role)
		return "role";
	if (a->memif_id != b->memif_id)
		return "memif_id";
	if (a->ring_size != b->ring_size)
		return "ring_size";
	if (strcmp(a->secret, b->secret) != 0)
		return "secret";
	if (a->xdp_mode != b->xdp_mode)
		return "xdp_mode";
	if (!same_strings(&a->disabled_offloads, &b->disabled_offloads))
		return "disabled_offloads";
	if (strcmp(a->kernel_interface, b->kernel_interface) != 0)
		return "kernel_interface";
	return a->queues != b->queues ? "queues" : NULL;
}

int uplink_stage(const struct change *change, struct error *err)
{
	const char *name = change->before != NULL ? change->before->name : change->after->name,
		   *field;
	struct uplink_state *u = change->before != NULL ? uplink_find(name) : NULL;
	char path[128];

	forwarding.txn->uplinks = true;
	if (change->before == NULL)
		return add(change->after, err);
	if (u == NULL)
		return error_set(err, ENOENT, "", "uplink %s: is not open", name);
	field = change->after != NULL ? fixed_field(&change->before->uplink, &change->after->uplink)
				      : NULL;
	if (field != NULL) {
		snprintf(path, sizeof(path), "uplinks/%s/%s", name, field);
		return error_set(err, EBUSY, path,
			"uplink %s: %s cannot change while the uplink is open: delete the uplink "
			"and add it again",
			name, field);
	}
	staged_begin(&u->s, change->after);
	forwarding.txn->ports = forwarding.txn->ports || change->after == NULL;
	if (claim(u, &change->before->uplink, UNCLAIM) < 0 ||
		(change->after != NULL && claim(u, &change->after->uplink, CLAIM) < 0) ||
		claim_again() < 0)
		return error_set(err, ENOMEM, "", "uplink %s: out of memory", name);
	return 0;
}

bool uplink_readdress(struct uplink_state *u, const struct ip_prefix *items, size_t count)
{
	const struct uplink *conf = future_of(u);
	struct prefix_list before = u->kernel, after = { calloc(count + 1, sizeof(*items)), count };
	struct forwarding_txn *txn = forwarding.txn == NULL ? calloc(1, sizeof(*txn)) : NULL;
	/* For policy, which asks what they are. */
	struct object *obj = (struct object *)(uintptr_t)staged_future(&u->s);
	const struct change same = { obj, obj };
	struct error err = { 0 };
	int ret = -ENOMEM;

	if (txn == NULL || after.items == NULL ||
		(txn->tables = malloc(sizeof(*txn->tables))) == NULL) {
		free(after.items);
		free(txn);
		return false;
	}
	memcpy(after.items, items, count * sizeof(*items));
	forwarding.txn = txn;
	txn->uplinks = true;
	if (claim(u, conf, UNCLAIM) == 0) {
		u->kernel = after;
		ret = claim(u, conf, CLAIM) < 0 || claim_again() < 0
			      ? -ENOMEM
			      : peers_tunnel_table(&txn->tunnels, &err);
	}
	if (ret == 0)
		ret = uplinks_steer_more(&err);
	if (ret == 0)
		ret = policies_prepare(txn, NULL, &same, 1, &err);
	if (ret < 0 || set_addresses(u, conf) < 0) {
		LOG_FROM(&u->port->log, LOG_LEVEL_WARNING,
			"the kernel's new addresses cannot be followed uplink=%s error=\"%s\"",
			u->port->name, err.text);
		u->kernel = before;
		free(after.items);
		forwarding_abort(txn);
		return false;
	}
	free(before.items);
	forwarding_commit(txn);
	return true;
}

void uplinks_commit(void)
{
	struct uplink_state *u;

	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		if (!u->s.staged)
			continue;
		if (u->s.next == NULL) {
			atomic_store_explicit(&u->port->forwarding, false, memory_order_release);
			neighbours_port_gone(u->port->id, forwarding.now_ms);
		} else if (u->s.obj != NULL) {
			/* Without memory for a list this short nothing works any more; the old one stays. */
			set_addresses(u, &u->s.next->uplink);
			/* New ones first, so that it never has none; and again, because with the first address of a
			 * subnet the kernel forgets the others there. */
			uplink_shared_assign(u, &u->s.next->uplink, NULL, true);
			uplink_shared_assign(u, &u->s.obj->uplink, &u->s.next->uplink, false);
			uplink_shared_assign(u, &u->s.next->uplink, NULL, true);
			u->announcements = ANNOUNCEMENTS;
			u->announce_ms = forwarding.now_ms;
		}
	}
	neighbours_relocate(uplink_egress, forwarding.now_ms);
}

void uplinks_finish(void)
{
	struct uplink_state *u, *next;

	for (u = TAILQ_FIRST(&forwarding.uplinks); u != NULL; u = next) {
		bool added = u->s.staged && u->s.obj == NULL;

		next = TAILQ_NEXT(u, link);
		if (!staged_end(&u->s, true)) {
			release(u);
		} else if (added) {
			generation_bump_zone(u->port->id);
			forwarding_open(u->port);
		}
	}
}

void uplinks_abort(void)
{
	struct uplink_state *u, *next;

	for (u = TAILQ_FIRST(&forwarding.uplinks); u != NULL; u = next) {
		next = TAILQ_NEXT(u, link);
		if (staged_end(&u->s, false))
			continue;
		neighbours_port_gone(u->port->id, forwarding.now_ms);
		release(u);
	}
}

void uplinks_fini(void)
{
	struct uplink_state *u;

	kernel_quiet(NULL, 0, NULL, 0);
	while ((u = TAILQ_FIRST(&forwarding.uplinks)) != NULL) {
		object_unref(u->s.obj);
		u->port->ending = true;
		release(u);
	}
}

/** Beside uplinks of our own the kernel shall not answer tunnels. */
static void keep_kernel_quiet(void)
{
	static size_t before;
	uint16_t udp_ports[TUNNEL_PORTS_MAX];
	struct ip_addr *list = NULL;
	struct uplink_state *u;
	size_t n = 0, has;

	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		const struct uplink *conf = u->s.obj != NULL ? &u->s.obj->uplink : NULL;
		struct ip_addr *more;

		if (conf == NULL || conf->driver == UPLINK_MEMIF || u->port->ops->shared != NULL ||
			conf->addresses.count == 0)
			continue;
		more = realloc(list, (n + conf->addresses.count) * sizeof(*list));
		if (more == NULL)
			break;
		list = more;
		for (size_t i = 0; i < conf->addresses.count; i++) {
			if (!ip_addr_is_link_local(&conf->addresses.items[i].addr))
				list[n++] = conf->addresses.items[i].addr;
		}
	}
	has = kernel_quiet(list, peers_underlays(NULL) > 0 ? n : 0, udp_ports,
		peers_udp_ports(udp_ports, NULL));
	if (has > 0 && before == 0)
		LOG_WARNING("the kernel has an uplink's address too: it is kept from answering "
			    "tunnels, but it answers the rest "
			    "that comes there: take the address off its interface, or use driver = "
			    "\"af_xdp\"");
	before = has;
	free(list);
}

void uplinks_tick(uint64_t now_ms)
{
	static unsigned quiet_ticks;
	struct uplink_state *u;

	if (forwarding.txn == NULL && quiet_ticks++ % QUIET_TICKS == 0)
		keep_kernel_quiet();
	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		bool up;

		port_tick(u->port);
		if (u->port->ops->shared != NULL)
			uplink_shared_tick(u);
		up = atomic_load_explicit(&u->port->link_up, memory_order_relaxed) &&
		     atomic_load_explicit(&u->port->forwarding, memory_order_relaxed);
		if (up && !u->was_up) {
			u->announcements = ANNOUNCEMENTS;
			u->announce_ms = now_ms;
		}
		u->was_up = up;
		if (up && u->announcements > 0 && now_ms >= u->announce_ms) {
			neighbours_announce(u->port);
			u->announcements--;
			u->announce_ms = now_ms + ANNOUNCE_PERIOD_MS;
		}
	}
}
