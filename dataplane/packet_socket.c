/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/packet_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000 /* younger than the headers of Debian 12 */
#endif

#define BLOCK_BYTES 65536u /* slots follow each other without gaps when their size divides it */
#define RING_BYTES  (2u << 20)
#define SLOTS_MIN   256u
#define SOCKET_BYTES \
	(8 << 20) /* of what waits to be sent, and of large frames that wait to be received */
#define SLOT_HEADERS 96u /* TPACKET2 header, address, alignment, virtio header: at most */

static int set(int fd, int name, int value)
{
	return setsockopt(fd, SOL_PACKET, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int make_ring(struct packet_socket *s, uint32_t frame_max)
{
	uint32_t slot = RTE_MAX(rte_align32pow2(frame_max + SLOT_HEADERS), 2048u);
	struct tpacket_req req = { .tp_block_size = RTE_MAX(slot, BLOCK_BYTES),
		.tp_frame_size = slot };
	int ret;

	req.tp_frame_nr = RTE_MAX(RING_BYTES / slot, SLOTS_MIN);
	req.tp_block_nr = req.tp_frame_nr / (req.tp_block_size / slot);
	ret = set(s->fd, PACKET_VERSION, TPACKET_V2);
	if (ret == 0)
		ret = set(s->fd, PACKET_COPY_THRESH, 1);
	if (ret < 0)
		return ret;
	if (setsockopt(s->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0)
		return -errno;
	s->ring_bytes = (size_t)req.tp_block_size * req.tp_block_nr;
	s->ring = mmap(
		NULL, s->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, s->fd, 0);
	if (s->ring == MAP_FAILED) {
		ret = -errno;
		s->ring = NULL;
		return ret;
	}
	s->slot_bytes = slot;
	s->n_slots = req.tp_frame_nr;
	return 0;
}

/** How large what waits may be: beyond the system's limit when we may, else up to it. */
static void set_buffers(int fd)
{
	const int bytes = SOCKET_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int join(int fd, unsigned ifindex, unsigned short type)
{
	struct packet_mreq mreq = { .mr_ifindex = (int)ifindex, .mr_type = type };

	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) < 0 ? -errno
											  : 0;
}

/** Spread flows over the sockets of the group. Fragments of a packet stay together and are not put together. */
static int spread(int fd, uint16_t *group)
{
	const int flags = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_IGNORE_OUTGOING |
			  (*group == 0 ? PACKET_FANOUT_FLAG_UNIQUEID : 0);
	int value = *group | (int)((unsigned)flags << 16);
	socklen_t len = sizeof(value);

	if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, sizeof(value)) < 0 ||
		getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, &len) < 0)
		return -errno;
	*group = (uint16_t)value;
	return 0;
}

