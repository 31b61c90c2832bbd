/* SPDX-License-Identifier: Apache-2.0 */
/** podlane-bench policy: verdicts on first packets by the number of rules that select a pod, beside a walk along the rules and
 * rte_acl for the same rules; and what it takes to load and to change policies. Fixed seeds. */
#include "perf/bench.h"

#include "config/schema.h"
#include "dataplane/policy/policy.h"
#include "dataplane/rcu.h"
#include "perf/tables.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <rte_acl.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define KEYS	4096
#define ROUNDS	8
#define COLD_MB 64 /* written between cold verdicts, more than the L2 cache */

/* --- a model in memory -------------------------------------------------------------------------------------------- */

static struct {
	struct model *model;
	struct policy_state *state;
	struct policy_table *table;
	struct changeset *set;
} b;

static uint16_t port_of(void *arg, const char *pod)
{
	(void)arg;
	return pod == NULL ? 0 : (uint16_t)atoi(pod + 3);
}

static void start(void)
{
	rcu_init();
	b.model = model_new();
	b.state = policy_state_new(1);
	b.table = NULL;
	b.set = changeset_new(b.model);
}

static void stop(void)
{
	changeset_free(b.set);
	policy_state_free(b.state);
	model_free(b.model);
	rcu_barrier();
}

static void put(enum object_type type, const char *json)
{
	struct error err = { 0 };
	struct object *obj;

	if (object_from_text(type, json, strlen(json), &obj, &err) < 0 ||
		changeset_put(b.set, obj, &err) < 0)
		bench_die(json, &err);
}

/** Compile and publish the open edits. @return seconds. */
static double commit(void)
{
	const struct policy_ports ports = { .port_of = port_of };
	uint64_t begin = rte_rdtsc(), end;
	const struct change *changes;
	struct policy_table *table;
	struct policy_txn *txn;
	struct error err;
	size_t count;

	changes = changeset_changes(b.set, &count);
	if (policy_prepare(b.state, b.set, changes, count, &ports, &txn, &err) < 0)
		bench_die("policies", &err);
	table = policy_txn_table(txn);
	policy_commit(txn);
	end = rte_rdtsc();
	if (b.table != NULL && b.table != table)
		policy_table_retire(b.table);
	b.table = table;
	model_apply(b.model, b.set, NULL);
	changeset_free(b.set);
	b.set = changeset_new(b.model);
	rcu_barrier();
	return (double)(end - begin) / bench_tsc_hz();
}

/* --- the same rules for all ----------------------------------------------------------------------------------------- */

struct simple_rule { /* allow TCP to a range of ports from a prefix; whatever matches none is denied */
	uint32_t prefix, mask;
	uint16_t first, last;
};

static void make_rules(struct simple_rule *rules, uint32_t n)
{
	uint64_t seed = 88172645463325252u;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t r = tables_random(&seed);
		unsigned len = 16 + (unsigned)(r >> 60);

		rules[i].mask = ~UINT32_C(0) << (32 - len);
		rules[i].prefix = (10u << 24 | (uint32_t)(r & 0xffffff)) & rules[i].mask;
		rules[i].first = (uint16_t)(1 + (r >> 24) % 60000);
		rules[i].last = (uint16_t)(rules[i].first + (r >> 40) % 8);
	}
}

/** Half of them match some rule, each as likely; half match none and are judged by all. */
static void make_keys(struct flow_key4 *keys, const struct simple_rule *rules, uint32_t n)
{
	uint64_t seed = 362436069362436069u;

	for (uint32_t i = 0; i < KEYS; i++) {
		uint64_t r = tables_random(&seed);
		const struct simple_rule *rule = &rules[r % n];
		bool hit = i % 2 == 0;

		keys[i] = (struct flow_key4){
			.src = htonl(hit ? rule->prefix | ((uint32_t)(r >> 20) & ~rule->mask)
					 : 11u << 24 | (uint32_t)(r >> 40)),
			.dst = htonl(0x0ae00001),
			.sport = htons((uint16_t)(r >> 30 | 1024)),
			.dport = htons(hit ? rule->first : (uint16_t)(r >> 44)),
			.zone_proto = IPPROTO_TCP
		};
	}
}

