/* SPDX-License-Identifier: Apache-2.0 */
/** The state store: what goes in comes out, damage is noticed and survived, two daemons cannot
 * share it. */
#include "config/schema.h"
#include "ctrl/daemon/encode.h"
#include "ctrl/daemon/store.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Objects that use every kind of field, and values a careless writer would lose. */
static const struct {
	enum object_type type;
	const char *json;
} samples[] = {
	{ OBJECT_NODE, "{\"name\":\"n\",\"host_interface\":\"\"}" },
	{ OBJECT_NODE,
		"{\"name\":\"n\",\"worker_cpus\":[1,3],\"control_cpu\":0,\"hugepages\":\"off\","
		"\"mss_clamp\":false,"
		"\"metrics_listen\":\"\",\"icmp_rate\":0,\"vtep_mac\":\"02:00:00:00:00:01\","
		"\"gateway\":\"169.254.7.7\",\"host_addresses\":[\"10.244.1.1\",\"fd00::1\"]}" },
	{ OBJECT_UPLINK, "{\"name\":\"eth0\",\"driver\":\"ethdev\",\"device\":\"net_ring,x="
			 "\\\"a\\\\b\\\"\",\"addresses\":"
			 "[\"192.0.2.1/24\",\"2001:db8::1/64\"],\"mtu\":9000}" },
	{ OBJECT_POOL, "{\"name\":\"p\",\"cidr\":\"fd00:244:1::/64\"}" },
	{ OBJECT_PEER, "{\"name\":\"node-b\",\"underlay\":[\"192.0.2.2\",\"2001:db8::2\"],\"pod_"
		       "cidrs\":[\"10.244.2.0/24\"],"
		       "\"encap\":\"vxlan\",\"vtep_mac\":\"02:00:c0:00:02:02\",\"vni\":16777215,"
		       "\"mtu\":1400}" },
	{ OBJECT_POD, "{\"name\":\"m\",\"kind\":\"memif\",\"socket\":\"/run/"
		      "m.sock\",\"memif_id\":4294967295,"
		      "\"secret\":\"a\\\"b\\\\c \\u00e4\",\"addresses\":[\"10.244.1.5\"]}" },
	{ OBJECT_POD, "{\"name\":\"t\",\"netns\":\"/proc/1/ns/net\",\"queues\":2}" },
	{ OBJECT_ROUTE,
		"{\"prefix\":\"0.0.0.0/"
		"0\",\"via\":[{\"address\":\"192.0.2.254\",\"weight\":3},{\"peer\":\"node-b\"},"
		"{\"address\":\"192.0.2.9\",\"uplink\":\"eth0\"},{\"pod\":\"t\"}]}" },
	{ OBJECT_ROUTE, "{\"prefix\":\"::/0\",\"action\":\"prohibit\"}" },
};

static struct object *object_of(enum object_type type, const char *text)
{
	json_t *json = json_loads(text, 0, NULL);
	struct error err = { 0 };
	struct object *obj = NULL;

	if (object_from_json(type, json, &obj, &err) < 0)
		fprintf(stderr, "%s: %s\n", text, err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(obj);
	json_decref(json);
	return obj;
}

static void test_encode(void)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct object *obj = object_of(samples[i].type, samples[i].json), *back;
		struct text text = { 0 };
		json_t *shown, *encoded;

		object_encode(obj, ENCODE_STORE, &text);
		text_add(&text, "", 1);
		CU_ASSERT_FALSE(text.failed);
		back = object_of(samples[i].type, text.data);
		CU_ASSERT_TRUE(object_equal(obj, back));
		CU_ASSERT_STRING_EQUAL(obj->name, back->name);
		text_free(&text);
		shown = object_to_json(obj, false);
		object_encode(obj, ENCODE_SHOW, &text);
		encoded = json_loadb(text.data, text.len, 0, NULL);
		CU_ASSERT_TRUE(json_equal(shown, encoded));
		json_decref(shown);
		json_decref(encoded);
		text_free(&text);
		object_unref(obj);
		object_unref(back);
	}
	{
		/* A million of these are kept. */
		struct object *obj = object_of(OBJECT_ROUTE,
			"{\"prefix\":\"10.0.0.0/8\",\"via\":[{\"address\":\"192.0.2.1\"}]}");
		struct text text = { 0 };

		object_encode(obj, ENCODE_STORE, &text);
		CU_ASSERT(text.len < 100);
		text_free(&text);
		object_unref(obj);
	}
}

