/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/transaction.h"

#include "config/log.h"
#include "config/schema.h"
#include "ctrl/daemon/failed.h"
#include "ctrl/daemon/store_job.h"
#include "ctrl/ipam/ipam.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROLLBACK_RETRY_S   5
#define CHECKPOINT_DELAY_S 1

struct engine {
	struct engine_conf conf;
	struct model *model;
	struct ipam *ipam;
	struct failed_list failed;
	struct txn_record waiting; /* id 0 = none */
	uint64_t last_id;
	struct watch *deadline, *retry, *checkpoint;
};

static void on_deadline(void *arg);
static void on_retry(void *arg);
static void on_checkpoint(void *arg);

struct engine *engine_new(const struct engine_conf *conf)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (engine == NULL)
		return NULL;
	engine->conf = *conf;
	engine->model = model_new();
	engine->ipam = ipam_new();
	engine->deadline = watch_timer(conf->base, on_deadline, engine);
	engine->retry = watch_timer(conf->base, on_retry, engine);
	engine->checkpoint = watch_timer(conf->base, on_checkpoint, engine);
	engine->last_id = store_last_id(conf->store);
	if (engine->model == NULL || engine->ipam == NULL || engine->deadline == NULL ||
		engine->retry == NULL || engine->checkpoint == NULL) {
		engine_free(engine);
		return NULL;
	}
	return engine;
}

void engine_free(struct engine *engine)
{
	if (engine == NULL)
		return;
	watch_free(engine->deadline);
	watch_free(engine->retry);
	watch_free(engine->checkpoint);
	failed_free(&engine->failed);
	ipam_free(engine->ipam);
	model_free(engine->model);
	free(engine);
}

const struct model *engine_model(const struct engine *engine)
{
	return engine->model;
}

struct store *engine_store(const struct engine *engine)
{
	return engine->conf.store;
}

const struct ipam *engine_ipam(const struct engine *engine)
{
	return engine->ipam;
}

const struct txn_record *engine_waiting(const struct engine *engine)
{
	return engine->waiting.id != 0 ? &engine->waiting : NULL;
}

const struct failed_object *engine_failed(const struct engine *engine, size_t *count)
{
	*count = engine->failed.count;
	return engine->failed.items;
}

static void arm(struct watch *timer, time_t seconds)
{
	watch_after(timer, seconds > 0 ? (uint64_t)seconds * 1000 : 0);
}

/* The difference, for people. */

static json_t *change_json(const struct change *change)
{
	const struct object *obj = change->after != NULL ? change->after : change->before;

	return json_pack("{s:s, s:s, s:o, s:o, s:o}", "type", object_schemas[obj->type].name,
		"name", obj->name, "before",
		change->before != NULL ? object_to_json(change->before, false) : json_null(),
		"after", change->after != NULL ? object_to_json(change->after, false) : json_null(),
		"fields", object_diff_json(change->before, change->after));
}

static void describe(
	struct txn_result *result, const struct change *changes, size_t count, uint32_t limit)
{
	result->diff = json_array();
	result->changes = count;
	for (size_t i = 0; i < count; i++) {
		if (changes[i].before == NULL)
			result->record.added++;
		else if (changes[i].after == NULL)
			result->record.removed++;
		else
			result->record.changed++;
		if (i < limit)
			json_array_append_new(result->diff, change_json(&changes[i]));
	}
}

/* Committing. */

/** What follows a commit of the data plane; cannot fail. */
static void committed(
	struct engine *engine, struct changeset *set, const struct change *changes, size_t count)
{
	ipam_committed(engine->ipam, changes, count);
	if (engine->conf.committed != NULL)
		engine->conf.committed(changes, count, engine->conf.arg);
	model_apply(engine->model, set, NULL);
	/* Not later for further commits: a busy client must not make the log grow for ever. */
	if (!watch_running(engine->checkpoint))
		arm(engine->checkpoint, CHECKPOINT_DELAY_S);
	if (engine->failed.count > 0)
		arm(engine->retry, FAILED_RETRY_S);
}

/** All of it or nothing. The store is being written already. */
static int commit(struct engine *engine, struct changeset *set, const struct store_write *write,
	struct store_job *job, struct error *err)
{
	const struct plane *plane = engine->conf.plane;
	const struct change *filtered;
	void *txn = NULL;
	size_t n;
	int ret = failed_filter(&engine->failed, write->changes, write->count, &filtered, &n, err);

