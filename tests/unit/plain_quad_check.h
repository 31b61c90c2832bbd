/* SPDX-License-Identifier: Apache-2.0 */
/** Quads of packets (dataplane/plain_quad.h, tunnel_quad.h) for tests that are themselves compiled for any CPU. */
#ifndef TESTS_UNIT_PLAIN_QUAD_CHECK_H
#define TESTS_UNIT_PLAIN_QUAD_CHECK_H

#include "dataplane/tunnel_memo.h"

/** plain_quad_parse4, for CPUs that plain_quad_supported(); NULL when the compiler's target has no such thing. */
extern bool (*const plain_quad_check)(uint64_t l2, uint32_t zone, uint8_t *const frame[4],
	const uint16_t *frame_len, struct pkt *p, uint16_t *ip_len);

/** tunnel_quad_parse, likewise. */
extern uint16_t (*const tunnel_quad_check)(struct tunnel_memos *memos,
	const struct tunnel_table *table, uint8_t *const frame[4], const uint16_t *frame_len,
	struct pkt *p, uint16_t *ip_len, uint8_t *ip[4]);

static inline bool plain_quad_supported(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
	return false;
#endif
}

#endif
