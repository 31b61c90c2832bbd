/* SPDX-License-Identifier: Apache-2.0 */
/** Start and stop of the data plane, and what control reads of its workers: see worker.h. */
#include "dataplane/burst.h"
#include "dataplane/conntrack.h"
#include "dataplane/kernel_flows.h"
#include "dataplane/kernel_maps.h"
#include "dataplane/worker.h"

#include "config/log.h"
#include "dataplane/eal_calibration.h"
#include "dataplane/forwarding.h"
#include "dataplane/loop.h"
#include "dataplane/memory.h"
#include "dataplane/packet_socket.h"
#include "dataplane/pci_binding.h"
#include "dataplane/placement.h"
#include "dataplane/polling.h"

#include <errno.h>
#include <numa.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LARGE_BUFFER_ROOM 16128
/* Some NICs count the bytes of a buffer in 14 bits, and their drivers believe that it is enough (vmxnet3: one bit more is the mark
 * of who owns the descriptor, so that the device stops). A header may be written into the headroom. */
static_assert(LARGE_BUFFER_ROOM + RTE_PKTMBUF_HEADROOM < 1 << 14,
	"a buffer fits the descriptor of any NIC");
#define FRAGMENT_PACKETS    4096 /* fragmented packets followed at a time */
#define FRAGMENT_HELD	    1024 /* fragments that wait for their first one */
#define REASSEMBLY_PACKETS  256
#define NEGATIVE_TIMEOUT_MS 2000
#define EXPIRE_PERIOD_MS    5000 /* every flow is looked at once in this time */

static struct {
	unsigned n_workers;
	struct worker *workers[RCU_WORKERS_MAX];
	struct rte_mempool *pool, *large_pool;
	struct flow_table *flows;
	struct fragment_table *fragments;
	int socket_id;
	bool hugepages, halted;
	cpu_set_t allowed; /* at the start of the process, before EAL pinned anything */
	struct {
		uint64_t busy, total;
		double share;
		struct timespec at;
	} load[RCU_WORKERS_MAX];
} dp;

/* --- EAL ------------------------------------------------------------------------------------------------------ */

/** which: "free_hugepages" or "nr_hugepages". */
static size_t hugepages_mb(const char *which)
{
	unsigned long pages = 0;
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-2048kB/%s", which);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * 2;
}

static size_t hugepages_free_mb(void)
{
	return hugepages_mb("free_hugepages");
}

int dataplane_fits_beside(const struct node *node, struct error *err)
{
	const size_t wanted = node->memory_mb + 2, left = hugepages_free_mb();

	if (node->hugepages == HUGEPAGES_OFF || left >= wanted ||
		hugepages_mb("nr_hugepages") < wanted)
		return 0;
	return error_set(err, ENOMEM, "node/memory_mb",
		"node: memory_mb is %u, but only %zu MiB of 2 MiB pages are free beside the daemon "
		"that runs: raise "
		"vm.nr_hugepages, or stop it and start again",
		node->memory_mb, left);
}

static void cpu_list(const cpu_set_t *set, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && used + 8 < size; cpu++) {
		if (CPU_ISSET(cpu, set))
			used += (size_t)snprintf(
				buf + used, size - used, "%s%u", used > 0 ? "," : "", cpu);
	}
}

static int eal_start(const struct node *node, struct error *err)
{
	char prefix[64], memory[16], cpus[512], lcores[544];
	char *argv[24] = { "podlaned" };
	int argc = 1, ret;

	snprintf(prefix, sizeof(prefix), "--file-prefix=podlane-%d", (int)getpid());
	snprintf(memory, sizeof(memory), "%u", node->memory_mb);
	cpu_list(&dp.allowed, cpus, sizeof(cpus));
	snprintf(lcores, sizeof(lcores), "0@(%s)", cpus);
	dp.hugepages =
		node->hugepages != HUGEPAGES_OFF && hugepages_free_mb() >= node->memory_mb + 2;
	if (!dp.hugepages && node->hugepages == HUGEPAGES_REQUIRED)
		return error_set(err, ENOMEM, "nodes/hugepages",
			"node: hugepages = \"required\", but only %zu MiB of free 2 MiB pages are "
			"left and memory_mb is %u: "
			"raise vm.nr_hugepages or set hugepages = \"auto\"",
			hugepages_free_mb(), node->memory_mb);
	if (!dp.hugepages && node->hugepages == HUGEPAGES_AUTO)
		LOG_WARNING("no hugepages: using 4 KiB pages free_mb=%zu wanted_mb=%u",
			hugepages_free_mb(), node->memory_mb);
	argv[argc++] = prefix;
	argv[argc++] = "-m";
	argv[argc++] = memory;
	argv[argc++] = "--lcores";
	argv[argc++] = lcores;
	argv[argc++] = "--no-telemetry";
	argv[argc++] = "--log-level=lib.eal:4";
	/* An allow list that names no NIC: devices are probed one by one when an uplink asks for them. */
	argv[argc++] =
		access("/sys/bus/pci/devices", R_OK) == 0 ? "--allow=0000:00:00.0" : "--no-pci";
	if (dp.hugepages) {
		argv[argc++] = "--in-memory";
		/* The groups that VFIO makes up without an IOMMU look like those of one, to EAL too. */
		if (vfio_without_iommu("/sys"))
			argv[argc++] = "--iova-mode=pa";
	} else {
		argv[argc++] = "--no-huge";
		argv[argc++] = "--no-shconf";
	}
	eal_calibration_shorten(true);
	ret = rte_eal_init(argc, argv);
	eal_calibration_shorten(false);
	if (ret < 0)
		return error_set(err, rte_errno != 0 ? rte_errno : EINVAL, "node",
			"the DPDK environment cannot start: %s", rte_strerror(rte_errno));
	/* With private memory nothing is ever put there: not one empty directory a start. */
	rmdir(rte_eal_get_runtime_dir());
	/* EAL pinned this thread; control runs where its owner wants it. */
	if (node->control_cpu != UINT32_MAX) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(node->control_cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) < 0)
			return error_set(err, EINVAL, "node/control_cpu",
				"node: control_cpu %u is not a CPU this process may use",
				node->control_cpu);
	} else {
		sched_setaffinity(0, sizeof(dp.allowed), &dp.allowed);
	}
	return 0;
}