	if (ret == 0 && n > 0)
		ret = plane->prepare(set, filtered, n, &txn, err);
	if (ret < 0) {
		store_job_abort(job);
	} else {
		ret = store_job_end(job, err);
		if (ret == 0)
			ret = store_commit(engine->conf.store, err);
		if (ret < 0 && txn != NULL)
			plane->abort(txn);
	}
	if (filtered != write->changes)
		free((void *)filtered);
	if (ret < 0)
		return ret;
	if (txn != NULL)
		plane->commit(txn);
	failed_forget(&engine->failed, engine->conf.plane, write->changes, write->count);
	committed(engine, set, write->changes, write->count);
	return 0;
}

/** For starting and for undoing: pods that cannot be attached any more become failed objects
 * instead of stopping it. changes is everything for the data plane, `write` what the store does
 * not have yet. */
static int commit_leniently(struct engine *engine, struct changeset *set,
	const struct change *changes, size_t count, const struct store_write *write,
	struct error *err)
{
	int ret = store_prepare(engine->conf.store, write, err);

	if (ret < 0)
		return ret;
	ret = failed_commit(&engine->failed, engine->conf.plane, set, changes, count, err);
	if (ret < 0) {
		store_abort(engine->conf.store);
		return ret;
	}
	/* The data plane cannot go back from here; what runs counts, which is why this is only
	 * logged. */
	if (store_commit(engine->conf.store, err) < 0)
		LOG_ERROR("the state store could not be written: a restart would find the state "
			  "before error=\"%s\"",
			err != NULL ? err->text : "");
	committed(engine, set, changes, count);
	return 0;
}

static int refuse_while_waiting(const struct engine *engine, struct error *err)
{
	const struct txn_record *w = &engine->waiting;
	unsigned long long id = (unsigned long long)w->id;
	long long left = (long long)(w->deadline - time(NULL));

	if (w->id == 0)
		return 0;
	return error_set(err, EBUSY, NULL,
		"transaction %llu waits for its confirmation for another %lld s and nothing else "
		"can change until then: "
		"POST /v1/transactions/%llu/confirm or /v1/transactions/%llu/rollback",
		id, left > 0 ? left : 0, id, id);
}

/** Check, write and publish a set that has effects. */
static int check_and_commit(struct engine *engine, struct changeset *set,
	const struct store_write *write, struct error *err)
{
	struct store_job job;
	int ret;

	store_job_begin(&job, engine->conf.store, write);
	ret = changeset_validate(set, err);
	if (ret < 0) {
		store_job_abort(&job);
		return ret;
	}
	return commit(engine, set, write, &job, err);
}

/** Number, state and deadline of a transaction to be committed. */
static void fill_record(const struct engine *engine, const struct txn_options *options,
	bool has_changes, struct txn_record *record)
{
	record->id = engine->last_id + 1;
	if (options->confirm_s == 0 || !has_changes)
		return;
	record->state = TXN_WAITING;
	record->deadline = record->when + (time_t)options->confirm_s;
}

int engine_apply(struct engine *engine, struct changeset *set, const struct txn_options *options,
	struct txn_result *result, struct error *err)
{
	struct txn_record *record = &result->record;
	struct store_write write = { .file_hash = options->file_hash, .record = record };
	int ret;

	*result = (struct txn_result){ .record.when = time(NULL) };
	snprintf(record->source, sizeof(record->source), "%s", options->source);
	ret = options->dry_run ? 0 : refuse_while_waiting(engine, err);
	if (ret == 0)
		ret = ipam_assign(engine->ipam, engine->model, set, err);
	if (ret < 0)
		return ret;
	write.changes = changeset_changes(set, &write.count);
	describe(result, write.changes, write.count, options->diff_limit);
	record->state = options->dry_run ? TXN_DRY_RUN : TXN_COMMITTED;
	if (options->dry_run) {
		ret = changeset_validate(set, err);
	} else if (write.count > 0 || options->file_hash != NULL) {
		fill_record(engine, options, write.count > 0, record);
		write.keep_undo = record->state == TXN_WAITING;
		ret = check_and_commit(engine, set, &write, err);
	}
	if (ret < 0) {
		json_decref(result->diff);
		result->diff = NULL;
		return ret;
	}
	if (record->id != 0)
		engine->last_id = record->id;
	if (record->state == TXN_WAITING) {
		engine->waiting = *record;
		arm(engine->deadline, (time_t)options->confirm_s);
	}
	return 0;
}

/* Confirming and undoing. */

static int find_waiting(struct engine *engine, uint64_t id, struct error *err)
{
	struct txn_record record;

	if (engine->waiting.id == id && id != 0)
		return 0;
	if (id == 0 || !store_find(engine->conf.store, id, &record))
		return error_set(err, ENOENT, NULL,
			"there is no transaction %llu; GET /v1/transactions lists the recent ones",
			(unsigned long long)id);
	return error_set(err, EBUSY, NULL,
		"transaction %llu is %s: it does not wait for a confirmation",
		(unsigned long long)id, txn_state_name(record.state));
}

