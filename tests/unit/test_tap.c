/* SPDX-License-Identifier: Apache-2.0 */
/** Packets through the tap driver against the kernel: two pods and a forwarder of a few lines between them. */
#include "dataplane/offload.h"
#include "dataplane/virtio_hdr.h"
#include "tests/unit/tap_fixture.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define TCP_BYTES  (24u << 20)
#define DEADLINE_S 30

static uint8_t flat[FRAME_MAX + 64];

static struct {
	bool cut;	  /* segment and finish checksums, as for an output without offloads */
	uint32_t largest; /* packet seen, bytes */
	unsigned forwarded, large;
} forwarder;

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
	memset(&forwarder, 0, sizeof(forwarder));
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
	memset(&forwarder, 0, sizeof(forwarder));
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
	{ "the largest segments pass whole", largest_segments_pass_whole },
	{ "udp and ping", udp_and_ping },
	{ "tcp in large segments", tcp_whole },
	{ "tcp cut to the MTU", tcp_cut },
	{ "tcp over four queues", tcp_many_queues },
	{ "many quiet queues", many_quiet_queues },
};

int main(void)
{
	return tap_suite_run("tap", cases, RTE_DIM(cases));
}
