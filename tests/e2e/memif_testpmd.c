/* SPDX-License-Identifier: Apache-2.0 */
/** Our memif port against DPDK's, in either role. testpmd forwards its only port to itself, so every
 * frame this program sends must come back whole, in order, over the other ring: both directions,
 * frames of one and of several descriptors. testpmd is killed without a goodbye, started again, and
 * must be had again by the same port; the same for a polite exit. A worker thread moves packets
 * while the main thread is the control thread.
 *
 * Needs neither root nor hugepages; with 2 MiB pages to spare DPDK's zero-copy client is a peer as
 * well, whose regions are its packet buffers. Exits 0, 1 on failure, 77 when dpdk-testpmd is not
 * installed.
 */
#include "tests/unit/control_loop.h"
#include "tests/unit/eal.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define FRAMES	20000u /* a run */
#define WINDOW	128u   /* in flight: well below the ring, so that testpmd drops nothing */
#define BURST	32
#define TIMEOUT 30 /* seconds; a bound for a hung test, not a measurement */

void (*port_watch_fd)(struct port *port, int fd, bool on) = control_loop_watch;

static struct port *port;
static struct rte_mempool *pool;
static char directory[] = "/tmp/podlane-memif-XXXXXX", socket_path[64];
static _Atomic bool stop;
static _Atomic bool running; /* the worker sends and checks; else it only discards */
static _Atomic uint32_t checked, wrong;

/* Length and bytes follow from the number, so the receiver needs no memory of what was sent. */
static uint16_t frame_length(uint32_t number)
{
	static const uint16_t lengths[] = { 60, 64, 1514, 128, 2048, 2049, 9000, 61, 4096, 300,
		8192, 1 };

	return lengths[number % RTE_DIM(lengths)];
}

static void frame_fill(uint8_t *bytes, uint16_t length, uint32_t number)
{
	for (uint16_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(number * 31 + i * 7u + (i >> 8));
}

static struct rte_mbuf *frame_make(uint32_t number)
{
	uint8_t bytes[9000];
	uint16_t length = frame_length(number);
	struct rte_mbuf *first = rte_pktmbuf_alloc(pool), *last = first;

	frame_fill(bytes, length, number);
	for (uint16_t done = 0; first != NULL && done < length;) {
		uint16_t part = (uint16_t)RTE_MIN(length - done, rte_pktmbuf_tailroom(last));

		memcpy(rte_pktmbuf_mtod(last, void *), bytes + done, part);
		last->data_len = part;
		first->pkt_len += part;
		done = (uint16_t)(done + part);
		if (done < length) {
			last->next = rte_pktmbuf_alloc(pool);
			last = last->next;
			first->nb_segs++;
			if (last == NULL)
				abort();
		}
	}
	return first;
}

static bool frame_right(const struct rte_mbuf *m, uint32_t number)
{
	uint8_t want[9000], buf[9000];
	uint16_t length = frame_length(number);
	const void *got;

	if (m->pkt_len != length)
		return false;
	frame_fill(want, length, number);
	got = rte_pktmbuf_read(m, 0, length, buf);
	return got != NULL && memcmp(got, want, length) == 0;
}

static void worker_step(uint32_t *sent, uint32_t *next)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n, taken;

	for (n = 0; n < BURST && *sent + n - *next < WINDOW && *sent + n < FRAMES; n++) {
		pkts[n] = frame_make(*sent + n);
		if (pkts[n] == NULL)
			break;
	}
	taken = port->ops->tx_burst(port, 0, pkts, n);
	*sent += taken;
	rte_pktmbuf_free_bulk(&pkts[taken], (unsigned)(n - taken));
	n = port->ops->rx_burst(port, 0, pkts, BURST);
	for (uint16_t i = 0; i < n; i++) {
		if (!frame_right(pkts[i], *next)) {
			if (atomic_fetch_add(&wrong, 1) < 5)
				fprintf(stderr,
					"frame %u: want %u bytes, got %u in %u segments, or other "
					"bytes\n",
					*next, frame_length(*next), pkts[i]->pkt_len,
					pkts[i]->nb_segs);
		}
		(*next)++;
	}
	rte_pktmbuf_free_bulk(pkts, n);
	atomic_store(&checked, *next);
	if (n == 0)
		sched_yield();
}

static void *worker(void *arg)
{
	(void)arg;
	rcu_reader_register(0);
	while (!atomic_load(&stop)) {
		uint32_t sent = 0, next = 0;

		while (atomic_load(&running)) {
			worker_step(&sent, &next);
			rcu_quiescent(0);
		}
		rcu_quiescent(0);
		usleep(1000);
	}
	rcu_reader_unregister(0);
	return NULL;
}

