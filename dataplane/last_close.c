/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/last_close.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

struct closing {
	void (*close_it)(void *);
	void *what;
};

static void *run(void *arg)
{
	struct closing *c = arg;

	c->close_it(c->what);
	free(c);
	return NULL;
}

void last_close(void (*close_it)(void *), void *what)
{
	struct closing *c = malloc(sizeof(*c));
	pthread_t thread;

	if (c != NULL) {
		*c = (struct closing){ close_it, what };
		if (pthread_create(&thread, NULL, run, c) == 0) {
			pthread_detach(thread);
			return;
		}
		free(c);
	}
	close_it(what);
}

static void close_fd(void *fd)
{
	close((int)(intptr_t)fd);
}

void last_close_fd(int fd)
{
	last_close(close_fd, (void *)(intptr_t)fd);
}
