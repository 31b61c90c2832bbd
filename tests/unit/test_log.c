/* SPDX-License-Identifier: Apache-2.0 */
/** Lines that somebody else can cause: how many there are, and that none is forgotten. */
#include "config/log.h"
#include "tests/unit/suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/** What goes to stderr while run runs. @return lines. */
static unsigned lines_of(void (*run)(struct log_source *), struct log_source *source)
{
	FILE *file = tmpfile();
	int before = dup(STDERR_FILENO);
	unsigned lines = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	dup2(fileno(file), STDERR_FILENO);
	run(source);
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(file);
	for (int c; (c = fgetc(file)) != EOF;)
		lines += c == '\n';
	fclose(file);
	return lines;
}

static void thousand(struct log_source *source)
{
	for (unsigned i = 0; i < 1000; i++)
		LOG_FROM(source, LOG_LEVEL_INFO, "peer connected number=%u", i);
}

static void flood(void)
{
	struct log_source source = { 0 }, other = { 0 };

	CU_ASSERT_EQUAL(lines_of(thousand, &source), LOG_SOURCE_BURST);
	CU_ASSERT_EQUAL(atomic_load(&source.left_out), 1000 - LOG_SOURCE_BURST);
	/* There is no line to tell it in, and so it is kept. */
	CU_ASSERT_EQUAL(log_source_left_out(&source), 0);
	CU_ASSERT_EQUAL(atomic_load(&source.left_out), 1000 - LOG_SOURCE_BURST);
	/* A period later there is. */
	atomic_fetch_sub(&source.empty_ms, LOG_SOURCE_PERIOD_MS);
	CU_ASSERT_EQUAL(log_source_left_out(&source), 1000 - LOG_SOURCE_BURST);
	CU_ASSERT_EQUAL(log_source_left_out(&source), 0);
	CU_ASSERT_FALSE(log_source_take(&source));
	/* Nobody else is concerned. */
	CU_ASSERT_EQUAL(lines_of(thousand, &other), LOG_SOURCE_BURST);
}

/** Who was quiet for long has no more than a burst. */
static void quiet(void)
{
	struct log_source source = { .empty_ms = 1 };

	CU_ASSERT_EQUAL(lines_of(thousand, &source), LOG_SOURCE_BURST);
}

/** A line below the level is none. */
static void level(void)
{
	struct log_source source = { 0 };

	log_level_set(LOG_LEVEL_ERROR);
	CU_ASSERT_EQUAL(lines_of(thousand, &source), 0);
	log_level_set(LOG_LEVEL_INFO);
	CU_ASSERT_EQUAL(atomic_load(&source.left_out), 0);
	CU_ASSERT_EQUAL(lines_of(thousand, &source), LOG_SOURCE_BURST);
}

static void *take_many(void *arg)
{
	static _Atomic unsigned taken;

	for (unsigned i = 0; i < 100000; i++) {
		if (log_source_take(arg))
			atomic_fetch_add(&taken, 1);
	}
	return &taken;
}

static void threads(void)
{
	static struct log_source source;
	pthread_t thread[4];
	void *taken = NULL;

	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, take_many, &source), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], &taken);
	CU_ASSERT_EQUAL(*(_Atomic unsigned *)taken + atomic_load(&source.left_out), 400000);
	/* Some seconds may pass on a busy machine. */
	CU_ASSERT_TRUE(*(_Atomic unsigned *)taken >= LOG_SOURCE_BURST &&
		       *(_Atomic unsigned *)taken < 2 * LOG_SOURCE_BURST);
}

static const struct test_case cases[] = {
	{ "a flood of lines", flood },
	{ "a quiet source", quiet },
	{ "lines below the level", level },
	{ "threads", threads },
};

SUITE_MAIN("log", cases)
