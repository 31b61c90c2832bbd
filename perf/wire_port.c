/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/wire_port.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_memory.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTORS 1024

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint32_t hugepages_free_mb(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned pages = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%u", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * 2;
}

static bool is_pci(const char *device)
{
	return device != NULL && strncmp(device, "net_", 4) != 0;
}

int wire_eal_start(
	const struct wire_options *o, uint32_t *memory_mb, uint32_t small_mb, struct error *err)
{
	char prefix[64], memory[16], lcores[48];
	char *argv[20] = { "podlane-bench" };
	bool huge = !o->no_huge && hugepages_free_mb() >= *memory_mb;
	bool pci = is_pci(o->device[0]) || is_pci(o->device[1]);
	int argc = 1;

	if (!huge && !o->no_huge)
		fprintf(stderr,
			"podlane-bench: %u MiB of free hugepages are fewer than the %u needed: "
			"using 4 KiB pages, which is slower\n",
			hugepages_free_mb(), *memory_mb);
	if (!huge)
		*memory_mb = small_mb;
	snprintf(prefix, sizeof(prefix), "--file-prefix=podlane-wire-%d", (int)getpid());
	snprintf(memory, sizeof(memory), "%u", *memory_mb);
	if (o->cpu_rx >= 0)
		snprintf(lcores, sizeof(lcores), "0@%d,1@%d", o->cpu_tx, o->cpu_rx);
	else
		snprintf(lcores, sizeof(lcores), "0@%d", o->cpu_tx);
	argv[argc++] = prefix;
	argv[argc++] = "-m";
	argv[argc++] = memory;
	argv[argc++] = "--lcores";
	argv[argc++] = lcores;
	argv[argc++] = "--no-telemetry";
	argv[argc++] = "--log-level=lib.eal:4";
	argv[argc++] = "--log-level=pmd.net.memif:4";
	/* An allow list that names no NIC: devices are probed one by one. */
	argv[argc++] = pci ? "--allow=0000:00:00.0" : "--no-pci";
	if (huge) {
		/* One file a memory, which is what memif's zero copy and virtio-user hand to their peers. */
		argv[argc++] = "--in-memory";
		argv[argc++] = "--single-file-segments";
	} else {
		argv[argc++] = "--no-huge";
		argv[argc++] = "--no-shconf";
	}
	if (rte_eal_init(argc, argv) < 0)
		return error_set(err, EINVAL, NULL,
			"DPDK's environment cannot start on CPUs %s with %u MiB: %s", lcores,
			*memory_mb, rte_strerror(rte_errno));
	rmdir(rte_eal_get_runtime_dir()); /* private memory puts nothing there */
	return 0;
}

static int probe(struct wire_port *port, const char *device, struct error *err)
{
	struct rte_eth_dev_info info;
	char name[64];
	size_t len = strcspn(device, ",");
	int ret;

	if (len == 0 || len >= sizeof(name))
		return error_set(err, EINVAL, NULL,
			"port %c: \"%s\" is neither a DPDK device string nor a PCI address",
			port->name, device);
	memcpy(name, device, len);
	name[len] = '\0';
	if (rte_eth_dev_get_port_by_name(name, &port->id) == 0)
		return 0; /* made already: wire_echo.c */
	ret = rte_dev_probe(device);
	if (ret < 0)
		return error_set(err, -ret, NULL, "port %c: DPDK cannot open %s: %s%s", port->name,
			device, rte_strerror(-ret),
			strncmp(name, "net_", 4) == 0 ? " (is the driver's name followed by a "
							"number? are its arguments right?)"
						      : " (is it bound to vfio-pci?)");
	if (rte_eth_dev_get_port_by_name(name, &port->id) == 0)
		return 0;
	/* Some drivers name their ports otherwise than the device. */
	for (port->id = 0; port->id < RTE_MAX_ETHPORTS; port->id++) {
		if (rte_eth_dev_is_valid_port(port->id) &&
			rte_eth_dev_info_get(port->id, &info) == 0 && info.device != NULL &&
			strcmp(rte_dev_name(info.device), name) == 0)
			return 0;
	}
	return error_set(
		err, ENODEV, NULL, "port %c: %s is not a network device", port->name, device);
}

static int configure(struct wire_port *port, uint16_t n_queues, uint32_t frame,
	struct rte_mempool *rx_pool, struct error *err)
{
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_dev_info info;
	uint16_t n_rx = DESCRIPTORS, n_tx = DESCRIPTORS;
	const char *step = "describe";
	int ret = rte_eth_dev_info_get(port->id, &info);

