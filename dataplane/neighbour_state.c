/* SPDX-License-Identifier: Apache-2.0 */
/** What happens to a neighbour: states, timers, packets that wait.
 *
 *   incomplete  no MAC address; up to three requests a second apart, packets are held
 *   failed      no answer; packets are refused for five seconds, then it may be tried again
 *   reachable   answered within thirty seconds
 *   stale       not confirmed since; still used. After thirty seconds more: probe, if somebody needs it
 *   probe       unicast requests, the old MAC address in use meanwhile
 *   static      given, never asked for
 */
#include "dataplane/neighbour_table.h"

#include "dataplane/punt.h"

#include <string.h>

#define table neighbour_table

/* --- timers --------------------------------------------------------------------------------------------------- */

void neighbour_schedule(struct neighbour *n, uint64_t deadline_ms)
{
	uint64_t slot;

	if (n->deadline_ms != 0)
		LIST_REMOVE(n, timer);
	n->deadline_ms = deadline_ms;
	if (deadline_ms == 0)
		return;
	/* The first slot whose time is not before the deadline; behind the hand it would wait a whole turn. */
	slot = RTE_MAX((deadline_ms + NEIGHBOUR_TICK_MS - 1) / NEIGHBOUR_TICK_MS,
		table.wheel_ms / NEIGHBOUR_TICK_MS + 1);
	LIST_INSERT_HEAD(&table.wheel[slot % NEIGHBOUR_WHEEL], n, timer);
}

static bool in_use(const struct neighbour *n, uint64_t now_ms)
{
	return n->refs > 0 || n->n_held > 0 || (n->used_ms != 0 && now_ms - n->used_ms < UNUSED_MS);
}

static void enter(struct neighbour *n, enum neighbour_state state, uint64_t deadline_ms)
{
	n->state = (uint8_t)state;
	n->tries = 0;
	n->asleep = false;
	neighbour_schedule(n, deadline_ms);
}

/** One more request, or give up. */
static void ask(struct neighbour *n, uint64_t now_ms)
{
	const struct port *port = port_get(n->port);

	neighbour_schedule(n, now_ms + RETRANS_MS);
	if (port == NULL || !atomic_load_explicit(&port->link_up, memory_order_relaxed) ||
		!atomic_load_explicit(&port->forwarding, memory_order_relaxed)) {
		if (n->refs > 0)
			return; /* nobody is there to hear: a try that does not count */
	}
	n->tries++;
	neighbour_solicit(n, n->state == NEIGHBOUR_PROBE);
}

static void expire_incomplete(struct neighbour *n, uint64_t now_ms)
{
	if (!in_use(n, now_ms)) {
		neighbour_doom(n);
		return;
	}
	if (n->tries < SOLICIT_MAX) {
		ask(n, now_ms);
		return;
	}
	enter(n, NEIGHBOUR_FAILED, now_ms + FAILED_MS);
	n->used_ms = 0;
	neighbour_publish(n);
	neighbour_drop_held(n, DROP_neighbour_unresolved);
}

static void expire_stale(struct neighbour *n, uint64_t now_ms)
{
	if (in_use(n, now_ms)) {
		enter(n, NEIGHBOUR_PROBE, 0);
		ask(n, now_ms);
	} else if (!n->asleep && n->claimed) {
		n->asleep = true;
		neighbour_publish(n);
		neighbour_schedule(n, now_ms + ASLEEP_MS);
	} else {
		neighbour_doom(n);
	}
}

static void expire(struct neighbour *n, uint64_t now_ms)
{
	switch ((enum neighbour_state)n->state) {
	case NEIGHBOUR_INCOMPLETE:
		if (n->port != PORT_NONE)
			expire_incomplete(n, now_ms);
		break;
	case NEIGHBOUR_FAILED:
		if (n->refs == 0) {
			neighbour_doom(n);
		} else {
			neighbour_reset(n, now_ms);
			ask(n, now_ms);
		}
		break;
	case NEIGHBOUR_REACHABLE:
		enter(n, NEIGHBOUR_STALE, now_ms + STALE_MS);
		break;
	case NEIGHBOUR_STALE:
		expire_stale(n, now_ms);
		break;
	case NEIGHBOUR_PROBE:
		if (n->tries < SOLICIT_MAX) {
			ask(n, now_ms);
		} else { /* the MAC address is wrong now, the host may not be: ask everybody */
			neighbour_reset(n, now_ms);
			expire_incomplete(n, now_ms);
		}
		break;
	case NEIGHBOUR_STATIC:
		break;
	}
}

