/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: libconfig settings to JSON to objects, so that the file and the API share one reader. */
#include "config/include.h"
#include "config/model_state.h"
#include "config/object.h"

#include <errno.h>
#include <libconfig.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTING_DEPTH_MAX 8
/* libconfig takes some 15 bytes a byte of text; of a text this large the C library should give them back. */
#define TRIM_SIZE (16u << 20)

struct loader {
	struct config_text text;
	config_t config;
	struct object_table tables
		[OBJECT_TYPE_COUNT]; /* what was read, in order; the set sees it when all is well */
	struct error *err;
};

/* --- errors --------------------------------------------------------------------------------------------------- */

static int fail_at(struct loader *l, const config_setting_t *setting, int ret)
{
	config_text_locate(&l->text, config_setting_source_line(setting), l->err);
	return ret;
}

static int fail_syntax(struct loader *l)
{
	const char *text = config_error_text(&l->config);
	int ret;

	if (strcmp(text, "duplicate setting name") == 0)
		ret = error_set(l->err, EINVAL, "",
			"a key on this line is given twice in its group: remove one");
	else if (strcmp(text, "mismatched element type in array") == 0)
		ret = error_set(l->err, EINVAL, "",
			"a [ ] on this line mixes kinds of values: write all as the first one");
	else
		ret = error_set(l->err, EINVAL, "",
			"syntax error: look on this line and the one before for a missing bracket "
			"or value, or a comma after a last element");
	config_text_locate(&l->text, (unsigned)config_error_line(&l->config), l->err);
	return ret;
}

static const char *setting_text(const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_GROUP:
		return "a group { }";
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		return "a list";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	default:
		return "a number";
	}
}

/* The setting that a path within an object ("via/0/address") leads to, as far as there is one. */
static const config_setting_t *setting_find(const config_setting_t *setting, const char *where)
{
	char segment[FIELD_PATH_MAX];

	while (*where != '\0') {
		size_t len = strcspn(where, "/");
		const config_setting_t *next;

		snprintf(segment, sizeof(segment), "%.*s", (int)len, where);
		next = config_setting_is_group(setting)
			       ? config_setting_get_member(setting, segment)
			       : config_setting_get_elem(setting, (unsigned)atoi(segment));
		if (next == NULL)
			break;
		setting = next;
		where += len + (where[len] == '/');
	}
	return setting;
}

/* --- settings to JSON ----------------------------------------------------------------------------------------- */

