/* SPDX-License-Identifier: Apache-2.0 */
/** Frames through vhost rings, for tests: packets whose bytes tell which they are, and chains of every shape. */
#ifndef TESTS_UNIT_VHOST_FRAMES_H
#define TESTS_UNIT_VHOST_FRAMES_H

#include "tests/unit/eal.h"
#include "tests/unit/suite.h"
#include "tests/unit/vhost_driver.h"

static struct rte_mempool *pool, *large;

static inline void setup(void)
{
	if (pool != NULL)
		return;
	eal_start();
	pool = eal_pool("small", 1023, 2048);
	large = eal_pool("large", 127, 16384);
}

static inline void pattern(uint8_t *to, uint32_t n, uint32_t seed)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static inline bool mbuf_is(const struct rte_mbuf *m, uint32_t len, uint32_t seed)
{
	static uint8_t want[65600], buf[65600];
	uint32_t sum = 0, segments = 0;
	const uint8_t *got;

	for (const struct rte_mbuf *s = m; s != NULL; s = s->next, segments++)
		sum += s->data_len;
	if (m->pkt_len != len || sum != len || segments != m->nb_segs)
		return false;
	pattern(want, len, seed);
	got = rte_pktmbuf_read(m, 0, len, buf);
	return got != NULL && memcmp(got, want, len) == 0;
}

static inline struct rte_mbuf *mbuf_make(uint32_t len, uint32_t seed, uint16_t part)
{
	static uint8_t bytes[65600];
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool), *last = m;

	pattern(bytes, len, seed);
	for (uint32_t done = 0; done < len;) {
		uint16_t n = (uint16_t)RTE_MIN(part, len - done);

		if (done > 0) {
			last = last->next = rte_pktmbuf_alloc(pool);
			m->nb_segs++;
		}
		memcpy(rte_pktmbuf_mtod(last, void *), bytes + done, n);
		last->data_len = n;
		m->pkt_len += n;
		done += n;
	}
	return m;
}

enum shape { ONE, TWO, MANY, INDIRECT, SHAPES };

/** The guest sends: header and frame in the shape of its driver. */
static inline void guest_sends(struct driver *d, enum shape shape, const void *hdr,
	const uint8_t *frame, uint32_t len, uint16_t id)
{
	uint32_t cut[8] = { 12 + len }, n = 1, done = 0;
	struct part parts[8];
	static uint8_t bytes[70000];

	memcpy(bytes, hdr, 12);
	memcpy(bytes + 12, frame, len);
	if (shape == TWO) {
		cut[0] = 12;
		cut[n++] = len;
	} else if (shape >= MANY) {
		cut[0] = 5; /* the header in two */
		cut[1] = 20;
		cut[2] = (len - 13) / 2;
		cut[3] = len - 13 - cut[2];
		n = 4;
	}
	for (uint32_t i = 0; i < n; i++) {
		parts[i] = (struct part){ driver_buffer(d, cut[i]), cut[i] };
		memcpy(driver_at(d, parts[i].addr), bytes + done, cut[i]);
		done += cut[i];
	}
	driver_add(d, parts, (uint16_t)n, false, shape == INDIRECT, id);
}

static inline void each_format(void (*run)(struct driver *d), uint8_t guest)
{
	setup();
	for (unsigned format = 0; format < 4; format++) {
		struct driver d;
		unsigned before = rte_mempool_avail_count(pool) + rte_mempool_avail_count(large);

		driver_open(&d, format & 1, format & 2, guest);
		run(&d);
		driver_close(&d);
		CU_ASSERT_EQUAL(
			rte_mempool_avail_count(pool) + rte_mempool_avail_count(large), before);
	}
}

#endif
