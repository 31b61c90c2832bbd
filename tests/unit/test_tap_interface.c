/* SPDX-License-Identifier: Apache-2.0 */
/** The life of the interface behind a tap port: made, configured, gone, back, taken over by the next daemon. */
#include "dataplane/tap_interface.h"
#include "tests/unit/tap_fixture.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static int interface_index(void *arg)
{
	return (int)if_nametoindex(arg);
}

static void close_removes_the_interface(void)
{
	pods_up(2);
	CU_ASSERT_TRUE(in_pod(&pods[0], interface_index, "eth0") > 0);
	pods_down();
	CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), 0);
	CU_ASSERT_EQUAL(run("ip link show | grep -q pltap"), 256); /* nothing left here either */
}

static void links_go_down_and_up(void)
{
	struct rte_mbuf *m;

	pods_up(1);
	run("ip -n %s link set eth0 down", pods[0].netns);
	pods[0].port->ops->tick(pods[0].port);
	CU_ASSERT_FALSE(atomic_load(&pods[0].port->link_up));
	frame_build(&frame, false, IPPROTO_UDP, 0, 0, 100);
	m = frame_mbuf(&frame, pool);
	CU_ASSERT_EQUAL(port_tx(pods[0].port, 0, &m, 1), 0);
	run("ip -n %s link set eth0 up", pods[0].netns);
	pods[0].port->ops->tick(pods[0].port);
	CU_ASSERT_TRUE(atomic_load(&pods[0].port->link_up));
	m->ol_flags = 0;
	CU_ASSERT_EQUAL(port_tx(pods[0].port, 0, &m, 1), 1);
	pods_down();
}

static bool is_quiet(struct port *port)
{
	for (uint16_t q = 0; q < port->n_rxq; q++) {
		struct pollfd pfd = { .fd = port->ops->rx_fd(port, q), .events = POLLIN };

		if (poll(&pfd, 1, 0) != 0 || !port->ops->rx_arm(port, q, true))
			return false;
	}
	return true;
}

/** A deleted interface and a deleted namespace: noticed, quiet, harmless. */
static void interfaces_vanish(void)
{
	struct rte_mbuf *m, *in[4];

	pods_up(2);
	run("ip -n %s link del eth0", pods[0].netns);
	run("ip netns del %s", pods[1].netns);
	for (unsigned i = 0; i < 2; i++) {
		struct port *port = pods[i].port;

		/* A namespace is taken down in the background: an open descriptor of ours must not
		 * hold it. */
		for (unsigned tries = 0; tries < 100 && atomic_load(&port->link_up); tries++) {
			CU_ASSERT_EQUAL(port->ops->rx_burst(port, 0, in, 0), 0);
			usleep(20000);
			port->ops->tick(port);
		}
		CU_ASSERT_FALSE(atomic_load(&port->link_up));
		CU_ASSERT_TRUE(is_quiet(port));
		CU_ASSERT_EQUAL(port->ops->rx_burst(port, 1, in, 4), 0);
		frame_build(&frame, false, IPPROTO_UDP, 0, 0, 100);
		m = frame_mbuf(&frame, pool);
		CU_ASSERT_EQUAL(port_tx(port, 0, &m, 1), 0);
		rte_pktmbuf_free(m);
		/* A worker that saw the interface alive a moment ago sends all the same. */
		CU_ASSERT_TRUE(write(port->ops->rx_fd(port, 0), frame.bytes, 8) < 0);
		CU_ASSERT_TRUE(is_quiet(port));
		port->ops->tick(port);
		CU_ASSERT_FALSE(atomic_load(&port->link_up));
	}
	pods_down();
	CU_ASSERT_EQUAL(run("ip netns add %s", pods[1].netns), 0);
}

/** Read all queues until a frame of `len` bytes comes. */
static bool receives(struct port *port, uint32_t len)
{
	struct rte_mbuf *in[4];

	for (unsigned tries = 0; tries < 200; tries++) {
		const uint16_t n =
			port->ops->rx_burst(port, (uint16_t)(tries % port->n_rxq), in, 4);
		bool found = false;

		for (uint16_t i = 0; i < n; i++) {
			found = found || rte_pktmbuf_pkt_len(in[i]) == len;
			rte_pktmbuf_free(in[i]);
		}
		if (found)
			return true;
		usleep(5000);
	}
	return false;
}

