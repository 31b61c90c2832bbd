/* SPDX-License-Identifier: Apache-2.0 */
/* FIB versions under RCU, with real readers. The test to run under ThreadSanitizer. */
#include "dataplane/fib.h"
#include "dataplane/rcu.h"
#include "tests/unit/suite.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

static uint32_t random_below(uint32_t n)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % n;
}

static struct ip_prefix prefix4(uint32_t addr, unsigned len)
{
	struct ip_prefix p = { .addr.family = IP_V4, .len = (uint8_t)len };

	for (unsigned i = 0; i < 4; i++)
		p.addr.bytes[i] = (uint8_t)(addr >> (24 - 8 * i));
	return p;
}

/* Readers against one writer. Each commit gives both prefixes of some pairs, and the default
 * route, the commit's number: a reader that takes one version must see pairs equal and none
 * newer than the default route. */
#define PAIRS	64u
#define READERS 2u

static _Atomic(struct fib *) published;
static atomic_bool stop;
static atomic_uint torn, reading;

static struct ip_prefix pair_left(uint32_t i)
{
	return prefix4(0x0a000000u + (i << 16), 16 + i % 17);
}

static struct ip_prefix pair_right(uint32_t i)
{
	return prefix4(0xac100000u + (i << 8), 32);
}

static void *reader_main(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg;
	uint8_t addrs[3][4] = { { 0 }, { 0 }, { 9, 9, 9, 9 } };
	const uint8_t *pointers[3] = { addrs[0], addrs[1], addrs[2] };
	uint32_t values[3], last = 0;

	rcu_reader_register(id);
	for (uint32_t i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
		const struct fib *fib = rcu_read(&published);
		struct ip_prefix left = pair_left(i % 16 * 4), right = pair_right(i % 16 * 4);

		memcpy(addrs[0], left.addr.bytes, 4);
		memcpy(addrs[1], right.addr.bytes, 4);
		if (i % 2 == 0) {
			fib_lookup_bulk(fib, pointers, values, 3);
		} else {
			for (unsigned v = 0; v < 3; v++)
				values[v] = fib_lookup(fib, addrs[v]);
		}
		if (values[0] != values[1] || values[0] == FIB_NONE || values[0] > values[2] ||
			values[2] < last)
			atomic_fetch_add_explicit(&torn, 1, memory_order_relaxed);
		last = values[2];
		if (i == 0)
			atomic_fetch_add_explicit(&reading, 1, memory_order_relaxed);
		if (i % 32 == 0)
			rcu_quiescent(id);
	}
	rcu_reader_unregister(id);
	return NULL;
}

/* Readers look at every fourth pair, which is always there; the others come and go around them. */
static unsigned commit_wrong(uint32_t number)
{
	struct fib *fib = fib_edit(rcu_own(&published));
	struct ip_prefix any = prefix4(0, 0);
	unsigned wrong = 0;

	if (fib == NULL)
		return 1;
	wrong += fib_set(fib, &any, number, NULL) != 0;
	for (uint32_t i = 0; i < PAIRS; i++) {
		struct ip_prefix left = pair_left(i), right = pair_right(i);
		uint32_t value = i % 4 == 0 || random_below(2) == 0 ? number : FIB_NONE;

		if (number > 1 && random_below(4) != 0)
			continue;
		wrong += fib_set(fib, &left, value, NULL) != 0;
		wrong += fib_set(fib, &right, value, NULL) != 0;
	}
	if (number % 8 == 0) {
		fib_abort(fib);
		return wrong;
	}
	fib_seal(fib);
	rcu_retire(rcu_publish(&published, fib), fib_free_version);
	rcu_reclaim();
	return wrong;
}

static void readers_see_whole_commits(void)
{
	pthread_t readers[READERS];
	unsigned wrong = 0;
	struct fib *last;

	CU_ASSERT_EQUAL_FATAL(rcu_init(), 0);
	rcu_publish(&published, fib_new(IP_V4));
	CU_ASSERT_PTR_NOT_NULL_FATAL(rcu_own(&published));
	wrong += commit_wrong(1);
	for (uintptr_t i = 0; i < READERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&readers[i], NULL, reader_main, (void *)i), 0);
	while (atomic_load(&reading) < READERS)
		sched_yield();
	for (uint32_t number = 2; number < 20000; number++)
		wrong += commit_wrong(number);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	rcu_barrier();
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(atomic_load(&torn), 0);
	CU_ASSERT_EQUAL(rcu_pending(), 0);
	last = rcu_own(&published);
	CU_ASSERT_EQUAL(fib_memory_held(last), fib_memory(last));
	fib_free(last);
}

static const struct test_case cases[] = {
	{ "readers see whole commits", readers_see_whole_commits },
};
SUITE_MAIN("fib rcu", cases)
