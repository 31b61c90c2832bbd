/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct object *from_text(enum object_type type, const char *json)
{
	struct error err;
	struct object *obj = NULL;
	json_t *parsed = json_loads(json, 0, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(parsed);
	if (object_from_json(type, parsed, &obj, &err) < 0) {
		printf("\n%s\n", err.text);
		CU_FAIL_FATAL("object refused");
	}
	json_decref(parsed);
	return obj;
}

static struct object *route_make(uint32_t addr, unsigned len, unsigned next_hop)
{
	char json[160];

	snprintf(json, sizeof(json),
		"{\"prefix\":\"%u.%u.%u.%u/%u\",\"via\":[{\"address\":\"192.0.2.%u\"}]}",
		addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255, len, next_hop);
	return from_text(OBJECT_ROUTE, json);
}

/* A model that routes through 192.0.2.0/24 are valid in. */
static struct model *model_make(void)
{
	struct model *model = model_new();
	struct changeset *set = changeset_new(model);
	struct error err;

	changeset_put(set, from_text(OBJECT_NODE, "{\"name\":\"node-a\"}"), &err);
	changeset_put(set,
		from_text(OBJECT_UPLINK, "{\"name\":\"eth0\",\"driver\":\"af_packet\",\"device\":"
					 "\"eth0\",\"addresses\":[\"192.0.2.1/24\"]}"),
		&err);
	CU_ASSERT_EQUAL_FATAL(changeset_validate(set, &err), 0);
	model_apply(model, set, NULL);
	changeset_free(set);
	return model;
}

/* --- against a naive reference -------------------------------------------------------------------------------- */

#define NAMES 300

/* Pools p0..p299 of distinct /24: the value of one is its third byte pattern, 0 = absent. */
struct reference {
	unsigned value[NAMES];
};

static struct object *pool_make(unsigned name, unsigned value)
{
	char json[96];

	snprintf(json, sizeof(json), "{\"name\":\"p%u\",\"cidr\":\"10.%u.%u.0/%u\"}", name,
		name / 250, name % 250, 23 + value);
	return from_text(OBJECT_POOL, json);
}

struct walk {
	const struct reference *want;
	char last[64];
	size_t count;
	bool good;
};

static unsigned pool_name(const struct object *obj)
{
	return (unsigned)atoi(obj->name + 1);
}

static int walk_pool(const struct object *obj, void *arg)
{
	struct walk *walk = arg;

	walk->good = walk->good && strcmp(walk->last, obj->name) < 0 &&
		     walk->want->value[pool_name(obj)] == obj->pool.cidr.len - 23u;
	snprintf(walk->last, sizeof(walk->last), "%s", obj->name);
	walk->count++;
	return 0;
}

static bool model_is(const struct model *model, const struct reference *want)
{
	struct walk walk = { .want = want, .good = true };
	size_t count = 0;

	for (unsigned i = 0; i < NAMES; i++) {
		const struct object *obj;
		char name[16];

		snprintf(name, sizeof(name), "p%u", i);
		obj = model_find(model, OBJECT_POOL, name);
		if ((obj != NULL) != (want->value[i] != 0))
			return false;
		count += obj != NULL;
	}
	model_each(model, OBJECT_POOL, walk_pool, &walk);
	return walk.good && walk.count == count && model_count(model, OBJECT_POOL) == count;
}

/* Count what a set says it does, and whether its order is the promised one. */
static bool changes_are(
	const struct changeset *set, const struct reference *before, const struct reference *after)
{
	size_t count, expected = 0;
	const struct change *changes = changeset_changes(set, &count);
	bool adding = false;

	for (unsigned i = 0; i < NAMES; i++)
		expected += before->value[i] != after->value[i];
	for (size_t i = 0; i < count; i++) {
		const struct object *one =
			changes[i].after != NULL ? changes[i].after : changes[i].before;
		unsigned was =
			changes[i].before != NULL ? changes[i].before->pool.cidr.len - 23u : 0;
		unsigned is = changes[i].after != NULL ? changes[i].after->pool.cidr.len - 23u : 0;

		if (adding && changes[i].after == NULL)
			return false;
		adding = changes[i].after != NULL;
		if (before->value[pool_name(one)] != was || after->value[pool_name(one)] != is)
			return false;
	}
	return count == expected;
}

static void random_edits(void)
{
	struct reference now = { { 0 } }, next, kept[4];
	struct changeset *undo[4] = { NULL };
	struct model *model = model_new();
	unsigned depth = 0;

	srand(7);
	for (unsigned round = 0; round < 400; round++) {
		struct changeset *set = changeset_new(model);
		unsigned edits = (unsigned)rand() % 60;

		next = now;
		for (unsigned i = 0; i < edits; i++) {
			unsigned name = (unsigned)rand() % NAMES;
			struct error err;
			char text[16];
			int ret;

			snprintf(text, sizeof(text), "p%u", name);
			if (rand() % 3 == 0) {
				ret = changeset_delete(set, OBJECT_POOL, text, &err);
				CU_ASSERT_EQUAL(ret, next.value[name] != 0 ? 0 : -ENOENT);
				next.value[name] = 0;
			} else {
				next.value[name] = 1 + (unsigned)rand() % 3;
				CU_ASSERT_EQUAL(
					changeset_put(set, pool_make(name, next.value[name]), &err),
					0);
			}
			CU_ASSERT_EQUAL(changeset_find(set, OBJECT_POOL, text) != NULL,
				next.value[name] != 0);
		}
		CU_ASSERT_TRUE(model_is(model, &now));
		CU_ASSERT_TRUE(changes_are(set, &now, &next));
		if (depth < 4 && rand() % 2 == 0) {
			kept[depth] = now;
			model_apply(model, set, &undo[depth++]);
			now = next;
		} else if (rand() % 2 == 0) {
			model_apply(model, set, NULL);
			now = next;
			/* Undo sets of older states no longer lead back exactly. */
			while (depth > 0)
				changeset_free(undo[--depth]);
		}
		changeset_free(set);
		CU_ASSERT_TRUE(model_is(model, &now));
		while (depth > 0 && rand() % 3 == 0) {
			model_apply(model, undo[--depth], NULL);
			changeset_free(undo[depth]);
			now = kept[depth];
			CU_ASSERT_TRUE(model_is(model, &now));
		}
	}
	while (depth > 0)
		changeset_free(undo[--depth]);
	model_free(model);
}

/* A set that waited while another was committed: it still leads to what it says. */
static void stale_set(void)
{
	struct reference want = { { 0 } };
	struct model *model = model_new();
	struct changeset *first = changeset_new(model), *second = changeset_new(model), *undo;
	struct error err;
	size_t count;

	changeset_put(first, pool_make(1, 1), &err);
	changeset_put(first, pool_make(2, 1), &err);
	changeset_put(second, pool_make(1, 2), &err);
	changeset_put(second, pool_make(2, 1), &err);
	/* Listed before the commit, it has two additions; after it, one change. */
	CU_ASSERT_PTR_NULL(changeset_changes(second, &count)->before);
	CU_ASSERT_EQUAL(count, 2);
	model_apply(model, first, &undo);
	changeset_free(first);
	CU_ASSERT_PTR_EQUAL(
		changeset_changes(second, &count)->before, model_find(model, OBJECT_POOL, "p1"));
	CU_ASSERT_EQUAL(count, 1);
	model_apply(model, second, NULL);
	CU_ASSERT_PTR_EQUAL(
		changeset_changes(second, &count)->after, model_find(model, OBJECT_POOL, "p1"));
	changeset_free(second);
	want.value[1] = 2;
	want.value[2] = 1;
	CU_ASSERT_TRUE(model_is(model, &want));
	model_apply(model, undo, NULL);
	changeset_free(undo);
	CU_ASSERT_EQUAL(model_count(model, OBJECT_POOL), 0);
	model_free(model);
}

static void order_of_changes(void)
{
	struct model *model = model_make();
	struct changeset *set = changeset_new(model), *undo;
	const struct change *changes;
	struct error err;
	size_t count;

	changeset_put(set, route_make(0x0b000000, 8, 9), &err);
	changeset_put(
		set, from_text(OBJECT_POOL, "{\"name\":\"pods\",\"cidr\":\"10.1.0.0/16\"}"), &err);
	changeset_delete(set, OBJECT_UPLINK, "eth0", &err);
	changes = changeset_changes(set, &count);
	CU_ASSERT_EQUAL_FATAL(count, 3);
	CU_ASSERT_PTR_NULL(changes[0].after);
	CU_ASSERT_EQUAL(changes[1].after->type, OBJECT_POOL);
	CU_ASSERT_EQUAL(changes[2].after->type, OBJECT_ROUTE);
	CU_ASSERT_EQUAL(changeset_count(set, OBJECT_UPLINK), 0);
	model_apply(model, set, &undo);
	changes = changeset_changes(undo, &count);
	CU_ASSERT_EQUAL_FATAL(count, 3);
	CU_ASSERT_EQUAL(changes[0].before->type, OBJECT_ROUTE);
	CU_ASSERT_EQUAL(changes[1].before->type, OBJECT_POOL);
	CU_ASSERT_EQUAL(changes[2].after->type, OBJECT_UPLINK);
	CU_ASSERT_STRING_EQUAL(changeset_find(undo, OBJECT_NODE, NULL)->name, "node-a");
	changeset_free(undo);
	changeset_free(set);
	model_free(model);
}

/* --- a million routes ----------------------------------------------------------------------------------------- */

#define ROUTES 1000000u

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int walk_count(const struct object *obj, void *arg)
{
	(void)obj;
	++*(size_t *)arg;
	return 0;
}

static void million_routes(void)
{
	struct model *model = model_make();
	struct changeset *set = changeset_new(model), *undo;
	struct object **objects = malloc(ROUTES * sizeof(*objects));
	json_t *json =
		json_pack("{s:s, s:[{s:s}]}", "prefix", "x", "via", "address", "192.0.2.254");
	double t[8];
	struct error err;
	size_t count = 0;

	t[0] = seconds();
	for (uint32_t i = 0; i < ROUTES; i++) {
		/* Scattered over the address space, distinct. */
		uint32_t addr = (i * 2654435761u & 0x00ffffff) << 8;
		char prefix[32];

		snprintf(prefix, sizeof(prefix), "%u.%u.%u.0/24", (addr >> 24) % 223 + 1,
			addr >> 16 & 255, addr >> 8 & 255);
		json_string_set(json_object_get(json, "prefix"), prefix);
		if (object_from_json(OBJECT_ROUTE, json, &objects[i], NULL) < 0)
			objects[i] = NULL;
		count += objects[i] != NULL;
	}
	t[1] = seconds();
	for (uint32_t i = 0; i < ROUTES; i++) {
		if (objects[i] != NULL)
			changeset_put(set, objects[i], &err);
	}
	t[2] = seconds();
	CU_ASSERT_EQUAL(changeset_validate(set, &err), 0);
	t[3] = seconds();
	model_apply(model, set, &undo);
	t[4] = seconds();
	changeset_free(set);
	count = 0;
	t[5] = seconds();
	model_each(model, OBJECT_ROUTE, walk_count, &count);
	t[6] = seconds();
	CU_ASSERT_EQUAL(count, model_count(model, OBJECT_ROUTE));
	CU_ASSERT_TRUE(count > ROUTES * 9 / 10);
	printf("\n%zu routes: objects %.2f s, put %.2f, validate %.2f, apply with undo %.2f, first "
	       "walk %.2f\n",
		count, t[1] - t[0], t[2] - t[1], t[3] - t[2], t[4] - t[3], t[6] - t[5]);
	t[0] = seconds();
	for (unsigned i = 0; i < 10000; i++) {
		struct changeset *one = changeset_new(model);

		changeset_put(one, route_make(0xdfff0000 | i, 32, 7), &err);
		CU_ASSERT_EQUAL(changeset_validate(one, &err), 0);
		model_apply(model, one, NULL);
		changeset_free(one);
	}
	t[1] = seconds();
	model_each(model, OBJECT_ROUTE, walk_count, &count);
	t[2] = seconds();
	printf("single edits at that size: %.1f us each with JSON; walk after them %.3f s\n",
		(t[1] - t[0]) * 100, t[2] - t[1]);
	model_apply(model, undo, NULL);
	changeset_free(undo);
	CU_ASSERT_EQUAL(model_count(model, OBJECT_ROUTE), 10000);
	json_decref(json);
	free(objects);
	model_free(model);
}

static const struct test_case cases[] = {
	{ "random edits against a naive reference", random_edits },
	{ "a set outlives the commit of another", stale_set },
	{ "order of changes, and backwards", order_of_changes },
	{ "a million routes", million_routes },
};
SUITE_MAIN("config model", cases)
