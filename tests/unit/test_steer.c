/* SPDX-License-Identifier: Apache-2.0 */
/** The XDP program run by the kernel over crafted frames (BPF_PROG_TEST_RUN), and the lists it is fed with. What needs
 * CAP_BPF is skipped without. */
#include "dataplane/steer_program.h"
#include "dataplane/steering.h"
#include "tests/unit/suite.h"
#include "tests/unit/vectors.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

static struct steer_item item(enum steer_kind kind, const char *text, uint16_t port)
{
	struct steer_item i = { .kind = (uint8_t)kind, .port = port };
	struct ip_prefix prefix;

	if (text != NULL) {
		CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(text, &prefix), 0);
		i.addr = prefix.addr;
		i.len = kind == STEER_ITEM_PREFIX ? prefix.len : 0;
	}
	return i;
}

static void add(struct steering *s, enum steer_kind kind, const char *text, uint16_t port)
{
	struct steer_item i = item(kind, text, port);

	CU_ASSERT_EQUAL_FATAL(steering_add(s, &i), 0);
}

/* --- lists ---------------------------------------------------------------------------------------------------- */

static bool has(const struct steering *s, const struct steer_item *i)
{
	for (size_t n = 0; n < s->count; n++) {
		if (memcmp(&s->items[n], i, sizeof(*i)) == 0)
			return true;
	}
	return false;
}

/** Random lists over a small world, so that much is in both. */
static void random_list(struct steering *s)
{
	for (int n = rand() % 40; n > 0; n--) {
		struct steer_item i;

		memset(&i, 0, sizeof(i));
		i.kind = (uint8_t)(rand() % 4);
		i.len = (uint8_t)(rand() % 3);
		i.port = (uint16_t)(rand() % 3);
		i.addr.family = rand() % 2 ? IP_V4 : IP_V6;
		i.addr.bytes[rand() % 4] = (uint8_t)(rand() % 3);
		CU_ASSERT_EQUAL_FATAL(steering_add(s, &i), 0);
	}
	steering_sort(s);
}

static void differences(void)
{
	for (int round = 0; round < 2000; round++) {
		struct steering a = { 0 }, b = { 0 }, out = { 0 };
		size_t expected = 0;

		random_list(&a);
		random_list(&b);
		CU_ASSERT_EQUAL(steering_difference(&a, &b, &out), 0);
		for (size_t i = 0; i < a.count; i++) {
			bool only = !has(&b, &a.items[i]);

			expected += only;
			CU_ASSERT_EQUAL(has(&out, &a.items[i]), only);
			for (size_t j = 0; j < i; j++) /* nothing twice */
				CU_ASSERT_NOT_EQUAL(
					memcmp(&a.items[i], &a.items[j], sizeof(a.items[i])), 0);
		}
		CU_ASSERT_EQUAL(out.count, expected);
		steering_free(&a);
		steering_free(&b);
		steering_free(&out);
	}
}

/* --- the program ---------------------------------------------------------------------------------------------- */

static const char *const names[STEER_COUNTERS] = { "passed", "udp", "ip", "pod", "error",
	"no_socket" };

/** NULL: this process may not; the case is skipped. */
static struct steer_program *load(void)
{
	struct steer_program *p = NULL;
	struct error err = { 0 };
	struct mac_addr mac = { { 2, 0, 0, 0, 0, 1 } };
	int ret = steer_program_load("test", &p, &err);

	if (ret == -EPERM || ret == -EACCES || ret == -ENOSYS) {
		printf(" skipped: %s ", err.text);
		return NULL;
	}
	if (ret < 0)
		printf(" %s ", err.text);
	CU_ASSERT_EQUAL_FATAL(ret, 0);
	CU_ASSERT_EQUAL(steer_program_set_mac(p, &mac), 0);
	return p;
}

/** What the program says of a frame; STEER_COUNTERS when it counted not exactly one thing. It must always pass, since
 * there is no socket. */
