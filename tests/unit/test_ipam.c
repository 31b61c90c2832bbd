/* SPDX-License-Identifier: Apache-2.0 */
/** Addresses for pods: what is given, what never is, in which order, and what survives. */
#include "config/schema.h"
#include "ctrl/ipam/ipam.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct bench {
	struct model *model;
	struct ipam *ipam;
	struct error err;
};

static void put(struct changeset *set, enum object_type type, const char *text)
{
	json_t *json = json_loads(text, 0, NULL);
	struct error err = { 0 };
	struct object *obj = NULL;

	CU_ASSERT_EQUAL_FATAL(object_from_json(type, json, &obj, &err), 0);
	CU_ASSERT_EQUAL(changeset_put(set, obj, &err), 0);
	json_decref(json);
}

static int commit(struct bench *b, struct changeset *set)
{
	const struct change *changes;
	size_t count;
	int ret = ipam_assign(b->ipam, b->model, set, &b->err);

	if (ret == 0) {
		changes = changeset_changes(set, &count);
		ipam_committed(b->ipam, changes, count);
		model_apply(b->model, set, NULL);
	}
	changeset_free(set);
	return ret;
}

static void begin(struct bench *b, const char *pool4, const char *pool6)
{
	struct changeset *set;
	char text[128];

	*b = (struct bench){ .model = model_new(), .ipam = ipam_new() };
	set = changeset_new(b->model);
	put(set, OBJECT_NODE, "{\"name\":\"n\",\"host_addresses\":[\"10.244.1.3\"]}");
	if (pool4 != NULL) {
		snprintf(text, sizeof(text), "{\"name\":\"a\",\"cidr\":\"%s\"}", pool4);
		put(set, OBJECT_POOL, text);
	}
	if (pool6 != NULL) {
		snprintf(text, sizeof(text), "{\"name\":\"b\",\"cidr\":\"%s\"}", pool6);
		put(set, OBJECT_POOL, text);
	}
	CU_ASSERT_EQUAL(commit(b, set), 0);
}

static void end(struct bench *b)
{
	ipam_free(b->ipam);
	model_free(b->model);
}

static int add(struct bench *b, const char *name, const char *extra)
{
	struct changeset *set = changeset_new(b->model);
	char text[160];

	snprintf(text, sizeof(text), "{\"name\":\"%s\",\"netns\":\"x\"%s}", name, extra);
	put(set, OBJECT_POD, text);
	return commit(b, set);
}

static int del(struct bench *b, const char *name)
{
	struct changeset *set = changeset_new(b->model);

	CU_ASSERT_EQUAL(changeset_delete(set, OBJECT_POD, name, &b->err), 0);
	return commit(b, set);
}

static void expect_addresses(
	struct bench *b, const char *name, const char *first, const char *second)
{
	const struct object *obj = model_find(b->model, OBJECT_POD, name);
	const char *want[] = { first, second };
	size_t count = (first != NULL) + (second != NULL);
	char text[IP_TEXT_MAX];

	CU_ASSERT_PTR_NOT_NULL_FATAL(obj);
	CU_ASSERT_EQUAL_FATAL(obj->pod.addresses.count, count);
	for (size_t i = 0; i < count; i++) {
		ip_addr_format(&obj->pod.addresses.items[i], text);
		if (strcmp(text, want[i]) != 0)
			fprintf(stderr, "%s: %s instead of %s\n", name, text, want[i]);
		CU_ASSERT_STRING_EQUAL(text, want[i]);
	}
}

static void test_both_families(void)
{
	struct bench b;

	begin(&b, "10.244.1.0/24", "fd00:1::/64");
	CU_ASSERT_EQUAL(add(&b, "p", ""), 0);
	/* .0 is the network, .1 the host; in IPv6 :: is the routers' anycast address. */
	expect_addresses(&b, "p", "10.244.1.2", "fd00:1::2");
	CU_ASSERT_EQUAL(add(&b, "q", ""), 0);
	/* .3 is an address of the node. */
	expect_addresses(&b, "q", "10.244.1.4", "fd00:1::3");
	end(&b);
}

static void test_own_addresses(void)
{
	struct bench b;
	struct changeset *set;

	begin(&b, "10.244.1.0/24", NULL);
	CU_ASSERT_EQUAL(add(&b, "fixed", ",\"addresses\":[\"10.244.1.2\"]"), 0);
	CU_ASSERT_EQUAL(add(&b, "p", ""), 0);
	expect_addresses(&b, "p", "10.244.1.4", NULL);
	/* A set that names an address takes it from those it gives to others. */
	set = changeset_new(b.model);
	put(set, OBJECT_POD, "{\"name\":\"a1\",\"netns\":\"x\"}");
	put(set, OBJECT_POD, "{\"name\":\"a2\",\"netns\":\"x\",\"addresses\":[\"10.244.1.5\"]}");
	CU_ASSERT_EQUAL(commit(&b, set), 0);
	expect_addresses(&b, "a1", "10.244.1.6", NULL);
	end(&b);
}

static void test_cursor(void)
{
	struct bench b;

	begin(&b, "10.244.9.0/29", NULL); /* .2 to .6 */
	CU_ASSERT_EQUAL(add(&b, "p1", ""), 0);
	CU_ASSERT_EQUAL(add(&b, "p2", ""), 0);
	CU_ASSERT_EQUAL(del(&b, "p1"), 0);
	/* What was just freed rests while there are others. */
	CU_ASSERT_EQUAL(add(&b, "p3", ""), 0);
	expect_addresses(&b, "p3", "10.244.9.4", NULL);
	CU_ASSERT_EQUAL(add(&b, "p4", ""), 0);
	CU_ASSERT_EQUAL(add(&b, "p5", ""), 0);
	CU_ASSERT_EQUAL(add(&b, "p6", ""), 0);
	expect_addresses(&b, "p6", "10.244.9.2", NULL);
	CU_ASSERT_EQUAL(add(&b, "p7", ""), -ENOSPC);
	CU_ASSERT_STRING_EQUAL(b.err.text,
		"pod p7: every address of the IPv4 pools is in use: add a pool or remove pods");
	CU_ASSERT_EQUAL(del(&b, "p4"), 0);
	CU_ASSERT_EQUAL(add(&b, "p7", ""), 0);
	expect_addresses(&b, "p7", "10.244.9.5", NULL);
	end(&b);
}

