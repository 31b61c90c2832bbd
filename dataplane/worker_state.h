/* SPDX-License-Identifier: Apache-2.0 */
/** One worker's private state, and the small inline things its stages share. Included by the worker's own files and
 * dataplane.c only. Everything here belongs to one worker thread unless a field says otherwise.
 */
#ifndef DATAPLANE_WORKER_STATE_H
#define DATAPLANE_WORKER_STATE_H

#include "dataplane/counters.h"
#include "dataplane/flow.h"
#include "dataplane/fragment.h"
#include "dataplane/kernel_offers.h"
#include "dataplane/observe.h"
#include "dataplane/punt.h"
#include "dataplane/rcu.h"
#include "dataplane/settings.h"
#include "dataplane/spin.h"
#include "dataplane/tunnel_memo.h"

#define VECTOR_SIZE 128 /* packets taken from one queue at a time; see perf/RESULTS.md for others */
#define TX_BATCH \
	64 /* packets collected for a port before they are sent; burst.c adds a vector to it unasked */

/** What a worker polls. Replaced by control, which sets everything but `hot`: that is the worker's. */
struct rx_list {
	uint64_t serial; /* tells two lists at one address apart */
	uint32_t count;
	uint32_t n_hot;
	uint16_t *
		hot; /* indices of the queues that are polled each round; room for all, behind the queues */
	struct rx_queue {
		struct port *port;
		struct port_rx *rx;
		uint16_t queue;
		int fd; /* -1 = nothing to wait on */
	} queues[];
};

struct tx_buffer {
	uint32_t count;
	uint32_t bytes;
	struct rte_mbuf *pkts[TX_BATCH + VECTOR_SIZE];
};

#define MEMO_PORTS 4	      /* uplinks with memos of their own (tunnel_memo.h); more take turns */
#define NOT_PLAIN  UINT16_MAX /* longer than any adjacency's plain_mtu */

/** The packets of one family in one pass through the stages. */
struct vector {
	/* Of all; side by side, because it is all that the hit path reads of a packet's entry, and L1 is short. Aligned: off by
	 * 16 bytes IPv6 took 2.5 cycles more. */
	union {
		struct flow_key4 key4[VECTOR_SIZE];
		struct flow_key6 key6[VECTOR_SIZE];
	} __rte_cache_aligned;
	uint32_t n;
	uint32_t hashed; /* of these, by quad_hash in burst.c: all or it is done again */
	uint32_t ahead;	 /* see slow_miss_ahead */
	uint16_t plain_len[VECTOR_SIZE]; /* IP bytes of a plain packet, else NOT_PLAIN */
	uint32_t index[VECTOR_SIZE];	 /* candidate flow entry, 0 = none */
	uint64_t hash[VECTOR_SIZE];	 /* of the key */
	const _Atomic uint32_t *buckets[VECTOR_SIZE]; /* prefetched */
	struct rte_mbuf *m[VECTOR_SIZE];
	uint8_t *ip[VECTOR_SIZE]; /* header of a plain packet */
	struct pkt pkts
		[VECTOR_SIZE]; /* of those that are not plain; of plain ones on their way out of burst.c */
};

static __rte_always_inline const void *vector_key(const struct vector *v, uint32_t i, bool v6)
{
	return v6 ? (const void *)&v->key6[i] : (const void *)&v->key4[i];
}

enum worker_state { WORKER_STARTING, WORKER_RUNNING, WORKER_FAILED };

