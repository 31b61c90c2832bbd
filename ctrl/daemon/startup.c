/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/startup.h"

#include "config/log.h"
#include "config/schema.h"
#include "ctrl/ipam/ipam.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INCLUDE_DEPTH_MAX 10 /* libconfig's own limit */

static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u; /* FNV-1a */
	return hash;
}

/** The file of an @include line, or NULL. Relative names are relative to the file's directory. */
static char *included(const char *line, const char *path)
{
	const char *slash = strrchr(path, '/'), *end;
	char *name = NULL;

	line += strspn(line, " \t");
	if (strncmp(line, "@include", 8) != 0)
		return NULL;
	line += 8 + strspn(line + 8, " \t");
	end = line[0] == '"' ? strchr(line + 1, '"') : NULL;
	if (end == NULL)
		return NULL;
	if (line[1] == '/' || slash == NULL)
		return strndup(line + 1, (size_t)(end - line - 1));
	if (asprintf(&name, "%.*s/%.*s", (int)(slash - path), path, (int)(end - line - 1),
		    line + 1) < 0)
		return NULL;
	return name;
}

static int hash_file(const char *path, unsigned depth, uint64_t *hash, struct error *err)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int ret = 0;

	if (file == NULL)
		return error_set(err, errno, NULL, "%.200s: %s", path, strerror(errno));
	while (ret == 0 && (len = getline(&line, &size, file)) >= 0) {
		char *other = depth < INCLUDE_DEPTH_MAX ? included(line, path) : NULL;

		*hash = hash_bytes(*hash, line, (size_t)len);
		/* One that cannot be read is the loader's to report, with its line. */
		if (other != NULL)
			hash_file(other, depth + 1, hash, NULL);
		free(other);
	}
	if (ferror(file))
		ret = error_set(err, EIO, NULL, "%.200s: cannot be read", path);
	free(line);
	fclose(file);
	return ret;
}

int config_file_hash(const char *path, char hash[FILE_HASH_TEXT], struct error *err)
{
	uint64_t value = 0xcbf29ce484222325u;
	int ret = hash_file(path, 0, &value, err);

	snprintf(hash, FILE_HASH_TEXT, "%016" PRIx64, value);
	return ret;
}

