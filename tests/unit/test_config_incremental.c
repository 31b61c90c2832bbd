/* SPDX-License-Identifier: Apache-2.0 */
/* Checking an edit against the indexes must come to what checking the whole result from nothing does. */
#include "config/schema.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 20000

static struct object *from_text(enum object_type type, const char *json)
{
	struct error err = { 0 };
	struct object *obj = NULL;
	json_t *parsed = json_loads(json, 0, NULL);

	/* Not every dice roll is an object. */
	if (object_from_json(type, parsed, &obj, &err) < 0)
		obj = NULL;
	json_decref(parsed);
	return obj;
}

static unsigned roll(unsigned sides)
{
	return (unsigned)rand() % sides;
}

/* A universe so small that everything collides sooner or later. */
static struct object *random_object(enum object_type type)
{
	static const char *const prefixes[] = { "10.0.0.0/24", "10.0.1.0/24", "10.0.0.0/22",
		"10.0.2.0/25", "10.0.4.0/24", "fd00::/64", "fd00:1::/64" };
	static const char *const addresses[] = { "10.0.0.1", "10.0.0.2", "10.0.1.1", "10.0.2.1",
		"10.0.4.1", "10.0.4.2", "fd00::1", "fd00:1::1", "192.0.2.1", "192.0.2.2",
		"192.0.3.1" };
	static const char *const subnets[] = { "192.0.2.1/24", "192.0.2.2/24", "192.0.3.1/24",
		"10.0.4.1/24", "fd00:1::1/64", "192.0.2.9/28" };
	static const char *const hops[] = { "192.0.2.1", "192.0.2.2", "192.0.2.30", "192.0.3.7",
		"10.0.4.9", "10.0.0.2" };
	char json[400];

	switch (type) {
	case OBJECT_NODE:
		snprintf(json, sizeof(json),
			"{\"name\":\"n\",\"host_addresses\":[\"%s\"],\"vxlan_port\":%u,"
			"\"host_interface\":\"if%u\"}",
			addresses[roll(11)], 5000 + roll(9), roll(4));
		break;
	case OBJECT_UPLINK:
		snprintf(json, sizeof(json),
			"{\"name\":\"u%u\",\"driver\":\"af_packet\",\"device\":\"if%u\","
			"\"addresses\":"
			"[\"%s\",\"%s\"]}",
			roll(3), roll(4), subnets[roll(6)], subnets[roll(6)]);
		break;
	case OBJECT_POOL:
		snprintf(json, sizeof(json), "{\"name\":\"o%u\",\"cidr\":\"%s\"}", roll(3),
			prefixes[roll(7)]);
		break;
	case OBJECT_PEER:
		snprintf(json, sizeof(json),
			"{\"name\":\"e%u\",\"underlay\":[\"%s\"],\"pod_cidrs\":[\"%s\"],\"port\":%"
			"u,"
			"\"vtep_mac\":\"02:00:00:00:00:01\"}",
			roll(4), addresses[roll(11)], prefixes[roll(7)], 5000 + roll(9));
		break;
	case OBJECT_POD:
		snprintf(json, sizeof(json),
			roll(8) != 0
				? "{\"name\":\"p%u\",\"netns\":\"%s%u\",\"addresses\":[\"%s\"]}"
				: "{\"name\":\"p%u\",\"netns\":\"%s%u\"}",
			roll(4), roll(2) != 0 ? "/run/netns/x" : "x", roll(5), addresses[roll(8)]);
		break;
	default:
		switch (roll(4)) {
		case 0:
			snprintf(json, sizeof(json),
				"{\"prefix\":\"%s/32\",\"via\":{\"peer\":\"e%u\"}}",
				addresses[roll(6)], roll(4));
			break;
		case 1:
			snprintf(json, sizeof(json),
				"{\"prefix\":\"172.16.%u.0/24\",\"via\":{\"pod\":\"p%u\"}}",
				roll(4), roll(4));
			break;
		case 2:
			snprintf(json, sizeof(json),
				"{\"prefix\":\"172.16.%u.0/"
				"24\",\"via\":{\"address\":\"%s\",\"uplink\":\"u%u\"}}",
				roll(4), hops[roll(6)], roll(3));
			break;
		default:
			snprintf(json, sizeof(json),
				"{\"prefix\":\"172.16.%u.0/"
				"24\",\"via\":[{\"address\":\"%s\"},{\"peer\":\"e%u\"}]}",
				roll(4), hops[roll(6)], roll(4));
			break;
		}
		break;
	}
	return from_text(type, json);
}