int engine_confirm(struct engine *engine, uint64_t id, struct txn_record *record, struct error *err)
{
	const struct store_write write = { .record = record, .drop_undo = true };
	int ret = find_waiting(engine, id, err);

	if (ret < 0)
		return ret;
	*record = engine->waiting;
	record->state = TXN_CONFIRMED;
	record->deadline = 0;
	ret = store_prepare(engine->conf.store, &write, err);
	if (ret == 0)
		ret = store_commit(engine->conf.store, err);
	if (ret < 0)
		return ret;
	watch_stop(engine->deadline);
	engine->waiting.id = 0;
	return 0;
}

static int roll_back(
	struct engine *engine, const char *note, struct txn_record *record, struct error *err)
{
	struct store_write write = { .record = record, .drop_undo = true };
	struct changeset *set = changeset_new(engine->model);
	int ret;

	if (set == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	*record = engine->waiting;
	record->state = TXN_ROLLED_BACK;
	record->deadline = 0;
	snprintf(record->note, sizeof(record->note), "%s", note);
	ret = store_load_undo(engine->conf.store, set, err);
	if (ret == 0) {
		write.changes = changeset_changes(set, &write.count);
		ret = commit_leniently(engine, set, write.changes, write.count, &write, err);
	}
	changeset_free(set);
	if (ret < 0)
		return ret;
	LOG_WARNING("transaction rolled back id=%llu reason=\"%s\"", (unsigned long long)record->id,
		note);
	watch_stop(engine->deadline);
	engine->waiting.id = 0;
	return 0;
}

int engine_rollback(
	struct engine *engine, uint64_t id, struct txn_record *record, struct error *err)
{
	int ret = find_waiting(engine, id, err);

	return ret < 0 ? ret : roll_back(engine, "asked for", record, err);
}

static void on_deadline(void *arg)
{
	struct engine *engine = arg;
	struct txn_record record;
	struct error err = { 0 };

	if (roll_back(engine, "not confirmed in time", &record, &err) < 0) {
		LOG_ERROR("transaction cannot be rolled back, trying again id=%llu error=\"%s\"",
			(unsigned long long)engine->waiting.id, err.text);
		arm(engine->deadline, ROLLBACK_RETRY_S);
	}
}

static void on_retry(void *arg)
{
	struct engine *engine = arg;
	struct changeset *base = changeset_new(engine->model);

	if (base != NULL)
		failed_retry(&engine->failed, engine->conf.plane, base);
	changeset_free(base);
	if (engine->failed.count > 0)
		arm(engine->retry, FAILED_RETRY_S);
}

static void on_checkpoint(void *arg)
{
	const struct engine *engine = arg;

	store_checkpoint(engine->conf.store);
}

/* Starting. */

/** The changes the store does not have: objects of the file. */
static struct change *from_file(const struct change *changes, size_t count, size_t *n)
{
	struct change *list = malloc((count + 1) * sizeof(*list));

	*n = 0;
	for (size_t i = 0; list != NULL && i < count; i++) {
		if (changes[i].after->origin == ORIGIN_FILE)
			list[(*n)++] = changes[i];
	}
	return list;
}

int engine_start(struct engine *engine, struct changeset *set, const char *file_hash,
	bool file_changed, struct error *err)
{
	struct txn_record record = {
		.id = engine->last_id + 1, .when = time(NULL), .source = "start"
	};
	struct store_write write = { 0 };
	const struct change *changes;
	struct change *list = NULL;
	size_t count;
	int ret;

	ret = ipam_assign(engine->ipam, engine->model, set, err);
	if (ret == 0)
		ret = changeset_validate(set, err);
	if (ret < 0)
		return ret;
	changes = changeset_changes(set, &count);
	if (file_changed) {
		list = from_file(changes, count, &write.count);
		if (list == NULL)
			return error_set(err, ENOMEM, NULL, "out of memory");
		record.added = (uint32_t)write.count;
		write.changes = list;
		write.record = &record;
		write.file_hash = file_hash;
		write.drop_file_objects = true;
	}
	ret = commit_leniently(engine, set, changes, count, &write, err);
	free(list);
	if (ret < 0)
		return ret;
	if (file_changed)
		engine->last_id = record.id;
	if (store_waiting(engine->conf.store, &engine->waiting))
		arm(engine->deadline, engine->waiting.deadline - time(NULL));
	return 0;
}
