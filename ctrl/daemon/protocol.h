/* SPDX-License-Identifier: Apache-2.0 */
/** Names of IP protocols that people use. Pure. */
#ifndef CTRL_DAEMON_PROTOCOL_H
#define CTRL_DAEMON_PROTOCOL_H

#include <jansson.h>

/** "tcp" or "6" to 6; -1 for anything else. */
int protocol_parse(const char *text);
/** "tcp", or the number. New reference. */
json_t *json_protocol(unsigned proto);

#endif
