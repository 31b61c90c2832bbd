/* SPDX-License-Identifier: Apache-2.0 */
/** Frames of the tester: templates, what differs between packets, and the tag by which a frame is known again.
 *
 * The tag is the last 16 bytes of the frame, so that headers may come and go on the way. A frame without stamps differs
 * from its template by the flow's ports (and addresses) alone; a stamped one carries its sequence number and the time.
 */
#ifndef PERF_WIRE_FRAME_H
#define PERF_WIRE_FRAME_H

#include "perf/wire.h"

#include <rte_byteorder.h>
#include <rte_mbuf.h>
#include <string.h>

#define WIRE_HEAD_MAX	 160
#define WIRE_SOURCE_PORT 1024 /* of the first flow */
#define WIRE_DEST_PORT	 5001
#define WIRE_FCS	 4u

/** At the end of the frame; written and read by this machine only, so in its own byte order. */
struct wire_tag {
	uint32_t word;	   /* magic, direction, trial: wire_tag_word */
	uint32_t sequence; /* of the direction; 0 when not stamped */
	uint64_t tsc;	   /* at sending; 0 when not stamped */
};
_Static_assert(
	sizeof(struct wire_tag) == 16, "the tag fits the payload of a 64 byte frame of IPv4");

/** A word that says: ours, of this direction and trial. */
static inline uint32_t wire_tag_word(unsigned direction, uint8_t trial)
{
	return 0x57a30000u | direction << 8 | trial;
}

/** All frames of one direction and size. */
struct wire_frame {
	uint8_t head[WIRE_HEAD_MAX]; /* from the first byte to the end of the UDP header */
	uint16_t head_len, length;   /* length: the frame without its checksum */
	uint16_t ip, l4,
		outer_l4; /* offsets of the inner headers; outer_l4: of the outer UDP header, 0 = none */
	uint16_t dst_low;     /* offset of the last four bytes of the inner destination */
	bool v6, odd, spread; /* odd: where the tag begins; spread: destinations differ as well */
	uint32_t dst_base, dst_mask; /* host order; bits of dst_mask differ by flow */
	uint32_t ip_sum;	     /* v4: sum over the header without checksum and destination */
	uint64_t
		udp_sum; /* v6: sum over pseudo header, UDP header and payload without what differs */
};

/** Build the template of a size (with checksum). @return 0, or -EINVAL when the tag does not fit, with a message. */
int wire_frame_init(struct wire_frame *f, const struct wire_keys *keys, uint32_t size,
	uint32_t flows, struct error *err);
/** Length of the longest frame a size makes, without its checksum: encapsulation included. */
uint32_t wire_frame_length(const struct wire_keys *keys, uint32_t size);
/** Write a whole frame of flow 0 to data: what the functions below then change. */
void wire_frame_fill(const struct wire_frame *f, uint8_t *data, uint32_t tag_word);

/* Internet checksums are sums of 16-bit words in any byte order, RFC 1071; all below are of words as memory has them. */
static inline uint64_t wire_sum_add32(uint64_t sum, uint32_t word)
{
	return sum + word;
}
static inline uint16_t wire_sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/** Make data, a frame of this template, one of the given flow. `stamped`: and of this sequence number and time. Constant
 * arguments where it matters: sending is what limits the tester. */
static __rte_always_inline void wire_frame_flow(const struct wire_frame *f, uint8_t *data,
	uint32_t flow, bool stamped, uint32_t sequence, uint64_t tsc)
{
	uint32_t source = WIRE_SOURCE_PORT + flow % WIRE_PORT_FLOWS, round = flow / WIRE_PORT_FLOWS,
		 ports;
	uint32_t dest = WIRE_DEST_PORT + (f->spread ? 0 : round), dst = 0;
	struct wire_tag *tag = (struct wire_tag *)(data + f->length - sizeof(*tag));

	ports = rte_cpu_to_be_32(source << 16 | dest);
	memcpy(data + f->l4, &ports, sizeof(ports));
	if (f->spread) {
		dst = rte_cpu_to_be_32(
			(f->dst_base & ~f->dst_mask) | ((f->dst_base + round) & f->dst_mask));
		memcpy(data + f->dst_low, &dst, sizeof(dst));
		if (!f->v6) {
			uint16_t sum = (uint16_t)~wire_sum_fold(wire_sum_add32(f->ip_sum, dst));

			memcpy(data + f->ip + 10, &sum, sizeof(sum));
		}
	}
	if (f->outer_l4 != 0) {
		/* RFC 7348 section 5: the outer source port tells flows apart. */
		uint16_t entropy =
			rte_cpu_to_be_16((uint16_t)(0xc000 | (flow * 2654435761u) >> 18));

		memcpy(data + f->outer_l4, &entropy, sizeof(entropy));
	}
	if (stamped) {
		tag->sequence = sequence;
		tag->tsc = tsc;
	}
	if (f->v6) {
		uint64_t of_tag = tag->word;
		uint16_t sum;

		if (stamped)
			of_tag += (uint64_t)sequence + (uint32_t)tsc + (tsc >> 32);
		if (f->odd)
			of_tag = rte_bswap16(wire_sum_fold(of_tag));
		sum = (uint16_t)~wire_sum_fold(f->udp_sum + ports + dst + of_tag);
		if (sum == 0)
			sum = 0xffff; /* RFC 8200 section 8.1 */
		memcpy(data + f->l4 + 6, &sum, sizeof(sum));
	}
}

/** The tag of a received frame; copied to buf when it is not in one piece. @return NULL: too short for one. */
static inline const struct wire_tag *wire_tag_find(const struct rte_mbuf *m, struct wire_tag *buf)
{
	if (unlikely(m->pkt_len < sizeof(*buf)))
		return NULL;
	if (likely(m->nb_segs == 1))
		return rte_pktmbuf_mtod_offset(
			m, const struct wire_tag *, m->data_len - sizeof(*buf));
	return rte_pktmbuf_read(m, m->pkt_len - (uint32_t)sizeof(*buf), sizeof(*buf), buf);
}

#endif
