/* SPDX-License-Identifier: Apache-2.0 */
/** Runs of UDP packets made one, and taken apart again: what comes out is what went in. */
#include "dataplane/udp_merge.h"
#include "dataplane/udp_split.h"
#include "tests/unit/eal.h"
#include "tests/unit/frames.h"
#include "tests/unit/suite.h"

#define ROUNDS	300
#define PACKETS 192

static struct rte_mempool *pool, *large_pool;
static struct frame frame;
static uint8_t flat[FRAME_MAX], merged[FRAME_MAX];
static struct rte_mbuf *pkts[PACKETS];
/** The packets as they should come out. */
static struct {
	uint8_t bytes[2048];
	uint32_t len;
} want[PACKETS];

static void start(void)
{
	eal_start();
	if (pool == NULL) {
		pool = eal_pool("small", 4096, 1920);
		large_pool = eal_pool("large", 64, 16384);
	}
	srand(11);
}

static bool nothing_leaked(void)
{
	return rte_mempool_in_use_count(pool) == 0 && rte_mempool_in_use_count(large_pool) == 0;
}

/** What a packet of a burst is to be. */
enum checksum { NONE, PARTIAL, RIGHT, WRONG };

static void finish_checksum(enum checksum kind)
{
	uint8_t *field = frame.bytes + frame_checksum_at(&frame);
	const uint32_t l4 = frame.l2_len + frame.l3_len;
	uint16_t sum;

	if (kind == PARTIAL) /* as built: the pseudo header's sum */
		return;
	put16(field, 0);
	if (kind == NONE)
		return;
	sum = (uint16_t)~naive_sum(frame.bytes + l4, frame.len - l4,
		naive_pseudo(&frame, frame.bytes + frame.l2_len, frame.len - l4));
	put16(field, sum == 0 ? 0xffff : sum);
	if (kind == WRONG)
		field[0] ^= 0x10;
}

static void set_id(uint16_t id)
{
	uint8_t *ip = frame.bytes + frame.l2_len;

	put16(ip + 4, id);
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~naive_sum(ip, frame.l3_len, 0));
}

/** A burst of n packets of one flow: `segment` bytes of payload each, `last` in the last; with a checksum as stated, in chains
 * cut anywhere. want[] is what the receiver of the run should make of it: identifications count up, a checksum each. */