static int send_from_pod(void *arg)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex("eth0") };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), ret;

	(void)arg;
	ret = sendto(fd, frame.bytes, frame.len, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno
											    : 0;
	close(fd);
	return ret;
}

/** What a worker polled before is polled after, under the same number. */
static void interfaces_return(void)
{
	pods_up(1);
	frame_build(&frame, false, IPPROTO_UDP, 0, 0, 700);
	for (unsigned round = 0; round < 2; round++) {
		struct port *port = pods[0].port;
		const int fd = port->ops->rx_fd(port, 0);

		port->renewed = false;
		run(round == 0 ? "ip -n %s link del eth0" : "ip netns del %s", pods[0].netns);
		for (unsigned tries = 0; tries < 100 && atomic_load(&port->link_up); tries++) {
			struct rte_mbuf *in[4];

			rte_pktmbuf_free_bulk(in, port->ops->rx_burst(port, 0, in, 4));
			usleep(20000);
			port->ops->tick(port);
		}
		CU_ASSERT_FALSE(atomic_load(&port->link_up));
		if (round == 1)
			CU_ASSERT_EQUAL_FATAL(run("ip netns add %s", pods[0].netns), 0);
		for (unsigned tries = 0; tries < 30 && !atomic_load(&port->link_up); tries++)
			port->ops->tick(port);
		CU_ASSERT_TRUE(port->renewed);
		CU_ASSERT_EQUAL(port->ops->rx_fd(port, 0), fd);
		CU_ASSERT_EQUAL(run("ip -n %s route get 10.1.1.1 | grep -q 'via 169.254.1.1 dev "
				    "eth0 src 10.9.0.1'",
					pods[0].netns),
			0);
		CU_ASSERT_EQUAL(in_pod(&pods[0], send_from_pod, NULL), 0);
		CU_ASSERT_TRUE(receives(port, frame.len));
	}
	pods_down();
}

/** A daemon ends, another takes its place: the pod notices nothing. */
static void taken_over(void)
{
	for (uint16_t queues = 1; queues <= 2; queues++) {
		struct port_params params;
		struct tap_interface other;
		struct error err;
		int index;

		pods_up(queues);
		index = in_pod(&pods[0], interface_index, "eth0");
		run("ip -n %s addr add 10.9.9.9/32 dev eth0", pods[0].netns);
		run("ip -n %s route add 10.77.0.0/16 via 169.254.1.1 dev eth0 proto static",
			pods[0].netns);
		pods[0].port->leave = true;
		port_close(pods[0].port);
		rcu_barrier();
		CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), index);
		CU_ASSERT_EQUAL(run("ip -n %s link show eth0 | grep -q 'alias podlane pod:a'",
					pods[0].netns),
			0);
		/* Somebody else's by its mark. */
		params = params_of(0);
		params.name = "pod:other";
		params.n_queues = queues;
		CU_ASSERT_EQUAL(port_open("tap", &params, 1, &pods[0].port, &err), -EEXIST);
		CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), index);
		/* One that another daemon has open is left to it. */
		params = params_of(0);
		params.n_queues = queues;
		pods[0].port = open_params(&params);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pods[0].port);
		CU_ASSERT_TRUE(tap_interface_open(&params, queues, &other, &err) < 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "is another podlaned running?"));
		pods[0].port->leave = true;
		port_close(pods[0].port);
		rcu_barrier();
		/* An error afterwards leaves it where it was. */
		params = params_of(0);
		params.n_queues = queues;
		params.mtu = 20;
		CU_ASSERT_TRUE(port_open("tap", &params, 1, &pods[0].port, &err) < 0);
		CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), index);
		params.mtu = 1400;
		pods[0].port = open_params(&params);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pods[0].port);
		CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), index);
		CU_ASSERT_EQUAL(
			run("ip -n %s link show eth0 | grep -q 'mtu 1400'", pods[0].netns), 0);
		CU_ASSERT_EQUAL(
			run("ip -n %s addr show eth0 | grep -q 10.9.9.9", pods[0].netns), 256);
		CU_ASSERT_EQUAL(run("ip -n %s route | grep -q 10.77.0.0", pods[0].netns), 256);
		CU_ASSERT_EQUAL(run("ip -n %s route get 10.1.1.1 | grep -q 'via 169.254.1.1 dev "
				    "eth0 src 10.9.0.1'",
					pods[0].netns),
			0);
		CU_ASSERT_EQUAL(
			run("ip -n %s route get fd00::9 | grep -q 'via fe80::1'", pods[0].netns),
			0);
		frame_build(&frame, false, IPPROTO_UDP, 0, 0, 700);
		CU_ASSERT_EQUAL(in_pod(&pods[0], send_from_pod, NULL), 0);
		CU_ASSERT_TRUE(receives(pods[0].port, frame.len));
		/* Another number of queues cannot be had from the old one. */
		pods[0].port->leave = true;
		port_close(pods[0].port);
		rcu_barrier();
		params.n_queues = queues == 1 ? 2 : 1;
		pods[0].port = open_params(&params);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pods[0].port);
		CU_ASSERT_TRUE(in_pod(&pods[0], interface_index, "eth0") > 0);
		pods_down();
		CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), 0);
		/* What nobody takes over can be removed by name. */
		pods_up(queues);
		pods[0].port->leave = true;
		port_close(pods[0].port);
		rcu_barrier();
		CU_ASSERT_EQUAL(tap_interface_remove(pods[0].netns, "eth0", "pod:other", &err), 0);
		CU_ASSERT_TRUE(in_pod(&pods[0], interface_index, "eth0") > 0);
		CU_ASSERT_EQUAL(tap_interface_remove(pods[0].netns, "eth0", "pod:a", &err), 0);
		CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), 0);
		CU_ASSERT_EQUAL(
			tap_interface_remove("podlane-no-such-namespace", "eth0", "pod:a", &err),
			0);
		params = params_of(0);
		pods[0].port = open_params(&params);
		pods_down();
	}
}

