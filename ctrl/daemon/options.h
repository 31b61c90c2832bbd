/* SPDX-License-Identifier: Apache-2.0 */
/** The command line of podlaned. */
#ifndef CTRL_DAEMON_OPTIONS_H
#define CTRL_DAEMON_OPTIONS_H

#include <stdbool.h>

struct options {
	const char *config;
	const char *socket;
	const char *state;
	const char *log_level; /* NULL = as node.log_level says */
	bool check;
	bool take_over;
	bool remove_interfaces;
};

/** Parse. @return -1 to go on, otherwise the exit status (after --help, --version or a message on
 * stderr). */
int options_parse(int argc, char **argv, struct options *options);

#endif