static void put_rules(const struct simple_rule *rules, uint32_t n)
{
	char *text = malloc((size_t)n * 160 + 256);
	size_t len;

	if (text == NULL)
		bench_die("rules", NULL);
	put(OBJECT_POD, "{\"name\":\"pod1\",\"netns\":\"a\",\"labels\":[\"app=a\"],\"addresses\":["
			"\"10.224.0.1\"]}");
	/* A policy holds at most 65536 rules; real ones hold few. */
	for (uint32_t from = 0, policy = 0; from < n; from += 100, policy++) {
		len = (size_t)sprintf(text,
			"{\"name\":\"p%07u\",\"namespace\":\"default\",\"ingress\":[", policy);
		for (uint32_t i = from; i < n && i < from + 100; i++) {
			uint32_t a = rules[i].prefix;

			len += (size_t)sprintf(text + len,
				"%s{\"protocol\":\"tcp\",\"source_cidrs\":[\"%u.%u.%u.%u/"
				"%u\"],\"destination_ports\":[\"%u:%u\"]}",
				i > from ? "," : "", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255,
				(unsigned)__builtin_popcount(rules[i].mask), rules[i].first,
				rules[i].last);
		}
		strcpy(text + len, "]}");
		put(OBJECT_POLICY, text);
	}
	free(text);
}

/* --- the three ------------------------------------------------------------------------------------------------------ */

static bool judge(const struct flow_key4 *key)
{
	struct policy_verdict verdict;

	policy_judge4(b.table, key, POLICY_PORT_NONE, 1, NULL, &verdict);
	return verdict.allow;
}

static const struct simple_rule *walked;
static uint32_t n_walked;

static bool walk(const struct flow_key4 *key)
{
	const uint32_t src = ntohl(key->src);
	const uint16_t port = ntohs(key->dport);

	for (uint32_t i = 0; i < n_walked; i++) {
		if (((src ^ walked[i].prefix) & walked[i].mask) == 0 && port >= walked[i].first &&
			port <= walked[i].last)
			return true;
	}
	return false;
}

RTE_ACL_RULE_DEF(acl_rule, 4);
static struct rte_acl_ctx *acl;
struct acl_key {
	uint8_t protocol, pad[3];
	uint32_t src;
	uint16_t port, pad2;
};

static double acl_build(const struct simple_rule *rules, uint32_t n)
{
	static const struct rte_acl_field_def fields[4] = {
		/* input comes in groups of four bytes */
		{ RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0, offsetof(struct acl_key, protocol) },
		{ RTE_ACL_FIELD_TYPE_MASK, 4, 1, 1, offsetof(struct acl_key, src) },
		{ RTE_ACL_FIELD_TYPE_RANGE, 2, 2, 2, offsetof(struct acl_key, port) },
		{ RTE_ACL_FIELD_TYPE_RANGE, 2, 3, 2, offsetof(struct acl_key, pad2) }
	};
	const struct rte_acl_param param = { .name = "bench",
		.rule_size = RTE_ACL_RULE_SZ(4),
		.max_rule_num = n,
		.socket_id = SOCKET_ID_ANY };
	struct rte_acl_config config = { .num_categories = 1, .num_fields = 4 };
	uint64_t begin = rte_rdtsc();

	memcpy(config.defs, fields, sizeof(fields));
	acl = rte_acl_create(&param);
	if (acl == NULL)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		struct acl_rule rule = { .data = { .userdata = 1 + i,
						 .category_mask = 1,
						 .priority = (int32_t)(n - i) } };

		rule.field[0].value.u8 = IPPROTO_TCP;
		rule.field[0].mask_range.u8 = 0xff;
		rule.field[1].value.u32 = rules[i].prefix;
		rule.field[1].mask_range.u32 = (uint32_t)__builtin_popcount(rules[i].mask);
		rule.field[2].value.u16 = rules[i].first;
		rule.field[2].mask_range.u16 = rules[i].last;
		rule.field[3].mask_range.u16 = UINT16_MAX;
		if (rte_acl_add_rules(acl, (const struct rte_acl_rule *)&rule, 1) < 0)
			return -1;
	}
	if (rte_acl_build(acl, &config) < 0)
		return -1;
	return (double)(rte_rdtsc() - begin) / bench_tsc_hz();
}

static bool acl_ask(const struct flow_key4 *key)
{
	const struct acl_key k = { .protocol = IPPROTO_TCP, .src = key->src, .port = key->dport };
	const uint8_t *data = (const uint8_t *)&k;
	uint32_t result = 0;

	rte_acl_classify(acl, &data, &result, 1, 1);
	return result != 0;
}

