/* SPDX-License-Identifier: Apache-2.0 */
/** vhost rings against a driver written from the specification: frames both ways in every ring format, offloads, events,
 * drivers that lie, and the hand-over between threads. */
#include "tests/unit/vhost_frames.h"

#include "dataplane/counters.h"
#include "dataplane/offload.h"
#include "dataplane/vhost_guard.h"
#include "dataplane/virtio_hdr.h"
#include "tests/unit/suite.h"

#include <pthread.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_random.h>
#include <rte_tcp.h>

/* Around the ring some times, so that wrap counters and indexes turn over. */
static void from_guest(struct driver *d)
{
	static const uint32_t lengths[] = { 14, 60, 1514, 1920, 2048, 2049, 9014, 40000, 65549 };
	static uint8_t frame[65600];
	uint8_t hdr[12] = { 0 };

	for (uint32_t round = 0; round < 200; round++) {
		struct rte_mbuf *got[8];
		uint32_t n = 1 + round % 4, len;

		for (uint32_t i = 0; i < n; i++) {
			pattern(frame, lengths[(round + i) % RTE_DIM(lengths)], round + i);
			guest_sends(d, (enum shape)((round + i) % SHAPES), hdr, frame,
				lengths[(round + i) % RTE_DIM(lengths)], (uint16_t)(i * 8));
		}
		CU_ASSERT_EQUAL_FATAL(vhost_queue_rx(&d->queue, pool, large, got, RTE_DIM(got)), n);
		for (uint32_t i = 0; i < n; i++) {
			CU_ASSERT_TRUE(mbuf_is(
				got[i], lengths[(round + i) % RTE_DIM(lengths)], round + i));
			CU_ASSERT_EQUAL(got[i]->ol_flags, 0);
			CU_ASSERT_EQUAL(driver_take(d, &len), i * 8);
			CU_ASSERT_EQUAL(len, 0);
		}
		CU_ASSERT_EQUAL(driver_take(d, &len), -1);
		rte_pktmbuf_free_bulk(got, n);
	}
	CU_ASSERT_EQUAL(counter_read(&d->queue.packets), 200 / 4 * (1 + 2 + 3 + 4));
	CU_ASSERT_EQUAL(counter_read(&d->queue.errors), 0);
}

static void test_from_guest(void)
{
	each_format(from_guest, VHOST_MERGEABLE);
}

/* Small buffers of the guest, one across the border of two regions now and then. */
static void to_guest(struct driver *d)
{
	static const uint32_t lengths[] = { 60, 1514, 3000, 9014, 40000 };
	static uint8_t got[70000], want[70000];
	uint16_t free_id = 0;

	for (uint32_t round = 0; round < 200; round++) {
		uint32_t len = lengths[round % RTE_DIM(lengths)], room = 0,
			 size = round % 3 == 0 ? 2060 : 1536, left, n = 0;
		struct rte_mbuf *m = mbuf_make(len, round, round % 2 ? 2048 : 700);
		struct part posted[DRIVER_SIZE];
		struct virtio_net_hdr_mrg_rxbuf hdr;

		while (room < len + 12) {
			posted[n] = (struct part){ driver_buffer(d, size), size };
			driver_add(d, &posted[n], 1, true, round % 5 == 4, free_id);
			free_id = (uint16_t)((free_id + 1) % d->size);
			room += size;
			n++;
		}
		CU_ASSERT_EQUAL_FATAL(vhost_queue_tx(&d->queue, &m, 1), 1);
		left = len + 12;
		for (uint32_t i = 0; i < n; i++) {
			uint32_t used = 0, expected = RTE_MIN(left, size);

			CU_ASSERT_FATAL(driver_take(d, &used) >= 0);
			CU_ASSERT_EQUAL_FATAL(used, expected);
			memcpy(got + (len + 12 - left), driver_at(d, posted[i].addr), used);
			left -= used;
		}
		CU_ASSERT_EQUAL(driver_take(d, &room), -1);
		memcpy(&hdr, got, 12);
		CU_ASSERT_EQUAL(hdr.num_buffers, n);
		CU_ASSERT_EQUAL(hdr.hdr.flags, 0);
		pattern(want, len, round);
		CU_ASSERT_EQUAL(memcmp(got + 12, want, len), 0);
	}
	CU_ASSERT_EQUAL(counter_read(&d->queue.errors), 0);
}

