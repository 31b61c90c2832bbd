/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/offload.h"
#include "dataplane/virtio_hdr.h"
#include "tests/unit/eal.h"
#include "tests/unit/frames.h"
#include "tests/unit/suite.h"

#define ROUNDS 400

static struct rte_mempool *pool, *large_pool;
static struct frame frame;
static uint8_t flat[FRAME_MAX];

static void start(void)
{
	eal_start();
	if (pool == NULL) {
		pool = eal_pool("small", 1024, 2048);
		large_pool = eal_pool("large", 64, 16384);
	}
	srand(7);
}

static bool nothing_leaked(void)
{
	return rte_mempool_in_use_count(pool) == 0 && rte_mempool_in_use_count(large_pool) == 0;
}

static void build_random(uint8_t proto, uint32_t payload)
{
	bool v6 = rand() & 1;
	uint32_t extra3 = rand() % 3 != 0 ? 0
			  : v6		  ? 8u * (1 + (uint32_t)rand() % 8)
					  : 4u * (1 + (uint32_t)rand() % 10);

	frame_build(&frame, v6, proto, extra3, 4u * ((uint32_t)rand() % 11), payload);
}

static void checksums_match_the_naive_sum(void)
{
	start();
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint8_t proto = rand() & 1 ? IPPROTO_TCP : IPPROTO_UDP;
		uint32_t at, padding = (uint32_t)rand() % 3 * 7;
		struct rte_mbuf *m;

		build_random(proto, i < 50 ? i : (uint32_t)rand() % 9000);
		m = frame_mbuf(&frame, pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		m->ol_flags |=
			proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
		if (rte_pktmbuf_tailroom(rte_pktmbuf_lastseg(m)) >= padding)
			memset(rte_pktmbuf_append(m, (uint16_t)padding), 0xa5, padding);
		CU_ASSERT_TRUE(offload_complete_checksum(m));
		CU_ASSERT_EQUAL(m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG), 0);
		mbuf_bytes(m, flat);
		CU_ASSERT_TRUE(checksum_is_right(&frame, flat, frame.len));
		/* And nothing else has changed. */
		at = frame_checksum_at(&frame);
		memcpy(flat + at, frame.bytes + at, 2);
		CU_ASSERT_EQUAL(memcmp(flat, frame.bytes, frame.len), 0);
		rte_pktmbuf_free(m);
	}
	CU_ASSERT_TRUE(nothing_leaked());
}

static void udp_zero_is_sent_as_ones(void)
{
	uint32_t at, sum;
	struct rte_mbuf *m;

	start();
	frame_build(&frame, false, IPPROTO_UDP, 0, 0, 2);
	at = frame_checksum_at(&frame);
	/* Choose the payload so that everything adds up to 0xffff. */
	put16(frame.bytes + frame.len - 2, 0);
	sum = naive_sum(frame.bytes + frame.l2_len + frame.l3_len, 10, 0);
	put16(frame.bytes + frame.len - 2, 0xffff - sum);
	m = frame_mbuf(&frame, pool);
	m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
	CU_ASSERT_TRUE(offload_complete_checksum(m));
	mbuf_bytes(m, flat);
	CU_ASSERT_EQUAL(flat[at], 0xff);
	CU_ASSERT_EQUAL(flat[at + 1], 0xff);
	rte_pktmbuf_free(m);
}

static void contradictions_are_refused(void)
{
	struct rte_mbuf *m;

	start();
	for (unsigned i = 0; i < 8; i++) {
		frame_build(&frame, i & 1, IPPROTO_TCP, 0, 0, 100);
		m = frame_mbuf(&frame, pool);
		m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
		switch (i >> 1) {
		case 0: /* IP longer than the packet */
			put16(rte_pktmbuf_mtod_offset(m, uint8_t *, 14 + (i & 1 ? 4 : 2)), 5000);
			break;
		case 1: /* IP shorter than its TCP header */
			put16(rte_pktmbuf_mtod_offset(m, uint8_t *, 14 + (i & 1 ? 4 : 2)),
				i & 1 ? 19 : 39);
			break;
		case 2: /* header length not the packet's */
			m->l3_len = 16;
			break;
		default: /* headers past the buffer */
			m->l3_len = 500;
			break;
		}
		mbuf_bytes(m, frame.bytes);
		CU_ASSERT_FALSE(offload_complete_checksum(m));
		mbuf_bytes(m, flat);
		CU_ASSERT_EQUAL(memcmp(flat, frame.bytes, frame.len), 0);
		rte_pktmbuf_free(m);
	}
	CU_ASSERT_TRUE(nothing_leaked());
}

