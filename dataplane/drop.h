/* SPDX-License-Identifier: Apache-2.0 */
/** Every reason a packet can end without being sent or delivered. This table is the only place: enum, counter,
 * text, metric label and documentation come from it.
 *
 * Invariant, per process: received + generated = transmitted + delivered + held + sum of drops.
 */
#ifndef DATAPLANE_DROP_H
#define DATAPLANE_DROP_H

#include <stddef.h>

/* X(name, text): name is the metric label, text completes "dropped because ...". */
#define DROP_REASONS(X)                                                                          \
	X(l2_truncated, "the frame ends inside its Ethernet or VLAN header")                     \
	X(l2_not_for_us, "the destination MAC address is another station's")                     \
	X(l2_source_invalid, "the source MAC address is multicast")                              \
	X(ethertype_unknown, "the ethertype is neither IPv4, IPv6 nor ARP")                      \
	X(vlan_unexpected, "the frame carries a VLAN tag no port is configured for")             \
	X(vlan_other, "the frame is untagged, or of another VLAN than its uplink's")             \
	X(ip4_truncated, "the packet ends inside its IPv4 header")                               \
	X(ip4_bad_version, "the IPv4 version field is not 4")                                    \
	X(ip4_bad_header_length, "the IPv4 header length is below 20 or past the packet")        \
	X(ip4_bad_total_length, "the IPv4 total length is below its header or past the packet")  \
	X(ip4_bad_checksum, "the IPv4 header checksum is wrong")                                 \
	X(ip4_bad_options, "an IPv4 option is malformed, or source routing, which is refused")   \
	X(ip4_bad_address,                                                                       \
		"an IPv4 address is not valid there (0/8, loopback, multicast or class E)")      \
	X(ip6_truncated, "the packet ends inside its IPv6 header")                               \
	X(ip6_bad_version, "the IPv6 version field is not 6")                                    \
	X(ip6_bad_payload_length, "the IPv6 payload length is past the packet")                  \
	X(ip6_bad_extension,                                                                     \
		"an IPv6 extension header is malformed, too long, or a type 0 routing header")   \
	X(ip6_bad_address, "an IPv6 address is not valid there (unspecified, loopback, "         \
			   "IPv4-mapped or multicast)")                                          \
	X(l4_truncated, "the packet ends inside its TCP, UDP, SCTP or ICMP header")              \
	X(l4_bad_length, "the UDP length does not fit the packet")                               \
	X(icmp_bad_checksum, "the checksum of an ICMP message for this node is wrong")           \
	X(arp_malformed, "the ARP message is truncated or not Ethernet/IPv4")                    \
	X(arp_ignored, "the ARP message asks for nothing that is answered here")                 \
	X(nd_malformed, "the neighbour discovery message breaks RFC 4861 section 7.1")           \
	X(nd_ignored, "the neighbour discovery message asks for nothing that is answered here")  \
	X(spoofed_source, "the source address is not the sending pod's")                         \
	X(martian_source,                                                                        \
		"a packet from outside carries a local pod's or this node's source address")     \
	X(multicast_unsupported, "multicast and broadcast are not forwarded")                    \
	X(link_local_scope, "link-local addresses are not forwarded")                            \
	X(ttl_expired, "the TTL or hop limit ran out")                                           \
	X(no_route, "no route covers the destination")                                           \
	X(route_blackhole, "the route is a blackhole")                                           \
	X(route_unreachable, "the route says unreachable")                                       \
	X(route_prohibit, "the route says prohibited")                                           \
	X(neighbour_unresolved, "the next hop did not answer ARP or neighbour solicitation")     \
	X(neighbour_queue_full, "too many packets wait for the next hop's address")              \
	X(neighbour_table_full, "the neighbour table is full")                                   \
	X(packet_too_big, "the packet is larger than the path's MTU and may not be fragmented")  \
	X(fragment_malformed, "a fragment overlaps, is empty, oversized or misaligned")          \
	X(fragment_table_full, "too many fragmented packets are in progress")                    \
	X(fragment_timeout, "the missing fragments did not come in time")                        \
	X(tunnel_unknown_peer, "a tunnel packet came from an address that is no peer's")         \
	X(tunnel_malformed, "a tunnel header is truncated or has reserved or wrong fields")      \
	X(tunnel_unknown_vni, "the VXLAN network identifier is not the peer's")                  \
	X(tunnel_bad_checksum, "the outer UDP checksum of a tunnel packet is wrong")             \
	X(tunnel_bad_ecn,                                                                        \
		"the outer header says congestion experienced, the inner says not ECN capable")  \
	X(tunnel_nested, "a tunnel inside a tunnel addressed to this node")                      \
	X(tunnel_no_endpoint,                                                                    \
		"the peer has no usable tunnel: no local underlay address or no route to it")    \
	X(policy_egress, "a policy does not let the sender open this connection (egress)")       \
	X(policy_ingress,                                                                        \
		"a policy does not let the receiver be reached by this connection (ingress)")    \
	X(tcp_no_connection, "a TCP segment of no known connection, and tcp_pickup is off")      \
	X(tcp_out_of_window,                                                                     \
		"a TCP segment's sequence or acknowledgement number is outside of its window")   \
	X(sctp_bad_tag, "the verification tag of an SCTP packet is not its association's")       \
	X(connections_limited, "a pod has as many connections as its connections_max")           \
	X(half_open_limited, "too many connections of the sender are half open (half_open_max)") \
	X(flow_setup_limited, "the port sets up new flows faster than its share")                \
	X(egress_rate_limited, "the pod sends faster than its egress limit")                     \
	X(ingress_rate_limited, "the pod is sent packets faster than its ingress limit")         \
	X(icmp_rate_limited, "ICMP messages are generated faster than icmp_rate")                \
	X(no_local_listener, "it is for this node and there is no host port to take it")         \
	X(port_down, "the output port is down or gone")                                          \
	X(tx_queue_full, "the output port's queue is full")                                      \
	X(no_buffer, "no packet buffer was free")                                                \
	X(punt_queue_full, "the control thread's queue is full")                                 \
	X(offload_failed, "a large segment or partial checksum is malformed")                    \
	X(daemon_stopping, "the daemon is stopping")

enum drop_reason {
	DROP_NONE = 0, /* not dropped */
#define X(name, text) DROP_##name,
	DROP_REASONS(X)
#undef X
		DROP_REASON_COUNT
};

/** "ttl_expired"; "none" for DROP_NONE; "unknown" out of range. */
const char *drop_reason_name(enum drop_reason reason);
/** The sentence for people. */
const char *drop_reason_text(enum drop_reason reason);

#endif
