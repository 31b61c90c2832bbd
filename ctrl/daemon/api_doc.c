/* SPDX-License-Identifier: Apache-2.0 */
/* api-doc FILE writes the list of endpoints in docs/api.md anew, below its marker; api-doc
 * --check FILE fails when the list differs from the tables. */
#include "ctrl/daemon/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char marker[] = "<!-- generated below this line: meson compile api-docs -->\n\n";

/** The whole file, or NULL. */
static char *read_file(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;
	ssize_t len = in != NULL ? getdelim(&text, &size, '\0', in) : -1;

	if (in == NULL || len < 0)
		perror(path);
	if (in != NULL)
		fclose(in);
	if (len >= 0)
		return text;
	free(text);
	return NULL;
}

static int write_file(const char *path, const char *head, const char *list)
{
	FILE *out = fopen(path, "we");

	if (out == NULL || fprintf(out, "%s%s", head, list) < 0 || fclose(out) != 0) {
		perror(path);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	bool check = argc == 3 && strcmp(argv[1], "--check") == 0;
	char *text, *at, *list = openapi_markdown(api_tables);
	int status;

	if (argc != 2 && !check) {
		fputs("usage: api-doc [--check] FILE\n", stderr);
		return EXIT_FAILURE;
	}
	text = read_file(argv[argc - 1]);
	at = text != NULL ? strstr(text, marker) : NULL;
	if (at == NULL || list == NULL) {
		fprintf(stderr, "%s has no line that says where the list begins\n", argv[argc - 1]);
		return EXIT_FAILURE;
	}
	at += sizeof(marker) - 1;
	if (check) {
		status = strcmp(at, list) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		if (status != EXIT_SUCCESS)
			fprintf(stderr,
				"%s differs from the tables: run `meson compile api-docs`\n",
				argv[2]);
	} else {
		*at = '\0';
		status = write_file(argv[1], text, list);
	}
	free(text);
	free(list);
	return status;
}
