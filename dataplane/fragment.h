/* SPDX-License-Identifier: Apache-2.0 */
/** Fragments: cutting packets that exceed an MTU, giving every fragment of a forwarded packet the flow of the first, and
 * putting fragmented tunnel packets together. IPv4 RFC 791, 815, 1858, 3128; IPv6 RFC 8200 section 4.5, 5722, 6946, 8200.
 * Worker threads; rare path.
 */
#ifndef DATAPLANE_FRAGMENT_H
#define DATAPLANE_FRAGMENT_H

#include "dataplane/packet.h"

/** Cut an IPv4 packet (IP header at offset 0, checked by pkt_parse_*, DF clear, no partial checksum) into fragments of at
 * most mtu bytes. Options are copied as their flag says (RFC 791 page 23). Works on fragments too. Multi-segment input.
 * Outputs start at their IP headers with headroom for any adjacency, all but out[0] with ol_flags 0; out[0] is m itself,
 * shortened. A packet that fits is one fragment.
 * @return number of fragments, or 0 with m untouched (and *reason: DROP_no_buffer, DROP_packet_too_big when more than max
 * or when the MTU leaves no room for 8 bytes). */
uint16_t fragment_cut(struct rte_mbuf *m, uint16_t mtu, struct rte_mempool *pool,
	struct rte_mbuf **out, uint16_t max, enum drop_reason *reason);

/** Cut an IPv6 packet on behalf of its sender (IP header at offset 0, extension headers up to l3_len, no fragment header
 * among them, no partial checksum) into fragments of at most `size` bytes with this identification (RFC 8200 section 4.5). A
 * packet that fits is one, with a fragment header (RFC 6946). Outputs are new, in other things as those of fragment_cut.
 * @return number of fragments, m is freed; or 0 as fragment_cut. */
uint16_t fragment_cut_v6(struct rte_mbuf *m, uint16_t l3_len, uint16_t size, uint32_t id,
	struct rte_mempool *pool, struct rte_mbuf **out, uint16_t max, enum drop_reason *reason);

/** Shared tracker of forwarded fragmented packets: remembers the ports of a first fragment under (zone, addresses, id,
 * IPv4: protocol), holds fragments that come before it. Bounded: packets tracked, fragments held a packet (16) and in all,
 * 30 s (RFC 791) or 60 s (RFC 8200). Overlaps are refused, the rest of the packet with them (RFC 5722); of exact
 * duplicates only the copy. An identification is free again when all parts have passed. */
struct fragment_table;
struct fragment_table *fragment_table_new(unsigned max_packets, unsigned max_held);
void fragment_table_free(struct fragment_table *table);

struct fragment_release {
	struct rte_mbuf *m[17];
	struct pkt p[17];
	uint16_t count;
};
/** Worker: a packet of class PKT_FRAG with its key as pkt_parse_* left it. IP header at p->l2_len.
 * DROP_NONE: *out has the packets that can go on now, keys and p[].m completed (a first fragment, then those that waited
 * for it, in order of arrival; or this later one alone); or it is empty and *held says that m was kept.
 * Otherwise fragment_malformed, fragment_table_full or fragment_timeout: m is the caller's to free and count, and so are
 * the fragments in *dropped, which were held until now. Takes a spinlock of one bucket. now_ms as in flow.h. */
enum drop_reason fragment_track(struct fragment_table *table, struct rte_mbuf *m, struct pkt *p,
	uint32_t now_ms, struct fragment_release *out, bool *held,
	struct fragment_release *dropped);
/** Worker: forget packets that timed out, a slice of the table at a time; the fragments they held are the caller's to free
 * and count (DROP_fragment_timeout). */
void fragment_expire(
	struct fragment_table *table, uint32_t now_ms, struct fragment_release *expired);

/** Reassembly of fragments addressed to this node (outer fragments of tunnels, big echo requests): up to 64 KiB in 64
 * parts. One a worker. When its bucket is full, a new packet takes the place of the oldest. */
struct reassembly;
struct reassembly *reassembly_new(unsigned max_packets, int socket_id);
/** Frees the fragments held, too. NULL is allowed. */
void reassembly_free(struct reassembly *r);
/** @return the whole packet when m completed it (starts at the first fragment's L2 header; p is to be parsed again by the
 * caller), else NULL: m was kept or freed. *n_freed: fragments freed inside, m perhaps among them (timeouts, overlaps,
 * duplicates, no room), *n_merged: fragments that became part of the result beyond one, for the invariant. ECN: RFC 3168
 * section 5.3. */
struct rte_mbuf *reassembly_add(struct reassembly *r, struct rte_mbuf *m, struct pkt *p,
	uint64_t now_tsc, unsigned *n_freed, unsigned *n_merged);
/** Free what timed out in the next so many buckets (four packets each). @return fragments freed. reassembly_add looks at one
 * bucket a call by itself; this is for times when no fragments come. */
unsigned reassembly_expire(struct reassembly *r, uint64_t now_tsc, unsigned buckets);
/** Fragments held right now. */
unsigned reassembly_held(const struct reassembly *r);

#endif
