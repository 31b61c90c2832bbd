/* SPDX-License-Identifier: Apache-2.0 */
/** Rate limits of a pod: bits and packets a second, each direction, as the pod sees it: ingress is what it receives, egress
 * what it sends (as Kubernetes' kubernetes.io/ingress-bandwidth and egress-bandwidth). What is beyond is dropped.
 *
 * Counted are Ethernet frames without their checksum, as they would be on a wire: a large TCP or UDP segment counts as the
 * frames it stands for, each with headers of its own. Both limits of a direction have to have room.
 *
 * Egress is applied where packets are taken from the pod, ingress where they are handed to it, so a limit costs nothing
 * where there is none: port->limits is then NULL, beside what is read anyway.
 *
 * Control makes and replaces a port's limits, RCU. Workers apply them.
 */
#ifndef DATAPLANE_LIMIT_H
#define DATAPLANE_LIMIT_H

#include "dataplane/bucket.h"
#include "dataplane/counters.h"

#include <rte_common.h>

enum limit_direction { LIMIT_EGRESS, LIMIT_INGRESS, LIMIT_DIRECTIONS };

/** What is configured; 0 = no limit, or the burst that follows from the rate. */
struct limit_conf {
	uint64_t bits_per_second, burst_bits;
	uint64_t packets_per_second, burst_packets;
};

/** Tokens a worker has taken from the buckets and not spent. */
struct limit_own {
	int64_t bytes, packets;
};

struct port_limits {
	struct limit_conf conf[LIMIT_DIRECTIONS];
	struct {
		struct bucket bytes, packets;
	} __rte_cache_aligned bucket[LIMIT_DIRECTIONS];
	struct {
		struct limit_own direction[LIMIT_DIRECTIONS];
	} __rte_cache_aligned own[RCU_WORKERS_MAX]; /* writer: that worker */
};

/** Control: what a port's limits will be; *out is NULL for none. A direction that stays as it is keeps its buckets.
 * @return 0; -EALREADY: they are like that; -ENOMEM. */
int port_limits_make(struct port *port, const struct limit_conf conf[LIMIT_DIRECTIONS],
	struct port_limits **out);
/** Control: have them in force from each worker's next burst on. */
void port_limits_publish(struct port *port, struct port_limits *limits);
/** Limits that were never published, or whose port is gone. */
void port_limits_free(struct port_limits *limits);
/** Bits, or packets, that a burst of 0 stands for: a tenth of a second, and no less than one large segment (64 packets). */
uint64_t limit_burst_bits(const struct limit_conf *conf);
uint64_t limit_burst_packets(const struct limit_conf *conf);

/** Worker: move those of n packets that pass to the front, in order, and those beyond the limit behind them.
 * @return how many pass. */
uint16_t limit_apply(struct port_limits *limits, unsigned worker, enum limit_direction direction,
	uint64_t now, struct rte_mbuf **pkts, uint16_t n);
/** Frames on a wire that a packet stands for, and their bytes. The packet starts at its Ethernet header. */
void limit_wire(const struct rte_mbuf *m, uint32_t *packets, uint32_t *bytes);

#endif
