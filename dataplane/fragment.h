/* SPDX-License-Identifier: Apache-2.0 */
/** Fragments: cutting packets that exceed an MTU, giving every fragment of a forwarded packet the flow of the first, and
 * putting fragmented tunnel packets together. IPv4 RFC 791, 815, 1858, 3128; IPv6 RFC 8200 section 4.5, 5722, 6946, 8200.
 * Worker threads; rare path.
 */
#ifndef DATAPLANE_FRAGMENT_H
#define DATAPLANE_FRAGMENT_H

#include "dataplane/packet.h"

/** Cut an IPv4 packet (IP header at offset 0, DF clear, no partial checksum) into fragments of at most mtu bytes.
 * Options are copied as their flag says (RFC 791 page 23). Works on fragments too. Multi-segment input. Outputs start at
 * their IP headers with headroom for any adjacency. m is consumed on success. IPv6 is never cut here.
 * @return number of fragments, or 0 (and *reason: DROP_no_buffer, DROP_packet_too_big when more than max). */
uint16_t fragment_cut(struct rte_mbuf *m, uint16_t mtu, struct rte_mempool *pool, struct rte_mbuf **out, uint16_t max,
	enum drop_reason *reason);

/** Shared tracker of forwarded fragmented packets: remembers the ports of a first fragment under (zone, addresses, id,
 * protocol), holds fragments that come before it. Bounded: packets tracked, fragments held a packet (16) and in all,
 * 30 s (RFC 791) or 60 s (RFC 8200). Overlaps are refused, the whole packet with them (RFC 5722). */
struct fragment_table;
struct fragment_table *fragment_table_new(unsigned max_packets, unsigned max_held);
void fragment_table_free(struct fragment_table *table);

struct fragment_release {
	struct rte_mbuf *m[17];
	struct pkt p[17];
	uint16_t count;
};
/** Worker: a packet of class PKT_FRAG with its half-filled key (ports zero). IP header at p->l2_len.
 * Returns in *out the packets that can go on now, keys completed in order of arrival (the packet itself, and the held
 * ones when it was the first fragment); `held` = 1 when it was kept. DROP reasons: fragment_malformed,
 * fragment_table_full; then the packet (and, for overlaps, `dropped[]` held ones) are the caller's to free and count.
 * May take a per-bucket spinlock. now_ms as in flow.h. */
enum drop_reason fragment_track(struct fragment_table *table, struct rte_mbuf *m, struct pkt *p, uint32_t now_ms,
	struct fragment_release *out, bool *held, struct fragment_release *dropped);
/** Worker: free held fragments that timed out, a slice of the table at a time; they are returned for counting
 * (DROP_fragment_timeout). */
void fragment_expire(struct fragment_table *table, uint32_t now_ms, struct fragment_release *expired);

/** Reassembly of fragments addressed to this node (outer fragments of tunnels, big echo requests), by rte_ip_frag.
 * One a worker. */
struct reassembly;
struct reassembly *reassembly_new(unsigned max_packets, int socket_id);
void reassembly_free(struct reassembly *r);
/** @return the whole packet when m completed it (starts at the same L2 header, p re-parsed by the caller), else NULL with
 * m kept. *n_freed: fragments freed by timeouts inside, *n_merged: fragments that became part of the result beyond
 * one, for the invariant. */
struct rte_mbuf *reassembly_add(struct reassembly *r, struct rte_mbuf *m, struct pkt *p, uint64_t now_tsc,
	unsigned *n_freed, unsigned *n_merged);
/** Fragments held right now. */
unsigned reassembly_held(const struct reassembly *r);

#endif
