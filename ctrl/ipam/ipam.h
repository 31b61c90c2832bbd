/* SPDX-License-Identifier: Apache-2.0 */
/** Addresses for pods that bring none: one from a pool of each family. Control thread only.
 *
 * The leases are the committed pod objects; this keeps their addresses in a hash and, for each
 * pool, a cursor: the search starts after the address given out last, so that a freed address
 * rests as long as the pool allows. Never given out: the network address and the first address
 * (the host's) of a pool, an IPv4 pool's broadcast address, and addresses of the node itself.
 */
#ifndef CTRL_IPAM_IPAM_H
#define CTRL_IPAM_IPAM_H

#include "config/model.h"

struct ipam;
struct ipam *ipam_new(void);
void ipam_free(struct ipam *ipam);

/** A commit happened: forget addresses of pods that went, remember those of pods that came. */
void ipam_committed(struct ipam *ipam, const struct change *changes, size_t count);

/** Give addresses to the pods of a set that have none: the ones the pod had before, else from the
 * pools as they are after the set. Nothing is remembered until ipam_committed, so that dry runs use
 * nothing up. @return 0; -ENOSPC when the pools of a family are full; -EINVAL when there is no pool
 * at all; -ENOMEM. */
int ipam_assign(
	struct ipam *ipam, const struct model *model, struct changeset *set, struct error *err);

/** The same pod with other addresses: a new object with one reference. */
int pod_with_addresses(const struct object *pod, const struct ip_addr *items, size_t count,
	struct object **out, struct error *err);

/** For people: addresses in use inside a prefix, and how many it can give out (saturating at
 * UINT32_MAX). */
struct ipam_usage {
	uint32_t used;
	uint32_t size;
};
void ipam_usage(const struct ipam *ipam, const struct ip_prefix *pool, struct ipam_usage *usage);

#endif
