/* SPDX-License-Identifier: Apache-2.0 */
/** The rules of one direction of a local, in order and one by one: tiers, defaults, named ports and sets found by labels
 * written out, so that each is a plain conjunction. A rule of a policy may become several with its number. Private to
 * dataplane/policy/. Control thread.
 */
#ifndef DATAPLANE_POLICY_FLATTEN_H
#define DATAPLANE_POLICY_FLATTEN_H

#include "dataplane/policy/state.h"

struct port_range {
	uint16_t first, last;
};
struct ranges {
	struct port_range *items; /* ascending, apart */
	uint32_t count;
};

/** What of addresses a rule asks at one end. */
struct address_terms {
	const struct prefix_list *cidrs, *not_cidrs; /* NULL = nothing asked */
	const struct string_list *sets;
	const struct matcher *member,
		*not_member; /* of a set found by labels: must be, must not be in one */
};

struct flat_rule {
	struct program_rule rule;
	uint8_t protocol, not_protocol;	   /* 0 = nothing asked */
	uint8_t ip_version;		   /* enum rule_ip_version */
	struct ranges dports, sports;	   /* items NULL = all; ICMP: type << 8 | code in dports */
	const struct matcher *is, *is_not; /* of the peer's identity */
	const struct bits *only,
		*except; /* identities, because of named ports; NULL = nothing asked */
	struct address_terms peer, self;
};

struct flat_rules {
	struct flat_rule *items;
	uint32_t count, room;
	struct bits **groups; /* owned, of only and except */
	uint32_t n_groups;
	char **names; /* of ports, that peers may have */
	uint32_t n_names;
};

/** `staged`: as if staged policies decided. */
void flatten(struct policy_state *s, const struct local *local, enum direction direction,
	bool staged, struct flat_rules *out);
void flat_rules_free(struct flat_rules *rules);

#endif
