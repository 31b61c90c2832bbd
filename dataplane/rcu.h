/* SPDX-License-Identifier: Apache-2.0 */
/** Publication and reclamation over rte_rcu_qsbr. One domain a process.
 *
 * Workers are the readers: each reports a quiescent state once a loop and goes offline before it sleeps. The
 * control thread is the only writer of published pointers; it reads them without registering. Other readers
 * (tests) register like workers.
 */
#ifndef DATAPLANE_RCU_H
#define DATAPLANE_RCU_H

#include <rte_rcu_qsbr.h>
#include <stdatomic.h>

#define RCU_READERS_MAX 64

extern struct rte_rcu_qsbr *rcu_domain;

/* Readers load with acquire: everything built before the release store of rcu_publish is visible. */
#define rcu_read(ptr)		atomic_load_explicit((ptr), memory_order_acquire)
#define rcu_publish(ptr, value) atomic_exchange_explicit((ptr), (value), memory_order_acq_rel)
/* The writer's own view of what it published. */
#define rcu_own(ptr) atomic_load_explicit((ptr), memory_order_relaxed)

/** Create the domain; works before rte_eal_init. @return 0 or -ENOMEM. Idempotent. */
int rcu_init(void);

/** Reader ids are worker ids, below RCU_READERS_MAX. Called by the reader's own thread. */
void rcu_reader_register(unsigned reader);
void rcu_reader_unregister(unsigned reader);
static inline void rcu_online(unsigned reader)
{
	rte_rcu_qsbr_thread_online(rcu_domain, reader);
}
static inline void rcu_offline(unsigned reader)
{
	rte_rcu_qsbr_thread_offline(rcu_domain, reader);
}
static inline void rcu_quiescent(unsigned reader)
{
	rte_rcu_qsbr_quiescent(rcu_domain, reader);
}

/** Control thread: call release(obj) after every reader has passed a quiescent state. Never waits. NULL obj is a
 * no-op. Aborts only when malloc fails. */
void rcu_retire(void *obj, void (*release)(void *));
/** Control thread: run what is due. Called from the event loop (1 ms timer while anything is pending). */
void rcu_reclaim(void);
/** Number of objects waiting. */
size_t rcu_pending(void);
/** Wait for all readers and run everything pending. Shutdown, tests and port removal only. */
void rcu_barrier(void);

#endif
