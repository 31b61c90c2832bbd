/* SPDX-License-Identifier: Apache-2.0 */
/** Whole packets with random contents and their fragments, of either family, cut by the test
 * itself. */
#ifndef TESTS_UNIT_FRAGMENT_FIXTURE_H
#define TESTS_UNIT_FRAGMENT_FIXTURE_H

#include "dataplane/packet.h"
#include "tests/unit/eal.h"
#include "tests/unit/suite.h"
#include "tests/unit/vectors.h"

#include <netinet/in.h>
#include <string.h>

#define WHOLE_MAX  (14 + 65535)
#define HOP_BY_HOP 8u /* in front of every IPv6 fragment header here */
#define ZONE	   77u

static struct rte_mempool *pool;

/** A UDP packet behind an Ethernet header. */
struct whole {
	bool v6;
	uint32_t len;	   /* of bytes */
	uint32_t part_off; /* where the fragmentable part begins */
	uint32_t id;
	uint8_t bytes[WHOLE_MAX];
};

static inline void fragment_setup(void)
{
	if (pool != NULL)
		return;
	eal_start();
	pool = eal_pool("fragments", 2047, 2048);
}

static inline void ip4_finish(uint8_t *ip, uint16_t len)
{
	uint16_t sum;

	ip[2] = (uint8_t)(len >> 8);
	ip[3] = (uint8_t)len;
	memset(ip + 10, 0, 2);
	sum = (uint16_t)~rte_raw_cksum(ip, (ip[0] & 15u) * 4);
	memcpy(ip + 10, &sum, 2);
}

static inline void whole_make(struct whole *w, bool v6, uint32_t id, uint32_t payload)
{
	uint8_t *ip = w->bytes + 14, *udp;

	memset(w->bytes, 0, 14 + 48);
	w->v6 = v6;
	w->id = id;
	w->part_off = 14 + (v6 ? 40 + HOP_BY_HOP : 20);
	w->len = w->part_off + 8 + payload;
	memcpy(w->bytes,
		(const uint8_t[]){
			2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, v6 ? 0x86 : 8, v6 ? 0xdd : 0 },
		14);
	if (v6) {
		const uint16_t n = (uint16_t)(w->len - 14 - 40);

		memcpy(ip, (const uint8_t[]){ 0x60, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n, 0, 64 },
			8);
		ip[8] = ip[24] = 0xfd;
		ip[23] = 1;
		ip[39] = 2;
		memcpy(ip + 40, (const uint8_t[]){ IPPROTO_UDP, 0, 1, 4 }, 4);
	} else {
		memcpy(ip,
			(const uint8_t[]){ 0x45, 0, 0, 0, (uint8_t)(id >> 8), (uint8_t)id, 0, 0, 64,
				IPPROTO_UDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2 },
			20);
		ip4_finish(ip, (uint16_t)(w->len - 14));
	}
	udp = w->bytes + w->part_off;
	memcpy(udp,
		(const uint8_t[]){ 0x13, 0x88, 0, 53, (uint8_t)((8 + payload) >> 8),
			(uint8_t)(8 + payload), 0, 0 },
		8);
	for (uint32_t i = 0; i < payload; i++)
		udp[8 + i] = (uint8_t)rand();
}

static inline uint32_t whole_parts(const struct whole *w)
{
	return w->len - w->part_off;
}

/** The fragment with `len` bytes from `start`, in buffers of `segment` bytes (0: as large as
 * they are). */
static inline struct rte_mbuf *part_make(
	const struct whole *w, uint32_t start, uint32_t len, bool more, uint32_t segment)
{
	static uint8_t frame[WHOLE_MAX + 8];
	uint32_t header = w->part_off, total;
	struct rte_mbuf *m, *last;
	uint8_t *ip = frame + 14;

	memcpy(frame, w->bytes, header);
	if (w->v6) {
		const uint16_t field = (uint16_t)(start | (more ? 1 : 0));
		const uint16_t n = (uint16_t)(HOP_BY_HOP + 8 + len);
		const uint32_t id = rte_cpu_to_be_32(w->id);

		ip[4] = (uint8_t)(n >> 8);
		ip[5] = (uint8_t)n;
		ip[40] = IPPROTO_FRAGMENT;
		memcpy(frame + header,
			(const uint8_t[]){ IPPROTO_UDP, 0, (uint8_t)(field >> 8), (uint8_t)field },
			4);
		memcpy(frame + header + 4, &id, 4);
		header += 8;
	} else {
		const uint16_t field = (uint16_t)(start / 8 | (more ? 0x2000 : 0));

		ip[6] = (uint8_t)(field >> 8);
		ip[7] = (uint8_t)field;
		ip4_finish(ip, (uint16_t)(header - 14 + len));
	}
	memcpy(frame + header, w->bytes + w->part_off + start, len);
	total = header + len;
	m = last = rte_pktmbuf_alloc(pool);
	for (uint32_t done = 0; done < total;) {
		const uint32_t room = segment != 0 ? segment : rte_pktmbuf_tailroom(last);
		const uint32_t n = RTE_MIN(room, total - done);

		memcpy(rte_pktmbuf_mtod(last, void *), frame + done, n);
		last->data_len = (uint16_t)n;
		m->pkt_len += n;
		done += n;
		if (done < total) {
			last->next = rte_pktmbuf_alloc(pool);
			last = last->next;
			m->nb_segs++;
		}
	}
	return m;
}

/** The same, parsed; exits the test when it is no fragment. */
static inline struct rte_mbuf *part_parsed(const struct whole *w, uint32_t start, uint32_t len,
	bool more, uint32_t segment, uint32_t zone, struct pkt *p)
{
	struct rte_mbuf *m = part_make(w, start, len, more, segment);
	const struct parsed parsed = pkt_parse_ether(m, p, zone);

	if (parsed.class != PKT_FRAG) {
		fprintf(stderr, "no fragment: %s\n", drop_reason_name(parsed.reason));
		exit(EXIT_FAILURE);
	}
	p->m = m;
	return m;
}

static inline void shuffle(uint32_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		const uint32_t j = (uint32_t)rand() % i, t = order[i - 1];

		order[i - 1] = order[j];
		order[j] = t;
	}
}

#endif
