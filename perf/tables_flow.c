/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/tables.h"

#include "dataplane/flow.h"
#include "dataplane/rcu.h"
#include "perf/threads.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BURST 128   /* looked up at a time: a worker's vector */
#define TIMED 65536 /* look-ups a repeat and thread */
#define INSERTS \
	16384 /* pairs timed, the last ones before the fill is reached; fewer in small tables */
#define TIMEOUT_MS 60000
#define SCAN	   32768 /* entries a call of flow_expire */
#define ZONES	   16	 /* ports the flows are from: the table shares itself out among them */

struct flow_bench {
	struct tables_conf conf;
	uint32_t entries, pairs; /* directions the table is for, pairs to insert */
	unsigned fill;
	struct flow_table *table;
	/* Results; cycles of thread 0. */
	struct samples insert_fresh, insert, hit, miss, scan, expire;
	_Atomic uint64_t lost; /* keys that should be there and are not */
};

static size_t resident(void)
{
	unsigned long size, pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f != NULL && fscanf(f, "%lu %lu", &size, &pages) != 2)
		pages = 0;
	if (f != NULL)
		fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/** The key of flow n, or of what its other end sends; numbers past `pairs` are in no table. */
static void make_key(const struct flow_bench *b, uint32_t n, bool back, struct pkt *p)
{
	uint32_t zone = back ? ZONE_TUNNEL : n % ZONES;
	uint16_t ports[2] = { rte_cpu_to_be_16((uint16_t)(1024 + n % 50000)),
		rte_cpu_to_be_16(443) };
	uint32_t near = rte_cpu_to_be_32(0x0af40100u + n % ZONES),
		 far = rte_cpu_to_be_32(0x0b000000u + n / 8);

	if (b->conf.v6) {
		uint8_t *near_at = back ? p->key6.dst : p->key6.src,
			*far_at = back ? p->key6.src : p->key6.dst;

		p->key6 = (struct flow_key6){ .sport = ports[back],
			.dport = ports[!back],
			.zone_proto = zone << 8 | IPPROTO_TCP };
		near_at[0] = far_at[0] = 0xfd;
		memcpy(near_at + 12, &near, sizeof(near));
		memcpy(far_at + 12, &far, sizeof(far));
		p->hash = flow_hash6(b->table, &p->key6);
	} else {
		p->key4 = (struct flow_key4){ back ? far : near, back ? near : far, ports[back],
			ports[!back], zone << 8 | IPPROTO_TCP };
		p->hash = flow_hash4(b->table, &p->key4);
	}
}

/** Insert a share of the pairs, the last ones on the clock. Keys are made beforehand, as parsing does. */
static void insert(
	struct flow_bench *b, unsigned id, uint32_t first, uint32_t last, struct samples *samples)
{
	const struct flow_init there = { .decision = { 1, 1 }, .epoch = 1 },
			       back = { .decision = { 2, 1 }, .epoch = 1, .flags = FLOW_REPLY };
	struct pkt keys[BURST], replies[BURST];
	uint64_t cycles = 0, start;
	uint32_t timed = RTE_MAX((uint32_t)BURST, RTE_MIN((uint32_t)INSERTS, (last - first) / 8)),
		 counted = 0, lost = 0;

	for (uint32_t n = first; n < last; n += BURST) {
		uint32_t count = RTE_MIN(last - n, (uint32_t)BURST);

		for (uint32_t i = 0; i < count; i++) {
			make_key(b, n + i, false, &keys[i]);
			make_key(b, n + i, true, &replies[i]);
		}
		start = bench_tsc();
		for (uint32_t i = 0; i < count; i++) {
			struct flow *flow =
				b->conf.v6 ? flow_insert6(b->table, id, &keys[i].key6, keys[i].hash,
						     &there, &replies[i].key6, &back, 1000)
					   : flow_insert4(b->table, id, &keys[i].key4, keys[i].hash,
						     &there, &replies[i].key4, &back, 1000);
			lost += flow == NULL;
		}
		if (last - n <= timed) {
			cycles += bench_tsc() - start;
			counted += count;
		}
		rcu_quiescent(id);
	}
	b->lost += lost;
	if (id == 0 && counted > 0)
		samples_add(samples, (double)cycles / counted);
}

/** Look up flows in no order. @return cycles a look-up. */
static double look_up(struct flow_bench *b, unsigned id, uint64_t *state, bool hit)
{
	struct flow *found[BURST];
	struct pkt keys[BURST], *list[BURST];
	uint64_t cycles = 0, start;
	uint32_t missing = 0;

	for (uint32_t done = 0; done < TIMED; done += BURST) {
		for (uint32_t i = 0; i < BURST; i++) {
			uint32_t n = (uint32_t)(((tables_random(state) >> 32) * b->pairs) >> 32);

			make_key(b, hit ? n : b->pairs + n, hit && (i & 1), &keys[i]);
			list[i] = &keys[i];
		}
		start = bench_tsc();
		if (b->conf.v6)
			flow_lookup6(b->table, list, found, BURST);
		else
			flow_lookup4(b->table, list, found, BURST);
		cycles += bench_tsc() - start;
		for (uint32_t i = 0; i < BURST; i++)
			missing += (found[i] == NULL) == hit;
		rcu_quiescent(id);
	}
	b->lost += missing;
	return (double)cycles / TIMED;
}

