/* SPDX-License-Identifier: Apache-2.0 */
/** Merging against cutting: what gro_merge makes of any stream, cut again, is the stream. */
#include "dataplane/gro.h"
#include "dataplane/offload.h"
#include "dataplane/port.h"
#include "tests/unit/eal.h"
#include "tests/unit/frames.h"
#include "tests/unit/suite.h"

#define ROUNDS	  600
#define BURST_MAX 192
#define FLOWS	  6
#define BOTH	  (PORT_TX_TSO | PORT_TX_USO)
#define ETH	  RTE_ETHER_HDR_LEN

static struct rte_mempool *pool;

static void start(void)
{
	eal_start();
	if (pool == NULL)
		pool = eal_pool("small", 8192, 2048);
	srand(11);
}

/** A flow that a sender goes on with. */
static struct sender {
	struct frame frame; /* headers of the next packet */
	uint32_t seq;
	uint16_t id, port;
} senders[FLOWS];

static uint8_t *l3_of(struct frame *f)
{
	return f->bytes + f->l2_len;
}

static uint8_t *l4_of(struct frame *f)
{
	return f->bytes + f->l2_len + f->l3_len;
}

static void sender_start(struct sender *s, bool v6, uint8_t proto, uint16_t port, bool df)
{
	frame_build(&s->frame, v6, proto, 0, proto == IPPROTO_TCP ? 12 : 0, 9000);
	s->seq = 0xfffff000u + port; /* wraps soon */
	s->id = (uint16_t)(65530 + port);
	s->port = port;
	put16(l4_of(&s->frame), port);
	if (!v6)
		put16(l3_of(&s->frame) + 6, df ? RTE_IPV4_HDR_DF_FLAG : 0);
	if (proto == IPPROTO_TCP)
		l4_of(&s->frame)[13] = RTE_TCP_ACK_FLAG;
}

/** All sums of the headers and payload as they are. */
static void frame_sums(struct frame *f)
{
	uint8_t *ip = l3_of(f), *field = f->bytes + frame_checksum_at(f);
	const uint32_t l4_bytes = f->len - f->l2_len - f->l3_len;

	if (!f->v6) {
		put16(ip + 10, 0);
		put16(ip + 10, (uint16_t)~naive_sum(ip, f->l3_len, 0));
	}
	put16(field, 0);
	put16(field, (uint16_t)~naive_sum(l4_of(f), l4_bytes, naive_pseudo(f, ip, l4_bytes)));
}

/** The frame's length for so much payload, and the lengths in its headers. */
static void frame_resize(struct frame *f, uint32_t payload)
{
	f->payload = payload;
	f->len = f->l2_len + f->l3_len + f->l4_len + payload;
	put16(l3_of(f) + (f->v6 ? 4 : 2), f->len - f->l2_len - (f->v6 ? 40 : 0));
	if (f->proto == IPPROTO_UDP)
		put16(l4_of(f) + 4, f->l4_len + payload);
}

/** What differs from packet to packet. */
static void sender_next(struct sender *s, uint32_t payload, uint8_t tcp_flags)
{
	struct frame *f = &s->frame;

	for (uint32_t i = f->l2_len + f->l3_len + f->l4_len; i < sizeof(f->bytes) && i < 9100;
		i += 7)
		f->bytes[i] = (uint8_t)rand();
	frame_resize(f, payload);
	if (!f->v6)
		put16(l3_of(f) + 4, s->id++);
	if (f->proto == IPPROTO_TCP) {
		put16(l4_of(f) + 4, s->seq >> 16);
		put16(l4_of(f) + 6, s->seq & 0xffff);
		l4_of(f)[13] = tcp_flags;
		s->seq += payload;
	}
	frame_sums(f);
}

static struct rte_mbuf *packet_of(const struct frame *f)
{
	struct rte_mbuf *m = frame_mbuf(f, pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	m->ol_flags = 0;
	m->tx_offload = 0;
	return m;
}

/** In one buffer. */
static struct rte_mbuf *packet_whole(const struct frame *f)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)f->len), f->bytes, f->len);
	return m;
}