/** Datagram i of n that one run stood for: RFC 768, and the large packet's headers. */
static void check_datagram(const struct rte_mbuf *m, unsigned i, unsigned n, uint32_t size)
{
	uint32_t headers = frame.l2_len + frame.l3_len + 8, len = mbuf_bytes(m, flat);
	uint32_t part = i + 1 == n ? frame.payload - i * size : size;
	const uint8_t *ip = flat + frame.l2_len, *udp = ip + frame.l3_len;
	const uint8_t *old_ip = frame.bytes + frame.l2_len;

	CU_ASSERT_EQUAL_FATAL(len, headers + part);
	CU_ASSERT_EQUAL(memcmp(flat + headers, frame.bytes + headers + i * size, part), 0);
	CU_ASSERT_EQUAL(memcmp(udp, old_ip + frame.l3_len, 4), 0);
	CU_ASSERT_EQUAL((uint32_t)(udp[4] << 8 | udp[5]), 8 + part);
	CU_ASSERT_TRUE(checksum_is_right(&frame, flat, len));
	if (frame.v6) {
		CU_ASSERT_EQUAL((uint32_t)(ip[4] << 8 | ip[5]), len - frame.l2_len - 40);
	} else {
		CU_ASSERT_EQUAL((uint32_t)(ip[2] << 8 | ip[3]), len - frame.l2_len);
		CU_ASSERT_EQUAL((uint16_t)(ip[4] << 8 | ip[5]),
			(uint16_t)((old_ip[4] << 8 | old_ip[5]) + i));
		CU_ASSERT_EQUAL(naive_sum(ip, frame.l3_len, 0), 0xffff);
	}
	CU_ASSERT_EQUAL(m->ol_flags, 0);
}

static void datagrams_match_the_reference(void)
{
	struct rte_mbuf *out[128];

	start();
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t size = 1 + (uint32_t)rand() % 1472,
			 payload = size + 1 + (uint32_t)rand() % (size * 40);
		struct rte_mbuf *m;
		uint16_t n;

		build_random(IPPROTO_UDP, payload);
		m = frame_mbuf(&frame, i & 1 ? pool : large_pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		m->ol_flags |= RTE_MBUF_F_TX_UDP_SEG | RTE_MBUF_F_TX_UDP_CKSUM;
		m->tso_segsz = (uint16_t)size;
		n = offload_segment_count(m);
		CU_ASSERT_EQUAL(n, (payload + size - 1) / size);
		CU_ASSERT_EQUAL_FATAL(offload_segment(m, pool, out, RTE_DIM(out)), n);
		for (unsigned s = 0; s < n; s++)
			check_datagram(out[s], s, n, size);
		rte_pktmbuf_free_bulk(out, n);
	}
	CU_ASSERT_TRUE(nothing_leaked());
}

static uint32_t sequence(const uint8_t *tcp)
{
	return (uint32_t)tcp[4] << 24 | (uint32_t)tcp[5] << 16 | (uint32_t)tcp[6] << 8 | tcp[7];
}

/** Compare segment i of n with what RFC 9293 and the large segment say it must be. */
static void check_segment(const struct rte_mbuf *m, unsigned i, unsigned n, uint32_t mss)
{
	uint32_t headers = frame.l2_len + frame.l3_len + frame.l4_len, len = mbuf_bytes(m, flat);
	uint32_t part = i + 1 == n ? frame.payload - i * mss : mss;
	const uint8_t *ip = flat + frame.l2_len, *tcp = ip + frame.l3_len;
	const uint8_t *old_ip = frame.bytes + frame.l2_len, *old_tcp = old_ip + frame.l3_len;
	uint8_t flags = old_tcp[13];

	CU_ASSERT_EQUAL_FATAL(len, headers + part);
	CU_ASSERT_EQUAL(m->pkt_len, len);
	CU_ASSERT_EQUAL(memcmp(flat + headers, frame.bytes + headers + i * mss, part), 0);
	CU_ASSERT_EQUAL(memcmp(flat, frame.bytes, frame.l2_len), 0);
	CU_ASSERT_EQUAL(sequence(tcp), sequence(old_tcp) + i * mss);
	if (i + 1 != n)
		flags &= (uint8_t) ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
	if (i > 0)
		flags &= (uint8_t)~RTE_TCP_CWR_FLAG;
	CU_ASSERT_EQUAL(tcp[13], flags);
	CU_ASSERT_EQUAL(memcmp(tcp + 20, old_tcp + 20, frame.l4_len - 20), 0);
	CU_ASSERT_TRUE(checksum_is_right(&frame, flat, len));
	if (frame.v6) {
		CU_ASSERT_EQUAL((uint32_t)(ip[4] << 8 | ip[5]), len - frame.l2_len - 40);
	} else {
		CU_ASSERT_EQUAL((uint32_t)(ip[2] << 8 | ip[3]), len - frame.l2_len);
		CU_ASSERT_EQUAL((uint16_t)(ip[4] << 8 | ip[5]),
			(uint16_t)((old_ip[4] << 8 | old_ip[5]) + i));
		CU_ASSERT_EQUAL(naive_sum(ip, frame.l3_len, 0), 0xffff);
	}
	CU_ASSERT_EQUAL(m->ol_flags, 0);
	CU_ASSERT_TRUE(rte_pktmbuf_headroom(m) >= 96);
	CU_ASSERT_TRUE(m->nb_segs == 1 || len > 2048);
}

