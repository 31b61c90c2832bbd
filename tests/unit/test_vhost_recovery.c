/* SPDX-License-Identifier: Apache-2.0 */
/** vhost rings taken over from a daemon that died: wherever it did, each descriptor is given back once. */
#include "tests/unit/vhost_frames.h"

#include "dataplane/counters.h"

#include <linux/virtio_net.h>
#include <rte_random.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* --- a packed ring without a record ------------------------------------------------------------------------------- */

/* At every position of two passes, with every number of chains waiting, the position is found from the slots alone; also
 * when the burst in which the process died was not published. */
static void test_recover(void)
{
	uint8_t hdr[12] = { 0 }, frame[60] = { 0 };
	struct rte_mbuf *got[DRIVER_SIZE];
	struct driver d;
	uint32_t len;

	setup();
	driver_open(&d, true, false, 0);
	for (unsigned done = 0; done < 2 * DRIVER_SIZE + 3; done++) {
		for (unsigned waiting = 0; waiting <= DRIVER_SIZE; waiting += 1 + waiting / 3) {
			struct virtq_place want = d.queue.ring.at;
			struct virtq copy = d.queue.ring;
			uint16_t n;

			for (unsigned i = 0; i < waiting; i++)
				guest_sends(&d, ONE, hdr, frame, sizeof(frame), (uint16_t)i);
			copy.at = (struct virtq_place){ 0, true };
			CU_ASSERT_TRUE_FATAL(virtq_recover(&copy));
			CU_ASSERT_EQUAL_FATAL(copy.at.next, want.next);
			CU_ASSERT_EQUAL_FATAL(copy.at.wrap, want.wrap);
			n = vhost_queue_rx(&d.queue, pool, large, got, DRIVER_SIZE);
			CU_ASSERT_EQUAL_FATAL(n, waiting);
			rte_pktmbuf_free_bulk(got, n);
			if (n > 1) { /* as if it had died before the last store */
				struct virtq_desc_packed *held = &driver_packed(&d)[want.next];

				held->flags = want.wrap ? VIRTQ_AVAIL : VIRTQ_USED;
				copy = d.queue.ring;
				copy.at = (struct virtq_place){ 0, true };
				if (want.next + n <= DRIVER_SIZE) {
					CU_ASSERT_TRUE(virtq_recover(&copy));
					CU_ASSERT_EQUAL(copy.at.next, d.queue.ring.at.next);
				}
				held->flags = want.wrap ? VIRTQ_AVAIL | VIRTQ_USED : 0;
			}
			for (unsigned i = 0; i < waiting; i++)
				CU_ASSERT_EQUAL(driver_take(&d, &len), i);
		}
		guest_sends(&d, ONE, hdr, frame, sizeof(frame), 0);
		CU_ASSERT_EQUAL(vhost_queue_rx(&d.queue, pool, large, got, 1), 1);
		rte_pktmbuf_free(got[0]);
		driver_take(&d, &len);
	}
	driver_close(&d);
}

/* --- at every store ------------------------------------------------------------------------------------------------- */

#define RECORD	 0xe000u  /* between the rings; the guest's side keeps it */
#define RINGS	 0x10000u /* what of the memory is compared and kept */
#define STATES	 256
#define CHAINS	 6
#define FRAME(i) (60 + 700 * (i))

static struct state {
	uint8_t rings[RINGS];
} states[STATES];
static uint8_t *kept; /* the memory before the burst */

static void device_fresh(struct driver *d)
{
	close(d->queue.call_fd);
	memset(&d->queue, 0, sizeof(d->queue));
	driver_device(d, VHOST_MERGEABLE);
}

/** A new daemon, with what librte_vhost and the front end tell it. */
static void device_resume(struct driver *d)
{
	struct virtq *r = &d->queue.ring;

	device_fresh(d);
	if (d->packed) {
		r->record = (void *)(d->memory + RECORD);
		CU_ASSERT_TRUE_FATAL(virtq_resume(r));
	} else {
		r->at.next = atomic_load(&driver_used(d)->idx);
	}
	vhost_queue_start(&d->queue);
}