void neighbours_tick(uint64_t now_ms)
{
	uint64_t from = table.wheel_ms / NEIGHBOUR_TICK_MS, to = now_ms / NEIGHBOUR_TICK_MS;
	LIST_HEAD(, neighbour) due = LIST_HEAD_INITIALIZER(due);
	struct neighbour *n, *next;

	if (to > from + NEIGHBOUR_WHEEL) /* the first tick, or a long pause: every slot once */
		from = to - NEIGHBOUR_WHEEL;
	table.wheel_ms = now_ms;
	for (uint64_t t = from + 1; t <= to; t++) {
		for (n = LIST_FIRST(&table.wheel[t % NEIGHBOUR_WHEEL]); n != NULL; n = next) {
			next = LIST_NEXT(n, timer);
			if (n->deadline_ms > now_ms)
				continue;
			LIST_REMOVE(n, timer);
			LIST_INSERT_HEAD(&due, n, timer);
		}
	}
	/* Whatever an expiry dooms, itself or others, leaves this list by its own. */
	while ((n = LIST_FIRST(&due)) != NULL) {
		neighbour_schedule(n, 0);
		expire(n, now_ms);
	}
}

/* --- what is heard -------------------------------------------------------------------------------------------- */

void neighbour_reset(struct neighbour *n, uint64_t now_ms)
{
	n->mac_known = false;
	memset(&n->mac, 0, sizeof(n->mac));
	enter(n, NEIGHBOUR_INCOMPLETE, n->port == PORT_NONE ? 0 : now_ms);
	if (n->port == PORT_NONE)
		neighbour_drop_held(n, DROP_no_route);
	neighbour_touch(n);
	neighbour_publish(n);
}

static void flush_held(struct neighbour *n)
{
	unsigned count = n->n_held;

	n->n_held = 0;
	table.held -= count;
	for (unsigned i = 0; i < count; i++)
		inject_adjacency(n->held[i], pkt_note(n->held[i])->adjacency, false);
}

void neighbour_heard(struct neighbour *n, const struct mac_addr *mac,
	enum neighbour_evidence evidence, uint64_t now_ms)
{
	bool given = !mac_addr_is_zero(mac);
	bool other = given && n->mac_known && memcmp(mac, &n->mac, sizeof(*mac)) != 0;
	/* A REPLY nobody asked for confirms nothing, whatever its flags say. */
	bool asked = n->state == NEIGHBOUR_INCOMPLETE || n->state == NEIGHBOUR_PROBE;

	if (n->state == NEIGHBOUR_STATIC || n->port == PORT_NONE || (!given && !n->mac_known))
		return;
	if (other && evidence == EVIDENCE_HINT) {
		/* RFC 4861 section 7.2.5: doubt what we have, but keep it. */
		if (n->state == NEIGHBOUR_REACHABLE)
			enter(n, NEIGHBOUR_STALE, now_ms + STALE_MS);
		return;
	}
	if (given) {
		n->mac = *mac;
		n->mac_known = true;
	}
	if (evidence == EVIDENCE_ANSWER && (asked || n->state == NEIGHBOUR_REACHABLE)) {
		n->confirmed_ms = now_ms;
		enter(n, NEIGHBOUR_REACHABLE, now_ms + REACHABLE_MS);
	} else if (other || n->state == NEIGHBOUR_INCOMPLETE || n->state == NEIGHBOUR_FAILED) {
		n->confirmed_ms = now_ms;
		enter(n, NEIGHBOUR_STALE, now_ms + STALE_MS);
	}
	neighbour_touch(n);
	neighbour_publish(n);
	if (neighbour_complete(n))
		flush_held(n);
}

