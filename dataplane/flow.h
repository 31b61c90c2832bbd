/* SPDX-License-Identifier: Apache-2.0 */
/** The flow table: one decision a direction of a connection, shared by all workers.
 *
 * Lock-free reads, lock-free inserts from any worker. Two bucketed hash tables (one a family): a bucket is one cache
 * line of 16 slots {hash tag, entry index}; an entry is one cache line for IPv4, two for IPv6. A key may live in
 * either of two buckets. Keyed hash (random secret a start): flow_hash.h.
 *
 * Who writes what: key, deps: the inserting worker before it publishes the slot with a release CAS.
 * decision, epoch, rule: any worker, on re-resolution (single atomic stores). state: any worker (conntrack.h). packets, bytes,
 * last_seen, seq: the worker that forwards the packet, relaxed load/store (one direction normally has one worker; a rare race may lose a count).
 * Removal: a worker clears the slot, then frees the entry after a grace period. Workers expire incrementally, each its
 * own share of the entries. Callers marked "Worker" are online RCU readers, and `worker` is below conf.n_workers and
 * used by one thread at a time.
 *
 * Fairness: an entry is charged to the zone whose packet made it, both directions of a pair to the same one. Once a
 * family is three quarters full, a zone that holds more than its share (capacity / active zones, at least an eighth of
 * the capacity) gets no new entries until some of its own have gone.
 */
#ifndef DATAPLANE_FLOW_H
#define DATAPLANE_FLOW_H

#include "dataplane/flow_hash.h"
#include "dataplane/flow_state.h"
#include "dataplane/packet.h"

#include <stdatomic.h>
#include <string.h>

#define FLOW_NONE UINT32_MAX

enum flow_flags {
	FLOW_NEGATIVE = 1 << 0, /* decision is a drop: short timeout, first to be evicted */
	FLOW_REPLY = 1 << 1,	/* the direction opposite to the first packet */
	FLOW_NAT = 1 << 2,	/* cold part holds a rewrite (services; later) */
	FLOW_SEEN_REPLY = 1 << 3,
	FLOW_STATELESS = 1 << 7, /* judged a packet at a time by policy: nothing is its reply */
};

/** Adjacency index and generation sum change together: one 64-bit store. */
struct flow_decision {
	uint32_t adjacency;
	uint32_t generation;
};

/* What is put together from parts and soon copied as a whole is made in a register: a load that spans several stores waits until
 * all of them have left the store buffer. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "parts of words, below");
static inline struct flow_decision flow_decision_of(uint32_t adjacency, uint32_t generation)
{
	const uint64_t word = adjacency | (uint64_t)generation << 32;
	struct flow_decision d;

	memcpy(&d, &word, sizeof(d));
	return d;
}

/** Generation slots that a decision depends on: zone, destination, service or source (0xffff = none). */
struct flow_deps {
	uint16_t slot[4]; /* the last is not used */
};
static inline struct flow_deps flow_deps_of(uint16_t zone, uint16_t destination, uint16_t other)
{
	const uint64_t word =
		zone | (uint64_t)destination << 16 | (uint64_t)other << 32 | UINT64_C(0xffff) << 48;
	struct flow_deps d;

	memcpy(&d, &word, sizeof(d));
	return d;
}

struct flow {
	_Atomic uint64_t decision;  /* struct flow_decision by memcpy */
	_Atomic uint32_t epoch;	    /* generations.epoch at which decision was last known valid */
	_Atomic uint32_t last_seen; /* milliseconds, flow_clock */
	_Atomic uint64_t packets;
	_Atomic uint64_t bytes; /* IP bytes, as received */
	uint16_t deps[3];	/* generation slots: zone, destination, service (0xffff = none) */
	_Atomic uint8_t state;	/* flow_state.h */
	_Atomic uint8_t flags;	/* enum flow_flags */
	_Atomic uint32_t rule;	/* id of the rule that decided; 0 = none (no policy) */
	/* TCP: sequence number of the last segment, host order. Other plain packets leave here what their header has in that
	 * place; nobody reads it. */
	_Atomic uint32_t seq;
};
static_assert(sizeof(struct flow) == 48, "48 bytes beside a 16-byte key fill a line");

