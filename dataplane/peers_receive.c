/* SPDX-License-Identifier: Apache-2.0 */
/** What peers mean for receiving: the table decapsulation believes, and what routers say about packets to peers. */
#include "dataplane/peers_state.h"

#include "dataplane/mtu.h"
#include "dataplane/path_mtu.h"
#include "dataplane/punt.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

struct mac_addr forwarding_vtep_mac(void)
{
	const struct node *node = forwarding_node();

	if (node == NULL)
		return (struct mac_addr){ { 0 } };
	return mac_addr_is_zero(&node->vtep_mac) ? forwarding_derived_mac("vtep", node->name)
						 : node->vtep_mac;
}

static bool add_port(uint16_t *list, size_t *n, uint32_t port)
{
	for (size_t i = 0; i < *n; i++) {
		if (list[i] == port)
			return true;
	}
	if (*n == TUNNEL_PORTS_MAX)
		return false;
	list[(*n)++] = (uint16_t)port;
	return true;
}

static bool add_locals(struct ip_addr *local, size_t *n)
{
	struct uplink_state *u;

	TAILQ_FOREACH (u, &forwarding.uplinks, link) {
		size_t count;
		const struct ip_prefix *items = uplink_addresses(u, &count);

		for (size_t i = 0; i < count; i++) {
			const struct ip_addr *a = &items[i].addr;

			if (ip_addr_is_link_local(a))
				continue;
			if (*n == RTE_DIM(((struct tunnel_table *)0)->local))
				return false;
			local[(*n)++] = *a;
		}
	}
	return true;
}

size_t peers_udp_ports(uint16_t udp_ports[TUNNEL_PORTS_MAX], struct error *err)
{
	const struct node *node = forwarding_node();
	size_t n = 2;
	struct peer_state *p;

	udp_ports[0] = 4789;
	udp_ports[1] = 8472;
	if (node != NULL && node->vxlan_port > 0)
		add_port(udp_ports, &n, node->vxlan_port);
	TAILQ_FOREACH (p, &peers.list, link) {
		const struct peer *conf = peer_future(p);

		if (conf == NULL || conf->port == 0 || add_port(udp_ports, &n, conf->port))
			continue;
		error_set(err, ENOSPC, "", "peer %s: more than %d different VXLAN ports", p->name,
			TUNNEL_PORTS_MAX);
		return 0;
	}
	return n;
}

size_t peers_underlays(struct ip_addr *addresses)
{
	struct peer_state *p;
	size_t n = 0;

	TAILQ_FOREACH (p, &peers.list, link) {
		const struct peer *conf = peer_future(p);

		for (size_t i = 0; conf != NULL && i < conf->underlay.count; i++, n++) {
			if (addresses != NULL)
				addresses[n] = conf->underlay.items[i];
		}
	}
	return n;
}

int peers_tunnel_table(struct tunnel_table **out, struct error *err)
{
	const struct node *node = forwarding_node();
	uint16_t udp_ports[TUNNEL_PORTS_MAX];
	struct ip_addr local[RTE_DIM(((struct tunnel_table *)0)->local)];
	struct mac_addr vtep_mac = forwarding_vtep_mac();
	struct tunnel_peer *list;
	size_t n_ports, n_local = 0, count = 0;
	struct peer_state *p;

	if (!add_locals(local, &n_local))
		return error_set(
			err, ENOSPC, "", "uplinks: more than %zu addresses in all", RTE_DIM(local));
	n_ports = peers_udp_ports(udp_ports, err);
	if (n_ports == 0)
		return -ENOSPC;
	list = calloc(peers_underlays(NULL) + 1, sizeof(*list));
	if (list == NULL)
		return error_set(err, ENOMEM, "", "out of memory for the table of tunnel peers");
	TAILQ_FOREACH (p, &peers.list, link) {
		const struct peer *conf = peer_future(p);

		for (size_t i = 0; conf != NULL && i < conf->underlay.count; i++)
			list[count++] = (struct tunnel_peer){ .underlay = conf->underlay.items[i],
				.vni = conf->vni > 0  ? conf->vni
				       : node != NULL ? node->vxlan_vni
						      : 0,
				.peer = p->adjacency };
	}
	*out = tunnel_table_new(&vtep_mac, udp_ports, n_ports, local, n_local, list, count);
	free(list);
	return *out != NULL
		       ? 0
		       : error_set(err, ENOMEM, "", "out of memory for the table of tunnel peers");
}

/** Was the packet a router complained about one that this peer is sent? */
static bool sent_to(
	const struct peer_state *p, const struct peer *conf, const struct path_mtu *told)
{
	const struct node *node = forwarding_node();

	if (!ip_addr_equal(&p->remote, &told->remote) || !ip_addr_equal(&p->local, &told->local))
		return false;
	if (p->used == ENCAP_VXLAN)
		return told->proto == IPPROTO_UDP &&
		       told->port == (conf->port > 0 ? conf->port : node->vxlan_port);
	return p->used == ENCAP_IPIP &&
	       (told->proto == IPPROTO_IPIP || told->proto == IPPROTO_IPV6);
}

void peers_path_mtu(struct rte_mbuf *m, uint64_t now_ms)
{
	struct path_mtu told;
	struct peer_state *p;

	if (!path_mtu_parse(m, &told)) {
		punt_drop(m, DROP_icmp_bad_checksum);
		return;
	}
	punt_deliver(m);
	told.mtu = (uint16_t)RTE_MAX(
		(unsigned)told.mtu, told.remote.family == IP_V6 ? MTU_MIN6 : PATH_MTU_MIN4);
	TAILQ_FOREACH (p, &peers.list, link) {
		const struct peer *conf = peer_future(p);
		const struct port *port = p->next_hop.neighbour != NULL
						  ? port_get(p->next_hop.neighbour->port)
						  : NULL;

		if (conf == NULL || port == NULL || !sent_to(p, conf, &told) ||
			told.mtu > peer_underlay_mtu(p, conf, port))
			continue;
		p->path_mtu = told.mtu;
		p->path_mtu_until_ms = now_ms + PATH_MTU_LIFE_MS;
		peer_fill(p);
	}
}
