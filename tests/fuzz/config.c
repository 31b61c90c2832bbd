/* SPDX-License-Identifier: Apache-2.0 */
/** Configuration text. What is accepted must come back the same through every form an object has: libconfig text, JSON,
 * the store's encoding; and a set that is refused leaves nothing behind.
 */
#include "config/schema.h"
#include "ctrl/daemon/encode.h"
#include "tests/fuzz/fuzz.h"

/* libconfig 1.5 forgets what it was reading when the text is wrong. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static struct object *from_json(const struct object *obj, json_t *json)
{
	struct object *out = NULL;
	struct error err = { 0 };

	REQUIRE(json != NULL, "no JSON of %s", obj->name);
	REQUIRE(object_from_json(obj->type, json, &out, &err) == 0, "JSON of %s: %s", obj->name,
		err.text);
	REQUIRE(object_equal(obj, out), "JSON of %s reads back different", obj->name);
	json_decref(json);
	return out;
}

static void object_through_json(const struct object *obj)
{
	json_t *masked = object_to_json(obj, false), *diff = object_diff_json(NULL, obj);
	struct object *other = from_json(obj, object_to_json(obj, true)), *merged = NULL;
	struct error err = { 0 };

	REQUIRE(masked != NULL && diff != NULL, "no JSON of %s", obj->name);
	/* What people see, sent back, changes nothing: secrets stay. */
	REQUIRE(object_merge_json(obj, masked, &merged, &err) == 0, "masked JSON of %s: %s",
		obj->name, err.text);
	REQUIRE(object_equal(obj, merged), "masked JSON of %s changes it", obj->name);
	json_decref(diff);
	diff = object_diff_json(obj, other);
	REQUIRE(json_object_size(diff) == 0, "%s differs from itself", obj->name);
	json_decref(diff);
	json_decref(masked);
	object_unref(other);
	object_unref(merged);
}

static json_t *encoded(const struct object *obj, enum encode_mode mode)
{
	struct text text = { 0 };
	json_error_t why;
	json_t *json;

	object_encode(obj, mode, &text);
	REQUIRE(!text.failed, "no encoding of %s", obj->name);
	json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &why);
	REQUIRE(json != NULL, "encoding of %s: %s", obj->name, why.text);
	text_free(&text);
	return json;
}

/** The store's encoding reads back; the one for people is what the slow way says. */
static void object_through_encoding(const struct object *obj)
{
	json_t *shown = encoded(obj, ENCODE_SHOW), *want = object_to_json(obj, false);

	object_unref(from_json(obj, encoded(obj, ENCODE_STORE)));
	REQUIRE(json_equal(shown, want), "%s is shown in two ways", obj->name);
	json_decref(shown);
	json_decref(want);
}

static void object_through_text(const struct object *obj)
{
	struct model *empty = model_new();
	struct changeset *set = changeset_new(empty);
	char *text = object_to_text(obj);
	struct error err = { 0 };
	const struct change *changes;
	size_t count;

	REQUIRE(text != NULL, "no text of %s", obj->name);
	REQUIRE(config_load_text(text, "again", set, &err) == 0, "%u: %s in\n%s", err.line,
		err.text, text);
	changes = changeset_changes(set, &count);
	REQUIRE(count == 1 && object_equal(changes[0].after, obj),
		"text of %s reads back different:\n%s", obj->name, text);
	free(text);
	changeset_free(set);
	model_free(empty);
}

static int same_object(const struct object *obj, void *other)
{
	const struct object *found = model_find(other, obj->type, obj->name);

	REQUIRE(found != NULL && object_equal(obj, found), "%s is lost in the file of all",
		obj->name);
	return 0;
}

/** The whole model as a file, read into another model. */
static void model_through_text(const struct model *model)
{
	struct model *other = model_new();
	struct changeset *set = changeset_new(other), *undo = NULL;
	char *text = model_to_text(model);
	struct error err = { 0 };

	REQUIRE(text != NULL && config_load_text(text, "model", set, &err) == 0, "%u: %s in\n%s",
		err.line, err.text, text);
	REQUIRE(changeset_validate(set, &err) == 0, "the same objects are refused: %s", err.text);
	model_apply(other, set, &undo);
	for (enum object_type type = 0; type < OBJECT_TYPE_COUNT; type++) {
		REQUIRE(model_count(model, type) == model_count(other, type), "%s",
			object_schemas[type].plural);
		model_each(model, type, same_object, other);
	}
	model_apply(other, undo, NULL);
	for (enum object_type type = 0; type < OBJECT_TYPE_COUNT; type++)
		REQUIRE(model_count(other, type) == 0, "undoing leaves %s",
			object_schemas[type].plural);
	changeset_free(undo);
	changeset_free(set);
	free(text);
	model_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model *model = model_new();
	struct changeset *set = changeset_new(model);
	char *text = malloc(size + 1);
	struct error err = { 0 };
	const struct change *changes;
	size_t count;
	int ret;

	memcpy(text, data, size);
	text[size] = '\0';
	ret = config_load_text(text, "fuzz", set, &err);
	changes = changeset_changes(set, &count);
	if (ret < 0) {
		REQUIRE(count == 0, "refused and %zu edits", count);
		REQUIRE(err.text[0] != '\0' && strchr(err.text, '\n') == NULL,
			"refused without a sentence: %s", err.text);
	}
	for (size_t i = 0; i < count; i++) {
		object_through_json(changes[i].after);
		object_through_encoding(changes[i].after);
		object_through_text(changes[i].after);
	}
	if (ret == 0 && changeset_validate(set, &err) == 0) {
		model_apply(model, set, NULL);
		model_through_text(model);
	} else if (ret == 0) {
		REQUIRE(err.text[0] != '\0', "refused without a sentence");
	}
	changeset_free(set);
	free(text);
	model_free(model);
	return 0;
}