static void test_to_guest(void)
{
	each_format(to_guest, VHOST_MERGEABLE);
}

/* Not enough buffers: the packet stays. Not mergeable and too small: it can never go, and does not hold up others. */
static void no_room(struct driver *d)
{
	struct part small = { driver_buffer(d, 1536), 1536 };
	struct rte_mbuf *pkts[3] = { mbuf_make(2000, 1, 2048), mbuf_make(60, 2, 2048),
		mbuf_make(61, 3, 2048) };
	uint32_t len;

	CU_ASSERT_EQUAL(vhost_queue_tx(&d->queue, pkts, 3), 0);
	driver_add(d, &small, 1, true, false, 3);
	CU_ASSERT_EQUAL(vhost_queue_tx(&d->queue, pkts, 3), 1);
	CU_ASSERT_EQUAL(driver_take(d, &len), 3);
	CU_ASSERT_EQUAL(len, 72);
	CU_ASSERT_EQUAL(counter_read(&d->queue.errors), 1);
	CU_ASSERT_TRUE(mbuf_is(pkts[1], 61, 3));
	CU_ASSERT_TRUE(mbuf_is(pkts[2], 2000, 1));
	rte_pktmbuf_free_bulk(&pkts[1], 2);
}

static void test_no_room(void)
{
	each_format(no_room, 0);
}

/* --- offloads ------------------------------------------------------------------------------------------------------ */

static uint32_t tcp_frame(uint8_t *frame, bool v6, uint32_t payload)
{
	struct rte_ether_hdr *eth = (void *)frame;
	struct rte_tcp_hdr *tcp;
	uint32_t l3 = v6 ? 40 : 20;

	memset(frame, 0, 14 + l3 + 20);
	eth->ether_type = rte_cpu_to_be_16(v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	if (v6) {
		struct rte_ipv6_hdr *ip = (void *)(eth + 1);

		ip->vtc_flow = rte_cpu_to_be_32(6u << 28);
		ip->payload_len = rte_cpu_to_be_16((uint16_t)(20 + payload));
		ip->proto = IPPROTO_TCP;
		ip->src_addr[15] = 1;
		ip->dst_addr[15] = 2;
		tcp = (void *)(ip + 1);
		tcp->cksum = rte_ipv6_phdr_cksum(ip, 0);
	} else {
		struct rte_ipv4_hdr *ip = (void *)(eth + 1);

		ip->version_ihl = 0x45;
		ip->total_length = rte_cpu_to_be_16((uint16_t)(40 + payload));
		ip->time_to_live = 64;
		ip->next_proto_id = IPPROTO_TCP;
		ip->src_addr = rte_cpu_to_be_32(0x0a000001);
		ip->dst_addr = rte_cpu_to_be_32(0x0a000002);
		tcp = (void *)(ip + 1);
		tcp->cksum = rte_ipv4_phdr_cksum(ip, 0);
	}
	tcp->data_off = 5 << 4;
	pattern((uint8_t *)(tcp + 1), payload, 9);
	return 14 + l3 + 20 + payload;
}

/* A large segment of a guest goes to another guest as it came: the header that arrives is the one that was sent. */
static void large_segment(struct driver *d)
{
	static uint8_t frame[65600];

	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct virtio_net_hdr_mrg_rxbuf
			hdr = { .hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6
						       : VIRTIO_NET_HDR_GSO_TCPV4,
					.gso_size = 1400,
					.hdr_len = v6 ? 74 : 54,
					.csum_start = v6 ? 54 : 34,
					.csum_offset = 16 } },
			out;
		uint32_t len = tcp_frame(frame, v6, 50000), used = 0;
		struct part buffer = { driver_buffer(d, 65600), 65600 };
		struct rte_mbuf *m;

		guest_sends(d, ONE, &hdr, frame, len, 0);
		CU_ASSERT_EQUAL_FATAL(vhost_queue_rx(&d->queue, pool, large, &m, 1), 1);
		CU_ASSERT_EQUAL(driver_take(d, &used), 0);
		CU_ASSERT_NOT_EQUAL(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG, 0);
		CU_ASSERT_EQUAL(m->tso_segsz, 1400);
		CU_ASSERT_EQUAL(m->pkt_len, len);
		driver_add(d, &buffer, 1, true, false, 1);
		CU_ASSERT_EQUAL_FATAL(vhost_queue_tx(&d->queue, &m, 1), 1);
		CU_ASSERT_EQUAL(driver_take(d, &used), 1);
		CU_ASSERT_EQUAL(used, len + 12);
		memcpy(&out, driver_at(d, buffer.addr), 12);
		hdr.num_buffers = 1;
		CU_ASSERT_EQUAL(memcmp(&out, &hdr, 12), 0);
		CU_ASSERT_EQUAL(memcmp(driver_at(d, buffer.addr) + 12, frame, len), 0);
	}
	CU_ASSERT_EQUAL(counter_read(&d->queue.segments), 4);
}

