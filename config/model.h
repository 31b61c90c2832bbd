/* SPDX-License-Identifier: Apache-2.0 */
/** The object model: what a node is told. One C struct a type; config/schema.[ch] describes every field once,
 * and the configuration file, the API, the CLI, persistence and their documentation all work from that table.
 *
 * Control thread (and short-lived clients) only. A struct object owns its strings and arrays; after it has been
 * validated it is immutable and shared by reference count.
 */
#ifndef CONFIG_MODEL_H
#define CONFIG_MODEL_H

#include "config/address.h"
#include "config/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which a transaction applies them; removal is in reverse. */
enum object_type {
	OBJECT_NODE, /* exactly one, named by its own `name` */
	OBJECT_NAMESPACE,
	OBJECT_UPLINK,
	OBJECT_POOL,
	OBJECT_PEER,
	OBJECT_SET,
	OBJECT_TIER,
	OBJECT_ENDPOINT,
	OBJECT_POD,
	OBJECT_POLICY,
	OBJECT_ROUTE,
	OBJECT_TYPE_COUNT
};

enum encap { ENCAP_AUTO, ENCAP_VXLAN, ENCAP_IPIP, ENCAP_DIRECT, ENCAP_WIREGUARD };
enum pod_kind { POD_TAP, POD_MEMIF, POD_VHOST };
enum memif_role { MEMIF_SERVER, MEMIF_CLIENT };
enum pod_mode { POD_ETHERNET, POD_IP };
enum route_action { ROUTE_FORWARD, ROUTE_BLACKHOLE, ROUTE_UNREACHABLE, ROUTE_PROHIBIT };
enum uplink_driver { UPLINK_ETHDEV, UPLINK_AF_PACKET, UPLINK_AF_XDP, UPLINK_PCI, UPLINK_MEMIF };
enum xdp_mode { XDP_AUTO, XDP_NATIVE, XDP_GENERIC }; /* AUTO: native where the driver can */
enum tcp_window_mode { TCP_WINDOW_LIBERAL, TCP_WINDOW_STRICT, TCP_WINDOW_OFF };
enum pod_interface {
	POD_INTERFACE_VETH, /* with its other end, and a TAP, in the daemon's namespace */
	POD_INTERFACE_TAP
};
enum kernel_flows_mode { KERNEL_FLOWS_TCP, KERNEL_FLOWS_ALL, KERNEL_FLOWS_OFF };
enum latency_mode { LATENCY_NORMAL, LATENCY_LOW }; /* LOW: workers never sleep */
enum hugepages_mode { HUGEPAGES_AUTO, HUGEPAGES_OFF, HUGEPAGES_REQUIRED };
enum endpoint_kind { ENDPOINT_POD, ENDPOINT_NODE };
enum tier_action { TIER_DENY, TIER_PASS };
enum policy_subject { SUBJECT_PODS, SUBJECT_HOST };
enum policy_on_change { CHANGE_REEVALUATE, CHANGE_KEEP, CHANGE_RESET };
enum rule_action { RULE_ALLOW, RULE_DENY, RULE_PASS, RULE_LOG };
enum rule_ip_version { RULE_IP_ANY, RULE_IP_V4, RULE_IP_V6 };

struct addr_list {
	struct ip_addr *items;
	size_t count;
};
struct prefix_list {
	struct ip_prefix *items;
	size_t count;
};
struct uint_list {
	uint32_t *items;
	size_t count;
};
struct string_list {
	char **items;
	size_t count;
};

