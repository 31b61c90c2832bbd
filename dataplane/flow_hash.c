/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/flow_hash.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* The rest of the program is built for processors that may have none. */
#define WITH_AES __attribute__((target("aes")))

/* Rounds are few, because nobody sees what comes out, but enough for every byte of the key to reach every byte of the
 * result (two), and once more. */

WITH_AES static inline uint64_t aes4(const __m128i *s, const struct flow_key4 *key)
{
	__m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)key), _mm_loadu_si128(s));

	x = _mm_aesenc_si128(x, _mm_loadu_si128(s + 1));
	x = _mm_aesenc_si128(x, _mm_loadu_si128(s + 2));
	x = _mm_aesenc_si128(x, _mm_loadu_si128(s + 3));
	return (uint64_t)_mm_cvtsi128_si64(x);
}

WITH_AES static inline uint64_t aes6(const __m128i *s, const struct flow_key6 *key)
{
	const __m128i *k = (const __m128i *)key;
	__m128i x = _mm_xor_si128(_mm_loadu_si128(k), _mm_loadu_si128(s));

	x = _mm_xor_si128(_mm_aesenc_si128(x, _mm_loadu_si128(s + 1)), _mm_loadu_si128(k + 1));
	x = _mm_xor_si128(_mm_aesenc_si128(x, _mm_loadu_si128(s + 2)), _mm_loadl_epi64(k + 2));
	x = _mm_aesenc_si128(x, _mm_loadu_si128(s + 3));
	x = _mm_aesenc_si128(x, _mm_loadu_si128(s));
	x = _mm_aesenc_si128(x, _mm_loadu_si128(s + 1));
	return (uint64_t)_mm_cvtsi128_si64(x);
}

bool flow_hash_has_aes(void)
{
	return __builtin_cpu_supports("aes");
}

WITH_AES uint64_t flow_hash4_aes(const struct flow_secret *secret, const struct flow_key4 *key)
{
	return aes4((const __m128i *)secret->word, key);
}

WITH_AES uint64_t flow_hash6_aes(const struct flow_secret *secret, const struct flow_key6 *key)
{
	return aes6((const __m128i *)secret->word, key);
}

WITH_AES void flow_hash4_aes_list(const struct flow_secret *secret, const struct flow_key4 *keys,
	uint64_t *hashes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		hashes[i] = aes4((const __m128i *)secret->word, &keys[i]);
}

WITH_AES void flow_hash6_aes_list(const struct flow_secret *secret, const struct flow_key6 *keys,
	uint64_t *hashes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		hashes[i] = aes6((const __m128i *)secret->word, &keys[i]);
}

#else

bool flow_hash_has_aes(void)
{
	return false;
}

/* Tables are never told to use these. */
uint64_t flow_hash4_aes(const struct flow_secret *secret, const struct flow_key4 *key)
{
	return flow_hash4_fold(secret, key);
}
uint64_t flow_hash6_aes(const struct flow_secret *secret, const struct flow_key6 *key)
{
	return flow_hash6_fold(secret, key);
}
void flow_hash4_aes_list(const struct flow_secret *secret, const struct flow_key4 *keys,
	uint64_t *hashes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		hashes[i] = flow_hash4_fold(secret, &keys[i]);
}
void flow_hash6_aes_list(const struct flow_secret *secret, const struct flow_key6 *keys,
	uint64_t *hashes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		hashes[i] = flow_hash6_fold(secret, &keys[i]);
}

#endif
