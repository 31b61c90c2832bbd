/* SPDX-License-Identifier: Apache-2.0 */
/** Software completion of what a packet's offload words ask for, where the output cannot do it:
 * partial L4 checksums (the field holds the pseudo-header sum), large TCP segments, runs of UDP
 * datagrams, chains of buffers. The words are described in dataplane/port.h.
 *
 * Worker threads; functions of the packet alone. Headers up to the end of L4 must lie in the first
 * buffer; payload may be spread over any number of buffers, cut at odd bytes. l2_len is the offset
 * of the IP header in the packet: 14 for frames, 0 for packets that start with IP. Nothing in the
 * packet or its offload words is trusted. */
#ifndef DATAPLANE_OFFLOAD_H
#define DATAPLANE_OFFLOAD_H

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

/** Finish the TCP or UDP checksum of a packet that carries RTE_MBUF_F_TX_TCP_CKSUM, _UDP_CKSUM,
 * _TCP_SEG or _UDP_SEG and clear those flags: what was a large segment is then an ordinary packet of that
 * size. The sum covers what the IP length says, not link padding. A UDP sum of zero is sent as
 * 0xffff (RFC 768). A packet without those flags is left alone.
 * @return false when lengths contradict each other: DROP_offload_failed; the packet is unchanged.
 */
bool offload_complete_checksum(struct rte_mbuf *m);

/** Flags of a packet that stands for several: see port.h. */
#define OFFLOAD_LARGE (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)

/** Both flags, which means nothing to DPDK: one UDP datagram that its sender leaves to be sent as IP fragments of
 * tso_segsz bytes of payload, a multiple of eight (UFO, virtio's GSO_UDP). l4_len is that of the UDP header. */
#define OFFLOAD_DATAGRAM OFFLOAD_LARGE
static inline bool offload_is_datagram(const struct rte_mbuf *m)
{
	return (m->ol_flags & OFFLOAD_LARGE) == OFFLOAD_DATAGRAM;
}

/** Internet checksum over everything from byte `start`, stored `offset` bytes after it (virtio 1.2
 * section 5.1.6.2: what NEEDS_CSUM asks for whatever the protocol is). The two bytes must be in
 * the first buffer.
 * @return false when start or the field is outside the packet. */
bool offload_checksum_at(struct rte_mbuf *m, uint32_t start, uint32_t offset);

/** Do the words of a packet that asks for a TCP or UDP checksum (and is not large) agree with its bytes? */
bool offload_sound(const struct rte_mbuf *m);

/** Number of segments offload_segment would make, 0 for a packet it would refuse. */
uint16_t offload_segment_count(const struct rte_mbuf *m);

/** Cut a large packet, IPv4 or IPv6, into ones of at most tso_segsz payload bytes: a TCP segment (RTE_MBUF_F_TX_TCP_SEG)
 * or a run of UDP datagrams (RTE_MBUF_F_TX_UDP_SEG). IP lengths, identifications and header checksums, sequence numbers,
 * flags (FIN and PSH only in the last, CWR only in the first: RFC 3168 section 6.1.2), UDP lengths and L4 checksums are
 * complete; no offload flag is left. Each output is one buffer when its room suffices, with the pool's whole headroom (128
 * bytes) in front.
 * @param out  receives up to max packets, in order, owned by the caller
 * @return their number, m is then freed; or 0 with m still the caller's and nothing allocated:
 * malformed or an OFFLOAD_DATAGRAM (offload_segment_count is 0: DROP_offload_failed), more than max, or out of buffers
 * (DROP_no_buffer). */
uint16_t offload_segment(
	struct rte_mbuf *m, struct rte_mempool *pool, struct rte_mbuf **out, uint16_t max);

/** The same packet in one buffer, for drivers without multi-segment transmit. Offload words and
 * metadata are kept.
 * @return m itself when it is one buffer or could be made so; a new packet from pool or large_pool
 * (may be NULL), with m freed; or NULL with m untouched: longer than any buffer, or no buffer
 * free. */
struct rte_mbuf *offload_linearize(
	struct rte_mbuf *m, struct rte_mempool *pool, struct rte_mempool *large_pool);

#endif
