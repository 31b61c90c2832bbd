/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/eal_calibration.h"

#include <errno.h>
#include <time.h>

#define SHORT_NS 10000000L

static _Thread_local bool shorten;

void eal_calibration_shorten(bool on)
{
	shorten = on;
}

/** In place of the C library's, for the whole process: a program's own functions come before those of libraries. */
int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	struct timespec time = *wanted;
	int ret;

	if (shorten && (time.tv_sec > 0 || time.tv_nsec > SHORT_NS))
		time = (struct timespec){ .tv_nsec = SHORT_NS };
	ret = clock_nanosleep(CLOCK_REALTIME, 0, &time, left);
	if (ret == 0)
		return 0;
	errno = ret;
	return -1;
}
