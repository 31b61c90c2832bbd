/* SPDX-License-Identifier: Apache-2.0 */
/** The kernel's part of flows that it forwards (dataplane/kernel_flows.h), played by the test: maps in memory, and a program that
 * does with a segment what tc/forward.bpf.h does. Ports a, b and eth0 of the node have interfaces. */
#ifndef TESTS_UNIT_KERNEL_FIXTURE_H
#define TESTS_UNIT_KERNEL_FIXTURE_H

#include "config/model.h"
#include "dataplane/kernel_flows.h"
#include "dataplane/kernel_slots.h"
#include "tests/unit/worker_frames.h"

#define READER	    20 /* the control thread's */
#define MAP_ENTRIES 512

struct map_entry {
	bool used, v6;
	uint8_t key[sizeof(struct kernel_key6)];
	struct kernel_flow flow;
};

static struct map_entry map_entries[MAP_ENTRIES];
static int map_refuses; /* -errno that the next puts return */
static struct kernel_slot slots[KERNEL_SLOTS];
static uint32_t now_ms;

static inline struct map_entry *map_find(bool v6, const void *key)
{
	for (unsigned i = 0; i < MAP_ENTRIES; i++) {
		struct map_entry *e = &map_entries[i];

		if (e->used && e->v6 == v6 &&
			memcmp(e->key, key,
				v6 ? sizeof(struct kernel_key6) : sizeof(struct kernel_key4)) == 0)
			return e;
	}
	return NULL;
}

static inline int map_put(void *arg, bool v6, const void *key, const struct kernel_flow *flow)
{
	struct map_entry *e = map_find(v6, key);

	(void)arg;
	if (map_refuses != 0)
		return map_refuses;
	for (unsigned i = 0; e == NULL && i < MAP_ENTRIES; i++) {
		if (!map_entries[i].used)
			e = &map_entries[i];
	}
	if (e == NULL)
		return -E2BIG;
	*e = (struct map_entry){ .used = true, .v6 = v6, .flow = *flow };
	memcpy(e->key, key, v6 ? sizeof(struct kernel_key6) : sizeof(struct kernel_key4));
	return 0;
}

static inline int map_del(void *arg, bool v6, const void *key)
{
	struct map_entry *e = map_find(v6, key);

	(void)arg;
	if (e == NULL)
		return -ENOENT;
	e->used = false;
	return 0;
}

static inline int map_slot(void *arg, bool v6, const void *key)
{
	const struct map_entry *e = map_find(v6, key);

	(void)arg;
	return e != NULL ? (int)e->flow.slot : -ENOENT;
}

static inline unsigned map_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MAP_ENTRIES; i++)
		n += map_entries[i].used;
	return n;
}

static inline void interface_set(uint16_t port, uint32_t ifindex)
{
	atomic_store(&node_ports[port].port.kernel_ifindex, ifindex);
}

static inline void window_mode(enum flow_window_mode mode)
{
	struct flow_conduct conduct = { .window = mode };

	for (unsigned i = 0; i < FLOW_KIND_COUNT; i++)
		conduct.timeout_ms[i] = 60000;
	flow_table_configure(w->flows, &conduct);
}

/** A node whose kernel has nothing yet. */
static inline void kernel_start(void)
{
	const struct kernel_maps maps = { map_put, map_del, NULL, map_slot };

	kernel_flows_stop();
	node_start();
	grace();
	memset(map_entries, 0, sizeof(map_entries));
	memset(slots, 0, sizeof(slots));
	map_refuses = 0;
	memset(&w->offers, 0, sizeof(w->offers));
	for (uint16_t id = ETH; id < NODE_PORTS; id++) {
		interface_set(id, id != HOST ? 100u + id : 0);
		atomic_store(&node_ports[id].port.link_up, true);
		node_ports[id].port.vlan = 0;
	}
	window_mode(FLOW_WINDOW_STRICT);
	CU_ASSERT_EQUAL_FATAL(kernel_flows_start(&maps, slots, w->flows, READER), 0);
	kernel_flows_configure(KERNEL_FLOWS_ALL);
	now_ms = w->now_ms;
	kernel_flows_tick(now_ms);
}

