/* SPDX-License-Identifier: Apache-2.0 */
/** A program under construction: what compile.c, program_rows.c and compile_ports.c share. Control thread. Private to
 * dataplane/policy/. Memory that cannot be had ends the daemon (policy_alloc).
 */
#ifndef DATAPLANE_POLICY_COMPILE_H
#define DATAPLANE_POLICY_COMPILE_H

#include "dataplane/policy/flatten.h"

/** How a rule names a prefix. Of the first three a rule needs one each that it asks for; the last forbids. */
enum mark_kind { MARK_CIDR, MARK_SET, MARK_MEMBER, MARK_NOT };

/** What is kept to teach a program new identities and leaves. */
struct peer_group {
	const struct matcher *is, *is_not;
	const struct bits *only, *except;
	uint32_t *rules, n_rules; /* room: the next power of two */
};
struct program_control {
	struct flat_rules flat;
	struct peer_group *groups;
	uint32_t n_groups;
	uint64_t *asked[2][MARK_NOT]; /* peer, this end: rules that ask for one of these kinds */
};

static inline void rule_on(uint64_t *row, uint32_t rule)
{
	row[rule / 64] |= UINT64_C(1) << rule % 64;
}

static inline void rule_off(uint64_t *row, uint32_t rule)
{
	row[rule / 64] &= ~(UINT64_C(1) << rule % 64);
}

/** Rows of a table under construction, each once. */
struct row_set {
	const struct policy_program *program;
	struct program_rows *rows;
	uint32_t *slots; /* row + 1 by hash */
	uint32_t mask;
};

/* program_rows.c. `words` is a row without its summary. */

/** Say in the words ahead of a row which of its words are worth a look. */
void summarize(const struct policy_program *p, uint64_t *row);
/** Put a row behind the others; there is room. @return its number. */
uint32_t row_append(
	const struct policy_program *p, struct program_rows *rows, const uint64_t *words);
void rows_grow(const struct policy_program *p, struct program_rows *rows, uint32_t room);
/** The row with these words: an old one, or a new one. */
uint32_t row_intern(struct row_set *set, const uint64_t *words);

/* compile_ports.c */

/** Protocols, ports and families of the rules. */
void compile_protocols(struct policy_program *p);

#endif