/** Packets as bytes, by flow. */
struct log {
	unsigned n;
	struct {
		uint16_t port;
		uint32_t len;
		uint8_t *bytes;
	} packets[BURST_MAX * 2];
};

static void log_add(struct log *log, const struct rte_mbuf *m, bool v6)
{
	uint8_t *bytes = malloc(m->pkt_len);

	CU_ASSERT_EQUAL(mbuf_bytes(m, bytes), m->pkt_len);
	log->packets[log->n].bytes = bytes;
	log->packets[log->n].len = m->pkt_len;
	log->packets[log->n++].port =
		(uint16_t)(bytes[ETH + (v6 ? 40 : 20)] << 8 | bytes[ETH + (v6 ? 41 : 21)]);
}

static void log_free(struct log *log)
{
	for (unsigned i = 0; i < log->n; i++)
		free(log->packets[i].bytes);
	log->n = 0;
}

/** With DF an identification means nothing (RFC 6864), and cutting counts it up. */
static void forget_id(uint8_t *frame)
{
	if (frame[12] == 0x08 && (frame[ETH + 6] & 0x40)) {
		put16(frame + ETH + 4, 0);
		put16(frame + ETH + 10, 0);
	}
}

/** Are the packets of each flow the same, in the same order? */
static bool log_equal(struct log *a, struct log *b)
{
	for (uint16_t port = 0; port < FLOWS; port++) {
		unsigned i = 0, k = 0;

		for (;; i++, k++) {
			while (i < a->n && a->packets[i].port != port)
				i++;
			while (k < b->n && b->packets[k].port != port)
				k++;
			if (i == a->n || k == b->n)
				break;
			forget_id(a->packets[i].bytes);
			forget_id(b->packets[k].bytes);
			if (a->packets[i].len != b->packets[k].len ||
				memcmp(a->packets[i].bytes, b->packets[k].bytes,
					a->packets[i].len) != 0)
				return false;
		}
		if (i != a->n || k != b->n)
			return false;
	}
	return a->n == b->n;
}

static bool is_v6(const struct rte_mbuf *m)
{
	return *rte_pktmbuf_mtod_offset(m, const uint8_t *, 12) == 0x86;
}

/** Cut what is large, log everything, free it. @return the bytes that were there. */
static uint64_t cut_all(struct rte_mbuf **pkts, uint16_t n, struct log *log)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *out[GRO_SEGMENTS_MAX] = { pkts[i] };
		uint16_t parts = 1;

		bytes += pkts[i]->pkt_len;
		rte_mbuf_sanity_check(pkts[i], 1);
		if (pkts[i]->ol_flags & OFFLOAD_LARGE) {
			CU_ASSERT_TRUE(pkts[i]->pkt_len <= ETH + 65535u + 40);
			CU_ASSERT_TRUE(pkts[i]->nb_segs <= GRO_SEGMENTS_MAX);
			parts = offload_segment(pkts[i], pool, out, RTE_DIM(out));
			CU_ASSERT_TRUE_FATAL(parts > 1);
		}
		for (uint16_t k = 0; k < parts; k++) {
			log_add(log, out[k], is_v6(out[k]));
			rte_pktmbuf_free(out[k]);
		}
	}
	return bytes;
}

/** Something that must not disturb anything, or not be merged, happens to a packet now and then. */
static void disturb(struct sender *s, unsigned what)
{
	struct frame *f = &s->frame;
	uint8_t *ip = l3_of(f), *l4 = l4_of(f);

	switch (what) {
	case 0:
		ip[f->v6 ? 7 : 8] ^= 1;
		break; /* TTL */
	case 1:
		ip[1] ^= f->v6 ? 0x10 : 1;
		break; /* ECN */
	case 2:
		s->seq += 77;
		break; /* lost */
	case 3:
		s->id = (uint16_t)(s->id + 3);
		break;
	case 4:
		if (!f->v6)
			ip[6] ^= 0x40; /* DF */
		break;
	case 5:
		if (f->proto == IPPROTO_TCP)
			l4[f->l4_len - 1] ^= 1; /* timestamp */
		break;
	case 6:
		if (f->proto == IPPROTO_TCP)
			l4[8] ^= 1; /* acknowledgment */
		break;
	default:
		break;
	}
}