/** On the workers' NUMA node; where EAL has no memory there, anywhere. */
static struct rte_mempool *pool_create(
	const char *name, unsigned count, unsigned cache, uint16_t room)
{
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create(name, count, cache, 0, room, dp.socket_id);

	return pool != NULL || dp.socket_id == SOCKET_ID_ANY
		       ? pool
		       : rte_pktmbuf_pool_create(name, count, cache, 0, room, SOCKET_ID_ANY);
}

static int pools_create(const struct node *node, struct error *err)
{
	unsigned large = RTE_MAX(node->buffers / 32, 512u);

	dp.pool = pool_create("packets", node->buffers, 256, RTE_MBUF_DEFAULT_BUF_SIZE);
	dp.large_pool = pool_create("large", large, 32, LARGE_BUFFER_ROOM + RTE_PKTMBUF_HEADROOM);
	if (dp.pool == NULL || dp.large_pool == NULL)
		return error_set(err, ENOMEM, "node/buffers",
			"node: %u packet buffers do not fit memory_mb = %u: raise memory_mb or "
			"lower buffers",
			node->buffers, node->memory_mb);
	return 0;
}

/* --- workers -------------------------------------------------------------------------------------------------- */

static void wake(unsigned id)
{
	uint64_t one = 1;

	atomic_thread_fence(
		memory_order_seq_cst); /* pairs with worker_sleep: ring or list first, then this look */
	if (id < dp.n_workers &&
		atomic_load_explicit(&dp.workers[id]->sleeping, memory_order_seq_cst) &&
		write(dp.workers[id]->wake_fd, &one, sizeof(one)) < 0)
		return; /* only EAGAIN: already awake */
}

/** NUMA node of a CPU, -1 = unknown. */
static int node_of_cpu(int cpu)
{
	return cpu >= 0 && numa_available() >= 0 ? numa_node_of_cpu(cpu) : -1;
}

static void worker_free(struct worker *w)
{
	reassembly_free(w->reassembly);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	table_memory_unmap(w->tx, PORT_MAX * sizeof(*w->tx));
	table_memory_unmap(w, sizeof(*w));
}

static int worker_create(unsigned id, int cpu, struct error *err)
{
	const int node = node_of_cpu(cpu);
	struct worker *w = table_memory_map(sizeof(*w), node);
	struct flow_stats stats;

	if (w == NULL)
		return error_set(err, ENOMEM, "", "out of memory for worker %u", id);
	w->tx = table_memory_map(PORT_MAX * sizeof(*w->tx), node);
	w->reassembly = reassembly_new(REASSEMBLY_PACKETS, node);
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->tx == NULL || w->reassembly == NULL || w->wake_fd < 0 || w->epoll_fd < 0 ||
		poll_init(w) < 0) {
		worker_free(w);
		return error_set(err, ENOMEM, "", "out of memory for worker %u", id);
	}
	flow_table_stats(dp.flows, &stats);
	w->id = id;
	w->cpu = cpu;
	w->counters = &counter_blocks[id];
	w->flows = dp.flows;
	w->fragments = dp.fragments;
	w->pool = dp.pool;
	w->tsc_per_ms = rte_get_tsc_hz() / 1000;
	w->expire_budget =
		(uint32_t)((stats.capacity4 + stats.capacity6) / dp.n_workers / EXPIRE_PERIOD_MS) +
		1;
	dp.workers[id] = w;
	return 0;
}

