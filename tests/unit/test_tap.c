/* SPDX-License-Identifier: Apache-2.0 */
/** The tap driver against the kernel: two pods in network namespaces and a forwarder of a few lines
 * between them. Needs root; everything happens in namespaces of its own. */
#include "dataplane/offload.h"
#include "dataplane/port.h"
#include "dataplane/rcu.h"
#include "dataplane/tap_interface.h"
#include "dataplane/tap_netlink.h"
#include "dataplane/virtio_hdr.h"
#include "tests/unit/eal.h"
#include "tests/unit/frames.h"
#include "tests/unit/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define SKIPPED	   77
#define TCP_BYTES  (24u << 20)
#define DEADLINE_S 30

static struct rte_mempool *pool, *large_pool;
static struct frame frame;
static uint8_t flat[FRAME_MAX + 64];
static const struct mac_addr gateway_mac = { { 2, 0x70, 0x6f, 0x64, 0x6c, 1 } };

/** Two pods: 10.9.0.1 and .2, fd09::1 and ::2. */
static struct pod {
	char netns[40];
	struct mac_addr mac;
	struct ip_addr addresses[2];
	struct port *port;
} pods[2];

static struct {
	bool cut;	  /* segment and finish checksums, as for an output without offloads */
	uint32_t largest; /* packet seen, bytes */
	unsigned forwarded, large;
} forwarder;

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *fmt, ...)
{
	char command[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

static void remove_namespaces(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (pods[i].netns[0] != '\0')
			run("ip netns del %s 2>/dev/null", pods[i].netns);
	}
}

static struct port_params params_of(unsigned i)
{
	struct port_params params = { .name = i == 0 ? "pod:a" : "pod:b",
		.role = PORT_POD,
		.netns = pods[i].netns,
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

static void start(void)
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

static struct port *open_params(const struct port_params *params)
{
	struct error err = { 0 };
	struct port *port = NULL;

	if (port_open("tap", params, 1, &port, &err) < 0)
		printf(" %s ", err.text);
	return port;
}

static void pods_up(uint16_t n_queues)
{
	start();
	memset(&forwarder, 0, sizeof(forwarder));
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

static void pods_down(void)
{
	for (unsigned i = 0; i < 2; i++)
		port_close(pods[i].port);
	rcu_barrier();
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(large_pool), 0);
}

/** Send to the other pod as the worker would. */
static void forward(struct rte_mbuf *m, struct pod *to)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_mbuf *out[64] = { m };
	uint16_t n = 1, sent;

	if (!rte_is_unicast_ether_addr(&eth->dst_addr)) {
		rte_pktmbuf_free(m);
		return;
	}
	memcpy(eth->dst_addr.addr_bytes, to->mac.bytes, 6);
	memcpy(eth->src_addr.addr_bytes, gateway_mac.bytes, 6);
	forwarder.forwarded++;
	forwarder.largest = RTE_MAX(forwarder.largest, m->pkt_len);
	forwarder.large += m->pkt_len > 1514;
	if (forwarder.cut && (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)) {
		n = offload_segment(m, pool, out, RTE_DIM(out));
		CU_ASSERT_TRUE_FATAL(n > 0);
	} else if (forwarder.cut) {
		CU_ASSERT_TRUE(offload_complete_checksum(m));
	}
	sent = port_tx(to->port, 0, out, n);
	CU_ASSERT_EQUAL(sent, n);
	for (uint16_t i = sent; i < n; i++)
		rte_pktmbuf_free(out[i]);
}

static void forward_all(void)
{
	struct rte_mbuf *pkts[32];

	for (unsigned i = 0; i < 2; i++) {
		for (uint16_t q = 0; q < pods[i].port->n_rxq; q++) {
			uint16_t n =
				pods[i].port->ops->rx_burst(pods[i].port, q, pkts, RTE_DIM(pkts));

			for (uint16_t k = 0; k < n; k++)
				forward(pkts[k], &pods[1 - i]);
		}
	}
}

/** Run fn(arg) in a process inside a pod. */
static pid_t pod_process(const struct pod *pod, int (*fn)(const struct sockaddr_in6 *, int),
	const struct sockaddr_in6 *peer, int type)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct error err;
		int fd = netns_open(pod->netns, "test", &err);

		_exit(fd < 0 || setns(fd, CLONE_NEWNET) < 0 ? 99 : fn(peer, type));
	}
	return pid;
}

