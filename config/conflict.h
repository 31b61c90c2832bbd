/* SPDX-License-Identifier: Apache-2.0 */
/** Two objects that claim the same address, or prefixes that overlap: what changeset_validate asks of one object at a
 * time, with the edits among the model's claims. Control thread only; private to config/. Functions that refuse return
 * -EINVAL with err filled.
 */
#ifndef CONFIG_CONFLICT_H
#define CONFIG_CONFLICT_H

#include "config/claims.h"
#include "config/object.h"

struct check {
	const struct changeset *set;
	const struct claims *claims;
	const struct object *obj; /* the one being held against the others */
	const char *field;
	char element[40]; /* room for a field with an index */
	struct error *err;
};

/** "an address of", to go before the owner of a claim. */
const char *claim_text(enum claim_kind kind);
/** "pod web-1" into buf. @return buf. */
const char *owner_text(const struct object *owner, char *buf, size_t size);
/** Is a further down in the same file than b? Then that is where a person looks for the mistake. */
bool comes_later(const struct object *a, const struct object *b);

/** Hold an address that c->obj claims against all other claims of it and around it, and against routes to it. */
int check_address(const struct check *c, const struct ip_addr *addr, enum claim_kind kind);
/** The same for an endpoint, which is elsewhere: what lies around its addresses does not matter. */
int check_endpoint_address(const struct check *c, const struct ip_addr *addr);
/** Hold a pool's or a peer's prefix against those of others and against addresses in it. */
int check_prefix(const struct check *c, const struct ip_prefix *prefix, enum claim_kind kind);
/** Does an address lie in a claim of a kind, by an owner of this name ("" = any)? */
bool covered(const struct claims *claims, const struct ip_addr *addr, enum claim_kind kind,
	const char *owner);

#endif
