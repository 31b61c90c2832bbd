/* SPDX-License-Identifier: Apache-2.0 */
/** Configuration text made ready for libconfig: @include lines replaced by the files they name, and what libconfig 1.5
 * reads wrong without a word put right or refused (numbers beyond 31 bits wrap, a zero byte ends the text, an include of
 * a directory ends the process). Remembers where every line came from. Private to config/.
 */
#ifndef CONFIG_INCLUDE_H
#define CONFIG_INCLUDE_H

#include "config/schema.h"

#include <stdbool.h>
#include <stddef.h>

#define INCLUDE_DEPTH_MAX 10

struct config_text {
	char *text; /* zero-terminated */
	size_t size, room;
	unsigned lines; /* complete so far */
	struct text_run {
		unsigned first;	  /* line of text, from 0, where the run begins */
		const char *file; /* one of files */
		unsigned line;	  /* in file, from 1 */
	} * runs;
	size_t n_runs;
	char **files;
	size_t n_files;
};

/** Read a file ("-": standard input) and what it includes. @return 0, -EINVAL, -ENOMEM or the errno of a file; text is to be freed always. */
int config_text_file(struct config_text *text, const char *path, struct error *err);
/** Take text as it is; @include is refused. `name` stands in for the file name. */
int config_text_memory(
	struct config_text *text, const char *content, const char *name, struct error *err);
/** Text that was put together before: lines came from where `sources` says, in ascending order of their lines. */
int config_text_sources(
	struct config_text *text, const struct config_source *sources, size_t n, struct error *err);
/** Where a line of text (from 1, as libconfig counts) came from: fill file and line of err. */
void config_text_locate(const struct config_text *text, unsigned line, struct error *err);
void config_text_free(struct config_text *text);

#endif
