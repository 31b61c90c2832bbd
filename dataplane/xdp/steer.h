/* SPDX-License-Identifier: Apache-2.0 */
/** What the XDP program (steer.bpf.c) and who loads it (xdp_program.c) share: the names, keys and sizes of its maps. IPv4
 * addresses in `locals` and `tunnel_peers` are IPv4-mapped IPv6 ones (RFC 4291 section 2.5.5.2). Everything in network
 * byte order, but for prefix lengths.
 */
#ifndef DATAPLANE_XDP_STEER_H
#define DATAPLANE_XDP_STEER_H

#include <linux/types.h>

#define STEER_QUEUES_MAX    64 /* receive queues of a device */
#define STEER_PORTS_MAX	    64
#define STEER_LOCALS_MAX    64
#define STEER_PEERS_MAX	    65536
#define STEER_PREFIXES_MAX  65536 /* a family */
#define STEER_FRAGMENTS_MAX 4096  /* fragmented tunnel packets followed at a time */

struct steer_address {
	__u8 bytes[16];
};

struct steer_prefix4 {
	__u32 len;
	__u8 bytes[4];
};

struct steer_prefix6 {
	__u32 len;
	__u8 bytes[16];
};

/** A fragmented UDP packet whose first fragment went to a tunnel's port. */
struct steer_fragment {
	__u8 src[16], dst[16];
	__u32 id;
};

struct steer_settings {
	__u8 mac[6]; /* of the interface: frames for others are the kernel's */
	__u8 pad[2];
};

/** Counted by the program, per CPU. A frame counts as passed, or as one of the steered ones; of these, those without a
 * socket for their queue (nobody there, or no more) went to the kernel after all. */
enum steer_counter {
	STEER_PASSED,
	STEER_UDP_TUNNEL,
	STEER_IP_TUNNEL,
	STEER_PREFIX,
	STEER_TUNNEL_ERROR, /* ICMP "too big" about a packet in a tunnel */
	STEER_NO_SOCKET,
	STEER_COUNTERS
};

#endif
