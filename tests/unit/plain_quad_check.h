/* SPDX-License-Identifier: Apache-2.0 */
/** Quads of plain packets for test_plain.c, which itself is compiled for any CPU. */
#ifndef TESTS_UNIT_PLAIN_QUAD_CHECK_H
#define TESTS_UNIT_PLAIN_QUAD_CHECK_H

#include "dataplane/packet.h"

/** plain_quad_parse4, for CPUs that plain_quad_supported(); NULL when the compiler's target has no such thing. */
extern bool (*const plain_quad_check)(uint64_t l2, uint32_t zone, uint8_t *const frame[4], const uint16_t *frame_len,
	struct pkt *p, uint16_t *ip_len);

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