/** Look at the thread's whole share of the entries once. @return cycles. */
static uint64_t sweep(struct flow_bench *b, unsigned id, uint32_t now_ms)
{
	uint64_t entries = 2 * (uint64_t)b->entries / b->conf.threads, start = bench_tsc();

	for (uint64_t done = 0; done < entries; done += SCAN) {
		flow_expire(
			b->table, id, now_ms, (unsigned)RTE_MIN(entries - done, (uint64_t)SCAN));
		rcu_quiescent(id);
	}
	return bench_tsc() - start;
}

/** A thread that waits holds no grace period up. */
static void wait_for_others(unsigned id)
{
	rcu_offline(id);
	threads_meet();
	rcu_online(id);
}

static void worker(unsigned id, void *arg)
{
	struct flow_bench *b = arg;
	uint32_t first = (uint32_t)((uint64_t)b->pairs * id / b->conf.threads);
	uint32_t last = (uint32_t)((uint64_t)b->pairs * (id + 1) / b->conf.threads);
	uint64_t state = 0x1234567 + id, gone, cycles;
	struct flow_stats before, after;

	rcu_reader_register(id);
	threads_meet();
	insert(b, id, first, last, &b->insert_fresh);
	/* Again into memory that has been used, as in a daemon that runs for a while. */
	for (uint32_t r = 0; r < RTE_MIN(b->conf.repeats, 3u); r++) {
		for (unsigned i = 0; i < 3; i++) {
			wait_for_others(id);
			sweep(b, id, 1000 + 2 * TIMEOUT_MS);
		}
		flow_worker_flush(b->table, id);
		wait_for_others(id);
		insert(b, id, first, last, &b->insert);
	}
	wait_for_others(id);
	look_up(b, id, &state, true);
	for (uint32_t r = 0; r < b->conf.repeats; r++) {
		double hit, miss;

		threads_meet();
		hit = look_up(b, id, &state, true);
		threads_meet();
		miss = look_up(b, id, &state, false);
		threads_meet();
		cycles = sweep(b, id, 2000);
		if (id != 0)
			continue;
		samples_add(&b->hit, hit);
		samples_add(&b->miss, miss);
		samples_add(&b->scan, (double)cycles * b->conf.threads / (2.0 * b->pairs));
	}
	flow_table_stats(b->table, &before);
	threads_meet();
	cycles = sweep(b, id, 1000 + 2 * TIMEOUT_MS);
	threads_meet();
	flow_table_stats(b->table, &after);
	gone = after.expired - before.expired;
	if (id == 0 && gone > 0)
		samples_add(&b->expire, (double)cycles * b->conf.threads / (double)gone);
	wait_for_others(id);
	sweep(b, id,
		1000 + 2 * TIMEOUT_MS); /* what a meeting of idle times left, and the last grace periods */
	flow_worker_flush(b->table, id);
	rcu_reader_unregister(id);
}

json_t *tables_flow(const struct tables_conf *conf, uint32_t entries, unsigned fill)
{
	struct flow_bench b = { .conf = *conf,
		.entries = entries,
		.pairs = (uint32_t)((uint64_t)entries * fill / 100 / 2),
		.fill = fill };
	/* Of the other family as few as there can be: sweeping it costs too. */
	struct flow_table_conf table = { .entries4 = conf->v6 ? 64 : entries,
		.entries6 = conf->v6 ? entries : 64,
		.n_workers = conf->threads,
		.timeout_ms = TIMEOUT_MS,
		.negative_timeout_ms = TIMEOUT_MS,
		.socket_id = -1 };
	size_t before = resident(), mapped;
	struct flow_stats stats;
	double per_flow;

	b.table = flow_table_new(&table);
	if (b.table == NULL)
		bench_die("out of memory for a flow table", NULL);
	mapped = flow_table_memory(b.table);
	threads_run(conf->threads, worker, &b);
	flow_table_stats(b.table, &stats);
	per_flow = (double)(resident() - before) / RTE_MAX(2.0 * b.pairs, 1.0);
	flow_table_free(b.table);
	return json_pack(
		"{s:s, s:i, s:I, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:f, s:I, s:I}",
		"table", "flow", "family", conf->v6 ? 6 : 4, "entries", (json_int_t)entries, "fill",
		(int)fill, "threads", (json_int_t)conf->threads, "insert_fresh",
		samples_json(&b.insert_fresh), "insert_pair", samples_json(&b.insert), "hit",
		samples_json(&b.hit), "miss", samples_json(&b.miss), "sweep_per_flow",
		samples_json(&b.scan), "expire", samples_json(&b.expire), "bytes_per_entry",
		(double)mapped / entries, "resident_per_flow", per_flow, "refused",
		(json_int_t)stats.refused, "wrong", (json_int_t)b.lost);
}