static void segments_match_the_reference(void)
{
	static const uint32_t payloads[] = { 1, 1460, 1461, 2920, 65160, 60000 };
	struct rte_mbuf *out[128];

	start();
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t payload =
			i < RTE_DIM(payloads) ? payloads[i] : 1 + (uint32_t)rand() % 40000;
		uint32_t mss =
			i % 5 == 4 ? 2000 + (uint32_t)rand() % 7000 : 536 + (uint32_t)rand() % 925;
		struct rte_mbuf *m;
		uint16_t n;

		build_random(IPPROTO_TCP, payload);
		m = frame_mbuf(&frame, i & 1 ? pool : large_pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM;
		m->tso_segsz = (uint16_t)mss;
		n = offload_segment_count(m);
		CU_ASSERT_EQUAL(n, (payload + mss - 1) / mss);
		CU_ASSERT_EQUAL_FATAL(offload_segment(m, pool, out, RTE_DIM(out)), n);
		for (unsigned s = 0; s < n; s++)
			check_segment(out[s], s, n, mss);
		rte_pktmbuf_free_bulk(out, n);
	}
	CU_ASSERT_TRUE(nothing_leaked());
}

static void segments_of_ip_packets(void)
{
	struct rte_mbuf *out[8], *m;

	start();
	frame_build(&frame, false, IPPROTO_TCP, 0, 12, 3000);
	m = frame_mbuf(&frame, large_pool);
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	m->tso_segsz = 1000;
	rte_pktmbuf_adj(m, RTE_ETHER_HDR_LEN);
	m->l2_len = 0;
	CU_ASSERT_EQUAL_FATAL(offload_segment(m, pool, out, RTE_DIM(out)), 3);
	memmove(frame.bytes, frame.bytes + frame.l2_len, frame.len);
	frame.l2_len = 0;
	for (unsigned s = 0; s < 3; s++)
		check_segment(out[s], s, 3, 1000);
	rte_pktmbuf_free_bulk(out, 3);
	CU_ASSERT_TRUE(nothing_leaked());
}

static void refused_segments_stay_whole(void)
{
	struct rte_mbuf *out[64], *m, *held[1024];
	unsigned n;

	start();
	frame_build(&frame, true, IPPROTO_TCP, 0, 12, 20000);
	m = frame_mbuf(&frame, large_pool);
	CU_ASSERT_EQUAL(offload_segment(m, pool, out, 64), 0); /* not a large segment */
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	m->tso_segsz = 0;
	CU_ASSERT_EQUAL(offload_segment_count(m), 0);
	CU_ASSERT_EQUAL(offload_segment(m, pool, out, 64), 0);
	m->tso_segsz = 1000;
	CU_ASSERT_EQUAL(offload_segment(m, pool, out, 19), 0); /* too few places */
	m->l4_len = 20;					       /* the header says 32 */
	CU_ASSERT_EQUAL(offload_segment_count(m), 0);
	m->l4_len = 32;
	/* Out of buffers, before and in the middle. */
	for (n = 0; n < RTE_DIM(held) - 15; n++)
		held[n] = rte_pktmbuf_alloc(pool);
	CU_ASSERT_EQUAL(offload_segment(m, pool, out, 64), 0);
	m->tso_segsz = 3000;
	CU_ASSERT_EQUAL(offload_segment_count(m), 7);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 15);
	rte_pktmbuf_free_bulk(held, 1);
	CU_ASSERT_EQUAL(offload_segment(m, pool, out, 64), 7); /* 14 buffers, two each */
	rte_pktmbuf_free_bulk(out, 7);
	m = frame_mbuf(&frame, large_pool);
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	m->tso_segsz =
		5000; /* 4 segments of three buffers and 4 of 15 are left after one is taken */
	held[0] = rte_pktmbuf_alloc(pool);
	for (unsigned i = 0; i < 5; i++)
		held[n++] = rte_pktmbuf_alloc(pool);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 10);
	CU_ASSERT_EQUAL(offload_segment(m, pool, out, 64), 0);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 10);
	mbuf_bytes(m, flat);
	CU_ASSERT_EQUAL(memcmp(flat, frame.bytes, frame.len), 0);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free_bulk(held, n);
	CU_ASSERT_TRUE(nothing_leaked());
}

