/* SPDX-License-Identifier: Apache-2.0 */
/** What becomes of the slots of flows that the kernel has when entries, ports and interfaces go, maps are full and somebody watches:
 * kernel_flows.h over a worker, with a program that the test plays. */
#include "tests/unit/kernel_fixture.h"

#include "dataplane/limit.h"
#include "dataplane/observe.h"

/* --- entries, ports and slots that go ------------------------------------------------------------------------- */

static void flushed_of(struct talk *t)
{
	const struct kernel_slot *old;

	talk_give(t);
	old = talk_slot(t, 0);
	flow_table_flush(w->flows);
	grace();
	/* The same connection again: its flow is another, which the old slot says nothing about. */
	talk_open(t);
	talk_much(t, 0);
	later(100);
	CU_ASSERT_TRUE_FATAL(kernel_has(t, 0));
	CU_ASSERT_PTR_NOT_EQUAL(talk_slot(t, 0), old);
	later(1100);
	CU_ASSERT_EQUAL(old->on, 0);
	CU_ASSERT_TRUE(kernel_has(t, 0));
	talk_say(t, 0, TALK_FIN, 0);
	CU_ASSERT_FALSE(kernel_has(t, 0));
	later(3100);
	CU_ASSERT_EQUAL(kernel_flows_count(), 0);
	CU_ASSERT_EQUAL(map_count(), 0);
}
static void test_flushed(void)
{
	kernel_with(flushed_of);
}

static void test_index_reused(void)
{
	struct talk first = TALK4, second = TALK4;

	first.proto = second.proto = IPPROTO_UDP;
	second.sport = 50000;
	kernel_start();
	talk_give(&first);
	flow_table_flush(w->flows);
	grace();
	for (unsigned i = 0; i < 2000; i++) { /* all indices have been somebody's */
		second.sport = (uint16_t)(50000 + i % 400);
		talk_say(&second, 0, 0, 10);
	}
	CU_ASSERT_TRUE(kernel_says(&first, 0, 10, 1)); /* for a second at most */
	later(1100);
	CU_ASSERT_EQUAL(map_count(), 0);
	for (unsigned i = 0; i < 400; i++) {
		second.sport = (uint16_t)(50000 + i);
		CU_ASSERT_EQUAL(
			atomic_load(kernel_number(w->flows, talk_flow(&second, 0), false)), 0);
		CU_ASSERT_EQUAL(counter_read(&talk_flow(&second, 0)->packets), 5);
	}
	node_check();
}

static void test_stale_number(void)
{
	struct talk idle = TALK4;
	struct kernel_slot *s;

	kernel_start();
	talk_give(&idle);
	s = talk_slot(&idle, 0);
	CU_ASSERT_TRUE(kernel_says(&idle, 0, 50000, 36));
	later(65000);
	CU_ASSERT_EQUAL(kernel_flows_count(), 0);
	CU_ASSERT_EQUAL(atomic_load(kernel_number(w->flows, talk_flow(&idle, 0), false)), 0);
	/* Its slot is another's. */
	memset(s, 0, sizeof(*s));
	s->on = s->fresh = 1;
	s->seq = 0x40000000;
	generation_commit();
	CU_ASSERT_EQUAL(talk_say(&idle, 0, TALK_ACK, 100), 1);
	CU_ASSERT_EQUAL(talk_say(&idle, 0, TALK_FIN, 0), 1);
	CU_ASSERT_EQUAL(s->on, 1);
	CU_ASSERT_EQUAL(s->epoch, 0);
	CU_ASSERT_EQUAL(s->seq, 0x40000000);
	node_check();
}

static void test_slots_wait(void)
{
	struct talk t = TALK4;
	unsigned first;

	t.proto = IPPROTO_UDP;
	kernel_start();
	talk_give(&t);
	first = (unsigned)(talk_slot(&t, 0) - slots);
	later(900);
	kernel_flows_port_gone(&node_ports[POD_A].port);
	CU_ASSERT_EQUAL(map_count(), 0);
	/* The program may be at its last packet: it is counted. */
	slots[first].packets++;
	slots[first].segments++;
	slots[first].bytes += 100;
	{
		struct counter_totals before, now;

		counters_sum(&before);
		kernel_flows_harvest();
		counters_sum(&now);
		CU_ASSERT_EQUAL(now.received - before.received, 1);
	}
	/* Soon afterwards the slot is still nobody's. */
	later(100);
	for (unsigned i = 0; i < 200; i++) {
		t.sport = (uint16_t)(30000 + i);
		talk_open(&t);
		talk_much(&t, 0);
		later(2);
		CU_ASSERT_NOT_EQUAL((unsigned)(talk_slot(&t, 0) - slots), first);
	}
	node_check();
}

static void test_port_gone(void)
{
	struct talk t = TALK4;
	struct port_totals before, now;

	kernel_start();
	talk_give(&t);
	kernel_flows_harvest();
	counters_sum_port(POD_B, &before);
	CU_ASSERT_TRUE(kernel_says(&t, 0, 1000, 1));
	kernel_flows_port_gone(&node_ports[POD_B].port);
	counters_sum_port(POD_B, &now);
	CU_ASSERT_EQUAL(now.tx_packets - before.tx_packets, 1);
	CU_ASSERT_EQUAL(map_count(), 0);
	CU_ASSERT_EQUAL(kernel_flows_count(), 0);
	/* Another port of that number, with another interface. */
	interface_set(POD_B, 777);
	CU_ASSERT_FALSE(kernel_says(&t, 0, 100, 1));
	talk_say(&t, 0, TALK_ACK, 100);
	later(100);
	CU_ASSERT_TRUE_FATAL(kernel_has(&t, 0));
	CU_ASSERT_EQUAL(talk_entry(&t, 0)->flow.ifindex, 777);
	node_check();
}