static void make_dir(char *dir)
{
	strcpy(dir, "/tmp/podlane-store-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
}

static void remove_dir(const char *dir)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

static struct store *open_store(const char *dir)
{
	struct store *store = NULL;
	struct error err = { 0 };

	if (store_open(dir, &store, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(store);
	return store;
}

static void commit_samples(struct store *store, struct model *model)
{
	struct changeset *set = changeset_new(model);
	struct txn_record record = { .id = 1, .when = 1000, .source = "test" };
	struct store_write write = { .record = &record, .file_hash = "0123" };
	struct error err = { 0 };

	for (size_t i = 1; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct object *obj = object_of(samples[i].type, samples[i].json);

		obj->origin = i % 2 == 0 ? ORIGIN_FILE : ORIGIN_API;
		CU_ASSERT_EQUAL(changeset_put(set, obj, &err), 0);
	}
	write.changes = changeset_changes(set, &write.count);
	CU_ASSERT_EQUAL(store_prepare(store, &write, &err), 0);
	CU_ASSERT_EQUAL(store_commit(store, &err), 0);
	model_apply(model, set, NULL);
	changeset_free(set);
}

static void test_round_trip(void)
{
	struct model *model = model_new(), *empty = model_new();
	struct changeset *set = changeset_new(empty);
	const struct change *changes;
	struct error err = { 0 };
	struct store *store;
	char dir[64], *hash;
	size_t count;

	make_dir(dir);
	store = open_store(dir);
	CU_ASSERT_TRUE(store_is_empty(store));
	CU_ASSERT_PTR_NULL(store_file_hash(store));
	commit_samples(store, model);
	store_checkpoint(store);
	store_close(store);
	store = open_store(dir);
	CU_ASSERT_STRING_EQUAL(store_recovered(store), "");
	CU_ASSERT_EQUAL(store_load(store, set, &err), 0);
	changes = changeset_changes(set, &count);
	CU_ASSERT_EQUAL(count, sizeof(samples) / sizeof(samples[0]) - 1);
	for (size_t i = 0; i < count; i++) {
		const struct object *obj = changes[i].after;
		const struct object *was = model_find(model, obj->type, obj->name);

		CU_ASSERT_PTR_NOT_NULL_FATAL(was);
		CU_ASSERT_TRUE(object_equal(obj, was));
		CU_ASSERT_EQUAL(obj->origin, was->origin);
	}
	hash = store_file_hash(store);
	CU_ASSERT_STRING_EQUAL(hash, "0123");
	free(hash);
	CU_ASSERT_EQUAL(store_last_id(store), 1);
	store_close(store);
	changeset_free(set);
	model_free(model);
	model_free(empty);
	remove_dir(dir);
}

static void test_abort(void)
{
	struct model *model = model_new();
	struct changeset *set = changeset_new(model);
	struct store_write write = { 0 };
	struct error err = { 0 };
	struct store *store;
	char dir[64];

	make_dir(dir);
	store = open_store(dir);
	CU_ASSERT_EQUAL(changeset_put(set, object_of(samples[0].type, samples[0].json), &err), 0);
	write.changes = changeset_changes(set, &write.count);
	CU_ASSERT_EQUAL(store_prepare(store, &write, &err), 0);
	store_abort(store);
	CU_ASSERT_TRUE(store_is_empty(store));
	store_close(store);
	changeset_free(set);
	model_free(model);
	remove_dir(dir);
}

static void test_history(void)
{
	struct txn_record record = { .when = 5, .source = "test" };
	const struct store_write write = { .record = &record };
	struct error err = { 0 };
	struct store *store;
	char dir[64];

	make_dir(dir);
	store = open_store(dir);
	for (uint64_t id = 1; id <= STORE_HISTORY + 10; id++) {
		record.id = id;
		CU_ASSERT_EQUAL(store_prepare(store, &write, &err), 0);
		CU_ASSERT_EQUAL(store_commit(store, &err), 0);
	}
	CU_ASSERT_FALSE(store_find(store, 10, &record));
	CU_ASSERT_TRUE(store_find(store, 11, &record));
	CU_ASSERT_STRING_EQUAL(record.source, "test");
	CU_ASSERT_FALSE(store_waiting(store, &record));
	store_close(store);
	remove_dir(dir);
}

/** What the store holds, as a model. */
static struct model *load_model(struct store *store)
{
	struct model *model = model_new();
	struct changeset *set = changeset_new(model);
	struct error err = { 0 };

	CU_ASSERT_EQUAL(store_load(store, set, &err), 0);
	model_apply(model, set, NULL);
	changeset_free(set);
	return model;
}

static int commit_set(
	struct store *store, struct model *model, struct changeset *set, bool keep_undo)
{
	struct txn_record record = { .id = 7,
		.when = 1000,
		.source = "test",
		.state = keep_undo ? TXN_WAITING : TXN_COMMITTED };
	struct store_write write = { .record = &record, .keep_undo = keep_undo };
	struct error err = { 0 };
	int ret;

	write.changes = changeset_changes(set, &write.count);
	ret = store_prepare(store, &write, &err);
	if (ret == 0)
		ret = store_commit(store, &err);
	model_apply(model, set, NULL);
	changeset_free(set);
	return ret;
}

static const char pool_json[] = "{\"name\":\"p\",\"cidr\":\"10.9.0.0/16\"}";
static const char route_json[] = "{\"prefix\":\"10.0.0.0/8\",\"action\":\"blackhole\"}";

/* Objects change, go and come back, also across restarts; each name stays one object. */
static void test_rows(void)
{
	struct txn_record record = { .id = 7, .state = TXN_ROLLED_BACK };
	struct model *model = model_new();
	struct error err = { 0 };
	struct changeset *set;
	struct store *store;
	char dir[64];

	make_dir(dir);
	store = open_store(dir);
	commit_samples(store, model);
	for (unsigned round = 0; round < 3; round++) {
		set = changeset_new(model);
		CU_ASSERT_EQUAL(changeset_put(set,
					object_of(OBJECT_POOL,
						round % 2 == 0 ? pool_json : samples[3].json),
					&err),
			0);
		CU_ASSERT_EQUAL(changeset_delete(set, OBJECT_ROUTE, "::/0", &err), 0);
		CU_ASSERT_EQUAL(changeset_put(set, object_of(OBJECT_ROUTE, route_json), &err), 0);
		CU_ASSERT_EQUAL(commit_set(store, model, set, false), 0);
		store_close(store);
		model_free(model);
		store = open_store(dir);
		model = load_model(store);
		CU_ASSERT_EQUAL(model_count(model, OBJECT_POOL), 1);
		CU_ASSERT_EQUAL(model_find(model, OBJECT_POOL, "p")->pool.cidr.len,
			round % 2 == 0 ? 16 : 64);
		CU_ASSERT_PTR_NULL(model_find(model, OBJECT_ROUTE, "::/0"));
		CU_ASSERT_EQUAL(model_count(model, OBJECT_ROUTE), 2);
		set = changeset_new(model);
		CU_ASSERT_EQUAL(
			changeset_put(set, object_of(samples[8].type, samples[8].json), &err), 0);
		CU_ASSERT_EQUAL(changeset_delete(set, OBJECT_ROUTE, "10.0.0.0/8", &err), 0);
		CU_ASSERT_EQUAL(commit_set(store, model, set, false), 0);
	}
	/* A waiting transaction that adds, changes and deletes is undone in the file. */
	set = changeset_new(model);
	CU_ASSERT_EQUAL(changeset_put(set, object_of(OBJECT_POOL, samples[3].json), &err), 0);
	CU_ASSERT_EQUAL(changeset_delete(set, OBJECT_ROUTE, "::/0", &err), 0);
	CU_ASSERT_EQUAL(changeset_put(set, object_of(OBJECT_ROUTE, route_json), &err), 0);
	CU_ASSERT_EQUAL(commit_set(store, model, set, true), 0);
	CU_ASSERT_EQUAL(store_rollback(store, &record, &err), 0);
	model_free(model);
	model = load_model(store);
	CU_ASSERT_EQUAL(model_find(model, OBJECT_POOL, "p")->pool.cidr.len, 16);
	CU_ASSERT_PTR_NOT_NULL(model_find(model, OBJECT_ROUTE, "::/0"));
	CU_ASSERT_PTR_NULL(model_find(model, OBJECT_ROUTE, "10.0.0.0/8"));
	CU_ASSERT_EQUAL(model_count(model, OBJECT_ROUTE), 2);
	store_close(store);
	model_free(model);
	remove_dir(dir);
}

/* A file of version 1, with a transaction that waits: it changed a pool, added a route and deleted another. */
static void test_upgrade(void)
{
	static const char version1[] =
		"CREATE TABLE object (type TEXT NOT NULL, name TEXT NOT NULL, origin INTEGER NOT "
		"NULL, json TEXT NOT NULL,"
		" PRIMARY KEY (type, name)) WITHOUT ROWID;"
		"CREATE TABLE undo (type TEXT NOT NULL, name TEXT NOT NULL, origin INTEGER, json "
		"TEXT,"
		" PRIMARY KEY (type, name)) WITHOUT ROWID;"
		"CREATE TABLE history (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, deadline "
		"INTEGER NOT NULL,"
		" state TEXT NOT NULL, added INTEGER NOT NULL, changed INTEGER NOT NULL, removed "
		"INTEGER NOT NULL,"
		" source TEXT NOT NULL, note TEXT NOT NULL);"
		"CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
		"INSERT INTO object VALUES ('pool', 'p', 1, "
		"'{\"name\":\"p\",\"cidr\":\"10.9.0.0/16\"}'),"
		" ('route', '10.0.0.0/8', 1, "
		"'{\"prefix\":\"10.0.0.0/8\",\"action\":\"blackhole\"}'),"
		" ('route', '12.0.0.0/8', 0, "
		"'{\"prefix\":\"12.0.0.0/8\",\"action\":\"blackhole\"}');"
		"INSERT INTO undo VALUES ('pool', 'p', 1, "
		"'{\"name\":\"p\",\"cidr\":\"10.9.0.0/24\"}'),"
		" ('route', '10.0.0.0/8', NULL, NULL),"
		" ('route', '11.0.0.0/8', 1, "
		"'{\"prefix\":\"11.0.0.0/8\",\"action\":\"prohibit\"}');"
		"INSERT INTO history VALUES (7, 1, 2, 'waiting for confirmation', 1, 1, 1, 'api', "
		"'');"
		"PRAGMA user_version = 1;";
	struct txn_record record = { .id = 7, .state = TXN_ROLLED_BACK };
	struct error err = { 0 };
	struct model *model;
	struct store *store;
	char dir[64], path[96];
	sqlite3 *db;

	make_dir(dir);
	snprintf(path, sizeof(path), "%s/state.db", dir);
	CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &db), SQLITE_OK);
	CU_ASSERT_EQUAL(sqlite3_exec(db, version1, NULL, NULL, NULL), SQLITE_OK);
	/* A successor that looks ahead understands it, and leaves it to the daemon that has it. */
	CU_ASSERT_EQUAL_FATAL(store_peek(dir, &store, &err), 0);
	model = load_model(store);
	CU_ASSERT_EQUAL(model_count(model, OBJECT_ROUTE), 2);
	CU_ASSERT_EQUAL(model_find(model, OBJECT_POOL, "p")->pool.cidr.len, 16);
	model_free(model);
	store_close(store);
	CU_ASSERT_EQUAL(sqlite3_exec(db,
				"INSERT INTO object VALUES ('route', '13.0.0.0/8', 0, "
				"'{\"prefix\":\"13.0.0.0/8\",\"action\":\"blackhole\"}')",
				NULL, NULL, NULL),
		SQLITE_OK);
	CU_ASSERT_EQUAL(
		sqlite3_exec(db, "DELETE FROM object WHERE name = '13.0.0.0/8'", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	store = open_store(dir);
	CU_ASSERT_STRING_EQUAL(store_recovered(store), "");
	model = load_model(store);
	CU_ASSERT_EQUAL(model_count(model, OBJECT_ROUTE), 2);
	CU_ASSERT_EQUAL(model_find(model, OBJECT_POOL, "p")->pool.cidr.len, 16);
	CU_ASSERT_EQUAL(model_find(model, OBJECT_ROUTE, "12.0.0.0/8")->origin, ORIGIN_FILE);
	model_free(model);
	CU_ASSERT_TRUE(store_waiting(store, &record));
	CU_ASSERT_EQUAL(record.id, 7);
	record.state = TXN_ROLLED_BACK;
	CU_ASSERT_EQUAL(store_rollback(store, &record, &err), 0);
	store_close(store);
	store = open_store(dir);
	model = load_model(store);
	CU_ASSERT_EQUAL(model_find(model, OBJECT_POOL, "p")->pool.cidr.len, 24);
	CU_ASSERT_PTR_NULL(model_find(model, OBJECT_ROUTE, "10.0.0.0/8"));
	CU_ASSERT_PTR_NOT_NULL(model_find(model, OBJECT_ROUTE, "11.0.0.0/8"));
	CU_ASSERT_PTR_NOT_NULL(model_find(model, OBJECT_ROUTE, "12.0.0.0/8"));
	store_close(store);
	model_free(model);
	remove_dir(dir);
}

static void test_two_daemons(void)
{
	struct store *store, *second = NULL;
	struct error err = { 0 };
	char dir[64], path[96];
	struct stat st;

	make_dir(dir);
	store = open_store(dir);
	CU_ASSERT_EQUAL(store_open(dir, &second, &err), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "another daemon uses the state directory"));
	snprintf(path, sizeof(path), "%s/state.db", dir);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	store_close(store);
	remove_dir(dir);
}

/** Overwrite bytes of the database. */
static void damage(const char *dir, off_t at, size_t len)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/state.db", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < len; i++)
		CU_ASSERT_EQUAL(pwrite(fd, "\x5a", 1, at + (off_t)i), 1);
	close(fd);
}

static void test_damage(void)
{
	static const struct {
		off_t at;
		size_t len;
	} places[] = { { 0, 100 }, { 4096, 4096 }, { 100, 8 } };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct model *model = model_new();
		struct store *store;
		char dir[64], pattern[96];
		glob_t kept = { 0 };

		make_dir(dir);
		store = open_store(dir);
		commit_samples(store, model);
		store_checkpoint(store);
		store_close(store);
		damage(dir, places[i].at, places[i].len);
		store = open_store(dir);
		CU_ASSERT_PTR_NOT_NULL(strstr(store_recovered(store), "was damaged"));
		CU_ASSERT_TRUE(store_is_empty(store));
		snprintf(pattern, sizeof(pattern), "%s/state.db.damaged-*", dir);
		CU_ASSERT_EQUAL(glob(pattern, 0, NULL, &kept), 0);
		globfree(&kept);
		/* The new one works. */
		model_free(model);
		model = model_new();
		commit_samples(store, model);
		store_close(store);
		model_free(model);
		remove_dir(dir);
	}
}