/** The CPU of a worker: as configured, or the last one allowed. */
static int worker_cpu(const struct node *node, unsigned id)
{
	int cpu = -1;

	if (node->worker_cpus.count > 0)
		return (int)node->worker_cpus.items[id];
	for (int c = 0; c < CPU_SETSIZE; c++) {
		if (CPU_ISSET((size_t)c, &dp.allowed))
			cpu = c;
	}
	return cpu;
}

static int workers_start(const struct node *node, struct error *err)
{
	int ret;

	for (unsigned id = 0; id < dp.n_workers; id++) {
		const int cpu = worker_cpu(node, id);

		if (cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET((size_t)cpu, &dp.allowed))
			return error_set(err, EINVAL, "node/worker_cpus",
				"node: worker_cpus names CPU %d, which this process may not use",
				cpu);
		ret = worker_create(id, cpu, err);
		if (ret < 0)
			return ret;
	}
	placement_init(&(struct placement_conf){ dp.n_workers, dp.workers, wake });
	for (unsigned id = 0; id < dp.n_workers; id++) {
		struct worker *w = dp.workers[id];
		char name[32]; /* "worker-15": pthread_setname_np takes 15 bytes */

		ret = pthread_create(&w->thread, NULL, worker_main, w);
		if (ret != 0)
			return error_set(
				err, ret, "", "worker %u cannot start: %s", id, strerror(ret));
		snprintf(name, sizeof(name), "worker-%u", id);
		pthread_setname_np(w->thread, name);
	}
	for (unsigned id = 0; id < dp.n_workers; id++) {
		while (atomic_load_explicit(&dp.workers[id]->state, memory_order_acquire) ==
			WORKER_STARTING)
			usleep(100);
		if (atomic_load_explicit(&dp.workers[id]->state, memory_order_acquire) ==
			WORKER_FAILED)
			return error_set(err, EAGAIN, "", "worker %u cannot register with DPDK: %s",
				id, rte_strerror(rte_errno));
	}
	return 0;
}

int dataplane_start(
	const struct node *node, const struct tunnel_ops *const *types, struct error *err)
{
	struct flow_table_conf flows = { .entries4 = node->flows,
		.entries6 = node->flows6,
		.timeout_ms = node->flow_timeout_s * 1000u,
		.negative_timeout_ms = NEGATIVE_TIMEOUT_MS };
	struct forwarding_conf forwarding = { .tunnel_types = types,
		.poll_ports = placement_ports };
	int ret;

	dp.n_workers = node->worker_cpus.count > 0 ? (unsigned)node->worker_cpus.count : 1;
	if (dp.n_workers > RCU_WORKERS_MAX)
		return error_set(err, EINVAL, "node/worker_cpus", "node: at most %d workers",
			RCU_WORKERS_MAX);
	sched_getaffinity(0, sizeof(dp.allowed), &dp.allowed);
	packet_socket_probe();
	ret = eal_start(node, err);
	if (ret < 0)
		return ret;
	dp.socket_id = node_of_cpu(worker_cpu(node, 0));
	ret = pools_create(node, err);
	if (ret < 0)
		return ret;
	if (rcu_init() < 0 || adjacency_init() < 0)
		return error_set(err, ENOMEM, "", "out of memory for the adjacency table");
	worker_wake = wake;
	ret = punt_init(dp.n_workers, err);
	if (ret < 0)
		return ret;
	flows.n_workers = dp.n_workers;
	flows.socket_id = dp.socket_id;
	dp.flows = flow_table_new(&flows);
	dp.fragments = fragment_table_new(FRAGMENT_PACKETS, FRAGMENT_HELD);
	if (dp.flows == NULL || dp.fragments == NULL)
		return error_set(err, ENOMEM, "node/flows",
			"out of memory for a flow table of %u IPv4 and %u IPv6 entries: lower "
			"flows or flows6",
			node->flows, node->flows6);
	conntrack_configure(dp.flows, node);
	kernel_flows_configure(node->kernel_flows);
	worker_set_tunnels(types);
	burst_select(NULL);
	forwarding.n_workers = dp.n_workers;
	forwarding.pool = dp.pool;
	forwarding.large_pool = dp.large_pool;
	forwarding.socket_id = dp.socket_id;
	ret = forwarding_init(&forwarding, err);
	if (ret < 0)
		return ret;
	ret = workers_start(node, err);
	if (ret == 0)
		LOG_INFO("data plane started workers=%u hugepages=%s memory_mb=%u", dp.n_workers,
			dp.hugepages ? "yes" : "no", node->memory_mb);
	return ret;
}

