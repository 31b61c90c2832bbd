/* SPDX-License-Identifier: Apache-2.0 */
/** Two pods in network namespaces behind tap ports, for the tests of the tap driver. Needs root: main leaves with
 * TAP_SKIPPED otherwise. One thread. */
#ifndef TESTS_UNIT_TAP_FIXTURE_H
#define TESTS_UNIT_TAP_FIXTURE_H

#include "dataplane/port.h"
#include "dataplane/rcu.h"
#include "dataplane/netns.h"
#include "dataplane/tap_netlink.h"
#include "tests/unit/eal.h"
#include "tests/unit/frames.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAP_SKIPPED 77

static bool veth_mode; /* pods have veth pairs, and not the TAPs themselves */
static struct rte_mempool *pool, *large_pool;
static struct frame frame;
static const struct mac_addr gateway_mac = { { 2, 0x70, 0x6f, 0x64, 0x6c, 1 } };

/** Two pods: 10.9.0.1 and .2, fd09::1 and ::2. */
static struct pod {
	char netns[40];
	struct mac_addr mac;
	struct ip_addr addresses[2];
	struct port *port;
} pods[2];

static inline int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline int run(const char *fmt, ...)
{
	char command[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

static inline void remove_namespaces(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (pods[i].netns[0] != '\0')
			run("ip netns del %s 2>/dev/null", pods[i].netns);
	}
}

static inline struct port_params params_of(unsigned i)
{
	struct port_params params = { .name = i == 0 ? "pod:a" : "pod:b",
		.role = PORT_POD,
		.netns = pods[i].netns,
		.veth = veth_mode,
		.interface = "eth0",
		.n_queues = 1,
		.mtu = 1500,
		.port_mac = gateway_mac,
		.pod_mac = pods[i].mac,
		.addresses = pods[i].addresses,
		.n_addresses = 2,
		.pool = pool,
		.large_pool = large_pool };

	ip_addr_parse("169.254.1.1", &params.gateway[0]);
	ip_addr_parse("fe80::1", &params.gateway[1]);
	return params;
}

static inline void start(void)
{
	char text[32];

	if (pool != NULL)
		return;
	eal_start();
	rcu_init();
	pool = eal_pool("small", 16384, 2048);
	large_pool = eal_pool("large", 1024, 16384);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(pods[i].netns, sizeof(pods[i].netns), "podlane-test-%d-%u", (int)getpid(),
			i);
		pods[i].mac = (struct mac_addr){ { 2, 0, 0, 0, 9, (uint8_t)(i + 1) } };
		snprintf(text, sizeof(text), "10.9.0.%u", i + 1);
		ip_addr_parse(text, &pods[i].addresses[0]);
		snprintf(text, sizeof(text), "fd09::%u", i + 1);
		ip_addr_parse(text, &pods[i].addresses[1]);
		CU_ASSERT_EQUAL_FATAL(run("ip netns add %s", pods[i].netns), 0);
	}
	atexit(remove_namespaces);
}

static inline struct port *open_params(const struct port_params *params)
{
	struct error err = { 0 };
	struct port *port = NULL;

	if (port_open("tap", params, 1, &port, &err) < 0)
		printf(" %s ", err.text);
	return port;
}

static inline void pods_up(uint16_t n_queues)
{
	start();
	for (unsigned i = 0; i < 2; i++) {
		struct port_params params = params_of(i);
		char mac[MAC_TEXT_MAX];

		params.n_queues = n_queues;
		pods[i].port = open_params(&params);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pods[i].port);
		CU_ASSERT_TRUE(atomic_load(&pods[i].port->link_up));
		/* Answering ARP and ND is not this layer's. */
		mac_addr_format(&gateway_mac, mac);
		run("ip -n %s neigh replace 169.254.1.1 lladdr %s dev eth0 nud permanent",
			pods[i].netns, mac);
		run("ip -n %s neigh replace fe80::1 lladdr %s dev eth0 nud permanent",
			pods[i].netns, mac);
	}
}

static inline void pods_down(void)
{
	for (unsigned i = 0; i < 2; i++)
		port_close(pods[i].port);
	rcu_barrier();
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(large_pool), 0);
}

static inline int in_pod(const struct pod *pod, int (*fn)(void *), void *arg)
{
	struct error err;
	int fd = netns_open(pod->netns, "test", &err), ret;

	ret = fd < 0 ? fd : netns_run(fd, fn, arg);
	if (fd >= 0)
		close(fd);
	return ret;
}

/** All cases with either kind of interface, each in a process and a network namespace of its own. */
static inline int tap_suite_run(const char *name, const struct test_case *cases, size_t n)
{
	int failed = EXIT_SUCCESS;

	for (unsigned mode = 0; mode < 2; mode++) {
		pid_t pid;
		int status = 0;

		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			char text[64];

			if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
				printf("skipped: needs root to make network namespaces\n");
				exit(TAP_SKIPPED);
			}
			veth_mode = mode == 1;
			snprintf(text, sizeof(text), "%s, %s", name, veth_mode ? "veth" : "tap");
			exit(suite_run(text, cases, n));
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
			return EXIT_FAILURE;
		failed = WEXITSTATUS(status) != EXIT_SUCCESS ? WEXITSTATUS(status) : failed;
	}
	return failed;
}

#endif