static char *trash;

static void cool(void)
{
	for (size_t i = 0; i < (size_t)COLD_MB << 20; i += 64)
		trash[i]++;
}

/** Cycles a verdict; cold: one at a time, its memory thrown out of the caches before. @return verdicts that allow. */
static uint32_t time_it(bool (*ask)(const struct flow_key4 *), const struct flow_key4 *keys,
	bool cold, struct samples *samples)
{
	uint32_t allowed = 0;

	for (unsigned round = 0; round < ROUNDS + 1u; round++) {
		uint32_t n = cold ? 16 : KEYS;
		uint64_t cycles = 0, begin;

		allowed = 0;
		for (uint32_t i = 0; cold && i < n; i++) {
			const struct flow_key4 *key = &keys[(round * n + i) % KEYS];

			cool();
			begin = bench_tsc();
			allowed += ask(key);
			cycles += bench_tsc() - begin;
		}
		begin = bench_tsc();
		for (uint32_t i = 0; !cold && i < n; i++)
			allowed += ask(&keys[i]);
		if (!cold)
			cycles = bench_tsc() - begin;
		if (round > 0)
			samples_add(samples, (double)cycles / n);
	}
	return allowed;
}

static void verdicts(uint32_t n)
{
	struct simple_rule *rules = calloc(n, sizeof(*rules));
	static struct flow_key4 keys[KEYS];
	struct samples warm = { 0 }, cold = { 0 }, linear = { 0 }, warm_acl = { 0 },
		       cold_acl = { 0 };
	struct policy_size size;
	double compile, build;
	uint32_t allowed;
	json_t *row;

	if (rules == NULL)
		bench_die("rules", NULL);
	make_rules(rules, n);
	make_keys(keys, rules, n);
	start();
	put_rules(rules, n);
	compile = commit();
	policy_size(b.state, &size);
	walked = rules;
	n_walked = n;
	build = n <= 20000 ? acl_build(rules, n) : -1; /* it takes minutes beyond */
	allowed = time_it(judge, keys, false, &warm);
	time_it(judge, keys, true, &cold);
	if (time_it(walk, keys, false, &linear) != allowed)
		bench_die("the walk along the rules has other answers", NULL);
	row = json_pack("{s:s, s:i, s:f, s:i, s:o, s:o, s:o}", "bench", "policy verdicts", "rules",
		(int)n, "compile_s", compile, "program_kib", (int)(size.memory >> 10),
		"cycles_warm", samples_json(&warm), "cycles_cold", samples_json(&cold),
		"cycles_linear", samples_json(&linear));
	if (build >= 0) {
		if (time_it(acl_ask, keys, false, &warm_acl) != allowed)
			bench_die("rte_acl has other answers", NULL);
		time_it(acl_ask, keys, true, &cold_acl);
		json_object_set_new(row, "acl_build_s", json_real(build));
		json_object_set_new(row, "cycles_acl_warm", samples_json(&warm_acl));
		json_object_set_new(row, "cycles_acl_cold", samples_json(&cold_acl));
	}
	bench_print_json(row);
	rte_acl_free(acl);
	acl = NULL;
	stop();
	free(rules);
}

/* --- a cluster -------------------------------------------------------------------------------------------------------- */

static size_t resident(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (size_t)usage.ru_maxrss;
}

static double change(const char *json, enum object_type type)
{
	put(type, json);
	return commit() * 1000;
}