/** Objects of the file, into a set of its own. */
static int load_file(
	const char *path, const struct model *empty, struct changeset **out, struct error *err)
{
	int ret;

	*out = changeset_new(empty);
	if (*out == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	ret = config_load_file(path, *out, err);
	if (ret < 0) {
		changeset_free(*out);
		*out = NULL;
	}
	return ret;
}

/** A pod without addresses keeps the ones it was given before. New reference. */
static int keep_lease(
	struct object *obj, const struct object *before, struct object **out, struct error *err)
{
	*out = obj;
	if (obj->type == OBJECT_POD && obj->pod.addresses.count == 0 && before != NULL &&
		before->pod.addresses.count > 0)
		return pod_with_addresses(
			obj, before->pod.addresses.items, before->pod.addresses.count, out, err);
	object_ref(obj);
	return 0;
}

/** API objects of the store, then the file's over them. */
static int combine(const struct changeset *stored, const struct changeset *file,
	struct changeset *set, struct error *err)
{
	const struct change *changes;
	size_t count;
	int ret = 0;

	changes = changeset_changes(stored, &count);
	for (size_t i = 0; ret == 0 && i < count; i++) {
		if (changes[i].after->origin == ORIGIN_API)
			ret = changeset_put(set, object_ref(changes[i].after), err);
	}
	changes = changeset_changes(file, &count);
	for (size_t i = 0; ret == 0 && i < count; i++) {
		const struct object *obj = changes[i].after;
		struct object *leased;

		ret = keep_lease(changes[i].after, changeset_find(stored, obj->type, obj->name),
			&leased, err);
		if (ret == 0)
			ret = changeset_put(set, leased, err);
	}
	return ret;
}

static bool same_interface(const struct object *a, const struct object *b)
{
	return b != NULL && b->pod.kind == POD_TAP && strcmp(a->pod.netns, b->pod.netns) == 0 &&
	       strcmp(a->pod.interface, b->pod.interface) == 0;
}

/** Stored tap pods that the file has no longer, or has elsewhere. */
static int find_orphans(const struct changeset *stored, struct startup *startup, struct error *err)
{
	const struct change *changes;
	size_t count;

	changes = changeset_changes(stored, &count);
	startup->orphans = calloc(count + 1, sizeof(*startup->orphans));
	if (startup->orphans == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	for (size_t i = 0; i < count; i++) {
		struct object *obj = changes[i].after;

		if (obj->type == OBJECT_POD && obj->pod.kind == POD_TAP &&
			!same_interface(obj, changeset_find(startup->set, OBJECT_POD, obj->name)))
			startup->orphans[startup->n_orphans++] = object_ref(obj);
	}
	return 0;
}

static int end_waiting(struct store *store, bool file_changed, struct error *err)
{
	struct txn_record record;
	int ret;

	if (!store_waiting(store, &record) || (record.deadline > time(NULL) && !file_changed))
		return 0;
	record.state = TXN_ROLLED_BACK;
	record.deadline = 0;
	snprintf(record.note, sizeof(record.note), "%s",
		file_changed ? "the daemon was restarted with another configuration file"
			     : "not confirmed in time; the daemon was not running");
	ret = store_rollback(store, &record, err);
	if (ret == 0)
		LOG_WARNING("transaction rolled back id=%llu reason=\"%s\"",
			(unsigned long long)record.id, record.note);
	return ret;
}

/** earlier: the store's objects before a transaction was undone; NULL = as they are now. */
static int load_both(struct store *store, const struct model *empty, const char *path,
	const struct changeset *earlier, struct startup *startup, struct error *err)
{
	struct changeset *stored = changeset_new(empty), *file = NULL;
	int ret;

	if (stored == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	ret = store_load(store, stored, err);
	if (ret == 0 && !startup->file_changed) {
		startup->set = stored;
		return earlier != NULL ? find_orphans(earlier, startup, err) : 0;
	}
	startup->set = changeset_new(empty);
	if (ret == 0 && startup->set == NULL)
		ret = error_set(err, ENOMEM, NULL, "out of memory");
	if (ret == 0)
		ret = load_file(path, empty, &file, err);
	if (ret == 0)
		ret = combine(stored, file, startup->set, err);
	if (ret == 0)
		ret = find_orphans(earlier != NULL ? earlier : stored, startup, err);
	changeset_free(file);
	changeset_free(stored);
	return ret;
}

static int compare_file(
	struct store *store, const char *path, struct startup *startup, struct error *err)
{
	char *before = store_file_hash(store);
	int ret;

	*startup = (struct startup){ 0 };
	ret = config_file_hash(path, startup->file_hash, err);
	startup->file_changed =
		before == NULL || strcmp(before, startup->file_hash) != 0 || store_is_empty(store);
	free(before);
	return ret;
}

int startup_load(
	struct engine *engine, const char *path, struct startup *startup, struct error *err)
{
	struct store *store = engine_store(engine);
	struct changeset *earlier = NULL;
	struct txn_record waiting;
	int ret = compare_file(store, path, startup, err);

	if (ret == 0 && store_waiting(store, &waiting)) {
		earlier = changeset_new(engine_model(engine));
		ret = earlier != NULL ? store_load(store, earlier, err)
				      : error_set(err, ENOMEM, NULL, "out of memory");
	}
	if (ret == 0)
		ret = end_waiting(store, startup->file_changed, err);
	if (ret == 0)
		ret = load_both(store, engine_model(engine), path, earlier, startup, err);
	changeset_free(earlier);
	if (ret < 0)
		startup_free(startup);
	return ret;
}

int startup_look(struct store *store, const struct model *empty, const char *path,
	struct startup *startup, struct error *err)
{
	int ret = compare_file(store, path, startup, err);

	if (ret == 0)
		ret = load_both(store, empty, path, NULL, startup, err);
	if (ret < 0)
		startup_free(startup);
	return ret;
}

void startup_free(struct startup *startup)
{
	for (size_t i = 0; i < startup->n_orphans; i++)
		object_unref(startup->orphans[i]);
	free(startup->orphans);
	startup->orphans = NULL;
	startup->n_orphans = 0;
	changeset_free(startup->set);
	startup->set = NULL;
}

const struct node *startup_node(const struct startup *startup, struct error *err)
{
	const struct object *obj = changeset_find(startup->set, OBJECT_NODE, NULL);

	if (obj != NULL)
		return &obj->node;
	error_set(err, EINVAL, "node",
		"the configuration has no node: add `node: { name = \"...\"; };`");
	return NULL;
}

/* Reloading. */

struct removal {
	const struct changeset *wanted;
	struct changeset *set;
	enum replace_mode mode;
	struct error *err;
};

static int remove_if_gone(const struct object *obj, void *arg)
{
	const struct removal *r = arg;

	if ((r->mode == REPLACE_FILE_OBJECTS && obj->origin != ORIGIN_FILE) ||
		changeset_find(r->wanted, obj->type, obj->name) != NULL)
		return 0;
	return changeset_delete(r->set, obj->type, obj->name, r->err);
}

int objects_replace(const struct model *model, const struct changeset *wanted,
	enum replace_mode mode, enum object_origin origin, struct changeset *set, struct error *err)
{
	struct removal removal = { wanted, set, mode, err };
	const struct change *changes;
	size_t count;
	int ret = 0;

	for (int type = 0; mode != REPLACE_NONE && ret == 0 && type < OBJECT_TYPE_COUNT; type++)
		ret = model_each(model, (enum object_type)type, remove_if_gone, &removal);
	changes = changeset_changes(wanted, &count);
	for (size_t i = 0; ret == 0 && i < count; i++) {
		struct object *obj = changes[i].after;
		const struct object *before = model_find(model, obj->type, obj->name);

		obj->origin =
			mode != REPLACE_FILE_OBJECTS && before != NULL ? before->origin : origin;
		ret = changeset_put(set, object_ref(obj), err);
	}
	return ret;
}

int file_reload(struct engine *engine, const char *path, const struct txn_options *options,
	struct txn_result *result, struct error *err)
{
	struct txn_options file_options = *options;
	struct changeset *file = NULL, *set = NULL;
	struct model *empty = model_new();
	char hash[FILE_HASH_TEXT], *before;
	int ret;

	*result = (struct txn_result){ .record = { .when = time(NULL), .source = "file" } };
	ret = empty == NULL ? error_set(err, ENOMEM, NULL, "out of memory")
			    : config_file_hash(path, hash, err);
	before = store_file_hash(engine_store(engine));
	if (ret == 0 && before != NULL && strcmp(before, hash) == 0) {
		result->record.state = options->dry_run ? TXN_DRY_RUN : TXN_COMMITTED;
		result->diff = json_array();
		goto done;
	}
	if (ret == 0)
		ret = load_file(path, empty, &file, err);
	set = ret == 0 ? changeset_new(engine_model(engine)) : NULL;
	if (ret == 0 && set == NULL)
		ret = error_set(err, ENOMEM, NULL, "out of memory");
	if (ret == 0)
		ret = objects_replace(
			engine_model(engine), file, REPLACE_FILE_OBJECTS, ORIGIN_FILE, set, err);
	file_options.source = "file";
	file_options.file_hash = hash;
	if (ret == 0)
		ret = engine_apply(engine, set, &file_options, result, err);
done:
	free(before);
	changeset_free(set);
	changeset_free(file);
	model_free(empty);
	return ret;
}
