/* SPDX-License-Identifier: Apache-2.0 */
/** Sequences of fragments: in any order, overlapping, doubled, late. The input is a list of records, each a well-formed
 * fragment of one of a few packets, whose bytes depend on their place alone; so whatever is put together can be checked,
 * and nobody may lose or double a buffer.
 */
#include "dataplane/fragment.h"
#include "tests/fuzz/mbufs.h"

#include <netinet/in.h>
#include <rte_cycles.h>

#define ZONE	    5u
#define HELD_MAX    24u
#define RECORDS_MAX 120 /* fewer than buffers */

enum record_flags {
	RECORD_V6 = 1,
	RECORD_MORE = 2,
	RECORD_TRACK = 4,
	RECORD_DSTOPTS = 8,
	RECORD_NO_TAILROOM = 16,
	RECORD_CE = 32,
	RECORD_ECT = 64,
	RECORD_LATER = 128
};

static struct fragment_table *table;
static struct reassembly *reassembly;
static unsigned held; /* by the table */
static uint32_t now_ms;

/** Byte `off` of packet `id`: a UDP header whose ports say which packet, then a pattern. */
static uint8_t payload_byte(uint8_t id, uint32_t off)
{
	static const uint8_t udp[8] = { 0, 7, 0, 53, 0xff, 0xff, 0, 0 };

	return off < sizeof(udp) ? (uint8_t)(udp[off] + (off == 0 ? id : 0))
				 : (uint8_t)(id * 131 + off * 7 + (off >> 8));
}

struct record {
	uint8_t flags, id, cut;
	uint16_t units, len; /* offset in units of 8 bytes; payload bytes */
};

static uint32_t frame_make(const struct record *r, uint8_t *frame)
{
	static const uint8_t ether[12] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };
	const uint32_t extra = r->flags & RECORD_DSTOPTS ? 8 : 0;
	uint8_t *ip = frame + 14, *to;
	uint16_t word = (uint16_t)(r->units | (r->flags & RECORD_MORE ? 0x2000 : 0));
	const uint8_t ecn = r->flags & RECORD_CE ? 3 : r->flags & RECORD_ECT ? 2 : 0;

	memcpy(frame, ether, sizeof(ether));
	if (r->flags & RECORD_V6) {
		const uint32_t payload = extra + 8 + r->len;

		memcpy(frame + 12, "\x86\xdd", 2);
		memset(ip, 0, 40);
		ip[0] = 0x60;
		ip[1] = (uint8_t)(ecn << 4);
		ip[4] = (uint8_t)(payload >> 8);
		ip[5] = (uint8_t)payload;
		ip[6] = extra != 0 ? IPPROTO_DSTOPTS : IPPROTO_FRAGMENT;
		ip[7] = 64;
		memcpy(ip + 8, "\xfd\x00\x02\x44\x00\x01\0\0\0\0\0\0\0\0\0\x09", 16);
		memcpy(ip + 24, "\xfd\x00\x02\x44\x00\x02\0\0\0\0\0\0\0\0\0\x07", 16);
		to = ip + 40;
		if (extra != 0) {
			memcpy(to, "\x2c\0\x01\x04\0\0\0\0", 8);
			to += 8;
		}
		word = (uint16_t)(r->units << 3 | (r->flags & RECORD_MORE ? 1 : 0));
		memset(to, 0, 8);
		to[0] = IPPROTO_UDP;
		to[2] = (uint8_t)(word >> 8);
		to[3] = (uint8_t)word;
		to[7] = r->id;
		to += 8;
	} else {
		const uint32_t total = 20 + r->len;
		uint16_t sum;

		memcpy(frame + 12, "\x08\x00", 2);
		memset(ip, 0, 20);
		ip[0] = 0x45;
		ip[1] = ecn;
		ip[2] = (uint8_t)(total >> 8);
		ip[3] = (uint8_t)total;
		ip[5] = r->id;
		ip[6] = (uint8_t)(word >> 8);
		ip[7] = (uint8_t)word;
		ip[8] = 64;
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 12, "\x0a\xf4\x01\x09\x0a\xf4\x02\x07", 8);
		sum = (uint16_t)~slow_sum(ip, 20, 0);
		ip[10] = (uint8_t)(sum >> 8);
		ip[11] = (uint8_t)sum;
		to = ip + 20;
	}
	for (uint32_t i = 0; i < r->len; i++)
		to[i] = payload_byte(r->id, r->units * 8u + i);
	return (uint32_t)(to - frame) + r->len;
}

