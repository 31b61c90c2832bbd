/* SPDX-License-Identifier: Apache-2.0 */
/** Flows of kernel pods that the kernel forwards by itself, once the daemon has decided about them: from pod to pod of the node, and
 * from a pod out of an uplink that the kernel knows, in a tunnel or not. Neither a copy into the daemon nor one back is made, and
 * large segments stay whole until a wire needs them cut.
 *
 * Decisions stay the daemon's. A flow is given to the kernel only while it is established, no limit and nobody who watches wants
 * to see its packets, and its decision holds; a commit takes all of them back for one packet each (kernel_slots.h). What
 * begins, ends or looks odd goes through the daemon. Packets that the kernel forwarded are in the same counters as all others,
 * at most a second late, and in time for whoever asks (kernel_flows_harvest).
 *
 * Control thread only, unless a function says otherwise.
 */
#ifndef DATAPLANE_KERNEL_FLOWS_H
#define DATAPLANE_KERNEL_FLOWS_H

#include "dataplane/flow.h"
#include "dataplane/kernel_offers.h"
#include "dataplane/tc/kernel_flow.h"

struct port;

/** The tc program's maps. put replaces; 0 or -errno. For tests there may be others behind it than the kernel's. */
struct kernel_maps {
	int (*put)(void *arg, bool v6, const void *key, const struct kernel_flow *flow);
	int (*del)(void *arg, bool v6, const void *key);
	void *arg;
	int (*slot)(void *arg, bool v6, const void *key); /* that the map has for a key; -errno */
};

/** Begin: slots are mapped (KERNEL_SLOTS of them, zero), maps empty. reader: id of the RCU reader to be while looking at
 * entries. @return 0 or -ENOMEM. */
int kernel_flows_start(const struct kernel_maps *maps, struct kernel_slot *slots,
	struct flow_table *table, unsigned reader);
/** The daemon ends, workers have stopped. What the kernel has it keeps: pods that talk go on while there is no daemon. */
void kernel_flows_stop(void);

/** A worker's offers. */
void kernel_flows_take(struct kernel_offers *offers);
/** Every 100 ms: count what was forwarded and look after what is the kernel's, once a second. now_ms: the workers' clock. */
void kernel_flows_tick(uint32_t now_ms);
/** Bring all counters up to date. */
void kernel_flows_harvest(void);

/** Which flows: enum kernel_flows_mode. */
void kernel_flows_configure(uint32_t mode);
/** Why the kernel shall have none for a while. */
enum kernel_pause {
	KERNEL_PAUSE_SETTING = 1 << 0,	/* node/kernel_flows */
	KERNEL_PAUSE_OBSERVER = 1 << 1, /* somebody watches packets */
};
/** All flows come to the workers until this is taken back, and are given anew then. */
void kernel_flows_pause(enum kernel_pause why, bool pause);
/** Something that flows through this port depend on has changed without a commit: its limits. */
void kernel_flows_port_changed(const struct port *port);
/** It is about to be closed: what was forwarded is counted as its, while it has its number. */
void kernel_flows_port_gone(const struct port *port);
/** The header of an adjacency has changed without a change of its meaning. */
void kernel_flows_adjacency_changed(uint32_t adjacency);
/** Something that they all depend on. */
void kernel_flows_changed(void);

/** Number of flows that the kernel has. */
unsigned kernel_flows_count(void);

#endif
