/* SPDX-License-Identifier: Apache-2.0 */
/** Kubernetes' YAML and JSON. What the importer accepts are objects that the daemon could be given: each is read by the schema, or
 * refused with a sentence, and written back the same; selectors in it are parsed. */
#include "config/schema.h"
#include "ctrl/import/kubernetes.h"
#include "tests/fuzz/fuzz.h"

static void object_there_and_back(const json_t *item)
{
	const enum object_type type =
		(enum object_type)json_integer_value(json_object_get(item, "type"));
	struct object *obj = NULL, *again = NULL;
	struct error err = { 0 };
	json_t *json;

	if (object_from_json(type, json_object_get(item, "object"), &obj, &err) < 0) {
		REQUIRE(err.text[0] != '\0', "an object is refused without a word");
		return;
	}
	json = object_to_json(obj, true);
	REQUIRE(object_from_json(type, json, &again, &err) == 0, "%s: %s", obj->name, err.text);
	REQUIRE(object_equal(obj, again), "%s reads back different", obj->name);
	json_decref(json);
	object_unref(again);
	object_unref(obj);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct import import;
	struct error err = { 0 };
	size_t i;
	json_t *item;

	REQUIRE(import_init(&import) == 0, "no memory");
	if (import_text(&import, "input", (const char *)data, size, &err) < 0)
		REQUIRE(err.text[0] != '\0', "refused without a word");
	json_array_foreach (import.objects, i, item)
		object_there_and_back(item);
	import_free(&import);
	return 0;
}
