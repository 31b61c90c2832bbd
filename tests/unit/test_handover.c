/* SPDX-License-Identifier: Apache-2.0 */
/** Claiming a state directory: who is asked to end, and who never is. The other processes are children. */
#include "ctrl/daemon/handover.h"
#include "ctrl/daemon/store.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/podlane-handover-XXXXXX";
static char lock_path[64];

static void end_dir(void)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void make_dir(void)
{
	memset(dir + strlen(dir) - 6, 'X', 6);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(lock_path, sizeof(lock_path), "%s/lock", dir);
}

/** A child that takes the lock and waits for its end: as a daemon does, or without saying who it is. */
static pid_t child_start(bool as_daemon)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct error err;
		struct store *store;
		bool ok;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ok = as_daemon ? store_open(dir, &store, &err) == 0
			       : flock(open(lock_path, O_RDWR | O_CREAT, 0600), LOCK_EX) == 0;
		byte = ok;
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
	CU_ASSERT_EQUAL_FATAL(byte, 1);
	close(ready[0]);
	return pid;
}

static bool is_running(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_nobody(void)
{
	struct error err = { 0 };
	FILE *file;

	make_dir();
	CU_ASSERT_EQUAL(handover_claim(dir, &err), 0);
	file = fopen(lock_path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fprintf(file, "%d\n", (int)getpid());
	fclose(file);
	CU_ASSERT_EQUAL(handover_claim(dir, &err), 0);
	end_dir();
}

/** systemd hears who the main process is, then the holder ends. */
static void test_daemon(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char text[64] = "", wanted[64];
	struct error err = { 0 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), status = 0;
	pid_t pid;

	make_dir();
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/notify", dir);
	CU_ASSERT_EQUAL(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	setenv("NOTIFY_SOCKET", addr.sun_path, 1);
	pid = child_start(true);
	CU_ASSERT_EQUAL(handover_claim(dir, &err), 0);
	unsetenv("NOTIFY_SOCKET");
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	snprintf(wanted, sizeof(wanted), "MAINPID=%d", (int)getpid());
	CU_ASSERT_TRUE(recv(fd, text, sizeof(text) - 1, 0) > 0);
	CU_ASSERT_STRING_EQUAL(text, wanted);
	close(fd);
	end_dir();
}

/** Who ends because somebody takes its place sees that, and only while that one lives. */
static void test_holder_sees_it(void)
{
	struct store *store;
	struct error err = { 0 };
	pid_t pid;
	int status;

	make_dir();
	CU_ASSERT_EQUAL_FATAL(store_open(dir, &store, &err), 0);
	CU_ASSERT_FALSE(store_has_successor(store));
	signal(SIGTERM, SIG_IGN);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Asks us to end, and waits, because we do not. */
		_exit(handover_claim(dir, &err) == 0);
	}
	while (!store_has_successor(store) && waitpid(pid, &status, WNOHANG) == 0)
		usleep(1000);
	CU_ASSERT_TRUE(store_has_successor(store));
	/* A second one is refused, and ends nobody. */
	if (fork() == 0)
		_exit(handover_claim(dir, &err) == 0 ||
			strstr(err.text, "is taking over just now") == NULL);
	CU_ASSERT_TRUE(wait(&status) != pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	child_end(pid);
	CU_ASSERT_FALSE(store_has_successor(store));
	signal(SIGTERM, SIG_DFL);
	store_close(store);
	end_dir();
}

/** A number in the file, of whoever has it today, is nobody's end; neither is a lock without a name. */
static void test_innocent(void)
{
	pid_t holder, innocent;
	struct error err = { 0 };
	FILE *file;

	make_dir();
	holder = child_start(false);
	innocent = fork();
	if (innocent == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(1);
	}
	file = fopen(lock_path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fprintf(file, "%d\n", (int)innocent);
	fclose(file);
	CU_ASSERT_EQUAL(handover_claim(dir, &err), -ESRCH);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "cannot be named"));
	CU_ASSERT_TRUE(is_running(innocent));
	CU_ASSERT_TRUE(is_running(holder));
	child_end(innocent);
	child_end(holder);
	end_dir();
}

static const struct test_case cases[] = {
	{ "nobody there", test_nobody },
	{ "a daemon ends", test_daemon },
	{ "the holder sees it", test_holder_sees_it },
	{ "others do not", test_innocent },
};

SUITE_MAIN("handover", cases)
