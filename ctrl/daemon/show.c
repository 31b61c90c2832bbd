/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/show.h"

#include "ctrl/daemon/api.h"
#include "dataplane/packet.h"
#include "dataplane/port.h"

#include <errno.h>

json_t *json_address(const struct ip_addr *addr)
{
	char text[IP_TEXT_MAX];

	return addr->family == IP_NONE ? json_null() : json_string(ip_addr_format(addr, text));
}

json_t *json_prefix(const struct ip_prefix *prefix)
{
	char text[PREFIX_TEXT_MAX];

	return json_string(ip_prefix_format(prefix, text));
}

json_t *json_mac(const struct mac_addr *mac)
{
	char text[MAC_TEXT_MAX];

	return mac_addr_is_zero(mac) ? json_null() : json_string(mac_addr_format(mac, text));
}

json_t *json_zone(uint32_t zone)
{
	const struct port *port = zone < PORT_MAX ? port_get((uint16_t)zone) : NULL;

	if (zone == ZONE_TUNNEL)
		return json_string("tunnel");
	return port != NULL ? json_string(port->name) : json_sprintf("port %u", zone);
}

int show_append(struct show_list *show, json_t *item)
{
	if (json_array_append_new(show->list, item) < 0)
		return -ENOMEM;
	return show->limit > 0 && json_array_size(show->list) >= show->limit;
}

#define LIMIT_PARAMETER                                                                         \
	{                                                                                       \
		"limit", "{\"type\":\"integer\",\"minimum\":0}", "Most entries; 1000, 0 = all." \
	}
#define FAMILY_PARAMETER                                                  \
	{                                                                 \
		"family", "{\"enum\":[4,6]}", "Only this address family." \
	}
#define END_PARAMETER            \
	{                        \
		NULL, NULL, NULL \
	}

static const struct parameter port_query[] = {
	{ "name", "{\"type\":\"string\"}", "Only the port of that name, such as pod:web-1." },
	END_PARAMETER,
};
static const struct parameter route_query[] = {
	LIMIT_PARAMETER,
	FAMILY_PARAMETER,
	{ "source", "{\"type\":\"string\"}",
		"Only routes from it: local, pod, neighbour, route, peer, connected or pool." },
	{ "within", "{\"type\":\"string\"}", "Only routes inside this prefix." },
	END_PARAMETER,
};
static const struct parameter neighbour_query[] = {
	{ "port", "{\"type\":\"string\"}", "Only neighbours on that port." },
	END_PARAMETER,
};
static const struct parameter rule_query[] = {
	{ "policy", "{\"type\":\"string\"}", "Only rules of the policy of that name." },
	{ "tier", "{\"type\":\"string\"}", "Only rules of that tier." },
	END_PARAMETER,
};
static const struct parameter identity_query[] = {
	{ "address", "{\"type\":\"string\"}", "The address in question; required." },
	END_PARAMETER,
};
static const struct parameter flow_query[] = {
	LIMIT_PARAMETER,
	FAMILY_PARAMETER,
	{ "from", "{\"type\":\"string\"}", "Only packets from that port, or tunnel." },
	{ "src", "{\"type\":\"string\"}", "Only sources in this prefix." },
	{ "dst", "{\"type\":\"string\"}", "Only destinations in this prefix." },
	{ "proto", "{\"type\":\"string\"}",
		"Only this protocol: tcp, udp, sctp, icmp, icmp6 or a number." },
	{ "port", "{\"type\":\"integer\"}", "Only flows with this source or destination port." },
	{ "dropped", "{\"type\":\"boolean\"}", "Only flows whose packets are dropped." },
	END_PARAMETER,
};

#define STATE(path, handler, summary, query)                                           \
	{                                                                              \
		"GET", "/v1/state/" path, handler, summary, query, NULL, NULL, NULL, 0 \
	}

const struct http_endpoint state_endpoints[] = {
	STATE("node", show_node,
		"The daemon: version, uptime, VTEP MAC, objects that are not in force.", NULL),
	STATE("ports", show_ports, "Ports with their counters and what their driver says.",
		port_query),
	STATE("queues", show_queues,
		"Receive queues: the worker that polls each, and its share of that worker's CPU.",
		port_query),
	STATE("offloads", show_offloads,
		"Offloads of NICs: which are in use, what the self-test found, and why one is not "
		"used.",
		port_query),
	STATE("peers", show_peers, "Peers: encapsulation in use, outer addresses, MTU.", NULL),
	STATE("routes", show_routes, "Routes in force, of all sources.", route_query),
	STATE("neighbours", show_neighbours, "Neighbours: ARP and neighbour discovery.",
		neighbour_query),
	STATE("flows", show_flows, "Flow entries, one a direction.", flow_query),
	{ "DELETE", "/v1/state/flows", flush_flows,
		"Forget every flow; each is decided again on its next packet.", NULL, NULL, NULL,
		NULL, 0 },
	STATE("policy-rules", show_policy_rules,
		"Rules of policies in the order of evaluation, with the connections that each "
		"decided; of "
		"staged ones those that they would have decided otherwise.",
		rule_query),
	STATE("policies", show_policy_size,
		"How much there is of policy: rules, identities, programs, memory.", NULL),
	STATE("identity", show_identity,
		"An address as policies see it: kind, namespace, labels, named ports; the "
		"innermost "
		"prefix of a rule or set; of a pod of this node, or the node, the policies that "
		"select it, in order.",
		identity_query),
	{ "POST", "/v1/policy-test", test_policies,
		"Ask the policies in force about connections: a list of {src, dst, proto, port}, "
		"src and dst an address, "
		"or namespace/name of a pod or endpoint. Answers in the same order.",
		NULL, NULL, NULL, NULL, 0 },
	STATE("drops", show_drops,
		"Every reason to drop with its count, and the balance of all packets.", NULL),
	STATE("events", show_events, "Counts of what workers did besides forwarding.", NULL),
	STATE("workers", show_workers, "Workers: CPU, busy share, packets.", NULL),
	STATE("memory", show_memory, "Memory by purpose.", NULL),
	STATE("tables", show_tables, "Fill of the tables, and of the pools of addresses.", NULL),
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0 },
};