static void any_stream_survives(void)
{
	static struct log before, after;
	uint64_t merged = 0, total = 0;

	start();
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct rte_mbuf *pkts[BURST_MAX];
		const uint16_t n = (uint16_t)(1 + rand() % BURST_MAX);
		const uint32_t mss = 1 + (uint32_t)(rand() % (round % 8 == 0 ? 3000 : 1448));
		const bool calm = round & 1;
		uint64_t bytes = 0, saved;
		uint16_t left;

		for (uint16_t k = 0; k < FLOWS; k++)
			sender_start(
				&senders[k], k & 1, k & 2 ? IPPROTO_UDP : IPPROTO_TCP, k, k < 3);
		for (uint16_t i = 0; i < n; i++) {
			struct sender *s = &senders[rand() % FLOWS];
			uint8_t flags = RTE_TCP_ACK_FLAG;
			uint32_t payload = mss;

			if (rand() % (calm ? 40 : 4) == 0) {
				static const uint8_t odd[] = { RTE_TCP_PSH_FLAG, RTE_TCP_FIN_FLAG,
					RTE_TCP_SYN_FLAG, RTE_TCP_URG_FLAG, RTE_TCP_CWR_FLAG,
					RTE_TCP_ECE_FLAG, RTE_TCP_RST_FLAG };

				flags |= odd[(unsigned)rand() % RTE_DIM(odd)];
			}
			if (rand() % (calm ? 40 : 4) == 0)
				payload = (uint32_t)rand() % (mss + 10);
			if (!calm && rand() % 4 == 0)
				disturb(s, (unsigned)rand() % 7);
			sender_next(s, payload, flags);
			if (!calm && rand() % 8 == 0) /* harmed on the way */
				s->frame.bytes[s->frame.len - 1] ^= 0x5a;
			pkts[i] = packet_of(&s->frame);
			bytes += pkts[i]->pkt_len;
			log_add(&before, pkts[i], s->frame.v6);
		}
		if (!calm && n > 8) { /* out of order, also within flows */
			struct rte_mbuf *m = pkts[3];

			log_free(&before);
			pkts[3] = pkts[7];
			pkts[7] = m;
			for (uint16_t i = 0; i < n; i++)
				log_add(&before, pkts[i], is_v6(pkts[i]));
		}
		left = gro_merge(pkts, n, BOTH, &saved);
		CU_ASSERT_TRUE(left <= n && left > 0);
		CU_ASSERT_EQUAL(cut_all(pkts, left, &after), bytes - saved);
		CU_ASSERT_TRUE(log_equal(&before, &after));
		merged += n - left;
		total += n;
		log_free(&before);
		log_free(&after);
		CU_ASSERT_EQUAL_FATAL(rte_mempool_in_use_count(pool), 0);
	}
	CU_ASSERT_TRUE(merged > total / 4);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/** A calm stream: as few packets as can be, with the words a driver needs. */
