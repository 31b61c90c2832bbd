/* SPDX-License-Identifier: Apache-2.0 */
/** Packets for tests: those that vectors.py has scapy make, and mbufs of given bytes in segments
 * of given sizes. */
#ifndef TESTS_UNIT_VECTORS_H
#define TESTS_UNIT_VECTORS_H

#include <rte_mbuf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR_MAX 256

struct vector_bytes {
	char name[40];
	uint16_t len;
	uint8_t bytes[2048];
};
static struct vector_bytes vector_list[VECTOR_MAX];
static unsigned vector_count;

/** Load one set; exits the test when vectors.py fails. */
static inline void vectors_load(const char *set)
{
	static char line[2 * 2048 + 64];
	FILE *f;

	snprintf(line, sizeof(line), "/usr/bin/python3 '%s' %s", TESTS_VECTORS, set);
	f = popen(line, "r");
	vector_count = 0;
	while (f != NULL && fgets(line, sizeof(line), f) != NULL && vector_count < VECTOR_MAX) {
		struct vector_bytes *v = &vector_list[vector_count++];
		const char *hex = strchr(line, ' ');

		if (hex == NULL || hex - line >= (long)sizeof(v->name))
			break;
		snprintf(v->name, sizeof(v->name), "%.*s", (int)(hex - line), line);
		v->len = 0;
		for (hex++;
			v->len < sizeof(v->bytes) && sscanf(hex, "%2hhx", &v->bytes[v->len]) == 1;
			hex += 2)
			v->len++;
	}
	if (f == NULL || pclose(f) != 0 || vector_count == 0) {
		fprintf(stderr, "vectors.py %s failed: is python3-scapy installed?\n", set);
		exit(EXIT_FAILURE);
	}
}

static inline const struct vector_bytes *vector(const char *name)
{
	for (unsigned i = 0; i < vector_count; i++) {
		if (strcmp(vector_list[i].name, name) == 0)
			return &vector_list[i];
	}
	fprintf(stderr, "no vector %s\n", name);
	exit(EXIT_FAILURE);
}

/** A packet of these bytes in segments of at most `segment` bytes (0: one), with headroom in the
 * first. */
static inline struct rte_mbuf *mbuf_of(
	struct rte_mempool *pool, const void *bytes, uint32_t len, uint32_t segment)
{
	struct rte_mbuf *first = rte_pktmbuf_alloc(pool), *last = first;
	const uint8_t *from = bytes;

	for (;;) {
		uint32_t n = segment != 0 && segment < len ? segment : len;

		if (last == NULL || n > rte_pktmbuf_tailroom(last)) {
			fprintf(stderr, "no buffer for a test packet\n");
			exit(EXIT_FAILURE);
		}
		memcpy(rte_pktmbuf_mtod(last, void *), from, n);
		last->data_len = (uint16_t)n;
		first->pkt_len += n;
		from += n;
		len -= n;
		if (len == 0)
			return first;
		last->next = rte_pktmbuf_alloc(pool);
		last = last->next;
		first->nb_segs++;
	}
}

/** All bytes of a packet, in `to`. @return how many. */
static inline uint32_t mbuf_bytes(const struct rte_mbuf *m, void *to)
{
	uint32_t len = 0;

	for (; m != NULL; m = m->next) {
		memcpy((uint8_t *)to + len, rte_pktmbuf_mtod(m, const void *),
			rte_pktmbuf_data_len(m));
		len += rte_pktmbuf_data_len(m);
	}
	return len;
}

/** The naive internet checksum sum: byte pairs in network order, folded, not inverted; in memory
 * order. */
static inline uint16_t naive_sum(const uint8_t *bytes, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return rte_cpu_to_be_16((uint16_t)sum);
}

#endif
