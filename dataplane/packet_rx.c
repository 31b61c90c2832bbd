/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/packet_rx.h"

#include "dataplane/frame_copy.h"
#include "dataplane/packet.h"
#include "dataplane/rcu.h"
#include "dataplane/settings.h"
#include "dataplane/tunnel_cut.h"
#include "dataplane/udp_merge.h"
#include "dataplane/virtio_hdr.h"
#include "dataplane/vlan.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#define MAC_BYTES (2 * RTE_ETHER_ADDR_LEN)

static void done(struct packet_rx *rx, struct packet_socket *socket)
{
	rx->held = false;
	packet_socket_next(socket);
}

/** Offset of the UDP header of a frame addressed to a port that VXLAN is received on, 0 for any other. */
static uint32_t tunnel_udp(const uint8_t *frame, uint32_t len)
{
	const struct tables *t = rcu_read(&tables);
	const uint8_t *ip = frame + RTE_ETHER_HDR_LEN;
	uint32_t l4 = RTE_ETHER_HDR_LEN;
	uint16_t type, port;

	if (t == NULL || t->tunnels == NULL ||
		len < RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr) + sizeof(struct rte_udp_hdr))
		return 0;
	memcpy(&type, frame + 12, sizeof(type));
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4) && ip[0] == 0x45 && ip[9] == IPPROTO_UDP &&
		(ip[6] & 0x3f) == 0 && ip[7] == 0)
		l4 += (uint32_t)sizeof(struct rte_ipv4_hdr);
	else if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && ip[6] == IPPROTO_UDP)
		l4 += (uint32_t)sizeof(struct rte_ipv6_hdr);
	else
		return 0;
	memcpy(&port, frame + l4 + 2, sizeof(port));
	return tunnel_is_vxlan_port(t->tunnels, port) ? l4 : 0;
}

/** Of the port's VLAN: the kernel took the tag off, and it stays off. */
static inline bool of_vlan(const struct packet_frame *f, const struct packet_rx_conf *conf)
{
	return conf->vlan != 0 && f->vlan_tpid == RTE_ETHER_TYPE_VLAN &&
	       (f->vlan_tci & VLAN_ID_MASK) == conf->vlan;
}

/** Of no VLAN of ours, with the tag that the kernel took off. Nobody routes these, so that what was asked for does not matter. */
static struct rte_mbuf *take_tagged(const struct packet_frame *f, const struct packet_rx_conf *conf)
{
	uint8_t head[MAC_BYTES + 4];
	const uint16_t tpid = rte_cpu_to_be_16(f->vlan_tpid), tci = rte_cpu_to_be_16(f->vlan_tci);

	memcpy(head, f->bytes, MAC_BYTES);
	memcpy(head + MAC_BYTES, &tpid, sizeof(tpid));
	memcpy(head + MAC_BYTES + 2, &tci, sizeof(tci));
	return frame_copy(conf->small, conf->large, head, sizeof(head), f->bytes + MAC_BYTES,
		f->len - MAC_BYTES);
}

/** Set what port.h says of a received packet. @return false when it has to go. */
static bool take_words(struct rte_mbuf *m, const struct virtio_net_hdr *hdr)
{
	const uint8_t checksum = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID;
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t l4;

	if (likely((hdr->flags & checksum) == 0 && hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE))
		return true;
	l4 = hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE ? tunnel_udp(frame, rte_pktmbuf_data_len(m))
						      : 0;
	/* Not one left out of what is inside the tunnel: that is finished below. */
	if (l4 != 0 && (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || hdr->csum_start == l4)) {
		rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, l4)->dgram_cksum = 0;
		return true;
	}
	return virtio_hdr_accept(m, hdr);
}

/** A large TCP segment, of this node's pods or in a tunnel. */
static bool take_segment(
	struct packet_rx *rx, const struct packet_rx_conf *conf, struct rte_mbuf **m)
{
	if (virtio_hdr_accept(*m, &rx->frame.hdr))
		return true;
	(*m)->ol_flags = 0;
	rx->next_pending = 0;
	rx->n_pending = tunnel_cut(*m, &rx->frame.hdr, conf->small, rx->pending, PACKET_RX_PENDING);
	if (rx->n_pending == 0)
		return false;
	*m = NULL;
	return true;
}

enum taken { TAKEN, REFUSED, NO_BUFFER };

/** Begin with the frame that is held: *m becomes a packet, or what was begun gives packets later. */
static enum taken take(struct packet_rx *rx, const struct packet_rx_conf *conf, struct rte_mbuf **m)
{
	const struct packet_frame *f = &rx->frame;
	const bool tagged = f->vlan_tpid != 0 && !of_vlan(f, conf);
	bool good;

	*m = NULL;
	if (unlikely(f->truncated || f->len < RTE_ETHER_HDR_LEN))
		return REFUSED;
	if (unlikely(f->hdr.gso_type == VIRTIO_NET_HDR_GSO_UDP_L4 && !tagged)) {
		const bool tunnel = tunnel_udp(f->bytes, f->len) != 0;

		return udp_split_begin(&rx->split, f->bytes, f->len, &f->hdr, !tunnel) ? TAKEN
										       : REFUSED;
	}
	if (unlikely(tagged)) {
		*m = take_tagged(f, conf);
		return *m != NULL ? TAKEN : NO_BUFFER;
	}
	*m = frame_copy(conf->small, conf->large, NULL, 0, f->bytes, f->len);
	if (unlikely(*m == NULL))
		return NO_BUFFER;
	good = likely(f->hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE) ? take_words(*m, &f->hdr)
								  : take_segment(rx, conf, m);
	if (likely(good))
		return TAKEN;
	rte_pktmbuf_free(*m);
	return REFUSED;
}

/** A packet of the frame that was looked at last. */
static inline struct rte_mbuf *noted(
	const struct packet_rx *rx, const struct packet_rx_conf *conf, struct rte_mbuf *m)
{
	if (unlikely(of_vlan(&rx->frame, conf)))
		vlan_set_stripped(m, rx->frame.vlan_tci);
	return m;
}

uint16_t packet_rx_burst(struct packet_rx *rx, struct packet_socket *socket,
	const struct packet_rx_conf *conf, struct rte_mbuf **pkts, uint16_t n,
	_Atomic uint64_t *errors)
{
	uint16_t got = 0;

	while (got < n) {
		struct rte_mbuf *m;
		enum taken taken;

		if (unlikely(rx->split.left > 0)) {
			m = udp_split_next(&rx->split, conf->small, conf->large);
			if (m == NULL)
				break;
			pkts[got++] = noted(rx, conf, m);
			if (rx->split.left == 0)
				done(rx, socket);
			continue;
		}
		if (unlikely(rx->next_pending < rx->n_pending)) {
			pkts[got++] = noted(rx, conf, rx->pending[rx->next_pending++]);
			continue;
		}
		if (!rx->held &&
			!packet_socket_peek(socket, &rx->frame, rx->scratch, sizeof(rx->scratch)))
			break;
		rx->held = true;
		taken = take(rx, conf, &m);
		if (unlikely(taken == NO_BUFFER))
			break;
		if (unlikely(taken == REFUSED))
			atomic_fetch_add_explicit(errors, 1, memory_order_relaxed);
		else if (likely(m != NULL))
			pkts[got++] = noted(rx, conf, m);
		if (likely(rx->split.left == 0))
			done(rx, socket);
	}
	return got;
}

void packet_rx_fini(struct packet_rx *rx)
{
	while (rx->next_pending < rx->n_pending)
		rte_pktmbuf_free(rx->pending[rx->next_pending++]);
}
