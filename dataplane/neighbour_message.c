/* SPDX-License-Identifier: Apache-2.0 */
/** ARP and neighbour discovery as this node speaks and hears it on uplinks, and towards pods whose MAC address it must
 * find out. Requests of pods never come here: workers answer them (arp_nd.h, neighbour_proxy_reply).
 */
#include "dataplane/neighbour_table.h"

#include "config/log.h"
#include "dataplane/arp_nd.h"
#include "dataplane/punt.h"

#include <string.h>

#define table		neighbour_table
#define CONFLICT_LOG_MS 60000u /* one line a minute about addresses that somebody else uses too */

static const struct ip_addr all_nodes = { .bytes = { 0xff, 0x02, [15] = 1 }, .family = IP_V6 };
static const struct mac_addr all_nodes_mac = { { 0x33, 0x33, 0, 0, 0, 1 } };

/* --- own and on-link addresses -------------------------------------------------------------------------------- */

static const struct port_addresses *addresses_of(const struct port *port)
{
	return atomic_load_explicit(&port->addresses, memory_order_relaxed);
}

bool neighbour_is_own(const struct port *port, const struct ip_addr *address)
{
	const struct port_addresses *own = addresses_of(port);

	for (uint16_t i = 0; own != NULL && i < own->count; i++) {
		if (ip_addr_equal(&own->items[i].addr, address))
			return true;
	}
	return false;
}

bool neighbour_on_link(const struct port *port, const struct ip_addr *address)
{
	const struct port_addresses *own = addresses_of(port);

	if (port->role != PORT_UPLINK)
		return false;
	if (address->family == IP_V6 && ip_addr_is_link_local(address))
		return true;
	for (uint16_t i = 0; own != NULL && i < own->count; i++) {
		if (ip_prefix_contains(&own->items[i], address))
			return true;
	}
	return false;
}

/** The sender of a request: our address on the target's subnet, else any of its family, for pods the gateway. */
static struct ip_addr source_for(const struct port *port, const struct ip_addr *target)
{
	const struct port_addresses *own = addresses_of(port);
	struct ip_addr source = { .family = IP_NONE };

	if (port->role != PORT_UPLINK)
		return table.conf.gateway[target->family == IP_V6];
	for (uint16_t i = 0; own != NULL && i < own->count; i++) {
		const struct ip_prefix *p = &own->items[i];

		if (p->addr.family != target->family)
			continue;
		if (ip_prefix_contains(p, target))
			return p->addr;
		if (source.family == IP_NONE)
			source = p->addr;
	}
	return source;
}

/* --- sending -------------------------------------------------------------------------------------------------- */

static void send_frame(struct rte_mbuf *m, const struct port *port)
{
	if (m != NULL) /* without a buffer the next try must do */
		inject_frame(m, port->id, true);
}

void neighbour_solicit(const struct neighbour *n, bool unicast)
{
	static const struct mac_addr everybody;
	struct port *port = port_get(n->port);
	struct ip_addr source;

	if (port == NULL)
		return;
	if (port->ops->shared != NULL) {
		port->ops->shared->resolve(port, &n->address, unicast);
		return;
	}
	source = source_for(port, &n->address);
	send_frame(neighbour_request_make(table.conf.pool, &n->address, &source, &port->mac,
			   unicast ? &n->mac : &everybody),
		port);
}

void neighbours_announce(const struct port *port)
{
	static const struct mac_addr everybody;
	const struct port_addresses *own = port->ops->shared == NULL ? addresses_of(port) : NULL;

	for (uint16_t i = 0; own != NULL && i < own->count; i++) {
		const struct ip_addr *a = &own->items[i].addr;

		if (a->family ==
			IP_V4) /* RFC 5227 section 2.3: a request, which updates entries like a reply does */
			send_frame(neighbour_request_make(
					   table.conf.pool, a, a, &port->mac, &everybody),
				port);
		else /* RFC 4861 section 7.2.6 */
			send_frame(neighbour_reply_make(table.conf.pool, a, &port->mac, &all_nodes,
					   &all_nodes_mac, true, false, true),
				port);
	}
}

/** Answer a request for our own address. */
static void answer(const struct port *port, const struct neighbour_info *info,
	const struct mac_addr *frame_source)
{
	const struct mac_addr *to_mac =
		mac_addr_is_zero(&info->sender_mac) ? frame_source : &info->sender_mac;
	bool v6 = info->target.family == IP_V6;
	struct ip_addr to = info->sender;
	bool probe = to.family ==
		     IP_NONE; /* RFC 5227 probe, RFC 4862 duplicate address detection: we defend */

	if (probe && v6) {
		to = all_nodes;
		to_mac = &all_nodes_mac;
	} else if (probe) {
		to.family = IP_V4; /* 0.0.0.0 */
	}
	send_frame(neighbour_reply_make(table.conf.pool, &info->target, &port->mac, &to, to_mac, v6,
			   !probe, true),
		port);
	counter_add(&COUNTERS_CONTROL->events[v6 ? EVENT_nd_answered : EVENT_arp_answered], 1);
}

/* --- receiving ------------------------------------------------------------------------------------------------ */

/** An on-link sender that asked for us: it will be answered, so it is worth an entry. */
static void learn(
	uint16_t port, const struct ip_addr *address, const struct mac_addr *mac, uint64_t now_ms)
{
	struct neighbour *n = neighbour_get(port, address, now_ms);

	if (n != NULL)
		neighbour_heard(n, mac, EVIDENCE_CLAIM, now_ms);
}