static pid_t testpmd_start(const char *test, const char *role, bool zero_copy)
{
	char vdev[192], prefix[48], log[96];
	pid_t pid;

	snprintf(vdev, sizeof(vdev),
		"--vdev=net_memif0,role=%s,id=7,socket=%s,socket-abstract=no,rsize=10,bsize=2048,"
		"secret=s3cret%s",
		role, socket_path, zero_copy ? ",zero-copy=yes" : "");
	snprintf(prefix, sizeof(prefix), "--file-prefix=podlane-memif-%d", (int)getpid());
	snprintf(log, sizeof(log), "%s/testpmd-%s.log", directory, test);
	fflush(NULL);
	pid = fork();
	if (pid != 0)
		return pid;
	if (freopen("/dev/null", "r", stdin) == NULL || freopen(log, "w", stdout) == NULL ||
		dup2(1, 2) < 0)
		_exit(126);
	execlp("dpdk-testpmd", "dpdk-testpmd", zero_copy ? "--in-memory" : "--no-huge", "-m",
		zero_copy ? "64" : "256", zero_copy ? "--single-file-segments" : "--no-shconf",
		"--no-pci", "--no-telemetry", prefix, "-l", "0,1", vdev, "--", "--forward-mode=io",
		"--auto-start", "--no-flush-rx", "--total-num-mbufs=8192", "--stats-period=60",
		"--no-mlockall", NULL);
	_exit(127);
}

static uint64_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

static bool fail(const char *test, const char *what)
{
	json_t *facts = json_object();
	char *text;

	port->ops->describe(port, facts);
	text = json_dumps(facts, JSON_INDENT(1));
	fprintf(stderr, "%s: %s; frames back: %u, wrong: %u\n%s\n", test, what,
		atomic_load(&checked), atomic_load(&wrong), text);
	free(text);
	json_decref(facts);
	return false;
}

static bool wait_link(bool up)
{
	uint64_t until = seconds() + TIMEOUT;

	while (atomic_load(&port->link_up) != up && seconds() < until) {
		control_loop_run(100);
		port->ops->tick(port);
	}
	return atomic_load(&port->link_up) == up;
}

static bool run(const char *test, const char *role, bool zero_copy, int signal_at_end)
{
	uint64_t until;
	bool ok = true;
	pid_t pid = testpmd_start(test, role, zero_copy);
	int status;

	if (!wait_link(true))
		ok = fail(test, "testpmd did not connect");
	atomic_store(&checked, 0);
	atomic_store(&running, ok);
	until = seconds() + TIMEOUT;
	while (ok && atomic_load(&checked) < FRAMES && seconds() < until)
		control_loop_run(50);
	if (ok && (atomic_load(&checked) < FRAMES || atomic_load(&wrong) > 0))
		ok = fail(test, "not every frame came back as it was sent");
	kill(pid, signal_at_end);
	waitpid(pid, &status, 0);
	if (ok && !wait_link(false))
		ok = fail(test, "the link stayed up after testpmd was gone");
	atomic_store(&running, false);
	printf("%s: %s, %u frames\n", test, ok ? "ok" : "FAILED", atomic_load(&checked));
	return ok;
}

static bool huge_pages_spare(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	unsigned spare = 0;

	if (f == NULL)
		return false;
	if (fscanf(f, "%u", &spare) != 1)
		spare = 0;
	fclose(f);
	return spare >= 48;
}

static bool runs_as_server(void)
{
	return run("first", "client", false, SIGKILL) &&
	       run("after-kill", "client", false, SIGTERM) &&
	       (!huge_pages_spare() || run("zero-copy", "client", true, SIGKILL)) &&
	       run("after-exit", "client", false, SIGKILL);
}

static bool runs_as_client(void)
{
	bool ok = run("server", "server", false, SIGKILL);

	unlink(socket_path); /* DPDK's server does not start over one that a dead process left */
	return ok && run("server-after-kill", "server", false, SIGTERM);
}

/* One port in one role, a worker, and the peers it has. */
static bool role(const struct port_params *params, bool (*runs)(void))
{
	struct error err;
	pthread_t thread;
	bool ok;

	if (port_memif_ops.open(params, &port, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return false;
	}
	atomic_store(&stop, false);
	if (pthread_create(&thread, NULL, worker, NULL) != 0)
		return false;
	ok = runs();
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	port->ops->close(port);
	rcu_barrier();
	if (ok && rte_mempool_in_use_count(pool) != 0) {
		fprintf(stderr, "%u buffers leaked\n", rte_mempool_in_use_count(pool));
		return false;
	}
	return ok;
}

int main(void)
{
	struct port_params params = { .name = "pod:testpmd",
		.role = PORT_POD,
		.socket = socket_path,
		.secret = "s3cret",
		.memif_id = 7,
		.ring_size = 1024,
		.n_queues = 1,
		.mtu = 9000,
		.socket_id = SOCKET_ID_ANY };
	bool ok;

	if (system("command -v dpdk-testpmd >/dev/null") != 0)
		return 77;
	eal_start();
	pool = params.pool = eal_pool("frames", 4095, 2048);
	if (rcu_init() < 0 || mkdtemp(directory) == NULL)
		return EXIT_FAILURE;
	snprintf(socket_path, sizeof(socket_path), "%s/memif.sock", directory);
	ok = role(&params, runs_as_server);
	params.memif_client = true;
	ok = ok && role(&params, runs_as_client);
	if (ok) {
		char command[96];

		snprintf(command, sizeof(command), "rm -r '%s'", directory);
		ok = system(command) == 0;
	} else {
		fprintf(stderr, "testpmd's output is in %s\n", directory);
	}
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
