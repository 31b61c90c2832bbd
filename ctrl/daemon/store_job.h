/* SPDX-License-Identifier: Apache-2.0 */
/** store_prepare beside other work: a large transaction is written by a thread of its own while
 * the control thread checks it and the data plane prepares it. Between begin and end the store
 * belongs to the job, and what it writes must not change. Control thread only.
 */
#ifndef CTRL_DAEMON_STORE_JOB_H
#define CTRL_DAEMON_STORE_JOB_H

#include "ctrl/daemon/store.h"

#include <pthread.h>

struct store_job {
	struct store *store;
	const struct store_write *write;
	pthread_t thread;
	bool running;
	int ret;
	struct error err;
};

/** Begin writing, when that is worth a thread. */
void store_job_begin(struct store_job *job, struct store *store, const struct store_write *write);
/** Wait (or write now). @return as store_prepare; on success store_commit or store_abort has to
 * follow. */
int store_job_end(struct store_job *job, struct error *err);
/** Wait and undo what has been written. */
void store_job_abort(struct store_job *job);

#endif
