/* SPDX-License-Identifier: Apache-2.0 */
/** Sending to a packet socket: a burst is one sendmmsg. Runs of UDP packets go as one message each (udp_merge.h), large TCP
 * segments and partial checksums as what they are; the kernel or the device cuts. A VLAN tag (RTE_MBUF_F_TX_VLAN) is put in
 * between the packet's own bytes.
 *
 * One worker at a time. */
#ifndef DATAPLANE_PACKET_TX_H
#define DATAPLANE_PACKET_TX_H

#include "dataplane/udp_merge.h"

#include <rte_mbuf.h>
#include <stdatomic.h>
#include <sys/socket.h>

#define PACKET_TX_MESSAGES 256
#define PACKET_TX_IOV \
	1024 /* buffers in one system call; the kernel's limit is for one message (UIO_MAXIOV) */
#define PACKET_TX_MERGED 64 /* messages of several packets in one call */

/** Scratch of one call. */
struct packet_tx {
	struct mmsghdr messages[PACKET_TX_MESSAGES];
	struct virtio_net_hdr hdrs[PACKET_TX_MESSAGES];
	uint16_t packets[PACKET_TX_MESSAGES]; /* in each message */
	uint16_t tags[PACKET_TX_MESSAGES][2]; /* network order: type, TCI */
	uint8_t headers[PACKET_TX_MERGED][UDP_MERGE_HEADERS];
	struct iovec iov[PACKET_TX_IOV];
	/* Writer: the worker. Readers: control. */
	_Atomic uint64_t merged_messages, merged_packets;
	/* Writers: control at opening, then the worker, once: the kernel refused such a message. */
	_Atomic bool merge;
};

/** As tx_burst of port.h: takes ownership of the first packets, as many as it returns; may reorder what it refuses behind. */
uint16_t packet_tx_burst(struct packet_tx *tx, int fd, struct rte_mbuf **pkts, uint16_t n);

#endif
