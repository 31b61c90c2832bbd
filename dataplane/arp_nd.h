/* SPDX-License-Identifier: Apache-2.0 */
/** ARP (RFC 826, 5227) and IPv6 neighbour discovery (RFC 4861, 4862) messages: parsing, making, and the proxy answers
 * towards pods. Pure functions; workers (proxy) and control (neighbour.c).
 */
#ifndef DATAPLANE_ARP_ND_H
#define DATAPLANE_ARP_ND_H

#include "config/address.h"
#include "dataplane/packet.h"

enum neighbour_message { NEIGHBOUR_REQUEST, NEIGHBOUR_REPLY };

/** An ARP or ND message in one form. A request teaches `sender` is at `sender_mac`, a reply `target` is at `sender_mac`. */
struct neighbour_info {
	enum neighbour_message kind;
	struct ip_addr
		sender; /* IP_NONE for probes (ARP 0.0.0.0, DAD from ::); gratuitous ARP: equals target */
	struct ip_addr target; /* asked for, or announced; in ARP replies the sender */
	struct mac_addr
		sender_mac; /* from the message (ND: its link-layer option); zero when it carries none */
	bool override, solicited, router; /* NA flags; ARP replies: override and solicited */
	bool unicast;			  /* the frame came to one station */
};

/** Parse a whole Ethernet frame that pkt_parse_ether called PKT_ARP or PKT_ND; validates all of RFC 4861 section 7.1 (hop
 * limit 255, checksum, lengths, option lengths). @return DROP_NONE, DROP_arp_malformed, DROP_nd_malformed, or
 * DROP_arp_ignored / DROP_nd_ignored for valid messages of other kinds (RS, RA, redirect, RARP). */
enum drop_reason neighbour_parse(
	const struct rte_mbuf *m, const struct pkt *p, bool arp, struct neighbour_info *info);

/** A complete frame, or NULL without a buffer. target_mac zero = broadcast / solicited-node multicast; to_mac zero likewise
 * to all, and `to` IP_NONE makes it an announcement (gratuitous ARP reply, unsolicited NA to all nodes). For requests
 * the sender may be IP_NONE. Padding to 60 bytes is not needed. */
struct rte_mbuf *neighbour_request_make(struct rte_mempool *pool, const struct ip_addr *target,
	const struct ip_addr *sender, const struct mac_addr *sender_mac,
	const struct mac_addr *target_mac);
struct rte_mbuf *neighbour_reply_make(struct rte_mempool *pool, const struct ip_addr *target,
	const struct mac_addr *target_mac, const struct ip_addr *to, const struct mac_addr *to_mac,
	bool router, bool solicited, bool override);

/** Answer a pod's request in place (m becomes the reply): the gateway's MAC for every address but the pod's own (`own`, n
 * of them), so that pods with any subnet mask work. Probes (duplicate address detection, also of the pod's link-local
 * address, which nobody here knows) and announcements stay unanswered. Advertisements say router, solicited and override,
 * so that a pod forgets an older gateway MAC. @return DROP_NONE when m is now a reply to send back, DROP_arp_ignored /
 * DROP_nd_ignored when not, m untouched, DROP_no_buffer when it has no room. */
enum drop_reason neighbour_proxy_reply(struct rte_mbuf *m, struct pkt *p,
	const struct neighbour_info *info, const struct mac_addr *gateway_mac,
	const struct ip_prefix *own, size_t n);

#endif
