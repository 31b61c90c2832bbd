/* SPDX-License-Identifier: Apache-2.0 */
/** A hostile virtio driver: rings, indirect tables and events of its choice, split and packed, between bursts of ours both
 * ways, and daemons that come after each other, with a record of what was in flight and without. The input is how the
 * driver is (see LLVMFuzzerTestOneInput) and a list of operations, see enum operation. Its memory lies between pages that
 * can't be touched. Whatever it does, no packet may be malformed and no buffer lost, and when it sets its rings up again
 * frames pass both ways.
 */
#include "dataplane/offload.h"
#include "dataplane/virtio_hdr.h"
#include "tests/fuzz/mbufs.h"
#include "tests/unit/vhost_driver.h"

#define RECORD	   0xe000u /* between the rings */
#define OPERATIONS 200
#define BURST	   32

enum operation {
	OP_BYTES,
	OP_DESC,
	OP_TABLE,
	OP_AVAIL,
	OP_CHAIN,
	OP_EVENT,
	OP_RX,
	OP_TX,
	OP_BACK,
	OP_ARM,
	OP_TAKE,
	OP_SUCCESSOR,
	OP_COUNT
};

static struct driver driver;
static uint8_t guest; /* what it negotiated */
static bool ten_bytes;

/* --- the driver's side -------------------------------------------------------------------------------------------- */

/** An address: inside the buffers, where a region or the memory ends, in the rings, or anywhere. */
static uint64_t address(struct input *in)
{
	static const uint64_t bases[] = { DRIVER_GUEST + DRIVER_RINGS,
		DRIVER_GUEST + DRIVER_MEMORY / 2 - 128, DRIVER_GUEST + DRIVER_MEMORY - 128,
		DRIVER_GUEST, DRIVER_GUEST + 0x10000, 0, UINT64_MAX - 128, DRIVER_GUEST - 128 };
	const uint8_t base = input_u8(in);

	return bases[base % RTE_DIM(bases)] + (base & 0x80 ? input_u16(in) : input_u8(in));
}

static uint32_t length(struct input *in)
{
	const uint8_t kind = input_u8(in);

	return kind < 224   ? kind & 0x1f ? kind * 12u : kind * 1024u
	       : kind < 250 ? input_u16(in)
			    : input_u32(in);
}

static struct part part(struct input *in)
{
	const uint64_t addr = address(in);

	return (struct part){ addr, length(in) };
}

/** One descriptor in the ring, as the driver's pass would have it or not. */
static void descriptor(struct input *in)
{
	const uint8_t slot = input_u8(in) % DRIVER_SIZE, flags = input_u8(in), next = input_u8(in);
	const struct part p = part(in);

	if (driver.packed)
		driver_packed(&driver)[slot] = (struct virtq_desc_packed){ p.addr, p.len, next,
			(uint16_t)((flags & 7) | (flags & 64 ? VIRTQ_AVAIL : 0) |
				   (flags & 128 ? VIRTQ_USED : 0)) };
	else
		driver_desc(&driver)[slot] =
			(struct virtq_desc_split){ p.addr, p.len, flags & 15, next };
}

static void table(struct input *in)
{
	const uint32_t at =
		0x10000 + (input_u8(in) % DRIVER_SIZE) * 0x400u + (input_u8(in) % 32) * 16u;
	const uint8_t flags = input_u8(in) & 15, next = input_u8(in);
	const struct part p = part(in);

	if (driver.packed)
		*(struct virtq_desc_packed *)(void *)(driver.memory + at) =
			(struct virtq_desc_packed){ p.addr, p.len, next, flags };
	else
		*(struct virtq_desc_split *)(void *)(driver.memory + at) =
			(struct virtq_desc_split){ p.addr, p.len, flags, next };
}

static void avail(struct input *in)
{
	const uint8_t slot = input_u8(in) % DRIVER_SIZE, ahead = input_u8(in);
	const uint16_t id = input_u8(in);

	atomic_store(&driver_avail(&driver)->ring[slot],
		ahead & 128 ? (uint16_t)(id << 8) : id % DRIVER_SIZE);
	atomic_store(
		&driver_avail(&driver)->idx, (uint16_t)(driver.queue.ring.at.next + (ahead & 127)));
}