static void test_large_segment(void)
{
	each_format(large_segment, VHOST_GUEST_CSUM | VHOST_GUEST_TSO | VHOST_MERGEABLE);
}

/* UDP the same: a run of datagrams and a datagram to be fragmented, to a guest that takes that kind; not to another. */
static void large_datagrams(struct driver *d)
{
	static const uint8_t types[] = { VIRTIO_NET_HDR_GSO_UDP_L4, VIRTIO_NET_HDR_GSO_UDP };
	static const uint8_t takes[] = { VHOST_GUEST_USO, VHOST_GUEST_UFO };
	static uint8_t frame[65600];

	for (unsigned i = 0; i < 8; i++) {
		const bool v6 = i & 1, datagram = i & 2;
		uint32_t l4 = v6 ? 54 : 34, len, used = 0;
		struct virtio_net_hdr_mrg_rxbuf
			hdr = { .hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.gso_type = types[datagram],
					.gso_size = 1400,
					.hdr_len = (uint16_t)(l4 + 8),
					.csum_start = (uint16_t)l4,
					.csum_offset = 6 } },
			out;
		struct part buffer = { driver_buffer(d, 65600), 65600 };
		struct rte_mbuf *m;

		len = tcp_frame(frame, v6, 30000) - 12; /* as long a UDP header and payload */
		frame[v6 ? 20 : 23] = IPPROTO_UDP;
		frame[v6 ? 18 : 16] = (uint8_t)((len - (v6 ? 54 : 14)) >> 8);
		frame[v6 ? 19 : 17] = (uint8_t)(len - (v6 ? 54 : 14));
		d->queue.guest =
			(uint8_t)(VHOST_GUEST_CSUM | VHOST_MERGEABLE |
				  (i & 4 ? VHOST_GUEST_TSO | takes[!datagram] : takes[datagram]));
		guest_sends(d, ONE, &hdr, frame, len, 0);
		CU_ASSERT_EQUAL_FATAL(vhost_queue_rx(&d->queue, pool, large, &m, 1), 1);
		CU_ASSERT_EQUAL(driver_take(d, &used), 0);
		CU_ASSERT_EQUAL(offload_is_datagram(m), datagram);
		CU_ASSERT_NOT_EQUAL(m->ol_flags & RTE_MBUF_F_TX_UDP_SEG, 0);
		if (i & 4) {
			CU_ASSERT_EQUAL(vhost_queue_tx(&d->queue, &m, 1), 0);
			rte_pktmbuf_free(m);
			continue;
		}
		driver_add(d, &buffer, 1, true, false, 1);
		CU_ASSERT_EQUAL_FATAL(vhost_queue_tx(&d->queue, &m, 1), 1);
		CU_ASSERT_EQUAL(driver_take(d, &used), 1);
		memcpy(&out, driver_at(d, buffer.addr), 12);
		hdr.num_buffers = 1;
		CU_ASSERT_EQUAL(memcmp(&out, &hdr, 12), 0);
		CU_ASSERT_EQUAL(memcmp(driver_at(d, buffer.addr) + 12, frame, len), 0);
	}
	CU_ASSERT_EQUAL(counter_read(&d->queue.segments), 12);
}

