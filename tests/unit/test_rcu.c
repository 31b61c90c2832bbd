/* SPDX-License-Identifier: Apache-2.0 */
/** Retired objects wait for every reader that could hold them, and no longer. */
#include "dataplane/rcu.h"
#include "tests/unit/suite.h"

#include <pthread.h>
#include <stdint.h>

static int released[8];
static unsigned n_released;

static void release(void *obj)
{
	if (n_released < 8)
		released[n_released++] = *(int *)obj;
}

static void start(void)
{
	CU_ASSERT_EQUAL_FATAL(rcu_init(), 0);
	CU_ASSERT_EQUAL(rcu_init(), 0);
	n_released = 0;
	CU_ASSERT_EQUAL(rcu_pending(), 0);
}

static void test_order(void)
{
	int a = 1, b = 2, c = 3;

	start();
	rcu_reader_register(3);
	rcu_reader_register(5);
	rcu_retire(&a, release);
	rcu_retire(NULL, release);
	rcu_quiescent(3);
	rcu_retire(&b, release);
	rcu_reclaim();
	CU_ASSERT_EQUAL(n_released, 0); /* reader 5 may hold both */
	CU_ASSERT_EQUAL(rcu_pending(), 2);
	rcu_quiescent(5);
	rcu_reclaim();
	CU_ASSERT_EQUAL(n_released, 1); /* reader 3 may have taken b */
	rcu_quiescent(3);
	rcu_retire(&c, release);
	rcu_reclaim();
	CU_ASSERT_EQUAL(n_released, 2);
	rcu_offline(3); /* sleeping workers hold nothing */
	rcu_reader_unregister(5);
	rcu_reclaim();
	CU_ASSERT_EQUAL(n_released, 3);
	CU_ASSERT_TRUE(released[0] == 1 && released[1] == 2 && released[2] == 3);
	CU_ASSERT_EQUAL(rcu_pending(), 0);
	rcu_reader_unregister(3);
}

static void test_no_readers(void)
{
	int a = 1;

	start();
	rcu_retire(&a, release);
	CU_ASSERT_EQUAL(n_released, 0); /* never inside rcu_retire */
	rcu_reclaim();
	CU_ASSERT_EQUAL(n_released, 1);
	rcu_retire(&a, release);
	rcu_barrier();
	CU_ASSERT_EQUAL(n_released, 2);
}

/* An object is overwritten when it is released: a reader that still sees it finds 0. */
static _Atomic(uint32_t *) shared;
static _Atomic bool stop, torn;

static void poison(void *obj)
{
	*(volatile uint32_t *)obj = 0;
	free(obj);
}

static void *reader(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg;

	rcu_reader_register(id);
	while (!atomic_load(&stop)) {
		const uint32_t *value = rcu_read(&shared);

		for (int i = 0; i < 20; i++) {
			if (*(const volatile uint32_t *)value != 7)
				atomic_store(&torn, true);
		}
		rcu_quiescent(id);
	}
	rcu_reader_unregister(id);
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[2];
	uint32_t *value;

	start();
	value = malloc(sizeof(*value));
	*value = 7;
	atomic_store(&shared, value);
	for (uintptr_t i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, reader, (void *)i), 0);
	for (int i = 0; i < 20000; i++) {
		value = malloc(sizeof(*value));
		*value = 7;
		rcu_retire(rcu_publish(&shared, value), poison);
		rcu_reclaim();
	}
	rcu_barrier();
	CU_ASSERT_EQUAL(rcu_pending(), 0);
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_FALSE(atomic_load(&torn));
	free(atomic_load(&shared));
}

static const struct test_case cases[] = {
	{ "order", test_order },
	{ "no readers", test_no_readers },
	{ "threads", test_threads },
};

SUITE_MAIN("rcu", cases)
