/* SPDX-License-Identifier: Apache-2.0 */
/* Relations between the fields of one object. What spans objects is validate.c. */
#include "config/object.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define IPV6_MTU_MIN	   1280 /* RFC 8200 section 5 */
#define MEMIF_PATH_MAX	   107	/* what sockaddr_un holds */
#define INTERFACE_NAME_MAX 15

static bool addresses_have(const struct addr_list *list, uint8_t family)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].family == family)
			return true;
	}
	return false;
}

static bool prefixes_have(const struct prefix_list *list, uint8_t family)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].addr.family == family)
			return true;
	}
	return false;
}

int node_check(struct object *obj, struct error *err)
{
	const struct node *node = &obj->node;
	uint64_t needed_mb = (uint64_t)node->buffers * 3 / 1024;

	if (needed_mb > node->memory_mb)
		return object_error(obj, err, "memory_mb",
			"%u buffers need about %ju MiB: raise memory_mb from %u or lower buffers",
			node->buffers, (uintmax_t)needed_mb, node->memory_mb);
	if (labels_check(obj, &node->labels, err) < 0)
		return -EINVAL;
	for (size_t i = 0; i < node->worker_cpus.count; i++) {
		if (node->worker_cpus.items[i] == node->control_cpu)
			return object_error(obj, err, "control_cpu",
				"CPU %u is also in worker_cpus: a worker needs a CPU of its own, "
				"choose another",
				node->control_cpu);
	}
	if (node->host_interface[0] == '\0' && node->host_addresses.count > 0)
		return object_error(obj, err, "host_addresses",
			"host_interface is empty, so there is nothing to carry host_addresses: "
			"name an interface or remove them");
	for (size_t i = 0; i < node->host_addresses.count; i++) {
		const struct ip_addr *addr = &node->host_addresses.items[i];
		char text[IP_TEXT_MAX];

		if (ip_addr_equal(addr, &node->gateway) || ip_addr_equal(addr, &node->gateway6))
			return object_error(obj, err, "host_addresses",
				"%s is the gateway that pods see: give the host another address",
				ip_addr_format(addr, text));
	}
	return 0;
}

static bool is_pci_address(const char *text)
{
	unsigned domain, bus, device, function;
	int used = 0;

	return strlen(text) == 12 &&
	       sscanf(text, "%4x:%2x:%2x.%1u%n", &domain, &bus, &device, &function, &used) == 4 &&
	       used == 12;
}

