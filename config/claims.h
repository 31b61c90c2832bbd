/* SPDX-License-Identifier: Apache-2.0 */
/** The secondary indexes of a model: what its objects claim for themselves (addresses, prefixes, sockets, interfaces) and
 * which objects its routes and policies name. changeset_validate adds the edits to them, looks for conflicts, and takes the edits out
 * again, so that a check costs what the edits cost. They tolerate any set of objects, also a contradictory one.
 * Control thread only; private to config/.
 */
#ifndef CONFIG_CLAIMS_H
#define CONFIG_CLAIMS_H

#include "config/name_index.h"
#include "config/prefix_map.h"

#define CLAIM_KEY_MAX 320

/* Text keys, each with owners or with a count. */
struct key_table {
	struct name_index index;
	struct key_entry {
		char *key;		    /* NULL = free */
		const struct object *owner; /* NULL: counted */
		uint32_t count;
		uint32_t next_free;
	} * entries;
	uint32_t used, room, free;
};

struct claims {
	struct prefix_map map;
	struct key_table keys;
	uint32_t uplink_addresses
		[2]; /* IPv4, IPv6; without link-local ones; one each for a kernel_uplinks one */
	uint32_t kernel_uplinks;  /* their addresses are the kernel's: any may be there */
	uint32_t local_addresses; /* all of the uplinks */
	uint32_t pods_without_address;
	uint32_t peers[4]; /* by the families of their underlay: bit 0 IPv4, bit 1 IPv6 */
	struct {
		uint32_t port, count;
	} * vxlan_ports; /* besides 4789 and 8472 */
	uint32_t n_vxlan_ports;
};

void claims_add(struct claims *claims, const struct object *obj);
void claims_remove(struct claims *claims, const struct object *obj);
void claims_free(struct claims *claims);

/** The families of a peer's underlay, as an index of claims.peers. */
unsigned peer_families(const struct peer *peer);
/** Another object that claims one of the things (sockets, interfaces, devices) that obj does, or NULL. */
const struct object *claims_rival(const struct claims *claims, const struct object *obj);
/** How many next hops of routes, or policies and rules of them, name an object. */
uint32_t claims_references(const struct claims *claims, enum object_type type, const char *name);

#endif