/** Forward until both are done. @return true when both exited with 0. */
static bool forward_until(pid_t a, pid_t b)
{
	time_t deadline = time(NULL) + DEADLINE_S;
	int status, failed = 0;

	while ((a > 0 || b > 0) && time(NULL) < deadline) {
		for (unsigned i = 0; i < 200; i++)
			forward_all();
		if (a > 0 && waitpid(a, &status, WNOHANG) == a) {
			failed |= status;
			a = 0;
		}
		if (b > 0 && waitpid(b, &status, WNOHANG) == b) {
			failed |= status;
			b = 0;
		}
	}
	if (a > 0)
		kill(a, SIGKILL);
	if (b > 0)
		kill(b, SIGKILL);
	while (waitpid(-1, &status, WNOHANG) > 0)
		;
	if (failed != 0)
		printf(" status %#x ", (unsigned)failed);
	return a == 0 && b == 0 && failed == 0;
}

static uint8_t pattern(uint32_t i)
{
	return (uint8_t)(i * 2654435761u >> 24);
}

/** One address family more: IPv4 as ::ffff:10.9.0.2. */
static struct sockaddr_in6 address_of(const struct pod *pod, bool v6)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(7) };

	if (v6) {
		memcpy(&sa.sin6_addr, pod->addresses[1].bytes, 16);
	} else {
		memset(sa.sin6_addr.s6_addr + 10, 0xff, 2);
		memcpy(sa.sin6_addr.s6_addr + 12, pod->addresses[0].bytes, 4);
	}
	return sa;
}

static int bound_socket(int type)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(7) };
	struct timeval timeout = { .tv_sec = DEADLINE_S };
	int fd = socket(AF_INET6, type, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ? -1 : fd;
}

static int tcp_sink(const struct sockaddr_in6 *peer, int type)
{
	static uint8_t buf[1 << 16];
	int listener = bound_socket(type), fd;
	uint32_t got = 0;

	(void)peer;
	if (listener < 0 || listen(listener, 1) < 0)
		return 1;
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		return 2;
	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0)
			return 3;
		if (n == 0)
			return got == TCP_BYTES ? 0 : 4;
		for (ssize_t i = 0; i < n; i++, got++) {
			if (buf[i] != pattern(got))
				return 5;
		}
	}
}

static int tcp_source(const struct sockaddr_in6 *peer, int type)
{
	static uint8_t buf[1 << 16];
	uint32_t sent = 0;
	int fd;

	for (unsigned tries = 0;; tries++) {
		fd = socket(AF_INET6, type, 0);
		if (connect(fd, (const struct sockaddr *)peer, sizeof(*peer)) == 0)
			break;
		close(fd);
		if (tries == 100)
			return 1;
		usleep(20000); /* the other process has yet to listen */
	}
	while (sent < TCP_BYTES) {
		uint32_t n = RTE_MIN((uint32_t)sizeof(buf), TCP_BYTES - sent);

		for (uint32_t i = 0; i < n; i++)
			buf[i] = pattern(sent + i);
		for (uint32_t off = 0; off < n;) {
			ssize_t w = write(fd, buf + off, n - off);

			if (w <= 0)
				return 2;
			off += (uint32_t)w;
		}
		sent += n;
	}
	close(fd);
	return 0;
}

static void tcp_between_pods(bool cut, uint16_t n_queues)
{
	pods_up(n_queues);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct sockaddr_in6 peer = address_of(&pods[1], v6);
		pid_t sink = pod_process(&pods[1], tcp_sink, &peer, SOCK_STREAM);

		forwarder.cut = cut;
		forwarder.large = 0;
		CU_ASSERT_TRUE(
			forward_until(sink, pod_process(&pods[0], tcp_source, &peer, SOCK_STREAM)));
		/* Large segments did pass through the forwarder, or this has tested nothing. */
		CU_ASSERT_TRUE(forwarder.large > 100);
		CU_ASSERT_TRUE(forwarder.largest > 16384);
	}
	CU_ASSERT_EQUAL(atomic_load(&pods[0].port->rx_errors), 0);
	printf("largest %u ", forwarder.largest);
	pods_down();
}

static void tcp_whole(void)
{
	tcp_between_pods(false, 1);
}

