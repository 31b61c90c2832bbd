/* SPDX-License-Identifier: Apache-2.0 */
/** Large TCP segments inside tunnels, cut into tunnel packets: every length and sum, and nothing lost. */
#include "dataplane/frame_copy.h"
#include "dataplane/tunnel_cut.h"
#include "tests/unit/eal.h"
#include "tests/unit/frames.h"
#include "tests/unit/suite.h"

#define CUT_MAX 256

static struct rte_mempool *pool, *large_pool;
static struct frame inner;
static uint8_t whole[FRAME_MAX], flat[FRAME_MAX];

struct shape {
	bool outer_v6, inner_v6, vxlan;
};

static void start(void)
{
	eal_start();
	if (pool == NULL) {
		pool = eal_pool("small", 1024, 1920);
		large_pool = eal_pool("large", 64, 16384);
	}
	srand(5);
}

/** Bytes before the inner IP header. */
static uint32_t outer_bytes(struct shape s)
{
	return 14 + (s.outer_v6 ? 40u : 20u) + (s.vxlan ? 8 + 8 + 14 : 0);
}

/** A tunnel packet around a TCP segment with that payload. @return its length; *hdr as the kernel gives it. */
static uint32_t build(struct shape s, uint32_t payload, uint16_t mss, struct virtio_net_hdr *hdr)
{
	const uint32_t before = outer_bytes(s), l3 = s.outer_v6 ? 40 : 20;
	uint8_t *ip = whole + 14, *l4 = ip + l3;
	uint32_t len;

	frame_build(&inner, s.inner_v6, IPPROTO_TCP, 0, 12, payload);
	len = before + inner.len - 14;
	memset(whole, 0, before);
	put16(whole + 12, s.outer_v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	if (s.outer_v6) {
		ip[0] = 0x60;
		put16(ip + 4, len - 54);
		ip[6] = s.vxlan ? IPPROTO_UDP : s.inner_v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	} else {
		ip[0] = 0x45;
		put16(ip + 2, len - 14);
		put16(ip + 4, 0xfffe);
		ip[9] = s.vxlan ? IPPROTO_UDP : s.inner_v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
		put16(ip + 10, (uint16_t)~naive_sum(ip, 20, 0));
	}
	if (s.vxlan) {
		put16(l4 + 2, 4789);
		put16(l4 + 4, len - 14 - l3);
		put16(l4 + 6, 0x1234); /* says nothing any more */
		l4[8] = 8;
		memcpy(l4 + 16, inner.bytes, 14);
	}
	memcpy(whole + before, inner.bytes + 14, inner.len - 14);
	*hdr = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = s.inner_v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = mss,
		.csum_start = (uint16_t)(before + inner.l3_len),
		.csum_offset = 16 };
	return len;
}

static void check_packet(struct shape s, uint32_t len, uint16_t i)
{
	const uint32_t before = outer_bytes(s), l3 = s.outer_v6 ? 40 : 20;
	const uint8_t *ip = flat + 14, *l4 = ip + l3, *in = flat + before;

	if (s.outer_v6) {
		CU_ASSERT_EQUAL((uint32_t)ip[4] << 8 | ip[5], len - 54);
	} else {
		CU_ASSERT_EQUAL((uint32_t)ip[2] << 8 | ip[3], len - 14);
		CU_ASSERT_EQUAL((uint16_t)(ip[4] << 8 | ip[5]), (uint16_t)(0xfffe + i));
		CU_ASSERT_EQUAL(naive_sum(ip, 20, 0), 0xffff);
	}
	if (s.vxlan) {
		CU_ASSERT_EQUAL((uint32_t)l4[4] << 8 | l4[5], len - 14 - l3);
		CU_ASSERT_EQUAL(l4[6] | l4[7], 0);
		CU_ASSERT_EQUAL(memcmp(l4 + 8, whole + 14 + l3 + 8, 22), 0);
	}
	if (s.inner_v6) {
		CU_ASSERT_EQUAL((uint32_t)in[4] << 8 | in[5], len - before - 40);
	} else {
		CU_ASSERT_EQUAL((uint32_t)in[2] << 8 | in[3], len - before);
		CU_ASSERT_EQUAL(naive_sum(in, 20, 0), 0xffff);
	}
	/* As if it were not in a tunnel. */
	memmove(flat + 14, in, len - before);
	CU_ASSERT_TRUE(checksum_is_right(&inner, flat, 14 + len - before));
}

