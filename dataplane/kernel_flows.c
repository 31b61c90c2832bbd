/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel_flows.h"

#include "config/model.h"
#include "dataplane/adjacency.h"
#include "dataplane/counters.h"
#include "dataplane/generation.h"
#include "dataplane/kernel_slots.h"
#include "dataplane/rcu.h"
#include "dataplane/rewrite.h"

#include <errno.h>
#include <stdlib.h>

#define LOOK_MS	 1000 /* between looks at what the kernel has */
#define IDLE_MAX 60   /* looks without a packet, after which a flow comes back */

enum entry_state {
	ENTRY_FREE,
	ENTRY_USED,
	ENTRY_LEAVING, /* out of the map; the program may be at its last packet, workers may have its number */
};

/** Beside each slot. */
struct entry {
	uint8_t state; /* enum entry_state */
	bool v6;
	uint8_t idle;	     /* looks without a packet; looks since it left */
	uint16_t in, out;    /* ports */
	uint16_t header_len; /* that its packets get */
	uint32_t out_ifindex;
	uint32_t index;	    /* of the flow's entry */
	uint32_t adjacency; /* that its packets take */
	struct flow_decision decision;
	uint64_t packets, segments, bytes; /* counted */
	union {
		struct kernel_key4 key4;
		struct kernel_key6 key6;
	};
	union {
		struct flow_key4 flow_key4;
		struct flow_key6 flow_key6;
	};
	bool tunnel;
	uint64_t token; /* leaving: of the grace period after which no worker has its number */
};

_Atomic(struct kernel_slot *) kernel_slots;

static struct {
	struct kernel_maps maps;
	struct kernel_slot *slots;
	struct flow_table *table;
	struct entry *entries; /* [KERNEL_SLOTS] */
	unsigned reader;
	unsigned top;  /* no entry at or above was ever used */
	unsigned next; /* where to look for a free one */
	unsigned count;
	unsigned used;	 /* entries that are not free */
	unsigned paused; /* enum kernel_pause */
	bool udp;	 /* too */
	uint32_t now_ms, looked_ms;
} kf;

/* --- taking back ---------------------------------------------------------------------------------------------- */

static const void *kernel_key(const struct entry *e)
{
	return e->v6 ? (const void *)&e->key6 : (const void *)&e->key4;
}

/** The entry is still that flow's, and knows its number. Online. */
static bool is_its(const struct entry *e, unsigned number)
{
	const struct flow_pool *pool = &kf.table->pool[e->v6];
	const struct flow_side *side = &pool->side[e->index];

	return atomic_load_explicit(&side->account, memory_order_acquire) & FLOW_ACCOUNT_LIVE &&
	       atomic_load_explicit(&side->kernel, memory_order_relaxed) == number &&
	       flow_key_equal(flow_key(flow_at(pool, e->index, e->v6), e->v6),
		       e->v6 ? (const void *)&e->flow_key6 : (const void *)&e->flow_key4, e->v6);
}

/** Off, and the flow knows how far it is. Online. */
static void stop(unsigned number)
{
	const struct entry *e = &kf.entries[number];

	if (is_its(e, number))
		kernel_slot_return(
			&kf.slots[number], flow_at(&kf.table->pool[e->v6], e->index, e->v6));
	else
		kernel_slot_stop(&kf.slots[number]);
}

/** Unless the map has it for another slot by now: the entry of the flow was lost, and the flow given again. */
static void forget_key(const struct entry *e, unsigned number)
{
	if (kf.maps.slot == NULL || kf.maps.slot(kf.maps.arg, e->v6, kernel_key(e)) == (int)number)
		kf.maps.del(kf.maps.arg, e->v6, kernel_key(e));
}

/** Online. */
static void take_back(unsigned number)
{
	struct entry *e = &kf.entries[number];
	uint16_t its = (uint16_t)number;

	stop(number);
	forget_key(e, number);
	/* A flow that is made of the same index later has no number, or another: this one is in use. */
	atomic_compare_exchange_strong_explicit(&kf.table->pool[e->v6].side[e->index].kernel, &its,
		0, memory_order_acq_rel, memory_order_relaxed);
	e->state = ENTRY_LEAVING;
	e->idle = 0;
	e->token = rte_rcu_qsbr_start(rcu_domain);
	kf.count--;
}

