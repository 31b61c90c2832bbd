/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/helper.h"

#include "config/schema.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#define CHUNK	    256 /* indices a thread takes at a time */
#define HELPERS_MAX 3

struct work {
	bool (*run)(size_t i, void *arg);
	void *arg;
	size_t count;
	/* Writers and readers: all threads. */
	_Atomic size_t next; /* first index nobody has taken */
	_Atomic bool failed;
};

bool helper_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	const struct sched_param param = { 0 };

	if (pthread_create(thread, NULL, run, arg) != 0)
		return false;
	pthread_setschedparam(*thread, SCHED_IDLE, &param);
	return true;
}

void helper_join(pthread_t thread)
{
	const struct sched_param param = { 0 };

	pthread_setschedparam(thread, SCHED_OTHER, &param);
	pthread_join(thread, NULL);
}

/** Chunks are taken in order and finished, so everything below a failed index is run. */
static void *run_chunks(void *arg)
{
	struct work *work = arg;

	while (!atomic_load_explicit(&work->failed, memory_order_relaxed)) {
		size_t i = atomic_fetch_add_explicit(&work->next, CHUNK, memory_order_relaxed);
		size_t end = i + CHUNK < work->count ? i + CHUNK : work->count;

		while (i < end && work->run(i, work->arg))
			i++;
		if (i < end)
			atomic_store_explicit(&work->failed, true, memory_order_relaxed);
		if (end == work->count)
			break;
	}
	return NULL;
}

/** What the JSON and object readers make on first use is no business of several threads. */
static void prepare_readers(void)
{
	json_t *empty = json_object();

	json_object_seed(0);
	for (int type = 0; type < OBJECT_TYPE_COUNT; type++) {
		struct object *obj = NULL;

		if (object_from_json((enum object_type)type, empty, &obj, NULL) == 0)
			object_unref(obj);
	}
	json_decref(empty);
}

void helper_each(size_t count, bool (*run)(size_t i, void *arg), void *arg)
{
	struct work work = { .run = run, .arg = arg, .count = count };
	pthread_t helpers[HELPERS_MAX];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = 0;

	if (count >= HELPER_WORTH)
		prepare_readers();
	while (count >= HELPER_WORTH && n < HELPERS_MAX && (long)n + 1 < cpus &&
		helper_start(&helpers[n], run_chunks, &work))
		n++;
	run_chunks(&work);
	while (n > 0)
		helper_join(helpers[--n]);
}
