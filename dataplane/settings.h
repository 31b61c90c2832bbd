/* SPDX-License-Identifier: Apache-2.0 */
/** The published root of everything workers read, and the few node settings they need. Immutable; one commit is one
 * rcu_publish of this pointer followed by generation_commit.
 */
#ifndef DATAPLANE_SETTINGS_H
#define DATAPLANE_SETTINGS_H

#include "config/address.h"
#include "dataplane/fib.h"
#include "dataplane/tunnel.h"

#include <stdatomic.h>

struct policy_table;

#define SETTINGS_KERNEL_MAX 32

struct settings {
	uint8_t gateway4[4]; /* what pods see as next hop */
	uint8_t gateway6[16];
	struct mac_addr gateway_mac;
	uint16_t host_port; /* port id, PORT_NONE = no host port */
	uint32_t icmp_rate; /* errors a second a worker */
	bool mss_clamp;
	bool low_latency; /* never sleep */
	uint32_t spin_us; /* polls so long after a packet before it sleeps; see spin.h */
	uint32_t spin_max_us;
	bool tcp_pickup; /* TCP of no known connection makes one */
	uint8_t icmp_source4
		[4]; /* source of ICMP errors where the receiving port has no address: first uplink address, */
	uint8_t icmp_source6[16]; /* else the gateway */
	/* Addresses of shared uplinks, which are the kernel's: what pods send there goes to it by the host port. */
	struct ip_addr kernel[SETTINGS_KERNEL_MAX];
	uint8_t n_kernel;
	uint32_t kernel_adjacency[2]; /* IPv4, IPv6; 0 = no host port with such an address */
};

struct tables {
	struct fib *fib4,
		*fib6; /* values: adjacency index, or PATHS_FLAG | index into path_groups[] */
	struct tunnel_table *tunnels;
	struct settings settings;
	const struct policy_table *policy; /* NULL = none: everything is allowed */
};
extern _Atomic(struct tables *) tables;

/* Several next hops: a weighted bucket array chosen by flow hash. Immutable objects behind a stable index. */
#define PATHS_FLAG    0x80000000u
#define PATHS_MAX     65536
#define PATHS_BUCKETS 64
struct path_group {
	uint32_t adjacency[PATHS_BUCKETS]; /* filled in proportion to the weights */
	uint32_t count;			   /* distinct next hops */
};
extern _Atomic(struct path_group *) path_groups[PATHS_MAX];

/** The adjacency a route value stands for. 0 (no route) stays DROP_no_route. */
static inline uint32_t route_adjacency(uint32_t value, uint64_t hash)
{
	if (value == FIB_NONE)
		return DROP_no_route;
	if ((value & PATHS_FLAG) == 0)
		return value;
	return atomic_load_explicit(&path_groups[value & ~PATHS_FLAG], memory_order_acquire)
		->adjacency[(hash >> 32) % PATHS_BUCKETS];
}

#endif
