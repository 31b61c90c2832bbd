/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/vlan.h"

#include "dataplane/offload.h"
#include "dataplane/packet.h"

#include <string.h>

#define MAC_BYTES (2 * RTE_ETHER_ADDR_LEN)
#define TAGGED_L2 (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN)
#define HEAD_MAX  256u /* headers that stay together in one buffer */

/** What counts L2 bytes in an mbuf. */
#define HAS_L2_LEN                                                        \
	(RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IP_CKSUM | OFFLOAD_LARGE | \
		RTE_MBUF_F_TX_OUTER_IP_CKSUM | RTE_MBUF_F_TX_OUTER_UDP_CKSUM)

/** Of a packet in a tunnel (tunnel_offload.h) the frame's own are the outer ones. */
static void l2_len_add(struct rte_mbuf *m, int bytes)
{
	if (likely(!(m->ol_flags & HAS_L2_LEN)))
		return;
	if (m->ol_flags & RTE_MBUF_F_TX_TUNNEL_MASK)
		m->outer_l2_len = (uint32_t)(m->outer_l2_len + bytes) & 0x7fu;
	else
		m->l2_len = (uint32_t)(m->l2_len + bytes) & 0x7fu;
}

static void put_tag(uint8_t *frame, uint16_t tci)
{
	const uint16_t tag[2] = { RTE_BE16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(tci) };

	memcpy(frame + MAC_BYTES, tag, sizeof(tag));
}

/** Without the tag, which is there, in the first buffer. */
static void strip(struct rte_mbuf *m)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

	memmove(frame + RTE_VLAN_HLEN, frame, MAC_BYTES);
	rte_pktmbuf_adj(m, RTE_VLAN_HLEN);
}

bool vlan_accept(struct rte_mbuf *m, uint16_t vlan)
{
	const uint32_t len = rte_pktmbuf_pkt_len(m);
	uint16_t word[2], tci;

	if (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)
		return (m->vlan_tci & VLAN_ID_MASK) == vlan;
	if (unlikely(len < RTE_ETHER_HDR_LEN) ||
		unlikely(!pkt_pull(m, RTE_MIN(len, (uint32_t)TAGGED_L2))))
		return true;
	memcpy(word, rte_pktmbuf_mtod_offset(m, const uint8_t *, MAC_BYTES), sizeof(word[0]));
	if (word[0] != RTE_BE16(RTE_ETHER_TYPE_VLAN))
		return false;
	if (unlikely(len < TAGGED_L2))
		return true;
	memcpy(word, rte_pktmbuf_mtod_offset(m, const uint8_t *, MAC_BYTES), sizeof(word));
	tci = rte_be_to_cpu_16(word[1]);
	if ((tci & VLAN_ID_MASK) != vlan)
		return false;
	strip(m);
	vlan_set_stripped(m, tci);
	return true;
}

/** May bytes in front of the frame be written? */
static bool has_room(const struct rte_mbuf *m)
{
	return RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1 &&
	       rte_pktmbuf_headroom(m) >= RTE_VLAN_HLEN && rte_pktmbuf_data_len(m) >= MAC_BYTES;
}

static void insert(struct rte_mbuf *m, uint16_t tci)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *) - RTE_VLAN_HLEN;

	m->data_off = (uint16_t)(m->data_off - RTE_VLAN_HLEN);
	m->data_len = (uint16_t)(m->data_len + RTE_VLAN_HLEN);
	m->pkt_len += RTE_VLAN_HLEN;
	memmove(frame, frame + RTE_VLAN_HLEN, MAC_BYTES);
	put_tag(frame, tci);
}

bool vlan_restore(struct rte_mbuf *m)
{
	if (!(m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED))
		return true;
	if (!has_room(m))
		return false;
	insert(m, m->vlan_tci);
	m->ol_flags &= ~(RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
	return true;
}

/** The same packet with the beginning of its first buffer in a new one, in front of which is room. NULL: no buffer. */
static struct rte_mbuf *new_head(struct rte_mbuf *m, struct rte_mempool *pool)
{
	const uint32_t len = rte_pktmbuf_data_len(m), keep = RTE_MIN(len, HEAD_MAX);
	struct rte_mbuf *head;

	if (rte_mbuf_refcnt_read(m) != 1 || len < MAC_BYTES || m->nb_segs == RTE_MBUF_MAX_NB_SEGS)
		return NULL;
	head = rte_pktmbuf_alloc(pool);
	if (head == NULL)
		return NULL;
	memcpy(rte_pktmbuf_append(head, (uint16_t)keep), rte_pktmbuf_mtod(m, const void *), keep);
	head->pkt_len = m->pkt_len;
	head->port = m->port;
	head->ol_flags = m->ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	head->tx_offload = m->tx_offload;
	rte_mbuf_dynfield_copy(head, m);
	if (keep < len) {
		head->nb_segs = (uint16_t)(m->nb_segs + 1);
		head->next = m;
		m->data_off = (uint16_t)(m->data_off + keep);
		m->data_len = (uint16_t)(len - keep);
	} else {
		head->nb_segs = m->nb_segs;
		head->next = m->next;
		m->next = NULL;
		m->nb_segs = 1;
		rte_pktmbuf_free_seg(m);
	}
	return head;
}

static bool tag_one(const struct port *port, struct rte_mbuf **pkt, bool device)
{
	struct rte_mbuf *m = *pkt;

	/* Drivers whose device does it in software want the room as well. */
	if (unlikely(!has_room(m))) {
		m = new_head(m, port->tag_pool);
		if (m == NULL)
			return false;
		*pkt = m;
	}
	if (device) {
		m->vlan_tci = port->vlan;
		m->ol_flags |= RTE_MBUF_F_TX_VLAN;
		return true;
	}
	insert(m, port->vlan);
	l2_len_add(m, RTE_VLAN_HLEN);
	return true;
}

uint16_t vlan_tag(const struct port *port, struct rte_mbuf **pkts, uint16_t n)
{
	const bool device = (port->offloads & PORT_TX_VLAN) != 0;

	for (uint16_t i = 0; i < n;) {
		if (likely(tag_one(port, &pkts[i], device)))
			i++;
		else
			n = port_tx_refuse(pkts, i, n);
	}
	return n;
}

void vlan_untag(struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		if (m->ol_flags & RTE_MBUF_F_TX_VLAN) {
			m->ol_flags &= ~RTE_MBUF_F_TX_VLAN;
			continue;
		}
		strip(m);
		l2_len_add(m, -RTE_VLAN_HLEN);
	}
}
