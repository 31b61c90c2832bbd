/* SPDX-License-Identifier: Apache-2.0 */
/** Does this kernel cut and deliver large UDP packets of packet sockets? Its version does not say for sure, so one is sent
 * and received: on the loopback interface of a network namespace that exists for just this long. */
#include "dataplane/packet_socket.h"
#include "dataplane/udp_merge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEGMENT 1000
#define PAYLOAD 2500
#define HEADERS (RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))
#define WAIT_MS 1000

/** Headers of one large packet, to a MAC address that is nobody's: no one but packet sockets takes it. */
static struct virtio_net_hdr fill(uint8_t *frame)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)frame;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	memset(frame, 0, HEADERS);
	eth->dst_addr.addr_bytes[0] = 2;
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){ .version_ihl = RTE_IPV4_VHL_DEF,
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.total_length = rte_cpu_to_be_16((uint16_t)(HEADERS - RTE_ETHER_HDR_LEN + PAYLOAD)),
		.src_addr = RTE_BE32(RTE_IPV4(127, 0, 0, 1)),
		.dst_addr = RTE_BE32(RTE_IPV4(127, 0, 0, 1)) };
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*udp = (struct rte_udp_hdr){ .src_port = RTE_BE16(9),
		.dst_port = RTE_BE16(9),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof(*udp) + PAYLOAD)),
		.dgram_cksum = rte_ipv4_phdr_cksum(ip, 0) };
	return (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
		.hdr_len = HEADERS,
		.gso_size = SEGMENT,
		.csum_start = RTE_ETHER_HDR_LEN + sizeof(*ip),
		.csum_offset = offsetof(struct rte_udp_hdr, dgram_cksum) };
}

static bool loopback_up(int fd)
{
	struct ifreq ifr = { .ifr_flags = IFF_UP };

	strcpy(ifr.ifr_name, "lo");
	return ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
}

/** Whole, or in as many packets as it stands for. */
static bool arrives(int fd)
{
	uint8_t bytes[HEADERS + PAYLOAD];
	struct virtio_net_hdr hdr;
	struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { bytes, sizeof(bytes) } };
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	ssize_t payload = 0;

	while (payload < PAYLOAD && poll(&ready, 1, WAIT_MS) > 0) {
		ssize_t n = readv(fd, iov, 2) - (ssize_t)sizeof(hdr);

		if (n <= (ssize_t)HEADERS)
			return false;
		if (hdr.gso_type == VIRTIO_NET_HDR_GSO_UDP_L4)
			return n == HEADERS + PAYLOAD && hdr.gso_size == SEGMENT;
		payload += n - (ssize_t)HEADERS;
	}
	return payload == PAYLOAD;
}

static void *probe(void *arg)
{
	static uint8_t frame[HEADERS + PAYLOAD];
	const struct sockaddr_ll lo = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = 1
	};
	struct virtio_net_hdr hdr = fill(frame);
	const struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { frame, sizeof(frame) } };
	const int one = 1;
	bool *works = arg;
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return NULL;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	*works = loopback_up(fd) &&
		 setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) == 0 &&
		 setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) == 0 &&
		 bind(fd, (const struct sockaddr *)&lo, sizeof(lo)) == 0 &&
		 writev(fd, iov, 2) == (ssize_t)(sizeof(hdr) + sizeof(frame)) && arrives(fd);
	close(fd);
	return NULL;
}

static struct {
	pthread_t thread;
	bool begun, works;
} probing;

void packet_socket_probe(void)
{
	if (!probing.begun)
		probing.begun = pthread_create(&probing.thread, NULL, probe, &probing.works) == 0;
}

bool packet_socket_segments_udp(void)
{
	static bool known;

	packet_socket_probe();
	if (!known && probing.begun) {
		pthread_join(probing.thread, NULL);
		known = true;
	}
	return probing.works;
}