/* --- the model ---------------------------------------------------------------------------------------------- */

/** Fragments of one packet that were accepted and are not forgotten. */
struct accepted {
	unsigned count;
	struct {
		uint32_t start, end;
	} parts[RECORDS_MAX];
	uint32_t seen, total; /* total 0: the last one has not come */
};
static struct accepted model[2][2][2]; /* tracked or reassembled, family, packet */

static bool
	model_lost; /* fragments were forgotten that the model does not know of: time, refusals */

static struct accepted *model_of(const struct record *r)
{
	return &model[(r->flags & RECORD_TRACK) != 0][r->flags & RECORD_V6][r->id & 1];
}

/** A fragment was accepted: none of its bytes may have been there before. */
static void model_accept(const struct record *r)
{
	struct accepted *a = model_of(r);
	const uint32_t start = r->units * 8u, end = start + r->len;

	if (model_lost)
		return;
	for (unsigned i = 0; i < a->count; i++)
		REQUIRE(start >= a->parts[i].end || end <= a->parts[i].start,
			"%u-%u is accepted, so was %u-%u", start, end, a->parts[i].start,
			a->parts[i].end);
	REQUIRE(a->total == 0 || end <= a->total, "%u-%u is accepted, behind the end at %u", start,
		end, a->total);
	a->parts[a->count].start = start;
	a->parts[a->count++].end = end;
	a->seen += r->len;
	if (!(r->flags & RECORD_MORE))
		a->total = end;
	if (a->seen == a->total)
		memset(a, 0, sizeof(*a)); /* whole, and forgotten */
}

/* --- the code under test ------------------------------------------------------------------------------------ */

static void release(const struct fragment_release *out, uint8_t id, bool ports)
{
	for (unsigned i = 0; i < out->count; i++) {
		const struct pkt *p = &out->p[i];
		const uint16_t sport = p->flags & PKT_V6 ? p->key6.sport : p->key4.sport;

		mbufs_check(out->m[i]);
		if (ports)
			REQUIRE(sport == rte_cpu_to_be_16((uint16_t)(id << 8 | 7)),
				"source port %u of packet %u", rte_be_to_cpu_16(sport), id);
		rte_pktmbuf_free(out->m[i]);
	}
}

static void track(struct rte_mbuf *m, struct pkt *p, const struct record *r)
{
	struct fragment_release out, dropped;
	bool was_held;
	const enum drop_reason reason =
		fragment_track(table, m, p, now_ms, &out, &was_held, &dropped);

	if (reason != DROP_NONE) {
		REQUIRE(reason == DROP_fragment_malformed || reason == DROP_fragment_table_full ||
				reason == DROP_fragment_timeout,
			"reason %d", reason);
		REQUIRE(out.count == 0 && !was_held, "dropped and kept");
		rte_pktmbuf_free(m);
	} else {
		REQUIRE(was_held ? out.count == 0 : out.count > 0, "held %d, %u out", was_held,
			out.count);
		REQUIRE(dropped.count == 0, "%u dropped for no reason", dropped.count);
		model_accept(r);
	}
	held += was_held;
	REQUIRE(held >= dropped.count && held >= out.count - (out.count > 0),
		"more came out than was held");
	held -= dropped.count + (out.count > 0 ? out.count - 1u : 0);
	REQUIRE(held <= HELD_MAX, "%u held", held);
	release(&out, r->id, true);
	release(&dropped, r->id, false);
}

