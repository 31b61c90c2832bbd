/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plain_quad_check.h"

#if defined(__AVX512BW__)
#include "dataplane/tunnel_quad.h"

static void store(__m512i key, __m128i len, struct pkt *p, uint16_t *ip_len)
{
	struct flow_key4 keys[4];

	plain_quad_store(key, len, keys, ip_len);
	for (unsigned i = 0; i < 4; i++)
		p[i].key4 = keys[i];
}

static bool plain(uint64_t l2, uint32_t zone, uint8_t *const frame[4], const uint16_t *frame_len,
	struct pkt *p, uint16_t *ip_len)
{
	const struct plain_quad q = plain_quad_for(true, l2, PLAIN_L2_MASK, zone);
	const struct plain_quad_headers h = plain_quad_headers_load(frame);
	__m512i key;
	__m128i len;

	if (!plain_quad_parse4(&q, &h, plain_quad_low(frame_len), &key, &len))
		return false;
	store(key, len, p, ip_len);
	return true;
}

static uint16_t tunnel(struct tunnel_memos *memos, const struct tunnel_table *table,
	uint8_t *const frame[4], const uint16_t *frame_len, struct pkt *p, uint16_t *ip_len,
	uint8_t *ip[4])
{
	const struct tunnel_quads quads = tunnel_quads_for();
	__m512i key;
	__m128i len;
	uint16_t strip = tunnel_quad_parse(&quads, memos, table, frame, frame_len, &key, &len, ip);

	if (strip != 0)
		store(key, len, p, ip_len);
	return strip;
}
#else
#define plain  NULL
#define tunnel NULL
#endif

bool (*const plain_quad_check)(
	uint64_t, uint32_t, uint8_t *const *, const uint16_t *, struct pkt *, uint16_t *) = plain;
uint16_t (*const tunnel_quad_check)(struct tunnel_memos *, const struct tunnel_table *,
	uint8_t *const *, const uint16_t *, struct pkt *, uint16_t *, uint8_t **) = tunnel;