static void test_other_versions(void)
{
	struct store *store = NULL;
	struct error err = { 0 };
	char dir[64], command[160];

	make_dir(dir);
	store_close(open_store(dir));
	/* user_version is at offset 60 of the header, big endian. */
	snprintf(command, sizeof(command),
		"printf '\\000\\000\\000\\003' | dd of=%s/state.db bs=1 seek=60 conv=notrunc "
		"2>/dev/null",
		dir);
	CU_ASSERT_EQUAL(system(command), 0);
	CU_ASSERT_EQUAL(store_open(dir, &store, &err), -EPROTONOSUPPORT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "newer version"));
	remove_dir(dir);
	CU_ASSERT_EQUAL(store_open("/proc/nowhere", &store, &err), -ENOENT);
}

static const struct test_case cases[] = {
	{ "objects survive being encoded", test_encode },
	{ "objects survive being stored", test_round_trip },
	{ "what is not committed is not there", test_abort },
	{ "history is bounded", test_history },
	{ "objects change, go and come back", test_rows },
	{ "files of version 1 are upgraded", test_upgrade },
	{ "two daemons cannot share a store", test_two_daemons },
	{ "damage is moved aside", test_damage },
	{ "newer files are left alone", test_other_versions },
};

SUITE_MAIN("store", cases)
