/* SPDX-License-Identifier: Apache-2.0 */
/** Which worker polls which rx queue: by measured load, near the queue's device, changed while packets flow.
 *
 * The load of a queue is the share of a CPU that its packets have cost lately: the worker adds up the cycles from taking
 * them until they were sent. Ten times a second control looks at all; when a worker has been busier than another by
 * IMBALANCE for a while, and a move makes the busier of both less busy, the queue moves. No move makes another one in the opposite
 * direction worthwhile (placement_choose says why), so queues come to rest.
 *
 * A move: the old worker's list is published without the queue; after a grace period the old worker has sent whatever it
 * had taken; then the new worker's list is published with it. Packets that arrive meanwhile, some 100 us, wait in the
 * driver. So none is lost, unless the driver's ring is shorter than that, and none overtakes another.
 *
 * New queues go where their port has the fewest, then where there is least load. Queues of a device of a NUMA node stay on
 * workers of that node if there are any. A port may be pinned to a worker
 * (port->pinned): its queues go there at the next placement_ports or tick.
 *
 * Control thread only.
 */
#ifndef DATAPLANE_PLACEMENT_H
#define DATAPLANE_PLACEMENT_H

#include "dataplane/worker_state.h"

struct placement_conf {
	unsigned n_workers;
	struct worker *const *workers;
	void (*wake)(unsigned worker);
};
void placement_init(const struct placement_conf *conf);
/** Workers have stopped. */
void placement_fini(void);

/** These ports, and no others, are polled from now on (a port that goes is closed by others, a grace period later). */
void placement_ports(struct port *const *list, size_t count);
/** Every 100 ms: measure, and move one queue if that is worth it. */
void placement_tick(void);

/** NUMA node of a worker's CPU, -1 = unknown. */
int placement_node(unsigned worker);

/** For the tests: the decision alone. */
struct placement_queue {
	double load;
	uint32_t allowed; /* bit w: it may be on worker w */
	uint16_t worker;
};
#define IMBALANCE 0.1
#define GAIN_MIN  0.001 /* of what is idle nothing is gained */
/** The best move: which of n queues, and where to. @return whether there is one worth it. */
bool placement_choose(const struct placement_queue *queues, size_t n, unsigned n_workers,
	size_t *which, unsigned *to);

#endif