static void linearizing(void)
{
	struct rte_mbuf *m, *one;

	start();
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t payload = 1 + (uint32_t)rand() % (i & 1 ? 1400 : 16000);

		build_random(IPPROTO_TCP, payload);
		m = frame_mbuf(&frame, pool);
		m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
		m->port = 5;
		one = offload_linearize(m, pool, large_pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(one);
		CU_ASSERT_EQUAL(one->nb_segs, 1);
		CU_ASSERT_EQUAL(mbuf_bytes(one, flat), frame.len);
		CU_ASSERT_EQUAL(memcmp(flat, frame.bytes, frame.len), 0);
		CU_ASSERT_EQUAL(one->l3_len, frame.l3_len);
		CU_ASSERT_EQUAL(one->port, 5);
		CU_ASSERT_TRUE((one->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM);
		rte_pktmbuf_free(one);
	}
	frame_build(&frame, false, IPPROTO_TCP, 0, 0, 30000);
	m = frame_mbuf(&frame, pool);
	CU_ASSERT_PTR_NULL(offload_linearize(m, pool, large_pool));
	CU_ASSERT_EQUAL(mbuf_bytes(m, flat), frame.len);
	rte_pktmbuf_free(m);
	CU_ASSERT_TRUE(nothing_leaked());
}

static struct virtio_net_hdr header_for_frame(uint16_t gso_size)
{
	struct virtio_net_hdr hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };

	hdr.csum_start = (uint16_t)(frame.l2_len + frame.l3_len);
	hdr.csum_offset = (uint16_t)(frame_checksum_at(&frame) - hdr.csum_start);
	hdr.hdr_len = (uint16_t)(hdr.csum_start + frame.l4_len);
	if (gso_size > 0) {
		hdr.gso_type = frame.proto == IPPROTO_UDP ? VIRTIO_NET_HDR_GSO_UDP_L4
			       : frame.v6		  ? VIRTIO_NET_HDR_GSO_TCPV6
							  : VIRTIO_NET_HDR_GSO_TCPV4;
		hdr.gso_size = gso_size;
	} else {
		hdr.hdr_len = 0;
	}
	return hdr;
}

static void virtio_headers_round_trip(void)
{
	start();
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint8_t proto = i % 3 == 0 ? IPPROTO_UDP : IPPROTO_TCP;
		uint16_t gso = i % 3 == 1 || i % 6 == 0 ? 1000 : 0;
		bool datagram = i % 12 == 0; /* to be fragmented */
		struct virtio_net_hdr in, out;
		struct rte_mbuf *m;

		build_random(proto, 1001 + (uint32_t)rand() % 8000);
		frame.bytes[frame.l2_len + frame.l3_len + 13] &= (uint8_t)~RTE_TCP_CWR_FLAG;
		in = header_for_frame(gso);
		if (datagram)
			in.gso_type = VIRTIO_NET_HDR_GSO_UDP;
		m = frame_mbuf(&frame, pool);
		m->ol_flags = 0;
		m->tx_offload = 0;
		CU_ASSERT_TRUE_FATAL(virtio_hdr_accept(m, &in));
		CU_ASSERT_EQUAL(m->l2_len, 14);
		CU_ASSERT_EQUAL(m->l3_len, frame.l3_len);
		CU_ASSERT_EQUAL(m->l4_len, frame.l4_len > 20 && gso == 0 ? 20 : frame.l4_len);
		CU_ASSERT_EQUAL(offload_is_datagram(m), datagram);
		if (datagram) {
			CU_ASSERT_EQUAL(offload_segment_count(m), 0);
		} else {
			CU_ASSERT_EQUAL(m->ol_flags & OFFLOAD_LARGE,
				gso == 0	       ? 0
				: proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_SEG
						       : RTE_MBUF_F_TX_UDP_SEG);
		}
		CU_ASSERT_EQUAL(m->tso_segsz, gso);
		virtio_hdr_make(m, &out);
		CU_ASSERT_EQUAL(memcmp(&in, &out, sizeof(in)), 0);
		rte_pktmbuf_free(m);
	}
	CU_ASSERT_TRUE(nothing_leaked());
}