static void burst(bool v6, uint16_t n, uint32_t segment, uint32_t last, enum checksum kind, bool df)
{
	uint8_t headers[62];
	const uint32_t length = v6 ? 62 : 42;

	for (uint16_t i = 0; i < n; i++) {
		const uint16_t id = (uint16_t)(0xfff0 + i);

		frame_build(&frame, v6, IPPROTO_UDP, 0, 0, i + 1 == n ? last : segment);
		if (i == 0)
			memcpy(headers, frame.bytes, sizeof(headers));
		/* Addresses, TTL, ports of the first. */
		memcpy(frame.bytes, headers, frame.l2_len + 4);
		memcpy(frame.bytes + frame.l2_len + (v6 ? 6 : 8),
			headers + frame.l2_len + (v6 ? 6 : 8), v6 ? 38 : 2);
		if (!v6)
			memcpy(frame.bytes + frame.l2_len + 12, headers + frame.l2_len + 12, 12);
		put16(frame.bytes + frame.l2_len + (v6 ? 4 : 2),
			v6 ? frame.len - 54 : frame.len - 14);
		put16(frame.bytes + frame.l2_len + frame.l3_len + 4, frame.len - length + 8);
		put16(frame.bytes + frame_checksum_at(&frame),
			naive_sum(NULL, 0,
				naive_pseudo(&frame, frame.bytes + frame.l2_len,
					frame.len - length + 8)));
		if (!v6) {
			put16(frame.bytes + frame.l2_len + 6, df ? RTE_IPV4_HDR_DF_FLAG : 0);
			/* Nobody reads the identification of what is not to be fragmented. */
			set_id(df ? 0 : id);
		}
		finish_checksum(kind);
		pkts[i] = frame_mbuf(&frame, pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pkts[i]);
		pkts[i]->ol_flags =
			kind != PARTIAL ? 0
					: RTE_MBUF_F_TX_UDP_CKSUM |
						  (v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
		if (!v6)
			set_id(df ? i : id);
		finish_checksum(RIGHT);
		memcpy(want[i].bytes, frame.bytes, frame.len);
		want[i].len = frame.len;
	}
}

/** The message of a run, flat. */
static uint32_t message(
	struct rte_mbuf *const *run_pkts, const struct udp_run *run, struct virtio_net_hdr *hdr)
{
	struct iovec iov[1024];
	uint16_t n = udp_merge_payload(run_pkts, run, iov);
	uint32_t len = run->headers;

	CU_ASSERT_TRUE(n <= run->buffers);
	udp_merge_headers(run_pkts[0], run, merged, hdr);
	for (uint16_t i = 0; i < n; i++) {
		memcpy(merged + len, iov[i].iov_base, iov[i].iov_len);
		len += (uint32_t)iov[i].iov_len;
	}
	CU_ASSERT_EQUAL(len, run->headers + run->payload);
	return len;
}

/** Headers of a large packet as a receiver that does not cut it checks them. */
static void check_large(const struct udp_run *run, uint32_t len, const struct virtio_net_hdr *hdr)
{
	const uint8_t *ip = merged + RTE_ETHER_HDR_LEN;
	const uint32_t l4 = run->headers - 8u;

	CU_ASSERT_EQUAL(hdr->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	CU_ASSERT_EQUAL(hdr->gso_type, VIRTIO_NET_HDR_GSO_UDP_L4);
	CU_ASSERT_EQUAL(hdr->csum_start, l4);
	CU_ASSERT_EQUAL(hdr->csum_offset, 6);
	CU_ASSERT_EQUAL(hdr->gso_size, run->segment);
	CU_ASSERT_EQUAL(hdr->hdr_len, run->headers);
	CU_ASSERT_EQUAL((uint32_t)merged[l4 + 4] << 8 | merged[l4 + 5], len - l4);
	if (run->v6) {
		CU_ASSERT_EQUAL((uint32_t)ip[4] << 8 | ip[5], len - 54);
	} else {
		CU_ASSERT_EQUAL((uint32_t)ip[2] << 8 | ip[3], len - 14);
		CU_ASSERT_EQUAL(naive_sum(ip, 20, 0), 0xffff);
	}
	frame.v6 = run->v6;
	frame.proto = IPPROTO_UDP;
	CU_ASSERT_EQUAL(naive_sum(merged + l4 + 6, 2, 0),
		naive_sum(NULL, 0, naive_pseudo(&frame, ip, len - l4)));
}

/** Take the flat message apart. @return how many packets came out, all as in want[] from `first` on. */
static uint16_t split_all(
	uint32_t len, const struct virtio_net_hdr *hdr, bool checksum, uint16_t first)
{
	struct udp_split split;
	uint16_t n = 0;

	CU_ASSERT_TRUE_FATAL(udp_split_begin(&split, merged, len, hdr, checksum));
	while (split.left > 0) {
		struct rte_mbuf *m = udp_split_next(&split, pool, large_pool);
		uint8_t *expect = want[first + n].bytes;
		uint32_t at = split.l4 + 6u;

		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL(m->nb_segs, 1);
		CU_ASSERT_EQUAL(m->ol_flags, 0);
		CU_ASSERT_EQUAL_FATAL(mbuf_bytes(m, flat), want[first + n].len);
		if (!checksum)
			memset(expect + at, 0, 2);
		CU_ASSERT_EQUAL(memcmp(flat, expect, want[first + n].len), 0);
		rte_pktmbuf_free(m);
		n++;
	}
	return n;
}

/** Everything a burst becomes, and back. @return the number of messages. */
static uint16_t round_trip(uint16_t n, bool checksum)
{
	uint16_t messages = 0, max_buffers = 1000;

	for (uint16_t i = 0; i < n; messages++) {
		struct virtio_net_hdr hdr;
		struct udp_run run;
		uint32_t len;

		udp_merge_find(&pkts[i], (uint16_t)(n - i), max_buffers, &run);
		CU_ASSERT_TRUE_FATAL(run.count > 0 && run.count <= n - i);
		if (run.count > 1) {
			len = message(&pkts[i], &run, &hdr);
			CU_ASSERT_TRUE(len <= UDP_MERGE_FRAME);
			check_large(&run, len, &hdr);
			/* Identifications of later messages begin anew when nobody reads them. */
			for (uint16_t k = 0; k < run.count && !run.v6 && (want[i].bytes[20] & 0x40);
				k++) {
				uint8_t *ip = want[i + k].bytes + RTE_ETHER_HDR_LEN;

				put16(ip + 4, k);
				put16(ip + 10, 0);
				put16(ip + 10, (uint16_t)~naive_sum(ip, 20, 0));
			}
			CU_ASSERT_EQUAL(split_all(len, &hdr, checksum, i), run.count);
		}
		i = (uint16_t)(i + run.count);
	}
	return messages;
}

static void free_all(uint16_t n)
{
	rte_pktmbuf_free_bulk(pkts, n);
	CU_ASSERT_TRUE(nothing_leaked());
}

static void any_run_comes_back(void)
{
	start();
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint16_t n = (uint16_t)(2 + rand() % 60);
		uint32_t segment = 1 + (uint32_t)rand() % 1000,
			 last = 1 + (uint32_t)rand() % segment;
		bool v6 = rand() & 1;

		burst(v6, n, segment, last, (enum checksum)(rand() % 3), rand() & 1);
		CU_ASSERT_EQUAL(round_trip(n, rand() & 1), 1);
		free_all(n);
	}
}

/** As tunnel packets are: full size, many; one message holds 64 KiB and 128 packets. */
static void limits(void)
{
	static const struct {
		uint16_t n;
		uint32_t segment, last, messages;
	} cases[] = {
		{ 45, 1458, 700, 2 }, /* 44 x 1458 is 64152; one more full one does not fit */
		{ 44, 1458, 1458, 1 },
		{ 128, 300, 300, 1 },
		{ 129, 300, 300, 2 },
		{ 192, 64, 1, 2 },
		{ 130, 900, 900, 2 }, /* 72 and 58 */
		{ 1, 100, 100, 1 },
	};

	start();
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		for (int v6 = 0; v6 < 2; v6++) {
			burst(v6, cases[i].n, cases[i].segment, cases[i].last, NONE, true);
			CU_ASSERT_EQUAL(round_trip(cases[i].n, true),
				cases[i].messages - (i == 0 && cases[i].last + 64152 < 65474));
			free_all(cases[i].n);
		}
	}
}

