/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plain_quad_check.h"

#if defined(__AVX512BW__)
#include "dataplane/plain_quad.h"

static bool check(uint64_t l2, uint32_t zone, uint8_t *const frame[4], const uint16_t *frame_len, struct pkt *p,
	uint16_t *ip_len)
{
	const struct plain_quad q = plain_quad_for(true, l2, PLAIN_L2_MASK, zone);
	const struct plain_quad_headers h = plain_quad_headers_load(frame);
	__m512i key;
	__m128i len;

	if (!plain_quad_parse4(&q, &h, plain_quad_low(frame_len), &key, &len))
		return false;
	plain_quad_store(key, len, p, ip_len);
	return true;
}

bool (*const plain_quad_check)(uint64_t, uint32_t, uint8_t *const *, const uint16_t *, struct pkt *, uint16_t *) = check;
#else
bool (*const plain_quad_check)(uint64_t, uint32_t, uint8_t *const *, const uint16_t *, struct pkt *, uint16_t *) = NULL;
#endif
