/* SPDX-License-Identifier: Apache-2.0 */
/** The tc program that forwards flows of kernel pods (dataplane/tc/forward.bpf.h), run by the kernel over crafted frames
 * (BPF_PROG_TEST_RUN), against the worker whose flows they are: what the program forwards the worker forwards too, and in the same
 * bytes; everything else it has not touched. Needs root. */
#include "config/model.h"
#include "dataplane/pod_program.h"
#include "dataplane/plain.h"
#include "tests/unit/kernel_fixture.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOOPBACK 1    /* index of the interface that frames come in by */
#define TEST_MAX 3500 /* bytes that one run takes whatever the kernel is */

static struct pod_program *program;
static struct kernel_slot *shared; /* the program's slots */

/* --- the kernel's maps ------------------------------------------------------------------------------------------ */

static int flows_fd(bool v6)
{
	return pod_program_map(program, v6 ? KERNEL_FLOWS6_MAP : KERNEL_FLOWS4_MAP);
}
static int real_put(void *arg, bool v6, const void *key, const struct kernel_flow *flow)
{
	(void)arg;
	return bpf_map_update_elem(flows_fd(v6), key, flow, BPF_ANY) < 0 ? -errno : 0;
}
static int real_del(void *arg, bool v6, const void *key)
{
	(void)arg;
	return bpf_map_delete_elem(flows_fd(v6), key) < 0 ? -errno : 0;
}
static int real_slot(void *arg, bool v6, const void *key)
{
	struct kernel_flow flow;

	(void)arg;
	return bpf_map_lookup_elem(flows_fd(v6), key, &flow) < 0 ? -errno : (int)flow.slot;
}