/* node: { name = "node-a"; } — settings marked (start) are read once; a change is refused with that reason. */
struct node {
	char *name;
	struct uint_list worker_cpus; /* (start) [] = one worker on the last allowed CPU */
	uint32_t control_cpu;	      /* (start) UINT32_MAX = unpinned */
	uint32_t hugepages;	      /* (start) enum hugepages_mode */
	uint32_t memory_mb;	      /* (start) DPDK memory, MiB; packet buffers come from it */
	uint32_t buffers;	      /* (start) mbufs of 2 KiB */
	uint32_t latency;	      /* enum latency_mode */
	uint32_t pod_interface;	      /* enum pod_interface; of kernel pods attached from now on */
	uint32_t spin_us;	      /* polls so long after a packet before it sleeps */
	uint32_t spin_max_us;	      /* or so long, while most gaps are shorter */
	uint32_t flows;		      /* (start) entries of the flow table for IPv4 */
	uint32_t flows6;	      /* (start) entries of the flow table for IPv6 */
	uint32_t neighbours;	      /* most neighbours resolved or being resolved */
	/* Idle seconds after which a connection is forgotten, by its state; see docs/conntrack.md. */
	uint32_t flow_timeout_s; /* of protocols that have no states */
	uint32_t tcp_syn_timeout_s;
	uint32_t tcp_established_timeout_s;
	uint32_t tcp_fin_timeout_s;
	uint32_t tcp_time_wait_timeout_s;
	uint32_t tcp_closed_timeout_s; /* after a RST; SCTP: after ABORT or SHUTDOWN COMPLETE */
	uint32_t tcp_pickup_timeout_s; /* picked up, and only one direction seen yet */
	uint32_t udp_unreplied_timeout_s;
	uint32_t udp_replied_timeout_s;
	uint32_t icmp_timeout_s;
	uint32_t sctp_init_timeout_s;
	uint32_t sctp_established_timeout_s;
	uint32_t sctp_shutdown_timeout_s;
	uint32_t tcp_window;	     /* enum tcp_window_mode */
	bool tcp_pickup;	     /* TCP of no known connection makes one */
	uint32_t tcp_pickup_grace_s; /* after a start, although tcp_pickup is off */
	uint32_t kernel_flows;	     /* enum kernel_flows_mode */
	uint32_t
		half_open_max; /* half open connections of a pod; 0 = an eighth of the flow table */
	struct mac_addr vtep_mac;	 /* zero = derived from the name */
	uint32_t vxlan_vni;		 /* default of peers; 1 = flannel, 4096 = Calico */
	uint32_t vxlan_port;		 /* default of peers, UDP; 8472 or 4789 */
	bool vxlan_udp6_checksum;	 /* false = zero checksum over IPv6, RFC 6935 */
	bool mss_clamp;			 /* lower TCP MSS to the path's MTU */
	struct ip_addr gateway;		 /* what pods see as next hop; 169.254.1.1 */
	struct ip_addr gateway6;	 /* fe80::1 */
	struct mac_addr gateway_mac;	 /* answered for both; 02:70:6f:64:6c:01 */
	char *host_interface;		 /* "podlane0"; "" = no host port */
	struct addr_list host_addresses; /* of the host port */
	uint32_t icmp_rate;		 /* ICMP errors a second a worker */
	char *log_level;		 /* "error" .. "debug" */
	char *metrics_listen;		 /* "127.0.0.1:9099"; "" = off */
	struct string_list
		labels; /* of the node as an endpoint: host policies, and nodes as peers */
	struct string_list failsafe_in; /* "22/tcp": what host policies never deny */
	struct string_list failsafe_out;
};

/* Where pods and policies live; a namespace that no object describes has just the label
 * kubernetes.io/metadata.name=NAME, which all have. */
struct namespace
{
	char *name;
	struct string_list labels; /* "key=value" */
};

/* uplinks: ( { name = "eth0"; driver = "af_packet"; device = "eth0"; addresses = [ "192.0.2.1/24" ]; } ) */
struct uplink {
	char *name;
	uint32_t driver; /* enum uplink_driver */
	char *device; /* interface name, PCI address, path of a memif socket, or a DPDK device string */
	struct prefix_list
		addresses;   /* of this node on that network, host bits set; af_xdp, or with
	                                 * kernel_interface: [] = the kernel's */
	struct mac_addr mac; /* zero = the device's own */
	uint32_t mtu;	     /* IP bytes; 1500 */
	uint32_t vlan;	     /* 802.1Q id; 0 = untagged */
	uint32_t queues;     /* 0 = one a worker; af_xdp: as many as the device has */
	uint32_t xdp_mode;   /* af_xdp: enum xdp_mode */
	struct string_list disabled_offloads; /* pci, ethdev: names, or "all" */
	char *kernel_interface; /* pci, ethdev: TAP that the kernel gets in exchange; "" = none */
	uint32_t role;		/* memif: enum memif_role */
	uint32_t memif_id;	/* memif: interface id on the socket */
	uint32_t ring_size;	/* memif: power of two, 1024 */
	char *secret;		/* memif, up to 24 bytes; "" = none */
};

struct pool {
	char *name;
	struct ip_prefix cidr;
};

struct peer {
	char *name;
	struct addr_list underlay; /* one address a family */
	struct prefix_list pod_cidrs;
	uint32_t encap;		  /* enum encap */
	struct mac_addr vtep_mac; /* needed where VXLAN is possible ("vxlan", "auto") */
	uint32_t vni;		  /* 0 = node.vxlan_vni */
	uint32_t port;		  /* 0 = node.vxlan_port */
	uint32_t mtu;		  /* of the underlay path, IP bytes; 0 = the uplink's */
};