/** A chain as drivers make them, of parts that may be anything; a frame's header and beginning in the first. */
static void chain(struct input *in)
{
	const uint8_t kind = input_u8(in), id = input_u8(in) % (DRIVER_SIZE - 8);
	const uint16_t n = (uint16_t)(1 + (kind & 7));
	struct part parts[8];
	uint8_t bytes[96];
	size_t have;

	for (unsigned i = 0; i < n; i++) {
		parts[i] = part(in);
		if (kind & 8) /* where it can be */
			parts[i].addr =
				driver_buffer(&driver, parts[i].len = parts[i].len % 40000 + 1);
	}
	if (kind & 32) {
		have = input_bytes(in, bytes, input_u8(in) % sizeof(bytes));
		if (parts[0].addr >= DRIVER_GUEST &&
			parts[0].addr - DRIVER_GUEST < DRIVER_MEMORY - sizeof(bytes))
			memcpy(driver_at(&driver, parts[0].addr), bytes, have);
	}
	driver_add(&driver, parts, n, kind & 16, kind & 64, id);
}

static void event(struct input *in)
{
	const uint16_t value = input_u16(in), flags = input_u8(in) % 4;

	if (driver.packed) {
		atomic_store(&driver_events(&driver)[0].off_wrap, value);
		atomic_store(&driver_events(&driver)[0].flags, flags);
	} else {
		atomic_store(&driver_avail(&driver)->flags, flags);
		atomic_store(&driver_avail(&driver)->ring[DRIVER_SIZE], value);
	}
}

/** What it may take by its own account; its position is kept inside the ring, as a driver's would. */
static void take(void)
{
	uint32_t len;

	for (unsigned i = 0; i < DRIVER_SIZE; i++) {
		const uint16_t slot = (uint16_t)(driver.last_used % DRIVER_SIZE);

		if (driver.packed && driver_packed(&driver)[slot].id >= DRIVER_SIZE)
			break;
		if (!driver.packed && driver_used(&driver)->ring[slot].id >= DRIVER_SIZE)
			break;
		if (driver_take(&driver, &len) < 0)
			break;
	}
	driver.last_used =
		driver.packed ? (uint16_t)(driver.last_used % DRIVER_SIZE) : driver.last_used;
}

/* --- ours ----------------------------------------------------------------------------------------------------------- */

static uint16_t receive(struct rte_mbuf **pkts, unsigned n)
{
	const uint16_t got =
		vhost_queue_rx(&driver.queue, mbufs_pool, NULL, pkts, (uint16_t)(n % BURST + 1));

	for (uint16_t i = 0; i < got; i++) {
		const struct rte_mbuf *m = pkts[i];
		const bool large = (m->ol_flags & OFFLOAD_LARGE) != 0;

		mbufs_check(m);
		REQUIRE(m->pkt_len >= 14 && m->pkt_len <= VHOST_FRAME_MAX, "a frame of %u bytes",
			m->pkt_len);
		REQUIRE(rte_pktmbuf_headroom(m) == RTE_PKTMBUF_HEADROOM, "headroom");
		REQUIRE(!large || (m->tso_segsz > 0 && m->ol_flags & RTE_MBUF_F_TX_L4_MASK &&
					  (uint32_t)m->l2_len + m->l3_len + m->l4_len <=
						  rte_pktmbuf_data_len(m)),
			"a large packet without headers");
	}
	return got;
}

static void transmit(struct rte_mbuf **pkts, uint16_t n)
{
	const uint16_t sent = vhost_queue_tx(&driver.queue, pkts, n);

	REQUIRE(sent <= n, "%u of %u sent", sent, n);
	rte_pktmbuf_free_bulk(pkts + sent, n - sent);
}

static void make_and_transmit(struct input *in)
{
	static const uint8_t bytes[9000] = { [12] = 0x08, [14] = 0x45 };
	const uint8_t kind = input_u8(in);
	const struct cuts cuts = { .count = kind >> 4 & 3, .len = { 60, 1, 700, 13 } };
	const uint16_t len = input_u16(in), n = (uint16_t)(kind % 8 + 1);
	struct rte_mbuf *pkts[8];

	for (uint16_t i = 0; i < n; i++)
		pkts[i] = mbufs_packet(bytes, len % sizeof(bytes) + 1u, &cuts);
	transmit(pkts, n);
}