static void tcp_cut(void)
{
	tcp_between_pods(true, 1);
}

static void tcp_many_queues(void)
{
	tcp_between_pods(false, 4);
}

static const uint16_t datagrams[] = { 0, 1, 2, 31, 1400, 1472, 1473, 9000, 60001 };

static int udp_echo(const struct sockaddr_in6 *peer, int type)
{
	static uint8_t buf[65536];
	int fd = bound_socket(type);

	(void)peer;
	for (size_t i = 0; i < RTE_DIM(datagrams); i++) {
		struct sockaddr_in6 from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n != datagrams[i])
			return 1;
		if (sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len) != n)
			return 2;
	}
	return 0;
}

static int udp_ask(const struct sockaddr_in6 *peer, int type)
{
	static uint8_t buf[65536];
	int fd = bound_socket(type);

	usleep(100000); /* for the other process */
	for (size_t i = 0; i < RTE_DIM(datagrams); i++) {
		for (uint32_t k = 0; k < datagrams[i]; k++)
			buf[k] = pattern(k);
		if (sendto(fd, buf, datagrams[i], 0, (const struct sockaddr *)peer,
			    sizeof(*peer)) != datagrams[i])
			return 1;
		memset(buf, 0, sizeof(buf));
		if (recv(fd, buf, sizeof(buf), 0) != datagrams[i])
			return 2;
		for (uint32_t k = 0; k < datagrams[i]; k++) {
			if (buf[k] != pattern(k))
				return 3;
		}
	}
	return 0;
}

static int ping(const struct sockaddr_in6 *peer, int type)
{
	char text[INET6_ADDRSTRLEN];

	(void)type;
	if (freopen("/dev/null", "w", stdout) == NULL)
		return 126;
	inet_ntop(AF_INET6, &peer->sin6_addr, text, sizeof(text));
	execlp("ping", "ping", "-q", "-c", "3", "-i", "0.05", "-W", "2", "-s", "3000",
		strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text, NULL);
	return 127;
}

/** Addresses and routes work from the first packet on: no duplicate address detection to wait for.
 */
static void udp_and_ping(void)
{
	pods_up(1);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (unsigned cut = 0; cut < 2; cut++) {
			struct sockaddr_in6 peer = address_of(&pods[1], v6);
			pid_t echo = pod_process(&pods[1], udp_echo, &peer, SOCK_DGRAM);

			forwarder.cut = cut;
			CU_ASSERT_TRUE(forward_until(
				echo, pod_process(&pods[0], udp_ask, &peer, SOCK_DGRAM)));
			if (access("/bin/ping", X_OK) == 0)
				CU_ASSERT_TRUE(
					forward_until(0, pod_process(&pods[0], ping, &peer, 0)));
		}
	}
	pods_down();
}

struct packet_socket {
	int fd;
};

/** A socket that sees and makes whole frames with their virtio headers, inside a pod. */
static int packet_socket_open(void *arg)
{
	struct packet_socket *s = arg;
	struct sockaddr_ll sll = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex("eth0") };
	int one = 1;

	s->fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	if (s->fd < 0 || setsockopt(s->fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0 ||
		bind(s->fd, (struct sockaddr *)&sll, sizeof(sll)) < 0)
		return -errno;
	return 0;
}

static int in_pod(const struct pod *pod, int (*fn)(void *), void *arg)
{
	struct error err;
	int fd = netns_open(pod->netns, "test", &err), ret;

	ret = fd < 0 ? fd : netns_run(fd, fn, arg);
	if (fd >= 0)
		close(fd);
	return ret;
}

static void largest_segment_build(bool v6)
{
	/* The kernel itself cuts frames of 64 KiB and more. */
	frame_build(&frame, v6, IPPROTO_TCP, 0, 12, 65535 - 14 - (v6 ? 40 : 20) - 32);
	memcpy(frame.bytes, pods[1].mac.bytes, 6);
	memcpy(frame.bytes + 6, gateway_mac.bytes, 6);
}