/** Of an entry that is leaving: nobody uses its slot any more. Programs do not sleep: a whole round is long for them. */
static bool has_left(struct entry *e)
{
	return ++e->idle > 1 && rte_rcu_qsbr_check(rcu_domain, e->token, false) == 1;
}

/* --- counting ------------------------------------------------------------------------------------------------- */

/** What the program has forwarded since the last time. Online. */
static void count(unsigned number)
{
	const struct kernel_slot *slot = &kf.slots[number];
	struct counters *c = COUNTERS_CONTROL;
	struct entry *e = &kf.entries[number];
	const uint64_t packets = __atomic_load_n(&slot->packets, __ATOMIC_RELAXED) - e->packets,
		       segments = __atomic_load_n(&slot->segments, __ATOMIC_RELAXED) - e->segments,
		       bytes = __atomic_load_n(&slot->bytes, __ATOMIC_RELAXED) - e->bytes;
	/* Without a tunnel they are sent as they came. */
	const uint64_t sent = e->tunnel ? RTE_MAX(segments, packets) : packets;
	struct flow *flow = flow_at(&kf.table->pool[e->v6], e->index, e->v6);

	if (packets == 0)
		return;
	e->packets += packets;
	e->segments += segments;
	e->bytes += bytes;
	e->idle = 0;
	counter_add(&c->received, packets);
	counter_add(&c->generated, sent - packets);
	counter_add(&c->transmitted, sent);
	counter_add(&c->events[EVENT_flow_hit], packets);
	counter_add(&c->events[EVENT_kernel_forwarded], packets);
	if (e->tunnel)
		counter_add(&c->events[EVENT_encapsulated], packets);
	counter_add(&c->port[e->in].rx_packets, packets);
	counter_add(&c->port[e->in].rx_bytes, bytes + packets * RTE_ETHER_HDR_LEN);
	counter_add(&c->port[e->out].tx_packets, sent);
	counter_add(&c->port[e->out].tx_bytes, bytes + sent * e->header_len);
	if (!is_its(e, number))
		return;
	atomic_fetch_add_explicit(&flow->packets, packets, memory_order_relaxed);
	atomic_fetch_add_explicit(&flow->bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&flow->last_seen, kf.now_ms, memory_order_relaxed);
}

/* --- giving --------------------------------------------------------------------------------------------------- */

static const struct port *open_port(uint16_t id)
{
	const struct port *port = port_get(id);

	return port != NULL &&
			       atomic_load_explicit(&port->kernel_ifindex, memory_order_relaxed) !=
				       0 &&
			       atomic_load_explicit(&port->forwarding, memory_order_acquire) &&
			       atomic_load_explicit(&port->link_up, memory_order_relaxed) &&
			       rcu_own(&port->limits) == NULL && port->vlan == 0
		       ? port
		       : NULL;
}

/** @return false: workers have to do that. */
static bool path_of(
	const struct adjacency *adj, const struct port *out, uint64_t hash, struct kernel_flow *f)
{
	const bool outer6 = adj->flags & ADJ_OUTER_V6;

	*f = (struct kernel_flow){
		.ifindex = atomic_load_explicit(&out->kernel_ifindex, memory_order_relaxed),
		.mtu = adj->mtu,
		.most = UINT16_MAX,
		.sport = tunnel_source_port(hash),
		.label = (uint32_t)(hash >> 32 & 0xfffffu),
		.copy_tos = (adj->flags & ADJ_ECN) != 0,
		.copy_df = (adj->flags & ADJ_COPY_DF) != 0,
	};
	if (adj->header_len > sizeof(f->header) || adj->flags & ADJ_UDP_CHECKSUM)
		return false;
	memcpy(f->header, adj->header, adj->header_len);
	if (adj->type == ADJ_REWRITE && out->role != PORT_HOST) {
		f->path = out->role == PORT_POD ? KERNEL_PATH_PEER : KERNEL_PATH_DIRECT;
		return true;
	}
	if (adj->type != ADJ_TUNNEL || out->role != PORT_UPLINK)
		return false;
	/* What the largest packet is in the tunnel has to be a packet too. */
	f->most = (uint16_t)(UINT16_MAX - adj->outer_len);
	f->mtu = (uint16_t)RTE_MIN(adj->mtu, f->most);
	if (adj->flags & ADJ_UDP)
		f->path = outer6 ? KERNEL_PATH_VXLAN6 : KERNEL_PATH_VXLAN4;
	else
		f->path = outer6 ? KERNEL_PATH_IPIP6 : KERNEL_PATH_IPIP4;
	return true;
}