/** Time goes by as the loop and the control thread see it, without packets. */
static inline void later(uint32_t ms)
{
	for (uint32_t end = now_ms + ms; now_ms != end;) {
		now_ms += RTE_MIN(100u, end - now_ms);
		w->now_ms = now_ms;
		rcu_quiescent(0);
		kernel_flows_tick(now_ms);
		kernel_flows_take(&w->offers);
	}
}

/* --- conversations -------------------------------------------------------------------------------------------- */

/** Between a pod, whose packets are dir 0, and another pod or somebody behind the uplink. */
struct talk {
	const char *a, *b;
	uint16_t in[2]; /* ports */
	uint8_t proto;
	uint16_t sport, dport;
	uint32_t seq[2]; /* next */
};

static struct frame talk_frame;

/** The next packet of a direction. `flags` are TCP's. */
static inline const struct frame *talk_make(
	struct talk *t, unsigned dir, uint8_t flags, uint16_t payload)
{
	const struct ask a = { .src = dir ? t->b : t->a,
		.dst = dir ? t->a : t->b,
		.proto = t->proto,
		.sport = dir ? t->dport : t->sport,
		.dport = dir ? t->sport : t->dport,
		.payload = payload };
	struct frame *f = &talk_frame;
	uint8_t *l4;

	frame_make(f, t->in[dir], &a);
	l4 = f->bytes + ETHER + f->l3;
	if (t->proto == IPPROTO_TCP) {
		put16(l4 + 4, t->seq[dir] >> 16);
		put16(l4 + 6, t->seq[dir]);
		put16(l4 + 8, t->seq[!dir] >> 16);
		put16(l4 + 10, t->seq[!dir]);
		l4[13] = flags;
		put16(l4 + 16, 0);
		put_sum(l4 + 16, (uint16_t)~l4_sum(f->bytes + ETHER, l4, IPPROTO_TCP,
					 f->len - ETHER - f->l3));
	}
	t->seq[dir] += payload + ((flags & 3) != 0);
	return f;
}

/** A packet through the worker. @return how many came out. */
static inline unsigned talk_say(struct talk *t, unsigned dir, uint8_t flags, uint16_t payload)
{
	const unsigned before = sent_all();
	unsigned out;

	frame_send(talk_make(t, dir, flags, payload), t->in[dir], 0);
	out = sent_all() - before;
	sent_clear();
	return out;
}

#define TALK_SYN 0x02
#define TALK_FIN 0x11
#define TALK_RST 0x14
#define TALK_ACK 0x10

static inline void talk_open(struct talk *t)
{
	if (t->proto != IPPROTO_TCP) {
		CU_ASSERT_EQUAL(talk_say(t, 0, 0, 10), 1);
		CU_ASSERT_EQUAL(talk_say(t, 1, 0, 10), 1);
		return;
	}
	CU_ASSERT_EQUAL(talk_say(t, 0, TALK_SYN, 0), 1);
	CU_ASSERT_EQUAL(talk_say(t, 1, TALK_SYN | TALK_ACK, 0), 1);
	CU_ASSERT_EQUAL(talk_say(t, 0, TALK_ACK, 0), 1);
}

/** So many packets of a direction that the kernel is offered it. */
static inline void talk_much(struct talk *t, unsigned dir)
{
	for (unsigned i = 0; i < KERNEL_OFFER_AFTER; i++)
		CU_ASSERT_EQUAL(talk_say(t, dir, TALK_ACK, 100), 1);
}

/** What the kernel was told of a direction, or NULL. */
static inline struct map_entry *talk_entry(const struct talk *t, unsigned dir)
{
	const struct ip_addr src = ip(dir ? t->b : t->a), dst = ip(dir ? t->a : t->b);
	const uint16_t sport = dir ? t->dport : t->sport, dport = dir ? t->sport : t->dport;
	struct kernel_key4 k4 = { .sport = rte_cpu_to_be_16(sport),
		.dport = rte_cpu_to_be_16(dport),
		.ifindex = atomic_load(&node_ports[t->in[dir]].port.kernel_ifindex),
		.proto = t->proto };
	struct kernel_key6 k6 = {
		.sport = k4.sport, .dport = k4.dport, .ifindex = k4.ifindex, .proto = t->proto
	};

	memcpy(&k4.src, src.bytes, 4);
	memcpy(&k4.dst, dst.bytes, 4);
	memcpy(k6.src, src.bytes, 16);
	memcpy(k6.dst, dst.bytes, 16);
	return src.family == IP_V6 ? map_find(true, &k6) : map_find(false, &k4);
}

