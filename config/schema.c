/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include "config/object.h"

#include <assert.h>

static const char *const hugepages_names[] = { "auto", "off", "required", NULL };
static const char *const tcp_window_names[] = { "liberal", "strict", "off", NULL };
static const char *const kernel_flows_names[] = { "tcp", "all", "off", NULL };
static const char *const pod_interface_names[] = { "veth", "tap", NULL };
static const char *const latency_names[] = { "normal", "low", NULL };
static const char *const log_level_names[] = { "error", "warning", "info", "debug", NULL };
static const char *const xdp_mode_names[] = { "auto", "native", "generic", NULL };
static const char *const driver_names[] = { "ethdev", "af_packet", "af_xdp", "pci", "memif", NULL };
static const char *const encap_names[] = { "auto", "vxlan", "ipip", "direct", "wireguard", NULL };
static const char *const role_names[] = { "server", "client", NULL };
static const char *const mode_names[] = { "ethernet", "ip", NULL };
static const char *const pod_kind_names[] = { "tap", "memif", "vhost", NULL };
static const char *const action_names[] = { "forward", "blackhole", "unreachable", "prohibit",
	NULL };

static const char *const endpoint_kind_names[] = { "pod", "node", NULL };
static const char *const tier_action_names[] = { "deny", "pass", NULL };
static const char *const subject_names[] = { "pods", "host", NULL };
static const char *const on_change_names[] = { "reevaluate", "keep", "reset", NULL };
static const char *const rule_action_names[] = { "allow", "deny", "pass", "log", NULL };
static const char *const rule_ip_names[] = { "any", "4", "6", NULL };
/* Those of dataplane/nic_offloads.c; a test holds them together. */
static const char *const nic_offload_names[] = { "all", "rx-checksum", "tx-checksum",
	"tx-segmentation", "tx-vxlan-checksum", "tx-vxlan-segmentation", "tx-ipip-checksum",
	"tx-ipip-segmentation", "tx-outer-udp-checksum", NULL };
static const char *const policy_type_names[] = { "ingress", "egress", NULL };

#define RATE_KBPS_MAX 1000000000u /* 1 Tbit/s */
#define RATE_PPS_MAX  1000000000u

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One line says where a field is; the rest of an entry reads as the documentation does. */
#define AT(type, member) .name = #member, .offset = offsetof(struct type, member)
#define NAME_FIELD(type, text_doc, text_example)                                           \
	{                                                                                  \
		AT(type, name), .kind = FIELD_STRING, .flags = FIELD_KEY | FIELD_REQUIRED, \
				.text = TEXT_NAME, .min = 1, .max = OBJECT_NAME_MAX,       \
				.doc = (text_doc), .example = (text_example)               \
	}

#define LONG_NAME_FIELD(type, text_doc, text_example)                                      \
	{                                                                                  \
		AT(type, name), .kind = FIELD_STRING, .flags = FIELD_KEY | FIELD_REQUIRED, \
				.text = TEXT_NAME, .min = 1, .max = OBJECT_LONG_NAME_MAX,  \
				.doc = (text_doc), .example = (text_example)               \
	}
#define LABELS_FIELD(type, text_doc)                                                     \
	{                                                                                \
		AT(type, labels), .kind = FIELD_STRINGS, .text = TEXT_LABEL, .max = 256, \
				  .doc = (text_doc), .example = "app=web"                \
	}
#define PORTS_FIELD(type)                                                                    \
	{                                                                                    \
		AT(type, ports),                                                             \
			.kind = FIELD_STRINGS, .text = TEXT_NAMED_PORT, .max = 256,          \
			.doc = "Named ports, for rules that name them: NAME=PORT/PROTOCOL.", \
			.example = "http=80/tcp"                                             \
	}
#define NAMED(type, member, key) .name = (key), .offset = offsetof(struct type, member)
#define SELECTOR(type, member, key) \
	NAMED(type, member, key), .kind = FIELD_STRING, .text = TEXT_SELECTOR, .max = 4096