/** 64 KiB, from the pod to us and from us to the pod, byte for byte and with its words. */
static void largest_segments_pass_whole(void)
{
	pods_up(1);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct virtio_net_hdr hdr = {
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_size = 1448, .csum_offset = 16
		};
		struct packet_socket s = { -1 };
		struct rte_mbuf *in[32], *m = NULL, *out[64];
		bool seen = false;
		uint16_t n;

		CU_ASSERT_EQUAL_FATAL(in_pod(&pods[1], packet_socket_open, &s), 0);
		largest_segment_build(v6);
		hdr.gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		hdr.csum_start = (uint16_t)(frame.l2_len + frame.l3_len);
		hdr.hdr_len = (uint16_t)(hdr.csum_start + frame.l4_len);
		/* From the pod. */
		memcpy(flat, &hdr, sizeof(hdr));
		memcpy(flat + sizeof(hdr), frame.bytes, frame.len);
		CU_ASSERT_EQUAL(send(s.fd, flat, frame.len + sizeof(hdr), 0),
			(ssize_t)(frame.len + sizeof(hdr)));
		for (unsigned tries = 0; tries < 1000 && m == NULL; tries++) {
			n = pods[1].port->ops->rx_burst(pods[1].port, 0, in, RTE_DIM(in));
			for (uint16_t i = 0; i < n; i++) {
				if (in[i]->pkt_len == frame.len && m == NULL)
					m = in[i];
				else
					rte_pktmbuf_free(in[i]);
			}
		}
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL(m->tso_segsz, 1448);
		CU_ASSERT_EQUAL(m->l4_len, 32);
		CU_ASSERT_EQUAL(mbuf_bytes(m, flat), frame.len);
		CU_ASSERT_EQUAL(memcmp(flat, frame.bytes, frame.len), 0);
		CU_ASSERT_TRUE(m->nb_segs <= 5);
		/* Back into the pod. */
		out[0] = m;
		CU_ASSERT_EQUAL_FATAL(port_tx(pods[1].port, 0, out, 1), 1);
		while (!seen) {
			struct sockaddr_ll from;
			socklen_t len = sizeof(from);
			ssize_t got = recvfrom(s.fd, flat, sizeof(flat), MSG_DONTWAIT,
				(struct sockaddr *)&from, &len);

			if (got < 0)
				break;
			if (from.sll_pkttype == PACKET_OUTGOING ||
				(size_t)got != frame.len + sizeof(hdr))
				continue;
			seen = true;
			CU_ASSERT_EQUAL(memcmp(flat + sizeof(hdr), frame.bytes, frame.len), 0);
			memcpy(&hdr, flat, sizeof(hdr));
			CU_ASSERT_EQUAL(hdr.gso_size, 1448);
			CU_ASSERT_EQUAL(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
				VIRTIO_NET_HDR_F_NEEDS_CSUM);
		}
		CU_ASSERT_TRUE(seen);
		close(s.fd);
	}
	pods_down();
}

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
		const uint16_t n = port->ops->rx_burst(port, (uint16_t)(tries % port->n_rxq), in, 4);
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
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("eth0") };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), ret;

	(void)arg;
	ret = sendto(fd, frame.bytes, frame.len, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
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
		CU_ASSERT_EQUAL(run("ip -n %s route get 10.1.1.1 | grep -q 'via 169.254.1.1 dev eth0 src 10.9.0.1'",
					pods[0].netns), 0);
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
		uint8_t offloads;
		struct error err;
		int index;

		pods_up(queues);
		index = in_pod(&pods[0], interface_index, "eth0");
		run("ip -n %s addr add 10.9.9.9/32 dev eth0", pods[0].netns);
		run("ip -n %s route add 10.77.0.0/16 via 169.254.1.1 dev eth0 proto static", pods[0].netns);
		pods[0].port->leave = true;
		port_close(pods[0].port);
		rcu_barrier();
		CU_ASSERT_EQUAL(in_pod(&pods[0], interface_index, "eth0"), index);
		CU_ASSERT_EQUAL(run("ip -n %s link show eth0 | grep -q 'alias podlane pod:a'", pods[0].netns), 0);
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
		CU_ASSERT_TRUE(tap_interface_open(&params, queues, (int[2]){ 0 }, &offloads, &err) < 0);
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
		CU_ASSERT_EQUAL(run("ip -n %s link show eth0 | grep -q 'mtu 1400'", pods[0].netns), 0);
		CU_ASSERT_EQUAL(run("ip -n %s addr show eth0 | grep -q 10.9.9.9", pods[0].netns), 256);
		CU_ASSERT_EQUAL(run("ip -n %s route | grep -q 10.77.0.0", pods[0].netns), 256);
		CU_ASSERT_EQUAL(run("ip -n %s route get 10.1.1.1 | grep -q 'via 169.254.1.1 dev eth0 src 10.9.0.1'",
					pods[0].netns), 0);
		CU_ASSERT_EQUAL(run("ip -n %s route get fd00::9 | grep -q 'via fe80::1'", pods[0].netns), 0);
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
		CU_ASSERT_EQUAL(tap_interface_remove("podlane-no-such-namespace", "eth0", "pod:a", &err), 0);
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

#define MANY 150

/** Sends one frame out of each of the interfaces e0, e1... */
static int send_everywhere(void *arg)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	(void)arg;
	for (unsigned i = 0; i < MANY; i++) {
		struct sockaddr_ll to = { .sll_family = AF_PACKET };
		char name[IFNAMSIZ];

		snprintf(name, sizeof(name), "e%u", i);
		to.sll_ifindex = (int)if_nametoindex(name);
		if (sendto(fd, frame.bytes, frame.len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			return -errno;
	}
	close(fd);
	return 0;
}

static struct port *many[MANY];

/** Poll all ports for some rounds. @return how many gave exactly one frame like ours. */
static void *poll_many(void *arg)
{
	unsigned *complete = arg, got[MANY] = { 0 };
	struct rte_mbuf *in[4];

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < MANY; i++) {
			uint16_t n = many[i]->ops->rx_burst(many[i], 0, in, RTE_DIM(in));

			for (uint16_t k = 0; k < n; k++)
				got[i] += in[k]->pkt_len == frame.len;
			rte_pktmbuf_free_bulk(in, n);
		}
	}
	*complete = 0;
	for (unsigned i = 0; i < MANY; i++)
		*complete += got[i] == 1;
	return NULL;
}