static inline struct kernel_slot *talk_slot(const struct talk *t, unsigned dir)
{
	const struct map_entry *e = talk_entry(t, dir);

	return e != NULL ? &slots[e->flow.slot] : NULL;
}

static inline struct flow *talk_flow(const struct talk *t, unsigned dir)
{
	const struct ip_addr src = ip(dir ? t->b : t->a), dst = ip(dir ? t->a : t->b);
	struct pkt p = { 0 }, *list = &p;
	struct flow *flow;

	if (src.family == IP_V6) {
		memcpy(p.key6.src, src.bytes, 16);
		memcpy(p.key6.dst, dst.bytes, 16);
		p.key6.sport = rte_cpu_to_be_16(dir ? t->dport : t->sport);
		p.key6.dport = rte_cpu_to_be_16(dir ? t->sport : t->dport);
		p.key6.zone_proto = (uint32_t)t->in[dir] << 8 | t->proto;
		p.hash = flow_hash6(w->flows, &p.key6);
		flow_lookup6(w->flows, &list, &flow, 1);
	} else {
		memcpy(&p.key4.src, src.bytes, 4);
		memcpy(&p.key4.dst, dst.bytes, 4);
		p.key4.sport = rte_cpu_to_be_16(dir ? t->dport : t->sport);
		p.key4.dport = rte_cpu_to_be_16(dir ? t->sport : t->dport);
		p.key4.zone_proto = (uint32_t)t->in[dir] << 8 | t->proto;
		p.hash = flow_hash4(w->flows, &p.key4);
		flow_lookup4(w->flows, &list, &flow, 1);
	}
	return flow;
}

/** The program would forward the next plain packet of a direction. */
static inline bool kernel_has(const struct talk *t, unsigned dir)
{
	const struct kernel_slot *s = talk_slot(t, dir);

	return s != NULL && slots[0].on && s->on && s->epoch == slots[0].epoch &&
	       (t->proto != IPPROTO_TCP || t->seq[dir] - s->seq + FLOW_SEQ_BACK <= s->span);
}

/** The kernel forwards a packet of so many bytes of payload by itself. @return false: it is not the kernel's. */
static inline bool kernel_says(struct talk *t, unsigned dir, uint32_t payload, uint32_t segments)
{
	struct kernel_slot *s = talk_slot(t, dir);

	if (!kernel_has(t, dir))
		return false;
	if (t->proto == IPPROTO_TCP) {
		s->seq = t->seq[dir];
		s->fresh = 1;
	}
	s->packets++;
	s->segments += segments;
	s->bytes += payload + 40;
	t->seq[dir] += payload;
	return true;
}

/** Established, and the kernel has both directions. */
static inline void talk_give(struct talk *t)
{
	talk_open(t);
	for (unsigned dir = 0; dir < 2; dir++) {
		if (atomic_load(&node_ports[t->in[dir]].port.kernel_ifindex) == 0 ||
			node_ports[t->in[dir]].port.role != PORT_POD)
			continue;
		talk_much(t, dir);
		later(100);
		CU_ASSERT_TRUE(kernel_has(t, dir));
	}
}

#define TALK4                                                                           \
	{                                                                               \
		"10.244.1.10", "10.244.1.11", { POD_A, POD_B }, IPPROTO_TCP, 40000, 80, \
		{                                                                       \
			1000, 2000                                                      \
		}                                                                       \
	}
#define TALK6                                                                                 \
	{                                                                                     \
		"fd00:244:1::10", "fd00:244:1::11", { POD_A, POD_B }, IPPROTO_TCP, 40000, 80, \
		{                                                                             \
			1000, 2000                                                            \
		}                                                                             \
	}

static inline void kernel_with(void (*run)(struct talk *t))
{
	static const struct talk talks[] = { TALK4, TALK6 };

	for (size_t i = 0; i < RTE_DIM(talks); i++) {
		struct talk t = talks[i];

		kernel_start();
		run(&t);
		node_check();
	}
}

#endif