static void errors_leave_nothing_behind(void)
{
	struct port_params params;
	struct error err;
	struct port *port;

	start();
	params = params_of(0);
	params.netns = "podlane-no-such-namespace";
	CU_ASSERT_EQUAL(port_open("tap", &params, 1, &port, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/run/netns/podlane-no-such-namespace"));
	params.netns = "/etc/hostname";
	CU_ASSERT_EQUAL(port_open("tap", &params, 1, &port, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "not a network namespace"));
	params = params_of(0);
	params.interface = "lo";
	CU_ASSERT_EQUAL(port_open("tap", &params, 1, &port, &err), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "has an interface lo already"));
	params.netns = NULL;
	CU_ASSERT_EQUAL(port_open("tap", &params, 1, &port, &err), -EEXIST);
	params = params_of(0);
	params.interface = "much-too-long-a-name";
	CU_ASSERT_EQUAL(port_open("tap", &params, 1, &port, &err), -EINVAL);
	params = params_of(0);
	params.mtu = 20;
	CU_ASSERT_TRUE(port_open("tap", &params, 1, &port, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "MTU"));
	/* A pod that has a default route already. */
	run("ip -n %s link set lo up; ip -n %s route add default dev lo", pods[0].netns,
		pods[0].netns);
	params = params_of(0);
	CU_ASSERT_EQUAL(port_open("tap", &params, 1, &port, &err), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "0.0.0.0/0 via 169.254.1.1"));
	run("ip -n %s route del default", pods[0].netns);
	CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), 0);
	CU_ASSERT_EQUAL(run("ip link show | grep -q pltap"), 256);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

/** The host port: in this process's own namespace, with routes to the pods and no default route. */
static void host_port(void)
{
	struct port_params params;
	struct ip_prefix routes[2];
	struct port *port;

	start();
	params = params_of(0);
	params.name = "podlane0";
	params.interface = "podlane0";
	params.role = PORT_HOST;
	params.netns = NULL;
	ip_prefix_parse("10.244.0.0/16", &routes[0]);
	ip_prefix_parse("fd00:244::/32", &routes[1]);
	params.routes = routes;
	params.n_routes = 2;
	port = open_params(&params);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	CU_ASSERT_EQUAL(
		run("ip route show 10.244.0.0/16 | grep -q 'via 169.254.1.1 dev podlane0'"), 0);
	CU_ASSERT_EQUAL(
		run("ip -6 route show fd00:244::/32 | grep -q 'via fe80::1 dev podlane0'"), 0);
	CU_ASSERT_EQUAL(run("ip addr show dev podlane0 | grep -q 'inet 10.9.0.1/32'"), 0);
	CU_ASSERT_EQUAL(
		run("ip addr show dev podlane0 | grep -q 'inet6 fd09::1/128 scope global *nodad'"),
		0);
	/* The kernel clears the flag of the link-local address a moment later, in a work queue. */
	CU_ASSERT_EQUAL(run("ip addr show dev podlane0 scope global | grep -q tentative"), 256);
	CU_ASSERT_EQUAL(run("ip route show | grep -q default"), 256);
	port_close(port);
	rcu_barrier();
	CU_ASSERT_EQUAL(if_nametoindex("podlane0"), 0);
}