/** Another daemon: it knows what the record says, what is found, or what a guest says. */
static void successor(uint8_t kind, uint16_t base)
{
	struct virtq *r = &driver.queue.ring;

	close(driver.queue.call_fd);
	memset(&driver.queue, 0, sizeof(driver.queue));
	driver_device(&driver, guest);
	driver.queue.header_size = ten_bytes ? 10 : 12;
	r->at.next = driver.packed ? base % DRIVER_SIZE : base;
	r->at.wrap = base >> 15;
	if (driver.packed && kind & 1)
		virtq_recover(r);
	if (driver.packed && kind & 2) {
		r->record = (void *)(driver.memory + RECORD);
		if (!virtq_resume(r))
			virtq_record_open(r);
	}
	REQUIRE(!driver.packed || r->at.next < r->size, "a position of %u", r->at.next);
	vhost_queue_start(&driver.queue);
}

static void play(struct input *in)
{
	struct rte_mbuf *pkts[BURST];
	uint8_t bytes[32], n;
	uint16_t at;

	switch (input_u8(in) % OP_COUNT) {
	case OP_BYTES:
		at = input_u16(in);
		n = input_u8(in) % sizeof(bytes);
		input_bytes(in, bytes, n);
		memcpy(driver.memory + at, bytes, n);
		break;
	case OP_DESC:
		descriptor(in);
		break;
	case OP_TABLE:
		table(in);
		break;
	case OP_AVAIL:
		avail(in);
		break;
	case OP_CHAIN:
		chain(in);
		break;
	case OP_EVENT:
		event(in);
		break;
	case OP_RX:
		n = (uint8_t)receive(pkts, input_u8(in));
		rte_pktmbuf_free_bulk(pkts, n);
		break;
	case OP_TX:
		make_and_transmit(in);
		break;
	case OP_BACK: /* what it sends comes back to it */
		transmit(pkts, receive(pkts, input_u8(in)));
		break;
	case OP_ARM:
		vhost_queue_arm(&driver.queue, input_u8(in) & 1);
		break;
	case OP_TAKE:
		take();
		break;
	default:
		n = input_u8(in);
		successor(n, input_u16(in));
		break;
	}
}

/** It sets its rings up anew, and is honest. */
static void honest(void)
{
	const struct part parts[2] = { { driver_buffer(&driver, 100), 100 },
		{ driver_buffer(&driver, 2000), 2000 } };
	static const struct cuts whole;
	struct rte_mbuf *m;
	uint32_t len;

	memset(driver.memory, 0, 0x10000);
	driver.next = driver.last_used = 0;
	driver.wrap = driver.used_wrap = true;
	successor(0, 0x8000 & (driver.packed ? 0xffff : 0));
	driver.queue.ring.at.next = 0;
	memset(driver_at(&driver, parts[0].addr), 0, 100);
	driver_add(&driver, parts, 1, false, true, 1);
	REQUIRE(receive(&m, 0) == 1 && m->pkt_len == 100u - driver.queue.header_size,
		"an honest frame is not taken");
	REQUIRE(driver_take(&driver, &len) == 1, "an honest frame is not given back");
	rte_pktmbuf_free(m);
	m = mbufs_packet(driver.memory, 1000, &whole);
	driver_add(&driver, parts, 2, true, false, 2);
	REQUIRE(vhost_queue_tx(&driver.queue, &m, 1) == 1 && driver_take(&driver, &len) == 2 &&
			len == 1000u + driver.queue.header_size,
		"an honest buffer is not used");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const uint8_t how = input_u8(&in);

	mbufs_setup();
	guest = input_u8(&in);
	driver_open(&driver, how & 1, how & 2, guest);
	ten_bytes = (how & 4) && !(how & 1) && !(guest & VHOST_MERGEABLE);
	driver.queue.header_size = ten_bytes ? 10 : 12;
	if (how & 1 && how & 8) {
		driver.queue.ring.record = (void *)(driver.memory + RECORD);
		virtq_record_open(&driver.queue.ring);
	}
	for (unsigned i = 0; i < OPERATIONS && in.left > 0; i++) {
		play(&in);
		mbufs_all_back("an operation");
	}
	honest();
	mbufs_all_back("honest frames");
	driver_close(&driver);
	return 0;
}