/** Beside an entry, cold: what only packets that are not plain need of one direction. Written by the inserting worker before
 * publication, then by the worker of that direction; the other direction's reads it. */
enum flow_seen {
	FLOW_SEEN_SYN = 1 << 0,
	FLOW_SEEN_ACK =
		1
		<< 1, /* of the other direction's SYN; picked up: a segment of this direction was seen */
	FLOW_SEEN_FIN = 1 << 2,
	FLOW_SEEN_FINACK = 1 << 3, /* the other direction has acknowledged this one's FIN */
	FLOW_SEEN_RST = 1 << 4,
	FLOW_SEEN_AGAIN = 1 << 5,  /* a SYN in a connection that is open: `again` is its number */
	FLOW_SEEN_PICKED = 1 << 6, /* the SYN was before our time */
};
struct flow_track {
	uint32_t
		mark; /* TCP: initial sequence number; after a FIN: the number behind it. SCTP: the tag of this direction */
	uint32_t end; /* TCP: behind the SYN */
	uint32_t again;
	uint8_t scale; /* TCP: what its SYN offered, FLOW_SCALE_UNKNOWN = nothing */
	uint8_t seen;
};

struct flow4 {
	struct flow_key4 key;
	struct flow flow;
};
struct flow6 {
	struct flow flow;
	struct flow_key6 key;
	uint8_t reserved[40]; /* NAT rewrite */
};
static_assert(sizeof(struct flow4) == 64 && sizeof(struct flow6) == 128, "whole cache lines");

struct flow_table;

struct flow_table_conf {
	uint32_t entries4, entries6; /* directions; rounded up to powers of two */
	unsigned n_workers;
	uint32_t timeout_ms; /* idle entries, in any state: see flow_table_configure */
	uint32_t negative_timeout_ms;
	int socket_id; /* NUMA node, -1 = any */
};

/** Memory is mapped lazily (transparent huge pages where allowed, libnuma binding). NULL when out of memory. */
struct flow_table *flow_table_new(const struct flow_table_conf *conf);
/** No worker may be running. */
void flow_table_free(struct flow_table *table);

/** Online RCU reader: look up n packets of one family at once. pkts[i]->hash is set; flows[i] is the entry or NULL.
 * Bucket and entry lines are prefetched ahead. Entries stay readable until the caller's next quiescent state. */
void flow_lookup4(
	struct flow_table *table, struct pkt *const *pkts, struct flow **flows, uint16_t n);
void flow_lookup6(
	struct flow_table *table, struct pkt *const *pkts, struct flow **flows, uint16_t n);

/** What to insert for one direction. */
struct flow_init {
	struct flow_decision decision;
	uint32_t epoch;
	uint32_t rule;
	struct flow_deps deps;
	uint8_t flags;
	uint8_t state;
	uint32_t seq;
	struct flow_track track;
};
/** Worker: insert a pair; `reverse` may be NULL (single direction, negative entries). Keys hold their zones. If the key
 * is there already, its entry is returned. When both buckets or the pool are full, an entry of those buckets makes room: an
 * expired one, else a negative one, one that is over, or one that is half open or unanswered (of the same zone, or a second
 * old); if none does, NULL: forward uncached and count. A full pool stays full until the grace period
 * of what made room is over, so then the answer is NULL once more. If only the reverse is refused, the forward
 * direction is kept. When the reverse is there already, the two become a pair. */
struct flow *flow_insert4(struct flow_table *table, unsigned worker, const struct flow_key4 *key,
	uint64_t hash, const struct flow_init *forward, const struct flow_key4 *reverse_key,
	const struct flow_init *reverse, uint32_t now_ms);
