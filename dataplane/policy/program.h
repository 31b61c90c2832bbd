/* SPDX-License-Identifier: Apache-2.0 */
/** Compiled policy: what policy_judge() reads. Private to dataplane/policy/.
 *
 * A program is the ordered rules of one direction of one identity, and for every property of a packet a table from classes
 * of values to bitmaps of the rules that the value satisfies. A verdict is the first bit of their conjunction: a few loads
 * for every 64 rules, whatever the rules say (Lakshman and Stiliadis, "High-speed policy-based packet forwarding using
 * efficient multi-dimensional range matching", 1998). Long bitmaps have a summary, a bit a word, so that most words are
 * not looked at (Baboescu and Varghese, "Scalable packet classification", 2001).
 *
 * Readers: workers, through tables->policy. Immutable, but for entries of identity_class and leaf_class, and rows behind
 * them, whose ids no published address map has yet: the control thread fills those in place.
 */
#ifndef DATAPLANE_POLICY_PROGRAM_H
#define DATAPLANE_POLICY_PROGRAM_H

#include "dataplane/policy/policy.h"

#include <stdatomic.h>

struct fib;

#define PROGRAM_SUMMARY_WORDS 16 /* more words of rules than this have a summary */

struct program_rule {
	uint32_t id;	   /* of policy_rule_describe */
	uint32_t next;	   /* pass: first rule of the next tier; n_rules = none */
	uint8_t action;	   /* enum rule_action */
	uint8_t on_change; /* enum policy_on_change */
	bool stateless;
};

/** Bitmaps, one a class: `words` words, behind `summary` words of summary. */
struct program_rows {
	uint64_t *rows;
	uint32_t count, room;
};

/** Ports, or ICMP type and code, of one protocol: value v belongs to the last range that begins at or below it. */
struct program_ports {
	uint16_t *begins; /* sorted, the first is 0 */
	uint32_t *rows;	  /* of each range: row of program_port_rows */
	uint32_t count;
};

struct policy_program {
	uint32_t n_rules, words, summary, stride;
	struct program_rule *rules;
	/* Peer: the end that is not this pod. */
	uint32_t *identity_class; /* by identity, [identity_room] */
	uint32_t identity_room;
	struct program_rows identity_rows;
	bool has_peer_leaf, has_self_leaf, has_family, has_sports;
	uint32_t *leaf_class; /* by leaf, [leaf_room]; NULL when no rule looks at addresses */
	uint32_t leaf_room;
	struct program_rows leaf_rows; /* of the peer's address, by class */
	struct program_rows self_rows; /* has_self_leaf: of this end's address, by the same class */
	uint64_t *family[2];	       /* IPv4, IPv6 */
	uint8_t protocol[256];	       /* index into dports and sports */
	struct program_ports *dports, *sports;
	uint32_t n_protocols;
	struct program_rows port_rows;
	struct program_control
		*control; /* control thread: what it takes to add an identity or a leaf */
	struct policy_program *
		staged; /* the same with staged policies as if they decided; NULL = there are none */
};

struct policy_table {
	struct fib *identities[2]; /* IPv4, IPv6: address to identity */
	struct fib *leaves[2];	   /* address to leaf */
	struct rule_hits *hits;
	const struct policy_state *state; /* control thread: for texts */
	uint32_t n_ports;
	struct {
		const struct policy_program *egress, *ingress;
	} ports[]; /* by port id */
};

/** Counters of rules, a page at a time; a page is there before its rules are published. */
#define HITS_PAGE  1024
#define HITS_PAGES 16384
struct rule_hits {
	unsigned n_workers;
	_Atomic(_Atomic uint64_t *) *pages; /* [n_workers][HITS_PAGES] */
};

static inline uint64_t *rows_at(
	const struct policy_program *p, const struct program_rows *rows, uint32_t class)
{
	return rows->rows + (size_t) class * p->stride;
}

void program_free(void *program);

#endif
