/* SPDX-License-Identifier: Apache-2.0 */
/** Four plain IPv4 packets at once, with AVX-512 F, BW, DQ and VL: what plain_parse4 (plain.h) does to one. Worker threads.
 * Only burst.c of that instruction set includes it.
 *
 * Every packet is given by the address of its Ethernet header, of which the first 48 bytes lie in three vectors a lane:
 *
 *   a  0..15   destination and source MAC, ethertype, version and length, TOS
 *   b 16..31   total length, identification, fragment, TTL, protocol, checksum, source, half of the destination
 *   c 32..47   the other half, ports, UDP length | TCP data offset and flags
 */
#ifndef DATAPLANE_PLAIN_QUAD_H
#define DATAPLANE_PLAIN_QUAD_H

#if defined(__AVX512BW__)

#include "dataplane/plain.h"

#include <immintrin.h>

/* Constants come from memory: as immediates each costs a move and a broadcast a use, on the port that shuffles need. */
struct plain_quad_constants {
	uint16_t frag[8];  /* b: neither MF nor an offset */
	uint16_t proto[8]; /* b: shuffle the protocol to the last word of a key */
	uint16_t ones[8], sign[8], sign_ends[8];
	uint32_t bias[4], low[4];
	uint16_t pick
		[16]; /* words of b and c looked at one by one: length; UDP length; TTL and protocol; TCP offset and flags */
	uint8_t swap[32]; /* the first two into host order */
	uint16_t ecn[8];  /* a: of the TOS */
	uint16_t ether[4], ip[4], ttl_mask[4], ttl_min[4], udp[4], tcp[4], udp_min[4], tcp_min[4],
		offset[4], control[4];
} __rte_aligned(64);

static const struct plain_quad_constants plain_quad_constants = {
	.frag = { 0, 0, 0xff3f },
	.proto = { 0x8080, 0x8080, 0x8080, 0x8080, 0x8080, 0x8080, 0x8007, 0x8080 },
	.ones = { 1, 1, 1, 1, 1, 1, 1, 1 },
	.sign = { 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000 },
	.sign_ends = { 0x8000, 0, 0, 0, 0, 0, 0, 0x8000 },
	.bias = { 10 * 0x8000, 10 * 0x8000, 10 * 0x8000, 10 * 0x8000 },
	.low = { 0xffff, 0xffff, 0xffff, 0xffff },
	.pick = { 0, 8, 16, 24, 35, 43, 51, 59, 3, 11, 19, 27, 39, 47, 55, 63 },
	.swap = { 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14, 0, 1, 2, 3, 4, 5, 6, 7, 8,
		9, 10, 11, 12, 13, 14, 15 },
	.ecn = { 0, 0, 0, 0, 0, 0, 0, 0x0300 },
	.ether = { 14, 14, 14, 14 },
	.ip = { 20, 20, 20, 20 },
	.ttl_mask = { 0xff, 0xff, 0xff, 0xff },
	.ttl_min = { 2, 2, 2, 2 },
	.udp = { IPPROTO_UDP, IPPROTO_UDP, IPPROTO_UDP, IPPROTO_UDP },
	.tcp = { IPPROTO_TCP, IPPROTO_TCP, IPPROTO_TCP, IPPROTO_TCP },
	.udp_min = { 8, 8, 8, 8 },
	.tcp_min = { 20, 20, 20, 20 },
	.offset = { 0xf0, 0xf0, 0xf0, 0xf0 },
	.control = { PLAIN_TCP_CONTROL << 8, PLAIN_TCP_CONTROL << 8, PLAIN_TCP_CONTROL << 8,
		PLAIN_TCP_CONTROL << 8 },
};

static_assert(offsetof(struct plain_quad_constants, ecn) % 16 == 0, "lanes are loaded aligned");

/** What does not change in a burst. */
struct plain_quad {
	const struct plain_quad_constants *k;
	__m512i want_a, mask_a; /* our MAC from a unicast source, IPv4 without options */
	__m512i zone;		/* zone << 8 in the last word of each key */
};