struct worker {
	/* Set for each burst. */
	const struct tables *tables;
	struct observer *observer; /* NULL = nobody watches */
	struct counters *counters;
	struct flow_table *flows;
	uint32_t epoch;
	uint32_t now_ms;
	uint32_t icmp_tokens;
	uint32_t icmp_tokens_scaled; /* thousandths of a message */
	uint32_t expire_budget;	     /* flow entries a millisecond */
	uint16_t ip_id;		     /* of outer IPv4 headers without DF */
	unsigned id;
	struct rte_mempool *pool;
	struct fragment_table *fragments;
	struct reassembly *reassembly;
	/* Output, collected over a burst. */
	uint16_t tx_dirty_count;
	uint16_t tx_dirty[PORT_MAX];
	struct tx_buffer *tx; /* [PORT_MAX] */
	/* Scratch of the stages. */
	struct rte_mbuf *pkts[VECTOR_SIZE];
	uint8_t *frames[VECTOR_SIZE];
	uint16_t frame_len[VECTOR_SIZE]; /* 0 = cannot be plain */
	struct vector vector[2];	 /* IPv4, IPv6 */
	struct tunnel_memos memos[MEMO_PORTS];
	struct kernel_offers offers; /* to control */
	/* Loop. */
	int cpu;
	int wake_fd;  /* eventfd; written by control */
	int epoll_fd; /* wake_fd and the descriptors of queues */
	uint64_t next_ms_tsc, tsc_per_ms, last_busy_tsc;
	uint64_t looked_tsc;   /* when epoll_fd was asked last: polling.c */
	uint32_t swept_ms;     /* when every queue was polled last */
	struct spin spin;      /* what gaps between packets were like */
	long preempted;	       /* so often, when loop.c looked last */
	uint64_t list_serial;  /* of the list whose queues are sorted into hot and cold */
	_Atomic bool sleeping; /* readers: control, to know whether wake_fd needs a write */
	_Atomic bool stop;     /* writer: control */
	_Atomic(struct rx_list *) rx_list; /* writer: control */
	_Atomic uint64_t sleeps;	   /* readers: control */
	_Atomic uint32_t clock_ms;	   /* copy of now_ms; readers: control */
	_Atomic int state;		   /* enum worker_state; readers: control */
	pthread_t thread;
	bool borrowed; /* the thread has been joined: see loop.h */
} __rte_cache_aligned;

/** Of the time stamp counter. */
static inline uint64_t worker_ticks(const struct worker *w, uint64_t us)
{
	return w->tsc_per_ms * us / 1000;
}

/* --- output ------------------------------------------------------------------------------------------------- */

/** Send what is collected for one port. */
void worker_flush_port(struct worker *w, uint16_t port);
void worker_flush(struct worker *w);

/** Queue a complete frame for a port. */
static inline void worker_output(struct worker *w, uint16_t port, struct rte_mbuf *m)
{
	struct tx_buffer *tx = &w->tx[port];

	if (tx->count == 0)
		w->tx_dirty[w->tx_dirty_count++] = port;
	tx->bytes += rte_pktmbuf_pkt_len(m);
	tx->pkts[tx->count++] = m;
	if (unlikely(tx->count >= TX_BATCH))
		worker_flush_port(w, port);
}

/** Count and free a packet that ends here. */
void worker_drop(struct worker *w, struct rte_mbuf *m, enum drop_reason reason);

/* --- slow path (slowpath.c): what most packets never need -------------------------------------------------- */

/** Drop with the ICMP error RFC 1812 or 4443 asks for. `in` may be NULL. */
void slow_drop(struct worker *w, const struct port *in, struct rte_mbuf *m, const struct pkt *p,
	enum drop_reason reason, uint16_t mtu);
/** The adjacency of a packet whose flow is unknown; makes the flow entries of both directions. */
uint32_t slow_miss(struct worker *w, const struct pkt *p, bool v6);
/** Before slow_miss is called for entry `from` of a list: have what it will read and write fetched, for the next misses of
 * the list as well; v->ahead is the first entry that this did not look at. Decides nothing. */
void slow_miss_ahead(struct worker *w, struct vector *v, uint32_t from, bool v6);
/** A flow last checked before the current epoch: true when nothing it depends on has changed, and it is marked so. */
bool slow_still_true(struct worker *w, struct flow *flow, bool v6);
/** The adjacency of a flow last checked before the current epoch: still true, or decided again. */
uint32_t slow_recheck(struct worker *w, struct flow *flow, const struct pkt *p, bool v6);
/** While somebody watches: note in a packet's trace where it goes and the rule that let it, or not. flow is its entry
 * before it was decided, or NULL. The control thread puts a name to the step "rule". */
void slow_observe_flow(struct worker *w, const struct pkt *p, const struct flow *flow, bool v6,
	uint32_t adjacency);
