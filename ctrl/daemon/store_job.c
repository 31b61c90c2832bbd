/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/store_job.h"

#include "ctrl/daemon/helper.h"

static void *run(void *arg)
{
	struct store_job *job = arg;

	job->ret = store_prepare(job->store, job->write, &job->err);
	return NULL;
}

void store_job_begin(struct store_job *job, struct store *store, const struct store_write *write)
{
	*job = (struct store_job){ .store = store, .write = write };
	if (write->count < HELPER_WORTH)
		return;
	job->running = helper_start(&job->thread, run, job);
}

int store_job_end(struct store_job *job, struct error *err)
{
	if (!job->running)
		return store_prepare(job->store, job->write, err);
	helper_join(job->thread);
	job->running = false;
	if (job->ret < 0 && err != NULL)
		*err = job->err;
	return job->ret;
}

void store_job_abort(struct store_job *job)
{
	if (!job->running)
		return;
	helper_join(job->thread);
	job->running = false;
	if (job->ret == 0)
		store_abort(job->store);
}