struct pod {
	char *name;
	uint32_t kind;		    /* enum pod_kind */
	struct addr_list addresses; /* [] = one from a pool of each family */
	struct mac_addr
		mac; /* tap: zero = derived from the name; others: zero = learned by ARP/ND, unused with
					 * POD_IP */
	char *netns;	    /* tap: name under /run/netns, or a path */
	char *interface;    /* tap: "eth0" */
	uint32_t role;	    /* memif, vhost: enum memif_role, ours */
	uint32_t mode;	    /* memif: enum pod_mode */
	char *socket;	    /* memif, vhost: path of the socket to listen on, or to connect to */
	uint32_t memif_id;  /* memif: interface id on that socket */
	uint32_t queues;    /* 0 = one a worker */
	uint32_t ring_size; /* memif: power of two, 1024 */
	uint32_t mtu;	    /* 0 = from the calculator */
	char *secret;	    /* memif, up to 24 bytes; "" = none */
	/* Limits, as the pod sees it: ingress is what it receives. 0 = none; a burst of 0 follows from the rate. */
	uint32_t ingress_rate_kbps; /* 1000 bits a second */
	uint32_t ingress_burst_kbit;
	uint32_t ingress_rate_pps;
	uint32_t ingress_burst_packets;
	uint32_t egress_rate_kbps;
	uint32_t egress_burst_kbit;
	uint32_t egress_rate_pps;
	uint32_t egress_burst_packets;
	uint32_t worker;	   /* of all its queues; UINT32_MAX = by load */
	uint32_t connections_max;  /* open at a time, both ways; 0 = no limit */
	char *namespace;	   /* "default" */
	struct string_list labels; /* "key=value" */
	struct string_list ports;  /* named ports, "http=80/tcp" */
};

/* A pod or node elsewhere in the cluster, known to policies by its addresses. */
struct endpoint {
	char *name;
	uint32_t kind;	 /* enum endpoint_kind */
	char *namespace; /* of a pod: "default" */
	struct string_list labels;
	struct addr_list addresses;
	struct string_list ports;
};

/* Addresses with labels, or for rules that name it (Calico's NetworkSet). */
struct set {
	char *name;
	char *namespace; /* "" = none: global */
	struct string_list labels;
	struct prefix_list cidrs;
};

/* A group of policies. "default" exists without an object: order 1000000, deny. */
struct tier {
	char *name;
	uint32_t order; /* lower first, then by name */
	uint32_t
		default_action; /* enum tier_action: of endpoints that a policy of the tier selects */
};

/* One end of a rule. Everything given must hold. */
struct policy_end {
	char *selector;	    /* over labels of endpoints and sets; "" = any */
	char *not_selector; /* must not match; "" = none */
	char *namespaces;   /* selector over labels of namespaces; "" = see struct policy */
	char *nodes;	    /* selector over endpoints of kind node; "" = not used */
	struct prefix_list cidrs, not_cidrs;
	struct string_list sets;	     /* names: any of them */
	struct string_list ports, not_ports; /* "80", "8000:8080", "http" */
};
struct policy_rule {
	char *name;
	uint32_t action; /* enum rule_action */
	char *protocol,
		*not_protocol; /* "tcp", "udp", "sctp", "icmp", "icmpv6", "1".."255"; "" = any */
	uint32_t ip_version;   /* enum rule_ip_version */
	uint32_t icmp_type, icmp_code, not_icmp_type, not_icmp_code; /* UINT32_MAX = not given */
	struct policy_end source, destination;
};

/* policies: ( { name = "db"; namespace = "main"; selector = "app == 'db'"; ingress = ( { source = "app == 'web'";
 * protocol = "tcp"; destination_ports = [ "5432" ]; } ); } ) */
struct policy {
	char *name;
	char *namespace; /* "" = of all namespaces; else its selectors mean that namespace, unless they say
					 * others */
	char *tier;		  /* "default" */
	uint32_t order;		  /* lower first, then by name */
	uint32_t subject;	  /* enum policy_subject */
	char *selector;		  /* of the pods it is about; "" = all */
	char *namespace_selector; /* of their namespaces, when namespace is ""; "" = all */
	struct string_list
		types;	/* "ingress", "egress"; [] = those with rules, and ingress if none has */
	bool staged;	/* judged and counted, never decides */
	bool stateless; /* subject host: before connections are tracked */
	uint32_t on_change; /* enum policy_on_change */
	struct policy_rule *ingress;
	size_t ingress_count;
	struct policy_rule *egress;
	size_t egress_count;
};

struct route_via {
	struct ip_addr address; /* next hop, or family IP_NONE */
	char *peer;		/* name, or "" */
	char *uplink;		/* name, or ""; needed with a link-local address */
	char *pod;		/* name, or "": routed through a pod (gateway pods) */
	uint32_t weight;	/* 1..255 */
};

