/* SPDX-License-Identifier: Apache-2.0 */
/** Who claims which prefix. Several sources may claim one; the most trusted wins and lives in the FIB. A prefix that
 * only route objects claim has no entry here, so that a million of them cost what the FIB costs.
 *
 * Edits collect in an unpublished version of both families' FIBs until they are published or aborted together. Control
 * thread only. Values are those of struct tables: an adjacency index, or PATHS_FLAG | path group. The RIB holds no
 * references to what they name.
 */
#ifndef DATAPLANE_RIB_H
#define DATAPLANE_RIB_H

#include "config/address.h"
#include "dataplane/fib.h"

#include <stdbool.h>

/* Best first. */
enum rib_source {
	RIB_LOCAL, /* this node's own addresses: uplinks, gateway, host port, subnet broadcasts */
	RIB_POD,
	RIB_NEIGHBOUR, /* hosts found on connected subnets */
	RIB_ROUTE,     /* route objects */
	RIB_PEER,      /* pod_cidrs of peers */
	RIB_CONNECTED, /* subnets of uplinks */
	RIB_POOL,      /* the node's own pools: what no pod has is unreachable */
	RIB_SOURCES
};
/** "local", "pod", ... */
const char *rib_source_name(enum rib_source source);

/** @return 0 or -ENOMEM. */
int rib_init(void);
/** Frees the published versions too: workers have stopped. */
void rib_fini(void);

/** Claim a prefix (canonical), or give it up (FIB_NONE). `old` (may be NULL) receives what this source had there.
 * @return 0, or -ENOMEM with nothing changed. */
int rib_set(const struct ip_prefix *prefix, enum rib_source source, uint32_t value, uint32_t *old);
/** Give a claim up if it still is `value`: another object of the same source may have taken it over. */
int rib_clear(const struct ip_prefix *prefix, enum rib_source source, uint32_t value);
/** What a source claims, edits included. */
uint32_t rib_get(const struct ip_prefix *prefix, enum rib_source source);
/** The source whose value a prefix in the FIB has, edits included. */
enum rib_source rib_winner(const struct ip_prefix *prefix);
/** Longest match, edits included. */
uint32_t rib_lookup(const struct ip_addr *addr);

/** Something is to be published or aborted. */
bool rib_edited(void);
/** Close the edits: the versions to publish (the same as before where nothing changed). */
void rib_seal(struct fib **fib4, struct fib **fib6);
/** They are published: retire those they replace and bump the generations of every prefix that changed. generation_commit
 * is the caller's. */
void rib_published(void);
/** Forget all edits since the last publication. */
void rib_abort(void);

#endif
