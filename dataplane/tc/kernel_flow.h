/* SPDX-License-Identifier: Apache-2.0 */
/** Flows of kernel pods that the kernel forwards by itself: what the tc program (forward.bpf.h) and the daemon share. Two hash
 * maps, a family each, from the key of a flow to what is to be done, and one array of slots that both sides have mapped.
 *
 * A flow is forwarded by the program while its slot is on and has the epoch of the header, slot 0. So one store of the daemon
 * sends all flows back to its workers, and one store of a worker gives one of them to the kernel again. Anything that the
 * program does not like about a packet sends that packet to the daemon, which knows what to do with it.
 *
 * Addresses, ports and headers in network byte order, all else in the host's.
 */
#ifndef DATAPLANE_TC_KERNEL_FLOW_H
#define DATAPLANE_TC_KERNEL_FLOW_H

#include <linux/types.h>

#define KERNEL_SLOTS	   16384 /* the first is the header */
#define KERNEL_FLOW_HEADER 84	 /* longest: Ethernet, IPv6, UDP, VXLAN, Ethernet */
#define KERNEL_SLOTS_MAP   "slots"
#define KERNEL_FLOWS4_MAP  "flows4"
#define KERNEL_FLOWS6_MAP  "flows6"

/** Written by the program: packets, segments, bytes, seq, fresh. By the daemon: the rest; seq and fresh while the slot is not
 * current. Atomic where it says so, by both. */
struct kernel_slot {
	__u64 packets;	/* atomic; as they came from the pod */
	__u64 segments; /* atomic; as a wire would see them */
	__u64 bytes;	/* atomic; of IP packets, as they came */
	__u64 decision; /* the daemon's: what the map says is done is what this flow decision says */
	__u64 key;	/* kernel_key_sum of its flow's */
	__u32 seq;	/* TCP: sequence number of the last segment */
	__u32 span;	/* TCP: how far the next may be from it, see FLOW_SEQ_BACK; all ones: any */
	__u32 epoch;	/* slot 0: of the tables; else: when the decision was last known to hold */
	__u32 on;	/* slot 0: all of it */
	__u32 fresh;	/* seq is the program's */
	__u32 udp;	/* slot 0, the daemon's own: UDP flows as well */
};

struct kernel_key4 {
	__u32 src, dst;
	__u16 sport, dport;
	__u32 ifindex; /* where the packet comes from */
	__u32 proto;
};
struct kernel_key6 {
	__u32 src[4], dst[4];
	__u16 sport, dport;
	__u32 ifindex;
	__u32 proto;
};

/** Tells keys apart: an element of a map is another flow's as soon as it is deleted, a slot is not. */
static inline __attribute__((always_inline)) __u64 kernel_key_sum(const void *key, unsigned size)
{
	const __u32 *word = (const __u32 *)key;
	__u64 sum = 0;

	for (unsigned i = 0; i < size / sizeof(*word); i++)
		sum = (sum ^ word[i]) * 0x9e3779b97f4a7c15u;
	return sum;
}

enum kernel_path {
	KERNEL_PATH_PEER,   /* the other end of the veth `ifindex`, with header[0..14) */
	KERNEL_PATH_DIRECT, /* out of `ifindex`, with header[0..14) */
	KERNEL_PATH_VXLAN4, /* out of `ifindex`, in header */
	KERNEL_PATH_VXLAN6,
	KERNEL_PATH_IPIP4,
	KERNEL_PATH_IPIP6,
};

/** What is to be done with the packets of a flow. Replaced as a whole. */
struct kernel_flow {
	__u32 slot;
	__u32 ifindex;
	__u16 mtu;     /* largest IP packet before it is encapsulated */
	__u16 sport;   /* of the outer UDP header */
	__u32 label;   /* of the outer IPv6 header, host order */
	__u8 path;     /* enum kernel_path */
	__u8 copy_tos; /* DSCP and ECN outwards */
	__u8 copy_df;
	__u8 reserved;
	__u16 most;  /* largest IP packet, whatever it is cut into: its outer length fits */
	__u8 mac[6]; /* to which its frames are addressed: the gateway's */
	__u8 pad[2]; /* IP headers in header are aligned */
	__u8 header[KERNEL_FLOW_HEADER];
};

#endif
