/* SPDX-License-Identifier: Apache-2.0 */
/** ICMP (RFC 792, 1122, 1191, 1812) and ICMPv6 (RFC 4443) messages the data plane makes itself. Worker threads; pure
 * but for the packets. Rate limiting is the caller's (worker.c, settings.icmp_rate).
 */
#ifndef DATAPLANE_ICMP_H
#define DATAPLANE_ICMP_H

#include "dataplane/packet.h"

/** What an error is about. */
struct icmp_error {
	uint8_t type, code; /* of the packet's own family */
	uint32_t info;	    /* next-hop MTU for "too big" (host order), else 0 */
	uint8_t source[16]; /* source address of the message: 4 or 16 bytes */
};
/** The error for a drop reason of a packet of that family, or type 0 when RFCs want silence. */
struct icmp_error icmp_error_for(enum drop_reason reason, bool v6);

/** Make the error message about packet m (IP header at p->l2_len). RFC 1122 section 3.2.2 and RFC 4443 section 2.4(e) are
 * honoured: none about ICMP errors, later fragments, multicast, broadcast or unspecified sources. The message quotes as
 * much as RFC 1812 (576 bytes in all) / RFC 4443 (1280) allow, starts at its IP header, has headroom for any
 * adjacency, all checksums, TTL 64. Large TSO packets and partial checksums in the quoted part are fine (copied as is).
 * @return a new mbuf, or NULL when none is due or no buffer is free. m is not touched and stays the caller's. */
struct rte_mbuf *icmp_error_make(struct rte_mempool *pool, const struct rte_mbuf *m,
	const struct pkt *p, const struct icmp_error *error);

/** Turn an echo request addressed to this node into its reply, in place: addresses swapped, TTL 64, checksums right.
 * m's IP header is at p->l2_len. @return DROP_NONE, or DROP_icmp_bad_checksum / DROP_l4_truncated / DROP_no_local_listener
 * when it is not an echo request. Multi-segment packets included. */
enum drop_reason icmp_echo_reply(struct rte_mbuf *m, struct pkt *p);

/** Lower the MSS option of a TCP SYN to `mss` and fix the checksum incrementally (RFC 1624). @return true if changed. */
bool tcp_mss_clamp(struct rte_mbuf *m, const struct pkt *p, uint16_t mss);

#endif
