/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/tables.h"

#include "dataplane/fib.h"
#include "dataplane/rcu.h"
#include "perf/threads.h"

#include <stdlib.h>
#include <string.h>

#define ADDRESSES 262144 /* looked up, power of two */
#define BULK	  128	 /* at a time: a worker's vector */
#define UPDATES	  2000
#define SEED	  0x706f646c616e65u

/* --- a made-up global table ---------------------------------------------------------------------------------------- */

struct share {
	uint8_t len;
	uint16_t per_mille;
};
/* What public route collectors saw in recent years, rounded. */
static const struct share lengths4[] = { { 24, 600 }, { 23, 100 }, { 22, 110 }, { 21, 50 },
	{ 20, 45 }, { 19, 28 }, { 18, 16 }, { 17, 9 }, { 16, 32 }, { 15, 3 }, { 14, 3 }, { 13, 2 },
	{ 12, 2 } };
static const struct share lengths6[] = { { 48, 460 }, { 32, 120 }, { 44, 110 }, { 40, 90 },
	{ 36, 50 }, { 46, 40 }, { 47, 30 }, { 29, 25 }, { 42, 20 }, { 45, 20 }, { 33, 15 },
	{ 34, 10 }, { 28, 5 }, { 64, 5 } };
/* Blocks of the registries. */
static const uint16_t blocks6[] = { 0x2001, 0x2400, 0x2401, 0x2402, 0x2403, 0x2404, 0x2405, 0x2406,
	0x2407, 0x2600, 0x2602, 0x2604, 0x2606, 0x2607, 0x2620, 0x2800, 0x2803, 0x2804, 0x2a00,
	0x2a01, 0x2a02, 0x2a03, 0x2a04, 0x2a05, 0x2a06, 0x2a07, 0x2a09, 0x2a0a, 0x2a0b, 0x2a0c,
	0x2a0d, 0x2a0e, 0x2a0f, 0x2a10, 0x2a12, 0x2a13, 0x2a14, 0x2c0f };

static uint8_t draw_length(const struct share *shares, size_t count, uint64_t *state)
{
	uint32_t at = (uint32_t)(tables_random(state) >> 32) % 1000;

	for (size_t i = 0; i < count; i++) {
		if (at < shares[i].per_mille)
			return shares[i].len;
		at -= shares[i].per_mille;
	}
	return shares[0].len;
}

void tables_prefix(bool v6, uint64_t *state, struct ip_prefix *prefix)
{
	uint64_t bits = tables_random(state), block = tables_random(state);

	*prefix = (struct ip_prefix){ .addr.family = v6 ? IP_V6 : IP_V4 };
	if (v6) {
		uint16_t first = blocks6[(block >> 16) % (sizeof(blocks6) / sizeof(blocks6[0]))];

		prefix->len = draw_length(lengths6, sizeof(lengths6) / sizeof(lengths6[0]), state);
		memcpy(prefix->addr.bytes + 2, &bits, 6);
		prefix->addr.bytes[0] = (uint8_t)(first >> 8);
		prefix->addr.bytes[1] = (uint8_t)first;
		/* Few holders a block, many prefixes a holder. */
		prefix->addr.bytes[3] = (uint8_t)(prefix->addr.bytes[3] & 0xf8);
	} else {
		prefix->len = draw_length(lengths4, sizeof(lengths4) / sizeof(lengths4[0]), state);
		memcpy(prefix->addr.bytes, &bits, 4);
		prefix->addr.bytes[0] = (uint8_t)(1 + block % 223);
	}
	*prefix = ip_prefix_canonical(prefix);
}

/* --- measuring ----------------------------------------------------------------------------------------------------- */

struct fib_bench {
	struct tables_conf conf;
	uint32_t routes;
	struct ip_prefix *prefixes;
	_Atomic(struct fib *) fib;
	uint8_t (*addresses)[16];
	const uint8_t **pointers;
	_Atomic bool stop;
	/* Results; of thread 0 but for the sums. */
	double load_s;
	struct samples dependent, bulk, disturbed, update;
	_Atomic uint64_t sink;
};

static void die_of_memory(const void *p)
{
	if (p == NULL)
		bench_die("out of memory", NULL);
}

/** Load everything in one version. */
static void load(struct fib_bench *b)
{
	uint64_t state = SEED, start;
	struct fib *fib = fib_new(b->conf.v6 ? IP_V6 : IP_V4);

	die_of_memory(fib);
	/* Drawing is not loading: draw first, though some turn out to be twins. */
	for (uint32_t have = 0; have < b->routes;) {
		for (uint32_t i = have; i < b->routes; i++)
			tables_prefix(b->conf.v6, &state, &b->prefixes[i]);
		start = bench_tsc();
		for (uint32_t i = have; i < b->routes; i++) {
			uint32_t old;

			if (fib_set(fib, &b->prefixes[i], 1 + i % 64, &old) < 0)
				bench_die("out of memory", NULL);
			if (old == FIB_NONE)
				b->prefixes[have++] = b->prefixes[i];
		}
		b->load_s += (double)(bench_tsc() - start) / bench_tsc_hz();
	}
	fib_seal(fib);
	rcu_publish(&b->fib, fib);
}

/** Addresses below random routes: hits, in no order. */
static void draw_addresses(struct fib_bench *b)
{
	uint64_t state = SEED * 3;

	for (uint32_t i = 0; i < ADDRESSES; i++) {
		const struct ip_prefix *p = &b->prefixes[(tables_random(&state) >> 20) % b->routes];
		uint64_t bits[2] = { tables_random(&state), tables_random(&state) };
		uint8_t *host = (uint8_t *)bits, *at = b->addresses[i];

		for (unsigned k = 0; k < (b->conf.v6 ? 16u : 4u); k++) {
			unsigned keep = p->len >= 8 * (k + 1) ? 8
					: p->len > 8 * k      ? p->len - 8 * k
							      : 0;
			uint8_t mask = (uint8_t)(0xff00 >> keep);

			at[k] = (uint8_t)((p->addr.bytes[k] & mask) | (host[k] & ~mask));
		}
		b->pointers[i] = at;
	}
}