static void buffers_are_limited(void)
{
	struct udp_run run;

	start();
	burst(false, 20, 1400, 1400, NONE, true);
	udp_merge_find(pkts, 20, pkts[0]->nb_segs, &run);
	CU_ASSERT_EQUAL(run.count, 1);
	udp_merge_find(pkts, 20, (uint16_t)(pkts[0]->nb_segs + pkts[1]->nb_segs), &run);
	CU_ASSERT_EQUAL(run.count, 2);
	CU_ASSERT_EQUAL(run.buffers, pkts[0]->nb_segs + pkts[1]->nb_segs);
	free_all(20);
}

/** How many of four packets go together after something was done to the third. */
static uint16_t run_after(bool v6, enum checksum kind, bool df, uint32_t at, uint8_t flip)
{
	struct udp_run run;

	burst(v6, 4, 500, 500, kind, df);
	rte_pktmbuf_mtod(pkts[2], uint8_t *)[at] ^= flip;
	udp_merge_find(pkts, 4, 1000, &run);
	free_all(4);
	return run.count;
}

static void what_differs_stays_apart(void)
{
	start();
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t udp = v6 ? 54 : 34;

		/* Every byte of the headers, but for what is written anew: checksums, and an identification nobody reads. */
		for (uint32_t at = 0; at < udp + 6; at++) {
			bool free = !v6 && (at == 18 || at == 19 || at == 24 || at == 25);

			CU_ASSERT_EQUAL(run_after(v6, NONE, true, at, 0x04), free ? 4 : 2);
		}
		CU_ASSERT_EQUAL(run_after(v6, RIGHT, true, udp + 7, 0x04), 2);
		CU_ASSERT_EQUAL(run_after(v6, RIGHT, true, udp + 9, 0x04), 2);
		CU_ASSERT_EQUAL(run_after(v6, NONE, true, udp + 9, 0x04), 4);
	}
	/* Where it may be fragmented the identification counts. */
	CU_ASSERT_EQUAL(run_after(false, NONE, false, 19, 0x40), 2);
	CU_ASSERT_EQUAL(run_after(false, NONE, false, 24, 0x40), 4);
}