void neighbour_unanswered(struct neighbour *n, uint64_t now_ms)
{
	switch ((enum neighbour_state)n->state) {
	case NEIGHBOUR_INCOMPLETE:
		n->tries = SOLICIT_MAX;
		neighbour_schedule(n, now_ms);
		break;
	case NEIGHBOUR_REACHABLE:
	case NEIGHBOUR_STALE:
	case NEIGHBOUR_PROBE:
		neighbour_reset(n, now_ms);
		break;
	case NEIGHBOUR_FAILED:
	case NEIGHBOUR_STATIC:
		break;
	}
}

/* --- packets that wait ---------------------------------------------------------------------------------------- */

void neighbour_drop_held(struct neighbour *n, enum drop_reason reason)
{
	for (unsigned i = 0; i < n->n_held; i++)
		punt_drop(n->held[i], reason);
	table.held -= n->n_held;
	n->n_held = 0;
}

void neighbour_hold(struct neighbour *n, struct rte_mbuf *m, uint64_t now_ms)
{
	n->used_ms = now_ms;
	if (n->asleep) {
		/* It has a MAC address; whether that is still right a probe will tell. */
		enter(n, NEIGHBOUR_PROBE, 0);
		neighbour_publish(n);
		ask(n, now_ms);
	}
	neighbour_touch(n);
	if (neighbour_complete(n)) {
		/* Punted before the worker saw that it is resolved. */
		inject_adjacency(m, pkt_note(m)->adjacency, false);
		return;
	}
	if (n->state != NEIGHBOUR_INCOMPLETE || n->port == PORT_NONE) {
		punt_drop(m, n->port == PORT_NONE ? DROP_no_route : DROP_neighbour_unresolved);
		return;
	}
	if (table.held >= NEIGHBOUR_HELD_ALL && n->n_held == 0) {
		punt_drop(m, DROP_neighbour_queue_full);
		return;
	}
	if (n->n_held == NEIGHBOUR_HELD_MAX ||
		(table.held >= NEIGHBOUR_HELD_ALL && n->n_held > 0)) {
		/* The latest matter most: RFC 1122 section 2.3.2.2. */
		punt_drop(n->held[0], DROP_neighbour_queue_full);
		memmove(n->held, n->held + 1, (n->n_held - 1u) * sizeof(n->held[0]));
		n->n_held--;
		table.held--;
	}
	n->held[n->n_held++] = m;
	table.held++;
	if (n->tries == 0)
		ask(n, now_ms);
}

/** The destination of a packet that starts at its IP header. */
static bool destination(const struct rte_mbuf *m, struct ip_addr *address)
{
	const struct rte_ipv4_hdr *ip4 = pkt_hdr(m, 0, const struct rte_ipv4_hdr);
	const struct rte_ipv6_hdr *ip6 = pkt_hdr(m, 0, const struct rte_ipv6_hdr);

	memset(address, 0, sizeof(*address));
	if (ip4 != NULL && ip4->version_ihl >> 4 == 4) {
		address->family = IP_V4;
		memcpy(address->bytes, &ip4->dst_addr, 4);
	} else if (ip6 != NULL && *(const uint8_t *)ip6 >> 4 == 6) {
		address->family = IP_V6;
		memcpy(address->bytes, ip6->dst_addr, 16);
	}
	return address->family != IP_NONE;
}

void neighbours_glean(struct rte_mbuf *m, uint64_t now_ms)
{
	const struct adjacency *glean = adjacency_get(pkt_note(m)->adjacency);
	const struct port *port = glean->type == ADJ_GLEAN ? port_get(glean->port) : NULL;
	struct ip_addr address;
	struct neighbour *n;

	/* The uplink may have lost the subnet, or the address become our own, since the worker looked. */
	if (port == NULL || !destination(m, &address) || !neighbour_on_link(port, &address) ||
		neighbour_is_own(port, &address)) {
		punt_drop(m, DROP_no_route);
		return;
	}
	n = neighbour_get(port->id, &address, now_ms);
	if (n == NULL) {
		punt_drop(m, DROP_neighbour_table_full);
		return;
	}
	if (!n->claim_wanted)
		neighbour_want_claim(n, true);
	pkt_note(m)->adjacency = n->adjacency;
	neighbour_hold(n, m, now_ms);
}