static void program_start(void)
{
	const struct kernel_maps maps = { real_put, real_del, NULL, real_slot };
	struct error err;

	kernel_flows_stop();
	node_start();
	grace();
	pod_program_close(program);
	if (shared != NULL)
		munmap(shared, KERNEL_SLOTS * sizeof(*shared));
	CU_ASSERT_EQUAL_FATAL(pod_program_load(&program, &err), 0);
	shared = mmap(NULL, KERNEL_SLOTS * sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED,
		pod_program_map(program, KERNEL_SLOTS_MAP), 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(shared, MAP_FAILED);
	interface_set(POD_A, LOOPBACK);
	interface_set(POD_B, 1000 + POD_B);
	interface_set(ETH, 1000 + ETH);
	memset(&w->offers, 0, sizeof(w->offers));
	window_mode(FLOW_WINDOW_STRICT);
	CU_ASSERT_EQUAL_FATAL(kernel_flows_start(&maps, shared, w->flows, READER), 0);
	kernel_flows_configure(KERNEL_FLOWS_ALL);
	now_ms = w->now_ms;
	kernel_flows_tick(now_ms);
}

/* --- flows ------------------------------------------------------------------------------------------------------ */

static const struct way {
	const char *to[2]; /* IPv4, IPv6 */
	enum kernel_path path;
	uint16_t port;
} all_ways[] = {
	{ { "10.244.1.11", "fd00:244:1::11" }, KERNEL_PATH_PEER, POD_B },
	{ { "203.0.113.9", "2001:db8:113::9" }, KERNEL_PATH_DIRECT, ETH },
	{ { "10.244.2.9", "fd00:244:2::9" }, KERNEL_PATH_VXLAN4, ETH },
	{ { "10.244.3.9", "fd00:244:3::9" }, KERNEL_PATH_VXLAN6, ETH },
	{ { "10.244.4.9", "fd00:244:4::9" }, KERNEL_PATH_IPIP4, ETH },
	{ { "10.244.5.9", "fd00:244:5::9" }, KERNEL_PATH_IPIP6, ETH },
};

struct stream {
	struct talk t;
	const struct way *way;
	bool v6;
	struct flow *flow;
	struct kernel_slot *slot;
	uint16_t mtu;
	uint32_t seq;
};

static struct flow_side *side_of(const struct stream *s, const struct flow *flow)
{
	const struct flow_pool *p = &w->flows->pool[s->v6];

	return &p->side[flow_index(p, flow, s->v6)];
}

/** Both directions have shown all that an open connection shows. */
static void establish(const struct stream *s)
{
	const struct flow_pool *of = &w->flows->pool[s->v6];
	const uint32_t pair = flow_pair(of, flow_index(of, s->flow, s->v6));

	CU_ASSERT_NOT_EQUAL_FATAL(pair, 0);
	for (unsigned i = 0; i < 2; i++) {
		struct flow *flow = i == 0 ? s->flow : flow_at(of, pair, s->v6);

		atomic_store(&side_of(s, flow)->seen, FLOW_SEEN_SYN | FLOW_SEEN_ACK);
		atomic_store(&side_of(s, flow)->scale, 7);
		atomic_store(&flow->state, flow_state(FLOW_TCP_ESTABLISHED, 7));
	}
}

/** A flow of POD_A that the kernel has. */
static void stream_start(struct stream *s, const struct way *way, bool v6, uint8_t proto)
{
	static uint16_t port = 20000;

	*s = (struct stream){ .way = way,
		.v6 = v6,
		.t = { v6 ? "fd00:244:1::10" : "10.244.1.10", way->to[v6], { POD_A, way->port },
			proto, ++port, 8080, { 0x12340000, 1 } } };
	CU_ASSERT_EQUAL(talk_say(&s->t, 0, TALK_SYN, 0), 1);
	s->flow = talk_flow(&s->t, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->flow);
	if (proto == IPPROTO_TCP)
		establish(s);
	talk_much(&s->t, 0);
	later(100);
	s->slot = &shared[atomic_load(&side_of(s, s->flow)->kernel)];
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(s->slot, shared);
	CU_ASSERT_EQUAL(s->slot->on, 1);
	CU_ASSERT_EQUAL(s->slot->epoch, shared[0].epoch);
	s->mtu = adjacency_get(flow_decision_get(s->flow).adjacency)->mtu;
	s->seq = s->t.seq[0];
}

/* --- runs ------------------------------------------------------------------------------------------------------- */

struct run {
	int action; /* -1: the kernel does not take such a frame */
	uint8_t out[FRAME_ROOM];
	uint32_t len;
};

static struct run result;

static void run(
	const uint8_t *frame, uint32_t len, uint32_t ifindex, uint32_t gso_size, uint32_t gso_segs)
{
	struct __sk_buff ctx = { .ifindex = ifindex, .gso_size = gso_size, .gso_segs = gso_segs };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len,
		.data_out = result.out, .data_size_out = sizeof(result.out), .ctx_in = &ctx,
		.ctx_size_in = sizeof(ctx), .repeat = 1);

	result.action = -1;
	if (bpf_prog_test_run_opts(pod_program_fd(program), &opts) < 0)
		return;
	result.action = (int)opts.retval;
	result.len = opts.data_size_out;
}

/** Nobody's: to the TAP, which is none here, so that it is dropped. */
static bool untouched(const uint8_t *frame, uint32_t len)
{
	return result.action == TC_ACT_SHOT && result.len == len &&
	       memcmp(result.out, frame, len) == 0;
}

/** Compare what the program made of a frame with what the worker makes of it, but for the identification of what may be cut. */
static bool same_frame(const uint8_t *want, uint32_t len, bool tunnel)
{
	static uint8_t copy[FRAME_ROOM];
	uint8_t *h = result.out + ETHER;

	if (result.len != len)
		return false;
	memcpy(copy, want, len);
	if (tunnel && h[0] == 0x45 && !(h[6] & 0x40)) {
		if (naive_sum(h, 20) != 0xffff)
			return false;
		memcpy(copy + ETHER + 4, h + 4, 2);
		sum_ip4(copy + ETHER);
	}
	return memcmp(copy, result.out, len) == 0;
}