static void what_is_no_such_packet_goes_alone(void)
{
	struct udp_run run;

	start();
	burst(false, 4, 500, 500, WRONG, true);
	udp_merge_find(pkts, 4, 1000, &run);
	CU_ASSERT_EQUAL(run.count, 1);
	free_all(4);
	for (int kind = 0; kind < 6; kind++) {
		burst(false, 3, 500, 500, NONE, true);
		for (unsigned i = 0; i < 3; i++) {
			uint8_t *f = rte_pktmbuf_mtod(pkts[i], uint8_t *);

			switch (kind) {
			case 0: /* a fragment */
				f[20] = 0x20;
				break;
			case 1: /* padding */
				CU_ASSERT_PTR_NOT_NULL(rte_pktmbuf_append(
					rte_pktmbuf_lastseg(pkts[i]) == pkts[i] ? pkts[i] : pkts[i],
					1));
				break;
			case 2: /* options */
				f[14] = 0x46;
				break;
			case 3:
				f[23] = IPPROTO_TCP;
				break;
			case 4: /* something else is asked for */
				pkts[i]->ol_flags = RTE_MBUF_F_TX_TCP_CKSUM;
				break;
			case 5: /* a tag in front */
				f[12] = 0x81;
				f[13] = 0;
				break;
			}
		}
		udp_merge_find(pkts, 3, 1000, &run);
		CU_ASSERT_EQUAL(run.count, 1);
		CU_ASSERT_EQUAL(run.headers, 0);
		free_all(3);
	}
	/* A longer one never follows; nor anything a shorter one. */
	burst(true, 3, 500, 501, NONE, true);
	udp_merge_find(pkts, 3, 1000, &run);
	CU_ASSERT_EQUAL(run.count, 2);
	free_all(3);
	burst(true, 2, 500, 499, NONE, true);
	pkts[2] = rte_pktmbuf_copy(pkts[0], pool, 0, UINT32_MAX);
	udp_merge_find(pkts, 3, 1000, &run);
	CU_ASSERT_EQUAL(run.count, 2);
	free_all(3);
	/* Nothing in it. */
	burst(false, 2, 0, 0, NONE, true);
	udp_merge_find(pkts, 2, 1000, &run);
	CU_ASSERT_EQUAL(run.count, 1);
	free_all(2);
}