static void streams_become_one(void)
{
	start();
	for (unsigned k = 0; k < 4; k++) {
		const bool v6 = k & 1, tcp = (k & 2) == 0;
		struct rte_mbuf *pkts[40];
		uint64_t saved;

		sender_start(&senders[0], v6, tcp ? IPPROTO_TCP : IPPROTO_UDP, 0, true);
		for (unsigned i = 0; i < 40; i++) {
			sender_next(&senders[0], i == 39 ? 300 : 1000,
				i == 39 ? RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG : RTE_TCP_ACK_FLAG);
			pkts[i] = packet_whole(&senders[0].frame);
			if (i == 5) /* a sum left to be computed is as good */
				pkts[i]->ol_flags =
					tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
		}
		/* Not for a port that does not take it. */
		CU_ASSERT_EQUAL(gro_merge(pkts, 40, tcp ? PORT_TX_USO : PORT_TX_TSO, &saved), 40);
		CU_ASSERT_EQUAL(gro_merge(pkts, 40, tcp ? PORT_TX_TSO : PORT_TX_USO, &saved), 1);
		CU_ASSERT_EQUAL(saved, 39u * (ETH + (v6 ? 40 : 20) + (tcp ? 32 : 8)));
		CU_ASSERT_EQUAL(
			pkts[0]->pkt_len, ETH + (v6 ? 40u : 20u) + (tcp ? 32u : 8u) + 39300);
		CU_ASSERT_EQUAL(pkts[0]->tso_segsz, 1000);
		CU_ASSERT_EQUAL(pkts[0]->l2_len, ETH);
		CU_ASSERT_EQUAL(pkts[0]->l3_len, v6 ? 40 : 20);
		CU_ASSERT_EQUAL(pkts[0]->l4_len, tcp ? 32 : 8);
		CU_ASSERT_EQUAL(
			pkts[0]->ol_flags, (tcp ? RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM
						: RTE_MBUF_F_TX_UDP_SEG | RTE_MBUF_F_TX_UDP_CKSUM) |
						   (v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4));
		if (tcp)
			CU_ASSERT_EQUAL(rte_pktmbuf_mtod_offset(
						pkts[0], uint8_t *, ETH + (v6 ? 40 : 20))[13],
				RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG);
		rte_pktmbuf_free(pkts[0]);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/** Change one thing about the second of two packets that would be merged. @return false when there is no such. */
static bool change(struct sender *s, unsigned what)
{
	struct frame *f = &s->frame;
	uint8_t *ip = l3_of(f), *l4 = l4_of(f);
	const bool tcp = f->proto == IPPROTO_TCP;

	switch (what) {
	case 0:
		ip[f->v6 ? 7 : 8]--;
		break;
	case 1:
		ip[1] ^= f->v6 ? 0x10 : 1;
		break;
	case 2:
		ip[1] ^= f->v6 ? 1 : 0x80;
		break; /* flow label; DSCP */
	case 3:
		l4[0] ^= 1;
		break;
	case 4:
		ip[f->v6 ? 39 : 19] ^= 1;
		break;
	case 5:
		frame_resize(f, f->payload + 1);
		break;
	case 6:
		f->bytes[f->len - 1] ^= 1;
		return true; /* after the sum */
	case 7:
		if (f->v6)
			return false;
		ip[6] ^= 0x40;
		break;
	case 8:
		if (f->v6)
			return false;
		ip[6] ^= 0x20; /* MF */
		break;
	case 9:
		if (f->v6)
			return false;
		ip[6] &= (uint8_t)~0x40;
		put16(ip + 4, 99);
		break;
	default:
		if (!tcp || what > 19)
			return false;
		switch (what) {
		case 10:
			l4[7]++;
			break;
		case 11:
			l4[11]++;
			break;
		case 12:
			l4[13] |= RTE_TCP_SYN_FLAG;
			break;
		case 13:
			l4[13] |= RTE_TCP_RST_FLAG;
			break;
		case 14:
			l4[13] |= RTE_TCP_URG_FLAG;
			break;
		case 15:
			l4[13] |= RTE_TCP_CWR_FLAG;
			break;
		case 16:
			l4[13] |= RTE_TCP_ECE_FLAG;
			break;
		case 17:
			l4[25] ^= 1;
			break; /* an option */
		case 18:
			l4[13] = 0;
			break;
		default:
			frame_resize(f, 0);
			break;
		}
	}
	frame_sums(f);
	return true;
}

static void what_differs_stays_alone(void)
{
	uint8_t want[2][2048];

	start();
	for (unsigned k = 0; k < 4 * 20; k++) {
		struct sender *s = &senders[0];
		struct rte_mbuf *pkts[3];
		uint64_t saved;

		sender_start(s, k & 1, k & 2 ? IPPROTO_UDP : IPPROTO_TCP, 0, true);
		sender_next(s, 1000, RTE_TCP_ACK_FLAG);
		pkts[0] = packet_of(&s->frame);
		sender_next(s, 1000, RTE_TCP_ACK_FLAG);
		if (!change(s, k / 4)) {
			rte_pktmbuf_free(pkts[0]);
			continue;
		}
		pkts[1] = packet_of(&s->frame);
		mbuf_bytes(pkts[0], want[0]);
		mbuf_bytes(pkts[1], want[1]);
		CU_ASSERT_EQUAL(gro_merge(pkts, 2, BOTH, &saved), 2);
		CU_ASSERT_EQUAL(saved, 0);
		for (unsigned i = 0; i < 2; i++) {
			uint8_t got[2048];
			uint32_t len = mbuf_bytes(pkts[i], got);

			CU_ASSERT_EQUAL(pkts[i]->ol_flags, 0);
			CU_ASSERT_EQUAL(memcmp(got, want[i], len), 0);
			rte_pktmbuf_free(pkts[i]);
		}
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/** What is large already, shared, or no packet at all. */
static void what_cannot_be_is_left(void)
{
	struct sender *s = &senders[0];
	struct rte_mbuf *pkts[4];
	uint64_t saved;

	start();
	sender_start(s, false, IPPROTO_TCP, 0, true);
	for (unsigned i = 0; i < 3; i++) {
		sender_next(s, 1000, RTE_TCP_ACK_FLAG);
		pkts[i] = packet_of(&s->frame);
	}
	pkts[1]->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM;
	pkts[3] = rte_pktmbuf_alloc(pool);
	CU_ASSERT_EQUAL(gro_merge(pkts, 4, BOTH, &saved), 4);
	pkts[1]->ol_flags = 0;
	rte_mbuf_refcnt_update(pkts[1], 1);
	CU_ASSERT_EQUAL(gro_merge(pkts, 4, BOTH, &saved), 4);
	rte_mbuf_refcnt_update(pkts[1], -1);
	CU_ASSERT_EQUAL(gro_merge(pkts, 4, BOTH, &saved), 2);
	rte_pktmbuf_free_bulk(pkts, 1);
	rte_pktmbuf_free(pkts[1]);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/** Any bytes: nothing is read or written outside, nothing leaks. */
static void any_bytes_are_survived(void)
{
	start();
	for (unsigned round = 0; round < 20000; round++) {
		struct rte_mbuf *pkts[4];
		uint64_t saved, bytes = 0;
		uint16_t left;

		sender_start(
			&senders[0], round & 1, round & 2 ? IPPROTO_UDP : IPPROTO_TCP, 0, true);
		for (unsigned i = 0; i < 4; i++) {
			struct frame *f = &senders[0].frame;

			sender_next(&senders[0], 20, RTE_TCP_ACK_FLAG);
			for (unsigned k = (unsigned)rand() % 4; k > 0; k--)
				f->bytes[12 + rand() % 60] = (uint8_t)rand();
			pkts[i] = packet_of(f);
			rte_pktmbuf_trim(pkts[i],
				(uint16_t)(rand() % 8 == 0 ? rand() % (pkts[i]->data_len + 1) : 0));
			pkts[i]->ol_flags = rand() & 1 ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : 0;
			bytes += pkts[i]->pkt_len;
		}
		left = gro_merge(pkts, 4, BOTH, &saved);
		for (unsigned i = 0; i < left; i++) {
			rte_mbuf_sanity_check(pkts[i], 1);
			bytes -= pkts[i]->pkt_len;
			if (pkts[i]->ol_flags & OFFLOAD_LARGE)
				CU_ASSERT_TRUE(offload_segment_count(pkts[i]) > 1);
		}
		CU_ASSERT_EQUAL(bytes, saved);
		rte_pktmbuf_free_bulk(pkts, left);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static const struct test_case cases[] = {
	{ "any stream, merged and cut again, is itself", any_stream_survives },
	{ "a stream becomes one packet", streams_become_one },
	{ "what differs stays alone", what_differs_stays_alone },
	{ "what is large or shared is left", what_cannot_be_is_left },
	{ "any bytes are survived", any_bytes_are_survived },
};
SUITE_MAIN("gro", cases)
