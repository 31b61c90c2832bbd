/* SPDX-License-Identifier: Apache-2.0 */
/** The shared end of a path: output port, header to prepend, MTU. Thousands of flows name one adjacency by its index;
 * a changed neighbour or tunnel endpoint replaces one object and touches no flow.
 *
 * An object is immutable once published in adjacencies[]; replaced objects are retired through RCU. The control thread
 * is the only writer. Indices are reused only after a grace period, and with a larger generation.
 */
#ifndef DATAPLANE_ADJACENCY_H
#define DATAPLANE_ADJACENCY_H

#include "config/address.h"
#include "dataplane/drop.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADJACENCY_MAX	     131072
#define ADJACENCY_HEADER_MAX 96 /* Ethernet + IPv6 + UDP + VXLAN + Ethernet is 84 */
#define ADJACENCY_NONE	     UINT32_MAX

enum adjacency_type {
	ADJ_DROP, /* ends here: `drop`; adjacency index == enum drop_reason for these, made by adjacency_init */
	ADJ_REWRITE, /* prepend an Ethernet header, send on `port` */
	ADJ_TUNNEL, /* prepend outer headers (and an inner Ethernet header for VXLAN), send on `port` */
	ADJ_RESOLVING, /* next hop known, its MAC is not: control holds the packet */
	ADJ_GLEAN,     /* a connected subnet: control makes a neighbour of the destination */
	ADJ_LOCAL,     /* this node itself: echo replies, host port */
};

enum adjacency_flags {
	ADJ_OUTER_V4 = 1 << 0,
	ADJ_OUTER_V6 = 1 << 1,
	ADJ_UDP = 1 << 2,	   /* the outer header has UDP: set its length and source port */
	ADJ_UDP_CHECKSUM = 1 << 3, /* and its checksum (over IPv6 unless zero is allowed) */
	ADJ_COPY_DF =
		1
		<< 4, /* outer DF := inner DF (RFC 2003 section 3.1); otherwise as in the template */
	ADJ_ECN =
		1
		<< 5, /* copy DSCP and ECN outwards, RFC 6040 section 4.1 normal mode; RFC 2983 uniform */
};

struct adjacency {
	/* Cache line 0: what every packet needs. */
	uint8_t type;	       /* enum adjacency_type */
	uint8_t flags;	       /* enum adjacency_flags */
	uint8_t header_len;    /* bytes of header[] in use */
	uint8_t outer_ip_off;  /* of the outer IP header in header[] (14) */
	uint8_t outer_udp_off; /* of the outer UDP header; 0 = none */
	uint8_t drop;	       /* enum drop_reason for ADJ_DROP */
	uint16_t port;	       /* output port id */
	uint16_t mtu;	       /* largest inner IP packet that fits, bytes */
	uint16_t
		outer_len; /* header bytes that count into the outer IP length: header_len - outer_ip_off */
	uint32_t
		generation; /* of the index, see generation.h; a replacement that keeps the meaning keeps it */
	uint32_t
		outer_sum; /* unfolded IPv4 header sum of the template with length, TOS and DF zero */
	uint32_t index;
	uint32_t tunnel_hash; /* identity of the peer for show; 0 = none */
	uint16_t
		plain_mtu; /* largest plain packet (plain.h) that burst.c may send by itself: mtu, or 0; set on publication */
	uint8_t reserved0[34];
	/* Cache lines 1 and 2: the template, immutable. */
	uint8_t header[ADJACENCY_HEADER_MAX];
	/* For people and for control; workers use next_hop only when they punt. */
	struct ip_addr next_hop; /* on-link address being resolved, or the tunnel's remote */
	uint8_t reserved1[15];
	char text[64]; /* "vxlan to node-b (192.0.2.2) via eth0" */
};
static_assert(offsetof(struct adjacency, header) == 64, "the template starts a cache line");
static_assert(sizeof(struct adjacency) == 256, "no padding: adjacency_update compares bytes");

extern _Atomic(struct adjacency *) adjacencies[ADJACENCY_MAX];

/** Never NULL for an index that a published table or flow holds within its grace period; index 0 and anything freed
 * is a drop adjacency (DROP_no_route). */
static inline const struct adjacency *adjacency_get(uint32_t index)
{
	return atomic_load_explicit(&adjacencies[index], memory_order_acquire);
}

/** Control. Makes the ADJ_DROP adjacencies (index == drop reason, 1..DROP_REASON_COUNT-1) and ADJ_LOCAL. */
int adjacency_init(void);
void adjacency_fini(void);
/** The index of the one ADJ_LOCAL adjacency. */
uint32_t adjacency_local(void);
/** Control: take a free index for a copy of *init (index and generation are filled in). @return index or ADJACENCY_NONE. */
uint32_t adjacency_new(const struct adjacency *init);
/** Control: replace the object of an index by a copy of *next. `same` keeps the generation: flows stay valid. */
void adjacency_replace(uint32_t index, const struct adjacency *next, bool same);
/** Control: point the index at DROP_no_route now; reuse it after a grace period. The caller commits a generation. */
void adjacency_free(uint32_t index);
/** Control: replace only if *next differs from what is there in more than index and generation. */
void adjacency_update(uint32_t index, const struct adjacency *next, bool same);
/** Number in use. */
uint32_t adjacency_count(void);

#endif
