/* SPDX-License-Identifier: Apache-2.0 */
/** Verdicts beside commits, with real readers; to be run under ThreadSanitizer. Each transaction changes the label of an endpoint
 * and the policy that asks for it: a reader that takes one table finds the two agree, whatever else changes. */
#include "tests/unit/policy_worlds.h"

#include <pthread.h>
#include <sched.h>

#define READERS 2u
#define COMMITS 400

static _Atomic(struct policy_table *) published;
static atomic_bool stop;
static atomic_ulong torn, judged;

/** Publish or undo the open edits. */
static void transact(bool commit)
{
	static const struct policy_ports ports = { .port_of = fixture_port_of };
	size_t count;
	const struct change *changes = changeset_changes(f.set, &count);
	struct policy_txn *txn = NULL;
	struct policy_table *table, *old;

	CU_ASSERT_EQUAL_FATAL(
		policy_prepare(f.state, f.set, changes, count, &ports, &txn, NULL), 0);
	if (commit) {
		table = policy_txn_table(txn);
		old = rcu_publish(&published, table);
		policy_commit(txn);
		if (old != table && old != NULL)
			policy_table_retire(old);
		model_apply(f.model, f.set, NULL);
	} else {
		policy_abort(txn);
	}
	changeset_free(f.set);
	f.set = changeset_new(f.model);
	rcu_reclaim();
}

/** The two that agree; their addresses and the pod are nobody's in the random world. */
static void agree(unsigned turn)
{
	char json[256];

	snprintf(json, sizeof(json),
		"{\"name\":\"friend\",\"namespace\":\"pair\",\"labels\":[\"turn=t%u\"],"
		"\"addresses\":[\"192.0.2.1\"]}",
		turn);
	fixture_put(OBJECT_ENDPOINT, json);
	snprintf(json, sizeof(json),
		"{\"name\":\"zz\",\"namespace\":\"pair\",\"order\":0,\"tier\":\"pair\",\"ingress\":"
		"[{\"source\":\"turn == 't%u'\","
		"\"source_cidrs\":\"192.0.2.%u/%u\"}]}",
		turn, turn % 2 == 0 ? 0 : 1, turn % 2 == 0 ? 31 : 32);
	fixture_put(OBJECT_POLICY, json);
}

static void *reader(void *arg)
{
	const unsigned id = (unsigned)(uintptr_t)arg;
	struct flow_key4 friend = { .zone_proto = IPPROTO_TCP }, any = friend;
	struct policy_verdict verdict;
	uint64_t seed = id + 1;

	inet_pton(AF_INET, "192.0.2.1", &friend.src);
	inet_pton(AF_INET, "192.0.2.20", &friend.dst);
	rcu_reader_register(id);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		const struct policy_table *table = rcu_read(&published);

		policy_judge4(table, &friend, POLICY_PORT_NONE, 100, NULL, &verdict);
		if (!verdict.allow)
			atomic_fetch_add(&torn, 1);
		policy_count(table, id, &verdict);
		for (unsigned i = 0; i < 8; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			any.src = htonl(10u << 24 | (uint32_t)(seed >> 33) % 512);
			any.dst = htonl(10u << 24 | (uint32_t)(seed >> 43) % 512);
			any.dport = htons((uint16_t)(seed >> 50));
			policy_judge4(table, &any, (uint16_t)((seed >> 20) % 8),
				(uint16_t)((seed >> 24) % 8), NULL, &verdict);
			policy_count(table, id, &verdict);
		}
		atomic_fetch_add_explicit(&judged, 1, memory_order_relaxed);
		rcu_quiescent(id);
	}
	rcu_reader_unregister(id);
	return NULL;
}

static void beside_commits(void)
{
	pthread_t threads[READERS];
	unsigned long before;

	chance_state = 42;
	for (int i = 0; i < TIERS; i++)
		world.tiers[i].order = 1000000;
	fixture_start();
	fixture_put(OBJECT_TIER, "{\"name\":\"pair\",\"order\":0}");
	fixture_put(OBJECT_POD, "{\"name\":\"p100\",\"netns\":\"z\",\"namespace\":\"pair\","
				"\"addresses\":[\"192.0.2.20\"]}");
	agree(0);
	for (int i = 0; i < 1 + PODS + ENDPOINTS; i++)
		change_thing(i);
	for (int i = 0; i < TIERS; i++)
		change_tier(i);
	transact(true);
	for (unsigned i = 0; i < READERS; i++)
		CU_ASSERT_EQUAL_FATAL(
			pthread_create(&threads[i], NULL, reader, (void *)(uintptr_t)i), 0);
	for (unsigned turn = 1; turn <= COMMITS; turn++) {
		bool commit = chance(5) != 0;

		agree(turn);
		for (uint32_t n = chance(6); n > 0; n--)
			change_something();
		transact(commit);
		if (turn % 16 == 0) { /* on a machine with few CPUs nobody may be reading */
			before = atomic_load(&judged);
			while (atomic_load(&judged) < before + 2)
				sched_yield();
		}
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(atomic_load(&torn), 0);
	CU_ASSERT_TRUE(atomic_load(&judged) > COMMITS / 16);
	fixture_stop();
}

static const struct test_case cases[] = { { "verdicts beside commits", beside_commits } };
SUITE_MAIN("policy threads", cases)