static void leave_pod(void)
{
	pods[0].port->leave = true;
	port_close(pods[0].port);
	rcu_barrier();
}

static void open_pod(bool veth)
{
	struct port_params params = params_of(0);

	params.veth = veth;
	pods[0].port = open_params(&params);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pods[0].port);
	CU_ASSERT_TRUE(atomic_load(&pods[0].port->link_up));
}

static void close_pod(void)
{
	port_close(pods[0].port);
	rcu_barrier();
	CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), 0);
	CU_ASSERT_EQUAL(run("ip -o link show | grep -q ': pl'"), 256);
}

static bool pod_is_heard(void)
{
	frame_build(&frame, false, IPPROTO_UDP, 0, 0, 700);
	return in_pod(&pods[0], send_from_pod, NULL) == 0 && receives(pods[0].port, frame.len);
}

/** What was found is taken over as what it is, whatever new pods get. */
static void kinds_of_interfaces(void)
{
	const struct pod_veth v = pod_veth_of("pod:a");

	start();
	for (unsigned veth = 0; veth < 2; veth++) {
		int index;

		open_pod(veth);
		index = in_pod(&pods[0], interface_index, "eth0");
		CU_ASSERT_EQUAL(pods[0].port->kernel_ifindex != 0, veth);
		CU_ASSERT_EQUAL(pods[0].port->kernel_ifindex, if_nametoindex(v.host));
		CU_ASSERT_EQUAL(if_nametoindex(v.tap) != 0, veth);
		leave_pod();
		open_pod(!veth);
		CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), index);
		CU_ASSERT_EQUAL(pods[0].port->kernel_ifindex, if_nametoindex(v.host));
		CU_ASSERT_TRUE(pod_is_heard());
		close_pod();
	}
}

/** The two links of a pair here: marked, silent, as large as can be. */
static void links_beside(void)
{
	const struct pod_veth v = pod_veth_of("pod:a");
	const char *names[2] = { v.host, v.tap };

	start();
	open_pod(true);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(
			run("ip -d link show %s | grep -q 'alias podlane pod:a'", names[i]), 0);
		CU_ASSERT_EQUAL(
			run("ip -d link show %s | grep -q 'addrgenmode none'", names[i]), 0);
		CU_ASSERT_EQUAL(run("ip link show %s | grep -q 'mtu 655[0-9][0-9] '", names[i]), 0);
		CU_ASSERT_EQUAL(run("ip addr show %s | grep -q inet", names[i]), 256);
		CU_ASSERT_EQUAL(
			run("grep -q 1 /proc/sys/net/ipv6/conf/%s/disable_ipv6", names[i]), 0);
	}
	close_pod();
}

