/* SPDX-License-Identifier: Apache-2.0 */
/** Four plain tunnel packets at once, IPv4 in VXLAN or IP-in-IP over IPv4: what tunnel_memo_decap (tunnel_memo.h) does to
 * one. Worker threads. See plain_quad.h for the layout; only burst.c with AVX-512 includes it.
 */
#ifndef DATAPLANE_TUNNEL_QUAD_H
#define DATAPLANE_TUNNEL_QUAD_H

#if defined(__AVX512BW__)

#include "dataplane/plain_quad.h"
#include "dataplane/tunnel_memo.h"

/** What does not change in a burst. */
struct tunnel_quads {
	struct plain_quad vxlan, ipip; /* for the inner packets */
};

static __rte_always_inline struct tunnel_quads tunnel_quads_for(void)
{
	/* Inner MAC addresses are in the memo. */
	return (struct tunnel_quads){ plain_quad_for(true, 0, 0, ZONE_TUNNEL),
		plain_quad_for(false, 0, 0, ZONE_TUNNEL) };
}

/** A word of each lane's key is one of the ports. */
static __rte_always_inline bool tunnel_quad_nested(const struct tunnel_table *table, __m512i key)
{
	__mmask32 found = 0;

	for (unsigned i = 0; i < table->n_vxlan_ports; i++)
		found |= _mm512_cmpeq_epi16_mask(
			key, _mm512_set1_epi16((short)rte_cpu_to_be_16(table->vxlan_ports[i])));
	return (found & 0x20202020u) != 0; /* the destination port is word 5 */
}

/** @return bytes before the inner Ethernet (or IP) header, 0 when not all four are plain packets of one shape; then *key
 * and *ip_len are the inner packets', ip[] their headers. Touches no packet. */
static __rte_always_inline uint16_t tunnel_quad_parse(const struct tunnel_quads *quads,
	struct tunnel_memos *memos, const struct tunnel_table *table, uint8_t *const frame[4],
	const uint16_t *frame_len, __m512i *key, __m128i *ip_len, uint8_t *ip[4])
{
	const struct plain_quad_constants *k = quads->vxlan.k;
	const __m128i lens = plain_quad_low(frame_len);
	const struct tunnel_memo *first;
	struct plain_quad_headers outer, inner;
	__m512i odd = _mm512_setzero_si512(), tos;
	__m128i len, bad;
	uint8_t *inner_frame[4];
	uint8_t shapes = 0, versions = 0;
	bool vxlan, plain;

	if (unlikely(_mm_cvtsi128_si64(_mm_subs_epu16(_mm_set1_epi16(TUNNEL_MEMO_V4), lens)) != 0))
		return 0;
	first = tunnel_memo_of(memos, frame[0]);
	/* IPv6 inside is parsed one by one. */
	if (first->inner_version == 6 || (first->shape == TUNNEL_VXLAN4 && frame[0][62] == 0x86))
		return 0;
	for (unsigned i = 0; i < 4; i++) {
		const struct tunnel_memo *memo = tunnel_memo_of(memos, frame[i]);

		odd = _mm512_or_si512(odd, _mm512_ternarylogic_epi64(_mm512_loadu_si512(frame[i]),
						   _mm512_load_si512(memo->want),
						   _mm512_load_si512(memo->mask), 0x28));
		shapes |= (uint8_t)(1u << memo->shape);
		versions |= memo->inner_version;
	}
	vxlan = shapes == 1 << TUNNEL_VXLAN4;
	/* 4, or 6 as soon as one of them is. */
	if (!vxlan && (shapes != 1 << TUNNEL_IPIP4 || versions != 4))
		return 0;
	for (unsigned i = 0; i < 4; i++)
		inner_frame[i] = frame[i] + (vxlan ? 50 : 20);
	outer = plain_quad_headers_load(frame);
	odd = _mm512_or_si512(odd, plain_quad_sums(k, &outer));
	len = plain_quad_tunnel_words(k, &outer, lens, vxlan, &bad);
	inner = plain_quad_headers_load(inner_frame);
	/* Of what the outer header says is there. */
	len = _mm_subs_epu16(len, _mm_set1_epi16(vxlan ? 36 : 6));
	plain = plain_quad_parse4(vxlan ? &quads->vxlan : &quads->ipip, &inner, len, key, ip_len);
	/* RFC 6040 section 4.2: nothing changes when the outer field says nothing, or the same. Byte 15 of each lane. */
	tos = _mm512_xor_si512(outer.a, inner.a);
	if (unlikely(!plain || _mm512_test_epi64_mask(odd, odd) != 0 ||
		     _mm_cvtsi128_si64(bad) != 0 ||
		     (_mm512_test_epi8_mask(outer.a, plain_quad_all(k->ecn)) &
			     _mm512_test_epi8_mask(tos, plain_quad_all(k->ecn))) != 0 ||
		     tunnel_quad_nested(table, *key)))
		return 0;
	for (unsigned i = 0; i < 4; i++)
		ip[i] = inner_frame[i] + RTE_ETHER_HDR_LEN;
	return vxlan ? 50 : 34;
}

#endif
#endif
