/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/limit.h"

#include "dataplane/kernel_flows.h"
#include "dataplane/rcu.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_ether.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_BITS \
	(65536u * 8u) /* a large TCP segment passes at once, or TCP would be held up at every one */
#define SEGMENT_PACKETS 64u
#define BURSTS		10u /* a second */
#define LIMIT_BURST \
	256u /* most packets limit_apply is given: a vector, or a transmit batch and a vector */

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t limit_burst_bits(const struct limit_conf *conf)
{
	return conf->burst_bits != 0 ? conf->burst_bits
				     : larger(conf->bits_per_second / BURSTS, SEGMENT_BITS);
}

uint64_t limit_burst_packets(const struct limit_conf *conf)
{
	return conf->burst_packets != 0
		       ? conf->burst_packets
		       : larger(conf->packets_per_second / BURSTS, SEGMENT_PACKETS);
}

static bool none(const struct limit_conf *conf)
{
	return conf->bits_per_second == 0 && conf->packets_per_second == 0;
}

static void buckets_init(
	struct port_limits *limits, enum limit_direction d, const struct port_limits *old)
{
	const struct limit_conf *conf = &limits->conf[d];
	struct bucket *bytes = &limits->bucket[d].bytes, *packets = &limits->bucket[d].packets;

	bucket_init(bytes, conf->bits_per_second / 8, limit_burst_bits(conf) / 8, rte_get_tsc_hz(),
		rte_rdtsc());
	bucket_init(packets, conf->packets_per_second, limit_burst_packets(conf), rte_get_tsc_hz(),
		rte_rdtsc());
	if (old == NULL || memcmp(&old->conf[d], conf, sizeof(*conf)) != 0)
		return;
	/* Not full again because the other direction has changed. What workers have taken of it is lost: chunks. */
	atomic_init(&bytes->empty_at,
		atomic_load_explicit(&old->bucket[d].bytes.empty_at, memory_order_relaxed));
	atomic_init(&packets->empty_at,
		atomic_load_explicit(&old->bucket[d].packets.empty_at, memory_order_relaxed));
}

int port_limits_make(
	struct port *port, const struct limit_conf conf[LIMIT_DIRECTIONS], struct port_limits **out)
{
	const struct port_limits *old = rcu_own(&port->limits);
	struct port_limits *next;

	*out = NULL;
	if (none(&conf[LIMIT_EGRESS]) && none(&conf[LIMIT_INGRESS]))
		return old != NULL ? 0 : -EALREADY;
	if (old != NULL && memcmp(old->conf, conf, sizeof(old->conf)) == 0)
		return -EALREADY;
	next = aligned_alloc(_Alignof(struct port_limits), sizeof(*next));
	if (next == NULL)
		return -ENOMEM;
	memset(next, 0, sizeof(*next));
	memcpy(next->conf, conf, sizeof(next->conf));
	for (unsigned d = 0; d < LIMIT_DIRECTIONS; d++)
		buckets_init(next, (enum limit_direction)d, old);
	*out = next;
	return 0;
}

void port_limits_publish(struct port *port, struct port_limits *limits)
{
	rcu_retire(rcu_publish(&port->limits, limits), free);
	kernel_flows_port_changed(port);
}

void port_limits_free(struct port_limits *limits)
{
	free(limits);
}

void limit_wire(const struct rte_mbuf *m, uint32_t *packets, uint32_t *bytes)
{
	uint32_t headers, length = rte_pktmbuf_pkt_len(m), payload;

	*packets = 1;
	*bytes = length;
	if (likely((m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)) == 0) ||
		m->tso_segsz == 0)
		return;
	headers = RTE_ETHER_HDR_LEN + m->l3_len + m->l4_len;
	if (length <= headers)
		return;
	payload = length - headers;
	*packets = (payload + m->tso_segsz - 1) / m->tso_segsz;
	*bytes = length + (*packets - 1) * headers;
}

uint16_t limit_apply(struct port_limits *limits, unsigned worker, enum limit_direction direction,
	uint64_t now, struct rte_mbuf **pkts, uint16_t n)
{
	struct bucket *bytes = &limits->bucket[direction].bytes,
		      *packets = &limits->bucket[direction].packets;
	struct limit_own *own = &limits->own[worker].direction[direction];
	struct rte_mbuf *beyond[LIMIT_BURST];
	uint16_t pass = 0, stopped = 0;

	if (!bucket_limits(bytes) && !bucket_limits(packets))
		return n;
	for (uint16_t i = 0; i < n; i++) {
		uint32_t frames, length;

		if (!bucket_ready(packets, &own->packets, now) ||
			!bucket_ready(bytes, &own->bytes, now)) {
			beyond[stopped++] = pkts[i];
			continue;
		}
		limit_wire(pkts[i], &frames, &length);
		own->packets -= frames;
		own->bytes -= length;
		pkts[pass++] = pkts[i];
	}
	/* The tokens of a bucket that does not limit are never asked for. */
	own->packets = bucket_limits(packets) ? own->packets : 0;
	own->bytes = bucket_limits(bytes) ? own->bytes : 0;
	if (stopped > 0)
		memcpy(&pkts[pass], beyond, stopped * sizeof(beyond[0]));
	return pass;
}