/** ether: the 14 bytes before the IP header are an Ethernet header; l2 and l2_mask as in plain.h. */
static __rte_always_inline struct plain_quad plain_quad_for(
	bool ether, uint64_t l2, uint64_t l2_mask, uint32_t zone)
{
	const uint64_t high_mask =
		ether ? UINT64_C(0x00ffffff00000000) : UINT64_C(0x00ff000000000000);
	const __m128i want =
		_mm_set_epi64x((int64_t)(UINT64_C(0x0045000800000000) & high_mask), (int64_t)l2);
	const __m128i mask = _mm_set_epi64x((int64_t)high_mask, (int64_t)l2_mask);
	const struct plain_quad_constants *k = &plain_quad_constants;

	__asm__(""
		: "+r"(k)); /* the compiler must not know them, or it makes immediates of them again */
	return (struct plain_quad){ k, _mm512_broadcast_i32x4(want), _mm512_broadcast_i32x4(mask),
		_mm512_set1_epi32((int)(zone << 8)) };
}

static __rte_always_inline __m512i plain_quad_load(uint8_t *const frame[4], unsigned off)
{
	__m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(frame[0] + off)));

	v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(frame[1] + off)), 1);
	v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(frame[2] + off)), 2);
	return _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(frame[3] + off)), 3);
}

struct plain_quad_headers {
	__m512i a, b, c;
};
static __rte_always_inline struct plain_quad_headers plain_quad_headers_load(
	uint8_t *const frame[4])
{
	return (struct plain_quad_headers){ plain_quad_load(frame, 0), plain_quad_load(frame, 16),
		plain_quad_load(frame, 32) };
}

static __rte_always_inline __m512i plain_quad_all(const void *lane)
{
	return _mm512_broadcast_i32x4(_mm_load_si128(lane));
}
static __rte_always_inline __m128i plain_quad_low(const void *words)
{
	return _mm_loadl_epi64(words);
}

/** RFC 1071 over the four headers: how far the sums are from right. Words are made signed for the multiply-add, which
 * leaves 10 * 0x8000 too little in each sum. */
static __rte_always_inline __m512i plain_quad_sums(
	const struct plain_quad_constants *k, const struct plain_quad_headers *h)
{
	const __m512i ones = plain_quad_all(k->ones), low = plain_quad_all(k->low);
	/* The header's first word ends a, its last begins c. */
	const __m512i ends =
		_mm512_mask_mov_epi16(_mm512_maskz_mov_epi16(0x80808080u, h->a), 0x01010101u, h->c);
	__m512i sum = _mm512_add_epi32(
		_mm512_madd_epi16(_mm512_xor_si512(h->b, plain_quad_all(k->sign)), ones),
		_mm512_madd_epi16(_mm512_xor_si512(ends, plain_quad_all(k->sign_ends)), ones));

	sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_BADC));
	sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_CDAB));
	sum = _mm512_add_epi32(sum, plain_quad_all(k->bias));
	sum = _mm512_add_epi32(_mm512_srli_epi32(sum, 16), _mm512_and_si512(sum, low));
	return _mm512_xor_si512(sum, low);
}

