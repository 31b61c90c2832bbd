/* SPDX-License-Identifier: Apache-2.0 */
/** `podlane policy import` and `podlane policy test`. */
#ifndef CTRL_CLI_POLICY_H
#define CTRL_CLI_POLICY_H

#include "ctrl/cli/cli.h"
#include "ctrl/import/kubernetes.h"

int policy_import(struct cli *cli, int argc, char **argv);
int policy_test(struct cli *cli, int argc, char **argv);

/** Read files of Kubernetes into an import; a refusal has been printed. @return 0 or -EINVAL. */
int policy_read_files(struct import *import, char **files, int count);
/** Print its notes to stderr. */
void policy_print_notes(const struct import *import);

/* --- judging without a daemon (policy_offline.c) ---------------------------------------------------------------- */

/* One line of a table. Addresses and names are strings of the table. */
struct policy_line {
	unsigned line;
	char *src, *dst;
	uint8_t proto;
	uint16_t port; /* ICMP: type << 8 | code */
	bool allowed;  /* as it should be */
	bool got;
	char *by; /* who decided, for people: "ingress of db/main: tier default, policy main.db, rule ..." */
};

struct offline;
/** Compile the objects of an import as if every pod were here. Takes addresses from 198.18.0.0/15 and 2001:2::/48 (RFC 2544,
 * RFC 5180) for pods that have none. NULL with err. */
struct offline *offline_new(struct import *import, struct error *err);
void offline_free(struct offline *offline);
/** Judge a line into `got` and `by`. @return 0; -EINVAL: err->path is "src" or "dst". */
int offline_judge(const struct offline *offline, struct policy_line *line, struct error *err);

#endif