/** What a daemon's end, or somebody's hand, may have left of a pair. */
static void pairs_mended(void)
{
	const struct pod_veth v = pod_veth_of("pod:a");
	struct port_params params;
	struct error err;
	int index;

	start();
	/* The TAP is missing: the pod does not notice. */
	open_pod(true);
	index = in_pod(&pods[0], interface_index, "eth0");
	leave_pod();
	run("ip link del %s", v.tap);
	open_pod(true);
	CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), index);
	CU_ASSERT_TRUE(pod_is_heard());
	/* So it is when that happens beside a running daemon. */
	run("ip link del %s", v.tap);
	for (unsigned tries = 0; tries < 30; tries++)
		pods[0].port->ops->tick(pods[0].port);
	CU_ASSERT_TRUE(pods[0].port->renewed);
	CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), index);
	CU_ASSERT_TRUE(pod_is_heard());
	leave_pod();
	/* The other end is not the port's: the pod gets another one. */
	run("ip link set %s down; ip link set %s name other0", v.host, v.host);
	open_pod(true);
	CU_ASSERT_TRUE(in_pod(&pods[0], interface_index, "eth0") != index);
	CU_ASSERT_TRUE(pod_is_heard());
	close_pod();
	/* A daemon was killed while it made one. */
	CU_ASSERT_EQUAL(
		run("ip link add %s type veth peer name eth0 netns %s", v.host, pods[0].netns), 0);
	open_pod(true);
	CU_ASSERT_TRUE(pod_is_heard());
	close_pod();
	/* Names that somebody else has. */
	for (unsigned i = 0; i < 2; i++) {
		const char *name = i == 0 ? v.host : v.tap;

		CU_ASSERT_EQUAL(
			run("ip tuntap add %s mode tap && ip link set %s alias mine", name, name),
			0);
		params = params_of(0);
		params.veth = true;
		CU_ASSERT_EQUAL(port_open("tap", &params, 1, &pods[0].port, &err), -EEXIST);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, name));
		CU_ASSERT_EQUAL(run("ip link del %s", name), 0);
		CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), 0);
		CU_ASSERT_EQUAL(run("ip -o link show | grep -q ': pl'"), 256);
	}
	/* One that is in the pod already. */
	run("ip -n %s link add eth0 type veth peer name eth1", pods[0].netns);
	CU_ASSERT_EQUAL(port_open("tap", &params, 1, &pods[0].port, &err), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "has an interface eth0 already"));
	CU_ASSERT_EQUAL(run("ip -o link show | grep -q ': pl'"), 256);
	run("ip -n %s link del eth0", pods[0].netns);
}

/** A pod that is gone, or deleted while nobody looked, leaves nothing here. */
static void pairs_leave_nothing(void)
{
	struct error err;

	start();
	open_pod(true);
	run("ip netns del %s", pods[0].netns);
	for (unsigned tries = 0; tries < 100 && atomic_load(&pods[0].port->link_up); tries++) {
		usleep(20000);
		pods[0].port->ops->tick(pods[0].port);
	}
	CU_ASSERT_EQUAL(pods[0].port->kernel_ifindex, 0);
	run("ip netns add %s", pods[0].netns);
	close_pod();
	open_pod(true);
	leave_pod();
	run("ip netns del %s", pods[0].netns);
	CU_ASSERT_EQUAL(tap_interface_remove(pods[0].netns, "eth0", "pod:a", &err), 0);
	CU_ASSERT_EQUAL(run("ip -o link show | grep -q ': pl'"), 256);
	run("ip netns add %s", pods[0].netns);
}

/** In a process whose kernel lets nobody have BPF programs. */
static int without_bpf(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_bpf, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = { .len = RTE_DIM(filter), .filter = filter };
	struct port_params params = params_of(0);
	struct tap_interface made;
	struct error err;

	params.veth = true;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		return 1;
	for (unsigned round = 0; round < 2; round++) {
		if (tap_interface_open(&params, 1, &made, &err) < 0 || made.n != 1 ||
			made.veth.host_ifindex != 0)
			return 2;
		if (in_pod(&pods[0], interface_index, "eth0") <= 0 ||
			run("ip -o link show | grep -q ': pl'") == 0)
			return 3;
		tap_interface_close(&made, params.name, false, false);
		if (in_pod(&pods[0], interface_index, "eth0") != 0)
			return 4;
	}
	return 0;
}

/** Pods get plain TAPs then: when the programs cannot be loaded, or once they were, not be used. */
static void kernels_without_bpf(void)
{
	int status = 0;
	pid_t pid;

	start();
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(without_bpf());
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
}

static const struct test_case cases[] = {
	{ "kernels without BPF", kernels_without_bpf },
	{ "errors leave nothing behind", errors_leave_nothing_behind },
	{ "close removes the interface", close_removes_the_interface },
	{ "links go down and up", links_go_down_and_up },
	{ "interfaces vanish", interfaces_vanish },
	{ "interfaces return", interfaces_return },
	{ "taken over", taken_over },
	{ "host port", host_port },
	{ "kinds of interfaces", kinds_of_interfaces },
	{ "links beside", links_beside },
	{ "pairs mended", pairs_mended },
	{ "pairs leave nothing", pairs_leave_nothing },
	{ "kernels without BPF from now on", kernels_without_bpf },
};

int main(void)
{
	return tap_suite_run("tap interface", cases, RTE_DIM(cases));
}