static void test_small_pools(void)
{
	static const struct {
		const char *pool;
		unsigned size;
	} pools[] = { { "10.0.0.0/30", 1 }, { "10.0.0.8/29", 5 }, { "fd00::/126", 2 },
		{ "fd00::8/125", 6 }, { "10.0.0.0/16", 65533 }, { "fd00::/64", UINT32_MAX - 1 } };

	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
		struct ipam_usage usage;
		struct bench b;
		unsigned n = 0;

		begin(&b, pools[i].pool, NULL);
		ipam_usage(b.ipam, &model_find(b.model, OBJECT_POOL, "a")->pool.cidr, &usage);
		CU_ASSERT_EQUAL(usage.size, pools[i].size);
		while (pools[i].size < 10 && n < 10) {
			char name[16];

			snprintf(name, sizeof(name), "p%u", n);
			if (add(&b, name, "") < 0)
				break;
			n++;
		}
		CU_ASSERT_EQUAL(n, pools[i].size < 10 ? pools[i].size : 0);
		ipam_usage(b.ipam, &model_find(b.model, OBJECT_POOL, "a")->pool.cidr, &usage);
		CU_ASSERT_EQUAL(usage.used, n);
		end(&b);
	}
}

static void test_lease_is_kept(void)
{
	struct bench b;
	struct changeset *set;
	size_t count;

	begin(&b, "10.244.1.0/24", NULL);
	CU_ASSERT_EQUAL(add(&b, "p", ""), 0);
	CU_ASSERT_EQUAL(add(&b, "p", ",\"interface\":\"net1\""), 0);
	expect_addresses(&b, "p", "10.244.1.2", NULL);
	/* The same again is no change at all. */
	set = changeset_new(b.model);
	put(set, OBJECT_POD, "{\"name\":\"p\",\"netns\":\"x\",\"interface\":\"net1\"}");
	CU_ASSERT_EQUAL(ipam_assign(b.ipam, b.model, set, &b.err), 0);
	changeset_changes(set, &count);
	CU_ASSERT_EQUAL(count, 0);
	changeset_free(set);
	end(&b);
}

static void test_pools_in_the_same_set(void)
{
	struct bench b;
	struct changeset *set;

	begin(&b, NULL, NULL);
	CU_ASSERT_EQUAL(add(&b, "p", ""), -EINVAL);
	CU_ASSERT_STRING_EQUAL(
		b.err.text, "pod p: it has no address and the node has no pool to take one from");
	set = changeset_new(b.model);
	put(set, OBJECT_POOL, "{\"name\":\"new\",\"cidr\":\"10.5.0.0/24\"}");
	put(set, OBJECT_POD, "{\"name\":\"p\",\"netns\":\"x\"}");
	CU_ASSERT_EQUAL(commit(&b, set), 0);
	expect_addresses(&b, "p", "10.5.0.2", NULL);
	/* A pool that goes gives nothing any more. */
	set = changeset_new(b.model);
	CU_ASSERT_EQUAL(changeset_delete(set, OBJECT_POOL, "new", &b.err), 0);
	put(set, OBJECT_POOL, "{\"name\":\"other\",\"cidr\":\"10.6.0.0/24\"}");
	put(set, OBJECT_POD, "{\"name\":\"q\",\"netns\":\"x\"}");
	CU_ASSERT_EQUAL(commit(&b, set), 0);
	expect_addresses(&b, "q", "10.6.0.2", NULL);
	end(&b);
}

/* Thousands of additions and removals against a plain table. */
static void test_churn(void)
{
	static char owner[256][16];
	struct bench b;
	unsigned seed = 7;

	begin(&b, "10.244.1.0/24", NULL);
	memset(owner, 0, sizeof(owner));
	for (unsigned i = 0; i < 4000; i++) {
		char name[16];
		const struct object *obj;
		unsigned last;

		seed = seed * 1103515245 + 12345;
		snprintf(name, sizeof(name), "p%u", seed >> 16 & 255);
		obj = model_find(b.model, OBJECT_POD, name);
		if (obj != NULL) {
			owner[obj->pod.addresses.items[0].bytes[3]][0] = '\0';
			CU_ASSERT_EQUAL(del(&b, name), 0);
		} else if (add(&b, name, "") == 0) {
			last = model_find(b.model, OBJECT_POD, name)
				       ->pod.addresses.items[0]
				       .bytes[3];
			CU_ASSERT(last >= 2 && last != 3 && last <= 254);
			CU_ASSERT_EQUAL(owner[last][0], '\0');
			memcpy(owner[last], name, sizeof(name));
		} else {
			CU_ASSERT_EQUAL(model_count(b.model, OBJECT_POD), 252);
		}
	}
	end(&b);
}

static const struct test_case cases[] = {
	{ "one address of each family", test_both_families },
	{ "addresses that are taken", test_own_addresses },
	{ "a freed address rests", test_cursor },
	{ "small and large pools", test_small_pools },
	{ "a pod keeps its lease", test_lease_is_kept },
	{ "pools of the same set", test_pools_in_the_same_set },
	{ "churn", test_churn },
};

SUITE_MAIN("ipam", cases)
