/* SPDX-License-Identifier: Apache-2.0 */
/** What the stages know of a packet, and bounds-checked access to its bytes. Worker threads; pure functions that
 * touch no shared state.
 */
#ifndef DATAPLANE_PACKET_H
#define DATAPLANE_PACKET_H

#include "dataplane/drop.h"

#include <assert.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <stdbool.h>
#include <stdint.h>

/* Zones: where a packet came from. A port's zone is its id. 24 bits. */
#define ZONE_TUNNEL 0x010000u /* decapsulated from any peer */

/* Keys are compared as bytes: every byte is a field. Addresses and ports in network order; zone_proto is
 * zone << 8 | IP protocol in host order. ICMP echo: sport = identifier, dport = type << 8 | code in host order
 * (then swapped like a port); other ICMP messages: sport 0, dport as for echo; other protocols but TCP, UDP and SCTP:
 * ports are 0. */
struct flow_key4 {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint32_t zone_proto;
};
struct flow_key6 {
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
	uint32_t zone_proto;
};
static_assert(sizeof(struct flow_key4) == 16, "no padding");
static_assert(sizeof(struct flow_key6) == 40, "no padding");

enum pkt_flags {
	PKT_V6 = 1 << 0,
	PKT_FRAGMENT = 1 << 1,	     /* any fragment */
	PKT_FRAGMENT_LATER = 1 << 2, /* not the first: no L4 header, ports come from fragment.c */
	PKT_DF = 1 << 3,	     /* IPv4 DF; always set for IPv6 */
	PKT_OPTIONS = 1 << 4,	     /* IPv4 options or IPv6 extension headers present */
	PKT_TCP_SYN = 1 << 5,
	PKT_DECAPSULATED = 1 << 6,
	PKT_GENERATED = 1 << 7, /* made by the daemon: no further ICMP errors about it */
};

/** One a packet of the vector, in worker-local memory. */
struct pkt {
	union {
		struct flow_key4 key4;
		struct flow_key6 key6; /* when PKT_V6 */
	};
	uint64_t hash;	    /* of the key, from flow_hash4/6 */
	uint16_t ip_len;    /* total IP bytes, header included, padding excluded */
	uint8_t l2_len;	    /* from mbuf data to the IP header: 14, or 0 after IP-in-IP */
	uint8_t l3_len;	    /* IP header with options or extension headers */
	uint8_t proto;	    /* L4 protocol */
	uint8_t ttl;	    /* as received */
	uint8_t tos;	    /* DSCP and ECN as received */
	uint8_t flags;	    /* enum pkt_flags */
	struct rte_mbuf *m; /* set by the worker, so that lists of struct pkt carry their packets */
};
static_assert(sizeof(struct pkt) == 64, "one cache line");

/** A pointer to `type` at byte `off`, or NULL when those bytes are not in the first segment. Parsing makes every header
 * a stage may need contiguous: Ethernet, IP with options or extension headers, L4 with options, and the 16 bytes behind
 * a UDP header, as far as the packet has them. */
#define pkt_hdr(m, off, type)                                               \
	((type *)((uint32_t)(off) + sizeof(type) <= rte_pktmbuf_data_len(m) \
			  ? rte_pktmbuf_mtod_offset((m), void *, (off))     \
			  : NULL))

/** What parsing found a frame to be. */
enum pkt_class {
	PKT_FLOW4, /* key4 is complete */
	PKT_FLOW6, /* key6 is complete */
	PKT_ARP,
	PKT_ND,	    /* ICMPv6 133-137 */
	PKT_TUNNEL, /* addressed to this node and of a tunnel's protocol: see tunnel.h */
	PKT_FRAG,   /* a fragment: goes to fragment.c, which completes the key */
	PKT_DROP,   /* see reason */
};
struct parsed {
	enum pkt_class class;
	enum drop_reason reason;
};

/** Parse a frame that starts with an Ethernet header. Checks in the order length, version, header length, total
 * length (padding is trimmed from the mbuf), IPv4 header checksum, addresses, L4 header. Moves headers into the first
 * segment when they are spread. `zone` goes into the key. Does not decide PKT_TUNNEL. Fills all of *p but hash and m;
 * of a PKT_DROP only flags and l2_len are sure, and of PKT_ARP.
 *
 * Fragments (class PKT_FRAG): a first one (PKT_FRAGMENT alone) has its whole L4 header (RFC 1858, 7112) and a complete
 * key; a later one has ports 0, and over IPv6 the protocol its fragment header names. l3_len includes the IPv6 fragment
 * header. IPv6 atomic fragments (RFC 6946) are whole packets.
 * Link-local addresses pass: whether they are this node's own is for resolve.c to say. */
struct parsed pkt_parse_ether(struct rte_mbuf *m, struct pkt *p, uint32_t zone);
/** The same for a packet whose IP header is at l2_len (0 after IP-in-IP). `version` is 4 or 6 as the outer said. */
struct parsed pkt_parse_ip(
	struct rte_mbuf *m, struct pkt *p, uint32_t zone, unsigned version, uint8_t l2_len);

/** Copy bytes of later segments until the first one holds `len`; its own bytes move into the headroom when there is no room
 * behind them, so pointers into the packet are void afterwards. @return false when the packet is shorter, `len` is more than
 * the buffer, or the segment is shared with others. pkt_pull is the same with the usual case inline. */
bool pkt_pull_segments(struct rte_mbuf *m, uint32_t len);
static inline bool pkt_pull(struct rte_mbuf *m, uint32_t len)
{
	return likely(len <= rte_pktmbuf_data_len(m)) || pkt_pull_segments(m, len);
}
/** Cut the end of a possibly multi-segment packet off, so that `len` bytes are left (at most its length). */
void pkt_trim(struct rte_mbuf *m, uint32_t len);

/** The key of the opposite direction, for a packet that would come back from `zone`. ICMP echo types are mirrored. */
void pkt_reverse_key4(const struct flow_key4 *key, uint32_t zone, struct flow_key4 *out);
void pkt_reverse_key6(const struct flow_key6 *key, uint32_t zone, struct flow_key6 *out);

/** Ones-complement sum, folded but not inverted, of `initial` and `len` bytes from `off` of a possibly multi-segment
 * packet, which must have them. */
uint16_t pkt_checksum(const struct rte_mbuf *m, uint32_t off, uint32_t len, uint32_t initial);

#endif
