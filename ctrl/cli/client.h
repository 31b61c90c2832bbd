/* SPDX-License-Identifier: Apache-2.0 */
/** One daemon's API, as the CLI uses it: HTTP over a Unix socket by libcurl. Single-threaded. */
#ifndef CTRL_CLI_CLIENT_H
#define CTRL_CLI_CLIENT_H

#include <jansson.h>
#include <stddef.h>

struct client;

/** socket_path is copied. NULL when out of memory. */
struct client *client_new(const char *socket_path);
void client_free(struct client *client);

/** One request. path begins with "/"; body may be NULL. *out receives the JSON document of the answer, or NULL when it has
 * none (a new reference; out may be NULL). @return the HTTP status, or -errno when the daemon could not be asked (a
 * message has been printed). Statuses of 400 and above have been explained on stderr. */
int client_request(struct client *client, const char *method, const char *path, const json_t *body,
	json_t **out);

/** As client_request, but a status of 400 and above is the caller's to explain: *out is the problem document then. */
int client_try(struct client *client, const char *method, const char *path, const json_t *body,
	json_t **out);
/** Explain a problem document on stderr, as client_request does. */
void client_explain(int status, const json_t *problem);

/** As client_try with GET and without a word on stderr, also when no daemon answers. */
int client_quietly(struct client *client, const char *path, json_t **out);

/** As client_request, for long answers: each piece of the body goes to `write` as it comes; a short count ends the transfer.
 * Problem documents are printed instead. Runs until the daemon ends the answer or *stop becomes non-zero. */
int client_stream(struct client *client, const char *method, const char *path, const json_t *body,
	size_t (*write)(const char *bytes, size_t len, void *arg), void *arg,
	const volatile int *stop);

/** Percent-encode one path segment or query value; free with free(). */
char *client_escape(const char *text);

#endif
