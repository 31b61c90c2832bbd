/* SPDX-License-Identifier: Apache-2.0 */
/** What a capture holds, in tcpdump's words, and what a trace said, for tests that observe a worker. */
#ifndef TESTS_UNIT_WATCHED_H
#define TESTS_UNIT_WATCHED_H

#include "dataplane/observe.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char watched[16384];

/** For trace_drain. */
static inline void watched_keep(uint64_t tsc, const char *steps, void *arg)
{
	(void)arg;
	CU_ASSERT_TRUE(tsc != 0);
	snprintf(watched + strlen(watched), sizeof(watched) - strlen(watched), "%s", steps);
}

static inline void watched_write(const void *bytes, size_t len, void *file)
{
	CU_ASSERT_EQUAL(fwrite(bytes, 1, len, file), len);
}

/** What tcpdump makes of the capture so far. */
static inline void watched_read_back(const char *options)
{
	FILE *file = tmpfile(), *in;
	const int input = dup(STDIN_FILENO);
	char command[64];
	size_t n;

	CU_ASSERT_FATAL(file != NULL && input >= 0);
	CU_ASSERT_TRUE(capture_drain(watched_write, file) > 0);
	rewind(file); /* tcpdump reads it as its standard input */
	CU_ASSERT_FATAL(dup2(fileno(file), STDIN_FILENO) >= 0);
	snprintf(command, sizeof(command), "tcpdump -n %s -r - 2>&1", options);
	in = popen(command, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	n = fread(watched, 1, sizeof(watched) - 1, in);
	watched[n] = '\0';
	CU_ASSERT_EQUAL(pclose(in), 0);
	dup2(input, STDIN_FILENO);
	close(input);
	fclose(file);
}

static inline void watched_expect(const char *said)
{
	if (strstr(watched, said) == NULL)
		printf("\n    no \"%s\" in:\n%s\n", said, watched);
	CU_ASSERT_PTR_NOT_NULL(strstr(watched, said));
}

#endif