static unsigned free_entry(void)
{
	if (kf.used + 1 >= KERNEL_SLOTS)
		return 0;
	for (unsigned tries = 1; tries < KERNEL_SLOTS; tries++) {
		kf.next = kf.next + 1 < KERNEL_SLOTS ? kf.next + 1 : 1;
		if (kf.entries[kf.next].state == ENTRY_FREE)
			return kf.next;
	}
	return 0;
}

static void keys_of(struct entry *e, const struct flow *flow, uint32_t ifindex)
{
	if (e->v6) {
		const struct flow_key6 *k = flow_key(flow, true);

		e->flow_key6 = *k;
		e->key6 = (struct kernel_key6){ .sport = k->sport,
			.dport = k->dport,
			.ifindex = ifindex,
			.proto = k->zone_proto & 0xff };
		memcpy(e->key6.src, k->src, sizeof(e->key6.src));
		memcpy(e->key6.dst, k->dst, sizeof(e->key6.dst));
	} else {
		const struct flow_key4 *k = flow_key(flow, false);

		e->flow_key4 = *k;
		e->key4 = (struct kernel_key4){ .src = k->src,
			.dst = k->dst,
			.sport = k->sport,
			.dport = k->dport,
			.ifindex = ifindex,
			.proto = k->zone_proto & 0xff };
	}
}

/** Turn the slot on, whatever workers do with the flow meanwhile. Online. */
static void turn_on(unsigned number, struct flow *flow)
{
	const uint8_t state = atomic_load_explicit(&flow->state, memory_order_relaxed);
	struct entry *e = &kf.entries[number];
	struct kernel_slot *slot = &kf.slots[number];
	struct flow_decision now;

	__atomic_store_n(&slot->span,
		atomic_load_explicit(&kf.table->span[state], memory_order_relaxed),
		__ATOMIC_RELAXED);
	__atomic_store_n(&slot->key,
		kernel_key_sum(kernel_key(e), e->v6 ? sizeof(e->key6) : sizeof(e->key4)),
		__ATOMIC_RELAXED);
	memcpy(&now, &e->decision, sizeof(now));
	__atomic_store_n(&slot->fresh, 0, __ATOMIC_RELAXED); /* workers have had it since */
	__atomic_store_n(
		&slot->decision, now.adjacency | (uint64_t)now.generation << 32, __ATOMIC_RELEASE);
	/* From here on workers renew it. The epoch is the flow's own: where that is an old one, a packet will renew both. */
	atomic_store_explicit(
		kernel_number(kf.table, flow, e->v6), (uint16_t)number, memory_order_release);
	kernel_slot_renew(slot, flow, atomic_load_explicit(&flow->epoch, memory_order_acquire));
	__atomic_store_n(&slot->on, 1, __ATOMIC_SEQ_CST);
	/* A worker that changes the flow's state turns the slot off afterwards: one of the two sees the other. */
	atomic_thread_fence(memory_order_seq_cst);
	now = flow_decision_get(flow);
	if (!kernel_flow_settled(flow) || memcmp(&now, &e->decision, sizeof(now)) != 0)
		take_back(number);
}

/** Fill an entry and its slot, whose number the flow gets, and put it into the map. Online. */
static void give(unsigned number, struct entry next, struct flow *flow, struct kernel_flow *f)
{
	struct entry *e = &kf.entries[number];

	next.state = ENTRY_USED;
	if (e->state == ENTRY_USED) { /* again: what was counted stays counted */
		next.packets = e->packets;
		next.segments = e->segments;
		next.bytes = e->bytes;
		if (next.v6 ? memcmp(&next.key6, &e->key6, sizeof(next.key6)) != 0
			    : memcmp(&next.key4, &e->key4, sizeof(next.key4)) != 0)
			forget_key(e, number); /* the port has another interface */
	} else {
		kf.slots[number] = (struct kernel_slot){ .packets = 0 };
		kf.count++;
		kf.used++;
	}
	*e = next;
	kf.top = RTE_MAX(kf.top, number + 1);
	f->slot = number;
	if (kf.maps.put(kf.maps.arg, e->v6, kernel_key(e), f) < 0)
		take_back(number);
	else
		turn_on(number, flow);
}