static void burst_from(struct driver *d)
{
	struct rte_mbuf *got[DRIVER_SIZE];
	uint16_t n = vhost_queue_rx(&d->queue, pool, large, got, DRIVER_SIZE);

	rte_pktmbuf_free_bulk(got, n);
}

static void burst_to(struct driver *d)
{
	struct rte_mbuf *pkts[3];
	uint16_t n;

	for (unsigned i = 0; i < 3; i++)
		pkts[i] = mbuf_make(FRAME(2 * i), i, 2048);
	n = vhost_queue_tx(&d->queue, pkts, 3);
	rte_pktmbuf_free_bulk(pkts + n, 3u - n);
}

/** Run a burst in a process of its own, an instruction at a time, and keep what a successor would find after each of its
 * stores. @return how many. */
static unsigned states_of(struct driver *d, void (*burst)(struct driver *d))
{
	unsigned count = 0;
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(1); /* or nobody would wake it */
		raise(SIGSTOP);
		burst(d);
		_exit(0);
	}
	memcpy(states[count++].rings, d->memory, RINGS);
	while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		if (memcmp(states[count - 1].rings, d->memory, RINGS) != 0) {
			CU_ASSERT_FATAL(count < STATES);
			memcpy(states[count++].rings, d->memory, RINGS);
		}
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) < 0)
			break;
	}
	CU_ASSERT_FATAL(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return count;
}

/** The driver takes what was used. *seen: bits by id. Frames to it are complete, and nothing is between them. */
static void take_all(struct driver *d, const struct part *parts, bool to_driver, uint64_t *seen)
{
	static uint8_t frame[70000], want[70000];
	uint32_t len, size = 0, left = 0;
	int id;

	while ((id = driver_take(d, &len)) >= 0) {
		CU_ASSERT_EQUAL_FATAL(*seen >> id & 1, 0);
		*seen |= 1ull << id;
		if (!to_driver) {
			CU_ASSERT_EQUAL(len, 0);
			continue;
		}
		CU_ASSERT_FATAL(len > 0 && len <= parts[id].len);
		if (left == 0) {
			left = ((struct virtio_net_hdr_mrg_rxbuf *)(void *)driver_at(
					d, parts[id].addr))
				       ->num_buffers;
			size = 0;
		}
		memcpy(frame + size, driver_at(d, parts[id].addr), len);
		size += len;
		if (--left > 0)
			continue;
		for (len = 0; len < 9; len++) { /* which of the frames it is */
			pattern(want, FRAME(len), len / 2);
			if (size == FRAME(len) + 12 && memcmp(want, frame + 12, FRAME(len)) == 0)
				break;
		}
		CU_ASSERT_TRUE(len < 9);
	}
	CU_ASSERT_EQUAL(left, 0);
}