struct flow *flow_insert6(struct flow_table *table, unsigned worker, const struct flow_key6 *key,
	uint64_t hash, const struct flow_init *forward, const struct flow_key6 *reverse_key,
	const struct flow_init *reverse, uint32_t now_ms);

static inline struct flow_decision flow_decision_get(const struct flow *flow)
{
	uint64_t word = atomic_load_explicit(&flow->decision, memory_order_acquire);
	struct flow_decision d;

	memcpy(&d, &word, sizeof(d));
	return d;
}
static inline void flow_decision_set(struct flow *flow, struct flow_decision d)
{
	uint64_t word;

	memcpy(&word, &d, sizeof(word));
	atomic_store_explicit(&flow->decision, word, memory_order_release);
}

/** Worker: expire a slice of this worker's share and free what passed its grace period. Call once a loop; looks at
 * `budget` entries. An entry goes when neither direction saw a packet for the
 * timeout of its state; under pressure (the family is three quarters full) those that are over or half open go much earlier; a negative entry when it saw none for the negative timeout. now_ms may wrap, and workers' clocks may
 * differ a little. */
void flow_expire(struct flow_table *table, unsigned worker, uint32_t now_ms, unsigned budget);
/** Worker, before it stops or sleeps long: its local free entries go back to all, and what still waits for its grace
 * period follows at the next call of this or of flow_expire. */
void flow_worker_flush(struct flow_table *table, unsigned worker);

struct flow_stats {
	uint64_t used4, used6; /* entries in use */
	uint64_t capacity4, capacity6;
	uint64_t inserted, expired, evicted,
		refused;    /* directions, since start, summed over workers */
	uint64_t half_open; /* connections */
	uint64_t kinds
		[FLOW_KIND_COUNT]; /* directions, as the last round of expiry found them; not negative ones */
	uint64_t negative;
};
/** Any thread. */
void flow_table_stats(const struct flow_table *table, struct flow_stats *stats);

/** A copy for people. */
struct flow_record {
	bool v6;
	struct flow_key4 key4;
	struct flow_key6 key6;
	struct flow_decision decision;
	uint64_t packets, bytes;
	uint32_t idle_ms, rule;
	uint32_t
		timeout_ms; /* of its state: the entry goes when both directions were idle for that */
	uint8_t flags, state;
	bool kernel; /* kernel_flows.h */
};
/** Control: visit a snapshot of the entries, at most `limit` (0 = all), consistent an entry at a time. Stops when visit
 * returns non-zero, and returns that. Registers itself as the RCU reader `reader` for the walk, but is offline while it
 * calls visit: a slow visitor delays nobody. */
int flow_table_each(struct flow_table *table, unsigned reader, size_t limit, uint32_t now_ms,
	int (*visit)(const struct flow_record *record, void *arg), void *arg);
/** Control: remove everything (debugging, `podlane flush flows`); safe beside running workers. */
void flow_table_flush(struct flow_table *table);
enum flow_window_mode {
	FLOW_WINDOW_STRICT,  /* a segment outside of its window is dropped */
	FLOW_WINDOW_LIBERAL, /* it is counted, and passes */
	FLOW_WINDOW_OFF,     /* nobody looks */
};
/** What the states mean from now on. */
struct flow_conduct {
	uint32_t timeout_ms[FLOW_KIND_COUNT];
	enum flow_window_mode window;
	uint32_t
		half_open_max; /* connections that one zone may have half open; 0 = an eighth of the family's entries */
};
/** Control: change it, for entries that are there as well. */
void flow_table_configure(struct flow_table *table, const struct flow_conduct *conduct);
/** Any thread: one timeout for all states. */
void flow_table_set_timeout(struct flow_table *table, uint32_t timeout_ms);
/** Any thread: connections that a port's pod has open or half open, both families; those that are over do not count. Exact
 * but for what other workers do at this moment. */
uint32_t flow_zone_connections(const struct flow_table *table, uint32_t zone);
/** Bytes mapped. */
size_t flow_table_memory(const struct flow_table *table);

#endif