/** Each look-up waits for the value of the last. @return cycles a look-up. */
static double look_up_dependent(struct fib_bench *b, const struct fib *fib, uint32_t first)
{
	uint64_t start = bench_tsc();
	uint32_t at = first & (ADDRESSES - 1);

	for (uint32_t i = 0; i < ADDRESSES / 4; i++)
		at = (at + 1 + (fib_lookup(fib, b->addresses[at]) == UINT32_MAX)) & (ADDRESSES - 1);
	start = bench_tsc() - start;
	b->sink += at;
	return (double)start / (ADDRESSES / 4);
}

static double look_up_bulk(struct fib_bench *b, const struct fib *fib)
{
	uint64_t start = bench_tsc(), sum = 0;
	uint32_t values[BULK];

	for (uint32_t i = 0; i < ADDRESSES; i += BULK) {
		fib_lookup_bulk(fib, b->pointers + i, values, BULK);
		sum += values[0];
	}
	start = bench_tsc() - start;
	b->sink += sum;
	return (double)start / ADDRESSES;
}

/** All threads look up at once; thread 0's figures count. */
static void readers(unsigned id, void *arg)
{
	struct fib_bench *b = arg;
	const struct fib *fib;

	rcu_reader_register(id);
	fib = rcu_read(&b->fib);
	look_up_bulk(b, fib);
	for (uint32_t r = 0; r < b->conf.repeats; r++) {
		double cycles;

		threads_meet();
		cycles = look_up_dependent(b, fib, (ADDRESSES / 4) * (id + r));
		if (id == 0)
			samples_add(&b->dependent, cycles);
		threads_meet();
		cycles = look_up_bulk(b, fib);
		if (id == 0)
			samples_add(&b->bulk, cycles);
	}
	rcu_reader_unregister(id);
}

/** One change of one route, from the edit to the publication; reclaiming what is out of use counts too. */
static void update(struct fib_bench *b)
{
	static double took[UPDATES];
	uint64_t state = SEED * 5;

	for (unsigned i = 0; i < UPDATES; i++) {
		struct ip_prefix *p = &b->prefixes[(tables_random(&state) >> 20) % b->routes];
		struct fib *old = rcu_own(&b->fib), *next;
		uint64_t start = bench_tsc();

		next = fib_edit(old);
		if (next == NULL || fib_set(next, p, 100 + i, NULL) < 0)
			bench_die("out of memory", NULL);
		fib_seal(next);
		rcu_publish(&b->fib, next);
		rcu_retire(old, fib_free_version);
		rcu_reclaim();
		took[i] = (double)(bench_tsc() - start) / bench_tsc_hz() * 1e6;
	}
	/* Medians of 64 pieces keep the shape and fit. */
	for (unsigned i = 0; i < 64; i++) {
		struct samples piece = { .count = 0 };

		for (unsigned k = i * (UPDATES / 64); k < (i + 1) * (UPDATES / 64); k++)
			samples_add(&piece, took[k]);
		samples_add(&b->update, samples_median(&piece));
	}
}

/** Thread 0 changes routes, the others look up meanwhile. */
static void update_among_readers(unsigned id, void *arg)
{
	struct fib_bench *b = arg;

	if (id == 0) {
		threads_meet();
		update(b);
		atomic_store(&b->stop, true);
		return;
	}
	rcu_reader_register(id);
	threads_meet();
	do {
		double cycles = look_up_bulk(b, rcu_read(&b->fib));

		rcu_quiescent(id);
		if (id == 1)
			samples_add(&b->disturbed, cycles);
	} while (!atomic_load(&b->stop));
	rcu_reader_unregister(id);
}

json_t *tables_fib(const struct tables_conf *conf, uint32_t routes)
{
	struct fib_bench *b = calloc(1, sizeof(*b));
	json_t *row;
	size_t bytes;

	die_of_memory(b);
	b->conf = *conf;
	b->routes = routes;
	b->prefixes = calloc(routes, sizeof(*b->prefixes));
	b->addresses = calloc(ADDRESSES, sizeof(*b->addresses));
	b->pointers = calloc(ADDRESSES, sizeof(*b->pointers));
	die_of_memory(b->prefixes);
	die_of_memory(b->addresses);
	die_of_memory(b->pointers);
	load(b);
	bytes = fib_memory(rcu_own(&b->fib));
	draw_addresses(b);
	threads_run(conf->threads, readers, b);
	threads_run(conf->threads, update_among_readers, b);
	rcu_barrier();
	row = json_pack("{s:s, s:i, s:I, s:I, s:f, s:f, s:I, s:o, s:o, s:o, s:o}", "table", "fib",
		"family", conf->v6 ? 6 : 4, "routes", (json_int_t)routes, "threads",
		(json_int_t)conf->threads, "load_s", b->load_s, "bytes_per_route",
		(double)bytes / routes, "bytes", (json_int_t)bytes, "dependent",
		samples_json(&b->dependent), "bulk", samples_json(&b->bulk), "bulk_during_updates",
		b->disturbed.count > 0 ? samples_json(&b->disturbed) : json_null(), "update_us",
		samples_json(&b->update));
	fib_free(rcu_own(&b->fib));
	free(b->prefixes);
	free(b->addresses);
	free(b->pointers);
	free(b);
	return row;
}