/** As if nothing had been sent. */
struct state {
	struct flow flow[2];
	struct flow_side side[2];
	struct kernel_slot slot;
};

static void state_save(const struct stream *s, struct state *to)
{
	memcpy(&to->flow[0], s->flow, sizeof(to->flow[0]));
	memcpy(&to->side[0], side_of(s, s->flow), sizeof(to->side[0]));
	memcpy(&to->slot, s->slot, sizeof(to->slot));
}
static void state_restore(const struct stream *s, const struct state *from)
{
	memcpy((void *)s->flow, &from->flow[0], sizeof(from->flow[0]));
	memcpy((void *)side_of(s, s->flow), &from->side[0], sizeof(from->side[0]));
	memcpy(s->slot, &from->slot, sizeof(from->slot));
}

/** The worker forwards the frame as the program has, and counts the same. */
static bool worker_agrees(const struct stream *s, const uint8_t *frame, uint32_t len,
	const struct kernel_slot *before)
{
	const uint16_t out = s->way->port;
	const bool tunnel = s->way->path >= KERNEL_PATH_VXLAN4;
	const uint64_t packets = s->slot->packets - before->packets,
		       bytes = s->slot->bytes - before->bytes;
	const uint64_t was_packets = counter_read(&s->flow->packets),
		       was_bytes = counter_read(&s->flow->bytes);
	const uint32_t seq = s->slot->seq;
	const uint8_t *want;
	uint32_t want_len;
	bool good;

	s->slot->seq = before->seq;
	s->slot->fresh = before->fresh;
	send_bytes(POD_A, frame, len, 0);
	want = sent_bytes(out, 0, &want_len);
	good = sent_all() == 1 && sent(out) == 1 && same_frame(want, want_len, tunnel) &&
	       packets == 1 && counter_read(&s->flow->packets) - was_packets == 1 &&
	       counter_read(&s->flow->bytes) - was_bytes == bytes &&
	       (s->t.proto != IPPROTO_TCP || atomic_load(&s->flow->seq) == seq);
	sent_clear();
	return good;
}

static void show(const char *what, const uint8_t *frame, uint32_t len)
{
	printf("%s, %u bytes:", what, len);
	for (uint32_t i = 0; i < len && i < 80; i++)
		printf(" %02x", frame[i]);
	printf("\n");
}

/* --- the same packets ------------------------------------------------------------------------------------------- */

static void forwarded_same(struct stream *s, const struct frame *f)
{
	struct state state;

	state_save(s, &state);
	run(f->bytes, f->len, LOOPBACK, 0, 0);
	if (result.action != TC_ACT_REDIRECT || !worker_agrees(s, f->bytes, f->len, &state.slot)) {
		show("sent", f->bytes, f->len);
		show("by the program", result.out, result.len);
		CU_FAIL("not what the worker does");
	}
	state_restore(s, &state);
}

static void test_same(void)
{
	static const uint8_t tos[] = { 0, 0x01, 0x03, 0xb9, 0xff };
	struct frame f;

	for (unsigned i = 0; i < RTE_DIM(all_ways) * 4; i++) {
		const struct way *way = &all_ways[i % RTE_DIM(all_ways)];
		const bool v6 = i / RTE_DIM(all_ways) & 1;
		const uint8_t proto = i / RTE_DIM(all_ways) & 2 ? IPPROTO_TCP : IPPROTO_UDP;
		const uint32_t headers = (v6 ? 40 : 20) + (proto == IPPROTO_TCP ? 20 : 8);
		struct stream s;

		program_start();
		stream_start(&s, way, v6, proto);
		for (uint32_t n = headers; n <= s.mtu;
			n += n < headers + 40 || n + 3 > s.mtu ? 1 : 17) {
			f = *talk_make(&s.t, 0, TALK_ACK, (uint16_t)(n - headers));
			s.t.seq[0] = s.seq;
			if (v6) {
				f.bytes[ETHER] = (uint8_t)(0x60 | tos[n % 5] >> 4);
				f.bytes[ETHER + 1] = (uint8_t)(tos[n % 5] << 4 | (n & 15));
				put16(f.bytes + ETHER + 2, n * 77);
			} else {
				f.bytes[ETHER + 1] = tos[n % 5];
				put16(f.bytes + ETHER + 4, n * 77);
				put16(f.bytes + ETHER + 6, n & 1 ? 0x4000 : n & 2 ? 0x8000 : 0);
				f.bytes[ETHER + 8] = (uint8_t)(2 + n % 254);
				sum_ip4(f.bytes + ETHER);
			}
			forwarded_same(&s, &f);
		}
		f = *talk_make(&s.t, 0, TALK_ACK, (uint16_t)(s.mtu - headers + 1));
		run(f.bytes, f.len, LOOPBACK, 0, 0);
		CU_ASSERT_TRUE(untouched(f.bytes, f.len));
	}
}