/** Look at an offer. Online. */
static void consider(uint32_t index, bool v6)
{
	const struct flow_pool *pool = &kf.table->pool[v6];
	const struct port *in, *out;
	const struct adjacency *adj;
	struct entry next = { .v6 = v6, .index = index };
	struct kernel_flow f;
	struct flow *flow;
	unsigned number;

	if (index == 0 || index > pool->capacity ||
		!(atomic_load_explicit(&pool->side[index].account, memory_order_acquire) &
			FLOW_ACCOUNT_LIVE))
		return;
	flow = flow_at(pool, index, v6);
	next.decision = flow_decision_get(flow);
	if (next.decision.adjacency >= ADJACENCY_MAX || !kernel_flow_settled(flow))
		return;
	adj = adjacency_get(next.decision.adjacency);
	in = open_port((uint16_t)RTE_MIN(flow_key_zone(flow, v6), (uint32_t)PORT_NONE));
	out = open_port(adj->port);
	if (in == NULL || in->role != PORT_POD || out == NULL || out == in ||
		!path_of(adj, out,
			v6 ? flow_hash6(kf.table, flow_key(flow, true))
			   : flow_hash4(kf.table, flow_key(flow, false)),
			&f))
		return;
	next.adjacency = next.decision.adjacency;
	next.in = in->id;
	next.out = out->id;
	next.tunnel = adj->type == ADJ_TUNNEL;
	next.header_len = adj->header_len;
	memcpy(f.mac, in->mac.bytes, sizeof(f.mac));
	next.out_ifindex = f.ifindex;
	keys_of(&next, flow, atomic_load_explicit(&in->kernel_ifindex, memory_order_relaxed));
	number = atomic_load_explicit(&pool->side[index].kernel, memory_order_relaxed);
	if (number != 0 &&
		(kf.entries[number].state != ENTRY_USED || kf.entries[number].index != index ||
			kf.entries[number].v6 != v6 || !is_its(&kf.entries[number], number)))
		number = 0;
	if (number != 0) {
		stop(number);
		count(number);
	} else {
		number = free_entry();
	}
	if (number != 0)
		give(number, next, flow, &f);
}

void kernel_flows_take(struct kernel_offers *offers)
{
	uint32_t index;
	bool v6;

	if (kf.entries == NULL || !kernel_offers_any(offers))
		return;
	rcu_reader_register(kf.reader);
	while (kernel_offer_take(offers, &index, &v6)) {
		if (kf.paused == 0)
			consider(index, v6);
	}
	rcu_reader_unregister(kf.reader);
}

/* --- looking after -------------------------------------------------------------------------------------------- */

static bool same_interfaces(const struct entry *e)
{
	const struct port *in = open_port(e->in), *out = open_port(e->out);

	return in != NULL && out != NULL &&
	       atomic_load_explicit(&in->kernel_ifindex, memory_order_relaxed) ==
		       (e->v6 ? e->key6.ifindex : e->key4.ifindex) &&
	       atomic_load_explicit(&out->kernel_ifindex, memory_order_relaxed) == e->out_ifindex;
}

/** It is still right that the kernel has it. Online. */
static bool may_stay(const struct entry *e, unsigned number)
{
	const struct flow *flow = flow_at(&kf.table->pool[e->v6], e->index, e->v6);
	const struct flow_decision now = flow_decision_get(flow);

	return is_its(e, number) && memcmp(&now, &e->decision, sizeof(now)) == 0 &&
	       kernel_flow_settled(flow) && same_interfaces(e);
}

static void look(bool settle)
{
	rcu_reader_register(kf.reader);
	for (unsigned n = 1; n < kf.top; n++) {
		struct entry *e = &kf.entries[n];

		if (e->state == ENTRY_FREE)
			continue;
		count(n);
		if (!settle)
			continue;
		if (e->state == ENTRY_LEAVING && has_left(e)) {
			e->state = ENTRY_FREE;
			kf.used--;
		} else if (e->state == ENTRY_USED && (!may_stay(e, n) || ++e->idle > IDLE_MAX)) {
			take_back(n);
		}
	}
	rcu_reader_unregister(kf.reader);
}

