/* SPDX-License-Identifier: Apache-2.0 */
/** Log lines: a message followed by key=value pairs, to stderr, with a syslog "<N>" prefix when stderr
 * is the journal. Any thread except inside the packet path, which never logs. The level can be changed
 * at run time from any thread.
 */
#ifndef CONFIG_LOG_H
#define CONFIG_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Numbers are syslog severities (RFC 5424, table 2). */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/** The current threshold; messages above it are not formatted. */
enum log_level log_level_get(void);
void log_level_set(enum log_level level);
/** "error", "warning", "info", "debug". @return false for any other text, level untouched. */
bool log_level_parse(const char *text, enum log_level *level);
const char *log_level_name(enum log_level level);

/** Whoever is behind lines that others can cause as often as they like: a port's peer, say. It has LOG_SOURCE_BURST lines at
 * once, then one each LOG_SOURCE_PERIOD_MS; what is left out is counted. Zeroed = fresh. Any thread. */
#define LOG_SOURCE_BURST     20
#define LOG_SOURCE_PERIOD_MS 5000
struct log_source {
	_Atomic uint64_t empty_ms; /* when all of its lines will be there again, monotonic clock */
	_Atomic uint32_t left_out;
};

/** Take one line. @return false when there is none: then it counts as left out. */
bool log_source_take(struct log_source *source);
/** How many lines were left out since this last said so; 0 as well while there is no line to tell it in. */
uint32_t log_source_left_out(struct log_source *source);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* LOG_INFO("port opened name=%s driver=%s", ...): message first, then key=value. */
#define LOG_AT(level, ...)                               \
	do {                                             \
		if ((level) <= log_level_get())          \
			log_write((level), __VA_ARGS__); \
	} while (0)
/* The same, unless the source has had too many. */
#define LOG_FROM(source, level, ...)                                       \
	do {                                                               \
		if ((level) <= log_level_get() && log_source_take(source)) \
			log_write((level), __VA_ARGS__);                   \
	} while (0)
#define LOG_ERROR(...)	 LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__)
#define LOG_WARNING(...) LOG_AT(LOG_LEVEL_WARNING, __VA_ARGS__)
#define LOG_INFO(...)	 LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_DEBUG(...)	 LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
