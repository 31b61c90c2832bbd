/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/packet_tx.h"

#include "dataplane/port.h"
#include "dataplane/virtio_hdr.h"

#include <errno.h>
#include <rte_ether.h>

/** What one system call is about. */
struct batch {
	uint16_t messages, iov, merged;
};

static struct iovec *message_begin(struct packet_tx *tx, struct batch *b, uint16_t packets)
{
	struct iovec *iov = &tx->iov[b->iov];

	tx->messages[b->messages].msg_hdr = (struct msghdr){ .msg_iov = iov };
	tx->packets[b->messages] = packets;
	*iov = (struct iovec){ &tx->hdrs[b->messages], sizeof(tx->hdrs[0]) };
	return iov + 1;
}

/** The beginning of a frame, with the tag that packet m asks for. */
static struct iovec *frame_begin(struct packet_tx *tx, const struct batch *b,
	const struct rte_mbuf *m, struct iovec *iov, uint8_t *bytes, size_t len)
{
	const uint32_t macs = 2 * RTE_ETHER_ADDR_LEN;
	struct virtio_net_hdr *hdr = &tx->hdrs[b->messages];
	uint16_t *tag = tx->tags[b->messages];

	if (likely(!(m->ol_flags & RTE_MBUF_F_TX_VLAN)) || unlikely(len < macs)) {
		*iov = (struct iovec){ bytes, len };
		return iov + 1;
	}
	tag[0] = RTE_BE16(RTE_ETHER_TYPE_VLAN);
	tag[1] = rte_cpu_to_be_16(m->vlan_tci);
	iov[0] = (struct iovec){ bytes, macs };
	iov[1] = (struct iovec){ tag, RTE_VLAN_HLEN };
	iov[2] = (struct iovec){ bytes + macs, len - macs };
	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		hdr->csum_start = (uint16_t)(hdr->csum_start + RTE_VLAN_HLEN);
	if (hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		hdr->hdr_len = (uint16_t)(hdr->hdr_len + RTE_VLAN_HLEN);
	return iov + 3;
}

static void message_end(struct packet_tx *tx, struct batch *b, const struct iovec *end)
{
	struct msghdr *msg = &tx->messages[b->messages].msg_hdr;

	msg->msg_iovlen = (size_t)(end - msg->msg_iov);
	b->iov = (uint16_t)(b->iov + msg->msg_iovlen);
	b->messages++;
}

static void add_run(struct packet_tx *tx, struct batch *b, struct rte_mbuf *const *pkts,
	const struct udp_run *run)
{
	struct iovec *iov = message_begin(tx, b, run->count);
	uint8_t *headers = tx->headers[b->merged++];

	udp_merge_headers(pkts[0], run, headers, &tx->hdrs[b->messages]);
	iov = frame_begin(tx, b, pkts[0], iov, headers, run->headers);
	iov += udp_merge_payload(pkts, run, iov);
	message_end(tx, b, iov);
}

static void add_packet(struct packet_tx *tx, struct batch *b, struct rte_mbuf *m)
{
	struct iovec *iov = message_begin(tx, b, 1);

	virtio_hdr_make(m, &tx->hdrs[b->messages]);
	iov = frame_begin(tx, b, m, iov, rte_pktmbuf_mtod(m, uint8_t *), m->data_len);
	for (m = m->next; m != NULL; m = m->next)
		*iov++ = (struct iovec){ rte_pktmbuf_mtod(m, void *), m->data_len };
	message_end(tx, b, iov);
}

/** As many of the packets as fit one call. */
static struct batch batch_make(struct packet_tx *tx, struct rte_mbuf *const *pkts, uint16_t n)
{
	const bool merge = atomic_load_explicit(&tx->merge, memory_order_relaxed);
	struct batch b = { 0 };

	for (uint16_t i = 0; i < n && b.messages < PACKET_TX_MESSAGES;) {
		/* A virtio header, merged headers and the two more parts that a tag makes of them before the packets' own
		 * buffers. */
		const int room = PACKET_TX_IOV - b.iov - 4;
		struct udp_run run = { .count = 1 };

		if (room < pkts[i]->nb_segs)
			break;
		if (merge && b.merged < PACKET_TX_MERGED && n - i > 1)
			udp_merge_find(&pkts[i], (uint16_t)(n - i), (uint16_t)room, &run);
		if (run.count > 1)
			add_run(tx, &b, &pkts[i], &run);
		else
			add_packet(tx, &b, pkts[i]);
		i = (uint16_t)(i + run.count);
	}
	return b;
}

/** Put the packets of the first message, which will never be sent, behind the others. @return how many are left. */
static uint16_t refuse(const struct packet_tx *tx, struct rte_mbuf **pkts, uint16_t at, uint16_t n)
{
	for (uint16_t i = 0; i < tx->packets[0]; i++)
		n = port_tx_refuse(pkts, at, n);
	return n;
}

/** The first message was not taken. @return how many packets are left to send, `at` = none now. */
static uint16_t failed(
	struct packet_tx *tx, int error, struct rte_mbuf **pkts, uint16_t at, uint16_t n)
{
	switch (error) {
	case EINTR:
		return n;
	case EAGAIN:  /* as much waits in the kernel as may */
	case ENOBUFS: /* the interface's queue is full */
	case ENETDOWN:
	case ENXIO:
	case ENODEV:
	case EBADF:
		return at;
	case ENOMEM:
		return refuse(tx, pkts, at, n);
	default:
		/* A message of several packets shows what this kernel cannot do; one packet, what is wrong with it. */
		if (tx->packets[0] == 1)
			return refuse(tx, pkts, at, n);
		atomic_store_explicit(&tx->merge, false, memory_order_relaxed);
		return n;
	}
}

static void count_merged(struct packet_tx *tx, uint16_t packets)
{
	uint64_t messages = atomic_load_explicit(&tx->merged_messages, memory_order_relaxed);
	uint64_t merged = atomic_load_explicit(&tx->merged_packets, memory_order_relaxed);

	atomic_store_explicit(&tx->merged_messages, messages + 1, memory_order_relaxed);
	atomic_store_explicit(&tx->merged_packets, merged + packets, memory_order_relaxed);
}

uint16_t packet_tx_burst(struct packet_tx *tx, int fd, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent = 0;

	while (sent < n) {
		struct batch b = batch_make(tx, pkts + sent, (uint16_t)(n - sent));
		int done;

		if (unlikely(b.messages == 0)) { /* more buffers than a message may have */
			n = port_tx_refuse(pkts, sent, n);
			continue;
		}
		done = sendmmsg(fd, tx->messages, b.messages, MSG_DONTWAIT);
		if (unlikely(done <= 0)) {
			n = failed(tx, errno, pkts, sent, n);
			continue;
		}
		for (int i = 0; i < done; i++) {
			sent = (uint16_t)(sent + tx->packets[i]);
			if (tx->packets[i] > 1)
				count_merged(tx, tx->packets[i]);
		}
	}
	rte_pktmbuf_free_bulk(pkts, sent);
	return sent;
}