static void split_refuses_contradictions(void)
{
	struct virtio_net_hdr good, bad;
	struct udp_split split;
	struct udp_run run;
	uint32_t len;

	start();
	burst(false, 4, 500, 300, NONE, true);
	udp_merge_find(pkts, 4, 1000, &run);
	len = message(pkts, &run, &good);
	free_all(4);
	CU_ASSERT_TRUE(udp_split_begin(&split, merged, len, &good, true));
	for (uint32_t cut = 0; cut <= 42; cut++) {
		CU_ASSERT_FALSE(udp_split_begin(&split, merged, cut, &good, true));
		CU_ASSERT_EQUAL(split.left, 0);
	}
#define REFUSED(field, value)                                                      \
	do {                                                                       \
		bad = good;                                                        \
		bad.field = (value);                                               \
		CU_ASSERT_FALSE(udp_split_begin(&split, merged, len, &bad, true)); \
	} while (0)
	REFUSED(flags, 0);
	REFUSED(gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	REFUSED(gso_size, 0);
	REFUSED(gso_size, 65535);
	REFUSED(csum_start, 54);
	REFUSED(csum_start, 0);
	REFUSED(csum_offset, 16);
#undef REFUSED
	merged[23] = IPPROTO_TCP;
	CU_ASSERT_FALSE(udp_split_begin(&split, merged, len, &good, true));
	merged[23] = IPPROTO_UDP;
	merged[14] = 0x44;
	CU_ASSERT_FALSE(udp_split_begin(&split, merged, len, &good, true));
	merged[14] = 0x65;
	CU_ASSERT_FALSE(udp_split_begin(&split, merged, len, &good, true));
}

/** Packets that no small buffer holds, and no buffer at all. */
static void split_into_large_buffers(void)
{
	struct virtio_net_hdr hdr;
	struct udp_split split;
	struct udp_run run;
	struct rte_mbuf *m, *hog[4096];
	unsigned n = 0;
	uint32_t len;

	start();
	burst(true, 40, 1400, 1400, NONE, true);
	udp_merge_find(pkts, 40, 1000, &run);
	len = message(pkts, &run, &hdr);
	free_all(40);
	hdr.gso_size = 9000;
	CU_ASSERT_TRUE_FATAL(udp_split_begin(&split, merged, len, &hdr, true));
	m = udp_split_next(&split, pool, large_pool);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->nb_segs, 1);
	CU_ASSERT_EQUAL(m->pkt_len, 9062);
	rte_pktmbuf_free(m);
	hdr.gso_size = 40000;
	CU_ASSERT_TRUE_FATAL(udp_split_begin(&split, merged, len, &hdr, true));
	m = udp_split_next(&split, pool, large_pool);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(mbuf_bytes(m, flat), 40062);
	CU_ASSERT_EQUAL(memcmp(flat + 62, merged + 62, 40000), 0);
	frame.v6 = true;
	frame.proto = IPPROTO_UDP;
	frame.l2_len = 14;
	frame.l3_len = 40;
	CU_ASSERT_TRUE(checksum_is_right(&frame, flat, 40062));
	rte_pktmbuf_free(m);
	/* Short of buffers nothing is lost. */
	while (n < RTE_DIM(hog) && (hog[n] = rte_pktmbuf_alloc(pool)) != NULL)
		n++;
	hdr.gso_size = 1400;
	CU_ASSERT_TRUE_FATAL(udp_split_begin(&split, merged, len, &hdr, true));
	CU_ASSERT_PTR_NULL(udp_split_next(&split, pool, large_pool));
	rte_pktmbuf_free_bulk(hog, n);
	CU_ASSERT_EQUAL(split_all(len, &hdr, true, 0), 40);
	CU_ASSERT_TRUE(nothing_leaked());
}

static const struct test_case cases[] = {
	{ "any run comes back as it was", any_run_comes_back },
	{ "64 KiB and 128 packets a message", limits },
	{ "buffers a message are limited", buffers_are_limited },
	{ "what differs stays apart", what_differs_stays_apart },
	{ "what is no such packet goes alone", what_is_no_such_packet_goes_alone },
	{ "a large packet that contradicts itself is refused", split_refuses_contradictions },
	{ "packets of any size, and no buffers", split_into_large_buffers },
};

SUITE_MAIN("udp_merge", cases)