/** Header sums at the ends of their range. */
static void test_sums(void)
{
	struct stream s;
	struct frame f;

	program_start();
	stream_start(&s, &all_ways[0], false, IPPROTO_UDP);
	f = *talk_make(&s.t, 0, 0, 10);
	for (unsigned id = 0; id < 0x10000; id++) {
		uint32_t sum;

		put16(f.bytes + ETHER + 4, id);
		sum_ip4(f.bytes + ETHER);
		sum = get16(f.bytes + ETHER + 10);
		if (sum < 0xfd00 && sum > 0x300)
			continue;
		forwarded_same(&s, &f);
	}
}

/* --- large segments --------------------------------------------------------------------------------------------- */

/** Their headers say what is right for the whole, and the length of each on its own is what is compared with the MTU. */
static void test_large(void)
{
	for (unsigned i = 0; i < RTE_DIM(all_ways) * 4; i++) {
		const struct way *way = &all_ways[i % RTE_DIM(all_ways)];
		const bool v6 = i / RTE_DIM(all_ways) & 1;
		const uint8_t proto = i / RTE_DIM(all_ways) & 2 ? IPPROTO_TCP : IPPROTO_UDP;
		const uint32_t headers = (v6 ? 40 : 20) + (proto == IPPROTO_TCP ? 20 : 8);
		const struct frame *f;
		struct kernel_slot before;
		struct stream s;
		uint8_t want[TEST_MAX];

		program_start();
		stream_start(&s, way, v6, proto);
		before = *s.slot;
		f = talk_make(&s.t, 0, TALK_ACK, 3000);
		run(f->bytes, f->len, LOOPBACK, s.mtu - headers, 3);
		if (way->path >= KERNEL_PATH_VXLAN4) {
			/* Of no type here, so the kernel gives it no room: that leaves it as it was. */
			CU_ASSERT_TRUE(untouched(f->bytes, f->len));
			CU_ASSERT_EQUAL(s.slot->packets, before.packets);
			continue;
		}
		CU_ASSERT_EQUAL(result.action, TC_ACT_REDIRECT);
		CU_ASSERT_TRUE(ether_sound(result.out, result.len));
		memcpy(want, f->bytes + ETHER, f->len - ETHER);
		lower_ttl(want);
		CU_ASSERT_EQUAL(
			memcmp(result.out + result.len - (f->len - ETHER), want, f->len - ETHER),
			0);
		CU_ASSERT_EQUAL(s.slot->packets - before.packets, 1);
		CU_ASSERT_EQUAL(s.slot->segments - before.segments, 3);
		CU_ASSERT_EQUAL(s.slot->bytes - before.bytes, f->len - ETHER);
		run(f->bytes, f->len, LOOPBACK, s.mtu - headers + 1, 3);
		CU_ASSERT_TRUE(untouched(f->bytes, f->len));
	}
}