/** A fragment: put together (for this node), or given the ports of its first fragment and sent through the stages.
 * @return class PKT_FRAG when nothing is left to do, otherwise what *p, whole again, is. */
struct parsed slow_fragment(struct worker *w, const struct port *in, struct pkt *p);
/** ARP and neighbour discovery. */
void slow_neighbour(
	struct worker *w, const struct port *in, struct rte_mbuf *m, struct pkt *p, bool arp);
/** A packet for this node itself. */
void slow_local(struct worker *w, const struct port *in, struct rte_mbuf *m, struct pkt *p);
/** A packet that does not simply fit or whose offloads the port lacks: cut, segment, complete, or refuse. The packet
 * has its L2 header still on and its TTL already lowered. */
void slow_output(struct worker *w, const struct port *in, struct rte_mbuf *m, struct pkt *p,
	const struct adjacency *adj);
/** Hold for the control thread: next hop unresolved or unknown. TTL already lowered. */
void slow_hold(struct worker *w, const struct port *in, struct rte_mbuf *m, struct pkt *p,
	const struct adjacency *adj);
/** Route an IP packet the daemon made or turned round. It starts at its IP header. */
void slow_send_own(struct worker *w, struct rte_mbuf *m);
/** After a burst of a pod whose flows the kernel may forward: offer those of the last packets (kernel_flows.h). */
void slow_offer(struct worker *w, struct port *in);
/** Packets the control thread sends. */
void slow_injected(struct worker *w);
/** Take the tags off w->pkts[0..n), just taken from an uplink that has a VLAN, and drop those of others. @return how many are left. */
uint16_t slow_vlan(struct worker *w, const struct port *in, uint16_t n);
/** Drop those of w->pkts[0..n), just taken from a port, that are beyond what its pod may send. @return how many are left. */
uint16_t slow_limit_egress(
	struct worker *w, const struct port *in, struct port_limits *limits, uint16_t n);
/** Drop those of n packets for a port that are beyond what its pod may receive. @return how many are left. */
uint16_t slow_limit_ingress(
	struct worker *w, struct port_limits *limits, struct rte_mbuf **pkts, uint16_t n);

/** Set once, before workers start. */
void worker_set_tunnels(const struct tunnel_ops *const *types);

/* --- shared by both ----------------------------------------------------------------------------------------- */

/** Forward an IP packet (header at p->l2_len) through an adjacency: TTL, size, header, output. */
void worker_forward(struct worker *w, const struct port *in, struct rte_mbuf *m, struct pkt *p,
	const struct adjacency *adj);
/** Prepend the adjacency's header to a packet that starts at its IP header and queue it. */
void worker_emit(struct worker *w, struct rte_mbuf *m, const struct pkt *p, uint16_t ip_len,
	const struct adjacency *adj);
/** What packet of any kind is received: parse, decapsulate, hash. @return false when it went another way, or ended. */
bool worker_parse(struct worker *w, struct port *in, struct pkt *p, bool open);
/** A plain packet whose flow is unknown, to be checked again, or leads where burst.c does not: complete *p,
 * which has its key, hash, m and l2_len, and go on. */
void worker_plain_left(
	struct worker *w, const struct port *in, struct pkt *p, struct flow *flow, bool v6);
/** A packet whose key and hash are complete, and its flow entry or NULL. */
void worker_flow(
	struct worker *w, const struct port *in, struct pkt *p, struct flow *flow, bool v6);

/** The memos of an uplink. */
static inline struct tunnel_memos *worker_memos(struct worker *w, const struct port *in)
{
	struct tunnel_memos *memos = &w->memos[in->id % MEMO_PORTS];

	tunnel_memos_check(memos, w->tables->tunnels, in->id);
	return memos;
}

static inline uint16_t worker_zone_port(const struct port *in)
{
	return in != NULL ? in->id : PORT_NONE;
}

#define WORKER_TRACE(w, m, stage, ...)                                                       \
	do {                                                                                 \
		if (unlikely((w)->observer != NULL))                                         \
			trace_step((w)->observer, pkt_note(m)->trace, (stage), __VA_ARGS__); \
	} while (0)

#endif
