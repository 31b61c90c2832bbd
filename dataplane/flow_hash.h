/* SPDX-License-Identifier: Apache-2.0 */
/** The keyed hash of flow keys. Pure; any thread.
 *
 * One of two kinds, chosen for a table when it is made: rounds of AES with secret round keys, where the processor has
 * them (flow_hash.c), else folded 64x64->128 multiplications of the key mixed with random words. In both every bit of the
 * result depends on every bit of the key, so callers may use any part of it, and none can be foretold without the secret, so
 * tuples cannot be chosen to collide.
 */
#ifndef DATAPLANE_FLOW_HASH_H
#define DATAPLANE_FLOW_HASH_H

#include "dataplane/packet.h"

#include <string.h>

struct flow_table;

/** Begins a table. As AES keys: four of two words. */
struct flow_secret {
	uint64_t word[8];
	bool aes; /* which kind */
};

/** Does this processor have AES rounds? */
bool flow_hash_has_aes(void);

/* flow_hash.c; only where flow_hash_has_aes(). */
uint64_t flow_hash4_aes(const struct flow_secret *secret, const struct flow_key4 *key);
uint64_t flow_hash6_aes(const struct flow_secret *secret, const struct flow_key6 *key);
/** n keys side by side. */
void flow_hash4_aes_list(const struct flow_secret *secret, const struct flow_key4 *keys,
	uint64_t *hashes, uint32_t n);
void flow_hash6_aes_list(const struct flow_secret *secret, const struct flow_key6 *keys,
	uint64_t *hashes, uint32_t n);

static inline uint64_t flow_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t flow_hash4_fold(
	const struct flow_secret *secret, const struct flow_key4 *key)
{
	const uint64_t *s = secret->word;
	uint64_t k[2];

	memcpy(k, key, sizeof(k));
	return flow_fold(flow_fold(k[0] ^ s[0], k[1] ^ s[1]) ^ s[2], s[3]);
}
static inline uint64_t flow_hash6_fold(
	const struct flow_secret *secret, const struct flow_key6 *key)
{
	const uint64_t *s = secret->word;
	uint64_t k[5], x;

	memcpy(k, key, sizeof(k));
	x = flow_fold(k[0] ^ s[0], k[1] ^ s[1]) ^ flow_fold(k[2] ^ s[4], k[3] ^ s[5]);
	return flow_fold(flow_fold(x ^ s[2], k[4] ^ s[6]) ^ s[7], s[3]);
}

/** The hash of a key in a table. */
static inline uint64_t flow_hash4(const struct flow_table *table, const struct flow_key4 *key)
{
	const struct flow_secret *secret =
		(const struct flow_secret *)table; /* a table starts with its secret */

	return likely(secret->aes) ? flow_hash4_aes(secret, key) : flow_hash4_fold(secret, key);
}
static inline uint64_t flow_hash6(const struct flow_table *table, const struct flow_key6 *key)
{
	const struct flow_secret *secret = (const struct flow_secret *)table;

	return likely(secret->aes) ? flow_hash6_aes(secret, key) : flow_hash6_fold(secret, key);
}

#endif