static enum steer_counter verdict(const struct steer_program *p, const uint8_t *frame, uint32_t len)
{
	uint64_t before[STEER_COUNTERS], after[STEER_COUNTERS];
	enum steer_counter found = STEER_COUNTERS;
	unsigned counted = 0;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .repeat = 1);

	steer_program_counters(p, before);
	CU_ASSERT_EQUAL_FATAL(bpf_prog_test_run_opts(steer_program_fd(p), &opts), 0);
	CU_ASSERT_EQUAL(opts.retval, XDP_PASS);
	steer_program_counters(p, after);
	for (enum steer_counter c = 0; c < STEER_NO_SOCKET; c++) {
		counted += (unsigned)(after[c] - before[c]);
		found = after[c] != before[c] ? c : found;
	}
	/* Whatever is steered finds no socket. */
	CU_ASSERT_EQUAL(
		after[STEER_NO_SOCKET] - before[STEER_NO_SOCKET], found == STEER_PASSED ? 0 : 1);
	return counted == 1 ? found : STEER_COUNTERS;
}

static void configure(struct steer_program *p, bool on)
{
	struct steering s = { 0 };

	add(&s, STEER_ITEM_LOCAL, "192.0.2.1", 0);
	add(&s, STEER_ITEM_LOCAL, "2001:db8::1", 0);
	add(&s, STEER_ITEM_PEER, "192.0.2.2", 0);
	add(&s, STEER_ITEM_PEER, "2001:db8::2", 0);
	add(&s, STEER_ITEM_PORT, NULL, 4789);
	add(&s, STEER_ITEM_PORT, NULL, 8472);
	add(&s, STEER_ITEM_PREFIX, "10.244.1.0/24", 0);
	add(&s, STEER_ITEM_PREFIX, "fd00:244:1::/64", 0);
	add(&s, STEER_ITEM_PREFIX, "203.0.113.5/32", 0);
	CU_ASSERT_EQUAL(steer_program_edit(p, &s, on), 0);
	steering_free(&s);
}

static void frames(void)
{
	struct steer_program *p = load();

	if (p == NULL)
		return;
	vectors_load("steer");
	/* Empty maps: everything is the kernel's. */
	for (unsigned i = 0; i < vector_count; i++)
		CU_ASSERT_EQUAL(verdict(p, vector_list[i].bytes, vector_list[i].len), STEER_PASSED);
	configure(p, true);
	for (unsigned i = 0; i < vector_count; i++) {
		const struct vector_bytes *v = &vector_list[i];
		enum steer_counter c = verdict(p, v->bytes, v->len);
		size_t len = strcspn(v->name, ".");

		if (c == STEER_COUNTERS || strlen(names[c]) != len ||
			strncmp(names[c], v->name, len) != 0) {
			printf(" %s: %s ", v->name,
				c < STEER_COUNTERS ? names[c] : "counted twice");
			CU_FAIL("wrong verdict");
		}
	}
	/* Cut anywhere, a frame may become the kernel's, but never anything else. */
	for (unsigned i = 0; i < vector_count; i++) {
		const struct vector_bytes *v = &vector_list[i];

		for (uint32_t len = 14; len < v->len; len++) {
			enum steer_counter c = verdict(p, v->bytes, len),
					   whole = verdict(p, v->bytes, v->len);

			CU_ASSERT_TRUE(c == STEER_PASSED || c == whole);
		}
	}
	configure(p, false);
	for (unsigned i = 0; i < vector_count; i++) {
		if (strstr(vector_list[i].name, "frag") ==
			NULL) /* those remembered live on for a while */
			CU_ASSERT_EQUAL(
				verdict(p, vector_list[i].bytes, vector_list[i].len), STEER_PASSED);
	}
	steer_program_close(p);
}