	/* memif names a limit that it does not have. */
	if (ret == 0 && frame > RTE_ETHER_MAX_LEN - RTE_ETHER_CRC_LEN &&
		strcmp(info.driver_name, "net_memif") != 0) {
		conf.rxmode.mtu = frame - RTE_ETHER_HDR_LEN;
		if (conf.rxmode.mtu > info.max_mtu ||
			frame + RTE_ETHER_CRC_LEN > info.max_rx_pktlen)
			return error_set(err, EINVAL, NULL,
				"port %c: frames of %u bytes are too long for it: MTU at most %u, "
				"frames at most %u: lower --sizes",
				port->name, frame, info.max_mtu, info.max_rx_pktlen);
	}
	if (ret == 0) {
		step = "configure";
		ret = rte_eth_dev_configure(port->id, n_queues, 1, &conf);
	}
	if (ret == 0)
		ret = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &n_rx, &n_tx);
	for (uint16_t q = 0; q < n_queues && ret == 0; q++) {
		step = "set up the receive queues of";
		ret = rte_eth_rx_queue_setup(port->id, q, n_rx, SOCKET_ID_ANY, NULL, rx_pool);
	}
	if (ret == 0) {
		step = "set up the transmit queue of";
		ret = rte_eth_tx_queue_setup(port->id, 0, n_tx, SOCKET_ID_ANY, NULL);
	}
	if (ret < 0)
		return error_set(err, -ret, NULL, "port %c: DPDK cannot %s the device: %s",
			port->name, step, rte_strerror(-ret));
	return 0;
}

/* memif's driver closes the descriptor of DPDK's own memory when a zero-copy client connects (22.11), so that the next one
 * has nothing to hand over. A copy of it is put back in its place. */
static struct {
	int fd, copy;
} kept = { -1, -1 };

static int memory_fd(
	const struct rte_memseg_list *list, const struct rte_memseg *segment, void *arg)
{
	(void)list;
	*(int *)arg = rte_memseg_get_fd(segment);
	return 1;
}

static void memory_keep(void)
{
	if (kept.copy < 0 && rte_memseg_walk(memory_fd, &kept.fd) == 1 && kept.fd >= 0)
		kept.copy = fcntl(kept.fd, F_DUPFD_CLOEXEC, 0);
}

static void memory_restore(void)
{
	if (kept.copy >= 0 && fcntl(kept.fd, F_GETFD) < 0)
		dup2(kept.copy, kept.fd);
}

/** Start the device and wait for its link. A memif client does not connect again by itself: it is started anew. */
static int start(struct wire_port *port, double wait, struct error *err)
{
	double until = seconds() + wait, again = 0;

	rte_log_set_level_pattern(
		"pmd.net.memif", RTE_LOG_CRIT); /* it would report every attempt */
	do {
		double now = seconds();

		if (!port->started && now >= again) {
			port->started = rte_eth_dev_start(port->id) == 0;
			again = now + 0.2;
		}
		if (port->started && !wire_port_lost(port))
			return 0;
		usleep(2000);
	} while (!atomic_load(&wire_interrupted) && seconds() < until);
	return error_set(err, ENOLINK, NULL,
		"port %c: %s within %.1f s: is the device under test running? (--wait)", port->name,
		port->started ? "its link did not come up" : "it does not start", wait);
}

int wire_port_open(struct wire_port *port, const struct wire_options *o, char name,
	const char *device, uint32_t frame, struct rte_mempool *rx_pool, struct error *err)
{
	int ret;

	*port = (struct wire_port){ .name = name };
	memory_keep();
	ret = probe(port, device, err);
	if (ret < 0)
		return ret;
	ret = configure(port, (uint16_t)o->rx_queues, frame, rx_pool, err);
	if (ret == 0)
		ret = start(port, o->wait, err);
	memory_restore();
	if (ret < 0) {
		wire_port_close(port);
		return ret;
	}
	rte_eth_promiscuous_enable(port->id); /* what cannot do this does not filter */
	rte_eth_macaddr_get(port->id, (struct rte_ether_addr *)&port->mac);
	return 0;
}

void wire_port_close(struct wire_port *port)
{
	if (port->started)
		rte_eth_dev_stop(port->id);
	rte_eth_dev_close(port->id);
}

bool wire_port_lost(const struct wire_port *port)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(port->id, &link) == 0 &&
	       link.link_status == RTE_ETH_LINK_DOWN;
}

static struct {
	const struct wire_port *ports;
	unsigned n;
} guarded;

static void on_fault(int number)
{
	static const char text[] =
		"podlane-bench wire: port ?: its peer went away, and its memory with it\n";
	char line[sizeof(text)];

	for (unsigned i = 0; i < guarded.n; i++) {
		if (wire_port_lost(&guarded.ports[i])) {
			memcpy(line, text, sizeof(text));
			line[sizeof("podlane-bench wire: port ") - 1] = guarded.ports[i].name;
			if (write(STDERR_FILENO, line, sizeof(text) - 1) < 0)
				_exit(1);
			_exit(1);
		}
	}
	signal(number,
		SIG_DFL); /* our own mistake: happens again at once, with the default action */
}

void wire_port_guard(const struct wire_port *ports, unsigned n)
{
	guarded.ports = ports;
	guarded.n = n;
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
}