/** What would not fit the lengths of the outer headers. Kernels before 6.18 run no frames larger than a page. */
static void test_largest(void)
{
	for (unsigned i = 0; i < RTE_DIM(all_ways) * 2; i++) {
		const struct way *way = &all_ways[i % RTE_DIM(all_ways)];
		const bool v6 = i / RTE_DIM(all_ways);
		const uint32_t overhead =
			adjacency_get(adj.pod_a) != NULL && way->path >= KERNEL_PATH_VXLAN4 ? 1500u
											    : 0;
		struct stream s;

		program_start();
		stream_start(&s, way, v6, IPPROTO_UDP);
		for (uint32_t len = 65535; len > 65535 - 100; len--) {
			const uint32_t outer = overhead != 0 ? overhead - s.mtu : 0;
			const struct frame *f =
				talk_make(&s.t, 0, 0, (uint16_t)(len - (v6 ? 48 : 28)));

			run(f->bytes, f->len, LOOPBACK, 1000, 66);
			if (result.action < 0) {
				printf("(this kernel runs no frame of %u bytes) ", f->len);
				return;
			}
			if (len + outer > 65535)
				CU_ASSERT_TRUE(untouched(f->bytes, f->len));
			if (outer == 0 && !v6)
				CU_ASSERT_EQUAL(result.action, TC_ACT_REDIRECT);
		}
	}
}

/* --- what is not the program's ---------------------------------------------------------------------------------- */

static uint32_t seed = 1;

static uint32_t dice(uint32_t sides)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % sides;
}

static const uint32_t odd_words[] = { 0, 1, 7, 8, 19, 20, 21, 27, 28, 39, 40, 41, 1450, 1500, 1501,
	0x4000, 0x2000, 0x1fff, 0x8000, 0xffff };

/** Change something about a frame. @return whether an IPv4 header sum is to be made right. */
static bool mutate(const struct stream *s, uint8_t *frame, uint32_t *len)
{
	uint8_t *h = frame + ETHER, *l4 = h + (s->v6 ? 40 : 20);
	const uint32_t word = odd_words[dice(RTE_DIM(odd_words))];

	switch (dice(20)) {
	case 0:
		frame[dice(14)] ^= (uint8_t)(1 << dice(8));
		return false;
	case 1:
		h[dice(60)] ^= (uint8_t)(1 << dice(8));
		return dice(2);
	case 2: /* length of the packet */
		put16(h + (s->v6 ? 4 : 2),
			dice(2) ? word : get16(h + (s->v6 ? 4 : 2)) + dice(5) - 2);
		return true;
	case 3: /* options, or another version */
		h[0] = (uint8_t)(h[0] + dice(3) - 1);
		return true;
	case 4: /* a fragment */
		if (s->v6)
			h[6] = IPPROTO_FRAGMENT;
		else
			put16(h + 6, word);
		return true;
	case 5:
		h[s->v6 ? 7 : 8] = (uint8_t)dice(4);
		return true;
	case 6: /* header sum */
		put16(h + 10, get16(h + 10) + dice(3) - 1);
		return false;
	case 7:
		h[s->v6 ? 6 : 9] = (uint8_t)dice(256);
		return true;
	case 8: /* data offset, or the checksum of UDP */
		l4[12] = (uint8_t)dice(256);
		return false;
	case 9:
		l4[13] = (uint8_t)dice(256);
		return false;
	case 10: /* sequence numbers, or the length of UDP */
		put16(l4 + 4, dice(2) ? word : dice(65536));
		return false;
	case 11:
		put16(l4 + 6, dice(65536));
		return false;
	case 12: /* cut off */
		*len -= dice(*len - ETHER);
		return false;
	case 13: /* something behind it */
		*len += dice(30);
		return false;
	case 14: /* a tag */
		memmove(frame + 16, frame + 12, *len - 12);
		put16(frame + 12, dice(2) ? 0x8100 : 0x88a8);
		put16(frame + 14, dice(4096));
		*len += 4;
		return false;
	case 15:
		put16(frame + 12, dice(2) ? 0x0800 : 0x86dd);
		return false;
	case 16: /* ports, addresses */
		l4[dice(4)] ^= 1;
		return false;
	case 17:
		h[(s->v6 ? 8 : 12) + dice(s->v6 ? 32 : 8)] ^= 1;
		return true;
	case 18:
		for (unsigned i = 0; i < 8; i++)
			frame[dice(*len)] = (uint8_t)dice(256);
		return dice(2);
	default:
		return true;
	}
}