static void every_shape(void)
{
	struct rte_mbuf *out[CUT_MAX], *m;
	struct virtio_net_hdr hdr;

	start();
	for (unsigned kind = 0; kind < 8; kind++) {
		const struct shape s = { kind & 1, kind & 2, kind & 4 };
		uint32_t len = build(s, 40000, 1398, &hdr), got = 0, headers;
		uint16_t n;

		m = frame_copy(pool, large_pool, NULL, 0, whole, len);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		n = tunnel_cut(m, &hdr, pool, out, CUT_MAX);
		CU_ASSERT_EQUAL_FATAL(n, 29);
		headers = 14 + inner.l3_len + inner.l4_len;
		for (uint16_t i = 0; i < n; i++) {
			uint32_t payload = RTE_MIN(40000 - got, 1398u);

			CU_ASSERT_EQUAL(out[i]->nb_segs, 1);
			CU_ASSERT_EQUAL(
				out[i]->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG),
				0);
			CU_ASSERT_EQUAL_FATAL(
				mbuf_bytes(out[i], flat), outer_bytes(s) - 14 + headers + payload);
			check_packet(s, out[i]->pkt_len, i);
			CU_ASSERT_EQUAL(
				memcmp(flat + headers, inner.bytes + headers + got, payload), 0);
			got += payload;
			rte_pktmbuf_free(out[i]);
		}
		CU_ASSERT_EQUAL(got, 40000);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(large_pool), 0);
}

/** One try with a byte or a field changed. */
static uint16_t cut_changed(uint32_t at, uint8_t flip, void (*change)(struct virtio_net_hdr *hdr))
{
	struct rte_mbuf *out[CUT_MAX], *m;
	struct virtio_net_hdr hdr;
	uint32_t len = build((struct shape){ false, false, true }, 4000, 1398, &hdr);
	uint16_t n;

	whole[at] ^= flip;
	if (change != NULL)
		change(&hdr);
	m = frame_copy(pool, large_pool, NULL, 0, whole, len);
	n = tunnel_cut(m, &hdr, pool, out, CUT_MAX);
	if (n == 0)
		rte_pktmbuf_free(m);
	rte_pktmbuf_free_bulk(out, n);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(large_pool), 0);
	return n;
}

static void other_start(struct virtio_net_hdr *hdr)
{
	hdr->csum_start = 34;
}

static void other_family(struct virtio_net_hdr *hdr)
{
	hdr->gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
}

static void no_size(struct virtio_net_hdr *hdr)
{
	hdr->gso_size = 0;
}

static void tiny(struct virtio_net_hdr *hdr)
{
	hdr->gso_size = 1;
}

static void contradictions_are_refused(void)
{
	start();
	CU_ASSERT_EQUAL(cut_changed(0, 0, NULL), 3);
	CU_ASSERT_EQUAL(cut_changed(12, 0xff, NULL), 0); /* no IP outside, */
	CU_ASSERT_EQUAL(cut_changed(14, 0x01, NULL), 0); /* options, */
	CU_ASSERT_EQUAL(cut_changed(20, 0x20, NULL), 0); /* a fragment, */
	CU_ASSERT_EQUAL(cut_changed(23, 0x17, NULL), 0); /* no tunnel's protocol, */
	CU_ASSERT_EQUAL(cut_changed(62, 0x80, NULL), 0); /* no IP inside, */
	CU_ASSERT_EQUAL(cut_changed(64, 0x10, NULL), 0); /* no version 4, */
	CU_ASSERT_EQUAL(cut_changed(73, 0x17, NULL), 0); /* no TCP, */
	CU_ASSERT_EQUAL(cut_changed(96, 0xc0, NULL), 0); /* too short a TCP header */
	CU_ASSERT_EQUAL(cut_changed(0, 0, other_start), 0);
	CU_ASSERT_EQUAL(cut_changed(0, 0, other_family), 0);
	CU_ASSERT_EQUAL(cut_changed(0, 0, no_size), 0);
	CU_ASSERT_EQUAL(cut_changed(0, 0, tiny), 0); /* more than there is room for */
}

static const struct test_case cases[] = {
	{ "every shape of tunnel", every_shape },
	{ "contradictions are refused", contradictions_are_refused },
};

SUITE_MAIN("tunnel_cut", cases)