static void test_large_datagrams(void)
{
	each_format(large_datagrams, 0);
}

/* A guest without checksum offload gets finished ones, and no large segments; one that lies about its frame is dropped. */
static void plain_guest(struct driver *d)
{
	static uint8_t frame[65600];
	struct virtio_net_hdr_mrg_rxbuf hdr = { .hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM |
								  VIRTIO_NET_HDR_F_DATA_VALID,
							.csum_start = 34,
							.csum_offset = 16 } };
	struct part buffer = { driver_buffer(d, 4096), 4096 };
	uint32_t len = tcp_frame(frame, false, 1000), used = 0;
	const struct rte_ipv4_hdr *ip = (void *)(driver_at(d, buffer.addr) + 12 + 14);
	struct rte_mbuf *m;

	guest_sends(d, TWO, &hdr, frame, len, 0);
	CU_ASSERT_EQUAL_FATAL(vhost_queue_rx(&d->queue, pool, large, &m, 1), 1);
	driver_take(d, &used);
	CU_ASSERT_NOT_EQUAL(m->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM, 0);
	CU_ASSERT_EQUAL(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, 0);
	driver_add(d, &buffer, 1, true, false, 2);
	CU_ASSERT_EQUAL_FATAL(vhost_queue_tx(&d->queue, &m, 1), 1);
	driver_take(d, &used);
	CU_ASSERT_EQUAL(driver_at(d, buffer.addr)[0], 0);
	CU_ASSERT_EQUAL(rte_ipv4_udptcp_cksum_verify(ip, (const uint8_t *)ip + 20), 0);

	m = mbuf_make(4000, 1, 2048);
	m->ol_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4;
	CU_ASSERT_EQUAL(vhost_queue_tx(&d->queue, &m, 1), 0);
	rte_pktmbuf_free(m);

	hdr.hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	hdr.hdr.gso_size = 1000;
	guest_sends(d, TWO, &hdr, frame, len, 4);
	CU_ASSERT_EQUAL(vhost_queue_rx(&d->queue, pool, large, &m, 1), 0);
	CU_ASSERT_EQUAL(driver_take(d, &used), 4);
	CU_ASSERT_EQUAL(counter_read(&d->queue.errors), 2);
}

static void test_plain_guest(void)
{
	each_format(plain_guest, 0);
}

/* --- events --------------------------------------------------------------------------------------------------------- */

static void driver_wants(struct driver *d, bool calls)
{
	if (d->packed) {
		atomic_store(&driver_events(d)[0].flags,
			calls ? VIRTQ_EVENT_ENABLE : VIRTQ_EVENT_DISABLE);
		if (calls && d->event_idx) {
			atomic_store(&driver_events(d)[0].off_wrap,
				(uint16_t)(d->last_used | (d->used_wrap ? 0x8000 : 0)));
			atomic_store(&driver_events(d)[0].flags, VIRTQ_EVENT_DESC);
		}
	} else if (d->event_idx) {
		atomic_store(&driver_avail(d)->ring[d->size],
			(uint16_t)(calls ? d->last_used : d->last_used - 1));
	} else {
		atomic_store(&driver_avail(d)->flags, calls ? 0 : VIRTQ_NO_INTERRUPT);
	}
}