static bool is_interface_name(const char *text)
{
	if (strlen(text) > INTERFACE_NAME_MAX || strpbrk(text, "/: \t") != NULL)
		return false;
	return strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static int ring_size_check(const struct object *obj, uint32_t size, struct error *err)
{
	if ((size & (size - 1)) == 0)
		return 0;
	return object_error(obj, err, "ring_size",
		"ring_size %u is not a power of two: write 512, 1024 or 2048", size);
}

static int memif_uplink_check(const struct object *obj, struct error *err)
{
	const struct uplink *uplink = &obj->uplink;
	size_t len = strlen(uplink->device);

	if (uplink->device[0] != '/' || len > MEMIF_PATH_MAX || uplink->device[len - 1] == '/')
		return object_error(obj, err, "device",
			"device is not the path of a memif socket: write an absolute path of at "
			"most %d bytes",
			MEMIF_PATH_MAX);
	return ring_size_check(obj, uplink->ring_size, err);
}

/* What only memif uplinks have. */
static int not_memif_uplink_check(const struct object *obj, struct error *err)
{
	const struct uplink *uplink = &obj->uplink, *fresh = &object_default(OBJECT_UPLINK)->uplink;
	const char *extra = uplink->role != fresh->role		    ? "role"
			    : uplink->memif_id != fresh->memif_id   ? "memif_id"
			    : uplink->ring_size != fresh->ring_size ? "ring_size"
			    : uplink->secret[0] != '\0'		    ? "secret"
								    : NULL;

	if (extra == NULL)
		return 0;
	return object_error(obj, err, extra,
		"%s is for memif uplinks: remove it or set driver to memif", extra);
}

static int vlan_check(const struct object *obj, struct error *err)
{
	const struct uplink *uplink = &obj->uplink;
	char name[64];

	if (uplink->vlan == 0)
		return 0;
	if (uplink->driver == UPLINK_AF_XDP)
		return object_error(obj, err, "vlan",
			"an XDP program cannot rely on seeing VLAN tags: leave vlan out, make a "
			"VLAN interface (ip link add link %s name %s.%u type vlan id %u) and write "
			"that as device",
			uplink->device, uplink->device, uplink->vlan, uplink->vlan);
	if (uplink->kernel_interface[0] != '\0' &&
		snprintf(name, sizeof(name), "%s.%u", uplink->kernel_interface, uplink->vlan) >
			INTERFACE_NAME_MAX)
		return object_error(obj, err, "kernel_interface",
			"the kernel's interface of VLAN %u would be called %s, and names have at "
			"most %d bytes: shorten kernel_interface",
			uplink->vlan, name, INTERFACE_NAME_MAX);
	return 0;
}

int uplink_check(struct object *obj, struct error *err)
{
	const struct uplink *uplink = &obj->uplink;
	char shown[LABEL_MAX];
	int ret = uplink->driver == UPLINK_MEMIF ? memif_uplink_check(obj, err)
						 : not_memif_uplink_check(obj, err);

	if (ret < 0)
		return ret;
	message_text(uplink->device, shown);
	switch ((enum uplink_driver)uplink->driver) {
	case UPLINK_AF_PACKET:
	case UPLINK_AF_XDP:
		if (!is_interface_name(uplink->device))
			return object_error(obj, err, "device",
				"\"%s\" is not the name of a network interface: write one of at "
				"most 15 bytes such as \"eth0\"",
				shown);
		break;
	case UPLINK_PCI:
		if (!is_pci_address(uplink->device))
			return object_error(obj, err, "device",
				"\"%s\" is not a PCI address: write one such as \"0000:01:00.0\"",
				shown);
		break;
	case UPLINK_ETHDEV:
	case UPLINK_MEMIF:
		break;
	}
	if (uplink->kernel_interface[0] != '\0' && uplink->driver != UPLINK_PCI &&
		uplink->driver != UPLINK_ETHDEV)
		return object_error(obj, err, "kernel_interface",
			"kernel_interface is for drivers \"pci\" and \"ethdev\", which take the "
			"device from the kernel: remove it");
	if (uplink->disabled_offloads.count > 0 && uplink->driver != UPLINK_PCI &&
		uplink->driver != UPLINK_ETHDEV)
		return object_error(obj, err, "disabled_offloads",
			"disabled_offloads is for drivers \"pci\" and \"ethdev\", which have the "
			"NIC's: "
			"remove it, and use `ethtool -K` on the interface");
	if (uplink->driver != UPLINK_AF_XDP && uplink->kernel_interface[0] == '\0' &&
		uplink->addresses.count == 0)
		return object_error(obj, err, "addresses",
			"addresses is missing: write this node's addresses on that network, such "
			"as "
			"[ \"192.0.2.1/24\" ]");
	if (uplink->driver == UPLINK_AF_XDP && uplink->queues != 0)
		return object_error(obj, err, "queues",
			"af_xdp serves every receive queue of the device: leave queues out, and "
			"set their "
			"number with `ethtool -L`");
	if (uplink->driver != UPLINK_AF_XDP && uplink->xdp_mode != XDP_AUTO)
		return object_error(
			obj, err, "xdp_mode", "xdp_mode is for driver \"af_xdp\" only: remove it");
	if (uplink->mtu < IPV6_MTU_MIN && prefixes_have(&uplink->addresses, IP_V6))
		return object_error(obj, err, "mtu",
			"mtu %u is too small for IPv6: write at least %u or remove the IPv6 "
			"addresses",
			uplink->mtu, IPV6_MTU_MIN);
	return vlan_check(obj, err);
}

int pool_check(struct object *obj, struct error *err)
{
	const struct ip_prefix *cidr = &obj->pool.cidr;
	unsigned longest = cidr->addr.family == IP_V4 ? 30 : 126;
	char text[PREFIX_TEXT_MAX];

	ip_prefix_format(cidr, text);
	if (ip_addr_is_link_local(&cidr->addr))
		return object_error(obj, err, "cidr",
			"%s is link-local, which is not routed: write a prefix that peers can "
			"reach",
			text);
	if (cidr->len > longest)
		return object_error(obj, err, "cidr",
			"%s has no room for pods: write a length of at most %u", text, longest);
	if (cidr->len < 8)
		return object_error(obj, err, "cidr",
			"%s is too much for one node: write a length of at least 8", text);
	return 0;
}

int peer_check(struct object *obj, struct error *err)
{
	const struct peer *peer = &obj->peer;
	const char *encap = schema_field(&object_schemas[OBJECT_PEER], "encap")->names[peer->encap];
	bool ipv6 =
		addresses_have(&peer->underlay, IP_V6) || prefixes_have(&peer->pod_cidrs, IP_V6);

	if (peer->encap == ENCAP_WIREGUARD)
		return object_error(obj, err, "encap",
			"wireguard is not available in this version: use auto, vxlan, ipip or "
			"direct");
	if (peer->underlay.count == 2 &&
		peer->underlay.items[0].family == peer->underlay.items[1].family)
		return object_error(obj, err, "underlay",
			"underlay has two IPv%u addresses: keep one a family",
			peer->underlay.items[0].family);
	for (size_t i = 0; i < peer->underlay.count; i++) {
		if (ip_addr_is_link_local(&peer->underlay.items[i]))
			return object_error(obj, err, "underlay",
				"underlay has a link-local address, which cannot end a tunnel: "
				"write a routable one");
	}
	if (mac_addr_is_zero(&peer->vtep_mac)) {
		if (peer->encap == ENCAP_VXLAN)
			return object_error(obj, err, "vtep_mac",
				"vtep_mac is missing: encap \"%s\" needs it", encap);
		if (peer->encap == ENCAP_AUTO)
			return object_error(obj, err, "vtep_mac",
				"vtep_mac is missing: encap \"auto\" may choose vxlan and needs "
				"it; write it, or set encap to ipip or direct");
	}
	if (peer->encap == ENCAP_IPIP || peer->encap == ENCAP_DIRECT) {
		const char *extra = peer->vni != 0 ? "vni" : peer->port != 0 ? "port" : NULL;

		if (extra != NULL)
			return object_error(obj, err, extra,
				"%s is for VXLAN, but encap is \"%s\": remove one of them", extra,
				encap);
	}
	if (peer->mtu != 0 && peer->mtu < IPV6_MTU_MIN && ipv6)
		return object_error(obj, err, "mtu",
			"mtu %u is too small for IPv6: write at least %u or remove the IPv6 "
			"addresses",
			peer->mtu, IPV6_MTU_MIN);
	for (size_t i = 0; i < peer->pod_cidrs.count; i++) {
		char text[PREFIX_TEXT_MAX], field[40];

		snprintf(field, sizeof(field), "pod_cidrs/%zu", i);
		ip_prefix_format(&peer->pod_cidrs.items[i], text);
		if (peer->pod_cidrs.items[i].len == 0)
			return object_error(obj, err, field,
				"%s sends everything to one peer: use a route via the peer for "
				"that",
				text);
		if (ip_addr_is_link_local(&peer->pod_cidrs.items[i].addr))
			return object_error(obj, err, field,
				"%s is link-local, which is not routed: write the peer's pod "
				"addresses",
				text);
	}
	return 0;
}

/** What of a pod was written, though only other kinds have it: its name, or NULL. */
static const char *pod_extra(const struct pod *pod)
{
	const struct pod *fresh = &object_default(OBJECT_POD)->pod;
	bool tap = pod->kind == POD_TAP, memif = pod->kind == POD_MEMIF;

	if (!tap && pod->netns[0] != '\0')
		return "netns";
	if (!tap && strcmp(pod->interface, fresh->interface) != 0)
		return "interface";
	if (tap && pod->socket[0] != '\0')
		return "socket";
	if (tap && pod->role != fresh->role)
		return "role";
	if (!memif && pod->mode != fresh->mode)
		return "mode";
	if (!memif && pod->secret[0] != '\0')
		return "secret";
	if (!memif && pod->memif_id != fresh->memif_id)
		return "memif_id";
	return !memif && pod->ring_size != fresh->ring_size ? "ring_size" : NULL;
}

/** Of which kinds a field is, for a message. */
static const char *field_kinds(const char *field)
{
	if (strcmp(field, "netns") == 0 || strcmp(field, "interface") == 0)
		return "tap";
	return strcmp(field, "socket") == 0 || strcmp(field, "role") == 0 ? "memif and vhost"
									  : "memif";
}

static int pod_kind_check(const struct object *obj, struct error *err)
{
	const struct pod *pod = &obj->pod;
	const char *extra = pod_extra(pod);

	if (pod->kind == POD_TAP && pod->netns[0] == '\0')
		return object_error(obj, err, "netns",
			"netns is missing: a tap pod needs its network namespace");
	if (pod->kind != POD_TAP && pod->socket[0] == '\0')
		return object_error(obj, err, "socket",
			"socket is missing: a %s pod is reached through it",
			pod->kind == POD_MEMIF ? "memif" : "vhost");
	if (extra != NULL) {
		const char *kinds = field_kinds(extra);

		return object_error(obj, err, extra,
			"%s is for %s pods: remove it or set kind to %s", extra, kinds,
			strcmp(kinds, "memif and vhost") == 0 ? "memif or vhost" : kinds);
	}
	if (pod->mode == POD_IP && !mac_addr_is_zero(&pod->mac))
		return object_error(obj, err, "mac",
			"mode is ip, which has no MAC addresses: remove mac or set mode to "
			"ethernet");
	return pod->kind == POD_MEMIF ? ring_size_check(obj, pod->ring_size, err) : 0;
}

/** A burst says nothing without the rate that it belongs to. */
static int bursts_check(struct object *obj, struct error *err)
{
	const struct pod *pod = &obj->pod;
	const struct {
		const char *burst_name, *rate_name;
		uint32_t burst, rate;
	} pairs[] = {
		{ "ingress_burst_kbit", "ingress_rate_kbps", pod->ingress_burst_kbit,
			pod->ingress_rate_kbps },
		{ "ingress_burst_packets", "ingress_rate_pps", pod->ingress_burst_packets,
			pod->ingress_rate_pps },
		{ "egress_burst_kbit", "egress_rate_kbps", pod->egress_burst_kbit,
			pod->egress_rate_kbps },
		{ "egress_burst_packets", "egress_rate_pps", pod->egress_burst_packets,
			pod->egress_rate_pps },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (pairs[i].burst != 0 && pairs[i].rate == 0)
			return object_error(obj, err, pairs[i].burst_name,
				"%s is %u, but there is no %s for it to go beyond: set %s, or "
				"leave the burst out",
				pairs[i].burst_name, pairs[i].burst, pairs[i].rate_name,
				pairs[i].rate_name);
	}
	return 0;
}

int pod_check(struct object *obj, struct error *err)
{
	const struct pod *pod = &obj->pod;
	int ret = pod_kind_check(obj, err);

	if (ret == 0)
		ret = bursts_check(obj, err);
	if (ret == 0)
		ret = labels_check(obj, &pod->labels, err);
	if (ret == 0)
		ret = named_ports_check(obj, &pod->ports, err);
	if (ret < 0)
		return ret;
	if (pod->mtu != 0 && pod->mtu < IPV6_MTU_MIN && addresses_have(&pod->addresses, IP_V6))
		return object_error(obj, err, "mtu",
			"mtu %u is too small for IPv6: write at least %u or remove the IPv6 "
			"addresses",
			pod->mtu, IPV6_MTU_MIN);
	return 0;
}

static int via_check(const struct object *obj, size_t i, struct error *err)
{
	const struct route_via *via = &obj->route.via[i];
	bool address = via->address.family != IP_NONE, peer = via->peer[0] != '\0',
	     pod = via->pod[0] != '\0';
	bool uplink = via->uplink[0] != '\0';
	char field[40], text[IP_TEXT_MAX];

	/* Texts only for a refusal: a million routes notice. */
	if (address + peer + pod == 1 && (!uplink || address) &&
		(!address || (via->address.family == obj->route.prefix.addr.family &&
				     (uplink || !ip_addr_is_link_local(&via->address)))))
		return 0;
	snprintf(field, sizeof(field), "via/%zu", i);
	if (address + peer + pod > 1)
		return object_error(obj, err, field,
			"%s names %s: a next hop is one of an address, a peer and a pod, so write "
			"several",
			field,
			address && peer && pod ? "an address, a peer and a pod"
			: address && peer      ? "an address and a peer"
			: address	       ? "an address and a pod"
					       : "a peer and a pod");
	if (address + peer + pod == 0)
		return object_error(obj, err, field,
			uplink ? "%s names only an uplink: add the address of the next hop on it"
			       : "%s is empty: give it an address, a peer or a pod",
			field);
	if (uplink && !address) {
		snprintf(field, sizeof(field), "via/%zu/uplink", i);
		return object_error(
			obj, err, field, "%s goes with an address only: remove it", field);
	}
	snprintf(field, sizeof(field), "via/%zu/address", i);
	ip_addr_format(&via->address, text);
	if (via->address.family != obj->route.prefix.addr.family)
		return object_error(obj, err, field,
			"%s is IPv%u: an IPv%u route needs an IPv%u next hop", text,
			via->address.family, obj->route.prefix.addr.family,
			obj->route.prefix.addr.family);
	return object_error(obj, err, field, "%s is link-local: add the uplink it is on", text);
}

static bool via_same(const struct route_via *a, const struct route_via *b)
{
	return ip_addr_equal(&a->address, &b->address) && strcmp(a->peer, b->peer) == 0 &&
	       strcmp(a->pod, b->pod) == 0 && strcmp(a->uplink, b->uplink) == 0;
}

int route_check(struct object *obj, struct error *err)
{
	const struct route *route = &obj->route;
	const char *action =
		schema_field(&object_schemas[OBJECT_ROUTE], "action")->names[route->action];
	char field[40];
	int ret;

	if (route->action != ROUTE_FORWARD && route->via_count > 0)
		return object_error(obj, err, "via",
			"action \"%s\" drops packets: remove via or set action to forward", action);
	if (route->action == ROUTE_FORWARD && route->via_count == 0)
		return object_error(obj, err, "via",
			"via is missing: action \"forward\" needs a next hop, for example ( { "
			"address = \"192.0.2.254\"; } )");
	if (ip_addr_is_link_local(&route->prefix.addr) && route->prefix.len >= 10)
		return object_error(obj, err, "prefix",
			"link-local destinations are not routed: remove the route");
	for (size_t i = 0; i < route->via_count; i++) {
		ret = via_check(obj, i, err);
		if (ret < 0)
			return ret;
		for (size_t j = 0; j < i; j++) {
			if (!via_same(&route->via[i], &route->via[j]))
				continue;
			snprintf(field, sizeof(field), "via/%zu", i);
			return object_error(obj, err, field,
				"%s is the same next hop as via/%zu: raise the weight of one "
				"instead",
				field, j);
		}
	}
	return 0;
}
