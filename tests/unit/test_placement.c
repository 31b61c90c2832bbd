/* SPDX-License-Identifier: Apache-2.0 */
/** Where queues go: the decision against trying every move, and that it comes to rest. */
#include "dataplane/placement.h"
#include "tests/unit/suite.h"

#include <math.h>

#define QUEUES_MAX  32
#define WORKERS_MAX 5

static struct placement_queue queues[QUEUES_MAX];

static void loads(size_t n, double *load)
{
	memset(load, 0, RCU_WORKERS_MAX * sizeof(load[0]));
	for (size_t i = 0; i < n; i++)
		load[queues[i].worker] += queues[i].load;
}

/** How much less busy the busier of two workers becomes by the best of all moves, when that is much. */
static double best_of_all(size_t n, unsigned workers)
{
	double load[RCU_WORKERS_MAX], best = 0;

	loads(n, load);
	for (size_t i = 0; i < n; i++) {
		for (unsigned to = 0; to < workers; to++) {
			const unsigned from = queues[i].worker;
			double after;

			if (to == from || (queues[i].allowed >> to & 1) == 0 ||
				load[from] - load[to] < IMBALANCE)
				continue;
			after = fmax(load[from] - queues[i].load, load[to] + queues[i].load);
			best = fmax(best, load[from] - after);
		}
	}
	return best;
}

static double random_share(void)
{
	return (double)(rand() % 1000) / 1000;
}

static void best_move(void)
{
	srand(7);
	for (unsigned turn = 0; turn < 20000; turn++) {
		const unsigned workers = 1 + (unsigned)rand() % WORKERS_MAX;
		const size_t n = (size_t)rand() % QUEUES_MAX;
		double load[RCU_WORKERS_MAX], after[RCU_WORKERS_MAX], best;
		size_t which = n;
		unsigned from, to = workers;

		for (size_t i = 0; i < n; i++)
			queues[i] = (struct placement_queue){ random_share() * random_share(),
				rand() % 4 == 0 ? (uint32_t)rand() : UINT32_MAX,
				(uint16_t)((unsigned)rand() % workers) };
		best = best_of_all(n, workers);
		if (!placement_choose(queues, n, workers, &which, &to)) {
			CU_ASSERT_FATAL(best < GAIN_MIN + 1e-9);
			continue;
		}
		CU_ASSERT_FATAL(which < n && to < workers && to != queues[which].worker);
		CU_ASSERT_FATAL((queues[which].allowed >> to & 1) != 0);
		loads(n, load);
		from = queues[which].worker;
		queues[which].worker = (uint16_t)to;
		loads(n, after);
		CU_ASSERT_FATAL(fabs(load[from] - fmax(after[from], after[to]) - best) < 1e-9);
	}
}

/** Whatever the start, moves end, and no worker is then much busier than another that could have helped. */
static void comes_to_rest(void)
{
	srand(8);
	for (unsigned turn = 0; turn < 500; turn++) {
		const unsigned workers = 2 + (unsigned)rand() % (WORKERS_MAX - 1);
		size_t which;
		unsigned to, moves = 0;

		for (size_t i = 0; i < QUEUES_MAX; i++)
			queues[i] = (struct placement_queue){ random_share() / 8, UINT32_MAX, 0 };
		while (placement_choose(queues, QUEUES_MAX, workers, &which, &to)) {
			queues[which].worker = (uint16_t)to;
			CU_ASSERT_FATAL(++moves <= QUEUES_MAX);
		}
		CU_ASSERT(moves > 0);
		CU_ASSERT(best_of_all(QUEUES_MAX, workers) < GAIN_MIN + 1e-9);
	}
}

/** Two hundred pods that do little each are a load together. */
static void many_small_ones(void)
{
	struct placement_queue small[200];
	size_t which;
	unsigned to, moves = 0;

	for (size_t i = 0; i < 200; i++)
		small[i] = (struct placement_queue){ 0.005, UINT32_MAX, 0 };
	for (; placement_choose(small, 200, 2, &which, &to); moves++)
		small[which].worker = (uint16_t)to;
	CU_ASSERT(moves >= 90 && moves <= 100);
}

/** Loads that waver a little move nothing to and fro. */
static void wavering(void)
{
	size_t which;
	unsigned to, moves = 0;

	srand(9);
	for (unsigned turn = 0; turn < 1000; turn++) {
		for (size_t i = 0; i < 8; i++) {
			if (turn == 0)
				queues[i].worker = 0;
			queues[i].allowed = UINT32_MAX;
			queues[i].load = 0.1 + 0.005 * (random_share() - 0.5);
		}
		if (placement_choose(queues, 8, 2, &which, &to)) {
			queues[which].worker = (uint16_t)to;
			moves++;
		}
	}
	CU_ASSERT_EQUAL(moves, 4);
}

static void stays(void)
{
	size_t which;
	unsigned to;

	/* Alone on its worker; held by its NUMA node; idle. */
	queues[0] = (struct placement_queue){ 0.9, UINT32_MAX, 0 };
	CU_ASSERT_FALSE(placement_choose(queues, 1, 2, &which, &to));
	queues[0] = queues[1] = (struct placement_queue){ 0.4, 1, 0 };
	CU_ASSERT_FALSE(placement_choose(queues, 2, 2, &which, &to));
	queues[0] = queues[1] = (struct placement_queue){ 0.04, UINT32_MAX, 0 };
	CU_ASSERT_FALSE(placement_choose(queues, 2, 2, &which, &to));
	CU_ASSERT_FALSE(placement_choose(queues, 0, 2, &which, &to));
	/* The small one leaves, not the large one: as good, and less is disturbed. */
	queues[0] = (struct placement_queue){ 0.75, UINT32_MAX, 0 };
	queues[1] = (struct placement_queue){ 0.25, UINT32_MAX, 0 };
	CU_ASSERT_TRUE(placement_choose(queues, 2, 2, &which, &to));
	CU_ASSERT(which == 1 && to == 1);
}

static const struct test_case cases[] = {
	{ "the best move is chosen", best_move },
	{ "moves come to an end", comes_to_rest },
	{ "many small ones", many_small_ones },
	{ "loads that waver move nothing", wavering },
	{ "what stays where it is", stays },
};

SUITE_MAIN("placement", cases)