/** Does the device want to be told of the next buffer? */
static bool driver_is_asked(struct driver *d)
{
	if (d->packed)
		return atomic_load(&driver_events(d)[1].flags) == VIRTQ_EVENT_ENABLE;
	if (d->event_idx)
		return *(uint16_t *)(void *)&driver_used(d)->ring[d->size] == d->next;
	return atomic_load(&driver_used(d)->flags) == 0;
}

static void events(struct driver *d)
{
	uint8_t hdr[12] = { 0 }, frame[60] = { 0 };
	struct rte_mbuf *m;
	uint32_t len;

	for (unsigned round = 0; round < 3 * DRIVER_SIZE; round++) {
		bool wants = round % 3 != 0;

		driver_wants(d, wants);
		guest_sends(d, ONE, hdr, frame, sizeof(frame), (uint16_t)(round % DRIVER_SIZE));
		CU_ASSERT_EQUAL_FATAL(vhost_queue_rx(&d->queue, pool, large, &m, 1), 1);
		rte_pktmbuf_free(m);
		CU_ASSERT_EQUAL(driver_calls(d), wants);
		driver_take(d, &len);

		CU_ASSERT_TRUE(vhost_queue_arm(&d->queue, true));
		CU_ASSERT_TRUE(driver_is_asked(d));
		guest_sends(d, ONE, hdr, frame, sizeof(frame), (uint16_t)(round % DRIVER_SIZE));
		CU_ASSERT_FALSE(vhost_queue_arm(&d->queue, true));
		CU_ASSERT_EQUAL_FATAL(vhost_queue_rx(&d->queue, pool, large, &m, 1), 1);
		rte_pktmbuf_free(m);
		driver_take(d, &len);
		driver_calls(d);
	}
}

static void test_events(void)
{
	each_format(events, 0);
}

/* --- a driver that lies ------------------------------------------------------------------------------------------- */

/* Single lies: each is one error, and what comes after it arrives. */
static void lies(struct driver *d)
{
	uint64_t end = DRIVER_GUEST + DRIVER_MEMORY;
	const struct part lie[][2] = {
		{ { end - 4, 4 } },	/* shorter than the header, at the end of memory */
		{ { end - 20, 20 } },	/* no frame behind it */
		{ { end - 100, 200 } }, /* half outside */
		{ { 0, 1514 } }, { { UINT64_MAX - 10, 1514 } }, { { DRIVER_GUEST, UINT32_MAX } },
		{ { DRIVER_GUEST, 1 }, { end - 1, 2000 } }, /* the header's rest outside */
		{ { DRIVER_GUEST, 3u << 20 } },		    /* no frame is that long */
	};
	uint8_t hdr[12] = { 0 }, frame[60];
	struct rte_mbuf *got[4], *m;
	uint32_t len;

	pattern(frame, sizeof(frame), 5);
	for (size_t i = 0; i < RTE_DIM(lie); i++) {
		uint16_t parts = lie[i][1].len > 0 ? 2 : 1;

		driver_add(d, lie[i], parts, false, i % 2, 0);
		guest_sends(d, ONE, hdr, frame, sizeof(frame), 8);
		CU_ASSERT_EQUAL_FATAL(vhost_queue_rx(&d->queue, pool, large, got, 4), 1);
		CU_ASSERT_TRUE(mbuf_is(got[0], sizeof(frame), 5));
		rte_pktmbuf_free(got[0]);
		CU_ASSERT_EQUAL(driver_take(d, &len), 0);
		CU_ASSERT_EQUAL(driver_take(d, &len), 8);
	}
	CU_ASSERT_EQUAL(counter_read(&d->queue.errors), RTE_DIM(lie));
	/* As buffers for us: those that hold the packet's length by their own account must not be written. */
	for (size_t i = 0; i < RTE_DIM(lie); i++) {
		struct part good = { driver_buffer(d, 1536), 1536 };

		m = mbuf_make(60, 1, 2048);
		driver_add(d, lie[i], lie[i][1].len > 0 ? 2 : 1, true, i % 2, 0);
		driver_add(d, &good, 1, true, false, 8);
		CU_ASSERT_EQUAL(vhost_queue_tx(&d->queue, &m, 1), 1);
		while (driver_take(d, &len) >= 0)
			continue;
		if (d->queue.ring.at.next !=
			d->next) { /* it fitted a lie, which is the guest's business */
			m = mbuf_make(60, 1, 2048);
			CU_ASSERT_EQUAL(vhost_queue_tx(&d->queue, &m, 1), 1);
			while (driver_take(d, &len) >= 0)
				continue;
		}
	}
}

