/* SPDX-License-Identifier: Apache-2.0 */
/** The daemon's own data plane in this process, fed from memory. It is started and configured through the same objects as
 * the daemon; then the workers' threads are stopped, their state is lent to the caller's threads, and the ports' burst
 * functions are replaced by memory: nothing arrives by itself, and what is sent is counted and stays the caller's.
 *
 * One plane a process (EAL cannot be started twice). The thread that calls plane_start is the control thread: it alone
 * commits. Every worker is run by one thread between plane_enter and plane_leave; that may be the control thread. What
 * goes wrong here ends the process with a message: there is nothing to measure then.
 *
 *   node "bench"   eth0 192.0.2.1, 2001:db8::1 (uplink)    pod:a 10.244.1.10, fd00:244:1::10    pod:b the same, 11
 *   peer "node-b"  192.0.2.2, known to the neighbour table; pods 10.245.0.0/16, fd00:245::/48; routes go to it
 */
#ifndef PERF_PLANE_H
#define PERF_PLANE_H

#include "config/schema.h"
#include "dataplane/burst.h"
#include "dataplane/generation.h"
#include "dataplane/loop.h"
#include "dataplane/port.h"
#include "dataplane/rcu.h"

#define PLANE_WORKERS_MAX 16

enum plane_work { PLANE_L3, PLANE_ENCAP, PLANE_DECAP, PLANE_NEW_FLOW };

/** What is done with each packet. */
struct plane_scenario {
	const char *name;
	bool v6;
	enum plane_work work;
	const char *encap; /* of the peer */
};
/** Ends with name == NULL. */
extern const struct plane_scenario plane_scenarios[];
/** NULL when there is none of that name. */
const struct plane_scenario *plane_scenario_find(const char *name);

struct plane_conf {
	const struct plane_scenario *scenario; /* says how the peer is reached */
	uint32_t flow_entries; /* of either family, both directions counted; 0 = 1 M */
	uint32_t
		routes; /* by the peer, beside the few there are anyway; of the scenario's family */
	uint32_t rules; /* of policies that select pod a as a sender; 0 = no policy */
	uint32_t buffers; /* packets that will exist at once; 0 = 8192 */
	unsigned workers; /* 0 = 1 */
	const char *
		isa; /* instruction set of the hit path (dataplane/burst.h); NULL = the best this CPU has */
	bool small_pages; /* no hugepages: DPDK then reserves little address space, which valgrind needs */
	const int *cpus; /* of the workers; NULL = 0, 1, ... */
};

/** Names of the instruction sets in the program, separated by `separator`, into text. */
void plane_isa_names(const char *separator, char *text, size_t size);

struct plane {
	struct plane_conf conf;
	struct model *model; /* what is configured; plane_commit applies sets made from it */
	struct rte_mempool *pool;
	struct port *uplink, *pod_a, *pod_b;
	struct worker *workers[PLANE_WORKERS_MAX];
	unsigned n_workers;
};

/** Start, configure, make the peer's MAC address known, take the workers. Call once. */
void plane_start(struct plane *plane, const struct plane_conf *conf);

/** The calling thread becomes worker `id`: pinned to its CPU (unless it is the only one), known to DPDK and to RCU. */
struct worker *plane_enter(struct plane *plane, unsigned id);
/** Before the thread ends or waits for control: its grace periods no longer count. */
void plane_leave(struct plane *plane, unsigned id);

/** What the loop of a worker does before each burst: report a quiescent state and look at what is published now. */
static inline void plane_burst_begin(struct worker *w)
{
	rcu_quiescent(w->id);
	w->epoch = generation_epoch(); /* first: see generation.h */
	w->tables = rcu_read(&tables);
}
/** One burst from memory, start to end. n is at most VECTOR_SIZE. */
static inline void plane_burst(
	struct worker *w, struct port *in, struct rte_mbuf *const *packets, uint16_t n)
{
	memcpy(w->pkts, packets, n * sizeof(packets[0]));
	worker_burst(w, in, n);
	worker_flush(w);
}
/** Packets worker `id` handed to output ports since the start. Its own thread, or when that rests. */
uint64_t plane_sent(unsigned id);

/** One packet handed to an output port. */
struct plane_taken {
	const struct port *port;
	const struct rte_mbuf *m;
};
/** One worker's thread, while no other runs: from now on what is handed over is noted in `taken`, too, at most `size`; NULL
 * ends that. @return packets handed over since the last call, more than noted when there was no room. */
uint32_t plane_take(struct plane_taken *taken, uint32_t size);

/** Control: commit a set made from plane->model, as the daemon does, and free it. New ports are memory too.
 * What it replaces is freed by rcu_reclaim, which the daemon's event loop calls every millisecond. */
void plane_commit(struct plane *plane, struct changeset *set);
/** "packet memory in 2 MiB pages, tables in 2 MiB pages to 97 %": what the kernel gave. */
void plane_pages(char *text, size_t size);
/** The i-th route of plane_conf.routes. */
void plane_route_prefix(bool v6, uint32_t i, char *text, size_t size);
/** Add a route by the peer to a set. */
void plane_route_put(struct changeset *set, const char *prefix);

#endif
