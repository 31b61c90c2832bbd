/* SPDX-License-Identifier: Apache-2.0 */
/** Workers and the life of the data plane. The way of a packet through a worker is worker.c, top to bottom.
 *
 * Functions here are for the control thread. Worker threads are created, pinned and joined by start and stop.
 */
#ifndef DATAPLANE_WORKER_H
#define DATAPLANE_WORKER_H

#include "config/model.h"
#include "dataplane/counters.h"
#include "dataplane/flow.h"
#include "dataplane/resolve.h"
#include "dataplane/tunnel.h"

#include <jansson.h>

/** EAL, buffer pools, RCU, adjacencies, punt rings, flow table, forwarding_init, worker threads (polling nothing yet).
 * Once a process. Several daemons on one machine do not collide (private memory, unique prefix). On error everything is
 * undone as far as EAL allows; the process should exit. */
int dataplane_start(
	const struct node *node, const struct tunnel_ops *const *types, struct error *err);
/** Before dataplane_start, while another daemon runs: are there huge pages for both? -ENOMEM when this machine has enough for
 * one only: the second would be slower than the first. */
int dataplane_fits_beside(const struct node *node, struct error *err);
/** Stop workers (they drain what they hold) and close ports: another daemon may open them now. Pods keep their interfaces;
 * with a successor so does the node. */
void dataplane_halt(bool successor);
/** Halt if that has not been done, and free everything. */
void dataplane_stop(void);
/** Change settings that can change at run time: latency, flow timeouts. */
void dataplane_configure(const struct node *node);

struct worker_info {
	unsigned id;
	int cpu;	  /* -1 = not pinned */
	int numa_node;	  /* of the CPU, -1 = unknown */
	double busy;	  /* share of cycles spent on packets, 0..1, over the last second */
	uint64_t packets; /* received since start */
	uint64_t sleeps;  /* times it went idle */
	unsigned queues;  /* (port, queue) pairs it polls */
};
unsigned dataplane_worker_count(void);
bool dataplane_worker(unsigned id, struct worker_info *info);

/** Every 100 ms: measure the load of queues, and move one to another worker if that is worth it (placement.h). */
void dataplane_tick(void);
/** Control: flows that workers offer to the kernel; when punt_event_fd is readable. */
void dataplane_take_offers(void);

struct flow_table *dataplane_flows(void);
/** Reader id of the control thread for flow_table_each. */
unsigned dataplane_control_reader(void);

struct memory_info {
	size_t dpdk_bytes; /* reserved by EAL */
	bool hugepages;	   /* true: 2 MiB pages */
	uint32_t buffers, buffers_free, large_buffers, large_buffers_free;
	size_t flow_bytes, fib4_bytes, fib6_bytes;
	size_t resident_bytes; /* of the process */
};
void dataplane_memory(struct memory_info *info);

/** A packet to explain. Ports in host order; icmp type/code in sport/dport's place as packet.h says. */
struct explain_request {
	const char *from; /* port name ("pod:web-1", "eth0", "podlane0") or "tunnel" */
	struct ip_addr src, dst;
	uint8_t proto;
	uint16_t sport, dport;
	uint16_t length; /* IP bytes, for the MTU step; 0 = 100 */
};
/** Run the data plane's own resolve with a recorder, for the forward and the reply direction. New reference:
 * {"verdict":"forward"|"drop", "reason":..., "adjacency":"...", "flow":{...cached entry if any}, "steps":[{stage,text}],
 *  "reply":{...}}. */
int dataplane_explain(const struct explain_request *request, json_t **out, struct error *err);

/** Milliseconds of the data plane's clock (flow last_seen). */
uint32_t dataplane_now_ms(void);

#endif