static void test_lies(void)
{
	each_format(lies, VHOST_MERGEABLE);
}

/* Rings full of noise: nothing outside the guest's memory is touched (its neighbours are inaccessible), no burst is
 * endless, no buffer is lost. */
static void noise(struct driver *d)
{
	for (unsigned round = 0; round < 3000; round++) {
		struct rte_mbuf *got[32],
			*m = mbuf_make(1 + (uint32_t)rte_rand_max(3000), round, 2048);
		uint16_t n;

		for (unsigned i = 0; i < 0x10000 / 8; i++) {
			uint64_t word = rte_rand();

			if (rte_rand_max(4) == 0) /* an address inside, often near the end */
				word = DRIVER_GUEST +
				       (rte_rand_max(2) ? DRIVER_MEMORY - rte_rand_max(300)
							: rte_rand_max(DRIVER_MEMORY));
			else if (rte_rand_max(2) ==
				 0) /* a length, flags and a next that could be */
				word = rte_rand_max(3000) | rte_rand_max(8) << 32 |
				       rte_rand_max(DRIVER_SIZE) << 48 |
				       (d->packed ? rte_rand_max(8) << 48 |
							       (rte_rand_max(2) ? 1ull << 55
										: 1ull << 63)
						  : 0);
			if (i < d->size * 2u || rte_rand_max(64) == 0)
				((uint64_t *)d->memory)[i] = word;
		}
		atomic_store(&driver_avail(d)->idx,
			(uint16_t)(d->queue.ring.at.next + rte_rand_max(d->size + 2)));
		for (unsigned i = 0; i < d->size; i++)
			atomic_store(&driver_avail(d)->ring[i],
				(uint16_t)rte_rand_max(d->size + (round % 8 == 0)));
		if (d->queue.ring.broken)
			d->queue.ring.broken = false; /* the driver sets it up again */
		n = vhost_queue_rx(&d->queue, pool, large, got, RTE_DIM(got));
		rte_pktmbuf_free_bulk(got, n);
		if (vhost_queue_tx(&d->queue, &m, 1) == 0)
			rte_pktmbuf_free(m);
		vhost_queue_arm(&d->queue, round % 2);
	}
	CU_ASSERT_TRUE(counter_read(&d->queue.errors) > 1000);
}

static void test_noise(void)
{
	each_format(noise, VHOST_MERGEABLE | VHOST_GUEST_CSUM | VHOST_GUEST_TSO);
}

static void test_bounds(void)
{
	struct driver d;
	struct virtq r;

	setup();
	for (unsigned packed = 0; packed < 2; packed++) {
		driver_open(&d, packed, false, 0);
		r = d.queue.ring;
		CU_ASSERT_TRUE(virtq_valid(&r));
		r.size = 0;
		CU_ASSERT_FALSE(virtq_valid(&r));
		r.size = 32768;
		CU_ASSERT_TRUE(virtq_valid(&r));
		r.desc = (void *)(d.memory + DRIVER_MEMORY - 16 * 32768 + 16);
		CU_ASSERT_FALSE(virtq_valid(&r));
		r = d.queue.ring;
		r.desc = (void *)(d.memory + 8);
		CU_ASSERT_FALSE(virtq_valid(&r));
		r = d.queue.ring;
		r.used = NULL;
		CU_ASSERT_FALSE(virtq_valid(&r));
		r = d.queue.ring;
		r.size = 48;
		CU_ASSERT_EQUAL(virtq_valid(&r), packed);
		driver_close(&d);
	}
}

