/* SPDX-License-Identifier: Apache-2.0 */
#include "config/include.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One file being copied. */
struct source {
	struct config_text *out;
	struct error *err;
	const char *file;
	const char *at, *end;
	unsigned line;
	unsigned depth;
	bool may_include;
};

static int source_copy(struct source *src);

static int fail(const struct source *src, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(const struct source *src, int errnum, const char *fmt, ...)
{
	char message[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	error_set(src->err, errnum, "", "%s", message);
	if (src->err != NULL) {
		snprintf(src->err->file, sizeof(src->err->file), "%s", src->file);
		src->err->line = src->line;
	}
	return -errnum;
}

static int put(struct source *src, const char *from, size_t size)
{
	struct config_text *out = src->out;

	if (out->size + size + 1 > out->room) {
		size_t room = (out->size + size + 1) * 2;
		char *grown = realloc(out->text, room);

		if (grown == NULL)
			return fail(src, ENOMEM, "out of memory while reading the configuration");
		out->text = grown;
		out->room = room;
	}
	memcpy(out->text + out->size, from, size);
	out->size += size;
	out->text[out->size] = '\0';
	return 0;
}

/* From here on, lines of text are lines of this source. */
static int begin_run(struct source *src)
{
	struct config_text *out = src->out;
	struct text_run *grown = realloc(out->runs, (out->n_runs + 1) * sizeof(*grown));

	if (grown == NULL)
		return fail(src, ENOMEM, "out of memory while reading the configuration");
	out->runs = grown;
	out->runs[out->n_runs++] = (struct text_run){ out->lines, src->file, src->line };
	return 0;
}

static int add_file(struct config_text *out, const char *name, const char **kept)
{
	char **grown = realloc(out->files, (out->n_files + 1) * sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	out->files = grown;
	*kept = out->files[out->n_files] = strdup(name);
	if (*kept == NULL)
		return -ENOMEM;
	out->n_files++;
	return 0;
}

/* --- reading files -------------------------------------------------------------------------------------------- */

static int read_whole(FILE *in, char **content, size_t *size)
{
	size_t room = 0;

	*content = NULL;
	*size = 0;
	for (;;) {
		char *grown;

		if (*size + 4096 > room) {
			room = room == 0 ? 65536 : room * 2;
			grown = realloc(*content, room);
			if (grown == NULL)
				return -ENOMEM;
			*content = grown;
		}
		*size += fread(*content + *size, 1, room - *size, in);
		if (ferror(in))
			return errno != 0 ? -errno : -EIO;
		if (feof(in))
			return 0;
	}
}

/* Copy a file; errors about the file itself blame the line of `by`. */
static int copy_file(struct source *by, const char *path)
{
	struct source src = { .out = by->out,
		.err = by->err,
		.line = 1,
		.depth = by->depth + 1,
		.may_include = true };
	char *content = NULL;
	bool standard_input = src.depth == 1 && strcmp(path, "-") == 0;
	struct stat st;
	size_t size = 0;
	FILE *in;
	int ret;

	in = standard_input ? stdin : fopen(path, "re");
	if (in == NULL)
		return fail(by, errno, "cannot read %.200s: %s", path, strerror(errno));
	ret = fstat(fileno(in), &st) < 0 ? -errno
	      : S_ISDIR(st.st_mode)	 ? -EISDIR
					 : read_whole(in, &content, &size);
	if (!standard_input)
		fclose(in);
	if (ret < 0) {
		ret = fail(by, -ret, "cannot read %.200s: %s", path, strerror(-ret));
	} else if (add_file(by->out, standard_input ? "(standard input)" : path, &src.file) < 0) {
		ret = fail(by, ENOMEM, "out of memory while reading the configuration");
	} else {
		src.at = content;
		src.end = content + size;
		ret = source_copy(&src);
	}
	free(content);
	return ret;
}

/* --- copying text --------------------------------------------------------------------------------------------- */

static int copy_string(struct source *src)
{
	const char *begin = src->at++;

	for (; src->at < src->end && *src->at != '"'; src->at++) {
		if (*src->at == '\n')
			break;
		if (*src->at == '\0' ||
			(src->end - src->at >= 4 && strncmp(src->at, "\\x00", 4) == 0))
			return fail(src, EINVAL, "there is a zero byte in a string: remove it");
		if (*src->at == '\\' && src->at + 1 < src->end && src->at[1] != '\n')
			src->at++;
	}
	if (src->at >= src->end || *src->at != '"')
		return fail(src, EINVAL, "a string on this line has no end: add the closing quote");
	src->at++;
	return put(src, begin, (size_t)(src->at - begin));
}

static int copy_comment(struct source *src)
{
	bool block = *src->at == '/' && src->at[1] == '*';
	struct source at_begin = *src;

	if (!block) {
		while (src->at < src->end && *src->at != '\n')
			src->at++;
		return 0;
	}
	for (src->at += 2; src->end - src->at >= 2 && strncmp(src->at, "*/", 2) != 0; src->at++) {
		/* The lines stay, so that they count. */
		if (*src->at == '\n') {
			if (put(src, "\n", 1) < 0)
				return -ENOMEM;
			src->line++;
			src->out->lines++;
		}
	}
	if (src->end - src->at < 2)
		return fail(&at_begin, EINVAL,
			"the comment that begins on this line has no end: add */");
	src->at += 2;
	/* Not a blank: text that is read once more must not find an @include at the beginning of a line that was none. */
	return put(src, "/**/", 4);
}

/* libconfig reads an int unless a number ends in L, and cuts it to 32 bits without a word. */
static int copy_number(struct source *src)
{
	const char *begin = src->at, *digits, *end;
	bool hex, fraction, marked;
	size_t count;

	if (*src->at == '-' || *src->at == '+')
		src->at++;
	hex = src->end - src->at > 2 && src->at[0] == '0' && (src->at[1] | 0x20) == 'x';
	if (hex)
		src->at += 2;
	while (src->at < src->end - 1 && *src->at == '0' && isxdigit((unsigned char)src->at[1]))
		src->at++;
	digits = src->at;
	while (src->at < src->end &&
		(hex ? isxdigit((unsigned char)*src->at) : isdigit((unsigned char)*src->at)))
		src->at++;
	end = src->at;
	count = (size_t)(end - digits);
	fraction = !hex && src->at < src->end && (*src->at == '.' || (*src->at | 0x20) == 'e');
	/* The rest of the token, whatever it is: libconfig judges it. */
	while (src->at < src->end && (isalnum((unsigned char)*src->at) || *src->at == '.' ||
					     (fraction && (*src->at == '-' || *src->at == '+'))))
		src->at++;
	if (fraction)
		return put(src, begin, (size_t)(src->at - begin));
	if (count > (hex ? 15 : 18))
		return fail(src, EINVAL, "the number %.*s is too large: no field takes one like it",
			(int)(count < 40 ? count : 40), digits);
	marked = src->at > end && *end == 'L';
	if (put(src, begin, (size_t)(src->at - begin)) < 0)
		return -ENOMEM;
	return count > (hex ? 7 : 9) && !marked ? put(src, "L", 1) : 0;
}

/* @include "file", relative to the file it stands in. */
static int copy_include(struct source *src)
{
	static const char word[] = "@include";
	const char *slash = strrchr(src->file, '/'), *begin;
	char name[512], path[1024];
	int dir, ret;

	src->at += sizeof(word) - 1;
	while (src->at < src->end && (*src->at == ' ' || *src->at == '\t'))
		src->at++;
	begin = src->at + 1;
	if (src->at >= src->end || *src->at != '"')
		return fail(src, EINVAL,
			"@include needs a file name in quotes: write @include \"uplinks.conf\"");
	for (src->at++; src->at < src->end && *src->at != '"' && *src->at != '\n'; src->at++)
		;
	if (src->at >= src->end || *src->at != '"' ||
		memchr(begin, '\0', (size_t)(src->at - begin)) != NULL)
		return fail(src, EINVAL, "a string on this line has no end: add the closing quote");
	if ((size_t)(src->at - begin) >= sizeof(name) || src->at == begin)
		return fail(src, EINVAL, "@include needs a file name of 1 to %zu bytes",
			sizeof(name) - 1);
	snprintf(name, sizeof(name), "%.*s", (int)(src->at - begin), begin);
	src->at++;
	if (!src->may_include)
		return fail(src, EINVAL,
			"@include works in files only: put the content of %.100s here", name);
	if (src->depth >= INCLUDE_DEPTH_MAX)
		return fail(src, EINVAL,
			"includes are nested more than %d deep: does a file include itself?",
			INCLUDE_DEPTH_MAX);
	dir = name[0] == '/' || slash == NULL ? 0 : (int)(slash + 1 - src->file);
	if (snprintf(path, sizeof(path), "%.*s%s", dir, src->file, name) >= (int)sizeof(path))
		return fail(src, ENAMETOOLONG, "the path of the included file %.100s is too long",
			name);
	/* Both files' lines begin on lines of their own. */
	src->out->lines++;
	if (put(src, "\n", 1) < 0)
		return -ENOMEM;
	ret = copy_file(src, path);
	if (ret < 0)
		return ret;
	src->out->lines++;
	if (put(src, "\n", 1) < 0)
		return -ENOMEM;
	return begin_run(src);
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '*' || c == '-';
}

static int copy_name(struct source *src)
{
	const char *begin = src->at;

	while (src->at < src->end && is_name(*src->at))
		src->at++;
	return put(src, begin, (size_t)(src->at - begin));
}

static int source_copy(struct source *src)
{
	static const char word[] = "@include";
	bool line_start = true;
	int ret = begin_run(src);

	while (ret == 0 && src->at < src->end) {
		char c = *src->at, next = src->end - src->at > 1 ? src->at[1] : '\0';
		bool was_start = line_start;

		line_start = (was_start && (c == ' ' || c == '\t')) || c == '\n';
		if (c == '"') {
			ret = copy_string(src);
		} else if (c == '#' || (c == '/' && (next == '/' || next == '*'))) {
			ret = copy_comment(src);
		} else if (isdigit((unsigned char)c) ||
			   ((c == '-' || c == '+') && isdigit((unsigned char)next))) {
			ret = copy_number(src);
		} else if (isalpha((unsigned char)c) || c == '*') {
			ret = copy_name(src);
		} else if (was_start && (size_t)(src->end - src->at) >= sizeof(word) - 1 &&
			   strncmp(src->at, word, sizeof(word) - 1) == 0) {
			ret = copy_include(src);
		} else if (c == '\0') {
			ret = fail(src, EINVAL,
				"there is a zero byte on this line: is this a text file?");
		} else {
			ret = put(src, src->at++, 1);
			src->line += c == '\n';
			src->out->lines += c == '\n';
		}
	}
	return ret;
}

/* --- entry ---------------------------------------------------------------------------------------------------- */

int config_text_file(struct config_text *text, const char *path, struct error *err)
{
	/* Nobody included the first file: what is wrong with it has no line. */
	struct source nobody = { .out = text, .err = err, .file = path };

	*text = (struct config_text){ 0 };
	return copy_file(&nobody, path);
}

int config_text_memory(
	struct config_text *text, const char *content, const char *name, struct error *err)
{
	struct source src = { .out = text,
		.err = err,
		.file = name,
		.line = 1,
		.at = content,
		.end = content + strlen(content) };

	*text = (struct config_text){ 0 };
	if (add_file(text, name, &src.file) < 0)
		return fail(&src, ENOMEM, "out of memory while reading the configuration");
	return source_copy(&src);
}

int config_text_sources(
	struct config_text *text, const struct config_source *sources, size_t n, struct error *err)
{
	const char *file;

	if (n == 0)
		return 0;
	free(text->runs);
	text->n_runs = 0;
	text->runs = malloc(n * sizeof(*text->runs));
	if (text->runs == NULL)
		return error_set(err, ENOMEM, "", "out of memory while reading the configuration");
	for (size_t i = 0; i < n; i++) {
		if (add_file(text, sources[i].file, &file) < 0)
			return error_set(
				err, ENOMEM, "", "out of memory while reading the configuration");
		text->runs[text->n_runs++] =
			(struct text_run){ sources[i].line - 1, file, sources[i].file_line };
	}
	return 0;
}

void config_text_locate(const struct config_text *text, unsigned line, struct error *err)
{
	size_t begin = 0, end = text->n_runs;

	if (err == NULL || end == 0)
		return;
	line = line > 0 ? line - 1 : 0;
	/* The last run that begins at or before the line; of several on one line, the last. */
	while (end - begin > 1) {
		size_t middle = begin + (end - begin) / 2;

		if (text->runs[middle].first <= line)
			begin = middle;
		else
			end = middle;
	}
	snprintf(err->file, sizeof(err->file), "%s", text->runs[begin].file);
	err->line = text->runs[begin].line + (line - text->runs[begin].first);
}

void config_text_free(struct config_text *text)
{
	for (size_t i = 0; i < text->n_files; i++)
		free(text->files[i]);
	free(text->files);
	free(text->runs);
	free(text->text);
	*text = (struct config_text){ 0 };
}
