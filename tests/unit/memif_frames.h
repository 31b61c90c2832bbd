/* SPDX-License-Identifier: Apache-2.0 */
/** mbufs with known bytes, for tests of memif ports. */
#ifndef TESTS_UNIT_MEMIF_FRAMES_H
#define TESTS_UNIT_MEMIF_FRAMES_H

#include "tests/unit/memif_client.h"

/* The mbuf chain holds the pattern of seed, and its lengths agree with each other. */
static inline bool mbuf_is(const struct rte_mbuf *m, uint32_t length, uint32_t seed)
{
	static uint8_t want[65536], buf[65536];
	uint32_t sum = 0, segments = 0;
	const void *got;

	for (const struct rte_mbuf *s = m; s != NULL; s = s->next) {
		sum += s->data_len;
		segments++;
	}
	if (m->pkt_len != length || sum != length || segments != m->nb_segs)
		return false;
	pattern(want, length, seed);
	got = rte_pktmbuf_read(m, 0, length, buf);
	return got != NULL && memcmp(got, want, length) == 0;
}

/* Bytes in segments of at most part. */
static inline struct rte_mbuf *mbuf_of(const uint8_t *bytes, uint32_t length, uint16_t part)
{
	struct rte_mbuf *first = rte_pktmbuf_alloc(client_pool), *last = first;

	for (uint32_t done = 0; done < length;) {
		uint16_t n = (uint16_t)RTE_MIN(part, length - done);

		if (done > 0) {
			last = last->next = rte_pktmbuf_alloc(client_pool);
			first->nb_segs++;
		}
		memcpy(rte_pktmbuf_mtod(last, void *), bytes + done, n);
		last->data_len = n;
		first->pkt_len += n;
		done += n;
	}
	return first;
}

/* A packet of a pattern, in segments of at most part bytes. */
static inline struct rte_mbuf *mbuf_make(uint32_t length, uint32_t seed, uint16_t part)
{
	static uint8_t bytes[65536];

	pattern(bytes, length, seed);
	return mbuf_of(bytes, length, part);
}

#endif