/** Plain for a worker, whose flow it is, and no larger than the path takes. */
static bool is_plain(const struct stream *s, const uint8_t *frame, uint32_t len)
{
	struct flow_key4 k4;
	struct flow_key6 k6;
	uint16_t n;
	uint64_t word;

	memcpy(&word, frame, sizeof(word));
	if (len < ETHER || (word & PLAIN_L2_MASK) != plain_l2(&node_ports[POD_A].port.mac) ||
		get16(frame + 12) != (s->v6 ? 0x86dd : 0x0800))
		return false;
	n = s->v6 ? plain_parse6(frame + ETHER, len - ETHER, POD_A, &k6)
		  : plain_parse4(frame + ETHER, len - ETHER, POD_A, &k4);
	return n != 0 && n <= s->mtu &&
	       flow_key_equal(flow_key(s->flow, s->v6), s->v6 ? (void *)&k6 : (void *)&k4, s->v6);
}

static void check_mutated(struct stream *s, const uint8_t *frame, uint32_t len)
{
	struct state state;

	state_save(s, &state);
	run(frame, len, LOOPBACK, 0, 0);
	if (result.action < 0)
		return;
	if (result.action != TC_ACT_REDIRECT) {
		if (!untouched(frame, len) ||
			memcmp(&state.slot, s->slot, sizeof(state.slot)) != 0) {
			show("sent", frame, len);
			CU_FAIL("touched");
		}
		return;
	}
	if (!is_plain(s, frame, len) || !worker_agrees(s, frame, len, &state.slot)) {
		show("sent", frame, len);
		show("by the program", result.out, result.len);
		CU_FAIL("the program forwards what the worker does not");
	}
	state_restore(s, &state);
}

static void mutations(const struct way *way, bool v6, uint8_t proto, unsigned n)
{
	static uint8_t frame[TEST_MAX];
	struct stream s;

	program_start();
	stream_start(&s, way, v6, proto);
	for (unsigned i = 0; i < n; i++) {
		const struct frame *f = talk_make(&s.t, 0, TALK_ACK, (uint16_t)dice(200));
		bool sum = false;
		uint32_t len = f->len;

		s.t.seq[0] = s.seq;
		memset(frame, 0, 500);
		memcpy(frame, f->bytes, len);
		for (unsigned k = dice(3) + 1; k > 0; k--)
			sum |= mutate(&s, frame, &len);
		if (sum && !v6 && (frame[ETHER] & 15) >= 5 && (frame[ETHER] & 15) < 7)
			sum_ip4(frame + ETHER);
		check_mutated(&s, frame, len);
		if (CU_get_number_of_failures() > 20)
			return;
	}
}

static void test_mutated(void)
{
	for (unsigned i = 0; i < RTE_DIM(all_ways) * 4; i++)
		mutations(&all_ways[i % RTE_DIM(all_ways)], i / RTE_DIM(all_ways) & 1,
			i / RTE_DIM(all_ways) & 2 ? IPPROTO_TCP : IPPROTO_UDP, 12000);
}