/** Lengths, TTL, protocol, and what TCP and UDP say of themselves: zero words where all is well. */
static __rte_always_inline __m128i plain_quad_words(const struct plain_quad_constants *k,
	const struct plain_quad_headers *h, __m128i frame_len, __m128i *ip_len)
{
	const __m512i pick = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)k->pick));
	const __m256i words = _mm256_shuffle_epi8(
		_mm512_castsi512_si256(_mm512_permutex2var_epi16(h->b, pick, h->c)),
		_mm256_loadu_si256((const __m256i *)k->swap));
	const __m128i len = _mm256_castsi256_si128(words), hop = _mm256_extracti128_si256(words, 1);
	const __m128i udp_len = _mm_unpackhi_epi64(len, len), tcp = _mm_unpackhi_epi64(hop, hop);
	const __m128i proto = _mm_srli_epi16(hop, 8);
	const __m128i is_udp = _mm_cmpeq_epi16(proto, plain_quad_low(k->udp));
	const __m128i is_tcp = _mm_cmpeq_epi16(proto, plain_quad_low(k->tcp));
	const __m128i tcp_len = _mm_srli_epi16(_mm_and_si128(tcp, plain_quad_low(k->offset)), 2);
	/* What the L4 header claims, at least, and has: saturating differences are zero where a <= b. */
	const __m128i claim = _mm_ternarylogic_epi64(is_udp, udp_len, tcp_len, 0xca /* ? : */);
	const __m128i least = _mm_ternarylogic_epi64(
		is_udp, plain_quad_low(k->udp_min), plain_quad_low(k->tcp_min), 0xca);
	const __m128i has = _mm_subs_epu16(len, plain_quad_low(k->ip));
	const __m128i avail = _mm_subs_epu16(frame_len, plain_quad_low(k->ether));
	__m128i bad = _mm_ternarylogic_epi64(_mm_subs_epu16(claim, has),
		_mm_subs_epu16(least, claim), _mm_subs_epu16(len, avail), 0xfe /* or */);

	*ip_len = len;
	bad = _mm_ternarylogic_epi64(bad, is_udp, is_tcp, 0xf1 /* bad | ~(udp | tcp) */);
	bad = _mm_ternarylogic_epi64(bad, is_tcp, _mm_and_si128(tcp, plain_quad_low(k->control)),
		0xf8 /* bad | (tcp & control) */);
	return _mm_or_si128(bad, _mm_subs_epu16(plain_quad_low(k->ttl_min),
					 _mm_and_si128(hop, plain_quad_low(k->ttl_mask))));
}

/** The lengths of four outer headers, and zero words in *bad where they fit the frames and, for VXLAN, the UDP header. */
static __rte_always_inline __m128i plain_quad_tunnel_words(const struct plain_quad_constants *k,
	const struct plain_quad_headers *h, __m128i frame_len, bool udp, __m128i *bad)
{
	const __m512i pick = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)k->pick));
	const __m128i len = _mm_shuffle_epi8(
		_mm512_castsi512_si128(_mm512_permutex2var_epi16(h->b, pick, h->c)),
		_mm_loadu_si128((const __m128i *)k->swap));

	*bad = _mm_subs_epu16(len, _mm_subs_epu16(frame_len, plain_quad_low(k->ether)));
	if (udp)
		*bad = _mm_or_si128(*bad, _mm_xor_si128(_mm_unpackhi_epi64(len, len),
						  _mm_subs_epu16(len, plain_quad_low(k->ip))));
	return len;
}

/** @return whether all four are plain; then *key has their keys, a lane each, and *ip_len their lengths. frame_len: bytes
 * from the Ethernet header (or where it would be) to each frame's end, 16 bits each. Buffers have 48 bytes to read,
 * whatever the frames have. */
static __rte_always_inline bool plain_quad_parse4(const struct plain_quad *q,
	const struct plain_quad_headers *h, __m128i frame_len, __m512i *key, __m128i *ip_len)
{
	const struct plain_quad_constants *k = q->k;
	__m512i odd =
		_mm512_ternarylogic_epi64(h->a, q->want_a, q->mask_a, 0x28 /* (a ^ want) & mask */);
	__m128i bad;

	odd = _mm512_ternarylogic_epi64(
		odd, h->b, plain_quad_all(k->frag), 0xf8 /* odd | (b & frag) */);
	odd = _mm512_or_si512(odd, plain_quad_sums(k, h));
	bad = plain_quad_words(k, h, frame_len, ip_len);
	/* Addresses and ports lie side by side; the protocol comes from b, the zone from the burst. */
	*key = _mm512_mask_or_epi32(_mm512_alignr_epi8(h->c, h->b, 10), 0x8888,
		_mm512_shuffle_epi8(h->b, plain_quad_all(k->proto)), q->zone);
	return likely((_mm512_test_epi64_mask(odd, odd) | (uint64_t)_mm_cvtsi128_si64(bad)) == 0);
}

static __rte_always_inline void plain_quad_store(
	__m512i key, __m128i len, struct flow_key4 keys[4], uint16_t *ip_len)
{
	_mm_storel_epi64((__m128i *)ip_len, len);
	_mm512_storeu_si512(keys, key);
}

#endif
#endif
