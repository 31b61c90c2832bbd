/* SPDX-License-Identifier: Apache-2.0 */
/** Longest-prefix match for IPv4 and IPv6: a persistent multibit trie. A version is immutable once
 * published; an edit copies only the path it touches, so one commit of any number of routes is one
 * pointer store, a rollback is dropping the new version, and the old version is freed through RCU
 * node by node. Edits within one unpublished version happen in place on nodes that version owns.
 *
 * Writer: control; every function that isn't a lookup. Readers: any registered reader, through
 * the published pointer. Memory: a version is released by exactly one of fib_free_version,
 * fib_abort, fib_free. Versions form a chain and are released oldest first (rcu_retire keeps
 * that order); several may wait for their grace periods at once.
 */
#ifndef DATAPLANE_FIB_H
#define DATAPLANE_FIB_H

#include "config/address.h"

#include <stddef.h>
#include <stdint.h>

#define FIB_NONE 0u /* value of "no route" */

/** One version of one family's table. Values are non-zero 32-bit words whose meaning is the
 * caller's. */
struct fib;

/** An empty table, open for edits. family is IP_V4 or IP_V6. @return NULL when memory is out. */
struct fib *fib_new(uint8_t family);
/** A new unpublished version that starts equal to base, which is sealed by this. At most one
 * unpublished child of a version at a time. @return NULL when memory is out. */
struct fib *fib_edit(struct fib *base);
/** Set or clear (value FIB_NONE) a prefix in an unpublished version; host bits are ignored.
 * @return the value it had (exact match; FIB_NONE = none) through *old (may be NULL), and 0, or
 * with the version unchanged -ENOMEM, or -EINVAL for a prefix of another family, a length out of
 * range or a sealed version. */
int fib_set(struct fib *fib, const struct ip_prefix *prefix, uint32_t value, uint32_t *old);
/** Exact match; FIB_NONE when there is no such prefix. */
uint32_t fib_get(const struct fib *fib, const struct ip_prefix *prefix);
/** Close a version for edits. The caller then publishes the pointer and retires base with
 * rcu_retire(base, fib_free_version): that frees the base and just the nodes this version
 * replaced. */
void fib_seal(struct fib *fib);
/** Drop an unpublished version, sealed or not (rollback): frees just the nodes it created; base
 * stays valid. */
void fib_abort(struct fib *fib);
/** Release function for a replaced version, after its grace period. Signature fits rcu_retire. */
void fib_free_version(void *base);
/** Free the newest version (shutdown, tests). The table's memory goes with the last of its
 * versions: those already retired are still theirs to release. */
void fib_free(struct fib *fib);

/** Longest match; addr is 4 or 16 bytes in network order. Bounded time, no locks. */
uint32_t fib_lookup(const struct fib *fib, const uint8_t *addr);
/** n lookups (any number) with the memory latency overlapped. */
void fib_lookup_bulk(
	const struct fib *fib, const uint8_t *const *addrs, uint32_t *values, unsigned n);
/** As fib_lookup, and the prefix that matched (len 0 with FIB_NONE when none). */
uint32_t fib_lookup_prefix(const struct fib *fib, const uint8_t *addr, struct ip_prefix *matched);

size_t fib_count(const struct fib *fib);  /* prefixes */
size_t fib_memory(const struct fib *fib); /* bytes of this version and of its nodes */
/** Bytes of all versions of this table that are not freed yet; equals fib_memory when this is the
 * only one. Control. */
size_t fib_memory_held(const struct fib *fib);
/** Every prefix, in the order of addresses, shorter before longer. Stops when visit returns
 * non-zero. @return what the last visit returned, 0 for an empty table. */
int fib_each(const struct fib *fib,
	int (*visit)(const struct ip_prefix *prefix, uint32_t value, void *arg), void *arg);

#endif