static void test_interface_changes(void)
{
	struct talk t = TALK4;

	kernel_start();
	talk_give(&t);
	/* It went and came between two looks. */
	interface_set(POD_B, 888);
	later(1100);
	CU_ASSERT_FALSE(kernel_has(&t, 0));
	talk_say(&t, 0, TALK_ACK, 100);
	talk_say(&t, 1, TALK_ACK, 100);
	later(100);
	CU_ASSERT_TRUE_FATAL(kernel_has(&t, 0));
	CU_ASSERT_EQUAL(talk_entry(&t, 0)->flow.ifindex, 888);
	/* Told at once, and given again before a look: no key is left behind. */
	interface_set(POD_A, 889);
	kernel_flows_port_changed(&node_ports[POD_A].port);
	CU_ASSERT_FALSE(kernel_has(&t, 0));
	talk_say(&t, 0, TALK_ACK, 100);
	later(100);
	CU_ASSERT_TRUE(kernel_has(&t, 0));
	for (unsigned i = 0; i < MAP_ENTRIES; i++) {
		struct kernel_key4 key;

		memcpy(&key, map_entries[i].key, sizeof(key));
		CU_ASSERT_FALSE(map_entries[i].used && key.ifindex == 100 + POD_A);
	}
	node_check();
}

static void test_limits_come(void)
{
	struct talk t = TALK4;
	const struct limit_conf conf[LIMIT_DIRECTIONS] = { { .bits_per_second = UINT64_C(1)
										<< 40 } };
	struct port_limits *limits;

	kernel_start();
	talk_give(&t);
	CU_ASSERT_EQUAL(port_limits_make(&node_ports[POD_B].port, conf, &limits), 0);
	port_limits_publish(&node_ports[POD_B].port, limits);
	CU_ASSERT_FALSE(kernel_has(&t, 0));
	CU_ASSERT_FALSE(kernel_has(&t, 1));
	talk_much(&t, 0);
	later(100);
	CU_ASSERT_FALSE(kernel_has(&t, 0));
	port_limits_publish(&node_ports[POD_B].port, NULL);
	grace();
	talk_much(&t, 0);
	later(100);
	CU_ASSERT_TRUE(kernel_has(&t, 0));
	node_check();
}

/* --- what fails ----------------------------------------------------------------------------------------------- */

static void test_map_full(void)
{
	struct talk t = TALK4;

	t.proto = IPPROTO_UDP;
	kernel_start();
	map_refuses = -E2BIG;
	talk_open(&t);
	talk_much(&t, 0);
	/* Often enough that no slot would be left. */
	for (unsigned i = 0; i < KERNEL_SLOTS + 10; i++) {
		kernel_offer(&w->offers, flow_index(&w->flows->pool[0], talk_flow(&t, 0), false),
			false, i * KERNEL_OFFER_AGAIN);
		kernel_flows_take(&w->offers);
	}
	CU_ASSERT_EQUAL(kernel_flows_count(), 0);
	CU_ASSERT_FALSE(kernel_has(&t, 0));
	later(3100);
	map_refuses = 0;
	memset(&w->offers, 0, sizeof(w->offers));
	talk_say(&t, 0, 0, 10);
	later(100);
	CU_ASSERT_TRUE(kernel_has(&t, 0));
	/* One that is given and cannot be replaced is not left as it was. */
	map_refuses = -ENOMEM;
	kernel_flows_changed();
	talk_say(&t, 0, 0, 10);
	later(100);
	CU_ASSERT_EQUAL(map_count(), 0);
	CU_ASSERT_EQUAL(kernel_flows_count(), 0);
	node_check();
}

static void test_pause(void)
{
	struct talk t = TALK4;

	kernel_start();
	talk_give(&t);
	kernel_flows_pause(KERNEL_PAUSE_OBSERVER, true);
	CU_ASSERT_FALSE(kernel_has(&t, 0));
	kernel_flows_pause(KERNEL_PAUSE_SETTING, true);
	kernel_flows_pause(KERNEL_PAUSE_OBSERVER, false);
	kernel_flows_pause(KERNEL_PAUSE_OBSERVER, false);
	talk_much(&t, 0);
	later(200);
	CU_ASSERT_FALSE(kernel_has(&t, 0));
	generation_commit();
	talk_say(&t, 0, TALK_ACK, 100);
	CU_ASSERT_FALSE(kernel_has(&t, 0));
	kernel_flows_pause(KERNEL_PAUSE_SETTING, false);
	talk_say(&t, 0, TALK_ACK, 100);
	later(100);
	talk_say(&t, 0, TALK_ACK, 100);
	later(100);
	CU_ASSERT_TRUE(kernel_has(&t, 0));
	node_check();
}

static const struct test_case cases[] = {
	{ "the entry is flushed under it", test_flushed },
	{ "the entry's index is another's", test_index_reused },
	{ "a number outlives nothing", test_stale_number },
	{ "a slot is not used again at once", test_slots_wait },
	{ "a port goes, its number comes back", test_port_gone },
	{ "an interface is replaced", test_interface_changes },
	{ "limits come", test_limits_come },
	{ "the map takes no more", test_map_full },
	{ "a pause for two reasons", test_pause },
};

SUITE_MAIN("kernel_slots", cases)