static void warn_conflict(const struct port *port, const struct neighbour_info *info,
	const struct ip_addr *address, uint64_t now_ms)
{
	static uint64_t last_ms;
	char ip[IP_TEXT_MAX], mac[MAC_TEXT_MAX];

	if (last_ms != 0 && now_ms - last_ms < CONFLICT_LOG_MS)
		return;
	last_ms = now_ms;
	LOG_WARNING("another station uses this node's address port=%s address=%s mac=%s",
		port->name, ip_addr_format(address, ip), mac_addr_format(&info->sender_mac, mac));
}

/** @return false when the request was for somebody else and taught nothing. */
static bool request(const struct port *port, const struct neighbour_info *info,
	const struct mac_addr *frame_source, uint64_t now_ms)
{
	bool for_us = neighbour_is_own(port, &info->target);
	bool sender_valid = info->sender.family != IP_NONE &&
			    mac_addr_is_unicast(&info->sender_mac) &&
			    neighbour_on_link(port, &info->sender);
	struct neighbour *n;

	if (info->sender.family != IP_NONE && neighbour_is_own(port, &info->sender)) {
		warn_conflict(port, info, &info->sender, now_ms);
		return for_us;
	}
	if (for_us) {
		if (sender_valid)
			learn(port->id, &info->sender, &info->sender_mac, now_ms);
		answer(port, info, frame_source);
		return true;
	}
	/* RFC 826: the sender's entry is brought up to date, whoever is asked. */
	n = sender_valid ? neighbour_find(port->id, &info->sender) : NULL;
	if (n != NULL)
		neighbour_heard(n, &info->sender_mac, EVIDENCE_CLAIM, now_ms);
	return n != NULL;
}

static bool reply(const struct port *port, const struct neighbour_info *info, uint64_t now_ms)
{
	const struct ip_addr *who = &info->target;
	enum neighbour_evidence evidence = EVIDENCE_CLAIM;
	struct neighbour *n;

	/* The addresses of a pod's port are the pod's: there it is the answer. */
	if (port->role == PORT_UPLINK && neighbour_is_own(port, who)) {
		warn_conflict(port, info, who, now_ms);
		return true;
	}
	if (!mac_addr_is_zero(&info->sender_mac) && !mac_addr_is_unicast(&info->sender_mac))
		return false;
	n = neighbour_find(port->id, who);
	if (n == NULL)
		return false;
	if (info->solicited)
		evidence = EVIDENCE_ANSWER;
	if (!info->override && n->mac_known && !mac_addr_is_zero(&info->sender_mac) &&
		memcmp(&n->mac, &info->sender_mac, sizeof(n->mac)) != 0)
		evidence = EVIDENCE_HINT;
	neighbour_heard(n, &info->sender_mac, evidence, now_ms);
	return true;
}

void neighbours_receive(struct rte_mbuf *m, uint64_t now_ms)
{
	const struct port *port = port_get(pkt_note(m)->port);
	struct neighbour_info info;
	struct mac_addr source;
	struct parsed parsed;
	struct pkt p;
	bool arp, useful;

	if (port == NULL) {
		punt_drop(m, DROP_port_down);
		return;
	}
	parsed = pkt_parse_ether(m, &p, port->id);
	arp = parsed.class == PKT_ARP;
	if (parsed.class == PKT_DROP || (!arp && parsed.class != PKT_ND)) {
		punt_drop(m, parsed.class == PKT_DROP ? parsed.reason : DROP_nd_ignored);
		return;
	}
	parsed.reason = neighbour_parse(m, &p, arp, &info);
	if (parsed.reason != DROP_NONE) {
		punt_drop(m, parsed.reason);
		return;
	}
	memcpy(source.bytes, rte_pktmbuf_mtod_offset(m, const uint8_t *, 6), sizeof(source.bytes));
	if (memcmp(&source, &port->mac, sizeof(source)) == 0)
		useful = false; /* our own frame, reflected by the link or seen by a raw socket */
	else if (info.kind == NEIGHBOUR_REQUEST)
		useful = port->role == PORT_UPLINK && request(port, &info, &source, now_ms);
	else
		useful = reply(port, &info, now_ms);
	if (useful)
		punt_deliver(m);
	else
		punt_drop(m, arp ? DROP_arp_ignored : DROP_nd_ignored);
}

/* --- the kernel's neighbours ---------------------------------------------------------------------------------- */

void neighbours_told(const struct port *port, const struct ip_addr *address,
	const struct mac_addr *mac, enum neighbour_news news)
{
	struct neighbour *n = neighbour_find(port->id, address);
	uint64_t now_ms = table.wheel_ms;

	if (n == NULL || (!mac_addr_is_zero(mac) && !mac_addr_is_unicast(mac)))
		return;
	switch (news) {
	case NEIGHBOUR_NEWS_CONFIRMED:
		neighbour_heard(n, mac, EVIDENCE_ANSWER, now_ms);
		break;
	case NEIGHBOUR_NEWS_KNOWN:
		/* Confirms nothing, but another MAC address is news. */
		if (!n->mac_known || memcmp(mac, &n->mac, sizeof(*mac)) != 0)
			neighbour_heard(n, mac, EVIDENCE_CLAIM, now_ms);
		break;
	case NEIGHBOUR_NEWS_FAILED:
		neighbour_unanswered(n, now_ms);
		break;
	case NEIGHBOUR_NEWS_GONE:
		/* The kernel collects what it does not use itself. Whether it is true our own timers will find out. */
		break;
	}
}
