/* SPDX-License-Identifier: Apache-2.0 */
/** Merging packets of one flow that are about to be sent to a port that takes large ones (generic receive offload): the
 * opposite of offload_segment. What came in small from a wire or a tunnel enters a kernel pod as one write and passes its
 * stack once.
 *
 * Worker threads; pure functions of the packets given. Nothing is held: what is not merged within one call goes out as it
 * is. Rules, the Linux kernel's but for identifications:
 * - TCP: the next in sequence, with the same acknowledgment, flags and options (so the same timestamps); only FIN and PSH
 *   may differ, and end it. No SYN, RST, URG or CWR. All segments but the last have the first one's size.
 * - UDP (RFC 768, as UDP GSO cuts it): all but the last have the first one's size; a checksum that says "none" stays alone.
 * - IP: the same TTL, DSCP, ECN and DF (flow label, traffic class); no options, extension headers or fragments. IPv4
 *   identifications follow each other, unless DF makes them meaningless (RFC 6864 section 4.1).
 * - Checksums are right: verified here, unless the sender left them to be computed or the source vouched.
 * The order of packets within a flow never changes.
 */
#ifndef DATAPLANE_GRO_H
#define DATAPLANE_GRO_H

#include <rte_mbuf.h>
#include <stdint.h>

#define GRO_SEGMENTS_MAX \
	64 /* packets in one, and buffers: what a receiver's kernel will cut UDP into */

/** Merge what can be. Frames start with Ethernet headers; packets with offload words are as port.h says. A merged packet is
 * the first of its packets with the payloads of the others behind it, and asks for RTE_MBUF_F_TX_TCP_SEG or _UDP_SEG.
 * @param offloads  what the port takes: of enum port_offload PORT_TX_TSO, PORT_TX_USO
 * @param saved     receives the bytes of headers that are gone
 * @return how many packets are left, at the front of pkts. */
uint16_t gro_merge(struct rte_mbuf **pkts, uint16_t n, unsigned offloads, uint64_t *saved);

#endif