static int bind_to(int fd, unsigned ifindex)
{
	const struct sockaddr_ll to = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)ifindex };

	return bind(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

int packet_socket_open(struct packet_socket *s, struct packet_socket_conf *conf, struct error *err)
{
	const char *what = "open a packet socket";
	int ret;

	memset(s, 0, sizeof(*s));
	s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return error_set(err, errno, NULL,
			errno == EPERM ? "port %s: no permission to take packets from its "
					 "interface (%s): the daemon needs "
					 "CAP_NET_RAW and CAP_NET_ADMIN"
				       : "port %s: cannot open a packet socket: %s",
			conf->port, strerror(errno));
	set_buffers(s->fd);
	ret = set(s->fd, PACKET_VNET_HDR, 1);
	if (ret == 0)
		ret = set(s->fd, PACKET_IGNORE_OUTGOING, 1);
	if (ret == 0) {
		what = "share a receive ring with the kernel";
		ret = make_ring(s, conf->frame_max);
	}
	if (ret == 0) {
		what = "receive from its interface";
		ret = bind_to(s->fd, conf->ifindex);
	}
	/* Neighbour discovery goes to groups the kernel has not joined: it has no address there. */
	if (ret == 0)
		ret = join(s->fd, conf->ifindex, PACKET_MR_ALLMULTI);
	if (ret == 0 && conf->promiscuous)
		ret = join(s->fd, conf->ifindex, PACKET_MR_PROMISC);
	if (ret == 0 && conf->spread) {
		what = "spread flows over its queues";
		ret = spread(s->fd, &conf->group);
	}
	if (ret == 0)
		return 0;
	packet_socket_close(s);
	return error_set(
		err, -ret, NULL, "port %s: cannot %s: %s", conf->port, what, strerror(-ret));
}

void packet_socket_close(struct packet_socket *s)
{
	if (s->ring != NULL)
		munmap(s->ring, s->ring_bytes);
	if (s->fd >= 0)
		close(s->fd);
	s->ring = NULL;
	s->fd = -1;
}

void packet_socket_forget_error(const struct packet_socket *s)
{
	socklen_t len = sizeof(int);
	int error;

	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

uint32_t packet_socket_missed(const struct packet_socket *s)
{
	struct tpacket_stats stats = { 0 };
	socklen_t len = sizeof(stats);

	return getsockopt(s->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) < 0 ? 0
										  : stats.tp_drops;
}

/* --- receive -------------------------------------------------------------------------------------------------- */

static struct tpacket2_hdr *slot_at(const struct packet_socket *s)
{
	return (struct tpacket2_hdr *)(void *)(s->ring + (size_t)s->at * s->slot_bytes);
}

bool packet_socket_ready(const struct packet_socket *s)
{
	return (__atomic_load_n(&slot_at(s)->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) != 0;
}

void packet_socket_next(struct packet_socket *s)
{
	__atomic_store_n(&slot_at(s)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	if (++s->at == s->n_slots)
		s->at = 0;
}

void packet_socket_discard(struct packet_socket *s)
{
	uint8_t byte;

	while (packet_socket_ready(s)) {
		if (slot_at(s)->tp_status & TP_STATUS_COPY)
			recv(s->fd, &byte, sizeof(byte), MSG_DONTWAIT);
		packet_socket_next(s);
	}
}

/** The whole of a frame that did not fit its slot. */
static bool read_large(
	struct packet_socket *s, struct packet_frame *frame, uint8_t *scratch, size_t scratch_bytes)
{
	struct iovec iov[2] = { { &frame->hdr, sizeof(frame->hdr) }, { scratch, scratch_bytes } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = recvmsg(s->fd, &msg, MSG_DONTWAIT);

	if (n <= (ssize_t)sizeof(frame->hdr) || (msg.msg_flags & MSG_TRUNC))
		return false;
	frame->bytes = scratch;
	frame->len = (uint32_t)n - (uint32_t)sizeof(frame->hdr);
	return true;
}

bool packet_socket_peek(
	struct packet_socket *s, struct packet_frame *frame, uint8_t *scratch, size_t scratch_bytes)
{
	const struct tpacket2_hdr *slot = slot_at(s);
	const uint32_t status = __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);

	if (!(status & TP_STATUS_USER))
		return false;
	frame->bytes = (const uint8_t *)slot + slot->tp_mac;
	frame->len = slot->tp_snaplen;
	memcpy(&frame->hdr, frame->bytes - sizeof(frame->hdr), sizeof(frame->hdr));
	frame->vlan_tci = slot->tp_vlan_tci;
	frame->vlan_tpid = !(status & TP_STATUS_VLAN_VALID)	? 0
			   : status & TP_STATUS_VLAN_TPID_VALID ? slot->tp_vlan_tpid
								: ETH_P_8021Q;
	frame->truncated = false;
	if (unlikely(status & TP_STATUS_COPY))
		frame->truncated = !read_large(s, frame, scratch, scratch_bytes);
	else if (unlikely(slot->tp_len > slot->tp_snaplen))
		frame->truncated = true;
	return true;
}