/* routes: ( { prefix = "0.0.0.0/0"; via = ( { address = "192.0.2.254"; } ); } ) — the prefix text is its name. */
struct route {
	struct ip_prefix prefix;
	uint32_t action;       /* enum route_action */
	struct route_via *via; /* 1..16 when action is ROUTE_FORWARD */
	size_t via_count;
};

/** One object of any type. `origin` says who owns it. Objects come from config/schema.h (object_from_json and the
 * loaders); each is one block of memory, strings and lists included, cut to the size of its type: never copy one by
 * assignment. */
enum object_origin { ORIGIN_FILE, ORIGIN_API };
struct object {
	enum object_type type;
	enum object_origin origin;
	uint32_t refs;	  /* control thread only, not atomic */
	unsigned line;	  /* in file, from 1; 0 = unknown */
	uint64_t row;	  /* where the state store keeps the object of this name; 0 = nowhere yet */
	char *name;	  /* key within the type; routes: canonical prefix text */
	const char *file; /* where it was read, NULL for the API; shared, lives for ever */
	union {
		struct node node;
		struct uplink uplink;
		struct pool pool;
		struct peer peer;
		struct pod pod;
		struct route route;
		struct namespace namespace;
		struct endpoint endpoint;
		struct set set;
		struct tier tier;
		struct policy policy;
	};
};

struct object *object_ref(struct object *obj);
/** Drop a reference; the last one frees the object. NULL is allowed. */
void object_unref(struct object *obj);
/** The same type and the same value in every field. Origin, file and line do not count. */
bool object_equal(const struct object *a, const struct object *b);
/** Say where an object comes from. The file name is copied once a process; NULL = none. 0 or -ENOMEM. */
int object_set_source(
	struct object *obj, enum object_origin origin, const char *file, unsigned line);

/** A consistent set of objects: a hash by (type, name), ordered listing by name. */
struct model;
struct model *model_new(void); /* NULL when out of memory */
void model_free(struct model *model);
/** The object, without a reference of its own, or NULL. name NULL finds the node. */
struct object *model_find(const struct model *model, enum object_type type, const char *name);
size_t model_count(const struct model *model, enum object_type type);
/** Walk in the order of names (bytes); stops when visit returns non-zero and returns that. The model must not be
 * edited meanwhile. The first walk after edits sorts: 1 M new names cost about half a second, one costs well under
 * a millisecond. */
int model_each(const struct model *model, enum object_type type,
	int (*visit)(const struct object *obj, void *arg), void *arg);

/** One edit of a model. before == NULL: added; after == NULL: removed. */
struct change {
	struct object *before;
	struct object *after;
};

/** A batch of edits against a model that is not touched until model_apply. Later edits of a name replace earlier
 * ones; an edit that changes nothing (object_equal) vanishes. A set outlives commits of other sets to its model: `before`
 * always is what the model has now. It must not outlive the model. */
struct changeset;
struct changeset *changeset_new(const struct model *base); /* NULL when out of memory */
void changeset_free(struct changeset *set);
/** Make room for that many more edits: spares a large set its growing in steps. @return 0 or -ENOMEM. */
int changeset_reserve(struct changeset *set, size_t more);
/** A hint that this name will be put or deleted a few calls later. Changes nothing. */
void changeset_expect(const struct changeset *set, enum object_type type, const char *name);
/** Add or replace an object, which gets the row of the one before it. Takes the reference, also on failure. @return 0 or
 * -ENOMEM. */
int changeset_put(struct changeset *set, struct object *obj, struct error *err);
/** @return 0, -ENOENT when neither the base nor the set has it, -ENOMEM. */
int changeset_delete(
	struct changeset *set, enum object_type type, const char *name, struct error *err);
/** What base with the edits looks like at a name. name NULL finds the node. No reference of its own. */
struct object *changeset_find(const struct changeset *set, enum object_type type, const char *name);
/** Objects of a type there will be. */
size_t changeset_count(const struct changeset *set, enum object_type type);
/** Edits in apply order: removals in reverse type order first, then additions and changes in type order.
 * The array belongs to the set and is good until its next edit or the next commit to the model. */
const struct change *changeset_changes(const struct changeset *set, size_t *count);
/** Check what the single objects cannot know: unique addresses, overlaps, references, encapsulation against VTEP
 * MACs and families, pool membership, settings that need a restart. Cost is proportional to the edits (and log of the
 * model), not the model. @return 0 or -EINVAL; err carries the file and line of the object at fault. */
int changeset_validate(const struct changeset *set, struct error *err);
/** Make the edits of a set that changeset_validate accepted; cannot fail. The set stays the caller's to free. `undo` (may
 * be NULL) receives a set that reverts them. */
void model_apply(struct model *model, struct changeset *set, struct changeset **undo);

#endif