static const struct field node_fields[] = {
	{ AT(node, name), .kind = FIELD_STRING, .flags = FIELD_KEY | FIELD_REQUIRED | FIELD_START,
		.text = TEXT_NAME, .min = 1, .max = OBJECT_NAME_MAX,
		.doc = "Name of this node, as its peers know it.", .example = "node-a" },
	{ AT(node, worker_cpus), .kind = FIELD_UINTS, .flags = FIELD_START, .max = NODE_WORKERS_MAX,
		.doc = "CPUs for packet workers, one worker each; empty means one worker on the "
		       "last CPU the process may use.",
		.example = "2, 3" },
	{ AT(node, control_cpu), .kind = FIELD_UINT, .flags = FIELD_START | FIELD_OPTIONAL,
		.max = CPU_NUMBER_MAX, .doc = "CPU of the control thread; left out means any CPU.",
		.example = "0" },
	{ AT(node, hugepages), .kind = FIELD_ENUM, .flags = FIELD_START, .names = hugepages_names,
		.default_text = "auto",
		.doc = "Use 2 MiB pages when there are enough (auto), never (off), or refuse to "
		       "start without (required).",
		.example = "required" },
	{ AT(node, memory_mb), .kind = FIELD_UINT, .flags = FIELD_START, .min = 64, .max = 1048576,
		.default_text = "256", .doc = "Memory for packet buffers and device rings, MiB.",
		.example = "1024" },
	{ AT(node, buffers), .kind = FIELD_UINT, .flags = FIELD_START, .min = 2048, .max = 16777216,
		.default_text = "32768",
		.doc = "Packet buffers of 2 KiB; about 3 KiB of memory_mb each.",
		.example = "131072" },
	{ AT(node, latency), .kind = FIELD_ENUM, .names = latency_names, .default_text = "normal",
		.doc = "With low, workers never sleep and use a whole CPU each.",
		.example = "low" },
	{ AT(node, pod_interface), .kind = FIELD_ENUM, .names = pod_interface_names,
		.default_text = "veth",
		.doc = "What the interface of a kernel pod is: one end of a veth pair, so that the "
		       "kernel can forward known flows by itself, or a TAP (which it is as well "
		       "where "
		       "the kernel lacks what veth needs). For pods attached from now on; those "
		       "there "
		       "keep what they have.",
		.example = "tap" },
	{ AT(node, spin_us), .kind = FIELD_UINT, .max = 1000000, .default_text = "100",
		.doc = "Microseconds that a worker polls after a packet before it sleeps, at "
		       "least.",
		.example = "20" },
	{ AT(node, spin_max_us), .kind = FIELD_UINT, .max = 1000000, .default_text = "2000",
		.doc = "Microseconds that it polls while four of five packets come within them: "
		       "these find it awake, for a whole CPU as long as they come. 0: never more "
		       "than spin_us.",
		.example = "5000" },
	{ AT(node, flows), .kind = FIELD_UINT, .flags = FIELD_START, .min = 1024, .max = 268435456,
		.default_text = "1048576",
		.doc = "Entries of the IPv4 flow table, 64 bytes each when used.",
		.example = "4194304" },
	{ AT(node, flows6), .kind = FIELD_UINT, .flags = FIELD_START, .min = 1024, .max = 268435456,
		.default_text = "524288",
		.doc = "Entries of the IPv6 flow table, 128 bytes each when used.",
		.example = "4194304" },
	{ AT(node, neighbours), .kind = FIELD_UINT, .min = 16, .max = 1048576,
		.default_text = "16384",
		.doc = "Most neighbours resolved or being resolved at a time.",
		.example = "65536" },
	{ AT(node, flow_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 86400,
		.default_text = "120",
		.doc = "Idle seconds after which a flow is forgotten whose protocol has no states: "
		       "all "
		       "but TCP, UDP, SCTP and ICMP.",
		.example = "30" },
	{ AT(node, tcp_syn_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 3600,
		.default_text = "60",
		.doc = "Idle seconds of a TCP connection whose handshake is not over.",
		.example = "20" },
	{ AT(node, tcp_established_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 2000000,
		.default_text = "7440",
		.doc = "Idle seconds of an open TCP connection (RFC 5382 asks for 7440 at least).",
		.example = "86400" },
	{ AT(node, tcp_fin_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 86400,
		.default_text = "240",
		.doc = "Idle seconds of a TCP connection that one or both ends have closed.",
		.example = "120" },
	{ AT(node, tcp_time_wait_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 3600,
		.default_text = "60", .doc = "Idle seconds of a TCP connection that is over.",
		.example = "30" },
	{ AT(node, tcp_closed_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 3600,
		.default_text = "10",
		.doc = "Idle seconds of a TCP connection after a RST, or an SCTP association after "
		       "its end.",
		.example = "5" },
	{ AT(node, tcp_pickup_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 86400,
		.default_text = "300",
		.doc = "Idle seconds of a TCP connection that was open before, as long as only one "
		       "direction was seen.",
		.example = "60" },
	{ AT(node, udp_unreplied_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 86400,
		.default_text = "30", .doc = "Idle seconds of a UDP flow that nobody has answered.",
		.example = "10" },
	{ AT(node, udp_replied_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 86400,
		.default_text = "180",
		.doc = "Idle seconds of a UDP flow with answers (RFC 4787 asks for 120 at least).",
		.example = "300" },
	{ AT(node, icmp_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 86400,
		.default_text = "30", .doc = "Idle seconds of an ICMP or ICMPv6 echo flow.",
		.example = "10" },
	{ AT(node, sctp_init_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 3600,
		.default_text = "30",
		.doc = "Idle seconds of an SCTP association whose handshake is not over.",
		.example = "10" },
	{ AT(node, sctp_established_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 2000000,
		.default_text = "7440", .doc = "Idle seconds of an open SCTP association.",
		.example = "210" },
	{ AT(node, sctp_shutdown_timeout_s), .kind = FIELD_UINT, .min = 1, .max = 3600,
		.default_text = "30", .doc = "Idle seconds of an SCTP association that shuts down.",
		.example = "10" },
	{ AT(node, tcp_window), .kind = FIELD_ENUM, .names = tcp_window_names,
		.default_text = "liberal",
		.doc = "A TCP segment outside of its window is counted and passes (liberal), is "
		       "dropped "
		       "(strict), or nobody looks (off). In any case it ends no connection.",
		.example = "strict" },
	{ AT(node, tcp_pickup), .kind = FIELD_BOOL, .default_text = "true",
		.doc = "A TCP segment of no known connection makes one, if policy lets it; false "
		       "drops it.",
		.example = "false" },
	{ AT(node, tcp_pickup_grace_s), .kind = FIELD_UINT, .max = 86400, .default_text = "60",
		.doc = "Seconds after a start in which connections of before are picked up "
		       "although "
		       "tcp_pickup is false.",
		.example = "300" },
	{ AT(node, kernel_flows), .kind = FIELD_ENUM, .names = kernel_flows_names,
		.default_text = "tcp",
		.doc = "Established flows of kernel pods that the kernel forwards itself, as "
		       "decided "
		       "here: TCP, also UDP (all: datagrams that are on their way when a flow "
		       "changes "
		       "hands may be overtaken), or none (off: workers forward every packet).",
		.example = "all" },
	{ AT(node, half_open_max), .kind = FIELD_UINT, .max = 268435456, .default_text = "0",
		.doc = "Half open connections that one pod may have at a time, a family (what "
		       "comes from "
		       "outside: four times as many); 0 means an eighth of the flow table.",
		.example = "4096" },
	{ AT(node, vtep_mac), .kind = FIELD_MAC, .flags = FIELD_OPTIONAL,
		.doc = "MAC address of this node inside VXLAN, which peers need as its vtep_mac; "
		       "left out means one derived from the name.",
		.example = "02:00:c0:00:02:01" },
	{ AT(node, vxlan_vni), .kind = FIELD_UINT, .min = 1, .max = 16777215, .default_text = "1",
		.doc = "VXLAN network identifier of peers that name none: 1 for flannel, 4096 for "
		       "Calico.",
		.example = "4096" },
	{ AT(node, vxlan_port), .kind = FIELD_UINT, .min = 1, .max = 65535, .default_text = "8472",
		.doc = "UDP port of VXLAN for peers that name none: 8472 for flannel, 4789 for "
		       "Calico. Both are always accepted on receive.",
		.example = "4789" },
	{ AT(node, vxlan_udp6_checksum), .kind = FIELD_BOOL, .default_text = "false",
		.doc = "Fill the outer UDP checksum of VXLAN over IPv6; false sends zero (RFC "
		       "6935).",
		.example = "true" },
	{ AT(node, mss_clamp), .kind = FIELD_BOOL, .default_text = "true",
		.doc = "Lower the MSS of TCP connections to what fits the path.",
		.example = "false" },
	{ AT(node, gateway), .kind = FIELD_ADDRESS, .flags = FIELD_V4,
		.default_text = "169.254.1.1", .doc = "IPv4 next hop that pods see.",
		.example = "169.254.1.1" },
	{ AT(node, gateway6), .kind = FIELD_ADDRESS, .flags = FIELD_V6, .default_text = "fe80::1",
		.doc = "IPv6 next hop that pods see.", .example = "fe80::1" },
	{ AT(node, gateway_mac), .kind = FIELD_MAC, .default_text = "02:70:6f:64:6c:01",
		.doc = "MAC address answered for both gateways.", .example = "02:70:6f:64:6c:01" },
	{ AT(node, host_interface), .kind = FIELD_STRING, .text = TEXT_INTERFACE, .max = 15,
		.default_text = "podlane0",
		.doc = "Interface that connects the node itself to its pods; empty means none.",
		.example = "podlane0" },
	{ AT(node, host_addresses), .kind = FIELD_ADDRESSES, .max = 16,
		.doc = "Addresses of the node on that interface.", .example = "10.244.1.1" },
	{ AT(node, icmp_rate), .kind = FIELD_UINT, .max = 1000000, .default_text = "1000",
		.doc = "ICMP errors a second that one worker may send; 0 sends none.",
		.example = "100" },
	{ AT(node, log_level), .kind = FIELD_STRING, .names = log_level_names,
		.default_text = "info", .min = 1, .max = 15,
		.doc = "Least severity that is logged.", .example = "debug" },
	{ AT(node, metrics_listen), .kind = FIELD_STRING, .text = TEXT_LISTEN,
		.default_text = "127.0.0.1:9099", .max = 63,
		.doc = "Address and TCP port of health and metrics; empty means off.",
		.example = "[::1]:9099" },
	LABELS_FIELD(node, "Labels of the node, for host policies and rules about nodes."),
	{ AT(node, failsafe_in), .kind = FIELD_STRINGS, .text = TEXT_PORT_PROTOCOL, .max = 64,
		.default_text = "22/tcp 68/udp 179/tcp 2379/tcp 2380/tcp 5473/tcp 6443/tcp",
		.doc = "Ports of the node that host policies never close, so that a mistake does "
		       "not "
		       "lock its owner out.",
		.example = "22/tcp" },
	{ AT(node, failsafe_out), .kind = FIELD_STRINGS, .text = TEXT_PORT_PROTOCOL, .max = 64,
		.default_text = "53/udp 67/udp 179/tcp 2379/tcp 2380/tcp 5473/tcp 6443/tcp",
		.doc = "Ports elsewhere that host policies never keep the node from.",
		.example = "53/udp" },
};

static const struct field namespace_fields[] = {
	NAME_FIELD(namespace, "Name of the namespace.", "main"),
	LABELS_FIELD(namespace,
		"Labels of the namespace. kubernetes.io/metadata.name=NAME goes without saying."),
};

static const struct field endpoint_fields[] = {
	LONG_NAME_FIELD(endpoint, "Name of the endpoint.", "main.db-1"),
	{ AT(endpoint, kind), .kind = FIELD_ENUM, .names = endpoint_kind_names,
		.default_text = "pod", .doc = "A pod, or a node.", .example = "node" },
	{ AT(endpoint, namespace), .kind = FIELD_STRING, .text = TEXT_NAME, .min = 1,
		.max = OBJECT_NAME_MAX, .default_text = "default", .doc = "Namespace of a pod.",
		.example = "main" },
	LABELS_FIELD(endpoint, "Labels, for the selectors of policies."),
	{ AT(endpoint, addresses), .kind = FIELD_ADDRESSES, .flags = FIELD_REQUIRED, .min = 1,
		.max = 64, .doc = "Its addresses.", .example = "10.244.2.7" },
	PORTS_FIELD(endpoint),
};

static const struct field set_fields[] = {
	LONG_NAME_FIELD(set, "Name of the set.", "offices"),
	{ AT(set, namespace), .kind = FIELD_STRING, .text = TEXT_NAME, .max = OBJECT_NAME_MAX,
		.doc = "Namespace of the set; empty means none.", .example = "main" },
	LABELS_FIELD(set, "Labels, so that selectors find the addresses."),
	{ AT(set, cidrs), .kind = FIELD_PREFIXES, .max = 65536, .doc = "The addresses.",
		.example = "198.51.100.0/24" },
};

static const struct field tier_fields[] = {
	NAME_FIELD(tier, "Name of the tier. default exists by itself.", "admin"),
	{ AT(tier, order), .kind = FIELD_UINT, .max = 10000000, .default_text = "1000000",
		.doc = "Tiers with a lower order are asked first; equal ones by name. Tier default "
		       "has 1000000.",
		.example = "100" },
	{ AT(tier, default_action), .kind = FIELD_ENUM, .names = tier_action_names,
		.default_text = "deny",
		.doc = "What happens to a connection of a pod that policies of the tier select, "
		       "when no rule "
		       "matches: it is denied, or passes on to the next tier.",
		.example = "pass" },
};

static const struct field policy_rule_fields[] = {
	{ AT(policy_rule, name), .kind = FIELD_STRING, .max = OBJECT_LONG_NAME_MAX,
		.doc = "What people see in explain and in counters; empty means its place, as "
		       "ingress[0].",
		.example = "web to db" },
	{ AT(policy_rule, action), .kind = FIELD_ENUM, .names = rule_action_names,
		.default_text = "allow",
		.doc = "allow and deny decide, pass goes on to the next tier, log reports and goes "
		       "on to the "
		       "next rule.",
		.example = "deny" },
	{ AT(policy_rule, protocol), .kind = FIELD_STRING, .text = TEXT_PROTOCOL, .max = 7,
		.doc = "tcp, udp, sctp, icmp, icmpv6 or a number from 1 to 255; empty means any.",
		.example = "tcp" },
	{ AT(policy_rule, not_protocol), .kind = FIELD_STRING, .text = TEXT_PROTOCOL, .max = 7,
		.doc = "Any protocol but this one.", .example = "udp" },
	{ AT(policy_rule, ip_version), .kind = FIELD_ENUM, .names = rule_ip_names,
		.default_text = "any", .doc = "IPv4 or IPv6 only.", .example = "4" },
	{ AT(policy_rule, icmp_type), .kind = FIELD_UINT, .flags = FIELD_OPTIONAL, .max = 255,
		.doc = "Type of ICMP or ICMPv6.", .example = "8" },
	{ AT(policy_rule, icmp_code), .kind = FIELD_UINT, .flags = FIELD_OPTIONAL, .max = 255,
		.doc = "Code of ICMP or ICMPv6; with icmp_type.", .example = "0" },
	{ AT(policy_rule, not_icmp_type), .kind = FIELD_UINT, .flags = FIELD_OPTIONAL, .max = 255,
		.doc = "Any type but this one.", .example = "8" },
	{ AT(policy_rule, not_icmp_code), .kind = FIELD_UINT, .flags = FIELD_OPTIONAL, .max = 255,
		.doc = "With not_icmp_type: any but this type with this code.", .example = "0" },
#define END(side, who, whose)                                                                     \
	{ SELECTOR(policy_rule, side.selector, #side),                                            \
		.doc = "Selector over the labels of the " who                                     \
		       ", a pod, endpoint or set; empty means any.",                              \
		.example = "app == 'web'" },                                                      \
		{ SELECTOR(policy_rule, side.not_selector, #side "_not"),                         \
			.doc = "Labels that the " who " must not match.",                         \
			.example = "role == 'guest'" },                                           \
		{ SELECTOR(policy_rule, side.namespaces, #side "_namespaces"),                    \
			.doc = "Selector over the labels of the " whose                           \
			       " namespace; empty means that of the policy, "                     \
			       "or any if it has none.",                                          \
			.example = "team == 'blue'" },                                            \
		{ SELECTOR(policy_rule, side.nodes, #side "_nodes"),                              \
			.doc = "Selector over the labels of nodes: the " who " is one of them.",  \
			.example = "all()" },                                                     \
		{ NAMED(policy_rule, side.cidrs, #side "_cidrs"), .kind = FIELD_PREFIXES,         \
			.max = 4096, .doc = "The " who "'s address is in one of them.",           \
			.example = "198.51.100.0/24" },                                           \
		{ NAMED(policy_rule, side.not_cidrs, #side "_not_cidrs"), .kind = FIELD_PREFIXES, \
			.max = 4096, .doc = "The " who "'s address is in none of them.",          \
			.example = "198.51.100.128/25" },                                         \
		{ NAMED(policy_rule, side.sets, #side "_sets"), .kind = FIELD_STRINGS,            \
			.text = TEXT_NAME, .max = 256,                                            \
			.doc = "Names of sets: the " who "'s address is in one of them.",         \
			.example = "offices" },                                                   \
		{ NAMED(policy_rule, side.ports, #side "_ports"), .kind = FIELD_STRINGS,          \
			.text = TEXT_PORTS, .max = 256,                                           \
			.doc = "Ports, ranges or names of ports of the " who "; with protocol.",  \
			.example = "8000:8080" },                                                 \
	{                                                                                         \
		NAMED(policy_rule, side.not_ports, #side "_not_ports"),                           \
			.kind = FIELD_STRINGS, .text = TEXT_PORTS, .max = 256,                    \
			.doc = "None of these ports of the " who "; with protocol.",              \
			.example = "22"                                                           \
	}
	END(source, "sender", "sender's"),
	END(destination, "receiver", "receiver's"),
#undef END
};
static const struct field_group policy_rule_group = { .name = "rule",
	.doc = "A rule: everything that is given must hold; the first that matches decides.",
	.fields = policy_rule_fields,
	.field_count = COUNT(policy_rule_fields),
	.size = sizeof(struct policy_rule) };
static_assert(sizeof(struct policy_rule) <= GROUP_SIZE_MAX, "group_default");

static const struct field policy_fields[] = {
	LONG_NAME_FIELD(policy, "Name of the policy.", "db"),
	{ AT(policy, namespace), .kind = FIELD_STRING, .text = TEXT_NAME, .max = OBJECT_NAME_MAX,
		.doc = "Namespace whose pods it is about; empty means all. Its selectors mean that "
		       "namespace "
		       "unless they say another.",
		.example = "main" },
	{ AT(policy, tier), .kind = FIELD_STRING, .text = TEXT_NAME, .min = 1,
		.max = OBJECT_NAME_MAX, .default_text = "default", .doc = "Tier it belongs to.",
		.example = "admin" },
	{ AT(policy, order), .kind = FIELD_UINT, .max = 1000000, .default_text = "1000000",
		.doc = "Policies of a tier with a lower order are asked first; equal ones by name.",
		.example = "10" },
	{ AT(policy, subject), .kind = FIELD_ENUM, .names = subject_names, .default_text = "pods",
		.doc = "Pods, or the node itself (host).", .example = "host" },
	{ SELECTOR(policy, selector, "selector"),
		.doc = "Selector over labels: which pods (or with subject host, nodes) it is "
		       "about; empty means "
		       "all.",
		.example = "app == 'db'" },
	{ SELECTOR(policy, namespace_selector, "namespace_selector"),
		.doc = "Selector over the labels of their namespaces, where namespace is empty; "
		       "empty means all.",
		.example = "team == 'blue'" },
	{ AT(policy, types), .kind = FIELD_STRINGS, .names = policy_type_names, .max = 2,
		.doc = "Directions that are closed but for what rules allow; empty means those "
		       "that have rules, "
		       "and ingress if none has.",
		.example = "ingress" },
	{ AT(policy, staged), .kind = FIELD_BOOL, .default_text = "false",
		.doc = "Judge and count, but decide nothing: what would change is reported.",
		.example = "true" },
	{ AT(policy, stateless), .kind = FIELD_BOOL, .default_text = "false",
		.doc = "With subject host: judge every packet before connections are tracked; "
		       "replies need rules "
		       "of their own.",
		.example = "true" },
	{ AT(policy, on_change), .kind = FIELD_ENUM, .names = on_change_names,
		.default_text = "reevaluate",
		.doc = "What a change means for established connections that it denies: they are "
		       "judged again "
		       "(reevaluate), go on (keep), or get a TCP reset (reset).",
		.example = "keep" },
	{ AT(policy, ingress), .kind = FIELD_GROUPS, .group = &policy_rule_group, .max = 65536,
		.doc = "Rules for what the pods receive.",
		.example = "{ source = \"app == 'web'\"; }" },
	{ AT(policy, egress), .kind = FIELD_GROUPS, .group = &policy_rule_group, .max = 65536,
		.doc = "Rules for what the pods send.",
		.example = "{ destination_cidrs = \"198.51.100.0/24\"; }" },
};

static const struct field uplink_fields[] = {
	NAME_FIELD(uplink, "Name of the uplink, often that of its interface.", "eth0"),
	{ AT(uplink, driver), .kind = FIELD_ENUM, .flags = FIELD_REQUIRED, .names = driver_names,
		.doc = "How the device is driven: af_xdp shares an interface with the kernel, "
		       "which "
		       "keeps its addresses; af_packet (packet sockets) sees everything on one, "
		       "pci "
		       "takes a NIC whole, memif is shared memory with another process of this "
		       "machine, ethdev is any DPDK device string.",
		.example = "af_packet" },
	{ AT(uplink, device), .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .min = 1, .max = 255,
		.doc = "Interface name (af_packet, af_xdp), PCI address (pci), path of a socket "
		       "(memif) or DPDK device string (ethdev).",
		.example = "eth0" },
	{ AT(uplink, addresses), .kind = FIELD_INTERFACE_ADDRESSES, .max = 16,
		.doc = "Addresses of this node on that network, with the length of the network's "
		       "prefix. Needed, but with af_xdp or kernel_interface: there empty means "
		       "what "
		       "the kernel's interface has, followed as it changes.",
		.example = "192.0.2.1/24" },
	{ AT(uplink, mac), .kind = FIELD_MAC, .flags = FIELD_OPTIONAL,
		.doc = "MAC address to use; left out means the device's own.",
		.example = "02:00:c0:00:02:01" },
	{ AT(uplink, mtu), .kind = FIELD_UINT, .min = 576, .max = 9600, .default_text = "1500",
		.doc = "Largest IP packet, bytes; at least 1280 with IPv6.", .example = "9000" },
	{ AT(uplink, vlan), .kind = FIELD_UINT, .max = 4094, .default_text = "0",
		.doc = "802.1Q VLAN of the uplink: what it sends is tagged with this id, and what "
		       "comes untagged or from another VLAN is not Podlane's; 0 means untagged. "
		       "The tag does not count in mtu. Not with af_xdp: make the kernel's VLAN "
		       "interface its device.",
		.example = "100" },
	{ AT(uplink, queues), .kind = FIELD_UINT, .max = 16, .default_text = "0",
		.doc = "Receive and transmit queues; 0 means one a worker. Not with af_xdp, which "
		       "serves every queue the device has: see `ethtool -l`.",
		.example = "2" },
	{ AT(uplink, xdp_mode), .kind = FIELD_ENUM, .names = xdp_mode_names, .default_text = "auto",
		.doc = "af_xdp: where the XDP program runs. native is in the device's driver, "
		       "generic in the kernel behind it, slower; auto is native where the driver "
		       "can and generic otherwise.",
		.example = "generic" },
	{ AT(uplink, disabled_offloads), .kind = FIELD_STRINGS, .names = nic_offload_names,
		.max = 9,
		.doc = "pci, ethdev: offloads of the NIC that are not to be used; all means none "
		       "is. Empty: what the device announces and does right, see `podlane show "
		       "offloads`.",
		.example = "tx-vxlan-segmentation" },
	{ AT(uplink, kernel_interface), .kind = FIELD_STRING, .text = TEXT_INTERFACE, .max = 15,
		.doc = "pci, ethdev: an interface that the kernel gets in exchange for the device. "
		       "It "
		       "has the device's MAC address and the uplink's addresses, and everything "
		       "that is not Podlane's. Empty means none: what is not Podlane's is dropped.",
		.example = "eth0" },
	{ AT(uplink, role), .kind = FIELD_ENUM, .names = role_names, .default_text = "server",
		.doc = "Role of a memif uplink: server listens on the socket, client connects to "
		       "it.",
		.example = "client" },
	{ AT(uplink, memif_id), .kind = FIELD_UINT, .max = UINT32_MAX, .default_text = "0",
		.doc = "Interface id of a memif uplink on its socket.", .example = "1" },
	{ AT(uplink, ring_size), .kind = FIELD_UINT, .min = 1, .max = 16384, .default_text = "1024",
		.doc = "Most descriptors of a ring of a memif uplink, a power of two.",
		.example = "2048" },
	{ AT(uplink, secret), .kind = FIELD_STRING, .flags = FIELD_SECRET, .max = 24,
		.doc = "Shared secret of a memif uplink; empty means none.",
		.example = "correct-horse" },
};

static const struct field pool_fields[] = {
	NAME_FIELD(pool, "Name of the pool.", "pods"),
	{ AT(pool, cidr), .kind = FIELD_PREFIX, .flags = FIELD_REQUIRED,
		.doc = "Addresses for the pods of this node.", .example = "10.244.1.0/24" },
};

static const struct field peer_fields[] = {
	NAME_FIELD(peer, "Name of the peer node.", "node-b"),
	{ AT(peer, underlay), .kind = FIELD_ADDRESSES, .flags = FIELD_REQUIRED, .min = 1, .max = 2,
		.doc = "Address of the peer on the underlay, one a family.",
		.example = "192.0.2.2" },
	{ AT(peer, pod_cidrs), .kind = FIELD_PREFIXES, .max = 1024,
		.doc = "Pod addresses that live behind the peer.", .example = "10.244.2.0/24" },
	{ AT(peer, encap), .kind = FIELD_ENUM, .names = encap_names, .default_text = "auto",
		.doc = "Encapsulation towards the peer; auto is direct where the peer shares a "
		       "subnet with an uplink and vxlan otherwise. wireguard is not available in "
		       "this version.",
		.example = "vxlan" },
	{ AT(peer, vtep_mac), .kind = FIELD_MAC, .flags = FIELD_OPTIONAL,
		.doc = "MAC address of the peer inside VXLAN; needed with vxlan and auto.",
		.example = "02:00:c0:00:02:02" },
	{ AT(peer, vni), .kind = FIELD_UINT, .min = 1, .max = 16777215, .default_text = "0",
		.doc = "VXLAN network identifier; 0 means vxlan_vni of the node.",
		.example = "4096" },
	{ AT(peer, port), .kind = FIELD_UINT, .min = 1, .max = 65535, .default_text = "0",
		.doc = "UDP port of VXLAN; 0 means vxlan_port of the node.", .example = "4789" },
	{ AT(peer, mtu), .kind = FIELD_UINT, .min = 576, .max = 9600, .default_text = "0",
		.doc = "Largest IP packet on the path to the peer, bytes, at least 1280 with IPv6; "
		       "0 means the uplink's.",
		.example = "1400" },
};

static const struct field pod_fields[] = {
	NAME_FIELD(pod, "Name of the pod.", "web-1"),
	{ AT(pod, kind), .kind = FIELD_ENUM, .names = pod_kind_names, .default_text = "tap",
		.doc = "tap is an interface in the pod's network namespace, memif is shared memory "
		       "for DPDK and VPP pods, vhost is vhost-user for virtual machines and "
		       "virtio-user.",
		.example = "memif" },
	{ AT(pod, addresses), .kind = FIELD_ADDRESSES, .max = 16,
		.doc = "Addresses of the pod; empty means one from a pool of each family.",
		.example = "10.244.1.5" },
	{ AT(pod, mac), .kind = FIELD_MAC, .flags = FIELD_OPTIONAL,
		.doc = "MAC address of the pod; left out means derived from the name (tap) or "
		       "learned by ARP and neighbour discovery (memif, vhost).",
		.example = "02:00:0a:f4:01:05" },
	{ AT(pod, netns), .kind = FIELD_STRING, .text = TEXT_NETNS, .max = 255,
		.doc = "Network namespace of a tap pod: a name below /run/netns or a path.",
		.example = "web-1" },
	{ AT(pod, interface), .kind = FIELD_STRING, .text = TEXT_INTERFACE, .min = 1, .max = 15,
		.default_text = "eth0", .doc = "Name of a tap pod's interface.",
		.example = "net1" },
	{ AT(pod, role), .kind = FIELD_ENUM, .names = role_names, .default_text = "server",
		.doc = "Our role towards a memif or vhost pod: server listens on the socket, "
		       "client "
		       "connects to it, as often as it takes.",
		.example = "client" },
	{ AT(pod, mode), .kind = FIELD_ENUM, .names = mode_names, .default_text = "ethernet",
		.doc = "What memif rings carry: ethernet frames, or ip packets without an "
		       "Ethernet header, and then there is no ARP or neighbour discovery.",
		.example = "ip" },
	{ AT(pod, socket), .kind = FIELD_STRING, .text = TEXT_SOCKET, .max = 107,
		.doc = "Path of the socket between Podlane and a memif or vhost pod.",
		.example = "/run/podlane/web-1.sock" },
	{ AT(pod, memif_id), .kind = FIELD_UINT, .max = UINT32_MAX, .default_text = "0",
		.doc = "Interface id of a memif pod on that socket.", .example = "1" },
	{ AT(pod, queues), .kind = FIELD_UINT, .max = 16, .default_text = "0",
		.doc = "Queues each way; 0 means one a worker.", .example = "1" },
	{ AT(pod, ring_size), .kind = FIELD_UINT, .min = 1, .max = 16384, .default_text = "1024",
		.doc = "Most descriptors of a memif ring, a power of two.", .example = "2048" },
	{ AT(pod, mtu), .kind = FIELD_UINT, .min = 576, .max = 9600, .default_text = "0",
		.doc = "Largest IP packet of the pod, bytes, at least 1280 with IPv6; 0 means what "
		       "fits every tunnel of the node.",
		.example = "1450" },
	{ AT(pod, secret), .kind = FIELD_STRING, .flags = FIELD_SECRET, .max = 24,
		.doc = "Shared secret of a memif pod; empty means none.",
		.example = "correct-horse" },
	{ AT(pod, ingress_rate_kbps), .kind = FIELD_UINT, .min = 8, .max = RATE_KBPS_MAX,
		.default_text = "0",
		.doc = "Most that the pod receives, 1000 bits a second "
		       "(kubernetes.io/ingress-bandwidth), "
		       "Ethernet headers included; 0 means no limit.",
		.example = "10000" },
	{ AT(pod, ingress_burst_kbit), .kind = FIELD_UINT, .min = 13, .max = RATE_KBPS_MAX,
		.default_text = "0",
		.doc = "What it may receive at once beyond ingress_rate_kbps, 1000 bits; 0 means a "
		       "tenth of a second's worth, at least 64 KiB.",
		.example = "1000" },
	{ AT(pod, ingress_rate_pps), .kind = FIELD_UINT, .min = 1, .max = RATE_PPS_MAX,
		.default_text = "0",
		.doc = "Most packets a second that the pod receives; 0 means no limit.",
		.example = "5000" },
	{ AT(pod, ingress_burst_packets), .kind = FIELD_UINT, .min = 1, .max = RATE_PPS_MAX,
		.default_text = "0",
		.doc = "Packets it may receive at once beyond ingress_rate_pps; 0 means a tenth of "
		       "a "
		       "second's worth, at least 64.",
		.example = "500" },
	{ AT(pod, egress_rate_kbps), .kind = FIELD_UINT, .min = 8, .max = RATE_KBPS_MAX,
		.default_text = "0",
		.doc = "Most that the pod sends, 1000 bits a second "
		       "(kubernetes.io/egress-bandwidth), "
		       "Ethernet headers included; 0 means no limit.",
		.example = "10000" },
	{ AT(pod, egress_burst_kbit), .kind = FIELD_UINT, .min = 13, .max = RATE_KBPS_MAX,
		.default_text = "0",
		.doc = "What it may send at once beyond egress_rate_kbps, 1000 bits; 0 means a "
		       "tenth of a second's worth, at least 64 KiB.",
		.example = "1000" },
	{ AT(pod, egress_rate_pps), .kind = FIELD_UINT, .min = 1, .max = RATE_PPS_MAX,
		.default_text = "0",
		.doc = "Most packets a second that the pod sends; 0 means no limit.",
		.example = "5000" },
	{ AT(pod, egress_burst_packets), .kind = FIELD_UINT, .min = 1, .max = RATE_PPS_MAX,
		.default_text = "0",
		.doc = "Packets it may send at once beyond egress_rate_pps; 0 means a tenth of a "
		       "second's worth, at least 64.",
		.example = "500" },
	{ AT(pod, connections_max), .kind = FIELD_UINT, .max = 268435456, .default_text = "0",
		.doc = "Connections (TCP, UDP and others) that the pod may have at a time, those "
		       "it opens and "
		       "those to it; 0 means no limit.",
		.example = "10000" },
	{ AT(pod, namespace), .kind = FIELD_STRING, .text = TEXT_NAME, .min = 1,
		.max = OBJECT_NAME_MAX, .default_text = "default",
		.doc = "Namespace of the pod, for policies.", .example = "main" },
	LABELS_FIELD(pod, "Labels, for the selectors of policies."),
	PORTS_FIELD(pod),
	{ AT(pod, worker), .kind = FIELD_UINT, .flags = FIELD_OPTIONAL, .max = NODE_WORKERS_MAX - 1,
		.doc = "Worker that polls all its queues, counted from 0 in worker_cpus; left out "
		       "means that the load decides.",
		.example = "0" },
};

static const struct field route_via_fields[] = {
	{ AT(route_via, address), .kind = FIELD_ADDRESS, .flags = FIELD_OPTIONAL,
		.doc = "Address of the next hop, on the subnet of an uplink.",
		.example = "192.0.2.254" },
	{ AT(route_via, peer), .kind = FIELD_STRING, .text = TEXT_NAME, .max = OBJECT_NAME_MAX,
		.doc = "Name of a peer: its tunnel is the next hop.", .example = "node-b" },
	{ AT(route_via, uplink), .kind = FIELD_STRING, .text = TEXT_NAME, .max = OBJECT_NAME_MAX,
		.doc = "Name of the uplink of the address; needed with a link-local address.",
		.example = "eth0" },
	{ AT(route_via, pod), .kind = FIELD_STRING, .text = TEXT_NAME, .max = OBJECT_NAME_MAX,
		.doc = "Name of a pod that routes these destinations.", .example = "gateway-1" },
	{ AT(route_via, weight), .kind = FIELD_UINT, .min = 1, .max = 255, .default_text = "1",
		.doc = "Share of the flows, against the other next hops.", .example = "2" },
};
const struct field_group route_via_group = { .name = "next hop",
	.doc = "A next hop: an address, a peer or a pod.",
	.fields = route_via_fields,
	.field_count = COUNT(route_via_fields),
	.size = sizeof(struct route_via) };

static const struct field route_fields[] = {
	{ AT(route, prefix), .kind = FIELD_PREFIX, .flags = FIELD_KEY | FIELD_REQUIRED,
		.doc = "Destinations; its text is the name of the route.",
		.example = "198.51.100.0/24" },
	{ AT(route, action), .kind = FIELD_ENUM, .names = action_names, .default_text = "forward",
		.doc = "Forward, or drop silently (blackhole) or with an ICMP error (unreachable, "
		       "prohibit).",
		.example = "blackhole" },
	{ AT(route, via), .kind = FIELD_GROUPS, .group = &route_via_group, .max = ROUTE_VIA_MAX,
		.doc = "Next hops of a forwarded route; several share the flows by weight.",
		.example = "{ address = \"192.0.2.254\"; }" },
};

#define SCHEMA(upper, lower, many, text_doc)          \
	[OBJECT_##upper] = { .type = OBJECT_##upper,  \
		.name = #lower,                       \
		.plural = (many),                     \
		.doc = (text_doc),                    \
		.fields = lower##_fields,             \
		.field_count = COUNT(lower##_fields), \
		.size = sizeof(struct lower),         \
		.check = lower##_check }

const struct object_schema object_schemas[OBJECT_TYPE_COUNT] = {
	[OBJECT_NODE] = { .type = OBJECT_NODE,
		.name = "node",
		.plural = "nodes",
		.doc = "The node itself: exactly one.",
		.fields = node_fields,
		.field_count = COUNT(node_fields),
		.size = sizeof(struct node),
		.singleton = true,
		.check = node_check },
	SCHEMA(NAMESPACE, namespace, "namespaces", "Where pods and policies live, with labels."),
	SCHEMA(UPLINK, uplink, "uplinks", "A network device that leads out of the node."),
	SCHEMA(POOL, pool, "pools", "Addresses for the pods of this node."),
	SCHEMA(PEER, peer, "peers", "Another node, reached directly or through a tunnel."),
	SCHEMA(SET, set, "sets", "Addresses that policies name, or find by labels."),
	SCHEMA(TIER, tier, "tiers", "A group of policies, asked in order."),
	SCHEMA(ENDPOINT, endpoint, "endpoints",
		"A pod or node elsewhere in the cluster, known to policies by its addresses."),
	SCHEMA(POD, pod, "pods", "A pod attached to this node."),
	SCHEMA(POLICY, policy, "policies", "Who may connect to whom: see docs/policy.md."),
	SCHEMA(ROUTE, route, "routes",
		"A route, besides those that uplinks, pods and peers bring along."),
};