/** Buffers of every shape, taken by one daemon, given back by it or the next: each once, whichever store was the last. */
static void die_everywhere(bool packed, bool to_driver, unsigned offset)
{
	static uint8_t frame[70000];
	struct part parts[DRIVER_SIZE];
	uint8_t hdr[12] = { 0 };
	struct driver d, before;
	unsigned count;

	setup();
	driver_open(&d, packed, false, VHOST_MERGEABLE);
	CU_ASSERT_PTR_EQUAL_FATAL(mmap(d.memory, DRIVER_MEMORY, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		d.memory);
	if (packed) {
		d.queue.ring.record = (void *)(d.memory + RECORD);
		virtq_record_open(&d.queue.ring);
	}
	for (unsigned i = 0; i < offset; i++) { /* nearly around */
		uint32_t len;

		guest_sends(&d, ONE, hdr, frame, 60, 0);
		burst_from(&d);
		CU_ASSERT_EQUAL(driver_take(&d, &len), 0);
	}
	for (unsigned i = 0; i < CHAINS; i++) {
		if (to_driver) {
			parts[i * 8] = (struct part){ driver_buffer(&d, 1536), 1536 };
			driver_add(&d, &parts[i * 8], 1, true, i % 3 == 2, (uint16_t)(i * 8));
		} else {
			pattern(frame, FRAME(i), i);
			guest_sends(&d, (enum shape)((i + offset) % SHAPES), hdr, frame, FRAME(i),
				(uint16_t)(i * 8));
		}
	}
	kept = malloc(DRIVER_MEMORY);
	memcpy(kept, d.memory, DRIVER_MEMORY);
	before = d;
	count = states_of(&d, to_driver ? burst_to : burst_from);
	CU_ASSERT_TRUE(count > CHAINS);
	for (unsigned i = 0; i < count; i++) {
		uint64_t seen = 0, all = 0;

		/* Buffers hold what the whole burst wrote or nothing: it copies before it uses. Rings are as they were then. */
		if (i == 0)
			memcpy(kept + RINGS, d.memory + RINGS, DRIVER_MEMORY - RINGS);
		before.queue = d.queue;
		d = before;
		memcpy(d.memory, states[i].rings, RINGS);
		memcpy(d.memory + RINGS, kept + RINGS, DRIVER_MEMORY - RINGS);
		device_resume(&d);
		take_all(&d, parts, to_driver, &seen);
		for (unsigned round = 0; round < 3; round++)
			(to_driver ? burst_to : burst_from)(&d);
		take_all(&d, parts, to_driver, &seen);
		for (unsigned k = 0; k < CHAINS; k++)
			all |= 1ull << (k * 8);
		CU_ASSERT_EQUAL(seen, all);
		/* And on, around the ring. */
		for (unsigned k = 0; k < 2 * DRIVER_SIZE; k++) {
			uint32_t len;

			guest_sends(&d, (enum shape)(k % SHAPES), hdr, frame, 60, 1);
			burst_from(&d);
			CU_ASSERT_EQUAL_FATAL(driver_take(&d, &len), 1);
		}
	}
	free(kept);
	driver_close(&d);
}

static void test_every_store(void)
{
	static const unsigned offsets[] = { 0, 59, 62 };

	for (unsigned way = 0; way < 4; way++) {
		for (size_t i = 0; i < RTE_DIM(offsets); i++)
			die_everywhere(way & 1, way & 2, offsets[i]);
	}
}

/* A record that can't be true is not followed, and any that could be leads to no place outside the ring. */
static void test_record_lies(void)
{
	struct driver d;
	unsigned refused = 0;

	setup();
	driver_open(&d, true, false, 0);
	d.queue.ring.record = (void *)(d.memory + RECORD);
	for (unsigned round = 0; round < 20000; round++) {
		struct virtq_record *record = d.queue.ring.record;
		struct rte_mbuf *got[8];

		for (unsigned i = 0; i < d.size; i++)
			driver_packed(&d)[i].flags = (uint16_t)rte_rand();
		atomic_store(
			&record->start, (uint32_t)rte_rand() & (round & 1 ? UINT32_MAX : 0x803f));
		atomic_store(&record->last, rte_rand() & (round & 1 ? UINT64_MAX : 0xff803f803f));
		if (!virtq_resume(&d.queue.ring)) {
			refused++;
			continue;
		}
		CU_ASSERT_TRUE(d.queue.ring.at.next < d.size);
		rte_pktmbuf_free_bulk(got, vhost_queue_rx(&d.queue, pool, large, got, 8));
		d.queue.ring.broken = false;
	}
	CU_ASSERT_TRUE(refused > 10000 && refused < 20000);
	driver_close(&d);
}

static const struct test_case cases[] = {
	{ "recovery of a packed ring", test_recover },
	{ "death at every store", test_every_store },
	{ "records that lie", test_record_lies },
};

SUITE_MAIN("vhost recovery", cases)