/** Policies, endpoints and label sets of a large cluster, of which this node has 100 pods. */
static void cluster(uint32_t policies, uint32_t endpoints, uint32_t identities)
{
	struct samples pod = { 0 }, known = { 0 }, policy = { 0 };
	struct policy_size size;
	char json[512];
	double load;

	start();
	for (uint32_t i = 0; i < endpoints; i++) {
		snprintf(json, sizeof(json),
			"{\"name\":\"e%u\",\"namespace\":\"ns%u\",\"labels\":[\"app=a%u\",\"tier=t%"
			"u\"],\"addresses\":[\"10.%u.%u.%u\"]}",
			i, i % identities % 100, i % identities, i % 3, 128 + i / 65536,
			i / 256 % 256, i % 256);
		put(OBJECT_ENDPOINT, json);
	}
	for (uint32_t i = 1; i <= 100; i++) {
		snprintf(json, sizeof(json),
			"{\"name\":\"pod%u\",\"netns\":\"a\",\"namespace\":\"ns%u\",\"labels\":["
			"\"app=a%u\",\"tier=t%u\"],\"addresses\":[\"10.1.0.%u\"]}",
			i, i % 100, i, i % 3, i);
		put(OBJECT_POD, json);
	}
	for (uint32_t i = 0; i < policies; i++) {
		snprintf(json, sizeof(json),
			"{\"name\":\"p%u\",\"namespace\":\"ns%u\",\"selector\":\"app == "
			"'a%u'\",\"ingress\":[{\"source\":\"app == 'a%u'\",\"protocol\":\"tcp\","
			"\"destination_ports\":[\"%u\"]},{\"source\":\"tier in {'t0', "
			"'t1'}\",\"source_namespaces\":\"all()\"}]}",
			i, i % identities % 100, i % identities, (i + 100) % identities,
			1 + i % 60000);
		put(OBJECT_POLICY, json);
	}
	load = commit();
	policy_size(b.state, &size);
	for (unsigned i = 0; i < 9; i++) {
		snprintf(json, sizeof(json),
			"{\"name\":\"pod%u\",\"netns\":\"a\",\"namespace\":\"ns1\",\"labels\":["
			"\"app=a1\",\"tier=t1\"],\"addresses\":[\"10.1.1.%u\"]}",
			200 + i, i + 1);
		samples_add(&known, change(json, OBJECT_POD));
		snprintf(json, sizeof(json),
			"{\"name\":\"pod%u\",\"netns\":\"a\",\"namespace\":\"ns1\",\"labels\":["
			"\"app=a1\",\"job=j%u\"],\"addresses\":[\"10.1.2.%u\"]}",
			300 + i, i, i + 1);
		samples_add(&pod, change(json, OBJECT_POD));
		snprintf(json, sizeof(json),
			"{\"name\":\"p1\",\"namespace\":\"ns1\",\"selector\":\"app == "
			"'a1'\",\"ingress\":[{\"protocol\":\"tcp\",\"destination_ports\":[\"%u\"]}]"
			"}",
			i + 1);
		samples_add(&policy, change(json, OBJECT_POLICY));
	}
	bench_print_json(json_pack("{s:s, s:i, s:i, s:i, s:f, s:i, s:i, s:o, s:o, s:o}", "bench",
		"policy cluster", "policies", (int)policies, "endpoints", (int)endpoints,
		"identities", (int)size.identities, "load_s", load, "programs", (int)size.programs,
		"peak_mib", (int)(resident() >> 10), "pod_known_labels_ms", samples_json(&known),
		"pod_new_labels_ms", samples_json(&pod), "policy_changed_ms",
		samples_json(&policy)));
	stop();
}

int bench_policy(int argc, char **argv)
{
	static const struct option options[] = { { "rules", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	static char *eal[] = { (char *)(uintptr_t) "podlane-bench", "--no-huge", "-m", "1024",
		"--no-pci", "--no-telemetry", "--log-level=4", "-l", "0", NULL };
	static const uint32_t sizes[] = { 10, 100, 1000, 10000, 100000 };
	uint32_t only = 0;

	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		if (c != 'r') {
			printf("usage: podlane-bench policy [--rules N]\n\nVerdicts on first "
			       "packets at 10 to 100 000 rules (or N) that select the pod, half of "
			       "them allowed: cycles with the\n"
			       "caches warm and cold, beside a walk along the rules and rte_acl; "
			       "then load and changes of a cluster. One JSON object a line.\n");
			return c == 'h' ? 0 : 2;
		}
		only = bench_number(optarg, "--rules", 1, 1000000);
	}
	if (rte_eal_init((int)(sizeof(eal) / sizeof(eal[0])) - 1, eal) < 0)
		bench_die("rte_eal_init", NULL);
	trash = malloc((size_t)COLD_MB << 20);
	if (trash == NULL)
		bench_die("memory", NULL);
	if (only != 0) {
		verdicts(only);
	} else {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			verdicts(sizes[i]);
		cluster(100, 1000, 500);
		cluster(10000, 100000, 5000);
	}
	free(trash);
	return 0;
}