/* The guest truncates the file that is its memory: the ring is then empty or broken, and the process alive. */
static void test_memory_gone(void)
{
	for (unsigned packed = 0; packed < 2; packed++) {
		int file = memfd_create("guest", 0);
		uint64_t size = DRIVER_MEMORY;
		struct rte_mbuf *m;
		struct driver d;
		void *memory;

		setup();
		vhost_guard_start();
		driver_open(&d, packed, true, 0);
		memory = d.memory;
		CU_ASSERT_EQUAL_FATAL(ftruncate(file, DRIVER_MEMORY), 0);
		CU_ASSERT_PTR_EQUAL_FATAL(mmap(d.memory, size, PROT_READ | PROT_WRITE,
						  MAP_SHARED | MAP_FIXED, file, 0),
			d.memory);
		vhost_guard_set(7, &memory, &size, 1);
		CU_ASSERT_EQUAL(vhost_queue_rx(&d.queue, pool, large, &m, 1), 0);
		CU_ASSERT_EQUAL_FATAL(ftruncate(file, 0), 0);
		CU_ASSERT_EQUAL(vhost_queue_rx(&d.queue, pool, large, &m, 1), 0);
		vhost_queue_arm(&d.queue, true);
		m = mbuf_make(60, 1, 2048);
		CU_ASSERT_EQUAL(vhost_queue_tx(&d.queue, &m, 1), 0);
		rte_pktmbuf_free(m);
		CU_ASSERT_EQUAL(vhost_guard_faults(7), packed + 1);
		vhost_guard_set(7, NULL, NULL, 0);
		driver_close(&d);
		close(file);
	}
}

/* --- hand-over -------------------------------------------------------------------------------------------------------- */

static struct vhost_queue shared;
static uint64_t guarded, entered[2]; /* not atomic: what the hand-over protects */
static _Atomic bool over;

static void *worker(void *arg)
{
	uint64_t *mine = arg;

	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		if (!vhost_queue_enter(&shared, mine == &entered[0]))
			continue;
		guarded++;
		(*mine)++;
		vhost_queue_leave(&shared);
	}
	return NULL;
}

/* Two workers share a ring while set-up takes it away again and again: none of the three ever meets another. */
static void test_hand_over(void)
{
	pthread_t threads[2];
	uint64_t stopped = 0;

	vhost_queue_start(&shared);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, worker, &entered[i]);
	for (unsigned round = 0; round < 2000; round++) {
		uint64_t before;

		vhost_queue_stop(&shared);
		before = guarded;
		usleep(round % 16 == 0 ? 50 : 0);
		stopped += guarded == before;
		guarded++;
		vhost_queue_start(&shared);
	}
	while (__atomic_load_n(&entered[0], __ATOMIC_RELAXED) == 0 ||
		__atomic_load_n(&entered[1], __ATOMIC_RELAXED) == 0)
		usleep(100);
	atomic_store(&over, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(stopped, 2000);
	CU_ASSERT_EQUAL(guarded, entered[0] + entered[1] + 2000);
}

static const struct test_case cases[] = {
	{ "frames from a guest", test_from_guest },
	{ "frames to a guest", test_to_guest },
	{ "no room", test_no_room },
	{ "large segments stay whole", test_large_segment },
	{ "large datagrams stay whole", test_large_datagrams },
	{ "a guest without offloads", test_plain_guest },
	{ "events", test_events },
	{ "lies", test_lies },
	{ "noise", test_noise },
	{ "bounds of rings", test_bounds },
	{ "memory that goes away", test_memory_gone },
	{ "hand-over", test_hand_over },
};

SUITE_MAIN("vhost queue", cases)