void dataplane_halt(bool successor)
{
	if (dp.halted)
		return;
	dp.halted = true;
	for (unsigned id = 0; id < dp.n_workers && dp.workers[id] != NULL; id++) {
		atomic_store_explicit(&dp.workers[id]->stop, true, memory_order_seq_cst);
		wake(id);
	}
	for (unsigned id = 0; id < dp.n_workers && dp.workers[id] != NULL; id++) {
		if (!dp.workers[id]->borrowed)
			pthread_join(dp.workers[id]->thread, NULL);
	}
	kernel_flows_stop();
	forwarding_fini(successor);
	punt_fini();
	rcu_barrier();
}

void dataplane_stop(void)
{
	dataplane_halt(false);
	placement_fini();
	for (unsigned id = 0; id < dp.n_workers && dp.workers[id] != NULL; id++) {
		worker_free(dp.workers[id]);
		dp.workers[id] = NULL;
	}
	fragment_table_free(dp.fragments);
	flow_table_free(dp.flows);
	adjacency_fini();
	rte_eal_cleanup();
}

struct worker *dataplane_borrow_worker(unsigned id)
{
	struct worker *w = dp.workers[id];

	atomic_store_explicit(&w->stop, true, memory_order_seq_cst);
	wake(id);
	pthread_join(w->thread, NULL);
	w->borrowed = true;
	return w;
}

/* --- what control reads --------------------------------------------------------------------------------------- */

unsigned dataplane_worker_count(void)
{
	return dp.n_workers;
}

static double elapsed_s(const struct timespec *a, const struct timespec *b)
{
	return (double)(b->tv_sec - a->tv_sec) + (double)(b->tv_nsec - a->tv_nsec) / 1e9;
}

bool dataplane_worker(unsigned id, struct worker_info *info)
{
	struct counters *c = &counter_blocks[id];
	struct timespec now;
	struct worker *w;

	if (id >= dp.n_workers)
		return false;
	w = dp.workers[id];
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (elapsed_s(&dp.load[id].at, &now) > 0.5) {
		uint64_t busy = counter_read(&c->cycles_busy),
			 total = counter_read(&c->cycles_total);

		dp.load[id].share = total > dp.load[id].total
					    ? (double)(busy - dp.load[id].busy) /
						      (double)(total - dp.load[id].total)
					    : 0;
		dp.load[id].busy = busy;
		dp.load[id].total = total;
		dp.load[id].at = now;
	}
	*info = (struct worker_info){ .id = id,
		.cpu = w->cpu,
		.numa_node = placement_node(id),
		.busy = dp.load[id].share,
		.packets = counter_read(&c->received),
		.sleeps = counter_read(&w->sleeps),
		.queues = rcu_own(&w->rx_list)->count };
	return true;
}

void dataplane_take_offers(void)
{
	for (unsigned id = 0; id < dp.n_workers && !dp.halted; id++)
		kernel_flows_take(&dp.workers[id]->offers);
}

void dataplane_tick(void)
{
	if (dp.halted)
		return;
	placement_tick();
	kernel_maps_tick(dp.flows, dataplane_control_reader());
	kernel_flows_tick(dataplane_now_ms());
	dataplane_take_offers();
}

struct flow_table *dataplane_flows(void)
{
	return dp.flows;
}

unsigned dataplane_control_reader(void)
{
	return RCU_WORKERS_MAX;
}

uint32_t dataplane_now_ms(void)
{
	return dp.workers[0] != NULL
		       ? atomic_load_explicit(&dp.workers[0]->clock_ms, memory_order_relaxed)
		       : 0;
}

void dataplane_memory(struct memory_info *info)
{
	struct tables *t = rcu_own(&tables);
	struct rte_malloc_socket_stats heap;
	unsigned long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	*info = (struct memory_info){ .hugepages = dp.hugepages };
	for (int s = 0; s < RTE_MAX_NUMA_NODES; s++) {
		if (rte_malloc_get_socket_stats(s, &heap) == 0)
			info->dpdk_bytes += heap.heap_totalsz_bytes;
	}
	info->buffers = dp.pool->size;
	info->buffers_free = rte_mempool_avail_count(dp.pool);
	info->large_buffers = dp.large_pool->size;
	info->large_buffers_free = rte_mempool_avail_count(dp.large_pool);
	info->flow_bytes = flow_table_memory(dp.flows);
	if (t != NULL) {
		info->fib4_bytes = fib_memory(t->fib4);
		info->fib6_bytes = fib_memory(t->fib6);
	}
	if (f != NULL) {
		if (fscanf(f, "%lu %lu", &size, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	info->resident_bytes = resident * (size_t)sysconf(_SC_PAGESIZE);
}

void dataplane_configure(const struct node *node)
{
	/* Workers read latency and timeouts from the published settings; the flow table holds its own copy. */
	conntrack_configure(dp.flows, node);
	kernel_flows_changed();
	kernel_flows_configure(node->kernel_flows);
}