/** Prefixes come and go at random; each look-up is compared with a scan of the list. */
static void prefixes(void)
{
	enum { WORLD = 64, ROUNDS = 400 };
	struct steer_program *p = load();
	struct steer_item world[WORLD];
	bool in[WORLD] = { false };

	if (p == NULL)
		return;
	vectors_load("steer");
	srand(7);
	memset(world, 0, sizeof(world));
	for (int i = 0; i < WORLD; i++) {
		struct ip_prefix prefix = { .addr.family = i % 2 ? IP_V4 : IP_V6 };

		prefix.len = (uint8_t)(rand() % (i % 2 ? 33 : 129));
		for (unsigned b = 0; b < (i % 2 ? 4u : 16u);
			b++) /* few values: prefixes inside prefixes */
			prefix.addr.bytes[b] = (uint8_t)(rand() % 2 * 0x80);
		prefix = ip_prefix_canonical(&prefix);
		world[i] = (struct steer_item){
			.kind = STEER_ITEM_PREFIX, .len = prefix.len, .addr = prefix.addr
		};
	}
	for (int round = 0; round < ROUNDS; round++) {
		int i = rand() % WORLD;
		struct steering one = { &world[i], 1, 1 };
		struct ip_addr dst = { .family = world[round % WORLD].addr.family };
		const struct vector_bytes *v =
			vector(dst.family == IP_V4 ? "pod.tcp4" : "pod.tcp6");
		uint8_t frame[2048];
		bool expected = false;

		/* The same prefix may be in the list twice. */
		in[i] = !in[i];
		for (int j = 0; j < WORLD; j++) {
			if (memcmp(&world[j], &world[i], sizeof(world[i])) == 0)
				in[j] = in[i];
		}
		CU_ASSERT_EQUAL_FATAL(steer_program_edit(p, &one, in[i]), 0);
		for (unsigned b = 0; b < (dst.family == IP_V4 ? 4u : 16u); b++)
			dst.bytes[b] = (uint8_t)(rand() % 2 * 0x80);
		memcpy(frame, v->bytes, v->len);
		memcpy(frame + (dst.family == IP_V4 ? 30 : 38), dst.bytes,
			dst.family == IP_V4 ? 4 : 16);
		for (int j = 0; j < WORLD; j++) {
			struct ip_prefix prefix = { world[j].addr, world[j].len };

			expected = expected || (in[j] && ip_prefix_contains(&prefix, &dst));
		}
		CU_ASSERT_EQUAL(verdict(p, frame, v->len), expected ? STEER_PREFIX : STEER_PASSED);
	}
	steer_program_close(p);
}

/** A list that does not fit leaves nothing behind. */
static void full_map(void)
{
	struct steer_program *p = load();
	struct steering s = { 0 }, one = { 0 };

	if (p == NULL)
		return;
	vectors_load("steer");
	configure(p, true);
	add(&one, STEER_ITEM_PORT, NULL, 8473);
	for (uint16_t port = 8473; port < 8473 + STEER_PORTS_MAX; port++)
		add(&s, STEER_ITEM_PORT, NULL, port);
	CU_ASSERT_EQUAL(steer_program_edit(p, &s, true), -ENOSPC);
	CU_ASSERT_EQUAL(verdict(p, vector("passed.vxlan4_other_port")->bytes,
				vector("passed.vxlan4_other_port")->len),
		STEER_PASSED);
	CU_ASSERT_EQUAL(verdict(p, vector("udp.vxlan4")->bytes, vector("udp.vxlan4")->len),
		STEER_UDP_TUNNEL);
	CU_ASSERT_EQUAL(steer_program_edit(p, &one, true), 0);
	CU_ASSERT_EQUAL(verdict(p, vector("passed.vxlan4_other_port")->bytes,
				vector("passed.vxlan4_other_port")->len),
		STEER_UDP_TUNNEL);
	/* What is not there can be taken away too. */
	CU_ASSERT_EQUAL(steer_program_edit(p, &s, false), 0);
	CU_ASSERT_EQUAL(verdict(p, vector("passed.vxlan4_other_port")->bytes,
				vector("passed.vxlan4_other_port")->len),
		STEER_PASSED);
	steering_free(&s);
	steering_free(&one);
	steer_program_close(p);
}

static const struct test_case cases[] = {
	{ "differences of lists", differences },
	{ "every kind of frame", frames },
	{ "prefixes come and go", prefixes },
	{ "a full map", full_map },
};

SUITE_MAIN("steer", cases)
