/* SPDX-License-Identifier: Apache-2.0 */
#include "config/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int threshold = LOG_LEVEL_INFO; /* written by any thread, read by all */

static const struct {
	enum log_level level;
	const char *name;
} level_names[] = {
	{ LOG_LEVEL_ERROR, "error" },
	{ LOG_LEVEL_WARNING, "warning" },
	{ LOG_LEVEL_INFO, "info" },
	{ LOG_LEVEL_DEBUG, "debug" },
};

enum log_level log_level_get(void)
{
	return (enum log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

void log_level_set(enum log_level level)
{
	atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

bool log_level_parse(const char *text, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(text, level_names[i].name) == 0) {
			*level = level_names[i].level;
			return true;
		}
	}
	return false;
}

const char *log_level_name(enum log_level level)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (level_names[i].level == level)
			return level_names[i].name;
	}
	return "unknown";
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/** A leaky bucket: each line moves the time at which the source is fresh again one period on. */
static bool take(struct log_source *source)
{
	const uint64_t now = now_ms();
	uint64_t empty = atomic_load_explicit(&source->empty_ms, memory_order_relaxed), next;

	do {
		next = (empty > now ? empty : now) + LOG_SOURCE_PERIOD_MS;
		if (next > now + LOG_SOURCE_BURST * LOG_SOURCE_PERIOD_MS)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&source->empty_ms, &empty, next, memory_order_relaxed, memory_order_relaxed));
	return true;
}

bool log_source_take(struct log_source *source)
{
	if (take(source))
		return true;
	atomic_fetch_add_explicit(&source->left_out, 1, memory_order_relaxed);
	return false;
}

uint32_t log_source_left_out(struct log_source *source)
{
	if (atomic_load_explicit(&source->left_out, memory_order_relaxed) == 0 || !take(source))
		return 0;
	return atomic_exchange_explicit(&source->left_out, 0, memory_order_relaxed);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	size_t len;
	va_list ap;
	int n;

	if (getenv("JOURNAL_STREAM") != NULL) {
		/* sd-daemon(3): the journal reads the severity from this prefix and adds its own time. */
		n = snprintf(line, sizeof(line), "<%d>", (int)level);
	} else {
		struct timespec now;
		struct tm tm;

		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		n = snprintf(line, sizeof(line), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %-7s ",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			tm.tm_sec, now.tv_nsec / 1000000, log_level_name(level));
	}
	len = (size_t)n;
	va_start(ap, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	len += n < 0 ? 0 : (size_t)n;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	/* One write a line, so that lines of several threads do not mix. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}