static void test_sequence(void)
{
	struct stream s;
	struct frame f;
	uint32_t span;

	program_start();
	stream_start(&s, &all_ways[0], false, IPPROTO_TCP);
	span = s.slot->span;
	CU_ASSERT_EQUAL(span, FLOW_SEQ_BACK + (65535u << 7));
	for (unsigned i = 0; i < 2000; i++) {
		static const uint32_t edges[] = { 0u - FLOW_SEQ_BACK - 1, 0u - FLOW_SEQ_BACK, 0 };
		const uint32_t at = i < 3    ? edges[i]
				    : i == 3 ? span - FLOW_SEQ_BACK
				    : i == 4 ? span - FLOW_SEQ_BACK + 1
					     : dice(65536) << 16 | dice(65536);
		struct state state;
		bool near_last;

		state_save(&s, &state);
		near_last = at + FLOW_SEQ_BACK <= span;
		s.t.seq[0] = s.slot->seq + at;
		f = *talk_make(&s.t, 0, TALK_ACK, 100);
		run(f.bytes, f.len, LOOPBACK, 0, 0);
		CU_ASSERT_EQUAL(result.action == TC_ACT_REDIRECT, near_last);
		if (near_last) {
			CU_ASSERT_EQUAL(s.slot->seq, state.slot.seq + at);
			CU_ASSERT_EQUAL(s.slot->fresh, 1);
			CU_ASSERT_TRUE(worker_agrees(&s, f.bytes, f.len, &state.slot));
		} else {
			CU_ASSERT_TRUE(untouched(f.bytes, f.len));
		}
		state_restore(&s, &state);
	}
}

static void expect(const struct frame *f, uint32_t in, bool forwarded)
{
	run(f->bytes, f->len, in, 0, 0);
	CU_ASSERT_TRUE(forwarded ? result.action == TC_ACT_REDIRECT : untouched(f->bytes, f->len));
}

static void test_not_now(void)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct stream s;
		struct frame f;

		program_start();
		stream_start(&s, &all_ways[2], v6, IPPROTO_TCP);
		f = *talk_make(&s.t, 0, TALK_ACK, 100);
		expect(&f, LOOPBACK, true);
		expect(&f, if_nametoindex("other0"), false);
		s.slot->on = 0;
		expect(&f, LOOPBACK, false);
		s.slot->on = 1;
		shared[0].on = 0;
		expect(&f, LOOPBACK, false);
		shared[0].on = 1;
		generation_commit();
		expect(&f, LOOPBACK, false);
		s.slot->epoch = shared[0].epoch;
		expect(&f, LOOPBACK, true);
		s.slot->epoch++;
		expect(&f, LOOPBACK, false);
		s.slot->epoch--;
		expect(&f, LOOPBACK, true);
		kernel_flows_port_gone(&node_ports[POD_A].port);
		expect(&f, LOOPBACK, false);
		node_check();
	}
}

/** What is not its own goes to the pod's TAP. */
static void test_crosses(void)
{
	const struct pod_link link = { .ifindex = 2 };
	const uint32_t key = LOOPBACK;
	struct stream s;
	struct frame f;

	program_start();
	stream_start(&s, &all_ways[2], false, IPPROTO_TCP);
	CU_ASSERT_EQUAL(
		bpf_map_update_elem(pod_program_map(program, "links"), &key, &link, BPF_ANY), 0);
	f = *talk_make(&s.t, 0, TALK_FIN, 100);
	run(f.bytes, f.len, LOOPBACK, 0, 0);
	CU_ASSERT_EQUAL(result.action, TC_ACT_REDIRECT);
	CU_ASSERT_EQUAL(result.len, f.len);
	CU_ASSERT_EQUAL(memcmp(result.out, f.bytes, f.len), 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		{ "the same bytes as the worker's", test_same },
		{ "header sums", test_sums },
		{ "large segments", test_large },
		{ "the largest segments", test_largest },
		{ "mutated packets", test_mutated },
		{ "sequence numbers", test_sequence },
		{ "not now, not here", test_not_now },
		{ "all others cross", test_crosses },
	};
	struct error err;

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		printf("skipped: needs root to make a network namespace\n");
		return SKIPPED;
	}
	if (pod_program_load(&program, &err) < 0) {
		printf("skipped: %s\n", err.text);
		return SKIPPED;
	}
	if (system("ip link set lo up; ip link add other0 type veth peer name other1 && ip link "
		   "set other0 up") != 0) {
		printf("skipped: no veth here\n");
		return SKIPPED;
	}
	return suite_run("kernel_forward", cases, sizeof(cases) / sizeof(cases[0]));
}