/** No packet is overlooked among many quiet queues, nor when they move to another thread. */
static void many_quiet_queues(void)
{
	struct port_params params;
	unsigned complete;
	pthread_t thread;

	start();
	params = params_of(0);
	params.n_addresses = 0;
	params.gateway[0].family = params.gateway[1].family = IP_NONE;
	for (unsigned i = 0; i < MANY; i++) {
		char name[IFNAMSIZ];

		snprintf(name, sizeof(name), "e%u", i);
		params.name = params.interface = name;
		params.pod_mac.bytes[4] = (uint8_t)(i + 1);
		many[i] = open_params(&params);
		CU_ASSERT_PTR_NOT_NULL_FATAL(many[i]);
	}
	frame_build(&frame, false, IPPROTO_UDP, 0, 0, 77);
	poll_many(&complete);
	/* Idle pods hold no buffers. */
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(large_pool), 0);
	for (unsigned turn = 0; turn < 3; turn++) {
		CU_ASSERT_EQUAL(in_pod(&pods[0], send_everywhere, NULL), 0);
		poll_many(&complete);
		CU_ASSERT_EQUAL(complete, MANY);
	}
	for (unsigned turn = 0; turn < 3; turn++) {
		CU_ASSERT_EQUAL(in_pod(&pods[0], send_everywhere, NULL), 0);
		CU_ASSERT_EQUAL(pthread_create(&thread, NULL, poll_many, &complete), 0);
		pthread_join(thread, NULL);
		CU_ASSERT_EQUAL(complete, MANY);
	}
	for (unsigned i = 0; i < MANY; i++)
		port_close(many[i]);
	rcu_barrier();
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static const struct test_case cases[] = {
	{ "errors leave nothing behind", errors_leave_nothing_behind },
	{ "close removes the interface", close_removes_the_interface },
	{ "the largest segments pass whole", largest_segments_pass_whole },
	{ "udp and ping", udp_and_ping },
	{ "tcp in large segments", tcp_whole },
	{ "tcp cut to the MTU", tcp_cut },
	{ "tcp over four queues", tcp_many_queues },
	{ "many quiet queues", many_quiet_queues },
	{ "links go down and up", links_go_down_and_up },
	{ "interfaces vanish", interfaces_vanish },
	{ "interfaces return", interfaces_return },
	{ "taken over", taken_over },
	{ "host port", host_port },
};

int main(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		printf("skipped: needs root to make network namespaces\n");
		return SKIPPED;
	}
	return suite_run("tap", cases, RTE_DIM(cases));
}