static void reassemble(struct rte_mbuf *m, struct pkt *p, const struct record *r)
{
	static uint8_t bytes[FRAME_MAX];
	const unsigned before = reassembly_held(reassembly);
	unsigned freed = 99, merged = 99;
	struct rte_mbuf *whole = reassembly_add(
		reassembly, m, p, (uint64_t)now_ms * rte_get_tsc_hz() / 1000, &freed, &merged);
	struct parsed parsed;
	uint32_t len, off;

	REQUIRE(before + 1 ==
			reassembly_held(reassembly) + freed + (whole != NULL ? merged + 1 : 0),
		"%u held, one more, %u freed, %u merged, %u held", before, freed, merged,
		reassembly_held(reassembly));
	if (freed == 0)
		model_accept(r);
	else
		model_lost = true;
	if (whole == NULL) {
		REQUIRE(merged == 0, "merged into nothing");
		return;
	}
	memset(p, 0, sizeof(*p));
	mbufs_check(whole);
	parsed = pkt_parse_ether(whole, p, ZONE);
	/* The UDP length promises 64 KiB: shorter ones are honest about their IP length only. */
	REQUIRE(parsed.reason == DROP_NONE || parsed.reason == DROP_l4_bad_length,
		"the whole is dropped for %s", drop_reason_name(parsed.reason));
	len = mbufs_bytes(whole, bytes);
	off = (uint32_t)p->l2_len + p->l3_len;
	REQUIRE(len == (uint32_t)p->l2_len + p->ip_len, "%u bytes", len);
	for (uint32_t i = off; i < len; i++)
		REQUIRE(bytes[i] == payload_byte(r->id, i - off), "byte %u of the whole", i - off);
	rte_pktmbuf_free(whole);
}

static void record_play(struct input *in)
{
	static uint8_t frame[FRAME_MAX];
	struct record r = { .flags = input_u8(in), .id = input_u8(in) & 1 };
	struct cuts cuts = { .no_tailroom = r.flags & RECORD_NO_TAILROOM };
	struct parsed parsed;
	struct rte_mbuf *m;
	struct pkt p;

	r.units = input_u16(in) & 0x1fff;
	r.len = (uint16_t)(input_u16(in) & 0x7ff);
	r.cut = input_u8(in);
	if (r.flags & RECORD_LATER) {
		now_ms += r.cut * 512u;
		model_lost = true;
	}
	if (r.cut != 0) {
		cuts.count = 1;
		cuts.len[0] = r.cut;
	}
	m = mbufs_packet(frame, frame_make(&r, frame), &cuts);
	memset(&p, 0, sizeof(p));
	parsed = pkt_parse_ether(m, &p, ZONE);
	mbufs_check(m);
	if (parsed.class != PKT_FRAG) {
		rte_pktmbuf_free(m);
	} else if (r.flags & RECORD_TRACK) {
		track(m, &p, &r);
	} else {
		reassemble(m, &p, &r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct fragment_release expired;

	mbufs_setup();
	table = fragment_table_new(8, HELD_MAX);
	reassembly = reassembly_new(64, SOCKET_ID_ANY); /* room for every record */
	memset(model, 0, sizeof(model));
	model_lost = false;
	REQUIRE(table != NULL && reassembly != NULL, "no tables");
	held = 0;
	now_ms = UINT32_MAX - 100000; /* the clock wraps while we play */
	for (unsigned i = 0; i < RECORDS_MAX && in.left > 0; i++) {
		record_play(&in);
		REQUIRE(rte_mempool_in_use_count(mbufs_pool) >= held + reassembly_held(reassembly),
			"buffers went twice");
	}
	now_ms += 70000;
	for (unsigned i = 0; i < 64 && held > 0; i++) {
		fragment_expire(table, now_ms, &expired);
		REQUIRE(expired.count <= held, "%u expired of %u", expired.count, held);
		held -= expired.count;
		release(&expired, 0, false);
	}
	REQUIRE(held == 0, "%u never expire", held);
	fragment_table_free(table);
	reassembly_free(reassembly);
	mbufs_all_back("fragments");
	return 0;
}
