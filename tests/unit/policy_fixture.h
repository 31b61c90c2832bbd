/* SPDX-License-Identifier: Apache-2.0 */
/** A model and its policies, without the rest of a daemon. Pods get ports in the order of their names' numbers: "p7" has 7. */
#ifndef TESTS_UNIT_POLICY_FIXTURE_H
#define TESTS_UNIT_POLICY_FIXTURE_H

#include "config/schema.h"
#include "dataplane/policy/policy.h"
#include "dataplane/rcu.h"
#include "tests/unit/suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define HOST_PORT 1000

static struct policies {
	struct model *model;
	struct policy_state *state;
	struct policy_table *table;
	struct changeset *set; /* open edits */
} f;

static inline uint16_t fixture_port_of(void *arg, const char *pod)
{
	(void)arg;
	return pod == NULL ? HOST_PORT : (uint16_t)atoi(pod + 1);
}

static inline void fixture_start(void)
{
	rcu_init();
	f.model = model_new();
	f.state = policy_state_new(2);
	f.table = NULL;
	f.set = changeset_new(f.model);
}

static inline void fixture_put(enum object_type type, const char *json)
{
	struct error err = { 0 };
	struct object *obj = NULL;

	if (object_from_text(type, json, strlen(json), &obj, &err) < 0)
		printf("\n%s: %s\n", err.text, json);
	CU_ASSERT_PTR_NOT_NULL_FATAL(obj);
	CU_ASSERT_EQUAL_FATAL(changeset_put(f.set, obj, &err), 0);
}

static inline void fixture_delete(enum object_type type, const char *name)
{
	CU_ASSERT_EQUAL_FATAL(changeset_delete(f.set, type, name, NULL), 0);
}

/** Prepare the open edits; commit or undo them. */
static inline void fixture_end(bool commit)
{
	const struct policy_ports ports = { .port_of = fixture_port_of };
	size_t count;
	const struct change *changes = changeset_changes(f.set, &count);
	struct policy_txn *txn = NULL;
	struct policy_table *table;

	CU_ASSERT_EQUAL_FATAL(
		policy_prepare(f.state, f.set, changes, count, &ports, &txn, NULL), 0);
	table = policy_txn_table(txn);
	if (!commit) {
		policy_abort(txn);
	} else {
		policy_commit(txn);
		if (f.table != table && f.table != NULL)
			policy_table_retire(f.table);
		f.table = table;
		model_apply(f.model, f.set, NULL);
	}
	changeset_free(f.set);
	f.set = changeset_new(f.model);
	rcu_reclaim();
}

static inline void fixture_stop(void)
{
	changeset_free(f.set);
	policy_state_free(f.state);
	model_free(f.model);
	rcu_barrier();
}

static inline struct policy_verdict fixture_judge(const char *src, const char *dst,
	uint8_t protocol, uint16_t sport, uint16_t dport, int from, int to)
{
	struct policy_verdict verdict;
	struct ip_addr s, d;

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(src, &s), 0);
	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(dst, &d), 0);
	if (s.family == IP_V4) {
		struct flow_key4 key = {
			.sport = htons(sport), .dport = htons(dport), .zone_proto = protocol
		};

		memcpy(&key.src, s.bytes, 4);
		memcpy(&key.dst, d.bytes, 4);
		policy_judge4(f.table, &key, (uint16_t)from, (uint16_t)to, NULL, &verdict);
	} else {
		struct flow_key6 key = {
			.sport = htons(sport), .dport = htons(dport), .zone_proto = protocol
		};

		memcpy(key.src, s.bytes, 16);
		memcpy(key.dst, d.bytes, 16);
		policy_judge6(f.table, &key, (uint16_t)from, (uint16_t)to, NULL, &verdict);
	}
	return verdict;
}

#endif