/* NULL after a refusal. */
static json_t *setting_json(struct loader *l, const config_setting_t *setting, unsigned depth)
{
	bool group = config_setting_is_group(setting);
	json_t *json, *item;

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_STRING:
		json = json_string(config_setting_get_string(setting));
		if (json == NULL)
			fail_at(l, setting,
				error_set(l->err, EINVAL, "",
					"a string on this line is not UTF-8: rewrite it"));
		return json;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return json_integer(config_setting_get_int64(setting));
	case CONFIG_TYPE_FLOAT:
		return json_real(config_setting_get_float(setting));
	case CONFIG_TYPE_BOOL:
		return json_boolean(config_setting_get_bool(setting));
	default:
		break;
	}
	if (depth == SETTING_DEPTH_MAX) {
		fail_at(l, setting,
			error_set(l->err, EINVAL, "",
				"groups and lists are nested too deep here: no field has so many "
				"levels"));
		return NULL;
	}
	json = group ? json_object() : json_array();
	for (int i = 0; i < config_setting_length(setting); i++) {
		const config_setting_t *member = config_setting_get_elem(setting, (unsigned)i);

		item = setting_json(l, member, depth + 1);
		if (item == NULL || (group ? json_object_set_new_nocheck(
						     json, config_setting_name(member), item)
					   : json_array_append_new(json, item)) < 0) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

/* --- objects -------------------------------------------------------------------------------------------------- */

static int load_object(struct loader *l, enum object_type type, const config_setting_t *setting)
{
	struct object_table *table = &l->tables[type];
	struct error place = { .line = 0 };
	const struct object *first;
	char where[FIELD_PATH_MAX], path[LABEL_MAX + 16];
	struct object *obj;
	json_t *json;
	int ret;

	l->err->text[0] = '\0';
	json = setting_json(l, setting, 0);
	if (json == NULL && l->err->text[0] == '\0')
		return error_set(
			l->err, ENOMEM, "", "out of memory while reading the configuration");
	if (json == NULL)
		return -EINVAL;
	ret = object_read(type, json, &obj, l->err, where);
	json_decref(json);
	if (ret < 0)
		return fail_at(l, setting_find(setting, where), ret);
	config_text_locate(&l->text, config_setting_source_line(setting), &place);
	ret = object_set_source(obj, ORIGIN_FILE, place.file, place.line);
	first = table_find(table, obj->name);
	if (ret == 0 && first != NULL)
		ret = fail_at(l, setting,
			error_set(l->err, EINVAL, object_path(obj, NULL, path, sizeof(path)),
				"%s: is defined twice: remove one; the first is at %s:%u", path,
				first->file, first->line));
	if (ret == 0)
		table_put(table, obj);
	object_unref(obj);
	return ret;
}

static int load_objects(struct loader *l, enum object_type type, const config_setting_t *setting)
{
	const char *name = config_setting_name(setting);
	int ret = 0;

	if (!config_setting_is_list(setting) &&
		!(config_setting_is_array(setting) && config_setting_length(setting) == 0))
		return fail_at(l, setting,
			error_set(l->err, EINVAL, name,
				"%s: expected a list such as ( { name = \"a\"; } ), found %s", name,
				config_setting_is_array(setting) ? "an array [ ]"
								 : setting_text(setting)));
	for (int i = 0; i < config_setting_length(setting) && ret == 0; i++)
		ret = load_object(l, type, config_setting_get_elem(setting, (unsigned)i));
	return ret;
}

static const char *file_key(const struct object_schema *schema)
{
	return schema->singleton ? schema->name : schema->plural;
}

static const char *file_key_at(const void *schemas, size_t i)
{
	return file_key((const struct object_schema *)schemas + i);
}

static int load_setting(struct loader *l, const config_setting_t *setting)
{
	const char *name = config_setting_name(setting), *nearest;
	char shown[LABEL_MAX];

	for (size_t type = 0; type < OBJECT_TYPE_COUNT; type++) {
		if (strcmp(name, file_key(&object_schemas[type])) != 0)
			continue;
		return object_schemas[type].singleton
			       ? load_object(l, (enum object_type)type, setting)
			       : load_objects(l, (enum object_type)type, setting);
	}
	nearest = nearest_name(name, file_key_at, object_schemas, OBJECT_TYPE_COUNT);
	message_text(name, shown);
	if (nearest != NULL)
		error_set(l->err, EINVAL, shown, "%s: unknown key: did you mean \"%s\"?", shown,
			nearest);
	else
		error_set(l->err, EINVAL, shown,
			"%s: unknown key: a file has node, namespaces, uplinks, pools, peers, "
			"sets, tiers, endpoints, "
			"pods, policies and routes",
			shown);
	return fail_at(l, setting, -EINVAL);
}

static int load_all(struct loader *l, struct changeset *set)
{
	const config_setting_t *root;
	int ret = 0;

	if (!config_read_string(&l->config, l->text.text != NULL ? l->text.text : ""))
		return fail_syntax(l);
	root = config_root_setting(&l->config);
	for (int i = 0; i < config_setting_length(root); i++) {
		ret = load_setting(l, config_setting_get_elem(root, (unsigned)i));
		if (ret < 0)
			return ret;
	}
	for (size_t type = 0; type < OBJECT_TYPE_COUNT; type++) {
		for (uint32_t i = 0; i < l->tables[type].used && ret == 0; i++)
			ret = changeset_put(set, object_ref(l->tables[type].objects[i]), l->err);
	}
	return ret;
}

/* Takes the text. */
static int load_text(struct config_text text, struct changeset *set, struct error *err)
{
	struct error unheard;
	struct loader l = { .text = text, .err = err != NULL ? err : &unheard };
	int ret;

	config_init(&l.config);
	ret = load_all(&l, set);
	config_destroy(&l.config);
	for (size_t type = 0; type < OBJECT_TYPE_COUNT; type++)
		table_free(&l.tables[type]);
	if (l.text.size > TRIM_SIZE)
		malloc_trim(0);
	config_text_free(&l.text);
	return ret;
}

int config_load_file(const char *path, struct changeset *set, struct error *err)
{
	struct config_text text;
	int ret = config_text_file(&text, path, err);

	if (ret == 0)
		return load_text(text, set, err);
	config_text_free(&text);
	return ret;
}

int config_load_text(
	const char *content, const char *name, struct changeset *set, struct error *err)
{
	return config_load_sources(content, name, NULL, 0, set, err);
}

int config_load_sources(const char *content, const char *name, const struct config_source *sources,
	size_t n, struct changeset *set, struct error *err)
{
	struct config_text text;
	int ret = config_text_memory(&text, content, name, err), copied = ret;

	if (ret == 0 || ret == -EINVAL) {
		int known = config_text_sources(&text, sources, n, copied < 0 ? NULL : err);

		if (copied < 0 && known == 0 && n > 0 && err != NULL)
			config_text_locate(&text, err->line, err);
		ret = copied < 0 ? copied : known;
	}
	if (ret == 0)
		return load_text(text, set, err);
	config_text_free(&text);
	return ret;
}

int config_flatten(
	const char *path, char **out, struct config_source **sources, size_t *n, struct error *err)
{
	struct config_text text;
	size_t names = 0, used = 0;
	char *name;
	int ret = config_text_file(&text, path, err);

	if (ret < 0)
		goto free_text;
	for (size_t i = 0; i < text.n_files; i++)
		names += strlen(text.files[i]) + 1;
	*n = text.n_runs;
	*sources = malloc(text.n_runs * sizeof(**sources) + names);
	if (*sources == NULL) {
		ret = error_set(err, ENOMEM, "", "out of memory while reading the configuration");
		goto free_text;
	}
	name = (char *)(*sources + text.n_runs);
	for (size_t f = 0; f < text.n_files; f++) {
		const char *kept = strcpy(name + used, text.files[f]);

		used += strlen(kept) + 1;
		for (size_t i = 0; i < text.n_runs; i++) {
			if (text.runs[i].file == text.files[f])
				(*sources)[i] = (struct config_source){ text.runs[i].first + 1,
					text.runs[i].line, kept };
		}
	}
	*out = text.text;
	text.text = NULL;
free_text:
	config_text_free(&text);
	return ret;
}
