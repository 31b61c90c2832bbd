/* SPDX-License-Identifier: Apache-2.0 */
/** Packets of a scenario, prepared in the plane's own buffers as a port would hand them over. A set belongs to one thread;
 * each thread has its own.
 */
#ifndef PERF_PACKETS_H
#define PERF_PACKETS_H

#include "perf/plane.h"

#define PACKETS_TEMPLATE_MAX 160
#define PACKETS_SIZES_MAX    3

/** Frame sizes in bytes with the frame's checksum (RFC 2544), as a repeating pattern. */
struct packets_sizes {
	unsigned count;
	struct {
		uint16_t bytes;
		uint16_t share; /* packets of this size in one turn of the pattern */
	} items[PACKETS_SIZES_MAX];
};
/** "64", "1400", or "imix": 7 of 64, 4 of 594, 1 of 1518 bytes. @return false when it is neither, or out of range. */
bool packets_sizes_parse(const char *text, struct packets_sizes *sizes);
/** Bytes a packet on average. */
double packets_sizes_mean(const struct packets_sizes *sizes);

struct packets_conf {
	const struct plane_scenario *scenario;
	uint32_t flows; /* NEW_FLOW: every packet has a flow of its own instead */
	uint32_t first; /* number of the first flow: sets may have flows of their own */
	uint32_t count; /* packets; plane_conf.buffers must allow for them */
	struct packets_sizes sizes;
	bool reply; /* what the other end of the same flows sends back (L3: pod:b; encap <-> decap) */
	bool scattered; /* buffers in random order, as after a while of running */
};

struct packets {
	struct packets_conf conf;
	struct port *in;     /* where they arrive */
	struct rte_mbuf **m; /* conf.count of them */
	uint32_t routes;
	/* One a size. What differs between flows is at inner_ip and inner_l4. */
	struct packets_template {
		uint8_t bytes[PACKETS_TEMPLATE_MAX];
		uint32_t len, frame;
	} templates[PACKETS_SIZES_MAX];
	uint8_t pattern[32]; /* template of packet i mod pattern_len */
	uint32_t pattern_len;
	uint32_t inner_ip, inner_l4;
};

/** Allocate buffers and make the templates. */
void packets_new(struct packets *set, const struct plane *plane, const struct packets_conf *conf);
/** Write all packets anew (a worker changed them). Flows go round from first_flow, scattered so that neighbours in a burst
 * are not neighbours in the table. */
void packets_prepare(struct packets *set, uint32_t first_flow);

/** Packets of a set that is larger than the second level cache several times over. */
uint32_t packets_cold_count(void);

#endif