void kernel_flows_harvest(void)
{
	if (kf.entries != NULL)
		look(false);
}

void kernel_flows_tick(uint32_t now_ms)
{
	kf.now_ms = now_ms;
	if (kf.entries == NULL || now_ms - kf.looked_ms < LOOK_MS)
		return;
	kf.looked_ms = now_ms;
	look(true);
}

/* --- changes -------------------------------------------------------------------------------------------------- */

static void stop_where(bool (*concerns)(const struct entry *e, uint32_t what), uint32_t what)
{
	if (kf.count == 0)
		return;
	rcu_reader_register(kf.reader);
	for (unsigned n = 1; n < kf.top; n++) {
		if (kf.entries[n].state == ENTRY_USED && concerns(&kf.entries[n], what))
			stop(n);
	}
	rcu_reader_unregister(kf.reader);
}

static bool has_port(const struct entry *e, uint32_t id)
{
	return e->in == id || e->out == id;
}

static bool has_adjacency(const struct entry *e, uint32_t adjacency)
{
	return e->adjacency == adjacency;
}

static bool any(const struct entry *e, uint32_t what)
{
	(void)e;
	(void)what;
	return true;
}

void kernel_flows_port_changed(const struct port *port)
{
	stop_where(has_port, port->id);
}

void kernel_flows_port_gone(const struct port *port)
{
	if (kf.count == 0)
		return;
	rcu_reader_register(kf.reader);
	for (unsigned n = 1; n < kf.top; n++) {
		if (kf.entries[n].state != ENTRY_USED || !has_port(&kf.entries[n], port->id))
			continue;
		stop(n);
		count(n);
		take_back(n);
	}
	rcu_reader_unregister(kf.reader);
}

void kernel_flows_adjacency_changed(uint32_t adjacency)
{
	stop_where(has_adjacency, adjacency);
}

void kernel_flows_changed(void)
{
	stop_where(any, 0);
}

void kernel_flows_pause(enum kernel_pause why, bool pause)
{
	const unsigned before = kf.paused;

	kf.paused = pause ? before | why : before & ~(unsigned)why;
	if (kf.slots == NULL || (before == 0) == (kf.paused == 0))
		return;
	__atomic_store_n(&kf.slots[0].on, kf.paused == 0, __ATOMIC_RELEASE);
	/* Each is given again, once a worker offers it: by then it is somewhere else. */
	kernel_flows_changed();
}

void kernel_flows_configure(uint32_t mode)
{
	kf.udp = mode == KERNEL_FLOWS_ALL;
	if (kf.slots != NULL)
		__atomic_store_n(&kf.slots[0].udp, kf.udp, __ATOMIC_RELAXED);
	kernel_flows_changed();
	kernel_flows_pause(KERNEL_PAUSE_SETTING, mode == KERNEL_FLOWS_OFF);
}

unsigned kernel_flows_count(void)
{
	return kf.count;
}

/* --- start and end -------------------------------------------------------------------------------------------- */

int kernel_flows_start(const struct kernel_maps *maps, struct kernel_slot *slots,
	struct flow_table *table, unsigned reader)
{
	kf.entries = calloc(KERNEL_SLOTS, sizeof(*kf.entries));
	if (kf.entries == NULL)
		return -ENOMEM;
	kf.maps = *maps;
	kf.slots = slots;
	kf.table = table;
	kf.reader = reader;
	kf.top = 1;
	kf.next = kf.count = kf.used = 0;
	atomic_store_explicit(&kernel_slots, slots, memory_order_release);
	slots[0].epoch = generation_epoch();
	slots[0].udp = kf.udp;
	__atomic_store_n(&slots[0].on, kf.paused == 0, __ATOMIC_RELEASE);
	return 0;
}

void kernel_flows_stop(void)
{
	free(kf.entries);
	kf.entries = NULL;
	kf.top = kf.count = 0;
	atomic_store_explicit(&kernel_slots, NULL, memory_order_relaxed);
	kf.slots = NULL;
}
