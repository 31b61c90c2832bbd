/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/steps.h"

#include "perf/symbols.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDRESSES 32768 /* different instruction addresses, power of two */
#define STEPS_MAX \
	50000000ul /* work that never returns under stepping: a load-exclusive loop on arm64 */

/** Shared with the child: addresses by open addressing. */
struct counting {
	_Atomic int state; /* 0 = not yet, 1 = attached, < 0 = -errno */
	int result;
	uintptr_t work;
	uint64_t total;
	struct {
		uintptr_t address;
		uint64_t count;
	} at[ADDRESSES];
};

/* --- registers ---------------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
static bool pc_of(pid_t tid, uintptr_t *pc)
{
	errno = 0;
	*pc = (uintptr_t)ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user, regs.rip), NULL);
	return errno == 0;
}
/** At the first instruction of a function: where it will return to. */
static bool return_of(pid_t tid, uintptr_t *address)
{
	uintptr_t sp;

	errno = 0;
	sp = (uintptr_t)ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user, regs.rsp), NULL);
	*address = (uintptr_t)ptrace(PTRACE_PEEKDATA, tid, sp, NULL);
	return errno == 0;
}
#elif defined(__aarch64__)
static bool registers(pid_t tid, struct user_regs_struct *regs)
{
	struct iovec iov = { regs, sizeof(*regs) };

	return ptrace(PTRACE_GETREGSET, tid, 1 /* NT_PRSTATUS */, &iov) == 0;
}
static bool pc_of(pid_t tid, uintptr_t *pc)
{
	struct user_regs_struct regs;
	bool ok = registers(tid, &regs);

	*pc = ok ? regs.pc : 0;
	return ok;
}
static bool return_of(pid_t tid, uintptr_t *address)
{
	struct user_regs_struct regs;
	bool ok = registers(tid, &regs);

	*address = ok ? regs.regs[30] : 0;
	return ok;
}
#else
static bool pc_of(pid_t tid, uintptr_t *pc)
{
	(void)tid;
	*pc = 0;
	return false;
}
#define return_of pc_of
#endif

/* --- the child: nothing but system calls and the shared memory --------------------------------------------------- */

static bool note(struct counting *c, uintptr_t address)
{
	size_t slot = (address * 0x9e3779b97f4a7c15ul) >> 49 & (ADDRESSES - 1);

	for (unsigned tries = 0; tries < ADDRESSES; tries++, slot = (slot + 1) & (ADDRESSES - 1)) {
		if (c->at[slot].address == 0)
			c->at[slot].address = address;
		if (c->at[slot].address == address) {
			c->at[slot].count++;
			return true;
		}
	}
	return false;
}

static int step_through(struct counting *c, pid_t tid)
{
	uintptr_t end = 0, before = 0, pc;
	int status;

	for (unsigned long steps = 0; steps < STEPS_MAX; steps++) {
		if (!pc_of(tid, &pc))
			return -EIO;
		if (end == 0 && pc == c->work && !return_of(tid, &end))
			return -EIO;
		if (end != 0 && pc == end)
			return 0;
		if (end != 0 && pc != before) { /* the same again: a repeat prefix */
			c->total++;
			if (!note(c, pc))
				return -ENOMEM;
		}
		before = pc;
		if (ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL) < 0 ||
			waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
			return -EIO;
		if (WSTOPSIG(status) !=
			SIGTRAP) /* somebody stops or kills the bench: count no further */
			return -EINTR;
	}
	return -EIO;
}

static void count_parent(struct counting *c, pid_t tid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0) {
		atomic_store(&c->state, errno == ENOSYS ? -ENOSYS : -EPERM);
		return;
	}
	atomic_store(&c->state, 1);
	/* The parent raises SIGSTOP, which ends here: it never sees it. */
	if (waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status))
		c->result = step_through(c, tid);
	else
		c->result = -EIO;
	ptrace(PTRACE_DETACH, tid, NULL, NULL);
}

/* --- the parent --------------------------------------------------------------------------------------------------- */

static int by_count(const void *a, const void *b)
{
	const struct steps_function *x = a, *y = b;

	return x->count != y->count ? (x->count < y->count) - (x->count > y->count)
				    : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(
		((const struct steps_function *)a)->name, ((const struct steps_function *)b)->name);
}

static int name_functions(const struct counting *c, struct steps *steps)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < ADDRESSES; i++)
		n += c->at[i].address != 0;
	steps->functions = calloc(n + 1, sizeof(*steps->functions));
	if (steps->functions == NULL)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < ADDRESSES; i++) {
		if (c->at[i].address == 0)
			continue;
		symbol_name(c->at[i].address, steps->functions[n].name,
			sizeof(steps->functions[n].name));
		steps->functions[n++].count = c->at[i].count;
	}
	qsort(steps->functions, n, sizeof(*steps->functions), by_name);
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 &&
			strcmp(steps->functions[kept - 1].name, steps->functions[i].name) == 0)
			steps->functions[kept - 1].count += steps->functions[i].count;
		else
			steps->functions[kept++] = steps->functions[i];
	}
	qsort(steps->functions, kept, sizeof(*steps->functions), by_count);
	steps->n_functions = kept;
	return 0;
}

int steps_count(void (*work)(void *arg), void *arg, struct steps *steps)
{
	void (*volatile call)(void *) =
		work; /* a real call: the child waits for its first instruction */
	cpu_set_t allowed, one;
	struct counting *c;
	pid_t child, tid = gettid();
	int ret;

	*steps = (struct steps){ 0 };
	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c == MAP_FAILED)
		return -ENOMEM;
	c->work = (uintptr_t)work;
	/* Both on one CPU: each step hands over twice, and waking another CPU takes ten times as long. */
	sched_getaffinity(0, sizeof(allowed), &allowed);
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* only Yama asks for it */
	child = fork();
	if (child == 0) {
		count_parent(c, tid);
		_exit(0);
	}
	if (child < 0) {
		ret = -errno;
		goto unmap;
	}
	while ((ret = atomic_load(&c->state)) == 0 && waitpid(child, NULL, WNOHANG) == 0)
		usleep(100);
	if (ret == 1) {
		raise(SIGSTOP);
		call(arg);
	}
	waitpid(child, NULL, 0);
	if (ret != 1) {
		ret = ret == 0 ? -EIO : ret;
		goto unmap;
	}
	ret = c->result;
	if (ret == 0) {
		steps->total = c->total;
		ret = name_functions(c, steps);
	}
unmap:
	prctl(PR_SET_PTRACER, 0);
	sched_setaffinity(0, sizeof(allowed), &allowed);
	munmap(c, sizeof(*c));
	return ret;
}