struct copying {
	struct changeset *to;
	const struct changeset *edits;
};

/* What stays of the base under the edits. */
static int copy_kept(const struct object *obj, void *arg)
{
	struct copying *copying = arg;
	struct object *now = changeset_find(copying->edits, obj->type, obj->name);

	if (now != NULL)
		changeset_put(copying->to, object_ref(now), NULL);
	return 0;
}

/* Validate the result as if it were read from a file. */
static int validate_whole(
	const struct model *model, const struct changeset *edits, struct error *err)
{
	struct model *empty = model_new();
	struct changeset *whole = changeset_new(empty);
	struct copying copying = { whole, edits };
	size_t count;
	const struct change *changes = changeset_changes(edits, &count);
	int ret;

	for (size_t type = 0; type < OBJECT_TYPE_COUNT; type++)
		model_each(model, (enum object_type)type, copy_kept, &copying);
	for (size_t i = 0; i < count; i++) {
		if (changes[i].after != NULL)
			changeset_put(whole, object_ref(changes[i].after), NULL);
	}
	ret = changeset_validate(whole, err);
	changeset_free(whole);
	model_free(empty);
	return ret;
}

struct picking {
	size_t skip;
	const struct object *found;
};

static int pick(const struct object *obj, void *arg)
{
	struct picking *picking = arg;

	picking->found = obj;
	return picking->skip-- == 0;
}

static void random_edit(struct changeset *set, const struct model *model)
{
	/* Nodes seldom, so that all else gets its chance. */
	enum object_type type =
		roll(20) == 0 ? OBJECT_NODE : (enum object_type)(1 + roll(OBJECT_TYPE_COUNT - 1));
	struct picking picking = { .skip = roll(4) };
	struct object *obj;

	if (type != OBJECT_NODE && roll(3) == 0) {
		model_each(model, type, pick, &picking);
		if (picking.found != NULL && changeset_find(set, type, picking.found->name) != NULL)
			CU_ASSERT_EQUAL(changeset_delete(set, type, picking.found->name, NULL), 0);
		return;
	}
	obj = random_object(type);
	if (obj != NULL)
		CU_ASSERT_EQUAL(changeset_put(set, obj, NULL), 0);
}

static void same_verdict(void)
{
	struct model *model = model_new();
	struct changeset *set = changeset_new(model);
	unsigned accepted = 0, refused = 0, wrong = 0;

	srand(11);
	changeset_put(set, from_text(OBJECT_NODE, "{\"name\":\"n\"}"), NULL);
	model_apply(model, set, NULL);
	changeset_free(set);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct error err = { 0 }, whole_err = { 0 };
		unsigned edits = 1 + roll(4);
		int ret, whole;

		set = changeset_new(model);
		for (unsigned i = 0; i < edits; i++)
			random_edit(set, model);
		ret = changeset_validate(set, &err);
		whole = validate_whole(model, set, &whole_err);
		if (ret != whole && wrong++ < 5)
			printf("\n  edits: %d %s\n  whole: %d %s\n", ret, err.text, whole,
				whole_err.text);
		CU_ASSERT_EQUAL(ret, whole);
		/* Validating leaves the indexes as they were: the same again. */
		CU_ASSERT_EQUAL(changeset_validate(set, &err), ret);
		if (whole == 0) {
			struct changeset *undo;

			model_apply(model, set, &undo);
			accepted++;
			if (roll(4) == 0)
				model_apply(model, undo, NULL);
			changeset_free(undo);
		} else {
			refused++;
		}
		changeset_free(set);
	}
	printf("\n%u sets accepted, %u refused\n", accepted, refused);
	/* Neither verdict may be the only one that is tried. */
	CU_ASSERT_TRUE(accepted > ROUNDS / 20 && refused > ROUNDS / 20);
	model_free(model);
}

static const struct test_case cases[] = {
	{ "edits and wholes get the same verdict", same_verdict },
};
SUITE_MAIN("config incremental", cases)