/** What a hostile or odd pod may say about an otherwise good frame. */
static void virtio_headers_are_not_trusted(void)
{
	for (unsigned i = 0; i < 34; i++) {
		struct virtio_net_hdr hdr;
		struct rte_mbuf *m;

		start();
		frame_build(&frame, i & 1, i < 20 ? IPPROTO_TCP : IPPROTO_UDP, 0, 0, 3000);
		hdr = header_for_frame(1000);
		switch (i >> 1) {
		case 10: /* of UDP: a TCP type, ECN, another field, no size */
			hdr.gso_type = i & 1 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
			break;
		case 11:
			hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
			break;
		case 12:
			hdr.csum_offset = 16;
			break;
		case 13:
			hdr.gso_size = 0;
			break;
		case 14: /* to be fragmented: into parts smaller than the header, with ECN, with another field */
			hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP;
			hdr.gso_size = 7;
			break;
		case 15:
			hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP | VIRTIO_NET_HDR_GSO_ECN;
			break;
		case 16:
			hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP;
			hdr.csum_offset = 16;
			break;
		case 0:
			hdr.gso_size = 0;
			break;
		case 1:
			hdr.csum_start++;
			break;
		case 2:
			hdr.csum_offset = 6;
			break;
		case 3:
			hdr.gso_type ^= VIRTIO_NET_HDR_GSO_TCPV4 ^ VIRTIO_NET_HDR_GSO_TCPV6;
			break;
		case 4:
			hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP;
			break;
		case 5:
			hdr.flags = 0;
			break;
		case 6: /* a TCP header longer than the packet's first buffer */
			frame.bytes[14 + frame.l3_len + 12] = 0x40;
			break;
		case 7:
			hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
			hdr.csum_start = 0xffff;
			hdr.csum_offset = 0xffff;
			break;
		case 8: /* a fragment has no TCP header to cut by */
			if (i & 1)
				frame.bytes[14 + 6] = IPPROTO_FRAGMENT;
			else
				put16(frame.bytes + 14 + 6, RTE_IPV4_HDR_MF_FLAG);
			break;
		default:
			frame.bytes[14] = 0;
			break;
		}
		m = frame_mbuf(&frame, pool);
		m->ol_flags = 0;
		CU_ASSERT_FALSE(virtio_hdr_accept(m, &hdr));
		rte_pktmbuf_free(m);
	}
	CU_ASSERT_TRUE(nothing_leaked());
}

/** A pod's own tunnel: the partial checksum is not where the outer headers say. */
static void foreign_checksums_are_finished(void)
{
	struct virtio_net_hdr hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };
	struct rte_mbuf *m;
	uint32_t l4;

	start();
	frame_build(&frame, true, IPPROTO_TCP, 0, 8, 777);
	l4 = frame.l2_len + frame.l3_len;
	memmove(frame.bytes + 4, frame.bytes, frame.len);
	put16(frame.bytes + 12, RTE_ETHER_TYPE_VLAN);
	frame.len += 4;
	frame.l2_len += 4;
	hdr.csum_start = (uint16_t)(l4 + 4);
	hdr.csum_offset = 16;
	m = frame_mbuf(&frame, pool);
	m->ol_flags = 0;
	CU_ASSERT_TRUE(virtio_hdr_accept(m, &hdr));
	CU_ASSERT_EQUAL(m->ol_flags, 0);
	mbuf_bytes(m, flat);
	CU_ASSERT_TRUE(checksum_is_right(&frame, flat, frame.len));
	rte_pktmbuf_free(m);
}

static const struct test_case cases[] = {
	{ "checksums match the naive sum", checksums_match_the_naive_sum },
	{ "a UDP checksum of zero is sent as ones", udp_zero_is_sent_as_ones },
	{ "contradicting lengths are refused", contradictions_are_refused },
	{ "segments match the reference", segments_match_the_reference },
	{ "datagrams match the reference", datagrams_match_the_reference },
	{ "segments of packets that start with IP", segments_of_ip_packets },
	{ "refused segments stay whole", refused_segments_stay_whole },
	{ "linearizing", linearizing },
	{ "virtio headers round trip", virtio_headers_round_trip },
	{ "virtio headers are not trusted", virtio_headers_are_not_trusted },
	{ "foreign checksums are finished", foreign_checksums_are_finished },
};
SUITE_MAIN("offload", cases)
