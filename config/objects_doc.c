/* SPDX-License-Identifier: Apache-2.0 */
/* objects-doc FILE writes docs/objects.md; objects-doc --check FILE fails when the file differs from the schema. */
#include "config/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check(const char *path, const char *want)
{
	FILE *in = fopen(path, "r");
	unsigned line = 1;
	int have;

	if (in == NULL) {
		perror(path);
		return EXIT_FAILURE;
	}
	while ((have = fgetc(in)) == (unsigned char)*want && *want != '\0')
		line += *want++ == '\n';
	fclose(in);
	if (have == EOF && *want == '\0')
		return EXIT_SUCCESS;
	fprintf(stderr,
		"%s:%u: differs from config/schema.c: run `meson compile docs` and commit the "
		"file\n",
		path, line);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	char *text = schema_markdown();
	int ret = EXIT_SUCCESS;
	FILE *out;

	if (text == NULL || argc < 2 || argc > 3 ||
		(argc == 3 && strcmp(argv[1], "--check") != 0)) {
		fprintf(stderr, "usage: objects-doc [--check] FILE\n");
		free(text);
		return EXIT_FAILURE;
	}
	if (argc == 3) {
		ret = check(argv[2], text);
	} else {
		out = fopen(argv[1], "w");
		if (out == NULL || fputs(text, out) < 0 || fclose(out) != 0) {
			perror(argv[1]);
			ret = EXIT_FAILURE;
		}
	}
	free(text);
	return ret;
}
